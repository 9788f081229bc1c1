//! A gap that is open: it counts what happens and is not recorded.

use super::lag::weight;
use model::Tick;
use model::entry::{Entry, Gap, GapCause};

/// Counts until records are taken again.
pub struct Opened {
    cause: GapCause,
    since: Tick,
    pub entries: u64,
    pub bytes: u64,
}

impl Opened {
    /// Counts from this moment on.
    pub fn new(cause: GapCause, since: Tick) -> Self {
        Self { cause, since, entries: 0, bytes: 0 }
    }

    /// Counts an entry.
    pub fn count(&mut self, entry: &Entry) {
        self.entries = self.entries.saturating_add(1);
        self.bytes = self.bytes.saturating_add(weight(entry));
    }

    /// The entry that stands for what was counted.
    pub fn close(self, now: Tick) -> Gap {
        let (bytes, entries) = (Some(self.bytes), Some(self.entries));
        Gap { cause: self.cause, bytes, entries, ms: now.since(self.since) }
    }
}

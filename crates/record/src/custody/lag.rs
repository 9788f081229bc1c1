//! How far auth is behind: bytes of entries it has not received, and how old the oldest is.

use model::entry::Entry;
use model::seal::Head;
use model::{Seq, Tick};
use std::collections::VecDeque;

/// Bytes of the session in an entry; 0 of what is not its streams.
pub fn weight(entry: &Entry) -> u64 {
    match entry {
        Entry::Output { bytes, .. } => bytes.len() as u64,
        Entry::Typed { count, .. } => u64::from(*count),
        Entry::Elided { bytes, .. } => *bytes,
        _ => 0,
    }
}

/// What auth has not received.
pub struct Lag {
    /// Sealed records, oldest first.
    sealed: VecDeque<Piece>,
    /// Entries that stand in no sealed record yet.
    open: Option<Entries>,
    bytes: u64,
    received: u64,
    /// When auth received something last, or there was nothing to receive.
    progress: Tick,
}

struct Piece {
    number: u64,
    bytes: u64,
    since: Tick,
}

struct Entries {
    last: Seq,
    bytes: u64,
    since: Tick,
}

impl Lag {
    /// Nothing to receive yet.
    pub fn new(now: Tick) -> Self {
        Self { sealed: VecDeque::new(), open: None, bytes: 0, received: 0, progress: now }
    }

    /// An entry was taken, up to `last`.
    pub fn open(&mut self, bytes: u64, last: Seq, now: Tick) {
        if self.is_empty() {
            self.progress = now;
        }
        let open = self.open.get_or_insert(Entries { last, bytes: 0, since: now });
        open.last = last;
        open.bytes = open.bytes.saturating_add(bytes);
        self.bytes = self.bytes.saturating_add(bytes);
    }

    /// A record was sealed. It stands for the open entries once it reaches the last of them.
    pub fn sealed(&mut self, head: Head, now: Tick) {
        if self.is_empty() {
            self.progress = now;
        }
        let taken = self.open.take_if(|open| open.last <= head.seq);
        let (bytes, since) = taken.map_or((0, now), |open| (open.bytes, open.since));
        self.sealed.push_back(Piece { number: head.records, bytes, since });
    }

    /// Auth has this many records. Says whether that is news.
    pub fn received(&mut self, records: u64, now: Tick) -> bool {
        if records <= self.received {
            return false;
        }
        self.received = records;
        while let Some(piece) = self.sealed.pop_front_if(|piece| piece.number <= records) {
            self.bytes = self.bytes.saturating_sub(piece.bytes);
        }
        self.progress = now;
        true
    }

    /// Whether auth has everything.
    pub fn is_empty(&self) -> bool {
        self.sealed.is_empty() && self.open.is_none()
    }

    /// Bytes of entries.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// When the oldest of it was taken.
    pub fn since(&self) -> Option<Tick> {
        let sealed = self.sealed.front().map(|piece| piece.since);
        let open = self.open.as_ref().map(|open| open.since);
        [sealed, open].into_iter().flatten().min()
    }

    /// When auth will have taken nothing of it for `ms`.
    pub fn stalls_at(&self, ms: u64) -> Option<Tick> {
        Some(self.since()?.max(self.progress).plus_ms(ms))
    }
}

//! Refusals of strangers, for the ledger: one by one while they are few, counted when somebody knocks all day.

use crate::report::Reporter;
use link::Flood;
use model::AuditEvent;
use model::audit::Audited;

/// Refusals of people of whom nothing is proved.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    flood: Flood,
}

impl Refusals {
    /// Tells the ledger of one, or counts it.
    pub fn tell(&self, reporter: &Reporter, event: AuditEvent) {
        if self.flood.tells() {
            reporter.tell(event);
        }
    }

    /// Tells how many were only counted. Called every [`link::FLOOD_WINDOW`], and at the end.
    pub fn own_up(&self, reporter: &Reporter) {
        let count = self.flood.untold();
        if count > 0 {
            reporter.tell(reporter.event(Audited::RefusalsNotListed { count }));
        }
    }
}

//! Signs that somebody meddled with what tells a session's processes from others.

use model::kernel::{KernelEvent, Sign, Tampering, Totals};
use model::limit::KERNEL_SIGNS;
use std::collections::BTreeSet;

/// Looks at one session's events, in the order in which they were traced.
#[derive(Debug, Default)]
pub struct Signs {
    /// Audit session of the first process, which the session's own process began before anything of the user's ran.
    own: Option<Option<u32>>,
    /// Audit sessions that were told.
    others: BTreeSet<u32>,
    /// The first processes that only their audit session gave away.
    strays: Vec<Tampering>,
}

impl Signs {
    /// Looks at an event. Each other audit session is told once; of more than [`KERNEL_SIGNS`] the rest stand in the
    /// events only.
    pub fn look(&mut self, event: &KernelEvent) -> Option<Tampering> {
        let by = &event.by;
        let own = *self.own.get_or_insert(by.audit);
        if by.stray && self.strays.len() < KERNEL_SIGNS {
            self.strays.push(tampering(event, Sign::NotInTable));
        }
        let (Some(own), Some(found)) = (own, by.audit) else { return None };
        let news = found != own && self.others.len() < KERNEL_SIGNS && self.others.insert(found);
        news.then(|| tampering(event, Sign::AuditSession { own, found }))
    }

    /// What can be said at the end only: that a process was missing in the kernel's table, and that there was room.
    pub fn finish(&mut self, totals: &Totals) -> Vec<Tampering> {
        let explained = totals.unseen() > 0;
        let strays = std::mem::take(&mut self.strays);
        if explained { Vec::new() } else { strays }
    }
}

fn tampering(event: &KernelEvent, sign: Sign) -> Tampering {
    let KernelEvent { at, by, .. } = event;
    Tampering { at: *at, process: by.process, name: by.name.clone(), uid: by.uid, sign }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::kernel::{Action, Doer, End};

    fn event(process: u32, audit: Option<u32>, stray: bool) -> KernelEvent {
        let name = "sh".to_owned();
        let by = Doer { process, parent: 1, uid: 0, euid: 0, audit, name, stray };
        let action = Action::Ended { end: End::Status(0), ms: 0 };
        KernelEvent { at: u64::from(process), by, action, times: 1 }
    }

    /// The signs in these events and at the end: process and what it was.
    fn check(events: &[(u32, Option<u32>, bool)], totals: Totals, wanted: &[(u32, Sign)]) {
        let mut signs = Signs::default();
        let found = events
            .iter()
            .filter_map(|(process, audit, stray)| signs.look(&event(*process, *audit, *stray)));
        let mut found: Vec<_> = found.collect();
        found.extend(signs.finish(&totals));
        let found: Vec<_> = found.into_iter().map(|it| (it.process, it.sign)).collect();
        assert_eq!(found, wanted);
    }

    #[test]
    fn another_audit_session_is_told_once() {
        let own = |process| (process, Some(3), false);
        let none = Totals::default();
        check(&[own(1), own(2)], none, &[]);
        let sign = |found| Sign::AuditSession { own: 3, found };
        check(
            &[own(1), (2, Some(7), false), (2, Some(7), false), own(3), (4, Some(8), false)],
            none,
            &[(2, sign(7)), (4, sign(8))],
        );
        // A machine that has none, and a kernel that loses sight of one.
        check(&[(1, None, false), (2, Some(7), false)], none, &[]);
        check(&[own(1), (2, None, false)], none, &[]);
    }

    #[test]
    fn a_process_that_was_missing_in_the_table_is_a_sign_if_there_was_room() {
        let events = [(1, Some(3), false), (2, Some(3), true)];
        check(&events, Totals::default(), &[(2, Sign::NotInTable)]);
        check(&events, Totals { beyond: 1, ..Totals::default() }, &[]);
        check(&events, Totals { unheld: 1, ..Totals::default() }, &[]);
        check(&events, Totals { skipped: 1, ..Totals::default() }, &[]);
    }

    #[test]
    fn there_are_never_more_signs_than_are_kept() {
        let many = u32::try_from(KERNEL_SIGNS).unwrap() * 2;
        let mut signs = Signs::default();
        let told = (0..many).filter_map(|n| signs.look(&event(n, Some(n), true))).count();
        assert_eq!((told, signs.finish(&Totals::default()).len()), (KERNEL_SIGNS, KERNEL_SIGNS));
    }
}

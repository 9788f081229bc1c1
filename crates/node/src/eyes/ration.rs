//! What the ledger is told one by one of what the kernel saw of a session, where a role asks for it: so much a minute.

use model::Tick;
use model::audit::Audited;
use model::kernel::KernelEvent;
use model::limit::{KERNEL_TOLD, KERNEL_TOLD_CHARS};
use model::role::Told;
use std::collections::BTreeSet;

/// Milliseconds that the ration is for.
const MINUTE_MS: u64 = 60_000;

/// One session's.
#[derive(Debug, Default)]
pub(super) struct Ration {
    wanted: BTreeSet<Told>,
    /// The minute that goes on, and how many were told in it.
    minute: Option<(Tick, u32)>,
    told: u64,
    untold: u64,
}

impl Ration {
    pub fn new(wanted: BTreeSet<Told>) -> Self {
        Self { wanted, ..Self::default() }
    }

    /// What the ledger is told of this, if it is to be; what is too much is counted.
    pub fn spend(&mut self, event: &KernelEvent, now: Tick) -> Option<Audited> {
        let kind = Told::of(&event.action).filter(|kind| self.wanted.contains(kind))?;
        let minute = self.minute.filter(|(since, _)| now < since.plus_ms(MINUTE_MS));
        let (since, spent) = minute.unwrap_or((now, 0));
        if spent >= KERNEL_TOLD {
            self.untold = self.untold.saturating_add(1);
            return None;
        }
        self.minute = Some((since, spent + 1));
        self.told = self.told.saturating_add(1);
        let KernelEvent { by, action, times, .. } = event;
        Some(Audited::KernelDid {
            kind: kind.word().to_owned(),
            process: by.process.into(),
            parent: by.parent.into(),
            uid: by.uid.into(),
            euid: by.euid.into(),
            what: action.to_string().chars().take(KERNEL_TOLD_CHARS).collect(),
            count: (*times).into(),
        })
    }

    /// How many were told, and how many were too many, since this was asked last.
    pub fn sums(&mut self) -> (u64, u64) {
        (std::mem::take(&mut self.told), std::mem::take(&mut self.untold))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::kernel::{Action, Doer, End, Named, Program};

    fn did(action: Action) -> KernelEvent {
        let name = "sh".to_owned();
        let by = Doer { process: 7, parent: 1, uid: 5, euid: 0, audit: None, name, stray: false };
        KernelEvent { at: 0, by, action, times: 3 }
    }

    fn ran() -> KernelEvent {
        let arguments = vec!["x".repeat(2 * KERNEL_TOLD_CHARS)];
        did(Action::Ran(Box::new(Program { arguments, ..Program::default() })))
    }

    #[test]
    fn so_many_a_minute_are_told_and_the_rest_is_counted() {
        let mut ration = Ration::new(BTreeSet::from([Told::Programs]));
        let count = |ration: &mut Ration, at| {
            (0..KERNEL_TOLD + 5).filter_map(|_| ration.spend(&ran(), Tick(at))).count()
        };
        assert_eq!(count(&mut ration, 1_000), KERNEL_TOLD as usize);
        assert_eq!(count(&mut ration, 60_999), 0);
        assert_eq!(count(&mut ration, 61_000), KERNEL_TOLD as usize);
        let sums = (2 * u64::from(KERNEL_TOLD), 10 + u64::from(KERNEL_TOLD) + 5);
        assert_eq!(ration.sums(), sums);
        assert_eq!(ration.sums(), (0, 0));
        assert_eq!(count(&mut ration, 61_001), 0, "sums change nothing about the minute");
    }

    #[test]
    fn only_what_a_role_asks_for_is_told_and_it_is_bounded() {
        let opened = |flags| {
            let file = Named { path: "/etc/x".to_owned(), ..Named::default() };
            did(Action::Opened { file, flags, place: None, error: 0 })
        };
        let ended = did(Action::Ended { end: End::Status(0), ms: 1 });
        let mut none = Ration::default();
        let mut all = Ration::new(Told::ALL.into());
        let mut changes = Ration::new(BTreeSet::from([Told::Changes]));
        for (event, kind) in [
            (ran(), Some("programs")),
            (opened(0), None),
            (opened(1), Some("changes")),
            (ended, None),
        ] {
            assert_eq!(none.spend(&event, Tick(0)), None);
            assert_eq!(changes.spend(&event, Tick(0)).is_some(), kind == Some("changes"));
            match all.spend(&event, Tick(0)) {
                None => assert_eq!(kind, None),
                Some(Audited::KernelDid {
                    kind: found, what, process, uid, euid, count, ..
                }) => {
                    assert_eq!(Some(found.as_str()), kind);
                    assert_eq!((process, uid, euid, count), (7, 5, 0, 3));
                    assert!(what.chars().count() <= KERNEL_TOLD_CHARS);
                }
                Some(other) => panic!("{other:?}"),
            }
        }
        assert_eq!((none.sums(), all.sums()), ((0, 0), (2, 0)));
    }
}

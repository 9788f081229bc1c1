//! What the ledger gets to know of files that a session moved: as much as it takes, then a count.

use crate::connection::Caller;
use model::audit::Audited;
use model::entry::Entry;
use model::limit::TRANSFER_EVENTS;
use model::transfer::{FileMoved, Layout, Moved, Transfer, access_words};
use model::{SessionId, Stream, UserName};

/// Tells the ledger about one session's files.
pub(crate) struct Files {
    caller: Caller,
    id: SessionId,
    budget: Budget,
}

impl Files {
    pub fn new(caller: Caller, id: SessionId) -> Self {
        Self { caller, id, budget: Budget::default() }
    }

    /// Tells what this entry is worth.
    pub fn tell(&mut self, entry: &Entry) {
        let Entry::Transfer(transfer) = entry else { return };
        for event in events(transfer) {
            if let Some(event) = self.budget.spend(event) {
                self.caller.tell_in(self.id, event);
            }
        }
    }

    /// Tells something of the session that is no file.
    pub fn say(&self, event: Audited) {
        self.caller.tell_in(self.id, event);
    }

    /// As [`Files::say`], of somebody else who is in the session.
    pub fn say_as(&self, user: &UserName, event: Audited) {
        self.caller.tell_of(self.id, user, event);
    }

    /// Tells how much was not told.
    pub fn finish(&mut self) {
        if let Some(event) = self.budget.rest() {
            self.caller.tell_in(self.id, event);
        }
    }
}

/// How many events were told, and what the others came to.
#[derive(Default)]
struct Budget {
    told: u32,
    count: u64,
    bytes: u64,
}

impl Budget {
    fn spend(&mut self, event: Audited) -> Option<Audited> {
        // That a transfer became something else can happen once, and is always told.
        if matches!(event, Audited::TransferUnparsed { .. }) {
            return Some(event);
        }
        if self.told < TRANSFER_EVENTS {
            self.told += 1;
            return Some(event);
        }
        self.count = self.count.saturating_add(1);
        if let Audited::Transferred { bytes, .. } = event {
            self.bytes = self.bytes.saturating_add(bytes);
        }
        None
    }

    fn rest(&mut self) -> Option<Audited> {
        let (count, bytes) = (std::mem::take(&mut self.count), std::mem::take(&mut self.bytes));
        (count > 0).then_some(Audited::TransfersNotListed { count, bytes })
    }
}

fn events(transfer: &Transfer) -> Vec<Audited> {
    match transfer {
        Transfer::Closed(moved) => [("read", &moved.read), ("written", &moved.written)]
            .into_iter()
            .filter_map(|(direction, part)| Some(transferred(moved, direction, part.as_ref()?)))
            .collect(),
        Transfer::Changed { change, outcome } => {
            let (path, to) = change.paths();
            vec![Audited::FileChanged {
                change: change.word().to_owned(),
                path: path.to_owned(),
                to: to.map(str::to_owned),
                result: outcome.words(),
            }]
        }
        Transfer::NotOpened { path, access, outcome } => vec![Audited::NotOpened {
            path: path.clone(),
            access: access_words(access).to_owned(),
            result: outcome.words(),
        }],
        Transfer::Unparsed { stream, why } => {
            let stream = if *stream == Stream::Stdin { "stdin" } else { "stdout" };
            vec![Audited::TransferUnparsed { stream: stream.to_owned(), why: why.clone() }]
        }
        Transfer::Began { .. }
        | Transfer::Opened { .. }
        | Transfer::Listed { .. }
        | Transfer::Lookups(_)
        | Transfer::Said { .. } => Vec::new(),
    }
}

fn transferred(file: &FileMoved, direction: &str, part: &Moved) -> Audited {
    let hash = match &part.layout {
        Layout::Contiguous { hash, .. } => Some(hash.to_string()),
        Layout::Scattered { .. } => None,
    };
    Audited::Transferred {
        path: file.path.clone(),
        direction: direction.to_owned(),
        bytes: part.bytes,
        hash,
        result: file.outcome.words(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::transfer::{Access, Change, Digest, Outcome};

    fn written(bytes: u64) -> Transfer {
        let layout = Layout::Contiguous { from: 0, hash: Digest([0xab; 32]) };
        Transfer::Closed(Box::new(FileMoved {
            file: 1,
            path: "/a".into(),
            access: vec![Access::Write],
            size: None,
            mode: None,
            times: None,
            read: None,
            written: Some(Moved { bytes, layout }),
            outcome: Outcome::Failed { code: 4, text: "Failure".into() },
        }))
    }

    #[test]
    fn the_ledger_gets_path_direction_bytes_hash_and_result() {
        let hash = Some("ab".repeat(32));
        let result = "failed, Failure".to_owned();
        let wanted = Audited::Transferred {
            path: "/a".into(),
            direction: "written".into(),
            bytes: 5,
            hash,
            result,
        };
        assert_eq!(events(&written(5)), [wanted]);
        let change = Change::Rename { path: "/a".into(), to: "/b".into(), replace: false };
        let wanted = Audited::FileChanged {
            change: "rename".into(),
            path: "/a".into(),
            to: Some("/b".into()),
            result: "ok".into(),
        };
        assert_eq!(events(&Transfer::Changed { change, outcome: Outcome::Ok }), [wanted]);
    }

    #[test]
    fn more_than_the_ledger_takes_is_counted() {
        let mut budget = Budget::default();
        let all = (0..TRANSFER_EVENTS + 7).flat_map(|_| events(&written(3)));
        let told = all.filter_map(|event| budget.spend(event)).count();
        assert_eq!(told, TRANSFER_EVENTS as usize);
        let unparsed = Transfer::Unparsed { stream: Stream::Stdin, why: "x".into() };
        assert!(events(&unparsed).into_iter().all(|event| budget.spend(event).is_some()));
        assert_eq!(budget.rest(), Some(Audited::TransfersNotListed { count: 7, bytes: 21 }));
        assert_eq!(budget.rest(), None);
    }
}

//! Auth as a recording sees it: takes records that fit, once, and says how far it is.

use model::seal::PublicKey;
use model::{Seq, SessionId};
use record::{Chain, Tail, split};

/// What auth has, all of it on its disk.
pub struct Auth {
    pub alive: bool,
    pub file: Vec<u8>,
    chain: Chain,
    id: SessionId,
}

impl Auth {
    pub fn new(key: PublicKey, id: SessionId) -> Self {
        Self { alive: true, file: Vec::new(), chain: Chain::new(&[key]), id }
    }

    /// Takes whole records, the first being number `after` + 1, as `auth` does. No answer if it is dead.
    pub fn take(&mut self, after: u64, mut body: &[u8]) -> Option<(u64, Seq)> {
        if !self.alive {
            return None;
        }
        assert!(after <= self.chain.head().records, "the node is ahead of auth");
        if after == self.chain.head().records {
            while let Some((record, rest)) = split(body).unwrap() {
                let accepted = self.chain.accept(record).expect("what a node ships fits");
                if let Some(heading) = accepted.heading {
                    assert_eq!(heading.id, self.id);
                }
                self.file.extend_from_slice(record);
                body = rest;
            }
            assert!(body.is_empty(), "only whole records are shipped");
        }
        self.progress()
    }

    /// How far it is; nothing if it is dead.
    pub fn progress(&self) -> Option<(u64, Seq)> {
        let head = self.chain.head();
        self.alive.then_some((head.records, head.seq))
    }

    /// Where a node may go on.
    pub fn tail(&self) -> Option<Tail> {
        let head = self.chain.head();
        let (last_at, ended) = (self.chain.last_at_ms(), self.chain.has_ending());
        let finished = self.finished();
        (head.records > 0).then_some(Tail { head, last_at, ended, finished })
    }

    pub fn finished(&self) -> bool {
        self.chain.ended().is_some()
    }

    pub fn seq(&self) -> Seq {
        self.chain.head().seq
    }
}

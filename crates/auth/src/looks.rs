//! Who looks at a session that goes on without being in it: its node hears of it, and tells the people there.

use crate::clock;
use crate::lately::Lately;
use model::limit::LOOKS;
use model::{NodeName, SessionId, Tick, UserName};
use store::tables::Recording;
use tokio::sync::broadcast;
use wire::node::{Looked, LookedAt};

/// Whom, what, and at what.
type Key = (UserName, SessionId, LookedAt);

/// The word about it, to all streams of news; each takes what is its node's.
pub struct Looks {
    told: broadcast::Sender<(NodeName, Looked)>,
    last: Lately<Key>,
}

impl Looks {
    pub fn new() -> Self {
        Self { told: broadcast::Sender::new(LOOKS), last: Lately::default() }
    }

    /// Tells the people of a session, once in ten minutes for the same person and thing.
    pub fn tell(&self, row: &Recording, user: &UserName, at: LookedAt) {
        if self.is_new((user.clone(), row.id, at), clock::tick()) {
            let looked = Looked { session: row.id, user: user.clone(), at };
            // A node that does not listen has no people to tell.
            let _ = self.told.send((row.node.clone(), looked));
        }
    }

    /// What is told from here on.
    pub fn listen(&self) -> broadcast::Receiver<(NodeName, Looked)> {
        self.told.subscribe()
    }

    fn is_new(&self, key: Key, now: Tick) -> bool {
        self.last.take(key, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::limit::PREVIEW_TOLD_MS;

    #[test]
    fn the_same_look_is_told_once_in_ten_minutes_and_another_at_once() {
        let looks = Looks::new();
        let key = |user: &str, at| (user.parse().unwrap(), SessionId::from_random([7; 16]), at);
        use LookedAt::{Preview, Recording};
        for (user, at, now, expected) in [
            ("alice", Preview, 0, true),
            ("alice", Preview, 1, false),
            ("alice", Recording, 1, true),
            ("bob", Preview, 1, true),
            ("alice", Preview, PREVIEW_TOLD_MS - 1, false),
            ("alice", Preview, PREVIEW_TOLD_MS, true),
        ] {
            assert_eq!(looks.is_new(key(user, at), Tick(now)), expected, "{user} {at:?} {now}");
        }
    }
}

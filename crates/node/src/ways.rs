//! Which kinds of forwards of a connection are open, so that each kind can be cut by itself.

use model::role::Forwarding;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio_util::sync::CancellationToken;

/// The ways of one connection.
pub(crate) struct Ways {
    /// Cancelled, all of them are cut.
    all: CancellationToken,
    /// Tasks of one connection take ways and give them back; held for moments only.
    kinds: Mutex<BTreeMap<Forwarding, Way>>,
}

/// Leave to carry one kind of thing, as long as it is not cut. It counts as open while there is a clone of it.
#[derive(Clone)]
pub(crate) struct Way {
    pub cut: CancellationToken,
    held: Arc<()>,
}

impl Ways {
    pub fn new(all: CancellationToken) -> Self {
        Self { all, kinds: Mutex::default() }
    }

    /// Takes a way. Take it before the permit: what cuts the kind afterwards then reaches it.
    pub fn take(&self, what: Forwarding) -> Way {
        let mut kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = || Way { cut: self.all.child_token(), held: Arc::default() };
        kinds.entry(what).or_insert_with(fresh).clone()
    }

    /// Kinds that somebody holds a way of.
    pub fn open(&self) -> Vec<Forwarding> {
        let kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        let held = kinds.iter().filter(|(_, way)| Arc::strong_count(&way.held) > 1);
        held.map(|(what, _)| *what).collect()
    }

    /// Cuts what is open of a kind; what is taken later is not cut by it.
    pub fn cut(&self, what: Forwarding) {
        let mut kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(way) = kinds.remove(&what) {
            way.cut.cancel();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_cut_by_itself_and_all_of_them_together() {
        let all = CancellationToken::new();
        let ways = Ways::new(all.clone());
        let (local, agent) = (ways.take(Forwarding::Local), ways.take(Forwarding::Agent));
        assert_eq!(ways.open(), [Forwarding::Agent, Forwarding::Local]);
        ways.cut(Forwarding::Local);
        assert!(local.cut.is_cancelled() && !agent.cut.is_cancelled());
        let again = ways.take(Forwarding::Local);
        assert!(!again.cut.is_cancelled());
        drop(agent);
        assert_eq!(ways.open(), [Forwarding::Local], "nobody holds the other");
        all.cancel();
        assert!(again.cut.is_cancelled());
    }
}

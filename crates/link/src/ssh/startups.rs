//! How many connections may be signing in at once, or be guests', or ask for something: in all, and from one address.

use model::limit;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// Counts connections that have not signed in yet, or those of guests. Clones share the count.
#[derive(Debug, Clone)]
pub struct Startups {
    most: (usize, usize),
    /// Shared, because a place is given back wherever its connection ends; held for moments only.
    taken: Arc<Mutex<Taken>>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    by_address: BTreeMap<Option<IpAddr>, usize>,
}

/// A place, given back when it is dropped.
#[derive(Debug)]
pub struct Startup {
    taken: Arc<Mutex<Taken>>,
    address: Option<IpAddr>,
}

impl Default for Startups {
    /// As many as may be signing in ([`limit::STARTUPS`], [`limit::STARTUPS_PER_ADDRESS`]).
    fn default() -> Self {
        Self::of(limit::STARTUPS, limit::STARTUPS_PER_ADDRESS)
    }
}

impl Startups {
    /// As many as may be guests' ([`limit::GUESTS`], [`limit::GUESTS_PER_ADDRESS`]).
    #[must_use]
    pub fn of_guests() -> Self {
        Self::of(limit::GUESTS, limit::GUESTS_PER_ADDRESS)
    }

    /// So many of anything, in all and of one address.
    #[must_use]
    pub fn of(all: usize, per_address: usize) -> Self {
        Self { most: (all, per_address), taken: Arc::default() }
    }

    /// Takes a place, or answers `None` when there are too many already. Connections without an address share one count.
    #[must_use]
    pub fn take(&self, address: Option<IpAddr>) -> Option<Startup> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let address = address.map(|address| address.to_canonical());
        let here = taken.by_address.get(&address).copied().unwrap_or_default();
        let (all, per_address) = self.most;
        if taken.all >= all || here >= per_address {
            return None;
        }
        taken.all = taken.all.saturating_add(1);
        taken.by_address.insert(address, here.saturating_add(1));
        Some(Startup { taken: Arc::clone(&self.taken), address })
    }
}

impl Drop for Startup {
    fn drop(&mut self) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.all = taken.all.saturating_sub(1);
        if let Some(here) = taken.by_address.get_mut(&self.address) {
            *here = here.saturating_sub(1);
            if *here == 0 {
                taken.by_address.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_cannot_take_every_place() {
        let startups = Startups::default();
        let one: IpAddr = "192.0.2.1".parse().unwrap();
        let places: Vec<_> = (0..).map_while(|_| startups.take(Some(one))).collect();
        assert_eq!(places.len(), limit::STARTUPS_PER_ADDRESS);
        assert!(startups.take("192.0.2.2".parse().ok()).is_some());
        drop(places);
        assert!(startups.take(Some(one)).is_some());
    }
}

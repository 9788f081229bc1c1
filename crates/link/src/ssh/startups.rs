//! How many connections may be signing in at once, or be guests', or ask for something: in all, and from one address.

use crate::places::{Place, Places};
use crate::tcp::network;
use model::limit;
use std::net::IpAddr;

/// Counts connections that have not signed in yet, or those of guests. Clones share the count.
#[derive(Debug, Clone)]
pub struct Startups(Places<Option<IpAddr>>);

/// A place, given back when it is dropped.
pub type Startup = Place<Option<IpAddr>>;

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
        Self(Places::new(all, per_address))
    }

    /// Takes a place, or answers `None` when there are too many already. Connections without an address share one count.
    #[must_use]
    pub fn take(&self, address: Option<IpAddr>) -> Option<Startup> {
        self.0.take(address.map(network)).ok()
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

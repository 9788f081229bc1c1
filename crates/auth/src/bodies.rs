//! Room for requests: each is worked on to its end, its body in memory until all of it is there, and nobody's take the room
//! of others.

use crate::gate::Kind;
use crate::receive;
use link::Peer;
use link::tcp::network;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use wire::{Failure, Fault};

/// Requests that are worked on at once and bytes of their bodies, by whose they are. Locked to count.
#[derive(Default)]
pub struct Bodies(Mutex<BTreeMap<Pool, Taken>>);

/// What one pool takes.
#[derive(Default)]
struct Taken {
    /// Bytes.
    together: u64,
    each: BTreeMap<String, Own>,
}

/// What one of them takes.
#[derive(Default)]
struct Own {
    requests: u32,
    bytes: u64,
}

/// Who shares room for bodies; nobody takes that of another pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Pool {
    /// Each address by itself.
    Strangers,
    People,
    /// What they ask for browsers, too.
    Proxies,
    /// Apart from shipments, so that a node that ships much can say that it is there.
    Nodes,
    Shipments,
}

impl Pool {
    /// Bytes of one of them, and of all together: 256 MiB in all pools. Refuse: 429; a shipment 503.
    fn most(self) -> (u64, u64) {
        const MIB: u64 = 1024 * 1024;
        match self {
            Self::Strangers => (MIB, 16 * MIB),
            Self::People => (8 * MIB, 32 * MIB),
            Self::Proxies => (32 * MIB, 48 * MIB),
            Self::Nodes => (4 * MIB, 16 * MIB),
            Self::Shipments => (32 * MIB, 144 * MIB),
        }
    }

    /// Requests of one of them, those that nobody waits for any more among them. Refuse: as for bytes. A proxy asks for many
    /// people, none of whom may keep the others from it.
    fn most_requests(self) -> u32 {
        match self {
            Self::Strangers => 64,
            Self::People => 256,
            Self::Proxies => u32::MAX,
            Self::Nodes | Self::Shipments => 1024,
        }
    }

    /// A node ships again in a moment what is not taken now, and takes any other word for one about the recording.
    fn no_room(self) -> Failure {
        let fault = if self == Self::Shipments { Fault::Unavailable } else { Fault::TooMany };
        let message = "too many requests are on their way to auth at once: try again in a moment";
        Failure { fault, message: message.to_owned() }
    }
}

impl Bodies {
    /// For a request of which nothing was read yet. Of what a proxy asks for a browser it holds the whole body already,
    /// so that its room is not taken by slow browsers.
    pub fn none_yet(&self, peer: &Peer, route: &str) -> Result<Held<'_>, Failure> {
        let pool = match Kind::of(&peer.identity) {
            Kind::Nobody => Pool::Strangers,
            Kind::Person => Pool::People,
            Kind::Proxy => Pool::Proxies,
            Kind::Node if route == receive::SHIP => Pool::Shipments,
            Kind::Node => Pool::Nodes,
        };
        let who = match pool {
            Pool::Strangers => network(peer.address.ip()).to_string(),
            _ => peer.identity.to_string(),
        };
        let mut pools = self.pools();
        let own = pools.entry(pool).or_default().each.entry(who.clone()).or_default();
        if own.requests >= pool.most_requests() {
            return Err(pool.no_room());
        }
        own.requests = own.requests.saturating_add(1);
        drop(pools);
        Ok(Held { bodies: self, pool, who, bytes: 0 })
    }

    fn pools(&self) -> MutexGuard<'_, BTreeMap<Pool, Taken>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One request, and bytes of its body. They are free again when it is done.
pub struct Held<'a> {
    bodies: &'a Bodies,
    pool: Pool,
    who: String,
    bytes: u64,
}

impl Held<'_> {
    /// Takes room for more of it.
    pub fn grow(&mut self, more: usize) -> Result<(), Failure> {
        if more == 0 {
            return Ok(());
        }
        let more = u64::try_from(more).unwrap_or(u64::MAX);
        let (most_of_one, most) = self.pool.most();
        let mut pools = self.bodies.pools();
        let taken = pools.entry(self.pool).or_default();
        let Some(own) = taken.each.get_mut(&self.who) else { return Err(self.pool.no_room()) };
        let (bytes, together) =
            (own.bytes.saturating_add(more), taken.together.saturating_add(more));
        if bytes > most_of_one || together > most {
            return Err(self.pool.no_room());
        }
        (own.bytes, taken.together) = (bytes, together);
        self.bytes = self.bytes.saturating_add(more);
        Ok(())
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let mut pools = self.bodies.pools();
        let Some(taken) = pools.get_mut(&self.pool) else { return };
        taken.together = taken.together.saturating_sub(self.bytes);
        let Some(own) = taken.each.get_mut(&self.who) else { return };
        own.bytes = own.bytes.saturating_sub(self.bytes);
        own.requests = own.requests.saturating_sub(1);
        if own.requests == 0 {
            taken.each.remove(&self.who);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use link::PeerIdentity;

    #[test]
    fn one_has_so_many_requests_at_once_and_leaves_nothing_behind() {
        let bodies = Bodies::default();
        let peer = |user: &str| Peer {
            identity: PeerIdentity::User(user.parse().unwrap()),
            ..Peer::nobody("192.0.2.1:1".parse().unwrap())
        };
        let mut held: Vec<_> =
            (0..).map_while(|_| bodies.none_yet(&peer("alice"), "film").ok()).collect();
        assert_eq!(held.len(), 256);
        assert!(bodies.none_yet(&peer("bob"), "film").is_ok());
        held[0].grow(7).unwrap();
        drop(held.pop());
        held.push(bodies.none_yet(&peer("alice"), "film").unwrap());
        drop(held);
        let pools = bodies.pools();
        assert!(pools.values().all(|taken| taken.together == 0 && taken.each.is_empty()));
    }
}

//! Room for the bodies of requests: each is in memory until all of it is there, and nobody's take that of others.

use crate::gate::Kind;
use crate::receive;
use crate::throttle::network;
use link::Peer;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use wire::{Failure, Fault};

/// Bytes of bodies that are in memory at once, by whose they are. Locked to count.
#[derive(Default)]
pub struct Bodies(Mutex<BTreeMap<Pool, Taken>>);

/// What one pool's bodies take, in bytes.
#[derive(Default)]
struct Taken {
    together: u64,
    each: BTreeMap<String, u64>,
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
}

impl Bodies {
    /// For a request of which nothing was read yet. Of what a proxy asks for a browser it holds the whole body already,
    /// so that its room is not taken by slow browsers.
    pub fn none_yet(&self, peer: &Peer, route: &str) -> Held<'_> {
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
        Held { bodies: self, pool, who, bytes: 0 }
    }

    fn pools(&self) -> MutexGuard<'_, BTreeMap<Pool, Taken>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Bytes of one request's body. They are free again when it is done.
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
        let own = taken.each.get(&self.who).copied().unwrap_or(0);
        let (own, together) = (own.saturating_add(more), taken.together.saturating_add(more));
        if own > most_of_one || together > most {
            return Err(self.no_room());
        }
        taken.together = together;
        taken.each.insert(self.who.clone(), own);
        self.bytes = self.bytes.saturating_add(more);
        Ok(())
    }

    /// A node ships again in a moment what is not taken now, and takes any other word for one about the recording.
    fn no_room(&self) -> Failure {
        let fault = if self.pool == Pool::Shipments { Fault::Unavailable } else { Fault::TooMany };
        let message = "too many requests are on their way to auth at once: try again in a moment";
        Failure { fault, message: message.to_owned() }
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        if self.bytes == 0 {
            return;
        }
        let mut pools = self.bodies.pools();
        let Some(taken) = pools.get_mut(&self.pool) else { return };
        taken.together = taken.together.saturating_sub(self.bytes);
        let Some(own) = taken.each.get_mut(&self.who) else { return };
        *own = own.saturating_sub(self.bytes);
        if *own == 0 {
            taken.each.remove(&self.who);
        }
    }
}

//! Counting failures by address, in memory: whoever tries many users from one place waits.

use model::Tick;
use model::limit::{SIGN_IN_FAILURES, SIGN_IN_WINDOW_MS};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Failures of one address within the window, before it is refused: several people may share an address.
const FAILURES_PER_ADDRESS: u32 = SIGN_IN_FAILURES * 5;
/// Addresses that are remembered. Beyond it the one that failed longest ago is forgotten.
const ADDRESSES: usize = 10_000;

/// Failures by address within [`SIGN_IN_WINDOW_MS`]. An IPv6 address counts as its /64, which one person has whole.
#[derive(Debug, Default)]
pub struct Throttle {
    failures: BTreeMap<IpAddr, Failures>,
}

#[derive(Debug)]
struct Failures {
    count: u32,
    first: Tick,
    last: Tick,
}

impl Throttle {
    /// Whether this address has to wait.
    pub fn refuses(&self, address: IpAddr, now: Tick) -> bool {
        self.failures
            .get(&network(address))
            .is_some_and(|seen| seen.count >= FAILURES_PER_ADDRESS && !seen.is_over(now))
    }

    /// Remembers a failure. Answers whether it is with this one that the address has to wait.
    pub fn failed(&mut self, address: IpAddr, now: Tick) -> bool {
        if self.failures.len() >= ADDRESSES {
            self.forget(now);
        }
        let fresh = Failures { count: 0, first: now, last: now };
        let seen = self.failures.entry(network(address)).or_insert(fresh);
        if seen.is_over(now) {
            *seen = Failures { count: 0, first: now, last: now };
        }
        seen.count = seen.count.saturating_add(1);
        seen.last = now;
        seen.count == FAILURES_PER_ADDRESS
    }

    fn forget(&mut self, now: Tick) {
        self.failures.retain(|_, seen| !seen.is_over(now));
        if self.failures.len() < ADDRESSES {
            return;
        }
        let oldest = self.failures.iter().min_by_key(|(_, seen)| seen.last);
        if let Some(address) = oldest.map(|(address, _)| *address) {
            self.failures.remove(&address);
        }
    }
}

impl Failures {
    fn is_over(&self, now: Tick) -> bool {
        now.since(self.first) >= u64::try_from(SIGN_IN_WINDOW_MS).unwrap_or(u64::MAX)
    }
}

fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((u128::from(address) & (!0 << 64)).into()),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: u64 = SIGN_IN_WINDOW_MS as u64;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_that_fails_often_waits_until_the_window_has_passed() {
        let mut throttle = Throttle::default();
        let here = address("192.0.2.1");
        for n in 0..FAILURES_PER_ADDRESS {
            assert!(!throttle.refuses(here, Tick(n.into())));
            throttle.failed(here, Tick(n.into()));
        }
        assert!(throttle.refuses(here, Tick(100)));
        assert!(throttle.refuses(address("::ffff:192.0.2.1"), Tick(100)), "the same, mapped");
        assert!(!throttle.refuses(address("192.0.2.2"), Tick(100)));
        assert!(!throttle.refuses(here, Tick(WINDOW)));
        throttle.failed(here, Tick(WINDOW));
        assert!(!throttle.refuses(here, Tick(WINDOW)));
    }

    #[test]
    fn a_person_with_a_whole_ipv6_network_counts_once() {
        let mut throttle = Throttle::default();
        for n in 0..u128::from(FAILURES_PER_ADDRESS) {
            throttle.failed(IpAddr::V6((0x2001_0db8_u128 << 96 | n).into()), Tick(0));
        }
        assert!(throttle.refuses(address("2001:db8::ffff:1"), Tick(1)));
        assert!(!throttle.refuses(address("2001:db8:0:1::1"), Tick(1)));
    }

    #[test]
    fn many_addresses_do_not_fill_the_memory() {
        let mut throttle = Throttle::default();
        for n in 0..u32::try_from(ADDRESSES).unwrap() + 10 {
            throttle.failed(IpAddr::V4(n.into()), Tick(n.into()));
        }
        assert!(throttle.failures.len() <= ADDRESSES);
        assert!(!throttle.failures.contains_key(&IpAddr::V4(0.into())));
    }
}

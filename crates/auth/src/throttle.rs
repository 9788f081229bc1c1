//! Counting failures in memory: whoever tries many users from one place waits, and who shows codes that do not count.

use model::Tick;
use model::limit::{SIGN_IN_FAILURES, SIGN_IN_WINDOW_MS};
use std::collections::BTreeMap;

/// Failures of one address within the window, before it is refused: several people may share an address.
pub const FAILURES_PER_ADDRESS: u32 = SIGN_IN_FAILURES * 5;
/// Whoever is remembered at once. Beyond it the one that failed longest ago is forgotten.
const REMEMBERED: usize = 10_000;

/// Failures of whoever is counted within [`SIGN_IN_WINDOW_MS`].
#[derive(Debug)]
pub struct Throttle<K> {
    most: u32,
    failures: BTreeMap<K, Failures>,
}

#[derive(Debug)]
struct Failures {
    count: u32,
    first: Tick,
    last: Tick,
}

impl<K: Ord + Clone> Throttle<K> {
    /// Nobody has failed; who does so `most` times has to wait.
    pub fn new(most: u32) -> Self {
        Self { most, failures: BTreeMap::new() }
    }

    /// Whether this one has to wait.
    pub fn refuses(&self, who: &K, now: Tick) -> bool {
        self.failures.get(who).is_some_and(|seen| seen.count >= self.most && !seen.is_over(now))
    }

    /// Remembers a failure. Answers whether it is with this one that they have to wait.
    pub fn failed(&mut self, who: K, now: Tick) -> bool {
        if self.failures.len() >= REMEMBERED {
            self.forget(now);
        }
        let fresh = Failures { count: 0, first: now, last: now };
        let seen = self.failures.entry(who).or_insert(fresh);
        if seen.is_over(now) {
            *seen = Failures { count: 0, first: now, last: now };
        }
        seen.count = seen.count.saturating_add(1);
        seen.last = now;
        seen.count == self.most
    }

    fn forget(&mut self, now: Tick) {
        self.failures.retain(|_, seen| !seen.is_over(now));
        if self.failures.len() < REMEMBERED {
            return;
        }
        let oldest = self.failures.iter().min_by_key(|(_, seen)| seen.last);
        if let Some(who) = oldest.map(|(who, _)| who.clone()) {
            self.failures.remove(&who);
        }
    }
}

impl Failures {
    fn is_over(&self, now: Tick) -> bool {
        now.since(self.first) >= u64::try_from(SIGN_IN_WINDOW_MS).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use link::tcp::network;
    use std::net::IpAddr;

    const WINDOW: u64 = SIGN_IN_WINDOW_MS as u64;

    fn address(text: &str) -> IpAddr {
        network(text.parse().unwrap())
    }

    #[test]
    fn an_address_that_fails_often_waits_until_the_window_has_passed() {
        let mut throttle = Throttle::new(FAILURES_PER_ADDRESS);
        let here = address("192.0.2.1");
        for n in 1..=FAILURES_PER_ADDRESS {
            assert!(!throttle.refuses(&here, Tick(n.into())));
            assert_eq!(throttle.failed(here, Tick(n.into())), n == FAILURES_PER_ADDRESS);
        }
        assert!(throttle.refuses(&here, Tick(100)));
        assert!(throttle.refuses(&address("::ffff:192.0.2.1"), Tick(100)), "the same, mapped");
        assert!(!throttle.refuses(&address("192.0.2.2"), Tick(100)));
        assert!(!throttle.refuses(&here, Tick(WINDOW + 1)));
        throttle.failed(here, Tick(WINDOW + 1));
        assert!(!throttle.refuses(&here, Tick(WINDOW + 1)));
    }

    #[test]
    fn a_person_with_a_whole_ipv6_network_counts_once() {
        let mut throttle = Throttle::new(FAILURES_PER_ADDRESS);
        for n in 0..u128::from(FAILURES_PER_ADDRESS) {
            throttle.failed(network(IpAddr::V6((0x2001_0db8_u128 << 96 | n).into())), Tick(0));
        }
        assert!(throttle.refuses(&address("2001:db8::ffff:1"), Tick(1)));
        assert!(!throttle.refuses(&address("2001:db8:0:1::1"), Tick(1)));
    }

    #[test]
    fn many_who_fail_do_not_fill_the_memory() {
        let mut throttle = Throttle::new(SIGN_IN_FAILURES);
        for n in 0..u32::try_from(REMEMBERED).unwrap() + 10 {
            throttle.failed(n, Tick(n.into()));
        }
        assert!(throttle.failures.len() <= REMEMBERED);
        assert!(!throttle.failures.contains_key(&0));
    }
}

//! What one person or one machine may put into the ledger as often as they like: their denials, one by one up to a number
//! and counted beyond it; what a machine reports, as fast as it can be meant.

use crate::throttle::network;
use link::tls::PeerIdentity;
use model::limit::{DENIALS_TOLD, REPORT_BYTES};
use model::{NodeName, Tick};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// How long denials are counted together, in milliseconds.
const WINDOW_MS: u64 = 60_000;
/// Whoever is remembered at once. Beyond it all others are counted as one stranger.
const REMEMBERED: usize = 10_000;

/// As whom somebody's denials are counted: strangers by where they are.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Counted {
    /// What their certificate says.
    pub identity: PeerIdentity,
    /// A stranger's network; none for strangers beyond those that are remembered.
    pub network: Option<IpAddr>,
}

impl Counted {
    /// Somebody who asks from an address.
    pub fn asks(identity: &PeerIdentity, address: IpAddr) -> Self {
        let network = (*identity == PeerIdentity::Nobody).then(|| network(address));
        Self { identity: identity.clone(), network }
    }

    fn any() -> Self {
        Self { identity: PeerIdentity::Nobody, network: None }
    }
}

/// Denials of the last minute.
#[derive(Debug, Default)]
pub struct Denials(BTreeMap<Counted, Seen>);

#[derive(Debug)]
struct Seen {
    since: Tick,
    count: u64,
}

impl Denials {
    /// One more. Answers whether it stands in the ledger; else it is counted.
    pub fn tells(&mut self, who: Counted, now: Tick) -> bool {
        let known = self.0.len() < REMEMBERED || self.0.contains_key(&who);
        let who = if known { who } else { Counted::any() };
        let seen = self.0.entry(who).or_insert(Seen { since: now, count: 0 });
        seen.count = seen.count.saturating_add(1);
        seen.count <= DENIALS_TOLD
    }

    /// Forgets whose minute is over, or everybody `at_the_end`. Answers whose denials were only counted, and how many.
    pub fn own_up(&mut self, now: Tick, at_the_end: bool) -> Vec<(Counted, u64)> {
        let is_over = |seen: &Seen| at_the_end || now.since(seen.since) >= WINDOW_MS;
        let over = self.0.extract_if(.., |_, seen| is_over(seen));
        let untold = over.map(|(who, seen)| (who, seen.count.saturating_sub(DENIALS_TOLD)));
        untold.filter(|(_, count)| *count > 0).collect()
    }
}

/// How much each part has reported lately.
#[derive(Debug, Default)]
pub struct Reports(BTreeMap<NodeName, Drawn>);

/// What a part has drawn of what it may: it comes back as time passes.
#[derive(Debug)]
struct Drawn {
    bytes: u64,
    at: Tick,
    waits: bool,
}

/// A part has to wait with its report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waits {
    /// Since this moment; else it has waited already, and not caught up since.
    pub begins: bool,
}

impl Reports {
    /// Whether a part that is one of the cluster may report so many bytes now. Who may report at all may finish: a report is
    /// never too long, the next one waits for it.
    pub fn take(&mut self, part: &NodeName, bytes: u64, now: Tick) -> Result<(), Waits> {
        let (most, a_second) = REPORT_BYTES;
        let fresh = || Drawn { bytes: 0, at: now, waits: false };
        let drawn = self.0.entry(part.clone()).or_insert_with(fresh);
        let back = now.since(drawn.at).saturating_mul(a_second) / 1000;
        if back > 0 {
            (drawn.bytes, drawn.at) = (drawn.bytes.saturating_sub(back), now);
        }
        if drawn.bytes >= most {
            return Err(Waits { begins: !std::mem::replace(&mut drawn.waits, true) });
        }
        if drawn.bytes < most / 2 {
            drawn.waits = false;
        }
        drawn.bytes = drawn.bytes.saturating_add(bytes);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(name: &str) -> Counted {
        Counted::asks(&PeerIdentity::User(name.parse().unwrap()), "192.0.2.1".parse().unwrap())
    }

    fn stranger(n: u128) -> Counted {
        Counted::asks(&PeerIdentity::Nobody, IpAddr::V6((0x2001_0db8_u128 << 96 | n).into()))
    }

    #[test]
    fn denials_beyond_a_number_are_counted_for_each_by_themselves() {
        let mut denials = Denials::default();
        let told = |denials: &mut Denials, who: &Counted, count: u64| {
            (0..count).filter(|_| denials.tells(who.clone(), Tick(5))).count() as u64
        };
        assert_eq!(told(&mut denials, &user("mallory"), DENIALS_TOLD + 7), DENIALS_TOLD);
        assert_eq!(told(&mut denials, &user("alice"), 3), 3, "of others nothing is kept back");
        assert_eq!(told(&mut denials, &stranger(1), DENIALS_TOLD), DENIALS_TOLD);
        assert_eq!(told(&mut denials, &stranger(2), 1), 0, "the same network");
        assert_eq!(told(&mut denials, &stranger(1 << 64), 1), 1);

        assert_eq!(denials.own_up(Tick(5 + WINDOW_MS - 1), false), []);
        let untold = denials.own_up(Tick(5 + WINDOW_MS), false);
        assert_eq!(untold, [(user("mallory"), 7), (stranger(2), 1)]);
        assert_eq!(told(&mut denials, &user("mallory"), 1), 1, "a new minute");
        assert_eq!(denials.own_up(Tick(6), true), [], "told all of it");
    }

    #[test]
    fn many_strangers_fill_neither_the_memory_nor_the_ledger() {
        let mut denials = Denials::default();
        let many = REMEMBERED as u128 + u128::from(DENIALS_TOLD);
        let told = (0..many + 9).filter(|n| denials.tells(stranger(n << 64), Tick(0))).count();
        assert_eq!(told as u128, many);
        assert!(denials.0.len() <= REMEMBERED + 1);
        assert_eq!(denials.own_up(Tick(1), true), [(Counted::any(), 9)]);
        assert!(denials.0.is_empty());
    }

    #[test]
    fn a_part_that_reports_without_end_waits_and_its_neighbour_does_not() {
        let (most, a_second) = REPORT_BYTES;
        let (mut reports, web) = (Reports::default(), "web-01".parse::<NodeName>().unwrap());
        assert_eq!(reports.take(&web, most - 1, Tick(0)), Ok(()));
        assert_eq!(reports.take(&web, a_second, Tick(0)), Ok(()), "begun before the end");
        assert_eq!(reports.take(&web, 1, Tick(0)), Err(Waits { begins: true }));
        assert_eq!(reports.take(&web, 1, Tick(900)), Err(Waits { begins: false }));
        assert_eq!(reports.take(&"db-01".parse().unwrap(), 1, Tick(900)), Ok(()));
        assert_eq!(reports.take(&web, a_second, Tick(1_010)), Ok(()), "a second later");
        assert_eq!(reports.take(&web, 1, Tick(1_011)), Err(Waits { begins: false }));
        let later = Tick(2_000 + most * 1000 / a_second);
        assert_eq!(reports.take(&web, 2 * most, later), Ok(()), "one report is never too long");
        assert_eq!(reports.take(&web, 1, later), Err(Waits { begins: true }));
    }
}

//! What one person or one machine may put into the ledger as often as they like: their denials, one by one up to a number
//! and counted beyond it; what a machine reports, as fast as it can be meant.

use link::tcp::network;
use link::tls::PeerIdentity;
use model::limit::{DENIALS_TOLD, REPORT_BYTES};
use model::{NodeName, Tick};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// How long denials are counted together, in milliseconds.
const WINDOW_MS: u64 = 60_000;
/// Strangers who are remembered at once, by network and by what they ask. Beyond it all others are counted as one.
const STRANGERS: usize = 10_000;

/// As whom somebody's denials are counted, and of what: many of one thing hide nothing of another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Counted {
    /// What their certificate says.
    pub identity: PeerIdentity,
    /// A stranger's network; none for strangers beyond those that are remembered.
    pub network: Option<IpAddr>,
    /// What they ask for.
    pub route: &'static str,
}

impl Counted {
    /// Somebody who asks from an address.
    pub fn asks(identity: &PeerIdentity, address: IpAddr, route: &'static str) -> Self {
        let network = (*identity == PeerIdentity::Nobody).then(|| network(address));
        Self { identity: identity.clone(), network, route }
    }
}

/// Denials of the last minute.
#[derive(Debug, Default)]
pub struct Denials {
    /// Of people and machines of the cluster: as many as there are, and things to ask for.
    known: BTreeMap<Counted, Seen>,
    /// Of strangers, who may be as many as they like.
    strangers: BTreeMap<Counted, Seen>,
}

#[derive(Debug)]
struct Seen {
    since: Tick,
    count: u64,
}

impl Denials {
    /// One more. Answers whether it stands in the ledger; else it is counted.
    pub fn tells(&mut self, mut who: Counted, now: Tick) -> bool {
        let stranger = who.network.is_some();
        let seen = if stranger { &mut self.strangers } else { &mut self.known };
        if stranger && seen.len() >= STRANGERS && !seen.contains_key(&who) {
            who.network = None;
        }
        let seen = seen.entry(who).or_insert(Seen { since: now, count: 0 });
        seen.count = seen.count.saturating_add(1);
        seen.count <= DENIALS_TOLD
    }

    /// Forgets whose minute is over, or everybody `at_the_end`. Answers whose denials were only counted, and how many.
    pub fn own_up(&mut self, now: Tick, at_the_end: bool) -> Vec<(Counted, u64)> {
        let is_over = |seen: &Seen| at_the_end || now.since(seen.since) >= WINDOW_MS;
        let known = self.known.extract_if(.., |_, seen| is_over(seen));
        let over = known.chain(self.strangers.extract_if(.., |_, seen| is_over(seen)));
        let untold = over.map(|(who, seen)| (who, seen.count.saturating_sub(DENIALS_TOLD)));
        untold.filter(|(_, count)| *count > 0).collect()
    }
}

/// How much each part that has joined has reported lately: a leaky bucket for each.
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
    /// Whether a part may report now. How much does not matter: a report is never too long, the next one waits for it.
    pub fn check(&mut self, part: &NodeName, now: Tick) -> Result<(), Waits> {
        let (most, a_second) = REPORT_BYTES;
        let Some(drawn) = self.0.get_mut(part) else { return Ok(()) };
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
        Ok(())
    }

    /// So much of a part's was written.
    pub fn draw(&mut self, part: &NodeName, bytes: u64, now: Tick) {
        let fresh = || Drawn { bytes: 0, at: now, waits: false };
        let drawn = self.0.entry(part.clone()).or_insert_with(fresh);
        drawn.bytes = drawn.bytes.saturating_add(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(name: &str) -> Counted {
        let identity = PeerIdentity::User(name.parse().unwrap());
        Counted::asks(&identity, "192.0.2.1".parse().unwrap(), "users")
    }

    fn stranger(n: u128) -> Counted {
        let address = IpAddr::V6((0x2001_0db8_u128 << 96 | n).into());
        Counted::asks(&PeerIdentity::Nobody, address, "join")
    }

    fn told(denials: &mut Denials, who: &Counted, count: u64) -> u64 {
        (0..count).filter(|_| denials.tells(who.clone(), Tick(5))).count() as u64
    }

    #[test]
    fn denials_beyond_a_number_are_counted_for_each_by_themselves() {
        let mut denials = Denials::default();
        assert_eq!(told(&mut denials, &user("mallory"), DENIALS_TOLD + 7), DENIALS_TOLD);
        assert_eq!(told(&mut denials, &user("alice"), 3), 3, "of others nothing is kept back");
        let other = Counted { route: "recordings", ..user("mallory") };
        assert_eq!(told(&mut denials, &other, 2), 2, "nor of what else is asked for");
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
    fn many_strangers_fill_neither_the_memory_nor_the_ledger_and_hide_nobody_else() {
        let mut denials = Denials::default();
        let many = STRANGERS as u128 + u128::from(DENIALS_TOLD);
        let count = (0..many + 9).filter(|n| denials.tells(stranger(n << 64), Tick(5))).count();
        assert_eq!(count as u128, many);
        assert!(denials.strangers.len() <= STRANGERS + 1);
        assert_eq!(told(&mut denials, &user("mallory"), DENIALS_TOLD + 1), DENIALS_TOLD);
        let any = Counted { network: None, ..stranger(0) };
        assert_eq!(denials.own_up(Tick(6), true), [(user("mallory"), 1), (any, 9)]);
    }

    #[test]
    fn a_part_that_reports_without_end_waits_and_its_neighbour_does_not() {
        let (most, a_second) = REPORT_BYTES;
        let (mut reports, web) = (Reports::default(), "web-01".parse::<NodeName>().unwrap());
        let mut report = |part: &NodeName, bytes, at| {
            let checked = reports.check(part, Tick(at));
            checked.map(|()| reports.draw(part, bytes, Tick(at)))
        };
        assert_eq!(report(&web, most - 1, 0), Ok(()));
        assert_eq!(report(&web, a_second, 0), Ok(()), "begun before the end");
        assert_eq!(report(&web, 1, 0), Err(Waits { begins: true }));
        assert_eq!(report(&web, 1, 900), Err(Waits { begins: false }));
        assert_eq!(report(&"db-01".parse().unwrap(), 1, 900), Ok(()));
        assert_eq!(report(&web, a_second, 1_010), Ok(()), "a second later");
        assert_eq!(report(&web, 1, 1_011), Err(Waits { begins: false }));
        let later = 2_000 + most * 1000 / a_second;
        assert_eq!(report(&web, 2 * most, later), Ok(()), "one report is never too long");
        assert_eq!(report(&web, 1, later), Err(Waits { begins: true }));
    }
}

//! Terminals that wait to be let in by a browser, in memory: a start of auth turns all of them away. Pure.

use crate::issue::PersonKeys;
use link::tcp::network;
use model::limit::{ARRIVAL_ANSWERS, ARRIVAL_MS, ARRIVALS};
use model::{Time, UserName};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use store::tables::User;
use subtle::ConstantTimeEq;

/// A terminal, as it came.
pub struct Waiting {
    /// By which its person knows it, as it is kept.
    pub code: String,
    /// Who wants to be signed in.
    pub user: UserName,
    /// What will be certified.
    pub keys: PersonKeys,
    /// Wished life of the certificates.
    pub wanted_ms: Option<i64>,
    /// What it calls its machine.
    pub machine: String,
    /// Where it is.
    pub address: IpAddr,
    /// When it came.
    pub since: Time,
}

impl Waiting {
    /// First moment at which it waits no more.
    pub fn expires(&self) -> Time {
        self.since.plus_ms(ARRIVAL_MS)
    }
}

/// Who let a terminal in.
#[derive(Clone)]
pub struct LetIn {
    /// What the terminal must show, as it is kept.
    pub answer: String,
    /// The account, as it was then.
    pub user: User,
    /// How it was shown whose it is.
    pub method: String,
    /// Whether a second factor was.
    pub factor: bool,
}

struct Place {
    waiting: Arc<Waiting>,
    ticket: String,
    let_in: Option<LetIn>,
    wrong: u32,
}

/// There is no place for another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

/// Why nothing can be done with a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoSuch {
    /// Nobody waits by it, or no more.
    Unknown,
    /// Somebody let it in.
    LetIn,
}

/// Why an answer does not count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoAnswer {
    /// The ticket is none, or no more.
    Unknown,
    /// Nobody has let this terminal in.
    NotYet,
    /// It is another one. With the last try the terminal is turned away.
    Wrong {
        /// Who was to be signed in.
        user: UserName,
        /// Whether it was the last try.
        last: bool,
    },
}

/// All that wait, by their codes.
#[derive(Default)]
pub struct Porch(BTreeMap<String, Place>);

impl Porch {
    /// A terminal comes; answers the same, or that there is no place.
    pub fn come(&mut self, waiting: Waiting, ticket: &str) -> Result<Arc<Waiting>, Full> {
        let (all, of_one) = ARRIVALS;
        self.forget(waiting.since);
        let near = |place: &&Place| network(place.waiting.address) == network(waiting.address);
        let taken = self.0.contains_key(&waiting.code);
        if taken || self.0.len() >= all || self.0.values().filter(near).count() >= of_one {
            return Err(Full);
        }
        let waiting = Arc::new(waiting);
        let (code, ticket) = (waiting.code.clone(), ticket.to_owned());
        let place = Place { waiting: Arc::clone(&waiting), ticket, let_in: None, wrong: 0 };
        self.0.insert(code, place);
        Ok(waiting)
    }

    /// Who waits by this code.
    pub fn find(&mut self, code: &str, now: Time) -> Result<Arc<Waiting>, NoSuch> {
        self.forget(now);
        let place = self.0.get(code).ok_or(NoSuch::Unknown)?;
        match place.let_in {
            Some(_) => Err(NoSuch::LetIn),
            None => Ok(Arc::clone(&place.waiting)),
        }
    }

    /// Lets it in, once.
    pub fn let_in(&mut self, code: &str, how: LetIn, now: Time) -> Result<(), NoSuch> {
        self.find(code, now)?;
        let place = self.0.get_mut(code).ok_or(NoSuch::Unknown)?;
        place.let_in = Some(how);
        Ok(())
    }

    /// Turns it away, let in or not; answers who it was.
    pub fn turn_away(&mut self, code: &str, now: Time) -> Option<Arc<Waiting>> {
        self.forget(now);
        self.0.remove(code).map(|place| place.waiting)
    }

    /// It goes.
    pub fn leave(&mut self, ticket: &str) {
        self.0.retain(|_, place| !same(&place.ticket, ticket));
    }

    /// It shows the answer, and waits no more if that fits.
    pub fn answer(
        &mut self,
        ticket: &str,
        answer: &str,
        now: Time,
    ) -> Result<(Arc<Waiting>, LetIn), NoAnswer> {
        self.forget(now);
        let place = self.0.values_mut().find(|place| same(&place.ticket, ticket));
        let place = place.ok_or(NoAnswer::Unknown)?;
        let let_in = place.let_in.clone().ok_or(NoAnswer::NotYet)?;
        let waiting = Arc::clone(&place.waiting);
        let fits = same(&let_in.answer, answer);
        if !fits {
            place.wrong = place.wrong.saturating_add(1);
        }
        let last = place.wrong >= ARRIVAL_ANSWERS;
        if fits || last {
            self.0.remove(&waiting.code);
        }
        match fits {
            true => Ok((waiting, let_in)),
            false => Err(NoAnswer::Wrong { user: waiting.user.clone(), last }),
        }
    }

    fn forget(&mut self, now: Time) {
        self.0.retain(|_, place| now < place.waiting.expires());
    }
}

fn same(one: &str, other: &str) -> bool {
    one.as_bytes().ct_eq(other.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::house::ssh_key;

    const BEGIN: Time = Time(1_000_000);

    fn waiting(code: &str, address: &str, since: Time) -> Waiting {
        let key = ssh_key(7).public_key().to_openssh().unwrap();
        Waiting {
            code: code.into(),
            user: "alice".parse().unwrap(),
            keys: PersonKeys::read(&key, String::new()).unwrap(),
            wanted_ms: None,
            machine: "laptop".into(),
            address: address.parse().unwrap(),
            since,
        }
    }

    fn by_passkey(answer: &str) -> LetIn {
        let user = User {
            name: "alice".parse().unwrap(),
            roles: Vec::new(),
            logins: Vec::new(),
            password_hash: None,
            created: Time(0),
            last_sign_in: None,
        };
        LetIn { answer: answer.into(), user, method: "passkey".into(), factor: true }
    }

    /// One terminal that waits by the code `c` and holds the ticket `t`.
    fn porch() -> Porch {
        let mut porch = Porch::default();
        assert!(porch.come(waiting("c", "192.0.2.1", BEGIN), "t").is_ok());
        porch
    }

    #[test]
    fn a_terminal_is_let_in_once_and_comes_in_once_with_ticket_and_answer() {
        let mut porch = porch();
        assert_eq!(porch.answer("t", "a", BEGIN).err(), Some(NoAnswer::NotYet));
        assert_eq!(porch.let_in("other", by_passkey("a"), BEGIN), Err(NoSuch::Unknown));
        assert_eq!(porch.let_in("c", by_passkey("a"), BEGIN), Ok(()));
        assert_eq!(porch.let_in("c", by_passkey("b"), BEGIN), Err(NoSuch::LetIn));
        assert_eq!(porch.find("c", BEGIN).err(), Some(NoSuch::LetIn));
        for ticket in ["", "c", "a", "other"] {
            assert_eq!(porch.answer(ticket, "a", BEGIN).err(), Some(NoAnswer::Unknown));
        }
        let (waiting, let_in) = porch.answer("t", "a", BEGIN).ok().unwrap();
        assert_eq!((waiting.code.as_str(), let_in.method.as_str()), ("c", "passkey"));
        assert_eq!(porch.answer("t", "a", BEGIN).err(), Some(NoAnswer::Unknown));
        assert_eq!(porch.find("c", BEGIN).err(), Some(NoSuch::Unknown));
    }

    #[test]
    fn an_answer_is_not_guessed() {
        let mut porch = porch();
        porch.let_in("c", by_passkey("a"), BEGIN).unwrap();
        for n in 1..=ARRIVAL_ANSWERS {
            let wrong =
                NoAnswer::Wrong { user: "alice".parse().unwrap(), last: n == ARRIVAL_ANSWERS };
            assert_eq!(porch.answer("t", "b", BEGIN).err(), Some(wrong));
        }
        assert_eq!(porch.answer("t", "a", BEGIN).err(), Some(NoAnswer::Unknown), "too late");
    }

    #[test]
    fn who_waits_too_long_leaves_or_is_turned_away_is_let_in_by_nobody() {
        let end = BEGIN.plus_ms(ARRIVAL_MS);
        let mut late = porch();
        assert!(late.find("c", end.plus_ms(-1)).is_ok());
        assert_eq!(late.let_in("c", by_passkey("a"), end), Err(NoSuch::Unknown));
        let mut late = porch();
        late.let_in("c", by_passkey("a"), BEGIN).unwrap();
        assert_eq!(late.answer("t", "a", end).err(), Some(NoAnswer::Unknown));
        let mut left = porch();
        left.leave("other");
        assert!(left.find("c", BEGIN).is_ok());
        left.leave("t");
        assert_eq!(left.find("c", BEGIN).err(), Some(NoSuch::Unknown));
        // Also behind the answer: whoever has second thoughts takes it back.
        let mut away = porch();
        away.let_in("c", by_passkey("a"), BEGIN).unwrap();
        assert!(away.turn_away("c", BEGIN).is_some() && away.turn_away("c", BEGIN).is_none());
        assert_eq!(away.answer("t", "a", BEGIN).err(), Some(NoAnswer::Unknown));
    }

    #[test]
    fn neither_one_address_nor_all_of_them_fill_the_memory_and_places_come_back_with_time() {
        let (all, of_one) = ARRIVALS;
        let mut porch = Porch::default();
        let mut come = |n: usize, address: &str, now: Time| {
            porch.come(waiting(&format!("code-{n}"), address, now), &format!("ticket-{n}")).is_ok()
        };
        for n in 0..of_one {
            assert!(come(n, &format!("2001:db8::{n:x}"), BEGIN));
        }
        assert!(!come(of_one, "2001:db8::ffff", BEGIN), "a whole IPv6 network is one");
        assert!(!come(0, "192.0.2.1", BEGIN), "no two have one code");
        for n in of_one..all {
            assert!(come(n, &format!("10.0.{}.{}", n / 256, n % 256), BEGIN));
        }
        assert!(!come(all, "192.0.2.1", BEGIN));
        assert!(come(all, "192.0.2.1", BEGIN.plus_ms(ARRIVAL_MS)));
    }
}

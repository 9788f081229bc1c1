//! A company as plainly as it can be said: it keeps facts, and works out anew what follows from them, quantum by quantum.

use super::kit::{Act, Answer};
use super::{Adopted, Alternative, Change, Demand, EndCause, Full, Refused, Silent, Standing};
use model::Tick;
use model::entry::Party;
use model::role::{OnLeave, SeatRole};
use std::collections::BTreeSet;

/// Every time of a simulation is a multiple of this, in milliseconds.
pub const QUANTUM_MS: u64 = 500;

/// Somebody who has ever come; number n is at place n - 1.
struct Person {
    /// The number of the first seat of theirs.
    first: usize,
    seat: SeatRole,
    counts: Vec<(usize, usize)>,
    here: bool,
    confirmed: u64,
    heard: u64,
    asked: bool,
    away: bool,
}

pub struct Reference {
    demands: Vec<Demand>,
    people: Vec<Person>,
    owner_here: bool,
    owner_lost: bool,
    held: Option<Party>,
    adopted: Option<Party>,
    has_terminal: bool,
    by_hand: bool,
    standing: Standing,
    /// For each demand, which alternatives are met.
    met: Vec<Vec<bool>>,
    now: u64,
    pub told: Vec<Change>,
}

impl Reference {
    pub fn new(demands: Vec<Demand>, has_terminal: bool) -> Self {
        let mut new = Self {
            met: demands.iter().map(|demand| vec![false; demand.any_of.len()]).collect(),
            demands,
            people: Vec::new(),
            owner_here: true,
            owner_lost: false,
            held: None,
            adopted: None,
            has_terminal,
            by_hand: false,
            standing: Standing::Waiting,
            now: 0,
            told: Vec::new(),
        };
        new.judge(None);
        new
    }

    pub fn act(&mut self, act: &Act, now: u64) -> Answer {
        self.live_until(now);
        if let Some(refused) = self.refusal(act) {
            return Answer::Refused(refused);
        }
        match act {
            Act::Enter(seat, counts) => return self.enter(None, *seat, counts),
            Act::Again(person, seat, counts) => return self.enter(Some(*person), *seat, counts),
            Act::Recount(party, counts) => {
                if self.is_here(*party) && *party != Party::OWNER {
                    self.people[usize::from(party.0) - 1].counts = counts.clone();
                    self.sign(*party, true);
                    self.judge(None);
                }
            }
            Act::Leave(Party::OWNER) | Act::OwnerLeft => {
                if std::mem::take(&mut self.owner_here) {
                    self.told.push(Change::Went { party: Party::OWNER, shown_out_by: None });
                    self.over(EndCause::OwnerLeft);
                }
            }
            Act::OwnerLost => self.lose(true),
            Act::OwnerBack => self.lose(false),
            Act::Leave(party) => self.went(*party, None),
            Act::ShowOut(by, party) => self.went(*party, Some(*by)),
            Act::HandOver(_, to) => self.hold(Some(*to)),
            Act::TakeBack(_) => self.hold(Some(Party::OWNER)),
            Act::Together(_) => self.hold(None),
            Act::Adopt(_, party) => self.fit(Some(*party).filter(|party| *party != Party::OWNER)),
            Act::Freeze(by) => {
                self.by_hand = true;
                self.judge(Some(*by));
            }
            Act::Thaw(by) => {
                self.by_hand = false;
                self.judge(Some(*by));
            }
            Act::End(by) => self.over(EndCause::Ended { by: *by }),
            Act::Confirm(party) => self.sign(*party, true),
            Act::Heard(party) => self.sign(*party, false),
            Act::Wait => {}
        }
        Answer::Done
    }

    pub fn may_type(&self, party: Party) -> Result<(), Silent> {
        match (self.standing, self.held) {
            (Standing::Over, _) => Err(Silent::Over),
            _ if !self.is_here(party) => Err(Silent::Stranger),
            _ if !self.types(party) => Err(Silent::Observer),
            (Standing::Waiting, _) => Err(Silent::Waiting),
            (Standing::Frozen, _) => Err(Silent::Frozen),
            _ if self.owner_lost => Err(Silent::Lost),
            (_, Some(by)) if by != party => Err(Silent::Held { by }),
            _ => Ok(()),
        }
    }

    /// Whether every demand is met by people who are really there.
    pub fn quorum(&self) -> bool {
        self.met().iter().all(|alternatives| alternatives.contains(&true))
    }

    fn refusal(&self, act: &Act) -> Option<Refused> {
        let by = match act {
            Act::ShowOut(by, _)
            | Act::HandOver(by, _)
            | Act::TakeBack(by)
            | Act::Together(by)
            | Act::Adopt(by, _)
            | Act::Freeze(by)
            | Act::Thaw(by)
            | Act::End(by) => *by,
            _ => return None,
        };
        if self.standing == Standing::Over {
            return Some(Refused::Over);
        }
        if !self.is_here(by) {
            return Some(Refused::Stranger);
        }
        let owner = by == Party::OWNER;
        let moderates = |party| self.seat(party) == Some(SeatRole::Moderator);
        let right = match act {
            Act::ShowOut(_, party) => (owner || moderates(by)) && *party != Party::OWNER,
            Act::HandOver(..) | Act::TakeBack(_) => owner || self.held == Some(by),
            Act::Together(_) | Act::Adopt(..) => owner,
            Act::End(_) => owner || moderates(by),
            _ => moderates(by),
        };
        match act {
            _ if !right => Some(Refused::NotAllowed),
            Act::ShowOut(_, party) | Act::HandOver(_, party) | Act::Adopt(_, party)
                if !self.is_here(*party) =>
            {
                Some(Refused::Nobody)
            }
            Act::ShowOut(_, party) if !owner && moderates(*party) => Some(Refused::NotAllowed),
            Act::HandOver(_, to) if !self.types(*to) => Some(Refused::NoTypist),
            Act::Thaw(_) if !self.by_hand => Some(Refused::NotByHand),
            Act::Adopt(_, Party::OWNER) => None,
            Act::Adopt(..) if !self.has_terminal => Some(Refused::NoTerminal),
            Act::Adopt(..) if self.standing == Standing::Waiting => Some(Refused::Waiting),
            Act::Adopt(..) if self.standing == Standing::Frozen => Some(Refused::Frozen),
            Act::Adopt(..) if self.owner_lost => Some(Refused::Lost),
            _ => None,
        }
    }

    fn enter(&mut self, who: Option<Party>, seat: SeatRole, counts: &[(usize, usize)]) -> Answer {
        if self.standing == Standing::Over {
            return Answer::Full(Full::Over);
        }
        let (confirmed, heard) = (self.now, self.now);
        let (here, asked, away) = (true, false, false);
        let counts = counts.to_vec();
        let who = who.filter(|who| *who != Party::OWNER && self.is_here(*who));
        let first =
            who.map_or(self.people.len() + 1, |who| self.people[usize::from(who.0) - 1].first);
        let person = Person { first, seat, counts, here, confirmed, heard, asked, away };
        let is_kept = seat == SeatRole::Moderator || self.sought(&person).next().is_some();
        let taken = self.people.iter().filter(|person| person.here).count();
        let room = if is_kept { 64 } else { 56 };
        if taken >= room {
            return Answer::Full(Full::Seats);
        }
        self.people.push(person);
        let party = Party(self.people.len() as u16);
        self.told.push(Change::Came(party));
        self.judge(None);
        Answer::Came(party)
    }

    fn went(&mut self, party: Party, shown_out_by: Option<Party>) {
        if !self.is_here(party) {
            return;
        }
        let moderators = self.moderators();
        self.people[usize::from(party.0) - 1].here = false;
        self.told.push(Change::Went { party, shown_out_by });
        if self.held == Some(party) {
            self.hold(Some(Party::OWNER));
        }
        if self.adopted == Some(party) {
            self.fit(None);
        }
        if moderators > 0 && self.moderators() == 0 && shown_out_by.is_none() {
            self.by_hand = false;
        }
        self.judge(None);
    }

    fn lose(&mut self, lost: bool) {
        if self.owner_here && self.standing != Standing::Over && self.owner_lost != lost {
            self.owner_lost = lost;
            self.told.push(if lost { Change::OwnerLost } else { Change::OwnerBack });
        }
    }

    fn sign(&mut self, party: Party, confirms: bool) {
        let (now, over) = (self.now, self.standing == Standing::Over);
        if party == Party::OWNER || !self.is_here(party) || over {
            return;
        }
        let person = &mut self.people[usize::from(party.0) - 1];
        person.heard = now;
        if confirms {
            (person.confirmed, person.asked) = (now, false);
        }
        let was_away = person.away;
        let person = &self.people[usize::from(party.0) - 1];
        let away = self.is_away(person);
        if was_away && !away {
            self.people[usize::from(party.0) - 1].away = false;
            self.told.push(Change::Back(party));
            self.judge(None);
        }
    }

    fn hold(&mut self, to: Option<Party>) {
        if self.held != to {
            self.held = to;
            self.told.push(Change::Keyboard { held: to });
        }
    }

    fn fit(&mut self, to: Option<Party>) {
        if self.adopted != to {
            self.adopted = to;
            self.told.push(Change::Size { of: to.map(Adopted) });
        }
    }

    fn live_until(&mut self, to: u64) {
        while self.now < to {
            self.now += QUANTUM_MS;
            if self.standing == Standing::Over {
                continue;
            }
            let asks: Vec<_> = self.people.iter().map(|person| self.asks(person)).collect();
            for (at, by) in asks.into_iter().enumerate() {
                if let Some(by) = by {
                    self.people[at].asked = true;
                    self.told.push(Change::Ask { party: Party(at as u16 + 1), by: Tick(by) });
                }
            }
            let away: Vec<_> = self.people.iter().map(|person| self.is_away(person)).collect();
            for (at, away) in away.into_iter().enumerate() {
                let person = &mut self.people[at];
                if person.here && away && !person.away {
                    person.away = true;
                    self.told.push(Change::Absent(Party(at as u16 + 1)));
                }
            }
            self.judge(None);
        }
    }

    fn asks(&self, person: &Person) -> Option<u64> {
        let ms = self.sought(person).filter_map(|sought| sought.confirm_ms).min()?;
        let due = person.here && !person.asked && self.now - person.confirmed >= ms;
        due.then_some(person.confirmed + ms + 15_000)
    }

    fn is_away(&self, person: &Person) -> bool {
        self.sought(person).any(|sought| {
            let late = |ms| self.now - person.confirmed >= ms + 15_000;
            sought.confirm_ms.is_some_and(late) || sought.beat && self.now - person.heard >= 3_000
        })
    }

    fn sought(&self, person: &Person) -> impl Iterator<Item = &Alternative> {
        person.counts.iter().filter_map(|(at, place)| self.demands.get(*at)?.any_of.get(*place))
    }

    fn met(&self) -> Vec<Vec<bool>> {
        let counts = |at, place| {
            let there = self.people.iter().filter(|person| person.here && !person.away);
            let there = there.filter(|person| person.counts.contains(&(at, place)));
            there.map(|person| person.first).collect::<BTreeSet<_>>().len()
        };
        let demands = self.demands.iter().enumerate();
        let met = demands.map(|(at, demand)| {
            let alternatives = demand.any_of.iter().enumerate();
            alternatives.map(|(place, way)| counts(at, place) >= usize::from(way.count)).collect()
        });
        met.collect()
    }

    fn judge(&mut self, by: Option<Party>) {
        if self.standing == Standing::Over {
            return;
        }
        let is = self.met();
        let was = std::mem::replace(&mut self.met, is.clone());
        let ends = (0..is.len()).find(|at| {
            let ways = self.demands[*at].any_of.iter().zip(&was[*at]);
            let strict = ways.filter(|(_, met)| **met).any(|(way, _)| way.on_leave == OnLeave::End);
            strict && !is[*at].contains(&true)
        });
        if let (Some(demand), true) = (ends, self.standing != Standing::Waiting) {
            self.over(EndCause::EyesLeft { demand });
            return;
        }
        let runs = self.quorum() && !self.by_hand;
        let change = match self.standing {
            Standing::Waiting if runs => Change::Begin,
            Standing::Frozen if runs => Change::Thaw { by },
            Standing::Running if !runs => Change::Freeze { by },
            _ => return,
        };
        self.standing = if runs { Standing::Running } else { Standing::Frozen };
        self.told.push(change);
    }

    fn over(&mut self, why: EndCause) {
        if self.standing != Standing::Over {
            self.standing = Standing::Over;
            (self.held, self.adopted) = (None, None);
            self.told.push(Change::End { why });
        }
    }

    fn is_here(&self, party: Party) -> bool {
        if party == Party::OWNER { self.owner_here } else { self.seat(party).is_some() }
    }

    fn seat(&self, party: Party) -> Option<SeatRole> {
        let person = self.people.get(usize::from(party.0).checked_sub(1)?)?;
        person.here.then_some(person.seat)
    }

    fn types(&self, party: Party) -> bool {
        party == Party::OWNER || self.seat(party) == Some(SeatRole::Peer)
    }

    fn moderators(&self) -> usize {
        let here = self.people.iter().filter(|person| person.here);
        here.filter(|person| person.seat == SeatRole::Moderator).count()
    }
}

//! What the tests of a company share: acts as data and as words, and everything that was told, replayed.

use super::{Adopted, Change, Comer, Company, Full, Refused, Silent, Standing};
use model::entry::Party;
use model::role::SeatRole;
use model::{LinkId, Tick};
use std::collections::BTreeSet;

/// By whom all come who are nobody in particular.
pub const COMER: Comer = Comer::Guest(LinkId(7));

/// One thing that somebody does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    Enter(SeatRole, Vec<(usize, usize)>),
    /// By somebody who is there already.
    Again(Party, SeatRole, Vec<(usize, usize)>),
    Recount(Party, Vec<(usize, usize)>),
    Leave(Party),
    OwnerLeft,
    OwnerLost,
    OwnerBack,
    ShowOut(Party, Party),
    HandOver(Party, Party),
    TakeBack(Party),
    Together(Party),
    /// The owner's is their own.
    Adopt(Party, Party),
    Freeze(Party),
    Thaw(Party),
    End(Party),
    Confirm(Party),
    Heard(Party),
    Wait,
}

/// What they are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    Done,
    Came(Party),
    Full(Full),
    Refused(Refused),
}

/// Does it, as the node does: the time first.
pub fn act(company: &mut Company, act: &Act, now: Tick) -> Answer {
    company.handle_timeout(now);
    let mut done = Ok(());
    match act {
        Act::Enter(seat, counts) => {
            return company
                .enter(COMER, *seat, counts.clone(), None, now)
                .map_or_else(Answer::Full, Answer::Came);
        }
        Act::Again(person, seat, counts) => {
            return company
                .enter(COMER, *seat, counts.clone(), Some(*person), now)
                .map_or_else(Answer::Full, Answer::Came);
        }
        Act::Recount(party, counts) => company.recount(*party, counts.clone(), now),
        Act::Leave(party) => company.leave(*party, now),
        Act::OwnerLeft => company.owner_left(now),
        Act::OwnerLost => company.owner_lost(now),
        Act::OwnerBack => company.owner_back(now),
        Act::ShowOut(by, party) => done = company.show_out(*by, *party),
        Act::HandOver(by, to) => done = company.hand_over(*by, *to),
        Act::TakeBack(by) => done = company.take_back(*by),
        Act::Together(by) => done = company.together(*by),
        Act::Adopt(by, party) => done = company.adopt(*by, *party),
        Act::Freeze(by) => done = company.freeze(*by),
        Act::Thaw(by) => done = company.thaw(*by),
        Act::End(by) => done = company.end(*by),
        Act::Confirm(party) => company.confirm(*party, now),
        Act::Heard(party) => company.heard(*party, now),
        Act::Wait => {}
    }
    done.map_or_else(Answer::Refused, |()| Answer::Done)
}

/// Everything that is told at this moment.
pub fn drain(company: &mut Company) -> Vec<Change> {
    std::iter::from_fn(|| company.poll()).collect()
}

/// How it must stand, by what was told alone.
#[derive(Debug)]
pub struct Replay {
    standing: Standing,
    held: Option<Party>,
    adopted: Option<Party>,
    owner_lost: bool,
    pub here: BTreeSet<Party>,
    absent: BTreeSet<Party>,
    last: Party,
}

impl Replay {
    pub fn new() -> Self {
        let (here, absent) = ([Party::OWNER].into(), BTreeSet::new());
        let (standing, owner_lost, last) = (Standing::Waiting, false, Party::OWNER);
        Self { standing, held: None, adopted: None, owner_lost, here, absent, last }
    }

    /// Takes what was told; it must be news.
    pub fn take(&mut self, change: Change) {
        let went_only = matches!(change, Change::Went { .. });
        assert!(self.standing != Standing::Over || went_only, "{change:?} after the end");
        let news = match change {
            Change::Came(party) => {
                let rises = party.0 == self.last.0 + 1;
                self.last = party;
                self.here.insert(party) && rises
            }
            Change::Went { party, .. } => {
                self.absent.remove(&party);
                self.here.remove(&party)
            }
            Change::Begin => self.turn(Standing::Waiting, Standing::Running),
            Change::Freeze { .. } => self.turn(Standing::Running, Standing::Frozen),
            Change::Thaw { .. } => self.turn(Standing::Frozen, Standing::Running),
            Change::End { .. } => {
                (self.held, self.adopted) = (None, None);
                self.turn(self.standing, Standing::Over)
            }
            Change::Ask { party, .. } => self.here.contains(&party),
            Change::OwnerLost => !std::mem::replace(&mut self.owner_lost, true),
            Change::OwnerBack => std::mem::replace(&mut self.owner_lost, false),
            Change::Absent(party) => self.here.contains(&party) && self.absent.insert(party),
            Change::Back(party) => self.absent.remove(&party),
            Change::Keyboard { held } => std::mem::replace(&mut self.held, held) != held,
            Change::Size { of } => {
                let of = of.map(Adopted::party);
                let runs = of.is_none() || self.standing == Standing::Running && !self.owner_lost;
                std::mem::replace(&mut self.adopted, of) != of && runs
            }
        };
        assert!(news, "{change:?} is no news");
    }

    /// What must be true at any time, whatever happened.
    pub fn agree(&self, company: &Company) {
        assert_eq!(company.standing(), self.standing);
        assert_eq!(company.keyboard(), self.held);
        assert_eq!(company.adopted().map(Adopted::party), self.adopted);
        let others_size = |party| party != Party::OWNER && self.here.contains(&party);
        assert!(self.adopted.is_none_or(others_size), "the size is that of somebody who is there");
        assert_eq!(company.passes(), self.standing == Standing::Running);
        let mut others = self.here.iter().filter(|party| **party != Party::OWNER);
        for seated in company.who() {
            assert_eq!(Some(&seated.party), others.next(), "who is there");
            assert!(!seated.counts || !self.absent.contains(&seated.party), "who counts");
            self.typing(company, seated.party, seated.seat == SeatRole::Peer);
        }
        assert_eq!(others.next(), None, "nobody is missing");
        self.typing(company, Party::OWNER, true);
        let next = Party(self.last.0.saturating_add(1));
        assert!(matches!(company.may_type(next), Err(Silent::Stranger | Silent::Over)));
        if self.standing == Standing::Over {
            assert_eq!(company.poll_timeout(), None, "nothing is due after the end");
        }
    }

    fn turn(&mut self, from: Standing, to: Standing) -> bool {
        let fits = self.standing == from;
        self.standing = to;
        fits
    }

    /// Input passes from those who have the right to it, while everything runs, and the keyboard is theirs; and then it does.
    fn typing(&self, company: &Company, party: Party, typist: bool) {
        let has_it = self.held.is_none_or(|held| held == party);
        let may = typist && has_it && self.standing == Standing::Running && !self.owner_lost;
        assert_eq!(company.may_type(party).is_ok(), may, "{party:?} types");
        assert!(self.held != Some(party) || typist, "the keyboard is with {party:?}");
        assert!(
            self.held.is_none_or(|held| self.here.contains(&held)),
            "the keyboard is with nobody"
        );
    }
}

/// A verb and numbers; `moderator 0.1` enters and counts for demand 0, alternative 1; `again 2 0.1` does so as a
/// moderator who is person 2; `recount 2 0.1`.
pub fn parse(words: &[&str]) -> Act {
    let at = |place: usize| party(words[place]);
    let counts = |from: usize| {
        let counts = words[from..].iter().map(|word| word.split_once('.').unwrap());
        counts.map(|(d, a)| (d.parse().unwrap(), a.parse().unwrap())).collect()
    };
    let seat = |role| Act::Enter(role, counts(1));
    match words[0] {
        "observer" => seat(SeatRole::Observer),
        "peer" => seat(SeatRole::Peer),
        "moderator" => seat(SeatRole::Moderator),
        "again" => Act::Again(at(1), SeatRole::Moderator, counts(2)),
        "recount" => Act::Recount(at(1), counts(2)),
        "leave" => Act::Leave(at(1)),
        "ownerleft" => Act::OwnerLeft,
        "ownerlost" => Act::OwnerLost,
        "ownerback" => Act::OwnerBack,
        "out" => Act::ShowOut(at(1), at(2)),
        "hand" => Act::HandOver(at(1), at(2)),
        "back" => Act::TakeBack(at(1)),
        "together" => Act::Together(at(1)),
        "adopt" => Act::Adopt(at(1), at(2)),
        "freeze" => Act::Freeze(at(1)),
        "thaw" => Act::Thaw(at(1)),
        "end" => Act::End(at(1)),
        "confirm" => Act::Confirm(at(1)),
        "heard" => Act::Heard(at(1)),
        "wait" => Act::Wait,
        other => panic!("{other} is no verb"),
    }
}

/// A number.
pub fn party(word: &str) -> Party {
    Party(word.parse().unwrap())
}

/// In short.
pub fn say(change: Change) -> String {
    let by = |by: Option<Party>| by.map_or(String::new(), |by| format!(" by {}", by.0));
    match change {
        Change::Came(party) => format!("came {}", party.0),
        Change::Went { party, shown_out_by: None } => format!("left {}", party.0),
        Change::Went { party, shown_out_by } => format!("out {}{}", party.0, by(shown_out_by)),
        Change::Begin => "begin".to_owned(),
        Change::Freeze { by: who } => format!("freeze{}", by(who)),
        Change::Thaw { by: who } => format!("thaw{}", by(who)),
        Change::End { why } => format!("over: {why:?}"),
        Change::Ask { party, by } => format!("ask {} until {}", party.0, by.0),
        Change::OwnerLost => "owner lost".to_owned(),
        Change::OwnerBack => "owner back".to_owned(),
        Change::Absent(party) => format!("absent {}", party.0),
        Change::Back(party) => format!("back {}", party.0),
        Change::Keyboard { held: None } => "keyboard all".to_owned(),
        Change::Keyboard { held: Some(party) } => format!("keyboard {}", party.0),
        Change::Size { of } => format!("size {}", of.map_or(Party::OWNER, Adopted::party).0),
    }
}

//! Files that others approve one by one: whose word counts for one file, and when the words are enough.

use crate::identity::Identity;
use crate::seat::{SessionFacts, counts_for};
use crate::terms::Demand;
use model::role::{FileRule, RoleSet};
use model::{SeatRole, SessionId, Time, UserName};
use std::collections::BTreeSet;

/// One person's right to say a word about one file of one session. Neither copied nor sent: whoever holds it was decided
/// about, as things stood when the word was said.
#[derive(Debug, PartialEq, Eq)]
pub struct Voice {
    user: UserName,
    session: SessionId,
    number: u32,
    /// For which of the session's demands it counts: demand and alternative.
    counts: Vec<(usize, usize)>,
}

impl Voice {
    /// Whose.
    #[must_use]
    pub fn user(&self) -> &UserName {
        &self.user
    }
}

/// Leave to move one file of one session, once. Neither copied nor sent; who moves it takes it and gives it to nobody.
#[derive(Debug, PartialEq, Eq)]
pub struct FilePermit {
    session: SessionId,
    number: u32,
}

impl FilePermit {
    /// Of which session.
    #[must_use]
    pub fn session(&self) -> SessionId {
        self.session
    }

    /// Which file, by its number within the session.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.number
    }
}

impl Demand {
    /// Whether each file needs a word of those who are demanded.
    #[must_use]
    pub fn approves_files(&self) -> bool {
        self.any_of.iter().any(|one| one.files == FileRule::Each)
    }
}

/// May this person, who sits in that session as `seat`, say a word about its file `number`? None if they count for no demand
/// by which files are approved: an observer, somebody without the role, the owner, somebody locked out.
#[must_use]
pub fn voice(
    roles: &RoleSet,
    who: &Identity,
    demands: &[Demand],
    session: &SessionFacts<'_>,
    seat: SeatRole,
    number: u32,
    now: Time,
) -> Option<Voice> {
    let counts = counts_for(roles, who, demands, session.owner, seat, now).into_iter();
    let approves =
        |(demand, _): &(usize, usize)| demands.get(*demand).is_some_and(Demand::approves_files);
    let counts: Vec<_> = counts.filter(approves).collect();
    let (user, session) = (who.user.clone(), session.id);
    (!counts.is_empty()).then_some(Voice { user, session, number, counts })
}

/// Are these words enough for file `number` of that session? Each demand by which files are approved needs as many people
/// as it needs to be there; one person is one, however often they speak. Without such a demand there is no such leave.
#[must_use]
pub fn file<'v>(
    demands: &[Demand],
    session: SessionId,
    number: u32,
    voices: impl IntoIterator<Item = &'v Voice>,
) -> Option<FilePermit> {
    let of_it = |voice: &&Voice| voice.session == session && voice.number == number;
    let voices: Vec<_> = voices.into_iter().filter(of_it).collect();
    let people = |demand: usize, place: usize| {
        let counts = voices.iter().filter(|voice| voice.counts.contains(&(demand, place)));
        counts.map(|voice| &voice.user).collect::<BTreeSet<_>>().len()
    };
    let mut asked = demands.iter().enumerate().filter(|(_, it)| it.approves_files()).peekable();
    asked.peek()?;
    let enough = asked.all(|(at, demand)| {
        let mut any_of = demand.any_of.iter().enumerate();
        any_of.any(|(place, one)| people(at, place) >= usize::from(one.count.max(1)))
    });
    enough.then_some(FilePermit { session, number })
}

//! Other people in a session: the doors by which they reach its loop, and the table at which the loop keeps them.

use crate::clock;
use crate::lives::Place;
use crate::stage::Stage;
use bytes::Bytes;
use link::ssh::server::Session;
use model::entry::{Party, People};
use model::limit::{TOLD, VISITS};
use model::role::SeatRole;
use model::{SessionId, Size, Time, UserName, Wanted};
use policy::{Identity, ReturnPermit, SeatPermit};
use session::company::{Adopted, Comer, Silent};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use wire::company::{Ask, Company, Present, State, Told};

/// What somebody asks of a session's loop.
#[derive(Debug)]
pub(crate) enum Visit {
    /// To take a seat.
    Sit(Box<Sit>),
    /// To leave it; why they must, if they do not want to.
    Leave { party: Party, why: Option<String> },
    /// Whoever sits there gave a sign of life.
    Heard { party: Party },
    /// Their terminal was made this size.
    Resized { party: Party, size: Size },
    /// To come back to it, as its owner.
    Return(Box<Return>),
    /// What they count for is something else.
    Recount { party: Party, counts: Vec<(usize, usize)> },
    /// Something else.
    Ask { by: Speaker, ask: Ask, answer: oneshot::Sender<Told> },
    /// What they sent means nothing in their seat.
    Vain { by: Speaker, sent: Vain },
}

/// What somebody sent in vain, who may have meant it for the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Vain {
    /// Keys.
    Keys,
    /// What is no request.
    Request,
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Speaker {
    /// Whoever sits there.
    Seat(Party),
    /// A person: by the seat that they have, or as the owner.
    Person(UserName),
}

/// To take a seat.
#[derive(Debug)]
pub(crate) struct Sit {
    pub permit: SeatPermit,
    /// Who comes, as far as their comings are counted.
    pub comer: Comer,
    /// What they count for under the session's demands: demand and alternative.
    pub counts: Vec<(usize, usize)>,
    /// Where they are.
    pub from: String,
    /// Who they are: what they may say about a file is decided when they say it.
    pub identity: Identity,
    /// Of their terminal.
    pub size: Size,
    pub answer: oneshot::Sender<Result<Seated, String>>,
}

/// To come back, or to take it over from another place.
#[derive(Debug)]
pub(crate) struct Return {
    pub permit: ReturnPermit,
    /// The channel that is theirs from here on.
    pub channel: Session,
    /// Where they are.
    pub from: String,
    /// Whether it was granted; the words say why not. Then the channel is nobody's, and whoever asked ends it.
    pub answer: oneshot::Sender<Result<(), String>>,
}

/// Somebody has taken a seat.
#[derive(Debug)]
pub(crate) struct Seated {
    pub party: Party,
    pub stage: Arc<Stage>,
    pub told: broadcast::Receiver<Told>,
}

/// Bytes that somebody typed who is not the owner.
#[derive(Debug)]
pub(crate) struct Typed {
    pub party: Party,
    pub bytes: Bytes,
}

/// The ways to a session's loop.
#[derive(Debug, Clone)]
pub(crate) struct Doors {
    visits: mpsc::Sender<Visit>,
    typing: mpsc::Sender<Typed>,
    told: broadcast::WeakSender<Told>,
}

/// The session is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Over;

impl Doors {
    /// Takes a seat; the words say why not.
    pub async fn sit(
        &self,
        (permit, comer): (SeatPermit, Comer),
        counts: Vec<(usize, usize)>,
        from: String,
        identity: Identity,
        size: Size,
    ) -> Result<Seated, String> {
        let (answer, answered) = oneshot::channel();
        let sit = Sit { permit, comer, counts, from, identity, size, answer };
        let sit = Visit::Sit(Box::new(sit));
        let over = || "the session is over".to_owned();
        self.visits.send(sit).await.map_err(|_| over())?;
        answered.await.unwrap_or_else(|_| Err(over()))
    }

    /// Comes back to it; the words say why not.
    pub async fn come_back(
        &self,
        permit: ReturnPermit,
        channel: Session,
        from: String,
    ) -> Result<(), String> {
        let (answer, answered) = oneshot::channel();
        let back = Visit::Return(Box::new(Return { permit, channel, from, answer }));
        let over = || "the session is over".to_owned();
        self.visits.send(back).await.map_err(|_| over())?;
        answered.await.unwrap_or_else(|_| Err(over()))
    }

    /// Leaves it.
    pub async fn leave(&self, party: Party, why: Option<String>) {
        // A session that is over has forgotten them already.
        let _ = self.visits.send(Visit::Leave { party, why }).await;
    }

    /// Passes on a sign of life.
    pub async fn hear(&self, party: Party) {
        let _ = self.visits.send(Visit::Heard { party }).await;
    }

    /// Says that their terminal was made this size.
    pub async fn resized(&self, party: Party, size: Size) {
        let _ = self.visits.send(Visit::Resized { party, size }).await;
    }

    /// Says what they count for from now on.
    pub async fn recount(&self, party: Party, counts: Vec<(usize, usize)>) {
        let _ = self.visits.send(Visit::Recount { party, counts }).await;
    }

    /// Asks for something.
    pub async fn ask(&self, by: Speaker, ask: Ask) -> Result<Told, Over> {
        let (answer, answered) = oneshot::channel();
        self.visits.send(Visit::Ask { by, ask, answer }).await.map_err(|_| Over)?;
        answered.await.map_err(|_| Over)
    }

    /// Says that what they sent means nothing; never waits for the program, as typing does.
    pub async fn vain(&self, by: Speaker, sent: Vain) {
        let _ = self.visits.send(Visit::Vain { by, sent }).await;
    }

    /// Types. Waits for a program that does not take it.
    pub async fn types(&self, party: Party, bytes: Bytes) -> Result<(), Over> {
        self.typing.send(Typed { party, bytes }).await.map_err(|_| Over)
    }

    /// Tells all who listen of something that is none of the session's own doing.
    pub fn tell(&self, told: Told) {
        if let Some(all) = self.told.upgrade() {
            // Nobody may be there.
            let _ = all.send(told);
        }
    }

    /// Hears what happens, without a seat.
    pub fn listen(&self) -> Result<broadcast::Receiver<Told>, Over> {
        self.told.upgrade().map(|told| told.subscribe()).ok_or(Over)
    }
}

/// Somebody at the table.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    pub user: UserName,
    pub seat: Option<SeatRole>,
    pub since: Time,
    pub from: String,
    /// What they tried without a right to it, and the ledger has heard: why not, or what.
    pub denied: BTreeSet<&'static str>,
    /// Who they are, besides the owner.
    pub identity: Option<Identity>,
    /// Of their terminal, besides the owner's.
    pub size: Size,
}

/// The loop's side of it: who may what, who is there, and what they are told.
pub(crate) struct Table {
    id: SessionId,
    pub company: session::Company,
    pub people: BTreeMap<Party, Person>,
    visits: mpsc::Receiver<Visit>,
    typing: mpsc::Receiver<Typed>,
    told: broadcast::Sender<Told>,
    doors: Doors,
    shown: watch::Sender<Arc<Company>>,
    place: Option<Place>,
    /// Why it waits or stands still.
    pub why: Option<String>,
    /// The file that waits for a word.
    pub file: Option<Wanted>,
}

impl Table {
    /// A table at which only the owner sits, the ways to it, and what is known of it from outside.
    pub fn new(id: SessionId, company: session::Company, owner: UserName) -> Self {
        let (visit, visits) = mpsc::channel(VISITS);
        let (types, typing) = mpsc::channel(VISITS);
        let told = broadcast::Sender::new(TOLD);
        let doors = Doors { visits: visit, typing: types, told: told.downgrade() };
        let (user, since, from) = (owner, clock::now(), String::new());
        let (denied, identity) = (BTreeSet::new(), None);
        let size = Size::default();
        let owner = Person { user, seat: None, since, from, denied, identity, size };
        let seated = BTreeMap::from([(Party::OWNER, owner)]);
        let state = State::Waiting;
        let (session, people) = (Some(id), Vec::new());
        let (why, keyboard, size_of, file) = (None, None, None, None);
        let nobody = Company { session, state, why, keyboard, size_of, people, file };
        let shown = watch::Sender::new(Arc::new(nobody));
        let mut table = Self {
            id,
            company,
            people: seated,
            visits,
            typing,
            told,
            doors,
            shown,
            place: None,
            why: None,
            file: None,
        };
        table.show();
        table
    }

    /// The ways to it.
    pub fn doors(&self) -> Doors {
        self.doors.clone()
    }

    /// How things stand, as it is shown.
    pub fn shown(&self) -> watch::Receiver<Arc<Company>> {
        self.shown.subscribe()
    }

    /// Keeps the session's place on the node's list.
    pub fn keep(&mut self, place: Place) {
        self.place = Some(place);
    }

    /// The program on its terminal was begun.
    pub fn begun(&self, foreground: host::Foreground) {
        if let Some(place) = &self.place {
            place.begun(foreground);
        }
    }

    /// What somebody asks, and what somebody types.
    pub fn ears(&mut self) -> (&mut mpsc::Receiver<Visit>, &mut mpsc::Receiver<Typed>) {
        (&mut self.visits, &mut self.typing)
    }

    /// Somebody sits down who has entered.
    pub fn sit(
        &mut self,
        party: Party,
        seat: SeatRole,
        from: String,
        identity: Identity,
        size: Size,
    ) {
        let (since, user) = (clock::now(), identity.user().clone());
        let (seat, identity) = (Some(seat), Some(identity));
        let denied = BTreeSet::new();
        self.people.insert(party, Person { user, seat, since, from, denied, identity, size });
    }

    /// Somebody's terminal was made this size.
    pub fn resized(&mut self, party: Party, size: Size) {
        if let Some(person) = self.people.get_mut(&party) {
            person.size = size;
        }
    }

    /// The size that the session's terminal is to have in place of its owner's.
    pub fn size_of(&self, adopted: Adopted) -> Option<Size> {
        self.people.get(&adopted.party()).map(|person| person.size)
    }

    /// How a recording says that they sat down.
    pub fn seated(&self, party: Party) -> Option<People> {
        let Person { user, seat, from, .. } = self.people.get(&party)?;
        Some(People::Seated { party, user: user.clone(), seat: (*seat)?, from: from.clone() })
    }

    /// What happened, with names instead of numbers.
    pub fn words(&self, people: &People) -> String {
        let name = |party: &Party| self.name(*party);
        match people {
            People::Left { party } => format!("{} left", name(party)),
            People::ShownOut { party, by } => format!("{} showed {} out", name(by), name(party)),
            People::Keyboard { held: Some(party) } => format!("{} has the keyboard", name(party)),
            People::Seated { user, seat, .. } => format!("{user} joined as {}", seat.word()),
            People::OwnerLost => format!("the connection of {} was lost", self.name(Party::OWNER)),
            People::OwnerBack { .. } => format!("{} is back", self.name(Party::OWNER)),
            People::SizeOf { party } => format!("the terminal has the size of {}", name(party)),
            People::FileApproved { number, by } => format!("{} approved file {number}", name(by)),
            People::FileRefused { number, by: Some(by) } => {
                format!("{} refused file {number}", name(by))
            }
            other => other.words(),
        }
    }

    /// Who is missing under four eyes, for a person; empty when nobody is.
    pub fn needs(&self) -> String {
        let alternative = |one: &session::company::Alternative| match one.count {
            0 | 1 => format!("somebody for \u{201c}{}\u{201d}", one.name),
            count => format!("{count} people for \u{201c}{}\u{201d}", one.name),
        };
        let demand = |demand: &session::company::Demand| {
            demand.any_of.iter().map(alternative).collect::<Vec<_>>().join(" or ")
        };
        self.company.unmet().map(|(_, it)| demand(it)).collect::<Vec<_>>().join(", and ")
    }

    /// Tells all who listen.
    pub fn tell(&self, told: Told) {
        // Nobody may be there.
        let _ = self.told.send(told);
    }

    /// Hears what is told from here on.
    pub fn listen(&self) -> broadcast::Receiver<Told> {
        self.told.subscribe()
    }

    /// Shows how things stand, to those who listen and to the list.
    pub fn show(&mut self) {
        let company = self.seen();
        self.shown.send_replace(Arc::new(company.clone()));
        self.tell(Told::Company(company));
        if let Some(place) = &self.place {
            place.changed();
        }
    }

    /// Whose session it is.
    pub fn owner(&self) -> Option<&UserName> {
        self.people.get(&Party::OWNER).map(|owner| &owner.user)
    }

    /// Whose name belongs to a number.
    pub fn name(&self, party: Party) -> String {
        self.people
            .get(&party)
            .map_or_else(|| "somebody".to_owned(), |person| person.user.to_string())
    }

    /// The number of whoever asks, if they are here: a person by the seat with most rights.
    pub fn party(&self, speaker: &Speaker) -> Option<Party> {
        match speaker {
            Speaker::Seat(party) => self.people.contains_key(party).then_some(*party),
            Speaker::Person(user) => {
                let theirs = self.people.iter().filter(|(_, person)| person.user == *user);
                // The owner has no seat and comes first; then the moderator.
                theirs
                    .max_by_key(|(_, person)| (person.seat.is_none(), person.seat))
                    .map(|(p, _)| *p)
            }
        }
    }

    /// How things stand.
    pub fn seen(&self) -> Company {
        use session::company::Standing;
        let state = match self.company.standing() {
            Standing::Waiting => State::Waiting,
            Standing::Running => State::Running,
            Standing::Frozen | Standing::Over => State::Frozen,
        };
        let present = |(party, person): (&Party, &Person)| Present {
            party: *party,
            user: person.user.clone(),
            seat: person.seat,
            since: person.since,
            types: self.company.may_type(*party).is_ok(),
        };
        let lost = || self.company.may_type(Party::OWNER) == Err(Silent::Lost);
        Company {
            session: Some(self.id),
            state,
            why: self.why.clone().or_else(|| lost().then(|| Silent::Lost.words().to_owned())),
            keyboard: self.company.keyboard(),
            size_of: self.company.adopted().map(Adopted::party),
            file: self.file.clone(),
            people: self.people.iter().map(present).collect(),
        }
    }
}

/// What comes to one of the table's ears. Cancel safe.
pub(crate) async fn heard<T>(ear: &mut mpsc::Receiver<T>) -> T {
    match ear.recv().await {
        Some(heard) => heard,
        // Whoever looks for the session holds its doors; nobody does any more.
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use session::company::Demand;

    #[tokio::test]
    async fn a_session_that_waits_is_never_shown_as_running() {
        let nobody_will_do = Demand { any_of: Vec::new() };
        for (demands, state) in [(vec![nobody_will_do], State::Waiting), (vec![], State::Running)] {
            let company = session::Company::new(demands, clock::tick());
            let (id, owner) = (SessionId::from_random([7; 16]), "bob".parse::<UserName>().unwrap());
            let table = Table::new(id, company, owner.clone());
            let shown = table.shown().borrow().clone();
            assert_eq!((shown.state, &shown.people[0].user), (state, &owner));
        }
    }
}

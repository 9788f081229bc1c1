//! The company of a session: who is there, who may type, what four eyes demand, and whether anything may pass.

mod comings;
mod demand;
mod seat;
mod told;

#[cfg(test)]
mod kit;
#[cfg(test)]
mod reference;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;

pub use comings::Comer;
pub use demand::{Alternative, Demand};
pub use told::{Change, EndCause, Full, Refused, Seated, Silent, Standing};

use comings::Comings;
use demand::Eyes;
use model::Tick;
use model::entry::Party;
use model::limit::{SEATS, SEATS_KEPT};
use model::role::{OnLeave, SeatRole};
use seat::Seat;
use std::collections::{BTreeMap, VecDeque};

/// Who is in one session, and what follows from it.
///
/// Inputs are methods named for what happened; [`Company::poll`] tells what changed by them, in order and each once,
/// and is to be asked after every input until it has nothing more.
/// Questions are answered for the last moment that was told: call [`Company::handle_timeout`] before a byte passes and
/// before an act; while nothing is due it only compares.
/// A moment earlier than one that was told already counts as that one.
///
/// The owner is [`Party::OWNER`], is there from the beginning, has no seat, and counts for nothing. While their connection is
/// lost it is their session still, and nobody types.
#[derive(Debug)]
pub struct Company {
    demands: Vec<Eyes>,
    /// Who is there besides the owner.
    seats: BTreeMap<Party, Seat>,
    owner: Owner,
    /// The highest number that was given away.
    last: u16,
    /// How often who has come.
    comings: Comings,
    /// Who alone has the keyboard; none while everybody who may type has it. Always somebody who is there.
    held: Option<Party>,
    /// Whose size the terminal has instead of its owner's. Always somebody's who is there.
    adopted: Option<Adopted>,
    has_terminal: bool,
    /// The moderator whose freeze by hand stands.
    frozen_by: Option<Party>,
    standing: Standing,
    now: Tick,
    told: VecDeque<Change>,
}

/// Whose size a session's terminal has instead of its owner's: only [`Company::adopt`] lets anybody's count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Adopted(Party);

impl Adopted {
    /// Who.
    #[must_use]
    pub fn party(self) -> Party {
        self.0
    }
}

/// Whether the owner is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owner {
    Here,
    /// Their connection is lost, and they may come back.
    Lost,
    Left,
}

impl Company {
    /// A session with its owner alone in it. All `demands` must be met before it begins; without any it begins at once.
    #[must_use]
    pub fn new(demands: Vec<Demand>, now: Tick) -> Self {
        let mut company = Self {
            demands: demands.into_iter().map(Eyes::new).collect(),
            seats: BTreeMap::new(),
            owner: Owner::Here,
            last: Party::OWNER.0,
            comings: Comings::default(),
            held: None,
            adopted: None,
            has_terminal: true,
            frozen_by: None,
            standing: Standing::Waiting,
            now,
            told: VecDeque::new(),
        };
        company.settle(None);
        company
    }

    /// The same without a terminal: there is no size that could be somebody's.
    #[must_use]
    pub fn without_terminal(mut self) -> Self {
        self.has_terminal = false;
        self
    }

    /// `comer` takes a seat. `counts` says what they count for: which demand, and which of its alternatives, as in
    /// [`Company::new`]; what is not there is ignored. Their coming is their first beat and confirmation.
    /// Who sits at `again` already is one pair of eyes, in however many seats.
    ///
    /// Whoever may hold the session, or must be there, finds a place in it: [`SEATS_KEPT`] of [`SEATS`] are theirs.
    ///
    /// # Errors
    /// [`Full`]: they may not enter.
    pub fn enter(
        &mut self,
        comer: Comer,
        seat: SeatRole,
        counts: Vec<(usize, usize)>,
        again: Option<Party>,
        now: Tick,
    ) -> Result<Party, Full> {
        self.handle_timeout(now);
        if self.standing == Standing::Over {
            return Err(Full::Over);
        }
        self.comings.check(&comer)?;
        let party = Party(self.last.checked_add(1).ok_or(Full::Numbers)?);
        let known = again.and_then(|seat| self.seats.get(&seat));
        let person = known.map_or(party, |seat| seat.person);
        let taken = Seat::new(seat, person, counts, &self.demands, self.now);
        let is_kept = seat == SeatRole::Moderator || taken.counts();
        let room = if is_kept { SEATS } else { SEATS - SEATS_KEPT };
        if self.seats.len() >= room {
            return Err(Full::Seats);
        }
        self.last = party.0;
        self.comings.add(comer);
        self.seats.insert(party, taken);
        self.told.push_back(Change::Came(party));
        self.settle(None);
        Ok(party)
    }

    /// What `party` counts for is something else from here on. It is a beat and a confirmation, too.
    pub fn recount(&mut self, party: Party, counts: Vec<(usize, usize)>, now: Tick) {
        self.handle_timeout(now);
        let Some(seat) = self.seats.get_mut(&party) else { return };
        seat.recount(counts, &self.demands, self.now);
        self.sign(party, now, Seat::confirm);
        self.settle(None);
    }

    /// The connection of `party` is closed: they are gone at once.
    pub fn leave(&mut self, party: Party, now: Tick) {
        self.handle_timeout(now);
        if party == Party::OWNER {
            self.owner_left(now);
        } else {
            self.gone(party, None);
        }
    }

    /// The owner is gone and will not come back: the session is over.
    pub fn owner_left(&mut self, now: Tick) {
        self.handle_timeout(now);
        if std::mem::replace(&mut self.owner, Owner::Left) != Owner::Left {
            self.told.push_back(Change::Went { party: Party::OWNER, shown_out_by: None });
            self.close(EndCause::OwnerLeft);
        }
    }

    /// The owner's connection is lost, and they may come back: until then nobody types. What is frozen stays so, and
    /// whoever counts goes on to.
    pub fn owner_lost(&mut self, now: Tick) {
        self.handle_timeout(now);
        if self.owner == Owner::Here && self.standing != Standing::Over {
            self.owner = Owner::Lost;
            self.told.push_back(Change::OwnerLost);
        }
    }

    /// The owner is back: all type who did before.
    pub fn owner_back(&mut self, now: Tick) {
        self.handle_timeout(now);
        if self.owner == Owner::Lost && self.standing != Standing::Over {
            self.owner = Owner::Here;
            self.told.push_back(Change::OwnerBack);
        }
    }

    /// `by` shows `party` out: the owner anybody else, a moderator observers and peers.
    ///
    /// # Errors
    /// [`Refused`]: nobody was shown out.
    pub fn show_out(&mut self, by: Party, party: Party) -> Result<(), Refused> {
        use SeatRole::{Moderator, Observer, Peer};
        let theirs = self.seats.get(&party).map(|seat| seat.role);
        match (self.acting(by)?, theirs) {
            (None | Some(Moderator), None) if party != Party::OWNER => Err(Refused::Nobody),
            (None, Some(_)) | (Some(Moderator), Some(Observer | Peer)) => {
                self.gone(party, Some(by));
                Ok(())
            }
            _ => Err(Refused::NotAllowed),
        }
    }

    /// From here on only `to` types. The owner says so, or whoever has the keyboard.
    ///
    /// # Errors
    /// [`Refused`]: the keyboard is whose it was.
    pub fn hand_over(&mut self, by: Party, to: Party) -> Result<(), Refused> {
        self.acting(by)?;
        if by != Party::OWNER && self.held != Some(by) {
            return Err(Refused::NotAllowed);
        }
        match self.seats.get(&to).map(|seat| seat.role) {
            None if to != Party::OWNER => return Err(Refused::Nobody),
            Some(SeatRole::Observer | SeatRole::Moderator) => return Err(Refused::NoTypist),
            None | Some(SeatRole::Peer) => self.give(Some(to)),
        }
        Ok(())
    }

    /// From here on only the owner types. The owner says so at any time, or whoever has the keyboard.
    ///
    /// # Errors
    /// As [`Company::hand_over`].
    pub fn take_back(&mut self, by: Party) -> Result<(), Refused> {
        self.hand_over(by, Party::OWNER)
    }

    /// From here on the owner and all peers type, as at the beginning. Only the owner says so.
    ///
    /// # Errors
    /// As [`Company::hand_over`].
    pub fn together(&mut self, by: Party) -> Result<(), Refused> {
        match self.acting(by)? {
            None => self.give(None),
            Some(_) => return Err(Refused::NotAllowed),
        }
        Ok(())
    }

    /// From here on the terminal has the size of `party`'s, until that person is gone; of the owner, that it has theirs again.
    /// Only the owner says so: somebody else's while they are there and it runs, their own at any time.
    ///
    /// # Errors
    /// [`Refused`]: it has the size that it had.
    pub fn adopt(&mut self, by: Party, party: Party) -> Result<(), Refused> {
        if self.acting(by)?.is_some() {
            return Err(Refused::NotAllowed);
        }
        if party == Party::OWNER {
            self.size(None);
            return Ok(());
        }
        if !self.seats.contains_key(&party) {
            return Err(Refused::Nobody);
        }
        match self.standing {
            _ if !self.has_terminal => return Err(Refused::NoTerminal),
            Standing::Waiting => return Err(Refused::Waiting),
            Standing::Frozen => return Err(Refused::Frozen),
            Standing::Over => return Err(Refused::Over),
            Standing::Running if self.owner == Owner::Lost => return Err(Refused::Lost),
            Standing::Running => self.size(Some(Adopted(party))),
        }
        Ok(())
    }

    /// A moderator stops the session until a moderator thaws it, or the last moderator leaves. One that has not begun
    /// does not begin so long.
    ///
    /// The last moderator being shown out thaws nothing: else the owner would undo the freeze.
    ///
    /// # Errors
    /// [`Refused`]: nothing was frozen.
    pub fn freeze(&mut self, by: Party) -> Result<(), Refused> {
        self.moderating(by)?;
        self.frozen_by.get_or_insert(by);
        self.settle(Some(by));
        Ok(())
    }

    /// A moderator takes back a freeze by hand, their own or another's. It goes on once four eyes are met, too.
    ///
    /// # Errors
    /// [`Refused`]: nothing was thawed.
    pub fn thaw(&mut self, by: Party) -> Result<(), Refused> {
        self.moderating(by)?;
        self.frozen_by.take().ok_or(Refused::NotByHand)?;
        self.settle(Some(by));
        Ok(())
    }

    /// A moderator or the owner ends the session.
    ///
    /// # Errors
    /// [`Refused`]: it goes on.
    pub fn end(&mut self, by: Party) -> Result<(), Refused> {
        match self.acting(by)? {
            None | Some(SeatRole::Moderator) => self.close(EndCause::Ended { by }),
            Some(SeatRole::Observer | SeatRole::Peer) => return Err(Refused::NotAllowed),
        }
        Ok(())
    }

    /// `party` confirms that they are there. It is a beat, too.
    pub fn confirm(&mut self, party: Party, now: Tick) {
        self.sign(party, now, Seat::confirm);
    }

    /// The connection of `party` gave a sign of life.
    pub fn heard(&mut self, party: Party, now: Tick) {
        self.sign(party, now, Seat::hear);
    }

    /// Whether what `party` types may reach the program.
    ///
    /// # Errors
    /// [`Silent`]: why not.
    pub fn may_type(&self, party: Party) -> Result<(), Silent> {
        match self.acting(party) {
            Ok(None | Some(SeatRole::Peer)) => {}
            Ok(Some(SeatRole::Observer | SeatRole::Moderator)) => return Err(Silent::Observer),
            Err(Refused::Over) => return Err(Silent::Over),
            Err(_) => return Err(Silent::Stranger),
        }
        match (self.standing, self.held) {
            (Standing::Over, _) => Err(Silent::Over),
            (Standing::Waiting, _) => Err(Silent::Waiting),
            (Standing::Frozen, _) => Err(Silent::Frozen),
            (Standing::Running, _) if self.owner == Owner::Lost => Err(Silent::Lost),
            (Standing::Running, Some(by)) if by != party => Err(Silent::Held { by }),
            (Standing::Running, _) => Ok(()),
        }
    }

    /// Whether input and output may pass.
    #[must_use]
    pub fn passes(&self) -> bool {
        self.standing == Standing::Running
    }

    /// How the session stands.
    #[must_use]
    pub fn standing(&self) -> Standing {
        self.standing
    }

    /// Who alone has the keyboard; none while the owner and all peers have it.
    #[must_use]
    pub fn keyboard(&self) -> Option<Party> {
        self.held
    }

    /// Whose size the terminal has; none while it has its owner's.
    #[must_use]
    pub fn adopted(&self) -> Option<Adopted> {
        self.adopted
    }

    /// The moderator whose freeze by hand stands, also while the session waits or four eyes are not met either.
    /// They may have left since, if another moderator is still there.
    #[must_use]
    pub fn frozen_by(&self) -> Option<Party> {
        self.frozen_by
    }

    /// The demands that are not met at this moment, each with its place in [`Company::new`].
    pub fn unmet(&self) -> impl Iterator<Item = (usize, &Demand)> {
        let unmet = self.demands.iter().enumerate().filter(|(_, eyes)| !eyes.met());
        unmet.map(|(index, eyes)| (index, eyes.demand()))
    }

    /// Who is there besides the owner, in the order in which they came.
    pub fn who(&self) -> impl Iterator<Item = Seated> {
        self.seats.iter().map(|(party, seat)| Seated {
            party: *party,
            seat: seat.role,
            counts: seat.counts(),
        })
    }

    /// What changed, in order: each told once.
    pub fn poll(&mut self) -> Option<Change> {
        self.told.pop_front()
    }

    /// When [`Company::handle_timeout`] has something to decide.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Tick> {
        if self.standing == Standing::Over {
            return None;
        }
        self.seats.values().filter_map(Seat::next).min()
    }

    /// Decides what `now` brings: who must be asked, and who no longer counts. What is overdue is decided moment by
    /// moment, so that it comes to the same however late it is called.
    pub fn handle_timeout(&mut self, now: Tick) {
        while let Some(at) = self.poll_timeout().filter(|at| *at <= now) {
            self.due(at);
        }
        self.now = self.now.max(now);
    }

    /// Everything that is due at this one moment.
    fn due(&mut self, at: Tick) {
        for (party, seat) in &mut self.seats {
            if let Some(by) = seat.ask(at) {
                self.told.push_back(Change::Ask { party: *party, by });
            }
        }
        for (party, seat) in &mut self.seats {
            if seat.lapse(at) {
                self.told.push_back(Change::Absent(*party));
            }
        }
        self.settle(None);
    }

    /// The seat of who acts, none for the owner; refused if the session is over or they are not there.
    fn acting(&self, by: Party) -> Result<Option<SeatRole>, Refused> {
        if self.standing == Standing::Over {
            return Err(Refused::Over);
        }
        match self.seats.get(&by) {
            Some(seat) => Ok(Some(seat.role)),
            None if by == Party::OWNER => Ok(None),
            None => Err(Refused::Stranger),
        }
    }

    fn moderating(&self, by: Party) -> Result<(), Refused> {
        match self.acting(by)? {
            Some(SeatRole::Moderator) => Ok(()),
            None | Some(SeatRole::Observer | SeatRole::Peer) => Err(Refused::NotAllowed),
        }
    }

    fn sign(&mut self, party: Party, now: Tick, took: fn(&mut Seat, Tick)) {
        self.handle_timeout(now);
        let Some(seat) = self.seats.get_mut(&party) else { return };
        took(seat, self.now);
        if self.standing != Standing::Over && seat.return_at(self.now) {
            self.told.push_back(Change::Back(party));
            self.settle(None);
        }
    }

    fn gone(&mut self, party: Party, shown_out_by: Option<Party>) {
        let Some(seat) = self.seats.remove(&party) else { return };
        self.told.push_back(Change::Went { party, shown_out_by });
        if self.held == Some(party) {
            self.give(Some(Party::OWNER));
        }
        if self.adopted == Some(Adopted(party)) {
            self.size(None);
        }
        let moderator = |role| role == SeatRole::Moderator;
        let last = moderator(seat.role) && !self.seats.values().any(|seat| moderator(seat.role));
        if last && shown_out_by.is_none() {
            self.frozen_by = None;
        }
        self.settle(None);
    }

    fn give(&mut self, to: Option<Party>) {
        if self.held != to {
            self.held = to;
            self.told.push_back(Change::Keyboard { held: to });
        }
    }

    fn size(&mut self, of: Option<Adopted>) {
        if self.adopted != of {
            self.adopted = of;
            self.told.push_back(Change::Size { of });
        }
    }

    /// Looks again who is there and tells what follows; `by` is who brought it about by hand.
    fn settle(&mut self, by: Option<Party>) {
        use Standing::{Frozen, Over, Running, Waiting};
        if self.standing == Over {
            return;
        }
        let mut ends = None;
        for (index, eyes) in self.demands.iter_mut().enumerate() {
            let lost = eyes.look(index, &self.seats);
            if lost == Some(OnLeave::End) {
                ends.get_or_insert(index);
            }
        }
        if let Some(demand) = ends.filter(|_| self.standing != Waiting) {
            self.close(EndCause::EyesLeft { demand });
            return;
        }
        let may_run = self.frozen_by.is_none() && self.demands.iter().all(Eyes::met);
        let (standing, change) = match (self.standing, may_run) {
            (Waiting, true) => (Running, Change::Begin),
            (Running, false) => (Frozen, Change::Freeze { by }),
            (Frozen, true) => (Running, Change::Thaw { by }),
            (Waiting | Frozen, false) | (Running, true) | (Over, _) => return,
        };
        self.standing = standing;
        self.told.push_back(change);
    }

    fn close(&mut self, why: EndCause) {
        if self.standing != Standing::Over {
            self.standing = Standing::Over;
            (self.held, self.adopted, self.frozen_by) = (None, None, None);
            self.told.push_back(Change::End { why });
        }
    }
}

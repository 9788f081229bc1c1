//! One person besides the owner: as what they are here, what they count for, and whether they are really there.

use super::demand::{Alternative, Eyes};
use model::Tick;
use model::entry::Party;
use model::limit::{CONFIRM_GRACE_MS, SILENT_MS};
use model::role::SeatRole;
use std::collections::BTreeSet;

/// A taken seat.
#[derive(Debug)]
pub struct Seat {
    /// As what.
    pub role: SeatRole,
    /// The first seat of whoever sits here: however many seats somebody has, they are one.
    pub person: Party,
    /// Demand and alternative, each once; only what there is.
    counts: BTreeSet<(usize, usize)>,
    /// The shortest of what they count for.
    confirm_ms: Option<u64>,
    /// Whether anything that they count for asks for a beat.
    beat: bool,
    confirmed: Tick,
    heard: Tick,
    /// Whether they were asked since they last confirmed.
    asked: bool,
    /// Silent, or not confirmed in time: counts for nothing.
    absent: bool,
}

impl Seat {
    /// Somebody who came at `now`.
    pub fn new(
        role: SeatRole,
        person: Party,
        counts: Vec<(usize, usize)>,
        demands: &[Eyes],
        now: Tick,
    ) -> Self {
        let find = |(demand, place): &(usize, usize)| -> Option<&Alternative> {
            demands.get(*demand)?.demand().any_of.get(*place)
        };
        let counts: BTreeSet<_> = counts.into_iter().filter(|key| find(key).is_some()).collect();
        let confirm_ms = counts.iter().filter_map(find).filter_map(|found| found.confirm_ms).min();
        let beat = counts.iter().filter_map(find).any(|found| found.beat);
        let (asked, absent) = (false, false);
        Self { role, person, counts, confirm_ms, beat, confirmed: now, heard: now, asked, absent }
    }

    /// They count for something else from now on; whether they were absent stays as it was.
    pub fn recount(&mut self, counts: Vec<(usize, usize)>, demands: &[Eyes], now: Tick) {
        let absent = self.absent;
        *self = Self { absent, ..Self::new(self.role, self.person, counts, demands, now) };
    }

    /// Whether they count for anything.
    pub fn counts(&self) -> bool {
        !self.absent && !self.counts.is_empty()
    }

    /// Whether they count for this alternative.
    pub fn counts_for(&self, demand: usize, place: usize) -> bool {
        !self.absent && self.counts.contains(&(demand, place))
    }

    /// A beat.
    pub fn hear(&mut self, now: Tick) {
        self.heard = now;
    }

    /// A confirmation.
    pub fn confirm(&mut self, now: Tick) {
        (self.confirmed, self.heard, self.asked) = (now, now, false);
    }

    /// The next moment at which [`Seat::ask`] or [`Seat::lapse`] has something to say.
    pub fn next(&self) -> Option<Tick> {
        let ask = self.ask_at().filter(|_| !self.asked);
        let lapse = self.lapse_at().filter(|_| !self.absent);
        ask.into_iter().chain(lapse).min()
    }

    /// Until when they must confirm, if they must be asked at `at`; once for each confirmation.
    pub fn ask(&mut self, at: Tick) -> Option<Tick> {
        let due = self.ask_at().filter(|due| *due <= at && !self.asked)?;
        self.asked = true;
        Some(due.plus_ms(CONFIRM_GRACE_MS))
    }

    /// Whether they count no longer from `at` on; once for each absence.
    pub fn lapse(&mut self, at: Tick) -> bool {
        let lapses = !self.absent && self.lapse_at().is_some_and(|due| due <= at);
        self.absent |= lapses;
        lapses
    }

    /// Whether they were absent and count again from `now` on.
    pub fn return_at(&mut self, now: Tick) -> bool {
        let back = self.absent && self.lapse_at().is_none_or(|due| due > now);
        self.absent &= !back;
        back
    }

    fn ask_at(&self) -> Option<Tick> {
        self.confirm_ms.map(|ms| self.confirmed.plus_ms(ms))
    }

    fn lapse_at(&self) -> Option<Tick> {
        let confirm = self.ask_at().map(|at| at.plus_ms(CONFIRM_GRACE_MS));
        let beat = self.beat.then(|| self.heard.plus_ms(SILENT_MS));
        confirm.into_iter().chain(beat).min()
    }
}

//! What four eyes demand, and whether it is met.

use super::seat::Seat;
use model::entry::Party;
use model::role::OnLeave;
use std::collections::{BTreeMap, BTreeSet};

/// What one role demands: one of several alternatives. Without any it is never met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Demand {
    /// One of these is enough.
    pub any_of: Vec<Alternative>,
}

/// One way to meet a demand. Who counts for it is decided by policy, when they enter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alternative {
    /// Its name, for people.
    pub name: String,
    /// How many must be there who count for it; 0 demands one, too.
    pub count: u8,
    /// What happens when they are no longer there.
    pub on_leave: OnLeave,
    /// How often in milliseconds who counts for it must confirm that they are there; never if not said.
    pub confirm_ms: Option<u64>,
    /// Whether who counts for it must be heard: without a beat for [`model::limit::SILENT_MS`] they do not count.
    pub beat: bool,
}

/// A demand and how it was met when it was last looked at.
#[derive(Debug)]
pub struct Eyes {
    demand: Demand,
    /// The strictest rule among the alternatives that were met; none if none was.
    met: Option<OnLeave>,
}

impl Eyes {
    /// A demand that is not met yet.
    pub fn new(demand: Demand) -> Self {
        Self { demand, met: None }
    }

    /// What is demanded.
    pub fn demand(&self) -> &Demand {
        &self.demand
    }

    /// Whether it was met when it was last looked at.
    pub fn met(&self) -> bool {
        self.met.is_some()
    }

    /// Looks who is there; `index` is this demand's place. If it was met before and is no longer: what must follow.
    pub fn look(&mut self, index: usize, seats: &BTreeMap<Party, Seat>) -> Option<OnLeave> {
        let alternatives = self.demand.any_of.iter().enumerate();
        let met = alternatives.filter(|(place, alternative)| {
            let there = seats.values().filter(|seat| seat.counts_for(index, *place));
            let people: BTreeSet<_> = there.map(|seat| seat.person).collect();
            people.len() >= usize::from(alternative.count.max(1))
        });
        let met = met.map(|(_, alternative)| alternative.on_leave).max();
        let before = std::mem::replace(&mut self.met, met);
        if met.is_none() { before } else { None }
    }
}

//! The kernel program's tables: which sessions are watched, and who is in them.

use crate::sys::kernel_tables::{Place, Row};
use aya::maps::{Array, HashMap, Map, MapData};
use model::kernel::Classes;
use model::limit::{KERNEL_SESSION_PROCESSES, KERNEL_SESSIONS};
use std::collections::{BTreeMap, BTreeSet};

/// Bits of `enum want`.
const COMMANDS: u32 = 1;
const FILES: u32 = 2;
const NETWORK: u32 = 4;
const CALLS: u32 = 8;

/// What stands in the kernel, and which of its rows are in use.
pub(super) struct Tables {
    sessions: Array<MapData, Row>,
    processes: HashMap<MapData, u32, Place>,
    audits: HashMap<MapData, u32, Place>,
    overgrown: Array<MapData, u32>,
    free: BTreeSet<u32>,
    turn: u32,
    /// Processes of one session that the tree holds.
    pub(super) most: u32,
    used: BTreeMap<u32, Used>,
}

struct Used {
    classes: Classes,
    audit: Option<u32>,
}

impl std::fmt::Debug for Tables {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Tables").field("used", &self.used.len()).finish_non_exhaustive()
    }
}

impl Tables {
    pub(super) fn new(sessions: Map, processes: Map, audits: Map, overgrown: Map) -> Option<Self> {
        Some(Self {
            sessions: Array::try_from(sessions).ok()?,
            processes: HashMap::try_from(processes).ok()?,
            audits: HashMap::try_from(audits).ok()?,
            overgrown: Array::try_from(overgrown).ok()?,
            free: (0..KERNEL_SESSIONS).collect(),
            turn: 0,
            most: KERNEL_SESSION_PROCESSES,
            used: BTreeMap::new(),
        })
    }

    /// A row for a session.
    pub(super) fn take(&mut self, classes: Classes) -> Result<Place, String> {
        let Some(slot) = self.free.pop_first() else {
            return Err(format!(
                "{KERNEL_SESSIONS} sessions are watched by this node already, and that is all it can watch at once"
            ));
        };
        self.turn = self.turn.checked_add(1).unwrap_or(1);
        let place = Place { slot, turn: self.turn };
        let calls = if classes.files || classes.network { CALLS } else { 0 };
        let bits =
            [(classes.commands, COMMANDS), (classes.files, FILES), (classes.network, NETWORK)];
        let wants = bits.iter().filter(|(is, _)| *is).fold(calls, |all, (_, bit)| all | bit);
        let row = Row { turn: place.turn, wants, most: self.most, ..Row::default() };
        if let Err(why) = self.sessions.set(slot, row, 0) {
            self.free.insert(slot);
            return Err(format!("the kernel takes no session: {why}"));
        }
        self.used.insert(slot, Used { classes, audit: None });
        Ok(place)
    }

    /// Puts processes into a row that has none yet.
    pub(super) fn enter(
        &mut self,
        place: Place,
        processes: &[u32],
        audit: Option<u32>,
    ) -> Result<(), String> {
        let refused = |why: aya::maps::MapError| format!("the kernel takes no process: {why}");
        if let Ok(row) = self.sessions.get(&place.slot, 0) {
            // As long as nobody is in it, nobody changes it in the meantime.
            let count = u32::try_from(processes.len()).unwrap_or(u32::MAX);
            let held = count.min(row.most);
            let beyond = row.beyond.saturating_add(u64::from(count.saturating_sub(held)));
            let _ = self.sessions.set(place.slot, Row { held, beyond, ..row }, 0);
            if beyond > 0 {
                let _ = self.overgrown.set(0, 1, 0);
            }
        }
        let most = usize::try_from(self.most).unwrap_or(usize::MAX);
        for process in processes.iter().take(most) {
            self.processes.insert(process, place, 0).map_err(refused)?;
        }
        if let (Some(audit), Some(used)) = (audit, self.used.get_mut(&place.slot)) {
            self.audits.insert(audit, place, 0).map_err(refused)?;
            used.audit = Some(audit);
        }
        Ok(())
    }

    /// Takes processes out again. Nobody else does: they have ended.
    pub(super) fn leave(&mut self, place: Place, processes: &[u32]) {
        let mut count: u32 = 0;
        for process in processes {
            count += u32::from(self.processes.remove(process).is_ok());
        }
        if let Ok(row) = self.sessions.get(&place.slot, 0)
            && count > 0
        {
            let held = row.held.saturating_sub(count);
            let _ = self.sessions.set(place.slot, Row { held, ..row }, 0);
        }
    }

    /// Takes everything in the row out of use: nothing more is written for it. Its counts are read by [`Tables::counts`].
    pub(super) fn stop(&mut self, place: Place) {
        if let Some(audit) = self.used.get_mut(&place.slot).and_then(|used| used.audit.take()) {
            let _ = self.audits.remove(&audit);
        }
        if let Ok(row) = self.sessions.get(&place.slot, 0).map(|row| Row { turn: 0, ..row }) {
            let _ = self.sessions.set(place.slot, row, 0);
        }
    }

    /// A row as it stands.
    pub(super) fn row(&self, place: Place) -> Row {
        let row = self.sessions.get(&place.slot, 0).unwrap_or_default();
        if row.turn == place.turn { row } else { Row::default() }
    }

    /// Whether strangers are looked at.
    #[cfg(test)]
    pub(super) fn overgrown(&self) -> u32 {
        self.overgrown.get(&0, 0).unwrap_or(2)
    }

    /// What was counted, and what the session wanted. The row is free afterwards.
    pub(super) fn give_back(&mut self, place: Place) -> (Row, Classes) {
        let row = self.sessions.get(&place.slot, 0).unwrap_or_default();
        let classes = self.used.remove(&place.slot).map_or(Classes::NONE, |used| used.classes);
        self.free.insert(place.slot);
        if row.beyond + row.unheld > 0 {
            let more = self.used.keys().any(|slot| {
                self.sessions.get(slot, 0).is_ok_and(|row| row.beyond + row.unheld > 0)
            });
            if !more {
                let _ = self.overgrown.set(0, 0, 0);
            }
        }
        (row, classes)
    }
}

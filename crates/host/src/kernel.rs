//! What really ran: the kernel program (`bpf/`) of a node, and the sessions that it watches.
//!
//! One program for all sessions of a node. [`Kernel::load`] hands it to the kernel, each of its parts by itself, so that a
//! kernel that refuses one still runs the others; [`Kernel::open`] takes a place for a session, and the session's process
//! is put into it before anything of the user's runs ([`crate::spawn`]). One thread takes the records out of the kernel's
//! ring and hands each session its own; nobody in here waits for a reader: what a session does not take is counted.

mod load;
mod probe;
mod reader;
mod tables;

use crate::freeze::Freezer;
use crate::kernel::load::Programs;
pub use crate::kernel::probe::probe;
use crate::kernel::reader::{Command, Reader};
use crate::kernel::tables::Tables;
use crate::sys;
use model::kernel::{Classes, Totals};
use std::io;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};
pub use trace::{Arch, Owner};

/// Why nothing can be watched on this machine. Words for a person, with what would help.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct Refused(pub(crate) String);

/// A part of the kernel program, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Its name, such as `on_exec`.
    pub name: &'static str,
    /// Where it is attached, such as `sched_process_exec`.
    pub place: &'static str,
    /// What it is for.
    pub what: &'static str,
    /// Why the kernel did not take it.
    pub refused: Option<String>,
}

/// How soon a thread runs that has something to do, where others want the processor too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Urgency {
    /// Before all that share the processor by turns (`SCHED_RR`), whatever they are.
    First,
    /// Before others of its own group of processes (`nice -20`); others' groups have their turns.
    Favoured,
    /// Like any other.
    Ordinary,
}

/// The kernel program of this node. Dropping it detaches everything and ends its thread.
#[derive(Debug)]
pub struct Kernel {
    shared: Arc<Shared>,
    parts: Vec<Part>,
    reader: Reader,
}

/// What sessions, spawning and the reader's thread share. The locks are held for single system calls only, never across
/// anything that waits for somebody.
#[derive(Debug)]
struct Shared {
    programs: Mutex<Programs>,
    tables: Mutex<Tables>,
}

impl Shared {
    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn programs(&self) -> MutexGuard<'_, Programs> {
        self.programs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A session's place: whoever is put into it is watched, with all that it begins.
#[derive(Debug, Clone)]
pub struct Place {
    shared: Arc<Shared>,
    place: crate::sys::kernel_tables::Place,
    gauge: Arc<Gauge>,
}

/// What the kernel saw of one session. Dropping it ends the watch.
#[derive(Debug)]
pub struct Records {
    place: Place,
    batches: mpsc::Receiver<Vec<u8>>,
    gauge: Arc<Gauge>,
    commands: reader::Commands,
    /// What was counted before the line that was drawn last.
    before: Totals,
    closed: bool,
}

/// How much of a session's records waits for its recorder, and how many were thrown away because of that.
#[derive(Debug, Default)]
struct Gauge {
    waiting: AtomicUsize,
    thrown_away: AtomicU64,
    /// Whether nothing may be thrown away: the session is held instead, by its brake, which it has before it begins.
    lossless: bool,
    brake: OnceLock<Weak<Freezer>>,
}

impl Gauge {
    fn brake(&self) -> Option<Arc<Freezer>> {
        if !self.lossless {
            return None;
        }
        self.brake.get().and_then(Weak::upgrade)
    }
}

/// What is left at the end of a watch, or at a line that is drawn through it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Last {
    /// Records that were not taken yet, one behind the other.
    pub records: Vec<Vec<u8>>,
    /// Records that found no room in the kernel, over all.
    pub lost: u64,
    /// Records that were thrown away because they were not taken, over all.
    pub thrown_away: u64,
    /// Sums since the last line.
    pub totals: Totals,
}

/// The kernel's clock, in nanoseconds since the machine started (`CLOCK_BOOTTIME`).
#[must_use]
pub fn clock() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(u64::try_from(now.tv_nsec).unwrap_or(0))
}

/// The namespace of mounts that this process is in, whose paths mean what they mean to it.
#[must_use]
pub fn mounts() -> Option<u32> {
    let stat = rustix::fs::stat("/proc/self/ns/mnt").ok()?;
    u32::try_from(stat.st_ino).ok()
}

impl Kernel {
    /// Hands the program to the kernel. Blocks for some hundred milliseconds, because the kernel proves it harmless.
    ///
    /// # Errors
    /// With what is missing, for a person.
    pub fn load() -> Result<Self, Refused> {
        let loaded = load::load();
        // The kernel's types are read whole, once: 23 MiB for a few offsets.
        sys::give_memory_back();
        let load::Loaded { programs, parts, tables, ring } = loaded?;
        let shared =
            Arc::new(Shared { programs: Mutex::new(programs), tables: Mutex::new(tables) });
        let failed = |why: io::Error| Refused(format!("cannot read what the kernel sees: {why}"));
        let reader = Reader::start(Arc::clone(&shared), ring).map_err(failed)?;
        Ok(Self { shared, parts, reader })
    }

    /// Its parts, and what became of each.
    #[must_use]
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// How soon the thread runs that takes out what the kernel saw.
    #[must_use]
    pub fn urgency(&self) -> Urgency {
        self.reader.urgency()
    }

    /// Takes a place for a session that wants these classes; a `lossless` one stands still rather than that something is
    /// thrown away, where it has a control group. Answers what of them the kernel gives, and why not all.
    ///
    /// # Errors
    /// When none of them can be had, with words for a person.
    pub fn open(
        &self,
        wants: Classes,
        lossless: bool,
    ) -> Result<(Place, Records, Classes, String), Refused> {
        let (given, lacks) = load::given(&self.parts, wants);
        if !given.any() {
            return Err(Refused(lacks));
        }
        self.shared.programs().attach(given).map_err(Refused)?;
        let skipped = self.shared.programs().skipped();
        let taken = self.shared.tables().take(given);
        let place = match taken {
            Ok(place) => {
                let gauge = Arc::new(Gauge { lossless, ..Gauge::default() });
                Place { shared: Arc::clone(&self.shared), place, gauge }
            }
            Err(why) => {
                self.shared.programs().detach(given);
                return Err(Refused(why));
            }
        };
        let (sender, batches) = mpsc::channel(reader::BATCHES);
        let gauge = Arc::clone(&place.gauge);
        let commands = self.reader.commands();
        let opened = Command::Open { place: place.place, sender, gauge: Arc::clone(&gauge) };
        commands.send(opened);
        let before = Totals { skipped, ..Totals::default() };
        let records =
            Records { place: place.clone(), batches, gauge, commands, before, closed: false };
        Ok((place, records, given, lacks))
    }
}

impl Place {
    /// From here on the session can be held.
    pub(crate) fn brake_with(&self, brake: Weak<Freezer>) {
        let _ = self.gauge.brake.set(brake);
    }

    /// Puts a process into it, by its number and by the audit session that it has begun.
    pub(crate) fn enter(&self, process: u32, audit: Option<u32>) -> Result<(), Refused> {
        self.shared.tables().enter(self.place, &[process], audit).map_err(Refused)
    }

    /// Puts processes into it that run already; those that stand still meanwhile begin none that is missed.
    pub(crate) fn enter_all(&self, processes: &[u32], audit: Option<u32>) -> Result<(), Refused> {
        self.shared.tables().enter(self.place, processes, audit).map_err(Refused)
    }

    /// What stands in records of this session.
    #[must_use]
    pub fn owner(&self) -> Owner {
        Owner { slot: self.place.slot, turn: self.place.turn }
    }

    /// Takes processes out of it that were found to have ended before they were put in.
    pub(crate) fn leave(&self, processes: &[u32]) {
        self.shared.tables().leave(self.place, processes);
    }

    /// Whether there were more processes of it than the kernel's table holds, or took.
    #[must_use]
    pub fn overgrew(&self) -> bool {
        let row = self.shared.tables().row(self.place);
        row.beyond > 0 || row.unheld > 0
    }

    /// How many processes the kernel's table holds of it.
    #[must_use]
    pub fn held(&self) -> u32 {
        self.shared.tables().row(self.place).held
    }
}

impl Records {
    /// The next records, whole ones one behind the other. Cancel safe.
    pub async fn next(&mut self) -> Vec<u8> {
        match self.batches.recv().await {
            Some(batch) => {
                self.gauge.waiting.fetch_sub(batch.len(), Ordering::Relaxed);
                batch
            }
            // The reader has ended, which it does with the node only.
            None => std::future::pending().await,
        }
    }

    /// How many records were thrown away so far because they were not taken.
    #[must_use]
    pub fn thrown_away(&self) -> u64 {
        self.gauge.thrown_away.load(Ordering::Relaxed)
    }

    /// Ends the watch; everything that the kernel has written before is in what it answers.
    pub async fn finish(mut self) -> Last {
        let (reply, told) = oneshot::channel();
        self.closed = true;
        self.commands.send(Command::Close { place: self.place.place, reply: Some(reply) });
        self.last(told).await
    }

    /// Draws a line: everything that the kernel has written before is in what it answers, and the watch goes on.
    pub async fn cut(&mut self) -> Last {
        let (reply, told) = oneshot::channel();
        self.commands.send(Command::Cut { place: self.place.place, reply });
        self.last(told).await
    }

    async fn last(&mut self, told: oneshot::Receiver<reader::Counted>) -> Last {
        let reader::Counted { row, came, thrown_away, kept } = told.await.unwrap_or_default();
        let mut records = Vec::new();
        while let Ok(batch) = self.batches.try_recv() {
            self.gauge.waiting.fetch_sub(batch.len(), Ordering::Relaxed);
            records.push(batch);
        }
        records.push(kept);
        let all = Totals {
            sent: came.saturating_sub(thrown_away),
            lost: row.lost.saturating_add(thrown_away),
            beyond: row.beyond,
            unheld: row.unheld,
            skipped: self.place.shared.programs().skipped(),
            left: row.held,
        };
        let before = std::mem::replace(&mut self.before, all);
        let totals = Totals {
            sent: all.sent.saturating_sub(before.sent),
            lost: all.lost.saturating_sub(before.lost),
            beyond: all.beyond.saturating_sub(before.beyond),
            unheld: all.unheld.saturating_sub(before.unheld),
            skipped: all.skipped.saturating_sub(before.skipped),
            left: all.left,
        };
        Last { records, lost: row.lost, thrown_away, totals }
    }
}

impl Drop for Records {
    fn drop(&mut self) {
        if !self.closed {
            self.commands.send(Command::Close { place: self.place.place, reply: None });
        }
    }
}

#[cfg(test)]
mod tests;

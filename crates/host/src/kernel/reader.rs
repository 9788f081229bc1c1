//! The thread that takes records out of the kernel's ring and hands each session its own.

use super::{Gauge, Shared, Urgency};
use crate::sys;
use crate::sys::kernel_tables::{Place, Row};
use aya::maps::{MapData, RingBuf};
use model::limit::{
    KERNEL_BATCH_BYTES, KERNEL_GATHER_MS, KERNEL_HOLD_BYTES, KERNEL_RING_BYTES,
    KERNEL_WAITING_BYTES,
};
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec};
use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use tokio::sync::{mpsc, oneshot};

/// Batches that wait for a session. The bytes are bounded by [`KERNEL_WAITING_BYTES`]; small ones by this.
pub(super) const BATCHES: usize = 1024;

/// The thread's place among others for the processor, where it may not be before all of them (setpriority(2)).
const FAVOURED: i32 = -20;
/// As [`KERNEL_GATHER_MS`], while a session is watched of which nothing may be lost.
const HURRY_MS: u64 = 2;
/// Between two looks whether a session that is held may go on.
const HELD_MS: u64 = 5;

/// What was counted of a session's records up to a line.
#[derive(Debug, Default)]
pub(super) struct Counted {
    /// As the kernel counts; `lost` are those that found no room in the ring.
    pub(super) row: Row,
    /// Records that came out of the ring.
    pub(super) came: u64,
    /// Those among them that were thrown away.
    pub(super) thrown_away: u64,
    /// Those that had no room to be handed over before.
    pub(super) kept: Vec<u8>,
}

/// What the thread is asked.
pub(super) enum Command {
    /// From here on, records of this place go there.
    Open { place: Place, sender: mpsc::Sender<Vec<u8>>, gauge: Arc<Gauge> },
    /// And from here on no more; with the row's counts when all that was written has been handed over, and what had no
    /// room then.
    Close { place: Place, reply: Option<oneshot::Sender<Counted>> },
    /// What was counted up to here, likewise; it goes on.
    Cut { place: Place, reply: oneshot::Sender<Counted> },
    /// It ends.
    End,
}

/// The way to the thread. What waits in it is bounded: two for each session there can be.
#[derive(Debug, Clone)]
pub(super) struct Commands {
    waiting: Arc<Mutex<Vec<Command>>>,
    bell: Arc<OwnedFd>,
}

impl std::fmt::Debug for Command {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(match self {
            Self::Open { .. } => "Open",
            Self::Close { .. } => "Close",
            Self::Cut { .. } => "Cut",
            Self::End => "End",
        })
    }
}

impl Commands {
    pub(super) fn send(&self, command: Command) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).push(command);
        let _ = rustix::io::write(&*self.bell, &1_u64.to_ne_bytes());
    }

    fn take(&self) -> Vec<Command> {
        let _ = rustix::io::read(&*self.bell, &mut [0; 8]);
        std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The thread, ended when this is dropped.
#[derive(Debug)]
pub(super) struct Reader {
    commands: Commands,
    urgency: Urgency,
    thread: Option<JoinHandle<()>>,
}

impl Reader {
    pub(super) fn start(shared: Arc<Shared>, ring: RingBuf<MapData>) -> io::Result<Self> {
        let bell = rustix::event::eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let commands = Commands { waiting: Arc::default(), bell: Arc::new(bell) };
        let desk = Desk { shared, ring, commands: commands.clone(), sinks: BTreeMap::new() };
        let (tell, told) = std::sync::mpsc::sync_channel(1);
        let thread = std::thread::Builder::new().name("kernel".to_owned()).spawn(move || {
            let _ = tell.send(hurry());
            desk.run();
        })?;
        let urgency = told.recv().unwrap_or(Urgency::Ordinary);
        Ok(Self { commands, urgency, thread: Some(thread) })
    }

    pub(super) fn urgency(&self) -> Urgency {
        self.urgency
    }

    pub(super) fn commands(&self) -> Commands {
        self.commands.clone()
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.commands.send(Command::End);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Has this thread run before others. On a busy machine it must be there before the ring is full, which a storm fills in
/// some hundredths of a second; and being nicer than others counts within one group of processes only, which each session
/// is one of by itself (`sched_autogroup`, sched(7)).
fn hurry() -> Urgency {
    if sys::run_first() {
        return Urgency::First;
    }
    match rustix::process::setpriority_process(Some(rustix::thread::gettid()), FAVOURED) {
        Ok(()) => Urgency::Favoured,
        Err(_) => Urgency::Ordinary,
    }
}

/// What the thread has.
struct Desk {
    shared: Arc<Shared>,
    ring: RingBuf<MapData>,
    commands: Commands,
    sinks: BTreeMap<u32, Sink>,
}

/// Where one session's records go.
struct Sink {
    place: Place,
    sender: mpsc::Sender<Vec<u8>>,
    gauge: Arc<Gauge>,
    batch: Vec<u8>,
    records: u64,
    /// Records that came, handed over or thrown away.
    came: u64,
    thrown_away: u64,
    /// Whether the session stands still until its recorder has taken what waits.
    held: bool,
}

impl Desk {
    fn run(mut self) {
        'all: while let Ok(waiting) = self.wait() {
            for command in self.commands.take() {
                match command {
                    Command::Open { place, sender, gauge } => {
                        let sink = Sink {
                            place,
                            sender,
                            gauge,
                            batch: Vec::new(),
                            records: 0,
                            came: 0,
                            thrown_away: 0,
                            held: false,
                        };
                        self.sinks.insert(place.slot, sink);
                    }
                    Command::Close { place, reply } => self.close(place, reply),
                    Command::Cut { place, reply } => self.cut(place, reply),
                    Command::End => break 'all,
                }
            }
            if waiting {
                self.drain();
            }
            self.sinks.values_mut().for_each(Sink::release);
        }
        // Nobody is left standing because of this thread.
        for sink in self.sinks.values_mut().filter(|sink| sink.held) {
            sink.let_go();
        }
    }

    /// Waits for a record or a command. Records gather for a moment, so that a storm does not wake anybody for each.
    fn wait(&self) -> io::Result<bool> {
        let poll = |with_ring: bool, limit: Option<&Timespec>| -> io::Result<bool> {
            let mut both = [
                PollFd::new(&*self.commands.bell, PollFlags::IN),
                PollFd::from_borrowed_fd(self.ring.as_fd(), PollFlags::IN),
            ];
            let some =
                if with_ring { &mut both[..] } else { both.get_mut(..1).unwrap_or_default() };
            match rustix::event::poll(some, limit) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            Ok(both.last().is_some_and(|ring| !ring.revents().is_empty()))
        };
        let pause =
            |ms: u64| Timespec { tv_sec: 0, tv_nsec: i64::try_from(ms).unwrap_or(0) * 1_000_000 };
        // Whoever is held is looked at again soon.
        let held = self.sinks.values().any(|sink| sink.held || !sink.batch.is_empty());
        let waiting = poll(true, held.then(|| pause(HELD_MS)).as_ref())?;
        // Where nothing may be lost it is soon known how much there is.
        let hurry = self.sinks.values().any(|sink| sink.gauge.lossless);
        if waiting {
            poll(false, Some(&pause(if hurry { HURRY_MS } else { KERNEL_GATHER_MS })))?;
        }
        Ok(waiting)
    }

    /// Hands over everything that is in the ring, and of what comes meanwhile no more than that can be: others wait too.
    fn drain(&mut self) {
        let mut left = usize::try_from(KERNEL_RING_BYTES).unwrap_or(0);
        while left > 0
            && let Some(record) = self.ring.next()
        {
            left = left.saturating_sub(record.len().max(1));
            let Some(owner) = trace::owner(&record) else { continue };
            // Of a session that is over, whose processes go on.
            let Some(sink) = self.sinks.get_mut(&owner.slot) else { continue };
            if sink.place.turn != owner.turn {
                continue;
            }
            sink.take(&record);
        }
        for sink in self.sinks.values_mut() {
            sink.hand_over();
        }
    }

    fn cut(&mut self, place: Place, reply: oneshot::Sender<Counted>) {
        self.drain();
        // Read behind the ring: what is lost from here on is found at the next line.
        let row = self.shared.tables().row(place);
        let sink = self.sinks.get_mut(&place.slot).filter(|sink| sink.place.turn == place.turn);
        let _ = reply.send(sink.map(|sink| sink.counted(row)).unwrap_or_default());
    }

    fn close(&mut self, place: Place, reply: Option<oneshot::Sender<Counted>>) {
        self.shared.tables().stop(place);
        self.drain();
        let (row, classes) = self.shared.tables().give_back(place);
        self.shared.programs().detach(classes);
        let mut sink = self.sinks.remove(&place.slot);
        if let Some(sink) = &mut sink {
            sink.let_go();
        }
        if let Some(reply) = reply {
            let _ = reply.send(sink.map(|mut sink| sink.counted(row)).unwrap_or_default());
        }
    }
}

impl Sink {
    fn take(&mut self, record: &[u8]) {
        self.came += 1;
        if self.batch.len() + record.len() > KERNEL_BATCH_BYTES {
            self.hand_over();
        }
        self.batch.extend_from_slice(record);
        self.records += 1;
    }

    /// Hands the batch over, or throws it away and counts what was in it: nobody waits for a session's recorder here. A
    /// session that can be held is held instead, and its batch kept until there is room.
    fn hand_over(&mut self) {
        if self.batch.is_empty() {
            return;
        }
        // Of a session that is held no more comes than is in the ring already.
        let ring = usize::try_from(KERNEL_RING_BYTES).unwrap_or(0);
        let lossless = self.gauge.lossless;
        let most = KERNEL_WAITING_BYTES + if lossless { ring } else { 0 };
        let bytes = self.batch.len();
        let waiting = self.gauge.waiting.load(Ordering::Relaxed) + bytes;
        match self.sender.try_reserve() {
            Ok(permit) if waiting <= most => {
                self.gauge.waiting.fetch_add(bytes, Ordering::Relaxed);
                permit.send(std::mem::take(&mut self.batch));
                self.records = 0;
            }
            Err(_) if waiting <= most && lossless => {}
            _ => {
                self.batch.clear();
                let thrown_away = std::mem::take(&mut self.records);
                self.thrown_away += thrown_away;
                self.gauge.thrown_away.fetch_add(thrown_away, Ordering::Relaxed);
            }
        }
        let high = waiting > KERNEL_HOLD_BYTES || !self.batch.is_empty();
        if high
            && !self.held
            && let Some(brake) = self.gauge.brake()
        {
            self.held = brake.hold();
        }
    }

    /// What was counted up to here; what had no room is taken out, too.
    fn counted(&mut self, row: Row) -> Counted {
        self.records = 0;
        let kept = std::mem::take(&mut self.batch);
        Counted { row, came: self.came, thrown_away: self.thrown_away, kept }
    }

    /// Hands over what was kept, and lets a session go on whose recorder has taken most of what waited.
    fn release(&mut self) {
        self.hand_over();
        let waiting = self.gauge.waiting.load(Ordering::Relaxed);
        if self.held && self.batch.is_empty() && waiting <= KERNEL_HOLD_BYTES / 4 {
            self.let_go();
        }
    }

    /// As far as that can be done now; else it is still held, and looked at again.
    fn let_go(&mut self) {
        if self.held {
            self.held = self.gauge.brake().is_some_and(|brake| !brake.release());
        }
    }
}

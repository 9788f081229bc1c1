//! A queue for input that a process does not take: in memory first, then in an encrypted file, then it waits.
//!
//! The SSH library's receive side has one loop for all channels of a connection, and a channel that does not take its
//! bytes holds all of them up. So the reader of a channel pushes into such a queue, which takes bytes at once up to a
//! generous bound, and whoever feeds the process pulls from it.
//!
//! Invariant: bytes come out as they went in, in order, or an error comes out; an end comes out only where one was put in.

mod quota;
mod spill;

pub use quota::Quota;

use bytes::{Bytes, BytesMut};
use model::limit;
use spill::Spill;
use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use thiserror::Error;
use tokio::sync::Notify;

/// Pieces smaller than this are copied together, so that a flood of single bytes costs little more than its bytes.
const MERGE_BYTES: usize = 4 * 1024;

/// Why a queue cannot go on. The display is a line for the person at the other end.
#[derive(Debug, Clone, Error)]
pub enum ElasticError {
    /// The pulling end is gone: the process does not read any more.
    #[error("nobody reads this input any more")]
    Closed,
    /// The pushing end is gone without [`Push::finish`]: what was queued is no longer wanted.
    #[error("the input was broken off before its end")]
    Abandoned,
    /// The queue was full and nothing was taken from it for the time allowed.
    #[error(
        "the program has read nothing for {} s and {held} bytes of input wait for it: \
         the channel is closed",
        .stalled_ms / 1000
    )]
    Stalled {
        /// Bytes that wait in this queue.
        held: u64,
        /// How long nothing was taken, in milliseconds.
        stalled_ms: u64,
    },
    /// The file could not be made, written or read.
    #[error(
        "cannot {doing} the buffer for waiting input in {}: \
         check that the directory exists and its disk has space",
        .dir.display()
    )]
    Disk {
        /// What was tried: `create`, `write` or `read`.
        doing: &'static str,
        /// Where.
        dir: PathBuf,
        /// What the system said.
        #[source]
        source: Arc<io::Error>,
    },
}

/// How much a queue holds and how long it waits.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes in memory, about; [`limit::ELASTIC_MEMORY_BYTES`].
    pub memory_bytes: usize,
    /// Bytes in memory and file; [`limit::ELASTIC_CHANNEL_BYTES`].
    pub channel_bytes: u64,
    /// Milliseconds at the bound without progress after which a push fails; [`limit::ELASTIC_STALL_MS`].
    pub stall_ms: u64,
    /// Milliseconds that a push waits for a reader who is at work, before it uses the file; [`limit::ELASTIC_PATIENCE_MS`].
    pub patience_ms: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_bytes: limit::ELASTIC_MEMORY_BYTES,
            channel_bytes: limit::ELASTIC_CHANNEL_BYTES,
            stall_ms: limit::ELASTIC_STALL_MS,
            patience_ms: limit::ELASTIC_PATIENCE_MS,
        }
    }
}

/// Makes queues.
#[derive(Debug)]
pub struct Elastic;

impl Elastic {
    /// A queue that spills into `dir`, which should lie on the data disk, never in memory (tmpfs).
    /// Nothing is opened before it is needed, so an ordinary session costs no file.
    #[expect(clippy::new_ret_no_self, reason = "a queue is known only by its two ends")]
    #[must_use]
    pub fn new(dir: &Path, quota: Quota) -> (Push, Pull) {
        Self::with_limits(dir, quota, Limits::default())
    }

    /// As [`Elastic::new`], with other bounds.
    #[must_use]
    pub fn with_limits(dir: &Path, quota: Quota, limits: Limits) -> (Push, Pull) {
        let shared = Arc::new(Shared {
            dir: dir.to_owned(),
            quota,
            limits,
            queue: Mutex::new(Queue::default()),
            room: Notify::new(),
            filled: Notify::new(),
        });
        (Push { shared: Arc::clone(&shared), finished: false }, Pull { shared })
    }
}

/// The end that bytes go into. Dropping it without [`Push::finish`] throws away what is queued.
#[derive(Debug)]
pub struct Push {
    shared: Arc<Shared>,
    finished: bool,
}

impl Push {
    /// Queues `bytes`. Completes at once while there is room in memory; then it waits a moment for a reader who is at work,
    /// because a file costs both more than the wait; a reader who took nothing in that moment is not waited for again
    /// until they take something. In the file it completes as fast as the disk takes the bytes; at the bound it waits for
    /// the other end.
    /// If it is cancelled while it waits, nothing was queued.
    ///
    /// # Errors
    /// [`ElasticError::Closed`] when the other end is gone, [`ElasticError::Stalled`] when nothing was pulled for the time
    /// allowed while the queue was full, [`ElasticError::Disk`] when the file fails. After any of them the channel is to be closed.
    pub async fn push(&mut self, bytes: Bytes) -> Result<(), ElasticError> {
        if bytes.is_empty() {
            return Ok(());
        }
        let shared = &self.shared;
        // As a rule there is room, and the timers below would cost more than the rest.
        if shared.offer(&bytes, true)? {
            return Ok(());
        }
        let patience = tokio::time::sleep(Duration::from_millis(shared.limits.patience_ms));
        tokio::pin!(patience);
        let (mut patient, taken) = (true, shared.lock().taken);
        loop {
            let freed = shared.quota.freed().notified();
            tokio::pin!(freed);
            freed.as_mut().enable();
            if shared.offer(&bytes, patient)? {
                return Ok(());
            }
            let pause = Duration::from_millis((shared.limits.stall_ms / 4).clamp(1, 1000));
            tokio::select! {
                () = shared.room.notified() => {}
                () = &mut freed => {}
                () = &mut patience, if patient => {
                    patient = false;
                    let mut queue = shared.lock();
                    queue.asleep = queue.taken == taken;
                }
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Says that nothing more comes: the other end gets what is queued, then the end.
    pub fn finish(mut self) {
        self.finished = true;
        self.shared.lock().finished = true;
        self.shared.filled.notify_one();
    }

    /// Bytes that wait.
    #[must_use]
    pub fn held(&self) -> u64 {
        self.shared.lock().held()
    }

    /// Milliseconds for which this queue has been full without anything being pulled; 0 while it is not full.
    #[must_use]
    pub fn stalled_for_ms(&self) -> u64 {
        self.shared.lock().stalled_for_ms()
    }
}

impl Drop for Push {
    fn drop(&mut self) {
        if !self.finished {
            self.shared.give_up(ElasticError::Abandoned);
        }
    }
}

/// The end that bytes come out of. Dropping it throws away what is queued; the other end gets [`ElasticError::Closed`].
#[derive(Debug)]
pub struct Pull {
    shared: Arc<Shared>,
}

impl Pull {
    /// The next bytes, waiting for them; `None` at the end that [`Push::finish`] put. Nothing is lost if it is cancelled.
    ///
    /// # Errors
    /// [`ElasticError::Abandoned`] when the other end was dropped without saying that it had finished,
    /// [`ElasticError::Disk`] when the file failed; the process must then not be told that its input ended well.
    pub async fn pull(&mut self) -> Result<Option<Bytes>, ElasticError> {
        loop {
            match self.shared.next()? {
                Next::Bytes(bytes) => return Ok(Some(bytes)),
                Next::End => return Ok(None),
                Next::Wait => self.shared.filled.notified().await,
            }
        }
    }

    /// Bytes that wait.
    #[must_use]
    pub fn held(&self) -> u64 {
        self.shared.lock().held()
    }
}

impl Drop for Pull {
    fn drop(&mut self) {
        self.shared.give_up(ElasticError::Closed);
    }
}

enum Next {
    Bytes(Bytes),
    End,
    Wait,
}

#[derive(Debug)]
struct Shared {
    dir: PathBuf,
    quota: Quota,
    limits: Limits,
    /// Shared by two ends in two tasks and by file work on the blocking pool; held for moments only, never across file work.
    queue: Mutex<Queue>,
    /// There may be room for the pushing end.
    room: Notify,
    /// There may be something for the pulling end.
    filled: Notify,
}

/// In stream order: `front` (memory), the file, `writing` (on its way to the file), `back` (memory).
#[derive(Debug, Default)]
struct Queue {
    front: VecDeque<Bytes>,
    front_bytes: usize,
    file: Option<Arc<Spill>>,
    /// Positions in the stream: how far the file was read and written, and which position stands at the file's offset 0.
    read: u64,
    written: u64,
    base: u64,
    /// File offset up to which the space was given back; `None` once the file system refused that.
    punched: Option<u64>,
    writing: usize,
    /// File work is under way on this side.
    write_busy: bool,
    read_busy: bool,
    back: BytesMut,
    finished: bool,
    /// Why nothing more is taken. What stands before a failed write still comes out.
    gone: Option<ElasticError>,
    /// Everything was freed; answers of file work that is still under way are thrown away.
    freed: bool,
    /// Pieces that came out; and whether none did while a push was patient.
    taken: u64,
    asleep: bool,
    /// When this queue was last found full, unless something was pulled since.
    full_since: Option<Instant>,
}

impl Queue {
    fn on_disk(&self) -> u64 {
        self.written.saturating_sub(self.read)
    }

    fn held(&self) -> u64 {
        self.on_disk() + as_u64(self.front_bytes + self.writing + self.back.len())
    }

    /// What counts towards the bound: where read space cannot be given back it still takes up the disk.
    fn weight(&self) -> u64 {
        let lost = if self.punched.is_none() { self.read.saturating_sub(self.base) } else { 0 };
        self.held() + lost
    }

    fn spilling(&self) -> bool {
        self.on_disk() > 0 || self.writing > 0 || self.write_busy || !self.back.is_empty()
    }

    fn stalled_for_ms(&self) -> u64 {
        self.full_since.map_or(0, |since| as_u64(since.elapsed().as_millis()))
    }

    fn put_front(&mut self, bytes: Bytes) {
        self.front_bytes += bytes.len();
        self.front.push_back(bytes);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes that one piece of file work moves.
    fn chunk_bytes(&self) -> usize {
        (self.limits.memory_bytes / 4).max(1)
    }

    /// Takes the bytes, or says that there is no room, or none in memory as long as the caller is patient.
    fn offer(self: &Arc<Self>, bytes: &Bytes, patient: bool) -> Result<bool, ElasticError> {
        let count = as_u64(bytes.len());
        let mut queue = self.lock();
        if let Some(gone) = &queue.gone {
            return Err(gone.clone());
        }
        let fits = queue.front_bytes + bytes.len() <= self.limits.memory_bytes / 2;
        let in_memory = fits && !queue.spilling();
        if patient && !in_memory && !queue.asleep && queue.held() > 0 {
            return Ok(false);
        }
        let weight = queue.weight();
        let over = weight > 0 && weight.saturating_add(count) > self.limits.channel_bytes;
        if !over && queue.write_busy && queue.back.len() >= self.chunk_bytes() {
            return Ok(false);
        }
        if over || !self.quota.take(count) {
            return self.refuse(&mut queue).map(|()| false);
        }
        queue.full_since = None;
        if in_memory {
            self.put_in_memory(&mut queue, bytes);
        } else {
            queue.back.extend_from_slice(bytes);
            self.write_if_due(&mut queue);
        }
        drop(queue);
        self.filled.notify_one();
        Ok(true)
    }

    /// A queue that holds nothing is not to blame when its user's account is used up, so it only waits.
    fn refuse(&self, queue: &mut Queue) -> Result<(), ElasticError> {
        let held = queue.held();
        if held == 0 {
            return Ok(());
        }
        queue.full_since.get_or_insert_with(Instant::now);
        let stalled_ms = queue.stalled_for_ms();
        if stalled_ms < self.limits.stall_ms {
            return Ok(());
        }
        Err(ElasticError::Stalled { held, stalled_ms })
    }

    fn put_in_memory(&self, queue: &mut Queue, bytes: &Bytes) {
        let joined = match queue.front.pop_back() {
            Some(last) if last.len() + bytes.len() <= MERGE_BYTES => {
                queue.front_bytes -= last.len();
                // The last piece is unshared as a rule, and grows in place.
                let mut grown =
                    last.try_into_mut().unwrap_or_else(|kept| BytesMut::from(&kept[..]));
                grown.extend_from_slice(bytes);
                grown.freeze()
            }
            Some(last) => {
                queue.front.push_back(last);
                bytes.clone()
            }
            None => bytes.clone(),
        };
        queue.put_front(joined);
    }

    /// Begins to write what is at the back, if there is enough of it and nothing is being written.
    fn write_if_due(self: &Arc<Self>, queue: &mut Queue) {
        if queue.write_busy || queue.back.len() < self.chunk_bytes() {
            return;
        }
        let bytes = Vec::from(queue.back.split());
        queue.writing = bytes.len();
        queue.write_busy = true;
        let (shared, file) = (Arc::clone(self), queue.file.clone());
        let (position, offset) = (queue.written, queue.written - queue.base);
        // Not awaited: the blocking pool finishes it whatever becomes of the ends, and tells them by the two bells.
        drop(tokio::task::spawn_blocking(move || shared.write(file, bytes, position, offset)));
    }

    fn write(
        self: Arc<Self>,
        file: Option<Arc<Spill>>,
        bytes: Vec<u8>,
        position: u64,
        offset: u64,
    ) {
        let count = bytes.len();
        let opened = match file {
            Some(file) => Ok(file),
            None => Spill::open(&self.dir).map(Arc::new).map_err(|source| ("create", source)),
        };
        let done = opened.and_then(|file| {
            file.write(bytes, position, offset).map_err(|source| ("write", source))?;
            Ok(file)
        });
        let mut queue = self.lock();
        queue.write_busy = false;
        queue.writing = 0;
        match done {
            _ if queue.freed => {}
            Ok(file) => {
                if queue.file.is_none() {
                    queue.punched = Some(0);
                }
                queue.file = Some(file);
                queue.written += as_u64(count);
                self.write_if_due(&mut queue);
            }
            Err((doing, source)) => {
                let lost = count + std::mem::take(&mut queue.back).len();
                self.quota.give_back(as_u64(lost));
                queue.gone = Some(self.disk_error(doing, source));
            }
        }
        drop(queue);
        self.ring();
    }

    /// The next bytes if there are any in memory; else sees to it that some come.
    fn next(self: &Arc<Self>) -> Result<Next, ElasticError> {
        let mut queue = self.lock();
        if let Some(bytes) = queue.front.pop_front() {
            queue.front_bytes -= bytes.len();
            queue.full_since = None;
            queue.taken += 1;
            queue.asleep = false;
            drop(queue);
            self.quota.give_back(as_u64(bytes.len()));
            self.room.notify_one();
            return Ok(Next::Bytes(bytes));
        }
        if queue.on_disk() > 0 {
            self.read_ahead(&mut queue);
            return Ok(Next::Wait);
        }
        if let Some(gone) = &queue.gone {
            return Err(gone.clone());
        }
        if queue.writing > 0 || queue.read_busy {
            return Ok(Next::Wait);
        }
        if !queue.back.is_empty() {
            let bytes = queue.back.split().freeze();
            queue.put_front(bytes);
            drop(queue);
            return self.next();
        }
        Ok(if queue.finished { Next::End } else { Next::Wait })
    }

    fn read_ahead(self: &Arc<Self>, queue: &mut Queue) {
        let Some(file) = queue.file.clone().filter(|_| !queue.read_busy) else { return };
        queue.read_busy = true;
        let count = usize::try_from(queue.on_disk()).unwrap_or(usize::MAX).min(self.chunk_bytes());
        let (position, offset) = (queue.read, queue.read - queue.base);
        let punched = queue.punched;
        let shared = Arc::clone(self);
        // Not awaited, as in `write_if_due`: the bytes go to the front, so a cancelled pull loses none.
        drop(tokio::task::spawn_blocking(move || {
            shared.read(&file, count, position, offset, punched);
        }));
    }

    fn read(
        self: &Arc<Self>,
        file: &Spill,
        count: usize,
        position: u64,
        offset: u64,
        punched: Option<u64>,
    ) {
        let done = file.read(count, position, offset);
        let punched = punched.and_then(|from| file.punch(from, offset + as_u64(count)).ok());
        let bytes = match done {
            Ok(bytes) => bytes,
            Err(source) => return self.give_up(self.disk_error("read", source)),
        };
        let mut queue = self.lock();
        queue.read_busy = false;
        if queue.freed {
            return;
        }
        queue.read += as_u64(count);
        queue.punched = punched;
        queue.put_front(bytes.into());
        let empty = queue.on_disk() == 0 && !queue.write_busy;
        queue.write_busy |= empty;
        drop(queue);
        self.ring();
        if empty {
            self.clear(file);
        }
    }

    /// The file is read to its end: back to its beginning, and to memory. `write_busy` keeps writers off meanwhile.
    fn clear(self: &Arc<Self>, file: &Spill) {
        let cleared = file.clear().is_ok();
        let mut queue = self.lock();
        queue.write_busy = false;
        if queue.freed {
            return;
        }
        if cleared {
            queue.base = queue.written;
            queue.punched = Some(0);
        }
        self.write_if_due(&mut queue);
        drop(queue);
        self.ring();
    }

    fn disk_error(&self, doing: &'static str, source: io::Error) -> ElasticError {
        let error = ElasticError::Disk { doing, dir: self.dir.clone(), source: Arc::new(source) };
        tracing::warn!(error = &error as &dyn std::error::Error, "input buffer failed");
        error
    }

    /// One end is gone, or bytes are lost: everything is freed.
    fn give_up(&self, why: ElasticError) {
        let mut queue = self.lock();
        let held = queue.held();
        let gone = queue.gone.take().or(Some(why));
        let old = std::mem::replace(&mut *queue, Queue { gone, freed: true, ..Queue::default() });
        drop(queue);
        drop(old);
        self.quota.give_back(held);
        self.ring();
    }

    fn ring(&self) {
        self.room.notify_one();
        self.filled.notify_one();
    }
}

fn as_u64<N: TryInto<u64>>(number: N) -> u64 {
    number.try_into().unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;

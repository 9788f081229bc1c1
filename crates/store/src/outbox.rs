//! Events on their way to auth's ledger: numbered lines in append-only files, until auth has them.
//!
//! A file is a **run**, `ORDER-RUN.log`, RUN being 32 random hexadecimal digits. Its lines are `NUMBER CHECK EVENT`:
//! numbers count from 1, CHECK is the first 16 hexadecimal digits of BLAKE3 over `NUMBER EVENT`, EVENT is one line of JSON.
//! By run and number auth knows what it has taken, so a file may be sent again from its beginning and nothing stands
//! in the ledger twice; how far auth is need not be written down here. After a start a new file is begun.
//!
//! What cannot be written waits in memory, as a run of its own, and is written when there is room. What does not fit at
//! all is counted; the count stands in a file whose block is there from the beginning, and is told as soon as something fits.
//! Calls block for the time of a write to the page cache; [`Outbox::tend`], and what sets an event aside, for the time of
//! the disk.

mod line;

use crate::hex;
use crate::keys::{self, KeyError};
use line::{Found, Lines, line};
use model::limit;
use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use thiserror::Error;

/// Bytes after which another file is begun. Also what is sent again, at most, after a start.
const RUN_BYTES: u64 = 256 * 1024;
/// Bytes of a current file that auth has all of, after which it is removed before its time.
const SPENT_BYTES: u64 = 64 * 1024;
/// Bytes of the events of one batch, unless one alone is longer.
const BATCH_BYTES: usize = 256 * 1024;
const EXTENSION: &str = "log";
const LOST: &str = "lost";
const REFUSED: &str = "refused.jsonl";

/// Why there is no outbox.
#[derive(Debug, Error)]
pub enum OutboxError {
    /// Its directory cannot be used.
    #[error("cannot use the directory of the events for the ledger")]
    Directory(#[source] KeyError),
    /// The system refused.
    #[error("cannot {doing} {}", .path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// It waits.
    Kept,
    /// There is no room; it was counted, and the count is told.
    Lost,
    /// It is longer than [`limit::EVENT_BYTES`] and was set aside for the operator, if there was room for it.
    TooLong,
}

/// Events to be sent together, with consecutive numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Which run.
    pub run: String,
    /// Number of the first.
    pub first: u64,
    /// The events, each one line of JSON.
    pub events: Vec<String>,
    order: u64,
    /// Where the next line begins, in a file.
    end: u64,
}

/// How much may wait, in bytes.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// In files and in memory together.
    pub most: u64,
    /// In memory.
    pub memory: u64,
    /// What was set aside.
    pub aside: u64,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            most: limit::EVENTS_BYTES,
            memory: limit::EVENTS_MEMORY_BYTES,
            aside: limit::EVENTS_ASIDE_BYTES,
        }
    }
}

/// The events that wait. Whoever puts never waits for the network; the lock is held while a batch is read or an event is
/// written.
#[derive(Debug)]
pub struct Outbox(Mutex<Room>);

#[derive(Debug)]
struct Room {
    dir: PathBuf,
    bounds: Bounds,
    /// Oldest first. Only the last one grows, and only if this process began it.
    runs: VecDeque<Run>,
    next_order: u64,
    /// Whether the last run may grow.
    growing: bool,
    lost: u64,
    lost_file: Option<File>,
}

#[derive(Debug)]
struct Run {
    order: u64,
    name: String,
    /// Number of its last event.
    last: u64,
    /// Number of the last event that auth has.
    taken: u64,
    place: Place,
}

#[derive(Debug)]
enum Place {
    File {
        file: File,
        path: PathBuf,
        len: u64,
        /// Where the first line begins that auth does not have.
        read: u64,
        /// Something was written since the last sync.
        dirty: bool,
    },
    /// Lines that auth does not have.
    Memory { lines: VecDeque<String>, bytes: u64 },
}

impl Outbox {
    /// Opens the directory, making it if need be.
    ///
    /// # Errors
    /// Any [`OutboxError`].
    pub fn open(dir: &Path) -> Result<Self, OutboxError> {
        Self::with_bounds(dir, Bounds::default())
    }

    /// As [`Outbox::open`], with other bounds.
    ///
    /// # Errors
    /// As [`Outbox::open`].
    pub fn with_bounds(dir: &Path, bounds: Bounds) -> Result<Self, OutboxError> {
        keys::ensure_dir(dir).map_err(OutboxError::Directory)?;
        let mut room = Room {
            dir: dir.to_owned(),
            bounds,
            runs: VecDeque::new(),
            next_order: 1,
            growing: false,
            lost: 0,
            lost_file: None,
        };
        room.open_lost();
        room.find_runs()?;
        Ok(Self(Mutex::new(room)))
    }

    /// Takes an event, one line of JSON, in which `tell_lost` words the number of those that were lost before it.
    pub fn put(&self, event: &str, tell_lost: impl FnOnce(u64) -> String) -> Put {
        let mut room = self.room();
        if event.len() > limit::EVENT_BYTES || event.contains('\n') {
            let why = format!("it is no line of at most {} bytes", limit::EVENT_BYTES);
            room.set_aside(event, &why);
            return Put::TooLong;
        }
        room.own_up(tell_lost);
        if room.put(event) {
            return Put::Kept;
        }
        let lost = room.lost.saturating_add(1);
        room.set_lost(lost);
        Put::Lost
    }

    /// Puts the count of lost events, worded by `tell`, if there are any and it fits now.
    pub fn own_up(&self, tell: impl FnOnce(u64) -> String) {
        self.room().own_up(tell);
    }

    /// The oldest events that auth does not have, at most `most` of them. The same ones until [`Outbox::taken`].
    pub fn next(&self, most: usize) -> Option<Batch> {
        self.room().next(most)
    }

    /// Auth has these.
    pub fn taken(&self, batch: &Batch) {
        self.room().taken(batch);
    }

    /// Auth refuses these for what they are: they are put into a file for the operator, as far as there is room, and wait
    /// no more. Says whether there was room.
    pub fn refused(&self, batch: &Batch, why: &str) -> bool {
        let mut room = self.room();
        let mut kept = true;
        for event in &batch.events {
            kept &= room.set_aside(event, why);
        }
        room.taken(batch);
        kept
    }

    /// What events were set aside into.
    #[must_use]
    pub fn aside(&self) -> PathBuf {
        self.room().dir.join(REFUSED)
    }

    /// Number of events that wait.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        self.room().runs.iter().map(Run::waiting).sum()
    }

    /// Writes what waits in memory, if there is room now, and waits until what was written is on the disk.
    ///
    /// # Errors
    /// What the system says. What could not be written still waits in memory.
    pub fn tend(&self) -> io::Result<()> {
        let (outcome, dirty, dir) = {
            let mut room = self.room();
            let outcome = room.write_down();
            let mut dirty = Vec::new();
            for run in &mut room.runs {
                if let Place::File { file, dirty: unsynced @ true, .. } = &mut run.place {
                    dirty.push(file.try_clone()?);
                    *unsynced = false;
                }
            }
            (outcome, dirty, room.dir.clone())
        };
        for file in &dirty {
            file.sync_data()?;
        }
        if !dirty.is_empty() {
            File::open(dir)?.sync_all()?;
        }
        // What was written is safe also where there is no room for more.
        outcome
    }

    fn room(&self) -> MutexGuard<'_, Room> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Room {
    /// The count of lost events; its block is there before the disk is full.
    fn open_lost(&mut self) {
        let path = self.dir.join(LOST);
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let opened = file.open(&path).and_then(|file| {
            let mut count = [0; 8];
            match file.read_exact_at(&mut count, 0) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    file.write_all_at(&count, 0)?;
                    file.sync_all()?;
                }
                Err(error) => return Err(error),
            }
            Ok((file, u64::from_le_bytes(count)))
        });
        match opened {
            Ok((file, lost)) => (self.lost_file, self.lost) = (Some(file), lost),
            Err(error) => {
                tracing::warn!(%error, path = %path.display(), "lost events are counted in memory only")
            }
        }
    }

    fn set_lost(&mut self, count: u64) {
        self.lost = count;
        if let Some(file) = &self.lost_file
            && let Err(error) = file.write_all_at(&count.to_le_bytes(), 0)
        {
            tracing::warn!(%error, count, "the count of lost events cannot be written");
        }
    }

    fn own_up(&mut self, tell: impl FnOnce(u64) -> String) {
        if self.lost > 0 && self.put(&tell(self.lost)) {
            self.set_lost(0);
        }
    }

    /// What an earlier start left, read once to find its last number and what is damaged.
    fn find_runs(&mut self) -> Result<(), OutboxError> {
        let dir = self.dir.clone();
        let failed = |doing| {
            let path = dir.clone();
            move |source| OutboxError::Io { doing, path, source }
        };
        for entry in std::fs::read_dir(&dir).map_err(failed("list"))? {
            let path = entry.map_err(failed("list"))?.path();
            let Some((order, name)) = run_name(&path) else { continue };
            let file = File::open(&path).map_err(failed("open a file of"))?;
            let len = file.metadata().map_err(failed("look at a file of"))?.len();
            let place = Place::File { file, path, len, read: 0, dirty: false };
            let mut run = Run { order, name, last: 0, taken: 0, place };
            run.find_last().map_err(failed("read a file of"))?;
            self.next_order = self.next_order.max(order.saturating_add(1));
            self.runs.push_back(run);
        }
        self.runs.make_contiguous().sort_by_key(|run| run.order);
        Ok(())
    }

    fn bytes(&self) -> u64 {
        self.runs.iter().map(Run::bytes).sum()
    }

    fn put(&mut self, event: &str) -> bool {
        let room = u64::try_from(event.len()).unwrap_or(u64::MAX).saturating_add(64);
        if self.bytes().saturating_add(room) > self.bounds.most {
            return false;
        }
        if !self.last_takes() {
            self.begin();
        }
        let memory = self.bounds.memory;
        let Some(run) = self.runs.back_mut() else { return false };
        let text = line(run.last.saturating_add(1), event);
        match run.append(&text, memory) {
            Ok(done) => done,
            Err(error) => {
                tracing::warn!(%error, "events for the ledger wait in memory");
                self.begin_in_memory();
                let Some(run) = self.runs.back_mut() else { return false };
                run.append(&line(1, event), memory).unwrap_or(false)
            }
        }
    }

    fn last_takes(&self) -> bool {
        self.growing
            && self.runs.back().is_some_and(|run| match run.place {
                Place::File { len, .. } => len < RUN_BYTES,
                Place::Memory { .. } => true,
            })
    }

    fn begin(&mut self) {
        let (order, name) = self.fresh();
        match create(&self.dir, order, &name) {
            Ok(place) => self.runs.push_back(Run { order, name, last: 0, taken: 0, place }),
            Err(error) => {
                tracing::warn!(%error, "events for the ledger wait in memory");
                self.begin_in_memory();
            }
        }
        self.growing = true;
    }

    fn begin_in_memory(&mut self) {
        let (order, name) = self.fresh();
        let place = Place::Memory { lines: VecDeque::new(), bytes: 0 };
        self.runs.push_back(Run { order, name, last: 0, taken: 0, place });
        self.growing = true;
    }

    fn fresh(&mut self) -> (u64, String) {
        let order = self.next_order;
        self.next_order = order.saturating_add(1);
        (order, hex::encode(&rand::random::<[u8; 16]>()))
    }

    fn next(&mut self, most: usize) -> Option<Batch> {
        loop {
            self.drop_spent();
            let last = self.runs.len().checked_sub(1)?;
            let waits = self.runs.iter().position(|run| run.waiting() > 0)?;
            let whole = waits < last || !self.growing;
            let run = self.runs.get_mut(waits)?;
            match run.next(most) {
                Ok((batch, missing)) => {
                    if missing > 0 {
                        tracing::error!(
                            run = run.name,
                            missing,
                            "events for the ledger were damaged on the disk"
                        );
                        self.set_lost(self.lost.saturating_add(missing));
                    }
                    if batch.is_some() {
                        return batch;
                    }
                }
                // One that grows may be read later; of another, nobody knows what could be.
                Err(error) => {
                    let (name, count) = (run.name.clone(), run.waiting());
                    tracing::error!(%error, run = name, "events for the ledger cannot be read");
                    if !whole {
                        return None;
                    }
                    run.taken = run.last;
                    self.set_lost(self.lost.saturating_add(count));
                }
            }
        }
    }

    fn taken(&mut self, batch: &Batch) {
        let count = u64::try_from(batch.events.len()).unwrap_or(u64::MAX);
        let to = batch.first.saturating_add(count).saturating_sub(1);
        if let Some(run) = self.runs.iter_mut().find(|run| run.order == batch.order) {
            run.advance(to, batch.end);
        }
        self.drop_spent();
    }

    /// Removes runs that auth has all of; the one that grows only when that pays.
    fn drop_spent(&mut self) {
        let growing = self.growing.then(|| self.runs.back().map(|run| run.order)).flatten();
        self.runs.retain(|run| {
            let current = growing == Some(run.order);
            let pays = !matches!(run.place, Place::File { len, .. } if len < SPENT_BYTES);
            if run.waiting() > 0 || (current && !pays) {
                return true;
            }
            run.remove();
            false
        });
        self.growing = self.runs.back().is_some_and(|run| growing == Some(run.order));
    }

    /// Puts runs that are in memory into files.
    fn write_down(&mut self) -> io::Result<()> {
        let dir = self.dir.clone();
        for run in &mut self.runs {
            let Place::Memory { lines, .. } = &run.place else { continue };
            if lines.is_empty() {
                continue;
            }
            let text: String = lines.iter().map(String::as_str).collect();
            let mut place = create(&dir, run.order, &run.name)?;
            if let Place::File { file, path, len, dirty, .. } = &mut place {
                if let Err(error) = file.write_all_at(text.as_bytes(), 0) {
                    // What was written of it would only take the room.
                    let _ = std::fs::remove_file(path);
                    return Err(error);
                }
                (*len, *dirty) = (u64::try_from(text.len()).unwrap_or(u64::MAX), true);
            }
            run.place = place;
        }
        Ok(())
    }

    fn set_aside(&mut self, event: &str, why: &str) -> bool {
        let path = self.dir.join(REFUSED);
        let event: serde_json::Value =
            serde_json::from_str(event).unwrap_or_else(|_| serde_json::Value::from(event));
        let text = serde_json::json!({ "why": why, "event": event }).to_string() + "\n";
        let mut options = OpenOptions::new();
        let opened = options.append(true).create(true).mode(0o600).open(&path);
        let written = opened.and_then(|file| {
            let bytes = file.metadata()?.len().saturating_add(text.len() as u64);
            if bytes > self.bounds.aside {
                return Err(io::Error::from(io::ErrorKind::FileTooLarge));
            }
            io::Write::write_all(&mut &file, text.as_bytes())?;
            file.sync_data()
        });
        if let Err(error) = &written {
            tracing::error!(%error, path = %path.display(), why, "a refused event cannot be set aside");
        }
        written.is_ok()
    }
}

impl Drop for Room {
    /// What auth has all of need not be sent again.
    fn drop(&mut self) {
        for run in self.runs.iter().filter(|run| run.waiting() == 0) {
            run.remove();
        }
    }
}

impl Run {
    fn waiting(&self) -> u64 {
        self.last.saturating_sub(self.taken)
    }

    fn bytes(&self) -> u64 {
        match &self.place {
            Place::File { len, .. } => *len,
            Place::Memory { bytes, .. } => *bytes,
        }
    }

    fn remove(&self) {
        if let Place::File { path, .. } = &self.place
            && let Err(error) = std::fs::remove_file(path)
        {
            tracing::warn!(%error, path = %path.display(), "events that auth has stay on the disk");
        }
    }

    /// `false` when memory is full.
    fn append(&mut self, text: &str, memory: u64) -> io::Result<bool> {
        let more = text.len() as u64;
        match &mut self.place {
            Place::File { file, len, dirty, .. } => {
                if let Err(error) = file.write_all_at(text.as_bytes(), *len) {
                    // Half a line is passed over by who reads; this only gives the room back.
                    let _ = file.set_len(*len);
                    return Err(error);
                }
                (*len, *dirty) = (len.saturating_add(more), true);
            }
            Place::Memory { bytes, .. } if bytes.saturating_add(more) > memory => return Ok(false),
            Place::Memory { lines, bytes } => {
                lines.push_back(text.to_owned());
                *bytes = bytes.saturating_add(more);
            }
        }
        self.last = self.last.saturating_add(1);
        Ok(true)
    }

    /// The number of the last line of a file that an earlier start left; a torn one behind it counts.
    fn find_last(&mut self) -> io::Result<()> {
        let Place::File { file, len, .. } = &self.place else { return Ok(()) };
        let mut lines = Lines::new(file, 0, *len);
        while let Some(found) = lines.next()? {
            match found {
                Found::Line { number, .. } => self.last = self.last.max(number),
                Found::Damaged => self.last = self.last.saturating_add(1),
            }
        }
        Ok(())
    }

    /// The next events, and how many before them cannot be read any more.
    fn next(&mut self, most: usize) -> io::Result<(Option<Batch>, u64)> {
        let mut batch = Batch {
            run: self.name.clone(),
            first: self.taken.saturating_add(1),
            events: Vec::new(),
            order: self.order,
            end: 0,
        };
        match &mut self.place {
            Place::Memory { lines, .. } => {
                let mut bytes = 0;
                for text in lines.iter().take(most) {
                    let Some(Found::Line { event, .. }) = line::parse(text.trim_end()) else {
                        break;
                    };
                    bytes += event.len();
                    if bytes > BATCH_BYTES && !batch.events.is_empty() {
                        break;
                    }
                    batch.events.push(event);
                }
            }
            Place::File { file, len, read, .. } => {
                let (mut bytes, mut expected) = (0, batch.first);
                let mut lines = Lines::new(file, *read, *len);
                while batch.events.len() < most
                    && let Some(found) = lines.next()?
                {
                    let Found::Line { number, event } = found else { continue };
                    if number <= self.taken {
                        continue;
                    }
                    if batch.events.is_empty() {
                        (batch.first, expected) = (number, number);
                    }
                    bytes += event.len();
                    let full = bytes > BATCH_BYTES && !batch.events.is_empty();
                    if number != expected || full {
                        break;
                    }
                    batch.events.push(event);
                    batch.end = lines.offset();
                    expected = expected.saturating_add(1);
                }
            }
        }
        if batch.events.is_empty() {
            // Nothing that can be read is left.
            let missing = self.waiting();
            self.taken = self.last;
            return Ok((None, missing));
        }
        let missing = batch.first.saturating_sub(self.taken.saturating_add(1));
        self.taken = self.taken.saturating_add(missing);
        Ok((Some(batch), missing))
    }

    fn advance(&mut self, to: u64, end: u64) {
        let more = to.saturating_sub(self.taken);
        self.taken = self.taken.max(to);
        match &mut self.place {
            Place::File { read, .. } => *read = end.max(*read),
            Place::Memory { lines, bytes } => {
                for _ in 0..more {
                    let gone = lines.pop_front().map_or(0, |text| text.len() as u64);
                    *bytes = bytes.saturating_sub(gone);
                }
            }
        }
    }
}

fn create(dir: &Path, order: u64, name: &str) -> io::Result<Place> {
    let path = dir.join(format!("{order:08}-{name}.{EXTENSION}"));
    let mut options = OpenOptions::new();
    let file = options.read(true).write(true).create_new(true).mode(0o600).open(&path)?;
    Ok(Place::File { file, path, len: 0, read: 0, dirty: false })
}

/// Order and run of a file; `None` if it is none of ours.
fn run_name(path: &Path) -> Option<(u64, String)> {
    if path.extension()? != EXTENSION {
        return None;
    }
    let (order, name) = path.file_stem()?.to_str()?.split_once('-')?;
    let fits = name.len() == 32 && name.chars().all(|c| c.is_ascii_hexdigit());
    fits.then(|| Some((order.parse().ok()?, name.to_owned()))).flatten()
}

#[cfg(test)]
mod tests;

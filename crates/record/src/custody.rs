//! Custody of one recording until auth has it: where each record is, and what the session may do meanwhile.
//!
//! Every entry that got its Seq is at auth, in the spool's file, in memory on its way, or, once a gap had to be opened,
//! counted in it. A mind: the caller does what [`Custody::poll`] asks for, says how it went, and looks at
//! [`Custody::stance`] before it lets more happen.

mod holdings;
mod lag;
mod left;
mod opened;

pub use holdings::{Holdings, Next, Run};
pub use left::{Left, Tail};

use crate::writer::{Keyframe, Sealed, Writer};
use bytes::Bytes;
use ed25519_dalek::SigningKey;
use holdings::Spooled;
use lag::{Lag, weight};
use model::entry::{Ending, Entry, Gap, GapCause};
use model::limit::{
    DISK_RETRY_MS, HELD_BYTES, HELD_STALL_MS, STRICT_END_MS, STRICT_LAG_BYTES, STRICT_LAG_MS,
};
use model::{Heading, Seq, SessionId, Tick};
use opened::Opened;
use std::collections::VecDeque;

/// Bounds of custody. They are those of `model::limit` save in tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// [`STRICT_LAG_BYTES`]
    pub lag_bytes: u64,
    /// [`STRICT_LAG_MS`]
    pub lag_ms: u64,
    /// [`STRICT_END_MS`]
    pub end_ms: u64,
    /// [`HELD_BYTES`]
    pub held_bytes: u64,
    /// [`HELD_STALL_MS`]
    pub stall_ms: u64,
    /// [`DISK_RETRY_MS`]
    pub retry_ms: u64,
}

impl Bounds {
    /// Those of `model::limit`.
    pub const USUAL: Self = Self {
        lag_bytes: STRICT_LAG_BYTES,
        lag_ms: STRICT_LAG_MS,
        end_ms: STRICT_END_MS,
        held_bytes: HELD_BYTES,
        stall_ms: HELD_STALL_MS,
        retry_ms: DISK_RETRY_MS,
    };
}

/// Why the disk does not take records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// No room: the disk, or the spool's share of it, is full.
    Full,
    /// The disk failed.
    Failed,
}

impl Cause {
    fn of_gap(self) -> GapCause {
        match self {
            Self::Full => GapCause::DiskFull,
            Self::Failed => GapCause::DiskFailed,
        }
    }
}

/// Which part of the disk a record may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// What is free.
    Free,
    /// The recording's reserve, but for the place of its last records.
    Reserve,
    /// All of the reserve.
    Last,
}

/// What the caller is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// Append the bytes to the spool's file, all or none; say how it went with [`Custody::appended`].
    Append {
        /// Whole records.
        bytes: Bytes,
        /// What they may use.
        room: Room,
    },
    /// Look whether the disk has room again; say so with [`Custody::probed`].
    Probe,
    /// Tell the person and the ledger.
    Tell(Notice),
}

/// What a person should know about the recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// The disk takes no records; they go to auth directly.
    Refused(Cause),
    /// The disk takes records again.
    Back,
    /// Neither disk nor auth take records: what happens from here on is counted only.
    GapOpened(Cause),
    /// Records are taken again; what was lost.
    GapClosed(Gap),
}

/// What the session may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stance {
    /// Everything.
    GoOn,
    /// Neither input nor output may be taken until this changes.
    Hold,
    /// It must end.
    End(Why),
}

/// Why a session must end for its recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// The disk does not take it, and the role is strict.
    Disk(Cause),
    /// Auth did not receive it in time, and the role is strict.
    NotReceived,
}

/// The disk as last seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Disk {
    Good,
    Bad { cause: Cause, retry_at: Tick },
}

/// What was asked of the caller and not answered yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Append(Room),
    Probe,
}

/// Custody of one recording.
pub struct Custody {
    writer: Writer,
    strict: bool,
    bounds: Bounds,
    /// The latest moment seen; a clock that goes back is not followed.
    now: Tick,
    lag: Lag,
    spooled: Spooled,
    disk: Disk,
    /// The reserve was used as far as it goes; made anew when the disk has room.
    reserve_spent: bool,
    /// What waits in memory shall go into this room, though the disk takes nothing.
    spill: Option<Room>,
    gap: Option<Opened>,
    notices: VecDeque<Notice>,
    asked: Option<Asked>,
    ended: bool,
}

impl Custody {
    /// Begins a recording. `disk` says whether its file is there with a reserve; `strict` whether its role is.
    /// `key` must be the one that the heading's signer names.
    #[must_use]
    pub fn begin(
        heading: &Heading,
        key: SigningKey,
        strict: bool,
        disk: Result<(), Cause>,
        bounds: Bounds,
        now: Tick,
    ) -> Self {
        let writer = Writer::begin(heading, key, now);
        let mut custody = Self::over(writer, Spooled::default(), strict, bounds, now);
        if let Err(cause) = disk {
            custody.refuse(cause);
            custody.reserve_spent = true;
        }
        custody.drain(None);
        custody
    }

    /// Goes on with what an earlier run left; the caller hands over the gap and the end.
    #[must_use]
    pub fn resume(id: SessionId, left: Left, resume_at: u64, key: SigningKey, now: Tick) -> Self {
        let Left { tail, runs, len, file } = left;
        let writer = Writer::resume_behind(id, &tail, resume_at, key, now);
        let spooled = Spooled::resume(runs, len, file, (tail.head, tail.last_at));
        let mut custody = Self::over(writer, spooled, false, Bounds::USUAL, now);
        custody.ended = tail.finished;
        custody
    }

    fn over(writer: Writer, spooled: Spooled, strict: bool, bounds: Bounds, now: Tick) -> Self {
        Self {
            writer,
            strict,
            bounds,
            now,
            lag: Lag::new(now),
            spooled,
            disk: Disk::Good,
            reserve_spent: false,
            spill: None,
            gap: None,
            notices: VecDeque::new(),
            asked: None,
            ended: false,
        }
    }

    // What happens

    /// Takes an entry. What it returns is its place, which nobody may see before; in a gap, the place of the last
    /// entry before it.
    pub fn take(&mut self, entry: Entry, now: Tick) -> Seq {
        self.see(now);
        if self.ended {
            return self.writer.last_seq();
        }
        if let Some(gap) = &mut self.gap {
            gap.count(&entry);
            return self.writer.last_seq();
        }
        self.write(entry);
        self.weigh();
        self.writer.last_seq()
    }

    /// Takes what the screen showed, as [`Writer::keyframe`].
    pub fn keyframe(&mut self, keyframe: Keyframe, now: Tick) {
        self.see(now);
        if self.keeps_keyframes() {
            self.writer.keyframe(keyframe, self.now);
            self.drain(None);
        }
    }

    /// Auth has so many records, the heading being the first.
    pub fn received(&mut self, records: u64, now: Tick) {
        self.see(now);
        if !self.lag.received(records, self.now) {
            return;
        }
        self.spooled.received(records);
        if self.lag.is_empty() {
            self.close_gap();
        }
        self.weigh();
    }

    /// Answers [`Act::Append`].
    pub fn appended(&mut self, result: Result<(), Cause>, now: Tick) {
        self.see(now);
        let Some(Asked::Append(room)) = self.asked.take() else { return };
        if result.is_ok() {
            self.spooled.appended();
        } else {
            self.spooled.refused();
        }
        match (result, room) {
            (Ok(()), _) => {}
            (Err(cause), Room::Free) => self.refuse(cause),
            (Err(_), Room::Reserve) => {
                self.spill = None;
                self.reserve_spent = true;
            }
            (Err(cause), Room::Last) => {
                if self.disk == Disk::Good {
                    self.refuse(cause);
                }
                self.spill = None;
            }
        }
        if self.spooled.unwritten_bytes() == 0 && !self.ended {
            self.spill = None;
        }
        self.weigh();
    }

    /// Answers [`Act::Probe`]: room is there, and the recording's reserve.
    pub fn probed(&mut self, result: Result<(), Cause>, now: Tick) {
        self.see(now);
        let Some(Asked::Probe) = self.asked.take() else { return };
        match result {
            Ok(()) => {
                self.disk = Disk::Good;
                self.reserve_spent = false;
                self.spill = None;
                self.notices.push_back(Notice::Back);
                self.close_gap();
            }
            Err(cause) => {
                let retry_at = self.now.plus_ms(self.bounds.retry_ms);
                self.disk = Disk::Bad { cause, retry_at };
            }
        }
    }

    /// Seals what was taken so far, due or not, so that who reads the file finds it there.
    pub fn flush(&mut self, now: Tick) {
        self.see(now);
        self.writer.flush(self.now);
        self.drain(None);
        self.weigh();
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Tick) {
        self.see(now);
        self.writer.handle_timeout(self.now);
        self.drain(None);
        self.weigh();
    }

    /// Ends the recording: a gap is closed, the end signed. What [`Custody::poll`] then asks for are its last records.
    pub fn end(&mut self, ending: Ending, now: Tick) {
        self.see(now);
        if self.ended {
            return;
        }
        self.close_gap();
        self.writer.end(ending, self.now);
        self.drain(None);
        self.ended = true;
        self.spill = Some(Room::Last);
    }

    // What is to be done

    /// What to do next. An append or a probe must be answered before the next is asked for.
    pub fn poll(&mut self) -> Option<Act> {
        if let Some(notice) = self.notices.pop_front() {
            return Some(Act::Tell(notice));
        }
        if self.asked.is_some() {
            return None;
        }
        let room = match self.disk {
            Disk::Good if self.ended => Some(Room::Last),
            Disk::Good => Some(Room::Free),
            Disk::Bad { .. } => self.spill,
        };
        if let Some(room) = room
            && let Some(bytes) = self.spooled.next_append(&self.writer)
        {
            self.asked = Some(Asked::Append(room));
            return Some(Act::Append { bytes, room });
        }
        match self.disk {
            Disk::Bad { retry_at, .. } if retry_at <= self.now && !self.ended => {
                self.asked = Some(Asked::Probe);
                Some(Act::Probe)
            }
            _ => None,
        }
    }

    /// When [`Custody::handle_timeout`] has something to do.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Tick> {
        if self.ended {
            return None;
        }
        let retry = match self.disk {
            Disk::Bad { retry_at, .. } => Some(retry_at),
            Disk::Good => None,
        };
        let stall = self.is_adrift().then(|| self.lag.stalls_at(self.bounds.stall_ms)).flatten();
        let strict =
            |ms: u64| self.lag.since().filter(|_| self.strict).map(|at| at.plus_ms(ms + 1));
        let times = [stall, strict(self.bounds.lag_ms), strict(self.bounds.end_ms)];
        let later = times.into_iter().flatten().filter(|at| *at > self.now);
        later.chain(retry).chain(self.writer.poll_timeout()).min()
    }

    /// What the session may do at this time.
    #[must_use]
    pub fn stance(&self, now: Tick) -> Stance {
        let now = now.max(self.now);
        if self.strict {
            return self.strict_stance(now);
        }
        let full = self.spooled.unwritten_bytes() >= self.bounds.held_bytes;
        let waits = self.is_adrift() && full && self.gap.is_none() && !self.ended;
        if waits { Stance::Hold } else { Stance::GoOn }
    }

    fn strict_stance(&self, now: Tick) -> Stance {
        if let Disk::Bad { cause, .. } = self.disk {
            return Stance::End(Why::Disk(cause));
        }
        let age = self.lag.since().map_or(0, |since| now.since(since));
        if age > self.bounds.end_ms {
            Stance::End(Why::NotReceived)
        } else if age > self.bounds.lag_ms || self.lag.bytes() > self.bounds.lag_bytes {
            Stance::Hold
        } else {
            Stance::GoOn
        }
    }

    /// The entry of which a keyframe is wanted. None while the file lacks what a screen would be made from.
    #[must_use]
    pub fn wants_keyframe(&self) -> Option<Seq> {
        self.writer.wants_keyframe().filter(|_| self.keeps_keyframes())
    }

    /// Where the records are, for the one who ships them.
    #[must_use]
    pub fn holdings(&self) -> Holdings {
        self.spooled.holdings(self.ended, self.strict)
    }

    /// Entries and bytes that the open gap has counted.
    #[must_use]
    pub fn in_gap(&self) -> Option<(u64, u64)> {
        self.gap.as_ref().map(|gap| (gap.entries, gap.bytes))
    }

    /// Bytes of records that are in memory alone.
    #[must_use]
    pub fn held_bytes(&self) -> u64 {
        self.spooled.unwritten_bytes()
    }

    /// Bytes of entries that auth has not received.
    #[must_use]
    pub fn lag_bytes(&self) -> u64 {
        self.lag.bytes()
    }

    // Inside

    fn see(&mut self, now: Tick) {
        self.now = self.now.max(now);
    }

    fn is_adrift(&self) -> bool {
        self.disk != Disk::Good
    }

    fn keeps_keyframes(&self) -> bool {
        self.disk == Disk::Good && self.gap.is_none() && !self.spooled.has_hole() && !self.ended
    }

    fn write(&mut self, entry: Entry) {
        let (before, weight) = (self.writer.last_seq(), weight(&entry));
        self.writer.handle(entry, self.now);
        self.drain(Some((before, weight)));
    }

    /// Takes finished records over. `fresh` is the weight of the entry behind `before` that was just written.
    fn drain(&mut self, mut fresh: Option<(Seq, u64)>) {
        while let Some(sealed) = self.writer.poll() {
            if let Some((_, weight)) = fresh.take_if(|(before, _)| sealed.head.seq > *before) {
                self.lag.open(weight, self.writer.last_seq(), self.now);
            }
            let Sealed { bytes, head, at, .. } = sealed;
            self.lag.sealed(head, self.now);
            self.spooled.sealed(bytes, head, at);
        }
        if let Some((_, weight)) = fresh {
            self.lag.open(weight, self.writer.last_seq(), self.now);
        }
    }

    fn refuse(&mut self, cause: Cause) {
        let retry_at = self.now.plus_ms(self.bounds.retry_ms);
        self.disk = Disk::Bad { cause, retry_at };
        self.notices.push_back(Notice::Refused(cause));
        if self.ended {
            self.spill = Some(Room::Last);
        }
    }

    /// Without a disk, and with auth taking nothing: first the reserve, then a gap.
    fn weigh(&mut self) {
        let Disk::Bad { cause, .. } = self.disk else { return };
        if self.strict || self.ended || self.gap.is_some() || self.spill.is_some() {
            return;
        }
        let held = self.spooled.unwritten_bytes();
        let stalled = self.lag.stalls_at(self.bounds.stall_ms).is_some_and(|at| at <= self.now);
        if !stalled || held == 0 {
            return;
        }
        if !self.reserve_spent {
            self.spill = Some(Room::Reserve);
        } else if held >= self.bounds.held_bytes {
            self.writer.flush(self.now);
            self.drain(None);
            self.gap = Some(Opened::new(cause.of_gap(), self.now));
            self.notices.push_back(Notice::GapOpened(cause));
        }
    }

    fn close_gap(&mut self) {
        let Some(gap) = self.gap.take() else { return };
        let gap = gap.close(self.now);
        self.notices.push_back(Notice::GapClosed(gap.clone()));
        self.write(Entry::Gap(gap));
        self.writer.flush(self.now);
        self.drain(None);
    }
}

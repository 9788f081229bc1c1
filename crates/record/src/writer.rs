//! Entries → records. Pure: the caller brings time and takes finished records away.

use crate::bite::put_varint;
use crate::codec::{is_data, put_data, put_meta};
use crate::custody::Tail;
use crate::frame::{Header, MAGIC, chain_start, chain_step, flag, kind, link_record, tag_of};
use crate::pack::{FAST, Packer, WELL, pack_whole};
use crate::reader::Recovered;
use crate::track::{Checkpoint, Reach};
use bytes::Bytes;
use ed25519_dalek::{Signer, SigningKey};
use model::entry::{Ending, Entry, Forward, People};
use model::limit::{
    CHECKPOINT_MS, ENTRY_BYTES, GROUP_BYTES, GROUP_FLOOD_MS, GROUP_MS, GROUP_QUIET_MS,
    RECORD_BYTES, RECORD_UNPACKED_BYTES, SEGMENT_BYTES, SEGMENT_MS,
};
use model::seal::Head;
use model::{Heading, Seq, SessionId, Size, Tick};
use std::collections::VecDeque;

/// Writes one recording. Every verb may leave records for [`Writer::poll`]; take them before the next.
pub struct Writer {
    id: SessionId,
    key: SigningKey,
    /// The moment that stands for `began_at` on the time line.
    began: Tick,
    began_at: u64,
    head: Head,
    last_at: u64,
    next: Seq,
    /// Time of the latest entry that stands in a sealed record.
    sealed_at: u64,
    open: Option<Segment>,
    group: Option<Group>,
    /// Whether the last group filled so fast that the next is packed for speed.
    flooded: bool,
    unsigned_since: Option<Tick>,
    /// How far back a keyframe may reach; since a crash it is not known, and none is made.
    reach: Reach,
    wanted: Option<Seq>,
    ended: bool,
    finished: bool,
    ready: VecDeque<Sealed>,
}

/// One whole record, ready for the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// The record as it stands in the file; in front of the first stands the file's magic.
    pub bytes: Bytes,
    /// The chain after it.
    pub head: Head,
    /// Time of the latest entry up to its end, in milliseconds since the recording began.
    pub at: u64,
    /// Whether it is the last.
    pub last: bool,
}

/// What the screen showed after an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keyframe {
    /// The entry.
    pub seq: Seq,
    /// Its time, in milliseconds since the recording began.
    pub at: u64,
    /// Size of the screen.
    pub size: Size,
    /// Escape sequences that make an empty terminal of that size show it.
    pub dump: Bytes,
}

/// Entries that are not sealed yet; all of them DATA or all of them META.
struct Segment {
    opened: Tick,
    data: bool,
    first: Seq,
    first_at: u64,
    last_at: u64,
    count: u16,
    bytes: Vec<u8>,
}

/// The open group: one compressed stream.
struct Group {
    began: Tick,
    /// When its last segment was sealed.
    fed: Tick,
    bytes: usize,
    packer: Packer,
}

impl Group {
    /// When it is closed, whatever it holds.
    fn due(&self) -> Tick {
        self.began.plus_ms(GROUP_MS).min(self.fed.plus_ms(GROUP_QUIET_MS))
    }

    fn full(&self) -> bool {
        self.bytes >= GROUP_BYTES
    }
}

impl Writer {
    /// Begins a recording; its first record is ready at once. `key` must be the one that the heading's signer names.
    #[must_use]
    pub fn begin(heading: &Heading, key: SigningKey, now: Tick) -> Self {
        let start = Head { records: 0, seq: Seq(0), hash: chain_start() };
        let mut writer = Self::behind(heading.id, key, start, now);
        let payload = serde_json::to_vec(heading).unwrap_or_default();
        writer.seal(kind::HEADING, 0, 0, &payload, now);
        writer
    }

    /// Goes on behind the last whole record, in a new group. The caller then hands over the gap and the end.
    ///
    /// The first entry gets the time `tail.resume_at` or later.
    #[must_use]
    pub fn resume(tail: Recovered, key: SigningKey, now: Tick) -> Self {
        let resume_at = tail.resume_at;
        Self::resume_behind(tail.heading.id, &(&tail).into(), resume_at, key, now)
    }

    /// As [`Writer::resume`], behind records that may stand elsewhere than in a file of this machine.
    pub(crate) fn resume_behind(
        id: SessionId,
        tail: &Tail,
        resume_at: u64,
        key: SigningKey,
        now: Tick,
    ) -> Self {
        let mut writer = Self::behind(id, key, tail.head, now);
        writer.began_at = resume_at.max(tail.last_at);
        writer.last_at = tail.last_at;
        writer.sealed_at = tail.last_at;
        writer.ended = tail.ended;
        writer.finished = tail.finished;
        writer.unsigned_since = Some(now);
        writer
    }

    fn behind(id: SessionId, key: SigningKey, head: Head, now: Tick) -> Self {
        Self {
            id,
            key,
            began: now,
            began_at: 0,
            head,
            last_at: 0,
            next: head.seq.next(),
            sealed_at: 0,
            open: None,
            group: None,
            flooded: false,
            unsigned_since: None,
            reach: Reach::default(),
            wanted: None,
            ended: false,
            finished: false,
            ready: VecDeque::new(),
        }
    }

    /// Takes an entry into the open segment and gives it its place. An entry that is too long is split; the
    /// place is that of its last part. After [`Writer::end`] entries are refused: the last place is given again.
    pub fn handle(&mut self, entry: Entry, now: Tick) -> Seq {
        self.handle_timeout(now);
        if self.ended {
            return self.last_seq();
        }
        self.last_at = self.time_of(now);
        match entry {
            Entry::Output { stream, bytes } => {
                let more = |bytes| Entry::Output { stream, bytes };
                self.split(bytes, more, now);
            }
            Entry::Typed { party, count, bytes: Some(bytes) } if bytes.len() > ENTRY_BYTES => {
                let length = |bytes: &Bytes| u32::try_from(bytes.len()).unwrap_or(u32::MAX);
                // What was typed while nothing was shown has a count and no bytes: the first part says it.
                let (mut left, mut hidden) = (count, count.saturating_sub(length(&bytes)));
                let more = |bytes: Bytes| {
                    let count =
                        length(&bytes).saturating_add(std::mem::take(&mut hidden)).min(left);
                    left -= count;
                    Entry::Typed { party, count, bytes: Some(bytes) }
                };
                self.split(bytes, more, now);
            }
            other => self.push(&bounded(other), now),
        }
        self.last_seq()
    }

    /// Takes what the screen showed after an entry that was handed over. One that names a later entry, that comes so
    /// late that no reader would use it, or that no record could hold, is dropped.
    pub fn keyframe(&mut self, keyframe: Keyframe, now: Tick) {
        self.handle_timeout(now);
        if self.finished || keyframe.seq > self.last_seq() {
            return;
        }
        if keyframe.seq > self.head.seq {
            self.flush(now);
        }
        let at = keyframe.at.min(self.sealed_at);
        // Still wanted: the next is made of what came meanwhile.
        if self.reach.late(keyframe.seq, at) {
            return;
        }
        // Wanted no more, even if it is dropped: it would be made again and again, and dropped each time.
        self.wanted = self.wanted.filter(|wanted| *wanted > keyframe.seq);
        let Some(packed) = pack_whole(&keyframe.dump) else { return };
        let mut payload = Vec::with_capacity(packed.len() + 32);
        put_varint(&mut payload, keyframe.seq.0);
        put_varint(&mut payload, at);
        put_varint(&mut payload, keyframe.size.cols().into());
        put_varint(&mut payload, keyframe.size.rows().into());
        put_varint(&mut payload, keyframe.dump.len() as u64);
        payload.extend_from_slice(&packed);
        if payload.len() > RECORD_BYTES || keyframe.dump.len() > RECORD_UNPACKED_BYTES {
            return;
        }
        self.seal(kind::KEYFRAME, 0, 0, &payload, now);
    }

    /// The entry after which a new group began that has no keyframe yet: a keyframe of it, or of a later one, is wanted.
    #[must_use]
    pub fn wants_keyframe(&self) -> Option<Seq> {
        self.wanted
    }

    /// The next record for the file, in order.
    pub fn poll(&mut self) -> Option<Sealed> {
        self.ready.pop_front()
    }

    /// When [`Writer::handle_timeout`] wants to be called.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Tick> {
        let segment = self.open.as_ref().map(|open| open.opened.plus_ms(SEGMENT_MS));
        let group = self.group.as_ref().map(Group::due);
        let checkpoint = self.unsigned_since.map(|since| since.plus_ms(CHECKPOINT_MS));
        if self.finished {
            return None;
        }
        [segment, group, checkpoint].into_iter().flatten().min()
    }

    /// Seals, signs and frees what is due.
    pub fn handle_timeout(&mut self, now: Tick) {
        if self.finished {
            return;
        }
        let due = |since: Tick, ms| now >= since.plus_ms(ms);
        if self.open.as_ref().is_some_and(|open| due(open.opened, SEGMENT_MS)) {
            self.flush(now);
        }
        if self.group.as_ref().is_some_and(|group| now >= group.due()) {
            self.flush(now);
            self.group = None;
            self.flooded = false;
        }
        if self.unsigned_since.is_some_and(|since| due(since, CHECKPOINT_MS)) {
            self.flush(now);
            match self.ended {
                true => self.unsigned_since = None,
                false => self.checkpoint(0, now),
            }
        }
    }

    /// Seals the open segment.
    pub fn flush(&mut self, now: Tick) {
        let Some(open) = self.open.take().filter(|open| open.count > 0) else { return };
        self.sealed_at = open.last_at;
        if open.data {
            let mut payload = Vec::with_capacity(open.bytes.len() / 2 + 64);
            put_varint(&mut payload, open.first_at);
            put_varint(&mut payload, open.last_at - open.first_at);
            let flags = self.pack(&open, &mut payload, now);
            self.seal(kind::DATA, flags, open.count, &payload, now);
        } else {
            self.seal(kind::META, 0, open.count, &open.bytes, now);
        }
    }

    /// Ends the recording: the `Ended` entry, and the signed END. Nothing is taken afterwards.
    pub fn end(&mut self, ending: Ending, now: Tick) {
        if self.finished {
            return;
        }
        self.handle(Entry::Ended(ending), now);
        self.flush(now);
        self.ended = true;
        self.checkpoint(flag::END, now);
        self.finished = true;
        self.group = None;
        self.unsigned_since = None;
        self.wanted = None;
    }

    /// Place of the last entry that was taken.
    #[must_use]
    pub fn last_seq(&self) -> Seq {
        Seq(self.next.0.saturating_sub(1))
    }

    /// The chain after the last sealed record.
    #[must_use]
    pub fn head(&self) -> Head {
        self.head
    }

    /// Time on the line, in milliseconds, that an entry gets at `now`; never before that of its predecessor.
    #[must_use]
    pub fn time_of(&self, now: Tick) -> u64 {
        self.began_at.saturating_add(now.since(self.began)).max(self.last_at)
    }

    /// A LINK record for a spool's file that goes on behind a hole: the chain stood at `head` when the hole ended.
    pub(crate) fn link(&self, head: Head, at: u64) -> Vec<u8> {
        let signature = self.key.sign(&head.checkpoint_statement(&self.id, at)).to_bytes();
        link_record(&Checkpoint { head, at, signature }.write())
    }

    fn split(&mut self, mut bytes: Bytes, mut entry: impl FnMut(Bytes) -> Entry, now: Tick) {
        while bytes.len() > ENTRY_BYTES {
            let part = bytes.split_to(ENTRY_BYTES);
            self.push(&entry(part), now);
        }
        self.push(&entry(bytes), now);
    }

    fn push(&mut self, entry: &Entry, now: Tick) {
        let data = is_data(entry);
        let full = |open: &Segment| {
            open.data != data || open.count == u16::MAX || open.bytes.len() >= SEGMENT_BYTES
        };
        if self.open.as_ref().is_some_and(full) {
            self.flush(now);
        }
        let (at, seq) = (self.last_at, self.next);
        let open = self.open.get_or_insert_with(|| Segment {
            opened: now,
            data,
            first: seq,
            first_at: at,
            last_at: at,
            count: 0,
            bytes: Vec::new(),
        });
        if data {
            put_data(&mut open.bytes, at - open.last_at, entry);
        } else if !put_meta(&mut open.bytes, at, entry) {
            return;
        }
        open.last_at = at;
        open.count += 1;
        self.next = seq.next();
        if matches!(entry, Entry::Ended(_)) {
            self.ended = true;
        }
        if self.open.as_ref().is_some_and(|open| open.bytes.len() >= SEGMENT_BYTES) {
            self.flush(now);
        }
    }

    /// Packs a segment behind `payload` and says which flags it gets.
    fn pack(&mut self, open: &Segment, payload: &mut Vec<u8>, now: Tick) -> u8 {
        let over = |group: &mut Group| group.full() || now >= group.due();
        if let Some(last) = self.group.take_if(over) {
            let filled = last.fed.since(last.began);
            self.flooded = last.full() && filled < GROUP_FLOOD_MS;
        }
        let fresh = self.group.is_none();
        if fresh {
            let level = if self.flooded { FAST } else { WELL };
            let began = open.opened;
            self.group =
                Packer::new(level).map(|packer| Group { began, fed: now, bytes: 0, packer });
            self.wanted = Some(Seq(open.first.0.saturating_sub(1))).filter(|seq| seq.0 > 0);
        }
        let plain_len = payload.len();
        let packed = self.group.as_mut().and_then(|group| {
            group.bytes += open.bytes.len();
            group.fed = now;
            group.packer.pack(&open.bytes, payload)
        });
        if packed.is_none() {
            self.group = None;
            payload.truncate(plain_len);
            payload.extend_from_slice(&open.bytes);
            return flag::GROUP | flag::PLAIN;
        }
        if fresh { flag::GROUP } else { 0 }
    }

    fn checkpoint(&mut self, flags: u8, now: Tick) {
        let statement = self.head.checkpoint_statement(&self.id, self.sealed_at);
        let signature = self.key.sign(&statement).to_bytes();
        self.reach.checkpoint(self.head.seq, self.sealed_at);
        let checkpoint = Checkpoint { head: self.head, at: self.sealed_at, signature };
        self.seal(kind::CHECKPOINT, flags, 0, &checkpoint.write(), now);
        self.unsigned_since = None;
    }

    fn seal(&mut self, kind: u8, flags: u8, count: u16, payload: &[u8], now: Tick) {
        let len = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        let first = self.head.seq.next().0;
        let mut header = Header { len, kind, flags, count, first, tag: [0; 8] };
        self.head.hash = chain_step(&self.head.hash, &header.digest(payload));
        self.head.records += 1;
        self.head.seq = Seq(self.head.seq.0.saturating_add(count.into()));
        header.tag = tag_of(&self.head.hash);
        let record = header.frame(payload);
        let bytes = if self.head.records == 1 { [&MAGIC[..], &record].concat() } else { record };
        let last = flags & flag::END != 0;
        let at = self.sealed_at;
        self.ready.push_back(Sealed { bytes: bytes.into(), head: self.head, at, last });
        self.unsigned_since.get_or_insert(now);
    }
}

/// The entry with its texts cut to what an entry may hold.
fn bounded(entry: Entry) -> Entry {
    match entry {
        Entry::Mark { label } => Entry::Mark { label: cut(label) },
        Entry::Signal { name } => Entry::Signal { name: cut(name) },
        Entry::Service { name, granted } => Entry::Service { name: cut(name), granted },
        Entry::People(people) => Entry::People(bounded_people(people)),
        Entry::Ended(Ending::Signal { name, core }) => {
            Entry::Ended(Ending::Signal { name: cut(name), core })
        }
        Entry::Ended(Ending::Stopped { why }) => Entry::Ended(Ending::Stopped { why: cut(why) }),
        Entry::Ended(Ending::NotStarted { why }) => {
            Entry::Ended(Ending::NotStarted { why: cut(why) })
        }
        Entry::Forward(forward) => Entry::Forward(bounded_forward(forward)),
        Entry::Transfer(mut transfer) => {
            for text in transfer.texts() {
                *text = cut(std::mem::take(text));
            }
            Entry::Transfer(transfer)
        }
        other => other,
    }
}

fn bounded_people(people: People) -> People {
    match people {
        People::Joined { party, user, login, from } => {
            People::Joined { party, user, login, from: cut(from) }
        }
        People::Seated { party, user, seat, from } => {
            People::Seated { party, user, seat, from: cut(from) }
        }
        People::Said { party, text } => People::Said { party, text: cut(text) },
        People::Waits { why } => People::Waits { why: cut(why) },
        People::Frozen { why } => People::Frozen { why: cut(why) },
        People::Outside { pid, name, uid } => People::Outside { pid, name: cut(name), uid },
        People::FileWanted(mut wanted) => {
            for text in [&mut wanted.asked, &mut wanted.path] {
                *text = cut(std::mem::take(text));
            }
            People::FileWanted(wanted)
        }
        People::FileStopped { number, why } => People::FileStopped { number, why: cut(why) },
        People::OwnerBack { from } => People::OwnerBack { from: cut(from) },
        other @ (People::FileApproved { .. }
        | People::FileRefused { .. }
        | People::Left { .. }
        | People::ShownOut { .. }
        | People::Keyboard { .. }
        | People::OwnerLost
        | People::SizeOf { .. }
        | People::GoesOn) => other,
    }
}

fn bounded_forward(forward: Forward) -> Forward {
    match forward {
        Forward::Listening { what, at } => Forward::Listening { what, at: cut(at) },
        Forward::Stopped { what, at } => Forward::Stopped { what, at: cut(at) },
        Forward::Refused { what, target, by, why } => {
            Forward::Refused { what, target: cut(target), by: cut(by), why: cut(why) }
        }
        Forward::Opened { id, what, target, by } => {
            Forward::Opened { id, what, target: cut(target), by: cut(by) }
        }
        Forward::Closed { id, sent, received, ms, result } => {
            Forward::Closed { id, sent, received, ms, result: cut(result) }
        }
    }
}

fn cut(mut text: String) -> String {
    let mut most = ENTRY_BYTES.min(text.len());
    while !text.is_char_boundary(most) {
        most -= 1;
    }
    text.truncate(most);
    text
}

//! Records → entries: opening, seeking, streaming, following a live file, and recovery after a crash.

use crate::codec::{read_data, read_span};
use crate::custody::Run;
use crate::fault::{Corrupt, Fault};
use crate::frame::{HEADER_BYTES, Header, MAGIC, TRAILER_BYTES, flag, kind, magic, split};
use crate::index::{GapAt, GroupAt, Index, KeyframeAt, find, is_index, trailer_offset};
use crate::pack::{Unpacker, unpack_whole};
use crate::source::{Source, Window};
use crate::track::{KeyframeHead, Step, Track};
use crate::writer::Keyframe;
use model::entry::{Ending, Entry, Gap, GapCause, Stamped};
use model::seal::Head;
use model::{Heading, Seq, SessionId};
use std::collections::VecDeque;

/// A recording that can be played, from its beginning or from anywhere.
#[derive(Clone)]
pub struct Recording<S: Source> {
    source: S,
    heading: Heading,
    index: Index,
    /// `None` when the file's own index is used: the file is sealed and grows no more.
    survey: Option<Survey>,
    end: u64,
}

/// Where to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// At this entry, or the first after it.
    Seq(Seq),
    /// At the first entry of this millisecond since the recording began, or after it.
    Ms(u64),
}

/// The recording that the bytes say they are of which begin a file. `None` if they cannot, or end before they do: whoever
/// reads on, or verifies, finds out why.
#[must_use]
pub fn named(front: &[u8]) -> Option<SessionId> {
    let (heading, _) = split(front).ok()??;
    Some(read_first(&heading).ok()?.id)
}

impl<S: Source> Recording<S> {
    /// Opens a recording: by its index if it has a fitting one, else by reading every record's header once.
    /// A damaged file opens up to the damage, see [`Recording::damage`].
    ///
    /// # Errors
    /// The bytes are no recording, or not even the heading is whole.
    pub fn open(source: S) -> Result<Self, Corrupt> {
        let heading = read_first(&source)?;
        let mut window = Window::new();
        if let Some((index, end)) = find(&source, &heading, &mut window)
            && plausible(&index, end)
        {
            return Ok(Self { source, heading, index, survey: None, end });
        }
        let mut survey = Survey::new();
        survey.advance(&source);
        let (index, end) = (survey.index.clone(), survey.offset);
        Ok(Self { source, heading, index, survey: Some(survey), end })
    }

    /// What the recording says about itself.
    #[must_use]
    pub fn heading(&self) -> &Heading {
        &self.heading
    }

    /// What is where.
    #[must_use]
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// Time of the latest entry, in milliseconds since the recording began.
    #[must_use]
    pub fn length_ms(&self) -> u64 {
        self.index.length_ms
    }

    /// The last entry; 0 when there is none.
    #[must_use]
    pub fn last_seq(&self) -> Seq {
        self.index.seq
    }

    /// How the session ended; `None` while it goes on, or when its end was never written.
    #[must_use]
    pub fn ending(&self) -> Option<&Ending> {
        self.index.ending.as_ref()
    }

    /// The bytes it reads from.
    #[must_use]
    pub fn source(&self) -> &S {
        &self.source
    }

    /// The bytes it reads from, for a source that must be told of growth.
    pub fn source_mut(&mut self) -> &mut S {
        &mut self.source
    }

    /// The byte behind the last record that can be read.
    pub(crate) fn end(&self) -> u64 {
        self.end
    }

    /// What made reading stop before the end of the file, other than a torn last record.
    #[must_use]
    pub fn damage(&self) -> Option<&Corrupt> {
        self.survey.as_ref()?.stopped.as_ref()
    }

    /// Picks up records that were written since. `true` if there were any.
    pub fn refresh(&mut self) -> bool {
        let Some(survey) = &mut self.survey else { return false };
        let before = survey.offset;
        survey.advance(&self.source);
        if survey.offset == before {
            return false;
        }
        self.index = survey.index.clone();
        self.end = survey.offset;
        true
    }

    /// The last screen at or before this time, in milliseconds. Go on with the entry after its `seq`.
    ///
    /// # Errors
    /// The keyframe is damaged.
    pub fn keyframe_at(&self, ms: u64) -> Result<Option<Keyframe>, Corrupt> {
        self.keyframe(|keyframe| keyframe.at <= ms)
    }

    /// The last screen that shows this entry or an earlier one as the last.
    ///
    /// # Errors
    /// The keyframe is damaged.
    pub fn keyframe_before(&self, seq: Seq) -> Result<Option<Keyframe>, Corrupt> {
        self.keyframe(|keyframe| keyframe.seq <= seq)
    }

    /// The entries from a place on, in order. Reads one record at a time, beginning at the nearest group.
    #[must_use]
    pub fn entries(&self, from: From) -> Entries<'_, S> {
        let behind = match from {
            From::Seq(seq) => self.index.groups.partition_point(|group| group.seq <= seq),
            From::Ms(ms) => self.index.groups.partition_point(|group| group.at < ms),
        };
        let group = behind.checked_sub(1).and_then(|place| self.index.groups.get(place));
        let (offset, track) = match group {
            Some(group) => (group.offset, Track::at_group(&self.heading, group)),
            None => (MAGIC.len() as u64, Track::playing()),
        };
        Entries {
            source: &self.source,
            window: Window::new(),
            offset,
            end: self.end,
            track,
            unpacker: Unpacker::new(),
            queue: VecDeque::new(),
            from: Some(from),
            done: false,
        }
    }

    fn keyframe(&self, fits: impl Fn(&KeyframeAt) -> bool) -> Result<Option<Keyframe>, Corrupt> {
        let found = self.index.keyframes.iter().filter(|at| fits(at)).max_by_key(|at| at.seq);
        found.map(|place| self.load_keyframe(place)).transpose()
    }

    fn load_keyframe(&self, place: &KeyframeAt) -> Result<Keyframe, Corrupt> {
        let fail = |what| Corrupt { offset: place.offset, record: 0, what };
        let mut window = Window::new();
        let record = record_at(&mut window, &self.source, place.offset).map_err(fail)?;
        let (header, payload) = record.ok_or_else(|| fail(Fault::Torn))?;
        read_keyframe(&header, payload)
            .and_then(|frame| if frame.seq == place.seq { Ok(frame) } else { Err(Fault::Keyframe) })
            .map_err(fail)
    }
}

/// The screen in a KEYFRAME record.
pub fn read_keyframe(header: &Header, payload: &[u8]) -> Result<Keyframe, Fault> {
    if header.kind != kind::KEYFRAME {
        return Err(Fault::Keyframe);
    }
    let (head, packed) = KeyframeHead::split(payload).ok_or(Fault::Keyframe)?;
    let dump = unpack_whole(packed, head.length)?;
    Ok(Keyframe { seq: head.seq, at: head.at, size: head.size, dump: dump.into() })
}

/// Entries from a place on. After an error there are no more.
pub struct Entries<'a, S: Source + ?Sized> {
    source: &'a S,
    window: Window,
    offset: u64,
    end: u64,
    track: Track,
    unpacker: Unpacker,
    queue: VecDeque<Stamped>,
    /// What is skipped until the first entry was given.
    from: Option<From>,
    done: bool,
}

impl<S: Source + ?Sized> Iterator for Entries<'_, S> {
    type Item = Result<Stamped, Corrupt>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            while let Some(stamped) = self.queue.pop_front() {
                if !self.before(&stamped) {
                    return Some(Ok(stamped));
                }
            }
            if self.done || self.offset >= self.end {
                return None;
            }
            if let Err(what) = self.load() {
                self.done = true;
                return Some(Err(self.corrupt(what)));
            }
        }
    }
}

impl<S: Source + ?Sized> Entries<'_, S> {
    /// Something is wrong where reading has come to.
    pub(crate) fn corrupt(&self, what: Fault) -> Corrupt {
        Corrupt { offset: self.offset, record: self.track.records.saturating_add(1), what }
    }

    fn before(&mut self, stamped: &Stamped) -> bool {
        let before = match self.from {
            Some(From::Seq(seq)) => stamped.seq < seq,
            Some(From::Ms(ms)) => stamped.at < ms,
            None => false,
        };
        if !before {
            self.from = None;
        }
        before
    }

    fn load(&mut self) -> Result<(), Fault> {
        let Some((header, payload)) = record_at(&mut self.window, self.source, self.offset)? else {
            self.done = true;
            return Ok(());
        };
        let step = self.track.step(&header, payload)?;
        if let Some(entries) =
            read_entries(&header, payload, step, &mut self.unpacker, &self.track)?
        {
            self.queue.extend(entries);
        }
        self.offset = self.offset.saturating_add(header.record_bytes());
        Ok(())
    }
}

/// The entries of a record that was stepped over, if it has any.
pub fn read_entries(
    header: &Header,
    payload: &[u8],
    step: Step,
    unpacker: &mut Unpacker,
    track: &Track,
) -> Result<Option<Vec<Stamped>>, Fault> {
    match step {
        Step::Meta(entries) => Ok(Some(entries)),
        Step::Data { group, .. } => {
            let (span, packed) =
                read_span(payload, header.first, header.count).ok_or(Fault::Entries)?;
            let unpacked = if header.flags & flag::PLAIN != 0 {
                unpacker.close();
                packed.to_vec()
            } else {
                unpacker.unpack(packed, group)?
            };
            read_data(unpacked, span).map(Some)
        }
        Step::Digest(count) if count > 0 => {
            // META and keyframes are no part of a group: where one was taken out, the group goes on.
            if !track.in_group {
                unpacker.close();
            }
            let gap =
                Gap { cause: GapCause::Redacted, bytes: None, entries: Some(count.into()), ms: 0 };
            let seq = Seq(header.first);
            Ok(Some(vec![Stamped { seq, at: track.last_at, entry: Entry::Gap(gap) }]))
        }
        _ => Ok(None),
    }
}

/// The record whose header begins at `offset`; `None` at the clean end of the source.
pub fn record_at<'w, S: Source + ?Sized>(
    window: &'w mut Window,
    source: &S,
    offset: u64,
) -> Result<Option<(Header, &'w [u8])>, Fault> {
    let head = window.read(source, offset, HEADER_BYTES)?;
    if head.is_empty() {
        return Ok(None);
    }
    if head.len() < HEADER_BYTES {
        return Err(Fault::Torn);
    }
    let header = Header::read(head)?;
    let record = window.read(source, offset, HEADER_BYTES + header.len as usize)?;
    let payload = record.get(HEADER_BYTES..).unwrap_or_default();
    if payload.len() < header.len as usize {
        return Err(Fault::Torn);
    }
    Ok(Some((header, payload)))
}

/// What every record of a file says, read once from the beginning.
#[derive(Clone)]
pub struct Survey {
    pub track: Track,
    pub index: Index,
    pub heading: Option<Heading>,
    /// Where the next record begins: everything before it is whole and fits.
    pub offset: u64,
    /// Number of the next record, BESIDE records included.
    pub number: u64,
    /// What is wrong there, other than a torn end.
    pub stopped: Option<Corrupt>,
    /// Of a spool's file, where LINKs count: its runs of records.
    runs: Option<Vec<Run>>,
    window: Window,
}

impl Survey {
    pub fn new() -> Self {
        Self {
            track: Track::new(),
            index: Index::default(),
            heading: None,
            offset: 0,
            number: 1,
            stopped: None,
            runs: None,
            window: Window::new(),
        }
    }

    /// A survey of everything there is.
    pub fn over<S: Source + ?Sized>(source: &S) -> Self {
        let mut survey = Self::new();
        survey.advance(source);
        survey
    }

    /// Reads on as far as there are whole, fitting records.
    pub fn advance<S: Source + ?Sized>(&mut self, source: &S) {
        self.window.forget();
        self.stopped = None;
        if let Err(what) = self.run(source)
            && what != Fault::Torn
        {
            self.stopped = Some(Corrupt { offset: self.offset, record: self.number, what });
        }
        self.total();
        self.window.forget();
    }

    /// Brings the index's totals up to date.
    pub fn total(&mut self) {
        self.index.records = self.track.records;
        self.index.seq = self.track.head().seq;
        self.index.length_ms = self.track.last_at;
        self.index.hash = self.track.hash;
        self.index.ending.clone_from(&self.track.ended);
    }

    fn run<S: Source + ?Sized>(&mut self, source: &S) -> Result<(), Fault> {
        if self.offset == 0 {
            let front = source.read_at(0, MAGIC.len())?;
            if front.len() < MAGIC.len() && MAGIC.starts_with(&front) {
                return Err(Fault::Torn);
            }
            if !magic(&front)? {
                return Err(Fault::NotARecording);
            }
        }
        loop {
            let start = self.offset.max(MAGIC.len() as u64);
            let Some((header, payload)) = record_at(&mut self.window, source, start)? else {
                return Ok(());
            };
            let before = self.track.head();
            let step = self.track.step(&header, payload)?;
            let sealed = is_index(&header);
            let linked = self.runs.is_some() && self.track.link(&header, payload);
            self.note(header.kind, step, start, before);
            self.offset = start.saturating_add(header.record_bytes());
            self.note_run(linked);
            self.number = self.number.saturating_add(1);
            if sealed {
                let rest = source.read_at(self.offset, TRAILER_BYTES + 1)?;
                if rest.len() == TRAILER_BYTES && trailer_offset(&rest) == Some(start) {
                    return Ok(());
                }
            }
        }
    }

    /// Counts the record before `offset` to its run; behind a LINK another run begins.
    fn note_run(&mut self, linked: bool) {
        let Some(runs) = &mut self.runs else { return };
        match runs.last_mut().filter(|_| !linked) {
            Some(run) => run.bytes = self.offset.saturating_sub(run.offset),
            None if linked => {
                let first = self.track.records.saturating_add(1);
                runs.push(Run { first, offset: self.offset, bytes: 0 });
            }
            None => runs.push(Run { first: 1, offset: 0, bytes: self.offset }),
        }
    }

    /// Lists what a record that was stepped over is.
    pub fn note(&mut self, kind: u8, step: Step, offset: u64, before: Head) {
        let seq = before.seq.next();
        match step {
            Step::Heading(heading) => self.heading = Some(*heading),
            Step::Data { at, group: true, .. } => {
                let Head { records, hash, .. } = before;
                self.index.add_group(GroupAt { offset, seq, at, records, hash });
            }
            Step::Meta(entries) => {
                for Stamped { seq, at, entry } in entries {
                    if let Entry::Gap(gap) = entry {
                        self.index.add_gap(GapAt { seq, at, gap });
                    }
                }
            }
            Step::Keyframe { seq, at, late: false } => {
                self.index.add_keyframe(KeyframeAt { offset, seq, at });
            }
            Step::Digest(_) => self.index.add_digest(offset),
            Step::Beside if kind == kind::RECEIPT => self.index.add_receipt(offset),
            _ => {}
        }
    }
}

/// What a crash left of a recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovered {
    /// The heading.
    pub heading: Heading,
    /// Bytes up to the end of the last whole, fitting record: cut the file here.
    pub valid_len: u64,
    /// The chain after that record.
    pub head: Head,
    /// Time of the last entry, in milliseconds since the recording began.
    pub last_at: u64,
    /// Time that [`crate::Writer::resume`] goes on at; set it to what the clock says, or leave it at `last_at`.
    pub resume_at: u64,
    /// How the session ended, if its `Ended` entry is there.
    pub ended: Option<Ending>,
    /// Whether the signed END is there too: nothing is missing.
    pub finished: bool,
    /// Gaps in it.
    pub gaps: u64,
    /// What is wrong behind `valid_len`, other than a torn record.
    pub stopped: Option<Corrupt>,
}

/// Reads a recording that may have been cut anywhere, up to its last whole record whose tag fits.
///
/// # Errors
/// Not even the heading is whole: there is nothing to recover.
pub fn scan<S: Source + ?Sized>(source: &S) -> Result<Recovered, Corrupt> {
    recovered(Survey::over(source)).map(|(recovered, _)| recovered)
}

/// As [`scan`], of a node's spool, where a file may go on behind a hole (LINK); also gives its runs of records.
///
/// # Errors
/// As [`scan`].
pub fn scan_spool<S: Source + ?Sized>(source: &S) -> Result<(Recovered, Vec<Run>), Corrupt> {
    let mut survey = Survey { runs: Some(Vec::new()), ..Survey::new() };
    survey.advance(source);
    recovered(survey)
}

fn recovered(survey: Survey) -> Result<(Recovered, Vec<Run>), Corrupt> {
    let Some(heading) = survey.heading else {
        let what = survey.stopped.map_or(Fault::Torn, |stopped| stopped.what);
        return Err(Corrupt { offset: 0, record: 1, what });
    };
    let recovered = Recovered {
        heading,
        valid_len: survey.offset,
        head: survey.track.head(),
        last_at: survey.track.last_at,
        resume_at: survey.track.last_at,
        ended: survey.track.ended,
        finished: survey.track.finished,
        gaps: survey.index.gap_count,
        stopped: survey.stopped,
    };
    Ok((recovered, survey.runs.unwrap_or_default()))
}

/// The heading, from the first record alone.
fn read_first<S: Source + ?Sized>(source: &S) -> Result<Heading, Corrupt> {
    let fail = |what| Corrupt { offset: 0, record: 1, what };
    let front = source.read_at(0, MAGIC.len()).map_err(|error| fail(error.into()))?;
    if !magic(&front).map_err(fail)? {
        return Err(fail(Fault::NotARecording));
    }
    let mut window = Window::new();
    let record = record_at(&mut window, source, MAGIC.len() as u64).map_err(fail)?;
    let (header, payload) = record.ok_or_else(|| fail(Fault::Torn))?;
    match Track::new().step(&header, payload).map_err(fail)? {
        Step::Heading(heading) => Ok(*heading),
        _ => Err(fail(Fault::HeadingPlace)),
    }
}

/// Whether an index may be used: what it lists lies in the file, in order. What it says is checked where it is used.
fn plausible(index: &Index, end: u64) -> bool {
    let groups = &index.groups;
    let sorted = groups.is_sorted_by(|a, b| a.offset < b.offset && a.seq < b.seq && a.at <= b.at);
    sorted
        && groups.iter().all(|group| group.offset < end && group.records > 0)
        && index.keyframes.iter().all(|keyframe| keyframe.offset < end)
}

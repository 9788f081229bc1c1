//! A recording at a glance: what stands in it and when, without unpacking what was put out.
//!
//! Headers and META are read, DATA is stepped over. Nothing is checked beyond what reading needs: who wants proof uses
//! [`crate::verify`], who plays uses [`Recording::entries`].

use crate::codec::{read_meta, read_span};
use crate::fault::{Corrupt, Fault};
use crate::frame::{HEADER_BYTES, Header, MAGIC, kind};
use crate::reader::Recording;
use crate::source::{Source, Window};
use crate::track::KeyframeHead;
use model::entry::{Entry, Gap, GapCause, Stamped};
use model::{Seq, Size};

/// Bytes at the beginning of a payload that hold the numbers in front: five varints of ten bytes.
const NUMBERS_BYTES: usize = 50;

/// One record, as far as it can be told without unpacking it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Glance {
    /// Something was put out, typed or resized.
    Data {
        /// Time of the first entry.
        at: u64,
        /// Time of the last.
        last: u64,
        /// The last entry.
        seq: Seq,
        /// Bytes of the record, packed.
        packed: u64,
    },
    /// Everything else. Records that were taken out are a gap.
    Meta(Vec<Stamped>),
    /// A screen was kept.
    Screen {
        /// The entry after which it was so.
        seq: Seq,
        /// Time of that entry.
        at: u64,
        /// Its size.
        size: Size,
    },
}

/// Record after record. After an error there are no more.
pub struct Glances<'a, S: Source + ?Sized> {
    source: &'a S,
    window: Window,
    offset: u64,
    end: u64,
    last_at: u64,
    done: bool,
}

impl<S: Source> Recording<S> {
    /// The records from the group on in which an entry stands.
    #[must_use]
    pub fn glances(&self, from: Seq) -> Glances<'_, S> {
        let groups = &self.index().groups;
        let behind = groups.partition_point(|group| group.seq <= from);
        let group = behind.checked_sub(1).and_then(|place| groups.get(place));
        match group {
            Some(group) => Glances { last_at: group.at, ..self.glances_at(group.offset) },
            None => self.glances_at(0),
        }
    }

    /// The records from a byte on, as [`Glances::offset`] gave it; 0 is the beginning.
    #[must_use]
    pub fn glances_at(&self, offset: u64) -> Glances<'_, S> {
        Glances {
            source: self.source(),
            window: Window::new(),
            offset: offset.max(MAGIC.len() as u64),
            end: self.end(),
            last_at: 0,
            done: false,
        }
    }
}

impl<S: Source + ?Sized> Glances<'_, S> {
    /// The byte at which the next record begins.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    fn step(&mut self) -> Result<Option<Glance>, Fault> {
        let head = self.window.read(self.source, self.offset, HEADER_BYTES)?;
        if head.len() < HEADER_BYTES {
            self.done = true;
            return Ok(None);
        }
        let header = Header::read(head)?;
        let wanted = match header.kind {
            kind::META => header.len as usize,
            _ => NUMBERS_BYTES.min(header.len as usize),
        };
        let record = self.window.read(self.source, self.offset, HEADER_BYTES + wanted)?;
        let payload = record.get(HEADER_BYTES..).filter(|payload| <[u8]>::len(payload) == wanted);
        let payload = payload.ok_or(Fault::Torn)?;
        let seen = glance(&header, payload, self.last_at)?;
        if let Some(Glance::Data { last, .. }) = &seen {
            self.last_at = self.last_at.max(*last);
        } else if let Some(Glance::Meta(entries)) = &seen {
            self.last_at = entries.last().map_or(self.last_at, |entry| entry.at.max(self.last_at));
        }
        self.offset = self.offset.saturating_add(header.record_bytes());
        Ok(seen)
    }
}

impl<S: Source + ?Sized> Iterator for Glances<'_, S> {
    type Item = Result<Glance, Corrupt>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.done && self.offset < self.end {
            match self.step() {
                Ok(Some(seen)) => return Some(Ok(seen)),
                Ok(None) => {}
                Err(what) => {
                    self.done = true;
                    return Some(Err(Corrupt { offset: self.offset, record: 0, what }));
                }
            }
        }
        None
    }
}

fn glance(header: &Header, payload: &[u8], last_at: u64) -> Result<Option<Glance>, Fault> {
    Ok(match header.kind {
        kind::DATA => {
            let (span, _) = read_span(payload, header.first, header.count).ok_or(Fault::Entries)?;
            Some(Glance::Data {
                at: span.at,
                last: span.at.saturating_add(span.ms),
                seq: last_seq(header),
                packed: header.record_bytes(),
            })
        }
        kind::META => Some(Glance::Meta(read_meta(payload, header.first, header.count)?)),
        kind::KEYFRAME => {
            let (head, _) = KeyframeHead::split(payload).ok_or(Fault::Keyframe)?;
            Some(Glance::Screen { seq: head.seq, at: head.at, size: head.size })
        }
        kind::DIGEST if header.count > 0 => {
            let entries = Some(header.count.into());
            let gap = Gap { cause: GapCause::Redacted, bytes: None, entries, ms: 0 };
            let seq = Seq(header.first);
            Some(Glance::Meta(vec![Stamped { seq, at: last_at, entry: Entry::Gap(gap) }]))
        }
        _ => None,
    })
}

fn last_seq(header: &Header) -> Seq {
    Seq(header.first.saturating_add(header.count.into()).saturating_sub(1))
}

//! Where the records are: in runs of the spool's file, or in memory; and what to ship next.

use crate::writer::Writer;
use bytes::Bytes;
use model::limit::SHIP_BYTES;
use model::seal::Head;
use std::collections::VecDeque;

/// Whole records that stand one behind the other in a spool's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// Number of the first, the heading being 1.
    pub first: u64,
    /// Where it begins.
    pub offset: u64,
    /// How long the run is.
    pub bytes: u64,
}

/// Where the records are at some moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Holdings {
    /// In the file, by offset. Between two runs lies a hole: records that auth received before they were written.
    pub runs: Vec<Run>,
    /// In memory alone, oldest first, with their numbers. Behind everything in the file.
    pub memory: Vec<(u64, Bytes)>,
    /// Sealed so far, the heading being the first.
    pub records: u64,
    /// The last record is among them.
    pub ended: bool,
    /// The session waits for auth to have them.
    pub urgent: bool,
}

/// What to ship.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Records of this run of the file.
    File(Run),
    /// These whole records.
    Memory(Bytes),
    /// Nothing.
    UpToDate,
    /// The record that auth wants is nowhere.
    Missing,
}

impl Holdings {
    /// What to ship to an auth that has `received` records.
    #[must_use]
    pub fn next(&self, received: u64) -> Next {
        if received >= self.records {
            return Next::UpToDate;
        }
        let wanted = received.saturating_add(1);
        if let Some((first, _)) = self.memory.first()
            && wanted >= *first
        {
            return self.in_memory(wanted);
        }
        // A run reaches to the next one's first record at most; the last one, to what is in memory or to the end.
        match self.runs.iter().rev().find(|run| run.first <= wanted && run.bytes > 0) {
            Some(run) => Next::File(*run),
            None => Next::Missing,
        }
    }

    fn in_memory(&self, wanted: u64) -> Next {
        let mut body = Vec::new();
        for (_, bytes) in self.memory.iter().filter(|(number, _)| *number >= wanted) {
            if !body.is_empty() && body.len() + bytes.len() > SHIP_BYTES {
                break;
            }
            body.extend_from_slice(bytes);
        }
        if body.is_empty() { Next::Missing } else { Next::Memory(body.into()) }
    }
}

/// What stands in the spool's file, and what does not yet.
#[derive(Default)]
pub struct Spooled {
    /// The heading's record, with which every file begins. Of an earlier run it stands in the file, or auth has it.
    front: Bytes,
    runs: Vec<Run>,
    len: u64,
    /// Records up to the end of the file.
    file: u64,
    /// Sealed and neither in the file nor received, oldest first.
    unwritten: VecDeque<Piece>,
    unwritten_bytes: u64,
    /// The chain, and its time, in front of the first piece of `unwritten` or of what is sealed next.
    before: Option<(Head, u64)>,
    records: u64,
    /// What the append that was asked for will do.
    asked: Option<Plan>,
}

struct Piece {
    bytes: Bytes,
    head: Head,
    at: u64,
}

/// Parts of one append.
#[derive(Clone, Copy)]
struct Plan {
    /// The front, where the file is empty and the heading was received before it could be written.
    front: u64,
    link: u64,
    /// Records of `unwritten`, and their bytes.
    pieces: usize,
    bytes: u64,
}

impl Spooled {
    /// What an earlier run left in the file.
    pub fn resume(runs: Vec<Run>, len: u64, file: u64, before: (Head, u64)) -> Self {
        let records = before.0.records;
        Self { runs, len, file, before: Some(before), records, ..Self::default() }
    }

    pub fn sealed(&mut self, bytes: Bytes, head: Head, at: u64) {
        if head.records == 1 {
            self.front = bytes.clone();
        }
        self.records = head.records;
        self.unwritten_bytes += bytes.len() as u64;
        self.unwritten.push_back(Piece { bytes, head, at });
    }

    /// What auth has needs no writing any more, unless it is being written.
    pub fn received(&mut self, records: u64) {
        if self.asked.is_some() {
            return;
        }
        while let Some(piece) = self.unwritten.pop_front_if(|piece| piece.head.records <= records) {
            self.pass(&piece);
        }
    }

    pub fn unwritten_bytes(&self) -> u64 {
        self.unwritten_bytes
    }

    /// Whether records are missing in the file that no append can bring back.
    pub fn has_hole(&self) -> bool {
        self.runs.len() > 1 || (self.before.is_some_and(|(head, _)| head.records > self.file))
    }

    /// Bytes for the end of the file: what waits, behind a LINK if the file does not reach up to it.
    pub fn next_append(&mut self, writer: &Writer) -> Option<Bytes> {
        let first = self.unwritten.front()?;
        let hole = self.before.filter(|(head, _)| head.records > self.file);
        let mut bytes = Vec::new();
        if hole.is_some() && self.len == 0 {
            bytes.extend_from_slice(&self.front);
        }
        let front = bytes.len();
        if let Some((head, at)) = hole {
            bytes.extend_from_slice(&writer.link(head, at));
        }
        let (link, mut pieces) = (bytes.len() - front, 1);
        if bytes.is_empty() && self.unwritten.len() == 1 {
            let bytes = first.bytes.clone();
            self.asked = Some(Plan { front: 0, link: 0, pieces: 1, bytes: bytes.len() as u64 });
            return Some(bytes);
        }
        bytes.extend_from_slice(&first.bytes);
        for piece in self.unwritten.iter().skip(1) {
            if bytes.len() + piece.bytes.len() > SHIP_BYTES {
                break;
            }
            bytes.extend_from_slice(&piece.bytes);
            pieces += 1;
        }
        let records = (bytes.len() - front - link) as u64;
        let (front, link) = (front as u64, link as u64);
        self.asked = Some(Plan { front, link, pieces, bytes: records });
        Some(bytes.into())
    }

    /// The append that was asked for is done.
    pub fn appended(&mut self) {
        let Some(Plan { front, link, pieces, bytes }) = self.asked.take() else { return };
        if front > 0 {
            self.runs.push(Run { first: 1, offset: self.len, bytes: front });
        }
        self.len += front + link;
        match self.runs.last_mut().filter(|_| link == 0) {
            Some(run) => run.bytes += bytes,
            None => {
                let first = self.before.map_or(0, |(head, _)| head.records) + 1;
                self.runs.push(Run { first, offset: self.len, bytes });
            }
        }
        self.len += bytes;
        for _ in 0..pieces {
            if let Some(piece) = self.unwritten.pop_front() {
                self.pass(&piece);
            }
        }
        self.file = self.before.map_or(0, |(head, _)| head.records);
    }

    /// The append that was asked for is not done.
    pub fn refused(&mut self) {
        self.asked = None;
    }

    pub fn holdings(&self, ended: bool, urgent: bool) -> Holdings {
        let memory = self.unwritten.iter().map(|piece| (piece.head.records, piece.bytes.clone()));
        let (runs, records) = (self.runs.clone(), self.records);
        Holdings { runs, memory: memory.collect(), records, ended, urgent }
    }

    fn pass(&mut self, piece: &Piece) {
        self.before = Some((piece.head, piece.at));
        self.unwritten_bytes = self.unwritten_bytes.saturating_sub(piece.bytes.len() as u64);
    }
}

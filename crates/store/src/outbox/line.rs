//! One event as a line of a file, and lines found in a file that a crash or a disk may have damaged.

use crate::{file, hex};
use std::fs::File;
use std::io;

/// Bytes read at once.
const STEP: usize = 64 * 1024;

/// The line of an event, its end included.
pub(super) fn line(number: u64, event: &str) -> String {
    format!("{number} {} {event}\n", check(number, event))
}

fn check(number: u64, event: &str) -> String {
    let hash = blake3::hash(format!("{number} {event}").as_bytes());
    let mut digits = hex::encode(hash.as_bytes());
    digits.truncate(16);
    digits
}

/// What stands on a line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// An event as it was written.
    Line { number: u64, event: String },
    /// Something else: torn, or altered.
    Damaged,
}

/// Reads a line without its end.
pub(super) fn parse(text: &str) -> Option<Found> {
    let (number, rest) = text.split_once(' ')?;
    let (found, event) = rest.split_once(' ')?;
    let number = number.parse().ok()?;
    (found == check(number, event)).then(|| Found::Line { number, event: event.to_owned() })
}

/// Reads lines from a place in a file up to another. Memory is bounded by the longest line.
pub(super) struct Lines<'a> {
    file: &'a File,
    /// Where the next line begins.
    offset: u64,
    end: u64,
    held: Vec<u8>,
    /// Bytes of `held` that were given already.
    given: usize,
}

impl<'a> Lines<'a> {
    pub(super) fn new(file: &'a File, offset: u64, end: u64) -> Self {
        Self { file, offset, end, held: Vec::new(), given: 0 }
    }

    /// Where the next line begins.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// The next line; `None` at the end.
    pub(super) fn next(&mut self) -> io::Result<Option<Found>> {
        loop {
            let rest = self.held.get(self.given..).unwrap_or_default();
            if let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                let text = rest.get(..end).and_then(|text| std::str::from_utf8(text).ok());
                let found = text.and_then(parse).unwrap_or(Found::Damaged);
                self.give(end + 1);
                return Ok(Some(found));
            }
            let torn = rest.len();
            let at = self.offset.saturating_add(torn as u64);
            let left = usize::try_from(self.end.saturating_sub(at)).unwrap_or(usize::MAX);
            let more = file::read_at(self.file, at, left.min(STEP))?;
            if more.is_empty() {
                self.give(torn);
                return Ok((torn > 0).then_some(Found::Damaged));
            }
            self.held.drain(..self.given);
            self.given = 0;
            self.held.extend_from_slice(&more);
        }
    }

    fn give(&mut self, count: usize) {
        self.given += count;
        self.offset = self.offset.saturating_add(count as u64);
    }
}

//! A recording as a player far away shows it: a picture, and what follows it, piece by piece.
//!
//! The pieces are text wherever the bytes are: no character is cut between two of them, so that whoever shows them may
//! decode each by itself. What of a character is unfinished at the end of a piece is remembered in the [`Place`] behind it.

use crate::export::paper::Marker;
use crate::note::{Note, NoteKind};
use crate::picture::{Drawn, drawn_at, forward_line, shown};
use crate::{Corrupt, From, Recording, Source};
use core::fmt;
use core::str::FromStr;
use model::entry::Entry;
use model::limit::{REEL_CUES, REEL_ENTRIES};
use model::{Seq, Size};

/// The whole screen as it stood at a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// The moment, at most the recording's length.
    pub at: u64,
    /// Size of the screen.
    pub size: Size,
    /// What makes an empty terminal of that size show it.
    pub dump: String,
    /// Where it goes on.
    pub place: Place,
}

/// Behind an entry, between two characters or within one; for lines of text, with what was told of those on the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Place {
    /// The last entry that was told; 0 before the first.
    pub seq: Seq,
    unfinished: Unfinished,
    /// Of a transcript: what was told of the screen as it stands there.
    pub(crate) marker: Marker,
}

/// The beginning of a character: at most three bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Unfinished {
    bytes: [u8; 3],
    len: u8,
}

/// Something to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cue {
    /// Show text.
    Text(String),
    /// Show bytes that are no text.
    Bytes(Vec<u8>),
    /// Take another size.
    Size(Size),
    /// Say what happened.
    Note(NoteKind, String),
}

/// A piece of a recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// What to do: when, by which entry, what.
    pub cues: Vec<(u64, Seq, Cue)>,
    /// Behind it.
    pub place: Place,
    /// The time up to which everything was told.
    pub at: u64,
    /// Whether there is more.
    pub more: bool,
    /// Why there is no more, if there should be.
    pub damage: Option<Corrupt>,
}

/// The screen at a moment, in milliseconds since the recording began.
///
/// # Errors
/// The recording is damaged before that moment.
pub fn picture<S: Source>(recording: &Recording<S>, ms: u64) -> Result<Picture, Corrupt> {
    let Drawn { screen, seq, .. } = drawn_at(recording, ms)?;
    let (cols, rows) = screen.size();
    let mut dump = screen.dump();
    let unfinished = Unfinished::cut(&mut dump);
    Ok(Picture {
        at: ms.min(recording.length_ms()),
        size: Size::clamped(cols.into(), rows.into()),
        dump: String::from_utf8_lossy(&dump).into_owned(),
        place: Place { seq, unfinished, ..Place::default() },
    })
}

/// What follows a place, until about `most` bytes of output.
#[must_use]
pub fn piece<S: Source>(recording: &Recording<S>, after: Place, most: usize) -> Piece {
    let mut piece = Piece { cues: Vec::new(), place: after, at: 0, more: false, damage: None };
    let (mut bytes, mut passed) = (0, 0);
    for next in recording.entries(From::Seq(after.seq.next())) {
        let next = match next {
            Ok(next) => next,
            Err(damage) => {
                piece.damage = Some(damage);
                return piece;
            }
        };
        if bytes >= most || piece.cues.len() >= REEL_CUES || passed >= REEL_ENTRIES {
            piece.at = piece.at.max(next.at.saturating_sub(1));
            piece.more = true;
            return piece;
        }
        passed += 1;
        piece.place.seq = next.seq;
        piece.at = piece.at.max(next.at);
        match &next.entry {
            Entry::Output { stream, bytes: output } => {
                let shown = shown(*stream, output);
                bytes += shown.len();
                piece.show(next.at, next.seq, &shown);
            }
            Entry::Resize(size) => piece.cues.push((next.at, next.seq, Cue::Size(*size))),
            Entry::Forward(forward) => {
                piece.show(next.at, next.seq, forward_line(forward).as_bytes())
            }
            _ => {}
        }
        if let Some(note) = Note::of(&next) {
            piece.cues.push((next.at, next.seq, Cue::Note(note.kind, note.text)));
        }
    }
    piece.at = piece.at.max(recording.length_ms());
    piece
}

impl Piece {
    fn show(&mut self, at: u64, seq: Seq, bytes: &[u8]) {
        let mut all = self.place.unfinished.as_bytes().to_vec();
        all.extend_from_slice(bytes);
        self.place.unfinished = Unfinished::cut(&mut all);
        if all.is_empty() {
            return;
        }
        let cue = match String::from_utf8(all) {
            Ok(text) => Cue::Text(text),
            Err(error) => Cue::Bytes(error.into_bytes()),
        };
        self.cues.push((at, seq, cue));
    }
}

impl Place {
    /// Whether it is within a character, whose rest comes later, or never.
    #[must_use]
    pub fn is_within_character(&self) -> bool {
        self.unfinished.len > 0
    }

    /// Behind an entry.
    #[must_use]
    pub fn behind(seq: Seq) -> Self {
        Self { seq, ..Self::default() }
    }
}

impl Unfinished {
    /// Takes the beginning of a character off the end.
    fn cut(bytes: &mut Vec<u8>) -> Self {
        let last = bytes.utf8_chunks().last().map_or(&[][..], |chunk| chunk.invalid());
        let goes_on = core::str::from_utf8(last).is_err_and(|error| error.error_len().is_none());
        if !goes_on {
            return Self::default();
        }
        let found = Self::of(last).unwrap_or_default();
        bytes.truncate(bytes.len().saturating_sub(found.len.into()));
        found
    }

    fn of(begun: &[u8]) -> Option<Self> {
        let mut bytes = [0; 3];
        bytes.get_mut(..begun.len())?.copy_from_slice(begun);
        Some(Self { bytes, len: u8::try_from(begun.len()).ok()? })
    }

    fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len.into()).unwrap_or_default()
    }
}

/// `SEQ`; `SEQ-HEX` within a character; behind it `.ROWS` that were told, and `.MS` since when a program has the whole screen.
impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.seq.0)?;
        if self.unfinished.len > 0 {
            out.write_str("-")?;
        }
        self.unfinished.as_bytes().iter().try_for_each(|byte| write!(out, "{byte:02x}"))?;
        match self.marker {
            Marker { rows: 0, alternate_since: None } => Ok(()),
            Marker { rows, alternate_since: None } => write!(out, ".{rows}"),
            Marker { rows, alternate_since: Some(since) } => write!(out, ".{rows}.{since}"),
        }
    }
}

/// A text is no place in a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoPlace;

impl FromStr for Place {
    type Err = NoPlace;

    fn from_str(text: &str) -> Result<Self, NoPlace> {
        let mut parts = text.split('.');
        let (seq, unfinished) = character(parts.next().unwrap_or_default()).ok_or(NoPlace)?;
        let rows = parts.next().map_or(Ok(0), str::parse).map_err(|_| NoPlace)?;
        let since = parts.next().map(str::parse).transpose().map_err(|_| NoPlace)?;
        match parts.next() {
            None => Ok(Self { seq, unfinished, marker: Marker { rows, alternate_since: since } }),
            Some(_) => Err(NoPlace),
        }
    }
}

fn character(text: &str) -> Option<(Seq, Unfinished)> {
    let (seq, hex) = text.split_once('-').unwrap_or((text, ""));
    let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|one| u8::try_from(one).ok());
    let digits: Option<Vec<u8>> = hex.as_bytes().iter().map(digit).collect();
    let digits = digits.filter(|all| all.len() % 2 == 0)?;
    let bytes: Vec<u8> =
        digits.chunks(2).map(|two| two.iter().fold(0, |sum, one| sum << 4 | one)).collect();
    Some((Seq(seq.parse().ok()?), Unfinished::of(&bytes)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_as_it_is_written_and_nothing_else_is_one() {
        for text in
            ["0", "17", "18446744073709551615", "5-e2", "5-e282", "5-f09fa6", "5.23", "5.0.7000"]
        {
            assert_eq!(text.parse::<Place>().map(|place| place.to_string()).as_deref(), Ok(text));
        }
        for text in [
            "",
            "-",
            "x",
            "-1",
            "5-e",
            "5-e28",
            "5-e28282e2",
            "5-zz",
            "5-é",
            "5.",
            "5.x",
            "5.70000",
            "5.1.",
            "5.1.2.3",
        ] {
            assert_eq!(text.parse::<Place>(), Err(NoPlace), "{text:?}");
        }
    }

    #[test]
    fn the_beginning_of_a_character_is_taken_off_and_broken_ones_are_not() {
        let check = |bytes: &[u8], kept: &[u8]| {
            let mut all = bytes.to_vec();
            let unfinished = Unfinished::cut(&mut all);
            assert_eq!(all, kept, "{bytes:?}");
            assert_eq!([&all[..], unfinished.as_bytes()].concat(), bytes, "nothing is lost");
        };
        check(b"", b"");
        check(b"plain", b"plain");
        check(b"na\xc3", b"na");
        check(b"\xf0\x9f\xa6", b"");
        check(b"\xff\xe2\x82", b"\xff");
        check(b"a\xff", b"a\xff");
        check(b"\xe2\x82(", b"\xe2\x82(");
    }
}

//! Lines that scroll away before anybody could see them are not drawn.
//!
//! `cat` of a large log costs the emulator far more than it costs the reader of the picture anything: of each
//! chunk only the last screenful can still be on the screen. [`split`] finds where that screenful begins in a run
//! of lines that do nothing but print; of what lies before it only the colours matter ([`Run::pens`]).

use memchr::{memchr, memrchr, memrchr_iter};

/// Bytes that are looked at together.
const PIECE: usize = 64;

/// A run of lines, cut where the part that can be seen at its end begins.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Run<'a> {
    /// Lines that scroll away.
    gone: &'a [u8],
    /// The carriage return in front of the part that is drawn, and everything behind it.
    pub seen: &'a [u8],
    /// Length of the run's part of `seen`.
    pub end: usize,
}

/// What bytes begin with.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Beginning<'a> {
    /// Plain lines of which most scroll away.
    Flood(Run<'a>),
    /// As many bytes, to be drawn as they are; looking at them again would find nothing.
    Other(usize),
}

/// Looks at what bytes begin with, for a screen of so many rows.
///
/// Holds where the reader of the bytes is inside no sequence and no character, and the whole screen scrolls.
/// Twice the rows are drawn: once over, and every row that stood on the screen before is gone, wherever the
/// cursor was; the line above the first that is seen is drawn too, because it may run on into it.
pub(crate) fn split(bytes: &[u8], rows: u16) -> Beginning<'_> {
    let end = end(bytes);
    let (run, rest) = bytes.split_at(end);
    match cut(run, 2 * usize::from(rows) + 2) {
        // What is won must be worth the looking.
        Some(cut) if cut > run.len() / 2 => {
            let (gone, _) = run.split_at(cut);
            let (_, seen) = bytes.split_at(cut);
            Beginning::Flood(Run { gone, seen, end: end - cut })
        }
        _ => {
            let line = memchr(b'\n', rest);
            Beginning::Other(end + line.map_or(rest.len(), |at| at + 1))
        }
    }
}

/// The carriage return, from where the column is known, before the last so many line feeds.
fn cut(run: &[u8], mut lines: usize) -> Option<usize> {
    let mut cut = run.len();
    while lines > 0 {
        cut = memrchr(b'\n', run.get(..cut)?)?;
        lines -= 1;
    }
    memrchr(b'\r', run.get(..cut)?)
}

impl<'a> Run<'a> {
    /// The colours and styles that the lost lines set, in order, from the last reset on.
    pub(crate) fn pens(&self) -> impl Iterator<Item = &'a [u8]> {
        let resets = |at: &usize| {
            let rest = self.gone.get(*at..).unwrap_or_default();
            rest.starts_with(b"\x1b[m") || rest.starts_with(b"\x1b[0m")
        };
        let last = memrchr_iter(0x1b, self.gone).find(resets).unwrap_or(0);
        sequences(self.gone.get(last..).unwrap_or_default())
    }
}

/// How many bytes at the beginning are a run: plain characters and whole sequences that set colours and styles.
fn end(bytes: &[u8]) -> usize {
    let mut at = 0;
    loop {
        at += plain(bytes.get(at..).unwrap_or_default());
        match bytes.get(at..) {
            Some([]) | None => return bytes.len(),
            Some([0xc2, next, ..]) if !(0x80..0xa0).contains(next) => at += 1,
            Some(sequence) if let Some(length) = pen(sequence) => at += length,
            _ => return at,
        }
    }
}

/// How many bytes at the beginning are plain.
fn plain(bytes: &[u8]) -> usize {
    // Whole pieces without a branch in them, which compilers make one of a few instructions.
    let whole = |piece: &&[u8]| piece.iter().fold(true, |all, byte| all & is_plain(*byte));
    let pieces = bytes.chunks_exact(PIECE).take_while(whole).count() * PIECE;
    let rest = bytes.get(pieces..).unwrap_or_default();
    pieces + rest.iter().position(|byte| !is_plain(*byte)).unwrap_or(rest.len())
}

/// Whether a byte only prints, moves within its line, or goes to the next one. 0xc2 may begin a C1 control.
fn is_plain(byte: u8) -> bool {
    matches!(byte, 0x07..=0x0a | b'\r' | 0x20..=0x7e | 0x80..=0xc1 | 0xc3..=0xff)
}

/// The sequences in a run.
fn sequences(run: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut at = 0;
    core::iter::from_fn(move || {
        at += memchr(0x1b, run.get(at..)?)?;
        let found = run.get(at..at + pen(run.get(at..)?)?)?;
        at += found.len();
        Some(found)
    })
}

/// Length of the `CSI … m` that bytes begin with, if it is one of colours and styles.
fn pen(bytes: &[u8]) -> Option<usize> {
    /// Longest that is looked at; a longer one ends the run.
    const LONGEST: usize = 64;
    let body = bytes.strip_prefix(b"\x1b[")?;
    let length =
        body.iter().take(LONGEST).position(|byte| !matches!(byte, b'0'..=b'9' | b';' | b':'))?;
    (body.get(length) == Some(&b'm')).then_some(length + 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flood(bytes: &[u8], rows: u16) -> Run<'_> {
        match split(bytes, rows) {
            Beginning::Flood(run) => run,
            Beginning::Other(length) => panic!("{length} of {} bytes", bytes.len()),
        }
    }

    fn lines(from: usize, to: usize) -> Vec<u8> {
        (from..to).flat_map(|n| format!("\x1b[3{}mline {n}\r\n", n % 8).into_bytes()).collect()
    }

    #[test]
    fn a_screenful_twice_over_is_drawn_and_the_rest_is_colours() {
        let bytes = lines(0, 100);
        let run = flood(&bytes, 5);
        // Twelve line feeds, and the carriage return before the first of them.
        assert_eq!(run.seen, [b"\r\n", lines(89, 100).as_slice()].concat());
        assert_eq!(run.pens().count(), 89);
        assert_eq!(run.pens().last(), Some(b"\x1b[30m".as_slice()));
    }

    #[test]
    fn a_reset_forgets_the_colours_before_it() {
        let bytes =
            [b"\x1b[1ma\x1b[0mb\x1b[32mc\r\n".as_slice(), "x\r\n".repeat(50).as_bytes()].concat();
        let pens: Vec<&[u8]> = flood(&bytes, 3).pens().collect();
        assert_eq!(pens, [b"\x1b[0m".as_slice(), b"\x1b[32m"]);
    }

    #[test]
    fn a_run_ends_where_anything_else_begins() {
        for (other, length) in [
            ("\x1b[2J", 3),
            ("\x1b[?1m", 3),
            ("\x1b[>4m", 3),
            ("\x1b[1", 3),
            ("\x1b", 3),
            ("\x0e", 3),
            ("\u{85}", 3),
            ("\x7f", 3),
            ("\u{a0}é日", 10),
            ("\x1b[1;38:5:7m", 14),
        ] {
            assert_eq!(end(format!("abc{other}").as_bytes()), length, "{other:?}");
        }
    }

    #[test]
    fn too_little_to_win_is_drawn_as_it_is() {
        let few = lines(0, 20);
        assert_eq!(split(&few, 5), Beginning::Other(few.len()));
        let stairs = "no carriage return\n".repeat(100).into_bytes();
        assert_eq!(split(&stairs, 5), Beginning::Other(stairs.len()));
        assert_eq!(split(b"ab\x1b[2Jcd\nef", 5), Beginning::Other(9));
        assert_eq!(split(b"\x1b[2Jcd", 5), Beginning::Other(6));
        assert_eq!(split(b"", 5), Beginning::Other(0));
    }
}

//! Search inside a recording, from one end to the other: each line with the text, when it came onto the screen.

use crate::find::{Match, News, Pattern, Seen, part};
use crate::picture::{Drawn, draw_bytes, drawn_after};
use crate::{Corrupt, From, Recording, Source};
use model::entry::{Entry, Stream};
use model::{Seq, Size};
use screen::Screen;

/// A line with the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// When it came onto the screen.
    pub at: u64,
    /// By which entry.
    pub seq: Seq,
    /// The row in which it begins, from 0, at that moment.
    pub row: u16,
    /// The line; lines that were wrapped are one. With what was typed on behind it, as far as that was seen before it was told.
    pub text: String,
    /// The first character of the match, from 0.
    pub from: u32,
    /// The one behind its last.
    pub to: u32,
}

/// A search that goes on bit by bit.
pub struct Search<S: Source> {
    recording: Recording<S>,
    pattern: Pattern,
    screen: Screen,
    seen: Seen,
    seq: Seq,
    at: u64,
}

impl<S: Source> Search<S> {
    /// For what comes onto the screen behind an entry.
    ///
    /// # Errors
    /// The recording is damaged before that entry.
    pub fn new(recording: Recording<S>, pattern: Pattern, after: Seq) -> Result<Self, Corrupt> {
        let Drawn { screen, at, .. } = drawn_after(&recording, after)?;
        let seen = Seen::on(&pattern, &screen);
        Ok(Self { recording, pattern, screen, seen, seq: after, at })
    }

    /// The last entry that was looked at.
    #[must_use]
    pub fn seq(&self) -> Seq {
        self.seq
    }

    /// Its time.
    #[must_use]
    pub fn at(&self) -> u64 {
        self.at
    }

    /// Searches on while `more` says so, at least through one entry. `true` at the end of the recording.
    ///
    /// # Errors
    /// The recording is damaged here.
    pub fn run(
        &mut self,
        found: &mut Vec<Found>,
        mut more: impl FnMut() -> bool,
    ) -> Result<bool, Corrupt> {
        let Self { recording, pattern, screen, seen, seq, at } = self;
        for next in recording.entries(From::Seq(seq.next())) {
            let next = next?;
            *seq = next.seq;
            *at = next.at;
            match &next.entry {
                Entry::Output { stream, bytes } if *stream != Stream::Stdin => {
                    draw(screen, pattern, seen, *stream, bytes, |one, news| {
                        let Match { row, text, from, to, .. } = one;
                        let known = found.iter_mut().rev().find(|known| known.row == row);
                        match (news, known) {
                            (News::GoesOn, Some(known)) => {
                                (known.text, known.from, known.to) = (text, from, to);
                            }
                            (News::GoesOn, None) => {}
                            (News::Came, _) => {
                                found.push(Found {
                                    at: next.at,
                                    seq: next.seq,
                                    row,
                                    text,
                                    from,
                                    to,
                                });
                            }
                        }
                    });
                }
                Entry::Resize(size) => resize(screen, pattern, seen, *size),
                _ => {}
            }
            if !more() {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Lines wrapped anew are no new text.
fn resize(screen: &mut Screen, pattern: &Pattern, seen: &mut Seen, size: Size) {
    screen.resize(size.cols(), size.rows());
    *seen = Seen::on(pattern, screen);
}

/// Draws output in parts that cannot scroll a line through the whole screen.
fn draw(
    screen: &mut Screen,
    pattern: &Pattern,
    seen: &mut Seen,
    stream: Stream,
    bytes: &[u8],
    mut new: impl FnMut(Match, News),
) {
    let most = usize::from(screen.size().1 / 2).max(1);
    let mut rest = bytes;
    while !rest.is_empty() {
        let (now, later) = rest.split_at(part(rest, most, screen.size().0).min(rest.len()));
        rest = later;
        draw_bytes(screen, stream, now);
        seen.news(pattern.matches(screen)).into_iter().for_each(|(one, news)| new(one, news));
    }
}

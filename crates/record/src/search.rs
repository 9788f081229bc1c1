//! Search inside a recording, from one end to the other: each line with the text, when it came onto the screen.

use crate::find::{Match, News, Pattern, Seen, part};
use crate::picture::{Drawn, drawn_after, shown};
use crate::skim::Skim;
use crate::{Corrupt, Fault, From, Recording, Source};
use model::entry::{Entry, Stamped, Stream};
use model::limit::ENTRY_WORK;
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
    eye: Eye,
    seq: Seq,
    at: u64,
}

impl<S: Source> Search<S> {
    /// For what comes onto the screen behind an entry.
    ///
    /// # Errors
    /// The recording is damaged before that entry.
    pub fn new(recording: Recording<S>, pattern: Pattern, after: Seq) -> Result<Self, Corrupt> {
        let (eye, at) = Eye::after(&recording, pattern, after)?;
        Ok(Self { recording, eye, seq: after, at })
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
        let Self { recording, eye, seq, at } = self;
        let mut entries = recording.entries(From::Seq(seq.next()));
        while let Some(next) = entries.next() {
            let next = next?;
            *at = next.at;
            eye.see(&next, found).map_err(|fault| entries.corrupt(fault))?;
            *seq = next.seq;
            if !more() {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// A screen, and what of it was told.
pub(crate) struct Eye {
    pattern: Pattern,
    screen: Screen,
    seen: Seen,
    skim: Option<Skim>,
}

impl Eye {
    /// On the screen as it was after an entry; and the time of that.
    pub(crate) fn after<S: Source>(
        recording: &Recording<S>,
        pattern: Pattern,
        after: Seq,
    ) -> Result<(Self, u64), Corrupt> {
        let Drawn { screen, at, .. } = drawn_after(recording, after)?;
        let seen = Seen::on(&pattern, &screen);
        let skim = pattern.skim();
        Ok((Self { pattern, screen, seen, skim }, at))
    }

    /// Draws an entry; what comes onto the screen by it is found.
    ///
    /// # Errors
    /// It is too much work, most of which is left undone.
    pub(crate) fn see(&mut self, next: &Stamped, found: &mut Vec<Found>) -> Result<(), Fault> {
        match &next.entry {
            Entry::Output { stream, bytes } if *stream != Stream::Stdin => {
                let shown = shown(*stream, bytes);
                if self.passes(&shown) {
                    return Ok(());
                }
                return self.draw(&shown, |one, news| {
                    let Match { row, text, from, to, .. } = one;
                    let known = found.iter_mut().rev().find(|known| known.row == row);
                    match (news, known) {
                        (News::GoesOn, Some(known)) => {
                            (known.text, known.from, known.to) = (text, from, to);
                        }
                        (News::GoesOn, None) => {}
                        (News::Came, _) => {
                            let (at, seq) = (next.at, next.seq);
                            found.push(Found { at, seq, row, text, from, to });
                        }
                    }
                });
            }
            Entry::Resize(size) => self.resize(*size),
            _ => {}
        }
        Ok(())
    }

    /// Whether it cannot come up by this: then it need not be drawn yet.
    fn passes(&mut self, bytes: &[u8]) -> bool {
        let Self { screen, seen, skim: Some(skim), .. } = self else { return false };
        skim.takes(bytes, screen, seen.is_empty())
    }

    /// Lines wrapped anew are no new text.
    fn resize(&mut self, size: Size) {
        if let Some(skim) = &mut self.skim {
            skim.finish(&mut self.screen);
        }
        self.screen.resize(size.cols(), size.rows());
        self.seen = Seen::on(&self.pattern, &self.screen);
    }

    /// Draws output in parts that cannot scroll a line through the whole screen.
    fn draw(&mut self, bytes: &[u8], mut new: impl FnMut(Match, News)) -> Result<(), Fault> {
        let (cols, rows) = self.screen.size();
        let most = usize::from(rows / 2).max(1);
        let until = self.screen.work().saturating_add(ENTRY_WORK);
        let mut rest = bytes;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(part(rest, most, cols).min(rest.len()));
            if self.screen.feed_until(now, until) < now.len() {
                return Err(Fault::MuchDrawn);
            }
            rest = later;
            let news = self.seen.news(self.pattern.matches(&self.screen));
            news.into_iter().for_each(|(one, news)| new(one, news));
        }
        Ok(())
    }
}

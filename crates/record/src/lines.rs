//! The text of a recording, line by line as the lines leave the screen, each with the moment at which it was last written.
//!
//! [`page`] tells some of them; a page begins where the one before ended, with the screen as it stood there.

use crate::cue::Place;
use crate::export::Text;
use crate::export::paper::{Change, Row, feed_piece, piece_len, printable, rows, used};
use crate::picture::{Drawn, drawn_after, drawn_at};
use crate::{Corrupt, From, Recording, Source};
use model::entry::{Entry, Stamped, Stream};
use model::limit::{LINE_BYTES, LINES_BYTES, REEL_ENTRIES};
use model::{Seq, Size};
use screen::Screen;

/// Something to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// A line.
    Line {
        /// When something was last written into it.
        at: u64,
        /// By which entry.
        seq: Seq,
        /// Its text.
        text: String,
    },
    /// A program had the whole screen.
    FullScreen {
        /// From.
        at: u64,
        /// To.
        until: u64,
    },
}

/// Some lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// In the order in which they left the screen.
    pub told: Vec<Told>,
    /// Behind them.
    pub place: Place,
    /// Time of the last entry that was read.
    pub at: u64,
    /// Whether there is more.
    pub more: bool,
    /// Why there is no more, if there should be.
    pub damage: Option<Corrupt>,
}

/// Where a page begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// Behind another.
    After(Place),
    /// With the lines that stand on the screen at a moment, in milliseconds since the recording began.
    At(u64),
}

/// Lines from a place on, about `most` of them. At the end of a recording that has ended those that stayed on the screen,
/// too.
///
/// # Errors
/// The recording is damaged before that place.
pub fn page<S: Source>(
    recording: &Recording<S>,
    start: Start,
    most: usize,
) -> Result<Page, Corrupt> {
    let (drawn, place) = match start {
        Start::At(ms) => {
            let drawn = drawn_at(recording, ms)?;
            let place = Place::behind(drawn.seq);
            (drawn, place)
        }
        Start::After(place) => (drawn_after(recording, place.seq)?, place),
    };
    let ended = recording.ending().is_some();
    let was_at_end = place.seq >= recording.last_seq();
    let mut lines = Lines::new(recording.heading().size, drawn);
    let mut page = Page { told: Vec::new(), place, at: 0, more: false, damage: None };
    let (mut bytes, mut passed) = (0_usize, 0_usize);
    for next in recording.entries(From::Seq(place.seq.next())) {
        let next = match next {
            Ok(next) => next,
            Err(damage) => {
                page.damage = Some(damage);
                break;
            }
        };
        let full = lines.told.len() >= most || bytes >= LINES_BYTES || passed >= REEL_ENTRIES;
        if full && (lines.held.is_none() || bytes >= 2 * LINES_BYTES || passed >= 2 * REEL_ENTRIES)
        {
            page.more = true;
            break;
        }
        passed += 1;
        if let Entry::Output { bytes: output, .. } = &next.entry {
            bytes = bytes.saturating_add(output.len());
        }
        page.place = Place::behind(next.seq);
        page.at = next.at;
        lines.push(&next);
    }
    if !page.more && ended && page.damage.is_none() && !was_at_end {
        lines.finish();
    } else {
        lines.end_line();
    }
    page.told = lines.told;
    if !page.more {
        page.at = page.at.max(recording.length_ms());
    }
    Ok(page)
}

/// Reads entries, tells lines.
struct Lines {
    /// `None` without a terminal.
    screen: Option<Screen>,
    /// When each row was last written.
    written: Vec<(u64, Seq)>,
    /// The beginning of a line that goes on.
    held: Option<(u64, Seq, String)>,
    alternate_since: Option<u64>,
    text: Text,
    at: u64,
    seq: Seq,
    told: Vec<Told>,
}

impl Lines {
    /// Goes on with a screen. When its rows were written is not known: they stand there at this moment.
    fn new(size: Option<Size>, drawn: Drawn) -> Self {
        let Drawn { screen, seq, at } = drawn;
        let written = vec![(at, seq); screen.size().1.into()];
        let alternate_since = screen.is_alternate().then_some(at);
        Self {
            screen: size.map(|_| screen),
            written,
            held: None,
            alternate_since,
            text: Text::default(),
            at,
            seq,
            told: Vec::new(),
        }
    }

    fn push(&mut self, stamped: &Stamped) {
        (self.at, self.seq) = (stamped.at, stamped.seq);
        match &stamped.entry {
            Entry::Output { stream: Stream::Stdin, .. } => {}
            Entry::Output { bytes, .. } if self.screen.is_some() => self.feed(bytes),
            Entry::Output { bytes, .. } => {
                let text = self.text.push(bytes);
                self.plain(&text);
            }
            Entry::Resize(size) => {
                if let Some(screen) = &mut self.screen {
                    screen.resize(size.cols(), size.rows());
                    self.written.resize(size.rows().into(), (self.at, self.seq));
                }
            }
            _ => {}
        }
    }

    fn feed(&mut self, bytes: &[u8]) {
        let Some(mut screen) = self.screen.take() else { return };
        let mut rest = bytes;
        while !rest.is_empty() {
            let (piece, behind) = rest.split_at(piece_len(&screen, rest));
            let from = screen.caret().1;
            let change = feed_piece(&mut screen, piece);
            self.changed(change);
            if !screen.is_alternate() {
                // A sequence in front may have moved the cursor before anything was written.
                let to = screen.caret().1;
                let first = if piece.first() == Some(&0x1b) { to } else { from };
                self.wrote(first);
                self.wrote(to);
            }
            rest = behind;
        }
        self.screen = Some(screen);
    }

    fn wrote(&mut self, row: u16) {
        if let Some(written) = self.written.get_mut(usize::from(row)) {
            *written = (self.at, self.seq);
        }
    }

    fn changed(&mut self, change: Change) {
        match change {
            Change::Stay => {}
            Change::Switched(true) => self.alternate_since = Some(self.at),
            Change::Switched(false) => {
                if let Some(at) = self.alternate_since.take() {
                    self.told.push(Told::FullScreen { at, until: self.at });
                }
            }
            Change::Scrolled(row) => {
                let now = (self.at, self.seq);
                let when = self.written.first().copied().unwrap_or(now);
                self.tell(when, row);
                self.written.rotate_left(1);
                if let Some(last) = self.written.last_mut() {
                    *last = now;
                }
            }
            Change::Cleared(rows) => self.tell_all(rows),
        }
    }

    fn tell_all(&mut self, rows: Vec<Row>) {
        let now = (self.at, self.seq);
        let when = self.written.clone();
        for (row, when) in rows.into_iter().zip(when.into_iter().chain(std::iter::repeat(now))) {
            self.tell(when, row);
        }
    }

    fn tell(&mut self, when: (u64, Seq), row: Row) {
        let (at, seq, mut text) = self.held.take().unwrap_or((0, Seq(0), String::new()));
        text.push_str(&row.text);
        self.held = Some((at.max(when.0), seq.max(when.1), text));
        if !row.wraps {
            self.end_line();
        }
        self.cut_long();
    }

    /// Text of a program without a terminal.
    fn plain(&mut self, text: &str) {
        for part in text.split_inclusive('\n') {
            let (_, _, mut line) = self.held.take().unwrap_or_default();
            let whole = part.strip_suffix('\n');
            line.push_str(whole.unwrap_or(part));
            self.held = Some((self.at, self.seq, line));
            if whole.is_some() {
                self.end_line();
            }
            self.cut_long();
        }
    }

    fn cut_long(&mut self) {
        if self.held.as_ref().is_some_and(|held| held.2.len() >= LINE_BYTES) {
            self.end_line();
        }
    }

    fn end_line(&mut self) {
        if let Some((at, seq, text)) = self.held.take() {
            let text = printable(text.strip_suffix('\r').unwrap_or(&text));
            self.told.push(Told::Line { at, seq, text });
        }
    }

    /// Tells what stayed on the screen.
    fn finish(&mut self) {
        let text = self.text.finish();
        self.plain(&text);
        self.changed(Change::Switched(false));
        if let Some(screen) = self.screen.take()
            && !screen.is_alternate()
        {
            let mut left = rows(&screen);
            left.truncate(used(&left));
            self.tell_all(left);
        }
        self.end_line();
    }
}

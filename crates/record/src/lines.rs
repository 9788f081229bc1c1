//! The text of a recording, line by line as the lines leave the screen, each with the moment at which it was last written.
//!
//! [`page`] tells some of them; a page begins where the one before ended, with the screen as it stood there.

use crate::cue::Place;
use crate::export::Text;
use crate::export::paper::{Marker, Moment, Paper, Said, left_out, printable};
use crate::picture::{Drawn, blank, drawn, picture_of};
use crate::{Corrupt, Fault, From, Keyframe, Recording, Source};
use model::Seq;
use model::entry::{Entry, Stamped, Stream};
use model::limit::{LINE_BYTES, LINES_BYTES, REEL_ENTRIES, WALK_BYTES, WALK_WORK};
use screen::{Row, Screen};

/// Told in place of what stood on the screen.
const UNDRAWN: &str = "[what stood on the screen here is left out: it is too much work to draw]";

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
    /// By time. Lines of one moment stand in the order in which they left the screen.
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
    let (mut lines, place) = Lines::begin(recording, start)?;
    let ended = recording.ending().is_some();
    let was_at_end = place.seq >= recording.last_seq();
    let mut page = Page { told: Vec::new(), place, at: lines.now.0, more: false, damage: None };
    let (mut bytes, mut passed) = (0_usize, 0_usize);
    let began = lines.work();
    if lines.is_undrawn && !was_at_end {
        let (at, seq) = lines.now;
        lines.told.push(Told::Line { at, seq, text: UNDRAWN.to_owned() });
    }
    for next in recording.entries(From::Seq(place.seq.next())) {
        let next = match next {
            Ok(next) => next,
            Err(damage) => {
                page.damage = Some(damage);
                break;
            }
        };
        let work = lines.work() - began;
        let beyond = |times: usize| {
            bytes >= times * LINES_BYTES
                || passed >= times * REEL_ENTRIES
                || work >= times as u64 * WALK_WORK
        };
        let full = lines.told.len() >= most || beyond(1);
        if full && (lines.held.is_none() || beyond(2)) {
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
    page.place.marker = lines.paper.as_ref().map(Paper::marker).unwrap_or_default();
    page.told = lines.told;
    // A row that was written over stands above others that were written before.
    page.told.sort_by_key(Told::at);
    if !page.more && page.damage.is_none() {
        page.at = page.at.max(recording.length_ms());
    }
    Ok(page)
}

impl Told {
    /// When it was there.
    fn at(&self) -> u64 {
        match self {
            Self::Line { at, .. } | Self::FullScreen { at, .. } => *at,
        }
    }
}

/// Reads entries, tells lines.
struct Lines {
    /// `None` without a terminal.
    paper: Option<Paper>,
    /// The beginning of a line that goes on.
    held: Option<(u64, Seq, String)>,
    text: Text,
    now: Moment,
    told: Vec<Told>,
    /// What stood on the screen where it begins is not known: to draw it is too much work.
    is_undrawn: bool,
}

impl Lines {
    /// Everything up to there was told, or passed over: answers also the place behind it.
    fn begin<S: Source>(recording: &Recording<S>, start: Start) -> Result<(Self, Place), Corrupt> {
        let mut lines = Self {
            paper: None,
            held: None,
            text: Text::default(),
            now: (0, Seq(0)),
            told: Vec::new(),
            is_undrawn: false,
        };
        let (place, marker) = match start {
            Start::At(ms) => {
                lines.walk(recording, recording.keyframe_at(ms)?.as_ref(), |next| next.at <= ms)?;
                // What stands on the screen is still to be told.
                (Place::behind(lines.now.1), Marker { rows: 0, ..lines.marker() })
            }
            Start::After(place) => {
                let wanted = |next: &Stamped| next.seq <= place.seq;
                lines.walk(recording, recording.keyframe_before(place.seq)?.as_ref(), wanted)?;
                (place, place.marker)
            }
        };
        if let Some(paper) = &mut lines.paper {
            paper.set_marker(marker);
        }
        (lines.held, lines.told) = (None, Vec::new());
        Ok((lines, place))
    }

    /// Goes from a picture to where it begins. So it knows when each row was written, if that was after the picture, and that
    /// not far away: to draw what is written costs less than to read it.
    fn walk<S: Source>(
        &mut self,
        recording: &Recording<S>,
        frame: Option<&Keyframe>,
        wanted: impl Fn(&Stamped) -> bool,
    ) -> Result<(), Corrupt> {
        let (screen, now) = match frame {
            Some(frame) => (picture_of(frame), (frame.at, frame.seq)),
            None => (blank(recording), (0, Seq(0))),
        };
        self.now = now;
        self.paper = recording.heading().size.map(|_| Paper::new(screen, now));
        let mut walked = 0_usize;
        for next in recording.entries(From::Seq(now.1.next())) {
            let next = next?;
            if !wanted(&next) {
                break;
            }
            if let Entry::Output { bytes, .. } = &next.entry {
                walked = walked.saturating_add(bytes.len());
            }
            if (walked > LINES_BYTES || self.work() > WALK_WORK) && self.paper.is_some() {
                let screen = match drawn(recording, frame, &wanted, WALK_BYTES) {
                    Ok(Drawn { screen, seq, at }) => {
                        self.now = (at, seq);
                        screen
                    }
                    Err(Corrupt { what: Fault::MuchDrawn, .. }) => {
                        self.undrawn(recording, &wanted)?
                    }
                    Err(damage) => return Err(damage),
                };
                self.paper = Some(Paper::new(screen, self.now));
                break;
            }
            self.push(&next);
            self.told.clear();
        }
        Ok(())
    }

    /// Goes on to where it begins, and draws nothing: an empty screen of the size that it has there.
    fn undrawn<S: Source>(
        &mut self,
        recording: &Recording<S>,
        wanted: impl Fn(&Stamped) -> bool,
    ) -> Result<Screen, Corrupt> {
        self.is_undrawn = true;
        let (mut cols, mut rows) = self.paper.as_ref().map_or((0, 0), Paper::size);
        for next in recording.entries(From::Seq(self.now.1.next())) {
            let next = next?;
            if !wanted(&next) {
                break;
            }
            if let Entry::Resize(size) = next.entry {
                (cols, rows) = (size.cols(), size.rows());
            }
            self.now = (next.at, next.seq);
        }
        Ok(Screen::new(cols, rows))
    }

    /// What drawing cost so far.
    fn work(&self) -> u64 {
        self.paper.as_ref().map_or(0, Paper::work)
    }

    fn marker(&self) -> Marker {
        self.paper.as_ref().map(Paper::marker).unwrap_or_default()
    }

    fn push(&mut self, stamped: &Stamped) {
        self.now = (stamped.at, stamped.seq);
        match (&stamped.entry, &mut self.paper) {
            (Entry::Output { stream: Stream::Stdin, .. }, _) => {}
            (Entry::Output { bytes, .. }, Some(paper)) => paper.feed(self.now, bytes),
            (Entry::Output { bytes, .. }, None) => {
                let text = self.text.push(bytes);
                self.plain(&text);
            }
            (Entry::Resize(size), Some(paper)) => paper.resize(self.now, size.cols(), size.rows()),
            _ => {}
        }
        self.say();
    }

    /// Tells what there is to tell on paper.
    fn say(&mut self) {
        for said in self.paper.as_mut().map(Paper::take).unwrap_or_default() {
            match said {
                Said::Row(row, when) => self.tell(when, row),
                Said::FullScreen { from, until } => {
                    self.told.push(Told::FullScreen { at: from, until });
                }
                Said::LeftOut { bytes, when: (at, seq) } => {
                    let text = format!("[{}]", left_out(bytes));
                    self.told.push(Told::Line { at, seq, text });
                }
            }
        }
    }

    fn tell(&mut self, when: Moment, row: Row) {
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
            self.held = Some((self.now.0, self.now.1, line));
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
        if let Some(paper) = &mut self.paper {
            paper.finish(self.now);
        }
        self.say();
        self.end_line();
    }
}

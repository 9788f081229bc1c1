//! Pictures of a recording: the screen as it was after an entry, or at a moment.

use crate::{Corrupt, Fault, From, Keyframe, Recording, Source};
use model::entry::Forward;
use model::limit::{WALK_BYTES, WALK_WORK};
use model::{Entry, Seq, Size, Stamped, Stream};
use screen::Screen;
use std::borrow::Cow;

/// The screen as it was at a moment, in milliseconds since the recording began.
///
/// # Errors
/// The recording is damaged before that moment.
pub fn picture_at<S: Source>(recording: &Recording<S>, ms: u64) -> Result<Screen, Corrupt> {
    picture_within(recording, ms, u64::MAX)
}

/// As [`picture_at`], if the picture that was kept before is not further away than so many bytes of output.
///
/// # Errors
/// As there; or it is.
pub fn picture_within<S: Source>(
    recording: &Recording<S>,
    ms: u64,
    most: u64,
) -> Result<Screen, Corrupt> {
    let frame = recording.keyframe_at(ms)?;
    drawn(recording, frame.as_ref(), |next| next.at <= ms, most).map(|drawn| drawn.screen)
}

/// A screen, and how it came to be.
pub(crate) struct Drawn {
    /// It.
    pub screen: Screen,
    /// The last entry on it; 0 before the first.
    pub seq: Seq,
    /// Time of that entry.
    pub at: u64,
}

/// As [`picture_within`] [`WALK_BYTES`], and the last entry on it.
pub(crate) fn drawn_at<S: Source>(recording: &Recording<S>, ms: u64) -> Result<Drawn, Corrupt> {
    let frame = recording.keyframe_at(ms)?;
    drawn(recording, frame.as_ref(), |next| next.at <= ms, WALK_BYTES)
}

/// The screen as it was after an entry.
pub(crate) fn drawn_after<S: Source>(recording: &Recording<S>, seq: Seq) -> Result<Drawn, Corrupt> {
    let frame = recording.keyframe_before(seq)?;
    drawn(recording, frame.as_ref(), |next| next.seq <= seq, WALK_BYTES)
}

/// The screen after the last entry that is wanted, from a keyframe on, over at most so many bytes of output.
pub(crate) fn drawn<S: Source>(
    recording: &Recording<S>,
    frame: Option<&Keyframe>,
    wanted: impl Fn(&Stamped) -> bool,
    most: u64,
) -> Result<Drawn, Corrupt> {
    let mut walked = 0_u64;
    let mut drawn = match frame {
        Some(frame) => Drawn { screen: picture_of(frame), seq: frame.seq, at: frame.at },
        None => Drawn { screen: blank(recording), seq: Seq(0), at: 0 },
    };
    let until = match most {
        u64::MAX => u64::MAX,
        _ => drawn.screen.work().saturating_add(WALK_WORK),
    };
    let mut brush = Brush::default();
    let mut entries = recording.entries(From::Seq(drawn.seq.next()));
    while let Some(next) = entries.next() {
        let next = next?;
        if !wanted(&next) {
            break;
        }
        if let Entry::Output { bytes, .. } = &next.entry {
            walked = walked.saturating_add(bytes.len() as u64);
        }
        if walked > most {
            return Err(entries.corrupt(Fault::FarPicture(most)));
        }
        if !brush.draw(&mut drawn.screen, &next.entry, until) {
            return Err(entries.corrupt(Fault::MuchDrawn));
        }
        (drawn.seq, drawn.at) = (next.seq, next.at);
    }
    if !brush.finish(&mut drawn.screen, until) {
        return Err(entries.corrupt(Fault::MuchDrawn));
    }
    Ok(drawn)
}

/// An empty screen of the recording's first size.
pub fn blank<S: Source>(recording: &Recording<S>) -> Screen {
    let size = recording.heading().size.unwrap_or_default();
    Screen::new(size.cols(), size.rows())
}

/// The screen of a keyframe.
pub fn picture_of(frame: &Keyframe) -> Screen {
    let mut screen = Screen::new(frame.size.cols(), frame.size.rows());
    screen.feed(&frame.dump);
    screen
}

/// Draws entry after entry, holding output back until there is much of it:
/// of a flood of lines the screen then draws only what stays ([`Screen::feed`]).
#[derive(Debug, Default)]
pub struct Brush {
    held: Vec<u8>,
    /// Bytes of it that are drawn.
    drawn: usize,
}

impl Brush {
    /// Bytes that are held back at most, but for the last entry.
    const HELD: usize = 256 * 1024;

    /// Takes an entry. What it draws, if anything, is drawn now or at the latest with [`Brush::finish`]. `false`: not taken,
    /// because the screen's work ([`Screen::work`]) came to `until` with what was held back; it is to be given again then.
    #[must_use]
    pub fn draw(&mut self, screen: &mut Screen, entry: &Entry, until: u64) -> bool {
        match entry {
            Entry::Output { stream, bytes } => {
                if self.held.len() >= Self::HELD && !self.finish(screen, until) {
                    return false;
                }
                self.held.extend_from_slice(&shown(*stream, bytes));
                true
            }
            Entry::Resize(_) | Entry::Forward(_) => {
                let goes_on = self.finish(screen, until) && screen.work() < until;
                if goes_on {
                    draw(screen, entry);
                }
                goes_on
            }
            _ => true,
        }
    }

    /// Draws what was held back. `false`: not all of it, because the screen's work came to `until`.
    #[must_use]
    pub fn finish(&mut self, screen: &mut Screen, until: u64) -> bool {
        self.drawn += screen.feed_until(self.held.get(self.drawn..).unwrap_or_default(), until);
        let is_whole = self.drawn >= self.held.len();
        if is_whole {
            self.held.clear();
            self.drawn = 0;
        }
        is_whole
    }
}

/// Draws an entry, if it draws anything: what belongs to a connection is a line each.
pub fn draw(screen: &mut Screen, entry: &Entry) {
    match entry {
        Entry::Output { stream, bytes } => draw_bytes(screen, *stream, bytes),
        Entry::Resize(size) => resize(screen, *size),
        Entry::Forward(forward) => {
            screen.feed(forward_line(forward).as_bytes());
        }
        _ => {}
    }
}

/// What a terminal gets of something that belongs to a connection.
pub(crate) fn forward_line(forward: &Forward) -> String {
    let mut line = forward.words().replace(char::is_control, "\u{b7}");
    line.push_str("\r\n");
    line
}

/// Draws bytes of a stream.
pub fn draw_bytes(screen: &mut Screen, stream: Stream, bytes: &[u8]) {
    screen.feed(&shown(stream, bytes));
}

/// What a terminal gets of a stream: output without a terminal gets the carriage returns it would add.
pub(crate) fn shown(stream: Stream, bytes: &[u8]) -> Cow<'_, [u8]> {
    match stream {
        Stream::Pty => Cow::Borrowed(bytes),
        Stream::Stdin => Cow::Borrowed(&[]),
        Stream::Stdout | Stream::Stderr => {
            let mut shown = Vec::with_capacity(bytes.len());
            for line in bytes.split_inclusive(|byte| *byte == b'\n') {
                let text = line.strip_suffix(b"\n");
                shown.extend_from_slice(text.unwrap_or(line));
                if text.is_some() {
                    shown.extend_from_slice(b"\r\n");
                }
            }
            Cow::Owned(shown)
        }
    }
}

fn resize(screen: &mut Screen, size: Size) {
    screen.resize(size.cols(), size.rows());
}

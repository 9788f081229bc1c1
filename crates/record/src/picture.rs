//! Pictures of a recording: the screen as it was after an entry, or at a moment.

use crate::{Corrupt, Fault, From, Keyframe, Recording, Source};
use model::entry::Forward;
use model::limit::WALK_BYTES;
use model::{Entry, Seq, Size, Stamped, Stream};
use screen::Screen;

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
        brush.draw(&mut drawn.screen, &next.entry);
        (drawn.seq, drawn.at) = (next.seq, next.at);
    }
    brush.finish(&mut drawn.screen);
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
}

impl Brush {
    /// Bytes that are held back at most.
    const HELD: usize = 256 * 1024;

    /// Draws an entry, if it draws anything, now or at the latest with [`Brush::finish`].
    pub fn draw(&mut self, screen: &mut Screen, entry: &Entry) {
        match entry {
            Entry::Output { stream, bytes } => {
                as_shown(*stream, bytes, &mut self.held);
                if self.held.len() >= Self::HELD {
                    self.finish(screen);
                }
            }
            Entry::Resize(_) | Entry::Forward(_) => {
                self.finish(screen);
                draw(screen, entry);
            }
            _ => {}
        }
    }

    /// Draws what was held back.
    pub fn finish(&mut self, screen: &mut Screen) {
        screen.feed(&self.held);
        self.held.clear();
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
    if stream == Stream::Pty {
        screen.feed(bytes);
    } else {
        let mut shown = Vec::new();
        as_shown(stream, bytes, &mut shown);
        screen.feed(&shown);
    }
}

/// Appends what a terminal gets of a stream: output without a terminal gets the carriage returns it would add.
pub(crate) fn as_shown(stream: Stream, bytes: &[u8], shown: &mut Vec<u8>) {
    match stream {
        Stream::Pty => shown.extend_from_slice(bytes),
        Stream::Stdin => {}
        Stream::Stdout | Stream::Stderr => {
            for line in bytes.split_inclusive(|byte| *byte == b'\n') {
                let text = line.strip_suffix(b"\n");
                shown.extend_from_slice(text.unwrap_or(line));
                if text.is_some() {
                    shown.extend_from_slice(b"\r\n");
                }
            }
        }
    }
}

fn resize(screen: &mut Screen, size: Size) {
    screen.resize(size.cols(), size.rows());
}

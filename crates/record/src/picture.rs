//! Pictures of a recording: the screen as it was after an entry, or at a moment.

use crate::{Corrupt, From, Keyframe, Recording, Source};
use model::{Entry, Seq, Size, Stream};
use screen::Screen;

/// The screen as it was at a moment, in milliseconds since the recording began.
///
/// # Errors
/// The recording is damaged before that moment.
pub fn picture_at<S: Source>(recording: &Recording<S>, ms: u64) -> Result<Screen, Corrupt> {
    let (mut screen, seq) = match recording.keyframe_at(ms)? {
        Some(frame) => (picture_of(&frame), frame.seq),
        None => (blank(recording), Seq(0)),
    };
    for next in recording.entries(From::Seq(seq.next())) {
        let next = next?;
        if next.at > ms {
            break;
        }
        draw(&mut screen, &next.entry);
    }
    Ok(screen)
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

/// Draws an entry, if it draws anything: what belongs to a connection is a line each. Output without a terminal gets the carriage returns a terminal would add.
pub fn draw(screen: &mut Screen, entry: &Entry) {
    match entry {
        Entry::Output { stream, bytes } => draw_bytes(screen, *stream, bytes),
        Entry::Resize(size) => resize(screen, *size),
        Entry::Forward(forward) => {
            let line = forward.words().replace(char::is_control, "\u{b7}");
            screen.feed(line.as_bytes());
            screen.feed(b"\r\n");
        }
        _ => {}
    }
}

/// Draws bytes of a stream.
pub fn draw_bytes(screen: &mut Screen, stream: Stream, bytes: &[u8]) {
    match stream {
        Stream::Pty => screen.feed(bytes),
        Stream::Stdin => {}
        Stream::Stdout | Stream::Stderr => {
            for line in bytes.split_inclusive(|byte| *byte == b'\n') {
                match line.strip_suffix(b"\n") {
                    Some(text) => {
                        screen.feed(text);
                        screen.feed(b"\r\n");
                    }
                    None => screen.feed(line),
                }
            }
        }
    }
}

fn resize(screen: &mut Screen, size: Size) {
    screen.resize(size.cols(), size.rows());
}

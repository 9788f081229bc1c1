//! The terminal player: a recording as a film that goes both ways.
//!
//! It draws scry's own picture of the recorded screen. No recorded byte reaches the viewer's terminal:
//! a recording cannot query it, set its clipboard or title, or hide a part of itself.
//!
//! [`mind`] decides (pure), [`reel`] shows any moment of a recording, [`paint`] draws, [`player`] drives them before a
//! [`desk`], which is a [`terminal`] of its own or what somebody else lends it.

mod desk;
mod mind;
mod outline;
mod paint;
mod player;
mod reel;
mod terminal;
mod wish;

pub use desk::{Desk, Turn};
pub use wish::Key;

use player::Player;
use record::{Recording, Source};
use screen::{Screen, Style, write_style};
use std::io;
use std::sync::atomic::AtomicBool;
use thiserror::Error;

/// How to play.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// Where to begin, in milliseconds since the recording began.
    pub at_ms: Option<u64>,
    /// How many times faster than it happened, 0.25 to 16.
    pub speed: f64,
    /// Pauses longer than this many milliseconds are cut to it.
    pub skip_idle_ms: Option<u64>,
    /// Whether to begin paused.
    pub paused: bool,
    /// Whether to begin at the end of a session that goes on, and stay there.
    pub follow: bool,
    /// Text to highlight, as if it had been searched for.
    pub highlight: Option<String>,
    /// Whether what goes on is behind the player: it is followed there, by leaving the player.
    pub before_live: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            at_ms: None,
            speed: 1.0,
            skip_idle_ms: None,
            paused: false,
            follow: false,
            highlight: None,
            before_live: false,
        }
    }
}

/// Why a recording could not be played.
#[derive(Debug, Error)]
pub enum Error {
    /// There is nowhere to draw.
    #[error(
        "standard output is no terminal: print one moment with `--print --at TIME`, or write a file with `scry recordings export`"
    )]
    NoTerminal,
    /// The terminal failed.
    #[error("the terminal cannot be used")]
    Terminal(#[source] io::Error),
}

/// Plays until the viewer leaves. Blocks; the recording may be far away, as long as each call is quick.
///
/// # Errors
/// There is no terminal, or it fails. A damaged recording plays up to the damage and says so.
pub fn run<S: Source>(
    recording: Recording<S>,
    options: Options,
    title: String,
) -> Result<(), Error> {
    terminal::run(recording, options, title)
}

/// As [`run`], at a desk that somebody lends.
///
/// # Errors
/// The desk is gone.
pub fn run_at<S: Source, D: Desk>(
    recording: Recording<S>,
    options: Options,
    title: String,
    desk: D,
) -> Result<(), Error> {
    let mut player = Player::new(recording, options, title, desk);
    player.play(&AtomicBool::new(false)).map_err(Error::Terminal)
}

/// A screen as lines of text, with colours if wanted.
pub fn as_text(screen: &Screen, colours: bool) -> String {
    if !colours {
        let mut text = screen.text().join("\n");
        text.truncate(text.trim_end().len());
        text.push('\n');
        return text;
    }
    let mut out = Vec::new();
    for row in 0..screen.size().1 {
        let mut style = Style::default();
        for cell in screen.row(row).filter(|cell| cell.width > 0) {
            if cell.style != style {
                write_style(&mut out, &cell.style);
                style = cell.style;
            }
            out.extend_from_slice(cell.ch.encode_utf8(&mut [0; 4]).as_bytes());
        }
        out.extend_from_slice(b"\x1b[0m\n");
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests;

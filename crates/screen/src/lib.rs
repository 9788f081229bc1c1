//! What a terminal shows: bytes and a size → cells, cursor, modes, and a dump that rebuilds them exactly.
//!
//! The emulator (avt) reads hostile bytes behind one wall, [`Screen`].
//! In front of it stands a small lexer of this crate's own: it alone sees unfinished input, holds it within bounds,
//! and hands on whole pieces, so that chunks do not matter and a dump can carry what is pending.
//! (A stock parser such as vte keeps an unterminated string without bound and does not tell what is pending.)
//! Beside it [`Modes`] keeps what the emulator ignores.
//!
//! Known differences from xterm: OSC 8 links, concealed text, underline shapes and colours, palette changes,
//! left and right margins are not modelled. A mark that takes no column is composed with its base (NFC) or dropped;
//! an emoji of several joined characters shows its parts. REP repeats at most 4,096 times.

mod cell;
mod flood;
mod lex;
mod modes;
mod repair;
mod screen;

pub use cell::{Cell, Colour, Style};
pub use modes::{Modes, Mouse, MouseEncoding};
pub use screen::Screen;

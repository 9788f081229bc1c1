//! What a terminal shows: bytes and a size → cells, cursor, modes, and a dump that rebuilds them exactly.
//!
//! The emulator (avt) reads hostile bytes behind one wall, [`Screen`].
//! In front of it stands a small lexer of this crate's own: it alone sees unfinished input, holds it within bounds,
//! and hands on whole pieces, so that chunks do not matter and a dump can carry what is pending.
//! (A stock parser such as vte keeps an unterminated string without bound and does not tell what is pending.)
//! Beside it [`Modes`] keeps what the emulator ignores.
//!
//! And back: a [`Canvas`] is a picture of somebody's whole terminal, with a screen in it ([`Canvas::show`]),
//! and a [`Painter`] writes the difference between what that terminal shows and the next picture.
//! Of what the program wrote nothing reaches it but cells and [`Keys`].
//! A [`Loan`] lets a painter use a terminal that a program writes to directly, and gives it back; [`Loan::take_any`] and [`anew`]
//! begin on one of which nothing is known.
//!
//! Known differences from xterm: OSC 8 links, concealed text, underline shapes and colours, palette changes,
//! left and right margins are not modelled. A mark that takes no column is composed with its base (NFC) or dropped;
//! an emoji of several joined characters shows its parts. REP repeats at most 4,096 times.

mod canvas;
mod cell;
mod flood;
mod keys;
mod lex;
mod loan;
mod modes;
mod painter;
mod paste;
mod repair;
mod screen;
mod view;
mod work;

pub use canvas::{Canvas, write_changes, write_style};
pub use cell::{Cell, Colour, Style};
pub use keys::{Keys, undo_keys, write_keys};
pub use loan::{Loan, anew, undo};
pub use modes::{Modes, Mouse, MouseEncoding};
pub use painter::Painter;
pub use paste::Paste;
pub use screen::{Row, Screen};
pub use view::BAR;

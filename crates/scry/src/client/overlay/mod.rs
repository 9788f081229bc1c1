//! What the owner of a session in `scry ssh` sees of it beside the program: notes on the last row, a box with keys, and
//! the player, which whoever has joined it by `scry join` has, too.
//!
//! [`front`] decides (pure), [`typed`] takes apart what is typed, [`menu`] holds what the box shows and what its keys mean,
//! [`film`] lends the player its place, [`curtain`] stands between the program and the terminal, [`question`] knows what
//! only a terminal can answer, [`drive`] carries the bytes, [`back`] comes back when the connection was lost.
//!
//! As long as nothing is shown the program's bytes go to the terminal untouched; a screen model follows them.
//! While something is shown the terminal is painted, and gets afterwards what it was spared.

mod back;
mod curtain;
mod drive;
mod film;
mod front;
mod menu;
mod question;
#[cfg(test)]
mod tests;
mod typed;

pub use drive::{FAREWELL, Parting, Whose, carry};

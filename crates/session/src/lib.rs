//! One live session: its output with Seqs, the seats that read it, and when it must end. Floor 1: no clock, no task, no pty.
//!
//! A seat is a cursor on one sequence, not a queue: a slow watcher costs nothing and holds nobody up.
//! The recorder is before all seats: output is offered here with the [`model::Seq`] that the recorder gave it,
//! so nobody sees what is not recorded.
//!
//! Inputs are methods of [`Hub`] that are named for what happened; the other three verbs are
//! [`Hub::poll`], [`Hub::poll_timeout`] and [`Hub::handle_timeout`].
//!
//! [`tap`] reads what sftp and scp do in passing.

mod hub;
mod ring;
#[cfg(test)]
mod simulation;
pub mod tap;

pub use hub::{BURST_MS, End, Hub, Read, SeatId, SeatKind, Terms, Typing};

//! One live session: its output with Seqs, the seats that read it, and when it must end. Floor 1: no clock, no task, no pty.
//!
//! A seat is a cursor on one sequence, not a queue: a slow watcher costs nothing and holds nobody up.
//! The recorder is before all seats: output is offered here with the [`Seq`] that the recorder gave it.

mod hub;
mod ring;

pub use hub::{End, Hub, Read, SeatId, SeatKind, Terms};

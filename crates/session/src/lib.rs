//! One live session: its output with Seqs, the seats that read it, and when it must end. Floor 1: no clock, no task, no pty.
//!
//! A seat is a cursor on one sequence, not a queue: a slow watcher costs nothing and holds nobody up.
//! The recorder is before all seats: output is offered here with the [`model::Seq`] that the recorder gave it,
//! so nobody sees what is not recorded.
//!
//! Inputs are methods of [`Hub`] that are named for what happened; the other three verbs are
//! [`Hub::poll`], [`Hub::poll_timeout`] and [`Hub::handle_timeout`].
//!
//! [`Company`] knows who is there, who may type, and whether anything may pass: as pure as the hub, and with the same verbs.
//!
//! [`tap`] reads what sftp and scp do in passing.

pub mod company;
mod hub;
mod ring;
#[cfg(test)]
mod simulation;
pub mod tap;

pub use company::Company;
pub use hub::{BURST_MS, End, Hub, Read, SeatId, SeatKind, Terms, Typing};

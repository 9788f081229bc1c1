//! One live session: its output for its owner, who is in it, and when it must end. Floor 1: no clock, no task, no pty.
//!
//! The recorder is before everybody: output is offered here once the recorder has it, so nobody sees what is not recorded.
//! Only the owner makes the program wait; who looks on is shown pictures and costs nobody anything.
//!
//! Inputs are methods of [`Hub`] that are named for what happened; the other three verbs are
//! [`Hub::poll`], [`Hub::poll_timeout`] and [`Hub::handle_timeout`].
//!
//! [`Company`] knows who is there, who may type, and whether anything may pass: as pure as the hub, and with the same verbs.
//!
//! [`Desk`] is where a file waits that others must approve.
//!
//! [`tap`] reads what sftp and scp do in passing.

pub mod company;
pub mod desk;
mod hub;
#[cfg(test)]
mod simulation;
pub mod tap;

pub use company::Company;
pub use desk::Desk;
pub use hub::{End, Hub, Terms};

//! Everything that names russh: the SSH server, the client and the jump host, and the cure of its flow control.
//!
//! russh gives a channel's window back at once, whatever the reader took, and then waits in the connection's only loop
//! until the channel's queue has room: a slow reader would hold up every other channel. So every channel has a task here
//! that takes what arrives at once and pushes it into a [`Buffer`](buffer::Buffers): elastic up to its bound, and only
//! there the loop waits, which is back-pressure to TCP. Without any progress at the bound the channel is closed with a
//! line that says why, and the connection lives.
//!
//! russh writes and does not read meanwhile: of two of its loops, as in `scry ssh` to a node, each would wait for the other
//! where much flows both ways. So a client's write that waits reads on (`drop_line`).
//!
//! **Invariant:** nothing that may take long is awaited inside a callback of russh, and each request is answered inside it.
//! The one exception is a `tcpip-forward`, whose port russh wants at once: it waits for this machine only, with a bound.

pub mod buffer;
mod channel;
pub mod client;
mod drop_line;
pub mod files;
pub mod jump;
pub mod server;
mod startups;
mod terms;
#[cfg(test)]
mod tests;

pub use channel::{Carried, Gone, Input, Output, Pipe};
pub use russh::keys::ssh_key;
pub use startups::{Startup, Startups};

use thiserror::Error;

/// Why a connection could not be made.
#[derive(Debug, Error)]
pub enum SshError {
    /// The protocol failed before anybody was let in.
    #[error("the SSH handshake failed")]
    Handshake(#[source] russh::Error),
    /// Nobody was let in within the time allowed.
    #[error("nobody signed in within {} s", .ms / 1000)]
    LoginGrace {
        /// How long that was, in milliseconds.
        ms: u64,
    },
    /// The other side ended the connection before anybody was let in.
    #[error("the connection ended before anybody signed in")]
    Ended,
    /// The server's host certificate does not convince.
    #[error("this is not the machine that was asked for: {why}")]
    Host {
        /// What is wrong with it.
        why: String,
    },
    /// The server did not accept the certificate.
    #[error("{login} is not let in; see why with: scry access explain USER {login}@NODE")]
    Refused {
        /// The account that was asked for.
        login: String,
    },
    /// A request on a channel was refused.
    #[error("the server refused {what}")]
    Request {
        /// Which request.
        what: &'static str,
    },
    /// The connection is gone.
    #[error("the connection is gone")]
    Gone,
}

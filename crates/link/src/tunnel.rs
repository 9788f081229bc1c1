//! How clients reach a node: the node dials the proxy, the roles turn and the proxy opens streams to the node;
//! or, where it has one, at a port of its own.

mod node;
mod port;
mod registry;

pub use node::{Knock, Knocks, Tunnel};
pub use port::Port;
pub use registry::{NoTunnel, Tunnels};

use model::limit::REDIAL_MS;
use std::time::Duration;

/// Pauses between tries: from 100 ms, doubled each time up to [`REDIAL_MS`], each shortened by up to half at random,
/// so that the nodes of a restarted proxy do not all come back in the same moment.
#[derive(Debug, Clone, Default)]
pub struct Backoff {
    tries: u32,
}

impl Backoff {
    /// The next pause.
    pub fn pause(&mut self) -> Duration {
        let whole = 100_u64.saturating_mul(1 << self.tries.min(16)).min(REDIAL_MS);
        self.tries = self.tries.saturating_add(1);
        Duration::from_millis(rand::random_range(whole / 2..=whole))
    }

    /// The next pause is short again.
    pub fn reset(&mut self) {
        self.tries = 0;
    }
}

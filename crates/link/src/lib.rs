//! Every connection of scry's own protocols: TLS, HTTP/2, tunnels, SSH. Floor 2.
//!
//! This room gives listeners and clients, not routes: routers and handlers live in the services, bodies are `wire` types.
//!
//! | module | what it does |
//! |---|---|
//! | [`tls`] | identities, the cluster's TLS authority, trust by pin or by authority |
//! | [`front`] | the one port: limits, recognising what a client speaks, the TLS handshake |
//! | [`acme`] | certificates for browsers, from a server that nobody here wrote |
//! | [`http`] | HTTP/2 server and client, typed calls, `CONNECT` streams |
//! | [`tunnel`] | a node's connection to a proxy, on which the roles turn |
//! | [`duplex`] | byte streams in both directions, and the pipe between two of them |
//! | [`tcp`], [`tasks`] | what all connections share: sockets, and where their tasks live |
//! | `flood` | what strangers bring about: told while it is little, counted beyond |
//! | [`ssh`] | the only code that names russh |

pub mod acme;
pub mod duplex;
mod flood;
pub mod front;
pub mod http;
mod lines;
mod places;
pub mod ssh;
pub mod tasks;
pub mod tcp;
pub mod tls;
pub mod tunnel;

pub use duplex::{BoxDuplex, Duplex, pipe};
pub use flood::{FLOOD_WINDOW, Flood};
pub use lines::{LineBuffer, LineTooLong};
pub use places::{Full, Place, Places};
pub use tls::{Peer, PeerIdentity};

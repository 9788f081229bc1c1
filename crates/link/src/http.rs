//! HTTP/2 over any stream: a server for a service's router, a client with typed calls, and `CONNECT` byte streams.

mod channel;
mod client;
mod error;
mod routes;
mod serve;
mod socket;
mod stream;

pub use channel::Channel;
pub use client::{Client, Dialer, Kept, Lines};
pub use error::{CallError, Trouble, words};
pub use routes::{Routes, answer, lines, refusal, whole};
pub use serve::{Accepted, Carrier, Connect, Service, serve, serve_http1};
pub use socket::{Socket, socket};
pub use stream::ByteStream;

use std::time::Duration;

/// Of one connection: as large as HTTP/2 allows, else streams that nobody reads would block all others.
/// Memory is bounded by the streams' own windows.
const CONNECTION_WINDOW: u32 = (1 << 31) - 1;
/// Between two PINGs; load balancers drop what is silent for a minute.
const PING_INTERVAL: Duration = Duration::from_secs(15);
/// Until a PING must be answered, else the connection is dead.
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of all headers of one request. Refuse: 431.
const HEADER_BYTES: u32 = 16 * 1024;
/// Bytes that a connection of HTTP/1.1 holds of what it reads, its headers whole.
const HTTP1_BYTES: usize = 64 * 1024;

//! The nouns of scry: what every room may say. Floor 0: no clock, file, socket or thread.

pub mod audit;
pub mod entry;
pub mod factor;
pub mod heading;
pub mod id;
pub mod kernel;
pub mod limit;
pub mod link;
pub mod lock;
pub mod role;
pub mod scope;
pub mod seal;
pub mod size;
pub mod tally;
pub mod time;
pub mod transfer;
pub mod wanted;
pub mod words;

pub use audit::AuditEvent;
pub use entry::{Entry, Forward, Gap, Stamped, Stream};
pub use factor::FactorKind;
pub use heading::{Heading, Kind};
pub use id::{ConnectionId, Login, NameError, NodeName, RoleName, Seq, SessionId, UserName};
pub use kernel::{Kernel, KernelEvent};
pub use link::LinkId;
pub use lock::{Correction, Lock, LockId, LockTarget};
pub use role::SeatRole;
pub use size::Size;
pub use tally::Tally;
pub use time::{Tick, Time};
pub use transfer::Transfer;
pub use wanted::Wanted;
pub use words::words;

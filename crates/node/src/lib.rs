//! The machine's SSH server and recorder. Floor 3.
//!
//! | module | what it does |
//! |---|---|
//! | `serve` | puts everything together; order of shutdown |
//! | `join`, `news`, `report`, `refusals` | standing in the cluster, what auth says, what auth is told; strangers who knock all day |
//! | `connection`, `forward`, `ways`, `connection_record` | one SSH connection: who may, sessions, its end; what is reached over it, and the recording of that |
//! | `session` | one session: the program's streams, the recorder before everybody, the owner |
//! | `company`, `visitor`, `stage`, `view` | others in a session: the table, their seats, the screen for them, and how a terminal shows it |
//! | `verdict` | why something that runs must end |
//! | `recorder`, `keyframes` | entries to spool; screens, read behind |
//! | `drawing` | turns at drawing screens |
//! | `eyes` | what the kernel sees of sessions |
//! | `pipes`, `keep`, `files` | what is recorded of streams without a terminal; how much of them; files for the ledger |
//! | `ship`, `recover` | recordings to auth; what a crash left |
//! | `buffers` | where untaken input waits |
//!
//! **Invariant:** there is no session without a recorder unless the role says `off`, and that is in the ledger.

mod aftermath;
mod alarm;
pub mod buffers;
mod clock;
mod company;
mod connection;
mod connection_record;
mod drawing;
mod error;
mod eyes;
mod files;
mod forward;
mod join;
mod keep;
mod keyframes;
mod lanes;
mod lives;
mod news;
mod pipes;
mod recorder;
mod recover;
mod refusals;
mod report;
mod serve;
mod session;
mod ship;
mod stage;
mod verdict;
mod view;
mod visitor;
mod ways;

pub use error::Error;
pub use join::{Joined, joined};
pub use serve::{Config, Invitation, serve};

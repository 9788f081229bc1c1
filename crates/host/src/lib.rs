//! Everything done as, or on behalf of, a local user: accounts, session processes, terminals, signals, sockets.
//!
//! The daemon never forks. [`spawn`] and [`Net::start`] start this program anew (`__session`, `__net`, `__close`),
//! which is a `posix_spawn` and costs the same however large the daemon is; the new process is handed its
//! task and its descriptors over a socket, becomes the user, and then runs the shell or serves requests.
//! The door calls [`dispatch`] before anything else in `main`.
//!
//! **Invariant:** whoever starts a process or opens a socket here has shown a permit that only `policy` makes.
//! **Invariant:** `unsafe` stands in `sys` alone.

pub mod account;
mod accounting;
mod child;
mod closing_process;
mod display;
mod environment;
mod fdpass;
mod files;
mod files_process;
mod flow;
mod freeze;
mod group;
mod hunt;
pub mod kernel;
mod memory;
mod modes;
mod net;
mod net_made;
mod net_process;
mod privilege;
mod pty;
mod rest;
mod session_process;
pub mod signal;
mod spawn;
mod stat;
mod sweep;
mod sys;
mod utmp;

pub use account::{Account, AccountError};
pub use accounting::{PamState, sweep_logins};
pub use child::{Child, Exit, Io, Process, SignalError, Signals};
pub use closing_process::close_main;
pub use display::X11Plan;
pub use environment::allowed_variable;
pub use files::{FileNews, Files};
#[doc(hidden)]
pub use files_process::rehearse as rehearse_files;
pub use flow::{Reader, Writer};
pub use freeze::{FreezeError, Frozen, Outside};
pub use hunt::Ended;
pub use memory::give_back_at_rest;
#[doc(hidden)]
pub use net::rehearse as rehearse_answer;
pub use net::{Net, NetError};
pub use net_process::net_main;
pub use pty::{Foreground, Pty, PtyOutput};
pub use rest::{Rest, RestMarks};
pub use session_process::session_main;
pub use spawn::{Addresses, Plan, PtyPlan, Settings, SpawnError, What, spawn};
#[doc(hidden)]
pub use stat::Stat;
pub use sweep::sweep_frozen;
#[doc(hidden)]
pub use utmp::rehearse as rehearse_lists;

use std::process::ExitCode;

/// First argument of a session process.
pub const SESSION: &str = "__session";
/// First argument of a connection's net helper.
pub const NET: &str = "__net";
/// First argument of the process that closes a session as root.
pub const CLOSE: &str = "__close";

/// Runs the process that [`spawn`] or [`Net::start`] asked for, if this is one; `None` for every other start.
/// Call it first in `main`: no thread may run and no descriptor of value be open.
#[must_use]
pub fn dispatch() -> Option<ExitCode> {
    let asked = std::env::args_os().nth(1)?;
    if asked == SESSION {
        Some(session_main())
    } else if asked == NET {
        Some(net_main())
    } else if asked == CLOSE {
        Some(close_main())
    } else {
        None
    }
}

/// Raises this process's limit of open descriptors to the most it may have, and says how many that is.
/// Call it once at the start of a service; session processes lower it again for the user.
pub fn raise_descriptor_limit() -> u64 {
    let mut limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let before = limit.current;
    limit.current = limit.maximum;
    let raised = rustix::process::setrlimit(rustix::process::Resource::Nofile, limit).is_ok();
    (if raised { limit.maximum } else { before }).unwrap_or(u64::MAX)
}

//! Finding every process of a session, and ending it.
//!
//! | mark | finds | is left by |
//! |---|---|---|
//! | session id (`setsid`) | the shell and its jobs | `setsid`, daemons |
//! | control group | whatever came of the session, daemons too | root who moves a process elsewhere |
//! | audit session with its login uid | the same; the kernel hands both down | root with the right to set them |
//! | `SCRY_SESSION` in the environment | the same, where there is neither group nor audit | who empties the environment |
//!
//! What another service starts on somebody's behalf (cron, at, systemd, a container's daemon) is that service's.

use crate::group::Group;
use rustix::process::{Pid, PidfdFlags, Signal};
use std::collections::BTreeSet;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Between two looks whether anybody is left.
const PAUSE: Duration = Duration::from_millis(10);
/// How long processes are hunted that are killed and do not die, or fork faster than they are found.
const HUNT: Duration = Duration::from_secs(2);
/// The variable that names the session to its programs.
pub const VARIABLE: &str = "SCRY_SESSION";

/// An audit session, and the account that it is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Audit {
    pub(crate) session: u32,
    pub(crate) uid: u32,
}

/// By what the processes of a session are known.
#[derive(Debug, Clone)]
pub(crate) struct Marks {
    leader: i32,
    /// Says whether `leader` still means our process, however late it is asked.
    process: Arc<OwnedFd>,
    group: Option<Arc<Group>>,
    audit: Option<Audit>,
    variable: Vec<u8>,
}

/// How far a hunt goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// The shell and its jobs, as far as they share its session id.
    Terminal,
    /// Whatever came of the session.
    All,
}

/// What came of a hunt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ended {
    /// Processes that were there.
    pub processes: usize,
    /// Those that were killed and are still there: they hang in the kernel and run no more.
    pub left: usize,
}

impl Marks {
    pub(crate) fn new(
        leader: Pid,
        process: Arc<OwnedFd>,
        group: Option<Group>,
        audit: Option<Audit>,
        session: &str,
    ) -> Self {
        // An audit session that is also the node's own was not begun for this one: the machine did not let it.
        let audit =
            audit.filter(|audit| audit_of("self").is_none_or(|own| own.session != audit.session));
        let variable = format!("{VARIABLE}={session}").into_bytes();
        let leader = leader.as_raw_nonzero().get();
        Self { leader, process, group: group.map(Arc::new), audit, variable }
    }

    /// Whether the leader was not waited for yet; so long its process id cannot mean another.
    pub(crate) fn leader_is_there(&self) -> bool {
        rustix::process::waitid(
            rustix::process::WaitId::PidFd(rustix::fd::AsFd::as_fd(&self.process)),
            rustix::process::WaitIdOptions::EXITED
                | rustix::process::WaitIdOptions::NOHANG
                | rustix::process::WaitIdOptions::NOWAIT,
        )
        .is_ok()
    }

    /// Sends signals to everybody within reach; answers who that was. Blocks for as long as it takes to look at every
    /// process of the machine.
    pub(crate) fn signal(&self, reach: Reach, signals: &[Signal]) -> BTreeSet<i32> {
        let Ok(entries) = std::fs::read_dir("/proc") else { return BTreeSet::new() };
        let numbers = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        let look = Look { marks: self, reach, numbered: self.number_is_ours() };
        numbers.filter(|number| look.signal(*number, signals)).collect()
    }

    /// Hangs up, and kills what is still there after `grace`, until nobody is left. Blocks.
    pub(crate) fn end(&self, reach: Reach, grace: Duration) -> Ended {
        let mut seen = self.signal(reach, &[Signal::HUP, Signal::CONT]);
        let began = Instant::now();
        while began.elapsed() < grace && !self.signal(reach, &[]).is_empty() {
            std::thread::sleep(PAUSE.min(grace));
        }
        let began = Instant::now();
        loop {
            if let (Some(group), Reach::All) = (&self.group, reach) {
                seen.extend(self.signal(reach, &[]));
                group.kill();
            }
            // A process may fork between being listed and being killed, so it is done until nobody is left.
            let there = self.signal(reach, &[Signal::KILL]);
            let left = there.len();
            seen.extend(there);
            if left == 0 || began.elapsed() >= HUNT {
                return Ended { processes: seen.len(), left };
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// Whether the leader's number is still its own: once it has been waited for, a stranger may have it, and then
    /// nobody is left of the session that bears it.
    fn number_is_ours(&self) -> bool {
        self.leader_is_there() || !std::path::Path::new(&format!("/proc/{}", self.leader)).exists()
    }
}

/// One look at all processes.
struct Look<'m> {
    marks: &'m Marks,
    reach: Reach,
    numbered: bool,
}

impl Look<'_> {
    /// Signals one process if it belongs to the session; the descriptor is opened first, so that the number cannot come
    /// to mean another process in between.
    fn signal(&self, number: i32, signals: &[Signal]) -> bool {
        if !self.belongs(number) {
            return false;
        }
        let Some(pid) = Pid::from_raw(number) else { return false };
        let Ok(process) = rustix::process::pidfd_open(pid, PidfdFlags::empty()) else {
            return false;
        };
        if !self.belongs(number) {
            return false;
        }
        for signal in signals {
            let _ = rustix::process::pidfd_send_signal(&process, *signal);
        }
        true
    }

    fn belongs(&self, number: i32) -> bool {
        let own = std::process::id().cast_signed();
        let Some(session) = session_of(number).filter(|_| number != own) else { return false };
        if self.numbered && session == self.marks.leader {
            return true;
        }
        self.reach == Reach::All && self.bears_mark(number)
    }

    fn bears_mark(&self, number: i32) -> bool {
        let Marks { group, audit, variable, .. } = self.marks;
        if group.as_ref().is_some_and(|group| group.holds(number)) {
            return true;
        }
        if audit.is_some() {
            return audit_of(number) == *audit;
        }
        // Reading an environment waits for the process's memory, which a process can make hang: only without better.
        group.is_none() && has_variable(number, variable)
    }
}

/// Audit session and login uid of a process, if it has both (proc(5); 2³²−1 is none).
pub(crate) fn audit_of(process: impl std::fmt::Display) -> Option<Audit> {
    let read = |file: &str| {
        let text = std::fs::read_to_string(format!("/proc/{process}/{file}")).ok()?;
        text.trim().parse().ok().filter(|number| *number != u32::MAX)
    };
    Some(Audit { session: read("sessionid")?, uid: read("loginuid")? })
}

fn has_variable(number: i32, variable: &[u8]) -> bool {
    let environment = std::fs::read(format!("/proc/{number}/environ")).unwrap_or_default();
    environment.split(|byte| *byte == 0).any(|one| one == variable)
}

/// Session id of a process that is not a zombie (proc_pid_stat(5), fields 3 and 6).
fn session_of(number: i32) -> Option<i32> {
    let stat = std::fs::read(format!("/proc/{number}/stat")).ok()?;
    let stat = String::from_utf8_lossy(&stat).into_owned();
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    let living = !matches!(fields.next()?, "Z" | "X");
    let session = fields.nth(2)?.parse().ok()?;
    living.then_some(session)
}

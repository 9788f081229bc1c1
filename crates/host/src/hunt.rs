//! Finding every process of a session, and ending it; the module `freeze` stops it.
//!
//! | mark | finds | is left by |
//! |---|---|---|
//! | session id (`setsid`) | the shell and its jobs | `setsid`, daemons |
//! | control group | whatever came of the session, daemons too | root who moves a process elsewhere |
//! | audit session with its login uid | the same; the kernel hands both down | root with the right to set them |
//! | `SCRY_SESSION` in the environment | the same, where there is neither group nor audit | who empties the environment |
//!
//! What another service starts on somebody's behalf (cron, at, systemd, a container's daemon) is that service's.

use crate::group::{self, Group};
use crate::stat::Stat;
use rustix::process::{Pid, PidfdFlags, Signal};
use std::collections::BTreeSet;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// Between two looks whether anybody is left.
const PAUSE: Duration = Duration::from_millis(10);
/// How long processes are hunted that are killed and do not die, or fork faster than they are found.
const HUNT: Duration = Duration::from_secs(2);
/// The session id of the kernel's own threads, and of nobody who came of a login.
const NO_SESSION: i32 = 0;
/// The variable that names the session to its programs.
pub const VARIABLE: &str = "SCRY_SESSION";

/// An audit session, and the account that it is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Audit {
    pub(crate) session: u32,
    pub(crate) uid: u32,
}

/// By what the processes of a session are known.
#[derive(Debug)]
pub(crate) struct Marks {
    /// The program; `None` of a session that is not this node's own.
    leader: Option<Leader>,
    group: Option<Group>,
    audit: Option<Audit>,
    variable: Vec<u8>,
}

#[derive(Debug)]
struct Leader {
    number: i32,
    /// Says whether `number` still means our process, however late it is asked.
    process: OwnedFd,
}

/// A process of a session, held so that its number cannot come to mean another.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) number: i32,
    pub(crate) process: OwnedFd,
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

/// Numbers that several looks shortly after another need not look at again: none comes to mean another process so soon.
#[derive(Debug, Default)]
pub(crate) struct Passed {
    /// And those that have ended, which may be listed until their parents ask for it.
    strangers: BTreeSet<i32>,
    /// Of the session, and in its control group, which only somebody outside can take them out of.
    pub(crate) inside: BTreeSet<i32>,
    /// Whether the last look missed some: they were there, and had ended before they were looked at.
    pub(crate) missed: bool,
}

impl Marks {
    pub(crate) fn new(
        leader: Pid,
        process: OwnedFd,
        group: Option<Group>,
        audit: Option<Audit>,
        session: &str,
    ) -> Self {
        // An audit session that is also the node's own was not begun for this one: the machine did not let it.
        let audit = audit.filter(|audit| !is_own(*audit));
        let variable = format!("{VARIABLE}={session}").into_bytes();
        let leader = Leader { number: leader.as_raw_nonzero().get(), process };
        Self { leader: Some(leader), group, audit, variable }
    }

    /// Of a session that an earlier node has left behind in this group, or with this audit session; `None` with neither.
    pub(crate) fn left_in(group: Option<Group>, audit: Option<Audit>) -> Option<Self> {
        let audit = audit.filter(|audit| !is_own(*audit));
        let marked = group.is_some() || audit.is_some();
        marked.then_some(Self { leader: None, group, audit, variable: Vec::new() })
    }

    /// Whether there is a mark by which everybody is found, wherever they have gone.
    pub(crate) fn finds_all(&self) -> bool {
        self.group.is_some() || self.audit.is_some()
    }

    /// Its control group, if it has one.
    pub(crate) fn group(&self) -> Option<&Group> {
        self.group.as_ref()
    }

    /// Its audit session, if it has one.
    pub(crate) fn audit(&self) -> Option<Audit> {
        self.audit
    }

    /// Whether the leader was not waited for yet; so long its process id cannot mean another.
    pub(crate) fn leader_is_there(&self) -> bool {
        let Some(leader) = &self.leader else { return false };
        rustix::process::waitid(
            rustix::process::WaitId::PidFd(rustix::fd::AsFd::as_fd(&leader.process)),
            rustix::process::WaitIdOptions::EXITED
                | rustix::process::WaitIdOptions::NOHANG
                | rustix::process::WaitIdOptions::NOWAIT,
        )
        .is_ok()
    }

    /// Sends signals to everybody within reach; answers who that was. Blocks for as long as it takes to look at every
    /// process of the machine.
    pub(crate) fn signal(&self, reach: Reach, signals: &[Signal]) -> BTreeSet<i32> {
        let look = self.look(reach);
        let signalled = numbers().filter(|number| {
            let Seen::Ours(found) = look.find(*number) else { return false };
            for signal in signals {
                let _ = rustix::process::pidfd_send_signal(&found.process, *signal);
            }
            true
        });
        signalled.collect()
    }

    /// Processes of the session that have left its control group, or some of whose threads have; those that were passed
    /// are not looked at again. Blocks likewise.
    pub(crate) fn outside(&self, passed: &mut Passed) -> Vec<Found> {
        let Some(group) = &self.group else { return Vec::new() };
        let (look, mounts, mut outside) = (self.look(Reach::All), group::mounts(), Vec::new());
        passed.missed = false;
        // The youngest first, which are listed last: one that goes on in its children ends soon.
        let mut numbers: Vec<_> = numbers().collect();
        numbers.sort_unstable_by_key(|number| std::cmp::Reverse(*number));
        for number in numbers {
            if passed.strangers.contains(&number) || passed.inside.contains(&number) {
                continue;
            }
            match look.find(number) {
                Seen::Gone => {
                    passed.missed = true;
                    passed.strangers.insert(number);
                }
                Seen::Stranger => _ = passed.strangers.insert(number),
                Seen::Ours(_) if group.governs(number, &mounts) => {
                    passed.inside.insert(number);
                }
                Seen::Ours(found) => outside.push(found),
            }
        }
        outside
    }

    /// Hangs up, and kills what is still there after `grace`, until nobody is left. Blocks.
    pub(crate) fn end(&self, reach: Reach, grace: Duration) -> Ended {
        let seen = self.signal(reach, &[Signal::HUP, Signal::CONT]);
        let began = Instant::now();
        while began.elapsed() < grace && !self.signal(reach, &[]).is_empty() {
            std::thread::sleep(PAUSE.min(grace));
        }
        self.kill(reach, seen)
    }

    /// Kills until nobody is left; `seen` are those that were there before. Blocks.
    pub(crate) fn kill(&self, reach: Reach, mut seen: BTreeSet<i32>) -> Ended {
        let began = Instant::now();
        loop {
            if let (Some(group), Reach::All) = (&self.group, reach) {
                seen.extend(self.signal(reach, &[]));
                let _ = group.kill();
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

    fn look(&self, reach: Reach) -> Look<'_> {
        Look { marks: self, reach, numbered: self.own_number() }
    }

    /// The leader's number, if it is still its own: once it has been waited for, a stranger may have it, and then
    /// nobody is left of the session that bears it.
    fn own_number(&self) -> Option<i32> {
        let number = self.leader.as_ref()?.number;
        let ours =
            self.leader_is_there() || !std::path::Path::new(&format!("/proc/{number}")).exists();
        ours.then_some(number)
    }
}

/// Numbers of all processes.
fn numbers() -> impl Iterator<Item = i32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten();
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

/// One look at all processes.
struct Look<'m> {
    marks: &'m Marks,
    reach: Reach,
    numbered: Option<i32>,
}

/// What a look says of a process.
enum Seen {
    /// It has ended.
    Gone,
    Stranger,
    Ours(Found),
}

impl Look<'_> {
    /// Whether the process of that number belongs to the session; the descriptor is opened before the last look, so that
    /// the number cannot come to mean another process in between.
    fn find(&self, number: i32) -> Seen {
        match self.belongs(number) {
            None => return Seen::Gone,
            Some(false) => return Seen::Stranger,
            Some(true) => {}
        }
        let process = Pid::from_raw(number)
            .and_then(|pid| rustix::process::pidfd_open(pid, PidfdFlags::empty()).ok());
        match process.filter(|_| self.belongs(number) == Some(true)) {
            Some(process) => Seen::Ours(Found { number, process }),
            None => Seen::Gone,
        }
    }

    /// `None` if it has ended.
    fn belongs(&self, number: i32) -> Option<bool> {
        let stat = Stat::of(number).filter(Stat::lives)?;
        if number == std::process::id().cast_signed() || stat.session == NO_SESSION {
            return Some(false);
        }
        let ours = self.numbered == Some(stat.session)
            || self.reach == Reach::All && self.bears_mark(number);
        // One that ended meanwhile bore no mark any more, whoever it was.
        (ours || Stat::of(number).is_some_and(|stat| stat.lives())).then_some(ours)
    }

    fn bears_mark(&self, number: i32) -> bool {
        let Marks { group, audit, variable, .. } = self.marks;
        if audit.is_some_and(|audit| has_audit(number, audit))
            || group.as_ref().is_some_and(|group| group.holds(number))
        {
            return true;
        }
        // Reading an environment waits for the process's memory, which a process can make hang: only without better.
        audit.is_none() && group.is_none() && has_variable(number, variable)
    }
}

/// Audit session and login uid of a process, if it has both (proc(5); 2³²−1 is none).
pub(crate) fn audit_of(process: impl std::fmt::Display) -> Option<Audit> {
    Some(Audit { session: number(&process, "sessionid")?, uid: number(&process, "loginuid")? })
}

fn has_audit(process: i32, audit: Audit) -> bool {
    number(process, "sessionid") == Some(audit.session)
        && number(process, "loginuid") == Some(audit.uid)
}

fn number(process: impl std::fmt::Display, file: &str) -> Option<u32> {
    let text = std::fs::read_to_string(format!("/proc/{process}/{file}")).ok()?;
    text.trim().parse().ok().filter(|number| *number != u32::MAX)
}

fn is_own(audit: Audit) -> bool {
    audit_of("self").is_some_and(|own| own.session == audit.session)
}

fn has_variable(number: i32, variable: &[u8]) -> bool {
    let environment = std::fs::read(format!("/proc/{number}/environ")).unwrap_or_default();
    environment.split(|byte| *byte == 0).any(|one| one == variable)
}

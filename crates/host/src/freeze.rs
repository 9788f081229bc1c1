//! Freezing a session: each of its processes stops where it stands, and goes on later as if nothing had been.
//!
//! Its control group is frozen (cgroups(7), version 2), and with it whatever its processes start. Who has left the group
//! is found as for an end (the module `hunt`), stopped (SIGSTOP) and told: only root, or a service that acts for root,
//! moves a process out of it. There are tools that do so in good faith: `systemd-run --user --scope`, rootless podman.
//!
//! **Invariant:** only [`Freezer::thaw`] lets a frozen session go on. Whatever else becomes of it (a hang-up, its end,
//! that nobody holds it any more) kills all of it as it stands, without a last word.
//!
//! The session process that the node waits for has become the program itself, so it is frozen too: how it ended is
//! known after the thaw, or once it is killed. What closes a session afterwards is of the node's group and runs.

use crate::group::{self, Group};
use crate::hunt::{Ended, Found, Marks, Passed, Reach};
use crate::stat::{Stat, name};
use crate::sweep::Owner;
use rustix::process::{Signal, pidfd_send_signal};
use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use thiserror::Error;

/// How long the group is given to come to rest before others are looked for.
const RESTS: Duration = Duration::from_millis(80);
/// How often that is done: what the kernel does for a process is not interrupted, and on a busy machine one that is to
/// stop waits for a processor to do so. Neither goes on with its program meanwhile.
const PATIENCE: Duration = Duration::from_millis(800);
/// Between two looks whether they have.
const PAUSE: Duration = Duration::from_millis(1);
/// How long rounds of looking for processes outside take at most. If it comes to that the session counts as running.
const LONGEST: Duration = Duration::from_millis(500);
/// Rounds in which nobody is found and nobody missed, after which nobody is there: what forks and ends all the time can
/// slip through a round.
const CALM: usize = 4;
/// Stopped processes outside that are remembered, each with a descriptor. With more a session does not count as frozen.
const STRAYS: usize = 1024;
/// Processes that an error names. Cut.
const NAMED: usize = 8;

/// What came of freezing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Frozen {
    /// Processes of the session outside its control group that had to be stopped now. One that was told before is told
    /// again if somebody has let it go on meanwhile.
    pub outside: Vec<Outside>,
}

/// A process that has left its session's control group, or one of whose threads has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outside {
    /// Its process id.
    pub pid: u32,
    /// Its name (`comm`), of its own choice; control characters are replaced.
    pub name: String,
    /// The real user id that it runs with.
    pub uid: u32,
}

/// Why a session is not frozen, in words for a person.
#[derive(Debug, Error)]
pub enum FreezeError {
    /// Only version 1 of control groups, or none.
    #[error(
        "this machine has no control groups of version 2, without which no process can be frozen"
    )]
    NoVersion2,
    /// The kernel is older than Linux 5.2.
    #[error("this machine's kernel cannot freeze control groups; Linux 5.2 and later can")]
    NoFreezer,
    /// The node is not root, or the machine did not let it make one.
    #[error("the session has no control group of its own, which the node makes as root alone")]
    NoGroup,
    /// The system refused.
    #[error("the session's control group takes no order")]
    Refused(#[source] io::Error),
    /// It did not come to rest in time. It counts as frozen nevertheless: what still runs follows as soon as the kernel is
    /// done with it. Ask again, thaw, or end it.
    #[error("the session did not come to rest in time{}", still_running(running))]
    Late {
        /// What still runs, as `name (process id)`, at most a handful; none if that came to rest meanwhile.
        running: Vec<String>,
        /// As [`Frozen::outside`].
        outside: Vec<Outside>,
    },
}

fn still_running(running: &[String]) -> String {
    if running.is_empty() { String::new() } else { format!("; still runs: {}", running.join(", ")) }
}

/// Freezes and thaws a session, and ends it even when it is frozen.
#[derive(Debug)]
pub(crate) struct Freezer {
    marks: Marks,
    /// Those stopped outside the group, as long as the session is frozen. A lock, because clones of [`crate::Signals`]
    /// mean the same session, and each order blocks a thread of its own.
    frozen: Mutex<Option<Strays>>,
    /// Whether the group stands still because what the kernel saw of it is not recorded yet. Changed under the lock only.
    held: AtomicBool,
}

/// Process ids with the moment at which the process began, which together mean one for good.
type Strays = BTreeMap<(i32, u64), Stray>;

#[derive(Debug)]
struct Stray {
    process: OwnedFd,
    /// Whether it ran before it was stopped here.
    ran: bool,
}

impl Freezer {
    pub(crate) fn new(marks: Marks) -> Self {
        Self { marks, frozen: Mutex::new(None), held: AtomicBool::new(false) }
    }

    pub(crate) fn marks(&self) -> &Marks {
        &self.marks
    }

    /// As [`crate::Signals::freeze`]. Blocks.
    pub(crate) fn freeze(&self) -> Result<Frozen, FreezeError> {
        let Some(group) = self.marks.group() else {
            let known = group::is_available();
            return Err(if known { FreezeError::NoGroup } else { FreezeError::NoVersion2 });
        };
        let mut frozen = self.frozen();
        if let Err(why) = self.order(group) {
            if frozen.is_none() {
                group.clear_mark();
            }
            return Err(why);
        }
        let strays = frozen.get_or_insert_default();
        strays.retain(|(pid, start), _| Stat::of(pid).is_some_and(|stat| stat.start == *start));
        let rests = || group.is_frozen() || !group.exists();
        let (began, mut outside) = (Instant::now(), BTreeMap::new());
        while began.elapsed() < PATIENCE {
            // Whoever moves before the group rests can leave it behind the look, so the look counts only afterwards.
            let rested = wait(RESTS, rests);
            let (stopped, all) = self.stop(strays);
            outside.extend(stopped);
            if rested && all {
                return Ok(Frozen { outside: outside.into_values().collect() });
            }
        }
        let outside = outside.into_values().collect();
        Err(FreezeError::Late { running: self.running(group), outside })
    }

    /// As [`crate::Signals::thaw`]. Blocks while it is being frozen.
    pub(crate) fn thaw(&self) -> Result<(), FreezeError> {
        let mut frozen = self.frozen();
        let (Some(strays), Some(group)) = (frozen.as_ref(), self.marks.group()) else {
            return Ok(());
        };
        // They first: if the node is killed in between, the group is still frozen, and so the next start finds it.
        for stray in strays.values().filter(|stray| stray.ran) {
            let _ = pidfd_send_signal(&stray.process, Signal::CONT);
        }
        // Else it goes on when that is over.
        if !self.held.load(Ordering::Relaxed) {
            match group.freeze(false) {
                Err(why) if group.exists() => return Err(FreezeError::Refused(why)),
                _ => group.clear_mark(),
            }
        }
        *frozen = None;
        Ok(())
    }

    /// Has the group stand still for a moment, beside and below [`Freezer::freeze`]: nobody is looked for outside, and
    /// nothing is waited for. `false` if it cannot be done now.
    pub(crate) fn hold(&self) -> bool {
        let (Some(group), Ok(frozen)) = (self.marks.group(), self.frozen.try_lock()) else {
            return false;
        };
        let held = frozen.is_some() || self.order(group).is_ok();
        self.held.store(held, Ordering::Relaxed);
        held
    }

    /// Lets go what [`Freezer::hold`] holds, unless it is frozen besides. `false` if it cannot be done now: ask again.
    pub(crate) fn release(&self) -> bool {
        let (Some(group), Ok(frozen)) = (self.marks.group(), self.frozen.try_lock()) else {
            return self.marks.group().is_none();
        };
        self.let_go(group, frozen.is_some())
    }

    fn let_go(&self, group: &Group, frozen: bool) -> bool {
        if self.held.load(Ordering::Relaxed) && !frozen {
            if group.freeze(false).is_err() && group.exists() {
                return false;
            }
            group.clear_mark();
        }
        self.held.store(false, Ordering::Relaxed);
        true
    }

    /// As [`crate::Signals::hang_up`]. Blocks.
    pub(crate) fn hang_up(&self) {
        self.release();
        if self.end_frozen().is_none() {
            self.marks.signal(Reach::Terminal, &[Signal::HUP, Signal::CONT]);
        }
    }

    /// Ends what is within reach, with a hang-up and `grace`; of a frozen session all, without. Blocks.
    pub(crate) fn end(&self, reach: Reach, grace: Duration) -> Ended {
        self.release();
        self.end_frozen().unwrap_or_else(|| self.marks.end(reach, grace))
    }

    fn end_frozen(&self) -> Option<Ended> {
        let mut frozen = self.frozen();
        let strays = std::mem::take(frozen.as_mut()?);
        kill(&strays);
        Some(self.marks.kill(Reach::All, strays.into_keys().map(|(pid, _)| pid).collect()))
    }

    fn frozen(&self) -> MutexGuard<'_, Option<Strays>> {
        self.frozen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Orders the group to freeze. One that is no longer there was empty; there may be strays nevertheless.
    fn order(&self, group: &Group) -> Result<(), FreezeError> {
        let marked = Owner::this(self.marks.audit()).and_then(|this| group.set_mark(&this));
        let Err(why) = marked.and_then(|()| group.freeze(true)) else { return Ok(()) };
        if !group.exists() {
            return Ok(());
        }
        let missing = why.kind() == io::ErrorKind::NotFound;
        Err(if missing { FreezeError::NoFreezer } else { FreezeError::Refused(why) })
    }

    /// Stops who is outside, until all are still and nobody is found any more; answers who it was, and whether it came to
    /// that. One that is still does not fork, so only the rounds after that count: on its way there it may. Where others
    /// of the machine begin and end all the time there are more rounds.
    fn stop(&self, strays: &mut Strays) -> (BTreeMap<(i32, u64), Outside>, bool) {
        let (mut outside, mut calm, mut passed) = (BTreeMap::new(), 0, Passed::default());
        let began = Instant::now();
        loop {
            let found = self.marks.outside(&mut passed);
            let stopped: Vec<_> =
                found.into_iter().filter_map(|found| stop_one(found, strays)).collect();
            if stopped.is_empty() {
                if are_still(strays) {
                    calm += usize::from(!passed.missed);
                } else {
                    std::thread::sleep(PAUSE);
                }
            } else {
                calm = 0;
                passed.inside.clear();
                outside.extend(stopped);
            }
            if calm >= CALM || began.elapsed() > LONGEST || strays.len() > STRAYS {
                return (outside, calm >= CALM && strays.len() <= STRAYS);
            }
        }
    }

    /// Processes that have not come to rest: in the group those that do something, outside those that could.
    fn running(&self, group: &Group) -> Vec<String> {
        let mounts = group::mounts();
        let all = self.marks.signal(Reach::All, &[]);
        let runs = |pid: &i32| {
            if group.governs(*pid, &mounts) {
                let threads = Stat::of_threads(*pid);
                threads.iter().any(|thread| thread.is_running() || thread.is_within())
            } else {
                !is_still(*pid)
            }
        };
        let running = all.into_iter().filter(runs).take(NAMED);
        running.map(|pid| format!("{} ({pid})", name(pid))).collect()
    }
}

impl Drop for Freezer {
    fn drop(&mut self) {
        if let Some(group) = self.marks.group() {
            let frozen = self.frozen().is_some();
            self.let_go(group, frozen);
        }
        let frozen = self.frozen.get_mut().unwrap_or_else(PoisonError::into_inner);
        let (Some(strays), Some(group)) = (frozen.take(), self.marks.group()) else { return };
        kill(&strays);
        if group.kill().is_err() && group.exists() {
            // Linux before 5.14. What is frozen does not fork, so once is enough.
            self.marks.signal(Reach::All, &[Signal::KILL]);
        }
    }
}

/// Kills those outside. Before the group, always: a death there makes the kernel continue stopped jobs (SIGCONT).
fn kill(strays: &Strays) {
    for stray in strays.values() {
        let _ = pidfd_send_signal(&stray.process, Signal::KILL);
    }
}

/// Stops a process outside the group, and answers how it is told; `None` if that was done before and it has not gone on.
fn stop_one(found: Found, strays: &mut Strays) -> Option<((i32, u64), Outside)> {
    let Found { number, process } = found;
    let key = (number, Stat::of(number)?.start);
    let known = strays.get(&key);
    let still = is_still(number);
    if known.is_some() && (still || is_stopping(number)) {
        return None;
    }
    let ran = !still || known.is_some_and(|stray| stray.ran);
    if !still {
        pidfd_send_signal(&process, Signal::STOP).ok()?;
    }
    strays.insert(key, Stray { process, ran });
    let uid = real_uid(number).unwrap_or_default();
    Some((key, Outside { pid: number.unsigned_abs(), name: name(number), uid }))
}

/// Whether everybody outside is still. Whoever waits in the kernel for a child that is still, as vfork(2) does until the
/// child begins its program, runs no more before that does, and then has its own order to stop.
fn are_still(strays: &Strays) -> bool {
    let waits_for_child = |pid: i32| {
        let within = Stat::of_threads(pid).iter().all(|one| one.is_still() || one.is_within());
        let child = |(other, _): &(i32, u64)| {
            Stat::of(other).is_some_and(|stat| stat.parent == pid) && is_still(*other)
        };
        within && strays.keys().any(child)
    };
    strays.keys().all(|(pid, _)| is_still(*pid) || waits_for_child(*pid))
}

/// Whether all threads of a process are stopped, or it has ended.
fn is_still(pid: i32) -> bool {
    Stat::of_threads(pid).iter().all(Stat::is_still)
}

/// Whether a process has been told to stop and has not come to it yet: it runs in the kernel at most, and forks no more.
fn is_stopping(pid: i32) -> bool {
    let pending = status(pid, "ShdPnd:").and_then(|mask| u64::from_str_radix(&mask, 16).ok());
    let bit = Signal::STOP.as_raw().unsigned_abs().saturating_sub(1);
    pending.is_some_and(|mask| mask >> bit & 1 == 1)
}

fn real_uid(pid: i32) -> Option<u32> {
    status(pid, "Uid:")?.parse().ok()
}

/// First word of a line of proc_pid_status(5).
fn status(pid: i32, name: &str) -> Option<String> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_ascii_whitespace().next().map(str::to_owned)
}

/// Waits until `done` says so, at most so long; answers whether it did.
fn wait(most: Duration, done: impl Fn() -> bool) -> bool {
    let began = Instant::now();
    loop {
        if done() {
            return true;
        }
        if began.elapsed() >= most {
            return false;
        }
        std::thread::sleep(PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_is_told_in_words_and_what_still_runs_by_name() {
        let late = |running: &[&str]| FreezeError::Late {
            running: running.iter().map(|name| (*name).to_owned()).collect(),
            outside: Vec::new(),
        };
        for (error, words) in [
            (
                late(&["dd (7)", "cp (8)"]),
                "did not come to rest in time; still runs: dd (7), cp (8)",
            ),
            (late(&[]), "did not come to rest in time"),
            (FreezeError::NoVersion2, "no control groups of version 2"),
            (FreezeError::NoFreezer, "Linux 5.2"),
            (FreezeError::NoGroup, "no control group of its own"),
        ] {
            let told = error.to_string();
            assert!(told.contains(words) && !told.ends_with(' '), "{told}");
        }
    }

    #[test]
    fn a_process_without_a_group_is_not_frozen_and_thaws_all_the_same() {
        let own = rustix::process::getpid();
        let process = rustix::process::pidfd_open(own, rustix::process::PidfdFlags::empty());
        let freezer = Freezer::new(Marks::new(own, process.unwrap(), None, None, "7"));
        let refused = freezer.freeze().unwrap_err();
        assert!(matches!(refused, FreezeError::NoGroup | FreezeError::NoVersion2), "{refused}");
        freezer.thaw().unwrap();
    }

    #[test]
    fn names_and_users_of_processes_are_as_the_kernel_says() {
        let own = std::process::id().cast_signed();
        assert_eq!(real_uid(own), Some(rustix::process::getuid().as_raw()));
        assert!(!name(own).is_empty() && !name(own).contains('\n'));
        assert!(!is_still(own) && is_still(i32::MAX));
    }
}

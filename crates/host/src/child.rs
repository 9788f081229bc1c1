//! A program that runs for a session: its streams, its end, and signals to it.

use crate::accounting::PamState;
use crate::closing_process::Leave;
use crate::files::Files;
use crate::freeze::{FreezeError, Freezer, Frozen};
use crate::hunt::{Ended, Marks, Reach};
use crate::pty::{LoosePty, Pty};
use crate::rest::Rest;
use crate::signal;
use crate::{Reader, Writer};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, Uid, geteuid};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::{Arc, Weak};
use std::time::Duration;
use thiserror::Error;

/// A user id that no account has: −1 in 16 bits.
const NO_ACCOUNT: Uid = Uid::from_raw_unchecked(65_535);

/// A running program of a session. Its parts are public because several tasks share the work.
///
/// Dropping it does what sshd does when a connection is lost: a terminal hangs up (SIGHUP to the shell and its
/// foreground job), pipes end (end of file, SIGPIPE), nothing is killed, and the exit status is collected
/// behind the scenes. Use [`Signals::end`] to be sure. A frozen session is killed whole instead: see [`Signals::freeze`].
#[derive(Debug)]
pub struct Child {
    /// Its streams.
    pub io: Io,
    /// Its end.
    pub process: Process,
    /// Signals to it.
    pub signals: Signals,
    /// What became of PAM.
    pub pam: PamState,
    /// The way to the process, where it moves files that others approve one by one.
    pub files: Option<Files>,
}

/// Streams of a program.
#[derive(Debug)]
pub enum Io {
    /// A terminal.
    Pty(Pty),
    /// Three pipes. Drop `stdin` for end of file.
    Pipes {
        /// Its input.
        stdin: Writer,
        /// Its output.
        stdout: Reader,
        /// Its errors.
        stderr: Reader,
    },
}

/// How a program ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exit {
    /// With a status, 0 to 255.
    Status(u32),
    /// By a signal.
    Signal {
        /// Name without `SIG`, see [`signal::name`].
        name: String,
        /// Whether a core was dumped.
        core: bool,
    },
}

/// Why a signal was not sent.
#[derive(Debug, Error)]
pub enum SignalError {
    /// Not one of RFC 4254's names.
    #[error("there is no signal {0:?} that a client may send")]
    Unknown(String),
    /// The program has ended.
    #[error("the program has ended")]
    Ended,
    /// The system refused.
    #[error("the signal cannot be sent")]
    Os(#[source] io::Error),
}

impl Child {
    /// Process id of the program, which is also that of its session and process group.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.signals.pid()
    }

    /// As [`Process::wait`].
    ///
    /// # Errors
    /// As [`Process::wait`].
    pub async fn wait(&mut self) -> io::Result<Exit> {
        self.process.wait().await
    }

    /// As [`Signals::send`].
    ///
    /// # Errors
    /// As [`Signals::send`].
    pub fn signal(&self, name: &str) -> Result<(), SignalError> {
        self.signals.send(name)
    }
}

/// The program itself, until it ends. Dropping it closes what the machine holds open for the session: its PAM session,
/// its place in the list of who is here.
#[derive(Debug)]
pub struct Process {
    child: tokio::process::Child,
    _leave: Option<Leave>,
}

impl Process {
    pub(crate) fn new(child: tokio::process::Child, leave: Option<Leave>) -> Self {
        Self { child, _leave: leave }
    }

    /// Waits for the program's end; may be asked again. Output may still come: jobs that it left behind keep
    /// terminal and pipes open. Cancel safe.
    ///
    /// # Errors
    /// When the system does not say how it ended.
    pub async fn wait(&mut self) -> io::Result<Exit> {
        self.child.wait().await.map(exit)
    }
}

fn exit(status: ExitStatus) -> Exit {
    match status.signal() {
        Some(number) => Exit::Signal { name: signal::name(number), core: status.core_dumped() },
        None => Exit::Status(status.code().unwrap_or_default().unsigned_abs()),
    }
}

/// Sends signals to a program and what belongs to it. Clones do the same; none keeps a terminal open.
#[derive(Debug, Clone)]
pub struct Signals {
    pid: Pid,
    /// Whose session it is.
    user: Uid,
    freezer: Arc<Freezer>,
    pty: Option<LoosePty>,
}

impl Signals {
    /// Of a process that was not waited for yet; `None` if it was.
    pub(crate) fn of(
        process: &tokio::process::Child,
        user: Uid,
        pty: Option<LoosePty>,
        marks: impl FnOnce(Pid, OwnedFd) -> Marks,
    ) -> Option<Self> {
        let pid = Pid::from_raw(process.id()?.cast_signed())?;
        let leader = rustix::process::pidfd_open(pid, PidfdFlags::empty()).ok()?;
        Some(Self { pid, user, freezer: Arc::new(Freezer::new(marks(pid, leader))), pty })
    }

    /// By what the session is held while what the kernel saw of it is recorded; gone with the last clone of this.
    pub(crate) fn brake(&self) -> Weak<Freezer> {
        Arc::downgrade(&self.freezer)
    }

    /// What is left of the session once its program has ended.
    #[must_use]
    pub fn rest(&self) -> Rest {
        Rest::of(Arc::clone(&self.freezer))
    }

    /// Process id of the program.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    /// Sends the client's signal (RFC 4254 §6.9): on a terminal to the job in the foreground, else to the
    /// program's process group. What is frozen gets it when it is thawed, save SIGKILL. It has the rights of the
    /// session's user: what became somebody else (sudo, su) gets it only where the kernel would let the user send it.
    ///
    /// # Errors
    /// When the name is none of the RFC's, the program has ended, or the system refuses.
    pub fn send(&self, name: &str) -> Result<(), SignalError> {
        let signal = signal::by_name(name).ok_or_else(|| SignalError::Unknown(name.to_owned()))?;
        if !self.freezer.marks().leader_is_there() {
            return Err(SignalError::Ended);
        }
        let group = self.pty.as_ref().and_then(LoosePty::foreground).unwrap_or(self.pid);
        match kill_as(self.user, group, signal) {
            Ok(()) => Ok(()),
            Err(Errno::SRCH) => Err(SignalError::Ended),
            Err(error) => Err(SignalError::Os(error.into())),
        }
    }

    /// Tells the shell and its jobs that their terminal has gone (SIGHUP, and SIGCONT for stopped ones), as at a logout.
    /// Ends a frozen session, as [`Signals::end`] does.
    pub async fn hang_up(&self) {
        let _ = self.order(Freezer::hang_up).await;
    }

    /// Ends the shell and its jobs: [`Signals::hang_up`], and after `grace` SIGKILL. What has left the shell's session
    /// (`setsid`, a daemon) is left running; of a frozen session nothing is, as with [`Signals::end`].
    pub async fn close(&self, grace: Duration) -> Ended {
        self.order(move |session| session.end(Reach::Terminal, grace)).await.unwrap_or_default()
    }

    /// Ends whatever came of the session, daemons too (the module `hunt` says by which marks): hang-up, and after
    /// `grace` SIGKILL, until nobody is left. What is frozen is killed at once, as it stands: it does not get to run once
    /// more with nobody watching.
    pub async fn end(&self, grace: Duration) -> Ended {
        self.order(move |session| session.end(Reach::All, grace)).await.unwrap_or_default()
    }

    /// Freezes whatever came of the session: its control group, and those outside it that are found as by
    /// [`Signals::end`]. Takes some milliseconds, and up to a second and a half where a process hangs in the kernel, the
    /// machine is overloaded, or processes outside go on and on. Asked again, it looks anew for those outside: do so now
    /// and then, because whoever is not frozen and has the right can continue a stopped process or move one out of the
    /// group.
    ///
    /// Until [`Signals::thaw`] the program does not end, takes no input, and gives no output beyond what it had already
    /// written. Nothing else lets it go on: when the last clone of this is dropped all of it is killed, and what a node
    /// leaves frozen that is itself killed is ended by [`crate::sweep_frozen`]. When this future is dropped, what it has
    /// begun is done nevertheless.
    ///
    /// # Errors
    /// With words for a person. After [`FreezeError::Late`] the session counts as frozen, though some of it still runs;
    /// after any other it runs as before.
    pub async fn freeze(&self) -> Result<Frozen, FreezeError> {
        let asked = self.order(Freezer::freeze).await;
        asked.unwrap_or_else(|why| Err(FreezeError::Refused(why)))
    }

    /// Lets what [`Signals::freeze`] stopped go on, and nothing else; a process outside that stood before stays so. Does
    /// nothing for a session that is not frozen.
    ///
    /// # Errors
    /// [`FreezeError::Refused`]; then the session is still frozen.
    pub async fn thaw(&self) -> Result<(), FreezeError> {
        let asked = self.order(Freezer::thaw).await;
        asked.unwrap_or_else(|why| Err(FreezeError::Refused(why)))
    }

    /// Has something done that blocks; an error when the runtime is ending.
    async fn order<T: Send + 'static>(
        &self,
        what: impl FnOnce(&Freezer) -> T + Send + 'static,
    ) -> io::Result<T> {
        let freezer = Arc::clone(&self.freezer);
        Ok(tokio::task::spawn_blocking(move || what(&freezer)).await?)
    }
}

/// Sends a signal with a user's rights and no more. On Linux user ids are each thread's own, so a thread of its own
/// takes the user's and ends. It takes it as the effective one alone: whoever has a thread's real or saved id may signal
/// it, and so end the whole daemon (kill(2)).
fn kill_as(user: Uid, group: Pid, signal: Signal) -> rustix::io::Result<()> {
    let send = move || rustix::process::kill_process_group(group, signal);
    if user.is_root() || !geteuid().is_root() {
        return send();
    }
    let become_and_send = move || {
        // With a saved id of root it keeps no right of root's in effect (capabilities(7)).
        rustix::thread::set_thread_res_uid(NO_ACCOUNT, user, Uid::ROOT)?;
        send()
    };
    let thread = std::thread::Builder::new().name("signal".to_owned()).spawn(become_and_send);
    thread.map_err(|_| Errno::AGAIN)?.join().unwrap_or(Err(Errno::CANCELED))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::CommandExt;
    use std::process::Command;

    #[test]
    fn a_clients_signal_has_the_rights_of_its_user_and_the_daemon_keeps_its_own() {
        if !geteuid().is_root() {
            return;
        }
        let (user, other) = (54_321, 54_322);
        for (of, by, wanted) in [
            (0, user, Err(Errno::PERM)),
            (other, user, Err(Errno::PERM)),
            (user, user, Ok(())),
            (user, 0, Ok(())),
        ] {
            let mut command = Command::new("sleep");
            let mut sleeper = command.arg("1000").uid(of).process_group(0).spawn().unwrap();
            let group = Pid::from_raw(sleeper.id().cast_signed()).unwrap();
            let sent = kill_as(Uid::from_raw(by), group, Signal::TERM);
            if sent.is_err() {
                sleeper.kill().unwrap();
            }
            let ended = sleeper.wait().unwrap().signal();
            assert_eq!(sent, wanted, "to {of} by {by}");
            assert_eq!(ended, Some(if wanted.is_ok() { 15 } else { 9 }), "to {of} by {by}");
            assert!(geteuid().is_root() && rustix::process::getuid().is_root());
        }
    }
}

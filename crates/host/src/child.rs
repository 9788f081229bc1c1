//! A program that runs for a session: its streams, its end, and signals to it.

use crate::accounting::PamState;
use crate::closing_process::Leave;
use crate::pty::{LoosePty, Pty};
use crate::signal;
use crate::{Reader, Writer};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;

/// A running program of a session. Its parts are public because several tasks share the work.
///
/// Dropping it does what sshd does when a connection is lost: a terminal hangs up (SIGHUP to the shell and its
/// foreground job), pipes end (end of file, SIGPIPE), nothing is killed, and the exit status is collected
/// behind the scenes. Use [`Signals::end`] to be sure.
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
    /// Says whether `pid` still means our process, however late it is asked.
    leader: Arc<OwnedFd>,
    pty: Option<LoosePty>,
}

impl Signals {
    /// Of a process that was not waited for yet; `None` if it was.
    pub(crate) fn of(process: &tokio::process::Child, pty: Option<LoosePty>) -> Option<Self> {
        let pid = Pid::from_raw(process.id()?.cast_signed())?;
        let leader = rustix::process::pidfd_open(pid, PidfdFlags::empty()).ok()?;
        Some(Self { pid, leader: Arc::new(leader), pty })
    }

    /// Process id of the program.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    /// Sends the client's signal (RFC 4254 §6.9): on a terminal to the job in the foreground, else to the
    /// program's process group.
    ///
    /// # Errors
    /// When the name is none of the RFC's, the program has ended, or the system refuses.
    pub fn send(&self, name: &str) -> Result<(), SignalError> {
        let signal = signal::by_name(name).ok_or_else(|| SignalError::Unknown(name.to_owned()))?;
        if !self.alive() {
            return Err(SignalError::Ended);
        }
        let group = self.pty.as_ref().and_then(LoosePty::foreground).unwrap_or(self.pid);
        match rustix::process::kill_process_group(group, signal) {
            Ok(()) => Ok(()),
            Err(Errno::SRCH) => Err(SignalError::Ended),
            Err(error) => Err(SignalError::Os(error.into())),
        }
    }

    /// Tells every process of the session that its terminal has gone (SIGHUP, and SIGCONT for stopped ones).
    pub async fn hang_up(&self) {
        self.to_all(&[Signal::HUP, Signal::CONT]).await;
    }

    /// Ends every process of the session: [`Signals::hang_up`], and after `grace` SIGKILL.
    ///
    /// Processes are found by their session id, so one that made a session of its own (`setsid`, a daemon)
    /// is not. Says how many were there to be killed at the end.
    pub async fn end(&self, grace: Duration) -> usize {
        const ROUNDS: usize = 50;
        const PAUSE: Duration = Duration::from_millis(20);
        self.hang_up().await;
        let deadline = tokio::time::Instant::now() + grace;
        while self.to_all(&[]).await > 0 {
            if tokio::time::Instant::now() >= deadline {
                break;
            }
            tokio::time::sleep(PAUSE.min(grace)).await;
        }
        // A process may fork between being listed and being killed, so it is done until nobody is left.
        let killed = self.to_all(&[Signal::KILL]).await;
        for _ in 0..ROUNDS {
            if self.to_all(&[Signal::KILL]).await == 0 {
                break;
            }
            tokio::time::sleep(PAUSE).await;
        }
        killed
    }

    /// Whether the program was not waited for yet; so long its process id cannot mean another.
    fn alive(&self) -> bool {
        rustix::process::waitid(
            rustix::process::WaitId::PidFd(rustix::fd::AsFd::as_fd(&self.leader)),
            rustix::process::WaitIdOptions::EXITED
                | rustix::process::WaitIdOptions::NOHANG
                | rustix::process::WaitIdOptions::NOWAIT,
        )
        .is_ok()
    }

    async fn to_all(&self, signals: &'static [Signal]) -> usize {
        let this = self.clone();
        tokio::task::spawn_blocking(move || this.to_all_now(signals)).await.unwrap_or_default()
    }

    /// Signals every living process of the session and counts them.
    fn to_all_now(&self, signals: &[Signal]) -> usize {
        let own = self.pid.as_raw_nonzero().get();
        if !self.alive() && std::path::Path::new(&format!("/proc/{own}")).exists() {
            // The number was given to a stranger: then nobody of this session is left.
            return 0;
        }
        let Ok(entries) = std::fs::read_dir("/proc") else { return 0 };
        let numbers = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        numbers.filter(|number| signal_member(*number, own, signals)).count()
    }
}

/// Signals one process if it belongs to the session; the descriptor is opened first, so that the number
/// cannot come to mean another process in between.
fn signal_member(number: i32, session: i32, signals: &[Signal]) -> bool {
    if session_of(number) != Some(session) {
        return false;
    }
    let Some(pid) = Pid::from_raw(number) else { return false };
    let Ok(process) = rustix::process::pidfd_open(pid, PidfdFlags::empty()) else { return false };
    if session_of(number) != Some(session) {
        return false;
    }
    for signal in signals {
        let _ = rustix::process::pidfd_send_signal(&process, *signal);
    }
    true
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

//! Starting what a session asked for, as the user, for the holder of a permit.

use crate::account::{self, Account, AccountError};
use crate::accounting::PamState;
use crate::child::{Child, Io, Process, Signals};
use crate::closing_process::{self, Leave};
use crate::display::X11Plan;
use crate::fdpass::{self, Channel, Message};
use crate::files::Files;
use crate::flow::{Reader, Writer};
use crate::group::Group;
use crate::hunt::{Audit, Marks};
use crate::privilege::Rights;
use crate::session_process::{
    ENTERED, READY, REFUSED, Report, Run, SERVES, Spec, Terminal, WATCHED,
};
use crate::{SESSION, environment, kernel, pty};
use model::{SessionId, Size, limit};
use policy::LoginPermit;
use rustix::fs::MemfdFlags;
use rustix::pipe::PipeFlags;
use rustix::process::Uid;
use serde::{Deserialize, Serialize};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use thiserror::Error;
use tokio::process::Command;

/// Milliseconds from the start of a session process to its shell; a home on a dead file server takes them all.
const SETUP_MS: u64 = 30_000;

/// What `host` needs to know of its surroundings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Program that calls [`crate::dispatch`]; this very one unless said otherwise.
    pub exe: PathBuf,
    /// Where the system's sftp server may be; the first that is there is used.
    pub sftp_servers: Vec<PathBuf>,
    /// Where xauth may be; the first that is there is used.
    pub xauths: Vec<PathBuf>,
    /// PAM's services, of which the first that is there is asked; none means that PAM is not asked.
    pub pam_services: Vec<String>,
}

impl Settings {
    /// The machine's xauth; without one no display can be lent.
    #[must_use]
    pub fn xauth(&self) -> Option<&Path> {
        self.xauths.iter().map(PathBuf::as_path).find(|place| place.is_file())
    }
}

impl Default for Settings {
    fn default() -> Self {
        let places = [
            "/usr/lib/openssh/sftp-server",
            "/usr/libexec/openssh/sftp-server",
            "/usr/lib/ssh/sftp-server",
            "/usr/libexec/sftp-server",
            "/usr/lib64/ssh/sftp-server",
            "/usr/libexec/ssh/sftp-server",
            "/run/current-system/sw/libexec/sftp-server",
        ];
        let xauths = ["/usr/bin/xauth", "/usr/X11R6/bin/xauth", "/usr/local/bin/xauth"];
        Self {
            exe: PathBuf::from("/proc/self/exe"),
            xauths: xauths.map(PathBuf::from).to_vec(),
            pam_services: ["scry", "sshd"].map(str::to_owned).to_vec(),
            sftp_servers: places.map(PathBuf::from).to_vec(),
        }
    }
}

/// What a session channel asked for.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The session; programs see it as `SCRY_SESSION`.
    pub id: SessionId,
    /// What to run.
    pub what: What,
    /// The terminal to run it on; pipes without one.
    pub pty: Option<PtyPlan>,
    /// Variables of the client. Those that [`crate::allowed_variable`] refuses are left away, and those beyond
    /// [`limit::ENVIRONMENT_VARIABLES`].
    pub environment: Vec<(String, String)>,
    /// The socket of a forwarded agent, from [`crate::Net::agent`].
    pub agent_socket: Option<PathBuf>,
    /// The client's display.
    pub x11: Option<X11Plan>,
    /// Ends of the connection, for `SSH_CONNECTION`.
    pub addresses: Option<Addresses>,
    /// Whether to show the message of the day before a shell on a terminal.
    pub motd: bool,
    /// Where the kernel watches it, from before anything of the user's runs.
    pub watch: Option<kernel::Place>,
}

/// What to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// The account's login shell.
    Shell,
    /// One command, given to the account's shell. Any bytes but zero.
    Exec(Vec<u8>),
    /// The system's sftp server; one of the node's own where the permit has each file approved.
    Sftp,
}

/// A terminal as the client asked for it (RFC 4254 §6.2).
#[derive(Debug, Clone)]
pub struct PtyPlan {
    /// Its size.
    pub size: Size,
    /// Value of TERM; `dumb` where it is empty or not printable.
    pub term: String,
    /// Opcodes and arguments of RFC 4254 §8; unknown ones are passed over.
    pub modes: Vec<(u8, u32)>,
}

/// Ends of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Addresses {
    /// The client's, as far as the node knows.
    pub client: SocketAddr,
    /// The node's.
    pub server: SocketAddr,
}

/// Why nothing was started.
#[derive(Debug, Error)]
pub enum SpawnError {
    /// The account is not there or not ours.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// The machine does not let the account in, whatever the permit says: PAM, nologin, an expired or locked account.
    #[error("{why}")]
    Refused {
        /// Why, in the machine's words.
        why: String,
    },
    /// The session process could not become the shell.
    #[error("{why}")]
    NotStarted {
        /// Why, for the person at the other end.
        why: String,
    },
    /// This machine or process is short of something.
    #[error("cannot {what}")]
    Os {
        /// What was tried.
        what: &'static str,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// Starts what the plan asks for as the permit's login and returns when the program runs.
///
/// When this future is dropped before, a program that came to run nevertheless finds its streams closed; later see [`Child`].
///
/// # Errors
/// With words for the person at the other end, see [`SpawnError`].
pub async fn spawn(
    settings: &Settings,
    permit: &LoginPermit,
    plan: Plan,
) -> Result<Child, SpawnError> {
    let account = account::lookup(permit.login()).await?;
    let (session, uid) = (plan.id.to_string(), account.uid);
    let (terminal, streams) = match &plan.pty {
        None => (None, Streams::pipes().map_err(os("make pipes"))?),
        Some(wanted) => {
            let opened = pty::open(&account, wanted.size, &wanted.modes)
                .map_err(os("make a pseudo-terminal"))?;
            let terminal = Terminal { name: opened.name, term: wanted.term.clone() };
            let io = Io::Pty(opened.pty);
            (Some(terminal), Streams { io, given: vec![opened.slave] })
        }
    };
    let watch = plan.watch.clone();
    let approved = plan.what == What::Sftp && permit.terms().approves_files();
    let id = plan.id;
    let run = run(settings, &plan.what, approved);
    let spec = spec(settings, account, plan, terminal, run);
    let memory = remember(&spec).map_err(os("write down the task of a session"))?;
    let (mut process, control) = start(&settings.exe, SESSION)?;
    let Streams { io, given } = streams;
    let terminal = if let Io::Pty(pty) = &io { Some(pty.loosely()) } else { None };
    let mut entered = None;
    let enter = |message| -> Result<(), String> {
        let Accounted { pam, leave, audit, group } = accounted(settings, message)?;
        let group = group.and_then(|path| Group::of(path, &session));
        let of_user = audit.map(|session| Audit { session, uid });
        let marks = |pid, process| Marks::new(pid, process, group, of_user, &session);
        let signals = Signals::of(&process, Uid::from_raw(uid), terminal, marks)
            .ok_or("the session ended at once")?;
        if let Some(place) = &watch {
            // First what holds the session: nothing of the user's runs that could not be held.
            place.brake_with(signals.brake());
            place.enter(signals.pid(), audit).map_err(|why| why.to_string())?;
        }
        entered = Some((pam, leave, signals));
        Ok(())
    };
    let ready = hand_over(&control, memory, given, watch.is_some(), enter);
    let why = match tokio::time::timeout(Duration::from_millis(SETUP_MS), ready).await {
        Ok(answer) => answer.unwrap_or_else(|error| {
            Some(format!("the session process ended before it was ready: {error}"))
        }),
        Err(_) => Some(format!(
            "the session was not ready after {} s; is the home directory's file server away?",
            SETUP_MS / 1000
        )),
    };
    let (pam, leave, signals) = match (why, entered) {
        (None, Some(entered)) => entered,
        (why, _) => {
            let why = why.unwrap_or_else(|| "the session did not say that it has begun".to_owned());
            // Not waited for: a process that hangs in a dead file server does not die before it answers.
            let _ = process.start_kill();
            return Err(match why.strip_prefix(REFUSED) {
                Some(why) => SpawnError::Refused { why: why.to_owned() },
                None => SpawnError::NotStarted { why },
            });
        }
    };
    let files = approved.then(|| Files::new(id, control));
    Ok(Child { io, process: Process::new(process, leave), signals, pam, files })
}

/// What a session process had to report.
#[derive(Default)]
struct Accounted {
    pam: PamState,
    /// What is to be done at the end.
    leave: Option<Leave>,
    audit: Option<u32>,
    group: Option<PathBuf>,
}

fn accounted(settings: &Settings, message: Message) -> Result<Accounted, String> {
    let failed = |why: io::Error| format!("cannot take over a login: {why}");
    let mut descriptors = message.descriptors.into_iter();
    let task = descriptors.next().ok_or_else(|| failed(io::ErrorKind::UnexpectedEof.into()))?;
    let copy = task.try_clone().map_err(failed)?;
    let report: Report = closing_process::read(copy).map_err(failed)?;
    let leave = report
        .closing
        .is_some()
        .then(|| Leave::new(settings.exe.clone(), task, descriptors.collect()));
    let Report { pam, audit, group, .. } = report;
    Ok(Accounted { pam, leave, audit, group })
}

/// Gives the process its task and waits until it has become the program; answers why it has not, if so. What it reports
/// goes to `enter` before anything of the user's runs: a process that is `watched` waits for that.
async fn hand_over(
    control: &Channel,
    memory: OwnedFd,
    given: Vec<OwnedFd>,
    watched: bool,
    enter: impl FnOnce(Message) -> Result<(), String>,
) -> io::Result<Option<String>> {
    let all: Vec<BorrowedFd<'_>> =
        core::iter::once(memory.as_fd()).chain(given.iter().map(AsFd::as_fd)).collect();
    control.send(b"session", &all).await?;
    // From here on the other ends of terminal and pipes are the program's alone.
    drop(given);
    let mut next = control.receive().await?;
    if next.bytes == ENTERED {
        if let Err(why) = enter(next) {
            return Ok(Some(why));
        }
        if watched {
            control.send(WATCHED, &[]).await?;
        }
        next = control.receive().await?;
    }
    if next.bytes == READY {
        next = control.receive().await?;
    } else if next.bytes.is_empty() {
        return Ok(Some("the session process ended before it was ready".to_owned()));
    }
    let is_why = !next.bytes.is_empty() && next.bytes != SERVES;
    Ok(is_why.then(|| String::from_utf8_lossy(&next.bytes).into_owned()))
}

/// Starts this program anew with one end of a socket as its standard input and nothing else.
/// Neither user nor groups are set here and no code runs in the child, so that it is a `posix_spawn`.
pub(crate) fn start(
    exe: &Path,
    task: &'static str,
) -> Result<(tokio::process::Child, Channel), SpawnError> {
    let (here, there) = fdpass::pair().map_err(os("make a socket"))?;
    let process = Command::new(exe)
        .arg0("scry")
        .arg(task)
        .env_clear()
        .stdin(Stdio::from(there))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(os("start a process of the node"))?;
    Ok((process, Channel::new(here).map_err(os("watch a socket"))?))
}

pub(crate) fn rights(account: &Account) -> Rights {
    Rights { uid: account.uid, gid: account.gid, groups: account.groups.clone() }
}

fn os(what: &'static str) -> impl FnOnce(io::Error) -> SpawnError {
    move |source| SpawnError::Os { what, source }
}

struct Streams {
    io: Io,
    given: Vec<OwnedFd>,
}

impl Streams {
    fn pipes() -> io::Result<Self> {
        let pipe = || rustix::pipe::pipe_with(PipeFlags::CLOEXEC);
        let (stdin, stdout, stderr) = (pipe()?, pipe()?, pipe()?);
        for end in [&stdin.1, &stdout.0] {
            // A system that allows less keeps its own size, which only costs more turns.
            let _ = rustix::pipe::fcntl_setpipe_size(end, limit::PROGRAM_PIPE_BYTES);
        }
        let io = Io::Pipes {
            stdin: Writer::new(stdin.1)?,
            stdout: Reader::new(stdout.0)?,
            stderr: Reader::new(stderr.0)?,
        };
        Ok(Self { io, given: vec![stdin.0, stdout.1, stderr.1] })
    }
}

/// What becomes of the process; `approved` if others approve each file.
fn run(settings: &Settings, what: &What, approved: bool) -> Run {
    let bytes = |path: &PathBuf| path.as_os_str().as_bytes().to_vec();
    match what {
        What::Shell => Run::Shell,
        What::Exec(line) => Run::Exec(line.clone()),
        What::Sftp if approved => Run::Files,
        What::Sftp => Run::Sftp(settings.sftp_servers.iter().map(bytes).collect()),
    }
}

fn spec(
    settings: &Settings,
    account: Account,
    plan: Plan,
    pty: Option<Terminal>,
    run: Run,
) -> Spec {
    let bytes = |path: &Path| path.as_os_str().as_bytes().to_vec();
    let environment = plan
        .environment
        .into_iter()
        .filter(|(name, value)| environment::allowed(name, value))
        .take(limit::ENVIRONMENT_VARIABLES)
        .collect();
    Spec {
        session: plan.id.to_string(),
        rights: rights(&account),
        login: account.name.to_string(),
        home: bytes(&account.home),
        shell: bytes(&account.shell),
        run,
        pty,
        environment,
        agent_socket: plan.agent_socket.as_deref().map(bytes),
        x11: plan.x11.zip(settings.xauth().map(bytes)),
        addresses: plan.addresses,
        motd: plan.motd,
        pam_services: settings.pam_services.clone(),
        watched: plan.watch.is_some(),
    }
}

/// A spec may be longer than a message, so it travels as a file without a name.
pub(crate) fn remember(spec: &impl Serialize) -> io::Result<OwnedFd> {
    let bytes = postcard::to_allocvec(spec).map_err(|why| io::Error::other(why.to_string()))?;
    let memory = rustix::fs::memfd_create("scry-session", MemfdFlags::CLOEXEC)?;
    let mut file = std::fs::File::from(memory);
    file.write_all(&bytes)?;
    Ok(file.into())
}

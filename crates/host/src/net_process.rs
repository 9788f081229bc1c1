//! `__net`: a connection's helper with the user's rights. Reads requests until the daemon hangs up, then cleans up.

use crate::fdpass;
use crate::privilege::{Rights, become_user};
use crate::session_process::take_control;
use model::limit;
use rustix::fs::{FileType, Mode, OFlags};
use rustix::process::DumpableBehavior;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Milliseconds for all addresses of one dial together. Refuse: the last error is reported.
pub(crate) const DIAL_MS: u64 = 30_000;
/// Milliseconds for one address while others are left to try.
const ADDRESS_MS: u64 = 10_000;
/// Requests worked on at once. Refuse: said in the answer.
const AT_ONCE: usize = limit::CHANNELS_PER_CONNECTION;
/// Agent sockets of one connection. Refuse: said in the answer.
const AGENTS: usize = 4;
/// Stack of a worker, in bytes; name service modules need some.
const STACK_BYTES: usize = 512 * 1024;

/// First thing a helper is told.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Welcome {
    pub(crate) rights: Rights,
}

/// What the daemon wants; the socket for the [`Answer`] comes beside it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Request {
    Dial { host: String, port: u16 },
    Listen { address: String, port: u16 },
    Agent,
}

/// What came of it; a socket comes beside `Done` and `At`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Answer {
    Done,
    At(PathBuf),
    Failed(String),
}

/// Runs a net helper until its daemon hangs up.
#[must_use]
pub fn net_main() -> ExitCode {
    let Ok(control) = take_control() else {
        let _ = writeln!(io::stderr(), "scry {} is started by the node, not by hand", crate::NET);
        return ExitCode::FAILURE;
    };
    let started = begin(&control);
    let answer = started.as_ref().map_or_else(|why| Answer::Failed(why.clone()), |()| Answer::Done);
    if reply(&control, &answer, None).is_err() || started.is_err() {
        return ExitCode::FAILURE;
    }
    let mut agents = Vec::new();
    serve(&control, &mut agents);
    ExitCode::SUCCESS
}

fn begin(control: &OwnedFd) -> Result<(), String> {
    let welcome = welcome(control).map_err(|why| format!("cannot take the task: {why}"))?;
    // Out of the daemon's process group, so that Ctrl-C in its terminal is not ours.
    rustix::process::setsid().map_err(|why| format!("cannot begin a session: {why}"))?;
    rustix::process::umask(Mode::RWXG | Mode::RWXO);
    let _ = std::fs::write("/proc/self/oom_score_adj", "0");
    become_user(&welcome.rights)?;
    // The user may not trace what shares sockets with the daemon.
    let _ = rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable);
    let _ = std::env::set_current_dir("/");
    Ok(())
}

fn welcome(control: &OwnedFd) -> io::Result<Welcome> {
    let message = fdpass::receive(control.as_fd())?;
    let memory = message.descriptors.into_iter().next().ok_or(io::ErrorKind::UnexpectedEof)?;
    let (mut file, mut bytes) = (File::from(memory), Vec::new());
    file.rewind()?;
    file.read_to_end(&mut bytes)?;
    postcard::from_bytes(&bytes)
        .map_err(|why| io::Error::new(io::ErrorKind::InvalidData, why.to_string()))
}

fn reply(to: &OwnedFd, answer: &Answer, socket: Option<&OwnedFd>) -> io::Result<()> {
    let bytes = postcard::to_allocvec(answer).map_err(|why| io::Error::other(why.to_string()))?;
    let sockets: Vec<_> = socket.iter().map(AsFd::as_fd).collect();
    fdpass::send(to.as_fd(), &bytes, &sockets)
}

fn serve(control: &OwnedFd, agents: &mut Vec<AgentDirectory>) {
    let busy = Arc::new(AtomicUsize::new(0));
    loop {
        let message = match fdpass::receive(control.as_fd()) {
            Ok(message) if !message.bytes.is_empty() => message,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            _ => return,
        };
        let Some(to) = message.descriptors.into_iter().next() else { continue };
        match postcard::from_bytes(&message.bytes) {
            Ok(Request::Agent) => {
                let made = if agents.len() < AGENTS {
                    AgentDirectory::make()
                        .map_err(|why| format!("cannot make an agent socket: {why}"))
                } else {
                    Err(format!("a connection has at most {AGENTS} agent sockets"))
                };
                answer_agent(&to, made, agents);
            }
            Ok(request) => work(request, to, &busy),
            Err(why) => drop(reply(&to, &Answer::Failed(format!("not a request: {why}")), None)),
        }
    }
}

fn answer_agent(
    to: &OwnedFd,
    made: Result<(AgentDirectory, UnixListener), String>,
    agents: &mut Vec<AgentDirectory>,
) {
    let sent = match made {
        Ok((directory, listener)) => {
            let path = directory.socket();
            agents.push(directory);
            reply(to, &Answer::At(path), Some(&listener.into()))
        }
        Err(why) => reply(to, &Answer::Failed(why), None),
    };
    // Whoever asked may have gone meanwhile.
    drop(sent);
}

/// Each request has a thread, because a dial may take its whole time.
fn work(request: Request, to: OwnedFd, busy: &Arc<AtomicUsize>) {
    if busy.fetch_add(1, Ordering::AcqRel) >= AT_ONCE {
        busy.fetch_sub(1, Ordering::AcqRel);
        let why = format!("{AT_ONCE} connections are being opened already; try again");
        return drop(reply(&to, &Answer::Failed(why), None));
    }
    let (counter, spare) = (Arc::clone(busy), to.try_clone());
    let thread = std::thread::Builder::new().stack_size(STACK_BYTES).spawn(move || {
        let _ = match open(&request) {
            Ok(socket) => reply(&to, &Answer::Done, Some(&socket)),
            Err(why) => reply(&to, &Answer::Failed(why), None),
        };
        counter.fetch_sub(1, Ordering::AcqRel);
    });
    let Err(error) = thread else { return };
    busy.fetch_sub(1, Ordering::AcqRel);
    if let Ok(to) = spare {
        let why = format!("the user has too many processes: {error}");
        drop(reply(&to, &Answer::Failed(why), None));
    }
}

fn open(request: &Request) -> Result<OwnedFd, String> {
    match request {
        Request::Dial { host, port } => dial(host, *port)
            .map(OwnedFd::from)
            .map_err(|why| format!("cannot connect to {host} port {port}: {}", plain(&why))),
        Request::Listen { address, port } => listen(address, *port)
            .map(OwnedFd::from)
            .map_err(|why| format!("cannot listen on port {port}: {}", plain(&why))),
        Request::Agent => Err("not here".to_owned()),
    }
}

/// The system's words without Rust's number behind them.
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_owned()
}

fn dial(host: &str, port: u16) -> io::Result<TcpStream> {
    let deadline = Instant::now() + Duration::from_millis(DIAL_MS);
    let addresses: Vec<SocketAddr> = (host, port).to_socket_addrs()?.collect();
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for (at, address) in addresses.iter().enumerate() {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        let is_last = at + 1 == addresses.len();
        let time = if is_last { left } else { left.min(Duration::from_millis(ADDRESS_MS)) };
        match TcpStream::connect_timeout(address, time) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn listen(address: &str, port: u16) -> io::Result<TcpListener> {
    let loopback = match address {
        "::1" => IpAddr::V6(Ipv6Addr::LOCALHOST),
        _ => IpAddr::V4(Ipv4Addr::LOCALHOST),
    };
    TcpListener::bind((loopback, port))
}

/// A directory of our own with the agent's socket in it; both go when it is dropped.
struct AgentDirectory(PathBuf);

impl AgentDirectory {
    fn make() -> io::Result<(Self, UnixListener)> {
        let uid = rustix::process::geteuid();
        let runtime = PathBuf::from(format!("/run/user/{}", uid.as_raw()));
        let base = if is_private(&runtime) { runtime } else { PathBuf::from("/tmp") };
        let mut random = [0; 8];
        File::open("/dev/urandom")?.read_exact(&mut random)?;
        let path = base.join(format!("scry-agent-{:016x}", u64::from_ne_bytes(random)));
        // mkdir fails on whatever is there already, a symbolic link included.
        std::fs::DirBuilder::new().mode(0o700).create(&path)?;
        let directory = Self(path);
        if !is_private(&directory.0) {
            return Err(io::Error::other("somebody else changed the new directory"));
        }
        // The umask lets only the user in from the first moment.
        let listener = UnixListener::bind(directory.socket())?;
        rustix::fs::chmod(directory.socket(), Mode::RUSR | Mode::WUSR)?;
        Ok((directory, listener))
    }

    fn socket(&self) -> PathBuf {
        self.0.join("agent")
    }
}

impl Drop for AgentDirectory {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(self.socket());
        let _ = std::fs::remove_dir(&self.0);
    }
}

/// Whether this is a real directory, no link, of ours, and closed to everybody else.
fn is_private(path: &Path) -> bool {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let Ok(directory) = rustix::fs::open(path, flags, Mode::empty()) else { return false };
    rustix::fs::fstat(&directory).is_ok_and(|stat| {
        FileType::from_raw_mode(stat.st_mode).is_dir()
            && stat.st_uid == rustix::process::geteuid().as_raw()
            && Mode::from_raw_mode(stat.st_mode) & (Mode::RWXG | Mode::RWXO) == Mode::empty()
    })
}

//! `__net`: a connection's helper with the user's rights. Reads requests until the daemon hangs up, then cleans up.

use crate::accounting::{self, Guest, Refused};
use crate::closing_process;
use crate::fdpass;
use crate::net_made::{AgentDirectory, Made, dial_socket, listen_socket};
use crate::privilege::{Rights, become_user};
use crate::session_process::take_control;
use crate::sys;
use model::limit;
use nix::unistd::geteuid;
use rustix::fs::Mode;
use rustix::process::DumpableBehavior;
use serde::{Deserialize, Serialize};
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Milliseconds for all addresses of one dial together. Refuse: the last error is reported.
pub(crate) const DIAL_MS: u64 = 30_000;
/// Milliseconds for one address while others are left to try.
const ADDRESS_MS: u64 = 10_000;
/// Requests worked on at once. Refuse: said in the answer.
const AT_ONCE: usize = limit::CHANNELS_PER_CONNECTION;
/// Agent sockets of one connection. Refuse: said in the answer.
const AGENTS: usize = 4;
/// First display that is lent, and how many are tried (sshd's `X11DisplayOffset` and `MAX_DISPLAYS`). Refuse: as above.
const DISPLAYS: (u16, u16) = (10, 1000);
/// Port of display 0 (x11(7)).
const DISPLAY_PORT: u16 = 6000;
/// Stack of a worker, in bytes; name service modules need some.
const STACK_BYTES: usize = 512 * 1024;

/// First thing a helper is told.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Welcome {
    pub(crate) rights: Rights,
    pub(crate) guest: Guest,
    pub(crate) shell: PathBuf,
}

/// What the daemon wants; the socket for the [`Answer`] comes beside it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Request {
    Dial {
        host: String,
        port: u16,
    },
    DialSocket {
        path: String,
    },
    Listen {
        address: String,
        port: u16,
    },
    ListenSocket {
        path: String,
    },
    /// The socket that waited at this path does so no longer.
    Forget {
        path: String,
    },
    Agent,
    Display,
}

/// What came of it. Sockets come beside all but `Failed`, and beside `Done` unless it answers `Forget`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Answer {
    Done,
    At(PathBuf),
    Display(u16),
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
    if reply(&control, &answer, &[]).is_err() || started.is_err() {
        return ExitCode::FAILURE;
    }
    let made = Arc::new(Mutex::new(Made::default()));
    serve(&control, &made);
    // Threads may still work, so it does not go by itself.
    *made.lock().unwrap_or_else(PoisonError::into_inner) = Made::default();
    ExitCode::SUCCESS
}

fn begin(control: &OwnedFd) -> Result<(), String> {
    let welcome = welcome(control).map_err(|why| format!("cannot take the task: {why}"))?;
    // Out of the daemon's process group, so that Ctrl-C in its terminal is not ours.
    rustix::process::setsid().map_err(|why| format!("cannot begin a session: {why}"))?;
    rustix::process::umask(Mode::RWXG | Mode::RWXO);
    let _ = std::fs::write("/proc/self/oom_score_adj", "0");
    let Welcome { rights, guest, shell } = welcome;
    let asked = || {
        accounting::has_shell(&guest.login, &shell)
            .and_then(|()| accounting::may_come_in(&guest))
            .map_err(|Refused(why)| why)
    };
    // PAM's modules stay in the memory of whoever asks them.
    if geteuid().is_root() {
        sys::in_child(asked)?
    } else {
        asked()?
    }
    become_user(&rights)?;
    // The user may not trace what shares sockets with the daemon.
    let _ = rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable);
    let _ = std::env::set_current_dir("/");
    Ok(())
}

fn welcome(control: &OwnedFd) -> io::Result<Welcome> {
    let message = fdpass::receive(control.as_fd())?;
    let memory = message.descriptors.into_iter().next().ok_or(io::ErrorKind::UnexpectedEof)?;
    closing_process::read(memory)
}

fn reply(to: &OwnedFd, answer: &Answer, sockets: &[OwnedFd]) -> io::Result<()> {
    let bytes = postcard::to_allocvec(answer).map_err(|why| io::Error::other(why.to_string()))?;
    let sockets: Vec<_> = sockets.iter().map(AsFd::as_fd).collect();
    fdpass::send(to.as_fd(), &bytes, &sockets)
}

fn serve(control: &OwnedFd, made: &Arc<Mutex<Made>>) {
    let busy = Arc::new(AtomicUsize::new(0));
    loop {
        let message = match fdpass::receive(control.as_fd()) {
            Ok(message) if !message.bytes.is_empty() => message,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            _ => return,
        };
        let Some(to) = message.descriptors.into_iter().next() else { continue };
        match postcard::from_bytes(&message.bytes) {
            Ok(request) => work(request, to, &busy, made),
            Err(why) => drop(reply(&to, &Answer::Failed(format!("not a request: {why}")), &[])),
        }
    }
}

/// Each request has a thread, because a dial may take its whole time.
fn work(request: Request, to: OwnedFd, busy: &Arc<AtomicUsize>, made: &Arc<Mutex<Made>>) {
    if busy.fetch_add(1, Ordering::AcqRel) >= AT_ONCE {
        busy.fetch_sub(1, Ordering::AcqRel);
        let why = format!("{AT_ONCE} connections are being opened already; try again");
        return drop(reply(&to, &Answer::Failed(why), &[]));
    }
    let (counter, spare, made) = (Arc::clone(busy), to.try_clone(), Arc::clone(made));
    let thread = std::thread::Builder::new().stack_size(STACK_BYTES).spawn(move || {
        // Whoever asked may have gone meanwhile.
        let _ = match open(&request, &made) {
            Ok((answer, sockets)) => reply(&to, &answer, &sockets),
            Err(why) => reply(&to, &Answer::Failed(why), &[]),
        };
        counter.fetch_sub(1, Ordering::AcqRel);
    });
    let Err(error) = thread else { return };
    busy.fetch_sub(1, Ordering::AcqRel);
    if let Ok(to) = spare {
        let why = format!("the user has too many processes: {error}");
        drop(reply(&to, &Answer::Failed(why), &[]));
    }
}

fn open(request: &Request, made: &Mutex<Made>) -> Result<(Answer, Vec<OwnedFd>), String> {
    let made = || made.lock().unwrap_or_else(PoisonError::into_inner);
    let done = |socket: OwnedFd| (Answer::Done, vec![socket]);
    match request {
        Request::Dial { host, port } => dial(host, *port)
            .map(|stream| done(stream.into()))
            .map_err(|why| format!("cannot connect to {host} port {port}: {}", plain(&why))),
        Request::DialSocket { path } => dial_socket(path)
            .map(done)
            .map_err(|why| format!("cannot connect to {path}: {}", plain(&why))),
        Request::Listen { address, port } => listen(address, *port)
            .map(|listener| done(listener.into()))
            .map_err(|why| format!("cannot listen on port {port}: {}", plain(&why))),
        Request::ListenSocket { path } => {
            let (socket, listener) = listen_socket(path)
                .map_err(|why| format!("cannot listen at {path}: {}", plain(&why)))?;
            made().sockets.push(socket);
            Ok(done(listener.into()))
        }
        Request::Forget { path } => {
            made().sockets.retain(|socket| socket.path.as_os_str() != path.as_str());
            Ok((Answer::Done, Vec::new()))
        }
        Request::Agent => {
            let mut made = made();
            if made.agents.len() >= AGENTS {
                return Err(format!("a connection has at most {AGENTS} agent sockets"));
            }
            let (directory, listener) = AgentDirectory::make()
                .map_err(|why| format!("cannot make an agent socket: {}", plain(&why)))?;
            let path = directory.socket();
            made.agents.push(directory);
            Ok((Answer::At(path), vec![listener.into()]))
        }
        Request::Display => {
            let (number, listeners) =
                display().map_err(|why| format!("no display can be lent: {}", plain(&why)))?;
            let sockets = listeners.into_iter().map(OwnedFd::from).collect();
            Ok((Answer::Display(number), sockets))
        }
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

/// The first display that is free on both loopbacks. A number that somebody holds on one of them is passed over:
/// programs resolve `localhost` as they like, and must not be led to a stranger.
fn display() -> io::Result<(u16, Vec<TcpListener>)> {
    let (first, count) = DISPLAYS;
    for number in first..first.saturating_add(count) {
        let port = DISPLAY_PORT.saturating_add(number);
        let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) else { continue };
        match TcpListener::bind((Ipv6Addr::LOCALHOST, port)) {
            Ok(second) => return Ok((number, vec![listener, second])),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
            // A machine without IPv6.
            Err(_) => return Ok((number, vec![listener])),
        }
    }
    Err(io::Error::new(io::ErrorKind::AddrInUse, format!("all {count} displays are taken")))
}

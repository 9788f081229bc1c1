//! The SSH server on any stream: only certificates sign in, and what a client asks for comes out as values.
//!
//! Requests that prepare a session (terminal, environment, agent) are answered and collected inside russh's callbacks, in
//! their order, because russh keeps only one "wants a reply" per channel; what starts it comes out as one [`Session`].
//! A shell or command is granted at once; if it cannot be run, the reason goes to its standard error, where people see it.

mod callbacks;
mod tried;

use super::buffer::Buffers;
use super::channel::{self, Input, Output, Pipe};
use super::drop_line::Line;
use super::{SshError, Startup, terms};
use crate::duplex::BoxDuplex;
use crate::tasks::Tasks;
use callbacks::{Callbacks, Counts, Slot, Wires};
use model::{Size, limit};
use russh::keys::ssh_key::{Certificate, PrivateKey};
use russh::{ChannelOpenFailure, MethodKind, MethodSet, server};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::{CancellationToken, DropGuard};
pub use tried::{NobodyIn, Tried};

/// Requests of one connection that nobody has taken yet. Refuse: the request fails.
const ASKED: usize = 64;
/// Signals of one session that nobody has taken yet. Cut: further ones are lost.
const SIGNALS: usize = 16;
/// Refused requests of one session that are remembered. Cut: what comes behind them is refused all the same.
pub const REFUSED: usize = 16;
/// Refused requests of one connection that are told one by one. Cut: further ones are counted ([`Connection::untold`]).
const TOLD: u32 = 64;
/// Milliseconds for this machine to open a listening socket. Refuse: the request fails.
const LISTEN_MS: u64 = 2_000;
/// Milliseconds for a client to answer the opening of a channel towards it.
const OPEN_MS: u64 = 30_000;
/// Milliseconds for a client to read a farewell before its stream is cut.
const FAREWELL_MS: u64 = 1_000;

/// What a connection may do, and what its caller wants to remember about it. Made by a [`Gate`].
pub struct Admission<T> {
    /// Whatever the caller keeps of its decision.
    pub holder: T,
    /// Where untaken input waits.
    pub buffers: Arc<dyn Buffers>,
    /// Whether sessions may ask for the client's agent.
    pub agent: bool,
    /// Whether sessions may ask for the client's display (RFC 4254 §6.3).
    pub x11: bool,
    /// How many sessions may be open at once; of none no session is opened at all.
    pub sessions: usize,
    /// Which variables a client may set.
    pub variable: fn(&str) -> bool,
    /// Names of the subsystems that there are.
    pub subsystems: &'static [&'static str],
}

/// Who is let in. Both must be quick and must not wait.
pub struct Gate<T> {
    /// Judges one certificate that a client has proved to hold: for which account, and the certificate. russh has checked
    /// its signature and times; authority, type, principals, options are the judge's.
    pub certificate: Judge<T, Certificate>,
    /// Accounts for which no certificate is shown, if there are any.
    pub guests: Guests<T>,
}

/// Judges one thing that somebody shows for an account.
pub type Judge<T, S> = Box<dyn FnMut(&str, &S) -> Option<Admission<T>> + Send>;

/// Those who are known by the account alone that they ask for: it is, or holds, a secret, which is looked at once they want
/// something. What they are let in for must be worth nothing without it.
pub struct Guests<T> {
    /// Whether an account is such a one. For it nothing else is accepted.
    pub is_one: fn(&str) -> bool,
    /// What they are asked at the keyboard (RFC 4256); nothing if nothing.
    pub asks: Option<&'static str>,
    /// What they may do: by the account and their answer.
    pub admit: Judge<T, str>,
}

/// An SSH server with its host key. Clones share it.
#[derive(Clone)]
pub struct Server {
    config: Arc<server::Config>,
    grace_ms: u64,
}

impl Server {
    /// A server that shows `certificate`, which belongs to `key`.
    #[must_use]
    pub fn new(key: PrivateKey, certificate: Certificate) -> Self {
        let config = server::Config {
            server_id: terms::id(),
            methods: MethodSet::from(&[MethodKind::PublicKey][..]),
            auth_rejection_time: Duration::from_millis(100),
            auth_rejection_time_initial: Some(Duration::ZERO),
            keys: vec![key],
            certificates: vec![certificate],
            limits: terms::limits(),
            window_size: terms::WINDOW_BYTES,
            maximum_packet_size: terms::PACKET_BYTES,
            channel_buffer_size: terms::CHANNEL_MESSAGES,
            event_buffer_size: terms::OUTGOING_MESSAGES,
            preferred: terms::preferred(),
            max_auth_attempts: terms::ATTEMPTS,
            inactivity_timeout: None,
            keepalive_interval: Some(terms::BEAT),
            keepalive_max: terms::BEATS,
            nodelay: true,
        };
        Self { config: Arc::new(config), grace_ms: limit::LOGIN_GRACE_MS }
    }

    /// The same server with another login grace, in milliseconds.
    #[must_use]
    pub fn with_grace(self, grace_ms: u64) -> Self {
        Self { grace_ms, ..self }
    }

    /// The same server, which asks a silent client after another time whether it is there.
    #[cfg(test)]
    pub(super) fn with_beat(mut self, beat: Duration) -> Self {
        let config = Arc::get_mut(&mut self.config).expect("nobody else has it yet");
        config.keepalive_interval = Some(beat);
        self
    }

    /// Speaks SSH on `stream` until somebody has signed in. `startup` is given back then.
    ///
    /// # Errors
    /// When nobody signs in within [`limit::LOGIN_GRACE_MS`], or the protocol fails; with what was tried.
    pub async fn accept<T: Send + 'static>(
        &self,
        stream: BoxDuplex,
        gate: Gate<T>,
        startup: Startup,
    ) -> Result<Connection<T>, NobodyIn> {
        let cut = CancellationToken::new();
        let guard = cut.clone().drop_guard();
        let grace = Duration::from_millis(self.grace_ms);
        let (tries, tried) = watch::channel(Tried::default());
        let signing_in = self.sign_in(stream, (gate, tries), cut, guard);
        let accepted = tokio::time::timeout(grace, signing_in).await;
        drop(startup);
        let accepted = accepted.unwrap_or(Err(SshError::LoginGrace { ms: self.grace_ms }));
        accepted.map_err(|error| NobodyIn { error, tried: tried.borrow().clone() })
    }

    async fn sign_in<T: Send + 'static>(
        &self,
        stream: BoxDuplex,
        (gate, tries): (Gate<T>, watch::Sender<Tried>),
        cut: CancellationToken,
        guard: DropGuard,
    ) -> Result<Connection<T>, SshError> {
        let (asked, asking) = mpsc::channel(ASKED);
        let (admit, admitted) = oneshot::channel();
        let tasks = Tasks::new();
        let closed = CancellationToken::new();
        let untold = Arc::new(AtomicU64::new(0));
        let wires = Wires { tries, admit, asked, untold: Arc::clone(&untold) };
        let callbacks = Callbacks::new(gate, wires, tasks.clone(), closed.clone());
        let line = Line::new(stream, &cut);
        let running = server::run_stream(Arc::clone(&self.config), line, callbacks)
            .await
            .map_err(SshError::Handshake)?;
        let handle = running.handle();
        let ended = closed.clone().drop_guard();
        let lost = Arc::new(OnceLock::new());
        let is_lost = Arc::clone(&lost);
        tasks.spawn(async move {
            if let Err(error) = running.await {
                tracing::debug!(%error, "an SSH connection ended");
                let _ = is_lost.set(match error {
                    russh::Error::KeepaliveTimeout => Lost::Silent,
                    _ => Lost::Broken,
                });
            }
            // Who sees it closed sees why.
            drop(ended);
        });
        let admitted = tokio::select! {
            admitted = admitted => admitted.map_err(|_| SshError::Ended)?,
            () = closed.cancelled() => return Err(SshError::Ended),
        };
        let opener = Opener {
            handle,
            buffers: admitted.admission.buffers,
            tasks,
            closed: closed.clone(),
            lost,
            counts: admitted.counts,
        };
        Ok(Connection {
            login: admitted.login,
            version: admitted.version,
            holder: admitted.admission.holder,
            opener,
            asking,
            untold,
            cut,
            _guard: guard,
        })
    }
}

/// A connection on which somebody has signed in. Dropping it cuts it.
pub struct Connection<T> {
    /// The account that was asked for, as the client wrote it.
    pub login: String,
    /// The client's version line.
    pub version: String,
    /// What the gate keeps of its decision.
    pub holder: T,
    opener: Opener,
    asking: mpsc::Receiver<Asked>,
    untold: Arc<AtomicU64>,
    cut: CancellationToken,
    _guard: DropGuard,
}

impl<T> Connection<T> {
    /// What the client asks for next; `None` when the connection is gone.
    pub async fn next(&mut self) -> Option<Asked> {
        self.asking.recv().await
    }

    /// Refused requests that did not come out of [`Connection::next`], because there were too many of them.
    #[must_use]
    pub fn untold(&self) -> u64 {
        self.untold.load(Ordering::Relaxed)
    }

    /// Opens channels towards the client. Clones do the same.
    #[must_use]
    pub fn opener(&self) -> Opener {
        self.opener.clone()
    }

    /// Cancelled when the connection is gone.
    #[must_use]
    pub fn closed(&self) -> CancellationToken {
        self.opener.closed.clone()
    }

    /// Says farewell with `reason`, which clients show, and ends the connection.
    pub async fn end(self, reason: &str) {
        let farewell = async {
            let by = russh::Disconnect::ByApplication;
            let _ = self.opener.handle.disconnect(by, reason.to_owned(), "en".to_owned()).await;
            self.opener.closed.cancelled().await;
        };
        let _ = tokio::time::timeout(Duration::from_millis(FAREWELL_MS), farewell).await;
        self.cut.cancel();
    }
}

/// Something that a client asks for.
#[derive(Debug)]
pub enum Asked {
    /// A shell, a command or a subsystem. It was granted; what cannot be run says so on its standard error.
    Session(Session),
    /// A connection to somewhere (`-L`, `-D`; RFC 4254 §7.2, and OpenSSH's PROTOCOL §2.4 for sockets).
    Direct(Direct),
    /// A listening socket (`-R`; RFC 4254 §7.1, and OpenSSH's PROTOCOL §2.4 for sockets).
    Listen(Listen),
    /// Its end; the place is that of [`Listen::at`].
    Unlisten(Place),
    /// Something that was refused here already, for the ledger.
    Refused(Refused),
}

/// A request or a channel that was refused without asking anybody: no policy could allow it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The request by its name in the protocol, such as `subsystem netconf`; cut to a sane length.
    pub what: String,
    /// Why.
    pub why: &'static str,
}

/// Where a forward leads, or where it waits. Texts are the client's, whatever it wrote.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// A port.
    Port {
        /// Name or address.
        host: String,
        /// Its number.
        port: u32,
    },
    /// A socket in the file system.
    Socket {
        /// Its path.
        path: String,
    },
}

impl Place {
    /// Whether it is longer than [`limit::PLACE_BYTES`].
    fn is_long(&self) -> bool {
        let (Self::Port { host: text, .. } | Self::Socket { path: text }) = self;
        text.len() > limit::PLACE_BYTES
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Port { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Port { host, port } => write!(f, "{host}:{port}"),
            Self::Socket { path } => f.write_str(path),
        }
    }
}

/// What a session channel asked for.
#[derive(Debug)]
pub struct Session {
    /// The terminal, if one was asked for.
    pub pty: Option<PtyWish>,
    /// Variables that the client set and was allowed to.
    pub environment: Vec<(String, String)>,
    /// Whether the client's agent was asked for and granted.
    pub agent: bool,
    /// The client's display, if it was asked for and granted.
    pub x11: Option<X11Wish>,
    /// What was asked for and not granted: requests by their names, variables as `env NAME`. At most [`REFUSED`] of them.
    pub refused: Vec<String>,
    /// What to run.
    pub wish: Wish,
    /// Standard input or what is typed.
    pub input: Input,
    /// Output, status and end.
    pub output: Output,
    /// The terminal's size, whenever it changes.
    pub sizes: watch::Receiver<Size>,
    /// Signals for the program, names without `SIG`.
    pub signals: mpsc::Receiver<String>,
    pub(super) _slot: Slot,
}

/// What to run on a session channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    /// The login shell.
    Shell,
    /// One command, any bytes.
    Exec(Vec<u8>),
    /// A subsystem that [`Admission::subsystems`] names.
    Subsystem(String),
}

/// A terminal as the client asks for it (RFC 4254 §6.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PtyWish {
    /// Value of TERM.
    pub term: String,
    /// Its size, within our bounds.
    pub size: Size,
    /// Modes, opcode and argument (RFC 4254 §8).
    pub modes: Vec<(u8, u32)>,
}

/// The client's display as it describes it (RFC 4254 §6.3.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct X11Wish {
    /// Whether it takes one connection only.
    pub single: bool,
    /// Name of the authorisation, such as `MIT-MAGIC-COOKIE-1`.
    pub protocol: String,
    /// Its data in hexadecimal. Not the display's own: the client knows what it stands for.
    pub cookie: String,
    /// Number of the screen.
    pub screen: u32,
}

/// A connection that the client asks for.
pub struct Direct {
    /// Where to.
    pub to: Place,
    /// Address and port it comes from, as the client says; a client says nothing of a socket.
    pub origin: Option<(String, u32)>,
    channel: russh::Channel<server::Msg>,
    reply: server::ChannelOpenHandle,
    tasks: Tasks,
    closed: CancellationToken,
    handle: server::Handle,
    buffers: Arc<dyn Buffers>,
    slot: Slot,
}

/// Why a channel is not opened (RFC 4254 §5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Not allowed.
    Prohibited,
    /// It could not be reached.
    Unreachable,
    /// Too many already.
    TooMany,
}

impl From<Refusal> for ChannelOpenFailure {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Prohibited => Self::AdministrativelyProhibited,
            Refusal::Unreachable => Self::ConnectFailed,
            Refusal::TooMany => Self::ResourceShortage,
        }
    }
}

impl Direct {
    /// Opens the channel.
    pub async fn accept(self) -> Pipe {
        self.reply.accept().await;
        let gone = self.closed.child_token();
        let (pipe, task) = channel::open_server(
            self.channel,
            self.handle,
            self.buffers.as_ref(),
            (gone, self.tasks.spawner()),
        );
        let slot = self.slot;
        self.tasks.spawn(async move {
            task.await;
            drop(slot);
        });
        pipe
    }

    /// Refuses it.
    pub async fn reject(self, why: Refusal) {
        self.reply.reject(why.into()).await;
    }
}

impl std::fmt::Debug for Direct {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Direct").field("to", &self.to).finish_non_exhaustive()
    }
}

/// A listening socket that the client asks for.
#[derive(Debug)]
pub struct Listen {
    /// Where to wait, as the client wrote it; port 0 is any.
    pub at: Place,
    reply: oneshot::Sender<Option<u32>>,
}

impl Listen {
    /// It listens, on `port` unless it is a socket. Answers whether the client still waited, which is at most 2 s.
    #[must_use]
    pub fn grant(self, port: u32) -> bool {
        self.reply.send(Some(port)).is_ok()
    }

    /// It does not.
    pub fn refuse(self) {
        let _ = self.reply.send(None);
    }
}

/// How a connection was lost that neither end has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// Nothing was heard of the client any more, though it was asked ([`limit::SSH_BEATS`]).
    Silent,
    /// What carried it is gone, or what came over it was no SSH.
    Broken,
}

/// Opens channels towards a client.
#[derive(Clone)]
pub struct Opener {
    handle: server::Handle,
    buffers: Arc<dyn Buffers>,
    tasks: Tasks,
    closed: CancellationToken,
    lost: Arc<OnceLock<Lost>>,
    counts: Counts,
}

impl Opener {
    /// Waits until the connection is gone; answers how it was lost, if neither end has ended it.
    pub async fn lost(&self) -> Option<Lost> {
        self.closed.cancelled().await;
        self.lost.get().copied()
    }

    /// Waits until the client has answered something, which proves that it is there: whoever gets a global request that
    /// wants a reply must give one (RFC 4254 §4), and one that no client grants asks for nothing else.
    /// russh offers no keepalive from here. Answers `false` once the connection is gone.
    pub async fn ping(&self) -> bool {
        let _ = self.handle.cancel_forward_tcpip(String::new(), 0).await;
        !self.closed.is_cancelled()
    }

    /// Hands the client a connection that came to a socket it listens on (RFC 4254 §7.2). `at` is that of its request with
    /// the port that was granted, `origin` is who connected.
    ///
    /// # Errors
    /// When there are too many channels, the client refuses or does not answer, or the connection is gone.
    pub async fn forwarded(&self, at: &Place, origin: (String, u32)) -> Result<Pipe, SshError> {
        match at {
            Place::Port { host, port } => {
                let opening = self.handle.channel_open_forwarded_tcpip(
                    host.as_str(),
                    *port,
                    origin.0,
                    origin.1,
                );
                self.open(opening).await
            }
            Place::Socket { path } => {
                self.open(self.handle.channel_open_forwarded_streamlocal(path.as_str())).await
            }
        }
    }

    /// Hands the client a connection to its display (RFC 4254 §6.3.2).
    ///
    /// # Errors
    /// As [`Opener::forwarded`].
    pub async fn x11(&self, origin: (String, u32)) -> Result<Pipe, SshError> {
        self.open(self.handle.channel_open_x11(origin.0, origin.1)).await
    }

    /// Opens a channel to the client's agent.
    ///
    /// # Errors
    /// As [`Opener::forwarded`].
    pub async fn agent(&self) -> Result<Pipe, SshError> {
        self.open(self.handle.channel_open_agent()).await
    }

    /// Whether the connection is gone.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.closed.is_cancelled()
    }

    async fn open(
        &self,
        opening: impl Future<Output = Result<russh::Channel<server::Msg>, russh::Error>>,
    ) -> Result<Pipe, SshError> {
        let slot = self.counts.channel().ok_or(SshError::Request { what: "another channel" })?;
        let opened = tokio::select! {
            opened = tokio::time::timeout(Duration::from_millis(OPEN_MS), opening) => opened,
            () = self.closed.cancelled() => return Err(SshError::Gone),
        };
        let Ok(Ok(channel)) = opened else {
            return Err(SshError::Request { what: "a channel to the client" });
        };
        let gone = self.closed.child_token();
        let (pipe, task) = channel::open_server(
            channel,
            self.handle.clone(),
            self.buffers.as_ref(),
            (gone, self.tasks.spawner()),
        );
        self.tasks.spawn(async move {
            task.await;
            drop(slot);
        });
        Ok(pipe)
    }
}

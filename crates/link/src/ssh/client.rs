//! The SSH client on any stream: signs in with a certificate, trusts only a host certificate, and opens sessions and forwards.

use super::buffer::Buffers;
use super::channel::{self, Exit, Input, Output, Pipe, Told};
use super::drop_line::Line;
use super::{SshError, terms};
use crate::duplex::BoxDuplex;
use crate::tasks::Tasks;
use model::{Size, limit};
use russh::client::KeyboardInteractiveAuthResponse;
use russh::keys::ssh_key::{Certificate, PrivateKey};
use russh::keys::{Algorithm, PublicKeyOrCertificate};
use russh::{ChannelOpenFailure, Disconnect, Preferred, client};
use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::{CancellationToken, DropGuard};

pub use super::channel::Exit as RemoteExit;

/// Milliseconds from the first byte to the host's certificate.
const HANDSHAKE_MS: u64 = 30_000;
/// Answers to requests on one channel that nobody has taken yet. Requests are made one by one.
const ANSWERS: usize = 16;
/// Connections to remote forwards that nobody has taken yet. Refuse: the other side is told that it cannot be reached.
const ARRIVALS: usize = 32;

/// Judges the host's certificate; the text says what is wrong with it.
pub type HostCheck = Box<dyn FnMut(&Certificate) -> Result<(), String> + Send>;

/// Who signs in.
#[derive(Clone)]
pub struct SignIn {
    /// The account.
    pub login: String,
    /// What is shown for it.
    pub proof: Proof,
}

/// What somebody shows for an account.
#[derive(Clone)]
pub enum Proof {
    /// A certificate, and the key that it is for.
    Certificate(Arc<PrivateKey>, Box<Certificate>),
    /// Nothing: the account is a secret. What they answer to a question at the keyboard (RFC 4256).
    Answer(String),
}

/// How to connect.
pub struct Settings {
    /// Whether the host is the right one.
    pub host: HostCheck,
    /// Where output waits that is not taken.
    pub buffers: Arc<dyn Buffers>,
    /// Socket of the agent to lend, if sessions ask for it.
    pub agent: Option<PathBuf>,
    /// Whether to compress after the sign-in.
    pub compress: bool,
}

/// A connection that has signed in. Dropping it cuts it.
pub struct Client {
    handle: client::Handle<Callbacks>,
    buffers: Arc<dyn Buffers>,
    arrivals: mpsc::Receiver<Arrival>,
    tasks: Tasks,
    closed: CancellationToken,
    _cut: DropGuard,
}

/// A connection that came to a remote forward.
pub struct Arrival {
    /// Address of the forward, as asked for.
    pub address: String,
    /// Its port.
    pub port: u32,
    /// Who connected there.
    pub origin: (String, u32),
    /// Its bytes.
    pub pipe: Pipe,
}

/// Connects over `stream` and signs in.
///
/// # Errors
/// When the handshake fails, the host's certificate does not convince, or the user's is not accepted.
pub async fn connect(
    stream: BoxDuplex,
    settings: Settings,
    sign_in: SignIn,
) -> Result<Client, SshError> {
    let config = client::Config {
        client_id: terms::id(),
        limits: terms::limits(),
        window_size: terms::WINDOW_BYTES,
        maximum_packet_size: terms::PACKET_BYTES,
        channel_buffer_size: terms::CHANNEL_MESSAGES,
        preferred: preferred(settings.compress),
        inactivity_timeout: None,
        keepalive_interval: Some(terms::BEAT),
        keepalive_max: terms::BEATS,
        nodelay: true,
        ..client::Config::default()
    };
    let cut = CancellationToken::new();
    let (arrived, arrivals) = mpsc::channel(ARRIVALS);
    let (tasks, closed) = (Tasks::new(), CancellationToken::new());
    let doubt = Arc::new(OnceLock::new());
    let callbacks = Callbacks {
        host: settings.host,
        doubt: Arc::clone(&doubt),
        agent: settings.agent,
        buffers: Arc::clone(&settings.buffers),
        arrived,
        tasks: tasks.clone(),
        _closed: closed.clone().drop_guard(),
    };
    let line = Line::new(stream, &cut).reading_on(limit::SSH_MEANWHILE_BYTES);
    let guard = cut.drop_guard();
    let connecting = client::connect_stream(Arc::new(config), line, callbacks);
    let connected = tokio::time::timeout(Duration::from_millis(HANDSHAKE_MS), connecting).await;
    let mut handle = match connected {
        Ok(Ok(handle)) => handle,
        Ok(Err(error)) => {
            return Err(match doubt.get() {
                Some(why) => SshError::Host { why: why.clone() },
                None => SshError::Handshake(error),
            });
        }
        Err(_) => return Err(SshError::LoginGrace { ms: HANDSHAKE_MS }),
    };
    let SignIn { login, proof } = sign_in;
    let signed = match proof {
        Proof::Certificate(key, certificate) => handle
            .authenticate_openssh_cert(login.clone(), key, *certificate)
            .await
            .map(|signed| signed.success()),
        Proof::Answer(answer) => by_answer(&mut handle, &login, answer).await,
    };
    if !signed.map_err(SshError::Handshake)? {
        return Err(SshError::Refused { login });
    }
    Ok(Client { handle, buffers: settings.buffers, arrivals, tasks, closed, _cut: guard })
}

/// Answers the first question with `answer`, and no other.
async fn by_answer(
    handle: &mut client::Handle<Callbacks>,
    login: &str,
    answer: String,
) -> Result<bool, russh::Error> {
    let mut reply = handle.authenticate_keyboard_interactive_start(login, None).await?;
    let mut answer = Some(answer);
    loop {
        match reply {
            KeyboardInteractiveAuthResponse::Success => return Ok(true),
            KeyboardInteractiveAuthResponse::Failure { .. } => return Ok(false),
            KeyboardInteractiveAuthResponse::InfoRequest { prompts, .. } => {
                let answers = prompts.iter().map(|_| answer.take().unwrap_or_default()).collect();
                reply = handle.authenticate_keyboard_interactive_respond(answers).await?;
            }
        }
    }
}

fn preferred(compress: bool) -> Preferred {
    let mut preferred = terms::preferred();
    preferred.host_key_certificates = Cow::Borrowed(&[Algorithm::Ed25519]);
    if compress {
        preferred.compression =
            Cow::Borrowed(&[russh::compression::ZLIB_LEGACY, russh::compression::NONE]);
    }
    preferred
}

impl Client {
    /// Opens a session channel.
    ///
    /// # Errors
    /// When the server refuses or the connection is gone.
    pub async fn session(&self) -> Result<Session, SshError> {
        let channel = self.handle.channel_open_session().await.map_err(refused("a session"))?;
        let (answers, answered) = mpsc::channel(ANSWERS);
        let (exit_in, exit) = watch::channel(None);
        let (errors_in, errors) = self.buffers.open();
        let told = Told { answers, exit: exit_in, errors: errors_in };
        let gone = CancellationToken::new();
        let (pipe, task) = channel::open_client(
            channel,
            self.buffers.as_ref(),
            (gone, self.tasks.spawner()),
            Some(told),
        );
        self.tasks.spawn(task);
        Ok(Session {
            input: pipe.output,
            output: Some(pipe.input),
            errors: Some(Input::new(errors)),
            answered,
            exit,
        })
    }

    /// Opens a connection from the server to `host` (`-L`; RFC 4254 §7.2).
    ///
    /// # Errors
    /// When the server refuses, cannot reach it, or the connection is gone.
    pub async fn direct(
        &self,
        host: &str,
        port: u32,
        origin: (String, u32),
    ) -> Result<Pipe, SshError> {
        let opened = self.handle.channel_open_direct_tcpip(host, port, origin.0, origin.1).await;
        let channel = opened.map_err(refused("the forward"))?;
        let gone = CancellationToken::new();
        let (pipe, task) = channel::open_client(
            channel,
            self.buffers.as_ref(),
            (gone, self.tasks.spawner()),
            None,
        );
        self.tasks.spawn(task);
        Ok(pipe)
    }

    /// Asks the server to listen (`-R`; RFC 4254 §7.1). Answers the port, also when `port` was 0.
    ///
    /// # Errors
    /// When the server refuses or the connection is gone.
    pub async fn listen(&self, address: &str, port: u32) -> Result<u32, SshError> {
        let given = self.handle.tcpip_forward(address, port).await.map_err(refused("to listen"))?;
        Ok(if port == 0 { given } else { port })
    }

    /// Ends what [`Client::listen`] began.
    ///
    /// # Errors
    /// When the server refuses or the connection is gone.
    pub async fn unlisten(&self, address: &str, port: u32) -> Result<(), SshError> {
        let ended = self.handle.cancel_tcpip_forward(address, port).await;
        ended.map_err(refused("to end a forward"))
    }

    /// The next connection to a socket that the server listens on for us; `None` when the connection is gone.
    pub async fn arrival(&mut self) -> Option<Arrival> {
        self.arrivals.recv().await
    }

    /// The connections to come, to be taken in a task of its own; [`Client::arrival`] has none from here on.
    #[must_use]
    pub fn take_arrivals(&mut self) -> mpsc::Receiver<Arrival> {
        std::mem::replace(&mut self.arrivals, mpsc::channel(1).1)
    }

    /// Runs `task` until it ends, or the connection is dropped.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(task);
    }

    /// Cancelled when the connection is gone.
    #[must_use]
    pub fn closed(&self) -> CancellationToken {
        self.closed.clone()
    }

    /// Says goodbye and ends the connection.
    pub async fn end(self) {
        let farewell = async {
            let _ = self.handle.disconnect(Disconnect::ByApplication, "", "en").await;
            self.closed.cancelled().await;
        };
        let _ = tokio::time::timeout(Duration::from_millis(500), farewell).await;
    }
}

fn refused(what: &'static str) -> impl FnOnce(russh::Error) -> SshError {
    move |error| match error {
        russh::Error::ChannelOpenFailure(_) | russh::Error::RequestDenied => {
            SshError::Request { what }
        }
        _ => SshError::Gone,
    }
}

/// A session channel of a client.
#[derive(Debug)]
pub struct Session {
    /// What is typed, or standard input: write, then [`Output::eof`].
    pub input: Output,
    /// Standard output; take it to read it in a task of its own.
    pub output: Option<Input>,
    /// Standard error; likewise.
    pub errors: Option<Input>,
    answered: mpsc::Receiver<bool>,
    exit: watch::Receiver<Option<Exit>>,
}

/// Changes to a session that runs. Clones do the same.
#[derive(Debug, Clone)]
pub struct Control {
    output: Output,
}

impl Session {
    /// Asks for a terminal. `modes` are opcodes and arguments of RFC 4254 §8.
    ///
    /// # Errors
    /// When the server refuses or the connection is gone.
    pub async fn pty(
        &mut self,
        term: &str,
        size: Size,
        modes: &[(u8, u32)],
    ) -> Result<(), SshError> {
        let modes: Vec<_> =
            modes.iter().filter_map(|&(code, value)| Some((pty_mode(code)?, value))).collect();
        let (columns, rows) = (size.cols().into(), size.rows().into());
        if let Some(half) = self.input.client_half() {
            let asked = half.request_pty(true, term, columns, rows, 0, 0, &modes).await;
            asked.map_err(|_| SshError::Gone)?;
        }
        self.granted("a terminal").await
    }

    /// Sets a variable; a server may quietly refuse it.
    ///
    /// # Errors
    /// When the connection is gone.
    pub async fn variable(&mut self, name: &str, value: &str) -> Result<(), SshError> {
        if let Some(half) = self.input.client_half() {
            half.set_env(false, name, value).await.map_err(|_| SshError::Gone)?;
        }
        Ok(())
    }

    /// Lends the agent of [`Settings::agent`] to the session.
    ///
    /// # Errors
    /// When the server refuses or the connection is gone.
    pub async fn agent(&mut self) -> Result<(), SshError> {
        if let Some(half) = self.input.client_half() {
            half.agent_forward(true).await.map_err(|_| SshError::Gone)?;
        }
        self.granted("the agent").await
    }

    /// Starts the login shell.
    ///
    /// # Errors
    /// When the server refuses or the connection is gone.
    pub async fn shell(&mut self) -> Result<(), SshError> {
        if let Some(half) = self.input.client_half() {
            half.request_shell(true).await.map_err(|_| SshError::Gone)?;
        }
        self.granted("a shell").await
    }

    /// Runs a command.
    ///
    /// # Errors
    /// When the server refuses or the connection is gone.
    pub async fn exec(&mut self, command: impl Into<Vec<u8>>) -> Result<(), SshError> {
        if let Some(half) = self.input.client_half() {
            half.exec(true, command.into()).await.map_err(|_| SshError::Gone)?;
        }
        self.granted("the command").await
    }

    /// Starts a subsystem such as `sftp`.
    ///
    /// # Errors
    /// When the server refuses or the connection is gone.
    pub async fn subsystem(&mut self, name: &str) -> Result<(), SshError> {
        if let Some(half) = self.input.client_half() {
            half.request_subsystem(true, name).await.map_err(|_| SshError::Gone)?;
        }
        self.granted("the subsystem").await
    }

    /// What changes the session while it runs.
    #[must_use]
    pub fn control(&self) -> Control {
        Control { output: self.input.clone() }
    }

    /// How the program ended, waiting for it; `None` when the channel closed without a word.
    pub async fn exit(&mut self) -> Option<Exit> {
        tokio::select! {
            biased;
            _ = self.exit.wait_for(Option::is_some) => {}
            () = self.input.gone() => {}
        }
        self.exit.borrow().clone()
    }

    async fn granted(&mut self, what: &'static str) -> Result<(), SshError> {
        match self.answered.recv().await {
            Some(true) => Ok(()),
            Some(false) => Err(SshError::Request { what }),
            None => Err(SshError::Gone),
        }
    }
}

impl Control {
    /// Says that the terminal has a new size.
    ///
    /// # Errors
    /// When the connection is gone.
    pub async fn resize(&self, size: Size) -> Result<(), SshError> {
        let Some(half) = self.output.client_half() else { return Ok(()) };
        half.window_change(size.cols().into(), size.rows().into(), 0, 0)
            .await
            .map_err(|_| SshError::Gone)
    }

    /// Sends a signal, its name without `SIG`.
    ///
    /// # Errors
    /// When the connection is gone.
    pub async fn signal(&self, name: &str) -> Result<(), SshError> {
        let Some(half) = self.output.client_half() else { return Ok(()) };
        half.signal(terms::signal(name)).await.map_err(|_| SshError::Gone)
    }
}

fn pty_mode(code: u8) -> Option<russh::Pty> {
    russh::Pty::from_u8(code).filter(|mode| *mode != russh::Pty::TTY_OP_END)
}

struct Callbacks {
    host: HostCheck,
    doubt: Arc<OnceLock<String>>,
    agent: Option<PathBuf>,
    buffers: Arc<dyn Buffers>,
    arrived: mpsc::Sender<Arrival>,
    tasks: Tasks,
    _closed: DropGuard,
}

impl client::Handler for Callbacks {
    type Error = russh::Error;

    async fn check_server_key(
        &mut self,
        shown: &PublicKeyOrCertificate,
    ) -> Result<bool, Self::Error> {
        let judged = match shown {
            PublicKeyOrCertificate::Certificate(certificate) => (self.host)(certificate),
            PublicKeyOrCertificate::PublicKey { .. } => {
                Err("it shows a bare key and no certificate of the cluster".to_owned())
            }
        };
        if let Err(why) = judged {
            let _ = self.doubt.set(why);
            return Ok(false);
        }
        Ok(true)
    }

    async fn server_channel_open_agent_forward(
        &mut self,
        channel: russh::Channel<client::Msg>,
        reply: client::ChannelOpenHandle,
        _: &mut client::Session,
    ) -> Result<(), Self::Error> {
        let Some(path) = self.agent.clone() else {
            reply.reject(ChannelOpenFailure::AdministrativelyProhibited).await;
            return Ok(());
        };
        let (buffers, tasks) = (Arc::clone(&self.buffers), self.tasks.spawner());
        self.tasks.spawn(async move {
            let Ok(socket) = UnixStream::connect(path).await else {
                reply.reject(ChannelOpenFailure::ConnectFailed).await;
                return;
            };
            reply.accept().await;
            let gone = CancellationToken::new();
            let (pipe, task) = channel::open_client(channel, buffers.as_ref(), (gone, tasks), None);
            tokio::join!(task, pipe.join(socket));
        });
        Ok(())
    }

    async fn server_channel_open_forwarded_tcpip(
        &mut self,
        channel: russh::Channel<client::Msg>,
        address: &str,
        port: u32,
        origin: &str,
        origin_port: u32,
        reply: client::ChannelOpenHandle,
        _: &mut client::Session,
    ) -> Result<(), Self::Error> {
        let Ok(place) = self.arrived.clone().try_reserve_owned() else {
            reply.reject(ChannelOpenFailure::ConnectFailed).await;
            return Ok(());
        };
        reply.accept().await;
        let gone = CancellationToken::new();
        let (pipe, task) = channel::open_client(
            channel,
            self.buffers.as_ref(),
            (gone, self.tasks.spawner()),
            None,
        );
        self.tasks.spawn(task);
        let origin = (origin.to_owned(), origin_port);
        place.send(Arrival { address: address.to_owned(), port, origin, pipe });
        Ok(())
    }

    async fn server_channel_open_session(
        &mut self,
        _: russh::Channel<client::Msg>,
        reply: client::ChannelOpenHandle,
        _: &mut client::Session,
    ) -> Result<(), Self::Error> {
        reply.reject(ChannelOpenFailure::AdministrativelyProhibited).await;
        Ok(())
    }

    async fn server_channel_open_direct_tcpip(
        &mut self,
        _: russh::Channel<client::Msg>,
        _: &str,
        _: u32,
        _: &str,
        _: u32,
        reply: client::ChannelOpenHandle,
        _: &mut client::Session,
    ) -> Result<(), Self::Error> {
        reply.reject(ChannelOpenFailure::AdministrativelyProhibited).await;
        Ok(())
    }

    async fn server_channel_open_forwarded_streamlocal(
        &mut self,
        _: russh::Channel<client::Msg>,
        _: &str,
        reply: client::ChannelOpenHandle,
        _: &mut client::Session,
    ) -> Result<(), Self::Error> {
        reply.reject(ChannelOpenFailure::AdministrativelyProhibited).await;
        Ok(())
    }

    async fn server_channel_open_direct_streamlocal(
        &mut self,
        _: russh::Channel<client::Msg>,
        _: &str,
        reply: client::ChannelOpenHandle,
        _: &mut client::Session,
    ) -> Result<(), Self::Error> {
        reply.reject(ChannelOpenFailure::AdministrativelyProhibited).await;
        Ok(())
    }

    async fn server_channel_open_x11(
        &mut self,
        _: russh::Channel<client::Msg>,
        _: &str,
        _: u32,
        reply: client::ChannelOpenHandle,
        _: &mut client::Session,
    ) -> Result<(), Self::Error> {
        reply.reject(ChannelOpenFailure::AdministrativelyProhibited).await;
        Ok(())
    }
}

//! One channel's two directions, and the task that takes what arrives at once.

use super::buffer::{BufferError, Buffers, Inlet, Outlet};
use super::terms;
use crate::duplex::Duplex;
use crate::tasks::Spawner;
use bytes::{Bytes, BytesMut};
use russh::{ChannelMsg, ChannelReadHalf, ChannelWriteHalf, client, server};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

/// How long the line that says why a channel is closed may wait for the peer's window.
const LAST_LINE: Duration = Duration::from_secs(1);
/// Bytes read at once from what is copied into a channel; one packet.
const PIECE_BYTES: usize = terms::PACKET_BYTES as usize;
/// Bytes handed to the library in one message.
const AT_ONCE: usize = 8 * PIECE_BYTES;

/// The channel or its connection is gone; what was written may not have arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the channel is gone")]
pub struct Gone;

/// Bytes from the peer.
pub struct Input {
    outlet: Box<dyn Outlet>,
}

impl Input {
    pub(super) fn new(outlet: Box<dyn Outlet>) -> Self {
        Self { outlet }
    }

    /// The next bytes, waiting for them; `None` at the end. Nothing is lost if it is cancelled.
    ///
    /// # Errors
    /// When the peer broke off, or the buffer failed; the process behind must then not be told that its input ended well.
    pub async fn pull(&mut self) -> Result<Option<Bytes>, BufferError> {
        self.outlet.pull().await
    }
}

/// Bytes to the peer, and what ends them. Clones write to the same channel.
#[derive(Clone)]
pub struct Output {
    half: Arc<Half>,
    /// The connection's.
    tasks: Spawner,
    gone: CancellationToken,
    /// Cancelled when nothing more is known of how it ended.
    settled: CancellationToken,
    fate: Arc<OnceLock<Fate>>,
}

/// How a channel ended that this side did not close of itself, and whose connection was not lost.
enum Fate {
    /// The peer closed it.
    Left,
    /// It was given up; a line for a person.
    Refused(String),
}

enum Half {
    Server(ChannelWriteHalf<server::Msg>, server::Handle),
    Client(ChannelWriteHalf<client::Msg>),
}

impl Output {
    pub(super) fn server(
        half: ChannelWriteHalf<server::Msg>,
        handle: server::Handle,
        (gone, tasks): (CancellationToken, Spawner),
    ) -> Self {
        Self::new(Half::Server(half, handle), gone, tasks)
    }

    pub(super) fn client(
        half: ChannelWriteHalf<client::Msg>,
        (gone, tasks): (CancellationToken, Spawner),
    ) -> Self {
        Self::new(Half::Client(half), gone, tasks)
    }

    fn new(half: Half, gone: CancellationToken, tasks: Spawner) -> Self {
        let (half, settled, fate) = (Arc::new(half), CancellationToken::new(), Arc::default());
        Self { half, tasks, gone, settled, fate }
    }

    /// Writes `bytes`, waiting for the peer's window.
    ///
    /// # Errors
    /// [`Gone`] when the channel or its connection is.
    pub async fn write(&self, bytes: Bytes) -> Result<(), Gone> {
        self.unless_gone(async {
            for piece in pieces(bytes) {
                match &*self.half {
                    Half::Server(half, _) => half.data_bytes(piece).await?,
                    Half::Client(half) => half.data_bytes(piece).await?,
                }
            }
            Ok(())
        })
        .await
    }

    /// Writes `bytes` as standard error (RFC 4254 §5.2), waiting for the peer's window.
    ///
    /// # Errors
    /// [`Gone`] when the channel or its connection is.
    pub async fn write_error(&self, bytes: Bytes) -> Result<(), Gone> {
        self.unless_gone(async {
            for piece in pieces(bytes) {
                match &*self.half {
                    Half::Server(half, _) => half.extended_data_bytes(1, piece).await?,
                    Half::Client(half) => half.extended_data_bytes(1, piece).await?,
                }
            }
            Ok(())
        })
        .await
    }

    /// Says that nothing more is written.
    ///
    /// # Errors
    /// [`Gone`] when the channel or its connection is.
    pub async fn eof(&self) -> Result<(), Gone> {
        self.unless_gone(async {
            match &*self.half {
                Half::Server(half, _) => half.eof().await,
                Half::Client(half) => half.eof().await,
            }
        })
        .await
    }

    /// Says with which status a program exited (RFC 4254 §6.10). Only a server has something to say here.
    ///
    /// # Errors
    /// [`Gone`] when the channel or its connection is.
    pub async fn exit_status(&self, status: u32) -> Result<(), Gone> {
        self.unless_gone(async {
            match &*self.half {
                Half::Server(half, _) => half.exit_status(status).await,
                Half::Client(_) => Ok(()),
            }
        })
        .await
    }

    /// Says by which signal a program ended, its name without `SIG`. Only a server has something to say here.
    ///
    /// # Errors
    /// [`Gone`] when the channel or its connection is.
    pub async fn exit_signal(&self, name: &str, core: bool, message: &str) -> Result<(), Gone> {
        self.unless_gone(async {
            let Half::Server(half, handle) = &*self.half else { return Ok(()) };
            let (message, language) = (message.to_owned(), "en".to_owned());
            handle
                .exit_signal_request(half.id(), terms::signal(name), core, message, language)
                .await
                .map_err(|()| russh::Error::SendError)
        })
        .await
    }

    /// Closes the channel; nothing is received any more.
    pub async fn close(&self) {
        let _ = self
            .unless_gone(async {
                match &*self.half {
                    Half::Server(half, _) => half.close().await,
                    Half::Client(half) => half.close().await,
                }
            })
            .await;
        self.gone.cancel();
    }

    /// Closes the channel as soon as its connection takes that, for who does not wait for a peer that takes nothing.
    pub fn close_soon(&self) {
        let output = self.clone();
        self.tasks.spawn(async move { output.close().await });
    }

    /// Whether the channel or its connection is gone.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.gone.is_cancelled()
    }

    /// Completes when the channel or its connection is gone.
    pub async fn gone(&self) {
        self.gone.cancelled().await;
    }

    /// Why the channel was closed from this side's end of the connection, if it was: a line for a person.
    #[must_use]
    pub fn fate(&self) -> Option<&str> {
        match self.fate.get() {
            Some(Fate::Refused(why)) => Some(why),
            Some(Fate::Left) | None => None,
        }
    }

    /// Of a channel that is gone: whether the peer closed it, and its connection was not just lost.
    pub async fn was_left(&self) -> bool {
        self.settled.cancelled().await;
        matches!(self.fate.get(), Some(Fate::Left))
    }

    /// As [`Output::close`], and waits at most so long until the peer has closed it, too: it has heard of it then.
    pub async fn leave(&self, patience: Duration) {
        let closing = async {
            let sent = match &*self.half {
                Half::Server(half, _) => half.close().await,
                Half::Client(half) => half.close().await,
            };
            if sent.is_ok() {
                self.gone.cancelled().await;
            }
        };
        let _ = tokio::time::timeout(patience, closing).await;
        self.gone.cancel();
    }

    pub(super) fn client_half(&self) -> Option<&ChannelWriteHalf<client::Msg>> {
        match &*self.half {
            Half::Client(half) => Some(half),
            Half::Server(..) => None,
        }
    }

    /// Closes the channel with a line on standard error; the connection lives.
    async fn refuse(&self, why: String) {
        let line = Bytes::from(format!("scry: {why}\r\n"));
        let _ = self.fate.set(Fate::Refused(why));
        let _ = tokio::time::timeout(LAST_LINE, self.write_error(line)).await;
        let _ = tokio::time::timeout(LAST_LINE, self.close()).await;
        self.gone.cancel();
    }

    async fn unless_gone(
        &self,
        sending: impl Future<Output = Result<(), russh::Error>>,
    ) -> Result<(), Gone> {
        if self.is_gone() {
            return Err(Gone);
        }
        tokio::select! {
            // What is sent at once waits for nobody, and so need not be told when the channel goes.
            biased;
            sent = sending => sent.map_err(|_| Gone),
            () = self.gone.cancelled() => Err(Gone),
        }
    }
}

/// What is handed to the library at once: a peer may have announced packets of any size, and what waits to be sent is counted
/// there by its number.
fn pieces(mut bytes: Bytes) -> impl Iterator<Item = Bytes> {
    let mut first = true;
    std::iter::from_fn(move || {
        let wanted = std::mem::take(&mut first) || !bytes.is_empty();
        wanted.then(|| bytes.split_to(bytes.len().min(AT_ONCE)))
    })
}

impl std::fmt::Debug for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Output").field("gone", &self.is_gone()).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Input {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Input").finish_non_exhaustive()
    }
}

/// A channel that only carries bytes, such as a forward.
#[derive(Debug)]
pub struct Pipe {
    /// From the peer.
    pub input: Input,
    /// To the peer.
    pub output: Output,
}

/// Bytes that a [`Pipe`] has carried so far; clones count the same.
#[derive(Debug, Clone, Default)]
pub struct Carried(Arc<[AtomicU64; 2]>);

impl Carried {
    /// From the peer and to the peer.
    #[must_use]
    pub fn so_far(&self) -> (u64, u64) {
        let [received, sent] = &*self.0;
        (received.load(Ordering::Relaxed), sent.load(Ordering::Relaxed))
    }

    fn received(&self, bytes: usize) {
        let [received, _] = &*self.0;
        received.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    fn sent(&self, bytes: usize) {
        let [_, sent] = &*self.0;
        sent.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

impl Pipe {
    /// Copies between the channel and `stream` until both directions have ended or the channel is gone, then closes it.
    /// Answers the bytes from the peer and to the peer.
    pub async fn join(self, stream: impl Duplex) -> (u64, u64) {
        let carried = Carried::default();
        self.join_counted(stream, &carried).await;
        carried.so_far()
    }

    /// As [`Pipe::join`]; when it is cancelled, `carried` still knows what went through.
    pub async fn join_counted(self, stream: impl Duplex, carried: &Carried) {
        let (mut reading, mut writing) = tokio::io::split(stream);
        let Self { mut input, output } = self;
        let inward = async {
            while let Ok(Some(bytes)) = input.pull().await {
                if writing.write_all(&bytes).await.is_err() {
                    return;
                }
                carried.received(bytes.len());
            }
            let _ = writing.shutdown().await;
        };
        let outward = async {
            let mut room = BytesMut::new();
            loop {
                room.reserve(PIECE_BYTES);
                match reading.read_buf(&mut room).await {
                    Ok(0) | Err(_) => break,
                    Ok(count) => carried.sent(count),
                }
                if output.write(room.split().freeze()).await.is_err() {
                    return;
                }
            }
            let _ = output.eof().await;
        };
        let (mut received, mut sent) = (false, false);
        tokio::pin!(inward, outward);
        while !received || !sent {
            tokio::select! {
                () = &mut inward, if !received => received = true,
                () = &mut outward, if !sent => sent = true,
                () = output.gone(), if received => break,
            }
        }
        output.close().await;
    }
}

/// What a channel's task hands on besides bytes: answers to requests and how the program ended. Clients have them.
pub(super) struct Told {
    /// Whether each request was granted, in the order of the requests.
    pub(super) answers: mpsc::Sender<bool>,
    /// How the program ended.
    pub(super) exit: watch::Sender<Option<Exit>>,
    /// Standard error.
    pub(super) errors: Box<dyn Inlet>,
}

/// How a program at the other end ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exit {
    /// With a status.
    Status(u32),
    /// By a signal.
    Signal {
        /// Name without `SIG`.
        name: String,
        /// Whether a core was dumped.
        core: bool,
        /// What the other side says about it.
        message: String,
    },
}

/// Splits a fresh channel of a server: the pipe, and the work of its task, which ends with the channel.
pub(super) fn open_server(
    channel: russh::Channel<server::Msg>,
    handle: server::Handle,
    buffers: &dyn Buffers,
    (gone, tasks): (CancellationToken, Spawner),
) -> (Pipe, impl Future<Output = ()> + Send + use<>) {
    let (reading, half) = channel.split();
    let (inlet, outlet) = buffers.open();
    let output = Output::server(half, handle, (gone, tasks));
    let task = receive(reading, inlet, output.clone(), None);
    (Pipe { input: Input::new(outlet), output }, task)
}

/// As [`open_server`], of a client.
pub(super) fn open_client(
    channel: russh::Channel<client::Msg>,
    buffers: &dyn Buffers,
    (gone, tasks): (CancellationToken, Spawner),
    told: Option<Told>,
) -> (Pipe, impl Future<Output = ()> + Send + use<>) {
    let (reading, half) = channel.split();
    let (inlet, outlet) = buffers.open();
    let output = Output::client(half, (gone, tasks));
    let task = receive(reading, inlet, output.clone(), told);
    (Pipe { input: Input::new(outlet), output }, task)
}

/// Takes everything that arrives on one channel, so that russh's loop never waits for anything but a full buffer.
async fn receive(
    mut reading: ChannelReadHalf,
    inlet: Box<dyn Inlet>,
    output: Output,
    told: Option<Told>,
) {
    let _settled = output.settled.clone().drop_guard();
    let _ended = output.gone.clone().drop_guard();
    let mut inlet = Some(inlet);
    let (mut errors, mut answers) = match told {
        Some(told) => (Some(told.errors), Some((told.answers, told.exit))),
        None => (None, None),
    };
    let is_client = answers.is_some();
    loop {
        let message = tokio::select! {
            biased;
            () = output.gone() => {
                if has_left(&mut reading).await {
                    let _ = output.fate.set(Fate::Left);
                }
                break;
            }
            message = reading.wait() => message,
        };
        let delivered = match message {
            None => break,
            Some(ChannelMsg::Close) => {
                // An orderly close without an end of file; a lost connection is none.
                let _ = output.fate.set(Fate::Left);
                finish(&mut inlet);
                break;
            }
            Some(ChannelMsg::Data { data }) => deliver(&mut inlet, data, &output).await,
            Some(ChannelMsg::ExtendedData { data, ext: 1 }) => {
                deliver(&mut errors, data, &output).await
            }
            Some(ChannelMsg::Eof) => {
                finish(&mut inlet);
                Ok(())
            }
            Some(other) => {
                if let Some((answers, exit)) = answers.as_mut() {
                    tell(answers, exit, other);
                }
                Ok(())
            }
        };
        if let Err(why) = delivered {
            // What still comes is nobody's, and must not fill the queue that russh's loop would wait for.
            drop(reading);
            // Whoever feeds the process learns that the input did not end well, because nobody finishes it.
            output.refuse(why).await;
            break;
        }
    }
    if is_client {
        // A client's streams end with the channel: everything that was sent before has arrived.
        finish(&mut inlet);
        finish(&mut errors);
    }
}

/// Whether the peer's close is among what has arrived.
async fn has_left(reading: &mut ChannelReadHalf) -> bool {
    for _ in 0..=terms::CHANNEL_MESSAGES {
        match tokio::time::timeout(Duration::ZERO, reading.wait()).await {
            Ok(Some(ChannelMsg::Close)) => return true,
            Ok(Some(_)) => {}
            Ok(None) | Err(_) => return false,
        }
    }
    false
}

fn finish(inlet: &mut Option<Box<dyn Inlet>>) {
    if let Some(end) = inlet.take() {
        end.finish();
    }
}

/// Hands bytes on, or forgets them when nobody wants them; fails with the line to say when the channel is to be closed.
async fn deliver(
    inlet: &mut Option<Box<dyn Inlet>>,
    data: Bytes,
    output: &Output,
) -> Result<(), String> {
    let Some(end) = inlet.as_mut() else { return Ok(()) };
    let pushed = tokio::select! {
        biased;
        pushed = end.push(data) => pushed,
        () = output.gone() => Err(BufferError::Closed),
    };
    match pushed {
        Ok(()) => Ok(()),
        Err(BufferError::Failed(why)) => Err(why),
        Err(BufferError::Closed) => {
            *inlet = None;
            Ok(())
        }
    }
}

fn tell(answers: &mpsc::Sender<bool>, exit: &watch::Sender<Option<Exit>>, message: ChannelMsg) {
    match message {
        // Full only if answers come to requests that were never made.
        ChannelMsg::Success => drop(answers.try_send(true)),
        ChannelMsg::Failure => drop(answers.try_send(false)),
        ChannelMsg::ExitStatus { exit_status } => {
            exit.send_replace(Some(Exit::Status(exit_status)));
        }
        ChannelMsg::ExitSignal { signal_name, core_dumped, error_message, .. } => {
            let name = terms::signal_name(&signal_name).to_owned();
            exit.send_replace(Some(Exit::Signal {
                name,
                core: core_dumped,
                message: error_message,
            }));
        }
        _ => {}
    }
}

//! Carries a terminal between a WebSocket and a session: what is typed, what is shown, and what its company says.
//!
//! Nothing here waits for anything else: what is typed passes while the page is slow, and how far the page has read is heard
//! while the program takes no input.

use super::super::Refused;
use super::super::aboard::Aboard;
use super::line::Line;
use axum::extract::ws::Message;
use bytes::Bytes;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use link::http::Socket;
use link::ssh::client::{Client, Control, RemoteExit, Session};
use link::ssh::{Input, Output};
use model::entry::Ending;
use model::limit::{
    WEB_AHEAD_BYTES, WEB_BEAT_MS, WEB_SILENT_MS, WEB_TYPED_BYTES, WEB_TYPED_PIECES,
};
use model::{SessionId, Size};
use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};
use wire::company::{Ask, Told};
use wire::web::{FromPage, ToPage};
use wire::{Failure, Fault};

/// Messages to the page that were not sent yet. Wait: the company's line is not read.
const TOLD: usize = 64;
/// Things asked of the company that were not passed on yet. Refuse: with a notice.
const ASKED: usize = 64;
/// Bytes of one line of a node. Cut: what is longer is several.
const NOTICE_BYTES: usize = 4 * 1024;
/// How long the company's last word is waited for when the program has ended.
const LAST_WORD: Duration = Duration::from_millis(200);

/// Why a terminal is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
    /// The program ended, or somebody ended it.
    Over(String),
    /// The page hung up.
    Left,
    /// The page is gone, or silent.
    Lost,
    /// The way to the node broke; the session may still run.
    Broken(String),
    /// Nothing was opened. `again`: what is in the way may pass.
    Refused { why: String, again: bool },
}

impl End {
    pub(super) fn refused(refused: Refused) -> Self {
        let Failure { fault, message } = refused.failure;
        Self::Refused { why: message, again: fault == Fault::Unavailable }
    }

    fn malformed(why: String) -> Self {
        Self::Refused { why, again: false }
    }

    pub(super) fn over(why: String) -> Self {
        Self::Over(why)
    }

    pub(super) fn again(why: &str) -> Self {
        Self::Broken(why.to_owned())
    }

    /// Whether nobody will come back to it.
    pub(super) fn is_final(&self) -> bool {
        matches!(self, Self::Over(_) | Self::Left)
    }

    /// For the metrics.
    pub(super) fn outcome(&self) -> &'static str {
        match self {
            Self::Over(_) => "over",
            Self::Left => "left",
            Self::Lost => "lost",
            Self::Broken(_) => "broken",
            Self::Refused { .. } => "refused",
        }
    }

    /// What the page is told at last, if it is there.
    pub(super) fn last(&self) -> Option<ToPage> {
        let (why, again) = match self {
            Self::Over(why) => (why.clone(), false),
            Self::Refused { why, again } => (why.clone(), *again),
            Self::Broken(why) => (why.clone(), true),
            Self::Left => ("you have left".to_owned(), false),
            Self::Lost => return None,
        };
        Some(ToPage::Closed { why, again })
    }
}

/// A terminal under way.
pub(super) struct Relay<'a> {
    aboard: &'a Aboard,
    session: Session,
    size: Size,
}

/// What is known of the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Named {
    /// Nothing yet.
    Waiting,
    /// Its id.
    As(SessionId),
    /// The node does not say it, or the session was over before it could.
    Not,
}

/// What the parts of a relay share.
struct Desk {
    /// Bytes typed that the node has not taken.
    typed: AtomicUsize,
    /// Bytes that the page says it has read.
    read: watch::Sender<u64>,
    size: watch::Sender<Size>,
    /// When the page gave its last sign of life.
    heard: watch::Sender<Instant>,
    /// Why the company says that it is over.
    over: watch::Sender<Option<String>>,
    /// What the node said last, beside the program.
    said: watch::Sender<Option<String>>,
    named: watch::Sender<Named>,
}

impl<'a> Relay<'a> {
    pub(super) fn new(aboard: &'a Aboard, session: Session, size: Size) -> Self {
        Self { aboard, session, size }
    }

    /// Until one end of it ends.
    pub(super) async fn run(self, socket: &mut Socket) -> End {
        let Self { aboard, mut session, size } = self;
        let (Some(out), Some(errors)) = (session.output.take(), session.errors.take()) else {
            return End::again("the session has no output");
        };
        let desk = Desk {
            typed: AtomicUsize::new(0),
            read: watch::Sender::new(0),
            size: watch::Sender::new(size),
            heard: watch::Sender::new(Instant::now()),
            over: watch::Sender::new(None),
            said: watch::Sender::new(None),
            named: watch::Sender::new(aboard.session.map_or(Named::Waiting, Named::As)),
        };
        let (typed, typing) = mpsc::channel(WEB_TYPED_PIECES);
        let (tell, telling) = mpsc::channel(TOLD);
        let (asks, asked) = mpsc::channel(ASKED);
        let (to, from) = socket.split();
        let words = Words { from: Some(errors), held: Vec::new() };
        let shower = Shower { to, out: Some(out), words, sent: 0 };
        let end = tokio::select! {
            end = listen(from, &desk, (typed, asks), &tell) => end,
            shown = shower.show(telling, &desk, |id| opened(aboard, id, size)) => match shown {
                Shown::All => how_it_ended(&mut session, &desk, aboard).await,
                Shown::Lost => End::Lost,
            },
            never = type_all(typing, &session.input, &desk) => match never {},
            never = resize_all(desk.size.subscribe(), session.control()) => match never {},
            never = converse(&aboard.client, &desk, &tell, asked) => match never {},
        };
        if end == End::Left {
            session.input.close().await;
        }
        end
    }
}

fn opened(aboard: &Aboard, session: SessionId, size: Size) -> ToPage {
    ToPage::Opened {
        node: aboard.node.clone(),
        session,
        login: aboard.login.clone(),
        user: aboard.user.clone(),
        seat: aboard.seat,
        cols: size.cols(),
        rows: size.rows(),
    }
}

/// Hears the page until it leaves.
async fn listen(
    mut from: SplitStream<&mut Socket>,
    desk: &Desk,
    (typed, asks): (mpsc::Sender<Bytes>, mpsc::Sender<Ask>),
    tell: &mpsc::Sender<ToPage>,
) -> End {
    while let Some(Ok(message)) = from.next().await {
        desk.heard.send_replace(Instant::now());
        let text = match message {
            Message::Binary(bytes) => {
                let waits = desk.typed.fetch_add(bytes.len(), Ordering::Relaxed);
                if waits > WEB_TYPED_BYTES || typed.try_send(bytes).is_err() {
                    return End::again("more was typed than the session takes");
                }
                continue;
            }
            Message::Text(text) => text,
            Message::Ping(_) | Message::Pong(_) => continue,
            Message::Close(_) => return End::Lost,
        };
        match serde_json::from_str(&text) {
            Ok(FromPage::Resize { cols, rows }) => {
                desk.size.send_replace(Size::clamped(cols.into(), rows.into()));
            }
            Ok(FromPage::Read { bytes }) => {
                desk.read.send_if_modified(|read| {
                    let more = bytes > *read;
                    *read = bytes.max(*read);
                    more
                });
            }
            Ok(FromPage::Ask(ask)) => {
                if asks.try_send(ask).is_err() {
                    let notice = "the session does not answer; what you asked was not passed on";
                    // A page that is told much already loses nothing by this.
                    let _ = tell.try_send(ToPage::Notice(notice.to_owned()));
                }
            }
            Ok(FromPage::Leave {}) => return End::Left,
            Ok(_) => return End::malformed("this terminal is open already".to_owned()),
            Err(error) => return End::malformed(format!("the page speaks otherwise: {error}")),
        }
    }
    End::Lost
}

/// How showing ended.
enum Shown {
    /// Everything was shown.
    All,
    /// Nobody looks any more.
    Lost,
}

/// Shows the page what the program writes and what it is told.
struct Shower<'a> {
    to: SplitSink<&'a mut Socket, Message>,
    out: Option<Input>,
    words: Words,
    /// Bytes of output.
    sent: u64,
}

impl Shower<'_> {
    async fn show(
        mut self,
        mut telling: mpsc::Receiver<ToPage>,
        desk: &Desk,
        opened: impl Fn(SessionId) -> ToPage,
    ) -> Shown {
        let (mut read, mut named) = (desk.read.subscribe(), desk.named.subscribe());
        let every = Duration::from_millis(WEB_BEAT_MS);
        let mut beat = tokio::time::interval_at((Instant::now() + every).into(), every);
        // Whoever closes the sender, the receiver here is the last to go.
        let Ok(name) = named.wait_for(|named| *named != Named::Waiting).await.map(|name| *name)
        else {
            return Shown::Lost;
        };
        if let Named::As(id) = name
            && self.tell(&opened(id)).await.is_none()
        {
            return Shown::Lost;
        }
        while self.out.is_some() || self.words.from.is_some() {
            let ahead = self.sent.saturating_sub(*read.borrow_and_update());
            let room = ahead < WEB_AHEAD_BYTES;
            let sent = tokio::select! {
                biased;
                Some(told) = telling.recv() => self.tell(&told).await,
                piece = pull(&mut self.out), if room && self.out.is_some() => match piece {
                    Some(bytes) => self.output(bytes).await,
                    None => { self.out = None; Some(()) }
                },
                words = self.words.next(), if self.words.from.is_some() => match words {
                    Some(words) => {
                        desk.said.send_replace(Some(words.clone()));
                        self.tell(&ToPage::Notice(words)).await
                    }
                    None => Some(()),
                },
                Ok(()) = read.changed(), if !room => Some(()),
                _ = beat.tick() => {
                    let silent = desk.heard.borrow().elapsed();
                    match silent > Duration::from_millis(WEB_SILENT_MS) {
                        true => None,
                        false => self.send(Message::Ping(Bytes::new())).await,
                    }
                }
            };
            if sent.is_none() {
                return Shown::Lost;
            }
        }
        while let Ok(told) = telling.try_recv() {
            if self.tell(&told).await.is_none() {
                return Shown::Lost;
            }
        }
        Shown::All
    }

    async fn output(&mut self, bytes: Bytes) -> Option<()> {
        self.sent = self.sent.saturating_add(bytes.len() as u64);
        self.send(Message::Binary(bytes)).await
    }

    async fn tell(&mut self, message: &ToPage) -> Option<()> {
        let text = serde_json::to_string(message).ok()?;
        self.send(Message::Text(text.into())).await
    }

    /// `None` when the page is gone, or its connection stands still.
    async fn send(&mut self, message: Message) -> Option<()> {
        let bound = Duration::from_millis(WEB_SILENT_MS);
        tokio::time::timeout(bound, self.to.send(message)).await.ok()?.ok()
    }
}

/// What the node itself says: a program on a terminal has no other stream than the terminal.
struct Words {
    from: Option<Input>,
    held: Vec<u8>,
}

impl Words {
    /// The next line; `None` at the end. Nothing is lost if it is cancelled.
    async fn next(&mut self) -> Option<String> {
        loop {
            let end = self.held.iter().position(|byte| *byte == b'\n');
            let whole = end.map(|end| end + 1).or_else(|| {
                let last = self.from.is_none() && !self.held.is_empty();
                (last || self.held.len() >= NOTICE_BYTES).then_some(self.held.len())
            });
            if let Some(whole) = whole {
                let line: Vec<u8> = self.held.drain(..whole).collect();
                let line = String::from_utf8_lossy(&line);
                let line = line.trim().trim_start_matches("scry: ");
                if line.is_empty() {
                    continue;
                }
                return Some(line.chars().filter(|c| !c.is_control()).collect());
            }
            self.from.as_ref()?;
            match pull(&mut self.from).await {
                Some(bytes) => self.held.extend_from_slice(&bytes),
                None => self.from = None,
            }
        }
    }
}

/// The next piece; `None` at the end, whichever it is.
async fn pull(from: &mut Option<Input>) -> Option<Bytes> {
    from.as_mut()?.pull().await.ok().flatten()
}

/// Passes on what is typed. What ends the session is seen by who shows it.
async fn type_all(mut typing: mpsc::Receiver<Bytes>, input: &Output, desk: &Desk) -> Infallible {
    while let Some(bytes) = typing.recv().await {
        let count = bytes.len();
        if input.write(bytes).await.is_err() {
            break;
        }
        desk.typed.fetch_sub(count, Ordering::Relaxed);
    }
    std::future::pending().await
}

async fn resize_all(mut sized: watch::Receiver<Size>, control: Control) -> Infallible {
    while sized.changed().await.is_ok() {
        let size = *sized.borrow_and_update();
        if control.resize(size).await.is_err() {
            break;
        }
    }
    std::future::pending().await
}

/// Holds the line to the company.
async fn converse(
    client: &Client,
    desk: &Desk,
    tell: &mpsc::Sender<ToPage>,
    mut asked: mpsc::Receiver<Ask>,
) -> Infallible {
    if let Some((mut line, company)) = Line::open(client).await {
        if let Some(id) = company.session {
            desk.named.send_replace(Named::As(id));
        }
        let mut told = Some(Told::Company(company));
        while let Some(next) = told {
            if let Told::Over { why } = &next {
                desk.over.send_replace(Some(why.clone()));
            }
            if tell.send(ToPage::Told(next)).await.is_err() {
                break;
            }
            told = loop {
                tokio::select! {
                    next = line.next() => break next,
                    Some(ask) = asked.recv() => if line.send(&ask).await.is_none() {
                        break None;
                    },
                }
            };
        }
    }
    desk.named.send_if_modified(|named| {
        let alone = *named == Named::Waiting;
        if alone {
            *named = Named::Not;
        }
        alone
    });
    std::future::pending().await
}

/// Everything was shown that came: what the node says of it tells whether the session is over.
async fn how_it_ended(session: &mut Session, desk: &Desk, aboard: &Aboard) -> End {
    let exit = session.exit().await;
    let mut over = desk.over.subscribe();
    let said = tokio::time::timeout(LAST_WORD, over.wait_for(Option::is_some)).await;
    if let Ok(Ok(why)) = said
        && let Some(why) = why.as_ref()
    {
        return End::Over(why.clone());
    }
    let own = desk.said.borrow().clone();
    match exit {
        // The node says in words why it, and not the program, is the one that ended it.
        Some(RemoteExit::Status(127 | 255)) if own.is_some() => End::Over(own.unwrap_or_default()),
        Some(RemoteExit::Status(status)) => End::Over(Ending::Exit { status }.told()),
        Some(RemoteExit::Signal { name, core, .. }) => {
            End::Over(Ending::Signal { name, core }.told())
        }
        None => End::Broken(format!("the connection to {} is lost", aboard.node)),
    }
}

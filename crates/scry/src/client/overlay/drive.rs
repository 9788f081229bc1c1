//! Carries the bytes between the program, the front and the terminal, and holds the line to the node.

use super::super::company::Line;
use super::super::profile::Profile;
use super::super::{reach, recordings, ssh};
use super::back::{Back, Here, come_back};
use super::film::{Booth, Shot, Shots};
use super::front::{Front, Seat, Wish};
use super::menu::Name;
use crate::play::Turn;
use anyhow::{Context as _, Result};
use bytes::Bytes;
use link::ssh::client::{Client, Control, RemoteExit, Session};
use link::ssh::{Input, Output, SshError};
use model::entry::Party;
use model::{NodeName, SessionId, Size, Tick, Time};
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt as _;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinSet};
use wire::company::{Ask, Company, Told};
use wire::live::{ListLive, ListedSession};
use wire::name::COMPANY_SUBSYSTEM;

/// Pieces of output on their way to the terminal, which is busy with them while others are drawn. Wait.
/// When the terminal is painted, here or by the node, there is but one: whoever is slow gets the newest picture.
const SHOWN: usize = 8;
/// Lines of the node that were not looked at. Wait.
const HEARD: usize = 64;
/// How often a line is opened that ends at once, because the node does not know the session yet, or no more; and how much
/// longer it is waited each time: soon at first, because who is lost before the line is there cannot come back.
const TRIES: u32 = 10;
const PAUSE: Duration = Duration::from_millis(10);
/// Pictures of the player that the front has not got yet. Wait: the player shows the newest when there is room.
const SHOTS: usize = 1;
/// How long a node has to give the terminal back to somebody who leaves another's session.
pub const FAREWELL: Duration = Duration::from_secs(2);
/// How long a node has to hear that its session is left.
const LEAVE: Duration = Duration::from_millis(500);
/// Said to who gives up a session that was lost.
const GAVE_UP: &str =
    "the connection was lost, and you gave the session up; it ends within a minute";
/// How long the terminal's last answer is waited for, so that the next program does not get it.
const LAST_ANSWER: Duration = Duration::from_millis(200);

/// Where a session is, and of whom.
pub struct Whose {
    /// The person.
    pub profile: Profile,
    /// The node.
    pub node: NodeName,
    /// Which it is, if it was joined; which one's own is the node has not said.
    pub joined: Option<SessionId>,
}

/// How it ended.
pub struct Parting {
    /// How the program ended, if it was heard.
    pub exit: Option<RemoteExit>,
    /// Why not, of one's own session whose connection was lost.
    pub why: Option<String>,
}

/// Copies between this terminal and a session, one's own or one that was joined, until the program has ended and everything
/// it wrote was shown. To one's own it comes back when the connection is lost.
/// The terminal is in raw mode meanwhile.
pub async fn carry(mut session: Session, client: Arc<Client>, whose: Whose) -> Result<Parting> {
    let _raw = ssh::Raw::enter()?;
    let out = session.output.take().context("a fresh session has its output")?;
    let errors = session.errors.take().context("a fresh session has its errors")?;
    let mut showing = JoinSet::new();
    let (shown, show) = mpsc::channel(SHOWN);
    showing.spawn(show_all(show));
    let (told, heard) = mpsc::channel(HEARD);
    let (names, named) = mpsc::channel(1);
    let (shots, shot) = mpsc::channel(SHOTS);
    let (backs, back) = mpsc::channel(1);
    let mut sources = Sources {
        out: Some(out),
        errors: Some(errors),
        typed: ssh::standard_input(),
        types: true,
        changed: signal(SignalKind::window_change())?,
        hung_up: signal(SignalKind::hangup())?,
        killed: signal(SignalKind::terminate())?,
        heard,
        named,
        shot,
        back,
    };
    let size = ssh::terminal_size();
    let seat = if whose.joined.is_some() { Seat::Viewer } else { Seat::Owner };
    let mut carrier = Carrier {
        front: Front::new(seat, size, Tick(0)),
        began: Instant::now(),
        client,
        session,
        tasks: JoinSet::new(),
        whose,
        shown,
        sent: None,
        told,
        asks: mpsc::channel(1).0,
        names,
        shots,
        backs,
        player: None,
        players: 0,
        sizes: watch::Sender::new(size),
        stands: None,
        is_leaving: false,
        returning: None,
        parting: Parting { exit: None, why: None },
    };
    carrier.attach();
    let copied = carrier.copy(&mut sources).await;
    carrier.finish(&mut sources.typed).await;
    drop(carrier.shown);
    while showing.join_next().await.is_some() {}
    copied?;
    Ok(carrier.parting)
}

/// What the node says, or that there is no line to it.
#[derive(Debug)]
enum Heard {
    Told(Box<Told>),
    Alone,
}

/// Where things come from.
struct Sources {
    /// What the program writes, until its end.
    out: Option<Input>,
    /// What it and the node write beside that.
    errors: Option<Input>,
    typed: mpsc::Receiver<Bytes>,
    /// Whether more may be typed.
    types: bool,
    changed: Signal,
    /// The terminal is gone, or somebody wants this program to end: nobody would come back.
    hung_up: Signal,
    killed: Signal,
    heard: mpsc::Receiver<Heard>,
    named: mpsc::Receiver<Name>,
    shot: mpsc::Receiver<(u64, Shot)>,
    back: mpsc::Receiver<Back>,
}

/// What came.
enum Next {
    /// The terminal takes more, or is gone.
    Show(bool),
    /// The program takes more, or is gone.
    Send(bool),
    Typed(Option<Bytes>),
    Sized,
    Heard(Heard),
    Named(Name),
    Shot((u64, Shot)),
    Back(Back),
    Hung,
    Out(Option<Bytes>),
    Errors(Option<Bytes>),
    Due,
}

struct Carrier {
    front: Front,
    began: Instant,
    client: Arc<Client>,
    session: Session,
    tasks: JoinSet<()>,
    whose: Whose,
    shown: mpsc::Sender<Bytes>,
    /// `None` when nothing more can be typed.
    sent: Option<mpsc::Sender<Bytes>>,
    told: mpsc::Sender<Heard>,
    asks: mpsc::Sender<Ask>,
    names: mpsc::Sender<Name>,
    shots: Shots,
    backs: mpsc::Sender<Back>,
    /// What the player is turned by while it is open.
    player: Option<SyncSender<Turn>>,
    /// Players so far: what comes of any but the last is late.
    players: u64,
    sizes: watch::Sender<Size>,
    /// How things stood last.
    stands: Option<Company>,
    /// It was left: nobody wants to come back to it.
    is_leaving: bool,
    /// What tries to come back.
    returning: Option<AbortHandle>,
    parting: Parting,
}

impl Carrier {
    /// Begins what goes on beside the copying, over the connection that there is now.
    fn attach(&mut self) {
        let (sent, send) = mpsc::channel(1);
        self.sent = Some(sent);
        self.tasks.spawn(send_all(send, self.session.input.clone()));
        self.tasks.spawn(resize_all(self.sizes.subscribe(), self.session.control()));
        let (asks, asked) = mpsc::channel(HEARD);
        self.asks = asks;
        self.tasks.spawn(listen(Arc::clone(&self.client), self.told.clone(), asked));
    }

    /// Copies until the program has written its last.
    async fn copy(&mut self, from: &mut Sources) -> Result<()> {
        while from.out.is_some()
            || from.errors.is_some()
            || self.returning.is_some()
            || self.front.has_shown()
        {
            match self.next(from).await? {
                Next::Show(takes) => {
                    // When the terminal is gone the rest is drained, so that the program can end.
                    if let Some(bytes) = self.front.poll_terminal().filter(|_| takes) {
                        let _ = self.shown.try_send(bytes);
                    }
                }
                Next::Send(takes) => {
                    let bytes = self.front.poll_program().filter(|_| takes);
                    if bytes
                        .zip(self.sent.as_ref())
                        .is_none_or(|(bytes, to)| to.try_send(bytes).is_err())
                    {
                        self.sent = None;
                    }
                }
                Next::Typed(Some(bytes)) => self.front.typed(&bytes, self.now()),
                Next::Typed(None) => (from.types, self.sent) = (false, None),
                Next::Sized => {
                    let size = ssh::terminal_size();
                    self.sizes.send_replace(size);
                    self.turn(Turn::Else);
                    self.front.resized(size, self.now());
                }
                Next::Heard(heard) => self.hear(heard),
                Next::Named(name) => self.front.named(name, self.now()),
                Next::Shot((number, shot)) => self.take(number, shot),
                Next::Out(Some(bytes)) | Next::Errors(Some(bytes)) => {
                    self.front.output(bytes, self.now());
                }
                Next::Out(None) => {
                    from.out = None;
                    self.ended(from).await;
                }
                Next::Errors(None) => {
                    from.errors = None;
                    self.ended(from).await;
                }
                Next::Back(back) => self.is_back(back, from),
                Next::Hung => self.grant(Wish::Leave),
                Next::Due => {}
            }
            self.front.handle_timeout(self.now());
            while let Some(wish) = self.front.poll() {
                self.grant(wish);
            }
        }
        Ok(())
    }

    /// Waits for what comes next. The program waits for the terminal, and the keys wait for the program.
    async fn next(&self, from: &mut Sources) -> Result<Next> {
        let (shows, types) = (self.front.has_shown(), self.front.has_typed());
        let painted = self.front.is_painted() || self.whose.joined.is_some();
        let room = if painted { SHOWN } else { 1 };
        let hears = from.types && (self.sent.is_some() || self.returning.is_some());
        let due = self.front.poll_timeout().map(|due| self.began + Duration::from_millis(due.0));
        Ok(tokio::select! {
            biased;
            takes = takes(Some(&self.shown), room), if shows => Next::Show(takes),
            takes = takes(self.sent.as_ref(), 1), if types => Next::Send(takes),
            Some(()) = from.hung_up.recv() => Next::Hung,
            Some(()) = from.killed.recv() => Next::Hung,
            typed = from.typed.recv(), if !types && hears => Next::Typed(typed),
            Some(()) = from.changed.recv() => Next::Sized,
            Some(heard) = from.heard.recv() => Next::Heard(heard),
            Some(name) = from.named.recv() => Next::Named(name),
            Some(shot) = from.shot.recv(), if !shows => Next::Shot(shot),
            Some(back) = from.back.recv(), if !shows => Next::Back(back),
            () = sleep_until(due) => Next::Due,
            pulled = pull(&mut from.out), if !shows => Next::Out(pulled?),
            pulled = pull(&mut from.errors), if !shows => Next::Errors(pulled?),
        })
    }

    /// The channel may be at its end. If it is so because the connection was lost, a way back is looked for.
    async fn ended(&mut self, from: &Sources) {
        if from.out.is_some() || from.errors.is_some() {
            return;
        }
        self.parting.exit = self.session.exit().await;
        let is_own = self.whose.joined.is_none() && !self.is_leaving;
        let is_lost = is_own && self.parting.exit.is_none();
        // Which it is the node has said, unless it was lost at once.
        let id = self.stands.as_ref().and_then(|company| company.session);
        let Some(id) = id.filter(|_| is_lost) else { return };
        if self.session.input.was_left().await {
            return;
        }
        self.sent = None;
        self.front.lost(self.now());
        let (profile, node) = (self.whose.profile.clone(), self.whose.node.clone());
        let backs = self.backs.clone();
        self.returning = Some(self.tasks.spawn(async move {
            // Whoever has given up does not want to know.
            let _ = backs.send(come_back(&profile, &node, id).await).await;
        }));
    }

    fn is_back(&mut self, back: Back, from: &mut Sources) {
        if self.returning.take().is_none() {
            return;
        }
        match back {
            Back::Here(here) => {
                let Here { client, session, out, errors, first } = *here;
                (self.client, self.session) = (Arc::new(client), session);
                (from.out, from.errors) = (Some(out), Some(errors));
                self.attach();
                if !from.types {
                    self.sent = None;
                }
                // It may have changed on the way.
                self.sizes.send_replace(ssh::terminal_size());
                let now = self.now();
                self.front.back(now);
                self.front.output(first, now);
            }
            Back::Over(why) => self.parting.why = Some(why),
        }
    }

    /// The terminal is the person's again.
    async fn finish(&mut self, typed: &mut mpsc::Receiver<Bytes>) {
        self.front.finish(self.now());
        while let Some(bytes) = self.front.poll_terminal() {
            // A terminal that is gone needs nothing back.
            let _ = self.shown.send(bytes).await;
        }
        let answered = async {
            while self.front.awaits(self.now())
                && let Some(bytes) = typed.recv().await
            {
                self.front.typed(&bytes, self.now());
            }
        };
        let _ = tokio::time::timeout(LAST_ANSWER, answered).await;
    }

    fn hear(&mut self, heard: Heard) {
        let now = self.now();
        match heard {
            Heard::Told(told) => {
                if let Told::Company(company) = &*told {
                    self.stands = Some(company.clone());
                }
                self.front.heard(*told, now);
            }
            Heard::Alone => self.front.alone(now),
        }
    }

    fn grant(&mut self, wish: Wish) {
        match wish {
            // A node that does not take so many would not take this one either.
            Wish::Ask(ask) => drop(self.asks.try_send(ask)),
            Wish::Leave => {
                if let Some(returning) = self.returning.take() {
                    returning.abort();
                    self.parting.why = Some(GAVE_UP.to_owned());
                    return;
                }
                self.is_leaving = true;
                let (input, joined) = (self.session.input.clone(), self.whose.joined.is_some());
                self.tasks.spawn(async move {
                    if joined && input.eof().await.is_ok() {
                        tokio::time::sleep(FAREWELL).await;
                    }
                    // A node that does not hear of it would wait for somebody to come back.
                    input.leave(LEAVE).await;
                });
            }
            Wish::Name => {
                let (names, profile) = (self.names.clone(), self.whose.profile.clone());
                let name = self.name();
                self.tasks.spawn(async move {
                    let name = match name.await {
                        Ok(one) => Name::Known(Box::new(one), profile.cluster.name),
                        Err(error) => Name::Lost(format!("{error:#}")),
                    };
                    // Nobody may want to know any more.
                    let _ = names.send(name).await;
                });
            }
            Wish::Rewind => self.rewind(),
            Wish::Press(key) => self.turn(Turn::Key(key)),
            Wish::Live => self.player = None,
        }
    }

    /// Opens the player on the session's own recording.
    fn rewind(&mut self) {
        self.players += 1;
        let (number, shots) = (self.players, self.shots.clone());
        let (booth, player) = Booth::new(number, self.sizes.subscribe(), shots.clone());
        self.player = Some(player);
        let (profile, joined, name) = (self.whose.profile.clone(), self.whose.joined, self.name());
        self.tasks.spawn(async move {
            let played = async {
                let id = match joined {
                    Some(id) => id,
                    None => name.await?.session.id,
                };
                recordings::rewind(&profile, id, booth).await
            };
            let why = played.await.err().map(|error| format!("cannot rewind: {error:#}"));
            // Nobody may be there any more.
            let _ = shots.send((number, Shot::Over(why))).await;
        });
    }

    /// Takes what the player shows.
    fn take(&mut self, number: u64, shot: Shot) {
        let now = self.now();
        match shot {
            _ if number != self.players || self.player.is_none() => {}
            Shot::Picture(picture) => self.front.filmed(picture, now),
            Shot::Over(why) => {
                self.player = None;
                self.front.live(why, now);
            }
        }
    }

    /// Turns the player, if it is open.
    fn turn(&self, turn: Turn) {
        if let Some(player) = &self.player {
            // One that is so busy that it takes nothing more misses it.
            let _ = player.try_send(turn);
        }
    }

    /// Looks for one's own session on the list.
    fn name(&self) -> impl Future<Output = Result<ListedSession>> + use<> {
        let (profile, node) = (self.whose.profile.clone(), self.whose.node.clone());
        let people = self.stands.iter().flat_map(|company| &company.people);
        let since = people.into_iter().find(|one| one.party == Party::OWNER).map(|one| one.since);
        async move { name(&profile, &node, since).await }
    }

    fn now(&self) -> Tick {
        Tick(u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX))
    }
}

/// Waits until there is room for so many pieces; `false` when nobody takes any.
async fn takes(to: Option<&mpsc::Sender<Bytes>>, room: usize) -> bool {
    match to {
        Some(to) => to.reserve_many(room).await.is_ok(),
        None => false,
    }
}

/// The next bytes of what has not ended. Nothing is lost if it is cancelled.
async fn pull(from: &mut Option<Input>) -> Result<Option<Bytes>> {
    match from {
        Some(from) => Ok(from.pull().await?),
        None => std::future::pending().await,
    }
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}

/// Shows what comes, until the terminal is gone.
async fn show_all(mut show: mpsc::Receiver<Bytes>) {
    let mut terminal = tokio::io::stdout();
    while let Some(bytes) = show.recv().await {
        if terminal.write_all(&bytes).await.is_err() || terminal.flush().await.is_err() {
            return;
        }
    }
}

/// Sends what was typed, until nothing more is.
async fn send_all(mut send: mpsc::Receiver<Bytes>, input: Output) {
    while let Some(bytes) = send.recv().await {
        if input.write(bytes).await.is_err() {
            return;
        }
    }
    let _ = input.eof().await;
}

async fn resize_all(mut sized: watch::Receiver<Size>, control: Control) {
    while sized.changed().await.is_ok() {
        let size = *sized.borrow_and_update();
        if control.resize(size).await.is_err() {
            return;
        }
    }
}

/// Holds the line to those who are in the session. An older node has none, and nobody minds.
async fn listen(client: Arc<Client>, told: mpsc::Sender<Heard>, mut asked: mpsc::Receiver<Ask>) {
    for attempt in 0..TRIES {
        tokio::time::sleep(PAUSE * (attempt * attempt)).await;
        let line = match line(&client).await {
            Ok(Some(line)) => line,
            Ok(None) => continue,
            Err(_) => return,
        };
        let over = hold(line, &told, &mut asked).await;
        if told.send(Heard::Alone).await.is_err() || over {
            return;
        }
    }
}

/// `None` where the node knows of no session yet.
async fn line(client: &Client) -> Result<Option<(Line, Company)>, SshError> {
    let mut channel = client.session().await?;
    channel.subsystem(COMPANY_SUBSYSTEM).await?;
    Ok(Line::open(channel).await.ok())
}

/// Passes on what is told and asked. Answers whether the session is over.
async fn hold(
    (mut line, company): (Line, Company),
    told: &mpsc::Sender<Heard>,
    asked: &mut mpsc::Receiver<Ask>,
) -> bool {
    let mut next = Told::Company(company);
    loop {
        let over = matches!(next, Told::Over { .. });
        if told.send(Heard::Told(Box::new(next))).await.is_err() || over {
            return true;
        }
        next = loop {
            tokio::select! {
                heard = line.next() => match heard {
                    Ok(Some(heard)) => break heard,
                    _ => return false,
                },
                ask = asked.recv() => match ask {
                    Some(ask) if line.send(&ask).await.is_ok() => {}
                    _ => return true,
                },
            }
        };
    }
}

/// Which of their own sessions on the node this is: the one with an owner since then.
async fn name(profile: &Profile, node: &NodeName, since: Option<Time>) -> Result<ListedSession> {
    let sessions = reach::auth(profile).await?.call(&ListLive {}).await?;
    let node = reach::node_name(profile, node.as_str());
    let own = |one: &ListedSession| {
        let owner = one.session.people.first();
        one.node.as_str() == node
            && one.session.user == profile.user
            && owner.is_some_and(|owner| Some(owner.since) == since)
    };
    let found = sessions.into_iter().find(own);
    found.context("it is not on the list of sessions yet")
}

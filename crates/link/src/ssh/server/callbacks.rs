//! russh's callbacks for one connection: quick answers, and values for whoever serves it.

use super::{
    Admission, Asked, Direct, Gate, LISTEN_MS, Listen, Place, PtyWish, REFUSED, Refused, SIGNALS,
    Session, TOLD, Tried, Wish, X11Wish,
};
use crate::ssh::channel::{self, Pipe};
use crate::ssh::terms;
use crate::tasks::Tasks;
use model::{Size, limit};
use russh::keys::ssh_key::{Certificate, HashAlg};
use russh::server::{Auth, ChannelOpenHandle, Handler, Msg, PublicKeyOffer, Session as Wire};
use russh::{Channel, ChannelId, ChannelOpenFailure, MethodKind, MethodSet, Pty, Sig};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

const STARTED: &str =
    "no session waits on this channel: none was opened, or it was started already";
const CHANNELS: &str = "too many channels on one connection";
const BUSY: &str = "too many requests at once on one connection";
const VARIABLE: &str = "this variable may not be set by a client";
const DIRECTION: &str = "only a server opens such a channel";
const AGENT: &str = "auth-agent-req@openssh.com";
const UNGRANTED: &str = "it was not granted";
const LONG: &str = "its name is longer than any that there can be";
/// Bytes of one packet of data, as they were announced.
const MOST_AT_ONCE: usize = terms::PACKET_BYTES as usize;
const UNSTARTED: &str = "it was not granted, and the channel was closed before a session began";

/// Channels of one connection that are open. Shared with the tasks of the channels, which count down.
#[derive(Debug, Clone, Default)]
pub(in crate::ssh) struct Counts {
    sessions: Arc<AtomicUsize>,
    channels: Arc<AtomicUsize>,
}

/// A place among the channels, given back when it is dropped.
#[derive(Debug)]
pub(in crate::ssh) struct Slot {
    places: Vec<Arc<AtomicUsize>>,
}

impl Drop for Slot {
    fn drop(&mut self) {
        for place in &self.places {
            place.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

fn take(count: &Arc<AtomicUsize>, most: usize) -> bool {
    let step = |taken: usize| (taken < most).then_some(taken.saturating_add(1));
    count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, step).is_ok()
}

impl Counts {
    pub(in crate::ssh) fn channel(&self) -> Option<Slot> {
        take(&self.channels, limit::CHANNELS_PER_CONNECTION)
            .then(|| Slot { places: vec![Arc::clone(&self.channels)] })
    }

    fn session(&self, most: usize) -> Option<Slot> {
        let mut slot = self.channel()?;
        take(&self.sessions, most).then(|| {
            slot.places.push(Arc::clone(&self.sessions));
            slot
        })
    }
}

/// What [`super::Server::accept`] learns when somebody has signed in.
pub(super) struct Admitted<T> {
    pub(super) login: String,
    pub(super) version: String,
    pub(super) admission: Admission<T>,
    pub(super) counts: Counts,
}

/// What russh calls. Everything is decided from what stands here, without waiting.
pub(super) struct Callbacks<T> {
    gate: Gate<T>,
    tries: watch::Sender<Tried>,
    /// The last accepted attempt, until russh says that it counts.
    accepted: Option<(String, Admission<T>)>,
    admit: Option<oneshot::Sender<Admitted<T>>>,
    rules: Option<Rules>,
    asked: mpsc::Sender<Asked>,
    /// Refused requests that were told.
    told: u32,
    /// Those that were not.
    untold: Arc<AtomicU64>,
    tasks: Tasks,
    closed: CancellationToken,
    counts: Counts,
    channels: BTreeMap<ChannelId, Line>,
}

/// The ends by which the callbacks speak to whoever serves the connection.
pub(super) struct Wires<T> {
    pub(super) tries: watch::Sender<Tried>,
    pub(super) admit: oneshot::Sender<Admitted<T>>,
    pub(super) asked: mpsc::Sender<Asked>,
    pub(super) untold: Arc<AtomicU64>,
}

/// The part of an admission that the callbacks need.
struct Rules {
    buffers: Arc<dyn crate::ssh::buffer::Buffers>,
    agent: bool,
    x11: bool,
    sessions: usize,
    variable: fn(&str) -> bool,
    subsystems: &'static [&'static str],
}

/// One session channel.
struct Line {
    /// Until it is started.
    waiting: Option<Waiting>,
    sizes: watch::Sender<Size>,
    signals: mpsc::Sender<String>,
    gone: CancellationToken,
}

/// A session channel on which nothing was started yet.
struct Waiting {
    pty: Option<PtyWish>,
    environment: Vec<(String, String)>,
    agent: bool,
    x11: Option<X11Wish>,
    refused: Vec<String>,
    pipe: Pipe,
    slot: Slot,
    sizes: watch::Receiver<Size>,
    signals: mpsc::Receiver<String>,
}

impl<T: Send + 'static> Callbacks<T> {
    pub(super) fn new(
        gate: Gate<T>,
        Wires { tries, admit, asked, untold }: Wires<T>,
        tasks: Tasks,
        closed: CancellationToken,
    ) -> Self {
        Self {
            gate,
            tries,
            accepted: None,
            admit: Some(admit),
            rules: None,
            asked,
            told: 0,
            untold,
            tasks,
            closed,
            counts: Counts::default(),
            channels: BTreeMap::new(),
        }
    }

    fn open_session(&mut self, channel: Channel<Msg>, wire: &Wire) -> bool {
        self.channels.retain(|_, line| !line.gone.is_cancelled());
        let Some(rules) = &self.rules else { return false };
        let Some(slot) = self.counts.session(rules.sessions) else { return false };
        let id = channel.id();
        let gone = self.closed.child_token();
        let (pipe, task) = channel::open_server(
            channel,
            wire.handle(),
            rules.buffers.as_ref(),
            (gone.clone(), self.tasks.spawner()),
        );
        self.tasks.spawn(task);
        let (size_in, size_out) = watch::channel(Size::default());
        let (signal_in, signal_out) = mpsc::channel(SIGNALS);
        let waiting = Waiting {
            pty: None,
            environment: Vec::new(),
            agent: false,
            x11: None,
            refused: Vec::new(),
            pipe,
            slot,
            sizes: size_out,
            signals: signal_out,
        };
        let line = Line { waiting: Some(waiting), sizes: size_in, signals: signal_in, gone };
        self.channels.insert(id, line);
        true
    }

    fn admit_guest(&mut self, user: &str, answer: &str) -> Auth {
        let admission = (self.gate.guests.admit)(user, answer);
        self.accepted = admission.map(|admission| (user.to_owned(), admission));
        if self.accepted.is_some() {
            return Auth::Accept;
        }
        self.tried("nothing but a code", user);
        Auth::reject()
    }

    fn tried(&self, what: &str, login: &str) {
        self.tries.send_modify(|tried| tried.offered(what, login));
    }

    /// Tells that something was refused. Answers `false`, for the client.
    fn refuse(&mut self, what: impl Into<String>, why: &'static str) -> bool {
        let what = what.into().chars().take(limit::ENVIRONMENT_BYTES).collect();
        let room = self.told < TOLD;
        if room && self.asked.try_send(Asked::Refused(Refused { what, why })).is_ok() {
            self.told = self.told.saturating_add(1);
        } else {
            self.untold.fetch_add(1, Ordering::Relaxed);
        }
        false
    }

    fn waiting(&mut self, id: ChannelId) -> Option<&mut Waiting> {
        self.channels.get_mut(&id)?.waiting.as_mut()
    }

    /// Hands a session over; a second start on one channel is refused (RFC 4254 §6.5).
    fn start(&mut self, id: ChannelId, wish: Wish) -> bool {
        let Some(waiting) = self.channels.get_mut(&id).and_then(|line| line.waiting.take()) else {
            let what = match wish {
                Wish::Shell => "shell".to_owned(),
                Wish::Exec(command) => format!("exec {}", String::from_utf8_lossy(&command)),
                Wish::Subsystem(name) => format!("subsystem {name}"),
            };
            return self.refuse(what, STARTED);
        };
        let session = Session {
            pty: waiting.pty,
            environment: waiting.environment,
            agent: waiting.agent,
            x11: waiting.x11,
            refused: waiting.refused,
            wish,
            input: waiting.pipe.input,
            output: waiting.pipe.output,
            sizes: waiting.sizes,
            signals: waiting.signals,
            _slot: waiting.slot,
        };
        self.asked.try_send(Asked::Session(session)).is_ok() || self.refuse("a session", BUSY)
    }

    fn variable(&mut self, id: ChannelId, name: &str, value: &str) -> bool {
        let allowed = self.rules.as_ref().is_some_and(|rules| (rules.variable)(name));
        let fits = name.len().saturating_add(value.len()) <= limit::ENVIRONMENT_BYTES;
        let granted = self.waiting(id).is_some_and(|waiting| {
            let room = waiting.environment.len() < limit::ENVIRONMENT_VARIABLES;
            let granted = allowed && fits && room;
            if granted {
                waiting.environment.push((name.to_owned(), value.to_owned()));
            }
            granted
        });
        granted || self.refuse_of(id, format!("env {name}"), VARIABLE)
    }

    /// Refuses what a session asked for: told at its beginning, or at once where none waits or it can hold no more.
    fn refuse_of(&mut self, id: ChannelId, what: String, why: &'static str) -> bool {
        let Some(waiting) = self.waiting(id) else { return self.refuse(what, STARTED) };
        if waiting.refuse(what.clone()) { false } else { self.refuse(what, why) }
    }

    /// Has a connection opened by whoever serves this one.
    async fn direct(
        &mut self,
        channel: Channel<Msg>,
        to: Place,
        origin: Option<(String, u32)>,
        reply: ChannelOpenHandle,
        wire: &mut Wire,
    ) {
        let Some(rules) = &self.rules else { return };
        if to.is_long() || origin.as_ref().is_some_and(|(host, _)| host.len() > limit::PLACE_BYTES)
        {
            self.refuse(format!("a channel to {to}"), LONG);
            return reply.reject(ChannelOpenFailure::ConnectFailed).await;
        }
        let Some(slot) = self.counts.channel() else {
            self.refuse(format!("a channel to {to}"), CHANNELS);
            return reply.reject(ChannelOpenFailure::ResourceShortage).await;
        };
        let direct = Direct {
            to,
            origin,
            channel,
            reply,
            tasks: self.tasks.clone(),
            closed: self.closed.clone(),
            handle: wire.handle(),
            buffers: Arc::clone(&rules.buffers),
            slot,
        };
        // Refused when nobody takes it: dropping it tells the client so.
        if let Err(dropped) = self.asked.try_send(Asked::Direct(direct)) {
            drop(dropped);
            self.refuse("a channel to somewhere", BUSY);
        }
    }

    /// Has a socket listened on; says on which port.
    async fn listen(&mut self, at: Place) -> Option<u32> {
        let (reply, replied) = oneshot::channel();
        let what = format!("to listen at {at}");
        if at.is_long() {
            self.refuse(what, LONG);
            return None;
        }
        if self.asked.try_send(Asked::Listen(Listen { at, reply })).is_err() {
            self.refuse(what, BUSY);
            return None;
        }
        let bound = Duration::from_millis(LISTEN_MS);
        tokio::time::timeout(bound, replied).await.ok()?.ok()?
    }
}

impl Waiting {
    /// Remembers it for the session's beginning; `false` when there is no more room for it.
    fn refuse(&mut self, what: String) -> bool {
        let room = self.refused.len() < REFUSED && what.len() <= limit::ENVIRONMENT_BYTES;
        if room {
            self.refused.push(what);
        }
        room
    }
}

/// What a guest may try next.
fn only_by_keyboard() -> Auth {
    let methods = MethodSet::from(&[MethodKind::KeyboardInteractive][..]);
    Auth::Reject { proceed_with_methods: Some(methods), partial_success: false }
}

/// Ends the connection of who sends more at once than was agreed.
fn agreed(data: &[u8]) -> Result<(), russh::Error> {
    match data.len() {
        0..=MOST_AT_ONCE => Ok(()),
        long => Err(russh::Error::PacketSize(long)),
    }
}

fn answer(wire: &mut Wire, id: ChannelId, granted: bool) -> Result<(), russh::Error> {
    if granted { wire.channel_success(id) } else { wire.channel_failure(id) }
}

impl<T: Send + 'static> Handler for Callbacks<T> {
    type Error = russh::Error;

    async fn auth_none(&mut self, user: &str) -> Result<Auth, Self::Error> {
        let guests = &self.gate.guests;
        match guests.asks {
            _ if !(guests.is_one)(user) => {
                self.tried("nothing", user);
                Ok(Auth::reject())
            }
            None => Ok(self.admit_guest(user, "")),
            Some(_) => Ok(only_by_keyboard()),
        }
    }

    async fn auth_password(&mut self, user: &str, _: &str) -> Result<Auth, Self::Error> {
        self.tried("a password", user);
        Ok(Auth::reject())
    }

    async fn auth_keyboard_interactive<'a>(
        &'a mut self,
        user: &str,
        _: &str,
        response: Option<russh::server::Response<'a>>,
    ) -> Result<Auth, Self::Error> {
        if !(self.gate.guests.is_one)(user) {
            self.tried("answers at a keyboard", user);
            return Ok(Auth::reject());
        }
        Ok(match (self.gate.guests.asks, response) {
            (None, _) => self.admit_guest(user, ""),
            (Some(asks), None) => {
                let prompts = vec![(Cow::Borrowed(asks), true)].into();
                Auth::Partial { name: "".into(), instructions: "".into(), prompts }
            }
            (Some(_), Some(mut answers)) => {
                let answer = answers.next().unwrap_or_default();
                self.admit_guest(user, &String::from_utf8_lossy(&answer))
            }
        })
    }

    /// Every key may go on to sign: whether it counts is decided when it has. It may be a certificate's.
    async fn auth_publickey_offered(
        &mut self,
        user: &str,
        offer: PublicKeyOffer<'_>,
    ) -> Result<Auth, Self::Error> {
        if (self.gate.guests.is_one)(user) {
            return Ok(only_by_keyboard());
        }
        let key = offer.public_key.fingerprint(HashAlg::Sha256);
        self.tried(&format!("the key {key}"), user);
        Ok(Auth::Accept)
    }

    async fn auth_openssh_certificate(
        &mut self,
        user: &str,
        certificate: &Certificate,
    ) -> Result<Auth, Self::Error> {
        self.accepted = (self.gate.certificate)(user, certificate)
            .map(|admission| (user.to_owned(), admission));
        if self.accepted.is_none() {
            self.tried("a certificate", user);
            self.tries.send_modify(|tried| {
                tried.certificates = tried.certificates.saturating_add(1);
            });
        }
        Ok(if self.accepted.is_some() { Auth::Accept } else { Auth::reject() })
    }

    async fn auth_succeeded(&mut self, wire: &mut Wire) -> Result<(), Self::Error> {
        let Some((login, admission)) = self.accepted.take() else {
            return Err(russh::Error::NotAuthenticated);
        };
        self.rules = Some(Rules {
            buffers: Arc::clone(&admission.buffers),
            agent: admission.agent,
            x11: admission.x11,
            sessions: admission.sessions,
            variable: admission.variable,
            subsystems: admission.subsystems,
        });
        let version = String::from_utf8_lossy(wire.remote_sshid()).trim_end().to_owned();
        let counts = self.counts.clone();
        let admitted = Admitted { login, version, admission, counts };
        let heard = self.admit.take().is_some_and(|admit| admit.send(admitted).is_ok());
        if heard { Ok(()) } else { Err(russh::Error::Disconnect) }
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        wire: &mut Wire,
    ) -> Result<(), Self::Error> {
        let allowed = self.rules.as_ref().is_some_and(|rules| rules.sessions > 0);
        if self.open_session(channel, wire) {
            reply.accept().await;
        } else if allowed {
            self.refuse("a session channel", CHANNELS);
            reply.reject(ChannelOpenFailure::ResourceShortage).await;
        } else {
            self.refuse("a session channel", "no sessions are opened here");
            reply.reject(ChannelOpenFailure::AdministrativelyProhibited).await;
        }
        Ok(())
    }

    async fn channel_open_x11(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: u32,
        reply: ChannelOpenHandle,
        _: &mut Wire,
    ) -> Result<(), Self::Error> {
        self.refuse("an x11 channel", DIRECTION);
        reply.reject(ChannelOpenFailure::AdministrativelyProhibited).await;
        Ok(())
    }

    async fn channel_open_forwarded_tcpip(
        &mut self,
        _: Channel<Msg>,
        host: &str,
        port: u32,
        _: &str,
        _: u32,
        reply: ChannelOpenHandle,
        _: &mut Wire,
    ) -> Result<(), Self::Error> {
        self.refuse(format!("a forwarded-tcpip channel of {host}:{port}"), DIRECTION);
        reply.reject(ChannelOpenFailure::AdministrativelyProhibited).await;
        Ok(())
    }

    async fn channel_open_direct_tcpip(
        &mut self,
        channel: Channel<Msg>,
        host: &str,
        port: u32,
        origin: &str,
        origin_port: u32,
        reply: ChannelOpenHandle,
        wire: &mut Wire,
    ) -> Result<(), Self::Error> {
        let to = Place::Port { host: host.to_owned(), port };
        self.direct(channel, to, Some((origin.to_owned(), origin_port)), reply, wire).await;
        Ok(())
    }

    async fn channel_open_direct_streamlocal(
        &mut self,
        channel: Channel<Msg>,
        path: &str,
        reply: ChannelOpenHandle,
        wire: &mut Wire,
    ) -> Result<(), Self::Error> {
        self.direct(channel, Place::Socket { path: path.to_owned() }, None, reply, wire).await;
        Ok(())
    }

    /// The library takes longer packets than were announced (RFC 4254 §5.2), and counts those that wait by their number.
    async fn data(&mut self, _: ChannelId, data: &[u8], _: &mut Wire) -> Result<(), Self::Error> {
        agreed(data)
    }

    async fn extended_data(
        &mut self,
        _: ChannelId,
        _: u32,
        data: &[u8],
        _: &mut Wire,
    ) -> Result<(), Self::Error> {
        agreed(data)
    }

    async fn channel_close(&mut self, id: ChannelId, _: &mut Wire) -> Result<(), Self::Error> {
        // What a session would have told at its beginning, had it begun.
        let never = self.channels.remove(&id).and_then(|line| line.waiting);
        for what in never.into_iter().flat_map(|waiting| waiting.refused) {
            self.refuse(what, UNSTARTED);
        }
        Ok(())
    }

    async fn pty_request(
        &mut self,
        id: ChannelId,
        term: &str,
        columns: u32,
        rows: u32,
        _: u32,
        _: u32,
        modes: &[(Pty, u32)],
        wire: &mut Wire,
    ) -> Result<(), Self::Error> {
        let size = Size::clamped(columns, rows);
        let line = self.channels.get_mut(&id);
        let granted = line.is_some_and(|line| {
            let Some(waiting) = line
                .waiting
                .as_mut()
                .filter(|waiting| waiting.pty.is_none() && term.len() <= limit::TERM_BYTES)
            else {
                return false;
            };
            let modes = modes.iter().map(|(code, value)| (*code as u8, *value)).collect();
            waiting.pty = Some(PtyWish { term: term.to_owned(), size, modes });
            line.sizes.send_replace(size);
            waiting.sizes.mark_unchanged();
            true
        });
        if !granted {
            let why =
                "a terminal is asked for once, before the session begins, and has a short name";
            self.refuse("pty-req", why);
        }
        answer(wire, id, granted)
    }

    async fn x11_request(
        &mut self,
        id: ChannelId,
        single: bool,
        protocol: &str,
        cookie: &str,
        screen: u32,
        wire: &mut Wire,
    ) -> Result<(), Self::Error> {
        let allowed = self.rules.as_ref().is_some_and(|rules| rules.x11);
        let granted = self.waiting(id).is_some_and(|waiting| {
            let granted = allowed && waiting.x11.is_none();
            if granted {
                let (protocol, cookie) = (protocol.to_owned(), cookie.to_owned());
                waiting.x11 = Some(X11Wish { single, protocol, cookie, screen });
            }
            granted
        });
        let granted = granted || self.refuse_of(id, "x11-req".to_owned(), UNGRANTED);
        answer(wire, id, granted)
    }

    async fn env_request(
        &mut self,
        id: ChannelId,
        name: &str,
        value: &str,
        wire: &mut Wire,
    ) -> Result<(), Self::Error> {
        let granted = self.variable(id, name, value);
        answer(wire, id, granted)
    }

    async fn shell_request(&mut self, id: ChannelId, wire: &mut Wire) -> Result<(), Self::Error> {
        let granted = self.start(id, Wish::Shell);
        answer(wire, id, granted)
    }

    async fn exec_request(
        &mut self,
        id: ChannelId,
        command: &[u8],
        wire: &mut Wire,
    ) -> Result<(), Self::Error> {
        let granted = self.start(id, Wish::Exec(command.to_vec()));
        answer(wire, id, granted)
    }

    async fn subsystem_request(
        &mut self,
        id: ChannelId,
        name: &str,
        wire: &mut Wire,
    ) -> Result<(), Self::Error> {
        let known = self.rules.as_ref().is_some_and(|rules| rules.subsystems.contains(&name));
        let granted = match known {
            true => self.start(id, Wish::Subsystem(name.to_owned())),
            false => self.refuse(format!("subsystem {name}"), "there is no such subsystem"),
        };
        answer(wire, id, granted)
    }

    async fn window_change_request(
        &mut self,
        id: ChannelId,
        columns: u32,
        rows: u32,
        _: u32,
        _: u32,
        wire: &mut Wire,
    ) -> Result<(), Self::Error> {
        let size = Size::clamped(columns, rows);
        let line = self.channels.get_mut(&id);
        let granted = line.is_some_and(|line| {
            line.sizes.send_replace(size);
            true
        });
        answer(wire, id, granted)
    }

    async fn agent_request(&mut self, id: ChannelId, _: &mut Wire) -> Result<bool, Self::Error> {
        let allowed = self.rules.as_ref().is_some_and(|rules| rules.agent);
        let granted = self.waiting(id).is_some_and(|waiting| {
            waiting.agent = allowed;
            allowed
        });
        Ok(granted || self.refuse_of(id, AGENT.to_owned(), UNGRANTED))
    }

    async fn signal(
        &mut self,
        id: ChannelId,
        signal: Sig,
        wire: &mut Wire,
    ) -> Result<(), Self::Error> {
        let name = terms::signal_name(&signal).to_owned();
        let line = self.channels.get(&id);
        let granted = line.is_some_and(|line| line.signals.try_send(name).is_ok());
        answer(wire, id, granted)
    }

    async fn tcpip_forward(
        &mut self,
        address: &str,
        port: &mut u32,
        _: &mut Wire,
    ) -> Result<bool, Self::Error> {
        let Some(granted) =
            self.listen(Place::Port { host: address.to_owned(), port: *port }).await
        else {
            return Ok(false);
        };
        *port = granted;
        Ok(true)
    }

    async fn cancel_tcpip_forward(
        &mut self,
        address: &str,
        port: u32,
        _: &mut Wire,
    ) -> Result<bool, Self::Error> {
        let at = Place::Port { host: address.to_owned(), port };
        Ok(self.asked.try_send(Asked::Unlisten(at)).is_ok())
    }

    async fn streamlocal_forward(&mut self, path: &str, _: &mut Wire) -> Result<bool, Self::Error> {
        Ok(self.listen(Place::Socket { path: path.to_owned() }).await.is_some())
    }

    async fn cancel_streamlocal_forward(
        &mut self,
        path: &str,
        _: &mut Wire,
    ) -> Result<bool, Self::Error> {
        let at = Place::Socket { path: path.to_owned() };
        Ok(self.asked.try_send(Asked::Unlisten(at)).is_ok())
    }
}

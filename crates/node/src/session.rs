//! One session: reads the program, has it recorded, and shows it to its owner, in this order. Its state lives in one loop.

mod asked;
mod finish;
mod others;
mod outgoing;
mod owner;
mod painted;
mod sight;
mod streams;
mod turn;
mod wait;
mod wants;

use crate::aftermath::{Leaving, Note};
use crate::alarm::Alarm;
use crate::clock;
use crate::company::{Table, Typed, Visit, heard};
use crate::connection::{Caller, Outlives, kind};
use crate::eyes::{Sight, Wants as Eyes, seen};
use crate::files::Files;
use crate::forward::Display;
use crate::pipes::Pipes;
use crate::recorder::{Recorder, audited, line};
use crate::serve::Post;
use crate::stage::Stage;
use crate::verdict::{Ear, Verdict};
use bytes::Bytes;
use finish::{Finish, Watch};
use host::{Child, Exit, Plan, PtyPlan, Rest, SpawnError, What};
use link::ssh::Output;
use link::ssh::server::{PtyWish, Session, Wish};
use model::audit::Audited;
use model::entry::{Ending, Entry, Party, People};
use model::limit::{DRAIN_MS, ENTRY_BYTES, VISITS};
use model::role::{RecordingPolicy, SeatRole};
use model::{Heading, Kind, Seq, SessionId, Size, Stream, Tick};
use outgoing::{Writing, written};
use owner::{Client, Picture};
use painted::Painted;
use policy::LoginPermit;
use session::{Company, Hub, Terms};
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use streams::{Heard, Streams};
use tokio::task::JoinSet;
use turn::Event;
use wants::Wants;
use wire::company::Told;

pub(crate) use finish::ended_words;
pub(crate) use wants::plain;

/// Typing is recorded in bursts of at most this length, in milliseconds.
const BURST_MS: u64 = 100;
/// Exit status of a session whose program could not be started.
const NOT_STARTED: u32 = 127;
/// Milliseconds between the hang-up and the kill of a session that is ended.
const END_MS: u64 = 250;
/// How long a client may take for what is left of the output.
const PATIENCE: Duration = Duration::from_secs(30);
/// As [`PATIENCE`], of a session that is ended by rule.
const LAST_WORDS: Duration = Duration::from_millis(250);

/// What the connection brings to a session.
pub(crate) struct Opened {
    pub caller: Caller,
    pub permit: LoginPermit,
    /// Socket of the client's agent.
    pub agent: Option<PathBuf>,
    /// The client's display.
    pub display: Option<Display>,
    /// The connection is gone or must end.
    pub end: Ear,
    /// Tells the connection that the session outlives it.
    pub outlives: Outlives,
}

/// Closes a session that may not be, with a line.
pub(crate) async fn refuse(output: &Output, why: &str) {
    let words = async {
        let _ = output.write_error(Bytes::from(format!("scry: {why}\r\n"))).await;
        let _ = output.exit_status(NOT_STARTED).await;
        output.close().await;
    };
    last_words(output, PATIENCE, words).await;
}

/// Says what a session says at last. What is not taken by then holds nobody up: its channel is closed as soon as it can be.
async fn last_words(output: &Output, patience: Duration, words: impl Future<Output = ()>) {
    if tokio::time::timeout(patience, words).await.is_err() {
        output.close_soon();
    }
}

/// Runs a session to its end.
pub(crate) async fn run(post: &Post, opened: Opened, mut session: Session) {
    let id = SessionId::from_random(rand::random());
    let began = clock::tick();
    let Opened { caller, permit, agent, display, end, outlives } = opened;
    let client = Client::of(&mut session);
    let what = kind(&session.wish);
    let policy = permit.terms().record;
    let terminal = session.pty.clone();
    if let Some((denied, words)) = asked::refused(&session, &permit) {
        caller.tell_in(id, denied);
        return refuse(&session.output, words).await;
    }
    let _place = match post.running.take(caller.identity.user().clone()) {
        Ok(place) => place,
        Err(full) => {
            let (denied, words) = asked::no_place(full);
            caller.tell_in(id, denied);
            return refuse(&session.output, &words).await;
        }
    };
    let sight = match Sight::open(post, &permit, id).await {
        Ok(sight) => sight,
        Err(why) => {
            caller.tell_in(id, Audited::KernelBlind { why: why.clone() });
            let why = format!(
                "your role wants the kernel to see what runs in this session, and it does not: {why}"
            );
            return refuse(&session.output, &why).await;
        }
    };
    let (recorder, heading) =
        match begin(post, id, &caller, &permit, (terminal, asked::services(&session)), &what).await
        {
            Ok(begun) => begun.unzip(),
            Err(why) => {
                caller.tell_in(id, Audited::RecordingFailed { why: why.clone() });
                refuse(
                    &session.output,
                    &format!("this session cannot be recorded, so it is not opened: {why}"),
                )
                .await;
                return;
            }
        };
    let size = session.pty.as_ref().map(|pty| pty.size.to_string());
    let recording = match policy {
        RecordingPolicy::Off => "off",
        RecordingPolicy::Spool => "spool",
        RecordingPolicy::Strict => "strict",
    };
    caller.tell_in(
        id,
        Audited::SessionStarted {
            kind: what.word().to_owned(),
            size,
            recording: recording.to_owned(),
        },
    );
    if let Kind::Exec { command } = &what {
        caller.tell_in(id, Audited::Exec { command: asked::told(command) });
    }
    let x11 = display.as_ref().map(|display| display.plan.clone());
    let watch = sight.as_ref().and_then(Sight::place);
    let plan = Plan { x11, watch, ..plan(id, &session, agent, &caller) };
    let output = session.output.clone();
    let files = Files::new(caller.clone(), id);
    let wants = Wants::new(id, &permit, post.latest.clone());
    let mut live = Live::new((id, recorder, files, wants), &permit, &caller, &session);
    let returns = client.returns && live.pty;
    (live.returns, live.comes_back, live.fits) = (returns, returns, client.fits);
    live.outlives = Some(outlives);
    live.look(sight);
    live.enter(post, id, &caller, &permit, &what);
    let mut watch = Watch::new(post, &caller, id, end);
    let waited = live.wait(&mut session, &mut watch).await;
    let mut spawning = std::pin::pin!(host::spawn(&post.host, &permit, plan));
    let spawned = match waited {
        Err(_) => None,
        Ok(()) => tokio::select! {
            spawned = &mut spawning => Some(spawned),
            () = output.gone() => None,
            verdict = watch.verdict() => match verdict {
                // What is being started must be there to be ended with all that it begins.
                Verdict::Rule { .. } => Some(spawning.await),
                Verdict::Gone | Verdict::Stopping => None,
            },
        },
    };
    let mut note = None;
    let (Closed { ending, failed, left }, (output, input)) = match spawned {
        Some(Ok(child)) => {
            post.say_pam(child.pam);
            if let (Some(heading), Some(_)) = (heading, live.sight.as_ref().and_then(Sight::place))
            {
                let marks = child.signals.rest().marks();
                let noted = note.insert(Note::new(heading, policy, Eyes::of(&permit), marks));
                noted.write(&post.watched);
            }
            live.run(child, session, watch).await
        }
        Some(Err(error)) => {
            let why = model::words(&error);
            if matches!(error, SpawnError::Refused { .. }) {
                caller.tell_in(id, Audited::AccountRefused { why: why.clone() });
            }
            refuse(&session.output, &why).await;
            (live.close(Ending::NotStarted { why }, None).await, (0, 0))
        }
        None => (live.close(waited.err().unwrap_or(Ending::Disconnected), None).await, (0, 0)),
    };
    match (left, note) {
        (Some((sight, rest)), Some(note)) => post.leave(Leaving { note, rest, sight }).await,
        (_, Some(_)) => post.watched.forget(id),
        (_, None) => {}
    }
    if let Some(why) = failed {
        caller.tell_in(id, Audited::RecordingFailed { why });
    }
    let (status, why) = match &ending {
        Ending::Exit { status } => (Some(*status), None),
        Ending::Signal { name, .. } => (None, Some(format!("signal {name}"))),
        Ending::Disconnected => (None, Some("disconnected".to_owned())),
        Ending::Stopped { why } | Ending::NotStarted { why } => (None, Some(why.clone())),
        Ending::Crashed => (None, Some("crashed".to_owned())),
        // Of a session it is never said.
        Ending::NobodyLeft => (None, None),
    };
    let ms = clock::tick().since(began);
    caller.tell_in(id, Audited::SessionEnded { status, why, ms, output, input });
}

async fn begin(
    post: &Post,
    id: SessionId,
    caller: &Caller,
    permit: &LoginPermit,
    (terminal, services): (Option<PtyWish>, Vec<Entry>),
    what: &Kind,
) -> Result<Option<(Recorder, Heading)>, String> {
    if permit.terms().record == RecordingPolicy::Off {
        return Ok(None);
    }
    let heading = Heading {
        size: terminal.as_ref().map(|pty| pty.size),
        term: terminal.map(|pty| pty.term),
        ..caller.heading(post, permit, id, what.clone())
    };
    let begun = Recorder::begin(post, &heading, permit.terms().record).await;
    let mut recorder = begun.map_err(|error| model::words(&error))?;
    let (user, login) = (permit.user().clone(), permit.login().clone());
    let from = heading.client.clone();
    let joined = People::Joined { party: Party::OWNER, user, login, from };
    recorder.take(Entry::People(joined));
    for service in services {
        recorder.take(service);
    }
    Ok(Some((recorder, heading)))
}

fn plan(id: SessionId, session: &Session, agent_socket: Option<PathBuf>, caller: &Caller) -> Plan {
    let pty = session.pty.as_ref().map(|pty| PtyPlan {
        size: pty.size,
        term: pty.term.clone(),
        modes: pty.modes.clone(),
    });
    let addresses = caller.client.map(|client| host::Addresses {
        client,
        // The tunnel ends on this machine; it has no address that the client could have dialled.
        server: ([127, 0, 0, 1], 22).into(),
    });
    Plan {
        id,
        what: match &session.wish {
            Wish::Shell => What::Shell,
            Wish::Exec(command) => What::Exec(command.clone()),
            Wish::Subsystem(_) => What::Sftp,
        },
        motd: pty.is_some() && session.wish == Wish::Shell,
        pty,
        environment: session.environment.clone(),
        agent_socket,
        x11: None,
        addresses,
        watch: None,
    }
}

/// How a session ended.
struct Closed {
    ending: Ending,
    /// Why its recording failed, if it did.
    failed: Option<String>,
    /// What it has left running, if the kernel watches that.
    left: Option<(Sight, Rest)>,
}

/// The state of a running session.
struct Live {
    id: SessionId,
    recorder: Option<Recorder>,
    /// What the kernel sees of it.
    sight: Option<Sight>,
    hub: Hub,
    record_typed: bool,
    /// What was typed and is not recorded yet.
    typed: Option<Burst>,
    /// Who is there, and what they may.
    table: Table,
    /// The screen for those who look on, once somebody has come.
    stage: Option<Arc<Stage>>,
    /// What goes on beside it, and ends with it.
    tasks: JoinSet<()>,
    /// As what somebody comes for whom it waits.
    asked_for: SeatRole,
    /// While it is frozen: when to look again for what still runs.
    look_again: Option<Tick>,
    /// Of the terminal; of a session without one what its viewers are shown.
    size: Size,
    /// Of the owner's terminal, which may be another one, and whether that takes the size of what it is shown.
    own: Size,
    fits: bool,
    /// The owner's terminal, while it is painted.
    painted: Option<Painted>,
    /// Without a terminal.
    pipes: Pipes,
    files: Files,
    wants: Wants,
    pty: bool,
    /// Lines for the owner that are no part of the program's output.
    lines: VecDeque<String>,
    /// Lines that were said; none is said twice.
    said: Vec<&'static str>,
    /// Whether it was opened by a client that can come back, and whether the owner's present one can.
    comes_back: bool,
    returns: bool,
    /// The screen for an owner who is back.
    picture: Picture,
    /// The terminal gets no other size before this.
    next_size: Tick,
    outlives: Option<Outlives>,
}

/// Bytes that one person typed without a pause.
struct Burst {
    party: Party,
    count: u32,
    /// Which, where they are recorded.
    what: Vec<u8>,
    since: Tick,
}

impl Live {
    fn new(
        (id, recorder, files, wants): (SessionId, Option<Recorder>, Files, Wants),
        permit: &LoginPermit,
        caller: &Caller,
        session: &Session,
    ) -> Self {
        let terms = permit.terms();
        let expires = clock::tick_of(caller.identity.expires());
        let limits = Terms {
            session_ms: terms.session_ms,
            idle_ms: terms.idle_ms,
            expires: terms.disconnect_expired.then_some(expires),
        };
        let hub = Hub::new(limits, clock::tick());
        let demands = terms.four_eyes.iter().map(wait::demand).collect();
        let company = match Company::new(demands, clock::tick()) {
            company if session.pty.is_some() => company,
            company => company.without_terminal(),
        };
        let size = session.pty.as_ref().map_or_else(Size::default, |pty| pty.size);
        Self {
            id,
            table: Table::new(id, company, caller.identity.user().clone()),
            stage: None,
            tasks: JoinSet::new(),
            asked_for: SeatRole::Moderator,
            look_again: None,
            size,
            own: size,
            fits: false,
            painted: None,
            recorder,
            sight: None,
            hub,
            record_typed: terms.record_typed,
            typed: None,
            pipes: Pipes::new(terms.exec_stream_bytes, terms.record_transfers),
            files,
            wants,
            pty: session.pty.is_some(),
            lines: VecDeque::new(),
            said: Vec::new(),
            comes_back: false,
            returns: false,
            picture: None,
            next_size: Tick(0),
            outlives: None,
        }
    }

    async fn run(
        mut self,
        child: Child,
        mut session: Session,
        mut watch: Watch<'_>,
    ) -> (Closed, (u64, u64)) {
        let Child { io, mut process, signals, files, .. } = child;
        self.wants.hear(files);
        if let host::Io::Pty(pty) = &io {
            self.table.begun(pty.foreground());
        }
        let mut streams = Streams::new(io);
        let mut output = session.output.clone();
        let mut writing: Option<Writing> = None;
        let mut exit: Option<Exit> = None;
        let mut drained_by: Option<Tick> = None;
        let mut alarm = Alarm::new();
        let mut finish: Finish = loop {
            self.say_notices();
            if let Some(finish) = self.must_end() {
                break finish;
            }
            if let Some(why) = self.tend_company(Some(&signals)).await {
                break Finish::over(why);
            }
            self.tend_size(&streams);
            if self.write(&mut writing, &output) && self.pty {
                // A person waits for it: it goes out before everything is looked at anew.
                turn::step_aside().await;
            }
            let all_read = streams.ended() || drained_by.is_some_and(|at| at <= clock::tick());
            if let Some(exit) = exit.as_ref().filter(|_| all_read && writing.is_none()) {
                break match exit {
                    Exit::Status(status) => Ending::Exit { status: *status },
                    Exit::Signal { name, core } => {
                        Ending::Signal { name: name.clone(), core: *core }
                    }
                }
                .into();
            }
            let passes = self.may_pass();
            let may_read = self.hub.may_read() && passes;
            if drained_by.is_some() && !may_read {
                // What the program left in the terminal waits for a slow owner; it is not the terminal that is quiet.
                drained_by = Some(clock::tick().plus_ms(DRAIN_MS));
            }
            alarm.set(self.poll_timeout(drained_by.filter(|at| *at > clock::tick())));
            let takes = passes && streams.takes();
            let (is_lost, mut is_gone) = (self.hub.is_lost(), false);
            let is_idle = writing.is_none();
            let (visits, typing) = self.table.ears();
            let others = async {
                tokio::select! {
                    // What is rare and what goes out, before what others type.
                    biased;
                    is_written = written(&mut writing) => Event::Written(is_written),
                    Ok(()) = session.sizes.changed(), if self.pty => Event::Resized,
                    Some(name) = session.signals.recv(), if passes && !is_lost => Event::Signal(name),
                    ended = process.wait(), if exit.is_none() => {
                        Event::Exited(ended.unwrap_or(Exit::Status(255)))
                    }
                    () = output.gone(), if !is_lost => Event::Gone,
                    verdict = watch.verdict() => Event::Verdict(verdict),
                    () = keyframe(&mut self.recorder) => Event::Nothing,
                    news = self.wants.news(), if passes => Event::News(news),
                    () = seen(&mut self.sight) => Event::Seen,
                    entry = self.pipes.hashed() => Event::Hashed(entry),
                    () = alarm.rings() => Event::Due,
                    visit = heard(visits) => Event::Visit(visit),
                    picture = owner::made(&mut self.picture) => Event::Picture(picture),
                    () = painted::due(&mut self.painted, is_idle) => Event::Nothing,
                    typed = heard(typing), if takes => Event::Typed(typed),
                }
            };
            let bytes = async {
                Event::Heard(streams.hear(&mut session.input, may_read, passes, !is_lost).await)
            };
            match turn::next(others, bytes).await {
                Event::Written(is_written) => {
                    writing = None;
                    is_gone = !is_written;
                }
                Event::Resized => self.resized(*session.sizes.borrow_and_update()),
                Event::Signal(name) => {
                    if signals.send(&name).is_ok() {
                        self.record(Entry::Signal { name });
                    }
                }
                Event::Exited(ended) => {
                    exit = Some(ended);
                    // Jobs left in the background may hold the terminal open for ever.
                    drained_by = self.pty.then(|| clock::tick().plus_ms(DRAIN_MS));
                    streams.close_input();
                }
                Event::Gone => is_gone = true,
                Event::Verdict(verdict) => match verdict {
                    Verdict::Rule { .. } => break Finish::of(&verdict),
                    Verdict::Gone => is_gone = true,
                    Verdict::Stopping if output.is_gone() && !is_lost => {
                        break gone(&output).into();
                    }
                    Verdict::Stopping => break Finish::of(&verdict),
                },
                Event::News(news) => self.file_news(news),
                Event::Seen => self.record_seen(),
                Event::Hashed(entry) => self.record_all(vec![entry]),
                Event::Due => self.handle_timeout(),
                Event::Visit(visit) => {
                    // What was typed before, by whoever leaves or gives the keyboard away, comes first.
                    self.hear_out(&mut streams);
                    match visit {
                        Visit::Return(back) => {
                            let back = self.come_back(*back, &mut streams, exit.is_some());
                            if let Some((fresh, leaves)) = back {
                                writing = None;
                                watch.outlive();
                                let old = std::mem::replace(&mut session, fresh).output;
                                self.dismiss(old, leaves);
                                output = session.output.clone();
                            }
                        }
                        visit => self.visited(visit),
                    }
                }
                Event::Picture(picture) => self.show(picture),
                Event::Typed(typed) => self.typed_by(typed, &mut streams),
                Event::Heard(heard) => {
                    if matches!(heard, Heard::Output(..)) && drained_by.is_some() {
                        drained_by = Some(clock::tick().plus_ms(DRAIN_MS));
                    }
                    self.heard(heard, &mut streams);
                }
                Event::Nothing => {}
            }
            if is_gone {
                writing = None;
                match self.lose(&mut session, &mut streams, exit.is_some()).await {
                    Some(finish) => break finish,
                    None => watch.outlive(),
                }
            }
        };
        // What stands still would stand still for ever; and what nobody looks at may not go on.
        finish.by_rule |= self.is_frozen() || self.wants.needs_others();
        if finish.by_rule {
            // What runs goes first: a client that takes nothing does not put it off.
            finish.ended(signals.end(Duration::from_millis(END_MS)).await);
        }
        // Nobody reads what still comes, and a connection that waits for room for it would carry no farewell.
        drop(session.input);
        self.farewell(&finish, &output, writing).await;
        if exit.is_none() && !finish.by_rule {
            match finish.ending {
                Ending::Stopped { .. } if !finish.lost => {
                    signals.close(Duration::from_millis(END_MS)).await;
                }
                _ => signals.hang_up().await,
            }
        }
        // Only now: a program that sees its input end must not take that for a good end.
        drop(streams);
        let traffic = self.hub.traffic();
        let rest = (!finish.by_rule).then(|| signals.rest());
        (self.close(finish.ending, rest).await, traffic)
    }

    /// What came from the program or the client.
    fn heard(&mut self, heard: Heard, streams: &mut Streams) {
        match heard {
            Heard::Output(stream, mut bytes) => {
                while bytes.len() > ENTRY_BYTES {
                    let entry = bytes.split_to(ENTRY_BYTES);
                    self.output(stream, entry);
                }
                self.output(stream, bytes);
            }
            Heard::Input(bytes) => {
                self.typed_by(Typed { party: Party::OWNER, bytes }, streams);
            }
            Heard::Nothing => {}
        }
    }

    /// The recorder first, then the hub.
    fn output(&mut self, stream: Stream, bytes: Bytes) {
        let seq = match stream {
            Stream::Pty => self.record(Entry::Output { stream, bytes: bytes.clone() }),
            Stream::Stdout | Stream::Stderr | Stream::Stdin => {
                self.piped(stream, bytes.clone());
                None
            }
        };
        self.hub.offer(seq.unwrap_or_default(), stream, bytes);
    }

    /// Records what bytes of a stream without a terminal come to.
    fn piped(&mut self, stream: Stream, bytes: Bytes) {
        let entries = self.pipes.take(stream, bytes);
        self.record_all(entries);
    }

    fn record_all(&mut self, entries: Vec<Entry>) {
        for entry in entries {
            self.files.tell(&entry);
            self.record(entry);
        }
    }

    /// Somebody typed: recorded, and given to the program, if they may.
    fn typed_by(&mut self, typed: Typed, streams: &mut Streams) {
        if !self.hears(&typed) {
            return;
        }
        let Typed { party, bytes } = typed;
        self.hub.typed(bytes.len(), clock::tick());
        if self.pty {
            let shown = self.record_typed && !streams.echo_off();
            self.typed(party, &bytes, shown);
        } else {
            // Whose bytes the next ones of the stream are.
            if party != Party::OWNER {
                let count = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
                self.record(Entry::Typed { party, count, bytes: None });
            }
            self.piped(Stream::Stdin, bytes.clone());
        }
        let now = self.may_pass();
        streams.give(bytes, now);
    }

    /// Takes what others have typed so far; at most as much as may wait. Where the program has read nothing of as much already,
    /// the rest is heard when it has, and counts by who may type then.
    fn hear_out(&mut self, streams: &mut Streams) {
        while self.passes()
            && streams.waiting() < VISITS
            && let Ok(typed) = self.table.ears().1.try_recv()
        {
            self.typed_by(typed, streams);
        }
    }

    /// `shown`: whether what was typed is recorded, and not only how much.
    fn typed(&mut self, party: Party, bytes: &Bytes, shown: bool) {
        if self.typed.as_ref().is_some_and(|burst| burst.party != party) {
            self.record_typing();
        }
        let fresh = || Burst { party, count: 0, what: Vec::new(), since: clock::tick() };
        let burst = self.typed.get_or_insert_with(fresh);
        burst.count = burst.count.saturating_add(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
        if shown {
            burst.what.extend_from_slice(bytes);
        }
    }

    fn record_typing(&mut self) {
        if let Some(Burst { party, count, what, .. }) = self.typed.take() {
            let bytes = (!what.is_empty()).then(|| Bytes::from(what));
            self.record(Entry::Typed { party, count, bytes });
        }
    }

    /// Answers its place in the recording, if there is one.
    fn record(&mut self, entry: Entry) -> Option<Seq> {
        let recorder = self.recorder.as_mut()?;
        let shown = self.stage.as_ref().map(|_| entry.clone());
        let seq = recorder.take(entry);
        recorder.tend_model();
        if let Some(shown) = shown {
            self.perform(seq, shown);
        }
        Some(seq)
    }

    /// What happened to the recording: to the ledger each time, to the owner once.
    fn say_notices(&mut self) {
        while let Some(notice) = self.recorder.as_mut().and_then(Recorder::poll_notice) {
            self.files.say(audited(&notice));
            // Who is ended for it is told that instead.
            let ends = self.recorder.as_ref().and_then(Recorder::failed).is_some();
            if let Some(line) = line(&notice).filter(|line| !ends && !self.said.contains(line)) {
                self.said.push(line);
                self.lines.push_back(line.to_owned());
            }
        }
    }

    fn must_end(&mut self) -> Option<Finish> {
        let failed = self.recorder.as_ref().and_then(Recorder::failed);
        failed.map(Finish::rule).or_else(|| self.hub.poll().map(Finish::due))
    }

    fn poll_timeout(&self, drained_by: Option<Tick>) -> Option<Tick> {
        let burst = self.typed.as_ref().map(|burst| burst.since.plus_ms(BURST_MS));
        let recorder = self.recorder.as_ref().and_then(Recorder::poll_timeout);
        let company = self.table.company.poll_timeout();
        let sight = self.sight.as_ref().and_then(Sight::poll_timeout);
        let hub = self.hub.poll_timeout().into_iter().chain(self.wants.poll_timeout()).min();
        let size = (self.wanted_size() != self.size).then_some(self.next_size);
        let all = [burst, recorder, sight, company, size, self.look_again, hub, drained_by];
        all.into_iter().flatten().min()
    }

    fn handle_timeout(&mut self) {
        let now = clock::tick();
        if self.typed.as_ref().is_some_and(|burst| burst.since.plus_ms(BURST_MS) <= now) {
            self.record_typing();
        }
        if let Some(sight) = &mut self.sight {
            sight.handle_timeout();
            self.record_seen();
        }
        if let Some(recorder) = &mut self.recorder {
            recorder.handle_timeout();
            recorder.tend_model();
        }
        self.hub.handle_timeout(now);
        self.tend_wants();
    }

    /// Tells the client how it ended, after everything that the program wrote.
    async fn farewell(&mut self, finish: &Finish, output: &Output, writing: Option<Writing>) {
        if matches!(finish.ending, Ending::Disconnected) {
            return;
        }
        let words = async {
            if let Some(writing) = writing {
                writing.await;
            }
            let by_itself = matches!(finish.ending, Ending::Exit { .. } | Ending::Signal { .. });
            self.unpaint(output, by_itself).await;
            while let Some(writing) = self.next_write(output) {
                writing.await;
            }
            match &finish.ending {
                Ending::Exit { status } => {
                    let _ = output.eof().await;
                    let _ = output.exit_status(*status).await;
                }
                Ending::Signal { name, core } => {
                    let _ = output.eof().await;
                    let _ = output.exit_signal(&wire_signal(name), *core, "").await;
                }
                Ending::Stopped { .. } => {
                    if let Some(said) = &finish.said {
                        let line = Bytes::from(format!("\r\nscry: {said}\r\n"));
                        let _ = output.write_error(line).await;
                    }
                    let _ = output.exit_status(255).await;
                }
                _ => {}
            }
            output.close().await;
        };
        // A client that takes nothing does not keep the session for ever.
        let patience = if finish.by_rule { LAST_WORDS } else { PATIENCE };
        last_words(output, patience, words).await;
    }

    /// Ends the recording. `rest`: what may go on behind its end.
    async fn close(mut self, ending: Ending, rest: Option<Rest>) -> Closed {
        self.record_typing();
        let sight = self.look_away(rest.as_ref()).await;
        let entries = self.pipes.finish();
        self.record_all(entries);
        self.files.finish();
        let failed = self.recorder.as_ref().and_then(Recorder::failed);
        self.say_notices();
        if let Some(stage) = &self.stage {
            stage.finish();
        }
        self.table.tell(Told::Over { why: ending.told() });
        let model = self.recorder.as_mut().and_then(|recorder| recorder.model.take());
        if let Some(recorder) = self.recorder.take() {
            recorder.end(ending.clone());
        }
        self.last_look(model).await;
        Closed { ending, failed, left: sight.zip(rest) }
    }
}

/// A signal's name on the wire: others than those of RFC 4254 §6.10 carry a domain.
fn wire_signal(name: &str) -> String {
    if host::signal::is_standard(name) { name.to_owned() } else { format!("{name}@scry") }
}

/// The channel is gone: because the client left, or because it took nothing and was given up.
fn gone(output: &Output) -> Ending {
    output.fate().map_or(Ending::Disconnected, |why| Ending::Stopped { why: why.to_owned() })
}

/// Completes when the recorder wants to be looked at again: a keyframe was made, or auth has received more.
async fn keyframe(recorder: &mut Option<Recorder>) {
    match recorder {
        Some(recorder) => recorder.news().await,
        None => std::future::pending().await,
    }
}

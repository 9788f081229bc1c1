//! One SSH connection: who is let in, what they may open, and when it must end.

use crate::buffers::OnDisk;
use crate::forward::Forwards;
use crate::news::Known;
use crate::serve::Post;
use crate::session::{self, Opened};
use crate::verdict::{Bell, Verdict};
use crate::visitor::{self, Visitor};
use crate::{clock, report::Reporter};
use link::ssh::server::{
    Admission, Asked, Connection, Gate, Guests, Judge, Lost, NobodyIn, Refused, Server, Session,
    Tried, Wish,
};
use link::ssh::ssh_key::Certificate;
use link::tunnel::Knock;
use model::audit::Audited;
use model::limit::{GUEST_SESSIONS, LINK_MS, SESSIONS_PER_CONNECTION, SSH_BEAT_MS, SSH_BEATS};
use model::role::{Forwarding, RecordingPolicy};
use model::transfer::text_of;
use model::{AuditEvent, ConnectionId, Heading, Kind, Login, NodeName, SessionId, Tick, UserName};
use policy::{Denial, Identity, LoginPermit};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use wire::name::{COMPANY_SUBSYSTEM, FITS_VARIABLE, RETURN_VARIABLE, SEAT_PREFIX};
use wire::share::without_secrets;

/// Subsystems that there are.
const SUBSYSTEMS: &[&str] = &["sftp", COMPANY_SUBSYSTEM];

/// Who a connection was let in for.
#[derive(Debug, Clone)]
pub(crate) enum Holder {
    /// Somebody who logs in.
    Caller(Caller),
    /// Somebody who comes to a session that runs.
    Visitor(Visitor),
}

/// Who is on a connection, and what the ledger says of everything they do on it.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub id: ConnectionId,
    pub identity: Identity,
    pub login: Login,
    pub client: Option<SocketAddr>,
    reporter: Reporter,
}

impl Caller {
    /// Tells the ledger what they did.
    pub fn tell(&self, what: Audited) {
        self.reporter.tell(self.event(what));
    }

    /// As [`Caller::tell`], in a session.
    pub fn tell_in(&self, session: model::SessionId, what: Audited) {
        self.reporter.tell(AuditEvent { session: Some(session), ..self.event(what) });
    }

    /// As [`Caller::tell_in`], of somebody else who is in their session.
    pub fn tell_of(&self, session: SessionId, user: &UserName, what: Audited) {
        let (session, user) = (Some(session), Some(user.clone()));
        self.reporter.tell(AuditEvent { session, user, address: None, ..self.event(what) });
    }

    /// Tells the ledger that they were denied something.
    pub fn denied(&self, denial: &Denial) {
        self.denied_in(None, denial);
    }

    fn denied_in(&self, session: Option<SessionId>, denial: &Denial) {
        metrics::counter!("scry_denials_total").increment(1);
        let denied = Audited::Denied { action: denial.action(), why: denial.why() };
        self.reporter.tell(AuditEvent { session, ..self.event(denied) });
    }

    /// The decision as things stand at this moment.
    pub fn permit(&self, post: &Post) -> Result<LoginPermit, Denial> {
        let known = post.known();
        policy::login(&known.roles, &self.identity, &post.facts, &self.login, clock::now())
    }

    /// Whether the connection, or one session of it, may go on as things stand at this moment; a denial is told.
    pub fn goes_on(&self, post: &Post, session: Option<SessionId>) -> Result<(), Denial> {
        let (known, now) = (post.known(), clock::now());
        policy::go_on(&known.roles, &self.identity, &post.facts, &self.login, session, now)
            .inspect_err(|denial| self.denied_in(session, denial))
    }

    /// The heading of a recording that begins now, without a terminal.
    pub fn heading(&self, post: &Post, permit: &LoginPermit, id: SessionId, kind: Kind) -> Heading {
        Heading {
            id,
            connection: self.id,
            cluster: post.standing.cluster.clone(),
            node: permit.node().clone(),
            user: permit.user().clone(),
            login: permit.login().clone(),
            roles: permit.roles().to_vec(),
            client: place(self.client),
            via: via(&self.identity),
            kind,
            size: None,
            term: None,
            started: clock::now(),
            signer: post.standing.signer.borrow().clone(),
        }
    }

    fn event(&self, what: Audited) -> AuditEvent {
        AuditEvent {
            user: Some(self.identity.user().clone()),
            login: Some(self.login.clone()),
            via: via(&self.identity),
            ..self.reporter.event_over(Some(self.id), self.client, what)
        }
    }
}

/// The proxy that speaks for somebody in a browser, by the grant that it was given.
pub(crate) fn via(identity: &Identity) -> Option<NodeName> {
    identity.only().map(|only| only.proxy.clone())
}

/// Where a client is, for people.
pub(crate) fn place(client: Option<SocketAddr>) -> String {
    client.map_or_else(|| "unknown".to_owned(), |client| client.ip().to_string())
}

/// Whether a connection that was lost so did not end otherwise. One that broke off may have been ended: whether its end is
/// read before something finds nobody to take it is chance.
pub(crate) fn is_certain(lost: Lost) -> bool {
    lost == Lost::Silent
}

/// How a connection was lost, for the ledger.
pub(crate) fn how_lost(lost: Lost) -> String {
    match lost {
        Lost::Silent => {
            let questions = u64::try_from(SSH_BEATS).unwrap_or(u64::MAX);
            let ms = SSH_BEAT_MS.saturating_mul(questions.saturating_add(1));
            format!("nothing was heard of the client for {} s", ms / 1000)
        }
        Lost::Broken => "the connection broke off".to_owned(),
    }
}

/// Serves one connection to its end.
pub(crate) async fn serve(post: Arc<Post>, knock: Knock, stop: CancellationToken) {
    let Some(startup) = post.startups.take(knock.client.map(|client| client.ip())) else {
        tracing::warn!(client = ?knock.client, "too many connections are signing in; one was refused");
        let why = "too many connections were signing in".to_owned();
        let refused = Audited::ConnectionRefused { why, asked_for: None, tried: Vec::new() };
        return post
            .refusals
            .tell(&post.reporter, post.reporter.event_over(None, knock.client, refused));
    };
    let (client, proxy) = (knock.client, knock.proxy.clone());
    let stream = match knock.open() {
        Ok(stream) => stream,
        Err(error) => return tracing::warn!(%error, ?client, "a connection was lost at once"),
    };
    let host = post.standing.host.borrow().clone();
    let server = Server::new(host.key.clone(), host.certificate.clone());
    let id = ConnectionId::from_random(rand::random());
    let gate = Gate {
        certificate: gate(Arc::clone(&post), id, client, proxy),
        guests: guests(Arc::clone(&post), id, client),
    };
    let accepting = server.accept(stream, gate, startup);
    let connection = match stop.run_until_cancelled(accepting).await {
        Some(Ok(connection)) => connection,
        Some(Err(nobody)) => {
            tracing::debug!(?client, error = %nobody.error, "nobody was let in");
            let refused = refused(&nobody);
            let event = post.reporter.event_over(Some(id), client, refused);
            return post.refusals.tell(&post.reporter, event);
        }
        None => return,
    };
    let began = clock::tick();
    let caller = match connection.holder.clone() {
        Holder::Caller(caller) => caller,
        Holder::Visitor(visitor) => return visitor::serve(post, visitor, connection, stop).await,
    };
    let serial = caller.identity.serial();
    caller.tell(Audited::Connected { serial, version: connection.version.clone() });
    metrics::gauge!("scry_connections").increment(1.0);
    let opener = connection.opener();
    let mut served = Served::new(post, caller.clone(), opener.clone());
    let verdict = served.run(connection, &stop).await;
    metrics::gauge!("scry_connections").decrement(1.0);
    let why = match verdict {
        Verdict::Gone => opener.lost().await.filter(|lost| is_certain(*lost)).map(how_lost),
        verdict => Some(verdict.why().to_owned()),
    };
    caller.tell(Audited::Disconnected { ms: clock::tick().since(began), why });
    served.outlived(&stop).await;
}

/// What the ledger says of a connection on which nobody was let in.
fn refused(nobody: &NobodyIn) -> Audited {
    let Tried { login, certificates, offers } = nobody.tried.clone();
    let why = match (&login, certificates) {
        // What the SSH library turns away by itself it does not tell of.
        (None, _) => format!(
            "nobody asked to be let in, or only by a certificate out of its time or badly signed, \
             or by a method that there is not here: {}",
            model::words(&nobody.error)
        ),
        (Some(_), 0) => "no certificate was shown that is in its time, well signed, and whose key \
                         signed for it"
            .to_owned(),
        (Some(_), _) => "no certificate that was shown counts".to_owned(),
    };
    // Whoever wanted to come by a link has shown its code, which may count still.
    let login = login.map(|login| without_secrets(&login));
    let offers = offers.iter().map(|offer| without_secrets(offer)).collect();
    Audited::ConnectionRefused { why, asked_for: login, tried: offers }
}

/// Decides about one certificate after the other; each denial is in the ledger, in full.
fn gate(
    post: Arc<Post>,
    id: ConnectionId,
    client: Option<SocketAddr>,
    proxy: Option<NodeName>,
) -> Judge<Holder, Certificate> {
    Box::new(move |text, certificate| {
        let refuse = |denial: &Denial, login: Option<Login>, user| {
            metrics::counter!("scry_denials_total").increment(1);
            let denied = Audited::Denied { action: denial.action(), why: denial.why().to_string() };
            let event = post.reporter.event_over(Some(id), client, denied);
            post.refusals.tell(&post.reporter, AuditEvent { user, login, ..event });
            None
        };
        let login = text.parse::<Login>().ok();
        let Some(known) = post.latest.borrow().clone().filter(|known| known.fresh()) else {
            tracing::warn!("auth was not heard of for too long; nobody is let in");
            let why = "auth was not heard of for too long, so nobody is let in".to_owned();
            let action = format!("log in as {:?}", without_secrets(text));
            let denied = Audited::Denied { action, why };
            let event = post.reporter.event_over(Some(id), client, denied);
            post.refusals.tell(&post.reporter, AuditEvent { login, ..event });
            return None;
        };
        let now = clock::now();
        let address = client.map(|client| client.ip());
        let authorities = &known.user_authority;
        let wanted = text.strip_prefix(SEAT_PREFIX);
        let read = match wanted {
            Some(_) => policy::read_certificate_for_seat(certificate, authorities, address, now),
            None => policy::read_certificate(certificate, text, authorities, address, now),
        };
        let identity = match read {
            Ok(identity) => identity,
            Err(denial) => {
                let claimed = certificate.key_id().parse().ok();
                return refuse(&denial, login, claimed);
            }
        };
        let user = identity.user().clone();
        if let Err(denial) = policy::carried(&identity, proxy.as_ref()) {
            return refuse(&denial, login, Some(user));
        }
        let buffers = Arc::new(OnDisk::for_node(&post.elastic, post.quota(&user)));
        if let Some(session) = wanted {
            if let Err(denial) = policy::enter(&known.roles, &identity, now) {
                return refuse(&denial, None, Some(user));
            }
            let (session, reporter) = (session.to_owned(), post.reporter.clone());
            let visitor = Visitor { id, identity, session, client, reporter, place: None };
            return Some(visitor_admission(buffers, visitor));
        }
        let login = login?;
        match policy::login(&known.roles, &identity, &post.facts, &login, now) {
            Err(denial) => refuse(&denial, Some(login), Some(user)),
            Ok(_) => {
                let may = |what| {
                    let facts = &post.facts;
                    policy::forward(&known.roles, &identity, facts, &login, what, now).is_ok()
                };
                let agent = may(Forwarding::Agent);
                let x11 = may(Forwarding::X11) && post.host.xauth().is_some();
                let caller =
                    Caller { id, identity, login, client, reporter: post.reporter.clone() };
                Some(Admission {
                    buffers,
                    agent,
                    x11,
                    sessions: SESSIONS_PER_CONNECTION,
                    variable: |name| {
                        name == RETURN_VARIABLE
                            || name == FITS_VARIABLE
                            || host::allowed_variable(name)
                    },
                    subsystems: SUBSYSTEMS,
                    holder: Holder::Caller(caller),
                })
            }
        }
    })
}

/// Whoever comes by a link and shows no certificate. What the code is worth is auth's to say, once they want to sit down.
fn guests(post: Arc<Post>, id: ConnectionId, client: Option<SocketAddr>) -> Guests<Holder> {
    Guests {
        is_one: |login| wire::share::code(login).is_some(),
        asks: Some("Your name, for the others to see: "),
        admit: Box::new(move |code, called| {
            let known = post.latest.borrow().clone().filter(|known| known.fresh())?;
            let place = post.guests.take(client.map(|client| client.ip()))?;
            let identity = Identity::guest(called, clock::now().plus_ms(LINK_MS.1));
            policy::enter(&known.roles, &identity, clock::now()).ok()?;
            let buffers = OnDisk::for_guest(&post.elastic);
            let (session, reporter) = (code.to_owned(), post.reporter.clone());
            let place = Some(Arc::new(place));
            let visitor = Visitor { id, identity, session, client, reporter, place };
            let admission = visitor_admission(Arc::new(buffers), visitor);
            Some(Admission { sessions: GUEST_SESSIONS, ..admission })
        }),
    }
}

fn visitor_admission(buffers: Arc<OnDisk>, visitor: Visitor) -> Admission<Holder> {
    Admission {
        buffers,
        agent: false,
        x11: false,
        sessions: SESSIONS_PER_CONNECTION,
        variable: |name| name == RETURN_VARIABLE || name == FITS_VARIABLE,
        subsystems: &[COMPANY_SUBSYSTEM],
        holder: Holder::Visitor(visitor),
    }
}

/// Sessions of one connection that outlive it.
#[derive(Debug, Clone, Default)]
struct Outliving(watch::Sender<usize>);

/// One session's word to its connection.
#[derive(Debug)]
pub(crate) struct Outlives {
    all: Outliving,
    does: bool,
}

impl Outlives {
    /// It does from here on.
    pub fn begin(&mut self) {
        if !std::mem::replace(&mut self.does, true) {
            self.all.0.send_modify(|count| *count = count.saturating_add(1));
        }
    }
}

impl Drop for Outlives {
    fn drop(&mut self) {
        if self.does {
            self.all.0.send_modify(|count| *count = count.saturating_sub(1));
        }
    }
}

/// A connection being served.
struct Served {
    post: Arc<Post>,
    caller: Caller,
    forwards: Forwards,
    sessions: JoinSet<()>,
    /// Ends the sessions.
    end: Bell,
    outliving: Outliving,
}

impl Served {
    fn new(post: Arc<Post>, caller: Caller, opener: link::ssh::server::Opener) -> Self {
        let forwards = Forwards::new(Arc::clone(&post), caller.clone(), opener);
        let (sessions, end, outliving) = (JoinSet::new(), Bell::new(), Outliving::default());
        Self { post, caller, forwards, sessions, end, outliving }
    }

    /// Answers why it ended; its sessions have, too, but for those that outlive it.
    async fn run(
        &mut self,
        mut connection: Connection<Holder>,
        stop: &CancellationToken,
    ) -> Verdict {
        let mut latest = self.post.latest.clone();
        // What was told between the gate's decision and this moment is looked at first.
        latest.mark_changed();
        let expires = clock::tick_of(self.caller.identity.expires());
        let mut expired = false;
        let verdict = loop {
            tokio::select! {
                asked = connection.next() => match asked {
                    Some(asked) => self.answer(asked).await,
                    None => break Verdict::Gone,
                },
                Some(ended) = self.sessions.join_next() => {
                    if let Err(error) = ended {
                        tracing::error!(%error, "a session's task failed");
                    }
                }
                () = self.forwards.reap() => {}
                Ok(()) = latest.changed() => {
                    if let Err(denial) = self.goes_on() {
                        break denial.into();
                    }
                    let known = self.known();
                    self.forwards.judge_again(&known);
                }
                // Whether what is open outlives the certificate is the roles' to say.
                () = until(expires), if !expired => {
                    expired = true;
                    if let Err(denial) = self.goes_on() {
                        break denial.into();
                    }
                }
                () = stop.cancelled() => break Verdict::Stopping,
            }
        };
        if verdict != Verdict::Gone {
            self.forwards.cut();
        }
        self.end.ring(verdict.clone());
        let mut outliving = self.outliving.0.subscribe();
        while self.sessions.len() > *outliving.borrow_and_update() {
            tokio::select! {
                _ = self.sessions.join_next() => {}
                Ok(()) = outliving.changed() => {}
            }
        }
        self.forwards.end(&verdict).await;
        match connection.untold() {
            0 => {}
            count => self.caller.tell(Audited::RequestsNotListed { count }),
        }
        if let Some(words) = verdict.said() {
            connection.end(words).await;
        }
        verdict
    }

    /// Holds the sessions that outlive the connection.
    async fn outlived(mut self, stop: &CancellationToken) {
        tokio::select! {
            () = ended(&mut self.sessions) => {}
            () = stop.cancelled() => {
                self.end.ring(Verdict::Stopping);
                ended(&mut self.sessions).await;
            }
        }
    }

    /// The connection as a whole, and the recording of its own, which a lock may name like a session.
    fn goes_on(&self) -> Result<(), Denial> {
        self.caller.goes_on(&self.post, None)?;
        match self.forwards.recording() {
            Some(id) => self.caller.goes_on(&self.post, Some(id)),
            None => Ok(()),
        }
    }

    fn permit(&self) -> Result<LoginPermit, Denial> {
        self.caller.permit(&self.post)
    }

    fn known(&self) -> Arc<Known> {
        self.post.known()
    }

    async fn answer(&mut self, asked: Asked) {
        match asked {
            Asked::Session(session) => self.session(session).await,
            Asked::Direct(direct) => self.forwards.direct(direct, &self.known()),
            Asked::Listen(listen) => self.forwards.listen(listen, &self.known()).await,
            Asked::Unlisten(at) => self.forwards.unlisten(&at),
            Asked::Refused(Refused { what, why }) => {
                metrics::counter!("scry_denials_total").increment(1);
                let (request, why) = (what, why.to_owned());
                self.caller.tell(Audited::RequestRefused { request, why });
            }
        }
    }

    /// Lets the person speak with those who are in the newest session of this connection.
    fn company(&mut self, session: Session) {
        let running = self.post.lives.newest_of(self.caller.id);
        let by = visitor::line::By::Person(self.caller.identity.user().clone());
        let gone = CancellationToken::new();
        self.sessions.spawn(async move {
            match running {
                Some(running) => visitor::line::speak(&running, &by, session, &gone).await,
                None => session::refuse(&session.output, visitor::NOWHERE).await,
            }
        });
    }

    async fn session(&mut self, session: Session) {
        if matches!(&session.wish, Wish::Subsystem(name) if name == COMPANY_SUBSYSTEM) {
            return self.company(session);
        }
        let permit = match self.permit() {
            Ok(permit) => permit,
            Err(denial) => {
                self.caller.denied(&denial);
                session::refuse(&session.output, &denial.public()).await;
                return;
            }
        };
        let strict = permit.terms().record == RecordingPolicy::Strict;
        let alone = permit.terms().four_eyes.is_empty();
        if (strict || !alone) && !self.known().heard_lately() {
            let asks = if strict { "records strictly" } else { "asks for a second person" };
            let why = format!("auth does not answer, and your role {asks}");
            self.caller.tell(Audited::RecordingFailed { why: why.clone() });
            session::refuse(&session.output, &why).await;
            return;
        }
        let known = self.known();
        self.say_refused(&session.refused, &known).await;
        let agent = if session.agent { self.forwards.lend_agent(&known).await } else { None };
        let display = match &session.x11 {
            Some(wish) => self.forwards.lend_display(wish, &known).await,
            None => None,
        };
        let (caller, end) = (self.caller.clone(), self.end.ear());
        let outlives = Outlives { all: self.outliving.clone(), does: false };
        let opened = Opened { caller, permit, agent, display, end, outlives };
        let post = Arc::clone(&self.post);
        self.sessions.spawn(async move {
            post.sessions.fetch_add(1, Ordering::Relaxed);
            metrics::gauge!("scry_sessions").increment(1.0);
            session::run(&post, opened, session).await;
            metrics::gauge!("scry_sessions").decrement(1.0);
            post.sessions.fetch_sub(1, Ordering::Relaxed);
        });
    }

    /// Tells the ledger what was asked for before the session began and not granted.
    async fn say_refused(&self, refused: &[String], known: &Known) {
        for asked in refused {
            match asked.strip_prefix("env ") {
                Some(name) => self.caller.tell(Audited::VariableRefused { name: name.to_owned() }),
                None if asked == "x11-req" => {
                    self.forwards.refused_in_session(Forwarding::X11, known).await;
                }
                None => self.forwards.refused_in_session(Forwarding::Agent, known).await,
            }
        }
    }
}

async fn ended(sessions: &mut JoinSet<()>) {
    while sessions.join_next().await.is_some() {}
}

/// The words of what was asked for, for the ledger and the recording.
pub(crate) fn kind(wish: &Wish) -> model::Kind {
    match wish {
        Wish::Shell => model::Kind::Shell,
        Wish::Exec(command) => {
            let text = str::from_utf8(command).map(str::to_owned);
            // Whatever it is, it can be read back.
            model::Kind::Exec { command: text.unwrap_or_else(|_| text_of(command)) }
        }
        Wish::Subsystem(name) => model::Kind::Subsystem { name: name.clone() },
    }
}

/// Completes at a moment of the monotonic clock.
pub(crate) async fn until(at: Tick) {
    tokio::time::sleep(Duration::from_millis(at.since(clock::tick()))).await;
}

//! A connection to a session that runs already: seats for those who look on or type too, the way back for its owner, and the
//! line on which they speak.

mod entry;
mod keys;
pub(crate) mod line;
mod viewer;

use crate::clock;
use crate::connection::{Holder, how_lost, is_certain, place, via};
use crate::lives::Running;
use crate::report::Reporter;
use crate::serve::Post;
use crate::session::refuse;
use crate::view::Window;
use entry::{Entry, Taken};
use line::{By, Seats};
use link::ssh::server::{Asked, Connection, Opener, Refusal, Session, Wish};
use link::ssh::{Output, Startup};
use model::audit::Audited;
use model::entry::Party;
use model::limit::GUEST_WAIT_MS;
use model::role::SeatRole;
use model::{AuditEvent, ConnectionId, SessionId, Size, Tick};
use policy::{Denial, Identity, ReturnPermit, SeatPermit};
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use viewer::Parting;
use wire::name::{FITS_VARIABLE, OWNER_SEAT};

/// Said of a session that does not run here, and of one that somebody may not know of.
pub(crate) const NOWHERE: &str =
    "no such session runs on this node, or it is not yours to join; see `scry sessions`";

const NO_TERMINAL: &str = "a terminal is needed to join: use `ssh -t`";
/// Milliseconds until a seat is looked at again whose time is over by one clock and not yet by the other.
const AGAIN_MS: u64 = 1_000;

/// Who comes to a session.
#[derive(Debug, Clone)]
pub(crate) struct Visitor {
    pub id: ConnectionId,
    pub identity: Identity,
    /// The session, or the code of a link into one, as it was asked for.
    pub session: String,
    pub client: Option<SocketAddr>,
    pub reporter: Reporter,
    /// A guest's place among the guests of the node.
    pub place: Option<Arc<Startup>>,
}

impl Visitor {
    fn tell(&self, what: Audited) {
        self.tell_in(self.session.parse::<SessionId>().ok(), what);
    }

    fn tell_in(&self, session: Option<SessionId>, what: Audited) {
        self.reporter.tell(self.event(session, what));
    }

    fn event(&self, session: Option<SessionId>, what: Audited) -> AuditEvent {
        AuditEvent {
            user: Some(self.identity.user().clone()),
            session,
            via: via(&self.identity),
            ..self.reporter.event_over(Some(self.id), self.client, what)
        }
    }

    fn denied(&self, session: SessionId, denial: &Denial) {
        metrics::counter!("scry_denials_total").increment(1);
        let denied = Audited::Denied { action: denial.action(), why: denial.why() };
        self.tell_in(Some(session), denied);
    }

    /// Tells of what they asked in vain; of a guest only while few do so.
    fn refused(&self, post: &Post, what: Audited) {
        let event = self.event(None, what);
        match self.place {
            None => self.reporter.tell(event),
            Some(_) => post.refusals.tell(&post.reporter, event),
        }
    }

    /// Whether they may come to it as anything.
    fn may_come(&self, post: &Post, running: &Running) -> bool {
        let (roles, facts) = (&post.known().roles, running.facts());
        !policy::seats(roles, &self.identity, &post.facts, &facts, clock::now()).is_empty()
    }

    /// Leave to sit there, and what that counts for; a denial is told.
    fn permit(
        &self,
        post: &Post,
        entry: &Entry,
    ) -> Result<(SeatPermit, Vec<(usize, usize)>), Denial> {
        let permit = entry.permit(post, &self.identity);
        let permit = permit.inspect_err(|denial| self.denied(entry.running.id, denial))?;
        Ok((permit, self.counts(post, entry)))
    }

    /// Leave to come back to it as its owner; a denial is told.
    fn comes_back(&self, post: &Post, running: &Running) -> Result<ReturnPermit, Denial> {
        let (roles, facts) = (&post.known().roles, running.facts());
        policy::come_back(roles, &self.identity, &post.facts, &facts, clock::now())
            .inspect_err(|denial| self.denied(running.id, denial))
    }

    /// What a seat of theirs counts for as things stand at this moment.
    fn counts(&self, post: &Post, entry: &Entry) -> Vec<(usize, usize)> {
        let (roles, running, seat) = (&post.known().roles, &entry.running, entry.seat);
        let (who, demands, owner) = (&self.identity, &running.demands, &running.owner);
        policy::counts_for(roles, who, demands, owner, seat, clock::now())
    }

    /// Whether the seat may be kept as things stand at this moment; a denial is told.
    fn goes_on(&self, post: &Post, entry: &Entry) -> Result<(), Denial> {
        let stays = entry.goes_on(post, &self.identity);
        stays.inspect_err(|denial| self.denied(entry.running.id, denial))
    }
}

/// Serves the connection to its end.
pub(crate) async fn serve(
    post: Arc<Post>,
    visitor: Visitor,
    mut connection: Connection<Holder>,
    stop: CancellationToken,
) {
    let began = clock::tick();
    let (serial, version) = (visitor.identity.serial(), connection.version.clone());
    let arrival = Arc::new(Arrival { serial, version, told: OnceLock::new() });
    if visitor.place.is_none() {
        arrival.tell(&visitor);
    }
    let opener = connection.opener();
    let (mut seats, taken, sitting) = (JoinSet::new(), Taken::default(), Seats::default());
    let end = CancellationToken::new();
    // Whoever has shown no certificate has to show soon what their code is worth.
    let waited = tokio::time::sleep(Duration::from_millis(GUEST_WAIT_MS));
    tokio::pin!(waited);
    let mut is_gone = false;
    loop {
        let idle = visitor.place.is_some() && seats.is_empty();
        tokio::select! {
            asked = connection.next() => match asked {
                Some(Asked::Session(session)) => {
                    let visit = Visit {
                        post: Arc::clone(&post),
                        visitor: visitor.clone(),
                        opener: opener.clone(),
                        arrival: Arc::clone(&arrival),
                        taken: taken.clone(),
                        sitting: sitting.clone(),
                        stop: end.child_token(),
                        stopping: stop.clone(),
                    };
                    seats.spawn(visit.serve(session));
                }
                Some(asked) => refuse_way(&post, &visitor, asked).await,
                None => {
                    is_gone = true;
                    break;
                }
            },
            Some(ended) = seats.join_next() => {
                if let Err(error) = ended {
                    tracing::error!(%error, "a seat's task failed");
                }
            }
            () = &mut waited, if idle => break,
            () = stop.cancelled() => break,
        }
    }
    end.cancel();
    while seats.join_next().await.is_some() {}
    let why = match is_gone {
        true => opener.lost().await.filter(|lost| is_certain(*lost)).map(how_lost),
        false => stop.is_cancelled().then(|| "the node is stopping".to_owned()),
    };
    match connection.untold() {
        0 => {}
        count => visitor.refused(&post, Audited::RequestsNotListed { count }),
    }
    if arrival.told.get().is_some() {
        visitor.tell(Audited::Disconnected { ms: clock::tick().since(began), why });
    }
}

/// That somebody has come, for the ledger. A guest only once their link counts: what they do before, anybody can, as often as
/// they like.
#[derive(Debug)]
struct Arrival {
    serial: u64,
    version: String,
    told: OnceLock<()>,
}

impl Arrival {
    fn tell(&self, visitor: &Visitor) {
        let Self { serial, version, told } = self;
        told.get_or_init(|| {
            visitor.tell(Audited::Connected { serial: *serial, version: version.clone() });
        });
    }
}

/// Nothing but seats is to be had here.
async fn refuse_way(post: &Post, visitor: &Visitor, asked: Asked) {
    let nothing_else = "who comes to a session gets a seat and nothing else";
    let (request, why) = match asked {
        Asked::Session(_) | Asked::Unlisten(_) => return,
        Asked::Direct(direct) => {
            let request = format!("a connection to {}", direct.to);
            direct.reject(Refusal::Prohibited).await;
            (request, nothing_else)
        }
        Asked::Listen(listen) => {
            let request = format!("to listen at {}", listen.at);
            listen.refuse();
            (request, nothing_else)
        }
        Asked::Refused(refused) => (refused.what, refused.why),
    };
    metrics::counter!("scry_denials_total").increment(1);
    visitor.refused(post, Audited::RequestRefused { request, why: why.to_owned() });
}

/// One channel of a visitor.
struct Visit {
    post: Arc<Post>,
    visitor: Visitor,
    opener: Opener,
    arrival: Arc<Arrival>,
    taken: Taken,
    sitting: Seats,
    /// The connection is gone or the node stops.
    stop: CancellationToken,
    /// The node stops.
    stopping: CancellationToken,
}

impl Visit {
    async fn serve(self, session: Session) {
        let seat = match &session.wish {
            Wish::Subsystem(_) => {
                let Some(running) = self.place().await else {
                    return refuse(&session.output, NOWHERE).await;
                };
                let by = match self.speaks(&running) {
                    Ok(by) => by,
                    Err(denial) => return refuse(&session.output, &denial.public()).await,
                };
                return line::speak(&running, &by, session, &self.stop).await;
            }
            Wish::Shell => None,
            Wish::Exec(command) if command.trim_ascii() == OWNER_SEAT.as_bytes() => {
                return self.come_back(session).await;
            }
            Wish::Exec(command) => {
                match String::from_utf8_lossy(command).trim().parse::<SeatRole>() {
                    Ok(seat) => Some(seat),
                    Err(error) => return refuse(&session.output, &error.to_string()).await,
                }
            }
        };
        // Before a link is taken: it may count once.
        let Some(pty) = session.pty.clone() else {
            return refuse(&session.output, NO_TERMINAL).await;
        };
        match self.enter(seat).await {
            Ok(entry) => self.look(&entry, pty.size, session).await,
            Err(why) => refuse(&session.output, &why).await,
        }
    }

    /// As whom they speak on a line.
    fn speaks(&self, running: &Running) -> Result<By, Denial> {
        let (roles, facts) = (&self.post.known().roles, running.facts());
        let who = &self.visitor.identity;
        policy::speak(roles, who, &self.post.facts, &facts, clock::now())
            .inspect_err(|denial| self.visitor.denied(running.id, denial))?;
        Ok(match who.user().is_guest() {
            true => By::Guest(self.sitting.clone()),
            false => By::Person(who.user().clone()),
        })
    }

    /// Gives the session's owner the keyboard, whatever became of the connection that they had.
    async fn come_back(self, session: Session) {
        let output = session.output.clone();
        if session.pty.is_none() {
            return refuse(&output, NO_TERMINAL).await;
        }
        let Some(running) = self.place().await else { return refuse(&output, NOWHERE).await };
        let permit = match self.visitor.comes_back(&self.post, &running) {
            Ok(permit) => permit,
            Err(denial) => {
                let is_theirs = *self.visitor.identity.user() == running.owner;
                let words = if is_theirs { denial.public() } else { NOWHERE.to_owned() };
                return refuse(&output, &words).await;
            }
        };
        let from = place(self.visitor.client);
        match running.doors.come_back(permit, session, from).await {
            Ok(()) => {
                self.visitor.tell_in(Some(running.id), Audited::OwnerBack {});
                // What ends it ends the channel: nothing of it is held here.
                output.gone().await;
            }
            Err(why) => refuse(&output, &why).await,
        }
    }

    /// The session that is meant, if it runs here; that of a link only once it was taken.
    async fn place(&self) -> Option<Arc<Running>> {
        let id = match self.visitor.session.parse() {
            Ok(id) => id,
            Err(_) => self.taken.session().await?,
        };
        self.post.lives.find(id)
    }

    /// Where they want to sit, and as what if they have not said it. Takes the link, if they have come by one; the words say
    /// why there is no such place.
    async fn enter(&self, seat: Option<SeatRole>) -> Result<Entry, String> {
        let by = match wire::share::code(&self.visitor.session) {
            None => None,
            Some(code) => {
                let taking = self.taken.take(&self.post.standing.auth, &self.visitor, code, seat);
                let stopping = || Err("the node is stopping".to_owned());
                let grant = self.stop.run_until_cancelled(taking).await.unwrap_or_else(stopping)?;
                self.arrival.tell(&self.visitor);
                Some(grant)
            }
        };
        let running = self.place().await.ok_or(NOWHERE)?;
        let given = by.as_ref().map_or(SeatRole::Observer, |grant| grant.seat);
        Ok(Entry { running, seat: seat.unwrap_or(given), by })
    }

    /// Seats somebody who looks on, or types too.
    async fn look(self, entry: &Entry, size: Size, session: Session) {
        let (permit, counts) = match self.visitor.permit(&self.post, entry) {
            Ok(permitted) => permitted,
            Err(denial) => {
                // Who may come as nothing at all does not learn that there is something.
                let knows = entry.by.is_some() || self.visitor.may_come(&self.post, &entry.running);
                let words = if knows { denial.public() } else { NOWHERE.to_owned() };
                return refuse(&session.output, &words).await;
            }
        };
        let (running, seat) = (&*entry.running, entry.seat);
        let expires = clock::tick_of(permit.expires());
        let (from, identity) = (place(self.visitor.client), self.visitor.identity.clone());
        let leave = (permit, entry.comer(identity.user()));
        let sitting = running.doors.sit(leave, counts.clone(), from, identity, size);
        let seated = match sitting.await {
            Ok(seated) => seated,
            Err(why) => return refuse(&session.output, &why).await,
        };
        let party = seated.party;
        self.sitting.take(party);
        let (word, owner) = (seat.word().to_owned(), running.owner.clone());
        let sits = Audited::SeatTaken { party: party.0.into(), seat: word, owner };
        self.visitor.tell_in(Some(running.id), sits);
        let fits = session.environment.iter().any(|(name, _)| name == FITS_VARIABLE);
        let viewer = viewer::Viewer::new(running, seat, seated, Window { size, fits });
        let (end, ended) = oneshot::channel();
        let output = session.output.clone();
        let looking = viewer.run(session, &self.stop, ended);
        tokio::pin!(looking);
        let denied = tokio::select! {
            parting = &mut looking => Err(parting),
            denial = self.keep(entry, party, counts, expires) => Ok(denial.farewell()),
        };
        self.sitting.leave(party);
        running.doors.leave(party, denied.as_ref().ok().cloned()).await;
        let why = match denied {
            Ok(why) => {
                // They are out already; what is left is to give them their terminal back.
                let _ = end.send(why.clone());
                looking.await;
                Some(why)
            }
            Err(Parting::Gone) => self.lost(&output).await,
            Err(Parting::Said) => None,
        };
        self.visitor.tell_in(Some(running.id), Audited::SeatLeft { party: party.0.into(), why });
    }

    /// Why somebody is out whose channel is gone, if they did not close it.
    async fn lost(&self, output: &Output) -> Option<String> {
        if let Some(why) = output.fate() {
            return Some(why.to_owned());
        }
        if output.was_left().await {
            return None;
        }
        tokio::select! {
            lost = self.opener.lost() => lost.map(how_lost),
            () = self.stopping.cancelled() => None,
        }
    }

    /// The next sign of life; coming was the first.
    async fn alive(&self) -> bool {
        tokio::time::sleep(viewer::BEAT).await;
        self.opener.ping().await
    }

    /// Keeps a seat as things stand: signs of life, and what it counts for. Completes when it may be kept no longer.
    async fn keep(
        &self,
        entry: &Entry,
        party: Party,
        mut counts: Vec<(usize, usize)>,
        mut expires: Tick,
    ) -> Denial {
        let running = &entry.running;
        let mut latest = self.post.latest.clone();
        latest.mark_changed();
        let alive = self.alive();
        tokio::pin!(alive);
        loop {
            let mut due = false;
            tokio::select! {
                there = &mut alive, if !counts.is_empty() => {
                    if there {
                        running.doors.hear(party).await;
                    }
                    alive.set(self.alive());
                }
                Ok(()) = latest.changed() => due = true,
                () = crate::connection::until(expires) => {
                    (due, expires) = (true, clock::tick().plus_ms(AGAIN_MS));
                }
            }
            if !due {
                continue;
            }
            if let Err(denial) = self.visitor.goes_on(&self.post, entry) {
                return denial;
            }
            let now = self.visitor.counts(&self.post, entry);
            if now != counts {
                counts.clone_from(&now);
                running.doors.recount(party, now).await;
            }
        }
    }
}

//! The sessions that run on this node at this moment, for whoever looks for one, and for auth's list.

use crate::company::Doors;
use crate::session::plain;
use link::http::Channel;
use model::limit::{LIVE_PEOPLE, LIVE_SESSIONS, LIVE_TEXT_BYTES, REQUEST_BYTES};
use model::{ConnectionId, Kind, Login, RoleName, SessionId, Time, UserName};
use policy::Demand;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use wire::company::{Company, Told};
use wire::live::{LiveSession, ReportLive};
use wire::node::Looked;

/// At least between two lists.
const PAUSE: Duration = Duration::from_millis(200);
/// At most between two lists.
const EVERY: Duration = Duration::from_secs(10);

/// A session that runs, or waits to.
#[derive(Debug)]
pub(crate) struct Running {
    pub id: SessionId,
    /// Over which it was opened.
    pub connection: ConnectionId,
    /// Whose it is.
    pub owner: UserName,
    /// Roles of the owner, as it was opened.
    pub roles: Vec<RoleName>,
    pub login: Login,
    /// Whom the owner's roles ask for.
    pub demands: Vec<Demand>,
    /// Whether there is a picture of it to look at.
    pub joinable: bool,
    pub kind: Kind,
    pub since: Time,
    /// Where the owner is.
    pub client: String,
    /// What runs on its terminal, once it was begun.
    pub foreground: OnceLock<host::Foreground>,
    /// How to reach its loop.
    pub doors: Doors,
    /// Who is in it, and how things stand.
    pub company: watch::Receiver<Arc<Company>>,
}

impl Running {
    /// What is decided by.
    pub fn facts(&self) -> policy::SessionFacts<'_> {
        policy::SessionFacts {
            id: self.id,
            owner: &self.owner,
            roles: &self.roles,
            login: &self.login,
        }
    }
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Lives {
    /// Shared by all connections; held for moments only.
    running: Mutex<BTreeMap<SessionId, Arc<Running>>>,
    changes: watch::Sender<u64>,
}

impl Lives {
    /// Puts one on the list, until the place is dropped.
    pub fn enter(self: &Arc<Self>, live: Running) -> Place {
        let id = live.id;
        self.lock().insert(id, Arc::new(live));
        self.changed();
        Place { lives: Arc::clone(self), id }
    }

    /// One of them.
    pub fn find(&self, id: SessionId) -> Option<Arc<Running>> {
        self.lock().get(&id).cloned()
    }

    /// The newest that was opened over a connection.
    pub fn newest_of(&self, connection: ConnectionId) -> Option<Arc<Running>> {
        self.all().into_iter().rev().find(|one| one.connection == connection)
    }

    /// All of them, the oldest first.
    pub fn all(&self) -> Vec<Arc<Running>> {
        let mut all: Vec<_> = self.lock().values().cloned().collect();
        all.sort_by_key(|live| live.since);
        all
    }

    /// Tells those who are in a session that somebody looks at it who is not.
    pub fn looked(&self, looked: &Looked) {
        let Some(running) = self.find(looked.session) else { return };
        let present = running.company.borrow().people.iter().any(|one| one.user == looked.user);
        if !present {
            running.doors.tell(Told::Happened { what: looked.words() });
        }
    }

    /// Says that something of one of them is different.
    pub fn changed(&self) {
        self.changes.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Counts changes.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<SessionId, Arc<Running>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells auth what runs, at each change and every ten seconds, for ever.
pub(crate) async fn report(auth: Channel, lives: Arc<Lives>) {
    let mut changes = lives.changes();
    loop {
        let sessions = list(&lives);
        if let Err(error) = auth.call(&ReportLive { sessions }).await {
            tracing::warn!(%error, "the list of sessions was not told");
        }
        tokio::time::sleep(PAUSE).await;
        let _ = tokio::time::timeout(EVERY, changes.changed()).await;
    }
}

/// The newest sessions, as many as fit into one request.
fn list(lives: &Lives) -> Vec<LiveSession> {
    let mut left = REQUEST_BYTES - REQUEST_BYTES / 8;
    let sessions = lives.all().into_iter().rev().take(LIVE_SESSIONS);
    let fits = |session: &LiveSession| {
        let bytes = serde_json::to_vec(session).map_or(0, |json| json.len());
        let rest = left.checked_sub(bytes);
        left = rest.unwrap_or(0);
        rest.is_some()
    };
    sessions.map(|one| told(&one)).take_while(fits).collect()
}

/// As much of it as auth shows of a text, without what JSON writes at length.
fn cut(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(LIVE_TEXT_BYTES).collect()
}

/// A session as auth's list has it.
fn told(running: &Running) -> LiveSession {
    let company = running.company.borrow();
    LiveSession {
        id: running.id,
        user: running.owner.clone(),
        roles: running.roles.clone(),
        login: running.login.clone(),
        kind: match &running.kind {
            Kind::Exec { command } => Kind::Exec { command: cut(command) },
            kind => kind.clone(),
        },
        since: running.since,
        client: running.client.clone(),
        runs: running.foreground.get().and_then(host::Foreground::program).map(|it| cut(&it)),
        state: company.state,
        why: company.why.clone().or_else(|| {
            let wanted = company.file.as_ref()?;
            Some(format!("a file waits for a word: {}", cut(&plain(&wanted.path))))
        }),
        joinable: running.joinable,
        people: company.people.iter().take(LIVE_PEOPLE).cloned().collect(),
    }
}

/// A session's place on the list.
#[derive(Debug)]
pub(crate) struct Place {
    lives: Arc<Lives>,
    id: SessionId,
}

impl Place {
    /// Says that something of it is different.
    pub fn changed(&self) {
        self.lives.changed();
    }

    /// What runs can be asked from now on.
    pub fn begun(&self, foreground: host::Foreground) {
        if let Some(running) = self.lives.find(self.id) {
            // One session begins one program.
            let _ = running.foreground.set(foreground);
        }
        self.lives.changed();
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.lives.lock().remove(&self.id);
        self.lives.changed();
    }
}

//! Putting a node together, and taking it apart in order.

use crate::aftermath::{self, Leaving};
use crate::connection;
use crate::drawing::Drawing;
use crate::error::Error;
use crate::eyes::{self, Eyes};
use crate::join::{Standing, stand};
use crate::lanes::Lanes;
use crate::lives::{self, Lives};
use crate::news::{self, Known, Latest};
use crate::recover::Recovery;
use crate::refusals::Refusals;
use crate::report::Reporter;
use crate::ship::{self, Received};
use host::PamState;
use link::Places;
use link::ssh::Startups;
use link::tunnel::{Knocks, Port, Tunnel};
use model::audit::Audited;
use model::limit::{AFTERMATHS, SESSIONS_OF_ONE, SHUTDOWN_MS};
use model::role::{Labels, NodeFacts};
use model::{NodeName, SessionId, UserName};
use record::Holdings;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::time::Duration;
use store::elastic::Quota;
use store::keys;
use store::outbox::Outbox;
use store::spool::Spool;
use store::watched::Watched;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Recordings that wait for their shipper. Wait: the session begins a moment later.
const JOBS: usize = 64;
/// Sessions that have ended, whose aftermath waits to be begun. Wait: their connections end a moment later.
const LEAVING: usize = 64;

/// Everything a node needs to know.
#[derive(Debug)]
pub struct Config {
    /// Its name.
    pub name: NodeName,
    /// Its labels.
    pub labels: Labels,
    /// Folder for its keys and its spool.
    pub data_dir: PathBuf,
    /// A port of its own, for clients that reach the machine without a proxy.
    pub listen: Option<SocketAddr>,
    /// Proxies to dial, `host:port`; a tunnel to each.
    pub proxies: Vec<String>,
    /// How to join, until it has joined.
    pub invitation: Option<Invitation>,
    /// Whether the invitation is of auth in this very process, by which a machine may change its own name.
    pub own: bool,
    /// Program that becomes session processes: scry itself.
    pub exe: PathBuf,
    /// Version of scry, for lists.
    pub version: String,
    /// Told `true` once people can reach it.
    pub ready: watch::Sender<bool>,
}

/// Lets a machine in that has not joined yet.
#[derive(Clone)]
pub struct Invitation {
    /// Pin of the cluster's TLS authority.
    pub pin: String,
    /// Secret of the join token.
    pub token: String,
}

impl std::fmt::Debug for Invitation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Invitation").field("pin", &self.pin).finish_non_exhaustive()
    }
}

/// What every connection shares.
#[derive(Debug)]
pub(crate) struct Post {
    pub facts: NodeFacts,
    pub standing: Standing,
    pub latest: Latest,
    pub reporter: Reporter,
    pub refusals: Refusals,
    pub spool: Spool,
    pub startups: Startups,
    pub guests: Startups,
    pub sessions: Arc<AtomicU32>,
    pub host: host::Settings,
    pub elastic: PathBuf,
    pub lives: Arc<Lives>,
    pub kernel: Eyes,
    /// What is noted of sessions whose processes may outlive them, or this node.
    pub watched: Watched,
    pub aftermaths: Places<UserName>,
    /// Sessions that run.
    pub running: Places<UserName>,
    pub drawing: Drawing,
    leaving: mpsc::Sender<Leaving>,
    jobs: mpsc::Sender<Job>,
    /// One account a user, shared by all their connections; held for moments only.
    quotas: Mutex<BTreeMap<UserName, Quota>>,
    /// Whether it was said that this machine has no PAM.
    pam_said: Once,
}

/// A recording to be shipped.
struct Job {
    id: SessionId,
    written: watch::Receiver<Holdings>,
    received: watch::Sender<Received>,
}

impl Post {
    /// Says once that the machine has no PAM.
    pub fn say_pam(&self, state: PamState) {
        if state == PamState::Missing {
            self.pam_said.call_once(|| {
                tracing::info!(
                    "this machine has no libpam; accounts are judged by /etc/shadow alone"
                );
            });
        }
    }

    /// The user's account of untaken input on this node.
    pub fn quota(&self, user: &UserName) -> Quota {
        let mut quotas = self.quotas.lock().unwrap_or_else(PoisonError::into_inner);
        quotas.entry(user.clone()).or_default().clone()
    }

    /// What auth has said.
    pub fn known(&self) -> Arc<Known> {
        let latest = self.latest.borrow().clone();
        #[expect(
            clippy::expect_used,
            reason = "nobody is let in before auth has spoken, and what it said is kept"
        )]
        latest.expect("auth has spoken")
    }

    /// Has recorded what a session leaves running.
    pub async fn leave(&self, leaving: Leaving) {
        // Nobody takes it while the node goes down; the next start finds it by its note.
        let _ = self.leaving.send(leaving).await;
    }

    /// Has a recording shipped from here on; answers what auth has received of it.
    pub async fn ship(
        &self,
        id: SessionId,
        written: watch::Receiver<Holdings>,
    ) -> watch::Receiver<Received> {
        let (received, answer) = watch::channel(Received::default());
        // Without a shipper the node is going down; the next start ships what is in the spool.
        let _ = self.jobs.send(Job { id, written, received }).await;
        answer
    }
}

/// Serves until `stop`: joins, keeps its tunnels, serves what comes through them, ships what was recorded.
///
/// # Errors
/// The node cannot join, or its folder cannot be used.
pub async fn serve(config: Config, stop: CancellationToken) -> Result<(), Error> {
    host::raise_descriptor_limit();
    let swept = tokio::task::spawn_blocking(host::sweep_logins).await.unwrap_or_default();
    if swept > 0 {
        tracing::info!(
            swept,
            "the machine's list of who is here named sessions that a kill had ended"
        );
    }
    let frozen = tokio::task::spawn_blocking(host::sweep_frozen).await.unwrap_or_default();
    if !frozen.is_empty() {
        tracing::warn!(count = frozen.len(), "sessions that a kill had left frozen were ended");
    }
    keys::ensure_dir(&config.data_dir)?;
    let elastic = config.data_dir.join("elastic");
    keys::ensure_dir(&elastic)?;
    let spool = Spool::open(&config.data_dir.join("spool"))?;
    let watched = Watched::open(&config.data_dir.join("watched"))?;
    let Some(stood) = stop.run_until_cancelled(stand(&config)).await else { return Ok(()) };
    let (standing, renewal) = stood?;
    let outbox = Outbox::open(&config.data_dir.join("events"))?;
    let (reporter, sending) = Reporter::new(config.name.clone(), outbox);
    let known = tokio::task::spawn_blocking({
        let folder = config.data_dir.clone();
        move || news::remembered(&folder)
    });
    let (tell, latest) = watch::channel(known.await.unwrap_or_default());
    let lanes = Lanes::open().map_err(Error::Threads)?;
    let (jobs, waiting) = mpsc::channel(JOBS);
    let (leaving, left) = mpsc::channel(LEAVING);
    let sessions = Arc::new(AtomicU32::new(0));
    let auth = standing.auth.clone();
    let lives = Arc::new(Lives::default());

    let mut steady = JoinSet::new();
    let (kernel, opening) = eyes::open();
    steady.spawn(opening);
    steady.spawn(news::listen(auth.clone(), tell, Arc::clone(&lives), config.data_dir.clone()));
    let (version, labels) = (config.version.clone(), standing.labels.clone());
    steady.spawn(news::beat(auth.clone(), labels, version.clone(), sessions.clone()));
    steady.spawn(lives::report(auth.clone(), Arc::clone(&lives)));
    steady.spawn(renewal.run(stop.clone()));
    let hurry = CancellationToken::new();
    let mut reports = JoinSet::new();
    reports.spawn(sending.run(auth.clone(), hurry.clone()));

    let recovery = Recovery {
        auth: auth.clone(),
        spool: spool.clone(),
        key: standing.signing.clone(),
        reporter: reporter.clone(),
    };
    let mut shippers = Shippers { auth, spool: spool.clone(), tasks: JoinSet::new() };
    for left in spool.leftovers()? {
        shippers.recover(recovery.clone(), left.id);
    }

    let knocks = Knocks::new();
    let mut tunnels = JoinSet::new();
    let mut up = Vec::new();
    for proxy in &config.proxies {
        let tunnel = Tunnel::new(standing.tunnel_dialer(proxy)?, &knocks);
        up.push(tunnel.up());
        tunnels.spawn(tunnel.run(stop.clone()));
    }
    if let Some(address) = config.listen {
        let bound = Port::bind(address, &knocks).await;
        let port = bound.map_err(|source| Error::Listen { address, source })?;
        tracing::info!(address = %port.address().unwrap_or(address), "the node has a port of its own");
        tunnels.spawn(port.run());
    }
    steady.spawn(tell_when_ready(config.ready, up, latest.clone()));

    reporter.tell(reporter.event(Audited::NodeStarted { version }));
    let post = Arc::new(Post {
        facts: NodeFacts { name: config.name, labels: standing.labels.clone() },
        standing,
        latest,
        reporter,
        refusals: Refusals::default(),
        spool,
        startups: Startups::default(),
        guests: Startups::of_guests(),
        sessions,
        host: host::Settings { exe: config.exe, ..host::Settings::default() },
        elastic,
        lives: Arc::clone(&lives),
        kernel,
        watched,
        aftermaths: Places::new(AFTERMATHS.0, AFTERMATHS.1),
        running: Places::new(usize::MAX, SESSIONS_OF_ONE),
        drawing: Drawing::new(),
        leaving,
        jobs,
        quotas: Mutex::default(),
        pam_said: Once::new(),
    });
    receive(&post, knocks, (waiting, left), &mut shippers, &lanes, &stop).await;
    post.refusals.own_up(&post.reporter);
    post.reporter.tell(post.reporter.event(Audited::NodeStopped {}));

    // Sessions have ended. What they recorded is shipped, what happened is reported, until the deadline.
    drop(post);
    let deadline = Duration::from_millis(SHUTDOWN_MS);
    if tokio::time::timeout(deadline, shippers.finish()).await.is_err() {
        tracing::warn!(
            recordings = shippers.tasks.len(),
            "not all recordings were shipped; the next start goes on"
        );
    }
    hurry.cancel();
    if tokio::time::timeout(deadline, reports.join_next()).await.is_err() {
        tracing::error!("events for the ledger could not be sent in time");
    }
    steady.shutdown().await;
    tunnels.shutdown().await;
    shippers.tasks.shutdown().await;
    Ok(())
}

/// Serves connections until `stop`, then ends them and waits.
async fn receive(
    post: &Arc<Post>,
    mut knocks: Knocks,
    (mut waiting, mut left): (mpsc::Receiver<Job>, mpsc::Receiver<Leaving>),
    shippers: &mut Shippers,
    lanes: &Lanes,
    stop: &CancellationToken,
) {
    let mut connections = JoinSet::new();
    let noted = post.watched.all().unwrap_or_else(|error| {
        tracing::error!(%error, "what sessions left running before this start is not found");
        Vec::new()
    });
    for (id, text) in noted {
        let again = aftermath::again(Arc::clone(post), id, text, stop.child_token());
        lanes.spawn(&mut connections, again);
    }
    let mut minute = tokio::time::interval(link::FLOOD_WINDOW);
    loop {
        tokio::select! {
            _ = minute.tick() => post.refusals.own_up(&post.reporter),
            knock = knocks.next() => {
                let serve = connection::serve(Arc::clone(post), knock, stop.child_token());
                lanes.spawn(&mut connections, serve);
            }
            Some(job) = waiting.recv() => shippers.begin(job),
            Some(leaving) = left.recv() => {
                let follow = aftermath::follow(Arc::clone(post), leaving, stop.child_token());
                lanes.spawn(&mut connections, follow);
            }
            Some(_) = shippers.tasks.join_next() => {}
            Some(ended) = connections.join_next() => {
                if let Err(error) = ended {
                    tracing::error!(%error, "a connection's task failed");
                }
            }
            () = stop.cancelled() => break,
        }
    }
    let deadline = tokio::time::sleep(Duration::from_millis(SHUTDOWN_MS));
    tokio::pin!(deadline);
    while !connections.is_empty() {
        tokio::select! {
            _ = connections.join_next() => {}
            Some(job) = waiting.recv() => shippers.begin(job),
            // It stays noted, and the next start goes on with it.
            Some(leaving) = left.recv() => leaving.note.write(&post.watched),
            () = &mut deadline => {
                tracing::warn!(late = connections.len(), "connections did not end in time");
                connections.shutdown().await;
            }
        }
    }
}

/// The tasks that ship recordings.
struct Shippers {
    auth: link::http::Channel,
    spool: Spool,
    tasks: JoinSet<()>,
}

impl Shippers {
    fn begin(&mut self, job: Job) {
        let (auth, spool) = (self.auth.clone(), self.spool.clone());
        self.tasks.spawn(ship::ship(auth, spool, job.id, job.written, job.received));
    }

    /// Ships what an earlier run left, once it is closed.
    fn recover(&mut self, recovery: Recovery, id: SessionId) {
        let (auth, spool) = (self.auth.clone(), self.spool.clone());
        self.tasks.spawn(async move {
            let Some(holdings) = recovery.close(id).await else { return };
            let (_, written) = watch::channel(holdings);
            ship::ship(auth, spool, id, written, watch::channel(Received::default()).0).await;
        });
    }

    async fn finish(&mut self) {
        while self.tasks.join_next().await.is_some() {}
    }
}

async fn tell_when_ready(
    ready: watch::Sender<bool>,
    up: Vec<watch::Receiver<bool>>,
    mut latest: Latest,
) {
    let heard = async {
        // The sender lives as long as the node.
        let _ = latest.wait_for(Option::is_some).await;
    };
    let reachable = async {
        let mut tunnels = JoinSet::new();
        for mut one in up {
            tunnels.spawn(async move { one.wait_for(|up| *up).await.is_ok() });
        }
        while let Some(done) = tunnels.join_next().await {
            if done.is_ok_and(|up| up) {
                return;
            }
        }
    };
    tokio::join!(heard, reachable);
    ready.send_replace(true);
}

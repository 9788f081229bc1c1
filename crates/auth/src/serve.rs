//! Start and end: the port, the certificate shown on it, the connections, clean shutdown.

use crate::auth::{Auth, Invited};
use crate::error::{Error, chain};
use crate::ledger;
use crate::routes::Routes;
use crate::sealing::SealerWork;
use crate::storage::Level;
use crate::{Config, clock, locks};
use link::PeerIdentity;
use link::front::{Arrival, Front, Menu};
use link::http::Service;
use link::tls::{Badge, KeyRequest, TlsIdentity, server_config};
use model::audit::Audited;
use model::limit::{CLOCK_SKEW_MS, SHUTDOWN_MS};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use store::tables::ROOM_TAKES;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use wire::name::AUTH_SERVER;

/// Life of auth's own TLS certificate; it is made again at half of it.
const OWN_CERTIFICATE_MS: i64 = 24 * 3600 * 1000;
/// Between two rounds of sweeping and logging the ledger's head.
const CHORES_EVERY: Duration = Duration::from_secs(600);

/// Between two looks at the disk.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Between two sums of what each node's recordings take; in between it is counted.
const SUMS_EVERY: Duration = Duration::from_secs(60);

/// Auth, ready to serve: keys and database are open, the port is bound.
pub struct Prepared {
    auth: Arc<Auth>,
    sealer: SealerWork,
    front: Front,
    badge: Badge,
    address: SocketAddr,
    invited: Invited,
    version: String,
}

impl std::fmt::Debug for Prepared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Prepared").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Prepared {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Pin of the TLS authority: SHA-256 of its SubjectPublicKeyInfo, hexadecimal.
    #[must_use]
    pub fn pin(&self) -> &str {
        &self.auth.pin
    }

    /// Code of the first admin's invitation, while nobody has signed up. Made anew at each start.
    #[must_use]
    pub fn invitation(&self) -> Option<&str> {
        self.invited.admin.as_deref()
    }

    /// Code of the invitation of a proxy in another process, if the settings ask for one. Made anew at each start.
    #[must_use]
    pub fn proxy_invitation(&self) -> Option<&str> {
        self.invited.proxy.as_deref()
    }

    /// What keeps auth from working as it should, in words that change when it does; empty while nothing does.
    #[must_use]
    pub fn storage(&self) -> watch::Receiver<String> {
        self.auth.storage.words()
    }

    /// Join token for parts of the same process, of either kind; counts for ten minutes, and never after a restart.
    #[must_use]
    pub fn join_token(&self) -> &str {
        self.auth.own_token.text()
    }
}

/// Opens keys, database and recordings, and binds the port. Nothing is served yet.
///
/// # Errors
/// Any [`Error`]; nothing that is there was replaced.
pub async fn prepare(config: Config) -> Result<Prepared, Error> {
    let (auth, sealer, invited) = Auth::open(&config).await?;
    let badge = Badge::new(&own_identity(&auth)?)?;
    let menu = Menu::auth(vec![IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)]);
    let tls = server_config(&badge, auth.keys.tls.certificate(), &menu.alpn())?;
    let listening = |source| Error::Listen { address: config.listen, source };
    let listener = std::net::TcpListener::bind(config.listen).map_err(listening)?;
    let front = Front::new(listener, tls, menu).map_err(listening)?;
    let address = front.address().map_err(listening)?;
    let (auth, version) = (Arc::new(auth), config.version);
    Ok(Prepared { auth, sealer, front, badge, address, invited, version })
}

/// Serves until `shutdown`, then lets requests end, and names who was late.
pub async fn serve(prepared: Prepared, shutdown: CancellationToken) {
    let Prepared { auth, sealer, mut front, badge, address, version, .. } = prepared;
    // Also with a full disk: somebody must be able to make room on it.
    auth.ledger.tell(vec![ledger::event(Audited::Started { version })]).await;
    tracing::info!(%address, cluster = auth.cluster, "auth serves");
    let (table, router) = Routes::new(Arc::clone(&auth)).into_parts();
    for route in table {
        tracing::debug!(method = %route.method, path = route.path, accepts = ?route.accepts, "route");
    }
    let service = Service::new(router);
    // Requests may end after `shutdown`; the streams and the chores do not.
    let stop = auth.stop.clone();
    let mut chores = JoinSet::new();
    let (inflow, ledger) = (Arc::clone(&auth.inflow), Arc::clone(&auth.ledger));
    chores.spawn(sealer.run(inflow, ledger, stop.clone()));
    let (checked, stopped) = (Arc::clone(&auth), stop.clone());
    chores.spawn(async move {
        stopped.run_until_cancelled(check_ledger(checked)).await;
    });
    chores.spawn(chores_of(Arc::clone(&auth), badge, stop.clone()));
    chores.spawn(look_after_storage(Arc::clone(&auth), stop.clone()));
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = shutdown.cancelled() => break,
            Some(_) = connections.join_next() => {}
            arrival = front.next() => match arrival {
                Arrival::Http(stream, peer) => {
                    let (service, stop) = (service.clone(), stop.clone());
                    connections.spawn(async move {
                        let who = peer.identity.clone();
                        if let Err(error) = link::http::serve(stream, peer, service, stop).await {
                            tracing::debug!(%who, %error, "a connection broke");
                        }
                    });
                }
                other => tracing::debug!(?other, "not for auth; closed"),
            },
        }
    }
    drop(front);
    stop.cancel();
    finish(&mut connections, "connections").await;
    auth.work.close();
    let grace = Duration::from_millis(SHUTDOWN_MS);
    if tokio::time::timeout(grace, auth.work.wait()).await.is_err() {
        tracing::warn!(late = auth.work.len(), "requests did not end in time");
    }
    finish(&mut chores, "chores").await;
    auth.own_up(true).await;
    auth.ledger.tell(vec![ledger::event(Audited::Stopped {})]).await;
    if !auth.ledger.settle().await {
        tracing::error!("the ledger cannot be written; what it was to know stands in the log only");
    }
    auth.ledger.log_head().await;
    auth.tables.close().await;
}

async fn finish(tasks: &mut JoinSet<()>, what: &str) {
    let all = async { while tasks.join_next().await.is_some() {} };
    if tokio::time::timeout(Duration::from_millis(SHUTDOWN_MS), all).await.is_err() {
        tracing::warn!(late = tasks.len(), what, "did not end in time; aborted");
        tasks.shutdown().await;
    }
}

/// Reads the whole ledger once at the start: whoever altered the file while auth was down is found out.
async fn check_ledger(auth: Arc<Auth>) {
    match auth.ledger.check().await {
        Ok(Ok(rows)) => tracing::info!(rows, "the ledger is whole"),
        Ok(Err(broken)) => {
            let why =
                format!("row {} of the ledger does not follow from those before it", broken.row);
            tracing::error!(why, "the ledger was altered");
            auth.ledger.tell(vec![ledger::event(Audited::Tampering { why })]).await;
        }
        Err(error) => tracing::error!(error = chain(&error), "the ledger cannot be read"),
    }
    // Only after the look at the head that was kept before.
    auth.ledger.log_head().await;
}

/// Sweeps the database, logs the ledger's head, renews auth's own certificate.
async fn chores_of(auth: Arc<Auth>, badge: Badge, stop: CancellationToken) {
    let mut round = tokio::time::interval(CHORES_EVERY);
    round.tick().await;
    let mut made = clock::now();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = round.tick() => {}
        }
        locks::sweep(&auth).await;
        if let Err(error) = auth.tables.sweep(clock::now()).await {
            tracing::warn!(error = chain(&error), "the database cannot be swept");
        }
        auth.ledger.log_head().await;
        if clock::now() > made.plus_ms(OWN_CERTIFICATE_MS / 2) {
            match own_identity(&auth).and_then(|identity| Ok(badge.replace(&identity)?)) {
                Ok(()) => made = clock::now(),
                Err(error) => {
                    tracing::error!(error = chain(&error), "auth's certificate cannot be renewed")
                }
            }
        }
    }
}

/// Looks at the disk every second, and at once when it changed: notes it, makes ballast and room again, writes what the
/// ledger is owed, and what was only counted.
async fn look_after_storage(auth: Arc<Auth>, stop: CancellationToken) {
    let mut round = tokio::time::interval(LOOK_EVERY);
    // Summed up already when auth was opened.
    let mut sums = tokio::time::interval_at(Instant::now() + SUMS_EVERY, SUMS_EVERY);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = auth.storage.changed.notified() => {}
            _ = round.tick() => {}
            _ = sums.tick() => match auth.tables.recording_bytes().await {
                Ok(bytes) => auth.storage.note(bytes),
                Err(error) => tracing::warn!(error = chain(&error), "recordings cannot be summed up"),
            },
        }
        let level = auth.storage.look();
        let ballast = auth.storage.ballast.clone();
        if !ballast.stands() {
            // An error is that of a task which was aborted: auth stops.
            let _ = tokio::task::spawn_blocking(move || ballast.renew()).await;
        }
        if level == Level::Ample {
            keep_room(&auth).await;
        }
        auth.ledger.tell(auth.storage.report()).await;
        auth.own_up(false).await;
        auth.ledger.settle().await;
    }
}

/// Makes room in the database while there is space for it.
async fn keep_room(auth: &Auth) {
    let made = match auth.tables.has_room().await {
        Ok(false) => match auth.storage.promise(ROOM_TAKES) {
            Some(_room) => auth.tables.make_room().await,
            None => return,
        },
        Ok(_) => Ok(()),
        Err(error) => Err(error),
    };
    if let Err(error) = made {
        tracing::warn!(error = chain(&error), "the database has no room for a full disk");
    }
}

/// Auth's own key and certificate, in memory only.
fn own_identity(auth: &Auth) -> Result<TlsIdentity, Error> {
    let asked = KeyRequest::make()?;
    let mut serial = [0_u8; 16];
    rand::fill(&mut serial);
    let now = clock::now();
    let (from, to) = (now.plus_ms(-CLOCK_SKEW_MS), now.plus_ms(OWN_CERTIFICATE_MS));
    let nobody = PeerIdentity::Nobody;
    let chain = auth.keys.tls.sign(&asked.request, &nobody, &[AUTH_SERVER], serial, from, to)?;
    Ok(TlsIdentity { chain, key: asked.key })
}

//! The proxy: the cluster's stateless front reception. Floor 3.
//!
//! It finds nodes and carries connections: calls for auth pass through still encrypted; a person's `CONNECT NODE` and
//! `ssh -J` become streams through that node's tunnel. What goes over them is SSH from end to end, which it cannot read.
//! [`join`] gets its certificates with a token; [`serve`] runs it until it is told to stop. It keeps no files: the door
//! gives it [`Credentials`] and takes renewed ones through [`Keep`].
//!
//! | module | what lives there |
//! |---|---|
//! | `reception` | what becomes of each arrival |
//! | `carry` | streams to nodes by name, and to auth |
//! | `jump` | who may use the SSH jump host |
//! | `upkeep` | the cluster's keys, refreshed; which nodes count; own certificates, renewed |
//! | `report` | denials, on their way into the ledger |
//! | `web` | what browsers ask: pages, calls and streams for auth, terminals, files |

mod carry;
mod credentials;
mod error;
mod jump;
mod reception;
mod report;
mod upkeep;
mod web;

pub use credentials::{Credentials, Keep, Keys, join};
pub use error::Error;
#[doc(hidden)]
pub use web::rehearse as rehearse_web;

use carry::Carry;
use link::front::{Front, Menu};
use link::http::{Channel, Dialer};
use link::ssh::Startups;
use link::tls::{
    Badge, Challenges, PeerIdentity, Trust, WebBadge, client_tls, server_config_by_name,
};
use link::tunnel::Tunnels;
use model::limit::{SHUTDOWN_MS, WEB_ENDED};
use model::role::RoleSet;
use reception::Reception;
use report::Reporter;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{broadcast, watch};
use tokio::task::{Id, JoinSet};
use tokio_util::sync::CancellationToken;
use upkeep::{Trusted, Upkeep};
use web::Web;
use wire::name::{ALPN_AUTH, AUTH_SERVER};

/// What a proxy needs to know. Parsed once, by the reception.
pub struct Config {
    /// The port, bound already, so that the door can say why it could not.
    pub listener: std::net::TcpListener,
    /// Where auth listens, `HOST:PORT`.
    pub auth: String,
    /// Keys and certificates.
    pub credentials: Credentials,
    /// Takes renewed certificates.
    pub keep: Arc<dyn Keep>,
    /// Names and addresses under which browsers reach it; its TLS certificate is good for them.
    pub web_names: Vec<String>,
    /// What is shown to whoever calls by a name of one of them, in place of the cluster's certificate.
    pub web: Vec<WebBadge>,
    /// What ACME servers are answered, if certificates are asked for.
    pub challenges: Option<Challenges>,
}

impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Config")
            .field("listener", &self.listener)
            .field("auth", &self.auth)
            .finish_non_exhaustive()
    }
}

/// Serves until `shutdown`. Then nothing further is accepted, connections have [`SHUTDOWN_MS`] to end, and the rest is cut.
///
/// # Errors
/// When the credentials cannot be used or the listener fails at once. Trouble with auth or a node is none: it is logged
/// and tried again.
pub async fn serve(config: Config, shutdown: CancellationToken) -> Result<(), Error> {
    let Config { listener, auth, credentials, keep, web_names, web: shown, challenges } = config;
    let identity = credentials.tls();
    let name = match identity.subject().map_err(Error::Tls)? {
        PeerIdentity::Proxy(name) => name,
        other => return Err(Error::NotAProxy { other: other.to_string() }),
    };
    let badge = Badge::new(&identity).map_err(Error::Tls)?;
    let authority = credentials.part.cluster.tls_authority.clone();
    let menu = Menu { challenges, ..Menu::proxy() };
    let tls = server_config_by_name(&badge, &shown, &authority, &menu.alpn());
    let tls = tls.map_err(Error::Tls)?;
    let mut front = Front::new(listener, tls, menu).map_err(Error::Listener)?;
    let to_auth = client_tls(&Trust::Authority(authority), Some(&badge), &[ALPN_AUTH]);
    let dialer = Dialer::new(&auth, AUTH_SERVER, to_auth.map_err(Error::Tls)?);
    // Browsers have a connection of their own: however many streams they hold open, the proxy's own calls pass.
    let (channel, visitors) = (Channel::new(dialer.clone()), Channel::new(dialer));

    let (ssh, ssh_now) = watch::channel(credentials.ssh_server()?);
    let (trusted, trusted_now) = watch::channel(Trusted::of(&credentials.part.cluster)?);
    let mut upkeep = JoinSet::new();
    let (reporter, reports) = Reporter::new();
    let stop = CancellationToken::new();
    let reporting = upkeep.spawn(reports.run(channel.clone(), stop.clone()));
    upkeep.spawn(upkeep::refresh(channel.clone(), trusted));
    let (nodes, nodes_now) = watch::channel(None);
    let (roles, roles_now) = watch::channel(RoleSet::default());
    let ended = broadcast::Sender::new(WEB_ENDED);
    upkeep.spawn(upkeep::listen(channel.clone(), nodes, roles, ended.clone()));
    let calls = channel.clone();
    let to_web = visitors.clone();
    let renewing = Upkeep { name, credentials, keep, web_names, badge, ssh, channel, visitors };
    upkeep.spawn(renewing.renew());

    let cut = CancellationToken::new();
    let (tunnels, trusted) = (Tunnels::default(), trusted_now);
    let carry = Carry { tunnels, auth, calls, trusted, reporter: reporter.clone() };
    let guests = Startups::of_guests();
    let (locked, stopping) = (roles_now.clone(), stop.clone());
    let web = Web::new(to_web, carry.clone(), (locked, ended), guests.clone(), stopping);
    let reception = Arc::new(Reception {
        carry,
        reporter,
        ssh: ssh_now,
        nodes: nodes_now,
        roles: roles_now,
        startups: Startups::default(),
        guests,
        web: Arc::new(web),
        stop: stop.clone(),
        cut: cut.clone(),
    });
    let mut visits = Visits::default();
    loop {
        tokio::select! {
            arrival = front.next() => visits.receive(&reception, arrival),
            () = visits.ended(), if !visits.is_empty() => {}
            () = shutdown.cancelled() => break,
        }
    }
    drop(front);
    stop.cancel();
    visits.finish(&cut).await;
    let flushed = async { while !reporting.is_finished() && upkeep.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(Duration::from_secs(1), flushed).await;
    upkeep.shutdown().await;
    Ok(())
}

/// The connections under way, each with what it is for.
#[derive(Default)]
struct Visits {
    tasks: JoinSet<()>,
    kinds: BTreeMap<Id, String>,
}

impl Visits {
    fn receive(&mut self, reception: &Arc<Reception>, arrival: link::front::Arrival) {
        let kind = reception::kind(&arrival);
        let reception = Arc::clone(reception);
        let task = self.tasks.spawn(async move { reception.receive(arrival).await });
        self.kinds.insert(task.id(), kind);
    }

    fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Until one has ended.
    async fn ended(&mut self) {
        let id = match self.tasks.join_next_with_id().await {
            None => return,
            Some(Ok((id, ()))) => id,
            Some(Err(error)) => {
                if error.is_panic() {
                    tracing::error!(%error, "a connection failed unexpectedly");
                }
                error.id()
            }
        };
        self.kinds.remove(&id);
    }

    /// Gives them their time, then cuts and names those that are late.
    async fn finish(mut self, cut: &CancellationToken) {
        let ending = async {
            while !self.is_empty() {
                self.ended().await;
            }
        };
        if tokio::time::timeout(Duration::from_millis(SHUTDOWN_MS), ending).await.is_err() {
            for kind in self.kinds.values() {
                tracing::warn!(kind, "cut: it did not end in time");
            }
        }
        cut.cancel();
        self.tasks.shutdown().await;
    }
}

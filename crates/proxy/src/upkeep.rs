//! What keeps a proxy current: the cluster's keys, asked for every minute; its own certificates, renewed at half life.

use crate::credentials::{Credentials, Keep};
use crate::error::Error;
use link::http::{Channel, words};
use link::ssh::server::Server;
use link::ssh::ssh_key::PublicKey;
use link::tls::Badge;
use model::role::RoleSet;
use model::{NodeName, Time};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::{broadcast, watch};
use wire::node::{PartCredentials, Renew};
use wire::people::{ClusterFacts, ReadCluster};

/// Between two looks at the cluster's keys.
const REFRESH: Duration = Duration::from_secs(60);
/// Longest time between two looks at the own certificates.
const LOOK_MS: i64 = 60 * 60 * 1000;
/// After a renewal, whether it worked or not.
const RETRY: Duration = Duration::from_secs(60);

/// Silence after which auth is asked anew; it speaks every 10 s.
const SILENCE: Duration = Duration::from_secs(30);
/// Pause after the news from auth broke off.
const LISTEN_AGAIN: Duration = Duration::from_millis(500);

/// Whose certificates count at the jump host.
#[derive(Debug, Clone)]
pub(crate) struct Trusted {
    pub(crate) cluster: String,
    pub(crate) user_authority: Vec<PublicKey>,
}

impl Trusted {
    pub(crate) fn of(facts: &ClusterFacts) -> Result<Self, Error> {
        let user_authority = facts
            .user_authority
            .iter()
            .map(|key| PublicKey::from_openssh(key))
            .collect::<Result<_, _>>()
            .map_err(|source| Error::Ssh { what: "a key of the cluster", source })?;
        Ok(Self { cluster: facts.name.clone(), user_authority })
    }
}

/// The wall clock.
pub(crate) fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Asks auth for the cluster's keys, at once and every minute, for ever.
pub(crate) async fn refresh(auth: Channel, trusted: watch::Sender<Trusted>) {
    loop {
        match auth.call(&ReadCluster {}).await {
            Ok(facts) => match Trusted::of(&facts) {
                Ok(fresh) => {
                    trusted.send_replace(fresh);
                }
                Err(error) => {
                    tracing::error!(error = words(&error), "the cluster's keys cannot be read")
                }
            },
            Err(error) => {
                tracing::warn!(error = words(&error), "the cluster's keys are not refreshed")
            }
        }
        tokio::time::sleep(REFRESH).await;
    }
}

/// Every node of the cluster with the pin of its TLS key.
pub(crate) type NodeKeys = BTreeMap<NodeName, String>;

/// Whose tunnels count, as auth said last; nothing before it has spoken.
pub(crate) type Nodes = watch::Receiver<Option<NodeKeys>>;

/// What becomes of web sessions, for what is open for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// This one has ended.
    One(u64),
    /// Something may have been missed: each is asked about.
    AskAgain,
}

/// Listens to which nodes count, what is locked and which web sessions end, for ever. While auth is away, what it said last
/// goes on to count.
pub(crate) async fn listen(
    auth: Channel,
    tell: watch::Sender<Option<NodeKeys>>,
    roles: watch::Sender<RoleSet>,
    web: broadcast::Sender<Ended>,
) {
    loop {
        if let Err(why) = hear(&auth, &tell, &roles, &web).await {
            tracing::debug!(why, "the news from auth broke off");
        }
        tokio::time::sleep(LISTEN_AGAIN).await;
    }
}

async fn hear(
    auth: &Channel,
    tell: &watch::Sender<Option<NodeKeys>>,
    roles: &watch::Sender<RoleSet>,
    web: &broadcast::Sender<Ended>,
) -> Result<(), String> {
    let mut lines =
        auth.lines::<wire::node::ProxyNews>("/v1/proxy/nodes").await.map_err(|e| words(&e))?;
    let mut first = true;
    loop {
        match tokio::time::timeout(SILENCE, lines.next()).await {
            Ok(Ok(Some(line))) => {
                let again = std::mem::take(&mut first).then_some(Ended::AskAgain);
                for ended in again.into_iter().chain(line.ended.into_iter().map(Ended::One)) {
                    // Nobody may have anything open.
                    let _ = web.send(ended);
                }
                if let Some(nodes) = line.nodes {
                    tell.send_replace(Some(nodes));
                }
                if let Some(set) = line.roles {
                    roles.send_replace(set);
                }
            }
            Ok(Ok(None)) => return Err("auth ended the stream".to_owned()),
            Ok(Err(error)) => return Err(words(&error)),
            Err(_) => return Err("auth fell silent".to_owned()),
        }
    }
}

/// Renews the own certificates.
pub(crate) struct Upkeep {
    pub(crate) name: NodeName,
    pub(crate) credentials: Credentials,
    pub(crate) keep: Arc<dyn Keep>,
    pub(crate) web_names: Vec<String>,
    pub(crate) badge: Badge,
    pub(crate) ssh: watch::Sender<Server>,
    pub(crate) channel: Channel,
    /// What browsers ask goes over it.
    pub(crate) visitors: Channel,
}

impl Upkeep {
    /// For ever: waits for half of the certificates' life, then renews them.
    pub(crate) async fn renew(mut self) {
        loop {
            let renew_at = self.credentials.tls().renew_at().unwrap_or_default();
            let left = renew_at.0.saturating_sub(now().0);
            if left > 0 {
                // In steps, because the wall clock may jump.
                let step = u64::try_from(left.min(LOOK_MS)).unwrap_or(0);
                tokio::time::sleep(Duration::from_millis(step)).await;
                continue;
            }
            if let Err(why) = self.renew_once().await {
                tracing::error!(why, "the proxy's certificates are not renewed; trying again");
            }
            // Also after a success: a clock that is far off must not make this loop spin.
            tokio::time::sleep(RETRY).await;
        }
    }

    async fn renew_once(&mut self) -> Result<(), String> {
        let keys = self.credentials.keys.request(&self.name, &self.web_names);
        let keys = keys.map_err(|e| words(&e))?;
        let part = self.channel.call(&Renew { keys }).await.map_err(|e| words(&e))?;
        let fresh = Credentials { keys: self.credentials.keys.clone(), part: part.clone() };
        let server = fresh.ssh_server().map_err(|e| words(&e))?;
        self.badge.replace(&fresh.tls()).map_err(|e| words(&e))?;
        self.ssh.send_replace(server);
        self.credentials = fresh;
        self.channel.renew().await;
        self.visitors.renew().await;
        tracing::info!(expires = part.expires.0, "the proxy's certificates are renewed");
        self.store(part).await;
        Ok(())
    }

    async fn store(&self, part: PartCredentials) {
        let keep = Arc::clone(&self.keep);
        let kept = tokio::task::spawn_blocking(move || keep.keep(&part)).await;
        match kept {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "renewed certificates are not on the disk"),
            Err(error) => tracing::error!(%error, "renewed certificates are not on the disk"),
        }
    }
}

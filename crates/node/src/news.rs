//! What auth tells a node: the roles and whose certificates count; and the heartbeat that tells auth of the node.

use link::http::Channel;
use model::limit::AUTH_AWAY_MS;
use model::role::{Labels, RoleSet};
use ssh_key::PublicKey;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use wire::node::{Heartbeat, News};

/// Silence after which the stream is dialed again. Auth speaks every 10 s.
const SILENCE: Duration = Duration::from_secs(30);
/// Pause after a stream broke.
const PAUSE: Duration = Duration::from_millis(500);
/// How often a node says that it is there.
const BEAT: Duration = Duration::from_secs(10);

/// What auth has said.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    pub roles: RoleSet,
    pub user_authority: Vec<PublicKey>,
    heard: Instant,
}

impl Known {
    /// Whether auth speaks at this time: two of its beats were not missed.
    pub fn heard_lately(&self) -> bool {
        self.heard.elapsed() < SILENCE
    }

    /// Whether auth was heard of recently enough to let new sessions in (ruling 18).
    pub fn fresh(&self) -> bool {
        self.heard.elapsed() < Duration::from_millis(AUTH_AWAY_MS)
    }
}

/// The latest of it; nothing before auth has spoken for the first time.
pub(crate) type Latest = watch::Receiver<Option<Arc<Known>>>;

/// Listens for ever.
pub(crate) async fn listen(auth: Channel, tell: watch::Sender<Option<Arc<Known>>>) {
    loop {
        if let Err(why) = hear(&auth, &tell).await {
            tracing::debug!(why, "news from auth broke off");
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn hear(auth: &Channel, tell: &watch::Sender<Option<Arc<Known>>>) -> Result<(), String> {
    let mut lines = auth.lines::<News>("/v1/node/news").await.map_err(|e| e.to_string())?;
    let mut roles: Option<RoleSet> = None;
    loop {
        let next = tokio::time::timeout(SILENCE, lines.next()).await;
        let news = match next {
            Ok(Ok(Some(news))) => news,
            Ok(Ok(None)) => return Err("auth ended the stream".to_owned()),
            Ok(Err(error)) => return Err(error.to_string()),
            Err(_) => return Err("auth fell silent".to_owned()),
        };
        if let Some(new) = news.roles {
            roles = Some(new);
        }
        let Some(roles) = roles.clone() else { continue };
        let keys = news.user_authority.iter().filter_map(|key| PublicKey::from_openssh(key).ok());
        let known = Known { roles, user_authority: keys.collect(), heard: Instant::now() };
        tell.send_replace(Some(Arc::new(known)));
    }
}

/// Beats for ever.
pub(crate) async fn beat(auth: Channel, labels: Labels, version: String, sessions: Arc<AtomicU32>) {
    loop {
        let sessions = sessions.load(Ordering::Relaxed);
        let beat = Heartbeat { labels: labels.clone(), version: version.clone(), sessions };
        if let Err(error) = auth.call(&beat).await {
            tracing::debug!(%error, "no heartbeat");
        }
        tokio::time::sleep(BEAT).await;
    }
}

//! What auth tells a node: who may what, and whose certificates count; and the heartbeat that tells auth of the node.

use crate::clock;
use crate::lives::Lives;
use link::http::Channel;
use model::Time;
use model::limit::AUTH_AWAY_MS;
use model::role::{Labels, RoleSet};
use serde::{Deserialize, Serialize};
use ssh_key::PublicKey;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use store::keys;
use tokio::sync::watch;
use wire::node::{Heartbeat, News};

/// Silence after which the stream is dialed again. Auth speaks every 10 s.
const SILENCE: Duration = Duration::from_secs(30);
/// Pause after a stream broke.
const PAUSE: Duration = Duration::from_millis(500);
/// How often a node says that it is there.
const BEAT: Duration = Duration::from_secs(10);
/// How old the written time at which auth was heard may become while auth says nothing new.
const WRITE_EVERY: Duration = Duration::from_secs(60);
/// File of what auth said last.
const FILE: &str = "news.json";

/// What auth has said.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    /// Roles, locks and corrections.
    pub roles: RoleSet,
    pub user_authority: Vec<PublicKey>,
    heard: Instant,
    /// How long auth had been silent when this process read it from the disk.
    silent_before: Duration,
}

impl Known {
    fn new(kept: &Kept, silent_before: Duration) -> Self {
        let keys = kept.user_authority.iter().filter_map(|key| PublicKey::from_openssh(key).ok());
        let roles = kept.roles.clone();
        Self { roles, user_authority: keys.collect(), heard: Instant::now(), silent_before }
    }

    /// Whether auth speaks at this time: two of its beats were not missed.
    pub fn heard_lately(&self) -> bool {
        self.silence() < SILENCE
    }

    /// Whether auth was heard of recently enough to let new sessions in (ruling 18).
    pub fn fresh(&self) -> bool {
        self.silence() < Duration::from_millis(AUTH_AWAY_MS)
    }

    fn silence(&self) -> Duration {
        self.silent_before.saturating_add(self.heard.elapsed())
    }
}

/// The latest of it; nothing before auth has spoken for the first time.
pub(crate) type Latest = watch::Receiver<Option<Arc<Known>>>;

/// What stands on the disk, so that a node that starts while auth is away knows locks and roles.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    roles: RoleSet,
    user_authority: Vec<String>,
    heard: Time,
}

/// What auth said before this start, if it can be read.
pub(crate) fn remembered(folder: &Path) -> Option<Arc<Known>> {
    let path = folder.join(FILE);
    let bytes = match keys::read_private(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.is_missing() => return None,
        Err(error) => {
            tracing::warn!(%error, "what auth said last cannot be read; nobody is let in before it speaks");
            return None;
        }
    };
    match serde_json::from_slice::<Kept>(&bytes) {
        Ok(kept) => Some(Arc::new(Known::new(&kept, silent_since(kept.heard, clock::now())))),
        Err(error) => {
            tracing::warn!(%error, path = %path.display(), "what auth said last is damaged; nobody is let in before it speaks");
            None
        }
    }
}

/// A clock that was set back says nothing of how long it was.
fn silent_since(heard: Time, now: Time) -> Duration {
    u64::try_from(now.0.saturating_sub(heard.0)).map_or(Duration::MAX, Duration::from_millis)
}

/// Listens for ever; what is heard counts at once, and stands in `folder` a moment later.
pub(crate) async fn listen(
    auth: Channel,
    tell: watch::Sender<Option<Arc<Known>>>,
    lives: Arc<Lives>,
    folder: PathBuf,
) {
    let mut ear = Ear { tell, lives, path: folder.join(FILE), written: None };
    loop {
        if let Err(why) = ear.hear(&auth).await {
            tracing::debug!(why, "news from auth broke off");
        }
        tokio::time::sleep(PAUSE).await;
    }
}

struct Ear {
    tell: watch::Sender<Option<Arc<Known>>>,
    lives: Arc<Lives>,
    path: PathBuf,
    /// What was written last, and when.
    written: Option<(Kept, Instant)>,
}

impl Ear {
    async fn hear(&mut self, auth: &Channel) -> Result<(), String> {
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
            for looked in &news.looked {
                self.lives.looked(looked);
            }
            if let Some(new) = news.roles {
                roles = Some(new);
            }
            let Some(roles) = roles.clone() else { continue };
            let user_authority = news.user_authority;
            let kept = Kept { roles, user_authority, heard: clock::now() };
            self.tell.send_replace(Some(Arc::new(Known::new(&kept, Duration::ZERO))));
            self.keep(kept).await;
        }
    }

    async fn keep(&mut self, kept: Kept) {
        let stands = self.written.as_ref().is_some_and(|(before, at)| {
            let same =
                (&before.roles, &before.user_authority) == (&kept.roles, &kept.user_authority);
            same && at.elapsed() < WRITE_EVERY
        });
        if stands {
            return;
        }
        let (path, copy) = (self.path.clone(), kept.clone());
        let writing = tokio::task::spawn_blocking(move || {
            let bytes = serde_json::to_vec(&copy).map_err(|error| error.to_string())?;
            keys::write(&path, &bytes).map_err(|error| error.to_string())
        });
        match writing.await.unwrap_or_else(|error| Err(error.to_string())) {
            Ok(()) => self.written = Some((kept, Instant::now())),
            Err(why) => tracing::warn!(
                why,
                "what auth says cannot be written down; a restart while it is away lets nobody in"
            ),
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_auth_said_is_known_after_a_restart_and_counts_for_ten_minutes() {
        let folder = tempfile::tempdir().unwrap();
        assert!(remembered(folder.path()).is_none());
        for (minutes, fresh) in [(0, true), (9, true), (11, false), (-5, false)] {
            let heard = clock::now().plus_ms(-minutes * 60_000);
            let roles = RoleSet { rev: 7, ..RoleSet::default() };
            let kept = Kept { roles, user_authority: vec!["no key".into()], heard };
            keys::write(&folder.path().join(FILE), &serde_json::to_vec(&kept).unwrap()).unwrap();
            let known = remembered(folder.path()).unwrap();
            assert_eq!((known.roles.rev, known.fresh()), (7, fresh), "{minutes}");
        }
        std::fs::write(folder.path().join(FILE), "{").unwrap();
        assert!(remembered(folder.path()).is_none(), "damaged");
    }
}

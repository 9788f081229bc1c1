//! Auth's disk: how much of it is left, and who may still put something on it.
//!
//! | level | recordings of nodes | reports of nodes | people |
//! |---|---|---|---|
//! | ample | up to the node's quota | taken | served |
//! | low: less is free than is to be kept free | of each node its reserve | taken | served |
//! | full: as good as nothing is free | wait at the node | wait at the node | served, with the room in the database, then with the ballast's |
//!
//! What is refused here was not written, so nothing that was answered as received is ever missing.

use crate::error::Refusal;
use crate::ledger;
use model::audit::Audited;
use model::limit::{KEEP_FREE, NODE_QUOTA_PERCENT, NODE_RESERVE_BYTES};
use model::{AuditEvent, NodeName};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use store::disk::{Ballast, Space};
use tokio::sync::{Notify, watch};
use wire::Fault;

/// Part of its quota that must be free again before a node that was over it is let in: 1 in so many.
const QUOTA_SLACK: u64 = 20;

/// An amount of disk space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    /// So many bytes.
    Bytes(u64),
    /// So much of the disk.
    Percent(u8),
}

impl Share {
    fn of(self, total: u64) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Percent(percent) => total / 100 * u64::from(percent),
        }
    }
}

/// Who may put how much on auth's disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// What is kept free; [`KEEP_FREE`] if not said.
    pub keep_free: Option<Share>,
    /// What the recordings of one node may take, arriving and stored.
    pub node_quota: Share,
    /// Bytes that are taken from each node while less is free than is to be kept free.
    pub node_reserve: u64,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            keep_free: None,
            node_quota: Share::Percent(NODE_QUOTA_PERCENT),
            node_reserve: NODE_RESERVE_BYTES,
        }
    }
}

/// How the disk is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// There is enough.
    Ample,
    /// Less is free than is to be kept free.
    Low,
    /// As good as nothing is free.
    Full,
}

/// The disk and its bounds.
pub struct Storage {
    dir: PathBuf,
    pub ballast: Ballast,
    bounds: Bounds,
    /// Locked for a look at numbers.
    state: Mutex<State>,
    /// There is something to look at.
    pub changed: Notify,
    /// There is more room than there was: what waits for it may be tried again.
    pub eased: Notify,
    /// In words, for who asks whether auth is well; empty while it is.
    words: watch::Sender<String>,
}

struct State {
    space: Space,
    level: Level,
    nodes: BTreeMap<NodeName, Taken>,
    /// Bytes of all [`Promise`]s, and whether one was refused for their sake since the last was given back.
    promised: u64,
    more_wanted: bool,
    /// For the ledger.
    events: Vec<AuditEvent>,
}

/// What a node's recordings take.
#[derive(Debug, Clone, Copy, Default)]
struct Taken {
    bytes: u64,
    /// Of these, since less is free than is to be kept free.
    while_low: u64,
    /// It was refused for its quota, and is let in a little below it.
    over: bool,
    /// It was refused, and has put nothing since.
    waits: bool,
}

impl Storage {
    /// Over the disk that `dir` lies on.
    pub fn new(dir: &Path, ballast: Ballast, bounds: Bounds) -> std::io::Result<Self> {
        let space = Space::of(dir)?;
        let state = State {
            space,
            level: Level::Ample,
            nodes: BTreeMap::new(),
            promised: 0,
            more_wanted: false,
            events: Vec::new(),
        };
        let storage = Self {
            dir: dir.to_owned(),
            ballast,
            bounds,
            state: Mutex::new(state),
            changed: Notify::new(),
            eased: Notify::new(),
            words: watch::Sender::new(String::new()),
        };
        storage.look_at(space);
        Ok(storage)
    }

    /// Lets a node put `bytes` more of its recordings on the disk, or says why not, so that it tries again later.
    pub fn admit(&self, node: &NodeName, bytes: u64) -> Result<(), Refusal> {
        self.admit_with(Space::of(&self.dir).ok(), node, bytes)
    }

    fn admit_with(&self, space: Option<Space>, node: &NodeName, bytes: u64) -> Result<(), Refusal> {
        if let Some(space) = space {
            // As it will be with them.
            self.look_at(Space { free: space.free.saturating_sub(bytes), ..space });
        }
        let mut state = self.state();
        let State { space, level, nodes, events, .. } = &mut *state;
        let (level, total, free) = (*level, space.total, space.free);
        let quota = self.bounds.node_quota.of(total);
        let taken = nodes.entry(node.clone()).or_default();
        let most = if taken.over { quota - quota / QUOTA_SLACK } else { quota };
        let used = taken.bytes;
        taken.waits = true;
        if used.saturating_add(bytes) > most {
            if !taken.over {
                taken.over = true;
                let mut event = ledger::event(Audited::NodeOverQuota { used, quota });
                event.node = Some(node.clone());
                events.push(event);
                self.changed.notify_one();
                tracing::warn!(%node, used, quota, "a node's recordings take as much as they may");
            }
            return Err(refuse("quota", over_quota(node, used, quota)));
        }
        taken.over = false;
        match level {
            Level::Ample => {}
            Level::Low if taken.while_low.saturating_add(bytes) <= self.bounds.node_reserve => {
                taken.while_low = taken.while_low.saturating_add(bytes);
            }
            Level::Low => {
                let (free, kept) = (size(free), size(self.keep_free(total)));
                let words = format!(
                    "auth's disk has {free} left of the {kept} that are kept free, and the reserve of {node} is used \
                     up: free some space there, or `scry recordings rm`"
                );
                return Err(refuse("low", words));
            }
            Level::Full => {
                let words = "auth's disk is full: free some space there, or `scry recordings rm`";
                return Err(refuse("full", words.to_owned()));
            }
        }
        taken.waits = false;
        taken.bytes = taken.bytes.saturating_add(bytes);
        Ok(())
    }

    /// Lets a part report what happened, or has it wait: what is left of a full disk is for the people who make room on it.
    pub fn admit_report(&self) -> Result<(), Refusal> {
        if self.look() < Level::Full {
            return Ok(());
        }
        let words = "auth's disk is full: events wait until there is space";
        Err(refuse("full", words.to_owned()))
    }

    /// Room for so many bytes that are written for a moment, to free as many afterwards; `None` if there is less.
    pub fn promise(&self, bytes: u64) -> Option<Promise<'_>> {
        self.promise_of(Space::of(&self.dir).ok()?, bytes)
    }

    fn promise_of(&self, space: Space, bytes: u64) -> Option<Promise<'_>> {
        let mut state = self.state();
        let wanted = bytes.saturating_add(self.ballast.bytes());
        if space.free < wanted.saturating_add(state.promised) {
            state.more_wanted |= space.free >= wanted;
            return None;
        }
        state.promised = state.promised.saturating_add(bytes);
        Some(Promise { storage: self, bytes })
    }

    /// A node's recordings take so much less.
    pub fn freed(&self, node: &NodeName, bytes: u64) {
        if let Some(taken) = self.state().nodes.get_mut(node) {
            taken.bytes = taken.bytes.saturating_sub(bytes);
        }
        self.changed.notify_one();
        self.eased.notify_one();
    }

    /// What the recordings of each node take, as the database knows it.
    pub fn note(&self, bytes: BTreeMap<NodeName, u64>) {
        let mut state = self.state();
        for (node, taken) in &mut state.nodes {
            taken.bytes = bytes.get(node).copied().unwrap_or(0);
        }
        for (node, bytes) in bytes {
            state.nodes.entry(node).or_insert(Taken { bytes, ..Taken::default() });
        }
    }

    /// Looks how much is free.
    pub fn look(&self) -> Level {
        match Space::of(&self.dir) {
            Ok(space) => self.look_at(space),
            Err(error) => {
                tracing::error!(%error, "auth's disk cannot be looked at");
                self.state().level
            }
        }
    }

    fn look_at(&self, space: Space) -> Level {
        let (ballast, keep_free) = (self.ballast.bytes(), self.keep_free(space.total));
        let mut state = self.state();
        let before = state.level;
        // A level is left a little later than it is entered.
        let (low, full) = match before {
            Level::Ample => (keep_free, ballast),
            Level::Low => (keep_free.saturating_add(ballast), ballast),
            Level::Full => (keep_free.saturating_add(ballast), ballast + ballast / 2),
        };
        let level = match space.free {
            free if free < full => Level::Full,
            free if free < low => Level::Low,
            _ => Level::Ample,
        };
        (state.space, state.level) = (space, level);
        if level == before {
            return level;
        }
        let free = space.free;
        if level == Level::Ample {
            state.nodes.values_mut().for_each(|taken| taken.while_low = 0);
        }
        tracing::warn!(?level, free, keep_free, "auth's disk");
        let what = match level {
            Level::Ample => Audited::StorageBack { free },
            Level::Low => Audited::StorageLow { free, keep_free },
            Level::Full => Audited::StorageFull { free },
        };
        state.events.push(ledger::event(what));
        let words = match level {
            Level::Ample => String::new(),
            Level::Low => format!("auth's disk is low: {} are free", size(free)),
            Level::Full => "auth's disk is full".to_owned(),
        };
        self.words.send_replace(words);
        self.changed.notify_one();
        if level < before {
            self.eased.notify_one();
        }
        level
    }

    /// Shows the numbers to who collects them, and takes what the ledger is to know.
    pub fn report(&self) -> Vec<AuditEvent> {
        let mut state = self.state();
        #[expect(clippy::cast_precision_loss, reason = "a gauge; exact to 2^52 bytes")]
        metrics::gauge!("scry_auth_disk_free_bytes").set(state.space.free as f64);
        let level = match state.level {
            Level::Ample => 0.0,
            Level::Low => 1.0,
            Level::Full => 2.0,
        };
        metrics::gauge!("scry_auth_storage_level").set(level);
        metrics::gauge!("scry_auth_ballast").set(if self.ballast.stands() { 1.0 } else { 0.0 });
        std::mem::take(&mut state.events)
    }

    /// Why recordings of this node wait there, if they do.
    pub fn waits(&self, node: &NodeName) -> Option<String> {
        let state = self.state();
        let taken = state.nodes.get(node).copied().unwrap_or_default();
        if taken.over {
            let quota = self.bounds.node_quota.of(state.space.total);
            return Some(over_quota(node, taken.bytes, quota));
        }
        match state.level {
            Level::Low if taken.waits => Some(self.words.borrow().clone()),
            Level::Ample | Level::Low => None,
            Level::Full => Some(self.words.borrow().clone()),
        }
    }

    /// How it is, in words that change when it does; empty while there is enough.
    pub fn words(&self) -> watch::Receiver<String> {
        self.words.subscribe()
    }

    /// At least so much that the disk is low before it is full.
    fn keep_free(&self, total: u64) -> u64 {
        let (percent, most) = KEEP_FREE;
        let usual = || Share::Percent(percent).of(total).min(most);
        let wanted = self.bounds.keep_free.map_or_else(usual, |share| share.of(total));
        wanted.max(self.ballast.bytes().saturating_mul(2))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Room on the disk that nobody else is promised, until it is dropped.
pub struct Promise<'a> {
    storage: &'a Storage,
    bytes: u64,
}

impl Drop for Promise<'_> {
    fn drop(&mut self) {
        let mut state = self.storage.state();
        state.promised = state.promised.saturating_sub(self.bytes);
        if std::mem::take(&mut state.more_wanted) {
            self.storage.eased.notify_one();
        }
    }
}

fn refuse(reason: &'static str, words: String) -> Refusal {
    metrics::counter!("scry_auth_storage_refusals_total", "reason" => reason).increment(1);
    Refusal::new(Fault::Unavailable, words)
}

fn over_quota(node: &NodeName, used: u64, quota: u64) -> String {
    format!(
        "the recordings of {node} take {} of the {} that one node's may: `scry recordings rm` makes room, --node-quota of \
         `scry start` gives more",
        size(used),
        size(quota)
    )
}

/// A number of bytes for people.
fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let (mut whole, mut rest, mut unit) = (bytes, 0, 0);
    while whole >= 1024 && unit + 1 < UNITS.len() {
        (rest, whole, unit) = (whole % 1024 * 10 / 1024, whole / 1024, unit + 1);
    }
    let name = UNITS.get(unit).copied().unwrap_or_default();
    if unit == 0 { format!("{whole} {name}") } else { format!("{whole}.{rest} {name}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn storage(dir: &tempfile::TempDir, bounds: Bounds) -> Storage {
        let ballast = Ballast::new(&dir.path().join("ballast"), 4 * MIB).unwrap();
        assert_eq!(ballast.bytes(), 4 * MIB);
        let storage = Storage::new(dir.path(), ballast, bounds).unwrap();
        storage.look_at(free(1000));
        storage.report();
        storage
    }

    fn free(mib: u64) -> Space {
        Space { free: mib * MIB, total: 1000 * MIB }
    }

    fn node(name: &str) -> NodeName {
        name.parse().unwrap()
    }

    fn words(storage: &Storage) -> Vec<&'static str> {
        storage.report().iter().map(|event| event.what.word()).collect()
    }

    fn bounds() -> Bounds {
        let keep_free = Some(Share::Bytes(100 * MIB));
        Bounds { keep_free, node_quota: Share::Percent(10), node_reserve: 8 * MIB }
    }

    #[track_caller]
    fn check(storage: &Storage, mib_free: u64, name: &str, mib: u64, taken: bool) {
        let answer = storage.admit_with(Some(free(mib_free)), &node(name), mib * MIB);
        if let Err(refusal) = &answer {
            assert_eq!(refusal.fault(), Fault::Unavailable, "it may be tried again");
        }
        assert_eq!(answer.is_ok(), taken, "{answer:?}");
    }

    #[test]
    fn a_node_at_its_quota_waits_and_others_do_not() {
        let dir = tempfile::tempdir().unwrap();
        let storage = storage(&dir, bounds());
        check(&storage, 900, "web", 99, true);
        check(&storage, 900, "web", 2, false);
        check(&storage, 900, "web", 1, false);
        check(&storage, 900, "db", 50, true);
        assert_eq!(words(&storage), ["storage.node_over_quota"], "said once");
        assert!(storage.waits(&node("web")).unwrap().contains("99.0 MiB of the 100.0 MiB"));
        assert_eq!(storage.waits(&node("db")), None);
        // Not before there is some room does it go on, and by itself then.
        storage.freed(&node("web"), 3 * MIB);
        check(&storage, 900, "web", 1, false);
        storage.freed(&node("web"), 10 * MIB);
        check(&storage, 900, "web", 1, true);
        assert_eq!((words(&storage).len(), storage.waits(&node("web"))), (0, None));
        // The database knows better than this.
        storage.note([(node("web"), 100 * MIB)].into());
        check(&storage, 900, "web", 1, false);
        check(&storage, 900, "db", 100, true);
    }

    #[test]
    fn below_what_is_kept_free_each_node_has_its_reserve_until_there_is_space_again() {
        let dir = tempfile::tempdir().unwrap();
        let storage = storage(&dir, bounds());
        check(&storage, 102, "web", 1, true);
        check(&storage, 100, "web", 5, true);
        check(&storage, 95, "web", 4, false);
        check(&storage, 95, "web", 3, true);
        check(&storage, 92, "db", 8, true);
        check(&storage, 84, "db", 1, false);
        assert!(storage.waits(&node("db")).unwrap().contains("low"));
        assert_eq!(storage.waits(&node("web")), None, "it was not refused since");
        assert_eq!(words(&storage), ["storage.low"]);
        // A little more is not enough, lest it change with every piece.
        check(&storage, 102, "web", 1, false);
        check(&storage, 110, "web", 1, true);
        assert_eq!(words(&storage), ["storage.back"]);
        check(&storage, 100, "web", 8, true);
        assert_eq!(words(&storage), ["storage.low"]);
    }

    #[test]
    fn a_full_disk_takes_nothing_of_nodes() {
        let dir = tempfile::tempdir().unwrap();
        let storage = storage(&dir, bounds());
        check(&storage, 5, "web", 2, false);
        assert_eq!(words(&storage), ["storage.full"]);
        assert_eq!(*storage.words().borrow(), "auth's disk is full");
        check(&storage, 200, "web", 2, true);
        assert_eq!(words(&storage), ["storage.back"]);
        assert_eq!(*storage.words().borrow(), "");
    }

    #[test]
    fn what_fits_once_is_not_promised_twice() {
        use futures_util::FutureExt as _;
        let dir = tempfile::tempdir().unwrap();
        let storage = storage(&dir, bounds());
        let eased = || storage.eased.notified().now_or_never().is_some();
        eased();
        let one = storage.promise_of(free(20), 10 * MIB).unwrap();
        assert!(storage.promise_of(free(20), 7 * MIB).is_none());
        let other = storage.promise_of(free(20), 6 * MIB).unwrap();
        assert!(!eased());
        drop(one);
        assert!(eased(), "who was refused is told to ask again");
        assert!(storage.promise_of(free(20), 11 * MIB).is_none(), "the ballast is no room");
        drop(storage.promise_of(free(20), 10 * MIB).unwrap());
        assert!(eased());
        // What does not fit however much is given back waits for other news.
        assert!(storage.promise_of(free(20), 17 * MIB).is_none());
        drop(other);
        assert!(!eased());
        assert!(storage.promise_of(free(20), 16 * MIB).is_some());
    }

    #[test]
    fn sizes_are_for_people() {
        for (bytes, expected) in
            [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (10 * MIB, "10.0 MiB")]
        {
            assert_eq!(size(bytes), expected);
        }
    }
}

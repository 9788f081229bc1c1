//! What was told a short while ago, and need not be told again.

use model::Tick;
use model::limit::{PREVIEW_TOLD_MS, PREVIEWS_TOLD};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What was told within [`PREVIEW_TOLD_MS`], and when. Beyond [`PREVIEWS_TOLD`] all of it is forgotten, and told again.
pub struct Lately<K>(Mutex<BTreeMap<K, Tick>>);

impl<K> Default for Lately<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Ord> Lately<K> {
    /// Whether it was not.
    pub fn is_new(&self, key: &K, now: Tick) -> bool {
        is_new(&self.lock(), key, now)
    }

    /// These were told.
    pub fn note(&self, keys: impl ExactSizeIterator<Item = K>, now: Tick) {
        note(&mut self.lock(), keys, now);
    }

    /// Whether it was not; it counts as told from here on. Of two who ask at once one hears that it is new.
    pub fn take(&self, key: K, now: Tick) -> bool {
        let mut told = self.lock();
        let new = is_new(&told, &key, now);
        if new {
            note(&mut told, std::iter::once(key), now);
        }
        new
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<K, Tick>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_new<K: Ord>(told: &BTreeMap<K, Tick>, key: &K, now: Tick) -> bool {
    told.get(key).is_none_or(|at| now.since(*at) >= PREVIEW_TOLD_MS)
}

fn note<K: Ord>(told: &mut BTreeMap<K, Tick>, keys: impl ExactSizeIterator<Item = K>, now: Tick) {
    told.retain(|_, at| now.since(*at) < PREVIEW_TOLD_MS);
    if told.len().saturating_add(keys.len()) > PREVIEWS_TOLD {
        told.clear();
    }
    told.extend(keys.map(|key| (key, now)));
}

//! One user's account of untaken input.

use model::limit;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// Bytes that one user's queues may hold together. Clones share one account.
#[derive(Debug, Clone)]
pub struct Quota(Arc<Account>);

#[derive(Debug)]
struct Account {
    most: u64,
    used: Mutex<u64>,
    freed: Notify,
}

impl Quota {
    /// An account of `most` bytes; [`limit::ELASTIC_USER_BYTES`] is the usual.
    #[must_use]
    pub fn new(most: u64) -> Self {
        Self(Arc::new(Account { most, used: Mutex::new(0), freed: Notify::new() }))
    }

    /// Bytes in use.
    #[must_use]
    pub fn used(&self) -> u64 {
        *self.lock()
    }

    /// Told whenever somebody gives something back.
    pub(super) fn freed(&self) -> &Notify {
        &self.0.freed
    }

    /// Takes a share, or says that there is none. A single piece larger than the whole account passes when the account is empty, so that it cannot wait for ever.
    pub(super) fn take(&self, count: u64) -> bool {
        let mut used = self.lock();
        let sum = used.saturating_add(count);
        let fits = sum <= self.0.most || *used == 0;
        if fits {
            *used = sum;
        }
        fits
    }

    pub(super) fn give_back(&self, count: u64) {
        if count > 0 {
            let mut used = self.lock();
            *used = used.saturating_sub(count);
            self.0.freed.notify_waiters();
        }
    }

    fn lock(&self) -> MutexGuard<'_, u64> {
        self.0.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Quota {
    fn default() -> Self {
        Self::new(limit::ELASTIC_USER_BYTES)
    }
}

//! Where untaken bytes of a channel wait: `store`'s elastic queue behind `link`'s trait. Clients use it too.

use bytes::Bytes;
use link::ssh::buffer::{Answer, BufferError, Buffers, Inlet, Outlet};
use std::path::{Path, PathBuf};
use store::elastic::{Elastic, ElasticError, Limits, Pull, Push, Quota};

/// Milliseconds that a person's own slow reader may take before its channel is given up: a day.
const CLIENT_STALL_MS: u64 = 24 * 3600 * 1000;

/// Makes queues that begin in memory and go on in an encrypted, unlinked file.
#[derive(Debug, Clone)]
pub struct OnDisk {
    folder: PathBuf,
    quota: Quota,
    limits: Limits,
}

impl OnDisk {
    /// For the connections of one user on a node; clones of `quota` share one account.
    #[must_use]
    pub fn for_node(folder: &Path, quota: Quota) -> Self {
        Self { folder: folder.to_owned(), quota, limits: Limits::default() }
    }

    /// For a client, whose reader may be as slow as it likes.
    #[must_use]
    pub fn for_client(folder: &Path) -> Self {
        let limits = Limits { stall_ms: CLIENT_STALL_MS, ..Limits::default() };
        Self { folder: folder.to_owned(), quota: Quota::default(), limits }
    }
}

impl Buffers for OnDisk {
    fn open(&self) -> (Box<dyn Inlet>, Box<dyn Outlet>) {
        let (push, pull) = Elastic::with_limits(&self.folder, self.quota.clone(), self.limits);
        (Box::new(In(push)), Box::new(Out(pull)))
    }
}

struct In(Push);

impl Inlet for In {
    fn push(&mut self, bytes: Bytes) -> Answer<'_, Result<(), BufferError>> {
        Box::pin(async move { self.0.push(bytes).await.map_err(failed) })
    }

    fn finish(self: Box<Self>) {
        self.0.finish();
    }
}

struct Out(Pull);

impl Outlet for Out {
    fn pull(&mut self) -> Answer<'_, Result<Option<Bytes>, BufferError>> {
        Box::pin(async move { self.0.pull().await.map_err(failed) })
    }
}

fn failed(error: ElasticError) -> BufferError {
    match error {
        ElasticError::Closed => BufferError::Closed,
        other => BufferError::Failed(other.to_string()),
    }
}

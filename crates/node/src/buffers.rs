//! Where untaken bytes of a channel wait: `store`'s elastic queue behind `link`'s trait. Clients use it too.

use bytes::Bytes;
use link::ssh::buffer::{Answer, BufferError, Buffers, Inlet, Outlet};
use model::limit;
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

    /// For one connection of a guest. What they show was not looked at when they come in, so they have an account of their
    /// own: whoever fills it holds up nobody else, and not much of the disk.
    #[must_use]
    pub fn for_guest(folder: &Path) -> Self {
        Self::for_node(folder, Quota::new(limit::ELASTIC_GUEST_BYTES))
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

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;

    #[tokio::test]
    async fn a_guest_who_is_not_read_fills_their_own_account_and_nobody_elses() {
        const PIECE: usize = 32 * 1024;
        let folder = tempfile::tempdir().unwrap();
        let piece = Bytes::from(vec![b'x'; PIECE]);
        let guest = OnDisk::for_guest(folder.path());
        let mut ends: Vec<_> = (0..4).map(|_| guest.open()).collect();
        let mut taken = 0;
        for (inlet, _) in &mut ends {
            while inlet.push(piece.clone()).now_or_never().is_some() {
                taken += PIECE;
            }
        }
        assert_eq!(taken as u64, limit::ELASTIC_GUEST_BYTES);
        let (mut other, _read) = OnDisk::for_guest(folder.path()).open();
        assert!(other.push(piece).now_or_never().is_some());
    }
}

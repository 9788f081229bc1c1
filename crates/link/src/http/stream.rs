//! A `CONNECT` stream as a byte stream that closes like a socket: what was written before reaches the peer.

use crate::duplex::linger;
use crate::tasks::{Spawner, Tasks};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use model::limit::{LINGER_BYTES, LINGER_MS};
use std::io;
use std::pin::Pin;
use std::task::{Context as Poller, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// One `CONNECT` stream.
///
/// An HTTP/2 stream that is dropped is reset, and what lies unsent in it is lost. So a stream dropped here is first
/// ended and read to its end by a task of its connection, for at most [`LINGER_MS`] and [`LINGER_BYTES`].
pub struct ByteStream {
    inner: Option<TokioIo<Upgraded>>,
    spawner: Spawner,
    keep: Option<Tasks>,
    read_ended: bool,
    write_ended: bool,
    broken: bool,
}

impl std::fmt::Debug for ByteStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ByteStream").finish_non_exhaustive()
    }
}

impl ByteStream {
    /// `keep` holds the connection open as long as the stream lives.
    pub(super) fn new(upgraded: Upgraded, spawner: Spawner, keep: Option<Tasks>) -> Self {
        Self {
            inner: Some(TokioIo::new(upgraded)),
            spawner,
            keep,
            read_ended: false,
            write_ended: false,
            broken: false,
        }
    }

    fn inner(&mut self) -> io::Result<Pin<&mut TokioIo<Upgraded>>> {
        self.inner.as_mut().map(Pin::new).ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    fn noted<T>(&mut self, outcome: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        self.broken |= matches!(outcome, Poll::Ready(Err(_)));
        outcome
    }
}

impl AsyncRead for ByteStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        poller: &mut Poller<'_>,
        room: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let (before, wanted) = (room.filled().len(), room.remaining());
        let outcome = self.inner()?.poll_read(poller, room);
        if matches!(outcome, Poll::Ready(Ok(()))) && wanted > 0 && room.filled().len() == before {
            self.read_ended = true;
        }
        self.noted(outcome)
    }
}

impl AsyncWrite for ByteStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        poller: &mut Poller<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let outcome = self.inner()?.poll_write(poller, bytes);
        self.noted(outcome)
    }

    fn poll_flush(mut self: Pin<&mut Self>, poller: &mut Poller<'_>) -> Poll<io::Result<()>> {
        let outcome = self.inner()?.poll_flush(poller);
        self.noted(outcome)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, poller: &mut Poller<'_>) -> Poll<io::Result<()>> {
        let outcome = self.inner()?.poll_shutdown(poller);
        self.write_ended |= matches!(outcome, Poll::Ready(Ok(())));
        self.noted(outcome)
    }
}

impl Drop for ByteStream {
    fn drop(&mut self) {
        let Some(mut inner) = self.inner.take() else { return };
        if self.broken || (self.read_ended && self.write_ended) {
            return;
        }
        let keep = self.keep.take();
        self.spawner.spawn(async move {
            let bound = Duration::from_millis(LINGER_MS);
            let _ = tokio::time::timeout(bound, linger(&mut inner, LINGER_BYTES)).await;
            drop(inner);
            drop(keep);
        });
    }
}

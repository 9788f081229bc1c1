//! A stream that can be cut from outside, because russh's loop belongs to russh.

use crate::duplex::Duplex;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context as Poller, Poll};
use tokio::io::{AsyncRead, AsyncWrite, BufReader, ReadBuf};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// Bytes read ahead. russh asks for the length of a packet first and for the packet then: a small one comes with one read
/// of the system instead of three, and of a large one little is copied.
const AHEAD_BYTES: usize = 512;

/// A stream whose reads and writes fail once its token is cancelled.
pub(super) struct Line<S> {
    stream: BufReader<S>,
    cut: CancellationToken,
    while_reading: Pin<Box<WaitForCancellationFutureOwned>>,
    while_writing: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl<S: Duplex> Line<S> {
    /// Cuts `stream` when `cut` is cancelled.
    pub(super) fn new(stream: S, cut: &CancellationToken) -> Self {
        Self {
            stream: BufReader::with_capacity(AHEAD_BYTES, stream),
            cut: cut.clone(),
            while_reading: Box::pin(cut.clone().cancelled_owned()),
            while_writing: Box::pin(cut.clone().cancelled_owned()),
        }
    }
}

impl<S> Line<S> {
    fn check(&self) -> io::Result<()> {
        if self.cut.is_cancelled() { Err(io::ErrorKind::ConnectionAborted.into()) } else { Ok(()) }
    }
}

/// What the stream answered, or that the line was cut while it made one wait.
fn or_cut<T>(
    answer: Poll<io::Result<T>>,
    cut: &mut Pin<Box<WaitForCancellationFutureOwned>>,
    poller: &mut Poller<'_>,
) -> Poll<io::Result<T>> {
    if answer.is_pending() && cut.as_mut().poll(poller).is_ready() {
        return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
    }
    answer
}

impl<S: Duplex> AsyncRead for Line<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        poller: &mut Poller<'_>,
        room: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check()?;
        let answer = Pin::new(&mut self.stream).poll_read(poller, room);
        or_cut(answer, &mut self.while_reading, poller)
    }
}

impl<S: Duplex> AsyncWrite for Line<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        poller: &mut Poller<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check()?;
        let answer = Pin::new(&mut self.stream).poll_write(poller, bytes);
        or_cut(answer, &mut self.while_writing, poller)
    }

    fn poll_flush(mut self: Pin<&mut Self>, poller: &mut Poller<'_>) -> Poll<io::Result<()>> {
        let answer = Pin::new(&mut self.stream).poll_flush(poller);
        or_cut(answer, &mut self.while_writing, poller)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, poller: &mut Poller<'_>) -> Poll<io::Result<()>> {
        let answer = Pin::new(&mut self.stream).poll_shutdown(poller);
        or_cut(answer, &mut self.while_writing, poller)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn a_cut_line_fails_whoever_waits_on_it() {
        let (near, _far) = tokio::io::duplex(4);
        let token = CancellationToken::new();
        let (mut reading, mut writing) = tokio::io::split(Line::new(near, &token));
        token.cancel();
        assert!(reading.read_u8().await.is_err());
        assert!(writing.write_all(&[0; 64]).await.is_err());
    }
}

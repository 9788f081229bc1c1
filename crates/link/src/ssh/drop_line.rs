//! A stream that can be cut from outside, and that reads on while a write waits, because russh's loop belongs to russh:
//! it does not read before what it writes has gone out, and of two such loops each would wait for the other.

use crate::duplex::Duplex;
use bytes::{Buf as _, BytesMut};
use model::limit;
use std::future::Future;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context as Poller, Poll};
use tokio::io::{AsyncRead, AsyncWrite, BufReader, ReadBuf};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// Bytes read ahead. russh asks for the length of a packet first and for the packet then: a small one comes with one read
/// of the system instead of three, and of a large one little is copied.
const AHEAD_BYTES: usize = 512;
/// Bytes read at once while a write waits.
const MEANWHILE_BYTES: usize = 16 * 1024;

/// A stream whose reads and writes fail once its token is cancelled.
pub(super) struct Line<S> {
    stream: BufReader<S>,
    /// What came while a write waited, behind what `stream` has read ahead: at most [`limit::SSH_MEANWHILE_BYTES`].
    meanwhile: BytesMut,
    cut: CancellationToken,
    while_reading: Pin<Box<WaitForCancellationFutureOwned>>,
    while_writing: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl<S: Duplex> Line<S> {
    /// Cuts `stream` when `cut` is cancelled.
    pub(super) fn new(stream: S, cut: &CancellationToken) -> Self {
        Self {
            stream: BufReader::with_capacity(AHEAD_BYTES, stream),
            meanwhile: BytesMut::new(),
            cut: cut.clone(),
            while_reading: Box::pin(cut.clone().cancelled_owned()),
            while_writing: Box::pin(cut.clone().cancelled_owned()),
        }
    }
}

impl<S: Duplex> Line<S> {
    /// Takes what has come.
    fn read_on(&mut self, poller: &mut Poller<'_>) -> io::Result<()> {
        while self.meanwhile.len() < limit::SSH_MEANWHILE_BYTES {
            let mut room = [MaybeUninit::uninit(); MEANWHILE_BYTES];
            let mut room = ReadBuf::uninit(&mut room);
            if Pin::new(self.stream.get_mut()).poll_read(poller, &mut room)?.is_pending() {
                break;
            }
            // The end is found again by who reads next.
            if room.filled().is_empty() {
                break;
            }
            self.meanwhile.extend_from_slice(room.filled());
        }
        Ok(())
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
        if self.stream.buffer().is_empty() && !self.meanwhile.is_empty() {
            let count = room.remaining().min(self.meanwhile.len());
            room.put_slice(self.meanwhile.get(..count).unwrap_or_default());
            self.meanwhile.advance(count);
            if self.meanwhile.is_empty() {
                self.meanwhile = BytesMut::new();
            }
            return Poll::Ready(Ok(()));
        }
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
        if answer.is_pending() {
            self.read_on(poller)?;
        }
        or_cut(answer, &mut self.while_writing, poller)
    }

    fn poll_flush(mut self: Pin<&mut Self>, poller: &mut Poller<'_>) -> Poll<io::Result<()>> {
        let answer = Pin::new(&mut self.stream).poll_flush(poller);
        if answer.is_pending() {
            self.read_on(poller)?;
        }
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
    use std::time::Duration;
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

    #[tokio::test]
    async fn what_comes_while_a_write_waits_is_read_in_order_up_to_the_bound_and_given_out_first() {
        const EACH: usize = limit::SSH_MEANWHILE_BYTES + 256 * 1024;
        let (near, mut far) = tokio::io::duplex(64 * 1024);
        let (mut reading, mut writing) =
            tokio::io::split(Line::new(near, &CancellationToken::new()));
        let came = |at: usize| (at / 7) as u8;
        let all: Vec<u8> = (0..EACH).map(came).collect();
        // Some of it is read ahead as always.
        far.write_all(&all[..100]).await.unwrap();
        assert_eq!(reading.read_u8().await.unwrap(), came(0));
        let to_write = vec![1; EACH];
        let writes = writing.write_all(&to_write);
        let peer = async {
            let (mut taken, wait) = (100, Duration::from_millis(200));
            while let Ok(count) = tokio::time::timeout(wait, far.write(&all[taken..])).await {
                taken += count.unwrap();
            }
            assert!((limit::SSH_MEANWHILE_BYTES..EACH).contains(&taken), "{taken}");
            far.read_exact(&mut vec![0; EACH]).await.unwrap();
            taken
        };
        let (written, taken) = tokio::join!(writes, peer);
        written.unwrap();
        let mut got = vec![0; taken - 1];
        reading.read_exact(&mut got).await.unwrap();
        assert!(got == all[1..taken]);
    }
}

//! Byte streams in both directions: the trait, a stream with bytes put back in front, and the pipe between two streams.

use bytes::{Buf, Bytes};
use model::limit::PIPE_BYTES;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context as Poller, Poll};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// A byte stream in both directions.
pub trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Duplex for T {}

/// A stream of any kind, boxed.
pub type BoxDuplex = Box<dyn Duplex>;

/// Copies between two streams until both directions have ended, passing on each end of a direction as it comes.
/// Answers the bytes that went from `a` to `b` and from `b` to `a`.
///
/// # Errors
/// The first error of either stream; the other direction is then given up.
pub async fn pipe(mut a: impl Duplex, mut b: impl Duplex) -> io::Result<(u64, u64)> {
    tokio::io::copy_bidirectional_with_sizes(&mut a, &mut b, PIPE_BYTES, PIPE_BYTES).await
}

/// Ends the writing direction and reads to the end, throwing away what comes, at most `most` bytes.
/// What was written before then reaches the peer, which an HTTP/2 stream that is merely dropped does not promise.
pub(crate) async fn linger(stream: &mut (impl Duplex + ?Sized), most: usize) {
    if stream.shutdown().await.is_err() {
        return;
    }
    let mut room = vec![0; 8192];
    let mut left = most;
    while left > 0 {
        match stream.read(&mut room).await {
            Ok(0) | Err(_) => return,
            Ok(taken) => left = left.saturating_sub(taken),
        }
    }
}

/// A stream that can be cut from outside: from then on each end of it meets an error.
pub struct Severable<S> {
    stream: S,
    severed: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl<S> Severable<S> {
    /// `stream`, until `cut`.
    pub fn new(stream: S, cut: CancellationToken) -> Self {
        Self { stream, severed: Box::pin(cut.cancelled_owned()) }
    }

    fn check(&mut self, poller: &mut Poller<'_>) -> io::Result<()> {
        match self.severed.as_mut().poll(poller) {
            Poll::Ready(()) => Err(io::Error::new(io::ErrorKind::ConnectionAborted, "cut off")),
            Poll::Pending => Ok(()),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Severable<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        poller: &mut Poller<'_>,
        room: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check(poller)?;
        Pin::new(&mut self.stream).poll_read(poller, room)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Severable<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        poller: &mut Poller<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check(poller)?;
        Pin::new(&mut self.stream).poll_write(poller, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        poller: &mut Poller<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check(poller)?;
        Pin::new(&mut self.stream).poll_write_vectored(poller, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, poller: &mut Poller<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(poller)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, poller: &mut Poller<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(poller)
    }
}

/// A stream with bytes in front that were read from it already.
#[derive(Debug)]
pub struct Rewound<S> {
    front: Bytes,
    stream: S,
}

impl<S> Rewound<S> {
    /// Puts `front` before what `stream` still holds.
    pub fn new(front: impl Into<Bytes>, stream: S) -> Self {
        Self { front: front.into(), stream }
    }

    /// The stream behind.
    pub fn inner(&self) -> &S {
        &self.stream
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Rewound<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        poller: &mut Poller<'_>,
        room: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.front.has_remaining() {
            let taken = self.front.len().min(room.remaining());
            room.put_slice(&self.front.split_to(taken));
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_read(poller, room)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Rewound<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        poller: &mut Poller<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(poller, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        poller: &mut Poller<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(poller, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, poller: &mut Poller<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(poller)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, poller: &mut Poller<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(poller)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn bytes_put_back_are_read_first_and_once() {
        let (near, mut far) = tokio::io::duplex(64);
        far.write_all(b" world").await.unwrap();
        far.shutdown().await.unwrap();
        let mut text = String::new();
        Rewound::new(&b"hello"[..], near).read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "hello world");
    }

    #[tokio::test]
    async fn a_stream_that_is_cut_off_ends_also_for_who_waits_on_it() {
        let (near, mut far) = tokio::io::duplex(64);
        let cut = CancellationToken::new();
        let mut near = Severable::new(near, cut.clone());
        far.write_all(b"x").await.unwrap();
        assert_eq!(near.read_u8().await.unwrap(), b'x');
        let (read, ()) = tokio::join!(near.read_u8(), async { cut.cancel() });
        assert_eq!(read.unwrap_err().kind(), io::ErrorKind::ConnectionAborted);
        assert!(near.write_all(b"y").await.is_err());
    }

    #[tokio::test]
    async fn a_half_closed_direction_leaves_the_other_open() {
        let (a_far, a) = tokio::io::duplex(64);
        let (b_far, b) = tokio::io::duplex(64);
        let (mut a_far, mut b_far) = (a_far, b_far);
        let ends = async {
            a_far.write_all(b"question").await.unwrap();
            a_far.shutdown().await.unwrap();
            let mut asked = String::new();
            b_far.read_to_string(&mut asked).await.unwrap();
            assert_eq!(asked, "question");
            b_far.write_all(b"a late answer").await.unwrap();
            b_far.shutdown().await.unwrap();
            let mut answer = String::new();
            a_far.read_to_string(&mut answer).await.unwrap();
            assert_eq!(answer, "a late answer");
        };
        let (moved, ()) = tokio::join!(pipe(a, b), ends);
        assert_eq!(moved.unwrap(), (8, 13));
    }
}

//! A stream that can be cut from outside, because russh's loop belongs to russh.
//!
//! That loop does not read before what it writes has gone out, so two of them would wait for each other, a client's and a
//! node's. It is enough that one reads on, and that is the client: a node that did would hold what strangers send.

use crate::duplex::Duplex;
use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context as Poller, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, BufReader, ReadBuf};
use tokio::task::coop;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// Bytes read ahead. russh asks for the length of a packet first and for the packet then: a small one comes with one read
/// of the system instead of three, and of a large one little is copied.
const AHEAD_BYTES: usize = 512;
/// Bytes of one piece of what comes while a write waits.
const PIECE_BYTES: usize = 16 * 1024;

/// A stream whose reads and writes fail once its token is cancelled.
pub(super) struct Line<S> {
    stream: BufReader<S>,
    /// Behind what `stream` has read ahead.
    meanwhile: Meanwhile,
    cut: CancellationToken,
    while_reading: Pin<Box<WaitForCancellationFutureOwned>>,
    while_writing: Pin<Box<WaitForCancellationFutureOwned>>,
}

/// What came while a write waited.
#[derive(Default)]
struct Meanwhile {
    /// Bytes that it may hold.
    most: usize,
    held: usize,
    /// Each has room for [`PIECE_BYTES`] and only the last is not full, so that bytes that come one by one cost no more.
    pieces: VecDeque<Vec<u8>>,
    /// Bytes of the first piece that were given out.
    given: usize,
}

impl Meanwhile {
    fn put(&mut self, mut bytes: &[u8]) {
        self.held = self.held.saturating_add(bytes.len());
        while !bytes.is_empty() {
            let last = self.pieces.pop_back_if(|last| last.len() < PIECE_BYTES);
            let mut last = last.unwrap_or_else(|| Vec::with_capacity(PIECE_BYTES));
            let room = PIECE_BYTES.saturating_sub(last.len()).min(bytes.len());
            let (now, rest) = bytes.split_at(room);
            last.extend_from_slice(now);
            self.pieces.push_back(last);
            bytes = rest;
        }
    }

    fn give(&mut self, room: &mut ReadBuf<'_>) {
        let Some(first) = self.pieces.front() else { return };
        let rest = first.get(self.given..).unwrap_or_default();
        let now = rest.get(..room.remaining()).unwrap_or(rest);
        room.put_slice(now);
        self.held = self.held.saturating_sub(now.len());
        self.given = self.given.saturating_add(now.len());
        if self.given == first.len() {
            self.pieces.pop_front();
            self.given = 0;
        }
    }
}

impl<S: Duplex> Line<S> {
    /// Cuts `stream` when `cut` is cancelled.
    pub(super) fn new(stream: S, cut: &CancellationToken) -> Self {
        Self {
            stream: BufReader::with_capacity(AHEAD_BYTES, stream),
            meanwhile: Meanwhile::default(),
            cut: cut.clone(),
            while_reading: Box::pin(cut.clone().cancelled_owned()),
            while_writing: Box::pin(cut.clone().cancelled_owned()),
        }
    }

    /// The same line, on which a write that waits reads on: at most so many bytes.
    pub(super) fn reading_on(mut self, most: usize) -> Self {
        self.meanwhile.most = most;
        self
    }

    /// Takes what has come.
    fn read_on(&mut self, poller: &mut Poller<'_>) -> io::Result<()> {
        loop {
            let left = self.meanwhile.most.saturating_sub(self.meanwhile.held);
            let mut room = [MaybeUninit::uninit(); PIECE_BYTES];
            let mut room =
                ReadBuf::uninit(room.get_mut(..left.min(PIECE_BYTES)).unwrap_or_default());
            if left == 0
                || Pin::new(self.stream.get_mut()).poll_read(poller, &mut room)?.is_pending()
            {
                return Ok(());
            }
            // The end is found again by who reads next.
            if room.filled().is_empty() {
                return Ok(());
            }
            self.meanwhile.put(room.filled());
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
        if self.stream.buffer().is_empty() && self.meanwhile.held > 0 {
            // As a stream would: others of this thread have their turn.
            let turn = ready!(coop::poll_proceed(poller));
            self.meanwhile.give(room);
            turn.made_progress();
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
        const MOST: usize = 1024 * 1024 + 5;
        const EACH: usize = MOST + 256 * 1024;
        let (near, mut far) = tokio::io::duplex(64 * 1024);
        let line = Line::new(near, &CancellationToken::new()).reading_on(MOST);
        let (mut reading, mut writing) = tokio::io::split(line);
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
            assert!((MOST..EACH).contains(&taken), "{taken}");
            far.read_exact(&mut vec![0; EACH]).await.unwrap();
            taken
        };
        let (written, taken) = tokio::join!(writes, peer);
        written.unwrap();
        let mut got = vec![0; taken - 1];
        reading.read_exact(&mut got).await.unwrap();
        assert!(got == all[1..taken]);
        // What is given out takes no room any more.
        let line = reading.unsplit(writing);
        assert_eq!((line.meanwhile.held, line.meanwhile.pieces.len()), (0, 0));
    }
}

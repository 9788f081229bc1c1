//! Where a channel's bytes wait that nobody has taken yet. The trait is ours to call; whoever has a disk implements it.

use bytes::Bytes;
use model::limit;
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use thiserror::Error;
use tokio::sync::Notify;

/// What a method of a boxed trait answers with.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Why a buffer cannot go on.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BufferError {
    /// The taking end is gone: nobody wants these bytes, which is no fault.
    #[error("nobody reads this input any more")]
    Closed,
    /// The buffer failed or nothing was taken for too long. The text is a line for the person at the other end.
    #[error("{0}")]
    Failed(String),
}

/// The end that bytes go into. Dropping it without [`Inlet::finish`] means that the input was broken off.
pub trait Inlet: Send {
    /// Takes `bytes`, at once below the bound; at the bound it waits for the other end.
    ///
    /// # Errors
    /// [`BufferError::Closed`] when nobody takes any more; [`BufferError::Failed`] closes the channel.
    fn push(&mut self, bytes: Bytes) -> Answer<'_, Result<(), BufferError>>;
    /// Says that nothing more comes.
    fn finish(self: Box<Self>);
}

/// The end that bytes come out of.
pub trait Outlet: Send {
    /// The next bytes, waiting for them; `None` at the end. Nothing is lost if it is cancelled.
    ///
    /// # Errors
    /// When the input was broken off or the buffer failed.
    fn pull(&mut self) -> Answer<'_, Result<Option<Bytes>, BufferError>>;
}

/// Makes buffers, one for each stream that is received.
pub trait Buffers: Send + Sync {
    /// A fresh buffer's two ends. Must not wait and should not open anything before it is needed.
    fn open(&self) -> (Box<dyn Inlet>, Box<dyn Outlet>);
}

/// Buffers in memory only, for who has no disk at hand.
#[derive(Debug, Clone, Copy)]
pub struct Memory {
    /// Bytes that one buffer holds. Wait.
    pub most: usize,
    /// How long nothing may be taken at the bound. Refuse: the channel is closed. `None` waits for ever, which is right
    /// for a client, whose reader may be a person with a pager.
    pub stall: Option<Duration>,
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            most: 4 * limit::SSH_WINDOW_BYTES as usize,
            stall: Some(Duration::from_millis(limit::ELASTIC_STALL_MS)),
        }
    }
}

impl Memory {
    /// For a client: a full buffer waits for its reader for ever.
    #[must_use]
    pub fn patient() -> Self {
        Self { stall: None, ..Self::default() }
    }
}

impl Buffers for Memory {
    fn open(&self) -> (Box<dyn Inlet>, Box<dyn Outlet>) {
        let shared = Arc::new(Shared {
            limits: *self,
            queue: Mutex::new(Queue::default()),
            room: Notify::new(),
            filled: Notify::new(),
        });
        (Box::new(Push { shared: Arc::clone(&shared), finished: false }), Box::new(Pull { shared }))
    }
}

struct Shared {
    limits: Memory,
    /// Shared by two ends in two tasks; held for moments only.
    queue: Mutex<Queue>,
    room: Notify,
    filled: Notify,
}

#[derive(Default)]
struct Queue {
    pieces: VecDeque<Bytes>,
    held: usize,
    finished: bool,
    abandoned: bool,
    closed: bool,
    /// When it was found full, unless something was taken since.
    full_since: Option<Instant>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn offer(&self, bytes: &Bytes) -> Result<bool, BufferError> {
        let mut queue = self.lock();
        if queue.closed {
            return Err(BufferError::Closed);
        }
        if queue.held > 0 && queue.held.saturating_add(bytes.len()) > self.limits.most {
            let since = *queue.full_since.get_or_insert_with(Instant::now);
            let Some(stall) = self.limits.stall.filter(|stall| since.elapsed() >= *stall) else {
                return Ok(false);
            };
            return Err(BufferError::Failed(format!(
                "nothing was read for {} s and {} bytes wait: the channel is closed",
                stall.as_secs(),
                queue.held
            )));
        }
        queue.held = queue.held.saturating_add(bytes.len());
        queue.pieces.push_back(bytes.clone());
        self.filled.notify_one();
        Ok(true)
    }
}

struct Push {
    shared: Arc<Shared>,
    finished: bool,
}

impl Inlet for Push {
    fn push(&mut self, bytes: Bytes) -> Answer<'_, Result<(), BufferError>> {
        Box::pin(async move {
            while !self.shared.offer(&bytes)? {
                let pause = self.shared.limits.stall.unwrap_or(Duration::from_secs(1)) / 4;
                let pause = pause.clamp(Duration::from_millis(1), Duration::from_secs(1));
                let _ = tokio::time::timeout(pause, self.shared.room.notified()).await;
            }
            Ok(())
        })
    }

    fn finish(mut self: Box<Self>) {
        self.finished = true;
        self.shared.lock().finished = true;
        self.shared.filled.notify_one();
    }
}

impl Drop for Push {
    fn drop(&mut self) {
        if !self.finished {
            self.shared.lock().abandoned = true;
            self.shared.filled.notify_one();
        }
    }
}

struct Pull {
    shared: Arc<Shared>,
}

impl Outlet for Pull {
    fn pull(&mut self) -> Answer<'_, Result<Option<Bytes>, BufferError>> {
        Box::pin(async move {
            loop {
                {
                    let mut queue = self.shared.lock();
                    if let Some(piece) = queue.pieces.pop_front() {
                        queue.held = queue.held.saturating_sub(piece.len());
                        queue.full_since = None;
                        self.shared.room.notify_one();
                        return Ok(Some(piece));
                    }
                    if queue.finished {
                        return Ok(None);
                    }
                    if queue.abandoned {
                        let why = "the input was broken off before its end";
                        return Err(BufferError::Failed(why.to_owned()));
                    }
                }
                self.shared.filled.notified().await;
            }
        })
    }
}

impl Drop for Pull {
    fn drop(&mut self) {
        let mut queue = self.shared.lock();
        queue.closed = true;
        queue.pieces.clear();
        queue.held = 0;
        self.shared.room.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small() -> Memory {
        Memory { most: 8, stall: Some(Duration::from_millis(40)) }
    }

    #[tokio::test]
    async fn bytes_come_out_as_they_went_in_and_then_the_end() {
        let (mut inlet, mut outlet) = small().open();
        inlet.push(Bytes::from_static(b"ab")).await.unwrap();
        inlet.push(Bytes::from_static(b"cd")).await.unwrap();
        inlet.finish();
        assert_eq!(outlet.pull().await.unwrap().unwrap(), "ab");
        assert_eq!(outlet.pull().await.unwrap().unwrap(), "cd");
        assert_eq!(outlet.pull().await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_full_buffer_that_nobody_reads_fails_with_a_line_and_one_that_is_read_does_not() {
        let (mut inlet, mut outlet) = small().open();
        inlet.push(Bytes::from_static(b"12345678")).await.unwrap();
        let taken = tokio::join!(inlet.push(Bytes::from_static(b"9")), async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            outlet.pull().await
        });
        assert_eq!((taken.0, taken.1.unwrap().unwrap().len()), (Ok(()), 8));
        inlet.push(Bytes::from_static(b"1234567")).await.unwrap();
        let error = inlet.push(Bytes::from_static(b"x")).await.unwrap_err();
        assert!(matches!(&error, BufferError::Failed(why) if why.contains("closed")), "{error}");
    }

    #[tokio::test]
    async fn a_reader_who_left_and_a_writer_who_broke_off_are_told_apart() {
        let (mut inlet, outlet) = small().open();
        drop(outlet);
        assert_eq!(inlet.push(Bytes::from_static(b"1")).await, Err(BufferError::Closed));
        let (inlet, mut outlet) = small().open();
        drop(inlet);
        assert!(matches!(outlet.pull().await, Err(BufferError::Failed(_))));
    }
}

//! Long answers that are made while they are read: few at once, and none for somebody who does not read.

use crate::auth::Auth;
use crate::error::Refusal;
use crate::look::Look;
use crate::shelf::{Opened, finished};
use axum::body::Body;
use bytes::{Bytes, BytesMut};
use futures_util::stream;
use link::Place;
use model::UserName;
use model::limit::{POUR_BYTES, POUR_STALL_MS};
use record::Recording;
use serde::Serialize;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use wire::Fault;

/// Where a long answer goes.
pub struct Pour {
    held: BytesMut,
    sender: mpsc::Sender<Bytes>,
    runtime: Handle,
    stop: CancellationToken,
    /// Whether something could not be sent.
    cut: bool,
}

impl Pour {
    /// Adds bytes. `false` when nobody reads any more, or auth stops: what makes them must end.
    pub fn put(&mut self, bytes: &[u8]) -> bool {
        self.held.extend_from_slice(bytes);
        self.held.len() < POUR_BYTES || self.flush()
    }

    /// Adds a line of JSON, and sends what there is.
    pub fn line(&mut self, line: &impl Serialize) -> bool {
        let mut bytes = serde_json::to_vec(line).unwrap_or_default();
        bytes.push(b'\n');
        self.put(&bytes) && self.flush()
    }

    /// Whether somebody reads, and auth goes on.
    pub fn goes_on(&self) -> bool {
        !self.cut && !self.sender.is_closed() && !self.stop.is_cancelled()
    }

    /// Waits for something, on a thread that may block.
    pub fn wait<T>(&self, something: impl Future<Output = T>) -> T {
        self.runtime.block_on(something)
    }

    /// Says that what was put is not all: what ends here is cut off.
    pub fn cut(&mut self) {
        self.cut = true;
    }

    fn flush(&mut self) -> bool {
        let bytes = self.held.split().freeze();
        if bytes.is_empty() {
            return self.goes_on();
        }
        let sent = tokio::time::timeout(
            Duration::from_millis(POUR_STALL_MS),
            self.stop.run_until_cancelled(self.sender.send(bytes)),
        );
        // A timer and a channel of the runtime, waited for on a thread that may block.
        self.cut |= !matches!(self.runtime.block_on(sent), Ok(Some(Ok(()))));
        !self.cut
    }
}

/// A body that is made of a recording as it stands, on a thread of its own.
pub async fn pour(
    auth: &Auth,
    look: &Look,
    make: impl FnOnce(Opened, &mut Pour) + Send + 'static,
) -> Result<Body, Refusal> {
    let turn = auth.shelf.long_turn(look.by())?;
    let source = look.source(auth).await?;
    // The turn is held for as long as it is opened, whether somebody still waits or not.
    let opening = move || Recording::open(source).map(|recording| (recording, turn));
    let (recording, turn) = finished(look, auth.work.spawn_blocking(opening).await)?;
    Ok(body(auth, turn, move |pour| make(recording, pour)))
}

/// A body that is made on a thread of its own, while it has its turn. One that is cut off ends with an error, so that nobody
/// takes it for all there is.
pub fn body(
    auth: &Auth,
    turn: Place<UserName>,
    make: impl FnOnce(&mut Pour) + Send + 'static,
) -> Body {
    let (sender, receiver) = mpsc::channel(1);
    let (runtime, stop) = (Handle::current(), auth.stop.clone());
    let mut pour = Pour { held: BytesMut::new(), sender, runtime, stop, cut: false };
    let whole = Arc::new(AtomicBool::new(false));
    let made = Arc::clone(&whole);
    // It ends with its reader; the tracker waits for it when auth stops.
    drop(auth.work.spawn_blocking(move || {
        let _turn = turn;
        make(&mut pour);
        made.store(pour.flush(), Ordering::Release);
    }));
    let parts = stream::unfold(Some((receiver, whole)), |left| async move {
        let (mut receiver, whole) = left?;
        match receiver.recv().await {
            Some(part) => Some((Ok(part), Some((receiver, whole)))),
            None if whole.load(Ordering::Acquire) => None,
            None => Some((Err(std::io::Error::other("this answer was cut off")), None)),
        }
    });
    Body::from_stream(parts)
}

/// Too many long answers are under way.
pub fn too_many() -> Refusal {
    let words = "too many downloads and searches are under way: try again in a moment";
    Refusal::new(Fault::TooMany, words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::house::config;
    use axum::body::to_bytes;

    #[tokio::test]
    async fn an_answer_that_is_cut_off_ends_with_an_error_and_a_whole_one_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let (auth, ..) = Auth::open(&config(&dir)).await.unwrap();
        let turn = || auth.shelf.long_turn(&"alice".parse().unwrap()).unwrap();
        let all = body(&auth, turn(), |pour| {
            for _ in 0..3 {
                pour.put(&[7; POUR_BYTES]);
            }
            pour.put(b"end");
        });
        assert_eq!(to_bytes(all, usize::MAX).await.unwrap().len(), 3 * POUR_BYTES + 3);
        assert_eq!(to_bytes(body(&auth, turn(), |_| ()), 1).await.unwrap().len(), 0);

        let panics = body(&auth, turn(), |pour| {
            pour.put(&[7; POUR_BYTES]);
            panic!("half of it is made");
        });
        assert!(to_bytes(panics, usize::MAX).await.is_err());

        let (begun, stop) = (tokio::sync::oneshot::channel(), auth.stop.clone());
        let endless = body(&auth, turn(), move |pour| {
            begun.0.send(()).unwrap();
            while pour.put(&[7; POUR_BYTES]) {}
        });
        begun.1.await.unwrap();
        stop.cancel();
        assert!(to_bytes(endless, usize::MAX).await.is_err());
    }
}

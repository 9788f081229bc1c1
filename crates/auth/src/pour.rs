//! Long answers that are made while they are read: few at once, and none for somebody who does not read.

use crate::auth::Auth;
use crate::error::Refusal;
use crate::look::Look;
use crate::shelf::Opened;
use axum::body::Body;
use bytes::{Bytes, BytesMut};
use futures_util::stream;
use link::Place;
use model::UserName;
use model::limit::{POUR_BYTES, POUR_STALL_MS};
use record::Recording;
use serde::Serialize;
use std::convert::Infallible;
use std::future::Future;
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
        !self.sender.is_closed() && !self.stop.is_cancelled()
    }

    /// Waits for something, on a thread that may block.
    pub fn wait<T>(&self, something: impl Future<Output = T>) -> T {
        self.runtime.block_on(something)
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
        matches!(self.runtime.block_on(sent), Ok(Some(Ok(()))))
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
    let id = look.row().id;
    Ok(body(auth, turn, move |pour| match Recording::open(source) {
        Ok(recording) => make(recording, pour),
        Err(corrupt) => tracing::warn!(%id, %corrupt, "a recording cannot be opened"),
    }))
}

/// A body that is made on a thread of its own, while it has its turn.
pub fn body(
    auth: &Auth,
    turn: Place<UserName>,
    make: impl FnOnce(&mut Pour) + Send + 'static,
) -> Body {
    let (sender, receiver) = mpsc::channel(1);
    let mut pour =
        Pour { held: BytesMut::new(), sender, runtime: Handle::current(), stop: auth.stop.clone() };
    // It ends with its reader; the tracker waits for it when auth stops.
    drop(auth.work.spawn_blocking(move || {
        let _turn = turn;
        make(&mut pour);
        pour.flush();
    }));
    let parts = stream::unfold(receiver, |mut receiver| async move {
        let part = receiver.recv().await?;
        Some((Ok::<_, Infallible>(part), receiver))
    });
    Body::from_stream(parts)
}

/// Too many long answers are under way.
pub fn too_many() -> Refusal {
    let words = "too many downloads and searches are under way: try again in a moment";
    Refusal::new(Fault::TooMany, words)
}

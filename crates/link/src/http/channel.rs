//! A connection for long-lived callers: dialed when needed, dialed again when it is gone, never in a hurry.

use super::{CallError, Client, Dialer, Kept, Lines};
use crate::tunnel::Backoff;
use bytes::Bytes;
use http::{HeaderMap, Method, Response};
use serde::de::DeserializeOwned;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::Mutex;
use wire::Call;

/// Calls to one part, over one connection at a time. Clones share it.
///
/// Each call dials at most once; after a failure the next dial waits for its pause, so that a caller in a simple loop
/// does no harm. A call whose connection was gone before it was sent is sent again, once.
#[derive(Debug, Clone)]
pub struct Channel {
    dialer: Dialer,
    // Shared by all callers, who wait for one dial together.
    line: Arc<Mutex<Line>>,
}

#[derive(Debug, Default)]
struct Line {
    client: Option<Client>,
    backoff: Backoff,
    failed: Option<(Instant, CallError)>,
    next_try: Option<Instant>,
}

impl Channel {
    /// Nothing is dialed before the first call.
    #[must_use]
    pub fn new(dialer: Dialer) -> Self {
        Self { dialer, line: Arc::default() }
    }

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// Any [`CallError`].
    pub async fn call<C: Call>(&self, call: &C) -> Result<C::Answer, CallError> {
        match self.client().await?.call(call).await {
            Err(error) if error.unsent() => self.again().await?.call(call).await,
            outcome => outcome,
        }
    }

    /// As [`Client::call_for`].
    ///
    /// # Errors
    /// Any [`CallError`].
    pub async fn call_for<C: Call>(
        &self,
        call: &C,
        headers: HeaderMap,
    ) -> Result<C::Answer, CallError> {
        match self.client().await?.call_for(call, headers.clone()).await {
            Err(error) if error.unsent() => self.again().await?.call_for(call, headers).await,
            outcome => outcome,
        }
    }

    /// As [`Client::post_bytes`].
    ///
    /// # Errors
    /// Any [`CallError`].
    pub async fn post_bytes<A: DeserializeOwned>(
        &self,
        path: &str,
        body: Bytes,
    ) -> Result<A, CallError> {
        match self.client().await?.post_bytes(path, body.clone()).await {
            Err(error) if error.unsent() => self.again().await?.post_bytes(path, body).await,
            outcome => outcome,
        }
    }

    /// As [`Client::lines`].
    ///
    /// # Errors
    /// Any [`CallError`].
    pub async fn lines<T: DeserializeOwned>(&self, path: &str) -> Result<Lines<T>, CallError> {
        match self.client().await?.lines(path).await {
            Err(error) if error.unsent() => self.again().await?.lines(path).await,
            outcome => outcome,
        }
    }

    /// As [`Client::pass`].
    ///
    /// # Errors
    /// [`CallError::Unreachable`].
    pub async fn pass(
        &self,
        method: Method,
        path: &str,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Response<Kept>, CallError> {
        let (again, same) = (headers.clone(), body.clone());
        match self.client().await?.pass(method.clone(), path, headers, body).await {
            Err(error) if error.unsent() => {
                self.again().await?.pass(method, path, again, same).await
            }
            outcome => outcome,
        }
    }

    /// Lets the connection go, so that the next call dials: for new certificates. Calls under way go on.
    pub async fn renew(&self) {
        self.line.lock().await.client = None;
    }

    /// Another connection than the one that was gone before a request could be sent.
    async fn again(&self) -> Result<Client, CallError> {
        self.renew().await;
        self.client().await
    }

    /// The connection, dialed if there is none.
    ///
    /// # Errors
    /// [`CallError::Unreachable`].
    pub async fn client(&self) -> Result<Client, CallError> {
        let came = Instant::now();
        let mut line = self.line.lock().await;
        if let Some(client) = line.client.as_ref().filter(|client| !client.is_closed()) {
            return Ok(client.clone());
        }
        line.client = None;
        // Whoever waited while somebody else's dial failed shares that failure.
        if let Some((when, error)) = line.failed.as_ref().filter(|(when, _)| *when > came) {
            tracing::trace!(?when, "shares the failure of a dial");
            return Err(error.clone());
        }
        if let Some(next_try) = line.next_try {
            tokio::time::sleep_until(next_try.into()).await;
        }
        match self.dialer.dial().await {
            Ok(client) => {
                *line = Line { client: Some(client.clone()), ..Line::default() };
                Ok(client)
            }
            Err(error) => {
                let now = Instant::now();
                line.failed = Some((now, error.clone()));
                line.next_try = Some(now + line.backoff.pause());
                Err(error)
            }
        }
    }
}

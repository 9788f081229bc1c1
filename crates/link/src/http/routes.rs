//! From a service's functions to a router: typed calls in and out, every failure a [`Failure`] with its status.

use crate::tls::{Peer, PeerIdentity};
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use axum::routing::post;
use axum::{BoxError, Extension, Router};
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt};
use http::{HeaderValue, StatusCode, header};
use model::limit::{REQUEST_BYTES, REQUEST_BYTES_OF_NOBODY, REQUEST_MS};
use serde::Serialize;
use std::future::Future;
use std::time::Duration;
use wire::{Call, Failure, Fault};

/// Collects the calls that a service answers.
#[derive(Debug)]
pub struct Routes<S> {
    service: S,
    router: Router,
}

impl<S: Clone + Send + Sync + 'static> Routes<S> {
    /// `service` is cloned for each call; usually an `Arc`.
    #[must_use]
    pub fn new(service: S) -> Self {
        let router = Router::new()
            .fallback(|| async {
                refusal(&failure(Fault::NotFound, "there is nothing at this path"))
            })
            .method_not_allowed_fallback(|| async {
                let text = "this path is asked in another way; calls are POST";
                with_status(StatusCode::METHOD_NOT_ALLOWED, &failure(Fault::Malformed, text))
            });
        Self { service, router }
    }

    /// Answers `POST /v1/PATH` of `C` with `handler(service, peer, request)`.
    #[must_use]
    pub fn on<C, H, F>(mut self, handler: H) -> Self
    where
        C: Call,
        H: Fn(S, Peer, C) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Result<C::Answer, Failure>> + Send + 'static,
    {
        let service = self.service.clone();
        let route = move |Extension(peer): Extension<Peer>, request: Request| {
            let (service, handler) = (service.clone(), handler.clone());
            async move {
                let asked: C = match read(request, &peer).await {
                    Ok(asked) => asked,
                    Err(refused) => return refused,
                };
                answer(handler(service, peer, asked).await)
            }
        };
        self.router = self.router.route(&format!("/v1/{}", C::PATH), post(route));
        self
    }

    /// Adds routes that are no calls, such as byte streams; their paths begin with `/v1/`.
    #[must_use]
    pub fn merge(mut self, router: Router) -> Self {
        self.router = self.router.merge(router);
        self
    }

    /// The router, for [`super::Service`].
    pub fn router(self) -> Router {
        self.router
    }
}

/// A handler's outcome as a response.
pub fn answer<A: Serialize>(outcome: Result<A, Failure>) -> Response {
    match outcome {
        Ok(answer) => match serde_json::to_vec(&answer) {
            Ok(body) => json(StatusCode::OK, body),
            Err(error) => {
                tracing::error!(%error, "an answer cannot be written as JSON");
                refusal(&failure(Fault::Internal, "the answer cannot be written"))
            }
        },
        Err(failure) => refusal(&failure),
    }
}

/// A failure as a response.
#[must_use]
pub fn refusal(failure: &Failure) -> Response {
    with_status(status_of(failure), failure)
}

fn status_of(failure: &Failure) -> StatusCode {
    let status = StatusCode::from_u16(failure.fault.status());
    status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// A stream of values as a response: one line of JSON each. Ends with the stream, or with the client; an error breaks it off,
/// so that what is missing is seen.
pub fn lines<T: Serialize + 'static, E: Into<BoxError> + 'static>(
    values: impl Stream<Item = Result<T, E>> + Send + 'static,
) -> Response {
    let lines = values.map(|value| {
        let mut line = serde_json::to_vec(&value?).unwrap_or_default();
        line.push(b'\n');
        Ok::<_, E>(Bytes::from(line))
    });
    let mut response = Response::new(Body::from_stream(lines));
    let kind = HeaderValue::from_static("application/x-ndjson");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// Reads a request's body, of at most so many bytes, in [`REQUEST_MS`]. `count` hears how long each piece is before it is
/// kept, and may refuse the request by it.
///
/// # Errors
/// With the status that says what is wrong with it, or with the refusal of `count`.
pub async fn whole(
    body: Body,
    most: usize,
    count: impl FnMut(usize) -> Result<(), Failure> + Send,
) -> Result<Bytes, (StatusCode, Failure)> {
    let reading = pieces(body, most, count);
    match tokio::time::timeout(Duration::from_millis(REQUEST_MS), reading).await {
        Ok(read) => read,
        Err(_) => {
            let text = "the request came too slowly";
            Err((StatusCode::BAD_REQUEST, failure(Fault::Malformed, text)))
        }
    }
}

async fn pieces(
    body: Body,
    most: usize,
    mut count: impl FnMut(usize) -> Result<(), Failure> + Send,
) -> Result<Bytes, (StatusCode, Failure)> {
    let (mut pieces, mut whole) = (body.into_data_stream(), BytesMut::new());
    while let Some(piece) = pieces.next().await {
        let fits = |piece: &Bytes| piece.len() <= most.saturating_sub(whole.len());
        let Some(piece) = piece.ok().filter(fits) else {
            let text = format!("the request broke off or is longer than {most} bytes");
            return Err((StatusCode::PAYLOAD_TOO_LARGE, failure(Fault::Malformed, &text)));
        };
        count(piece.len()).map_err(|failure| (status_of(&failure), failure))?;
        // Copied: pieces of one byte each would take many times what they hold.
        whole.extend_from_slice(&piece);
    }
    Ok(whole.freeze())
}

/// Reads a request's JSON, bounded in length and time.
async fn read<C: Call>(request: Request, peer: &Peer) -> Result<C, Response> {
    let most = match peer.identity {
        PeerIdentity::Nobody => REQUEST_BYTES_OF_NOBODY,
        _ => REQUEST_BYTES,
    };
    let body = whole(request.into_body(), most, |_| Ok(()))
        .await
        .map_err(|(status, failure)| with_status(status, &failure))?;
    serde_json::from_slice(&body).map_err(|error| {
        refusal(&failure(Fault::Malformed, &format!("the request cannot be read: {error}")))
    })
}

pub(super) fn failure(fault: Fault, message: &str) -> Failure {
    Failure { fault, message: message.to_owned() }
}

fn with_status(status: StatusCode, failure: &Failure) -> Response {
    json(status, serde_json::to_vec(failure).unwrap_or_default())
}

fn json(status: StatusCode, body: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

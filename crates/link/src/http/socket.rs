//! WebSockets (RFC 6455): a request becomes one, which a task of its connection serves.

use super::routes::{failure, refusal};
use crate::tasks::Spawner;
use axum::extract::ws::{WebSocket, WebSocketUpgrade};
use axum::extract::{FromRequestParts, Request};
use axum::response::{IntoResponse, Response};
use std::future::Future;
use tokio::sync::oneshot;
use wire::Fault;

/// Both ends of a WebSocket in the hands of whoever serves it.
pub type Socket = WebSocket;

/// Makes a WebSocket of `request` that speaks `protocol`; its messages have at most `most` bytes, and each that is sent leaves
/// at once. `serve` runs until it is done, or its connection is dropped.
pub async fn socket<F, W>(
    request: Request,
    protocol: &'static str,
    most: usize,
    serve: F,
) -> Response
where
    F: FnOnce(Socket) -> W + Send + 'static,
    W: Future<Output = ()> + Send + 'static,
{
    let (mut parts, _) = request.into_parts();
    let Some(spawner) = parts.extensions.remove::<Spawner>() else {
        return refusal(&failure(Fault::Internal, "no WebSocket can begin here"));
    };
    let upgrade = match WebSocketUpgrade::from_request_parts(&mut parts, &()).await {
        Ok(upgrade) => upgrade.protocols([protocol]),
        Err(rejected) => {
            tracing::debug!(error = %rejected, "no WebSocket");
            let text = format!("a WebSocket over HTTP/1.1 begins here that speaks {protocol}");
            let mut refused = refusal(&failure(Fault::Malformed, &text));
            *refused.status_mut() = rejected.into_response().status();
            return refused;
        }
    };
    if upgrade.selected_protocol().is_none() {
        let text = format!("this WebSocket speaks {protocol}, and nothing else was offered");
        return refusal(&failure(Fault::Malformed, &text));
    }
    let (began, begun) = oneshot::channel();
    spawner.spawn(async move {
        // Nobody hands it over when the client left before the answer.
        if let Ok(socket) = begun.await {
            serve(socket).await;
        }
    });
    upgrade
        .max_message_size(most)
        .max_frame_size(most)
        .write_buffer_size(0)
        .on_failed_upgrade(|error| tracing::debug!(%error, "a WebSocket did not begin"))
        .on_upgrade(move |socket| async move { drop(began.send(socket)) })
}

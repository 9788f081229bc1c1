//! Shipping over HTTP: a node sends records, and hears what was received.

use crate::auth::Auth;
use crate::error::Refusal;
use crate::gate::NodePart;
use crate::query::Query;
use crate::routes::body_of;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use model::limit::{RECORD_BYTES, SHIP_BYTES};
use std::sync::Arc;
use std::time::Duration;
use wire::recording::{Progress, ReadProgress};

/// The route of shipments.
pub const SHIP: &str = "/v1/node/ship/{id}";
/// Bytes of one shipment, at most: whole records are sent, so the last may stick out.
pub const BODY_BYTES: usize = SHIP_BYTES + RECORD_BYTES + 4096;
/// How long the shipment with the end waits for the recording to be stored, so that the node need not ask again.
const STORED_WITHIN: Duration = Duration::from_secs(3);

pub async fn read_progress(
    auth: Arc<Auth>,
    by: NodePart,
    call: ReadProgress,
) -> Result<Progress, Refusal> {
    auth.inflow.progress(by.name(), call.id).await
}

pub async fn ship(auth: Arc<Auth>, by: NodePart, request: Request) -> Result<Response, Refusal> {
    let query = Query::of(&request);
    let id = query.id()?;
    let after = query.number("after")?.ok_or_else(|| Refusal::malformed("after is missing"))?;
    let body = body_of(request).await?;
    let taken = auth.inflow.take(&by.part, id, after, body).await?;
    auth.ledger.tell(taken.events).await;
    let mut progress = taken.answer?;
    if taken.ended && !progress.stored {
        progress.stored = auth.sealer.seal_within(by.name(), id, STORED_WITHIN).await;
    }
    Ok(axum::Json(progress).into_response())
}

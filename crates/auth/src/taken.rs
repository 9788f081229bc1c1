//! Recordings taken away in other formats.

use crate::auth::Auth;
use crate::error::Refusal;
use crate::gate::Member;
use crate::look::{Look, Needs};
use crate::pour::{Pour, pour};
use crate::query::Query;
use crate::shelf::Opened;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use record::Fault;
use record::export::{self, Asciicast, Export, Transcript};
use std::sync::Arc;

/// An asciicast, version 2 or 3.
pub async fn cast(auth: Arc<Auth>, by: Member, request: Request) -> Result<Response, Refusal> {
    let query = Query::of(&request);
    let look = Look::of(&auth, by, &query, Needs::Export).await?;
    let version = query.number("version")?.unwrap_or(3);
    if !matches!(version, 2 | 3) {
        return Err(Refusal::malformed("asciicasts are of version 2 or 3"));
    }
    let body = pour(&auth, &look, move |recording, pour| {
        let heading = recording.heading();
        let mut cast = match version {
            2 => Asciicast::v2(heading),
            _ => Asciicast::v3(heading),
        };
        write(&recording, &mut cast, pour);
    });
    let name = format!("attachment; filename=\"{}.cast\"", look.row().id);
    let headers =
        [(CONTENT_TYPE, "application/x-asciicast".to_owned()), (CONTENT_DISPOSITION, name)];
    Ok((headers, body.await?).into_response())
}

/// A transcript.
pub async fn text(auth: Arc<Auth>, by: Member, request: Request) -> Result<Response, Refusal> {
    let look = Look::of(&auth, by, &Query::of(&request), Needs::Export).await?;
    let body = pour(&auth, &look, |recording, pour| {
        let mut transcript = Transcript::new(recording.heading());
        write(&recording, &mut transcript, pour);
    });
    let name = format!("attachment; filename=\"{}.txt\"", look.row().id);
    let headers =
        [(CONTENT_TYPE, "text/plain; charset=utf-8".to_owned()), (CONTENT_DISPOSITION, name)];
    Ok((headers, body.await?).into_response())
}

/// A damaged recording is taken away up to the damage, which is told in it.
fn write(recording: &Opened, to: &mut impl Export, pour: &mut Pour) {
    let put = |piece: String| pour.put(piece.as_bytes()).then_some(()).ok_or(());
    if let Ok(Some(damage)) = export::export(recording, to, put) {
        tracing::warn!(id = %recording.heading().id, %damage, "a recording is taken away in part");
        if matches!(damage.what, Fault::Source(_)) {
            pour.cut();
        }
    }
}

//! What browsers ask of a proxy. It decides nothing about people: what they may do, auth and the nodes decide.
//!
//! | module | what lives there |
//! |---|---|
//! | `routes` | which route a request is for |
//! | `guard` | what must hold of a request before anything is done with it |
//! | `pages` | the front end, or what stands in its place |
//! | `pass` | calls and streams, passed on to auth |
//! | `alis` | a session that goes on, for asciinema-player |
//! | `aboard` | the way onto a node for whoever sits before a page |
//! | `terminal` | a WebSocket as a terminal |
//! | `files` | files up and down, and folders |

mod aboard;
mod alis;
mod files;
mod guard;
mod pages;
mod pass;
mod routes;
mod terminal;
#[cfg(test)]
mod tests;

use crate::carry::Carry;
use crate::upkeep::Ended;
use axum::Router;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, StatusCode, header};
use link::http::{Channel, refusal};
use link::ssh::Startups;
use link::{Peer, Places};
use model::UserName;
use model::limit::{
    WEB_CALLS, WEB_CALLS_PER_ADDRESS, WEB_FILES, WEB_FILES_PER_ADDRESS, WEB_STREAMS,
    WEB_STREAMS_PER_ADDRESS, WEB_TERMINALS, WEB_TERMINALS_PER_ADDRESS,
};
use model::role::RoleSet;
use routes::Found;
use std::sync::Arc;
use terminal::people;
use tokio::sync::{broadcast, watch};
use tokio_util::sync::CancellationToken;
use wire::route::Way;
use wire::web::Ping;
use wire::{Failure, Fault};

/// Serves browsers.
pub(crate) struct Web {
    auth: Channel,
    carry: Carry,
    /// What is locked.
    roles: watch::Receiver<RoleSet>,
    /// Which web sessions end.
    ended: broadcast::Sender<Ended>,
    stop: CancellationToken,
    guests: Startups,
    calls: Startups,
    streams: Startups,
    terminals: Startups,
    transfers: Startups,
    people: Places<UserName>,
}

impl Web {
    /// What they ask goes to auth over `auth`, which is theirs alone. `guests` counts those who come otherwise, too.
    pub(crate) fn new(
        auth: Channel,
        carry: Carry,
        (roles, ended): (watch::Receiver<RoleSet>, broadcast::Sender<Ended>),
        guests: Startups,
        stop: CancellationToken,
    ) -> Self {
        Self {
            auth,
            carry,
            roles,
            ended,
            stop,
            guests,
            terminals: Startups::of(WEB_TERMINALS, WEB_TERMINALS_PER_ADDRESS),
            people: people(),
            transfers: Startups::of(WEB_FILES, WEB_FILES_PER_ADDRESS),
            calls: Startups::of(WEB_CALLS, WEB_CALLS_PER_ADDRESS),
            streams: Startups::of(WEB_STREAMS, WEB_STREAMS_PER_ADDRESS),
        }
    }

    /// For one connection, whose client called this end so.
    pub(crate) fn router(self: &Arc<Self>, called: Option<&str>) -> Router {
        let (web, called) = (Arc::clone(self), called.map(str::to_owned));
        Router::new().fallback(move |request: Request| async move {
            web.answer(called.as_deref(), request).await
        })
    }

    async fn answer(self: &Arc<Self>, called: Option<&str>, request: Request) -> Response {
        let route = match routes::find(request.method(), request.uri().path()) {
            Found::Page => {
                return pages::answer(request.method(), request.uri(), request.headers());
            }
            Found::Route(route) => route,
            Found::OtherMethod(allowed) => {
                let refused = Refused::with(StatusCode::METHOD_NOT_ALLOWED, OTHER_METHOD);
                let mut answer = refused.into_response();
                answer.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allowed));
                return closed(answer);
            }
            Found::Nothing => return closed(nothing_here().into_response()),
        };
        let Some(peer) = request.extensions().get::<Peer>().cloned() else {
            return closed(nothing_here().into_response());
        };
        let (parts, body) = request.into_parts();
        let visitor = match guard::admit(&route, &peer, called, &parts) {
            Ok(visitor) => visitor,
            Err(refused) => return closed(refused.into_response()),
        };
        closed(match route.way {
            Way::Terminal => {
                let request = Request::from_parts(parts, body);
                self.terminal(visitor, request).await
            }
            Way::Alis => self.alis(visitor, Request::from_parts(parts, body)).await,
            Way::Ping => axum::Json(ping()).into_response(),
            Way::Description => described(),
            Way::Call => self.call(&visitor, parts.uri.path(), body).await.into_response(),
            Way::Folder => self.folder(&visitor, &parts.uri).await.into_response(),
            Way::Download => self.download(&visitor, &parts.uri).await.into_response(),
            Way::Upload => self.upload(&visitor, &parts.uri, body).await.into_response(),
            Way::Stream => self.stream(&visitor, &parts.uri).await.into_response(),
        })
    }
}

/// What auth is told of a browser that is let through on a connection for `called`, or what is answered instead, without its
/// body: for the fuzz target.
#[doc(hidden)]
pub fn rehearse(
    called: Option<&str>,
    request: &http::request::Parts,
) -> Result<http::HeaderMap, (StatusCode, http::HeaderMap)> {
    let answer = match routes::find(&request.method, request.uri.path()) {
        Found::Page => pages::answer(&request.method, &request.uri, &request.headers),
        Found::Route(route) => {
            let peer = Peer::nobody(([192, 0, 2, 7], 4711).into());
            match guard::admit(&route, &peer, called, request) {
                Ok(visitor) => return Ok(pass::said_of(&visitor)),
                Err(refused) => closed(refused.into_response()),
            }
        }
        Found::OtherMethod(_) | Found::Nothing => closed(nothing_here().into_response()),
    };
    Err((answer.status(), answer.headers().clone()))
}

const OTHER_METHOD: &str = "this path is asked in another way; calls are POST";

/// Whether there is a proxy.
fn ping() -> Ping {
    Ping { part: "proxy".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() }
}

/// What routes there are, as it is published.
fn described() -> Response {
    const KIND: HeaderValue = HeaderValue::from_static("application/json");
    let text = include_str!("../../../../docs/openapi.json");
    ([(header::CONTENT_TYPE, KIND)], text).into_response()
}

fn nothing_here() -> Refused {
    Refused::new(Fault::NotFound, "there is nothing at this path")
}

/// What a browser is answered that does not get what it asked for.
#[derive(Debug)]
struct Refused {
    /// One that says more than that of the fault, if there is one.
    status: Option<StatusCode>,
    failure: Failure,
}

impl Refused {
    fn new(fault: Fault, why: impl Into<String>) -> Self {
        Self { status: None, failure: Failure { fault, message: why.into() } }
    }

    fn with(status: StatusCode, why: impl Into<String>) -> Self {
        Self { status: Some(status), ..Self::new(Fault::Malformed, why) }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let mut answer = refusal(&self.failure);
        if let Some(status) = self.status {
            *answer.status_mut() = status;
        }
        answer
    }
}

/// An answer that is data for the own page: kept by nobody, shown as nothing else, given to no other site.
fn closed(mut answer: Response) -> Response {
    const HEADERS: [(HeaderName, &str); 5] = [
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (CROSS_ORIGIN_RESOURCE, "same-origin"),
    ];
    for (name, value) in HEADERS {
        answer.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    answer
}

/// Who else may load an answer (Fetch, Cross-Origin-Resource-Policy).
const CROSS_ORIGIN_RESOURCE: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

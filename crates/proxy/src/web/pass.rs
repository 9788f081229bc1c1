//! Calls and streams of browsers, passed on to auth. Of a request go the path, the body, and what the proxy itself says of
//! the browser; no header that the browser sent goes with it.

use super::guard::Visitor;
use super::{Refused, Web};
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::StreamExt;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header};
use link::http::{CallError, Kept, whole, words};
use link::ssh::{Startup, Startups};
use model::limit::REQUEST_BYTES_OF_NOBODY;
use wire::Fault;
use wire::name::CLIENT_ADDRESS_HEADER;
use wire::stream::{LIVE_HEADER, TOTAL_HEADER};
use wire::web::{COOKIE, ORIGIN_HEADER, SESSION_HEADER, SET_SESSION_HEADER, SetSession};

/// Headers of auth's answers that browsers get.
const GIVEN: [HeaderName; 4] = [
    header::CONTENT_TYPE,
    header::CONTENT_DISPOSITION,
    HeaderName::from_static(TOTAL_HEADER),
    HeaderName::from_static(LIVE_HEADER),
];

impl Web {
    /// Passes a call on.
    pub(super) async fn call(
        &self,
        visitor: &Visitor,
        path: &str,
        body: Body,
    ) -> Result<Response, Refused> {
        let _place = place(&self.calls, visitor)?;
        let body = whole(body, REQUEST_BYTES_OF_NOBODY, |_| Ok(()))
            .await
            .map_err(|(status, failure)| Refused { status: Some(status), failure })?;
        let mut headers = said_of(visitor);
        let json = HeaderValue::from_static("application/json");
        headers.insert(header::CONTENT_TYPE, json);
        let answer = self.auth.pass(Method::POST, path, headers, body).await;
        Ok(given(answer.map_err(|error| away(&error))?.map(Body::new)))
    }

    /// Passes a stream on until one end of it leaves. Who does not read makes auth wait.
    pub(super) async fn stream(&self, visitor: &Visitor, uri: &Uri) -> Result<Response, Refused> {
        let place = place(&self.streams, visitor)?;
        let path = uri.path_and_query().map_or(uri.path(), http::uri::PathAndQuery::as_str);
        let answer = self.auth.pass(Method::GET, path, said_of(visitor), Bytes::new()).await;
        let answer = answer.map_err(|error| away(&error))?;
        Ok(given(answer.map(|body| holding(body, place))))
    }
}

pub(super) fn place(places: &Startups, visitor: &Visitor) -> Result<Startup, Refused> {
    places.take(Some(visitor.address.ip())).ok_or_else(|| {
        let why = "too much is asked from this address at once: try again in a moment";
        Refused::new(Fault::TooMany, why)
    })
}

/// What auth is told of a browser. It believes it, because a proxy says it.
pub(super) fn said_of(visitor: &Visitor) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if let Ok(address) = HeaderValue::from_str(&visitor.address.ip().to_canonical().to_string()) {
        headers.insert(CLIENT_ADDRESS_HEADER, address);
    }
    if let Some(secret) = &visitor.secret {
        headers.insert(SESSION_HEADER, secret.clone());
    }
    if let Ok(origin) = HeaderValue::from_str(&visitor.origin) {
        headers.insert(ORIGIN_HEADER, origin);
    }
    if let Some(browser) = &visitor.browser {
        headers.insert(header::USER_AGENT, browser.clone());
    }
    headers
}

/// An answer of auth, as a browser gets it: a new secret goes into the cookie, and nowhere else.
fn given(answer: http::Response<Body>) -> Response {
    let (head, body) = answer.into_parts();
    let mut given = (head.status, body).into_response();
    let headers = given.headers_mut();
    headers.remove(header::CONTENT_TYPE);
    for name in GIVEN {
        if let Some(value) = head.headers.get(&name) {
            headers.insert(name, value.clone());
        }
    }
    if let Some(set) = head.headers.get(SET_SESSION_HEADER) {
        match cookie(set) {
            Some(cookie) => drop(headers.insert(header::SET_COOKIE, cookie)),
            None => tracing::error!("auth gave a secret that cannot stand in a cookie"),
        }
    }
    given
}

/// The cookie as auth wants it: set for so many seconds, or taken back.
fn cookie(set: &HeaderValue) -> Option<HeaderValue> {
    let (secret, seconds) = match set.to_str().ok()?.parse().ok()? {
        SetSession::New { secret, seconds } => (secret, seconds),
        SetSession::Clear => (String::new(), 0),
    };
    let how = "Path=/; Secure; HttpOnly; SameSite=Strict";
    HeaderValue::from_str(&format!("{COOKIE}={secret}; Max-Age={seconds}; {how}")).ok()
}

/// A body that keeps its place until it ends.
fn holding(body: Kept, place: Startup) -> Body {
    let pieces = Body::new(body).into_data_stream();
    Body::from_stream(pieces.inspect(move |_| {
        let _ = &place;
    }))
}

/// Auth gave no answer at all.
pub(super) fn away(error: &CallError) -> Refused {
    tracing::warn!(error = words(error), "what a browser asked did not reach auth");
    Refused::new(Fault::Unavailable, "auth does not answer this proxy: try again later")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_becomes_a_cookie_and_an_empty_one_takes_it_back() {
        let check = |secret: &str, expected: Option<&str>| {
            let made = cookie(&HeaderValue::from_str(secret).unwrap());
            assert_eq!(made.as_ref().map(|made| made.to_str().unwrap()), expected, "{secret}");
        };
        let (set, cleared) = (
            "__Host-scry=abc; Max-Age=60; Path=/; Secure; HttpOnly; SameSite=Strict",
            "__Host-scry=; Max-Age=0; Path=/; Secure; HttpOnly; SameSite=Strict",
        );
        check("abc 60", Some(set));
        check("", Some(cleared));
        for odd in ["abc", " 60", "a;Domain=example 60", "a b 60", "abc x"] {
            check(odd, None);
        }
    }
}

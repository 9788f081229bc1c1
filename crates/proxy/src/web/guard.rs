//! What must hold of a browser's request before anything is done with it: it comes from the own pages, and for this host.

use super::Refused;
use super::routes::Route;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use link::{Peer, PeerIdentity};
use model::limit::{BROWSER_BYTES, WEB_SECRET_BYTES};
use std::net::SocketAddr;
use wire::Fault;
use wire::route::{Door, Way};
use wire::web::COOKIE;

/// What a browser says of the page that asks (Fetch Metadata).
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Who sits before the page, as far as a proxy can know.
#[derive(Debug, Clone)]
pub(super) struct Visitor {
    /// Where they are.
    pub(super) address: SocketAddr,
    /// The secret of their web session; whether it counts is for auth to say.
    pub(super) secret: Option<HeaderValue>,
    /// What their browser calls itself.
    pub(super) browser: Option<HeaderValue>,
    /// The own address of the page.
    pub(super) origin: String,
}

/// Looks at a request, and says who asks.
pub(super) fn admit(
    route: &Route,
    peer: &Peer,
    called: Option<&str>,
    request: &Parts,
) -> Result<Visitor, Refused> {
    let headers = &request.headers;
    let visitor = |origin| Visitor {
        address: peer.address,
        secret: secret(headers),
        browser: headers.get(header::USER_AGENT).and_then(shortened),
        origin,
    };
    if route.door == Door::Open {
        return Ok(visitor(String::new()));
    }
    if peer.identity != PeerIdentity::Nobody {
        let text = "this is for browsers; whoever has a certificate asks auth itself";
        return Err(Refused::new(Fault::Denied, text));
    }
    let Some(host) = host(request) else {
        return Err(Refused::with(
            StatusCode::BAD_REQUEST,
            "it is not clear for which host this is",
        ));
    };
    if called.is_some_and(|called| !called.eq_ignore_ascii_case(name(&host))) {
        // A browser that uses a connection for another name that its certificate has (RFC 9110 §15.5.20).
        let text = "this connection was opened for another host";
        return Err(Refused::with(StatusCode::MISDIRECTED_REQUEST, text));
    }
    let own = format!("https://{host}");
    let mut origins = headers.get_all(header::ORIGIN).iter();
    let is_own = match (origins.next(), origins.next()) {
        (None, _) => route.door == Door::Read,
        (Some(origin), None) => {
            origin.to_str().is_ok_and(|origin| origin.eq_ignore_ascii_case(&own))
        }
        (Some(_), Some(_)) => false,
    };
    let near = headers.get_all(FETCH_SITE).iter().all(|site| site == "same-origin");
    if !is_own || !near {
        return Err(Refused::new(
            Fault::Denied,
            "only the own pages of this host may ask for this",
        ));
    }
    if route.way == Way::Call && !is_json(headers) {
        let text = "a call is JSON, and says so in Content-Type";
        return Err(Refused::with(StatusCode::UNSUPPORTED_MEDIA_TYPE, text));
    }
    Ok(visitor(own))
}

/// The host that a request is for, with its port; `None` if it says none, or two.
fn host(request: &Parts) -> Option<String> {
    let mut headers = request.headers.get_all(header::HOST).iter();
    let header = match (headers.next(), headers.next()) {
        (Some(one), None) => Some(one.to_str().ok()?),
        (None, _) => None,
        (Some(_), Some(_)) => return None,
    };
    let authority = request.uri.authority().map(http::uri::Authority::as_str);
    match (authority, header) {
        (Some(one), Some(other)) if !one.eq_ignore_ascii_case(other) => None,
        (Some(host), _) | (None, Some(host)) => Some(host.to_ascii_lowercase()),
        (None, None) => None,
    }
}

/// A host without its port.
fn name(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) => name,
        _ => host,
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default();
    kind.trim().eq_ignore_ascii_case("application/json")
}

/// The cookie's value; none of several, because only one can be the browser's own. No other host can set a cookie of its name
/// (RFC 6265bis §4.1.3.2).
fn secret(headers: &HeaderMap) -> Option<HeaderValue> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.split_once('='));
    let mut found = pairs.filter(|(name, _)| name.trim() == COOKIE).map(|(_, value)| value.trim());
    match (found.next(), found.next()) {
        (Some(secret), None) if is_secret(secret) => HeaderValue::from_str(secret).ok(),
        _ => None,
    }
}

/// Whether a text can be the secret of a web session.
fn is_secret(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (1..=WEB_SECRET_BYTES).contains(&text.len()) && text.bytes().all(plain)
}

fn shortened(browser: &HeaderValue) -> Option<HeaderValue> {
    let text = browser.to_str().ok()?;
    HeaderValue::from_str(text.get(..BROWSER_BYTES).unwrap_or(text)).ok()
}

#[cfg(test)]
mod tests {
    use super::super::routes::{Found, find};
    use super::*;
    use axum::response::IntoResponse;
    use http::{Method, Request};

    const HOST: (&str, &str) = ("host", "home.example:4422");
    const ORIGIN: (&str, &str) = ("origin", "https://home.example:4422");
    const JSON: (&str, &str) = ("content-type", "application/json");

    fn look(
        method: Method,
        path: &str,
        called: Option<&str>,
        identity: PeerIdentity,
        headers: &[(&str, &str)],
    ) -> Result<Visitor, u16> {
        let Found::Route(route) =
            find(&method, path.rsplit_once("4422").map_or(path, |(_, path)| path))
        else {
            panic!("{path} is no route")
        };
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let peer = Peer { identity, ..Peer::nobody("192.0.2.7:4711".parse().unwrap()) };
        admit(&route, &peer, called, &parts)
            .map_err(|refused| refused.into_response().status().as_u16())
    }

    #[track_caller]
    fn check(headers: &[(&str, &str)], expected: u16) {
        let looked =
            look(Method::POST, "/v1/sign-up", Some("home.example"), PeerIdentity::Nobody, headers);
        assert_eq!(looked.err().unwrap_or(200), expected, "{headers:?}");
    }

    #[test]
    fn a_call_comes_from_a_page_of_the_same_host_as_json() {
        check(&[HOST, ORIGIN, JSON], 200);
        check(&[HOST, ORIGIN, ("content-type", "Application/JSON; charset=utf-8")], 200);
        check(&[HOST, ORIGIN, JSON, ("sec-fetch-site", "same-origin")], 200);
        check(&[HOST, ("origin", "https://HOME.example:4422"), JSON], 200);
        for site in ["cross-site", "same-site", "none", ""] {
            check(&[HOST, ORIGIN, JSON, ("sec-fetch-site", site)], 403);
        }
        check(
            &[HOST, ORIGIN, JSON, ("sec-fetch-site", "same-origin"), ("sec-fetch-site", "none")],
            403,
        );
        check(&[HOST, JSON], 403);
        check(&[HOST, ORIGIN, ORIGIN, JSON], 403);
        for origin in [
            "null",
            "http://home.example:4422",
            "https://home.example",
            "https://home.example:4423",
            "https://evil.home.example:4422",
            "https://home.example:4422.evil.example",
            "https://evil.example",
        ] {
            check(&[HOST, ("origin", origin), JSON], 403);
        }
        check(&[HOST, ORIGIN], 415);
        for kind in [
            "text/plain",
            "application/x-www-form-urlencoded",
            "multipart/form-data",
            "application/jsonp",
        ] {
            check(&[HOST, ORIGIN, ("content-type", kind)], 415);
        }
        check(&[ORIGIN, JSON], 400);
        check(&[HOST, HOST, ORIGIN, JSON], 400);
        let other =
            [("host", "proxy.example:4422"), ("origin", "https://proxy.example:4422"), JSON];
        check(&other, 421);
    }

    #[test]
    fn one_with_a_certificate_is_no_browser() {
        let user = PeerIdentity::User("alice".parse().unwrap());
        let headers = [HOST, ORIGIN, JSON];
        let looked = look(Method::POST, "/v1/sign-up", None, user.clone(), &headers);
        assert_eq!(looked.unwrap_err(), 403);
        assert!(look(Method::GET, "/v1/ping", None, user, &[]).is_ok());
    }

    #[test]
    fn what_is_only_read_needs_no_origin_but_has_no_other() {
        let path = "/v1/audit/follow";
        let read = |headers: &[_]| look(Method::GET, path, None, PeerIdentity::Nobody, headers);
        assert!(read(&[HOST]).is_ok());
        assert!(read(&[HOST, ("sec-fetch-site", "same-origin")]).is_ok());
        assert_eq!(read(&[HOST, ("sec-fetch-site", "cross-site")]).unwrap_err(), 403);
        assert_eq!(read(&[HOST, ("origin", "https://evil.example")]).unwrap_err(), 403);
    }

    #[test]
    fn the_host_of_http2_and_that_of_http1_are_one() {
        let uri = "https://home.example:4422/v1/sign-up";
        let look = |host: &str, called| {
            let headers = [("host", host), ORIGIN, JSON];
            look(Method::POST, uri, called, PeerIdentity::Nobody, &headers).err().unwrap_or(200)
        };
        assert_eq!(look("home.example:4422", Some("home.example")), 200);
        assert_eq!(look("home.example:4422", None), 200);
        assert_eq!(look("evil.example:4422", None), 400);
    }

    #[test]
    fn a_secret_is_taken_from_one_cookie_of_the_right_name_and_form() {
        let check = |cookies: &[&str], expected: Option<&str>| {
            let lines: Vec<_> = cookies.iter().map(|line| ("cookie", *line)).collect();
            let headers = [&lines[..], &[HOST]].concat();
            let path = "/v1/audit/follow";
            let visitor = look(Method::GET, path, None, PeerIdentity::Nobody, &headers).unwrap();
            let secret = visitor.secret.as_ref().map(|secret| secret.to_str().unwrap());
            assert_eq!(secret, expected, "{cookies:?}");
        };
        let long = format!("__Host-scry={}", "a".repeat(WEB_SECRET_BYTES + 1));
        check(&["__Host-scry=a-_9"], Some("a-_9"));
        check(&["other=1; __Host-scry=abc; more=2"], Some("abc"));
        check(&["other=1", "__Host-scry=abc"], Some("abc"));
        check(&[], None);
        check(&["__Host-scry="], None);
        check(&["__host-scry=abc"], None);
        check(&["__Host-scry=a b"], None);
        check(&["__Host-scry=\"abc\""], None);
        check(&["__Host-scry=abc; __Host-scry=def"], None);
        check(&[&long], None);
    }
}

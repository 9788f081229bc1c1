//! Requests of browsers: what a proxy lets through and says of them, and what auth reads behind their question marks.

use auth::{Query, Wish};
use axum::body::Body;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, header};
use model::limit::{BROWSER_BYTES, SEARCH_CHARS, WEB_SECRET_BYTES};
use wire::name::CLIENT_ADDRESS_HEADER;
use wire::route::open_call;
use wire::web::{COOKIE, ORIGIN_HEADER, SESSION_HEADER};

/// What a search is told to the ledger with, besides what is searched.
const CONDITIONS: [&str; 8] = ["user", "node", "login", "since", "until", "case", "regex", "after"];

/// A request without its body, in HTTP/1.1.
///
/// What is let through comes from a page of its own host, and what auth is told of it is what the proxy knows, and the secret
/// that the browser's cookie holds. Every other answer is guarded, and sets no cookie. What is searched for is found in itself,
/// and what auth reads is read the same again.
pub fn web(bytes: &[u8]) {
    let Some(request) = read(bytes) else { return };
    query(&request);
    search(&request);
    let (parts, _) = request.into_parts();
    for called in [None, Some("home.example")] {
        match proxy::rehearse_web(called, &parts) {
            Ok(said) => let_through(&said, called, &parts),
            Err((status, given)) => refused(status, &given),
        }
    }
}

fn read(bytes: &[u8]) -> Option<Request<Body>> {
    let mut lines = bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let (method, uri) = std::str::from_utf8(lines.next()?).ok()?.split_once(' ')?;
    let mut request = Request::new(Body::empty());
    *request.method_mut() = Method::from_bytes(method.as_bytes()).ok()?;
    *request.uri_mut() = uri.strip_suffix(" HTTP/1.1").unwrap_or(uri).parse().ok()?;
    for line in lines {
        let Some(at) = line.iter().position(|byte| *byte == b':') else { break };
        let name = HeaderName::from_bytes(&line[..at]);
        let value = HeaderValue::from_bytes(line[at + 1..].trim_ascii());
        if let (Ok(name), Ok(value)) = (name, value) {
            let _ = request.headers_mut().try_append(name, value);
        }
    }
    Some(request)
}

fn refused(status: StatusCode, given: &HeaderMap) {
    assert_ne!(status, StatusCode::INTERNAL_SERVER_ERROR);
    let guards =
        [header::CONTENT_SECURITY_POLICY, header::X_CONTENT_TYPE_OPTIONS, header::REFERRER_POLICY];
    for guard in guards {
        assert!(given.contains_key(&guard), "{status} without {guard}");
    }
    assert!(!given.contains_key(header::SET_COOKIE), "a cookie from nowhere");
}

fn let_through(said: &HeaderMap, called: Option<&str>, request: &Parts) {
    let known = [CLIENT_ADDRESS_HEADER, SESSION_HEADER, ORIGIN_HEADER, "user-agent"];
    assert!(said.keys().all(|name| known.contains(&name.as_str())), "{said:?}");
    assert_eq!(one(said, CLIENT_ADDRESS_HEADER), Some("192.0.2.7"));
    assert!(one(said, "user-agent").is_none_or(|name| name.len() <= BROWSER_BYTES));
    if let Some(secret) = one(said, SESSION_HEADER) {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        assert!((1..=WEB_SECRET_BYTES).contains(&secret.len()) && secret.bytes().all(plain));
        let mut cookies = request.headers.get_all(header::COOKIE).iter();
        let held = |line: &str| line.contains(COOKIE) && line.contains(secret);
        assert!(cookies.any(|line| line.to_str().is_ok_and(held)), "{secret} is in no cookie");
    }
    let origin = one(said, ORIGIN_HEADER).expect("the own address of the page is said");
    // What may be asked from anywhere, and shows nothing of anybody.
    if origin.is_empty() {
        return;
    }
    let host = origin.strip_prefix("https://").expect("pages are served over TLS");
    let authority = request.uri.authority().map(http::uri::Authority::as_str);
    for own in [one(&request.headers, "host"), authority].into_iter().flatten() {
        assert!(own.eq_ignore_ascii_case(host), "{own} is not {host}");
    }
    let fits = |called: &str| host == called || host.starts_with(&format!("{called}:"));
    assert!(called.is_none_or(fits), "{host} on a connection for {called:?}");
    let page = one(&request.headers, "origin");
    assert!(page.is_none_or(|page| page.eq_ignore_ascii_case(origin)), "from the page {page:?}");
    assert!(request.headers.get_all("sec-fetch-site").iter().all(|site| site == "same-origin"));
    let call = request.uri.path().strip_prefix("/v1/").and_then(open_call);
    if call.is_some() && request.method == Method::POST {
        let kind = request.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let kind = kind.map(str::to_ascii_lowercase).unwrap_or_default();
        assert!(page.is_some() && kind.trim_start().starts_with("application/json"), "{kind}");
    }
}

/// The value of a header; two are more than may be there.
fn one<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let mut all = headers.get_all(name).iter();
    let first = all.next()?.to_str().expect("what counts is plain text");
    assert!(all.next().is_none(), "{name} is there twice");
    Some(first)
}

fn query(request: &Request<Body>) {
    let query = Query::of(request);
    for name in ["for", "user", "node", "login"] {
        let Some(raw) = query.text(name) else { continue };
        assert!(!raw.contains('&'), "{raw}");
        let Ok(Some(text)) = query.decoded(name) else { continue };
        assert!(raw.contains('%') || text == raw, "{text:?} of {raw:?}");
        let written: String = text.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let again = Request::builder().uri(format!("/v1/x?{name}={written}"));
        let Ok(again) = again.body(Body::empty()) else { continue };
        assert_eq!(Query::of(&again).decoded(name).expect("it is encoded"), Some(text));
    }
    if let Ok(id) = query.id() {
        let plain = |text: &str| text.to_ascii_lowercase().replace('-', "");
        assert!(plain(request.uri().path()).contains(&plain(&id.to_string())), "{id}");
    }
    if let Ok(place) = auth::place(query.text("after").unwrap_or("0")) {
        assert_eq!(auth::place(&place.to_string()).expect("it was written so"), place);
    }
    let classes = auth::classes(query.text("class"));
    assert!(classes.is_err() || classes.is_ok_and(|classes| !classes.is_empty()), "no class");
}

fn search(request: &Request<Body>) {
    let query = Query::of(request);
    if let Ok((text, pattern)) = auth::pattern(&query) {
        let length = text.chars().count();
        assert!((1..=SEARCH_CHARS).contains(&length), "{length} characters");
        let length = u32::try_from(length).expect("that is few");
        let found = pattern.find(&text);
        if query.text("regex") == Some("1") {
            assert!(found.is_none_or(|(from, to)| from < to && to <= length), "{found:?}");
        } else {
            assert_eq!(found, Some((0, length)), "{text:?} is not in itself");
        }
    }
    let Ok(wish) = Wish::of(&query) else { return };
    let mut words = wish.conditions.split(' ');
    assert!(words.next().is_some_and(|what| what.starts_with("what=")), "{}", wish.conditions);
    for word in words {
        let name = word.split_once('=').map(|(name, _)| name);
        assert!(name.is_some_and(|name| CONDITIONS.contains(&name)), "{}", wish.conditions);
    }
}

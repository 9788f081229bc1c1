//! What browsers get of a whole proxy on loopback: pages, calls and streams of auth.

use crate::kit::{House, found, house, refused, user};
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wire::name::PROXY_SERVER;

/// An answer of HTTP/1.1: status, headers as they came, body.
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(": ")?;
            found.eq_ignore_ascii_case(name).then_some(value)
        })
    }
}

/// A page's connection.
async fn connect(house: &House) -> impl link::Duplex {
    house.dialer(None, b"http/1.1", PROXY_SERVER).dial_tls().await.unwrap()
}

/// Asks as a browser does whose page is of this proxy; `further` headers are whole lines.
async fn ask(house: &House, method: &str, path: &str, further: &[&str], body: &str) -> Answer {
    let mut stream = connect(house).await;
    let host = format!("{PROXY_SERVER}:{}", house.proxy.port());
    let mut request = format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n");
    if method == "POST" {
        request += &format!("origin: https://{host}\r\ncontent-type: application/json\r\n");
    }
    for line in further {
        request += &format!("{line}\r\n");
    }
    request += &format!("content-length: {}\r\n\r\n{body}", body.len());
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut told = Vec::new();
    // The server closes without a goodbye of TLS.
    let _ = stream.read_to_end(&mut told).await;
    let told = String::from_utf8(told).unwrap();
    let (head, body) = told.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{told:?}"));
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head: head.to_owned(), body: body.to_owned() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_reaches_auth_with_what_the_proxy_knows_and_nothing_that_the_browser_claims() {
    let house = house().await;
    let smuggled = [
        "cookie: other=1; __Host-scry=own-secret",
        "scry-web-session: stolen",
        "scry-client-address: 10.0.0.1:1",
        "scry-set-session: mine",
        "x-forwarded-for: 10.0.0.1",
        "authorization: Bearer stolen",
        "user-agent: Browser/1",
    ];
    let answer = ask(&house, "POST", "/v1/invitation?x=1", &smuggled, "{\"code\":\"c\"}").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let told: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(told["peer"], "proxy p1");
    assert_eq!(told["body"], "{\"code\":\"c\"}");
    let mut headers: Vec<_> = told["headers"].as_array().unwrap().iter().collect();
    headers.sort_by_key(|header| header.as_str().unwrap().to_owned());
    let headers: Vec<_> = headers.iter().map(|header| header.as_str().unwrap()).collect();
    let address = headers.iter().find(|line| line.starts_with("scry-client-address")).unwrap();
    assert_eq!(*address, "scry-client-address: 127.0.0.1");
    let origin = format!("scry-web-origin: https://{PROXY_SERVER}:{}", house.proxy.port());
    assert_eq!(
        headers,
        [
            "content-length: 12",
            "content-type: application/json",
            address,
            "scry-version: 1",
            &origin,
            "scry-web-session: own-secret",
            "user-agent: Browser/1",
        ]
    );
    let cookie = "__Host-scry=freshsecret; Max-Age=60; Path=/; Secure; HttpOnly; SameSite=Strict";
    assert_eq!(answer.header("set-cookie"), Some(cookie));
    assert_eq!(answer.header("scry-set-session"), None);
    assert_eq!(answer.header("x-inner"), None);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(answer.header("content-type"), Some("application/json"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_reaches_auth_that_another_page_asks_or_that_is_not_for_browsers() {
    let house = house().await;
    let calls = || house.cluster.calls.load(Ordering::Relaxed);
    for (method, path, further, status) in [
        ("POST", "/v1/invitation", "sec-fetch-site: cross-site", 403),
        ("POST", "/v1/invitation", "origin: https://evil.example", 403),
        ("POST", "/v1/invitation", "host: evil.example", 400),
        ("GET", "/v1/invitation", "", 405),
        ("PUT", "/v1/invitation", "", 405),
        ("OPTIONS", "/v1/invitation", "origin: https://evil.example", 405),
        ("POST", "/v1/invitation/", "", 404),
        ("POST", "/v1//invitation", "", 404),
        ("POST", "/v1/node/report", "", 404),
        ("POST", "/v1/join", "", 404),
        ("GET", "/v1/proxy/nodes", "", 404),
        ("GET", "/v1/node/news", "", 404),
        ("GET", "/v1/audit/follow", "sec-fetch-site: same-site", 403),
        ("GET", "/v1/audit/follow", "origin: https://evil.example", 403),
    ] {
        let further: Vec<_> = [further].into_iter().filter(|line| !line.is_empty()).collect();
        let answer = ask(&house, method, path, &further, "{}").await;
        assert_eq!(answer.status, status, "{method} {path} {further:?}: {}", answer.body);
        let failure: wire::Failure = serde_json::from_str(&answer.body).unwrap();
        assert!(!failure.message.is_empty());
        assert_eq!(answer.header("access-control-allow-origin"), None);
    }
    assert_eq!((calls(), house.cluster.streams.load(Ordering::Relaxed)), (0, 0));
    let long = format!("{{\"code\":\"{}\"}}", "x".repeat(70_000));
    assert_eq!(ask(&house, "POST", "/v1/invitation", &[], &long).await.status, 413);
    assert_eq!(calls(), 0);
    assert_eq!(ask(&house, "POST", "/v1/invitation", &[], "{}").await.status, 200);
    assert_eq!(calls(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_with_a_certificate_is_shown_pages_and_asks_auth_itself() {
    let house = house().await;
    let alice = house.client(Some(&user("alice"))).await;
    alice.get_bytes("/v1/ping", 1000).await.unwrap();
    let (fault, _) = refused(alice.get_bytes("/v1/audit/follow?after=0", 1000).await);
    assert_eq!(fault, wire::Fault::Denied);
    let nobody = house.client(None).await;
    let pages = nobody.pass(http::Method::GET, "/nodes", http::HeaderMap::new(), "".into());
    let policy = pages.await.unwrap().headers()["content-security-policy"].clone();
    assert!(policy.to_str().unwrap().contains("frame-ancestors 'none'"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_waits_for_who_does_not_read_and_ends_when_they_leave() {
    let house = house().await;
    let (streams, lines) = (&house.cluster.streams, &house.cluster.lines);
    let mut stream = connect(&house).await;
    let host = format!("{PROXY_SERVER}:{}", house.proxy.port());
    let request = format!("GET /v1/audit/follow?after=7 HTTP/1.1\r\nhost: {host}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut room = vec![0; 4096];
    let taken = stream.read(&mut room).await.unwrap();
    let head = String::from_utf8_lossy(&room[..taken]).into_owned();
    assert!(head.starts_with("HTTP/1.1 200") && head.contains("application/x-ndjson"), "{head}");
    assert_eq!(streams.load(Ordering::Relaxed), 1);
    // Until the windows on the way are full, and then no further.
    let mut before = 0;
    let still = async {
        loop {
            tokio::time::sleep(Duration::from_millis(500)).await;
            let now = lines.load(Ordering::Relaxed);
            if now == before {
                return now;
            }
            before = now;
        }
    };
    let stalled = tokio::time::timeout(Duration::from_secs(20), still).await.expect("it stalls");
    assert!(stalled * 7_003 < 40 << 20, "{stalled} lines of 7 KB wait");
    drop(stream);
    found("the stream's end", || (streams.load(Ordering::Relaxed) == 0).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_may_call_the_proxy_by_the_names_that_it_was_given() {
    let house = house().await;
    let tls = link::tls::client_tls(&house.cluster.trust(), None, &[b"http/1.1"]).unwrap();
    for (name, good) in [("localhost", true), ("127.0.0.1", true), ("other.example", false)] {
        let dialer = link::http::Dialer::new(house.proxy.to_string(), name, tls.clone());
        assert_eq!(dialer.dial_tls().await.is_ok(), good, "{name}");
    }
}

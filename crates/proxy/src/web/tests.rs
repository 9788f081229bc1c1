//! Every route of the web side at the door: from which pages it is asked, and how. Who is let in behind it, the house's own test asks
//! (`tests/tests/routes.rs`).

use super::guard::admit;
use super::routes::{Found, Route, find};
use axum::response::IntoResponse;
use http::{Method, Request};
use link::{Peer, PeerIdentity};
use wire::route::{BESIDE, Door, OPEN, Way, open_call};

/// All routes with their paths.
fn all() -> Vec<(String, Route)> {
    let beside = BESIDE.iter().map(|beside| (beside.path.to_owned(), Route::from(beside)));
    beside
        .chain(OPEN.iter().map(|call| (format!("/v1/{}", call.path), Route::of_calls())))
        .collect()
}

const METHODS: [Method; 8] = [
    Method::GET,
    Method::HEAD,
    Method::POST,
    Method::PUT,
    Method::DELETE,
    Method::PATCH,
    Method::OPTIONS,
    Method::TRACE,
];

type Header = (&'static str, &'static str);

/// Who asks, whether with a certificate, and with which headers beside `host`.
const ASKERS: [(&str, bool, &[Header]); 8] = [
    ("own page", false, &[("origin", "https://home:1"), ("sec-fetch-site", "same-origin")]),
    ("no page", false, &[]),
    ("other page", false, &[("origin", "https://evil:1"), ("sec-fetch-site", "cross-site")]),
    ("neighbour", false, &[("origin", "https://home:2"), ("sec-fetch-site", "same-site")]),
    ("no origin", false, &[("sec-fetch-site", "cross-site")]),
    ("sandbox", false, &[("origin", "null")]),
    ("form", false, &[("origin", "https://home:1"), ("content-type", "text/plain")]),
    ("certificate", true, &[("origin", "https://home:1")]),
];

/// What becomes of a request before anything is done with it: `-` where there is nothing, the status of a refusal, or `in`.
fn outcome(method: &Method, path: &str, certified: bool, headers: &[(&str, &str)]) -> String {
    let route = match find(method, path) {
        Found::Route(route) => route,
        Found::OtherMethod(_) => return "405".to_owned(),
        Found::Nothing => return "404".to_owned(),
        Found::Page => return "page".to_owned(),
    };
    let mut request = Request::builder().method(method).uri(path).header("host", "home:1");
    if !headers.iter().any(|(name, _)| *name == "content-type") {
        request = request.header("content-type", "application/json");
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let (parts, ()) = request.body(()).unwrap().into_parts();
    let nobody = Peer::nobody("192.0.2.7:4711".parse().unwrap());
    let peer = match certified {
        true => Peer { identity: PeerIdentity::User("alice".parse().unwrap()), ..nobody },
        false => nobody,
    };
    match admit(&route, &peer, Some("home"), &parts) {
        Ok(_) => "in".to_owned(),
        Err(refused) => refused.into_response().status().as_u16().to_string(),
    }
}

#[test]
fn every_route_is_asked_from_the_own_pages_only_and_in_its_own_way() {
    for (name, _) in all() {
        let path = name.replace("{id}", "abababab-abab-4bab-abab-abababababab");
        for method in METHODS {
            // Files have two ways on one path.
            let here = all().into_iter().find(|(other, here)| {
                let head = method == Method::HEAD && here.method == Method::GET;
                *other == name && (here.method == method || head)
            });
            let here = here.map(|(_, here)| here);
            for (asker, certified, headers) in ASKERS {
                let found = outcome(&method, &path, certified, headers);
                let expected = match (&here, asker) {
                    (None, _) => "405",
                    (Some(here), _) if here.door == Door::Open => "in",
                    (Some(_), "own page") => "in",
                    (Some(here), "no page") if here.door == Door::Read => "in",
                    (Some(here), "form") if here.way == Way::Call => "415",
                    (Some(_), "form") => "in",
                    _ => "403",
                };
                assert_eq!(found, expected, "{method} {path} asked by {asker}");
            }
        }
        for suffix in ["/", "/x", "//", "%2f", ";x", "/..", "."] {
            for method in METHODS {
                let (_, certified, headers) = ASKERS[0];
                let found = outcome(&method, &format!("{path}{suffix}"), certified, headers);
                // A parameter takes what stands in its place, and there is none at the end of a path.
                assert_eq!(found, "404", "{method} {path}{suffix}");
            }
        }
    }
}

#[test]
fn no_call_of_machines_and_none_whose_answer_is_a_certificate_is_open() {
    for path in wire::paths() {
        let open = open_call(path).is_some();
        let found = outcome(&Method::POST, &format!("/v1/{path}"), false, ASKERS[0].2);
        let expected = match (open, path) {
            (true, _) => "in",
            // A WebSocket begins there.
            (false, "web/terminal") => "405",
            (false, _) => "404",
        };
        assert_eq!(found, expected, "{path}");
        let closed = path.starts_with("node/")
            || ["join", "renew", "sign-in", "web/terminal"].contains(&path);
        assert!(!(open && closed), "{path}");
    }
}

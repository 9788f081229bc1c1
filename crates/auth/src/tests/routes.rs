//! Every route of the table, with every kind of identity that should not get through.

use super::house::{House, part_keys};
use super::surf::Surf;
use crate::auth::Auth;
use crate::routes::Routes;
use http::Method;
use link::http::{CallError, Client};
use model::audit::Audited;
use std::collections::BTreeMap;
use std::sync::Arc;
use wire::audit::{LedgerRow, ListAudit};
use wire::node::{Heartbeat, Join, Part, Renew};
use wire::route::{BESIDE, OPEN, Way};
use wire::{Failure, Fault};

/// What becomes of an empty request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// Refused at the gate or by a rule.
    Refused(Fault),
    /// Let in; the empty request then means nothing.
    Senseless,
    /// Let in and answered; the second is the answer's first bytes.
    Answered(&'static str),
    /// Let in: a stream that would not end.
    Streams,
}

use Outcome::{Answered, Refused, Senseless, Streams};

const OUT: Outcome = Refused(Fault::Unauthenticated);
const NO: Outcome = Refused(Fault::Denied);

/// Nobody, a person without roles, another node, a proxy; and in a browser: nobody, a person without roles.
const EXPECTED: &[(&str, [Outcome; 6])] = &[
    ("/v1/invitation", [Senseless; 6]),
    ("/v1/sign-up", [Senseless; 6]),
    ("/v1/sign-in", [Senseless; 6]),
    ("/v1/join", [Senseless; 6]),
    (
        "/v1/cluster",
        [
            OUT,
            Answered("{\"name"),
            Answered("{\"name"),
            Answered("{\"name"),
            OUT,
            Answered("{\"name"),
        ],
    ),
    ("/v1/users/add", [OUT, NO, NO, NO, OUT, NO]),
    ("/v1/users/list", [OUT, NO, NO, NO, OUT, NO]),
    ("/v1/users/remove", [OUT, NO, NO, NO, OUT, NO]),
    ("/v1/roles/list", [OUT, NO, NO, NO, OUT, NO]),
    ("/v1/roles/set", [OUT, NO, NO, NO, OUT, NO]),
    ("/v1/roles/remove", [OUT, NO, NO, NO, OUT, NO]),
    ("/v1/locks/add", [OUT, NO, NO, NO, OUT, NO]),
    ("/v1/locks/list", [OUT, NO, NO, NO, OUT, NO]),
    ("/v1/locks/remove", [OUT, NO, NO, NO, OUT, NO]),
    ("/v1/renew", [OUT, NO, Senseless, Senseless, OUT, NO]),
    ("/v1/node/heartbeat", [OUT, NO, Senseless, NO, OUT, NO]),
    ("/v1/report", [OUT, NO, Senseless, Senseless, OUT, NO]),
    ("/v1/node/live", [OUT, NO, Senseless, NO, OUT, NO]),
    ("/v1/sessions/list", [OUT, Answered("[]"), NO, NO, OUT, Answered("[]")]),
    ("/v1/share/create", [OUT, Senseless, NO, NO, OUT, Senseless]),
    ("/v1/share/list", [OUT, Answered("[]"), NO, NO, OUT, Answered("[]")]),
    ("/v1/share/revoke", [OUT, Senseless, NO, NO, OUT, Senseless]),
    ("/v1/share/read", [OUT, Senseless, NO, NO, OUT, Senseless]),
    ("/v1/share/look", [Senseless; 6]),
    ("/v1/share/find", [OUT, NO, NO, Senseless, OUT, NO]),
    ("/v1/share/take", [OUT, NO, Senseless, NO, OUT, NO]),
    ("/v1/nodes/list", [OUT, Answered("[]"), NO, NO, OUT, Answered("[]")]),
    ("/v1/nodes/invite", [OUT, NO, NO, NO, OUT, NO]),
    ("/v1/nodes/remove", [OUT, NO, NO, NO, OUT, NO]),
    ("/v1/access/explain", [OUT, Senseless, NO, NO, OUT, Senseless]),
    ("/v1/node/progress", [OUT, NO, Senseless, NO, OUT, NO]),
    ("/v1/recordings/list", [OUT, Answered("[]"), NO, NO, OUT, Answered("[]")]),
    ("/v1/recordings/standing", [OUT, Answered("{\"whole"), NO, NO, OUT, Answered("{\"whole")]),
    ("/v1/recordings/view", [OUT, Senseless, NO, NO, OUT, Senseless]),
    ("/v1/recordings/remove", [OUT, Senseless, NO, NO, OUT, Senseless]),
    ("/v1/audit/list", [OUT, NO, NO, NO, OUT, NO]),
    ("/v1/audit/head", [OUT, NO, NO, NO, OUT, NO]),
    ("/v1/node/news", [OUT, NO, Streams, NO, OUT, NO]),
    ("/v1/proxy/nodes", [OUT, NO, NO, Streams, OUT, NO]),
    ("/v1/node/ship/{id}", [OUT, NO, Senseless, NO, OUT, NO]),
    ("/v1/recordings/{id}/bytes", [OUT, NO, NO, NO, OUT, NO]),
    ("/v1/recordings/{id}/film", [OUT, NO, NO, NO, OUT, NO]),
    ("/v1/recordings/{id}/reel", [OUT, NO, NO, NO, OUT, NO]),
    ("/v1/recordings/{id}/segments", [OUT, NO, NO, NO, OUT, NO]),
    ("/v1/recordings/{id}/segment", [OUT, NO, NO, NO, OUT, NO]),
    ("/v1/recordings/{id}/cast", [OUT, NO, NO, NO, OUT, NO]),
    ("/v1/recordings/{id}/text", [OUT, NO, NO, NO, OUT, NO]),
    ("/v1/recordings/comments/add", [OUT, Senseless, NO, NO, OUT, Senseless]),
    ("/v1/recordings/comments/list", [OUT, Senseless, NO, NO, OUT, Senseless]),
    ("/v1/recordings/comments/remove", [OUT, Senseless, NO, NO, OUT, Senseless]),
    ("/v1/recordings/previews", [OUT, Senseless, NO, NO, OUT, Senseless]),
    ("/v1/recordings/{id}/transcript", [OUT, NO, NO, NO, OUT, NO]),
    ("/v1/recordings/{id}/events", [OUT, NO, NO, NO, OUT, NO]),
    ("/v1/recordings/{id}/search", [OUT, NO, NO, NO, OUT, NO]),
    ("/v1/search", [OUT, Senseless, NO, NO, OUT, Senseless]),
    ("/v1/audit/follow", [OUT, NO, NO, NO, OUT, NO]),
    ("/v1/web/door", [NO, NO, NO, NO, Answered("{\"cluster"), Answered("{\"cluster")]),
    ("/v1/web/sign-in", [NO, NO, NO, NO, Senseless, Senseless]),
    ("/v1/web/second", [NO, NO, NO, NO, Senseless, Senseless]),
    ("/v1/web/passkey/begin", [NO, NO, NO, NO, Answered("{\"passkey"), Answered("{\"passkey")]),
    ("/v1/web/passkey/finish", [NO, NO, NO, NO, Senseless, Senseless]),
    ("/v1/arrival/begin", [Senseless; 6]),
    ("/v1/arrival/come-in", [Senseless; 6]),
    ("/v1/arrival/leave", [Senseless; 6]),
    ("/v1/arrival/read", [NO, NO, NO, NO, Senseless, Senseless]),
    ("/v1/arrival/passkey", [NO, NO, NO, NO, Senseless, Senseless]),
    ("/v1/arrival/let-in", [NO, NO, NO, NO, Senseless, Senseless]),
    ("/v1/arrival/turn-away", [NO, NO, NO, NO, Senseless, Senseless]),
    ("/v1/web/me", [OUT, NO, NO, NO, OUT, Answered("{\"admin")]),
    ("/v1/web/sessions/list", [OUT, NO, NO, NO, OUT, Answered("[{\"address")]),
    ("/v1/web/sessions/end", [OUT, NO, NO, NO, OUT, Senseless]),
    ("/v1/factors/list", [OUT, NO, NO, NO, OUT, Answered("{\"demanded")]),
    ("/v1/factors/totp/begin", [OUT, NO, NO, NO, OUT, Answered("{\"secret")]),
    ("/v1/factors/totp/finish", [OUT, NO, NO, NO, OUT, Senseless]),
    ("/v1/factors/passkey/begin", [OUT, NO, NO, NO, OUT, Answered("{\"passkey")]),
    ("/v1/factors/passkey/finish", [OUT, NO, NO, NO, OUT, Senseless]),
    ("/v1/factors/recovery", [OUT, NO, NO, NO, OUT, Refused(Fault::Conflict)]),
    ("/v1/factors/remove", [OUT, NO, NO, NO, OUT, Senseless]),
    ("/v1/factors/reset", [OUT, NO, NO, NO, OUT, NO]),
    ("/v1/web/terminal", [OUT, NO, NO, NO, OUT, Senseless]),
    // The last one, because it ends what the others are asked with.
    ("/v1/web/sign-out", [OUT, NO, NO, NO, OUT, Answered("{}")]),
];

async fn ask(client: &Client, method: &Method, path: &str, expected: Outcome) -> Outcome {
    let answer = match *method {
        Method::GET => client.get_bytes(path, 1 << 20).await.map(|(_, body)| body),
        _ => client
            .post_bytes::<serde_json::Value>(path, "{}".into())
            .await
            .map(|value| value.to_string().into()),
    };
    match answer {
        Ok(body) => answered(path, &String::from_utf8_lossy(&body), expected),
        Err(CallError::Refused(failure)) if failure.fault == Fault::Malformed => Senseless,
        Err(CallError::Refused(failure)) => {
            assert!(!failure.message.contains("allow."), "rules leak: {}", failure.message);
            Refused(failure.fault)
        }
        Err(error) => panic!("{path}: {error}"),
    }
}

/// The answer that is expected, if it is this one: it begins so, and holds that field.
fn answered(path: &str, body: &str, expected: Outcome) -> Outcome {
    let Answered(begins) = expected else { panic!("{path} answered {body:?}") };
    let field = || body.contains(&format!("{}\"", begins.trim_start_matches(['[', '{'])));
    let fits = match begins {
        whole @ ("[]" | "{}") => body == whole,
        begins => body.starts_with(&begins[..1]) && field(),
    };
    assert!(fits, "{path} answered {body:?}");
    expected
}

async fn ask_in_browser(
    surf: &mut Surf,
    method: &Method,
    path: &str,
    expected: Outcome,
) -> Outcome {
    let (status, body) = surf.ask(method, path, "{}".into()).await;
    if status.is_success() {
        return answered(path, &String::from_utf8_lossy(&body), expected);
    }
    let failure: Failure = serde_json::from_slice(&body).unwrap();
    assert!(!failure.message.contains("allow."), "rules leak: {}", failure.message);
    match failure.fault {
        Fault::Malformed => Senseless,
        fault => Refused(fault),
    }
}

/// Whom a denial is of, and, of a machine, on which route: of a person it names the rule that is missing.
fn denied(row: &LedgerRow) -> String {
    let event = row.parse().unwrap();
    let Audited::Denied { action, .. } = &event.what else { panic!("{event:?}") };
    match (&event.node, &event.user, &event.via) {
        (Some(part), ..) => on_route(part.as_str(), action),
        (None, Some(user), Some(proxy)) => format!("{user} through {proxy}"),
        (None, Some(user), None) => user.to_string(),
        _ => panic!("of nobody: {event:?}"),
    }
}

fn on_route(part: &str, route: &str) -> String {
    format!("{part} on {}", route.trim_start_matches("/v1/"))
}

#[tokio::test(flavor = "multi_thread")]
async fn no_route_lets_in_who_has_no_business_there() {
    let house = House::start().await;
    let admin = house.admin().await;
    let plain = house.person(&admin, "plain", &[]).await;
    let (node, proxy) = (house.node("other").await, house.join(Part::Proxy, "p1").await);
    let callers = [house.client(None).await, plain.client, node.client, proxy.client];
    let names = ["nobody", "plain", "other", "p1"];
    let mut stranger = Surf::behind(&house, Some(&proxy.badge)).await;
    let mut signed_in = Surf::behind(&house, Some(&proxy.badge)).await;
    signed_in.sign_in("plain").await;

    let elsewhere = tempfile::tempdir().unwrap();
    let (auth, _, _) = Auth::open(&super::house::config(&elsewhere)).await.unwrap();
    let (table, _) = Routes::new(Arc::new(auth)).into_parts();
    let mut expected: BTreeMap<&str, _> = EXPECTED.iter().copied().collect();
    let mut refused = Vec::new();
    for route in table {
        let path = route.path.as_str();
        let outcomes = expected.remove(path);
        let outcomes = outcomes.unwrap_or_else(|| panic!("say here who may ask {path}"));
        let asked = path.replace("{id}", "07070707-0707-4707-8707-070707070707");
        for ((client, name), outcome) in callers.iter().zip(names).zip(outcomes) {
            if outcome != Streams {
                let got = ask(client, &route.method, &asked, outcome).await;
                assert_eq!(got, outcome, "{name} on {path}");
            }
            match name {
                "other" | "p1" if outcome == NO => refused.push(on_route(name, path)),
                "plain" if outcome == NO => refused.push(name.to_owned()),
                _ => {}
            }
        }
        if outcomes[5] == NO {
            refused.push("plain through p1".to_owned());
        }
        if path == "/v1/web/sign-out" {
            continue;
        }
        for (surf, outcome) in [(&mut stranger, outcomes[4]), (&mut signed_in, outcomes[5])] {
            let got = ask_in_browser(surf, &route.method, &asked, outcome).await;
            assert_eq!(got, outcome, "in a browser on {path}");
        }
    }
    let [.., nobody, person] = EXPECTED.last().unwrap().1;
    for (surf, outcome) in [(&mut stranger, nobody), (&mut signed_in, person)] {
        let path = "/v1/web/sign-out";
        assert_eq!(ask_in_browser(surf, &Method::POST, path, outcome).await, outcome, "{path}");
    }
    assert!(expected.is_empty(), "no such route any more: {:?}", expected.keys());
    // Each of those stands in the ledger, and nothing else does.
    let word = Some("access.denied".to_owned());
    let asked = ListAudit { word, limit: 1000, ..ListAudit::default() };
    let rows = admin.client.call(&asked).await.unwrap();
    assert_eq!(rows.iter().map(denied).collect::<Vec<_>>(), refused);
}

#[test]
fn every_request_that_the_wire_knows_stands_in_the_table_and_no_other() {
    let calls: Vec<_> = wire::paths().iter().map(|path| format!("/v1/{path}")).collect();
    let listed: Vec<_> = EXPECTED.iter().map(|(path, _)| (*path).to_owned()).collect();
    let unlisted: Vec<_> = calls.iter().filter(|path| !listed.contains(path)).collect();
    assert!(unlisted.is_empty(), "say who may ask: {unlisted:?}");
    // What is no call is a stream, and stands in the page about them.
    let streams = include_str!("../../../wire/src/stream.rs");
    for path in listed.iter().filter(|path| !calls.contains(path)) {
        assert!(streams.contains(path.as_str()), "{path} is neither a call nor a stream of wire");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_ask_in_a_browser_is_what_the_published_list_says() {
    let elsewhere = tempfile::tempdir().unwrap();
    let (auth, _, _) = Auth::open(&super::house::config(&elsewhere)).await.unwrap();
    let (table, _) = Routes::new(Arc::new(auth)).into_parts();
    let here: BTreeMap<_, _> = table.iter().map(|route| (route.path.as_str(), route.who)).collect();
    for call in OPEN {
        assert_eq!(here[format!("/v1/{}", call.path).as_str()], Some(call.who), "{}", call.path);
    }
    for route in BESIDE.iter().filter(|route| route.way == Way::Stream) {
        assert_eq!(here[route.path], Some(route.who), "{}", route.path);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_that_is_no_route_is_nobodys() {
    let house = House::start().await;
    let nobody = house.client(None).await;
    for path in ["/", "/v1", "/v1/../users/list", "/v1/users/list/", "/metrics"] {
        let expected = Refused(Fault::NotFound);
        assert_eq!(ask(&nobody, &Method::POST, path, expected).await, expected, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_joins_once_keeps_its_name_and_speaks_as_itself() {
    let house = House::start().await;
    let web = house.node("web-01").await;
    let nobody = house.client(None).await;
    let (keys, _) = part_keys(Part::Node, "db-01");
    let wrong = Join { token: "wrong".into(), keys: keys.clone() };
    assert_eq!(super::house::refused(&nobody, &wrong).await.0, Fault::Denied);

    // Its host certificate is for its names and no other's.
    let text = &web.credentials.host_certificate;
    let certificate = ssh_key::Certificate::from_openssh(text).unwrap();
    assert_eq!(certificate.valid_principals(), ["web-01", "web-01.lab"]);
    assert!(certificate.cert_type().is_host());

    for (part, name) in [(Part::Node, "db-01"), (Part::Proxy, "web-01")] {
        let (keys, _) = part_keys(part, name);
        let (fault, _) = super::house::refused(&web.client, &Renew { keys }).await;
        assert_eq!(fault, Fault::Denied, "{name}");
    }
    let (keys, _) = part_keys(Part::Proxy, "web-01");
    let taken = Join { token: house.token.clone(), keys };
    assert_eq!(super::house::refused(&nobody, &taken).await.0, Fault::Conflict);
    for (part, name, fault) in [
        (Part::Node, "home.example", Fault::Malformed),
        (Part::Proxy, "*.example", Fault::Malformed),
        (Part::Proxy, "auth.scry.internal", Fault::Denied),
        (Part::Proxy, "scry.internal", Fault::Denied),
    ] {
        let (mut keys, _) = part_keys(part, "db-01");
        keys.web_names = vec![name.into()];
        let call = Join { token: house.token.clone(), keys };
        assert_eq!(super::house::refused(&nobody, &call).await.0, fault, "{name}");
    }
    let labels = [("a\nb".to_owned(), String::new())].into();
    let beat = Heartbeat { labels, version: String::new(), sessions: 0 };
    assert_eq!(super::house::refused(&web.client, &beat).await.0, Fault::Malformed);
    // It may take a new key; then the old one speaks for it no more.
    let (keys, _) = part_keys(Part::Node, "web-01");
    web.client.call(&Renew { keys }).await.unwrap();
    assert_eq!(super::house::refused(&web.client, &beat).await.0, Fault::Denied);
}

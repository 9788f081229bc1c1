//! Every route of browsers, asked of a running cluster in every way by everybody who should not, and by who may: the table is
//! kept, and read by people (`tests/tests/routes/table.txt`; `UPDATE_EXPECT=1` writes it anew).

#[macro_use]
#[path = "routes/variants.rs"]
mod variants;

#[path = "routes/asks.rs"]
mod asks;
#[path = "routes/denied.rs"]
mod denied;
#[path = "routes/table.rs"]
mod table;
#[path = "routes/terminals.rs"]
mod terminals;
#[path = "routes/things.rs"]
mod things;
#[path = "routes/tunnel.rs"]
mod tunnel;

use expect_test::expect_file;
use house::Cluster;
use house::asker::{Answered, Asker};
use http::{HeaderMap, HeaderName, HeaderValue};
use link::http::{Client, Dialer};
use link::tls::{Badge, Trust, client_tls};
use std::sync::Arc;
use table::{Cells, METHODS, SUFFIXES, Target, targets};
use things::Things;
use tokio::task::JoinSet;
use wire::name::{ALPN_AUTH, AUTH_SERVER, CLIENT_ADDRESS_HEADER, LINK_HEADER};
use wire::web::{COOKIE, ORIGIN_HEADER, SESSION_HEADER};

/// Somebody who asks.
#[derive(Clone)]
struct Caller {
    name: &'static str,
    badge: Option<Badge>,
    headers: Vec<String>,
    /// Whether what is alice's may be in the answers.
    is_alice: bool,
}

/// All who ask, alice last: what she may do is done.
fn callers(things: &Things<'_>) -> Vec<Caller> {
    let own = format!("Origin: https://{}", things.browser(None).host);
    let near = "Sec-Fetch-Site: same-origin".to_owned();
    let (cookies, badges) = (&things.cookies, &things.badges);
    let caller = |name, badge: Option<&Badge>, further: &[String]| Caller {
        name,
        badge: badge.cloned(),
        headers: [&["Content-Type: application/json".to_owned()], further].concat(),
        is_alice: ["unsaid", "alice"].contains(&name),
    };
    let page = |name, badge, secret: &str| {
        let cookie = format!("Cookie: {COOKIE}={secret}");
        caller(name, badge, &[own.clone(), near.clone(), cookie])
    };
    let alices = format!("Cookie: {COOKIE}={}", cookies.alice);
    let code = &things.guests_code;
    vec![
        caller("nobody", None, &[own.clone(), near.clone()]),
        // What only proxies may say to auth.
        caller(
            "forger",
            None,
            &[
                own.clone(),
                near.clone(),
                format!("{SESSION_HEADER}: {}", cookies.alice),
                format!("{CLIENT_ADDRESS_HEADER}: 127.0.0.1"),
                format!("{ORIGIN_HEADER}: https://localhost"),
                format!("Authorization: Bearer {}", cookies.alice),
                "X-Forwarded-For: 127.0.0.1".to_owned(),
                "X-HTTP-Method-Override: GET".to_owned(),
            ],
        ),
        caller(
            "guest",
            None,
            &[
                own.clone(),
                near.clone(),
                format!("Cookie: {COOKIE}={code}"),
                format!("{LINK_HEADER}: {code}"),
                format!("Authorization: Bearer {code}"),
            ],
        ),
        page("bob", None, &cookies.bob),
        page("ended", None, &cookies.ended),
        page("locked", None, &cookies.locked),
        page("removed", None, &cookies.removed),
        caller(
            "foreign",
            None,
            &[
                "Origin: https://evil.example".to_owned(),
                "Sec-Fetch-Site: cross-site".to_owned(),
                alices.clone(),
            ],
        ),
        caller("unsaid", None, &[alices]),
        page("person", Some(&badges.alice), &cookies.alice),
        page("machine", Some(&badges.node), &cookies.alice),
        page("alice", None, &cookies.alice),
    ]
}

/// Asks everything there is once; answers what became of it, by targets, suffixes and methods.
async fn walk(things: Arc<Asking>, caller: Caller) -> Vec<String> {
    let mut asker = Asker::new(
        &things.address,
        "localhost",
        b"http/1.1",
        &things.authority,
        caller.badge.as_ref(),
    );
    let mut cells = Vec::new();
    for target in &things.targets {
        for (number, suffix) in SUFFIXES.iter().enumerate() {
            for method in METHODS {
                let path = (suffix.change)(&target.path);
                let path = match (target.query.is_empty(), number) {
                    (true, 1) => format!("{path}?x=1"),
                    (true, _) => path,
                    (false, 1) => format!("{path}?{}&x=1", target.query),
                    (false, _) => format!("{path}?{}", target.query),
                };
                let body = match method {
                    "GET" | "HEAD" | "OPTIONS" | "TRACE" | "CONNECT" => "",
                    _ => target.bodies[number.min(1)].as_str(),
                };
                let answered = asker.ask(method, &path, &caller.headers, body).await;
                if !caller.is_alice && target.name != "/v1/share/look" {
                    no_secret(
                        &things.secrets,
                        &answered.body,
                        &format!("{} by {method} {path}", caller.name),
                    );
                }
                cells.push(said(&answered));
            }
        }
    }
    cells
}

/// What everybody who asks needs.
struct Asking {
    address: String,
    authority: String,
    targets: Vec<Target>,
    secrets: Vec<(&'static str, String)>,
}

fn no_secret(secrets: &[(&'static str, String)], body: &str, whom: &str) {
    for (what, secret) in secrets {
        assert!(!body.contains(secret.as_str()), "{whom}: {what} is in {body}");
    }
}

/// An answer in a word: its status, `[]` behind it for a list of nothing, or `page`.
fn said(answered: &Answered) -> String {
    let empty = answered.status == 200 && answered.body == "[]";
    match answered.header("content-type").starts_with("text/html") {
        true => "page".to_owned(),
        false => format!("{}{}", answered.status, if empty { "[]" } else { "" }),
    }
}

#[test]
fn every_route_answers_everybody_in_every_way_as_the_table_says_and_nothing_is_changed_by_who_may_not()
 {
    let cluster = Cluster::start();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let table = runtime.block_on(async {
        let things = Things::make(&cluster).await;
        let before = (things.state().await, things.size());
        let asking = Arc::new(Asking {
            address: things.address.clone(),
            authority: things.authority.clone(),
            targets: targets(&things),
            secrets: things.secrets().into_iter().map(|(what, it)| (what, it.to_owned())).collect(),
        });
        let mut callers = callers(&things);
        let alice = callers.pop().unwrap();
        let mut cells = Cells::of(callers.iter().map(|caller| caller.name));
        let mut walks = JoinSet::new();
        for (number, caller) in callers.iter().cloned().enumerate() {
            let asking = Arc::clone(&asking);
            walks.spawn(async move { (number, walk(asking, caller).await) });
        }
        for (number, column) in walks.join_all().await {
            cells.fill(number, column);
        }
        let terminals = terminals::rows(&things, &callers).await;
        let at_auth = at_auth(&things).await;
        let after = (things.state().await, things.size());
        assert_eq!(after, before, "nothing is changed by who may not");
        cells.add(alice.name, walk(Arc::clone(&asking), alice.clone()).await);
        let alices = terminals::rows(&things, &[alice]).await;
        [cells.written(&asking.targets), table::beside(terminals, alices), at_auth].concat()
    });
    expect_file!["routes/table.txt"].assert_eq(&table);
}

/// What auth itself answers, to whom proxies let pass: everything that there is, with what only a proxy may say beside it.
async fn at_auth(things: &Things<'_>) -> String {
    let forged = || {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            (SESSION_HEADER, things.cookies.alice.as_str()),
            (CLIENT_ADDRESS_HEADER, "127.0.0.1"),
            (ORIGIN_HEADER, "https://localhost"),
        ] {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        }
        headers
    };
    let badges = &things.badges;
    let columns = [
        ("nobody", None, false),
        ("forger", None, true),
        ("bob", Some(&badges.bob), false),
        ("bob forging", Some(&badges.bob), true),
        ("node", Some(&badges.node), false),
        ("node forging", Some(&badges.node), true),
    ];
    let mut rows: Vec<(String, Vec<String>)> = Vec::new();
    for (column, (_, badge, forges)) in columns.iter().enumerate() {
        let trust = Trust::Authority(things.authority.clone());
        let tls = client_tls(&trust, *badge, &[ALPN_AUTH]).unwrap();
        let client = Dialer::new(&things.address, AUTH_SERVER, tls).dial().await.unwrap();
        for (row, (name, path, body)) in table::at_auth(things).into_iter().enumerate() {
            for (at, method) in [http::Method::GET, http::Method::POST].into_iter().enumerate() {
                let headers = if *forges { forged() } else { HeaderMap::new() };
                let said = ask_auth(&client, method.clone(), &path, headers, &body).await;
                if column == 0 {
                    rows.push((format!("{method:4} {name}"), Vec::new()));
                }
                rows[2 * row + at].1.push(said);
            }
        }
    }
    table::of_auth(&columns.map(|(name, _, _)| name), &rows)
}

async fn ask_auth(
    client: &Client,
    method: http::Method,
    path: &str,
    headers: HeaderMap,
    body: &str,
) -> String {
    let answer = client.pass(method, path, headers, body.to_owned().into()).await.unwrap();
    answer.status().as_u16().to_string()
}

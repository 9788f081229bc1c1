//! What is open in a browser when its person signs out, is locked or was removed; and who hears that somebody looks.

use super::film::{ship, ticket};
use super::house::{House, Node, Person, add, part_keys, user};
use super::live::tell;
use super::surf::Surf;
use axum::body::Body;
use futures_util::stream;
use http::Request;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::client::conn::http2::handshake;
use hyper_util::rt::{TokioExecutor, TokioIo};
use link::tls::Badge;
use model::LockTarget;
use model::limit::REEL_WAIT_MS;
use model::lock::Reason;
use model::role::Labels;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use wire::Call;
use wire::lock::AddLock;
use wire::node::{Heartbeat, Looked, LookedAt, News, Part, ProxyNews, RemoveNode, Renew};
use wire::people::{AddUser, ListUsers, RemoveUser, SetRole};
use wire::recording::{ViewKind, ViewRecording};
use wire::web::{EndWebSession, WebSignOut, WhichSession};

/// How soon something is at once.
const SOON: Duration = Duration::from_millis(1500);

/// Two browsers of one admin, before a session that goes on.
struct Scene {
    house: House,
    admin: Person,
    web: Node,
    proxy: Node,
    one: Surf,
    other: Surf,
}

impl Scene {
    async fn new() -> Self {
        let house = House::start().await;
        let admin = house.admin().await;
        house.person(&admin, "alice", &["admin"]).await;
        let web = house.node("web-01").await;
        let proxy = house.join(Part::Proxy, "front").await;
        let mut one = Surf::behind(&house, Some(&proxy.badge)).await;
        one.sign_in("alice").await;
        let mut other = Surf::behind(&house, Some(&proxy.badge)).await;
        other.sign_in("alice").await;
        Self { house, admin, web, proxy, one, other }
    }
}

/// An answer does not go on, and does not end as if it were whole.
async fn breaks_off(mut answer: Incoming) {
    let broke = async {
        while let Some(frame) = answer.frame().await {
            if frame.is_err() {
                return true;
            }
        }
        false
    };
    assert!(tokio::time::timeout(SOON, broke).await.expect("it goes on"), "it looks whole");
}

/// Whoever waits for more of a film, and whoever follows the ledger, is cut off at once by what `ends` does.
async fn check(ends: impl AsyncFnOnce(&mut Scene)) {
    let mut scene = Scene::new().await;
    let tape = scene.web.tape(1, "root-admin");
    ship(&scene.web, &tape, 0, 12).await;
    let view = ViewRecording { id: tape.id, how: ViewKind::Follow };
    let ticket = scene.one.call(&view).await.unwrap().ticket;
    let reel =
        |after: &str| format!("/v1/recordings/{}/reel?ticket={ticket}&after={after}", tape.id);
    let first = scene.one.open(&reel("0")).await;
    let first = first.into_body().collect().await.unwrap().to_bytes();
    let last = String::from_utf8(first.to_vec()).unwrap();
    let end: serde_json::Value = serde_json::from_str(last.lines().last().unwrap()).unwrap();
    let after = end["end"]["after"].as_str().unwrap().to_owned();
    let mut ledger = scene.one.open("/v1/audit/follow").await.into_body();
    assert!(ledger.frame().await.unwrap().is_ok());
    let mut waits = Surf::behind(&scene.house, Some(&scene.proxy.badge)).await;
    waits.cookie = scene.one.cookie.clone();
    let waiting = async {
        let answer = waits.open(&reel(&after)).await;
        (answer.status().as_u16(), Instant::now())
    };
    let ending = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        ends(&mut scene).await;
        Instant::now()
    };
    let ((status, told), ended) = tokio::join!(waiting, ending);
    assert!([401, 403].contains(&status), "{status}");
    assert!(told.saturating_duration_since(ended) < SOON, "{:?}", told - ended);
    breaks_off(ledger).await;
    assert!(SOON.as_millis() < u128::from(REEL_WAIT_MS), "or it would say nothing");
}

/// A call that is under way: all but its body has been sent.
struct UnderWay {
    body: oneshot::Sender<Vec<u8>>,
    answer: JoinSet<u16>,
    _connection: JoinSet<()>,
}

impl UnderWay {
    async fn begin(house: &House, badge: &Badge, path: &str) -> Self {
        let stream = house.dialer(Some(badge)).dial_tls().await.unwrap();
        let (mut sender, connection) =
            handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        let (body, rest) = oneshot::channel::<Vec<u8>>();
        let rest = stream::once(rest);
        let request = Request::post(format!("https://scry.internal/v1/{path}"));
        let request = request.body(Body::from_stream(rest)).unwrap();
        let (mut answer, mut tasks) = (JoinSet::new(), JoinSet::new());
        tasks.spawn(async move { drop(connection.await) });
        answer.spawn(async move { sender.send_request(request).await.unwrap().status().as_u16() });
        // It is there, and who asks was looked at.
        tokio::time::sleep(Duration::from_millis(500)).await;
        Self { body, answer, _connection: tasks }
    }

    async fn end(mut self, call: &impl serde::Serialize) -> u16 {
        self.body.send(serde_json::to_vec(call).unwrap()).unwrap();
        self.answer.join_next().await.unwrap().unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_may_do_is_decided_when_they_have_said_all_of_it() {
    let house = House::start().await;
    let admin = house.admin().await;
    let alice = house.person(&admin, "alice", &["admin"]).await;
    let more = add("mallory", &["admin"]);
    let good = UnderWay::begin(&house, &alice.badge, AddUser::PATH).await;
    assert_eq!(good.end(&add("bob", &["access"])).await, 200);
    let kept = UnderWay::begin(&house, &alice.badge, AddUser::PATH).await;
    admin.client.call(&RemoveUser { user: user("alice") }).await.unwrap();
    assert_eq!(kept.end(&more).await, 401);
    let users = admin.client.call(&ListUsers {}).await.unwrap();
    assert!(!users.iter().any(|one| one.user == user("mallory")));
    // A machine that was removed does not take its successor's name by it.
    let web = house.node("web-01").await;
    let keys = part_keys(Part::Node, "web-01").0;
    let kept = UnderWay::begin(&house, &web.badge, Renew::PATH).await;
    admin.client.call(&RemoveNode { node: web.name.clone() }).await.unwrap();
    let other = house.node("web-01").await;
    assert_eq!(kept.end(&Renew { keys }).await, 403);
    let beat = Heartbeat { labels: Labels::new(), version: String::new(), sessions: 0 };
    other.client.call(&beat).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_machine_hears_ends_when_it_is_removed() {
    let house = House::start().await;
    let (admin, web) = (house.admin().await, house.node("web-01").await);
    let mut news = web.client.lines::<News>("/v1/node/news").await.unwrap();
    news.next().await.unwrap();
    admin.client.call(&RemoveNode { node: web.name.clone() }).await.unwrap();
    let over = async { while let Ok(Some(_)) = news.next().await {} };
    tokio::time::timeout(SOON, over).await.expect("it goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_open_ends_when_its_web_session_does() {
    check(async |scene| {
        scene.other.call(&EndWebSession { which: WhichSession::Others }).await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_open_ends_when_its_person_signs_out_everywhere() {
    check(async |scene| {
        scene.other.call(&WebSignOut { everywhere: true }).await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_open_ends_when_its_person_is_locked() {
    check(async |scene| {
        let target = LockTarget::User(user("alice"));
        let lock = AddLock { target, reason: Reason::default(), life_ms: None, force: false };
        scene.admin.client.call(&lock).await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_open_ends_when_its_person_was_removed() {
    check(async |scene| {
        scene.admin.client.call(&RemoveUser { user: user("alice") }).await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_loses_the_right_to_the_ledger_is_cut_off_and_sees_it() {
    let house = House::start().await;
    let admin = house.admin().await;
    let role = |manage: &str| {
        let role = format!(r#"{{"name":"reader","allow":{{"admin":[{manage}]}}}}"#);
        SetRole { role: serde_json::from_str(&role).unwrap() }
    };
    admin.client.call(&role(r#""audit""#)).await.unwrap();
    house.person(&admin, "alice", &["reader"]).await;
    let proxy = house.join(Part::Proxy, "front").await;
    let mut one = Surf::behind(&house, Some(&proxy.badge)).await;
    one.sign_in("alice").await;
    let mut ledger = one.open("/v1/audit/follow").await.into_body();
    assert!(ledger.frame().await.unwrap().is_ok());
    admin.client.call(&role("")).await.unwrap();
    breaks_off(ledger).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn proxies_hear_which_web_sessions_end() {
    let mut scene = Scene::new().await;
    let mut told = scene.proxy.client.lines::<ProxyNews>("/v1/proxy/nodes").await.unwrap();
    assert!(told.next().await.unwrap().unwrap().ended.is_empty());
    let number = scene.one.call(&wire::web::ReadMe {}).await.unwrap().session;
    scene.one.call(&WebSignOut { everywhere: false }).await.unwrap();
    let next = tokio::time::timeout(SOON, told.next()).await.unwrap();
    assert_eq!(next.unwrap().unwrap().ended, [number]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_hears_once_who_looks_at_what_goes_on_there() {
    let scene = Scene::new().await;
    let (goes_on, ended) = (scene.web.tape(1, "root-admin"), scene.web.tape(2, "root-admin"));
    ship(&scene.web, &goes_on, 0, 12).await;
    ship(&scene.web, &ended, 0, ended.records.len()).await;
    let mut news = scene.web.client.lines::<News>("/v1/node/news").await.unwrap();
    assert!(news.next().await.unwrap().unwrap().looked.is_empty());
    let previews = wire::film::ReadPreviews { ids: vec![goes_on.id, ended.id] };
    for _ in 0..2 {
        scene.admin.client.call(&previews).await.unwrap();
        ticket(&scene.admin.client, goes_on.id).await;
        ticket(&scene.admin.client, ended.id).await;
    }
    let (user, session) = (user("root-admin"), goes_on.id);
    for at in [LookedAt::Preview, LookedAt::Recording] {
        let next = tokio::time::timeout(SOON, news.next()).await.unwrap();
        let looked = next.unwrap().unwrap().looked;
        assert_eq!(looked, [Looked { session, user: user.clone(), at }]);
    }
    tell(&scene.web, &[]).await;
    assert!(tokio::time::timeout(SOON, news.next()).await.is_err(), "and nothing else");
}

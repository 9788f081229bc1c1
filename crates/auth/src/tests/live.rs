//! The sessions that go on: who sees which of them, and who may speak of them.

use super::house::{House, Node, Person, add, fault, refused, user};
use model::entry::Party;
use model::role::Role;
use model::{Kind, LockTarget, SeatRole, SessionId, Time};
use wire::live::{ListLive, LiveSession, LiveState, Present, ReportLive};
use wire::lock::AddLock;
use wire::node::{Part, RemoveNode};
use wire::people::{RemoveRole, SetRole};
use wire::{Done, Fault};

use SeatRole::{Moderator, Observer, Peer};

/// A session of `owner` with these roles; the higher the number, the later it began.
pub(super) fn session(number: u8, owner: &str, roles: &[&str]) -> LiveSession {
    LiveSession {
        id: id(number),
        user: user(owner),
        roles: roles.iter().map(|role| role.parse().unwrap()).collect(),
        login: "root".parse().unwrap(),
        kind: Kind::Shell,
        since: Time(1_790_000_000_000).plus_ms(number.into()),
        client: "192.0.2.1".to_owned(),
        runs: Some("vim".to_owned()),
        state: LiveState::Running,
        why: None,
        joinable: true,
        people: Vec::new(),
    }
}

pub(super) fn id(number: u8) -> SessionId {
    SessionId::from_random([number; 16])
}

/// A role that may join sessions of people with the role `access` on productive nodes.
fn watch() -> Role {
    serde_json::from_value(serde_json::json!({
        "name": "watch",
        "allow": { "join": [{
            "roles": ["access"], "nodes": { "env": ["prod"] }, "seats": ["observer", "moderator"],
        }] },
    }))
    .unwrap()
}

pub(super) async fn tell(node: &Node, sessions: &[LiveSession]) {
    node.client.call(&ReportLive { sessions: sessions.to_vec() }).await.unwrap();
}

/// What somebody sees, in order: sessions, and as what they may join them.
async fn check(by: &Person, expected: &[(u8, &[SeatRole])]) {
    let listed = by.client.call(&ListLive {}).await.unwrap();
    let seen: Vec<_> = listed.iter().map(|one| (one.session.id, &*one.may_join)).collect();
    let expected: Vec<_> = expected.iter().map(|(number, seats)| (id(*number), *seats)).collect();
    assert_eq!(seen, expected, "{}", by.credentials.user);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_sees_ones_own_sessions_and_those_that_one_may_join_and_nobody_elses() {
    let house = House::start().await;
    let admin = house.admin().await;
    admin.client.call(&SetRole { role: watch() }).await.unwrap();
    let (alice, bob) = (
        house.person(&admin, "alice", &["access"]).await,
        house.person(&admin, "bob", &["access"]).await,
    );
    let carol = house.person(&admin, "carol", &["watch"]).await;
    let dave = house.person(&admin, "dave", &[]).await;
    check(&alice, &[]).await;
    let (web, test) = (house.node("web-01").await, house.node("test-01").await);
    test.beat(&[("env", "test")]).await;
    let alone = LiveSession { joinable: false, ..session(3, "alice", &["access"]) };
    let told = [
        session(1, "alice", &["access"]),
        session(2, "root-admin", &["admin"]),
        alone,
        session(4, "bob", &["access"]),
    ];
    tell(&web, &told).await;
    tell(&test, &[session(5, "alice", &["access"])]).await;

    let (own, all, watched) =
        (&[Observer, Peer][..], &SeatRole::ALL[..], &[Observer, Moderator][..]);
    check(&alice, &[(5, own), (3, &[]), (1, own)]).await;
    check(&bob, &[(4, own)]).await;
    check(&carol, &[(4, watched), (1, watched)]).await;
    check(&dave, &[]).await;
    check(&admin, &[(2, own), (5, all), (4, all), (1, all)]).await;
    let listed = alice.client.call(&ListLive {}).await.unwrap();
    assert_eq!((&listed[0].node, &listed[2].node), (&test.name, &web.name));
    assert_eq!(listed[2].session, told[0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_sees_follows_roles_accounts_and_locks_at_once() {
    let house = House::start().await;
    let admin = house.admin().await;
    admin.client.call(&SetRole { role: watch() }).await.unwrap();
    let carol = house.person(&admin, "carol", &["watch"]).await;
    house.person(&admin, "alice", &["access"]).await;
    let web = house.node("web-01").await;
    tell(&web, &[session(1, "alice", &["access"])]).await;
    let watched = &[Observer, Moderator][..];
    check(&carol, &[(1, watched)]).await;

    admin.client.call(&RemoveRole { role: "watch".parse().unwrap() }).await.unwrap();
    check(&carol, &[]).await;
    admin.client.call(&SetRole { role: watch() }).await.unwrap();
    check(&carol, &[(1, watched)]).await;
    admin.client.call(&add("carol", &[])).await.unwrap();
    check(&carol, &[]).await;
    admin.client.call(&add("carol", &["watch"])).await.unwrap();
    check(&carol, &[(1, watched)]).await;
    web.beat(&[("env", "test")]).await;
    check(&carol, &[]).await;
    web.beat(&[("env", "prod")]).await;
    check(&carol, &[(1, watched)]).await;
    let target = LockTarget::User(user("alice"));
    let (reason, life_ms) = ("lost laptop".parse().unwrap(), None);
    admin.client.call(&AddLock { target, reason, life_ms, force: false }).await.unwrap();
    check(&carol, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_in_a_session_sees_it_as_long_as_they_are() {
    let house = House::start().await;
    let admin = house.admin().await;
    let dave = house.person(&admin, "dave", &[]).await;
    let web = house.node("web-01").await;
    let alone = session(1, "root-admin", &["admin"]);
    let (user, since) = (user("dave"), alone.since);
    let present = Present { party: Party(1), user, seat: Some(Peer), since, types: true };
    let people = vec![present];
    tell(&web, &[LiveSession { people, ..alone.clone() }]).await;
    check(&dave, &[(1, &[])]).await;
    tell(&web, &[alone]).await;
    check(&dave, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_speaks_of_itself_only_and_of_nothing_once_it_was_removed() {
    let house = House::start().await;
    let admin = house.admin().await;
    let (web, db) = (house.node("web-01").await, house.node("db-01").await);
    let (one, two) = (session(1, "root-admin", &["admin"]), session(2, "root-admin", &["admin"]));
    let own = &[Observer, Peer][..];
    tell(&web, std::slice::from_ref(&one)).await;
    tell(&db, std::slice::from_ref(&two)).await;
    check(&admin, &[(2, own), (1, own)]).await;
    // Its list takes the place of its own last one, and of no other's.
    tell(&web, &[]).await;
    check(&admin, &[(2, own)]).await;
    tell(&web, std::slice::from_ref(&two)).await;
    let listed = admin.client.call(&ListLive {}).await.unwrap();
    let nodes: Vec<_> = listed.iter().map(|one| one.node.as_str()).collect();
    assert_eq!(nodes, ["db-01", "web-01"], "each under its own name");
    // Nobody else speaks of sessions, and what is no session is not taken.
    let proxy = house.join(Part::Proxy, "p1").await;
    let report = ReportLive { sessions: vec![one.clone()] };
    for (client, expected) in [
        (&house.client(None).await, Fault::Unauthenticated),
        (&admin.client, Fault::Denied),
        (&proxy.client, Fault::Denied),
    ] {
        assert_eq!(refused(client, &report).await.0, expected);
    }
    for (field, told) in [("user", "al\u{1b}ice"), ("kind", "game"), ("state", "asleep")] {
        let mut body = serde_json::to_value(&report).unwrap();
        body["sessions"][0][field] = told.into();
        let answer = web.client.post_bytes::<Done>("/v1/node/live", body.to_string().into()).await;
        assert_eq!(fault(answer), Fault::Malformed, "{field}");
    }

    admin.client.call(&RemoveNode { node: db.name.clone() }).await.unwrap();
    assert_eq!(refused(&db.client, &report).await.0, Fault::Denied);
    let places = async || {
        let listed = admin.client.call(&ListLive {}).await.unwrap();
        listed.into_iter().map(|one| one.node.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(places().await, ["web-01"]);
    let other = house.node("db-01").await;
    assert_eq!(places().await, ["web-01"], "what the one before said is not the new one's");
    tell(&other, std::slice::from_ref(&one)).await;
    assert_eq!(places().await, ["web-01", "db-01"]);
}

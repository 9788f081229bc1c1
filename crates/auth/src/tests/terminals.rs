//! Terminals in browsers: who is given a certificate for one, and what it says.

use super::browsers::ledger;
use super::house::{House, Node, Person, add, refused, ssh_key, user};
use super::live::{id, session, tell};
use super::surf::Surf;
use crate::clock;
use model::limit::GRANT_MS;
use model::{LockTarget, NodeName, SeatRole};
use policy::Purpose;
use ssh_key::Certificate;
use wire::Fault;
use wire::live::LiveSession;
use wire::lock::AddLock;
use wire::node::Part;
use wire::share::MakeLink;
use wire::web::{GrantTerminal, ReadMe, TerminalGrant, TerminalTo, WebSignOut};

/// Alice in a browser, with a session on web-01; bob, who may do little.
struct Scene {
    house: House,
    admin: Person,
    web: Node,
    proxy: Node,
    alice: Surf,
    bob: Surf,
}

impl Scene {
    async fn new() -> Self {
        let house = House::start().await;
        let admin = house.admin().await;
        admin.client.call(&add("alice", &["access"])).await.unwrap();
        house.person(&admin, "alice", &["access"]).await;
        house.person(&admin, "bob", &[]).await;
        let web = house.node("web-01").await;
        let own =
            LiveSession { login: "alice".parse().unwrap(), ..session(1, "alice", &["access"]) };
        tell(&web, &[own, session(2, "root-admin", &["admin"])]).await;
        let proxy = house.join(Part::Proxy, "front").await;
        let mut alice = Surf::behind(&house, Some(&proxy.badge)).await;
        alice.sign_in("alice").await;
        let mut bob = Surf::behind(&house, Some(&proxy.badge)).await;
        bob.sign_in("bob").await;
        Self { house, admin, web, proxy, alice, bob }
    }
}

fn node() -> NodeName {
    "web-01".parse().unwrap()
}

fn ask(to: TerminalTo) -> GrantTerminal {
    GrantTerminal { ssh_key: ssh_key(21).public_key().to_openssh().unwrap(), to }
}

fn log_in(login: &str) -> GrantTerminal {
    ask(TerminalTo::Login { node: node(), login: login.parse().unwrap() })
}

fn attach(number: u8) -> GrantTerminal {
    ask(TerminalTo::Attach { node: node(), session: id(number) })
}

fn join(number: u8, seat: Option<SeatRole>) -> GrantTerminal {
    ask(TerminalTo::Join { node: node(), session: id(number), seat })
}

/// The certificate as a node reads it.
fn read(scene: &Scene, grant: &TerminalGrant) -> policy::Identity {
    let certificate = Certificate::from_openssh(&grant.ssh_certificate).unwrap();
    assert_eq!(certificate.public_key(), ssh_key(21).public_key().key_data());
    let authority = scene.admin.facts().user_authority.iter();
    let authority: Vec<_> =
        authority.map(|key| ssh_key::PublicKey::from_openssh(key).unwrap()).collect();
    policy::read_certificate_for_seat(&certificate, &authority, None, clock::now()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_is_granted_to_who_may_have_it_and_for_nothing_else() {
    let mut scene = Scene::new().await;
    let expires = scene.alice.call(&ReadMe {}).await.unwrap().expires;
    let before = clock::now();
    let grant = scene.alice.call(&log_in("alice")).await.unwrap();
    assert_eq!((grant.user.as_str(), grant.node.as_str()), ("alice", "web-01"));
    assert_eq!((grant.session, grant.seat, grant.login.as_str()), (None, None, "alice"));
    assert_eq!(grant.host_authority, scene.admin.facts().host_authority);
    assert!((GRANT_MS..GRANT_MS + 10_000).contains(&(grant.before.0 - before.0)));
    assert!(grant.expires <= expires, "no longer than the web session");
    let only = read(&scene, &grant).only().cloned().unwrap();
    assert_eq!((&only.node, only.proxy.as_str()), (&node(), "front"));
    assert_eq!(only.purpose, Purpose::Login("alice".parse().unwrap()));
    assert_eq!(only.before, grant.before);
    // Back to her own session; beside bob, by a link.
    let grant = scene.alice.call(&attach(1)).await.unwrap();
    assert_eq!((grant.session, grant.login.as_str()), (Some(id(1)), "alice"));
    assert_eq!(read(&scene, &grant).only().unwrap().purpose, Purpose::Session(id(1)));
    let make = MakeLink {
        node: node(),
        session: id(1),
        seat: SeatRole::Peer,
        life_ms: None,
        once: true,
        to: None,
        guests: false,
    };
    let code = scene.alice.call(&make).await.unwrap().code;
    for _ in 0..2 {
        let grant = scene.bob.call(&ask(TerminalTo::Link { code: code.clone() })).await.unwrap();
        assert_eq!((grant.session, grant.seat), (Some(id(1)), Some(SeatRole::Peer)));
        let bob = read(&scene, &grant);
        assert_eq!(bob.only().unwrap().purpose, Purpose::Session(id(1)));
        assert_eq!((bob.user(), bob.login()), (&user("bob"), None));
    }
    let mut admin = Surf::behind(&scene.house, Some(&scene.proxy.badge)).await;
    admin.sign_in("root-admin").await;
    for (seat, given) in
        [(None, SeatRole::Observer), (Some(SeatRole::Moderator), SeatRole::Moderator)]
    {
        assert_eq!(admin.call(&join(1, seat)).await.unwrap().seat, Some(given));
    }
    let issued = ledger(&scene.admin, "certificate.issue").await;
    let terminals: Vec<_> = issued.iter().filter(|event| event["kind"] == "terminal").collect();
    assert_eq!(terminals.len(), 6);
    let first = terminals[0];
    assert_eq!(
        (&first["user"], &first["node"], &first["login"], &first["via"]),
        (&"alice".into(), &"web-01".into(), &"alice".into(), &"front".into())
    );
    assert_eq!(terminals[1]["session"], id(1).to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_is_granted_to_nobody_else() {
    let mut scene = Scene::new().await;
    let other =
        TerminalTo::Login { node: "db-01".parse().unwrap(), login: "alice".parse().unwrap() };
    for (what, call, fault, word) in [
        ("another login", log_in("root"), Fault::Denied, "scry access explain alice root@web-01"),
        ("another node", ask(other), Fault::NotFound, "node that you could reach"),
        ("another's session", attach(2), Fault::NotFound, "session of yours"),
        ("no session", attach(9), Fault::NotFound, "session of yours"),
        ("a session to look at", join(2, None), Fault::NotFound, "could join"),
        ("her own, to moderate it", join(1, Some(SeatRole::Moderator)), Fault::Denied, "moderator"),
        ("no link", ask(TerminalTo::Link { code: "share-x".into() }), Fault::NotFound, "whole"),
    ] {
        let (got, words) = scene.alice.refused(&call).await;
        assert_eq!(got, fault, "{what}: {words}");
        assert!(words.contains(word) && !words.contains("allow."), "{what}: {words}");
    }
    // Who reaches nothing there does not learn that it is there.
    for call in [log_in("root"), log_in("bob"), join(1, None)] {
        assert_eq!(scene.bob.refused(&call).await.0, Fault::NotFound);
    }
    let denied = ledger(&scene.admin, "access.denied").await;
    assert!(denied.iter().all(|event| event["via"] == "front"), "{denied:?}");
    let whys: Vec<_> = denied.iter().map(|event| event["why"].as_str().unwrap()).collect();
    assert!(whys.iter().any(|why| why.starts_with("bob may not log in as bob")), "{whys:?}");
    // It is asked by a proxy, for a browser: not with a certificate, not as itself, not by a node.
    for client in [&scene.admin.client, &scene.proxy.client, &scene.web.client] {
        assert_eq!(refused(client, &log_in("root")).await.0, Fault::Denied);
    }
    let mut stranger = Surf::behind(&scene.house, Some(&scene.proxy.badge)).await;
    assert_eq!(stranger.refused(&log_in("alice")).await.0, Fault::Unauthenticated);
    let key = GrantTerminal { ssh_key: "nonsense".into(), ..log_in("alice") };
    assert_eq!(scene.alice.refused(&key).await.0, Fault::Malformed);
    let grant = scene.alice.call(&log_in("alice")).await.unwrap().ssh_certificate;
    let key = GrantTerminal { ssh_key: grant, ..log_in("alice") };
    assert_eq!(scene.alice.refused(&key).await.0, Fault::Malformed, "a certificate is no key");
    // Nor when something is locked, nor after she has signed out.
    let target = LockTarget::from_parts("node", "web-01").unwrap();
    let reason = "on fire".parse().unwrap();
    let lock = AddLock { target, reason, life_ms: None, force: false };
    scene.admin.client.call(&lock).await.unwrap();
    for call in [log_in("alice"), attach(1)] {
        let (fault, words) = scene.alice.refused(&call).await;
        assert!(matches!(fault, Fault::Denied | Fault::NotFound), "{words}");
    }
    let cookie = scene.alice.cookie.clone();
    scene.alice.call(&WebSignOut { everywhere: false }).await.unwrap();
    scene.alice.cookie = cookie;
    assert_eq!(scene.alice.refused(&log_in("alice")).await.0, Fault::Unauthenticated);
}

//! Links for people who have no account: looked at by anybody who has the code, found by the proxy, taken by the node.

use super::house::{PASSWORD, add, refused, user};
use super::links::{Scene, make, take, takes};
use super::live::{id, session, tell};
use model::SeatRole::Observer;
use model::limit::SIGN_IN_FAILURES;
use wire::Fault;
use wire::node::Part;
use wire::people::SetRole;
use wire::share::{FindLink, LookAtLink, MadeLink, MakeLink, TakeLink};

/// Lets alice have guests, as observers.
async fn host(scene: &Scene) -> MadeLink {
    let role = r#"{"name":"host","allow":{"share":["observer"],"guests":["observer"]}}"#;
    let role = serde_json::from_str(role).unwrap();
    scene.admin.client.call(&SetRole { role }).await.unwrap();
    scene.admin.client.call(&add("alice", &["access", "host"])).await.unwrap();
    tell(&scene.web, &[session(1, "alice", &["access", "host"])]).await;
    // The account as it is now.
    let alice = scene.house.sign_in("alice", PASSWORD).await.unwrap();
    alice.client.call(&MakeLink { guests: true, ..make(Observer) }).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_looks_at_a_link_a_proxy_finds_its_node_and_the_node_takes_it() {
    let scene = Scene::new().await;
    let made = host(&scene).await;
    assert!(made.link.guests);
    let stranger = scene.house.client(None).await;
    let proxy = scene.house.join(Part::Proxy, "proxy").await;
    let look = LookAtLink { code: made.code.clone(), seat: None };
    let find = FindLink { code: made.code.clone(), address: "192.0.2.9".parse().unwrap() };
    for _ in 0..2 {
        let welcome = stranger.call(&look).await.unwrap();
        assert_eq!((welcome.shared.session, welcome.shared.seat), (id(1), Observer));
        assert_eq!(welcome.cluster, scene.admin.credentials.cluster.name);
        assert_eq!(welcome.host_authority, scene.admin.credentials.cluster.host_authority);
        assert_eq!(proxy.client.call(&find).await.unwrap().node.as_str(), "web-01");
    }
    let grant = takes(&scene.web, &take(&made, "guest:zoe")).await.unwrap();
    assert_eq!((grant.user.as_str(), grant.guests), ("guest:zoe", true));
    // Who has an account may use it, too.
    assert!(takes(&scene.web, &take(&made, "bob")).await.is_ok());
    let used = scene.ledger("share.use").await;
    assert_eq!((&used[0]["user"], &used[0]["address"]), (&"guest:zoe".into(), &"192.0.2.9".into()));
    assert_eq!(scene.ledger("share.create").await[0]["guests"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_without_a_link_for_guests_learns_nothing_and_is_in_the_ledger() {
    let scene = Scene::new().await;
    let members = scene.made(make(Observer)).await;
    let stranger = scene.house.client(None).await;
    let proxy = scene.house.join(Part::Proxy, "proxy").await;
    let address: std::net::IpAddr = "192.0.2.9".parse().unwrap();
    let other = format!("share-{}", "0".repeat(26));
    for (code, fault, word) in [
        (&members.code, Fault::Denied, "people who have an account"),
        (&other, Fault::NotFound, "is it whole"),
    ] {
        let look = LookAtLink { code: code.clone(), seat: None };
        let find = FindLink { code: code.clone(), address };
        let take = TakeLink {
            code: code.clone(),
            user: user("guest:zoe"),
            address: Some(address),
            seat: None,
        };
        for (got, words) in [
            refused(&stranger, &look).await,
            refused(&proxy.client, &find).await,
            refused(&scene.web.client, &take).await,
        ] {
            assert_eq!(got, fault, "{words}");
            assert!(words.contains(word), "{words}");
        }
    }
    let events = scene.ledger("share.refuse").await;
    assert_eq!(events.len(), 6);
    assert_eq!((&events[1]["node"], &events[1]["address"]), (&"proxy".into(), &"192.0.2.9".into()));
    // Nobody but a proxy asks for whom else's address it likes.
    let find = FindLink { code: other, address };
    assert_eq!(refused(&stranger, &find).await.0, Fault::Unauthenticated);
    assert_eq!(refused(&scene.bob.client, &find).await.0, Fault::Denied);
    assert_eq!(refused(&scene.web.client, &find).await.0, Fault::Denied);
}

#[tokio::test(flavor = "multi_thread")]
async fn guests_are_asked_for_only_where_a_role_allows_it_and_never_beside_a_name() {
    let scene = Scene::new().await;
    let call = MakeLink { guests: true, ..make(Observer) };
    let (fault, words) = refused(&scene.alice.client, &call).await;
    assert_eq!(fault, Fault::Denied, "{words}");
    let named = MakeLink { to: Some(user("bob")), ..call };
    assert_eq!(refused(&scene.alice.client, &named).await.0, Fault::Malformed);
    // No account has a guest's name.
    let (fault, words) = refused(&scene.admin.client, &add("guest:zoe", &[])).await;
    assert_eq!(fault, Fault::Malformed);
    assert!(words.contains("guest"), "{words}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_who_tries_many_codes_waits_whatever_they_call_themselves() {
    let scene = Scene::new().await;
    let made = host(&scene).await;
    let code = format!("share-{}", "0".repeat(26));
    for n in 0..SIGN_IN_FAILURES {
        let by = format!("guest:zoe-{n}");
        let call = TakeLink { code: code.clone(), ..take(&made, &by) };
        assert_eq!(refused(&scene.web.client, &call).await.0, Fault::NotFound);
    }
    assert_eq!(refused(&scene.web.client, &take(&made, "guest:new")).await.0, Fault::TooMany);
    let elsewhere = TakeLink { address: "198.51.100.1".parse().ok(), ..take(&made, "guest:other") };
    takes(&scene.web, &elsewhere).await.unwrap();
}

//! People with a browser: their web sessions, and who may say whose browser it is that asks.

use super::house::{House, PASSWORD, Person, add, refused, user};
use super::surf::{HERE, Surf};
use http::{HeaderMap, HeaderValue, Method};
use model::LockTarget;
use model::limit::{SIGN_IN_FAILURES, USER_CERTIFICATE_MS, WEB_SESSIONS};
use wire::audit::ListAudit;
use wire::lock::{AddLock, RemoveLock};
use wire::name::CLIENT_ADDRESS_HEADER;
use wire::node::{ListNodes, Part, RemoveNode};
use wire::people::{ListUsers, RemoveUser, SetRole, SignUp};
use wire::web::{
    EndWebSession, ListWebSessions, ReadDoor, ReadMe, SESSION_HEADER, SetSession, WebSignIn,
    WebSignOut, WhichSession,
};
use wire::{Call as _, Fault};

const OUT: Fault = Fault::Unauthenticated;

/// Events whose word begins so.
pub(super) async fn ledger(admin: &Person, word: &str) -> Vec<serde_json::Value> {
    let call = ListAudit { word: Some(word.into()), limit: 1000, ..ListAudit::default() };
    let rows = admin.client.call(&call).await.unwrap();
    rows.into_iter().map(|row| serde_json::from_str(&row.event).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_signs_in_in_a_browser_and_is_that_person_until_they_sign_out() {
    let house = House::start().await;
    let admin = house.admin().await;
    let proxy = house.join(Part::Proxy, "front").await;
    let mut surf = Surf::behind(&house, Some(&proxy.badge)).await;
    assert_eq!(surf.call(&ReadDoor {}).await.unwrap().cluster, "lab");
    assert_eq!(surf.refused(&ListUsers {}).await.0, OUT);
    let before = crate::clock::now();
    let me = surf.sign_in("root-admin").await;
    let Some(SetSession::New { secret, seconds }) = surf.set.clone() else { panic!() };
    assert_eq!((secret.len(), seconds), (64, u64::try_from(USER_CERTIFICATE_MS / 1000).unwrap()));
    assert_eq!((me.user.as_str(), me.cluster.as_str()), ("root-admin", "lab"));
    assert_eq!(me.admin.len(), 5);
    assert!(me.may_play && me.may_export && !me.must_enrol && me.factors.is_empty(), "{me:?}");
    let life = me.expires.0 - before.0;
    assert!((USER_CERTIFICATE_MS..USER_CERTIFICATE_MS + 60_000).contains(&life), "{life}");
    assert_eq!(surf.call(&ReadMe {}).await.unwrap(), me);
    assert_eq!(surf.set, None, "the secret is told once");
    // What they do is theirs, and the ledger says that it came through a browser, and from where.
    surf.call(&add("bob", &["access"])).await.unwrap();
    let invited = ledger(&admin, "user.invite").await.pop().unwrap();
    assert_eq!(
        (&invited["user"], &invited["address"], &invited["via"]),
        (&"root-admin".into(), &HERE.into(), &"front".into())
    );
    let sign_in = ledger(&admin, "user.sign_in").await.pop().unwrap();
    assert_eq!((&sign_in["method"], &sign_in["via"]), (&"password".into(), &"front".into()));
    assert!(sign_in.get("node").is_none(), "{sign_in}");
    // It is another than the proxy's own: who is asked for by no browser is the proxy itself.
    let cookie = surf.cookie.clone();
    surf.address = None;
    assert_eq!(surf.refused(&ListUsers {}).await.0, Fault::Denied);
    surf.address = Some(HERE.into());
    surf.call(&WebSignOut { everywhere: false }).await.unwrap();
    assert_eq!((&surf.set, &surf.cookie), (&Some(SetSession::Clear), &None));
    surf.cookie = cookie;
    assert_eq!(surf.refused(&ReadMe {}).await.0, OUT, "the secret is worth nothing any more");
    assert_eq!(ledger(&admin, "user.sign_out").await[0]["count"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_a_proxy_may_say_gives_nobody_else_an_identity_or_an_address() {
    let house = House::start().await;
    let admin = house.admin().await;
    let plain = house.person(&admin, "plain", &[]).await;
    let (node, proxy) = (house.node("web-01").await, house.join(Part::Proxy, "front").await);
    let mut surf = Surf::behind(&house, Some(&proxy.badge)).await;
    surf.sign_in("root-admin").await;
    let cookie = surf.cookie.clone();
    for (who, badge, fault) in [
        ("nobody", None, OUT),
        ("a person", Some(&plain.badge), Fault::Denied),
        ("a node", Some(&node.badge), Fault::Denied),
    ] {
        let mut other = Surf::behind(&house, badge).await;
        other.cookie = cookie.clone();
        assert_eq!(other.refused(&ListUsers {}).await.0, fault, "{who}");
        let (fault, _) = other.refused(&ReadMe {}).await;
        assert!(matches!(fault, Fault::Unauthenticated | Fault::Denied), "{who}");
        // Nor does it sign anybody in, or is believed about where it is.
        let call = WebSignIn { user: user("root-admin"), password: PASSWORD.into() };
        assert_eq!(other.refused(&call).await.0, Fault::Denied, "{who}");
        assert_eq!(other.set, None, "{who}");
    }
    let denied = ledger(&admin, "access.denied").await;
    assert!(!denied.is_empty() && denied.iter().all(|event| event.get("via").is_none()));
    assert!(denied.iter().all(|event| event["address"] == "127.0.0.1"), "{denied:?}");
    assert_eq!(surf.call(&ReadMe {}).await.unwrap().user, user("root-admin"));
    // A proxy's word is taken whole or not at all.
    let path = format!("/v1/{}", ListUsers::PATH);
    for (name, values) in [
        (CLIENT_ADDRESS_HEADER, &["nowhere"][..]),
        (CLIENT_ADDRESS_HEADER, &["192.0.2.1", "192.0.2.2"]),
        (SESSION_HEADER, &[cookie.as_deref().unwrap(), "other"]),
    ] {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(name, HeaderValue::from_str(value).unwrap());
        }
        if name != CLIENT_ADDRESS_HEADER {
            headers.insert(CLIENT_ADDRESS_HEADER, HeaderValue::from_static(HERE));
        }
        let (status, _) = surf.send(&Method::POST, &path, "{}".into(), headers).await;
        assert_eq!(status, 400, "{name} {values:?}");
    }
    for wrong in ["", "0", "é".repeat(32).as_str(), &"0".repeat(64), &"z".repeat(10_000)] {
        surf.cookie = HeaderValue::from_str(wrong).ok().and(Some(wrong.to_owned()));
        let (fault, _) = surf.refused(&ReadMe {}).await;
        assert!(matches!(fault, Fault::Unauthenticated | Fault::Malformed), "{wrong:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_was_removed_speaks_for_no_browser() {
    let house = House::start().await;
    let admin = house.admin().await;
    let proxy = house.join(Part::Proxy, "front").await;
    let mut surf = Surf::behind(&house, Some(&proxy.badge)).await;
    surf.sign_in("root-admin").await;
    // Another machine has its name now, and its key does not count any more.
    house.join(Part::Proxy, "front").await;
    assert_eq!(surf.refused(&ReadMe {}).await.0, Fault::Denied);
    assert_eq!(surf.refused(&ReadDoor {}).await.0, Fault::Denied);
    let remove = RemoveNode { node: "front".parse().unwrap() };
    let _ = admin.client.call(&remove).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tries_in_browsers_are_counted_by_person_and_by_the_browsers_address() {
    let house = House::start().await;
    let admin = house.admin().await;
    let proxy = house.join(Part::Proxy, "front").await;
    let mut surf = Surf::behind(&house, Some(&proxy.badge)).await;
    let wrong = |name: &str| WebSignIn { user: user(name), password: "wrong password".into() };
    let unknown = surf.refused(&wrong("nobody-here")).await;
    assert_eq!(unknown, surf.refused(&wrong("root-admin")).await, "one text for both");
    for n in 0..49 {
        let _ = surf.refused(&wrong(&format!("guess-{n}"))).await;
    }
    assert_eq!(surf.refused(&wrong("one-more")).await.0, Fault::TooMany);
    let right = WebSignIn { user: user("root-admin"), password: PASSWORD.into() };
    assert_eq!(surf.refused(&right).await.0, Fault::TooMany, "even with the right password");
    surf.address = Some("198.51.100.1:4711".into());
    surf.sign_in("root-admin").await;
    let failed = ledger(&admin, "user.sign_in_failed").await;
    assert!(failed.iter().all(|event| event["address"] == HERE && event["via"] == "front"));
    let throttled = ledger(&admin, "user.sign_in_throttled").await;
    assert_eq!((throttled.len(), &throttled[0]["of"]), (1, &"address".into()));
    for _ in 0..SIGN_IN_FAILURES {
        assert_eq!(surf.refused(&wrong("bob")).await.0, OUT);
    }
    assert_eq!(surf.refused(&wrong("bob")).await.0, Fault::TooMany);
}

#[tokio::test(flavor = "multi_thread")]
async fn web_sessions_end_with_the_account_its_password_and_a_lock() {
    let house = House::start().await;
    let admin = house.admin().await;
    house.person(&admin, "alice", &["access"]).await;
    let proxy = house.join(Part::Proxy, "front").await;
    let mut surf = Surf::behind(&house, Some(&proxy.badge)).await;
    // A lock of a role shuts it while it lasts, one on the person for good.
    surf.sign_in("alice").await;
    for (kind, name, after) in [("role", "access", None), ("user", "alice", Some(OUT))] {
        let target = LockTarget::from_parts(kind, name).unwrap();
        let reason = "lost laptop".parse().unwrap();
        let call = AddLock { target, reason, life_ms: None, force: false };
        let lock = admin.client.call(&call).await.unwrap();
        let (fault, words) = surf.refused(&ListNodes {}).await;
        assert_eq!(fault, after.unwrap_or(Fault::Denied), "{words}");
        assert!(!words.contains("laptop"), "{words}");
        let call = WebSignIn { user: user("alice"), password: PASSWORD.into() };
        let mut another = Surf::behind(&house, Some(&proxy.badge)).await;
        assert_eq!(another.refused(&call).await.0, Fault::Denied, "{kind}");
        admin.client.call(&RemoveLock { lock: lock.id }).await.unwrap();
        assert_eq!(surf.call(&ListNodes {}).await.err().map(|it| it.fault), after, "{kind}");
    }
    // A new password.
    surf.sign_in("alice").await;
    let again = admin.client.call(&add("alice", &["access"])).await.unwrap();
    surf.call(&ReadMe {}).await.unwrap();
    let call = SignUp { code: again.code, password: PASSWORD.into() };
    let mut browser = Surf::behind(&house, Some(&proxy.badge)).await;
    browser.call(&call).await.unwrap();
    assert_eq!(surf.refused(&ReadMe {}).await.0, OUT);
    // The account, also when another of its name comes.
    surf.sign_in("alice").await;
    admin.client.call(&RemoveUser { user: user("alice") }).await.unwrap();
    assert_eq!(surf.refused(&ReadMe {}).await.0, OUT);
    house.person(&admin, "alice", &["access"]).await;
    assert_eq!(surf.refused(&ReadMe {}).await.0, OUT);
}

#[tokio::test(flavor = "multi_thread")]
async fn people_see_their_web_sessions_and_end_them_and_nobody_elses() {
    let house = House::start().await;
    let admin = house.admin().await;
    house.person(&admin, "alice", &[]).await;
    let proxy = house.join(Part::Proxy, "front").await;
    let mut surfs = Vec::new();
    for _ in 0..3 {
        let mut surf = Surf::behind(&house, Some(&proxy.badge)).await;
        surf.sign_in("alice").await;
        surfs.push(surf);
    }
    let mut other = Surf::behind(&house, Some(&proxy.badge)).await;
    let theirs = other.sign_in("root-admin").await.session;
    let [first, second, third] = &mut surfs[..] else { panic!() };
    let all = first.call(&ListWebSessions {}).await.unwrap();
    assert_eq!(all.len(), 3);
    assert!(all.iter().all(|one| one.address == HERE && one.browser == "Netscape/4.0"));
    assert_eq!(all.iter().filter(|one| one.here).count(), 1);
    let one = |number| EndWebSession { which: WhichSession::One(number) };
    assert_eq!(first.refused(&one(theirs)).await.0, Fault::NotFound);
    let here = all.iter().find(|session| session.here).unwrap().id;
    assert_eq!(first.refused(&one(here)).await.0, Fault::Conflict);
    let number = second.call(&ReadMe {}).await.unwrap().session;
    first.call(&one(number)).await.unwrap();
    assert_eq!(second.refused(&ReadMe {}).await.0, OUT);
    first.call(&EndWebSession { which: WhichSession::Others }).await.unwrap();
    assert_eq!(third.refused(&ReadMe {}).await.0, OUT);
    first.call(&ReadMe {}).await.unwrap();
    third.sign_in("alice").await;
    third.call(&WebSignOut { everywhere: true }).await.unwrap();
    assert_eq!(first.refused(&ReadMe {}).await.0, OUT);
    other.call(&ReadMe {}).await.unwrap();
    // A browser that signs in again has one, and nobody has more than the bound.
    for _ in 0..3 {
        first.sign_in("alice").await;
    }
    assert_eq!(first.call(&ListWebSessions {}).await.unwrap().len(), 1);
    for _ in 0..WEB_SESSIONS + 3 {
        second.cookie = None;
        second.sign_in("alice").await;
    }
    let all = second.call(&ListWebSessions {}).await.unwrap();
    assert_eq!(all.len(), usize::try_from(WEB_SESSIONS).unwrap());
    // By certificate there is none of this.
    let (fault, words) = refused(&admin.client, &ReadMe {}).await;
    assert_eq!(fault, Fault::Denied);
    assert!(words.contains("browser"), "{words}");
    let house = house.restart().await;
    let proxy = house.join(Part::Proxy, "front").await;
    let mut again = Surf::behind(&house, Some(&proxy.badge)).await;
    again.cookie = second.cookie.clone();
    assert_eq!(again.call(&ReadMe {}).await.unwrap().user, user("alice"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_web_session_lives_as_long_as_the_persons_certificates_would() {
    let house = House::start().await;
    let admin = house.admin().await;
    let role = r#"{"name":"brief","options":{"certificate_minutes":1}}"#;
    let role = serde_json::from_str(role).unwrap();
    admin.client.call(&SetRole { role }).await.unwrap();
    house.person(&admin, "alice", &["brief"]).await;
    let proxy = house.join(Part::Proxy, "front").await;
    let mut surf = Surf::behind(&house, Some(&proxy.badge)).await;
    let before = crate::clock::now();
    let me = surf.sign_in("alice").await;
    assert!((60_000..61_000).contains(&(me.expires.0 - before.0)), "{me:?}");
    assert!(matches!(surf.set, Some(SetSession::New { seconds: 60, .. })), "{:?}", surf.set);
}

//! Links into running sessions: who may make, read, take and revoke them, and what attacks with them come to.

use super::house::{House, Node, Person, add, refused, user};
use super::live::{id, session, tell};
use link::http::CallError;
use model::limit::{LINK_MS, LINKS, SIGN_IN_FAILURES};
use model::role::{Role, RoleSet};
use model::{LinkId, LockTarget, SeatRole};
use std::time::Duration;
use wire::Fault;
use wire::audit::ListAudit;
use wire::live::LiveSession;
use wire::lock::{AddLock, RemoveLock};
use wire::node::News;
use wire::people::SetRole;
use wire::share::{
    Grant, LinkState, ListLinks, MadeLink, MakeLink, ReadLink, RevokeLink, TakeLink, Which,
};

use SeatRole::{Moderator, Observer, Peer};

/// Alice with a session on web-01, and others.
pub(super) struct Scene {
    pub(super) house: House,
    pub(super) admin: Person,
    pub(super) alice: Person,
    pub(super) bob: Person,
    carol: Person,
    pub(super) web: Node,
}

impl Scene {
    pub(super) async fn new() -> Self {
        let house = House::start().await;
        let admin = house.admin().await;
        let alice = house.person(&admin, "alice", &["access"]).await;
        let bob = house.person(&admin, "bob", &[]).await;
        let carol = house.person(&admin, "carol", &["access"]).await;
        let web = house.node("web-01").await;
        tell(&web, &[session(1, "alice", &["access"])]).await;
        Self { house, admin, alice, bob, carol, web }
    }

    pub(super) async fn made(&self, call: MakeLink) -> MadeLink {
        self.alice.client.call(&call).await.unwrap()
    }

    /// Events whose word begins so, as they stand in the ledger.
    pub(super) async fn ledger(&self, word: &str) -> Vec<serde_json::Value> {
        let call = ListAudit { word: Some(word.into()), limit: 1000, ..ListAudit::default() };
        let rows = self.admin.client.call(&call).await.unwrap();
        rows.into_iter().map(|row| serde_json::from_str(&row.event).unwrap()).collect()
    }

    /// The last refusal in the ledger: of which link, by whom, why.
    async fn last_refusal(&self) -> (Option<u64>, String, String) {
        let all = self.ledger("share.refuse").await;
        let last = all.last().expect("a refusal");
        let text = |name: &str| last[name].as_str().unwrap_or_default().to_owned();
        (last["link"].as_u64(), text("user"), text("why"))
    }
}

pub(super) fn make(seat: SeatRole) -> MakeLink {
    let (node, session) = ("web-01".parse().unwrap(), id(1));
    MakeLink { node, session, seat, life_ms: None, once: false, to: None, guests: false }
}

fn read(made: &MadeLink) -> ReadLink {
    ReadLink { code: made.code.clone(), seat: None }
}

pub(super) fn take(made: &MadeLink, by: &str) -> TakeLink {
    let (code, address) = (made.code.clone(), "192.0.2.9".parse().ok());
    TakeLink { code, user: user(by), address, seat: None }
}

pub(super) async fn takes(node: &Node, call: &TakeLink) -> Result<Grant, CallError> {
    node.client.call(call).await
}

fn revoke(made: &MadeLink) -> RevokeLink {
    RevokeLink { link: Which::Number(made.link.id) }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_makes_a_link_another_reads_it_and_the_node_takes_it() {
    let scene = Scene::new().await;
    let before = model::Time(crate::clock::now().0);
    let made = scene.made(MakeLink { to: Some(user("bob")), ..make(Peer) }).await;
    assert_eq!(wire::share::code(&made.code), Some(made.code.clone()));
    let link = &made.link;
    assert_eq!((link.id, link.seat, link.used), (LinkId(1), Peer, 0));
    assert_eq!((&link.owner, &link.by), (&user("alice"), &user("alice")));
    let life = link.expires.0 - before.0;
    assert!((LINK_MS.0..LINK_MS.0 + 60_000).contains(&life), "{life}");
    // Reading uses nothing up, and codes are read as people type them.
    let loud = ReadLink { code: format!(" {} ", made.code.to_ascii_uppercase()), seat: None };
    for call in [read(&made), read(&made), loud] {
        let shared = scene.bob.client.call(&call).await.unwrap();
        assert_eq!((shared.node.as_str(), shared.session), ("web-01", id(1)));
        assert_eq!((shared.owner, shared.seat), (user("alice"), Peer));
        assert_eq!((shared.link, shared.expires), (link.id, link.expires));
    }
    assert_eq!(scene.alice.client.call(&ListLinks {}).await.unwrap(), std::slice::from_ref(link));
    let grant = takes(&scene.web, &take(&made, "bob")).await.unwrap();
    let want = Grant {
        link: link.id,
        session: id(1),
        seat: Peer,
        user: user("bob"),
        guests: false,
        expires: link.expires,
    };
    assert_eq!(grant, want);
    let listed = scene.alice.client.call(&ListLinks {}).await.unwrap();
    assert_eq!((listed[0].used, listed[0].state), (1, LinkState::Open));

    let events = scene.ledger("share.").await;
    let words: Vec<_> = events.iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert_eq!(words, ["share.create", "share.use"]);
    for event in &events {
        assert_eq!((&event["node"], &event["link"]), (&"web-01".into(), &1.into()));
        assert_eq!(event["session"], id(1).to_string());
        assert!(!event.to_string().contains(&made.code["share-".len()..]), "no secrets: {event}");
    }
    assert_eq!((&events[0]["user"], &events[0]["recipient"]), (&"alice".into(), &"bob".into()));
    assert_eq!((&events[1]["user"], &events[1]["address"]), (&"bob".into(), &"192.0.2.9".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_shares_what_is_not_theirs_or_as_what_their_roles_do_not_say() {
    let scene = Scene::new().await;
    let plain = session(2, "bob", &[]);
    let alone = LiveSession { joinable: false, ..session(3, "alice", &["access"]) };
    tell(&scene.web, &[session(1, "alice", &["access"]), plain, alone]).await;
    let of = |number: u8| MakeLink { session: id(number), ..make(Observer) };
    let other = MakeLink { node: "db-01".parse().unwrap(), ..make(Observer) };
    let life = |life_ms: u64| MakeLink { life_ms: Some(life_ms), ..make(Observer) };
    let most = u64::try_from(LINK_MS.1).unwrap();
    for (what, by, call, fault, word) in [
        ("another's", &scene.carol, make(Observer), Fault::NotFound, "no such session of yours"),
        ("another's, by an admin", &scene.admin, make(Peer), Fault::NotFound, "no such session"),
        ("none", &scene.alice, of(9), Fault::NotFound, "no such session of yours"),
        ("elsewhere", &scene.alice, other, Fault::NotFound, "no such session of yours"),
        ("without a role", &scene.bob, of(2), Fault::Denied, "a role that allows it"),
        ("a seat that no role says", &scene.alice, make(Moderator), Fault::Denied, "moderator"),
        ("one to look at for nobody", &scene.alice, of(3), Fault::Conflict, "no terminal"),
        ("for no time", &scene.alice, life(0), Fault::Malformed, "24 hours"),
        ("for too long", &scene.alice, life(most + 1), Fault::Malformed, "24 hours"),
        ("for ever", &scene.alice, life(u64::MAX), Fault::Malformed, "24 hours"),
    ] {
        let (got, words) = refused(&by.client, &call).await;
        assert_eq!(got, fault, "{what}: {words}");
        assert!(words.contains(word), "{what}: {words}");
        assert!(!words.contains("allow."), "{what}: rules leak: {words}");
    }
    assert!(scene.ledger("share.").await.is_empty());
    let denied = scene.ledger("access.denied").await;
    let whys: Vec<_> = denied.iter().map(|event| event["why"].as_str().unwrap()).collect();
    assert_eq!(whys.len(), 4, "{whys:#?}");
    assert!(whys[0].contains("it is alice's, and only its owner shares it"), "{}", whys[0]);
    assert!(whys[2].contains("missing is allow.share with `observer`"), "{}", whys[2]);
    scene.made(life(most)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_does_not_count_says_why_and_each_try_stands_in_the_ledger() {
    let scene = Scene::new().await;
    let bobs = scene.made(MakeLink { to: Some(user("bob")), ..make(Observer) }).await;
    let revoked = scene.made(make(Observer)).await;
    scene.alice.client.call(&revoke(&revoked)).await.unwrap();
    let brief = scene.made(MakeLink { life_ms: Some(1), ..make(Observer) }).await;
    let once = scene.made(MakeLink { once: true, ..make(Observer) }).await;
    takes(&scene.web, &take(&once, "bob")).await.unwrap();
    tokio::time::sleep(Duration::from_millis(20)).await;
    let other = MadeLink { code: format!("share-{}", "0".repeat(26)), ..bobs.clone() };
    let none = MadeLink { code: "share-".into(), ..bobs.clone() };
    for (made, fault, word) in [
        (&other, Fault::NotFound, "is it whole"),
        (&none, Fault::NotFound, "is it whole"),
        (&bobs, Fault::Denied, "for somebody else"),
        (&revoked, Fault::Denied, "was revoked"),
        (&brief, Fault::Denied, "has expired"),
        (&once, Fault::Denied, "was used"),
    ] {
        let known = fault == Fault::Denied;
        // To look at it and to come by it alike.
        let (got, words) = refused(&scene.carol.client, &read(made)).await;
        assert_eq!(got, fault, "{words}");
        assert!(words.contains(word), "{words}");
        let link = known.then_some(made.link.id.0);
        assert_eq!(scene.last_refusal().await, (link, "carol".into(), words.clone()));
        let (got, again) = refused(&scene.web.client, &take(made, "carol")).await;
        assert_eq!((got, again), (fault, words.clone()));
        assert_eq!(scene.last_refusal().await, (link, "carol".into(), words));
    }
    assert_eq!(scene.ledger("share.refuse").await.len(), 12);
    assert_eq!(scene.ledger("share.use").await.len(), 1);
    // When the session is over, so is every link to it.
    tell(&scene.web, &[session(2, "alice", &["access"])]).await;
    let (got, words) = refused(&scene.bob.client, &read(&bobs)).await;
    assert_eq!(got, Fault::Denied);
    assert!(words.contains("over"), "{words}");
    assert_eq!(refused(&scene.web.client, &take(&bobs, "bob")).await.0, Fault::Denied);
    let listed = scene.alice.client.call(&ListLinks {}).await.unwrap();
    let states: Vec<_> = listed.iter().map(|link| (link.id.0, link.state)).collect();
    assert_eq!(states, [(4, LinkState::Used), (2, LinkState::Revoked), (1, LinkState::Over)]);
    // A session of the same number that is another's is not the one.
    tell(&scene.web, &[session(1, "carol", &["access"])]).await;
    assert_eq!(refused(&scene.bob.client, &read(&bobs)).await.0, Fault::Denied);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_node_that_it_leads_to_takes_a_link_and_only_as_it_says() {
    let scene = Scene::new().await;
    let db = scene.house.node("db-01").await;
    let made = scene.made(MakeLink { once: true, ..make(Peer) }).await;
    // The other node says that the session is its own.
    tell(&db, &[session(1, "alice", &["access"])]).await;
    let (fault, words) = refused(&db.client, &take(&made, "bob")).await;
    assert_eq!(fault, Fault::NotFound);
    assert!(!words.contains("web-01"), "{words}");
    let (link, who, why) = scene.last_refusal().await;
    assert_eq!((link, who.as_str()), (Some(1), "bob"));
    assert_eq!(why, "it leads to web-01, and another node asked for it");
    for seat in [Observer, Moderator] {
        let why = format!("this link lets you in as peer, not as {seat}: leave that out");
        let call = TakeLink { seat: Some(seat), ..take(&made, "bob") };
        assert_eq!(refused(&scene.web.client, &call).await, (Fault::Denied, why.clone()));
        // Who only reads it, and says as what they will come, is told so before they go there.
        let call = ReadLink { seat: Some(seat), ..read(&made) };
        assert_eq!(refused(&scene.bob.client, &call).await, (Fault::Denied, why.clone()));
        assert_eq!(scene.last_refusal().await, (Some(1), "bob".to_owned(), why));
    }
    assert_eq!(refused(&scene.web.client, &take(&made, "nobody")).await.0, Fault::Denied);
    // Nothing of that used it up; then somebody does, and nobody does so again.
    let call = TakeLink { seat: Some(Peer), ..take(&made, "bob") };
    takes(&scene.web, &call).await.unwrap();
    for by in ["bob", "carol"] {
        let (fault, words) = refused(&scene.web.client, &take(&made, by)).await;
        assert_eq!(fault, Fault::Denied);
        assert!(words.contains("was used"), "{words}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_counts_once_is_taken_once_also_by_many_at_once() {
    let scene = Scene::new().await;
    let made = scene.made(MakeLink { once: true, ..make(Observer) }).await;
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..8 {
        let client = scene.web.client.clone();
        let call = take(&made, if n % 2 == 0 { "bob" } else { "carol" });
        tasks.spawn(async move { client.call(&call).await.is_ok() });
    }
    assert_eq!(tasks.join_all().await.into_iter().filter(|taken| *taken).count(), 1);
    assert_eq!(scene.ledger("share.use").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn locks_accounts_and_roles_count_as_they_stand_and_use_nothing_up() {
    let scene = Scene::new().await;
    let made = scene.made(MakeLink { once: true, ..make(Peer) }).await;
    let both = async |want: Fault, word: &str| {
        for (fault, words) in [
            refused(&scene.bob.client, &read(&made)).await,
            refused(&scene.web.client, &take(&made, "bob")).await,
        ] {
            assert_eq!(fault, want, "{words}");
            assert!(words.contains(word) && !words.contains("laptop"), "{words}");
        }
    };
    for (kind, name) in
        [("user", "alice"), ("user", "bob"), ("node", "web-01"), ("session", &id(1).to_string())]
    {
        let target = LockTarget::from_parts(kind, name).unwrap();
        let reason = "lost laptop".parse().unwrap();
        let call = AddLock { target, reason, life_ms: None, force: false };
        let lock = scene.admin.client.call(&call).await.unwrap();
        both(Fault::Denied, &format!("lock {}", lock.id)).await;
        scene.admin.client.call(&RemoveLock { lock: lock.id }).await.unwrap();
    }
    let mut access: Role = role("access");
    access.allow.share = vec![Observer];
    scene.admin.client.call(&SetRole { role: access }).await.unwrap();
    let (fault, words) = refused(&scene.carol.client, &read(&made)).await;
    assert_eq!(fault, Fault::Denied);
    assert!(words.contains("owner may not share it like this"), "{words}");
    scene.admin.client.call(&SetRole { role: role("access") }).await.unwrap();
    // What the owner holds now counts, not what they held when the session began.
    scene.admin.client.call(&add("alice", &[])).await.unwrap();
    assert_eq!(refused(&scene.carol.client, &read(&made)).await.0, Fault::Denied);
    scene.admin.client.call(&add("alice", &["access"])).await.unwrap();
    scene.carol.client.call(&read(&made)).await.unwrap();
    takes(&scene.web, &take(&made, "carol")).await.unwrap();
}

fn role(name: &str) -> Role {
    policy::default_roles().roles[&name.parse().unwrap()].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_is_revoked_by_its_owner_or_an_admin_and_nodes_hear_of_it_if_somebody_came() {
    let scene = Scene::new().await;
    let (used, unused) = (scene.made(make(Peer)).await, scene.made(make(Peer)).await);
    takes(&scene.web, &take(&used, "bob")).await.unwrap();
    let mut news = scene.web.client.lines::<News>("/v1/node/news").await.unwrap();
    let told = async |news: &mut link::http::Lines<News>| -> RoleSet {
        loop {
            if let Some(roles) = news.next().await.unwrap().unwrap().roles {
                return roles;
            }
        }
    };
    assert!(told(&mut news).await.revoked.is_empty());
    for call in [
        revoke(&used),
        RevokeLink { link: Which::Code(used.code.clone()) },
        RevokeLink { link: Which::Number(LinkId(99)) },
        RevokeLink { link: Which::Code("share-x".into()) },
    ] {
        let (fault, words) = refused(&scene.carol.client, &call).await;
        assert_eq!((fault, words.as_str()), (Fault::NotFound, "there is no such link of yours"));
    }
    assert_eq!(scene.ledger("access.denied").await.len(), 2, "the two that there are");
    let by_code = RevokeLink { link: Which::Code(unused.code.clone()) };
    scene.alice.client.call(&by_code).await.unwrap();
    scene.admin.client.call(&revoke(&used)).await.unwrap();
    let set = tokio::time::timeout(Duration::from_secs(1), told(&mut news)).await.unwrap();
    assert_eq!(set.revoked, [used.link.id].into(), "nobody came by the other");
    // Once more changes nothing.
    scene.alice.client.call(&revoke(&used)).await.unwrap();
    let events = scene.ledger("share.revoke").await;
    let who = |event: &serde_json::Value| {
        (event["user"].as_str().map(str::to_owned), event["link"].as_u64())
    };
    let by: Vec<_> = events.iter().map(who).collect();
    assert_eq!(by, [(Some("alice".into()), Some(2)), (Some("root-admin".into()), Some(1))]);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_guesses_codes_waits_and_nobody_else_does() {
    let scene = Scene::new().await;
    let made = scene.made(make(Observer)).await;
    let wrong = |n: u32| ReadLink { code: format!("share-{n:026}"), seat: None };
    for n in 0..SIGN_IN_FAILURES {
        assert_eq!(refused(&scene.bob.client, &wrong(n)).await.0, Fault::NotFound);
    }
    for call in [wrong(0), read(&made)] {
        assert_eq!(refused(&scene.bob.client, &call).await.0, Fault::TooMany);
    }
    scene.carol.client.call(&read(&made)).await.unwrap();
    let told = scene.ledger("share.refuse").await;
    assert_eq!(told.len(), usize::try_from(SIGN_IN_FAILURES).unwrap() + 1);
    assert!(told.last().unwrap()["why"].as_str().unwrap().contains("not listed"));
    // What a node says of bob keeps him out at that node only, and what he did here does not.
    takes(&scene.web, &take(&made, "bob")).await.unwrap();
    for n in 0..SIGN_IN_FAILURES {
        let call = TakeLink { code: wrong(n).code, ..take(&made, "carol") };
        assert_eq!(refused(&scene.web.client, &call).await.0, Fault::NotFound);
    }
    assert_eq!(refused(&scene.web.client, &take(&made, "carol")).await.0, Fault::TooMany);
    scene.carol.client.call(&read(&made)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_owner_has_so_many_links_and_no_more() {
    let scene = Scene::new().await;
    for _ in 0..LINKS.1 {
        scene.made(make(Observer)).await;
    }
    let (fault, words) = refused(&scene.alice.client, &make(Observer)).await;
    assert_eq!(fault, Fault::TooMany);
    assert!(words.contains("let some expire"), "{words}");
}

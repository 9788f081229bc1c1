//! What parts and people try that is not theirs: refused, and each try in the ledger with who it was.

use super::house::{House, Node, Person, fault, heading, refused, tape};
use model::audit::Audited;
use model::{AuditEvent, SessionId};
use wire::Fault;
use wire::audit::ListAudit;
use wire::node::{Join, Part, RemoveNode};
use wire::people::ReadInvitation;
use wire::recording::{
    ListRecordings, Progress, ReadProgress, RemoveRecording, ViewKind, ViewRecording,
};

/// The ledger's end behind a row, which the next call starts from.
struct Watch<'a> {
    admin: &'a Person,
    after: u64,
}

impl Watch<'_> {
    async fn new(admin: &Person) -> Watch<'_> {
        let mut watch = Watch { admin, after: 0 };
        watch.news().await;
        watch
    }

    /// What was written since.
    async fn news(&mut self) -> Vec<AuditEvent> {
        let asked = ListAudit { after: Some(self.after), limit: 1000, ..ListAudit::default() };
        let rows = self.admin.client.call(&asked).await.unwrap();
        self.after = rows.last().map_or(self.after, |row| row.number);
        rows.iter().map(|row| row.parse().unwrap()).collect()
    }

    /// One denial was written, of this part, with these words.
    async fn denied(&mut self, what: &str, node: &Node, words: &str) {
        let news = self.news().await;
        let [event] = news.as_slice() else { panic!("{what}: {news:?}") };
        let Audited::Denied { why, .. } = &event.what else { panic!("{what}: {event:?}") };
        assert!(why.contains(words), "{what}: {why}");
        assert_eq!(event.node.as_ref(), Some(&node.name), "{what}");
        assert_eq!(event.address.as_deref(), Some("127.0.0.1"), "{what}");
    }
}

async fn ship(
    node: &Node,
    id: SessionId,
    after: u64,
    body: Vec<u8>,
) -> Result<Progress, link::http::CallError> {
    node.client.post_bytes(&format!("/v1/node/ship/{id}?after={after}"), body.into()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_node_may_not_do_with_recordings_is_refused_and_stands_in_the_ledger() {
    let house = House::start().await;
    let admin = house.admin().await;
    let (web, db) = (house.node("web-01").await, house.node("db-01").await);
    let (own, live) = (web.tape(1, "root-admin"), web.tape(4, "root-admin"));
    assert!(ship(&web, own.id, 0, own.all()).await.unwrap().stored);
    assert!(!ship(&web, live.id, 0, live.slice(0, 3)).await.unwrap().stored);
    let ticket = admin.client.call(&ViewRecording { id: own.id, how: ViewKind::Play }).await;
    let ticket = ticket.unwrap().ticket;
    let mut watch = Watch::new(&admin).await;
    // Its own and another's, by every way there is to read.
    for node in [&web, &db] {
        let view = ViewRecording { id: own.id, how: ViewKind::Export };
        assert_eq!(refused(&node.client, &view).await.0, Fault::Denied);
        watch.denied("view", node, "is not for a node's identity").await;
        assert_eq!(refused(&node.client, &ListRecordings::default()).await.0, Fault::Denied);
        watch.denied("list", node, "is not for a node's identity").await;
        assert_eq!(refused(&node.client, &RemoveRecording { id: own.id }).await.0, Fault::Denied);
        watch.denied("remove", node, "is not for a node's identity").await;
        for what in [
            "bytes",
            "film",
            "reel?at=0",
            "segments",
            "segment?from=0&to=1",
            "transcript",
            "events",
            "search?for=line",
            "cast",
            "text",
        ] {
            let joint = if what.contains('?') { '&' } else { '?' };
            let path = format!("/v1/recordings/{}/{what}{joint}ticket={ticket}", own.id);
            assert_eq!(fault(node.client.get_bytes(&path, 1 << 20).await), Fault::Denied, "{what}");
            watch.denied(what, node, "is not for a node's identity").await;
        }
        let everywhere = node.client.get_bytes("/v1/search?for=line", 1 << 20).await;
        assert_eq!(fault(everywhere), Fault::Denied);
        watch.denied("search", node, "is not for a node's identity").await;
        assert_eq!(refused(&node.client, &ListAudit::default()).await.0, Fault::Denied);
        watch.denied("the ledger", node, "is not for a node's identity").await;
    }
    // Another node's session, stored or live: to begin it anew, to go on with it, and to ask how far it is.
    for tape in [&own, &live] {
        for (after, body) in [(0, tape.all()), (3, tape.slice(3, 4))] {
            assert_eq!(fault(ship(&db, tape.id, after, body).await), Fault::Denied);
            watch.denied("ship", &db, "is of node web-01, and db-01 asked for it").await;
        }
        assert_eq!(refused(&db.client, &ReadProgress { id: tape.id }).await.0, Fault::Denied);
        watch.denied("progress", &db, "is of node web-01, and db-01 asked for it").await;
    }
    // A recording that says it was made elsewhere, and one that another node's key signs.
    for heading in [
        heading(2, "bob", &web.name, "lab", web.signer.clone()),
        heading(3, "bob", &db.name, "lab", web.signer.clone()),
    ] {
        let forged = tape(heading, &db.key);
        assert_eq!(fault(ship(&db, forged.id, 0, forged.all()).await), Fault::Malformed);
        let news = watch.news().await;
        let [event] = news.as_slice() else { panic!("{news:?}") };
        assert!(matches!(event.what, Audited::Tampering { .. }), "{event:?}");
        assert_eq!((event.node.as_ref(), event.session), (Some(&db.name), Some(forged.id)));
    }
    // None of it came in: whose session it is goes on where it was.
    let rest = live.slice(3, live.records.len());
    assert!(ship(&web, live.id, 3, rest).await.unwrap().stored);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_stranger_tries_stands_in_the_ledger() {
    let house = House::start().await;
    let admin = house.admin().await;
    house.node("web-01").await;
    let nobody = house.client(None).await;
    let mut watch = Watch::new(&admin).await;
    assert_eq!(refused(&nobody, &ReadInvitation { code: "guess".into() }).await.0, Fault::NotFound);
    let news = watch.news().await;
    assert!(matches!(news[..], [AuditEvent { what: Audited::InvitationRefused { .. }, .. }]));
    // A token that counts does not lend another part's name.
    let (keys, _) = super::house::part_keys(Part::Proxy, "web-01");
    let taken = Join { token: house.token.clone(), keys };
    assert_eq!(refused(&nobody, &taken).await.0, Fault::Conflict);
    let news = watch.news().await;
    let [AuditEvent { what: Audited::Denied { action, why }, .. }] = &news[..] else {
        panic!("{news:?}")
    };
    assert_eq!(action, "join");
    assert!(why.contains("web-01, which is another's name"), "{why}");
    // Ten failures, and one word that from now on nobody looks; not one a try.
    for _ in 0..12 {
        let _ = house.sign_in("root-admin", "wrong password").await.map(drop);
    }
    let words: Vec<_> = watch.news().await.iter().map(|event| event.what.word()).collect();
    assert_eq!(words.len(), 11, "{words:?}");
    assert_eq!(words.last(), Some(&"user.sign_in_throttled"));
    assert!(words[..10].iter().all(|word| *word == "user.sign_in_failed"), "{words:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_looks_through_the_recordings_of_others_leaves_a_trace() {
    let house = House::start().await;
    let admin = house.admin().await;
    let alice = house.person(&admin, "alice", &["access"]).await;
    let web = house.node("web-01").await;
    for (id, owner) in [(1, "root-admin"), (2, "alice"), (3, "alice")] {
        let tape = web.tape(id, owner);
        ship(&web, tape.id, 0, tape.all()).await.unwrap();
    }
    let mut watch = Watch::new(&admin).await;
    admin.client.call(&ListRecordings::default()).await.unwrap();
    let news = watch.news().await;
    assert!(
        matches!(
            news[..],
            [AuditEvent { what: Audited::RecordingsListed { count: 3, others: 2 }, .. }]
        ),
        "{news:?}"
    );
    // One's own leave none; another's are not there, and the ledger knows who asked.
    assert_eq!(alice.client.call(&ListRecordings::default()).await.unwrap().len(), 2);
    assert!(watch.news().await.is_empty());
    let user = Some(super::house::user("root-admin"));
    let asked = ListRecordings { user, ..ListRecordings::default() };
    assert!(alice.client.call(&asked).await.unwrap().is_empty());
    let news = watch.news().await;
    let [AuditEvent { what: Audited::Denied { why, .. }, user: Some(user), .. }] = &news[..] else {
        panic!("{news:?}")
    };
    assert_eq!(user.as_str(), "alice");
    assert!(why.contains("allow.recordings.list"), "{why}");
    let remove = RemoveNode { node: web.name.clone() };
    assert_eq!(refused(&alice.client, &remove).await.0, Fault::Denied);
    assert_eq!(watch.news().await.len(), 1);
}

//! Tests of links into running sessions.

use super::*;
use model::limit::LINK_KEPT_MS;
use model::{LinkId, SeatRole, SessionId};

const MANY: Most = Most { all: 100, own: 100 };

fn new(owner: &str, to: Option<&str>, once: bool) -> NewLink {
    NewLink {
        node: node("web-01"),
        session: SessionId::from_random([7; 16]),
        owner: user(owner),
        seat: SeatRole::Peer,
        by: user(owner),
        to: to.map(user),
        guests: to.is_none(),
        once,
        created: Time(5),
        expires: Time(100),
    }
}

async fn put(tables: &Tables, code: &str, new: NewLink) -> Link {
    tables.put_link(code, new, MANY).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_link_is_found_by_its_code_and_its_number_and_its_code_is_written_nowhere() {
    let (dir, tables) = tables().await;
    let code = "share-0123456789abcdefghjkmnpqrs";
    let first = put(&tables, code, new("alice", Some("bob"), true)).await;
    let second = put(&tables, "second", new("alice", None, false)).await;
    let theirs = put(&tables, "third", new("bob", None, false)).await;
    assert_eq!([first.id, second.id, theirs.id], [1, 2, 3].map(LinkId));
    assert_eq!(
        first,
        Link { id: LinkId(1), made: new("alice", Some("bob"), true), used: 0, revoked: None }
    );
    let tables = reopened(&dir, tables).await;
    assert_eq!(tables.link(code).await.unwrap(), Some(first.clone()));
    assert_eq!(tables.link_of_number(LinkId(1)).await.unwrap(), Some(first.clone()));
    assert_eq!(tables.link("Second").await.unwrap(), None);
    assert_eq!(tables.link_of_number(LinkId(4)).await.unwrap(), None);
    let alices = tables.links_of(&user("alice"), Time(99)).await.unwrap();
    assert_eq!(alices, [second, first]);
    assert_eq!(tables.links_of(&user("alice"), Time(100)).await.unwrap(), []);
    assert!(
        tables.put_link(code, new("bob", None, false), MANY).await.is_err(),
        "one code, one link"
    );
    tables.close().await;
    for name in ["scry.db", "scry.db-wal"] {
        let bytes = std::fs::read(dir.path().join("auth").join(name)).unwrap_or_default();
        let secret = code.as_bytes();
        assert!(!bytes.windows(secret.len()).any(|window| window == secret), "{name}");
    }
}

#[tokio::test]
async fn a_use_is_counted_only_for_whom_and_as_long_as_the_link_counts() {
    let (_dir, tables) = tables().await;
    put(&tables, "often", new("alice", None, false)).await;
    put(&tables, "bobs", new("alice", Some("bob"), false)).await;
    put(&tables, "once", new("alice", None, true)).await;
    let gone = put(&tables, "gone", new("alice", None, false)).await;
    assert!(tables.revoke_link(gone.id, Time(50)).await.unwrap());
    for (code, who, now, used) in [
        ("nonsense", "bob", 50, None),
        ("often", "bob", 50, Some(1)),
        ("often", "bob", 50, Some(2)),
        ("often", "carol", 99, Some(3)),
        ("often", "bob", 100, None),
        ("bobs", "carol", 50, None),
        ("bobs", "bob", 50, Some(1)),
        ("once", "bob", 100, None),
        ("once", "bob", 50, Some(1)),
        ("once", "bob", 50, None),
        ("once", "carol", 50, None),
        ("gone", "bob", 50, None),
    ] {
        let found = tables.use_link(code, &user(who), Time(now)).await.unwrap();
        assert_eq!(found.map(|link| link.used), used, "{code} by {who} at {now}");
    }
    assert_eq!(tables.link("often").await.unwrap().unwrap().used, 3);
    assert_eq!(tables.link("once").await.unwrap().unwrap().used, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_that_counts_once_counts_once_also_when_all_come_at_once() {
    let (_dir, tables) = tables().await;
    put(&tables, "raced", new("alice", None, true)).await;
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..20 {
        let tables = tables.clone();
        tasks.spawn(async move {
            tables.use_link("raced", &user(&format!("user-{n}")), Time(1)).await.unwrap()
        });
    }
    assert_eq!(tasks.join_all().await.into_iter().flatten().count(), 1);
}

#[tokio::test]
async fn a_revoked_link_is_told_with_the_roles_if_somebody_came_by_it() {
    let (dir, tables) = tables().await;
    let unused = put(&tables, "unused", new("alice", None, false)).await.id;
    let used = put(&tables, "used", new("alice", None, false)).await.id;
    tables.use_link("used", &user("bob"), Time(6)).await.unwrap().unwrap();
    let mut told = tables.watch_roles();
    let rev = tables.roles().await.unwrap().rev;
    assert!(tables.revoke_link(unused, Time(7)).await.unwrap());
    assert!(!told.has_changed().unwrap(), "nobody sits anywhere because of it");
    assert!(tables.revoke_link(used, Time(8)).await.unwrap());
    assert!(told.has_changed().unwrap());
    told.borrow_and_update();
    for id in [unused, used, LinkId(9)] {
        assert!(!tables.revoke_link(id, Time(9)).await.unwrap(), "{id} once more");
    }
    assert!(!told.has_changed().unwrap());
    let tables = reopened(&dir, tables).await;
    let set = tables.roles().await.unwrap();
    assert_eq!((set.rev, set.revoked), (rev + 1, [used].into()));
    assert_eq!(tables.link("used").await.unwrap().unwrap().revoked, Some(Time(8)));
    // It is told some time longer than the link counts, for clocks differ; then it is forgotten.
    tables.sweep(Time(100 + LINK_KEPT_MS)).await.unwrap();
    assert_eq!(tables.roles().await.unwrap().revoked.len(), 1);
    tables.sweep(Time(101 + LINK_KEPT_MS)).await.unwrap();
    assert!(tables.roles().await.unwrap().revoked.is_empty());
    assert_eq!(tables.link("used").await.unwrap(), None);
    assert_eq!(
        put(&tables, "used", new("alice", None, false)).await.id,
        LinkId(3),
        "no number twice"
    );
}

#[tokio::test]
async fn there_are_so_many_links_and_no_more_until_some_have_expired() {
    let (_dir, tables) = tables().await;
    let most = Most { all: 5, own: 2 };
    let ask = async |code: &str, owner: &str, at: i64| {
        let new = NewLink { created: Time(at), expires: Time(at + 100), ..new(owner, None, false) };
        tables.put_link(code, new, most).await.unwrap().map(|link| link.id)
    };
    for (code, owner, at, made) in [
        ("a1", "alice", 0, true),
        ("a2", "alice", 50, true),
        ("a3", "alice", 50, false),
        ("b1", "bob", 50, true),
        ("b2", "bob", 50, true),
        ("c1", "carol", 50, true),
        ("d1", "dave", 50, false),
        // The first has expired by now, and makes room.
        ("a3", "alice", 100, true),
        ("a4", "alice", 100, false),
        ("d1", "dave", 149, false),
        ("d1", "dave", 150, true),
    ] {
        assert_eq!(ask(code, owner, at).await.is_some(), made, "{code} at {at}");
    }
    assert!(
        tables.link("a1").await.unwrap().is_none(),
        "what has expired is kept while there is room"
    );
    // A revoked one takes its room until it would have expired: it may have to be told.
    let id = tables.link("a3").await.unwrap().unwrap().id;
    assert!(tables.revoke_link(id, Time(151)).await.unwrap());
    assert!(ask("a5", "alice", 151).await.is_some());
    assert!(ask("a6", "alice", 152).await.is_none());
}

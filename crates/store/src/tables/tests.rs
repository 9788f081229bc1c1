//! Tests of the tables, against a real file.

mod ledger;
mod links;
mod locks;
mod people;
mod recordings;

use super::*;
use tempfile::TempDir;

pub(super) async fn tables() -> (TempDir, Tables) {
    let dir = tempfile::tempdir().unwrap();
    let tables = Tables::open(&dir.path().join("auth/scry.db")).await.unwrap();
    (dir, tables)
}

pub(super) async fn reopened(dir: &TempDir, tables: Tables) -> Tables {
    tables.close().await;
    Tables::open(&dir.path().join("auth/scry.db")).await.unwrap()
}

pub(super) fn user(name: &str) -> model::UserName {
    name.parse().unwrap()
}

pub(super) fn node(name: &str) -> model::NodeName {
    name.parse().unwrap()
}

#[tokio::test]
async fn the_database_is_its_owners_only_and_is_made_to_last() {
    use std::os::unix::fs::MetadataExt;
    let (dir, tables) = tables().await;
    tables.next_serial().await.unwrap();
    for entry in std::fs::read_dir(dir.path().join("auth")).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().mode() & 0o777;
        assert_eq!(mode, 0o600, "{:?}", entry.file_name());
    }
    let pragma = async |sql: &'static str| {
        sqlx::query_scalar::<_, String>(sql).fetch_one(&tables.write).await.unwrap()
    };
    assert_eq!(pragma("SELECT journal_mode FROM pragma_journal_mode").await, "wal");
    assert_eq!(pragma("SELECT CAST(synchronous AS TEXT) FROM pragma_synchronous").await, "2");
    assert_eq!(pragma("SELECT CAST(foreign_keys AS TEXT) FROM pragma_foreign_keys").await, "1");
}

#[tokio::test]
async fn a_file_that_is_no_database_and_one_of_a_newer_version_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("scry.db");
    std::fs::write(&path, [7; 8192]).unwrap();
    let text = Tables::open(&path).await.unwrap_err().to_string();
    assert!(text.contains("scry.db"), "{text}");

    let (dir, tables) = tables().await;
    sqlx::query(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (9999, 'future', 1, x'00', 0)",
    )
    .execute(&tables.write)
    .await
    .unwrap();
    tables.close().await;
    let text = Tables::open(&dir.path().join("auth/scry.db")).await.unwrap_err().to_string();
    assert!(text.contains("newer version"), "{text}");
}

#[tokio::test]
async fn readers_cannot_write() {
    let (_dir, tables) = tables().await;
    assert!(sqlx::query("DELETE FROM account").execute(&tables.read).await.is_err());
}

#[tokio::test]
async fn a_cluster_is_made_once_and_kept() {
    let (dir, tables) = tables().await;
    assert_eq!(tables.cluster().await.unwrap(), None);
    assert!(tables.create_cluster("lab", Time(5)).await.unwrap());
    assert!(!tables.create_cluster("other", Time(6)).await.unwrap());
    let tables = reopened(&dir, tables).await;
    let cluster = Cluster { name: "lab".into(), created: Time(5) };
    assert_eq!(tables.cluster().await.unwrap(), Some(cluster));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_two_certificates_have_one_serial_number() {
    let (dir, tables) = tables().await;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let tables = tables.clone();
        tasks.spawn(async move { tables.next_serial().await.unwrap() });
    }
    let mut serials = tasks.join_all().await;
    serials.sort_unstable();
    assert_eq!(serials, (1..=50).collect::<Vec<_>>());
    assert_eq!(reopened(&dir, tables).await.next_serial().await.unwrap(), 51);
}

fn token(name: Option<&str>, expires: i64) -> JoinToken {
    JoinToken {
        part: PartKind::Node,
        name: name.map(node),
        labels: [("env".to_owned(), "prod".to_owned())].into(),
        expires: Time(expires),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_join_token_counts_for_one_machine_also_when_all_come_at_once() {
    let (_dir, tables) = tables().await;
    let kind = PartKind::Node;
    let (once, name) = (token(Some("web-01"), 100), node("web-01"));
    for secret in ["once", "raced"] {
        assert!(tables.put_join_token(secret, &once, 2, Time(1)).await.unwrap());
    }
    assert!(!tables.put_join_token("more", &once, 2, Time(1)).await.unwrap(), "two wait");
    for (secret, part, by, now, expected) in [
        ("nonsense", kind, "a", 50, false),
        ("once", PartKind::Proxy, "a", 50, false),
        ("once", kind, "a", 101, false),
        ("once", kind, "a", 100, true),
        ("once", kind, "b", 50, false),
        ("once", kind, "a", 50, true),
        ("once", kind, "a", 101, false),
    ] {
        let found = tables.join_token(secret, part, by, Time(now)).await.unwrap();
        assert_eq!(found, expected.then(|| once.clone()), "{secret} {part:?} {by} at {now}");
        let used = tables.use_join_token(secret, part, (by, &name), Time(now)).await.unwrap();
        assert_eq!(used, expected, "{secret} {part:?} {by} at {now}");
    }
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..20 {
        let (tables, by) = (tables.clone(), n.to_string());
        tasks.spawn(async move {
            let (by, name) = (by.as_str(), node("web-01"));
            tables.use_join_token("raced", kind, (by, &name), Time(1)).await.unwrap()
        });
    }
    assert_eq!(tasks.join_all().await.into_iter().filter(|used| *used).count(), 1);
    assert!(tables.put_join_token("more", &once, 1, Time(1)).await.unwrap(), "none waits");
}

#[tokio::test]
async fn a_part_joins_says_that_it_is_there_renews_and_is_removed() {
    let (dir, tables) = tables().await;
    let (kind, name) = (PartKind::Node, node("web-01"));
    let labels: model::role::Labels = [("env".to_owned(), "prod".to_owned())].into();
    let none = model::role::Labels::new();
    let key = |kind, tls_key, serial| PartKey { kind, name: &name, tls_key, serial };
    let mut told = tables.watch_parts();
    let seen = Seen { labels: &labels, version: "0.1", sessions: 3 };
    assert!(!tables.part_seen((kind, &name), Some("a"), seen, Time(1)).await.unwrap());
    assert!(!tables.renew_part(key(kind, "a", 7), Some("a")).await.unwrap(), "not there");
    told.borrow_and_update();
    tables.put_part(key(kind, "a", 7), &labels, Time(2)).await.unwrap();
    assert!(told.has_changed().unwrap());
    tables.put_part(key(PartKind::Proxy, "c", 8), &none, Time(2)).await.unwrap();
    assert!(tables.part_seen((kind, &name), Some("a"), seen, Time(9)).await.unwrap());
    // A machine that had the name before, and asked while it had it.
    let other = Seen { labels: &none, ..seen };
    assert!(!tables.part_seen((kind, &name), Some("z"), other, Time(10)).await.unwrap());
    assert!(!tables.renew_part(key(kind, "z", 9), Some("z")).await.unwrap());
    assert!(tables.renew_part(key(kind, "b", 11), Some("a")).await.unwrap());
    let tables = reopened(&dir, tables).await;
    let expected = Part {
        kind,
        name: name.clone(),
        granted: labels.clone(),
        labels,
        tls_key: Some("b".into()),
        version: "0.1".into(),
        sessions: 3,
        joined: Time(2),
        last_seen: Some(Time(9)),
        serial: 11,
    };
    assert_eq!(tables.part(kind, &name).await.unwrap(), Some(expected.clone()));
    assert_eq!(tables.parts(kind).await.unwrap(), [expected]);
    assert_eq!(tables.part(kind, &node("db")).await.unwrap(), None);
    let mut told = tables.watch_parts();
    assert!(tables.remove_part(kind, &name).await.unwrap());
    assert!(told.has_changed().unwrap());
    told.borrow_and_update();
    assert!(!tables.remove_part(kind, &name).await.unwrap());
    assert_eq!(tables.part(kind, &name).await.unwrap(), None);
    assert!(tables.part(PartKind::Proxy, &name).await.unwrap().is_some(), "another part");
}

#[tokio::test]
async fn roles_are_counted_kept_and_told() {
    let (dir, tables) = tables().await;
    let mut told = tables.watch_roles();
    let role = |name: &str, description: &str| -> model::role::Role {
        serde_json::from_value(serde_json::json!({ "name": name, "description": description }))
            .unwrap()
    };
    assert!(tables.roles().await.unwrap().roles.is_empty());
    assert_eq!(tables.put_role(&role("access", "a")).await.unwrap(), 1);
    assert!(told.has_changed().unwrap());
    assert_eq!(*told.borrow_and_update(), 1);
    assert_eq!(tables.put_role(&role("admin", "b")).await.unwrap(), 2);
    assert_eq!(tables.put_role(&role("access", "c")).await.unwrap(), 3);
    assert_eq!(tables.remove_role(&"admin".parse().unwrap()).await.unwrap(), Some(4));
    assert_eq!(tables.remove_role(&"admin".parse().unwrap()).await.unwrap(), None);
    assert_eq!(*told.borrow_and_update(), 4);
    let tables = reopened(&dir, tables).await;
    assert_eq!(*tables.watch_roles().borrow(), 4);
    let set = tables.roles().await.unwrap();
    assert_eq!(set.rev, 4);
    assert_eq!(set.roles.into_values().collect::<Vec<_>>(), [role("access", "c")]);
}

#[tokio::test]
async fn what_is_written_into_the_room_takes_no_more_of_the_disk() {
    let (dir, tables) = tables().await;
    assert!(!tables.has_room().await.unwrap());
    tables.make_room().await.unwrap();
    assert!(tables.has_room().await.unwrap());
    let taken = || {
        let facts = |name: &str| std::fs::metadata(dir.path().join("auth").join(name)).unwrap();
        ["scry.db", "scry.db-wal", "scry.db-shm"].map(|name| facts(name).len())
    };
    let before = taken();
    // More than the log holds, so that it starts over.
    for number in 0..600 {
        tables.put_user(&user(&format!("user-{number}")), &[], &[], Time(1)).await.unwrap();
    }
    assert_eq!(taken(), before);
    assert!(tables.has_room().await.unwrap());
    // A clean end takes the log away.
    let tables = reopened(&dir, tables).await;
    assert!(!tables.has_room().await.unwrap());
    tables.make_room().await.unwrap();
    assert!(tables.has_room().await.unwrap());
    assert!(taken()[0] < before[0] + 64 * 1024, "what was free is used again");
}

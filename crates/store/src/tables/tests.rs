//! Tests of the tables, against a real file.

mod ledger;
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_join_token_counts_as_often_as_it_says_also_when_all_come_at_once() {
    let (_dir, tables) = tables().await;
    let kind = PartKind::Node;
    tables.put_join_token("once", kind, 1, Time(100)).await.unwrap();
    tables.put_join_token("thrice", kind, 3, Time(100)).await.unwrap();
    for (token, part, now, expected) in [
        ("nonsense", kind, 50, false),
        ("once", PartKind::Proxy, 50, false),
        ("once", kind, 101, false),
        ("once", kind, 100, true),
        ("once", kind, 50, false),
    ] {
        let used = tables.use_join_token(token, part, Time(now)).await.unwrap();
        assert_eq!(used, expected, "{token} {part:?} at {now}");
    }
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let tables = tables.clone();
        tasks.spawn(async move { tables.use_join_token("thrice", kind, Time(1)).await.unwrap() });
    }
    assert_eq!(tasks.join_all().await.into_iter().filter(|used| *used).count(), 3);
}

#[tokio::test]
async fn a_part_joins_says_that_it_is_there_and_renews() {
    let (dir, tables) = tables().await;
    let (kind, name) = (PartKind::Node, node("web-01"));
    let labels: model::role::Labels = [("env".to_owned(), "prod".to_owned())].into();
    assert!(!tables.part_seen(kind, &name, &labels, "0.1", 1, Time(1)).await.unwrap());
    tables.put_part(kind, &name, 7, Time(2)).await.unwrap();
    tables.put_part(PartKind::Proxy, &name, 8, Time(2)).await.unwrap();
    assert!(tables.part_seen(kind, &name, &labels, "0.1", 3, Time(9)).await.unwrap());
    tables.put_part(kind, &name, 11, Time(10)).await.unwrap();
    let tables = reopened(&dir, tables).await;
    let expected = Part {
        kind,
        name: name.clone(),
        labels,
        version: "0.1".into(),
        sessions: 3,
        joined: Time(2),
        last_seen: Some(Time(9)),
        serial: 11,
    };
    assert_eq!(tables.part(kind, &name).await.unwrap(), Some(expected.clone()));
    assert_eq!(tables.parts(kind).await.unwrap(), [expected]);
    assert_eq!(tables.part(kind, &node("db")).await.unwrap(), None);
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

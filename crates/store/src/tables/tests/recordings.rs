//! Tests of the rows of recordings.

use super::*;
use model::seal::{Head, Receipt, Signature, SignerCertificate};
use model::{ConnectionId, Heading, Kind, Seq, SessionId, Tally};

fn id(n: u8) -> SessionId {
    SessionId::from_random([n; 16])
}

fn heading(n: u8, name: &str, machine: &str) -> Heading {
    let signature = Signature([1; 32], [2; 32]);
    Heading {
        id: id(n),
        connection: ConnectionId::from_random([100; 16]),
        cluster: "lab".into(),
        node: node(machine),
        user: user(name),
        login: if n.is_multiple_of(2) { "root".parse().unwrap() } else { "app".parse().unwrap() },
        roles: vec!["access".parse().unwrap()],
        client: "192.0.2.7:1234".into(),
        via: None,
        kind: Kind::Exec { command: "make \"it\"".into() },
        size: None,
        term: None,
        started: Time(i64::from(n) * 10),
        signer: SignerCertificate {
            key: [3; 32],
            node: node(machine),
            not_before: Time(0),
            not_after: Time(1),
            issuer: [4; 32],
            signature,
        },
    }
}

fn labels(env: &str) -> model::role::Labels {
    [("env".to_owned(), env.to_owned())].into()
}

fn advance(bytes: u64) -> Advance {
    let head = Head { records: bytes / 10, seq: Seq(7), hash: [8; 32] };
    let signature = Signature([1; 32], [2; 32]);
    let receipt = Receipt { head, received: Time(90), key: [5; 32], signature };
    Advance { length_ms: 1234, bytes, gaps: 1, tally: tally(bytes), ending: None, receipt }
}

/// As it was counted up to so many bytes.
fn tally(bytes: u64) -> Tally {
    let people = vec![user("bob"), "guest:Zoe".parse().unwrap()];
    Tally { commands: Some(bytes / 10), files: None, people, ..Tally::default() }
}

fn filed() -> Filed {
    Filed {
        object_key: "rec/x".into(),
        bytes: 5000,
        file_hash: [6; 32],
        verification: "signed".into(),
    }
}

#[tokio::test]
async fn a_recording_begins_advances_is_interrupted_goes_on_and_is_filed() {
    let (dir, tables) = tables().await;
    let heading = heading(1, "alice", "web-01");
    assert!(tables.begin_recording(&heading, &labels("prod"), Time(80)).await.unwrap());
    assert!(!tables.begin_recording(&heading, &labels("dev"), Time(81)).await.unwrap());
    assert!(tables.advance_recording(&id(1), &advance(100), Time(90)).await.unwrap());
    assert_eq!(tables.interrupt_recordings(Time(90)).await.unwrap(), []);
    assert_eq!(tables.interrupt_recordings(Time(91)).await.unwrap(), [id(1)]);
    assert_eq!(tables.recording(&id(1)).await.unwrap().unwrap().phase, Phase::Interrupted);
    assert_eq!(tables.unfiled_recordings().await.unwrap().len(), 1);
    let last = Advance { ending: Some("exit 0".into()), ..advance(200) };
    assert!(tables.advance_recording(&id(1), &last, Time(95)).await.unwrap());
    assert!(tables.set_interrupted(&id(1), true).await.unwrap());
    assert!(tables.set_interrupted(&id(1), false).await.unwrap());
    assert_eq!(tables.recording(&id(1)).await.unwrap().unwrap().phase, Phase::Live);
    assert!(tables.file_recording(&id(1), &filed()).await.unwrap());
    assert!(!tables.file_recording(&id(1), &filed()).await.unwrap());
    assert!(!tables.advance_recording(&id(1), &advance(300), Time(99)).await.unwrap());
    assert!(!tables.set_interrupted(&id(1), true).await.unwrap());
    assert_eq!(tables.interrupt_recordings(Time(999)).await.unwrap(), []);

    let tables = reopened(&dir, tables).await;
    let expected = Recording {
        id: id(1),
        user: user("alice"),
        login: "app".parse().unwrap(),
        node: node("web-01"),
        connection: heading.connection,
        kind: heading.kind.clone(),
        client: heading.client.clone(),
        labels: labels("prod"),
        started: Time(10),
        received: Time(95),
        length_ms: 1234,
        bytes: 5000,
        records: 20,
        gaps: 1,
        tally: Some(tally(200)),
        phase: Phase::Stored,
        ending: Some("exit 0".into()),
        verification: Some("signed".into()),
        head_hash: Some([8; 32]),
        receipt: Some(last.receipt),
        object_key: Some("rec/x".into()),
        file_hash: Some([6; 32]),
        removed: None,
    };
    assert_eq!(tables.recording(&id(1)).await.unwrap(), Some(expected));
    assert!(tables.unfiled_recordings().await.unwrap().is_empty());
}

#[tokio::test]
async fn recordings_that_are_older_than_counting_are_not_counted_which_is_not_nought() {
    let (dir, tables) = tables().await;
    let heading = heading(1, "alice", "web-01");
    tables.begin_recording(&heading, &labels("prod"), Time(80)).await.unwrap();
    tables.advance_recording(&id(1), &advance(100), Time(90)).await.unwrap();
    for sql in [
        "ALTER TABLE recording DROP COLUMN tally",
        "DELETE FROM _sqlx_migrations WHERE description = 'tallies'",
    ] {
        sqlx::query(sql).execute(&tables.write).await.unwrap();
    }
    let tables = reopened(&dir, tables).await;
    let row = tables.recording(&id(1)).await.unwrap().unwrap();
    assert_eq!((row.tally, row.gaps, row.records), (None, 1, 10));
    // What still arrives is counted from its beginning.
    tables.advance_recording(&id(1), &advance(200), Time(91)).await.unwrap();
    assert_eq!(tables.recording(&id(1)).await.unwrap().unwrap().tally, Some(tally(200)));
}

#[tokio::test]
async fn stored_recordings_are_counted_by_how_they_stand_and_those_amiss_are_listed() {
    let (_dir, tables) = tables().await;
    let all = [
        (1, "alice", Some("complete"), 0),
        (2, "alice", Some("complete"), 0),
        (3, "alice", Some("complete"), 1),
        (4, "bob", Some("broken"), 0),
        (5, "bob", Some("unfinished"), 1),
        (6, "bob", None, 0),
        (7, "bob", Some("complete"), 0),
    ];
    for (n, name, verification, gaps) in all {
        let heading = heading(n, name, "web-01");
        tables.begin_recording(&heading, &labels("prod"), Time(80)).await.unwrap();
        let advance = Advance { gaps, ..advance(100) };
        tables.advance_recording(&id(n), &advance, Time(90)).await.unwrap();
        if let Some(verification) = verification {
            let filed = Filed { verification: verification.into(), ..filed() };
            tables.file_recording(&id(n), &filed).await.unwrap();
        }
    }
    tables.remove_recording(&id(7), Time(95)).await.unwrap();
    let counted = tables.count_stored().await.unwrap();
    let mut counted: Vec<_> = counted
        .iter()
        .map(|one| (one.user.as_str(), one.verification.as_deref().unwrap(), one.gaps, one.count))
        .collect();
    counted.sort_unstable();
    let expected = [
        ("alice", "complete", false, 2),
        ("alice", "complete", true, 1),
        ("bob", "broken", false, 1),
        ("bob", "unfinished", true, 1),
    ];
    assert_eq!(counted, expected);
    let amiss = RecordingFilter { amiss: true, ..RecordingFilter::default() };
    let found = tables.list_recordings(&amiss, Visible::All).await.unwrap();
    let found: Vec<_> = found.iter().map(|row| row.id).collect();
    assert_eq!(found, [id(6), id(5), id(4), id(3)]);
}

#[tokio::test]
async fn a_recording_is_removed_once_and_does_not_come_back() {
    let (_dir, tables) = tables().await;
    let heading = heading(1, "alice", "web-01");
    tables.begin_recording(&heading, &labels("prod"), Time(80)).await.unwrap();
    tables.file_recording(&id(1), &filed()).await.unwrap();
    let removed = tables.remove_recording(&id(1), Time(99)).await.unwrap().unwrap();
    assert_eq!((removed.removed, removed.file_hash), (Some(Time(99)), Some([6; 32])));
    assert_eq!(tables.remove_recording(&id(1), Time(100)).await.unwrap(), None);
    assert!(!tables.begin_recording(&heading, &labels("prod"), Time(101)).await.unwrap());
    assert!(!tables.advance_recording(&id(1), &advance(1), Time(101)).await.unwrap());
    let listed = tables.list_recordings(&RecordingFilter::default(), Visible::All).await.unwrap();
    assert!(listed.is_empty());
    assert!(tables.recording(&id(1)).await.unwrap().unwrap().removed.is_some());
}

/// Ten recordings: 1 to 10 by time, even ones by alice, odd ones by bob, three nodes.
async fn ten() -> (TempDir, Tables) {
    let (dir, tables) = tables().await;
    for n in 1..=10_u8 {
        let name = if n % 2 == 0 { "alice" } else { "bob" };
        let (machine, env) = [("a", "prod"), ("b", "dev"), ("c", "prod")][usize::from(n % 3)];
        let heading = heading(n, name, machine);
        tables.begin_recording(&heading, &labels(env), Time(500)).await.unwrap();
        if n > 8 {
            tables.file_recording(&id(n), &filed()).await.unwrap();
        }
    }
    (dir, tables)
}

async fn check(tables: &Tables, filter: RecordingFilter, visible: Visible<'_>, expected: &[u8]) {
    let found = tables.list_recordings(&filter, visible).await.unwrap();
    let ids: Vec<_> = found.iter().map(|one| one.id).collect();
    let expected: Vec<_> = expected.iter().map(|n| id(*n)).collect();
    assert_eq!(ids, expected, "{filter:?} {visible:?}");
}

#[tokio::test]
async fn each_condition_of_a_filter_holds() {
    let (_dir, tables) = ten().await;
    let none = RecordingFilter::default;
    let whole = id(3).to_string();
    let prefix = |text: &str| RecordingFilter { id_prefix: Some(text.to_owned()), ..none() };
    for (filter, expected) in [
        (none(), &[10, 9, 8, 7, 6, 5, 4, 3, 2, 1][..]),
        (RecordingFilter { limit: 3, ..none() }, &[10, 9, 8]),
        (RecordingFilter { user: Some(user("alice")), ..none() }, &[10, 8, 6, 4, 2]),
        (RecordingFilter { user: Some(user("eve")), ..none() }, &[]),
        (RecordingFilter { node: Some(node("a")), ..none() }, &[9, 6, 3]),
        (RecordingFilter { node: Some(node("a")), user: Some(user("alice")), ..none() }, &[6]),
        (RecordingFilter { login: "app".parse().ok(), limit: 2, ..none() }, &[9, 7]),
        (RecordingFilter { since: Some(Time(80)), ..none() }, &[10, 9, 8]),
        (RecordingFilter { until: Some(Time(30)), ..none() }, &[2, 1]),
        (RecordingFilter { live: true, limit: 2, ..none() }, &[8, 7]),
        (RecordingFilter { after: Some((Time(30), id(3))), ..none() }, &[2, 1]),
        (prefix(&id(3).short()), &[3]),
        (prefix(&whole), &[3]),
        (prefix(&whole.to_uppercase()), &[3]),
        (prefix("ffff"), &[]),
        (prefix("xyz"), &[]),
        (prefix("%"), &[]),
        (prefix(&format!("{whole}00")), &[]),
    ] {
        check(&tables, filter, Visible::All, expected).await;
    }
}

#[tokio::test]
async fn nobody_sees_more_than_they_may_and_pages_are_full_all_the_same() {
    let (_dir, tables) = ten().await;
    let none = RecordingFilter::default;
    let alice = user("alice");
    let own = Visible::Own(&alice);
    check(&tables, RecordingFilter { limit: 3, ..none() }, own, &[10, 8, 6]).await;
    let bobs = RecordingFilter { user: Some(user("bob")), ..none() };
    check(&tables, bobs, own, &[]).await;

    let by_label = |one: &Recording| one.labels.get("env").is_some_and(|env| env == "dev");
    let dev = Visible::Where(&by_label);
    check(&tables, none(), dev, &[10, 7, 4, 1]).await;
    check(&tables, RecordingFilter { limit: 2, ..none() }, dev, &[10, 7]).await;
    let next = RecordingFilter { limit: 2, after: Some((Time(70), id(7))), ..none() };
    check(&tables, next, dev, &[4, 1]).await;
    check(&tables, RecordingFilter { limit: 1, ..none() }, Visible::Where(&|_| false), &[]).await;
}

#[tokio::test]
async fn a_session_is_found_with_what_it_left_running() {
    let (_dir, tables) = tables().await;
    for n in [1, 2] {
        let session = heading(n, "alice", "web-01");
        tables.begin_recording(&session, &labels("prod"), Time(1)).await.unwrap();
    }
    for (n, of) in [(4, 1), (3, 1), (5, 2)] {
        let kind = Kind::Aftermath { of: id(of) };
        let heading = Heading { kind, ..heading(n, "alice", "web-01") };
        tables.begin_recording(&heading, &labels("prod"), Time(1)).await.unwrap();
    }
    assert_eq!(tables.aftermaths(&id(1)).await.unwrap(), [id(3), id(4)]);
    assert_eq!(tables.aftermaths(&id(2)).await.unwrap(), [id(5)]);
    assert_eq!(tables.aftermaths(&id(3)).await.unwrap(), []);
    let of = |n| RecordingFilter { aftermath_of: Some(id(n)), ..RecordingFilter::default() };
    check(&tables, of(1), Visible::All, &[4, 3]).await;
    let bob = RecordingFilter { user: Some(user("bob")), ..of(1) };
    check(&tables, bob, Visible::All, &[]).await;
    tables.remove_recording(&id(3), Time(9)).await.unwrap();
    assert_eq!(tables.aftermaths(&id(1)).await.unwrap(), [id(4)]);
}

#[tokio::test]
async fn what_another_node_user_or_connection_left_running_is_no_aftermath_of_a_session() {
    let (_dir, tables) = tables().await;
    let after = |n, name, machine| {
        let kind = Kind::Aftermath { of: id(1) };
        Heading { kind, ..heading(n, name, machine) }
    };
    let connection = ConnectionId::from_random([101; 16]);
    for heading in [
        after(2, "alice", "db-01"),
        after(3, "bob", "web-01"),
        Heading { connection, ..after(4, "alice", "web-01") },
        after(5, "alice", "web-01"),
    ] {
        tables.begin_recording(&heading, &labels("prod"), Time(1)).await.unwrap();
    }
    let of = || RecordingFilter { aftermath_of: Some(id(1)), ..RecordingFilter::default() };
    // It may come before its session, which alone tells whose it is.
    assert_eq!(tables.aftermaths(&id(1)).await.unwrap(), []);
    check(&tables, of(), Visible::All, &[]).await;
    let session = heading(1, "alice", "web-01");
    tables.begin_recording(&session, &labels("prod"), Time(1)).await.unwrap();
    assert_eq!(tables.aftermaths(&id(1)).await.unwrap(), [id(5)]);
    check(&tables, of(), Visible::All, &[5]).await;
    // What it left running outlasts the session's own recording.
    tables.remove_recording(&id(1), Time(9)).await.unwrap();
    assert_eq!(tables.aftermaths(&id(1)).await.unwrap(), [id(5)]);
}

#[tokio::test]
async fn as_many_as_a_list_holds_do_not_push_out_what_a_session_left_running() {
    let (_dir, tables) = tables().await;
    let kind = Kind::Aftermath { of: id(1) };
    for heading in [
        heading(1, "alice", "web-01"),
        Heading { kind: kind.clone(), ..heading(2, "alice", "db-01") },
        Heading { kind, ..heading(3, "alice", "web-01") },
    ] {
        tables.begin_recording(&heading, &labels("prod"), Time(1)).await.unwrap();
    }
    let more = sqlx::query(
        "WITH RECURSIVE count (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM count WHERE n < $1)
         INSERT INTO recording
           (id, user_name, login, node, connection, kind, client, labels, started, received, phase,
            aftermath_of)
         SELECT printf('%032x', n), user_name, login, node, connection, kind, client, labels, started,
           received, phase, aftermath_of
         FROM recording, count WHERE node = 'db-01'",
    );
    let done = more.bind(limit::PAGE_ROWS).execute(&tables.write).await.unwrap();
    assert_eq!(done.rows_affected(), u64::from(limit::PAGE_ROWS));
    assert_eq!(tables.aftermaths(&id(1)).await.unwrap(), [id(3)]);
}

#[tokio::test]
async fn every_list_is_answered_in_order_from_an_index() {
    use super::super::recordings::{BY_AFTERMATH, BY_NODE, BY_START, BY_USER};
    let (_dir, tables) = ten().await;
    for (sql, index) in [
        (BY_USER, "recording_by_user"),
        (BY_NODE, "recording_by_node"),
        (BY_START, "recording_by_start"),
        (BY_AFTERMATH, "recording_by_aftermath"),
    ] {
        let explain = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"));
        let mut query = sqlx::query_as::<_, (i64, i64, i64, String)>(explain);
        for _ in 0..14 {
            query = query.bind(1);
        }
        let plan = query.fetch_all(&tables.read).await.unwrap();
        let text = plan.iter().map(|row| row.3.as_str()).collect::<Vec<_>>().join("; ");
        assert!(text.contains(index) && !text.contains("TEMP B-TREE"), "{text}");
    }
}

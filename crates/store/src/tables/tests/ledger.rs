//! Tests of the ledger.

use super::*;
use model::audit::Audited;
use model::limit::{EVENT_BYTES, LEDGER_PAGE_BYTES};
use model::{AuditEvent, SessionId};

fn event(time: i64, name: &str, what: Audited) -> AuditEvent {
    AuditEvent {
        time: Time(time),
        user: name.parse().ok(),
        address: None,
        node: Some(node("web-01")),
        login: None,
        connection: None,
        session: None,
        via: None,
        what,
    }
}

fn exec(time: i64, name: &str) -> AuditEvent {
    event(time, name, Audited::Exec { command: "rm -rf 'x' \u{1b}".into() })
}

async fn all(tables: &Tables) -> Vec<LedgerRow> {
    tables.list_ledger(&LedgerFilter { limit: 1000, ..LedgerFilter::default() }).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_are_chained_without_holes_whoever_appends_at_once() {
    let (dir, tables) = tables().await;
    assert_eq!(tables.ledger_head().await.unwrap(), LedgerHead::default());
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..20_i64 {
        let tables = tables.clone();
        let events = [exec(n, "alice"), exec(n, "bob")];
        tasks.spawn(async move { tables.append_ledger(&events).await.unwrap() });
    }
    tasks.join_all().await;
    let tables = reopened(&dir, tables).await;
    let rows = all(&tables).await;
    assert_eq!(rows.len(), 40);
    let mut before = [0; 32];
    for (row, number) in rows.iter().zip(1..) {
        assert_eq!((row.number, row.hash), (number, chain(&before, number, &row.event)));
        assert!(serde_json::from_str::<AuditEvent>(&row.event).is_ok());
        before = row.hash;
    }
    let head = tables.ledger_head().await.unwrap();
    assert_eq!(head, LedgerHead { number: 40, hash: before });
    assert_eq!(*tables.watch_ledger().borrow(), 40);
    // After a restart the chain goes on where it was.
    let head = tables.append_ledger(&[exec(99, "alice")]).await.unwrap();
    assert_eq!(head.hash, chain(&before, 41, &all(&tables).await[40].event));
}

#[tokio::test]
async fn no_row_can_be_changed_removed_replaced_or_put_elsewhere() {
    let (_dir, tables) = tables().await;
    tables.append_ledger(&[exec(1, "alice"), exec(2, "bob")]).await.unwrap();
    let before = all(&tables).await;
    for sql in [
        "UPDATE ledger SET event = '{}' WHERE number = 1",
        "DELETE FROM ledger WHERE number = 2",
        "DELETE FROM ledger",
        "INSERT OR REPLACE INTO ledger (number, time, event, code, word, hash) VALUES (2, 0, '', '', '', x'')",
        "INSERT INTO ledger (number, time, event, code, word, hash) VALUES (9, 0, '', '', '', x'')",
    ] {
        let text = sqlx::query(sql).execute(&tables.write).await.unwrap_err().to_string();
        assert!(text.contains("append-only"), "{sql}: {text}");
    }
    assert_eq!(all(&tables).await, before);
}

#[tokio::test]
async fn an_event_of_a_report_is_taken_once_by_its_number() {
    let (_dir, tables) = tables().await;
    let report = async |name: &str, run: &str, first: u64, count: usize| {
        let events = vec![exec(1, "alice"); count];
        tables.append_report(&node(name), run, first, &events, Time(5)).await.unwrap()
    };
    for (name, run, first, count, taken) in [
        ("a", "r1", 1, 2, 2),
        ("a", "r1", 1, 2, 0),
        // Sent again after a start, cut otherwise.
        ("a", "r1", 1, 5, 3),
        ("a", "r1", 3, 1, 0),
        ("a", "r1", 5, 2, 1),
        ("a", "r1", 7, 0, 0),
        // Numbers in between that are gone for good.
        ("a", "r1", 9, 1, 1),
        ("a", "r2", 1, 1, 1),
        ("b", "r1", 1, 1, 1),
        ("a", "r1", 9, 1, 0),
        ("a", "r1", u64::MAX, 2, 2),
        ("a", "r1", 1, 9, 0),
    ] {
        let got = report(name, run, first, count).await;
        assert_eq!(got, taken, "{name} {run} {first} {count}");
    }
    assert_eq!(tables.ledger_head().await.unwrap().number, 11);
}

#[tokio::test]
async fn each_condition_of_a_filter_holds() {
    let (_dir, tables) = tables().await;
    let session = SessionId::from_random([3; 16]);
    let mut in_session = exec(30, "bob");
    in_session.session = Some(session);
    let mut elsewhere = exec(40, "bob");
    elsewhere.node = None;
    let sign_in = event(20, "alice", Audited::SignIn { method: "password".into() });
    tables.append_ledger(&[exec(10, "alice"), sign_in, in_session, elsewhere]).await.unwrap();
    let none = LedgerFilter::default;
    for (filter, expected) in [
        (none(), vec![1, 2, 3, 4]),
        (LedgerFilter { newest_first: true, ..none() }, vec![4, 3, 2, 1]),
        (LedgerFilter { newest_first: true, limit: 2, ..none() }, vec![4, 3]),
        (LedgerFilter { after: Some(2), ..none() }, vec![3, 4]),
        (LedgerFilter { before: Some(3), newest_first: true, ..none() }, vec![2, 1]),
        (LedgerFilter { since: Some(Time(20)), until: Some(Time(40)), ..none() }, vec![2, 3]),
        (LedgerFilter { user: Some(user("alice")), ..none() }, vec![1, 2]),
        (LedgerFilter { node: Some(node("web-01")), ..none() }, vec![1, 2, 3]),
        (LedgerFilter { session: Some(session), ..none() }, vec![3]),
        (LedgerFilter { word: Some("session.".into()), ..none() }, vec![1, 3, 4]),
        (LedgerFilter { word: Some("%".into()), ..none() }, vec![]),
    ] {
        let rows = tables.list_ledger(&filter).await.unwrap();
        let numbers: Vec<_> = rows.iter().map(|row| row.number).collect();
        assert_eq!(numbers, expected, "{filter:?}");
    }
}

#[tokio::test]
async fn a_page_of_long_events_is_short_and_all_pages_are_all() {
    let (_dir, tables) = tables().await;
    let long = |time| event(time, "alice", Audited::Exec { command: "x".repeat(EVENT_BYTES) });
    for time in 0..20 {
        tables.append_ledger(&[long(time), exec(time, "alice")]).await.unwrap();
    }
    for newest_first in [false, true] {
        let mut filter = LedgerFilter { limit: 1000, newest_first, ..LedgerFilter::default() };
        let (mut numbers, mut pages) = (Vec::new(), 0);
        loop {
            let page = tables.list_ledger(&filter).await.unwrap();
            let Some(last) = page.last() else { break };
            let bytes: usize = page.iter().map(|row| row.event.len()).sum();
            assert!(bytes < LEDGER_PAGE_BYTES + 2 * EVENT_BYTES, "{bytes}");
            match newest_first {
                true => filter.before = Some(last.number),
                false => filter.after = Some(last.number),
            }
            numbers.extend(page.iter().map(|row| row.number));
            pages += 1;
        }
        if newest_first {
            numbers.reverse();
        }
        assert_eq!(numbers, (1..=40).collect::<Vec<_>>());
        assert_eq!(pages, 3);
    }
}

#[tokio::test]
async fn a_follower_is_woken_by_what_is_appended() {
    let (_dir, tables) = tables().await;
    let mut told = tables.watch_ledger();
    tables.append_ledger(&[exec(1, "alice")]).await.unwrap();
    told.changed().await.unwrap();
    assert_eq!(*told.borrow_and_update(), 1);
    tables.append_ledger(&[]).await.unwrap();
    assert!(!told.has_changed().unwrap());
}

#[tokio::test]
async fn a_database_that_was_full_goes_on_when_there_is_room() {
    let (_dir, tables) = tables().await;
    tables.append_ledger(&[exec(1, "alice")]).await.unwrap();
    // What a full disk makes SQLite say, without one.
    let allow = async |pages: i64| {
        let text = format!("PRAGMA max_page_count = {pages}");
        sqlx::query(sqlx::AssertSqlSafe(text)).execute(&tables.write).await.unwrap();
    };
    let count = sqlx::query_scalar("PRAGMA page_count").fetch_one(&tables.write).await;
    let pages: i64 = count.unwrap();
    let long = "x".repeat(40_000);
    for (text, run) in [("short", long.as_str()), (long.as_str(), "short")] {
        allow(pages + 2).await;
        let before = tables.ledger_head().await.unwrap().number;
        let events = [event(2, "alice", Audited::Exec { command: text.to_owned() })];
        let report = async || tables.append_report(&node("a"), run, 1, &events, Time(5)).await;
        let error = report().await.unwrap_err();
        assert!(crate::disk::is_full(&error), "{error:?}");
        assert_eq!(tables.ledger_head().await.unwrap().number, before);
        allow(1 << 30).await;
        assert_eq!(report().await.unwrap(), 1);
    }
    assert_eq!(tables.ledger_head().await.unwrap().number, 3);
}

//! The ledger: what stands in it, and that nothing can be taken from it unseen.

use super::house::{House, add, refused};
use crate::ledger::{Broken, event};
use crate::parts::admit;
use ed25519_dalek::{Signature, VerifyingKey};
use model::audit::Audited;
use model::limit::{DENIALS_TOLD, REPORT_BYTES};
use model::role::RecordingPolicy;
use model::{NodeName, SessionId};
use wire::Fault;
use wire::audit::{LedgerHead, LedgerRow, ListAudit, ReadLedgerHead};
use wire::node::{News, Report};
use wire::people::{ListRoles, ListUsers, SetRole};

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_matters_stands_in_the_ledger_and_its_head_is_signed() {
    let house = House::start().await;
    let admin = house.admin().await;
    let plain = house.person(&admin, "plain", &[]).await;
    let _ = house.sign_in("plain", "wrong password").await.map(drop);
    assert_eq!(refused(&plain.client, &ListUsers {}).await.0, Fault::Denied);
    house.node("web-01").await;
    let rows = admin.client.call(&ListAudit::default()).await.unwrap();
    let words: Vec<_> = rows.iter().filter_map(|row| row.parse()).map(|e| e.what.word()).collect();
    assert_eq!(
        words,
        [
            "auth.start",
            "user.sign_up",
            "certificate.issue",
            "user.sign_in",
            "user.invite",
            "user.sign_up",
            "certificate.issue",
            "user.sign_in",
            "user.sign_in_failed",
            "access.denied",
            "certificate.issue",
            "node.join"
        ]
    );
    let denied = rows.iter().find(|row| row.code == "S4000W").unwrap().parse().unwrap();
    assert_eq!(denied.user, Some(super::house::user("plain")));
    assert_eq!(denied.address.as_deref(), Some("127.0.0.1"));
    let Audited::Denied { why, .. } = denied.what else { panic!() };
    assert!(why.contains("users"), "the rule that is missing: {why}");
    let text = serde_json::to_string(&rows).unwrap();
    assert!(!text.contains(super::house::PASSWORD), "no secrets");

    let mut hash = [0; 32];
    for row in &rows {
        hash = store::tables::chain(&hash, row.number, &row.event);
        assert_eq!(row.hash, crate::secret::hex(&hash));
    }
    let head = admin.client.call(&ReadLedgerHead {}).await.unwrap();
    assert_eq!((head.number, head.hash), (rows.len() as u64, hash));
    let key = VerifyingKey::from_bytes(&head.key).unwrap();
    let statement = LedgerHead::statement(head.number, &head.hash, head.time);
    let signature = Signature::from_bytes(&head.signature.into());
    key.verify_strict(&statement, &signature).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn following_gives_what_was_and_what_comes_until_the_right_is_gone() {
    let house = House::start().await;
    let admin = house.admin().await;
    let bob = house.person(&admin, "bob", &["admin"]).await;
    let mut lines = bob.client.lines::<LedgerRow>("/v1/audit/follow?after=3").await.unwrap();
    for number in 4..9 {
        assert_eq!(lines.next().await.unwrap().map(|row| row.number), Some(number));
    }
    admin.client.call(&add("carol", &[])).await.unwrap();
    let row = lines.next().await.unwrap().unwrap();
    assert_eq!(row.parse().unwrap().what.word(), "user.invite");
    admin.client.call(&add("bob", &["access"])).await.unwrap();
    assert!(
        lines.next().await.is_err(),
        "bob is no admin any more, and sees that this was not all"
    );
    let mut lines = admin.client.lines::<LedgerRow>("/v1/audit/follow?after=1000").await.unwrap();
    let (_dir, ended) = tokio::join!(house.stop(), lines.next());
    assert!(ended.is_err() || ended.is_ok_and(|row| row.is_none()), "the stream ends with auth");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_is_taken_once_and_only_of_the_reporter() {
    let house = House::start().await;
    let admin = house.admin().await;
    let web = house.node("web-01").await;
    let mut exec = event(Audited::Exec { command: "ls".into() });
    exec.node = "db-01".parse().ok();
    let report = |first, events| Report { first, run: "0".repeat(32), events };
    for _ in 0..3 {
        web.client.call(&report(1, vec![exec.clone()])).await.unwrap();
    }
    web.client.call(&report(2, vec![])).await.unwrap();
    let asked = ListAudit { word: Some("session.".into()), ..ListAudit::default() };
    let rows = admin.client.call(&asked).await.unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].parse().unwrap().node, Some(web.name.clone()));
    // What is auth's to say is not taken, and what stands beside it is: else nothing behind it would ever arrive.
    let forged = event(Audited::SignIn { method: "forged".into() });
    web.client.call(&report(2, vec![forged, exec.clone()])).await.unwrap();
    assert_eq!(admin.client.call(&asked).await.unwrap().len(), 2);
    let all = admin.client.call(&ListAudit::default()).await.unwrap();
    let before = ListAudit { before: Some(3), newest_first: true, ..ListAudit::default() };
    let numbers = admin.client.call(&before).await.unwrap();
    assert_eq!(numbers.iter().map(|row| row.number).collect::<Vec<_>>(), [2, 1]);
    let all: Vec<_> = all.iter().map(|row| row.parse().unwrap().what).collect();
    assert!(!all.contains(&Audited::SignIn { method: "forged".into() }));
    let why = "web-01 reported user.sign_in, which is auth's to say".to_owned();
    assert!(all.contains(&Audited::Denied { action: "report".into(), why }), "{all:?}");
    let odd = Report { first: 4, run: "../..".into(), events: vec![] };
    assert_eq!(refused(&web.client, &odd).await.0, Fault::Malformed);
    assert_eq!(refused(&web.client, &report(0, vec![exec])).await.0, Fault::Malformed);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_denied_without_end_is_counted_in_the_ledger_beyond_a_bound() {
    let house = House::start().await;
    let admin = house.admin().await;
    let plain = house.person(&admin, "plain", &[]).await;
    let other = house.person(&admin, "other", &[]).await;
    for _ in 0..DENIALS_TOLD + 3 {
        assert_eq!(refused(&plain.client, &ListUsers {}).await.0, Fault::Denied);
    }
    assert_eq!(refused(&other.client, &ListUsers {}).await.0, Fault::Denied);
    let house = house.restart().await;
    let admin = house.sign_in("root-admin", super::house::PASSWORD).await.unwrap();
    let asked = ListAudit { word: Some("access.".into()), limit: u32::MAX, ..ListAudit::default() };
    let rows = admin.client.call(&asked).await.unwrap();
    let of = |name: &str| {
        let who = Some(super::house::user(name));
        rows.iter().map(|row| row.parse().unwrap()).filter(move |event| event.user == who)
    };
    let (denied, counted): (Vec<_>, Vec<_>) =
        of("plain").map(|event| event.what).partition(|it| matches!(it, Audited::Denied { .. }));
    assert_eq!(denied.len() as u64, DENIALS_TOLD);
    let [Audited::DenialsNotListed { route, count: 3 }] = &*counted else { panic!("{counted:?}") };
    assert!(route.contains("users"), "{route}");
    assert_eq!(of("other").count(), 1);
}

#[tokio::test]
async fn a_node_that_reports_without_end_waits_and_the_ledger_says_so_once() {
    let dir = tempfile::tempdir().unwrap();
    let (auth, _, _) = crate::auth::Auth::open(&super::house::config(&dir)).await.unwrap();
    let [web, db] = ["web-01", "db-01"].map(|name| name.parse::<NodeName>().unwrap());
    admit(&auth, &web).unwrap();
    auth.reports().draw(&web, 2 * REPORT_BYTES.0, crate::clock::tick());
    for told in [true, false] {
        let refusal = admit(&auth, &web).unwrap_err();
        assert_eq!(refusal.fault(), Fault::TooMany);
        assert!(refusal.fault().may_pass(), "it keeps them, and comes again");
        let why = "web-01 reports more than 1048576 bytes a second: the rest waits";
        assert_eq!(refusal.to_audit(), told.then_some(("report", why)));
    }
    admit(&auth, &db).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_hear_of_changed_roles_at_once() {
    let house = House::start().await;
    let admin = house.admin().await;
    let web = house.node("web-01").await;
    let mut news = web.client.lines::<News>("/v1/node/news").await.unwrap();
    let first = news.next().await.unwrap().unwrap();
    let before = first.roles.unwrap();
    assert_eq!(first.user_authority, admin.facts().user_authority);
    let mut role = admin.client.call(&ListRoles {}).await.unwrap().remove(0);
    role.options.record = Some(RecordingPolicy::Strict);
    admin.client.call(&SetRole { role: role.clone() }).await.unwrap();
    let next = tokio::time::timeout(std::time::Duration::from_secs(2), news.next()).await;
    let after = next.unwrap().unwrap().unwrap().roles.unwrap();
    assert!(after.rev > before.rev);
    assert_eq!(after.roles[&role.name], role);
}

/// Somebody with the file, but without the database's own guards, changes the second row of three in place: what stands
/// there as `found`. Answers what the next start makes of it.
async fn check_altered(found: &str, put: &str) -> Result<u64, Broken> {
    assert_eq!(found.len(), put.len(), "in place");
    let dir = tempfile::tempdir().unwrap();
    let (auth, _, _) = crate::auth::Auth::open(&super::house::config(&dir)).await.unwrap();
    for command in ["one", "two", "three"] {
        let mut exec = event(Audited::Exec { command: command.into() });
        exec.user = Some(super::house::user("alice"));
        exec.node = "web-01".parse().ok();
        exec.session = Some(SessionId::from_random([7; 16]));
        auth.ledger.write(&[exec]).await.unwrap();
    }
    assert_eq!(auth.ledger.check().await.unwrap(), Ok(3));
    auth.tables.close().await;
    let path = dir.path().join("auth/scry.db");
    let mut bytes = std::fs::read(&path).unwrap();
    let at = bytes.windows(found.len()).position(|part| part == found.as_bytes()).unwrap();
    bytes[at..at + put.len()].copy_from_slice(put.as_bytes());
    std::fs::write(&path, bytes).unwrap();
    let (auth, _, _) = crate::auth::Auth::open(&super::house::config(&dir)).await.unwrap();
    auth.ledger.check().await.unwrap()
}

#[tokio::test]
async fn a_row_that_was_altered_is_found() {
    assert_eq!(check_altered("\"two\"", "\"owt\"").await, Err(Broken { row: 2 }));
}

/// What filters look at stands beside the event, where the chain does not reach: in the file, behind the event's text.
#[tokio::test]
async fn a_row_that_was_altered_only_beside_its_event_is_found() {
    let columns = |code: &str, word: &str, user: &str, node: &str, session: &str| {
        format!("\"two\"}}{code}{word}{user}{node}{session}")
    };
    let session = SessionId::from_random([7; 16]).to_string().replace('-', "");
    let other = format!("f{}", &session[1..]);
    let found = columns("S3011I", "session.exec", "alice", "web-01", &session);
    assert_eq!(check_altered(&found, &found).await, Ok(3), "they stand there, and fit");
    for put in [
        columns("S3011W", "session.exec", "alice", "web-01", &session),
        columns("S3011I", "session.exeC", "alice", "web-01", &session),
        columns("S3011I", "session.exec", "bobby", "web-01", &session),
        columns("S3011I", "session.exec", "alice", "web-02", &session),
        columns("S3011I", "session.exec", "alice", "web-01", &other),
    ] {
        assert_eq!(check_altered(&found, &put).await, Err(Broken { row: 2 }), "{put}");
    }
}

#[tokio::test]
async fn a_database_that_was_put_back_to_an_earlier_day_does_not_fit_the_kept_head() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("auth/scry.db");
    let open = async || crate::auth::Auth::open(&super::house::config(&dir)).await.unwrap().0;
    let exec = |command: &str| event(Audited::Exec { command: command.into() });
    let auth = open().await;
    auth.ledger.write(&[exec("one")]).await.unwrap();
    auth.tables.close().await;
    let earlier = std::fs::read(&path).unwrap();
    let auth = open().await;
    auth.ledger.write(&[exec("two"), exec("three")]).await.unwrap();
    auth.ledger.log_head().await;
    assert_eq!(auth.ledger.check().await.unwrap(), Ok(3));
    auth.tables.close().await;
    std::fs::write(&path, earlier).unwrap();
    let auth = open().await;
    assert_eq!(auth.ledger.check().await.unwrap(), Err(Broken { row: 2 }));
    auth.ledger.write(&[exec("four"), exec("five")]).await.unwrap();
    assert_eq!(auth.ledger.check().await.unwrap(), Err(Broken { row: 3 }));
}

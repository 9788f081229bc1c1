//! Locks: who may make them, what they shut at auth, and that nobody shuts out the last who could lift them.

use super::house::{House, Node, PASSWORD, Person, add, refused, user};
use crate::auth::Auth;
use link::http::Client;
use model::{Lock, LockId, LockTarget, SessionId};
use wire::Fault;
use wire::access::Explain;
use wire::audit::ListAudit;
use wire::lock::{AddLock, ListLocks, RemoveLock};
use wire::node::{ListNodes, News};
use wire::people::RemoveUser;

fn on(kind: &str, name: &str) -> AddLock {
    let target = LockTarget::from_parts(kind, name).unwrap();
    AddLock { target, reason: "lost laptop".parse().unwrap(), life_ms: None, force: false }
}

async fn lock(by: &Person, kind: &str, name: &str) -> Lock {
    by.client.call(&on(kind, name)).await.unwrap()
}

async fn unlock(by: &Person, lock: &Lock) {
    by.client.call(&RemoveLock { lock: lock.id }).await.unwrap();
}

/// The next line of news that holds roles.
async fn told(lines: &mut link::http::Lines<News>) -> model::role::RoleSet {
    loop {
        let news = lines.next().await.unwrap().unwrap();
        if let Some(roles) = news.roles {
            return roles;
        }
    }
}

async fn listen(node: &Node) -> link::http::Lines<News> {
    node.client.lines::<News>("/v1/node/news").await.unwrap()
}

async fn words(admin: &Person, word: &str) -> Vec<serde_json::Value> {
    let call = ListAudit { word: Some(word.to_owned()), limit: 100, ..ListAudit::default() };
    let rows = admin.client.call(&call).await.unwrap();
    rows.into_iter().map(|row| serde_json::from_str(&row.event).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_person_signs_in_no_more_asks_nothing_and_is_back_when_the_lock_is_lifted() {
    let house = House::start().await;
    let admin = house.admin().await;
    let bob = house.person(&admin, "bob", &["access"]).await;
    for (kind, name) in [("user", "bob"), ("role", "access")] {
        let lock = lock(&admin, kind, name).await;
        assert_eq!(admin.client.call(&ListLocks {}).await.unwrap(), std::slice::from_ref(&lock));
        let (fault, text) = refused(&bob.client, &ListNodes {}).await;
        assert_eq!(fault, Fault::Denied);
        assert!(text.contains(&format!("lock {}", lock.id)) && !text.contains("laptop"), "{text}");
        let text = house.sign_in("bob", PASSWORD).await.map(drop).unwrap_err().to_string();
        assert!(text.contains("lock") && !text.contains("laptop"), "{text}");
        // Nobody learns of a lock without the password.
        let text = house.sign_in("bob", "wrong password").await.map(drop).unwrap_err().to_string();
        assert!(!text.contains("lock"), "{text}");
        unlock(&admin, &lock).await;
        bob.client.call(&ListNodes {}).await.unwrap();
        house.sign_in("bob", PASSWORD).await.unwrap();
    }
    assert_eq!(refused(&admin.client, &RemoveLock { lock: LockId(1) }).await.0, Fault::NotFound);
    let made = words(&admin, "lock.create").await;
    assert_eq!(made.len(), 2);
    assert_eq!(
        (&made[0]["target"], &made[0]["reason"]),
        (&"user bob".into(), &"lost laptop".into())
    );
    assert_eq!(words(&admin, "lock.remove").await.len(), 2);
    let failed = words(&admin, "user.sign_in_failed").await;
    let named = |event: &&serde_json::Value| event["why"].as_str().unwrap().contains("lost laptop");
    assert_eq!(failed.iter().filter(named).count(), 2, "{failed:#?}");
    assert!(failed.iter().all(|event| event["user"] == "bob"), "{failed:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_shuts_out_the_last_who_could_lift_the_lock_nor_oneself_by_accident() {
    let house = House::start().await;
    let admin = house.admin().await;
    let says = async |by: &Client, call: AddLock, word: &str| {
        let (fault, text) = refused(by, &call).await;
        assert_eq!(fault, Fault::Conflict, "{text}");
        assert!(text.contains(word), "{text}");
    };
    for (kind, name) in [("user", "root-admin"), ("role", "admin")] {
        for force in [false, true] {
            says(&admin.client, AddLock { force, ..on(kind, name) }, "every admin").await;
        }
    }
    let carol = house.person(&admin, "carol", &["admin"]).await;
    says(&admin.client, on("user", "root-admin"), "--force").await;
    says(&admin.client, AddLock { force: true, ..on("role", "admin") }, "every admin").await;
    // One admin locked, by themself even, the other one is the last: also for every other way out.
    let meant = AddLock { force: true, life_ms: Some(3_600_000), ..on("user", "root-admin") };
    let lock = admin.client.call(&meant).await.unwrap();
    assert_eq!(refused(&admin.client, &ListLocks {}).await.0, Fault::Denied);
    says(&carol.client, AddLock { force: true, ..on("user", "carol") }, "every admin").await;
    assert_eq!(
        refused(&carol.client, &RemoveUser { user: user("carol") }).await.0,
        Fault::Conflict
    );
    assert_eq!(refused(&carol.client, &add("carol", &["access"])).await.0, Fault::Conflict);
    unlock(&carol, &lock).await;
    admin.client.call(&ListLocks {}).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_on_nothing_is_refused_and_so_is_a_reason_that_is_no_plain_line() {
    let house = House::start().await;
    let admin = house.admin().await;
    let session = SessionId::from_random([9; 16]).to_string();
    for (kind, name) in
        [("user", "bbo"), ("node", "web-02"), ("role", "acess"), ("session", session.as_str())]
    {
        let (fault, text) = refused(&admin.client, &on(kind, name)).await;
        assert_eq!(fault, Fault::NotFound);
        assert!(text.contains(name) && text.contains("nothing was locked"), "{text}");
    }
    lock(&admin, "login", "postgres").await;
    for reason in ["a\nb".to_owned(), "\u{1b}[2J".to_owned(), "x".repeat(501)] {
        let body = serde_json::json!({ "target": { "login": "root" }, "reason": reason });
        let answer =
            admin.client.post_bytes::<Lock>("/v1/locks/add", body.to_string().into()).await;
        assert_eq!(super::house::fault(answer), Fault::Malformed, "{reason:?}");
    }
    let none = AddLock { life_ms: Some(0), ..on("login", "root") };
    assert_eq!(refused(&admin.client, &none).await.0, Fault::Malformed);
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_hear_at_once_of_locks_and_of_accounts_that_were_changed_or_removed() {
    let house = House::start().await;
    let admin = house.admin().await;
    let web = house.node("web-01").await;
    let bob = house.person(&admin, "bob", &["access"]).await;
    let mut lines = listen(&web).await;
    assert!(told(&mut lines).await.locks.is_empty());
    let on_bob = lock(&admin, "user", "bob").await;
    assert_eq!(told(&mut lines).await.locks, std::slice::from_ref(&on_bob));
    unlock(&admin, &on_bob).await;
    assert!(told(&mut lines).await.locks.is_empty());
    let corrected = |set: &model::role::RoleSet| {
        let correction = set.corrections[&user("bob")].clone();
        correction.account.map(|account| account.roles.len())
    };
    admin.client.call(&add("bob", &[])).await.unwrap();
    assert_eq!(corrected(&told(&mut lines).await), Some(0));
    admin.client.call(&RemoveUser { user: user("bob") }).await.unwrap();
    assert_eq!(corrected(&told(&mut lines).await), None);
    // Another bob: what the first one still holds is void, at auth too. Certificates begin on whole seconds.
    tokio::time::sleep(std::time::Duration::from_millis(2100)).await;
    let other = house.person(&admin, "bob", &["access"]).await;
    other.client.call(&ListNodes {}).await.unwrap();
    assert_eq!(refused(&bob.client, &ListNodes {}).await.0, Fault::Unauthenticated);
    let void = told(&mut lines).await.corrections[&user("bob")].void;
    let serial = |person: &Person| {
        let text = &person.credentials.ssh_certificate;
        ssh_key::Certificate::from_openssh(text).unwrap().serial()
    };
    assert!(serial(&bob) <= void && void < serial(&other), "{} {void}", serial(&bob));
    // A lock is seen by whoever asks why.
    lock(&admin, "node", "web-01").await;
    let (who, login, node) = (user("bob"), "bob".parse().unwrap(), "web-01".parse().unwrap());
    let why = admin
        .client
        .call(&Explain { user: who, login, node, join: None, role: None })
        .await
        .unwrap();
    assert!(!why.allowed && why.because.contains("node web-01"), "{why:?}");
    assert!(other.client.call(&ListNodes {}).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_whose_time_is_over_shuts_nothing_and_is_swept_into_the_ledger() {
    let house = House::start().await;
    let admin = house.admin().await;
    let bob = house.person(&admin, "bob", &["access"]).await;
    admin.client.call(&AddLock { life_ms: Some(1500), ..on("user", "bob") }).await.unwrap();
    assert_eq!(refused(&bob.client, &ListNodes {}).await.0, Fault::Denied);
    while bob.client.call(&ListNodes {}).await.is_err() {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(admin.client.call(&ListLocks {}).await.unwrap(), []);
    let dir = house.stop().await;
    let (auth, _, _) = Auth::open(&super::house::config(&dir)).await.unwrap();
    assert_eq!(auth.tables.roles().await.unwrap().locks.len(), 1, "still in the table");
    crate::locks::sweep(&auth).await;
    assert!(auth.tables.roles().await.unwrap().locks.is_empty());
    drop(auth);
    let house = House::in_dir(dir).await;
    let admin = house.sign_in("root-admin", PASSWORD).await.unwrap();
    assert_eq!(words(&admin, "lock.expire").await[0]["target"], "user bob");
}

//! Tests of locks, and of what is noted of accounts that were changed or removed.

use super::*;
use model::limit::CORRECTION_MS;
use model::lock::Account;
use model::{Correction, LockId, LockTarget};

fn new(target: LockTarget, expires: Option<i64>) -> NewLock {
    NewLock {
        target,
        reason: "lost laptop".parse().unwrap(),
        creator: user("carol"),
        created: Time(5),
        expires: expires.map(Time),
    }
}

#[tokio::test]
async fn a_lock_is_kept_told_lifted_and_its_number_never_used_again() {
    let (dir, tables) = tables().await;
    let mut told = tables.watch_roles();
    let on_bob = new(LockTarget::User(user("bob")), None);
    let first = tables.put_lock(on_bob.clone(), 2).await.unwrap().unwrap();
    assert_eq!(first, on_bob.clone().numbered(LockId(1)));
    assert!(told.has_changed().unwrap(), "whoever listens to the roles hears of locks");
    told.borrow_and_update();
    let on_web = new(LockTarget::Node(node("web-01")), Some(100));
    tables.put_lock(on_web.clone(), 2).await.unwrap().unwrap();
    assert_eq!(tables.put_lock(on_web.clone(), 2).await.unwrap(), None, "two at most");
    let tables = reopened(&dir, tables).await;
    let set = tables.roles().await.unwrap();
    let second = on_web.clone().numbered(LockId(2));
    assert_eq!(set.locks, [first.clone(), second.clone()]);
    assert_eq!(tables.remove_lock(LockId(1)).await.unwrap(), Some(first));
    assert_eq!(tables.remove_lock(LockId(1)).await.unwrap(), None);
    assert!(tables.roles().await.unwrap().rev > set.rev);
    assert_eq!(tables.remove_expired_locks(Time(99)).await.unwrap(), []);
    assert_eq!(tables.remove_expired_locks(Time(100)).await.unwrap(), [second]);
    assert_eq!(tables.put_lock(on_web, 2).await.unwrap().unwrap().id, LockId(3));
}

#[tokio::test]
async fn what_became_of_an_account_is_told_for_as_long_as_its_certificates_may_live() {
    let (_dir, tables) = tables().await;
    let (bob, roles) = (user("bob"), ["access".parse().unwrap()]);
    let put = async |roles: &[model::RoleName]| {
        tables.put_user(&bob, roles, &[], Time(1)).await.unwrap();
    };
    let noted = async || tables.roles().await.unwrap().corrections.get(&bob).cloned();
    let holds = |roles: &[model::RoleName], void| {
        Some(Correction { account: Some(Account { roles: roles.to_vec(), logins: vec![] }), void })
    };
    put(&roles).await;
    put(&[]).await;
    assert_eq!(noted().await, None, "nobody has a certificate before they have signed up");
    tables.invite("code", &bob, Time(9)).await.unwrap();
    tables.sign_up("code", "hash", Time(2)).await.unwrap();
    let rev = tables.roles().await.unwrap().rev;
    put(&[]).await;
    assert_eq!((noted().await, tables.roles().await.unwrap().rev), (None, rev), "nothing changed");
    put(&roles).await;
    assert_eq!(noted().await, holds(&roles, 0));
    assert!(tables.roles().await.unwrap().rev > rev);

    tables.next_serial().await.unwrap();
    let serial = tables.next_serial().await.unwrap();
    assert_eq!(tables.remove_user(&bob, Time(3), |_| false).await.unwrap(), Removal::Refused);
    assert_eq!(noted().await, holds(&roles, 0));
    assert_eq!(tables.remove_user(&bob, Time(3), |_| true).await.unwrap(), Removal::Done);
    assert_eq!(noted().await, Some(Correction { account: None, void: 0 }));
    // Another bob: the first one's certificates stay void, whatever the second one's are worth.
    put(&roles).await;
    assert_eq!(noted().await, holds(&roles, serial));
    tables.next_serial().await.unwrap();
    put(&roles).await;
    assert_eq!(noted().await, holds(&roles, serial));

    tables.sweep(Time(1 + CORRECTION_MS)).await.unwrap();
    assert!(noted().await.is_some());
    tables.sweep(Time(2 + CORRECTION_MS)).await.unwrap();
    assert_eq!(noted().await, None);
}

#[tokio::test]
async fn what_stands_of_an_earlier_account_of_the_name_follows_the_one_that_is_there() {
    let (_dir, tables) = tables().await;
    let bob = user("bob");
    let roles = |name: &str| [name.parse::<model::RoleName>().unwrap()];
    let noted = async || tables.roles().await.unwrap().corrections.get(&bob).cloned();
    let held = async || noted().await.unwrap().account.map(|account| account.roles);
    tables.put_user(&bob, &roles("access"), &[], Time(1)).await.unwrap();
    tables.invite("code", &bob, Time(9)).await.unwrap();
    tables.sign_up("code", "hash", Time(2)).await.unwrap();
    tables.remove_user(&bob, Time(3), |_| true).await.unwrap();
    // Another bob, made an admin by a slip of the pen, and put right before he signs up.
    tables.put_user(&bob, &roles("admin"), &[], Time(4)).await.unwrap();
    assert_eq!(held().await, Some(roles("admin").to_vec()));
    tables.put_user(&bob, &roles("access"), &[], Time(5)).await.unwrap();
    assert_eq!(held().await, Some(roles("access").to_vec()));
    // And one who is removed before he signs up is gone as well.
    tables.remove_user(&bob, Time(6), |_| true).await.unwrap();
    assert_eq!(held().await, None);
    tables.put_user(&bob, &roles("admin"), &[], Time(7)).await.unwrap();
    assert_eq!(held().await, Some(roles("admin").to_vec()));
}

#[tokio::test]
async fn an_older_database_gives_the_right_over_locks_to_those_who_administer_users() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("scry.db");
    let options = SqliteConnectOptions::new().filename(&path).create_if_missing(true);
    let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await.unwrap();
    migrator().run_to(2, &pool).await.unwrap();
    for (name, admin) in
        [("admin", r#"["users","roles"]"#), ("auditor", r#"["audit"]"#), ("dev", "[]")]
    {
        let spec = format!(r#"{{"name":"{name}","allow":{{"admin":{admin}}}}}"#);
        let put = sqlx::query("INSERT INTO role (name, spec) VALUES ($1, $2)");
        put.bind(name).bind(spec).execute(&pool).await.unwrap();
    }
    pool.close().await;
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let set = Tables::open(&path).await.unwrap().roles().await.unwrap();
    let may = |name: &str| {
        let role = &set.roles[&name.parse::<model::RoleName>().unwrap()];
        role.allow.admin.contains(&model::role::AdminRight::Locks)
    };
    assert_eq!([may("admin"), may("auditor"), may("dev")], [true, false, false]);
}

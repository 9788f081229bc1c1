//! Tests of users, invitations, failed sign-ins and tickets.

use super::*;
use model::SessionId;

#[tokio::test]
async fn a_user_is_invited_signs_up_and_signs_in() {
    let (dir, tables) = tables().await;
    let alice = user("alice");
    let roles = ["access".parse().unwrap()];
    let logins = ["root".parse().unwrap(), "alice".parse().unwrap()];
    tables.put_user(&alice, &roles, &logins, Time(1)).await.unwrap();
    tables.invite("code", &alice, Time(100)).await.unwrap();
    let invitation = tables.invitation("code", Time(100)).await.unwrap().unwrap();
    assert_eq!(invitation, Invitation { user: alice.clone(), expires: Time(100) });
    assert_eq!(tables.sign_up("code", "$argon2id$x", Time(50)).await.unwrap(), Some(alice.clone()));
    tables.signed_in(&alice, Time(60)).await.unwrap();
    // Changing roles keeps password and times.
    tables.put_user(&alice, &[], &logins, Time(70)).await.unwrap();
    let tables = reopened(&dir, tables).await;
    let expected = User {
        name: alice.clone(),
        roles: Vec::new(),
        logins: logins.to_vec(),
        password_hash: Some("$argon2id$x".into()),
        created: Time(1),
        last_sign_in: Some(Time(60)),
    };
    assert_eq!(tables.user(&alice).await.unwrap(), Some(expected.clone()));
    assert_eq!(tables.users().await.unwrap(), [expected]);
    assert_eq!(tables.user(&user("bob")).await.unwrap(), None);
}

#[tokio::test]
async fn an_invitation_that_is_unknown_expired_used_or_replaced_does_not_count() {
    let (_dir, tables) = tables().await;
    let alice = user("alice");
    assert!(tables.invite("x", &alice, Time(100)).await.is_err(), "no such user");
    tables.put_user(&alice, &[], &[], Time(1)).await.unwrap();
    tables.invite("old", &alice, Time(100)).await.unwrap();
    tables.invite("code", &alice, Time(100)).await.unwrap();
    for (code, now) in [("nonsense", 50), ("old", 50), ("code", 101)] {
        assert_eq!(tables.invitation(code, Time(now)).await.unwrap(), None, "{code}");
        assert_eq!(tables.sign_up(code, "hash", Time(now)).await.unwrap(), None, "{code}");
    }
    assert!(tables.sign_up("code", "first", Time(50)).await.unwrap().is_some());
    assert_eq!(tables.sign_up("code", "second", Time(50)).await.unwrap(), None);
    assert_eq!(tables.invitation("code", Time(50)).await.unwrap(), None);
    let hash = tables.user(&alice).await.unwrap().unwrap().password_hash;
    assert_eq!(hash.as_deref(), Some("first"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_twenty_who_take_up_one_invitation_at_once_one_succeeds() {
    let (_dir, tables) = tables().await;
    tables.put_user(&user("alice"), &[], &[], Time(1)).await.unwrap();
    tables.invite("code", &user("alice"), Time(100)).await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..20 {
        let tables = tables.clone();
        tasks.spawn(async move {
            let hash = n.to_string();
            tables.sign_up("code", &hash, Time(1)).await.unwrap().map(|_| hash)
        });
    }
    let winners: Vec<_> = tasks.join_all().await.into_iter().flatten().collect();
    assert_eq!(winners.len(), 1);
    let stored = tables.user(&user("alice")).await.unwrap().unwrap().password_hash;
    assert_eq!(stored.as_ref(), winners.first());
}

#[tokio::test]
async fn secrets_do_not_stand_in_the_file() {
    let (dir, tables) = tables().await;
    let secret = "correct-horse-battery-staple";
    tables.put_user(&user("alice"), &[], &[], Time(1)).await.unwrap();
    tables.invite(secret, &user("alice"), Time(100)).await.unwrap();
    let token = JoinToken {
        part: PartKind::Node,
        name: None,
        labels: model::role::Labels::new(),
        expires: Time(100),
    };
    assert!(tables.put_join_token(secret, &token, 1, Time(1)).await.unwrap());
    let id = SessionId::from_random([1; 16]);
    tables.put_ticket(secret, &user("alice"), &id, Time(100)).await.unwrap();
    tables.close().await;
    for entry in std::fs::read_dir(dir.path().join("auth")).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()));
    }
}

#[tokio::test]
async fn a_user_is_removed_only_if_the_guard_agrees_to_the_rest() {
    let (_dir, tables) = tables().await;
    for name in ["alice", "bob"] {
        tables.put_user(&user(name), &[], &[], Time(1)).await.unwrap();
        tables.invite(name, &user(name), Time(100)).await.unwrap();
    }
    let some_left = |rest: &[User]| !rest.is_empty();
    assert_eq!(
        tables.remove_user(&user("eve"), Time(9), some_left).await.unwrap(),
        Removal::Missing
    );
    assert_eq!(tables.remove_user(&user("bob"), Time(9), some_left).await.unwrap(), Removal::Done);
    assert_eq!(
        tables.remove_user(&user("alice"), Time(9), some_left).await.unwrap(),
        Removal::Refused
    );
    assert_eq!(tables.users().await.unwrap().len(), 1);
    assert_eq!(tables.invitation("bob", Time(1)).await.unwrap(), None, "gone with its user");
}

#[tokio::test]
async fn failed_sign_ins_count_within_their_window_until_one_succeeds() {
    let (_dir, tables) = tables().await;
    let (alice, bob) = (user("alice"), user("bob"));
    for (time, expected) in [(10, 1), (20, 2), (30, 2)] {
        let since = Time(time - 10);
        assert_eq!(tables.note_failure(&alice, Time(time), since).await.unwrap(), expected);
    }
    assert_eq!(tables.failures(&alice, Time(0)).await.unwrap(), 3);
    assert_eq!(tables.failures(&bob, Time(0)).await.unwrap(), 0);
    tables.signed_in(&alice, Time(40)).await.unwrap();
    assert_eq!(tables.failures(&alice, Time(0)).await.unwrap(), 0);
}

#[tokio::test]
async fn a_ticket_opens_its_recording_until_it_expires() {
    let (_dir, tables) = tables().await;
    let id = SessionId::from_random([9; 16]);
    tables.put_ticket("ticket", &user("alice"), &id, Time(100)).await.unwrap();
    for _ in 0..2 {
        let opened = tables.ticket("ticket", Time(100)).await.unwrap();
        assert_eq!(opened, Some((user("alice"), id)));
    }
    assert_eq!(tables.ticket("ticket", Time(101)).await.unwrap(), None);
    assert_eq!(tables.ticket("other", Time(1)).await.unwrap(), None);
}

#[tokio::test]
async fn sweeping_removes_what_time_has_made_useless_and_nothing_else() {
    let (_dir, tables) = tables().await;
    let alice = user("alice");
    tables.put_user(&alice, &[], &[], Time(1)).await.unwrap();
    tables.invite("code", &alice, Time(1_000)).await.unwrap();
    tables.note_failure(&alice, Time(500), Time(0)).await.unwrap();
    tables.sweep(Time(1_000)).await.unwrap();
    assert!(tables.invitation("code", Time(900)).await.unwrap().is_some());
    assert_eq!(tables.failures(&alice, Time(0)).await.unwrap(), 1);
    tables.sweep(Time(limit::SIGN_IN_WINDOW_MS + 501)).await.unwrap();
    assert!(tables.invitation("code", Time(900)).await.unwrap().is_none());
    assert_eq!(tables.failures(&alice, Time(0)).await.unwrap(), 0);
    assert_eq!(tables.users().await.unwrap().len(), 1);
}

//! Signing up and in, users, roles, questions about access.

use super::house::{House, PASSWORD, add, fault, refused, ssh_key, user};
use crate::clock;
use model::role::{AdminRight, RecordingPolicy, Role, SeatRole};
use std::net::IpAddr;
use wire::Fault;
use wire::access::{Explain, Seat};
use wire::node::ListNodes;
use wire::people::{
    ListRoles, ListUsers, ReadCluster, ReadInvitation, RemoveRole, RemoveUser, SetRole, SignIn,
    SignUp,
};

#[tokio::test(flavor = "multi_thread")]
async fn the_first_admin_signs_up_and_in_and_the_certificate_says_who_it_is() {
    let house = House::start().await;
    let code = house.invitation.clone().unwrap();
    let nobody = house.client(None).await;
    let invitation = nobody.call(&ReadInvitation { code: code.clone() }).await.unwrap();
    assert_eq!((invitation.user, invitation.cluster.as_str()), (user("root-admin"), "lab"));
    let admin = house.admin().await;

    let text = &admin.credentials.ssh_certificate;
    let certificate = ssh_key::Certificate::from_openssh(text).unwrap();
    assert_eq!(certificate.public_key(), ssh_key(7).public_key().key_data());
    let authority = admin.facts().user_authority.iter();
    let authority: Vec<_> =
        authority.map(|key| ssh_key::PublicKey::from_openssh(key).unwrap()).collect();
    let client: Option<IpAddr> = None;
    let now = clock::now();
    let identity = policy::read_certificate(&certificate, "root", &authority, client, now).unwrap();
    assert_eq!(identity.user(), &user("root-admin"));
    assert!(identity.roles().contains(&"admin".parse().unwrap()));
    assert_eq!(identity.expires(), admin.credentials.expires);
    assert!(identity.expires() <= now.plus_ms(model::limit::USER_CERTIFICATE_MS));
    assert_eq!(admin.client.call(&ReadCluster {}).await.unwrap().name, "lab");

    let again = SignUp { code, password: "another password".into() };
    let (fault, text) = refused(&nobody, &again).await;
    assert_eq!(fault, Fault::NotFound);
    assert!(text.contains("ask for a new one"), "{text}");
    let house = house.restart().await;
    assert_eq!(house.invitation, None, "somebody has signed up");
    house.sign_in("root-admin", PASSWORD).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn while_nobody_has_signed_up_each_start_has_its_own_invitation() {
    let house = House::start().await;
    let first = house.invitation.clone().unwrap();
    let house = house.restart().await;
    let nobody = house.client(None).await;
    assert_ne!(house.invitation.as_ref(), Some(&first));
    let (fault, _) = refused(&nobody, &ReadInvitation { code: first }).await;
    assert_eq!(fault, Fault::NotFound);
    house.admin().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_password_is_not_set_and_the_invitation_stays() {
    let house = House::start().await;
    let code = house.invitation.clone().unwrap();
    let nobody = house.client(None).await;
    for (password, says) in
        [("short", "at least 10"), ("xx root-admin xx", "user name"), ("aaaaaaaaaaaa", "again")]
    {
        let call = SignUp { code: code.clone(), password: password.into() };
        let (fault, text) = refused(&nobody, &call).await;
        assert_eq!(fault, Fault::Malformed);
        assert!(text.contains(says), "{text}");
    }
    house.admin().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_and_an_unknown_name_sound_the_same_and_ten_are_enough() {
    let house = House::start().await;
    house.admin().await;
    let wrong = house.sign_in("root-admin", "wrong password").await.map(drop).unwrap_err();
    let unknown = house.sign_in("nobody-here", PASSWORD).await.map(drop).unwrap_err();
    assert_eq!(wrong.to_string(), unknown.to_string());
    assert_eq!(fault::<()>(Err(wrong)), Fault::Unauthenticated);
    house.sign_in("root-admin", PASSWORD).await.unwrap();
    let mut tries = tokio::task::JoinSet::new();
    let house = std::sync::Arc::new(house);
    for _ in 0..14 {
        let house = house.clone();
        tries.spawn(async move { fault(house.sign_in("root-admin", "no").await.map(drop)) });
    }
    let faults = tries.join_all().await;
    let counted = faults.iter().filter(|fault| **fault == Fault::Unauthenticated).count();
    assert_eq!(counted, 10, "{faults:?}");
    let refused = fault(house.sign_in("root-admin", PASSWORD).await.map(drop));
    assert_eq!(refused, Fault::TooMany, "even with the right password");
    assert_eq!(fault(house.sign_in("other", PASSWORD).await.map(drop)), Fault::Unauthenticated);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_cannot_be_certified_are_named() {
    let house = House::start().await;
    house.admin().await;
    let nobody = house.client(None).await;
    let good = link::tls::KeyRequest::make().unwrap().request.clone();
    let ssh = ssh_key(1).public_key().to_openssh().unwrap();
    for (ssh_key, tls_request, says) in [
        ("nonsense".to_owned(), good.clone(), "SSH public key"),
        (ssh.clone(), "nonsense".to_owned(), "request"),
        ("ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBHwf2HMM5TRXvo2SQJjsNkiDD5KqiiNjrGVv3UUh+mMT5RHxiRtOnlqvjhQtBq0VpmpCV/PwUdhOig4vkbqAcEc= x".to_owned(), good.clone(), "ed25519"),
    ] {
        let call = SignIn {
            user: user("root-admin"),
            password: PASSWORD.into(),
            ssh_key,
            tls_request,
            wanted_ms: Some(-5),
            second: None,
        };
        let (fault, text) = refused(&nobody, &call).await;
        assert_eq!(fault, Fault::Malformed, "{text}");
        assert!(text.contains(says), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_can_always_administer_the_cluster() {
    let house = House::start().await;
    let admin = house.admin().await;
    let me = user("root-admin");
    let conflict = |(fault, text): (Fault, String)| {
        assert_eq!(fault, Fault::Conflict);
        assert!(text.contains("admin"), "{text}");
    };
    conflict(refused(&admin.client, &RemoveUser { user: me.clone() }).await);
    conflict(refused(&admin.client, &add("root-admin", &["access"])).await);
    conflict(refused(&admin.client, &RemoveRole { role: "admin".parse().unwrap() }).await);
    let roles = admin.client.call(&ListRoles {}).await.unwrap();
    let mut role = roles.into_iter().find(|role| role.name.as_str() == "admin").unwrap();
    role.allow.admin.retain(|right| *right != AdminRight::Users);
    conflict(refused(&admin.client, &SetRole { role }).await);
    // One who was invited but has not signed up does not count.
    admin.client.call(&add("bob", &["admin"])).await.unwrap();
    conflict(refused(&admin.client, &RemoveUser { user: me.clone() }).await);

    let carol = house.person(&admin, "carol", &["admin"]).await;
    carol.client.call(&RemoveUser { user: me }).await.unwrap();
    let (fault, text) = refused(&admin.client, &ListUsers {}).await;
    assert_eq!(fault, Fault::Unauthenticated, "the certificate still counts, the account does not");
    assert!(text.contains("account"), "{text}");
    let users = carol.client.call(&ListUsers {}).await.unwrap();
    let names: Vec<_> = users.iter().map(|user| (user.user.as_str(), user.signed_up)).collect();
    assert_eq!(names, [("bob", false), ("carol", true)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_are_checked_kept_and_told() {
    let house = House::start().await;
    let admin = house.admin().await;
    let roles = admin.client.call(&ListRoles {}).await.unwrap();
    let mut role = roles.into_iter().find(|role| role.name.as_str() == "access").unwrap();
    role.name = "short".parse().unwrap();
    role.options.record = Some(RecordingPolicy::Strict);
    role.options.certificate_minutes = Some(5);
    admin.client.call(&SetRole { role: role.clone() }).await.unwrap();
    let (fault, text) = refused(&admin.client, &add("alice", &["shrot"])).await;
    assert_eq!(fault, Fault::Malformed);
    assert!(text.contains("short"), "{text}");
    let alice = house.person(&admin, "alice", &["access", "short"]).await;
    assert!(alice.credentials.expires <= clock::now().plus_ms(5 * 60_000));
    role.allow.logins.push("{usr}".into());
    assert_eq!(refused(&admin.client, &SetRole { role }).await.0, Fault::Malformed);
    admin.client.call(&RemoveRole { role: "short".parse().unwrap() }).await.unwrap();
    let gone = RemoveRole { role: "short".parse().unwrap() };
    assert_eq!(refused(&admin.client, &gone).await.0, Fault::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn people_see_the_nodes_they_can_reach_and_may_ask_why() {
    let house = House::start().await;
    let admin = house.admin().await;
    let alice = house.person(&admin, "alice", &["access"]).await;
    house.node("web-01").await;
    let nodes = alice.client.call(&ListNodes {}).await.unwrap();
    assert_eq!(nodes.len(), 1);
    assert_eq!(nodes[0].logins, ["alice"]);
    let ask = |who: &str, login: &str| Explain {
        user: user(who),
        login: login.parse().unwrap(),
        node: "web-01".parse().unwrap(),
        join: None,
        role: None,
    };
    assert!(alice.client.call(&ask("alice", "alice")).await.unwrap().allowed);
    let answer = alice.client.call(&ask("alice", "root")).await.unwrap();
    assert!(!answer.allowed && !answer.steps.is_empty(), "{answer:?}");
    assert_eq!(refused(&alice.client, &ask("root-admin", "root")).await.0, Fault::Denied);
    assert!(admin.client.call(&ask("root-admin", "root")).await.unwrap().allowed);
    let plain = house.person(&admin, "plain", &[]).await;
    assert!(plain.client.call(&ListNodes {}).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_is_asked_about_before_it_is_saved_and_nothing_of_it_counts() {
    let house = House::start().await;
    let admin = house.admin().await;
    let alice = house.person(&admin, "alice", &["access"]).await;
    let bob = house.person(&admin, "bob", &["access"]).await;
    house.node("web-01").await;
    let role = |json| -> Role { serde_json::from_value(json).unwrap() };
    let fresh = role(serde_json::json!({
        "name": "fresh",
        "allow": {
            "logins": ["root"],
            "nodes": { "*": ["*"] },
            "join": [{ "roles": ["access"], "seats": ["observer"] }],
        },
        "options": {
            "record": "strict",
            "four_eyes": [{ "name": "two", "roles": ["admin"], "files": "each" }],
        },
    }));
    let ask = |who: &str, login: &str, role: Option<&Role>| Explain {
        user: user(who),
        login: login.parse().unwrap(),
        node: "web-01".parse().unwrap(),
        join: None,
        role: role.cloned().map(Box::new),
    };
    let join = |who: &str, seat, owner: &str, role| Explain {
        join: Some(Seat { seat, owner: user(owner) }),
        ..ask(who, "alice", role)
    };
    let asks = async |question: Explain| admin.client.call(&question).await.unwrap();

    let before = asks(ask("bob", "root", None)).await;
    let with = asks(ask("bob", "root", Some(&fresh))).await;
    assert!(!before.allowed && with.allowed, "{before:?} {with:?}");
    let term = |name: &str| {
        let found = with.terms.iter().find(|(term, _)| term == name);
        found.map(|(_, value)| value.clone()).unwrap_or_default()
    };
    assert_eq!(term("recording"), "strict");
    let eyes = with.terms.last().unwrap();
    assert!(eyes.0.contains("four eyes") || eyes.1.contains("admin"), "{eyes:?}");

    // A seat in somebody's session.
    let seat = SeatRole::Observer;
    assert!(!asks(join("bob", seat, "alice", None)).await.allowed);
    assert!(asks(join("bob", seat, "alice", Some(&fresh))).await.allowed);
    assert!(!asks(join("bob", SeatRole::Peer, "alice", Some(&fresh))).await.allowed);
    assert!(
        !asks(join("bob", seat, "root-admin", Some(&fresh))).await.allowed,
        "not of that owner"
    );

    // One that is there is asked about as it would be, and a role that forbids counts beside all others.
    let denies = role(serde_json::json!({ "name": "access", "deny": { "logins": ["bob"] } }));
    assert!(asks(ask("bob", "bob", None)).await.allowed);
    assert!(!asks(ask("bob", "bob", Some(&denies))).await.allowed);
    assert!(
        !asks(ask("bob", "bob", Some(&Role { name: "other".parse().unwrap(), ..denies })))
            .await
            .allowed
    );

    // Nothing was saved, nobody got anything.
    assert!(!asks(ask("bob", "root", None)).await.allowed);
    assert!(asks(ask("bob", "bob", None)).await.allowed);
    assert!(
        !admin.client.call(&ListRoles {}).await.unwrap().iter().any(|one| one.name == fresh.name)
    );

    // What could not be saved is not asked about, and it needs the right over roles, also about oneself.
    let mut broken = fresh.clone();
    broken.allow.logins.push("{usr}".into());
    assert_eq!(
        refused(&admin.client, &ask("bob", "root", Some(&broken))).await.0,
        Fault::Malformed
    );
    assert_eq!(refused(&bob.client, &ask("bob", "root", Some(&fresh))).await.0, Fault::Denied);
    assert_eq!(refused(&bob.client, &join("bob", seat, "alice", None)).await.0, Fault::Denied);
    assert_eq!(
        refused(&admin.client, &join("bob", seat, "nobody", Some(&fresh))).await.0,
        Fault::NotFound
    );
    drop(alice);
}

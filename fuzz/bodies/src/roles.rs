//! Roles as people write them, and what is decided by them.

use model::role::{AdminRight, Forwarding, NodeFacts, RecordingAction, Role, RoleSet};
use model::{Login, Time, UserName};
use policy::Identity;
use std::fmt::Debug;

/// A role in TOML; the decisions by it that every user meets.
///
/// A role is read back from JSON as it was read from TOML. What is decided is what is explained, nobody gets in under
/// a name that stands in no role and no list, and everything ends.
pub fn roles(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(role) = toml::from_str::<Role>(text) else { return };
    let json = serde_json::to_string(&role).expect("a role is JSON");
    assert_eq!(serde_json::from_str::<Role>(&json).expect("its own JSON is a role"), role);
    let Ok(()) = policy::validate_role(&role) else { return };
    let now = Time(1_790_000_000_000);
    let user: UserName = name("alice");
    let who = Identity::of_account(
        user.clone(),
        vec![role.name.clone()],
        vec![name::<Login>("deploy")],
        now.plus_ms(60_000),
    );
    let named = role.allow.logins.clone();
    let roles = [(role.name.clone(), role)].into();
    let set = RoleSet { rev: 1, roles, ..RoleSet::default() };
    for labels in [vec![], vec![("env", "prod")], vec![("env", "dev"), ("team", "db")]] {
        let labels = labels.into_iter().map(|(key, value)| (key.into(), value.into())).collect();
        let node = NodeFacts { name: name("web-01"), labels };
        let mut logins = policy::logins_on(&set, &who, &node, now);
        logins.push(name("root"));
        for login in logins {
            let decided = policy::login(&set, &who, &node, &login, now);
            let told = policy::explain(&set, &who, &node, &login, now);
            assert_eq!(decided.is_ok(), told.allowed, "{login}: {}", told.because);
            let known = named.iter().any(|rule| rule == login.as_str() || rule.starts_with('{'));
            assert!(decided.is_err() || known, "{login} stands nowhere");
            for what in Forwarding::ALL {
                let forward = policy::forward(&set, &who, &node, &login, what, now);
                assert!(forward.is_err() || decided.is_ok(), "a forward without a login");
            }
        }
        for action in [RecordingAction::List, RecordingAction::Play] {
            let readable = policy::readable(&set, &who, action, now);
            for owner in [&user, &name("bob")] {
                let one = policy::recording(&set, &who, action, owner, &node.labels, now);
                assert_eq!(one.is_ok(), readable.covers(&user, owner, &node.labels), "{owner}");
            }
        }
    }
    let _ = policy::admin(&set, &who, AdminRight::Audit, now);
    assert!(policy::certificate_ms(&set, &who) > 0);
}

fn name<N: std::str::FromStr<Err: Debug>>(text: &str) -> N {
    text.parse().expect("a literal name is a name")
}

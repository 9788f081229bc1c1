//! Decisions of the core: rules one by one, then at random beside the naive oracle.

use super::{NOW, account, login, node, oracle, roles, user};
use crate::{
    Action, Identity, Says, Why, admin, default_roles, explain, forward, logins_on, readable,
    recording,
};
use model::role::{
    AdminRight, Allow, Deny, Forwarding, JoinRule, Options, Reading, RecordingAction,
    RecordingPolicy, Role, RoleSet,
};
use model::{Login, SeatRole};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use std::collections::BTreeMap;

fn may(set: &RoleSet, who: &Identity, name: &str) -> bool {
    let web = node("web-01", &[("env", "prod"), ("team", "web")]);
    crate::login(set, who, &web, &login(name), NOW).is_ok()
}

#[test]
fn a_login_needs_a_role_that_names_it_and_matches_the_node() {
    for (role, allowed) in [
        ("", false),
        ("allow.logins = ['root']", false),
        ("allow.nodes = { '*' = ['*'] }", false),
        ("allow = { logins = ['root'], nodes = { '*' = ['*'] } }", true),
        ("allow = { logins = ['root'], nodes = { env = ['prod'] } }", true),
        ("allow = { logins = ['root'], nodes = { env = ['dev', 'prod'] } }", true),
        ("allow = { logins = ['root'], nodes = { env = ['*'] } }", true),
        ("allow = { logins = ['root'], nodes = { env = ['dev'] } }", false),
        ("allow = { logins = ['root'], nodes = { env = ['pro*'] } }", false),
        ("allow = { logins = ['root'], nodes = { env = [] } }", false),
        ("allow = { logins = ['root'], nodes = { zone = ['*'] } }", false),
        ("allow = { logins = ['root'], nodes = { env = ['prod'], team = ['db'] } }", false),
        ("allow = { logins = ['root'], nodes = { '*' = ['prod'] } }", false),
        ("allow = { logins = ['Root', '*', 'roo'], nodes = { '*' = ['*'] } }", false),
        ("allow = { logins = ['{user}'], nodes = { '*' = ['*'] } }", false),
        ("allow = { logins = ['{logins}'], nodes = { '*' = ['*'] } }", true),
    ] {
        let set = roles(&[&format!("name = 'r'\n{role}")]);
        let who = account("alice", &["r", "ghost"], &["root"]);
        assert_eq!(may(&set, &who, "root"), allowed, "{role}");
    }
}

#[test]
fn what_one_role_forbids_no_other_allows() {
    let all = "name = 'all'\nallow = { logins = ['root', 'alice'], nodes = { '*' = ['*'] } }";
    for (deny, root, alice) in [
        ("", true, true),
        ("deny.logins = ['root']", false, true),
        ("deny.logins = ['{user}']", true, false),
        ("deny.nodes = { env = ['prod'] }", false, false),
        ("deny.nodes = { env = ['dev'] }", true, true),
        ("deny = { logins = ['root'], nodes = { env = ['dev'] } }", false, true),
    ] {
        let set = roles(&[all, &format!("name = 'no'\n{deny}")]);
        let who = account("alice", &["all", "no"], &[]);
        assert_eq!((may(&set, &who, "root"), may(&set, &who, "alice")), (root, alice), "{deny}");
        let without = account("alice", &["all"], &[]);
        assert!(may(&set, &without, "root"), "a role that is not held forbids nothing");
    }
}

#[test]
fn a_role_that_does_not_exist_allows_nothing_and_shows_in_the_trace() {
    let who = account("alice", &["ghost"], &["root"]);
    let trace = explain(&default_roles(), &who, &node("web-01", &[]), &login("root"), NOW);
    assert!(!trace.allowed && trace.terms.is_none());
    let steps: Vec<_> = trace.steps.iter().map(|s| (&*s.rule, s.says, &*s.why)).collect();
    assert_eq!(steps, [("role ghost", Says::Nothing, "there is no such role")]);
}

#[test]
fn an_expired_identity_may_nothing() {
    let who = account("alice", &["admin"], &[]);
    let web = node("web-01", &[]);
    let at = |now| crate::login(&default_roles(), &who, &web, &login("root"), now);
    assert!(at(who.expires().plus_ms(-1)).is_ok());
    let denial = at(who.expires()).unwrap_err();
    assert!(matches!(denial.reason(), Why::Bounded { bound } if bound.contains("expired")));
    assert!(
        forward(&default_roles(), &who, &web, &login("root"), Forwarding::Local, who.expires())
            .is_err()
    );
}

#[test]
fn a_denial_says_the_missing_rule_to_the_admin_and_not_to_the_user() {
    let set = roles(&["name = 'dev'\nallow = { logins = ['root'], nodes = { env = ['dev'] } }"]);
    let who = account("alice", &["dev"], &[]);
    let web = node("web-01", &[("env", "prod")]);
    let denial = crate::login(&set, &who, &web, &login("root"), NOW).unwrap_err();
    assert_eq!(
        denial.to_string(),
        "alice may not log in as root on web-01: no rule allows it; missing is allow.logins with `root` \
         in a role whose allow.nodes matches web-01 (env=prod)"
    );
    assert_eq!(
        denial.public(),
        "access denied: alice may not log in as root on web-01; \
         ask an admin to run `scry access explain alice root@web-01`"
    );
    assert_eq!(denial.action(), "log in as root on web-01");
    assert_eq!(denial.user(), Some(&user("alice")));
    assert!(matches!(denial.asked(), Action::Login { .. }));
}

#[test]
fn a_denial_names_the_rule_that_forbids() {
    let set = roles(&[
        "name = 'all'\nallow = { logins = ['root'], nodes = { '*' = ['*'] } }",
        "name = 'no'\ndeny.nodes = { env = ['prod'] }",
    ]);
    let who = account("alice", &["all", "no"], &[]);
    let web = node("web-01", &[("env", "prod")]);
    let denial = crate::login(&set, &who, &web, &login("root"), NOW).unwrap_err();
    assert_eq!(
        denial.to_string(),
        "alice may not log in as root on web-01: role no: deny.nodes forbids it: it matches web-01 (env=prod)"
    );
    assert!(!denial.public().contains("deny"));
}

#[test]
fn terms_come_from_every_role_that_has_to_do_with_the_node() {
    let set = roles(&[
        "name = 'all'\nallow = { logins = ['root'], nodes = { '*' = ['*'] } }\noptions.session_minutes = 60",
        "name = 'prod'\nallow.nodes = { env = ['prod'] }\noptions = { record = 'strict', session_minutes = 10 }",
        "name = 'house'\noptions = { idle_minutes = 5, record_typed = true }",
    ]);
    let who = account("alice", &["all", "prod", "house"], &[]);
    let terms = |env: &str| {
        let node = node("n", &[("env", env)]);
        crate::login(&set, &who, &node, &login("root"), NOW).unwrap().terms().clone()
    };
    let (prod, dev) = (terms("prod"), terms("dev"));
    assert_eq!((prod.record, prod.session_ms), (RecordingPolicy::Strict, Some(600_000)));
    assert_eq!((dev.record, dev.session_ms), (RecordingPolicy::Spool, Some(3_600_000)));
    for terms in [&prod, &dev] {
        assert_eq!((terms.idle_ms, terms.record_typed), (Some(300_000), true));
    }
}

#[test]
fn how_a_session_is_recorded_may_hang_on_node_and_login_and_the_strictest_counts() {
    let everywhere = "allow = { logins = ['root', 'backup', '{user}'], nodes = { '*' = ['*'] } }";
    let set = roles(&[
        &format!(
            "name = 'all'\n{everywhere}\n[[options.record_where]]\nlogins = ['backup']\nrecord = 'off'\n\
             [[options.record_where]]\nnodes = {{ env = ['prod'] }}\nlogins = ['root']\nrecord = 'strict'"
        ),
        "name = 'pci'\n[[options.record_where]]\nnodes = { zone = ['pci'] }\nrecord = 'strict'",
    ]);
    let who = account("alice", &["all", "pci"], &[]);
    for (labels, name, expected) in [
        (&[("env", "dev")][..], "root", RecordingPolicy::Spool),
        (&[("env", "prod")], "root", RecordingPolicy::Strict),
        (&[("env", "prod")], "alice", RecordingPolicy::Spool),
        (&[("env", "dev")], "backup", RecordingPolicy::Off),
        (&[("env", "prod")], "backup", RecordingPolicy::Off),
        (&[("env", "dev"), ("zone", "pci")], "backup", RecordingPolicy::Strict),
        (&[("env", "dev"), ("zone", "pci")], "alice", RecordingPolicy::Strict),
    ] {
        let permit = crate::login(&set, &who, &node("n", labels), &login(name), NOW).unwrap();
        assert_eq!(permit.terms().record, expected, "{labels:?} {name}");
    }
}

#[test]
fn a_permit_says_what_was_decided() {
    let who = account("alice", &["access"], &[]);
    let web = node("web-01", &[]);
    let permit = crate::login(&default_roles(), &who, &web, &login("alice"), NOW).unwrap();
    assert_eq!((permit.user(), permit.login()), (&user("alice"), &login("alice")));
    assert_eq!((permit.node(), permit.expires()), (&web.name, who.expires()));
    assert_eq!((permit.serial(), permit.permits_pty()), (0, true));
}

// At random, beside the oracle

const LOGINS: [&str; 4] = ["root", "alice", "deploy", "bob"];
const USERS: [&str; 2] = ["alice", "bob"];
const ROLES: [&str; 4] = ["a", "b", "c", "ghost"];

fn patterns() -> impl Strategy<Value = Vec<String>> {
    let all = vec!["root", "alice", "deploy", "bob", "{user}", "{logins}"];
    subsequence(all, 0..=3).prop_map(|some| some.into_iter().map(str::to_owned).collect())
}

fn condition() -> impl Strategy<Value = BTreeMap<String, Vec<String>>> {
    let values = subsequence(vec!["dev", "prod", "*"], 0..=2);
    let values = values.prop_map(|some| some.into_iter().map(str::to_owned).collect());
    let labelled = btree_map(select(vec!["env", "team"]).prop_map(str::to_owned), values, 0..=2);
    let any = BTreeMap::from([("*".to_owned(), vec!["*".to_owned()])]);
    prop_oneof![Just(any), labelled]
}

/// Conditions of `deny`, most of them empty: else everything is denied and nothing is tested.
fn rare_condition() -> impl Strategy<Value = BTreeMap<String, Vec<String>>> {
    prop_oneof![4 => Just(BTreeMap::new()), 1 => condition()]
}

fn rare_patterns() -> impl Strategy<Value = Vec<String>> {
    prop_oneof![3 => Just(Vec::new()), 1 => patterns()]
}

const FORWARDS: [Forwarding; 4] = Forwarding::ALL;
const RIGHTS: [AdminRight; 5] =
    [AdminRight::Users, AdminRight::Roles, AdminRight::Nodes, AdminRight::Audit, AdminRight::Locks];
const SEATS: [SeatRole; 3] = SeatRole::ALL;
const ACTIONS: [RecordingAction; 4] = [
    RecordingAction::List,
    RecordingAction::Play,
    RecordingAction::Export,
    RecordingAction::Remove,
];

fn reading() -> impl Strategy<Value = Reading> {
    let plain = vec![Reading::None, Reading::Own, Reading::All];
    prop_oneof![2 => select(plain), 1 => condition().prop_map(Reading::Nodes)]
}

fn join_rule() -> impl Strategy<Value = JoinRule> {
    let whose = subsequence(vec!["a", "b", "ghost", "*"], 0..=2);
    let whose = whose.prop_map(|some| some.into_iter().map(str::to_owned).collect());
    let nodes = prop_oneof![Just(BTreeMap::new()), condition()];
    (whose, nodes, subsequence(SEATS.to_vec(), 0..=3)).prop_map(|(roles, nodes, seats)| JoinRule {
        roles,
        nodes,
        seats,
    })
}

fn role(name: &'static str) -> impl Strategy<Value = Role> {
    let allow = (
        patterns(),
        condition(),
        subsequence(FORWARDS.to_vec(), 0..=3),
        btree_map(select(ACTIONS.to_vec()), reading(), 0..=3),
        subsequence(RIGHTS.to_vec(), 0..=2),
        vec(join_rule(), 0..=2),
        subsequence(SEATS.to_vec(), 0..=2),
        subsequence(SEATS.to_vec(), 0..=2),
    );
    let allow =
        allow.prop_map(|(logins, nodes, forward, recordings, admin, join, share, guests)| Allow {
            logins,
            nodes,
            forward,
            recordings,
            admin,
            join,
            share,
            guests,
        });
    let seats = prop_oneof![4 => Just(Vec::new()), 1 => subsequence(SEATS.to_vec(), 1)];
    let deny = (rare_patterns(), rare_condition(), seats).prop_map(|(logins, nodes, join)| Deny {
        logins,
        nodes,
        join,
    });
    (allow, deny).prop_map(move |(allow, deny)| {
        let (name, description) = (name.parse().unwrap(), String::new());
        Role { name, description, allow, deny, options: Options::default() }
    })
}

pub(super) fn role_set() -> impl Strategy<Value = RoleSet> {
    (role("a"), role("b"), role("c")).prop_map(|(a, b, c)| RoleSet {
        rev: 1,
        roles: [a, b, c].into_iter().map(|role| (role.name.clone(), role)).collect(),
        ..RoleSet::default()
    })
}

pub(super) fn person() -> impl Strategy<Value = Identity> {
    let roles = subsequence(ROLES.to_vec(), 0..=4);
    let logins = subsequence(LOGINS.to_vec(), 0..=2);
    (select(USERS.to_vec()), roles, logins)
        .prop_map(|(name, roles, logins)| account(name, &roles, &logins))
}

/// The same person with a certificate that names all, or some, of the logins their roles allow.
pub(super) fn with_certificate(who: &Identity, principals: &[&str], asked: &str) -> Identity {
    let paper = crate::identity::Paper {
        serial: 1,
        principals: principals.iter().map(|name| login(name)).collect(),
        login: Some(login(asked)),
        permits_pty: true,
        permits_ports: true,
        permits_agent: true,
        permits_x11: true,
        only: None,
    };
    Identity { certificate: Some(paper), ..who.clone() }
}

pub(super) fn node_labels() -> impl Strategy<Value = Vec<(&'static str, &'static str)>> {
    let env = select(vec!["dev", "prod", "test"]).prop_map(|value| ("env", value));
    let team = select(vec!["dev", "prod"]).prop_map(|value| ("team", value));
    prop_oneof![Just(Vec::new()), vec(env.clone(), 1), (env, team).prop_map(|(e, t)| vec![e, t])]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_door_agrees_with_the_oracle(set in role_set(), who in person(), pairs in node_labels()) {
        let node = node("n", &pairs);
        for name in LOGINS {
            let want = oracle::may_log_in(&set, &who, &node.labels, name);
            let got = crate::login(&set, &who, &node, &login(name), NOW);
            prop_assert_eq!(got.is_ok(), want, "login {}", name);
            let trace = explain(&set, &who, &node, &login(name), NOW);
            prop_assert_eq!(trace.allowed, want);
            prop_assert_eq!(trace.terms, got.as_ref().ok().map(|permit| permit.terms().clone()));
            if let Err(denial) = &got {
                prop_assert_eq!(&trace.because, &denial.to_string());
            }
        }
        for (what, name) in FORWARDS.into_iter().zip(LOGINS.iter().cycle()) {
            let want = oracle::may_forward(&set, &who, &node.labels, name, what);
            let got = forward(&set, &who, &node, &login(name), what, NOW);
            prop_assert_eq!(got.is_ok(), want, "{:?} as {}", what, name);
        }
        for action in ACTIONS {
            for owner in USERS {
                let want = oracle::may_read(&set, &who, action, owner, &node.labels);
                let owner = user(owner);
                let got = recording(&set, &who, action, &owner, &node.labels, NOW);
                prop_assert_eq!(got.is_ok(), want, "{:?} of {}", action, owner);
                let listed = readable(&set, &who, action, NOW);
                prop_assert_eq!(listed.covers(who.user(), &owner, &node.labels), want);
            }
        }
        for right in RIGHTS {
            let want = oracle::may_administer(&set, &who, right);
            prop_assert_eq!(admin(&set, &who, right, NOW).is_ok(), want, "{:?}", right);
        }
    }

    #[test]
    fn a_certificate_only_ever_narrows(
        set in role_set(),
        who in person(),
        pairs in node_labels(),
        principals in subsequence(LOGINS.to_vec(), 1..=3),
    ) {
        let node = node("n", &pairs);
        let paper = with_certificate(&who, &principals, principals[0]);
        for name in LOGINS {
            let want = principals.contains(&name) && oracle::may_log_in(&set, &who, &node.labels, name);
            prop_assert_eq!(crate::login(&set, &paper, &node, &login(name), NOW).is_ok(), want);
            for what in FORWARDS {
                let want = want && oracle::may_forward(&set, &who, &node.labels, name, what);
                let got = forward(&set, &paper, &node, &login(name), what, NOW);
                prop_assert_eq!(got.is_ok(), want);
            }
        }
    }

    #[test]
    fn a_login_that_is_allowed_somewhere_is_a_principal(set in role_set(), who in person(), pairs in node_labels()) {
        let node = node("n", &pairs);
        let listed = logins_on(&set, &who, &node, NOW);
        let names = crate::login_names(&set, &who, NOW);
        let allowed: Vec<Login> = LOGINS.iter().map(|name| login(name))
            .filter(|name| oracle::may_log_in(&set, &who, &node.labels, name.as_str())).collect();
        prop_assert!(allowed.iter().all(|name| names.contains(name)));
        prop_assert_eq!(listed.len(), allowed.len());
        prop_assert!(allowed.iter().all(|name| listed.contains(name)));
    }
}

#[test]
fn a_forward_needs_the_login_and_the_certificate_extension() {
    let set = default_roles();
    let who = account("alice", &["access"], &[]);
    let web = node("web-01", &[]);
    let ask = |who: &Identity, name: &str, what| {
        forward(&set, who, &web, &login(name), what, NOW).map_err(|denial| denial.to_string())
    };
    let paper = with_certificate(&who, &["alice"], "alice");
    let permit = ask(&paper, "alice", Forwarding::Local).unwrap();
    assert_eq!((permit.login(), permit.what()), (&login("alice"), Forwarding::Local));
    let mut bare = paper.clone();
    bare.certificate.as_mut().unwrap().permits_ports = false;
    let refused = ask(&bare, "alice", Forwarding::Remote).unwrap_err();
    assert!(refused.ends_with("the certificate has no permit-port-forwarding"), "{refused}");
    assert!(ask(&bare, "alice", Forwarding::Agent).is_ok());
    // A login that is no principal, a principal that no role allows, and nobody at all.
    let root = with_certificate(&who, &["root"], "root");
    for (who, name) in [(&paper, "root"), (&root, "root"), (&account("alice", &[], &[]), "alice")] {
        assert!(ask(who, name, Forwarding::Local).is_err(), "{who:?} as {name}");
    }
}

//! Locks and corrections: what they shut, what people are told, and at random beside a naive answer.

use super::decisions::{person, role_set, with_certificate};
use super::{NOW, account, login, node, oracle};
use crate::{
    Identity, PlanFault, Readable, SessionFacts, Why, admin, default_roles, enter, explain,
    forward_goes_on, go_on, login_names, plan_user_certificate, readable, runs_on,
};
use model::lock::Account;
use model::role::{AdminRight, Forwarding, RecordingAction, RoleSet};
use model::{Correction, Lock, LockId, LockTarget, SessionId, Time};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

pub(super) fn lock(id: u64, target: LockTarget) -> Lock {
    Lock {
        id: LockId(id),
        target,
        reason: "stolen laptop".parse().unwrap(),
        creator: "carol".parse().unwrap(),
        created: NOW.plus_ms(-1000),
        expires: None,
    }
}

fn locked(kind: &str, name: &str) -> RoleSet {
    let mut set = default_roles();
    set.locks.push(lock(3, LockTarget::from_parts(kind, name).unwrap()));
    set
}

fn alice() -> Identity {
    with_certificate(&account("alice", &["access"], &["web"]), &["alice", "web"], "alice")
}

#[test]
fn a_locked_person_is_told_which_lock_and_only_the_ledger_why() {
    let set = locked("user", "alice");
    let web = node("web-01", &[]);
    let denial = crate::login(&set, &alice(), &web, &login("alice"), NOW).unwrap_err();
    assert_eq!(
        denial.to_string(),
        "alice may not log in as alice on web-01: lock 3 on user alice (stolen laptop) forbids it"
    );
    assert_eq!(
        denial.public(),
        "access denied: alice may not log in as alice on web-01; lock 3 is on it; ask an admin to lift it"
    );
    let session = SessionId::from_random([7; 16]);
    let ended = |set: &RoleSet| {
        let denial = go_on(set, &alice(), &web, &login("alice"), Some(session), NOW).unwrap_err();
        (denial.farewell(), denial.why())
    };
    let why = "lock 3 on user alice (stolen laptop) forbids it".to_owned();
    assert_eq!(ended(&set).1, why);
    assert!(!ended(&set).0.contains("stolen"), "{:?}", ended(&set));
    assert_eq!(ended(&set).0, "an admin has locked this (lock 3)");
    let one = ended(&locked("session", &session.to_string())).0;
    assert_eq!(one, "an admin has ended this session (lock 3)");
    let trace = explain(&set, &account("alice", &["access"], &[]), &web, &login("alice"), NOW);
    assert!(!trace.allowed && trace.because.contains("stolen laptop"), "{trace:?}");
    assert_eq!(trace.steps[0].rule, "lock 3");
}

#[test]
fn what_a_session_left_running_ends_by_a_lock_and_by_nothing_else() {
    let session = SessionId::from_random([7; 16]);
    let (owner, as_login, role) =
        ("alice".parse().unwrap(), login("alice"), "access".parse().unwrap());
    let roles = [role];
    let facts = SessionFacts { id: session, owner: &owner, roles: &roles, login: &as_login };
    let web = "web-01".parse().unwrap();
    let why = |set: &RoleSet| runs_on(set, &web, facts, NOW).err().map(|denial| denial.why());
    for (kind, name, shut) in [
        ("user", "alice", true),
        ("user", "bob", false),
        ("role", "access", true),
        ("role", "admin", false),
        ("login", "alice", true),
        ("login", "root", false),
        ("node", "web-01", true),
        ("node", "web-02", false),
        ("session", &session.to_string() as &str, true),
        ("session", &SessionId::from_random([8; 16]).to_string(), false),
    ] {
        assert_eq!(why(&locked(kind, name)).is_some(), shut, "{kind} {name}");
    }
    let told = why(&locked("user", "alice")).unwrap();
    assert_eq!(told, "lock 3 on user alice (stolen laptop) forbids it");
    // A lock whose time is over, an account that was removed, roles that are gone.
    let mut over = locked("user", "alice");
    over.locks[0].expires = Some(NOW);
    let correct = |account: Option<Account>| {
        let mut set = locked("role", "access");
        let correction = Correction { void: 0, account };
        set.corrections.insert(owner.clone(), correction);
        set
    };
    let mut removed = correct(None);
    assert!(why(&removed).is_some(), "the role was the owner's when the session ran");
    removed.locks.clear();
    for set in [&over, &removed, &RoleSet::default()] {
        assert_eq!(why(set), None);
    }
    let account = Account { roles: vec!["new".parse().unwrap()], logins: Vec::new() };
    let mut moved = correct(Some(account));
    moved.locks = locked("role", "new").locks;
    assert!(why(&moved).is_some(), "a role that the owner has been given since counts, too");
}

#[test]
fn a_lock_counts_until_just_before_its_last_moment() {
    let mut set = locked("user", "alice");
    set.locks[0].expires = Some(NOW);
    for (now, shut) in [(NOW.plus_ms(-1), true), (NOW, false)] {
        assert_eq!(enter(&set, &alice(), now).is_err(), shut, "{now:?}");
    }
}

#[test]
fn who_is_locked_out_gets_no_certificate_and_a_locked_login_stands_in_none() {
    let who = account("alice", &["access"], &["web"]);
    for (kind, name) in [("user", "alice"), ("role", "access")] {
        let plan = plan_user_certificate(&locked(kind, name), &who, None, 1, NOW);
        assert!(matches!(plan, Err(PlanFault::Denied(_))), "{kind}");
    }
    let set = locked("login", "web");
    assert_eq!(login_names(&set, &who, NOW), [login("alice")]);
    let plan = plan_user_certificate(&set, &who, None, 1, NOW).unwrap();
    assert_eq!(plan.principals(), ["alice"]);
    let set = locked("user", "alice");
    let nobodys = readable(&set, &who, RecordingAction::List, NOW);
    assert!(!nobodys.covers(who.user(), who.user(), &Default::default()));
    assert!(admin(&set, &account("alice", &["admin"], &[]), AdminRight::Locks, NOW).is_err());
}

#[test]
fn what_goes_on_ends_with_the_certificate_unless_the_roles_let_it_outlive() {
    let who = account("alice", &["admin"], &[]);
    let web = node("web-01", &[]);
    let late = who.expires();
    for (wish, goes_on) in [(None, false), (Some(true), false), (Some(false), true)] {
        let mut set = default_roles();
        for role in set.roles.values_mut() {
            role.options.disconnect_expired = wish;
        }
        let got = go_on(&set, &who, &web, &login("root"), None, late);
        let farewell = got.map_err(|denial| denial.farewell()).err();
        let expired = "your certificate has expired; use `scry login`";
        assert_eq!(farewell.as_deref(), (!goes_on).then_some(expired), "{wish:?}");
        assert!(crate::login(&set, &who, &web, &login("root"), late).is_err(), "nothing new");
        set.locks.push(lock(1, LockTarget::Node(web.name.clone())));
        assert!(go_on(&set, &who, &web, &login("root"), None, late).is_err(), "a lock counts");
    }
}

#[test]
fn what_is_forwarded_goes_on_as_long_as_it_may_be_and_no_longer() {
    let web = node("web-01", &[]);
    let late = alice().expires();
    let goes_on = |set: &RoleSet, now| {
        forward_goes_on(set, &alice(), &web, &login("alice"), Forwarding::Local, now).is_ok()
    };
    let mut set = default_roles();
    assert!(goes_on(&set, NOW) && !goes_on(&set, late));
    for role in set.roles.values_mut() {
        role.options.disconnect_expired = Some(false);
    }
    assert!(goes_on(&set, late), "it outlives the certificate as sessions do");
    for role in set.roles.values_mut() {
        role.allow.forward.clear();
    }
    assert!(!goes_on(&set, NOW) && !goes_on(&set, late));
    assert!(go_on(&set, &alice(), &web, &login("alice"), None, NOW).is_ok(), "the rest does");
    assert!(!goes_on(&locked("login", "alice"), NOW));
}

#[test]
fn a_changed_account_counts_instead_of_what_the_certificate_says() {
    let web = node("web-01", &[]);
    let may = |correction: Option<Correction>, name: &str| {
        let mut set = default_roles();
        set.corrections.extend(correction.map(|correction| ("alice".parse().unwrap(), correction)));
        let goes_on = go_on(&set, &alice(), &web, &login(name), None, NOW).is_ok();
        let denial = crate::login(&set, &alice(), &web, &login(name), NOW).err();
        assert_eq!(goes_on, denial.is_none());
        denial.map(|denial| denial.reason().clone())
    };
    let account = |roles: &[&str], logins: &[&str]| Account {
        roles: roles.iter().map(|role| role.parse().unwrap()).collect(),
        logins: logins.iter().map(|name| login(name)).collect(),
    };
    assert_eq!(may(None, "web"), None);
    let holds = |account| Some(Correction { account: Some(account), void: 0 });
    assert_eq!(may(holds(account(&["access"], &["web"])), "web"), None);
    let demoted = may(holds(account(&[], &["web"])), "web");
    assert!(matches!(demoted, Some(Why::Missing { .. })), "{demoted:?}");
    let unlent = may(holds(account(&["access"], &[])), "web");
    assert!(matches!(unlent, Some(Why::Missing { .. })), "{unlent:?}");
    let mut set = default_roles();
    assert_ne!(readable(&set, &alice(), RecordingAction::List, NOW), Readable::None);
    set.corrections
        .extend(holds(account(&[], &[])).map(|demoted| ("alice".parse().unwrap(), demoted)));
    assert_eq!(readable(&set, &alice(), RecordingAction::List, NOW), Readable::None);
    // Promoted: the certificate still bounds it.
    let promoted = may(holds(account(&["admin"], &[])), "root");
    assert!(matches!(promoted, Some(Why::Bounded { .. })), "{promoted:?}");
    // Removed, and another account of the name made since.
    assert_eq!(may(Some(Correction { account: None, void: 0 }), "web"), Some(Why::Removed));
    let other = Some(Correction { account: Some(account(&["admin"], &["web"])), void: 1 });
    assert_eq!(may(other, "web"), Some(Why::Removed), "the certificate has number 1");
    let later = Some(Correction { account: Some(account(&["access"], &["web"])), void: 0 });
    assert_eq!(may(later, "web"), None);
}

fn target() -> impl Strategy<Value = LockTarget> {
    let of = |kind: &'static str, names: &[&'static str]| {
        let names = names.to_vec();
        select(names).prop_map(move |name| LockTarget::from_parts(kind, name).unwrap())
    };
    prop_oneof![
        of("user", &["alice", "bob"]),
        of("login", &["root", "alice", "web"]),
        of("node", &["n", "m"]),
        of("role", &["a", "b", "c", "ghost"]),
    ]
}

pub(super) fn locks() -> impl Strategy<Value = Vec<Lock>> {
    let one = (target(), select(vec![None, Some(-1), Some(0), Some(1)]))
        .prop_map(|(target, ms)| Lock { expires: ms.map(|ms| NOW.plus_ms(ms)), ..lock(1, target) });
    vec(one, 0..3)
}

pub(super) fn corrections() -> impl Strategy<Value = Vec<(&'static str, Correction)>> {
    let account =
        (subsequence(vec!["a", "b", "c"], 0..=3), subsequence(vec!["root", "web"], 0..=2));
    let account = account.prop_map(|(roles, logins)| Account {
        roles: roles.into_iter().map(|name| name.parse().unwrap()).collect(),
        logins: logins.into_iter().map(login).collect(),
    });
    let one = (proptest::option::of(account), 0_u64..3)
        .prop_map(|(account, void)| Correction { account, void });
    btree_map(select(vec!["alice", "bob"]), one, 0..2).prop_map(|all| all.into_iter().collect())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn locks_and_corrections_agree_with_the_oracle(
        set in role_set(),
        who in person(),
        locks in locks(),
        corrections in corrections(),
        name in select(vec!["root", "alice", "web"]),
    ) {
        let corrections = corrections.into_iter().map(|(name, one)| (name.parse().unwrap(), one));
        let set = RoleSet { locks, corrections: corrections.collect(), ..set };
        let node = node("n", &[("env", "prod")]);
        let all = ["root", "alice", "web"];
        for who in [who.clone(), with_certificate(&who, &all, name)] {
            let now = oracle::as_of(&set, &who);
            let want = now.as_ref().is_some_and(|now| {
                !oracle::is_locked(&set, now, Some(name), Some("n"), NOW)
                    && oracle::may_log_in(&set, now, &node.labels, name)
            });
            let name = login(name);
            prop_assert_eq!(crate::login(&set, &who, &node, &name, NOW).is_ok(), want);
            let session = Some(SessionId::from_random([7; 16]));
            prop_assert_eq!(go_on(&set, &who, &node, &name, session, NOW).is_ok(), want);
            let enters = now.is_some_and(|now| !oracle::is_locked(&set, &now, None, None, NOW));
            prop_assert_eq!(enter(&set, &who, NOW).is_ok(), enters);
        }
    }
}

#[test]
fn an_identity_of_no_time_at_all_is_none() {
    let who = account("alice", &["admin"], &[]);
    assert!(enter(&default_roles(), &who, who.expires()).is_err());
    assert!(admin(&default_roles(), &who, AdminRight::Locks, Time(i64::MAX)).is_err());
}

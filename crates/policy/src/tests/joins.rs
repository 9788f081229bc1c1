//! Joining running sessions: rules one by one, attacks, then at random beside the naive oracle.

use super::decisions::{node_labels, person, role_set, with_certificate};
use super::locks::{corrections, lock, locks};
use super::{NOW, account, login, node, oracle, roles, user};
use crate::{
    Action, Denial, Identity, Says, SessionFacts, come_back, default_roles, explain_join, join,
    seat_goes_on, seats,
};
use model::lock::Account;
use model::role::{NodeFacts, RoleSet};
use model::{Correction, LockTarget, Login, RoleName, SeatRole, SessionId, Time, UserName};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

/// A session as a test writes it down.
pub(super) struct Session {
    owner: UserName,
    roles: Vec<RoleName>,
    login: Login,
}

impl Session {
    pub(super) fn facts(&self) -> SessionFacts<'_> {
        let Self { owner, roles, login } = self;
        SessionFacts { id: id(), owner, roles, login }
    }
}

pub(super) fn id() -> SessionId {
    SessionId::from_random([7; 16])
}

pub(super) fn session(owner: &str, roles: &[&str], as_whom: &str) -> Session {
    let roles = roles.iter().map(|role| role.parse().unwrap()).collect();
    Session { owner: user(owner), roles, login: login(as_whom) }
}

pub(super) fn web() -> NodeFacts {
    node("web-01", &[("env", "prod")])
}

/// As what this person may join, in words; the doors must agree about each seat.
fn may(set: &RoleSet, who: &Identity, session: &Session, now: Time) -> String {
    let (web, facts) = (web(), session.facts());
    let listed = seats(set, who, &web, &facts, now);
    for seat in SeatRole::ALL {
        let comes = join(set, who, &web, &facts, seat, None, now);
        let stays = seat_goes_on(set, who, &web, &facts, seat, None, now);
        let trace = explain_join(set, who, &web, &facts, seat, now);
        assert_eq!(comes.is_ok(), listed.contains(&seat), "{seat}");
        assert_eq!((trace.allowed, stays.is_ok()), (comes.is_ok(), comes.is_ok()), "{seat}");
        if let Err(denial) = comes {
            assert_eq!(trace.because, denial.to_string());
            assert_eq!(denial.reason(), stays.unwrap_err().reason());
        }
    }
    listed.iter().map(|seat| seat.word()).collect::<Vec<_>>().join(" ")
}

fn denied(set: &RoleSet, who: &Identity, session: &Session, seat: SeatRole) -> Denial {
    join(set, who, &web(), &session.facts(), seat, None, NOW).unwrap_err()
}

#[test]
fn a_session_is_joined_by_a_rule_that_names_its_owner_its_node_and_the_seat() {
    let bobs = session("bob", &["dev", "ghost"], "root");
    for (rules, want) in [
        ("", ""),
        ("allow.join = []", ""),
        ("allow.join = [{}]", ""),
        ("allow.join = [{ roles = ['*'] }]", ""),
        ("allow.join = [{ seats = ['peer'] }]", ""),
        ("allow.join = [{ roles = ['*'], seats = ['peer'] }]", "peer"),
        (
            "allow.join = [{ roles = ['dev'], seats = ['moderator', 'observer'] }]",
            "observer moderator",
        ),
        ("allow.join = [{ roles = ['ops', 'dev'], seats = ['observer'] }]", "observer"),
        ("allow.join = [{ roles = ['ops'], seats = ['observer'] }]", ""),
        ("allow.join = [{ roles = ['de', 'dev*', 'bob'], seats = ['observer'] }]", ""),
        ("allow.join = [{ roles = ['*'], seats = ['peer'], nodes = { env = ['prod'] } }]", "peer"),
        ("allow.join = [{ roles = ['*'], seats = ['peer'], nodes = { env = ['dev'] } }]", ""),
        ("allow.join = [{ roles = ['*'], seats = ['peer'], nodes = { '*' = ['*'] } }]", "peer"),
        (
            "allow.join = [{ roles = ['dev'], seats = ['observer'] }, { roles = ['*'], seats = ['peer'] }]",
            "observer peer",
        ),
        // The conditions of two rules do not add up to a third.
        (
            "allow.join = [{ roles = ['dev'], seats = ['observer'] }, { roles = ['ops'], seats = ['peer'] }]",
            "observer",
        ),
        ("allow = { logins = ['root'], nodes = { '*' = ['*'] } }", ""),
        ("allow.share = ['peer']", ""),
    ] {
        let set = roles(&[&format!("name = 'r'\n{rules}")]);
        assert_eq!(may(&set, &account("alice", &["r"], &[]), &bobs, NOW), want, "{rules}");
    }
}

#[test]
fn ones_own_session_needs_no_rule_and_has_no_moderator() {
    let alices = session("alice", &["access"], "alice");
    let admin = account("alice", &["admin"], &[]);
    for who in [&account("alice", &["access"], &[]), &account("alice", &[], &[]), &admin] {
        assert_eq!(may(&default_roles(), who, &alices, NOW), "observer peer");
    }
    let denial = denied(&default_roles(), &admin, &alices, SeatRole::Moderator);
    assert_eq!(
        denial.why(),
        "own session forbids it: nobody is the moderator of their own session"
    );
    let bob = account("bob", &["access"], &[]);
    assert_eq!(may(&default_roles(), &bob, &alices, NOW), "");
    let admin = account("bob", &["admin"], &[]);
    assert_eq!(may(&default_roles(), &admin, &alices, NOW), "observer peer moderator");
}

#[test]
fn only_the_owner_comes_back_and_only_as_they_could_log_in() {
    let alices = session("alice", &["access"], "web");
    let holder = |user: &str, principals: &[&str]| {
        with_certificate(&account(user, &["access"], &["web", "db"]), principals, principals[0])
    };
    let check = |set: &RoleSet, who: &Identity, now: Time, want: &str| {
        let back = come_back(set, who, &web(), &alices.facts(), now);
        let said = back.map_or_else(
            |denial| denial.why(),
            |permit| {
                assert_eq!((permit.owner(), permit.session()), (&user("alice"), id()));
                "comes back".to_owned()
            },
        );
        assert!(said.contains(want), "{said}");
    };
    let (set, alice) = (default_roles(), holder("alice", &["web", "db"]));
    check(&set, &alice, NOW, "comes back");
    check(&set, &holder("bob", &["web"]), NOW, "only its owner comes back to it");
    check(&set, &account("alice", &["access"], &["web"]), NOW, "comes back");
    check(&set, &account("alice", &["access"], &["db"]), NOW, "no rule allows it");
    check(&set, &holder("alice", &["db"]), NOW, "names only db");
    check(&set, &alice, alice.expires(), "has expired");
    let mut blind = holder("alice", &["web"]);
    blind.certificate.as_mut().unwrap().permits_pty = false;
    check(&set, &blind, NOW, "permit-pty");
    check(&roles(&["name = 'access'\ndeny.logins = ['web']"]), &alice, NOW, "deny.logins");
    for target in [
        LockTarget::User(user("alice")),
        LockTarget::Role("access".parse().unwrap()),
        LockTarget::Login(login("web")),
        LockTarget::Node("web-01".parse().unwrap()),
        LockTarget::Session(id()),
    ] {
        let mut shut = default_roles();
        shut.locks.push(lock(3, target));
        check(&shut, &alice, NOW, "lock 3");
    }
    let denial = come_back(&set, &holder("bob", &["web"]), &web(), &alices.facts(), NOW);
    assert!(!denial.unwrap_err().public().contains("alice"), "whose it is, bob does not learn");
}

#[test]
fn what_one_role_forbids_no_rule_and_no_ownership_allows() {
    let (bobs, alices) = (session("bob", &["dev"], "root"), session("alice", &["dev"], "root"));
    let all =
        "name = 'all'\nallow.join = [{ roles = ['*'], seats = ['observer', 'peer', 'moderator'] }]";
    for (deny, others, own) in [
        ("", "observer peer moderator", "observer peer"),
        ("deny.join = ['peer']", "observer moderator", "observer"),
        ("deny.join = ['observer', 'peer', 'moderator']", "", ""),
        ("deny.nodes = { env = ['prod'] }", "", ""),
        ("deny.nodes = { env = ['dev'] }", "observer peer moderator", "observer peer"),
        // Who types does so as root; who looks does not.
        ("deny.logins = ['root']", "observer moderator", "observer"),
        ("deny.logins = ['alice', '{user}']", "observer peer moderator", "observer peer"),
        ("deny.logins = ['{logins}']", "observer moderator", "observer"),
    ] {
        let set = roles(&[all, &format!("name = 'no'\n{deny}")]);
        let who = account("alice", &["all", "no"], &["root"]);
        assert_eq!(may(&set, &who, &bobs, NOW), others, "{deny}");
        assert_eq!(may(&set, &who, &alices, NOW), own, "{deny}, one's own");
    }
}

#[test]
fn a_lock_on_the_joiner_or_on_the_session_shuts_it() {
    let bobs = session("bob", &["access"], "root");
    let who = with_certificate(&account("alice", &["admin"], &[]), &["alice"], "alice");
    let other = SessionId::from_random([8; 16]).to_string();
    for (kind, name, shut) in [
        ("user", "alice", true),
        ("user", "bob", true),
        ("user", "carol", false),
        ("role", "admin", true),
        ("role", "access", true),
        ("role", "dev", false),
        ("node", "web-01", true),
        ("node", "db-01", false),
        ("login", "root", true),
        ("login", "alice", false),
        ("session", &id().to_string(), true),
        ("session", &other, false),
    ] {
        let mut set = default_roles();
        set.locks.push(lock(3, LockTarget::from_parts(kind, name).unwrap()));
        let want = if shut { "" } else { "observer peer moderator" };
        assert_eq!(may(&set, &who, &bobs, NOW), want, "{kind} {name}");
        let own = session("alice", &["admin"], "root");
        let theirs = matches!((kind, name), ("user", "bob") | ("role", "access"));
        let want = if shut && !theirs { "" } else { "observer peer" };
        assert_eq!(may(&set, &who, &own, NOW), want, "{kind} {name}, one's own");
    }
}

#[test]
fn what_became_of_an_account_counts_for_who_joins() {
    let bobs = session("bob", &["access"], "root");
    let who = with_certificate(&account("alice", &["admin"], &[]), &["alice"], "alice");
    let holds = |roles: &[&str]| {
        let roles = roles.iter().map(|role| role.parse().unwrap()).collect();
        Some(Account { roles, logins: Vec::new() })
    };
    for (what, account, void, want) in [
        ("as it was", holds(&["admin"]), 0, "observer peer moderator"),
        ("demoted", holds(&["access"]), 0, ""),
        ("without any role", holds(&[]), 0, ""),
        ("removed", None, 0, ""),
        ("another account of the name", holds(&["admin"]), 1, ""),
    ] {
        let mut set = default_roles();
        set.corrections.insert(user("alice"), Correction { account, void });
        assert_eq!(may(&set, &who, &bobs, NOW), want, "{what}");
    }
    // A role that gives something since counts though the certificate does not name it: no principal is asked for.
    let mut set = default_roles();
    let promoted = with_certificate(&account("alice", &["access"], &[]), &["alice"], "alice");
    assert_eq!(may(&set, &promoted, &bobs, NOW), "");
    set.corrections.insert(user("alice"), Correction { account: holds(&["admin"]), void: 0 });
    assert_eq!(may(&set, &promoted, &bobs, NOW), "observer peer moderator");
    // A role that was removed gives nothing.
    set.roles.remove(&"admin".parse::<RoleName>().unwrap());
    assert_eq!(may(&set, &promoted, &bobs, NOW), "");
}

#[test]
fn what_became_of_the_owner_counts_for_whose_session_it_is() {
    let set = roles(&[
        "name = 'lead'\nallow.join = [{ roles = ['dev'], seats = ['peer'] }]",
        "name = 'chief'\nallow.join = [{ roles = ['*'], seats = ['observer'] }]",
    ]);
    let who = account("alice", &["lead", "chief"], &[]);
    let bobs = session("bob", &["dev"], "root");
    let held = |roles: &[&str]| {
        let roles = roles.iter().map(|role| role.parse().unwrap()).collect();
        Some(Account { roles, logins: Vec::new() })
    };
    for (account, want) in [
        (held(&["dev"]), "observer peer"),
        (held(&["admin"]), "observer"),
        (held(&[]), "observer"),
        (None, "observer"),
    ] {
        let mut set = set.clone();
        set.corrections.insert(user("bob"), Correction { account: account.clone(), void: 0 });
        assert_eq!(may(&set, &who, &bobs, NOW), want, "{account:?}");
        // A lock on a role that the owner was given since shuts the session, one on a role that was taken does not.
        set.locks.push(lock(1, LockTarget::Role("admin".parse().unwrap())));
        let shut = account == held(&["admin"]);
        assert_eq!(may(&set, &who, &bobs, NOW).is_empty(), shut, "{account:?}, admins locked");
    }
}

#[test]
fn a_seat_ends_with_its_certificate_whatever_the_terms_of_sessions_say() {
    let bobs = session("bob", &["access"], "root");
    let alices = session("alice", &["admin"], "root");
    let who = account("alice", &["admin"], &[]);
    let mut set = default_roles();
    for role in set.roles.values_mut() {
        role.options.disconnect_expired = Some(false);
    }
    let last = who.expires().plus_ms(-1);
    assert_eq!(may(&set, &who, &bobs, last), "observer peer moderator");
    for session in [&bobs, &alices] {
        assert_eq!(may(&set, &who, session, who.expires()), "");
    }
    let over =
        seat_goes_on(&set, &who, &web(), &bobs.facts(), SeatRole::Observer, None, who.expires());
    let over = over.unwrap_err();
    assert_eq!(over.farewell(), "your certificate has expired; use `scry login`");
    assert!(matches!(over.asked(), Action::Stay { .. }));
}

#[test]
fn a_certificate_without_a_terminal_joins_nothing_and_one_without_a_login_does() {
    let bobs = session("bob", &["access"], "root");
    let mut who = with_certificate(&account("alice", &["admin"], &[]), &[], "alice");
    assert_eq!(may(&default_roles(), &who, &bobs, NOW), "observer peer moderator");
    who.certificate.as_mut().unwrap().permits_pty = false;
    assert_eq!(may(&default_roles(), &who, &bobs, NOW), "");
    let denial = denied(&default_roles(), &who, &bobs, SeatRole::Observer);
    assert_eq!(denial.why(), "the certificate has no permit-pty");
}

#[test]
fn a_permit_says_who_sits_where_and_until_when() {
    let bobs = session("bob", &["access"], "root");
    let who = with_certificate(&account("alice", &["admin"], &[]), &["alice"], "alice");
    let permit =
        join(&default_roles(), &who, &web(), &bobs.facts(), SeatRole::Moderator, None, NOW)
            .unwrap();
    assert_eq!((permit.user(), permit.session()), (&user("alice"), id()));
    assert_eq!((permit.seat(), permit.expires()), (SeatRole::Moderator, who.expires()));
    assert_eq!(permit.serial(), 1);
}

#[test]
fn a_denial_names_the_missing_rule_to_the_ledger_and_not_the_owner_to_the_person() {
    let bobs = session("bob", &["dev"], "root");
    let set = roles(&["name = 'r'\nallow.join = [{ roles = ['dev'], seats = ['observer'] }]"]);
    let denial = denied(&set, &account("alice", &["r"], &[]), &bobs, SeatRole::Peer);
    let session = id();
    assert_eq!(
        denial.to_string(),
        format!(
            "alice may not join session {session} on web-01 as peer: no rule allows it; \
             missing is allow.join with `peer` for sessions of bob (dev) on web-01 (env=prod)"
        )
    );
    assert_eq!(
        denial.public(),
        format!(
            "access denied: alice may not join session {session} on web-01 as peer; \
             ask an admin for a role that allows it"
        )
    );
    let why = "your roles no longer allow this";
    let stays = seat_goes_on(
        &set,
        &account("alice", &["r"], &[]),
        &web(),
        &bobs.facts(),
        SeatRole::Peer,
        None,
        NOW,
    );
    assert_eq!(stays.unwrap_err().farewell(), why);
}

#[test]
fn each_rule_that_was_looked_at_stands_in_the_trace() {
    let set = roles(&[
        "name = 'all'\nallow.join = [{ roles = ['*'], seats = ['peer'] }]",
        "name = 'dev-lead'\nallow.join = [{ roles = ['dev'], seats = ['peer'] }]",
        "name = 'looker'\nallow.join = [{ roles = ['dev'], seats = ['observer'] }]",
        "name = 'no'\ndeny = { join = ['peer'], logins = ['root'], nodes = { env = ['prod'] } }",
    ]);
    let who = account("alice", &["all", "dev-lead", "ghost", "looker", "no"], &[]);
    let bobs = session("bob", &["dev"], "root");
    let trace = explain_join(&set, &who, &web(), &bobs.facts(), SeatRole::Peer, NOW);
    let steps: Vec<_> = trace.steps.iter().map(|s| (&*s.rule, s.says, &*s.why)).collect();
    let here = "`peer` is in it, and it matches web-01";
    let (any, held) = (format!("`*` is anybody, {here}"), format!("bob holds `dev`, {here}"));
    assert_eq!(
        steps,
        [
            ("role all: allow.join", Says::Allow, &*any),
            ("role dev-lead: allow.join", Says::Allow, &*held),
            ("role ghost", Says::Nothing, "there is no such role"),
            (
                "role looker: allow.join",
                Says::Nothing,
                "none of its rules has `peer` for bob (dev) on web-01 (env=prod)"
            ),
            ("role no: deny.join", Says::Deny, "it names `peer`"),
            ("role no: deny.nodes", Says::Deny, "it matches web-01 (env=prod)"),
            ("role no: deny.logins", Says::Deny, "it names `root`"),
            ("role no: allow.join", Says::Nothing, "it lets nobody's sessions be joined"),
        ]
    );
    assert!(!trace.allowed && trace.terms.is_none());
    let own = session("alice", &["all"], "web");
    let who = account("alice", &[], &[]);
    let trace = explain_join(&set, &who, &web(), &own.facts(), SeatRole::Peer, NOW);
    assert_eq!(trace.because, "own session allows it: it is alice's own");
}

// At random, beside the oracle

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn joining_agrees_with_the_oracle(
        set in role_set(),
        who in person(),
        pairs in node_labels(),
        owner in select(vec!["alice", "bob"]),
        held in subsequence(vec!["a", "b", "c", "ghost"], 0..=3),
        name in select(vec!["root", "alice", "deploy"]),
        locks in locks(),
        corrections in corrections(),
    ) {
        let corrections = corrections.into_iter().map(|(name, one)| (name.parse().unwrap(), one));
        let set = RoleSet { locks, corrections: corrections.collect(), ..set };
        let node = node("n", &pairs);
        let corrected = set.corrections.get(&user(owner)).map(|it| {
            let account = it.account.clone().unwrap_or_default();
            account.roles.iter().map(ToString::to_string).collect::<Vec<_>>()
        });
        let bench = session(owner, &held, name);
        let held = corrected.unwrap_or_else(|| held.iter().map(ToString::to_string).collect());
        let held: Vec<_> = held.iter().map(String::as_str).collect();
        let theirs = account(owner, &held, &[]);
        for who in [who.clone(), with_certificate(&who, &["web"], "web")] {
            for seat in SeatRole::ALL {
                let want = oracle::as_of(&set, &who).is_some_and(|now| {
                    !oracle::is_locked(&set, &now, Some(name), Some("n"), NOW)
                        && !oracle::is_locked(&set, &theirs, None, None, NOW)
                        && oracle::may_join(&set, &now, &node.labels, (owner, &held, name), seat)
                });
                let got = join(&set, &who, &node, &bench.facts(), seat, None, NOW);
                prop_assert_eq!(got.is_ok(), want, "{} as {}", owner, seat);
                let stays = seat_goes_on(&set, &who, &node, &bench.facts(), seat, None, NOW);
                prop_assert_eq!(stays.is_ok(), want);
                let trace = explain_join(&set, &who, &node, &bench.facts(), seat, NOW);
                prop_assert_eq!(trace.allowed, want);
            }
        }
    }
}

//! Four eyes: what the terms of a session demand, and who counts for it.

use super::decisions::with_certificate;
use super::locks::lock;
use super::{NOW, account, login, node, roles, user};
use crate::{Demand, counts_for};
use model::lock::Account;
use model::role::{FileRule, Forwarding, FourEyes, OnLeave, RoleSet};
use model::{Correction, LockTarget, SeatRole};

const WATCHED: [&str; 4] = [
    "name = 'dev'\nallow = { logins = ['root', '{user}', 'web'], nodes = { '*' = ['*'] } }",
    "name = 'prod'\nallow.nodes = { env = ['prod'] }\noptions.four_eyes = [\
     { name = 'ops', logins = ['root'], roles = ['ops'] }, \
     { name = 'two leads', nodes = { zone = ['pci'] }, roles = ['lead'], count = 2, on_leave = 'end' }]",
    "name = 'trainee'\noptions.four_eyes = [{ name = 'a teacher', logins = ['{user}', '{logins}'], \
     roles = ['*'], seats = ['observer', 'peer'], confirm_minutes = 5 }]",
    "name = 'ops'",
];

#[test]
fn each_role_demands_its_four_eyes_where_node_and_login_are_those_it_names() {
    let set = roles(&WATCHED);
    let (prod, pci, dev) = (
        &[("env", "prod")][..],
        &[("env", "prod"), ("zone", "pci")][..],
        &[("env", "dev"), ("zone", "pci")][..],
    );
    for (held, labels, name, want) in [
        ("dev", pci, "root", ""),
        ("dev prod", prod, "root", "prod: ops"),
        ("dev prod", prod, "alice", ""),
        ("dev prod", pci, "root", "prod: ops, two leads"),
        ("dev prod", pci, "alice", "prod: two leads"),
        ("dev prod", dev, "root", ""),
        ("dev trainee", dev, "root", ""),
        ("dev trainee", dev, "alice", "trainee: a teacher"),
        ("dev prod trainee", pci, "web", "prod: two leads; trainee: a teacher"),
        ("dev ghost", pci, "root", ""),
    ] {
        let held: Vec<_> = held.split(' ').collect();
        let who = account("alice", &held, &["web"]);
        let permit = crate::login(&set, &who, &node("n", labels), &login(name), NOW).unwrap();
        let show = |demand: &Demand| {
            let names: Vec<_> = demand.any_of.iter().map(|one| one.name.as_str()).collect();
            format!("{}: {}", demand.role, names.join(", "))
        };
        let got: Vec<_> = permit.terms().four_eyes.iter().map(show).collect();
        assert_eq!(got.join("; "), want, "{held:?} {labels:?} {name}");
    }
}

#[test]
fn four_eyes_stand_in_the_terms_for_people() {
    let who = account("alice", &["dev", "prod", "trainee"], &["web"]);
    let pci = node("n", &[("env", "prod"), ("zone", "pci")]);
    let trace = crate::explain(&roles(&WATCHED), &who, &pci, &login("web"), NOW);
    let rows = trace.terms.unwrap().rows();
    let rows: Vec<_> = rows.iter().filter(|(name, _)| name.starts_with("four")).collect();
    let row = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(
        rows,
        [
            &row("four eyes, for role prod", "two leads: 2 of lead as moderator, or it ends"),
            &row(
                "four eyes, for role trainee",
                "a teacher: 1 of * as observer|peer, confirmed every 5 minutes, or it freezes"
            ),
        ]
    );
}

#[test]
fn where_four_eyes_are_demanded_nothing_is_forwarded() {
    let mut set = WATCHED;
    set[0] = "name = 'dev'\nallow = { logins = ['root', '{user}'], nodes = { '*' = ['*'] }, \
              forward = ['agent', 'local', 'remote', 'x11'] }";
    let (set, prod) = (roles(&set), node("n", &[("env", "prod")]));
    let who = account("alice", &["dev", "prod"], &[]);
    for what in Forwarding::ALL {
        let ask = |name| crate::forward(&set, &who, &prod, &login(name), what, NOW);
        assert!(ask("alice").is_ok(), "{what:?}: nothing is demanded of this login");
        let denial = ask("root").unwrap_err();
        assert!(denial.to_string().contains("role prod: options.four_eyes"), "{denial}");
        let on = crate::forward_goes_on(&set, &who, &prod, &login("root"), what, NOW);
        assert!(on.is_err(), "{what:?} goes on");
    }
}

#[test]
fn nobody_at_all_is_never_enough() {
    let set = roles(&["name = 'dev'\nallow = { logins = ['root'], nodes = { '*' = ['*'] } }\n\
         options.four_eyes = [{ name = 'x', roles = ['ops'], count = 0 }]"]);
    let who = account("alice", &["dev"], &[]);
    let permit = crate::login(&set, &who, &node("n", &[]), &login("root"), NOW).unwrap();
    assert_eq!(permit.terms().four_eyes[0].any_of[0].count, 1);
}

/// Demands as the terms of a session of alice would have them.
fn demands() -> Vec<Demand> {
    let one = |roles: &[&str], seats: &[SeatRole]| FourEyes {
        roles: roles.iter().map(|role| (*role).to_owned()).collect(),
        seats: seats.into(),
        on_leave: OnLeave::End,
        ..FourEyes::default()
    };
    let (moderator, looker) = (&[SeatRole::Moderator][..], &[SeatRole::Observer, SeatRole::Peer]);
    let demand = |role: &str, any_of| Demand { role: role.parse().unwrap(), any_of };
    vec![
        demand("prod", vec![one(&["ops"], moderator), one(&["lead", "ops"], looker)]),
        demand("trainee", vec![one(&["*"], looker), one(&[], &SeatRole::ALL), one(&["lead"], &[])]),
        demand("gone", vec![one(&["gone"], &SeatRole::ALL)]),
    ]
}

#[test]
fn a_person_counts_where_a_role_of_theirs_and_their_seat_are_asked_for() {
    let set = roles(&["name = 'ops'", "name = 'lead'", "name = 'dev'"]);
    let (observer, peer, moderator) = (SeatRole::Observer, SeatRole::Peer, SeatRole::Moderator);
    for (name, held, seat, want) in [
        ("bob", &["ops"][..], moderator, &[(0, 0)][..]),
        ("bob", &["ops"], observer, &[(0, 1), (1, 0)]),
        ("bob", &["lead"], peer, &[(0, 1), (1, 0)]),
        ("bob", &["lead"], moderator, &[]),
        ("bob", &["dev"], observer, &[(1, 0)]),
        ("bob", &["dev"], moderator, &[]),
        ("bob", &[], peer, &[(1, 0)]),
        ("bob", &["op"], moderator, &[]),
        // A role that does not exist any more, though people and rules still name it.
        ("bob", &["gone"], moderator, &[]),
        // The owner is not their own second pair of eyes.
        ("alice", &["ops", "lead"], moderator, &[]),
        ("alice", &["ops", "lead"], observer, &[]),
    ] {
        let who = account(name, held, &[]);
        let got = counts_for(&set, &who, &demands(), &user("alice"), seat, NOW);
        assert_eq!(got, want, "{name} {held:?} {seat}");
    }
    let bob = account("bob", &["ops"], &[]);
    assert!(counts_for(&set, &bob, &[], &user("alice"), moderator, NOW).is_empty());
}

#[test]
fn who_counts_is_decided_by_what_is_and_not_by_what_the_certificate_says() {
    let owner = user("alice");
    let bob = with_certificate(&account("bob", &["ops"], &[]), &["bob"], "bob");
    let counts = |set: &RoleSet, now| {
        !counts_for(set, &bob, &demands(), &owner, SeatRole::Moderator, now).is_empty()
    };
    let set = roles(&["name = 'ops'", "name = 'dev'"]);
    assert!(counts(&set, NOW));
    assert!(!counts(&set, bob.expires()), "an expired certificate");
    let held = |roles: &[&str]| {
        let roles = roles.iter().map(|role| role.parse().unwrap()).collect();
        Some(Account { roles, logins: Vec::new() })
    };
    for (what, account, void, want) in [
        ("as it was", held(&["ops"]), 0, true),
        ("demoted", held(&["dev"]), 0, false),
        ("removed", None, 0, false),
        ("another account of the name", held(&["ops"]), 1, false),
    ] {
        let mut set = set.clone();
        set.corrections.insert(user("bob"), Correction { account, void });
        assert_eq!(counts(&set, NOW), want, "{what}");
    }
    for (kind, name, want) in
        [("user", "bob", false), ("role", "ops", false), ("user", "carol", true)]
    {
        let mut set = set.clone();
        set.locks.push(lock(1, LockTarget::from_parts(kind, name).unwrap()));
        assert_eq!(counts(&set, NOW), want, "a lock on {kind} {name}");
    }
    let promoted = with_certificate(&account("bob", &["dev"], &[]), &["bob"], "bob");
    let mut set = set.clone();
    set.corrections.insert(user("bob"), Correction { account: held(&["ops"]), void: 0 });
    let got = counts_for(&set, &promoted, &demands(), &owner, SeatRole::Moderator, NOW);
    assert_eq!(got, [(0, 0)], "who was given the role since");
}

#[test]
fn where_each_file_is_approved_nothing_runs_without_a_terminal() {
    let eyes = |files: &str| {
        format!(
            "name = 'dev'\nallow = {{ logins = ['root'], nodes = {{ '*' = ['*'] }} }}\n\
             options.four_eyes = [{{ name = 'x', roles = ['ops'] }}, \
             {{ name = 'y', roles = ['ops'], logins = ['root']{files} }}]"
        )
    };
    for (files, each) in [("", false), (", files = 'watched'", false), (", files = 'each'", true)] {
        let set = roles(&[&eyes(files)]);
        let who = account("alice", &["dev"], &[]);
        let permit = crate::login(&set, &who, &node("n", &[]), &login("root"), NOW).unwrap();
        assert_eq!(permit.terms().approves_files(), each, "{files}");
        assert_eq!(permit.permits_streams(), !each, "{files}");
        let rows = permit.terms().rows();
        assert_eq!(rows.iter().any(|(_, it)| it.contains("each file is approved")), each);
    }
}

#[test]
fn a_file_is_let_through_by_as_many_people_as_must_be_there_and_only_by_words_about_it() {
    let set = roles(&["name = 'ops'", "name = 'lead'", "name = 'dev'"]);
    let one = |role: &str, count, files| FourEyes {
        roles: vec![role.to_owned()],
        count,
        files,
        ..FourEyes::default()
    };
    let demand = |any_of| Demand { role: "prod".parse().unwrap(), any_of };
    let (watched, each) = (FileRule::Watched, FileRule::Each);
    let ops = demand(vec![one("ops", 1, each)]);
    let either = demand(vec![one("ops", 2, watched), one("lead", 1, each)]);
    let looks = demand(vec![one("dev", 1, watched)]);
    let id = |byte| model::SessionId::from_random([byte; 16]);
    let (owner, root) = (user("alice"), login("root"));
    let facts =
        |byte| crate::SessionFacts { id: id(byte), owner: &owner, roles: &[], login: &root };
    for (demands, words, enough) in [
        (vec![&ops], "bob ops 1", true),
        (vec![&ops], "", false),
        (vec![&ops], "bob ops 2", false),
        (vec![&ops], "alice ops 1", false),
        (vec![&ops], "bob dev 1", false),
        (vec![&ops, &looks], "bob ops 1", true),
        (vec![&ops, &looks], "dan dev 1", false),
        (vec![&looks], "dan dev 1", false),
        (vec![&either], "bob ops 1", false),
        (vec![&either], "bob ops 1, bob ops 1", false),
        (vec![&either], "bob ops 1, carol ops 1", true),
        (vec![&either], "carol lead 1", true),
        (vec![&ops, &either], "carol lead 1", false),
        (vec![&ops, &either], "carol lead 1, bob ops 1", true),
        (vec![], "bob ops 1", false),
    ] {
        let demands: Vec<_> = demands.into_iter().cloned().collect();
        let say = |word: &str, seat, session| {
            let [name, held, number] = word.split(' ').collect::<Vec<_>>()[..] else { panic!() };
            let (who, number) = (account(name, &[held], &[]), number.parse().unwrap());
            crate::voice(&set, &who, &demands, &facts(session), seat, number, NOW)
        };
        let said = |seat, session| -> Vec<_> {
            let words = words.split(", ").filter(|word| !word.is_empty());
            words.filter_map(|word| say(word, seat, session)).collect()
        };
        let moderators = said(SeatRole::Moderator, 7);
        let permit = crate::file(&demands, id(7), 1, &moderators);
        assert_eq!(permit.is_some(), enough, "{words}");
        if let Some(permit) = permit {
            assert_eq!((permit.session(), permit.number()), (id(7), 1));
        }
        assert!(crate::file(&demands, id(7), 1, &said(SeatRole::Moderator, 8)).is_none());
        assert!(said(SeatRole::Observer, 7).is_empty() && said(SeatRole::Peer, 7).is_empty());
    }
}

#[test]
fn whoever_is_locked_out_and_a_guest_say_nothing_about_a_file() {
    let mut set = roles(&["name = 'ops'"]);
    let each = FourEyes { roles: vec!["*".into()], files: FileRule::Each, ..FourEyes::default() };
    let demands = [Demand { role: "prod".parse().unwrap(), any_of: vec![each] }];
    let (owner, root, who) = (user("alice"), login("root"), account("bob", &["ops"], &[]));
    let id = model::SessionId::from_random([7; 16]);
    let facts = crate::SessionFacts { id, owner: &owner, roles: &[], login: &root };
    let voice = |set: &RoleSet, who: &crate::Identity| {
        crate::voice(set, who, &demands, &facts, SeatRole::Moderator, 1, NOW).is_some()
    };
    assert!(voice(&set, &who));
    let guest = crate::Identity::guest("bob", NOW.plus_ms(60_000));
    assert!(!voice(&set, &guest));
    set.locks = vec![lock(1, LockTarget::User(user("bob")))];
    assert!(!voice(&set, &who));
}

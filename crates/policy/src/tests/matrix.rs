//! The whole matrix role × action × object as one page that a reviewer reads; a change of policy shows as a change of this page.
//!
//! A new variant of what may be asked, or a new option of a role, does not compile here until it has its place on the page.

use super::decisions::with_certificate;
use super::locks::lock;
use super::{NOW, account, login, node, roles, user};
use crate::{
    Identity, SessionFacts, admin, default_roles, enter, explain, forward, go_on, join, logins_on,
    plan_user_certificate, reach, readable, recording, seat_goes_on, seats, share,
};
use model::role::{
    AdminRight, Allow, Deny, Forwarding, KernelOptions, NodeFacts, OnLeave, Options, Reading,
    RecordingAction, RecordingPolicy, Role, RoleSet,
};
use model::{LockTarget, SeatRole, SessionId};
use std::fmt::Write;

const OTHERS: [&str; 9] = [
    "name = 'dev'\nallow = { logins = ['{user}', 'deploy'], nodes = { env = ['dev'] }, forward = ['local'] }",
    "name = 'auditor'\nallow = { recordings = { list = 'all', play = 'all' }, admin = ['audit'] }",
    "name = 'prod-reader'\nallow.recordings = { list = { nodes = { env = ['prod'] } }, play = 'own', export = 'none' }",
    "name = 'no-root'\ndeny = { logins = ['root'], nodes = { env = ['prod'] } }",
    "name = 'strict-prod'\nallow.nodes = { env = ['prod'] }\noptions = { record = 'strict', record_typed = true, \
     record_transfers = true, kernel = { files = { under = ['/etc', '/srv'], except = ['/srv/cache'] }, network = true, require = true, lossless = true }, exec_stream_bytes = 99999999, session_minutes = 60, idle_minutes = 5, certificate_minutes = 30, disconnect_expired = false, second_factor = true }",
    "name = 'unrecorded'\noptions = { record = 'off', record_typed = false, record_transfers = false, kernel = { commands = false, files = { under = ['/root'] }, network = { to = ['10.0.0.0/8'] }, ledger = ['reach', 'changes'] }, exec_stream_bytes = 1, \
     record_where = [{ nodes = { env = ['prod'] }, record = 'spool' }] }",
    "name = 'helper'\nallow = { share = ['observer'], guests = ['observer'], join = [{ roles = ['access'], seats = ['observer'] }, \
     { roles = ['*'], nodes = { env = ['dev'] }, seats = ['observer', 'peer', 'moderator'] }] }",
    "name = 'no-peer'\ndeny.join = ['peer']",
    "name = 'watched'\noptions.four_eyes = [\
     { name = 'a second admin', nodes = { env = ['prod'] }, roles = ['admin'], on_leave = 'end' }, \
     { name = 'two helpers', roles = ['helper', 'admin'], seats = ['observer', 'peer'], count = 2, confirm_minutes = 5 }, \
     { name = 'anybody for root', logins = ['root'], roles = ['*'] }]",
];

const HELD: [&[&str]; 15] = [
    &["admin"],
    &["access"],
    &["dev"],
    &["auditor"],
    &["prod-reader"],
    &["admin", "no-root"],
    &["access", "strict-prod"],
    &["access", "unrecorded"],
    &["access", "unrecorded", "strict-prod"],
    &["helper"],
    &["helper", "no-root"],
    &["admin", "no-peer"],
    &["admin", "watched"],
    &["ghost"],
    &[],
];

/// Each list must name every variant: the compiler asks for the missing arm, and the arm for its place in the list.
macro_rules! every {
    ($name:ident: $type:ty = $($variant:ident),*) => {
        fn $name() -> Vec<$type> {
            let all = vec![$(<$type>::$variant),*];
            for one in &all {
                match one { $(<$type>::$variant => {})* }
            }
            all
        }
    };
}

every!(every_forwarding: Forwarding = Agent, Local, Remote, X11);
every!(every_action: RecordingAction = List, Play, Export, Remove);
every!(every_right: AdminRight = Users, Roles, Nodes, Audit, Locks);
every!(every_policy: RecordingPolicy = Off, Spool, Strict);
every!(every_seat: SeatRole = Observer, Peer, Moderator);
every!(every_leave: OnLeave = Freeze, End);

#[test]
fn every_field_of_a_role_is_on_the_page() {
    let mut set = roles(&OTHERS);
    set.roles.extend(default_roles().roles);
    // A field that is added to a role does not compile here; some role of the page must then use it.
    for role in set.roles.values() {
        let Role { name: _, description: _, allow, deny, options } = role;
        let Allow {
            logins: _,
            nodes: _,
            forward: _,
            recordings: _,
            admin: _,
            join: _,
            share: _,
            guests: _,
        } = allow;
        let Deny { logins: _, nodes: _, join: _ } = deny;
        let Options {
            record: _,
            record_where: _,
            exec_stream_bytes: _,
            record_typed: _,
            record_transfers: _,
            certificate_minutes: _,
            session_minutes: _,
            idle_minutes: _,
            disconnect_expired: _,
            second_factor: _,
            kernel:
                KernelOptions { commands: _, files: _, network: _, require: _, lossless: _, ledger: _ },
            four_eyes: _,
        } = options;
    }
    let readings: Vec<_> =
        set.roles.values().flat_map(|role| role.allow.recordings.values()).collect();
    for (name, used) in [
        ("none", readings.iter().any(|reading| matches!(reading, Reading::None))),
        ("own", readings.iter().any(|reading| matches!(reading, Reading::Own))),
        ("nodes", readings.iter().any(|reading| matches!(reading, Reading::Nodes(_)))),
        ("all", readings.iter().any(|reading| matches!(reading, Reading::All))),
    ] {
        assert!(used, "no role of the page reads {name}");
    }
    let asked: Vec<_> = set.roles.values().filter_map(|role| role.options.record).collect();
    for policy in every_policy().into_iter().filter(|policy| *policy != RecordingPolicy::Spool) {
        assert!(asked.contains(&policy), "no role of the page records {policy:?}");
    }
    let rules: Vec<_> = set.roles.values().flat_map(|role| &role.options.four_eyes).collect();
    for leave in every_leave() {
        assert!(
            rules.iter().any(|rule| rule.on_leave == leave),
            "no role of the page says {leave:?}"
        );
    }
    assert!(set.roles.values().any(|role| !role.allow.guests.is_empty()), "no role has guests");
    for seat in every_seat() {
        assert!(rules.iter().any(|rule| rule.seats.contains(&seat)), "no role demands a {seat}");
    }
}

#[test]
fn the_matrix_of_roles_actions_and_objects_stands_as_committed() {
    let mut set = roles(&OTHERS);
    set.roles.extend(default_roles().roles);
    let mut page = String::new();
    for held in HELD {
        let who = account("alice", held, &["web"]);
        let names = if held.is_empty() { "no role".to_owned() } else { held.join(" + ") };
        writeln!(page, "alice with {names}").unwrap();
        for (name, env) in [("web-01", "prod"), ("box-01", "dev")] {
            on_node(&mut page, &set, &who, &node(name, &[("env", env)]), env);
        }
        for action in every_action() {
            let seen = readable(&set, &who, action, NOW);
            writeln!(page, "  may {action:?} at all: {seen:?}").unwrap();
        }
        for right in every_right() {
            let got = admin(&set, &who, right, NOW).is_ok();
            writeln!(page, "  administer {right:?}: {}", word(got)).unwrap();
        }
    }
    insta::assert_snapshot!(page);
}

fn on_node(page: &mut String, set: &RoleSet, who: &Identity, node: &NodeFacts, env: &str) {
    let at = &node.name;
    for name in ["alice", "root", "web", "deploy", "bob"] {
        let got = crate::login(set, who, node, &login(name), NOW);
        let terms = explain(set, who, node, &login(name), NOW).terms;
        assert_eq!(terms.is_some(), got.is_ok(), "what is explained is what is decided");
        writeln!(page, "  login {name}@{at} ({env}): {}", word(got.is_ok())).unwrap();
        for (what, value) in terms.map(|terms| terms.rows()).unwrap_or_default() {
            // The rest of the terms is the same for every login of the page.
            if name == "alice" || what.starts_with("four eyes") {
                writeln!(page, "    on terms: {what}: {value}").unwrap();
            }
        }
    }
    let logins: Vec<_> = logins_on(set, who, node, NOW).into_iter().map(String::from).collect();
    let seen = if logins.is_empty() { "-".to_owned() } else { logins.join(", ") };
    writeln!(page, "  sees {at} ({env}) with: {seen}").unwrap();
    for what in every_forwarding() {
        let got = forward(set, who, node, &login("alice"), what, NOW).is_ok();
        writeln!(page, "  forward {what:?} as alice on {at} ({env}): {}", word(got)).unwrap();
    }
    for (owner, held, as_whom) in
        [("alice", "access", "alice"), ("bob", "access", "root"), ("carol", "admin", "carol")]
    {
        let (owner, as_whom, held) = (user(owner), login(as_whom), [held.parse().unwrap()]);
        let id = SessionId::from_random([7; 16]);
        let session = SessionFacts { id, owner: &owner, roles: &held, login: &as_whom };
        let may = seats(set, who, node, &session, NOW);
        let may: Vec<_> = every_seat().into_iter().filter(|seat| may.contains(seat)).collect();
        let may = may.iter().map(|seat| seat.word()).collect::<Vec<_>>().join(", ");
        let [held] = held;
        let may = if may.is_empty() { "-" } else { &may };
        writeln!(page, "  join {owner}'s ({held}), {as_whom}@{at} ({env}), as: {may}").unwrap();
    }
    on_sharing(page, set, who, node, env);
    for owner in ["alice", "bob"] {
        for action in every_action() {
            let got = recording(set, who, action, &user(owner), &node.labels, NOW).is_ok();
            writeln!(page, "  {action:?} {owner}'s on {env}: {}", word(got)).unwrap();
        }
    }
}

fn on_sharing(page: &mut String, set: &RoleSet, who: &Identity, node: &NodeFacts, env: &str) {
    let held: Vec<_> = who.roles().iter().cloned().collect();
    let (owner, login, id) = (user("alice"), login("alice"), SessionId::from_random([7; 16]));
    let own = SessionFacts { id, owner: &owner, roles: &held, login: &login };
    for (guests, whom) in [(false, ""), (true, " with guests")] {
        let may = |seat: &SeatRole| share(set, who, node, &own, *seat, guests, NOW).is_ok();
        let seats: Vec<_> = every_seat().into_iter().filter(may).map(SeatRole::word).collect();
        let seats = if seats.is_empty() { "-".to_owned() } else { seats.join(", ") };
        writeln!(page, "  share one's own{whom} on {} ({env}) as: {seats}", node.name).unwrap();
    }
}

fn word(allowed: bool) -> &'static str {
    if allowed { "yes" } else { "-" }
}

#[test]
fn the_matrix_of_locks_and_what_they_shut_stands_as_committed() {
    let mut page = String::new();
    let session = SessionId::from_random([7; 16]);
    let who = with_certificate(&account("alice", &["admin"], &[]), &["root", "alice"], "root");
    let (web, db) = (node("web-01", &[]), node("db-01", &[]));
    let (bob, held, root) = (user("bob"), ["access".parse().unwrap()], login("root"));
    let bobs = SessionFacts { id: session, owner: &bob, roles: &held, login: &root };
    for (kind, name) in [
        ("user", "alice"),
        ("user", "bob"),
        ("role", "admin"),
        ("role", "access"),
        ("login", "root"),
        ("node", "web-01"),
        ("session", &session.to_string()),
    ] {
        let mut set = default_roles();
        set.locks.push(lock(1, LockTarget::from_parts(kind, name).unwrap()));
        writeln!(page, "alice, an admin, with a lock on {kind} {name}").unwrap();
        let mut row = |what: &str, allowed| writeln!(page, "  {what}: {}", word(allowed)).unwrap();
        row("use the cluster", enter(&set, &who, NOW).is_ok());
        for node in [&web, &db] {
            row(&format!("reach {}", node.name), reach(&set, &who, &node.name, NOW).is_ok());
            for name in ["root", "alice"] {
                let login = login(name);
                let at = format!("{name}@{}", node.name);
                row(&format!("login {at}"), crate::login(&set, &who, node, &login, NOW).is_ok());
                let local = forward(&set, &who, node, &login, Forwarding::Local, NOW).is_ok();
                row(&format!("forward as {at}"), local);
                let all = go_on(&set, &who, node, &login, None, NOW).is_ok();
                row(&format!("go on as {at}"), all);
                let one = go_on(&set, &who, node, &login, Some(session), NOW).is_ok();
                row(&format!("go on with session 07070707 as {at}"), one);
            }
            let what = format!("session 07070707 of bob, an access, root@{}", node.name);
            let comes = join(&set, &who, node, &bobs, SeatRole::Observer, None, NOW).is_ok();
            row(&format!("join {what}"), comes);
            let stays =
                seat_goes_on(&set, &who, node, &bobs, SeatRole::Observer, None, NOW).is_ok();
            row(&format!("stay in {what}"), stays);
        }
        let own = recording(&set, &who, RecordingAction::Play, &user("alice"), &web.labels, NOW);
        row("play one's own recordings", own.is_ok());
        row("administer locks", admin(&set, &who, AdminRight::Locks, NOW).is_ok());
        let plan = plan_user_certificate(&set, &who, None, 1, NOW);
        row("be given a certificate", plan.is_ok());
        let names = plan.map(|plan| plan.principals().join(" ")).unwrap_or_default();
        writeln!(page, "  principals: {names}").unwrap();
    }
    insta::assert_snapshot!(page);
}

//! The whole matrix role × action × object as one page that a reviewer reads; a change of policy shows as a change of this page.

use super::decisions::with_certificate;
use super::locks::lock;
use super::{NOW, account, login, node, roles, user};
use crate::{admin, default_roles, enter, forward, go_on, plan_user_certificate, reach, recording};
use model::role::{AdminRight, Forwarding, RecordingAction};
use model::{LockTarget, SessionId};
use std::fmt::Write;

const OTHERS: [&str; 4] = [
    "name = 'dev'\nallow = { logins = ['{user}', 'deploy'], nodes = { env = ['dev'] }, forward = ['local'] }",
    "name = 'auditor'\nallow = { recordings = { list = 'all', play = 'all' }, admin = ['audit'] }",
    "name = 'prod-reader'\nallow.recordings = { list = { nodes = { env = ['prod'] } }, play = 'own' }",
    "name = 'no-root'\ndeny = { logins = ['root'], nodes = { env = ['prod'] } }",
];

#[test]
fn the_matrix_of_roles_actions_and_objects_stands_as_committed() {
    let mut set = roles(&OTHERS);
    set.roles.extend(default_roles().roles);
    let mut page = String::new();
    for held in [
        &["admin"][..],
        &["access"],
        &["dev"],
        &["auditor"],
        &["prod-reader"],
        &["admin", "no-root"],
        &["ghost"],
        &[],
    ] {
        let who = account("alice", held, &["web"]);
        writeln!(
            page,
            "alice with {}",
            if held.is_empty() { "no role".to_owned() } else { held.join(" + ") }
        )
        .unwrap();
        let word = |allowed| if allowed { "yes" } else { "-" };
        for (name, env) in [("web-01", "prod"), ("box-01", "dev")] {
            let node = node(name, &[("env", env)]);
            for name in ["alice", "root", "web", "deploy", "bob"] {
                let got = crate::login(&set, &who, &node, &login(name), NOW).is_ok();
                writeln!(page, "  login {name}@{} ({env}): {}", node.name, word(got)).unwrap();
            }
            for what in [Forwarding::Local, Forwarding::Remote, Forwarding::Agent, Forwarding::X11]
            {
                let got = forward(&set, &who, &node, &login("alice"), what, NOW).is_ok();
                writeln!(
                    page,
                    "  forward {what:?} as alice on {} ({env}): {}",
                    node.name,
                    word(got)
                )
                .unwrap();
            }
            for owner in ["alice", "bob"] {
                for action in [
                    RecordingAction::List,
                    RecordingAction::Play,
                    RecordingAction::Export,
                    RecordingAction::Remove,
                ] {
                    let got =
                        recording(&set, &who, action, &user(owner), &node.labels, NOW).is_ok();
                    writeln!(page, "  {action:?} {owner}'s on {env}: {}", word(got)).unwrap();
                }
            }
        }
        for right in [
            AdminRight::Users,
            AdminRight::Roles,
            AdminRight::Nodes,
            AdminRight::Audit,
            AdminRight::Locks,
        ] {
            let got = admin(&set, &who, right, NOW).is_ok();
            writeln!(page, "  administer {right:?}: {}", word(got)).unwrap();
        }
    }
    insta::assert_snapshot!(page);
}

#[test]
fn the_matrix_of_locks_and_what_they_shut_stands_as_committed() {
    let mut page = String::new();
    let session = SessionId::from_random([7; 16]);
    let who = with_certificate(&account("alice", &["admin"], &[]), &["root", "alice"], "root");
    let (web, db) = (node("web-01", &[]), node("db-01", &[]));
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
        let word = |allowed| if allowed { "yes" } else { "-" };
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

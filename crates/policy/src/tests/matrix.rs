//! The whole matrix role × action × object as one page that a reviewer reads; a change of policy shows as a change of this page.

use super::{NOW, account, login, node, roles, user};
use crate::{admin, default_roles, forward, recording};
use model::role::{AdminRight, Forwarding, RecordingAction};
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
                    let got = recording(&set, &who, action, &user(owner), &node.labels).is_ok();
                    writeln!(page, "  {action:?} {owner}'s on {env}: {}", word(got)).unwrap();
                }
            }
        }
        for right in [AdminRight::Users, AdminRight::Roles, AdminRight::Nodes, AdminRight::Audit] {
            writeln!(page, "  administer {right:?}: {}", word(admin(&set, &who, right).is_ok()))
                .unwrap();
        }
    }
    insta::assert_snapshot!(page);
}

//! The whole matrix role × action × object as one page that a reviewer reads; a change of policy shows as a change of this page.
//!
//! A new variant of what may be asked, or a new option of a role, does not compile here until it has its place on the page. A new
//! door of this room fails here until it is asked for a page, or stands in a list with the test that has what it denies.

mod page;
mod places;
mod shut;

use super::{NOW, account, node, roles};
use crate::{Identity, default_roles};
use model::SeatRole;
use model::role::{
    AdminRight, Allow, Deny, FileRule, Forwarding, FourEyes, JoinRule, KernelOptions, OnLeave,
    Options, Reading, RecordWhere, RecordingAction, RecordingPolicy, Role, RoleSet,
};
use page::{Page, ask};
use std::collections::{BTreeMap, BTreeSet};

const OTHERS: [&str; 10] = [
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
    "name = 'guarded'\noptions.four_eyes = [\
     { name = 'words of two helpers', nodes = { env = ['prod'] }, roles = ['helper'], seats = ['peer', 'moderator'], count = 2, files = 'each' }, \
     { name = 'a word of an admin', nodes = { env = ['prod'] }, roles = ['admin'], files = 'each' }]",
];

const HELD: [&[&str]; 16] = [
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
    &["access", "guarded"],
    &["ghost"],
    &[],
];

/// What this room shows to others.
const SHOWN: &str = include_str!("../lib.rs");
/// Doors without a row: what they decide about is no role's, or of nobody. Each with the test that has what it denies.
const ELSEWHERE: [(&str, &str); 7] = [
    ("builder", "a_certificate_is_not_certified"),
    ("carried", "a_certificate_for_a_terminal_counts_by_the_proxy_only_that_it_was_signed_for"),
    ("plan_host_certificate", "a_host_certificate_is_believed_under_its_names_and_no_other"),
    ("read_certificate", "a_certificate_of_another_authority_does_not_count"),
    ("read_certificate_for_seat", "a_certificate_of_another_authority_does_not_count"),
    ("read_host_certificate", "a_host_certificate_with_a_fault_is_not_believed"),
    ("validate_role", "what_a_person_mistypes_in_a_role_is_found_and_named"),
];
/// Where those tests stand.
const TESTS: [&str; 4] = [
    include_str!("attacks.rs"),
    include_str!("certificates.rs"),
    include_str!("terminals.rs"),
    include_str!("written.rs"),
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
every!(every_file_rule: FileRule = Watched, Each);

#[test]
fn every_door_of_this_room_is_asked_for_a_page_or_has_a_test_of_its_own() {
    let asked: BTreeSet<_> = of_roles().asked.into_iter().chain(shut::of_locks().asked).collect();
    let mut elsewhere = BTreeMap::from(ELSEWHERE);
    for door in doors() {
        let Some(test) = elsewhere.remove(door) else {
            assert!(asked.contains(door), "{door} is asked for no page, and has no test");
            continue;
        };
        assert!(!asked.contains(door), "{door} has rows: take it from the list");
        let declared = format!("\n#[test]\nfn {test}()");
        assert!(TESTS.iter().any(|text| text.contains(&declared)), "{door}: no test {test}");
    }
    assert!(elsewhere.is_empty(), "no such door any more: {elsewhere:?}");
}

/// The functions that this room shows to others.
fn doors() -> BTreeSet<&'static str> {
    let mut names = BTreeSet::new();
    for shown in SHOWN.split("\npub use ").skip(1) {
        let (_, list) = shown.split(';').next().unwrap().split_once("::").unwrap();
        let words = list.split(|c: char| !c.is_alphanumeric() && c != '_');
        names.extend(words.filter(|word| word.starts_with(char::is_lowercase)));
    }
    assert!(names.contains("login") && names.contains("file"), "{names:?}");
    names
}

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
            join,
            share: _,
            guests: _,
        } = allow;
        let Deny { logins: _, nodes: _, join: _ } = deny;
        let Options {
            record: _,
            record_where,
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
            four_eyes,
        } = options;
        for rule in join {
            let JoinRule { roles: _, nodes: _, seats: _ } = rule;
        }
        for special in record_where {
            let RecordWhere { nodes: _, logins: _, record: _ } = special;
        }
        for rule in four_eyes {
            let FourEyes {
                name: _,
                nodes: _,
                logins: _,
                roles: _,
                seats: _,
                count: _,
                on_leave: _,
                confirm_minutes: _,
                files: _,
            } = rule;
        }
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
    for files in every_file_rule() {
        assert!(rules.iter().any(|rule| rule.files == files), "no role of the page says {files:?}");
    }
    assert!(set.roles.values().any(|role| !role.allow.guests.is_empty()), "no role has guests");
    for seat in every_seat() {
        assert!(rules.iter().any(|rule| rule.seats.contains(&seat)), "no role demands a {seat}");
    }
}

#[test]
fn the_matrix_of_roles_actions_and_objects_stands_as_committed() {
    let page = of_roles().text;
    insta::assert_snapshot!(page);
}

#[test]
fn the_matrix_of_locks_and_what_they_shut_stands_as_committed() {
    let page = shut::of_locks().text;
    insta::assert_snapshot!(page);
}

/// Alice with each choice of roles, and somebody who has no account.
fn of_roles() -> Page {
    let mut page = Page::default();
    let mut set = roles(&OTHERS);
    set.roles.extend(ask!(page, default_roles()).roles);
    for held in HELD {
        let names = if held.is_empty() { "no role".to_owned() } else { held.join(" + ") };
        page.line(format_args!("alice with {names}"));
        of_somebody(&mut page, &set, &account("alice", held, &["web"]));
    }
    page.line("zoe, a guest");
    of_somebody(&mut page, &set, &Identity::guest("zoe", NOW.plus_ms(3_600_000)));
    page
}

fn of_somebody(page: &mut Page, set: &RoleSet, who: &Identity) {
    let got = ask!(page, enter(set, who, NOW)).is_ok();
    page.row("use the cluster", got);
    for (name, env) in [("web-01", "prod"), ("box-01", "dev")] {
        places::on_node(page, set, who, &node(name, &[("env", env)]), env);
    }
    for action in every_action() {
        let seen = ask!(page, readable(set, who, action, NOW));
        page.line(format_args!("  may {action:?} at all: {seen:?}"));
    }
    for right in every_right() {
        let got = ask!(page, admin(set, who, right, NOW)).is_ok();
        page.row(format_args!("administer {right:?}"), got);
    }
    let seen = ask!(page, overview(set, who, NOW));
    page.line(format_args!("  in menus: {seen:?}"));
    let names = ask!(page, login_names(set, who, NOW));
    page.list("logins anywhere", names);
    let plan = ask!(page, plan_user_certificate(set, who, None, 1, NOW));
    let names = plan.map(|plan| plan.principals().to_vec()).unwrap_or_default();
    page.list("a certificate for", names);
    let minutes = ask!(page, certificate_ms(set, who)) / 60_000;
    page.line(format_args!("  its longest life: {minutes} minutes"));
    let second = ask!(page, demands_second_factor(set, who));
    page.row("is asked for a second factor", second);
}

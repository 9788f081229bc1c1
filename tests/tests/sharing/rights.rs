//! Who may come to a session and stay, what those hear who may not, and that a seat is all that is to be had there.

use house::person::{Person, words};
use house::sharing::{GUEST, Owner, SIZE, Viewer, Way, guests, seat_of, sessions, told, way_to};
use house::terminal::Terminal;
use house::{Cluster, NODE, assert_success, wait_for};
use serde_json::Value;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

/// Longest from the admin's answer until a viewer is out.
const SOON: Duration = Duration::from_secs(1);

/// As what one can join.
const SEATS: [&str; 3] = ["observer", "peer", "moderator"];
/// The id of a session that there is not.
const NOBODYS: &str = "01234567-89ab-4cde-8f01-23456789abcd";

/// Waits until both are out, within the bar; gives what their terminals show at last.
#[track_caller]
fn out(viewers: &[Viewer], name: &str) -> Vec<String> {
    let began = Instant::now();
    while !viewers.iter().all(|viewer| viewer.terminal.has_ended()) {
        assert!(began.elapsed() < Duration::from_secs(20), "{name}: still there");
        std::thread::sleep(Duration::from_millis(5));
    }
    let took = began.elapsed();
    println!("{name}: out {took:?} after the admin's answer");
    assert!(took < SOON, "{name}: {took:?}");
    viewers.iter().map(Viewer::last_words).collect()
}

/// What is done to who looks on, how it is undone, and what they are told.
type Taken<'t> = (&'t str, &'t dyn Fn(), &'t dyn Fn(), &'t str);

#[test]
fn who_may_no_longer_look_on_is_out_at_once_and_told_why_and_the_owner_goes_on() {
    let cluster = Cluster::start();
    guests(&cluster);
    cluster.set_role("name = 'nothing'\n");
    let bob = Person::invited(&cluster, "bob", &[GUEST]);
    let carol = Person::invited(&cluster, "carol", &[GUEST]);
    let owner = Owner::start(&cluster, SIZE);
    let run = |args: &[&str]| assert_success(&cluster.scry(args));
    let lock = ["lock", "--user", "bob", "--reason", "lost laptop"];
    let changes: [Taken<'_>; 4] = [
        (
            "role taken away",
            &|| run(&["users", "add", "bob", "--role", "nothing"]),
            &|| run(&["users", "add", "bob", "--role", GUEST]),
            "roles no longer allow",
        ),
        (
            "role changed",
            &|| cluster.set_role(&format!("name = '{GUEST}'\n")),
            &|| guests(&cluster),
            "roles no longer allow",
        ),
        ("locked", &|| run(&lock), &|| run(&["unlock", "1"]), "locked this (lock 1)"),
        ("removed", &|| run(&["users", "rm", "bob"]), &|| (), "account was removed"),
    ];
    for (name, change, back, why) in changes {
        let stays = (name != "role changed").then(|| owner.join(&carol, Way::Ssh, "peer", SIZE));
        let viewers = [
            owner.join(&bob, Way::Scry, "moderator", SIZE),
            owner.join(&bob, Way::Ssh, "peer", SIZE),
        ];
        let numbers: Vec<_> = owner.people().iter().map(|one| one["party"].clone()).collect();
        change();
        for said in out(&viewers, name) {
            assert!(said.contains(why) && !said.contains("laptop"), "{name}: {said}");
        }
        for number in numbers.iter().rev().take(2) {
            told(&cluster, "seat.left", |event| {
                event["party"] == *number
                    && event["why"].as_str().is_some_and(|it| it.contains(why))
            });
        }
        owner.line(&format!("clear; echo '{name}' goes on"));
        owner.terminal.wait_for(&format!("{name} goes on"));
        if let Some(stays) = stays {
            owner.all_see_the_same(&[stays]);
        }
        back();
        wait_for("only the owner to be there", || owner.people().len() == 1);
    }
    owner.finish();
}

/// What a client says on a terminal before it ends.
fn said(cluster: &Cluster, command: &Command) -> String {
    let terminal = Terminal::run(cluster.folder.path(), SIZE, command);
    terminal.wait_for_end()
}

/// A session, and somebody who may do much but not join it.
fn with_eve(check: impl Fn(&Cluster, &Owner<'_>, &Person<'_>)) {
    let cluster = Cluster::start();
    let eve = Person::invited(&cluster, "eve", &["access"]);
    let owner = Owner::start(&cluster, SIZE);
    check(&cluster, &owner, &eve);
    assert_eq!(owner.people().len(), 1);
    owner.finish();
}

#[test]
fn a_session_that_one_may_not_join_is_not_listed_and_the_denial_is_in_the_ledger() {
    with_eve(|cluster, owner, eve| {
        assert_eq!(sessions(cluster).len(), 1);
        let none = eve.run(&["sessions", "--json"]);
        assert_success(&none);
        assert_eq!(words(&none).trim(), "[]");
        for seat in SEATS {
            said(cluster, &owner.way(eve, Way::Ssh, seat));
            let action = format!("join session {} on {NODE} as {seat}", owner.id);
            told(cluster, "access.denied", |event| {
                event["user"] == "eve" && event["action"] == action.as_str()
            });
        }
    });
}

#[test]
fn a_session_that_one_may_not_join_is_to_scry_join_as_one_that_there_is_not() {
    check_like_none(Way::Scry);
}

#[test]
fn a_session_that_one_may_not_join_is_to_plain_ssh_as_one_that_there_is_not() {
    check_like_none(Way::Ssh);
}

fn check_like_none(way: Way) {
    with_eve(|cluster, owner, eve| {
        for seat in SEATS {
            let hear = |id: &str| {
                let said = said(cluster, &way_to(cluster, id, eve, way, seat));
                assert!(said.contains("scry sessions"), "{said}");
                said.replace(id, "ID")
            };
            assert_eq!(hear(NOBODYS), hear(&owner.id), "{way:?} as {seat}");
        }
        // By the line, too.
        let line = |id: &str| {
            let mut ssh = eve.ssh_command();
            let out = ssh.args(["-s", &seat_of(cluster, id), "scry-company"]).output().unwrap();
            assert!(!out.status.success(), "{}", words(&out));
            words(&out).replace(id, "ID")
        };
        assert_eq!(line(NOBODYS), line(&owner.id));
    });
}

#[test]
fn who_may_look_on_may_not_type_or_moderate() {
    let cluster = Cluster::start();
    let rule = "{ roles = ['*'], seats = ['observer'] }";
    cluster.set_role(&format!("name = 'looker'\nallow.join = [{rule}]\n"));
    let dave = Person::invited(&cluster, "dave", &["looker"]);
    let owner = Owner::start(&cluster, SIZE);
    let listed = dave.run(&["sessions", "--json"]);
    let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
    assert_eq!(listed[0]["may_join"], serde_json::json!(["observer"]));
    for seat in ["peer", "moderator"] {
        for way in [Way::Scry, Way::Ssh] {
            let said = said(&cluster, &owner.way(&dave, way, seat));
            assert!(said.contains("may not join"), "{way:?} as {seat}: {said}");
        }
    }
    let looks = owner.join(&dave, Way::Ssh, "observer", SIZE);
    owner.all_see_the_same(&[looks]);
    owner.finish();
}

#[test]
fn who_comes_to_a_session_gets_a_seat_and_nothing_else() {
    let cluster = Cluster::start();
    guests(&cluster);
    let bob = Person::invited(&cluster, "bob", &[GUEST]);
    let owner = Owner::start(&cluster, SIZE);
    let seat = owner.seat();
    let run = |args: &[&str]| -> Output { bob.ssh_command().args(args).output().unwrap() };
    for (args, why) in [
        (&["-T", &seat, "observer"][..], "a terminal is needed"),
        (&["-T", &seat], "a terminal is needed"),
        (&["-tt", &seat, "owner"], "no such session runs"),
        (&["-tt", &seat, "id; touch /tmp/never"], "none of observer, peer and moderator"),
        (&["-s", &seat, "sftp"], ""),
        (&["-W", "127.0.0.1:22", &seat], "prohibited"),
    ] {
        let out = run(args);
        assert!(!out.status.success() && words(&out).contains(why), "{args:?}: {}", words(&out));
    }
    let mut listen = bob.ssh_command();
    listen.args(["-N", "-o", "ExitOnForwardFailure=yes", "-R", "0:127.0.0.1:22", &seat]);
    let out = listen.output().unwrap();
    assert!(!out.status.success(), "{}", words(&out));
    // What is no session is none, whatever its name.
    for name in ["+", "++", "+x", "+../../etc", "+00000000-0000-0000-0000-000000000000"] {
        let out = run(&["-tt", &format!("{name}@{}", cluster.host()), "observer"]);
        assert!(!out.status.success(), "{name}: {}", words(&out));
    }
    assert_eq!(owner.people().len(), 1);
    told(&cluster, "connection.request_refused", |event| event["user"] == "bob");
    owner.finish();
}

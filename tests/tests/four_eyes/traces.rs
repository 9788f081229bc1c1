//! What is left of it: processes that got away, a node that was killed, and the time line.

use crate::{A_WHILE, AT_ONCE, Watched, bob_and_carol, kill_all, time_line};
use house::apart::Apart;
use house::eyes::{Client, Counter, can_freeze, processes, set_roles, stands_as, told};
use house::{Cluster, text, wait_for};
use std::fs;
use std::process::Command;
use std::time::SystemTime;

/// A counter that has left its session's control group, as root may.
fn strays(counter: &Counter) -> String {
    let mounts = fs::read_to_string("/proc/mounts").unwrap();
    let mount = mounts.lines().find(|line| line.contains(" cgroup2 ")).expect("version 2");
    let top = mount.split(' ').nth(1).unwrap();
    format!("sh -c 'echo $$ > {top}/cgroup.procs; {}'", counter.command())
}

#[test]
fn whoever_has_left_the_sessions_group_stands_still_too_and_is_told() {
    if !can_freeze() {
        return;
    }
    let cluster = Cluster::start();
    set_roles(&cluster, "");
    let (bob, carol) = bob_and_carol(&cluster);
    let (stray, inside) = (Counter::new(&cluster, "stray"), Counter::new(&cluster, "inside"));
    let program = format!("setsid -f {} & {}", strays(&stray), inside.command());
    let mut owner = Client::open(&cluster, &bob, &[], &program);
    let session = owner.waits();
    let mut moderator = Client::come(&cluster, &carol, &session, "moderator");
    stray.runs();
    inside.runs();
    let began = SystemTime::now();
    moderator.types("q");
    let took = [&stray, &inside].map(|counter| counter.stopped_since(began));
    println!("outside and inside: {took:?}");
    assert!(took.iter().all(|took| *took < AT_ONCE), "{took:?}");
    stray.stands(A_WHILE);
    assert!(!owner.has_ended(), "{}", owner.said());
    stands_as(&cluster, &session, "frozen");
    let outside =
        told(&cluster, "session.process_outside", |event| event["session"] == session.as_str());
    assert_eq!(outside["uid"], 0, "{outside}");
    let _again = Client::come(&cluster, &carol, &session, "moderator");
    stray.runs();
    inside.runs();
    owner.signal("TERM");
    owner.ended();
    let lines = time_line(&cluster, &session);
    assert!(lines.contains("had left the session's group"), "{lines}");
    // Who hangs up leaves what was left running; the test does not.
    kill_all(&session);
}

#[test]
fn a_node_that_is_killed_while_a_session_stands_still_leaves_nothing_behind() {
    if !can_freeze() {
        return;
    }
    let mut apart = Apart::start();
    set_roles(&apart.cluster, "");
    let (bob, carol) = bob_and_carol(&apart.cluster);
    let cluster = &apart.cluster;
    let (stray, inside) = (Counter::new(cluster, "stray"), Counter::new(cluster, "inside"));
    let program = format!("setsid -f {} & {}", strays(&stray), inside.command());
    let owner = Client::open(cluster, &bob, &[], &program);
    let session = owner.waits();
    let mut moderator = Client::come(cluster, &carol, &session, "moderator");
    stray.runs();
    inside.runs();
    moderator.types("q");
    stands_as(cluster, &session, "frozen");
    // What is on the time line for a second is on disk.
    inside.stands(A_WHILE);
    apart.kill_node();
    // Nobody wakes what stood still.
    stray.stands(A_WHILE);
    inside.stands(A_WHILE);
    apart.start_node(&[]);
    wait_for("the end of what stood still", || processes(&session).is_empty());
    let group = format!("scry-{session}");
    let found = Command::new("find").args(["/sys/fs/cgroup", "-name", &group]).output().unwrap();
    assert_eq!(text(&found), "", "its group is gone");
    let lines = time_line(&apart.cluster, &session);
    assert!(lines.contains("frozen"), "{lines}");
}

#[test]
fn who_came_who_left_and_what_stood_still_is_on_the_time_line_and_none_of_it_in_the_output() {
    if !can_freeze() {
        return;
    }
    let cluster = Cluster::start();
    set_roles(&cluster, "");
    let (bob, carol) = bob_and_carol(&cluster);
    let mut watched = Watched::start(&cluster, (&bob, &carol), "counter");
    watched.moderator.types("q");
    stands_as(&cluster, &watched.session, "frozen");
    watched.moderator = Client::come(&cluster, &carol, &watched.session, "moderator");
    watched.counter.runs();
    watched.moderator.types("xy");
    watched.owner.ended();
    let lines = time_line(&cluster, &watched.session);
    let is_output = |line: &&str| !line.starts_with('[') && !line.is_empty();
    assert_eq!(lines.lines().filter(is_output).count(), 0, "the counter prints nothing: {lines}");
    let mut rest = lines.as_str();
    for word in [
        "bob came as",
        "waits: it needs somebody for",
        "carol joined as moderator",
        "goes on",
        "person 1 left",
        "frozen: the session is frozen",
        "carol joined as moderator",
        "goes on",
        "a moderator ended it",
    ] {
        let (_, behind) = rest.split_once(word).unwrap_or_else(|| panic!("no {word:?} in {rest}"));
        rest = behind;
    }
    for (event, count) in [
        ("session.waits", 1),
        ("session.frozen", 1),
        ("session.goes_on", 2),
        ("seat.taken", 2),
        ("seat.left", 2),
    ] {
        wait_for(event, || cluster.audit(event).len() == count);
    }
}

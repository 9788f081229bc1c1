//! What is left of it: processes that got away, a node that was killed, and the time line.

use crate::{A_WHILE, AT_ONCE, Watched, bob_and_carol, time_line};
use house::apart::Apart;
use house::eyes::{
    Client, Counter, can_freeze, processes, set_roles, stands_as, that_can_freeze, told,
};
use house::person::Person;
use house::{Cluster, text, wait_for};
use std::fs;
use std::process::Command;
use std::time::SystemTime;

/// A session that somebody looks at, with counters that have left its control group, as root may; run by this shell.
#[track_caller]
fn with_strays(
    cluster: &Cluster,
    (bob, carol): (&Person<'_>, &Person<'_>),
    shell: &str,
    count: usize,
) -> (Watched, Vec<Counter>) {
    let mounts = fs::read_to_string("/proc/mounts").unwrap();
    let mount = mounts.lines().find(|line| line.contains(" cgroup2 ")).expect("version 2");
    let top = mount.split(' ').nth(1).unwrap();
    let strays: Vec<_> =
        (0..count).map(|nr| Counter::new(cluster, &format!("stray-{nr}"))).collect();
    let counter = Counter::new(cluster, "inside");
    let leaves = |stray: &Counter| {
        format!("setsid -f {shell} -c 'echo $$ > {top}/cgroup.procs; {}'", stray.command())
    };
    let all: Vec<_> = strays.iter().map(leaves).chain([counter.command()]).collect();
    let owner = Client::open(cluster, bob, &[], &all.join("; "));
    let session = owner.waits();
    let moderator = Client::come(cluster, carol, &session, "moderator");
    strays.iter().chain([&counter]).for_each(Counter::runs);
    (Watched { owner, moderator, counter, session }, strays)
}

#[test]
fn whoever_has_left_the_sessions_group_stands_still_too_and_is_told() {
    check_strays("bash", 1);
}

#[test]
fn whoever_has_left_the_sessions_group_and_is_about_to_begin_a_program_stands_still_too() {
    // It forks so that a parent does nothing until its child has begun another program (vfork(2)): whoever stops that
    // child before then stops the parent, too, and within the kernel.
    check_strays("dash", 6);
}

#[track_caller]
fn check_strays(shell: &str, count: usize) {
    let Some(cluster) = that_can_freeze("") else { return };
    let (bob, carol) = bob_and_carol(&cluster);
    let (mut watched, strays) = with_strays(&cluster, (&bob, &carol), shell, count);
    let session = watched.session.clone();
    let began = SystemTime::now();
    watched.stops_by("inside", |watched| watched.moderator.types("q"));
    for stray in &strays {
        let took = stray.stopped_since(began);
        println!("{shell} outside: it ran on for {took:?}");
        assert!(took < AT_ONCE, "{took:?}");
    }
    assert!(!watched.owner.has_ended(), "{shell}: {}", watched.owner.said());
    stands_as(&cluster, &session, "frozen");
    strays.iter().for_each(|stray| stray.stands(A_WHILE / 4));
    let outside =
        told(&cluster, "session.process_outside", |event| event["session"] == session.as_str());
    assert_eq!(outside["uid"], 0, "{outside}");
    watched.moderator = Client::come(&cluster, &carol, &session, "moderator");
    strays.iter().for_each(Counter::runs);
    watched.counter.runs();
    watched.owner.signal("TERM");
    watched.owner.ended();
    let lines = time_line(&cluster, &session);
    assert!(lines.contains("had left the session's group"), "{lines}");
}

#[test]
fn a_node_that_is_killed_while_a_session_stands_still_leaves_nothing_behind() {
    if !can_freeze() {
        return;
    }
    let mut apart = Apart::start();
    set_roles(&apart.cluster, "");
    let (bob, carol) = bob_and_carol(&apart.cluster);
    let (mut watched, strays) = with_strays(&apart.cluster, (&bob, &carol), "bash", 1);
    watched.moderator.types("q");
    stands_as(&apart.cluster, &watched.session, "frozen");
    // What is on the time line for a second is on disk.
    watched.counter.stands(A_WHILE);
    apart.kill_node();
    // Nobody wakes what stood still.
    strays[0].stands(A_WHILE);
    watched.counter.stands(A_WHILE);
    apart.start_node(&[]);
    let session = watched.session.as_str();
    wait_for("the end of what stood still", || processes(session).is_empty());
    let group = format!("scry-{session}");
    let found = Command::new("find").args(["/sys/fs/cgroup", "-name", &group]).output().unwrap();
    assert_eq!(text(&found), "", "its group is gone");
    let lines = time_line(&apart.cluster, session);
    assert!(lines.contains("frozen"), "{lines}");
}

#[test]
fn who_came_who_left_and_what_stood_still_is_on_the_time_line_and_none_of_it_in_the_output() {
    let Some(cluster) = that_can_freeze("") else { return };
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

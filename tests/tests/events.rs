//! Events for the ledger outlive the node that saw them, stand there once, and one that is refused holds up no other.

use house::apart::Apart;
use house::{assert_success, wait_for};
use std::collections::{BTreeMap, BTreeSet};

/// How often each command stands in the ledger.
fn commands(apart: &Apart) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    for event in apart.cluster.audit("session.exec") {
        *found.entry(event["command"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    found
}

#[track_caller]
fn each_once(apart: &Apart, expected: &[String]) {
    wait_for("the events", || commands(apart).len() >= expected.len());
    let found = commands(apart);
    assert_eq!(found.len(), expected.len(), "{found:?}");
    assert!(expected.iter().all(|command| found.get(command) == Some(&1)), "{found:?}");
}

#[test]
fn an_event_is_in_the_ledger_once_although_the_node_was_killed_right_behind_it() {
    let rounds = if house::long() { 20 } else { 3 };
    let mut apart = Apart::in_three(str::to_owned);
    let mut expected = Vec::new();
    for round in 0..rounds {
        // While auth is there: some events are on their way, or answered, when the node dies.
        for n in 0..3 {
            let command = format!("echo there-{round}-{n}");
            assert_success(&apart.cluster.ssh(&command));
            expected.push(command);
        }
        apart.kill_node();
        apart.start_node(&[]);
        each_once(&apart, &expected);

        // While auth is away: all of them wait.
        apart.kill_cluster();
        let command = format!("echo away-{round}");
        assert_success(&apart.cluster.ssh(&command));
        expected.push(command);
        apart.kill_node();
        let events = apart.node_folder().join("node/events");
        let files = std::fs::read_dir(&events)
            .unwrap()
            .filter_map(|file| std::fs::read_to_string(file.unwrap().path()).ok());
        assert!(files.into_iter().any(|text| text.contains(&format!("away-{round}"))));
        apart.restart_cluster();
        apart.start_node(&[]);
        each_once(&apart, &expected);
    }
    let started = apart.cluster.audit("session.start");
    let sessions: BTreeSet<_> = started.iter().map(|event| event["session"].as_str()).collect();
    assert_eq!((started.len(), sessions.len()), (expected.len(), expected.len()));
    assert!(apart.cluster.audit("audit.events_lost").is_empty());
    assert_success(&apart.cluster.scry(&["audit", "verify"]));
    println!("{rounds} rounds, {} commands, each once", expected.len());
}

#[test]
fn an_event_that_is_refused_is_set_aside_and_blocks_nothing() {
    let mut apart = Apart::start();
    apart.kill_node();
    let events = apart.node_folder().join("node/events");
    // As a node of another version left it.
    let line = |number: u64, what: &str| {
        let event = format!("{{\"time\":1,{what}}}");
        let check = blake3::hash(format!("{number} {event}").as_bytes()).to_hex();
        format!("{number} {} {event}\n", &check[..16])
    };
    let exec = |command: &str| format!("\"event\":\"session.exec\",\"command\":\"{command}\"");
    let text = line(1, &exec("before"))
        + &line(2, "\"event\":\"session.teleported\",\"to\":\"mars\"")
        + &line(3, &exec("behind"));
    std::fs::write(events.join(format!("00000000-{}.log", "ab".repeat(16))), text).unwrap();
    apart.start_node(&[]);
    each_once(&apart, &["before".to_owned(), "behind".to_owned()]);
    wait_for("the refusal", || !apart.cluster.audit("audit.events_refused").is_empty());
    let told = apart.cluster.audit("audit.events_refused");
    assert_eq!((told.len(), &told[0]["count"], &told[0]["node"]), (1, &1.into(), &"box".into()));
    let aside = std::fs::read_to_string(events.join("refused.jsonl")).unwrap();
    assert_eq!(aside.lines().count(), 1, "{aside}");
    assert!(aside.contains("session.teleported") && aside.contains("mars"), "{aside}");
    apart.kill_node();
    apart.start_node(&[]);
    assert_success(&apart.cluster.ssh("echo third"));
    each_once(&apart, &["before", "behind", "echo third"].map(str::to_owned));
    assert_eq!(apart.cluster.audit("audit.events_refused").len(), 1);
}

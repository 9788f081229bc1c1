//! One part dies or is stopped alone: auth, the proxy, the node; and the lines between them are cut.

use chance::Random;
use house::apart::Apart;
use house::crash_point::{CrashPoint, library};
use house::lines::{EVERY_MS, Numbered, Recorded, Seen, command};
use house::relay::{Line, Relay};
use house::{Cluster, assert_success, free_port, text, wait_for};
use std::time::{Duration, Instant};

/// Lines that a session prints in so many milliseconds.
const fn lines(ms: u64) -> u64 {
    ms / EVERY_MS
}

fn wait_live(cluster: &Cluster, how_many: usize) {
    wait_for("the sessions", || cluster.live_recordings().len() >= how_many);
}

/// The person saw all of it, and so does the recording: nothing is lost, nothing is a gap.
#[track_caller]
fn check_whole(cluster: &Cluster, seen: &Seen, count: u64) {
    assert_eq!(seen.last(), Some(count - 1), "{}: {}", seen.tag, seen.said());
    assert!(seen.out.status.success(), "{}: {}", seen.tag, seen.said());
    let rows = cluster.stored_recordings();
    let recorded = Recorded::of(cluster, &rows, &seen.tag).expect("a recording");
    assert_eq!(recorded.last, Some(count - 1), "{recorded:#?}");
    assert_eq!(recorded.gaps(), 0, "{recorded:#?}");
}

#[test]
fn auth_dies_alone_and_sessions_go_on_spool_and_catch_up() {
    let rounds = if house::long() { 40 } else { 4 };
    let points = [
        None,
        Some(("sync", "/auth/intake/", "after", 6)),
        Some(("write", "/auth/intake/", "torn", 6)),
        Some(("write", "/auth/scry.db", "torn", 60)),
        Some(("sync", "/auth/scry.db", "before", 40)),
    ];
    let mut apart = Apart::in_three(str::to_owned);
    let library = library(apart.cluster.folder.path());
    let (mut reached, mut chosen) = (0, 0);
    for round in 0..rounds {
        let mut dice = Random(1_000 + round);
        let point = points[usize::try_from(round).unwrap() % points.len()];
        let point = point.map(|(call, below, moment, most)| {
            let number = 1 + dice.next() % most;
            CrashPoint { call, below, moment, number }
        });
        let count = lines(6_000);
        let old = Numbered::start(&apart.cluster, &format!("old-{round}"), Some(count), true);
        wait_live(&apart.cluster, 1);
        apart.kill_cluster();
        if let Some(point) = point {
            let mut command = apart.cluster_command();
            point.set(&mut command, &library);
            let auth = apart.cluster.serve_by(command);
            let deadline = Instant::now() + Duration::from_secs(4);
            while Instant::now() < deadline && !auth.has_ended() {
                std::thread::sleep(Duration::from_millis(20));
            }
            chosen += 1;
            reached += u64::from(auth.has_ended());
            apart.kill_cluster();
        }
        // Auth is away: whoever holds a certificate gets in, for ten minutes (ruling 18).
        let new = Numbered::start(&apart.cluster, &format!("new-{round}"), Some(20), false);
        let new = new.finish();
        apart.restart_cluster();
        let old = old.finish();
        check_whole(&apart.cluster, &old, count);
        check_whole(&apart.cluster, &new, 20);
        println!(
            "round {round}: auth killed at {}",
            point.map_or("once".into(), |p| p.to_string())
        );
    }
    println!("{rounds} deaths of auth alone; {reached} of {chosen} at a chosen point");
    assert!(reached * 2 >= chosen, "only {reached} of {chosen} points were reached");
    assert_success(&apart.cluster.scry(&["audit", "verify"]));
}

#[test]
fn the_node_dies_alone_and_auth_goes_on() {
    let rounds = if house::long() { 40 } else { 4 };
    let points = [
        ("write", "/node/spool/", "torn", 8),
        ("sync", "/node/spool/", "before", 2),
        ("write", "/node/spool/", "after", 8),
        ("unlink", "/node/spool/", "before", 1),
    ];
    let mut apart = Apart::start();
    let library = library(apart.cluster.folder.path());
    let (mut reached, mut with_sessions, mut with_received) = (0, 0, 0);
    for round in 0..rounds {
        let mut dice = Random(2_000 + round);
        let (call, below, moment, most) = points[usize::try_from(round).unwrap() % points.len()];
        let point = CrashPoint { call, below, moment, number: 1 + dice.next() % most };
        apart.kill_node();
        let mut command = apart.node_command(&[]);
        point.set(&mut command, &library);
        apart.start_node_by(command);
        let mut sessions = Vec::new();
        if apart.node().ready_or_ended().is_ok() {
            for (kind, terminal, count) in [("pty", true, None), ("exec", false, Some(10))] {
                let tag = format!("node-{round}-{kind}");
                sessions.push(Numbered::start(&apart.cluster, &tag, count, terminal));
            }
            let died = apart.node().wait(Duration::from_secs(5)).is_some();
            reached += u64::from(died);
        }
        apart.kill_node();
        // Auth has no more of them than at this moment, until the node is back.
        let received = apart.cluster.live_recordings();
        with_received += u64::from(received.iter().any(|row| bytes(row) > Some(0)));
        let seen: Vec<_> = sessions.into_iter().map(Numbered::finish).collect();
        // Auth goes on meanwhile: people sign in and look at what was recorded.
        assert_success(&apart.cluster.scry(&["recordings", "ls"]));
        assert_success(&apart.cluster.scry(&["audit", "verify"]));
        assert!(!apart.cluster.ssh("true").status.success(), "there is no node");
        apart.start_node(&[]);
        let rows = apart.cluster.stored_recordings();
        for had in &received {
            let has = rows.iter().find(|row| row["id"] == had["id"]);
            assert!(has.and_then(bytes) >= bytes(had), "auth had {had:#}, and has {has:#?}");
        }
        with_sessions += u64::from(seen.iter().any(|seen| seen.last().is_some()));
        for seen in &seen {
            let Some(recorded) = Recorded::of(&apart.cluster, &rows, &seen.tag) else {
                assert_eq!(seen.last(), None, "{} was seen and not recorded", seen.tag);
                continue;
            };
            let (last, kept) =
                (seen.last().map_or(0, |n| n + 1), recorded.last.map_or(0, |n| n + 1));
            let missing = last.saturating_sub(kept);
            assert!(missing <= lines(2_000), "{}: {last} seen, {kept} kept", seen.tag);
            let told = recorded.gaps() == 1 && recorded.verdict.contains("gap");
            assert!(missing == 0 || told, "{recorded:#?}");
        }
        println!("round {round}: the node killed {point}: {} sessions", seen.len());
    }
    println!("{rounds} deaths of the node alone; {reached} at the chosen point");
    assert!(reached * 2 >= rounds, "only {reached} of {rounds} points were reached");
    assert!(with_sessions * 2 >= rounds, "only {with_sessions} of {rounds} rounds had sessions");
    assert!(with_received * 10 >= rounds, "auth had received something in some of them");
}

/// Bytes that auth has of a recording, by its row.
fn bytes(row: &serde_json::Value) -> Option<u64> {
    row["bytes"].as_u64()
}

#[test]
fn the_proxy_dies_and_its_sessions_end_recorded_to_their_last_line() {
    let mut apart = Apart::in_three(str::to_owned);
    let session = Numbered::start(&apart.cluster, "proxy-lost", None, true);
    wait_live(&apart.cluster, 1);
    std::thread::sleep(Duration::from_millis(500));
    apart.kill_proxy();
    let seen = session.finish();
    apart.start_proxy(&[]);
    wait_for("the tunnel", || apart.cluster.ssh("true").status.success());
    let rows = apart.cluster.stored_recordings();
    let recorded = Recorded::of(&apart.cluster, &rows, "proxy-lost").expect("a recording");
    assert!(recorded.last >= seen.last(), "seen to {:?}: {recorded:#?}", seen.last());
    assert_eq!(recorded.gaps(), 0, "{recorded:#?}");
}

#[test]
fn a_line_to_auth_that_is_cut_costs_nothing_in_either_way() {
    cut_in_either_way(proxy_from_auth);
}

#[test]
fn a_node_that_is_cut_from_everything_loses_nothing_of_those_who_come_by_its_own_port() {
    cut_in_either_way(node_from_everything);
}

/// A cluster, and a line in it that can be cut.
struct Cuttable {
    apart: Apart,
    relay: Relay,
    /// Whether people reach auth while it is cut.
    auth_is_there: bool,
}

/// The proxy is cut from auth, and the node behind it.
fn proxy_from_auth() -> Cuttable {
    let mut relay = None;
    let apart = Apart::in_three(|auth| relay.insert(Relay::start(auth)).address.clone());
    Cuttable { apart, relay: relay.expect("a relay"), auth_is_there: false }
}

/// The node is cut from proxy and auth; people come by its own port.
fn node_from_everything() -> Cuttable {
    let mut relay = None;
    let mut apart = Apart::with_route(|proxy| relay.insert(Relay::start(proxy)).address.clone());
    let port = free_port();
    apart.kill_node();
    apart.start_node(&["--ssh-listen", &format!("127.0.0.1:{port}")]);
    come_directly(&apart.cluster, port);
    Cuttable { apart, relay: relay.expect("a relay"), auth_is_there: true }
}

/// Has whoever is given the person's settings come past the proxy, to the node's own port.
fn come_directly(cluster: &Cluster, port: u16) {
    let (path, host) = (cluster.config(), cluster.host());
    let settings = std::fs::read_to_string(&path).unwrap();
    // Of a setting that stands twice OpenSSH takes the first.
    let direct = format!(
        "Host {host}
    ProxyCommand none
    HostName 127.0.0.1
    Port {port}
    HostKeyAlias {host}
"
    );
    std::fs::write(&path, direct + &settings).unwrap();
}

fn cut_in_either_way(of: fn() -> Cuttable) {
    // Somewhat more than the ten minutes for which a node lets people in on what it knows.
    let cut = Duration::from_secs(if house::long() { 640 } else { 20 });
    println!("the line is cut for {cut:?}");
    std::thread::scope(|scope| {
        for line in [Line::Broken, Line::Silent] {
            scope.spawn(move || go_on_while_cut(of(), line, cut));
        }
    });
}

fn go_on_while_cut(of: Cuttable, line: Line, cut: Duration) {
    let Cuttable { apart, relay, auth_is_there } = of;
    let count = lines(u64::try_from(cut.as_millis()).unwrap() + 4_000);
    let old = Numbered::start(&apart.cluster, "old", Some(count), true);
    wait_live(&apart.cluster, 1);
    relay.set(line);
    let began = Instant::now();
    let new = Numbered::start(&apart.cluster, "new", Some(20), false).finish();
    let listed = apart.cluster.scry(&["recordings", "ls", "--json"]);
    assert_eq!(listed.status.success(), auth_is_there, "{listed:?}");
    assert!(!text(&listed).contains("new-line"), "auth has heard of what is cut from it");
    let until = |end: Duration| std::thread::sleep(end.saturating_sub(began.elapsed()));
    if house::long() {
        until(Duration::from_secs(570));
        assert_success(&apart.cluster.ssh("true"));
        until(Duration::from_secs(620));
        assert!(!apart.cluster.ssh("true").status.success(), "ten minutes are over");
    }
    until(cut);
    relay.set(Line::Whole);
    check_whole(&apart.cluster, &old.finish(), count);
    if house::long() {
        let refused =
            |event: &serde_json::Value| event.to_string().contains("not heard of for too long");
        wait_for("the refusal in the ledger", || {
            apart.cluster.audit("access.denied").iter().any(refused)
        });
        assert_success(&apart.cluster.ssh("true"));
    }
    // Auth may hear of it when all the others are stored.
    apart.cluster.recording_of(&command("new", Some(20)));
    check_whole(&apart.cluster, &new, 20);
    println!("{line:?} for {:?}: {count} lines, none lost", began.elapsed());
}

#[test]
fn a_session_under_strict_waits_for_auth_and_ends_when_it_does_not_come() {
    let mut relay = None;
    let apart = Apart::in_three(|auth| relay.insert(Relay::start(auth)).address.clone());
    let relay = relay.expect("a relay");
    apart.cluster.record_strictly();

    // A short cut: it waits, and goes on.
    let count = lines(12_000);
    let waits = Numbered::start(&apart.cluster, "waits", Some(count), true);
    wait_live(&apart.cluster, 1);
    relay.set(Line::Silent);
    std::thread::sleep(Duration::from_secs(10));
    relay.set(Line::Whole);
    check_whole(&apart.cluster, &waits.finish(), count);
    let started = apart.cluster.audit("session.start");
    assert!(started.iter().all(|event| event["recording"] == "strict"), "{started:#?}");

    // A long one: the session ends, with a line that says why, and what was recorded comes to auth in the end.
    let ends = Numbered::start(&apart.cluster, "ends", None, true);
    wait_live(&apart.cluster, 1);
    relay.set(Line::Broken);
    let began = Instant::now();
    let ends = ends.finish();
    let lasted = began.elapsed();
    assert!((25..60).contains(&lasted.as_secs()), "it ended after {lasted:?}");
    let said = format!("{}{}", text(&ends.out), ends.said());
    assert!(said.contains("strict"), "{said}");
    // Nobody begins another one meanwhile.
    let refused = apart.cluster.ssh("echo x");
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("strictly"), "{said}");
    relay.set(Line::Whole);
    let rows = apart.cluster.stored_recordings();
    let recorded = Recorded::of(&apart.cluster, &rows, "ends").expect("a recording");
    assert!(recorded.last >= ends.last(), "seen to {:?}: {recorded:#?}", ends.last());
}

#[test]
fn a_line_to_the_proxy_that_is_silent_for_a_moment_is_waited_out() {
    let mut relay = None;
    let apart = Apart::with_route(|proxy| relay.insert(Relay::start(proxy)).address.clone());
    let relay = relay.expect("a relay");
    let count = lines(8_000);
    let session = Numbered::start(&apart.cluster, "silent", Some(count), true);
    wait_live(&apart.cluster, 1);
    relay.set(Line::Silent);
    std::thread::sleep(Duration::from_secs(5));
    relay.set(Line::Whole);
    check_whole(&apart.cluster, &session.finish(), count);

    // Broken, the person's connection is gone; what was recorded is not.
    let session = Numbered::start(&apart.cluster, "broken", None, true);
    wait_live(&apart.cluster, 1);
    relay.set(Line::Broken);
    let seen = session.finish();
    relay.set(Line::Whole);
    wait_for("the tunnel", || apart.cluster.ssh("true").status.success());
    let rows = apart.cluster.stored_recordings();
    let recorded = Recorded::of(&apart.cluster, &rows, "broken").expect("a recording");
    assert!(
        recorded.last >= seen.last() && recorded.gaps() == 0,
        "{:?} {recorded:#?}",
        seen.last()
    );
}

#[test]
fn a_shutdown_under_load_seals_everything() {
    let mut cluster = Cluster::start();
    let mut load = cluster.ssh_command();
    load.args([&cluster.host(), "echo load-line-0; yes"]).stdout(std::process::Stdio::null());
    let mut load = load.spawn().unwrap();
    let tags: Vec<String> = (0..4).map(|n| format!("stopped-{n}")).collect();
    let start = |tag: &String| Numbered::start(&cluster, tag, None, tag.ends_with(['0', '1']));
    let sessions: Vec<_> = tags.iter().map(start).collect();
    wait_live(&cluster, 5);
    std::thread::sleep(Duration::from_secs(1));
    let began = Instant::now();
    assert!(cluster.stop().success());
    let took = began.elapsed();
    assert!(took < Duration::from_secs(25), "{took:?}");
    load.wait().unwrap();
    let seen: Vec<_> = sessions.into_iter().map(Numbered::finish).collect();
    cluster.restart();
    let rows = cluster.stored_recordings();
    assert_eq!(rows.len(), 5);
    for seen in &seen {
        let recorded = Recorded::of(&cluster, &rows, &seen.tag).expect("a recording");
        assert!(recorded.last >= seen.last(), "seen to {:?}: {recorded:#?}", seen.last());
        assert_eq!(recorded.gaps(), 0, "{recorded:#?}");
    }
    println!("stopped under load in {took:?}");
}

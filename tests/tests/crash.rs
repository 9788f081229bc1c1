//! The whole server dies, at random moments and at chosen writes, fsyncs, renames and removals: every recording opens,
//! verifies, loses at most its open segment and says so; nothing that was received is missing, and no number of a line.

use chance::Random;
use house::crash_point::{CrashPoint, library};
use house::lines::{EVERY_MS, Numbered, Recorded, command, numbers};
use house::{Cluster, assert_success, text};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Where the server dies: call, files, moments, and the highest number that is worth trying.
const POINTS: &[(&str, &str, &[&str], u64)] = &[
    ("write", "/node/spool/", &["before", "torn", "after"], 14),
    ("sync", "/node/spool/", &["before", "after"], 3),
    ("unlink", "/node/spool/", &["before", "after"], 1),
    ("write", "/auth/intake/", &["before", "torn", "after"], 12),
    ("sync", "/auth/intake/", &["before", "after"], 12),
    ("unlink", "/auth/intake/", &["before", "after"], 1),
    ("write", "/auth/recordings/", &["before", "torn", "after"], 2),
    ("sync", "/auth/recordings/", &["before", "after"], 4),
    ("rename", "/auth/recordings/", &["before", "after"], 1),
    ("write", "/auth/scry.db", &["before", "torn", "after"], 120),
    ("sync", "/auth/scry.db", &["before", "after"], 60),
];
/// One in so many rounds is a `kill -9` at a random moment.
const RANDOM: u64 = 5;
/// A segment is a second; a busy machine may be late by as much again.
const LOST_MS: u64 = 2_000;
/// Clusters that die side by side.
const CLUSTERS: u64 = 4;

#[test]
fn a_crash_at_any_point_costs_at_most_the_open_segment_and_says_so() {
    let rounds = if house::long() { 200 } else { 20 };
    let (hit, chosen) = (AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for worker in 0..CLUSTERS {
            let (hit, chosen) = (&hit, &chosen);
            scope.spawn(move || {
                let mut cluster = Cluster::start();
                let library = library(cluster.folder.path());
                for round in (worker..rounds).step_by(usize::try_from(CLUSTERS).unwrap()) {
                    let mut dice = Random(round);
                    let point = point(round, &mut dice);
                    let ended = crash(&mut cluster, round, point, &mut dice, &library);
                    chosen.fetch_add(u64::from(point.is_some()), Ordering::Relaxed);
                    hit.fetch_add(u64::from(ended && point.is_some()), Ordering::Relaxed);
                }
            });
        }
    });
    let (hit, chosen) = (hit.into_inner(), chosen.into_inner());
    println!(
        "{rounds} crash points: {} random, {chosen} chosen, {hit} of them reached",
        rounds - chosen
    );
    // One that is not reached in its time becomes a random moment, which must stay the exception.
    assert!(hit * 3 >= chosen * 2, "only {hit} of {chosen} chosen points were reached");
}

fn point(round: u64, dice: &mut Random) -> Option<CrashPoint> {
    if round % RANDOM == RANDOM - 1 {
        return None;
    }
    let kind = usize::try_from(round - round / RANDOM).unwrap() % POINTS.len();
    let (call, below, moments, most) = POINTS[kind];
    let moment = moments[dice.below(moments.len())];
    Some(CrashPoint { call, below, moment, number: 1 + dice.next() % most })
}

/// One round; answers whether the server died by itself.
fn crash(
    cluster: &mut Cluster,
    round: u64,
    point: Option<CrashPoint>,
    dice: &mut Random,
    library: &std::path::Path,
) -> bool {
    let head = text(&cluster.scry(&["audit", "verify"])).rsplit(' ').next().map(str::to_owned);
    cluster.stop();
    let mut start = cluster.server_command(&cluster.address, &[]);
    if let Some(point) = point {
        point.set(&mut start, library);
    }
    let began = cluster.serve_by(start).ready_or_ended().is_ok();
    let mut sessions = Vec::new();
    let mut received = BTreeMap::new();
    if began {
        for (kind, terminal) in [("pty", true), ("exec", false)] {
            let tag = format!("round-{round}-{kind}");
            sessions.push(Numbered::start(cluster, &tag, None, terminal));
        }
        let short = format!("round-{round}-short");
        sessions.push(Numbered::start(cluster, &short, Some(3), false));
        // Chosen points are given time to be reached.
        let most = if point.is_some() { 6_000 } else { 300 + dice.next() % 3_000 };
        let deadline = Instant::now() + Duration::from_millis(most);
        while Instant::now() < deadline && !cluster.server().has_ended() {
            note_received(cluster, &mut received);
            std::thread::sleep(Duration::from_millis(100));
        }
    }
    let ended = cluster.server().has_ended();
    cluster.kill();
    let seen: Vec<_> = sessions.into_iter().map(Numbered::finish).collect();
    cluster.restart();
    let rows = cluster.stored_recordings();
    let mut words = Vec::new();
    for seen in &seen {
        let recorded = Recorded::of(cluster, &rows, &seen.tag);
        words.push(check(seen, recorded.as_ref(), &received));
    }
    let head = head.expect("a head");
    assert_success(&cluster.scry(&["audit", "verify", "--since", &head]));
    let point = point.map_or_else(|| "a random moment".to_owned(), |point| point.to_string());
    let reached = if ended { "reached" } else { "kill -9" };
    println!("round {round}: {point} ({reached}): {}", words.join("; "));
    ended
}

/// What auth says it has of sessions that go on; it is killed perhaps before it answers.
fn note_received(cluster: &Cluster, received: &mut BTreeMap<String, u64>) {
    let out = cluster.scry(&["recordings", "ls", "--json", "--live"]);
    let rows: Vec<serde_json::Value> = serde_json::from_slice(&out.stdout).unwrap_or_default();
    for row in rows {
        let (id, bytes) = (row["id"].as_str().unwrap().to_owned(), row["bytes"].as_u64().unwrap());
        received.insert(id, bytes);
    }
}

fn check(
    seen: &house::lines::Seen,
    recorded: Option<&Recorded>,
    received: &BTreeMap<String, u64>,
) -> String {
    let (tag, last) = (&seen.tag, seen.last());
    let Some(recorded) = recorded else {
        assert_eq!(last, None, "{tag} was seen and not recorded");
        return format!("{tag} did not begin");
    };
    let id = recorded.row["id"].as_str().unwrap();
    let there = recorded.row["bytes"].as_u64().unwrap();
    let had = received.get(id).copied().unwrap_or(0);
    assert!(there >= had, "{tag}: auth had received {had} bytes, and has {there}");
    let missing =
        last.map_or(0, |last| (last + 1).saturating_sub(recorded.last.map_or(0, |n| n + 1)));
    let whole = seen.out.status.success();
    assert!(
        missing * EVERY_MS <= LOST_MS,
        "{tag}: seen to {last:?}, recorded to {:?}",
        recorded.last
    );
    if missing > 0 {
        assert!(recorded.gaps() == 1 && recorded.verdict.contains("gap"), "{tag}: {recorded:#?}");
    }
    if whole {
        assert_eq!(missing, 0, "{tag} had ended and is not whole: {recorded:#?}");
    }
    format!("{tag} seen to {last:?}, recorded to {:?}, {} gaps", recorded.last, recorded.gaps())
}

#[test]
fn what_the_checks_look_at_is_really_looked_at() {
    let text = "x-line-0\r\nnoise\nx-line-1\nx-line-3\n";
    assert_eq!(numbers(text, "x"), [0, 1, 3]);
    assert!(command("x", Some(3)).contains("echo x-line-$i"));
}

//! The whole server dies, at random moments and at chosen writes, fsyncs, renames and removals: every recording opens,
//! verifies, loses at most its open segment and says so; nothing that was received is missing, and no number of a line.

use chance::Random;
use house::crash_point::{CrashPoint, library};
use house::lines::{EVERY_MS, Numbered, Recorded, command, numbers};
use house::{Cluster, assert_success, text};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Where the server dies: call, files, moments, and the numbers that are worth trying.
/// What a start writes into the database comes before the numbers that are tried most.
const POINTS: &[(&str, &str, &[&str], std::ops::RangeInclusive<u64>)] = &[
    ("write", "/node/spool/", &["before", "torn", "after", "power"], 1..=14),
    ("sync", "/node/spool/", &["before", "after", "power"], 1..=9),
    ("unlink", "/node/spool/", &["before", "after"], 1..=1),
    ("write", "/auth/intake/", &["before", "torn", "after", "power"], 1..=12),
    ("sync", "/auth/intake/", &["before", "after", "power"], 1..=12),
    ("unlink", "/auth/intake/", &["before", "after"], 1..=1),
    ("write", "/auth/recordings/", &["before", "torn", "after", "power"], 1..=2),
    ("sync", "/auth/recordings/", &["before", "after", "power"], 1..=4),
    ("rename", "/auth/recordings/", &["before", "after", "power"], 1..=1),
    ("write", "/auth/scry.db", &["before", "torn", "after", "power"], 40..=160),
    ("sync", "/auth/scry.db", &["before", "after", "power"], 15..=75),
];
/// One in so many rounds is a `kill -9` at a random moment.
const RANDOM: u64 = 5;
/// A segment is a second; a busy machine may be late by as much again.
const LOST_MS: u64 = 2_000;
/// Lines of a session that ends by itself, perhaps.
const SHORT: u64 = 3;
/// Clusters that die side by side.
const CLUSTERS: u64 = 4;

#[test]
fn a_crash_at_any_point_costs_at_most_the_open_segment_and_says_so() {
    let rounds = if house::long() { 200 } else { 20 };
    let tally = Tally::default();
    std::thread::scope(|scope| {
        for worker in 0..CLUSTERS {
            let tally = &tally;
            scope.spawn(move || {
                let mut cluster = Cluster::start();
                let library = library(cluster.folder.path());
                for round in (worker..rounds).step_by(usize::try_from(CLUSTERS).unwrap()) {
                    let mut dice = Random(round);
                    crash(&mut cluster, round, point(round, &mut dice), &mut dice, &library, tally);
                }
                // What one crash left whole no later one has harmed.
                for row in cluster.stored_recordings() {
                    let out = cluster.verify(row["id"].as_str().unwrap());
                    assert!(out.status.success(), "{}\n{row:#}", text(&out));
                }
            });
        }
    });
    println!("{rounds} crash points: {tally:#?}");
    let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
    // One that is not reached in its time becomes a random moment, which must stay the exception.
    assert!(of(&tally.reached) * 3 >= of(&tally.chosen) * 2, "most chosen points are reached");
    // A check that finds nothing to look at has shown nothing.
    assert!(of(&tally.with_sessions) * 10 >= rounds, "some rounds have sessions");
    assert!(of(&tally.with_received) * 10 >= rounds, "auth had received something in some of them");
}

/// Rounds, and in how many of them there was what.
#[derive(Debug, Default)]
struct Tally {
    chosen: AtomicU64,
    reached: AtomicU64,
    powerless: AtomicU64,
    with_sessions: AtomicU64,
    with_received: AtomicU64,
    with_lines_lost: AtomicU64,
    with_gaps: AtomicU64,
}

impl Tally {
    fn count(count: &AtomicU64, is_so: bool) {
        count.fetch_add(u64::from(is_so), Ordering::Relaxed);
    }
}

fn point(round: u64, dice: &mut Random) -> Option<CrashPoint> {
    if round % RANDOM == RANDOM - 1 {
        return None;
    }
    let kind = usize::try_from(round - round / RANDOM).unwrap() % POINTS.len();
    let (call, below, moments, ref numbers) = POINTS[kind];
    let moment = moments[dice.below(moments.len())];
    let number = numbers.start() + dice.next() % (1 + numbers.end() - numbers.start());
    Some(CrashPoint { call, below, moment, number })
}

/// One round.
fn crash(
    cluster: &mut Cluster,
    round: u64,
    point: Option<CrashPoint>,
    dice: &mut Random,
    library: &std::path::Path,
    tally: &Tally,
) {
    let head = text(&cluster.scry(&["audit", "verify"])).rsplit(' ').next().map(str::to_owned);
    cluster.stop();
    let mut start = cluster.server_command(&cluster.address, &[]);
    if let Some(point) = point {
        point.set(&mut start, library);
    }
    let began = cluster.serve_by(start).ready_or_ended().is_ok();
    assert!(began || cluster.server().wait(Duration::from_secs(1)).is_some(), "its start hangs");
    let mut sessions = Vec::new();
    let mut received = BTreeMap::new();
    if began {
        for (kind, terminal) in [("pty", true), ("exec", false)] {
            let tag = format!("round-{round}-{kind}");
            sessions.push(Numbered::start(cluster, &tag, None, terminal));
        }
        let short = format!("round-{round}-short");
        sessions.push(Numbered::start(cluster, &short, Some(SHORT), false));
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
    for (id, had) in &received {
        let row = rows.iter().find(|row| row["id"] == **id);
        let has = row.and_then(|row| row["bytes"].as_u64());
        assert!(has >= Some(*had), "{id}: auth had received {had} bytes, and has {row:#?}");
    }
    let mut words = Vec::new();
    let (mut lost, mut gaps) = (false, false);
    for seen in &seen {
        let recorded = Recorded::of(cluster, &rows, &seen.tag);
        gaps |= recorded.as_ref().is_some_and(|recorded| recorded.gaps() > 0);
        let (missing, said) = check(seen, recorded.as_ref());
        lost |= missing > 0;
        words.push(said);
    }
    let head = head.expect("a head");
    assert_success(&cluster.scry(&["audit", "verify", "--since", &head]));
    Tally::count(&tally.chosen, point.is_some());
    Tally::count(&tally.reached, ended && point.is_some());
    Tally::count(&tally.powerless, ended && point.is_some_and(|point| point.moment == "power"));
    let point = point.map_or_else(|| "a random moment".to_owned(), |point| point.to_string());
    let reached = if ended { "reached" } else { "kill -9" };
    println!("round {round}: {point} ({reached}): {}", words.join("; "));
    Tally::count(&tally.with_sessions, seen.iter().any(|seen| seen.last().is_some()));
    Tally::count(&tally.with_received, received.values().any(|bytes| *bytes > 0));
    Tally::count(&tally.with_lines_lost, lost);
    Tally::count(&tally.with_gaps, gaps);
}

/// What auth says it has of sessions that go on; it is killed perhaps before it answers.
fn note_received(cluster: &Cluster, received: &mut BTreeMap<String, u64>) {
    let out = cluster.scry(&["recordings", "ls", "--json", "--live"]);
    let rows: Vec<serde_json::Value> = serde_json::from_slice(&out.stdout).unwrap_or_default();
    for row in rows {
        if row["kind"] == "aftermath" {
            continue;
        }
        let (id, bytes) = (row["id"].as_str().unwrap().to_owned(), row["bytes"].as_u64().unwrap());
        received.insert(id, bytes);
    }
}

/// How many lines were seen and not recorded, and words for a person.
fn check(seen: &house::lines::Seen, recorded: Option<&Recorded>) -> (u64, String) {
    let (tag, last) = (&seen.tag, seen.last());
    let Some(recorded) = recorded else {
        assert_eq!(last, None, "{tag} was seen and not recorded");
        return (0, format!("{tag} did not begin"));
    };
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
    } else {
        // A short one may have come to its end, and its person was not told of it any more.
        let ending = &recorded.row["ending"];
        let ended = recorded.last == Some(SHORT - 1) && ending == "exit 0";
        assert!(ended || ending == "crashed", "{tag} does not say how it ended: {recorded:#?}");
    }
    let (to, gaps) = (recorded.last, recorded.gaps());
    (missing, format!("{tag} seen to {last:?}, recorded to {to:?}, {gaps} gaps"))
}

#[test]
fn what_the_checks_look_at_is_really_looked_at() {
    let text = "x-line-0\r\nnoise\nx-line-1\nx-line-3\n";
    assert_eq!(numbers(text, "x"), [0, 1, 3]);
    assert!(command("x", Some(3)).contains("echo x-line-$i"));
}

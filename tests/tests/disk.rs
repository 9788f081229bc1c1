//! A node's disk fills up, alone or with auth's: what a session may still do, what of it is recorded, and that nothing
//! sealed is damaged.
//!
//! Needs root, to mount a small disk for the node's folder. Where that is not possible each test says so and passes.

use house::apart::Apart;
use house::person::words;
use house::process::send;
use house::small_disk::{Filler, Sealed, SmallDisk};
use house::{Cluster, NODE, assert_success, text, wait_for};
use serde_json::Value;
use std::cell::Cell;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Output, Stdio};
use std::time::{Duration, Instant};

/// Size of the node's disk.
const DISK_MIB: u32 = 12;
/// Size of auth's, where that is small, too.
const AUTH_MIB: u32 = 64;

/// A cluster with a node whose folder is a disk of its own, so small that a test can fill it, as its label says; and with
/// another node.
struct Small {
    // Dropped in this order: the disks before the folder that they are mounted in.
    auth: Option<SmallDisk>,
    disk: SmallDisk,
    apart: Apart,
    /// Before anything was full.
    sealed: Sealed,
}

impl Small {
    /// None where nothing may be mounted.
    fn start() -> Option<Self> {
        Self::of(None, Apart::in_three(str::to_owned))
    }

    /// With auth on a small disk of its own.
    fn start_both() -> Option<Self> {
        let mut auth = None;
        let mount = |folder: &Path| auth = SmallDisk::mount(&folder.join("data/auth"), AUTH_MIB);
        let apart = Apart::prepared(mount, &[]);
        Self::of(Some(auth?), apart)
    }

    fn of(auth: Option<SmallDisk>, mut apart: Apart) -> Option<Self> {
        apart.forget_node();
        apart.remove_node();
        let disk = SmallDisk::mount(&apart.node_folder(), DISK_MIB)?;
        let invitation = apart.invite(&["--name", NODE, "--label", "disk=small"]);
        apart.start_node(&["--join", &invitation]);
        apart.start_other();
        let sealed = Sealed::of(&apart.cluster, "seq 1 1000; echo sealed-before");
        Some(Self { auth, disk, apart, sealed })
    }

    fn auth(&self) -> &SmallDisk {
        self.auth.as_ref().expect("started with it")
    }

    fn cluster(&self) -> &Cluster {
        &self.apart.cluster
    }

    /// A command by which a session's own user takes all the room, and what the recorder gave back meanwhile, too.
    fn fill_on_purpose(&self) -> String {
        let filler = self.disk.filler();
        format!("for i in 1 2 3 4; do cat /dev/zero >> {}; sleep 0.3; done", filler.display())
    }

    /// Makes the role record under `strict` on the node with the small disk, and under `spool` on the other.
    fn record_strictly_here(&self) {
        let here = "record_where = [{ nodes = { disk = ['small'] }, record = 'strict' }]";
        self.cluster().set_options(here);
    }

    /// The other node takes sessions, and they are recorded.
    #[track_caller]
    fn other_goes_on(&self) {
        self.other_runs("echo other-node");
    }

    #[track_caller]
    fn other_runs(&self, command: &str) {
        let out = self.apart.ssh_other(command);
        assert_eq!(text(&out), "other-node", "{}", said(&out));
    }

    /// Stops auth as if its machine hung, or lets it go on.
    fn signal_auth(&self, signal: &str) {
        send(signal, self.cluster().server_pid());
    }

    /// Everything that is stored verifies, and no other session was touched.
    fn check_all(&self) {
        let cluster = self.cluster();
        let rows = cluster.stored_recordings();
        for row in &rows {
            let out = cluster.verify(row["id"].as_str().unwrap());
            assert!(out.status.success(), "{}\n{row:#}", words(&out));
        }
        assert_success(&cluster.scry(&["audit", "verify"]));
        self.sealed.check(cluster);
    }
}

fn said(out: &Output) -> String {
    String::from_utf8_lossy(&out.stderr).into_owned()
}

/// A shell whose input is written line by line.
struct Shell {
    child: Child,
}

impl Shell {
    fn start(cluster: &Cluster, tag: &str) -> Self {
        let mut ssh = cluster.ssh_command();
        ssh.args([&cluster.host(), &format!("echo {tag}-begins; exec sh")]);
        let ssh = ssh.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self { child: ssh.spawn().expect("ssh runs") }
    }

    fn line(&mut self, line: &str) {
        let stdin = self.child.stdin.as_mut().expect("piped");
        // One that has ended takes nothing; what it said tells why.
        let _ = writeln!(stdin, "{line}").and_then(|()| stdin.flush());
    }

    fn finish(mut self) -> Output {
        drop(self.child.stdin.take());
        self.child.wait_with_output().expect("ssh ends")
    }
}

fn row_of(rows: &[Value], tag: &str) -> Option<Value> {
    let begins = format!("echo {tag}-");
    let of_tag = |row: &&Value| row["command"].as_str().is_some_and(|it| it.contains(&begins));
    rows.iter().find(of_tag).cloned()
}

/// What stands in the recording of `tag`, as text; and its row.
fn recorded(cluster: &Cluster, tag: &str) -> (String, Value) {
    let row = row_of(&cluster.stored_recordings(), tag).expect(tag);
    let id = row["id"].as_str().unwrap();
    (fs::read_to_string(cluster.export(id, "text")).unwrap(), row)
}

/// Whether the ledger has this event of the session, with these words in it.
fn has_event(cluster: &Cluster, word: &str, session: &Value, text: &str) -> bool {
    let events = cluster.audit(word);
    events.iter().any(|it| it["session"] == *session && it.to_string().contains(text))
}

/// Waits until auth has the beginning of the session's recording.
fn wait_live(cluster: &Cluster, tag: &str) {
    wait_for("the session", || row_of(&cluster.live_recordings(), tag).is_some());
}

/// Shown and counted are one: what was seen and is not in the recording is as long as its gap says, but for what was typed.
#[track_caller]
fn check_counted(cluster: &Cluster, row: &Value, out: &Output) {
    let lines = fs::read_to_string(cluster.export(row["id"].as_str().unwrap(), "jsonl")).unwrap();
    let mut kept = 0;
    let mut lost = None;
    for line in lines.lines() {
        let entry: Value = serde_json::from_str(line).unwrap();
        let output = &entry["entry"]["output"];
        if output["stream"] == "stdout" {
            kept += output["text"].as_str().map_or(0, str::len);
        }
        lost = lost.or(entry["entry"]["gap"]["bytes"].as_u64());
    }
    let shown = out.stdout.len() - kept;
    let lost = usize::try_from(lost.expect("bytes are counted")).unwrap();
    let typed = 600;
    assert!((shown..shown + typed).contains(&lost), "{shown} shown unrecorded, {lost} counted");
}

/// Under `spool`: a session that goes on while nothing of it can be kept, from what `cut` does until what `mend` does. What
/// was done meanwhile stands as one gap, counted. Answers the recording, as text, and its row.
#[track_caller]
fn goes_through_a_gap(
    small: &Small,
    tag: &str,
    cut: impl FnOnce(&mut Shell),
    mend: impl FnOnce(),
) -> (String, Value) {
    let cluster = small.cluster();
    let marks = ["in the gap", "behind it"].map(|name| cluster.path(name));
    let mut shell = Shell::start(cluster, tag);
    shell.line("echo before-the-gap");
    wait_live(cluster, tag);
    cut(&mut shell);
    shell.line(MUCH);
    shell.line(MUCH);
    shell.line(&format!("echo within-the-gap; touch '{}'", marks[0].display()));
    wait_for("the session to go on", || marks[0].exists());
    mend();
    let row = row_of(&cluster.live_recordings(), tag).expect("it is live");
    wait_for("the recovery", || {
        has_event(cluster, "session.recording_resumed", &row["id"], "recorded again")
    });
    shell.line(&format!("echo behind-the-gap; touch '{}'", marks[1].display()));
    wait_for("the deed", || marks[1].exists());
    small.other_goes_on();
    let out = shell.finish();
    assert!(out.status.success(), "{}", said(&out));
    assert!(said(&out).contains("what you do is counted"), "{}", said(&out));
    let (transcript, row) = recorded(cluster, tag);
    assert!(transcript.contains("before-the-gap") && transcript.contains("behind-the-gap"));
    let gaps = cluster.audit("session.gap");
    assert_eq!(row["gaps"], 1, "{row:#} {gaps:#?}");
    let is_its = |gap: &Value| gap["session"] == row["id"] && gap["cause"] == "disk full";
    assert!(gaps.iter().any(is_its), "{row:#} {gaps:#?}");
    check_counted(cluster, &row, &out);
    (transcript, row)
}

/// [`goes_through_a_gap`] for want of room at auth and on the node, whose disk `fill` fills; all others go on meanwhile.
#[track_caller]
fn goes_on_with_both_full(
    small: &Small,
    tag: &str,
    fill: impl FnOnce(&mut Shell) -> Option<Filler>,
) -> (String, Value) {
    let filler = Cell::new(None);
    let cut = |shell: &mut Shell| {
        small.auth().fill(0);
        filler.set(fill(shell));
    };
    let mend = || {
        small.other_goes_on();
        small.cluster().admin_signs_in();
        drop(filler.take());
        small.auth().clear();
        small.disk.clear();
    };
    let recording = goes_through_a_gap(small, tag, cut, mend);
    small.check_all();
    recording
}

/// Under `strict`: a session that ends with a line when what `fill` does leaves no room, and does nothing behind that.
#[track_caller]
fn ends_for_want_of_room(cluster: &Cluster, tag: &str, fill: impl FnOnce(&mut Shell)) -> Output {
    let marker = cluster.path("acted");
    let mut shell = Shell::start(cluster, tag);
    shell.line("echo before-it-was-full");
    wait_live(cluster, tag);
    fill(&mut shell);
    shell.line(MUCH);
    shell.line(&format!("echo never-reached; touch '{}'", marker.display()));
    let out = shell.finish();
    assert_eq!(out.status.code(), Some(255), "{}", said(&out));
    assert!(said(&out).contains("disk is full"), "{}", said(&out));
    assert!(!marker.exists() && !text(&out).contains("never-reached"), "{}", text(&out));
    out
}

/// [`ends_for_want_of_room`] at auth and on the node, whose disk `fill` fills; all others go on meanwhile. Auth that receives
/// nothing ends whatever is strict, on any node: the other node's sessions are under `spool`.
#[track_caller]
fn ends_with_both_full(small: &Small, tag: &str, fill: impl FnOnce(&mut Shell)) {
    let cluster = small.cluster();
    small.record_strictly_here();
    ends_for_want_of_room(cluster, tag, |shell| {
        small.auth().fill(0);
        fill(shell);
    });
    // What the session gives back is taken, too.
    let filler = small.disk.keep_full();
    small.other_runs(LASTS);
    small.cluster().admin_signs_in();
    drop(filler);
    small.auth().clear();
    small.disk.clear();
    recorded_to_its_end(cluster, tag);
    assert_eq!(cluster.recording_of(LASTS)["gaps"], 0);
    assert_eq!(text(&cluster.ssh("echo room-again")), "room-again");
    small.check_all();
}

/// Of such a session: its recording, as text, and its row, which say how it ended; nothing is missing.
#[track_caller]
fn recorded_to_its_end(cluster: &Cluster, tag: &str) -> (String, Value) {
    let (transcript, row) = recorded(cluster, tag);
    assert!(transcript.contains("before-it-was-full"));
    assert!(row["ending"].as_str().is_some_and(|it| it.contains("disk is full")), "{row:#}");
    assert_eq!(row["gaps"], 0, "{row:#}");
    (transcript, row)
}

/// Prints much that cannot be packed, more than a recording keeps room for.
const MUCH: &str = "head -c 600000 /dev/urandom | base64 -w 70";
/// Says something after longer than a session under `strict` goes on without auth.
const LASTS: &str = "sleep 6; echo other-node";

#[test]
fn under_strict_a_full_disk_ends_the_session_with_a_line_and_nothing_sealed_is_damaged() {
    let Some(small) = Small::start() else { return };
    let cluster = small.cluster();
    cluster.record_strictly();
    let out = ends_for_want_of_room(cluster, "strict", |_| small.disk.fill(0));
    let (transcript, row) = recorded_to_its_end(cluster, "strict");
    let seen = text(&out);
    let last = seen.lines().rev().nth(1).expect("something was seen").trim();
    assert!(transcript.contains(last), "what was seen is recorded: {last}");
    assert!(has_event(cluster, "session.recording_failed", &row["id"], "disk is full"));

    // Nobody else is let in unrecorded, and is told why. What the session gave back is taken, too.
    let spool = small.disk.path.join("node/spool");
    let recordings = |name: fs::DirEntry| name.path().extension().is_some_and(|it| it == "rec");
    wait_for("the spool to be empty", || !fs::read_dir(&spool).unwrap().flatten().any(recordings));
    small.disk.fill(0);
    let refused = cluster.ssh("echo strict-refused");
    assert!(!refused.status.success(), "{}", text(&refused));
    assert!(said(&refused).contains("cannot be recorded"), "{}", said(&refused));
    assert!(said(&refused).contains("full"), "{}", said(&refused));
    small.cluster().admin_signs_in();
    small.other_goes_on();
    small.disk.clear();
    assert_eq!(text(&cluster.ssh("echo room-again")), "room-again");
    small.check_all();
}

#[test]
fn under_strict_whoever_fills_the_disk_on_purpose_does_nothing_unrecorded_behind_it() {
    let Some(small) = Small::start() else { return };
    let cluster = small.cluster();
    cluster.record_strictly();
    ends_for_want_of_room(cluster, "fills", |shell| {
        shell.line(&small.fill_on_purpose());
        shell.line(MUCH);
    });
    small.cluster().admin_signs_in();
    small.other_goes_on();
    let (_, row) = recorded_to_its_end(cluster, "fills");
    assert!(has_event(cluster, "session.recording_failed", &row["id"], "disk is full"));
    small.disk.clear();
    assert_eq!(text(&cluster.ssh("echo room-again")), "room-again");
    small.check_all();
}

#[test]
fn under_spool_what_a_user_does_after_filling_the_disk_is_at_auth() {
    let Some(mut small) = Small::start() else { return };
    let cluster = small.cluster();
    let marker = cluster.path("acted");
    let mut shell = Shell::start(cluster, "fills");
    // The session's own user takes all the room on purpose, and then acts.
    shell.line(&format!("{}; echo full-now", small.fill_on_purpose()));
    shell.line(MUCH);
    shell.line(&format!("echo acted-in-secret; touch {}", marker.display()));
    wait_for("the deed", || marker.exists());
    // While it is full others get in, for that is how it is mended.
    assert_eq!(text(&cluster.ssh("echo glass-broken")), "glass-broken");
    small.cluster().admin_signs_in();
    small.other_goes_on();
    let row = row_of(&cluster.live_recordings(), "fills").expect("it is live");
    wait_for("the ledger", || {
        has_event(cluster, "session.recording_failed", &row["id"], "goes to auth directly")
    });
    // Room again: it is recorded on the disk as before.
    small.disk.clear();
    shell.line("sleep 3; echo acted-again");
    shell.line(MUCH);
    wait_for("the recovery", || {
        has_event(cluster, "session.recording_resumed", &row["id"], "takes recordings again")
    });
    let out = shell.finish();
    assert!(out.status.success(), "{}", said(&out));
    let line = "this machine's disk is full; the session goes on";
    assert_eq!(said(&out).matches(line).count(), 1, "said once: {}", said(&out));
    let (transcript, row) = recorded(cluster, "fills");
    for words in ["full-now", "acted-in-secret", "acted-again"] {
        assert!(transcript.contains(words), "{words}");
    }
    assert_eq!(row["gaps"], 0, "all of it is at auth: {row:#}");
    for line in text(&out).lines() {
        assert!(transcript.contains(line.trim()), "seen, not recorded: {line}");
    }

    // Once more, and the node dies before there is room: auth has what was done.
    let marker = small.cluster().path("acted too");
    let mut shell = Shell::start(small.cluster(), "dies");
    shell.line(&format!("{}; {MUCH}", small.fill_on_purpose()));
    shell.line(&format!("echo acted-and-died; touch '{}'", marker.display()));
    wait_for("the deed", || marker.exists());
    std::thread::sleep(Duration::from_secs(3));
    small.apart.kill_node();
    small.apart.start_node(&[]);
    drop(shell.finish());
    let (transcript, row) = recorded(small.cluster(), "dies");
    assert!(transcript.contains("acted-and-died"));
    assert_eq!((&row["gaps"], &row["ending"]), (&1.into(), &"crashed".into()), "{row:#}");
    small.disk.clear();
    small.check_all();
}

#[test]
fn under_spool_without_disk_and_auth_a_gap_stands_for_what_is_not_recorded() {
    let Some(small) = Small::start() else { return };
    let mut filler = None;
    // Full all the time: were there room for a moment, there would rightly be two gaps.
    let cut = |_: &mut Shell| {
        filler = Some(small.disk.keep_full());
        small.signal_auth("-STOP");
    };
    let mend = || small.signal_auth("-CONT");
    let (transcript, _) = goes_through_a_gap(&small, "gap", cut, mend);
    assert!(!transcript.contains("within-the-gap"));
    assert!(transcript.contains("the disk was full"), "the gap is shown");
    drop(filler);
    small.disk.clear();
    small.check_all();
}

#[test]
fn under_strict_input_waits_for_auth_that_hangs_and_then_the_session_ends() {
    let Some(small) = Small::start() else { return };
    let cluster = small.cluster();
    cluster.record_strictly();
    let marks = ["first", "second"].map(|name| cluster.path(name));
    let mut shell = Shell::start(cluster, "hangs");
    wait_live(cluster, "hangs");
    small.signal_auth("-STOP");
    let began = Instant::now();
    shell.line(&format!("echo one; touch {}", marks[0].display()));
    wait_for("the first deed", || marks[0].exists());
    std::thread::sleep(Duration::from_secs(10).saturating_sub(began.elapsed()));
    shell.line(&format!("touch {}", marks[1].display()));
    let out = shell.finish();
    let lasted = began.elapsed();
    small.signal_auth("-CONT");
    assert!((25..50).contains(&lasted.as_secs()), "it ended after {lasted:?}");
    assert!(said(&out).contains("30 s") && said(&out).contains("strict"), "{}", said(&out));
    assert!(!marks[1].exists(), "what is typed waits");
    let (transcript, _) = recorded(cluster, "hangs");
    assert!(transcript.contains("one"));
    small.check_all();
}

#[test]
fn with_both_disks_full_under_spool_what_is_done_stands_as_a_counted_gap_and_all_others_go_on() {
    let Some(small) = Small::start_both() else { return };
    goes_on_with_both_full(&small, "both", |_| Some(small.disk.keep_full()));
}

#[test]
fn with_both_disks_full_under_spool_what_a_user_does_after_filling_the_nodes_is_kept_or_counted() {
    let Some(small) = Small::start_both() else { return };
    let (transcript, _) = goes_on_with_both_full(&small, "fills", |shell| {
        shell.line(&format!("{}; echo full-now", small.fill_on_purpose()));
        None
    });
    assert!(transcript.contains("full-now"), "what went before is kept");
}

#[test]
fn with_both_disks_full_under_strict_the_session_ends_with_a_line_and_its_end_is_at_auth_afterwards()
 {
    let Some(small) = Small::start_both() else { return };
    ends_with_both_full(&small, "both", |_| small.disk.fill(0));
}

#[test]
fn with_both_disks_full_under_strict_whoever_filled_the_nodes_does_nothing_unrecorded_behind_it() {
    let Some(small) = Small::start_both() else { return };
    ends_with_both_full(&small, "fills", |shell| shell.line(&small.fill_on_purpose()));
}

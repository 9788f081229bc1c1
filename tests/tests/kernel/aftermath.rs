//! What a session has left running: recorded as its aftermath, over restarts of the node, until nobody is left or a lock ends it.

use super::{CLUSTER, Seen, can_see, parent, pid};
use house::{Cluster, assert_success, text, wait_for};
use serde_json::{Value, json};
use std::fs;
use std::process::{Command, Stdio};

/// A daemon that a session leaves behind, twice removed from its shell, in a session of its own. It waits for a word, and
/// then it works.
struct Daemon<'c> {
    cluster: &'c Cluster,
    name: &'static str,
    command: String,
}

impl<'c> Daemon<'c> {
    /// Leaves it behind; `work` is what it does.
    #[track_caller]
    fn leave(cluster: &'c Cluster, name: &'static str, work: &str) -> Self {
        let word = cluster.path(&format!("{name}-word")).display().to_string();
        assert!(Command::new("mkfifo").arg(&word).status().unwrap().success());
        let daemon = cluster.path(&format!("{name}-daemon")).display().to_string();
        fs::write(&daemon, format!("#!/bin/bash\nread word < {word}\n{work}\n")).unwrap();
        assert!(Command::new("chmod").args(["755", &daemon]).status().unwrap().success());
        let command =
            format!("( (setsid {daemon} </dev/null >/dev/null 2>&1 &) & ) ; echo left-{name}");
        let out = cluster.ssh(&command);
        assert_eq!(text(&out), format!("left-{name}"));
        Self { cluster, name, command }
    }

    /// The recording of its session, once it is stored.
    fn session(&self) -> String {
        self.cluster.recording_of(&self.command)["id"].as_str().unwrap().to_owned()
    }

    /// Gives it the word.
    fn speak(&self) {
        fs::write(self.cluster.path(&format!("{}-word", self.name)), "go\n").unwrap();
    }

    /// Recordings of what its session left running, the oldest first.
    fn aftermaths(&self) -> Vec<Value> {
        let of = self.session();
        let rows = self.cluster.scry_json(&["recordings", "ls", "--json", "--limit", "1000"]);
        let mut rows = rows.as_array().unwrap().clone();
        rows.retain(|row| row["kind"] == "aftermath" && row["of"] == of.as_str());
        rows.sort_by_key(|row| row["started"].as_i64());
        rows
    }

    /// The same, once the last of so many is stored.
    fn over(&self, count: usize) -> Vec<Value> {
        let mut rows = Vec::new();
        wait_for("the end of what was left running", || {
            rows = self.aftermaths();
            rows.len() == count && rows.iter().all(|row| row["phase"] == "stored")
        });
        rows
    }
}

/// What the kernel saw in the session itself, and behind its end.
fn parted(cluster: &Cluster, session: &str) -> (Seen, Seen) {
    let all = Seen::of_id(cluster, session).0;
    let (after, own) = all.into_iter().partition(|line| !line["aftermath"].is_null());
    (Seen(own), Seen(after))
}

fn told(cluster: &Cluster, word: &str, session: &str) -> Vec<Value> {
    let mut rows = cluster.audit(word);
    rows.retain(|row| row["session"] == session);
    rows
}

#[test]
fn what_a_session_leaves_running_is_recorded_on_behind_its_end_until_nobody_is_left() {
    if !can_see("what_a_session_leaves_running") {
        return;
    }
    let file = CLUSTER.path("read-by-both");
    fs::write(&file, "x").unwrap();
    let work = |name: &str| {
        format!("uname -n {name}\ncat {}\nexec 3<>/dev/tcp/127.0.0.1/1", file.display())
    };
    let daemon = Daemon::leave(&CLUSTER, "late", &work("late"));
    let other = Daemon::leave(&CLUSTER, "other", &work("other"));
    // The sessions' own recordings are whole while their daemons go on.
    let session = daemon.session();
    assert!(text(&CLUSTER.verify(&session)).contains("complete"));
    wait_for("its aftermath", || daemon.aftermaths().len() == 1);
    let listed = daemon.aftermaths().remove(0);
    assert_eq!((&listed["phase"], &listed["of"]), (&json!("live"), &json!(session)));
    assert_eq!(listed["user"], CLUSTER.recording_of(&daemon.command)["user"]);
    daemon.speak();
    let ended = daemon.over(1).remove(0);
    assert_eq!(
        (&ended["ending"], &ended["verification"]),
        (&json!("nobody is left"), &json!("complete"))
    );
    let id = ended["id"].as_str().unwrap();
    assert_eq!(CLUSTER.recording_of(&daemon.command)["aftermaths"], json!([id]));

    let (own, after) = parted(&CLUSTER, &session);
    assert!(own.totals()["left"].as_u64() >= Some(1), "{:#?}", own.0);
    assert!(!own.lines().iter().any(|line| line == "uname -n late"));
    let shell = own.one("ran", "the daemon", |it| {
        it["file"].as_str().is_some_and(|it| it.ends_with("late-daemon"))
    });
    assert_eq!(parent(after.ran("uname -n late")), pid(shell));
    after.one("opened", "its file", |it| it["file"]["path"] == file.to_str().unwrap());
    after.one("tcp", "its connection", |it| {
        it["step"] == "not_connected" && it["remote"] == "127.0.0.1:1"
    });
    let totals = after.totals();
    assert_eq!((&totals["left"], &totals["lost"]), (&json!(0), &json!(0)));
    assert!(after.0.iter().all(|line| line["aftermath"] == id));
    let last = after.all("ended").find(|it| pid(it) == pid(shell));
    assert!(last.is_some(), "{:#?}", after.0);

    other.speak();
    other.over(1);
    let (_, others) = parted(&CLUSTER, &other.session());
    others.ran("uname -n other");
    for (seen, foreign) in [(&after, "other"), (&others, "late")] {
        let lines = seen.lines();
        let has = lines.iter().any(|line| *line == format!("uname -n {foreign}"));
        assert!(!has && seen.all("tcp").count() == 1, "{foreign} in {lines:#?}");
    }

    let began = told(&CLUSTER, "session.aftermath_begin", &session);
    assert_eq!((began.len(), &began[0]["recording"]), (1, &json!(id)), "{began:#?}");
    let over = told(&CLUSTER, "session.aftermath_end", &session);
    assert_eq!((over.len(), &over[0]["recording"], &over[0]["left"]), (1, &json!(id), &json!(0)));
    let shown = text(&CLUSTER.scry(&["recordings", "events", &session]));
    let (before, behind) = shown.split_once("THE SESSION HAS ENDED").expect("a line between them");
    assert!(!before.contains("uname -n late") && behind.contains("uname -n late"), "{shown}");
    let tree = text(&CLUSTER.scry(&["recordings", "events", &session, "--tree"]));
    assert!(tree.contains("uname -n late"), "{tree}");
    let info = text(&CLUSTER.scry(&["recordings", "info", &session]));
    assert!(info.contains(&format!("goes on in {id}")), "{info}");
    assert!(text(&CLUSTER.scry(&["recordings", "info", id])).contains(&session));
}

#[test]
fn what_ends_with_its_session_or_a_moment_later_is_the_sessions_own() {
    if !can_see("what_ends_with_its_session") {
        return;
    }
    let command = "(setsid sh -c 'sleep 0.1; uname -n moment-later' >/dev/null 2>&1 </dev/null &) & sleep 0.02; echo x";
    assert_success(&CLUSTER.ssh(command));
    let id = CLUSTER.recording_of(command)["id"].as_str().unwrap().to_owned();
    let (own, after) = parted(&CLUSTER, &id);
    let count =
        |seen: &Seen| seen.lines().iter().filter(|it| *it == "uname -n moment-later").count();
    match own.totals()["left"].as_u64() {
        Some(0) => assert_eq!((count(&own), after.0.len()), (1, 0)),
        // A machine so busy that it did not come to its end within the moment.
        _ => assert_eq!(count(&own) + count(&after), 1, "{:#?} {:#?}", own.0, after.0),
    }
}

#[test]
fn a_lock_reaches_what_a_session_has_left_running() {
    if !can_see("a_lock_reaches_what") || !house::is_root() {
        return;
    }
    let daemon = Daemon::leave(&CLUSTER, "locked", "true");
    let session = daemon.session();
    wait_for("its aftermath", || daemon.aftermaths().len() == 1);
    let there = || !house::eyes::processes(&session).is_empty();
    assert!(there());
    let lock = CLUSTER.scry_json(&["lock", "--json", "--reason", "x", "--session", &session]);
    wait_for("the daemon's end", || !there());
    let row = daemon.over(1).remove(0);
    let ending = row["ending"].as_str().unwrap();
    assert!(ending.contains(&format!("lock {}", lock["id"])), "{ending}");
    assert!(ending.contains("1 process was ended"), "{ending}");
    let over = told(&CLUSTER, "session.aftermath_end", &session);
    assert_eq!((over.len(), &over[0]["left"]), (1, &json!(0)), "{over:#?}");
    assert_success(&CLUSTER.scry(&["unlock", &lock["id"].to_string()]));
}

#[test]
fn a_node_that_starts_anew_finds_what_was_left_running_and_says_how_long_nobody_watched() {
    if !can_see("a_node_that_starts_anew") || !house::eyes::can_freeze() {
        return;
    }
    let mut cluster = Cluster::start();
    cluster.set_options("kernel = { commands = true, network = true }");
    let command = {
        let daemon = Daemon::leave(&cluster, "durable", "uname -n durable; sleep 0.3");
        wait_for("its aftermath", || daemon.aftermaths().len() == 1);
        daemon.command
    };
    // A session that a kill takes along leaves its daemon to the next start, too.
    let live = {
        let daemon = Daemon::leave(&cluster, "sudden", "uname -n sudden");
        wait_for("its aftermath", || daemon.aftermaths().len() == 1);
        daemon.command
    };
    let mut open = cluster.ssh_command();
    let word = cluster.path("sudden-word").display().to_string();
    let inner = "(setsid sh -c 'touch {word}-there; read x < {word}; uname -n from-live' </dev/null >/dev/null 2>&1 &) & sleep 6";
    let inner = inner.replace("{word}", &format!("{word}2"));
    assert!(Command::new("mkfifo").arg(format!("{word}2")).status().unwrap().success());
    open.arg(cluster.host()).arg(&inner).stdin(Stdio::null()).stdout(Stdio::null());
    let mut open = open.stderr(Stdio::null()).spawn().unwrap();
    wait_for("the session", || !cluster.live_recordings().is_empty());
    wait_for("its daemon", || fs::exists(format!("{word}2-there")).unwrap());
    cluster.kill();
    open.wait().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(500));
    cluster.restart();
    let daemon =
        |name, command: &str| Daemon { cluster: &cluster, name, command: command.to_owned() };
    wait_for("what goes on", || {
        [&command, &live].iter().all(|one| daemon("", one).aftermaths().len() == 2)
            && daemon("", &inner).aftermaths().len() == 1
    });
    assert!(cluster.stop().success());
    cluster.restart();
    let daemon =
        |name, command: &str| Daemon { cluster: &cluster, name, command: command.to_owned() };
    let durable = daemon("durable", &command);
    wait_for("what goes on again", || durable.aftermaths().len() == 3);
    durable.speak();
    daemon("sudden", &live).speak();
    fs::write(format!("{word}2"), "go\n").unwrap();
    let rows = durable.over(3);
    let endings: Vec<_> = rows.iter().map(|row| row["ending"].as_str().unwrap()).collect();
    assert_eq!(endings, ["crashed", "stopped: the node is stopping", "nobody is left"]);
    let (own, after) = parted(&cluster, &durable.session());
    after.ran("uname -n durable");
    let shell = own.one("ran", "the daemon", |it| {
        it["file"].as_str().is_some_and(|it| it.ends_with("durable-daemon"))
    });
    assert_eq!(parent(after.ran("uname -n durable")), pid(shell));
    let gaps = |cause: &str| {
        let all = after.0.iter().filter(|line| line["entry"]["gap"]["cause"] == cause);
        all.map(|line| line["entry"]["gap"]["ms"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    let unwatched = gaps("unwatched");
    assert_eq!(unwatched.len(), 2, "{:#?}", after.0);
    assert!(unwatched.iter().all(|ms| (100..60_000).contains(ms)), "{unwatched:?}");
    let began = told(&cluster, "session.aftermath_begin", &durable.session());
    assert_eq!(began.len(), 3);
    assert!(began[1]["unwatched_ms"].as_u64() >= Some(500), "{began:#?}");
    for (one, text) in [(&live, "uname -n sudden"), (&inner, "uname -n from-live")] {
        let daemon = daemon("", one);
        let count = daemon.aftermaths().len();
        daemon.over(count);
        parted(&cluster, &daemon.session()).1.ran(text);
    }
    for row in durable.aftermaths() {
        let told = text(&cluster.verify(row["id"].as_str().unwrap()));
        assert!(told.contains("complete"), "{told}");
    }
}

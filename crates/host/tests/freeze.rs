//! Freezing sessions of real processes: what stands still, what is told, what goes on, and what a killed node leaves.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "in a test a failure is the result"
)]

mod common;
use common::*;

use host::{Child, Ended, Exit, FreezeError, Frozen, Outside};
use model::Size;
use std::ops::RangeInclusive;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long what is frozen is watched.
const WATCH: Duration = Duration::from_millis(300);
/// Far more than freezing takes on a machine that has time for it.
const SOON: Duration = Duration::from_secs(2);
/// What a shell says to leave its control group for the uppermost one. `$$` is the shell that was begun with `sh -c`.
const LEAVE: &str = "for f in /sys/fs/cgroup/unified /sys/fs/cgroup; do \
                     [ -e $f/cgroup.procs ] && echo $$ > $f/cgroup.procs && break; done";

/// Whether sessions have control groups here; says which test goes without.
fn can_freeze(test: &str) -> bool {
    let can = is_root() && control_groups().is_some_and(|point| has_freezer(&point));
    if !can {
        skip(test, "needs root and control groups, version 2, of Linux 5.2 or later");
    }
    can
}

fn has_freezer(point: &Path) -> bool {
    let (process, thread) = (std::process::id(), std::thread::current().id());
    let probe = point.join(format!("freezer-{process}-{thread:?}"));
    std::fs::create_dir(&probe).unwrap();
    let has = probe.join("cgroup.freeze").exists();
    std::fs::remove_dir(&probe).unwrap();
    has
}

/// Whether processes that have left their group and their session are known by their audit session.
fn has_audit(test: &str) -> bool {
    let has = Path::new("/proc/self/sessionid").exists();
    if !has {
        skip(test, "this kernel has no audit sessions");
    }
    has
}

/// A running session whose processes make files longer.
struct Busy {
    child: Child,
    files: TempDir,
}

impl Busy {
    /// Runs a command in which `$F/NAME` are files; each of those named here gets longer as long as its process runs.
    async fn start(command: &str, names: &[&str], terminal: bool) -> Self {
        let files = tempfile::tempdir().unwrap();
        let command = format!("F={}; export F; {command}", files.path().display());
        let plan =
            if terminal { plan_on_terminal(&command, Size::default()) } else { plan(&command) };
        let busy = Self { child: start(&own(), plan).await.unwrap(), files };
        for name in names {
            busy.grows(name).await;
        }
        busy
    }

    fn file(&self, name: &str) -> PathBuf {
        self.files.path().join(name)
    }

    fn length(&self, name: &str) -> u64 {
        std::fs::metadata(self.file(name)).map_or(0, |file| file.len())
    }

    async fn grows(&self, name: &str) {
        let before = self.length(name);
        wait_for(&format!("growth of {name}"), || self.length(name) > before).await;
    }

    async fn all_stand(&self, names: &[&str]) {
        let lengths = || names.iter().map(|name| self.length(name)).collect::<Vec<_>>();
        let before = lengths();
        tokio::time::sleep(WATCH).await;
        assert_eq!(lengths(), before, "{names:?}");
    }

    async fn freeze(&self) -> Frozen {
        self.child.signals.freeze().await.unwrap_or_else(|why| panic!("{why}"))
    }

    /// The process id that one of its processes has written down.
    async fn pid(&self, name: &str) -> u32 {
        let read = || std::fs::read_to_string(self.file(name)).unwrap_or_default();
        wait_for(name, || read().ends_with('\n')).await;
        read().trim().parse().unwrap()
    }

    /// Ends it, whatever it is, and answers how its program ended.
    async fn end(mut self) -> (Ended, Exit) {
        let ending = self.child.signals.end(Duration::from_millis(50));
        let (ended, exit) = tokio::join!(ending, self.child.process.wait());
        (ended, exit.unwrap())
    }
}

/// Freezes a session, looks whether it stands, thaws it, looks whether it goes on; twice.
async fn check(command: &str, names: &[&str], outside: RangeInclusive<usize>) {
    for terminal in [false, true] {
        let busy = Busy::start(command, names, terminal).await;
        for _ in 0..2 {
            let began = Instant::now();
            let frozen = busy.freeze().await;
            assert!(began.elapsed() < SOON, "{command}: {:?}", began.elapsed());
            assert!(outside.contains(&frozen.outside.len()), "{command}: {frozen:?}");
            assert_eq!(busy.freeze().await, Frozen::default(), "nobody new");
            busy.all_stand(names).await;
            busy.child.signals.thaw().await.unwrap();
            busy.child.signals.thaw().await.unwrap();
            for name in names {
                busy.grows(name).await;
            }
        }
        let (ended, _) = busy.end().await;
        assert!(ended.processes >= names.len() && ended.left == 0, "{command}: {ended:?}");
    }
}

#[tokio::test]
async fn whatever_runs_in_a_session_stands_while_it_is_frozen_and_goes_on_afterwards() {
    if !can_freeze("whatever_runs_in_a_session_stands") {
        return;
    }
    let grow = |name: &str| format!("while :; do echo x >> $F/{name}; done");
    check(&grow("a"), &["a"], 0..=0).await;
    let jobs = format!(
        "set -m; ({}) & nice sh -c '{}' & while :; do echo x; done | while read x; do echo $x >> $F/c; done",
        grow("a"),
        grow("b"),
    );
    check(&jobs, &["a", "b", "c"], 0..=0).await;
    let daemon =
        format!("(trap '' HUP; setsid sh -c 'setsid sh -c \"{}\" & exit') & cat", grow("a"));
    check(&daemon, &["a"], 0..=0).await;
    check(
        "setsid -f sh -c 'while :; do setsid -f sh -c \"echo x >> $F/a\"; done'; cat",
        &["a"],
        0..=0,
    )
    .await;
    check("while :; do (sleep 0.01; echo x >> $F/a) & sleep 0.005; done", &["a"], 0..=0).await;
}

#[tokio::test]
async fn who_has_left_the_group_is_stopped_and_told_and_goes_on_afterwards() {
    if !can_freeze("who_has_left_the_group") || !has_audit("who_has_left_the_group") {
        return;
    }
    let grow = |name: &str| format!("while :; do echo x >> $F/{name}; done");
    let gone = |name: &str| format!("setsid sh -c '{LEAVE}; unset SCRY_SESSION; {}'", grow(name));
    check(&format!("{} & {}", gone("a"), grow("b")), &["a", "b"], 1..=1).await;
    check(&format!("{} & {} & cat", gone("a"), gone("b")), &["a", "b"], 2..=2).await;
    // Its children are of the audit session too, however many there are to come.
    let forks =
        format!("setsid sh -c '{LEAVE}; (while :; do echo x >> $F/a; done) & {}'", grow("b"));
    check(&format!("{forks} & cat"), &["a", "b"], 2..=2).await;
    // One that ends before it can be looked at, and goes on in its child.
    let hops = format!(
        "echo 'echo x >> $F/a; exec setsid -f sh $F/hop' > $F/hop; setsid sh -c '{LEAVE}; exec sh $F/hop'"
    );
    check(&format!("{hops} & cat"), &["a"], 1..=60).await;
}

#[tokio::test]
async fn one_that_is_outside_is_told_by_number_name_and_user_and_again_if_somebody_continues_it() {
    let test = "one_that_is_outside_is_told";
    if !can_freeze(test) || !has_audit(test) {
        return;
    }
    let command = format!(
        "cp /bin/sleep \"$F/$(printf 'od\\033d')\"; \
         setsid sh -c '{LEAVE}; echo $$ > $F/pid; exec \"$F/\"od* 1000' & cat"
    );
    let busy = Busy::start(&command, &[], false).await;
    let pid = busy.pid("pid").await;
    let cmdline = || std::fs::read(format!("/proc/{pid}/cmdline")).unwrap();
    wait_for("exec", || cmdline().starts_with(b"/") || cmdline().ends_with(b"1000\0")).await;
    wait_for("name", || state(pid) == 'S').await;
    let told = Frozen { outside: vec![Outside { pid, name: "od?d".to_owned(), uid: 0 }] };
    assert_eq!(busy.freeze().await, told);
    assert_eq!((busy.freeze().await, state(pid)), (Frozen::default(), 'T'));
    signal("CONT", pid);
    assert_eq!((busy.freeze().await, state(pid)), (told.clone(), 'T'));
    busy.child.signals.thaw().await.unwrap();
    wait_for("thaw", || state(pid) == 'S').await;
    // Somebody else has stopped it: that is told, and left.
    signal("STOP", pid);
    wait_for("stop", || state(pid) == 'T').await;
    assert_eq!(busy.freeze().await, told);
    busy.child.signals.thaw().await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(state(pid), 'T');
    busy.end().await;
    assert!(!Path::new(&format!("/proc/{pid}")).exists() || state(pid) == 'Z');
}

fn signal(name: &str, pid: u32) {
    let sent = Command::new("kill").arg(format!("-{name}")).arg(pid.to_string()).status();
    assert!(sent.unwrap().success());
}

#[tokio::test]
async fn a_group_of_the_same_name_elsewhere_hides_nobody() {
    let test = "a_group_of_the_same_name";
    if !can_freeze(test) || !has_audit(test) {
        return;
    }
    let point = control_groups().unwrap();
    let decoy = point.join(format!("decoy-{}", std::process::id()));
    let command = format!(
        "D={}/$(sed -n 's,^0::.*/,,p' /proc/self/cgroup); mkdir -p $D; echo $D > $F/decoy; export D; \
         setsid sh -c 'echo $$ > $D/cgroup.procs; while :; do echo x >> $F/a; done' & cat",
        decoy.display()
    );
    let busy = Busy::start(&command, &["a"], false).await;
    assert_eq!(busy.freeze().await.outside.len(), 1);
    busy.all_stand(&["a"]).await;
    let inner = std::fs::read_to_string(busy.file("decoy")).unwrap();
    busy.end().await;
    for folder in [Path::new(inner.trim()), &decoy] {
        wait_for("empty group", || std::fs::remove_dir(folder).is_ok() || !folder.exists()).await;
    }
}

/// Ends a frozen session in one way: its program is killed at once, nobody is left, and nobody has run again.
async fn check_end(how: &str, terminal: bool) {
    let tracked = has_audit("ending_a_frozen_session");
    let leave = if tracked { LEAVE } else { ":" };
    let command = format!(
        "trap '' HUP; (while :; do echo x >> $F/a; done) & \
         setsid -f sh -c 'trap \"\" HUP TERM; echo $$ > $F/in; while :; do echo x >> $F/b; done'; \
         setsid -f sh -c '{leave}; echo $$ > $F/out; while :; do echo x >> $F/c; done'; cat"
    );
    let busy = Busy::start(&command, &["a", "b", "c"], terminal).await;
    assert_eq!(busy.freeze().await.outside.len(), usize::from(tracked));
    let others = [busy.pid("in").await, busy.pid("out").await];
    let length =
        |files: &TempDir, name: &str| std::fs::metadata(files.path().join(name)).unwrap().len();
    let before = ["a", "b", "c"].map(|name| busy.length(name));
    let Busy { child, files } = busy;
    let Child { io, mut process, signals, .. } = child;
    let (long, began) = (Duration::from_secs(15), Instant::now());
    match how {
        "end" => assert!(signals.end(long).await.left == 0),
        "close" => assert!(signals.close(long).await.left == 0),
        "hang_up" => signals.hang_up().await,
        _ => drop(signals),
    }
    let exit = tokio::time::timeout(PATIENCE, process.wait()).await.unwrap().unwrap();
    assert_eq!(exit, Exit::Signal { name: "KILL".into(), core: false }, "{how}");
    for pid in others {
        wait_for("end of all", || state(pid) == 'Z').await;
    }
    assert!(began.elapsed() < SOON, "{how}: {:?}", began.elapsed());
    assert_eq!(["a", "b", "c"].map(|name| length(&files, name)), before, "{how}");
    drop(io);
}

#[tokio::test]
async fn ending_a_frozen_session_kills_all_of_it_as_it_stands_and_so_does_letting_go_of_it() {
    if !can_freeze("ending_a_frozen_session") {
        return;
    }
    for how in ["end", "close", "hang_up", "let go"] {
        for terminal in [false, true] {
            check_end(how, terminal).await;
        }
    }
}

#[tokio::test]
async fn a_session_that_is_over_freezes_and_thaws_and_what_it_left_running_is_frozen() {
    if !can_freeze("a_session_that_is_over") {
        return;
    }
    let mut busy =
        Busy::start("setsid -f sh -c 'while :; do echo x >> $F/a; done'", &["a"], false).await;
    assert_eq!(busy.child.wait().await.unwrap(), Exit::Status(0));
    assert_eq!(busy.freeze().await, Frozen::default());
    busy.all_stand(&["a"]).await;
    busy.child.signals.thaw().await.unwrap();
    busy.grows("a").await;
    assert!(busy.child.signals.end(Duration::ZERO).await.processes >= 1);
    assert_eq!(busy.freeze().await, Frozen::default());
    assert_eq!(busy.child.signals.end(Duration::ZERO).await, Ended::default());
}

#[tokio::test]
async fn what_hangs_in_the_kernel_is_named_and_is_frozen_once_it_comes_out() {
    let test = "what_hangs_in_the_kernel";
    if !can_freeze(test) {
        return;
    }
    // A process that version 1 has frozen cannot be reached by version 2: it hangs, as one in a dead file system does.
    let hanging = Path::new("/sys/fs/cgroup/freezer").join(format!("hang-{}", std::process::id()));
    if std::fs::create_dir(&hanging).is_err() {
        return skip(
            test,
            "needs the freezer of control groups, version 1, to make a process hang",
        );
    }
    let command = "setsid -f sh -c 'echo $$ > $F/pid; while :; do echo x >> $F/a; done'; cat";
    let busy = Busy::start(command, &["a"], false).await;
    let pid = busy.pid("pid").await;
    let hang = |how: &str| std::fs::write(hanging.join("freezer.state"), how).unwrap();
    std::fs::write(hanging.join("cgroup.procs"), pid.to_string()).unwrap();
    hang("FROZEN");
    wait_for("hanging process", || state(pid) == 'D').await;
    let late = busy.child.signals.freeze().await;
    hang("THAWED");
    match late {
        Err(FreezeError::Late { running, outside }) => {
            assert_eq!((running, outside), (vec![format!("sh ({pid})")], Vec::new()));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(busy.freeze().await, Frozen::default());
    busy.all_stand(&["a"]).await;
    busy.child.signals.thaw().await.unwrap();
    busy.grows("a").await;
    busy.end().await;
    wait_for("empty group", || std::fs::remove_dir(&hanging).is_ok()).await;
}

/// Whether Python is here, for what no shell can do.
fn has_python(test: &str) -> bool {
    let has =
        Command::new("python3").arg("--version").output().is_ok_and(|out| out.status.success());
    if !has {
        skip(test, "needs python3");
    }
    has
}

/// Writes a program of Python into the files of a test and answers how a shell runs it.
fn python(files: &TempDir, program: &str) -> String {
    let place = files.path().join("program.py");
    std::fs::write(&place, program).unwrap();
    format!("python3 {}", place.display())
}

/// Its first thread ends, and its second one goes on.
const HEADLESS: &str = r#"
import ctypes, os, sys, threading
def grow():
    while True:
        with open(os.environ["F"] + "/a", "a") as file: file.write("x")
exec(sys.argv[1] if len(sys.argv) > 1 else "")
threading.Thread(target=grow).start()
ctypes.CDLL(None).pthread_exit(None)
"#;

#[tokio::test]
async fn a_process_whose_first_thread_has_ended_looks_dead_and_is_frozen_stopped_and_ended() {
    let test = "a_process_whose_first_thread_has_ended";
    if !can_freeze(test) || !has_audit(test) || !has_python(test) {
        return;
    }
    let files = tempfile::tempdir().unwrap();
    let headless = python(&files, HEADLESS);
    let inside = format!("setsid -f {headless}; cat");
    check(&inside, &["a"], 0..=0).await;
    let outside = format!("setsid sh -c '{LEAVE}; exec {headless}' & cat");
    check(&outside, &["a"], 1..=1).await;
}

/// Makes the session's group a threaded one, which goes only while nobody is in it, and leaves one thread of two there.
const HALF: &str = r#"
import os, threading
own = [line[3:].strip() for line in open("/proc/self/cgroup") if line.startswith("0::")][0]
top = [line.split()[1] for line in open("/proc/mounts") if line.split()[2] == "cgroup2"][0]
def write(place, text):
    with open(top + place, "w") as file: file.write(text)
def grow():
    write(os.path.dirname(own) + "/cgroup.threads", str(threading.get_native_id()))
    while True:
        with open(os.environ["F"] + "/a", "a") as file: file.write("x")
def move(pids, place):
    for pid in pids:
        try: write(place + "/cgroup.procs", pid)
        except ProcessLookupError: pass
everybody = open(top + own + "/cgroup.procs").read().split()
move(everybody, "")
write(own + "/cgroup.type", "threaded")
move(everybody, own)
threading.Thread(target=grow).start()
"#;

#[tokio::test]
async fn a_process_that_leaves_one_thread_outside_is_told_and_counts_as_frozen_only_if_it_stands() {
    let test = "a_process_that_leaves_one_thread";
    if !can_freeze(test) || !has_audit(test) || !has_python(test) {
        return;
    }
    let files = tempfile::tempdir().unwrap();
    let command = format!("setsid -f {} 2>$F/why; cat", python(&files, HALF));
    let busy = Busy::start(&command, &[], false).await;
    wait_for("thread outside", || busy.length("a") > 0 || busy.length("why") > 0).await;
    if busy.length("a") == 0 {
        let why = std::fs::read_to_string(busy.file("why")).unwrap();
        busy.end().await;
        return skip(test, &format!("this machine makes no threaded group: {why}"));
    }
    let outside = match busy.child.signals.freeze().await {
        Ok(Frozen { outside }) => (busy.all_stand(&["a"]).await, outside).1,
        Err(FreezeError::Late { outside, running }) => {
            assert_eq!(running, [format!("{} ({})", outside[0].name, outside[0].pid)]);
            outside
        }
        Err(other) => panic!("{other}"),
    };
    assert_eq!(outside.len(), 1, "{outside:?}");
    assert!(outside[0].name.starts_with("python"), "{outside:?}");
    assert_eq!(busy.end().await.0.left, 0);
}

#[tokio::test]
async fn what_a_killed_node_left_frozen_is_ended_by_the_next_and_nothing_else() {
    let test = "what_a_killed_node_left_frozen";
    if !can_freeze(test) {
        return;
    }
    let files = tempfile::tempdir().unwrap();
    let file = |name: &str| files.path().join(name);
    let own = Busy::start("while :; do echo x >> $F/a; done", &["a"], false).await;
    own.freeze().await;
    let mut other = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_node_that_will_be_killed", "--include-ignored", "--nocapture"])
        .env("NODE_FILES", files.path())
        .spawn()
        .unwrap();
    wait_for("frozen session of another node", || file("frozen").exists()).await;
    let read = |name: &str| std::fs::read_to_string(file(name)).unwrap().trim().to_owned();
    let session: model::SessionId = read("frozen").parse().unwrap();
    let pids = ["in", "out"].map(|name| read(name).parse::<u32>().unwrap());
    let ours = |swept: &[model::SessionId]| swept.contains(&session);
    assert!(!ours(&sweep().await), "its node lives");
    assert!(pids.iter().all(|pid| state(*pid) != 'Z'));
    let group = std::fs::read_to_string(format!("/proc/{}/cgroup", pids[0])).unwrap();
    let group = group.lines().find_map(|line| line.strip_prefix("0::/")).unwrap();
    let group = control_groups().unwrap().join(group);
    assert!(group.exists(), "{}", group.display());
    other.kill().unwrap();
    assert_eq!(other.wait().unwrap().signal(), Some(9));
    tokio::time::sleep(WATCH).await;
    assert!(pids.iter().all(|pid| state(*pid) != 'Z'), "frozen beyond its node's end");
    assert!(ours(&sweep().await));
    for pid in pids {
        wait_for("end of all", || state(pid) == 'Z').await;
    }
    assert!(!ours(&sweep().await), "once");
    own.all_stand(&["a"]).await;
    own.child.signals.thaw().await.unwrap();
    own.grows("a").await;
    own.end().await;
    assert!(!group.exists(), "{}", group.display());
}

async fn sweep() -> Vec<model::SessionId> {
    tokio::task::spawn_blocking(host::sweep_frozen).await.unwrap()
}

#[tokio::test]
#[ignore = "run by what_a_killed_node_left_frozen_is_ended_by_the_next_and_nothing_else, as that node"]
async fn a_node_that_will_be_killed() {
    let Some(files) = std::env::var_os("NODE_FILES").map(PathBuf::from) else { return };
    let tracked = has_audit("a_node_that_will_be_killed");
    let leave = if tracked { LEAVE } else { ":" };
    let plan = plan(&format!(
        "F={}; export F; setsid -f sh -c '{leave}; echo $$ > $F/out; exec sleep 1000'; \
         setsid -f sh -c 'echo $$ > $F/in; exec sleep 1000'; cat",
        files.display()
    ));
    let id = plan.id;
    let child = start(&own(), plan).await.unwrap();
    let written =
        |name: &str| std::fs::read(files.join(name)).is_ok_and(|text| text.ends_with(b"\n"));
    wait_for("processes", || written("in") && written("out")).await;
    let frozen = child.signals.freeze().await.unwrap();
    assert_eq!(frozen.outside.len(), usize::from(tracked));
    std::fs::write(files.join("half"), id.to_string()).unwrap();
    std::fs::rename(files.join("half"), files.join("frozen")).unwrap();
    tokio::time::sleep(PATIENCE * 2).await;
}

//! Storms: what the kernel wrote is told or counted as lost, to the last record; where a role wants nothing lost, nothing is.

use super::{Beside, CLUSTER, Seen, can_see, compiled, has};
use house::kernel::Group;
use house::{Cluster, assert_success, long, wait_for};
use serde_json::Value;
use std::fs;
use std::process::{Child, Command, Stdio};

/// A storm: what does it so often, and how often that is found, folded or not.
struct Storm {
    command: Box<dyn Fn(u64) -> String>,
    kind: &'static str,
    fits: fn(&Value) -> bool,
}

/// What came of a storm.
struct Told {
    /// How often what it does was found.
    found: u64,
    /// Records that came, and those that were lost.
    came: u64,
    lost: u64,
}

impl Storm {
    /// Of a program of C that tries to open files that are not there.
    fn of_opens(program: String) -> Self {
        Self {
            command: Box::new(move |many| format!("{program} {many}")),
            kind: "opened",
            fits: |it| it["file"]["path"].as_str().is_some_and(|it| it.contains("/storm-")),
        }
    }

    fn told(&self, cluster: &Cluster, command: &str) -> Told {
        let seen = Seen::of(cluster, command);
        let found = seen.all(self.kind).filter(|it| (self.fits)(&it["action"][self.kind]));
        let found = found.map(|it| it["times"].as_u64().unwrap()).sum();
        let sum = |what: &str| seen.totals()[what].as_u64().unwrap();
        let (came, lost) = (sum("sent"), sum("lost"));
        let gaps = seen.0.iter().filter_map(|line| line["entry"]["gap"]["entries"].as_u64());
        assert_eq!(gaps.sum::<u64>(), lost, "each lost record stands in a gap");
        Told { found, came, lost }
    }

    /// Records that it makes when it does it so often: counted where nothing is lost, once and twice, and reckoned up.
    fn makes(&self, cluster: &Cluster) -> impl Fn(u64) -> u64 + use<> {
        // The first run leaves files behind that later ones find, such as what Python has compiled.
        let counted = [1, 1, 2].map(|many| {
            let command = format!("{} # counted", (self.command)(many));
            assert_success(&cluster.ssh(&command));
            let told = self.told(cluster, &command);
            assert_eq!((told.found, told.lost), (many, 0), "{command}");
            told.came
        });
        let [_, once, twice] = counted;
        assert!(twice > once, "{counted:?}");
        move |many| once + (many - 1) * (twice - once)
    }
}

/// All run at once, each over a session of its own.
fn run_at_once(cluster: &Cluster, commands: &[String]) {
    let run = |command: &String| -> Child {
        let mut ssh = cluster.ssh_command();
        ssh.arg(cluster.host()).arg(command).stdin(Stdio::null());
        ssh.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    };
    let running: Vec<_> = commands.iter().map(run).collect();
    for ssh in running {
        assert_success(&ssh.wait_with_output().unwrap());
    }
}

#[test]
fn storms_in_four_sessions_at_once_are_told_or_counted_as_lost_to_the_last_record() {
    let test = "storms_in_four_sessions";
    if !can_see(test) || !has(test, "/usr/bin/python3") {
        return;
    }
    let many: u64 = if long() { 50_000 } else { 4_000 };
    let python = |code: &'static str| -> Box<dyn Fn(u64) -> String> {
        Box::new(move |many| {
            format!("/usr/bin/python3 -c \"{}\"", code.replace("MANY", &many.to_string()))
        })
    };
    let storms = [
        Storm {
            command: Box::new(|many| format!("for n in $(seq 1 {many}); do /bin/true storm; done")),
            kind: "ran",
            fits: |it| it["arguments"][1] == "storm",
        },
        Storm {
            command: python("for n in range(MANY): open('/etc/hostname').close()"),
            kind: "opened",
            fits: |it| it["file"]["path"] == "/etc/hostname",
        },
        Storm {
            command: python(
                "import os;\nfor n in range(MANY):\n try: os.open('/tmp/storm-%d' % n, os.O_RDONLY)\n except OSError: pass",
            ),
            kind: "opened",
            fits: |it| it["file"]["path"].as_str().is_some_and(|it| it.starts_with("/tmp/storm-")),
        },
        Storm {
            command: python(
                "import socket as s;\nfor n in range(MANY):\n c = s.socket(); c.connect_ex(('127.0.0.1', 1)); c.close()",
            ),
            kind: "tcp",
            fits: |it| it["step"] == "not_connected" && it["remote"] == "127.0.0.1:1",
        },
    ];
    let made: Vec<_> = storms.iter().map(|storm| storm.makes(&CLUSTER)(many)).collect();
    let commands: Vec<_> = storms.iter().map(|storm| (storm.command)(many)).collect();
    run_at_once(&CLUSTER, &commands);
    for ((storm, command), made) in storms.iter().zip(&commands).zip(made) {
        let Told { found, came, lost } = storm.told(&CLUSTER, command);
        println!(
            "{many} × {}: {found} found; {made} records made, {came} came, {lost} lost",
            storm.kind
        );
        assert!(found <= many && found + lost >= many, "{found} of {many}, {lost} lost");
        assert_eq!(came + lost, made, "of {command}");
    }
}

#[test]
fn where_nothing_may_be_lost_a_storm_waits_for_its_recorder() {
    let test = "where_nothing_may_be_lost";
    if !can_see(test) || !house::is_root() || !house::eyes::can_freeze() {
        return;
    }
    let Some(program) = compiled(test, "storm.c", &["-O1"]) else { return };
    let storm = Storm::of_opens(program);
    let many: u64 = if long() { 400_000 } else { 80_000 };
    let told = |options: &str| {
        let cluster = Cluster::start();
        cluster.set_options(options);
        let made = storm.makes(&cluster)(many);
        let command = (storm.command)(many);
        assert_success(&cluster.ssh(&command));
        let told = storm.told(&cluster, &command);
        assert_eq!(told.came + told.lost, made, "{options}");
        println!("{options}: {many} opens: {} seen, {} lost", told.found, told.lost);
        told
    };
    let Told { found, lost, .. } = told("kernel = { files = true }");
    assert!(found <= many && found + lost >= many, "{found} of {many}, {lost} lost");
    let Told { found, lost, .. } = told("kernel = { files = true, lossless = true }");
    assert_eq!((found, lost), (many, 0));
}

/// Programs that want every processor, all of the time.
fn hogs(count: usize) -> Vec<Beside> {
    let hog = || Command::new("sh").args(["-c", "while :; do :; done"]).spawn().unwrap();
    (0..count).map(|_| Beside(hog())).collect()
}

/// Serves again as somebody who comes last: `nice 15`.
fn serve_last(cluster: &mut Cluster) {
    assert!(cluster.stop().success());
    let server = cluster.server_command(&cluster.address, &[]);
    let mut nice = Command::new("nice");
    nice.args(["-n", "15"]).arg(server.get_program()).args(server.get_args());
    cluster.serve_by(nice).until_ready();
    wait_for("the node is back", || cluster.ssh("true").status.success());
}

/// Two at once beside so many hogs, so that both processors write; each has to be told whole, once there is time for it.
fn run_two(cluster: &Cluster, storm: &Storm, many: u64, round: usize, beside: usize) -> [Told; 2] {
    let commands = [1, 2].map(|one| format!("{} # {round}-{one}", (storm.command)(many)));
    let hogs = hogs(beside);
    run_at_once(cluster, &commands);
    drop(hogs);
    commands.map(|command| storm.told(cluster, &command))
}

#[test]
fn where_nothing_may_be_lost_a_server_that_comes_last_loses_nothing_either() {
    let test = "a_server_that_comes_last";
    if !can_see(test) || !house::eyes::can_freeze() {
        return;
    }
    let Some(program) = compiled(test, "storm.c", &["-O1"]) else { return };
    let storm = Storm::of_opens(program);
    let (many, rounds) = if long() { (400_000, 8) } else { (60_000, 1) };
    let mut cluster = Cluster::start();
    cluster.set_options("kernel = { files = true, lossless = true }");
    serve_last(&mut cluster);
    for round in 0..rounds {
        for Told { found, lost, .. } in run_two(&cluster, &storm, many, round, 8) {
            println!("{many} opens beside 8 hogs at nice 15: {found} seen, {lost} lost");
            assert_eq!((found, lost), (many, 0));
        }
    }
}

/// Has the thread that reads the kernel's ring be one like any other, in this group.
fn slow_reader(group: &Group, server: u32) {
    let tasks = fs::read_dir(format!("/proc/{server}/task")).unwrap().flatten();
    let mut tasks = tasks.filter(|task| {
        fs::read_to_string(task.path().join("comm")).is_ok_and(|name| name == "kernel\n")
    });
    let task = tasks.next().expect("the reader's thread").file_name().into_string().unwrap();
    assert_success(&Command::new("chrt").args(["-o", "-p", "0", &task]).output().unwrap());
    fs::write(group.file("tasks"), task).unwrap();
}

/// How often the threads of a group had to wait.
fn waits(group: &Group) -> u64 {
    let told = fs::read_to_string(group.file("cpu.stat")).unwrap();
    let line = told.lines().find_map(|line| line.strip_prefix("nr_throttled "));
    line.expect("it is counted").parse().unwrap()
}

#[test]
fn where_nothing_may_be_lost_a_reader_that_is_slowed_loses_nothing_either() {
    let test = "a_reader_that_is_slowed";
    if !can_see(test) || !has(test, "chrt") || !house::eyes::can_freeze() {
        return;
    }
    let Some(program) = compiled(test, "storm.c", &["-O1"]) else { return };
    // A tenth of one processor, in slices of a millisecond.
    let tenth = [("cpu.cfs_period_us", "10000"), ("cpu.cfs_quota_us", "1000")];
    let Some(slow) = Group::new("cpu", &tenth) else {
        return println!("skipped: {test}: no control group of version 1 for processors");
    };
    let storm = Storm::of_opens(program);
    let mut many: u64 = if long() { 1_000_000 } else { 100_000 };
    for lossless in [false, true] {
        let cluster = Cluster::start();
        cluster.set_options(&format!("kernel = {{ files = true, lossless = {lossless} }}"));
        let makes = storm.makes(&cluster);
        slow_reader(&slow, cluster.server_pid());
        for round in 0.. {
            let before = waits(&slow);
            let told = run_two(&cluster, &storm, many, round, 0);
            let waits = waits(&slow) - before;
            for Told { found, came, lost } in &told {
                println!(
                    "lossless {lossless}: {many} opens: {found} seen, {lost} lost; the reader waited {waits} times"
                );
                assert_eq!(came + lost, makes(many));
                assert!(found + lost >= many);
            }
            assert!(waits > 0 || lossless);
            // It is too slow, or this would show nothing.
            if told.iter().all(|told| (told.lost > 0) != lossless) {
                break;
            }
            assert!(!lossless, "something is lost");
            assert!(round < 4, "the reader keeps up");
            many *= 2;
        }
    }
}

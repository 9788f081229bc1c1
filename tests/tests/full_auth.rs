//! Auth's disk runs full: of one node's recordings, and of somebody else's files. Other nodes go on, the admin signs in
//! and makes room, everything then arrives, and nothing that was sealed is damaged.

use chance::Random;
use house::apart::Apart;
use house::crash_point::{CrashPoint, FAILING, library};
use house::person::words;
use house::small_disk::{Sealed, SmallDisk};
use house::{Cluster, PASSWORD, assert_success, text, wait_for};
use serde_json::Value;
use std::time::{Duration, Instant};

const MIB: u64 = 1 << 20;

/// A cluster whose auth lies on a small disk, and its node beside it.
struct Small {
    // Dropped in this order: the disk before the folder that it is mounted in.
    disk: SmallDisk,
    apart: Apart,
}

impl Small {
    fn start(mib: u32, flags: &[&str]) -> Option<Self> {
        let mut disk = None;
        let apart = Apart::prepared(
            |folder| disk = SmallDisk::mount(&folder.join("data/auth"), mib),
            flags,
        );
        disk.map(|disk| Self { disk, apart })
    }

    fn cluster(&self) -> &Cluster {
        &self.apart.cluster
    }

    /// A session on the first node whose recording takes as many bytes as it prints.
    fn session_of(&self, mib: u64, tag: &str) {
        let bytes = mib * MIB;
        assert_success(&self.cluster().ssh(&format!("head -c {bytes} /dev/urandom; : {tag}")));
    }

    fn row(&self, tag: &str) -> Option<Value> {
        let rows = self.cluster().scry_json(&["recordings", "ls", "--json", "--limit", "1000"]);
        let rows = rows.as_array().unwrap().clone();
        rows.into_iter().find(|row| row["command"].as_str().is_some_and(|text| text.contains(tag)))
    }

    fn is_stored(&self, tag: &str) -> bool {
        self.row(tag).is_some_and(|row| row["phase"] == "stored")
    }

    /// Why what a node records waits there, as `scry nodes` says.
    fn waits(&self, node: &str) -> Option<String> {
        let nodes = self.cluster().scry_json(&["nodes", "--json"]);
        let nodes = nodes.as_array().unwrap();
        let found = nodes.iter().find(|row| row["name"] == node).unwrap();
        found["waits"].as_str().map(str::to_owned)
    }

    fn remove(&self, tag: &str) {
        let id = self.row(tag).unwrap()["id"].as_str().unwrap().to_owned();
        assert_success(&self.cluster().scry(&["recordings", "rm", "--yes", &id]));
    }

    /// Everything is at auth, whole; nothing is left on the way.
    #[track_caller]
    fn check_all(&self, tags: &[&str]) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !tags.iter().all(|tag| self.is_stored(tag)) {
            assert!(
                Instant::now() < deadline,
                "not all of {tags:?} is stored\n{}",
                self.cluster().log()
            );
            std::thread::sleep(Duration::from_millis(200));
        }
        for row in self.cluster().stored_recordings() {
            assert_eq!(
                (&row["verification"], &row["gaps"]),
                (&"complete".into(), &0.into()),
                "{row}"
            );
            let id = row["id"].as_str().unwrap();
            let file = self.cluster().export(id, "scry");
            let out = self.cluster().scry(&["verify", file.to_str().unwrap()]);
            assert_success(&out);
        }
        assert_success(&self.cluster().scry(&["audit", "verify"]));
        wait_for("the intake to be empty", || {
            std::fs::read_dir(self.disk.path.join("intake")).unwrap().count() == 0
        });
    }

    fn restart_auth(&mut self) {
        self.apart.kill_cluster();
        self.apart.restart_cluster();
    }
}

#[test]
fn a_node_at_its_quota_waits_others_go_on_and_removing_makes_room() {
    let flags = ["--keep-free", "8MiB", "--node-quota", "24MiB", "--node-reserve", "4MiB"];
    let Some(mut small) = Small::start(96, &flags) else { return };
    small.apart.start_other();
    for tag in ["first", "second", "third"] {
        small.session_of(10, tag);
    }
    wait_for("the quota", || small.waits("box").is_some());
    assert!(small.waits("box").unwrap().contains("--node-quota"), "{:?}", small.waits("box"));
    assert_eq!(small.waits("other"), None);
    let event = &small.cluster().audit("storage.node_over_quota")[0];
    assert_eq!((&event["node"], &event["quota"]), (&"box".into(), &(24 * MIB).into()));

    // Its sessions go on, on its own disk; those of the other node do so as ever.
    assert_eq!(text(&small.cluster().ssh("echo goes on")), "goes on");
    assert_eq!(text(&small.apart.ssh_other("echo elsewhere")), "elsewhere");
    wait_for("the other node's", || small.is_stored("echo elsewhere"));
    assert!(!small.is_stored("third") || !small.is_stored("echo goes on"));

    wait_for("the first", || small.is_stored("first"));
    small.remove("first");
    small.check_all(&["second", "third", "echo goes on", "echo elsewhere"]);
    assert_eq!(small.waits("box"), None);
    assert_eq!(small.cluster().audit("storage.node_over_quota").len(), 1);
    assert_eq!(small.cluster().audit("recording.remove").len(), 1);
}

#[test]
fn below_what_is_kept_free_each_node_has_its_reserve() {
    // What is left when two are removed is enough by far, also while one is sealed and stands there twice: a disk that is
    // low again then stays it until there is more than it was low at.
    let flags = ["--keep-free", "26MiB", "--node-quota", "100%", "--node-reserve", "2MiB"];
    let Some(mut small) = Small::start(64, &flags) else { return };
    small.apart.start_other();
    for tag in ["first", "second", "third", "fourth"] {
        small.session_of(8, tag);
    }
    wait_for("the reserve", || small.waits("box").is_some());
    assert!(!small.cluster().audit("storage.low").is_empty());
    assert_eq!(text(&small.apart.ssh_other("echo reserved")), "reserved");
    wait_for("the other node's", || small.is_stored("echo reserved"));
    assert_eq!(small.waits("other"), None);
    // The reserve has an end.
    let beyond = format!("head -c {} /dev/urandom; : beyond", 4 * MIB);
    assert_success(&small.apart.ssh_other(&beyond));
    wait_for("the end of it", || small.waits("other").is_some());

    small.remove("first");
    small.remove("second");
    small.check_all(&["third", "fourth", "echo reserved", "beyond"]);
    assert!(!small.cluster().audit("storage.back").is_empty());
    assert_eq!((small.waits("box"), small.waits("other")), (None, None));
}

#[test]
fn with_a_disk_that_others_filled_the_admin_signs_in_and_makes_room() {
    let Some(mut small) = Small::start(64, &[]) else { return };
    let ballast = small.disk.path.join("ballast");
    assert!(ballast.exists());
    small.session_of(6, "kept");
    small.session_of(6, "removed");
    small.check_all(&["kept", "removed"]);

    small.disk.fill(0);
    // Sessions go on, on their node's disk.
    assert_eq!(text(&small.cluster().ssh("echo full")), "full");
    let sign_in = |small: &Small| small.cluster().scry_with_input(&["login"], PASSWORD);
    assert_success(&sign_in(&small));
    wait_for("the event", || !small.cluster().audit("storage.full").is_empty());
    assert_success(&small.cluster().scry(&["recordings", "ls"]));
    assert!(!small.is_stored("echo full"));
    assert!(small.waits("box").unwrap().contains("full"), "{:?}", small.waits("box"));
    let signed_in = small.cluster().audit("user.sign_in").len();

    // Also right after auth was killed there.
    small.restart_auth();
    assert!(!ballast.exists(), "it was given back");
    assert_success(&sign_in(&small));
    assert_eq!(small.cluster().audit("user.sign_in").len(), signed_in + 1);

    // What is removed is really gone from the disk: what waits arrives, although the foreign file is still there.
    small.remove("removed");
    small.check_all(&["kept", "echo full"]);
    // The node's events waited too.
    let executed = || {
        let events = small.cluster().audit("session.exec");
        events.iter().filter(|event| event["command"] == "echo full").count()
    };
    wait_for("the node's events", || executed() > 0);
    assert_eq!(executed(), 1);

    small.disk.clear();
    wait_for("the ballast", || ballast.exists());
    wait_for("the event", || !small.cluster().audit("storage.back").is_empty());
    assert_eq!(text(&small.cluster().ssh("echo after")), "after");
    small.check_all(&["kept", "echo full", "echo after"]);
}

#[test]
fn while_somebody_takes_every_byte_that_becomes_free_the_admin_signs_in_again_and_again() {
    let Some(small) = Small::start(64, &[]) else { return };
    small.session_of(2, "kept");
    small.session_of(2, "removed");
    small.check_all(&["kept", "removed"]);
    let before = small.cluster().audit("user.sign_in").len();

    let filler = small.disk.keep_full();
    for _ in 0..40 {
        assert_success(&small.cluster().scry_with_input(&["login"], PASSWORD));
    }
    assert_eq!(small.cluster().audit("user.sign_in").len(), before + 40);
    assert_success(&small.cluster().scry(&["lock", "--login", "nobody"]));
    small.remove("removed");
    assert_eq!(small.cluster().audit("recording.remove").len(), 1);

    drop(filler);
    small.disk.clear();
    assert_eq!(text(&small.cluster().ssh("echo after")), "after");
    small.check_all(&["kept", "echo after"]);
}

#[test]
fn a_disk_that_is_filled_and_emptied_over_and_over_costs_nothing() {
    // Two of its 64 MiB each; 8 are ballast, and 8 are kept free.
    let rounds = if house::long() { 18 } else { 4 };
    let Some(small) = Small::start(64, &[]) else { return };
    let mut tags = Vec::new();
    for round in 0..rounds {
        // Full to the last byte, or with room for half of what comes; while it comes.
        let tag = format!("round-{round}");
        std::thread::scope(|scope| {
            scope.spawn(|| small.session_of(2, &tag));
            std::thread::sleep(Duration::from_millis(40 * round));
            small.disk.fill((round % 3) * MIB / 2);
        });
        std::thread::sleep(Duration::from_millis(300));
        small.disk.clear();
        tags.push(tag);
    }
    let tags: Vec<&str> = tags.iter().map(String::as_str).collect();
    small.check_all(&tags);
    println!("{rounds} rounds");
}

#[test]
fn under_strict_a_session_ends_with_a_clear_line_when_auths_disk_takes_nothing() {
    let Some(small) = Small::start(64, &[]) else { return };
    let sealed = Sealed::of(small.cluster(), "echo sealed");
    small.cluster().record_strictly();
    small.disk.fill(0);
    let began = Instant::now();
    let mut ssh = small.cluster().ssh_command();
    let out = ssh.args(["-tt", &small.cluster().host(), "echo begun; sleep 300"]).output().unwrap();
    let lasted = began.elapsed();
    assert!((25..90).contains(&lasted.as_secs()), "it ended after {lasted:?}");
    let said = words(&out);
    assert!(said.contains("auth") && said.contains("strict"), "{said}");
    small.cluster().admin_signs_in();
    small.disk.clear();
    small.check_all(&["echo begun"]);
    sealed.check(small.cluster());
    let ending = small.row("echo begun").unwrap()["ending"].clone();
    assert!(ending.as_str().is_some_and(|ending| ending.contains("stopped")), "{ending}");
}

#[test]
fn with_both_disks_full_the_admin_signs_in_and_everything_is_whole_afterwards() {
    let mut disks = None;
    let apart = Apart::prepared(
        |folder| {
            let auth = SmallDisk::mount(&folder.join("data/auth"), 64);
            disks = auth.zip(SmallDisk::mount(&folder.join("machine"), 64));
        },
        &[],
    );
    let Some((auth, node)) = disks else { return };
    let cluster = &apart.cluster;
    let sealed = Sealed::of(cluster, "echo sealed");
    assert_success(&cluster.ssh("echo before"));
    auth.fill(0);
    node.fill(0);
    // It goes on or is refused, by what the node can still keep; what it shows is recorded.
    let meanwhile = cluster.ssh("echo meanwhile");
    cluster.admin_signs_in();
    auth.clear();
    node.clear();
    wait_for("the node", || cluster.ssh("echo after").status.success());
    // What the node kept is shipped when it tries again; until then auth does not know of it.
    let shown = !text(&meanwhile).is_empty();
    wait_for("what was shown", || {
        !shown || cluster.stored_recordings().iter().any(|row| row["command"] == "echo meanwhile")
    });
    let rows = cluster.stored_recordings();
    assert!(rows.iter().all(|row| row["verification"] == "complete"), "{rows:#?}");
    let recorded = |command: &str| rows.iter().any(|row| row["command"] == command);
    assert!(recorded("echo before") && recorded("echo after"), "{rows:#?}");
    assert!(recorded("echo meanwhile") || text(&meanwhile).is_empty(), "{rows:#?}");
    sealed.check(cluster);
    assert_success(&cluster.scry(&["audit", "verify"]));
}

#[test]
fn whichever_write_of_auths_fails_it_goes_on_by_itself_and_nothing_is_damaged() {
    let rounds = if house::long() { 90 } else { 5 };
    let mut apart = Apart::start();
    let library = library(apart.cluster.folder.path());
    let points = [
        ("write", "/auth/intake/", 12),
        ("write", "/auth/recordings/", 3),
        ("write", "/auth/scry.db", 80),
        ("sync", "/auth/intake/", 12),
        ("rename", "/auth/recordings/", 2),
        ("sync", "/auth/recordings/", 6),
        ("sync", "/auth/scry.db", 30),
        ("unlink", "/auth/intake/", 2),
        ("write", "/auth/", 120),
    ];
    let (mut reached, mut tags) = (0, Vec::new());
    for round in 0..rounds {
        let mut dice = Random(3_000 + round);
        let (call, below, most) = points[usize::try_from(round).unwrap() % points.len()];
        // What a start writes into the database is left alone: it may well end there.
        let started = if below.ends_with('/') && below != "/auth/" { 0 } else { 60 };
        let number = started + 1 + dice.next() % most;
        let moment = if dice.one_in(2) { "full" } else { "broken" };
        let times = 1 + dice.next() % 8;
        apart.kill_cluster();
        let before = apart.cluster.log().matches(FAILING).count();
        let mut command = apart.cluster_command();
        CrashPoint { call, below, moment, number }.set(&mut command, &library);
        command.env("SCRY_CRASH_TIMES", times.to_string());
        apart.cluster.serve_by(command).until_ready();
        wait_for("the tunnel", || apart.cluster.ssh("true").status.success());
        for n in 0..3 {
            let tag = format!("failing-{round}-{n}");
            let bytes = 1 + n * 300_000;
            let session = format!("head -c {bytes} /dev/urandom; : {tag}");
            assert_success(&apart.cluster.ssh(&session));
            tags.push(session);
        }
        // Where auth could not begin a recording the node tries again.
        let known = |rows: &[serde_json::Value]| {
            tags.iter().all(|tag| rows.iter().any(|row| row["command"] == tag.as_str()))
        };
        wait_for("what was run", || known(&apart.cluster.stored_recordings()));
        let rows = apart.cluster.stored_recordings();
        for tag in &tags {
            let row = rows.iter().find(|row| row["command"] == tag.as_str()).expect(tag);
            let state = (&row["verification"], &row["gaps"]);
            assert_eq!(state, (&"complete".into(), &0.into()), "round {round}: {row}");
        }
        assert_success(&apart.cluster.scry(&["audit", "verify"]));
        let failed = apart.cluster.log().matches(FAILING).count() > before;
        reached += u64::from(failed);
        println!("round {round}: {moment} {call} {number} below {below}, {times} times: {failed}");
    }
    println!("{rounds} rounds, {reached} in which calls failed");
    assert!(reached * 2 >= rounds, "only {reached} of {rounds} points were reached");
}

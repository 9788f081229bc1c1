//! What others lose or get wrong: slow loops, paths that change while they are opened, fork bombs, the moment of a jump.

use super::{CLUSTER, Seen, can_see, compiled, has, line, over_ssh};
use house::terminal::Terminal;
use house::{Cluster, assert_success, long, text};
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

#[test]
fn a_loop_that_takes_its_time_is_seen_round_for_round() {
    if !can_see("a_loop_that_takes_its_time") {
        return;
    }
    // Ten minutes with `--long`.
    let (rounds, pause) = if long() { (1200, "0.5") } else { (40, "0.05") };
    let command = format!("for n in $(seq {rounds}); do sleep {pause}; ls / >/dev/null; done");
    // Of its own: it goes on for so long that others would wait for its recording.
    let cluster = Cluster::start();
    assert_success(&cluster.ssh(&command));
    let seen = Seen::of(&cluster, &command);
    let lines = seen.lines();
    let times = |wanted: &str| lines.iter().filter(|line| *line == wanted).count();
    assert_eq!((times(&format!("sleep {pause}")), times("ls /")), (rounds, rounds));
    assert_eq!((&seen.totals()["lost"], &seen.totals()["skipped"]), (&0.into(), &0.into()));
    println!("{rounds} rounds of {pause} s, none lost");
}

#[test]
fn a_path_that_turns_while_it_is_opened_is_told_as_the_file_that_was_opened() {
    let test = "a_path_that_turns";
    if !can_see(test) {
        return;
    }
    let Some(program) = compiled(test, "swap.c", &["-O1", "-pthread"]) else { return };
    let folder = CLUSTER.path("turning");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("good"), "g").unwrap();
    fs::write(folder.join("evil"), "e").unwrap();
    let folder = folder.display().to_string();
    let many: u64 = if long() { 20_000 } else { 2_000 };
    let command = format!("{program} {folder} {many}");
    let out = CLUSTER.ssh(&command);
    assert_success(&out);
    let counts: Vec<u64> = text(&out).split(' ').map(|count| count.parse().unwrap()).collect();
    let seen = Seen::of(&CLUSTER, &command);
    let opened = |name: &str| -> u64 {
        let path = format!("{folder}/{name}");
        let of_path = seen.all("opened").filter(|it| {
            let file = &it["action"]["opened"]["file"];
            file["path"] == path.as_str() && file["as_passed"] == false
        });
        of_path.map(|it| it["times"].as_u64().unwrap()).sum()
    };
    let lost = seen.totals()["lost"].as_u64().unwrap();
    println!("{many} opens, {counts:?} by the program's count, {lost} lost");
    assert!(counts[0] > 0 && counts[1] > 0, "the link did not turn while it was opened");
    let missing = (counts[0] - opened("good"), counts[1] - opened("evil"));
    assert!(missing.0 + missing.1 <= lost, "{missing:?} are missing, {lost} are said to be lost");
}

/// The deep folder is in `one` only while that bears this name: no path over `two` to the file ever was one.
#[test]
fn a_path_over_folders_that_move_is_one_that_was_or_says_that_it_is_as_passed() {
    let test = "a_path_over_folders";
    if !can_see(test) {
        return;
    }
    // In memory, where renaming takes less time than reading a long path; by somebody whom nobody records.
    let base = tempfile::tempdir_in("/dev/shm").unwrap();
    let folder = base.path().display().to_string();
    let deep = (0..50).fold(format!("{folder}/one"), |path, n| format!("{path}/{}", n % 10));
    let (inside, out) = (format!("{deep}/in"), format!("{folder}/out"));
    fs::create_dir_all(&inside).unwrap();
    fs::write(format!("{inside}/file"), "").unwrap();
    let many: u64 = if long() { 200_000 } else { 20_000 };
    let command = format!(
        "python3 -c \"import os\nwhile 1:\n try: folder = os.open('{inside}', os.O_PATH); break\n except OSError: pass\n\
         for n in range({many}): os.close(os.open('file', 0, dir_fd=folder))\""
    );
    let over = AtomicBool::new(false);
    let turns = std::thread::scope(|scope| {
        let turner = scope.spawn(|| {
            let (one, two) = (format!("{folder}/one"), format!("{folder}/two"));
            let mut turns = 0;
            while !over.load(Ordering::Relaxed) {
                for (from, to) in [(&inside, &out), (&one, &two), (&two, &one), (&out, &inside)] {
                    fs::rename(from, to).unwrap();
                }
                turns += 1;
            }
            turns
        });
        assert_success(&CLUSTER.ssh(&command));
        over.store(true, Ordering::Relaxed);
        turner.join().unwrap()
    });
    let seen = Seen::of(&CLUSTER, &command);
    let paths = [format!("{inside}/file"), format!("{out}/file")];
    let (mut were, mut passed) = (0, 0);
    let mut never = BTreeMap::new();
    for it in seen.all("opened") {
        let (file, times) = (&it["action"]["opened"]["file"], it["times"].as_u64().unwrap());
        let path = file["path"].as_str().unwrap();
        match (path.ends_with("file"), file["as_passed"].as_bool().unwrap()) {
            (false, _) => {}
            (true, true) => passed += times,
            (true, false) if paths.iter().any(|one| one == path) => were += times,
            (true, false) => *never.entry(path.to_owned()).or_insert(0) += times,
        }
    }
    let lost = seen.totals()["lost"].as_u64().unwrap();
    println!(
        "{turns} turns, {many} opens: {were} paths that were, {passed} as passed, {lost} lost"
    );
    assert_eq!(never, BTreeMap::new(), "paths that never were");
    assert!(turns > many / 100, "the folders moved {turns} times only");
    assert_eq!(were + passed, many - lost);
}

/// A control group of version 1 with so many processes at most. Removed when dropped.
struct PidsLimit(PathBuf);

impl PidsLimit {
    fn new(most: u32) -> Option<Self> {
        let group = format!("/sys/fs/cgroup/pids/scry-test-{}", std::process::id());
        let group = Self(PathBuf::from(group));
        fs::create_dir(&group.0).ok()?;
        fs::write(group.0.join("pids.max"), most.to_string()).ok()?;
        Some(group)
    }
}

impl Drop for PidsLimit {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}

#[test]
fn a_fork_bomb_does_not_blind_others_and_its_excess_is_counted() {
    let test = "a_fork_bomb";
    if !can_see(test) {
        return;
    }
    let Some(program) = compiled(test, "bomb.c", &["-O1", "-static"]) else { return };
    // Under a limit where this machine has one that can be set without taking it out of its session's group.
    let limit = PidsLimit::new(5000);
    let command = match &limit {
        Some(limit) => {
            format!("echo $$ > {}/cgroup.procs; exec {program} 100000", limit.0.display())
        }
        None => format!("{program} 5000"),
    };
    println!("under a limit: {}", limit.is_some());
    let mut bomb = CLUSTER.ssh_command();
    bomb.arg(CLUSTER.host()).arg(&command).stdin(Stdio::null()).stdout(Stdio::piped());
    let bomb = bomb.spawn().unwrap();
    let beside = over_ssh("for n in $(seq 1 300); do /bin/true beside-$n; done");
    let own: Vec<_> =
        beside.lines().into_iter().filter(|line| line.starts_with("/bin/true")).collect();
    let wanted: Vec<_> = (1..=300).map(|n| format!("/bin/true beside-{n}")).collect();
    assert_eq!(own, wanted);
    assert_eq!((&beside.totals()["lost"], &beside.totals()["beyond"]), (&0.into(), &0.into()));
    let out = bomb.wait_with_output().unwrap();
    assert_success(&out);
    let begun: u64 = text(&out).parse().unwrap();
    let seen = Seen::of(&CLUSTER, &command);
    let ran = seen.lines().iter().filter(|line| *line == "true bomb").count() as u64;
    let totals = seen.totals();
    let (lost, beyond) = (totals["lost"].as_u64().unwrap(), totals["beyond"].as_u64().unwrap());
    println!(
        "{begun} at once: {beyond} beyond the table, {ran} programs seen, {lost} records lost"
    );
    assert!(begun > 4096, "this machine gave it only {begun} processes");
    assert!(limit.is_none() || begun < 5000, "{begun}");
    assert!(beyond >= begun - 4096, "{beyond} of {begun} are said to be too many");
    assert!(ran <= begun && ran + lost >= begun, "{ran} of {begun} programs, {lost} lost");
    let strays = seen.all("ran").filter(|it| it["by"]["stray"] == true && line(it) == "true bomb");
    assert!(strays.count() as u64 + lost >= beyond);
    // It stands in the recording as a gap, and in the ledger.
    let gaps = seen.0.iter().map(|line| &line["entry"]["gap"]);
    let unseen = beyond + totals["unheld"].as_u64().unwrap() + totals["skipped"].as_u64().unwrap();
    assert_eq!(gaps.filter(|gap| gap["cause"] == "kernel" && gap["entries"] == unseen).count(), 1);
    let told = CLUSTER.audit("session.kernel_lost");
    assert!(
        told.iter().any(|event| event["beyond"] == unseen - totals["skipped"].as_u64().unwrap()),
        "{told:#?}"
    );
}

#[test]
fn one_key_leads_from_a_program_and_from_a_file_to_the_picture_of_its_moment() {
    let test = "one_key_leads";
    if !can_see(test) || !has(test, "/usr/bin/python3") {
        return;
    }
    let doomed = CLUSTER.path("doomed");
    fs::write(&doomed, "").unwrap();
    // A clock of a hundredth of a second on the screen; the file goes at 100.
    let command = format!(
        "/usr/bin/python3 -c \"import os, subprocess, time; begun = time.monotonic()\n\
         for n in range(200):\n \
         time.sleep(max(0, begun + n / 100 - time.monotonic())); os.write(1, b'clock %03d\\r' % n)\n \
         if n == 100: subprocess.Popen(['rm', '{}'])\"",
        doomed.display()
    );
    let mut ssh = CLUSTER.ssh_command();
    let out = ssh.arg("-tt").arg(CLUSTER.host()).arg(&command).stdin(Stdio::null()).output();
    assert_success(&out.unwrap());
    let id = CLUSTER.recording_of(&command)["id"].as_str().unwrap().to_owned();
    Seen::of_id(&CLUSTER, &id).ran(&format!("rm {}", doomed.display()));
    let mut player = CLUSTER.scry_command();
    player.args(["play", &id]);
    let player = Terminal::run(&CLUSTER.path(""), (100, 24), &player);
    player.wait_for("clock");
    player.keys(&["Space", "0"]);
    let jump = |key: &str, to: &str| {
        let mut jumps = 0;
        while !player.shows(to) {
            jumps += 1;
            assert!(jumps < 40, "no jump to {to}:\n{}", player.all());
            player.keys(&[key]);
            std::thread::sleep(Duration::from_millis(300));
        }
        let screen = player.screen();
        let clock =
            screen.iter().find_map(|row| row.split("clock ").nth(1)?.get(..3)?.parse().ok());
        let clock: i32 = clock.unwrap_or_else(|| panic!("no clock:\n{}", screen.join("\n")));
        println!("{jumps} jumps to {to}, where the clock shows {clock} of 100");
        assert!((95..=105).contains(&clock), "{clock}:\n{}", screen.join("\n"));
    };
    jump("c", " rm ");
    jump("e", "unlink");
    // All files and connections in a list, from which one key leads there, too.
    player.keys(&["M"]);
    player.wait_for("files and connections");
    player.keys(&["Enter"]);
    jump("e", "clock ");
}

#[test]
fn a_process_with_another_audit_session_is_told_as_tampering() {
    if !can_see("a_process_with_another_audit_session") {
        return;
    }
    let command = "echo 77 > /proc/self/loginuid && exec /bin/true meddled";
    let changed = CLUSTER.ssh(command).status.success();
    let seen = Seen::of(&CLUSTER, command);
    let audit = |it: &serde_json::Value| it["by"]["audit"].as_u64();
    let own = seen.did().next().and_then(audit);
    let (true, Some(own)) = (changed, own) else {
        println!(
            "skipped: a_process_with_another_audit_session: this machine has no audit sessions"
        );
        return;
    };
    let found = audit(seen.ran("/bin/true meddled")).unwrap();
    assert_ne!(found, own, "a login of its own begins a session of its own");
    let told = seen.0.iter().find_map(|line| line["entry"]["kernel"].get("tampering"));
    let told = told.unwrap_or_else(|| panic!("no sign: {:#?}", seen.0));
    assert_eq!(told["sign"]["audit_session"], serde_json::json!({ "own": own, "found": found }));
    let ledger = CLUSTER.audit("session.kernel_tampering");
    assert!(ledger.iter().any(|it| it["what"].as_str().is_some_and(|what| what.contains("true"))));
}

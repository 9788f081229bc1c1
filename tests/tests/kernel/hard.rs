//! What others lose or get wrong: slow loops, paths that change while they are opened, fork bombs, the moment of a jump.

use super::{CLUSTER, Seen, can_see, compiled, has, line, over_ssh};
use house::kernel::Group;
use house::terminal::Terminal;
use house::{Cluster, assert_success, long, text};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tempfile::TempDir;

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

/// A deep folder that is in `one` only while that bears this name: no path over `two` into it ever was one.
struct Moving {
    base: TempDir,
    /// Where it is, in turns.
    inside: String,
    out: String,
}

impl Moving {
    fn new() -> Self {
        // In memory, where renaming takes less time than reading a long path.
        let base = tempfile::tempdir_in("/dev/shm").unwrap();
        let folder = base.path().display();
        let deep = (0..50).fold(format!("{folder}/one"), |path, n| format!("{path}/{}", n % 10));
        let (inside, out) = (format!("{deep}/in"), format!("{folder}/out"));
        fs::create_dir_all(&inside).unwrap();
        Self { base, inside, out }
    }

    /// Whether this is a path that was one, of what is called `below` in it.
    fn was(&self, path: &str, below: &str) -> bool {
        [&self.inside, &self.out].iter().any(|one| path == format!("{one}{below}"))
    }

    /// Moves it, by somebody whom nobody records, while a session runs a command; answers how often, and what was seen.
    fn while_running(&self, command: &str) -> (u64, Seen) {
        let Self { base, inside, out } = self;
        let folder = base.path().display();
        let (one, two) = (format!("{folder}/one"), format!("{folder}/two"));
        let over = AtomicBool::new(false);
        let turns = std::thread::scope(|scope| {
            let turner = scope.spawn(|| {
                let mut turns = 0;
                while !over.load(Ordering::Relaxed) {
                    for (from, to) in [(inside, out), (&one, &two), (&two, &one), (out, inside)] {
                        fs::rename(from, to).unwrap();
                    }
                    turns += 1;
                }
                turns
            });
            assert_success(&CLUSTER.ssh(command));
            over.store(true, Ordering::Relaxed);
            turner.join().unwrap()
        });
        (turns, Seen::of(&CLUSTER, command))
    }
}

#[test]
fn a_path_over_folders_that_move_is_one_that_was_or_says_that_it_is_as_passed() {
    let test = "a_path_over_folders";
    if !can_see(test) {
        return;
    }
    let moving = Moving::new();
    fs::write(format!("{}/file", moving.inside), "").unwrap();
    let many: u64 = if long() { 200_000 } else { 20_000 };
    let (turns, seen) = moving.while_running(&format!(
        "python3 -c \"import os\nwhile 1:\n try: folder = os.open('{}', os.O_PATH); break\n except OSError: pass\n\
         for n in range({many}): os.close(os.open('file', 0, dir_fd=folder))\"",
        moving.inside
    ));
    let (mut were, mut passed) = (0, 0);
    let mut never = BTreeMap::new();
    for it in seen.all("opened") {
        let (file, times) = (&it["action"]["opened"]["file"], it["times"].as_u64().unwrap());
        let path = file["path"].as_str().unwrap();
        match (path.ends_with("file"), file["as_passed"].as_bool().unwrap()) {
            (false, _) => {}
            (true, true) => passed += times,
            (true, false) if moving.was(path, "/file") => were += times,
            (true, false) => *never.entry(path.to_owned()).or_insert(0) += times,
        }
    }
    let lost = seen.totals()["lost"].as_u64().unwrap();
    println!(
        "{turns} turns, {many} opens: {were} paths that were, {passed} as passed, {lost} lost"
    );
    assert_eq!(never, BTreeMap::new(), "paths that never were");
    assert!(turns > many / 100, "the folders moved {turns} times only");
    // What was lost may also be what python opens for itself, and a loop that waits for the folder.
    assert!((many.saturating_sub(lost)..=many).contains(&(were + passed)));
}

#[test]
fn a_program_in_folders_that_move_runs_from_a_path_that_was_or_from_none() {
    let test = "a_program_in_folders_that_move";
    if !can_see(test) || !has(test, "/usr/bin/python3") {
        return;
    }
    let moving = Moving::new();
    let program = format!("{}/runs", moving.inside);
    fs::copy("/bin/true", &program).unwrap();
    let place = fs::metadata(&program).unwrap().ino();
    let many: u64 = if long() { 20_000 } else { 2_000 };
    let (turns, seen) = moving.while_running(&format!(
        "/usr/bin/python3 -c \"import os\nwhile 1:\n try: os.chdir('{}'); break\n except OSError: pass\n\
         for n in range({many}): os.waitpid(os.posix_spawn('./runs', ['runs', 'moved'], {{}}), 0)\"",
        moving.inside
    ));
    let (mut were, mut none) = (0, 0);
    let mut never = BTreeMap::new();
    for event in seen.all("ran").filter(|event| line(event) == "runs moved") {
        let ran = &event["action"]["ran"];
        assert_eq!((&ran["place"]["inode"], &ran["file"]), (&place.into(), &"./runs".into()));
        assert_eq!(ran["deleted"], false);
        let right = |value: &Value, below: &str| {
            let path = value.as_str().unwrap();
            path.is_empty() || moving.was(path, below)
        };
        match (right(&ran["program"], "/runs") && right(&ran["folder"], ""), &ran["program"]) {
            (true, program) if program == "" => none += 1,
            (true, _) => were += 1,
            (false, _) => {
                *never.entry(format!("{} in {}", ran["program"], ran["folder"])).or_insert(0) += 1
            }
        }
    }
    let lost = seen.totals()["lost"].as_u64().unwrap();
    println!(
        "{turns} turns, {many} programs: {were} paths that were, {none} without one, {lost} lost"
    );
    assert_eq!(never, BTreeMap::<String, u64>::new(), "paths that never were");
    assert!(turns > many / 10, "the folders moved {turns} times only");
    assert!(were + none <= many && were + none + lost >= many, "{were} and {none} of {many}");
}

#[test]
fn a_fork_bomb_does_not_blind_others_and_its_excess_is_counted() {
    let test = "a_fork_bomb";
    if !can_see(test) {
        return;
    }
    let Some(program) = compiled(test, "bomb.c", &["-O1", "-static"]) else { return };
    // Under a limit where this machine has one that can be set without taking it out of its session's group.
    let limit = Group::new("pids", &[("pids.max", "5000")]);
    let command = match &limit {
        Some(limit) => {
            format!("echo $$ > {}; exec {program} 100000", limit.file("cgroup.procs").display())
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
    // What is shown is timed when it is read, which beside other programs is now and then later than it was written.
    let mut seen = Vec::new();
    while seen.len() < 3 {
        let clocks = where_keys_lead(seen.len());
        let there = clocks.iter().all(|clock| (95..=105).contains(clock));
        seen.push(clocks);
        if there {
            return;
        }
    }
    panic!("the clock shows 100 at that moment: {seen:?}");
}

/// What a clock shows that is at 100 when a program is begun and a file goes: where one key leads to either, and to the file once
/// more by the list.
fn where_keys_lead(round: usize) -> Vec<i32> {
    let doomed = CLUSTER.path(&format!("doomed-{round}"));
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
    let mut clocks = Vec::new();
    let mut jump = |key: &str, to: &str| {
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
        clocks.push(clock);
    };
    jump("c", " rm ");
    jump("e", "unlink");
    // All files and connections in a list, from which one key leads there, too.
    player.keys(&["M"]);
    player.wait_for("files and connections");
    player.keys(&["Enter"]);
    jump("e", "clock ");
    clocks
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

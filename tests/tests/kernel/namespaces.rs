//! Processes in namespaces of their own stay the session's, and a path that is another file's there says so.

use super::{Beside, CLUSTER, Seen, can_see, has, over_ssh, parent, pid};
use house::{assert_success, text, wait_for};
use serde_json::Value;
use std::fs;
use std::process::Command;

const PYTHON: &str = "/usr/bin/python3";

/// A folder with a file `key` in it.
fn folder(name: &str) -> String {
    let folder = CLUSTER.path(name);
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("key"), "k\n").unwrap();
    folder.display().to_string()
}

/// Runs a command over `ssh` that says first in which namespace of mounts it is; `None` where the machine does not let it.
fn in_mounts(test: &str, command: &str) -> Option<(String, Seen)> {
    let out = CLUSTER.ssh(command);
    if !out.status.success() {
        let why = String::from_utf8_lossy(&out.stderr).into_owned();
        println!("skipped: {test}: this machine allows none of it: {why}");
        return None;
    }
    let mounts = text(&out).lines().next().unwrap().to_owned();
    assert!(mounts.starts_with("mnt:["), "{mounts}");
    assert_ne!(mounts, own_mounts());
    Some((mounts, Seen::of(&CLUSTER, command)))
}

fn own_mounts() -> String {
    fs::read_link("/proc/self/ns/mnt").unwrap().display().to_string()
}

/// The very file was opened, and is called this.
#[track_caller]
fn opened<'s>(seen: &'s Seen, path: &str) -> &'s Value {
    seen.one("opened", path, |it| {
        it["file"]["path"] == path && it["file"]["as_passed"] == false && it["error"] == 0
    })
}

#[track_caller]
fn called(seen: &Seen, call: &str, text: &str) {
    seen.one("special", call, |it| it["call"] == call && it["text"] == text && it["error"] == 0);
}

#[track_caller]
fn changed(seen: &Seen, call: &str, path: &str, folder: &str) {
    seen.one("changed", call, |it| {
        it["call"].as_str().is_some_and(|it| it.starts_with(call))
            && it["file"]["path"] == path
            && it["file"]["folder"] == folder
            && it["file"]["as_passed"] == true
    });
}

#[test]
fn whoever_has_users_and_mounts_of_their_own_is_still_the_sessions_and_paths_say_whose_they_are() {
    let test = "whoever_has_users_and_mounts";
    if !can_see(test) || !has(test, "unshare") {
        return;
    }
    let at = folder("users");
    let command = format!(
        "unshare -Urm sh -c 'readlink /proc/self/ns/mnt; cat {at}/key {at}/none; uname -n apart'; true"
    );
    let Some((mounts, seen)) = in_mounts(test, &command) else { return };
    called(&seen, "unshare", "mounts, users");
    opened(&seen, &format!("{mounts}{at}/key"));
    seen.one("opened", "what is not there", |it| {
        it["file"]["path"] == format!("{at}/none") && it["file"]["folder"] == mounts.as_str()
    });
    let ran = &seen.ran("uname -n apart")["action"]["ran"];
    let uname = fs::canonicalize("/usr/bin/uname").unwrap();
    assert_eq!(ran["program"], format!("{mounts}{}", uname.display()));
    assert!(ran["folder"].as_str().unwrap().starts_with(&mounts), "{ran}");
    // Nobody else's path bears a name.
    let plain = format!(
        "unshare -Urm sh -c readlink /proc/self/ns/mnt; cat {at}/key {at}/none; uname -n apart"
    );
    let first = &seen.ran(&plain)["action"]["ran"]["program"];
    assert!(first.as_str().unwrap().starts_with('/'), "{first}");
}

#[test]
fn numbers_of_processes_are_the_machines_also_where_a_session_has_its_own() {
    let test = "numbers_of_processes_are_the_machines";
    if !can_see(test) || !has(test, "unshare") || !house::is_root() {
        return;
    }
    let seen = over_ssh("unshare -p --fork sh -c 'uname -n first-of-all; true'");
    called(&seen, "unshare", "processes");
    let shell = seen.ran("sh -c uname -n first-of-all; true");
    assert!(pid(shell) > 1);
    assert_eq!(parent(seen.ran("uname -n first-of-all")), pid(shell));
}

#[test]
fn namespaces_that_a_process_is_born_into_are_told_of_whoever_began_it() {
    let test = "namespaces_that_a_process_is_born_into";
    if !can_see(test) || !has(test, PYTHON) || !house::is_root() {
        return;
    }
    let number = if cfg!(target_arch = "aarch64") { 220 } else { 56 };
    let code = format!(
        "import ctypes, os\\nif ctypes.CDLL(None).syscall({number}, 0x24020000 | 17, 0, 0, 0, 0) == 0: \
         os.execv('/bin/sh', ['sh', '-c', 'uname -n born-there; true'])\\nos.wait()"
    );
    let seen = over_ssh(&format!("{PYTHON} -c \"$(printf \"{code}\")\""));
    let shell = seen.ran("sh -c uname -n born-there; true");
    let clone = seen.one("special", "the beginning of it", |it| {
        it["call"] == "clone" && it["text"] == "mounts, host name, processes"
    });
    assert_eq!(clone["action"]["special"]["numbers"][1], pid(shell));
    assert_eq!(pid(clone), parent(shell));
    assert_eq!(parent(seen.ran("uname -n born-there")), pid(shell));
}

#[test]
fn below_another_root_files_have_their_true_path_and_what_is_passed_says_where_it_begins() {
    let test = "below_another_root";
    if !can_see(test) || !has(test, PYTHON) || !house::is_root() {
        return;
    }
    let at = folder("jail");
    fs::write(format!("{at}/doomed"), "").unwrap();
    let seen = over_ssh(&format!(
        "{PYTHON} -c \"import os; os.chroot('{at}'); open('/key').close(); os.path.exists('/none') or os.unlink('/doomed'); \
         os.open('/none', os.O_CREAT); os.rename('/none', '/moved'); os.open('/nothing/there', 0)\" 2>/dev/null; true"
    ));
    seen.one("changed", "the root", |it| {
        it["call"] == "chroot"
            && it["file"]["path"] == at.as_str()
            && it["file"]["as_passed"] == false
    });
    opened(&seen, &format!("{at}/key"));
    opened(&seen, &format!("{at}/none"));
    changed(&seen, "unlink", "/doomed", &at);
    changed(&seen, "rename", "/none", &at);
    seen.one("changed", "the other path", |it| {
        it["other"]["path"] == "/moved" && it["other"]["folder"] == at.as_str()
    });
    seen.one("opened", "what is not there", |it| {
        it["file"]["path"] == "/nothing/there" && it["file"]["folder"] == at.as_str()
    });
}

#[test]
fn another_root_of_another_tree_and_what_is_mounted_there_are_told_as_that() {
    let test = "another_root_of_another_tree";
    if !can_see(test) || !has(test, "unshare") || !has(test, "pivot_root") || !house::is_root() {
        return;
    }
    let (at, source) = (folder("tree"), folder("source"));
    let command = format!(
        "unshare -m sh -c 'readlink /proc/self/ns/mnt; mount -t tmpfs none {at} && mkdir {at}/old {at}/bound && \
         mount --bind {source} {at}/bound && cd {at} && pivot_root . old && cd / && read x < /bound/key && : > /made && \
         read x < /old/{source}/key'"
    );
    let Some((mounts, seen)) = in_mounts(test, &command) else { return };
    for (call, path) in [("mount", "none"), ("mount", source.as_str())] {
        seen.one("changed", call, |it| it["call"] == call && it["file"]["path"] == path);
    }
    changed(&seen, "pivot_root", ".", &format!("{mounts}/"));
    let bound = opened(&seen, &format!("{mounts}/bound/key"));
    opened(&seen, &format!("{mounts}/made"));
    let same = opened(&seen, &format!("{mounts}/old{source}/key"));
    assert_eq!(bound["action"]["opened"]["place"], same["action"]["opened"]["place"]);
    // `/bound/key` of the machine is no file.
    let plain =
        seen.all("opened").find(|it| it["action"]["opened"]["file"]["path"] == "/bound/key");
    assert!(plain.is_none(), "{plain:?}");
}

#[test]
fn whoever_enters_the_mounts_of_a_stranger_reads_files_that_say_so() {
    let test = "whoever_enters_the_mounts";
    if !can_see(test) || !has(test, "nsenter") || !house::is_root() {
        return;
    }
    let at = folder("strange");
    let stranger = Beside(Command::new("unshare").args(["-m", "sleep", "600"]).spawn().unwrap());
    let number = stranger.0.id();
    let mounts = || fs::read_link(format!("/proc/{number}/ns/mnt")).unwrap().display().to_string();
    wait_for("its mounts", || mounts() != own_mounts());
    let command = format!("nsenter -m -t {number} cat {at}/key");
    assert_success(&CLUSTER.ssh(&command));
    let seen = Seen::of(&CLUSTER, &command);
    seen.one("special", "the way in", |it| it["call"] == "setns" && it["error"] == 0);
    opened(&seen, &format!("{}{at}/key", mounts()));
}

#[test]
fn a_file_of_a_tree_that_is_mounted_nowhere_says_so() {
    let test = "a_file_of_a_tree_that_is_mounted_nowhere";
    if !can_see(test) || !has(test, PYTHON) || !house::is_root() {
        return;
    }
    let at = folder("nowhere");
    let command = format!(
        "{PYTHON} -c \"import ctypes, os; tree = ctypes.CDLL(None).syscall(428, -100, b'{at}', 1); \
         os.open('key', 0, dir_fd=tree)\""
    );
    let out = CLUSTER.ssh(&command);
    if !out.status.success() {
        return println!("skipped: {test}: this kernel has no open_tree: {out:?}");
    }
    opened(&Seen::of(&CLUSTER, &command), "mnt:[none]/key");
}

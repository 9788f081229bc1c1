//! `scry try`: the first thing a new user runs.

use house::person::words;
use house::{assert_success, is_root, output_with, scry_path};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Output};

fn check(out: &Output) {
    assert_success(out);
    let all = words(out);
    for expected in ["hello", "complete", "scry play"] {
        assert!(all.contains(expected), "no {expected:?} in:\n{all}");
    }
    // The recording is kept where everybody on the machine may look.
    let file = all.lines().find_map(|line| line.strip_prefix("Play it:  scry play ")).unwrap();
    let facts = std::fs::metadata(file.trim()).unwrap();
    assert_eq!(facts.permissions().mode() & 0o7777, 0o600, "{file}");
}

#[test]
fn what_is_piped_in_is_recorded_verified_and_shown() {
    check(&output_with(Command::new(scry_path()).arg("try"), "echo hello\nexit\n"));
}

#[test]
fn it_works_for_an_ordinary_user() {
    if !std::path::Path::new("/proc/self/loginuid").exists() || !is_root() {
        println!(
            "skipped: needs root to become somebody else; the test above ran as an ordinary user"
        );
        return;
    }
    let Some((name, uid, gid)) = ordinary_account() else {
        println!("skipped: no ordinary account with a shell is on this machine");
        return;
    };
    let home = tempfile::tempdir().unwrap();
    let exe = home.path().join("scry");
    std::fs::copy(scry_path(), &exe).unwrap();
    std::os::unix::fs::chown(home.path(), Some(uid), Some(gid)).unwrap();
    let mut command = Command::new(exe);
    command.arg("try").uid(uid).gid(gid).env("HOME", home.path()).env("USER", name);
    command.env("TMPDIR", home.path());
    check(&output_with(&mut command, "echo hello\nexit\n"));
}

/// An account that is not root and whose shell is one.
fn ordinary_account() -> Option<(String, u32, u32)> {
    let accounts = std::fs::read_to_string("/etc/passwd").ok()?;
    accounts.lines().find_map(|line| {
        let fields: Vec<_> = line.split(':').collect();
        let [name, _, uid, gid, _, _, shell] = fields.as_slice() else { return None };
        let real = ["/bin/bash", "/bin/sh", "/usr/bin/bash", "/bin/zsh"].contains(shell);
        let uid: u32 = uid.parse().ok()?;
        (real && uid != 0).then_some(((*name).to_owned(), uid, gid.parse().ok()?))
    })
}

#[test]
fn the_sessions_exit_code_is_passed_on() {
    let out = output_with(Command::new(scry_path()).arg("try"), "exit 7\n");
    assert_eq!(out.status.code(), Some(7));
}

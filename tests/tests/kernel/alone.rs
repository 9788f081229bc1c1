//! Where only programs are watched, which is what a role gets that says nothing.

use super::{Seen, can_see, has, pid};
use house::{Cluster, assert_success, text};
use std::sync::LazyLock;

static QUIET: LazyLock<Cluster> = LazyLock::new(Cluster::start_shared);

#[test]
fn what_is_not_seen_along_with_programs_alone_is_said_and_who_they_run_as_is_seen() {
    let test = "what_is_not_seen_along_with_programs_alone";
    if !can_see(test) || !has(test, "su") || !house::is_root() {
        return;
    }
    let command = "su -s /bin/sh nobody -c 'uname -n as-nobody; /nowhere/none'; unshare -m uname -n elsewhere; true";
    assert_success(&QUIET.ssh(command));
    let seen = Seen::of(&QUIET, command);
    for kind in ["not_ran", "identity", "special", "opened", "socket"] {
        assert_eq!(seen.all(kind).count(), 0, "{kind}: {:#?}", seen.0);
    }
    let id = QUIET.recording_of(command)["id"].as_str().unwrap().to_owned();
    let shown = text(&QUIET.scry(&["recordings", "events", &id]));
    let first = shown.lines().next().unwrap();
    assert!(
        first.contains("the kernel watches commands (programs that could not be run, and calls by which a process changes")
            && first.contains("are seen only where files or connections are watched too"),
        "{shown}"
    );
    // Who a program runs as is known at each of them.
    let ran = seen.ran("uname -n as-nobody");
    assert_eq!((&ran["by"]["uid"], &ran["by"]["euid"]), (&65534.into(), &65534.into()));
    assert_eq!(ran["action"]["ran"]["gid"][0], 65534);
    assert_eq!(ran["action"]["ran"]["capabilities"], 0);
    let line = shown.lines().find(|line| line.ends_with(" uname -n as-nobody")).unwrap();
    assert!(line.contains(&format!("{:>7}  65534 ", pid(ran))), "{line}");
    // And in which mounts.
    if let Some(ran) = seen.all("ran").find(|it| it["action"]["ran"]["arguments"][2] == "elsewhere")
    {
        let program = ran["action"]["ran"]["program"].as_str().unwrap();
        assert!(program.starts_with("mnt:["), "{program}");
    }
}

#[test]
fn where_more_is_watched_nothing_is_said_to_be_missing() {
    if !can_see("where_more_is_watched") {
        return;
    }
    let command = "true more";
    assert_success(&super::CLUSTER.ssh(command));
    let id = super::CLUSTER.recording_of(command)["id"].as_str().unwrap().to_owned();
    let shown = text(&super::CLUSTER.scry(&["recordings", "events", &id]));
    let first = shown.lines().next().unwrap();
    assert!(first.ends_with("the kernel watches commands, files, network"), "{shown}");
}

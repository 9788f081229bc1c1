//! The control group of a session (cgroups(7), version 2): it holds every process of the session, wherever that went in
//! the tree of processes. It serves to find and to end them; nothing is limited by it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Before the session's id in the group's name.
const PREFIX: &str = "scry-";
/// Tries to make a group and to join it, because another node of the machine may sweep an empty one in between.
const TRIES: usize = 3;

/// A session's group; gone with its last process once this is dropped.
#[derive(Debug)]
pub(crate) struct Group {
    path: PathBuf,
}

/// Makes a group for the session below the one that this process is in, and joins it. Called after PAM, whose modules
/// move sessions too. `None` where there is none to be had: no version 2, or no right to.
pub(crate) fn join(session: &str) -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    let own = fs::read_to_string("/proc/self/cgroup").ok()?;
    let path = place(&mounts, &own)?.join(format!("{PREFIX}{session}"));
    for _ in 0..TRIES {
        fs::create_dir(&path).ok()?;
        match fs::write(path.join("cgroup.procs"), "0") {
            Ok(()) => return Some(path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(_) => break,
        }
    }
    let _ = fs::remove_dir(&path);
    None
}

/// Removes groups beside `path` that nobody is in any more: those of sessions whose people left something running.
fn sweep_beside(path: &Path) {
    let Some(all) = path.parent().and_then(|parent| fs::read_dir(parent).ok()) else { return };
    let groups = all
        .filter_map(Result::ok)
        .filter(|entry| entry.file_name().to_str().is_some_and(|name| name.starts_with(PREFIX)));
    for group in groups {
        // The kernel refuses as long as somebody is in it.
        let _ = fs::remove_dir(group.path());
    }
}

impl Group {
    /// The group that a session process says it has joined; `None` if it says nonsense.
    pub(crate) fn of(path: PathBuf, session: &str) -> Option<Self> {
        let named = path.file_name()?.to_str()? == format!("{PREFIX}{session}");
        (named && path.join("cgroup.procs").exists()).then_some(Self { path })
    }

    /// Whether this is one of its processes, by `/proc/PID/cgroup`; groups below it count.
    pub(crate) fn holds(&self, pid: i32) -> bool {
        let Some(name) = self.path.file_name().and_then(|name| name.to_str()) else { return false };
        let own = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
        own.lines()
            .filter_map(|line| line.strip_prefix("0::"))
            .any(|path| path.split('/').any(|part| part == name))
    }

    /// Ends all of its processes at once, however fast they fork (Linux 5.14; before, they are killed one by one).
    pub(crate) fn kill(&self) {
        let _ = fs::write(self.path.join("cgroup.kill"), "1");
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        sweep_beside(&self.path);
    }
}

/// Folder of the group that a process is in, from its `mountinfo` and its `cgroup`. Hybrid machines have version 2
/// beside version 1 (`/sys/fs/cgroup/unified`).
fn place(mounts: &str, own: &str) -> Option<PathBuf> {
    let within = own.lines().find_map(|line| line.strip_prefix("0::"))?;
    let (root, point) = mounts.lines().find_map(|line| {
        // proc_pid_mountinfo(5): … root, mount point, options, any optional fields, `-`, type, …
        let (mount, kind) = line.split_once(" - ")?;
        let mut fields = mount.split(' ').skip(3);
        let (root, point) = (fields.next()?, fields.next()?);
        (kind.split(' ').next() == Some("cgroup2")).then_some((root, point))
    })?;
    let below = Path::new(within).strip_prefix(root).ok()?;
    Some(Path::new(point).join(below))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_group_is_found_on_pure_and_hybrid_machines_and_in_containers() {
        let pure = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw";
        let hybrid = "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n\
                      32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n\
                      41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw";
        let inside = "9 1 0:26 /box /sys/fs/cgroup rw - cgroup2 cgroup2 rw";
        for (mounts, own, wanted) in [
            (pure, "0::/", Some("/sys/fs/cgroup")),
            (
                pure,
                "0::/system.slice/scry.service",
                Some("/sys/fs/cgroup/system.slice/scry.service"),
            ),
            (hybrid, "9:name=systemd:/x\n4:memory:/y\n0::/z", Some("/sys/fs/cgroup/unified/z")),
            (inside, "0::/box/scry", Some("/sys/fs/cgroup/scry")),
            (inside, "0::/other", None),
            (pure, "9:name=systemd:/x", None),
            ("31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw", "0::/", None),
            ("", "", None),
        ] {
            assert_eq!(place(mounts, own), wanted.map(PathBuf::from), "{own}");
        }
    }

    #[test]
    fn a_group_of_another_session_is_none() {
        assert!(Group::of("/sys/fs/cgroup".into(), "7").is_none());
        assert!(Group::of("/none/scry-7".into(), "7").is_none());
    }
}

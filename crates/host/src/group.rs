//! The control group of a session (cgroups(7), version 2): it holds every process of the session, wherever that went in
//! the tree of processes. It serves to find, to freeze and to end them; nothing is limited by it.

use rustix::fs::XattrFlags;
use rustix::process::geteuid;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Before the session's id in the group's name.
const PREFIX: &str = "scry-";
/// Tries to make a group and to join it, because another node of the machine may sweep an empty one in between.
const TRIES: usize = 3;
/// What says which node froze a group. The first may be set only by root of the machine itself, the second (Linux 5.7)
/// by root of a container too; no user can set either on a group that root made, but the second on one of their own.
const MARKS: [&str; 2] = ["trusted.scry.node", "user.scry.node"];
/// Bytes of such a mark. A longer one is none.
const MARK_BYTES: usize = 256;
/// Groups of the machine that a sweep looks at, and how deep. Cut: those beyond stay as they are.
const GROUPS: usize = 65_536;
const DEPTH: usize = 24;

/// A session's group; gone with its last process once this is dropped.
#[derive(Debug)]
pub(crate) struct Group {
    path: PathBuf,
    /// What `/proc/PID/cgroup` calls it.
    known: PathBuf,
}

/// Makes a group for the session below the one that this process is in, and joins it. Called after PAM, whose modules
/// move sessions too. `None` where there is none to be had: no version 2, or no right to.
pub(crate) fn join(session: &str) -> Option<PathBuf> {
    let path = own_place()?.join(format!("{PREFIX}{session}"));
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

/// Folder of the group that this process is in; `None` on a machine without version 2.
fn own_place() -> Option<PathBuf> {
    place(&mounts(), &fs::read_to_string("/proc/self/cgroup").ok()?)
}

/// Whether this machine has version 2.
pub(crate) fn is_available() -> bool {
    own_place().is_some()
}

/// What [`Group::governs`] wants to know of the machine.
pub(crate) fn mounts() -> String {
    fs::read_to_string("/proc/self/mountinfo").unwrap_or_default()
}

/// Groups of sessions, wherever on this machine, that are this account's own, frozen and marked; with their session and
/// their mark.
pub(crate) fn frozen() -> Vec<(Group, String, String)> {
    let mounts = mounts();
    let Some((_, top)) = mount(&mounts) else { return Vec::new() };
    let (mut found, mut waiting, mut looked) = (Vec::new(), vec![(PathBuf::from(top), 0)], 0);
    while let Some((folder, depth)) = waiting.pop() {
        looked += 1;
        if looked > GROUPS {
            break;
        }
        if let Some(one) = frozen_at(&folder) {
            found.push(one);
        } else if depth < DEPTH {
            let below = fs::read_dir(&folder).into_iter().flatten().filter_map(Result::ok);
            let folders = below.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
            waiting.extend(folders.map(|entry| (entry.path(), depth + 1)));
        }
    }
    found
}

fn frozen_at(folder: &Path) -> Option<(Group, String, String)> {
    let session = folder.file_name()?.to_str()?.strip_prefix(PREFIX)?.to_owned();
    if !is_own(folder, geteuid().as_raw()) {
        return None;
    }
    let told = fs::read_to_string(folder.join("cgroup.freeze")).ok()?;
    let mark = mark(folder).filter(|_| told.trim() == "1")?;
    Some((Group::of(folder.to_owned(), &session)?, session, mark))
}

/// Whether a folder and the one that it is in are this account's. Who was given a part of the tree (delegation) can make
/// groups of any name there, freeze them and mark them.
fn is_own(folder: &Path, uid: u32) -> bool {
    let owned =
        |folder: &Path| fs::symlink_metadata(folder).is_ok_and(|folder| folder.uid() == uid);
    owned(folder) && folder.parent().is_some_and(owned)
}

fn mark(group: &Path) -> Option<String> {
    MARKS.iter().find_map(|name| {
        let mut bytes = [0; MARK_BYTES];
        let length = rustix::fs::getxattr(group, *name, &mut bytes[..]).ok()?;
        String::from_utf8(bytes.get(..length)?.to_vec()).ok()
    })
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
    /// The group that a session process says it has joined; `None` if it says nonsense, or nothing says who is in it.
    pub(crate) fn of(path: PathBuf, session: &str) -> Option<Self> {
        let named = path.file_name()?.to_str()? == format!("{PREFIX}{session}");
        let known = known(&mounts(), &path)?;
        (named && path.join("cgroup.procs").exists()).then_some(Self { path, known })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether this is one of its processes, by `/proc/PID/cgroup`; groups below it count.
    pub(crate) fn holds(&self, pid: i32) -> bool {
        let own = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
        is_within(&self.known, &own)
    }

    /// Whether all threads of a process are in this very group or below it, so that what is done to the group is done to
    /// the process. [`Group::holds`] finds more: root can leave one of a process's threads behind.
    pub(crate) fn governs(&self, pid: i32, mounts: &str) -> bool {
        let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return true };
        threads.filter_map(Result::ok).all(|thread| {
            let text = fs::read_to_string(thread.path().join("cgroup"));
            // What has ended since is nowhere else.
            text.map_or(true, |own| {
                place(mounts, &own).is_some_and(|at| at.starts_with(&self.path))
            })
        })
    }

    /// Whether the group is still there; once it is empty, another session's end may remove it.
    pub(crate) fn exists(&self) -> bool {
        self.path.exists()
    }

    /// Freezes its processes and those that they start, or lets them go on (Linux 5.2). The kernel needs a moment for it.
    pub(crate) fn freeze(&self, frozen: bool) -> io::Result<()> {
        self.write("cgroup.freeze", if frozen { "1" } else { "0" })
    }

    /// Whether every process of the group has come to rest.
    pub(crate) fn is_frozen(&self) -> bool {
        let told = fs::read_to_string(self.path.join("cgroup.events")).unwrap_or_default();
        told.lines().any(|line| line == "frozen 1")
    }

    /// Ends all of its processes at once, however fast they fork and even if they are frozen (Linux 5.14; before, they
    /// are killed one by one).
    pub(crate) fn kill(&self) -> io::Result<()> {
        self.write("cgroup.kill", "1")
    }

    /// Never makes the file: what the kernel does not offer is not there.
    fn write(&self, file: &str, text: &str) -> io::Result<()> {
        let mut file = fs::OpenOptions::new().write(true).open(self.path.join(file))?;
        file.write_all(text.as_bytes())
    }

    /// Notes on the group which node it is that freezes it.
    pub(crate) fn set_mark(&self, mark: &str) -> io::Result<()> {
        let set = |name: &str| {
            rustix::fs::setxattr(&self.path, name, mark.as_bytes(), XattrFlags::empty())
        };
        let [first, second] = MARKS;
        set(first).or_else(|_| set(second)).map_err(Into::into)
    }

    /// Takes the note off again.
    pub(crate) fn clear_mark(&self) {
        for name in MARKS {
            let _ = rustix::fs::removexattr(&self.path, name);
        }
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
    let (root, point) = mount(mounts)?;
    let below = within(own)?.strip_prefix(root).ok()?;
    Some(Path::new(point).join(below))
}

/// What `/proc/PID/cgroup` calls the group of this folder: the way back from [`place`].
fn known(mounts: &str, folder: &Path) -> Option<PathBuf> {
    let (root, point) = mount(mounts)?;
    Some(Path::new(root).join(folder.strip_prefix(point).ok()?))
}

/// Whether a process, by its `cgroup`, is in this very group or below it. A group of the same name elsewhere is another:
/// users can make one in their own part of the tree.
fn is_within(known: &Path, own: &str) -> bool {
    within(own).is_some_and(|group| group.starts_with(known))
}

/// The group of version 2 in a process's `cgroup`.
fn within(own: &str) -> Option<&Path> {
    own.lines().find_map(|line| line.strip_prefix("0::")).map(Path::new)
}

/// Which group is the uppermost that is seen, and the folder where it is.
fn mount(mounts: &str) -> Option<(&str, &str)> {
    mounts.lines().find_map(|line| {
        // proc_pid_mountinfo(5): … root, mount point, options, any optional fields, `-`, type, …
        let (mount, kind) = line.split_once(" - ")?;
        let mut fields = mount.split(' ').skip(3);
        let (root, point) = (fields.next()?, fields.next()?);
        (kind.split(' ').next() == Some("cgroup2")).then_some((root, point))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PURE: &str = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw";
    const HYBRID: &str = "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n\
                          32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n\
                          41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw";
    const INSIDE: &str = "9 1 0:26 /box /sys/fs/cgroup rw - cgroup2 cgroup2 rw";

    #[test]
    fn the_group_is_found_on_pure_and_hybrid_machines_and_in_containers() {
        for (mounts, own, wanted) in [
            (PURE, "0::/", Some("/sys/fs/cgroup")),
            (
                PURE,
                "0::/system.slice/scry.service",
                Some("/sys/fs/cgroup/system.slice/scry.service"),
            ),
            (HYBRID, "9:name=systemd:/x\n4:memory:/y\n0::/z", Some("/sys/fs/cgroup/unified/z")),
            (INSIDE, "0::/box/scry", Some("/sys/fs/cgroup/scry")),
            (INSIDE, "0::/other", None),
            (PURE, "9:name=systemd:/x", None),
            ("31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw", "0::/", None),
            ("", "", None),
        ] {
            assert_eq!(place(mounts, own), wanted.map(PathBuf::from), "{own}");
        }
    }

    #[test]
    fn only_this_very_group_and_what_is_below_it_counts_and_no_other_of_its_name() {
        for (mounts, folder, is) in [
            (PURE, "/sys/fs/cgroup/a/scry-7", "/a/scry-7"),
            (HYBRID, "/sys/fs/cgroup/unified/scry-7", "/scry-7"),
            (INSIDE, "/sys/fs/cgroup/scry-7", "/box/scry-7"),
        ] {
            let known = known(mounts, Path::new(folder)).unwrap();
            assert_eq!(known, Path::new(is));
            let own = format!("4:memory:/y\n0::{is}");
            assert_eq!(place(mounts, &own), Some(folder.into()));
            assert!(is_within(&known, &own) && is_within(&known, &format!("{own}/below/it")));
            for other in [
                "0::/".to_owned(),
                format!("0::/user.slice{is}"),
                format!("0::/..{is}"),
                format!("0::{is}0"),
                format!("9:name=systemd:{is}\n0::/"),
                String::new(),
            ] {
                assert!(!is_within(&known, &other), "{other}");
            }
        }
        assert_eq!(known(HYBRID, Path::new("/sys/fs/cgroup/cpu/scry-7")), None);
    }

    #[test]
    fn a_group_that_somebody_else_made_or_could_make_is_left_alone() {
        let own = geteuid().as_raw();
        let above = tempfile::tempdir().unwrap();
        let folder = above.path().join("scry-7");
        fs::create_dir(&folder).unwrap();
        assert!(is_own(&folder, own) && !is_own(&folder, own + 1));
        assert!(!is_own(&above.path().join("none"), own));
        if own != 0 {
            return;
        }
        let give = |folder: &Path, uid| std::os::unix::fs::chown(folder, Some(uid), None).unwrap();
        give(above.path(), 1);
        assert!(!is_own(&folder, own));
        give(&folder, 1);
        give(above.path(), own);
        assert!(!is_own(&folder, own));
    }

    #[test]
    fn a_group_of_another_session_is_none() {
        assert!(Group::of("/sys/fs/cgroup".into(), "7").is_none());
        assert!(Group::of("/none/scry-7".into(), "7").is_none());
    }
}

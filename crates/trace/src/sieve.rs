//! Leaves out what no role wants recorded, and counts it.
//!
//! What is left out is so for certain: the very file, by the path behind its descriptor, or the socket's own other end. A
//! path as it was passed may lead anywhere (links, another thread), so that what was done by it is kept, unless nothing
//! was there. Where paths begin to mean something else (a mount, another root), nothing is left out from then on.

use crate::address;
use core::net::{IpAddr, SocketAddr};
use model::kernel::{Action, LeftOut, Named, TcpStep, Unbound};
use model::scope::Scope;

/// Nothing was there, or something on the way was no folder (errno(3)).
const NOT_THERE: [i32; 2] = [2, 20];
/// Calls behind which a path may mean another file.
const MEANS: [&str; 6] = ["mount", "move_mount", "open_tree", "pivot_root", "chroot", "setns"];
/// Calls that mean the name itself, and not what a link of this name leads to.
const NAME_ITSELF: [&str; 12] = [
    "unlink",
    "unlinkat",
    "rmdir",
    "rename",
    "renameat",
    "renameat2",
    "mkdir",
    "mkdirat",
    "mknod",
    "mknodat",
    "lchown",
    "lchown32",
];

/// One session's.
#[derive(Debug, Default)]
pub(crate) struct Sieve {
    scope: Scope,
    /// Whether everything passes, whatever the scope.
    unbound: bool,
    left_out: LeftOut,
}

impl Sieve {
    pub(crate) fn new(scope: Scope) -> Self {
        Self { scope, ..Self::default() }
    }

    /// From here on everything passes; answers why, the first time that this changes anything.
    pub(crate) fn unbind(&mut self, why: Unbound) -> Option<Unbound> {
        let news = !self.scope.is_all() && !std::mem::replace(&mut self.unbound, true);
        news.then_some(why)
    }

    /// As [`Sieve::unbind`], if this action is a reason for it.
    pub(crate) fn look(&mut self, process: u32, action: &Action) -> Option<Unbound> {
        let call = match action {
            Action::Changed { call, error: 0, .. } | Action::Special { call, error: 0, .. } => call,
            _ => return None,
        };
        let means = MEANS.contains(&call.as_str());
        if means { self.unbind(Unbound::Mounts { process, call: call.clone() }) } else { None }
    }

    /// Whether an action passes. `whole`: whether its paths are; `peer`: the other end that the socket itself has.
    pub(crate) fn passes(&mut self, action: &Action, whole: bool, peer: Option<IpAddr>) -> bool {
        if self.unbound || self.scope.is_all() {
            return true;
        }
        let counted = match action {
            Action::Opened { file, error, .. } if whole && !self.wants(file, *error, false) => {
                &mut self.left_out.files
            }
            Action::Changed { call, file, other, error, .. }
                if whole && !self.wants_change(call, (file, other.as_ref()), *error) =>
            {
                &mut self.left_out.files
            }
            Action::Tcp { step, remote, .. } if !self.wants_tcp(*step, remote) => {
                &mut self.left_out.network
            }
            Action::Socket { .. } if peer.is_some_and(|peer| !self.scope.wants_address(peer)) => {
                &mut self.left_out.network
            }
            _ => return true,
        };
        *counted = counted.saturating_add(1);
        false
    }

    /// What was left out since this was asked last.
    pub(crate) fn left_out(&mut self) -> Option<LeftOut> {
        let left_out = std::mem::take(&mut self.left_out);
        (!self.scope.is_all()).then_some(left_out)
    }

    /// `itself`: whether the name is meant, and not what a link of this name leads to.
    fn wants(&self, file: &Named, error: i32, itself: bool) -> bool {
        let path = match NOT_THERE.contains(&error) {
            true => straight(file),
            false => certain(file, itself),
        };
        path.is_none_or(|path| self.scope.wants_file(&path))
    }

    fn wants_change(
        &self,
        call: &str,
        (file, other): (&Named, Option<&Named>),
        error: i32,
    ) -> bool {
        let itself = NAME_ITSELF.contains(&call);
        let first = match call {
            // What a symbolic link says is no file that is changed.
            "symlink" | "symlinkat" => false,
            _ => self.wants(file, error, itself),
        };
        first
            || other.is_some_and(|other| {
                self.wants(other, error, itself || call.starts_with("symlink"))
            })
    }

    fn wants_tcp(&self, step: TcpStep, remote: &str) -> bool {
        let remote = remote.parse::<SocketAddr>().ok().filter(|_| step != TcpStep::Listens);
        remote.is_none_or(|remote| self.scope.wants_address(remote.ip()))
    }
}

/// The path of the very file; `None` if nobody can know it.
fn certain(file: &Named, itself: bool) -> Option<String> {
    let path = match file.as_passed {
        false => file.path.clone(),
        true => {
            let single = !file.path.contains('/') && !matches!(file.path.as_str(), "" | "." | "..");
            if !(itself && single && file.folder.starts_with('/')) {
                return None;
            }
            join(&file.folder, &file.path)
        }
    };
    // Files without a name in any folder, such as pipes.
    path.starts_with('/').then_some(path)
}

/// The path as passed, without its detours; `None` if it begins where paths mean something else.
fn straight(file: &Named) -> Option<String> {
    let absolute = file.path.starts_with('/');
    if !(file.folder.starts_with('/') || absolute && file.folder.is_empty()) {
        return None;
    }
    // Nothing leads out of the root that an absolute path begins at.
    let (root, whole) = match absolute {
        true => (file.folder.trim_end_matches('/'), file.path.clone()),
        false => ("", join(&file.folder, &file.path)),
    };
    let mut parts = Vec::new();
    for part in whole.split('/') {
        match part {
            "" | "." => {}
            ".." => _ = parts.pop(),
            part => parts.push(part),
        }
    }
    Some(format!("{root}/{}", parts.join("/")))
}

fn join(folder: &str, name: &str) -> String {
    if folder == "/" { format!("/{name}") } else { format!("{folder}/{name}") }
}

/// The other end that a socket itself has, of an internet address.
pub(crate) fn peer(family: u32, address: &[u8], port: u16) -> Option<IpAddr> {
    address::end(family, address, port).parse::<SocketAddr>().ok().map(|end| end.ip())
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::scope::{FileFilter, NetworkFilter};

    fn sieve(under: &[&str], except: &[&str]) -> Sieve {
        let folders = |all: &[&str]| all.iter().map(|one| one.parse().unwrap()).collect();
        let filter = FileFilter { under: folders(under), except: folders(except) };
        Sieve::new(Scope { files: vec![filter], network: Vec::new() })
    }

    fn file(path: &str, folder: &str, as_passed: bool) -> Named {
        Named { path: path.to_owned(), folder: folder.to_owned(), as_passed }
    }

    fn opened(file: Named, error: i32) -> Action {
        Action::Opened { file, flags: 0, place: None, error }
    }

    fn changed(call: &str, file: Named, other: Option<Named>, error: i32) -> Action {
        Action::Changed { call: call.to_owned(), file, other, numbers: Vec::new(), error }
    }

    #[test]
    fn only_what_is_outside_for_certain_is_left_out_and_it_is_counted() {
        let mut sieve = sieve(&["/etc", "/srv"], &["/srv/cache"]);
        let very = |path: &str| file(path, "", false);
        let passed = |path: &str, folder: &str| file(path, folder, true);
        let mut left = 0;
        for (action, passes) in [
            (opened(very("/etc/shadow"), 0), true),
            (opened(very("/usr/lib/x"), 0), false),
            (opened(very("/srv/cache/x"), 0), false),
            (opened(very("pipe:[7]"), 0), true),
            (opened(very("mnt:[8]/usr/lib/x"), 0), true),
            // Nothing was there: what was passed decides, straightened out.
            (opened(passed("/usr/lib/none", ""), 2), false),
            (opened(passed("/usr/lib/../../etc/none", ""), 2), true),
            (opened(passed("../etc/none", "/usr"), 20), true),
            (opened(passed("none", "/usr"), 2), false),
            // Below another root; and where nobody knows what a path begins at.
            (opened(passed("/../none", "/usr"), 2), false),
            (opened(passed("/../none", "/etc"), 2), true),
            (opened(passed("/usr/none", "mnt:[8]"), 2), true),
            (opened(passed("none", "mnt:[8]/usr"), 2), true),
            (opened(passed("none", ""), 2), true),
            // Something was there, and could be anything.
            (opened(passed("/tmp/link/shadow", ""), 13), true),
            (changed("unlinkat", passed("/tmp/link/shadow", ""), None, 0), true),
            // The name itself, in a folder that the kernel walked.
            (changed("unlinkat", passed("x", "/tmp"), None, 0), false),
            (changed("unlinkat", passed("x", "/etc"), None, 0), true),
            (changed("unlinkat", passed("..", "/tmp"), None, 0), true),
            (changed("fchmodat", passed("link", "/tmp"), None, 0), true),
            (changed("fchmod", very("/tmp/x"), None, 0), false),
            (changed("renameat2", passed("x", "/tmp"), Some(passed("y", "/var")), 0), false),
            (changed("renameat2", passed("x", "/tmp"), Some(passed("y", "/etc")), 0), true),
            (changed("renameat2", passed("x", "/tmp"), Some(passed("/var/y", "")), 0), true),
            (changed("symlinkat", passed("/etc/shadow", ""), Some(passed("x", "/tmp")), 0), false),
            (changed("symlinkat", passed("/tmp", ""), Some(passed("x", "/etc")), 0), true),
            (changed("linkat", passed("x", "/tmp"), Some(passed("y", "/tmp")), 0), true),
        ] {
            assert_eq!(sieve.passes(&action, true, None), passes, "{action}");
            left += u64::from(!passes);
        }
        assert_eq!(sieve.left_out(), Some(LeftOut { files: left, network: 0 }));
        assert_eq!(sieve.left_out(), Some(LeftOut::default()));
        assert!(sieve.passes(&opened(very("/usr/lib/x"), 0), false, None), "a path that was cut");
    }

    #[test]
    fn connections_are_left_out_by_the_other_end_that_the_socket_itself_has() {
        let network = |text: &str| text.parse().unwrap();
        let filter =
            NetworkFilter { to: vec![network("10.0.0.0/8")], except: vec![network("10.1.0.0/16")] };
        let mut sieve = Sieve::new(Scope { files: Vec::new(), network: vec![filter] });
        let tcp = |step, remote: &str| {
            let (local, remote) = ("10.9.9.9:1".to_owned(), remote.to_owned());
            Action::Tcp { step, local, remote }
        };
        let socket = |remote: &str| Action::Socket {
            call: "sendto".to_owned(),
            protocol: 17,
            local: String::new(),
            remote: remote.to_owned(),
            error: 0,
        };
        let peer = |text: &str| Some(text.parse().unwrap());
        for (action, peer, passes) in [
            (tcp(TcpStep::Connected, "10.2.0.1:22"), None, true),
            (tcp(TcpStep::Connected, "10.1.0.1:22"), None, false),
            (tcp(TcpStep::NotConnected, "[2001:db8::1]:443"), None, false),
            (tcp(TcpStep::Listens, ""), None, true),
            (socket("unix:/run/docker.sock"), None, true),
            // What was passed is not known for certain.
            (socket("8.8.8.8:53"), None, true),
            (socket("8.8.8.8:53"), peer("8.8.8.8"), false),
            (socket("10.2.0.1:53"), peer("10.2.0.1"), true),
        ] {
            assert_eq!(sieve.passes(&action, true, peer), passes, "{action}");
        }
        assert_eq!(sieve.left_out(), Some(LeftOut { files: 0, network: 3 }));
    }

    #[test]
    fn where_paths_may_mean_something_else_nothing_is_left_out_any_more() {
        let usr = || opened(file("/usr/lib/x", "", false), 0);
        for (action, unbinds) in [
            (changed("mount", file("/etc", "", true), None, 0), true),
            (changed("mount", file("/etc", "", true), None, 1), false),
            (changed("chroot", file("/tmp", "", true), None, 0), true),
            (changed("open_tree", file("/etc", "", true), None, 0), true),
            (changed("umount2", file("/tmp", "", true), None, 0), false),
            (
                Action::Special {
                    call: "setns".into(),
                    text: String::new(),
                    numbers: Vec::new(),
                    error: 0,
                },
                true,
            ),
        ] {
            let mut sieve = sieve(&["/etc"], &[]);
            let told = sieve.look(7, &action);
            assert_eq!(told.is_some(), unbinds, "{action}");
            assert_eq!(sieve.passes(&usr(), true, None), unbinds, "{action}");
            assert!(sieve.look(7, &action).is_none(), "told once");
        }
        let mut all = Sieve::new(Scope::ALL);
        assert!(all.unbind(Unbound::Lost).is_none() && all.left_out().is_none());
    }
}

//! What a net helper makes in the file system, always with the user's rights: sockets, and the folders of agents' sockets.

use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::net::sockopt::{self, Timeout};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a socket whose queue is full is waited for.
const QUEUE: Duration = Duration::from_secs(10);

/// Everything that goes when the helper ends.
#[derive(Default)]
pub(crate) struct Made {
    pub(crate) agents: Vec<AgentDirectory>,
    pub(crate) sockets: Vec<BoundSocket>,
}

/// Connects to a socket as the user. Links are followed, as they are for whoever has these rights.
pub(crate) fn dial_socket(path: &str) -> io::Result<OwnedFd> {
    let address = SocketAddrUnix::new(absolute(path)?)?;
    let flags = SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    sockopt::set_socket_timeout(&socket, Timeout::Send, Some(QUEUE))?;
    rustix::net::connect(&socket, &address)?;
    sockopt::set_socket_timeout(&socket, Timeout::Send, None)?;
    Ok(socket)
}

/// A socket that waits at `path`. As with sshd's `StreamLocalBindUnlink no`, whatever is there already stays and
/// is an error, a link included; only the user can reach the socket (umask).
pub(crate) fn listen_socket(path: &str) -> io::Result<(BoundSocket, UnixListener)> {
    let path = absolute(path)?.to_owned();
    let listener = UnixListener::bind(&path)?;
    let found = std::fs::symlink_metadata(&path)?;
    let socket = BoundSocket { path, device: found.dev(), inode: found.ino() };
    Ok((socket, listener))
}

fn absolute(path: &str) -> io::Result<&Path> {
    let path = Path::new(path);
    if path.is_absolute() {
        Ok(path)
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidInput, "the path must begin with /"))
    }
}

/// A socket of ours. It is removed when this is dropped, if it is still the same one.
pub(crate) struct BoundSocket {
    pub(crate) path: PathBuf,
    device: u64,
    inode: u64,
}

impl Drop for BoundSocket {
    fn drop(&mut self) {
        let same = std::fs::symlink_metadata(&self.path).is_ok_and(|found| {
            found.file_type().is_socket() && (found.dev(), found.ino()) == (self.device, self.inode)
        });
        if same {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// A directory of our own with the agent's socket in it; both go when it is dropped, if they are still the same ones.
pub(crate) struct AgentDirectory {
    path: PathBuf,
    /// The directory itself, whatever its path leads to by then.
    directory: OwnedFd,
    /// Device and inode of the socket.
    made: (u64, u64),
}

/// Name of the socket in its directory.
const AGENT: &str = "agent";

impl AgentDirectory {
    pub(crate) fn make() -> io::Result<(Self, UnixListener)> {
        let uid = rustix::process::geteuid();
        let runtime = PathBuf::from(format!("/run/user/{}", uid.as_raw()));
        let base = match private(&runtime) {
            Some(_) => runtime,
            None => PathBuf::from("/tmp"),
        };
        let mut random = [0; 8];
        File::open("/dev/urandom")?.read_exact(&mut random)?;
        let path = base.join(format!("scry-agent-{:016x}", u64::from_ne_bytes(random)));
        // mkdir fails on whatever is there already, a symbolic link included.
        std::fs::DirBuilder::new().mode(0o700).create(&path)?;
        let changed = || io::Error::other("somebody else changed the new directory");
        let directory = private(&path).ok_or_else(changed)?;
        // The umask lets only the user in from the first moment.
        let listener = UnixListener::bind(path.join(AGENT))?;
        let made = socket_in(&directory).ok_or_else(changed)?;
        rustix::fs::chmodat(&directory, AGENT, Mode::RUSR | Mode::WUSR, AtFlags::empty())?;
        Ok((Self { path, directory, made }, listener))
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.path.join(AGENT)
    }
}

impl Drop for AgentDirectory {
    fn drop(&mut self) {
        if socket_in(&self.directory) == Some(self.made) {
            let _ = rustix::fs::unlinkat(&self.directory, AGENT, AtFlags::empty());
        }
        let own = rustix::fs::fstat(&self.directory);
        let named = rustix::fs::lstat(&self.path);
        let same = own.and_then(|own| Ok((own, named?)));
        if same.is_ok_and(|(own, named)| (own.st_dev, own.st_ino) == (named.st_dev, named.st_ino)) {
            // One in which the user has put something stays.
            let _ = std::fs::remove_dir(&self.path);
        }
    }
}

/// Device and inode of the agent's socket in this directory; none if something else, such as a link, has its name.
fn socket_in(directory: &OwnedFd) -> Option<(u64, u64)> {
    let stat = rustix::fs::statat(directory, AGENT, AtFlags::SYMLINK_NOFOLLOW).ok()?;
    FileType::from_raw_mode(stat.st_mode).is_socket().then_some((stat.st_dev, stat.st_ino))
}

/// A real directory, no link, of ours, and closed to everybody else; none if it is not that.
fn private(path: &Path) -> Option<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let directory = rustix::fs::open(path, flags, Mode::empty()).ok()?;
    let stat = rustix::fs::fstat(&directory).ok()?;
    let is_private = FileType::from_raw_mode(stat.st_mode).is_dir()
        && stat.st_uid == rustix::process::geteuid().as_raw()
        && Mode::from_raw_mode(stat.st_mode) & (Mode::RWXG | Mode::RWXO) == Mode::empty();
    is_private.then_some(directory)
}

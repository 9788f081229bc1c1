//! What a net helper makes in the file system, always with the user's rights: sockets, and the folders of agents' sockets.

use rustix::fs::{FileType, Mode, OFlags};
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

/// A directory of our own with the agent's socket in it; both go when it is dropped.
pub(crate) struct AgentDirectory(PathBuf);

impl AgentDirectory {
    pub(crate) fn make() -> io::Result<(Self, UnixListener)> {
        let uid = rustix::process::geteuid();
        let runtime = PathBuf::from(format!("/run/user/{}", uid.as_raw()));
        let base = if is_private(&runtime) { runtime } else { PathBuf::from("/tmp") };
        let mut random = [0; 8];
        File::open("/dev/urandom")?.read_exact(&mut random)?;
        let path = base.join(format!("scry-agent-{:016x}", u64::from_ne_bytes(random)));
        // mkdir fails on whatever is there already, a symbolic link included.
        std::fs::DirBuilder::new().mode(0o700).create(&path)?;
        let directory = Self(path);
        if !is_private(&directory.0) {
            return Err(io::Error::other("somebody else changed the new directory"));
        }
        // The umask lets only the user in from the first moment.
        let listener = UnixListener::bind(directory.socket())?;
        rustix::fs::chmod(directory.socket(), Mode::RUSR | Mode::WUSR)?;
        Ok((directory, listener))
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.0.join("agent")
    }
}

impl Drop for AgentDirectory {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(self.socket());
        let _ = std::fs::remove_dir(&self.0);
    }
}

/// Whether this is a real directory, no link, of ours, and closed to everybody else.
fn is_private(path: &Path) -> bool {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let Ok(directory) = rustix::fs::open(path, flags, Mode::empty()) else { return false };
    rustix::fs::fstat(&directory).is_ok_and(|stat| {
        FileType::from_raw_mode(stat.st_mode).is_dir()
            && stat.st_uid == rustix::process::geteuid().as_raw()
            && Mode::from_raw_mode(stat.st_mode) & (Mode::RWXG | Mode::RWXO) == Mode::empty()
    })
}

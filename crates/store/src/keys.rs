//! Key files, written whole or not at all and readable by their owner only, and the layout of scry's directories.
//!
//! All calls block for a moment; they are made at start-up, at sign-in and when certificates are renewed.

mod layout;

pub use layout::{ClientDir, ClusterDir, ServerDir, ServerLock};

use rustix::fs::{Mode, OFlags};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use thiserror::Error;
use zeroize::Zeroizing;

/// Bytes of a key, certificate or settings file. Refuse: nothing that scry writes here is longer.
pub const KEY_FILE_BYTES: u64 = 4 * 1024 * 1024;

/// Why a file or directory of keys cannot be used. Each text says what to do.
#[derive(Debug, Error)]
pub enum KeyError {
    /// There is no such file.
    #[error("there is no file {}", .path.display())]
    Missing {
        /// Which.
        path: PathBuf,
    },
    /// There is such a file already, and it must not be replaced.
    #[error("{} is there already and is not replaced", .path.display())]
    Exists {
        /// Which.
        path: PathBuf,
    },
    /// Others may read or write it.
    #[error(
        "{} can be read or written by others (mode {mode:04o}): \
         if nobody else had it, run: chmod {} {}",
        .path.display(), if *.directory { "700" } else { "600" }, .path.display()
    )]
    Open {
        /// Which.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
        /// Whether it is a directory.
        directory: bool,
    },
    /// It belongs to somebody else.
    #[error(
        "{} belongs to user {owner}, but this is user {own}: \
         run as its owner, or give it away with chown",
        .path.display()
    )]
    Foreign {
        /// Which.
        path: PathBuf,
        /// Whose it is, by number.
        owner: u32,
        /// Who this process is, by number.
        own: u32,
    },
    /// It is not what it should be.
    #[error("{} is no {expected}: move it away", .path.display())]
    Kind {
        /// Which.
        path: PathBuf,
        /// `file` or `directory`.
        expected: &'static str,
    },
    /// Longer than [`KEY_FILE_BYTES`].
    #[error("{} is longer than {KEY_FILE_BYTES} bytes: it is no file of scry's", .path.display())]
    TooLong {
        /// Which.
        path: PathBuf,
    },
    /// Another process works in the data directory.
    #[error("another scry is running on {}: stop it first, or give another one with --data-dir", .path.display())]
    Locked {
        /// The data directory.
        path: PathBuf,
    },
    /// Neither `SCRY_HOME` nor `HOME` says where the client's directory is.
    #[error("cannot tell where to keep keys: set HOME, or SCRY_HOME to a directory of your own")]
    NoHome,
    /// Not usable as the name of a directory.
    #[error("{name:?} cannot be the name of a cluster: use letters, digits, dots, dashes and _")]
    ClusterName {
        /// What was given.
        name: String,
    },
    /// The system refused.
    #[error("cannot {doing} {}", .path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

impl KeyError {
    fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| match source.kind() {
            io::ErrorKind::NotFound => Self::Missing { path },
            io::ErrorKind::AlreadyExists => Self::Exists { path },
            _ => Self::Io { doing, path, source },
        }
    }

    /// Whether the file is simply not there.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Missing { .. })
    }
}

/// Makes a directory of one's own, 0700, with its parents, or checks the one that is there.
/// One that is open to others is closed if it is one's own.
///
/// # Errors
/// [`KeyError::Foreign`] when it belongs to somebody else, [`KeyError::Kind`] when it is no directory.
pub fn ensure_dir(path: &Path) -> Result<(), KeyError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => {
            KeyError::Kind { path: path.to_owned(), expected: "directory" }
        }
        _ => KeyError::io("make directory", path)(source),
    })?;
    let facts = std::fs::metadata(path).map_err(KeyError::io("look at", path))?;
    if !facts.is_dir() {
        return Err(KeyError::Kind { path: path.to_owned(), expected: "directory" });
    }
    let own = rustix::process::geteuid().as_raw();
    if facts.uid() != own {
        return Err(KeyError::Foreign { path: path.to_owned(), owner: facts.uid(), own });
    }
    if facts.mode() & 0o077 != 0 {
        let closed = std::fs::Permissions::from_mode(0o700);
        std::fs::set_permissions(path, closed).map_err(KeyError::io("close to others", path))?;
    }
    Ok(())
}

/// Writes a file, 0600, whole or not at all: after a crash there is the old one or the one given, durably.
///
/// # Errors
/// [`KeyError::Io`] with what failed; the old file is then as it was.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), KeyError> {
    let staged = Staged::write(path, bytes)?;
    std::fs::rename(&staged.path, path).map_err(KeyError::io("put into place", path))?;
    staged.placed();
    sync_parent(path)
}

/// As [`write()`], but never replaces: for keys whose loss cannot be made good.
///
/// # Errors
/// [`KeyError::Exists`] when there is such a file.
pub fn create(path: &Path, bytes: &[u8]) -> Result<(), KeyError> {
    let staged = Staged::write(path, bytes)?;
    std::fs::hard_link(&staged.path, path).map_err(KeyError::io("put into place", path))?;
    drop(staged);
    sync_parent(path)
}

/// Reads a secret. It is wiped from memory when dropped.
///
/// # Errors
/// [`KeyError::Open`] when group or others have any right to it, [`KeyError::Foreign`] when it belongs to another user
/// (root's are accepted), [`KeyError::Kind`] when it is no plain file or a symbolic link, [`KeyError::Missing`].
pub fn read_private(path: &Path) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let (file, facts) = open(path, OFlags::NOFOLLOW)?;
    check_owner(path, facts.uid())?;
    if facts.mode() & 0o077 != 0 {
        let mode = facts.mode() & 0o7777;
        return Err(KeyError::Open { path: path.to_owned(), mode, directory: false });
    }
    read_all(path, file).map(Zeroizing::new)
}

/// Reads a file that holds no secret, whoever may read it.
///
/// # Errors
/// [`KeyError::Missing`], [`KeyError::TooLong`], [`KeyError::Kind`] when it is no plain file.
pub fn read_public(path: &Path) -> Result<Vec<u8>, KeyError> {
    let (file, _) = open(path, OFlags::empty())?;
    read_all(path, file)
}

/// Removes a file, durably. Says whether there was one.
///
/// # Errors
/// [`KeyError::Io`].
pub fn remove(path: &Path) -> Result<bool, KeyError> {
    match std::fs::remove_file(path) {
        Ok(()) => sync_parent(path).map(|()| true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(KeyError::io("remove", path)(error)),
    }
}

/// One's own, or root's: root can replace it anyway.
fn check_owner(path: &Path, owner: u32) -> Result<(), KeyError> {
    let own = rustix::process::geteuid().as_raw();
    if owner == own || owner == 0 {
        return Ok(());
    }
    Err(KeyError::Foreign { path: path.to_owned(), owner, own })
}

/// Opened first and looked at afterwards, so that nothing can be swapped in between. A pipe does not make it wait.
fn open(path: &Path, flags: OFlags) -> Result<(File, std::fs::Metadata), KeyError> {
    let flags = flags | OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let not_a_file = || KeyError::Kind { path: path.to_owned(), expected: "file" };
    let file: File = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(file) => file.into(),
        Err(rustix::io::Errno::LOOP) => return Err(not_a_file()),
        Err(error) => return Err(KeyError::io("open", path)(error.into())),
    };
    let facts = file.metadata().map_err(KeyError::io("look at", path))?;
    if !facts.is_file() {
        return Err(not_a_file());
    }
    Ok((file, facts))
}

fn read_all(path: &Path, file: File) -> Result<Vec<u8>, KeyError> {
    let length = file.metadata().map_or(0, |facts| facts.len());
    if length > KEY_FILE_BYTES {
        return Err(KeyError::TooLong { path: path.to_owned() });
    }
    // Room from the beginning, so that no half of a secret stays behind where a growing vector moved away from.
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0) + 1);
    file.take(KEY_FILE_BYTES).read_to_end(&mut bytes).map_err(KeyError::io("read", path))?;
    Ok(bytes)
}

/// A written and synced file beside its place; gone again if it does not get there.
struct Staged {
    path: PathBuf,
}

impl Staged {
    fn write(place: &Path, bytes: &[u8]) -> Result<Self, KeyError> {
        let mut tail = [0_u8; 8];
        rand::fill(&mut tail);
        let mut name = std::ffi::OsString::from(".");
        name.push(place.file_name().unwrap_or_default());
        name.push(format!(".{}", crate::hex::encode(&tail)));
        let staged = Self { path: place.with_file_name(name) };
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&staged.path)
            .map_err(KeyError::io("create", &staged.path))?;
        file.write_all(bytes)
            .and_then(|()| file.sync_all())
            .map_err(KeyError::io("write", &staged.path))?;
        Ok(staged)
    }

    fn placed(mut self) {
        self.path = PathBuf::new();
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if self.path.as_os_str().is_empty() {
            return;
        }
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "left a temporary file behind");
        }
    }
}

/// A file's name is durable only once its directory is.
pub(crate) fn sync_parent(path: &Path) -> Result<(), KeyError> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new("."));
    File::open(parent).and_then(|dir| dir.sync_all()).map_err(KeyError::io("sync", parent))
}

#[cfg(test)]
mod tests;

//! The disk below a directory: how much of it is free, what it says when it is full, and ballast that is given back to it then.

use std::error::Error;
use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Ballast takes at most this part of its disk.
const BALLAST_PART: u64 = 16;
/// SQLite's words for a disk that takes no more: `SQLITE_FULL`, and `SQLITE_IOERR_SHMSIZE` of the file that its log's index lies in.
const SQLITE_FULL: [&str; 2] = ["13", "4874"];

/// Space of a disk, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// What may be written yet.
    pub free: u64,
    /// The whole disk.
    pub total: u64,
}

impl Space {
    /// Of the disk that `dir` lies on. Costs a microsecond.
    ///
    /// # Errors
    /// What the system says.
    pub fn of(dir: &Path) -> io::Result<Self> {
        let facts = rustix::fs::statvfs(dir)?;
        Ok(Self {
            free: facts.f_bavail.saturating_mul(facts.f_frsize),
            total: facts.f_blocks.saturating_mul(facts.f_frsize),
        })
    }
}

/// Whether this error, or one that it came of, says that the disk is full, or the user's share of it.
#[must_use]
pub fn is_full(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(one) = cause {
        if let Some(error) = one.downcast_ref::<io::Error>() {
            if matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
                return true;
            }
            // An `io::Error` hides what it wraps from `source()`.
            if error.get_ref().is_some_and(|inner| is_full(inner)) {
                return true;
            }
        }
        if let Some(sqlx::Error::Database(error)) = one.downcast_ref::<sqlx::Error>()
            && error.code().is_some_and(|code| SQLITE_FULL.contains(&code.as_ref()))
        {
            return true;
        }
        cause = one.source();
    }
    false
}

/// A file that holds room on its disk, until it is given back for what must be written then.
#[derive(Debug)]
pub(crate) struct Hold {
    path: PathBuf,
    bytes: u64,
    /// Whether the file stands. Held while it is made or removed.
    stands: Mutex<bool>,
}

impl Hold {
    /// Room of `bytes` at `path`; `stands` says whether it is there already.
    pub fn new(path: PathBuf, bytes: u64, stands: bool) -> Self {
        Self { path, bytes, stands: Mutex::new(stands) }
    }

    /// Its size.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether it stands.
    pub fn stands(&self) -> bool {
        *self.held()
    }

    /// Makes the file if it is not there, with its blocks on the disk. Says whether it stands. Blocks for the disk.
    pub fn make(&self) -> bool {
        let mut stands = self.held();
        if *stands {
            return true;
        }
        match preallocate(&self.path, self.bytes) {
            Ok(()) => *stands = true,
            Err(error) => {
                tracing::warn!(%error, path = %self.path.display(), "no room to be held free");
                // A half-made one would only take the space.
                let _ = std::fs::remove_file(&self.path);
            }
        }
        *stands
    }

    /// Gives the space back. Says whether there was any to give.
    pub fn free(&self) -> bool {
        let mut stands = self.held();
        if !*stands {
            return false;
        }
        *stands = false;
        tracing::warn!(path = %self.path.display(), bytes = self.bytes, "the disk is full: room that was held free is given back");
        match std::fs::remove_file(&self.path) {
            Ok(()) => true,
            Err(error) => {
                tracing::error!(%error, path = %self.path.display(), "held room cannot be given back");
                false
            }
        }
    }

    /// Of its disk.
    fn space(&self) -> io::Result<Space> {
        Space::of(self.path.parent().unwrap_or(Path::new(".")))
    }

    fn held(&self) -> MutexGuard<'_, bool> {
        self.stands.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A file whose blocks are really there: by `fallocate`, or by writing where the file system has none.
fn preallocate(path: &Path, bytes: u64) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let file = options.write(true).create(true).truncate(true).mode(0o600).open(path)?;
    let flags = rustix::fs::FallocateFlags::empty();
    match rustix::fs::fallocate(&file, flags, 0, bytes) {
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => {
            io::copy(&mut io::Read::take(io::repeat(0x55), bytes), &mut &file)?;
        }
        other => other?,
    }
    file.sync_all()
}

/// Room for what must be written when nothing else can be. Clones share it.
#[derive(Debug, Clone)]
pub struct Ballast(Arc<Hold>);

impl Ballast {
    /// Ballast at `path`, of `bytes` or a sixteenth of the disk, if that is less. It is made by [`Ballast::renew`];
    /// one that an earlier start made stands.
    ///
    /// # Errors
    /// What the system says of the disk.
    pub fn new(path: &Path, bytes: u64) -> io::Result<Self> {
        let dir = path.parent().unwrap_or(Path::new("."));
        let bytes = bytes.min(Space::of(dir)?.total / BALLAST_PART);
        let stands = std::fs::metadata(path).is_ok_and(|facts| facts.len() >= bytes);
        Ok(Self(Arc::new(Hold::new(path.to_owned(), bytes, stands))))
    }

    /// Its size, in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.0.bytes()
    }

    /// Whether it stands; if not, the disk is or was full.
    #[must_use]
    pub fn stands(&self) -> bool {
        self.0.stands()
    }

    /// Gives the space back if hardly any is left. Costs a microsecond while there is enough.
    pub fn relieve(&self) {
        if self.0.space().is_ok_and(|space| space.free < self.bytes() / 4) {
            self.free();
        }
    }

    /// Gives the space back. Says whether there was any to give.
    pub fn free(&self) -> bool {
        self.0.free()
    }

    /// Makes it again once three times as much is free. Says whether it stands. Blocks for the disk.
    pub fn renew(&self) -> bool {
        let enough = |space: Space| space.free >= self.bytes().saturating_mul(3);
        self.stands() || (self.0.space().is_ok_and(enough) && self.0.make())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ballast_is_made_given_back_once_and_made_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ballast");
        let ballast = Ballast::new(&path, 1 << 20).unwrap();
        assert!(!ballast.stands() && !ballast.free());
        assert!(ballast.renew() && ballast.stands());
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 1 << 20);
        // There is room: it stays, and the next start finds it.
        ballast.relieve();
        assert!(Ballast::new(&path, 1 << 20).unwrap().stands());
        assert!(ballast.free() && !ballast.free() && !path.exists());
        assert!(ballast.renew() && path.exists());
    }

    #[test]
    fn a_full_disk_is_found_behind_any_error() {
        let full = || io::Error::from(io::ErrorKind::StorageFull);
        let store = |source| object_store::Error::Generic { store: "local", source };
        assert!(is_full(&full()));
        assert!(is_full(&io::Error::other(full())));
        assert!(is_full(&store(Box::new(full()))));
        assert!(is_full(&io::Error::from(rustix::io::Errno::DQUOT)));
        assert!(!is_full(&io::Error::from(rustix::io::Errno::IO)));
        assert!(!is_full(&store(Box::new(io::Error::other("no")))));
    }
}

//! The disk below a directory: how much of it is free, what it says when it is full, and ballast that is given back to it then.

use crate::spool::preallocate;
use std::error::Error;
use std::io;
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

/// A file that holds room for what must be written when nothing else can be. Clones share it.
#[derive(Debug, Clone)]
pub struct Ballast(Arc<Hold>);

#[derive(Debug)]
struct Hold {
    path: PathBuf,
    bytes: u64,
    /// Whether the file stands. Held while it is made or removed.
    stands: Mutex<bool>,
}

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
        Ok(Self(Arc::new(Hold { path: path.to_owned(), bytes, stands: Mutex::new(stands) })))
    }

    /// Its size, in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.0.bytes
    }

    /// Whether it stands; if not, the disk is or was full.
    #[must_use]
    pub fn stands(&self) -> bool {
        *self.held()
    }

    /// Gives the space back if hardly any is left. Costs a microsecond while there is enough.
    pub fn relieve(&self) {
        let dir = self.0.path.parent().unwrap_or(Path::new("."));
        if Space::of(dir).is_ok_and(|space| space.free < self.0.bytes / 4) {
            self.free();
        }
    }

    /// Gives the space back. Says whether there was any to give.
    pub fn free(&self) -> bool {
        let mut stands = self.held();
        if !*stands {
            return false;
        }
        *stands = false;
        tracing::warn!(path = %self.0.path.display(), bytes = self.0.bytes, "the disk is full: its ballast is given back");
        match std::fs::remove_file(&self.0.path) {
            Ok(()) => true,
            Err(error) => {
                tracing::error!(%error, "the ballast cannot be given back");
                false
            }
        }
    }

    /// Makes it again, with its blocks on the disk, once three times as much is free. Says whether it stands. Blocks for the disk.
    pub fn renew(&self) -> bool {
        let mut stands = self.held();
        let dir = self.0.path.parent().unwrap_or(Path::new("."));
        let enough = |space: Space| space.free >= self.0.bytes.saturating_mul(3);
        if *stands || !Space::of(dir).is_ok_and(enough) {
            return *stands;
        }
        match preallocate(&self.0.path, self.0.bytes) {
            Ok(()) => *stands = true,
            Err(error) => {
                tracing::warn!(%error, path = %self.0.path.display(), "no room for the ballast");
                // A half-made one would only take the space.
                let _ = std::fs::remove_file(&self.0.path);
            }
        }
        *stands
    }

    fn held(&self) -> MutexGuard<'_, bool> {
        self.0.stands.lock().unwrap_or_else(PoisonError::into_inner)
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

//! A node's recordings until auth has them: one append-only file each, `<id>.rec`, whose heading says everything about it.
//!
//! Calls block for the time of a write to the page cache, [`SpoolFile::sync`] for the time of the disk.
//! Whole records go in; what a crash tore off at the end is for the caller to find (`record::scan_spool`) and to [`SpoolFile::truncate`].

use crate::disk::{self, Hold, Space};
use crate::file::{self, FileSource};
use crate::keys::{self, KeyError};
use model::{SessionId, UserName, limit};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use thiserror::Error;

/// Extension of a recording's file.
pub(crate) const EXTENSION: &str = "rec";
const RESERVE: &str = "reserve";
/// Bytes of the disk that are placed beforehand besides a recording's reserve.
const PLACE_BYTES: u64 = 128 * 1024;
/// One user's recordings may hold one of so many parts of the quota: whoever fills theirs leaves room for everybody
/// else's. Beyond it goes what goes beyond the quota. What an earlier run left is nobody's.
const USER_SHARE: u64 = 2;

/// Why the spool cannot do it.
#[derive(Debug, Error)]
pub enum SpoolError {
    /// The disk is full. [`SpoolFile::append_last`] may still succeed.
    #[error("the disk of the spool {} is full: free some space", .dir.display())]
    DiskFull {
        /// The spool's directory.
        dir: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The spool has used up its share of the disk. [`SpoolFile::append_last`] may still succeed.
    #[error(
        "the spool {} holds {used} of the {most} bytes it may: \
         recordings wait there until the auth service takes them",
        .dir.display()
    )]
    QuotaFull {
        /// The spool's directory.
        dir: PathBuf,
        /// Bytes in it.
        used: u64,
        /// Bytes it may hold.
        most: u64,
    },
    /// The user's recordings have used up their share of the spool. [`SpoolFile::append_last`] may still succeed.
    #[error(
        "recordings of {user} hold {used} of the {most} bytes that one user's may in the spool {}, which is full for them: \
         they wait there until the auth service takes them",
        .dir.display()
    )]
    ShareFull {
        /// The spool's directory.
        dir: PathBuf,
        /// Whose.
        user: UserName,
        /// Bytes in them.
        used: u64,
        /// Bytes they may hold.
        most: u64,
    },
    /// There is no such recording in the spool.
    #[error("the spool has no recording {id}")]
    Missing {
        /// Which.
        id: SessionId,
    },
    /// There is one already.
    #[error("the spool has a recording {id} already")]
    Exists {
        /// Which.
        id: SessionId,
    },
    /// The directory cannot be used.
    #[error("cannot use the directory of the spool")]
    Directory(#[source] KeyError),
    /// The system refused.
    #[error("cannot {doing} in the spool: {}", .path.display())]
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

impl SpoolError {
    /// Whether there is no room: what the role says about that applies.
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(self, Self::DiskFull { .. } | Self::QuotaFull { .. } | Self::ShareFull { .. })
    }
}

/// The directory. Clones share it.
#[derive(Debug, Clone)]
pub struct Spool(Arc<Room>);

#[derive(Debug)]
struct Room {
    dir: PathBuf,
    most: u64,
    used: AtomicU64,
    /// Whose each recording is that this run began; held for moments only.
    owners: Mutex<BTreeMap<SessionId, Owner>>,
    /// Shared by the recorders of all sessions.
    reserve: Hold,
}

/// A user, and the bytes of all their recordings, which share this count.
#[derive(Debug, Clone)]
struct Owner {
    user: UserName,
    used: Arc<AtomicU64>,
}

/// A recording that was in the directory at the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leftover {
    /// Which.
    pub id: SessionId,
    /// Bytes in its file, a torn record at the end included.
    pub bytes: u64,
}

impl Spool {
    /// Opens the directory, making it if need be, with the usual bounds:
    /// [`limit::SPOOL_BYTES`] and a reserve of [`limit::SPOOL_RESERVE_BYTES`].
    ///
    /// # Errors
    /// [`SpoolError::Directory`]. A disk too full for the reserve is no error; it is tried again when something is removed.
    pub fn open(dir: &Path) -> Result<Self, SpoolError> {
        Self::with_limits(dir, limit::SPOOL_BYTES, limit::SPOOL_RESERVE_BYTES)
    }

    /// As [`Spool::open`], with other bounds, in bytes.
    ///
    /// # Errors
    /// As [`Spool::open`].
    pub fn with_limits(dir: &Path, most: u64, reserve_bytes: u64) -> Result<Self, SpoolError> {
        keys::ensure_dir(dir).map_err(SpoolError::Directory)?;
        let spool = Self(Arc::new(Room {
            dir: dir.to_owned(),
            most,
            used: AtomicU64::new(0),
            owners: Mutex::default(),
            reserve: Hold::new(dir.join(RESERVE), reserve_bytes, false),
        }));
        let used = spool.leftovers()?.iter().map(|leftover| leftover.bytes).sum();
        spool.0.used.store(used, Ordering::Relaxed);
        spool.renew_reserve();
        Ok(spool)
    }

    /// Begins the file of a user's recording, durably. Whether their share has room says [`SpoolFile::make_room`].
    ///
    /// # Errors
    /// [`SpoolError::Exists`], [`SpoolError::DiskFull`], [`SpoolError::QuotaFull`].
    pub fn create(&self, id: SessionId, user: &UserName) -> Result<SpoolFile, SpoolError> {
        self.renew_reserve();
        let used = self.used();
        if used >= self.0.most {
            return Err(self.quota_full(used));
        }
        let path = self.path(&id);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(|source| match source.kind() {
                io::ErrorKind::AlreadyExists => SpoolError::Exists { id },
                _ => self.error("create a file", &path, source),
            })?;
        keys::sync_parent(&path).map_err(SpoolError::Directory)?;
        Ok(SpoolFile {
            spool: self.clone(),
            id,
            owner: Some(self.own(id, user)),
            file: Arc::new(file),
            len: 0,
            placed: 0,
            wanted: 0,
        })
    }

    /// Opens a recording that is there, to go on at its end.
    ///
    /// # Errors
    /// [`SpoolError::Missing`].
    pub fn resume(&self, id: SessionId) -> Result<SpoolFile, SpoolError> {
        let path = self.path(&id);
        let file = OpenOptions::new().read(true).write(true).open(&path);
        let file = file.map_err(|source| self.missing_or(id, "open a file", &path, source))?;
        let len =
            file.metadata().map_err(|source| self.error("look at a file", &path, source))?.len();
        // Blocks that the run before had placed behind the end may still be there; nobody can tell.
        Ok(SpoolFile {
            spool: self.clone(),
            id,
            owner: None,
            file: Arc::new(file),
            len,
            placed: len,
            wanted: 0,
        })
    }

    /// A recording to be read, finished or not.
    ///
    /// # Errors
    /// [`SpoolError::Missing`].
    pub fn source(&self, id: SessionId) -> Result<FileSource, SpoolError> {
        let path = self.path(&id);
        FileSource::open(&path).map_err(|source| self.missing_or(id, "open a file", &path, source))
    }

    /// The recordings in the directory, by id. Called at the start, it gives those that another run left.
    ///
    /// # Errors
    /// [`SpoolError::Io`].
    pub fn leftovers(&self) -> Result<Vec<Leftover>, SpoolError> {
        let found = recordings_in(&self.0.dir);
        let found = found.map_err(|source| self.error("list files", &self.0.dir, source))?;
        Ok(found.into_iter().map(|(id, bytes)| Leftover { id, bytes }).collect())
    }

    /// Removes a recording: auth has it in its final store. Says whether it was there.
    ///
    /// # Errors
    /// [`SpoolError::Io`].
    pub fn remove(&self, id: SessionId) -> Result<bool, SpoolError> {
        let path = self.path(&id);
        let bytes = std::fs::metadata(&path).map_or(0, |facts| facts.len());
        match std::fs::remove_file(&path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(self.error("remove a file", &path, error)),
        }
        recount(&self.0.used, bytes, 0);
        if let Some(owner) = self.owners().remove(&id) {
            recount(&owner.used, bytes, 0);
        }
        self.renew_reserve();
        Ok(true)
    }

    /// Bytes in the spool.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.0.used.load(Ordering::Relaxed)
    }

    /// Whether the reserve stands; if not, the disk was full and still is.
    #[must_use]
    pub fn has_reserve(&self) -> bool {
        self.0.reserve.stands()
    }

    fn path(&self, id: &SessionId) -> PathBuf {
        recording_path(&self.0.dir, id)
    }

    fn owners(&self) -> MutexGuard<'_, BTreeMap<SessionId, Owner>> {
        self.0.owners.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes whose a recording is.
    fn own(&self, id: SessionId, user: &UserName) -> Owner {
        let mut owners = self.owners();
        let known = owners.values().find(|owner| owner.user == *user).cloned();
        let owner = known.unwrap_or_else(|| Owner { user: user.clone(), used: Arc::default() });
        owners.insert(id, owner.clone());
        owner
    }

    /// Makes the reserve if it is not there, with its blocks on the disk.
    fn renew_reserve(&self) {
        if self.0.reserve.bytes() > 0 {
            self.0.reserve.make();
        }
    }

    fn quota_full(&self, used: u64) -> SpoolError {
        SpoolError::QuotaFull { dir: self.0.dir.clone(), used, most: self.0.most }
    }

    fn error(&self, doing: &'static str, path: &Path, source: io::Error) -> SpoolError {
        if disk::is_full(&source) {
            return SpoolError::DiskFull { dir: self.0.dir.clone(), source };
        }
        SpoolError::Io { doing, path: path.to_owned(), source }
    }

    fn missing_or(
        &self,
        id: SessionId,
        doing: &'static str,
        path: &Path,
        source: io::Error,
    ) -> SpoolError {
        match source.kind() {
            io::ErrorKind::NotFound => SpoolError::Missing { id },
            _ => self.error(doing, path, source),
        }
    }
}

/// One recording's file, open at its end. One recorder owns it; others read it through [`SpoolFile::source`].
#[derive(Debug)]
pub struct SpoolFile {
    spool: Spool,
    id: SessionId,
    /// None of what an earlier run began.
    owner: Option<Owner>,
    file: Arc<File>,
    len: u64,
    /// Up to here the disk's blocks belong to the file: what lies behind its end is the recording's own reserve.
    placed: u64,
    /// Bytes that were to be appended last: where they found no room, there is none before they find it.
    wanted: u64,
}

impl SpoolFile {
    /// Which recording.
    #[must_use]
    pub fn id(&self) -> SessionId {
        self.id
    }

    /// Bytes in the file.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "an empty recording is no special case")]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Makes sure that there is room for what was refused last, and that the recording has its own reserve,
    /// [`limit::RECORDING_RESERVE_BYTES`], behind its end.
    ///
    /// # Errors
    /// [`SpoolError::DiskFull`], [`SpoolError::QuotaFull`], [`SpoolError::ShareFull`]: there is no room.
    pub fn make_room(&mut self) -> Result<(), SpoolError> {
        self.may_hold(self.wanted.max(1))?;
        self.place(0)
    }

    /// Hands whole records to the file; all of them or, on an error, none. The recording's own reserve is not touched.
    ///
    /// # Errors
    /// [`SpoolError::DiskFull`], [`SpoolError::QuotaFull`] or [`SpoolError::ShareFull`] when there is no room, see
    /// [`SpoolError::is_full`].
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), SpoolError> {
        self.wanted = as_u64(bytes.len());
        self.may_hold(self.wanted)?;
        self.place(self.wanted)?;
        self.put(bytes)
    }

    /// As [`SpoolFile::append`], into the recording's own reserve, but for the place of its last records
    /// ([`limit::RECORDING_LAST_BYTES`]). Goes beyond the quota.
    ///
    /// # Errors
    /// [`SpoolError::DiskFull`] when the reserve does not suffice.
    pub fn append_reserved(&mut self, bytes: &[u8]) -> Result<(), SpoolError> {
        let end = self.len.saturating_add(as_u64(bytes.len()));
        if end.saturating_add(limit::RECORDING_LAST_BYTES) > self.placed {
            let source = io::Error::from(io::ErrorKind::StorageFull);
            return Err(self.error("use the reserve", source));
        }
        self.put(bytes)
    }

    /// As [`SpoolFile::append`], for the last records: uses all of the recording's own reserve and, if that does not
    /// suffice, gives the spool's away. Not for what the session goes on to write.
    ///
    /// # Errors
    /// [`SpoolError::DiskFull`], [`SpoolError::QuotaFull`] when even that does not suffice.
    pub fn append_last(&mut self, bytes: &[u8]) -> Result<(), SpoolError> {
        let used = self.spool.used();
        let most = self.spool.0.most.saturating_add(self.spool.0.reserve.bytes());
        if used.saturating_add(as_u64(bytes.len())) > most {
            return Err(self.spool.quota_full(used));
        }
        match self.put(bytes) {
            Err(SpoolError::DiskFull { .. }) if self.spool.0.reserve.free() => self.put(bytes),
            other => other,
        }
    }

    /// Gives back what is left of the recording's own reserve, and syncs: nothing more will be appended.
    ///
    /// # Errors
    /// As [`SpoolFile::sync`].
    pub fn finish(&mut self) -> Result<(), SpoolError> {
        if self.placed > self.len {
            // It does no harm where this fails; the blocks go with the file.
            let _ = self.file.set_len(self.len);
            self.placed = self.len;
        }
        self.sync()
    }

    /// Waits until everything appended is on the disk.
    ///
    /// # Errors
    /// [`SpoolError::Io`]: what was appended since the last sync may be lost in a crash of the machine.
    pub fn sync(&self) -> Result<(), SpoolError> {
        self.file.sync_data().map_err(|source| self.error("sync a file", source))
    }

    /// At most `most` bytes from `offset`; fewer only at the end.
    ///
    /// # Errors
    /// [`SpoolError::Io`].
    pub fn read_at(&self, offset: u64, most: usize) -> Result<Vec<u8>, SpoolError> {
        file::read_at(&self.file, offset, most).map_err(|source| self.error("read a file", source))
    }

    /// The same file to be read elsewhere while it grows.
    #[must_use]
    pub fn source(&self) -> FileSource {
        FileSource::of(Arc::clone(&self.file))
    }

    /// Cuts the file to its first `len` bytes, durably: what a crash tore off goes.
    ///
    /// # Errors
    /// [`SpoolError::Io`].
    pub fn truncate(&mut self, len: u64) -> Result<(), SpoolError> {
        if len >= self.len {
            return Ok(());
        }
        let done = self.file.set_len(len).and_then(|()| self.file.sync_all());
        done.map_err(|source| self.error("cut a file", source))?;
        self.count(len);
        self.placed = len;
        Ok(())
    }

    /// Removes the recording from the spool.
    ///
    /// # Errors
    /// [`SpoolError::Io`].
    pub fn remove(self) -> Result<(), SpoolError> {
        let Self { spool, id, file, .. } = self;
        // Closed first: the disk has the space again only when nobody holds the file.
        drop(file);
        spool.remove(id).map(|_| ())
    }

    /// Has blocks for `more` bytes and the reserve behind them, and some more, so that this is seldom asked of the system.
    fn place(&mut self, more: u64) -> Result<(), SpoolError> {
        let need = self.len.saturating_add(more).saturating_add(limit::RECORDING_RESERVE_BYTES);
        if need <= self.placed {
            return Ok(());
        }
        let flags = rustix::fs::FallocateFlags::KEEP_SIZE;
        for end in [need.saturating_add(PLACE_BYTES), need] {
            let missing = end.saturating_sub(self.placed);
            match rustix::fs::fallocate(&*self.file, flags, self.placed, missing) {
                Ok(()) => {
                    self.placed = end;
                    return Ok(());
                }
                Err(rustix::io::Errno::NOSPC | rustix::io::Errno::DQUOT) => {}
                Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => {
                    return self.look_for_room(missing);
                }
                Err(error) => return Err(self.error("make room", error.into())),
            }
        }
        Err(self.error("make room", io::ErrorKind::StorageFull.into()))
    }

    /// Where blocks cannot be had beforehand, the spool's shared reserve serves the last records.
    fn look_for_room(&self, need: u64) -> Result<(), SpoolError> {
        if Space::of(&self.spool.0.dir).is_ok_and(|space| space.free < need) {
            return Err(self.error("make room", io::ErrorKind::StorageFull.into()));
        }
        Ok(())
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), SpoolError> {
        if let Err(source) = self.file.write_all_at(bytes, self.len) {
            // Half a record must not stand before the next one. If this fails too, the next append overwrites it.
            let _ = self.file.set_len(self.len);
            self.placed = self.len;
            return Err(self.error("write a file", source));
        }
        let len = self.len.saturating_add(as_u64(bytes.len()));
        self.count(len);
        Ok(())
    }

    /// The file is so long from here on.
    fn count(&mut self, len: u64) {
        let before = std::mem::replace(&mut self.len, len);
        recount(&self.spool.0.used, before, len);
        if let Some(owner) = &self.owner {
            recount(&owner.used, before, len);
        }
    }

    /// Whether the spool, and in it the user, may hold so many bytes more.
    fn may_hold(&self, more: u64) -> Result<(), SpoolError> {
        let Room { dir, most, .. } = &*self.spool.0;
        let used = self.spool.used();
        if used.saturating_add(more) > *most {
            return Err(self.spool.quota_full(used));
        }
        let Some(Owner { user, used }) = &self.owner else { return Ok(()) };
        let (used, most) = (used.load(Ordering::Relaxed), most / USER_SHARE);
        if used.saturating_add(more) > most {
            return Err(SpoolError::ShareFull { dir: dir.clone(), user: user.clone(), used, most });
        }
        Ok(())
    }

    fn error(&self, doing: &'static str, source: io::Error) -> SpoolError {
        self.spool.error(doing, &self.spool.path(&self.id), source)
    }
}

fn recount(bytes: &AtomicU64, before: u64, after: u64) {
    let change = |used: u64| Some(used.saturating_sub(before).saturating_add(after));
    // The closure always answers, so the update cannot fail.
    let _ = bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, change);
}

pub(crate) fn recording_path(dir: &Path, id: &SessionId) -> PathBuf {
    dir.join(format!("{id}.{EXTENSION}"))
}

/// Recordings in a directory with their lengths, by id. Other files are left alone.
pub(crate) fn recordings_in(dir: &Path) -> io::Result<Vec<(SessionId, u64)>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let path = entry.path();
        if path.extension().is_none_or(|extension| extension != EXTENSION) {
            continue;
        }
        let id = path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse().ok());
        if let (Some(id), Ok(facts)) = (id, entry.metadata())
            && facts.is_file()
        {
            found.push((id, facts.len()));
        }
    }
    found.sort();
    Ok(found)
}

fn as_u64(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;

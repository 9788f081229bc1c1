//! Recordings as they arrive at auth, and the final store they go to when they are whole.
//!
//! While a recording is shipped it is one file, `intake/<id>.rec`, that grows by whole records, each fsynced before a
//! receipt is signed. When it is whole, [`Intake::promote`] puts it into the object store under `recordings/`; the
//! database row is changed; then [`Intake::release`] frees the file. A crash between any two of these repeats, and loses, nothing.

mod vault;

pub use vault::Promoted;

use crate::disk;
use crate::file::FileSource;
use crate::keys::{self, KeyError};
use crate::spool::{recording_path, recordings_in};
use bytes::Bytes;
use model::SessionId;
use record::{Source, SourceError};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use thiserror::Error;
use tokio::runtime::Handle;
use vault::Vault;

/// Why a recording cannot be taken in, kept or read.
#[derive(Debug, Error)]
pub enum IntakeError {
    /// The directory cannot be used.
    #[error("cannot use the directory of the recordings")]
    Directory(#[source] KeyError),
    /// The disk is full. What was to be appended was not; it can be sent again later.
    #[error("the disk of the recordings {} is full: free some space", .dir.display())]
    DiskFull {
        /// The directory.
        dir: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// There is no such recording.
    #[error("there is no recording {id} here")]
    Missing {
        /// Which.
        id: SessionId,
    },
    /// A failed write could not be undone; the file must be opened and scanned again before it takes more.
    #[error("recording {id} must be opened again: a failed write to it could not be undone")]
    Broken {
        /// Which.
        id: SessionId,
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
    /// The final store refused.
    #[error("the final store cannot {doing}")]
    Store {
        /// What was tried.
        doing: &'static str,
        /// What the library said.
        #[source]
        source: object_store::Error,
    },
    /// A key of the database does not name a place in the final store.
    #[error("{key:?} names no place in the final store")]
    Key {
        /// What stands in the database.
        key: String,
    },
    /// The service is stopping.
    #[error("the service is stopping")]
    Stopping,
}

/// Auth's recordings, arriving and stored. Clones share them.
#[derive(Debug, Clone)]
pub struct Intake {
    dir: Arc<Path>,
    vault: Vault,
}

impl Intake {
    /// Opens `intake` and `recordings` below `dir`, making them if need be.
    ///
    /// # Errors
    /// [`IntakeError::Directory`], [`IntakeError::Store`].
    pub async fn open(dir: &Path) -> Result<Self, IntakeError> {
        let (intake, recordings) = (dir.join("intake"), dir.join("recordings"));
        blocking(move || {
            keys::ensure_dir(&intake).map_err(IntakeError::Directory)?;
            keys::ensure_dir(&recordings).map_err(IntakeError::Directory)?;
            Ok(Self { dir: intake.into(), vault: Vault::open(&recordings)? })
        })
        .await
    }

    /// Opens the file of a recording that arrives, making it, durably, if it is not there.
    /// After a crash its end may be torn: the caller scans it and cuts it by [`IntakeFile::truncate`] before it appends.
    ///
    /// # Errors
    /// [`IntakeError::DiskFull`], [`IntakeError::Io`].
    pub async fn open_file(&self, id: SessionId) -> Result<IntakeFile, IntakeError> {
        let path = recording_path(&self.dir, &id);
        blocking(move || {
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true).truncate(false).mode(0o600);
            let file = options.open(&path).map_err(|source| failed("open", &path, source))?;
            keys::sync_parent(&path).map_err(IntakeError::Directory)?;
            let len = file.metadata().map_err(|source| failed("look at", &path, source))?.len();
            let file = Arc::new(file);
            Ok(IntakeFile(Arc::new(Arrival {
                id,
                path,
                file,
                end: Mutex::new(End { len, broken: false }),
            })))
        })
        .await
    }

    /// The recordings that are arriving, or were when the last run ended, by id, with the lengths of their files.
    ///
    /// # Errors
    /// [`IntakeError::Io`].
    pub async fn list(&self) -> Result<Vec<(SessionId, u64)>, IntakeError> {
        let dir = Arc::clone(&self.dir);
        blocking(move || recordings_in(&dir).map_err(|source| failed("list", &dir, source))).await
    }

    /// Puts a whole recording into the final store, durably. The intake file stays until [`Intake::release`].
    /// May be repeated; leftovers of an earlier try are removed.
    ///
    /// # Errors
    /// [`IntakeError::Missing`], [`IntakeError::Io`], [`IntakeError::Store`].
    pub async fn promote(&self, id: SessionId) -> Result<Promoted, IntakeError> {
        self.vault.put(id, self.source(id).await?).await
    }

    /// Frees the intake file: the database row says that the recording is stored. Says whether it was there.
    ///
    /// # Errors
    /// [`IntakeError::Io`].
    pub async fn release(&self, id: SessionId) -> Result<bool, IntakeError> {
        let path = recording_path(&self.dir, &id);
        blocking(move || match std::fs::remove_file(&path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(source) => Err(failed("remove", &path, source)),
        })
        .await
    }

    /// Removes every byte of a recording, arriving and stored. Nothing happens if there are none.
    ///
    /// # Errors
    /// [`IntakeError::Io`], [`IntakeError::Store`].
    pub async fn remove(&self, id: SessionId) -> Result<(), IntakeError> {
        self.release(id).await?;
        self.vault.remove(id, None).await
    }

    /// A recording that arrives, to be read by `record`.
    ///
    /// # Errors
    /// [`IntakeError::Missing`].
    pub async fn source(&self, id: SessionId) -> Result<FileSource, IntakeError> {
        let path = recording_path(&self.dir, &id);
        blocking(move || {
            FileSource::open(&path).map_err(|source| match source.kind() {
                io::ErrorKind::NotFound => IntakeError::Missing { id },
                _ => failed("open", &path, source),
            })
        })
        .await
    }

    /// Reads a recording wherever it is. `stored` is what its database row says, if that says that it is stored.
    ///
    /// # Errors
    /// [`IntakeError::Missing`], [`IntakeError::Key`].
    pub async fn reader(
        &self,
        id: SessionId,
        stored: Option<Stored<'_>>,
    ) -> Result<RecordingReader, IntakeError> {
        let place = match stored {
            Some(stored) => Place::Stored(self.vault.locate(stored.object_key, stored.bytes)?),
            None => Place::Arriving(self.source(id).await?),
        };
        Ok(RecordingReader { id, place })
    }
}

/// Where the database says a stored recording is.
#[derive(Debug, Clone, Copy)]
pub struct Stored<'a> {
    /// The row's key.
    pub object_key: &'a str,
    /// The row's length, in bytes.
    pub bytes: u64,
}

/// The file of a recording that arrives. Clones share it; what they append does not mix.
#[derive(Debug, Clone)]
pub struct IntakeFile(Arc<Arrival>);

#[derive(Debug)]
struct Arrival {
    id: SessionId,
    path: PathBuf,
    file: Arc<File>,
    /// Held on the blocking pool for a whole append, because a request that is cancelled leaves its append under way.
    end: Mutex<End>,
}

#[derive(Debug)]
struct End {
    len: u64,
    broken: bool,
}

impl IntakeFile {
    /// Which recording.
    #[must_use]
    pub fn id(&self) -> SessionId {
        self.0.id
    }

    /// Appends whole records and waits until they are on the disk. All of them or, on an error, none.
    /// Answers the file's length. If it is cancelled, they may be there all the same: look at [`IntakeFile::len`].
    ///
    /// # Errors
    /// [`IntakeError::DiskFull`], [`IntakeError::Io`]; [`IntakeError::Broken`] when an earlier error could not be undone.
    pub async fn append(&self, bytes: Bytes) -> Result<u64, IntakeError> {
        let arrival = Arc::clone(&self.0);
        blocking(move || arrival.append(&bytes)).await
    }

    /// Cuts the file to its first `len` bytes, durably.
    ///
    /// # Errors
    /// [`IntakeError::Io`].
    pub async fn truncate(&self, len: u64) -> Result<(), IntakeError> {
        let arrival = Arc::clone(&self.0);
        blocking(move || {
            let mut end = arrival.end();
            if len >= end.len {
                return Ok(());
            }
            arrival.cut(len).map_err(|source| failed("cut", &arrival.path, source))?;
            end.len = len;
            Ok(())
        })
        .await
    }

    /// Bytes in the file, on the disk.
    ///
    /// # Errors
    /// [`IntakeError::Stopping`].
    #[expect(clippy::len_without_is_empty, reason = "an empty recording is no special case")]
    pub async fn len(&self) -> Result<u64, IntakeError> {
        let arrival = Arc::clone(&self.0);
        blocking(move || Ok(arrival.end().len)).await
    }

    /// The same file, to be read by `record` while it grows.
    #[must_use]
    pub fn source(&self) -> FileSource {
        FileSource::of(Arc::clone(&self.0.file))
    }
}

impl Arrival {
    fn end(&self) -> MutexGuard<'_, End> {
        self.end.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// After a failed fsync the system may forget what it could not write, so everything new is cut off again
    /// and comes once more from the node, instead of being synced a second time.
    fn append(&self, bytes: &[u8]) -> Result<u64, IntakeError> {
        let mut end = self.end();
        if end.broken {
            return Err(IntakeError::Broken { id: self.id });
        }
        let done = self.file.write_all_at(bytes, end.len).and_then(|()| self.file.sync_data());
        if let Err(source) = done {
            end.broken = self.cut(end.len).is_err();
            return Err(failed("append to", &self.path, source));
        }
        end.len = end.len.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        Ok(end.len)
    }

    fn cut(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)?;
        self.file.sync_all()
    }
}

/// Reads a recording's bytes, arriving or stored.
#[derive(Debug, Clone)]
pub struct RecordingReader {
    id: SessionId,
    place: Place,
}

#[derive(Debug, Clone)]
enum Place {
    Arriving(FileSource),
    Stored(vault::Located),
}

impl RecordingReader {
    /// Which recording.
    #[must_use]
    pub fn id(&self) -> SessionId {
        self.id
    }

    /// Bytes there are now; one that arrives may have more later.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "an empty recording is no special case")]
    pub fn len(&self) -> u64 {
        match &self.place {
            Place::Arriving(source) => source.len(),
            Place::Stored(located) => located.bytes(),
        }
    }

    /// At most `most` bytes from `offset`; fewer only at the end.
    /// A reader of an arriving recording goes on to work while and after it is promoted and released.
    ///
    /// # Errors
    /// [`IntakeError::Io`], [`IntakeError::Store`].
    pub async fn read_at(&self, offset: u64, most: usize) -> Result<Bytes, IntakeError> {
        match &self.place {
            Place::Stored(located) => located.read_at(offset, most).await,
            Place::Arriving(source) => {
                let source = source.clone();
                let path = PathBuf::from(self.id.to_string());
                blocking(move || {
                    let bytes = source.bytes_at(offset, most);
                    bytes.map(Bytes::from).map_err(|source| failed("read", &path, source))
                })
                .await
            }
        }
    }
}

/// A recording's bytes up to a bound, as [`record`] reads them. Each read may wait: only for threads that may block.
#[derive(Debug, Clone)]
pub struct RecordingSource {
    reader: RecordingReader,
    end: u64,
    runtime: Handle,
}

impl RecordingSource {
    /// The first `end` bytes of a recording. To be called on a thread of the runtime.
    #[must_use]
    pub fn new(reader: RecordingReader, end: u64) -> Self {
        Self { reader, end, runtime: Handle::current() }
    }

    /// Moves the bound: there is more now.
    pub fn grow(&mut self, end: u64) {
        self.end = self.end.max(end);
    }
}

impl Source for RecordingSource {
    fn len(&self) -> u64 {
        self.end
    }

    fn read_at(&self, offset: u64, most: usize) -> Result<Vec<u8>, SourceError> {
        let left = usize::try_from(self.end.saturating_sub(offset)).unwrap_or(usize::MAX);
        let most = left.min(most);
        match &self.reader.place {
            _ if most == 0 => Ok(Vec::new()),
            Place::Arriving(source) => source.read_at(offset, most),
            Place::Stored(located) => {
                let read = self.runtime.block_on(located.read_at(offset, most));
                read.map(Into::into).map_err(|error| SourceError(error.to_string()))
            }
        }
    }
}

/// Runs file work where it holds nobody up.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, IntakeError> + Send + 'static,
) -> Result<T, IntakeError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| IntakeError::Stopping)?
}

fn failed(doing: &'static str, path: &Path, source: io::Error) -> IntakeError {
    if disk::is_full(&source) {
        let dir = path.parent().unwrap_or(path).to_owned();
        return IntakeError::DiskFull { dir, source };
    }
    IntakeError::Io { doing, path: path.to_owned(), source }
}

#[cfg(test)]
mod tests;

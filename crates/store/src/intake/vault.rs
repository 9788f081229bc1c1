//! The final store: whole recordings, cut into parts, each a plain PUT. Nothing in it ever changes.
//!
//! A recording's key is `rec/<id>/<BLAKE3 of the file>/<bytes of a part>`; its parts lie below it, numbered from 0.
//! Put together in order they are the file. No listing is needed to read one: the database row has key and length.

use super::{IntakeError, blocking, failed};
use crate::file::FileSource;
use crate::hex;
use bytes::{Bytes, BytesMut};
use futures_util::TryStreamExt;
use model::SessionId;
use object_store::local::LocalFileSystem;
use object_store::path::Path as Key;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Bytes of one part, the last being shorter. Also the memory that one promotion takes.
const PART_BYTES: u64 = 8 * 1024 * 1024;
/// Recordings promoted at once. More wait.
const PROMOTIONS: usize = 2;

/// A recording that lies in the final store: what its database row must say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Promoted {
    /// Where it lies.
    pub object_key: String,
    /// Bytes of the whole file.
    pub bytes: u64,
    /// BLAKE3 of the whole file.
    pub file_hash: [u8; 32],
}

#[derive(Debug, Clone)]
pub(super) struct Vault {
    store: Arc<dyn ObjectStore>,
    dir: Arc<Path>,
    turns: Arc<Semaphore>,
    part_bytes: u64,
}

impl Vault {
    pub(super) fn open(dir: &Path) -> Result<Self, IntakeError> {
        let store = LocalFileSystem::new_with_prefix(dir)
            .map_err(refused("open its directory"))?
            .with_fsync(true)
            .with_automatic_cleanup(true);
        Ok(Self {
            store: Arc::new(store),
            dir: dir.into(),
            turns: Arc::new(Semaphore::new(PROMOTIONS)),
            part_bytes: PART_BYTES,
        })
    }

    pub(super) async fn put(
        &self,
        id: SessionId,
        source: FileSource,
    ) -> Result<Promoted, IntakeError> {
        let _turn = self.turns.acquire().await.map_err(|_| IntakeError::Stopping)?;
        let (file_hash, bytes) = hash(id, &source).await?;
        let object_key = format!("{}/{}/{}", folder(id), hex::encode(&file_hash), self.part_bytes);
        let located = self.locate(&object_key, bytes)?;
        if let Err(error) = self.put_parts(id, &source, &located).await {
            // Whole parts of a recording that is not stored would only take the space that it needs.
            if let Err(error) = self.remove(id, None).await {
                tracing::warn!(%id, %error, "parts that are of no use stay in the final store");
            }
            return Err(error);
        }
        self.remove(id, Some(&object_key)).await?;
        Ok(Promoted { object_key, bytes, file_hash })
    }

    async fn put_parts(
        &self,
        id: SessionId,
        source: &FileSource,
        located: &Located,
    ) -> Result<(), IntakeError> {
        for number in 0..located.parts() {
            let (offset, count) = located.span(number);
            let part = read(id, source, offset, count).await?;
            let key = located.part(number);
            self.store.put(&key, PutPayload::from(part)).await.map_err(refused("take a part"))?;
        }
        Ok(())
    }

    /// Removes what is stored of a recording, but not what lies below `keep`.
    pub(super) async fn remove(
        &self,
        id: SessionId,
        keep: Option<&str>,
    ) -> Result<(), IntakeError> {
        let place = self.dir.join(folder(id));
        blocking(move || sweep(&place)).await?;
        let folder = Key::from(folder(id));
        let keep = keep.map(Key::from);
        let found: Vec<_> =
            self.store.list(Some(&folder)).try_collect().await.map_err(refused("list parts"))?;
        for object in found {
            if keep.as_ref().is_some_and(|keep| object.location.prefix_matches(keep)) {
                continue;
            }
            match self.store.delete(&object.location).await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => return Err(refused("remove a part")(error)),
            }
        }
        Ok(())
    }

    pub(super) fn locate(&self, object_key: &str, bytes: u64) -> Result<Located, IntakeError> {
        let wrong = || IntakeError::Key { key: object_key.to_owned() };
        let key = Key::parse(object_key).map_err(|_| wrong())?;
        let size = key.filename().and_then(|last| last.parse::<u64>().ok());
        let part_bytes = size.filter(|size| *size > 0).ok_or_else(wrong)?;
        Ok(Located { store: Arc::clone(&self.store), key, bytes, part_bytes })
    }

    #[cfg(test)]
    pub(super) fn with_part_bytes(self, part_bytes: u64) -> Self {
        Self { part_bytes, ..self }
    }
}

/// A stored recording: its key says how it is cut.
#[derive(Debug, Clone)]
pub(super) struct Located {
    store: Arc<dyn ObjectStore>,
    key: Key,
    bytes: u64,
    part_bytes: u64,
}

impl Located {
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) async fn read_at(&self, offset: u64, most: usize) -> Result<Bytes, IntakeError> {
        let most = u64::try_from(most).unwrap_or(u64::MAX);
        let end = offset.saturating_add(most).min(self.bytes);
        let (mut at, mut found) = (offset, BytesMut::new());
        while at < end {
            let number = at / self.part_bytes;
            let begin = number * self.part_bytes;
            let range = at - begin..(end - begin).min(self.part_bytes);
            let part = self.store.get_range(&self.part(number), range).await;
            let part = part.map_err(refused("give a part"))?;
            if part.is_empty() {
                break;
            }
            at = at.saturating_add(u64::try_from(part.len()).unwrap_or(u64::MAX));
            if found.is_empty() && at >= end {
                return Ok(part);
            }
            found.extend_from_slice(&part);
        }
        Ok(found.freeze())
    }

    fn parts(&self) -> u64 {
        self.bytes.div_ceil(self.part_bytes)
    }

    fn span(&self, number: u64) -> (u64, u64) {
        let offset = number * self.part_bytes;
        (offset, self.part_bytes.min(self.bytes - offset))
    }

    fn part(&self, number: u64) -> Key {
        self.key.clone().join(format!("{number:06}"))
    }
}

fn folder(id: SessionId) -> String {
    format!("rec/{id}")
}

/// Removes what a crash left of files on their way to their names: the library writes them beside, as `NAME#NUMBER`,
/// and never lists them.
fn sweep(dir: &Path) -> Result<(), IntakeError> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Ok(()) };
    for entry in entries {
        let entry = entry.map_err(|source| failed("list", dir, source))?;
        let path = entry.path();
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            sweep(&path)?;
        } else if entry.file_name().to_string_lossy().contains('#') {
            std::fs::remove_file(&path).map_err(|source| failed("remove", &path, source))?;
        }
    }
    Ok(())
}

async fn hash(id: SessionId, source: &FileSource) -> Result<([u8; 32], u64), IntakeError> {
    const STEP: usize = 1024 * 1024;
    let source = source.clone();
    blocking(move || {
        let (mut hasher, mut at) = (blake3::Hasher::new(), 0_u64);
        loop {
            let bytes =
                source.bytes_at(at, STEP).map_err(|source| failed("read", &name(id), source))?;
            if bytes.is_empty() {
                return Ok((*hasher.finalize().as_bytes(), at));
            }
            hasher.update(&bytes);
            at = at.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        }
    })
    .await
}

async fn read(
    id: SessionId,
    source: &FileSource,
    offset: u64,
    count: u64,
) -> Result<Bytes, IntakeError> {
    let source = source.clone();
    blocking(move || {
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        let bytes =
            source.bytes_at(offset, count).map_err(|source| failed("read", &name(id), source))?;
        if bytes.len() < count {
            let source = std::io::Error::from(std::io::ErrorKind::UnexpectedEof);
            return Err(failed("read the whole of", &name(id), source));
        }
        Ok(bytes.into())
    })
    .await
}

fn name(id: SessionId) -> PathBuf {
    PathBuf::from(format!("recording {id}"))
}

fn refused(doing: &'static str) -> impl FnOnce(object_store::Error) -> IntakeError {
    move |source| IntakeError::Store { doing, source }
}

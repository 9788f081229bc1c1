//! A recording's file as [`record`] reads it.

use record::{Source, SourceError};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

/// A file that is read at any place. A live one grows under it; its length is always that of now. Clones share the file.
#[derive(Debug, Clone)]
pub struct FileSource {
    file: Arc<File>,
}

impl FileSource {
    /// Opens the file.
    ///
    /// # Errors
    /// What the system says.
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self::of(Arc::new(File::open(path)?)))
    }

    pub(crate) fn of(file: Arc<File>) -> Self {
        Self { file }
    }

    /// At most `most` bytes from `offset`; fewer only at the end.
    ///
    /// # Errors
    /// What the system says.
    pub fn bytes_at(&self, offset: u64, most: usize) -> io::Result<Vec<u8>> {
        read_at(&self.file, offset, most)
    }
}

impl Source for FileSource {
    /// 0 if even that cannot be told.
    fn len(&self) -> u64 {
        self.file.metadata().map_or(0, |facts| facts.len())
    }

    fn read_at(&self, offset: u64, most: usize) -> Result<Vec<u8>, SourceError> {
        self.bytes_at(offset, most).map_err(|error| SourceError(error.to_string()))
    }
}

/// At most `most` bytes of `file` from `offset`; fewer only at the end, and no more memory than there are bytes.
pub(crate) fn read_at(file: &File, offset: u64, most: usize) -> io::Result<Vec<u8>> {
    let left = file.metadata()?.len().saturating_sub(offset);
    let count = usize::try_from(left).unwrap_or(usize::MAX).min(most);
    let mut bytes = vec![0; count];
    let mut done = 0;
    while let Some(rest) = bytes.get_mut(done..).filter(|rest| !rest.is_empty()) {
        let at = offset.saturating_add(u64::try_from(done).unwrap_or(u64::MAX));
        match file.read_at(rest, at) {
            Ok(0) => break,
            Ok(count) => done += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(done);
    Ok(bytes)
}

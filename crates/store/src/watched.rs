//! What a node writes down of each session that the kernel watches, so that its next start finds what the session has left
//! running: a small file for each, as long as anybody of it may run.
//!
//! Nothing here is synced: a machine that loses its power has none of these processes afterwards.

use crate::keys::{self, KeyError};
use model::SessionId;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

const EXTENSION: &str = "json";
/// Of a file that is being written.
const FRESH: &str = "new";
/// Bytes of one. A longer one is none of ours, and is passed over.
const NOTE_BYTES: u64 = 64 * 1024;

/// The notes.
#[derive(Debug, Clone)]
pub struct Watched {
    dir: PathBuf,
}

impl Watched {
    /// Opens the folder of the notes, making it if need be.
    ///
    /// # Errors
    /// When it cannot be used.
    pub fn open(dir: &Path) -> Result<Self, KeyError> {
        keys::ensure_dir(dir)?;
        Ok(Self { dir: dir.to_owned() })
    }

    /// Notes something about a session, in place of what was noted before.
    ///
    /// # Errors
    /// What the system said; what was noted before then still stands.
    pub fn note(&self, id: SessionId, text: &str) -> io::Result<()> {
        let fresh = self.path(id, FRESH);
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
        file.write_all(text.as_bytes())?;
        fs::rename(&fresh, self.path(id, EXTENSION)).inspect_err(|_| _ = fs::remove_file(&fresh))
    }

    /// Forgets what was noted about a session.
    pub fn forget(&self, id: SessionId) {
        if let Err(error) = fs::remove_file(self.path(id, EXTENSION))
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(%id, %error, "what was noted about a session cannot be removed");
        }
    }

    /// Everything that is noted. Removes what a crash left half written.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn all(&self) -> io::Result<Vec<(SessionId, String)>> {
        let mut all = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            let path = entry.path();
            let stem = path.file_stem().and_then(|stem| stem.to_str());
            let id = stem.and_then(|stem| stem.parse::<SessionId>().ok());
            let extension = path.extension().and_then(|it| it.to_str()).unwrap_or_default();
            match (id, extension) {
                (Some(_), FRESH) => fs::remove_file(&path)?,
                (Some(id), EXTENSION) if entry.metadata()?.len() <= NOTE_BYTES => {
                    all.push((id, fs::read_to_string(&path)?));
                }
                _ => tracing::warn!(path = %path.display(), "a file among the notes is none"),
            }
        }
        all.sort_by_key(|(id, _)| *id);
        Ok(all)
    }

    fn path(&self, id: SessionId, extension: &str) -> PathBuf {
        self.dir.join(format!("{id}.{extension}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_noted_is_there_at_the_next_start_until_it_is_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("watched");
        let notes = Watched::open(&dir).unwrap();
        let id = |n: u8| SessionId::from_random([n; 16]);
        notes.note(id(1), "one").unwrap();
        notes.note(id(2), "two").unwrap();
        notes.note(id(1), "uno").unwrap();
        fs::write(dir.join(format!("{}.{FRESH}", id(3))), "thr").unwrap();
        fs::write(dir.join("else.json"), "no note").unwrap();
        fs::write(dir.join(format!("{}.{EXTENSION}", id(4))), vec![b' '; 65_537]).unwrap();
        let again = Watched::open(&dir).unwrap();
        let mut wanted = vec![(id(1), "uno".to_owned()), (id(2), "two".to_owned())];
        wanted.sort_by_key(|(id, _)| *id);
        assert_eq!(again.all().unwrap(), wanted);
        again.forget(id(1));
        again.forget(id(1));
        assert_eq!(again.all().unwrap(), [(id(2), "two".to_owned())]);
        assert!(!dir.join(format!("{}.{FRESH}", id(3))).exists());
    }
}

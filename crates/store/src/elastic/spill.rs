//! The part of an elastic queue that lies on disk: an unlinked, encrypted file that is used from front to back.

use chacha20::ChaCha20;
use chacha20::cipher::{KeyIvInit, StreamCipher, StreamCipherSeek};
use rustix::fs::{CWD, FallocateFlags, Mode, OFlags};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use zeroize::Zeroizing;

/// Bytes under one nonce: ChaCha20 counts 2³² blocks of 64 bytes (RFC 8439 §2.3), of which this uses half.
const NONCE_SPAN_BITS: u32 = 37;
/// Bytes that are read before the space in front of them is given back to the disk.
const PUNCH_BYTES: u64 = 8 * 1024 * 1024;

/// An unlinked file under a key that lives only in this value.
pub(super) struct Spill {
    file: File,
    key: Zeroizing<[u8; 32]>,
}

impl std::fmt::Debug for Spill {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Spill").field("file", &self.file).finish_non_exhaustive()
    }
}

impl Spill {
    /// Opens a file without a name, 0600, in `dir`.
    pub(super) fn open(dir: &Path) -> io::Result<Self> {
        let mut key = Zeroizing::new([0; 32]);
        rand::fill(key.as_mut_slice());
        Ok(Self { file: nameless(dir)?, key })
    }

    /// Encrypts `bytes` as standing at `position` of the stream and writes them at `offset` of the file.
    pub(super) fn write(&self, mut bytes: Vec<u8>, position: u64, offset: u64) -> io::Result<()> {
        self.apply(&mut bytes, position)?;
        self.file.write_all_at(&bytes, offset)
    }

    /// Reads `count` bytes from `offset` of the file, which stand at `position` of the stream.
    pub(super) fn read(&self, count: usize, position: u64, offset: u64) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; count];
        self.file.read_exact_at(&mut bytes, offset)?;
        self.apply(&mut bytes, position)?;
        Ok(bytes)
    }

    /// Gives all of the file's space back.
    pub(super) fn clear(&self) -> io::Result<()> {
        self.file.set_len(0)
    }

    /// Gives the space before `offset` back, `from` being where that was last done. Answers where it was done to.
    pub(super) fn punch(&self, from: u64, offset: u64) -> io::Result<u64> {
        let count = offset.saturating_sub(from);
        if count < PUNCH_BYTES {
            return Ok(from);
        }
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        rustix::fs::fallocate(&self.file, flags, from, count)?;
        Ok(offset)
    }

    /// Positions only grow, so no part of the key stream is ever used for two texts, also when the file's space is.
    fn apply(&self, bytes: &mut [u8], mut position: u64) -> io::Result<()> {
        let span = 1_u64 << NONCE_SPAN_BITS;
        let mut rest = bytes;
        while !rest.is_empty() {
            let (epoch, within) = (position >> NONCE_SPAN_BITS, position & (span - 1));
            let most = usize::try_from(span - within).unwrap_or(usize::MAX).min(rest.len());
            let (part, behind) = rest.split_at_mut(most);
            let [a, b, c, d, e, f, g, h] = epoch.to_le_bytes();
            let nonce = [0, 0, 0, 0, a, b, c, d, e, f, g, h];
            let mut cipher = ChaCha20::new((&*self.key).into(), &nonce.into());
            cipher
                .try_seek(within)
                .and_then(|()| cipher.try_apply_keystream(part))
                .map_err(|_| io::Error::other("the key stream is used up"))?;
            position = position.saturating_add(u64::try_from(most).unwrap_or(u64::MAX));
            rest = behind;
        }
        Ok(())
    }

    #[cfg(test)]
    pub(super) fn of(file: File) -> Self {
        Self { file, key: Zeroizing::default() }
    }

    #[cfg(test)]
    pub(super) fn file(&self) -> &File {
        &self.file
    }
}

/// A file that nobody else can open: nameless from the start, or unlinked at once where the file system cannot do that.
fn nameless(dir: &Path) -> io::Result<File> {
    let access = OFlags::RDWR | OFlags::CLOEXEC;
    let mode = Mode::RUSR | Mode::WUSR;
    if let Ok(file) = rustix::fs::openat(CWD, dir, access | OFlags::TMPFILE, mode) {
        return Ok(file.into());
    }
    let mut name = [0_u8; 16];
    rand::fill(&mut name);
    let path = dir.join(format!(".elastic-{}", crate::hex::encode(&name)));
    let flags = access | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
    let file = rustix::fs::openat(CWD, &path, flags, mode)?;
    std::fs::remove_file(&path)?;
    Ok(file.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_read_back_across_the_border_of_two_nonces() {
        let dir = tempfile::tempdir().unwrap();
        let spill = Spill::open(dir.path()).unwrap();
        let border = (1_u64 << NONCE_SPAN_BITS) - 5;
        spill.write(b"0123456789".to_vec(), border, 100).unwrap();
        assert_eq!(spill.read(10, border, 100).unwrap(), b"0123456789");
        assert_eq!(spill.read(3, border + 6, 106).unwrap(), b"678");
    }

    #[test]
    fn the_same_text_at_two_positions_is_two_different_texts_on_disk() {
        let dir = tempfile::tempdir().unwrap();
        let spill = Spill::open(dir.path()).unwrap();
        spill.write(vec![0; 64], 0, 0).unwrap();
        spill.write(vec![0; 64], 64, 64).unwrap();
        let mut disk = [0; 128];
        spill.file.read_exact_at(&mut disk, 0).unwrap();
        assert_ne!(disk[..64], disk[64..]);
        assert!(std::fs::read_dir(dir.path()).unwrap().next().is_none());
    }

    #[test]
    fn what_was_read_is_given_back_to_the_disk() {
        use std::os::unix::fs::MetadataExt;
        let dir = tempfile::tempdir().unwrap();
        let spill = Spill::open(dir.path()).unwrap();
        spill.write(vec![1; 16 << 20], 0, 0).unwrap();
        if let Ok(to) = spill.punch(0, 12 << 20) {
            assert_eq!(to, 12 << 20);
            assert!(spill.file.metadata().unwrap().blocks() * 512 <= 5 << 20);
        }
        spill.clear().unwrap();
        assert_eq!(spill.file.metadata().unwrap().len(), 0);
    }
}

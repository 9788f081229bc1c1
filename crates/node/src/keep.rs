//! What is kept of a stream without a terminal: all of it up to the role's limit, then counts and a hash for each stretch.

use bytes::Bytes;
use model::Stream;
use model::entry::Entry;
use model::limit::ELIDED_BYTES;
use std::sync::{Arc, Mutex, PoisonError};

/// Pieces of a stretch that wait to be hashed with the rest of it. A stream that comes in more is hashed on the spot: as
/// much as it weighs less than its pieces do.
const PIECES: usize = 64;

/// One stream of a session.
pub(crate) struct Keep {
    stream: Stream,
    left: u64,
    stretch: Stretch,
    /// The stretch before, while its hash is made beside the connection's thread.
    before: Option<Arc<Mutex<Stretch>>>,
}

/// Bytes that are counted and hashed.
#[derive(Default)]
struct Stretch {
    bytes: u64,
    hasher: blake3::Hasher,
    pieces: Vec<Bytes>,
}

impl Keep {
    /// Keeps the first `most` bytes.
    pub fn new(stream: Stream, most: u64) -> Self {
        Self { stream, left: most, stretch: Stretch::default(), before: None }
    }

    /// The entries that these bytes make, in order. Bytes that are counted only show up when the stretch behind theirs is
    /// full. To be called within a runtime.
    pub fn take(&mut self, mut bytes: Bytes) -> Vec<Entry> {
        let mut entries = Vec::new();
        let kept = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
        if kept > 0 {
            self.left -= kept as u64;
            entries.push(Entry::Output { stream: self.stream, bytes: bytes.split_to(kept) });
        }
        while !bytes.is_empty() {
            let room = usize::try_from(ELIDED_BYTES - self.stretch.bytes).unwrap_or(usize::MAX);
            self.stretch.push(bytes.split_to(room.min(bytes.len())));
            if self.stretch.bytes == ELIDED_BYTES {
                entries.extend(self.hashed());
                let full = Arc::new(Mutex::new(std::mem::take(&mut self.stretch)));
                let work = Arc::clone(&full);
                tokio::task::spawn_blocking(move || hash(&work));
                self.before = Some(full);
            }
        }
        entries
    }

    /// The last stretches, when the stream has ended.
    pub fn finish(&mut self) -> Vec<Entry> {
        let last = std::mem::take(&mut self.stretch);
        let mut entries: Vec<_> = self.hashed().into_iter().collect();
        if last.bytes > 0 {
            entries.push(self.entry(&Mutex::new(last)));
        }
        entries
    }

    /// The stretch before. Where its hash is being made, this waits for the rest of it, and where nobody has begun, it is
    /// made here: never longer than it would have taken on this thread at first.
    fn hashed(&mut self) -> Option<Entry> {
        let before = self.before.take()?;
        Some(self.entry(&before))
    }

    fn entry(&self, stretch: &Mutex<Stretch>) -> Entry {
        let (bytes, hash) = hash(stretch);
        Entry::Elided { stream: self.stream, bytes, hash }
    }
}

/// How many bytes a stretch has, and their hash: by whoever comes first.
fn hash(stretch: &Mutex<Stretch>) -> (u64, [u8; 32]) {
    let mut stretch = stretch.lock().unwrap_or_else(PoisonError::into_inner);
    stretch.digest();
    (stretch.bytes, *stretch.hasher.finalize().as_bytes())
}

impl Stretch {
    fn push(&mut self, piece: Bytes) {
        self.bytes += piece.len() as u64;
        self.pieces.push(piece);
        if self.pieces.len() == PIECES {
            self.digest();
        }
    }

    fn digest(&mut self) {
        for piece in self.pieces.drain(..) {
            self.hasher.update(&piece);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(most: u64, pieces: &[usize], kept: u64, stretches: &[u64]) {
        let total: usize = pieces.iter().sum();
        let all: Bytes = (0..total).map(|at| u8::try_from(at % 251).unwrap()).collect();
        let (mut keep, mut rest) = (Keep::new(Stream::Stdout, most), all.clone());
        let mut entries = Vec::new();
        for size in pieces {
            entries.extend(keep.take(rest.split_to(*size)));
        }
        entries.extend(keep.finish());
        let (mut seen, mut got_kept, mut got_stretches) = (0, 0, Vec::new());
        let mut next = |count: usize| {
            seen += count;
            all.slice(seen - count..seen)
        };
        for entry in entries {
            match entry {
                Entry::Output { bytes, .. } => {
                    assert_eq!(bytes, next(bytes.len()));
                    got_kept += bytes.len() as u64;
                }
                Entry::Elided { bytes, hash, .. } => {
                    let same = blake3::hash(&next(usize::try_from(bytes).unwrap()));
                    assert_eq!(hash, *same.as_bytes());
                    got_stretches.push(bytes);
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!((got_kept, got_stretches.as_slice()), (kept, stretches));
    }

    #[tokio::test]
    async fn a_stream_is_kept_to_the_limit_and_counted_and_hashed_beyond() {
        check(100, &[40, 60], 100, &[]);
        check(100, &[40, 61], 100, &[1]);
        check(0, &[10, 20], 0, &[30]);
        check(10, &[10 + (1 << 20), 5], 10, &[1 << 20, 5]);
        check(0, &[3 << 20], 0, &[1 << 20, 1 << 20, 1 << 20]);
        check(u64::MAX, &[1 << 21], 1 << 21, &[]);
    }

    #[tokio::test]
    async fn a_stretch_in_many_pieces_or_in_few_is_the_same_bytes() {
        check(7, &[1; 1000], 7, &[993]);
        check(0, &[1 << 15; 70], 0, &[1 << 20, 1 << 20, 6 << 15]);
        check(3, &[1001; 2200], 3, &[1 << 20, 1 << 20, 1001 * 2200 - 3 - (2 << 20)]);
    }
}

//! What is kept of a stream without a terminal: all of it up to the role's limit, then counts and a hash for each stretch.

use bytes::Bytes;
use model::Stream;
use model::entry::Entry;
use model::limit::ELIDED_BYTES;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use tokio::task::JoinHandle;

/// Pieces of a stretch that wait to be hashed with the rest of it. A stream that comes in more is hashed on the spot: as
/// much as it weighs less than its pieces do.
const PIECES: usize = 64;

/// One stream of a session.
pub(crate) struct Keep {
    stream: Stream,
    left: u64,
    stretch: Stretch,
    before: Option<Full>,
}

/// Bytes that are counted and hashed.
#[derive(Default)]
struct Stretch {
    bytes: u64,
    hasher: blake3::Hasher,
    pieces: Vec<Bytes>,
}

/// A stretch that is full, and who hashes it beside the connection's thread.
struct Full {
    stretch: Arc<Mutex<Stretch>>,
    hashing: JoinHandle<()>,
}

impl Keep {
    /// Keeps the first `most` bytes.
    pub fn new(stream: Stream, most: u64) -> Self {
        Self { stream, left: most, stretch: Stretch::default(), before: None }
    }

    /// The entries that these bytes make, in order. That of a stretch comes by [`Keep::poll_hashed`], or here once the next
    /// is full, or at the end. To be called within a runtime.
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
                self.before = Some(Full::hash(std::mem::take(&mut self.stretch)));
            }
        }
        entries
    }

    /// The entry of a full stretch, once its hash is there. Never where there is none.
    pub fn poll_hashed(&mut self, cx: &mut Context<'_>) -> Poll<Entry> {
        let Some(before) = &mut self.before else { return Poll::Pending };
        // Also where it failed: whoever needs the hash makes it then.
        let _ = ready!(Pin::new(&mut before.hashing).poll(cx));
        self.hashed().map_or(Poll::Pending, Poll::Ready)
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

    /// Of the full stretch. Whoever hashes it at this moment is waited for; where nobody has begun, it is done here.
    fn hashed(&mut self) -> Option<Entry> {
        let before = self.before.take()?;
        Some(self.entry(&before.stretch))
    }

    fn entry(&self, stretch: &Mutex<Stretch>) -> Entry {
        let (bytes, hash) = hash(stretch);
        Entry::Elided { stream: self.stream, bytes, hash }
    }
}

impl Full {
    fn hash(stretch: Stretch) -> Self {
        let stretch = Arc::new(Mutex::new(stretch));
        let work = Arc::clone(&stretch);
        // Not awaited where the session ends first: it ends by itself, within the time that a megabyte takes.
        let hashing = tokio::task::spawn_blocking(move || {
            hash(&work);
        });
        Self { stretch, hashing }
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
        if self.pieces.len() == PIECES && self.bytes < ELIDED_BYTES {
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
    use futures_util::FutureExt as _;

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
    async fn the_entry_of_a_full_stretch_waits_for_nothing_but_its_hash() {
        let mut keep = Keep::new(Stream::Stdout, 0);
        assert!(std::future::poll_fn(|cx| keep.poll_hashed(cx)).now_or_never().is_none());
        let bytes = Bytes::from(vec![7; 1 << 20]);
        assert!(keep.take(bytes.clone()).is_empty());
        let entry = std::future::poll_fn(|cx| keep.poll_hashed(cx)).await;
        let hash = *blake3::hash(&bytes).as_bytes();
        assert_eq!(entry, Entry::Elided { stream: Stream::Stdout, bytes: 1 << 20, hash });
        assert!(keep.finish().is_empty(), "once");
    }

    #[tokio::test]
    async fn a_stretch_in_many_pieces_or_in_few_is_the_same_bytes() {
        check(7, &[1; 1000], 7, &[993]);
        check(0, &[1 << 15; 70], 0, &[1 << 20, 1 << 20, 6 << 15]);
        check(3, &[1001; 2200], 3, &[1 << 20, 1 << 20, 1001 * 2200 - 3 - (2 << 20)]);
    }
}

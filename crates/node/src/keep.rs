//! What is kept of a stream without a terminal: all of it up to the role's limit, then counts and a hash for each stretch.

use bytes::Bytes;
use model::Stream;
use model::entry::Entry;
use model::limit::ELIDED_BYTES;

/// One stream of a session.
pub(crate) struct Keep {
    stream: Stream,
    left: u64,
    elided: u64,
    hasher: blake3::Hasher,
}

impl Keep {
    /// Keeps the first `most` bytes.
    pub fn new(stream: Stream, most: u64) -> Self {
        Self { stream, left: most, elided: 0, hasher: blake3::Hasher::new() }
    }

    /// The entries that these bytes make, in order. Bytes that are counted only show up with the next stretch.
    pub fn take(&mut self, mut bytes: Bytes) -> Vec<Entry> {
        let mut entries = Vec::new();
        let kept = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
        if kept > 0 {
            self.left -= kept as u64;
            entries.push(Entry::Output { stream: self.stream, bytes: bytes.split_to(kept) });
        }
        while !bytes.is_empty() {
            let room = usize::try_from(ELIDED_BYTES - self.elided).unwrap_or(usize::MAX);
            let part = bytes.split_to(room.min(bytes.len()));
            self.hasher.update(&part);
            self.elided += part.len() as u64;
            if self.elided == ELIDED_BYTES {
                entries.extend(self.stretch());
            }
        }
        entries
    }

    /// The last stretch, when the stream has ended.
    pub fn finish(&mut self) -> Option<Entry> {
        self.stretch()
    }

    fn stretch(&mut self) -> Option<Entry> {
        let bytes = std::mem::take(&mut self.elided);
        let hash = *self.hasher.finalize().as_bytes();
        self.hasher.reset();
        (bytes > 0).then_some(Entry::Elided { stream: self.stream, bytes, hash })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(most: u64, pieces: &[usize], kept: u64, stretches: &[u64]) {
        let mut keep = Keep::new(Stream::Stdout, most);
        let mut entries = Vec::new();
        for size in pieces {
            entries.extend(keep.take(Bytes::from(vec![7; *size])));
        }
        entries.extend(keep.finish());
        let (mut got_kept, mut got_stretches) = (0, Vec::new());
        for entry in entries {
            match entry {
                Entry::Output { bytes, .. } => got_kept += bytes.len() as u64,
                Entry::Elided { bytes, hash, .. } => {
                    let same = blake3::hash(&vec![7; usize::try_from(bytes).unwrap()]);
                    assert_eq!(hash, *same.as_bytes());
                    got_stretches.push(bytes);
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!((got_kept, got_stretches.as_slice()), (kept, stretches));
    }

    #[test]
    fn a_stream_is_kept_to_the_limit_and_counted_and_hashed_beyond() {
        check(100, &[40, 60], 100, &[]);
        check(100, &[40, 61], 100, &[1]);
        check(0, &[10, 20], 0, &[30]);
        check(10, &[10 + (1 << 20), 5], 10, &[1 << 20, 5]);
        check(0, &[3 << 20], 0, &[1 << 20, 1 << 20, 1 << 20]);
        check(u64::MAX, &[1 << 21], 1 << 21, &[]);
    }
}

//! The last output of a session, bounded in bytes, addressed by byte position so that a cursor can stand inside a chunk.

use bytes::Bytes;
use model::{Seq, Stream};
use std::collections::VecDeque;

/// One piece of output as the recorder took it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Chunk {
    seq: Seq,
    stream: Stream,
    at: u64,
    bytes: Bytes,
}

/// Output from `start` to `end`, counted in bytes since the session began.
#[derive(Debug, Default)]
pub struct Ring {
    chunks: VecDeque<Chunk>,
    end: u64,
    last_seq: Seq,
}

impl Ring {
    /// Position of the oldest byte that is still here.
    pub fn start(&self) -> u64 {
        self.chunks.front().map_or(self.end, |chunk| chunk.at)
    }

    /// Position behind the newest byte.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// Bytes held.
    pub fn held(&self) -> u64 {
        self.end - self.start()
    }

    /// Appends output.
    pub fn push(&mut self, seq: Seq, stream: Stream, bytes: Bytes) {
        let at = self.end;
        self.end += bytes.len() as u64;
        self.last_seq = seq;
        self.chunks.push_back(Chunk { seq, stream, at, bytes });
    }

    /// Drops whole chunks until at most `most` bytes are held, but nothing at or behind `needed`.
    pub fn trim(&mut self, most: u64, needed: u64) {
        while self.held() > most {
            match self.chunks.front() {
                Some(chunk) if chunk.at + chunk.bytes.len() as u64 <= needed => {
                    self.chunks.pop_front();
                }
                _ => return,
            }
        }
    }

    /// At most `most` bytes of one stream from `at`; `None` at the end.
    pub fn read(&self, at: u64, most: usize) -> Option<(Seq, Stream, Bytes)> {
        let index = self.chunks.partition_point(|chunk| chunk.at + chunk.bytes.len() as u64 <= at);
        let chunk = self.chunks.get(index)?;
        let from = usize::try_from(at.saturating_sub(chunk.at)).ok()?;
        let to = chunk.bytes.len().min(from.saturating_add(most));
        Some((chunk.seq, chunk.stream, chunk.bytes.slice(from..to)))
    }

    /// Seq of the newest output, whether it is still held or not; 0 before any.
    pub fn last_seq(&self) -> Seq {
        self.last_seq
    }
}

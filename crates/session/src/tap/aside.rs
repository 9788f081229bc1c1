//! What of a transfer's streams stands in no entry: counted and hashed, so that the recording still says what it was.

use super::{Elided, Side};
use model::limit::ELIDED_BYTES;
use std::collections::VecDeque;

/// Both streams of one transfer, but for the contents of files.
#[derive(Debug, Default)]
pub(super) struct Aside {
    client: Stretch,
    server: Stretch,
    ended: VecDeque<Elided>,
}

/// Bytes of one stream, in order, contents of files between them left out.
#[derive(Debug, Default)]
struct Stretch {
    bytes: u64,
    /// Made with the first byte: it is 2 KiB, and most sessions move no files.
    hasher: Option<Box<blake3::Hasher>>,
}

impl Aside {
    /// Takes the next packet of one stream, or what stands in it before its contents. A stretch ends between two of them.
    pub fn add(&mut self, side: Side, packet: &[u8]) {
        let count = packet.len() as u64;
        if self.stretch(side).bytes.saturating_add(count) > ELIDED_BYTES {
            self.end(side);
        }
        let stretch = self.stretch(side);
        stretch.bytes = stretch.bytes.saturating_add(count);
        stretch.hasher.get_or_insert_default().update(packet);
    }

    /// Nothing more comes in either.
    pub fn close(&mut self) {
        self.end(Side::Client);
        self.end(Side::Server);
    }

    /// A stretch that has ended, each once.
    pub fn poll(&mut self) -> Option<Elided> {
        self.ended.pop_front()
    }

    fn stretch(&mut self, side: Side) -> &mut Stretch {
        match side {
            Side::Client => &mut self.client,
            Side::Server => &mut self.server,
        }
    }

    fn end(&mut self, side: Side) {
        let Stretch { bytes, hasher } = std::mem::take(self.stretch(side));
        if let Some(hasher) = hasher {
            let hash = *hasher.finalize().as_bytes();
            self.ended.push_back(Elided { stream: side.stream(), bytes, hash });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Stream;

    #[test]
    fn a_stretch_has_so_many_bytes_at_most_and_ends_between_two_packets() {
        let (mut aside, packet) = (Aside::default(), vec![7; 400 * 1024]);
        for _ in 0..3 {
            aside.add(Side::Client, &packet);
        }
        aside.add(Side::Server, b"answer");
        let elided = |stream, bytes: &[u8]| {
            let hash = *blake3::hash(bytes).as_bytes();
            Some(Elided { stream, bytes: bytes.len() as u64, hash })
        };
        assert_eq!(aside.poll(), elided(Stream::Stdin, &packet.repeat(2)));
        assert_eq!(aside.poll(), None);
        aside.close();
        assert_eq!(aside.poll(), elided(Stream::Stdin, &packet));
        assert_eq!(aside.poll(), elided(Stream::Stdout, b"answer"));
        aside.close();
        assert_eq!(aside.poll(), None, "nothing is no stretch");
    }
}

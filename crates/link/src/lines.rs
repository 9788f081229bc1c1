//! Lines out of bytes that come in pieces, however small those are.

use bytes::{Bytes, BytesMut};
use tokio_util::codec::{AnyDelimiterCodec, Decoder as _};

/// What has come of lines that nobody took yet.
#[derive(Debug)]
pub struct LineBuffer {
    held: BytesMut,
    /// Knows how far it has looked, so that a line in a million pieces is looked through once.
    cut: AnyDelimiterCodec,
    most: usize,
}

/// A line is longer than any may be. The buffer is of no use any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a line of more than {0} bytes")]
pub struct LineTooLong(usize);

impl LineBuffer {
    /// For lines of at most so many bytes.
    #[must_use]
    pub fn new(most: usize) -> Self {
        let cut = AnyDelimiterCodec::new_with_max_length(b"\n".into(), b"\n".into(), most);
        Self { held: BytesMut::new(), cut, most }
    }

    /// Takes what came next.
    pub fn push(&mut self, bytes: &[u8]) {
        self.held.extend_from_slice(bytes);
    }

    /// The first line, without its end, once it is whole.
    ///
    /// # Errors
    /// [`LineTooLong`].
    pub fn take(&mut self) -> Result<Option<Bytes>, LineTooLong> {
        self.cut.decode(&mut self.held).map_err(|_| LineTooLong(self.most))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_whole_whatever_pieces_they_come_in() {
        let mut lines = LineBuffer::new(8);
        lines.push(b"one\n\ntw");
        assert_eq!(lines.take().unwrap().unwrap(), "one");
        assert_eq!(lines.take().unwrap().unwrap(), "");
        assert_eq!(lines.take().unwrap(), None);
        for byte in *b"o-is-8\n12345678" {
            lines.push(&[byte]);
        }
        assert_eq!(lines.take().unwrap().unwrap(), "two-is-8");
        assert_eq!(lines.take().unwrap(), None, "it may end yet");
        lines.push(b"9");
        assert_eq!(lines.take(), Err(LineTooLong(8)));
    }

    #[test]
    fn a_long_line_byte_by_byte_is_looked_through_once() {
        // Looked through from its beginning each time this takes minutes.
        let most = 1 << 20;
        let mut lines = LineBuffer::new(most);
        for _ in 0..most {
            lines.push(b"x");
            assert_eq!(lines.take().unwrap(), None);
        }
        lines.push(b"\n");
        assert_eq!(lines.take().unwrap().unwrap().len(), most);
    }
}

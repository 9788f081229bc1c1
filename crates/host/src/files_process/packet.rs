//! Packets of sftp, version 3 (draft-ietf-secsh-filexfer-02): one is read whole, an answer is written whole.

use model::limit::{SFTP_HANDLE_BYTES, SFTP_PACKET_BYTES};
use std::fs::Metadata;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt as _;

/// Bytes of a packet: the contents of a file, and what stands before them.
const PACKET_BYTES: usize = SFTP_PACKET_BYTES + SFTP_HANDLE_BYTES + 64;

/// Reads the next packet, without its length; `None` at the end of the stream.
pub(super) fn read(from: &mut impl Read) -> io::Result<Option<Vec<u8>>> {
    let mut length = [0; 4];
    match from.read_exact(&mut length) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if length == 0 || length > PACKET_BYTES {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut packet = vec![0; length];
    from.read_exact(&mut packet)?;
    Ok(Some(packet))
}

/// What stands in a packet, from the front.
pub(super) struct Fields<'p>(pub &'p [u8]);

impl<'p> Fields<'p> {
    fn bytes(&mut self, count: usize) -> Option<&'p [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    pub fn byte(&mut self) -> Option<u8> {
        self.bytes(1)?.first().copied()
    }

    pub fn number(&mut self) -> Option<u32> {
        Some(u32::from_be_bytes(self.bytes(4)?.try_into().ok()?))
    }

    pub fn long(&mut self) -> Option<u64> {
        Some(u64::from_be_bytes(self.bytes(8)?.try_into().ok()?))
    }

    pub fn string(&mut self) -> Option<&'p [u8]> {
        let count = self.number()?;
        self.bytes(usize::try_from(count).ok()?)
    }

    /// A handle: the number that it was made of.
    pub fn handle(&mut self) -> Option<u32> {
        self.string()?.try_into().ok().map(u32::from_be_bytes)
    }

    /// Attributes (§5).
    pub fn attributes(&mut self) -> Option<Attributes> {
        let flags = self.number()?;
        let mut set = Attributes::default();
        if flags & 1 != 0 {
            set.bytes = Some(self.long()?);
        }
        if flags & 2 != 0 {
            set.owner = Some((self.number()?, self.number()?));
        }
        if flags & 4 != 0 {
            set.mode = Some(self.number()?);
        }
        if flags & 8 != 0 {
            set.times = Some((self.number()?, self.number()?));
        }
        Some(set)
    }
}

/// Attributes that a client wants.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Attributes {
    pub bytes: Option<u64>,
    pub owner: Option<(u32, u32)>,
    pub mode: Option<u32>,
    /// Of last use and last change, in seconds.
    pub times: Option<(u32, u32)>,
}

/// An answer being written.
pub(super) struct Answer(Vec<u8>);

impl Answer {
    /// Of this type, to the request with this number.
    pub fn new(kind: u8, id: u32) -> Self {
        Self(vec![0, 0, 0, 0, kind]).number(id)
    }

    /// Without contents, or a failure with its words.
    pub fn status(id: u32, code: u32, words: &str) -> Self {
        Self::new(101, id).number(code).string(words.as_bytes()).string(b"")
    }

    pub fn number(mut self, number: u32) -> Self {
        self.0.extend_from_slice(&number.to_be_bytes());
        self
    }

    pub fn long(mut self, number: u64) -> Self {
        self.0.extend_from_slice(&number.to_be_bytes());
        self
    }

    pub fn string(self, bytes: &[u8]) -> Self {
        let mut longer = self.number(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
        longer.0.extend_from_slice(bytes);
        longer
    }

    /// Attributes; of a file that is kept, with the size of what is kept.
    pub fn attributes(self, about: &Metadata, bytes: u64) -> Self {
        // Version 3 has no room for moments beyond 2106.
        let moment = |seconds: i64| u32::try_from(seconds).unwrap_or(u32::MAX);
        self.number(0xf)
            .long(bytes)
            .number(about.uid())
            .number(about.gid())
            .number(about.mode())
            .number(moment(about.atime()))
            .number(moment(about.mtime()))
    }

    /// The whole packet.
    pub fn into_bytes(mut self) -> Vec<u8> {
        let length = u32::try_from(self.0.len().saturating_sub(4)).unwrap_or(u32::MAX);
        if let Some(front) = self.0.first_chunk_mut() {
            *front = length.to_be_bytes();
        }
        self.0
    }
}

//! Framing: the header in front of every record, its digest, and cutting bytes into records.

use crate::bite::Bite;
use crate::fault::Fault;
use model::limit::RECORD_BYTES;

/// First bytes of every recording: a name and the version of the format.
pub const MAGIC: [u8; 8] = *b"SCRYREC\x01";
/// Last bytes of every sealed recording.
pub const END_MAGIC: [u8; 8] = *b"SCRYEND\x01";
/// Bytes of a header.
pub const HEADER_BYTES: usize = 24;
/// Bytes of the trailer.
pub const TRAILER_BYTES: usize = 16;
/// Bytes of a header that its digest covers.
pub const FRONT_BYTES: usize = 16;

/// Types of records, as numbered in the file.
pub mod kind {
    pub const HEADING: u8 = 1;
    pub const DATA: u8 = 2;
    pub const META: u8 = 3;
    pub const KEYFRAME: u8 = 4;
    pub const CHECKPOINT: u8 = 5;
    pub const DIGEST: u8 = 6;
    pub const RECEIPT: u8 = 7;
    pub const INDEX: u8 = 8;
    pub const LINK: u8 = 9;
}

/// Flags of records.
pub mod flag {
    pub const BESIDE: u8 = 1;
    pub const SKIPPABLE: u8 = 2;
    pub const ENCRYPTED: u8 = 4;
    pub const GROUP: u8 = 8;
    pub const PLAIN: u8 = 16;
    pub const END: u8 = 32;
}

/// What stands in front of a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    pub len: u32,
    pub kind: u8,
    pub flags: u8,
    pub count: u16,
    pub first: u64,
    pub tag: [u8; 8],
}

impl Header {
    /// Reads a header and checks what can be checked without the payload.
    pub fn read(bytes: &[u8]) -> Result<Self, Fault> {
        let header = Self::parse(bytes).ok_or(Fault::Torn)?;
        if header.len as usize > RECORD_BYTES {
            return Err(Fault::TooLong(header.len.into()));
        }
        if header.flags & flag::ENCRYPTED != 0 {
            return Err(Fault::Encrypted);
        }
        if header.flags & !header.allowed_flags()? != 0 {
            return Err(Fault::Flags);
        }
        let beside = header.beside();
        if matches!(header.kind, kind::RECEIPT | kind::INDEX | kind::LINK) && !beside {
            return Err(Fault::Flags);
        }
        let counts = matches!(header.kind, kind::DATA | kind::META);
        if counts == (header.count == 0) && header.kind != kind::DIGEST {
            return Err(Fault::Count);
        }
        if beside && header.first != 0 {
            return Err(Fault::Count);
        }
        Ok(header)
    }

    /// The flags that a record of this type may have; refuses types that may not be skipped.
    fn allowed_flags(&self) -> Result<u8, Fault> {
        let skippable = self.flags & flag::SKIPPABLE != 0;
        Ok(match self.kind {
            kind::HEADING | kind::META | kind::KEYFRAME | kind::DIGEST => 0,
            kind::DATA => flag::GROUP | flag::PLAIN,
            kind::CHECKPOINT => flag::END,
            kind::RECEIPT | kind::INDEX => flag::BESIDE,
            kind::LINK => flag::BESIDE | flag::SKIPPABLE,
            _ if skippable => flag::SKIPPABLE | flag::BESIDE,
            other => return Err(Fault::UnknownType(other)),
        })
    }

    /// Reads a header and checks nothing.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let mut bite = Bite(bytes);
        let len = u32::from_le_bytes(bite.array()?);
        let [kind, flags] = bite.array()?;
        let count = u16::from_le_bytes(bite.array()?);
        let first = bite.u64()?;
        let tag = bite.array()?;
        Some(Self { len, kind, flags, count, first, tag })
    }

    /// The header without its tag.
    pub fn front(&self) -> [u8; FRONT_BYTES] {
        let mut front = [0; FRONT_BYTES];
        let fields = [
            &self.len.to_le_bytes()[..],
            &[self.kind, self.flags],
            &self.count.to_le_bytes(),
            &self.first.to_le_bytes(),
        ];
        for (to, from) in front.iter_mut().zip(fields.concat()) {
            *to = from;
        }
        front
    }

    /// Whether the record is not part of the chain.
    pub fn beside(&self) -> bool {
        self.flags & flag::BESIDE != 0
    }

    /// Bytes of the record, header included.
    pub fn record_bytes(&self) -> u64 {
        u64::from(self.len) + HEADER_BYTES as u64
    }

    /// The record's digest.
    pub fn digest(&self, payload: &[u8]) -> [u8; 32] {
        digest(&self.front(), blake3::hash(payload).as_bytes())
    }

    /// The whole record; `payload` is as long as `len` says.
    pub fn frame(&self, payload: &[u8]) -> Vec<u8> {
        [&self.front()[..], &self.tag, payload].concat()
    }
}

/// BLAKE3(front ‖ BLAKE3(payload)).
pub fn digest(front: &[u8; FRONT_BYTES], payload_hash: &[u8; 32]) -> [u8; 32] {
    *blake3::Hasher::new().update(front).update(payload_hash).finalize().as_bytes()
}

/// The chain value before the first record.
pub fn chain_start() -> [u8; 32] {
    *blake3::hash(b"scry recording v1\0").as_bytes()
}

/// The chain value after a record with this digest.
pub fn chain_step(before: &[u8; 32], digest: &[u8; 32]) -> [u8; 32] {
    *blake3::Hasher::new().update(before).update(digest).finalize().as_bytes()
}

/// First eight bytes of a hash.
pub fn tag_of(hash: &[u8; 32]) -> [u8; 8] {
    hash.first_chunk().copied().unwrap_or_default()
}

/// A framed BESIDE record.
pub fn beside_record(kind: u8, payload: &[u8]) -> Vec<u8> {
    framed_beside(kind, flag::BESIDE, payload)
}

/// A framed LINK record.
pub fn link_record(payload: &[u8]) -> Vec<u8> {
    framed_beside(kind::LINK, flag::BESIDE | flag::SKIPPABLE, payload)
}

fn framed_beside(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
    let len = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    let mut header = Header { len, kind, flags, count: 0, first: 0, tag: [0; 8] };
    header.tag = tag_of(&header.digest(payload));
    header.frame(payload)
}

/// Whether the bytes begin a file: `Ok(true)` with the magic, `Ok(false)` without.
pub fn magic(bytes: &[u8]) -> Result<bool, Fault> {
    match bytes.split_at_checked(MAGIC.len()) {
        Some((front, _)) if front == MAGIC => Ok(true),
        Some((front, _)) if front.starts_with(b"SCRYREC") => {
            Err(Fault::Version(front.last().copied().unwrap_or_default()))
        }
        _ => Ok(false),
    }
}

/// One whole record, and what stands behind it.
pub type Cut<'a> = (&'a [u8], &'a [u8]);

/// Cuts the first whole record off `bytes`: the record (with the file's magic, if it begins the file) and the rest.
/// `None` when `bytes` ends before the record does.
///
/// # Errors
/// The record is longer than any may be, or the magic is that of another version.
pub fn split(bytes: &[u8]) -> Result<Option<Cut<'_>>, Fault> {
    let skip = if magic(bytes)? { MAGIC.len() } else { 0 };
    let Some(header) = bytes.get(skip..).and_then(Header::parse) else { return Ok(None) };
    if header.len as usize > RECORD_BYTES {
        return Err(Fault::TooLong(header.len.into()));
    }
    Ok(bytes.split_at_checked(skip + HEADER_BYTES + header.len as usize))
}

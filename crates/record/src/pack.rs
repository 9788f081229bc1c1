//! Compression: one zstd stream a group, flushed a segment at a time. The only code that names zstd.

use crate::fault::Fault;
use model::limit::{RECORD_UNPACKED_BYTES, SEGMENT_UNPACKED_BYTES};
use zstd::zstd_safe::{CCtx, CParameter, DCtx, DParameter, InBuffer, OutBuffer};

/// Window of a stream, as a power of two: 256 KiB, as much as a group holds.
const WINDOW_LOG: u32 = 18;
/// Size of the match tables, as powers of two: a group is small, and two hundred idle sessions must be cheap.
const TABLE_LOG: u32 = 14;
/// Level at which groups are packed: the first that searches lazily, and the most that an interactive session notices
/// nothing of (`docs/recording.md` has the figures).
pub const WELL: i32 = 6;
/// Level in a flood.
pub const FAST: i32 = 1;
/// Output made room for at once, in bytes.
const CHUNK_BYTES: usize = 32 * 1024;

/// Packs the segments of one group.
pub struct Packer(CCtx<'static>);

impl Packer {
    /// A new stream at this level; `None` if there is no memory for it.
    pub fn new(level: i32) -> Option<Self> {
        let mut context = CCtx::try_create()?;
        for parameter in [
            CParameter::CompressionLevel(level),
            CParameter::WindowLog(WINDOW_LOG),
            CParameter::HashLog(TABLE_LOG),
            CParameter::ChainLog(TABLE_LOG),
            CParameter::ContentSizeFlag(false),
        ] {
            context.set_parameter(parameter).ok()?;
        }
        Some(Self(context))
    }

    /// Everything `bytes` becomes, flushed, behind `out`. `None` if the stream failed; it is of no use then.
    pub fn pack(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Option<()> {
        let mut input = InBuffer::around(bytes);
        loop {
            out.reserve(CHUNK_BYTES.min(bytes.len() / 2 + 256));
            let at = out.len();
            let mut output = OutBuffer::around_pos(out, at);
            if input.pos < bytes.len() {
                self.0.compress_stream(&mut output, &mut input).ok()?;
            } else if self.0.flush_stream(&mut output).ok()? == 0 {
                return Some(());
            }
        }
    }
}

/// Unpacks the segments of one group after the other.
pub struct Unpacker(Option<DCtx<'static>>);

impl Unpacker {
    /// With no group open.
    pub fn new() -> Self {
        Self(None)
    }

    /// The entries of one segment; `group` if it begins a new stream.
    pub fn unpack(&mut self, packed: &[u8], group: bool) -> Result<Vec<u8>, Fault> {
        if group {
            self.0 = None;
            let mut context = DCtx::try_create().ok_or(Fault::Unpack)?;
            context
                .set_parameter(DParameter::WindowLogMax(WINDOW_LOG))
                .map_err(|_| Fault::Unpack)?;
            self.0 = Some(context);
        }
        let context = self.0.as_mut().ok_or(Fault::NoGroup)?;
        let unpacked = run(context, packed);
        if unpacked.is_err() {
            self.0 = None;
        }
        unpacked
    }

    /// Ends the open group.
    pub fn close(&mut self) {
        self.0 = None;
    }
}

fn run(context: &mut DCtx, packed: &[u8]) -> Result<Vec<u8>, Fault> {
    let mut input = InBuffer::around(packed);
    let mut out = Vec::new();
    loop {
        out.reserve(CHUNK_BYTES);
        let at = out.len();
        let mut output = OutBuffer::around_pos(&mut out, at);
        let ended =
            context.decompress_stream(&mut output, &mut input).map_err(|_| Fault::Unpack)? == 0;
        let full = output.pos() == output.capacity();
        if out.len() > SEGMENT_UNPACKED_BYTES {
            return Err(Fault::Unpacked);
        }
        if ended {
            return Err(Fault::Unpack);
        }
        if input.pos == packed.len() && !full {
            return Ok(out);
        }
    }
}

/// One frame of its own.
pub fn pack_whole(bytes: &[u8]) -> Option<Vec<u8>> {
    zstd::bulk::compress(bytes, WELL).ok()
}

/// The content of one frame of exactly `length` bytes.
pub fn unpack_whole(packed: &[u8], length: u64) -> Result<Vec<u8>, Fault> {
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    if length > RECORD_UNPACKED_BYTES {
        return Err(Fault::Unpacked);
    }
    let bytes = zstd::bulk::decompress(packed, length).map_err(|_| Fault::Unpack)?;
    if bytes.len() == length { Ok(bytes) } else { Err(Fault::Unpack) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bomb_is_refused_before_it_fills_memory() {
        let mut packer = Packer::new(WELL).unwrap();
        let mut bomb = Vec::new();
        packer.pack(&vec![0; SEGMENT_UNPACKED_BYTES + CHUNK_BYTES], &mut bomb).unwrap();
        assert_eq!(Unpacker::new().unpack(&bomb, true), Err(Fault::Unpacked));
        assert_eq!(unpack_whole(&bomb, u64::MAX), Err(Fault::Unpacked));
    }
}

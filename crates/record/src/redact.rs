//! Taking a record out and leaving its digest, so that the rest still verifies.

use crate::fault::Fault;
use crate::frame::{HEADER_BYTES, Header, kind};
use crate::track::may_be_replaced;

/// The DIGEST record that may stand in place of `record`, one whole record as it stands in the file.
/// Whoever takes out a DATA record takes out the rest of its group and the keyframes that show it.
///
/// # Errors
/// It is not one whole record, or one that may not be taken out: the heading, checkpoints, what is not chained, digests.
pub fn digest_record(record: &[u8]) -> Result<Vec<u8>, Fault> {
    let header = Header::read(record)?;
    let payload = record.get(HEADER_BYTES..).unwrap_or_default();
    if payload.len() != header.len as usize || !may_be_replaced(&header) {
        return Err(Fault::Digest);
    }
    let left = [&header.front()[..], blake3::hash(payload).as_bytes()].concat();
    let len = u32::try_from(left.len()).unwrap_or(u32::MAX);
    Ok(Header { len, kind: kind::DIGEST, flags: 0, ..header }.frame(&left))
}

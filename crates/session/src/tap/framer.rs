//! One direction of sftp, cut into packets. Contents of files are never copied; everything else is, up to a bound.

use super::cursor::{MALFORMED, Wrong};
use model::limit::{SFTP_HANDLE_BYTES, SFTP_PACKET_BYTES};

/// `SSH_FXP_WRITE`.
pub(super) const WRITE: u8 = 6;
/// `SSH_FXP_DATA`.
pub(super) const DATA: u8 = 103;

/// Cuts one direction.
#[derive(Debug, Default)]
pub(super) struct Framer {
    /// The packet so far, its length included; of one with contents only what stands before them.
    pub head: Vec<u8>,
    /// Bytes of contents that still belong to the packet before.
    pub left: u64,
}

impl Framer {
    /// Takes from `rest` what the packet needs. Whether it is whole, but for its contents.
    pub fn fill(&mut self, rest: &mut &[u8]) -> Result<bool, Wrong> {
        loop {
            let want = self.want()?;
            let missing = want.saturating_sub(self.head.len());
            if missing == 0 {
                return Ok(true);
            }
            let (taken, behind) = rest.split_at(missing.min(rest.len()));
            self.head.extend_from_slice(taken);
            *rest = behind;
            if taken.len() < missing {
                return Ok(false);
            }
        }
    }

    /// Bytes of the packet that must be here before anything can be done with it.
    fn want(&self) -> Result<usize, Wrong> {
        let Some(kind) = self.head.get(4) else { return Ok(5) };
        let number = |at: usize| {
            let bytes = self.head.get(at..at + 4)?.try_into().ok()?;
            usize::try_from(u32::from_be_bytes(bytes)).ok()
        };
        let length = number(0).ok_or(MALFORMED)?;
        match *kind {
            DATA => Ok(13),
            WRITE => match number(9) {
                None => Ok(13),
                Some(handle) if handle > SFTP_HANDLE_BYTES => Err("a handle that is too long"),
                Some(handle) => Ok(13 + handle + 12),
            },
            _ if length < 5 => Err(MALFORMED),
            _ if length > SFTP_PACKET_BYTES => Err("a packet that is too long"),
            _ => Ok(4 + length),
        }
    }
}

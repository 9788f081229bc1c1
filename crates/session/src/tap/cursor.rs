//! A place in a packet of sftp, and what stands there (draft-ietf-secsh-filexfer-02; numbers are big-endian).

use model::limit::TRANSFER_PATH_BYTES;
use model::transfer::{Attributes, Times, text_of};

/// What is said of a packet that ends too early or too late, or holds what it may not.
pub(super) const MALFORMED: &str = "a packet that is not as it should be";

/// What can be wrong with a packet, for a person.
pub(super) type Wrong = &'static str;

/// The rest of a packet.
pub(super) struct Cursor<'a>(pub &'a [u8]);

impl<'a> Cursor<'a> {
    fn bytes(&mut self, count: usize) -> Result<&'a [u8], Wrong> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(MALFORMED)?;
        self.0 = rest;
        Ok(taken)
    }

    pub fn number(&mut self) -> Result<u32, Wrong> {
        let bytes = self.bytes(4)?.try_into().map_err(|_| MALFORMED)?;
        Ok(u32::from_be_bytes(bytes))
    }

    pub fn long(&mut self) -> Result<u64, Wrong> {
        let bytes = self.bytes(8)?.try_into().map_err(|_| MALFORMED)?;
        Ok(u64::from_be_bytes(bytes))
    }

    pub fn string(&mut self) -> Result<&'a [u8], Wrong> {
        let count = self.number()?;
        self.bytes(usize::try_from(count).map_err(|_| MALFORMED)?)
    }

    /// A path or a message.
    pub fn text(&mut self) -> Result<String, Wrong> {
        Ok(text_of(self.short(TRANSFER_PATH_BYTES)?))
    }

    /// A path or a message of so many bytes at most. What nobody is told of must be short, lest it carry something else.
    pub fn short(&mut self, most: usize) -> Result<&'a [u8], Wrong> {
        let bytes = self.string()?;
        if bytes.len() > most {
            return Err("a path or a message that is too long");
        }
        Ok(bytes)
    }

    /// Attributes (§5). Those that this version does not know would hide what stands in them.
    pub fn attributes(&mut self) -> Result<Attributes, Wrong> {
        let flags = self.number()?;
        if flags & !0xf != 0 {
            return Err("attributes of a kind that is not known");
        }
        let mut attributes = Attributes::default();
        if flags & 1 != 0 {
            attributes.size = Some(self.long()?);
        }
        if flags & 2 != 0 {
            attributes.owner = Some((self.number()?, self.number()?));
        }
        if flags & 4 != 0 {
            attributes.mode = Some(self.number()?);
        }
        if flags & 8 != 0 {
            let (accessed, modified) = (self.number()?.into(), self.number()?.into());
            attributes.times = Some(Times { modified, accessed });
        }
        Ok(attributes)
    }

    /// The packet must end here.
    pub fn end(&self) -> Result<(), Wrong> {
        if self.0.is_empty() { Ok(()) } else { Err(MALFORMED) }
    }
}

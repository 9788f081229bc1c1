//! Where a recording's bytes come from. Files and connections implement it on higher floors.

use thiserror::Error;

/// Random access to a recording's bytes, which may still grow at the end.
pub trait Source {
    /// Bytes there are now.
    fn len(&self) -> u64;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes from `offset` on, at most `most`; fewer only at the end of the source.
    ///
    /// # Errors
    /// The bytes cannot be had.
    fn read_at(&self, offset: u64, most: usize) -> Result<Vec<u8>, SourceError>;
}

/// Why bytes cannot be had, for a person.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct SourceError(pub String);

impl Source for [u8] {
    fn len(&self) -> u64 {
        <[u8]>::len(self) as u64
    }

    fn read_at(&self, offset: u64, most: usize) -> Result<Vec<u8>, SourceError> {
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(<[u8]>::len(self));
        let to = from.saturating_add(most).min(<[u8]>::len(self));
        Ok(self.get(from..to).unwrap_or_default().to_vec())
    }
}

impl Source for Vec<u8> {
    fn len(&self) -> u64 {
        Source::len(self.as_slice())
    }

    fn read_at(&self, offset: u64, most: usize) -> Result<Vec<u8>, SourceError> {
        self.as_slice().read_at(offset, most)
    }
}

impl<S: Source + ?Sized> Source for &S {
    fn len(&self) -> u64 {
        (**self).len()
    }

    fn read_at(&self, offset: u64, most: usize) -> Result<Vec<u8>, SourceError> {
        (**self).read_at(offset, most)
    }
}

impl<S: Source + ?Sized> Source for Box<S> {
    fn len(&self) -> u64 {
        (**self).len()
    }

    fn read_at(&self, offset: u64, most: usize) -> Result<Vec<u8>, SourceError> {
        (**self).read_at(offset, most)
    }
}

/// A window on a source, so that records read one after the other cost few reads.
#[derive(Clone)]
pub struct Window {
    at: u64,
    bytes: Vec<u8>,
}

/// Bytes read at once.
const WINDOW_BYTES: usize = 256 * 1024;

impl Window {
    pub fn new() -> Self {
        Self { at: 0, bytes: Vec::new() }
    }

    /// `n` bytes from `offset` on, or as many as there are.
    pub fn read<S: Source + ?Sized>(
        &mut self,
        source: &S,
        offset: u64,
        n: usize,
    ) -> Result<&[u8], SourceError> {
        if self.held(offset, n).is_none() {
            self.bytes = source.read_at(offset, n.max(WINDOW_BYTES))?;
            self.at = offset;
        }
        let from = usize::try_from(offset.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let rest = self.bytes.get(from..).unwrap_or_default();
        Ok(rest.get(..n).unwrap_or(rest))
    }

    /// Forgets what it holds, because the source has grown.
    pub fn forget(&mut self) {
        self.bytes = Vec::new();
    }

    fn held(&self, offset: u64, n: usize) -> Option<()> {
        let from = usize::try_from(offset.checked_sub(self.at)?).ok()?;
        self.bytes.get(from..from.checked_add(n)?).map(|_| ())
    }
}

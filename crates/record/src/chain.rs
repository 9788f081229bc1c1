//! Auth's check of a recording as it arrives, record by record.

use crate::fault::{Corrupt, Fault};
use crate::frame::{HEADER_BYTES, Header, MAGIC, magic};
use crate::reader::record_at;
use crate::source::{Source, Window};
use crate::tally::Counter;
use crate::track::{Step, Track, check_signer, gaps};
use model::Heading;
use model::entry::{Ending, Stamped};
use model::seal::{Head, PublicKey};

/// Checks a recording that a node ships: framing, order, chain, the signer's certificate, signatures, the end.
///
/// Compressed bytes are not unpacked here; [`crate::verify`] does that when the recording is whole.
#[derive(Debug, Clone)]
pub struct Chain {
    keys: Vec<PublicKey>,
    track: Track,
    bytes: u64,
    gaps: u64,
    signed: Option<Head>,
}

/// What an accepted record means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// The chain after it; what a receipt is signed over.
    pub head: Head,
    /// Time of the latest entry, in milliseconds since the recording began.
    pub last_at_ms: u64,
    /// Entries in this record.
    pub entries: u16,
    /// The heading, from the first record.
    pub heading: Option<Box<Heading>>,
    /// People, gaps, marks and the like in this record; output is not among them.
    pub meta: Vec<Stamped>,
    /// The last head that the node signed.
    pub signed: Option<Head>,
    /// How the session ended, with the last record: the recording is complete.
    pub ended: Option<Ending>,
}

impl Chain {
    /// Before the first record. `keys` are the cluster's seal keys, one of which must have certified the signer.
    #[must_use]
    pub fn new(keys: &[PublicKey]) -> Self {
        Self { keys: keys.to_vec(), track: Track::new(), bytes: 0, gaps: 0, signed: None }
    }

    /// The chain after every whole record of `source`, and what those records say to be counted, for going on after a restart.
    /// Receipts in it are passed over.
    ///
    /// # Errors
    /// A record is wrong, or the bytes cannot be read. A torn record at the end is no error: see [`Chain::valid_len`].
    pub fn over<S: Source + ?Sized>(
        source: &S,
        keys: &[PublicKey],
    ) -> Result<(Self, Counter), Corrupt> {
        let (mut chain, mut counter) = (Self::new(keys), Counter::default());
        let mut window = Window::new();
        let mut record = 1;
        let fail = |offset, record| move |what| Corrupt { offset, record, what };
        match source.read_at(0, MAGIC.len()).map_err(Fault::from).and_then(|front| magic(&front)) {
            Ok(true) => {}
            Ok(false) if source.len() < MAGIC.len() as u64 => return Ok((chain, counter)),
            Ok(false) => return Err(fail(0, record)(Fault::NotARecording)),
            Err(what) => return Err(fail(0, record)(what)),
        }
        loop {
            let start = chain.bytes.max(MAGIC.len() as u64);
            let fail = fail(chain.bytes, record);
            let (header, payload) = match record_at(&mut window, source, start) {
                Ok(Some(found)) => found,
                Ok(None) | Err(Fault::Torn) => return Ok((chain, counter)),
                Err(what) => return Err(fail(what)),
            };
            if header.beside() {
                chain.track.step(&header, payload).map_err(fail)?;
            } else {
                counter.count(&chain.take(&header, payload).map_err(fail)?.meta);
            }
            chain.bytes = start.saturating_add(header.record_bytes());
            record += 1;
        }
    }

    /// Takes one whole record, the first with the file's magic in front.
    ///
    /// # Errors
    /// The record is wrong; the chain stands where it stood, so that the right record may still come.
    pub fn accept(&mut self, record: &[u8]) -> Result<Accepted, Corrupt> {
        let (offset, number) = (self.bytes, self.track.records.saturating_add(1));
        let fail = |what| Corrupt { offset, record: number, what };
        let (header, payload) = cut(record, self.track.records == 0).map_err(fail)?;
        if header.beside() {
            return Err(fail(Fault::Beside));
        }
        let accepted = self.take(&header, payload).map_err(fail)?;
        self.bytes = self.bytes.saturating_add(record.len() as u64);
        Ok(accepted)
    }

    /// The chain after the last record.
    #[must_use]
    pub fn head(&self) -> Head {
        self.track.head()
    }

    /// Time of the latest entry, in milliseconds since the recording began.
    #[must_use]
    pub fn last_at_ms(&self) -> u64 {
        self.track.last_at
    }

    /// Gaps seen since the beginning.
    #[must_use]
    pub fn gaps(&self) -> u64 {
        self.gaps
    }

    /// How the session ended, once the last record was accepted.
    #[must_use]
    pub fn ended(&self) -> Option<&Ending> {
        self.track.ended.as_ref().filter(|_| self.track.finished)
    }

    /// Whether the `Ended` entry was accepted; behind it only the signed END is missing.
    #[must_use]
    pub fn has_ending(&self) -> bool {
        self.track.ended.is_some()
    }

    /// Bytes of whole records: what was accepted, or with [`Chain::over`] where the file may be cut.
    #[must_use]
    pub fn valid_len(&self) -> u64 {
        self.bytes
    }

    fn take(&mut self, header: &Header, payload: &[u8]) -> Result<Accepted, Fault> {
        let mut track = self.track.clone();
        let step = track.step(header, payload)?;
        let mut heading = None;
        let mut meta = Vec::new();
        match step {
            Step::Heading(found) => {
                check_signer(&found, &self.keys)?;
                heading = Some(found);
            }
            Step::Meta(entries) => {
                self.gaps = self.gaps.saturating_add(gaps(&entries).count() as u64);
                meta = entries;
            }
            Step::Checkpoint { head, .. } => self.signed = Some(head),
            _ => {}
        }
        self.track = track;
        Ok(Accepted {
            head: self.track.head(),
            last_at_ms: self.track.last_at,
            entries: header.count,
            heading,
            meta,
            signed: self.signed,
            ended: self.ended().cloned(),
        })
    }
}

/// Header and payload of exactly one record.
fn cut(record: &[u8], first: bool) -> Result<(Header, &[u8]), Fault> {
    let record = match (magic(record)?, first) {
        (true, true) => record.split_at(MAGIC.len()).1,
        (false, false) => record,
        (false, true) => return Err(Fault::NotARecording),
        (true, false) => return Err(Fault::HeadingPlace),
    };
    let header = Header::read(record)?;
    let payload = record.get(HEADER_BYTES..).unwrap_or_default();
    match payload.len().cmp(&(header.len as usize)) {
        core::cmp::Ordering::Less => Err(Fault::Torn),
        core::cmp::Ordering::Greater => Err(Fault::Overlong),
        core::cmp::Ordering::Equal => Ok((header, payload)),
    }
}

//! The index of a sealed recording: what auth adds behind END, and where a reader finds things.

use crate::bite::Bite;
use crate::fault::{Corrupt, Fault};
use crate::frame::{END_MAGIC, Header, TRAILER_BYTES, beside_record, flag, kind};
use crate::reader::{Survey, record_at};
use crate::source::{Source, Window};
use crate::track::signature_fits;
use bytes::Bytes;
use model::entry::{Ending, Gap};
use model::limit::RECORD_BYTES;
use model::seal::{PublicKey, Receipt, Signature};
use model::{Heading, Seq, SessionId};
use serde::{Deserialize, Serialize};

/// Items of a list, at most; a longer one keeps every second.
const LISTED: usize = 32_768;
/// Gaps listed, at most; all are counted.
const GAPS_LISTED: usize = 4_096;

/// What is where in a recording.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Index {
    /// Chained records.
    pub records: u64,
    /// Last entry.
    pub seq: Seq,
    /// Time of the latest entry, in milliseconds since the recording began.
    pub length_ms: u64,
    /// Chain value after the last record.
    pub hash: [u8; 32],
    /// How the session ended, if it did.
    pub ending: Option<Ending>,
    /// Places where a reader may begin.
    pub groups: Vec<GroupAt>,
    /// Screens.
    pub keyframes: Vec<KeyframeAt>,
    /// The first gaps.
    pub gaps: Vec<GapAt>,
    /// All gaps.
    pub gap_count: u64,
    /// Bytes at which receipts stand.
    pub receipts: Vec<u64>,
    /// Bytes at which digests stand in place of records that were taken out.
    pub digests: Vec<u64>,
}

/// Where a group begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupAt {
    /// Byte of its first record.
    pub offset: u64,
    /// Its first entry.
    pub seq: Seq,
    /// Time of that entry.
    pub at: u64,
    /// Chained records before it.
    pub records: u64,
    /// Chain value before it.
    pub hash: [u8; 32],
}

/// Where a keyframe stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyframeAt {
    /// Byte of its record.
    pub offset: u64,
    /// The entry after which it shows the screen.
    pub seq: Seq,
    /// Time of that entry.
    pub at: u64,
}

/// Something is missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GapAt {
    /// Its entry.
    pub seq: Seq,
    /// Its time.
    pub at: u64,
    /// How much, and why.
    pub gap: Gap,
}

impl Index {
    pub(crate) fn add_group(&mut self, group: GroupAt) {
        self.groups.push(group);
        thin(&mut self.groups);
    }

    pub(crate) fn add_keyframe(&mut self, keyframe: KeyframeAt) {
        self.keyframes.push(keyframe);
        thin(&mut self.keyframes);
    }

    pub(crate) fn add_receipt(&mut self, offset: u64) {
        self.receipts.push(offset);
        thin(&mut self.receipts);
    }

    pub(crate) fn add_digest(&mut self, offset: u64) {
        self.digests.push(offset);
        thin(&mut self.digests);
    }

    /// Moments at which the recording is best cut, in milliseconds: where a group begins, at most so many, by time.
    #[must_use]
    pub fn cuts(&self, most: usize) -> Vec<u64> {
        let mut cuts: Vec<u64> = self.groups.iter().map(|group| group.at).collect();
        cuts.sort_unstable();
        cuts.dedup();
        let of = cuts.len().div_ceil(most.max(1)).max(1);
        cuts.into_iter().step_by(of).collect()
    }

    /// The first byte at which two lists differ, if their files do: whatever was added, taken out or replaced
    /// stands there, or before it.
    pub(crate) fn first_difference(&self, other: &Self) -> Option<u64> {
        let groups = |index: &Self| index.groups.iter().map(|group| group.offset).collect();
        let keyframes = |index: &Self| index.keyframes.iter().map(|frame| frame.offset).collect();
        let lists: [(Vec<u64>, Vec<u64>); 4] = [
            (groups(self), groups(other)),
            (keyframes(self), keyframes(other)),
            (self.receipts.clone(), other.receipts.clone()),
            (self.digests.clone(), other.digests.clone()),
        ];
        lists.iter().filter_map(|(one, two)| first_difference(one, two)).min()
    }

    pub(crate) fn add_gap(&mut self, gap: GapAt) {
        self.gap_count = self.gap_count.saturating_add(1);
        if self.gaps.len() < GAPS_LISTED {
            self.gaps.push(gap);
        }
    }
}

fn first_difference(one: &[u64], two: &[u64]) -> Option<u64> {
    let same = one.iter().zip(two).take_while(|(a, b)| a == b).count();
    one.get(same).into_iter().chain(two.get(same)).min().copied()
}

fn thin<T>(list: &mut Vec<T>) {
    if list.len() > LISTED {
        let mut keep = false;
        list.retain(|_| {
            keep = !keep;
            keep
        });
    }
}

/// A receipt as a record that auth puts behind the records it is for.
#[must_use]
pub fn receipt_record(receipt: &Receipt) -> Bytes {
    beside_record(kind::RECEIPT, &postcard::to_allocvec(receipt).unwrap_or_default()).into()
}

/// What auth puts behind a complete recording: the receipts that are not in it yet, the index with the seal, the trailer.
/// `sign` signs with the seal key whose public half is `key`.
///
/// # Errors
/// The recording is wrong or not complete.
pub fn finish<S: Source + ?Sized>(
    source: &S,
    receipts: &[Receipt],
    key: PublicKey,
    sign: impl FnOnce(&[u8]) -> Signature,
) -> Result<Vec<u8>, Corrupt> {
    let mut survey = Survey::over(source);
    if let Some(corrupt) = survey.stopped {
        return Err(corrupt);
    }
    let fail = |what| Corrupt { offset: survey.offset, record: survey.number, what };
    if !survey.track.finished {
        return Err(fail(Fault::EndMark));
    }
    let Some(id) = survey.heading.as_ref().map(|heading| heading.id) else {
        return Err(fail(Fault::HeadingPlace));
    };
    let mut hasher = blake3::Hasher::new();
    let mut offset = 0;
    while offset < survey.offset {
        let most = usize::try_from(survey.offset - offset).unwrap_or(usize::MAX).min(1 << 20);
        let bytes = source.read_at(offset, most).map_err(|error| fail(error.into()))?;
        if bytes.is_empty() {
            return Err(fail(Fault::Torn));
        }
        hasher.update(&bytes);
        offset += bytes.len() as u64;
    }
    let mut added = Vec::new();
    for receipt in receipts {
        survey.index.add_receipt(survey.offset + added.len() as u64);
        added.extend_from_slice(&receipt_record(receipt));
    }
    hasher.update(&added);
    let digest = *hasher.finalize().as_bytes();
    let index_offset = survey.offset + added.len() as u64;
    added.extend(Seal::make(&id, digest, key, &survey.index, sign));
    added.extend_from_slice(&index_offset.to_le_bytes());
    added.extend_from_slice(&END_MAGIC);
    Ok(added)
}

/// An INDEX record's payload.
pub struct Seal<'a> {
    pub key: PublicKey,
    pub signature: [u8; 64],
    pub digest: [u8; 32],
    pub body: &'a [u8],
}

impl<'a> Seal<'a> {
    /// The parts of a payload.
    pub fn read(payload: &'a [u8]) -> Option<Self> {
        let mut bite = Bite(payload);
        let (key, signature, digest) = (bite.array()?, bite.array()?, bite.array()?);
        Some(Self { key, signature, digest, body: bite.0 })
    }

    /// The index in it.
    pub fn index(&self) -> Result<Index, Fault> {
        match postcard::take_from_bytes::<Index>(self.body) {
            Ok((index, [])) => Ok(index),
            _ => Err(Fault::Index),
        }
    }

    /// The bytes that the cluster signs.
    pub fn statement(&self, id: &SessionId) -> Vec<u8> {
        statement(id, &self.digest, self.body)
    }

    fn make(
        id: &SessionId,
        digest: [u8; 32],
        key: PublicKey,
        index: &Index,
        sign: impl FnOnce(&[u8]) -> Signature,
    ) -> Vec<u8> {
        let body = postcard::to_allocvec(index).unwrap_or_default();
        let signature: [u8; 64] = sign(&statement(id, &digest, &body)).into();
        let payload = [&key[..], &signature, &digest, &body].concat();
        debug_assert!(payload.len() <= RECORD_BYTES, "lists are thinned to fit");
        beside_record(kind::INDEX, &payload)
    }
}

fn statement(id: &SessionId, digest: &[u8; 32], body: &[u8]) -> Vec<u8> {
    let hash = blake3::hash(body);
    [&b"scry index v1\0"[..], id.as_bytes(), digest, hash.as_bytes()].concat()
}

/// The index at the end of a sealed file, if the key that certified the heading's signer sealed it for this recording;
/// anybody can write the rest of it, also into a record. That the bytes before it are those that were sealed is not
/// checked: only [`crate::verify`] reads them all. Also the offset of its record.
pub fn find<S: Source + ?Sized>(
    source: &S,
    heading: &Heading,
    window: &mut Window,
) -> Option<(Index, u64)> {
    let trailer = source.len().checked_sub(TRAILER_BYTES as u64)?;
    let bytes = source.read_at(trailer, TRAILER_BYTES).ok()?;
    let offset = trailer_offset(&bytes)?;
    let (header, payload) = record_at(window, source, offset).ok()??;
    if !is_index(&header) || offset.checked_add(header.record_bytes()) != Some(trailer) {
        return None;
    }
    if crate::frame::tag_of(&header.digest(payload)) != header.tag {
        return None;
    }
    let seal = Seal::read(payload)?;
    let sealed = seal.key == heading.signer.issuer
        && signature_fits(&seal.key, &seal.statement(&heading.id), &seal.signature);
    if !sealed {
        return None;
    }
    Some((seal.index().ok()?, offset))
}

/// Whether a header is that of an INDEX record.
pub fn is_index(header: &Header) -> bool {
    header.kind == kind::INDEX && header.flags == flag::BESIDE
}

/// The index's offset, if these are the bytes of a trailer.
pub fn trailer_offset(bytes: &[u8]) -> Option<u64> {
    let mut bite = Bite(bytes);
    let offset = bite.u64()?;
    (bite.0 == END_MAGIC).then_some(offset)
}

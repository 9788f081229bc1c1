//! The rules of the chain, record by record: what may follow what, and whether the tag fits. Everyone who reads uses this.

use crate::bite::Bite;
use crate::codec::{Span, is_data, read_meta, read_size, read_span};
use crate::fault::Fault;
use crate::frame::{FRONT_BYTES, Header, chain_start, chain_step, digest, flag, kind, tag_of};
use crate::index::GroupAt;
use ed25519_dalek::{Signature, VerifyingKey};
use model::entry::{Ending, Entry, Stamped};
use model::limit::RECORD_UNPACKED_BYTES;
use model::seal::{Head, PublicKey, SignerCertificate};
use model::{Heading, Seq, SessionId, Size};

/// Where a reader stands in the chain.
#[derive(Debug, Clone)]
pub struct Track {
    /// The recording and its signer, from the heading.
    signer: Option<(SessionId, PublicKey)>,
    /// Chain value after the last record.
    pub hash: [u8; 32],
    /// Chained records so far.
    pub records: u64,
    /// The Seq that comes next.
    pub next: u64,
    /// Time of the latest entry.
    pub last_at: u64,
    /// How the session ended, once its `Ended` stands.
    pub ended: Option<Ending>,
    /// Whether the last chained record, END, stands.
    pub finished: bool,
    /// Whether a group is open that DATA may go on with.
    pub in_group: bool,
    /// How far back a keyframe may reach.
    reach: Reach,
    /// Whether records were taken out since the last checkpoint, so that `last_at` may be too early.
    loose_time: bool,
    /// Whether signatures of checkpoints are checked; a player need not.
    check_signatures: bool,
}

/// What a record turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    Heading(Box<Heading>),
    /// From the time of its first entry to that of its last; `group` if a reader may begin here.
    Data {
        at: u64,
        last: u64,
        group: bool,
    },
    Meta(Vec<Stamped>),
    /// What it shows; `late` if it reaches too far back to be used.
    Keyframe {
        seq: Seq,
        at: u64,
        late: bool,
    },
    /// What it covers.
    Checkpoint {
        head: Head,
        at: u64,
    },
    /// Entries that were taken out.
    Digest(u16),
    /// Chained, and of a later version.
    Unknown,
    /// Not in the chain.
    Beside,
}

/// How far back a keyframe may reach: to the last checkpoint but one. Whoever takes a node over can show what comes from
/// then on as they like, and nothing that was signed long before.
#[derive(Debug, Clone, Copy, Default)]
pub struct Reach {
    /// Seq and time of the last checkpoint but one.
    before: Option<(Seq, u64)>,
    /// Those of the last.
    last: Option<(Seq, u64)>,
}

impl Reach {
    /// Another checkpoint stands.
    pub fn checkpoint(&mut self, seq: Seq, at: u64) {
        self.before = self.last.replace((seq, at));
    }

    /// Whether a keyframe of this entry, with this time, reaches too far back.
    pub fn late(&self, seq: Seq, at: u64) -> bool {
        self.before.is_some_and(|before| seq < before.0 || at < before.1)
    }
}

impl Track {
    /// Before the first record.
    pub fn new() -> Self {
        Self {
            signer: None,
            hash: chain_start(),
            records: 0,
            next: 1,
            last_at: 0,
            ended: None,
            finished: false,
            in_group: false,
            reach: Reach::default(),
            loose_time: false,
            check_signatures: true,
        }
    }

    /// In front of a group, for a reader that plays.
    pub fn at_group(heading: &Heading, group: &GroupAt) -> Self {
        Self {
            signer: Some((heading.id, heading.signer.key)),
            hash: group.hash,
            records: group.records,
            next: group.seq.0,
            last_at: group.at,
            ..Self::playing()
        }
    }

    /// Before the first record, for a reader that plays.
    pub fn playing() -> Self {
        Self { check_signatures: false, ..Self::new() }
    }

    /// Goes on behind a damaged stretch, at a checkpoint whose signature is good: what it covers is what the node had.
    /// Whether a group is open there cannot be known; DATA that goes on with one is let through, and cannot be unpacked.
    pub fn resync(&mut self, header: &Header, payload: &[u8]) -> bool {
        let Some((id, key)) = self.signer else { return false };
        let Some(checkpoint) = Checkpoint::read(payload) else { return false };
        let head = checkpoint.head;
        if header.kind != kind::CHECKPOINT || !checkpoint.signed(&id, &key) {
            return false;
        }
        let hash = chain_step(&head.hash, &header.digest(payload));
        if tag_of(&hash) != header.tag || head.records < self.records {
            return false;
        }
        self.hash = hash;
        self.records = head.records.saturating_add(1);
        self.next = head.seq.0.saturating_add(1);
        self.last_at = checkpoint.at;
        self.in_group = true;
        self.reach.checkpoint(head.seq, checkpoint.at);
        self.loose_time = false;
        self.finished = header.flags & flag::END != 0;
        true
    }

    /// Goes on behind a hole in a spool's file, at a LINK that the recording's signer made. Says whether it is one.
    pub fn link(&mut self, header: &Header, payload: &[u8]) -> bool {
        let Some((id, key)) = self.signer else { return false };
        let Some(checkpoint) = Checkpoint::read(payload) else { return false };
        let head = checkpoint.head;
        let good = header.kind == kind::LINK
            && head.records >= self.records
            && checkpoint.signed(&id, &key);
        if good {
            self.hash = head.hash;
            self.records = head.records;
            self.next = head.seq.0.saturating_add(1);
            self.last_at = checkpoint.at;
            self.in_group = true;
        }
        good
    }

    /// The head after the last record.
    pub fn head(&self) -> Head {
        Head { records: self.records, seq: Seq(self.next.saturating_sub(1)), hash: self.hash }
    }

    /// Takes the next record. After an error it stands where it stood.
    pub fn step(&mut self, header: &Header, payload: &[u8]) -> Result<Step, Fault> {
        if header.beside() {
            let fits = tag_of(&header.digest(payload)) == header.tag;
            return if fits { Ok(Step::Beside) } else { Err(Fault::Checksum) };
        }
        let replaced = match header.kind {
            kind::DIGEST => Some(Replaced::read(header, payload).ok_or(Fault::Digest)?),
            _ => None,
        };
        let digest = replaced.as_ref().map_or_else(|| header.digest(payload), |old| old.digest);
        let hash = chain_step(&self.hash, &digest);
        if tag_of(&hash) != header.tag {
            return Err(Fault::Tag);
        }
        self.check_place(header)?;
        let step = match replaced {
            Some(old) => Step::Digest(self.step_replaced(&old)),
            None => self.content(header, payload)?,
        };
        self.take(header, &step);
        self.hash = hash;
        Ok(step)
    }

    fn check_place(&self, header: &Header) -> Result<(), Fault> {
        if (self.records == 0) != (header.kind == kind::HEADING) {
            return Err(Fault::HeadingPlace);
        }
        if self.finished || (self.ended.is_some() && header.count > 0) {
            return Err(Fault::AfterEnd);
        }
        if header.first != self.next {
            return Err(Fault::Seq { expected: self.next, found: header.first });
        }
        Ok(())
    }

    fn content(&self, header: &Header, payload: &[u8]) -> Result<Step, Fault> {
        match header.kind {
            kind::HEADING => read_heading(payload).map(Step::Heading),
            kind::DATA => self.data(header, payload),
            kind::META => self.meta(header, payload),
            kind::KEYFRAME => {
                let found = KeyframeHead::read(payload).ok_or(Fault::Keyframe)?;
                let there = found.seq.0 < self.next && found.length <= RECORD_UNPACKED_BYTES as u64;
                if !there || (found.at > self.last_at && !self.loose_time) {
                    return Err(Fault::Keyframe);
                }
                let KeyframeHead { seq, at, .. } = found;
                Ok(Step::Keyframe { seq, at, late: self.reach.late(seq, at) })
            }
            kind::CHECKPOINT => self.checkpoint(header, payload),
            _ => Ok(Step::Unknown),
        }
    }

    fn data(&self, header: &Header, payload: &[u8]) -> Result<Step, Fault> {
        let (Span { at, ms, .. }, _) =
            read_span(payload, header.first, header.count).ok_or(Fault::Entries)?;
        let (group, plain) = (header.flags & flag::GROUP != 0, header.flags & flag::PLAIN != 0);
        if plain && !group {
            return Err(Fault::Flags);
        }
        if !group && !self.in_group {
            return Err(Fault::NoGroup);
        }
        if at < self.last_at {
            return Err(Fault::Time);
        }
        Ok(Step::Data { at, last: at.saturating_add(ms), group })
    }

    fn meta(&self, header: &Header, payload: &[u8]) -> Result<Step, Fault> {
        let entries = read_meta(payload, header.first, header.count)?;
        let mut last_at = self.last_at;
        let many = entries.len();
        for (place, Stamped { at, entry, .. }) in entries.iter().enumerate() {
            if *at < last_at {
                return Err(Fault::Time);
            }
            if matches!(entry, Entry::Ended(_)) && place + 1 != many {
                return Err(Fault::AfterEnd);
            }
            last_at = *at;
        }
        Ok(Step::Meta(entries))
    }

    fn checkpoint(&self, header: &Header, payload: &[u8]) -> Result<Step, Fault> {
        let checkpoint = Checkpoint::read(payload).ok_or(Fault::Checkpoint)?;
        let late = checkpoint.at > self.last_at && self.loose_time;
        if checkpoint.head != self.head() || (checkpoint.at != self.last_at && !late) {
            return Err(Fault::CheckpointHead);
        }
        if (header.flags & flag::END != 0) != self.ended.is_some() {
            return Err(Fault::EndMark);
        }
        if let (true, Some((id, key))) = (self.check_signatures, &self.signer)
            && !checkpoint.signed(id, key)
        {
            return Err(Fault::CheckpointSignature);
        }
        Ok(Step::Checkpoint { head: checkpoint.head, at: checkpoint.at })
    }

    fn step_replaced(&mut self, old: &Replaced) -> u16 {
        if old.front.kind == kind::DATA {
            self.in_group = false;
        }
        old.front.count
    }

    fn take(&mut self, header: &Header, step: &Step) {
        match step {
            Step::Heading(heading) => self.signer = Some((heading.id, heading.signer.key)),
            Step::Data { last, .. } => {
                self.in_group = header.flags & flag::PLAIN == 0;
                self.last_at = *last;
            }
            Step::Meta(entries) => {
                self.last_at = entries.last().map_or(self.last_at, |entry| entry.at);
                if let Some(Stamped { entry: Entry::Ended(ending), .. }) = entries.last() {
                    self.ended = Some(ending.clone());
                }
            }
            Step::Checkpoint { head, at } => {
                self.reach.checkpoint(head.seq, *at);
                self.finished = header.flags & flag::END != 0;
                self.last_at = *at;
                self.loose_time = false;
            }
            Step::Digest(_) => self.loose_time = true,
            _ => {}
        }
        self.records = self.records.saturating_add(1);
        self.next = self.next.saturating_add(header.count.into());
    }
}

fn read_heading(payload: &[u8]) -> Result<Box<Heading>, Fault> {
    serde_json::from_slice(payload).map(Box::new).map_err(|error| {
        // The error may quote the file, and is shown in a terminal.
        let plain = |ch: char| if ch.is_control() { '\u{fffd}' } else { ch };
        Fault::Heading(error.to_string().chars().map(plain).take(HEADING_ERROR_CHARS).collect())
    })
}

/// Characters of what is said of a heading that cannot be read. Beyond: cut.
const HEADING_ERROR_CHARS: usize = 200;

/// Bytes of a checkpoint's payload.
pub const CHECKPOINT_BYTES: usize = 120;

/// A checkpoint's payload.
pub struct Checkpoint {
    pub head: Head,
    pub at: u64,
    pub signature: [u8; 64],
}

impl Checkpoint {
    fn read(payload: &[u8]) -> Option<Self> {
        let mut bite = Bite(payload);
        let records = bite.u64()?;
        let seq = Seq(bite.u64()?);
        let hash = bite.array()?;
        let at = bite.u64()?;
        let signature = bite.array()?;
        bite.0.is_empty().then_some(Self { head: Head { records, seq, hash }, at, signature })
    }

    /// As it stands in the file.
    pub fn write(&self) -> Vec<u8> {
        [
            &self.head.records.to_le_bytes()[..],
            &self.head.seq.0.to_le_bytes(),
            &self.head.hash,
            &self.at.to_le_bytes(),
            &self.signature,
        ]
        .concat()
    }

    fn signed(&self, id: &SessionId, key: &PublicKey) -> bool {
        signature_fits(key, &self.head.checkpoint_statement(id, self.at), &self.signature)
    }
}

/// What stands in front of a keyframe's dump.
pub struct KeyframeHead {
    pub seq: Seq,
    pub at: u64,
    pub size: Size,
    pub length: u64,
}

impl KeyframeHead {
    fn read(payload: &[u8]) -> Option<Self> {
        Self::split(payload).map(|(head, _)| head)
    }

    /// The head and the packed dump.
    pub fn split(payload: &[u8]) -> Option<(Self, &[u8])> {
        let mut bite = Bite(payload);
        let seq = Seq(bite.varint()?);
        let at = bite.varint()?;
        let size = read_size(&mut bite)?;
        let length = bite.varint()?;
        Some((Self { seq, at, size, length }, bite.0))
    }
}

/// A record of which only the digest is left.
struct Replaced {
    front: Header,
    digest: [u8; 32],
}

impl Replaced {
    fn read(header: &Header, payload: &[u8]) -> Option<Self> {
        let mut bite = Bite(payload);
        let bytes: [u8; FRONT_BYTES] = bite.array()?;
        let payload_hash = bite.array()?;
        let front = Header::read(&[&bytes[..], &[0; 8]].concat()).ok()?;
        let fits = bite.0.is_empty()
            && may_be_replaced(&front)
            && (front.count, front.first) == (header.count, header.first);
        fits.then(|| Self { front, digest: digest(&bytes, &payload_hash) })
    }
}

/// Whether a record may be taken out, its digest left.
pub fn may_be_replaced(front: &Header) -> bool {
    let kept = matches!(front.kind, kind::HEADING | kind::CHECKPOINT | kind::DIGEST);
    !kept && !front.beside()
}

/// Whether an Ed25519 signature is good, by the strict rules (no weak keys, one form only).
pub fn signature_fits(key: &PublicKey, statement: &[u8], signature: &[u8; 64]) -> bool {
    VerifyingKey::from_bytes(key)
        .and_then(|key| key.verify_strict(statement, &Signature::from_bytes(signature)))
        .is_ok()
}

/// Whether the heading's signer is one of the cluster's and was when the recording began.
pub fn check_signer(heading: &Heading, keys: &[PublicKey]) -> Result<(), Fault> {
    let SignerCertificate { key, node, not_before, not_after, issuer, signature } = &heading.signer;
    if !keys.contains(issuer) {
        return Err(Fault::Issuer);
    }
    let statement = SignerCertificate::statement(key, node, *not_before, *not_after);
    if !signature_fits(issuer, &statement, &(*signature).into()) {
        return Err(Fault::Certificate("its signature does not fit"));
    }
    if *node != heading.node {
        return Err(Fault::Certificate("it is of another node"));
    }
    if heading.started < *not_before || heading.started > *not_after {
        return Err(Fault::Certificate("it was not valid when the recording began"));
    }
    Ok(())
}

/// Entries of a META record that say something is missing.
pub fn gaps(entries: &[Stamped]) -> impl Iterator<Item = &Stamped> {
    entries
        .iter()
        .filter(|stamped| matches!(stamped.entry, Entry::Gap(_)) && !is_data(&stamped.entry))
}

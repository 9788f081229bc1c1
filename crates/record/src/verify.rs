//! The full check of a file: what is signed, what is only chained, what is lost, and exactly where it is wrong.

use crate::fault::Fault;
use crate::frame::{
    END_MAGIC, HEADER_BYTES, Header, MAGIC, TRAILER_BYTES, chain_step, kind, magic, tag_of,
};
use crate::index::{Seal, find, is_index, trailer_offset};
use crate::pack::Unpacker;
use crate::reader::{Survey, read_entries, read_keyframe, record_at};
use crate::report::{FoundFault, Report, SeenReceipt, Verdict, Zone};
use crate::source::{Source, Window};
use crate::track::{CHECKPOINT_BYTES, Step, check_signer, signature_fits};
use model::limit::RECORD_BYTES;
use model::seal::{Head, PublicKey, Receipt};

/// Faults listed, at most; one is enough to be broken.
const FAULTS: usize = 100;
/// Receipts of one recording, at most.
const RECEIPTS: usize = 65_536;
/// Places tried as a checkpoint where records cannot be told apart, at most.
const CANDIDATES: usize = 1_000;

/// Checks a whole file: every byte, entry, signature, receipt, the index and the seal. `keys` are the cluster's seal
/// keys, past ones too; with none only the chain is checked. `progress` is told the bytes done.
pub fn verify<S: Source + ?Sized>(
    source: &S,
    keys: &[PublicKey],
    progress: &mut dyn FnMut(u64),
) -> Report {
    let mut check = Check {
        source,
        keys,
        survey: Survey::new(),
        window: Window::new(),
        unpacker: Unpacker::new(),
        hasher: blake3::Hasher::new(),
        lost: false,
        group_lost: false,
        receipted: 0,
        report: Report::empty(source.len()),
    };
    check.run(progress);
    progress(source.len());
    check.judge()
}

struct Check<'a, S: ?Sized> {
    source: &'a S,
    keys: &'a [PublicKey],
    survey: Survey,
    window: Window,
    unpacker: Unpacker,
    hasher: blake3::Hasher,
    /// Behind a fault, until a signed checkpoint says where the chain stands.
    lost: bool,
    /// Behind a segment that could not be unpacked, until the next group.
    group_lost: bool,
    /// Records that the last receipt is for.
    receipted: u64,
    report: Report,
}

/// Lengths tried for a record that seems torn, at most.
const LENGTHS: usize = 1_000;

/// Whether to go on.
#[derive(PartialEq)]
enum Flow {
    On,
    Stop,
}

impl<S: Source + ?Sized> Check<'_, S> {
    fn fault(&mut self, what: Fault) {
        let (offset, record) = (self.start(), self.survey.number);
        self.fault_at(offset, record, &what);
    }

    fn fault_at(&mut self, offset: u64, record: u64, what: &Fault) {
        if self.report.faults.len() < FAULTS {
            self.report.faults.push(FoundFault { offset, record, what: what.to_string() });
        }
    }

    /// Where the next record begins.
    fn start(&self) -> u64 {
        self.survey.offset.max(MAGIC.len() as u64)
    }

    fn run(&mut self, progress: &mut dyn FnMut(u64)) {
        match self.source.read_at(0, MAGIC.len()).map_err(Fault::from).and_then(|m| magic(&m)) {
            Ok(true) => {
                self.hasher.update(&MAGIC);
            }
            Ok(false) => return self.fault_at(0, 1, &Fault::NotARecording),
            Err(what) => return self.fault_at(0, 1, &what),
        }
        let mut told = 0;
        while self.record() == Flow::On {
            if self.survey.offset - told >= 1 << 20 {
                told = self.survey.offset;
                progress(told);
            }
        }
        self.hidden_seal();
        self.report.torn_bytes = match self.report.sealed {
            true => 0,
            false => self.report.bytes.saturating_sub(self.survey.offset),
        };
    }

    /// A good seal at the end of the file that the records do not lead to: a player would begin there.
    fn hidden_seal(&mut self) {
        if self.report.sealed || !self.report.faults.is_empty() {
            return;
        }
        let Some(heading) = &self.survey.heading else { return };
        if let Some((_, offset)) = find(self.source, heading, &mut Window::new()) {
            let what = Fault::IndexFit("it stands inside of a record");
            self.fault_at(offset, self.survey.number.saturating_sub(1), &what);
        }
    }

    fn record(&mut self) -> Flow {
        let start = self.start();
        let mut window = std::mem::replace(&mut self.window, Window::new());
        let flow = match record_at(&mut window, self.source, start) {
            Ok(None) if start > MAGIC.len() as u64 => Flow::Stop,
            Ok(None) => self.torn(),
            Err(Fault::Torn) if self.more_behind() || self.true_length().is_some() => {
                self.astray(Fault::Length)
            }
            Err(Fault::Torn) => self.torn(),
            Err(what) => self.unreadable(what),
            Ok(Some((header, payload))) => self.whole(&header, payload),
        };
        self.window = window;
        flow
    }

    fn torn(&mut self) -> Flow {
        if self.survey.heading.is_none() {
            self.fault(Fault::Torn);
        } else if self.survey.track.finished {
            self.fault(Fault::Trailer);
        }
        Flow::Stop
    }

    /// A header that cannot be. If its length can be true, the record is passed over.
    fn unreadable(&mut self, what: Fault) -> Flow {
        if self.survey.track.finished {
            self.fault(Fault::Trailer);
            return Flow::Stop;
        }
        let head = self.source.read_at(self.start(), HEADER_BYTES).unwrap_or_default();
        let header = Header::parse(&head).filter(|header| {
            let end = self.start().saturating_add(header.record_bytes());
            header.len as usize <= RECORD_BYTES && end <= self.report.bytes
        });
        let Some(header) = header else { return self.astray(what) };
        if !self.lost {
            self.fault(what);
        }
        self.lost = true;
        self.passed(&header);
        Flow::On
    }

    /// Nobody knows where the next record begins: goes on at the next signed checkpoint.
    fn astray(&mut self, what: Fault) -> Flow {
        if !self.lost {
            self.fault(what);
        }
        self.lost = true;
        let Some(offset) = self.find_checkpoint() else { return Flow::Stop };
        self.survey.offset = offset;
        self.survey.number = self.survey.number.saturating_add(1);
        Flow::On
    }

    /// Whether what looks like a torn record has signed or sealed bytes behind it, so that it is an altered one.
    fn more_behind(&mut self) -> bool {
        let tail = self.report.bytes.saturating_sub(END_MAGIC.len() as u64);
        let sealed = self.source.read_at(tail, END_MAGIC.len()).is_ok_and(|end| end == END_MAGIC);
        !self.survey.track.finished && (sealed || self.find_checkpoint().is_some())
    }

    /// The length at which the record that seems torn would fit its tag: it is whole, and only its length was altered.
    fn true_length(&self) -> Option<u32> {
        let bytes = self.source.read_at(self.start(), RECORD_BYTES + 2 * HEADER_BYTES).ok()?;
        let header = Header::parse(&bytes)?;
        let rest = bytes.get(HEADER_BYTES..)?;
        let next = self.survey.track.next.saturating_add(header.count.into());
        let follows = |at: &usize| {
            let behind = rest.get(*at..).and_then(|behind| Header::read(behind).ok());
            *at == rest.len()
                || behind.is_some_and(|behind| behind.beside() || behind.first == next)
        };
        let fits = |at: usize| {
            let len = u32::try_from(at).ok()?;
            let digest = Header { len, ..header }.digest(rest.get(..at)?);
            let hash = match header.beside() {
                true => digest,
                false => chain_step(&self.survey.track.hash, &digest),
            };
            (tag_of(&hash) == header.tag).then_some(len)
        };
        (0..=rest.len()).filter(follows).take(LENGTHS).find_map(fits)
    }

    /// The next place that holds a checkpoint with a good signature.
    fn find_checkpoint(&self) -> Option<u64> {
        const BLOCK: usize = 1 << 20;
        let whole = HEADER_BYTES + CHECKPOINT_BYTES;
        let (mut at, mut tries) = (self.start().saturating_add(1), 0);
        loop {
            let block = self.source.read_at(at, BLOCK + whole).ok()?;
            for (place, bytes) in block.windows(whole).enumerate() {
                let (head, payload) = bytes.split_at(HEADER_BYTES);
                let Some(header) = Header::parse(head).filter(is_checkpoint) else { continue };
                tries += 1;
                if self.survey.track.clone().resync(&header, payload) {
                    return Some(at.saturating_add(place as u64));
                }
                if tries > CANDIDATES {
                    return None;
                }
            }
            if block.len() < BLOCK + whole {
                return None;
            }
            at = at.saturating_add(BLOCK as u64);
        }
    }

    fn passed(&mut self, header: &Header) {
        self.survey.offset = self.start().saturating_add(header.record_bytes());
        self.survey.number = self.survey.number.saturating_add(1);
    }

    fn whole(&mut self, header: &Header, payload: &[u8]) -> Flow {
        if is_index(header) {
            return self.index(header, payload);
        }
        self.hasher.update(&header.front()).update(&header.tag).update(payload);
        if header.beside() {
            self.beside(header, payload);
        } else if self.lost {
            self.find_chain(header, payload);
        } else {
            self.chained(header, payload);
        }
        self.passed(header);
        Flow::On
    }

    fn find_chain(&mut self, header: &Header, payload: &[u8]) {
        if self.survey.track.resync(header, payload) {
            self.lost = false;
            self.group_lost = true;
        }
    }

    fn chained(&mut self, header: &Header, payload: &[u8]) {
        let before = self.survey.track.head();
        let step = match self.survey.track.step(header, payload) {
            Ok(step) => step,
            Err(what) => {
                self.lost = true;
                return self.fault(what);
            }
        };
        self.content(header, payload, &step);
        let clean = self.report.faults.is_empty();
        let zone = Zone {
            records: self.survey.track.records,
            seq: self.survey.track.head().seq.0,
            ms: self.survey.track.last_at,
            bytes: self.start().saturating_add(header.record_bytes()),
        };
        if clean {
            self.report.chained = zone;
        }
        if clean && matches!(step, Step::Checkpoint { .. }) {
            self.report.signed = zone;
        }
        self.survey.note(header.kind, step, self.start(), before);
    }

    fn content(&mut self, header: &Header, payload: &[u8], step: &Step) {
        match step {
            Step::Heading(heading) if !self.keys.is_empty() => {
                if let Err(what) = check_signer(heading, self.keys) {
                    self.fault(what);
                }
            }
            Step::Keyframe { .. } => {
                if let Err(what) = read_keyframe(header, payload) {
                    self.fault(what);
                }
            }
            Step::Digest(count) => {
                self.report.redacted = self.report.redacted.saturating_add(u64::from(*count));
                self.report.redacted_records = self.report.redacted_records.saturating_add(1);
                if !self.survey.track.in_group {
                    self.unpacker.close();
                }
            }
            Step::Data { group, .. } => {
                self.group_lost &= !group;
                if self.group_lost {
                    return;
                }
                let track = &self.survey.track;
                let step = step.clone();
                if let Err(what) = read_entries(header, payload, step, &mut self.unpacker, track) {
                    self.group_lost = true;
                    self.fault(what);
                }
            }
            _ => {}
        }
    }

    fn beside(&mut self, header: &Header, payload: &[u8]) {
        let before = self.survey.track.head();
        let step = match self.survey.track.step(header, payload) {
            Ok(step) => step,
            Err(what) => return self.fault(what),
        };
        self.survey.note(header.kind, step, self.start(), before);
        if header.kind == kind::RECEIPT
            && let Err(what) = self.receipt(payload, before)
        {
            self.fault(what);
        }
    }

    /// A receipt stands directly behind the records that it is for.
    fn receipt(&mut self, payload: &[u8], head: Head) -> Result<(), Fault> {
        let receipt = read_receipt(payload).ok_or(Fault::Receipt)?;
        if self.lost {
            return Ok(());
        }
        self.check_receipt(&receipt, head)?;
        if std::mem::replace(&mut self.receipted, head.records) == head.records {
            return Err(Fault::ReceiptTwice);
        }
        if self.report.receipts.len() >= RECEIPTS {
            return Err(Fault::TooManyReceipts);
        }
        let Head { seq, records, .. } = head;
        self.report.receipts.push(SeenReceipt { seq: seq.0, records, received: receipt.received });
        Ok(())
    }

    fn check_receipt(&self, receipt: &Receipt, head: Head) -> Result<(), Fault> {
        if receipt.head != head {
            return Err(Fault::ReceiptHead);
        }
        let Some(heading) = &self.survey.heading else { return Err(Fault::ReceiptHead) };
        let statement = head.receipt_statement(&heading.id, receipt.received);
        let known = self.keys.is_empty() || self.keys.contains(&receipt.key);
        if known && signature_fits(&receipt.key, &statement, &receipt.signature.into()) {
            Ok(())
        } else {
            Err(Fault::ReceiptSignature)
        }
    }

    fn index(&mut self, header: &Header, payload: &[u8]) -> Flow {
        let start = self.start();
        let digest = *self.hasher.finalize().as_bytes();
        match self.check_seal(header, payload, &digest) {
            Err(Fault::NotAsSealed) => self.not_as_sealed(payload),
            Err(what) => self.fault(what),
            Ok(()) => {}
        }
        self.passed(header);
        let rest = self.source.read_at(self.survey.offset, TRAILER_BYTES + 1).unwrap_or_default();
        let trailer = rest.get(..TRAILER_BYTES).and_then(trailer_offset);
        if trailer != Some(start) {
            self.fault(Fault::Trailer);
        } else {
            self.survey.offset = self.survey.offset.saturating_add(TRAILER_BYTES as u64);
            self.survey.number = self.survey.number.saturating_add(1);
            if rest.len() > TRAILER_BYTES {
                self.fault(Fault::Behind);
            }
        }
        self.report.sealed = self.report.faults.is_empty();
        Flow::Stop
    }

    fn check_seal(
        &mut self,
        header: &Header,
        payload: &[u8],
        digest: &[u8; 32],
    ) -> Result<(), Fault> {
        if tag_of(&header.digest(payload)) != header.tag {
            return Err(Fault::Checksum);
        }
        let seal = Seal::read(payload).ok_or(Fault::Index)?;
        let index = seal.index()?;
        let Some(heading) = &self.survey.heading else { return Err(Fault::Index) };
        let known = self.keys.is_empty() || self.keys.contains(&seal.key);
        if !known || !signature_fits(&seal.key, &seal.statement(&heading.id), &seal.signature) {
            return Err(Fault::Seal);
        }
        if seal.digest != *digest {
            return Err(Fault::NotAsSealed);
        }
        if !self.survey.track.finished {
            return Err(Fault::IndexFit("it stands before the end of the recording"));
        }
        self.survey.total();
        if !self.lost && index != self.survey.index {
            return Err(Fault::IndexFit("it lists what is not there, or not all that is"));
        }
        Ok(())
    }

    /// The seal is good, and the bytes before it are others. Faults that were found say where; else the lists do.
    fn not_as_sealed(&mut self, payload: &[u8]) {
        let index = Seal::read(payload).and_then(|seal| seal.index().ok()).unwrap_or_default();
        let place = self.survey.index.first_difference(&index);
        let first = self.report.faults.first().map_or(self.start(), |fault| fault.offset);
        match place.filter(|place| *place < first) {
            Some(place) => {
                let number = self.number_at(place);
                self.fault_at(place, number, &Fault::NotAsSealed);
            }
            None => {
                self.fault(Fault::IndexFit("bytes before it were altered, added or taken away"))
            }
        }
    }

    /// The number of the record that begins at a byte, or of the first behind it.
    fn number_at(&self, place: u64) -> u64 {
        let mut window = Window::new();
        let (mut offset, mut number) = (MAGIC.len() as u64, 1);
        while offset < place
            && let Ok(Some((header, _))) = record_at(&mut window, self.source, offset)
        {
            offset = offset.saturating_add(header.record_bytes());
            number += 1;
        }
        number
    }

    fn judge(mut self) -> Report {
        self.survey.total();
        self.report.faults.sort_by_key(|fault| fault.offset);
        self.report.gaps = self.survey.index.gaps;
        self.report.gap_count = self.survey.index.gap_count;
        self.report.ending = self.survey.track.ended;
        self.report.heading = self.survey.heading;
        self.report.verdict = if !self.report.faults.is_empty() {
            Verdict::Broken
        } else if self.keys.is_empty() {
            Verdict::NotProven
        } else if self.report.sealed {
            Verdict::Complete
        } else if self.survey.track.finished {
            Verdict::Unsealed
        } else {
            Verdict::Unfinished
        };
        self.report
    }
}

fn read_receipt(payload: &[u8]) -> Option<Receipt> {
    match postcard::take_from_bytes::<Receipt>(payload) {
        Ok((receipt, [])) => Some(receipt),
        _ => None,
    }
}

fn is_checkpoint(header: &Header) -> bool {
    header.len as usize == CHECKPOINT_BYTES && header.kind == kind::CHECKPOINT && header.count == 0
}

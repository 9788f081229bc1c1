//! What is forged, and how: files in every state, and one function a kind of forgery.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a helper of tests may fail loudly"
)]

mod sign_again;

use crate::kit::{self, Dice, heading_by, node_key, output, pieces, receipt, seal_file, seal_key};
use bytes::Bytes;
use ed25519_dalek::SigningKey;
use model::entry::{Ending, Entry, Gap, GapCause, Party, Stream};
use model::{Size, Tick};
use record::{Sealed, Verdict, Writer, digest_record, receipt_record, scan};
pub use sign_again::without_receipts;

/// Types of records, as `docs/recording.md` numbers them.
pub const KEYFRAME: u8 = 4;
pub const CHECKPOINT: u8 = 5;
pub const RECEIPT: u8 = 7;
pub const INDEX: u8 = 8;

/// A file that is forged.
pub struct Subject {
    pub name: String,
    pub file: Vec<u8>,
    pub verdict: Verdict,
    /// Where each record begins; the magic belongs to the first, the trailer is the last.
    pub starts: Vec<usize>,
    /// Where the torn record of an interrupted file begins.
    pub torn_from: Option<usize>,
}

impl Subject {
    fn new(name: &str, file: Vec<u8>, verdict: Verdict) -> Self {
        let mut starts = Vec::new();
        let mut start = 0;
        for piece in pieces(&file) {
            starts.push(start);
            start += piece.len();
        }
        let name = format!("{name} ({} bytes)", file.len());
        Self { name, file, verdict, starts, torn_from: None }
    }

    /// The record in which a byte lies; behind the last, one more.
    pub fn record_at(&self, byte: usize) -> usize {
        let last = self.torn_from.map_or(self.starts.len(), |_| self.starts.len() - 1);
        let record = self.starts.partition_point(|start| *start <= byte) - 1;
        if byte >= self.file.len() { last } else { record }
    }

    pub fn start_of(&self, record: usize) -> usize {
        self.starts.get(record).copied().unwrap_or(self.file.len())
    }

    /// Type of a record; 0 for the trailer and for a torn one.
    pub fn kind_of(&self, record: usize) -> u8 {
        let start = self.start_of(record) + if record == 0 { 8 } else { 0 };
        let trailer = self.verdict == Verdict::Complete && record + 1 == self.starts.len();
        let torn = self.torn_from == Some(self.start_of(record));
        if trailer || torn { 0 } else { self.file[start + 4] }
    }

    /// Whether no checkpoint begins behind the beginning of this record, nor a seal.
    pub fn nothing_signed_from(&self, record: usize) -> bool {
        let mut behind = record + 1..self.starts.len();
        behind.all(|record| !matches!(self.kind_of(record), CHECKPOINT | INDEX))
    }

    /// Whether the signed END stands before this byte.
    pub fn end_before(&self, byte: usize) -> bool {
        (0..self.starts.len()).any(|record| {
            let start = self.start_of(record);
            start < byte && self.kind_of(record) == CHECKPOINT && self.file[start + 5] == 32
        })
    }

    fn pieces(&self) -> Vec<Vec<u8>> {
        pieces(&self.file)
    }

    fn records_of(&self, kind: u8) -> Vec<usize> {
        (0..self.starts.len()).filter(|record| self.kind_of(*record) == kind).collect()
    }
}

/// One file in each state and of several sizes, of different recordings.
pub fn subjects() -> Vec<Subject> {
    let mut subjects = Vec::new();
    for (place, lines) in [12, 90, 700, 2_600].into_iter().enumerate() {
        let id = 20 + place as u8 * 10;
        let story = story(lines, u64::from(id));
        let shell = |n| heading_by(id + n, model::Kind::Shell, &node_key(), &seal_key());
        let ended = Some(Ending::Exit { status: 0 });
        let write = |n, ending| kit::write(&shell(n), node_key(), &story, ending);

        let file = receipted(&shell(0), &write(0, ended.clone()));
        let sealed = seal_file(file, &[], &seal_key());
        subjects.push(Subject::new("sealed", sealed, Verdict::Complete));

        let file = receipted(&shell(1), &write(1, ended.clone()));
        subjects.push(Subject::new("unsealed", file, Verdict::Unsealed));

        let live = receipted(&shell(2), &write(2, None));
        subjects.push(Subject::new("live", live, Verdict::Unfinished));

        let mut torn = receipted(&shell(3), &write(3, None));
        torn.truncate(torn.len() - 7);
        let mut subject = Subject::new("interrupted", torn, Verdict::Unfinished);
        subject.torn_from = subject.starts.last().copied();
        subjects.push(subject);

        let file = resumed(receipted(&shell(4), &write(4, None)));
        subjects.push(Subject::new("resumed", file, Verdict::Unsealed));

        let file = redacted(&shell(5), &write(5, ended.clone()));
        subjects.push(Subject::new(
            "redacted",
            seal_file(file, &[], &seal_key()),
            Verdict::Complete,
        ));

        let kind = model::Kind::Exec { command: "make -j8".into() };
        let exec = heading_by(id + 6, kind, &node_key(), &seal_key());
        let records = kit::write(&exec, node_key(), &streams(lines, id.into()), ended);
        let sealed = seal_file(receipted(&exec, &records), &[], &seal_key());
        subjects.push(Subject::new("exec", sealed, Verdict::Complete));
    }
    subjects
}

/// A terminal session of this many lines.
fn story(lines: u64, seed: u64) -> Vec<(u64, Entry)> {
    let mut dice = Dice(seed | 1);
    let mut story = kit::story();
    for line in 0..lines {
        let words: Vec<String> =
            (0..dice.below(14)).map(|_| format!("{:x}", dice.below(1 << 30))).collect();
        story.push((dice.below(400) as u64, output(&format!("{line:>6} {}\r\n", words.join(" ")))));
        match dice.below(40) {
            0 => story.push((9, Entry::Mark { label: format!("mark {line}") })),
            1 => story.push((3, Entry::Resize(Size::clamped(60 + line as u32 % 90, 24)))),
            2 => {
                let gap =
                    Gap { cause: GapCause::DiskFull, bytes: Some(line), entries: None, ms: 7 };
                story.push((1, Entry::Gap(gap)));
            }
            3..9 => story.push((60, Entry::Typed { party: Party::OWNER, count: 1, bytes: None })),
            _ => {}
        }
    }
    story
}

/// A program without a terminal.
fn streams(lines: u64, seed: u64) -> Vec<(u64, Entry)> {
    let mut dice = Dice(seed | 1);
    let stream = |n| [Stream::Stdout, Stream::Stderr, Stream::Stdin][n];
    (0..lines)
        .map(|line| {
            let bytes = Bytes::from(format!("{line} {:x}\n", dice.below(1 << 30)));
            (dice.below(700) as u64, Entry::Output { stream: stream(dice.below(3)), bytes })
        })
        .collect()
}

/// The records with a receipt behind every other checkpoint, as auth writes them.
fn receipted(heading: &model::Heading, records: &[Sealed]) -> Vec<u8> {
    let mut file = Vec::new();
    for (place, record) in records.iter().enumerate() {
        file.extend_from_slice(&record.bytes);
        if place > 0 && record.bytes[4] == CHECKPOINT && (record.last || place % 2 == 0) {
            file.extend(receipt_record(&receipt(heading, record.head, place as i64 * 100)));
        }
    }
    file
}

fn resumed(mut file: Vec<u8>) -> Vec<u8> {
    file.truncate(file.len() - 5);
    let mut tail = scan(&file).unwrap();
    file.truncate(tail.valid_len as usize);
    tail.resume_at = tail.last_at + 60_000;
    let mut writer = Writer::resume(tail, node_key(), Tick(9));
    let gap = Gap { cause: GapCause::Crash, bytes: None, entries: None, ms: 60_000 };
    writer.handle(Entry::Gap(gap), Tick(9));
    writer.end(Ending::Crashed, Tick(9));
    while let Some(sealed) = writer.poll() {
        file.extend_from_slice(&sealed.bytes);
    }
    file
}

/// The first group and every keyframe taken out.
fn redacted(heading: &model::Heading, records: &[Sealed]) -> Vec<u8> {
    let (mut groups, mut list) = (0, Vec::new());
    for record in records {
        let (mut bytes, chained) = (record.bytes.clone(), record.head.records > 1);
        groups += usize::from(chained && bytes[4] == 2 && bytes[5] == 8);
        if chained && ((bytes[4] == 2 && groups == 1) || bytes[4] == KEYFRAME) {
            bytes = digest_record(&bytes).unwrap().into();
        }
        list.push(Sealed { bytes, ..record.clone() });
    }
    receipted(heading, &list)
}

/// A kind of forgery.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    FlipBit,
    FlipBitOfAHeader,
    FlipBitOfTheHeading,
    FlipBitOfAReceiptOrSeal,
    OverwriteBytes,
    Cut,
    CutAtARecord,
    DeleteBytes,
    InsertBytes,
    AppendBytes,
    SwapRecords,
    DropARecord,
    DropAReceiptOrSeal,
    DropAStretch,
    DuplicateARecord,
    MoveAReceipt,
    SpliceARecord,
    SpliceABeginning,
    SpliceAReceiptOrSeal,
    TakeOutARecord,
    SignACheckpointAgain,
    SignAReceiptAgain,
    SignTheSealAgain,
    ChainAndSignAgain,
    WriteAnew,
}

impl Kind {
    pub const ALL: [Self; 25] = [
        Self::FlipBit,
        Self::FlipBitOfAHeader,
        Self::FlipBitOfTheHeading,
        Self::FlipBitOfAReceiptOrSeal,
        Self::OverwriteBytes,
        Self::Cut,
        Self::CutAtARecord,
        Self::DeleteBytes,
        Self::InsertBytes,
        Self::AppendBytes,
        Self::SwapRecords,
        Self::DropARecord,
        Self::DropAReceiptOrSeal,
        Self::DropAStretch,
        Self::DuplicateARecord,
        Self::MoveAReceipt,
        Self::SpliceARecord,
        Self::SpliceABeginning,
        Self::SpliceAReceiptOrSeal,
        Self::TakeOutARecord,
        Self::SignACheckpointAgain,
        Self::SignAReceiptAgain,
        Self::SignTheSealAgain,
        Self::ChainAndSignAgain,
        Self::WriteAnew,
    ];
}

/// Which place a report must name.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Place {
    /// The record with the first byte that differs.
    Compared,
    /// That one, of which the digest was left: the signatures over it still hold.
    TakenOut,
    /// That one, or this one.
    ComparedOr(Spot),
    /// This one.
    At(Spot),
    /// From this one to that: what was signed again is first seen at the next signature.
    Between(Spot, Spot),
}

/// A record of the forged file.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spot {
    pub offset: u64,
    pub number: u64,
}

impl Spot {
    /// The record at this index of a list of records.
    pub fn in_list(list: &[Vec<u8>], index: usize) -> Self {
        let offset: usize = list[..index].iter().map(Vec::len).sum();
        // The magic stands in front of the first record.
        Self { offset: offset.max(8) as u64, number: index as u64 + 1 }
    }
}

/// A forged file, and the place that a report must name.
pub type Forged = (Vec<u8>, Place);

/// `None` if this file has nothing of that kind.
pub fn alter(kind: Kind, dice: &mut Dice, subject: &Subject, other: &Subject) -> Option<Forged> {
    let mut bytes = subject.file.clone();
    let mut list = subject.pieces();
    let many = list.len();
    let (a, b) = (dice.below(many), dice.below(many));
    let beside = subject.beside();
    let any_beside = (!beside.is_empty()).then(|| beside[dice.below(beside.len())]);
    let stranger = SigningKey::from_bytes(&[9; 32]);
    match kind {
        Kind::FlipBit => {
            let at = dice.below(bytes.len());
            bytes[at] ^= 1 << dice.below(8);
            return Some((bytes, Place::Compared));
        }
        Kind::FlipBitOfAHeader => {
            let skip = if a == 0 { 8 } else { 0 };
            let at = (subject.start_of(a) + skip + dice.below(24)).min(bytes.len() - 1);
            bytes[at] ^= 1 << dice.below(8);
            return Some((bytes, Place::Compared));
        }
        Kind::FlipBitOfTheHeading => {
            let at = dice.below(list[0].len());
            bytes[at] ^= 1 << dice.below(8);
            return Some((bytes, Place::Compared));
        }
        Kind::FlipBitOfAReceiptOrSeal => {
            let record = any_beside?;
            let at = subject.start_of(record) + dice.below(list[record].len());
            bytes[at] ^= 1 << dice.below(8);
            return Some((bytes, Place::Compared));
        }
        Kind::OverwriteBytes => {
            let from = dice.below(bytes.len());
            let to = (from + 1 + dice.below(60)).min(bytes.len());
            bytes[from..to].fill_with(|| dice.below(256) as u8);
            return Some((bytes, Place::Compared));
        }
        Kind::Cut => {
            bytes.truncate(dice.below(bytes.len()));
            return Some((bytes, Place::Compared));
        }
        Kind::DeleteBytes => {
            let from = dice.below(bytes.len());
            let to = (from + 1 + dice.below(300)).min(bytes.len());
            bytes.drain(from..to);
            return Some((bytes, Place::Compared));
        }
        Kind::InsertBytes => {
            let (at, many) = (dice.below(bytes.len()), 1 + dice.below(100));
            let new: Vec<u8> = (0..many).map(|_| dice.below(256) as u8).collect();
            bytes.splice(at..at, new);
            return Some((bytes, Place::Compared));
        }
        Kind::AppendBytes => {
            let many = 1 + dice.below(80);
            bytes.extend((0..many).map(|_| dice.below(256) as u8));
            return Some((bytes, Place::Compared));
        }
        Kind::SignACheckpointAgain | Kind::SignAReceiptAgain | Kind::SignTheSealAgain => {
            return sign_again::one(kind, dice, subject, &stranger);
        }
        Kind::ChainAndSignAgain => return sign_again::chain(dice, subject, &stranger),
        Kind::WriteAnew => return sign_again::write_anew(dice, subject, &stranger),
        Kind::CutAtARecord => list.truncate(a),
        Kind::SwapRecords => {
            list.swap(a, b);
            // A receipt and the record behind it: the receipt was moved.
            if a.abs_diff(b) == 1 && subject.kind_of(a.min(b)) == RECEIPT {
                let spot = Spot::in_list(&list, a.max(b));
                return Some((list.concat(), Place::ComparedOr(spot)));
            }
        }
        Kind::DropARecord => drop(list.remove(a)),
        Kind::DropAReceiptOrSeal => drop(list.remove(any_beside?)),
        Kind::DropAStretch => drop(list.drain(a..(a + 1 + dice.below(6)).min(many))),
        Kind::DuplicateARecord => list.insert(b, list[a].clone()),
        Kind::MoveAReceipt => {
            let receipts = subject.records_of(RECEIPT);
            let from = *receipts.get(dice.below(receipts.len().max(1)))?;
            let receipt = list.remove(from);
            let no_record_last =
                subject.torn_from.is_some() || subject.verdict == Verdict::Complete;
            let to = b.clamp(1, list.len() - usize::from(no_record_last));
            list.insert(to, receipt);
            let spot = Spot::in_list(&list, to);
            return Some((list.concat(), Place::ComparedOr(spot)));
        }
        Kind::SpliceARecord => {
            let others = other.pieces();
            list[a].clone_from(&others[dice.below(others.len())]);
            // Another genuine heading begins a chain of its own: the seam is behind it.
            let seam = a == 0 && list[0].starts_with(b"SCRYREC");
            let place = if seam { Place::At(Spot::in_list(&list, 1)) } else { Place::Compared };
            return Some((list.concat(), place));
        }
        Kind::SpliceABeginning => return splice_a_beginning(dice, subject, other),
        Kind::SpliceAReceiptOrSeal => {
            let (others, theirs) = (other.pieces(), other.beside());
            let theirs = *theirs.get(dice.below(theirs.len().max(1)))?;
            list[any_beside?].clone_from(&others[theirs]);
        }
        Kind::TakeOutARecord => return take_out(dice, subject),
    }
    Some((list.concat(), Place::Compared))
}

impl Subject {
    /// Receipts, the seal, the trailer.
    fn beside(&self) -> Vec<usize> {
        let beside = |record: &usize| matches!(self.kind_of(*record), RECEIPT | INDEX | 0);
        let torn = self.torn_from.map(|torn| self.record_at(torn));
        (0..self.starts.len()).filter(beside).filter(|record| Some(*record) != torn).collect()
    }
}

/// The first records of another recording, ours behind them: the seam is where ours go on.
fn splice_a_beginning(dice: &mut Dice, subject: &Subject, other: &Subject) -> Option<Forged> {
    let (list, others) = (subject.pieces(), other.pieces());
    let whole = |subject: &Subject| subject.starts.len() - usize::from(subject.torn_from.is_some());
    let most = whole(subject).min(whole(other));
    if other.file == subject.file || most < 2 {
        return None;
    }
    let many = 1 + dice.below(most - 1);
    if other.end_before(other.start_of(many)) {
        return None;
    }
    let bad = [&others[..many], &list[many..]].concat();
    let place = Place::At(Spot::in_list(&bad, many));
    Some((bad.concat(), place))
}

/// A record replaced by its digest, by somebody without the seal key.
fn take_out(dice: &mut Dice, subject: &Subject) -> Option<Forged> {
    if subject.verdict != Verdict::Complete {
        return None;
    }
    let mut list = subject.pieces();
    let chosen: Vec<usize> =
        (1..list.len() - 1).filter(|record| digest_record(&list[*record]).is_ok()).collect();
    let record = *chosen.get(dice.below(chosen.len().max(1)))?;
    list[record] = digest_record(&list[record]).unwrap();
    Some((list.concat(), Place::TakenOut))
}

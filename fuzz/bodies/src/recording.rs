//! Recordings: files as they stand, files whose chain fits whatever stands in them, and files that a crash cut.

use crate::feed::Feed;
use crate::keys;
use ed25519_dalek::Signer;
use model::entry::{Ending, Entry, Gap, GapCause};
use model::seal::{Head, Receipt};
use model::{Seq, Tick, Time};
use record::cue::{Place, piece};
use record::export::{Asciicast, Export, JsonLines, Transcript};
use record::film::Film;
use record::find::Pattern;
use record::lines::{Start, Told, page};
use record::search::Search;
use record::thumb::middle;
use record::{Chain, From, Recording, Verdict, Writer, picture_at, scan, split, verify};

/// Bytes of screens above which a moment is not drawn: this looks for faults, not for what is slow.
const DRAWN_BYTES: u64 = 256 * 1024;
/// Entries that are read of one file.
const ENTRIES: usize = 200_000;

/// A file as it stands.
///
/// Nobody's key proves nothing. What the cluster's key calls complete reads without a fault, every entry in its place.
/// Checking, reading, exporting and drawing end, whatever the bytes say, and no transcript moves its reader's terminal.
pub fn recording(bytes: &[u8]) {
    let seal = keys::seal_key().verifying_key().to_bytes();
    let report = verify(bytes, &[seal], &mut |_| {});
    let nobody = verify(bytes, &[], &mut |_| {}).verdict;
    assert!(matches!(nobody, Verdict::NotProven | Verdict::Broken), "{nobody} without a key");
    assert!(report.signed.seq <= report.chained.seq, "signed further than chained");
    assert!(!report.to_string().is_empty());
    let whole = matches!(report.verdict, Verdict::Complete | Verdict::Unsealed);
    let recording = match Recording::open(bytes) {
        Ok(recording) => recording,
        Err(_) => return assert!(!whole, "whole, and cannot be opened"),
    };
    let heading = recording.heading().clone();
    let mut transcript = Transcript::new(&heading);
    inert(&transcript.begin());
    let mut exports: [Box<dyn Export>; 3] = [
        Box::new(Asciicast::v2(&heading)),
        Box::new(Asciicast::v3(&heading)),
        Box::new(JsonLines::new(&heading)),
    ];
    for export in &mut exports {
        export.begin();
    }
    let (mut next, mut shown) = (Seq(1), 0);
    for stamped in recording.entries(From::Ms(0)).take(ENTRIES) {
        let stamped = match stamped {
            Ok(stamped) => stamped,
            Err(corrupt) => return assert!(!whole, "whole, and {corrupt}"),
        };
        if whole && report.redacted == 0 {
            assert_eq!(stamped.seq, next, "an entry out of its place");
        }
        next = stamped.seq.next();
        if let Entry::Output { bytes, .. } = &stamped.entry {
            shown += bytes.len() as u64;
        }
        if shown <= DRAWN_BYTES {
            inert(&transcript.push(&stamped));
            for export in &mut exports {
                export.push(&stamped);
            }
        }
    }
    inert(&transcript.finish());
    for export in &mut exports {
        export.finish();
    }
    far(&recording, shown <= DRAWN_BYTES);
    let small = |ms| match recording.keyframe_at(ms) {
        Ok(keyframe) => keyframe.is_none_or(|found| found.dump.len() as u64 <= DRAWN_BYTES),
        Err(_) => false,
    };
    for ms in [0, recording.length_ms() / 2, recording.length_ms()] {
        if shown <= DRAWN_BYTES && small(ms) {
            let _ = picture_at(&recording, ms);
        }
    }
}

/// What a player far away gets of it ends, and its words do nothing to what stands around them.
fn far(recording: &Recording<&[u8]>, small: bool) {
    for _ in recording.glances_at(0).take(ENTRIES) {}
    if !small {
        return;
    }
    let film = Film::of(recording);
    film.notes().iter().for_each(|note| inert(&note.text));
    film.chapters(recording.length_ms()).iter().for_each(|chapter| inert(&chapter.text));
    let (mut place, mut start) = (Place::default(), Start::After(Place::default()));
    for _ in 0..64 {
        let piece = piece(recording, place, 1000);
        assert!(piece.place.seq >= place.seq, "it goes backwards");
        assert_eq!(piece.place.to_string().parse(), Ok(piece.place));
        place = piece.place;
        let Ok(page) = page(recording, start, 10) else { return };
        for told in &page.told {
            if let Told::Line { text, .. } = told {
                inert(text);
                assert!(!text.contains('\n'), "a line that is two: {text:?}");
            }
        }
        start = Start::After(page.place);
        if !piece.more && !page.more {
            break;
        }
    }
    let pattern = Pattern::new("a").expect("a text is a pattern");
    if let Ok(mut search) = Search::new(recording.clone(), pattern, Seq(0)) {
        let _ = search.run(&mut Vec::new(), || true);
    }
    let _ = middle(recording);
}

/// A transcript does nothing to the terminal of who reads it.
fn inert(text: &str) {
    let odd = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    assert!(!text.contains(odd), "a control character in {text:?}");
}

/// Records whose chain fits, made as the bytes say, so that what stands behind the tags is reached.
///
/// As [`recording`] and [`recovery`]; and a chain that takes records one by one as they are shipped counts like one
/// that reads the file.
pub fn chain(bytes: &[u8]) {
    let file = Forge::make(bytes);
    recording(&file);
    recovery(&file);
    shipped(&file);
}

/// A file that may have been cut anywhere, as a node and auth find it when they start again.
///
/// What is kept is kept again, whole. The node goes on behind it and ends it, and the result is whole up to that end.
pub fn recovery(bytes: &[u8]) {
    let seal = keys::seal_key().verifying_key().to_bytes();
    if let Ok((chain, _)) = Chain::over(bytes, &[seal]) {
        assert!(chain.valid_len() <= bytes.len() as u64, "more than there is");
    }
    let Ok(tail) = scan(bytes) else { return };
    let kept = usize::try_from(tail.valid_len).ok().and_then(|len| bytes.get(..len));
    let kept = kept.expect("what is kept lies in the file");
    let again = scan(kept).expect("what is kept is a recording");
    assert_eq!(
        (again.valid_len, again.head, again.last_at),
        (tail.valid_len, tail.head, tail.last_at)
    );
    assert_eq!((again.stopped, &again.ended), (None, &tail.ended));
    if tail.finished || tail.heading.signer.key != keys::node_key().verifying_key().to_bytes() {
        return;
    }
    let (known_end, last_at) = (tail.ended.clone(), tail.last_at);
    let mut writer = Writer::resume(tail, keys::node_key(), Tick(0));
    if known_end.is_none() {
        let gap = Gap { cause: GapCause::Crash, bytes: None, entries: None, ms: 0 };
        writer.handle(Entry::Gap(gap), Tick(7));
    }
    writer.end(Ending::Crashed, Tick(9));
    let mut file = kept.to_vec();
    while let Some(sealed) = writer.poll() {
        file.extend_from_slice(&sealed.bytes);
    }
    let closed = scan(file.as_slice()).expect("a closed recording is one");
    assert_eq!(closed.stopped, None, "what the writer wrote behind it");
    assert!(closed.finished && closed.valid_len == file.len() as u64, "the end is not there");
    assert!(closed.last_at >= last_at, "time went backwards");
    assert_eq!(closed.ended, Some(known_end.unwrap_or(Ending::Crashed)));
    let report = verify(&file, &[seal], &mut |_| {});
    assert_ne!(report.verdict, Verdict::Complete, "nobody has sealed it");
}

/// Ships a file record by record, until the first that is refused.
fn shipped(file: &[u8]) {
    let seal = keys::seal_key().verifying_key().to_bytes();
    let (mut chain, mut rest, mut good) = (Chain::new(&[seal]), file, 0);
    while let Ok(Some((record, behind))) = split(rest) {
        let before = chain.head();
        let Ok(accepted) = chain.accept(record) else {
            assert_eq!(chain.head(), before, "a refused record moved the chain");
            break;
        };
        assert_eq!(accepted.head, chain.head());
        (rest, good) = (behind, good + record.len());
    }
    assert_eq!(chain.valid_len(), good as u64);
    let kept = file.get(..good).unwrap_or_default();
    let (read, _) = Chain::over(kept, &[seal]).expect("what was accepted is accepted again");
    assert_eq!((read.head(), read.last_at_ms()), (chain.head(), chain.last_at_ms()));
    assert_eq!(read.ended(), chain.ended());
}

/// Makes a file as bytes say. Framing and chain are written here once more, from `docs/recording.md`.
struct Forge {
    file: Vec<u8>,
    hash: [u8; 32],
    records: u64,
    seq: u64,
    at: u64,
}

impl Forge {
    fn make(bytes: &[u8]) -> Vec<u8> {
        let hash = *blake3::hash(b"scry recording v1\0").as_bytes();
        let file = b"SCRYREC\x01".to_vec();
        let mut forge = Self { file, hash, records: 0, seq: 0, at: 0 };
        let heading = serde_json::to_vec(&keys::heading(1)).unwrap_or_default();
        forge.record(1, 0, 0, &heading);
        let mut feed = Feed(bytes);
        while let Some(what) = feed.next() {
            forge.step(what, &mut feed);
            if forge.file.len() > 256 * 1024 {
                break;
            }
        }
        forge.file
    }

    fn step(&mut self, what: u8, feed: &mut Feed<'_>) {
        let pack = |entries: &[u8]| zstd::encode_all(entries, 1).unwrap_or_default();
        match what % 12 {
            // Any type, any flags.
            0 => {
                let (kind, flags, count) = (feed.u8(), feed.u8(), feed.u8());
                let length = feed.u16().into();
                self.record(kind, flags, count.into(), feed.take(length));
            }
            // Entries, not compressed, and behind them whatever.
            1 => {
                let (count, span, length) = (feed.u8(), feed.u8() & 0x7f, feed.u16().into());
                let payload = [&self.time(), &[span][..], feed.take(length)].concat();
                self.record(2, 8 | 16, count.max(1).into(), &payload);
                self.at = self.at.saturating_add(span.into());
            }
            // One output entry, compressed; the stream ends, which it may not.
            2 => {
                let text = feed.piece();
                let entries = [&[0][..], &varint(text.len() as u64), text].concat();
                let payload = [&self.time(), &[0][..], &pack(&entries)].concat();
                self.record(2, 8, 1, &payload);
            }
            // A compressed stream as the fuzzer has it, begun or gone on with.
            3 => {
                let (flags, count, length) = (feed.u8() & 8, feed.u8(), feed.u16().into());
                let payload = [&self.time(), &[0][..], feed.take(length)].concat();
                self.record(2, flags, count.max(1).into(), &payload);
            }
            // Entries in postcard.
            4 => {
                let (count, entry) = (feed.u8().clamp(1, 4), feed.piece());
                let one = [&self.time(), &varint(entry.len() as u64)[..], entry].concat();
                self.record(3, 0, count.into(), &one.repeat(count.into()));
            }
            // An entry that reads.
            5 => {
                let label = feed.text();
                self.meta(&Entry::Mark { label });
            }
            // A screen of any size, as long as it says or not.
            6 => {
                let (seq, cols, rows, length) = (feed.u8(), feed.u16(), feed.u16(), feed.u8());
                let dump = pack(feed.piece());
                let numbers = [seq.into(), self.at, cols.into(), rows.into(), length.into()];
                let front: Vec<u8> = numbers.into_iter().flat_map(varint).collect();
                self.record(4, 0, 0, &[front, dump].concat());
            }
            // A checkpoint, signed by the node, that is right or off by what the fuzzer says.
            7 => self.checkpoint(0, feed.u8()),
            // The digest of some record.
            8 => {
                let (kind, flags, count) = (feed.u8(), feed.u8(), feed.u8());
                let front = front(feed.u8().into(), kind, flags, count.into(), self.seq + 1);
                let payload = [&front[..], blake3::hash(feed.piece()).as_bytes()].concat();
                self.record(6, 0, count.into(), &payload);
            }
            // A receipt, signed by the cluster.
            9 => {
                let head = Head { records: self.records, seq: Seq(self.seq), hash: self.hash };
                let received = Time(keys::heading(1).started.0 + i64::from(feed.u16()));
                let key = keys::seal_key();
                let statement = head.receipt_statement(&keys::heading(1).id, received);
                let signature = key.sign(&statement).to_bytes().into();
                let key = key.verifying_key().to_bytes();
                let receipt = Receipt { head, received, key, signature };
                self.file.extend(record::receipt_record(&receipt));
            }
            // The end, as a node writes it.
            10 => {
                self.meta(&Entry::Ended(Ending::Exit { status: feed.u8().into() }));
                self.checkpoint(32, feed.u8());
            }
            // The cluster's seal, whatever it is put on.
            _ => {
                let key = keys::seal_key();
                let sign = |bytes: &[u8]| key.sign(bytes).to_bytes().into();
                if let Ok(seal) =
                    record::finish(&self.file, &[], key.verifying_key().to_bytes(), sign)
                {
                    self.file.extend(seal);
                }
            }
        }
    }

    fn time(&self) -> Vec<u8> {
        varint(self.at)
    }

    fn meta(&mut self, entry: &Entry) {
        let bytes = postcard::to_allocvec(entry).unwrap_or_default();
        let payload = [&self.time(), &varint(bytes.len() as u64)[..], &bytes].concat();
        self.record(3, 0, 1, &payload);
    }

    fn checkpoint(&mut self, flags: u8, off: u8) {
        let seq = self.seq.wrapping_add(off.into());
        let head = Head { records: self.records, seq: Seq(seq), hash: self.hash };
        let signature =
            keys::node_key().sign(&head.checkpoint_statement(&keys::heading(1).id, self.at));
        let payload = [
            &head.records.to_le_bytes()[..],
            &seq.to_le_bytes(),
            &head.hash,
            &self.at.to_le_bytes(),
            &signature.to_bytes(),
        ];
        self.record(5, flags, 0, &payload.concat());
    }

    fn record(&mut self, kind: u8, flags: u8, count: u16, payload: &[u8]) {
        let beside = flags & 1 != 0;
        let first = if beside { 0 } else { self.seq + 1 };
        let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        let front = front(length, kind, flags, count, first);
        let digest = hash(&front, blake3::hash(payload).as_bytes());
        let tag = if beside { digest } else { hash(&self.hash, &digest) };
        self.file.extend_from_slice(&front);
        self.file.extend_from_slice(&tag[..8]);
        self.file.extend_from_slice(payload);
        if !beside {
            self.hash = tag;
            self.records += 1;
            self.seq = self.seq.saturating_add(count.into());
        }
    }
}

fn front(length: u32, kind: u8, flags: u8, count: u16, first: u64) -> Vec<u8> {
    let fields =
        [&length.to_le_bytes()[..], &[kind, flags], &count.to_le_bytes(), &first.to_le_bytes()];
    fields.concat()
}

fn hash(a: &[u8], b: &[u8]) -> [u8; 32] {
    *blake3::Hasher::new().update(a).update(b).finalize().as_bytes()
}

fn varint(mut n: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while n >= 0x80 {
        bytes.push(n as u8 | 0x80);
        n >>= 7;
    }
    bytes.push(n as u8);
    bytes
}

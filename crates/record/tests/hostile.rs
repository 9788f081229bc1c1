//! Terminal bytes that mean harm are recorded exactly, byte for byte, whatever the screen makes of them.
//!
//! `SCRY_TEST_LONG=1` records ten million random and mutated sequences.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "it looks at a clock and at its own memory, and fails loudly"
)]

mod kit;

use chance::Random;
use kit::streams::{STREAMS, Timed, make, output, stream};
use kit::{Dice, heading, join, node_key, seal_file, seal_key, told, write};
use model::entry::Ending;
use model::limit::ENTRY_BYTES;
use model::{Entry, Seq, Size};
use record::{From, Recording, Verdict, picture_at, verify};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The least and the most that a client can ask for, in columns and rows.
const SIZES: [(u32, u32); 5] = [(1, 1), (u32::MAX, u32::MAX), (1, u32::MAX), (u32::MAX, 1), (0, 0)];
/// Sequences of one recording.
const BATCH: usize = 12_000;
/// Longest that it may take to write one recording, check it and read it, or to show one moment.
const SLOWEST: Duration = Duration::from_secs(10);
/// Most memory that it may take to write recordings, check and read them, one after the other.
const GROWTH_KIB: u64 = 64 << 10;

/// One test after the other: memory is the process's.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The most memory that this process has held since the last call, in KiB.
fn peak_kib() -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    // Resets the peak (proc(5), clear_refs).
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    let line = text.lines().find(|line| line.starts_with("VmHWM:"));
    line.and_then(|line| line.split_whitespace().nth(1)).unwrap().parse().unwrap()
}

/// Resizes to the least and the most that a client can ask for, and bytes that mean harm between them.
fn session() -> Vec<Timed> {
    let mut dice = Dice(0x0bad);
    let mut story = Vec::new();
    let mut at = 0;
    let mut bytes = |story: &mut Vec<Timed>, bytes: Vec<u8>| {
        for part in bytes.chunks(ENTRY_BYTES) {
            at += 40;
            story.push((at, output(part.to_vec())));
        }
    };
    for (cols, rows) in SIZES {
        story.push((
            story.last().map_or(0, |last: &Timed| last.0),
            Entry::Resize(Size::clamped(cols, rows)),
        ));
        bytes(&mut story, (0..90_000).map(|_| dice.below(256) as u8).collect());
        bytes(&mut story, b"\x18\x1b[999999999999b\x1b[4294967295;4294967295H\x1b[65536@".to_vec());
        bytes(&mut story, format!("\x1b[{}m", "38;2;1;2;3;".repeat(5_000)).into_bytes());
        bytes(&mut story, format!("e{}", "\u{301}".repeat(20_000)).into_bytes());
        for string in ["\x1bP", "\x1b_", "\x1b^", "\x1bX", "\x1b]52;c;"] {
            bytes(&mut story, [string.as_bytes(), &[b'a'; 200_000]].concat());
            bytes(&mut story, b"\x18ok".to_vec());
        }
    }
    // Never ended.
    bytes(&mut story, b"\x1b]0;".to_vec());
    bytes(&mut story, vec![b'x'; 4 << 20]);
    story
}

/// Records a story, checks the file as anybody would, and reads back all that is in it.
fn check(story: &[(u64, Entry)], what: &str) {
    let ending = Ending::Exit { status: 0 };
    let records = write(&heading(1), node_key(), story, Some(ending.clone()));
    let file = seal_file(join(&records), &[], &seal_key());
    let report = verify(&file, &[seal_key().verifying_key().to_bytes()], &mut |_| {});
    assert_eq!(report.verdict, Verdict::Complete, "{what}: {report}");
    let mut wanted = told(story);
    let end = wanted.last().map_or(0, |last| last.1) + 5;
    wanted.push((Seq(wanted.len() as u64 + 1), end, Entry::Ended(ending)));
    let recording = Recording::open(file).unwrap();
    let found = recording.entries(From::Seq(Seq(1))).map(Result::unwrap);
    let found: Vec<_> = found.map(|found| (found.seq, found.at, found.entry)).collect();
    assert!(found == wanted, "{what}: other entries than those that came");
}

#[test]
fn every_random_and_mutated_sequence_is_recorded_exactly_at_any_size() {
    let _alone = alone();
    let real: Vec<u8> = STREAMS
        .iter()
        .flat_map(|(_, packed)| stream(packed))
        .filter_map(|(_, entry)| match entry {
            Entry::Output { bytes, .. } => Some(bytes),
            _ => None,
        })
        .flatten()
        .take(400_000)
        .collect();
    let wanted: usize = if chance::long() { 10_000_000 } else { 24_000 };
    let mut random = Random(0x5eed);
    // Reading the streams took memory too.
    peak_kib();
    let before = peak_kib();
    let (mut sequences, mut round, mut bytes, mut slowest) = (0, 0, 0, Duration::ZERO);
    while sequences < wanted {
        let (mut story, first, until) = (Vec::new(), round, wanted.min(sequences + BATCH));
        while sequences < until {
            let (hostile, more) = chance::hostile(&mut random, &real, round);
            sequences += more;
            bytes += hostile.len();
            story.push((random.below(200) as u64, output(hostile)));
            if round % 25 == 0 {
                let (cols, rows) = SIZES[round / 25 % SIZES.len()];
                story.push((0, Entry::Resize(Size::clamped(cols, rows))));
            }
            round += 1;
        }
        let began = Instant::now();
        check(&story, &format!("rounds {first} to {round}"));
        slowest = slowest.max(began.elapsed());
    }
    let growth = peak_kib().saturating_sub(before);
    println!("{sequences} sequences, {bytes} bytes, {slowest:?} at most for {BATCH}; {growth} KiB");
    assert!(slowest < SLOWEST, "{slowest:?}");
    assert!(growth < GROWTH_KIB, "{growth} KiB");
}

#[test]
fn hostile_bytes_and_sizes_are_recorded_exactly_and_every_moment_of_them_can_be_shown() {
    let _alone = alone();
    let story = session();
    let made = make(1, story.clone());
    let key = seal_key().verifying_key().to_bytes();
    assert_eq!(verify(&made.file, &[key], &mut |_| {}).verdict, Verdict::Complete);
    let recording = Recording::open(made.file).unwrap();
    let all: Vec<Entry> =
        recording.entries(From::Ms(0)).map(|entry| entry.unwrap().entry).collect();
    let only = |entries: &mut dyn Iterator<Item = &Entry>| {
        let (mut shown, mut sizes) = (Vec::new(), Vec::new());
        for entry in entries {
            match entry {
                Entry::Output { bytes, .. } => shown.extend_from_slice(bytes),
                Entry::Resize(size) => sizes.push(*size),
                _ => {}
            }
        }
        (shown, sizes)
    };
    let right = only(&mut story.iter().map(|(_, entry)| entry));
    assert!(only(&mut all.iter()) == right, "other bytes or sizes than those that came");
    let length = recording.length_ms();
    for part in 0..=20 {
        let began = Instant::now();
        let screen = picture_at(&recording, length * part / 20).unwrap();
        let took = began.elapsed();
        assert!(took < SLOWEST, "{took:?} at {part}");
        assert_eq!(screen.faults(), 0);
        assert!(screen.dump().len() < 16 << 20, "{} bytes at {part}", screen.dump().len());
    }
}

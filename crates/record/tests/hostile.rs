//! Terminal bytes that mean harm are recorded exactly, byte for byte, whatever the screen makes of them.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests fail loudly")]

mod kit;

use kit::Dice;
use kit::streams::{Timed, make, output};
use model::limit::ENTRY_BYTES;
use model::{Entry, Size};
use record::{From, Recording, Verdict, picture_at, verify};

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
    let sizes = [(1, 1), (u32::MAX, u32::MAX), (1, u32::MAX), (u32::MAX, 1), (0, 0)];
    for (cols, rows) in sizes {
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

#[test]
fn hostile_bytes_and_sizes_are_recorded_exactly_and_every_moment_of_them_can_be_shown() {
    let story = session();
    let made = make(1, story.clone());
    let key = kit::seal_key().verifying_key().to_bytes();
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
        let screen = picture_at(&recording, length * part / 20).unwrap();
        assert_eq!(screen.faults(), 0);
        assert!(screen.dump().len() < 16 << 20, "{} bytes at {part}", screen.dump().len());
    }
}

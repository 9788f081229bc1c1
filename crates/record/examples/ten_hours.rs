//! Measures a ten-hour recording: its size and where the bytes are, seeks forwards and backwards with and without the
//! trailer, and the scan that makes an index anew. Prints one JSON object. `cargo run --release -p record --example ten_hours`
//! With a path behind the percentage it only writes the recording there.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "a measurement needs a clock, prints, and fails loudly"
)]

#[path = "../tests/kit/mod.rs"]
mod kit;

use kit::Dice;
use kit::streams::{Day, STREAMS, TEN_HOURS, asciicast_gzip, make, stream};
use record::picture::{Brush, blank};
use record::{From, Recording, picture_at};
use std::time::Instant;

/// Seeks of which the median is taken.
const SEEKS: usize = 100;

fn main() {
    let percent: u64 = std::env::args().nth(1).map_or(100, |part| part.parse().unwrap());
    let size = (TEN_HOURS.0 * percent / 100, TEN_HOURS.1 * percent / 100);
    let began = Instant::now();
    let made = make(1, Day::new(size, 7));
    let seconds = began.elapsed().as_secs_f64();
    if let Some(path) = std::env::args().nth(2) {
        return std::fs::write(path, made.file).unwrap();
    }
    let (_, gzip) = asciicast_gzip(1, Day::new(size, 7));
    let mut streams = serde_json::Map::new();
    let (mut ours, mut theirs) = (0, 0);
    for (name, packed) in STREAMS {
        let made = make(2, stream(packed));
        let file = made.file.len() as u64;
        let (_, gzip) = asciicast_gzip(2, stream(packed));
        (ours, theirs) = (ours + file, theirs + gzip);
        streams.insert(name.into(), serde_json::json!({
            "file": file, "asciicast_gzip": gzip, "bytes_by_type": made.bytes_by_kind, "records_by_type": made.records_by_kind,
        }));
    }
    let part =
        |kind: usize| serde_json::json!([made.records_by_kind[kind], made.bytes_by_kind[kind]]);
    let sealed = Recording::open(made.file.clone()).unwrap();
    let mut cut = made.file.clone();
    cut.truncate(made.file.len() - 16);
    let scanning = Instant::now();
    let unsealed = Recording::open(cut).unwrap();
    let scan_ms = scanning.elapsed().as_secs_f64() * 1e3;
    let (forwards, backwards) = (seeks(&sealed, false), seeks(&sealed, true));
    let (cut_forwards, cut_backwards) = (seeks(&unsealed, false), seeks(&unsealed, true));
    let told = serde_json::json!({
        "payload": made.payload, "entries": made.entries, "file": made.file.len(),
        "ratio": made.file.len() as f64 / made.payload as f64,
        "asciicast_gzip_ratio": gzip as f64 / made.payload as f64,
        "streams": streams, "streams_ratio": ours as f64 / theirs as f64,
        "parts": {
            "headers": made.bytes_by_kind[0], "data": part(2), "meta": part(3), "keyframes": part(4),
            "checkpoints": part(5), "receipts": part(7), "index": made.bytes_by_kind[8],
        },
        "groups": sealed.index().groups.len(),
        "record_seconds": seconds, "scan_ms": scan_ms,
        "seek_ms": {
            "forwards": forwards, "backwards": backwards,
            "from_the_start": from_the_start(&sealed), "without_trailer_forwards": cut_forwards, "without_trailer_backwards": cut_backwards,
        },
    });
    println!("{}", serde_json::to_string_pretty(&told).unwrap());
}

/// Median, 95th percentile and maximum in milliseconds of random seeks, each to the picture of a second.
/// Backwards: each second lies before the one just seen, forwards behind it.
fn seeks(recording: &Recording<Vec<u8>>, backwards: bool) -> [f64; 3] {
    let mut dice = Dice(99);
    let last = recording.length_ms() as usize / 1000;
    let mut seconds: Vec<u64> = (0..SEEKS).map(|_| dice.below(last) as u64).collect();
    seconds.sort_unstable();
    if backwards {
        seconds.reverse();
    }
    let mut took: Vec<f64> = Vec::new();
    for second in seconds {
        let start = Instant::now();
        std::hint::black_box(picture_at(recording, second * 1000).unwrap());
        took.push(start.elapsed().as_secs_f64() * 1e3);
    }
    took.sort_by(f64::total_cmp);
    [took[SEEKS / 2], took[SEEKS * 95 / 100], took[SEEKS - 1]]
}

/// Median in milliseconds of the same with what a player does that has no keyframes: everything is drawn from the start.
fn from_the_start(recording: &Recording<Vec<u8>>) -> f64 {
    const TRIES: usize = 5;
    let mut dice = Dice(98);
    let last = recording.length_ms() as usize / 1000;
    let mut took: Vec<f64> = Vec::new();
    for _ in 0..TRIES {
        let ms = dice.below(last) as u64 * 1000;
        let start = Instant::now();
        let mut screen = blank(recording);
        let mut brush = Brush::default();
        for entry in recording.entries(From::Ms(0)) {
            let entry = entry.unwrap();
            if entry.at > ms {
                break;
            }
            assert!(brush.draw(&mut screen, &entry.entry, u64::MAX));
        }
        assert!(brush.finish(&mut screen, u64::MAX));
        took.push(start.elapsed().as_secs_f64() * 1e3);
    }
    took.sort_by(f64::total_cmp);
    took[TRIES / 2]
}

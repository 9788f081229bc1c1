//! Writes the test streams as a browser's player gets them, for tests of terminals that are not scry's:
//! `NAME.ndjson` holds the size and every cue from the beginning, `NAME.pictures.ndjson` the pictures of some moments.
//! Whoever shows a picture must see what a terminal shows that was given all cues up to the picture's `seq`; and the same
//! again when both are given the cues behind it. `cargo run -p record --example films -- FOLDER`
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "a generator of test data writes files, and fails loudly"
)]

#[path = "../tests/kit/mod.rs"]
mod kit;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kit::streams::{STREAMS, make, stream};
use record::cue::{Cue, Picture, Place, picture, piece};
use record::{From, Recording};
use serde_json::{Value, json};
use std::path::Path;

/// Pictures of each stream.
const PICTURES: u64 = 25;

fn main() {
    let folder = std::env::args().nth(1).unwrap();
    let folder = Path::new(&folder);
    std::fs::create_dir_all(folder).unwrap();
    for (name, packed) in STREAMS {
        let recording = Recording::open(make(1, stream(packed)).file).unwrap();
        std::fs::write(folder.join(format!("{name}.ndjson")), cues(&recording)).unwrap();
        std::fs::write(folder.join(format!("{name}.pictures.ndjson")), pictures(&recording))
            .unwrap();
    }
}

fn cues(recording: &Recording<Vec<u8>>) -> String {
    let mut lines = format!("{}\n", json!({ "size": recording.heading().size }));
    let mut place = Place::default();
    loop {
        let piece = piece(recording, place, usize::MAX);
        for (at, seq, cue) in piece.cues {
            let (code, data) = match cue {
                Cue::Text(text) => ("o", Value::from(text)),
                Cue::Bytes(bytes) => ("b", STANDARD.encode(bytes).into()),
                Cue::Size(size) => ("r", json!(size)),
                Cue::Note(..) => continue,
            };
            lines.push_str(&format!("{}\n", json!([at, seq, code, data])));
        }
        place = piece.place;
        if !piece.more {
            return lines;
        }
    }
}

/// Evenly over the entries, not over the time.
fn pictures(recording: &Recording<Vec<u8>>) -> String {
    let times: Vec<u64> = recording.entries(From::Ms(0)).map(|entry| entry.unwrap().at).collect();
    let moment = |n: u64| times[(times.len() - 1) * n as usize / PICTURES as usize];
    let lines = (1..=PICTURES).map(|n| {
        let Picture { at, size, dump, place } = picture(recording, moment(n)).unwrap();
        let (cols, rows, seq) = (size.cols(), size.rows(), place.seq);
        let picture = json!({ "seq": seq, "at": at, "cols": cols, "rows": rows, "dump": dump });
        format!("{}\n", json!({ "picture": picture }))
    });
    lines.collect()
}

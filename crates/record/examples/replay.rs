//! Writes a recorded terminal stream to standard output at its own pace or faster: the same program output for every
//! recorder that is compared. `cargo run --release -p record --example replay -- NAME FASTER`, or no argument for the names.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "a program for measurements: it keeps time, prints, and fails loudly"
)]

#[path = "../tests/kit/mod.rs"]
mod kit;

use kit::streams::{STREAMS, stream};
use model::Entry;
use std::io::Write as _;
use std::time::{Duration, Instant};

fn main() {
    let mut args = std::env::args().skip(1);
    let Some(name) = args.next() else {
        STREAMS.iter().for_each(|(name, _)| println!("{name}"));
        return;
    };
    let faster: u64 = args.next().map_or(1, |faster| faster.parse().unwrap());
    let (_, packed) = STREAMS.into_iter().find(|(known, _)| *known == name).unwrap();
    let began = Instant::now();
    let mut out = std::io::stdout().lock();
    for (ms, entry) in stream(packed) {
        if let Entry::Output { bytes, .. } = entry {
            let due = Duration::from_millis(ms / faster);
            std::thread::sleep(due.saturating_sub(began.elapsed()));
            out.write_all(&bytes).unwrap();
            out.flush().unwrap();
        }
    }
}

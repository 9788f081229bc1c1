//! Recorder, spool, shipping and resume under virtual time with faults, beside a model that remembers everything.
//!
//! Faults: a disk that is full or fails and comes back, dead auth, a clock that jumps both ways, a crash at any write
//! (torn ones too), requests and receipts that are lost, late or doubled, reconnects.
//! The same seed gives the same run. `SCRY_TEST_LONG=1` runs ten times as many seeds.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests fail loudly, and this one is told by the environment how much to do"
)]

mod custody_world;
mod kit;

use custody_world::{Counts, World};

/// Seeds of one run.
const SEEDS: u64 = 5_000;

#[test]
fn what_got_a_number_is_at_auth_in_the_spool_or_in_a_counted_gap() {
    let seeds = if kit::long() { SEEDS * 10 } else { SEEDS };
    let (first, seeds) = match std::env::var("SCRY_TEST_SEED") {
        Ok(seed) => (seed.parse().unwrap(), 1),
        Err(_) => (0, seeds),
    };
    let mut counts = Counts::default();
    for seed in first..first + seeds {
        let run = std::panic::AssertUnwindSafe(|| World::new(seed).run());
        match std::panic::catch_unwind(run) {
            Ok(one) => counts.add(&one),
            Err(panic) => {
                eprintln!("seed {seed} failed; SCRY_TEST_SEED={seed} runs it alone");
                std::panic::resume_unwind(panic);
            }
        }
    }
    println!("{seeds} seeds: {counts:?}");
    let lively = |count: u64, one_in: u64| count * one_in >= seeds;
    let all = [
        (counts.gaps, 10),
        (counts.crashes, 5),
        (counts.holes, 20),
        (counts.held, 5),
        (counts.refused, 2),
        (counts.strict_ends, 20),
        (counts.ahead, 500),
        (counts.crashes_in_recovery, 50),
    ];
    assert!(seeds == 1 || all.iter().all(|(count, one_in)| lively(*count, *one_in)), "{counts:?}");
}

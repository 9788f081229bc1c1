//! Recorder, spool, shipping and resume under virtual time with faults, beside a model that remembers everything.
//!
//! Faults: a disk that is full or fails and comes back, dead auth, a clock that jumps both ways, a crash at any write
//! (torn ones too), requests and receipts that are lost, late or doubled, reconnects.
//! The same seed gives the same run. `SCRY_TEST_LONG=1` runs ten times as many seeds (see `chance`).
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests fail loudly")]

mod custody_world;
mod kit;

use custody_world::{Counts, World};

/// Seeds of one run.
const SEEDS: u64 = 5_000;

#[test]
fn what_got_a_number_is_at_auth_in_the_spool_or_in_a_counted_gap() {
    let seeds = chance::seeds(SEEDS, 10);
    let runs = seeds.end - seeds.start;
    let mut counts = Counts::default();
    chance::each(seeds, |seed| counts.add(&World::new(seed).run()));
    println!("{runs} seeds: {counts:?}");
    let lively = |count: u64, one_in: u64| count * one_in >= runs;
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
    assert!(
        runs < SEEDS || all.iter().all(|(count, one_in)| lively(*count, *one_in)),
        "{counts:?}"
    );
}

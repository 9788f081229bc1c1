//! What simulations share: chance that only a seed decides, and which seeds are run. For tests only.
//!
//! | in the environment | what runs |
//! |---|---|
//! | nothing | a simulation's own count of seeds, from 0 |
//! | `SCRY_TEST_LONG=1` (`cargo xtask test --long`) | so many times more as it says |
//! | `SCRY_TEST_SEEDS=FIRST+COUNT` (`cargo xtask simulate`) | these |

use std::ops::Range;

/// A source of chance: SplitMix64 (Steele, Lea, Flood 2014).
#[derive(Debug, Clone)]
pub struct Random(pub u64);

impl Random {
    /// Any number.
    #[expect(clippy::should_implement_trait, reason = "it never ends, and is no iterator")]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// One from 0 on that is less than `bound`, which is not 0.
    pub fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % (bound as u64)).unwrap_or(0)
    }

    /// Whether something that happens once in so many times happens now.
    pub fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }
}

/// The seeds of a run: `usual` of them, with the full counts `times` as many, or those that the environment says.
///
/// # Panics
/// Where the environment says something that is no FIRST+COUNT.
#[must_use]
#[expect(clippy::expect_used, reason = "whoever runs the simulation hears of it")]
pub fn seeds(usual: u64, times: u64) -> Range<u64> {
    let Ok(said) = std::env::var("SCRY_TEST_SEEDS") else {
        return 0..if long() { usual.saturating_mul(times) } else { usual };
    };
    let two = said.split_once('+').and_then(|(first, count)| {
        let first: u64 = first.parse().ok()?;
        Some(first..first.checked_add(count.parse().ok()?)?)
    });
    two.expect("SCRY_TEST_SEEDS is FIRST+COUNT, two numbers")
}

/// Whether the full counts are asked for.
#[must_use]
pub fn long() -> bool {
    std::env::var("SCRY_TEST_LONG").is_ok_and(|value| value == "1")
}

/// Runs each seed, and says which it was that failed and how it is run alone.
#[expect(clippy::print_stderr, reason = "whoever runs the simulation hears of it")]
pub fn each(seeds: Range<u64>, mut run: impl FnMut(u64)) {
    for seed in seeds {
        let one = std::panic::AssertUnwindSafe(|| run(seed));
        if let Err(panic) = std::panic::catch_unwind(one) {
            eprintln!("seed {seed} failed; SCRY_TEST_SEEDS={seed}+1 runs it alone");
            std::panic::resume_unwind(panic);
        }
    }
}

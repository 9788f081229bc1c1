//! What simulations share: chance that only a seed decides, which seeds are run, and bytes that mean harm. For tests only.
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

/// Bytes that mean harm to a terminal, and how many sequences of them count: by turns any bytes, sequences that chance
/// makes, and a piece of `real`, which is what programs wrote, broken at ten places.
#[must_use]
pub fn hostile(random: &mut Random, real: &[u8], round: usize) -> (Vec<u8>, usize) {
    const LEADS: [&[u8]; 6] = [b"\x1b[", b"\x1b[?", b"\x1b]", b"\x1bP", b"\x1b", b"\n"];
    const TEXTS: [&str; 4] = ["x", "漢", "👧", "é"];
    let mut bytes: Vec<u8> = Vec::new();
    let sequences = match round % 3 {
        0 => {
            bytes.extend((0..500).map(|_| random.next() as u8));
            0
        }
        1 => {
            for _ in 0..60 {
                let lead = LEADS.get(random.below(LEADS.len())).copied();
                bytes.extend_from_slice(lead.unwrap_or_default());
                for _ in 0..random.below(4) {
                    bytes.extend_from_slice(random.below(70_000).to_string().as_bytes());
                    bytes.push(if random.one_in(2) { b';' } else { b':' });
                }
                bytes.push(b'@' + random.below(63) as u8);
                let text = TEXTS.get(random.below(TEXTS.len())).copied();
                bytes.extend_from_slice(text.unwrap_or_default().as_bytes());
            }
            60
        }
        _ => {
            let from = random.below(real.len().saturating_sub(600).max(1));
            bytes.extend(real.iter().skip(from).take(600));
            // Each place is inside of a sequence, or makes one.
            for _ in 0..10 {
                let at = random.below(bytes.len().max(1));
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = random.next() as u8;
                }
            }
            10
        }
    };
    (bytes, sequences)
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

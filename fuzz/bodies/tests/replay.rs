//! Every target gets its corpus and small changes of it: what fuzzing found once stays found.
//!
//! `SCRY_TEST_LONG=1` makes many changes of each file instead of a few.

use std::fs;
use std::path::{Path, PathBuf};

/// Changes of each file of a corpus.
const CHANGES: (usize, usize) = (40, 4_000);
/// Memory that a target may take while one file and its changes are read, in KiB.
const MEMORY_KIB: u64 = 256 * 1024;

fn corpus(name: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpus").join(name);
    let files =
        fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<_> = files.map(|entry| entry.expect("a file").path()).collect();
    files.sort();
    assert!(!files.is_empty(), "{name} has no corpus");
    files
}

/// xorshift64: the same seed gives the same run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 16).expect("64 bit") % bound.max(1)
    }

    /// A few bytes turned, put in, taken out, doubled, or brought in from another file.
    fn change(&mut self, bytes: &mut Vec<u8>, other: &[u8]) {
        const TELLING: [u8; 12] = [0, 1, 0x1b, b'\n', 0x7f, 0x80, 0xff, b'"', b',', b'0', 8, 32];
        for _ in 0..=self.below(4) {
            let at = self.below(bytes.len() + 1);
            let end = (at + 1 + self.below(40)).min(bytes.len());
            match self.below(6) {
                0 if at < bytes.len() => bytes[at] ^= 1 << self.below(8),
                1 if at < bytes.len() => bytes[at] = TELLING[self.below(TELLING.len())],
                2 => bytes.insert(at, TELLING[self.below(TELLING.len())]),
                3 => drop(bytes.drain(at..end.max(at))),
                4 => {
                    let again = bytes[at..end.max(at)].to_vec();
                    bytes.splice(at..at, again);
                }
                _ => {
                    let from = self.below(other.len() + 1);
                    let to = (from + self.below(60)).min(other.len());
                    bytes.splice(at..at, other[from..to].iter().copied());
                }
            }
        }
    }
}

/// The most memory that this process has held since the last call, in KiB.
fn peak_kib() -> u64 {
    let status =
        fs::read_to_string("/proc/self/status").expect("what the kernel says of this process");
    let line = status.lines().find(|line| line.starts_with("VmHWM")).expect("a peak");
    // Resets the peak (proc(5), clear_refs).
    fs::write("/proc/self/clear_refs", "5").expect("the peak is reset");
    line.split_whitespace().nth(1).and_then(|word| word.parse().ok()).expect("a number")
}

fn replay(name: &str) {
    let (few, many) = CHANGES;
    let changes = if chance::long() { many } else { few };
    let files: Vec<_> = corpus(name)
        .into_iter()
        .map(|path| (path.clone(), fs::read(path).expect("a file of the corpus")))
        .collect();
    let mut dice = Dice(0x5eed);
    for (place, (path, bytes)) in files.iter().enumerate() {
        let other = &files[dice.below(files.len())].1;
        attempt(name, bytes, &format!("{}", path.display()));
        for change in 0..changes {
            let mut changed = bytes.clone();
            dice.change(&mut changed, other);
            attempt(
                name,
                &changed,
                &format!("change {change} of file {place}, {}", path.display()),
            );
        }
    }
}

/// Runs a body; a broken promise is told with the bytes that broke it.
fn attempt(name: &str, bytes: &[u8], what: &str) {
    let kept = bytes.to_vec();
    if let Err(panic) = std::panic::catch_unwind(|| bodies::run(name, &kept)) {
        let path = std::env::temp_dir().join(format!("scry-fuzz-{name}"));
        let told = fs::write(&path, bytes).is_ok();
        eprintln!("{name}: {what}; the bytes are in {} ({told})", path.display());
        std::panic::resume_unwind(panic);
    }
}

/// One test, so that the memory of one target is not counted for another.
#[test]
fn every_corpus_and_small_changes_of_it_keep_every_promise() {
    for (name, _) in bodies::ALL {
        let before = peak_kib();
        replay(name);
        let peak = peak_kib();
        println!("{name}: {} files, peak {peak} KiB", corpus(name).len());
        assert!(peak < before + MEMORY_KIB, "{name} took {} KiB", peak - before);
    }
}

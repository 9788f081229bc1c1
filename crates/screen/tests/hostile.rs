//! Bytes that mean harm: no panic, no memory without bound, no second for eight bytes.
//!
//! `SCRY_TEST_LONG=1` feeds ten million random and mutated sequences.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "it looks at a clock and at its own memory, and fails loudly"
)]

mod common;

use chance::Random;
use common::{STREAMS, Step, assert_same, rebuilt, steps};
use screen::Screen;
use std::time::{Duration, Instant};

/// The greatest size and the least ones that a client can ask for.
const EXTREMES: [(u16, u16); 4] = [(u16::MAX, u16::MAX), (1, u16::MAX), (u16::MAX, 1), (1, 1)];
/// Longest that a new size and some hundred bytes may take.
const SLOWEST: Duration = Duration::from_secs(2);
/// Longest that fifty megabytes may take.
const SLOWEST_FLOOD: Duration = Duration::from_secs(10);
/// Most memory that all of this may take.
const PEAK_KIB: u64 = 200 << 10;

/// The most memory that this process ever had, with all of its tests (proc(5)).
fn peak_kib() -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find(|line| line.starts_with("VmHWM:"));
    line.and_then(|line| line.split_whitespace().nth(1)).unwrap().parse().unwrap()
}

/// So many bytes of the recorded streams' output.
fn real(most: usize) -> Vec<u8> {
    let steps = STREAMS.iter().flat_map(|(_, packed)| steps(packed));
    let output = steps.filter_map(|step| match step {
        Step::Output(bytes) => Some(bytes),
        Step::Resize(..) => None,
    });
    output.flatten().take(most).collect()
}

#[test]
fn random_bytes_sequences_and_broken_streams_never_bring_the_emulator_down() {
    let mut random = Random(0x5eed);
    let real = real(400_000);
    // Half a million cells take a while to compare: the full count meets them seldom.
    let (wanted, compared, seldom) =
        if chance::long() { (10_000_000, 500, 500) } else { (24_000, 1, 25) };
    let mut screen = Screen::new(80, 24);
    let (mut sequences, mut round, mut slowest) = (0, 0, Duration::ZERO);
    while sequences < wanted {
        let (bytes, more) = chance::hostile(&mut random, &real, round);
        sequences += more;
        let turn = round % seldom;
        let extreme = turn == 8 || turn == 9;
        let size = match round % 50 {
            // Two in a row, so that each comes directly behind another.
            _ if extreme => Some(EXTREMES[(round / seldom + turn) % EXTREMES.len()]),
            11 => Some((1, 1)),
            n if n == 12 || n % 5 == 0 => Some((random.below(130) as u16, random.below(50) as u16)),
            _ => None,
        };
        let began = Instant::now();
        if let Some((cols, rows)) = size {
            screen.resize(cols, rows);
        }
        screen.feed(&bytes);
        slowest = slowest.max(began.elapsed());
        if extreme || round % compared == 0 {
            assert_same(&screen, &rebuilt(&screen), &format!("round {round}"));
        }
        round += 1;
    }
    let peak = peak_kib();
    println!("{sequences} sequences in {round} rounds, {slowest:?} at most for one; {peak} KiB");
    assert_eq!(screen.faults(), 0);
    assert!(slowest < SLOWEST, "{slowest:?}");
    assert!(peak < PEAK_KIB, "{peak} KiB");
}

#[test]
fn what_is_drawn_bit_by_bit_is_the_same_and_no_bit_is_much_work() {
    /// Four sequences, each of which repeats a character as often as one may on the widest line, and what is between.
    const MOST: u64 = 32 << 20;
    let mut random = Random(0xb17);
    let real = real(100_000);
    let (mut most, mut bits) = (0, 0_u32);
    for round in 0..300 {
        let (cols, rows) = match round {
            0 => (u16::MAX, u16::MAX),
            1 => (2, u16::MAX),
            _ => (random.below(130) as u16, random.below(50) as u16),
        };
        let (mut whole, mut bit_by_bit) = (Screen::new(cols, rows), Screen::new(cols, rows));
        let (mut bytes, _) = chance::hostile(&mut random, &real, round);
        let costly = ["\x1bc", "\x1b#8", "\x1b[2J", "\x1b[4h\x1b[9999b", "\x1b[999L", "x\n"];
        bytes.extend(costly[round % costly.len()].repeat(20).bytes());
        whole.feed(&bytes);
        let mut left = &bytes[..];
        while !left.is_empty() {
            let before = bit_by_bit.work();
            let drawn = bit_by_bit.feed_until(left, before + 1 + random.below(1000) as u64);
            assert!(drawn > 0, "round {round}");
            most = most.max(bit_by_bit.work() - before);
            left = &left[drawn..];
            bits += 1;
        }
        assert_same(&whole, &bit_by_bit, &format!("round {round}"));
        assert_eq!(bit_by_bit.feed_until(b"x", bit_by_bit.work()), 0);
    }
    println!("{bits} bits, {most} at most for one");
    assert!(most < MOST, "{most}");
}

/// What clears the screen is counted as what it costs, whatever it is.
#[test]
fn a_few_bytes_that_cost_much_are_counted_as_much() {
    let work = |bytes: &str| {
        let mut screen = Screen::new(u16::MAX, u16::MAX);
        screen.feed(bytes.as_bytes());
        screen.work()
    };
    let plain = work(&"x".repeat(1000));
    for costly in ["\x1bc", "\x1b#8", "\x1b[2J", "\x1b[?1049h", "\x1b[?47h", "\x1b[H\x1b[999L"] {
        assert!(work(costly) > 50 * plain, "{costly:?}: {}, {plain}", work(costly));
    }
    // Of what scrolls away undrawn hardly anything.
    assert!(work(&"a line of some length\r\n".repeat(40_000)) < 40_000 * 100);
    let mut screen = Screen::new(u16::MAX, u16::MAX);
    screen.resize(100, 100);
    assert!(screen.work() > 50 * plain);
}

#[test]
fn a_full_screen_of_the_greatest_size_becomes_any_other_within_bounds() {
    let mut slowest = Duration::ZERO;
    // Letters, and blanks that are kept because they have a colour.
    for fill in ["\x1b#8", "\x1b[41m\x1b[2J"] {
        for (cols, rows) in EXTREMES {
            let mut screen = Screen::new(u16::MAX, u16::MAX);
            screen.feed(fill.as_bytes());
            let began = Instant::now();
            screen.resize(cols, rows);
            screen.resize(u16::MAX, u16::MAX);
            slowest = slowest.max(began.elapsed());
            assert_eq!(screen.faults(), 0, "{fill:?} at {cols}×{rows}");
        }
    }
    let peak = peak_kib();
    println!("{slowest:?} at most for two sizes; {peak} KiB");
    assert!(slowest < SLOWEST, "{slowest:?}");
    assert!(peak < PEAK_KIB, "{peak} KiB");
}

#[test]
fn fifty_megabytes_of_an_unterminated_string_are_not_kept() {
    let filler = vec![b'a'; 1 << 20];
    for introducer in ["\x1b]0;", "\x1bP", "\x1b_", "\x1b^", "\x1bX", "\x1b[1"] {
        let mut screen = Screen::new(80, 24);
        let chunk = if introducer.ends_with("[1") { vec![b'1'; 1 << 20] } else { filler.clone() };
        let began = Instant::now();
        screen.feed(introducer.as_bytes());
        for _ in 0..50 {
            screen.feed(&chunk);
        }
        let took = began.elapsed();
        assert!(took < SLOWEST_FLOOD, "{introducer:?} takes {took:?}");
        assert!(screen.dump().len() < 4096, "{introducer:?} is kept");
        screen.feed(b"\x18ok");
        assert_eq!(screen.row_text(0), "ok", "{introducer:?}");
    }
    let peak = peak_kib();
    assert!(peak < PEAK_KIB, "{peak} KiB");
}

#[test]
fn huge_counts_marks_links_and_titles_stay_within_bounds() {
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("marks", [b"e".to_vec(), "\u{301}".repeat(500_000).into_bytes()].concat()),
        ("links", "\x1b]8;;http://x\x07y\x1b]8;;\x07".repeat(50_000).into_bytes()),
        ("repeat", [b"x".to_vec(), "\x1b[888888889b".repeat(500).into_bytes()].concat()),
        ("insert", "\x1b[99999999@".repeat(2_000).into_bytes()),
        ("lines", "\x1b[99999999L\x1b[99999999S".repeat(2_000).into_bytes()),
        ("titles", "\x1b]0;t\x07\x1b[22;0t".repeat(20_000).into_bytes()),
        ("keyboards", "\x1b[>31u".repeat(20_000).into_bytes()),
        ("parameters", format!("\x1b[{}m", "38;2;1;2;3;".repeat(10_000)).into_bytes()),
        ("saved cursors", "\x1b7\x1b[s".repeat(20_000).into_bytes()),
    ];
    for (name, bytes) in cases {
        let mut screen = Screen::new(80, 24);
        screen.feed(&bytes);
        assert!(screen.dump().len() < 64 * 1024, "{name}: {}", screen.dump().len());
        assert_same(&screen, &rebuilt(&screen), name);
        assert_eq!(screen.faults(), 0, "{name}");
    }
}

#[test]
fn any_size_becomes_one_that_can_be_drawn() {
    for (wish, got) in [
        ((0, 0), (2, 1)),
        ((1, 1), (2, 1)),
        ((2, 1), (2, 1)),
        ((1024, 512), (1024, 512)),
        ((u16::MAX, u16::MAX), (1024, 512)),
    ] {
        let mut screen = Screen::new(wish.0, wish.1);
        assert_eq!(screen.size(), got);
        screen.feed("👧漢字\x1b[5;5Hx\x1b[2;1r\x1b[?1049h👧".as_bytes());
        screen.resize(80, 24);
        screen.feed("👧".as_bytes());
        screen.resize(wish.0, wish.1);
        assert_eq!(screen.size(), got);
        assert_same(&screen, &rebuilt(&screen), &format!("{wish:?}"));
    }
}

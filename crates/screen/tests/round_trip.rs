//! A dump rebuilds the screen exactly, at once and after more; and cuts between chunks do not matter.

mod common;

use common::{Random, STREAMS, Step, apply, assert_same, rebuilt, steps};
use proptest::prelude::*;
use screen::Screen;
use std::collections::VecDeque;

/// Checkpoints per stream.
const CHECKPOINTS: usize = 60;
/// Steps that a copy lives through before it is compared again.
const AFTER: usize = 100;

#[test]
fn a_dump_rebuilds_real_streams_at_every_checkpoint_and_goes_on_alike() {
    for (name, packed) in STREAMS {
        let steps = steps(packed);
        let mut screen = Screen::new(80, 24);
        let mut copies: VecDeque<(usize, Screen)> = VecDeque::new();
        let stride = (steps.len() / CHECKPOINTS).max(1);
        for (n, step) in steps.iter().enumerate() {
            apply(&mut screen, step);
            copies.iter_mut().for_each(|(_, copy)| apply(copy, step));
            while let Some((made, copy)) = copies.pop_front_if(|(made, _)| *made + AFTER <= n) {
                assert_same(&screen, &copy, &format!("{name}: copy of step {made} at step {n}"));
            }
            if n % stride == 0 {
                let copy = rebuilt(&screen);
                assert_same(&screen, &copy, &format!("{name} at step {n}"));
                copies.push_back((n, copy));
            }
        }
        for (made, copy) in &copies {
            assert_same(&screen, copy, &format!("{name}: copy of step {made} at the end"));
        }
        assert_eq!(screen.faults(), 0, "{name}");
    }
}

#[test]
fn a_screen_that_was_rebuilt_on_the_way_ends_like_one_that_was_not() {
    for (name, packed) in STREAMS {
        let steps = steps(packed);
        let mut straight = Screen::new(80, 24);
        let mut hopping = Screen::new(80, 24);
        for (n, step) in steps.iter().enumerate() {
            apply(&mut straight, step);
            apply(&mut hopping, step);
            if n % 7 == 0 {
                hopping = rebuilt(&hopping);
            }
        }
        assert_same(&straight, &hopping, name);
    }
}

#[test]
fn where_real_streams_are_cut_does_not_matter() {
    for (name, packed) in STREAMS {
        let mut random = Random(7);
        let mut whole = Screen::new(100, 30);
        let mut cut = Screen::new(100, 30);
        for step in steps(packed) {
            apply(&mut whole, &step);
            match step {
                Step::Output(bytes) => {
                    let mut rest = &bytes[..];
                    while !rest.is_empty() {
                        let (now, later) = rest.split_at((1 + random.below(9)).min(rest.len()));
                        cut.feed(now);
                        rest = later;
                    }
                }
                resize @ Step::Resize(..) => apply(&mut cut, &resize),
            }
        }
        assert_same(&whole, &cut, name);
    }
}

/// Pieces of which programs are made, whole and broken.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let sequence = (
        prop::sample::select(vec!["\x1b[", "\x1b[?", "\x1b[>", "\x1b[=", "\x1b[<", "\u{9b}"]),
        prop::collection::vec(0u16..60, 0..4),
        prop::sample::select(b"@ABCDEFGHIJKLMPSTXZ`abcdefghlmnpqrstuW!".to_vec()),
    )
        .prop_map(|(start, numbers, last)| {
            let numbers: Vec<String> = numbers.iter().map(u16::to_string).collect();
            let mut bytes = format!("{start}{}", numbers.join(";")).into_bytes();
            bytes.push(last);
            bytes
        });
    let known = prop::sample::select(
        [
            "\x1b[?1049h",
            "\x1b[?1049l",
            "\x1b[?1047h",
            "\x1b[?1047l",
            "\x1b[?47h",
            "\x1b[?6h",
            "\x1b[?6l",
            "\x1b[?7l",
            "\x1b[?7h",
            "\x1b[4h",
            "\x1b[4l",
            "\x1b[20h",
            "\x1b[2;4r",
            "\x1b[r",
            "\x1b7",
            "\x1b8",
            "\x1bM",
            "\x1bD",
            "\x1bE",
            "\x1bH",
            "\x1b(0",
            "\x1b(B",
            "\x0e",
            "\x0f",
            "\x1b[?1000h",
            "\x1b[?1006h",
            "\x1b[?2004h",
            "\x1b[?1004h",
            "\x1b[5 q",
            "\x1b=",
            "\x1b>",
            "\x1b[>5u",
            "\x1b[<u",
            "\x1b[=3;2u",
            "\x1b[22;0t",
            "\x1b[23;0t",
            "\x1b]0;title\x07",
            "\x1b]2;a;b\x1b\\",
            "\x1b]1;icon\x07",
            "\x1b]8;;http://x\x07",
            "\x1b[38;2;1;2;3m",
            "\x1b[48:2::9:8:7m",
            "\x1b[4:3;58:5:1m",
            "\x1b[21m",
            "\x1b[7m",
            "\x1b[!p",
            "\x1bc",
            "\x1b#8",
            "\x1b[>4;2m",
            "\x1b[?5h",
            "\r\n",
            "\r",
            "\n",
            "\t",
            "\x08",
            "\x18",
            "\x1b",
            "\x1b[",
            "\x1b]",
            "\x1bP",
            "\x1b_",
            "\x1b\\",
            "\x07",
            "\x1b[3b",
            "\x1b[?25l",
            "日",
            "e\u{301}",
            "\u{301}",
            "\u{302}",
            "e",
            "か\u{3099}",
            "👩\u{200d}🚀",
            "ᄒ\u{1161}\u{11ab}",
            "38:2:",
            "\x1b_scry:join\x1b\\",
        ]
        .map(|text| text.as_bytes().to_vec())
        .to_vec(),
    );
    prop_oneof![
        3 => "[ -~]{1,12}".prop_map(String::into_bytes),
        1 => "\\PC{1,4}".prop_map(String::into_bytes),
        4 => known,
        3 => sequence,
        1 => prop::collection::vec(any::<u8>(), 1..6),
    ]
}

fn program() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(piece(), 0..40).prop_map(|pieces| pieces.concat())
}

/// Lines by the dozen, as `cat` and `ls --color` write them, with an obstacle among them at times.
fn flood() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![
        6 => "[ -~]{0,30}",
        2 => "\\PC{1,6}",
        3 => prop::sample::select(
            vec!["\x1b[m", "\x1b[1m", "\x1b[44m", "\x1b[0m", "\x1b[38;5;9m", "\x1b[4:3m", "\t", "\x08", "\r", "か\u{3099}", "\u{301}"],
        )
        .prop_map(str::to_owned),
    ];
    let line = (
        prop::collection::vec(word, 0..4),
        prop::sample::select(vec!["\r\n", "\r\n", "\r\n", "\n"]),
    )
        .prop_map(|(words, end)| words.concat() + end);
    let lines = prop::collection::vec(line, 1..80).prop_map(|lines| lines.concat().into_bytes());
    let part = prop_oneof![5 => lines, 1 => piece()];
    prop::collection::vec(part, 1..6).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, rng_seed: proptest::test_runner::RngSeed::Fixed(7), ..ProptestConfig::default() })]

    #[test]
    fn a_dump_rebuilds_any_program_and_goes_on_alike(
        before in program(),
        after in program(),
        (cols, rows) in (1u16..20, 1u16..8),
        (cols_2, rows_2) in (1u16..20, 1u16..8),
    ) {
        let mut screen = Screen::new(cols, rows);
        screen.feed(&before);
        let mut other = rebuilt(&screen);
        assert_same(&screen, &other, "at once");
        screen.feed(&after);
        other.feed(&after);
        assert_same(&screen, &other, "after more");
        screen.resize(cols_2, rows_2);
        assert_same(&screen, &rebuilt(&screen), "after a resize");
        prop_assert_eq!(screen.faults(), 0);
    }

    #[test]
    fn where_any_program_is_cut_does_not_matter(program in program(), cuts in prop::collection::vec(1usize..9, 1..9)) {
        let mut whole = Screen::new(12, 5);
        let mut cut = Screen::new(12, 5);
        whole.feed(&program);
        let mut rest = &program[..];
        for length in cuts.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (now, later) = rest.split_at((*length).min(rest.len()));
            cut.feed(now);
            rest = later;
        }
        assert_same(&whole, &cut, "cut");
    }

    #[test]
    fn lines_that_scroll_away_undrawn_leave_no_trace(
        before in program(),
        flood in flood(),
        after in program(),
        (cols, rows) in (2u16..30, 8u16..12),
        (cols_2, rows_2) in (2u16..30, 1u16..20),
    ) {
        let mut whole = Screen::new(cols, rows);
        let mut drawn = Screen::new(cols, rows);
        let bytes = [before, flood, after].concat();
        whole.feed(&bytes);
        // Nothing scrolls away within so few bytes.
        bytes.chunks(16).for_each(|few| drawn.feed(few));
        assert_same(&whole, &drawn, "flood");
        whole.resize(cols_2, rows_2);
        drawn.resize(cols_2, rows_2);
        assert_same(&whole, &drawn, "resized");
        prop_assert_eq!(whole.faults(), 0);
    }
}

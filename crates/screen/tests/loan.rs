//! A terminal that was lent in between is exactly as the program left it, at any moment of any stream.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "test helpers")]

mod common;

use common::{Random, STREAMS, Step, apply, assert_same, steps};
use screen::{Canvas, Loan, Screen, anew};

/// Random terminals and programs.
const SEEDS: u64 = 400;
/// Loans for each of them.
const LOANS: usize = 12;
/// Sequences that change what a dump must carry.
const SETTINGS: [&str; 48] = [
    "\x1b[?1049h",
    "\x1b[?1049l",
    "\x1b[?1047h",
    "\x1b[?1047l",
    "\x1b[?47h",
    "\x1b[?47l",
    "\x1b7",
    "\x1b8",
    "\x1b[s",
    "\x1b[u",
    "\x1b[3;9r",
    "\x1b[r",
    "\x1b[?6h",
    "\x1b[?6l",
    "\x1b[4h",
    "\x1b[4l",
    "\x1b[20h",
    "\x1b[20l",
    "\x1b[?7l",
    "\x1b[?7h",
    "\x1b(0",
    "\x1b(B",
    "\x1b)0",
    "\x0e",
    "\x0f",
    "\x1b[?1h",
    "\x1b=",
    "\x1b[?25l",
    "\x1b[?25h",
    "\x1b[?1002;1006h",
    "\x1b[?1004;2004h",
    "\x1b[?2004l",
    "\x1b[?5h",
    "\x1b[?12;1007;2031;2048h",
    "\x1b[>4;2m",
    "\x1b[>5u",
    "\x1b[>1u",
    "\x1b[<u",
    "\x1b[=3u",
    "\x1b[4 q",
    "\x1b]2;one\x07",
    "\x1b]0;two\x1b\\",
    "\x1b[22;0t",
    "\x1b[23;0t",
    "\x1b[3g",
    "\x1bH",
    "\x1b[!p",
    "\x1bc",
];

/// Something that a program writes: text, places, colours, settings; at times unfinished.
fn output(random: &mut Random) -> Vec<u8> {
    let mut out = String::new();
    for _ in 0..random.below(12) {
        match random.below(8) {
            0 | 1 => out.push_str(SETTINGS[random.below(SETTINGS.len())]),
            2 => out.push_str(&format!("\x1b[{};{}H", random.below(14), random.below(44))),
            3 => out.push_str(&format!("\x1b[{}m", [0, 1, 7, 31, 44, 105][random.below(6)])),
            4 => out.push_str("\r\n\x1b[J"),
            5 => out.push_str("漢字 and more than a line of it, so that it must wrap"),
            6 => out.push_str("text\r\n"),
            _ => out.push_str(&"x".repeat(random.below(60))),
        }
    }
    match random.below(12) {
        0 => out.push_str("\x1b[1;3"),
        1 => out.push_str("\x1b]2;unfini"),
        _ => {}
    }
    out.into_bytes()
}

/// Lends the terminal and paints upon it.
fn lend(terminal: &mut Screen, screen: &Screen, random: &mut Random) -> Loan {
    let (mut loan, bytes) = Loan::take(screen);
    terminal.feed(&bytes);
    assert!(terminal.is_alternate());
    assert_eq!(terminal.modes().title(), screen.title());
    for n in 0..1 + random.below(3) {
        paint(&mut loan, terminal, screen, &format!("note {n}"));
    }
    loan
}

fn paint(loan: &mut Loan, terminal: &mut Screen, screen: &Screen, note: &str) {
    let (cols, rows) = screen.size();
    let mut canvas = Canvas::new(cols, rows);
    canvas.show(screen, (cols, rows), |_, _, _| {});
    canvas.bar(note);
    terminal.feed(&loan.paint(canvas.clone(), Some(screen.keys())));
    for row in 0..rows {
        assert_eq!(terminal.row_text(row), canvas.row_text(row));
    }
}

fn feed(screens: &mut [&mut Screen], bytes: &[u8]) {
    screens.iter_mut().for_each(|screen| screen.feed(bytes));
}

/// Ends what is unfinished; and a mark that comes next joins no character, which no terminal can be told.
fn settle(screens: &mut [&mut Screen]) {
    for screen in screens {
        if !screen.is_whole() {
            screen.feed(b"m\x07");
        }
        screen.feed(b"\x1b[?2026l");
    }
}

#[test]
fn a_terminal_that_is_given_back_is_as_it_was_also_what_was_there_before_the_program() {
    for seed in 1..=SEEDS {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let size = (2 + random.below(40) as u16, 1 + random.below(12) as u16);
        let mut terminal = Screen::new(size.0, size.1);
        let mut alone = Screen::new(size.0, size.1);
        // What the program's screen does not know.
        for shown in [&mut terminal, &mut alone] {
            shown.feed("$ before\r\n漢\x1b[1;41mmore\x1b[m\r\n$ ssh\r\n".as_bytes());
        }
        let mut screen = Screen::new(size.0, size.1);
        let (col, row) = alone.caret();
        screen.feed(format!("\x1b[{};{}H", row + 1, col + 1).as_bytes());
        for n in 0..LOANS {
            let bytes = output(&mut random);
            feed(&mut [&mut terminal, &mut alone, &mut screen], &bytes);
            if screen.is_whole() {
                let loan = lend(&mut terminal, &screen, &mut random);
                terminal.feed(&loan.give_back());
            }
            settle(&mut [&mut terminal, &mut alone, &mut screen]);
            assert_same(&terminal, &alone, &format!("seed {seed}, loan {n}"));
        }
    }
}

#[test]
fn a_terminal_that_is_given_anew_is_where_the_program_is_whatever_happened_meanwhile() {
    for seed in 1..=SEEDS {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut size = (2 + random.below(40) as u16, 1 + random.below(12) as u16);
        let mut terminal = Screen::new(size.0, size.1);
        terminal.feed("$ before\r\n漢\x1b[1;41mmore\x1b[m\r\n$ ssh\r\n".as_bytes());
        let mut screen = Screen::new(size.0, size.1);
        for n in 0..LOANS {
            let bytes = output(&mut random);
            feed(&mut [&mut terminal, &mut screen], &bytes);
            let mut loan = lend(&mut terminal, &screen, &mut random);
            let still = random.below(3) == 0;
            if !still {
                screen.feed(&output(&mut random));
            }
            if !still && random.below(3) == 0 {
                size = (2 + random.below(40) as u16, 1 + random.below(12) as u16);
                terminal.resize(size.0, size.1);
                screen.resize(size.0, size.1);
                loan.resize(size.0, size.1);
                paint(&mut loan, &mut terminal, &screen, "resized");
            }
            terminal.feed(&loan.give_anew((!still).then_some(&screen)));
            settle(&mut [&mut terminal, &mut screen]);
            assert_same(&terminal, &screen, &format!("seed {seed}, loan {n}"));
        }
    }
}

/// As [`output`], without what nobody undoes who does not know it.
fn output_undone(random: &mut Random) -> Vec<u8> {
    loop {
        let bytes = output(random);
        let text = String::from_utf8_lossy(&bytes);
        if !["\x1b]", "1007", ";0t"].iter().any(|kept| text.contains(kept)) {
            return bytes;
        }
    }
}

#[test]
fn a_terminal_of_which_nothing_is_known_shows_the_screen_and_keeps_none_of_its_settings() {
    for seed in 1..=SEEDS {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let size = (2 + random.below(40) as u16, 1 + random.below(12) as u16);
        let mut terminal = Screen::new(size.0, size.1);
        for n in 0..LOANS {
            let mut screen = Screen::new(size.0, size.1);
            for _ in 0..3 {
                terminal.feed(&output_undone(&mut random));
                screen.feed(&output_undone(&mut random));
            }
            terminal.feed(&anew(&screen));
            settle(&mut [&mut terminal, &mut screen]);
            assert_same(&terminal, &screen, &format!("seed {seed}, screen {n}"));
        }
    }
}

#[test]
fn real_streams_do_not_notice_a_loan() {
    for (name, packed) in STREAMS {
        let mut random = Random(7);
        let mut terminal = Screen::new(80, 24);
        let mut screen = Screen::new(80, 24);
        for (n, step) in steps(packed).iter().enumerate() {
            apply(&mut terminal, step);
            apply(&mut screen, step);
            let resized = matches!(step, Step::Resize(..));
            if (n % 23 == 0 && screen.is_whole()) || resized {
                let loan = lend(&mut terminal, &screen, &mut random);
                let anew = resized || random.below(3) == 0;
                terminal.feed(&if anew { loan.give_anew(None) } else { loan.give_back() });
                settle(&mut [&mut terminal, &mut screen]);
                assert_same(&terminal, &screen, &format!("{name} at step {n}"));
            }
        }
    }
}

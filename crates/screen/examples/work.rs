//! What drawing costs, and what it is counted as: nanoseconds for a counted cell, of sequences on screens of several sizes.
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::cast_precision_loss,
    reason = "it measures and prints"
)]

use screen::Screen;
use std::time::{Duration, Instant};

/// What is repeated, and how it is called.
const COSTLY: &[(&str, &str)] = &[
    ("text", "some words of text, some more, and again "),
    ("lines", "a line of text\r\n"),
    ("short lines", "y\r\n"),
    ("wide text", "漢字仮名交じり文"),
    ("marks", "e\u{301}"),
    ("text and DEL", "x\x7f"),
    ("colours", "\x1b[1;31mx"),
    ("colours alone", "\x1b[m"),
    ("titles", "\x1b]0;title\x07"),
    ("RIS", "\x1bc"),
    ("RIS of a full one", "\x1b#8\x1bc"),
    ("DECALN", "\x1b#8"),
    ("ED 2", "\x1b[2J"),
    ("ED 2 of a full one", "\x1b#8\x1b[2J"),
    ("ED", "\x1b[H\x1b[J"),
    ("EL", "\x1b[K"),
    ("other screen", "\x1b[?1049h\x1b[?1049l"),
    ("IL", "\x1b[H\x1b[999L"),
    ("IL one", "\x1b[H\x1b[L"),
    ("SU", "\x1b[999S"),
    ("SU within margins", "\x1b[2;9999r\x1b[999S"),
    ("SD", "\x1b[999T"),
    ("ICH", "\x1b[H\x1b[999@"),
    ("REP", "\x1b[H漢\x1b[4096b"),
    ("REP that inserts", "\x1b[4h\x1b[Hx\x1b[4096b\x1b[4l"),
    ("REP without a number", "\x1b[4h\x1b[Hx\x1b[1;1b\x1b[4l"),
    ("text that is inserted", "\x1b[4h\rsome words of text\x1b[4l"),
    ("tabs", "\r\t\t\t\t\t\t\t\t"),
];

fn main() {
    let sizes = [(80, 24), (240, 70), (1024, 512), (2, 512), (1024, 1)];
    print!("{:24}", "ns a cell, at");
    sizes.iter().for_each(|(cols, rows)| print!("{:>12}", format!("{cols}×{rows}")));
    println!();
    for (name, bytes) in COSTLY {
        print!("{name:24}");
        for (cols, rows) in sizes {
            let mut screen = Screen::new(cols, rows);
            let piece = bytes.repeat(16);
            let (began, before) = (Instant::now(), screen.work());
            while began.elapsed() < Duration::from_millis(40) {
                screen.feed(piece.as_bytes());
            }
            let took = began.elapsed().as_nanos() as f64;
            print!("{:12.2}", took / (screen.work() - before) as f64);
        }
        println!();
    }
    print!("{:24}", "another size");
    for (cols, rows) in sizes {
        let mut screen = Screen::new(cols, rows);
        let (began, before) = (Instant::now(), screen.work());
        while began.elapsed() < Duration::from_millis(40) {
            screen.feed(b"\x1b#8");
            let filled = screen.work();
            screen.resize(cols / 2, rows / 2);
            screen.resize(cols, rows);
            assert!(screen.work() > filled);
        }
        let took = began.elapsed().as_nanos() as f64;
        print!("{:12.2}", took / (screen.work() - before) as f64);
    }
    println!();
}

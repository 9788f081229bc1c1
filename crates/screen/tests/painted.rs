//! A viewer's terminal shows, difference by difference, exactly what it should, and gets nothing else.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "test helpers")]

mod common;

use common::{Random, STREAMS, Step, apply, steps};
use screen::{
    Canvas, Cell, Colour, Keys, Mouse, MouseEncoding, Painter, Screen, Style, undo_keys,
    write_changes, write_keys,
};

/// Random viewers, each with pictures of its own.
const SEEDS: u64 = 400;
/// Pictures for each of them.
const PICTURES: usize = 12;
/// Characters of all kinds and widths.
const CHARS: [(char, u8); 18] = [
    (' ', 1),
    (' ', 1),
    ('a', 1),
    ('Z', 1),
    ('~', 1),
    ('é', 1),
    ('ж', 1),
    ('─', 1),
    ('▀', 1),
    ('☃', 1),
    ('…', 1),
    ('\u{e0b0}', 1),
    ('ｱ', 1),
    ('漢', 2),
    ('か', 2),
    ('한', 2),
    ('👧', 2),
    ('⚡', 2),
];

/// Panics unless a terminal shows this picture.
fn assert_shows(terminal: &Screen, canvas: &Canvas, what: &str) {
    let (cols, rows) = canvas.size();
    assert_eq!(terminal.size(), (cols, rows), "size: {what}");
    for row in 0..rows {
        for col in 0..cols {
            assert_eq!(terminal.cell(col, row), canvas.cell(col, row), "{col},{row}: {what}");
        }
    }
    assert_eq!(terminal.cursor(), canvas.cursor, "cursor: {what}");
    assert_eq!(terminal.faults(), 0, "{what}");
}

#[test]
fn any_picture_follows_any_other() {
    for seed in 1..=SEEDS {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let size = (2 + random.below(40) as u16, 1 + random.below(12) as u16);
        let mut terminal = Screen::new(size.0, size.1);
        // What stood there before and how it was written must not matter.
        terminal.feed("\x1b[1;41m".as_bytes());
        terminal.feed("漢x".repeat(300).as_bytes());
        let mut before: Option<Canvas> = None;
        for n in 0..PICTURES {
            let start = before.clone().filter(|_| random.below(6) > 0);
            let after = changed(start.unwrap_or(Canvas::new(size.0, size.1)), &mut random);
            let mut bytes = Vec::new();
            write_changes(&mut bytes, before.as_ref(), &after);
            terminal.feed(&bytes);
            assert_shows(&terminal, &after, &format!("seed {seed}, picture {n}"));
            before = Some(after);
        }
    }
}

#[test]
fn a_painter_follows_pictures_keys_and_sizes() {
    for seed in 1..=SEEDS {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut size = (2 + random.below(30) as u16, 1 + random.below(9) as u16);
        let mut terminal = Screen::new(size.0, size.1);
        terminal.feed(b"$ ssh\r\n");
        let (first, caret) = (terminal.text(), terminal.caret());
        let mut painter = Painter::new(size.0, size.1);
        terminal.feed(&painter.enter());
        let mut canvas = Canvas::new(size.0, size.1);
        let mut resized = false;
        for n in 0..PICTURES {
            if random.below(5) == 0 {
                size = (2 + random.below(30) as u16, 1 + random.below(9) as u16);
                terminal.resize(size.0, size.1);
                painter.resize(size.0, size.1);
                canvas = Canvas::new(size.0, size.1);
                resized = true;
            }
            canvas = changed(canvas, &mut random);
            let keys = (random.below(4) > 0).then(|| any_keys(&mut random));
            terminal.feed(&painter.paint(canvas.clone(), keys));
            let what = format!("seed {seed}, picture {n}");
            assert_shows(&terminal, &canvas, &what);
            assert_eq!(terminal.keys(), keys.unwrap_or_default(), "{what}");
            assert!(painter.paint(canvas.clone(), keys).is_empty(), "{what}: nothing changed");
        }
        terminal.feed(&painter.leave());
        assert!(!terminal.is_alternate(), "seed {seed}");
        assert!(terminal.cursor().is_some(), "seed {seed}");
        assert_eq!(terminal.keys(), Keys::default(), "seed {seed}");
        assert_eq!(terminal.modes(), Screen::new(2, 1).modes(), "seed {seed}");
        if !resized {
            assert_eq!((terminal.text(), terminal.caret()), (first, caret), "seed {seed}");
            terminal.feed("x".repeat(usize::from(size.0) + 1).as_bytes());
            assert!(size.1 == 1 || terminal.wraps(terminal.caret().1 - 1), "seed {seed}: wraps");
        }
    }
}

#[test]
fn a_canvas_of_another_size_is_cut_or_filled() {
    for (size, expected, cursor) in [
        ((7, 2), vec!["abc漢", "xyz"], Some((5, 0))),
        ((5, 1), vec!["abc漢"], None),
        ((4, 3), vec!["abc", "xyz", ""], None),
    ] {
        let mut canvas = Canvas::new(6, 2);
        canvas.text(0, 0, 6, "abc漢", Style::default());
        canvas.text(0, 1, 6, "xyz", Style::default());
        canvas.cursor = Some((5, 0));
        let mut terminal = Screen::new(size.0, size.1);
        let mut painter = Painter::new(size.0, size.1);
        terminal.feed(&painter.enter());
        terminal.feed(&painter.paint(canvas, None));
        assert_eq!(terminal.text(), expected, "{size:?}");
        assert_eq!(terminal.cursor(), cursor, "{size:?}");
    }
    assert_eq!(Painter::new(u16::MAX, u16::MAX).size(), (1024, 512));
    assert!(Painter::new(0, 0).paint(Canvas::new(9, 9), None).starts_with(b"\x1b[?2026h"));
}

#[test]
fn keys_go_from_any_setting_to_any_other_and_back() {
    let mut random = Random(7);
    let mut terminal = Screen::new(20, 4);
    terminal.feed(b"\x1b[?2031h\x1b[>1u\x1b]2;title\x07");
    let own = terminal.modes().clone();
    let mut before: Option<Keys> = None;
    for n in 0..5000 {
        let mut bytes = Vec::new();
        if random.below(10) == 0 {
            undo_keys(&mut bytes, &before.take().unwrap_or_default());
            terminal.feed(&bytes);
            assert_eq!(*terminal.modes(), own, "{n}: undone");
        } else {
            let after = any_keys(&mut random);
            write_keys(&mut bytes, before.as_ref(), &after);
            terminal.feed(&bytes);
            let flags = if after.keyboard_flags == 0 { 1 } else { after.keyboard_flags };
            assert_eq!(terminal.keys(), Keys { keyboard_flags: flags, ..after }, "{n}");
            assert_eq!(terminal.title(), Some("title"));
            before = Some(after);
        }
    }
}

#[test]
fn a_viewer_of_the_same_size_sees_real_streams_cell_by_cell() {
    for (name, packed) in STREAMS {
        let mut stage = Screen::new(80, 24);
        let mut viewer = Viewer::new(80, 24);
        for (n, step) in steps(packed).iter().enumerate() {
            apply(&mut stage, step);
            if let Step::Resize(..) = step {
                viewer.resize(stage.size());
            }
            if n % 5 == 0 {
                let canvas = viewer.look(&stage, 0);
                let what = format!("{name} at step {n}");
                assert_shows(&viewer.terminal, &canvas, &what);
                assert_same_look(&viewer.terminal, &stage, &what);
                assert_eq!(viewer.terminal.keys(), stage.keys(), "{what}");
            }
        }
    }
}

#[test]
fn a_viewer_of_any_size_sees_a_part_of_broken_streams_and_gets_only_known_sequences() {
    let real: Vec<Vec<u8>> = STREAMS
        .iter()
        .flat_map(|(_, packed)| steps(packed))
        .filter_map(|step| if let Step::Output(bytes) = step { Some(bytes) } else { None })
        .collect();
    for seed in 1..=SEEDS {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut any_size = || (2 + random.below(60) as u16, 2 + random.below(20) as u16);
        let (size, seen) = (any_size(), any_size());
        let mut stage = Screen::new(size.0, size.1);
        let mut viewer = Viewer::new(seen.0, seen.1);
        for n in 0..PICTURES {
            let mut bytes = real[random.below(real.len())].clone();
            bytes.truncate(2000);
            for _ in 0..random.below(5) {
                let at = random.below(bytes.len());
                bytes[at] = random.next() as u8;
            }
            bytes
                .extend_from_slice("\x1b]52;c;aGk=\x07\x1b[c\x1b[6n\x1bZ\x05\u{202e}👧".as_bytes());
            stage.feed(&bytes);
            let canvas = viewer.look(&stage, 1);
            let what = format!("seed {seed}, picture {n}");
            assert_shows(&viewer.terminal, &canvas, &what);
            assert_eq!(viewer.terminal.keys(), stage.keys(), "{what}");
        }
    }
}

/// Somebody's terminal in front of a screen.
struct Viewer {
    terminal: Screen,
    painter: Painter,
}

impl Viewer {
    fn new(cols: u16, rows: u16) -> Self {
        let mut painter = Painter::new(cols, rows);
        let mut terminal = Screen::new(cols, rows);
        terminal.feed(&painter.enter());
        Self { terminal, painter }
    }

    fn resize(&mut self, (cols, rows): (u16, u16)) {
        self.terminal.resize(cols, rows);
        self.painter.resize(cols, rows);
    }

    /// Shows the screen as it is now, above so many rows.
    fn look(&mut self, stage: &Screen, below: u16) -> Canvas {
        let (cols, rows) = self.painter.size();
        let mut canvas = Canvas::new(cols, rows);
        canvas.show(stage, (cols, rows - below), |_, _, _| {});
        let bytes = self.painter.paint(canvas.clone(), Some(stage.keys()));
        assert_known(&bytes);
        self.terminal.feed(&bytes);
        canvas
    }
}

/// Panics unless both show the same, the one without DECSCNM.
fn assert_same_look(shown: &Screen, stage: &Screen, what: &str) {
    let (cols, rows) = stage.size();
    for row in 0..rows {
        for col in 0..cols {
            let mut cell = stage.cell(col, row);
            cell.style.inverse ^= stage.modes().reverse_video;
            assert_eq!(shown.cell(col, row), cell, "cell {col},{row}: {what}");
        }
    }
    assert_eq!(shown.cursor(), stage.cursor(), "cursor: {what}");
}

/// Panics at anything but characters, places, styles, modes and keys.
fn assert_known(bytes: &[u8]) {
    let text = std::str::from_utf8(bytes).unwrap();
    let mut parts = text.split('\x1b');
    let no_control = |text: &str| !text.contains(char::is_control);
    assert_eq!(parts.next(), Some(""), "begins with a sequence");
    for part in parts {
        let Some(rest) = part.strip_prefix('[') else {
            assert!(matches!(part, "=" | ">" | ""), "{part:?}");
            continue;
        };
        let end = rest.find(|ch: char| ('@'..='~').contains(&ch)).unwrap();
        let (body, tail) = rest.split_at(end);
        let last = tail.chars().next().unwrap();
        let known = match last {
            'H' | 'J' | 'K' | 'X' | 'C' => body.chars().all(|ch| ch.is_ascii_digit() || ch == ';'),
            'm' => !body.starts_with('?'),
            'h' | 'l' => [
                "?1", "?9", "?25", "?1000", "?1002", "?1003", "?1004", "?1005", "?1006", "?1015",
                "?2004", "?2026",
            ]
            .contains(&body),
            'u' => body.starts_with(['>', '<', '=']),
            'q' => body.ends_with(' '),
            _ => false,
        };
        assert!(known && no_control(tail), "{part:?}");
    }
}

/// A picture made of another.
fn changed(mut canvas: Canvas, random: &mut Random) -> Canvas {
    let (cols, rows) = canvas.size();
    for _ in 0..random.below(12) {
        let (col, row) = (random.below(cols.into()) as u16, random.below(rows.into()) as u16);
        let style = any_style(random);
        match random.below(4) {
            0 => {
                let (ch, width) = CHARS[random.below(CHARS.len())];
                canvas.set(col, row, Cell { ch, width, style });
            }
            1 => canvas.set(col, row, Cell { ch: ' ', width: random.below(3) as u8, style }),
            2 => {
                let text: String =
                    (0..random.below(30)).map(|_| CHARS[random.below(CHARS.len())].0).collect();
                canvas.text(col, row, cols, &text, style);
            }
            _ => canvas.frame((col, row), (random.below(9) as u16, random.below(5) as u16)),
        }
    }
    canvas.cursor = (random.below(3) > 0)
        .then(|| (random.below(cols.into()) as u16, random.below(rows.into()) as u16));
    canvas
}

fn any_style(random: &mut Random) -> Style {
    let mut colour = || match random.below(5) {
        0 => Colour::Default,
        1 => Colour::Indexed(random.below(16) as u8),
        2 => Colour::Indexed(random.next() as u8),
        _ => Colour::Rgb(random.next() as u8, random.next() as u8, random.next() as u8),
    };
    let (fg, bg) = (colour(), colour());
    let mut on = || random.below(4) == 0;
    let (bold, faint, italic, underline) = (on(), on(), on(), on());
    let (blink, inverse, strike) = (on(), on(), on());
    // The emulator knows a character as bold or faint, not both.
    let faint = faint && !bold;
    Style { fg, bg, bold, faint, italic, underline, blink, inverse, strike }
}

/// Settings that a screen can tell of ([`Screen::keys`]).
fn any_keys(random: &mut Random) -> Keys {
    let mice = [Mouse::Press, Mouse::Button, Mouse::Drag, Mouse::Motion];
    let encodings = [MouseEncoding::Utf8, MouseEncoding::Sgr, MouseEncoding::Urxvt];
    let mouse = (random.below(2) == 0).then(|| mice[random.below(mice.len())]);
    let encoding = (random.below(2) == 0).then(|| encodings[random.below(encodings.len())]);
    Keys {
        application_cursor: random.below(2) == 0,
        application_keypad: random.below(2) == 0,
        bracketed_paste: random.below(2) == 0,
        focus: random.below(2) == 0,
        mouse,
        mouse_encoding: encoding.filter(|_| mouse.is_some()),
        modify_other_keys: random.below(4) as u8,
        keyboard_flags: if random.below(2) == 0 { 0 } else { random.below(32) as u8 },
        cursor_style: random.below(7) as u8,
    }
}

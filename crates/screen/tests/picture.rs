//! What particular bytes draw and switch.

mod common;

use common::{assert_same, rebuilt};
use screen::{Colour, Modes, Mouse, MouseEncoding, Screen, Style};

fn drawn(bytes: &str) -> Screen {
    let mut screen = Screen::new(20, 4);
    screen.feed(bytes.as_bytes());
    assert_same(&screen, &rebuilt(&screen), bytes);
    screen
}

#[test]
fn a_mark_joins_its_base_and_never_shifts_what_follows() {
    for (bytes, expected) in [
        ("cafe\u{301}!", "café!"),
        ("e\u{323}\u{302}!", "ệ!"),
        ("e\u{302}\u{323}!", "ệ!"),
        ("か\u{3099}!", "が!"),
        ("ᄒ\u{1161}\u{11ab}!", "한!"),
        ("x\u{301}!", "x!"),
        ("\u{301}!", "!"),
        ("👩\u{200d}🚀!", "👩🚀!"),
        ("❤\u{fe0f}!", "❤!"),
        ("a\u{200b}b", "ab"),
        ("e\x1b[31m\u{301}!", "e!"),
        ("\x1b[4hxyz\x1b[1Ge\u{301}!", "é!xyz"),
        ("12345678901234567890\x1b[1;20He\u{301}!", "1234567890123456789é"),
        ("\x1b[?7l\x1b[1;18Hae\u{301}", "                 aé"),
    ] {
        assert_eq!(drawn(bytes).row_text(0), expected, "{bytes:?}");
    }
}

#[test]
fn a_mark_joins_its_base_across_a_dump() {
    let mut screen = rebuilt(&drawn("cafe"));
    screen.feed("\u{301}".as_bytes());
    assert_eq!(screen.row_text(0), "café");
}

#[test]
fn colours_and_styles_are_what_was_asked_for() {
    let plain = Style::default();
    for (bytes, style) in [
        (
            "\x1b[1;3;4;5;7;9mx",
            Style {
                bold: true,
                italic: true,
                underline: true,
                blink: true,
                inverse: true,
                strike: true,
                ..plain
            },
        ),
        ("\x1b[2mx", Style { faint: true, ..plain }),
        ("\x1b[31;104mx", Style { fg: Colour::Indexed(1), bg: Colour::Indexed(12), ..plain }),
        ("\x1b[38;5;200mx", Style { fg: Colour::Indexed(200), ..plain }),
        ("\x1b[38;2;1;2;3mx", Style { fg: Colour::Rgb(1, 2, 3), ..plain }),
        ("\x1b[48:2::1:2:3mx", Style { bg: Colour::Rgb(1, 2, 3), ..plain }),
        ("\x1b[38:2:1:2:3mx", Style { fg: Colour::Rgb(1, 2, 3), ..plain }),
        ("\x1b[21mx", Style { underline: true, ..plain }),
        ("\x1b[4:3mx", Style { underline: true, ..plain }),
        ("\x1b[4m\x1b[4:0mx", plain),
        ("\x1b[58;2;0;0;0m\x1b[1;58;5;0mx", Style { bold: true, ..plain }),
        ("\x1b[>4;1mx", plain),
    ] {
        assert_eq!(drawn(bytes).cell(0, 0).style, style, "{bytes:?}");
    }
}

#[test]
fn a_dump_writes_colours_in_the_form_that_xterm_js_reads() {
    let dump = String::from_utf8(drawn("38:2: \x1b[38;2;1;2;3mx").dump()).unwrap();
    assert!(dump.contains("38:2::1:2:3"), "{dump:?}");
    assert!(dump.contains("38:2: "), "text stays: {dump:?}");
}

#[test]
fn what_the_emulator_ignores_is_kept_beside_it() {
    let check = |bytes: &str, expected: fn(&Modes) -> bool| {
        assert!(expected(drawn(bytes).modes()), "{bytes:?}: {:?}", drawn(bytes).modes());
    };
    check("\x1b[?1002;1006h", |modes| {
        modes.mouse == Some(Mouse::Drag) && modes.mouse_encoding == Some(MouseEncoding::Sgr)
    });
    check("\x1b[?1003h\x1b[?1003l", |modes| modes.mouse.is_none());
    check("\x1b[?2004;1004h", |modes| modes.bracketed_paste && modes.focus);
    check("\x1b[5 q", |modes| modes.cursor_style == 5);
    check("\x1b[9 q", |modes| modes.cursor_style == 0);
    check("\x1b=", |modes| modes.keypad_application);
    check("\x1b[>1u\x1b[>5u", |modes| modes.keyboard_flags() == 5);
    check("\x1b[>1u\x1b[>5u\x1b[<u", |modes| modes.keyboard_flags() == 1);
    check("\x1b[>1u\x1b[?1049h", |modes| modes.keyboard_flags() == 0);
    check("\x1b[>1u\x1b[?1049h\x1b[>9u\x1b[?1049l", |modes| modes.keyboard_flags() == 1);
    check("\x1b]0;both\x07", |modes| modes.title() == Some("both") && modes.icon() == Some("both"));
    check("\x1b]2;a;b\x1b\\", |modes| modes.title() == Some("a;b"));
    check("\x1b]2;one\x07\x1b[22;2t\x1b]2;two\x07\x1b[23;2t", |modes| modes.title() == Some("one"));
    check("\x1b[?2004h\x1bc", |modes| *modes == Modes::default());
    check("\x1b[?5h", |modes| modes.reverse_video);
}

#[test]
fn cursor_screen_and_wrapped_lines_are_told() {
    assert_eq!(drawn("ab").cursor(), Some((2, 0)));
    assert_eq!(drawn("ab\x1b[?25l").cursor(), None);
    assert_eq!(drawn("ab\x1b[?25l").caret(), (2, 0));
    assert_eq!(
        drawn(&"x".repeat(20)).cursor(),
        Some((19, 0)),
        "a pending wrap is within the screen"
    );
    assert!(drawn(&"x".repeat(21)).wraps(0));
    assert!(drawn("\x1b[?1049h").is_alternate());
    assert!(drawn("\x1b[?47h").is_alternate());
    assert_eq!(drawn("漢").cell(0, 0).width, 2);
    assert_eq!(drawn("漢").cell(1, 0).width, 0);
    assert_eq!(drawn("a\x7fb").row_text(0), "ab", "DEL is not printed");
}

#[test]
fn a_screen_that_becomes_wider_has_tabs_in_its_new_columns() {
    for (before, text, after, column) in [
        (16, "0123456789", 40, 16),
        (16, "0123456789012345", 40, 24),
        (16, "0123456789\x1b[3g", 40, 16),
        (20, "0123456789\x1b[1;18H", 40, 24),
        (16, "0123456789", 16, 15),
    ] {
        let mut screen = Screen::new(before, 4);
        screen.feed(text.as_bytes());
        screen.resize(after, 4);
        screen.feed(b"\t");
        assert_eq!(screen.caret(), (column, 0), "{before} → {after}: {text:?}");
        assert_same(&screen, &rebuilt(&screen), text);
    }
}

#[test]
fn a_line_back_is_one_line_wherever_the_margins_are() {
    for (bytes, expected) in [
        ("\x1b[?6h\x1b[2;3r\x1b[2;1Hb\x1bMa", ["", " a", "b", ""]),
        ("\x1b[?6h\x1b[2;3r\x1b[2;1Hb\u{8d}a", ["", " a", "b", ""]),
        ("\x1b[?6h\x1b[2;3ra\r\nb\x1bM\x1bMc", ["", " c", "a", ""]),
        ("\x1b[2;3r\x1b[1;1Ha\x1bMb", ["ab", "", "", ""]),
        ("a\r\n\x1bM\x1bMb", ["b", "a", "", ""]),
    ] {
        assert_eq!(drawn(bytes).text(), expected, "{bytes:?}");
    }
}

//! What a viewer's own terminal must be told, so that its keyboard and mouse behave as the program asked.

use crate::canvas::push;
use crate::modes::{Mouse, MouseEncoding};
use crate::screen::Screen;

/// Settings of the keyboard, the mouse and the cursor's shape; the default is a terminal as it comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Keys {
    /// Whether the cursor keys send their application sequences (DECCKM).
    pub application_cursor: bool,
    /// Whether the keypad sends its own sequences (DECKPAM).
    pub application_keypad: bool,
    /// Whether a paste is put into brackets (mode 2004).
    pub bracketed_paste: bool,
    /// Whether getting and losing the focus is reported (mode 1004).
    pub focus: bool,
    /// What of the mouse is reported.
    pub mouse: Option<Mouse>,
    /// How it is reported; `None` is the oldest way.
    pub mouse_encoding: Option<MouseEncoding>,
    /// xterm's modifyOtherKeys, 0 to 3.
    pub modify_other_keys: u8,
    /// Kitty's keyboard flags; 0 is the old keyboard.
    pub keyboard_flags: u8,
    /// Shape of the cursor, 0 to 6 (DECSCUSR); 0 is the terminal's own.
    pub cursor_style: u8,
}

impl Keys {
    /// What a screen's program has asked for, as far as it makes sense on another terminal than its own.
    pub(crate) fn of(screen: &Screen) -> Self {
        let modes = screen.modes();
        let mouse = match (modes.mouse, modes.mouse_encoding) {
            // Pixels of another terminal's font: a click would hit something else.
            (_, Some(MouseEncoding::SgrPixels)) => None,
            // A terminal that highlights stands still until the program answers it, and the program knows but one.
            (Some(Mouse::Highlight), _) => Some(Mouse::Button),
            (mouse, _) => mouse,
        };
        Self {
            application_cursor: screen.application_cursor_keys(),
            application_keypad: modes.keypad_application,
            bracketed_paste: modes.bracketed_paste,
            focus: modes.focus,
            mouse,
            mouse_encoding: modes.mouse_encoding.filter(|_| mouse.is_some()),
            modify_other_keys: modes.modify_other_keys,
            keyboard_flags: modes.keyboard_flags(),
            cursor_style: modes.cursor_style,
        }
    }

    /// DEC's private modes that are on, each in its own place.
    fn numbers(&self) -> [Option<u16>; 5] {
        [
            self.application_cursor.then_some(1),
            self.focus.then_some(1004),
            self.bracketed_paste.then_some(2004),
            self.mouse.map(Mouse::number),
            self.mouse_encoding.map(MouseEncoding::number),
        ]
    }
}

/// Writes what brings a terminal from one setting to the next; without a `before` it is as it comes.
pub fn write_keys(out: &mut Vec<u8>, before: Option<&Keys>, after: &Keys) {
    let before = &before.copied().unwrap_or_default();
    for (old, new) in before.numbers().into_iter().zip(after.numbers()) {
        if old != new {
            old.iter().for_each(|number| push(out, format_args!("\x1b[?{number}l")));
            new.iter().for_each(|number| push(out, format_args!("\x1b[?{number}h")));
        }
    }
    if before.application_keypad != after.application_keypad {
        out.extend_from_slice(if after.application_keypad { b"\x1b=" } else { b"\x1b>" });
    }
    if before.modify_other_keys != after.modify_other_keys {
        match after.modify_other_keys {
            0 => out.extend_from_slice(b"\x1b[>4m"),
            level => push(out, format_args!("\x1b[>4;{level}m")),
        }
    }
    // What the viewer's own shell has set stays below.
    match (before.keyboard_flags, after.keyboard_flags) {
        (old, new) if old == new => {}
        (0, new) => push(out, format_args!("\x1b[>{new}u")),
        (_, 0) => out.extend_from_slice(b"\x1b[<u"),
        (_, new) => push(out, format_args!("\x1b[={new};1u")),
    }
    if before.cursor_style != after.cursor_style {
        push(out, format_args!("\x1b[{} q", after.cursor_style));
    }
}

/// Writes what brings a terminal of this setting back to how it came.
pub fn undo_keys(out: &mut Vec<u8>, keys: &Keys) {
    write_keys(out, Some(keys), &Keys::default());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_program_asked_for_is_told() {
        let none = Keys::default();
        let sgr = Some(MouseEncoding::Sgr);
        for (bytes, expected) in [
            ("plain", none),
            ("\x1b[?1h", Keys { application_cursor: true, ..none }),
            ("\x1b=", Keys { application_keypad: true, ..none }),
            ("\x1b[?2004;1004h", Keys { bracketed_paste: true, focus: true, ..none }),
            ("\x1b[?1002;1006h", Keys { mouse: Some(Mouse::Drag), mouse_encoding: sgr, ..none }),
            ("\x1b[?1006h", none),
            ("\x1b[?1001h", Keys { mouse: Some(Mouse::Button), ..none }),
            ("\x1b[?1003;1016h", none),
            ("\x1b[>4;2m", Keys { modify_other_keys: 2, ..none }),
            ("\x1b[>5u", Keys { keyboard_flags: 5, ..none }),
            ("\x1b[>5u\x1b[?1049h", none),
            ("\x1b[6 q", Keys { cursor_style: 6, ..none }),
            ("\x1b]0;title\x07\x1b[?5;12;1007;2031;2048h\x1b[?1049h\x1b[?25l", none),
        ] {
            let mut screen = Screen::new(20, 4);
            screen.feed(bytes.as_bytes());
            assert_eq!(screen.keys(), expected, "{bytes:?}");
        }
    }

    #[test]
    fn only_what_changes_is_written() {
        let check = |before: Option<&Keys>, after: &Keys, expected: &str| {
            let mut out = Vec::new();
            write_keys(&mut out, before, after);
            let expected = expected.replace('^', "\x1b[");
            assert_eq!(String::from_utf8(out).unwrap(), expected, "{before:?} → {after:?}");
        };
        let none = Keys::default();
        let drag = Keys { mouse: Some(Mouse::Drag), focus: true, ..none };
        let vim = Keys { application_cursor: true, cursor_style: 5, modify_other_keys: 2, ..none };
        let kitty = |keyboard_flags| Keys { keyboard_flags, ..none };
        check(None, &none, "");
        check(Some(&drag), &drag, "");
        check(None, &drag, "^?1004h^?1002h");
        check(Some(&drag), &Keys { mouse: Some(Mouse::Button), ..drag }, "^?1002l^?1000h");
        check(Some(&drag), &none, "^?1004l^?1002l");
        check(None, &vim, "^?1h^>4;2m^5 q");
        check(Some(&vim), &none, "^?1l^>4m^0 q");
        check(None, &Keys { application_keypad: true, ..none }, "\x1b=");
        check(None, &kitty(5), "^>5u");
        check(Some(&kitty(5)), &kitty(7), "^=7;1u");
        check(Some(&kitty(7)), &none, "^<u");
    }
}

//! What a program has asked of the terminal beside the picture: mouse, keyboard, cursor shape, title.

use crate::repair;
use core::fmt::Write as _;

/// Bytes of a title that are kept. Beyond: cut.
const TITLE_BYTES: usize = 512;
/// Titles that a program may push. Beyond: the oldest is dropped.
const TITLES: usize = 10;
/// Keyboard settings that a program may push on one screen. Beyond: the oldest is dropped.
const KEYBOARDS: usize = 16;

/// Which movements of the mouse a program wants to hear of (xterm, "Mouse Tracking").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mouse {
    /// Presses only (mode 9).
    Press,
    /// Presses and releases (mode 1000).
    Button,
    /// As [`Mouse::Button`], with highlighting (mode 1001).
    Highlight,
    /// And movement while a button is down (mode 1002).
    Drag,
    /// All movement (mode 1003).
    Motion,
}

impl Mouse {
    /// The number of its mode.
    pub(crate) fn number(self) -> u16 {
        match self {
            Self::Press => 9,
            Self::Button => 1000,
            Self::Highlight => 1001,
            Self::Drag => 1002,
            Self::Motion => 1003,
        }
    }
}

/// How the mouse is reported when it is not in the oldest way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MouseEncoding {
    /// Mode 1005.
    Utf8,
    /// Mode 1006.
    Sgr,
    /// Mode 1015.
    Urxvt,
    /// Mode 1016.
    SgrPixels,
}

impl MouseEncoding {
    /// The number of its mode.
    pub(crate) fn number(self) -> u16 {
        match self {
            Self::Utf8 => 1005,
            Self::Sgr => 1006,
            Self::Urxvt => 1015,
            Self::SgrPixels => 1016,
        }
    }
}

/// Settings of the terminal that are not on the picture.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Modes {
    /// What of the mouse is reported.
    pub mouse: Option<Mouse>,
    /// How it is reported; `None` is the oldest way.
    pub mouse_encoding: Option<MouseEncoding>,
    /// Whether the wheel is arrow keys on the other screen (mode 1007).
    pub alternate_scroll: bool,
    /// Whether a paste is put into brackets (mode 2004).
    pub bracketed_paste: bool,
    /// Whether getting and losing the focus is reported (mode 1004).
    pub focus: bool,
    /// Whether changes of the colour scheme are reported (mode 2031).
    pub colour_scheme: bool,
    /// Whether changes of size are reported in band (mode 2048).
    pub size_reports: bool,
    /// Whether the whole screen is inverse (mode 5, DECSCNM).
    pub reverse_video: bool,
    /// Whether the cursor was asked to blink (mode 12).
    pub cursor_blink: bool,
    /// Shape of the cursor, 0 to 6 (DECSCUSR): 0 default, 1–2 block, 3–4 underline, 5–6 bar; odd ones blink.
    pub cursor_style: u8,
    /// Whether the keypad sends its own sequences (DECKPAM).
    pub keypad_application: bool,
    /// xterm's modifyOtherKeys, 0 to 3.
    pub modify_other_keys: u8,
    /// Kitty's keyboard flags of the primary screen, oldest first; the last counts.
    keyboard: Vec<u8>,
    /// The same of the alternate screen; forgotten when it is left.
    keyboard_alternate: Vec<u8>,
    /// Whether the alternate screen is shown.
    pub(crate) alternate: bool,
    /// Whether printing shifts the rest of the line (IRM); the emulator has it too, but does not tell.
    pub(crate) insert: bool,
    window: Names,
    pushed: Vec<Names>,
}

/// Title and icon name of a window.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Names {
    title: String,
    icon: String,
}

impl Modes {
    /// Title of the window; `None` when it is empty or was never set.
    #[must_use]
    pub fn title(&self) -> Option<&str> {
        Some(self.window.title.as_str()).filter(|title| !title.is_empty())
    }

    /// Name of the window's icon; `None` when it is empty or was never set.
    #[must_use]
    pub fn icon(&self) -> Option<&str> {
        Some(self.window.icon.as_str()).filter(|icon| !icon.is_empty())
    }

    /// Kitty's keyboard flags that count on the screen that is shown; 0 is the old keyboard.
    #[must_use]
    pub fn keyboard_flags(&self) -> u8 {
        self.keyboards().last().copied().unwrap_or(0)
    }

    pub(crate) fn escape(&mut self, whole: &str) {
        match whole {
            "\u{1b}=" => self.keypad_application = true,
            "\u{1b}>" => self.keypad_application = false,
            "\u{1b}c" => *self = Self::default(),
            _ => {}
        }
    }

    pub(crate) fn csi(&mut self, body: &str, last: char) {
        match last {
            'h' | 'l' => self.switch(body, last == 'h'),
            'q' => self.shape(body),
            'p' if body.ends_with('!') => {
                self.keypad_application = false;
                self.insert = false;
            }
            'u' => self.keys(body),
            'm' => {
                if let Some(rest) = body.strip_prefix(">4") {
                    let level = rest.strip_prefix(';').and_then(|level| level.parse().ok());
                    self.modify_other_keys = level.filter(|level| *level <= 3).unwrap_or(0);
                }
            }
            't' => self.titles(body),
            _ => {}
        }
    }

    pub(crate) fn osc(&mut self, body: &str) {
        let Some((code, text)) = body.split_once(';') else { return };
        let cut = text.floor_char_boundary(TITLE_BYTES);
        let text = text.get(..cut).unwrap_or_default();
        if matches!(code, "0" | "2") {
            text.clone_into(&mut self.window.title);
        }
        if matches!(code, "0" | "1") {
            text.clone_into(&mut self.window.icon);
        }
    }

    /// The emulator shows another screen than before.
    pub(crate) fn set_alternate(&mut self, alternate: bool) {
        if self.alternate && !alternate {
            self.keyboard_alternate.clear();
        }
        self.alternate = alternate;
    }

    /// What must stand before the picture in a dump: settings that belong to the primary screen.
    pub(crate) fn dump_before(&self, out: &mut String) {
        if self.alternate {
            dump_keyboard(&self.keyboard, out);
        }
    }

    /// What must stand behind the picture in a dump.
    pub(crate) fn dump_after(&self, out: &mut String) {
        for (on, number) in self.numbers() {
            if on {
                push(out, format_args!("\u{1b}[?{number}h"));
            }
        }
        if self.cursor_style != 0 {
            push(out, format_args!("\u{1b}[{} q", self.cursor_style));
        }
        if self.keypad_application {
            out.push_str("\u{1b}=");
        }
        if self.modify_other_keys != 0 {
            push(out, format_args!("\u{1b}[>4;{}m", self.modify_other_keys));
        }
        dump_keyboard(self.keyboards(), out);
    }

    /// What must stand behind that: the titles.
    pub(crate) fn dump_titles(&self, out: &mut String) {
        for names in &self.pushed {
            names.dump(true, out);
            out.push_str("\u{1b}[22;0t");
        }
        self.window.dump(!self.pushed.is_empty(), out);
    }

    /// What undoes [`Modes::dump_after`].
    pub(crate) fn undo(&self, out: &mut String) {
        for (on, number) in self.numbers() {
            if on {
                push(out, format_args!("\u{1b}[?{number}l"));
            }
        }
        if self.cursor_style != 0 {
            out.push_str("\u{1b}[0 q");
        }
        if self.keypad_application {
            out.push_str("\u{1b}>");
        }
        if self.modify_other_keys != 0 {
            out.push_str("\u{1b}[>4m");
        }
        undo_keyboard(self.keyboards(), out);
    }

    /// What undoes [`Modes::dump_before`].
    pub(crate) fn undo_primary(&self, out: &mut String) {
        if self.alternate {
            undo_keyboard(&self.keyboard, out);
        }
    }

    /// What undoes [`Modes::dump_titles`].
    pub(crate) fn undo_titles(&self, out: &mut String) {
        for _ in &self.pushed {
            out.push_str("\u{1b}[23;0t");
        }
        if !self.pushed.is_empty() || self.window != Names::default() {
            Names::default().dump(true, out);
        }
    }

    fn keyboards(&self) -> &[u8] {
        if self.alternate { &self.keyboard_alternate } else { &self.keyboard }
    }

    fn numbers(&self) -> [(bool, u16); 9] {
        let mouse = self.mouse.map_or(0, Mouse::number);
        let encoding = self.mouse_encoding.map_or(0, MouseEncoding::number);
        [
            (self.reverse_video, 5),
            (self.cursor_blink, 12),
            (mouse != 0, mouse),
            (self.focus, 1004),
            (encoding != 0, encoding),
            (self.alternate_scroll, 1007),
            (self.bracketed_paste, 2004),
            (self.colour_scheme, 2031),
            (self.size_reports, 2048),
        ]
    }

    fn switch(&mut self, body: &str, on: bool) {
        let Some((private, modes)) = repair::modes(body) else { return };
        for mode in modes {
            match mode {
                4 if !private => self.insert = on,
                _ if !private => {}
                5 => self.reverse_video = on,
                9 => self.mouse = on.then_some(Mouse::Press),
                12 => self.cursor_blink = on,
                66 => self.keypad_application = on,
                1000 => self.mouse = on.then_some(Mouse::Button),
                1001 => self.mouse = on.then_some(Mouse::Highlight),
                1002 => self.mouse = on.then_some(Mouse::Drag),
                1003 => self.mouse = on.then_some(Mouse::Motion),
                1004 => self.focus = on,
                1005 => self.mouse_encoding = on.then_some(MouseEncoding::Utf8),
                1006 => self.mouse_encoding = on.then_some(MouseEncoding::Sgr),
                1007 => self.alternate_scroll = on,
                1015 => self.mouse_encoding = on.then_some(MouseEncoding::Urxvt),
                1016 => self.mouse_encoding = on.then_some(MouseEncoding::SgrPixels),
                2004 => self.bracketed_paste = on,
                2031 => self.colour_scheme = on,
                2048 => self.size_reports = on,
                _ => {}
            }
        }
    }

    fn shape(&mut self, body: &str) {
        let Some(style) = body.strip_suffix(' ') else { return };
        let style = if style.is_empty() { Some(0) } else { style.parse().ok() };
        if let Some(style) = style.filter(|style| *style <= 6) {
            self.cursor_style = style;
        }
    }

    /// Kitty's keyboard protocol, "Progressive enhancement".
    fn keys(&mut self, body: &str) {
        let stack = if self.alternate { &mut self.keyboard_alternate } else { &mut self.keyboard };
        let number = |text: &str, otherwise: u8| text.parse().unwrap_or(otherwise);
        if let Some(flags) = body.strip_prefix('>') {
            if stack.is_empty() {
                stack.push(0);
            }
            stack.push(number(flags, 0) & 31);
            if stack.len() > KEYBOARDS {
                stack.remove(0);
            }
        } else if let Some(count) = body.strip_prefix('<') {
            stack.truncate(stack.len().saturating_sub(number(count, 1).into()));
        } else if let Some(rest) = body.strip_prefix('=') {
            let (flags, how) = rest.split_once(';').unwrap_or((rest, "1"));
            let flags: u8 = number(flags, 0) & 31;
            if stack.is_empty() {
                stack.push(0);
            }
            if let Some(last) = stack.last_mut() {
                *last = match how {
                    "2" => *last | flags,
                    "3" => *last & !flags,
                    _ => flags,
                };
            }
        }
    }

    /// XTWINOPS 22 and 23: push and pop titles.
    fn titles(&mut self, body: &str) {
        let (verb, which) = body.split_once(';').unwrap_or((body, "0"));
        let which = which.split(';').next().unwrap_or_default();
        match verb {
            "22" => {
                self.pushed.push(self.window.clone());
                if self.pushed.len() > TITLES {
                    self.pushed.remove(0);
                }
            }
            "23" => {
                let Some(names) = self.pushed.pop() else { return };
                if which != "1" {
                    self.window.title = names.title;
                }
                if which != "2" {
                    self.window.icon = names.icon;
                }
            }
            _ => {}
        }
    }
}

impl Names {
    /// `empty_too`: whether an empty name must be said, because another stands before it.
    fn dump(&self, empty_too: bool, out: &mut String) {
        if empty_too || !self.icon.is_empty() {
            push(out, format_args!("\u{1b}]1;{}\u{7}", self.icon));
        }
        if empty_too || !self.title.is_empty() {
            push(out, format_args!("\u{1b}]2;{}\u{7}", self.title));
        }
    }
}

fn dump_keyboard(stack: &[u8], out: &mut String) {
    if let Some((first, rest)) = stack.split_first() {
        push(out, format_args!("\u{1b}[={first}u"));
        for flags in rest {
            push(out, format_args!("\u{1b}[>{flags}u"));
        }
    }
}

fn undo_keyboard(stack: &[u8], out: &mut String) {
    if !stack.is_empty() {
        push(out, format_args!("\u{1b}[<{}u", stack.len()));
    }
}

fn push(out: &mut String, text: core::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = out.write_fmt(text);
}

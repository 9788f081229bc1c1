//! A terminal that a program writes to is lent to somebody who paints on it, and given back as the program left it.

use crate::canvas::Canvas;
use crate::keys::Keys;
use crate::painter::Painter;
use crate::screen::Screen;
use core::fmt::Write as _;

/// What stands at the beginning and at the end of what a terminal shows as one change (mode 2026).
const TOGETHER: (&str, &str) = ("\x1b[?2026h", "\x1b[?2026l");
/// Colours, character sets, insert and new line mode, origin, wrap, margins and cursor keys as they come; and the place
/// that a program saves is the first one.
const PLAIN: &str =
    "\x1b[m\x1b(B\x1b)B\x0f\x1b[4l\x1b[20l\x1b[?6l\x1b[?7h\x1b[r\x1b[?1l\x1b[H\x1b7";
/// Columns between two tabs, as they come.
const TAB: u16 = 8;

/// A terminal on loan.
///
/// While it lasts only [`Loan::paint`]'s bytes may reach the terminal. What the terminal's first screen shows, and the
/// lines above it, are not touched by taking it: also what was there before the program.
#[derive(Debug)]
pub struct Loan {
    painter: Painter,
    /// What the terminal must get to be as it was, on top of what its first screen shows.
    state: String,
    /// The same in full, of an empty terminal.
    whole: Vec<u8>,
    /// What undoes the titles.
    titles: String,
}

impl Loan {
    /// Takes a terminal that stands where the screen does; the bytes make it the painter's.
    ///
    /// What of a sequence is unfinished ([`Screen::is_whole`]) the terminal forgets;
    /// of what it makes of half a character nothing is known. So it is better taken when nothing is.
    #[must_use]
    pub fn take(screen: &Screen) -> (Self, Vec<u8>) {
        let (cols, rows) = screen.size();
        let [before, picture, after] = screen.dump_parts();
        let picture = spelled(&picture);
        let state = [&before, not_shown(&picture), &after].concat();
        let mut titles = String::new();
        screen.modes().undo_titles(&mut titles);
        let mut loan =
            Self { painter: Painter::new(cols, rows), state, whole: whole(screen), titles };
        let mut out = String::new();
        if !screen.is_whole() {
            out.push('\x18');
        }
        out.push_str(TOGETHER.0);
        screen.modes().undo(&mut out);
        out.push_str(PLAIN);
        if screen.is_alternate() {
            out.push_str("\x1b[?1047l");
            screen.modes().undo_primary(&mut out);
        }
        let mut out = out.into_bytes();
        out.extend_from_slice(&loan.painter.enter());
        (loan, out)
    }

    /// Takes a terminal of this size of which nothing is known, not even whether a sequence is unfinished on it. It can be
    /// given back with [`Loan::give_anew`] only.
    #[must_use]
    pub fn take_any(cols: u16, rows: u16) -> (Self, Vec<u8>) {
        let (loan, taken) = Self::take(&Screen::new(cols, rows));
        (loan, [UNDO.as_bytes(), &taken].concat())
    }

    /// Bytes that bring a picture onto it ([`Painter::paint`]).
    #[must_use]
    pub fn paint(&mut self, canvas: Canvas, keys: Option<Keys>) -> Vec<u8> {
        self.painter.paint(canvas, keys)
    }

    /// The terminal has another size now. [`Loan::give_back`] is not possible any more.
    pub fn resize(&mut self, cols: u16, rows: u16) {
        self.painter.resize(cols, rows);
    }

    /// Bytes that give it back as it was, where it still has its size, and stood exactly where the screen did.
    #[must_use]
    pub fn give_back(mut self) -> Vec<u8> {
        let mut out = self.leave();
        out.extend_from_slice(self.state.as_bytes());
        out.extend_from_slice(TOGETHER.1.as_bytes());
        out
    }

    /// Bytes that give it back as it was, or as `now` is, whatever it shows. That is not lost: it goes up to the lines that
    /// scrolled away.
    #[must_use]
    pub fn give_anew(mut self, now: Option<&Screen>) -> Vec<u8> {
        let (cols, rows) = now.map_or(self.painter.size(), Screen::size);
        let mut out = self.leave();
        out.extend_from_slice(self.titles.as_bytes());
        let mut text = String::from("\x1b[3g");
        for col in (TAB..cols).step_by(TAB.into()) {
            push(&mut text, format_args!("\x1b[{}G\x1bH", col + 1));
        }
        push(&mut text, format_args!("\x1b[{rows};1H"));
        text.extend((0..rows).map(|_| '\n'));
        text.push_str("\x1b[H");
        text.push_str(TOGETHER.1);
        out.extend_from_slice(text.as_bytes());
        out.extend_from_slice(&now.map_or(self.whole, whole));
        out
    }

    /// Back to the first screen, everything as it comes. Nothing is left on the other one, which not every terminal
    /// empties by itself.
    fn leave(&mut self) -> Vec<u8> {
        let mut out = b"\x1b[?7h\x1b[m\x1b[2J\x1b[H\x1b7".to_vec();
        out.extend_from_slice(&self.painter.leave());
        out.extend_from_slice(TOGETHER.0.as_bytes());
        out.extend_from_slice(b"\x1b[H\x1b7");
        out
    }
}

/// Ends what is unfinished, and undoes whatever a program may have asked of a terminal of which nothing is known, on
/// whichever screen. Its title stays, and how its wheel turns (mode 1007), which people set themselves.
const UNDO: &str = "\x18\x1b\\\x1b[?5l\x1b[?12l\x1b[?9l\x1b[?1000l\x1b[?1001l\x1b[?1002l\x1b[?1003l\x1b[?1004l\x1b[?1005l\
    \x1b[?1006l\x1b[?1015l\x1b[?1016l\x1b[?2004l\x1b[?2031l\x1b[?2048l\x1b[0 q\x1b>\x1b[>4m\x1b[<16u\x1b[?1049l\x1b[<16u";

/// Bytes that make any terminal of its size show a screen, and behave as its program wants it, whatever the terminal has shown
/// before; that goes up to the lines that scrolled away.
#[must_use]
pub fn anew(now: &Screen) -> Vec<u8> {
    let (cols, rows) = now.size();
    let (loan, taken) = Loan::take_any(cols, rows);
    [taken, loan.give_anew(Some(now))].concat()
}

/// Has a screen be as if its program had undone, as it ended, whatever it asked for: the first screen, keys as they come.
pub fn undo(screen: &mut Screen) {
    screen.feed(UNDO.as_bytes());
    screen.feed(b"\x1b[?1l\x1b[?7h\x1b[?25h\x1b[4l\x1b7\x1b[r\x1b8\x1b[m");
}

/// As [`Screen::dump`], in words for any terminal.
fn whole(screen: &Screen) -> Vec<u8> {
    let [before, picture, after] = screen.dump_parts();
    let mut out = [before, spelled(&picture), after].concat();
    screen.modes().dump_titles(&mut out);
    let mut out = out.into_bytes();
    out.extend_from_slice(&screen.pending());
    out
}

/// A picture without repetitions (REP), which some terminals do not have at all, and tmux 3.3 for ASCII alone.
fn spelled(dump: &str) -> String {
    let (mut out, mut rest, mut last) = (String::with_capacity(dump.len()), dump, ' ');
    while let Some((before, after)) = rest.split_once("\x1b[") {
        out.push_str(before);
        last = before.chars().next_back().unwrap_or(last);
        let end = after.find(|ch: char| ('@'..='~').contains(&ch)).unwrap_or(after.len());
        let (body, tail) = after.split_at(end);
        if let Some(tail) = tail.strip_prefix('b') {
            out.extend(core::iter::repeat_n(last, body.parse().unwrap_or(1)));
            rest = tail;
        } else {
            push(&mut out, format_args!("\x1b[{body}"));
            rest = tail;
        }
    }
    out.push_str(rest);
    out
}

/// What stands in a picture behind the cells of the first screen, of which no sequence is more than style and repetition.
fn not_shown(dump: &str) -> &str {
    let mut at = 0;
    while let Some(found) = dump.get(at..).and_then(|rest| rest.find("\x1b[")) {
        let start = at + found;
        let body = dump.get(start + 2..).unwrap_or_default();
        let Some(end) = body.find(|ch: char| ('@'..='~').contains(&ch)) else { break };
        match body.as_bytes().get(end) {
            Some(b'm' | b'b') => at = start + 2 + end,
            _ => return dump.get(start..).unwrap_or_default(),
        }
    }
    ""
}

fn push(out: &mut String, text: core::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = out.write_fmt(text);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_could_not_leaves_the_first_screen_and_keys_as_they_come() {
        let mut screen = Screen::new(20, 4);
        screen.feed(b"before\r\n\x1b[?1049h\x1b[2;3r\x1b[?1;1002;1006;2004h\x1b=\x1b[>5u\x1b[?25l\x1b[31mvim\x1b]0;un");
        undo(&mut screen);
        assert_eq!(screen.keys(), crate::Keys::default());
        assert!(!screen.is_alternate() && screen.is_whole());
        assert_eq!((screen.text()[0].as_str(), screen.cursor()), ("before", Some((0, 1))));
    }

    #[test]
    fn what_is_repeated_is_spelled_out() {
        for (dump, expected) in [
            ("a\x1b[3bc", "aaaac"),
            ("╭─\x1b[4b╮\r\n \x1b[2b\x1b[0m", "╭─────╮\r\n   \x1b[0m"),
            ("\x1b[1;31mx\x1b[bb\x1b[2;2H", "\x1b[1;31mxxb\x1b[2;2H"),
            ("plain", "plain"),
            ("\x1b[", "\x1b["),
        ] {
            assert_eq!(spelled(dump), expected, "{dump:?}");
        }
    }
}

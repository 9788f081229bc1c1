//! What is typed, taken apart: keys, sequences, pastes, and the terminal's answers.

use bytes::Bytes;
use model::Tick;
use screen::Paste;

/// Ctrl-], the escape key.
pub const ESCAPE: u8 = 0x1d;
const ESC: u8 = 0x1b;
/// The bit of Ctrl, and those of keys that stay down (Caps Lock, Num Lock), in what a sequence says of a key.
const CTRL: u32 = 4;
const LOCKS: u32 = 64 | 128;
/// How long the rest of a sequence may take, in milliseconds. A person's Alt-[ looks like the beginning of one.
const REST_MS: u64 = 50;
/// Bytes of an unfinished sequence. Beyond: they are what they are, without the rest.
const HELD_BYTES: usize = 4096;

/// A piece of what was typed, with its bytes as they came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// A key that stands for one byte.
    Key(u8, Bytes),
    /// The escape key.
    Escape(Bytes),
    /// Another key, or the mouse.
    Sequence(Bytes),
    /// The terminal says where its cursor is: row and column, from 1.
    Place((u16, u16), Bytes),
    /// The terminal answers something else.
    Answer(Bytes),
    /// A part of a paste.
    Pasted(Bytes),
}

/// Reads what is typed.
#[derive(Debug, Default)]
pub struct Typed {
    paste: Paste,
    /// An unfinished sequence, and until when its rest is waited for.
    held: Option<(Vec<u8>, Tick)>,
}

impl Typed {
    /// Takes bytes apart.
    pub fn take(&mut self, bytes: &[u8], now: Tick) -> Vec<Piece> {
        let mut held = self.held.take().map(|(held, _)| held).unwrap_or_default();
        held.extend_from_slice(bytes);
        let mut rest = held.as_slice();
        let mut pieces = Vec::new();
        while let Some(first) = rest.first() {
            if self.paste.is_on() {
                let length = self.pasted(rest);
                let (now, later) = rest.split_at(length);
                pieces.push(Piece::Pasted(Bytes::copy_from_slice(now)));
                rest = later;
                continue;
            }
            let length = match begins(rest) {
                Begins::Key => 1,
                Begins::Sequence(length) => length,
                Begins::Unfinished if rest.len() < HELD_BYTES => {
                    self.held = Some((rest.to_vec(), now.plus_ms(REST_MS)));
                    break;
                }
                Begins::Unfinished => rest.len(),
            };
            let (one, later) = rest.split_at(length);
            one.iter().for_each(|byte| self.paste.watch(*byte));
            let whole = Bytes::copy_from_slice(one);
            pieces.push(match length {
                1 if *first == ESCAPE => Piece::Escape(whole),
                1 => Piece::Key(*first, whole),
                _ => named(whole),
            });
            rest = later;
        }
        pieces
    }

    /// When something is due.
    pub fn poll_timeout(&self) -> Option<Tick> {
        self.held.as_ref().map(|(_, until)| *until)
    }

    /// What was no sequence after all.
    pub fn handle_timeout(&mut self, now: Tick) -> Option<Piece> {
        let (held, _) = self.held.take_if(|(_, until)| *until <= now)?;
        held.iter().for_each(|byte| self.paste.watch(*byte));
        Some(Piece::Sequence(held.into()))
    }

    /// How many of the bytes are in the paste, its end among them.
    fn pasted(&mut self, bytes: &[u8]) -> usize {
        let ends = bytes.iter().position(|byte| {
            self.paste.watch(*byte);
            !self.paste.is_on()
        });
        ends.map_or(bytes.len(), |at| at + 1)
    }
}

enum Begins {
    Key,
    Sequence(usize),
    Unfinished,
}

/// What bytes begin with.
fn begins(bytes: &[u8]) -> Begins {
    let whole = |length: usize| {
        if bytes.len() < length { Begins::Unfinished } else { Begins::Sequence(length) }
    };
    match bytes {
        // Three bytes of the oldest mouse follow.
        [ESC, b'[', b'M', ..] => whole(6),
        [ESC, b'[', rest @ ..] => match rest.iter().position(|byte| !(0x20..0x40).contains(byte)) {
            None => Begins::Unfinished,
            Some(length) if rest.get(length).is_some_and(|last| (0x40..0x7f).contains(last)) => {
                Begins::Sequence(length + 3)
            }
            Some(_) => Begins::Key,
        },
        [ESC, b'O', ..] => whole(3),
        [ESC, b'P' | b']' | b'_', rest @ ..] => {
            let bell = rest.iter().position(|byte| *byte == 7).map(|at| at + 3);
            let end = rest.windows(2).position(|two| two == [ESC, b'\\']).map(|at| at + 4);
            match bell.into_iter().chain(end).min() {
                Some(length) => Begins::Sequence(length),
                None => Begins::Unfinished,
            }
        }
        // With Alt.
        [ESC, 0x20..0x7f, ..] => Begins::Sequence(2),
        _ => Begins::Key,
    }
}

/// What a whole sequence is.
fn named(whole: Bytes) -> Piece {
    let (body, last) = match &*whole {
        [ESC, b'[', body @ .., last] => (body, *last),
        [ESC, b'P' | b']' | b'_', ..] if whole.len() > 3 => return Piece::Answer(whole),
        _ => return Piece::Sequence(whole),
    };
    let body = core::str::from_utf8(body).unwrap_or_default();
    let number = |text: &str| text.parse::<u16>().ok();
    let key = match last {
        b'R' => {
            let place = body.split_once(';').and_then(|(row, col)| number(row).zip(number(col)));
            return match place {
                Some(place) => Piece::Place(place, whole),
                None => Piece::Answer(whole),
            };
        }
        b'c' | b'n' | b'y' | b't' => return Piece::Answer(whole),
        b'u' if body.starts_with('?') => return Piece::Answer(whole),
        // Kitty's keyboard, and xterm's modifyOtherKeys in both of its forms.
        b'u' => body.split_once(';').unwrap_or((body, "")),
        b'~' => match body.strip_prefix("27;").and_then(|rest| rest.split_once(';')) {
            Some((modifiers, code)) => (code, modifiers),
            None => return Piece::Sequence(whole),
        },
        _ => return Piece::Sequence(whole),
    };
    match pressed(key) {
        Some((code, 0 | 1)) => Piece::Key(code, whole),
        Some((b']', CTRL)) => Piece::Escape(whole),
        _ => Piece::Sequence(whole),
    }
}

/// The character of a key and what was held down with it (Shift is 1), unless it was let go. Of several characters on one
/// key it is the one with Shift.
fn pressed((code, modifiers): (&str, &str)) -> Option<(u8, u32)> {
    let modifiers = modifiers.split(';').next().unwrap_or_default();
    let (modifiers, event) = modifiers.split_once(':').unwrap_or((modifiers, "1"));
    let modifiers = if modifiers.is_empty() { 1 } else { modifiers.parse::<u32>().ok()? };
    let held = modifiers.checked_sub(1)? & !LOCKS;
    let mut codes = code.split(':').filter(|code| !code.is_empty());
    let plain = codes.next();
    let code = codes.next().filter(|_| held == 1).or(plain)?;
    (event != "3").then_some((code.parse().ok().filter(u8::is_ascii)?, held))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The pieces in short form, however the bytes are cut.
    fn check(typed: &[u8], expected: &str) {
        for size in 1..=typed.len() {
            let mut reader = Typed::default();
            let mut shown = String::new();
            for piece in typed.chunks(size).flat_map(|chunk| reader.take(chunk, Tick(0))) {
                shown.push_str(&match piece {
                    Piece::Key(byte, _) => char::from(byte).to_string(),
                    Piece::Escape(_) => "<escape>".to_owned(),
                    Piece::Sequence(_) => "<sequence>".to_owned(),
                    Piece::Place((row, col), _) => format!("<{row},{col}>"),
                    Piece::Answer(_) => "<answer>".to_owned(),
                    Piece::Pasted(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
                });
            }
            // A lone escape at the end of a chunk is a key.
            if !typed.contains(&ESC) || size == typed.len() {
                assert_eq!(shown, expected, "{typed:?} by {size}");
            }
        }
    }

    #[test]
    fn keys_sequences_and_answers_are_told_apart() {
        check(b"ls\r", "ls\r");
        check(b"a\x1d?", "a<escape>?");
        check(b"\x1b[93;5u?", "<escape>?");
        check(b"\x1b[27;5;93~?", "<escape>?");
        check(b"\x1b[93;69:1u\x1b[93;5:3u", "<escape><sequence>");
        check(b"\x1b[63;2u\x1b[47:63;2u\x1b[113u", "??q");
        check(b"\x1b[93;6u\x1b[93;1u\x1b[27;3;120~", "<sequence>]<sequence>");
        check(b"\x1b[A\x1bOP\x1bx\x1b[3~\x1b[M !!\x1b[<0;3;4M", &"<sequence>".repeat(6));
        check(b"\x1b[12;34R\x1b[?62;22c\x1b[?2026;2$y", "<12,34><answer><answer>");
        check(b"\x1b]11;rgb:0/0/0\x07\x1bP1+r\x1b\\\x1b[?1u", "<answer><answer><answer>");
        check(b"\x1b\x1b[A\x1b", "\x1b<sequence>\x1b");
        check(
            b"\x1b[200~\x1d\x1b[1;1R~?\x1b[201~\x1d",
            "<sequence>\x1d\x1b[1;1R~?\x1b[201~<escape>",
        );
    }

    #[test]
    fn the_rest_of_a_sequence_may_come_later_but_not_for_ever() {
        let mut typed = Typed::default();
        assert_eq!(typed.take(b"\x1b[93", Tick(5)), []);
        assert_eq!(typed.poll_timeout(), Some(Tick(55)));
        let escape = Piece::Escape(Bytes::from_static(b"\x1b[93;5u"));
        assert_eq!(typed.take(b";5u", Tick(9)), [escape]);
        assert_eq!(typed.poll_timeout(), None);
        assert_eq!(typed.take(b"\x1b[", Tick(20)), []);
        assert_eq!(typed.handle_timeout(Tick(69)), None);
        let bracket = Piece::Sequence(Bytes::from_static(b"\x1b["));
        assert_eq!(typed.handle_timeout(Tick(70)), Some(bracket));
        let flood = [b"\x1b]".as_slice(), &[b'x'; 2 * HELD_BYTES]].concat();
        assert_eq!(typed.take(&flood, Tick(80)).len(), 1);
    }
}

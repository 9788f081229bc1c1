//! What a viewer types: input for the program, or a word to scry.

use screen::Paste;

/// Ctrl-], after which the next key is for scry.
pub(super) const ESCAPE: u8 = 0x1d;
/// Ctrl-C.
const INTERRUPT: u8 = 3;

/// A piece of what was typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    /// For the program.
    Input(Vec<u8>),
    /// For scry: one key.
    Word(u8),
}

/// Reads what is typed.
#[derive(Debug)]
pub(super) struct Keys {
    /// Whether input goes to the program at all; else every key is a word.
    types: bool,
    /// The escape key was pressed.
    escaped: bool,
    /// Within one the escape key is text (ruling 15).
    paste: Paste,
}

impl Keys {
    /// Of somebody who types, or only looks.
    pub fn new(types: bool) -> Self {
        Self { types, escaped: false, paste: Paste::default() }
    }

    /// Whether the escape key was pressed, and the next key is for scry.
    pub fn is_escaped(&self) -> bool {
        self.escaped
    }

    /// Takes apart what was typed.
    pub fn take(&mut self, bytes: &[u8]) -> Vec<Piece> {
        let mut pieces = Vec::new();
        let mut input = Vec::new();
        for byte in bytes {
            if !self.types {
                match *byte {
                    ESCAPE => {}
                    INTERRUPT => pieces.push(Piece::Word(b'q')),
                    other => pieces.push(Piece::Word(other)),
                }
                continue;
            }
            self.paste.watch(*byte);
            if std::mem::take(&mut self.escaped) {
                if *byte == ESCAPE {
                    // Twice is once for the program.
                    input.push(ESCAPE);
                } else {
                    flush(&mut input, &mut pieces);
                    pieces.push(Piece::Word(*byte));
                }
            } else if *byte == ESCAPE && !self.paste.is_on() {
                self.escaped = true;
            } else {
                input.push(*byte);
            }
        }
        flush(&mut input, &mut pieces);
        pieces
    }
}

fn flush(input: &mut Vec<u8>, pieces: &mut Vec<Piece>) {
    if !input.is_empty() {
        pieces.push(Piece::Input(std::mem::take(input)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes of typing these, in whatever chunks: input and words, words in brackets.
    fn check(types: bool, typed: &[u8], expected: &str) {
        for size in 1..=typed.len() {
            let mut keys = Keys::new(types);
            let mut shown = String::new();
            for chunk in typed.chunks(size) {
                for piece in keys.take(chunk) {
                    match piece {
                        Piece::Input(bytes) => shown.push_str(&String::from_utf8_lossy(&bytes)),
                        Piece::Word(word) => shown.push_str(&format!("[{}]", char::from(word))),
                    }
                }
            }
            assert_eq!(shown, expected, "{typed:?} by {size}");
        }
    }

    #[test]
    fn the_escape_key_takes_the_next_key_and_twice_it_is_typed() {
        check(true, b"ls\x1dqx", "ls[q]x");
        check(true, b"a\x1d\x1db", "a\x1db");
    }

    #[test]
    fn within_a_bracketed_paste_the_escape_key_is_text() {
        check(true, b"\x1b[200~a\x1dq\x1b[201~\x1dq", "\x1b[200~a\x1dq\x1b[201~[q]");
        check(true, b"\x1b[20\x1b[200~\x1dq\x1b[201~", "\x1b[20\x1b[200~\x1dq\x1b[201~");
    }

    #[test]
    fn of_who_only_looks_every_key_is_a_word_and_nothing_is_input() {
        check(false, b"x\x1d\x03y", "[x][q][y]");
    }
}

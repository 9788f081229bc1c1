//! Bytes → whole pieces: text, controls, sequences. Holds what is unfinished, bounded, so that chunks do not matter.
//!
//! The states are those of Paul Williams' parser for DEC terminals (<https://vt100.net/emu/dec_ansi_parser>),
//! read as UTF-8. It is the only parser that sees unfinished input: what stands behind it gets whole pieces,
//! so what is pending is exactly what [`Lexer::pending`] says, and a dump can carry it.

/// Bytes of one CSI sequence. Beyond: the sequence is read to its end and ignored.
const CSI_BYTES: usize = 256;
/// Bytes of one OSC or APC string that are kept. Beyond: cut.
const STRING_BYTES: usize = 1024;
/// Bytes of one escape sequence with intermediates. Beyond: further intermediates are dropped.
const ESCAPE_BYTES: usize = 16;
/// Bytes that are decoded at once.
const WINDOW_BYTES: usize = 16 * 1024;

/// Something whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    /// Printable characters, not empty.
    Text(&'a str),
    /// A control character of C0, or of C1 as one character.
    Control(char),
    /// An escape sequence that is no CSI and no string, with its `ESC`.
    Escape(&'a str),
    /// `CSI body last`.
    Csi { body: &'a str, last: char },
    /// The inside of an OSC string.
    Osc(&'a str),
    /// The inside of an APC string.
    Apc(&'a str),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Inside {
    #[default]
    Ground,
    Escape,
    Csi,
    Osc,
    Apc,
    /// DCS, SOS or PM: nothing in them is kept.
    Ignored,
}

/// The reader of one stream of bytes.
#[derive(Debug, Default)]
pub(crate) struct Lexer {
    inside: Inside,
    /// The unfinished sequence, with its introducer.
    held: String,
    /// The unfinished character: at most 3 bytes.
    partial: Vec<u8>,
}

impl Lexer {
    /// Reads bytes; `take` gets every piece that they complete.
    pub(crate) fn feed(&mut self, bytes: &[u8], mut take: impl FnMut(Piece<'_>)) {
        for window in bytes.chunks(WINDOW_BYTES) {
            if self.partial.is_empty() {
                self.decode(window, &mut take);
            } else {
                let mut joined = core::mem::take(&mut self.partial);
                joined.extend_from_slice(window);
                self.decode(&joined, &mut take);
            }
        }
    }

    /// Bytes that bring a new reader to where this one is.
    pub(crate) fn pending(&self) -> Vec<u8> {
        let mut out = self.held.clone().into_bytes();
        out.extend_from_slice(&self.partial);
        out
    }

    /// Whether nothing is unfinished.
    pub(crate) fn rests(&self) -> bool {
        self.inside == Inside::Ground && self.partial.is_empty()
    }

    fn decode(&mut self, mut bytes: &[u8], take: &mut impl FnMut(Piece<'_>)) {
        loop {
            let error = match core::str::from_utf8(bytes) {
                Ok(text) => return self.read(text, take),
                Err(error) => error,
            };
            let (good, bad) = bytes.split_at(error.valid_up_to());
            self.read(core::str::from_utf8(good).unwrap_or_default(), take);
            let Some(length) = error.error_len() else {
                self.partial = bad.to_vec();
                return;
            };
            self.read("\u{fffd}", take);
            bytes = bad.get(length..).unwrap_or_default();
        }
    }

    fn read(&mut self, mut text: &str, take: &mut impl FnMut(Piece<'_>)) {
        while let Some(first) = text.chars().next() {
            if self.inside == Inside::Ground {
                let (run, rest) = text.split_at(printable(text.as_bytes()));
                if !run.is_empty() {
                    take(Piece::Text(run));
                    text = rest;
                    continue;
                }
            }
            self.step(first, take);
            text = text.get(first.len_utf8()..).unwrap_or_default();
        }
    }

    fn step(&mut self, ch: char, take: &mut impl FnMut(Piece<'_>)) {
        match ch {
            '\u{18}' | '\u{1a}' => self.leave(),
            '\u{1b}' => {
                self.finish_string(take);
                self.enter(Inside::Escape, "\u{1b}");
            }
            '\u{80}'..='\u{9f}' => self.c1(ch, take),
            _ => match self.inside {
                Inside::Ground if ch != '\u{7f}' => take(Piece::Control(ch)),
                Inside::Ground => {}
                Inside::Escape => self.escape(ch, take),
                Inside::Csi => self.csi(ch, take),
                Inside::Osc | Inside::Apc => self.string(ch, take),
                Inside::Ignored => {}
            },
        }
    }

    fn escape(&mut self, ch: char, take: &mut impl FnMut(Piece<'_>)) {
        let first = self.held.len() == 1;
        match ch {
            '[' if first => self.enter(Inside::Csi, "\u{1b}["),
            ']' if first => self.enter(Inside::Osc, "\u{1b}]"),
            '_' if first => self.enter(Inside::Apc, "\u{1b}_"),
            'P' | 'X' | '^' if first => {
                self.held.push(ch);
                self.inside = Inside::Ignored;
            }
            '\u{20}'..='\u{2f}' if self.held.len() < ESCAPE_BYTES => self.held.push(ch),
            '\u{20}'..='\u{2f}' | '\u{7f}' => {}
            '\u{30}'..='\u{7e}' => {
                self.held.push(ch);
                let whole = core::mem::take(&mut self.held);
                self.leave();
                take(Piece::Escape(&whole));
            }
            _ => self.outside_ascii(ch, take),
        }
    }

    fn csi(&mut self, ch: char, take: &mut impl FnMut(Piece<'_>)) {
        match ch {
            '\u{20}'..='\u{3f}' if self.held.len() < CSI_BYTES => self.held.push(ch),
            '\u{20}'..='\u{3f}' | '\u{7f}' => {}
            '\u{40}'..='\u{7e}' => {
                let held = core::mem::take(&mut self.held);
                self.leave();
                // A full one may have lost bytes.
                if held.len() < CSI_BYTES {
                    take(Piece::Csi { body: held.get(2..).unwrap_or_default(), last: ch });
                }
            }
            _ => self.outside_ascii(ch, take),
        }
    }

    /// A control inside a sequence acts at once; any other character breaks the sequence off and is text.
    fn outside_ascii(&mut self, ch: char, take: &mut impl FnMut(Piece<'_>)) {
        if ch < ' ' {
            take(Piece::Control(ch));
        } else {
            self.leave();
            take(Piece::Text(ch.encode_utf8(&mut [0; 4])));
        }
    }

    fn string(&mut self, ch: char, take: &mut impl FnMut(Piece<'_>)) {
        if ch == '\u{7}' && self.inside == Inside::Osc {
            self.finish_string(take);
        } else if ch >= ' ' && ch != '\u{7f}' && self.held.len() + ch.len_utf8() <= STRING_BYTES {
            self.held.push(ch);
        }
    }

    fn c1(&mut self, ch: char, take: &mut impl FnMut(Piece<'_>)) {
        if ch == '\u{9c}' {
            return self.finish_string(take);
        }
        match ch {
            '\u{90}' => self.enter(Inside::Ignored, "\u{1b}P"),
            '\u{98}' | '\u{9e}' => self.enter(Inside::Ignored, "\u{1b}X"),
            '\u{9b}' => self.enter(Inside::Csi, "\u{1b}["),
            '\u{9d}' => self.enter(Inside::Osc, "\u{1b}]"),
            '\u{9f}' => self.enter(Inside::Apc, "\u{1b}_"),
            _ => {
                self.leave();
                take(Piece::Control(ch));
            }
        }
    }

    fn finish_string(&mut self, take: &mut impl FnMut(Piece<'_>)) {
        let inside = self.inside;
        let held = core::mem::take(&mut self.held);
        self.leave();
        let body = held.get(2..).unwrap_or_default();
        match inside {
            Inside::Osc => take(Piece::Osc(body)),
            Inside::Apc => take(Piece::Apc(body)),
            _ => {}
        }
    }

    fn enter(&mut self, inside: Inside, introducer: &str) {
        self.inside = inside;
        self.held.clear();
        self.held.push_str(introducer);
    }

    fn leave(&mut self) {
        self.inside = Inside::Ground;
        self.held.clear();
    }
}

/// How many bytes at the beginning are printable: no C0, DEL or C1.
fn printable(bytes: &[u8]) -> usize {
    let mut length = 0;
    while let Some(&byte) = bytes.get(length) {
        let c1 = byte == 0xc2 && bytes.get(length + 1).is_some_and(|next| *next < 0xa0);
        if byte < 0x20 || byte == 0x7f || c1 {
            break;
        }
        length += 1;
    }
    length
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pieces in short form, with text runs joined.
    fn pieces(chunks: &[&[u8]]) -> String {
        let mut lexer = Lexer::default();
        let mut out = String::new();
        for chunk in chunks {
            lexer.feed(chunk, |piece| match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Control(ch) => out.push_str(&format!("<{:02x}>", u32::from(ch))),
                Piece::Escape(whole) => out.push_str(&format!("<esc {}>", &whole[1..])),
                Piece::Csi { body, last } => out.push_str(&format!("<csi {body} {last}>")),
                Piece::Osc(body) => out.push_str(&format!("<osc {body}>")),
                Piece::Apc(body) => out.push_str(&format!("<apc {body}>")),
            });
        }
        out
    }

    #[test]
    fn every_kind_of_sequence_becomes_one_piece_however_it_is_cut() {
        let cases: &[(&[u8], &str)] = &[
            (b"plain", "plain"),
            ("ünï 日本 👧".as_bytes(), "ünï 日本 👧"),
            (b"a\r\nb\x08", "a<0d><0a>b<08>"),
            (b"\x1b[1;31mred\x1b[m", "<csi 1;31 m>red<csi  m>"),
            (b"\x1b[3\n1m", "<0a><csi 31 m>"),
            (b"\x1b(0q\x1b(B", "<esc (0>q<esc (B>"),
            (b"\x1b]0;title\x07x", "<osc 0;title>x"),
            (b"\x1b]0;title\x1b\\x", "<osc 0;title><esc \\>x"),
            (b"\x1bP1$qm\x1b\\x", "<esc \\>x"),
            (b"\x1b_G\x07still\x1b\\x", "<apc Gstill><esc \\>x"),
            (b"\x1b[12\x18x", "x"),
            (b"\x1b[12\x1b[3Cx", "<csi 3 C>x"),
            ("\u{9b}5C\u{9d}2;t\u{9c}\u{85}x".as_bytes(), "<csi 5 C><osc 2;t><85>x"),
            ("\x1b[5éx".as_bytes(), "éx"),
            (b"\xff\xe2\x82A\xc3", "\u{fffd}\u{fffd}A"),
            (b"a\x7fb", "ab"),
        ];
        for (bytes, expected) in cases {
            assert_eq!(pieces(&[bytes]), *expected, "whole: {bytes:?}");
            let single: Vec<&[u8]> = bytes.chunks(1).collect();
            assert_eq!(pieces(&single), *expected, "byte by byte: {bytes:?}");
        }
    }

    #[test]
    fn what_is_pending_brings_another_reader_to_the_same_place() {
        let long = format!("\x1b[{}", "1;".repeat(500));
        let title = format!("\x1b]2;{}", "é".repeat(2000));
        for (start, rest, expected) in [
            ("\x1b", "[1mx", "<csi 1 m>x"),
            ("\x1b[1;", "2Hx", "<csi 1;2 H>x"),
            ("\x1b(", "0x", "<esc (0>x"),
            ("\x1b]0;ti", "tle\x07x", "<osc 0;title>x"),
            ("\x1bP1$", "q\x1b\\x", "<esc \\>x"),
            (&long, "mx", "x"),
        ] {
            let mut lexer = Lexer::default();
            lexer.feed(start.as_bytes(), |_| {});
            assert_eq!(pieces(&[&lexer.pending(), rest.as_bytes()]), expected, "{start:?}");
        }
        let mut lexer = Lexer::default();
        lexer.feed(title.as_bytes(), |_| {});
        let rest = b"more\x07x";
        assert_eq!(pieces(&[title.as_bytes(), rest]), pieces(&[&lexer.pending(), rest]));
    }

    #[test]
    fn an_endless_string_is_held_within_its_bound() {
        for introducer in ["\x1b]0;", "\x1bP", "\x1b_", "\x1b^", "\x1b["] {
            let mut lexer = Lexer::default();
            lexer.feed(introducer.as_bytes(), |_| {});
            for _ in 0..100 {
                lexer.feed(&[b'1'; 20_000], |piece| panic!("{piece:?}"));
            }
            assert!(lexer.held.capacity() <= 2 * STRING_BYTES, "{introducer:?}");
        }
    }
}

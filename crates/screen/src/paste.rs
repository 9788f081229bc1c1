//! Whether what is typed is within a bracketed paste (xterm, mode 2004), where no key means anything but itself.

/// How one begins and ends, but for the digit and the tilde at the end.
const BRACKET: &[u8] = b"\x1b[20";

/// Watches what is typed, byte by byte.
#[derive(Debug, Clone, Default)]
pub struct Paste {
    is_on: bool,
    /// How much of [`BRACKET`] and what follows was seen.
    seen: usize,
    /// The digit that followed it.
    digit: u8,
}

impl Paste {
    /// The next byte.
    pub fn watch(&mut self, byte: u8) {
        self.seen = match self.seen {
            at if at < BRACKET.len() && BRACKET.get(at) == Some(&byte) => at + 1,
            at if at == BRACKET.len() && matches!(byte, b'0' | b'1') => {
                self.digit = byte;
                at + 1
            }
            at if at == BRACKET.len() + 1 && byte == b'~' => {
                self.is_on = self.digit == b'0';
                0
            }
            _ => usize::from(BRACKET.first() == Some(&byte)),
        };
    }

    /// Whether the next byte is within one, or ends it.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.is_on
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_paste_lasts_from_bracket_to_bracket() {
        for (typed, on) in [
            ("ls", false),
            ("\x1b[200~", true),
            ("\x1b[200~ls\r", true),
            ("\x1b[200~ls\x1b[201~", false),
            ("\x1b[200~\x1b[200~\x1b[20\x1b[201~", false),
            ("\x1b[201~", false),
            ("\x1b[200", false),
            ("\x1b\x1b[200~", true),
            ("\x1b[202~\x1b[20x0~", false),
        ] {
            let mut paste = Paste::default();
            typed.bytes().for_each(|byte| paste.watch(byte));
            assert_eq!(paste.is_on(), on, "{typed:?}");
        }
    }
}

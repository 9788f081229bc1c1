//! The lines of the old scp protocol, as OpenSSH's scp.c writes and reads them (`source`, `sink`, `response`).

use model::limit::TRANSFER_PATH_BYTES;
use model::transfer::{Times, text_of};

/// Bytes of a line in front of its name or message, at most.
const FRONT: usize = 64;

/// What a line of the sender says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) enum Said {
    /// `C`: a file follows.
    File { mode: u32, size: u64, name: String },
    /// `D`: what follows lies in this folder.
    Folder { mode: u32, name: String },
    /// `E`: the end of a folder.
    End,
    /// `T`: times of the next file or folder.
    Times(Times),
    /// `\x01` or `\x02`: something went wrong.
    Complaint { code: u32, text: String },
}

impl Said {
    /// Whether nothing is answered to it.
    pub fn is_complaint(&self) -> bool {
        matches!(self, Self::Complaint { .. })
    }
}

/// What the bytes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) enum Line {
    /// A line, this long with its end.
    Whole(Said, usize),
    /// Perhaps the beginning of one.
    Begun,
    /// No line.
    No,
}

/// The line at the beginning of these bytes.
pub(in super::super) fn line(bytes: &[u8]) -> Line {
    let most = FRONT + TRANSFER_PATH_BYTES;
    let end = bytes.iter().take(most).position(|byte| *byte == b'\n');
    let text = bytes.get(..end.unwrap_or(bytes.len().min(most))).unwrap_or_default();
    let read = read(text);
    match (read, end) {
        (Read::Whole(said), Some(end)) => Line::Whole(said, end + 1),
        (Read::No, _) | (Read::Begun, Some(_)) => Line::No,
        (_, None) if bytes.len() >= most => Line::No,
        (_, None) => Line::Begun,
    }
}

enum Read {
    /// A line, if it ends here.
    Whole(Said),
    /// None yet.
    Begun,
    No,
}

fn read(text: &[u8]) -> Read {
    let Some((first, rest)) = text.split_first() else { return Read::Begun };
    let mut front = Front { rest, ended: false };
    let said = match first {
        b'C' | b'D' => front.item(*first == b'D'),
        b'T' => front.times(),
        b'E' if rest.is_empty() => Some(Said::End),
        code @ (1 | 2) => Some(Said::Complaint { code: (*code).into(), text: text_of(rest) }),
        _ => None,
    };
    match said {
        Some(said) => Read::Whole(said),
        None if front.ended => Read::Begun,
        None => Read::No,
    }
}

/// The numbers at the beginning of a line.
struct Front<'a> {
    rest: &'a [u8],
    /// The text ended while everything was well.
    ended: bool,
}

impl<'a> Front<'a> {
    /// A mode of four octal digits, a size, a name.
    fn item(&mut self, folder: bool) -> Option<Said> {
        let mode = self.digits(4, 4, 8)?;
        self.space()?;
        let size = self.digits(1, 19, 10)?;
        self.space()?;
        let name = self.rest;
        if name.is_empty() {
            self.ended = true;
            return None;
        }
        if name.contains(&0) {
            return None;
        }
        let (mode, name) = (u32::try_from(mode).ok()?, text_of(name));
        Some(if folder { Said::Folder { mode, name } } else { Said::File { mode, size, name } })
    }

    /// Seconds and microseconds of the last change, then of the last use.
    fn times(&mut self) -> Option<Said> {
        let modified = self.digits(1, 19, 10)?;
        self.space()?;
        self.digits(1, 6, 10)?;
        self.space()?;
        let accessed = self.digits(1, 19, 10)?;
        self.space()?;
        self.digits(1, 6, 10)?;
        self.rest.is_empty().then_some(Said::Times(Times { modified, accessed }))
    }

    fn digits(&mut self, least: usize, most: usize, radix: u32) -> Option<u64> {
        let digit = |byte: &u8| char::from(*byte).is_digit(radix);
        let count = self.rest.iter().take(most).take_while(|byte| digit(byte)).count();
        let (digits, rest) = self.rest.split_at(count);
        self.rest = rest;
        if count < least {
            self.ended = rest.is_empty();
            return None;
        }
        u64::from_str_radix(core::str::from_utf8(digits).ok()?, radix).ok()
    }

    fn space(&mut self) -> Option<()> {
        match self.rest.split_first() {
            Some((b' ', rest)) => {
                self.rest = rest;
                Some(())
            }
            Some(_) => None,
            None => {
                self.ended = true;
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_what_scp_writes_and_nothing_else() {
        let file = |mode, size, name: &str| Said::File { mode, size, name: name.into() };
        for (text, said) in [
            ("C0644 5 a\n", file(0o644, 5, "a")),
            ("C4755 0 name with spaces\n", file(0o4755, 0, "name with spaces")),
            ("C0644 9223372036854775807 ..\n", file(0o644, i64::MAX as u64, "..")),
            ("D0755 0 d\n", Said::Folder { mode: 0o755, name: "d".into() }),
            ("E\n", Said::End),
            ("T12 0 34 999999\n", Said::Times(Times { modified: 12, accessed: 34 })),
            ("\x01scp: x: no\n", Said::Complaint { code: 1, text: "scp: x: no".into() }),
            ("\x02\n", Said::Complaint { code: 2, text: String::new() }),
        ] {
            let bytes = [text.as_bytes(), b"C0644"].concat();
            assert_eq!(line(&bytes), Line::Whole(said, text.len()), "{text:?}");
            for cut in 0..text.len() {
                assert_eq!(line(&text.as_bytes()[..cut]), Line::Begun, "{text:?} to {cut}");
            }
        }
        for bad in [
            "x",
            "Cat",
            "C0648 5",
            "C064 ",
            "C06444",
            "C0644  ",
            "C0644 5a",
            "C0644 5 \n",
            "C0644 -1",
            "C0644 12345678901234567890",
            "Test",
            "T1 0 2\n",
            "T1 0 2 0 ",
            "E ",
            "Echo",
            "\n",
            "\0",
            "C0644 5 a\0",
        ] {
            assert_eq!(line(bad.as_bytes()), Line::No, "{bad:?}");
        }
        let long = [b"C0644 5 ".as_slice(), &[b'a'; 5000]].concat();
        assert_eq!(line(&long), Line::No);
    }
}

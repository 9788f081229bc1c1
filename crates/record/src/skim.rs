//! Lines that cannot hold a text are not drawn to look for it.
//!
//! Most of what terminals show is lines that come one below the other, such as those of a log. What of them stands on the screen
//! at any moment is what came, in the order in which it came, as long as nothing is behind the cursor that they could run into,
//! and nothing in them moves back. So a text that does not come in them, nor across their beginning, does not come up on
//! the screen either, and they can be drawn later, many at once, of which [`Screen::feed`] then draws what stays.

use memchr::memmem::Finder;
use screen::Screen;
use unicode_width::UnicodeWidthChar as _;

/// Bytes that are held back at most.
const HELD: usize = 256 * 1024;

/// Passes over lines without a text.
pub(crate) struct Skim {
    needle: Finder<'static>,
    /// Whether capitals matter.
    exact: bool,
    /// Blanks are in the text: columns that nothing was written into count, too, so that less is passed over.
    blanks: bool,
    /// The end of what came, as far as the text can have begun in it.
    tail: String,
    /// A carriage return was the last byte; only a line feed may follow.
    returned: bool,
    /// What was passed over and not drawn.
    held: Vec<u8>,
    /// Whether nothing is behind the cursor, once what is held is drawn.
    open: bool,
}

impl Skim {
    /// For a text, folded if capitals do not matter. `None` for one that can come up in other ways than by its own bytes.
    pub fn of(text: &str, exact: bool) -> Option<Self> {
        let plain = |byte: u8| matches!(byte, 0x20..=0x7e);
        // A blank at the end of a line is none of it until something comes behind it.
        if text.is_empty() || text.ends_with(' ') || !text.bytes().all(plain) {
            return None;
        }
        Some(Self {
            needle: Finder::new(text).into_owned(),
            exact,
            blanks: text.contains(' '),
            tail: String::new(),
            returned: false,
            held: Vec::new(),
            open: false,
        })
    }

    /// Takes bytes of the terminal in which the text does not come up. `false`: they must be drawn and looked at; what was held
    /// back is drawn then.
    pub fn takes(&mut self, bytes: &[u8], screen: &mut Screen, nothing_seen: bool) -> bool {
        let took = self.try_take(bytes, screen, nothing_seen);
        if !took {
            self.finish(screen);
        } else if self.held.len() >= HELD {
            self.draw(screen);
        }
        took
    }

    /// Draws what was held back. The screen may be changed in other ways afterwards.
    pub fn finish(&mut self, screen: &mut Screen) {
        self.draw(screen);
        self.open = false;
    }

    fn draw(&mut self, screen: &mut Screen) {
        screen.feed(&self.held);
        self.held.clear();
    }

    fn try_take(&mut self, bytes: &[u8], screen: &Screen, nothing_seen: bool) -> bool {
        let returned = self.open && self.returned;
        let mut text = String::new();
        let Some(returns) = self.plain(bytes, returned, &mut text) else { return false };
        let most = self.needle.needle().len().saturating_sub(1);
        if !self.open {
            let Some(before) = screen.line_to_end(most).filter(|_| nothing_seen) else {
                return false;
            };
            self.tail = self.folded(&before);
            self.open = true;
        }
        self.tail.push_str(&text);
        if self.needle.find(self.tail.as_bytes()).is_some() {
            return false;
        }
        let mut cut = self.tail.len().saturating_sub(most);
        while !self.tail.is_char_boundary(cut) {
            cut -= 1;
        }
        self.tail.drain(..cut);
        self.returned = returns;
        self.held.extend_from_slice(bytes);
        true
    }

    fn folded(&self, text: &str) -> String {
        if self.exact { text.to_owned() } else { text.to_ascii_lowercase() }
    }

    /// The characters of bytes that are nothing but lines, and whether a carriage return is the last; none if they are more.
    fn plain(&self, bytes: &[u8], mut returned: bool, text: &mut String) -> Option<bool> {
        let mut rest = core::str::from_utf8(bytes).ok()?;
        text.reserve(rest.len());
        while let Some(ch) = rest.chars().next() {
            // A line that is written over is no line that comes below the other.
            if returned && !matches!(ch, '\r' | '\n') || !returned && ch == '\n' {
                return None;
            }
            returned = ch == '\r';
            let run = rest.bytes().take_while(|byte| matches!(byte, 0x20..=0x7e)).count();
            let length = match ch {
                _ if run > 0 => {
                    let run = rest.get(..run)?;
                    match self.exact {
                        true => text.push_str(run),
                        false => text.extend(run.chars().map(|ch| ch.to_ascii_lowercase())),
                    }
                    run.len()
                }
                '\n' => {
                    text.push('\n');
                    1
                }
                '\r' | '\u{7}' => 1,
                '\u{1b}' => sequence(rest.as_bytes(), self.blanks)?,
                ch if ch.is_control() || self.blanks => return None,
                ch => {
                    // Capitals that are written small as letters of ASCII: `İ` and the sign of kelvin.
                    if !self.exact && ch.to_lowercase().next().is_some_and(|ch| ch.is_ascii()) {
                        return None;
                    }
                    // What takes no column stands nowhere; it may have changed the one before.
                    if ch.width().is_some_and(|width| width > 0) {
                        text.push(ch);
                    }
                    ch.len_utf8()
                }
            };
            rest = rest.get(length..)?;
        }
        Some(returned)
    }
}

/// The length of a whole sequence at the beginning that writes nothing and moves nothing: colours and styles, titles, modes that
/// are none of the picture's. Where there is nothing behind the cursor, to clear that is nothing either, but for a character in the
/// last column.
fn sequence(bytes: &[u8], blanks: bool) -> Option<usize> {
    let body = bytes.get(2..)?;
    match bytes.get(1)? {
        b'[' => {
            let end =
                body.iter().position(|byte| !matches!(byte, b'0'..=b'9' | b';' | b':' | b'?'))?;
            let (numbers, last) = (body.get(..end)?, body.get(end)?);
            let harmless = match last {
                b'm' => !numbers.contains(&b'?'),
                b'K' => matches!(numbers, b"" | b"0") && !blanks,
                b'h' | b'l' => matches!(numbers, b"?2004" | b"?25"),
                _ => false,
            };
            harmless.then_some(end + 3)
        }
        b']' => {
            let end = body.iter().position(|byte| !matches!(byte, 0x20..=0x7e))?;
            (body.get(end) == Some(&7)).then_some(end + 3)
        }
        _ => None,
    }
}

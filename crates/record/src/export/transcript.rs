//! Plain text: what could be read on the terminal, line by line, with people, gaps and marks between.

use super::{Export, Text, clock, note};
use model::Heading;
use model::entry::{Entry, Stamped, Stream};
use model::kernel::Kernel;
use screen::Screen;

/// Makes a transcript: lines as they leave the primary screen, or are cleared from it, or are left on it at the end.
///
/// Programs on the alternate screen (editors, pagers) are one bracketed line with their times.
/// Without a terminal it is standard output and error as they came, control characters shown as their pictures.
pub struct Transcript {
    heading: String,
    /// `None` without a terminal.
    screen: Option<Screen>,
    /// Rows at the top of the screen that were told already.
    told: u16,
    alternate_since: Option<u64>,
    text: Text,
    held_cr: bool,
    /// Whether the next text begins a line.
    fresh: bool,
    at: u64,
}

impl Transcript {
    /// For the recording with this heading.
    #[must_use]
    pub fn new(heading: &Heading) -> Self {
        let Heading { user, login, node, client, id, .. } = heading;
        let about = format!("{user} as {login} on {node} from {client}, recording {id}");
        Self {
            heading: bracketed(&about),
            screen: heading.size.map(|size| Screen::new(size.cols(), size.rows())),
            told: 0,
            alternate_since: None,
            text: Text::default(),
            held_cr: false,
            fresh: true,
            at: 0,
        }
    }

    fn feed(&mut self, bytes: &[u8]) -> String {
        let mut out = String::new();
        let Some(mut screen) = self.screen.take() else { return out };
        let mut rest = bytes;
        while !rest.is_empty() {
            let (piece, behind) = rest.split_at(piece_len(&screen, rest));
            self.feed_piece(&mut screen, piece, &mut out);
            rest = behind;
        }
        self.screen = Some(screen);
        out
    }

    /// Feeds so little that at most one row leaves the screen.
    fn feed_piece(&mut self, screen: &mut Screen, piece: &[u8], out: &mut String) {
        let was_alternate = screen.is_alternate();
        let bottom = screen.size().1.saturating_sub(1);
        let at_bottom = !was_alternate && screen.caret().1 == bottom;
        let clears = !was_alternate && piece.first() == Some(&0x1b);
        let before = if at_bottom || clears { rows(screen) } else { Vec::new() };
        screen.feed(piece);
        if screen.is_alternate() != was_alternate {
            self.switched(!was_alternate, out);
        } else if at_bottom && scrolled(&before, screen, piece) {
            match self.told.checked_sub(1) {
                Some(told) => self.told = told,
                None => self.tell(before.iter().take(1), out),
            }
        } else if clears && is_blank(screen) {
            let last = before.iter().rposition(|row| !row.text.is_empty()).map_or(0, |row| row + 1);
            let told = usize::from(self.told).min(last);
            self.tell(before.iter().take(last).skip(told), out);
            self.told = 0;
        }
    }

    fn switched(&mut self, alternate: bool, out: &mut String) {
        if alternate {
            self.alternate_since = Some(self.at);
        } else if let Some(since) = self.alternate_since.take() {
            self.bracket(&format!("full screen {}–{}", clock(since), clock(self.at)), out);
        }
    }

    fn tell<'a>(&mut self, rows: impl Iterator<Item = &'a Row>, out: &mut String) {
        for row in rows {
            out.push_str(&row.text);
            self.fresh = !row.wraps;
            if self.fresh {
                out.push('\n');
            }
        }
    }

    /// Tells the rows above the cursor, so that what follows stands behind them.
    fn catch_up(&mut self, to_end: bool, out: &mut String) {
        let Some(screen) = self.screen.take() else { return };
        if !screen.is_alternate() {
            let rows = rows(&screen);
            let end = match to_end {
                true => rows.iter().rposition(|row| !row.text.is_empty()).map_or(0, |row| row + 1),
                false => screen.caret().1.into(),
            };
            let told = usize::from(self.told);
            self.tell(rows.iter().take(end).skip(told), out);
            self.told = u16::try_from(end.max(told)).unwrap_or(u16::MAX);
        }
        self.screen = Some(screen);
    }

    fn bracket(&mut self, words: &str, out: &mut String) {
        if !self.fresh {
            out.push('\n');
        }
        self.fresh = true;
        out.push_str(&bracketed(&format!("{} {words}", clock(self.at))));
    }

    /// Text of a program without a terminal. A CR at the end waits, for an LF may follow.
    fn plain(&mut self, bytes: &[u8]) -> String {
        let mut text = String::from(if self.held_cr { "\r" } else { "" });
        text.push_str(&self.text.push(bytes));
        self.held_cr = text.ends_with('\r');
        if self.held_cr {
            text.pop();
        }
        self.said(&text)
    }

    /// What is still held of such text.
    fn plain_rest(&mut self) -> String {
        let mut text = self.text.finish();
        if std::mem::take(&mut self.held_cr) {
            text.insert(0, '\r');
        }
        self.said(&text)
    }

    fn said(&mut self, text: &str) -> String {
        if let Some(last) = text.chars().last() {
            self.fresh = last == '\n';
        }
        printable(text)
    }
}

impl Export for Transcript {
    fn begin(&mut self) -> String {
        self.heading.clone()
    }

    fn push(&mut self, stamped: &Stamped) -> String {
        self.at = stamped.at;
        let mut out = String::new();
        match &stamped.entry {
            Entry::Output { stream: Stream::Stdin, .. } => {}
            Entry::Output { bytes, .. } if self.screen.is_some() => return self.feed(bytes),
            Entry::Output { bytes, .. } => return self.plain(bytes),
            Entry::Resize(size) => {
                if let Some(screen) = &mut self.screen {
                    screen.resize(size.cols(), size.rows());
                    self.told = self.told.min(size.rows());
                }
            }
            Entry::Ended(_) => {
                out = self.plain_rest();
                self.catch_up(true, &mut out);
                self.bracket(&note(&stamped.entry).unwrap_or_default(), &mut out);
            }
            // They run while a line is still being written, and would cut it in two.
            Entry::Kernel(Kernel::Did(_)) => {}
            other => {
                if let Some(words) = note(other) {
                    self.catch_up(false, &mut out);
                    self.bracket(&words, &mut out);
                }
            }
        }
        out
    }

    fn finish(&mut self) -> String {
        let mut out = self.plain_rest();
        self.catch_up(true, &mut out);
        if !self.fresh {
            out.push('\n');
            self.fresh = true;
        }
        out
    }
}

/// A row as it stands on the screen.
#[derive(PartialEq)]
struct Row {
    text: String,
    wraps: bool,
}

fn rows(screen: &Screen) -> Vec<Row> {
    let all = 0..screen.size().1;
    all.map(|row| Row { text: screen.row_text(row), wraps: screen.wraps(row) }).collect()
}

fn is_blank(screen: &Screen) -> bool {
    (0..screen.size().1).all(|row| screen.row_text(row).is_empty())
}

/// Whether the screen moved up by one row. A row that equals the next is taken as moved only at a line's end.
fn scrolled(before: &[Row], screen: &Screen, piece: &[u8]) -> bool {
    let bottom = screen.size().1.saturating_sub(1);
    if screen.caret().1 != bottom {
        return false;
    }
    let after = rows(screen);
    let above = before.len().saturating_sub(2);
    let moved = before.iter().skip(1).take(above).eq(after.iter().take(above));
    let stayed = before.iter().take(above).eq(after.iter().take(above));
    moved && (!stayed || piece == b"\n")
}

/// Bytes to feed at once: a line's end alone, a sequence at most to the next, and no more than fits in the row.
fn piece_len(screen: &Screen, bytes: &[u8]) -> usize {
    if bytes.first() == Some(&b'\n') {
        return 1;
    }
    let left = screen.size().0.saturating_sub(screen.caret().0).max(1);
    let most = bytes.len().min(left.into());
    let stop = bytes.iter().skip(1).take(most - 1).position(|b| matches!(b, b'\n' | 0x1b));
    stop.map_or(most, |at| at + 1)
}

/// One line in brackets, whatever the words: a file's name must not make what looks like another line.
fn bracketed(words: &str) -> String {
    format!("[{}]\n", printable(words).replace('\n', "\u{240a}"))
}

/// Text that does nothing to a terminal: control characters as their pictures (Unicode block 2400).
fn printable(text: &str) -> String {
    let text = text.replace("\r\n", "\n");
    text.chars()
        .map(|c| match c {
            '\n' | '\t' => c,
            '\0'..='\x1f' => char::from_u32(0x2400 + u32::from(c)).unwrap_or(' '),
            '\x7f' => '\u{2421}',
            '\u{80}'..='\u{9f}' => char::REPLACEMENT_CHARACTER,
            other => other,
        })
        .collect()
}

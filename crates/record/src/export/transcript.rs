//! Plain text: what could be read on the terminal, line by line, with people, gaps and marks between.

use super::paper::{Change, Row, feed_piece, piece_len, printable, rows, used};
use super::{Export, Text, clock, note};
use model::Heading;
use model::entry::{Entry, Stamped, Stream};
use model::kernel::Kernel;
use screen::Screen;
use std::iter;

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

    fn feed_piece(&mut self, screen: &mut Screen, piece: &[u8], out: &mut String) {
        match feed_piece(screen, piece) {
            Change::Stay => {}
            Change::Switched(alternate) => self.switched(alternate, out),
            Change::Scrolled(row) => match self.told.checked_sub(1) {
                Some(told) => self.told = told,
                None => self.tell(iter::once(&row), out),
            },
            Change::Cleared(rows) => {
                self.tell(rows.iter().skip(self.told.into()), out);
                self.told = 0;
            }
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
                true => used(&rows),
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

/// One line in brackets, whatever the words: a file's name must not make what looks like another line.
fn bracketed(words: &str) -> String {
    format!("[{}]\n", printable(words).replace('\n', "\u{240a}"))
}

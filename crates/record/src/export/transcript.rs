//! Plain text: what could be read on the terminal, line by line, with people, gaps and marks between.

use super::paper::{Paper, Said, left_out, printable};
use super::{Export, Text, clock, damage_words, note};
use crate::Corrupt;
use model::entry::{Entry, Stamped, Stream};
use model::kernel::Kernel;
use model::{Heading, Seq};
use screen::Screen;

/// Makes a transcript: lines as they leave the primary screen, or are cleared from it, or are left on it at the end.
///
/// Programs on the alternate screen (editors, pagers) are one bracketed line with their times.
/// Without a terminal it is standard output and error as they came, control characters shown as their pictures.
pub struct Transcript {
    heading: String,
    /// `None` without a terminal.
    paper: Option<Paper>,
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
            paper: heading
                .size
                .map(|size| Paper::new(Screen::new(size.cols(), size.rows()), (0, Seq(0)))),
            text: Text::default(),
            held_cr: false,
            fresh: true,
            at: 0,
        }
    }

    /// Tells what there is to tell on paper.
    fn say(&mut self, out: &mut String) {
        for said in self.paper.as_mut().map(Paper::take).unwrap_or_default() {
            match said {
                Said::Row(row, _) => {
                    out.push_str(&row.text);
                    self.fresh = !row.wraps;
                    if self.fresh {
                        out.push('\n');
                    }
                }
                Said::FullScreen { from, until } => {
                    self.bracket(&format!("full screen {}–{}", clock(from), clock(until)), out);
                }
                Said::LeftOut { bytes, .. } => self.bracket(&left_out(bytes), out),
            }
        }
    }

    /// Tells the lines above the one with the cursor, so that what follows stands behind them.
    fn catch_up(&mut self, out: &mut String) {
        if let Some(paper) = &mut self.paper {
            paper.catch_up();
        }
        self.say(out);
    }

    /// Tells what is left.
    fn rest(&mut self, out: &mut String) {
        out.push_str(&self.plain_rest());
        if let Some(paper) = &mut self.paper {
            paper.finish((self.at, Seq(0)));
        }
        self.say(out);
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
        let now = (stamped.at, stamped.seq);
        match (&stamped.entry, &mut self.paper) {
            (Entry::Output { stream: Stream::Stdin, .. }, _) => {}
            (Entry::Output { bytes, .. }, Some(paper)) => paper.feed(now, bytes),
            (Entry::Output { bytes, .. }, None) => return self.plain(bytes),
            (Entry::Resize(size), Some(paper)) => paper.resize(now, size.cols(), size.rows()),
            (Entry::Ended(_), _) => {
                self.rest(&mut out);
                self.bracket(&note(&stamped.entry).unwrap_or_default(), &mut out);
            }
            // They run while a line is still being written, and would cut it in two.
            (Entry::Kernel(Kernel::Did(_)), _) => {}
            (other, _) => {
                if let Some(words) = note(other) {
                    self.catch_up(&mut out);
                    self.bracket(&words, &mut out);
                }
            }
        }
        self.say(&mut out);
        out
    }

    fn damaged(&mut self, why: &Corrupt) -> String {
        let mut out = String::new();
        self.rest(&mut out);
        self.bracket(&damage_words(why), &mut out);
        self.say(&mut out);
        out
    }

    fn finish(&mut self) -> String {
        let mut out = String::new();
        self.rest(&mut out);
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

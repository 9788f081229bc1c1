//! asciicast v2 and v3 (docs.asciinema.org/manual/asciicast/v2 and /v3).

use super::{Export, Text, damage_words, note};
use crate::Corrupt;
use model::entry::{Ending, Entry, Stamped, Stream};
use model::{Heading, Kind, Size};
use serde_json::{Map, Value, json};

/// Makes an asciicast. Lossy: bytes that are no UTF-8 become U+FFFD, who typed is not told.
///
/// Without a terminal the screen is 80×24, LF becomes CRLF, and standard input is left out.
#[derive(Debug)]
pub struct Asciicast {
    v3: bool,
    header: Value,
    terminal: bool,
    last_at: u64,
    pty: Text,
    stdout: Text,
    stderr: Text,
    typed: Text,
    after_cr: bool,
}

impl Asciicast {
    /// Version 2: times count from the beginning.
    #[must_use]
    pub fn v2(heading: &Heading) -> Self {
        let size = heading.size.unwrap_or_default();
        let mut header = common(heading, 2);
        header.insert("width".into(), size.cols().into());
        header.insert("height".into(), size.rows().into());
        if let Some(term) = &heading.term {
            header.insert("env".into(), json!({ "TERM": term }));
        }
        Self::new(heading, header, false)
    }

    /// Version 3: times count from the event before, in whole milliseconds, so that no error adds up.
    #[must_use]
    pub fn v3(heading: &Heading) -> Self {
        let size = heading.size.unwrap_or_default();
        let mut header = common(heading, 3);
        let mut term = Map::new();
        term.insert("cols".into(), size.cols().into());
        term.insert("rows".into(), size.rows().into());
        if let Some(name) = &heading.term {
            term.insert("type".into(), name.as_str().into());
        }
        header.insert("term".into(), term.into());
        Self::new(heading, header, true)
    }

    fn new(heading: &Heading, header: Map<String, Value>, v3: bool) -> Self {
        Self {
            v3,
            header: header.into(),
            terminal: heading.size.is_some(),
            last_at: 0,
            pty: Text::default(),
            stdout: Text::default(),
            stderr: Text::default(),
            typed: Text::default(),
            after_cr: false,
        }
    }

    fn line(&mut self, at: u64, code: char, data: &str) -> String {
        let at = at.max(self.last_at);
        let data = Value::from(data);
        let line = if self.v3 {
            let ms = at - self.last_at;
            format!("[{}.{:03}, \"{code}\", {data}]\n", ms / 1000, ms % 1000)
        } else {
            format!("[{}.{:03}000, \"{code}\", {data}]\n", at / 1000, at % 1000)
        };
        self.last_at = at;
        line
    }

    fn text(&mut self, at: u64, code: char, text: &str) -> String {
        if text.is_empty() { String::new() } else { self.line(at, code, text) }
    }

    fn output(&mut self, at: u64, stream: Stream, bytes: &[u8]) -> String {
        let text = match stream {
            Stream::Pty => self.pty.push(bytes),
            Stream::Stdout => self.stdout.push(bytes),
            Stream::Stderr => self.stderr.push(bytes),
            Stream::Stdin => return String::new(),
        };
        let text = if self.terminal { text } else { self.with_cr(&text) };
        self.text(at, 'o', &text)
    }

    fn with_cr(&mut self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        for c in text.chars() {
            if c == '\n' && !self.after_cr {
                out.push('\r');
            }
            self.after_cr = c == '\r';
            out.push(c);
        }
        out
    }

    fn resize(&mut self, at: u64, size: Size) -> String {
        self.line(at, 'r', &format!("{}x{}", size.cols(), size.rows()))
    }

    fn rest(&mut self, at: u64) -> String {
        let output: String =
            [&mut self.pty, &mut self.stdout, &mut self.stderr].map(Text::finish).concat();
        let typed = self.typed.finish();
        let mut lines = self.text(at, 'o', &output);
        lines.push_str(&self.text(at, 'i', &typed));
        lines
    }

    fn ended(&mut self, at: u64, ending: &Ending, words: &str) -> String {
        let mut lines = self.rest(at);
        match exit_status(ending) {
            Some(status) if self.v3 => lines.push_str(&self.line(at, 'x', &status.to_string())),
            _ => lines.push_str(&self.line(at, 'm', words)),
        }
        lines
    }
}

impl Export for Asciicast {
    fn begin(&mut self) -> String {
        format!("{}\n", self.header)
    }

    fn push(&mut self, stamped: &Stamped) -> String {
        let at = stamped.at;
        match &stamped.entry {
            Entry::Output { stream, bytes } => self.output(at, *stream, bytes),
            Entry::Typed { bytes: Some(bytes), .. } => {
                let text = self.typed.push(bytes);
                self.text(at, 'i', &text)
            }
            Entry::Resize(size) => self.resize(at, *size),
            Entry::Ended(ending) => {
                let words = note(&stamped.entry).unwrap_or_default();
                self.ended(at, ending, &words)
            }
            other => note(other).map_or_else(String::new, |label| self.line(at, 'm', &label)),
        }
    }

    fn damaged(&mut self, why: &Corrupt) -> String {
        let rest = self.rest(self.last_at);
        rest + &self.line(self.last_at, 'm', &damage_words(why))
    }

    fn finish(&mut self) -> String {
        self.rest(self.last_at)
    }
}

fn common(heading: &Heading, version: u8) -> Map<String, Value> {
    let mut header = Map::new();
    header.insert("version".into(), version.into());
    header.insert("timestamp".into(), heading.started.seconds().into());
    let title = format!("{} as {} on {}", heading.user, heading.login, heading.node);
    header.insert("title".into(), title.into());
    if let Kind::Exec { command } = &heading.kind {
        header.insert("command".into(), command.as_str().into());
    }
    header
}

/// The status that a shell would show.
fn exit_status(ending: &Ending) -> Option<u32> {
    match ending {
        Ending::Exit { status } => Some(*status),
        Ending::Signal { name, .. } => {
            let known = [
                ("HUP", 1),
                ("INT", 2),
                ("QUIT", 3),
                ("ILL", 4),
                ("ABRT", 6),
                ("FPE", 8),
                ("KILL", 9),
                ("USR1", 10),
                ("SEGV", 11),
                ("USR2", 12),
                ("PIPE", 13),
                ("ALRM", 14),
                ("TERM", 15),
            ];
            known.iter().find(|(known, _)| known == name).map(|(_, number)| 128 + number)
        }
        _ => None,
    }
}

//! The screen: what the bytes so far have drawn.

use crate::cell::Cell;
use crate::flood::{self, Beginning};
use crate::keys::Keys;
use crate::lex::{Lexer, Piece};
use crate::modes::Modes;
use crate::repair::{self, Repaired};
use crate::work::Work;
use avt::{AsInput, Observation, Observer, ScreenKind, Terminal};
use core::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use unicode_normalization::UnicodeNormalization as _;
use unicode_width::UnicodeWidthChar as _;

/// Columns, least and most. Cut.
pub(crate) const COLUMNS: (u16, u16) = (2, 1024);
/// Rows, least and most. Cut.
pub(crate) const ROWS: (u16, u16) = (1, 512);
/// Bytes among which lines that scroll away are looked for at once.
const FLOOD_BYTES: usize = 1024 * 1024;
/// What is drawn between two looks at how much work it was: bytes, and sequences among them.
const BITE: (usize, usize) = (4 * 1024, 4);
/// Cells for which there is room at once while lines are wrapped anew, 16 bytes each.
const REWRAPPED: usize = 1024 * 1024;
/// Our own APC string in a dump: a combining mark that comes next joins the character before the cursor.
const JOINS: &str = "scry:join";

/// What a terminal shows, without scrollback.
///
/// Equal screens ([`PartialEq`]) show the same and go on alike, whatever is fed to both.
pub struct Screen {
    lexer: Lexer,
    picture: Picture,
    faults: u32,
}

/// The emulator, and what it does not keep.
struct Picture {
    terminal: Terminal,
    modes: Modes,
    /// Whether the last thing was a character, so that a combining mark belongs to it.
    joins: bool,
    /// Whether it is sure that the whole screen scrolls, no part of it (DECSTBM).
    scrolls_whole: bool,
    /// Whether it is sure that lines are wrapped (DECAWM), now and when a kept cursor comes back.
    wraps_always: bool,
    work: Work,
    /// The lines that left the primary screen, where somebody wants to know.
    left: Option<Vec<Row>>,
}

/// A row of text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Its text, without trailing spaces.
    pub text: String,
    /// Whether its line goes on in the next one.
    pub wraps: bool,
}

impl Screen {
    /// An empty screen of the nearest size within 2…1,024 columns and 1…512 rows.
    #[must_use]
    pub fn new(cols: u16, rows: u16) -> Self {
        let (cols, rows) = clamped(cols, rows);
        let terminal = terminal(cols.into(), rows.into());
        let picture = Picture {
            terminal,
            modes: Modes::default(),
            joins: false,
            scrolls_whole: true,
            wraps_always: true,
            work: Work::default(),
            left: None,
        };
        Self { lexer: Lexer::default(), picture, faults: 0 }
    }

    /// Draws bytes. Where they are cut does not matter.
    ///
    /// Should the emulator panic, the picture begins anew, empty, and [`Screen::faults`] counts it;
    /// the process goes on, and so does whoever records the bytes.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.feed_until(bytes, u64::MAX);
    }

    /// Draws bytes as [`Screen::feed`] does, until [`Screen::work`] has come so far, or some milliseconds further: how many of
    /// them are drawn. The others are still to be fed.
    pub fn feed_until(&mut self, bytes: &[u8], until: u64) -> usize {
        let drawn = catch_unwind(AssertUnwindSafe(|| self.draw(bytes, until)));
        drawn.unwrap_or_else(|_| {
            self.begin_anew();
            bytes.len()
        })
    }

    /// Draws bytes as [`Screen::feed`] does, every line of them, and tells which rows left the primary screen at its top
    /// meanwhile, because it was scrolled or emptied (ED 2).
    pub fn feed_and_tell(&mut self, bytes: &[u8]) -> Vec<Row> {
        self.picture.left = Some(Vec::new());
        self.picture.work.read(bytes.len());
        let drawn = catch_unwind(AssertUnwindSafe(|| {
            let Self { lexer, picture, .. } = self;
            lexer.feed(bytes, |piece| picture.take(piece));
        }));
        let left = self.picture.left.take();
        if drawn.is_err() {
            self.begin_anew();
        }
        left.unwrap_or_default()
    }

    /// How much was drawn and wrapped anew on it, in cells that were touched, roughly: a few nanoseconds each. Two bytes that
    /// clear the largest screen touch a million.
    #[must_use]
    pub fn work(&self) -> u64 {
        self.picture.work.0
    }

    /// Draws bytes, but for lines that scroll away within them, until so much work is done: answers how many.
    fn draw(&mut self, bytes: &[u8], until: u64) -> usize {
        let rows = self.size().1;
        let Self { lexer, picture, .. } = self;
        let mut left = bytes;
        while !left.is_empty() && picture.work.0 < until {
            let window = left.get(..FLOOD_BYTES).unwrap_or(left);
            let mut length = memchr::memchr(b'\n', window).map_or(window.len(), |at| at + 1);
            // Where characters are inserted, those that are drawn cost too much to be drawn at once.
            if lexer.rests() && picture.scrolls_whole && !picture.modes.insert {
                match flood::split(window, rows) {
                    Beginning::Flood(run) => {
                        let (gone, seen) = window.split_at(window.len() - run.seen.len());
                        picture.work.passed(gone.len());
                        run.pens().for_each(|pen| lexer.feed(pen, |piece| picture.take(piece)));
                        // Without these lines, what was drawn before would stand where it never stood.
                        let seen = seen.get(..run.end).unwrap_or(seen);
                        lexer.feed(seen, |piece| picture.take(piece));
                        left = left.get(gone.len() + seen.len()..).unwrap_or_default();
                        continue;
                    }
                    Beginning::Other(other) => length = other,
                }
            }
            let (mut now, behind) = left.split_at(length);
            while !now.is_empty() && picture.work.0 < until {
                let (bite, rest) = now.split_at(bite(now));
                picture.work.read(bite.len());
                lexer.feed(bite, |piece| picture.take(piece));
                now = rest;
            }
            left = left.get(left.len() - behind.len() - now.len()..).unwrap_or_default();
        }
        bytes.len() - left.len()
    }

    /// Gives the screen another size (clamped as in [`Screen::new`]); lines of the primary screen are wrapped anew.
    pub fn resize(&mut self, cols: u16, rows: u16) {
        let (cols, rows) = clamped(cols, rows);
        let before = self.size();
        if before == (cols, rows) {
            return;
        }
        self.picture.work.wrapped(before, (cols, rows));
        let terminal = &mut self.picture.terminal;
        let drawn = catch_unwind(AssertUnwindSafe(|| {
            narrow(terminal, cols.into());
            terminal.resize(cols.into(), rows.into());
            leave_stray_origin(terminal);
            set_first_new_tab(terminal, before.0);
        }));
        self.picture.joins = false;
        // The emulator forgets margins only where the rows change.
        self.picture.scrolls_whole |= before.1 != rows;
        if drawn.is_err() || self.size() != (cols, rows) {
            self.picture.terminal = self::terminal(cols.into(), rows.into());
            self.begin_anew();
        }
    }

    /// Columns and rows.
    #[must_use]
    pub fn size(&self) -> (u16, u16) {
        let (cols, rows) = self.picture.terminal.size();
        (u16::try_from(cols).unwrap_or(u16::MAX), u16::try_from(rows).unwrap_or(u16::MAX))
    }

    /// Escape sequences that bring a new screen of the same size to where this one is:
    /// both screens, cursor, margins, tabs, modes, titles, and what of a sequence or character is pending.
    #[must_use]
    pub fn dump(&self) -> Vec<u8> {
        let mut out = self.dump_parts().concat();
        self.picture.modes.dump_titles(&mut out);
        if self.picture.joins {
            out.push_str("\u{1b}_");
            out.push_str(JOINS);
            out.push_str("\u{1b}\\");
        }
        let mut out = out.into_bytes();
        out.extend_from_slice(&self.pending());
        out
    }

    /// As [`Screen::dump`], without titles and what is unfinished: what stands before the picture, the picture, and the rest.
    pub(crate) fn dump_parts(&self) -> [String; 3] {
        let Picture { terminal, modes, .. } = &self.picture;
        let drawn = catch_unwind(AssertUnwindSafe(|| terminal.dump()));
        let drawn = drawn.unwrap_or_else(|_| self.text().join("\r\n"));
        let (mut before, mut after) = (String::new(), String::new());
        modes.dump_before(&mut before);
        modes.dump_after(&mut after);
        [before, repair::colours(&drawn), after]
    }

    /// The beginning of a sequence or character that is unfinished.
    pub(crate) fn pending(&self) -> Vec<u8> {
        self.lexer.pending()
    }

    /// Whether no sequence and no character is unfinished.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.lexer.rests()
    }

    /// Column and row of the cursor, from 0; `None` when it is hidden.
    #[must_use]
    pub fn cursor(&self) -> Option<(u16, u16)> {
        self.picture.terminal.cursor().visible.then(|| self.caret())
    }

    /// Column and row of the cursor, from 0, shown or not.
    #[must_use]
    pub fn caret(&self) -> (u16, u16) {
        let cursor = self.picture.terminal.cursor();
        let (cols, rows) = self.size();
        let fit = |n: usize, size: u16| u16::try_from(n).unwrap_or(u16::MAX).min(size - 1);
        (fit(cursor.col, cols), fit(cursor.row, rows))
    }

    /// What is at a column and row from 0; blank outside the screen.
    #[must_use]
    pub fn cell(&self, col: u16, row: u16) -> Cell {
        let line = self.picture.terminal.screen().line(row.into());
        let cell = line.and_then(|line| line.cells().get(usize::from(col)));
        cell.map_or_else(Cell::default, Cell::from)
    }

    /// The cells of a row, from 0; none outside the screen.
    pub fn row(&self, row: u16) -> impl Iterator<Item = Cell> {
        let line = self.picture.terminal.screen().line(row.into());
        line.into_iter().flat_map(|line| line.cells()).map(Cell::from)
    }

    /// The characters of a row, from 0, those of wide ones once; none outside the screen.
    pub fn chars(&self, row: u16) -> impl Iterator<Item = char> {
        let line = self.picture.terminal.screen().line(row.into());
        line.into_iter()
            .flat_map(|line| line.cells())
            .filter(|cell| cell.width() > 0)
            .map(avt::Cell::char)
    }

    /// The text of a row, without trailing spaces.
    #[must_use]
    pub fn row_text(&self, row: u16) -> String {
        self.picture.terminal.screen().line(row.into()).map(text_of).unwrap_or_default()
    }

    /// The last characters, at most so many, of the line that the cursor is at the end of. `None` where lines that come next would
    /// not stand below each other as they come: something is behind the cursor, less than the whole screen scrolls, lines are
    /// not wrapped, or a sequence is unfinished.
    #[must_use]
    pub fn line_to_end(&self, most: usize) -> Option<String> {
        let Picture { terminal, modes, scrolls_whole, wraps_always, .. } = &self.picture;
        if !self.lexer.rests() || !scrolls_whole || !wraps_always || modes.insert {
            return None;
        }
        let (cursor, screen) = (terminal.cursor(), terminal.screen());
        let blank = |cells: &[avt::Cell]| cells.iter().all(|cell| cell.char() == ' ');
        let first = screen.line(cursor.row)?;
        let below = (cursor.row + 1..terminal.size().1).map_while(|row| screen.line(row));
        let open = |line: &avt::Line, from: usize| {
            !line.is_wrapped() && blank(line.cells().get(from..).unwrap_or_default())
        };
        if !open(first, cursor.col) || !below.into_iter().all(|line| open(line, 0)) {
            return None;
        }
        let (mut row, mut col) = (cursor.row, cursor.col);
        let mut before: Vec<char> = Vec::new();
        loop {
            let cells = screen.line(row)?.cells().get(..col)?;
            let chars = cells.iter().rev().filter(|cell| cell.width() > 0).map(avt::Cell::char);
            before.extend(chars.take(most.saturating_sub(before.len())));
            let Some(above) = row.checked_sub(1) else { break };
            if before.len() >= most || !screen.line(above)?.is_wrapped() {
                break;
            }
            (row, col) = (above, screen.line(above)?.cells().len());
        }
        Some(before.into_iter().rev().collect())
    }

    /// Whether the line goes on in the next row.
    #[must_use]
    pub fn wraps(&self, row: u16) -> bool {
        self.picture.terminal.screen().line(row.into()).is_some_and(avt::Line::is_wrapped)
    }

    /// The text of all rows, each without trailing spaces.
    #[must_use]
    pub fn text(&self) -> Vec<String> {
        (0..self.size().1).map(|row| self.row_text(row)).collect()
    }

    /// Title of the window.
    #[must_use]
    pub fn title(&self) -> Option<&str> {
        self.picture.modes.title()
    }

    /// What the program has asked of the terminal beside the picture.
    #[must_use]
    pub fn modes(&self) -> &Modes {
        &self.picture.modes
    }

    /// What a viewer's own terminal must be set to, for its keyboard and mouse to behave as the program asked.
    #[must_use]
    pub fn keys(&self) -> Keys {
        Keys::of(self)
    }

    /// Whether the cursor keys send their application sequences (DECCKM).
    #[must_use]
    pub fn application_cursor_keys(&self) -> bool {
        self.picture.terminal.cursor_key_app_mode()
    }

    /// Whether the alternate screen is shown.
    #[must_use]
    pub fn is_alternate(&self) -> bool {
        self.picture.modes.alternate
    }

    /// How often the emulator panicked and the picture began anew.
    #[must_use]
    pub fn faults(&self) -> u32 {
        self.faults
    }

    fn begin_anew(&mut self) {
        let (cols, rows) = self.picture.terminal.size();
        self.lexer = Lexer::default();
        self.picture.terminal = terminal(cols, rows);
        self.picture.modes.set_alternate(false);
        self.picture.joins = false;
        self.picture.scrolls_whole = true;
        self.picture.wraps_always = true;
        self.faults = self.faults.saturating_add(1);
    }
}

impl PartialEq for Screen {
    fn eq(&self, other: &Self) -> bool {
        self.size() == other.size() && self.dump() == other.dump()
    }
}

impl fmt::Debug for Screen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Screen")
            .field("size", &self.size())
            .field("cursor", &self.cursor())
            .field("text", &self.text())
            .finish_non_exhaustive()
    }
}

impl Picture {
    fn take(&mut self, piece: Piece<'_>) {
        self.work.took(&piece, self.terminal.size(), self.modes.insert);
        match piece {
            Piece::Text(text) if text.is_ascii() => self.print(text),
            Piece::Text(text) => self.filter(text),
            Piece::Control(ch) => {
                self.joins = false;
                match ch {
                    '\u{8d}' => self.go_back_a_line(),
                    _ => self.feed(ch),
                }
            }
            Piece::Escape(whole) => {
                // The end of a string is no drawing.
                if whole != "\u{1b}\\" {
                    self.joins = false;
                    self.modes.escape(whole);
                    if whole == "\u{1b}c" {
                        self.scrolls_whole = true;
                        self.wraps_always = true;
                    }
                    match whole {
                        "\u{1b}M" => self.go_back_a_line(),
                        _ => self.feed(whole),
                    }
                }
            }
            Piece::Csi { body, last } => {
                self.joins = false;
                self.modes.csi(body, last);
                match last {
                    'r' => self.margin(body),
                    'l' if sets(body, 7) => self.wraps_always = false,
                    'p' if body.ends_with('!') => self.scrolls_whole = true,
                    _ => {}
                }
                match repair::csi(body, last) {
                    Repaired::Same => {
                        self.feed("\u{1b}[");
                        self.feed(body);
                        self.feed(last);
                    }
                    Repaired::Other(sequence) => self.feed(sequence.as_str()),
                    Repaired::Nothing => {}
                }
                if matches!(last, 'h' | 'l') {
                    let kind = self.terminal.active_screen_kind();
                    self.modes.set_alternate(kind == ScreenKind::Alternate);
                }
            }
            Piece::Osc(body) => self.modes.osc(body),
            Piece::Apc(body) => self.joins |= body == JOINS,
        }
    }

    /// What `CSI body r` makes of the margins. What the emulator may refuse counts as less than the whole screen.
    fn margin(&mut self, body: &str) {
        let (first, last) = body.split_once(';').unwrap_or((body, ""));
        let number = |text: &str| if text.is_empty() { Ok(0) } else { text.parse::<usize>() };
        let whole = matches!(number(first), Ok(0 | 1))
            && number(last).is_ok_and(|last| last == 0 || last == self.terminal.size().1);
        self.scrolls_whole = whole;
    }

    /// RI: a line up, or the lines down where there is none. The emulator would count it from the margins in origin mode.
    fn go_back_a_line(&mut self) {
        let row = self.terminal.cursor().row;
        self.feed("\u{1b}[A");
        if self.terminal.cursor().row == row {
            self.feed("\u{1b}M");
        }
    }

    fn feed(&mut self, input: impl AsInput) {
        match &mut self.left {
            Some(left) => self.terminal.feed_with(input, Leaving(left)),
            None => self.terminal.feed(input),
        }
    }

    fn print(&mut self, text: &str) {
        if !text.is_empty() {
            self.joins = true;
            self.feed(text);
        }
    }

    /// Prints text of any script. A mark that takes no column joins the character before it or is dropped:
    /// the emulator would give it a column of its own, and every column behind it would be wrong.
    fn filter(&mut self, text: &str) {
        let mut rest = text;
        while let Some((at, mark)) = rest.char_indices().find(|(_, ch)| ch.width() == Some(0)) {
            let (before, after) = rest.split_at(at);
            self.print(before);
            self.work.joined();
            self.join(mark);
            rest = after.get(mark.len_utf8()..).unwrap_or_default();
        }
        self.print(rest);
    }

    fn join(&mut self, mark: char) {
        let cursor = self.terminal.cursor();
        if !self.joins || cursor.col == 0 {
            return;
        }
        let Some(line) = self.terminal.screen().line(cursor.row) else { return };
        let before = line.cells().get(..cursor.col).unwrap_or_default();
        let Some((col, base)) = before.iter().enumerate().rfind(|(_, cell)| cell.width() > 0)
        else {
            return;
        };
        let mut composed = [base.char(), mark].into_iter().nfc();
        let (Some(ch), None) = (composed.next(), composed.next()) else { return };
        if ch.width() != Some(base.width().into()) || ch.is_ascii() {
            return;
        }
        // Written over in place: the column is absolute, so that margins and a pending wrap do not matter.
        let (off, on) = if self.modes.insert { ("\u{1b}[4l", "\u{1b}[4h") } else { ("", "") };
        let sequence = format!("{off}\u{1b}[{}G{ch}{on}", col + 1);
        self.feed(sequence.as_str());
    }
}

/// The text of a line, without trailing spaces.
fn text_of(line: &avt::Line) -> String {
    let mut text = line.text();
    text.truncate(text.trim_end().len());
    text
}

/// Hears which lines leave the primary screen.
struct Leaving<'l>(&'l mut Vec<Row>);

impl Observer for Leaving<'_> {
    type Output = ();

    fn evicted(&mut self, _: &mut Observation<'_>, line: &avt::Line) {
        self.0.push(Row { text: text_of(line), wraps: line.is_wrapped() });
    }

    fn end(&mut self, _: &mut Observation<'_>) {}
}

/// How many bytes are drawn before it is looked at how much work that was.
fn bite(bytes: &[u8]) -> usize {
    let bytes = bytes.get(..BITE.0).unwrap_or(bytes);
    memchr::memchr2_iter(0x1b, 0x9b, bytes).nth(BITE.1).unwrap_or(bytes.len())
}

/// Brings a wide screen near to `cols` by halves, where the emulator would take too much at once: it cuts a line into
/// pieces each of which keeps the room of all that was left of the line, and lets go of those that find no place at the end.
fn narrow(terminal: &mut Terminal, cols: usize) {
    let (mut width, rows) = terminal.size();
    while width / 2 > cols && width * width / (2 * cols) * rows > REWRAPPED {
        width /= 2;
        terminal.resize(width, rows);
    }
}

/// A resize may leave the cursor outside the margins while origin mode is on, which no sequence can rebuild
/// and xterm never has (it drops the margins). Origin mode is switched off then.
fn leave_stray_origin(terminal: &mut Terminal) {
    let dump = terminal.dump();
    let Some((_, tail)) = dump.rsplit_once("\u{1b}[?6h") else { return };
    let margins = tail.strip_prefix("\u{1b}[").and_then(|rest| rest.split_once('r'));
    let tail = match margins {
        Some((numbers, rest)) if !numbers.contains('\u{1b}') => rest,
        _ => tail,
    };
    if tail.starts_with("\u{1b}[u") {
        let cursor = terminal.cursor();
        terminal.feed(format!("\u{1b}[?6l\u{1b}[{};{}H", cursor.row + 1, cursor.col + 1).as_str());
    }
}

/// A screen that becomes wider gets tabs in its new columns; the emulator leaves out the first of these.
fn set_first_new_tab(terminal: &mut Terminal, before: u16) {
    let (col, cols) = (terminal.cursor().col, terminal.size().0);
    // Behind the last column the cursor waits to wrap, and would not any more.
    if before.is_multiple_of(8) && usize::from(before) < cols && col < cols {
        let sequence = format!("\u{1b}[{}G\u{1b}H\u{1b}[{}G", before + 1, col + 1);
        terminal.feed(sequence.as_str());
    }
}

/// Whether a private mode is among those that `CSI body h` or `l` sets.
fn sets(body: &str, mode: u16) -> bool {
    let numbers = body.strip_prefix('?').into_iter().flat_map(|body| body.split(';'));
    numbers.into_iter().any(|number| number.parse() == Ok(mode))
}

fn clamped(cols: u16, rows: u16) -> (u16, u16) {
    (cols.clamp(COLUMNS.0, COLUMNS.1), rows.clamp(ROWS.0, ROWS.1))
}

#[expect(
    clippy::expect_used,
    reason = "the emulator refuses only a size of 0, and sizes are clamped"
)]
fn terminal(cols: usize, rows: usize) -> Terminal {
    Terminal::new(cols.max(1), rows.max(1)).expect("a size of at least 1×1")
}

//! What a program wrote on a terminal, as on paper: the lines of the primary screen as they leave it, and where a program had
//! the whole screen.

use model::Seq;
use model::limit::ENTRY_WORK;
use screen::{Row, Screen};

/// When something was written: the time, and the entry.
pub(crate) type Moment = (u64, Seq);

/// Something to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Said {
    /// A row, and when it was last written.
    Row(Row, Moment),
    /// A program had the whole screen.
    FullScreen { from: u64, until: u64 },
    /// So many bytes were not drawn, for it was too much work.
    LeftOut { bytes: usize, when: Moment },
}

/// What it costs to look at a cell.
const LOOKED: u64 = 4;

/// What was told of a screen that goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Marker {
    /// Rows at its top.
    pub rows: u16,
    /// Since when a program has the whole screen.
    pub alternate_since: Option<u64>,
}

/// A screen that tells its lines, each once.
pub(crate) struct Paper {
    screen: Screen,
    /// When each row was last written.
    written: Vec<Moment>,
    marker: Marker,
    /// The primary screen has another size since it was seen last.
    refolded: bool,
    said: Vec<Said>,
    /// What it cost to look at the screen, beside what [`Screen::work`] counts.
    looked: u64,
    /// The last entry ended within a sequence.
    within: bool,
}

impl Paper {
    /// Goes on with a screen. When its rows were written is not known: they stand there at this moment.
    pub(crate) fn new(screen: Screen, now: Moment) -> Self {
        let written = vec![now; screen.size().1.into()];
        let alternate_since = screen.is_alternate().then_some(now.0);
        let marker = Marker { rows: 0, alternate_since };
        let within = !screen.is_whole();
        Self { screen, written, marker, refolded: false, said: Vec::new(), looked: 0, within }
    }

    /// What there is to tell since this was asked last, in order.
    pub(crate) fn take(&mut self) -> Vec<Said> {
        std::mem::take(&mut self.said)
    }

    /// Columns and rows.
    pub(crate) fn size(&self) -> (u16, u16) {
        self.screen.size()
    }

    pub(crate) fn marker(&self) -> Marker {
        self.marker
    }

    /// Goes on where somebody was with the same screen.
    pub(crate) fn set_marker(&mut self, marker: Marker) {
        self.marker.rows = marker.rows.min(self.screen.size().1);
        // A keyframe does not say since when.
        let known = self.marker.alternate_since;
        self.marker.alternate_since = known.map(|at| at.min(marker.alternate_since.unwrap_or(at)));
    }

    /// What drawing cost so far, looks included.
    pub(crate) fn work(&self) -> u64 {
        self.screen.work().saturating_add(self.looked)
    }

    /// Draws what an entry put out, and tells of it up to [`ENTRY_WORK`].
    pub(crate) fn feed(&mut self, now: Moment, bytes: &[u8]) {
        let until = self.work().saturating_add(ENTRY_WORK);
        let mut rest = bytes;
        while !rest.is_empty() {
            if self.work() > until {
                return self.pass_over(now, rest);
            }
            let length = if self.within { 1 } else { piece_len(&self.screen, rest) };
            let (piece, behind) = rest.split_at(length);
            let fed = feed_piece(&mut self.screen, piece, self.within);
            let begins =
                self.within || matches!(piece, [0x1b] | [0x1b, b'[', ..] | [0xc2, 0x9b, ..]);
            self.within = begins && !self.screen.is_whole() && !is_string(piece);
            let Fed { left, told, change, wrote, looked } = fed;
            self.looked = self.looked.saturating_add(looked);
            for (place, row) in left.into_iter().enumerate() {
                self.scrolled(now, row, place < told);
            }
            self.changed(now, change);
            for row in wrote {
                if let Some(written) = self.written.get_mut(row) {
                    *written = now;
                }
            }
            rest = behind;
        }
    }

    /// Draws what is too much work to tell of, as far as it is not too much work, too.
    fn pass_over(&mut self, now: Moment, rest: &[u8]) {
        let mut stood = if self.screen.is_alternate() { Vec::new() } else { rows(&self.screen) };
        cut(&mut stood);
        self.tell(stood.clone());
        self.end_full_screen(now);
        self.said.push(Said::LeftOut { bytes: rest.len(), when: now });
        let until = self.screen.work().saturating_add(ENTRY_WORK);
        if self.screen.feed_until(rest, until) < rest.len() {
            // How it goes on is not known: what comes next is drawn on an empty screen.
            self.screen.feed(b"\x18\x1bc");
            stood.clear();
        }
        self.within = !self.screen.is_whole();
        self.marker.alternate_since = self.screen.is_alternate().then_some(now.0);
        if !self.screen.is_alternate() {
            let stands = rows(&self.screen);
            let same = stood.iter().zip(&stands).take_while(|(before, now)| before == now);
            self.marker.rows = u16::try_from(same.count()).unwrap_or(u16::MAX);
        }
        self.written.fill(now);
    }

    /// The first row left the screen, the others moved up.
    fn scrolled(&mut self, now: Moment, row: Row, told: bool) {
        let when = self.written.first().copied().unwrap_or(now);
        match self.marker.rows.checked_sub(1) {
            Some(rows) => self.marker.rows = rows,
            None if told => self.said.push(Said::Row(row, when)),
            None => {}
        }
        self.written.rotate_left(1);
        if let Some(last) = self.written.last_mut() {
            *last = now;
        }
    }

    fn changed(&mut self, now: Moment, change: Change) {
        match change {
            Change::Stay => {}
            Change::Switched { above: Some(above) } => {
                self.tell(above);
                self.marker.alternate_since = Some(now.0);
            }
            Change::Switched { above: None } => {
                self.end_full_screen(now);
                // A reset has emptied it.
                if is_blank(&self.screen) {
                    self.marker.rows = 0;
                }
                if std::mem::take(&mut self.refolded) {
                    self.marker.rows = self.screen.caret().1;
                    self.written = vec![now; self.screen.size().1.into()];
                }
            }
            Change::Cleared(rows) => {
                self.tell(rows);
                self.marker.rows = 0;
                self.written.fill(now);
            }
        }
    }

    fn end_full_screen(&mut self, now: Moment) {
        if let Some(from) = self.marker.alternate_since.take() {
            self.said.push(Said::FullScreen { from, until: now.0 });
        }
    }

    /// Tells the first rows of the screen, those that were not told.
    fn tell(&mut self, rows: Vec<Row>) {
        let (told, end) = (usize::from(self.marker.rows), rows.len());
        let when = self.written.iter().copied();
        self.said.extend(rows.into_iter().zip(when).skip(told).map(|(row, at)| Said::Row(row, at)));
        self.marker.rows = u16::try_from(end.max(told)).unwrap_or(u16::MAX);
    }

    /// Tells the lines above the one with the cursor, so that what follows stands behind them.
    pub(crate) fn catch_up(&mut self) {
        if !self.screen.is_alternate() {
            self.tell(above(&self.screen, rows(&self.screen)));
        }
    }

    /// Tells what stayed on the screen: nothing comes any more.
    pub(crate) fn finish(&mut self, now: Moment) {
        self.end_full_screen(now);
        if !self.screen.is_alternate() {
            let mut left = rows(&self.screen);
            cut(&mut left);
            self.tell(left);
        }
    }

    /// The screen has another size now. Lines that found no place on it any more are told.
    pub(crate) fn resize(&mut self, now: Moment, cols: u16, rows: u16) {
        if self.screen.is_alternate() {
            self.screen.resize(cols, rows);
            self.refolded = true;
            return;
        }
        let width = self.screen.size().0;
        let before = above(&self.screen, self::rows(&self.screen));
        self.screen.resize(cols, rows);
        let after = above(&self.screen, self::rows(&self.screen));
        let all_there = joined(&before).eq(joined(&after));
        let (mut written, below) = refolded(&before, &self.written, &after);
        written.extend_from_slice(below);
        if !all_there || (width != self.screen.size().0 && self.marker.rows > 0) {
            // Where those that were told stand now is not known: so all are.
            self.tell(before);
            self.marker.rows = u16::try_from(after.len()).unwrap_or(u16::MAX);
        }
        written.resize(self.screen.size().1.into(), now);
        self.written = written;
    }
}

/// When each row was written, of lines that are wrapped otherwise now or of which the first are gone; and of the rows below.
fn refolded<'w>(
    before: &[Row],
    written: &'w [Moment],
    after: &[Row],
) -> (Vec<Moment>, &'w [Moment]) {
    let (above, below) = written.split_at_checked(before.len()).unwrap_or((written, &[]));
    let lines = before.split_inclusive(|row| !row.wraps).scan(above, |left, line| {
        let (these, behind) = left.split_at_checked(line.len())?;
        *left = behind;
        these.iter().max().copied()
    });
    let lines: Vec<Moment> = lines.collect();
    let now = after.split_inclusive(|row| !row.wraps);
    let gone = lines.len().saturating_sub(now.clone().count());
    let rows = now.zip(lines.into_iter().skip(gone));
    (rows.flat_map(|(line, at)| std::iter::repeat_n(at, line.len())).collect(), below)
}

/// What became of a screen's lines, beside those that scrolled away.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Change {
    /// None of them has gone.
    Stay,
    /// The alternate screen is shown from here on: what stood above the line with the cursor; or no more.
    Switched { above: Option<Vec<Row>> },
    /// All have gone; those behind the last with text are not among them.
    Cleared(Vec<Row>),
}

/// What came of a piece.
struct Fed {
    /// Rows that scrolled away.
    left: Vec<Row>,
    /// How many of them are worth telling.
    told: usize,
    change: Change,
    /// Rows that were written.
    wrote: Vec<usize>,
    /// What it cost to look.
    looked: u64,
}

/// Feeds a piece of [`piece_len`], or a byte of a sequence.
fn feed_piece(screen: &mut Screen, piece: &[u8], within: bool) -> Fed {
    let was_alternate = screen.is_alternate();
    let sequence = within || sequence_len(piece).is_some();
    let may_clear = !was_alternate && (within || may_clear(screen, piece));
    let edits = sequence && matches!(piece.last(), Some(b'@' | b'K' | b'P' | b'X' | b'b'));
    let mut before = if may_clear { rows(screen) } else { Vec::new() };
    let over = if may_clear { line_of_caret(screen, &before) } else { 0 };
    let from = usize::from(screen.caret().1);
    let edited = edits.then(|| text_of(screen, from));
    let mut left = screen.feed_and_tell(piece);
    let mut told = left.len();
    let to = usize::from(screen.caret().1);
    let wrote = match edited {
        _ if screen.is_alternate() => Vec::new(),
        // It may only have moved the cursor.
        _ if may_clear => (to.saturating_sub(1)..=to)
            .filter(|row| before.get(*row).map(|row| &row.text) != Some(&text_of(screen, *row)))
            .collect(),
        Some(text) if text == text_of(screen, from) => Vec::new(),
        None if sequence => Vec::new(),
        _ => vec![from, to],
    };
    let change = if screen.is_alternate() != was_alternate {
        before.truncate(over);
        Change::Switched { above: (!was_alternate).then_some(before) }
    } else if may_clear && is_blank(screen) {
        if left.is_empty() {
            cut(&mut before);
        } else {
            // They are told as those that scrolled away; what is blank below is not.
            before.clear();
            told = used(&left);
            end_line(left.get_mut(..told).unwrap_or_default());
        }
        Change::Cleared(before)
    } else {
        Change::Stay
    };
    let (cols, rows) = screen.size();
    let cells = if may_clear { u64::from(cols) * u64::from(rows) } else { 0 };
    Fed { left, told, change, wrote, looked: LOOKED * cells }
}

/// Whether the primary screen may be empty behind a piece, or another one shown.
fn may_clear(screen: &Screen, piece: &[u8]) -> bool {
    let body = match piece {
        [0x1b, b'[', body @ ..] | [0xc2, 0x9b, body @ ..] => body,
        _ => return piece == b"\x1bc",
    };
    match body.split_last() {
        Some((b'h' | b'l', modes)) => modes.windows(2).any(|two| two == b"47" || two == b"49"),
        Some((b'J', b"" | b"0")) => {
            (0..screen.caret().1).all(|row| screen.row_text(row).is_empty())
        }
        Some((last, _)) => *last == b'J',
        None => false,
    }
}

/// Whether the last byte makes a string of what begins with an escape.
fn is_string(piece: &[u8]) -> bool {
    matches!(piece.last(), Some(b']' | b'P' | b'X' | b'^' | b'_'))
}

/// Length of the control sequence or escape sequence that bytes begin with, as far as it is there.
fn sequence_len(bytes: &[u8]) -> Option<usize> {
    let end = |from: usize, between: core::ops::RangeInclusive<u8>| {
        let inside = bytes.iter().skip(from).take_while(|byte| between.contains(*byte)).count();
        Some((from + inside + 1).min(bytes.len()))
    };
    match bytes {
        [0x1b, b'[', ..] | [0xc2, 0x9b, ..] => end(2, 0x20..=0x3f),
        // Strings: nothing in them is drawn, wherever they are cut.
        [0x1b, b']' | b'P' | b'X' | b'^' | b'_', ..] => Some(2),
        [0x1b, 0x1b, ..] => Some(1),
        [0x1b, ..] => end(1, 0x20..=0x2f),
        _ => None,
    }
}

/// Leaves out the rows behind the last one with text.
fn cut(rows: &mut Vec<Row>) {
    rows.truncate(used(rows));
    end_line(rows);
}

/// The last row ends its line, whatever blanks the line went on with.
fn end_line(rows: &mut [Row]) {
    if let Some(last) = rows.last_mut() {
        last.wraps = false;
    }
}

fn text_of(screen: &Screen, row: usize) -> String {
    screen.row_text(u16::try_from(row).unwrap_or(u16::MAX))
}

/// Rows up to the last one with text.
fn used(rows: &[Row]) -> usize {
    rows.iter().rposition(|row| !row.text.is_empty()).map_or(0, |row| row + 1)
}

/// All rows of a screen.
fn rows(screen: &Screen) -> Vec<Row> {
    let all = 0..screen.size().1;
    all.map(|row| Row { text: screen.row_text(row), wraps: screen.wraps(row) }).collect()
}

/// The row in which the line with the cursor begins.
fn line_of_caret(screen: &Screen, rows: &[Row]) -> usize {
    let caret = usize::from(screen.caret().1);
    let above = rows.get(..caret).unwrap_or(rows);
    above.iter().rposition(|row| !row.wraps).map_or(0, |row| row + 1)
}

/// The rows above that line.
fn above(screen: &Screen, mut rows: Vec<Row>) -> Vec<Row> {
    rows.truncate(line_of_caret(screen, &rows));
    rows
}

/// Their characters, line by line, however lines are wrapped.
fn joined(rows: &[Row]) -> impl Iterator<Item = char> {
    rows.iter().flat_map(|row| row.text.chars().chain((!row.wraps).then_some('\n')))
}

fn is_blank(screen: &Screen) -> bool {
    (0..screen.size().1).all(|row| screen.row_text(row).is_empty())
}

/// Bytes to feed at once: a line's end or a sequence alone, and of text no more than fits in the row.
fn piece_len(screen: &Screen, bytes: &[u8]) -> usize {
    if bytes.first() == Some(&b'\n') {
        return 1;
    }
    if let Some(length) = sequence_len(bytes) {
        return length;
    }
    let left = screen.size().0.saturating_sub(screen.caret().0).max(1);
    let most = bytes.len().min(left.into());
    // A byte of 0xc2 may begin a control sequence of one character.
    let stop =
        bytes.iter().skip(1).take(most - 1).position(|b| matches!(b, 0x0a..=0x0c | 0x1b | 0xc2));
    stop.map_or(most, |at| at + 1)
}

/// That some bytes were not drawn, in words.
pub(crate) fn left_out(bytes: usize) -> String {
    format!(
        "{bytes} bytes are left out here: they clear and draw the screen too often to be told as text"
    )
}

/// Text that does nothing to a terminal: control characters as their pictures (Unicode block 2400).
pub(crate) fn printable(text: &str) -> String {
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

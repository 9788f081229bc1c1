//! What a program wrote on a terminal, as on paper: the lines of the primary screen as they leave it, and where a program had
//! the whole screen.

use model::Seq;
use screen::Screen;

/// When something was written: the time, and the entry.
pub(crate) type Moment = (u64, Seq);

/// Something to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Said {
    /// A row, and when it was last written.
    Row(Row, Moment),
    /// A program had the whole screen.
    FullScreen { from: u64, until: u64 },
}

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
}

impl Paper {
    /// Goes on with a screen. When its rows were written is not known: they stand there at this moment.
    pub(crate) fn new(screen: Screen, now: Moment) -> Self {
        let written = vec![now; screen.size().1.into()];
        let alternate_since = screen.is_alternate().then_some(now.0);
        let marker = Marker { rows: 0, alternate_since };
        Self { screen, written, marker, refolded: false, said: Vec::new() }
    }

    /// What there is to tell since this was asked last, in order.
    pub(crate) fn take(&mut self) -> Vec<Said> {
        std::mem::take(&mut self.said)
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

    pub(crate) fn feed(&mut self, now: Moment, bytes: &[u8]) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let (piece, behind) = rest.split_at(piece_len(&self.screen, rest));
            let (change, wrote) = feed_piece(&mut self.screen, piece);
            self.changed(now, change);
            for row in wrote {
                if let Some(written) = self.written.get_mut(row) {
                    *written = now;
                }
            }
            rest = behind;
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
                if std::mem::take(&mut self.refolded) {
                    self.marker.rows = self.screen.caret().1;
                    self.written = vec![now; self.screen.size().1.into()];
                }
            }
            Change::Scrolled(row) => {
                let when = self.written.first().copied().unwrap_or(now);
                match self.marker.rows.checked_sub(1) {
                    Some(rows) => self.marker.rows = rows,
                    None => self.said.push(Said::Row(row, when)),
                }
                self.written.rotate_left(1);
                if let Some(last) = self.written.last_mut() {
                    *last = now;
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
            left.truncate(used(&left));
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

/// A row as it stands on the screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    pub text: String,
    pub wraps: bool,
}

/// What became of a screen's lines.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Change {
    /// None of them has gone.
    Stay,
    /// The alternate screen is shown from here on: what stood above the line with the cursor; or no more.
    Switched { above: Option<Vec<Row>> },
    /// The first one has gone; the others moved up.
    Scrolled(Row),
    /// All have gone; those behind the last with text are not among them.
    Cleared(Vec<Row>),
}

/// Feeds so little that at most one row leaves the screen: a piece of [`piece_len`]. Answers also which rows it wrote.
fn feed_piece(screen: &mut Screen, piece: &[u8]) -> (Change, Vec<usize>) {
    let was_alternate = screen.is_alternate();
    let bottom = screen.size().1.saturating_sub(1);
    let at_bottom = !was_alternate && screen.caret().1 == bottom;
    let clears = !was_alternate && piece.first() == Some(&0x1b);
    let mut before = if at_bottom || clears { rows(screen) } else { Vec::new() };
    let over = line_of_caret(screen, &before);
    let from = usize::from(screen.caret().1);
    screen.feed(piece);
    let to = usize::from(screen.caret().1);
    let wrote = match (screen.is_alternate(), clears) {
        (true, _) => Vec::new(),
        (false, false) => vec![from, to],
        // It may only have moved the cursor.
        (false, true) => (to.saturating_sub(1)..=to)
            .filter(|row| before.get(*row).map(|row| &row.text) != Some(&text_of(screen, *row)))
            .collect(),
    };
    let change = if screen.is_alternate() != was_alternate {
        before.truncate(over);
        Change::Switched { above: (!was_alternate).then_some(before) }
    } else if at_bottom && scrolled(&before, screen, piece) && !before.is_empty() {
        Change::Scrolled(before.swap_remove(0))
    } else if clears && is_blank(screen) {
        before.truncate(used(&before));
        Change::Cleared(before)
    } else {
        Change::Stay
    };
    (change, wrote)
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

//! A picture of somebody's whole terminal, and the bytes that turn one picture into the next.

use crate::cell::{Cell, Colour, Style};
use crate::screen::{COLUMNS, ROWS};
use core::fmt;
use std::io::Write as _;
use unicode_width::UnicodeWidthChar as _;

/// What stands in place of a character that does not fit into one column: a control, or one of another width.
const DOT: char = '·';

/// Cells of a terminal, and where its cursor is.
///
/// Whatever is set, a wide character has its right half, a right half has its character, each is as wide as it says,
/// and there is no control: so any canvas can be painted on any terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Canvas {
    cols: u16,
    rows: u16,
    cells: Vec<Cell>,
    /// Column and row of the cursor, from 0; `None` when hidden. Outside the canvas it is hidden too.
    pub cursor: Option<(u16, u16)>,
}

impl Canvas {
    /// An empty one of at most 1,024 columns and 512 rows; more is cut.
    #[must_use]
    pub fn new(cols: u16, rows: u16) -> Self {
        let (cols, rows) = (cols.min(COLUMNS.1), rows.min(ROWS.1));
        let cells = vec![Cell::default(); usize::from(cols) * usize::from(rows)];
        Self { cols, rows, cells, cursor: None }
    }

    /// Columns and rows.
    #[must_use]
    pub fn size(&self) -> (u16, u16) {
        (self.cols, self.rows)
    }

    /// Sets a cell; outside nothing happens. A wide character takes the cell to its right as well,
    /// and becomes a space where there is none; so does the rest of one of which half is covered.
    pub fn set(&mut self, col: u16, row: u16, cell: Cell) {
        if col >= self.cols || row >= self.rows {
            return;
        }
        let half = col.checked_sub(1).filter(|left| self.cell(*left, row).width == 2);
        if let Some(left) = half {
            if cell.width == 0 {
                return;
            }
            self.hollow(left, row);
        }
        if self.cell(col, row).width == 2 {
            self.hollow(col + 1, row);
        }
        match (cell.width, cell.ch.width()) {
            (1, None | Some(0 | 2)) => self.put(col, row, Cell { ch: DOT, ..cell }),
            (1, _) => self.put(col, row, cell),
            (2, Some(2)) if col + 1 < self.cols => {
                if self.cell(col + 1, row).width == 2 {
                    self.hollow(col + 2, row);
                }
                self.put(col, row, cell);
                self.put(col + 1, row, Cell { ch: ' ', width: 0, ..cell });
            }
            _ => self.put(col, row, Cell { ch: ' ', width: 1, ..cell }),
        }
    }

    /// Writes text; returns the column behind it. Cut at `end`; what takes no column is left out.
    pub fn text(&mut self, col: u16, row: u16, end: u16, text: &str, style: Style) -> u16 {
        let mut col = col;
        for ch in text.chars() {
            let width = match ch.width() {
                Some(0) => continue,
                Some(2) => 2,
                _ => 1,
            };
            if col.saturating_add(width.into()) > end.min(self.cols) {
                break;
            }
            self.set(col, row, Cell { ch, width, style });
            col += u16::from(width);
        }
        col
    }

    /// The cell at a place; blank outside.
    #[must_use]
    pub fn cell(&self, col: u16, row: u16) -> Cell {
        let inside = col < self.cols;
        inside.then(|| self.cells.get(self.place(col, row)).copied()).flatten().unwrap_or_default()
    }

    /// The text of a row, without trailing spaces.
    #[must_use]
    pub fn row_text(&self, row: u16) -> String {
        let cells = (0..self.cols).map(|col| self.cell(col, row));
        let mut text: String = cells.filter(|cell| cell.width > 0).map(|cell| cell.ch).collect();
        text.truncate(text.trim_end().len());
        text
    }

    /// Everything in the terminal's own colours, for who wants none (`NO_COLOR`).
    pub fn drop_colours(&mut self) {
        for cell in &mut self.cells {
            cell.style.fg = Colour::Default;
            cell.style.bg = Colour::Default;
        }
    }

    /// The same at another size: what does not fit is cut, what is new is blank.
    pub(crate) fn fitted(self, cols: u16, rows: u16) -> Self {
        if self.size() == (cols, rows) {
            return self;
        }
        let mut other = Self::new(cols, rows);
        other.cursor = self.cursor;
        for row in 0..other.rows.min(self.rows) {
            for col in 0..other.cols.min(self.cols) {
                other.set(col, row, self.cell(col, row));
            }
        }
        other
    }

    fn lines(&self) -> impl Iterator<Item = &[Cell]> {
        self.cells.chunks(usize::from(self.cols).max(1))
    }

    fn place(&self, col: u16, row: u16) -> usize {
        usize::from(row) * usize::from(self.cols) + usize::from(col)
    }

    fn put(&mut self, col: u16, row: u16, cell: Cell) {
        let place = self.place(col, row);
        if let Some(at) = self.cells.get_mut(place) {
            *at = cell;
        }
    }

    /// Makes what is left of a wide character a space.
    fn hollow(&mut self, col: u16, row: u16) {
        self.put(col, row, Cell { ch: ' ', width: 1, ..self.cell(col, row) });
    }
}

/// Writes what turns a terminal that shows `before` into one that shows `after`;
/// without a `before` of the same size it is cleared first. As one synchronized update (mode 2026).
///
/// The terminal must be as `before` left it, or in its usual state: no margins, no insert mode, UTF-8.
pub fn write_changes(out: &mut Vec<u8>, before: Option<&Canvas>, after: &Canvas) {
    out.extend_from_slice(b"\x1b[?2026h\x1b[?25l");
    let cleared;
    let before = match before.filter(|before| before.size() == after.size()) {
        Some(before) => before,
        None => {
            out.extend_from_slice(b"\x1b[m\x1b[2J");
            cleared = Canvas::new(after.cols, after.rows);
            &cleared
        }
    };
    let mut pen = None;
    for (row, (old, new)) in (0u16..).zip(before.lines().zip(after.lines())) {
        if old != new {
            write_row(out, row, old, new, &mut pen);
        }
    }
    if pen.is_some() {
        out.extend_from_slice(b"\x1b[m");
    }
    if let Some((col, row)) = after.cursor.filter(|at| at.0 < after.cols && at.1 < after.rows) {
        write_place(out, col, row);
        out.extend_from_slice(b"\x1b[?25h");
    }
    out.extend_from_slice(b"\x1b[?2026l");
}

/// Writes colours and attributes, from nothing (SGR 0).
pub fn write_style(out: &mut Vec<u8>, style: &Style) {
    out.extend_from_slice(b"\x1b[0");
    for (on, attribute) in [
        (style.bold, b";1"),
        (style.faint, b";2"),
        (style.italic, b";3"),
        (style.underline, b";4"),
        (style.blink, b";5"),
        (style.inverse, b";7"),
        (style.strike, b";9"),
    ] {
        if on {
            out.extend_from_slice(attribute);
        }
    }
    write_colour(out, style.fg, 30);
    write_colour(out, style.bg, 40);
    out.push(b'm');
}

/// `first`: 30 for characters, 40 for what is behind them.
fn write_colour(out: &mut Vec<u8>, colour: Colour, first: u8) {
    match colour {
        Colour::Default => {}
        Colour::Indexed(n @ 0..=7) => push(out, format_args!(";{}", first + n)),
        Colour::Indexed(n @ 8..=15) => push(out, format_args!(";{}", first + 60 + n - 8)),
        Colour::Indexed(n) => push(out, format_args!(";{};5;{n}", first + 8)),
        Colour::Rgb(r, g, b) => push(out, format_args!(";{};2;{r};{g};{b}", first + 8)),
    }
}

/// Writes what changes within a row. `pen` is the style that the terminal writes in.
fn write_row(out: &mut Vec<u8>, row: u16, old: &[Cell], line: &[Cell], pen: &mut Option<Style>) {
    let used = line.iter().rposition(|cell| *cell != Cell::default()).map_or(0, |last| last + 1);
    let mut place = None;
    let mut covered = false;
    for (col, (old, new)) in (0u16..).zip(old.iter().zip(line)) {
        if new.width == 0 || (old == new && !covered) {
            continue;
        }
        match place {
            Some(place) => write_way(out, place, col, line, *pen),
            None => write_place(out, col, row),
        }
        if *pen != Some(new.style) {
            write_style(out, &new.style);
            *pen = Some(new.style);
        }
        if usize::from(col) >= used {
            out.extend_from_slice(b"\x1b[K");
            break;
        }
        // Terminals differ in how wide they think some characters are. So say again where to go on,
        // and leave nothing old where it may turn out too narrow, nor half of what it may cover.
        let agreed = is_agreed(new.ch);
        if !agreed && new.width == 2 {
            out.extend_from_slice(b"\x1b[2X");
        }
        write_char(out, new.ch);
        place = agreed.then_some(col + u16::from(new.width));
        covered = !agreed && new.width == 1;
    }
}

/// Writes the way on from a place in a row, over cells that stay. The shortest: some of them once more, or a step.
fn write_way(out: &mut Vec<u8>, from: u16, to: u16, line: &[Cell], pen: Option<Style>) {
    let between = line.get(from.into()..to.into()).unwrap_or_default();
    let simple = |cell: &Cell| cell.ch.is_ascii() && cell.width == 1 && pen == Some(cell.style);
    match between.len() {
        0 => {}
        1..=3 if between.iter().all(simple) => between.iter().for_each(|c| write_char(out, c.ch)),
        step => push(out, format_args!("\x1b[{step}C")),
    }
}

fn write_char(out: &mut Vec<u8>, ch: char) {
    out.extend_from_slice(ch.encode_utf8(&mut [0; 4]).as_bytes());
}

fn write_place(out: &mut Vec<u8>, col: u16, row: u16) {
    push(out, format_args!("\x1b[{};{}H", u32::from(row) + 1, u32::from(col) + 1));
}

/// Whether every terminal gives the character as many columns.
fn is_agreed(ch: char) -> bool {
    matches!(ch,
        ' '..='~'
        | '\u{a1}'..='\u{ac}' | '\u{ae}'..='\u{2ff}'
        // Greek and Cyrillic but for their combining marks, Vietnamese, dashes and quotes, lines and blocks.
        | '\u{370}'..='\u{482}' | '\u{48a}'..='\u{52f}' | '\u{1e00}'..='\u{1eff}'
        | '\u{2010}'..='\u{2027}' | '\u{2500}'..='\u{259f}'
        // Kana, unified ideographs, Hangul syllables, full width forms.
        | '\u{3041}'..='\u{3096}' | '\u{30a1}'..='\u{30fa}' | '\u{4e00}'..='\u{9fff}'
        | '\u{ac00}'..='\u{d7a3}' | '\u{ff01}'..='\u{ff5e}'
    )
}

pub(crate) fn push(out: &mut Vec<u8>, text: fmt::Arguments<'_>) {
    // Writing to memory cannot fail.
    let _ = out.write_fmt(text);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Screen;

    const PLAIN: Cell = Cell { ch: 'x', width: 1, style: Style { bold: true, ..NONE } };
    const WIDE: Cell = Cell { ch: '漢', width: 2, style: NONE };
    const NONE: Style = Style::PLAIN;

    fn canvas(rows: &[&str]) -> Canvas {
        let mut canvas = Canvas::new(10, 3);
        for (row, text) in (0u16..).zip(rows) {
            canvas.text(0, row, 10, text, Style::default());
        }
        canvas
    }

    /// What a terminal shows that gets both pictures.
    fn shown(first: &Canvas, second: &Canvas) -> (Vec<String>, usize) {
        let mut screen = Screen::new(10, 3);
        let mut bytes = Vec::new();
        write_changes(&mut bytes, None, first);
        screen.feed(&bytes);
        bytes.clear();
        write_changes(&mut bytes, Some(first), second);
        screen.feed(&bytes);
        (screen.text(), bytes.len())
    }

    #[test]
    fn changes_turn_one_picture_into_the_next() {
        let one = canvas(&["hello", "world", "same"]);
        let mut two = canvas(&["help!", "", "same"]);
        two.set(9, 0, WIDE);
        two.set(4, 1, WIDE);
        two.set(5, 1, Cell { ch: ' ', width: 0, style: Style::default() });
        two.text(6, 1, 10, "x", Style { fg: Colour::Rgb(1, 2, 3), ..Style::default() });
        let (text, _) = shown(&one, &two);
        assert_eq!(text, ["help!", "    漢x", "same"]);
    }

    #[test]
    fn a_picture_that_stays_costs_next_to_nothing() {
        let one = canvas(&["hello", "world", "same"]);
        let (text, bytes) = shown(&one, &one.clone());
        assert_eq!(text, ["hello", "world", "same"]);
        assert!(bytes < 40, "{bytes}");
    }

    #[test]
    fn a_letter_costs_little() {
        let mut two = canvas(&["hello", "world", "same"]);
        let one = two.clone();
        two.set(5, 0, PLAIN);
        two.cursor = Some((6, 0));
        let (text, bytes) = shown(&one, &two);
        assert_eq!(text, ["hellox", "world", "same"]);
        assert!(bytes < 60, "{bytes}");
    }

    #[test]
    fn half_a_wide_character_never_stays() {
        for (sets, expected) in [
            (&[(4, WIDE), (4, PLAIN)][..], "    x"),
            (&[(4, WIDE), (5, PLAIN)], "     x"),
            (&[(4, WIDE), (5, WIDE)], "     漢"),
            (&[(4, WIDE), (3, WIDE), (5, PLAIN)], "   漢x"),
            (&[(3, WIDE), (5, WIDE), (4, WIDE)], "    漢"),
            (&[(4, Cell { width: 0, ..WIDE })], ""),
            (&[(4, Cell { width: 1, ..WIDE })], "    ·"),
            (&[(4, Cell { width: 2, ..PLAIN })], ""),
            (&[(4, Cell { width: 7, ..PLAIN })], ""),
            (&[(9, WIDE)], ""),
            (&[(10, WIDE)], ""),
        ] {
            let mut canvas = Canvas::new(10, 1);
            sets.iter().for_each(|(col, cell)| canvas.set(*col, 0, *cell));
            assert_eq!(canvas.row_text(0), expected, "{sets:?}");
            let halves = (0..10).filter(|col| canvas.cell(*col, 0).width == 0);
            let wide = (0..10).filter(|col| canvas.cell(*col, 0).width == 2);
            assert!(halves.eq(wide.map(|col| col + 1)), "{sets:?}: {canvas:?}");
        }
    }

    #[test]
    fn text_takes_the_columns_that_it_needs_and_brings_no_control() {
        for (text, expected, end) in [
            ("plain", "plain", 7),
            ("日本x", "日本x", 7),
            ("日本語字", "日本語", 8),
            ("e\u{301}\u{202e}x", "ex", 4),
            ("a\x1b]0;b", "a·]0;b", 8),
            ("a\u{9b}\x7f\n", "a···", 6),
            ("0123456789", "012345", 8),
            ("a\u{2e3b}b", "a\u{2e3b}b", 5),
        ] {
            let mut canvas = Canvas::new(9, 1);
            assert_eq!(canvas.text(2, 0, 8, text, NONE), end, "{text:?}");
            assert_eq!(canvas.row_text(0).trim_start(), expected, "{text:?}");
        }
    }

    /// What is written to turn one line into another, `^` for CSI, without what stands around every change.
    fn check(before: &str, after: &str, expected: &str) {
        let mut bytes = Vec::new();
        write_changes(&mut bytes, Some(&canvas(&[before])), &canvas(&[after]));
        let text = String::from_utf8(bytes).unwrap();
        let text = text.replace("\x1b[?2026h\x1b[?25l", "").replace("\x1b[?2026l", "");
        assert_eq!(text, expected.replace('^', "\x1b["), "{before:?} → {after:?}");
    }

    #[test]
    fn a_terminal_that_thinks_otherwise_of_a_width_is_put_right() {
        check("abcd", "axcd", "^1;2H^0mx^m");
        check("abcd", "a漢d", "^1;2H^0m漢^m");
        check("abcd", "a👧d", "^1;2H^0m^2X👧^m");
        check("abcd", "a☃cd", "^1;2H^0m☃^1;3Hc^m");
        check("ab", "a☃", "^1;2H^0m☃^1;3H^K^m");
    }

    #[test]
    fn the_way_over_what_stays_is_short() {
        check("abcdefgh", "xbcdyfgh", "^1;1H^0mxbcdy^m");
        check("abcdefgh", "xbcdeygh", "^1;1H^0mx^4Cy^m");
        check("a漢c", "x漢y", "^1;1H^0mx^2Cy^m");
        check("abжd", "xbжy", "^1;1H^0mx^2Cy^m");
        check("abcdefgh", "ab", "^1;3H^0m^K^m");
        check("ab  ef", "xb", "^1;1H^0mxb  ^K^m");
    }
}

//! A picture of the viewer's whole terminal, and the bytes that turn one picture into the next.

use crossterm::cursor::{Hide, MoveTo, Show};
use crossterm::queue;
use crossterm::style::{
    Attribute, Color, Print, ResetColor, SetAttribute, SetBackgroundColor, SetForegroundColor,
};
use crossterm::terminal::{BeginSynchronizedUpdate, EndSynchronizedUpdate};
use screen::{Cell, Colour, Style};
use std::io::{self, Write};

/// Cells of the viewer's terminal, and where its cursor is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Canvas {
    cols: u16,
    rows: u16,
    cells: Vec<Cell>,
    /// Column and row of the cursor; `None` when hidden.
    pub cursor: Option<(u16, u16)>,
}

impl Canvas {
    /// An empty one.
    pub fn new(cols: u16, rows: u16) -> Self {
        let cells = vec![Cell::default(); usize::from(cols) * usize::from(rows)];
        Self { cols, rows, cells, cursor: None }
    }

    /// Columns and rows.
    pub fn size(&self) -> (u16, u16) {
        (self.cols, self.rows)
    }

    /// Sets a cell; outside nothing happens. A wide character that would not fit becomes a space.
    pub fn set(&mut self, col: u16, row: u16, cell: Cell) {
        if col >= self.cols || row >= self.rows {
            return;
        }
        let cell = if cell.width == 2 && col + 1 >= self.cols {
            Cell { ch: ' ', width: 1, ..cell }
        } else {
            cell
        };
        let place = usize::from(row) * usize::from(self.cols) + usize::from(col);
        if let Some(at) = self.cells.get_mut(place) {
            *at = cell;
        }
    }

    /// Writes text that takes a column a character; returns the column behind it. Cut at `end`.
    pub fn text(&mut self, col: u16, row: u16, end: u16, text: &str, style: Style) -> u16 {
        let mut col = col;
        for ch in text.chars() {
            if col >= end.min(self.cols) {
                break;
            }
            self.set(col, row, Cell { ch, width: 1, style });
            col += 1;
        }
        col
    }

    /// The cell at a place.
    pub fn cell(&self, col: u16, row: u16) -> Cell {
        let place = usize::from(row) * usize::from(self.cols) + usize::from(col);
        self.cells.get(place).copied().unwrap_or_default()
    }

    /// The text of a row, without trailing spaces.
    #[cfg(test)]
    pub fn row_text(&self, row: u16) -> String {
        let text: String = (0..self.cols)
            .map(|col| self.cell(col, row))
            .filter(|cell| cell.width > 0)
            .map(|cell| cell.ch)
            .collect();
        text.trim_end().to_owned()
    }
}

/// Writes what turns `before` into `after`; all of it without a `before` of the same size.
pub fn write_changes(
    out: &mut impl Write,
    before: Option<&Canvas>,
    after: &Canvas,
) -> io::Result<()> {
    let before = before.filter(|before| before.size() == after.size());
    queue!(out, BeginSynchronizedUpdate, Hide)?;
    let mut style = None;
    for row in 0..after.rows {
        let mut place = None;
        for col in 0..after.cols {
            let cell = after.cell(col, row);
            let same = before.is_some_and(|before| before.cell(col, row) == cell);
            if same || cell.width == 0 {
                continue;
            }
            if place != Some(col) {
                queue!(out, MoveTo(col, row))?;
            }
            if style != Some(cell.style) {
                write_style(out, &cell.style)?;
                style = Some(cell.style);
            }
            queue!(out, Print(cell.ch))?;
            // Terminals differ in how wide they think some characters are: say again where to go on.
            place = agreed(cell.ch).then_some(col + 1);
        }
    }
    queue!(out, SetAttribute(Attribute::Reset), ResetColor)?;
    if let Some((col, row)) = after.cursor {
        queue!(out, MoveTo(col, row), Show)?;
    }
    queue!(out, EndSynchronizedUpdate)
}

/// Writes colours and attributes, from nothing.
pub fn write_style(out: &mut impl Write, style: &Style) -> io::Result<()> {
    queue!(out, SetAttribute(Attribute::Reset))?;
    for (on, attribute) in [
        (style.bold, Attribute::Bold),
        (style.faint, Attribute::Dim),
        (style.italic, Attribute::Italic),
        (style.underline, Attribute::Underlined),
        (style.blink, Attribute::SlowBlink),
        (style.inverse, Attribute::Reverse),
        (style.strike, Attribute::CrossedOut),
    ] {
        if on {
            queue!(out, SetAttribute(attribute))?;
        }
    }
    if let Some(colour) = colour(style.fg) {
        queue!(out, SetForegroundColor(colour))?;
    }
    if let Some(colour) = colour(style.bg) {
        queue!(out, SetBackgroundColor(colour))?;
    }
    Ok(())
}

fn colour(colour: Colour) -> Option<Color> {
    match colour {
        Colour::Default => None,
        Colour::Indexed(n) => Some(Color::AnsiValue(n)),
        Colour::Rgb(r, g, b) => Some(Color::Rgb { r, g, b }),
    }
}

/// Whether every terminal gives the character one column.
fn agreed(ch: char) -> bool {
    matches!(ch, ' '..='~' | '\u{a1}'..='\u{ac}' | '\u{ae}'..='\u{2ff}' | '\u{2500}'..='\u{259f}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use screen::Screen;

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
        write_changes(&mut bytes, None, first).unwrap();
        screen.feed(&bytes);
        bytes.clear();
        write_changes(&mut bytes, Some(first), second).unwrap();
        screen.feed(&bytes);
        (screen.text(), bytes.len())
    }

    #[test]
    fn changes_turn_one_picture_into_the_next() {
        let one = canvas(&["hello", "world", "same"]);
        let mut two = canvas(&["help!", "", "same"]);
        two.set(9, 0, Cell { ch: '漢', width: 2, style: Style::default() });
        two.set(4, 1, Cell { ch: '漢', width: 2, style: Style::default() });
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
}

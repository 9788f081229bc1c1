//! How much work drawing is: a few bytes may cost as much as a megabyte of others.

use crate::lex::Piece;
use crate::repair::repeats;

/// Cells that were touched, roughly, by what was drawn so far.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Work(pub u64);

/// What printing a character costs, in cells that are only emptied.
const PRINTED: u64 = 4;
/// What a mark costs that joins the character before it.
const JOINED: u64 = 256;
/// What a sequence costs, whatever it does.
const SEQUENCE: u64 = 32;
/// What a line costs that is made anew, beside its cells.
const LINE: u64 = 16;
/// What a cell costs that finds another place, because lines are wrapped anew.
const WRAPPED: u64 = 8;
/// Bytes of lines that scroll away undrawn, which cost as much as one cell.
const PASSED: u64 = 16;

impl Work {
    /// So many bytes were read.
    pub fn read(&mut self, bytes: usize) {
        self.add(bytes as u64);
    }

    /// Lines of so many bytes scrolled away and were not drawn.
    pub fn passed(&mut self, bytes: usize) {
        self.add(bytes as u64 / PASSED);
    }

    /// Lines were wrapped anew, from columns and rows to others.
    pub fn wrapped(&mut self, from: (u16, u16), to: (u16, u16)) {
        let cells = |(cols, rows)| (u64::from(cols) + LINE) * u64::from(rows);
        self.add(WRAPPED * (cells(from) + cells(to)));
    }

    /// A mark joined a character.
    pub fn joined(&mut self) {
        self.add(JOINED);
    }

    /// Takes a piece on a screen of so many columns and rows; where characters are inserted, each moves its line.
    pub fn took(&mut self, piece: &Piece<'_>, (cols, rows): (usize, usize), inserts: bool) {
        let (cols, rows) = (cols as u64, rows as u64);
        let (cells, line) = ((cols + LINE) * rows, cols + rows);
        let prints = |count: u64| {
            let each = if inserts { PRINTED + cols } else { PRINTED };
            count * each + count * line / cols.max(1)
        };
        self.add(match piece {
            Piece::Text(text) => prints(text.len() as u64),
            Piece::Control(_) => line,
            // Both screens.
            Piece::Escape("\u{1b}c") => 2 * cells,
            Piece::Escape("\u{1b}#8") => PRINTED * cells,
            Piece::Escape(_) => SEQUENCE + line,
            Piece::Csi { body, last } => {
                let lines = || if body.is_empty() { 1 } else { body.parse().unwrap_or(rows) };
                let does = match last {
                    'J' => cells,
                    // The other screen.
                    'h' | 'l' if body.contains("47") || body.contains("49") => 2 * cells,
                    'L' | 'M' | 'S' | 'T' => lines().min(rows) * line,
                    '@' | 'P' | 'X' | 'K' | 'I' | 'Z' => line,
                    'b' => prints(repeats(body).into()),
                    _ => 0,
                };
                SEQUENCE + does
            }
            Piece::Osc(_) | Piece::Apc(_) => SEQUENCE,
        });
    }

    fn add(&mut self, cells: u64) {
        self.0 = self.0.saturating_add(cells);
    }
}

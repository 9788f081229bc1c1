//! One viewer's terminal: what it shows, how its keys are set, and the bytes from there to what it should be.

use crate::canvas::{Canvas, write_changes};
use crate::keys::{Keys, undo_keys, write_keys};

/// What a viewer's terminal shows.
///
/// The bytes of one call must reach the terminal, all and in order, before those of the next.
/// Calls between them need not be made: a viewer who takes longer gets the newest picture.
#[derive(Debug)]
pub struct Painter {
    size: (u16, u16),
    /// `None` when nobody knows.
    shown: Option<Canvas>,
    keys: Keys,
}

impl Painter {
    /// For a terminal of so many columns and rows, at most 1,024 and 512; what is beyond stays as it is.
    #[must_use]
    pub fn new(cols: u16, rows: u16) -> Self {
        Self { size: Canvas::new(cols, rows).size(), shown: None, keys: Keys::default() }
    }

    /// Columns and rows that are painted.
    #[must_use]
    pub fn size(&self) -> (u16, u16) {
        self.size
    }

    /// The terminal has another size now. What it shows is unknown: it is painted anew, also at the same size.
    pub fn resize(&mut self, cols: u16, rows: u16) {
        self.size = Canvas::new(cols, rows).size();
        self.shown = None;
    }

    /// Bytes that make the terminal the viewer's: the other screen, empty, without a cursor and without line wrap.
    #[must_use]
    pub fn enter(&mut self) -> Vec<u8> {
        self.shown = Some(Canvas::new(self.size.0, self.size.1));
        b"\x1b[?1049h\x1b[?7l\x1b[?25l\x1b[m\x1b[2J".to_vec()
    }

    /// Bytes that bring a picture onto the terminal, and its keys to what they should be; empty when both are so.
    /// `keys` are those of somebody who may type, or none. A canvas of another size is cut, or filled with blanks.
    #[must_use]
    pub fn paint(&mut self, canvas: Canvas, keys: Option<Keys>) -> Vec<u8> {
        let canvas = canvas.fitted(self.size.0, self.size.1);
        let keys = keys.unwrap_or_default();
        let mut out = Vec::new();
        write_keys(&mut out, Some(&self.keys), &keys);
        // A terminal that misreads a key setting may have moved its cursor.
        if !out.is_empty() || self.shown.as_ref() != Some(&canvas) {
            write_changes(&mut out, self.shown.as_ref(), &canvas);
        }
        self.shown = Some(canvas);
        self.keys = keys;
        out
    }

    /// Bytes that give the terminal back: keys as they came, line wrap, the first screen, its cursor shown.
    #[must_use]
    pub fn leave(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        undo_keys(&mut out, &self.keys);
        out.extend_from_slice(b"\x1b[?2026l\x1b[m\x1b[?7h\x1b[?1049l\x1b[?25h");
        self.keys = Keys::default();
        self.shown = None;
        out
    }
}

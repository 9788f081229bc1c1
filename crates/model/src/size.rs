//! The size of a terminal, clamped where it is made, so that pty, model and browser agree.

use crate::limit;
use core::fmt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Columns and rows of a terminal, always within [`limit::COLUMNS`] and [`limit::ROWS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(from = "(u32, u32)", into = "(u32, u32)")]
pub struct Size {
    cols: u16,
    rows: u16,
}

impl Size {
    /// The nearest size that is allowed; a client may ask for anything (RFC 4254 §6.2 has 32-bit numbers).
    /// Zero says nothing and stands for the usual 80 × 24, as that section asks.
    #[must_use]
    pub fn clamped(cols: u32, rows: u32) -> Self {
        let fit = |n: u32, usual: u16, (least, most): (u16, u16)| match n {
            0 => usual,
            n => u16::try_from(n).unwrap_or(u16::MAX).clamp(least, most),
        };
        let usual = Self::default();
        Self {
            cols: fit(cols, usual.cols, limit::COLUMNS),
            rows: fit(rows, usual.rows, limit::ROWS),
        }
    }

    /// Columns.
    #[must_use]
    pub fn cols(self) -> u16 {
        self.cols
    }

    /// Rows.
    #[must_use]
    pub fn rows(self) -> u16 {
        self.rows
    }
}

impl Default for Size {
    fn default() -> Self {
        Self { cols: 80, rows: 24 }
    }
}

impl From<(u32, u32)> for Size {
    fn from((cols, rows): (u32, u32)) -> Self {
        Self::clamped(cols, rows)
    }
}

impl From<Size> for (u32, u32) {
    fn from(size: Size) -> Self {
        (size.cols.into(), size.rows.into())
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}×{}", self.cols, self.rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_wish_becomes_a_size_that_every_part_can_draw() {
        for (wish, got) in [
            ((0, 0), (80, 24)),
            ((0, 50), (80, 50)),
            ((1, 1), (2, 1)),
            ((80, 24), (80, 24)),
            ((u32::MAX, u32::MAX), (1024, 512)),
        ] {
            let size = Size::clamped(wish.0, wish.1);
            assert_eq!((size.cols(), size.rows()), got, "for {wish:?}");
        }
    }
}

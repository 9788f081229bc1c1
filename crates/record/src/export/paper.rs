//! The lines of a primary screen as they leave it.

use screen::Screen;

/// A row as it stands on the screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    pub text: String,
    pub wraps: bool,
}

/// What became of a screen's lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    /// None of them has gone.
    Stay,
    /// The alternate screen is shown from here on, or no more.
    Switched(bool),
    /// The first one has gone; the others moved up.
    Scrolled(Row),
    /// All have gone; those behind the last with text are not among them.
    Cleared(Vec<Row>),
}

/// Feeds so little that at most one row leaves the screen: a piece of [`piece_len`].
pub(crate) fn feed_piece(screen: &mut Screen, piece: &[u8]) -> Change {
    let was_alternate = screen.is_alternate();
    let bottom = screen.size().1.saturating_sub(1);
    let at_bottom = !was_alternate && screen.caret().1 == bottom;
    let clears = !was_alternate && piece.first() == Some(&0x1b);
    let mut before = if at_bottom || clears { rows(screen) } else { Vec::new() };
    screen.feed(piece);
    if screen.is_alternate() != was_alternate {
        Change::Switched(!was_alternate)
    } else if at_bottom && scrolled(&before, screen, piece) && !before.is_empty() {
        Change::Scrolled(before.swap_remove(0))
    } else if clears && is_blank(screen) {
        before.truncate(used(&before));
        Change::Cleared(before)
    } else {
        Change::Stay
    }
}

/// Rows up to the last one with text.
pub(crate) fn used(rows: &[Row]) -> usize {
    rows.iter().rposition(|row| !row.text.is_empty()).map_or(0, |row| row + 1)
}

/// All rows of a screen.
pub(crate) fn rows(screen: &Screen) -> Vec<Row> {
    let all = 0..screen.size().1;
    all.map(|row| Row { text: screen.row_text(row), wraps: screen.wraps(row) }).collect()
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
pub(crate) fn piece_len(screen: &Screen, bytes: &[u8]) -> usize {
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

//! A screen on somebody's terminal of another size: letter-boxed in a frame, or moved after its cursor.
//! And what may stand before it: a bar, a box.

use crate::canvas::Canvas;
use crate::cell::{Cell, Colour, Style};
use crate::screen::Screen;
use unicode_width::UnicodeWidthStr as _;

/// The bar at the lower edge.
pub const BAR: Style = Style { fg: Colour::Indexed(252), bg: Colour::Indexed(236), ..Style::PLAIN };

impl Canvas {
    /// Draws a screen, with its cursor, into the first `view` columns and rows of the canvas;
    /// whoever wants a status line leaves it a row by a smaller view.
    ///
    /// A view of exactly the screen's size gets its cells as they are
    /// (but for DECSCNM, which becomes a part of each cell's style).
    /// A smaller screen stands in the middle, framed where there is room around it.
    /// Of a larger one a part is shown, with the cursor in it, which follows from the picture alone: whoever looks on
    /// through the same view sees the same, whatever they saw before. It moves by half of the view.
    /// `touch` may change how a cell looks; it gets the column and row on the screen.
    ///
    /// Returns the column and row of the screen that come first.
    pub fn show(
        &mut self,
        screen: &Screen,
        view: (u16, u16),
        mut touch: impl FnMut(u16, u16, &mut Cell),
    ) -> (u16, u16) {
        let (cols, rows) = screen.size();
        let caret = match screen.cursor() {
            // Where a program that fills the screen and hides its cursor drew last, nobody looks.
            None if screen.is_alternate() => (0, 0),
            _ => screen.caret(),
        };
        let first = (moved(cols, view.0, caret.0), moved(rows, view.1, caret.1));
        let left = view.0.saturating_sub(cols) / 2;
        let top = view.1.saturating_sub(rows) / 2;
        if left > 0 && top > 0 {
            self.frame((left - 1, top - 1), (cols + 2, rows + 2));
        }
        let reverse = screen.modes().reverse_video;
        let (width, height) = (view.0.min(cols), view.1.min(rows));
        for row in 0..height {
            let cells = screen.row(row + first.1).skip(first.0.into());
            for (col, mut cell) in (0..width).zip(cells) {
                let cut_left = cell.width == 0 && col == 0;
                let cut_right = cell.width == 2 && col + 1 == width;
                if cut_left || cut_right {
                    cell = Cell { ch: ' ', width: 1, style: cell.style };
                }
                cell.style.inverse ^= reverse;
                touch(col + first.0, row + first.1, &mut cell);
                self.set(col + left, row + top, cell);
            }
        }
        if let Some((col, row)) = screen.cursor()
            && let (Some(col), Some(row)) = (col.checked_sub(first.0), row.checked_sub(first.1))
            && col < width
            && row < height
        {
            self.cursor = Some((col + left, row + top));
        }
        first
    }

    /// Text on the last row, over what is there; the cursor is hidden. Controls become dots, what is too long is cut.
    pub fn bar(&mut self, text: &str) {
        let (cols, rows) = self.size();
        let Some(last) = rows.checked_sub(1) else { return };
        let width = usize::from(cols);
        self.text(0, last, cols, &format!("{:<width$}", format!(" {text}")), BAR);
        self.cursor = None;
    }

    /// Lines in a box in the middle, over what is there; the cursor is hidden. What does not fit is cut.
    pub fn boxed(&mut self, title: &str, lines: &[String]) {
        let (cols, rows) = self.size();
        let widest =
            lines.iter().map(|line| line.width()).max().unwrap_or(0).max(title.width() + 2);
        let width = u16::try_from(widest).unwrap_or(u16::MAX).saturating_add(4).min(cols);
        let height = u16::try_from(lines.len()).unwrap_or(u16::MAX).saturating_add(2).min(rows);
        if width < 6 || height < 3 {
            return;
        }
        let (left, top) = ((cols - width) / 2, (rows - height) / 2);
        for row in top..top + height {
            self.text(left, row, left + width, &" ".repeat(width.into()), Style::default());
        }
        self.frame((left, top), (width, height));
        let bold = Style { bold: true, ..Style::default() };
        self.text(left + 2, top, left + width - 2, &format!(" {title} "), bold);
        for (row, line) in (top + 1..top + height - 1).zip(lines) {
            self.text(left + 2, row, left + width - 2, line, Style::default());
        }
        self.cursor = None;
    }

    /// Draws a frame of so many columns and rows from a place on.
    pub fn frame(&mut self, (left, top): (u16, u16), (cols, rows): (u16, u16)) {
        let style = Style { fg: Colour::Indexed(240), ..Style::default() };
        let right = left.saturating_add(cols).saturating_sub(1);
        let bottom = top.saturating_add(rows).saturating_sub(1);
        let mut put = |col, row, ch| self.set(col, row, Cell { ch, width: 1, style });
        for col in left..=right {
            put(col, top, '─');
            put(col, bottom, '─');
        }
        for row in top..=bottom {
            put(left, row, '│');
            put(right, row, '│');
        }
        for (col, row, ch) in
            [(left, top, '╭'), (right, top, '╮'), (left, bottom, '╰'), (right, bottom, '╯')]
        {
            put(col, row, ch);
        }
    }
}

/// How many halves of a view a screen is moved, at least, to show the cursor.
fn moved(size: u16, view: u16, caret: u16) -> u16 {
    let least = (caret + 1).saturating_sub(view);
    least.next_multiple_of((view / 2).max(1)).min(size.saturating_sub(view))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rows that are shown of a screen of so many columns and rows, and where the cursor is.
    fn check(
        (screen, bytes): ((u16, u16), &str),
        (canvas, view): ((u16, u16), (u16, u16)),
        expected: &[&str],
        cursor: Option<(u16, u16)>,
    ) {
        let mut model = Screen::new(screen.0, screen.1);
        model.feed(bytes.as_bytes());
        let mut canvas = Canvas::new(canvas.0, canvas.1);
        canvas.show(&model, view, |_, _, _| {});
        let rows: Vec<String> = (0..canvas.size().1).map(|row| canvas.row_text(row)).collect();
        assert_eq!(rows, expected, "{bytes:?} in {view:?}");
        assert_eq!(canvas.cursor, cursor, "{bytes:?} in {view:?}");
    }

    #[test]
    fn a_screen_is_framed_or_cut_and_a_row_can_be_left() {
        let small = ((6, 2), "ab漢\r\nxyz");
        check(
            small,
            ((12, 6), (12, 6)),
            &["", "  ╭──────╮", "  │ab漢  │", "  │xyz   │", "  ╰──────╯", ""].map(|row| row),
            Some((6, 3)),
        );
        check(small, ((6, 2), (6, 2)), &["ab漢", "xyz"], Some((3, 1)));
        check(small, ((6, 3), (6, 2)), &["ab漢", "xyz", ""], Some((3, 1)));
        check(small, ((6, 2), (6, 1)), &["xyz", ""], Some((3, 0)));
        check(small, ((8, 2), (8, 2)), &[" ab漢", " xyz"], Some((4, 1)));
        check(((6, 2), "ab漢\x1b[H"), ((3, 2), (3, 2)), &["ab", ""], Some((0, 0)));
        check(((6, 2), "漢cdef\x1b[1;4H"), ((3, 2), (3, 2)), &[" cd", ""], Some((2, 0)));
        check(((6, 2), "ab\x1b[?25l"), ((6, 2), (6, 2)), &["ab", ""], None);
        check(small, ((0, 0), (0, 0)), &[], None);
    }

    #[test]
    fn a_bar_and_a_box_stand_before_the_picture() {
        let mut canvas = Canvas::new(13, 5);
        for row in 0..5 {
            canvas.text(0, row, 13, "xxxxxxxxxxxxx", Style::default());
        }
        canvas.cursor = Some((0, 0));
        canvas.boxed("who", &["日本".to_owned(), "ab\u{1b}".to_owned()]);
        canvas.bar("a\tb");
        let rows: Vec<String> = (0..5).map(|row| canvas.row_text(row)).collect();
        assert_eq!(
            rows,
            ["xx╭─ who ─╮xx", "xx│ 日本  │xx", "xx│ ab·   │xx", "xx╰───────╯xx", " a·b"]
                .map(|row| row)
        );
        assert_eq!(canvas.cell(12, 4).style, BAR);
        assert_eq!(canvas.cursor, None);
        for (cols, rows) in [(0, 0), (1, 1), (5, 9), (9, 2)] {
            let mut canvas = Canvas::new(cols, rows);
            canvas.boxed("who", &["what".to_owned()]);
            canvas.bar("text");
        }
    }

    #[test]
    fn the_part_that_is_shown_follows_from_the_picture_alone_and_has_the_cursor_in_it() {
        let check = |bytes: &str, view: (u16, u16), expected: (u16, u16)| {
            let mut screen = Screen::new(40, 10);
            screen.feed(bytes.as_bytes());
            let mut canvas = Canvas::new(view.0, view.1);
            let first = canvas.show(&screen, view, |_, _, _| {});
            assert_eq!(first, expected, "{bytes:?} in {view:?}");
        };
        for (bytes, first) in [
            ("\x1b[1;10H", (0, 0)),
            ("\x1b[1;11H", (5, 0)),
            ("\x1b[1;15H", (5, 0)),
            ("\x1b[1;16H", (10, 0)),
            ("\x1b[1;5H", (0, 0)),
            ("\x1b[4;1H", (0, 0)),
            ("\x1b[5;1H", (0, 2)),
            ("\x1b[7;40H", (30, 4)),
            ("\x1b[10;1H", (0, 6)),
            ("\x1b[10;40H\x1b[?25l", (30, 6)),
            ("\x1b[?1049h\x1b[10;40H", (30, 6)),
            ("\x1b[?1049h\x1b[10;40H\x1b[?25l", (0, 0)),
        ] {
            check(bytes, (10, 4), first);
        }
        check("\x1b[10;40H", (40, 9), (0, 1));
        for row in 0..10_u16 {
            for col in 0..40_u16 {
                for view in [(1, 1), (2, 3), (7, 5), (39, 9), (40, 10), (50, 20)] {
                    let mut screen = Screen::new(40, 10);
                    screen.feed(format!("\x1b[{};{}H", row + 1, col + 1).as_bytes());
                    let mut canvas = Canvas::new(view.0, view.1);
                    canvas.show(&screen, view, |_, _, _| {});
                    assert!(canvas.cursor.is_some(), "{col},{row} in {view:?}");
                }
            }
        }
    }

    #[test]
    fn cells_can_be_touched_up_by_their_place_on_the_screen() {
        let mut screen = Screen::new(40, 10);
        screen.feed(b"\x1b[?5h\x1b[10;38Habc");
        let mut canvas = Canvas::new(10, 4);
        canvas.show(&screen, (10, 4), |col, row, cell| {
            cell.style.bold = (col, row) == (38, 9);
        });
        assert_eq!(canvas.row_text(3), "       abc");
        let bold = (0..10).filter(|col| canvas.cell(*col, 3).style.bold);
        assert_eq!(bold.collect::<Vec<_>>(), [8]);
        assert!(canvas.cell(0, 0).style.inverse, "DECSCNM is a part of the style");
    }
}

//! A terminal on which a stage is seen: all of it, a part, or it in a frame.

use model::Size;
use screen::{Canvas, Keys, Loan, Screen};

/// Somebody's terminal.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    pub size: Size,
    /// Whether it takes the size of what it is shown ([`wire::name::FITS_VARIABLE`]).
    pub fits: bool,
}

/// What is seen at a moment.
pub(crate) struct View {
    pub canvas: Canvas,
    /// What its keyboard and mouse should be.
    pub keys: Keys,
    /// What the window must be told first, if it has another size from here on.
    pub told: Option<Vec<u8>>,
}

/// Looks at a stage through a window. `types`: whether what is typed there reaches the program at this moment.
pub(crate) fn look(screen: &Screen, window: &mut Window, types: bool) -> View {
    let drawn = screen.size();
    let size = Size::clamped(drawn.0.into(), drawn.1.into());
    let told = (window.fits && size != window.size).then(|| {
        window.size = size;
        told(size)
    });
    let (cols, rows) = (window.size.cols(), window.size.rows());
    let mut canvas = Canvas::new(cols, rows);
    canvas.show(screen, (cols, rows), |_, _, _| {});
    let keys = screen.keys();
    let keys = match types {
        // A click means what it points at only where the picture stands as the program drew it.
        true if (cols, rows) == drawn => keys,
        true => Keys { mouse: None, mouse_encoding: None, ..keys },
        false => Keys { cursor_style: keys.cursor_style, ..Keys::default() },
    };
    View { canvas, keys, told }
}

/// What makes a terminal that fits so large.
fn told(size: Size) -> Vec<u8> {
    format!("\x1b[8;{};{}t", size.rows(), size.cols()).into_bytes()
}

/// A terminal that a program writes to, while it is shown a stage instead.
#[derive(Debug)]
pub(crate) struct Face {
    window: Window,
    /// Until it is given back.
    loan: Option<Loan>,
    /// What takes the terminal, until that was handed out.
    takes: Vec<u8>,
}

impl Face {
    /// Takes a terminal that may have got any part of what the program wrote.
    pub fn new(window: Window) -> Self {
        let (loan, takes) = Loan::take_any(window.size.cols(), window.size.rows());
        Self { window, loan: Some(loan), takes }
    }

    /// The person has made it this size. One that fits has the size that it was told.
    pub fn resize(&mut self, size: Size) {
        if !self.window.fits {
            self.window.size = size;
            if let Some(loan) = &mut self.loan {
                loan.resize(size.cols(), size.rows());
            }
        }
    }

    /// What it must get to show how things are now, with something on its last row; nothing once it was given back.
    pub fn picture(&mut self, screen: &Screen, types: bool, bar: Option<&str>) -> Vec<u8> {
        let Some(loan) = &mut self.loan else { return Vec::new() };
        let mut bytes = std::mem::take(&mut self.takes);
        let View { mut canvas, keys, told } = look(screen, &mut self.window, types);
        if let Some(told) = told {
            loan.resize(self.window.size.cols(), self.window.size.rows());
            bytes.extend(told);
        }
        if let Some(bar) = bar {
            canvas.bar(bar);
        }
        bytes.extend(loan.paint(canvas, Some(keys)));
        bytes
    }

    /// What it must get to be the program's again, which shows `now` and goes on from there.
    pub fn give_back(&mut self, now: &Screen) -> Vec<u8> {
        let mut bytes = std::mem::take(&mut self.takes);
        let Some(loan) = self.loan.take() else { return bytes };
        let (cols, rows) = now.size();
        let size = Size::clamped(cols.into(), rows.into());
        if self.window.fits && size != self.window.size {
            bytes.extend(told(size));
        }
        bytes.extend(loan.give_anew(Some(now)));
        bytes
    }

    /// What it must get to be nobody's: whoever sat there goes on from another place. Nothing if it was never taken.
    pub fn leave(&mut self) -> Vec<u8> {
        match self.loan.take() {
            // The last picture may have got there in part.
            Some(loan) if self.takes.is_empty() => [b"\x18", &loan.give_anew(None)[..]].concat(),
            _ => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn screen(cols: u16, rows: u16, bytes: &str) -> Screen {
        let mut screen = Screen::new(cols, rows);
        screen.feed(bytes.as_bytes());
        screen
    }

    fn window(cols: u32, rows: u32, fits: bool) -> Window {
        Window { size: Size::clamped(cols, rows), fits }
    }

    #[test]
    fn the_mouse_is_reported_where_the_picture_stands_as_it_was_drawn_and_keys_are_set_for_who_types()
     {
        let drawn = screen(20, 4, "\x1b[?1h\x1b[?1002;1006h\x1b[5 q");
        for (size, types, mouse, cursor) in [
            ((20, 4), true, true, true),
            ((19, 4), true, false, true),
            ((20, 4), false, false, false),
        ] {
            let mut window = window(size.0, size.1, false);
            let View { keys, told, .. } = look(&drawn, &mut window, types);
            assert_eq!((keys.mouse.is_some(), keys.application_cursor), (mouse, cursor));
            assert_eq!((keys.cursor_style, told), (5, None), "{size:?}, {types}");
        }
    }

    #[test]
    fn a_terminal_that_fits_is_told_the_size_once_and_its_own_when_it_is_given_back() {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let mut face = Face::new(window(80, 24, true));
        let first = text(face.picture(&screen(100, 30, "x"), true, None));
        assert!(first.starts_with("\x18\x1b\\") && first.contains("\x1b[8;30;100t"), "{first:?}");
        face.resize(Size::clamped(70, 20));
        let next = text(face.picture(&screen(100, 30, "xy"), true, None));
        assert!(!next.contains('t') && !next.contains("\x1b[2J"), "{next:?}");
        let back = text(face.give_back(&screen(70, 20, "xy")));
        assert!(back.starts_with("\x1b[8;20;70t"), "{back:?}");
        assert!(face.picture(&screen(70, 20, "xyz"), true, None).is_empty(), "it is the program's");
    }

    #[test]
    fn a_terminal_that_is_given_back_before_it_was_painted_is_whole_all_the_same() {
        for cut in 0..12 {
            let mut terminal = Screen::new(20, 4);
            terminal.feed(&b"ab\x1b]0;title\x07cd"[..cut]);
            let mut face = Face::new(window(20, 4, false));
            let now = screen(20, 4, "now\x1b[31m");
            terminal.feed(&face.give_back(&now));
            assert_eq!(terminal.row_text(0), "now", "cut at {cut}");
            assert_eq!(terminal.cursor(), now.cursor());
        }
        let mut face = Face::new(window(20, 4, false));
        assert!(face.leave().is_empty(), "it was never taken");
    }
}

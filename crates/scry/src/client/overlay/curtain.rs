//! Between the program and the terminal: bytes pass, and a screen model follows; or the terminal is lent to the painter.

use bytes::Bytes;
use model::{Size, Tick};
use screen::{Canvas, Keys, Loan, Screen};
use std::collections::VecDeque;

/// Bytes that the terminal got and the screen has not drawn yet. Beyond: they are drawn, all at once: of many lines only
/// the last cost something. With a piece more they are not more than a screen looks at together.
const BEHIND_BYTES: usize = 960 * 1024;
/// Bytes that are kept for a terminal on loan. Beyond: it gets the picture as it is then, as if they had scrolled by.
const HELD_BYTES: usize = 1024 * 1024;
/// How long an answer of the terminal may take, in milliseconds. Later it is taken for something that was typed.
const ANSWER_MS: u64 = 5_000;
/// How long it is worth waiting for before a terminal on loan is taken back, in milliseconds.
const WORTH_MS: u64 = 300;
/// Asks the terminal where its cursor is.
const WHERE: &[u8] = b"\x1b[6n";

/// The terminal, the screen that it should show, and whether somebody paints in front of it.
pub struct Curtain {
    screen: Screen,
    behind: Vec<u8>,
    /// Nothing was drawn so far: the first answer of the terminal says where to begin.
    is_fresh: bool,
    lent: Option<Lent>,
    /// Loans so far.
    loans: u64,
    /// For which loan the terminal was asked, and when; 0 is the beginning. Answers come in the order of the questions.
    asked: VecDeque<(u64, Tick)>,
    /// The terminal left the last question unanswered.
    is_mute: bool,
}

/// A terminal on loan.
struct Lent {
    loan: Loan,
    /// What the program has written since; `None` when that was too much.
    held: Option<Vec<u8>>,
    /// Row and column of the cursor as it was taken.
    caret: (u16, u16),
    /// Whether the terminal has said that its cursor was there. Then it shows what the screen does, and what was there
    /// before stays.
    is_sure: bool,
    /// Whether it has another size than when it was taken.
    is_resized: bool,
}

/// How the screen is painted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// Whether what is typed goes to the program.
    pub passes: bool,
    /// Whether the last row is taken.
    pub has_bar: bool,
    /// Whether it may be old.
    pub is_faint: bool,
}

impl Curtain {
    /// Before the first byte. The bytes are for the terminal.
    pub fn new(size: Size, now: Tick) -> (Self, Bytes) {
        let curtain = Self {
            screen: Screen::new(size.cols(), size.rows()),
            behind: Vec::new(),
            is_fresh: true,
            lent: None,
            loans: 0,
            asked: VecDeque::from([(0, now)]),
            is_mute: false,
        };
        (curtain, Bytes::from_static(WHERE))
    }

    /// The program writes; answers what the terminal gets.
    pub fn output(&mut self, bytes: Bytes) -> Option<Bytes> {
        let Some(lent) = &mut self.lent else {
            self.behind.extend_from_slice(&bytes);
            return Some(bytes);
        };
        self.screen.feed(&bytes);
        lent.held.take_if(|held| !fits(held, &bytes));
        if let Some(held) = &mut lent.held {
            held.extend_from_slice(&bytes);
        }
        None
    }

    /// Draws if much is to be drawn. The terminal should not have to wait for that.
    pub fn catch_up(&mut self) {
        if self.behind.len() > BEHIND_BYTES {
            self.draw();
        }
    }

    /// Whether a terminal on loan would never get these bytes.
    pub fn would_spare(&self, bytes: &Bytes) -> bool {
        let held = self.lent.as_ref().and_then(|lent| lent.held.as_ref());
        held.is_some_and(|held| !fits(held, bytes))
    }

    /// The terminal has another size.
    pub fn resize(&mut self, size: Size) {
        self.draw();
        self.screen.resize(size.cols(), size.rows());
        if let Some(lent) = &mut self.lent {
            lent.loan.resize(size.cols(), size.rows());
            lent.is_resized = true;
        }
    }

    /// Whether an answer of the terminal is awaited that the program did not ask for.
    pub fn awaits(&mut self, now: Tick) -> bool {
        while self.asked.pop_front_if(|(_, when)| now.since(*when) > ANSWER_MS).is_some() {
            self.is_mute = true;
        }
        !self.asked.is_empty()
    }

    /// The terminal's cursor is in this row and column, from 1.
    pub fn placed(&mut self, (row, col): (u16, u16)) {
        let Some((loan, _)) = self.asked.pop_front() else { return };
        self.is_mute = false;
        if loan == 0 && self.is_fresh {
            self.screen.feed(format!("\x1b[{row};{col}H").as_bytes());
        }
        if let Some(lent) = self.lent.as_mut().filter(|_| loan == self.loans) {
            lent.is_sure = lent.caret == (row, col);
        }
    }

    /// Whether somebody paints.
    pub fn is_lent(&self) -> bool {
        self.lent.is_some()
    }

    /// Whether the program is in no middle of a sequence or character.
    pub fn is_whole(&mut self) -> bool {
        self.draw();
        self.screen.is_whole()
    }

    /// Lends the terminal, which gets these bytes.
    pub fn lend(&mut self, now: Tick) -> Bytes {
        self.draw();
        self.awaits(now);
        (self.is_fresh, self.loans) = (false, self.loans + 1);
        let whole = self.screen.is_whole();
        let (col, row) = self.screen.caret();
        let (loan, taken) = Loan::take(&self.screen);
        self.lent = Some(Lent {
            loan,
            held: Some(Vec::new()),
            caret: (row + 1, col + 1),
            is_sure: false,
            is_resized: false,
        });
        if !whole {
            // What the terminal makes of a half is not known.
            return taken.into();
        }
        self.asked.push_back((self.loans, now));
        [WHERE, &taken].concat().into()
    }

    /// Until when it is better not taken back: what it showed before can only stay once it has said where its cursor was.
    pub fn better_after(&self) -> Option<Tick> {
        let (loan, asked) = self.asked.back()?;
        let waits = self.is_lent() && *loan == self.loans && !self.is_mute;
        waits.then(|| asked.plus_ms(WORTH_MS))
    }

    /// Takes it back; it gets these bytes.
    pub fn take_back(&mut self) -> Option<Bytes> {
        let lent = self.lent.take()?;
        let held = lent.held.filter(|_| !lent.is_resized);
        let mut out = match &held {
            Some(_) if lent.is_sure => lent.loan.give_back(),
            Some(_) => lent.loan.give_anew(None),
            None => lent.loan.give_anew(Some(&self.screen)),
        };
        out.extend_from_slice(&held.unwrap_or_default());
        Some(out.into())
    }

    /// Paints the screen as it is and something before it. With a bar on the last row the picture moves up where else its
    /// cursor would be covered.
    pub fn paint(&mut self, look: Look, before: impl FnOnce(&mut Canvas)) -> Option<Bytes> {
        let Look { passes, has_bar, is_faint } = look;
        let lent = self.lent.as_mut()?;
        let (cols, rows) = self.screen.size();
        let mut canvas = Canvas::new(cols, rows);
        let view = if has_bar && rows > 1 { rows - 1 } else { rows };
        let (_, above) = canvas.show(&self.screen, (cols, view), |_, _, cell| {
            cell.style.faint |= is_faint;
        });
        let cursor = canvas.cursor.filter(|_| passes && view < rows);
        before(&mut canvas);
        canvas.cursor = cursor;
        let mut keys = self.screen.keys();
        if !passes {
            keys = Keys { cursor_style: keys.cursor_style, ..Keys::default() };
        } else if above > 0 {
            // A click would mean another row.
            (keys.mouse, keys.mouse_encoding) = (None, None);
        }
        let painted = lent.loan.paint(canvas, Some(keys));
        (!painted.is_empty()).then(|| painted.into())
    }

    /// Paints a picture that has nothing to do with the screen, which goes on behind it.
    pub fn paint_over(&mut self, canvas: Canvas) -> Option<Bytes> {
        let painted = self.lent.as_mut()?.loan.paint(canvas, None);
        (!painted.is_empty()).then(|| painted.into())
    }

    /// Draws what the terminal got.
    fn draw(&mut self) {
        self.is_fresh &= self.behind.is_empty();
        self.screen.feed(&self.behind);
        self.behind.clear();
    }
}

fn fits(held: &[u8], bytes: &Bytes) -> bool {
    held.len() + bytes.len() <= HELD_BYTES
}

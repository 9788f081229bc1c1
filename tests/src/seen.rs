//! What a terminal shows at a moment, and in how many places that differs from something else.

use screen::{Cell, Colour, Screen};
use std::fmt::Write as _;
use std::ops::AddAssign;

/// Stands where tmux printed nothing: a blank, and tmux does not tell on what background (it leaves out what was erased
/// at the end of a row, in whatever colour).
const UNTOLD: char = '\u{e000}';

/// A terminal's picture.
#[derive(Clone, PartialEq)]
pub struct Seen {
    /// Columns and rows.
    pub size: (u16, u16),
    /// Column and row of the cursor, from 0, if it is shown.
    pub cursor: Option<(u16, u16)>,
    /// What the program asked of the keyboard and the mouse, in tmux's words.
    pub keys: String,
    text: String,
}

/// How much of two pictures is not the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Differences {
    /// Cells with another character.
    pub characters: usize,
    /// Cells with the same character that look otherwise.
    pub looks: usize,
}

impl Differences {
    /// Whether there are none.
    pub fn none(self) -> bool {
        self == Self::default()
    }

    /// Whether there are no more than these.
    pub fn within(self, known: Self) -> bool {
        self.characters <= known.characters && self.looks <= known.looks
    }
}

impl AddAssign for Differences {
    fn add_assign(&mut self, more: Self) {
        self.characters += more.characters;
        self.looks += more.looks;
    }
}

impl Seen {
    /// Reads what tmux printed: a line with size, cursor and keys, and then the text with its escape sequences.
    pub(crate) fn read(printed: &str) -> Self {
        let (facts, text) = printed.split_once('\n').expect("facts and a picture");
        let mut facts = facts.split(' ');
        let mut number = || facts.next().and_then(|fact| fact.parse().ok()).expect("a number");
        let size = (number(), number());
        let at = (number(), number());
        let shown = number() == 1;
        let keys = facts.collect::<Vec<_>>().join(" ");
        Self { size, cursor: shown.then_some(at), keys, text: text.to_owned() }
    }

    /// The picture, to be looked at cell by cell with [`differences`].
    pub fn screen(&self) -> Screen {
        let (cols, rows) = self.size;
        let untold = UNTOLD.to_string().repeat(cols.into());
        let mut bytes = String::new();
        let mut draw = |row: usize, text: &str| {
            write!(bytes, "\x1b[{}H{text}", row + 1).expect("a text takes all");
        };
        (0..rows).for_each(|row| draw(row.into(), &untold));
        // Looks go on from row to row.
        self.text.lines().enumerate().for_each(|(row, text)| draw(row, text));
        let mut screen = Screen::new(cols, rows);
        screen.feed(bytes.as_bytes());
        screen
    }

    /// How much two pictures of one size differ, looks of blanks included.
    pub fn differences(&self, other: &Self) -> Differences {
        assert_eq!(self.size, other.size);
        match self.text == other.text {
            true => Differences::default(),
            false => differences(&self.screen(), &other.screen(), (0, 0), (0, 0), self.size),
        }
    }

    /// Where two pictures of one size differ: column, row and both cells.
    pub fn unlike(&self, other: &Self) -> Vec<(u16, u16, Cell, Cell)> {
        unlike(&self.screen(), &other.screen(), (0, 0), (0, 0), self.size).collect()
    }

    /// Its rows as text, without trailing blanks.
    pub fn rows(&self) -> Vec<String> {
        let rows = self.screen().text();
        rows.into_iter().map(|row| row.replace(UNTOLD, " ").trim_end().to_owned()).collect()
    }
}

/// How much of so many columns and rows differs, from one place on the one screen and from another on the other.
pub fn differences(
    one: &Screen,
    other: &Screen,
    from_one: (u16, u16),
    from_other: (u16, u16),
    size: (u16, u16),
) -> Differences {
    let mut all = Differences::default();
    for (_, _, a, b) in unlike(one, other, from_one, from_other, size) {
        match a.ch == b.ch {
            true => all.looks += 1,
            false => all.characters += 1,
        }
    }
    all
}

fn unlike(
    one: &Screen,
    other: &Screen,
    (col_1, row_1): (u16, u16),
    (col_2, row_2): (u16, u16),
    (cols, rows): (u16, u16),
) -> impl Iterator<Item = (u16, u16, Cell, Cell)> {
    let places = (0..rows).flat_map(move |row| (0..cols).map(move |col| (col, row)));
    places.filter_map(move |(col, row)| {
        let (a, a_told) = told(one.cell(col_1 + col, row_1 + row));
        let (b, b_told) = told(other.cell(col_2 + col, row_2 + row));
        let alike = a.ch == b.ch && (a == b || !a_told || !b_told);
        (!alike).then_some((col, row, a, b))
    })
}

/// The cell as an eye tells it from others, and whether tmux told its looks: of a blank neither the colour nor the weight
/// of its character shows.
fn told(mut cell: Cell) -> (Cell, bool) {
    let told = cell.ch != UNTOLD;
    if !told {
        cell.ch = ' ';
    }
    let style = &mut cell.style;
    if cell.ch == ' ' && !style.underline && !style.strike {
        let behind = if style.inverse { &mut style.bg } else { &mut style.fg };
        *behind = Colour::Default;
        (style.bold, style.faint, style.italic, style.blink) = (false, false, false, false);
    }
    (cell, told)
}

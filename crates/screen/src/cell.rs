//! One place on the screen: a character and how it looks.

/// A colour, as the program asked for it; what it looks like is the viewer's choice of palette.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Colour {
    /// The terminal's own.
    #[default]
    Default,
    /// Of the 256 colours of xterm; the first 16 are the palette's.
    Indexed(u8),
    /// Red, green, blue.
    Rgb(u8, u8, u8),
}

/// How a character looks. Concealed text, overlines, underline colours and links are not modelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Style {
    /// Colour of the character.
    pub fg: Colour,
    /// Colour behind it.
    pub bg: Colour,
    /// SGR 1.
    pub bold: bool,
    /// SGR 2.
    pub faint: bool,
    /// SGR 3.
    pub italic: bool,
    /// SGR 4 and 21, of whatever shape.
    pub underline: bool,
    /// SGR 5.
    pub blink: bool,
    /// SGR 7: colours change places.
    pub inverse: bool,
    /// SGR 9.
    pub strike: bool,
}

impl Style {
    /// Of a terminal as it comes; [`Default`] for constants.
    pub const PLAIN: Self = Self {
        fg: Colour::Default,
        bg: Colour::Default,
        bold: false,
        faint: false,
        italic: false,
        underline: false,
        blink: false,
        inverse: false,
        strike: false,
    };
}

/// One place on the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cell {
    /// The character; a space where nothing was printed.
    pub ch: char,
    /// Columns it takes: 1, 2, or 0 for the right half of a wide one.
    pub width: u8,
    /// How it looks.
    pub style: Style,
}

impl Default for Cell {
    fn default() -> Self {
        Self { ch: ' ', width: 1, style: Style::default() }
    }
}

impl From<&avt::Cell> for Cell {
    fn from(cell: &avt::Cell) -> Self {
        let pen = cell.pen();
        let style = Style {
            fg: pen.foreground().map_or(Colour::Default, colour),
            bg: pen.background().map_or(Colour::Default, colour),
            bold: pen.is_bold(),
            faint: pen.is_faint(),
            italic: pen.is_italic(),
            underline: pen.is_underline(),
            blink: pen.is_blink(),
            inverse: pen.is_inverse(),
            strike: pen.is_strikethrough(),
        };
        Self { ch: cell.char(), width: cell.width(), style }
    }
}

fn colour(colour: avt::Color) -> Colour {
    match colour {
        avt::Color::Indexed(n) => Colour::Indexed(n),
        avt::Color::RGB(rgb) => Colour::Rgb(rgb.r, rgb.g, rgb.b),
    }
}

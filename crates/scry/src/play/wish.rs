//! What goes into the player's mind and comes out of it.

/// A key, whatever terminal it comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// A character.
    Char(char),
    /// Arrows.
    Left,
    /// Arrow.
    Right,
    /// Arrow.
    Up,
    /// Arrow.
    Down,
    /// Arrow with shift.
    ShiftLeft,
    /// Arrow with shift.
    ShiftRight,
    /// Page up.
    PageUp,
    /// Page down.
    PageDown,
    /// Home.
    Home,
    /// End.
    End,
    /// Enter.
    Enter,
    /// Escape.
    Escape,
    /// Backspace.
    Backspace,
    /// Control and C.
    Interrupt,
}

/// What the mind knows of the recording; told after every change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Film {
    /// Time of the latest entry on the screen, in milliseconds.
    pub at: u64,
    /// Time of the entry that comes next.
    pub next: Option<u64>,
    /// Time of the last entry there is.
    pub length: u64,
    /// Whether there will be no more.
    pub ended: bool,
}

/// What the driver should do.
#[derive(Debug, Clone, PartialEq)]
pub enum Wish {
    /// Show this moment.
    Goto(u64),
    /// Show one entry more.
    Forward,
    /// Show one entry less.
    Back,
    /// Search, forwards or backwards; the answer is `Mind::found`.
    Search {
        /// For what.
        text: String,
        /// Where to.
        forward: bool,
    },
    /// Stop searching.
    StopSearch,
    /// Go to the marker beside this moment.
    Marker {
        /// From when.
        from: u64,
        /// Where to.
        forward: bool,
    },
    /// Go to the beginning of the program that ran beside this moment.
    Command {
        /// From when.
        from: u64,
        /// Where to.
        forward: bool,
    },
    /// Make the list; how many there are is told by `Mind::listed`.
    List,
    /// Go to the place of this number in the list.
    Choose(usize),
    /// Pick up what was written since.
    Refresh,
    /// Leave.
    Quit,
}

/// What covers the picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overlay {
    /// The keys.
    Help,
    /// The list, with the chosen number.
    List(usize),
}

/// How the time is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// From the beginning.
    Elapsed,
    /// To the end.
    Remaining,
    /// On the wall.
    Wall,
}

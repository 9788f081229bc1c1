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
    /// Go to what lies beside this moment.
    Beside {
        /// Of which kind.
        stop: Stop,
        /// From when.
        from: u64,
        /// Where to.
        forward: bool,
    },
    /// Make a list; how many there are is told by `Mind::listed`.
    List(Listed),
    /// Go to the place of this number in the list.
    Choose(Listed, usize),
    /// Pick up what was written since.
    Refresh,
    /// Leave.
    Quit,
}

/// Where a jump leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// To a mark, a person, a gap.
    Marker,
    /// To the beginning of a program.
    Program,
    /// To a file or a connection that the kernel saw.
    Seen,
}

/// What a list holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listed {
    /// Marks, people, programs, gaps.
    Notes,
    /// Files and connections that the kernel saw.
    Seen,
}

/// What covers the picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overlay {
    /// The keys.
    Help,
    /// A list, with the chosen number.
    List(Listed, usize),
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

//! Where the player is shown and how it is turned: a terminal of its own, or a place before something else.

use super::wish::Key;
use screen::Canvas;
use std::io;
use std::time::Duration;

/// Where the player is shown. An error ends the player.
pub trait Desk {
    /// Columns and rows of the next picture.
    fn size(&self) -> (u16, u16);

    /// Shows a picture.
    ///
    /// # Errors
    /// When the desk is gone.
    fn show(&mut self, canvas: Canvas) -> io::Result<()>;

    /// What whoever sits there does; `None` if that is nothing for so long. Blocks.
    ///
    /// # Errors
    /// When the desk is gone.
    fn turn(&mut self, wait: Duration) -> io::Result<Option<Turn>>;
}

/// What somebody does at a desk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// They press a key.
    Key(Key),
    /// Something that is no key of the player's, after which the desk may have another size.
    Else,
}

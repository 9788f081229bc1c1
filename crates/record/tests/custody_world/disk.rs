//! A disk with one spool file: full, failing or good, and the place where the process dies.

use crate::kit::Dice;
use record::{Cause, Room};

/// Bytes of the recording's reserve, and those that only its last records may use.
const RESERVE: usize = 3_000;
const LAST: usize = 700;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum State {
    #[default]
    Good,
    Full,
    Failing,
}

/// What became of a write.
pub enum Wrote {
    All,
    Nothing(Cause),
    /// The process died in it; some of the bytes may be there.
    Killed,
}

pub struct Disk {
    pub file: Vec<u8>,
    pub state: State,
    pub reserve: usize,
    /// Whether it was ever full or failing.
    pub was_bad: bool,
    /// Writes until the process dies in one.
    pub crash_in: Option<usize>,
}

impl Default for Disk {
    fn default() -> Self {
        let (file, state) = (Vec::new(), State::Good);
        Self { file, state, reserve: RESERVE, was_bad: false, crash_in: None }
    }
}

impl Disk {
    /// All of the bytes or none, unless the process dies.
    pub fn append(&mut self, bytes: &[u8], room: Room, dice: &mut Dice) -> Wrote {
        if let Some(left) = &mut self.crash_in {
            if *left == 0 {
                let torn = dice.below(bytes.len() + 1);
                if self.state != State::Failing {
                    self.file.extend_from_slice(&bytes[..torn]);
                }
                return Wrote::Killed;
            }
            *left -= 1;
        }
        let kept = match room {
            Room::Free => usize::MAX,
            Room::Reserve => LAST,
            Room::Last => 0,
        };
        match self.state {
            State::Good => self.reserve = RESERVE,
            State::Failing => {
                self.was_bad = true;
                return Wrote::Nothing(Cause::Failed);
            }
            State::Full if self.reserve.saturating_sub(kept) < bytes.len() => {
                self.was_bad = true;
                return Wrote::Nothing(Cause::Full);
            }
            State::Full => self.reserve -= bytes.len(),
        }
        self.file.extend_from_slice(bytes);
        Wrote::All
    }

    pub fn probe(&mut self) -> Result<(), Cause> {
        match self.state {
            State::Good => {
                self.reserve = RESERVE;
                Ok(())
            }
            State::Full => Err(Cause::Full),
            State::Failing => Err(Cause::Failed),
        }
    }

    /// The process begins anew.
    pub fn restart(&mut self) {
        self.crash_in = None;
    }
}

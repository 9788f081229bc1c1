//! What an earlier run left of a recording, and where to go on: behind what the file has, or what auth has if that is more.

use super::Run;
use crate::reader::Recovered;
use model::seal::Head;

/// The end of a recording as it is known somewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tail {
    /// The chain there.
    pub head: Head,
    /// Time of the latest entry, in milliseconds since the recording began.
    pub last_at: u64,
    /// The `Ended` entry is there.
    pub ended: bool,
    /// The signed END is there too: nothing is missing.
    pub finished: bool,
}

impl From<&Recovered> for Tail {
    fn from(found: &Recovered) -> Self {
        let Recovered { head, last_at, ref ended, finished, .. } = *found;
        Self { head, last_at, ended: ended.is_some(), finished }
    }
}

/// What is left, all told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// Where to go on.
    pub tail: Tail,
    /// Runs of the file.
    pub runs: Vec<Run>,
    /// Bytes of the file up to the end of its last whole record.
    pub len: u64,
    /// Records up to there.
    pub file: u64,
}

impl Left {
    /// Of what the file holds (none if not even its heading is whole) and what auth has received; none of both: nothing
    /// was shown or shipped, and nothing is left.
    #[must_use]
    pub fn of(file: Option<(&Recovered, Vec<Run>)>, auth: Option<Tail>) -> Option<Self> {
        let Some((found, runs)) = file else {
            return Some(Self { tail: auth?, runs: Vec::new(), len: 0, file: 0 });
        };
        let here = Tail::from(found);
        let tail = auth.filter(|there| there.head.records > here.head.records).unwrap_or(here);
        Some(Self { tail, runs, len: found.valid_len, file: here.head.records })
    }
}

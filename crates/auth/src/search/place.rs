//! Where a search goes on: behind a recording, or behind an entry of one.

use model::{Seq, SessionId, Time};
use std::fmt;
use std::str::FromStr;

/// A place in the list of recordings, newest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Behind {
    /// When the recording began.
    pub started: Time,
    /// Which it is.
    pub id: SessionId,
    /// Behind which of its entries; none behind all of it.
    pub seq: Option<Seq>,
}

/// A text that is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoPlace;

impl fmt::Display for Behind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}.{}", self.started.0, self.id)?;
        match self.seq {
            Some(seq) => write!(out, ".{}", seq.0),
            None => Ok(()),
        }
    }
}

impl FromStr for Behind {
    type Err = NoPlace;

    fn from_str(text: &str) -> Result<Self, NoPlace> {
        let mut parts = text.split('.');
        let started = parts.next().and_then(|part| part.parse().ok()).ok_or(NoPlace)?;
        let id = parts.next().and_then(|part| part.parse().ok()).ok_or(NoPlace)?;
        let seq =
            parts.next().map(|part| part.parse().map(Seq).map_err(|_| NoPlace)).transpose()?;
        match parts.next() {
            None => Ok(Self { started: Time(started), id, seq }),
            Some(_) => Err(NoPlace),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_as_it_was_written_and_nonsense_is_refused() {
        let id = SessionId::from_random([7; 16]);
        for seq in [None, Some(Seq(0)), Some(Seq(u64::MAX))] {
            let place = Behind { started: Time(1_790_000_000_000), id, seq };
            assert_eq!(place.to_string().parse(), Ok(place));
        }
        for odd in ["", "1", "1.2", &format!("x.{id}"), &format!("1.{id}."), &format!("1.{id}.1.1")]
        {
            assert_eq!(odd.parse::<Behind>(), Err(NoPlace), "{odd}");
        }
    }
}

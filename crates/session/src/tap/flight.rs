//! Requests of sftp that wait for their answers, found again by their numbers.
//!
//! A client may have a whole file in flight, one request for each block (paramiko does). Reads or writes with
//! consecutive numbers and places are one run here, so that a bound on runs is a bound on memory and none on clients.

use super::cursor::Wrong;
use model::limit::TRANSFER_REQUESTS;
use std::collections::BTreeMap;

/// A block of an open file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Block {
    /// Which file.
    pub slot: u32,
    /// To be written, not read.
    pub write: bool,
    /// First byte.
    pub from: u64,
    /// How many.
    pub bytes: u32,
}

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Asked<R> {
    Block(Block),
    Other(R),
}

/// Requests in flight; `R` are those that are no blocks.
#[derive(Debug)]
pub(super) struct Flight<R> {
    /// By the number of the first.
    runs: BTreeMap<u32, Run<R>>,
}

#[derive(Debug)]
struct Run<R> {
    /// Number of the last.
    last: u32,
    /// The first; those behind it follow in number and place.
    asked: Asked<R>,
}

impl<R> Default for Flight<R> {
    fn default() -> Self {
        Self { runs: BTreeMap::new() }
    }
}

/// The block that stands `many` blocks behind this one.
fn behind(block: Block, many: u32) -> Block {
    let bytes = u64::from(block.bytes).saturating_mul(many.into());
    Block { from: block.from.saturating_add(bytes), ..block }
}

impl<R> Flight<R> {
    /// A request was sent.
    pub fn send(&mut self, id: u32, asked: Asked<R>) -> Result<(), Wrong> {
        if let Some((first, run)) = self.runs.range_mut(..=id).next_back() {
            if run.last >= id {
                return Err("two requests of the same number");
            }
            if let (Asked::Block(old), Asked::Block(new)) = (&run.asked, &asked)
                && run.last.checked_add(1) == Some(id)
                && behind(*old, id - first) == *new
            {
                run.last = id;
                return Ok(());
            }
        }
        self.insert(id, Run { last: id, asked })
    }

    /// It was answered.
    pub fn answer(&mut self, id: u32) -> Result<Asked<R>, Wrong> {
        let unknown = "an answer that nobody asked for";
        let (first, last) = match self.runs.range(..=id).next_back() {
            Some((first, run)) if run.last >= id => (*first, run.last),
            _ => return Err(unknown),
        };
        let run = self.runs.remove(&first).ok_or(unknown)?;
        let Asked::Block(block) = run.asked else { return Ok(run.asked) };
        if let Some(before) = id.checked_sub(1).filter(|_| id > first) {
            self.insert(first, Run { last: before, asked: Asked::Block(block) })?;
        }
        if id < last {
            let next = behind(block, id - first + 1);
            self.insert(id + 1, Run { last, asked: Asked::Block(next) })?;
        }
        Ok(Asked::Block(behind(block, id - first)))
    }

    /// Everything that was never answered. Blocks that follow each other are one.
    pub fn drain(&mut self) -> impl Iterator<Item = Asked<R>> {
        std::mem::take(&mut self.runs).into_values().map(|run| run.asked)
    }

    fn insert(&mut self, id: u32, run: Run<R>) -> Result<(), Wrong> {
        if self.runs.len() >= TRANSFER_REQUESTS {
            return Err("too many requests without an answer");
        }
        self.runs.insert(id, run);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn block(from: u64) -> Asked<u8> {
        Asked::Block(Block { slot: 1, write: false, from, bytes: 10 })
    }

    #[test]
    fn a_million_reads_in_a_row_are_one_run_whatever_is_answered_first() {
        let mut flight = Flight::default();
        for id in 0..1_000_000 {
            flight.send(id, block(u64::from(id) * 10)).unwrap();
        }
        assert_eq!(flight.runs.len(), 1);
        assert_eq!(flight.answer(500_000), Ok(block(5_000_000)));
        assert_eq!(flight.answer(999_999), Ok(block(9_999_990)));
        assert_eq!(flight.answer(0), Ok(block(0)));
        assert_eq!(flight.runs.len(), 2);
        assert!(flight.answer(0).is_err() && flight.send(7, block(1)).is_err());
    }

    #[test]
    fn runs_are_bounded_even_when_answers_cut_them_to_pieces() {
        let mut flight = Flight::default();
        let send = (0..=TRANSFER_REQUESTS as u32).map(|id| flight.send(id * 2, Asked::Other(0u8)));
        assert_eq!(send.filter(Result::is_err).count(), 1);
        let mut flight = Flight::default();
        for id in 0..100_000 {
            flight.send(id, block(u64::from(id) * 10)).unwrap();
        }
        let answers = (0..50_000).map(|id| flight.answer(id * 2 + 1));
        assert!(answers.take_while(Result::is_ok).count() < TRANSFER_REQUESTS);
    }

    proptest! {
        #[test]
        fn runs_answer_as_a_map_of_single_requests_does(
            steps in proptest::collection::vec((0u32..40, 0u64..6, any::<bool>()), 0..200),
        ) {
            let (mut flight, mut plain) = (Flight::default(), BTreeMap::new());
            let mut place = 0;
            for (id, jump, send) in steps {
                if send {
                    // Mostly in a row, sometimes elsewhere.
                    place += if jump == 0 { 1000 } else { 10 };
                    let sent = flight.send(id, block(place));
                    prop_assert_eq!(sent.is_ok(), !plain.contains_key(&id));
                    plain.entry(id).or_insert(block(place));
                } else {
                    prop_assert_eq!(flight.answer(id).ok(), plain.remove(&id));
                }
            }
        }
    }
}

//! What was moved of one file in one direction: how much, in which order, and its hash while it is in order.

use model::limit::TRANSFER_EXTENTS;
use model::transfer::{Digest, Extent, Layout, Moved};

/// Bytes moved so far.
#[derive(Debug, Default)]
pub(super) struct Tally {
    bytes: u64,
    /// While everything came in order. Made with the first byte: it is 2 KiB, and most open files never need it.
    hasher: Option<Box<blake3::Hasher>>,
    /// Something was moved out of order.
    scattered: bool,
    /// Where the next byte in order belongs.
    next: u64,
    /// In the order in which they were first touched.
    extents: Vec<Extent>,
    /// The one that grows now; none if it could not be listed.
    growing: Option<usize>,
    more: u64,
    /// A block begins here with the next byte; one that stays empty moves nothing.
    begun: Option<u64>,
}

impl Tally {
    /// A block begins at this byte of the file.
    pub fn begin(&mut self, from: u64) {
        self.begun = Some(from);
    }

    fn place(&mut self, from: u64) {
        if self.bytes > 0 && from == self.next {
            return;
        }
        if self.bytes > 0 {
            self.scattered = true;
            self.hasher = None;
        }
        self.next = from;
        let touches = |extent: &Extent| (extent.from..=end(extent)).contains(&from);
        self.growing = self.extents.iter().position(touches);
        if self.growing.is_none() && self.extents.len() < TRANSFER_EXTENTS {
            self.growing = Some(self.extents.len());
            self.extents.push(Extent { from, bytes: 0 });
        } else if self.growing.is_none() {
            self.more = self.more.saturating_add(1);
        }
    }

    /// More of the block.
    pub fn add(&mut self, piece: &[u8]) {
        if piece.is_empty() {
            return;
        }
        if let Some(from) = self.begun.take() {
            self.place(from);
        }
        let count = piece.len() as u64;
        self.bytes = self.bytes.saturating_add(count);
        self.next = self.next.saturating_add(count);
        if !self.scattered {
            self.hasher.get_or_insert_default().update(piece);
        }
        if let Some(extent) = self.growing.and_then(|growing| self.extents.get_mut(growing)) {
            extent.bytes = extent.bytes.max(self.next.saturating_sub(extent.from));
        }
    }

    /// Whether everything came in order from the first byte of the file up to `at`.
    pub fn is_whole_to(&self, at: u64) -> bool {
        !self.scattered && self.bytes == at && self.next == at
    }

    /// What was moved, if anything was.
    pub fn moved(&self) -> Option<Moved> {
        (self.bytes > 0).then(|| self.moved_or_nothing())
    }

    /// What was moved, be it nothing.
    pub fn moved_or_nothing(&self) -> Moved {
        let layout = match (&self.hasher, self.scattered) {
            (hasher, false) => {
                let hash = hasher.as_ref().map_or_else(|| blake3::hash(b""), |h| h.finalize());
                let from = self.next.saturating_sub(self.bytes);
                Layout::Contiguous { from, hash: Digest(*hash.as_bytes()) }
            }
            (_, true) => Layout::Scattered { extents: self.merged(), more: self.more },
        };
        Moved { bytes: self.bytes, layout }
    }

    fn merged(&self) -> Vec<Extent> {
        let mut sorted = self.extents.clone();
        sorted.sort_by_key(|extent| extent.from);
        let mut merged: Vec<Extent> = Vec::with_capacity(sorted.len());
        for extent in sorted.into_iter().filter(|extent| extent.bytes > 0) {
            match merged.last_mut() {
                Some(last) if end(last) >= extent.from => {
                    last.bytes = end(&extent).max(end(last)).saturating_sub(last.from);
                }
                _ => merged.push(extent),
            }
        }
        merged
    }
}

fn end(extent: &Extent) -> u64 {
    extent.from.saturating_add(extent.bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(blocks: &[(u64, &str)], wanted: Result<(u64, &str), &[(u64, u64)]>) {
        let mut tally = Tally::default();
        for (from, text) in blocks {
            tally.begin(*from);
            for byte in text.bytes() {
                tally.add(&[byte]);
            }
        }
        let layout = match wanted {
            Ok((from, text)) => {
                let hash = Digest(*blake3::hash(text.as_bytes()).as_bytes());
                Layout::Contiguous { from, hash }
            }
            Err(extents) => Layout::Scattered {
                extents: extents
                    .iter()
                    .map(|(from, bytes)| Extent { from: *from, bytes: *bytes })
                    .collect(),
                more: 0,
            },
        };
        let bytes = blocks.iter().map(|(_, text)| text.len() as u64).sum();
        assert_eq!(tally.moved_or_nothing(), Moved { bytes, layout }, "{blocks:?}");
    }

    #[test]
    fn blocks_in_order_have_a_hash_and_others_their_places() {
        check(&[], Ok((0, "")));
        check(&[(0, "ab"), (2, "c")], Ok((0, "abc")));
        check(&[(7, "ab"), (9, "c")], Ok((7, "abc")));
        check(&[(9, ""), (3, "ab"), (8, "")], Ok((3, "ab")));
        check(&[(0, "ab"), (3, "c")], Err(&[(0, 2), (3, 1)]));
        check(&[(2, "cd"), (0, "ab")], Err(&[(0, 4)]));
        check(&[(0, "abc"), (1, "x")], Err(&[(0, 3)]));
        check(&[(0, "abc"), (1, "xyz")], Err(&[(0, 4)]));
        check(&[(0, "a"), (4, "e"), (2, "c"), (1, "b"), (3, "d")], Err(&[(0, 5)]));
    }

    #[test]
    fn more_pieces_than_are_listed_are_counted() {
        let mut tally = Tally::default();
        for piece in 0..40u64 {
            tally.begin(1000 - piece * 10);
            tally.add(b"xy");
        }
        let Layout::Scattered { extents, more } = tally.moved_or_nothing().layout else { panic!() };
        assert_eq!((extents.len(), more), (TRANSFER_EXTENTS, 40 - TRANSFER_EXTENTS as u64));
    }

    #[test]
    fn the_end_of_a_file_that_came_whole_is_known() {
        let mut tally = Tally::default();
        assert!(tally.is_whole_to(0) && !tally.is_whole_to(3));
        tally.begin(0);
        tally.add(b"abc");
        assert!(tally.is_whole_to(3) && !tally.is_whole_to(2));
    }
}

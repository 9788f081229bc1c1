//! How many files of recordings that arrive are open. Beyond a bound the one used longest ago is closed for the next.

use super::Lane;
use model::NodeName;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// Open files together. Close: the one used longest ago, of the node that has most.
const FILES: usize = 16_384;
/// Of one node: more than the sessions of it that are listed, since a file that is opened again is read from its beginning.
/// Close: the one used longest ago.
const FILES_OF_NODE: usize = 1_536;

/// Seats for files that are open.
pub(crate) struct Seats {
    most: usize,
    most_of_node: usize,
    /// Locked to count and to list.
    taken: Mutex<Occupied>,
}

#[derive(Default)]
struct Occupied {
    next: u64,
    by_node: BTreeMap<NodeName, BTreeMap<u64, Weak<Lane>>>,
}

/// A file may be open. Dropped behind the file.
pub(crate) struct Seat {
    seats: Arc<Seats>,
    node: NodeName,
    number: u64,
}

impl Default for Seats {
    fn default() -> Self {
        Self::new(FILES, FILES_OF_NODE)
    }
}

impl Seats {
    /// So many together, and of each node.
    pub(crate) fn new(most: usize, most_of_node: usize) -> Self {
        Self { most, most_of_node, taken: Mutex::default() }
    }

    /// A seat for a recording of this node; if need be, the file of another is closed for it. None if each of those that
    /// could be closed is being used.
    pub(crate) fn take(self: &Arc<Self>, node: &NodeName, lane: &Arc<Lane>) -> Option<Seat> {
        loop {
            // Of those that the list holds somebody may have taken the seat meanwhile: then it is listed again.
            let others = match self.free_or_others(node, lane) {
                Ok(seat) => return Some(seat),
                Err(others) => others,
            };
            if !others.iter().any(|other| other.close()) {
                return None;
            }
        }
    }

    /// A seat that is free, or the recordings that stand in the way, the first to be closed first.
    fn free_or_others(
        self: &Arc<Self>,
        node: &NodeName,
        lane: &Arc<Lane>,
    ) -> Result<Seat, Vec<Arc<Lane>>> {
        let mut taken = self.taken();
        let own = taken.by_node.get(node).map_or(0, BTreeMap::len);
        let together: usize = taken.by_node.values().map(BTreeMap::len).sum();
        let full = own >= self.most_of_node;
        if !full && together < self.most {
            let number = taken.next;
            taken.next = number.saturating_add(1);
            let lanes = taken.by_node.entry(node.clone()).or_default();
            lanes.insert(number, Arc::downgrade(lane));
            return Ok(Seat { seats: Arc::clone(self), node: node.clone(), number });
        }
        let mut others = Vec::new();
        for (whose, lanes) in &taken.by_node {
            if !full || whose == node {
                let there = lanes.values().filter_map(Weak::upgrade);
                others.extend(there.map(|other| (Reverse(lanes.len()), other.used(), other)));
            }
        }
        drop(taken);
        others.sort_by_key(|(most, used, _)| (*most, *used));
        Err(others.into_iter().map(|(_, _, other)| other).collect())
    }

    fn taken(&self) -> MutexGuard<'_, Occupied> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.taken();
        let Some(lanes) = taken.by_node.get_mut(&self.node) else { return };
        lanes.remove(&self.number);
        if lanes.is_empty() {
            taken.by_node.remove(&self.node);
        }
    }
}

//! How many of one thing there are at once: in all, and for each one who holds some, so that some are left for others.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// So many places, counted by who holds them. Clones share the count.
#[derive(Debug, Clone)]
pub struct Places<K: Ord> {
    most: usize,
    most_of_one: usize,
    taken: Shared<K>,
}

/// Shared, because a place is given back wherever its holder is dropped; held for a count only.
type Shared<K> = Arc<Mutex<Taken<K>>>;

#[derive(Debug)]
struct Taken<K> {
    all: usize,
    of_one: BTreeMap<K, usize>,
}

/// One place, given back when it is dropped.
#[derive(Debug)]
pub struct Place<K: Ord> {
    taken: Shared<K>,
    of: Option<K>,
}

/// Why there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    /// So many are taken, and that is all.
    All(usize),
    /// This one holds so many, and that is all that one may.
    OfOne(usize),
}

impl<K: Ord + Clone> Places<K> {
    /// So many, and so many for one.
    #[must_use]
    pub fn new(most: usize, most_of_one: usize) -> Self {
        let taken = Taken { all: 0, of_one: BTreeMap::new() };
        Self { most, most_of_one, taken: Arc::new(Mutex::new(taken)) }
    }

    /// A place for one more of this one's.
    ///
    /// # Errors
    /// [`Full`].
    pub fn take(&self, of: K) -> Result<Place<K>, Full> {
        self.enter(Some(of))
    }

    /// A place that counts for nobody.
    ///
    /// # Errors
    /// [`Full::All`].
    pub fn take_any(&self) -> Result<Place<K>, Full> {
        self.enter(None)
    }

    fn enter(&self, of: Option<K>) -> Result<Place<K>, Full> {
        let mut taken = locked(&self.taken);
        if taken.all >= self.most {
            return Err(Full::All(self.most));
        }
        if let Some(of) = &of {
            let own = taken.of_one.get(of).copied().unwrap_or_default();
            if own >= self.most_of_one {
                return Err(Full::OfOne(self.most_of_one));
            }
            taken.of_one.insert(of.clone(), own.saturating_add(1));
        }
        taken.all = taken.all.saturating_add(1);
        Ok(Place { taken: Arc::clone(&self.taken), of })
    }
}

impl<K: Ord> Drop for Place<K> {
    fn drop(&mut self) {
        let mut taken = locked(&self.taken);
        taken.all = taken.all.saturating_sub(1);
        let Some(of) = &self.of else { return };
        if let Some(own) = taken.of_one.get_mut(of) {
            *own = own.saturating_sub(1);
            if *own == 0 {
                taken.of_one.remove(of);
            }
        }
    }
}

fn locked<K>(taken: &Mutex<Taken<K>>) -> MutexGuard<'_, Taken<K>> {
    taken.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_so_many_places_and_so_many_for_one_and_a_dropped_one_is_free_again() {
        let places = Places::new(3, 2);
        let first = places.take("near").unwrap();
        let second = places.take("near").unwrap();
        assert_eq!(places.take("near").unwrap_err(), Full::OfOne(2));
        let third = places.take_any().unwrap();
        assert_eq!(places.take("far").unwrap_err(), Full::All(3));
        assert_eq!(places.take_any().unwrap_err(), Full::All(3));
        drop(first);
        let fourth = places.take("near").unwrap();
        drop((second, third, fourth));
        let taken = locked(&places.taken);
        assert_eq!((taken.all, taken.of_one.len()), (0, 0), "nothing is kept of who left");
    }
}

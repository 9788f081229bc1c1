//! Counts connections, all together and by address; a place is given back when it is dropped.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// Places for connections.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    // Locked because a place is given back by whichever task drops its connection; held for a count only.
    taken: Arc<Mutex<Taken>>,
    most: usize,
    most_per_address: usize,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// One place.
#[derive(Debug)]
pub(crate) struct Place {
    places: Places,
    address: Option<IpAddr>,
}

impl Places {
    pub(crate) fn new(most: usize, most_per_address: usize) -> Self {
        Self { taken: Arc::default(), most, most_per_address }
    }

    /// A place for a connection from `address`; `None` when there is none.
    pub(crate) fn take(&self, address: IpAddr) -> Option<Place> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.all >= self.most {
            return None;
        }
        let of_address = taken.by_address.entry(address).or_default();
        if *of_address >= self.most_per_address {
            return None;
        }
        *of_address += 1;
        taken.all += 1;
        Some(Place { places: self.clone(), address: Some(address) })
    }

    /// A place that counts for no address.
    pub(super) fn take_any(&self) -> Option<Place> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.all >= self.most {
            return None;
        }
        taken.all += 1;
        Some(Place { places: self.clone(), address: None })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.all = taken.all.saturating_sub(1);
        let Some(address) = self.address else { return };
        if let Some(left) = taken.by_address.get_mut(&address) {
            *left = left.saturating_sub(1);
            if *left == 0 {
                taken.by_address.remove(&address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_free_again_once_it_is_dropped() {
        let places = Places::new(3, 2);
        let [near, far] = ["127.0.0.1", "192.0.2.1"].map(|text| text.parse::<IpAddr>().unwrap());
        let first = places.take(near);
        let second = places.take(near);
        assert!(first.is_some() && second.is_some());
        assert!(places.take(near).is_none(), "two from one address");
        let third = places.take(far);
        assert!(third.is_some());
        assert!(places.take(far).is_none(), "three in all");
        drop(first);
        assert!(places.take(near).is_some());
        drop((second, third));
        let taken = places.taken.lock().unwrap();
        assert_eq!((taken.all, taken.by_address.len()), (0, 0), "nothing is kept of who left");
    }
}

//! Places on a node of which one person holds so many at most, so that some are left for others.

use model::UserName;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many places there are, and who holds them.
#[derive(Debug)]
pub(crate) struct Places {
    most: usize,
    most_of_one: usize,
    /// Held for moments only.
    of: Mutex<BTreeMap<UserName, usize>>,
}

/// One of them, until it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    all: Arc<Places>,
    user: UserName,
}

/// Why there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Full {
    /// So many are taken, and that is all.
    All(usize),
    /// This person holds so many, and that is all that one person may.
    OfOne(usize),
}

impl Places {
    /// So many, and so many for one person.
    pub fn new((most, most_of_one): (usize, usize)) -> Arc<Self> {
        Arc::new(Self { most, most_of_one, of: Mutex::default() })
    }

    /// A place for one more of this user.
    ///
    /// # Errors
    /// [`Full`].
    pub fn enter(self: &Arc<Self>, user: &UserName) -> Result<Place, Full> {
        let mut of = self.of();
        if of.values().sum::<usize>() >= self.most {
            return Err(Full::All(self.most));
        }
        let own = of.entry(user.clone()).or_default();
        if *own >= self.most_of_one {
            return Err(Full::OfOne(self.most_of_one));
        }
        *own += 1;
        Ok(Place { all: Arc::clone(self), user: user.clone() })
    }

    fn of(&self) -> MutexGuard<'_, BTreeMap<UserName, usize>> {
        self.of.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut of = self.all.of();
        if let Some(own) = of.get_mut(&self.user) {
            *own = own.saturating_sub(1);
            if *own == 0 {
                of.remove(&self.user);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_and_a_node_have_so_many_places_and_one_is_free_again() {
        let (most, of_one) = (8, 3);
        let all = Places::new((most, of_one));
        let user = |n: usize| format!("user{n}").parse::<UserName>().unwrap();
        let mut places: Vec<_> = (0..of_one).map(|_| all.enter(&user(0)).unwrap()).collect();
        assert_eq!(all.enter(&user(0)).unwrap_err(), Full::OfOne(of_one));
        places.extend((of_one..most).map(|n| all.enter(&user(n)).unwrap()));
        assert_eq!(all.enter(&user(1)).unwrap_err(), Full::All(most));
        places.remove(0);
        places.push(all.enter(&user(0)).unwrap());
        assert!(all.enter(&user(1)).is_err());
        places.clear();
        assert!(all.of().is_empty());
    }
}

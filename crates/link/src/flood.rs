//! What strangers can bring about as often as they like: told one by one while it is little, counted beyond.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long things are counted together.
pub const FLOOD_WINDOW: Duration = Duration::from_secs(60);
/// Things told one by one in a window. Cut: further ones are counted.
const TOLD: u64 = 120;

/// Decides what is told and what only counted. Whoever reaches a port can be refused as often as they like; the ledger must
/// not grow as fast as they knock.
#[derive(Debug)]
pub struct Flood {
    /// Locked for a count only: connections end wherever they are.
    seen: Mutex<Seen>,
}

#[derive(Debug)]
struct Seen {
    since: Instant,
    count: u64,
    untold: u64,
}

impl Default for Flood {
    fn default() -> Self {
        Self { seen: Mutex::new(Seen { since: Instant::now(), count: 0, untold: 0 }) }
    }
}

impl Flood {
    /// One more. Answers whether it is to be told; else it is counted.
    #[must_use]
    pub fn tells(&self) -> bool {
        self.tells_at(Instant::now())
    }

    /// How many were only counted since this was last asked.
    #[must_use]
    pub fn untold(&self) -> u64 {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut seen.untold)
    }

    fn tells_at(&self, now: Instant) -> bool {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if now.saturating_duration_since(seen.since) >= FLOOD_WINDOW {
            (seen.since, seen.count) = (now, 0);
        }
        seen.count = seen.count.saturating_add(1);
        let tells = seen.count <= TOLD;
        if !tells {
            seen.untold = seen.untold.saturating_add(1);
        }
        tells
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_told_up_to_its_bound_and_counted_beyond_it() {
        let (flood, now) = (Flood::default(), Instant::now());
        let told = (0..TOLD + 5).filter(|_| flood.tells_at(now)).count() as u64;
        assert_eq!(told, TOLD);
        assert_eq!((flood.untold(), flood.untold()), (5, 0));
        assert!(flood.tells_at(now + FLOOD_WINDOW), "a new window begins");
    }
}

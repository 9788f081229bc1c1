//! The two clocks, read in one place.

use model::{Tick, Time};
use std::sync::LazyLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// What a calendar shows.
pub fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// What only moves forward, since the first call.
pub fn tick() -> Tick {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    Tick(u64::try_from(START.elapsed().as_millis()).unwrap_or(u64::MAX))
}

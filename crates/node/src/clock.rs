//! The two clocks of this machine.

use model::{Tick, Time};
use std::sync::LazyLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Milliseconds since this process first asked.
pub(crate) fn tick() -> Tick {
    Tick(u64::try_from(START.elapsed().as_millis()).unwrap_or(u64::MAX))
}

/// The wall clock. A machine whose clock stands before 1970 is told 1970.
pub(crate) fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// A wall-clock moment on the monotonic clock, as things stand now; one that has passed is now.
pub(crate) fn tick_of(moment: Time) -> Tick {
    tick().plus_ms(u64::try_from(moment.0.saturating_sub(now().0)).unwrap_or(0))
}

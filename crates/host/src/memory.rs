//! Memory that was needed for a while and is free goes back to the system.
//!
//! An allocator keeps what it was given back, for the next who asks. Behind a flood that is a third of a server's memory,
//! and nobody may ask again for days.

use crate::sys;
use std::time::Duration;

/// Between two looks.
const EVERY: Duration = Duration::from_secs(3);
/// What has come since the last time must be worth the pages that are fetched anew.
const WORTH: u64 = 8 << 20;
/// Of one processor, since the last look: who takes less is not at work that a pause of milliseconds would disturb.
const IDLE: f64 = 0.05;

/// Looks after it, for as long as the process runs: at rest, and where much has come since the last time.
pub async fn give_back_at_rest() {
    let mut looks = tokio::time::interval(EVERY);
    let mut keeper = Keeper::default();
    loop {
        looks.tick().await;
        let (Some(held), Some(worked)) = (held(), worked()) else { return };
        if keeper.look(held, worked) {
            // Other threads wait for their memory for as long as it takes, which is some milliseconds.
            sys::give_memory_back();
            keeper.left(self::held().unwrap_or(held));
        }
    }
}

/// When it is time.
#[derive(Debug, Default)]
struct Keeper {
    /// Bytes behind the last time, or fewer.
    least: u64,
    /// Time of a processor at the last look.
    worked: Duration,
}

impl Keeper {
    /// Bytes held and time worked, now; whether to give back.
    fn look(&mut self, held: u64, worked: Duration) -> bool {
        let busy = worked.saturating_sub(self.worked) > EVERY.mul_f64(IDLE);
        self.worked = worked;
        self.least = self.least.min(held);
        !busy && held > self.least.saturating_add(WORTH)
    }

    /// Bytes held afterwards.
    fn left(&mut self, held: u64) {
        self.least = held;
    }
}

/// Bytes of this process's own that are in memory (proc(5), `statm`).
fn held() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    let mut pages = text.split(' ').skip(1).map(str::parse::<u64>);
    let (resident, shared) = (pages.next()?.ok()?, pages.next()?.ok()?);
    let page = u64::try_from(rustix::param::page_size()).ok()?;
    Some(resident.saturating_sub(shared) * page)
}

/// Time of processors that this process has taken (clock_gettime(2), `CLOCK_PROCESS_CPUTIME_ID`).
fn worked() -> Option<Duration> {
    let taken = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::try_from(taken).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn looks(held: &[(u64, u64)]) -> Vec<bool> {
        let mut keeper = Keeper::default();
        keeper.left(20 * MIB);
        let mut worked = Duration::ZERO;
        let look = |(held, more): &(u64, u64)| {
            worked += Duration::from_millis(*more);
            keeper.look(held * MIB, worked)
        };
        held.iter().map(look).collect()
    }

    #[test]
    fn much_more_is_given_back_once_the_process_rests() {
        assert_eq!(looks(&[(27, 0), (28, 0), (29, 0)]), [false, false, true], "by 8 MiB");
        assert_eq!(looks(&[(90, 3000), (90, 151), (90, 150)]), [false, false, true]);
    }

    #[test]
    fn what_is_counted_from_is_the_least_that_was_held() {
        assert_eq!(looks(&[(10, 0), (19, 0)]), [false, true]);
    }

    #[test]
    fn both_are_told_by_this_system() {
        assert!(held().unwrap() > 100 << 10);
        assert!(worked().is_some());
    }
}

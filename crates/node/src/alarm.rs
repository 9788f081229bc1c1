//! A timer for loops that look at their next moment again in each round.

use crate::clock;
use model::Tick;
use std::pin::Pin;
use std::time::Duration;
use tokio::time::{Instant, Sleep};

/// Rings at a moment or before, never after: a moment that moves away is left standing, because to move a timer costs more
/// than to wake once for nothing.
pub(crate) struct Alarm {
    sleep: Pin<Box<Sleep>>,
    /// For when it is set.
    at: Option<Tick>,
}

impl Alarm {
    /// Set for nothing. Must be made within a tokio runtime.
    pub fn new() -> Self {
        Self { sleep: Box::pin(tokio::time::sleep(Duration::ZERO)), at: None }
    }

    /// Sees to it that it rings at that moment at the latest.
    pub fn set(&mut self, at: Option<Tick>) {
        let Some(at) = at.filter(|at| self.at.is_none_or(|set| *at < set)) else { return };
        self.at = Some(at);
        let left = Duration::from_millis(at.since(clock::tick()));
        self.sleep.as_mut().reset(Instant::now() + left);
    }

    /// Completes when it rings; then it is set for nothing. Cancel safe.
    pub async fn rings(&mut self) {
        if self.at.is_none() {
            std::future::pending::<()>().await;
        }
        self.sleep.as_mut().await;
        self.at = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn rings_within(alarm: &mut Alarm, ms: u64) -> bool {
        tokio::time::timeout(Duration::from_millis(ms), alarm.rings()).await.is_ok()
    }

    #[tokio::test]
    async fn it_rings_at_the_earliest_of_all_moments_once_and_not_without_one() {
        let mut alarm = Alarm::new();
        assert!(!rings_within(&mut alarm, 20).await, "set for nothing");
        let now = clock::tick();
        for at in [None, Some(60_000), Some(30), None, Some(90_000)] {
            alarm.set(at.map(|ms| now.plus_ms(ms)));
            assert!(!rings_within(&mut alarm, 1).await, "before its time");
        }
        assert!(rings_within(&mut alarm, 5_000).await && clock::tick() >= now.plus_ms(30));
        assert!(!rings_within(&mut alarm, 20).await, "twice");
        alarm.set(Some(now));
        assert!(rings_within(&mut alarm, 5_000).await, "a moment that has passed");
    }
}

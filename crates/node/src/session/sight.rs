//! What the kernel saw of a session, on its time line.

use super::Live;
use crate::clock;
use crate::eyes::{Sight, seen};
use host::Rest;
use model::limit::AFTERMATH_GRACE_MS;
use std::time::Duration;

/// Between two looks whether anybody is left.
const LOOK: Duration = Duration::from_millis(10);

impl Live {
    /// Notes what is watched, and begins to record what is seen.
    pub(super) fn look(&mut self, sight: Option<Sight>) {
        let (Some(mut sight), Some(recorder)) = (sight, &self.recorder) else { return };
        sight.begin(recorder.began);
        sight.opening().into_iter().for_each(|entry| _ = self.record(entry));
        self.sight = Some(sight);
    }

    /// Records what was seen so far.
    pub(super) fn record_seen(&mut self) {
        while let Some(entry) = self.sight.as_mut().and_then(Sight::poll) {
            self.record(entry);
        }
        let told = self.sight.as_mut().map(Sight::told).unwrap_or_default();
        told.into_iter().for_each(|event| self.files.say(event));
    }

    /// Records what is left of it and how much it was, and tells the ledger. Answered is the watch of what goes on behind
    /// the end, if anything of this does.
    pub(super) async fn look_away(&mut self, rest: Option<&Rest>) -> Option<Sight> {
        let goes_on = match rest {
            Some(rest) => self.goes_on(rest).await,
            None => false,
        };
        let mut sight = self.sight.take()?;
        let events = if goes_on { sight.cut().await } else { sight.finish().await };
        self.sight = Some(sight);
        self.record_seen();
        events.into_iter().for_each(|event| self.files.say(event));
        self.sight.take().filter(|_| goes_on)
    }

    /// Whether anything of it goes on, once what ends with it has had a moment to do so.
    async fn goes_on(&mut self, rest: &Rest) -> bool {
        let until = clock::tick().plus_ms(AFTERMATH_GRACE_MS);
        while let Some(sight) = &self.sight
            && sight.place().is_some()
        {
            if sight.held() == 0 {
                // Whoever was too many for the kernel's table is not in its count.
                return sight.overgrew() && rest.count().await.is_some_and(|count| count > 0);
            }
            if clock::tick() >= until {
                return true;
            }
            let _ = tokio::time::timeout(LOOK, seen(&mut self.sight)).await;
            self.record_seen();
        }
        false
    }
}

//! What the kernel saw of a session, on its time line.

use super::Live;
use crate::eyes::Sight;
use model::entry::Entry;
use model::kernel::Kernel;

impl Live {
    /// Notes what is watched, and begins to record what is seen.
    pub(super) fn look(&mut self, sight: Option<Sight>) {
        let (Some(mut sight), Some(recorder)) = (sight, &self.recorder) else { return };
        sight.begin(recorder.began);
        self.record(Entry::Kernel(Kernel::Watch(sight.watch().clone())));
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

    /// Records what is left of it and how much it was, and tells the ledger.
    pub(super) async fn look_away(&mut self) {
        let Some(mut sight) = self.sight.take() else { return };
        let events = sight.finish().await;
        self.sight = Some(sight);
        self.record_seen();
        self.sight = None;
        events.into_iter().for_each(|event| self.files.say(event));
    }
}

//! The same thing done again and again stands once, with how often.

use model::Tick;
use model::kernel::{Action, Class, KernelEvent};
use std::collections::VecDeque;

/// How long an event waits for others like it, in milliseconds. It keeps the moment at which it happened.
const WAIT_MS: u64 = 200;
/// Events that wait. Then the oldest goes.
const WAITING: usize = 256;
/// Of those, how many of the youngest are compared with what comes: a loop over so many files folds.
const COMPARED: usize = 32;

/// Events in the order in which they came, and since when each waits.
#[derive(Debug, Default)]
pub(crate) struct Fold {
    waiting: VecDeque<(Tick, KernelEvent)>,
    now: Tick,
}

impl Fold {
    pub(crate) fn push(&mut self, event: KernelEvent, now: Tick) {
        self.now = self.now.max(now);
        if folds(&event.action)
            && let Some((_, same)) = self
                .waiting
                .iter_mut()
                .rev()
                .take(COMPARED)
                .find(|(_, it)| it.by == event.by && it.action == event.action)
        {
            same.times = same.times.saturating_add(event.times);
            return;
        }
        self.waiting.push_back((self.now, event));
    }

    /// The next event whose time has come.
    pub(crate) fn poll(&mut self) -> Option<KernelEvent> {
        let (since, event) = self.waiting.front()?;
        let due = self.waiting.len() > WAITING
            || self.now >= since.plus_ms(WAIT_MS)
            || !folds(&event.action);
        if due { self.waiting.pop_front().map(|(_, event)| event) } else { None }
    }

    /// The next event, whether its time has come or not.
    pub(crate) fn drain(&mut self) -> Option<KernelEvent> {
        self.waiting.pop_front().map(|(_, event)| event)
    }

    pub(crate) fn handle_timeout(&mut self, now: Tick) {
        self.now = self.now.max(now);
    }

    pub(crate) fn poll_timeout(&self) -> Option<Tick> {
        self.waiting.front().map(|(since, _)| since.plus_ms(WAIT_MS))
    }
}

/// Programs and their ends stand each for itself.
fn folds(action: &Action) -> bool {
    action.class() != Class::Commands
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::kernel::{Doer, End, Named};

    fn event(process: u32, action: Action) -> KernelEvent {
        let name = "x".to_owned();
        let by = Doer { process, parent: 1, uid: 0, euid: 0, audit: None, name, stray: false };
        KernelEvent { at: 0, by, action, times: 1 }
    }

    fn opened(process: u32, path: &str) -> KernelEvent {
        let file = Named { path: path.to_owned(), ..Named::default() };
        event(process, Action::Opened { file, flags: 0, place: None, error: 0 })
    }

    fn ended() -> KernelEvent {
        event(1, Action::Ended { end: End::Status(0), ms: 1 })
    }

    /// What comes out of all of them, at once and at the end: `PROCESS×TIMES`.
    fn check(events: &[KernelEvent], wanted: &str) {
        let mut fold = Fold::default();
        let mut out = Vec::new();
        for event in events {
            fold.push(event.clone(), Tick(0));
            out.extend(std::iter::from_fn(|| fold.poll()));
        }
        fold.handle_timeout(Tick(WAIT_MS));
        out.extend(std::iter::from_fn(|| fold.poll()));
        assert!(fold.drain().is_none());
        let sum: u32 = out.iter().map(|it| it.times).sum();
        assert_eq!(sum as usize, events.len());
        let words: Vec<_> =
            out.iter().map(|it| format!("{}×{}", it.by.process, it.times)).collect();
        assert_eq!(words.join(" "), wanted);
    }

    #[test]
    fn what_one_process_does_again_is_counted_and_nothing_else_is() {
        check(&[opened(1, "a"), opened(1, "a"), opened(1, "a")], "1×3");
        check(&[opened(1, "a"), opened(2, "a"), opened(1, "a")], "1×2 2×1");
        check(&[opened(1, "a"), opened(1, "b"), opened(1, "a"), opened(1, "b")], "1×2 1×2");
        check(&[ended(), ended()], "1×1 1×1");
        let many: Vec<_> = (0..300).map(|n| opened(1, &n.to_string())).collect();
        check(&many, &vec!["1×1"; 300].join(" "));
    }

    #[test]
    fn an_event_waits_for_others_like_it_and_no_longer() {
        let mut fold = Fold::default();
        fold.push(opened(1, "a"), Tick(10));
        assert!(fold.poll().is_none());
        assert_eq!(fold.poll_timeout(), Some(Tick(10 + WAIT_MS)));
        fold.handle_timeout(Tick(9 + WAIT_MS));
        assert!(fold.poll().is_none());
        fold.handle_timeout(Tick(10 + WAIT_MS));
        assert!(fold.poll().is_some() && fold.poll_timeout().is_none());
        fold.push(ended(), Tick(500));
        assert!(fold.poll().is_some(), "a program's end waits for nothing");
    }
}

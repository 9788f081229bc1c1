//! Drawing what programs put out: a slice at a time, on few threads, so that whoever draws without end holds up only
//! themselves, and that no longer than their session lasts.

use record::Keyframe;
use record::picture::picture_of;
use screen::Screen;
use std::sync::Arc;
use std::thread;
use tokio::sync::Semaphore;

/// Work of a slice, as [`Screen::work`] counts it: some 20 ms.
pub(crate) const SLICE: u64 = 8 * 1024 * 1024;

/// Turns at drawing, shared by all sessions of a node: of half its processors, so that the rest serves them.
#[derive(Debug, Clone)]
pub(crate) struct Drawing(Arc<Semaphore>);

impl Drawing {
    pub fn new() -> Self {
        let processors = thread::available_parallelism().map_or(1, usize::from);
        Self(Arc::new(Semaphore::new((processors / 2).max(1))))
    }

    /// Has slice after slice drawn, each in its turn on a thread that may block, until one answers something. `None` when that
    /// panicked. Dropped, it ends behind the slice that is being drawn.
    pub async fn draw<W, T>(
        &self,
        mut work: W,
        slice: impl Fn(&mut W) -> Option<T> + Clone + Send + 'static,
    ) -> Option<(W, T)>
    where
        W: Send + 'static,
        T: Send + 'static,
    {
        loop {
            let turn = Arc::clone(&self.0).acquire_owned().await.ok()?;
            let slice = slice.clone();
            let drawing = tokio::task::spawn_blocking(move || {
                let done = slice(&mut work);
                drop(turn);
                (work, done)
            });
            let (rest, done) = drawing.await.ok()?;
            if let Some(done) = done {
                return Some((rest, done));
            }
            work = rest;
        }
    }

    /// The screen of a keyframe, made in its turn. `None` when that panicked.
    pub async fn picture_of(&self, keyframe: Keyframe) -> Option<Screen> {
        self.draw(keyframe, |keyframe| Some(picture_of(keyframe))).await.map(|(_, screen)| screen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    #[tokio::test]
    async fn who_draws_without_end_lets_others_draw_and_ends_when_nobody_wants_it() {
        let drawing = Drawing(Arc::new(Semaphore::new(1)));
        let slices = Arc::new(AtomicU32::new(0));
        let endless = {
            let (drawing, slices) = (drawing.clone(), Arc::clone(&slices));
            async move {
                let drawn = drawing.draw((), move |()| {
                    slices.fetch_add(1, Ordering::Relaxed);
                    std::thread::sleep(Duration::from_millis(1));
                    None::<()>
                });
                drawn.await
            }
        };
        let mut tasks = tokio::task::JoinSet::new();
        tasks.spawn(endless);
        let little = drawing.draw(0, |count| {
            *count += 1;
            (*count == 10).then_some("done")
        });
        let drawn = tokio::time::timeout(Duration::from_secs(10), little).await;
        assert_eq!(drawn.unwrap(), Some((10, "done")));
        tasks.shutdown().await;
        // The one that was under way.
        let _all =
            tokio::time::timeout(Duration::from_secs(10), drawing.0.acquire()).await.unwrap();
        let drawn = slices.load(Ordering::Relaxed);
        assert!(drawn > 0);
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert_eq!(slices.load(Ordering::Relaxed), drawn);
    }

    #[tokio::test]
    async fn what_panics_gives_its_turn_back() {
        let drawing = Drawing(Arc::new(Semaphore::new(1)));
        assert_eq!(
            drawing.draw((), |()| -> Option<()> { panic!("as the emulator may") }).await,
            None
        );
        assert_eq!(drawing.draw((), |()| Some(1)).await, Some(((), 1)));
    }
}

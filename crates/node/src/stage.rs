//! The stage: a session's screen as it is at this moment, for everybody who looks on. One for all of them.
//!
//! The session's loop offers what the recorder took and never waits: the stage draws behind it. What it has not drawn yet
//! is bounded; beyond the bound it is thrown away, and the stage begins anew with the picture that the recorder has.

#[cfg(test)]
mod simulation;

use crate::drawing::{Drawing, SLICE};
use model::entry::Entry;
use model::limit::STAGE_BYTES;
use model::{Seq, Size};
use record::Keyframe;
use record::picture::Brush;
use screen::Screen;
use std::collections::VecDeque;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;
use tokio::sync::{Notify, oneshot, watch};

/// How long the stage lets the owner go ahead.
const BEHIND: Duration = Duration::from_millis(2);
/// Work that is done where others on the same thread wait, as [`Screen::work`] counts it: some milliseconds.
const LITTLE: u64 = 1024 * 1024;
/// Cells of the largest screen that is wrapped anew there.
const LITTLE_CELLS: usize = 32 * 1024;
/// What an entry counts that waits, beside its bytes.
const ENTRY_WEIGHT: usize = 256;

/// What a session shows, for those who look on.
#[derive(Debug)]
pub(crate) struct Stage {
    /// Shared by the session's loop and the drawing task; held for moments only.
    waiting: Mutex<Waiting>,
    filled: Notify,
    /// Shared by the drawing task and the viewers, each of which copies a picture out of it.
    screen: Mutex<Screen>,
    drawn: watch::Sender<u64>,
    drawing: Drawing,
}

/// What was not drawn yet.
#[derive(Debug)]
struct Waiting {
    entries: VecDeque<(Seq, Entry)>,
    bytes: usize,
    /// Bytes of it at most.
    most: usize,
    /// Nothing is drawn before this has come.
    base: Option<oneshot::Receiver<Keyframe>>,
    /// The last entry that the screen shows.
    shown: Seq,
    /// Something is missing: a new base is needed.
    lost: bool,
    over: bool,
    /// Nobody draws any more.
    done: bool,
}

/// What the stage does next.
enum Next {
    /// It waits for a picture, and begins with that.
    Base(oneshot::Receiver<Keyframe>),
    /// It draws entries.
    Draw(VecDeque<(Seq, Entry)>),
    /// There is nothing to do.
    Wait,
    /// And there never will be.
    Over,
}

impl Waiting {
    fn new(base: Option<oneshot::Receiver<Keyframe>>, most: usize) -> Self {
        let (entries, bytes, shown) = (VecDeque::new(), 0, Seq(0));
        Self { entries, bytes, most, base, shown, lost: false, over: false, done: false }
    }

    fn offer(&mut self, seq: Seq, entry: Entry) {
        let bytes = match &entry {
            Entry::Output { bytes, .. } => bytes.len(),
            Entry::Resize(_) => 0,
            _ => return,
        };
        if self.lost {
            return;
        }
        self.bytes = self.bytes.saturating_add(bytes);
        let held = self.entries.len().saturating_mul(ENTRY_WEIGHT).saturating_add(self.bytes);
        if held > self.most {
            self.lose();
        } else {
            self.entries.push_back((seq, entry));
        }
    }

    fn lose(&mut self) {
        self.entries = VecDeque::new();
        (self.bytes, self.lost) = (0, true);
    }

    fn begin_anew(&mut self, base: Option<oneshot::Receiver<Keyframe>>) {
        (self.lost, self.base) = (false, base);
    }

    fn next(&mut self) -> Next {
        if let Some(base) = self.base.take() {
            return Next::Base(base);
        }
        let mut entries = mem::take(&mut self.entries);
        self.bytes = 0;
        let shown = self.shown;
        entries.retain(|(seq, _)| *seq > shown);
        match entries.back() {
            Some((last, _)) => {
                self.shown = *last;
                Next::Draw(entries)
            }
            None if self.over => Next::Over,
            None => Next::Wait,
        }
    }

    /// The picture that was waited for shows everything up to `seq`; without one what was drawn upon it would be wrong.
    fn based(&mut self, seq: Option<Seq>) {
        match seq {
            Some(seq) => self.shown = seq,
            None if self.base.is_none() => self.lose(),
            None => {}
        }
    }
}

/// Entries on their way onto the screen.
struct Batch {
    entries: VecDeque<(Seq, Entry)>,
    brush: Brush,
}

impl Batch {
    /// Draws on, at most so much; whether that was all.
    fn go_on(&mut self, screen: &mut Screen, most: u64) -> bool {
        let until = screen.work().saturating_add(most);
        while let Some((_, entry)) = self.entries.front() {
            if !self.brush.draw(screen, entry, until) {
                return false;
            }
            self.entries.pop_front();
        }
        self.brush.finish(screen, until)
    }

    /// As [`Batch::go_on`], but only what takes a thread no longer than others on it may wait.
    fn begin(&mut self, screen: &mut Screen) -> bool {
        let large = |cols: u16, rows: u16| usize::from(cols) * usize::from(rows) > LITTLE_CELLS;
        let is_large = large(screen.size().0, screen.size().1);
        let wraps = self.entries.iter().any(|(_, entry)| match entry {
            Entry::Resize(size) => is_large || large(size.cols(), size.rows()),
            _ => false,
        });
        !wraps && self.go_on(screen, LITTLE)
    }
}

/// Says that nobody draws any more, also where drawing is broken off.
struct Done<'s>(&'s Stage);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.waiting().done = true;
        self.0.tell();
    }
}

/// What is inside, whatever became of who held it before.
pub(crate) fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Stage {
    /// Begins with a picture that holds everything up to the first entry that is offered. Without one it is empty.
    pub fn new(
        size: Size,
        base: Option<oneshot::Receiver<Keyframe>>,
        drawing: Drawing,
    ) -> Arc<Self> {
        Arc::new(Self {
            waiting: Mutex::new(Waiting::new(base, STAGE_BYTES)),
            filled: Notify::new(),
            screen: Mutex::new(Screen::new(size.cols(), size.rows())),
            drawn: watch::Sender::new(0),
            drawing,
        })
    }

    /// Shows an entry that the recorder took. Never waits.
    pub fn offer(&self, seq: Seq, entry: Entry) {
        self.waiting().offer(seq, entry);
        self.filled.notify_one();
    }

    /// Whether it has thrown something away and needs [`Stage::begin_anew`].
    pub fn is_lost(&self) -> bool {
        self.waiting().lost
    }

    /// Begins anew with a picture that holds everything up to the next entry that is offered.
    pub fn begin_anew(&self, base: Option<oneshot::Receiver<Keyframe>>) {
        self.waiting().begin_anew(base);
        self.filled.notify_one();
    }

    /// The session is over: what is there is drawn, nothing more comes.
    pub fn finish(&self) {
        self.waiting().over = true;
        self.filled.notify_one();
    }

    /// Whether the screen shows what it is to show at the end, if that has come.
    pub fn is_settled(&self) -> bool {
        let waiting = self.waiting();
        !waiting.over || waiting.done
    }

    /// Counts pictures.
    pub fn drawn(&self) -> watch::Receiver<u64> {
        self.drawn.subscribe()
    }

    /// Looks at the screen.
    pub fn look<T>(&self, look: impl FnOnce(&Screen) -> T) -> T {
        look(&held(&self.screen))
    }

    /// As [`Stage::look`]; nothing if it is being drawn, or another looks at it, at this moment.
    pub fn glance<T>(&self, look: impl FnOnce(&Screen) -> T) -> Option<T> {
        self.at_hand().map(|screen| look(&screen))
    }

    fn at_hand(&self) -> Option<MutexGuard<'_, Screen>> {
        match self.screen.try_lock() {
            Ok(screen) => Some(screen),
            Err(TryLockError::Poisoned(screen)) => Some(screen.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        held(&self.waiting)
    }

    /// Draws until the session is over. The one task of the stage.
    pub async fn draw(self: Arc<Self>) {
        let _done = Done(&self);
        loop {
            let next = self.waiting().next();
            match next {
                Next::Base(base) => {
                    let mut seq = None;
                    if let Ok(keyframe) = base.await {
                        let shows = keyframe.seq;
                        if let Some(picture) = self.drawing.picture_of(keyframe).await {
                            *held(&self.screen) = picture;
                            seq = Some(shows);
                        }
                    }
                    self.waiting().based(seq);
                }
                Next::Draw(entries) => {
                    let mut batch = Batch { entries, brush: Brush::default() };
                    let is_done = self.at_hand().is_some_and(|mut screen| batch.begin(&mut screen));
                    if !is_done {
                        let stage = Arc::clone(&self);
                        let slice = move |batch: &mut Batch| {
                            let mut screen = held(&stage.screen);
                            batch.go_on(&mut screen, SLICE).then_some(())
                        };
                        if self.drawing.draw(batch, slice).await.is_none() {
                            return;
                        }
                    }
                }
                Next::Wait => {
                    self.filled.notified().await;
                    // Whose session it is sees it first, and what comes close together is drawn once.
                    tokio::time::sleep(BEHIND).await;
                    continue;
                }
                Next::Over => return,
            }
            self.tell();
        }
    }

    fn tell(&self) {
        self.drawn.send_modify(|count| *count = count.wrapping_add(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use model::Stream;

    fn entry(text: &str) -> Entry {
        Entry::Output { stream: Stream::Pty, bytes: Bytes::from(text.to_owned()) }
    }

    fn keyframe(seq: u64, text: &str) -> oneshot::Receiver<Keyframe> {
        let (send, receive) = oneshot::channel();
        let size = Size::clamped(20, 3);
        let mut screen = Screen::new(20, 3);
        screen.feed(text.as_bytes());
        let dump = Bytes::from(screen.dump());
        send.send(Keyframe { seq: Seq(seq), at: 0, size, dump }).unwrap();
        receive
    }

    /// Draws all that waits, and gives the first row.
    async fn shown(stage: &Arc<Stage>) -> String {
        stage.finish();
        let drawing = tokio::time::timeout(Duration::from_secs(10), Arc::clone(stage).draw());
        drawing.await.unwrap();
        stage.look(|screen| screen.row_text(0))
    }

    #[tokio::test]
    async fn what_the_first_picture_holds_is_not_drawn_again_and_what_comes_after_is() {
        let stage = Stage::new(Size::clamped(20, 3), Some(keyframe(2, "one two")), Drawing::new());
        for (seq, text) in [(2, " two"), (3, " three"), (4, " four")] {
            stage.offer(Seq(seq), entry(text));
        }
        assert_eq!(shown(&stage).await, "one two three four");
    }

    #[tokio::test]
    async fn a_resize_stands_where_it_happened() {
        let stage = Stage::new(Size::clamped(20, 3), None, Drawing::new());
        stage.offer(Seq(1), entry("before"));
        stage.offer(Seq(2), Entry::Resize(Size::clamped(40, 5)));
        stage.offer(Seq(3), entry(" and after that much more"));
        assert_eq!(shown(&stage).await, "before and after that much more");
        assert_eq!(stage.look(Screen::size), (40, 5));
    }

    #[test]
    fn what_touches_much_of_a_screen_is_not_drawn_where_others_wait() {
        let begins = |entry: Entry, (cols, rows)| {
            let (entries, brush) = ([(Seq(1), entry)].into_iter().collect(), Brush::default());
            Batch { entries, brush }.begin(&mut Screen::new(cols, rows))
        };
        let little = |text: &str, size| begins(entry(text), size);
        let (usual, greatest) = ((80, 24), (1024, 512));
        assert!(little(&"x".repeat(64 * 1024), greatest));
        assert!(little(&"\x1bc".repeat(200), usual));
        assert!(!little(&"\x1bc".repeat(2000), usual));
        assert!(little("\x1bc", greatest) && !little(&"\x1bc".repeat(10), greatest));
        let resize = |cols, rows| Entry::Resize(Size::clamped(cols, rows));
        assert!(begins(resize(2, 2), usual) && !begins(resize(2, 2), greatest));
        assert!(!begins(resize(1024, 512), usual));
    }

    #[tokio::test]
    async fn drawing_without_end_is_broken_off_with_its_session_and_ends_as_all_drawing_does() {
        let size = Size::clamped(1024, 512);
        let stage = Stage::new(size, None, Drawing::new());
        stage.offer(Seq(1), entry(&"\x1bc".repeat(STAGE_BYTES / 4)));
        let mut tasks = tokio::task::JoinSet::new();
        tasks.spawn(Arc::clone(&stage).draw());
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(stage.is_settled(), "the end has not come");
        stage.finish();
        assert!(!stage.is_settled(), "it is being drawn");
        let began = std::time::Instant::now();
        tasks.shutdown().await;
        assert!(stage.is_settled(), "nothing more is drawn");
        // Nobody else has it behind the slice that is under way.
        while Arc::strong_count(&stage) > 1 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    }

    #[tokio::test]
    async fn a_stage_behind_which_small_entries_pile_up_begins_anew() {
        let stage = Stage::new(Size::clamped(20, 3), None, Drawing::new());
        let most = (STAGE_BYTES / ENTRY_WEIGHT) as u64;
        (1..most / 2).for_each(|seq| stage.offer(Seq(seq), entry("x")));
        assert!(!stage.is_lost());
        (most / 2..most).for_each(|seq| stage.offer(Seq(seq), entry("x")));
        assert!(stage.is_lost());
    }

    #[tokio::test]
    async fn a_stage_that_is_too_far_behind_begins_anew_and_never_holds_more_than_its_bound() {
        let stage = Stage::new(Size::clamped(20, 3), None, Drawing::new());
        let much = "x".repeat(STAGE_BYTES / 4);
        for seq in 1..=5 {
            stage.offer(Seq(seq), entry(&much));
        }
        assert!(stage.is_lost());
        assert_eq!(stage.waiting().entries.len(), 0);
        stage.offer(Seq(6), entry("missed"));
        stage.begin_anew(Some(keyframe(6, "as it is")));
        assert!(!stage.is_lost());
        stage.offer(Seq(7), entry(" now"));
        assert_eq!(shown(&stage).await, "as it is now");
    }
}

//! The stage: a session's screen as it is at this moment, for everybody who looks on. One for all of them.
//!
//! The session's loop offers what the recorder took and never waits: the stage draws behind it. What it has not drawn yet
//! is bounded; beyond the bound it is thrown away, and the stage begins anew with the picture that the recorder has.

#[cfg(test)]
mod simulation;

use model::entry::Entry;
use model::limit::STAGE_BYTES;
use model::{Seq, Size};
use record::Keyframe;
use record::picture::{Brush, picture_of};
use screen::Screen;
use std::collections::VecDeque;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;
use tokio::sync::{Notify, oneshot, watch};

/// How long the stage lets the owner go ahead.
const BEHIND: Duration = Duration::from_millis(2);
/// Bytes that are drawn without a thread of their own.
const LITTLE_BYTES: usize = 8 * 1024;
/// Cells that these may touch, at worst.
const LITTLE_CELLS: usize = 2 * 1024 * 1024;
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
}

/// What the stage does next.
enum Next {
    /// It waits for a picture, and begins with that.
    Base(oneshot::Receiver<Keyframe>),
    /// It draws entries, of so many bytes.
    Draw(VecDeque<(Seq, Entry)>, usize),
    /// There is nothing to do.
    Wait,
    /// And there never will be.
    Over,
}

impl Waiting {
    fn new(base: Option<oneshot::Receiver<Keyframe>>, most: usize) -> Self {
        let (entries, bytes, shown) = (VecDeque::new(), 0, Seq(0));
        Self { entries, bytes, most, base, shown, lost: false, over: false }
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
        let bytes = mem::take(&mut self.bytes);
        let shown = self.shown;
        entries.retain(|(seq, _)| *seq > shown);
        match entries.back() {
            Some((last, _)) => {
                self.shown = *last;
                Next::Draw(entries, bytes)
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

/// Whether drawing it takes a thread no longer than others on that thread may wait. A sequence of two bytes may clear the whole
/// screen, a new line move all of it by one, another size wrap all of it anew.
fn is_little(entries: &VecDeque<(Seq, Entry)>, bytes: usize, (cols, rows): (u16, u16)) -> bool {
    let (cols, cells) = (usize::from(cols), usize::from(cols) * usize::from(rows));
    let touched = |byte: &u8| match byte {
        0x1b | 0x9b => cells,
        b'\n' | 0x0b | 0x0c => cols,
        _ => 1,
    };
    let touches = |(_, entry): &(Seq, Entry)| match entry {
        Entry::Output { bytes, .. } => bytes.iter().map(touched).sum(),
        _ => 64 * cells,
    };
    bytes <= LITTLE_BYTES && entries.iter().map(touches).sum::<usize>() <= LITTLE_CELLS
}

fn draw_all(screen: &mut Screen, entries: VecDeque<(Seq, Entry)>) {
    let mut brush = Brush::default();
    for (_, entry) in entries {
        brush.draw(screen, &entry);
    }
    brush.finish(screen);
}

impl Stage {
    /// Begins with a picture that holds everything up to the first entry that is offered. Without one it is empty.
    pub fn new(size: Size, base: Option<oneshot::Receiver<Keyframe>>) -> Arc<Self> {
        Arc::new(Self {
            waiting: Mutex::new(Waiting::new(base, STAGE_BYTES)),
            filled: Notify::new(),
            screen: Mutex::new(Screen::new(size.cols(), size.rows())),
            drawn: watch::Sender::new(0),
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

    /// Counts pictures.
    pub fn drawn(&self) -> watch::Receiver<u64> {
        self.drawn.subscribe()
    }

    /// Looks at the screen.
    pub fn look<T>(&self, look: impl FnOnce(&Screen) -> T) -> T {
        look(&self.screen.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// As [`Stage::look`]; nothing if it is being drawn, or another looks at it, at this moment.
    pub fn glance<T>(&self, look: impl FnOnce(&Screen) -> T) -> Option<T> {
        match self.screen.try_lock() {
            Ok(screen) => Some(look(&screen)),
            Err(TryLockError::Poisoned(screen)) => Some(look(&screen.into_inner())),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Draws until the session is over. The one task of the stage.
    pub async fn draw(self: Arc<Self>) {
        loop {
            let next = self.waiting().next();
            match next {
                Next::Base(base) => {
                    let mut seq = None;
                    if let Ok(keyframe) = base.await {
                        let shows = keyframe.seq;
                        let picture = tokio::task::spawn_blocking(move || picture_of(&keyframe));
                        if let Ok(picture) = picture.await {
                            *self.screen.lock().unwrap_or_else(PoisonError::into_inner) = picture;
                            seq = Some(shows);
                        }
                    }
                    self.waiting().based(seq);
                }
                Next::Draw(entries, bytes) => {
                    let size = self.glance(Screen::size);
                    let little = size.is_some_and(|size| is_little(&entries, bytes, size));
                    let stage = Arc::clone(&self);
                    let work = move || {
                        let screen =
                            &mut *stage.screen.lock().unwrap_or_else(PoisonError::into_inner);
                        draw_all(screen, entries);
                    };
                    if little {
                        work();
                    } else if tokio::task::spawn_blocking(work).await.is_err() {
                        return;
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
        let stage = Stage::new(Size::clamped(20, 3), Some(keyframe(2, "one two")));
        for (seq, text) in [(2, " two"), (3, " three"), (4, " four")] {
            stage.offer(Seq(seq), entry(text));
        }
        assert_eq!(shown(&stage).await, "one two three four");
    }

    #[tokio::test]
    async fn a_resize_stands_where_it_happened() {
        let stage = Stage::new(Size::clamped(20, 3), None);
        stage.offer(Seq(1), entry("before"));
        stage.offer(Seq(2), Entry::Resize(Size::clamped(40, 5)));
        stage.offer(Seq(3), entry(" and after that much more"));
        assert_eq!(shown(&stage).await, "before and after that much more");
        assert_eq!(stage.look(Screen::size), (40, 5));
    }

    #[test]
    fn what_touches_much_of_a_screen_is_not_drawn_where_others_wait() {
        let little = |text: &str, size| {
            is_little(&[(Seq(1), entry(text))].into_iter().collect(), text.len(), size)
        };
        let (usual, greatest) = ((80, 24), (1024, 512));
        assert!(little(&"x".repeat(LITTLE_BYTES), greatest));
        assert!(!little(&"x".repeat(LITTLE_BYTES + 1), usual));
        assert!(little(&"\x1bc".repeat(1000), usual));
        assert!(!little(&"\x1bc".repeat(2000), usual));
        assert!(little("\x1bc", greatest) && !little(&"\x1bc".repeat(5), greatest));
        assert!(little(&"\n".repeat(2000), greatest) && !little(&"\n".repeat(3000), greatest));
        let resize = [(Seq(1), Entry::Resize(Size::clamped(2, 2)))].into_iter().collect();
        assert!(is_little(&resize, 0, usual) && !is_little(&resize, 0, greatest));
    }

    #[tokio::test]
    async fn a_stage_behind_which_small_entries_pile_up_begins_anew() {
        let stage = Stage::new(Size::clamped(20, 3), None);
        let most = (STAGE_BYTES / ENTRY_WEIGHT) as u64;
        (1..most / 2).for_each(|seq| stage.offer(Seq(seq), entry("x")));
        assert!(!stage.is_lost());
        (most / 2..most).for_each(|seq| stage.offer(Seq(seq), entry("x")));
        assert!(stage.is_lost());
    }

    #[tokio::test]
    async fn a_stage_that_is_too_far_behind_begins_anew_and_never_holds_more_than_its_bound() {
        let stage = Stage::new(Size::clamped(20, 3), None);
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

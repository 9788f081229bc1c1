//! The screen model of a session. It reads what the recorder wrote, behind it, and never holds a byte back.

use bytes::Bytes;
use model::entry::Entry;
use model::{Seq, Size};
use record::picture::Brush;
use record::{From, Keyframe, Recording};
use screen::Screen;
use store::file::FileSource;
use tokio::task::JoinHandle;

/// The screen up to some entry, at rest or being brought up to date.
pub(crate) struct Model {
    rest: Option<Box<State>>,
    busy: Option<JoinHandle<(Box<State>, Option<Keyframe>)>>,
}

struct State {
    screen: Screen,
    size: Size,
    /// The first entry that the screen does not show.
    next: Seq,
    at: u64,
    source: FileSource,
    recording: Option<Recording<FileSource>>,
}

impl Model {
    /// An empty screen of this size, and where the recording will be read.
    pub fn new(size: Size, source: FileSource) -> Self {
        let screen = Screen::new(size.cols(), size.rows());
        let state = State { screen, size, next: Seq(1), at: 0, source, recording: None };
        Self { rest: Some(Box::new(state)), busy: None }
    }

    /// Begins to bring the screen up to what the spool holds, unless it is under way.
    pub fn begin(&mut self, wanted: Seq) {
        if let Some(mut state) = self.rest.take() {
            self.busy = Some(tokio::task::spawn_blocking(move || {
                let keyframe = state.catch_up(wanted);
                (state, keyframe)
            }));
        }
    }

    /// Completes when the screen is up to date; with a keyframe if it got as far as was wanted.
    pub async fn made(&mut self) -> Option<Keyframe> {
        let Some(busy) = &mut self.busy else { return std::future::pending().await };
        let done = busy.await;
        self.busy = None;
        // A model that failed makes no more keyframes; the recording itself is untouched.
        let (state, keyframe) = done.ok()?;
        self.rest = Some(state);
        keyframe
    }
}

impl State {
    fn catch_up(&mut self, wanted: Seq) -> Option<Keyframe> {
        if self.recording.is_none() {
            self.recording = Recording::open(self.source.clone()).ok();
        }
        let recording = self.recording.as_mut()?;
        recording.refresh();
        let mut brush = Brush::default();
        for stamped in recording.entries(From::Seq(self.next)) {
            // What is held back is drawn in any case: `next` says that the screen shows it.
            let Ok(stamped) = stamped else {
                brush.finish(&mut self.screen);
                return None;
            };
            brush.draw(&mut self.screen, &stamped.entry);
            if let Entry::Resize(size) = stamped.entry {
                self.size = size;
            }
            self.next = stamped.seq.next();
            self.at = stamped.at;
        }
        brush.finish(&mut self.screen);
        let seq = Seq(self.next.0.saturating_sub(1));
        let dump = Bytes::from(self.screen.dump());
        (seq >= wanted).then_some(Keyframe { seq, at: self.at, size: self.size, dump })
    }
}

//! The screen model of a session. It reads what the recorder wrote, behind it, and never holds a byte back.

use bytes::Bytes;
use model::entry::Entry;
use model::{Seq, Size};
use record::picture::Brush;
use record::{From, Keyframe, Recording};
use screen::Screen;
use store::file::FileSource;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// The screen up to some entry, at rest or being brought up to date.
pub(crate) struct Model {
    rest: Option<Box<State>>,
    busy: Option<JoinHandle<(Box<State>, Option<Keyframe>)>>,
    /// Who wants to know what the screen shows.
    asked: Vec<oneshot::Sender<Keyframe>>,
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
        Self { rest: Some(Box::new(state)), busy: None, asked: Vec::new() }
    }

    /// Begins to bring the screen up to what the spool holds, unless it is under way. A keyframe comes of it only where one
    /// is `wanted`.
    pub fn begin(&mut self, wanted: Option<Seq>) {
        if let Some(mut state) = self.rest.take() {
            let asked = std::mem::take(&mut self.asked);
            self.busy = Some(tokio::task::spawn_blocking(move || {
                let keyframe = state.catch_up();
                for asked in asked {
                    // Who asked may have left.
                    let _ = asked.send(keyframe.clone());
                }
                let reached = wanted.is_some_and(|wanted| keyframe.seq >= wanted);
                (state, reached.then_some(keyframe))
            }));
        }
    }

    /// What the screen shows, as far as the spool holds it.
    pub fn ask(&mut self) -> oneshot::Receiver<Keyframe> {
        let (answer, asked) = oneshot::channel();
        self.asked.push(answer);
        self.begin(None);
        asked
    }

    /// Completes when the screen is up to date; with a keyframe if it got as far as was wanted.
    pub async fn made(&mut self) -> Option<Keyframe> {
        let Some(busy) = &mut self.busy else { return std::future::pending().await };
        let done = busy.await;
        self.busy = None;
        // A model that failed makes no more keyframes; the recording itself is untouched.
        let (state, keyframe) = done.ok()?;
        self.rest = Some(state);
        if !self.asked.is_empty() {
            self.begin(None);
        }
        keyframe
    }
}

impl State {
    fn catch_up(&mut self) -> Keyframe {
        if self.recording.is_none() {
            self.recording = Recording::open(self.source.clone()).ok();
        }
        let mut brush = Brush::default();
        let entries = self.recording.as_mut().map(|recording| {
            recording.refresh();
            recording.entries(From::Seq(self.next))
        });
        for stamped in entries.into_iter().flatten() {
            // A record that cannot be read ends it here, and is tried again the next time.
            let Ok(stamped) = stamped else { break };
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
        Keyframe { seq, at: self.at, size: self.size, dump }
    }
}

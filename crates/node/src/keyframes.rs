//! The screen model of a session. It reads what the recorder wrote, behind it, and never holds a byte back.

use crate::drawing::{Drawing, SLICE};
use bytes::Bytes;
use model::entry::Entry;
use model::{Seq, Size};
use record::picture::Brush;
use record::{From, Keyframe, Recording};
use screen::Screen;
use store::file::FileSource;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

/// The screen up to some entry, at rest or being brought up to date.
pub(crate) struct Model {
    rest: Option<Box<State>>,
    /// One task at most; with the model ends what it draws.
    busy: JoinSet<Option<(Box<State>, Option<Keyframe>)>>,
    /// Who wants to know what the screen shows.
    asked: Vec<oneshot::Sender<Keyframe>>,
    drawing: Drawing,
}

struct State {
    screen: Screen,
    brush: Brush,
    size: Size,
    /// The first entry that neither the screen shows nor the brush holds.
    next: Seq,
    at: u64,
    source: FileSource,
    recording: Option<Recording<FileSource>>,
    /// Whether what the spool holds by now is to be looked up.
    is_asked: bool,
}

/// Bytes of output that are read in one slice, and what an entry counts beside.
const READ: usize = 8 * 1024 * 1024;
const ENTRY: usize = 64;

impl Model {
    /// An empty screen of this size, and where the recording will be read.
    pub fn new(size: Size, source: FileSource, drawing: Drawing) -> Self {
        let (screen, brush) = (Screen::new(size.cols(), size.rows()), Brush::default());
        let (next, at, recording, is_asked) = (Seq(1), 0, None, false);
        let state = State { screen, brush, size, next, at, source, recording, is_asked };
        Self { rest: Some(Box::new(state)), busy: JoinSet::new(), asked: Vec::new(), drawing }
    }

    /// Begins to bring the screen up to what the spool holds, unless it is under way. A keyframe comes of it only where one
    /// is `wanted`.
    pub fn begin(&mut self, wanted: Option<Seq>) {
        if let Some(mut state) = self.rest.take() {
            state.is_asked = true;
            let (asked, drawing) = (std::mem::take(&mut self.asked), self.drawing.clone());
            self.busy.spawn(async move {
                let (state, keyframe) = drawing.draw(state, |state| state.catch_up()).await?;
                for asked in asked {
                    // Who asked may have left.
                    let _ = asked.send(keyframe.clone());
                }
                let reached = wanted.is_some_and(|wanted| keyframe.seq >= wanted);
                Some((state, reached.then_some(keyframe)))
            });
        }
    }

    /// What the screen shows, as far as the spool holds it.
    pub fn ask(&mut self) -> oneshot::Receiver<Keyframe> {
        let (answer, asked) = oneshot::channel();
        // One that failed answers nobody.
        if self.rest.is_some() || !self.busy.is_empty() {
            self.asked.push(answer);
            self.begin(None);
        }
        asked
    }

    /// Completes when the screen is up to date; with a keyframe if it got as far as was wanted.
    pub async fn made(&mut self) -> Option<Keyframe> {
        let Some(done) = self.busy.join_next().await else { return std::future::pending().await };
        let Some((state, keyframe)) = done.ok().flatten() else {
            // A model that failed makes no more keyframes; the recording itself is untouched.
            self.asked.clear();
            return None;
        };
        self.rest = Some(state);
        if !self.asked.is_empty() {
            self.begin(None);
        }
        keyframe
    }
}

impl State {
    /// Draws a slice of what the spool held when it was asked; what the screen shows, once that is all of it.
    fn catch_up(&mut self) -> Option<Keyframe> {
        if self.recording.is_none() {
            self.recording = Recording::open(self.source.clone()).ok();
        }
        if let Some(recording) = self.recording.as_mut().filter(|_| self.is_asked) {
            recording.refresh();
        }
        self.is_asked = false;
        let until = self.screen.work().saturating_add(SLICE);
        let entries =
            self.recording.as_ref().map(|recording| recording.entries(From::Seq(self.next)));
        let mut read = 0;
        for stamped in entries.into_iter().flatten() {
            // A record that cannot be read ends it here, and is tried again the next time.
            let Ok(stamped) = stamped else { break };
            if !self.brush.draw(&mut self.screen, &stamped.entry, until) {
                return None;
            }
            read += match &stamped.entry {
                Entry::Output { bytes, .. } => bytes.len(),
                _ => 0,
            };
            read += ENTRY;
            if let Entry::Resize(size) = stamped.entry {
                self.size = size;
            }
            self.next = stamped.seq.next();
            self.at = stamped.at;
            if read > READ {
                return None;
            }
        }
        if !self.brush.finish(&mut self.screen, until) {
            return None;
        }
        let seq = Seq(self.next.0.saturating_sub(1));
        let dump = Bytes::from(self.screen.dump());
        Some(Keyframe { seq, at: self.at, size: self.size, dump })
    }
}

#[cfg(test)]
#[path = "../../record/tests/kit/keys.rs"]
mod keys;

#[cfg(test)]
mod tests {
    use super::*;
    use model::{Stream, Tick};
    use record::Writer;
    use record::picture::picture_of;
    use std::fs::File;
    use std::io::Write as _;
    use std::time::Duration;

    /// A recording that goes on.
    struct Film {
        file: File,
        writer: Writer,
        at: u64,
    }

    impl Film {
        fn output(&mut self, text: &str) {
            self.at += 1;
            let bytes = Bytes::from(text.to_owned());
            self.writer.handle(Entry::Output { stream: Stream::Pty, bytes }, Tick(self.at));
            self.writer.flush(Tick(self.at));
            while let Some(sealed) = self.writer.poll() {
                self.file.write_all(&sealed.bytes).unwrap();
            }
        }
    }

    #[tokio::test]
    async fn who_asks_is_answered_though_more_is_put_out_than_can_be_drawn() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("film");
        let writer = Writer::begin(&keys::heading(1), keys::node_key(), Tick(0));
        let mut film = Film { file: File::create(&path).unwrap(), writer, at: 0 };
        let size = Size::clamped(1024, 512);
        let mut model = Model::new(size, FileSource::open(&path).unwrap(), Drawing::new());
        // Some slices.
        let endless = "\x1bc".repeat(100);
        film.output("at first");
        film.output(&endless);
        let asked = model.ask();
        let goes_on = async {
            loop {
                film.output(&format!("{endless}and then"));
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let answered = async {
            assert!(model.made().await.is_none(), "none was wanted");
            asked.await.unwrap()
        };
        let keyframe = tokio::select! {
            keyframe = tokio::time::timeout(Duration::from_secs(60), answered) => keyframe.unwrap(),
            () = goes_on => panic!("it ends"),
        };
        assert!(keyframe.seq >= Seq(2));
        let shown = picture_of(&keyframe);
        assert_eq!(shown.row_text(0), if keyframe.seq > Seq(2) { "and then" } else { "" });
        // It goes on where it was.
        let asked = model.ask();
        model.made().await;
        assert_eq!(asked.await.unwrap().seq, Seq(film.at));
    }
}

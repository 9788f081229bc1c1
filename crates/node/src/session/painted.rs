//! Whose size the terminal has, and what its owner sees while that is not theirs: pictures of the stage, as whoever looks on.
//!
//! Not one byte of the program reaches their terminal meanwhile. When it is theirs again they get what an owner gets who comes
//! back: the picture of the recording first, then what was recorded after it.

use super::streams::Streams;
use super::{Live, Writing};
use crate::clock;
use crate::stage::{Stage, held};
use crate::view::{Face, Window};
use bytes::Bytes;
use link::ssh::Output;
use model::entry::{Entry, Party, People};
use model::limit::{PICTURE_MS, RESIZE_MS};
use model::{Size, Tick};
use record::Keyframe;
use record::picture::picture_of;
use screen::Screen;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

/// How long a line of scry's stands on the last row, in milliseconds.
const NOTE_MS: u64 = 4_000;
/// How long the recording's picture is waited for at the end of a session. Then the owner gets the stage's.
const LAST_PICTURE: Duration = Duration::from_millis(150);

/// The owner's terminal while it is painted.
pub(super) struct Painted {
    stage: Arc<Stage>,
    drawn: watch::Receiver<u64>,
    /// Shared with a picture that is on its way, and held for one at most.
    face: Arc<Mutex<Face>>,
    /// It does not show how things are.
    is_stale: bool,
    /// Not before this.
    next: Instant,
    /// A line of scry's on the last row, until when.
    note: Option<(String, Tick)>,
    /// It waits to be given back.
    is_over: bool,
}

impl Painted {
    fn new(stage: Arc<Stage>, window: Window) -> Self {
        let (drawn, face) = (stage.drawn(), Arc::new(Mutex::new(Face::new(window))));
        let (is_stale, is_over, note) = (true, false, None);
        Self { stage, drawn, face, is_stale, next: Instant::now(), note, is_over }
    }

    /// What the terminal must get to be the program's again ([`Face::give_back`]).
    pub fn give_back(&self, now: &Screen) -> Vec<u8> {
        held(&self.face).give_back(now)
    }

    /// What it must get to be nobody's ([`Face::leave`]).
    pub fn leave(&self) -> Vec<u8> {
        held(&self.face).leave()
    }

    fn say(&mut self, line: String) {
        self.note = Some((line, clock::tick().plus_ms(NOTE_MS)));
        self.is_stale = true;
    }

    /// The next picture, on its way, if there is a new one and it is time.
    fn picture(&mut self, output: &Output, types: bool, stands: Option<String>) -> Option<Writing> {
        if !self.is_stale || self.next > Instant::now() {
            return None;
        }
        (self.is_stale, self.next) = (false, Instant::now() + Duration::from_millis(PICTURE_MS));
        let bar = self.note.as_ref().map(|(line, _)| line.clone()).or(stands);
        let (stage, face, output) =
            (Arc::clone(&self.stage), Arc::clone(&self.face), output.clone());
        let bar = bar.as_deref();
        match stage.glance(|screen| held(&face).picture(screen, types, bar)) {
            Some(bytes) if bytes.is_empty() => None,
            Some(bytes) => {
                Some(Box::pin(async move { output.write(Bytes::from(bytes)).await.is_ok() }))
            }
            None => {
                let bar = bar.map(str::to_owned);
                Some(Box::pin(async move {
                    // Much is being drawn: the session's loop does not wait for that.
                    let look =
                        move |screen: &Screen| held(&face).picture(screen, types, bar.as_deref());
                    let looking = tokio::task::spawn_blocking(move || stage.look(look));
                    let bytes = looking.await.unwrap_or_default();
                    bytes.is_empty() || output.write(Bytes::from(bytes)).await.is_ok()
                }))
            }
        }
    }
}

/// Completes when there is something to paint. `is_idle`: whether the owner has taken the last picture. Cancel safe.
pub(super) async fn due(painted: &mut Option<Painted>, is_idle: bool) {
    let Some(painted) = painted.as_mut().filter(|painted| !painted.is_over) else {
        return std::future::pending().await;
    };
    loop {
        let note_ends = painted.note.as_ref().map(|(_, until)| until.since(clock::tick()));
        tokio::select! {
            () = tokio::time::sleep_until(painted.next), if painted.is_stale && is_idle => return,
            () = tokio::time::sleep(Duration::from_millis(note_ends.unwrap_or_default())), if note_ends.is_some() => {
                (painted.note, painted.is_stale) = (None, true);
            }
            Ok(()) = painted.drawn.changed(), if !painted.is_stale => painted.is_stale = true,
            () = std::future::pending() => {}
        }
    }
}

impl Live {
    /// The owner's terminal has this size. It is the session's while nobody else's counts.
    pub(super) fn resized(&mut self, size: Size) {
        self.own = size;
        if let Some(painted) = &mut self.painted {
            held(&painted.face).resize(size);
            painted.is_stale = true;
        }
    }

    /// The size that counts.
    pub(super) fn wanted_size(&self) -> Size {
        let adopted = self.table.company.adopted();
        adopted.and_then(|adopted| self.table.size_of(adopted)).unwrap_or(self.own)
    }

    /// The terminal gets the size that counts, and the owner pictures while it is not theirs.
    pub(super) fn tend_size(&mut self, streams: &Streams) {
        let size = self.wanted_size();
        if size != self.size {
            let now = clock::tick();
            if self.next_size > now {
                return;
            }
            (self.size, self.next_size) = (size, now.plus_ms(RESIZE_MS));
            self.record(Entry::Resize(size));
            streams.resize(size);
            if self.picture.is_some() {
                // The one that is on its way may be of the size before.
                self.await_picture();
            }
        }
        let adopted = self.table.company.adopted();
        let is_painted = self.painted.as_ref().is_some_and(|painted| !painted.is_over);
        if adopted.is_some() == is_painted || self.hub.is_lost() {
            return;
        }
        if is_painted {
            self.give_back();
        } else {
            self.take();
        }
    }

    /// From here on the owner is shown pictures.
    fn take(&mut self) {
        // Whoever's size it is looks at it.
        let Ok(stage) = self.stage() else { return };
        let window = Window { size: self.own, fits: self.fits };
        let painted = self.painted.get_or_insert_with(|| Painted::new(stage, window));
        (painted.is_over, painted.is_stale) = (false, true);
        self.picture = None;
        self.hub.aside(clock::tick());
    }

    /// The owner's terminal is theirs again, as soon as the recording's picture is there.
    fn give_back(&mut self) {
        if let Some(painted) = &mut self.painted {
            painted.is_over = true;
        }
        self.hub.back(clock::tick());
        self.await_picture();
    }

    /// What the owner's terminal gets to be theirs again, and what they were not told meanwhile.
    pub(super) fn given_back(&mut self, painted: &Painted, now: &Screen) -> Vec<u8> {
        let mut bytes = painted.give_back(now);
        if !self.fits {
            for line in self.lines.drain(..) {
                bytes.extend(format!("\r\nscry: {line}\r\n").into_bytes());
            }
        }
        bytes
    }

    /// The owner waits for the screen as it is.
    pub(super) fn await_picture(&mut self) {
        self.picture = None;
        let made = self.recorder.as_mut().and_then(|recorder| {
            let keyframe = recorder.picture()?;
            Some((keyframe, recorder.drawing.clone()))
        });
        let Some((keyframe, drawing)) = made else { return self.show(None) };
        let (sender, picture) = oneshot::channel();
        self.picture = Some(picture);
        self.spawn(async move {
            let Ok(keyframe) = keyframe.await else { return };
            // Who asked may have left, or asked again.
            if sender.is_closed() {
                return;
            }
            let seq = keyframe.seq;
            if let Some(screen) = drawing.picture_of(keyframe).await {
                let _ = sender.send((seq, Box::new(screen)));
            }
        });
    }

    /// Something changed that is not on the stage.
    pub(super) fn repaint(&mut self) {
        if let Some(painted) = &mut self.painted {
            painted.is_stale = true;
        }
    }

    /// A line of scry's, if the owner may be told one beside what they see.
    pub(super) fn next_line(&mut self) -> Option<String> {
        match &mut self.painted {
            // Their client keeps it apart.
            None => self.lines.pop_front(),
            Some(_) if self.fits => self.lines.pop_front(),
            Some(painted) => {
                if let Some(line) = self.lines.pop_front_if(|_| !painted.is_over) {
                    painted.say(line);
                }
                None
            }
        }
    }

    /// The owner's next picture, on its way, if they are shown pictures.
    pub(super) fn next_picture(&mut self, output: &Output) -> Option<Option<Writing>> {
        self.painted.as_ref().filter(|painted| !painted.is_over)?;
        let types = self.table.company.may_type(Party::OWNER).is_ok();
        let stands = self.is_frozen().then(|| self.table.why.clone()).flatten();
        let stands = stands.filter(|_| !self.fits);
        let painted = self.painted.as_mut()?;
        Some(painted.picture(output, types, stands))
    }

    /// At the end the owner's terminal is theirs again, with what the program wrote last. One that did not end `by_itself` has
    /// undone nothing of what it asked for.
    pub(super) async fn unpaint(&mut self, output: &Output, by_itself: bool) {
        if self.painted.is_none() || self.hub.is_lost() {
            return;
        }
        if self.size != self.own {
            self.size = self.own;
            self.record(Entry::People(People::SizeOf { party: Party::OWNER }));
            self.record(Entry::Resize(self.own));
        }
        let made = tokio::time::timeout(LAST_PICTURE, self.last_picture()).await;
        let Some(painted) = self.painted.take() else { return };
        let screen = match made.ok().flatten() {
            Some(keyframe) => tokio::task::spawn_blocking(move || picture_of(&keyframe)).await.ok(),
            None => {
                let (stage, own) = (Arc::clone(&painted.stage), self.own);
                let copied = move |screen: &Screen| {
                    let (cols, rows) = screen.size();
                    let mut copy = Screen::new(cols, rows);
                    copy.feed(&screen.dump());
                    copy.resize(own.cols(), own.rows());
                    copy
                };
                tokio::task::spawn_blocking(move || stage.look(copied)).await.ok()
            }
        };
        let bytes = match screen {
            Some(mut screen) => {
                if !by_itself {
                    screen::undo(&mut screen);
                }
                painted.give_back(&screen)
            }
            None => painted.leave(),
        };
        // They have seen all of it that passed.
        self.hub.aside(clock::tick());
        let _ = output.write(Bytes::from(bytes)).await;
    }

    async fn last_picture(&mut self) -> Option<Keyframe> {
        self.picture = None;
        let recorder = self.recorder.as_mut()?;
        let mut making = recorder.picture()?;
        loop {
            tokio::select! {
                made = &mut making => return made.ok(),
                () = recorder.news() => {}
            }
        }
    }
}

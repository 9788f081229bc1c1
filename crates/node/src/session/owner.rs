//! The owner's end of a session: their connection is lost, they come back, or they go on from another place (ruling 11).
//!
//! What the program writes while they are away stands in the recording and nowhere else. They come back as whoever looks on
//! comes: the picture of the recording first, then what was recorded after it.

use super::streams::Streams;
use super::{LAST_WORDS, Live, gone};
use crate::clock;
use crate::company::{Return, Typed};
use crate::recorder::Recorder;
use crate::session::finish::Finish;
use bytes::Bytes;
use link::ssh::Output;
use link::ssh::server::Session;
use model::entry::{Entry, Party, People};
use model::{Seq, Size};
use record::Keyframe;
use record::picture::picture_of;
use std::time::Duration;
use tokio::sync::oneshot;
use wire::name::RETURN_VARIABLE;

/// Told to who comes back to what does not wait for them.
pub(super) const NOT_BACK: &str = "nobody comes back to this session: it has not begun, its program has ended, it is not \
                                   recorded, or it was opened by a client that cannot come back";
/// Told to who comes back where the screen is not known.
const NO_PICTURE: &str = "this machine cannot say what the screen showed; what follows is shown";
/// Pieces of what had arrived before the connection was lost that are taken still. Cut.
const LAST_PIECES: usize = 64;

/// Whether a client says that it can come back; takes its saying so out of what the program gets.
pub(super) fn returns(session: &mut Session) -> bool {
    let before = session.environment.len();
    session.environment.retain(|(name, _)| name != RETURN_VARIABLE);
    session.environment.len() < before
}

/// The picture that somebody waits for who is back.
pub(super) type Picture = Option<oneshot::Receiver<Keyframe>>;

/// Completes with it, or with nothing where none can be made. Cancel safe.
pub(super) async fn made(picture: &mut Picture) -> Option<Keyframe> {
    match picture {
        Some(making) => making.await.ok(),
        None => std::future::pending().await,
    }
}

impl Live {
    /// The channel of the owner is gone. Answers how the session ends by that, if it does.
    pub(super) async fn lose(
        &mut self,
        session: &mut Session,
        streams: &mut Streams,
        has_ended: bool,
    ) -> Option<Finish> {
        if self.hub.is_lost() {
            return None;
        }
        let output = session.output.clone();
        let is_over = output.was_left().await || output.fate().is_some() || has_ended;
        if is_over || !self.returns || self.recorder.is_none() {
            return Some(gone(&output).into());
        }
        self.hear_the_rest(session, streams).await;
        self.record_typing();
        let now = clock::tick();
        self.picture = None;
        self.hub.lost(now);
        self.table.company.owner_lost(now);
        self.outlive();
        None
    }

    /// The session outlives the connection that it was opened over.
    fn outlive(&mut self) {
        if let Some(outlives) = &mut self.outlives {
            outlives.begin();
        }
    }

    /// Takes what had arrived of what the owner typed.
    async fn hear_the_rest(&mut self, session: &mut Session, streams: &mut Streams) {
        for _ in 0..LAST_PIECES {
            let pulled = tokio::time::timeout(Duration::ZERO, session.input.pull()).await;
            let Ok(Ok(Some(bytes))) = pulled else { return };
            self.typed_by(Typed { party: Party::OWNER, bytes }, streams);
        }
    }

    /// The owner is back, or wants to go on from another place. Answers their channel if they may.
    pub(super) fn come_back(
        &mut self,
        back: Return,
        streams: &mut Streams,
        has_ended: bool,
    ) -> Option<Session> {
        let Return { permit, mut channel, from, answer } = back;
        let is_theirs = permit.session() == self.id && self.table.owner() == Some(permit.owner());
        let size = channel.pty.as_ref().map(|pty| pty.size).filter(|_| is_theirs);
        let (Some(size), true, true, false) =
            (size, self.comes_back, self.recorder.is_some(), has_ended)
        else {
            let _ = answer.send(Err(NOT_BACK.to_owned()));
            return None;
        };
        if answer.send(Ok(())).is_err() {
            // They have gone again.
            return None;
        }
        let now = clock::tick();
        self.returns = returns(&mut channel);
        self.lines.clear();
        self.record_typing();
        streams.begin_input();
        self.resize(size, streams);
        self.hub.back(now);
        self.picture = self.recorder.as_mut().and_then(Recorder::picture);
        if self.picture.is_none() {
            self.show(None);
        }
        self.table.company.owner_back(now);
        self.happened(People::OwnerBack { from });
        self.table.show();
        self.outlive();
        Some(channel)
    }

    /// Whoever is back gets the picture, and what was recorded after it.
    pub(super) fn show(&mut self, picture: Option<Keyframe>) {
        self.picture = None;
        let (seq, screen) = match picture {
            Some(keyframe) => (keyframe.seq, picture_of(&keyframe)),
            None => {
                self.lines.push_back(NO_PICTURE.to_owned());
                (Seq(0), screen::Screen::new(self.size.cols(), self.size.rows()))
            }
        };
        self.hub.show(seq, Bytes::from(screen::anew(&screen)));
    }

    /// The owner's terminal has this size.
    pub(super) fn resize(&mut self, size: Size, streams: &Streams) {
        if size != self.size {
            self.size = size;
            self.record(Entry::Resize(size));
            streams.resize(size);
        }
    }

    /// Tells whoever still holds the old channel, if anybody does, and closes it. Nobody waits for that.
    pub(super) fn dismiss(&mut self, old: Output) {
        if old.is_gone() {
            return;
        }
        self.drawing.spawn(async move {
            let words = async {
                let line = "\r\nscry: this session goes on from another place\r\n";
                let _ = old.write_error(Bytes::from_static(line.as_bytes())).await;
                let _ = old.exit_status(255).await;
                old.close().await;
            };
            let _ = tokio::time::timeout(LAST_WORDS, words).await;
        });
    }
}

//! The owner's end of a session: their connection is lost, they come back, or they go on from another place (ruling 11).
//!
//! What the program writes while they are away stands in the recording and nowhere else. They come back as whoever looks on
//! comes: the picture of the recording first, then what was recorded after it.

use super::streams::Streams;
use super::{LAST_WORDS, Live, gone};
use crate::clock;
use crate::company::{Return, Typed};
use crate::session::finish::Finish;
use bytes::Bytes;
use link::ssh::Output;
use link::ssh::server::Session;
use model::Seq;
use model::entry::{Party, People};
use screen::Screen;
use std::time::Duration;
use tokio::sync::oneshot;
use wire::name::{FITS_VARIABLE, RETURN_VARIABLE};

/// Told to who comes back to what does not wait for them.
pub(super) const NOT_BACK: &str = "nobody comes back to this session: it has not begun, its program has ended, it is not \
                                   recorded, or it was opened by a client that cannot come back";
/// Told to who comes back where the screen is not known.
const NO_PICTURE: &str = "this machine cannot say what the screen showed; what follows is shown";
/// Pieces of what had arrived before the connection was lost that are taken still. Cut.
const LAST_PIECES: usize = 64;

/// What an owner's client says of itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct Client {
    /// It can come back.
    pub returns: bool,
    /// Its terminal takes the size of what it is shown.
    pub fits: bool,
}

impl Client {
    /// Takes what it says out of what the program gets.
    pub fn of(session: &mut Session) -> Self {
        let mut says = |what: &str| {
            let before = session.environment.len();
            session.environment.retain(|(name, _)| name != what);
            session.environment.len() < before
        };
        Self { returns: says(RETURN_VARIABLE), fits: says(FITS_VARIABLE) }
    }
}

/// The picture that somebody waits for who is back.
pub(super) type Picture = Option<oneshot::Receiver<(Seq, Box<Screen>)>>;

/// Completes with it, or with nothing where none can be made. Cancel safe.
pub(super) async fn made(picture: &mut Picture) -> Option<(Seq, Box<Screen>)> {
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
        (self.picture, self.painted) = (None, None);
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

    /// The owner is back, or wants to go on from another place. Answers their channel if they may, and what the old one's terminal
    /// gets last.
    pub(super) fn come_back(
        &mut self,
        back: Return,
        streams: &mut Streams,
        has_ended: bool,
    ) -> Option<(Session, Vec<u8>)> {
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
        let client = Client::of(&mut channel);
        (self.returns, self.fits, self.own) = (client.returns, client.fits, size);
        self.picture = None;
        self.lines.clear();
        self.record_typing();
        streams.begin_input();
        let leaves = self.painted.take().map(|painted| painted.leave()).unwrap_or_default();
        self.hub.back(now);
        self.next_size = now;
        self.tend_size(streams);
        if self.painted.is_none() {
            self.await_picture();
        }
        self.table.company.owner_back(now);
        self.happened(People::OwnerBack { from });
        self.table.show();
        self.outlive();
        Some((channel, leaves))
    }

    /// Runs something that ends with the session at the latest.
    pub(super) fn spawn(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        while self.tasks.try_join_next().is_some() {}
        self.tasks.spawn(task);
    }

    /// Whoever is back, or was shown pictures, gets the recording's, and what was recorded after it.
    pub(super) fn show(&mut self, picture: Option<(Seq, Box<Screen>)>) {
        self.picture = None;
        let (seq, screen) = picture.unwrap_or_else(|| {
            self.lines.push_back(NO_PICTURE.to_owned());
            (Seq(0), Box::new(Screen::new(self.size.cols(), self.size.rows())))
        });
        let bytes = match self.painted.take() {
            Some(painted) => self.given_back(&painted, &screen),
            None => screen::anew(&screen),
        };
        self.hub.show(seq, Bytes::from(bytes));
    }

    /// Tells whoever still holds the old channel, if anybody does, and closes it. Nobody waits for that.
    pub(super) fn dismiss(&mut self, old: Output, leaves: Vec<u8>) {
        if old.is_gone() {
            return;
        }
        self.spawn(async move {
            let words = async {
                let _ = old.write(Bytes::from(leaves)).await;
                let line = "\r\nscry: this session goes on from another place\r\n";
                let _ = old.write_error(Bytes::from_static(line.as_bytes())).await;
                let _ = old.exit_status(255).await;
                old.close().await;
            };
            let _ = tokio::time::timeout(LAST_WORDS, words).await;
        });
    }
}

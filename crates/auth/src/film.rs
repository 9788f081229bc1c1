//! Films: what a player in a browser gets of a recording. It is decoded here, a piece at a time.

use crate::auth::Auth;
use crate::clock;
use crate::error::Refusal;
use crate::gate::{Changes, Member};
use crate::look::{Look, Needs};
use crate::query::Query;
use crate::recordings::{Presence, with_aftermaths};
use crate::shelf::Tape;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use model::limit::{REEL_BYTES, REEL_WAIT_MS};
use record::Corrupt;
use record::cue::{self, Cue, Piece, Place};
use record::film as shot;
use record::note::{Note, NoteKind};
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;
use store::tables::Phase;
use tokio::sync::watch;
use wire::Fault;
use wire::film::{
    Activity, Chapter, Code, CueData, End, Film, Idle, Mark, MarkKind, Picture, ReelLine, Typing,
};

/// What a player must know before it shows anything.
pub async fn film(auth: Arc<Auth>, by: Member, request: Request) -> Result<Response, Refusal> {
    let look = Look::of(&auth, by, &Query::of(&request), Needs::Play).await?;
    let facts = Presence::read(&auth).await?.facts(look.row().clone());
    let facts = with_aftermaths(&auth, facts).await?;
    let live = facts.phase == wire::recording::Phase::Live;
    let film = auth.shelf.work(&auth, &look, move |tape| {
        let (length_ms, seq) = (tape.recording.length_ms(), tape.recording.last_seq());
        let size = tape.recording.heading().size;
        let live = live && tape.recording.ending().is_none();
        let damage = damage(tape);
        let film = tape.film();
        let (stretches, at_least_ms) = film.idle();
        Film {
            facts,
            size,
            largest: film.largest(),
            length_ms,
            seq,
            live,
            activity: activity(film),
            idle: Idle { at_least_ms, stretches: stretches.to_vec() },
            marks: film.notes().into_iter().map(mark).collect(),
            folded: film.folded().into_iter().map(|(kind, n)| (mark_kind(kind), n)).collect(),
            chapters: film.chapters(length_ms).into_iter().map(chapter).collect(),
            typing: film.typing().map(typing),
            damage: film.damage().map(ToString::to_string).or(damage),
        }
    });
    Ok(axum::Json(film.await?).into_response())
}

/// Where a reel begins.
#[derive(Debug, Clone, Copy)]
enum Start {
    /// With the picture of a moment.
    At(u64),
    /// Behind what was told.
    After(Place),
}

/// A picture and what follows it, or what follows a place.
pub async fn reel(auth: Arc<Auth>, by: Member, request: Request) -> Result<Response, Refusal> {
    let query = Query::of(&request);
    let look = Look::of(&auth, by, &query, Needs::Play).await?;
    let start = match (query.number("at")?, query.text("after")) {
        (Some(at), None) => Start::At(at),
        (None, Some(after)) => Start::After(place(after)?),
        _ => return Err(Refusal::malformed("say either `at` or `after`")),
    };
    let (usual, most) = REEL_BYTES;
    let wanted = query.number("most")?.and_then(|number| usize::try_from(number).ok());
    let most = wanted.unwrap_or(usual).min(most);
    let told = tell_or_wait(&auth, look, move |tape| Told::of(tape, start, most)).await?;
    Ok(told.into_response())
}

/// What can be asked for again when there is more.
pub trait Tells: Send + 'static {
    /// Whether there was nothing to tell.
    fn is_empty(&self) -> bool;
    /// Takes in whether its node says that the recording goes on; answers whether it does: its end may be here already.
    fn goes_on(&mut self, live: bool) -> bool;
}

/// Works on a recording; if there is nothing to tell and it goes on, waits for more.
pub async fn tell_or_wait<T: Tells>(
    auth: &Auth,
    mut look: Look,
    tell: impl Fn(&mut Tape) -> Result<T, Refusal> + Clone + Send + 'static,
) -> Result<T, Refusal> {
    let until = clock::tick().plus_ms(REEL_WAIT_MS);
    let mut changes = Changes::of(auth);
    loop {
        let mut grown = auth.inflow.growth(look.row().id);
        let mut told = auth.shelf.work(auth, &look, tell.clone()).await??;
        let live = Presence::read(auth).await?.phase(look.row()) == Phase::Live;
        let live = told.goes_on(live);
        let left = until.since(clock::tick());
        if !told.is_empty()
            || !live
            || left == 0
            || !more(auth, &mut grown, &mut changes, left).await
        {
            return Ok(told);
        }
        look = look.again(auth).await?;
    }
}

/// Waits until a recording has grown, or whoever looks may have lost the right. `false` if auth stops.
async fn more(
    auth: &Auth,
    grown: &mut watch::Receiver<u64>,
    changes: &mut Changes,
    ms: u64,
) -> bool {
    tokio::select! {
        changed = grown.changed() => changed.is_ok(),
        () = changes.next() => true,
        () = tokio::time::sleep(Duration::from_millis(ms)) => true,
        () = auth.stop.cancelled() => false,
    }
}

/// What a reel tells.
struct Told {
    picture: Option<Picture>,
    piece: Piece,
    begun: Place,
    length_ms: u64,
    damage: Option<String>,
    ended: bool,
    live: bool,
}

impl Told {
    fn of(tape: &mut Tape, start: Start, most: usize) -> Result<Self, Refusal> {
        let recording = &tape.recording;
        let (picture, begun) = match start {
            Start::After(place) => (None, place),
            Start::At(ms) => {
                let picture = cue::picture(recording, ms).map_err(damaged)?;
                let place = picture.place;
                (Some(shown(picture)), place)
            }
        };
        let piece = cue::piece(recording, begun, most);
        let (length_ms, ended) = (recording.length_ms(), recording.ending().is_some());
        let damage = piece.damage.as_ref().map(ToString::to_string).or_else(|| damage(tape));
        Ok(Self { picture, piece, begun, length_ms, damage, ended, live: false })
    }

    fn into_response(self) -> Response {
        let Piece { cues, place, at, more, .. } = self.piece;
        let picture = self.picture.map(|picture| ReelLine::Picture { picture });
        let cues = cues.into_iter().map(|(at, seq, cue)| {
            let (code, data) = cue_data(cue);
            ReelLine::Cue(wire::film::Cue(at, seq, code, data))
        });
        let end = End {
            after: place.to_string(),
            at,
            seq: place.seq,
            more,
            live: self.live,
            length_ms: self.length_ms,
            damage: self.damage.filter(|_| !more),
        };
        answer(picture.into_iter().chain(cues).chain([ReelLine::End { end }]))
    }
}

impl Tells for Told {
    fn is_empty(&self) -> bool {
        self.picture.is_none() && self.piece.place == self.begun && self.damage.is_none()
    }

    fn goes_on(&mut self, live: bool) -> bool {
        self.live = live && !self.ended;
        self.live
    }
}

/// Lines of JSON, all there already.
pub fn answer<T: Serialize>(lines: impl Iterator<Item = T>) -> Response {
    let mut body = Vec::new();
    for line in lines {
        // Nothing that is told here cannot be written as JSON.
        let _ = serde_json::to_writer(&mut body, &line);
        body.push(b'\n');
    }
    let kind = [(http::header::CONTENT_TYPE, "application/x-ndjson")];
    (kind, body).into_response()
}

/// Reads a parameter `after`.
pub fn place(text: &str) -> Result<Place, Refusal> {
    text.parse().map_err(|_| Refusal::malformed("`after` must be what an `end` said"))
}

/// Said where there is no picture of a moment.
pub fn damaged(damage: Corrupt) -> Refusal {
    let words = format!("the recording cannot be read at this moment: {damage}");
    Refusal::new(Fault::Unavailable, words)
}

/// What is wrong with a recording that cannot be read to its end.
pub fn damage(tape: &Tape) -> Option<String> {
    tape.recording.damage().map(ToString::to_string)
}

pub fn shown(picture: cue::Picture) -> Picture {
    let cue::Picture { at, size, dump, place } = picture;
    Picture { seq: place.seq, at, cols: size.cols(), rows: size.rows(), dump }
}

pub fn cue_data(cue: Cue) -> (Code, CueData) {
    match cue {
        Cue::Text(text) => (Code::Output, CueData::Text(text)),
        Cue::Bytes(bytes) => (Code::Bytes, CueData::Text(STANDARD.encode(bytes))),
        Cue::Size(size) => (Code::Size, CueData::Size(size)),
        Cue::Note(kind, text) => (Code::Mark, CueData::Mark { kind: mark_kind(kind), text }),
    }
}

fn activity(film: &shot::Film) -> Activity {
    let shot::Activity { bucket_ms, bytes, keys } = film.activity().clone();
    Activity { bucket_ms, bytes, keys: film.is_exact().then_some(keys) }
}

fn typing(all: Vec<shot::Burst>) -> Typing {
    let mut typing = Typing::default();
    for shot::Burst { at, until, user } in all {
        let known = typing.people.iter().position(|one| *one == user);
        let who = known.unwrap_or_else(|| {
            typing.people.push(user);
            typing.people.len() - 1
        });
        // There are never more people in a session than that.
        typing.bursts.push((at, until, u16::try_from(who).unwrap_or(u16::MAX)));
    }
    typing
}

fn chapter(chapter: shot::Chapter) -> Chapter {
    let shot::Chapter { at, until, seq, text } = chapter;
    Chapter { at, until, seq, text }
}

pub fn mark(note: Note) -> Mark {
    let Note { at, seq, kind, text } = note;
    Mark { at, seq, kind: mark_kind(kind), text }
}

pub fn mark_kind(kind: NoteKind) -> MarkKind {
    match kind {
        NoteKind::Mark => MarkKind::Mark,
        NoteKind::People => MarkKind::People,
        NoteKind::Said => MarkKind::Said,
        NoteKind::Keyboard => MarkKind::Typing,
        NoteKind::Frozen => MarkKind::Frozen,
        NoteKind::Size => MarkKind::Size,
        NoteKind::Gap => MarkKind::Gap,
        NoteKind::Forward => MarkKind::Forward,
        NoteKind::File | NoteKind::Seen => MarkKind::File,
        NoteKind::Command => MarkKind::Command,
        NoteKind::End => MarkKind::End,
    }
}

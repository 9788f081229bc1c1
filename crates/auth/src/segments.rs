//! Recordings for a player that nobody here wrote: an index, and segment by segment a picture and what follows. What they are
//! made of is what a reel tells; the form is [`wire::asciinema::segments`].

use crate::auth::Auth;
use crate::error::Refusal;
use crate::film::{cue_data, damage, damaged, mark, mark_kind, shown};
use crate::gate::Member;
use crate::look::{Look, Needs};
use crate::query::Query;
use crate::recordings::Presence;
use crate::shelf::{Opened, Tape};
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use model::limit::{REEL_BYTES, SEGMENTS_SHOWN};
use record::cue::{self, Piece, Place};
use std::sync::Arc;
use wire::asciinema::segments::{Index, Outline, Segment, Span};
use wire::film::{Code, CueData, Picture};

/// What segments there are, as far as the recording reaches.
pub async fn index(auth: Arc<Auth>, by: Member, request: Request) -> Result<Response, Refusal> {
    let query = Query::of(&request);
    let look = Look::of(&auth, by, &query, Needs::Play).await?;
    let live = Presence::read(&auth).await?.is_live(look.row());
    let outline = auth.shelf.work(&auth, &look, move |tape| outline(tape, live)).await?;
    // It is the caller's own, and was looked at: it can stand in an address as it is.
    let ticket = query.text("ticket").unwrap_or_default();
    Ok(axum::Json(Index::of(outline, ticket)).into_response())
}

fn outline(tape: &mut Tape, live: bool) -> Outline {
    let (live, damage) = (live && tape.recording.ending().is_none(), damage(tape));
    let (size, length_ms) = (tape.recording.heading().size, tape.recording.length_ms());
    let cuts = tape.recording.index().cuts(SEGMENTS_SHOWN);
    let film = tape.film();
    Outline {
        size: size.unwrap_or_default(),
        length_ms,
        cuts,
        marks: film.notes().into_iter().map(mark).collect(),
        folded: film.folded().into_iter().map(|(kind, n)| (mark_kind(kind), n)).collect(),
        live,
        damage: film.damage().map(ToString::to_string).or(damage),
    }
}

/// The picture before a moment, and what follows up to another.
pub async fn segment(auth: Arc<Auth>, by: Member, request: Request) -> Result<Response, Refusal> {
    let query = Query::of(&request);
    let look = Look::of(&auth, by, &query, Needs::Play).await?;
    let last = query.text("last") == Some("1");
    let span = match (query.number("from")?, query.number("to")?) {
        (Some(from), Some(to)) => Span::new(from, to, last),
        _ => None,
    };
    let span = span.ok_or_else(|| Refusal::malformed("say `from`, and a later `to`"))?;
    let segment = auth.shelf.work(&auth, &look, move |tape| made(tape, span)).await??;
    Ok(axum::Json(segment).into_response())
}

fn made(tape: &mut Tape, span: Span) -> Result<Segment, Refusal> {
    let (picture, place) = begun(&tape.recording, span)?;
    let mut segment = Segment::begin(picture);
    let whole = fill(&mut segment, &tape.recording, place, span)?;
    let skipped = match whole {
        true => None,
        false => Some(shown(cue::picture(&tape.recording, span.end()).map_err(damaged)?)),
    };
    let marks = tape.film().notes().into_iter().map(mark).collect();
    Ok(segment.finish(span, skipped, marks))
}

/// The picture before it, and where it goes on.
fn begun(recording: &Opened, span: Span) -> Result<(Picture, Place), Refusal> {
    if let Some(before) = span.before() {
        let picture = cue::picture(recording, before).map_err(damaged)?;
        let place = picture.place;
        return Ok((shown(picture), place));
    }
    let size = recording.heading().size.unwrap_or_default();
    let place = Place::default();
    let (cols, rows, dump) = (size.cols(), size.rows(), String::new());
    Ok((Picture { seq: place.seq, at: 0, cols, rows, dump }, place))
}

/// Tells what follows. `false` if the segment does not hold all of it.
fn fill(
    segment: &mut Segment,
    recording: &Opened,
    mut place: Place,
    span: Span,
) -> Result<bool, Refusal> {
    loop {
        let Piece { cues, place: behind, at, more, .. } =
            cue::piece(recording, place, REEL_BYTES.0);
        for (at, seq, cue) in cues {
            if at > span.end() {
                return Ok(true);
            }
            let (code, data) = cue_data(cue);
            if !segment.take(wire::film::Cue(at, seq, code, data)) {
                return Ok(false);
            }
        }
        place = behind;
        if !more || at >= span.end() {
            // What an export ends with.
            let broken = (!more && place.is_within_character()).then(|| {
                let data = CueData::Text(char::REPLACEMENT_CHARACTER.into());
                wire::film::Cue(span.end(), place.seq, Code::Output, data)
            });
            return Ok(broken.is_none_or(|cue| segment.take(cue)));
        }
    }
}

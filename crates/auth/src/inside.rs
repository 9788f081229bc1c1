//! What stands in a recording, beside its picture: its text line by line, what happened, and where a text came up.

use crate::auth::Auth;
use crate::error::Refusal;
use crate::event::{classes, event};
use crate::film::{Tells, answer, damaged, place, tell_or_wait};
use crate::gate::Member;
use crate::look::{Look, Needs};
use crate::pour::{Pour, pour};
use crate::query::Query;
use crate::shelf::{Opened, Tape};
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use model::limit::{EVENTS_TOLD, GLANCES, HITS, LINES_TOLD, SEARCH_CHARS, SEARCH_MS};
use model::{Seq, Tick};
use record::cue::Place;
use record::find::{NoExpression, Pattern};
use record::lines::{self, Start, Told};
use record::search::{Found, Search};
use record::{Corrupt, Glance};
use std::collections::BTreeSet;
use std::sync::Arc;
use wire::film::{End, EventClass, EventLine, Hit, SearchLine, TranscriptLine};

/// Lines of text.
pub async fn transcript(
    auth: Arc<Auth>,
    by: Member,
    request: Request,
) -> Result<Response, Refusal> {
    let query = Query::of(&request);
    let look = Look::of(&auth, by, &query, Needs::Play).await?;
    let start = match (query.number("at")?, query.text("after")) {
        (Some(at), None) => Start::At(at),
        (None, after) => Start::After(place(after.unwrap_or("0"))?),
        _ => return Err(Refusal::malformed("say either `at` or `after`")),
    };
    let most = bounded(query.number("most")?, LINES_TOLD);
    let told = tell_or_wait(&auth, look, move |tape| {
        let page = lines::page(&tape.recording, start, most).map_err(damaged)?;
        let lines = page.told.into_iter().map(|told| match told {
            Told::Line { at, seq, text } => TranscriptLine::Line { at, seq, text },
            Told::FullScreen { at, until } => TranscriptLine::FullScreen { at, until },
        });
        let waits = start == Start::After(page.place);
        let end = end(tape, page.place, page.at, page.more, page.damage.as_ref());
        let (lines, ended) = (lines.collect(), tape.recording.ending().is_some());
        Ok(Answer { lines, waits, ended, end, last: TranscriptLine::End })
    });
    Ok(told.await?.into_response())
}

/// What happened beside the terminal.
pub async fn events(auth: Arc<Auth>, by: Member, request: Request) -> Result<Response, Refusal> {
    let query = Query::of(&request);
    let look = Look::of(&auth, by, &query, Needs::Play).await?;
    let after = place(query.text("after").unwrap_or("0"))?;
    let wanted = classes(query.text("class"))?;
    let most = bounded(query.number("most")?, EVENTS_TOLD);
    let told = tell_or_wait(&auth, look, move |tape| Ok(happened(tape, after, &wanted, most)));
    Ok(told.await?.into_response())
}

fn happened(
    tape: &Tape,
    after: Place,
    wanted: &BTreeSet<EventClass>,
    most: usize,
) -> Answer<EventLine> {
    let recording = &tape.recording;
    let (mut lines, mut seq, mut at, mut more) = (Vec::new(), after.seq, 0, false);
    let mut damage: Option<Corrupt> = None;
    for (passed, seen) in recording.glances(after.seq.next()).enumerate() {
        if lines.len() >= most || passed >= GLANCES {
            more = true;
            break;
        }
        match seen {
            Err(corrupt) => damage = Some(corrupt),
            Ok(Glance::Screen { .. }) => {}
            Ok(Glance::Data { last, seq: behind, .. }) => {
                at = last;
                seq = seq.max(behind);
            }
            Ok(Glance::Meta(entries)) => {
                at = entries.last().map_or(at, |last| last.at);
                for stamped in entries.iter().filter(|stamped| stamped.seq > after.seq) {
                    seq = seq.max(stamped.seq);
                    let event = event(stamped).filter(|event| wanted.contains(&event.class));
                    lines.extend(event.map(|event| EventLine::Event(Box::new(event))));
                }
            }
        }
    }
    let at = if more || damage.is_some() { at } else { at.max(recording.length_ms()) };
    let end = end(tape, Place::behind(seq), at, more, damage.as_ref());
    let ended = recording.ending().is_some();
    Answer { waits: seq == after.seq, lines, ended, end, last: EventLine::End }
}

/// Where a text came onto the screen, told as it is found.
pub async fn search(auth: Arc<Auth>, by: Member, request: Request) -> Result<Response, Refusal> {
    let query = Query::of(&request);
    let look = Look::of(&auth, by, &query, Needs::Play).await?;
    let (_, pattern) = pattern(&query)?;
    let after = place(query.text("after").unwrap_or("0"))?;
    let live = crate::recordings::Presence::read(&auth).await?.is_live(look.row());
    let body = pour(&auth, &look, move |recording, pour| {
        let live = live && recording.ending().is_none();
        hunt(recording, pattern, after.seq, live, pour);
    });
    Ok(([(http::header::CONTENT_TYPE, "application/x-ndjson")], body.await?).into_response())
}

/// What is searched for, as it was asked and as it is looked for.
pub fn pattern(query: &Query<'_>) -> Result<(String, Pattern), Refusal> {
    let text = query.decoded("for")?.unwrap_or_default();
    if text.chars().count() > SEARCH_CHARS {
        let words = format!("a search has at most {SEARCH_CHARS} characters");
        return Err(Refusal::malformed(words));
    }
    let exact = query.text("case") == Some("1");
    let nothing = || Refusal::malformed("search for what?");
    let pattern = match query.text("regex") == Some("1") {
        true if text.is_empty() => return Err(nothing()),
        true => Pattern::expression(&text, exact).map_err(|NoExpression(why)| {
            Refusal::malformed(format!("this is no regular expression that counts here: {why}"))
        })?,
        false => Pattern::with(&text, exact).ok_or_else(nothing)?,
    };
    Ok((text, pattern))
}

fn hunt(recording: Opened, pattern: Pattern, after: Seq, live: bool, pour: &mut Pour) {
    let until = crate::clock::tick().plus_ms(SEARCH_MS);
    let length_ms = recording.length_ms();
    let (mut hits, mut told) = (0, Tick(0));
    let mut damage = recording.damage().map(ToString::to_string);
    let mut search = match Search::new(recording, pattern, after) {
        Ok(search) => search,
        Err(corrupt) => {
            let damage = Some(corrupt.to_string());
            let (after, seq, more) = (after.0.to_string(), after, false);
            let end = End { after, at: 0, seq, more, live, length_ms, damage };
            pour.line(&SearchLine::End(end));
            return;
        }
    };
    let mut done = false;
    while !done && hits < HITS && crate::clock::tick() < until {
        let begun = crate::clock::tick();
        let mut found = Vec::new();
        let more = || crate::clock::tick().since(begun) < 100;
        match search.run(&mut found, more) {
            Ok(all) => done = all,
            Err(corrupt) => {
                damage = Some(corrupt.to_string());
                done = true;
            }
        }
        hits += found.len();
        for found in found {
            let Found { at, seq, row, text, from, to } = found;
            if !pour.line(&SearchLine::Hit(Hit { at, seq, row, text, from, to })) {
                return;
            }
        }
        if crate::clock::tick().since(told) >= 500 {
            told = crate::clock::tick();
            pour.line(&SearchLine::Reached { at: search.at() });
        }
        if !pour.goes_on() {
            return;
        }
    }
    let (seq, whole) = (search.seq(), done && damage.is_none());
    let at = if whole { length_ms } else { search.at() };
    let damage = damage.filter(|_| done);
    let end = End { after: seq.0.to_string(), at, seq, more: !done, live, length_ms, damage };
    pour.line(&SearchLine::End(end));
}

/// Lines and the end of them.
struct Answer<T> {
    lines: Vec<T>,
    /// Whether there was nothing to read.
    waits: bool,
    /// Whether the recording's end is here.
    ended: bool,
    end: End,
    last: fn(End) -> T,
}

impl<T: serde::Serialize> Answer<T> {
    fn into_response(self) -> Response {
        answer(self.lines.into_iter().chain([(self.last)(self.end)]))
    }
}

impl<T: Send + 'static> Tells for Answer<T> {
    fn is_empty(&self) -> bool {
        self.waits && self.end.damage.is_none()
    }

    fn goes_on(&mut self, live: bool) -> bool {
        self.end.live = live && !self.ended;
        self.end.live
    }
}

fn end(tape: &Tape, place: Place, at: u64, more: bool, damage: Option<&Corrupt>) -> End {
    let damage = damage.or_else(|| tape.recording.damage()).filter(|_| !more);
    End {
        after: place.to_string(),
        at,
        seq: place.seq,
        more,
        live: false,
        length_ms: tape.recording.length_ms(),
        damage: damage.map(ToString::to_string),
    }
}

fn bounded(asked: Option<u64>, (usual, most): (usize, usize)) -> usize {
    let asked = asked.and_then(|number| usize::try_from(number).ok());
    asked.unwrap_or(usual).clamp(1, most)
}

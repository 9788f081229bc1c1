//! Recordings for people: lists, leave to look, the bytes, removing.

use crate::auth::Auth;
use crate::clock;
use crate::error::{Error, Refusal};
use crate::gate::Member;
use crate::look::{Look, Needs, about, permitted, reader};
use crate::query::Query;
use crate::secret;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use bytes::Bytes;
use http::HeaderValue;
use model::audit::Audited;
use model::limit::AMISS_LISTED;
use model::role::{Labels, RecordingAction};
use model::{Kind, NodeName, Time, UserName};
use policy::Readable;
use record::Verdict;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use store::intake::RecordingReader;
use store::tables::{PartKind, Phase, Recording, RecordingFilter, Visible};
use wire::node::LookedAt;
use wire::recording::{
    ListRecordings, Only, ReadStanding, RecordingFacts, RemoveRecording, Standing, View, ViewKind,
    ViewRecording,
};
use wire::stream::{LIVE_HEADER, TOTAL_HEADER};
use wire::{Done, Fault};

/// A live recording is called interrupted when its node was silent for so long.
const SILENT_MS: i64 = 60_000;
/// Life of a ticket.
const TICKET_MS: i64 = 12 * 3600 * 1000;
/// Bytes of one answer, at most. Cut: the client asks for the rest.
const PIECE_BYTES: u64 = 256 * 1024;
/// How long an answer at the end of a live recording waits for more.
const TAIL_WAIT: Duration = Duration::from_secs(1);

pub async fn list(
    auth: Arc<Auth>,
    by: Member,
    call: ListRecordings,
) -> Result<Vec<RecordingFacts>, Refusal> {
    let visible = policy::readable(&by.roles, &by.identity, RecordingAction::List, clock::now());
    let presence = Presence::read(&auth).await?;
    let filter = RecordingFilter {
        user: call.user,
        node: call.node,
        login: call.login,
        since: call.since,
        until: call.until,
        id_prefix: call.id_prefix,
        live: call.live,
        aftermath_of: call.aftermath_of,
        connections: call.only.map(|only| only == Only::Connections),
        amiss: false,
        after: call.after.map(|place| (place.started, place.id)),
        limit: call.limit,
    };
    let seen = |row: &Recording| {
        visible.covers(&by.name, &row.user, &row.labels)
            && !(call.live && presence.phase(row) != Phase::Live)
    };
    let seen = match &visible {
        Readable::All if !call.live => Visible::All,
        Readable::Own if !call.live => Visible::Own(&by.name),
        _ => Visible::Where(&seen),
    };
    let rows = match visible {
        Readable::None => Vec::new(),
        _ => auth.tables.list_recordings(&filter, seen).await?,
    };
    if rows.is_empty() {
        let first = RecordingFilter { after: None, limit: 1, ..filter };
        // At the end of a list that was paged through somebody was found.
        let paged =
            call.after.is_some() && !auth.tables.list_recordings(&first, seen).await?.is_empty();
        if !paged {
            tell_of_none(&auth, &by, &first, &visible).await?;
        }
    }
    listed(&auth, &by, &presence, rows).await
}

/// Recordings as they are told; those of others stand in the ledger.
async fn listed(
    auth: &Auth,
    by: &Member,
    presence: &Presence,
    rows: Vec<Recording>,
) -> Result<Vec<RecordingFacts>, Refusal> {
    let others = rows.iter().filter(|row| row.user != by.name).count() as u64;
    if others > 0 {
        let what = Audited::RecordingsListed { count: rows.len() as u64, others };
        // Also on a full disk lists are shown: by them room is made.
        auth.ledger.tell(vec![by.asked.event(what)]).await;
    }
    let mut told = Vec::with_capacity(rows.len());
    for row in rows {
        told.push(with_aftermaths(auth, presence.facts(row)).await?);
    }
    Ok(told)
}

pub async fn standing(
    auth: Arc<Auth>,
    by: Member,
    _call: ReadStanding,
) -> Result<Standing, Refusal> {
    let visible = policy::readable(&by.roles, &by.identity, RecordingAction::List, clock::now());
    let presence = Presence::read(&auth).await?;
    let covers = |user: &UserName, labels: &Labels| visible.covers(&by.name, user, labels);
    let mut standing = Standing::default();
    for alike in auth.tables.count_stored().await? {
        if !covers(&alike.user, &alike.labels) {
            continue;
        }
        let count = stored_as(&mut standing, alike.verification.as_deref(), alike.gaps);
        *count = count.saturating_add(alike.count);
    }
    for row in auth.tables.unfiled_recordings().await? {
        if covers(&row.user, &row.labels) {
            let count = match (row.ending.is_some(), presence.is_live(&row)) {
                (true, _) => &mut standing.waiting,
                (false, true) => &mut standing.live,
                (false, false) => &mut standing.interrupted,
            };
            *count = count.saturating_add(1);
        }
    }
    // What goes on, or was ended just now, is amiss only if something is missing.
    let seen = |row: &Recording| {
        let settled = row.phase == Phase::Stored || !presence.is_live(row);
        covers(&row.user, &row.labels) && (settled || row.gaps > 0)
    };
    let most = AMISS_LISTED + 1;
    let filter = RecordingFilter {
        amiss: true,
        limit: u32::try_from(most).unwrap_or(u32::MAX),
        ..RecordingFilter::default()
    };
    let mut rows = match visible {
        Readable::None => Vec::new(),
        _ => auth.tables.list_recordings(&filter, Visible::Where(&seen)).await?,
    };
    standing.more = rows.len() == most;
    rows.truncate(AMISS_LISTED);
    standing.amiss = listed(&auth, &by, &presence, rows).await?;
    Ok(standing)
}

/// With the recordings of what a session left running.
pub async fn with_aftermaths(auth: &Auth, facts: RecordingFacts) -> Result<RecordingFacts, Error> {
    let aftermaths = match &facts.kind {
        Kind::Shell | Kind::Exec { .. } | Kind::Subsystem { .. } => {
            auth.tables.aftermaths(&facts.id).await?
        }
        Kind::Connection | Kind::Aftermath { .. } => Vec::new(),
    };
    Ok(RecordingFacts { aftermaths, ..facts })
}

/// Where stored recordings are counted that were found so.
fn stored_as<'a>(
    standing: &'a mut Standing,
    verification: Option<&str>,
    gaps: bool,
) -> &'a mut u64 {
    match verification {
        Some(words) if words == Verdict::Complete.to_string() && gaps => &mut standing.gaps,
        Some(words) if words == Verdict::Complete.to_string() => &mut standing.whole,
        Some(words) if words == Verdict::Broken.to_string() => &mut standing.damaged,
        // What cannot be read as whole or damaged is not proven to be whole.
        _ => &mut standing.partly,
    }
}

/// Somebody asked for recordings by owner or id, and there are none for them: they learn nothing, the ledger does. `first`
/// is what would find the first of them.
async fn tell_of_none(
    auth: &Auth,
    by: &Member,
    first: &RecordingFilter,
    visible: &Readable,
) -> Result<(), Refusal> {
    let others = first.user.as_ref().is_some_and(|user| *user != by.name);
    if *visible == Readable::All || (!others && first.id_prefix.is_none()) {
        return Ok(());
    }
    // Pages ask again and again by themselves.
    let sought = (by.name.clone(), first.user.clone(), first.id_prefix.clone());
    if by.asked.web_session().is_some() && !auth.sought.take(sought, clock::tick()) {
        return Ok(());
    }
    let seen = |row: &Recording| !visible.covers(&by.name, &row.user, &row.labels);
    let hidden = auth.tables.list_recordings(first, Visible::Where(&seen)).await?;
    let refusal = match hidden.first() {
        Some(row) => {
            let (list, now) = (RecordingAction::List, clock::now());
            let asked =
                policy::recording(&by.roles, &by.identity, list, &row.user, &row.labels, now);
            let Err(denial) = asked else { return Ok(()) };
            Refusal::from(denial).about(row.id)
        }
        // Told as well, so that the answer takes about as long whether there are any or not: see `look::missing`.
        None => {
            let why = "nothing fits, and nothing of that is hidden from them";
            Refusal::not_found("recording").with_audit(by.asked.route(), why.to_owned())
        }
    };
    by.asked.audit(auth, &refusal).await;
    Ok(())
}

pub async fn view(auth: Arc<Auth>, by: Member, call: ViewRecording) -> Result<View, Refusal> {
    let action = match call.how {
        ViewKind::Play | ViewKind::Follow => RecordingAction::Play,
        ViewKind::Export => RecordingAction::Export,
    };
    let (row, _permit) = permitted(&auth, &by, call.id, action).await?;
    let ticket = secret::fresh();
    let expires = clock::now().plus_ms(TICKET_MS);
    auth.tables.put_ticket(&ticket, &by.name, &row.id, expires).await?;
    let how = match call.how {
        ViewKind::Play => "play",
        ViewKind::Export => "export",
        ViewKind::Follow => "follow",
    };
    let what = Audited::RecordingViewed { how: how.to_owned() };
    auth.ledger.write(&[about(&by, &row, what)]).await?;
    let presence = Presence::read(&auth).await?;
    if presence.phase(&row) == Phase::Live {
        auth.looks.tell(&row, &by.name, LookedAt::Recording);
    }
    let facts = with_aftermaths(&auth, presence.facts(row)).await?;
    Ok(View { ticket, facts })
}

pub async fn remove(auth: Arc<Auth>, by: Member, call: RemoveRecording) -> Result<Done, Refusal> {
    let (row, _permit) = permitted(&auth, &by, call.id, RecordingAction::Remove).await?;
    if Presence::read(&auth).await?.phase(&row) == Phase::Live {
        let words = "this session goes on: a recording can be removed when it has ended";
        return Err(Refusal::new(Fault::Conflict, words));
    }
    let hash = match row.file_hash {
        Some(hash) => hash,
        None => hash(&reader(&auth, &row).await?).await?,
    };
    // The tombstone first: bytes without one must not be missing.
    let what = Audited::RecordingRemoved { owner: row.user.clone(), hash: secret::hex(&hash) };
    auth.ledger.write(&[about(&by, &row, what)]).await?;
    auth.inflow.discard(row.id).await?;
    auth.tables.remove_comments(&row.id, None).await?;
    auth.shelf.forget(row.id);
    auth.storage.freed(&row.node, row.bytes);
    tracing::info!(id = %row.id, by = %by.name, "a recording was removed");
    Ok(Done {})
}

/// A piece of the file as it stands, to whoever holds the ticket and still has the right.
pub async fn bytes(auth: Arc<Auth>, by: Member, request: Request) -> Result<Response, Refusal> {
    let query = Query::of(&request);
    let from = query.number("from")?.unwrap_or(0);
    let most = query.number("most")?.unwrap_or(PIECE_BYTES).min(PIECE_BYTES);
    let mut look = Look::of(&auth, by, &query, Needs::Play).await?;
    let presence = Presence::read(&auth).await?;
    let (mut bytes, mut total) = piece(&auth, &look, from, most).await?;
    if bytes.is_empty() && from >= total && presence.phase(look.row()) == Phase::Live {
        let mut grown = auth.inflow.growth(look.row().id);
        let more = grown.wait_for(|len| *len > from);
        let _ = tokio::time::timeout(TAIL_WAIT, more).await;
        look = look.again(&auth).await?;
        (bytes, total) = piece(&auth, &look, from, most).await?;
    }
    let live = presence.phase(look.row()) == Phase::Live;
    let mut response = Response::new(Body::from(bytes));
    let headers = response.headers_mut();
    headers.insert(TOTAL_HEADER, HeaderValue::from(total));
    headers.insert(LIVE_HEADER, HeaderValue::from_static(if live { "1" } else { "0" }));
    Ok(response)
}

/// Part of a file, and how long the file is.
async fn piece(auth: &Auth, look: &Look, from: u64, most: u64) -> Result<(Bytes, u64), Refusal> {
    let (reader, total) = look.reader(auth).await?;
    let most = usize::try_from(total.saturating_sub(from).min(most)).unwrap_or(0);
    Ok((reader.read_at(from, most).await?, total))
}

async fn hash(reader: &RecordingReader) -> Result<[u8; 32], Error> {
    let (mut hasher, mut offset) = (blake3::Hasher::new(), 0_u64);
    loop {
        let bytes = reader.read_at(offset, 1 << 20).await?;
        if bytes.is_empty() {
            return Ok(*hasher.finalize().as_bytes());
        }
        hasher.update(&bytes);
        offset = offset.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
    }
}

/// When each node was last heard of.
pub struct Presence {
    seen: BTreeMap<NodeName, Time>,
    now: Time,
}

impl Presence {
    pub async fn read(auth: &Auth) -> Result<Self, Error> {
        let nodes = auth.tables.parts(PartKind::Node).await?.into_iter();
        let seen = nodes.filter_map(|node| Some((node.name, node.last_seen?))).collect();
        Ok(Self { seen, now: clock::now() })
    }

    /// A recording goes on while its node is there, or while it was shipped lately.
    pub fn phase(&self, row: &Recording) -> Phase {
        if row.phase == Phase::Stored {
            return Phase::Stored;
        }
        let heard = self.seen.get(&row.node).copied().unwrap_or_default().max(row.received);
        if heard >= self.now.plus_ms(-SILENT_MS) { Phase::Live } else { Phase::Interrupted }
    }

    /// Whether a recording goes on.
    pub fn is_live(&self, row: &Recording) -> bool {
        self.phase(row) == Phase::Live
    }

    pub fn facts(&self, row: Recording) -> RecordingFacts {
        let phase = match self.phase(&row) {
            Phase::Live => wire::recording::Phase::Live,
            Phase::Interrupted => wire::recording::Phase::Interrupted,
            Phase::Stored => wire::recording::Phase::Stored,
        };
        RecordingFacts {
            id: row.id,
            user: row.user,
            login: row.login,
            node: row.node,
            kind: row.kind,
            client: row.client,
            started: row.started,
            length_ms: row.length_ms,
            bytes: row.bytes,
            phase,
            ending: row.ending,
            gaps: row.gaps,
            tally: row.tally,
            verification: row.verification,
            aftermaths: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::SessionId;

    #[test]
    fn only_what_was_found_complete_and_without_gaps_counts_as_whole() {
        use Verdict::{Broken, Complete, NotProven, Unfinished, Unsealed};
        let check = |verdict: Option<Verdict>, gaps, expected: [u64; 4]| {
            let mut standing = Standing::default();
            *stored_as(&mut standing, verdict.map(|one| one.to_string()).as_deref(), gaps) += 1;
            let Standing { whole, gaps, partly, damaged, .. } = standing;
            assert_eq!([whole, gaps, partly, damaged], expected, "{verdict:?}");
        };
        check(Some(Complete), false, [1, 0, 0, 0]);
        check(Some(Complete), true, [0, 1, 0, 0]);
        check(Some(Broken), false, [0, 0, 0, 1]);
        check(Some(Broken), true, [0, 0, 0, 1]);
        for verdict in [Unfinished, Unsealed, NotProven] {
            check(Some(verdict), false, [0, 0, 1, 0]);
            check(Some(verdict), true, [0, 0, 1, 0]);
        }
        check(None, false, [0, 0, 1, 0]);
    }

    #[test]
    fn a_recording_is_interrupted_when_nothing_was_heard_of_its_node_for_a_minute() {
        let now = Time(10 * SILENT_MS);
        let row = |phase, received_ago: i64| Recording {
            id: SessionId::from_random([1; 16]),
            user: "alice".parse().unwrap(),
            login: "root".parse().unwrap(),
            node: "web-01".parse().unwrap(),
            connection: model::ConnectionId::from_random([1; 16]),
            kind: Kind::Shell,
            client: String::new(),
            labels: BTreeMap::new(),
            started: Time(0),
            received: now.plus_ms(-received_ago),
            length_ms: 0,
            bytes: 0,
            records: 0,
            gaps: 0,
            tally: None,
            phase,
            ending: None,
            verification: None,
            head_hash: None,
            receipt: None,
            object_key: None,
            file_hash: None,
            removed: None,
        };
        let minute = SILENT_MS + 1;
        for (phase, received_ago, seen_ago, expected) in [
            (Phase::Live, 0, None, Phase::Live),
            (Phase::Live, minute, None, Phase::Interrupted),
            (Phase::Live, minute, Some(minute), Phase::Interrupted),
            (Phase::Live, minute, Some(5_000), Phase::Live),
            (Phase::Live, 5_000, Some(minute), Phase::Live),
            (Phase::Stored, minute, None, Phase::Stored),
        ] {
            let seen = seen_ago.map(|ago: i64| ("web-01".parse().unwrap(), now.plus_ms(-ago)));
            let presence = Presence { seen: seen.into_iter().collect(), now };
            assert_eq!(presence.phase(&row(phase, received_ago)), expected);
        }
    }
}

//! The sessions that go on: what each node says of its own, in memory only, and what of it a person sees.

use crate::auth::Auth;
use crate::clock;
use crate::error::Refusal;
use crate::gate::{Member, NodePart};
use model::limit::{
    CERTIFICATE_NAMES, CLOCK_SKEW_MS, LIVE_LISTED, LIVE_PEOPLE, LIVE_SESSIONS, LIVE_SILENT_MS,
    LIVE_TEXT_BYTES,
};
use model::role::NodeFacts;
use model::words::is_odd;
use model::{Kind, NodeName, Tick, Time};
use policy::SessionFacts;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use store::tables::{Part, PartKind};
use wire::Done;
use wire::live::{ListLive, ListedSession, LiveSession, ReportLive};

/// What stands in place of a character that would not stay on its line.
const NO_CHARACTER: char = '·';

/// What the nodes say of their sessions: of each the last word.
#[derive(Debug, Default)]
pub struct Live {
    told: BTreeMap<NodeName, Told>,
}

#[derive(Debug)]
struct Told {
    /// When the machine joined that said it; another may have its name now.
    joined: Time,
    heard: Tick,
    sessions: Arc<Vec<LiveSession>>,
}

impl Live {
    /// Takes a node's word in place of the one before, and forgets who is silent.
    pub fn take(&mut self, part: &Part, sessions: Vec<LiveSession>, now: Tick) {
        self.told.retain(|_, told| told.counts(now));
        let (joined, sessions) = (part.joined, Arc::new(sessions));
        self.told.insert(part.name.clone(), Told { joined, heard: now, sessions });
    }

    /// The sessions of a node, as long as its word counts.
    pub fn of(&self, part: &Part, now: Tick) -> Option<Arc<Vec<LiveSession>>> {
        let told = self.told.get(&part.name)?;
        (told.counts(now) && told.joined == part.joined).then(|| Arc::clone(&told.sessions))
    }
}

impl Told {
    fn counts(&self, now: Tick) -> bool {
        now.since(self.heard) < LIVE_SILENT_MS
    }
}

pub async fn report(auth: Arc<Auth>, by: NodePart, call: ReportLive) -> Result<Done, Refusal> {
    let sessions = sane(call.sessions, clock::now());
    auth.live().take(&by.part, sessions, clock::tick());
    Ok(Done {})
}

pub async fn list(
    auth: Arc<Auth>,
    by: Member,
    _call: ListLive,
) -> Result<Vec<ListedSession>, Refusal> {
    let (nodes, now) = (auth.tables.parts(PartKind::Node).await?, clock::now());
    let mut seen = Vec::new();
    for part in nodes {
        let Some(sessions) = auth.live().of(&part, clock::tick()) else { continue };
        let node = NodeFacts { name: part.name, labels: part.labels };
        seen.extend(sessions.iter().filter_map(|session| listed(&by, &node, session, now)));
    }
    seen.sort_by_key(|one| (one.session.user != by.name, Reverse(one.session.since)));
    seen.truncate(LIVE_LISTED);
    Ok(seen)
}

/// A session for a list, if it is this person's own, if they may join it, or if they are in it, by a link perhaps: of others
/// they do not learn that they exist.
fn listed(
    by: &Member,
    node: &NodeFacts,
    session: &LiveSession,
    now: Time,
) -> Option<ListedSession> {
    let facts = SessionFacts {
        id: session.id,
        owner: &session.user,
        roles: &session.roles,
        login: &session.login,
    };
    let may_join = match session.joinable {
        true => policy::seats(&by.roles, &by.identity, node, &facts, now),
        false => Vec::new(),
    };
    let there = session.people.iter().any(|present| present.user == by.name);
    let seen = session.user == by.name || there || !may_join.is_empty();
    let (name, session) = (&node.name, || session.clone());
    seen.then(|| ListedSession { node: name.clone(), session: session(), may_join })
}

/// Sessions as a node may tell of them: each once, within the bounds, at times that can be, with texts that stay on the
/// line of a list.
fn sane(mut sessions: Vec<LiveSession>, now: Time) -> Vec<LiveSession> {
    let mut told = BTreeSet::new();
    sessions.retain(|session| told.insert(session.id));
    if sessions.len() > LIVE_SESSIONS {
        tracing::debug!(sessions = sessions.len(), "a node has more sessions than are listed");
        sessions.truncate(LIVE_SESSIONS);
    }
    for session in &mut sessions {
        session.roles.truncate(CERTIFICATE_NAMES);
        session.people.truncate(LIVE_PEOPLE);
        let arrivals = session.people.iter_mut().map(|present| &mut present.since);
        for since in arrivals.chain([&mut session.since]) {
            if *since > now.plus_ms(CLOCK_SKEW_MS) || *since < Time(0) {
                *since = now;
            }
        }
        let asked = match &mut session.kind {
            Kind::Exec { command: text } | Kind::Subsystem { name: text } => Some(text),
            Kind::Shell | Kind::Connection | Kind::Aftermath { .. } => None,
        };
        let told = session.runs.iter_mut().chain(&mut session.why);
        let texts = [&mut session.client].into_iter().chain(told).chain(asked);
        texts.for_each(|text| *text = plain(text));
    }
    sessions
}

/// One line, without what does something to others, cut to the bound.
fn plain(text: &str) -> String {
    let mut line = String::new();
    for c in text.chars() {
        let c = if is_odd(c) { NO_CHARACTER } else { c };
        if line.len().saturating_add(c.len_utf8()) > LIVE_TEXT_BYTES {
            break;
        }
        line.push(c);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::SessionId;
    use model::entry::Party;
    use model::role::Labels;
    use wire::live::{LiveState, Present};

    const NOW: Time = Time(1_790_000_000_000);

    #[test]
    fn a_nodes_last_word_counts_until_it_is_silent_or_another_machine_has_its_name() {
        let (web, db) = (part("web-01", 1), part("db-01", 1));
        let mut live = Live::default();
        let count = |live: &Live, part: &Part, at| live.of(part, Tick(at)).map(|told| told.len());
        live.take(&web, vec![session(1), session(2)], Tick(0));
        live.take(&db, vec![session(3)], Tick(10_000));
        for (node, at, expected) in [
            (&web, 0, Some(2)),
            (&web, LIVE_SILENT_MS - 1, Some(2)),
            (&web, LIVE_SILENT_MS, None),
            (&db, LIVE_SILENT_MS, Some(1)),
            (&part("db-01", 2), LIVE_SILENT_MS, None),
            (&part("mail-01", 1), 0, None),
        ] {
            assert_eq!(count(&live, node, at), expected, "{} at {at}", node.name);
        }
        live.take(&db, Vec::new(), Tick(LIVE_SILENT_MS));
        assert_eq!(count(&live, &db, LIVE_SILENT_MS), Some(0), "the whole list is replaced");
        assert_eq!(live.told.len(), 1, "who is silent is forgotten");
    }

    #[test]
    fn what_a_node_tells_beyond_the_bounds_is_cut() {
        let mut crowd = session(1);
        let bob = Present {
            party: Party(1),
            user: "bob".parse().unwrap(),
            seat: None,
            since: NOW.plus_ms(CLOCK_SKEW_MS * 2),
            types: true,
        };
        crowd.people = vec![bob; LIVE_PEOPLE + 1];
        crowd.roles = vec!["dev".parse().unwrap(); CERTIFICATE_NAMES + 1];
        crowd.since = Time(-1);
        let told = sane(vec![crowd, session(1)], NOW);
        assert_eq!(told.len(), 1, "one id is one session");
        let crowd = &told[0];
        assert_eq!((crowd.people.len(), crowd.roles.len()), (LIVE_PEOPLE, CERTIFICATE_NAMES));
        assert_eq!((crowd.since, crowd.people[0].since), (NOW, NOW));
        let many = (0..=LIVE_SESSIONS).map(|number| {
            let mut id = [0; 16];
            id[..8].copy_from_slice(&number.to_be_bytes());
            LiveSession { id: SessionId::from_random(id), ..session(0) }
        });
        let many: Vec<_> = many.collect();
        assert_eq!(sane(many.clone(), NOW), many[..LIVE_SESSIONS]);
    }

    #[test]
    fn texts_of_a_node_stay_on_their_line() {
        let check = |told: &str, shown: &str| {
            let hostile = LiveSession {
                kind: Kind::Exec { command: told.to_owned() },
                client: told.to_owned(),
                runs: Some(told.to_owned()),
                why: Some(told.to_owned()),
                ..session(1)
            };
            let service = Kind::Subsystem { name: told.to_owned() };
            let service = LiveSession { kind: service, runs: None, ..session(2) };
            let taken = sane(vec![hostile, service], NOW);
            assert_eq!(taken[0].kind, Kind::Exec { command: shown.to_owned() });
            assert_eq!(taken[0].runs.as_deref(), Some(shown));
            assert_eq!(taken[0].why.as_deref(), Some(shown));
            assert_eq!(taken[0].client, shown);
            assert_eq!(taken[1].kind, Kind::Subsystem { name: shown.to_owned() });
        };
        check("make all", "make all");
        check("é 😀", "é 😀");
        check("\u{1b}]0;title\u{7}\r\n", "·]0;title···");
        check("\u{9b}2J", "·2J");
        check("a\u{202e}b\u{2066}c\u{2028}d", "a·b·c·d");
        check(&"x".repeat(LIVE_TEXT_BYTES + 1), &"x".repeat(LIVE_TEXT_BYTES));
        check(&"é".repeat(LIVE_TEXT_BYTES), &"é".repeat(LIVE_TEXT_BYTES / 2));
    }

    fn part(name: &str, joined: i64) -> Part {
        Part {
            kind: PartKind::Node,
            name: name.parse().unwrap(),
            labels: Labels::new(),
            granted: Labels::new(),
            tls_key: None,
            version: String::new(),
            sessions: 0,
            joined: Time(joined),
            last_seen: None,
            serial: 1,
        }
    }

    fn session(id: u8) -> LiveSession {
        LiveSession {
            id: SessionId::from_random([id; 16]),
            user: "alice".parse().unwrap(),
            roles: Vec::new(),
            login: "root".parse().unwrap(),
            kind: Kind::Shell,
            since: NOW,
            client: "192.0.2.1".to_owned(),
            runs: None,
            state: LiveState::Running,
            why: None,
            joinable: true,
            people: Vec::new(),
        }
    }
}

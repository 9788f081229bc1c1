//! Search through all recordings that a person may play: one after the other, each opened with the right to it.

mod place;

use crate::auth::Auth;
use crate::clock;
use crate::error::Refusal;
use crate::gate::{Changes, Member, Proof};
use crate::inside::pattern;
use crate::look::{Look, Needs, about};
use crate::pour::{Pour, body};
use crate::query::Query;
use crate::recordings::{Presence, with_aftermaths};
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use model::audit::Audited;
use model::limit::{HITS_OF_ALL, HITS_OF_ONE, SEARCH_MS, SEARCH_TRUST_MS, SEARCHED};
use model::role::RecordingAction;
use model::{SessionId, Tick, Time};
use place::Behind;
use policy::Readable;
use record::find::Pattern;
use record::sweep::{self, Caught, Sweep, Wanted};
use record::{Corrupt, Recording};
use std::collections::VecDeque;
use std::sync::Arc;
use store::intake::RecordingSource;
use store::tables::{self, RecordingFilter, Visible};
use wire::node::LookedAt;
use wire::search::{Moment, MoreInside, Progress, SearchedEnd, SearchedLine, Unread, What};

/// Milliseconds of work between two looks whether somebody still reads, and may.
const STEP_MS: u64 = 100;
/// Milliseconds between two words of how far it has come.
const TOLD_MS: u64 = 500;

/// Where a text stands, told as it is found.
pub async fn all(auth: Arc<Auth>, by: Member, request: Request) -> Result<Response, Refusal> {
    let asked = Wish::of(&Query::of(&request))?;
    let turn = auth.shelf.long_turn(&by.name)?;
    let visible = policy::readable(&by.roles, &by.identity, RecordingAction::Play, clock::now());
    let listed = listed(&auth, &by, &visible, &asked).await?;
    let others = listed.iter().filter(|(_, _, own)| !own).count() as u64;
    let count = listed.len() as u64;
    let (text, conditions) = (asked.text.clone(), asked.conditions.clone());
    let what = Audited::RecordingsSearched { text, conditions, count, others };
    // Before anything is told: to find nothing is to learn something, too.
    auth.ledger.write(&[by.asked.event(what)]).await?;
    let presence = Presence::read(&auth).await?;
    let changes = Changes::of(&auth);
    let hunter = Hunter {
        auth: Arc::clone(&auth),
        by,
        changes,
        proven: clock::tick(),
        presence,
        until: clock::tick().plus_ms(SEARCH_MS),
        told: Tick(0),
        reached: Progress { looked: 0, of: count, started: None },
        // The first page is full: there may be more behind it.
        more: listed.len() >= SEARCHED,
        hits: 0,
        unread: 0,
        asked,
    };
    let list = listed.into_iter().map(|(started, id, _)| (started, id)).collect();
    let body = body(&auth, turn, move |pour| hunter.hunt(list, pour));
    Ok(([(http::header::CONTENT_TYPE, "application/x-ndjson")], body).into_response())
}

/// What is asked for.
pub struct Wish {
    text: String,
    pattern: Pattern,
    wanted: Wanted,
    filter: RecordingFilter,
    after: Option<Behind>,
    /// In words, for the ledger.
    pub conditions: String,
}

impl Wish {
    /// Reads it.
    pub fn of(query: &Query<'_>) -> Result<Self, Refusal> {
        let (text, pattern) = pattern(query)?;
        let (what, wanted) = wanted(query.text("what"))?;
        let name = |name: &str| query.decoded(name);
        let time = |name: &str| -> Result<Option<Time>, Refusal> {
            let number = query.number(name)?.map(i64::try_from).transpose();
            let number = number.map_err(|_| Refusal::malformed(format!("{name} is too late")))?;
            Ok(number.map(Time))
        };
        let filter = RecordingFilter {
            user: parsed("user", name("user")?)?,
            node: parsed("node", name("node")?)?,
            login: parsed("login", name("login")?)?,
            since: time("since")?,
            until: time("until")?,
            ..RecordingFilter::default()
        };
        let after: Option<Behind> = match query.text("after") {
            None => None,
            Some(text) => {
                let wrong = "`after` must be what an `end` said";
                Some(text.parse().map_err(|place::NoPlace| Refusal::malformed(wrong))?)
            }
        };
        // Any other value means nothing, and is no word for the ledger.
        let set = |name: &str| query.text(name).filter(|value| *value == "1").map(str::to_owned);
        let mut conditions = vec![what];
        for (name, text) in [
            ("user", filter.user.as_ref().map(ToString::to_string)),
            ("node", filter.node.as_ref().map(ToString::to_string)),
            ("login", filter.login.as_ref().map(ToString::to_string)),
            ("since", filter.since.map(|time| time.0.to_string())),
            ("until", filter.until.map(|time| time.0.to_string())),
            ("case", set("case")),
            ("regex", set("regex")),
            ("after", after.as_ref().map(ToString::to_string)),
        ] {
            conditions.extend(text.map(|text| format!("{name}={text}")));
        }
        Ok(Self { text, pattern, wanted, filter, after, conditions: conditions.join(" ") })
    }
}

/// Reads `screen,files`; all if nothing is said. Says it anew, each once.
fn wanted(text: Option<&str>) -> Result<(String, Wanted), Refusal> {
    let named: Vec<&str> = match text {
        None => What::ALL.map(What::word).to_vec(),
        Some(text) => text.split(',').collect(),
    };
    if let Some(odd) = named.iter().find(|word| What::ALL.iter().all(|what| what.word() != **word))
    {
        let known = What::ALL.map(What::word).join(", ");
        let odd: String = odd.chars().take(40).collect();
        return Err(Refusal::malformed(format!("`what` is of {known}; {odd:?} is none of them")));
    }
    let has = |what: What| named.contains(&what.word());
    let wanted = Wanted {
        screen: has(What::Screen),
        commands: has(What::Commands),
        files: has(What::Files),
        connections: has(What::Connections),
    };
    let words = What::ALL.into_iter().filter(|what| has(*what)).map(What::word);
    Ok((format!("what={}", words.collect::<Vec<_>>().join(",")), wanted))
}

fn parsed<T: std::str::FromStr>(name: &str, text: Option<String>) -> Result<Option<T>, Refusal> {
    let Some(text) = text else { return Ok(None) };
    let wrong = || Refusal::malformed(format!("{name} must be the name of one"));
    text.parse().map(Some).map_err(|_| wrong())
}

/// The recordings that meet the conditions and may be played, newest first; and whether each is one's own. They are decided
/// about again when they are opened.
async fn listed(
    auth: &Auth,
    by: &Member,
    visible: &Readable,
    asked: &Wish,
) -> Result<Vec<(Time, SessionId, bool)>, Refusal> {
    let mut listed: Vec<(Time, SessionId, bool)> = Vec::new();
    let mut filter = RecordingFilter { limit: model::limit::PAGE_ROWS, ..asked.filter.clone() };
    if let Some(Behind { started, id, seq }) = asked.after {
        filter.after = Some((started, id));
        let row = match seq {
            // The rest of one that was begun comes first. That it may be read is decided below and when it is opened.
            Some(_) => auth.tables.recording(&id).await?.filter(|row| row.removed.is_none()),
            None => None,
        };
        let own = |row: tables::Recording| (row.started, row.id, row.user == by.name);
        let covered = row.filter(|row| visible.covers(&by.name, &row.user, &row.labels)).map(own);
        listed.extend(covered);
    }
    let seen = |row: &tables::Recording| visible.covers(&by.name, &row.user, &row.labels);
    let seen = match visible {
        Readable::None => return Ok(Vec::new()),
        Readable::All => Visible::All,
        Readable::Own => Visible::Own(&by.name),
        Readable::Nodes { .. } => Visible::Where(&seen),
    };
    loop {
        let page = auth.tables.list_recordings(&filter, seen).await?;
        filter.after = page.last().map(|row| (row.started, row.id));
        let whole = page.len() == model::limit::PAGE_ROWS as usize;
        let rows = page.into_iter().map(|row| (row.started, row.id, row.user == by.name));
        listed.extend(rows.take(SEARCHED - listed.len().min(SEARCHED)));
        if !whole || listed.len() >= SEARCHED {
            return Ok(listed);
        }
    }
}

/// Goes through recordings, on a thread that may wait.
struct Hunter {
    auth: Arc<Auth>,
    by: Member,
    changes: Changes,
    /// When it was last asked who searches.
    proven: Tick,
    presence: Presence,
    asked: Wish,
    until: Tick,
    told: Tick,
    reached: Progress,
    more: bool,
    hits: u64,
    unread: u64,
}

/// Why a search ends before its recordings do.
enum Stop {
    /// Nobody reads, auth stops, or who searches is let in no more: nothing further is told.
    Silent,
    /// Time is over, or enough was found: it goes on there.
    Here(Behind),
}

/// What became of one recording.
type Looked = Result<(), Stop>;

impl Hunter {
    fn hunt(mut self, list: VecDeque<(Time, SessionId)>, pour: &mut Pour) {
        let (mut after, mut begun) = (self.asked.after, self.asked.after);
        for (started, id) in list {
            self.reached.started = Some(started);
            // Only the first can be one that was begun.
            let begun = begun.take().filter(|place| place.id == id).and_then(|place| place.seq);
            match self.look(Behind { started, id, seq: begun }, pour) {
                Ok(()) => {}
                Err(Stop::Silent) => return,
                Err(Stop::Here(place)) => return self.end(Some(place), pour),
            }
            self.reached.looked += 1;
            after = Some(Behind { started, id, seq: None });
            let enough = clock::tick() >= self.until || self.hits >= HITS_OF_ALL as u64;
            if enough && self.reached.looked < self.reached.of {
                return self.end(after, pour);
            }
        }
        let after = if self.more { after } else { None };
        self.end(after, pour);
    }

    fn end(&self, after: Option<Behind>, pour: &mut Pour) {
        let more = after.is_some();
        let after = after.map(|place| place.to_string());
        let (reached, hits, unread) = (self.reached, self.hits, self.unread);
        pour.line(&SearchedLine::End(SearchedEnd { more, after, reached, hits, unread }));
    }

    /// Who searches, as of this moment: asked when anything changed that may shut them out, and now and then.
    fn still(&mut self, pour: &Pour) -> Result<bool, Stop> {
        let changed = self.changes.next().now_or_never().is_some();
        if !changed && clock::tick().since(self.proven) < SEARCH_TRUST_MS {
            return Ok(false);
        }
        let again = pour.wait(Member::prove(&self.auth, self.by.asked.clone()));
        self.by = again.map_err(|_| Stop::Silent)?;
        self.proven = clock::tick();
        Ok(true)
    }

    /// Leave to read a recording, as of this moment; none if the right is gone or it was removed.
    fn right(&mut self, id: SessionId, pour: &Pour) -> Option<Look> {
        let look = Look::with_right(&self.auth, self.by.clone(), id, Needs::Play);
        pour.wait(look).ok()
    }

    fn look(&mut self, from: Behind, pour: &mut Pour) -> Looked {
        self.still(pour)?;
        let Some(mut look) = self.right(from.id, pour) else { return Ok(()) };
        let source = match pour.wait(look.source(&self.auth)) {
            Ok(source) => source,
            Err(error) => return self.unread(&look, 0, Refusal::from(error).message(), pour),
        };
        let opened = Recording::open(source);
        let sweep = opened.and_then(|recording| {
            Sweep::new(recording, self.asked.pattern.clone(), self.asked.wanted, from.seq)
        });
        let mut sweep = match sweep {
            Ok(sweep) => sweep,
            Err(corrupt) => return self.corrupt(&look, 0, &corrupt, pour),
        };
        let mut one = Of { told: 0, last: None, begun: false };
        loop {
            let mut found = Vec::new();
            let begun = clock::tick();
            let room = HITS_OF_ALL.saturating_sub(usize::try_from(self.hits).unwrap_or(0));
            // Whether a recording that told all it may holds more is found out in any case.
            let most = (HITS_OF_ONE + 1).saturating_sub(one.told).min(room.max(1));
            let more = |found: usize| found < most && clock::tick().since(begun) < STEP_MS;
            let done = sweep.run(&mut found, more);
            if !pour.goes_on() {
                return Err(Stop::Silent);
            }
            if self.still(pour)? {
                // What was found since is told to who may still know it.
                let Some(again) = self.right(from.id, pour) else { return Ok(()) };
                look = again;
            }
            if self.tell(&look, found, &mut one, pour)? {
                return Ok(());
            }
            match done {
                Ok(true) => return self.whole(&look, &sweep, pour),
                Ok(false) => {}
                Err(corrupt) => return self.corrupt(&look, sweep.at(), &corrupt, pour),
            }
            self.reach(pour)?;
            let enough = self.hits >= HITS_OF_ALL as u64 && one.told < HITS_OF_ONE;
            if enough || clock::tick() >= self.until {
                return Err(Stop::Here(Behind { seq: Some(sweep.seq()), ..from }));
            }
        }
    }

    /// Tells hits, and before the first of them what recording that is. Answers whether there are more than are told of one.
    fn tell(
        &mut self,
        look: &Look,
        found: Vec<Caught>,
        one: &mut Of,
        pour: &mut Pour,
    ) -> Result<bool, Stop> {
        for caught in found {
            let last = one.last.map(|(seq, _)| seq);
            if one.told >= HITS_OF_ONE && last != Some(caught.seq) {
                let (seq, at) = one.last.unwrap_or_default();
                let line = SearchedLine::More(MoreInside { id: look.row().id, seq, at });
                return if pour.line(&line) { Ok(true) } else { Err(Stop::Silent) };
            }
            if !one.begun {
                self.begin(look, pour)?;
                one.begun = true;
            }
            one.told += 1;
            one.last = Some((caught.seq, caught.at));
            self.hits += 1;
            if !pour.line(&SearchedLine::Hit(moment(look.row().id, caught))) {
                return Err(Stop::Silent);
            }
        }
        Ok(false)
    }

    /// Before the first hit of a recording leaves: the ledger, and the people who are in it.
    fn begin(&mut self, look: &Look, pour: &mut Pour) -> Looked {
        let row = look.row();
        let live = self.presence.is_live(row);
        if row.user != self.by.name {
            let what = Audited::RecordingViewed { how: "search".to_owned() };
            let event = about(&self.by, row, what);
            if let Err(error) = pour.wait(self.auth.ledger.write(&[event])) {
                // What is not audited is not told; nor is that, as if there was nothing.
                tracing::error!(error = crate::error::chain(&error), "a search is broken off");
                return Err(Stop::Silent);
            }
            if live {
                self.auth.looks.tell(row, &self.by.name, LookedAt::Search);
            }
        }
        let facts = self.presence.facts(row.clone());
        let facts = pour.wait(with_aftermaths(&self.auth, facts)).map_err(|_| Stop::Silent)?;
        match pour.line(&SearchedLine::Recording(Box::new(facts))) {
            true => Ok(()),
            false => Err(Stop::Silent),
        }
    }

    /// It was read to its end; that may be before the file's.
    fn whole(&mut self, look: &Look, sweep: &Sweep<RecordingSource>, pour: &mut Pour) -> Looked {
        let live = self.presence.is_live(look.row());
        match sweep.recording().damage().filter(|_| !live) {
            Some(corrupt) => self.corrupt(look, sweep.at(), &corrupt.clone(), pour),
            None => self.reach(pour),
        }
    }

    fn corrupt(&mut self, look: &Look, at: u64, corrupt: &Corrupt, pour: &mut Pour) -> Looked {
        self.unread(look, at, &corrupt.to_string(), pour)
    }

    fn unread(&mut self, look: &Look, at: u64, why: &str, pour: &mut Pour) -> Looked {
        self.unread += 1;
        let row = look.row();
        let (id, user, node, started) = (row.id, row.user.clone(), row.node.clone(), row.started);
        let line = Unread { id, user, node, started, at, why: why.to_owned() };
        match pour.line(&SearchedLine::Unread(line)) {
            true => Ok(()),
            false => Err(Stop::Silent),
        }
    }

    /// Says now and then how far it is; so it is seen, too, that nobody reads any more.
    fn reach(&mut self, pour: &mut Pour) -> Looked {
        if clock::tick().since(self.told) < TOLD_MS {
            return if pour.goes_on() { Ok(()) } else { Err(Stop::Silent) };
        }
        self.told = clock::tick();
        match pour.line(&SearchedLine::Reached(self.reached)) {
            true => Ok(()),
            false => Err(Stop::Silent),
        }
    }
}

/// What was told of one recording.
struct Of {
    told: usize,
    /// Entry and time of the last hit.
    last: Option<(model::Seq, u64)>,
    /// Whether it was told which recording it is.
    begun: bool,
}

fn moment(id: SessionId, caught: Caught) -> Moment {
    let Caught { at, seq, what, did, failed, text, from, to } = caught;
    let what = match what {
        sweep::What::Screen => What::Screen,
        sweep::What::Command => What::Commands,
        sweep::What::File => What::Files,
        sweep::What::Connection => What::Connections,
    };
    Moment { id, at, seq, what, did, failed, text, from, to }
}

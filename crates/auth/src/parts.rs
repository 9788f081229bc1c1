//! Nodes and proxies: joining, renewing, presence, what they report, and what they are told.

use crate::auth::Auth;
use crate::clock;
use crate::error::Refusal;
use crate::gate::{AnyPart, Anybody, NodePart};
use crate::issue;
use axum::extract::Request;
use axum::response::Response;
use futures_util::stream;
use model::audit::Audited;
use model::limit::CLOCK_SKEW_MS;
use model::{AuditEvent, NodeName, Time};
use std::sync::Arc;
use std::time::Duration;
use store::tables::PartKind;
use tokio::sync::watch;
use wire::node::{Heartbeat, Join, News, Part, PartCredentials, PartKeys, Renew, Report};
use wire::{Done, Fault};

/// A part that was heard of within this time holds its name: no token gives it away.
const NAME_HELD_MS: i64 = 10 * 60 * 1000;
/// Between two lines of news when nothing happens.
const NEWS_EVERY: Duration = Duration::from_secs(10);
/// Labels of one node, at most, and bytes of one label or value.
const LABELS: (usize, usize) = (64, 256);

pub async fn join(auth: Arc<Auth>, by: Anybody, call: Join) -> Result<PartCredentials, Refusal> {
    let (kind, name) = (kind(call.keys.part), call.keys.name.clone());
    let (token, address) = (call.token.trim(), by.asked.address());
    if auth.waits(address) {
        return Err(Refusal::new(Fault::TooMany, "too many wrong tokens from this address: wait"));
    }
    // Tokens for parts of this very process are not in the database: they end with it, and may take a name over.
    let own = auth.own_token.fits(token);
    if !own && name_is_held(&auth, &call.keys).await? {
        return Err(held(&name));
    }
    if !own && !auth.tables.use_join_token(token, kind, clock::now()).await? {
        auth.note_failed(address);
        let why = format!("{name} wanted to join with a token that is unknown, used up or expired");
        let words = "this join token is not known, was used up, or has expired: ask for a new one";
        return Err(Refusal::denied("join", &why, words));
    }
    if own && auth.tables.part(other(kind), &name).await?.is_some() {
        return Err(held(&name));
    }
    let credentials = issue::part(&auth, &by.asked, &call.keys, kind).await?;
    tracing::info!(%name, part = kind.word(), "joined");
    let mut event = by.asked.event(Audited::NodeJoined {});
    event.node = Some(name);
    auth.ledger.write(&[event]).await?;
    Ok(credentials)
}

pub async fn renew(auth: Arc<Auth>, by: AnyPart, call: Renew) -> Result<PartCredentials, Refusal> {
    let asked_for = (kind(call.keys.part), &call.keys.name);
    if asked_for != (by.part.kind, &by.part.name) {
        let why = format!(
            "{} {} asked for certificates of {} {}",
            by.part.kind.word(),
            by.part.name,
            asked_for.0.word(),
            asked_for.1
        );
        return Err(Refusal::denied(
            "renew",
            &why,
            "certificates are renewed for one's own name only",
        ));
    }
    issue::part(&auth, &by.asked, &call.keys, by.part.kind).await
}

pub async fn heartbeat(auth: Arc<Auth>, by: NodePart, call: Heartbeat) -> Result<Done, Refusal> {
    let (count, bytes) = LABELS;
    let long = |text: &String| text.len() > bytes || text.chars().any(char::is_control);
    if call.labels.len() > count || call.labels.iter().any(|(key, value)| long(key) || long(value))
    {
        let words = format!("a node has at most {count} labels of {bytes} plain characters each");
        return Err(Refusal::malformed(words));
    }
    let version: String = call.version.chars().take(64).collect();
    let (name, now) = (by.name(), clock::now());
    auth.tables.part_seen(PartKind::Node, name, &call.labels, &version, call.sessions, now).await?;
    Ok(Done {})
}

pub async fn report(auth: Arc<Auth>, by: AnyPart, call: Report) -> Result<Done, Refusal> {
    if call.run.len() != 32 || !call.run.chars().all(|c| c.is_ascii_hexdigit()) {
        return Err(Refusal::malformed("run must be 32 hexadecimal digits"));
    }
    let (name, now) = (by.part.name, clock::now());
    let events = call.events.into_iter().map(|event| sane(event, &name, now));
    let events = events.collect::<Result<Vec<_>, _>>()?;
    auth.ledger.write_report(&name, &call.run, call.batch, &events).await?;
    Ok(Done {})
}

/// An event as a part may report it: of itself, of what a part can see, at a time that can be.
fn sane(mut event: AuditEvent, part: &NodeName, now: Time) -> Result<AuditEvent, Refusal> {
    use Audited as A;
    let seen_by_parts = matches!(
        event.what,
        A::Connected { .. }
            | A::Disconnected { .. }
            | A::SessionStarted { .. }
            | A::Exec { .. }
            | A::SessionEnded { .. }
            | A::GapRecorded { .. }
            | A::RecordingFailed { .. }
            | A::ForwardOpened { .. }
            | A::ForwardClosed { .. }
            | A::Denied { .. }
            | A::Tampering { .. }
    );
    if !seen_by_parts {
        let why = format!("{part} reported {}, which is auth's to say", event.what.word());
        return Err(Refusal::denied("report", &why, "a part may not report this"));
    }
    event.node = Some(part.clone());
    if event.time > now.plus_ms(CLOCK_SKEW_MS) || event.time < Time(0) {
        event.time = now;
    }
    Ok(event)
}

/// At once, at each change of the roles, and every ten seconds.
pub async fn news(auth: Arc<Auth>, by: NodePart, _request: Request) -> Result<Response, Refusal> {
    tracing::debug!(node = %by.name(), "listens to the news");
    let changes = auth.tables.watch_roles();
    let told = Told { auth, changes, rev: None };
    let lines = stream::unfold(told, |mut told| async move {
        let line = told.next().await?;
        Some((line, told))
    });
    Ok(link::http::lines(lines))
}

struct Told {
    auth: Arc<Auth>,
    changes: watch::Receiver<u64>,
    rev: Option<u64>,
}

impl Told {
    /// The next line; `None` when auth stops or cannot read its roles: the node then asks again.
    async fn next(&mut self) -> Option<News> {
        if self.rev.is_some() {
            tokio::select! {
                changed = self.changes.changed() => changed.ok()?,
                () = tokio::time::sleep(NEWS_EVERY) => {}
                () = self.auth.stop.cancelled() => return None,
            }
        }
        let roles = match self.auth.tables.roles().await {
            Ok(roles) => roles,
            Err(error) => {
                tracing::error!(error = crate::error::chain(&error), "the roles cannot be read");
                return None;
            }
        };
        let rev = roles.rev;
        let roles = (self.rev != Some(rev)).then_some(roles);
        self.rev = Some(rev);
        Some(News { roles, user_authority: self.auth.facts().user_authority })
    }
}

async fn name_is_held(auth: &Auth, keys: &PartKeys) -> Result<bool, Refusal> {
    let kind = kind(keys.part);
    if auth.tables.part(other(kind), &keys.name).await?.is_some() {
        return Ok(true);
    }
    let held_since = clock::now().plus_ms(-NAME_HELD_MS);
    let part = auth.tables.part(kind, &keys.name).await?;
    Ok(part.is_some_and(|part| part.last_seen.unwrap_or(part.joined) >= held_since))
}

fn held(name: &NodeName) -> Refusal {
    Refusal::new(
        Fault::Conflict,
        format!("{name} is the name of another part of the cluster: take another"),
    )
}

fn kind(part: Part) -> PartKind {
    match part {
        Part::Node => PartKind::Node,
        Part::Proxy => PartKind::Proxy,
    }
}

fn other(kind: PartKind) -> PartKind {
    match kind {
        PartKind::Node => PartKind::Proxy,
        PartKind::Proxy => PartKind::Node,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger;

    #[test]
    fn a_part_speaks_of_itself_and_of_what_it_can_see() {
        let (web, now) = ("web-01".parse::<NodeName>().unwrap(), Time(1_000_000));
        let mut event = ledger::event(Audited::Exec { command: "ls".into() });
        event.node = "db-01".parse().ok();
        event.time = now.plus_ms(CLOCK_SKEW_MS * 2);
        let taken = sane(event, &web, now).unwrap();
        assert_eq!((taken.node, taken.time), (Some(web.clone()), now));
        for forged in [
            Audited::SignedUp {},
            Audited::SignIn { method: "password".into() },
            Audited::RecordingStored { bytes: 1, verification: "complete".into() },
        ] {
            assert!(sane(ledger::event(forged.clone()), &web, now).is_err(), "{forged:?}");
        }
    }
}

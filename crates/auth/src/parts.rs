//! Nodes and proxies that have joined: renewing, presence, what they report, and what they are told.

use crate::auth::Auth;
use crate::budget::Waits;
use crate::clock;
use crate::error::Refusal;
use crate::gate::{AnyPart, NodePart};
use crate::issue::{self, Standing};
use crate::ledger;
use axum::extract::Request;
use axum::response::Response;
use futures_util::stream;
use model::audit::Audited;
use model::limit::{CLOCK_SKEW_MS, LABELS, REPORT_BYTES};
use model::role::Labels;
use model::words::is_odd;
use model::{AuditEvent, NodeName, Time};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use store::tables::{PartKind, Seen};
use tokio::sync::{broadcast, watch};
use wire::node::{Heartbeat, Looked, News, Part, PartCredentials, Renew, Report};
use wire::{Done, Fault};

/// Between two lines of news when nothing happens.
pub(crate) const NEWS_EVERY: Duration = Duration::from_secs(10);

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
    // Nobody joins or is removed meanwhile.
    let _turn = auth.parts_turn.lock().await;
    let standing = Standing::Renews { labels: by.part.granted, key: by.part.tls_key };
    issue::part(&auth, &by.asked, &call.keys, by.part.kind, standing).await
}

pub async fn heartbeat(auth: Arc<Auth>, by: NodePart, call: Heartbeat) -> Result<Done, Refusal> {
    check_labels(&call.labels)?;
    let mut labels = call.labels;
    // What the admin gave is not the node's to change: roles select by it.
    labels.extend(by.part.granted.clone());
    let version = call.version.chars().take(64).map(|c| if is_odd(c) { '·' } else { c });
    let version: String = version.collect();
    let (name, now) = (by.name(), clock::now());
    let seen = Seen { labels: &labels, version: &version, sessions: call.sessions };
    auth.tables.part_seen((PartKind::Node, name), by.part.tls_key.as_deref(), seen, now).await?;
    Ok(Done {})
}

/// Labels that may stand in lists and rules.
pub fn check_labels(labels: &Labels) -> Result<(), Refusal> {
    let (count, bytes) = LABELS;
    let long = |text: &String| text.len() > bytes || text.chars().any(char::is_control);
    if labels.len() <= count && !labels.iter().any(|(key, value)| long(key) || long(value)) {
        return Ok(());
    }
    let words = format!("a node has at most {count} labels of {bytes} plain characters each");
    Err(Refusal::malformed(words))
}

pub async fn report(auth: Arc<Auth>, by: AnyPart, call: Report) -> Result<Done, Refusal> {
    if call.run.len() != 32 || !call.run.chars().all(|c| c.is_ascii_hexdigit()) {
        return Err(Refusal::malformed("run must be 32 hexadecimal digits"));
    }
    if call.first == 0 {
        return Err(Refusal::malformed("events are numbered from 1"));
    }
    auth.storage.admit_report()?;
    let (name, now) = (by.part.name, clock::now());
    let events: Vec<_> = call.events.into_iter().map(|event| sane(event, &name, now)).collect();
    admit(&auth, &name)?;
    if auth.ledger.write_report(&name, &call.run, call.first, &events).await? > 0 {
        let size = |event| serde_json::to_vec(event).map_or(0, |text| text.len());
        let bytes = events.iter().map(size).sum::<usize>();
        auth.reports().draw(&name, u64::try_from(bytes).unwrap_or(u64::MAX), clock::tick());
    }
    Ok(Done {})
}

/// Refuses more than one part can mean: it keeps its events, as far as it can, and reports them later.
pub(crate) fn admit(auth: &Auth, part: &NodeName) -> Result<(), Refusal> {
    let may = auth.reports().check(part, clock::tick());
    may.map_err(|Waits { begins }| {
        let (_, a_second) = REPORT_BYTES;
        let words = format!("{part} reports more than {a_second} bytes a second: the rest waits");
        let refusal = Refusal::new(Fault::TooMany, words.clone());
        if begins { refusal.with_audit("report", words) } else { refusal }
    })
}

/// An event as a part may report it: of itself, of what a part can see, at a time that can be.
/// In place of one that it may not report stands that it tried; refused, its batch would come again for ever,
/// and nothing behind it would ever arrive.
fn sane(mut event: AuditEvent, part: &NodeName, now: Time) -> AuditEvent {
    use Audited as A;
    let seen_by_parts = matches!(
        event.what,
        A::NodeStarted { .. }
            | A::NodeStopped { .. }
            | A::ConnectionRefused { .. }
            | A::RefusalsNotListed { .. }
            | A::RequestRefused { .. }
            | A::RequestsNotListed { .. }
            | A::Connected { .. }
            | A::Disconnected { .. }
            | A::SessionStarted { .. }
            | A::Exec { .. }
            | A::SessionEnded { .. }
            | A::GapRecorded { .. }
            | A::RecordingFailed { .. }
            | A::RecordingResumed { .. }
            | A::ForwardOpened { .. }
            | A::ForwardClosed { .. }
            | A::ForwardListening { .. }
            | A::ForwardStopped { .. }
            | A::ForwardFailed { .. }
            | A::ForwardAround { .. }
            | A::AccountRefused { .. }
            | A::VariableRefused { .. }
            | A::Transferred { .. }
            | A::FileChanged { .. }
            | A::NotOpened { .. }
            | A::TransfersNotListed { .. }
            | A::TransferUnparsed { .. }
            | A::KernelSeen { .. }
            | A::KernelDid { .. }
            | A::KernelLost { .. }
            | A::KernelTampering { .. }
            | A::KernelBlind { .. }
            | A::AftermathBegan { .. }
            | A::AftermathEnded { .. }
            | A::AftermathUnwatched { .. }
            | A::SeatTaken { .. }
            | A::SeatLeft { .. }
            | A::SeatInputRefused { .. }
            | A::KeyboardMoved { .. }
            | A::SizeAdopted { .. }
            | A::SessionWaits { .. }
            | A::SessionFrozen { .. }
            | A::SessionGoesOn { .. }
            | A::OwnerLost { .. }
            | A::OwnerBack { .. }
            | A::ProcessOutside { .. }
            | A::FileWanted { .. }
            | A::FileApproved { .. }
            | A::FileRefused { .. }
            | A::FileStopped { .. }
            | A::Denied { .. }
            | A::EventsLost { .. }
            | A::EventsRefused { .. }
            | A::Tampering { .. }
    );
    if !seen_by_parts {
        let why = format!("{part} reported {}, which is auth's to say", event.what.word());
        tracing::warn!(why, "an event was not taken");
        event = ledger::event(A::Denied { action: "report".to_owned(), why });
    }
    event.node = Some(part.clone());
    if event.time > now.plus_ms(CLOCK_SKEW_MS) || event.time < Time(0) {
        event.time = now;
    }
    event
}

/// At once, at each change of the roles, and every ten seconds.
pub async fn news(auth: Arc<Auth>, by: NodePart, _request: Request) -> Result<Response, Refusal> {
    tracing::debug!(node = %by.name(), "listens to the news");
    let changes = auth.tables.watch_roles();
    let looks = auth.looks.listen();
    let told = Told { auth, node: by.part.name, changes, looks, rev: None };
    let lines = stream::unfold(told, |mut told| async move {
        let line = told.next().await?;
        Some((Ok::<_, Infallible>(line), told))
    });
    Ok(link::http::lines(lines))
}

struct Told {
    auth: Arc<Auth>,
    node: NodeName,
    looks: broadcast::Receiver<(NodeName, Looked)>,
    changes: watch::Receiver<u64>,
    rev: Option<u64>,
}

impl Told {
    /// The next line; `None` when auth stops or cannot read its roles: the node then asks again.
    async fn next(&mut self) -> Option<News> {
        let mut looked = Vec::new();
        if self.rev.is_some() {
            tokio::select! {
                changed = self.changes.changed() => changed.ok()?,
                look = next_look(&mut self.looks, &self.node) => looked.push(look),
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
        Some(News { roles, user_authority: self.auth.facts().user_authority, looked })
    }
}

/// The next look at a session of that node. Cancel safe.
async fn next_look(looks: &mut broadcast::Receiver<(NodeName, Looked)>, node: &NodeName) -> Looked {
    loop {
        match looks.recv().await {
            Ok((at, looked)) if at == *node => return looked,
            Ok(_) => {}
            Err(broadcast::error::RecvError::Lagged(missed)) => {
                tracing::warn!(%node, missed, "looks at sessions were not told");
            }
            // Auth is stopping.
            Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
        }
    }
}

/// The word of the database for it.
pub fn kind(part: Part) -> PartKind {
    match part {
        Part::Node => PartKind::Node,
        Part::Proxy => PartKind::Proxy,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_speaks_of_itself_and_of_what_it_can_see() {
        let (web, now) = ("web-01".parse::<NodeName>().unwrap(), Time(1_000_000));
        let mut event = ledger::event(Audited::Exec { command: "ls".into() });
        event.node = "db-01".parse().ok();
        event.time = now.plus_ms(CLOCK_SKEW_MS * 2);
        let taken = sane(event, &web, now);
        assert_eq!((taken.node, taken.time), (Some(web.clone()), now));
        for forged in [
            Audited::SignedUp {},
            Audited::SignIn { method: "password".into() },
            Audited::RecordingStored { bytes: 1, verification: "complete".into() },
        ] {
            let taken = sane(ledger::event(forged.clone()), &web, now);
            let why = format!("web-01 reported {}, which is auth's to say", forged.word());
            assert_eq!(taken.what, Audited::Denied { action: "report".into(), why });
            assert_eq!(taken.node, Some(web.clone()));
        }
    }
}

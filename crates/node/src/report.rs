//! Events for the ledger: kept in a file until auth has them, sent in batches, counted when they are lost.

use crate::clock;
use link::http::{CallError, Channel};
use model::audit::Audited;
use model::{AuditEvent, ConnectionId, NodeName};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use store::outbox::{Batch, Outbox, Put};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use wire::node::Report;

/// Events in one batch.
const BATCH: usize = 200;
/// Shortest and longest pause after a batch was not taken.
const PAUSE: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(10));
/// Word of the event that says that events were refused.
const REFUSED_WORD: &str = "audit.events_refused";
/// Characters of auth's reason that are reported. Cut: the log has all of it.
const WHY_CHARS: usize = 200;
/// How often what was written is put onto the disk for good.
const TEND_EVERY: Duration = Duration::from_secs(1);

/// Takes events for the ledger. Cheap to clone; never waits.
#[derive(Debug, Clone)]
pub(crate) struct Reporter {
    outbox: Arc<Outbox>,
    came: Arc<Notify>,
    node: NodeName,
}

impl Reporter {
    /// A reporter, and the work that sends what it takes.
    pub fn new(node: NodeName, outbox: Outbox) -> (Self, Sending) {
        let reporter = Self { outbox: Arc::new(outbox), came: Arc::default(), node };
        let waiting = reporter.outbox.waiting();
        if waiting > 0 {
            tracing::info!(waiting, "events of an earlier start are sent");
        }
        (reporter.clone(), Sending { reporter, singles: 0 })
    }

    /// An event of this node at this moment, about nobody yet.
    pub fn event(&self, what: Audited) -> AuditEvent {
        AuditEvent { node: Some(self.node.clone()), ..AuditEvent::at(clock::now(), what) }
    }

    /// As [`Reporter::event`], over a connection of a client.
    pub fn event_over(
        &self,
        connection: Option<ConnectionId>,
        client: Option<SocketAddr>,
        what: Audited,
    ) -> AuditEvent {
        let address = client.map(|client| client.ip().to_string());
        AuditEvent { address, connection, ..self.event(what) }
    }

    /// Keeps an event until auth has it. It outlives this process from here on, if the disk takes it.
    pub fn tell(&self, event: AuditEvent) {
        tracing::debug!(event = event.what.word(), "audit");
        match self.outbox.put(&text(&event), |count| self.lost(count)) {
            Put::Kept => {}
            Put::Lost => metrics::counter!("scry_audit_events_lost_total").increment(1),
            Put::TooLong => self.tell_refused(event.what.word(), "it is too long for a report"),
        }
        self.came.notify_one();
    }

    fn lost(&self, count: u64) -> String {
        text(&self.event(Audited::EventsLost { count }))
    }

    /// Says what was set aside; but not of such a report itself, of which there would be no end.
    fn tell_refused(&self, word: &str, why: &str) {
        metrics::counter!("scry_audit_events_refused_total").increment(1);
        let file = self.outbox.aside();
        tracing::error!(event = word, why, file = %file.display(), "auth refuses an event; it was set aside");
        if word != REFUSED_WORD {
            let why: String = format!("{word}: {why}").chars().take(WHY_CHARS).collect();
            self.tell(self.event(Audited::EventsRefused { count: 1, why }));
        }
    }
}

/// The sending end.
pub(crate) struct Sending {
    reporter: Reporter,
    /// So many events are sent one by one, to find which of them auth refuses.
    singles: usize,
}

impl Sending {
    /// Sends what waits, and what comes, until `hurry`; then what can be sent at once. The rest waits for the next start.
    pub async fn run(mut self, auth: Channel, hurry: CancellationToken) {
        let kept = self.reporter.clone();
        tokio::select! {
            () = self.send_all(&auth, &hurry) => {}
            () = keep(&kept) => {}
        }
        tend(&kept).await;
        let left = kept.outbox.waiting();
        if left > 0 {
            tracing::warn!(left, "events for the ledger were not sent; the next start goes on");
        }
    }

    async fn send_all(&mut self, auth: &Channel, hurry: &CancellationToken) {
        let mut pause = PAUSE.0;
        loop {
            let most = if self.singles > 0 { 1 } else { BATCH };
            let Some(batch) = self.reporter.outbox.next(most) else {
                if hurry.is_cancelled() {
                    return;
                }
                tokio::select! {
                    () = self.reporter.came.notified() => {}
                    () = hurry.cancelled() => {}
                    // What could not be read, or did not fit, is tried again.
                    () = tokio::time::sleep(PAUSE.1) => {}
                }
                self.reporter.outbox.own_up(|count| self.reporter.lost(count));
                continue;
            };
            self.singles = self.singles.saturating_sub(1);
            match self.send(auth, &batch).await {
                Ok(()) => pause = PAUSE.0,
                Err(error) => {
                    if hurry.is_cancelled() {
                        return;
                    }
                    tracing::debug!(%error, "a batch of events waits");
                    tokio::select! {
                        () = tokio::time::sleep(pause) => {}
                        () = hurry.cancelled() => {}
                    }
                    pause = (pause * 2).min(PAUSE.1);
                }
            }
        }
    }

    /// Sends one batch. An error is one that may pass.
    async fn send(&mut self, auth: &Channel, batch: &Batch) -> Result<(), CallError> {
        let outbox = Arc::clone(&self.reporter.outbox);
        let (run, first) = (batch.run.clone(), batch.first);
        let events = batch.events.iter().map(|event| serde_json::from_str(event)).collect();
        let report = match events {
            Ok(events) => Report { run, first, events },
            Err(error) => {
                self.set_aside(batch, &format!("this version cannot read it: {error}"));
                return Ok(());
            }
        };
        match auth.call(&report).await {
            Ok(_) => outbox.taken(batch),
            Err(CallError::Refused(failure)) if !failure.fault.may_pass() => {
                self.set_aside(batch, &failure.message);
            }
            Err(error) => return Err(error),
        }
        self.reporter.outbox.own_up(|count| self.reporter.lost(count));
        Ok(())
    }

    /// Of several events it is not known which are meant: they are sent one by one.
    fn set_aside(&mut self, batch: &Batch, why: &str) {
        if batch.events.len() > 1 {
            tracing::warn!(
                why,
                events = batch.events.len(),
                "a report is refused; its events are sent one by one"
            );
            self.singles = batch.events.len();
            return;
        }
        let event = batch.events.first().and_then(|event| serde_json::from_str(event).ok());
        let event: serde_json::Value = event.unwrap_or_default();
        let word = event.get("event").and_then(serde_json::Value::as_str).unwrap_or("an event");
        if !self.reporter.outbox.refused(batch, why) {
            metrics::counter!("scry_audit_events_lost_total").increment(1);
        }
        self.reporter.tell_refused(word, why);
    }
}

/// Puts onto the disk what was written, once a second.
async fn keep(reporter: &Reporter) {
    loop {
        tokio::time::sleep(TEND_EVERY).await;
        tend(reporter).await;
    }
}

async fn tend(reporter: &Reporter) {
    let outbox = Arc::clone(&reporter.outbox);
    if let Ok(Err(error)) = tokio::task::spawn_blocking(move || outbox.tend()).await {
        tracing::warn!(%error, "events for the ledger are not safe on the disk");
    }
}

fn text(event: &AuditEvent) -> String {
    // Plain data: it can be written down.
    serde_json::to_string(event).unwrap_or_default()
}

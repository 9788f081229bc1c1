//! Denials, on their way into the ledger: queued, sent in batches, tried again until auth has them.

use crate::upkeep::now;
use link::Flood;
use link::http::{CallError, Channel, words};
use link::ssh::server::{NobodyIn, Tried};
use model::audit::Audited;
use model::{AuditEvent, UserName};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use wire::node::Report;

/// Events that wait for auth. Beyond it they are counted, and the count goes into the ledger.
const QUEUE: usize = 1024;
/// Events of one batch.
const BATCH: usize = 100;

/// Between two tries to send one batch.
const AGAIN: Duration = Duration::from_secs(1);

/// Takes events; never waits. Clones share the queue.
#[derive(Debug, Clone)]
pub(crate) struct Reporter {
    events: mpsc::Sender<AuditEvent>,
    lost: Arc<AtomicU64>,
    strangers: Arc<Flood>,
}

/// Sends what the reporter takes.
#[derive(Debug)]
pub(crate) struct Reports {
    events: mpsc::Receiver<AuditEvent>,
    lost: Arc<AtomicU64>,
    run: String,
}

impl Reporter {
    pub(crate) fn new() -> (Self, Reports) {
        let (give, events) = mpsc::channel(QUEUE);
        let lost = Arc::new(AtomicU64::new(0));
        let run = rand::random::<[u8; 16]>().iter().map(|byte| format!("{byte:02x}")).collect();
        let strangers = Arc::default();
        (Self { events: give, lost: Arc::clone(&lost), strangers }, Reports { events, lost, run })
    }

    /// Somebody was denied something.
    pub(crate) fn denied(
        &self,
        user: Option<&UserName>,
        address: SocketAddr,
        action: &str,
        why: &str,
    ) {
        tracing::info!(user = user.map(tracing::field::display), %address, action, why, "denied");
        metrics::counter!("scry_proxy_denials_total").increment(1);
        self.tell(denied(user.cloned(), Some(address.to_string()), action, why));
    }

    /// Nobody was let in at the jump host.
    pub(crate) fn nobody_in(&self, address: SocketAddr, nobody: &NobodyIn) {
        let Tried { login, offers, .. } = nobody.tried.clone();
        let why = format!("at the jump host: {}", words(&nobody.error));
        let refused = Audited::ConnectionRefused { why, asked_for: login, tried: offers };
        self.tell(event(None, Some(address.to_string()), refused));
    }

    fn tell(&self, event: AuditEvent) {
        // Of strangers only so much: whoever knocks all day must not fill the ledger.
        let told = event.user.is_some() || self.strangers.tells();
        if !told || self.events.try_send(event).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Reports {
    /// Sends until `stop`, and then once more what is left.
    pub(crate) async fn run(mut self, auth: Channel, stop: CancellationToken) {
        let mut first = 1;
        let mut events = Vec::new();
        loop {
            if events.is_empty() {
                tokio::select! {
                    _ = self.events.recv_many(&mut events, BATCH) => {}
                    () = stop.cancelled() => {}
                }
                while events.len() < BATCH
                    && let Ok(event) = self.events.try_recv()
                {
                    events.push(event);
                }
                self.own_up(&mut events);
            }
            if events.is_empty() {
                return;
            }
            let report = Report { first, run: self.run.clone(), events: events.clone() };
            match auth.call(&report).await {
                Ok(_) => {
                    first += events.len() as u64;
                    events.clear();
                }
                Err(CallError::Refused(failure)) if !failure.fault.may_pass() => {
                    let (count, message) = (events.len(), failure.message);
                    // A proxy keeps nothing: what auth does not take stands in its log, and in the ledger as a number.
                    tracing::error!(count, message, ?events, "auth refuses a report");
                    let told = events
                        .iter()
                        .all(|event| matches!(event.what, Audited::EventsRefused { .. }));
                    first += count as u64;
                    events.clear();
                    if !told {
                        events.push(event(
                            None,
                            None,
                            Audited::EventsRefused { count: count as u64, why: message },
                        ));
                    }
                }
                Err(error) => {
                    tracing::warn!(error = words(&error), "a report waits for auth");
                    if stop.is_cancelled() {
                        return;
                    }
                    stop.run_until_cancelled(tokio::time::sleep(AGAIN)).await;
                }
            }
        }
    }

    /// Says how many events did not fit into the queue.
    fn own_up(&self, events: &mut Vec<AuditEvent>) {
        let lost = self.lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            let why =
                format!("{lost} further denials at this proxy could not be recorded one by one");
            events.push(denied(None, None, "several things", &why));
        }
    }
}

fn denied(user: Option<UserName>, address: Option<String>, action: &str, why: &str) -> AuditEvent {
    event(user, address, Audited::Denied { action: action.to_owned(), why: why.to_owned() })
}

fn event(user: Option<UserName>, address: Option<String>, what: Audited) -> AuditEvent {
    AuditEvent { user, address, ..AuditEvent::at(now(), what) }
}

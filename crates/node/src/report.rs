//! Events for the ledger: queued in memory, sent in batches, counted when they are lost.

use crate::clock;
use link::http::Channel;
use model::audit::Audited;
use model::{AuditEvent, NodeName};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use wire::node::Report;

/// Events that wait for auth. Refuse: the event is counted, and the count is reported.
const QUEUE: usize = 16 * 1024;
/// Events in one batch.
const BATCH: usize = 200;
/// Pause after a batch was not taken.
const PAUSE: Duration = Duration::from_millis(500);

/// Takes events for the ledger. Cheap to clone; never waits.
#[derive(Debug, Clone)]
pub(crate) struct Reporter {
    queue: mpsc::Sender<AuditEvent>,
    lost: Arc<AtomicU64>,
    node: NodeName,
}

impl Reporter {
    /// A reporter, and the work that sends what it takes.
    pub fn new(node: NodeName) -> (Self, Sending) {
        let (queue, events) = mpsc::channel(QUEUE);
        let lost = Arc::new(AtomicU64::new(0));
        let sending = Sending { events, lost: Arc::clone(&lost), node: node.clone() };
        (Self { queue, lost, node }, sending)
    }

    /// An event of this node at this moment, about nobody yet.
    pub fn event(&self, what: Audited) -> AuditEvent {
        event(&self.node, what)
    }

    /// Queues an event.
    pub fn tell(&self, event: AuditEvent) {
        tracing::debug!(event = event.what.word(), "audit");
        if self.queue.try_send(event).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
            metrics::counter!("scry_audit_events_lost_total").increment(1);
        }
    }
}

fn event(node: &NodeName, what: Audited) -> AuditEvent {
    AuditEvent {
        time: clock::now(),
        user: None,
        address: None,
        node: Some(node.clone()),
        login: None,
        connection: None,
        session: None,
        what,
    }
}

/// The sending end.
pub(crate) struct Sending {
    events: mpsc::Receiver<AuditEvent>,
    lost: Arc<AtomicU64>,
    node: NodeName,
}

impl Sending {
    /// Sends until every reporter is gone and nothing waits; after `hurry`, what cannot be sent at once is given up.
    pub async fn run(mut self, auth: Channel, hurry: CancellationToken) {
        let run: [u8; 16] = rand::random();
        let run: String = run.iter().map(|byte| format!("{byte:02x}")).collect();
        let mut batch = 0;
        let mut events = Vec::with_capacity(BATCH);
        while self.events.recv_many(&mut events, BATCH).await > 0 {
            let lost = self.lost.swap(0, Ordering::Relaxed);
            if lost > 0 {
                events.push(event(&self.node, Audited::EventsLost { count: lost }));
            }
            batch += 1;
            let report = Report { batch, run: run.clone(), events: std::mem::take(&mut events) };
            while let Err(error) = auth.call(&report).await {
                if hurry.is_cancelled() {
                    let count = report.events.len() + self.events.len();
                    tracing::error!(%error, count, "events for the ledger could not be sent");
                    return;
                }
                tracing::debug!(%error, "a batch of events waits");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

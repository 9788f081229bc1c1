//! The ledger as the rest of auth sees it: everything that is audited goes through here.

use crate::clock;
use crate::error::{Error, chain as chain_of};
use ed25519_dalek::{Signer, SigningKey};
use link::tls::PeerIdentity;
use model::audit::Audited;
use model::limit::LEDGER_OWED;
use model::seal::Signature;
use model::{AuditEvent, NodeName};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use store::tables::{LedgerFilter, Tables, chain};
use tokio::sync::watch;
use wire::audit::LedgerHead;

/// Appends events and signs the head.
pub struct Ledger {
    tables: Tables,
    key: SigningKey,
    /// The last head that was logged, beside the database: a shortened or replaced database does not fit it.
    kept: PathBuf,
    /// What could not be written yet. Locked for a moment.
    owed: Mutex<Owed>,
}

#[derive(Default)]
struct Owed {
    events: Vec<AuditEvent>,
    lost: u64,
}

impl Owed {
    fn hold(&mut self, events: Vec<AuditEvent>) {
        let room = LEDGER_OWED.saturating_sub(self.events.len());
        self.lost = self.lost.saturating_add(events.len().saturating_sub(room) as u64);
        self.events.extend(events.into_iter().take(room));
    }

    fn take(&mut self) -> (Vec<AuditEvent>, u64) {
        (std::mem::take(&mut self.events), std::mem::take(&mut self.lost))
    }
}

impl Ledger {
    /// Over the tables, with the ledger key; heads are kept in `dir`.
    pub fn new(tables: Tables, key: SigningKey, dir: &Path) -> Self {
        Self { tables, key, kept: dir.join("ledger.head"), owed: Mutex::default() }
    }

    /// Appends events, all or none; they are on disk when this returns.
    pub async fn write(&self, events: &[AuditEvent]) -> Result<(), Error> {
        self.tables.append_ledger(events).await?;
        metrics::counter!("scry_auth_ledger_events").increment(events.len() as u64);
        Ok(())
    }

    /// Appends what happened and cannot be undone any more. What cannot be written now is held and written later;
    /// beyond [`LEDGER_OWED`] events it is counted.
    pub async fn tell(&self, events: Vec<AuditEvent>) {
        if events.is_empty() {
            return;
        }
        if let Err(error) = self.write(&events).await {
            let count = events.len();
            tracing::error!(
                error = chain_of(&error),
                count,
                "the ledger cannot be written; events wait in memory"
            );
            self.owed().hold(events);
        }
    }

    /// Appends what could not be written before. Says whether nothing is owed any more.
    pub async fn settle(&self) -> bool {
        let (events, lost) = self.owed().take();
        if events.is_empty() && lost == 0 {
            return true;
        }
        let mut all = events.clone();
        if lost > 0 {
            all.push(event(Audited::EventsLost { count: lost }));
        }
        let Err(error) = self.write(&all).await else { return true };
        tracing::debug!(error = chain_of(&error), "the ledger cannot be written yet");
        let mut owed = self.owed();
        owed.lost = owed.lost.saturating_add(lost);
        let since = std::mem::replace(&mut owed.events, events);
        owed.hold(since);
        false
    }

    fn owed(&self) -> MutexGuard<'_, Owed> {
        self.owed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends those events of a part's report that were not taken before. Answers how many.
    pub async fn write_report(
        &self,
        part: &NodeName,
        run: &str,
        first: u64,
        events: &[AuditEvent],
    ) -> Result<usize, Error> {
        Ok(self.tables.append_report(part, run, first, events, clock::now()).await?)
    }

    /// The signed head.
    pub async fn head(&self) -> Result<LedgerHead, Error> {
        let head = self.tables.ledger_head().await?;
        let time = clock::now();
        let statement = LedgerHead::statement(head.number, &head.hash, time);
        let signature: [u8; 64] = self.key.sign(&statement).to_bytes();
        Ok(LedgerHead {
            number: head.number,
            hash: head.hash,
            time,
            key: *self.key.verifying_key().as_bytes(),
            signature: Signature::from(signature),
        })
    }

    /// Tells the number of the last row whenever rows were appended.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.tables.watch_ledger()
    }

    /// Puts the signed head into the log and into a file, so that whoever keeps logs keeps heads.
    pub async fn log_head(&self) {
        let head = match self.head().await {
            Ok(head) => head,
            Err(error) => {
                return tracing::error!(
                    error = chain_of(&error),
                    "the ledger's head cannot be read"
                );
            }
        };
        tracing::info!(
            number = head.number,
            hash = %crate::secret::hex(&head.hash),
            time = head.time.0,
            signature = %crate::secret::hex(&<[u8; 64]>::from(head.signature)),
            "head of the ledger"
        );
        let text = serde_json::to_vec(&head).unwrap_or_default();
        if let Err(error) = store::keys::write(&self.kept, &text) {
            tracing::warn!(error = chain_of(&error), "the ledger's head cannot be kept");
        }
    }

    /// Reads the whole ledger and says where its chain is broken, if it is, where a row says something else than its
    /// event, or that it does not fit the kept head.
    pub async fn check(&self) -> Result<Result<u64, Broken>, Error> {
        let kept = self.kept_head();
        let (mut number, mut hash) = (0_u64, [0; 32]);
        loop {
            let filter =
                LedgerFilter { after: Some(number), limit: u32::MAX, ..LedgerFilter::default() };
            let page = self.tables.list_ledger(&filter).await?;
            if page.is_empty() {
                break;
            }
            for row in page {
                let next = number.saturating_add(1);
                let expected = chain(&hash, next, &row.event);
                let fits =
                    kept.as_ref().is_none_or(|kept| kept.number != next || kept.hash == expected);
                if row.number != next || row.hash != expected || !fits || !row.fits() {
                    return Ok(Err(Broken { row: next }));
                }
                (number, hash) = (next, expected);
            }
        }
        if kept.is_some_and(|kept| kept.number > number) {
            return Ok(Err(Broken { row: number.saturating_add(1) }));
        }
        Ok(Ok(number))
    }

    /// The kept head, if it is there and its signature is ours.
    fn kept_head(&self) -> Option<LedgerHead> {
        let text = store::keys::read_public(&self.kept).ok()?;
        let head: LedgerHead = serde_json::from_slice(&text).ok()?;
        let statement = LedgerHead::statement(head.number, &head.hash, head.time);
        let signature = ed25519_dalek::Signature::from_bytes(&head.signature.into());
        let good = self.key.verifying_key().verify_strict(&statement, &signature);
        good.is_ok().then_some(head)
    }
}

/// The first row that does not follow from those before it: it was altered, if only beside its event, or one was taken
/// out, or all from it on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Broken {
    /// Its number.
    pub row: u64,
}

/// An event at this moment, of which nothing is known but what happened.
pub fn event(what: Audited) -> AuditEvent {
    AuditEvent::at(clock::now(), what)
}

/// As [`event`], of somebody with this identity.
pub fn event_of(who: &PeerIdentity, what: Audited) -> AuditEvent {
    let mut event = event(what);
    match who {
        PeerIdentity::User(user) => event.user = Some(user.clone()),
        PeerIdentity::Node(node) | PeerIdentity::Proxy(node) => event.node = Some(node.clone()),
        PeerIdentity::Nobody => {}
    }
    event
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_ledger_is_owed_is_bounded_and_counted_beyond() {
        let mut owed = Owed::default();
        let events = |count| vec![event(Audited::SignedUp {}); count];
        owed.hold(events(LEDGER_OWED - 1));
        owed.hold(events(3));
        owed.hold(events(4));
        let (held, lost) = owed.take();
        assert_eq!((held.len(), lost), (LEDGER_OWED, 6));
        assert_eq!(owed.take(), (Vec::new(), 0));
    }
}

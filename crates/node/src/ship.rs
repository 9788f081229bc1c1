//! Shipping a recording: record by record from the spool to auth, from where auth stands, until it is stored.

use link::http::{CallError, Channel};
use model::SessionId;
use model::limit::SHIP_BYTES;
use std::time::Duration;
use store::spool::Spool;
use thiserror::Error;
use tokio::sync::watch;
use wire::Fault;
use wire::recording::{Progress, ReadProgress};

/// Shortest and longest pause after a failure.
const PAUSE: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));
/// Pause after auth refused what was shipped: a person must look at it.
const REFUSED_PAUSE: Duration = Duration::from_secs(60);
/// How often auth is asked whether a whole recording is stored yet.
const STORED_PAUSE: Duration = Duration::from_millis(200);

/// What the recorder has handed to the spool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Written {
    /// Bytes of the file.
    pub bytes: u64,
    /// The last record is among them.
    pub ended: bool,
}

/// What auth has received.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Received {
    /// Records, the heading being the first.
    pub records: u64,
    /// Bytes of the spool's file.
    pub bytes: u64,
    /// Whole and in the final store.
    pub stored: bool,
}

/// Ships one recording to its end and frees its spool. Ends early only when the recorder is gone without an end:
/// the recovery of the next start ships the rest.
pub(crate) async fn ship(
    auth: Channel,
    spool: Spool,
    id: SessionId,
    mut written: watch::Receiver<Written>,
    tell: watch::Sender<Received>,
) {
    let mut pause = PAUSE.0;
    loop {
        match run(&auth, &spool, id, &mut written, &tell, &mut pause).await {
            Ok(Outcome::Stored) => {
                if let Err(error) = spool.remove(id) {
                    tracing::warn!(%id, %error, "a stored recording stays in the spool");
                }
                return;
            }
            Ok(Outcome::RecorderGone) => return,
            Err(Trouble::Call(error)) => {
                pause = wait_after(&error, id, pause).await;
            }
            Err(Trouble::Spool(error)) => {
                tracing::error!(%id, error, "the spool cannot be read");
                tokio::time::sleep(REFUSED_PAUSE).await;
            }
        }
    }
}

async fn wait_after(error: &CallError, id: SessionId, pause: Duration) -> Duration {
    match error {
        CallError::Refused(failure)
            if !matches!(failure.fault, Fault::Conflict | Fault::Unavailable | Fault::Internal) =>
        {
            tracing::error!(%id, %error, "auth refuses this recording; it stays in the spool");
            metrics::counter!("scry_recordings_refused_total").increment(1);
            tokio::time::sleep(REFUSED_PAUSE).await;
            pause
        }
        _ => {
            tracing::debug!(%id, %error, "shipping waits");
            tokio::time::sleep(pause).await;
            (pause * 2).min(PAUSE.1)
        }
    }
}

enum Outcome {
    Stored,
    RecorderGone,
}

#[derive(Debug, Error)]
enum Trouble {
    #[error(transparent)]
    Call(#[from] CallError),
    #[error("{0}")]
    Spool(String),
}

async fn run(
    auth: &Channel,
    spool: &Spool,
    id: SessionId,
    written: &mut watch::Receiver<Written>,
    tell: &watch::Sender<Received>,
    pause: &mut Duration,
) -> Result<Outcome, Trouble> {
    let mut progress = auth.call(&ReadProgress { id }).await?;
    let source = spool.source(id).map_err(|error| Trouble::Spool(error.to_string()))?;
    let mut place = Place::default();
    loop {
        let records = progress.receipt.as_ref().map_or(0, |receipt| receipt.head.records);
        place.go_to(&source, records)?;
        *pause = PAUSE.0;
        let stored = progress.stored;
        tell.send_replace(Received { records: place.records, bytes: place.bytes, stored });
        if stored {
            return Ok(Outcome::Stored);
        }
        let there = *written.borrow_and_update();
        if place.bytes >= there.bytes {
            if there.ended {
                tokio::time::sleep(STORED_PAUSE).await;
                progress = auth.call(&ReadProgress { id }).await?;
            } else if written.changed().await.is_err() && !written.borrow().ended {
                return Ok(Outcome::RecorderGone);
            }
            continue;
        }
        let body = whole_records(&source, place.bytes, there.bytes)?;
        let path = format!("/v1/node/ship/{id}?after={}", place.records);
        let count = body.len();
        progress = auth.post_bytes::<Progress>(&path, body.into()).await?;
        metrics::counter!("scry_shipped_bytes_total").increment(count as u64);
    }
}

/// A place between two records of the spool's file.
#[derive(Debug, Default)]
struct Place {
    records: u64,
    bytes: u64,
}

impl Place {
    /// Goes to behind record number `records`, from the beginning if that lies before.
    fn go_to(&mut self, source: &store::file::FileSource, records: u64) -> Result<(), Trouble> {
        if records < self.records {
            *self = Self::default();
        }
        while self.records < records {
            let piece = read(source, self.bytes, piece_bytes())?;
            let mut rest = piece.as_slice();
            while self.records < records {
                let Some((record, behind)) = cut(rest)? else { break };
                self.bytes += record.len() as u64;
                self.records += 1;
                rest = behind;
            }
            if rest.len() == piece.len() {
                return Err(Trouble::Spool(format!(
                    "auth has {records} records, the spool only {}",
                    self.records
                )));
            }
        }
        Ok(())
    }
}

/// Whole records from `from`, at most [`SHIP_BYTES`] of them unless one alone is longer.
fn whole_records(source: &store::file::FileSource, from: u64, to: u64) -> Result<Vec<u8>, Trouble> {
    let there = usize::try_from(to.saturating_sub(from)).unwrap_or(usize::MAX);
    let mut piece = read(source, from, there.min(piece_bytes()))?;
    let mut taken = 0;
    while let Some((record, _)) = cut(piece.get(taken..).unwrap_or_default())? {
        if taken > 0 && taken + record.len() > SHIP_BYTES {
            break;
        }
        taken += record.len();
    }
    if taken == 0 {
        return Err(Trouble::Spool("no whole record where one should be".to_owned()));
    }
    piece.truncate(taken);
    Ok(piece)
}

/// Enough for the longest record.
fn piece_bytes() -> usize {
    SHIP_BYTES.max(model::limit::RECORD_BYTES + 64)
}

fn read(source: &store::file::FileSource, from: u64, most: usize) -> Result<Vec<u8>, Trouble> {
    source.bytes_at(from, most).map_err(|error| Trouble::Spool(error.to_string()))
}

fn cut(bytes: &[u8]) -> Result<Option<record::Cut<'_>>, Trouble> {
    record::split(bytes).map_err(|fault| Trouble::Spool(fault.to_string()))
}

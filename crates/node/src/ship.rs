//! Shipping a recording: record by record from the spool, or from memory while the disk takes none, to auth, from where auth stands, until it is stored.

use link::http::{CallError, Channel};
use model::SessionId;
use model::limit::SHIP_BYTES;
use record::{Holdings, Next, Run};
use std::time::Duration;
use store::file::FileSource;
use store::spool::Spool;
use thiserror::Error;
use tokio::sync::watch;
use tokio::time::Instant;
use wire::Fault;
use wire::recording::{Progress, ReadProgress};

/// Shortest and longest pause after a failure.
pub(crate) const PAUSE: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));
/// Pause after auth refused what was shipped: a person must look at it.
const REFUSED_PAUSE: Duration = Duration::from_secs(60);
/// Shortest time between two shipments of less than [`SHIP_BYTES`]: each costs auth two writes to its disk.
const PACE: Duration = Duration::from_millis(100);
/// How often auth is asked whether a whole recording is stored yet.
const STORED_PAUSE: Duration = Duration::from_millis(200);

/// What auth has received.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Received {
    /// Records, the heading being the first.
    pub records: u64,
    /// Whole and in the final store.
    pub stored: bool,
}

/// Ships one recording to its end and frees its spool. Ends early only when the recorder is gone without an end:
/// the recovery of the next start ships the rest.
pub(crate) async fn ship(
    auth: Channel,
    spool: Spool,
    id: SessionId,
    mut written: watch::Receiver<Holdings>,
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

pub(crate) async fn wait_after(error: &CallError, id: SessionId, pause: Duration) -> Duration {
    match error {
        CallError::Refused(failure)
            if !matches!(
                failure.fault,
                Fault::Conflict | Fault::Unavailable | Fault::TooMany | Fault::Internal
            ) =>
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
    written: &mut watch::Receiver<Holdings>,
    tell: &watch::Sender<Received>,
    pause: &mut Duration,
) -> Result<Outcome, Trouble> {
    let mut progress = auth.call(&ReadProgress { id }).await?;
    let mut place = Place::default();
    let mut due = Instant::now();
    loop {
        let records = progress.receipt.as_ref().map_or(0, |receipt| receipt.head.records);
        *pause = PAUSE.0;
        let stored = progress.stored;
        tell.send_replace(Received { records, stored });
        if stored {
            return Ok(Outcome::Stored);
        }
        let (next, ended, urgent) = {
            let there = written.borrow_and_update();
            (there.next(records), there.ended, there.ended || there.urgent)
        };
        let body = match next {
            Next::File(run)
                if !urgent && Instant::now() < due && place.before_end(run) < SHIP_BYTES as u64 =>
            {
                tokio::time::sleep_until(due).await;
                continue;
            }
            Next::UpToDate if ended => {
                tokio::time::sleep(STORED_PAUSE).await;
                progress = auth.call(&ReadProgress { id }).await?;
                continue;
            }
            Next::UpToDate => {
                if written.changed().await.is_err() && !written.borrow().ended {
                    return Ok(Outcome::RecorderGone);
                }
                continue;
            }
            Next::Missing => return Err(missing(records)),
            Next::Memory(body) => body,
            Next::File(run) => place.records_behind(spool, id, run, records)?.into(),
        };
        let path = format!("/v1/node/ship/{id}?after={records}");
        let count = body.len();
        due = Instant::now() + PACE;
        progress = auth.post_bytes::<Progress>(&path, body).await?;
        metrics::counter!("scry_shipped_bytes_total").increment(count as u64);
    }
}

fn missing(records: u64) -> Trouble {
    Trouble::Spool(format!("auth has {records} records, and the next one is not here any more"))
}

/// A place between two records of a run of the spool's file.
#[derive(Default)]
struct Place {
    /// Opened when it is first needed: a recording may never have had one.
    source: Option<FileSource>,
    /// Where the run begins.
    run: u64,
    records: u64,
    bytes: u64,
}

impl Place {
    /// Whole records of this run, behind record number `records`.
    fn records_behind(
        &mut self,
        spool: &Spool,
        id: SessionId,
        run: Run,
        records: u64,
    ) -> Result<Vec<u8>, Trouble> {
        let source = match &self.source {
            Some(source) => source.clone(),
            None => spool.source(id).map_err(|error| Trouble::Spool(error.to_string()))?,
        };
        self.source = Some(source.clone());
        if self.run != run.offset || self.bytes < run.offset || records < self.records {
            (self.run, self.bytes, self.records) = (run.offset, run.offset, run.first - 1);
        }
        let end = run.offset.saturating_add(run.bytes);
        self.go_to(&source, records, end)?;
        let (piece, count) = whole_records(&source, self.bytes, end)?;
        self.bytes += piece.len() as u64;
        self.records += count;
        Ok(piece)
    }

    /// Bytes of this run that were not taken yet.
    fn before_end(&self, run: Run) -> u64 {
        let taken = if self.run == run.offset { self.bytes.saturating_sub(run.offset) } else { 0 };
        run.bytes.saturating_sub(taken)
    }

    /// Goes to behind record number `records`, which must stand before `end`.
    fn go_to(&mut self, source: &FileSource, records: u64, end: u64) -> Result<(), Trouble> {
        while self.records < records {
            let most = piece_bytes().min(to_usize(end.saturating_sub(self.bytes)));
            let piece = read(source, self.bytes, most)?;
            let mut rest = piece.as_slice();
            while self.records < records {
                let Some((record, behind)) = cut(rest)? else { break };
                self.bytes += record.len() as u64;
                self.records += 1;
                rest = behind;
            }
            if rest.len() == piece.len() {
                return Err(missing(records));
            }
        }
        Ok(())
    }
}

/// Whole records from `from` and how many, at most [`SHIP_BYTES`] of them unless one alone is longer.
fn whole_records(source: &FileSource, from: u64, to: u64) -> Result<(Vec<u8>, u64), Trouble> {
    let there = to_usize(to.saturating_sub(from));
    let mut piece = read(source, from, there.min(piece_bytes()))?;
    let (mut taken, mut count) = (0, 0);
    while let Some((record, _)) = cut(piece.get(taken..).unwrap_or_default())? {
        if taken > 0 && taken + record.len() > SHIP_BYTES {
            break;
        }
        taken += record.len();
        count += 1;
    }
    if taken == 0 {
        return Err(Trouble::Spool("no whole record where one should be".to_owned()));
    }
    piece.truncate(taken);
    Ok((piece, count))
}

/// Enough for the longest record.
fn piece_bytes() -> usize {
    SHIP_BYTES.max(model::limit::RECORD_BYTES + 64)
}

fn to_usize(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

fn read(source: &FileSource, from: u64, most: usize) -> Result<Vec<u8>, Trouble> {
    source.bytes_at(from, most).map_err(|error| Trouble::Spool(error.to_string()))
}

fn cut(bytes: &[u8]) -> Result<Option<record::Cut<'_>>, Trouble> {
    record::split(bytes).map_err(|fault| Trouble::Spool(fault.to_string()))
}

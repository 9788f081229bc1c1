//! Recordings whose end has come: sealed, verified, put into the final store. Each step may be repeated after a crash.

use crate::clock;
use crate::error::{Error, chain};
use crate::inflow::Inflow;
use crate::ledger::{self, Ledger};
use model::SessionId;
use model::audit::Audited;
use record::{Report, Verdict};
use std::sync::Arc;
use std::time::Duration;
use store::intake::IntakeError;
use store::tables::{Filed, Phase};
use tokio::sync::{broadcast, mpsc};
use tokio_util::sync::CancellationToken;

/// Recordings that wait for sealing. Overflow: the next sweep finds them in the database.
const QUEUE: usize = 1024;
/// Stored recordings that a waiting request may be behind, at most.
const TOLD: usize = 256;
/// What sealing adds to a recording beside a copy of it, at most, in bytes: index and seal.
const SEAL_BYTES: u64 = 256 * 1024;
/// Before the first try after a failure; each further one waits twice as long, up to [`SWEEP_EVERY`].
const AGAIN: Duration = Duration::from_secs(2);
/// Between two looks for recordings that were not sealed when their end came.
const SWEEP_EVERY: Duration = Duration::from_secs(30);

/// Asks for recordings to be sealed.
pub struct Sealer {
    queue: mpsc::Sender<SessionId>,
    /// Those that were stored. Overflow: who waits is not told, and asks again.
    done: broadcast::Sender<SessionId>,
}

/// The work behind [`Sealer`].
pub struct SealerWork {
    queue: mpsc::Receiver<SessionId>,
    done: broadcast::Sender<SessionId>,
}

impl Sealer {
    /// The two ends.
    pub fn new() -> (Self, SealerWork) {
        let (sender, queue) = mpsc::channel(QUEUE);
        let done = broadcast::Sender::new(TOLD);
        (Self { queue: sender, done: done.clone() }, SealerWork { queue, done })
    }

    /// Asks for a recording to be sealed, and waits a while. `true` once it is stored.
    pub async fn seal_within(&self, id: SessionId, wait: Duration) -> bool {
        let mut done = self.done.subscribe();
        if self.queue.try_send(id).is_err() {
            return false;
        }
        let stored = async {
            loop {
                match done.recv().await {
                    Ok(stored) if stored == id => return true,
                    Ok(_) => {}
                    Err(_) => return false,
                }
            }
        };
        tokio::time::timeout(wait, stored).await.unwrap_or(false)
    }
}

impl SealerWork {
    /// Seals until stopped: first what an earlier run left, then what comes, and what was missed.
    pub async fn run(mut self, inflow: Arc<Inflow>, ledger: Arc<Ledger>, stop: CancellationToken) {
        let mut sweep = tokio::time::interval(SWEEP_EVERY);
        let (mut first, mut again) = (true, AGAIN);
        loop {
            let good = tokio::select! {
                () = stop.cancelled() => return,
                asked = self.queue.recv() => match asked {
                    Some(id) => self.seal(&inflow, &ledger, id).await,
                    None => return,
                },
                () = inflow.storage.eased.notified() => {
                    sweep.reset_immediately();
                    continue;
                }
                _ = sweep.tick() => {
                    inflow.forget_idle();
                    self.sweep(&inflow, &ledger, std::mem::take(&mut first), &stop).await
                }
            };
            if good {
                again = AGAIN;
            } else {
                sweep.reset_after(again);
                again = (again * 2).min(SWEEP_EVERY);
            }
        }
    }

    /// `false` when something failed and is to be tried again.
    async fn sweep(
        &self,
        inflow: &Inflow,
        ledger: &Ledger,
        first: bool,
        stop: &CancellationToken,
    ) -> bool {
        let rows = match inflow.tables.unfiled_recordings().await {
            Ok(rows) => rows,
            Err(error) => {
                tracing::error!(error = chain(&error), "cannot list recordings");
                return false;
            }
        };
        #[expect(clippy::cast_precision_loss, reason = "a gauge; exact to 2^52 recordings")]
        metrics::gauge!("scry_auth_recordings_live").set(rows.len() as f64);
        let mut good = true;
        for row in rows {
            if stop.is_cancelled() {
                return true;
            }
            let id = row.id;
            let ended = match (first, row.ending.is_some()) {
                (_, true) => true,
                (true, false) => recovered(inflow, ledger, row).await,
                (false, false) => false,
            };
            if ended {
                good &= self.seal(inflow, ledger, id).await;
            }
        }
        if first && let Err(error) = inflow.clear().await {
            tracing::error!(error = chain(&error), "files of stored recordings cannot be freed");
        }
        good
    }

    /// `false` when it failed.
    async fn seal(&self, inflow: &Inflow, ledger: &Ledger, id: SessionId) -> bool {
        match inflow.seal(ledger, id).await {
            Ok(true) => {
                // Nobody may be waiting.
                let _ = self.done.send(id);
                true
            }
            Ok(false) => true,
            Err(error) => {
                tracing::error!(%id, error = chain(&error), "a recording cannot be stored yet");
                false
            }
        }
    }
}

/// Whether the end of a recording that an earlier run left is there.
async fn recovered(inflow: &Inflow, ledger: &Ledger, row: store::tables::Recording) -> bool {
    let (id, node) = (row.id, row.node.clone());
    match inflow.recover(row).await {
        Ok(ended) => ended,
        Err(error) => {
            tracing::error!(%id, error = chain(&error), "a recording cannot be recovered");
            if let Error::Damaged { what, .. } = error {
                let mut event = ledger::event(Audited::Tampering { why: what });
                (event.session, event.node) = (Some(id), Some(node));
                ledger.tell(vec![event]).await;
            }
            false
        }
    }
}

impl Inflow {
    /// Seals a recording whose end is there and stores it. `true` when it is stored, `false` when it is not ready.
    pub async fn seal(&self, ledger: &Ledger, id: SessionId) -> Result<bool, Error> {
        let lane = self.lane(id);
        let mut turn = lane.turn.lock().await;
        let Some(row) = self.tables.recording(&id).await? else { return Ok(false) };
        if row.phase == Phase::Stored {
            return Ok(true);
        }
        if row.ending.is_none() || row.removed.is_some() {
            return Ok(false);
        }
        if !self.storage.has_room_for(row.bytes.saturating_add(SEAL_BYTES)) {
            tracing::warn!(%id, bytes = row.bytes, "a recording waits for space in the final store");
            return Ok(false);
        }
        turn.close();
        let file = self.intake.open_file(id).await?;
        // The row knows the length behind the end; what stands there is of a try that was interrupted.
        file.truncate(row.bytes).await?;
        let (source, keys) = (file.source(), Arc::clone(&self.keys));
        let sealing =
            move || record::finish(&source, &[], keys.seal_key(), |text| keys.sign_seal(text));
        match blocking(sealing).await? {
            Ok(bytes) => lane.tell(file.append(bytes.into()).await?),
            Err(corrupt) => {
                tracing::error!(%id, %corrupt, "a recording is stored without its seal")
            }
        }
        self.steps.step("sealed")?;
        let (source, key) = (file.source(), self.keys.seal_key());
        let report = blocking(move || record::verify(&source, &[key], &mut |_| ())).await?;
        let promoted = self.intake.promote(id).await?;
        self.steps.step("promoted")?;
        ledger.write(&stored_events(&row, promoted.bytes, &report)).await?;
        self.steps.step("audited")?;
        let filed = Filed {
            object_key: promoted.object_key,
            bytes: promoted.bytes,
            file_hash: promoted.file_hash,
            verification: report.verdict.to_string(),
        };
        self.tables.file_recording(&id, &filed).await?;
        self.steps.step("filed")?;
        self.intake.release(id).await?;
        metrics::counter!("scry_auth_recordings_stored").increment(1);
        tracing::info!(%id, bytes = filed.bytes, verification = filed.verification, "stored");
        Ok(true)
    }

    /// Removes a recording's bytes, once its tombstone stands in the ledger. Waits for what is under way with it.
    pub async fn discard(&self, id: SessionId) -> Result<(), Error> {
        let lane = self.lane(id);
        let mut turn = lane.turn.lock().await;
        turn.close();
        let row = self.tables.recording(&id).await?;
        // What is stored has its hash in the row, so that a removal that was interrupted can be asked for again;
        // of what only arrived, the file is freed at the next start.
        if row.is_some_and(|row| row.phase == Phase::Stored) {
            self.intake.remove(id).await?;
            self.tables.remove_recording(&id, clock::now()).await?;
        } else {
            self.tables.remove_recording(&id, clock::now()).await?;
            self.intake.remove(id).await?;
        }
        Ok(())
    }

    /// Frees what an earlier run could not: files of recordings that are stored or removed.
    pub async fn clear(&self) -> Result<(), Error> {
        for (id, _) in self.intake.list().await? {
            match self.tables.recording(&id).await? {
                Some(row) if row.removed.is_some() => self.intake.remove(id).await?,
                Some(row) if row.phase == Phase::Stored => {
                    self.intake.release(id).await?;
                }
                Some(_) => {}
                None => {
                    tracing::warn!(%id, "a recording's file has no row in the database; left alone")
                }
            }
        }
        Ok(())
    }
}

fn stored_events(
    row: &store::tables::Recording,
    bytes: u64,
    report: &Report,
) -> Vec<model::AuditEvent> {
    let about = |what| {
        let mut event = ledger::event(what);
        event.time = clock::now();
        (event.user, event.login) = (Some(row.user.clone()), Some(row.login.clone()));
        (event.node, event.session) = (Some(row.node.clone()), Some(row.id));
        event.connection = Some(row.connection);
        event
    };
    let verification = report.verdict.to_string();
    let mut events = vec![about(Audited::RecordingStored { bytes, verification })];
    if report.verdict == Verdict::Broken {
        let why = report.faults.first().map_or_else(String::new, |fault| {
            format!("record {} at byte {}: {}", fault.record, fault.offset, fault.what)
        });
        events.push(about(Audited::Tampering { why }));
    }
    events
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Error> {
    Ok(tokio::task::spawn_blocking(work).await.map_err(|_| IntakeError::Stopping)?)
}

//! Recordings whose end has come: sealed, verified, put into the final store. Each step may be repeated after a crash.

use crate::clock;
use crate::error::{Error, chain};
use crate::inflow::Inflow;
use crate::ledger::{self, Ledger};
use model::audit::Audited;
use model::limit::{SEAL_TURNS, SHUTDOWN_MS};
use model::{NodeName, SessionId};
use record::{Report, Verdict};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use store::intake::IntakeError;
use store::tables::{Filed, Phase, Recording};
use tokio::sync::{broadcast, mpsc};
use tokio::task::{self, JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Requests for a sealing that were not looked at yet. Overflow: the next sweep finds them in the database.
const QUEUE: usize = 1024;
/// Stored recordings that a waiting request may be behind, at most.
const TOLD: usize = 256;
/// What sealing adds to a recording beside a copy of it, at most, in bytes: index and seal.
const SEAL_BYTES: u64 = 256 * 1024;
/// Before the first try after a failure; each further one waits twice as long, up to [`SWEEP_EVERY`].
const AGAIN: Duration = Duration::from_secs(2);
/// Between two looks for recordings that were not sealed when their end came.
const SWEEP_EVERY: Duration = Duration::from_secs(30);
/// How long those that are sealed are waited for when auth stops; less than auth waits for its chores.
const STOPS_WITHIN: Duration = Duration::from_millis(SHUTDOWN_MS / 5 * 4);

/// Asks for recordings to be sealed.
pub struct Sealer {
    queue: mpsc::Sender<Ended>,
    /// Those that were stored. Overflow: who waits is not told, and asks again.
    done: broadcast::Sender<SessionId>,
}

/// The work behind [`Sealer`].
pub struct SealerWork {
    queue: mpsc::Receiver<Ended>,
    done: broadcast::Sender<SessionId>,
}

/// A recording whose end is there, or may be.
struct Ended {
    node: NodeName,
    id: SessionId,
    /// It was listed without an end, which an earlier run may have received without knowing.
    left: bool,
}

/// What recordings are sealed with.
struct Sealing {
    inflow: Arc<Inflow>,
    ledger: Arc<Ledger>,
}

/// What became of a sealing.
enum Outcome {
    Stored,
    /// Its end is not there, or there is no room for it, or it was removed.
    NotReady,
    Failed,
}

/// Recordings that are sealed, and those that wait for their turn: no more than are not stored.
struct Line {
    sealing: Arc<Sealing>,
    waiting: VecDeque<Ended>,
    work: JoinSet<Outcome>,
    /// What `work` is about.
    sealed: HashMap<task::Id, Ended>,
    /// All in the line, and whether each was asked for once more since it came in.
    known: BTreeMap<SessionId, bool>,
    /// Whether something went wrong since the line was last empty.
    failed: bool,
}

impl Sealer {
    /// The two ends.
    pub fn new() -> (Self, SealerWork) {
        let (sender, queue) = mpsc::channel(QUEUE);
        let done = broadcast::Sender::new(TOLD);
        (Self { queue: sender, done: done.clone() }, SealerWork { queue, done })
    }

    /// Asks for a recording of a node to be sealed, and waits a while. `true` once it is stored.
    pub async fn seal_within(&self, node: &NodeName, id: SessionId, wait: Duration) -> bool {
        let mut done = self.done.subscribe();
        if self.queue.try_send(Ended { node: node.clone(), id, left: false }).is_err() {
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
    /// Seals until stopped: first what an earlier run left, then what comes, and what was missed. What is being sealed then
    /// is waited for a while.
    pub async fn run(mut self, inflow: Arc<Inflow>, ledger: Arc<Ledger>, stop: CancellationToken) {
        // Before anything is sealed here.
        match stop.run_until_cancelled(inflow.clear()).await {
            None => return,
            Some(Ok(())) => {}
            Some(Err(error)) => {
                tracing::error!(
                    error = chain(&error),
                    "files of stored recordings cannot be freed"
                );
            }
        }
        let sealing = Arc::new(Sealing { inflow, ledger });
        let mut line = Line::new(Arc::clone(&sealing));
        let mut sweep = tokio::time::interval(SWEEP_EVERY);
        let mut retry = Retry { at: None, again: AGAIN };
        // Until ends were looked for once.
        let mut first = true;
        loop {
            let mut look = false;
            tokio::select! {
                () = stop.cancelled() => break,
                Some(ended) = line.work.join_next_with_id() => match line.ended(ended, &self.done) {
                    None => {}
                    Some(true) => retry.went_well(),
                    Some(false) => retry.failed(),
                },
                asked = self.queue.recv() => match asked {
                    Some(ended) => line.push(ended),
                    None => break,
                },
                () = sealing.inflow.storage.eased.notified() => look = true,
                () = retry.due() => {
                    retry.at = None;
                    look = true;
                }
                _ = sweep.tick() => {
                    sealing.inflow.forget_idle();
                    look = true;
                }
            }
            if look {
                match line.sweep(first).await {
                    Ok(()) => first = false,
                    Err(error) => {
                        tracing::error!(error = chain(&error), "cannot list recordings");
                        retry.failed();
                    }
                }
            }
            line.begin();
        }
        line.stop().await;
    }
}

/// When what failed is tried again.
struct Retry {
    at: Option<Instant>,
    again: Duration,
}

impl Retry {
    fn went_well(&mut self) {
        self.again = AGAIN;
    }

    fn failed(&mut self) {
        self.at = Some(Instant::now() + self.again);
        self.again = (self.again * 2).min(SWEEP_EVERY);
    }

    /// Waits until then.
    async fn due(&self) {
        match self.at {
            Some(at) => tokio::time::sleep_until(at).await,
            None => std::future::pending().await,
        }
    }
}

impl Line {
    fn new(sealing: Arc<Sealing>) -> Self {
        let (waiting, work, sealed) = (VecDeque::new(), JoinSet::new(), HashMap::new());
        Self { sealing, waiting, work, sealed, known: BTreeMap::new(), failed: false }
    }

    /// Puts a recording in, if it is not there already.
    fn push(&mut self, ended: Ended) {
        if let Some(again) = self.known.get_mut(&ended.id) {
            *again = true;
            return;
        }
        self.known.insert(ended.id, false);
        self.waiting.push_back(ended);
    }

    /// Gives out the turns that are free. A node whose recordings are much work leaves turns for those of others.
    fn begin(&mut self) {
        let (all, each) = SEAL_TURNS;
        while self.work.len() < all {
            let has_turn = |one: &Ended| {
                self.sealed.values().filter(|other| other.node == one.node).count() < each
            };
            let Some(next) = self.waiting.iter().position(has_turn) else { return };
            let Some(ended) = self.waiting.remove(next) else { return };
            let (sealing, node) = (Arc::clone(&self.sealing), ended.node.clone());
            let Ended { id, left, .. } = ended;
            let task = self.work.spawn(async move { sealing.seal(node, id, left).await });
            self.sealed.insert(task.id(), ended);
        }
    }

    /// Puts all in that are not stored, and whose end is there. The first time, ends are looked for.
    async fn sweep(&mut self, first: bool) -> Result<(), Error> {
        let rows = self.sealing.inflow.tables.unfiled_recordings().await?;
        #[expect(clippy::cast_precision_loss, reason = "a gauge; exact to 2^52 recordings")]
        metrics::gauge!("scry_auth_recordings_live").set(rows.len() as f64);
        for row in rows {
            let left = row.ending.is_none();
            if first || !left {
                self.push(Ended { node: row.node, id: row.id, left });
            }
        }
        Ok(())
    }

    /// One is done. Once none is left: whether all of them went well.
    fn ended(
        &mut self,
        ended: Result<(task::Id, Outcome), JoinError>,
        done: &broadcast::Sender<SessionId>,
    ) -> Option<bool> {
        let task = ended.as_ref().map_or_else(JoinError::id, |(task, _)| *task);
        let which = self.sealed.remove(&task)?;
        let id = which.id;
        let again = self.known.remove(&id).unwrap_or(false);
        match ended {
            Ok((_, Outcome::Stored)) => {
                // Nobody may be waiting.
                let _ = done.send(id);
            }
            Ok((_, Outcome::NotReady)) if again => self.push(Ended { left: false, ..which }),
            Ok((_, Outcome::NotReady)) => {}
            Ok((_, Outcome::Failed)) => self.failed = true,
            Err(error) => {
                tracing::error!(%id, %error, "the sealing of a recording broke off");
                self.failed = true;
            }
        }
        self.known.is_empty().then(|| !std::mem::take(&mut self.failed))
    }

    /// Waits for those that are being sealed.
    async fn stop(mut self) {
        let all = async {
            while let Some(ended) = self.work.join_next_with_id().await {
                self.sealed.remove(&ended.map_or_else(|error| error.id(), |(task, _)| task));
            }
        };
        if tokio::time::timeout(STOPS_WITHIN, all).await.is_err() {
            for Ended { id, .. } in self.sealed.values() {
                tracing::warn!(%id, "a recording was being sealed; that is done at the next start");
            }
            self.work.shutdown().await;
        }
    }
}

impl Sealing {
    async fn seal(&self, node: NodeName, id: SessionId, left: bool) -> Outcome {
        if left && !self.recovered(node, id).await {
            return Outcome::NotReady;
        }
        match self.inflow.seal(&self.ledger, id).await {
            Ok(true) => Outcome::Stored,
            Ok(false) => Outcome::NotReady,
            Err(error) => {
                tracing::error!(%id, error = chain(&error), "a recording cannot be stored yet");
                Outcome::Failed
            }
        }
    }

    /// Whether the end of a recording that an earlier run left is there.
    async fn recovered(&self, node: NodeName, id: SessionId) -> bool {
        match self.inflow.recover(id).await {
            Ok(ended) => ended,
            Err(error) => {
                tracing::error!(%id, error = chain(&error), "a recording cannot be recovered");
                if let Error::Damaged { what, .. } = error {
                    let mut event = ledger::event(Audited::Tampering { why: what });
                    (event.session, event.node) = (Some(id), Some(node));
                    self.ledger.tell(vec![event]).await;
                }
                false
            }
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
        let Some(_room) = self.storage.promise(row.bytes.saturating_add(SEAL_BYTES)) else {
            tracing::warn!(%id, bytes = row.bytes, "a recording waits for space in the final store");
            return Ok(false);
        };
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

fn stored_events(row: &Recording, bytes: u64, report: &Report) -> Vec<model::AuditEvent> {
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

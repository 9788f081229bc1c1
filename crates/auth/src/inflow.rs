//! Recordings as they arrive: each record checked, fsynced, receipted. Nothing that was receipted is ever missing.
//!
//! Order of a shipment: row (with the heading) → file, fsynced → receipt → row → answer.
//! A crash between any two leaves a file that is at least as long as every answer that was given.

mod load;
mod seats;
#[cfg(test)]
mod tests;

use crate::clock;
use crate::error::{Error, Refusal};
use crate::keys::Keys;
use crate::ledger;
use crate::steps::Steps;
use crate::storage::Storage;
use bytes::Bytes;
use load::{Expected, Load};
use model::audit::Audited;
use model::entry::{Ending, Gap, GapCause};
use model::seal::{Head, Receipt};
use model::{AuditEvent, NodeName, SessionId};
use record::{Chain, Counter};
use seats::{Seat, Seats};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use store::intake::{Intake, IntakeError, IntakeFile};
use store::tables::{Advance, Part, Phase, Recording, Tables};
use tokio::sync::watch;
use wire::Fault;
use wire::recording::Progress;

/// After this time without a shipment, a recording's file is closed until the next.
const IDLE: Duration = Duration::from_secs(300);

/// All recordings that arrive.
pub struct Inflow {
    pub(crate) cluster: String,
    pub(crate) tables: Tables,
    pub(crate) intake: Intake,
    pub(crate) keys: Arc<Keys>,
    pub(crate) storage: Arc<Storage>,
    /// Recordings that were shipped lately. Locked for a look-up only; shipments run side by side.
    pub(crate) lanes: Mutex<BTreeMap<SessionId, Arc<Lane>>>,
    /// For the files that are open.
    pub(crate) seats: Arc<Seats>,
    pub(crate) steps: Steps,
}

/// One recording's way in.
pub(crate) struct Lane {
    /// One shipment after the other: each begins where the one before it ended.
    pub(crate) turn: tokio::sync::Mutex<Turn>,
    /// Bytes of the file that are on the disk, for those who follow it.
    grown: watch::Sender<u64>,
    /// When it was last used. Locked for a moment.
    used: Mutex<Instant>,
}

/// What only the one whose turn it is may touch.
#[derive(Default)]
pub(crate) struct Turn {
    open: Option<Open>,
    /// For the file; taken before it is opened, and kept until it is closed.
    seat: Option<Seat>,
    /// Records that were there when a wrong one came; the same one again is not audited again.
    wrong_after: Option<u64>,
}

/// A recording's file and where its chain stands.
struct Open {
    file: IntakeFile,
    chain: Chain,
    /// Bytes of the file that are on the disk and fit the chain.
    len: u64,
    receipt: Option<Receipt>,
    counter: Counter,
    /// An append, or its row, failed: what is in the file must be looked at again.
    unsure: bool,
}

/// What became of a shipment.
#[derive(Debug)]
pub struct Taken {
    /// The answer: how far the recording is, or why it is not taken.
    pub answer: Result<Progress, Refusal>,
    /// For the ledger.
    pub events: Vec<AuditEvent>,
    /// The end is there, and the recording can be sealed.
    pub ended: bool,
}

/// What is known of a recording that a node asks for.
enum Place {
    New,
    Arriving(Box<Recording>),
    /// Its end is there. Its file is the sealer's, and may hold half a seal.
    Ended(Option<Receipt>),
    Stored(Option<Receipt>),
}

impl Inflow {
    /// Takes whole records, the first being number `after` + 1. Of a shipment with a wrong record,
    /// nothing from that record on is written.
    pub async fn take(
        &self,
        node: &Part,
        id: SessionId,
        after: u64,
        body: Bytes,
    ) -> Result<Taken, Refusal> {
        if let Some(taken) = self.place(&node.name, id).await?.over() {
            return Ok(taken);
        }
        let lane = self.lane(id);
        let mut turn = lane.turn.lock().await;
        // Asked again: the end may have come while this waited for its turn.
        let place = self.place(&node.name, id).await?;
        if let Some(taken) = place.over() {
            return Ok(taken);
        }
        self.seat(&mut turn, &node.name, &lane)?;
        self.open(&mut turn, id, &place).await?;
        let records = turn.open.as_ref().map_or(0, |open| open.chain.head().records);
        if after < records {
            return Ok(Taken::nothing(turn.progress()));
        }
        if after > records {
            let next = after.saturating_add(1);
            let words = format!("{records} records are here, so the next cannot be number {next}");
            return Err(Refusal::new(Fault::Conflict, words));
        }
        let chain = turn.open.as_ref().map(|open| open.chain.clone());
        let chain = chain.unwrap_or_else(|| Chain::new(&[self.keys.seal_key()]));
        let expected = Expected { id, node: &node.name, cluster: &self.cluster };
        let load = Load::check(&expected, chain, &body)
            .map_err(|_| Refusal::malformed("the shipment ends inside a record"))?;
        let body = body.slice(..load.good);
        if !body.is_empty() {
            self.storage.admit(&node.name, body.len() as u64)?;
            let grown = self.store(&mut turn, node, id, &load, &body).await?;
            lane.tell(grown);
        }
        Ok(self.taken(&mut turn, &node.name, id, load))
    }

    /// Where auth stands with a recording of this node.
    pub async fn progress(&self, node: &NodeName, id: SessionId) -> Result<Progress, Refusal> {
        if let Some(taken) = self.place(node, id).await?.over() {
            return taken.answer;
        }
        let lane = self.lane(id);
        let mut turn = lane.turn.lock().await;
        let place = self.place(node, id).await?;
        if let Some(taken) = place.over() {
            return taken.answer;
        }
        if matches!(place, Place::Arriving(_)) {
            self.seat(&mut turn, node, &lane)?;
        }
        self.open(&mut turn, id, &place).await?;
        Ok(turn.progress())
    }

    /// Looks after a recording that an earlier run left behind. Answers whether its end is there.
    pub async fn recover(&self, id: SessionId) -> Result<bool, Error> {
        let lane = self.lane(id);
        let mut turn = lane.turn.lock().await;
        // It may have come to its end, or have been removed, since it was listed.
        let Some(row) = self.tables.recording(&id).await? else { return Ok(false) };
        if row.removed.is_some() || row.phase == Phase::Stored {
            return Ok(false);
        }
        if row.ending.is_some() {
            return Ok(true);
        }
        if self.seat(&mut turn, &row.node, &lane).is_err() {
            // Its node ships so much already; it comes with this one, too.
            return Ok(false);
        }
        self.open(&mut turn, id, &Place::Arriving(Box::new(row))).await?;
        Ok(turn.open.as_ref().is_some_and(|open| open.chain.ended().is_some()))
    }

    /// Tells the durable length of a recording's file as it grows.
    pub fn growth(&self, id: SessionId) -> watch::Receiver<u64> {
        self.lane(id).grown.subscribe()
    }

    /// Forgets recordings that were not shipped for a while.
    pub fn forget_idle(&self) {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        lanes.retain(|_, lane| {
            lane.used().elapsed() < IDLE
                || Arc::strong_count(lane) > 1
                || lane.grown.receiver_count() > 0
        });
    }

    pub(crate) fn lane(&self, id: SessionId) -> Arc<Lane> {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        let lane = lanes.entry(id).or_insert_with(|| Arc::new(Lane::new()));
        *lane.used.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        Arc::clone(lane)
    }

    /// Only the node that began a recording may go on with it, or learn that it is there.
    async fn place(&self, node: &NodeName, id: SessionId) -> Result<Place, Refusal> {
        let Some(row) = self.tables.recording(&id).await? else { return Ok(Place::New) };
        if row.node != *node {
            let why = format!("recording {id} is of node {}, and {node} asked for it", row.node);
            let words = "this recording is another node's";
            return Err(Refusal::denied("recording.ship", &why, words).about(id));
        }
        // Of one that was removed, too, the node may free its spool.
        if row.phase == Phase::Stored || row.removed.is_some() {
            return Ok(Place::Stored(row.receipt));
        }
        if row.ending.is_some() {
            return Ok(Place::Ended(row.receipt));
        }
        Ok(Place::Arriving(Box::new(row)))
    }

    /// Makes sure that a recording has a seat for its file.
    fn seat(&self, turn: &mut Turn, node: &NodeName, lane: &Arc<Lane>) -> Result<(), Refusal> {
        if turn.seat.is_none() {
            turn.seat = self.seats.take(node, lane);
        }
        if turn.seat.is_some() {
            return Ok(());
        }
        let words = "too many recordings are shipped at once: ship this one again in a moment";
        Err(Refusal::new(Fault::Unavailable, words))
    }

    /// Makes sure that the file of a recording that is known is open, and that what stands in it is certain.
    async fn open(&self, turn: &mut Turn, id: SessionId, place: &Place) -> Result<(), Error> {
        if turn.open.as_ref().is_some_and(|open| open.unsure) {
            turn.open = None;
        }
        if let (None, Place::Arriving(row)) = (&turn.open, place) {
            turn.open = Some(self.reopen(id, row.records, row.receipt.clone()).await?);
        }
        Ok(())
    }

    /// Opens the file and builds its chain; cuts off what a crash tore; receipts what the row does not know of yet.
    async fn reopen(
        &self,
        id: SessionId,
        known: u64,
        receipt: Option<Receipt>,
    ) -> Result<Open, Error> {
        let file = self.intake.open_file(id).await?;
        let (source, key) = (file.source(), self.keys.seal_key());
        let scan = tokio::task::spawn_blocking(move || Chain::over(&source, &[key]));
        let scanned = scan.await.map_err(|_| IntakeError::Stopping)?;
        let damaged = |what: String| Error::Damaged { id, what };
        let (chain, counter) = scanned.map_err(|corrupt| damaged(corrupt.to_string()))?;
        let records = chain.head().records;
        if records < known {
            return Err(damaged(format!(
                "{known} records were receipted, but {records} are there"
            )));
        }
        file.truncate(chain.valid_len()).await?;
        // An append syncs even if it is empty: the run before may have ended between its write and its sync.
        let len = file.append(Bytes::new()).await?;
        let mut open = Open { file, chain, len, receipt, counter, unsure: false };
        if records > known {
            self.advance(id, &mut open).await?;
        }
        Ok(open)
    }

    /// Writes the good records of a shipment, durably. Answers the file's length.
    async fn store(
        &self,
        turn: &mut Turn,
        node: &Part,
        id: SessionId,
        load: &Load,
        body: &Bytes,
    ) -> Result<u64, Error> {
        if let Some(heading) = &load.heading {
            self.tables.begin_recording(heading, &node.labels, clock::now()).await?;
            self.steps.step("row begun")?;
        }
        if turn.open.is_none() {
            turn.open = Some(self.reopen(id, 0, None).await?);
        }
        let Some(open) = turn.open.as_mut() else { return Ok(0) };
        // A file without a row is there only if the database is older than the file; it has what comes here.
        if open.chain.head().records == 0 || load.heading.is_none() {
            // Until the row is advanced too: else what follows would be answered from a receipt that is behind the file.
            open.unsure = true;
            self.append(open, load, body).await?;
            self.steps.step("appended")?;
            self.advance(id, open).await?;
            self.steps.step("row advanced")?;
            open.unsure = false;
        }
        metrics::counter!("scry_auth_received_bytes").increment(body.len() as u64);
        Ok(open.len)
    }

    /// Appends the records; a receipt goes into the file behind the last checkpoint among them.
    async fn append(&self, open: &mut Open, load: &Load, body: &Bytes) -> Result<(), Error> {
        let mut behind = Vec::new();
        if let Some(head) = load.signed_head {
            open.file.append(body.slice(..load.signed)).await?;
            self.steps.step("checkpoint appended")?;
            behind.extend_from_slice(&record::receipt_record(&self.sign(&open.file.id(), head)));
        }
        behind.extend_from_slice(body.get(load.signed..).unwrap_or_default());
        open.len = open.file.append(behind.into()).await?;
        open.chain = load.chain.clone();
        open.counter.add(load.counter.clone());
        Ok(())
    }

    /// Signs what is on the disk, and notes it.
    async fn advance(&self, id: SessionId, open: &mut Open) -> Result<(), Error> {
        let receipt = self.sign(&id, open.chain.head());
        let advance = Advance {
            length_ms: open.chain.last_at_ms(),
            bytes: open.len,
            gaps: open.chain.gaps(),
            tally: open.counter.tally(),
            ending: open.chain.ended().map(ending_words),
            receipt: receipt.clone(),
        };
        self.tables.advance_recording(&id, &advance, clock::now()).await?;
        open.receipt = Some(receipt);
        Ok(())
    }

    fn sign(&self, id: &SessionId, head: Head) -> Receipt {
        let received = clock::now();
        let signature = self.keys.sign_seal(&head.receipt_statement(id, received));
        Receipt { head, received, key: self.keys.seal_key(), signature }
    }

    fn taken(&self, turn: &mut Turn, node: &NodeName, id: SessionId, load: Load) -> Taken {
        let about = |what| {
            let mut event = ledger::event(what);
            event.node = Some(node.clone());
            event.session = Some(id);
            event
        };
        let mut events: Vec<_> =
            load.gaps_here.iter().map(|(gap, count)| about(gap_recorded(gap, *count))).collect();
        let ended = turn.open.as_ref().is_some_and(|open| open.chain.ended().is_some());
        let Some(wrong) = load.wrong else {
            return Taken { answer: Ok(turn.progress()), events, ended };
        };
        let records = load.chain.head().records;
        if turn.wrong_after != Some(records) {
            turn.wrong_after = Some(records);
            tracing::warn!(%node, %id, records, wrong, "a shipped record was refused");
            events.push(about(Audited::Tampering { why: wrong.clone() }));
        }
        let next = records.saturating_add(1);
        let refusal = Refusal::malformed(format!("record number {next} is refused: {wrong}"));
        Taken { answer: Err(refusal), events, ended }
    }
}

impl Place {
    /// The answer for a recording that takes nothing more: whole, stored or removed. Sealing may take long,
    /// so that it is given without waiting for a turn.
    fn over(&self) -> Option<Taken> {
        let (receipt, stored) = match self {
            Self::New | Self::Arriving(_) => return None,
            Self::Ended(receipt) => (receipt.clone(), false),
            Self::Stored(receipt) => (receipt.clone(), true),
        };
        let progress = Progress { receipt, stored, last_at_ms: 0, ended: true, whole: true };
        Some(Taken { ended: !stored, ..Taken::nothing(progress) })
    }
}

impl Lane {
    fn new() -> Self {
        Self {
            turn: tokio::sync::Mutex::default(),
            grown: watch::Sender::new(0),
            used: Mutex::new(Instant::now()),
        }
    }

    /// Tells those who follow that the file has this length on the disk.
    pub(crate) fn tell(&self, len: u64) {
        self.grown.send_replace(len);
    }

    fn used(&self) -> Instant {
        *self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes the file, unless it is being used. Answers whether it did.
    fn close(&self) -> bool {
        self.turn.try_lock().map(|mut turn| turn.close()).is_ok()
    }
}

impl Turn {
    /// Closes the file; the next shipment opens it again.
    pub(crate) fn close(&mut self) {
        self.open = None;
        self.seat = None;
    }

    /// How far the recording is, as a node that has lost its memory must know it to go on.
    fn progress(&self) -> Progress {
        let chain = self.open.as_ref().map(|open| &open.chain);
        Progress {
            receipt: self.receipt(),
            stored: false,
            last_at_ms: chain.map_or(0, Chain::last_at_ms),
            ended: chain.is_some_and(Chain::has_ending),
            whole: chain.is_some_and(|chain| chain.ended().is_some()),
        }
    }

    fn receipt(&self) -> Option<Receipt> {
        self.open.as_ref().and_then(|open| open.receipt.clone())
    }
}

impl Taken {
    fn nothing(progress: Progress) -> Self {
        Self { answer: Ok(progress), events: Vec::new(), ended: false }
    }
}

/// How a session ended, in the words of lists.
pub fn ending_words(ending: &Ending) -> String {
    match ending {
        Ending::Exit { status } => format!("exit {status}"),
        Ending::Signal { name, core: false } => format!("signal {name}"),
        Ending::Signal { name, core: true } => format!("signal {name}, core dumped"),
        Ending::Disconnected => "disconnected".to_owned(),
        Ending::Stopped { why } => format!("stopped: {why}"),
        Ending::NotStarted { why } => format!("not started: {why}"),
        Ending::Crashed => "crashed".to_owned(),
        Ending::NobodyLeft => "nobody is left".to_owned(),
    }
}

fn gap_recorded(gap: &Gap, count: u64) -> Audited {
    let cause = match gap.cause {
        GapCause::Crash => "crash",
        GapCause::DiskFull => "disk full",
        GapCause::DiskFailed => "disk failed",
        GapCause::Damaged => "damaged",
        GapCause::Redacted => "redacted",
        GapCause::Kernel => "kernel",
        GapCause::Unwatched => "unwatched",
        GapCause::Bound => "bound",
    };
    let gaps = (count > 1).then_some(count);
    Audited::GapRecorded { cause: cause.to_owned(), bytes: gap.bytes, gaps }
}

//! What the kernel sees of sessions: opened once for the node, and one sight for each session.

mod ration;

use crate::clock;
use crate::eyes::ration::Ration;
use crate::serve::Post;
use host::kernel::{Arch, Kernel as Program, Last, Owner, Place, Records};
use model::audit::Audited;
use model::entry::{Entry, Gap, GapCause};
use model::kernel::{
    Action, Class, Classes, Kernel, KernelEvent, LeftOut, Tampering, Totals, Unbound, Watch,
};
use model::limit::KERNEL_ENDED;
use model::role::{RecordingPolicy, Told};
use model::scope::Scope;
use model::{SessionId, Tick};
use policy::LoginPermit;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;
use trace::{Sessions, Signs, Trace, Traced};

/// Milliseconds for which losses gather into one gap.
const GAP_MS: u64 = 1_000;

/// The kernel program, or why there is none; `None` until it is known.
type Opened = Option<Arc<Result<Program, String>>>;

/// The node's way to the kernel program.
#[derive(Debug, Clone)]
pub(crate) struct Eyes {
    opened: watch::Receiver<Opened>,
    watched: Watched,
}

/// Whose places in the kernel's table are whose: written when a session comes or goes, read whenever records of any of them
/// are. The lock is held for a copy of a pointer, or of a thousand entries.
#[derive(Debug, Clone, Default)]
struct Watched(Arc<Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    sessions: Arc<Sessions>,
    /// Of these, those that are over, the longest over first. No place is given twice.
    ended: VecDeque<Owner>,
}

impl Watched {
    fn now(&self) -> Arc<Sessions> {
        Arc::clone(&self.lock().sessions)
    }

    fn begun(&self, owner: Owner, id: SessionId) {
        Arc::make_mut(&mut self.lock().sessions).insert(owner, id);
    }

    fn ended(&self, owner: Owner) {
        let mut known = self.lock();
        known.ended.push_back(owner);
        if known.ended.len() > KERNEL_ENDED
            && let Some(first) = known.ended.pop_front()
        {
            Arc::make_mut(&mut known.sessions).remove(&first);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// That a session stands among them, until it is dropped, and a while longer.
struct Listed {
    watched: Watched,
    owner: Owner,
}

impl Listed {
    fn new(watched: &Watched, owner: Owner, id: SessionId) -> Self {
        watched.begun(owner, id);
        Self { watched: watched.clone(), owner }
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.watched.ended(self.owner);
    }
}

/// Begins to hand the program to the kernel, which takes its time; sessions that come before wait for it.
pub(crate) fn open() -> (Eyes, impl Future<Output = ()> + Send) {
    let (tell, opened) = watch::channel(None);
    let opening = async move {
        let loaded = tokio::task::spawn_blocking(Program::load).await;
        let loaded = match loaded {
            Ok(loaded) => loaded.map_err(|why| why.to_string()),
            Err(error) => Err(format!("the recorder could not be loaded: {error}")),
        };
        match &loaded {
            Ok(program) => say(program),
            Err(why) => tracing::warn!(why, "the kernel does not see what runs in sessions"),
        }
        tell.send_replace(Some(Arc::new(loaded)));
        // Until the node ends: those who ask later still want the answer.
        tell.closed().await;
    };
    (Eyes { opened, watched: Watched::default() }, opening)
}

fn say(program: &Program) {
    for part in program.parts() {
        if let Some(why) = &part.refused {
            tracing::warn!(part.name, part.place, why, "the kernel refuses a part of the recorder");
        }
    }
}

impl Eyes {
    async fn opened(&self) -> Arc<Result<Program, String>> {
        let mut opened = self.opened.clone();
        match opened.wait_for(Option::is_some).await.map(|opened| opened.clone()) {
            Ok(Some(opened)) => opened,
            _ => Arc::new(Err("the node is going down".to_owned())),
        }
    }
}

/// What is wanted of the kernel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Wants {
    pub classes: Classes,
    /// Which of its files and connections are recorded.
    #[serde(default)]
    pub scope: Scope,
    /// Whether nothing may run that it does not see.
    pub required: bool,
    /// Whether the session stands still rather than that something is lost.
    pub lossless: bool,
    /// What of it the ledger is told one by one.
    #[serde(default)]
    pub ledger: BTreeSet<Told>,
}

impl Wants {
    pub fn of(permit: &LoginPermit) -> Self {
        let terms = permit.terms();
        let (required, lossless) = (terms.kernel_required, terms.kernel_lossless);
        let scope = terms.kernel_scope.clone();
        let ledger = terms.kernel_ledger.clone();
        Self { classes: terms.kernel, scope, required, lossless, ledger }
    }
}

/// What the kernel sees of one session.
pub(crate) struct Sight {
    watch: Watch,
    scope: Scope,
    seeing: Option<Seeing>,
    ready: VecDeque<Entry>,
    counts: Counts,
    /// Records that are missing and stand in no gap yet, and since when.
    missing: Option<(u64, Tick)>,
    signs: Signs,
    /// For the ledger.
    told: Vec<Audited>,
    ration: Ration,
    /// Bytes of records that were read.
    bytes: u64,
    /// Processes that went on when the watch ended.
    left: u32,
}

struct Seeing {
    place: Place,
    records: Records,
    trace: Trace,
    listed: Listed,
}

#[derive(Default)]
struct Counts {
    programs: u64,
    files: u64,
    connections: u64,
}

impl Sight {
    /// Takes a place under the kernel's eyes for a session that is recorded. `None` if nobody wants anything seen.
    ///
    /// # Errors
    /// When the role wants no session that the kernel does not see, with why it does not.
    pub async fn open(
        post: &Post,
        permit: &LoginPermit,
        id: SessionId,
    ) -> Result<Option<Self>, String> {
        let wants = Wants::of(permit);
        if permit.terms().record == RecordingPolicy::Off || !wants.classes.any() {
            return Ok(None);
        }
        Self::of(post, wants, id).await.map(Some)
    }

    /// One that sees what is wanted of a session, or of what it left running, as far as it can be had.
    ///
    /// # Errors
    /// When nothing may run that the kernel does not see, with why it does not.
    pub async fn of(post: &Post, wants: Wants, id: SessionId) -> Result<Self, String> {
        let Wants { classes: wants, scope, required, lossless, ledger } = wants;
        let opened = post.kernel.opened().await;
        // Attaching what is wanted for the first time takes some milliseconds, in which the lane would stand still.
        let opening = tokio::task::spawn_blocking(move || match &*opened {
            Ok(program) => program.open(wants, lossless).map_err(|why| why.to_string()),
            Err(why) => Err(why.clone()),
        });
        let given = opening.await.unwrap_or_else(|error| Err(error.to_string()));
        let (watch, seeing) = match given {
            Ok((_, _, classes, lacks)) if required && classes != wants => return Err(lacks),
            Ok((place, records, classes, lacks)) => {
                let arch = Arch::OWN.ok_or("this processor's calls are not known")?;
                let mounts = host::kernel::mounts();
                let trace = Trace::new(arch, 0).within(scope.clone()).in_mounts(mounts);
                let listed = Listed::new(&post.kernel.watched, place.owner(), id);
                (Watch { classes, lacks }, Some(Seeing { place, records, trace, listed }))
            }
            Err(why) if required => return Err(why),
            Err(lacks) => (Watch { classes: Classes::NONE, lacks }, None),
        };
        Ok(Self {
            watch,
            scope,
            seeing,
            ready: VecDeque::new(),
            counts: Counts::default(),
            missing: None,
            signs: Signs::default(),
            told: Vec::new(),
            ration: Ration::new(ledger),
            bytes: 0,
            left: 0,
        })
    }

    /// What is watched.
    pub fn watch(&self) -> &Watch {
        &self.watch
    }

    /// What stands in front of everything that is seen.
    pub fn opening(&self) -> Vec<Entry> {
        let scope = self.seeing.is_some() && !self.scope.is_all();
        let scope = scope.then(|| Kernel::Scope(self.scope.clone()));
        let all = [Some(Kernel::Watch(self.watch.clone())), scope];
        all.into_iter().flatten().map(Entry::Kernel).collect()
    }

    /// Nobody watched for a while: what happened meanwhile is not known, so nothing is left out from here on.
    pub fn missed(&mut self) {
        if let Some(seeing) = &mut self.seeing {
            seeing.trace.unbind(Unbound::Unwatched);
        }
        self.gather();
    }

    /// Where the session's process is put.
    pub fn place(&self) -> Option<Place> {
        self.seeing.as_ref().map(|seeing| seeing.place.clone())
    }

    /// The recording of what comes from here on began at this time of the kernel's clock.
    pub fn begin(&mut self, began: u64) {
        if let Some(seeing) = &mut self.seeing {
            seeing.trace.begin(began);
        }
    }

    /// How many processes the kernel's table holds.
    pub fn held(&self) -> u32 {
        self.seeing.as_ref().map_or(0, |seeing| seeing.place.held())
    }

    /// Whether there were more processes than the table holds, or took.
    pub fn overgrew(&self) -> bool {
        self.seeing.as_ref().is_some_and(|seeing| seeing.place.overgrew())
    }

    /// How many processes went on when the watch ended.
    pub fn left(&self) -> u32 {
        self.left
    }

    /// Bytes of records that were read so far.
    pub fn read_bytes(&self) -> u64 {
        self.bytes
    }

    /// The next entry.
    pub fn poll(&mut self) -> Option<Entry> {
        self.ready.pop_front()
    }

    /// What the ledger is to be told at once.
    pub fn told(&mut self) -> Vec<Audited> {
        std::mem::take(&mut self.told)
    }

    /// When [`Sight::handle_timeout`] wants to be called.
    pub fn poll_timeout(&self) -> Option<Tick> {
        let trace = self.seeing.as_ref().and_then(|seeing| seeing.trace.poll_timeout());
        let gap = self.missing.map(|(_, since)| since.plus_ms(GAP_MS));
        [trace, gap].into_iter().flatten().min()
    }

    /// Makes entries of what waited long enough.
    pub fn handle_timeout(&mut self) {
        let now = clock::tick();
        if let Some(seeing) = &mut self.seeing {
            seeing.trace.handle_timeout(now);
        }
        self.gather();
        if self.missing.is_some_and(|(_, since)| now >= since.plus_ms(GAP_MS)) {
            self.note_missing();
        }
    }

    /// Ends the watch. Everything seen before comes out of [`Sight::poll`]; answered is what the ledger is told.
    pub async fn finish(&mut self) -> Vec<Audited> {
        let Some(Seeing { records, mut trace, listed, .. }) = self.seeing.take() else {
            return Vec::new();
        };
        let last = records.finish().await;
        trace.know(listed.watched.now());
        self.read_last(&mut trace, &last);
        let now = clock::tick();
        trace.finish(now);
        while let Some(traced) = trace.poll() {
            self.take(traced, now);
        }
        self.left = last.totals.left;
        let left_out = trace.left_out();
        self.sum_up(last.totals, left_out)
    }

    /// Draws a line through the watch: everything seen before comes out of [`Sight::poll`] with its sums, answered is what
    /// the ledger is told of it, and what comes from here on belongs to the recording that is begun next.
    pub async fn cut(&mut self) -> Vec<Audited> {
        let Some(mut seeing) = self.seeing.take() else { return Vec::new() };
        let last = seeing.records.cut().await;
        seeing.trace.know(seeing.listed.watched.now());
        self.read_last(&mut seeing.trace, &last);
        seeing.trace.cut();
        let left_out = seeing.trace.left_out();
        self.seeing = Some(seeing);
        self.gather();
        let told = self.sum_up(last.totals, left_out);
        (self.counts, self.bytes) = (Counts::default(), 0);
        told
    }

    fn read_last(&mut self, trace: &mut Trace, last: &Last) {
        let now = clock::tick();
        for batch in &last.records {
            self.bytes = self.bytes.saturating_add(batch.len() as u64);
            read(trace, batch, now);
        }
        trace.lost(last.lost);
        trace.thrown_away(last.thrown_away);
    }

    fn sum_up(&mut self, totals: Totals, left_out: Option<LeftOut>) -> Vec<Audited> {
        self.note_missing();
        // Nobody knows when these were, nor how long.
        let unseen = totals.unseen();
        if unseen > 0 {
            self.note_gap(unseen, 0);
        }
        for found in self.signs.finish(&totals) {
            self.tampered(found);
        }
        if let Some(left_out) = left_out {
            self.ready.push_back(Entry::Kernel(Kernel::LeftOut(left_out)));
        }
        self.ready.push_back(Entry::Kernel(Kernel::Totals(totals)));
        let mut told = std::mem::take(&mut self.told);
        let events = self.events(totals, left_out.unwrap_or_default());
        told.extend(events);
        told
    }

    fn events(&mut self, totals: Totals, left_out: LeftOut) -> Vec<Audited> {
        let Totals { lost, beyond, unheld, skipped, left, .. } = totals;
        let Counts { programs, files, connections } = self.counts;
        let watched = self.watch.classes.to_string();
        let left = left.into();
        let left_out = left_out.files.saturating_add(left_out.network);
        let (told, untold) = self.ration.sums();
        let seen = Audited::KernelSeen {
            watched,
            programs,
            files,
            connections,
            left,
            left_out,
            told,
            untold,
        };
        let beyond = beyond.saturating_add(unheld);
        let short = lost > 0 || beyond > 0 || skipped > 0;
        let missed = short.then_some(Audited::KernelLost { lost, beyond, skipped });
        [Some(seen), missed].into_iter().flatten().collect()
    }

    /// Makes entries of what the trace has.
    fn gather(&mut self) {
        let now = clock::tick();
        while let Some(traced) = self.seeing.as_mut().and_then(|seeing| seeing.trace.poll()) {
            self.take(traced, now);
        }
    }

    fn take(&mut self, traced: Traced, now: Tick) {
        match traced {
            Traced::Did(event) => {
                self.counts.count(&event);
                let sign = self.signs.look(&event);
                self.told.extend(self.ration.spend(&event, now));
                self.ready.push_back(Entry::Kernel(Kernel::Did(event)));
                if let Some(found) = sign {
                    self.tampered(found);
                }
            }
            Traced::Unbound(why) => {
                self.ready.push_back(Entry::Kernel(Kernel::Unbound(why)));
            }
            Traced::Lost(more) => {
                let (count, _) = self.missing.get_or_insert((0, now));
                *count = count.saturating_add(more);
            }
        }
    }

    fn tampered(&mut self, found: Tampering) {
        self.told.push(Audited::KernelTampering { what: found.to_string() });
        self.ready.push_back(Entry::Kernel(Kernel::Tampering(found)));
    }

    /// A gap for what is missing so far.
    fn note_missing(&mut self) {
        let Some((count, since)) = self.missing.take() else { return };
        self.note_gap(count, clock::tick().since(since));
    }

    fn note_gap(&mut self, count: u64, ms: u64) {
        let gap = Gap { cause: GapCause::Kernel, bytes: None, entries: Some(count), ms };
        self.ready.push_back(Entry::Gap(gap));
    }
}

impl Counts {
    fn count(&mut self, event: &KernelEvent) {
        let times = u64::from(event.times);
        match (&event.action, event.action.class()) {
            (Action::Ran(_), _) => self.programs += 1,
            (_, Class::Files) => self.files = self.files.saturating_add(times),
            (_, Class::Network) => self.connections = self.connections.saturating_add(times),
            (_, Class::Commands) => {}
        }
    }
}

fn read(trace: &mut Trace, batch: &[u8], now: Tick) {
    let mut rest = batch;
    while let Some((record, more)) =
        trace::length(rest).and_then(|length| rest.split_at_checked(length))
    {
        trace.handle(record, now);
        rest = more;
    }
}

/// Completes when the kernel saw something of the session and it was made into entries. Cancel safe.
pub(crate) async fn seen(sight: &mut Option<Sight>) {
    let Some(sight) = sight else { return std::future::pending().await };
    let Some(seeing) = &mut sight.seeing else { return std::future::pending().await };
    let batch = seeing.records.next().await;
    sight.bytes = sight.bytes.saturating_add(batch.len() as u64);
    seeing.trace.know(seeing.listed.watched.now());
    read(&mut seeing.trace, &batch, clock::tick());
    seeing.trace.thrown_away(seeing.records.thrown_away());
    sight.gather();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whose_a_place_was_is_known_for_a_while_after_the_session_is_over() {
        let watched = Watched::default();
        let (last, id) = (KERNEL_ENDED as u32 + 1, SessionId::from_random([7; 16]));
        let owner = |turn| Owner { slot: 3, turn };
        let goes_on = Listed::new(&watched, owner(0), id);
        for turn in 1..=last {
            drop(Listed::new(&watched, owner(turn), id));
            assert_eq!(watched.now().get(&owner(turn)), Some(&id), "{turn}");
        }
        assert_eq!(watched.now().get(&owner(1)), None, "the longest over");
        assert_eq!(watched.now().len(), KERNEL_ENDED + 1);
        drop(goes_on);
    }
}

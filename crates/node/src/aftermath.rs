//! What a session has left running at its end: watched on, and recorded as the session's aftermath, until nobody is left.
//!
//! The session's own recording ends with the session. Behind it the watch goes on without a hole, and what it sees goes
//! into a recording of the kind `aftermath` that names the session. A node that is started anew finds these processes
//! by what it wrote down, and begins another such recording, with a gap for the time in between.

mod note;

use crate::alarm::Alarm;
use crate::clock;
use crate::eyes::{Sight, seen};
use crate::news::Latest;
use crate::recorder::{Recorder, audited};
use crate::serve::Post;
use crate::session::ended_words;
use host::Rest;
use link::Full;
use model::audit::Audited;
use model::entry::{Ending, Entry, Gap, GapCause};
use model::kernel::Kernel;
use model::limit::{AFTERMATH_BYTES, AFTERMATH_MS};
use model::{Heading, Kind, SessionId, Tick, UserName};
pub(crate) use note::Note;
use policy::{Denial, SessionFacts};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Milliseconds between two looks at the kernel's count of processes.
const LOOK_MS: u64 = 5_000;
/// And after something was seen: the last process may have ended.
const SOON_MS: u64 = 200;
/// Milliseconds between two looks at every process of the machine: whom the kernel's table has lost is found, and a table
/// that holds somebody who is no more keeps no recording open.
const FULL_LOOK_MS: u64 = 60_000;
/// Milliseconds between the hang-up and the kill of what is ended.
const END_MS: u64 = 250;

/// A session that has ended, and what it left.
pub(crate) struct Leaving {
    pub note: Note,
    pub rest: Rest,
    pub sight: Sight,
}

/// Records what a session has left running, until nobody is left, a lock or a bound ends it, or the node stops.
pub(crate) async fn follow(post: Arc<Post>, leaving: Leaving, stop: CancellationToken) {
    let Leaving { note, rest, sight } = leaving;
    let processes = match sight.overgrew() {
        true => rest.count().await.map_or(0, |count| count as u64),
        false => sight.held().into(),
    };
    run(post, (note, rest, sight), (processes, None), stop).await;
}

/// Finds what a session left running before this start, and goes on with it.
pub(crate) async fn again(post: Arc<Post>, id: SessionId, text: String, stop: CancellationToken) {
    let found = Note::read(id, &text).and_then(|note| {
        let rest = Rest::again(note.marks.as_ref()?, id)?;
        Some((note, rest))
    });
    let Some((note, rest)) = found else { return post.watched.forget(id) };
    if rest.count().await.is_none_or(|count| count == 0) {
        return post.watched.forget(id);
    }
    // Locks and roles as auth said them last, which a node that was never told any does not have.
    let mut latest = post.latest.clone();
    if latest.wait_for(Option::is_some).await.is_err() {
        return;
    }
    let opened = tokio::select! {
        opened = Sight::of(&post, note.wants.clone(), id) => opened,
        () = stop.cancelled() => return,
    };
    let entered = match opened {
        Ok(sight) => match sight.place() {
            Some(place) => {
                rest.enter(&place).await.map(|count| (sight, count)).map_err(|why| why.to_string())
            }
            None => Err(sight.watch().lacks.clone()),
        },
        Err(why) => Err(why),
    };
    let unwatched_ms = u64::try_from(clock::now().0.saturating_sub(note.watched.0)).unwrap_or(0);
    match entered {
        Ok((sight, count)) => {
            let processes = u64::try_from(count).unwrap_or(u64::MAX);
            run(post, (note, rest, sight), (processes, Some(unwatched_ms)), stop).await;
        }
        Err(why) => unwatched(&post, &note, &rest, (why, note.wants.required)).await,
    }
}

/// `unwatched_ms`: for how long they ran before with nobody watching.
async fn run(
    post: Arc<Post>,
    (note, rest, mut sight): (Note, Rest, Sight),
    (processes, unwatched_ms): (u64, Option<u64>),
    stop: CancellationToken,
) {
    if stop.is_cancelled() {
        return note.write(&post.watched);
    }
    let place = match post.aftermaths.take(note.heading.user.clone()) {
        Ok(place) => place,
        Err(full) => {
            let why = no_place(full, &note.heading.user);
            return unwatched(&post, &note, &rest, (why, note.wants.required)).await;
        }
    };
    let heading = Heading {
        id: SessionId::from_random(rand::random()),
        kind: Kind::Aftermath { of: note.heading.id },
        size: None,
        term: None,
        started: clock::now(),
        signer: post.standing.signer.borrow().clone(),
        ..note.heading.clone()
    };
    let mut recorder = match Recorder::begin(&post, &heading, note.record).await {
        Ok(recorder) => recorder,
        Err(error) => {
            let why = format!("it cannot be recorded: {}", model::words(&error));
            return unwatched(&post, &note, &rest, (why, true)).await;
        }
    };
    sight.begin(recorder.began);
    if let Some(ms) = unwatched_ms {
        let gap = Gap { cause: GapCause::Unwatched, bytes: None, entries: None, ms };
        recorder.take(Entry::Gap(gap));
        sight.missed();
    }
    for entry in sight.opening() {
        recorder.take(entry);
    }
    note.write(&post.watched);
    let unwatched_ms = unwatched_ms.unwrap_or(0);
    let began = Audited::AftermathBegan { recording: heading.id, processes, unwatched_ms };
    note.tell(&post, began);
    let now = clock::tick();
    let aftermath = Aftermath {
        strict: note.is_strict(),
        book: Book::default(),
        frozen: false,
        began: now,
        look_at: now.plus_ms(SOON_MS),
        full_look_at: now.plus_ms(FULL_LOOK_MS),
        latest: post.latest.clone(),
        sight: Some(sight),
        id: heading.id,
        note,
        rest,
        recorder,
        post,
    };
    aftermath.run(&stop).await;
    drop(place);
}

/// It is not watched, and is `ended` if it must be.
async fn unwatched(post: &Post, note: &Note, rest: &Rest, (why, ended): (String, bool)) {
    let processes = match ended {
        true => rest.end(Duration::from_millis(END_MS)).await.processes,
        false => rest.count().await.unwrap_or(0),
    };
    let processes = u64::try_from(processes).unwrap_or(u64::MAX);
    if processes > 0 {
        note.tell(post, Audited::AftermathUnwatched { processes, why, ended });
    }
    post.watched.forget(note.heading.id);
}

/// What its recording takes of it.
#[derive(Debug, Default)]
struct Book {
    /// Bytes of the kernel's records so far.
    bytes: u64,
    /// Events that were counted only, and since when.
    beyond: Option<(u64, Tick)>,
}

impl Book {
    fn is_full(&self) -> bool {
        self.bytes > AFTERMATH_BYTES
    }

    /// Whether the recording takes this; what it does not take is counted. Sums and signs it always takes.
    fn takes(&mut self, entry: &Entry, now: Tick) -> bool {
        let counted = self.is_full() && matches!(entry, Entry::Kernel(Kernel::Did(_)));
        if counted {
            self.beyond.get_or_insert((0, now)).0 += 1;
        }
        !counted
    }

    /// For what was counted only.
    fn gap(&self, now: Tick) -> Option<Gap> {
        let (count, since) = self.beyond?;
        let ms = now.since(since);
        Some(Gap { cause: GapCause::Bound, bytes: None, entries: Some(count), ms })
    }
}

/// Why an aftermath is over.
enum Over {
    NobodyLeft,
    Locked(Denial),
    /// A bound, or its recording failed; and whether its processes end by it.
    Bound {
        why: String,
        ends: bool,
    },
    Stopping,
}

struct Aftermath {
    post: Arc<Post>,
    note: Note,
    rest: Rest,
    /// Of its recording.
    id: SessionId,
    recorder: Recorder,
    sight: Option<Sight>,
    book: Book,
    strict: bool,
    /// While auth has not received what was recorded.
    frozen: bool,
    began: Tick,
    look_at: Tick,
    full_look_at: Tick,
    latest: Latest,
}

impl Aftermath {
    async fn run(mut self, stop: &CancellationToken) {
        // What was changed while it began is looked at first.
        self.latest.mark_changed();
        let mut alarm = Alarm::new();
        let over = loop {
            self.say_notices();
            if let Some(over) = self.must_end().await {
                break over;
            }
            let sight = self.sight.as_ref().and_then(Sight::poll_timeout);
            let looks = self.look_at.min(self.full_look_at);
            alarm.set(
                [sight, self.recorder.poll_timeout(), Some(looks)].into_iter().flatten().min(),
            );
            tokio::select! {
                biased;
                () = stop.cancelled() => break Over::Stopping,
                Ok(()) = self.latest.changed() => {
                    if let Err(denial) = self.runs_on() {
                        break Over::Locked(denial);
                    }
                }
                () = self.recorder.news() => {}
                () = alarm.rings() => {
                    self.recorder.handle_timeout();
                    if let Some(sight) = &mut self.sight {
                        sight.handle_timeout();
                    }
                    self.record_seen();
                    if !self.is_anybody_left().await {
                        break Over::NobodyLeft;
                    }
                }
                () = seen(&mut self.sight) => {
                    self.look_at = self.look_at.min(clock::tick().plus_ms(SOON_MS));
                    self.record_seen();
                }
            }
        };
        self.finish(over).await;
    }

    /// By locks as they stand; a lock may be on the session, or on this.
    fn runs_on(&self) -> Result<(), Denial> {
        let (known, heading) = (self.post.known(), &self.note.heading);
        [heading.id, self.id].into_iter().try_for_each(|id| {
            let Heading { user, roles, login, .. } = heading;
            let facts = SessionFacts { id, owner: user, roles, login };
            policy::runs_on(&known.roles, &heading.node, facts, clock::now())
        })
    }

    /// What ends it by rule; has it stand still, or go on, as its recording allows.
    async fn must_end(&mut self) -> Option<Over> {
        if let Some(why) = self.recorder.failed() {
            return Some(Over::Bound { why, ends: true });
        }
        if clock::tick().since(self.began) >= AFTERMATH_MS {
            let days = AFTERMATH_MS / (24 * 3600 * 1000);
            let why = format!("it has lasted {days} days");
            return Some(Over::Bound { why, ends: self.note.wants.required });
        }
        if self.book.is_full() && (self.strict || self.note.wants.required) {
            return Some(Over::Bound { why: full(), ends: true });
        }
        let holds = self.strict && self.recorder.holds();
        if holds != self.frozen {
            self.frozen = holds;
            let done = match holds {
                true => self.rest.freeze().await.map(drop),
                false => self.rest.thaw().await,
            };
            if let Err(error) = done {
                let why = model::words(&error);
                tracing::warn!(id = %self.id, why, "what a session left running does not stand still");
            }
        }
        None
    }

    /// Whether anybody is left; by the kernel's count, and now and then by a look at all processes.
    async fn is_anybody_left(&mut self) -> bool {
        let now = clock::tick();
        if now < self.look_at.min(self.full_look_at) {
            return true;
        }
        self.look_at = now.plus_ms(LOOK_MS);
        let held = self.sight.as_ref().map_or(0, Sight::held);
        if held > 0 && now < self.full_look_at {
            return true;
        }
        self.full_look_at = now.plus_ms(FULL_LOOK_MS);
        self.note.watched = clock::now();
        self.note.write(&self.post.watched);
        self.rest.count().await.map_or(held > 0, |count| count > 0)
    }

    /// Records what was seen so far.
    fn record_seen(&mut self) {
        let Some(sight) = &mut self.sight else { return };
        self.book.bytes = sight.read_bytes();
        let mut was_full = self.book.beyond.is_some();
        while let Some(entry) = sight.poll() {
            if self.book.takes(&entry, clock::tick()) {
                self.recorder.take(entry);
            } else if !std::mem::replace(&mut was_full, true) {
                let (processes, why) = (sight.held().into(), full());
                let what = Audited::AftermathUnwatched { processes, why, ended: false };
                self.note.tell(&self.post, what);
            }
        }
        for event in sight.told() {
            self.note.tell(&self.post, event);
        }
    }

    fn say_notices(&mut self) {
        while let Some(notice) = self.recorder.poll_notice() {
            self.note.tell(&self.post, audited(&notice));
        }
    }

    async fn finish(mut self, over: Over) {
        let ends = matches!(over, Over::Locked(_) | Over::Bound { ends: true, .. });
        let ended = match ends {
            true => Some(self.rest.end(Duration::from_millis(END_MS)).await),
            false => None,
        };
        let mut events = match &mut self.sight {
            Some(sight) => sight.finish().await,
            None => Vec::new(),
        };
        let left = self.sight.as_ref().map_or(0, Sight::left);
        self.record_seen();
        if let Some(gap) = self.book.gap(clock::tick()) {
            self.recorder.take(Entry::Gap(gap));
        }
        let why = match &over {
            Over::NobodyLeft => "nobody is left".to_owned(),
            Over::Stopping => "the node is stopping".to_owned(),
            Over::Bound { why, .. } => why.clone(),
            Over::Locked(denial) => denial.why(),
        };
        let (why, processes) = match ended {
            Some(ended) => (format!("{why}{}", ended_words(ended)), ended.processes as u64),
            None => (why, u64::from(left)),
        };
        if let Over::Locked(denial) = &over {
            events.push(Audited::Denied { action: denial.action(), why: denial.why() });
        }
        if matches!(over, Over::Bound { .. }) {
            let (why, ended) = (why.clone(), ends);
            events.push(Audited::AftermathUnwatched { processes, why, ended });
        }
        let ms = clock::tick().since(self.began);
        let ending = match &over {
            Over::NobodyLeft => Ending::NobodyLeft,
            _ => Ending::Stopped { why: why.clone() },
        };
        events.push(Audited::AftermathEnded { recording: self.id, why, ms, left: left.into() });
        if matches!(over, Over::Stopping) && left > 0 {
            self.note.watched = clock::now();
            self.note.write(&self.post.watched);
        } else {
            self.post.watched.forget(self.note.heading.id);
        }
        self.recorder.end(ending);
        for event in events {
            self.note.tell(&self.post, event);
        }
    }
}

fn no_place(full: Full, user: &UserName) -> String {
    match full {
        Full::All(most) => format!(
            "what {most} sessions left running is recorded by this node already, and that is all it records at once"
        ),
        Full::OfOne(most) => format!(
            "what {most} sessions of {user} left running is recorded by this node already, and that is all it records of one user"
        ),
    }
}

fn full() -> String {
    let mebibytes = AFTERMATH_BYTES / (1024 * 1024);
    format!("its recording has taken {mebibytes} MiB; what it does from here on is counted only")
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::kernel::{Action, Doer, End, KernelEvent, Totals};

    fn did() -> Entry {
        let name = "x".to_owned();
        let by = Doer { process: 1, parent: 1, uid: 0, euid: 0, audit: None, name, stray: false };
        let action = Action::Ended { end: End::Status(0), ms: 1 };
        Entry::Kernel(Kernel::Did(Box::new(KernelEvent { at: 0, by, action, times: 1 })))
    }

    #[test]
    fn what_a_full_recording_does_not_take_is_counted_and_sums_are_always_taken() {
        let mut book = Book { bytes: AFTERMATH_BYTES, beyond: None };
        assert!(book.takes(&did(), Tick(5)) && book.gap(Tick(9)).is_none());
        book.bytes += 1;
        assert!(!book.takes(&did(), Tick(10)) && !book.takes(&did(), Tick(20)));
        let totals = Entry::Kernel(Kernel::Totals(Totals::default()));
        assert!(book.takes(&totals, Tick(30)));
        let gap = Gap { cause: GapCause::Bound, bytes: None, entries: Some(2), ms: 90 };
        assert_eq!(book.gap(Tick(100)), Some(gap));
    }
}

//! Recordings that are played at this moment, held open: each is read once, however often somebody jumps in it.

use crate::auth::Auth;
use crate::error::Refusal;
use crate::look::Look;
use crate::pour::too_many;
use link::{Place, Places};
use model::limit::{FILM_TURNS, FILMS_OPEN, POURS};
use model::{SessionId, UserName};
use record::film::Film;
use record::{Corrupt, Recording};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use store::intake::RecordingSource;
use store::tables::Phase;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinError;
use wire::Fault;

/// A recording, open.
pub type Opened = Recording<RecordingSource>;

/// What is held open. Nothing of it is given out but by a [`Look`].
pub struct Shelf {
    /// Locked for a look-up.
    slots: Mutex<Slots>,
    turns: Arc<Semaphore>,
    /// Turns of each person, who wait for those before they wait with others. Locked for a look-up.
    own: Mutex<BTreeMap<UserName, Arc<Semaphore>>>,
    long: Places<UserName>,
}

/// A turn: one's own, and one of all.
type Turn = (OwnedSemaphorePermit, OwnedSemaphorePermit);

#[derive(Default)]
struct Slots {
    slots: BTreeMap<SessionId, Slot>,
    /// Counts uses.
    clock: u64,
}

struct Slot {
    /// Where it lay when it was opened; a recording moves once.
    stored: bool,
    used: u64,
    /// Locked while the recording is opened, brought up to date, or read for one answer: what follows is for one reader
    /// after the other, and threads that may block do it.
    tape: Arc<Mutex<Option<Tape>>>,
}

/// A recording, and what was found out about it.
pub struct Tape {
    /// The recording. Whoever works on it for long takes a copy.
    pub recording: Opened,
    film: Option<Film>,
}

impl Tape {
    /// The recording from far away, up to date.
    pub fn film(&mut self) -> &Film {
        match &mut self.film {
            Some(film) => {
                film.advance(&self.recording);
                film
            }
            none => none.insert(Film::of(&self.recording)),
        }
    }
}

impl Shelf {
    pub fn new() -> Self {
        Self {
            slots: Mutex::default(),
            turns: Arc::new(Semaphore::new(FILM_TURNS.0)),
            own: Mutex::default(),
            long: Places::new(POURS.0, POURS.1),
        }
    }

    /// Works on a recording as it stands, where it holds nobody up; few do at once.
    pub async fn work<T: Send + 'static>(
        &self,
        auth: &Auth,
        look: &Look,
        work: impl FnOnce(&mut Tape) -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        let source = look.source(auth).await?;
        let tape = self.slot(look.row().id, look.row().phase == Phase::Stored);
        let turn = self.turn(look.by()).await?;
        let done = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let mut tape = tape.lock().unwrap_or_else(PoisonError::into_inner);
            let open = open(&mut tape, source)?;
            Ok::<T, Corrupt>(work(open))
        });
        finished(look, done.await)
    }

    /// Looks at a recording once. One that is stored is not held open for it: of those there may be many.
    pub async fn glance<T: Send + 'static>(
        &self,
        auth: &Auth,
        look: &Look,
        work: impl FnOnce(&Opened) -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        if look.row().phase != Phase::Stored {
            return self.work(auth, look, |tape| work(&tape.recording)).await;
        }
        let source = look.source(auth).await?;
        let turn = self.turn(look.by()).await?;
        let done = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            Ok::<T, Corrupt>(work(&Recording::open(source)?))
        });
        finished(look, done.await)
    }

    async fn turn(&self, by: &UserName) -> Result<Turn, Refusal> {
        let own = {
            let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
            own.retain(|_, turns| Arc::strong_count(turns) > 1);
            let fresh = || Arc::new(Semaphore::new(FILM_TURNS.1));
            Arc::clone(own.entry(by.clone()).or_insert_with(fresh))
        };
        let own = own.acquire_owned().await.map_err(|_| stopping())?;
        let turns = Arc::clone(&self.turns);
        Ok((own, turns.acquire_owned().await.map_err(|_| stopping())?))
    }

    /// The right to make a long answer, for as long as it is held.
    pub fn long_turn(&self, by: &UserName) -> Result<Place<UserName>, Refusal> {
        self.long.take(by.clone()).map_err(|_| too_many())
    }

    /// Forgets a recording that was removed.
    pub fn forget(&self, id: SessionId) {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner).slots.remove(&id);
    }

    fn slot(&self, id: SessionId, stored: bool) -> Arc<Mutex<Option<Tape>>> {
        let mut held = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        held.clock = held.clock.saturating_add(1);
        let used = held.clock;
        let fresh = || Slot { stored, used, tape: Arc::default() };
        let slot = held.slots.entry(id).or_insert_with(fresh);
        if slot.stored != stored {
            *slot = fresh();
        }
        slot.used = used;
        let tape = Arc::clone(&slot.tape);
        while held.slots.len() > FILMS_OPEN {
            let oldest = held.slots.iter().min_by_key(|(_, slot)| slot.used).map(|(id, _)| *id);
            oldest.map(|id| held.slots.remove(&id));
        }
        tape
    }
}

/// The recording, opened or brought up to date.
fn open(tape: &mut Option<Tape>, source: RecordingSource) -> Result<&mut Tape, Corrupt> {
    if let Some(open) = tape {
        open.recording.source_mut().grow(record::Source::len(&source));
        open.recording.refresh();
    }
    match tape {
        Some(open) => Ok(open),
        none => Ok(none.insert(Tape { recording: Recording::open(source)?, film: None })),
    }
}

/// What became of work on a recording, for who asked for it.
pub fn finished<T>(look: &Look, done: Result<Result<T, Corrupt>, JoinError>) -> Result<T, Refusal> {
    match done {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(corrupt)) => {
            tracing::warn!(id = %look.row().id, %corrupt, "a recording cannot be opened");
            let words = format!("nothing of this recording can be read: {corrupt}");
            Err(Refusal::new(Fault::Unavailable, words))
        }
        Err(_) => Err(stopping()),
    }
}

fn stopping() -> Refusal {
    Refusal::new(Fault::Unavailable, "auth is stopping, or failed here; its log says more")
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;

    #[tokio::test]
    async fn one_person_leaves_turns_and_downloads_for_others() {
        let (shelf, [one, other]) =
            (Shelf::new(), ["one", "other"].map(|name| name.parse().unwrap()));
        let mut held = Vec::new();
        for _ in 0..FILM_TURNS.1 {
            held.push(shelf.turn(&one).now_or_never().unwrap().unwrap());
        }
        let mut waits = Box::pin(shelf.turn(&one));
        assert!(waits.as_mut().now_or_never().is_none());
        held.push(shelf.turn(&other).now_or_never().unwrap().unwrap());
        drop(held.remove(0));
        held.push(waits.now_or_never().unwrap().unwrap());
        drop(held);
        drop(shelf.turn(&one).await.unwrap());
        assert_eq!(shelf.own.lock().unwrap().len(), 1, "nothing is kept of who left");

        let pours: Vec<_> = (0..POURS.1).map(|_| shelf.long_turn(&one).unwrap()).collect();
        assert!(shelf.long_turn(&one).is_err());
        assert!(shelf.long_turn(&other).is_ok());
        drop(pours);
        assert!(shelf.long_turn(&one).is_ok());
    }
}

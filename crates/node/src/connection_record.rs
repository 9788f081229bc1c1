//! A connection's own recording: what is reached over it beside its sessions. It begins with the first such thing.

use crate::alarm::Alarm;
use crate::clock;
use crate::connection::Caller;
use crate::recorder::{Recorder, audited};
use crate::serve::Post;
use model::audit::Audited;
use model::entry::{Ending, Entry, Forward, Party, People};
use model::role::RecordingPolicy;
use model::{Heading, Kind, SessionId};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

/// Entries that wait for the recorder. Wait: so do the forwards that bring them.
const QUEUE: usize = 64;

/// Takes what happens beside the sessions of one connection. Clones write the same recording.
#[derive(Clone)]
pub(crate) struct ConnectionRecord {
    orders: mpsc::Sender<Order>,
    opened: Arc<AtomicU64>,
    id: Arc<OnceLock<SessionId>>,
}

enum Order {
    /// Says whether there is a recording that takes entries, unless the role says `off`.
    Ready(oneshot::Sender<Result<(), String>>),
    Take(Forward),
    End(Ending),
}

impl ConnectionRecord {
    /// A record, and the work that writes it, which ends when it is told to or nobody writes any more.
    /// It cancels `cut` when it cannot go on: nothing may be reached that is not recorded.
    pub fn new(
        post: Arc<Post>,
        caller: Caller,
        cut: CancellationToken,
    ) -> (Self, impl Future<Output = ()> + Send) {
        let (orders, waiting) = mpsc::channel(QUEUE);
        let id = Arc::new(OnceLock::new());
        let work = Work { post, caller, cut, id: Arc::clone(&id), recorder: None };
        (Self { orders, opened: Arc::default(), id }, work.run(waiting))
    }

    /// Its id, once it has begun.
    pub fn id(&self) -> Option<SessionId> {
        self.id.get().copied()
    }

    /// Begins the recording if that was not done yet. Ask before anything is reached.
    ///
    /// # Errors
    /// Why nothing may be reached now, for a person.
    pub async fn ready(&self) -> Result<(), String> {
        let (tell, told) = oneshot::channel();
        let _ = self.orders.send(Order::Ready(tell)).await;
        told.await.unwrap_or_else(|_| Err("the connection is ending".to_owned()))
    }

    /// Takes an entry.
    pub async fn take(&self, forward: Forward) {
        // Without a recorder the connection is ending, and what it carried was cut before.
        let _ = self.orders.send(Order::Take(forward)).await;
    }

    /// The number of the next connection in it.
    pub fn next_id(&self) -> u64 {
        self.opened.fetch_add(1, Ordering::Relaxed).saturating_add(1)
    }

    /// Ends the recording, if there is one.
    pub async fn end(&self, ending: Ending) {
        let _ = self.orders.send(Order::End(ending)).await;
    }
}

struct Work {
    post: Arc<Post>,
    caller: Caller,
    cut: CancellationToken,
    id: Arc<OnceLock<SessionId>>,
    recorder: Option<Recorder>,
}

impl Work {
    async fn run(mut self, mut waiting: mpsc::Receiver<Order>) {
        let mut ending = Ending::Disconnected;
        let mut alarm = Alarm::new();
        loop {
            alarm.set(self.recorder.as_ref().and_then(Recorder::poll_timeout));
            tokio::select! {
                order = waiting.recv() => match order {
                    None => break,
                    Some(Order::End(how)) => {
                        ending = how;
                        break;
                    }
                    Some(Order::Ready(tell)) => {
                        let ready = self.ready().await;
                        let _ = tell.send(ready);
                    }
                    Some(Order::Take(forward)) => {
                        if let Some(recorder) = &mut self.recorder {
                            recorder.take(Entry::Forward(forward));
                        }
                    }
                },
                () = news(&mut self.recorder) => {}
                () = alarm.rings() => {
                    if let Some(recorder) = &mut self.recorder {
                        recorder.handle_timeout();
                    }
                }
            }
            self.say_notices();
            self.cut_if_failed();
        }
        if let Some(recorder) = self.recorder {
            recorder.end(ending);
        }
    }

    async fn ready(&mut self) -> Result<(), String> {
        if let Some(recorder) = &self.recorder {
            if let Some(why) = recorder.failed() {
                return Err(why);
            }
            let behind = "auth has not received what was recorded before; try again".to_owned();
            return if recorder.holds() { Err(behind) } else { Ok(()) };
        }
        let begun = self.begin().await;
        if let Err(why) = &begun {
            self.caller.tell(Audited::RecordingFailed { why: why.clone() });
        }
        begun
    }

    async fn begin(&mut self) -> Result<(), String> {
        let permit = self.caller.permit(&self.post).map_err(|denial| denial.public())?;
        let policy = permit.terms().record;
        let known = self.post.latest.borrow().clone();
        let heard = known.is_some_and(|known| known.heard_lately());
        match policy {
            RecordingPolicy::Off => return Ok(()),
            RecordingPolicy::Strict if !heard => {
                return Err("auth does not answer, and your role records strictly".to_owned());
            }
            RecordingPolicy::Strict | RecordingPolicy::Spool => {}
        }
        let id = SessionId::from_random(rand::random());
        let heading = self.caller.heading(&self.post, &permit, id, Kind::Connection);
        let from = heading.client.clone();
        let begun = Recorder::begin(&self.post, &heading, policy).await;
        let mut recorder = begun.map_err(|error| model::words(&error))?;
        let Heading { user, login, .. } = heading;
        recorder.take(Entry::People(People::Joined { party: Party::OWNER, user, login, from }));
        self.recorder = Some(recorder);
        let _ = self.id.set(id);
        tracing::debug!(%id, at = ?clock::now(), "a connection's own recording began");
        Ok(())
    }

    /// To the ledger; the person is told in their sessions.
    fn say_notices(&mut self) {
        while let Some(notice) = self.recorder.as_mut().and_then(Recorder::poll_notice) {
            self.caller.tell(audited(&notice));
        }
    }

    fn cut_if_failed(&self) {
        let Some(why) = self.recorder.as_ref().and_then(Recorder::failed) else { return };
        if !self.cut.is_cancelled() {
            self.caller.tell(Audited::RecordingFailed { why });
            self.cut.cancel();
        }
    }
}

/// Completes when the recorder wants to be looked at again.
async fn news(recorder: &mut Option<Recorder>) {
    match recorder {
        Some(recorder) => recorder.news().await,
        None => std::future::pending().await,
    }
}

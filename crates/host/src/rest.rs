//! What is left of a session once its program has ended: watched, held and ended as before, by a later start of the node
//! too, which finds it by the marks that were written down.

use crate::freeze::{FreezeError, Freezer, Frozen};
use crate::group::Group;
use crate::hunt::{Audit, Ended, Marks, Reach};
use crate::kernel::{Place, Refused};
use model::SessionId;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long processes are given to stand still while they are put under the kernel's eyes.
const STANDS: Duration = Duration::from_millis(300);
const PAUSE: Duration = Duration::from_millis(1);

/// By what the processes of a session are found again while this machine runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestMarks {
    /// Which run of the machine: its next one has none of these processes.
    boot: String,
    group: Option<PathBuf>,
    audit: Option<(u32, u32)>,
}

/// The processes that a session has left running. Dropping it leaves them as they are, unless they are frozen.
#[derive(Debug, Clone)]
pub struct Rest {
    session: Arc<Freezer>,
}

impl Rest {
    pub(crate) fn of(session: Arc<Freezer>) -> Self {
        Self { session }
    }

    /// What finds it again; `None` where a process bears no mark but its environment, which is its own to choose.
    #[must_use]
    pub fn marks(&self) -> Option<RestMarks> {
        let marks = self.session.marks();
        let group = marks.group().map(|group| group.path().to_owned());
        let audit = marks.audit().map(|Audit { session, uid }| (session, uid));
        marks.finds_all().then(|| RestMarks { boot: boot(), group, audit })
    }

    /// What an earlier start of the node has written down; `None` if the machine was started anew since, or nothing says
    /// any more which processes those are.
    #[must_use]
    pub fn again(marks: &RestMarks, session: SessionId) -> Option<Self> {
        if marks.boot != boot() {
            return None;
        }
        let group = marks.group.clone().and_then(|path| Group::of(path, &session.to_string()));
        let audit = marks.audit.map(|(session, uid)| Audit { session, uid });
        let marks = Marks::left_in(group, audit)?;
        Some(Self { session: Arc::new(Freezer::new(marks)) })
    }

    /// How many processes there are, by a look at every process of the machine; `None` where they bear no mark.
    pub async fn count(&self) -> Option<usize> {
        self.order(|session| {
            let marks = session.marks();
            marks.finds_all().then(|| marks.signal(Reach::All, &[]).len())
        })
        .await
        .flatten()
    }

    /// Puts them under the kernel's eyes, and answers how many they are. They stand still for that moment where they have
    /// a control group; without one, what is begun in this very moment is found when it becomes another program.
    ///
    /// # Errors
    /// When the kernel does not take them, with words for a person.
    pub async fn enter(&self, place: &Place) -> Result<usize, Refused> {
        place.brake_with(Arc::downgrade(&self.session));
        let place = place.clone();
        let entered = self.order(move |session| enter(session, &place)).await;
        entered.unwrap_or_else(|| Err(Refused("the node is going down".to_owned())))
    }

    /// As [`crate::Signals::end`].
    pub async fn end(&self, grace: Duration) -> Ended {
        self.order(move |session| session.end(Reach::All, grace)).await.unwrap_or_default()
    }

    /// As [`crate::Signals::freeze`].
    ///
    /// # Errors
    /// As [`crate::Signals::freeze`].
    pub async fn freeze(&self) -> Result<Frozen, FreezeError> {
        self.order(Freezer::freeze).await.unwrap_or_else(|| Ok(Frozen::default()))
    }

    /// As [`crate::Signals::thaw`].
    ///
    /// # Errors
    /// As [`crate::Signals::thaw`].
    pub async fn thaw(&self) -> Result<(), FreezeError> {
        self.order(Freezer::thaw).await.unwrap_or(Ok(()))
    }

    /// Has something done that blocks; `None` when the runtime is ending.
    async fn order<T: Send + 'static>(
        &self,
        what: impl FnOnce(&Freezer) -> T + Send + 'static,
    ) -> Option<T> {
        let session = Arc::clone(&self.session);
        tokio::task::spawn_blocking(move || what(&session)).await.ok()
    }
}

fn enter(session: &Freezer, place: &Place) -> Result<usize, Refused> {
    let marks = session.marks();
    if session.hold() {
        let began = Instant::now();
        while began.elapsed() < STANDS && !marks.group().is_none_or(Group::is_frozen) {
            std::thread::sleep(PAUSE);
        }
    }
    let all = marks.signal(Reach::All, &[]);
    let numbers: Vec<u32> = all.into_iter().map(i32::unsigned_abs).collect();
    let audit = marks.audit().map(|audit| audit.session);
    let entered = place.enter_all(&numbers, audit);
    // Who was killed in between would leave its number in the table, for a stranger to come.
    let all = marks.signal(Reach::All, &[]);
    let is_gone = |number: &&u32| !all.contains(&number.cast_signed());
    let gone: Vec<u32> = numbers.iter().filter(is_gone).copied().collect();
    place.leave(&gone);
    let began = Instant::now();
    while !session.release() && began.elapsed() < STANDS {
        std::thread::sleep(PAUSE);
    }
    entered.map(|()| numbers.len())
}

/// Number of this run of the machine.
fn boot() -> String {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    text.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ran_before_the_machine_was_started_anew_is_not_found_again() {
        let session = SessionId::from_random([7; 16]);
        let marks = |boot: String| RestMarks { boot, group: None, audit: Some((77, 65534)) };
        assert!(Rest::again(&marks(boot()), session).is_some());
        assert!(Rest::again(&marks("another".to_owned()), session).is_none());
        assert!(Rest::again(&RestMarks { audit: None, ..marks(boot()) }, session).is_none());
        // A group of another session, and one that is no more.
        for path in ["/sys/fs/cgroup", "/sys/fs/cgroup/scry-none"] {
            let group = Some(PathBuf::from(path));
            assert!(
                Rest::again(&RestMarks { boot: boot(), group, audit: None }, session).is_none()
            );
        }
    }
}

//! What an earlier run left in the spool: closed behind what is certain, with a gap that says so.
//!
//! What is certain is asked of auth first: of a recording that was shipped from memory, or whose last writes the disk
//! lost with the power, auth has more than the spool.

use crate::clock;
use crate::recorder::settle;
use crate::report::Reporter;
use crate::ship::{PAUSE, wait_after};
use ed25519_dalek::SigningKey;
use link::http::Channel;
use model::audit::Audited;
use model::entry::{Ending, Entry, Gap, GapCause};
use model::{AuditEvent, Heading, SessionId};
use record::{Custody, Holdings, Left, Tail};
use store::spool::{Spool, SpoolError};
use wire::recording::{Progress, ReadProgress};

/// What recovery needs of the node.
#[derive(Clone)]
pub(crate) struct Recovery {
    pub auth: Channel,
    pub spool: Spool,
    pub key: SigningKey,
    pub reporter: Reporter,
}

impl Recovery {
    /// Closes a recording that is not whole, once auth answers. Where its records are; nothing if there is nothing to
    /// ship. One that cannot be closed stays, and is logged.
    pub async fn close(self, id: SessionId) -> Option<Holdings> {
        let mut pause = PAUSE.0;
        let progress = loop {
            match self.auth.call(&ReadProgress { id }).await {
                Ok(progress) => break progress,
                Err(error) => pause = wait_after(&error, id, pause).await,
            }
        };
        let Self { spool, key, reporter, .. } = self;
        let closing = tokio::task::spawn_blocking(move || close(&spool, id, &key, &progress));
        match closing.await {
            Ok(Ok(closed)) => {
                let Closed { holdings, heading } = closed?;
                if let Some(heading) = heading {
                    reporter.tell(session_ended(&reporter, id, heading));
                }
                Some(holdings)
            }
            Ok(Err(error)) => {
                tracing::error!(%id, error = model::words(&error), "a recording cannot be closed");
                None
            }
            Err(error) => {
                tracing::error!(%id, %error, "a recording cannot be closed");
                None
            }
        }
    }
}

fn session_ended(reporter: &Reporter, id: SessionId, heading: Heading) -> AuditEvent {
    let why = "the recorder was killed; the recording was closed at the next start";
    let ms = u64::try_from(clock::now().0.saturating_sub(heading.started.0)).unwrap_or(0);
    let ended =
        Audited::SessionEnded { status: None, why: Some(why.into()), ms, output: 0, input: 0 };
    AuditEvent {
        session: Some(id),
        user: Some(heading.user),
        login: Some(heading.login),
        ..reporter.event(ended)
    }
}

/// A recording to be shipped.
struct Closed {
    holdings: Holdings,
    /// The heading, if this run had to close the recording.
    heading: Option<Heading>,
}

fn close(
    spool: &Spool,
    id: SessionId,
    key: &SigningKey,
    progress: &Progress,
) -> Result<Option<Closed>, SpoolError> {
    if progress.stored {
        spool.remove(id)?;
        return Ok(None);
    }
    let mut file = spool.resume(id)?;
    let found = record::scan_spool(&file.source()).ok();
    file.truncate(found.as_ref().map_or(0, |(recovered, _)| recovered.valid_len))?;
    let (found, runs) = found.unzip();
    let stopped = found.as_ref().and_then(|found| found.stopped.as_ref());
    if let Some(stopped) = stopped {
        tracing::error!(%id, error = %stopped, "a recording in the spool is damaged; what lies behind is lost");
    }
    let Some(left) = Left::of(found.as_ref().zip(runs), received(progress)) else {
        // Not even a heading: nothing was ever shown or shipped under this id.
        tracing::warn!(%id, "an empty recording is removed");
        file.remove()?;
        return Ok(None);
    };
    let heading = found.as_ref().map(|found| found.heading.clone());
    let ours = |heading: &Heading| heading.signer.key == key.verifying_key().to_bytes();
    if !left.tail.finished && heading.as_ref().is_some_and(|heading| !ours(heading)) {
        tracing::error!(%id, "a recording was begun under another key of this node and cannot be closed");
        return Ok(None);
    }
    let Tail { last_at, ended, finished, .. } = left.tail;
    let since_start = heading.as_ref().map(|heading| clock::now().0 - heading.started.0);
    let silent_ms = since_start.and_then(|ms| u64::try_from(ms).ok()).unwrap_or(0);
    let silent_ms = silent_ms.saturating_sub(last_at);
    let now = clock::tick();
    let resume_at = last_at.saturating_add(silent_ms);
    let mut custody = Custody::resume(id, left, resume_at, key.clone(), now);
    if !finished && !ended {
        let cause = if stopped.is_some() { GapCause::Damaged } else { GapCause::Crash };
        custody.take(Entry::Gap(Gap { cause, bytes: None, entries: None, ms: silent_ms }), now);
    }
    custody.end(Ending::Crashed, now);
    let holdings = settle(&mut custody, &mut file);
    file.sync()?;
    Ok(Some(Closed { holdings, heading: heading.filter(|_| !finished) }))
}

/// What auth has, if anything.
fn received(progress: &Progress) -> Option<Tail> {
    let head = progress.receipt.as_ref()?.head;
    let (last_at, ended, finished) = (progress.last_at_ms, progress.ended, progress.whole);
    Some(Tail { head, last_at, ended, finished })
}

//! What an earlier run left in the spool: closed with a gap that says so, and shipped.

use crate::clock;
use crate::ship::Written;
use ed25519_dalek::SigningKey;
use model::entry::{Ending, Entry, Gap, GapCause};
use model::{Heading, SessionId};
use record::Writer;
use store::spool::{Spool, SpoolError, SpoolFile};

/// A recording to be shipped.
pub(crate) struct Leftover {
    pub id: SessionId,
    pub written: Written,
    /// The heading, if this run had to close the recording.
    pub closed: Option<Heading>,
}

/// Closes every recording that is not whole. One that cannot be closed stays, is logged, and does not stop the others.
pub(crate) fn leftovers(spool: &Spool, key: &SigningKey) -> Result<Vec<Leftover>, SpoolError> {
    let mut found = Vec::new();
    for left in spool.leftovers()? {
        match close(spool, left.id, key) {
            Ok(Some(leftover)) => found.push(leftover),
            Ok(None) => {}
            Err(error) => tracing::error!(id = %left.id, %error, "a recording cannot be closed"),
        }
    }
    Ok(found)
}

fn close(spool: &Spool, id: SessionId, key: &SigningKey) -> Result<Option<Leftover>, SpoolError> {
    let mut file = spool.resume(id)?;
    let mut tail = match record::scan(&file.source()) {
        Ok(tail) => tail,
        Err(error) => {
            // Not even a heading: nothing was ever shown or shipped under this id.
            tracing::warn!(%id, %error, "an empty recording is removed");
            file.remove()?;
            return Ok(None);
        }
    };
    if let Some(stopped) = &tail.stopped {
        tracing::error!(%id, error = %stopped, "a recording in the spool is damaged; what lies behind is lost");
    }
    file.truncate(tail.valid_len)?;
    if tail.finished {
        return Ok(Some(Leftover { id, written: written(&file), closed: None }));
    }
    let heading = tail.heading.clone();
    if heading.signer.key != key.verifying_key().to_bytes() {
        tracing::error!(%id, "a recording was begun under another key of this node and cannot be closed");
        return Ok(None);
    }
    let damaged = tail.stopped.is_some();
    let since_start = clock::now().0.saturating_sub(heading.started.0);
    let silent_ms = u64::try_from(since_start).unwrap_or(0).saturating_sub(tail.last_at);
    tail.resume_at = tail.last_at.saturating_add(silent_ms);
    let known_end = tail.ended.is_some();
    let now = clock::tick();
    let mut writer = Writer::resume(tail, key.clone(), now);
    if !known_end {
        let cause = if damaged { GapCause::Damaged } else { GapCause::Crash };
        writer.handle(Entry::Gap(Gap { cause, bytes: None, entries: None, ms: silent_ms }), now);
    }
    writer.end(Ending::Crashed, now);
    while let Some(sealed) = writer.poll() {
        file.append_last(&sealed.bytes)?;
    }
    file.sync()?;
    Ok(Some(Leftover { id, written: written(&file), closed: Some(heading) }))
}

fn written(file: &SpoolFile) -> Written {
    Written { bytes: file.len(), ended: true }
}

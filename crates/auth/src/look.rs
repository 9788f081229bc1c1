//! A person's look at a recording: its ticket and the right itself in one value. Only this room makes it, and only
//! with it bytes of a recording are reached.

use crate::auth::Auth;
use crate::clock;
use crate::error::{Error, Refusal};
use crate::gate::{Member, Proof};
use crate::ledger;
use crate::query::Query;
use model::audit::Audited;
use model::role::RecordingAction;
use model::{AuditEvent, SessionId, UserName};
use policy::{Readable, RecordingPermit};
use store::intake::{IntakeError, RecordingReader, RecordingSource, Stored};
use store::tables::{Phase, Recording};

/// Bytes of a file that are read first to find its heading, which is hardly ever longer.
const FRONT_BYTES: usize = 1024;

/// Leave to read one recording, as of this moment.
#[derive(Debug)]
pub struct Look {
    by: Member,
    row: Recording,
    needs: Needs,
    _permit: RecordingPermit,
}

/// Which right a look needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// To play it; whoever may take it away may play it, too.
    Play,
    /// To take it away.
    Export,
}

impl Look {
    /// By a request that names a recording in its path and shows a ticket for it. The ticket says that somebody looked and
    /// was audited; the right itself is asked for each time.
    pub async fn of(
        auth: &Auth,
        by: Member,
        query: &Query<'_>,
        needs: Needs,
    ) -> Result<Self, Refusal> {
        let id = query.id()?;
        let ticket = query.text("ticket").unwrap_or_default();
        let held = auth.tables.ticket(ticket, clock::now()).await?;
        if held != Some((by.name.clone(), id)) {
            let why = format!(
                "the ticket for recording {id} is not {}'s, not for it, or has expired",
                by.name
            );
            let words = "this ticket does not count any more: open the recording again";
            return Err(Refusal::denied("recording.read", &why, words).about(id));
        }
        Self::with_right(auth, by, id, needs).await
    }

    /// Without a ticket: the caller audits it.
    pub async fn with_right(
        auth: &Auth,
        by: Member,
        id: SessionId,
        needs: Needs,
    ) -> Result<Self, Refusal> {
        let (row, permit) = match needs {
            Needs::Export => permitted(auth, &by, id, RecordingAction::Export).await?,
            Needs::Play => match permitted(auth, &by, id, RecordingAction::Play).await {
                Ok(found) => found,
                Err(_) => permitted(auth, &by, id, RecordingAction::Export).await?,
            },
        };
        Ok(Self { by, row, needs, _permit: permit })
    }

    /// The same look some time later, if person and right are still there.
    pub async fn again(self, auth: &Auth) -> Result<Self, Refusal> {
        let by = Member::prove(auth, self.by.asked).await?;
        Self::with_right(auth, by, self.row.id, self.needs).await
    }

    /// Who looks.
    pub fn by(&self) -> &UserName {
        &self.by.name
    }

    /// The recording's row.
    pub fn row(&self) -> &Recording {
        &self.row
    }

    /// Its bytes, and how many of them count: of a file that arrives, only those on the disk, for the rest could still be
    /// taken back. A file whose beginning names another recording, [`Error::Another`], is read by nobody.
    pub async fn reader(&self, auth: &Auth) -> Result<(RecordingReader, u64), Error> {
        let reader = reader(auth, &self.row).await?;
        let durable = *auth.inflow.growth(self.row.id).borrow();
        let total = match self.row.phase {
            Phase::Stored => reader.len(),
            _ if durable > 0 => durable.min(reader.len()),
            _ => self.row.bytes.min(reader.len()),
        };
        // Each time: whoever may write to the store can exchange files at any moment.
        match named(&reader, total).await? {
            Some(found) if found != self.row.id => Err(self.exchanged(auth, found).await),
            _ => Ok((reader, total)),
        }
    }

    /// The ledger hears which it is; who asked does not, for they may not know of that one.
    async fn exchanged(&self, auth: &Auth, found: SessionId) -> Error {
        let id = self.row.id;
        if auth.exchanged.take((id, found), clock::tick()) {
            let why = format!("its file holds the recording {found}");
            tracing::error!(%id, why, "a recording was exchanged");
            let mut event = ledger::event(Audited::Tampering { why });
            event.session = Some(id);
            auth.ledger.tell(vec![event]).await;
        }
        Error::Another { id }
    }

    /// The same for threads that may wait.
    pub async fn source(&self, auth: &Auth) -> Result<RecordingSource, Error> {
        let (reader, total) = self.reader(auth).await?;
        Ok(RecordingSource::new(reader, total))
    }
}

/// The recording and the proof. Who may not even list it does not learn that it is there.
pub async fn permitted(
    auth: &Auth,
    by: &Member,
    id: SessionId,
    action: RecordingAction,
) -> Result<(Recording, RecordingPermit), Refusal> {
    let row = auth.tables.recording(&id).await?.filter(|row| row.removed.is_none());
    let row = row.ok_or_else(|| missing(by, id, action))?;
    let decide = |action| {
        policy::recording(&by.roles, &by.identity, action, &row.user, &row.labels, clock::now())
            .map_err(|denial| Refusal::from(denial).about(id))
    };
    let permit = match decide(action) {
        Ok(permit) => permit,
        Err(refusal) if decide(RecordingAction::List).is_ok() => return Err(refusal),
        Err(refusal) => return Err(refusal.hidden("recording")),
    };
    Ok((row, permit))
}

/// There is no such recording. Those from whom others are hidden stand in the ledger with it, as with one that is hidden.
fn missing(by: &Member, id: SessionId, action: RecordingAction) -> Refusal {
    let readable = |action| policy::readable(&by.roles, &by.identity, action, clock::now());
    let sees_all = |action| readable(action) == Readable::All;
    let refusal = Refusal::not_found("recording");
    if sees_all(action) || sees_all(RecordingAction::List) {
        return refusal;
    }
    // As much work as for a denial.
    refusal.with_audit(by.asked.route(), format!("there is no recording {id}")).about(id)
}

/// The bytes of a recording, wherever they are.
pub async fn reader(auth: &Auth, row: &Recording) -> Result<RecordingReader, Error> {
    let opened = auth.intake.reader(row.id, stored(row)).await;
    let Err(IntakeError::Missing { .. }) = opened else { return Ok(opened?) };
    // It may have been stored between the look at its row and this.
    let row = auth.tables.recording(&row.id).await?;
    let again = row.as_ref().and_then(stored);
    Ok(match (row.as_ref(), again) {
        (Some(row), Some(stored)) => auth.intake.reader(row.id, Some(stored)).await?,
        _ => opened?,
    })
}

fn stored(row: &Recording) -> Option<Stored<'_>> {
    let object_key = row.object_key.as_deref()?;
    (row.phase == Phase::Stored).then_some(Stored { object_key, bytes: row.bytes })
}

/// The recording that a file says it is of, by its first record. None if that cannot be read: whoever reads on finds out why.
async fn named(reader: &RecordingReader, total: u64) -> Result<Option<SessionId>, IntakeError> {
    let total = usize::try_from(total).unwrap_or(usize::MAX);
    let mut front: Vec<u8> = Vec::new();
    loop {
        let (wanted, left) = (front.len().max(FRONT_BYTES), total.saturating_sub(front.len()));
        let more = reader.read_at(front.len() as u64, wanted.min(left)).await?;
        front.extend_from_slice(&more);
        match record::split(&front) {
            Ok(None) if !more.is_empty() => {}
            _ => return Ok(record::named(&front)),
        }
    }
}

/// An event about a recording.
pub fn about(by: &Member, row: &Recording, what: model::audit::Audited) -> AuditEvent {
    let mut event = by.asked.event(what);
    event.session = Some(row.id);
    event.node = Some(row.node.clone());
    event.login = Some(row.login.clone());
    event
}

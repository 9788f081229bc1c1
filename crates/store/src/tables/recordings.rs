//! What auth knows of each recording. These rows are the authority on what is stored, not the files.

use super::fields::Fields;
use super::{TableError, Tables, failed, json, rows, signed};
use crate::hex;
use model::role::Labels;
use model::seal::Receipt;
use model::{
    ConnectionId, Heading, Kind, Login, NodeName, SessionId, Tally, Time, UserName, limit,
};
use record::Verdict;
use sqlx::sqlite::SqliteRow;
use std::collections::BTreeMap;
use std::str::FromStr;

/// How far a recording is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// It goes on.
    Live,
    /// Its node has not been heard of; what was received can be read.
    Interrupted,
    /// Whole and in the final store.
    Stored,
}

impl Phase {
    const ALL: [Self; 3] = [Self::Live, Self::Interrupted, Self::Stored];

    fn word(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Interrupted => "interrupted",
            Self::Stored => "stored",
        }
    }
}

impl FromStr for Phase {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|phase| phase.word() == word).ok_or(())
    }
}

/// A recording's row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recording {
    /// The recording, which is the session.
    pub id: SessionId,
    /// Whose.
    pub user: UserName,
    /// On which account.
    pub login: Login,
    /// On which node.
    pub node: NodeName,
    /// Over which connection.
    pub connection: ConnectionId,
    /// What was run.
    pub kind: Kind,
    /// From which address.
    pub client: String,
    /// Labels of the node when it began; reading rights are decided on them.
    pub labels: Labels,
    /// When it began.
    pub started: Time,
    /// When something of it was last received.
    pub received: Time,
    /// Milliseconds from its beginning to its last received entry.
    pub length_ms: u64,
    /// Bytes received, or stored.
    pub bytes: u64,
    /// Chained records received.
    pub records: u64,
    /// Gaps in it.
    pub gaps: u64,
    /// What was counted in it; none if it came before that was done.
    pub tally: Option<Tally>,
    /// How far it is.
    pub phase: Phase,
    /// How it ended, in words, if it did.
    pub ending: Option<String>,
    /// Result of verification when it was stored.
    pub verification: Option<String>,
    /// Chain value of what was received.
    pub head_hash: Option<[u8; 32]>,
    /// The last receipt.
    pub receipt: Option<Receipt>,
    /// Where it lies in the final store.
    pub object_key: Option<String>,
    /// BLAKE3 of the whole file in the final store.
    pub file_hash: Option<[u8; 32]>,
    /// When it was removed, if it was. Its bytes are gone then.
    pub removed: Option<Time>,
}

/// What a shipment adds to a recording.
#[derive(Debug, Clone)]
pub struct Advance {
    /// Milliseconds from its beginning to its last entry.
    pub length_ms: u64,
    /// Bytes in the intake file.
    pub bytes: u64,
    /// Gaps so far.
    pub gaps: u64,
    /// What was counted so far.
    pub tally: Tally,
    /// How it ended, if its end was in the shipment.
    pub ending: Option<String>,
    /// Auth's word that it has it.
    pub receipt: Receipt,
}

/// A recording that is whole and in the final store.
#[derive(Debug, Clone)]
pub struct Filed {
    /// Where it lies.
    pub object_key: String,
    /// Bytes of the whole file.
    pub bytes: u64,
    /// BLAKE3 of the whole file.
    pub file_hash: [u8; 32],
    /// Result of verification, as `scry verify` words it.
    pub verification: String,
}

/// Which recordings to list. All conditions must hold; removed ones never do.
#[derive(Debug, Clone, Default)]
pub struct RecordingFilter {
    /// Made by this user.
    pub user: Option<UserName>,
    /// On this node.
    pub node: Option<NodeName>,
    /// On this account.
    pub login: Option<Login>,
    /// Begun at or after.
    pub since: Option<Time>,
    /// Begun before.
    pub until: Option<Time>,
    /// Whose id begins so: hexadecimal digits, dashes are passed over. What is no beginning of an id matches nothing.
    pub id_prefix: Option<String>,
    /// Only those that go on.
    pub live: bool,
    /// Only what this session left running, by its own node, user and connection.
    pub aftermath_of: Option<SessionId>,
    /// Only the connections' own (`true`), or only those of sessions (`false`).
    pub connections: Option<bool>,
    /// Only those of which a part is not there or not proven: they are not stored yet, have gaps, or were not found complete.
    pub amiss: bool,
    /// After this one in the list: the next page.
    pub after: Option<(Time, SessionId)>,
    /// At most so many; 0 is 100, and [`model::limit::PAGE_ROWS`] the most.
    pub limit: u32,
}

/// Stored recordings that are alike in whose they are and how they stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alike {
    /// Whose.
    pub user: UserName,
    /// Labels of their nodes when they began.
    pub labels: Labels,
    /// Result of verification.
    pub verification: Option<String>,
    /// Whether they have gaps.
    pub gaps: bool,
    /// How many there are.
    pub count: u64,
}

/// Which recordings somebody may see. Decided by `policy`; applied here, so that a page is full although rows were left out.
#[derive(Clone, Copy)]
pub enum Visible<'a> {
    /// All.
    All,
    /// This user's own.
    Own(&'a UserName),
    /// Those for which this answers yes.
    Where(&'a (dyn Fn(&Recording) -> bool + Send + Sync)),
}

impl std::fmt::Debug for Visible<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::All => f.write_str("All"),
            Self::Own(user) => f.debug_tuple("Own").field(user).finish(),
            Self::Where(_) => f.write_str("Where(..)"),
        }
    }
}

/// A node says itself of which session its recording is the aftermath. That counts where the session's own heading says
/// the same of node, user and connection: an aftermath's is a copy of it. Asked whenever rows are read, not when they
/// come: an aftermath may arrive before its session, and is found as soon as that is there.
macro_rules! of_its_session {
    () => {
        "EXISTS (SELECT 1 FROM recording AS own
                 WHERE own.id = recording.aftermath_of AND own.node = recording.node
                   AND own.user_name = recording.user_name AND own.connection = recording.connection)"
    };
}

/// The user's and the node's conditions stand first, so that each can have its index.
macro_rules! list {
    ($($by:tt)+) => {
        concat!(
            "SELECT * FROM recording WHERE ",
            $($by)+,
            " AND removed IS NULL
               AND ($3 IS NULL OR login = $3)
               AND ($4 IS NULL OR started >= $4) AND ($5 IS NULL OR started < $5)
               AND ($6 IS NULL OR (id >= $6 AND id < $7))
               AND ($8 = 0 OR phase = 'live')
               AND ($9 IS NULL OR (started, id) < ($9, $10))
               AND ($12 IS NULL OR (kind = $13) = $12)
               AND ($14 IS NULL OR aftermath_of = $14)
               AND ($15 = 0 OR phase <> 'stored' OR gaps > 0 OR verification IS NOT $16)
             ORDER BY started DESC, id DESC LIMIT $11"
        )
    };
}

pub(super) const BY_USER: &str = list!("user_name = $1 AND ($2 IS NULL OR node = $2)");
pub(super) const BY_NODE: &str = list!("$1 IS NULL AND node = $2");
pub(super) const BY_START: &str = list!("$1 IS NULL AND $2 IS NULL");
pub(super) const BY_AFTERMATH: &str = list!(
    "aftermath_of = $14 AND ($1 IS NULL OR user_name = $1) AND ($2 IS NULL OR node = $2) AND ",
    of_its_session!()
);

impl Tables {
    /// Notes that a recording's heading was received. `false` when it is known already.
    ///
    /// # Errors
    /// [`TableError::Query`].
    pub async fn begin_recording(
        &self,
        heading: &Heading,
        labels: &Labels,
        now: Time,
    ) -> Result<bool, TableError> {
        let done = sqlx::query(
            "INSERT INTO recording
               (id, user_name, login, node, connection, kind, client, labels, started, received, phase,
                aftermath_of)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 'live', $11) ON CONFLICT DO NOTHING",
        )
        .bind(key(&heading.id))
        .bind(heading.user.as_str())
        .bind(heading.login.as_str())
        .bind(heading.node.as_str())
        .bind(hex::encode(heading.connection.as_bytes()))
        .bind(json("kind of session", &heading.kind)?)
        .bind(&heading.client)
        .bind(json("set of labels", labels)?)
        .bind(heading.started.0)
        .bind(now.0)
        .bind(heading.kind.aftermath_of().as_ref().map(key))
        .execute(&self.write)
        .await
        .map_err(failed("begin a recording"))?;
        Ok(done.rows_affected() == 1)
    }

    /// Notes what was received. An interrupted recording goes on. `false` when it is stored, removed or unknown.
    ///
    /// # Errors
    /// [`TableError::Query`].
    pub async fn advance_recording(
        &self,
        id: &SessionId,
        advance: &Advance,
        now: Time,
    ) -> Result<bool, TableError> {
        let head = &advance.receipt.head;
        let done = sqlx::query(
            "UPDATE recording SET length_ms = $2, bytes = $3, records = $4, gaps = $5,
               ending = COALESCE($6, ending), head_hash = $7, receipt = $8, received = $9,
               phase = 'live', tally = $10
             WHERE id = $1 AND phase <> 'stored' AND removed IS NULL",
        )
        .bind(key(id))
        .bind(signed(advance.length_ms))
        .bind(signed(advance.bytes))
        .bind(signed(head.records))
        .bind(signed(advance.gaps))
        .bind(advance.ending.as_deref())
        .bind(&head.hash[..])
        .bind(json("receipt", &advance.receipt)?)
        .bind(now.0)
        .bind(json("tally", &advance.tally)?)
        .execute(&self.write)
        .await
        .map_err(failed("advance a recording"))?;
        Ok(done.rows_affected() == 1)
    }

    /// Marks live recordings as interrupted of which nothing was received since `quiet_since`. Answers which.
    /// Quiet is not gone: the caller takes a time longer than a node that is there ever stays silent.
    ///
    /// # Errors
    /// [`TableError::Query`], [`TableError::Unreadable`].
    pub async fn interrupt_recordings(
        &self,
        quiet_since: Time,
    ) -> Result<Vec<SessionId>, TableError> {
        sqlx::query(
            "UPDATE recording SET phase = 'interrupted'
             WHERE phase = 'live' AND received < $1 AND removed IS NULL RETURNING id",
        )
        .bind(quiet_since.0)
        .fetch_all(&self.write)
        .await
        .map_err(failed("mark interrupted recordings"))?
        .iter()
        .map(|row| Fields(row).parsed("id"))
        .collect()
    }

    /// Marks a recording as interrupted, or as going on again. `false` when it is stored, removed or unknown.
    ///
    /// # Errors
    /// [`TableError::Query`].
    pub async fn set_interrupted(
        &self,
        id: &SessionId,
        interrupted: bool,
    ) -> Result<bool, TableError> {
        let phase = if interrupted { Phase::Interrupted } else { Phase::Live };
        let done = sqlx::query(
            "UPDATE recording SET phase = $2 WHERE id = $1 AND phase <> 'stored' AND removed IS NULL",
        )
        .bind(key(id))
        .bind(phase.word())
        .execute(&self.write)
        .await
        .map_err(failed("mark a recording"))?;
        Ok(done.rows_affected() == 1)
    }

    /// Notes that a recording is whole and in the final store: from here on that is where it is read.
    /// `false` when it is stored already, removed or unknown.
    ///
    /// # Errors
    /// [`TableError::Query`].
    pub async fn file_recording(&self, id: &SessionId, filed: &Filed) -> Result<bool, TableError> {
        let done = sqlx::query(
            "UPDATE recording SET phase = 'stored', object_key = $2, bytes = $3, file_hash = $4,
               verification = $5
             WHERE id = $1 AND phase <> 'stored' AND removed IS NULL",
        )
        .bind(key(id))
        .bind(&filed.object_key)
        .bind(signed(filed.bytes))
        .bind(&filed.file_hash[..])
        .bind(&filed.verification)
        .execute(&self.write)
        .await
        .map_err(failed("file a recording"))?;
        Ok(done.rows_affected() == 1)
    }

    /// Marks a recording as removed, once, and answers it as it was. Its bytes are to be removed afterwards.
    ///
    /// # Errors
    /// [`TableError::Query`], [`TableError::Unreadable`].
    pub async fn remove_recording(
        &self,
        id: &SessionId,
        now: Time,
    ) -> Result<Option<Recording>, TableError> {
        sqlx::query(
            "UPDATE recording SET removed = $2 WHERE id = $1 AND removed IS NULL RETURNING *",
        )
        .bind(key(id))
        .bind(now.0)
        .fetch_optional(&self.write)
        .await
        .map_err(failed("remove a recording"))?
        .map(|row| read(&row))
        .transpose()
    }

    /// One recording, also one that was removed.
    ///
    /// # Errors
    /// [`TableError::Query`], [`TableError::Unreadable`].
    pub async fn recording(&self, id: &SessionId) -> Result<Option<Recording>, TableError> {
        sqlx::query("SELECT * FROM recording WHERE id = $1")
            .bind(key(id))
            .fetch_optional(&self.read)
            .await
            .map_err(failed("read a recording"))?
            .map(|row| read(&row))
            .transpose()
    }

    /// Recordings of what a session left running, in the order in which they began. None while the session's own is unknown.
    ///
    /// # Errors
    /// [`TableError::Query`], [`TableError::Unreadable`].
    pub async fn aftermaths(&self, of: &SessionId) -> Result<Vec<SessionId>, TableError> {
        sqlx::query(concat!(
            "SELECT id FROM recording WHERE aftermath_of = $1 AND removed IS NULL AND ",
            of_its_session!(),
            " ORDER BY started, id LIMIT $2"
        ))
        .bind(key(of))
        .bind(i64::from(limit::PAGE_ROWS))
        .fetch_all(&self.read)
        .await
        .map_err(failed("list what a session left running"))?
        .iter()
        .map(|row| Fields(row).parsed("id"))
        .collect()
    }

    /// Recordings that are neither stored nor removed, oldest first: what auth looks after when it starts.
    ///
    /// # Errors
    /// [`TableError::Query`], [`TableError::Unreadable`].
    pub async fn unfiled_recordings(&self) -> Result<Vec<Recording>, TableError> {
        sqlx::query(
            "SELECT * FROM recording WHERE phase IN ('live', 'interrupted') AND removed IS NULL
             ORDER BY started, id",
        )
        .fetch_all(&self.read)
        .await
        .map_err(failed("list recordings"))?
        .iter()
        .map(read)
        .collect()
    }

    /// How many stored recordings there are, by what reading rights and their standing are decided on. Reads the whole table.
    ///
    /// # Errors
    /// [`TableError::Query`], [`TableError::Unreadable`].
    pub async fn count_stored(&self) -> Result<Vec<Alike>, TableError> {
        sqlx::query(
            "SELECT user_name, labels, verification, gaps > 0 AS gaps, COUNT(*) AS count FROM recording
             WHERE phase = 'stored' AND removed IS NULL
             GROUP BY user_name, labels, verification, gaps > 0",
        )
        .fetch_all(&self.read)
        .await
        .map_err(failed("count recordings"))?
        .iter()
        .map(|row| {
            let fields = Fields(row);
            Ok(Alike {
                user: fields.parsed("user_name")?,
                labels: fields.json("labels")?,
                verification: fields.maybe_text("verification")?,
                gaps: fields.count("gaps")? > 0,
                count: fields.count("count")?,
            })
        })
        .collect()
    }

    /// Bytes of each node's recordings, arriving and stored. Reads the whole table.
    ///
    /// # Errors
    /// [`TableError::Query`], [`TableError::Unreadable`].
    pub async fn recording_bytes(&self) -> Result<BTreeMap<NodeName, u64>, TableError> {
        sqlx::query(
            "SELECT node, SUM(bytes) AS bytes FROM recording WHERE removed IS NULL GROUP BY node",
        )
        .fetch_all(&self.read)
        .await
        .map_err(failed("sum up recordings"))?
        .iter()
        .map(|row| Ok((Fields(row).parsed("node")?, Fields(row).count("bytes")?)))
        .collect()
    }

    /// A page of recordings, newest first. The page is full as long as there are enough that `visible` lets through.
    ///
    /// # Errors
    /// [`TableError::Query`], [`TableError::Unreadable`].
    pub async fn list_recordings(
        &self,
        filter: &RecordingFilter,
        visible: Visible<'_>,
    ) -> Result<Vec<Recording>, TableError> {
        let mut filter = RecordingFilter { limit: rows(filter.limit), ..filter.clone() };
        if let Visible::Own(own) = visible
            && filter.user.get_or_insert_with(|| own.clone()) != own
        {
            return Ok(Vec::new());
        }
        let size = |rows: u32| usize::try_from(rows).unwrap_or(usize::MAX);
        let wanted = size(filter.limit);
        let mut found = Vec::new();
        loop {
            let page = self.recordings_page(&filter).await?;
            let whole = page.len() == size(filter.limit);
            // Whoever sees few of many is answered in larger steps from here on.
            filter.limit = limit::PAGE_ROWS;
            filter.after = page.last().map(|last| (last.started, last.id));
            found.extend(page.into_iter().filter(|one| match visible {
                Visible::Where(seen) => seen(one),
                Visible::All | Visible::Own(_) => true,
            }));
            if found.len() >= wanted || !whole {
                found.truncate(wanted);
                return Ok(found);
            }
        }
    }

    async fn recordings_page(
        &self,
        filter: &RecordingFilter,
    ) -> Result<Vec<Recording>, TableError> {
        let Some((from, to)) = prefix_range(filter.id_prefix.as_deref()) else {
            return Ok(Vec::new());
        };
        let sql = match (&filter.aftermath_of, &filter.user, &filter.node) {
            (Some(_), ..) => BY_AFTERMATH,
            (None, Some(_), _) => BY_USER,
            (None, None, Some(_)) => BY_NODE,
            (None, None, None) => BY_START,
        };
        sqlx::query(sql)
            .bind(filter.user.as_ref().map(UserName::as_str))
            .bind(filter.node.as_ref().map(NodeName::as_str))
            .bind(filter.login.as_ref().map(Login::as_str))
            .bind(filter.since.map(|time| time.0))
            .bind(filter.until.map(|time| time.0))
            .bind(from)
            .bind(to)
            .bind(i64::from(filter.live))
            .bind(filter.after.map(|(time, _)| time.0))
            .bind(filter.after.map(|(_, id)| key(&id)))
            .bind(i64::from(filter.limit))
            .bind(filter.connections.map(i64::from))
            .bind(json("kind of session", &Kind::Connection)?)
            .bind(filter.aftermath_of.as_ref().map(key))
            .bind(i64::from(filter.amiss))
            .bind(Verdict::Complete.to_string())
            .fetch_all(&self.read)
            .await
            .map_err(failed("list recordings"))?
            .iter()
            .map(read)
            .collect()
    }
}

fn key(id: &SessionId) -> String {
    hex::encode(id.as_bytes())
}

/// The ids that begin so, as a range that an index can answer; `g` follows the last digit. `None` when no id can begin so.
fn prefix_range(prefix: Option<&str>) -> Option<(Option<String>, Option<String>)> {
    let Some(prefix) = prefix else { return Some((None, None)) };
    let digits: String =
        prefix.chars().filter(|c| *c != '-').map(|c| c.to_ascii_lowercase()).collect();
    let fits = digits.len() <= 32 && digits.chars().all(|c| c.is_ascii_hexdigit());
    fits.then(|| (Some(digits.clone()), Some(digits + "g")))
}

fn read(row: &SqliteRow) -> Result<Recording, TableError> {
    let fields = Fields(row);
    let phase = fields.text("phase")?;
    let unreadable = |()| TableError::Unreadable { column: "phase", found: phase.clone() };
    Ok(Recording {
        id: fields.parsed("id")?,
        user: fields.parsed("user_name")?,
        login: fields.parsed("login")?,
        node: fields.parsed("node")?,
        connection: fields.parsed("connection")?,
        kind: fields.json("kind")?,
        client: fields.text("client")?,
        labels: fields.json("labels")?,
        started: fields.time("started")?,
        received: fields.time("received")?,
        length_ms: fields.count("length_ms")?,
        bytes: fields.count("bytes")?,
        records: fields.count("records")?,
        gaps: fields.count("gaps")?,
        tally: fields.maybe_json("tally")?,
        phase: phase.parse().map_err(unreadable)?,
        ending: fields.maybe_text("ending")?,
        verification: fields.maybe_text("verification")?,
        head_hash: fields.maybe_hash("head_hash")?,
        receipt: fields.maybe_json("receipt")?,
        object_key: fields.maybe_text("object_key")?,
        file_hash: fields.maybe_hash("file_hash")?,
        removed: fields.maybe_time("removed")?,
    })
}

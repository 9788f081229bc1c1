//! The ledger: append-only, each row chained to the one before it.

use super::fields::Fields;
use super::{TableError, Tables, Transaction, failed, json, raise, rows, signed};
use crate::hex;
use futures_util::TryStreamExt as _;
use model::limit::LEDGER_PAGE_BYTES;
use model::{AuditEvent, NodeName, SessionId, Time, UserName};
use sqlx::sqlite::SqliteRow;
use tokio::sync::watch;

/// Chain value after a row: BLAKE3 over the value before it (zeros before the first), the row's number (u64 LE), and the exact bytes of its event.
#[must_use]
pub fn chain(before: &[u8; 32], number: u64, event: &str) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(before).update(&number.to_le_bytes()).update(event.as_bytes());
    *hasher.finalize().as_bytes()
}

/// One row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerRow {
    /// Counted from 1 without holes.
    pub number: u64,
    /// The event as its exact JSON text, which is what was hashed.
    pub event: String,
    /// Stable code of the event.
    pub code: String,
    /// Chain value after this row.
    pub hash: [u8; 32],
    columns: Columns,
}

impl LedgerRow {
    /// Whether the columns beside the event, which the chain does not cover, say what the event says. Of an event that
    /// a newer version wrote this one knows nothing better.
    #[must_use]
    pub fn fits(&self) -> bool {
        Columns::told(&self.event).is_none_or(|told| told == self.columns)
    }

    /// The code that stands beside this event; `None` if a newer version wrote it.
    #[must_use]
    pub fn code_of(event: &str) -> Option<String> {
        Columns::told(event).map(|told| told.code)
    }
}

/// What stands in a row beside its event, so that rows are found and shown by it. All of it is told by the event alone.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Columns {
    time: Time,
    code: String,
    word: String,
    user: Option<String>,
    node: Option<String>,
    session: Option<String>,
}

impl Columns {
    fn of(event: &AuditEvent) -> Self {
        Self {
            time: event.time,
            code: event.what.code().to_owned(),
            word: event.what.word().to_owned(),
            user: event.user.as_ref().map(ToString::to_string),
            node: event.node.as_ref().map(ToString::to_string),
            session: event.session.map(|id| hex::encode(id.as_bytes())),
        }
    }

    /// Those of an event's text; `None` if a newer version wrote it.
    fn told(text: &str) -> Option<Self> {
        let event: AuditEvent = serde_json::from_str(text).ok()?;
        Some(Self::of(&event))
    }
}

/// The last row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LedgerHead {
    /// Its number; 0 while there is none.
    pub number: u64,
    /// Chain value after it; zeros while there is none.
    pub hash: [u8; 32],
}

/// Which rows to list. All conditions must hold.
#[derive(Debug, Clone, Default)]
pub struct LedgerFilter {
    /// After this number.
    pub after: Option<u64>,
    /// Before this number.
    pub before: Option<u64>,
    /// At or after this time.
    pub since: Option<Time>,
    /// Before this time.
    pub until: Option<Time>,
    /// By this user.
    pub user: Option<UserName>,
    /// On this node.
    pub node: Option<NodeName>,
    /// Of this session.
    pub session: Option<SessionId>,
    /// Whose word begins so, such as `session.`.
    pub word: Option<String>,
    /// At most so many; 0 is 100, and [`model::limit::PAGE_ROWS`] the most.
    pub limit: u32,
    /// Newest first instead of oldest first.
    pub newest_first: bool,
}

macro_rules! list {
    ($order:literal) => {
        concat!(
            "SELECT number, time, event, code, word, user_name, node, session, hash FROM ledger
             WHERE number > $1 AND number < $2
               AND ($3 IS NULL OR time >= $3) AND ($4 IS NULL OR time < $4)
               AND ($5 IS NULL OR user_name = $5) AND ($6 IS NULL OR node = $6)
               AND ($7 IS NULL OR session = $7)
               AND ($8 IS NULL OR substr(word, 1, length($8)) = $8)
             ORDER BY number ",
            $order,
            " LIMIT $9"
        )
    };
}

impl Tables {
    /// Appends events, all or none, durably. Answers the head after them.
    ///
    /// # Errors
    /// [`TableError::Query`], [`TableError::Json`].
    pub async fn append_ledger(&self, events: &[AuditEvent]) -> Result<LedgerHead, TableError> {
        let change = self.begin(APPEND).await?;
        self.append(change, events).await
    }

    /// Appends a part's report: those of its events whose numbers in this run were not taken before. Answers how many.
    ///
    /// # Errors
    /// [`TableError::Query`], [`TableError::Json`].
    pub async fn append_report(
        &self,
        part: &NodeName,
        run: &str,
        first: u64,
        events: &[AuditEvent],
        now: Time,
    ) -> Result<usize, TableError> {
        const NOTE: &str = "note a report";
        let mut change = self.begin(APPEND).await?;
        let row = sqlx::query(
            "SELECT COALESCE(MAX(batch), 0) AS taken FROM report WHERE node = $1 AND run = $2",
        )
        .bind(part.as_str())
        .bind(run)
        .fetch_one(&mut *change)
        .await
        .map_err(failed(NOTE))?;
        let taken = Fields(&row).count("taken")?;
        let known = taken.saturating_add(1).saturating_sub(first);
        let known = usize::try_from(known).unwrap_or(usize::MAX);
        let Some(fresh) = events.get(known..).filter(|fresh| !fresh.is_empty()) else {
            return Ok(0);
        };
        let count = u64::try_from(events.len()).unwrap_or(u64::MAX);
        let last = signed(first.saturating_add(count).saturating_sub(1));
        sqlx::query("DELETE FROM report WHERE node = $1 AND run = $2")
            .bind(part.as_str())
            .bind(run)
            .execute(&mut *change)
            .await
            .map_err(failed(NOTE))?;
        sqlx::query("INSERT INTO report (node, run, batch, time) VALUES ($1, $2, $3, $4)")
            .bind(part.as_str())
            .bind(run)
            .bind(last)
            .bind(now.0)
            .execute(&mut *change)
            .await
            .map_err(failed(NOTE))?;
        self.append(change, fresh).await?;
        Ok(fresh.len())
    }

    /// The last row's number and chain value.
    ///
    /// # Errors
    /// [`TableError::Query`], [`TableError::Unreadable`].
    pub async fn ledger_head(&self) -> Result<LedgerHead, TableError> {
        let row = sqlx::query(HEAD).fetch_optional(&self.read).await;
        read_head(row.map_err(failed("read the ledger's head"))?.as_ref())
    }

    /// A page of the ledger. It may be shorter than what was asked for; only behind the last row is it empty.
    ///
    /// # Errors
    /// [`TableError::Query`], [`TableError::Unreadable`].
    pub async fn list_ledger(&self, filter: &LedgerFilter) -> Result<Vec<LedgerRow>, TableError> {
        let sql = if filter.newest_first { list!("DESC") } else { list!("ASC") };
        let mut found = sqlx::query(sql)
            .bind(signed(filter.after.unwrap_or(0)))
            .bind(filter.before.map_or(i64::MAX, signed))
            .bind(filter.since.map(|time| time.0))
            .bind(filter.until.map(|time| time.0))
            .bind(filter.user.as_ref().map(UserName::as_str))
            .bind(filter.node.as_ref().map(NodeName::as_str))
            .bind(filter.session.map(|id| hex::encode(id.as_bytes())))
            .bind(filter.word.as_deref())
            .bind(i64::from(rows(filter.limit)))
            .fetch(&self.read);
        let (mut page, mut bytes) = (Vec::new(), 0);
        while bytes < LEDGER_PAGE_BYTES
            && let Some(row) = found.try_next().await.map_err(failed("list the ledger"))?
        {
            let row = read_row(&row)?;
            bytes += row.event.len();
            page.push(row);
        }
        Ok(page)
    }

    /// Tells the number of the last row whenever rows were appended.
    #[must_use]
    pub fn watch_ledger(&self) -> watch::Receiver<u64> {
        self.ledger_end.subscribe()
    }

    async fn append(
        &self,
        mut change: Transaction,
        events: &[AuditEvent],
    ) -> Result<LedgerHead, TableError> {
        let row = sqlx::query(HEAD).fetch_optional(&mut *change).await.map_err(failed(APPEND))?;
        let mut head = read_head(row.as_ref())?;
        for event in events {
            let text = json("event", event)?;
            let number = head.number.saturating_add(1);
            head = LedgerHead { number, hash: chain(&head.hash, number, &text) };
            insert(&mut change, &head, event, &text).await?;
        }
        change.commit().await.map_err(failed(APPEND))?;
        self.ledger_end.send_if_modified(|seen| raise(seen, head.number));
        Ok(head)
    }
}

const APPEND: &str = "append to the ledger";
const HEAD: &str = "SELECT number, hash FROM ledger ORDER BY number DESC LIMIT 1";

async fn insert(
    change: &mut Transaction,
    head: &LedgerHead,
    event: &AuditEvent,
    text: &str,
) -> Result<(), TableError> {
    let Columns { time, code, word, user, node, session } = Columns::of(event);
    sqlx::query(
        "INSERT INTO ledger (number, time, event, code, word, user_name, node, session, hash)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(signed(head.number))
    .bind(time.0)
    .bind(text)
    .bind(code)
    .bind(word)
    .bind(user)
    .bind(node)
    .bind(session)
    .bind(&head.hash[..])
    .execute(&mut **change)
    .await
    .map_err(failed(APPEND))?;
    Ok(())
}

fn read_head(row: Option<&SqliteRow>) -> Result<LedgerHead, TableError> {
    let Some(row) = row else { return Ok(LedgerHead::default()) };
    let fields = Fields(row);
    Ok(LedgerHead { number: fields.count("number")?, hash: fields.hash("hash")? })
}

fn read_row(row: &SqliteRow) -> Result<LedgerRow, TableError> {
    let fields = Fields(row);
    let columns = Columns {
        time: fields.time("time")?,
        code: fields.text("code")?,
        word: fields.text("word")?,
        user: fields.maybe_text("user_name")?,
        node: fields.maybe_text("node")?,
        session: fields.maybe_text("session")?,
    };
    Ok(LedgerRow {
        number: fields.count("number")?,
        event: fields.text("event")?,
        code: columns.code.clone(),
        hash: fields.hash("hash")?,
        columns,
    })
}

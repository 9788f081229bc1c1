//! The database: one table a subject, one module a group of them, behind [`Tables`].
//!
//! The SQL keeps to what SQLite and PostgreSQL share: `$1`, `ON CONFLICT`, `RETURNING`, row values.
//! Every query is a `&'static str`; nothing a person typed ever becomes part of one.
//! Secrets (invitation codes, join tokens, codes of links, view tickets, cookies, recovery codes) are hashed on the way in and never stored.

mod comments;
mod factors;
mod fields;
mod ledger;
mod links;
mod locks;
mod parts;
mod people;
mod recordings;
mod roles;
mod room;
mod web;

pub use comments::{Comment, NewComment};
pub use factors::{Factor, NewFactor};
pub use ledger::{LedgerFilter, LedgerHead, LedgerRow, chain};
pub use links::{Link, Most, NewLink};
pub use locks::NewLock;
pub use parts::{Cluster, JoinToken, Part, PartKey, PartKind, Seen};
pub use people::{Invitation, Removal, User};
pub use recordings::{Advance, Filed, Phase, Recording, RecordingFilter, Visible};
pub use room::ROOM_TAKES;
pub use web::{Begun, NewWebSession, WebSession};

use crate::keys::{self, KeyError};
use model::{Time, limit};
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{Connection as _, SqlSafeStr as _};
use std::path::{Path, PathBuf};
use std::time::Duration;
use thiserror::Error;
use tokio::sync::{broadcast, watch};

/// The steps that made the tables what they are. One that was released never changes: databases know its checksum.
const MIGRATIONS: [(&str, &str); 10] = [
    ("first", include_str!("../migrations/sqlite/0001_first.sql")),
    ("machines", include_str!("../migrations/sqlite/0002_machines.sql")),
    ("locks", include_str!("../migrations/sqlite/0003_locks.sql")),
    ("room", include_str!("../migrations/sqlite/0004_room.sql")),
    ("links", include_str!("../migrations/sqlite/0005_links.sql")),
    ("guests", include_str!("../migrations/sqlite/0006_guests.sql")),
    ("web", include_str!("../migrations/sqlite/0007_web.sql")),
    ("comments", include_str!("../migrations/sqlite/0008_comments.sql")),
    ("aftermaths", include_str!("../migrations/sqlite/0009_aftermaths.sql")),
    ("tallies", include_str!("../migrations/sqlite/0010_tallies.sql")),
];

/// Connections that read at once, besides the one that writes. More wait.
const READERS: u32 = 4;
/// Rows that the driver reads ahead of who asks. An event of the ledger may be as long as a request.
const READ_AHEAD: usize = 8;
/// Milliseconds to wait for another process that has the database locked, such as a backup.
const BUSY_MS: u64 = 5_000;
/// Rows of a list when nothing is said.
const DEFAULT_ROWS: u32 = 100;
/// How long it is remembered how far a part's queue of events was taken, in milliseconds. A row a queue.
const REPORT_MS: i64 = 400 * 24 * 3600 * 1000;

/// Why the database did not do it.
#[derive(Debug, Error)]
pub enum TableError {
    /// Its directory cannot be used.
    #[error("cannot use the directory of the database")]
    Directory(#[source] KeyError),
    /// It cannot be opened.
    #[error("cannot open the database {}", .path.display())]
    Open {
        /// Where it is.
        path: PathBuf,
        /// What the library said.
        #[source]
        source: sqlx::Error,
    },
    /// Its tables cannot be brought up to date; a newer version of scry may have been here.
    #[error(
        "cannot bring the database {} up to date: was it used by a newer version of scry?",
        .path.display()
    )]
    Migrate {
        /// Where it is.
        path: PathBuf,
        /// What the library said.
        #[source]
        source: sqlx::migrate::MigrateError,
    },
    /// A query failed.
    #[error("the database failed to {doing}")]
    Query {
        /// What was wanted.
        doing: &'static str,
        /// What the library said.
        #[source]
        source: sqlx::Error,
    },
    /// A row holds what this version cannot read.
    #[error("the database holds a {column} that cannot be read: {found:?}")]
    Unreadable {
        /// Which column.
        column: &'static str,
        /// What stands there.
        found: String,
    },
    /// A value cannot be written down.
    #[error("a {what} cannot be written as JSON")]
    Json {
        /// Which value.
        what: &'static str,
        /// What the library said.
        #[source]
        source: serde_json::Error,
    },
}

/// Says what was wanted, for [`TableError::Query`].
fn failed(doing: &'static str) -> impl FnOnce(sqlx::Error) -> TableError {
    move |source| TableError::Query { doing, source }
}

fn json<T: serde::Serialize>(what: &'static str, value: &T) -> Result<String, TableError> {
    serde_json::to_string(value).map_err(|source| TableError::Json { what, source })
}

/// SQL has no unsigned numbers; none here comes near the top.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn rows(limit: u32) -> u32 {
    if limit == 0 { DEFAULT_ROWS } else { limit.min(limit::PAGE_ROWS) }
}

/// Of two changes told at once, the later one stays told.
fn raise(seen: &mut u64, to: u64) -> bool {
    let higher = to > *seen;
    if higher {
        *seen = to;
    }
    higher
}

fn digest(secret: &str) -> Vec<u8> {
    blake3::hash(secret.as_bytes()).as_bytes().to_vec()
}

/// The database of auth. Clones share it.
#[derive(Debug, Clone)]
pub struct Tables {
    path: PathBuf,
    write: SqlitePool,
    read: SqlitePool,
    roles_rev: watch::Sender<u64>,
    ledger_end: watch::Sender<u64>,
    parts_changed: watch::Sender<u64>,
    web_ended: broadcast::Sender<u64>,
}

impl Tables {
    /// Opens the database file, making it (0600) if need be, and brings its tables up to date.
    ///
    /// # Errors
    /// [`TableError::Directory`], [`TableError::Open`], [`TableError::Migrate`].
    pub async fn open(path: &Path) -> Result<Self, TableError> {
        prepare_file(path)?;
        let opening = |source| TableError::Open { path: path.to_owned(), source };
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .row_buffer_size(READ_AHEAD)
            .busy_timeout(Duration::from_millis(BUSY_MS));
        let pool = |most: u32| SqlitePoolOptions::new().max_connections(most).min_connections(1);
        // A full disk ends a transaction in SQLite without the library's knowledge: it would count it as open for ever,
        // and begin no other. Such a connection is replaced; a rollback that was asked for is done before it comes here.
        let writer = pool(1).before_acquire(|connection, _| {
            let sound = !connection.is_in_transaction();
            Box::pin(std::future::ready(Ok(sound)))
        });
        let write = writer.connect_with(options.clone()).await.map_err(opening)?;
        migrator()
            .run(&write)
            .await
            .map_err(|source| TableError::Migrate { path: path.to_owned(), source })?;
        let read = pool(READERS).connect_with(options.read_only(true)).await.map_err(opening)?;
        let (roles_rev, ledger_end) = (watch::Sender::new(0), watch::Sender::new(0));
        let parts_changed = watch::Sender::new(0);
        let web_ended = broadcast::Sender::new(limit::WEB_ENDED);
        let path = path.to_owned();
        let tables = Self { path, write, read, roles_rev, ledger_end, parts_changed, web_ended };
        tables.roles_rev.send_replace(tables.roles().await?.rev);
        tables.ledger_end.send_replace(tables.ledger_head().await?.number);
        Ok(tables)
    }

    /// Removes what time has made useless: expired invitations, tokens, links, tickets and web sessions, old failures and report numbers.
    ///
    /// # Errors
    /// [`TableError::Query`].
    pub async fn sweep(&self, now: Time) -> Result<(), TableError> {
        let aged = |ms: i64| now.plus_ms(-ms).0;
        for (sql, before) in [
            ("DELETE FROM invitation WHERE expires < $1", now.0),
            ("DELETE FROM join_token WHERE expires < $1", now.0),
            ("DELETE FROM ticket WHERE expires < $1", now.0),
            ("DELETE FROM sign_in_failure WHERE time < $1", aged(limit::SIGN_IN_WINDOW_MS)),
            ("DELETE FROM report WHERE time < $1", aged(REPORT_MS)),
            ("DELETE FROM correction WHERE until < $1", now.0),
            ("DELETE FROM web_session WHERE expires < $1", now.0),
            ("DELETE FROM begun WHERE expires < $1", now.0),
            ("DELETE FROM link WHERE expires < $1", aged(limit::LINK_KEPT_MS)),
        ] {
            let done = sqlx::query(sql).bind(before).execute(&self.write).await;
            done.map_err(failed("sweep"))?;
        }
        Ok(())
    }

    /// Waits for what is under way and closes the file.
    pub async fn close(&self) {
        self.read.close().await;
        self.write.close().await;
    }

    /// Transactions that write take the lock at once, so that none fails half-way because another wrote first.
    async fn begin(&self, doing: &'static str) -> Result<Transaction, TableError> {
        self.write.begin_with("BEGIN IMMEDIATE").await.map_err(failed(doing))
    }
}

type Transaction = sqlx::Transaction<'static, sqlx::Sqlite>;

/// The next number of this counter.
async fn count(
    on: impl sqlx::SqliteExecutor<'_>,
    counter: &'static str,
    doing: &'static str,
) -> Result<i64, TableError> {
    sqlx::query_scalar("UPDATE counter SET value = value + 1 WHERE name = $1 RETURNING value")
        .bind(counter)
        .fetch_one(on)
        .await
        .map_err(failed(doing))
}

fn migrator() -> Migrator {
    let steps = (1..).zip(MIGRATIONS).map(|(version, (name, sql))| {
        Migration::new(version, name.into(), MigrationType::Simple, sql.into_sql_str(), false)
    });
    Migrator::with_migrations(steps.collect())
}

/// SQLite gives its side files the mode of the main file, so that one is made first.
fn prepare_file(path: &Path) -> Result<(), TableError> {
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        keys::ensure_dir(parent).map_err(TableError::Directory)?;
    }
    match keys::create(path, b"") {
        Ok(()) | Err(KeyError::Exists { .. }) => Ok(()),
        Err(error) => Err(TableError::Directory(error)),
    }
}

#[cfg(test)]
mod tests;

//! The cluster, its parts, their join tokens, and serial numbers of certificates.

use super::fields::Fields;
use super::{TableError, Tables, digest, failed, json, signed};
use model::role::Labels;
use model::{NodeName, Time};
use sqlx::sqlite::SqliteRow;
use std::str::FromStr;

/// The cluster itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    /// Its name.
    pub name: String,
    /// When it was made.
    pub created: Time,
}

/// Which part of scry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PartKind {
    /// A machine with an SSH server.
    Node,
    /// A front door.
    Proxy,
}

impl PartKind {
    /// The word that stands in the database.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Proxy => "proxy",
        }
    }
}

impl FromStr for PartKind {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        [Self::Node, Self::Proxy].into_iter().find(|kind| kind.word() == word).ok_or(())
    }
}

/// A part that has joined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Which sort.
    pub kind: PartKind,
    /// Its name.
    pub name: NodeName,
    /// Its labels; a proxy has none.
    pub labels: Labels,
    /// Version of scry on it.
    pub version: String,
    /// Sessions open on it.
    pub sessions: u32,
    /// When it joined.
    pub joined: Time,
    /// When it last said that it is there.
    pub last_seen: Option<Time>,
    /// Serial number of its host certificate.
    pub serial: u64,
}

impl Tables {
    /// The cluster, once it was made.
    ///
    /// # Errors
    /// [`TableError::Query`].
    pub async fn cluster(&self) -> Result<Option<Cluster>, TableError> {
        let row = sqlx::query("SELECT name, created FROM cluster")
            .fetch_optional(&self.read)
            .await
            .map_err(failed("read the cluster"))?;
        let Some(row) = row else { return Ok(None) };
        let fields = Fields(&row);
        Ok(Some(Cluster { name: fields.text("name")?, created: fields.time("created")? }))
    }

    /// Makes the cluster. `false` when there is one already, which stays as it is.
    ///
    /// # Errors
    /// [`TableError::Query`].
    pub async fn create_cluster(&self, name: &str, now: Time) -> Result<bool, TableError> {
        let done = sqlx::query(
            "INSERT INTO cluster (one, name, created) VALUES (1, $1, $2) ON CONFLICT DO NOTHING",
        )
        .bind(name)
        .bind(now.0)
        .execute(&self.write)
        .await
        .map_err(failed("write the cluster"))?;
        Ok(done.rows_affected() == 1)
    }

    /// A serial number that no certificate has had.
    ///
    /// # Errors
    /// [`TableError::Query`].
    pub async fn next_serial(&self) -> Result<u64, TableError> {
        let value: i64 = sqlx::query_scalar(
            "UPDATE counter SET value = value + 1 WHERE name = 'certificate' RETURNING value",
        )
        .fetch_one(&self.write)
        .await
        .map_err(failed("count a certificate"))?;
        Ok(value.unsigned_abs())
    }

    /// Makes a join token that counts `uses` times until `expires`.
    ///
    /// # Errors
    /// [`TableError::Query`].
    pub async fn put_join_token(
        &self,
        token: &str,
        part: PartKind,
        uses: u32,
        expires: Time,
    ) -> Result<(), TableError> {
        sqlx::query(
            "INSERT INTO join_token (hash, part, expires, uses_left) VALUES ($1, $2, $3, $4)",
        )
        .bind(digest(token))
        .bind(part.word())
        .bind(expires.0)
        .bind(i64::from(uses))
        .execute(&self.write)
        .await
        .map_err(failed("write a join token"))?;
        Ok(())
    }

    /// Uses a join token once. `false` when it is unknown, for another part, used up or expired.
    ///
    /// # Errors
    /// [`TableError::Query`].
    pub async fn use_join_token(
        &self,
        token: &str,
        part: PartKind,
        now: Time,
    ) -> Result<bool, TableError> {
        let used = sqlx::query(
            "UPDATE join_token SET uses_left = uses_left - 1
             WHERE hash = $1 AND part = $2 AND expires >= $3 AND uses_left > 0 RETURNING uses_left",
        )
        .bind(digest(token))
        .bind(part.word())
        .bind(now.0)
        .fetch_optional(&self.write)
        .await
        .map_err(failed("use a join token"))?;
        Ok(used.is_some())
    }

    /// Notes that a part has joined, or has a new certificate; labels and presence stay.
    ///
    /// # Errors
    /// [`TableError::Query`].
    pub async fn put_part(
        &self,
        kind: PartKind,
        name: &NodeName,
        serial: u64,
        now: Time,
    ) -> Result<(), TableError> {
        sqlx::query(
            "INSERT INTO part (kind, name, labels, version, sessions, joined, serial)
             VALUES ($1, $2, '{}', '', 0, $3, $4)
             ON CONFLICT (kind, name) DO UPDATE SET serial = excluded.serial",
        )
        .bind(kind.word())
        .bind(name.as_str())
        .bind(now.0)
        .bind(signed(serial))
        .execute(&self.write)
        .await
        .map_err(failed("write a part"))?;
        Ok(())
    }

    /// Notes that a part is there. `false` when no such part has joined.
    ///
    /// # Errors
    /// [`TableError::Query`].
    pub async fn part_seen(
        &self,
        kind: PartKind,
        name: &NodeName,
        labels: &Labels,
        version: &str,
        sessions: u32,
        now: Time,
    ) -> Result<bool, TableError> {
        let done = sqlx::query(
            "UPDATE part SET labels = $3, version = $4, sessions = $5, last_seen = $6
             WHERE kind = $1 AND name = $2",
        )
        .bind(kind.word())
        .bind(name.as_str())
        .bind(json("set of labels", labels)?)
        .bind(version)
        .bind(i64::from(sessions))
        .bind(now.0)
        .execute(&self.write)
        .await
        .map_err(failed("note a heartbeat"))?;
        Ok(done.rows_affected() == 1)
    }

    /// One part.
    ///
    /// # Errors
    /// [`TableError::Query`], [`TableError::Unreadable`].
    pub async fn part(&self, kind: PartKind, name: &NodeName) -> Result<Option<Part>, TableError> {
        sqlx::query("SELECT * FROM part WHERE kind = $1 AND name = $2")
            .bind(kind.word())
            .bind(name.as_str())
            .fetch_optional(&self.read)
            .await
            .map_err(failed("read a part"))?
            .map(|row| read_part(&row))
            .transpose()
    }

    /// All parts of a sort, by name.
    ///
    /// # Errors
    /// [`TableError::Query`], [`TableError::Unreadable`].
    pub async fn parts(&self, kind: PartKind) -> Result<Vec<Part>, TableError> {
        sqlx::query("SELECT * FROM part WHERE kind = $1 ORDER BY name")
            .bind(kind.word())
            .fetch_all(&self.read)
            .await
            .map_err(failed("list parts"))?
            .iter()
            .map(read_part)
            .collect()
    }
}

fn read_part(row: &SqliteRow) -> Result<Part, TableError> {
    let fields = Fields(row);
    let kind = fields.text("kind")?;
    let unreadable = |()| TableError::Unreadable { column: "kind", found: kind.clone() };
    Ok(Part {
        kind: kind.parse().map_err(unreadable)?,
        name: fields.parsed("name")?,
        labels: fields.json("labels")?,
        version: fields.text("version")?,
        sessions: u32::try_from(fields.count("sessions")?).unwrap_or(u32::MAX),
        joined: fields.time("joined")?,
        last_seen: fields.maybe_time("last_seen")?,
        serial: fields.count("serial")?,
    })
}

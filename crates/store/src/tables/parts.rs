//! The cluster, its parts, their join tokens, and serial numbers of certificates.

use super::fields::Fields;
use super::{TableError, Tables, count, digest, failed, json, signed};
use model::role::Labels;
use model::{NodeName, Time};
use sqlx::sqlite::SqliteRow;
use std::str::FromStr;
use tokio::sync::watch;

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

/// What a part says of itself as long as it is there.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'s> {
    /// Its labels.
    pub labels: &'s Labels,
    /// Its version.
    pub version: &'s str,
    /// Sessions that run there.
    pub sessions: u32,
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
    /// Those labels that came with its invitation; it cannot change them.
    pub granted: Labels,
    /// Pin of the TLS key that speaks for it; none for a part that has not renewed since pins are kept.
    pub tls_key: Option<String>,
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

/// A part as it joins or renews.
#[derive(Debug, Clone, Copy)]
pub struct PartKey<'a> {
    /// Which sort.
    pub kind: PartKind,
    /// Its name.
    pub name: &'a NodeName,
    /// Pin of its TLS key.
    pub tls_key: &'a str,
    /// Serial number of its host certificate.
    pub serial: u64,
}

/// What a join token lets in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinToken {
    /// Which sort of part.
    pub part: PartKind,
    /// The one name it counts for; any free one if none.
    pub name: Option<NodeName>,
    /// Labels it gives.
    pub labels: Labels,
    /// Last moment it counts.
    pub expires: Time,
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
        let value = count(&self.write, "certificate", "count a certificate").await?;
        Ok(value.unsigned_abs())
    }

    /// Makes a join token that counts once. `false` when `most` tokens wait already.
    ///
    /// # Errors
    /// [`TableError::Query`], [`TableError::Json`].
    pub async fn put_join_token(
        &self,
        secret: &str,
        token: &JoinToken,
        most: u32,
        now: Time,
    ) -> Result<bool, TableError> {
        let done = sqlx::query(
            "INSERT INTO join_token (hash, part, expires, uses_left, name, labels)
             SELECT $1, $2, $3, 1, $4, $5 WHERE
             (SELECT COUNT(*) FROM join_token WHERE uses_left > 0 AND expires >= $6) < $7",
        )
        .bind(digest(secret))
        .bind(token.part.word())
        .bind(token.expires.0)
        .bind(token.name.as_ref().map(NodeName::as_str))
        .bind(json("set of labels", &token.labels)?)
        .bind(now.0)
        .bind(i64::from(most))
        .execute(&self.write)
        .await
        .map_err(failed("write a join token"))?;
        Ok(done.rows_affected() == 1)
    }

    /// What a join token is good for at this moment, to the part whose TLS key has the pin `by`. `None` when it is
    /// unknown, for another sort of part, expired, or was used by another key.
    ///
    /// # Errors
    /// [`TableError::Query`], [`TableError::Unreadable`].
    pub async fn join_token(
        &self,
        secret: &str,
        part: PartKind,
        by: &str,
        now: Time,
    ) -> Result<Option<JoinToken>, TableError> {
        let row = sqlx::query(
            "SELECT name, labels, expires FROM join_token
             WHERE hash = $1 AND part = $2 AND expires >= $3 AND (uses_left > 0 OR used_by = $4)",
        )
        .bind(digest(secret))
        .bind(part.word())
        .bind(now.0)
        .bind(by)
        .fetch_optional(&self.read)
        .await
        .map_err(failed("read a join token"))?;
        let Some(row) = row else { return Ok(None) };
        let fields = Fields(&row);
        let unreadable = |found| TableError::Unreadable { column: "name", found };
        let name = fields.maybe_text("name")?;
        let name = name.map(|name| name.parse().map_err(|_| unreadable(name))).transpose()?;
        let (labels, expires) = (fields.json("labels")?, fields.time("expires")?);
        Ok(Some(JoinToken { part, name, labels, expires }))
    }

    /// Uses a join token up, as the part of this name. `false` as [`Tables::join_token`] answers `None`: whoever used it may
    /// use it again, for its answer may have been lost on the way, and for that name only.
    ///
    /// # Errors
    /// [`TableError::Query`].
    pub async fn use_join_token(
        &self,
        secret: &str,
        part: PartKind,
        by: (&str, &NodeName),
        now: Time,
    ) -> Result<bool, TableError> {
        let used = sqlx::query(
            "UPDATE join_token SET uses_left = 0, used_by = $4, name = $5
             WHERE hash = $1 AND part = $2 AND expires >= $3 AND (uses_left > 0 OR used_by = $4)",
        )
        .bind(digest(secret))
        .bind(part.word())
        .bind(now.0)
        .bind(by.0)
        .bind(by.1.as_str())
        .execute(&self.write)
        .await
        .map_err(failed("use a join token"))?;
        Ok(used.rows_affected() == 1)
    }

    /// Notes that a part has joined, with the labels it was given; one of that name is replaced, its presence stays.
    ///
    /// # Errors
    /// [`TableError::Query`], [`TableError::Json`].
    pub async fn put_part(
        &self,
        part: PartKey<'_>,
        granted: &Labels,
        now: Time,
    ) -> Result<(), TableError> {
        sqlx::query(
            "INSERT INTO part (kind, name, labels, version, sessions, joined, serial, granted, tls_key)
             VALUES ($1, $2, $5, '', 0, $3, $4, $5, $6)
             ON CONFLICT (kind, name) DO UPDATE SET serial = excluded.serial,
             granted = excluded.granted, tls_key = excluded.tls_key",
        )
        .bind(part.kind.word())
        .bind(part.name.as_str())
        .bind(now.0)
        .bind(signed(part.serial))
        .bind(json("set of labels", granted)?)
        .bind(part.tls_key)
        .execute(&self.write)
        .await
        .map_err(failed("write a part"))?;
        self.tell_parts();
        Ok(())
    }

    /// Notes a part's new certificate. `false` when it was removed meanwhile, or has another key than `old` by now.
    ///
    /// # Errors
    /// [`TableError::Query`].
    pub async fn renew_part(
        &self,
        part: PartKey<'_>,
        old: Option<&str>,
    ) -> Result<bool, TableError> {
        let done = sqlx::query(
            "UPDATE part SET serial = $3, tls_key = $4
             WHERE kind = $1 AND name = $2 AND COALESCE(tls_key, '') = $5",
        )
        .bind(part.kind.word())
        .bind(part.name.as_str())
        .bind(signed(part.serial))
        .bind(part.tls_key)
        .bind(old.unwrap_or_default())
        .execute(&self.write)
        .await
        .map_err(failed("renew a part"))?;
        self.tell_parts();
        Ok(done.rows_affected() == 1)
    }

    /// Removes a part: its certificates count no more, nor does the token that it joined with. `false` when there is none.
    ///
    /// # Errors
    /// [`TableError::Query`].
    pub async fn remove_part(&self, kind: PartKind, name: &NodeName) -> Result<bool, TableError> {
        let doing = "remove a part";
        let mut write = self.begin(doing).await?;
        let done = sqlx::query("DELETE FROM part WHERE kind = $1 AND name = $2")
            .bind(kind.word())
            .bind(name.as_str())
            .execute(&mut *write)
            .await
            .map_err(failed(doing))?;
        sqlx::query("DELETE FROM join_token WHERE part = $1 AND name = $2 AND uses_left = 0")
            .bind(kind.word())
            .bind(name.as_str())
            .execute(&mut *write)
            .await
            .map_err(failed(doing))?;
        write.commit().await.map_err(failed(doing))?;
        let removed = done.rows_affected() == 1;
        if removed {
            self.tell_parts();
        }
        Ok(removed)
    }

    /// Changes each time a part joins, renews or is removed.
    #[must_use]
    pub fn watch_parts(&self) -> watch::Receiver<u64> {
        self.parts_changed.subscribe()
    }

    fn tell_parts(&self) {
        self.parts_changed.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Notes that a part is there. `false` when no such part has joined.
    ///
    /// # Errors
    /// [`TableError::Query`].
    pub async fn part_seen(
        &self,
        (kind, name): (PartKind, &NodeName),
        key: Option<&str>,
        seen: Seen<'_>,
        now: Time,
    ) -> Result<bool, TableError> {
        let done = sqlx::query(
            "UPDATE part SET labels = $3, version = $4, sessions = $5, last_seen = $6
             WHERE kind = $1 AND name = $2 AND COALESCE(tls_key, '') = $7",
        )
        .bind(kind.word())
        .bind(name.as_str())
        .bind(json("set of labels", seen.labels)?)
        .bind(seen.version)
        .bind(i64::from(seen.sessions))
        .bind(now.0)
        .bind(key.unwrap_or_default())
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
        granted: fields.json("granted")?,
        tls_key: fields.maybe_text("tls_key")?,
        version: fields.text("version")?,
        sessions: u32::try_from(fields.count("sessions")?).unwrap_or(u32::MAX),
        joined: fields.time("joined")?,
        last_seen: fields.maybe_time("last_seen")?,
        serial: fields.count("serial")?,
    })
}

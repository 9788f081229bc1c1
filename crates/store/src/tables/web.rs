//! Who is signed in with a browser, and what has begun there and waits for its second half.

use super::fields::Fields;
use super::{TableError, Tables, count, digest, failed, json, signed};
use model::{FactorKind, Time, UserName};
use sqlx::sqlite::SqliteRow;
use tokio::sync::broadcast;

/// A web session that has no number yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewWebSession {
    /// Whose.
    pub user: UserName,
    /// When it begins.
    pub created: Time,
    /// First moment at which it no longer counts.
    pub expires: Time,
    /// From where.
    pub address: String,
    /// What the browser calls itself.
    pub browser: String,
    /// Second factors that were shown.
    pub factors: Vec<FactorKind>,
}

/// A web session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebSession {
    /// Its number.
    pub number: u64,
    /// What it was begun as.
    pub begun: NewWebSession,
    /// When it was used last, to the minute.
    pub seen: Time,
}

/// Something that has begun: what must be known for its second half.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Begun {
    /// What it is.
    pub kind: String,
    /// Whose, if that is known.
    pub user: Option<UserName>,
    /// Whatever its kind needs.
    pub spec: String,
    /// Last moment of it.
    pub expires: Time,
}

impl Tables {
    /// Begins a web session. Of one person's those that were used longest ago end beyond `most`.
    ///
    /// # Errors
    /// [`TableError::Query`], also when there is no such user.
    pub async fn put_web_session(
        &self,
        secret: &str,
        new: NewWebSession,
        most: u32,
    ) -> Result<WebSession, TableError> {
        let doing = "begin a web session";
        let mut change = self.begin(doing).await?;
        let ended: Vec<i64> = sqlx::query_scalar(
            "DELETE FROM web_session WHERE user_name = $1 AND number NOT IN
             (SELECT number FROM web_session WHERE user_name = $1 ORDER BY seen DESC, number DESC LIMIT $2)
             RETURNING number",
        )
        .bind(new.user.as_str())
        .bind(i64::from(most.saturating_sub(1)))
        .fetch_all(&mut *change)
        .await
        .map_err(failed(doing))?;
        let number = count(&mut *change, "web_session", doing).await?;
        sqlx::query(
            "INSERT INTO web_session
             (number, hash, user_name, created, expires, seen, address, browser, factors)
             VALUES ($1, $2, $3, $4, $5, $4, $6, $7, $8)",
        )
        .bind(number)
        .bind(digest(secret))
        .bind(new.user.as_str())
        .bind(new.created.0)
        .bind(new.expires.0)
        .bind(&new.address)
        .bind(&new.browser)
        .bind(json("list of factors", &new.factors)?)
        .execute(&mut *change)
        .await
        .map_err(failed(doing))?;
        change.commit().await.map_err(failed(doing))?;
        self.tell_web_ended(&ended);
        let seen = new.created;
        Ok(WebSession { number: number.unsigned_abs(), begun: new, seen })
    }

    /// The web session of this secret, if it counts at this moment.
    ///
    /// # Errors
    /// [`TableError::Query`], [`TableError::Unreadable`].
    pub async fn web_session(
        &self,
        secret: &str,
        now: Time,
    ) -> Result<Option<WebSession>, TableError> {
        let row = sqlx::query("SELECT * FROM web_session WHERE hash = $1 AND expires > $2")
            .bind(digest(secret))
            .bind(now.0)
            .fetch_optional(&self.read)
            .await
            .map_err(failed("read a web session"))?;
        row.map(|row| read_session(&row)).transpose()
    }

    /// A person's web sessions that count, the one that was used last first.
    ///
    /// # Errors
    /// [`TableError::Query`], [`TableError::Unreadable`].
    pub async fn web_sessions_of(
        &self,
        user: &UserName,
        now: Time,
    ) -> Result<Vec<WebSession>, TableError> {
        sqlx::query(
            "SELECT * FROM web_session WHERE user_name = $1 AND expires > $2
             ORDER BY seen DESC, number DESC",
        )
        .bind(user.as_str())
        .bind(now.0)
        .fetch_all(&self.read)
        .await
        .map_err(failed("list web sessions"))?
        .iter()
        .map(read_session)
        .collect()
    }

    /// Notes that a web session is used.
    ///
    /// # Errors
    /// [`TableError::Query`].
    pub async fn web_session_seen(&self, number: u64, now: Time) -> Result<(), TableError> {
        sqlx::query("UPDATE web_session SET seen = $2 WHERE number = $1")
            .bind(signed(number))
            .bind(now.0)
            .execute(&self.write)
            .await
            .map_err(failed("note a web session"))?;
        Ok(())
    }

    /// Notes which second factors were shown in a web session.
    ///
    /// # Errors
    /// [`TableError::Query`].
    pub async fn web_session_shown(
        &self,
        number: u64,
        factors: &[FactorKind],
    ) -> Result<(), TableError> {
        sqlx::query("UPDATE web_session SET factors = $2 WHERE number = $1")
            .bind(signed(number))
            .bind(json("list of factors", &factors)?)
            .execute(&self.write)
            .await
            .map_err(failed("note a second factor"))?;
        Ok(())
    }

    /// Ends one web session of a person. `false` when they have none with this number.
    ///
    /// # Errors
    /// [`TableError::Query`].
    pub async fn end_web_session(&self, user: &UserName, number: u64) -> Result<bool, TableError> {
        let done = sqlx::query("DELETE FROM web_session WHERE user_name = $1 AND number = $2")
            .bind(user.as_str())
            .bind(signed(number))
            .execute(&self.write)
            .await
            .map_err(failed("end a web session"))?;
        let ended = done.rows_affected() > 0;
        if ended {
            self.tell_web_ended(&[signed(number)]);
        }
        Ok(ended)
    }

    /// Ends all web sessions of a person but one. Answers how many.
    ///
    /// # Errors
    /// [`TableError::Query`].
    pub async fn end_web_sessions(
        &self,
        user: &UserName,
        but: Option<u64>,
    ) -> Result<u64, TableError> {
        let ended: Vec<i64> = sqlx::query_scalar(
            "DELETE FROM web_session WHERE user_name = $1 AND number <> $2 RETURNING number",
        )
        .bind(user.as_str())
        // None has a number below 1.
        .bind(but.map_or(0, signed))
        .fetch_all(&self.write)
        .await
        .map_err(failed("end web sessions"))?;
        self.tell_web_ended(&ended);
        Ok(ended.len() as u64)
    }

    /// Whether the web session of this number counts at this moment.
    ///
    /// # Errors
    /// [`TableError::Query`].
    pub async fn web_session_counts(&self, number: u64, now: Time) -> Result<bool, TableError> {
        let found = sqlx::query("SELECT 1 FROM web_session WHERE number = $1 AND expires > $2")
            .bind(signed(number))
            .bind(now.0)
            .fetch_optional(&self.read)
            .await
            .map_err(failed("read a web session"))?;
        Ok(found.is_some())
    }

    /// Numbers of web sessions as they end before their time. Whoever falls behind asks of each whether it counts.
    #[must_use]
    pub fn watch_web_sessions(&self) -> broadcast::Receiver<u64> {
        self.web_ended.subscribe()
    }

    pub(super) fn tell_web_ended(&self, numbers: &[i64]) {
        for number in numbers {
            // Nobody may listen.
            let _ = self.web_ended.send(number.unsigned_abs());
        }
    }

    /// Keeps what has begun, by its ticket. Beyond `most` those end that would expire first.
    ///
    /// # Errors
    /// [`TableError::Query`].
    pub async fn put_begun(
        &self,
        ticket: &str,
        begun: &Begun,
        most: u32,
    ) -> Result<(), TableError> {
        let doing = "keep what has begun";
        let mut change = self.begin(doing).await?;
        sqlx::query(
            "DELETE FROM begun WHERE hash IN (SELECT hash FROM begun ORDER BY expires DESC
             LIMIT -1 OFFSET $1)",
        )
        .bind(i64::from(most.saturating_sub(1)))
        .execute(&mut *change)
        .await
        .map_err(failed(doing))?;
        sqlx::query(
            "INSERT INTO begun (hash, kind, user_name, spec, expires) VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(digest(ticket))
        .bind(&begun.kind)
        .bind(begun.user.as_ref().map(UserName::as_str))
        .bind(&begun.spec)
        .bind(begun.expires.0)
        .execute(&mut *change)
        .await
        .map_err(failed(doing))?;
        change.commit().await.map_err(failed(doing))
    }

    /// What has begun with this ticket. It stays.
    ///
    /// # Errors
    /// [`TableError::Query`], [`TableError::Unreadable`].
    pub async fn begun(
        &self,
        ticket: &str,
        kind: &str,
        now: Time,
    ) -> Result<Option<Begun>, TableError> {
        let row =
            sqlx::query("SELECT * FROM begun WHERE hash = $1 AND kind = $2 AND expires >= $3")
                .bind(digest(ticket))
                .bind(kind)
                .bind(now.0)
                .fetch_optional(&self.read)
                .await
                .map_err(failed("read what has begun"))?;
        row.map(|row| read_begun(&row)).transpose()
    }

    /// Takes what has begun with this ticket: it counts no more, and of many who ask one is answered.
    ///
    /// # Errors
    /// [`TableError::Query`], [`TableError::Unreadable`].
    pub async fn take_begun(
        &self,
        ticket: &str,
        kind: &str,
        now: Time,
    ) -> Result<Option<Begun>, TableError> {
        let row = sqlx::query(
            "DELETE FROM begun WHERE hash = $1 AND kind = $2 AND expires >= $3 RETURNING *",
        )
        .bind(digest(ticket))
        .bind(kind)
        .bind(now.0)
        .fetch_optional(&self.write)
        .await
        .map_err(failed("take what has begun"))?;
        row.map(|row| read_begun(&row)).transpose()
    }
}

fn read_session(row: &SqliteRow) -> Result<WebSession, TableError> {
    let fields = Fields(row);
    let begun = NewWebSession {
        user: fields.parsed("user_name")?,
        created: fields.time("created")?,
        expires: fields.time("expires")?,
        address: fields.text("address")?,
        browser: fields.text("browser")?,
        factors: fields.json("factors")?,
    };
    Ok(WebSession { number: fields.count("number")?, begun, seen: fields.time("seen")? })
}

fn read_begun(row: &SqliteRow) -> Result<Begun, TableError> {
    let fields = Fields(row);
    let unreadable = |found| TableError::Unreadable { column: "user_name", found };
    let user = fields.maybe_text("user_name")?;
    let user = user.map(|name| name.parse().map_err(|_| unreadable(name))).transpose()?;
    let (kind, spec, expires) =
        (fields.text("kind")?, fields.text("spec")?, fields.time("expires")?);
    Ok(Begun { kind, user, spec, expires })
}

//! Links into running sessions. Those that were revoked before their time travel with the roles.

use super::fields::Fields;
use super::{TableError, Tables, count, digest, failed, signed};
use model::{LinkId, NodeName, SeatRole, SessionId, Time, UserName};
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use std::collections::BTreeSet;

/// A link that has no number yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewLink {
    /// Where the session runs.
    pub node: NodeName,
    /// Which.
    pub session: SessionId,
    /// Whose it is.
    pub owner: UserName,
    /// As what it lets in.
    pub seat: SeatRole,
    /// Who makes it.
    pub by: UserName,
    /// The only one who may use it; whoever has an account if none.
    pub to: Option<UserName>,
    /// Whether people who have no account may use it, too.
    pub guests: bool,
    /// Whether it counts once only.
    pub once: bool,
    /// From when on.
    pub created: Time,
    /// First moment at which it no longer counts.
    pub expires: Time,
}

/// A link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Its number.
    pub id: LinkId,
    /// What it was made as.
    pub made: NewLink,
    /// How often it was used.
    pub used: u64,
    /// When it was revoked, if it was.
    pub revoked: Option<Time>,
}

/// How many links there may be.
#[derive(Debug, Clone, Copy)]
pub struct Most {
    /// Of all owners.
    pub all: u32,
    /// Of one.
    pub own: u32,
}

impl Tables {
    /// Makes a link; `None` when there are as many as may be that have not expired.
    ///
    /// # Errors
    /// [`TableError::Query`].
    pub async fn put_link(
        &self,
        code: &str,
        new: NewLink,
        most: Most,
    ) -> Result<Option<Link>, TableError> {
        let doing = "write a link";
        let mut change = self.begin(doing).await?;
        if is_full(&mut change, &new.owner, most).await? {
            // Those that have expired are kept only while there is room.
            sqlx::query("DELETE FROM link WHERE expires <= $1")
                .bind(new.created.0)
                .execute(&mut *change)
                .await
                .map_err(failed(doing))?;
            if is_full(&mut change, &new.owner, most).await? {
                return Ok(None);
            }
        }
        let number = count(&mut *change, "link", doing).await?;
        sqlx::query(
            "INSERT INTO link
             (number, hash, node, session, owner, seat, creator, recipient, once, created, expires,
              guests)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        )
        .bind(number)
        .bind(digest(code))
        .bind(new.node.as_str())
        .bind(new.session.to_string())
        .bind(new.owner.as_str())
        .bind(new.seat.word())
        .bind(new.by.as_str())
        .bind(new.to.as_ref().map(UserName::as_str))
        .bind(i64::from(new.once))
        .bind(new.created.0)
        .bind(new.expires.0)
        .bind(i64::from(new.guests))
        .execute(&mut *change)
        .await
        .map_err(failed(doing))?;
        change.commit().await.map_err(failed(doing))?;
        let id = LinkId(number.unsigned_abs());
        Ok(Some(Link { id, made: new, used: 0, revoked: None }))
    }

    /// The link with a code, whether it still counts or not; `None` when it is unknown, or known no more.
    ///
    /// # Errors
    /// [`TableError::Query`], [`TableError::Unreadable`].
    pub async fn link(&self, code: &str) -> Result<Option<Link>, TableError> {
        let row = sqlx::query("SELECT * FROM link WHERE hash = $1")
            .bind(digest(code))
            .fetch_optional(&self.read)
            .await
            .map_err(failed("read a link"))?;
        row.map(|row| read_link(&row)).transpose()
    }

    /// As [`Tables::link`], by its number.
    ///
    /// # Errors
    /// [`TableError::Query`], [`TableError::Unreadable`].
    pub async fn link_of_number(&self, id: LinkId) -> Result<Option<Link>, TableError> {
        let row = sqlx::query("SELECT * FROM link WHERE number = $1")
            .bind(signed(id.0))
            .fetch_optional(&self.read)
            .await
            .map_err(failed("read a link"))?;
        row.map(|row| read_link(&row)).transpose()
    }

    /// The links into the sessions of an owner that have not expired, the newest first.
    ///
    /// # Errors
    /// [`TableError::Query`], [`TableError::Unreadable`].
    pub async fn links_of(&self, owner: &UserName, now: Time) -> Result<Vec<Link>, TableError> {
        sqlx::query("SELECT * FROM link WHERE owner = $1 AND expires > $2 ORDER BY number DESC")
            .bind(owner.as_str())
            .bind(now.0)
            .fetch_all(&self.read)
            .await
            .map_err(failed("list links"))?
            .iter()
            .map(read_link)
            .collect()
    }

    /// Counts a use. `None`, and nothing is counted, when the link does not count at this moment, not for this person, or was
    /// used up.
    ///
    /// # Errors
    /// [`TableError::Query`], [`TableError::Unreadable`].
    pub async fn use_link(
        &self,
        code: &str,
        user: &UserName,
        now: Time,
    ) -> Result<Option<Link>, TableError> {
        let row = sqlx::query(
            "UPDATE link SET used = used + 1
             WHERE hash = $1 AND (recipient IS NULL OR recipient = $2) AND expires > $3
             AND revoked IS NULL AND (once = 0 OR used = 0) RETURNING *",
        )
        .bind(digest(code))
        .bind(user.as_str())
        .bind(now.0)
        .fetch_optional(&self.write)
        .await
        .map_err(failed("use a link"))?;
        row.map(|row| read_link(&row)).transpose()
    }

    /// Revokes a link. `false` when there is none that is not revoked. Counts as a change of the roles if somebody came by it.
    ///
    /// # Errors
    /// [`TableError::Query`].
    pub async fn revoke_link(&self, id: LinkId, now: Time) -> Result<bool, TableError> {
        let doing = "revoke a link";
        let mut change = self.begin(doing).await?;
        let used: Option<i64> = sqlx::query_scalar(
            "UPDATE link SET revoked = $2 WHERE number = $1 AND revoked IS NULL RETURNING used",
        )
        .bind(signed(id.0))
        .bind(now.0)
        .fetch_optional(&mut *change)
        .await
        .map_err(failed(doing))?;
        match used {
            None => return Ok(false),
            Some(0) => change.commit().await.map_err(failed(doing))?,
            Some(_) => drop(self.roles_changed(change).await?),
        }
        Ok(true)
    }
}

async fn is_full(
    view: &mut SqliteConnection,
    owner: &UserName,
    most: Most,
) -> Result<bool, TableError> {
    let count = sqlx::query(
        "SELECT COUNT(*) AS every, COUNT(*) FILTER (WHERE owner = $1) AS own FROM link",
    )
    .bind(owner.as_str())
    .fetch_one(view)
    .await
    .map_err(failed("count links"))?;
    let fields = Fields(&count);
    Ok(fields.count("every")? >= most.all.into() || fields.count("own")? >= most.own.into())
}

/// Links that were revoked and by which somebody had come; until some time after they have expired.
pub(super) async fn read_revoked(
    view: &mut SqliteConnection,
) -> Result<BTreeSet<LinkId>, TableError> {
    let numbers: Vec<i64> =
        sqlx::query_scalar("SELECT number FROM link WHERE revoked IS NOT NULL AND used > 0")
            .fetch_all(view)
            .await
            .map_err(failed("read which links were revoked"))?;
    Ok(numbers.into_iter().map(|number| LinkId(number.unsigned_abs())).collect())
}

fn read_link(row: &SqliteRow) -> Result<Link, TableError> {
    let fields = Fields(row);
    let unreadable = |found| TableError::Unreadable { column: "recipient", found };
    let to = fields.maybe_text("recipient")?;
    let to = to.map(|name| name.parse().map_err(|_| unreadable(name))).transpose()?;
    let made = NewLink {
        node: fields.parsed("node")?,
        session: fields.parsed("session")?,
        owner: fields.parsed("owner")?,
        seat: fields.parsed("seat")?,
        by: fields.parsed("creator")?,
        to,
        guests: fields.count("guests")? == 1,
        once: fields.count("once")? == 1,
        created: fields.time("created")?,
        expires: fields.time("expires")?,
    };
    Ok(Link {
        id: LinkId(fields.count("number")?),
        made,
        used: fields.count("used")?,
        revoked: fields.maybe_time("revoked")?,
    })
}

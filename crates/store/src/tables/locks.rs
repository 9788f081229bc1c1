//! Locks, and the corrections of certificates that are in use. Each change counts as one of the roles, with which they travel.

use super::fields::Fields;
use super::{TableError, Tables, Transaction, count, failed, json, signed};
use model::limit::CORRECTION_MS;
use model::lock::{Account, Reason};
use model::{Correction, Lock, LockId, LockTarget, Time, UserName};
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use std::collections::BTreeMap;

/// A lock that has no number yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewLock {
    /// What it shuts.
    pub target: LockTarget,
    /// Why.
    pub reason: Reason,
    /// Who locks.
    pub creator: UserName,
    /// From when on.
    pub created: Time,
    /// First moment at which it no longer counts.
    pub expires: Option<Time>,
}

impl NewLock {
    /// With its number.
    #[must_use]
    pub fn numbered(self, id: LockId) -> Lock {
        let Self { target, reason, creator, created, expires } = self;
        Lock { id, target, reason, creator, created, expires }
    }
}

impl Tables {
    /// Makes a lock; `None` when `most` locks are there already.
    ///
    /// # Errors
    /// [`TableError::Query`].
    pub async fn put_lock(&self, new: NewLock, most: u32) -> Result<Option<Lock>, TableError> {
        let doing = "write a lock";
        let mut change = self.begin(doing).await?;
        let there: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM lock")
            .fetch_one(&mut *change)
            .await
            .map_err(failed(doing))?;
        if there >= i64::from(most) {
            return Ok(None);
        }
        let number = count(&mut *change, "lock", doing).await?;
        let lock = new.numbered(LockId(number.unsigned_abs()));
        let (kind, name) = lock.target.parts();
        sqlx::query(
            "INSERT INTO lock (number, kind, name, reason, creator, created, expires)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(number)
        .bind(kind)
        .bind(name)
        .bind(lock.reason.as_str())
        .bind(lock.creator.as_str())
        .bind(lock.created.0)
        .bind(lock.expires.map(|expires| expires.0))
        .execute(&mut *change)
        .await
        .map_err(failed(doing))?;
        self.roles_changed(change).await?;
        Ok(Some(lock))
    }

    /// Lifts a lock; answers it, or `None` when there is no such lock.
    ///
    /// # Errors
    /// [`TableError::Query`], [`TableError::Unreadable`].
    pub async fn remove_lock(&self, id: LockId) -> Result<Option<Lock>, TableError> {
        let doing = "remove a lock";
        let mut change = self.begin(doing).await?;
        let row = sqlx::query("DELETE FROM lock WHERE number = $1 RETURNING *")
            .bind(signed(id.0))
            .fetch_optional(&mut *change)
            .await
            .map_err(failed(doing))?;
        let Some(row) = row else { return Ok(None) };
        let lock = read_lock(&row)?;
        self.roles_changed(change).await?;
        Ok(Some(lock))
    }

    /// Removes locks whose time is over; answers them.
    ///
    /// # Errors
    /// [`TableError::Query`], [`TableError::Unreadable`].
    pub async fn remove_expired_locks(&self, now: Time) -> Result<Vec<Lock>, TableError> {
        let doing = "remove expired locks";
        let mut change = self.begin(doing).await?;
        let rows = sqlx::query("DELETE FROM lock WHERE expires <= $1 RETURNING *")
            .bind(now.0)
            .fetch_all(&mut *change)
            .await
            .map_err(failed(doing))?;
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let locks = rows.iter().map(read_lock).collect::<Result<_, _>>()?;
        self.roles_changed(change).await?;
        Ok(locks)
    }
}

/// All locks, by number; expired ones too, until they are swept.
pub(super) async fn read_locks(view: &mut SqliteConnection) -> Result<Vec<Lock>, TableError> {
    let rows = sqlx::query("SELECT * FROM lock ORDER BY number").fetch_all(view).await;
    rows.map_err(failed("read the locks"))?.iter().map(read_lock).collect()
}

/// All corrections.
pub(super) async fn read_corrections(
    view: &mut SqliteConnection,
) -> Result<BTreeMap<UserName, Correction>, TableError> {
    let rows = sqlx::query("SELECT * FROM correction").fetch_all(view).await;
    let read = |row: &SqliteRow| {
        let fields = Fields(row);
        let (account, void) = (fields.maybe_json("account")?, fields.count("void")?);
        Ok((fields.parsed("user_name")?, Correction { account, void }))
    };
    rows.map_err(failed("read what became of accounts"))?.iter().map(read).collect()
}

/// Notes that an account holds something else than certificates of its person say; or was removed, if it holds nothing.
/// `renewed` says that it is another account of a name that was removed before: certificates so far are void.
pub(super) async fn correct(
    change: &mut Transaction,
    user: &UserName,
    account: Option<&Account>,
    renewed: bool,
    now: Time,
) -> Result<(), TableError> {
    let account = account.map(|account| json("account", account)).transpose()?;
    sqlx::query(
        "INSERT INTO correction (user_name, account, void, until) VALUES ($1, $2,
             CASE WHEN $3 THEN (SELECT value FROM counter WHERE name = 'certificate') ELSE 0 END, $4)
         ON CONFLICT (user_name) DO UPDATE SET account = excluded.account, until = excluded.until,
             void = CASE WHEN excluded.void > correction.void THEN excluded.void ELSE correction.void END",
    )
    .bind(user.as_str())
    .bind(account)
    .bind(renewed)
    .bind(now.plus_ms(CORRECTION_MS).0)
    .execute(&mut **change)
    .await
    .map_err(failed("note what became of an account"))?;
    Ok(())
}

/// What is noted of an account of this name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Noted {
    /// That it was removed.
    Removed,
    /// What it holds.
    Holds,
}

/// What became of an account of this name, if it is noted.
pub(super) async fn noted(
    change: &mut Transaction,
    user: &UserName,
) -> Result<Option<Noted>, TableError> {
    let removed: Option<bool> =
        sqlx::query_scalar("SELECT account IS NULL FROM correction WHERE user_name = $1")
            .bind(user.as_str())
            .fetch_optional(&mut **change)
            .await
            .map_err(failed("read what became of an account"))?;
    Ok(removed.map(|removed| if removed { Noted::Removed } else { Noted::Holds }))
}

fn read_lock(row: &SqliteRow) -> Result<Lock, TableError> {
    let fields = Fields(row);
    let (kind, name) = (fields.text("kind")?, fields.text("name")?);
    let target = LockTarget::from_parts(&kind, &name);
    let column = "lock's target";
    Ok(Lock {
        id: LockId(fields.count("number")?),
        target: target
            .ok_or_else(|| TableError::Unreadable { column, found: format!("{kind} {name}") })?,
        reason: fields.parsed("reason")?,
        creator: fields.parsed("creator")?,
        created: fields.time("created")?,
        expires: fields.maybe_time("expires")?,
    })
}

//! Users, their invitations, and failed sign-ins.

use super::fields::Fields;
use super::locks::{Noted, correct, noted};
use super::{TableError, Tables, digest, failed, json};
use model::lock::Account;
use model::{Login, RoleName, Time, UserName};
use sqlx::sqlite::SqliteRow;

/// A person's account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Who.
    pub name: UserName,
    /// With which roles.
    pub roles: Vec<RoleName>,
    /// Accounts on machines, for roles that allow `{logins}`.
    pub logins: Vec<Login>,
    /// PHC string of the password; none before sign-up.
    pub password_hash: Option<String>,
    /// When the account was made.
    pub created: Time,
    /// Last sign-in.
    pub last_sign_in: Option<Time>,
}

impl User {
    /// Whether a password was set; nobody else ever had a certificate.
    #[must_use]
    pub fn has_signed_up(&self) -> bool {
        self.password_hash.is_some()
    }
}

/// An invitation that can be taken up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invitation {
    /// Whom it is for.
    pub user: UserName,
    /// Last moment to take it up.
    pub expires: Time,
}

/// What became of the wish to remove a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removal {
    /// Removed.
    Done,
    /// There was no such user.
    Missing,
    /// The guard refused.
    Refused,
}

impl Tables {
    /// Makes a user, or gives one who exists these roles and logins; the password stays. Certificates that may be in use
    /// are corrected.
    ///
    /// # Errors
    /// [`TableError::Query`].
    pub async fn put_user(
        &self,
        name: &UserName,
        roles: &[RoleName],
        logins: &[Login],
        now: Time,
    ) -> Result<(), TableError> {
        let doing = "write a user";
        let mut change = self.begin(doing).await?;
        let before = read_one(&mut *change, name).await?;
        sqlx::query(
            "INSERT INTO account (user_name, roles, logins, created) VALUES ($1, $2, $3, $4)
             ON CONFLICT (user_name) DO UPDATE SET roles = excluded.roles, logins = excluded.logins",
        )
        .bind(name.as_str())
        .bind(json("list of roles", &roles)?)
        .bind(json("list of logins", &logins)?)
        .bind(now.0)
        .execute(&mut *change)
        .await
        .map_err(failed(doing))?;
        let noted = noted(&mut change, name).await?;
        let renewed = noted == Some(Noted::Removed);
        let differs =
            before.as_ref().is_none_or(|user| user.roles != roles || user.logins != logins);
        let signed_up = before.is_some_and(|user| user.has_signed_up());
        // Also before they sign up: what stands of an earlier account of the name would beat their certificate.
        if renewed || (differs && (signed_up || noted.is_some())) {
            let account = Account { roles: roles.to_vec(), logins: logins.to_vec() };
            correct(&mut change, name, Some(&account), renewed, now).await?;
            self.roles_changed(change).await?;
            return Ok(());
        }
        change.commit().await.map_err(failed(doing))
    }

    /// One user.
    ///
    /// # Errors
    /// [`TableError::Query`], [`TableError::Unreadable`].
    pub async fn user(&self, name: &UserName) -> Result<Option<User>, TableError> {
        read_one(&self.read, name).await
    }

    /// All users, by name.
    ///
    /// # Errors
    /// [`TableError::Query`], [`TableError::Unreadable`].
    pub async fn users(&self) -> Result<Vec<User>, TableError> {
        sqlx::query("SELECT * FROM account ORDER BY user_name")
            .fetch_all(&self.read)
            .await
            .map_err(failed("list users"))?
            .iter()
            .map(read_user)
            .collect()
    }

    /// Removes a user with all invitations, if `guard` agrees to those who would remain. Certificates that may be in use
    /// count no more.
    ///
    /// # Errors
    /// [`TableError::Query`], [`TableError::Unreadable`].
    pub async fn remove_user(
        &self,
        name: &UserName,
        now: Time,
        guard: impl FnOnce(&[User]) -> bool + Send,
    ) -> Result<Removal, TableError> {
        let doing = "remove a user";
        let mut change = self.begin(doing).await?;
        let rows = sqlx::query("SELECT * FROM account ORDER BY user_name")
            .fetch_all(&mut *change)
            .await
            .map_err(failed(doing))?;
        let mut users = rows.iter().map(read_user).collect::<Result<Vec<_>, _>>()?;
        let Some(at) = users.iter().position(|user| user.name == *name) else {
            return Ok(Removal::Missing);
        };
        let removed = users.remove(at);
        if !guard(&users) {
            return Ok(Removal::Refused);
        }
        sqlx::query("DELETE FROM account WHERE user_name = $1")
            .bind(name.as_str())
            .execute(&mut *change)
            .await
            .map_err(failed(doing))?;
        if removed.has_signed_up() || noted(&mut change, name).await?.is_some() {
            correct(&mut change, name, None, false, now).await?;
            self.roles_changed(change).await?;
        } else {
            change.commit().await.map_err(failed(doing))?;
        }
        Ok(Removal::Done)
    }

    /// Makes an invitation for a user who exists; earlier ones that were not taken up stop to count.
    ///
    /// # Errors
    /// [`TableError::Query`], also when there is no such user.
    pub async fn invite(
        &self,
        code: &str,
        user: &UserName,
        expires: Time,
    ) -> Result<(), TableError> {
        let doing = "write an invitation";
        let mut change = self.begin(doing).await?;
        sqlx::query("DELETE FROM invitation WHERE user_name = $1 AND used IS NULL")
            .bind(user.as_str())
            .execute(&mut *change)
            .await
            .map_err(failed(doing))?;
        sqlx::query("INSERT INTO invitation (hash, user_name, expires) VALUES ($1, $2, $3)")
            .bind(digest(code))
            .bind(user.as_str())
            .bind(expires.0)
            .execute(&mut *change)
            .await
            .map_err(failed(doing))?;
        change.commit().await.map_err(failed(doing))
    }

    /// The invitation with this code, if it can still be taken up.
    ///
    /// # Errors
    /// [`TableError::Query`].
    pub async fn invitation(
        &self,
        code: &str,
        now: Time,
    ) -> Result<Option<Invitation>, TableError> {
        let row = sqlx::query(
            "SELECT user_name, expires FROM invitation
             WHERE hash = $1 AND used IS NULL AND expires >= $2",
        )
        .bind(digest(code))
        .bind(now.0)
        .fetch_optional(&self.read)
        .await
        .map_err(failed("read an invitation"))?;
        let Some(row) = row else { return Ok(None) };
        let fields = Fields(&row);
        Ok(Some(Invitation { user: fields.parsed("user_name")?, expires: fields.time("expires")? }))
    }

    /// Takes up an invitation, once, and sets the password. `None` when the code is unknown, used or expired.
    ///
    /// # Errors
    /// [`TableError::Query`].
    pub async fn sign_up(
        &self,
        code: &str,
        password_hash: &str,
        now: Time,
    ) -> Result<Option<UserName>, TableError> {
        let doing = "take up an invitation";
        let mut change = self.begin(doing).await?;
        let taken = sqlx::query(
            "UPDATE invitation SET used = $2 WHERE hash = $1 AND used IS NULL AND expires >= $2
             RETURNING user_name",
        )
        .bind(digest(code))
        .bind(now.0)
        .fetch_optional(&mut *change)
        .await
        .map_err(failed(doing))?;
        let Some(row) = taken else { return Ok(None) };
        let user: UserName = Fields(&row).parsed("user_name")?;
        sqlx::query("UPDATE account SET password_hash = $2 WHERE user_name = $1")
            .bind(user.as_str())
            .bind(password_hash)
            .execute(&mut *change)
            .await
            .map_err(failed(doing))?;
        // Whoever is signed in with the password before this one is so no more.
        let ended: Vec<i64> =
            sqlx::query_scalar("DELETE FROM web_session WHERE user_name = $1 RETURNING number")
                .bind(user.as_str())
                .fetch_all(&mut *change)
                .await
                .map_err(failed(doing))?;
        change.commit().await.map_err(failed(doing))?;
        self.tell_web_ended(&ended);
        Ok(Some(user))
    }

    /// Notes a sign-in: its time, and that earlier failures no longer count.
    ///
    /// # Errors
    /// [`TableError::Query`].
    pub async fn signed_in(&self, name: &UserName, now: Time) -> Result<(), TableError> {
        let doing = "note a sign-in";
        let mut change = self.begin(doing).await?;
        sqlx::query("UPDATE account SET last_sign_in = $2 WHERE user_name = $1")
            .bind(name.as_str())
            .bind(now.0)
            .execute(&mut *change)
            .await
            .map_err(failed(doing))?;
        sqlx::query("DELETE FROM sign_in_failure WHERE user_name = $1")
            .bind(name.as_str())
            .execute(&mut *change)
            .await
            .map_err(failed(doing))?;
        change.commit().await.map_err(failed(doing))
    }

    /// Notes a failed try, and answers how many there were since `since`, this one included.
    /// Noted before the password is looked at, and forgotten by [`Tables::signed_in`], tries made at once cannot pass the bound together.
    ///
    /// # Errors
    /// [`TableError::Query`].
    pub async fn note_failure(
        &self,
        name: &UserName,
        now: Time,
        since: Time,
    ) -> Result<u64, TableError> {
        let doing = "note a failed sign-in";
        let mut change = self.begin(doing).await?;
        sqlx::query("INSERT INTO sign_in_failure (user_name, time) VALUES ($1, $2)")
            .bind(name.as_str())
            .bind(now.0)
            .execute(&mut *change)
            .await
            .map_err(failed(doing))?;
        let count: i64 = sqlx::query_scalar(COUNT_FAILURES)
            .bind(name.as_str())
            .bind(since.0)
            .fetch_one(&mut *change)
            .await
            .map_err(failed(doing))?;
        change.commit().await.map_err(failed(doing))?;
        Ok(count.unsigned_abs())
    }

    /// Failed tries at or after `since`.
    ///
    /// # Errors
    /// [`TableError::Query`].
    pub async fn failures(&self, name: &UserName, since: Time) -> Result<u64, TableError> {
        let count: i64 = sqlx::query_scalar(COUNT_FAILURES)
            .bind(name.as_str())
            .bind(since.0)
            .fetch_one(&self.read)
            .await
            .map_err(failed("count failed sign-ins"))?;
        Ok(count.unsigned_abs())
    }

    /// Gives leave to read a recording's bytes until `expires`.
    ///
    /// # Errors
    /// [`TableError::Query`].
    pub async fn put_ticket(
        &self,
        ticket: &str,
        user: &UserName,
        recording: &model::SessionId,
        expires: Time,
    ) -> Result<(), TableError> {
        sqlx::query(
            "INSERT INTO ticket (hash, user_name, recording, expires) VALUES ($1, $2, $3, $4)",
        )
        .bind(digest(ticket))
        .bind(user.as_str())
        .bind(crate::hex::encode(recording.as_bytes()))
        .bind(expires.0)
        .execute(&self.write)
        .await
        .map_err(failed("write a ticket"))?;
        Ok(())
    }

    /// Who may read what with this ticket. It counts until it expires.
    ///
    /// # Errors
    /// [`TableError::Query`].
    pub async fn ticket(
        &self,
        ticket: &str,
        now: Time,
    ) -> Result<Option<(UserName, model::SessionId)>, TableError> {
        let row = sqlx::query(
            "SELECT user_name, recording FROM ticket WHERE hash = $1 AND expires >= $2",
        )
        .bind(digest(ticket))
        .bind(now.0)
        .fetch_optional(&self.read)
        .await
        .map_err(failed("read a ticket"))?;
        let Some(row) = row else { return Ok(None) };
        let fields = Fields(&row);
        Ok(Some((fields.parsed("user_name")?, fields.parsed("recording")?)))
    }
}

const COUNT_FAILURES: &str =
    "SELECT COUNT(*) FROM sign_in_failure WHERE user_name = $1 AND time >= $2";

async fn read_one(
    from: impl sqlx::SqliteExecutor<'_>,
    name: &UserName,
) -> Result<Option<User>, TableError> {
    let row = sqlx::query("SELECT * FROM account WHERE user_name = $1")
        .bind(name.as_str())
        .fetch_optional(from)
        .await
        .map_err(failed("read a user"))?;
    row.map(|row| read_user(&row)).transpose()
}

fn read_user(row: &SqliteRow) -> Result<User, TableError> {
    let fields = Fields(row);
    Ok(User {
        name: fields.parsed("user_name")?,
        roles: fields.json("roles")?,
        logins: fields.json("logins")?,
        password_hash: fields.maybe_text("password_hash")?,
        created: fields.time("created")?,
        last_sign_in: fields.maybe_time("last_sign_in")?,
    })
}

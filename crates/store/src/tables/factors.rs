//! Second factors, and the codes for whoever has lost them.

use super::fields::Fields;
use super::{TableError, Tables, count, digest, failed, signed};
use model::{FactorKind, Time, UserName};
use sqlx::sqlite::SqliteRow;

/// A second factor that has no number yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewFactor {
    /// Whose.
    pub user: UserName,
    /// What it is; an app or a passkey.
    pub kind: FactorKind,
    /// What its owner calls it.
    pub name: String,
    /// An app's secret; a passkey as its library writes it.
    pub spec: String,
    /// A passkey's id; no two have one.
    pub credential: Option<Vec<u8>>,
    /// When it was added.
    pub created: Time,
    /// The time step of the code with which an app was added: that one counts no more.
    pub step: u64,
}

/// A second factor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Factor {
    /// Its number.
    pub number: u64,
    /// What it was added as.
    pub made: NewFactor,
    /// When it was shown last.
    pub used: Option<Time>,
}

impl Tables {
    /// Adds a second factor; `None` when the person has as many as may be. With the first one recovery codes take the place of
    /// earlier ones. Answers also whether it was the first.
    ///
    /// # Errors
    /// [`TableError::Query`], also when a passkey is there already.
    pub async fn put_factor(
        &self,
        new: NewFactor,
        recovery: &[String],
        most: u32,
    ) -> Result<Option<(Factor, bool)>, TableError> {
        let doing = "add a second factor";
        let mut change = self.begin(doing).await?;
        let there: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM factor WHERE user_name = $1")
            .bind(new.user.as_str())
            .fetch_one(&mut *change)
            .await
            .map_err(failed(doing))?;
        if there >= i64::from(most) {
            return Ok(None);
        }
        let number = count(&mut *change, "factor", doing).await?;
        sqlx::query(
            "INSERT INTO factor (number, user_name, kind, name, spec, credential, created, used, step)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $7, $8)",
        )
        .bind(number)
        .bind(new.user.as_str())
        .bind(new.kind.word())
        .bind(&new.name)
        .bind(&new.spec)
        .bind(&new.credential)
        .bind(new.created.0)
        .bind(signed(new.step))
        .execute(&mut *change)
        .await
        .map_err(failed(doing))?;
        if there == 0 {
            renew(&mut change, &new.user, recovery).await?;
        }
        change.commit().await.map_err(failed(doing))?;
        let used = Some(new.created);
        Ok(Some((Factor { number: number.unsigned_abs(), made: new, used }, there == 0)))
    }

    /// A person's second factors, in the order in which they were added.
    ///
    /// # Errors
    /// [`TableError::Query`], [`TableError::Unreadable`].
    pub async fn factors_of(&self, user: &UserName) -> Result<Vec<Factor>, TableError> {
        sqlx::query("SELECT * FROM factor WHERE user_name = $1 ORDER BY number")
            .bind(user.as_str())
            .fetch_all(&self.read)
            .await
            .map_err(failed("list second factors"))?
            .iter()
            .map(read_factor)
            .collect()
    }

    /// The passkey with this id.
    ///
    /// # Errors
    /// [`TableError::Query`], [`TableError::Unreadable`].
    pub async fn passkey(&self, credential: &[u8]) -> Result<Option<Factor>, TableError> {
        let row = sqlx::query("SELECT * FROM factor WHERE credential = $1 AND kind = 'passkey'")
            .bind(credential)
            .fetch_optional(&self.read)
            .await
            .map_err(failed("read a passkey"))?;
        row.map(|row| read_factor(&row)).transpose()
    }

    /// Uses the code of a time step of an app up. `false` when that one or a later one was used before: each counts once.
    ///
    /// # Errors
    /// [`TableError::Query`].
    pub async fn use_step(&self, number: u64, step: u64, now: Time) -> Result<bool, TableError> {
        let done =
            sqlx::query("UPDATE factor SET step = $2, used = $3 WHERE number = $1 AND step < $2")
                .bind(signed(number))
                .bind(signed(step))
                .bind(now.0)
                .execute(&self.write)
                .await
                .map_err(failed("use a code"))?;
        Ok(done.rows_affected() > 0)
    }

    /// What all apps that show six digits keep, by number and person.
    ///
    /// # Errors
    /// [`TableError::Query`], [`TableError::Unreadable`].
    pub async fn totp_secrets(&self) -> Result<Vec<(u64, UserName, String)>, TableError> {
        let rows = sqlx::query("SELECT * FROM factor WHERE kind = 'totp'");
        let rows = rows.fetch_all(&self.read).await.map_err(failed("list second factors"))?;
        let read = |row| {
            let Factor { number, made, .. } = read_factor(row)?;
            Ok((number, made.user, made.spec))
        };
        rows.iter().map(read).collect()
    }

    /// Puts another text in place of what an app keeps.
    ///
    /// # Errors
    /// [`TableError::Query`].
    pub async fn put_totp_secret(&self, number: u64, spec: &str) -> Result<(), TableError> {
        sqlx::query("UPDATE factor SET spec = $2 WHERE number = $1 AND kind = 'totp'")
            .bind(signed(number))
            .bind(spec)
            .execute(&self.write)
            .await
            .map_err(failed("seal a second factor"))?;
        Ok(())
    }

    /// Notes that a passkey was shown, and how it stands now.
    ///
    /// # Errors
    /// [`TableError::Query`].
    pub async fn passkey_used(&self, number: u64, spec: &str, now: Time) -> Result<(), TableError> {
        sqlx::query("UPDATE factor SET spec = $2, used = $3 WHERE number = $1")
            .bind(signed(number))
            .bind(spec)
            .bind(now.0)
            .execute(&self.write)
            .await
            .map_err(failed("note a passkey"))?;
        Ok(())
    }

    /// Removes one second factor of a person; with the last one, the recovery codes. `None` when they have none with this
    /// number.
    ///
    /// # Errors
    /// [`TableError::Query`], [`TableError::Unreadable`].
    pub async fn remove_factor(
        &self,
        user: &UserName,
        number: u64,
    ) -> Result<Option<Factor>, TableError> {
        let doing = "remove a second factor";
        let mut change = self.begin(doing).await?;
        let row =
            sqlx::query("DELETE FROM factor WHERE user_name = $1 AND number = $2 RETURNING *")
                .bind(user.as_str())
                .bind(signed(number))
                .fetch_optional(&mut *change)
                .await
                .map_err(failed(doing))?;
        let Some(row) = row else { return Ok(None) };
        sqlx::query(
            "DELETE FROM recovery WHERE user_name = $1
             AND NOT EXISTS (SELECT 1 FROM factor WHERE user_name = $1)",
        )
        .bind(user.as_str())
        .execute(&mut *change)
        .await
        .map_err(failed(doing))?;
        change.commit().await.map_err(failed(doing))?;
        read_factor(&row).map(Some)
    }

    /// Takes all second factors and recovery codes from a person. Answers how many factors there were.
    ///
    /// # Errors
    /// [`TableError::Query`].
    pub async fn reset_factors(&self, user: &UserName) -> Result<u64, TableError> {
        let doing = "reset second factors";
        let mut change = self.begin(doing).await?;
        let mut factors = 0;
        for sql in
            ["DELETE FROM recovery WHERE user_name = $1", "DELETE FROM factor WHERE user_name = $1"]
        {
            let done = sqlx::query(sql).bind(user.as_str()).execute(&mut *change).await;
            factors = done.map_err(failed(doing))?.rows_affected();
        }
        change.commit().await.map_err(failed(doing))?;
        Ok(factors)
    }

    /// Puts recovery codes in the place of earlier ones.
    ///
    /// # Errors
    /// [`TableError::Query`].
    pub async fn renew_recovery(
        &self,
        user: &UserName,
        codes: &[String],
    ) -> Result<(), TableError> {
        let doing = "renew recovery codes";
        let mut change = self.begin(doing).await?;
        renew(&mut change, user, codes).await?;
        change.commit().await.map_err(failed(doing))
    }

    /// Uses a recovery code up. Answers how many are left; `None` when it is not one of theirs, or was used.
    ///
    /// # Errors
    /// [`TableError::Query`].
    pub async fn use_recovery(
        &self,
        user: &UserName,
        code: &str,
        now: Time,
    ) -> Result<Option<u64>, TableError> {
        let doing = "use a recovery code";
        let mut change = self.begin(doing).await?;
        let done = sqlx::query(
            "UPDATE recovery SET used = $3 WHERE user_name = $1 AND hash = $2 AND used IS NULL",
        )
        .bind(user.as_str())
        .bind(digest(code))
        .bind(now.0)
        .execute(&mut *change)
        .await
        .map_err(failed(doing))?;
        if done.rows_affected() == 0 {
            return Ok(None);
        }
        let left: i64 = sqlx::query_scalar(LEFT)
            .bind(user.as_str())
            .fetch_one(&mut *change)
            .await
            .map_err(failed(doing))?;
        change.commit().await.map_err(failed(doing))?;
        Ok(Some(left.unsigned_abs()))
    }

    /// Recovery codes that a person has left.
    ///
    /// # Errors
    /// [`TableError::Query`].
    pub async fn recovery_left(&self, user: &UserName) -> Result<u64, TableError> {
        let left: i64 = sqlx::query_scalar(LEFT)
            .bind(user.as_str())
            .fetch_one(&self.read)
            .await
            .map_err(failed("count recovery codes"))?;
        Ok(left.unsigned_abs())
    }
}

const LEFT: &str = "SELECT COUNT(*) FROM recovery WHERE user_name = $1 AND used IS NULL";

async fn renew(
    change: &mut super::Transaction,
    user: &UserName,
    codes: &[String],
) -> Result<(), TableError> {
    let doing = "write recovery codes";
    sqlx::query("DELETE FROM recovery WHERE user_name = $1")
        .bind(user.as_str())
        .execute(&mut **change)
        .await
        .map_err(failed(doing))?;
    for code in codes {
        sqlx::query("INSERT INTO recovery (user_name, hash) VALUES ($1, $2)")
            .bind(user.as_str())
            .bind(digest(code))
            .execute(&mut **change)
            .await
            .map_err(failed(doing))?;
    }
    Ok(())
}

fn read_factor(row: &SqliteRow) -> Result<Factor, TableError> {
    let fields = Fields(row);
    let made = NewFactor {
        user: fields.parsed("user_name")?,
        kind: fields.parsed("kind")?,
        name: fields.text("name")?,
        spec: fields.text("spec")?,
        credential: fields.maybe_bytes("credential")?,
        created: fields.time("created")?,
        step: fields.count("step")?,
    };
    Ok(Factor { number: fields.count("number")?, made, used: fields.maybe_time("used")? })
}

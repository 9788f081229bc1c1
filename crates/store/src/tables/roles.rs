//! Roles with locks, corrections and revoked links, and the number that counts their changes.

use super::fields::Fields;
use super::links::read_revoked;
use super::locks::{read_corrections, read_locks};
use super::{TableError, Tables, Transaction, count, failed, json, raise};
use model::RoleName;
use model::role::{Role, RoleSet};
use tokio::sync::watch;

impl Tables {
    /// Everything that decides, of one moment: roles, locks, corrections, revoked links, and the number of their last change.
    ///
    /// # Errors
    /// [`TableError::Query`], [`TableError::Unreadable`].
    pub async fn roles(&self) -> Result<RoleSet, TableError> {
        let doing = "read the roles";
        // One transaction, so that number and roles belong together.
        let mut view = self.read.begin().await.map_err(failed(doing))?;
        let rev: i64 = sqlx::query_scalar("SELECT value FROM counter WHERE name = 'roles'")
            .fetch_one(&mut *view)
            .await
            .map_err(failed(doing))?;
        let rows = sqlx::query("SELECT spec FROM role ORDER BY name")
            .fetch_all(&mut *view)
            .await
            .map_err(failed(doing))?;
        let mut set = RoleSet { rev: rev.unsigned_abs(), ..RoleSet::default() };
        for row in &rows {
            let role: Role = Fields(row).json("spec")?;
            set.roles.insert(role.name.clone(), role);
        }
        set.locks = read_locks(&mut view).await?;
        set.corrections = read_corrections(&mut view).await?;
        set.revoked = read_revoked(&mut view).await?;
        Ok(set)
    }

    /// Makes or replaces a role. Answers the number of the change.
    ///
    /// # Errors
    /// [`TableError::Query`].
    pub async fn put_role(&self, role: &Role) -> Result<u64, TableError> {
        let doing = "write a role";
        let mut change = self.begin(doing).await?;
        sqlx::query(
            "INSERT INTO role (name, spec) VALUES ($1, $2)
             ON CONFLICT (name) DO UPDATE SET spec = excluded.spec",
        )
        .bind(role.name.as_str())
        .bind(json("role", role)?)
        .execute(&mut *change)
        .await
        .map_err(failed(doing))?;
        self.roles_changed(change).await
    }

    /// Removes a role. Answers the number of the change, `None` when there was no such role.
    ///
    /// # Errors
    /// [`TableError::Query`].
    pub async fn remove_role(&self, name: &RoleName) -> Result<Option<u64>, TableError> {
        let doing = "remove a role";
        let mut change = self.begin(doing).await?;
        let done = sqlx::query("DELETE FROM role WHERE name = $1")
            .bind(name.as_str())
            .execute(&mut *change)
            .await
            .map_err(failed(doing))?;
        if done.rows_affected() == 0 {
            return Ok(None);
        }
        self.roles_changed(change).await.map(Some)
    }

    /// Tells of every change of the roles, by its number. The value at the start counts as seen.
    #[must_use]
    pub fn watch_roles(&self) -> watch::Receiver<u64> {
        self.roles_rev.subscribe()
    }

    pub(super) async fn roles_changed(&self, mut change: Transaction) -> Result<u64, TableError> {
        let doing = "count a change of the roles";
        let rev = count(&mut *change, "roles", doing).await?;
        change.commit().await.map_err(failed(doing))?;
        let rev = rev.unsigned_abs();
        self.roles_rev.send_if_modified(|seen| raise(seen, rev));
        Ok(rev)
    }
}

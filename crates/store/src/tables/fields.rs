//! Columns of a row, read as the types they were written from.

use super::TableError;
use model::Time;
use serde::de::DeserializeOwned;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use std::str::FromStr;

/// Reads columns by name.
pub(super) struct Fields<'r>(pub(super) &'r SqliteRow);

impl Fields<'_> {
    pub(super) fn text(&self, column: &'static str) -> Result<String, TableError> {
        self.take(column)
    }

    pub(super) fn maybe_text(&self, column: &'static str) -> Result<Option<String>, TableError> {
        self.take(column)
    }

    pub(super) fn parsed<T: FromStr>(&self, column: &'static str) -> Result<T, TableError> {
        let found = self.text(column)?;
        found.parse().map_err(|_| TableError::Unreadable { column, found })
    }

    pub(super) fn json<T: DeserializeOwned>(&self, column: &'static str) -> Result<T, TableError> {
        read_json(column, self.text(column)?)
    }

    pub(super) fn maybe_json<T: DeserializeOwned>(
        &self,
        column: &'static str,
    ) -> Result<Option<T>, TableError> {
        self.maybe_text(column)?.map(|found| read_json(column, found)).transpose()
    }

    pub(super) fn count(&self, column: &'static str) -> Result<u64, TableError> {
        let found: i64 = self.take(column)?;
        let unreadable = |_| TableError::Unreadable { column, found: found.to_string() };
        u64::try_from(found).map_err(unreadable)
    }

    pub(super) fn time(&self, column: &'static str) -> Result<Time, TableError> {
        self.take(column).map(Time)
    }

    pub(super) fn maybe_time(&self, column: &'static str) -> Result<Option<Time>, TableError> {
        Ok(self.take::<Option<i64>>(column)?.map(Time))
    }

    pub(super) fn maybe_hash(&self, column: &'static str) -> Result<Option<[u8; 32]>, TableError> {
        let Some(found) = self.take::<Option<Vec<u8>>>(column)? else { return Ok(None) };
        let unreadable =
            |bytes: Vec<u8>| TableError::Unreadable { column, found: crate::hex::encode(&bytes) };
        found.try_into().map(Some).map_err(unreadable)
    }

    pub(super) fn maybe_bytes(&self, column: &'static str) -> Result<Option<Vec<u8>>, TableError> {
        self.take(column)
    }

    pub(super) fn hash(&self, column: &'static str) -> Result<[u8; 32], TableError> {
        let missing = || TableError::Unreadable { column, found: String::new() };
        self.maybe_hash(column)?.ok_or_else(missing)
    }

    fn take<'r, T>(&'r self, column: &'static str) -> Result<T, TableError>
    where
        T: sqlx::Decode<'r, sqlx::Sqlite> + sqlx::Type<sqlx::Sqlite>,
    {
        self.0.try_get(column).map_err(super::failed("read a column"))
    }
}

fn read_json<T: DeserializeOwned>(column: &'static str, found: String) -> Result<T, TableError> {
    serde_json::from_str(&found).map_err(|_| TableError::Unreadable { column, found })
}

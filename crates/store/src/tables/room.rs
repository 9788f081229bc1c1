//! Room inside the database's own files, which nobody else can fill: small changes succeed also on a full disk.
//!
//! SQLite writes a change into its log, `scry.db-wal`, and later from there into the main file. The log's file keeps the size
//! that it once had while the database is open, and pages that were freed stay in the main file, so what was
//! written once can be written over without a byte of new space.

use super::{TableError, Tables, failed};
use std::path::{Path, PathBuf};

/// Bytes of the room: what the log grows to before it starts over (1000 pages of 4 KiB), and a little more.
const ROOM: u64 = 4 * 1024 * 1024 + 64 * 1024;

/// Space of the disk, in bytes, that making the room may take: once in the log, once in the main file.
pub const ROOM_TAKES: u64 = 2 * ROOM + 1024 * 1024;

impl Tables {
    /// Whether there is room in both files.
    ///
    /// # Errors
    /// [`TableError::Query`].
    pub async fn has_room(&self) -> Result<bool, TableError> {
        let free: i64 = sqlx::query_scalar(
            "SELECT freelist_count * page_size FROM pragma_freelist_count, pragma_page_size",
        )
        .fetch_one(&self.read)
        .await
        .map_err(failed("see what room it has"))?;
        let log = std::fs::metadata(log_of(&self.path)).map_or(0, |facts| facts.len());
        // The main file grows into it.
        Ok(u64::try_from(free).unwrap_or(0) >= ROOM / 2 && log >= ROOM)
    }

    /// Makes it, anew where some is used up. Takes [`ROOM_TAKES`] of the disk, and other writers wait meanwhile.
    ///
    /// # Errors
    /// [`TableError::Query`].
    pub async fn make_room(&self) -> Result<(), TableError> {
        let doing = "make room";
        let bytes = i64::try_from(ROOM).unwrap_or(i64::MAX);
        // Two changes: pages that are freed by the change that made them are never written.
        let made = sqlx::query("INSERT INTO room (zeros) VALUES (zeroblob($1))").bind(bytes);
        made.execute(&self.write).await.map_err(failed(doing))?;
        sqlx::query("DELETE FROM room").execute(&self.write).await.map_err(failed(doing))?;
        Ok(())
    }
}

fn log_of(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

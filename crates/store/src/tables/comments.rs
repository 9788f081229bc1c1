//! What people remark on moments of recordings.

use super::fields::Fields;
use super::{TableError, Tables, count, failed, signed};
use model::{SessionId, Time, UserName};
use sqlx::sqlite::SqliteRow;

/// A comment that has no number yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewComment {
    /// On which recording.
    pub recording: SessionId,
    /// On which moment, in milliseconds since it began.
    pub at: u64,
    /// Whose.
    pub author: UserName,
    /// When it was made.
    pub made: Time,
    /// It.
    pub text: String,
}

/// A comment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comment {
    /// Its number, which no other ever has.
    pub number: u64,
    /// What was made.
    pub new: NewComment,
}

impl Tables {
    /// Keeps a comment; `None` when the recording has `most` of them.
    ///
    /// # Errors
    /// [`TableError::Query`].
    pub async fn put_comment(
        &self,
        new: NewComment,
        most: u32,
    ) -> Result<Option<Comment>, TableError> {
        let doing = "write a comment";
        let mut change = self.begin(doing).await?;
        let there: i64 = sqlx::query_scalar("SELECT count(*) FROM comment WHERE recording = $1")
            .bind(new.recording.to_string())
            .fetch_one(&mut *change)
            .await
            .map_err(failed(doing))?;
        if there >= i64::from(most) {
            return Ok(None);
        }
        let number = count(&mut *change, "comment", doing).await?;
        sqlx::query(
            "INSERT INTO comment (number, recording, at, author, made, text)
             VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(number)
        .bind(new.recording.to_string())
        .bind(signed(new.at))
        .bind(new.author.as_str())
        .bind(new.made.0)
        .bind(&new.text)
        .execute(&mut *change)
        .await
        .map_err(failed(doing))?;
        change.commit().await.map_err(failed(doing))?;
        Ok(Some(Comment { number: number.unsigned_abs(), new }))
    }

    /// The comments on a recording, by their moments.
    ///
    /// # Errors
    /// [`TableError::Query`], [`TableError::Unreadable`].
    pub async fn comments(&self, recording: &SessionId) -> Result<Vec<Comment>, TableError> {
        let rows = sqlx::query("SELECT * FROM comment WHERE recording = $1 ORDER BY at, number")
            .bind(recording.to_string())
            .fetch_all(&self.read)
            .await
            .map_err(failed("read comments"))?;
        rows.iter().map(read_comment).collect()
    }

    /// Removes one comment on a recording, or all of them. Answers how many that were.
    ///
    /// # Errors
    /// [`TableError::Query`].
    pub async fn remove_comments(
        &self,
        recording: &SessionId,
        number: Option<u64>,
    ) -> Result<u64, TableError> {
        let doing = "remove a comment";
        let mut change = self.begin(doing).await?;
        let done =
            sqlx::query("DELETE FROM comment WHERE recording = $1 AND ($2 IS NULL OR number = $2)")
                .bind(recording.to_string())
                .bind(number.map(signed))
                .execute(&mut *change)
                .await
                .map_err(failed(doing))?;
        change.commit().await.map_err(failed(doing))?;
        Ok(done.rows_affected())
    }
}

fn read_comment(row: &SqliteRow) -> Result<Comment, TableError> {
    let fields = Fields(row);
    Ok(Comment {
        number: fields.count("number")?,
        new: NewComment {
            recording: fields.parsed("recording")?,
            at: fields.count("at")?,
            author: fields.parsed("author")?,
            made: fields.time("made")?,
            text: fields.text("text")?,
        },
    })
}

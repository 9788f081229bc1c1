//! What people remark on moments of recordings. Who may play one may read what others say of it, and say something.

use crate::auth::Auth;
use crate::clock;
use crate::error::Refusal;
use crate::gate::Member;
use crate::look::{Look, Needs, about, permitted};
use model::audit::Audited;
use model::limit::{COMMENT_CHARS, COMMENTS};
use model::role::RecordingAction;
use std::sync::Arc;
use store::tables::{Comment as Row, NewComment};
use wire::film::{AddComment, Comment, ListComments, RemoveComment};
use wire::{Done, Fault};

pub async fn add(auth: Arc<Auth>, by: Member, call: AddComment) -> Result<Comment, Refusal> {
    let look = Look::with_right(&auth, by.clone(), call.id, Needs::Play).await?;
    let text = call.text.trim().to_owned();
    let plain = |c: char| c == '\n' || !c.is_control();
    if text.is_empty() || text.chars().count() > COMMENT_CHARS || !text.chars().all(plain) {
        let words = format!("a comment has 1 to {COMMENT_CHARS} characters, none of them controls");
        return Err(Refusal::malformed(words));
    }
    // A recording that goes on may be a little further than its row says.
    let at = if look.row().ending.is_some() { call.at.min(look.row().length_ms) } else { call.at };
    let at = at.min(i64::MAX.unsigned_abs());
    let (recording, author, made) = (call.id, by.name.clone(), clock::now());
    let new = NewComment { recording, at, author, made, text };
    let row = auth.tables.put_comment(new, COMMENTS).await?;
    let row = row.ok_or_else(|| {
        Refusal::new(Fault::Conflict, format!("a recording has at most {COMMENTS} comments"))
    })?;
    let what = Audited::CommentAdded { comment: row.number, at, text: row.new.text.clone() };
    auth.ledger.write(&[about(&by, look.row(), what)]).await?;
    Ok(comment(row, &by))
}

pub async fn list(
    auth: Arc<Auth>,
    by: Member,
    call: ListComments,
) -> Result<Vec<Comment>, Refusal> {
    let look = Look::with_right(&auth, by.clone(), call.id, Needs::Play).await?;
    let rows = auth.tables.comments(&look.row().id).await?;
    Ok(rows.into_iter().map(|row| comment(row, &by)).collect())
}

/// One's own, or any with the right to remove the recording itself.
pub async fn remove(auth: Arc<Auth>, by: Member, call: RemoveComment) -> Result<Done, Refusal> {
    let look = Look::with_right(&auth, by.clone(), call.id, Needs::Play).await?;
    let rows = auth.tables.comments(&call.id).await?;
    let row = rows.into_iter().find(|row| row.number == call.number);
    let row = row.ok_or_else(|| Refusal::not_found("comment"))?;
    if row.new.author != by.name {
        permitted(&auth, &by, call.id, RecordingAction::Remove).await?;
    }
    let what = Audited::CommentRemoved { comment: row.number, author: row.new.author };
    auth.ledger.write(&[about(&by, look.row(), what)]).await?;
    auth.tables.remove_comments(&call.id, Some(row.number)).await?;
    Ok(Done {})
}

fn comment(row: Row, by: &Member) -> Comment {
    let Row { number, new: NewComment { at, author, made, text, .. } } = row;
    Comment { number, at, mine: author == by.name, author, made, text }
}

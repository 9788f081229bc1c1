//! Reading the ledger: a page, the signed head, and following it.

use crate::auth::Auth;
use crate::error::Refusal;
use crate::gate::{Auditor, Proof};
use crate::query::Query;
use axum::extract::Request;
use axum::response::Response;
use futures_util::stream;
use std::collections::VecDeque;
use std::sync::Arc;
use store::tables::LedgerFilter;
use tokio::sync::watch;
use wire::audit::{LedgerHead, LedgerRow, ListAudit, ReadLedgerHead};

pub async fn list(
    auth: Arc<Auth>,
    _by: Auditor,
    call: ListAudit,
) -> Result<Vec<LedgerRow>, Refusal> {
    let filter = LedgerFilter {
        after: call.after,
        before: call.before,
        since: call.since,
        until: call.until,
        user: call.user,
        node: call.node,
        session: call.session,
        word: call.word,
        limit: call.limit,
        newest_first: call.newest_first,
    };
    Ok(auth.tables.list_ledger(&filter).await?.into_iter().map(row).collect())
}

pub async fn head(
    auth: Arc<Auth>,
    _by: Auditor,
    _call: ReadLedgerHead,
) -> Result<LedgerHead, Refusal> {
    Ok(auth.ledger.head().await?)
}

/// First the rows after N, then new ones as they come.
pub async fn follow(auth: Arc<Auth>, by: Auditor, request: Request) -> Result<Response, Refusal> {
    let after = Query::of(&request).number("after")?.unwrap_or(0);
    let news = auth.ledger.watch();
    let follower = Follower { auth, by, news, after, page: VecDeque::new() };
    let rows = stream::unfold(follower, |mut follower| async move {
        let row = follower.next().await?;
        Some((row, follower))
    });
    Ok(link::http::lines(rows))
}

struct Follower {
    auth: Arc<Auth>,
    by: Auditor,
    news: watch::Receiver<u64>,
    after: u64,
    page: VecDeque<LedgerRow>,
}

impl Follower {
    /// The next row; `None` when auth stops, an error when the right is gone.
    async fn next(&mut self) -> Option<std::io::Result<LedgerRow>> {
        loop {
            if let Some(row) = self.page.pop_front() {
                self.after = row.number;
                return Some(Ok(row));
            }
            if let Err(refusal) = self.turn().await {
                // The client sees that it was cut off, and asks why; no more than that passes here.
                tracing::debug!(?refusal, "whoever follows the ledger is let in no more");
                return Some(Err(std::io::Error::other("the ledger is followed no more")));
            }
            if self.page.is_empty() {
                tokio::select! {
                    changed = self.news.changed() => changed.ok()?,
                    () = self.auth.stop.cancelled() => return None,
                }
            }
        }
    }

    /// Takes the next page, which may be empty.
    async fn turn(&mut self) -> Result<(), Refusal> {
        self.news.borrow_and_update();
        // Asked again for each page: who loses the right hears no more.
        self.by = Auditor::prove(&self.auth, self.by.member.asked.clone()).await?;
        let filter = LedgerFilter { after: Some(self.after), ..LedgerFilter::default() };
        self.page = self.auth.tables.list_ledger(&filter).await?.into_iter().map(row).collect();
        Ok(())
    }
}

fn row(row: store::tables::LedgerRow) -> LedgerRow {
    LedgerRow {
        number: row.number,
        event: row.event,
        code: row.code,
        hash: crate::secret::hex(&row.hash),
    }
}

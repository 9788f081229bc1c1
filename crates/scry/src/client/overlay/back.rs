//! The way back to a session of one's own whose connection was lost.

use super::super::profile::Profile;
use super::super::ssh::{self, Refused};
use crate::show;
use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use link::ssh::Input;
use link::ssh::client::{Client, Session};
use model::limit::RETURN_MS;
use model::{NodeName, SessionId};
use std::time::{Duration, Instant};

/// Between two tries: at first, and at most.
const PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));
/// How long one of them may take.
const TRY: Duration = Duration::from_secs(10);
/// Bytes of why one may not come back. Cut: the rest is not read.
const REASON_BYTES: usize = 4096;

/// What became of it.
pub enum Back {
    /// It goes on.
    Here(Box<Here>),
    /// It is over, or was not reached in time; a sentence for the person.
    Over(String),
}

/// A session that goes on.
pub struct Here {
    pub client: Client,
    pub session: Session,
    pub out: Input,
    pub errors: Input,
    /// The beginning of the screen as it is.
    pub first: Bytes,
}

/// Tries to come back for as long as the node waits.
pub async fn come_back(profile: &Profile, node: &NodeName, session: SessionId) -> Back {
    let until = Instant::now() + Duration::from_millis(RETURN_MS);
    let mut pause = PAUSE.0;
    loop {
        let why = match tokio::time::timeout(TRY, again(profile, node, session)).await {
            Ok(Ok(back)) => return back,
            Ok(Err(error)) if error.is::<Refused>() => return Back::Over(lost(&error.to_string())),
            Ok(Err(error)) => format!("{error:#}"),
            Err(_) => "no answer".to_owned(),
        };
        if Instant::now() + pause >= until {
            let seconds = RETURN_MS / 1000;
            return Back::Over(lost(&format!("{node} was not reached within {seconds} s: {why}")));
        }
        tokio::time::sleep(pause).await;
        pause = (2 * pause).min(PAUSE.1);
    }
}

/// Fails where another try may help.
async fn again(profile: &Profile, node: &NodeName, session: SessionId) -> Result<Back> {
    let (client, mut session) = ssh::come_back(profile, node, session).await?;
    let mut out = session.output.take().context("a fresh session has its output")?;
    let mut errors = session.errors.take().context("a fresh session has its errors")?;
    // Whoever is let in sees the screen; whoever is not hears why.
    if let Some(first) = out.pull().await? {
        return Ok(Back::Here(Box::new(Here { client, session, out, errors, first })));
    }
    if !session.input.was_left().await {
        bail!("the connection was lost again");
    }
    let mut said = Vec::new();
    while let Some(bytes) = errors.pull().await?
        && take(&mut said, &bytes)
    {}
    Ok(Back::Over(lost(&reason(&said))))
}

/// Adds as much as there is room for; says whether there is room for more.
fn take(said: &mut Vec<u8>, bytes: &[u8]) -> bool {
    let room = REASON_BYTES.saturating_sub(said.len());
    said.extend(bytes.iter().take(room));
    said.len() < REASON_BYTES
}

/// What a node says on standard error, as one line that controls nothing.
fn reason(said: &[u8]) -> String {
    let said = String::from_utf8_lossy(said);
    let said = said.trim();
    show::clean(said.strip_prefix("scry: ").unwrap_or(said), REASON_BYTES)
}

fn lost(why: &str) -> String {
    format!("the connection was lost, and the session does not go on: {why}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn why_one_may_not_come_back_is_one_line_of_bounded_length_that_controls_nothing() {
        let mut said = Vec::new();
        assert!(take(&mut said, b" scry: it is \x1b[2Jover\nscry: no\n"));
        assert_eq!(reason(&said), "it is ·[2Jover·scry: no");
        assert!(!take(&mut said, &[b'x'; 2 * REASON_BYTES]));
        assert_eq!(said.len(), REASON_BYTES);
    }
}

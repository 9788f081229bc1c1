//! The line to a session's company, over the connection of the terminal itself.

use bytes::Bytes;
use link::LineBuffer;
use link::ssh::client::{Client, Session};
use link::ssh::{Input, Output};
use model::limit::COMPANY_BYTES;
use std::time::Duration;
use wire::company::{Ask, Company, Told};
use wire::name::COMPANY_SUBSYSTEM;

/// How often a line is opened that ends at once, because the node does not know the session yet; and how much longer it is
/// waited each time.
const TRIES: u32 = 8;
const PAUSE: Duration = Duration::from_millis(20);

/// An open line.
pub(super) struct Line {
    _session: Session,
    from: Input,
    to: Output,
    held: LineBuffer,
}

impl Line {
    /// Opens it; answers also how things stand. `None` where there is none.
    pub(super) async fn open(client: &Client) -> Option<(Self, Company)> {
        for attempt in 0..TRIES {
            tokio::time::sleep(PAUSE * (attempt * attempt)).await;
            let mut session = client.session().await.ok()?;
            session.subsystem(COMPANY_SUBSYSTEM).await.ok()?;
            let (from, to) = (session.output.take()?, session.input.clone());
            let held = LineBuffer::new(COMPANY_BYTES);
            let mut line = Self { _session: session, from, to, held };
            match line.next().await {
                Some(Told::Company(company)) => return Some((line, company)),
                Some(Told::Over { .. }) => return None,
                _ => {}
            }
        }
        None
    }

    /// The next line; `None` when there is none any more. Nothing is lost if it is cancelled.
    pub(super) async fn next(&mut self) -> Option<Told> {
        loop {
            if let Some(line) = self.held.take().ok()? {
                return serde_json::from_slice(&line).ok();
            }
            self.held.push(&self.from.pull().await.ok()??);
        }
    }

    /// Asks for something; the answer is one of the next lines.
    pub(super) async fn send(&mut self, ask: &Ask) -> Option<()> {
        let mut line = serde_json::to_vec(ask).ok()?;
        line.push(b'\n');
        self.to.write(Bytes::from(line)).await.ok()
    }
}

//! The line on which people in a session speak to its node, and hear what happens in it (`wire::company`).

use super::NOWHERE;
use crate::company::{Speaker, Vain};
use crate::lives::Running;
use crate::session::refuse;
use bytes::Bytes;
use link::LineBuffer;
use link::ssh::Output;
use link::ssh::server::Session;
use model::UserName;
use model::entry::Party;
use model::limit::REQUEST_BYTES;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;
use wire::company::{Company, Present, Told};

/// Whose line it is.
#[derive(Debug, Clone)]
pub(crate) enum By {
    /// A person's, who has an account: in whatever seats they are.
    Person(UserName),
    /// A guest's: in a seat of their own connection. What they call themselves anybody may call themselves.
    Guest(Seats),
}

/// The seats of one connection; all of its channels share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seats(
    // Held for moments only.
    Arc<Mutex<BTreeSet<Party>>>,
);

impl Seats {
    pub fn take(&self, party: Party) {
        self.lock().insert(party);
    }

    pub fn leave(&self, party: Party) {
        self.lock().remove(&party);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<Party>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl By {
    fn is(&self, one: &Present) -> bool {
        match self {
            Self::Person(user) => one.user == *user,
            Self::Guest(seats) => seats.lock().contains(&one.party),
        }
    }

    fn speaker(&self) -> Option<Speaker> {
        match self {
            Self::Person(user) => Some(Speaker::Person(user.clone())),
            Self::Guest(seats) => seats.lock().last().map(|party| Speaker::Seat(*party)),
        }
    }
}

/// Serves it until either side ends it. The owner needs no seat for it; nobody else hears without one.
pub(crate) async fn speak(running: &Running, by: &By, session: Session, stop: &CancellationToken) {
    let (mut input, output) = (session.input, session.output);
    let mut company = running.company.clone();
    let is_there = |company: &Company| company.people.iter().any(|one| by.is(one));
    let listening = running.doors.listen().ok().filter(|_| is_there(&company.borrow_and_update()));
    let Some(mut told) = listening else { return refuse(&output, NOWHERE).await };
    let stands = || Told::Company(Company::clone(&running.company.borrow()));
    let mut line = LineBuffer::new(REQUEST_BYTES);
    let mut open = write(&output, &stands()).await;
    while open {
        tokio::select! {
            heard = told.recv() => {
                let heard = match heard {
                    Ok(heard) => heard,
                    // What was missed is told as it stands now.
                    Err(RecvError::Lagged(_)) => stands(),
                    Err(RecvError::Closed) => break,
                };
                let over = matches!(heard, Told::Over { .. });
                open = write(&output, &heard).await && !over;
            }
            Ok(()) = company.changed() => open = is_there(&company.borrow_and_update()),
            pulled = input.pull() => {
                let Ok(Some(bytes)) = pulled else { break };
                line.push(&bytes);
                while open && let Ok(Some(asked)) = line.take().inspect_err(|_| open = false) {
                    open = write(&output, &answer(running, by, &asked).await).await;
                }
            }
            () = output.gone() => break,
            () = stop.cancelled() => break,
        }
    }
    let _ = output.exit_status(0).await;
    output.close().await;
}

async fn answer(running: &Running, by: &By, line: &[u8]) -> Told {
    let Some(by) = by.speaker() else { return Told::Refused { why: NOWHERE.to_owned() } };
    let ask = match serde_json::from_slice(line) {
        Ok(ask) => ask,
        Err(error) => {
            running.doors.vain(by, Vain::Request).await;
            return Told::Refused { why: format!("that is no request: {error}") };
        }
    };
    let over = || Told::Over { why: "the session is over".to_owned() };
    running.doors.ask(by, ask).await.unwrap_or_else(|_| over())
}

/// Writes a line; `false` when nobody reads any more.
async fn write(output: &Output, told: &Told) -> bool {
    let mut bytes = serde_json::to_vec(told).unwrap_or_default();
    bytes.push(b'\n');
    output.write(Bytes::from(bytes)).await.is_ok()
}

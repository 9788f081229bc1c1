//! The line on which people in a session speak to its node, and hear what happens in it (`wire::company`).

use super::NOWHERE;
use crate::company::{Speaker, Vain};
use crate::lives::Running;
use crate::session::refuse;
use bytes::Bytes;
use link::ssh::Output;
use link::ssh::server::Session;
use model::UserName;
use model::limit::REQUEST_BYTES;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;
use wire::company::{Company, Told};

/// Serves it until either side ends it. The owner needs no seat for it; nobody else hears without one.
pub(crate) async fn speak(
    running: &Running,
    user: &UserName,
    session: Session,
    stop: &CancellationToken,
) {
    let (mut input, output) = (session.input, session.output);
    let mut company = running.company.clone();
    let is_there = |company: &Company| company.people.iter().any(|one| one.user == *user);
    let listening = running.doors.listen().ok().filter(|_| is_there(&company.borrow_and_update()));
    let Some(mut told) = listening else { return refuse(&output, NOWHERE).await };
    let stands = || Told::Company(Company::clone(&running.company.borrow()));
    let mut line = Vec::new();
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
                line.extend_from_slice(&bytes);
                while let Some(end) = line.iter().position(|byte| *byte == b'\n') {
                    let asked: Vec<u8> = line.drain(..=end).collect();
                    open = open && write(&output, &answer(running, user, &asked).await).await;
                }
                open &= line.len() <= REQUEST_BYTES;
            }
            () = output.gone() => break,
            () = stop.cancelled() => break,
        }
    }
    let _ = output.exit_status(0).await;
    output.close().await;
}

async fn answer(running: &Running, user: &UserName, line: &[u8]) -> Told {
    let by = Speaker::Person(user.clone());
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

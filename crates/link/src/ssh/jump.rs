//! The proxy's SSH jump host (`ssh -J`): a certificate signs in, or the code of a link, and all it may do is reach a node.

use super::Startup;
use super::buffer::Memory;
use super::server::{
    Admission, Asked, Direct, Gate, Guests, NobodyIn, Place, Refusal, Refused, Server,
};
use crate::duplex::BoxDuplex;
use russh::keys::ssh_key::Certificate;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Judges a certificate for the jump host: the account that was typed, and the certificate. Answers who it is.
pub type JumpGate<T> = Box<dyn FnMut(&str, &Certificate) -> Option<T> + Send>;

/// Who somebody is who comes by a code, if they may at this moment.
pub type Host<T> = Box<dyn FnMut(&str) -> Option<T> + Send>;

/// Whom the jump host lets in without a certificate: accounts that are codes, and who they are then. What a code is worth is
/// seen when they want to reach something, which they must soon.
pub struct JumpGuests<T> {
    /// Whether an account is a code.
    pub is_one: fn(&str) -> bool,
    /// Who that is, if they may come at this moment.
    pub admit: Host<T>,
    /// How long they may stay without having reached anything.
    pub wait: Duration,
}

/// How long a node may take nothing at the bound before its channel is closed. Longer than a node's own patience.
const STALL: Duration = Duration::from_secs(120);

/// Serves one jump connection until it ends or `shutdown` is cancelled. `dial` opens a stream to the node of that name for
/// whom the gate let in, or says why not; the port that the client names is not looked at. `refused` hears of everything
/// else that was asked for, which is refused.
///
/// # Errors
/// When nobody signs in or the protocol fails.
pub async fn serve<T, D, A, R>(
    server: &Server,
    stream: BoxDuplex,
    startup: Startup,
    (mut gate, guests): (JumpGate<T>, JumpGuests<T>),
    (dial, refused): (D, R),
    shutdown: CancellationToken,
) -> Result<(), NobodyIn>
where
    T: Send + Sync + 'static,
    D: Fn(Arc<T>, String) -> A + Send + Sync + 'static,
    A: Future<Output = Result<BoxDuplex, Refusal>> + Send + 'static,
    R: Fn(&T, Refused) + Send + Sync + 'static,
{
    let JumpGuests { is_one, mut admit, wait } = guests;
    let gate = Gate {
        certificate: Box::new(move |login, certificate| gate(login, certificate).map(admission)),
        guests: Guests {
            is_one,
            asks: None,
            admit: Box::new(move |login, _| admit(login).map(admission)),
        },
    };
    let mut connection = server.accept(stream, gate, startup).await?;
    let mut idle = is_one(&connection.login);
    let waited = tokio::time::sleep(wait);
    tokio::pin!(waited);
    let mut carried = JoinSet::new();
    let farewell = loop {
        let asked = tokio::select! {
            asked = connection.next() => asked,
            reached = carried.join_next(), if !carried.is_empty() => {
                // Whose code counts for nothing has reached nothing.
                idle &= !matches!(reached, Some(Ok(true)));
                continue;
            }
            () = &mut waited, if idle && carried.is_empty() => break "nothing was reached",
            () = shutdown.cancelled() => break "the proxy is stopping",
        };
        match asked {
            None => return Ok(()),
            Some(Asked::Direct(direct)) => {
                let asked = match &direct.to {
                    Place::Port { host, .. } => host.clone(),
                    // No node has such a name, so it is refused like one that is none.
                    Place::Socket { path } => format!("unix:{path}"),
                };
                let dialling = dial(Arc::clone(&connection.holder), asked);
                carried.spawn(carry(direct, dialling));
            }
            Some(Asked::Listen(listen)) => {
                let what = format!("to listen at {}", listen.at);
                listen.refuse();
                refused(&connection.holder, Refused { what, why: "the jump host listens nowhere" });
            }
            Some(Asked::Refused(what)) => refused(&connection.holder, what),
            Some(Asked::Session(_) | Asked::Unlisten(_)) => {}
        }
    };
    connection.end(farewell).await;
    Ok(())
}

fn admission<T>(holder: T) -> Admission<Arc<T>> {
    Admission {
        holder: Arc::new(holder),
        buffers: Arc::new(Memory { stall: Some(STALL), ..Memory::default() }),
        agent: false,
        x11: false,
        sessions: 0,
        variable: |_| false,
        subsystems: &[],
    }
}

/// Answers whether something was reached.
async fn carry(direct: Direct, dialling: impl Future<Output = Result<BoxDuplex, Refusal>>) -> bool {
    match dialling.await {
        Ok(stream) => {
            direct.accept().await.join(stream).await;
            true
        }
        Err(refusal) => {
            direct.reject(refusal).await;
            false
        }
    }
}

//! Forwards of a connection: ports in both directions and the agent, with the user's rights, each in the ledger.

use crate::clock;
use crate::connection::Caller;
use crate::news::Known;
use crate::serve::Post;
use host::{Net, NetError};
use link::ssh::server::{Direct, Listen, Opener, Refusal};
use model::audit::Audited;
use model::limit::LISTENERS_PER_CONNECTION;
use model::role::Forwarding;
use policy::{Denial, ForwardPermit};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::OnceCell;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// How long forwards of a connection that is gone may take to say so.
const LAST: Duration = Duration::from_secs(1);

/// Forwards of one connection. The helper with the user's rights is started at the first need.
pub(crate) struct Forwards {
    post: Arc<Post>,
    caller: Caller,
    opener: Opener,
    net: Arc<OnceCell<Net>>,
    /// Cancelled, a listener takes no more connections; those it has go on.
    listeners: BTreeMap<(String, u32), CancellationToken>,
    agent: Option<PathBuf>,
    tasks: JoinSet<()>,
}

impl Forwards {
    pub fn new(post: Arc<Post>, caller: Caller, opener: Opener) -> Self {
        Self {
            post,
            caller,
            opener,
            net: Arc::default(),
            listeners: BTreeMap::new(),
            agent: None,
            tasks: JoinSet::new(),
        }
    }

    /// Completes when a forward has ended; never when there is none.
    pub async fn reap(&mut self) {
        if self.tasks.join_next().await.is_none() {
            std::future::pending::<()>().await;
        }
    }

    /// Ends all of them: the connection is gone, so each ends by itself and says so; who is late is cut.
    pub async fn end(&mut self) {
        self.listeners.values().for_each(CancellationToken::cancel);
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(LAST, all).await.is_err() {
            self.tasks.shutdown().await;
        }
    }

    /// `-L`, `-D`.
    pub fn direct(&mut self, direct: Direct, known: &Known) {
        let permit = self.permit(known, Forwarding::Local);
        let (post, caller, net) =
            (Arc::clone(&self.post), self.caller.clone(), Arc::clone(&self.net));
        self.tasks.spawn(async move {
            let Some(permit) = permit else { return direct.reject(Refusal::Prohibited).await };
            let target = format!("{}:{}", direct.host, direct.port);
            let Ok(port) = u16::try_from(direct.port) else {
                return direct.reject(Refusal::Unreachable).await;
            };
            let dialled = async {
                started(&net, &post, &caller).await?.dial(&permit, &direct.host, port).await
            };
            match dialled.await {
                Err(error) => {
                    tracing::debug!(target, %error, "a forward cannot be opened");
                    direct.reject(Refusal::Unreachable).await;
                }
                Ok(stream) => {
                    let _ = stream.set_nodelay(true);
                    let direction = "local".to_owned();
                    caller.tell(Audited::ForwardOpened {
                        direction: direction.clone(),
                        target: target.clone(),
                    });
                    let (sent, received) = direct.accept().await.join(stream).await;
                    caller.tell(Audited::ForwardClosed { direction, target, sent, received });
                }
            }
        });
    }

    /// `-R`.
    pub async fn listen(&mut self, listen: Listen, known: &Known) {
        let Some(permit) = self.permit(known, Forwarding::Remote) else { return listen.refuse() };
        let full = self.listeners.len() >= LISTENERS_PER_CONNECTION;
        let Some(port) = u16::try_from(listen.port).ok().filter(|_| !full) else {
            return listen.refuse();
        };
        let bound = async {
            let net = started(&self.net, &self.post, &self.caller).await?;
            net.listen(&permit, &listen.address, port).await
        };
        match bound.await {
            Err(error) => {
                tracing::debug!(%error, "a port cannot be listened on");
                listen.refuse();
            }
            Ok(listener) => {
                let real =
                    listener.local_addr().map_or(listen.port, |address| address.port().into());
                let address = listen.address.clone();
                if listen.grant(real) {
                    let key = (address.clone(), real);
                    let remote = Remote {
                        caller: self.caller.clone(),
                        opener: self.opener.clone(),
                        address,
                        port: real,
                    };
                    let stop = CancellationToken::new();
                    self.listeners.insert(key, stop.clone());
                    self.tasks.spawn(remote.serve(listener, stop));
                }
            }
        }
    }

    /// The end of a `-R`.
    pub fn unlisten(&mut self, address: &str, port: u32) {
        if let Some(stop) = self.listeners.remove(&(address.to_owned(), port)) {
            stop.cancel();
        }
    }

    fn permit(&self, known: &Known, what: Forwarding) -> Option<ForwardPermit> {
        let Caller { identity, login, .. } = &self.caller;
        let facts = &self.post.facts;
        match policy::forward(&known.roles, identity, facts, login, what, clock::now()) {
            Ok(permit) => Some(permit),
            Err(denial) => {
                self.caller.denied(&denial);
                None
            }
        }
    }
}

/// The socket by which programs reach the client's agent; one a connection.
pub(crate) async fn lend_agent(forwards: &mut Forwards, known: &Known) -> Option<PathBuf> {
    if let Some(path) = &forwards.agent {
        return Some(path.clone());
    }
    let permit = forwards.permit(known, Forwarding::Agent)?;
    let net = started(&forwards.net, &forwards.post, &forwards.caller).await;
    let made = match net {
        Ok(net) => net.agent(&permit).await,
        Err(error) => Err(error),
    };
    match made {
        Err(error) => {
            tracing::warn!(%error, "the agent cannot be forwarded");
            None
        }
        Ok((listener, path)) => {
            let target = "the client's agent".to_owned();
            forwards.caller.tell(Audited::ForwardOpened { direction: "agent".to_owned(), target });
            let stop = CancellationToken::new();
            forwards.listeners.insert(("agent".to_owned(), 0), stop.clone());
            forwards.tasks.spawn(serve_agent(listener, forwards.opener.clone(), stop));
            forwards.agent = Some(path.clone());
            Some(path)
        }
    }
}

/// The helper with the user's rights, started once. It takes a permit of its own: rights may have changed.
async fn started<'a>(
    net: &'a OnceCell<Net>,
    post: &Post,
    caller: &Caller,
) -> Result<&'a Net, NetError> {
    net.get_or_try_init(|| async {
        let permit = fresh_permit(post, caller)
            .map_err(|denial| NetError::Refused { why: denial.public() })?;
        Net::start(&post.host, &permit).await
    })
    .await
}

fn fresh_permit(post: &Post, caller: &Caller) -> Result<policy::LoginPermit, Denial> {
    let roles = post.latest.borrow().as_ref().map(|known| known.roles.clone()).unwrap_or_default();
    policy::login(&roles, &caller.identity, &post.facts, &caller.login, clock::now())
}

struct Remote {
    caller: Caller,
    opener: Opener,
    address: String,
    port: u32,
}

impl Remote {
    async fn serve(self, listener: TcpListener, stop: CancellationToken) {
        let mut pipes = JoinSet::new();
        let target = format!("{}:{}", self.address, self.port);
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                Some(_) = pipes.join_next() => continue,
                () = stop.cancelled() => break,
            };
            let Ok((stream, from)) = accepted else { break };
            let origin = (from.ip().to_string(), u32::from(from.port()));
            let (opener, caller, target) =
                (self.opener.clone(), self.caller.clone(), target.clone());
            let (address, port) = (self.address.clone(), self.port);
            pipes.spawn(async move {
                let Ok(pipe) = opener.forwarded(&address, port, origin).await else { return };
                let direction = "remote".to_owned();
                caller.tell(Audited::ForwardOpened {
                    direction: direction.clone(),
                    target: target.clone(),
                });
                // The pipe counts from the client and to the client; so does the ledger.
                let (sent, received) = pipe.join(stream).await;
                caller.tell(Audited::ForwardClosed { direction, target, sent, received });
            });
        }
        drop(listener);
        while pipes.join_next().await.is_some() {}
    }
}

async fn serve_agent(listener: UnixListener, opener: Opener, stop: CancellationToken) {
    let mut pipes = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = pipes.join_next() => continue,
            () = stop.cancelled() => return,
        };
        let Ok((stream, _)) = accepted else { return };
        let opener = opener.clone();
        pipes.spawn(async move {
            if let Ok(pipe) = opener.agent().await {
                pipe.join(stream).await;
            }
        });
    }
}

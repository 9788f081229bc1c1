//! The node's end: dial, serve HTTP/2 on the connection, hand out the streams, dial again for ever.

use super::Backoff;
use crate::duplex::BoxDuplex;
use crate::front::Raw;
use crate::http::{
    Accepted, CallError, Carrier, Connect, Dialer, Routes, Service, Trouble, serve, words,
};
use crate::places::Place;
use crate::tls::{Peer, PeerIdentity};
use axum::Router;
use model::NodeName;
use model::limit::KNOCKS;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use wire::name::{CLIENT_ADDRESS_HEADER, NODE_SSH};
use wire::{Failure, Fault};

/// A connection that lasted so long was a good one: the next pause is short.
const GOOD: Duration = Duration::from_secs(30);

/// One tunnel to one proxy. A node that keeps two has two of these; they may share their [`Knocks`].
#[derive(Debug)]
pub struct Tunnel {
    dialer: Dialer,
    service: Service,
    up: watch::Sender<bool>,
}

/// Streams that clients opened through tunnels.
#[derive(Debug)]
pub struct Knocks {
    streams: mpsc::Receiver<Knock>,
    give: mpsc::Sender<Knock>,
}

/// A client's byte stream to the node's SSH server.
pub struct Knock {
    stream: Way,
    /// The client's address as the proxy saw it, or the node itself at a port of its own.
    pub client: Option<SocketAddr>,
    /// The proxy that carries it, by the certificate that it showed; none at a port of the node's own.
    pub proxy: Option<NodeName>,
}

/// How the bytes come.
enum Way {
    Carried(BoxDuplex),
    /// Not yet watched by any runtime.
    Dialled(std::net::TcpStream, SocketAddr, Place<IpAddr>),
}

impl Knock {
    /// Bytes that a tunnel carries.
    fn carried(stream: BoxDuplex, client: Option<SocketAddr>, proxy: Option<NodeName>) -> Self {
        Self { stream: Way::Carried(stream), client, proxy }
    }

    /// A client at the node's own port.
    pub(super) fn dialled(
        stream: TcpStream,
        client: SocketAddr,
        place: Place<IpAddr>,
    ) -> io::Result<Self> {
        let stream = Way::Dialled(stream.into_std()?, client, place);
        Ok(Self { stream, client: Some(client), proxy: None })
    }

    /// The bytes. Must be called on the runtime that is to serve them, because that one is woken for what comes.
    ///
    /// # Errors
    /// As the system says.
    pub fn open(self) -> io::Result<BoxDuplex> {
        Ok(match self.stream {
            Way::Carried(stream) => stream,
            Way::Dialled(stream, client, place) => {
                Box::new(Raw::fresh(TcpStream::from_std(stream)?, client, place))
            }
        })
    }
}

impl std::fmt::Debug for Knock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Knock").field("client", &self.client).finish_non_exhaustive()
    }
}

impl Knocks {
    /// A queue for the streams of one node: at most [`KNOCKS`] wait in it, further ones stay unanswered.
    #[must_use]
    pub fn new() -> Self {
        let (give, streams) = mpsc::channel(KNOCKS);
        Self { streams, give }
    }

    /// Where others put what knocks.
    pub(super) fn giver(&self) -> mpsc::Sender<Knock> {
        self.give.clone()
    }

    /// The next stream. Never ends; nothing is lost if the future is dropped.
    pub async fn next(&mut self) -> Knock {
        match self.streams.recv().await {
            Some(knock) => knock,
            // Cannot end, since `give` is kept beside it.
            None => std::future::pending().await,
        }
    }
}

impl Default for Knocks {
    fn default() -> Self {
        Self::new()
    }
}

impl Tunnel {
    /// `dialer` leads to the proxy, shows the node's badge and offers [`wire::name::ALPN_TUNNEL`] only.
    #[must_use]
    pub fn new(dialer: Dialer, knocks: &Knocks) -> Self {
        let service = Service::new(Routes::new(()).router()).carrying(carrier(knocks.give.clone()));
        Self { dialer, service, up: watch::Sender::new(false) }
    }

    /// Answers requests of the proxy with `router`, besides taking streams.
    #[must_use]
    pub fn answering(mut self, router: Router, knocks: &Knocks) -> Self {
        self.service = Service::new(router).carrying(carrier(knocks.give.clone()));
        self
    }

    /// Whether the tunnel is open, for readiness.
    #[must_use]
    pub fn up(&self) -> watch::Receiver<bool> {
        self.up.subscribe()
    }

    /// Keeps the tunnel open until `stop`; then takes no more streams and waits until the open ones have ended.
    /// Dropping the future ends them at once.
    pub async fn run(self, stop: CancellationToken) {
        let mut backoff = Backoff::default();
        while !stop.is_cancelled() {
            let began = Instant::now();
            match self.once(&stop).await {
                Ok(()) => tracing::info!(proxy = self.dialer.address(), "the tunnel was closed"),
                Err(_) if stop.is_cancelled() => {}
                Err(error) => tracing::warn!(
                    proxy = self.dialer.address(),
                    error = words(&error),
                    "no tunnel; trying again"
                ),
            }
            self.up.send_replace(false);
            if began.elapsed() > GOOD {
                backoff.reset();
            }
            stop.run_until_cancelled(tokio::time::sleep(backoff.pause())).await;
        }
    }

    async fn once(&self, stop: &CancellationToken) -> Result<(), CallError> {
        let Some(dialed) = stop.run_until_cancelled(self.dialer.dial_tls()).await else {
            return Ok(());
        };
        let stream = dialed?;
        let (tcp, session) = stream.get_ref();
        let unreachable = |trouble| CallError::unreachable(self.dialer.address(), trouble);
        let address = tcp.peer_addr().map_err(|e| unreachable(Trouble::Connect(e)))?;
        let leaf = session.peer_certificates().and_then(|chain| chain.first());
        let proxy = match leaf.map(|leaf| Peer::of_certificate(leaf, address)) {
            Some(read) => read.map_err(|e| unreachable(Trouble::of(&e)))?,
            None => Peer::nobody(address),
        };
        tracing::info!(proxy = self.dialer.address(), "the tunnel is open");
        self.up.send_replace(true);
        serve(stream, proxy, self.service.clone(), stop.clone())
            .await
            .map_err(|e| unreachable(Trouble::of(&e)))
    }
}

fn carrier(give: mpsc::Sender<Knock>) -> Carrier {
    Arc::new(move |connect: Connect| {
        let give = give.clone();
        Box::pin(async move {
            if connect.authority != NODE_SSH {
                let message = format!("this node has nothing at {}", connect.authority);
                return Err(Failure { fault: Fault::NotFound, message });
            }
            let away = || Failure {
                fault: Fault::Unavailable,
                message: "the node is shutting down".to_owned(),
            };
            let place = give.reserve_owned().await.map_err(|_| away())?;
            let client = connect
                .headers
                .get(CLIENT_ADDRESS_HEADER)
                .and_then(|value| value.to_str().ok())
                .and_then(|value| value.parse().ok());
            let proxy = match connect.peer.identity {
                PeerIdentity::Proxy(name) => Some(name),
                _ => None,
            };
            let accepted: Accepted = Box::new(move |stream| {
                Box::pin(async move {
                    place.send(Knock::carried(Box::new(stream), client, proxy));
                })
            });
            Ok(accepted)
        })
    })
}

//! The one port: limits on connections, recognising what a client speaks, the TLS handshake.

mod greeting;
mod hello;
mod relay;
mod secure;

pub use greeting::{Greeting, HELLO_BYTES, Menu, Refused, Spoken};
pub use hello::Raw;
pub use relay::relay_line;
pub use secure::Secure;

use crate::places::{Place, Places};
use crate::tcp::network;
use crate::tls::{Challenges, Peer};
use hello::recognise;
use model::limit::{
    CONNECTIONS, CONNECTIONS_PER_ADDRESS, HANDSHAKE_MS, HANDSHAKES, HANDSHAKES_PER_ADDRESS,
};
use rustls::ServerConfig;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use wire::name::{ALPN_AUTH, ALPN_TUNNEL};

/// Pause after the system refused to accept (no descriptors left); waiting clients stay in its queue.
const REFUSED_PAUSE: Duration = Duration::from_millis(100);

/// A client that got through the front.
#[derive(Debug)]
pub enum Arrival {
    /// Wants auth: to be passed on as it is, still encrypted, its first bytes included.
    Auth(Raw),
    /// A tunnel, past its handshake. Whether its peer is a node is for the service to check.
    Tunnel(Secure, Peer),
    /// HTTP, past the handshake; [`Secure::is_http1`] says which.
    Http(Secure, Peer),
    /// Speaks SSH, or waits for the server to speak first.
    Ssh(Raw),
}

/// A listening port. Poll [`Front::next`] in a loop; handshakes under way live in it and end with it.
#[derive(Debug)]
pub struct Front {
    listener: TcpListener,
    tls: Arc<ServerConfig>,
    menu: Arc<Menu>,
    everyone: Places<IpAddr>,
    shaking: Places<IpAddr>,
    handshakes: JoinSet<Option<Arrival>>,
    resting: Option<Instant>,
}

impl Front {
    /// Serves on a bound listener. The protocols in `tls` (ALPN) are those of `menu` that end here.
    ///
    /// # Errors
    /// When the listener cannot be used by tokio.
    pub fn new(
        listener: std::net::TcpListener,
        tls: Arc<ServerConfig>,
        menu: Menu,
    ) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        Ok(Self {
            listener: TcpListener::from_std(listener)?,
            tls,
            menu: Arc::new(menu),
            everyone: Places::new(CONNECTIONS, CONNECTIONS_PER_ADDRESS),
            shaking: Places::new(HANDSHAKES, HANDSHAKES_PER_ADDRESS),
            handshakes: JoinSet::new(),
            resting: None,
        })
    }

    /// The address that was bound.
    ///
    /// # Errors
    /// As the system says.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// The next client. Never ends; nothing is lost if the future is dropped.
    pub async fn next(&mut self) -> Arrival {
        loop {
            let resting = self.resting.unwrap_or_else(Instant::now);
            tokio::select! {
                Some(done) = self.handshakes.join_next() => match done {
                    Ok(Some(arrival)) => return arrival,
                    Ok(None) => {}
                    Err(error) => tracing::error!(%error, "a handshake failed unexpectedly"),
                },
                () = tokio::time::sleep_until(resting.into()), if self.resting.is_some() => {
                    self.resting = None;
                }
                accepted = self.listener.accept(),
                    if self.resting.is_none() && self.handshakes.len() < HANDSHAKES =>
                {
                    match accepted {
                        Ok((tcp, address)) => self.welcome(tcp, address),
                        Err(error) => self.rest(&error),
                    }
                }
            }
        }
    }

    fn rest(&mut self, error: &io::Error) {
        // A client that left before it was accepted is no trouble of the port.
        if error.kind() == io::ErrorKind::ConnectionAborted {
            return;
        }
        tracing::warn!(%error, "cannot accept connections; trying again");
        self.resting = Some(Instant::now() + REFUSED_PAUSE);
    }

    fn welcome(&mut self, tcp: TcpStream, address: SocketAddr) {
        let ip = address.ip().to_canonical();
        let relay = self.menu.relays.contains(&ip);
        // A relay brings everybody's connections from its one address; it has limits of its own.
        let places = if relay {
            self.everyone.take_any().ok().zip(self.shaking.take_any().ok())
        } else {
            let network = network(ip);
            self.everyone.take(network).ok().zip(self.shaking.take(network).ok())
        };
        let Some((place, shaking)) = places else {
            tracing::warn!(%address, "too many connections; closed");
            return;
        };
        let (tls, menu) = (Arc::clone(&self.tls), Arc::clone(&self.menu));
        self.handshakes.spawn(async move {
            let bound = Duration::from_millis(HANDSHAKE_MS);
            let arriving = arrive(tcp, address, place, tls, menu);
            let arrival = match tokio::time::timeout(bound, arriving).await {
                Ok(Ok(arrival)) => arrival,
                Ok(Err(error)) => {
                    tracing::debug!(%address, %error, "no handshake");
                    None
                }
                Err(_) => {
                    tracing::debug!(%address, "no handshake in time");
                    None
                }
            };
            drop(shaking);
            arrival
        });
    }
}

async fn arrive(
    tcp: TcpStream,
    address: SocketAddr,
    place: Place<IpAddr>,
    tls: Arc<ServerConfig>,
    menu: Arc<Menu>,
) -> io::Result<Option<Arrival>> {
    crate::tcp::settle(&tcp);
    let (mut raw, spoken) = recognise(tcp, address, place, &menu).await?;
    match spoken {
        Spoken::Ssh if menu.ssh => Ok(Some(Arrival::Ssh(raw))),
        Spoken::Tls(Some(protocol)) if menu.pass && protocol == ALPN_AUTH => {
            Ok(Some(Arrival::Auth(raw)))
        }
        Spoken::Tls(_) => handshake(raw, tls).await.map(Some),
        Spoken::Challenge => {
            let challenges = menu.challenges.as_ref().map(Challenges::config).transpose();
            let config = challenges.map_err(io::Error::other)?;
            let config = config.ok_or(io::ErrorKind::Unsupported)?;
            // The handshake is all that it came for; what it might say behind it is not read.
            let mut looked = TlsAcceptor::from(config).accept(raw).await?;
            tracing::debug!(%address, "an ACME server has looked");
            looked.shutdown().await?;
            Ok(None)
        }
        Spoken::PlainHttp => {
            raw.write_all(hello::PLAIN_HTTP_ANSWER).await?;
            raw.shutdown().await?;
            Ok(None)
        }
        Spoken::Ssh | Spoken::Unknown => Ok(None),
    }
}

async fn handshake(raw: Raw, tls: Arc<ServerConfig>) -> io::Result<Arrival> {
    let address = raw.peer();
    let stream = TlsAcceptor::from(tls).accept(raw).await?;
    let session = stream.get_ref().1;
    let tunnel = session.alpn_protocol() == Some(ALPN_TUNNEL);
    let peer = match session.peer_certificates().and_then(|chain| chain.first()) {
        Some(leaf) => Peer::of_certificate(leaf, address).map_err(io::Error::other)?,
        None => Peer::nobody(address),
    };
    let stream = Secure::new(stream);
    Ok(if tunnel { Arrival::Tunnel(stream, peer) } else { Arrival::Http(stream, peer) })
}

//! A node's own TCP port: clients that reach the machine need no proxy between them and its SSH server.

use super::{Knock, Knocks};
use crate::places::Places;
use crate::tcp;
use model::limit::{CONNECTIONS, CONNECTIONS_PER_ADDRESS};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

/// Pause after the system refused to accept (no descriptors left); waiting clients stay in its queue.
const REFUSED_PAUSE: Duration = Duration::from_millis(100);

/// A listening port whose clients knock at the node as those of its tunnels do.
#[derive(Debug)]
pub struct Port {
    listener: TcpListener,
    places: Places<IpAddr>,
    give: mpsc::Sender<Knock>,
}

impl Port {
    /// Listens.
    ///
    /// # Errors
    /// As the system says.
    pub async fn bind(address: SocketAddr, knocks: &Knocks) -> io::Result<Self> {
        Ok(Self {
            listener: TcpListener::bind(address).await?,
            places: Places::new(CONNECTIONS, CONNECTIONS_PER_ADDRESS),
            give: knocks.giver(),
        })
    }

    /// The address that was bound.
    ///
    /// # Errors
    /// As the system says.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Takes clients until nobody takes their knocks any more.
    pub async fn run(self) {
        while let Ok(room) = self.give.clone().reserve_owned().await {
            let (stream, address) = match self.listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "cannot accept connections; trying again");
                    tokio::time::sleep(REFUSED_PAUSE).await;
                    continue;
                }
            };
            let address = SocketAddr::new(address.ip().to_canonical(), address.port());
            let Ok(place) = self.places.take(tcp::network(address.ip())) else {
                tracing::warn!(%address, "too many connections; closed");
                continue;
            };
            tcp::settle(&stream);
            match Knock::dialled(stream, address, place) {
                Ok(knock) => drop(room.send(knock)),
                Err(error) => tracing::warn!(%error, %address, "a connection was lost at once"),
            }
        }
    }
}

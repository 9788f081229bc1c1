//! The proxy's end: which nodes have a tunnel here, and streams through them.

use crate::duplex::Duplex;
use crate::http::{ByteStream, CallError, Client, words};
use model::NodeName;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use thiserror::Error;
use tokio_util::sync::CancellationToken;
use wire::name::{CLIENT_ADDRESS_HEADER, NODE_SSH};

/// How often a held tunnel is looked at; a dead one is found by its PING, or by the next stream.
const LOOK: Duration = Duration::from_millis(500);
/// Tunnels of one node at once. Refuse: the oldest gives way.
const TUNNELS_PER_NODE: usize = 4;

/// Why there is no stream to a node.
#[derive(Debug, Clone, Error)]
pub enum NoTunnel {
    /// The node has no tunnel here.
    #[error(
        "no node named {0} is connected: check the name with `scry ls`, or whether scry runs on it"
    )]
    NotConnected(NodeName),
    /// It has, but no stream could be opened.
    #[error("node {node} does not answer")]
    Silent {
        /// Which node.
        node: NodeName,
        /// What the last try met.
        #[source]
        source: CallError,
    },
}

/// The tunnels that end at this proxy. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Tunnels {
    // Locked because arrivals add and remove tunnels while requests look them up; held for a look only.
    held: Arc<Mutex<BTreeMap<NodeName, Vec<Held>>>>,
}

#[derive(Debug, Clone)]
struct Held {
    client: Client,
    evicted: CancellationToken,
}

impl Tunnels {
    /// Holds a node's tunnel until it ends or `stop`. `stream` has passed the TLS handshake, and its certificate is
    /// that of `node`. On `stop` the tunnel takes no more streams here; open ones live as long as they do, unless
    /// `stream` itself is cut.
    ///
    /// # Errors
    /// When the node does not speak HTTP/2.
    pub async fn hold(
        &self,
        node: &NodeName,
        stream: impl Duplex + 'static,
        stop: CancellationToken,
    ) -> Result<(), CallError> {
        let client = Client::over(stream, node.as_str()).await?;
        let held = Held { client, evicted: CancellationToken::new() };
        let _listed = self.list(node, held.clone());
        let gone = async {
            while !held.client.is_closed() {
                tokio::time::sleep(LOOK).await;
            }
        };
        tokio::select! {
            () = gone => {}
            () = stop.cancelled() => {}
            () = held.evicted.cancelled() => {}
        }
        Ok(())
    }

    /// Opens a stream to the node's SSH server, through its newest tunnel that works.
    ///
    /// # Errors
    /// [`NoTunnel`].
    pub async fn open(&self, node: &NodeName, client: SocketAddr) -> Result<ByteStream, NoTunnel> {
        let mut met = None;
        for held in self.of(node) {
            let header = [(CLIENT_ADDRESS_HEADER, client.to_string())];
            match held.client.connect(NODE_SSH, &header).await {
                Ok(stream) => return Ok(stream),
                Err(error) => {
                    tracing::warn!(%node, error = words(&error), "a tunnel does not take a stream");
                    met = Some(error);
                }
            }
            if held.client.is_closed() {
                self.remove(node, &held);
            }
        }
        Err(match met {
            Some(source) => NoTunnel::Silent { node: node.clone(), source },
            None => NoTunnel::NotConnected(node.clone()),
        })
    }

    /// The nodes that have a tunnel here.
    #[must_use]
    pub fn nodes(&self) -> Vec<NodeName> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
    }

    /// The tunnels of a node, newest first.
    fn of(&self, node: &NodeName) -> Vec<Held> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.get(node).map(|all| all.iter().rev().cloned().collect()).unwrap_or_default()
    }

    fn list(&self, node: &NodeName, held: Held) -> Listed {
        let listed = Listed { tunnels: self.clone(), node: node.clone(), held: held.clone() };
        let mut all = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let tunnels = all.entry(node.clone()).or_default();
        tunnels.push(held);
        if tunnels.len() > TUNNELS_PER_NODE {
            tunnels.remove(0).evicted.cancel();
        }
        listed
    }

    fn remove(&self, node: &NodeName, gone: &Held) {
        let mut all = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(tunnels) = all.get_mut(node) else { return };
        gone.evicted.cancel();
        tunnels.retain(|held| !held.evicted.is_cancelled());
        if tunnels.is_empty() {
            all.remove(node);
        }
    }
}

/// Takes its tunnel off the list when the task that holds it ends, however it ends.
struct Listed {
    tunnels: Tunnels,
    node: NodeName,
    held: Held,
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.tunnels.remove(&self.node, &self.held);
    }
}

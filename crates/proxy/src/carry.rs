//! Streams to nodes by name, and raw connections to auth.

use crate::report::Reporter;
use crate::upkeep::Trusted;
use link::BoxDuplex;
use link::front::{Raw, relay_line};
use link::http::{CallError, Channel};
use link::tunnel::{NoTunnel, Tunnels};
use metrics::counter;
use model::NodeName;
use std::io;
use std::net::SocketAddr;
use tokio::io::AsyncWriteExt;
use tokio::sync::watch;
use wire::share::FindLink;
use wire::{Failure, Fault};

/// Knows the ways.
#[derive(Debug, Clone)]
pub(crate) struct Carry {
    pub(crate) tunnels: Tunnels,
    pub(crate) auth: String,
    /// Calls to auth, as the proxy itself.
    pub(crate) calls: Channel,
    pub(crate) trusted: watch::Receiver<Trusted>,
    pub(crate) reporter: Reporter,
}

impl Carry {
    /// The node that a person means: `web-01`, `web-01.CLUSTER`, either with a port, which counts for nothing.
    pub(crate) fn node(&self, asked: &str) -> Result<NodeName, Failure> {
        let name = match asked.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) => name,
            _ => asked,
        };
        let name = name.to_ascii_lowercase();
        let cluster = self.trusted.borrow().cluster.clone();
        let short = name.strip_suffix(&cluster).and_then(|rest| rest.strip_suffix('.'));
        short.unwrap_or(&name).parse().map_err(|error| Failure {
            fault: Fault::Malformed,
            message: format!("that cannot be a node: {error}"),
        })
    }

    /// As [`Carry::node`], for a guest: that node, if it is the one that the link of this code leads to. A denial is in the
    /// ledger then, here or at auth.
    pub(crate) async fn node_of_link(
        &self,
        asked: &str,
        code: &str,
        client: SocketAddr,
    ) -> Result<NodeName, Failure> {
        let node = self.node(asked)?;
        let find = FindLink { code: code.to_owned(), address: client.ip() };
        let found = self.calls.call(&find).await.map_err(|error| match error {
            CallError::Refused(failure) => failure,
            error => {
                tracing::warn!(%error, "a link was not looked up");
                let message =
                    "auth does not answer, and no link counts without it: try again later";
                Failure { fault: Fault::Unavailable, message: message.to_owned() }
            }
        })?;
        if found.node != node {
            let message = format!("this link does not lead to {node}");
            self.reporter.denied(None, client, "come by a link", &message);
            return Err(Failure { fault: Fault::Denied, message });
        }
        Ok(node)
    }

    /// A stream to a node's SSH server.
    pub(crate) async fn open(
        &self,
        node: &NodeName,
        client: SocketAddr,
    ) -> Result<BoxDuplex, NoTunnel> {
        let opened = self.tunnels.open(node, client).await;
        let outcome = match &opened {
            Ok(_) => "open",
            Err(NoTunnel::NotConnected(_)) => "not_connected",
            Err(NoTunnel::Silent { .. }) => "silent",
        };
        counter!("scry_proxy_streams_total", "outcome" => outcome).increment(1);
        opened.map(|stream| Box::new(stream) as BoxDuplex)
    }

    /// Passes a client on to auth, which learns where it comes from and reads the rest; the proxy cannot.
    pub(crate) async fn to_auth(&self, client: Raw) -> io::Result<()> {
        let mut auth = link::tcp::dial(self.auth.as_str()).await?;
        auth.write_all(relay_line(client.peer(), client.local()?).as_bytes()).await?;
        pipe(client, auth).await;
        Ok(())
    }
}

/// Copies until both directions have ended, and counts.
pub(crate) async fn pipe(client: impl link::Duplex, server: impl link::Duplex) {
    metrics::gauge!("scry_proxy_pipes").increment(1.0);
    let _counted = Counted;
    match link::pipe(client, server).await {
        Ok((up, down)) => {
            counter!("scry_proxy_bytes_total", "direction" => "up").increment(up);
            counter!("scry_proxy_bytes_total", "direction" => "down").increment(down);
        }
        Err(error) => tracing::debug!(%error, "a pipe broke"),
    }
}

struct Counted;

impl Drop for Counted {
    fn drop(&mut self) {
        metrics::gauge!("scry_proxy_pipes").decrement(1.0);
    }
}

//! What becomes of each arrival.

use crate::carry::{Carry, pipe};
use crate::jump;
use crate::report::Reporter;
use crate::upkeep::{NodeKeys, Nodes, now};
use crate::web::Web;
use futures_util::future::BoxFuture;
use link::duplex::Severable;
use link::front::{Arrival, Secure};
use link::http::{Accepted, Carrier, Connect, Service, serve, serve_http1, words};
use link::ssh::server::Server;
use link::ssh::{Startup, Startups};
use link::tunnel::NoTunnel;
use link::{Peer, PeerIdentity};
use metrics::{counter, gauge};
use model::limit::LINK_MS;
use model::role::RoleSet;
use model::{NodeName, Time};
use policy::{Denial, Identity};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use wire::name::LINK_HEADER;
use wire::{Failure, Fault};

/// Everything that a connection needs.
pub(crate) struct Reception {
    pub(crate) carry: Carry,
    pub(crate) reporter: Reporter,
    pub(crate) ssh: watch::Receiver<Server>,
    pub(crate) startups: Startups,
    pub(crate) guests: Startups,
    pub(crate) web: Arc<Web>,
    /// Whose tunnels count.
    pub(crate) nodes: Nodes,
    /// What is locked, as auth said last; nothing before it has spoken. The nodes decide about the rest.
    pub(crate) roles: watch::Receiver<RoleSet>,
    /// The proxy is stopping: take nothing further, let what is open end.
    pub(crate) stop: CancellationToken,
    /// Its time is over.
    pub(crate) cut: CancellationToken,
}

/// How long a tunnel waits until auth's word on its node is here: a node dials at once when it has joined.
const KNOWN_WAIT: Duration = Duration::from_secs(5);

/// How long a node has to end what is locked, with words, before the proxy cuts it.
const END_WAIT: Duration = Duration::from_secs(5);

/// What an arrival is for, in words.
pub(crate) fn kind(arrival: &Arrival) -> String {
    match arrival {
        Arrival::Auth(raw) => format!("call for auth from {}", raw.peer()),
        Arrival::Tunnel(_, peer) => format!("tunnel of {}", peer.identity),
        Arrival::Http(_, peer) => format!("connection of {} from {}", peer.identity, peer.address),
        Arrival::Ssh(raw) => format!("jump connection from {}", raw.peer()),
    }
}

impl Reception {
    /// Serves an arrival to its end.
    pub(crate) async fn receive(self: Arc<Self>, arrival: Arrival) {
        let kind = match &arrival {
            Arrival::Auth(_) => "auth",
            Arrival::Tunnel(..) => "tunnel",
            Arrival::Http(..) => "http",
            Arrival::Ssh(_) => "ssh",
        };
        counter!("scry_proxy_arrivals_total", "kind" => kind).increment(1);
        match arrival {
            Arrival::Auth(raw) => {
                if let Err(error) = self.carry.to_auth(raw).await {
                    tracing::warn!(auth = self.carry.auth, %error, "auth cannot be reached");
                }
            }
            Arrival::Tunnel(stream, peer) => self.tunnel(stream, peer).await,
            Arrival::Http(stream, peer) => self.http(stream, peer).await,
            Arrival::Ssh(raw) => jump::serve(self, raw).await,
        }
    }

    async fn tunnel(&self, stream: Secure, peer: Peer) {
        let PeerIdentity::Node(node) = &peer.identity else {
            let why = format!("{} is no node", peer.identity);
            self.reporter.denied(user(&peer), peer.address, "open a node's tunnel", &why);
            return;
        };
        let (mut counting, mut ceasing) = (self.nodes.clone(), self.nodes.clone());
        let counts = |known: &Option<NodeKeys>| {
            let key = known.as_ref().and_then(|nodes| nodes.get(node));
            key.is_some() && key == peer.key.as_ref()
        };
        let known = async { counting.wait_for(counts).await.is_ok() };
        if !tokio::time::timeout(KNOWN_WAIT, known).await.unwrap_or(false) {
            let why = format!(
                "auth does not count {node} with this key among its nodes: it was removed, another \
                 machine has its name, or auth has not been heard of since this proxy began"
            );
            self.reporter.denied(None, peer.address, "open a node's tunnel", &why);
            return;
        }
        tracing::info!(%node, address = %peer.address, "a tunnel is open");
        gauge!("scry_proxy_tunnels").increment(1.0);
        let cut = self.cut.child_token();
        let stream = Severable::new(stream, cut.clone());
        let held = tokio::select! {
            held = self.carry.tunnels.hold(node, stream, self.stop.clone()) => held,
            () = async { drop(ceasing.wait_for(|known| !counts(known)).await) } => {
                tracing::warn!(%node, address = %peer.address, "the node was removed: its tunnel is cut");
                cut.cancel();
                Ok(())
            }
        };
        gauge!("scry_proxy_tunnels").decrement(1.0);
        match held {
            Ok(()) => tracing::info!(%node, "a tunnel ended"),
            Err(error) => {
                tracing::warn!(%node, error = words(&error), "a tunnel could not be used")
            }
        }
    }

    async fn http(self: Arc<Self>, stream: Secure, peer: Peer) {
        let address = peer.address;
        let router = self.web.router(stream.called());
        let service = Service::new(router).carrying(carrier(Arc::clone(&self)));
        let stop = self.stop.clone();
        let served = match stream.is_http1() {
            true => serve_http1(stream, peer, service, stop).await,
            false => serve(stream, peer, service, stop).await,
        };
        if let Err(error) = served {
            tracing::debug!(%address, error = words(&error), "a connection ended");
        }
    }

    /// Decides about `CONNECT NODE`.
    async fn connect(&self, connect: Connect) -> Result<Accepted, Failure> {
        let (peer, asked) = (&connect.peer, connect.authority.as_str());
        let action = format!("connect to {asked:?}");
        let denied = |fault, message: &str, why: &str| {
            self.reporter.denied(user(peer), peer.address, &action, why);
            Failure { fault, message: message.to_owned() }
        };
        let code = connect.headers.get(LINK_HEADER).and_then(|code| code.to_str().ok());
        let user = match (&peer.identity, code) {
            (PeerIdentity::User(user), _) => user,
            (PeerIdentity::Nobody, Some(code)) => {
                return self.connect_guest(peer, asked, code).await;
            }
            (PeerIdentity::Nobody, None) => {
                let message = "sign in first: run `scry login`";
                return Err(denied(Fault::Unauthenticated, message, "no certificate was shown"));
            }
            (other, _) => {
                let message = format!("only people may connect to nodes; this is {other}");
                return Err(denied(Fault::Denied, &message, &message));
            }
        };
        let node = self.carry.node(asked)?;
        // Which roles they hold is the node's to see.
        let who = Identity::of_account(user.clone(), [], [], Time(i64::MAX));
        if let Err(denial) = self.reach(&who, &node) {
            return Err(denied(Fault::Denied, &denial.public(), &denial.to_string()));
        }
        self.carried(peer, who, node, None).await
    }

    /// As [`Reception::connect`], of somebody who has no account but the code of a link.
    async fn connect_guest(
        &self,
        peer: &Peer,
        asked: &str,
        code: &str,
    ) -> Result<Accepted, Failure> {
        let denied = |fault, message: &str| {
            self.reporter.denied(None, peer.address, "come by a link", message);
            Failure { fault, message: message.to_owned() }
        };
        let place = self.guests.take(Some(peer.address.ip())).ok_or_else(|| {
            denied(Fault::TooMany, "too many guests are there already: try again later")
        })?;
        let node = self.carry.node_of_link(asked, code, peer.address).await?;
        let who = Identity::guest("", now().plus_ms(LINK_MS.1));
        if let Err(denial) = self.reach(&who, &node) {
            return Err(denied(Fault::Denied, &denial.public()));
        }
        self.carried(peer, who, node, Some(place)).await
    }

    /// Carries somebody to a node until one of them ends it, or a lock shuts it.
    async fn carried(
        &self,
        peer: &Peer,
        who: Identity,
        node: NodeName,
        place: Option<Startup>,
    ) -> Result<Accepted, Failure> {
        let stream = self.carry.open(&node, peer.address).await.map_err(|error| {
            tracing::info!(peer = %peer.identity, %node, error = words(&error), "no stream");
            let fault = match error {
                NoTunnel::NotConnected(_) => Fault::NotFound,
                NoTunnel::Silent { .. } => Fault::Unavailable,
            };
            Failure { fault, message: error.to_string() }
        })?;
        let roles = self.roles.clone();
        Ok(Box::new(move |client| {
            Box::pin(async move {
                let _place = place;
                tokio::select! {
                    () = pipe(client, stream) => {}
                    () = shut(roles, &who, &node) => {
                        tracing::warn!(user = %who.user(), %node, "cut: it is locked, and the node did not end it");
                    }
                }
            })
        }))
    }

    /// Whether auth counts it among the nodes, or has not spoken yet.
    pub(crate) fn knows(&self, node: &NodeName) -> bool {
        self.nodes.borrow().as_ref().is_none_or(|nodes| nodes.contains_key(node))
    }

    /// Whether no lock shuts the person or the node.
    pub(crate) fn reach(&self, who: &Identity, node: &NodeName) -> Result<(), Denial> {
        policy::reach(&self.roles.borrow(), who, node, now())
    }
}

/// Completes when a lock has come to be on the person or the node, and the node has had its time to end what it has.
pub(crate) async fn shut(mut roles: watch::Receiver<RoleSet>, who: &Identity, node: &NodeName) {
    let shuts = |set: &RoleSet| policy::reach(set, who, node, now()).is_err();
    if roles.wait_for(shuts).await.is_err() {
        // The proxy is stopping, and cuts by itself.
        std::future::pending::<()>().await;
    }
    tokio::time::sleep(END_WAIT).await;
}

fn user(peer: &Peer) -> Option<&model::UserName> {
    match &peer.identity {
        PeerIdentity::User(user) => Some(user),
        _ => None,
    }
}

fn carrier(reception: Arc<Reception>) -> Carrier {
    Arc::new(move |connect| -> BoxFuture<'static, Result<Accepted, Failure>> {
        let reception = Arc::clone(&reception);
        Box::pin(async move { reception.connect(connect).await })
    })
}

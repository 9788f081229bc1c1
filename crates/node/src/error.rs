//! Why a node cannot serve. What goes wrong in one connection or session is handled there.

use model::NodeName;
use thiserror::Error;

/// A node cannot start or go on.
#[derive(Debug, Error)]
pub enum Error {
    /// Neither credentials nor a way to get them.
    #[error(
        "this machine has not joined a cluster yet, or its certificates have expired: run \
         `scry nodes invite` where an admin is signed in, and start this machine with the command it prints"
    )]
    NotInvited,
    /// What answers at the address has not the authority that the invitation names.
    #[error(
        "what answers at {address} is not of the cluster that the invitation is for (its pin differs): copy all of the \
         invitation, and check that the address leads to your cluster; if the cluster was set up anew, make a new one"
    )]
    Stranger {
        /// What was dialled.
        address: String,
    },
    /// The folder belongs to another cluster.
    #[error(
        "this machine has joined the cluster {cluster}, and the invitation is for another one: give another \
         --data-dir, or move {folder} away once its recordings are shipped"
    )]
    OtherCluster {
        /// Which it has joined.
        cluster: String,
        /// Where that stands.
        folder: String,
    },
    /// The machine has another name in the cluster.
    #[error(
        "this machine has joined as {joined} and cannot become {wanted}: start it without --node-name, or \
         `scry nodes rm {joined}`, move {folder} away and invite it as {wanted}"
    )]
    OtherName {
        /// Its name.
        joined: NodeName,
        /// The one that was asked for.
        wanted: NodeName,
        /// Where that stands.
        folder: String,
    },
    /// Its own port cannot be had.
    #[error("cannot listen on {address} for SSH: give another --ssh-listen, or leave it out")]
    Listen {
        /// Which.
        address: std::net::SocketAddr,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The threads that serve connections cannot be started.
    #[error("cannot start a thread for connections")]
    Threads(#[source] std::io::Error),
    /// Nothing to dial.
    #[error("the node knows no proxy to dial")]
    NoProxy,
    /// Auth did not certify the signing key.
    #[error("auth gave no certificate for the node's signing key")]
    NoSigner,
    /// A key file does not hold what it should.
    #[error("{path} is no key; restore it from a backup, or remove it and join again")]
    Key {
        /// The file.
        path: String,
    },
    /// A key file cannot be used.
    #[error(transparent)]
    KeyFile(#[from] store::keys::KeyError),
    /// The spool cannot be used.
    #[error(transparent)]
    Spool(#[from] store::spool::SpoolError),
    /// What is reported cannot be kept.
    #[error(transparent)]
    Outbox(#[from] store::outbox::OutboxError),
    /// An SSH key or certificate is damaged.
    #[error("an SSH key or certificate of the node cannot be used")]
    Ssh(#[from] ssh_key::Error),
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] link::tls::TlsError),
    /// Auth said no, or could not be reached.
    #[error("auth does not let the node join")]
    Call(#[from] link::http::CallError),
    /// Credentials cannot be written down.
    #[error("credentials cannot be written down")]
    Json(#[source] serde_json::Error),
}

//! Why a node cannot serve. What goes wrong in one connection or session is handled there.

use thiserror::Error;

/// A node cannot start or go on.
#[derive(Debug, Error)]
pub enum Error {
    /// Neither credentials nor a way to get them.
    #[error("the node has not joined a cluster yet and was given no join token")]
    NoToken,
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

//! Why a proxy cannot start or join.

use link::http::CallError;
use link::tls::TlsError;
use std::io;
use thiserror::Error;

/// What keeps a proxy from running.
#[derive(Debug, Error)]
pub enum Error {
    /// The port cannot be used.
    #[error("the proxy's port cannot be used")]
    Listener(#[source] io::Error),
    /// Its TLS key or certificate cannot be used.
    #[error("the proxy's TLS key or certificate cannot be used: join again with a new token")]
    Tls(#[source] TlsError),
    /// Its certificate is for something else.
    #[error("the certificate is for {other}, not for a proxy: join again with a token for proxies")]
    NotAProxy {
        /// What it is for.
        other: String,
    },
    /// Its SSH key or certificate, or a key of the cluster, cannot be read.
    #[error("{what} cannot be read: join again with a new token")]
    Ssh {
        /// Which.
        what: &'static str,
        /// Why.
        #[source]
        source: link::ssh::ssh_key::Error,
    },
    /// Auth did not let it join.
    #[error("auth did not let this proxy join")]
    Join(#[source] CallError),
}

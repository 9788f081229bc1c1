//! What a proxy holds: its keys, the certificates auth gave it, and how it got them.

use crate::Error;
use link::http::Dialer;
use link::ssh::server::Server;
use link::ssh::ssh_key::private::{Ed25519Keypair, KeypairData};
use link::ssh::ssh_key::{Certificate, LineEnding, PrivateKey};
use link::tls::{KeyRequest, TlsIdentity, Trust, client_tls};
use model::NodeName;
use std::io;
use wire::name::{ALPN_AUTH, AUTH_SERVER};
use wire::node::{Join, Part, PartCredentials, PartKeys};
use zeroize::Zeroizing;

/// A proxy's private keys, as texts for files. They never leave its machine.
#[derive(Clone)]
pub struct Keys {
    /// SSH host key, OpenSSH format.
    pub host_key: Zeroizing<String>,
    /// TLS key, PKCS#8 PEM.
    pub tls_key: Zeroizing<String>,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys").finish_non_exhaustive()
    }
}

/// Keys and certificates.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// The keys.
    pub keys: Keys,
    /// What auth gave for them.
    pub part: PartCredentials,
}

/// Keeps renewed certificates for the next start.
pub trait Keep: Send + Sync + 'static {
    /// Called on a thread that may wait for the disk.
    ///
    /// # Errors
    /// As the disk says; the proxy goes on with what it has in memory, and says so.
    fn keep(&self, part: &PartCredentials) -> io::Result<()>;
}

impl Keys {
    /// Makes both keys.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub fn make() -> Result<Self, Error> {
        let seed: Zeroizing<[u8; 32]> = Zeroizing::new(rand::random());
        let pair = KeypairData::from(Ed25519Keypair::from_seed(&seed));
        let host_key = PrivateKey::new(pair, "")
            .and_then(|key| key.to_openssh(LineEnding::LF))
            .map_err(|source| Error::Ssh { what: "the new host key", source })?;
        let tls_key = KeyRequest::make().map_err(Error::Tls)?.key;
        Ok(Self { host_key, tls_key })
    }

    /// What auth is asked to certify; browsers reach it under `web_names`, names and addresses.
    ///
    /// # Errors
    /// When a key cannot be read.
    pub fn request(&self, name: &NodeName, web_names: &[String]) -> Result<PartKeys, Error> {
        let host_key = self
            .host()?
            .public_key()
            .to_openssh()
            .map_err(|source| Error::Ssh { what: "the host key", source })?;
        Ok(PartKeys {
            part: Part::Proxy,
            name: name.clone(),
            host_key,
            tls_request: KeyRequest::again(&self.tls_key).map_err(Error::Tls)?.request,
            signing_key: None,
            web_names: web_names.to_vec(),
        })
    }

    fn host(&self) -> Result<PrivateKey, Error> {
        PrivateKey::from_openssh(self.host_key.as_bytes())
            .map_err(|source| Error::Ssh { what: "the host key", source })
    }
}

impl Credentials {
    /// The TLS side of them.
    #[must_use]
    pub fn tls(&self) -> TlsIdentity {
        TlsIdentity { chain: self.part.tls_certificate.clone(), key: self.keys.tls_key.clone() }
    }

    /// The SSH side of them, as the jump host shows it.
    pub(crate) fn ssh_server(&self) -> Result<Server, Error> {
        let certificate = Certificate::from_openssh(&self.part.host_certificate)
            .map_err(|source| Error::Ssh { what: "the host certificate", source })?;
        Ok(Server::new(self.keys.host()?, certificate))
    }
}

/// Joins the cluster whose auth listens at `auth` (`HOST:PORT`, or a proxy of the cluster) with a token for proxies.
///
/// # Errors
/// [`Error::Join`] when auth cannot be reached, is not of the trusted cluster, or does not take the token.
pub async fn join(
    auth: &str,
    trust: &Trust,
    token: &str,
    name: &NodeName,
    web_names: &[String],
    keys: &Keys,
) -> Result<PartCredentials, Error> {
    let keys = keys.request(name, web_names)?;
    let tls = client_tls(trust, None, &[ALPN_AUTH]).map_err(Error::Tls)?;
    let client = Dialer::new(auth, AUTH_SERVER, tls).dial().await.map_err(Error::Join)?;
    client.call(&Join { token: token.to_owned(), keys }).await.map_err(Error::Join)
}

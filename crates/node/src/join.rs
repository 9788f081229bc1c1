//! Standing in the cluster: the node's keys, its certificates, how it reaches auth, and renewal at half life.

use crate::{Config, Error, clock};
use ed25519_dalek::SigningKey;
use link::http::{Channel, Dialer};
use link::tls::{Badge, KeyRequest, TlsIdentity, Trust, client_tls};
use model::Time;
use model::seal::SignerCertificate;
use ssh_key::private::{Ed25519Keypair, KeypairData, PrivateKey};
use ssh_key::{Certificate, LineEnding};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use store::keys;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use wire::name::{ALPN_AUTH, ALPN_TUNNEL, AUTH_SERVER, PROXY_SERVER};
use wire::node::{Join, Part, PartCredentials, PartKeys, Renew};

/// Pause between tries to join or renew, in milliseconds.
const RETRY_MS: u64 = 1_000;

/// What the SSH server shows; replaced at each renewal, for connections from then on.
#[derive(Debug, Clone)]
pub(crate) struct HostIdentity {
    pub key: PrivateKey,
    pub certificate: Certificate,
}

/// A node that has joined.
#[derive(Debug, Clone)]
pub(crate) struct Standing {
    /// Name of the cluster.
    pub cluster: String,
    /// Calls to auth.
    pub auth: Channel,
    /// Signs recordings.
    pub signing: SigningKey,
    /// The cluster's word on `signing`.
    pub signer: watch::Receiver<SignerCertificate>,
    /// What the SSH server shows.
    pub host: watch::Receiver<Arc<HostIdentity>>,
    badge: Badge,
    authority: String,
}

impl Standing {
    /// How to dial a proxy for a tunnel.
    pub fn tunnel_dialer(&self, proxy: &str) -> Result<Dialer, Error> {
        let trust = Trust::Authority(self.authority.clone());
        let tls = client_tls(&trust, Some(&self.badge), &[ALPN_TUNNEL])?;
        Ok(Dialer::new(proxy, PROXY_SERVER, tls))
    }
}

/// Renews what [`stand`] got, for as long as the node runs.
pub(crate) struct Renewal {
    keys: Keys,
    auth: Channel,
    badge: Badge,
    signer: watch::Sender<SignerCertificate>,
    host: watch::Sender<Arc<HostIdentity>>,
    expires: Time,
    issued: Time,
}

/// Uses the credentials that are there, or joins with the token of `config`, trying until it can.
pub(crate) async fn stand(config: &Config) -> Result<(Standing, Renewal), Error> {
    let keys = Keys::open(&config.data_dir.join("keys"), config)?;
    let credentials = match keys.credentials()? {
        Some(credentials) if credentials.expires > clock::now() => credentials,
        _ => join(config, &keys).await?,
    };
    let badge = Badge::new(&keys.tls_identity(&credentials))?;
    let authority = credentials.cluster.tls_authority.clone();
    let trust = Trust::Authority(authority.clone());
    let tls = client_tls(&trust, Some(&badge), &[ALPN_AUTH])?;
    let proxy = config.proxies.first().ok_or(Error::NoProxy)?;
    let auth = Channel::new(Dialer::new(proxy.clone(), AUTH_SERVER, tls));
    let (tell_signer, signer) = watch::channel(keys.signer(&credentials)?);
    let (tell_host, host) = watch::channel(Arc::new(keys.host_identity(&credentials)?));
    let standing = Standing {
        cluster: credentials.cluster.name.clone(),
        auth: auth.clone(),
        signing: keys.signing.clone(),
        signer,
        host,
        badge: badge.clone(),
        authority,
    };
    let issued = clock::now();
    let expires = credentials.expires;
    let renewal =
        Renewal { keys, auth, badge, signer: tell_signer, host: tell_host, expires, issued };
    Ok((standing, renewal))
}

impl Renewal {
    /// Renews at half life, and tries again until it worked.
    pub async fn run(mut self, stop: CancellationToken) {
        loop {
            let half = (self.expires.0 - self.issued.0) / 2;
            let wait = (self.issued.0 + half).saturating_sub(clock::now().0);
            let wait = Duration::from_millis(u64::try_from(wait).unwrap_or(0).max(RETRY_MS));
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = stop.cancelled() => return,
            }
            match self.renew().await {
                Ok(()) => tracing::info!("renewed the node's certificates"),
                Err(error) => tracing::warn!(%error, "cannot renew the node's certificates"),
            }
        }
    }

    async fn renew(&mut self) -> Result<(), Error> {
        let credentials = self.auth.call(&Renew { keys: self.keys.request()? }).await?;
        let identity = self.keys.host_identity(&credentials)?;
        self.badge.replace(&self.keys.tls_identity(&credentials))?;
        self.signer.send_replace(self.keys.signer(&credentials)?);
        self.host.send_replace(Arc::new(identity));
        self.keys.keep(&credentials)?;
        (self.issued, self.expires) = (clock::now(), credentials.expires);
        Ok(())
    }
}

async fn join(config: &Config, keys: &Keys) -> Result<PartCredentials, Error> {
    let token = config.join_token.clone().ok_or(Error::NoToken)?;
    let proxy = config.proxies.first().ok_or(Error::NoProxy)?;
    let tls = client_tls(&Trust::Pin(config.pin.clone()), None, &[ALPN_AUTH])?;
    let dialer = Dialer::new(proxy.clone(), AUTH_SERVER, tls);
    let request = Join { token, keys: keys.request()? };
    loop {
        let answer = match dialer.dial().await {
            Ok(client) => client.call(&request).await,
            Err(error) => Err(error),
        };
        match answer {
            Ok(credentials) => {
                keys.keep(&credentials)?;
                return Ok(credentials);
            }
            Err(error @ link::http::CallError::Unreachable { .. }) => {
                tracing::info!(%error, "auth is not reached yet");
                tokio::time::sleep(Duration::from_millis(RETRY_MS / 4)).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// The node's private keys and where its credentials are kept.
struct Keys {
    folder: PathBuf,
    host: PrivateKey,
    tls: KeyRequest,
    signing: SigningKey,
    config: (model::NodeName, Vec<String>),
}

impl Keys {
    /// Reads the keys, making those that are missing.
    fn open(folder: &Path, config: &Config) -> Result<Self, Error> {
        keys::ensure_dir(folder)?;
        let host = kept(&folder.join("host_ed25519"), || {
            let pair = Ed25519Keypair::from_seed(&rand::random());
            let key = PrivateKey::new(KeypairData::Ed25519(pair), config.name.as_str())?;
            Ok(key.to_openssh(LineEnding::LF)?.as_bytes().to_vec())
        })?;
        let tls =
            kept(&folder.join("tls.key"), || Ok(KeyRequest::make()?.key.as_bytes().to_vec()))?;
        let signing =
            kept(&folder.join("signing.key"), || Ok(rand::random::<[u8; 32]>().to_vec()))?;
        let seed: [u8; 32] = signing
            .as_slice()
            .try_into()
            .map_err(|_| Error::Key { path: folder.join("signing.key").display().to_string() })?;
        Ok(Self {
            folder: folder.to_owned(),
            host: PrivateKey::from_openssh(&host)?,
            tls: KeyRequest::again(&String::from_utf8_lossy(&tls))?,
            signing: SigningKey::from_bytes(&seed),
            config: (config.name.clone(), config.also_known_as.clone()),
        })
    }

    fn request(&self) -> Result<PartKeys, Error> {
        Ok(PartKeys {
            part: Part::Node,
            name: self.config.0.clone(),
            host_key: self.host.public_key().to_openssh()?,
            tls_request: self.tls.request.clone(),
            signing_key: Some(self.signing.verifying_key().to_bytes()),
            also_known_as: self.config.1.clone(),
        })
    }

    fn credentials(&self) -> Result<Option<PartCredentials>, Error> {
        match keys::read_private(&self.folder.join("credentials.json")) {
            Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok()),
            Err(error) if error.is_missing() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn keep(&self, credentials: &PartCredentials) -> Result<(), Error> {
        let text = serde_json::to_vec_pretty(credentials).map_err(Error::Json)?;
        Ok(keys::write(&self.folder.join("credentials.json"), &text)?)
    }

    fn tls_identity(&self, credentials: &PartCredentials) -> TlsIdentity {
        TlsIdentity::new(credentials.tls_certificate.clone(), self.tls.key.as_str())
    }

    fn signer(&self, credentials: &PartCredentials) -> Result<SignerCertificate, Error> {
        credentials.signer.clone().ok_or(Error::NoSigner)
    }

    fn host_identity(&self, credentials: &PartCredentials) -> Result<HostIdentity, Error> {
        let certificate = Certificate::from_openssh(credentials.host_certificate.trim())?;
        Ok(HostIdentity { key: self.host.clone(), certificate })
    }
}

/// Reads a private file, or makes it once.
fn kept(path: &Path, make: impl FnOnce() -> Result<Vec<u8>, Error>) -> Result<Vec<u8>, Error> {
    match keys::read_private(path) {
        Ok(bytes) => Ok(bytes.to_vec()),
        Err(error) if error.is_missing() => {
            let bytes = make()?;
            keys::create(path, &bytes)?;
            Ok(bytes)
        }
        Err(error) => Err(error.into()),
    }
}

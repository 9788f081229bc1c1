//! Standing in the cluster: the node's keys, its certificates, how it reaches auth, and renewal at half life.

use crate::{Config, Error, clock};
use ed25519_dalek::SigningKey;
use link::http::{CallError, Channel, Dialer, Trouble, words};
use link::tls::{Badge, KeyRequest, TlsIdentity, Trust, client_tls};
use model::role::Labels;
use model::seal::SignerCertificate;
use model::{NodeName, Time};
use ssh_key::private::{Ed25519Keypair, KeypairData, PrivateKey};
use ssh_key::{Certificate, LineEnding};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use store::keys;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use wire::Fault;
use wire::name::{ALPN_AUTH, ALPN_TUNNEL, AUTH_SERVER, PROXY_SERVER};
use wire::node::{Join, Part, PartCredentials, PartKeys, Renew};

/// Pause between tries to join or renew, in milliseconds.
const RETRY_MS: u64 = 1_000;

/// File of what auth gave.
const CREDENTIALS: &str = "credentials.json";
/// File of the proxies that were dialled last, for a start without an invitation.
const PROXIES: &str = "proxies.json";

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
    /// Its labels: those of its settings, and those that its invitation gave, which win.
    pub labels: Labels,
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

/// What a machine's folder says of the cluster that it has joined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joined {
    /// Under which name.
    pub name: NodeName,
    /// Name of the cluster.
    pub cluster: String,
    /// Proxies that it dialled last.
    pub proxies: Vec<String>,
}

/// Reads what [`Config::data_dir`] says; `None` before the node has joined, or when its certificates have expired.
///
/// # Errors
/// When a file there cannot be used.
pub fn joined(data_dir: &Path) -> Result<Option<Joined>, Error> {
    let folder = data_dir.join("keys");
    let Some(credentials) = read_credentials(&folder)? else { return Ok(None) };
    let (Some(signer), true) = (credentials.signer, credentials.expires > clock::now()) else {
        return Ok(None);
    };
    let proxies = match keys::read_private(&folder.join(PROXIES)) {
        Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_default(),
        Err(error) if error.is_missing() => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    Ok(Some(Joined { name: signer.node, cluster: credentials.cluster.name, proxies }))
}

/// Writes down which proxies are dialled, if that is news. A full disk must not keep a node from starting: it is how
/// people get in to make room.
fn remember(path: &Path, proxies: &[u8]) {
    let known = keys::read_private(path).is_ok_and(|known| known.as_slice() == proxies);
    if !known && let Err(error) = keys::write(path, proxies) {
        let why = words(&error);
        tracing::warn!(why, "the next start will not know the proxies of this one");
    }
}

/// Uses the credentials that are there, or joins with the invitation of `config`, trying until it can.
pub(crate) async fn stand(config: &Config) -> Result<(Standing, Renewal), Error> {
    let folder = config.data_dir.join("keys");
    let keys = Keys::open(&folder, config)?;
    let there = keys.credentials()?.filter(|there| there.expires > clock::now());
    let credentials = match there {
        None => join(config, &keys).await?,
        Some(there) => {
            check_cluster(config, &there)?;
            match there.signer.as_ref().map(|signer| &signer.node) {
                Some(name) if *name != config.name && config.own => join(config, &keys).await?,
                Some(name) if *name != config.name => {
                    let (joined, wanted) = (name.clone(), config.name.clone());
                    return Err(Error::OtherName {
                        joined,
                        wanted,
                        folder: folder.display().to_string(),
                    });
                }
                _ => there,
            }
        }
    };
    let proxies = serde_json::to_vec(&config.proxies).map_err(Error::Json)?;
    remember(&folder.join(PROXIES), &proxies);
    let badge = Badge::new(&keys.tls_identity(&credentials))?;
    let authority = credentials.cluster.tls_authority.clone();
    let trust = Trust::Authority(authority.clone());
    let tls = client_tls(&trust, Some(&badge), &[ALPN_AUTH])?;
    let proxy = config.proxies.first().ok_or(Error::NoProxy)?;
    let auth = Channel::new(Dialer::new(proxy.clone(), AUTH_SERVER, tls));
    let (tell_signer, signer) = watch::channel(keys.signer(&credentials)?);
    let (tell_host, host) = watch::channel(Arc::new(keys.host_identity(&credentials)?));
    let mut labels = config.labels.clone();
    labels.extend(credentials.labels.clone());
    let standing = Standing {
        cluster: credentials.cluster.name.clone(),
        labels,
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

/// An invitation into another cluster than the one this folder belongs to is a mistake: its recordings may wait here.
fn check_cluster(config: &Config, there: &PartCredentials) -> Result<(), Error> {
    let Some(invitation) = &config.invitation else { return Ok(()) };
    if link::tls::pin_of(&there.cluster.tls_authority)?.eq_ignore_ascii_case(&invitation.pin) {
        return Ok(());
    }
    let cluster = there.cluster.name.clone();
    Err(Error::OtherCluster { cluster, folder: config.data_dir.display().to_string() })
}

async fn join(config: &Config, keys: &Keys) -> Result<PartCredentials, Error> {
    let invitation = config.invitation.as_ref().ok_or(Error::NotInvited)?;
    let proxy = config.proxies.first().ok_or(Error::NoProxy)?;
    let tls = client_tls(&Trust::Pin(invitation.pin.clone()), None, &[ALPN_AUTH])?;
    let dialer = Dialer::new(proxy.clone(), AUTH_SERVER, tls);
    let request = Join { token: invitation.token.clone(), keys: keys.request()? };
    let mut tries = 0_u32;
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
            Err(CallError::Unreachable { source, .. })
                if matches!(*source, Trouble::Stranger(_)) =>
            {
                return Err(Error::Stranger { address: proxy.clone() });
            }
            Err(error) if passes(&error) => {
                // At first often and quietly: parts of one process begin together.
                if tries % 40 == 8 {
                    tracing::warn!(error = words(&error), "auth is not reached yet; trying again");
                }
                tries = tries.wrapping_add(1);
                tokio::time::sleep(Duration::from_millis(RETRY_MS / 4)).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Whether the same call may succeed later without anybody's doing.
fn passes(error: &CallError) -> bool {
    match error {
        CallError::Unreachable { source, .. } => matches!(
            **source,
            Trouble::Connect(_) | Trouble::Slow { .. } | Trouble::Gone | Trouble::Broken(_)
        ),
        CallError::Refused(failure) => {
            matches!(failure.fault, Fault::Unavailable | Fault::TooMany)
        }
        CallError::Garbled { .. } => false,
    }
}

/// The node's private keys and where its credentials are kept.
struct Keys {
    folder: PathBuf,
    host: PrivateKey,
    tls: KeyRequest,
    signing: SigningKey,
    name: model::NodeName,
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
            name: config.name.clone(),
        })
    }

    fn request(&self) -> Result<PartKeys, Error> {
        Ok(PartKeys {
            part: Part::Node,
            name: self.name.clone(),
            host_key: self.host.public_key().to_openssh()?,
            tls_request: self.tls.request.clone(),
            signing_key: Some(self.signing.verifying_key().to_bytes()),
            web_names: Vec::new(),
        })
    }

    fn credentials(&self) -> Result<Option<PartCredentials>, Error> {
        read_credentials(&self.folder)
    }

    fn keep(&self, credentials: &PartCredentials) -> Result<(), Error> {
        let text = serde_json::to_vec_pretty(credentials).map_err(Error::Json)?;
        Ok(keys::write(&self.folder.join(CREDENTIALS), &text)?)
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

fn read_credentials(folder: &Path) -> Result<Option<PartCredentials>, Error> {
    match keys::read_private(&folder.join(CREDENTIALS)) {
        Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok()),
        Err(error) if error.is_missing() => Ok(None),
        Err(error) => Err(error.into()),
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

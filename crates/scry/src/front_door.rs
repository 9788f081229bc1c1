//! What a proxy in a process of its own keeps between two starts: its keys, its certificates, where auth is.

use crate::cli::Invitation;
use anyhow::{Context as _, Result, bail};
use link::http::{CallError, Trouble, words};
use link::tls::Trust;
use std::path::{Path, PathBuf};
use std::time::Duration;
use store::keys;
use wire::node::PartCredentials;
use zeroize::Zeroizing;

/// Name of the one proxy beside auth.
pub const NAME: &str = "proxy";
/// Between two tries to reach auth.
const AGAIN: Duration = Duration::from_millis(500);

/// The proxy's folder.
pub struct Folder {
    root: PathBuf,
}

impl proxy::Keep for Folder {
    fn keep(&self, part: &PartCredentials) -> std::io::Result<()> {
        let text = serde_json::to_vec_pretty(part)?;
        keys::write(&self.root.join("credentials.json"), &text).map_err(std::io::Error::other)
    }
}

impl Folder {
    /// Opens the folder, making it.
    pub fn open(root: &Path) -> Result<Self> {
        keys::ensure_dir(root)?;
        Ok(Self { root: root.to_owned() })
    }

    /// Where auth is, and the credentials for it: those that are kept, or new ones for an invitation.
    /// Tries until auth is reached.
    pub async fn stand(
        &self,
        join: Option<&Invitation>,
        web_names: &[String],
    ) -> Result<(String, proxy::Credentials)> {
        let keys = self.keys()?;
        let kept = self.read("credentials.json")?;
        let kept = kept.and_then(|text| serde_json::from_str::<PartCredentials>(&text).ok());
        let kept = kept.filter(|part| part.expires > crate::show::now());
        let auth = join.map(|join| join.address.clone());
        let auth = match auth {
            Some(auth) => Some(auth),
            None => self.read("auth")?.map(|text| text.to_string()),
        };
        let auth = auth.context(
            "this proxy has not joined a cluster yet: `scry start --roles auth` prints an invitation for it",
        )?;
        let part = match (kept, join) {
            (Some(part), _) => part,
            (None, Some(join)) => self.join(join, &keys, web_names).await?,
            (None, None) => bail!(
                "this proxy's certificates have expired: start auth again, which prints a new invitation for it"
            ),
        };
        keys::write(&self.root.join("auth"), auth.as_bytes())?;
        Ok((auth, proxy::Credentials { keys, part }))
    }

    async fn join(
        &self,
        join: &Invitation,
        keys: &proxy::Keys,
        web_names: &[String],
    ) -> Result<PartCredentials> {
        let (trust, name) = (Trust::Pin(join.pin.clone()), NAME.parse()?);
        loop {
            match proxy::join(&join.address, &trust, &join.code, &name, web_names, keys).await {
                Ok(part) => {
                    proxy::Keep::keep(self, &part)?;
                    return Ok(part);
                }
                Err(proxy::Error::Join(CallError::Unreachable { source, .. }))
                    if matches!(*source, Trouble::Connect(_) | Trouble::Slow { .. }) =>
                {
                    tracing::warn!(
                        auth = join.address,
                        error = words(&*source),
                        "auth is not reached yet"
                    );
                    tokio::time::sleep(AGAIN).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn keys(&self) -> Result<proxy::Keys> {
        let (host, tls) = (self.read("host_ed25519")?, self.read("tls.key")?);
        if let (Some(host_key), Some(tls_key)) = (host, tls) {
            return Ok(proxy::Keys { host_key, tls_key });
        }
        let made = proxy::Keys::make()?;
        keys::write(&self.root.join("host_ed25519"), made.host_key.as_bytes())?;
        keys::write(&self.root.join("tls.key"), made.tls_key.as_bytes())?;
        Ok(made)
    }

    fn read(&self, name: &str) -> Result<Option<Zeroizing<String>>> {
        match keys::read_private(&self.root.join(name)) {
            Ok(bytes) => {
                let text = String::from_utf8(bytes.to_vec());
                Ok(Some(Zeroizing::new(text.with_context(|| format!("{name} is no text"))?)))
            }
            Err(error) if error.is_missing() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

//! What a client keeps of a cluster it is signed in to: address, keys, certificates, authorities.
//!
//! `~/.scry` (or `$SCRY_HOME`) holds one folder a cluster, 0700, and `current`, the name of the last one used.

use crate::cli::Where;
use anyhow::{Context as _, Result, bail};
use model::{Time, UserName};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use store::keys;
use wire::people::{ClusterFacts, Credentials};

/// A cluster as this client knows it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Profile {
    /// Where the cluster is reached, `host:port`.
    pub address: String,
    /// Who is signed in.
    pub user: UserName,
    /// Pin of the TLS authority, as the invitation or the person gave it.
    pub pin: String,
    /// Last moment of the certificates.
    pub expires: Time,
    /// Facts of the cluster at the last sign-in.
    pub cluster: ClusterFacts,
    /// The cluster's folder, where this was read from.
    #[serde(skip)]
    pub folder: PathBuf,
}

/// Where a cluster is, and how it is known to be the right one.
#[derive(Debug, Clone)]
pub struct Address {
    /// `host:port`.
    pub address: String,
    /// Pin of the TLS authority.
    pub pin: String,
}

/// Private parts, made by [`Profile::save`]'s caller and never leaving the folder.
pub struct Keys {
    /// SSH private key, OpenSSH format.
    pub ssh_key: String,
    /// Its public half, OpenSSH format.
    pub ssh_public: String,
    /// TLS private key, PEM.
    pub tls_key: String,
}

impl Profile {
    /// The cluster a command is about: the one named, or the last one used.
    pub fn load(place: &Where) -> Result<Self> {
        let home = home()?;
        let name = match &place.cluster {
            Some(name) => name.clone(),
            None => std::fs::read_to_string(home.join("current"))
                .ok()
                .map(|name| name.trim().to_owned())
                .filter(|name| !name.is_empty())
                .context("not signed in; use `scry signup INVITATION` or `scry login ADDRESS`")?,
        };
        let folder = home.join(&name);
        if !folder.join("profile.json").exists() {
            bail!("not signed in to {name}; use `scry login`");
        }
        Self::load_from(&folder)
    }

    /// The cluster whose folder this is.
    pub fn load_from(folder: &Path) -> Result<Self> {
        let path = folder.join("profile.json");
        let text = keys::read_private(&path)?;
        let profile: Self = serde_json::from_slice(&text)
            .with_context(|| format!("{} is damaged", path.display()))?;
        Ok(Self { folder: folder.to_owned(), ..profile })
    }

    /// As [`Profile::load`], and refused when the certificates have expired.
    pub fn signed_in(place: &Where) -> Result<Self> {
        Self::load(place)?.still_signed_in()
    }

    /// Itself, unless the certificates have expired.
    pub fn still_signed_in(self) -> Result<Self> {
        let profile = self;
        if profile.expires <= crate::show::now() {
            bail!(
                "your certificates for {} expired at {}; use `scry login`",
                profile.cluster.name,
                crate::show::moment(profile.expires)
            );
        }
        Ok(profile)
    }

    /// Writes everything of a fresh sign-in under `home`, and makes this cluster the current one.
    pub fn save(home: &Path, at: &Address, keys_: &Keys, got: Credentials) -> Result<Self> {
        let profile = Self {
            address: at.address.clone(),
            user: got.user,
            pin: at.pin.clone(),
            expires: got.expires,
            folder: home.join(&got.cluster.name),
            cluster: got.cluster,
        };
        keys::ensure_dir(home)?;
        keys::ensure_dir(&profile.folder)?;
        let write =
            |name: &str, text: &str| keys::write(&profile.folder.join(name), text.as_bytes());
        write("id_ed25519", &keys_.ssh_key)?;
        write("id_ed25519.pub", &line(&keys_.ssh_public))?;
        write("id_ed25519-cert.pub", &line(&got.ssh_certificate))?;
        write("tls.key", &keys_.tls_key)?;
        write("tls.pem", &got.tls_certificate)?;
        write("known_hosts", &profile.known_hosts())?;
        write("profile.json", &serde_json::to_string_pretty(&profile)?)?;
        keys::write(&home.join("current"), line(&profile.cluster.name).as_bytes())?;
        Ok(profile)
    }

    /// Removes keys and certificates; the cluster's address, pin and authorities stay known.
    pub fn forget(&self) -> Result<()> {
        let folder = &self.folder;
        for name in ["id_ed25519", "id_ed25519.pub", "id_ed25519-cert.pub", "tls.key", "tls.pem"] {
            match std::fs::remove_file(folder.join(name)) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(error.into());
                }
                _ => {}
            }
        }
        let gone = Self { expires: Time(0), ..self.clone() };
        keys::write(&folder.join("profile.json"), serde_json::to_string_pretty(&gone)?.as_bytes())?;
        Ok(())
    }

    /// A file of the cluster's folder, as text.
    pub fn read(&self, name: &str) -> Result<String> {
        let path = self.folder.join(name);
        let bytes = keys::read_private(&path)?;
        String::from_utf8(bytes.to_vec()).with_context(|| format!("{} is no text", path.display()))
    }

    /// Lines for OpenSSH: the host authority speaks for every node, today's and tomorrow's.
    fn known_hosts(&self) -> String {
        let name = &self.cluster.name;
        let lines = self.cluster.host_authority.iter();
        lines.map(|key| format!("@cert-authority *.{name} {}\n", key.trim())).collect()
    }
}

/// `$SCRY_HOME`, or `~/.scry`.
pub fn home() -> Result<PathBuf> {
    if let Some(folder) = std::env::var_os("SCRY_HOME").filter(|value| !value.is_empty()) {
        return Ok(PathBuf::from(folder));
    }
    let home = std::env::var_os("HOME").context("HOME is not set; set SCRY_HOME to a folder")?;
    Ok(Path::new(&home).join(".scry"))
}

fn line(text: &str) -> String {
    format!("{}\n", text.trim_end())
}

//! What a client keeps of a cluster it is signed in to: address, keys, certificates, authorities.
//!
//! `~/.scry` (or `$SCRY_HOME`) holds one folder a cluster and `current`, the name of the last one used.

use crate::cli::Where;
use anyhow::{Context as _, Result, bail};
use model::{Time, UserName};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use store::keys::{self, ClientDir, ClusterDir};
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
            None => std::fs::read_to_string(home.current())
                .ok()
                .map(|name| name.trim().to_owned())
                .filter(|name| !name.is_empty())
                .context("not signed in; use `scry signup INVITATION` or `scry login ADDRESS`")?,
        };
        let folder = home.cluster(&name)?;
        if !folder.facts().exists() {
            bail!("not signed in to {name}; use `scry login`");
        }
        Self::load_from(folder.root())
    }

    /// The cluster whose folder this is.
    pub fn load_from(folder: &Path) -> Result<Self> {
        let files = ClusterDir::at(folder);
        let text = keys::read_private(&files.facts())?;
        let profile: Self = serde_json::from_slice(&text)
            .with_context(|| format!("{} is damaged", files.facts().display()))?;
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
    pub fn save(home: &ClientDir, at: &Address, own: &Keys, got: Credentials) -> Result<Self> {
        // The cluster says its own name; it must not lead out of the folder.
        let files = home.cluster(&got.cluster.name)?;
        let profile = Self {
            address: at.address.clone(),
            user: got.user,
            pin: at.pin.clone(),
            expires: got.expires,
            cluster: got.cluster,
            folder: files.root().to_owned(),
        };
        home.ensure()?;
        files.ensure()?;
        let write = |path: &Path, text: &str| keys::write(path, text.as_bytes());
        write(&files.ssh_key(), &own.ssh_key)?;
        write(&files.ssh_public_key(), &line(&own.ssh_public))?;
        write(&files.ssh_certificate(), &line(&got.ssh_certificate))?;
        write(&files.tls_key(), &own.tls_key)?;
        write(&files.tls_certificate(), &got.tls_certificate)?;
        write(&files.known_hosts(), &profile.known_hosts())?;
        write(&files.facts(), &serde_json::to_string_pretty(&profile)?)?;
        write(&home.current(), &line(&profile.cluster.name))?;
        Ok(profile)
    }

    /// Removes keys and certificates; the cluster's address, pin and authorities stay known.
    pub fn forget(&self) -> Result<()> {
        let files = self.files();
        let gone = Self { expires: Time(0), ..self.clone() };
        keys::write(&files.facts(), serde_json::to_string_pretty(&gone)?.as_bytes())?;
        let (ssh, tls) = (files.ssh_key(), files.tls_key());
        for path in
            [ssh, files.ssh_public_key(), files.ssh_certificate(), tls, files.tls_certificate()]
        {
            keys::remove(&path)?;
        }
        Ok(())
    }

    /// Where the files of the cluster lie.
    pub fn files(&self) -> ClusterDir {
        ClusterDir::at(&self.folder)
    }

    /// A private file of the cluster's folder, as text.
    pub fn read(path: &Path) -> Result<String> {
        let bytes = keys::read_private(path)?;
        String::from_utf8(bytes.to_vec()).with_context(|| format!("{} is no text", path.display()))
    }

    /// Host and port of [`Profile::address`], for OpenSSH.
    pub fn place(&self) -> (&str, &str) {
        let (host, port) = self.address.rsplit_once(':').unwrap_or((&self.address, "4422"));
        (host.trim_start_matches('[').trim_end_matches(']'), port)
    }

    /// Lines for OpenSSH: the host authority speaks for every node, today's and tomorrow's.
    pub fn known_hosts(&self) -> String {
        let name = &self.cluster.name;
        let lines = self.cluster.host_authority.iter();
        lines.map(|key| format!("@cert-authority *.{name} {}\n", key.trim())).collect()
    }
}

/// `$SCRY_HOME`, or `~/.scry`.
pub fn home() -> Result<ClientDir> {
    Ok(ClientDir::locate(std::env::var_os("SCRY_HOME"), std::env::var_os("HOME"))?)
}

fn line(text: &str) -> String {
    format!("{}\n", text.trim_end())
}

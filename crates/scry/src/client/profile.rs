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
#[derive(Debug, Clone, Deserialize)]
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

    /// Writes everything of a fresh sign-in under `home`, and makes this cluster the current one. Refuses as [`free`] does.
    pub fn save(home: &ClientDir, at: &Address, own: &Keys, got: Credentials) -> Result<Self> {
        let files = free(home, at, &got.cluster.name)?;
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

/// The folder for a cluster that says this of its name.
///
/// # Errors
/// When the name leads out of `home`, and when another cluster is known by it: whoever reaches that one by its name would come
/// to this one. Nothing is changed then.
pub fn free(home: &ClientDir, at: &Address, name: &str) -> Result<ClusterDir> {
    let files = home.cluster(name)?;
    let (facts, folder) = (files.facts(), files.root().display());
    let text = match keys::read_private(&facts) {
        Err(error) if error.is_missing() => return Ok(files),
        read => read?,
    };
    let known: Address = serde_json::from_slice(&text).with_context(|| {
        format!("{} is damaged: remove {folder} to sign in anew", facts.display())
    })?;
    if !known.pin.eq_ignore_ascii_case(&at.pin) {
        bail!(
            "the cluster at {} calls itself {name}, but this machine knows another cluster of that name, at {}: nothing was \
             changed. If it was set up anew, remove {folder} first",
            at.address,
            known.address
        );
    }
    Ok(files)
}

/// `$SCRY_HOME`, or `~/.scry`.
pub fn home() -> Result<ClientDir> {
    Ok(ClientDir::locate(std::env::var_os("SCRY_HOME"), std::env::var_os("HOME"))?)
}

fn line(text: &str) -> String {
    format!("{}\n", text.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// Signs in at `address` to a cluster that calls itself `lab`; its keys are called `key`.
    fn sign_in(home: &ClientDir, address: &str, pin: &str, key: &str) -> Result<Profile> {
        let (address, pin) = (address.to_owned(), pin.to_owned());
        let own = Keys {
            ssh_key: format!("ssh {key}"),
            ssh_public: format!("public {key}"),
            tls_key: format!("tls {key}"),
        };
        let got = Credentials {
            user: "alice".parse()?,
            ssh_certificate: format!("ssh certificate {key}"),
            tls_certificate: format!("tls certificate {key}"),
            expires: Time(1),
            cluster: ClusterFacts {
                name: "lab".to_owned(),
                tls_authority: key.to_owned(),
                user_authority: vec![key.to_owned()],
                host_authority: vec![key.to_owned()],
                seal_keys: vec![key.to_owned()],
                ledger_keys: vec![key.to_owned()],
            },
        };
        Profile::save(home, &Address { address, pin }, &own, got)
    }

    /// Every file in the folder of `lab`, and what is in it.
    fn files(home: &ClientDir) -> BTreeMap<PathBuf, Vec<u8>> {
        let folder = home.cluster("lab").unwrap();
        let all = std::fs::read_dir(folder.root()).unwrap().map(|entry| entry.unwrap().path());
        all.map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
    }

    #[test]
    fn a_cluster_does_not_come_into_the_place_of_another_by_calling_itself_so() {
        let folder = tempfile::tempdir().unwrap();
        let home = ClientDir::at(folder.path());
        sign_in(&home, "one.example:4422", "abcd", "one").unwrap();
        let before = files(&home);
        let error = sign_in(&home, "two.example:4422", "1234", "two").unwrap_err().to_string();
        let lab = home.cluster("lab").unwrap();
        let told = ["two.example:4422 calls itself lab", "at one.example:4422"];
        let told = told.map(str::to_owned).into_iter();
        for words in told.chain([format!("remove {} first", lab.root().display())]) {
            assert!(error.contains(&words), "{error} lacks {words:?}");
        }
        assert_eq!(files(&home), before);
        // Who has signed out knows the cluster all the same.
        Profile::load_from(lab.root()).unwrap().forget().unwrap();
        let before = files(&home);
        assert!(sign_in(&home, "two.example:4422", "1234", "two").is_err());
        assert_eq!(files(&home), before);
        keys::write(&lab.facts(), b"{}").unwrap();
        let error = sign_in(&home, "one.example:4422", "abcd", "one").unwrap_err().to_string();
        assert!(error.contains("is damaged: remove "), "{error}");
    }

    #[test]
    fn a_cluster_that_is_known_is_signed_in_to_again_also_at_another_address() {
        let folder = tempfile::tempdir().unwrap();
        let home = ClientDir::at(folder.path());
        sign_in(&home, "one.example:4422", "abcd", "one").unwrap();
        let again = sign_in(&home, "moved.example:4422", "ABCD", "two").unwrap();
        let known = std::fs::read_to_string(again.files().known_hosts()).unwrap();
        assert_eq!(known, "@cert-authority *.lab two\n");
        let read = Profile::load_from(&again.folder).unwrap();
        assert_eq!((read.address.as_str(), read.pin.as_str()), ("moved.example:4422", "ABCD"));
    }
}

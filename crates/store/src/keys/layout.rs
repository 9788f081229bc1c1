//! Where things lie in the client's directory and in a server's data directory.

use super::{KeyError, ensure_dir};
use rustix::fs::FlockOperation;
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The client's own directory: `$SCRY_HOME`, else `~/.scry`. One folder a cluster, and which of them counts.
#[derive(Debug, Clone)]
pub struct ClientDir {
    root: PathBuf,
}

impl ClientDir {
    /// Where it is, from the two environment variables; empty ones count as not set. Nothing is made yet.
    ///
    /// # Errors
    /// [`KeyError::NoHome`] when neither is set.
    pub fn locate(scry_home: Option<OsString>, home: Option<OsString>) -> Result<Self, KeyError> {
        let set =
            |value: Option<OsString>| value.filter(|text| !text.is_empty()).map(PathBuf::from);
        let root = set(scry_home).or_else(|| set(home).map(|home| home.join(".scry")));
        root.map(|root| Self { root }).ok_or(KeyError::NoHome)
    }

    /// At a given place.
    #[must_use]
    pub fn at(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// The directory itself.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// File that names the cluster that counts when none is said.
    #[must_use]
    pub fn current(&self) -> PathBuf {
        self.root.join("current")
    }

    /// The folder of a cluster; not made yet.
    ///
    /// # Errors
    /// [`KeyError::ClusterName`] when the name could lead elsewhere.
    pub fn cluster(&self, name: &str) -> Result<ClusterDir, KeyError> {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if name.is_empty() || name.len() > 128 || name.starts_with('.') || !name.chars().all(fits) {
            return Err(KeyError::ClusterName { name: name.to_owned() });
        }
        Ok(ClusterDir { root: self.root.join("clusters").join(name) })
    }

    /// Names of the clusters that have a folder, sorted.
    ///
    /// # Errors
    /// [`KeyError::Io`].
    pub fn clusters(&self) -> Result<Vec<String>, KeyError> {
        let path = self.root.join("clusters");
        let listing = match std::fs::read_dir(&path) {
            Ok(listing) => listing,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(KeyError::io("list", &path)(error)),
        };
        let mut names: Vec<String> = listing
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter(|name| self.cluster(name).is_ok())
            .collect();
        names.sort();
        Ok(names)
    }

    /// Makes the directory, 0700.
    ///
    /// # Errors
    /// As [`ensure_dir`].
    pub fn ensure(&self) -> Result<(), KeyError> {
        ensure_dir(&self.root)
    }
}

/// What a client keeps of one cluster.
#[derive(Debug, Clone)]
pub struct ClusterDir {
    root: PathBuf,
}

impl ClusterDir {
    /// At a given place, which [`ClientDir::cluster`] gave before.
    #[must_use]
    pub fn at(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// Makes the folder and those above it, 0700 each.
    ///
    /// # Errors
    /// As [`ensure_dir`].
    pub fn ensure(&self) -> Result<(), KeyError> {
        let above: Vec<&Path> = self.root.ancestors().take(3).collect();
        above.into_iter().rev().try_for_each(ensure_dir)
    }

    /// The folder itself.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// SSH private key, OpenSSH format.
    #[must_use]
    pub fn ssh_key(&self) -> PathBuf {
        self.root.join("id_ed25519")
    }

    /// SSH public key, OpenSSH format.
    #[must_use]
    pub fn ssh_public_key(&self) -> PathBuf {
        self.root.join("id_ed25519.pub")
    }

    /// SSH user certificate, where OpenSSH looks for it beside the key.
    #[must_use]
    pub fn ssh_certificate(&self) -> PathBuf {
        self.root.join("id_ed25519-cert.pub")
    }

    /// TLS private key, PEM.
    #[must_use]
    pub fn tls_key(&self) -> PathBuf {
        self.root.join("tls.key")
    }

    /// TLS client certificate chain, PEM.
    #[must_use]
    pub fn tls_certificate(&self) -> PathBuf {
        self.root.join("tls.crt")
    }

    /// Facts of the cluster and of the sign-in, JSON.
    #[must_use]
    pub fn facts(&self) -> PathBuf {
        self.root.join("cluster.json")
    }

    /// Host authority for OpenSSH, `@cert-authority` lines.
    #[must_use]
    pub fn known_hosts(&self) -> PathBuf {
        self.root.join("known_hosts")
    }
}

/// A server's data directory. Each part keeps to its own folder, so that parts can be taken apart onto machines.
#[derive(Debug, Clone)]
pub struct ServerDir {
    root: PathBuf,
}

impl ServerDir {
    /// Makes the directory, 0700, or checks it.
    ///
    /// # Errors
    /// As [`ensure_dir`].
    pub fn open(root: &Path) -> Result<Self, KeyError> {
        ensure_dir(root)?;
        Ok(Self { root: root.to_owned() })
    }

    /// Takes a part's folder (`auth`, `node`, …) for this process; the system frees it when the process ends, however it
    /// ends. Parts in processes of their own may share a data directory.
    ///
    /// # Errors
    /// [`KeyError::Locked`] when another process has it.
    pub fn lock(&self, part: &str) -> Result<ServerLock, KeyError> {
        let path = self.root.join(format!("{part}.lock"));
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(KeyError::io("open", &path))?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(ServerLock { _file: file }),
            Err(rustix::io::Errno::WOULDBLOCK) => {
                Err(KeyError::Locked { path: self.root.join(part) })
            }
            Err(error) => Err(KeyError::io("lock", &path)(error.into())),
        }
    }

    /// The directory itself.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Auth's folder.
    #[must_use]
    pub fn auth(&self) -> PathBuf {
        self.root.join("auth")
    }

    /// A proxy's folder.
    #[must_use]
    pub fn proxy(&self) -> PathBuf {
        self.root.join("proxy")
    }

    /// A node's folder.
    #[must_use]
    pub fn node(&self) -> PathBuf {
        self.root.join("node")
    }
}

/// Holds a part's folder for as long as it lives.
#[derive(Debug)]
pub struct ServerLock {
    _file: File,
}

//! Auth's five keys: made at the first start, read at every other, never made again behind anybody's back.
//!
//! | file | key | signs |
//! |---|---|---|
//! | `user_ca` | ed25519, OpenSSH | SSH certificates of people |
//! | `host_ca` | ed25519, OpenSSH | SSH certificates of nodes |
//! | `tls_ca.pem` | P-256, certificate and key | TLS certificates of everybody |
//! | `seal.key` | ed25519 seed | signers of recordings, receipts, finished recordings |
//! | `ledger.key` | ed25519 seed | heads of the ledger |

use crate::safe::Safe;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signer, SigningKey};
use link::tls::{Authority, TLS_AUTHORITY_MS};
use model::limit::CLOCK_SKEW_MS;
use model::seal::{PublicKey, Signature};
use ssh_key::private::{Ed25519Keypair, KeypairData};
use ssh_key::{LineEnding, PrivateKey};
use std::path::{Path, PathBuf};
use store::keys::KeyError;
use thiserror::Error;
use zeroize::Zeroizing;

/// Where the key begins in a PEM text.
const KEY_BEGINS: &str = "-----BEGIN PRIVATE KEY-----";

/// Why auth's keys cannot be used. Each text says what to do.
#[derive(Debug, Error)]
pub enum KeysError {
    /// A file cannot be read or written.
    #[error("auth's keys cannot be used")]
    File(#[from] KeyError),
    /// A key is missing although the cluster has begun.
    #[error(
        "the key {} is missing, but the cluster has a database already: \
         put the key back from a backup; a new one would make every certificate and recording worthless",
        .path.display()
    )]
    Lost {
        /// Which.
        path: PathBuf,
    },
    /// A file holds something else.
    #[error("{} is not the key it should be ({why}): put it back from a backup", .path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A key cannot be made.
    #[error("cannot make a key: {0}")]
    Make(String),
}

/// The keys, in memory.
pub struct Keys {
    /// Signs people's SSH certificates.
    pub user_ca: PrivateKey,
    /// Signs nodes' SSH certificates.
    pub host_ca: PrivateKey,
    /// Signs TLS certificates.
    pub tls: Authority,
    /// Certifies nodes' signing keys, signs receipts and seals.
    pub seal: SigningKey,
    /// Signs the ledger's head.
    pub ledger: SigningKey,
    /// Seals what second factors must keep to themselves. Derived from the seal key, so that there is no file more to lose.
    pub factors: Safe,
}

impl Keys {
    /// Reads the keys in `dir`. Missing ones are made if this is the first start, which is as long as there is no database.
    ///
    /// # Errors
    /// [`KeysError`]; nothing was made in place of a key that is there.
    pub fn open(dir: &Path, cluster: &str, first_start: bool) -> Result<Self, KeysError> {
        store::keys::ensure_dir(dir)?;
        let shelf = Shelf { dir, first_start };
        let seal = shelf.seed("seal.key", "scry-seal-key v1")?;
        Ok(Self {
            user_ca: shelf.ssh("user_ca", &format!("{cluster} user authority"))?,
            host_ca: shelf.ssh("host_ca", &format!("{cluster} host authority"))?,
            tls: shelf.tls(cluster)?,
            factors: Safe::new(&Zeroizing::new(seal.to_bytes())),
            seal,
            ledger: shelf.seed("ledger.key", "scry-ledger-key v1")?,
        })
    }

    /// The seal key as people pass it to `scry verify --key`.
    #[must_use]
    pub fn seal_public(&self) -> String {
        format!("scry-seal:{}", STANDARD.encode(self.seal.verifying_key().as_bytes()))
    }

    /// The public half of the seal key.
    #[must_use]
    pub fn seal_key(&self) -> PublicKey {
        *self.seal.verifying_key().as_bytes()
    }

    /// Signs with the seal key.
    #[must_use]
    pub fn sign_seal(&self, statement: &[u8]) -> Signature {
        self.seal.sign(statement).to_bytes().into()
    }

    /// The ledger key as people pass it to `scry audit verify --key`.
    #[must_use]
    pub fn ledger_public(&self) -> String {
        format!("scry-ledger:{}", STANDARD.encode(self.ledger.verifying_key().as_bytes()))
    }
}

/// The folder, and whether keys may be made in it.
struct Shelf<'a> {
    dir: &'a Path,
    first_start: bool,
}

impl Shelf<'_> {
    fn ssh(&self, name: &str, comment: &str) -> Result<PrivateKey, KeysError> {
        let path = self.dir.join(name);
        let text = self.read_or_make(&path, || {
            let mut seed = Zeroizing::new([0_u8; 32]);
            rand::fill(&mut *seed);
            let pair = KeypairData::from(Ed25519Keypair::from_seed(&seed));
            let key = PrivateKey::new(pair, comment).map_err(make)?;
            Ok(Zeroizing::new(key.to_openssh(LineEnding::LF).map_err(make)?.as_bytes().to_vec()))
        })?;
        let key = PrivateKey::from_openssh(&*text).map_err(|error| unreadable(&path, &error))?;
        match key.key_data() {
            KeypairData::Ed25519(_) => Ok(key),
            _ => Err(unreadable(&path, &"it is no unencrypted ed25519 key")),
        }
    }

    fn seed(&self, name: &str, heading: &str) -> Result<SigningKey, KeysError> {
        let path = self.dir.join(name);
        let text = self.read_or_make(&path, || {
            let mut seed = Zeroizing::new([0_u8; 32]);
            rand::fill(&mut *seed);
            let encoded = Zeroizing::new(STANDARD.encode(*seed));
            Ok(Zeroizing::new(format!("{heading}\n{}\n", *encoded).into_bytes()))
        })?;
        let body = std::str::from_utf8(&text)
            .ok()
            .and_then(|text| text.strip_prefix(heading))
            .ok_or_else(|| unreadable(&path, &format!("its first line is not {heading:?}")))?;
        let decoded = STANDARD.decode(body.trim()).map(Zeroizing::new);
        let decoded = decoded.map_err(|error| unreadable(&path, &error))?;
        let seed: &[u8; 32] = decoded
            .as_slice()
            .try_into()
            .map_err(|_| unreadable(&path, &"it does not hold 32 bytes"))?;
        Ok(SigningKey::from_bytes(seed))
    }

    /// Certificate and key stand in one file, so that a crash cannot leave one without the other.
    fn tls(&self, cluster: &str) -> Result<Authority, KeysError> {
        let path = self.dir.join("tls_ca.pem");
        let text = self.read_or_make(&path, || {
            let now = crate::clock::now();
            let from = now.plus_ms(-CLOCK_SKEW_MS);
            let authority = Authority::create(cluster, from, now.plus_ms(TLS_AUTHORITY_MS));
            let authority = authority.map_err(make)?;
            let parts = [authority.certificate().as_bytes(), authority.key().as_bytes()].concat();
            Ok(Zeroizing::new(parts))
        })?;
        let text = std::str::from_utf8(&text).map_err(|error| unreadable(&path, &error))?;
        let key = text.find(KEY_BEGINS).ok_or_else(|| unreadable(&path, &"it holds no key"))?;
        let (certificate, key) = text.split_at(key);
        let authority =
            Authority::load(certificate, key).map_err(|error| unreadable(&path, &error))?;
        authority.pin().map_err(|error| unreadable(&path, &error))?;
        Ok(authority)
    }

    fn read_or_make(
        &self,
        path: &Path,
        make: impl FnOnce() -> Result<Zeroizing<Vec<u8>>, KeysError>,
    ) -> Result<Zeroizing<Vec<u8>>, KeysError> {
        match store::keys::read_private(path) {
            Err(error) if error.is_missing() && self.first_start => {
                let bytes = make()?;
                store::keys::create(path, &bytes)?;
                Ok(bytes)
            }
            Err(error) if error.is_missing() => Err(KeysError::Lost { path: path.to_owned() }),
            read => Ok(read?),
        }
    }
}

fn make(error: impl std::fmt::Display) -> KeysError {
    KeysError::Make(error.to_string())
}

fn unreadable(path: &Path, why: &dyn std::fmt::Display) -> KeysError {
    KeysError::Unreadable { path: path.to_owned(), why: why.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::words;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    const FILES: [&str; 5] = ["user_ca", "host_ca", "tls_ca.pem", "seal.key", "ledger.key"];

    fn open(dir: &Path, first: bool) -> Result<Keys, KeysError> {
        Keys::open(dir, "test", first)
    }

    #[test]
    fn the_first_start_makes_five_private_keys_and_the_second_reads_them() {
        let dir = tempfile::tempdir().unwrap();
        let made = open(dir.path(), true).unwrap();
        for name in FILES {
            let mode = fs::metadata(dir.path().join(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
        let read = open(dir.path(), false).unwrap();
        assert_eq!(made.seal.to_bytes(), read.seal.to_bytes());
        assert_eq!(made.ledger_public(), read.ledger_public());
        assert_eq!(made.user_ca.public_key(), read.user_ca.public_key());
        assert_eq!(made.host_ca.public_key(), read.host_ca.public_key());
        assert_ne!(made.user_ca.public_key(), made.host_ca.public_key());
        assert_eq!(made.tls.pin().unwrap(), read.tls.pin().unwrap());
        assert!(made.seal_public().starts_with("scry-seal:"));
    }

    #[test]
    fn a_key_that_is_lost_open_or_damaged_is_named_and_never_made_again() {
        let dir = tempfile::tempdir().unwrap();
        open(dir.path(), true).unwrap();
        for name in FILES {
            let path = dir.path().join(name);
            let good = fs::read(&path).unwrap();
            let spoil: [(&str, &dyn Fn()); 4] = [
                ("backup", &|| fs::remove_file(&path).unwrap()),
                ("backup", &|| store::keys::write(&path, b"").unwrap()),
                ("backup", &|| store::keys::write(&path, b"scry-seal-key v1\nAAAA\n").unwrap()),
                ("chmod 600", &|| {
                    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
                }),
            ];
            for (advice, spoil) in spoil {
                spoil();
                let error = open(dir.path(), false).err().map(|error| words(&error));
                let error = error.unwrap_or_else(|| panic!("{name} was taken as it is"));
                assert!(error.contains(name), "{name}: {error}");
                assert!(error.contains(advice), "{name}: {error}");
                store::keys::write(&path, &good).unwrap();
            }
        }
        assert!(open(dir.path(), false).is_ok());
    }

    #[test]
    fn a_first_start_that_was_interrupted_goes_on_with_the_keys_it_had_made() {
        let dir = tempfile::tempdir().unwrap();
        let made = open(dir.path(), true).unwrap();
        fs::remove_file(dir.path().join("ledger.key")).unwrap();
        let again = open(dir.path(), true).unwrap();
        assert_eq!(made.seal.to_bytes(), again.seal.to_bytes());
        assert_eq!(made.tls.pin().unwrap(), again.tls.pin().unwrap());
        assert_ne!(made.ledger.to_bytes(), again.ledger.to_bytes());
    }
}

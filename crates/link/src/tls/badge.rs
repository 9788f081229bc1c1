//! What this end shows: a certificate chain with its key, which can be replaced while connections are served.

use super::identity::Facts;
use super::{PeerIdentity, TlsError, certificates, provider};
use model::Time;
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::sync::{Arc, PoisonError, RwLock};
use zeroize::Zeroizing;

/// A certificate chain and the private key of its leaf, as PEM texts.
#[derive(Clone)]
pub struct TlsIdentity {
    /// The leaf first, then the authority.
    pub chain: String,
    /// PKCS#8 private key.
    pub key: Zeroizing<String>,
}

impl std::fmt::Debug for TlsIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TlsIdentity").finish_non_exhaustive()
    }
}

impl TlsIdentity {
    /// Puts a chain and a key together.
    #[must_use]
    pub fn new(chain: impl Into<String>, key: impl Into<String>) -> Self {
        Self { chain: chain.into(), key: Zeroizing::new(key.into()) }
    }

    /// Whom the leaf speaks for.
    ///
    /// # Errors
    /// When the chain cannot be read.
    pub fn subject(&self) -> Result<PeerIdentity, TlsError> {
        Ok(self.facts()?.identity)
    }

    /// First and last moment of the leaf.
    ///
    /// # Errors
    /// When the chain cannot be read.
    pub fn life(&self) -> Result<(Time, Time), TlsError> {
        let facts = self.facts()?;
        Ok((facts.not_before, facts.not_after))
    }

    /// When a part should ask for the next certificate: at half of this one's life.
    ///
    /// # Errors
    /// When the chain cannot be read.
    pub fn renew_at(&self) -> Result<Time, TlsError> {
        let (from, to) = self.life()?;
        Ok(from.plus_ms(to.0.saturating_sub(from.0) / 2))
    }

    fn facts(&self) -> Result<Facts, TlsError> {
        let chain = certificates(&self.chain)?;
        let leaf = chain.first().ok_or(TlsError::Pem { what: "certificate" })?;
        Facts::read(leaf)
    }

    fn certified(&self) -> Result<CertifiedKey, TlsError> {
        let chain = certificates(&self.chain)?;
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes())
            .map_err(|_| TlsError::Pem { what: "private key" })?;
        CertifiedKey::from_der(chain, key, &provider()).map_err(TlsError::Refused)
    }
}

/// A P-256 key and the request to certify it.
pub struct KeyRequest {
    /// PKCS#8 private key, PEM; never leaves the machine.
    pub key: Zeroizing<String>,
    /// PKCS#10 request, PEM; its subject is empty, because the authority ignores it.
    pub request: String,
}

impl KeyRequest {
    /// Makes a key and its request.
    ///
    /// # Errors
    /// [`TlsError::Key`] when the system gives no randomness.
    pub fn make() -> Result<Self, TlsError> {
        Self::of(&KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(TlsError::Key)?)
    }

    /// The request for a key made before, for a renewal.
    ///
    /// # Errors
    /// [`TlsError::Key`] when the text is no key.
    pub fn again(key: &str) -> Result<Self, TlsError> {
        Self::of(&KeyPair::from_pem(key).map_err(TlsError::Key)?)
    }

    fn of(key: &KeyPair) -> Result<Self, TlsError> {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        let request = params
            .serialize_request(key)
            .and_then(|request| request.pem())
            .map_err(TlsError::Key)?;
        Ok(Self { key: Zeroizing::new(key.serialize_pem()), request })
    }
}

/// What this end shows in handshakes. Clones share it, so that one renewal reaches every listener and dialer.
#[derive(Debug, Clone)]
pub struct Badge {
    // Locked because handshakes read it and a renewal replaces it; held for a clone of an `Arc`.
    shown: Arc<RwLock<Arc<CertifiedKey>>>,
}

impl Badge {
    /// Shows `identity`.
    ///
    /// # Errors
    /// When chain and key cannot be read or do not belong together.
    pub fn new(identity: &TlsIdentity) -> Result<Self, TlsError> {
        Ok(Self { shown: Arc::new(RwLock::new(Arc::new(identity.certified()?))) })
    }

    /// Shows `identity` from the next handshake on; open connections keep what they have.
    ///
    /// # Errors
    /// As [`Badge::new`]; the old one is then still shown.
    pub fn replace(&self, identity: &TlsIdentity) -> Result<(), TlsError> {
        let certified = Arc::new(identity.certified()?);
        *self.shown.write().unwrap_or_else(PoisonError::into_inner) = certified;
        Ok(())
    }

    fn current(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.shown.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl ResolvesServerCert for Badge {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current())
    }
}

impl ResolvesClientCert for Badge {
    fn resolve(
        &self,
        _authorities: &[&[u8]],
        _schemes: &[SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        Some(self.current())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

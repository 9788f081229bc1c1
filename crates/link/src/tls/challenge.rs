//! How this end proves that it answers for a name (RFC 8737): while an ACME server looks, and to nobody who asks for anything
//! else, a certificate is shown that holds what only the account can know.

use super::{TlsError, provider};
use rcgen::{CertificateParams, CustomExtension, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use wire::name::ALPN_ACME;

/// The challenges that run at this moment. Clones share them: who asks for a certificate begins one, the port answers it.
#[derive(Debug, Clone, Default)]
pub struct Challenges {
    answers: Arc<Answers>,
}

#[derive(Debug, Default)]
struct Answers {
    // Locked because handshakes read what the asker changes; held for a look.
    running: RwLock<BTreeMap<String, Arc<CertifiedKey>>>,
}

/// One challenge; it is not answered any more once this is dropped.
#[derive(Debug)]
#[must_use = "the challenge ends when this is dropped"]
pub struct Running {
    name: String,
    answers: Arc<Answers>,
}

impl Challenges {
    /// Answers for `name` with this SHA-256 of the key authorization (RFC 8737 §3).
    ///
    /// # Errors
    /// [`TlsError`] when no certificate can be made for the name.
    pub fn begin(&self, name: &str, digest: &[u8]) -> Result<Running, TlsError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(TlsError::Key)?;
        let mut params = CertificateParams::new([name.to_owned()]).map_err(TlsError::Key)?;
        params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
        let certificate = params.self_signed(&key).map_err(TlsError::Key)?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        // Not looked at any further: the extension is critical, and nothing but a challenge knows it.
        let key = provider().key_provider.load_private_key(key).map_err(TlsError::Refused)?;
        let shown = CertifiedKey::new(vec![certificate.der().clone()], key);
        let name = name.to_ascii_lowercase();
        let mut running = self.answers.running.write().unwrap_or_else(PoisonError::into_inner);
        running.insert(name.clone(), Arc::new(shown));
        Ok(Running { name, answers: Arc::clone(&self.answers) })
    }

    /// How to shake hands with whoever looks: nothing else is spoken, and without a challenge for the name nothing is shown.
    pub(crate) fn config(&self) -> Result<Arc<ServerConfig>, TlsError> {
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(TlsError::Refused)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&self.answers) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![ALPN_ACME.to_vec()];
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Arc::new(config))
    }
}

impl ResolvesServerCert for Answers {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name()?.to_ascii_lowercase();
        self.running.read().unwrap_or_else(PoisonError::into_inner).get(&name).cloned()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut running = self.answers.running.write().unwrap_or_else(PoisonError::into_inner);
        running.remove(&self.name);
    }
}

//! Whom this end trusts: a cluster's authority, or at first only the pin of it.

use super::web::{ByName, WebBadge};
use super::{Badge, TlsError, certificate_pem, certificates, provider, spki_pin};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::{NoServerSessionStorage, ResolvesServerCert, WebPkiClientVerifier};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, RootCertStore,
    ServerConfig, SignatureScheme,
};
use std::sync::{Arc, OnceLock};

/// Whom a client trusts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// The authority whose SubjectPublicKeyInfo has this SHA-256, in hexadecimal. For the first connection.
    Pin(String),
    /// These authorities, PEM.
    Authority(String),
}

/// How a client speaks TLS. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ClientTls {
    pub(crate) config: Arc<ClientConfig>,
    authority: Arc<OnceLock<String>>,
}

impl ClientTls {
    /// The trusted authority, PEM; with a pin only after the first handshake has succeeded.
    #[must_use]
    pub fn authority(&self) -> Option<&str> {
        self.authority.get().map(String::as_str)
    }
}

/// How to speak to servers of the cluster: whom to trust, what to show, and the protocols (ALPN) to offer.
///
/// # Errors
/// [`TlsError::Pin`], or when the authority cannot be read.
pub fn client_tls(
    trust: &Trust,
    badge: Option<&Badge>,
    protocols: &[&[u8]],
) -> Result<ClientTls, TlsError> {
    let authority = Arc::new(OnceLock::new());
    let verifier: Arc<dyn ServerCertVerifier> = match trust {
        Trust::Pin(pin) => Arc::new(Pinned::new(pin, Arc::clone(&authority))?),
        Trust::Authority(pem) => {
            let _ = authority.set(pem.clone());
            WebPkiServerVerifier::builder_with_provider(roots(pem)?, provider())
                .build()
                .map_err(|e| TlsError::Certificate { why: e.to_string() })?
        }
    };
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(TlsError::Refused)?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut config = match badge {
        Some(badge) => builder.with_client_cert_resolver(Arc::new(badge.clone())),
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    config.resumption = Resumption::disabled();
    Ok(ClientTls { config: Arc::new(config), authority })
}

/// How to serve: what to show, whose client certificates count, and the protocols (ALPN) to accept.
/// A client may show none; one that it shows must be of the authority.
///
/// # Errors
/// When the authority cannot be read.
pub fn server_config(
    badge: &Badge,
    authority: &str,
    protocols: &[&[u8]],
) -> Result<Arc<ServerConfig>, TlsError> {
    serving(Arc::new(badge.clone()), authority, protocols)
}

/// As [`server_config`]; who calls this end by a name of one of `web` is shown the first that is for it.
///
/// # Errors
/// As [`server_config`].
pub fn server_config_by_name(
    badge: &Badge,
    web: &[WebBadge],
    authority: &str,
    protocols: &[&[u8]],
) -> Result<Arc<ServerConfig>, TlsError> {
    let by_name = ByName { cluster: badge.clone(), web: web.to_vec() };
    serving(Arc::new(by_name), authority, protocols)
}

fn serving(
    shows: Arc<dyn ResolvesServerCert>,
    authority: &str,
    protocols: &[&[u8]],
) -> Result<Arc<ServerConfig>, TlsError> {
    let verifier = WebPkiClientVerifier::builder_with_provider(roots(authority)?, provider())
        .allow_unauthenticated()
        .build()
        .map_err(|e| TlsError::Certificate { why: e.to_string() })?;
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(TlsError::Refused)?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(shows);
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    // A resumed session would bring its client certificate back without a look at its expiry.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

fn roots(pem: &str) -> Result<Arc<RootCertStore>, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(pem)? {
        roots.add(certificate).map_err(TlsError::Refused)?;
    }
    Ok(Arc::new(roots))
}

/// Trusts the one authority in the server's chain that has the pin, and nothing besides.
#[derive(Debug)]
struct Pinned {
    pin: String,
    found: Arc<OnceLock<String>>,
}

impl Pinned {
    fn new(pin: &str, found: Arc<OnceLock<String>>) -> Result<Self, TlsError> {
        let pin = pin.trim().to_ascii_lowercase();
        if pin.len() != 64 || !pin.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(TlsError::Pin);
        }
        Ok(Self { pin, found })
    }
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let unknown = || rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
        let authority = chain
            .iter()
            .find(|certificate| spki_pin(certificate).as_deref() == Some(self.pin.as_str()))
            .ok_or_else(unknown)?;
        let mut roots = RootCertStore::empty();
        roots.add(authority.clone().into_owned())?;
        let verdict = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider())
            .build()
            .map_err(|_| unknown())?
            .verify_server_cert(leaf, &[], name, ocsp, now)?;
        let _ = self.found.set(certificate_pem(authority));
        Ok(verdict)
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("TLS 1.3 only".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = provider().signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, &algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }

    fn root_hint_subjects(&self) -> Option<&[DistinguishedName]> {
        None
    }
}

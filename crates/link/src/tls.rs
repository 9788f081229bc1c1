//! TLS: who a peer is, what this end holds, whom it trusts. TLS 1.3 with aws-lc-rs only.

mod authority;
mod badge;
mod challenge;
mod identity;
mod trust;
mod web;

pub use authority::{Authority, TLS_AUTHORITY_MS, pin_of, pin_of_request};
pub use badge::{Badge, KeyRequest, TlsIdentity};
pub use challenge::{Challenges, Running};
pub use identity::{Peer, PeerIdentity};
pub use trust::{ClientTls, Trust, client_tls, server_config, server_config_by_name};
pub use web::{WebBadge, WebCertificate, WebCertificateError};

use base64::Engine;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::sync::{Arc, LazyLock};
use thiserror::Error;

/// Why a certificate, key or configuration cannot be used.
#[derive(Debug, Error)]
pub enum TlsError {
    /// The text is not PEM, or holds nothing of the kind.
    #[error("no {what} in the PEM text")]
    Pem {
        /// What was looked for.
        what: &'static str,
    },
    /// A certificate that cannot be read.
    #[error("a certificate cannot be read: {why}")]
    Certificate {
        /// Why.
        why: String,
    },
    /// A request for a certificate that may not be signed.
    #[error("the certificate request cannot be used: {why}")]
    Request {
        /// Why.
        why: String,
    },
    /// A key could not be made, read or used to sign.
    #[error("a TLS key cannot be made or used")]
    Key(#[source] rcgen::Error),
    /// A pin that is not 64 hexadecimal digits.
    #[error("the pin is not 64 hexadecimal digits")]
    Pin,
    /// TLS refuses the key, the certificate or the configuration.
    #[error("TLS refuses the key or certificate")]
    Refused(#[source] rustls::Error),
}

/// The one provider of cryptography; never the process's default.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: LazyLock<Arc<CryptoProvider>> =
        LazyLock::new(|| Arc::new(rustls::crypto::aws_lc_rs::default_provider()));
    Arc::clone(&PROVIDER)
}

/// Certificates of a PEM text, in order.
pub(crate) fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let chain: Vec<_> = CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|_| TlsError::Pem { what: "certificate" })?;
    if chain.is_empty() {
        return Err(TlsError::Pem { what: "certificate" });
    }
    Ok(chain)
}

/// A certificate as PEM (RFC 7468).
pub(crate) fn certificate_pem(der: &[u8]) -> String {
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let mut pem = String::from("-----BEGIN CERTIFICATE-----\n");
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, more) = rest.split_at(rest.len().min(64));
        pem.push_str(line);
        pem.push('\n');
        rest = more;
    }
    pem.push_str("-----END CERTIFICATE-----\n");
    pem
}

/// SHA-256 of the certificate's SubjectPublicKeyInfo, in hexadecimal.
pub(crate) fn spki_pin(certificate: &[u8]) -> Option<String> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
    key_pin(parsed.tbs_certificate.subject_pki.raw)
}

/// SHA-256 of a SubjectPublicKeyInfo (DER), in hexadecimal.
pub(crate) fn key_pin(key: &[u8]) -> Option<String> {
    let suite = rustls::crypto::aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256.tls13()?;
    let digest = suite.common.hash_provider.hash(key);
    Some(digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect())
}

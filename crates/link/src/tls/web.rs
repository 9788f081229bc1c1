//! A certificate that somebody else signed, shown to whoever calls this end by a name that stands in it. Everybody else gets the
//! cluster's own: parts of the cluster and `scry` call by names below [`INTERNAL`], which no such certificate may have.

use super::{Badge, TlsError, TlsIdentity, certificates, provider};
use model::Time;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::sync::{Arc, PoisonError, RwLock};
use thiserror::Error;
use wire::name::INTERNAL;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::X509Certificate;

/// Why a certificate of somebody else's cannot be shown.
#[derive(Debug, Error)]
pub enum WebCertificateError {
    /// The chain cannot be read.
    #[error("it is no chain of certificates in PEM")]
    Chain(#[source] TlsError),
    /// The key cannot be read.
    #[error("it is no private key in PEM without a password")]
    Key,
    /// They do not belong together, or TLS cannot use them.
    #[error("the key is not that of the first certificate, or TLS 1.3 does not know its kind")]
    Mismatch(#[source] rustls::Error),
    /// It names nobody.
    #[error("the certificate has no DNS name (subjectAltName), so nobody can call by it")]
    NoName,
    /// It names the cluster's own parts.
    #[error("the certificate is for {0}, and names below {INTERNAL} are the cluster's own")]
    Internal(String),
    /// It is for something else.
    #[error("the certificate is not for servers (extendedKeyUsage)")]
    NotForServers,
    /// Its time is over, or has not come.
    #[error("the certificate counts from {from} to {until}, in seconds since 1970")]
    Time {
        /// First second.
        from: i64,
        /// Last second.
        until: i64,
    },
}

/// A certificate that can be shown at this moment.
#[derive(Debug, Clone)]
pub struct WebCertificate {
    certified: Arc<CertifiedKey>,
    names: Vec<String>,
    begins: Time,
    expires: Time,
}

impl WebCertificate {
    /// Reads a chain, the leaf first, and the leaf's key.
    ///
    /// # Errors
    /// [`WebCertificateError`].
    pub fn read(identity: &TlsIdentity, now: Time) -> Result<Self, WebCertificateError> {
        let chain = certificates(&identity.chain).map_err(WebCertificateError::Chain)?;
        let odd = |why: String| WebCertificateError::Chain(TlsError::Certificate { why });
        let leaf = chain.first().ok_or_else(|| odd("it is empty".to_owned()))?.clone();
        let (_, leaf) =
            x509_parser::parse_x509_certificate(&leaf).map_err(|error| odd(error.to_string()))?;
        let names = names(&leaf).map_err(odd)?;
        if let Some(internal) = names.iter().find(|name| is_internal(name)) {
            return Err(WebCertificateError::Internal(internal.clone()));
        }
        if names.is_empty() {
            return Err(WebCertificateError::NoName);
        }
        let usage = leaf.extended_key_usage().map_err(|error| odd(error.to_string()))?;
        if usage.is_some_and(|usage| !usage.value.server_auth && !usage.value.any) {
            return Err(WebCertificateError::NotForServers);
        }
        let validity = leaf.validity();
        let (from, until) = (validity.not_before.timestamp(), validity.not_after.timestamp());
        if now.seconds() < from || now.seconds() > until {
            return Err(WebCertificateError::Time { from, until });
        }
        let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes())
            .map_err(|_| WebCertificateError::Key)?;
        let certified = CertifiedKey::from_der(chain.clone(), key, &provider())
            .map_err(WebCertificateError::Mismatch)?;
        let [begins, expires] = [from, until].map(|seconds| Time(seconds.saturating_mul(1000)));
        Ok(Self { certified: Arc::new(certified), names, begins, expires })
    }

    /// The names that it is for, in small letters; `*.` stands before those of a whole domain.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Last moment of it.
    #[must_use]
    pub fn expires(&self) -> Time {
        self.expires
    }

    /// When to ask for the next one, if that takes no more than asking: at two thirds of its life, however long that is.
    #[must_use]
    pub fn renew_at(&self) -> Time {
        let life = self.expires.0.saturating_sub(self.begins.0);
        self.begins.plus_ms(life.saturating_sub(life / 3))
    }

    /// Whether it is for this name (RFC 9525 §6.3: a star stands for one whole label, the first).
    #[must_use]
    pub fn is_for(&self, called: &str) -> bool {
        let called = called.trim_end_matches('.').to_ascii_lowercase();
        self.names.iter().any(|name| match name.strip_prefix("*.") {
            None => *name == called,
            Some(domain) => called
                .split_once('.')
                .is_some_and(|(first, rest)| !first.is_empty() && rest == domain),
        })
    }
}

fn names(leaf: &X509Certificate<'_>) -> Result<Vec<String>, String> {
    let all = leaf.subject_alternative_name().map_err(|error| error.to_string())?;
    let all = all.iter().flat_map(|all| all.value.general_names.iter());
    let names = all.filter_map(|name| match name {
        GeneralName::DNSName(name) => Some(name.trim_end_matches('.').to_ascii_lowercase()),
        _ => None,
    });
    Ok(names.filter(|name| !name.is_empty()).collect())
}

/// Whether it is a name of the cluster's own, or a star that could stand for one.
fn is_internal(name: &str) -> bool {
    let name = name.strip_prefix("*.").unwrap_or(name);
    name == INTERNAL
        || name.ends_with(&format!(".{INTERNAL}"))
        || INTERNAL.ends_with(&format!(".{name}"))
}

/// What is shown by name. Clones share it, so that a new one reaches every listener.
#[derive(Debug, Clone, Default)]
pub struct WebBadge {
    // Locked because handshakes read it and a rotation replaces it; held for a clone of an `Arc`.
    shown: Arc<RwLock<Option<Arc<WebCertificate>>>>,
}

impl WebBadge {
    /// Shows this one.
    #[must_use]
    pub fn new(certificate: WebCertificate) -> Self {
        let badge = Self::default();
        badge.replace(certificate);
        badge
    }

    /// Shows another from the next handshake on; open connections keep what they have.
    pub fn replace(&self, certificate: WebCertificate) {
        *self.shown.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(certificate));
    }

    /// What is shown; nothing before the first.
    #[must_use]
    pub fn current(&self) -> Option<Arc<WebCertificate>> {
        self.shown.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// All certificates of a proxy: by the name it is called, the first that is for it, else the cluster's.
#[derive(Debug)]
pub(super) struct ByName {
    pub(super) cluster: Badge,
    pub(super) web: Vec<WebBadge>,
}

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let shown = hello.server_name().and_then(|called| {
            let all = self.web.iter().filter_map(WebBadge::current);
            all.into_iter().find(|web| web.is_for(called))
        });
        match shown {
            Some(web) => Some(Arc::clone(&web.certified)),
            None => self.cluster.resolve(hello),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, KeyPair, SanType, date_time_ymd};

    /// In 2026.
    const NOW: Time = Time(1_790_000_000_000);

    fn made(names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.subject_alt_names =
            names.iter().map(|name| SanType::DnsName((*name).try_into().unwrap())).collect();
        (params.not_before, params.not_after) =
            (date_time_ymd(2026, 1, 1), date_time_ymd(2027, 1, 1));
        change(&mut params);
        (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
    }

    fn read(chain: &str, key: &str, now: Time) -> Result<WebCertificate, String> {
        let read = WebCertificate::read(&TlsIdentity::new(chain, key), now);
        read.map_err(|error| error.to_string())
    }

    #[test]
    fn a_certificate_is_shown_by_its_names_and_no_others() {
        let (chain, key) = made(&["Scry.example", "*.lab.example"], |_| ());
        let certificate = read(&chain, &key, NOW).unwrap();
        assert_eq!(certificate.names(), ["scry.example", "*.lab.example"]);
        let (begins, third) = (certificate.begins, 365 * 24 * 3_600_000 / 3);
        assert_eq!(certificate.expires(), begins.plus_ms(3 * third));
        assert_eq!(certificate.renew_at(), begins.plus_ms(2 * third));
        for (called, is_for) in [
            ("scry.example", true),
            ("SCRY.Example.", true),
            ("a.scry.example", false),
            ("a.lab.example", true),
            ("a.b.lab.example", false),
            ("lab.example", false),
            (".lab.example", false),
            ("proxy.scry.internal", false),
            ("", false),
        ] {
            assert_eq!(certificate.is_for(called), is_for, "{called:?}");
        }
    }

    #[test]
    fn one_that_could_not_be_shown_or_would_stand_in_the_clusters_way_is_refused_with_the_reason() {
        let (chain, key) = made(&["scry.example"], |_| ());
        let (_, other) = made(&["scry.example"], |_| ());
        let (client, clients) = made(&["scry.example"], |params| {
            params.extended_key_usages.push(ExtendedKeyUsagePurpose::ClientAuth);
        });
        let check = |chain: &str, key: &str, now: Time, why: &str| {
            let error = read(chain, key, now).unwrap_err();
            assert!(error.contains(why), "{error} should say {why}");
        };
        check("", &key, NOW, "no chain");
        check(&key, &key, NOW, "no chain");
        check(&chain, "", NOW, "no private key");
        check(&chain, &chain, NOW, "no private key");
        check(&chain, &other, NOW, "is not that of the first certificate");
        check(&client, &clients, NOW, "not for servers");
        check(&chain, &key, Time(0), "counts from");
        check(&chain, &key, NOW.plus_ms(400 * 24 * 3_600_000), "counts from");
        for name in
            ["auth.scry.internal", "scry.internal", "*.scry.internal", "*.internal", "internal"]
        {
            let (chain, key) = made(&[name], |_| ());
            check(&chain, &key, NOW, "the cluster's own");
        }
        let (nameless, key) = made(&[], |_| ());
        check(&nameless, &key, NOW, "no DNS name");
    }
}

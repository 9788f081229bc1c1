//! The cluster's TLS authority: makes itself, and signs certificates for users, nodes, proxies and auth. Auth holds its key.

use super::{PeerIdentity, TlsError, certificates, key_pin, spki_pin};
use model::Time;
use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName,
    DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, SanType, SerialNumber,
};
use rustls::pki_types::CertificateSigningRequestDer;
use rustls::pki_types::pem::PemObject;
use std::time::Duration;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::prelude::FromDer;
use zeroize::Zeroizing;

/// Life of a TLS authority, in milliseconds: ten years.
pub const TLS_AUTHORITY_MS: i64 = 10 * 365 * 24 * 3600 * 1000;

/// A P-256 certificate authority that signs for one cluster.
#[derive(Debug)]
pub struct Authority {
    certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// Makes a key and a certificate that signs itself, good from `not_before` to `not_after`.
    ///
    /// # Errors
    /// [`TlsError::Key`] when the system gives no randomness.
    pub fn create(cluster: &str, not_before: Time, not_after: Time) -> Result<Self, TlsError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(TlsError::Key)?;
        let mut params = CertificateParams::default();
        params.distinguished_name = named(&format!("scry TLS authority of {cluster}"));
        valid(&mut params, not_before, not_after);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key).map_err(TlsError::Key)?.pem();
        Ok(Self { certificate, issuer: Issuer::new(params, key) })
    }

    /// Reads back what [`Authority::certificate`] and [`Authority::key`] gave.
    ///
    /// # Errors
    /// When either is not what it should be.
    pub fn load(certificate: &str, key: &str) -> Result<Self, TlsError> {
        let key = KeyPair::from_pem(key).map_err(TlsError::Key)?;
        let issuer = Issuer::from_ca_cert_pem(certificate, key).map_err(TlsError::Key)?;
        Ok(Self { certificate: certificate.to_owned(), issuer })
    }

    /// Its certificate, PEM.
    #[must_use]
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// Its private key, PKCS#8 PEM.
    #[must_use]
    pub fn key(&self) -> Zeroizing<String> {
        Zeroizing::new(self.issuer.key().serialize_pem())
    }

    /// Its pin: SHA-256 of its SubjectPublicKeyInfo, hexadecimal.
    ///
    /// # Errors
    /// [`TlsError::Pem`] when the certificate it was loaded with is none.
    pub fn pin(&self) -> Result<String, TlsError> {
        pin_of(&self.certificate)
    }

    /// Signs for the key in a PKCS#10 request (PEM); everything else in the request is ignored.
    /// `names` are DNS names and addresses under which the holder may serve; `serial` is 16 random bytes.
    /// Answers the leaf and the authority's own certificate, PEM.
    ///
    /// # Errors
    /// [`TlsError::Request`] when the request is not one, is not signed by its own key, or has no P-256 key.
    pub fn sign(
        &self,
        request: &str,
        subject: &PeerIdentity,
        names: &[&str],
        serial: [u8; 16],
        not_before: Time,
        not_after: Time,
    ) -> Result<String, TlsError> {
        let bad = |why: &str| TlsError::Request { why: why.to_owned() };
        let asked = CertificateSigningRequestParams::from_der(&der_of(request)?)
            .map_err(|e| bad(&e.to_string()))?;
        if asked.public_key.algorithm() != &PKCS_ECDSA_P256_SHA256 {
            return Err(bad("its key is not on the curve P-256"));
        }
        let mut params = CertificateParams::default();
        params.distinguished_name = named(&subject.to_string());
        valid(&mut params, not_before, not_after);
        params.serial_number = Some(positive(serial));
        params.is_ca = IsCa::ExplicitNoCa;
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        if *subject != PeerIdentity::Nobody {
            params.extended_key_usages.push(ExtendedKeyUsagePurpose::ClientAuth);
        }
        if !names.is_empty() {
            params.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth);
        }
        if let Some(uri) = subject.uri() {
            params.subject_alt_names.push(SanType::URI(ascii(&uri)?));
        }
        for name in names {
            params.subject_alt_names.push(match name.parse() {
                Ok(address) => SanType::IpAddress(address),
                Err(_) => SanType::DnsName(ascii(name)?),
            });
        }
        let leaf = params.signed_by(&asked.public_key, &self.issuer).map_err(TlsError::Key)?;
        // rcgen takes the kind of a key from its signature.
        if spki_pin(leaf.der()) != Some(pin_of_request(request)?) {
            return Err(bad("its key is not on the curve P-256"));
        }
        Ok(format!("{}{}", leaf.pem(), self.certificate))
    }
}

/// Pin of the first certificate in a PEM text: SHA-256 of its SubjectPublicKeyInfo, hexadecimal.
///
/// # Errors
/// [`TlsError::Pem`] when there is none, [`TlsError::Certificate`] when it cannot be read.
pub fn pin_of(authority: &str) -> Result<String, TlsError> {
    let first = certificates(authority)?.into_iter().next();
    first
        .as_deref()
        .and_then(spki_pin)
        .ok_or_else(|| TlsError::Certificate { why: "it is not X.509".to_owned() })
}

/// Pin of the key in a PKCS#10 request (PEM): that of every certificate signed for it. Whether the request is signed by
/// that key is looked at when it is signed.
///
/// # Errors
/// [`TlsError::Request`] when it cannot be read.
pub fn pin_of_request(request: &str) -> Result<String, TlsError> {
    let bad = |why: String| TlsError::Request { why };
    let der = der_of(request)?;
    let (_, parsed) = X509CertificationRequest::from_der(&der).map_err(|e| bad(e.to_string()))?;
    key_pin(parsed.certification_request_info.subject_pki.raw)
        .ok_or_else(|| bad("its key cannot be hashed".to_owned()))
}

/// The first request in a PEM text. Read here alone: readers differ in what they pass over, and who asks is known by the key
/// that is signed.
fn der_of(request: &str) -> Result<CertificateSigningRequestDer<'static>, TlsError> {
    CertificateSigningRequestDer::from_pem_slice(request.as_bytes())
        .map_err(|e| TlsError::Request { why: e.to_string() })
}

fn named(name: &str) -> DistinguishedName {
    let mut subject = DistinguishedName::new();
    // RFC 5280 bounds a common name at 64 characters; nothing reads it but people.
    subject.push(DnType::CommonName, name.chars().take(64).collect::<String>());
    subject
}

fn ascii(name: &str) -> Result<Ia5String, TlsError> {
    Ia5String::try_from(name).map_err(TlsError::Key)
}

/// RFC 5280: positive, at most 20 octets.
fn positive(mut serial: [u8; 16]) -> SerialNumber {
    serial[0] = (serial[0] & 0x7f) | 0x01;
    SerialNumber::from_slice(&serial)
}

fn valid(params: &mut CertificateParams, not_before: Time, not_after: Time) {
    // The end of 9999 is the last moment that RFC 5280 can write.
    let since_1970 = |time: Time| {
        Duration::from_secs(u64::try_from(time.seconds()).unwrap_or(0).min(253_402_300_799))
    };
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before = epoch + since_1970(not_before);
    params.not_after = epoch + since_1970(not_after);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> String {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        CertificateParams::default().serialize_request(&key).unwrap().pem().unwrap()
    }

    #[test]
    fn only_the_key_by_which_a_request_is_known_is_signed() {
        let (from, until) = (Time(0), Time(3_600_000));
        let authority = Authority::create("home", from, until).unwrap();
        let (one, other) = (request(), request());
        // The older label (RFC 7468 §7), which not every reader of PEM takes for a request.
        let older = one.replace("CERTIFICATE REQUEST", "REQUEST");
        let nobody = PeerIdentity::Nobody;
        for text in [one.clone(), format!("{one}{other}"), format!("{older}{other}")] {
            let chain = authority.sign(&text, &nobody, &[], [7; 16], from, until).unwrap();
            assert_eq!(pin_of(&chain).unwrap(), pin_of_request(&text).unwrap());
        }
        assert!(authority.sign(&older, &nobody, &[], [7; 16], from, until).is_err());
    }
}

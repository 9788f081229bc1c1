//! Certificates that somebody logs in with, or that a server shows.

use crate::feed::Feed;
use model::Time;
use ssh_key::certificate::{Builder, CertType};
use ssh_key::private::Ed25519Keypair;
use ssh_key::{Certificate, PrivateKey, PublicKey};
use std::net::IpAddr;

/// The moment at which certificates are shown.
const NOW: Time = Time(1_790_000_000_000);
/// Its seconds.
const SECONDS: u64 = 1_790_000_000;

/// A certificate: as OpenSSH writes it, as it crosses a connection, or made of what the bytes say and signed.
///
/// It lets in only the login that it names, only a user, only in its life, only with the signature of an authority; and
/// what the transport may quote of a refusal is one line.
pub fn certificate(bytes: &[u8]) {
    let mut feed = Feed(bytes);
    let how = feed.u8();
    let found = match how % 4 {
        0 => std::str::from_utf8(feed.0).ok().and_then(|text| Certificate::from_openssh(text).ok()),
        1 => Certificate::from_bytes(feed.0).ok(),
        _ => made(&mut feed),
    };
    let Some(certificate) = found else { return };
    if let Ok(written) = certificate.to_bytes() {
        let again = Certificate::from_bytes(&written).expect("what was written is a certificate");
        assert_eq!(again.to_bytes().ok(), Some(written), "another certificate came back");
    }
    // Its own signing key as the authority, so that everything behind that check is reached.
    let signer = PublicKey::from(certificate.signature_key().clone());
    let client: Option<IpAddr> =
        (how & 0x80 == 0).then(|| "192.0.2.7".parse().expect("an address"));
    let mut logins: Vec<String> = certificate.valid_principals().to_vec();
    logins.extend(["root".to_owned(), String::new(), "root,admin".to_owned()]);
    for login in logins.iter().take(40) {
        show(&certificate, login, &signer, client);
    }
}

fn show(certificate: &Certificate, login: &str, signer: &PublicKey, client: Option<IpAddr>) {
    let stranger = policy::read_certificate(certificate, login, &[], client, NOW);
    assert!(stranger.is_err(), "without an authority");
    let authorities = std::slice::from_ref(signer);
    let named = certificate.valid_principals().iter().any(|name| name == login);
    let alive = certificate.valid_after() <= SECONDS && SECONDS < certificate.valid_before();
    let signed = certificate.verify_signature().is_ok();
    match policy::read_certificate(certificate, login, authorities, client, NOW) {
        Ok(who) => {
            assert_eq!(certificate.cert_type(), CertType::User);
            assert!(named && alive && signed, "{login:?}: {named} {alive} {signed}");
            assert_eq!(who.login().map(ToString::to_string).as_deref(), Some(login));
            assert_eq!(who.user().to_string(), certificate.key_id());
            assert_eq!(who.serial(), certificate.serial());
            let options = certificate.critical_options();
            assert!(options.iter().all(|(name, _)| name == "source-address"), "{options:?}");
            assert!(options.is_empty() || client.is_some(), "from anywhere");
        }
        Err(denial) => one_line(&denial.public()),
    }
    match policy::read_host_certificate(certificate, login, authorities, NOW) {
        Ok(_) => {
            assert_eq!(certificate.cert_type(), CertType::Host);
            assert!(alive && signed && certificate.critical_options().is_empty());
            assert!(certificate.valid_principals().contains(&login.to_ascii_lowercase()));
        }
        Err(denial) => one_line(&denial.public()),
    }
}

fn one_line(text: &str) {
    assert!(!text.is_empty() && !text.contains(['\n', '\r', '\x1b', '\0']), "{text:?}");
}

/// Fills a certificate in as the bytes say, and signs it.
fn made(feed: &mut Feed<'_>) -> Option<Certificate> {
    let key = |seed: u8| PrivateKey::from(Ed25519Keypair::from_seed(&[seed; 32]));
    let subject = key(2).public_key().clone();
    let (from, until) = (SECONDS - u64::from(feed.u8()), SECONDS + u64::from(feed.u8()));
    let mut builder = Builder::new([7; 32], subject, from, until).ok()?;
    builder.key_id(feed.text()).ok()?;
    builder.serial(feed.u8().into()).ok()?;
    let kind = if feed.u8().is_multiple_of(4) { CertType::Host } else { CertType::User };
    builder.cert_type(kind).ok()?;
    if feed.u8().is_multiple_of(8) {
        builder.all_principals_valid().ok()?;
    }
    while let Some(what) = feed.next() {
        match what % 4 {
            0 => builder.valid_principal(feed.text()).ok()?,
            1 => builder.critical_option(name(what, feed), feed.text()).ok()?,
            2 => builder.extension(name(what, feed), feed.text()).ok()?,
            _ => builder.comment(feed.text()).ok()?,
        };
    }
    builder.sign(&key(1)).ok()
}

/// One of the names that mean something, or any.
fn name(what: u8, feed: &mut Feed<'_>) -> String {
    let known = [
        "source-address",
        "force-command",
        "verify-required",
        "permit-pty",
        "permit-port-forwarding",
        policy::ROLES_EXTENSION,
        policy::LOGINS_EXTENSION,
    ];
    match known.get(usize::from(what >> 2)) {
        Some(name) => (*name).to_owned(),
        None => feed.text(),
    }
}

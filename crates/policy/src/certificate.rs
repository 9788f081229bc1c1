//! Reading SSH certificates (OpenSSH PROTOCOL.certkeys): everything that must hold before one is believed.

use crate::address;
use crate::denial::{Action, Denial, Why};
use crate::identity::{Identity, Paper};
use crate::only::{ONLY_OPTION, Only};
use crate::plan::NO_LOGIN;
use core::net::IpAddr;
use core::str::FromStr;
use model::limit::{CERTIFICATE_NAMES, CERTIFICATE_NAMES_BYTES, CERTIFICATE_PRINCIPALS};
use model::{Login, NodeName, Time, UserName};
use ssh_key::certificate::{CertType, OptionsMap};
use ssh_key::{Certificate, HashAlg, PublicKey};
use std::collections::BTreeSet;
use thiserror::Error;

/// Extension with the person's roles, separated by commas; the same name as in `wire::name`.
pub const ROLES_EXTENSION: &str = "roles@scry";
/// Extension with the logins of the person's account, which `{logins}` stands for, separated by commas.
/// They are not the principals: those hold the logins of all roles, and a role must not lend its logins to another.
pub const LOGINS_EXTENSION: &str = "logins@scry";

/// Why a certificate does not count.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CertificateFault {
    /// The signing key is itself a certificate (CVE-2025-49825).
    #[error("it is signed by a certificate instead of a plain authority key")]
    SignedByCertificate,
    /// Signed by a key that is none of the cluster's.
    #[error("it is signed by {fingerprint}, which is no authority of this cluster")]
    Authority {
        /// SHA-256 fingerprint of the signing key.
        fingerprint: String,
    },
    /// The signature does not fit the certificate.
    #[error("its signature does not verify")]
    Signature,
    /// A host's where a user's is needed, or the other way round.
    #[error("it is of the wrong type: a {wanted} certificate is needed")]
    Type {
        /// `user` or `host`.
        wanted: &'static str,
    },
    /// Its life has not begun.
    #[error("it is not valid before {from} (seconds since 1970)")]
    NotYet {
        /// First second of its life.
        from: u64,
    },
    /// Its life is over.
    #[error("it expired at {until} (seconds since 1970)")]
    Expired {
        /// First second after its life.
        until: u64,
    },
    /// The key id is no user name.
    #[error("its key id {found:?} is no user name")]
    KeyId {
        /// As it stands in the certificate.
        found: String,
    },
    /// It names no principal, which elsewhere means anybody and here nobody.
    #[error("it names no principals")]
    NoPrincipals,
    /// It was made for a person whose roles allow no login.
    #[error("its holder's roles allowed no login when it was signed")]
    NoLogin,
    /// More principals than any certificate of this cluster has.
    #[error("it names {count} principals, more than {CERTIFICATE_PRINCIPALS}")]
    TooManyPrincipals {
        /// How many.
        count: usize,
    },
    /// A principal that is no login, such as one with a comma or a control character.
    #[error("its principal {found:?} is no login")]
    Principal {
        /// As it stands in the certificate.
        found: String,
    },
    /// The name that was asked for is not among the principals.
    #[error("{asked:?} is not among its principals {named}")]
    NotNamed {
        /// As asked for.
        asked: String,
        /// The principals.
        named: String,
    },
    /// A critical option that is not known here.
    #[error("its critical option {name:?} is not supported")]
    CriticalOption {
        /// The option.
        name: String,
    },
    /// The client is not where the certificate may be used.
    #[error("its critical option source-address ({allowed:?}) does not hold {client}")]
    SourceAddress {
        /// As it stands in the certificate.
        allowed: String,
        /// The client's address, or that it is not known.
        client: String,
    },
    /// What it is for cannot be read.
    #[error("its critical option {ONLY_OPTION} ({found:?}) cannot be read")]
    Only {
        /// As it stands in the certificate.
        found: String,
    },
    /// It was for one terminal, and is shown too late.
    #[error(
        "it was for one terminal, and had to be shown before {before} (milliseconds since 1970)"
    )]
    Late {
        /// First moment at which it was too late.
        before: i64,
    },
    /// It was for one terminal of one proxy, and another carries it, or none.
    #[error("it was signed for a terminal of proxy {meant}, and came by {by}")]
    OtherProxy {
        /// For which proxy.
        meant: NodeName,
        /// By which it came, in words.
        by: String,
    },
    /// An extension of scry's own that cannot be read.
    #[error("its extension {name} cannot be read: {why}")]
    Extension {
        /// The extension.
        name: &'static str,
        /// Why not.
        why: String,
    },
}

impl CertificateFault {
    /// One sentence for the person: what to do, and nothing that helps a forger.
    #[must_use]
    pub fn public(&self) -> &'static str {
        match self {
            Self::Expired { .. } => "your certificate has expired; run `scry login`",
            Self::NotYet { .. } => {
                "your certificate is not valid yet; compare the clocks of both machines"
            }
            Self::NoPrincipals | Self::NoLogin => {
                "your certificate names no login; ask an admin for a role, then run `scry login`"
            }
            Self::NotNamed { .. } => {
                "your certificate does not name this login; if your roles have changed, run `scry login`"
            }
            Self::SourceAddress { .. } => "your certificate may not be used from this address",
            Self::Late { .. } => {
                "this terminal was opened too late; open it again, and compare the clocks of the machines"
            }
            Self::CriticalOption { .. } | Self::Only { .. } => {
                "your certificate has a critical option that is not supported; run `scry login`"
            }
            _ => "this certificate does not count here; run `scry login`",
        }
    }
}

/// Reads a user certificate that a client logs in with.
///
/// The transport proves that the client holds the certificate's key; everything else is checked here: a plain
/// signing key in `authorities`, signature, type, times (`valid after ≤ now < valid before`), key id, principals
/// (none means nobody) with `login` among them, every critical option (`source-address` and [`ONLY_OPTION`] are supported), and
/// the extensions with roles and logins. Unknown extensions are ignored, as PROTOCOL.certkeys asks.
///
/// # Errors
/// A [`Denial`] with the first [`CertificateFault`].
pub fn read_certificate(
    certificate: &Certificate,
    login: &str,
    authorities: &[PublicKey],
    client: Option<IpAddr>,
    now: Time,
) -> Result<Identity, Denial> {
    let action = Action::Certificate { login: login.to_owned() };
    read_user(certificate, Some(login), action, authorities, client, now)
}

/// Reads a user certificate that a client joins a session with: everything is checked as by [`read_certificate`], but no
/// login is asked for, so that one made for a person without any counts too. Whoever was read like this still logs in
/// only as a principal of the certificate.
///
/// # Errors
/// A [`Denial`] with the first [`CertificateFault`].
pub fn read_certificate_for_seat(
    certificate: &Certificate,
    authorities: &[PublicKey],
    client: Option<IpAddr>,
    now: Time,
) -> Result<Identity, Denial> {
    read_user(certificate, None, Action::SeatCertificate, authorities, client, now)
}

fn read_user(
    certificate: &Certificate,
    login: Option<&str>,
    action: Action,
    authorities: &[PublicKey],
    client: Option<IpAddr>,
    now: Time,
) -> Result<Identity, Denial> {
    let known = check_signed(certificate, authorities, CertType::User)
        .and_then(|()| read_key_id(certificate));
    let user = match known {
        Ok(user) => user,
        Err(fault) => return Err(Denial::new(None, action, Why::Certificate(fault))),
    };
    read_paper(certificate, user.clone(), login, client, now)
        .map_err(|fault| Denial::new(Some(&user), action, Why::Certificate(fault)))
}

/// Whether a certificate that is for one terminal comes by the proxy that it was signed for, `by` being the one that carries
/// the connection. Others may come by any, or by none.
///
/// # Errors
/// A [`Denial`] with [`CertificateFault::OtherProxy`].
pub fn carried(who: &Identity, by: Option<&NodeName>) -> Result<(), Denial> {
    let Some(only) = who.only().filter(|only| Some(&only.proxy) != by) else { return Ok(()) };
    let by = by.map_or_else(|| "none".to_owned(), |by| format!("proxy {by}"));
    let fault = CertificateFault::OtherProxy { meant: only.proxy.clone(), by };
    Err(Denial::new(Some(who.user()), Action::SeatCertificate, Why::Certificate(fault)))
}

/// A host that was believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostIdentity {
    /// Its certificate's key id, for people.
    pub key_id: String,
    /// First moment at which it no longer counts.
    pub expires: Time,
}

/// Reads a host certificate that a server shows to a client who typed `name`.
///
/// # Errors
/// A [`Denial`] with the first [`CertificateFault`].
pub fn read_host_certificate(
    certificate: &Certificate,
    name: &str,
    authorities: &[PublicKey],
    now: Time,
) -> Result<HostIdentity, Denial> {
    check_host(certificate, name, authorities, now).map_err(|fault| {
        Denial::new(
            None,
            Action::HostCertificate { name: name.to_owned() },
            Why::Certificate(fault),
        )
    })
}

fn check_host(
    certificate: &Certificate,
    name: &str,
    authorities: &[PublicKey],
    now: Time,
) -> Result<HostIdentity, CertificateFault> {
    check_signed(certificate, authorities, CertType::Host)?;
    let expires = check_times(certificate, now)?;
    let principals = certificate.valid_principals();
    check_count(principals)?;
    let asked = name.to_ascii_lowercase();
    if !principals.contains(&asked) {
        return Err(not_named(name, principals));
    }
    match certificate.critical_options().keys().next() {
        Some(option) => Err(CertificateFault::CriticalOption { name: option.clone() }),
        None => Ok(HostIdentity { key_id: certificate.key_id().to_owned(), expires }),
    }
}

/// Signing key, signature and type. What stands in a certificate may be believed, and quoted, only behind this.
fn check_signed(
    certificate: &Certificate,
    authorities: &[PublicKey],
    wanted: CertType,
) -> Result<(), CertificateFault> {
    let signer = certificate.signature_key();
    if signer.is_certificate() || signer.algorithm().to_string().contains("-cert-v0") {
        return Err(CertificateFault::SignedByCertificate);
    }
    let fingerprint = signer.fingerprint(HashAlg::Sha256);
    if !authorities.iter().any(|authority| authority.key_data() == signer) {
        return Err(CertificateFault::Authority { fingerprint: fingerprint.to_string() });
    }
    // `validate_at` is the public door to the signature; given the first second of the certificate's own life,
    // its check of times passes unless that life is empty. The real check of times is `check_times`.
    certificate
        .validate_at(certificate.valid_after(), [&fingerprint])
        .map_err(|_| CertificateFault::Signature)?;
    if certificate.cert_type() != wanted {
        let wanted = if wanted == CertType::User { "user" } else { "host" };
        return Err(CertificateFault::Type { wanted });
    }
    Ok(())
}

fn read_key_id(certificate: &Certificate) -> Result<UserName, CertificateFault> {
    let found = certificate.key_id();
    found.parse().map_err(|_| CertificateFault::KeyId { found: found.to_owned() })
}

fn read_paper(
    certificate: &Certificate,
    user: UserName,
    login: Option<&str>,
    client: Option<IpAddr>,
    now: Time,
) -> Result<Identity, CertificateFault> {
    let expires = check_times(certificate, now)?;
    let principals = read_principals(certificate)?;
    let login = login.map(|login| find_named(login, certificate, &principals)).transpose()?;
    let only = check_options(certificate.critical_options(), client, now)?;
    let extensions = certificate.extensions();
    let permits = |name: &str| extensions.contains_key(name);
    let paper = Paper {
        serial: certificate.serial(),
        principals,
        login,
        permits_pty: permits("permit-pty"),
        permits_ports: permits("permit-port-forwarding"),
        permits_agent: permits("permit-agent-forwarding"),
        permits_x11: permits("permit-X11-forwarding"),
        only,
    };
    Ok(Identity {
        user,
        roles: read_names(extensions, ROLES_EXTENSION)?,
        logins: read_names(extensions, LOGINS_EXTENSION)?,
        expires,
        certificate: Some(paper),
    })
}

/// `valid after ≤ now < valid before`; returns the end.
fn check_times(certificate: &Certificate, now: Time) -> Result<Time, CertificateFault> {
    let (from, until) = (certificate.valid_after(), certificate.valid_before());
    if now < from_seconds(from) {
        return Err(CertificateFault::NotYet { from });
    }
    let end = from_seconds(until);
    if now >= end {
        return Err(CertificateFault::Expired { until });
    }
    Ok(end)
}

fn from_seconds(seconds: u64) -> Time {
    Time(i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1000))
}

fn check_count(principals: &[String]) -> Result<(), CertificateFault> {
    match principals.len() {
        0 => Err(CertificateFault::NoPrincipals),
        count if count > CERTIFICATE_PRINCIPALS => {
            Err(CertificateFault::TooManyPrincipals { count })
        }
        _ => Ok(()),
    }
}

/// Logins; empty for who had none when it was signed.
fn read_principals(certificate: &Certificate) -> Result<BTreeSet<Login>, CertificateFault> {
    let principals = certificate.valid_principals();
    check_count(principals)?;
    if principals == [NO_LOGIN] {
        return Ok(BTreeSet::new());
    }
    let read = |found: &String| {
        found.parse().map_err(|_| CertificateFault::Principal { found: found.clone() })
    };
    principals.iter().map(read).collect()
}

fn find_named(
    asked: &str,
    certificate: &Certificate,
    principals: &BTreeSet<Login>,
) -> Result<Login, CertificateFault> {
    if principals.is_empty() {
        return Err(CertificateFault::NoLogin);
    }
    let named = asked.parse::<Login>().ok().filter(|login| principals.contains(login));
    named.ok_or_else(|| not_named(asked, certificate.valid_principals()))
}

fn not_named(asked: &str, principals: &[String]) -> CertificateFault {
    CertificateFault::NotNamed { asked: asked.to_owned(), named: format!("{principals:?}") }
}

/// Answers what it is for, if for one thing only.
fn check_options(
    options: &OptionsMap,
    client: Option<IpAddr>,
    now: Time,
) -> Result<Option<Only>, CertificateFault> {
    let mut only = None;
    for (name, value) in options.iter() {
        match name.as_str() {
            "source-address" => check_address(value, client)?,
            ONLY_OPTION => only = Some(value.parse::<Only>()?),
            _ => return Err(CertificateFault::CriticalOption { name: name.clone() }),
        }
    }
    match only {
        Some(Only { before, .. }) if now >= before => {
            Err(CertificateFault::Late { before: before.0 })
        }
        only => Ok(only),
    }
}

fn check_address(allowed: &str, client: Option<IpAddr>) -> Result<(), CertificateFault> {
    if client.and_then(|client| address::list_holds(allowed, client)) == Some(true) {
        return Ok(());
    }
    let client = client.map_or("an unknown address".to_owned(), |client| client.to_string());
    Err(CertificateFault::SourceAddress { allowed: allowed.to_owned(), client })
}

fn read_names<N: FromStr<Err = model::NameError> + Ord>(
    extensions: &OptionsMap,
    name: &'static str,
) -> Result<BTreeSet<N>, CertificateFault> {
    let Some(text) = extensions.get(name).filter(|text| !text.is_empty()) else {
        return Ok(BTreeSet::new());
    };
    let fault = |why: String| CertificateFault::Extension { name, why };
    if text.len() > CERTIFICATE_NAMES_BYTES || text.split(',').count() > CERTIFICATE_NAMES {
        return Err(fault("it is longer than this cluster ever writes it".to_owned()));
    }
    text.split(',')
        .map(|name| name.parse().map_err(|error: N::Err| fault(error.to_string())))
        .collect()
}

//! Reading a user certificate: everything that OpenSSH's PROTOCOL.certkeys asks for, and default deny for what it leaves open.

use crate::identity::Logins;
use crate::{Denial, Identity};
use model::{Login, RoleName, Time, UserName};
use ssh_key::certificate::{CertType, Certificate};
use ssh_key::public::KeyData;
use std::net::IpAddr;
use wire_names::ROLES_EXTENSION;

/// Names that a certificate carries.
pub(crate) mod wire_names {
    /// Extension with the roles, separated by commas; suffixed, as PROTOCOL.certkeys asks of names outside OpenSSH.
    pub const ROLES_EXTENSION: &str = "roles@scry";
}

/// Principals and roles of one certificate, at most.
const NAMES: usize = 256;

/// Reads a certificate that a client offers for `login`.
///
/// `authorities` are the user authority's plain keys. The caller has checked that the client holds the certified key.
/// `client` is the client's address, for `source-address`.
///
/// # Errors
/// The first reason for which the certificate does not count.
pub fn read_certificate(
    certificate: &Certificate,
    login: &str,
    authorities: &[ssh_key::PublicKey],
    client: Option<IpAddr>,
    now: Time,
) -> Result<Identity, Denial> {
    let denied = |why: String| Denial::new(format!("sign in as {}", shown(login)), why);
    trusted(certificate, CertType::User, authorities, now).map_err(denied)?;
    critical_options(certificate, client).map_err(denied)?;
    let user: UserName = certificate
        .key_id()
        .parse()
        .map_err(|error| denied(format!("the key id is no user name: {error}")))?;
    let principals = names::<Login>(certificate.valid_principals().iter().map(String::as_str))
        .map_err(|why| denied(format!("the principals are not usable: {why}")))?;
    if principals.is_empty() {
        // OpenSSH's sshd refuses these too, though the specification lets them stand for anybody.
        return Err(denied("the certificate names no principal".to_owned()));
    }
    if !principals.iter().any(|principal| principal.as_str() == login) {
        return Err(denied("the login is not among the certificate's principals".to_owned()));
    }
    let roles = certificate.extensions().get(ROLES_EXTENSION).map_or("", String::as_str);
    let roles = names::<RoleName>(roles.split(',').filter(|name| !name.is_empty()))
        .map_err(|why| denied(format!("the roles are not usable: {why}")))?;
    Ok(Identity {
        user,
        roles,
        logins: Logins::Certified(principals),
        serial: certificate.serial(),
        expires: end(certificate),
    })
}

/// What user and host certificates have in common: type, authority, signature, time.
pub(crate) fn trusted(
    certificate: &Certificate,
    kind: CertType,
    authorities: &[ssh_key::PublicKey],
    now: Time,
) -> Result<(), String> {
    if certificate.cert_type() != kind {
        return Err(format!("the certificate is of type {:?}", certificate.cert_type()));
    }
    // Ours are Ed25519. Comparing whole keys also keeps out a "key" that is itself a certificate (CVE-2025-49825).
    if !matches!(certificate.signature_key(), KeyData::Ed25519(_)) {
        return Err("the certificate is not signed by an Ed25519 key".to_owned());
    }
    if !authorities.iter().any(|key| key.key_data() == certificate.signature_key()) {
        return Err("the certificate is signed by another authority".to_owned());
    }
    certificate.verify_signature().map_err(|_| "the certificate's signature does not hold".to_owned())?;
    let seconds = u64::try_from(now.seconds()).unwrap_or(0);
    if seconds < certificate.valid_after() {
        return Err("the certificate is not valid yet".to_owned());
    }
    if seconds >= certificate.valid_before() {
        return Err("the certificate has expired".to_owned());
    }
    Ok(())
}

/// First moment at which a certificate no longer counts.
pub(crate) fn end(certificate: &Certificate) -> Time {
    let seconds = i64::try_from(certificate.valid_before()).unwrap_or(i64::MAX);
    Time(seconds.saturating_mul(1000))
}

/// Every critical option must be known; one that is not, refuses.
fn critical_options(certificate: &Certificate, client: Option<IpAddr>) -> Result<(), String> {
    for (name, value) in certificate.critical_options().iter() {
        match name.as_str() {
            "source-address" => source_address(value, client)?,
            other => return Err(format!("the critical option {:?} is not supported", shown(other))),
        }
    }
    Ok(())
}

/// A comma-separated list of addresses in CIDR form, as sshd_config's Match Address has it, without negation.
fn source_address(list: &str, client: Option<IpAddr>) -> Result<(), String> {
    let Some(client) = client else {
        return Err("the certificate is bound to addresses, and the client's is not known".to_owned());
    };
    if list.split(',').any(|range| within(range.trim(), client)) {
        return Ok(());
    }
    Err(format!("the certificate does not count from {client}"))
}

/// Whether an address lies in a range; a range that cannot be read holds nothing.
fn within(range: &str, client: IpAddr) -> bool {
    let (base, bits) = range.split_once('/').map_or((range, None), |(base, bits)| (base, Some(bits)));
    let Ok(base) = base.parse::<IpAddr>() else { return false };
    let (base, client, width) = match (base, client.to_canonical()) {
        (IpAddr::V4(base), IpAddr::V4(client)) => {
            (u128::from(base.to_bits()), u128::from(client.to_bits()), 32)
        }
        (IpAddr::V6(base), IpAddr::V6(client)) => (base.to_bits(), client.to_bits(), 128),
        _ => return false,
    };
    let bits = match bits.map(str::parse::<u32>) {
        None => width,
        Some(Ok(bits)) if bits <= width => bits,
        Some(_) => return false,
    };
    let shift = width - bits;
    base.checked_shr(shift).unwrap_or(0) == client.checked_shr(shift).unwrap_or(0)
}

fn names<'a, N: std::str::FromStr<Err = model::NameError>>(
    texts: impl Iterator<Item = &'a str>,
) -> Result<Vec<N>, String> {
    let mut found = Vec::new();
    for text in texts {
        if found.len() == NAMES {
            return Err(format!("there are more than {NAMES}"));
        }
        found.push(text.parse().map_err(|error: model::NameError| error.to_string())?);
    }
    Ok(found)
}

/// Text from a client, fit for a ledger and a terminal.
fn shown(text: &str) -> String {
    text.chars().take(64).map(|c| if c.is_control() { '·' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_lies_in_a_range_or_does_not() {
        for (range, client, inside) in [
            ("10.0.0.0/8", "10.1.2.3", true),
            ("10.0.0.0/8", "11.1.2.3", false),
            ("127.0.0.1", "127.0.0.1", true),
            ("127.0.0.1", "::ffff:127.0.0.1", true),
            ("0.0.0.0/0", "8.8.8.8", true),
            ("::/0", "::1", true),
            ("::/0", "127.0.0.1", false),
            ("10.0.0.0/33", "10.0.0.1", false),
            ("!10.0.0.0/8", "10.0.0.1", false),
            ("", "10.0.0.1", false),
            ("2001:db8::/32", "2001:db8:1::1", true),
            ("2001:db8::/32", "2001:db9::1", false),
        ] {
            assert_eq!(within(range, client.parse().unwrap()), inside, "{client} in {range}");
        }
    }
}

//! Reading a host certificate: is this the machine whose name was asked for?

use crate::Denial;
use crate::certificate::{end, trusted};
use model::Time;
use ssh_key::certificate::{CertType, Certificate};

/// Reads the certificate of a host that was reached as `name`, and gives the first moment at which it no longer counts.
///
/// The caller has checked that the host holds the certified key.
///
/// # Errors
/// The first reason for which it does not count.
pub fn read_host_certificate(
    certificate: &Certificate,
    name: &str,
    authorities: &[ssh_key::PublicKey],
    now: Time,
) -> Result<Time, Denial> {
    let denied = |why: String| Denial::new(format!("trust the host that answers as {name}"), why);
    trusted(certificate, CertType::Host, authorities, now).map_err(denied)?;
    if !certificate.critical_options().is_empty() {
        return Err(denied("a host certificate has no critical options".to_owned()));
    }
    let principals = certificate.valid_principals();
    if !principals.iter().any(|principal| principal.eq_ignore_ascii_case(name)) {
        return Err(denied(format!("its certificate is for {}", principals.join(", "))));
    }
    Ok(end(certificate))
}

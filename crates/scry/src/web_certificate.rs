//! The certificate for browsers that an admin has from elsewhere: read at the start, and again when its files change or somebody
//! says so (SIGHUP). What cannot be used is never shown; what was shown before then stays.

use crate::show::now;
use anyhow::{Context as _, Result, bail};
use link::http::words;
use link::tls::{TlsIdentity, WebBadge, WebCertificate};
use metrics::gauge;
use model::Time;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;
use store::keys::{read_private, read_public};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Between two looks at the files.
const LOOK: Duration = Duration::from_secs(5);
/// Before its end the log says once a day that nobody has renewed it.
const SOON_MS: i64 = 14 * DAY_MS;
const DAY_MS: i64 = 24 * 3_600_000;

/// Where it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// PEM, the leaf first.
    pub chain: PathBuf,
    /// PEM, without a password.
    pub key: PathBuf,
}

impl Files {
    /// Reads both for the first time. `public` is the name by which people are told to come, if it must be for that.
    pub fn begin(&self, public: Option<&str>) -> Result<(WebBadge, Kept)> {
        let (identity, certificate) = self.read()?;
        if let Some(host) = public.filter(|host| !certificate.is_for(host)) {
            bail!(
                "the certificate in {} is for {}, and people are told to come to {host} (--public-address)",
                self.chain.display(),
                certificate.names().join(", ")
            );
        }
        told(&certificate);
        let badge = WebBadge::new(certificate);
        let kept = Kept {
            files: self.clone(),
            badge: badge.clone(),
            seen: Some(identity),
            warned: Time(0),
        };
        Ok((badge, kept))
    }

    fn read(&self) -> Result<(TlsIdentity, WebCertificate)> {
        let identity = self.identity()?;
        let both = || format!("{} and {} cannot be used", self.chain.display(), self.key.display());
        let certificate = WebCertificate::read(&identity, now()).with_context(both)?;
        Ok((identity, certificate))
    }

    fn identity(&self) -> Result<TlsIdentity> {
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        let chain =
            read_public(&self.chain).context("the certificate for browsers cannot be read")?;
        // Where tools that renew certificates leave a link to the newest.
        let place = self.key.canonicalize();
        let place =
            place.with_context(|| format!("{}: there is no such key", self.key.display()))?;
        let key = read_private(&place)
            .context("the key of the certificate for browsers cannot be read")?;
        Ok(TlsIdentity::new(text(chain), text(key.to_vec())))
    }
}

/// The host of `HOST:PORT`, if it is a name.
pub fn host(address: &str) -> Option<&str> {
    let (host, _) = address.rsplit_once(':')?;
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare.parse::<IpAddr>().is_err().then_some(host)
}

/// What is shown, and from where.
pub struct Kept {
    files: Files,
    badge: WebBadge,
    /// What the files held when they were looked at last.
    seen: Option<TlsIdentity>,
    warned: Time,
}

impl Kept {
    /// Looks again until `stop`.
    pub async fn keep(mut self, stop: CancellationToken) -> Result<&'static str> {
        let mut asked = signal(SignalKind::hangup()).context("SIGHUP cannot be waited for")?;
        loop {
            let anew = tokio::select! {
                () = stop.cancelled() => return Ok("the certificate for browsers"),
                _ = asked.recv() => true,
                () = tokio::time::sleep(LOOK) => false,
            };
            self = tokio::task::spawn_blocking(move || {
                self.look(anew);
                self
            })
            .await
            .context("the certificate for browsers")?;
        }
    }

    /// Shows what the files hold, if it is something else; always tries, and says so, if somebody asked.
    fn look(&mut self, asked: bool) {
        let held = self.files.identity();
        let same = match (&held, &self.seen) {
            (Ok(held), Some(seen)) => held.chain == seen.chain && held.key == seen.key,
            (Err(_), None) => true,
            _ => false,
        };
        if !same || asked {
            match self.files.read() {
                Ok((_, certificate)) => {
                    told(&certificate);
                    self.badge.replace(certificate);
                    self.warned = Time(0);
                }
                Err(error) => {
                    let error = words(error.as_ref());
                    tracing::error!(error, "the certificate for browsers stays as it was");
                }
            }
            self.seen = held.ok();
        }
        let now = now();
        let left = self.badge.current().map_or(0, |shown| shown.expires().0.saturating_sub(now.0));
        if left < SOON_MS && now.0.saturating_sub(self.warned.0) > DAY_MS {
            self.warned = now;
            let days = left.div_euclid(DAY_MS);
            tracing::warn!(
                days,
                "the certificate for browsers ends soon, and nobody has renewed it"
            );
        }
    }
}

fn told(certificate: &WebCertificate) {
    let expires = certificate.expires();
    gauge!("scry_proxy_web_certificate_expires").set(expires.seconds() as f64);
    said(certificate);
}

/// Tells the log that it is shown.
pub fn said(certificate: &WebCertificate) {
    let (names, expires) = (certificate.names().join(", "), certificate.expires());
    tracing::info!(names, expires = expires.0, "the certificate for browsers is shown");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_of_an_address_is_a_name_or_says_nothing_here() {
        for (address, expected) in [
            ("scry.example:4422", Some("scry.example")),
            ("192.0.2.1:4422", None),
            ("[2001:db8::1]:443", None),
            ("scry.example", None),
        ] {
            assert_eq!(host(address), expected, "{address}");
        }
    }
}

//! Words of the command line that are read by hand: invitations, labels, spans of time.

use std::str::FromStr;

/// An invitation as text: address, pin of the cluster's authority, secret code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invitation {
    /// Where the cluster is.
    pub address: String,
    /// Pin of its TLS authority.
    pub pin: String,
    /// Secret.
    pub code: String,
}

impl Invitation {
    /// Where a person takes it up in a browser. The code stands behind the `#`, so that no server sees it but by the page.
    pub fn page(&self) -> String {
        format!("https://{}/invitation#{}", self.address, self.code)
    }
}

impl std::fmt::Display for Invitation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "scry://{}/{}/{}", self.address, self.pin, self.code)
    }
}

impl FromStr for Invitation {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = "an invitation looks like scry://ADDRESS:PORT/PIN/CODE; copy all of it";
        let mut parts = text.trim().strip_prefix("scry://").ok_or(wrong)?.splitn(3, '/');
        match (parts.next(), parts.next(), parts.next()) {
            (Some(address), Some(pin), Some(code)) if !address.is_empty() && !code.is_empty() => {
                let pinned = pin.len() == 64 && pin.bytes().all(|b| b.is_ascii_hexdigit());
                let (address, pin, code) = (address.into(), pin.into(), code.into());
                if pinned { Ok(Self { address, pin, code }) } else { Err(wrong) }
            }
            _ => Err(wrong),
        }
    }
}

/// A label such as `env=prod`.
pub fn label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => {
            Ok((key.trim().to_owned(), value.trim().to_owned()))
        }
        _ => Err(format!("{text:?} is no label; say it like env=prod")),
    }
}

/// A span of time such as `90s`, `30m`, `8h`, `7d`, in milliseconds.
pub fn span(text: &str) -> Result<u64, String> {
    let wrong = || format!("{text:?} is no span of time; say it like 90s, 30m, 8h or 7d");
    let (number, unit) = text.split_at(text.len().saturating_sub(1));
    let each = match unit {
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(wrong()),
    };
    number.parse::<u64>().ok().and_then(|n| n.checked_mul(each)).ok_or_else(wrong)
}

//! Who a peer is: read from the SAN URI of its verified certificate.

use super::TlsError;
use model::{NodeName, Time, UserName};
use std::fmt;
use std::net::SocketAddr;
use x509_parser::extensions::GeneralName;

/// Who a certificate speaks for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum PeerIdentity {
    /// A person: `scry://user/NAME`.
    User(UserName),
    /// A node: `scry://node/NAME`.
    Node(NodeName),
    /// A proxy: `scry://proxy/NAME`.
    Proxy(NodeName),
    /// No certificate, or one that names nobody.
    Nobody,
}

impl PeerIdentity {
    /// The URI that stands in its certificate; nobody has none.
    #[must_use]
    pub fn uri(&self) -> Option<String> {
        match self {
            Self::User(name) => Some(format!("scry://user/{name}")),
            Self::Node(name) => Some(format!("scry://node/{name}")),
            Self::Proxy(name) => Some(format!("scry://proxy/{name}")),
            Self::Nobody => None,
        }
    }

    /// Reads a URI; `None` if it is none of scry's.
    #[must_use]
    pub fn of_uri(uri: &str) -> Option<Self> {
        let (kind, name) = uri.strip_prefix("scry://")?.split_once('/')?;
        match kind {
            "user" => name.parse().ok().map(Self::User),
            "node" => name.parse().ok().map(Self::Node),
            "proxy" => name.parse().ok().map(Self::Proxy),
            _ => None,
        }
    }
}

impl fmt::Display for PeerIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(name) => write!(f, "user {name}"),
            Self::Node(name) => write!(f, "node {name}"),
            Self::Proxy(name) => write!(f, "proxy {name}"),
            Self::Nobody => f.write_str("nobody"),
        }
    }
}

/// The other end of a connection; in the extensions of each request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Who it is, by its verified certificate.
    pub identity: PeerIdentity,
    /// Where it comes from.
    pub address: SocketAddr,
    /// First moment of its certificate.
    pub since: Option<Time>,
    /// Last moment of its certificate.
    pub expires: Option<Time>,
    /// Pin of its key: SHA-256 of the SubjectPublicKeyInfo, hexadecimal. Two machines never share one.
    pub key: Option<String>,
}

impl Peer {
    /// A peer without a certificate.
    #[must_use]
    pub fn nobody(address: SocketAddr) -> Self {
        Self { identity: PeerIdentity::Nobody, address, since: None, expires: None, key: None }
    }

    /// Reads the leaf of a chain that TLS has verified.
    ///
    /// # Errors
    /// [`TlsError::Certificate`] when it cannot be read or names two identities.
    pub fn of_certificate(leaf: &[u8], address: SocketAddr) -> Result<Self, TlsError> {
        let facts = Facts::read(leaf)?;
        let (since, expires) = (Some(facts.not_before), Some(facts.not_after));
        let key = super::spki_pin(leaf);
        Ok(Self { identity: facts.identity, address, since, expires, key })
    }
}

/// What scry reads from a certificate.
pub(super) struct Facts {
    pub(super) identity: PeerIdentity,
    pub(super) not_before: Time,
    pub(super) not_after: Time,
}

impl Facts {
    pub(super) fn read(der: &[u8]) -> Result<Self, TlsError> {
        let bad = |why: &dyn fmt::Display| TlsError::Certificate { why: why.to_string() };
        let (_, parsed) = x509_parser::parse_x509_certificate(der).map_err(|e| bad(&e))?;
        let names = parsed.subject_alternative_name().map_err(|e| bad(&e))?;
        let mut found = names
            .iter()
            .flat_map(|names| names.value.general_names.iter())
            .filter_map(|name| match name {
                GeneralName::URI(uri) => Some(*uri),
                _ => None,
            })
            .filter(|uri| uri.starts_with("scry:"));
        let identity = match (found.next(), found.next()) {
            (None, _) => PeerIdentity::Nobody,
            (Some(uri), None) => PeerIdentity::of_uri(uri)
                .ok_or_else(|| bad(&"it names no user, node or proxy that could exist"))?,
            (Some(_), Some(_)) => return Err(bad(&"it names two identities")),
        };
        let ms = |seconds: i64| Time(seconds.saturating_mul(1000));
        Ok(Self {
            identity,
            not_before: ms(parsed.validity().not_before.timestamp()),
            not_after: ms(parsed.validity().not_after.timestamp()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(uri: &str, wanted: Option<PeerIdentity>) {
        assert_eq!(PeerIdentity::of_uri(uri), wanted, "{uri}");
        if let Some(identity) = wanted {
            assert_eq!(identity.uri().as_deref(), Some(uri));
        }
    }

    #[test]
    fn only_whole_and_proper_uris_name_somebody() {
        check("scry://user/alice", Some(PeerIdentity::User("alice".parse().unwrap())));
        check("scry://node/web-01", Some(PeerIdentity::Node("web-01".parse().unwrap())));
        check("scry://proxy/p1", Some(PeerIdentity::Proxy("p1".parse().unwrap())));
        for odd in [
            "scry://user/",
            "scry://user/a,b",
            "scry://user/alice/more",
            "scry://node/Web",
            "scry://root/alice",
            "scry:user/alice",
            "https://user/alice",
            "",
        ] {
            check(odd, None);
        }
    }
}

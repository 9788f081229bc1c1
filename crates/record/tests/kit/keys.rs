//! The keys of the cluster that wrote the recordings of the tests and of the fuzz corpus, and headings by them.

use ed25519_dalek::{Signer, SigningKey};
use model::seal::SignerCertificate;
use model::{ConnectionId, Heading, Kind, NodeName, SessionId, Size, Time};

/// When every recording here began.
pub const STARTED: Time = Time(1_790_000_000_000);

/// The cluster's seal key.
pub fn seal_key() -> SigningKey {
    SigningKey::from_bytes(&[1; 32])
}

/// The node's signing key.
pub fn node_key() -> SigningKey {
    SigningKey::from_bytes(&[2; 32])
}

/// A heading whose signer is `node`, certified by `seal`.
pub fn heading_by(id: u8, kind: Kind, node: &SigningKey, seal: &SigningKey) -> Heading {
    let key = node.verifying_key().to_bytes();
    let name: NodeName = "web-01".parse().unwrap();
    let (from, to) = (STARTED.plus_ms(-1000), STARTED.plus_ms(1_000_000));
    let statement = SignerCertificate::statement(&key, &name, from, to);
    let terminal = kind == Kind::Shell;
    Heading {
        id: SessionId::from_random([id; 16]),
        connection: ConnectionId::from_random([id.wrapping_add(100); 16]),
        cluster: "example".into(),
        node: name.clone(),
        user: "alice".parse().unwrap(),
        login: "root".parse().unwrap(),
        roles: vec!["access".parse().unwrap()],
        client: "192.0.2.7:50222".into(),
        via: None,
        kind,
        size: terminal.then(Size::default),
        term: terminal.then(|| "xterm-256color".into()),
        started: STARTED,
        signer: SignerCertificate {
            key,
            node: name,
            not_before: from,
            not_after: to,
            issuer: seal.verifying_key().to_bytes(),
            signature: seal.sign(&statement).to_bytes().into(),
        },
    }
}

/// A shell's heading by the usual keys.
pub fn heading(id: u8) -> Heading {
    heading_by(id, Kind::Shell, &node_key(), &seal_key())
}

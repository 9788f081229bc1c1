//! The keys of the cluster that wrote the corpus: those of the recordings in `crates/record/tests`.

use ed25519_dalek::{Signer, SigningKey};
use model::seal::SignerCertificate;
use model::{ConnectionId, Heading, Kind, SessionId, Size, Time};

/// When every recording began.
const STARTED: Time = Time(1_790_000_000_000);

/// The cluster's seal key.
pub fn seal() -> SigningKey {
    SigningKey::from_bytes(&[1; 32])
}

/// The node's signing key.
pub fn node() -> SigningKey {
    SigningKey::from_bytes(&[2; 32])
}

/// A heading whose signer is the node, certified by the cluster.
pub fn heading() -> Heading {
    let key = node().verifying_key().to_bytes();
    let name: model::NodeName = "web-01".parse().expect("a name");
    let (from, to) = (STARTED.plus_ms(-1000), STARTED.plus_ms(1_000_000));
    let statement = SignerCertificate::statement(&key, &name, from, to);
    Heading {
        id: SessionId::from_random([1; 16]),
        connection: ConnectionId::from_random([101; 16]),
        cluster: "example".into(),
        node: name.clone(),
        user: "alice".parse().expect("a name"),
        login: "root".parse().expect("a name"),
        roles: vec!["access".parse().expect("a name")],
        client: "192.0.2.7:50222".into(),
        kind: Kind::Shell,
        size: Some(Size::default()),
        term: Some("xterm-256color".into()),
        started: STARTED,
        signer: SignerCertificate {
            key,
            node: name,
            not_before: from,
            not_after: to,
            issuer: seal().verifying_key().to_bytes(),
            signature: seal().sign(&statement).to_bytes().into(),
        },
    }
}

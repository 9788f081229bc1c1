//! The statements that a recording's signatures are made over. Bytes only; the keys live on higher floors.

use crate::{NodeName, Seq, SessionId, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Ed25519 public key, 32 bytes (RFC 8032).
pub type PublicKey = [u8; 32];

/// Ed25519 signature, 64 bytes, in two halves because serde's arrays end at 32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Signature(pub [u8; 32], pub [u8; 32]);

impl From<[u8; 64]> for Signature {
    fn from(bytes: [u8; 64]) -> Self {
        let (mut r, mut s) = ([0; 32], [0; 32]);
        r.copy_from_slice(bytes.split_at(32).0);
        s.copy_from_slice(bytes.split_at(32).1);
        Self(r, s)
    }
}

impl From<Signature> for [u8; 64] {
    fn from(signature: Signature) -> Self {
        let mut bytes = [0; 64];
        let (r, s) = bytes.split_at_mut(32);
        r.copy_from_slice(&signature.0);
        s.copy_from_slice(&signature.1);
        bytes
    }
}

/// The cluster's word that a node signs recordings with this key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignerCertificate {
    /// The node's signing key.
    pub key: PublicKey,
    /// The node.
    pub node: NodeName,
    /// First moment at which it may sign.
    pub not_before: Time,
    /// Last moment at which it may sign.
    pub not_after: Time,
    /// The cluster's seal key that certifies it.
    pub issuer: PublicKey,
    /// By `issuer` over [`SignerCertificate::statement`].
    pub signature: Signature,
}

impl SignerCertificate {
    /// The bytes that the cluster signs.
    #[must_use]
    pub fn statement(
        key: &PublicKey,
        node: &NodeName,
        not_before: Time,
        not_after: Time,
    ) -> Vec<u8> {
        let mut bytes = b"scry signer certificate v1\0".to_vec();
        bytes.extend_from_slice(key);
        bytes.extend_from_slice(&not_before.0.to_le_bytes());
        bytes.extend_from_slice(&not_after.0.to_le_bytes());
        bytes.extend_from_slice(node.as_str().as_bytes());
        bytes
    }
}

/// Head of a recording's chain: what a signature freezes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Chained records up to and with this one, the heading being number 1.
    pub records: u64,
    /// Last entry covered.
    pub seq: Seq,
    /// BLAKE3 chain value after that record.
    pub hash: [u8; 32],
}

impl Head {
    /// The bytes a node signs in a checkpoint; `at` is milliseconds since the recording began.
    #[must_use]
    pub fn checkpoint_statement(&self, id: &SessionId, at: u64) -> Vec<u8> {
        self.statement(b"scry checkpoint v1\0", id, &at.to_le_bytes())
    }

    /// The bytes auth signs when it has received (fsynced) everything up to this head.
    #[must_use]
    pub fn receipt_statement(&self, id: &SessionId, received: Time) -> Vec<u8> {
        self.statement(b"scry receipt v1\0", id, &received.0.to_le_bytes())
    }

    fn statement(&self, domain: &[u8], id: &SessionId, time: &[u8]) -> Vec<u8> {
        let mut bytes = domain.to_vec();
        bytes.extend_from_slice(id.as_bytes());
        bytes.extend_from_slice(&self.records.to_le_bytes());
        bytes.extend_from_slice(&self.seq.0.to_le_bytes());
        bytes.extend_from_slice(&self.hash);
        bytes.extend_from_slice(time);
        bytes
    }
}

/// Auth's countersignature: this head was on its disk at that time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// What was received.
    pub head: Head,
    /// When, by auth's clock.
    pub received: Time,
    /// The cluster's seal key.
    pub key: PublicKey,
    /// By `key` over [`Head::receipt_statement`].
    pub signature: Signature,
}

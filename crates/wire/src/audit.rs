//! The ledger: reading it, and proving that nothing was taken from it.

use crate::call;
use model::seal::{PublicKey, Signature};
use model::{AuditEvent, NodeName, SessionId, Time, UserName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which events to list. All conditions must hold. The answer may be shorter than what was asked for, where events are
/// long; behind the last one it is empty. Needs the right over the audit.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct ListAudit {
    /// After this number.
    pub after: Option<u64>,
    /// Before this number.
    #[serde(default)]
    pub before: Option<u64>,
    /// At or after this time.
    pub since: Option<Time>,
    /// Before this time.
    pub until: Option<Time>,
    /// By this user.
    pub user: Option<UserName>,
    /// On this node.
    pub node: Option<NodeName>,
    /// Of this session.
    pub session: Option<SessionId>,
    /// Whose word begins so, such as `session.`.
    pub word: Option<String>,
    /// At most so many; 0 is the default, 100, and 1000 the most.
    #[serde(default)]
    pub limit: u32,
    /// Newest first instead of oldest first.
    #[serde(default)]
    pub newest_first: bool,
}

/// One row of the ledger. `hash` is BLAKE3 over the previous row's hash, `number` (u64 LE) and the exact bytes of `event`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct LedgerRow {
    /// Counted from 1 without holes.
    pub number: u64,
    /// The event as its exact JSON text, which is what was hashed.
    pub event: String,
    /// Stable code of the event.
    pub code: String,
    /// Chain value after this row, hexadecimal.
    pub hash: String,
}

impl LedgerRow {
    /// The event, parsed; `None` if a newer version wrote it.
    #[must_use]
    pub fn parse(&self) -> Option<AuditEvent> {
        serde_json::from_str(&self.event).ok()
    }
}

/// Asks for the signed head. Needs the right over the audit.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ReadLedgerHead {}

/// The ledger's head: keep one, and nobody can take away what lies before it unseen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LedgerHead {
    /// Number of the last row.
    pub number: u64,
    /// Its chain value.
    pub hash: [u8; 32],
    /// When it was signed.
    pub time: Time,
    /// The ledger key.
    pub key: PublicKey,
    /// By `key` over [`LedgerHead::statement`].
    pub signature: Signature,
}

impl LedgerHead {
    /// The bytes that are signed.
    #[must_use]
    pub fn statement(number: u64, hash: &[u8; 32], time: Time) -> Vec<u8> {
        let mut bytes = b"scry ledger head v1\0".to_vec();
        bytes.extend_from_slice(&number.to_le_bytes());
        bytes.extend_from_slice(hash);
        bytes.extend_from_slice(&time.0.to_le_bytes());
        bytes
    }
}

call! {
    ListAudit, "audit/list", Vec<LedgerRow>;
    ReadLedgerHead, "audit/head", LedgerHead;
}

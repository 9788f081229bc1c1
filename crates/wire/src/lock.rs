//! Locks: making, listing, lifting.

use crate::{Done, call};
use model::lock::Reason;
use model::{Lock, LockId, LockTarget};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Locks something; what runs there ends at once. Needs the right over locks. Nobody can shut out the last who could
/// lift it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct AddLock {
    /// What.
    pub target: LockTarget,
    /// Why; for the ledger, the recordings of what it ends, and other admins.
    #[serde(default)]
    pub reason: Reason,
    /// How long it counts, in milliseconds; until it is lifted if not said.
    #[serde(default)]
    pub life_ms: Option<u64>,
    /// Whether the caller means it even if it shuts out themself.
    #[serde(default)]
    pub force: bool,
}

/// Lists the locks that count. Needs the right over locks.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ListLocks {}

/// Lifts a lock. Needs the right over locks.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct RemoveLock {
    /// Which.
    pub lock: LockId,
}

call! {
    AddLock, "locks/add", Lock;
    ListLocks, "locks/list", Vec<Lock>;
    RemoveLock, "locks/remove", Done;
}

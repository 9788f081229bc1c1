//! Roles as people write them and as they travel to nodes. What they mean is decided in `policy`, nowhere else.

use crate::{Correction, Lock, NodeName, RoleName, UserName};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Labels of a node, such as `env = prod`.
pub type Labels = BTreeMap<String, String>;

/// A role: what it allows, what it forbids whatever others allow, and on which terms.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Role {
    /// Its name, as it stands in certificates.
    pub name: RoleName,
    /// One line for people.
    #[serde(default)]
    pub description: String,
    /// What it allows.
    #[serde(default)]
    pub allow: Allow,
    /// What it forbids; beats every role's `allow`.
    #[serde(default)]
    pub deny: Deny,
    /// On which terms. With several roles the strictest counts.
    #[serde(default)]
    pub options: Options,
}

/// What a role allows. Everything not named is denied.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Allow {
    /// Logins; `{user}` stands for the user's own name, `{logins}` for the logins of the user's account.
    pub logins: Vec<String>,
    /// Labels a node must carry, each with its accepted values; `*` accepts any value, and `"*" = ["*"]` any node.
    pub nodes: BTreeMap<String, Vec<String>>,
    /// What may be forwarded.
    pub forward: Vec<Forwarding>,
    /// Whose recordings may be listed, played, exported, removed.
    pub recordings: BTreeMap<RecordingAction, Reading>,
    /// Parts of the cluster that may be administered.
    pub admin: Vec<AdminRight>,
}

/// What a role forbids.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Deny {
    /// Logins, as in [`Allow::logins`].
    pub logins: Vec<String>,
    /// Nodes by label, as in [`Allow::nodes`].
    pub nodes: BTreeMap<String, Vec<String>>,
}

/// Terms of a role.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// How sessions are recorded.
    pub record: Option<RecordingPolicy>,
    /// How they are recorded on some nodes, or as some logins; counts beside [`Options::record`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub record_where: Vec<RecordWhere>,
    /// Bytes of an exec stream kept whole; [`crate::limit::EXEC_STREAM_BYTES`] if not said.
    pub exec_stream_bytes: Option<u64>,
    /// Whether what is typed is recorded, besides that it was.
    pub record_typed: Option<bool>,
    /// Whether the contents of files that sftp and scp move are recorded, besides what was done; up to
    /// [`Options::exec_stream_bytes`] of each stream.
    pub record_transfers: Option<bool>,
    /// Life of certificates, in minutes.
    pub certificate_minutes: Option<u32>,
    /// Longest session, in minutes.
    pub session_minutes: Option<u32>,
    /// Longest time without input, in minutes.
    pub idle_minutes: Option<u32>,
    /// Whether sessions end when the certificate that they were opened with expires; they do if no role says.
    pub disconnect_expired: Option<bool>,
}

/// How sessions are recorded where both conditions hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordWhere {
    /// Labels of the node, as in [`Allow::nodes`]; any node if nothing is said.
    #[serde(default)]
    pub nodes: BTreeMap<String, Vec<String>>,
    /// Logins, as in [`Allow::logins`]; any login if nothing is said.
    #[serde(default)]
    pub logins: Vec<String>,
    /// How.
    pub record: RecordingPolicy,
}

/// Services of a connection beside its sessions. Variants are appended, never reordered: recordings count them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Forwarding {
    /// The client's agent (`-A`).
    Agent,
    /// From the client to where the node can reach (`-L`, `-D`), ports and sockets.
    Local,
    /// From a port or a socket on the node to the client (`-R`).
    Remote,
    /// The client's display (`-X`, `-Y`).
    X11,
}

impl Forwarding {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Agent, Self::Local, Self::Remote, Self::X11];

    /// Its word, as roles name it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Local => "local",
            Self::Remote => "remote",
            Self::X11 => "x11",
        }
    }
}

/// What may be done with a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RecordingAction {
    /// See that it exists.
    List,
    /// Look at it, live or afterwards.
    Play,
    /// Take it away.
    Export,
    /// Remove it, leaving its tombstone.
    Remove,
}

/// Whose recordings.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reading {
    /// Nobody's.
    None,
    /// One's own.
    Own,
    /// Those made on nodes with these labels, as in [`Allow::nodes`].
    Nodes(BTreeMap<String, Vec<String>>),
    /// Everybody's.
    All,
}

/// A part of the cluster that may be administered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AdminRight {
    /// Users and invitations.
    Users,
    /// Roles, and questions about what they allow.
    Roles,
    /// Nodes and join tokens.
    Nodes,
    /// Read the ledger.
    Audit,
    /// Locks.
    Locks,
}

/// What happens when recording cannot keep up or fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RecordingPolicy {
    /// Not recorded; the ledger still says that it was.
    Off,
    /// Goes on, spools locally, catches up.
    Spool,
    /// Waits for auth, and ends if it cannot be recorded.
    Strict,
}

/// What a node needs to know of itself to be decided about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeFacts {
    /// Its name.
    pub name: NodeName,
    /// Its labels.
    pub labels: Labels,
}

/// Everything a decision needs that is the same for everybody; a higher `rev` replaces a lower one.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RoleSet {
    /// Counts changes.
    pub rev: u64,
    /// The roles, by name.
    pub roles: BTreeMap<RoleName, Role>,
    /// Locks, by number.
    #[serde(default)]
    pub locks: Vec<Lock>,
    /// People whose accounts were changed or removed while certificates of theirs may still be in use.
    #[serde(default)]
    pub corrections: BTreeMap<UserName, Correction>,
}

//! What a recording says about itself before anything happens in it.

use crate::seal::SignerCertificate;
use crate::{ConnectionId, Login, NodeName, RoleName, SessionId, Size, Time, UserName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// First record of a recording; covered by its signatures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heading {
    /// The recording, which is the session.
    pub id: SessionId,
    /// The connection that carried the session.
    pub connection: ConnectionId,
    /// Name of the cluster.
    pub cluster: String,
    /// The machine.
    pub node: NodeName,
    /// Whose certificate it was.
    pub user: UserName,
    /// The account on the machine.
    pub login: Login,
    /// Roles in the certificate.
    pub roles: Vec<RoleName>,
    /// Address of the client as the node saw it.
    pub client: String,
    /// The proxy that opened it for somebody in a browser, if one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<NodeName>,
    /// What was asked for.
    pub kind: Kind,
    /// The terminal's size, if there is one.
    pub size: Option<Size>,
    /// Value of TERM, if there is a terminal.
    pub term: Option<String>,
    /// When it began; every entry's time counts from here.
    pub started: Time,
    /// The key that signs the checkpoints, certified by the cluster.
    pub signer: SignerCertificate,
}

/// What a session channel was asked to run, or what else the recording is of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Kind {
    /// A login shell.
    Shell,
    /// One command. Bytes that are no UTF-8 are shown escaped.
    Exec {
        /// As the client sent it.
        command: String,
    },
    /// A named service such as `sftp`.
    Subsystem {
        /// Its name.
        name: String,
    },
    /// No session: what belongs to the connection itself, see [`crate::entry::Forward`].
    Connection,
    /// No session any more: what the processes do that a session has left running.
    Aftermath {
        /// Which session that was.
        of: SessionId,
    },
}

impl Kind {
    /// One word for lists: `shell`, `exec`, `connection`, `aftermath`, or the subsystem's name.
    #[must_use]
    pub fn word(&self) -> &str {
        match self {
            Self::Shell => "shell",
            Self::Exec { .. } => "exec",
            Self::Subsystem { name } => name,
            Self::Connection => "connection",
            Self::Aftermath { .. } => "aftermath",
        }
    }

    /// Of which session it is the aftermath, if it is one.
    #[must_use]
    pub fn aftermath_of(&self) -> Option<SessionId> {
        match self {
            Self::Aftermath { of } => Some(*of),
            Self::Shell | Self::Exec { .. } | Self::Subsystem { .. } | Self::Connection => None,
        }
    }
}

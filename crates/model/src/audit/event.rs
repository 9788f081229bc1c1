//! One event, with who and where.

use super::Audited;
use crate::{ConnectionId, Login, NodeName, SessionId, Time, UserName};
use serde::{Deserialize, Serialize};

/// One event of the ledger: who, from where, on what, and what happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEvent {
    /// When it happened, by the clock of the service that saw it.
    pub time: Time,
    /// Who did it, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<UserName>,
    /// From which address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// On which node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<NodeName>,
    /// On which account of the node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login: Option<Login>,
    /// Over which connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<ConnectionId>,
    /// In which session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
    /// Through which proxy, if it was asked in a browser.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<NodeName>,
    /// What happened.
    #[serde(flatten)]
    pub what: Audited,
}

impl AuditEvent {
    /// An event of which nothing is known but when and what.
    #[must_use]
    pub fn at(time: Time, what: Audited) -> Self {
        Self {
            time,
            user: None,
            address: None,
            node: None,
            login: None,
            connection: None,
            session: None,
            via: None,
            what,
        }
    }
}

//! Proofs. A function that does something takes one of these; none can be made outside this crate, copied or stored.

use model::role::{AdminRight, Forwarding, Labels, RecordingAction, RecordingPolicy};
use model::{Login, NodeName, RoleName, Time, UserName};

/// Terms of a session: the strictest of all roles that apply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// How it is recorded.
    pub record: RecordingPolicy,
    /// Bytes of an exec stream that are kept whole.
    pub exec_stream_bytes: u64,
    /// Whether what is typed is recorded.
    pub record_typed: bool,
    /// Longest session.
    pub session_ms: Option<u64>,
    /// Longest time without input.
    pub idle_ms: Option<u64>,
}

/// Leave to open sessions as a login on a node.
#[derive(Debug)]
pub struct LoginPermit {
    pub(crate) user: UserName,
    pub(crate) roles: Vec<RoleName>,
    pub(crate) login: Login,
    pub(crate) node: NodeName,
    pub(crate) labels: Labels,
    pub(crate) terms: Terms,
    pub(crate) serial: u64,
    pub(crate) expires: Time,
}

impl LoginPermit {
    /// Who.
    #[must_use]
    pub fn user(&self) -> &UserName {
        &self.user
    }

    /// With which roles.
    #[must_use]
    pub fn roles(&self) -> &[RoleName] {
        &self.roles
    }

    /// As whom.
    #[must_use]
    pub fn login(&self) -> &Login {
        &self.login
    }

    /// Where.
    #[must_use]
    pub fn node(&self) -> &NodeName {
        &self.node
    }

    /// Labels of the node at that moment.
    #[must_use]
    pub fn labels(&self) -> &Labels {
        &self.labels
    }

    /// On which terms.
    #[must_use]
    pub fn terms(&self) -> &Terms {
        &self.terms
    }

    /// Serial number of the certificate.
    #[must_use]
    pub fn serial(&self) -> u64 {
        self.serial
    }

    /// Until when.
    #[must_use]
    pub fn expires(&self) -> Time {
        self.expires
    }
}

/// Leave to use a service of a connection beside its sessions.
#[derive(Debug)]
pub struct ForwardPermit {
    pub(crate) what: Forwarding,
    pub(crate) login: Login,
}

impl ForwardPermit {
    /// Which service.
    #[must_use]
    pub fn what(&self) -> Forwarding {
        self.what
    }

    /// With whose rights on the node.
    #[must_use]
    pub fn login(&self) -> &Login {
        &self.login
    }
}

/// Leave to do something with one recording.
#[derive(Debug)]
pub struct RecordingPermit {
    pub(crate) action: RecordingAction,
    pub(crate) user: UserName,
}

impl RecordingPermit {
    /// What.
    #[must_use]
    pub fn action(&self) -> RecordingAction {
        self.action
    }

    /// Who.
    #[must_use]
    pub fn user(&self) -> &UserName {
        &self.user
    }
}

/// Leave to administer a part of the cluster.
#[derive(Debug)]
pub struct AdminPermit {
    pub(crate) right: AdminRight,
}

impl AdminPermit {
    /// Which part.
    #[must_use]
    pub fn right(&self) -> AdminRight {
        self.right
    }
}

//! Rights that are not about a login: recordings and administration.

use crate::judge::held;
use crate::roles::labels_match;
use crate::{AdminPermit, Denial, Identity, RecordingPermit};
use model::UserName;
use model::role::{AdminRight, Labels, Reading, RecordingAction, RoleSet};
use std::collections::BTreeMap;

/// Which recordings a person may do something with: what a list is filtered by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Visible {
    /// None.
    None,
    /// Those that hold for at least one of these.
    Some {
        /// One's own.
        own: bool,
        /// Those made on nodes with labels that match one of these.
        nodes: Vec<BTreeMap<String, Vec<String>>>,
    },
    /// All.
    All,
}

impl Visible {
    /// Whether a recording is among them.
    #[must_use]
    pub fn holds(&self, asking: &UserName, owner: &UserName, labels: &Labels) -> bool {
        match self {
            Self::None => false,
            Self::All => true,
            Self::Some { own, nodes } => {
                (*own && asking == owner) || nodes.iter().any(|wanted| labels_match(wanted, labels))
            }
        }
    }
}

/// Which recordings a person may do this with.
#[must_use]
pub fn visible(roles: &RoleSet, who: &Identity, action: RecordingAction) -> Visible {
    let (mut own, mut nodes) = (false, Vec::new());
    for reading in held(roles, who).filter_map(|role| role.allow.recordings.get(&action)) {
        match reading {
            Reading::All => return Visible::All,
            Reading::Own => own = true,
            Reading::Nodes(labels) => nodes.push(labels.clone()),
            Reading::None => {}
        }
    }
    if own || !nodes.is_empty() { Visible::Some { own, nodes } } else { Visible::None }
}

/// May this person do this with that recording?
///
/// # Errors
/// No role allows it.
pub fn recording(
    roles: &RoleSet,
    who: &Identity,
    action: RecordingAction,
    owner: &UserName,
    labels: &Labels,
) -> Result<RecordingPermit, Denial> {
    if visible(roles, who, action).holds(&who.user, owner, labels) {
        return Ok(RecordingPermit { action, user: who.user.clone() });
    }
    let word = match action {
        RecordingAction::List => "list",
        RecordingAction::Play => "play",
        RecordingAction::Export => "export",
        RecordingAction::Remove => "remove",
    };
    let why = format!("no role has a fitting allow.recordings.{word} for recordings of {owner}");
    Err(Denial::new(format!("{word} this recording"), why))
}

/// May this person administer that part?
///
/// # Errors
/// No role allows it.
pub fn admin(roles: &RoleSet, who: &Identity, right: AdminRight) -> Result<AdminPermit, Denial> {
    if held(roles, who).any(|role| role.allow.admin.contains(&right)) {
        return Ok(AdminPermit { right });
    }
    let (word, plain) = match right {
        AdminRight::Users => ("users", "manage users"),
        AdminRight::Roles => ("roles", "manage roles"),
        AdminRight::Nodes => ("nodes", "manage nodes"),
        AdminRight::Audit => ("audit", "read the ledger"),
    };
    Err(Denial::new(plain, format!("no role has {word:?} in allow.admin")))
}

//! What a person may do somewhere at all, for menus. Nothing follows from it: whatever is done is decided where it is done.

use crate::door::{Readable, admin, enter, readable};
use crate::identity::Identity;
use crate::lock;
use model::SeatRole;
use model::Time;
use model::role::{AdminRight, RecordingAction, RoleSet};

/// What somebody may do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Overview {
    /// Parts of the cluster that they may administer.
    pub admin: Vec<AdminRight>,
    /// As what they may let others into sessions of theirs, on some node.
    pub share: Vec<SeatRole>,
    /// As which of them people without an account, too.
    pub guests: Vec<SeatRole>,
    /// Whether they may look at somebody's recordings.
    pub plays: bool,
    /// Whether they may take somebody's recordings away.
    pub exports: bool,
}

const RIGHTS: [AdminRight; 5] =
    [AdminRight::Users, AdminRight::Roles, AdminRight::Nodes, AdminRight::Audit, AdminRight::Locks];

/// What this person may do; nothing for who may not use the cluster.
#[must_use]
pub fn overview(roles: &RoleSet, who: &Identity, now: Time) -> Overview {
    let Ok(as_is) = lock::as_things_stand(roles, who) else { return Overview::default() };
    if enter(roles, who, now).is_err() {
        return Overview::default();
    }
    let held = || as_is.roles.iter().filter_map(|name| roles.roles.get(name));
    let shares = |seat: &SeatRole| held().any(|role| role.allow.share.contains(seat));
    let hosts = |seat: &SeatRole| held().any(|role| role.allow.guests.contains(seat));
    let reads = |action| readable(roles, who, action, now) != Readable::None;
    Overview {
        admin: RIGHTS.into_iter().filter(|it| admin(roles, who, *it, now).is_ok()).collect(),
        share: SeatRole::ALL.into_iter().filter(shares).collect(),
        guests: SeatRole::ALL.into_iter().filter(|it| shares(it) && hosts(it)).collect(),
        plays: reads(RecordingAction::Play),
        exports: reads(RecordingAction::Export),
    }
}

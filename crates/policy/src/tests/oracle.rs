//! A second, naive answer to every question, written without looking at the core's shape.

use crate::Identity;
use model::role::{AdminRight, Forwarding, Labels, Reading, RecordingAction, RoleSet};
use model::{SeatRole, Time};
use std::collections::BTreeMap;

fn meets(condition: &BTreeMap<String, Vec<String>>, labels: &Labels) -> bool {
    if condition.is_empty() {
        return false;
    }
    for (key, values) in condition {
        if key == "*" && values == &["*"] {
            continue;
        }
        let Some(value) = labels.get(key) else { return false };
        if !(values.contains(value) || values.contains(&"*".to_owned())) {
            return false;
        }
    }
    true
}

fn names(patterns: &[String], who: &Identity, login: &str) -> bool {
    let mut expanded = Vec::new();
    for pattern in patterns {
        match pattern.as_str() {
            "{user}" => expanded.push(who.user().to_string()),
            "{logins}" => expanded.extend(who.logins().iter().map(ToString::to_string)),
            other => expanded.push(other.to_owned()),
        }
    }
    expanded.iter().any(|name| name == login)
}

pub(super) fn may_log_in(set: &RoleSet, who: &Identity, labels: &Labels, login: &str) -> bool {
    let (mut allowed, mut denied) = (false, false);
    for (name, role) in &set.roles {
        if !who.roles().contains(name) {
            continue;
        }
        if names(&role.allow.logins, who, login) && meets(&role.allow.nodes, labels) {
            allowed = true;
        }
        if names(&role.deny.logins, who, login) || meets(&role.deny.nodes, labels) {
            denied = true;
        }
    }
    allowed && !denied
}

pub(super) fn may_forward(
    set: &RoleSet,
    who: &Identity,
    labels: &Labels,
    login: &str,
    what: Forwarding,
) -> bool {
    let mut held = set.roles.iter().filter(|(name, _)| who.roles().contains(*name));
    let allows = held
        .any(|(_, role)| role.allow.forward.contains(&what) && meets(&role.allow.nodes, labels));
    allows && may_log_in(set, who, labels, login)
}

pub(super) fn may_read(
    set: &RoleSet,
    who: &Identity,
    action: RecordingAction,
    owner: &str,
    labels: &Labels,
) -> bool {
    set.roles.iter().filter(|(name, _)| who.roles().contains(*name)).any(|(_, role)| {
        match role.allow.recordings.get(&action).unwrap_or(&Reading::None) {
            Reading::None => false,
            Reading::Own => owner == who.user().as_str(),
            Reading::Nodes(condition) => meets(condition, labels),
            Reading::All => true,
        }
    })
}

/// `owner` with these roles has opened a session as `login`.
pub(super) fn may_join(
    set: &RoleSet,
    who: &Identity,
    labels: &Labels,
    (owner, owner_roles, login): (&str, &[&str], &str),
    seat: SeatRole,
) -> bool {
    let own = owner == who.user().as_str();
    if own && seat == SeatRole::Moderator {
        return false;
    }
    let (mut allowed, mut denied) = (own, false);
    for (name, role) in &set.roles {
        if !who.roles().contains(name) {
            continue;
        }
        for rule in &role.allow.join {
            let whose = rule.roles.iter().any(|it| it == "*" || owner_roles.contains(&it.as_str()));
            let here = rule.nodes.is_empty() || meets(&rule.nodes, labels);
            allowed |= whose && here && rule.seats.contains(&seat);
        }
        denied |= role.deny.join.contains(&seat) || meets(&role.deny.nodes, labels);
        denied |= seat == SeatRole::Peer && names(&role.deny.logins, who, login);
    }
    allowed && !denied
}

/// Whether a role of the owner's, as things stand, lets others be invited as this.
pub(super) fn may_share(
    set: &RoleSet,
    owner_roles: &[&str],
    labels: &Labels,
    seat: SeatRole,
) -> bool {
    let mut shares = false;
    for name in owner_roles {
        let Some((_, role)) = set.roles.iter().find(|(it, _)| it.as_str() == *name) else {
            continue;
        };
        let here = role.allow.nodes.is_empty() || meets(&role.allow.nodes, labels);
        shares |= here && role.allow.share.contains(&seat);
    }
    shares
}

/// As [`may_share`], with people who have no account; that one must say yes, too.
pub(super) fn may_share_with_guests(
    set: &RoleSet,
    owner_roles: &[&str],
    labels: &Labels,
    seat: SeatRole,
) -> bool {
    set.roles.iter().any(|(name, role)| {
        owner_roles.contains(&name.as_str())
            && role.allow.guests.contains(&seat)
            && (role.allow.nodes.is_empty() || meets(&role.allow.nodes, labels))
    })
}

/// Whether nothing forbids the seat itself; as [`may_join`], without the rules that allow it.
pub(super) fn nothing_forbids(
    set: &RoleSet,
    who: &Identity,
    labels: &Labels,
    (owner, login): (&str, &str),
    seat: SeatRole,
) -> bool {
    let mut free = owner != who.user().as_str() || seat != SeatRole::Moderator;
    for (name, role) in &set.roles {
        if who.roles().contains(name) {
            free &= !role.deny.join.contains(&seat) && !meets(&role.deny.nodes, labels);
            free &= seat != SeatRole::Peer || !names(&role.deny.logins, who, login);
        }
    }
    free
}

pub(super) fn may_administer(set: &RoleSet, who: &Identity, right: AdminRight) -> bool {
    let mut held = set.roles.iter().filter(|(name, _)| who.roles().contains(*name));
    held.any(|(_, role)| role.allow.admin.contains(&right))
}

/// The person as auth's tables say, if the account is still the one of the certificate.
pub(super) fn as_of(set: &RoleSet, who: &Identity) -> Option<Identity> {
    let correction = set.corrections.iter().find(|(name, _)| *name == who.user());
    let Some((_, correction)) = correction else { return Some(who.clone()) };
    let account = correction.account.clone()?;
    if who.certificate.is_none() {
        return Some(who.clone());
    }
    if who.serial() <= correction.void {
        return None;
    }
    let mut now = who.clone();
    now.roles = account.roles.into_iter().collect();
    now.logins = account.logins.into_iter().collect();
    Some(now)
}

pub(super) fn is_locked(
    set: &RoleSet,
    who: &Identity,
    login: Option<&str>,
    node: Option<&str>,
    now: Time,
) -> bool {
    let mut shut = false;
    for lock in &set.locks {
        if lock.expires.is_some_and(|expires| expires <= now) {
            continue;
        }
        let (kind, name) = lock.target.parts();
        shut |= match kind {
            "user" => name == who.user().as_str(),
            "role" => who.roles().iter().any(|role| role.as_str() == name),
            "login" => login == Some(name.as_str()),
            "node" => node == Some(name.as_str()),
            _ => false,
        };
    }
    shut
}

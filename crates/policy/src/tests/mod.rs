//! Tests of the whole room: certificates under attack, and decisions beside a naive oracle.

mod attacks;
mod certificates;
mod decisions;
mod four_eyes;
mod guests;
mod joins;
mod links;
mod locks;
mod matrix;
mod oracle;
mod terminals;
mod written;

use crate::Identity;
use model::role::{Labels, NodeFacts, Role, RoleSet};
use model::{Login, Time, UserName};

/// A moment in 2026, in the life of every certificate here.
pub(crate) const NOW: Time = Time(1_790_000_000_000);

pub(crate) fn user(name: &str) -> UserName {
    name.parse().unwrap()
}

pub(crate) fn login(name: &str) -> Login {
    name.parse().unwrap()
}

pub(crate) fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
}

pub(crate) fn node(name: &str, pairs: &[(&str, &str)]) -> NodeFacts {
    NodeFacts { name: name.parse().unwrap(), labels: labels(pairs) }
}

/// Roles as a person writes them, in TOML.
pub(crate) fn roles(texts: &[&str]) -> RoleSet {
    let roles: Vec<Role> = texts.iter().map(|text| toml::from_str(text).unwrap()).collect();
    let roles = roles.into_iter().map(|role| (role.name.clone(), role)).collect();
    RoleSet { rev: 1, roles, ..RoleSet::default() }
}

pub(crate) fn account(name: &str, roles: &[&str], logins: &[&str]) -> Identity {
    let roles: Vec<_> = roles.iter().map(|role| role.parse().unwrap()).collect();
    let logins: Vec<_> = logins.iter().map(|name| login(name)).collect();
    Identity::of_account(user(name), roles, logins, NOW.plus_ms(3_600_000))
}

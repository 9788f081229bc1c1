//! What stands in roles: placeholders, labels, the roles that exist from the start, and what a person may have mistyped.

use crate::Identity;
use model::role::{
    AdminRight, Allow, Forwarding, Labels, Reading, RecordingAction, Role, RoleSet,
};
use model::{Login, RoleName};
use std::collections::BTreeMap;
use thiserror::Error;

/// Stands for the user's own name.
const USER: &str = "{user}";
/// Stands for the logins of the user's account.
const LOGINS: &str = "{logins}";

/// The logins that a list in a role means for a person.
pub(crate) fn expand(patterns: &[String], who: &Identity) -> Vec<Login> {
    expand_for(patterns, who.user.as_str(), who.logins())
}

pub(crate) fn expand_for(patterns: &[String], user: &str, logins: &[Login]) -> Vec<Login> {
    let mut found = Vec::new();
    for pattern in patterns {
        match pattern.as_str() {
            // Some user names, such as mail addresses, are no login; they stand for nobody.
            USER => found.extend(user.parse::<Login>().ok()),
            LOGINS => found.extend(logins.iter().cloned()),
            literal => found.extend(literal.parse::<Login>().ok()),
        }
    }
    found
}

/// Whether a node's labels fulfil all conditions. No condition at all fits no node: default deny.
pub(crate) fn labels_match(wanted: &BTreeMap<String, Vec<String>>, labels: &Labels) -> bool {
    let any = |values: &[String]| values.iter().any(|value| value == "*");
    !wanted.is_empty()
        && wanted.iter().all(|(key, values)| {
            if key == "*" {
                return any(values);
            }
            labels.get(key).is_some_and(|value| any(values) || values.contains(value))
        })
}

/// The roles of a fresh cluster: `admin` and `access`.
#[must_use]
pub fn default_roles() -> RoleSet {
    let every_node = BTreeMap::from([("*".to_owned(), vec!["*".to_owned()])]);
    let every_forward = vec![Forwarding::Agent, Forwarding::Local, Forwarding::Remote];
    let reading = |actions: &[RecordingAction], whose: Reading| {
        actions.iter().map(|action| (*action, whose.clone())).collect()
    };
    use RecordingAction::{Export, List, Play, Remove};
    let admin = Allow {
        logins: vec![USER.into(), LOGINS.into(), "root".into()],
        nodes: every_node.clone(),
        forward: every_forward.clone(),
        recordings: reading(&[List, Play, Export, Remove], Reading::All),
        admin: vec![AdminRight::Users, AdminRight::Roles, AdminRight::Nodes, AdminRight::Audit],
    };
    let access = Allow {
        logins: vec![USER.into(), LOGINS.into()],
        nodes: every_node,
        forward: every_forward,
        recordings: reading(&[List, Play], Reading::Own),
        admin: Vec::new(),
    };
    let roles = [
        ("admin", "everything", admin),
        ("access", "one's own accounts on every node, one's own recordings", access),
    ];
    let roles = roles.into_iter().filter_map(|(name, description, allow)| {
        let name: RoleName = name.parse().ok()?;
        let description = description.to_owned();
        let (deny, options) = Default::default();
        Some((name.clone(), Role { name, description, allow, deny, options }))
    });
    RoleSet { rev: 1, roles: roles.collect() }
}

/// What a person may have mistyped in a role.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RoleFault {
    /// Neither a login nor a placeholder.
    #[error("{text:?} is neither a login nor one of {{user}} and {{logins}}")]
    Login {
        /// What was written.
        text: String,
    },
    /// A label without a value that could fit.
    #[error("the label {key:?} accepts no value; write [\"*\"] for any")]
    NoValue {
        /// The label.
        key: String,
    },
    /// A key `*` with anything but `*`.
    #[error("\"*\" as a label stands for every node and takes only [\"*\"]")]
    Star,
    /// A length of nothing.
    #[error("{option} = 0 would allow nothing; leave it out for no limit")]
    Zero {
        /// The option.
        option: &'static str,
    },
}

/// Checks a role that a person wrote.
///
/// # Errors
/// The first thing that cannot be meant.
pub fn validate_role(role: &Role) -> Result<(), RoleFault> {
    for text in role.allow.logins.iter().chain(&role.deny.logins) {
        if text != USER && text != LOGINS && text.parse::<Login>().is_err() {
            return Err(RoleFault::Login { text: text.clone() });
        }
    }
    validate_labels(&role.allow.nodes)?;
    validate_labels(&role.deny.nodes)?;
    for reading in role.allow.recordings.values() {
        if let Reading::Nodes(labels) = reading {
            validate_labels(labels)?;
        }
    }
    let options = &role.options;
    for (option, minutes) in [
        ("certificate_minutes", options.certificate_minutes),
        ("session_minutes", options.session_minutes),
        ("idle_minutes", options.idle_minutes),
    ] {
        if minutes == Some(0) {
            return Err(RoleFault::Zero { option });
        }
    }
    Ok(())
}

fn validate_labels(labels: &BTreeMap<String, Vec<String>>) -> Result<(), RoleFault> {
    for (key, values) in labels {
        if values.is_empty() {
            return Err(RoleFault::NoValue { key: key.clone() });
        }
        if key == "*" && values.iter().any(|value| value != "*") {
            return Err(RoleFault::Star);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    fn wanted(pairs: &[(&str, &[&str])]) -> BTreeMap<String, Vec<String>> {
        let owned = |values: &[&str]| values.iter().map(|v| (*v).to_owned()).collect();
        pairs.iter().map(|(k, v)| ((*k).to_owned(), owned(v))).collect()
    }

    #[test]
    fn labels_fit_only_when_every_condition_does() {
        let node = labels(&[("env", "prod"), ("os", "debian")]);
        for (conditions, fits) in [
            (wanted(&[]), false),
            (wanted(&[("*", &["*"])]), true),
            (wanted(&[("*", &["prod"])]), false),
            (wanted(&[("env", &["prod"])]), true),
            (wanted(&[("env", &["dev", "prod"])]), true),
            (wanted(&[("env", &["dev"])]), false),
            (wanted(&[("env", &["*"]), ("os", &["debian"])]), true),
            (wanted(&[("env", &["*"]), ("rack", &["*"])]), false),
        ] {
            assert_eq!(labels_match(&conditions, &node), fits, "{conditions:?}");
        }
    }

    #[test]
    fn what_cannot_be_meant_in_a_role_is_named() {
        let role = |change: fn(&mut Role)| {
            let mut role = default_roles().roles.into_values().next().unwrap();
            change(&mut role);
            validate_role(&role)
        };
        assert_eq!(role(|_| ()), Ok(()));
        assert_eq!(
            role(|r| r.allow.logins.push("{usr}".into())),
            Err(RoleFault::Login { text: "{usr}".into() })
        );
        assert_eq!(
            role(|r| drop(r.allow.nodes.insert("env".into(), vec![]))),
            Err(RoleFault::NoValue { key: "env".into() })
        );
        assert_eq!(
            role(|r| r.options.idle_minutes = Some(0)),
            Err(RoleFault::Zero { option: "idle_minutes" })
        );
    }
}

//! The roles that every cluster begins with, and the check of roles that people write.

use crate::rule::{ANY, Condition, LOGINS, USER};
use model::limit::{KERNEL_SCOPE, LOCK_REASON_BYTES};
use model::lock::Reason;
use model::role::{
    AdminRight, Allow, Deny, Forwarding, FourEyes, JoinRule, KernelOptions, Options, Reading,
    RecordingAction, Role, RoleSet,
};
use model::scope::{FileFilter, NetworkFilter, Wish};
use model::{Login, NameError, RoleName, SeatRole};
use std::collections::BTreeMap;
use thiserror::Error;

/// `admin`, who may do everything, and `access`, who may work, look at their own recordings, join their own sessions, and
/// share them to look on and to type.
#[must_use]
pub fn default_roles() -> RoleSet {
    // A display that a node may draw on can be read by it, so it is not everybody's (sshd: `X11Forwarding no`).
    let forward = vec![Forwarding::Local, Forwarding::Remote, Forwarding::Agent];
    let any_node = || BTreeMap::from([(ANY.to_owned(), vec![ANY.to_owned()])]);
    let admin = Allow {
        logins: [USER, "root", LOGINS].map(str::to_owned).into(),
        nodes: any_node(),
        forward: Forwarding::ALL.into(),
        recordings: ACTIONS.map(|action| (action, Reading::All)).into(),
        admin: vec![
            AdminRight::Users,
            AdminRight::Roles,
            AdminRight::Nodes,
            AdminRight::Audit,
            AdminRight::Locks,
        ],
        join: vec![JoinRule {
            roles: vec![ANY.to_owned()],
            seats: SeatRole::ALL.into(),
            ..JoinRule::default()
        }],
        share: vec![SeatRole::Observer, SeatRole::Peer],
        guests: Vec::new(),
    };
    let own = [RecordingAction::List, RecordingAction::Play].map(|action| (action, Reading::Own));
    let access = Allow {
        logins: [USER, LOGINS].map(str::to_owned).into(),
        nodes: any_node(),
        forward,
        recordings: own.into(),
        share: vec![SeatRole::Observer, SeatRole::Peer],
        ..Allow::default()
    };
    let roles = [
        ("admin", "Everything: all nodes, sessions and recordings, the cluster itself.", admin),
        (
            "access",
            "Work on all nodes under one's own logins; look at one's own recordings.",
            access,
        ),
    ];
    let roles = roles.into_iter().filter_map(|(name, description, allow)| {
        let name: RoleName = name.parse().ok()?;
        let (deny, options) = (Deny::default(), Options::default());
        let description = description.to_owned();
        Some((name.clone(), Role { name, description, allow, deny, options }))
    });
    RoleSet { rev: 1, roles: roles.collect(), ..RoleSet::default() }
}

const ACTIONS: [RecordingAction; 4] = [
    RecordingAction::List,
    RecordingAction::Play,
    RecordingAction::Export,
    RecordingAction::Remove,
];

/// What is wrong with a role that somebody wrote.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RoleFault {
    /// A placeholder that does not exist.
    #[error("{field}: {found:?} is no placeholder; `{USER}` and `{LOGINS}` are, and stand alone")]
    Placeholder {
        /// Where.
        field: &'static str,
        /// As it was written.
        found: String,
    },
    /// Neither a placeholder nor a login.
    #[error("{field}: {found:?} is no login: {why}")]
    Login {
        /// Where.
        field: &'static str,
        /// As it was written.
        found: String,
        /// Why not.
        why: NameError,
    },
    /// A label without a name.
    #[error("{field}: a label must have a name")]
    EmptyLabel {
        /// Where.
        field: &'static str,
    },
    /// A label without accepted values, which no node meets.
    #[error("{field}: the label {label:?} accepts no value; `[\"*\"]` accepts any")]
    NoValues {
        /// Where.
        field: &'static str,
        /// The label.
        label: String,
    },
    /// `*` as a part of a text; it stands only alone.
    #[error("{field}: {found:?} holds a `*`, which stands only alone and for anything")]
    Star {
        /// Where.
        field: &'static str,
        /// As it was written.
        found: String,
    },
    /// The label `*` with anything but `*` for its values, or beside other labels.
    #[error(
        "{field}: `\"*\" = [\"*\"]` means every node; it takes no other values and no other labels beside it"
    )]
    EveryNode {
        /// Where.
        field: &'static str,
    },
    /// A life or length of nothing.
    #[error("{field} must be at least 1; leave it out for {without}")]
    Zero {
        /// Where.
        field: &'static str,
        /// What holds without it.
        without: &'static str,
    },
    /// No role where one must be named, so that nobody is meant.
    #[error("{field} names no role; `[\"*\"]` is anybody")]
    Nobody {
        /// Where.
        field: &'static str,
    },
    /// Neither `*` nor the name of a role.
    #[error("{field}: {found:?} is no role: {why}")]
    Role {
        /// Where.
        field: &'static str,
        /// As it was written.
        found: String,
        /// Why not.
        why: NameError,
    },
    /// No seat where one must be named.
    #[error("{field} names no seat; observer, peer and moderator are seats")]
    NoSeat {
        /// Where.
        field: &'static str,
    },
    /// A name that does not fit on a line that people are told.
    #[error(
        "{field}: {found:?} is no name; it is one line of plain text, of {LOCK_REASON_BYTES} bytes at most"
    )]
    Name {
        /// Where.
        field: &'static str,
        /// As it was written.
        found: String,
    },
    /// More folders or networks than a filter may name.
    #[error("{field}: a filter names at most {KERNEL_SCOPE}")]
    TooMany {
        /// Where.
        field: &'static str,
    },
    /// Logins that reach no node, or the other way round.
    #[error(
        "allow.logins without allow.nodes reaches nothing; add `nodes = {{ \"*\" = [\"*\"] }}` for every node"
    )]
    NoNodes,
}

/// Finds what a person may have mistyped in a role.
///
/// # Errors
/// The first [`RoleFault`], in the order of the fields.
pub fn validate_role(role: &Role) -> Result<(), RoleFault> {
    check_logins("allow.logins", &role.allow.logins)?;
    check_condition("allow.nodes", &role.allow.nodes)?;
    for reading in role.allow.recordings.values() {
        if let Reading::Nodes(condition) = reading {
            check_condition("allow.recordings", condition)?;
        }
    }
    for JoinRule { roles, nodes, seats } in &role.allow.join {
        check_roles("allow.join.roles", roles)?;
        check_condition("allow.join.nodes", nodes)?;
        check_seats("allow.join.seats", seats)?;
    }
    check_logins("deny.logins", &role.deny.logins)?;
    check_condition("deny.nodes", &role.deny.nodes)?;
    for special in &role.options.record_where {
        check_condition("options.record_where.nodes", &special.nodes)?;
        check_logins("options.record_where.logins", &special.logins)?;
    }
    for (field, minutes) in [
        ("options.certificate_minutes", role.options.certificate_minutes),
        ("options.session_minutes", role.options.session_minutes),
        ("options.idle_minutes", role.options.idle_minutes),
    ] {
        check_some(field, minutes, "no limit of this role")?;
    }
    check_kernel(&role.options.kernel)?;
    role.options.four_eyes.iter().try_for_each(check_four_eyes)?;
    if !role.allow.logins.is_empty() && role.allow.nodes.is_empty() {
        return Err(RoleFault::NoNodes);
    }
    Ok(())
}

fn check_kernel(options: &KernelOptions) -> Result<(), RoleFault> {
    let names = [
        (
            "options.kernel.files",
            options.files.as_ref().map_or(0, |it| names(it, FileFilter::names)),
        ),
        (
            "options.kernel.network",
            options.network.as_ref().map_or(0, |it| names(it, NetworkFilter::names)),
        ),
    ];
    match names.into_iter().find(|(_, count)| *count > KERNEL_SCOPE) {
        Some((field, _)) => Err(RoleFault::TooMany { field }),
        None => Ok(()),
    }
}

fn names<F>(wish: &Wish<F>, count: fn(&F) -> usize) -> usize {
    match wish {
        Wish::Said(_) => 0,
        Wish::Only(filter) => count(filter),
    }
}

fn check_four_eyes(one: &FourEyes) -> Result<(), RoleFault> {
    let field = "options.four_eyes.name";
    if one.name.trim().is_empty() || one.name.parse::<Reason>().is_err() {
        return Err(RoleFault::Name { field, found: one.name.clone() });
    }
    check_condition("options.four_eyes.nodes", &one.nodes)?;
    check_logins("options.four_eyes.logins", &one.logins)?;
    check_roles("options.four_eyes.roles", &one.roles)?;
    check_seats("options.four_eyes.seats", &one.seats)?;
    check_some("options.four_eyes.count", Some(one.count.into()), "1")?;
    let never = "presence that is never asked for";
    check_some("options.four_eyes.confirm_minutes", one.confirm_minutes, never)
}

fn check_some(
    field: &'static str,
    number: Option<u32>,
    without: &'static str,
) -> Result<(), RoleFault> {
    if number == Some(0) { Err(RoleFault::Zero { field, without }) } else { Ok(()) }
}

fn check_seats(field: &'static str, seats: &[SeatRole]) -> Result<(), RoleFault> {
    if seats.is_empty() { Err(RoleFault::NoSeat { field }) } else { Ok(()) }
}

fn check_roles(field: &'static str, roles: &[String]) -> Result<(), RoleFault> {
    if roles.is_empty() {
        return Err(RoleFault::Nobody { field });
    }
    for found in roles.iter().filter(|name| *name != ANY) {
        found.parse::<RoleName>().map_err(|why| RoleFault::Role {
            field,
            found: found.clone(),
            why,
        })?;
    }
    Ok(())
}

fn check_logins(field: &'static str, logins: &[String]) -> Result<(), RoleFault> {
    for text in logins {
        let found = || text.clone();
        if text == USER || text == LOGINS {
            continue;
        }
        if text.contains(['{', '}']) {
            return Err(RoleFault::Placeholder { field, found: found() });
        }
        if text.contains(ANY) {
            return Err(RoleFault::Star { field, found: found() });
        }
        text.parse::<Login>().map_err(|why| RoleFault::Login { field, found: found(), why })?;
    }
    Ok(())
}

fn check_condition(field: &'static str, condition: &Condition) -> Result<(), RoleFault> {
    for (label, values) in condition {
        if label == ANY {
            let every = condition.len() == 1 && values.as_slice() == [ANY];
            return if every { Ok(()) } else { Err(RoleFault::EveryNode { field }) };
        }
        if label.is_empty() {
            return Err(RoleFault::EmptyLabel { field });
        }
        if values.is_empty() {
            return Err(RoleFault::NoValues { field, label: label.clone() });
        }
        let texts = core::iter::once(label).chain(values.iter().filter(|value| *value != ANY));
        for text in texts {
            if text.contains(ANY) {
                return Err(RoleFault::Star { field, found: text.clone() });
            }
        }
    }
    Ok(())
}

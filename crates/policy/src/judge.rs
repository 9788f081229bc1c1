//! The core: what every role says to a login on a node, in order, and what follows from it.

use crate::identity::Logins;
use crate::roles::{expand, labels_match};
use crate::{Denial, ForwardPermit, Identity, LoginPermit, Terms};
use model::limit::EXEC_STREAM_BYTES;
use model::role::{Forwarding, NodeFacts, Options, RecordingPolicy, Role, RoleSet};
use model::{Login, Time};

/// What one rule says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Says {
    /// Allows it.
    Allow,
    /// Forbids it, whatever others allow.
    Deny,
    /// Does not apply.
    Nothing,
}

/// One rule that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The rule, such as `role access: allow.logins`.
    pub rule: String,
    /// What it says.
    pub says: Says,
    /// Why.
    pub why: String,
}

/// A decision with its whole reasoning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    /// Whether it is allowed.
    pub allowed: bool,
    /// The rule that allows, forbids, or is missing; one sentence.
    pub because: String,
    /// Every rule that was looked at.
    pub steps: Vec<Step>,
    /// The terms, if it is allowed.
    pub terms: Option<Terms>,
}

/// May this person log in there? The permit is what `host` accepts.
///
/// # Errors
/// No role allows it, one forbids it, or the certificate does not name the login or has expired.
pub fn login(
    roles: &RoleSet,
    who: &Identity,
    node: &NodeFacts,
    login: &Login,
    now: Time,
) -> Result<LoginPermit, Denial> {
    let trace = judge(roles, who, node, login, now);
    match trace.terms {
        Some(terms) if trace.allowed => Ok(LoginPermit {
            user: who.user.clone(),
            roles: who.roles.clone(),
            login: login.clone(),
            node: node.name.clone(),
            labels: node.labels.clone(),
            terms,
            serial: who.serial,
            expires: who.expires,
        }),
        _ => {
            let question = format!("scry access explain {} {login}@{}", who.user, node.name);
            Err(Denial::new(format!("log in as {login} on {}", node.name), trace.because)
                .with_hint(format!("an admin can see why with `{question}`")))
        }
    }
}

/// The same decision, with its reasoning.
#[must_use]
pub fn explain(
    roles: &RoleSet,
    who: &Identity,
    node: &NodeFacts,
    login: &Login,
    now: Time,
) -> Trace {
    judge(roles, who, node, login, now)
}

/// Logins that a person may use on a node, out of those that their roles or certificate name.
#[must_use]
pub fn logins_on(roles: &RoleSet, who: &Identity, node: &NodeFacts, now: Time) -> Vec<Login> {
    let mut candidates = crate::plan::principals(roles, &who.user, &who.roles, who.logins());
    candidates.extend(who.logins().iter().cloned());
    candidates.sort();
    candidates.dedup();
    candidates.retain(|login| judge(roles, who, node, login, now).allowed);
    candidates
}

/// May this connection use a service beside its sessions? It takes the permit of its login: no login, no forward.
///
/// # Errors
/// No role that lets the person log in there allows it.
pub fn forward(
    roles: &RoleSet,
    who: &Identity,
    node: &NodeFacts,
    as_login: &Login,
    what: Forwarding,
    now: Time,
) -> Result<ForwardPermit, Denial> {
    let permit = login(roles, who, node, as_login, now)?;
    let granting = held(roles, who)
        .filter(|role| grants(role, who, node, permit.login()))
        .any(|role| role.allow.forward.contains(&what));
    if granting {
        return Ok(ForwardPermit { what, login: permit.login });
    }
    let (word, plain) = match what {
        Forwarding::Agent => ("agent", "forward an agent"),
        Forwarding::Local => ("local", "forward ports from the client (-L, -D)"),
        Forwarding::Remote => ("remote", "forward ports from the node (-R)"),
    };
    let why = format!("no role that allows {as_login}@{} has {word:?} in allow.forward", node.name);
    Err(Denial::new(format!("{plain} on {}", node.name), why))
}

fn judge(roles: &RoleSet, who: &Identity, node: &NodeFacts, login: &Login, now: Time) -> Trace {
    let mut steps = Vec::new();
    let mut note = |rule: String, says, why: String| steps.push(Step { rule, says, why });
    let refused = |steps, because| Trace { allowed: false, because, steps, terms: None };

    if who.expires <= now {
        let why = "the certificate has expired".to_owned();
        note("certificate: valid before".to_owned(), Says::Deny, why.clone());
        return refused(steps, why);
    }
    if let Logins::Certified(principals) = &who.logins {
        if !principals.contains(login) {
            let why = format!("{login} is not among the certificate's principals");
            note("certificate: principals".to_owned(), Says::Deny, why.clone());
            return refused(steps, why);
        }
        note("certificate: principals".to_owned(), Says::Allow, format!("{login} is among them"));
    }
    let mut allowing: Option<&Role> = None;
    let mut forbidden: Option<String> = None;
    let mut missing = "the person has no role".to_owned();
    for name in &who.roles {
        let Some(role) = roles.roles.get(name) else {
            missing = format!("role {name} does not exist");
            note(format!("role {name}"), Says::Nothing, "there is no such role".to_owned());
            continue;
        };
        let here = !role.deny.nodes.is_empty() && labels_match(&role.deny.nodes, &node.labels);
        let them = expand(&role.deny.logins, who).contains(login);
        if denies(role, here, them) {
            let rule = format!("role {name}: deny");
            let why = format!("{login} on {} is forbidden", node.name);
            note(rule.clone(), Says::Deny, why.clone());
            forbidden.get_or_insert(format!("{rule}: {why}"));
        }
        if !labels_match(&role.allow.nodes, &node.labels) {
            missing = format!("role {name}: allow.nodes does not match the labels of {}", node.name);
            note(format!("role {name}: allow.nodes"), Says::Nothing, "the labels do not match".into());
            continue;
        }
        if !expand(&role.allow.logins, who).contains(login) {
            missing = format!("role {name}: allow.logins does not hold {login}");
            note(format!("role {name}: allow.logins"), Says::Nothing, format!("{login} is not in it"));
            continue;
        }
        note(format!("role {name}"), Says::Allow, format!("allows {login} on {}", node.name));
        allowing.get_or_insert(role);
    }
    match (forbidden, allowing) {
        (Some(because), _) => refused(steps, because),
        (None, None) => refused(steps, missing),
        (None, Some(role)) => Trace {
            allowed: true,
            because: format!("role {} allows it", role.name),
            steps,
            terms: Some(terms(held(roles, who).map(|role| &role.options))),
        },
    }
}

/// A `deny` with both parts forbids those logins on those nodes; with one part, everywhere or everyone.
fn denies(role: &Role, here: bool, them: bool) -> bool {
    match (role.deny.nodes.is_empty(), role.deny.logins.is_empty()) {
        (true, true) => false,
        (true, false) => them,
        (false, true) => here,
        (false, false) => here && them,
    }
}

fn grants(role: &Role, who: &Identity, node: &NodeFacts, login: &Login) -> bool {
    labels_match(&role.allow.nodes, &node.labels) && expand(&role.allow.logins, who).contains(login)
}

pub(crate) fn held<'a>(roles: &'a RoleSet, who: &'a Identity) -> impl Iterator<Item = &'a Role> {
    who.roles.iter().filter_map(|name| roles.roles.get(name))
}

/// The strictest of each: all roles held count, not only those that allow, so that a restriction cannot be shed.
fn terms<'a>(options: impl Iterator<Item = &'a Options>) -> Terms {
    let mut record: Option<RecordingPolicy> = None;
    let mut exec_stream_bytes: Option<u64> = None;
    let mut typed = false;
    let (mut session, mut idle): (Option<u32>, Option<u32>) = (None, None);
    for option in options {
        record = record.max(option.record);
        exec_stream_bytes = exec_stream_bytes.max(option.exec_stream_bytes);
        typed |= option.record_typed.unwrap_or(false);
        session = shorter(session, option.session_minutes);
        idle = shorter(idle, option.idle_minutes);
    }
    let ms = |minutes: Option<u32>| minutes.map(|minutes| u64::from(minutes) * 60_000);
    Terms {
        record: record.unwrap_or(RecordingPolicy::Spool),
        exec_stream_bytes: exec_stream_bytes.unwrap_or(EXEC_STREAM_BYTES),
        record_typed: typed,
        session_ms: ms(session),
        idle_ms: ms(idle),
    }
}

pub(crate) fn shorter(a: Option<u32>, b: Option<u32>) -> Option<u32> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (one, None) | (None, one) => one,
    }
}

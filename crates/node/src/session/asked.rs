//! What was asked for before a session began.

use link::ssh::server::Session;
use model::entry::Entry;
use wire::name::{FITS_VARIABLE, RETURN_VARIABLE};

/// What was asked for, and whether it was granted: variables with their values, for a program may be in one.
pub(super) fn services(session: &Session) -> Vec<Entry> {
    let granted = [
        session.agent.then_some("auth-agent-req@openssh.com"),
        session.x11.as_ref().map(|_| "x11-req"),
    ];
    let granted = granted.into_iter().flatten().map(|name| (name.to_owned(), true));
    let ours = |name: &str| name == RETURN_VARIABLE || name == FITS_VARIABLE;
    let set = session.environment.iter().filter(|(name, _)| !ours(name));
    let set = set.map(|(name, value)| (format!("env {name}={value}"), true));
    let refused = session.refused.iter().map(|name| (name.clone(), false));
    let all = granted.chain(set).chain(refused);
    all.map(|(name, granted)| Entry::Service { name, granted }).collect()
}

//! What was asked for before a session began, and what of it cannot be had.

use link::Full;
use link::ssh::server::{Session, Wish};
use model::audit::Audited;
use model::entry::Entry;
use model::limit::COMMAND_TOLD;
use policy::LoginPermit;
use wire::name::{FITS_VARIABLE, RETURN_VARIABLE};

/// Told to who runs something without a terminal where each file is approved; older scp and rsync are among them.
const NO_STREAMS: &str = "each file must be approved here, so nothing runs without a terminal but sftp: \
                          use sftp, scp without -O, or ssh -t";

/// What cannot be had as it was asked for: for the ledger, and for who asked.
pub(super) fn refused(session: &Session, permit: &LoginPermit) -> Option<(Audited, &'static str)> {
    let is_subsystem = matches!(session.wish, Wish::Subsystem(_));
    let (action, why, words) = match session.pty {
        Some(_) if !permit.permits_pty() => (
            "open a terminal",
            "the certificate has no permit-pty",
            "your certificate does not allow a terminal",
        ),
        // What sftp does is read from its streams; those of a terminal are what it makes of them.
        Some(_) if is_subsystem => (
            "run a subsystem on a terminal",
            "what it moves would not be told file by file",
            "sftp has no use for a terminal: ask without one (no -t, no RequestTTY)",
        ),
        None if !is_subsystem && !permit.permits_streams() => (
            "run without a terminal",
            "four eyes approve each file, and its streams could carry any",
            NO_STREAMS,
        ),
        Some(_) | None => return None,
    };
    let (action, why) = (action.to_owned(), why.to_owned());
    Some((Audited::Denied { action, why }, words))
}

/// As [`refused`], where no further session may begin.
pub(super) fn no_place(full: Full) -> (Audited, String) {
    let (Full::All(most) | Full::OfOne(most)) = full;
    let why = format!("{most} sessions of theirs run here already");
    let words = format!("{most} sessions of yours run on this machine already: end some first");
    (Audited::Denied { action: "begin a session".to_owned(), why }, words)
}

/// A command as the ledger has it: a long one would keep other events from it.
pub(super) fn told(command: &str) -> String {
    match command.get(..command.floor_char_boundary(COMMAND_TOLD)) {
        Some(begins) if begins.len() < command.len() => {
            format!("{begins}… ({} bytes in all)", command.len())
        }
        _ => command.to_owned(),
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_told_up_to_a_bound_and_says_how_long_it_was() {
        let most = "x".repeat(COMMAND_TOLD);
        assert_eq!(told(&most), most);
        let long = format!("{}äb", "x".repeat(COMMAND_TOLD - 1));
        let begins = "x".repeat(COMMAND_TOLD - 1);
        assert_eq!(told(&long), format!("{begins}… ({} bytes in all)", COMMAND_TOLD + 2));
    }
}

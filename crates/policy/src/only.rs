//! Certificates for one purpose: a terminal that a proxy opens for somebody in a browser, on one node.

use crate::certificate::CertificateFault;
use crate::denial::Denial;
use crate::door::login;
use crate::identity::Identity;
use crate::plan::{CertificatePlan, PlanFault, plan_only};
use crate::seat::{Grant, SessionFacts, join};
use core::fmt;
use core::str::FromStr;
use model::limit::GRANT_MS;
use model::role::{NodeFacts, RoleSet};
use model::{Login, NodeName, SeatRole, SessionId, Time};

/// Critical option that says what a certificate is for; the same name as in `wire::name`. A server that does not know it
/// refuses the certificate (PROTOCOL.certkeys).
pub const ONLY_OPTION: &str = "only@scry";

/// What a certificate is for, and for nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Only {
    /// On which node.
    pub node: NodeName,
    /// What there.
    pub purpose: Purpose,
    /// For which proxy it was signed.
    pub proxy: NodeName,
    /// First moment at which no node lets anybody in with it; what was opened before goes on.
    pub before: Time,
}

/// What one certificate is for on its node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Purpose {
    /// To log in as this.
    Login(Login),
    /// To come into this session: as somebody else's guest, or back to one's own.
    Session(SessionId),
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Login(login) => write!(f, "login={login}"),
            Self::Session(session) => write!(f, "session={session}"),
        }
    }
}

impl fmt::Display for Only {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { node, purpose, proxy, before } = self;
        write!(f, "node={node},{purpose},proxy={proxy},before={}", before.0)
    }
}

impl FromStr for Only {
    type Err = CertificateFault;

    /// All four, in this order, and nothing else.
    fn from_str(text: &str) -> Result<Self, CertificateFault> {
        let read = || {
            let mut parts = text.split(',').map(|part| part.split_once('='));
            let mut next = || parts.next().flatten();
            let (node, purpose, proxy, before) = (next()?, next()?, next()?, next()?);
            let purpose = match purpose {
                ("login", login) => Purpose::Login(login.parse().ok()?),
                ("session", session) => Purpose::Session(session.parse().ok()?),
                _ => return None,
            };
            let named = |(key, value), wanted| (key == wanted).then_some(value);
            let only = Self {
                node: named(node, "node")?.parse().ok()?,
                purpose,
                proxy: named(proxy, "proxy")?.parse().ok()?,
                before: Time(named(before, "before")?.parse().ok()?),
            };
            // One text a meaning: what is read is what was signed.
            (only.to_string() == text).then_some(only)
        };
        read().ok_or_else(|| CertificateFault::Only { found: text.to_owned() })
    }
}

/// What somebody in a browser wants a terminal for.
#[derive(Debug, Clone, Copy)]
pub enum TerminalTo<'t> {
    /// New sessions and files as this login; or their own session again, which runs as it.
    Login {
        /// Where.
        node: &'t NodeFacts,
        /// As whom.
        login: &'t Login,
        /// Their own session, if they come back to one.
        back_to: Option<SessionId>,
    },
    /// A seat in a session.
    Seat {
        /// Where it runs.
        node: &'t NodeFacts,
        /// Which.
        session: SessionFacts<'t>,
        /// As what.
        seat: SeatRole,
        /// The link by which they come, if they do.
        by: Option<Grant<'t>>,
    },
}

/// Plans the certificate of one terminal for a key of that proxy's, if the person may have it; the node decides again when it
/// is shown. It counts for nothing else, must be shown within [`GRANT_MS`], and lives no longer than `who` counts, which is as
/// long as they are signed in. Answers also the moment before which it must be shown.
///
/// # Errors
/// [`PlanFault::Denied`] for who may not do it.
pub fn plan_terminal_certificate(
    roles: &RoleSet,
    who: &Identity,
    to: TerminalTo<'_>,
    proxy: &NodeName,
    serial: u64,
    now: Time,
) -> Result<(CertificatePlan, Time), PlanFault> {
    let (node, principal, purpose) = decide(roles, who, to, now).map_err(PlanFault::Denied)?;
    let before = now.plus_ms(GRANT_MS);
    let only = Only { node, purpose, proxy: proxy.clone(), before };
    Ok((plan_only(roles, who, principal, &only, serial, now)?, before))
}

/// The node, the one principal, and what for.
fn decide(
    roles: &RoleSet,
    who: &Identity,
    to: TerminalTo<'_>,
    now: Time,
) -> Result<(NodeName, Option<Login>, Purpose), Denial> {
    match to {
        TerminalTo::Login { node, login: wanted, back_to } => {
            let permit = login(roles, who, node, wanted, now)?;
            let purpose = match back_to {
                None => Purpose::Login(permit.login().clone()),
                Some(session) => Purpose::Session(session),
            };
            Ok((permit.node().clone(), Some(permit.login().clone()), purpose))
        }
        TerminalTo::Seat { node, session, seat, by } => {
            let permit = join(roles, who, node, &session, seat, by, now)?;
            Ok((node.name.clone(), None, Purpose::Session(permit.session())))
        }
    }
}

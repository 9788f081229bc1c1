//! A denial is a value: what was asked for, which rule forbids it or is missing, and what the person may be told.

use crate::certificate::CertificateFault;
use core::fmt;
use model::role::{AdminRight, Forwarding, RecordingAction};
use model::{LinkId, Lock, LockTarget, Login, NodeName, SeatRole, SessionId, UserName};
use thiserror::Error;

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// To be let in with a certificate, under the login as the client sent it.
    Certificate {
        /// As sent; may be anything.
        login: String,
    },
    /// To be let in with a certificate, to join a session.
    SeatCertificate,
    /// To be believed as a host, under the name as it was typed.
    HostCertificate {
        /// As typed.
        name: String,
    },
    /// To log in.
    Login {
        /// As whom.
        login: Login,
        /// Where.
        node: NodeName,
    },
    /// To go on with what was allowed before.
    GoOn {
        /// As whom.
        login: Login,
        /// Where.
        node: NodeName,
        /// The one session that it is about, if not the whole connection.
        session: Option<SessionId>,
    },
    /// To sign in, and to ask auth for anything.
    Enter,
    /// To be carried to a node.
    Reach {
        /// Where.
        node: NodeName,
    },
    /// To forward something.
    Forward {
        /// What.
        what: Forwarding,
        /// Where.
        node: NodeName,
    },
    /// To join a running session.
    Join {
        /// Which.
        session: SessionId,
        /// Where.
        node: NodeName,
        /// As what.
        seat: SeatRole,
    },
    /// To stay in a session that was joined before.
    Stay {
        /// Which.
        session: SessionId,
        /// Where.
        node: NodeName,
        /// As what.
        seat: SeatRole,
    },
    /// To come back to a running session of one's own.
    Return {
        /// Which.
        session: SessionId,
        /// Where.
        node: NodeName,
    },
    /// To speak with those who are in a running session, and to ask for what their seat may.
    Speak {
        /// Which.
        session: SessionId,
        /// Where.
        node: NodeName,
    },
    /// To let others into a running session by a link.
    Share {
        /// Which.
        session: SessionId,
        /// Where.
        node: NodeName,
        /// As what.
        seat: SeatRole,
        /// Whether people who have no account, too.
        guests: bool,
    },
    /// To do something with a recording.
    Recording {
        /// What.
        action: RecordingAction,
        /// Whose.
        owner: UserName,
    },
    /// To administer a part of the cluster.
    Admin {
        /// Which part.
        right: AdminRight,
    },
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Certificate { login } => write!(f, "sign in as {login:?} with this certificate"),
            Self::SeatCertificate => f.write_str("join a session with this certificate"),
            Self::HostCertificate { name } => write!(f, "be believed to be {name:?}"),
            Self::Login { login, node } => write!(f, "log in as {login} on {node}"),
            Self::GoOn { login, node, session: None } => write!(f, "go on as {login} on {node}"),
            Self::GoOn { login, node, session: Some(session) } => {
                write!(f, "go on with session {session} as {login} on {node}")
            }
            Self::Enter => f.write_str("use the cluster"),
            Self::Reach { node } => write!(f, "reach {node}"),
            Self::Forward { what, node } => match what {
                Forwarding::Agent => write!(f, "forward the agent to {node}"),
                Forwarding::Local => {
                    write!(f, "forward connections from the client through {node}")
                }
                Forwarding::Remote => write!(f, "forward ports of {node} to the client"),
                Forwarding::X11 => write!(f, "show windows of {node} on the client's display"),
            },
            // Whose it is stands in the reason only, which the person does not see.
            Self::Join { session, node, seat } => {
                write!(f, "join session {session} on {node} as {seat}")
            }
            Self::Stay { session, node, seat } => {
                write!(f, "stay in session {session} on {node} as {seat}")
            }
            Self::Return { session, node } => write!(f, "come back to session {session} on {node}"),
            Self::Speak { session, node } => write!(f, "speak in session {session} on {node}"),
            Self::Share { session, node, seat, guests } => {
                let whom = if *guests { "others, guests among them," } else { "others" };
                write!(f, "let {whom} into session {session} on {node} as {seat}")
            }
            Self::Recording { action, owner } => {
                write!(f, "{} recordings of {owner}", action_word(*action))
            }
            Self::Admin { right } => match right {
                AdminRight::Audit => write!(f, "read the audit ledger"),
                right => write!(f, "administer {}", right_word(*right)),
            },
        }
    }
}

pub(crate) fn action_word(action: RecordingAction) -> &'static str {
    match action {
        RecordingAction::List => "list",
        RecordingAction::Play => "play",
        RecordingAction::Export => "export",
        RecordingAction::Remove => "remove",
    }
}

pub(crate) fn right_word(right: AdminRight) -> &'static str {
    match right {
        AdminRight::Users => "users",
        AdminRight::Roles => "roles",
        AdminRight::Nodes => "nodes",
        AdminRight::Audit => "audit",
        AdminRight::Locks => "locks",
    }
}

/// Why it was denied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// No rule allows it.
    Missing {
        /// The rule that would, and how near the person's roles come to it.
        rule: String,
    },
    /// A rule forbids it, whatever others allow.
    Forbidden {
        /// The rule.
        rule: String,
        /// How it applies.
        why: String,
    },
    /// The certificate itself sets a bound that roles cannot lift.
    Bounded {
        /// The bound, in words.
        bound: String,
    },
    /// The certificate does not count.
    Certificate(CertificateFault),
    /// It is locked.
    Locked(Lock),
    /// The link that somebody came by does not give it.
    Link {
        /// Number of the link.
        link: LinkId,
        /// Why not.
        fault: LinkFault,
    },
    /// The account that the certificate was signed for is no more.
    Removed,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { rule } => write!(f, "no rule allows it; missing is {rule}"),
            Self::Forbidden { rule, why } => write!(f, "{rule} forbids it: {why}"),
            Self::Bounded { bound } => f.write_str(bound),
            Self::Certificate(fault) => fault.fmt(f),
            Self::Locked(lock) => write!(f, "{lock} forbids it"),
            Self::Link { link, fault } => write!(f, "link {link} does not give it: {fault}"),
            Self::Removed => f.write_str("the account was removed"),
        }
    }
}

/// Why a link gives somebody no seat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum LinkFault {
    /// Its time is over.
    #[error("it has expired")]
    Expired,
    /// It was revoked.
    #[error("it was revoked")]
    Revoked,
    /// It was taken for somebody else.
    #[error("it is somebody else's")]
    OtherUser,
    /// It leads into another session.
    #[error("it is of another session")]
    OtherSession,
    /// It gives another seat.
    #[error("it gives another seat")]
    OtherSeat,
    /// The session's owner may not share it like this, or no longer.
    #[error("the session's owner may not share it like this")]
    NotShared,
    /// It is for people who have an account, or its owner may not share with others, or no longer.
    #[error("it is not for people who have no account")]
    NotForGuests,
}

impl LinkFault {
    /// What the person whose seat ends by it is told.
    fn farewell(self) -> &'static str {
        match self {
            Self::Expired => "the link that you came by has expired",
            Self::Revoked => "the link that you came by was revoked",
            Self::NotShared => "whose session this is may not share it any more",
            Self::NotForGuests => "whose session this is may not share it with guests any more",
            Self::OtherUser | Self::OtherSession | Self::OtherSeat => {
                "the link that you came by does not give you this seat"
            }
        }
    }
}

/// A refused request. [`fmt::Display`] is the full text, for the ledger and for admins; [`Denial::public`] for the person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial(Box<Parts>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Parts {
    user: Option<UserName>,
    action: Action,
    why: Why,
}

impl Denial {
    pub(crate) fn new(user: Option<&UserName>, action: Action, why: Why) -> Self {
        Self(Box::new(Parts { user: user.cloned(), action, why }))
    }

    /// Who was denied; none if the certificate did not prove who it is.
    #[must_use]
    pub fn user(&self) -> Option<&UserName> {
        self.0.user.as_ref()
    }

    /// What was asked for, in words, such as `log in as root on web-01`.
    #[must_use]
    pub fn action(&self) -> String {
        self.0.action.to_string()
    }

    /// What was asked for.
    #[must_use]
    pub fn asked(&self) -> &Action {
        &self.0.action
    }

    /// Which rule is missing or forbids it, in full; for the ledger, beside [`Denial::action`].
    #[must_use]
    pub fn why(&self) -> String {
        self.0.why.to_string()
    }

    /// Which rule is missing or forbids it.
    #[must_use]
    pub fn reason(&self) -> &Why {
        &self.0.why
    }

    /// One sentence for the person who asked: no rule texts, and what to do next.
    #[must_use]
    pub fn public(&self) -> String {
        let advice = match (&self.0.why, &self.0.action, &self.0.user) {
            (Why::Certificate(fault), ..) => return format!("access denied: {}", fault.public()),
            (Why::Locked(lock), ..) => {
                format!("lock {} is on it; ask an admin to lift it", lock.id)
            }
            (Why::Removed, ..) => "the account was removed".to_owned(),
            (Why::Link { fault, .. }, ..) => {
                format!("of the link: {fault}; ask whoever gave it to you for another one")
            }
            (Why::Bounded { .. }, ..) => {
                "your certificate does not cover it; if your roles have changed, run `scry login`"
                    .to_owned()
            }
            (_, Action::Login { login, node }, Some(user)) => {
                format!("ask an admin to run `scry access explain {user} {login}@{node}`")
            }
            _ => "ask an admin for a role that allows it".to_owned(),
        };
        format!("access denied: {} may not {}; {advice}", self.subject(), self.0.action)
    }

    /// One sentence for the person whose session or connection ends by it: no rule texts, no reason of a lock.
    #[must_use]
    pub fn farewell(&self) -> String {
        match (&self.0.why, &self.0.action) {
            (Why::Locked(lock), _) if matches!(lock.target, LockTarget::Session(_)) => {
                format!("an admin has ended this session (lock {})", lock.id)
            }
            (Why::Locked(lock), _) => format!("an admin has locked this (lock {})", lock.id),
            (Why::Removed, _) => "your account was removed".to_owned(),
            (Why::Link { fault, .. }, _) => fault.farewell().to_owned(),
            // What was allowed when it was opened is bounded later by one thing only.
            (Why::Bounded { .. }, Action::GoOn { .. } | Action::Stay { .. }) => {
                "your certificate has expired; use `scry login`".to_owned()
            }
            _ => "your roles no longer allow this".to_owned(),
        }
    }

    fn subject(&self) -> &str {
        self.0.user.as_ref().map_or("the certificate's holder", UserName::as_str)
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} may not {}: {}", self.subject(), self.0.action, self.0.why)
    }
}

impl core::error::Error for Denial {}

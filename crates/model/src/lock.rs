//! Locks, and what became of people after certificates were signed for them. What both mean is decided in `policy`.

use crate::limit::LOCK_REASON_BYTES;
use crate::words::is_odd;
use crate::{Login, NodeName, RoleName, SessionId, Time, UserName};
use core::fmt;
use core::num::ParseIntError;
use core::str::FromStr;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Number of a lock; never used twice.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct LockId(pub u64);

impl fmt::Display for LockId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for LockId {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

/// What a lock shuts.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum LockTarget {
    /// Everything that this person does.
    User(UserName),
    /// This account, on every node.
    Login(Login),
    /// This machine, for everybody. It goes on shipping what it recorded.
    Node(NodeName),
    /// Everybody who holds this role.
    Role(RoleName),
    /// This one session; that of a connection's own recording is the whole connection.
    Session(SessionId),
}

impl LockTarget {
    /// Its kind and its name, apart.
    #[must_use]
    pub fn parts(&self) -> (&'static str, String) {
        match self {
            Self::User(name) => ("user", name.to_string()),
            Self::Login(name) => ("login", name.to_string()),
            Self::Node(name) => ("node", name.to_string()),
            Self::Role(name) => ("role", name.to_string()),
            Self::Session(id) => ("session", id.to_string()),
        }
    }

    /// Puts [`LockTarget::parts`] together again; `None` for what is neither such a kind nor such a name.
    #[must_use]
    pub fn from_parts(kind: &str, name: &str) -> Option<Self> {
        match kind {
            "user" => name.parse().ok().map(Self::User),
            "login" => name.parse().ok().map(Self::Login),
            "node" => name.parse().ok().map(Self::Node),
            "role" => name.parse().ok().map(Self::Role),
            "session" => name.parse().ok().map(Self::Session),
            _ => None,
        }
    }
}

impl fmt::Display for LockTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, name) = self.parts();
        write!(f, "{kind} {name}")
    }
}

/// Why something is locked, in an admin's words; fit for a terminal, a ledger and a recording.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub struct Reason(String);

/// Why a text is no reason of a lock.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ReasonError {
    /// Longer than [`LOCK_REASON_BYTES`].
    #[error("a reason has at most {LOCK_REASON_BYTES} bytes")]
    TooLong,
    /// A character that would not stand on one line as it is.
    #[error("a reason is one line without control characters; this holds {found:?}")]
    Character {
        /// Which.
        found: char,
    },
}

impl Reason {
    /// The words; may be empty.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Reason {
    type Err = ReasonError;

    fn from_str(text: &str) -> Result<Self, ReasonError> {
        if let Some(found) = text.chars().find(|c| is_odd(*c)) {
            return Err(ReasonError::Character { found });
        }
        if text.len() > LOCK_REASON_BYTES {
            return Err(ReasonError::TooLong);
        }
        Ok(Self(text.trim().to_owned()))
    }
}

impl TryFrom<String> for Reason {
    type Error = ReasonError;

    fn try_from(text: String) -> Result<Self, ReasonError> {
        text.parse()
    }
}

impl From<Reason> for String {
    fn from(reason: Reason) -> String {
        reason.0
    }
}

/// A lock: what it names is shut until it is lifted or its time is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Lock {
    /// Its number.
    pub id: LockId,
    /// What it shuts.
    pub target: LockTarget,
    /// Why.
    #[serde(default)]
    pub reason: Reason,
    /// Who locked.
    pub creator: UserName,
    /// Since when.
    pub created: Time,
    /// First moment at which it no longer counts; none if it is to be lifted by hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Time>,
}

impl Lock {
    /// Whether it counts at that time.
    #[must_use]
    pub fn counts(&self, now: Time) -> bool {
        self.expires.is_none_or(|expires| now < expires)
    }
}

impl fmt::Display for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "lock {} on {}", self.id, self.target)?;
        match self.reason.as_str() {
            "" => Ok(()),
            reason => write!(f, " ({reason})"),
        }
    }
}

/// What became of a person after certificates were signed for them; it counts instead of what stands in those.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Correction {
    /// What the account holds now; none if it was removed.
    pub account: Option<Account>,
    /// Certificates with this serial number or a lower one are void: they were signed for an account that was removed.
    #[serde(default)]
    pub void: u64,
}

/// Roles and logins of a person's account.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Account {
    /// Its roles.
    pub roles: Vec<RoleName>,
    /// Its logins, which `{logins}` in a role stands for.
    pub logins: Vec<Login>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_one_plain_line() {
        assert_eq!("  lost laptop ".parse::<Reason>().map(String::from), Ok("lost laptop".into()));
        for found in ['\n', '\r', '\0', '\x1b', '\x7f', '\u{9b}', '\u{202e}', '\u{2028}'] {
            let text = format!("a{found}b");
            assert_eq!(text.parse::<Reason>(), Err(ReasonError::Character { found }), "{found:?}");
            assert!(serde_json::from_value::<Reason>(text.into()).is_err(), "{found:?}");
        }
        let most = "é".repeat(LOCK_REASON_BYTES / 2);
        assert!(most.parse::<Reason>().is_ok());
        assert_eq!(format!("{most}a").parse::<Reason>(), Err(ReasonError::TooLong));
    }

    #[test]
    fn a_target_is_put_together_again_and_foreign_ones_are_none() {
        let id = SessionId::from_random([7; 16]).to_string();
        for (kind, name) in [
            ("user", "a@b"),
            ("login", "root"),
            ("node", "web-01"),
            ("role", "dev"),
            ("session", &id),
        ] {
            let target = LockTarget::from_parts(kind, name).unwrap();
            assert_eq!(target.parts(), (kind, name.to_owned()));
            assert_eq!(target.to_string(), format!("{kind} {name}"));
        }
        for (kind, name) in
            [("users", "a"), ("", ""), ("login", "a,b"), ("session", "7"), ("node", "A")]
        {
            assert_eq!(LockTarget::from_parts(kind, name), None, "{kind} {name}");
        }
    }
}

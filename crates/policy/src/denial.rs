//! A refusal as a value: in full for the ledger, in part for the person refused.

use core::fmt;

/// Why something is not allowed. Not an error: it is written to the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    action: String,
    why: String,
    hint: Option<String>,
}

impl Denial {
    pub(crate) fn new(action: impl Into<String>, why: impl Into<String>) -> Self {
        Self { action: action.into(), why: why.into(), hint: None }
    }

    pub(crate) fn with_hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// What was asked for, such as `log in as root on web-01`.
    #[must_use]
    pub fn action(&self) -> String {
        self.action.clone()
    }

    /// Which rule is missing or forbids it, in full. For the ledger, not for the person refused.
    #[must_use]
    pub fn why(&self) -> &str {
        &self.why
    }

    /// For the person refused: what was asked for and what to do, no rules.
    #[must_use]
    pub fn public(&self) -> String {
        match &self.hint {
            Some(hint) => format!("access denied: you may not {}; {hint}", self.action),
            None => format!("access denied: you may not {}", self.action),
        }
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.action, self.why)
    }
}

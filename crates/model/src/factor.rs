//! What somebody shows when they sign in, besides the password that they know.

use core::fmt;
use core::str::FromStr;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A second factor.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum FactorKind {
    /// Six digits from an app (RFC 6238).
    Totp,
    /// A passkey (WebAuthn).
    Passkey,
    /// A code from the list that was printed; each counts once.
    Recovery,
}

/// A word that is no second factor.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{found:?} is none of totp, passkey and recovery")]
pub struct NoFactorKind {
    /// As it was given.
    pub found: String,
}

impl FactorKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Totp, Self::Passkey, Self::Recovery];

    /// Its word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Totp => "totp",
            Self::Passkey => "passkey",
            Self::Recovery => "recovery",
        }
    }
}

impl fmt::Display for FactorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

impl FromStr for FactorKind {
    type Err = NoFactorKind;

    fn from_str(text: &str) -> Result<Self, NoFactorKind> {
        let named = Self::ALL.into_iter().find(|kind| kind.word() == text);
        named.ok_or_else(|| NoFactorKind { found: text.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_a_second_factor_or_the_error_says_which_are() {
        for kind in FactorKind::ALL {
            assert_eq!(kind.word().parse(), Ok(kind));
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.word());
        }
        let error = "sms".parse::<FactorKind>().unwrap_err();
        assert_eq!(error.to_string(), "\"sms\" is none of totp, passkey and recovery");
    }
}

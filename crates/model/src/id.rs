//! Names and numbers of things. A name exists only once it was parsed, so nobody checks it again.

use core::fmt;
use core::str::FromStr;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use thiserror::Error;
use uuid::Uuid;

/// Why a text is no name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NameError {
    /// Nothing was given.
    #[error("a {kind} may not be empty")]
    Empty {
        /// Which sort of name was wanted.
        kind: &'static str,
    },
    /// Longer than the kind allows.
    #[error("a {kind} has at most {most} characters")]
    TooLong {
        /// Which sort of name was wanted.
        kind: &'static str,
        /// The bound, in bytes.
        most: usize,
    },
    /// A character that the kind does not allow; commas and control characters never are.
    #[error("a {kind} may not hold {found:?}: {allowed}")]
    Character {
        /// Which sort of name was wanted.
        kind: &'static str,
        /// The offending character.
        found: char,
        /// What is allowed, in words.
        allowed: &'static str,
    },
    /// Not the 32 hexadecimal digits of an id.
    #[error("not an id: expected 32 hexadecimal digits, with or without dashes")]
    NotAnId,
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $most:literal, $prefix:expr, $first:expr, $rest:expr, $allowed:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                let (first, rest): (fn(char) -> bool, fn(char) -> bool) = ($first, $rest);
                if text.is_empty() || text == $prefix {
                    return Err(NameError::Empty { kind: $kind });
                }
                if text.len() > $most {
                    return Err(NameError::TooLong { kind: $kind, most: $most });
                }
                let bare = text.strip_prefix($prefix).unwrap_or(text);
                for (at, found) in bare.chars().enumerate() {
                    let fits = if at == 0 { first(found) } else { rest(found) };
                    if !fits {
                        return Err(NameError::Character { kind: $kind, found, allowed: $allowed });
                    }
                }
                Ok(Self(text.to_owned()))
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;

            fn try_from(text: String) -> Result<Self, NameError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                let says = format!("A {}: {}.", $kind, $allowed);
                json_schema!({ "type": "string", "minLength": 1, "maxLength": $most, "description": says })
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", self.0)
            }
        }
    };
}

name!(
    /// A person's account in scry; not an account on a machine (that is a [`Login`]). Or the name that a guest has given,
    /// who has no account: such a name begins with [`GUEST_PREFIX`], and no account has it.
    UserName, "user name", 64, GUEST_PREFIX,
    |c| c.is_ascii_alphanumeric(),
    |c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '@' | '+'),
    "letters, digits and . _ - @ +, beginning with a letter or digit"
);
name!(
    /// An account on a machine, as in `ssh LOGIN@node`; one principal of a user certificate.
    Login, "login", 32, "",
    |c| c.is_ascii_alphanumeric() || c == '_',
    |c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '$'),
    "letters, digits and . _ - $, beginning with a letter, digit or _"
);
name!(
    /// A machine with a node on it; also the principal of its host certificate.
    NodeName, "node name", 128, "",
    |c| c.is_ascii_lowercase() || c.is_ascii_digit(),
    |c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-'),
    "small letters, digits, dots and dashes, beginning with a letter or digit"
);
name!(
    /// A role, as users carry it in their certificates.
    RoleName, "role name", 64, "",
    |c| c.is_ascii_lowercase(),
    |c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-',
    "small letters, digits and dashes, beginning with a letter"
);

/// Before the name of somebody who has no account.
pub const GUEST_PREFIX: &str = "guest:";
/// Characters of a guest's name behind [`GUEST_PREFIX`]. Cut.
const GUEST_CHARS: usize = 32;

impl UserName {
    /// The name of a guest who calls themselves so: what may not stand in a name becomes a dash, and who says nothing is
    /// called somebody.
    #[must_use]
    pub fn guest(called: &str) -> Self {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '@' | '+');
        let begins = |c: char| !c.is_ascii_alphanumeric();
        let name: String = called.trim().chars().map(|c| if fits(c) { c } else { '-' }).collect();
        let name: String = name.trim_start_matches(begins).chars().take(GUEST_CHARS).collect();
        let name = if name.is_empty() { "somebody" } else { &name };
        Self(format!("{GUEST_PREFIX}{name}"))
    }

    /// A guest's name as they gave it; an account's own.
    #[must_use]
    pub fn called(&self) -> &str {
        self.0.strip_prefix(GUEST_PREFIX).unwrap_or(&self.0)
    }

    /// Whether it is a guest's.
    #[must_use]
    pub fn is_guest(&self) -> bool {
        self.0.starts_with(GUEST_PREFIX)
    }
}

macro_rules! random_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// Made from 16 random bytes; randomness is the caller's, so that minds stay deterministic.
            #[must_use]
            pub fn from_random(bytes: [u8; 16]) -> Self {
                Self(uuid::Builder::from_random_bytes(bytes).into_uuid())
            }

            /// The 16 bytes, as they stand in files and signatures.
            #[must_use]
            pub fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }

            /// The first eight digits, for people; lists and commands accept any unique beginning.
            #[must_use]
            pub fn short(&self) -> String {
                self.0.simple().to_string().chars().take(8).collect()
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "format": "uuid" })
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                Uuid::parse_str(text).map(Self).map_err(|_| NameError::NotAnId)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0.hyphenated().to_string())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0.hyphenated())
            }
        }
    };
}

random_id!(
    /// One session channel of one connection; its recording has the same id.
    SessionId
);
random_id!(
    /// One SSH transport; sessions multiplexed over it share it.
    ConnectionId
);

/// Place of an entry on a session's time line: given once, by the recorder, counted from 1 without holes.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(transparent)]
pub struct Seq(pub u64);

impl Seq {
    /// The one after this.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<N: FromStr<Err = NameError>>(good: &[&str], bad: &[&str]) {
        for text in good {
            assert!(text.parse::<N>().is_ok(), "{text:?} should be a name");
        }
        for text in bad {
            assert!(text.parse::<N>().is_err(), "{text:?} should be refused");
        }
    }

    #[test]
    fn names_hold_what_their_kind_allows_and_nothing_that_splits_a_principal_list() {
        check::<UserName>(
            &["alice", "a.b-c_d@example.org", "guest:bob"],
            &[
                "",
                "a,b",
                "a b",
                "-x",
                "é",
                "a\n",
                "a\0",
                "guest:",
                "guest:-",
                "guest:guest:x",
                "a:b",
            ],
        );
        check::<Login>(
            &["root", "_apt", "www-data"],
            &["", "-teleport", "root,admin", "a/b", "a:b"],
        );
        check::<NodeName>(&["web-01", "db.example.org"], &["", "Web", "a_b", "-a", "a*", "a b"]);
        check::<RoleName>(&["admin", "access"], &["", "Admin", "1st", "a,b"]);
    }

    #[test]
    fn whatever_a_guest_says_is_a_name_that_no_account_has() {
        for (called, name) in [
            ("Bob", "guest:Bob"),
            (" Bob O'Neil ", "guest:Bob-O-Neil"),
            ("", "guest:somebody"),
            ("--\x1b[2J", "guest:2J"),
            ("Zoë", "guest:Zo-"),
            ("guest:x,y", "guest:guest-x-y"),
            (&"x".repeat(99), &format!("guest:{}", "x".repeat(32))),
        ] {
            let guest = UserName::guest(called);
            assert_eq!(guest.as_str(), name);
            assert_eq!(guest.as_str().parse(), Ok(guest.clone()));
            assert!(guest.is_guest());
        }
        assert!(!"guest".parse::<UserName>().unwrap().is_guest());
    }

    #[test]
    fn a_name_over_its_bound_is_refused_with_the_bound() {
        let long = "a".repeat(33);
        assert_eq!(long.parse::<Login>(), Err(NameError::TooLong { kind: "login", most: 32 }));
    }

    #[test]
    fn a_bad_name_does_not_come_in_through_json() {
        assert!(serde_json::from_str::<Login>("\"root,admin\"").is_err());
    }

    #[test]
    fn an_id_is_read_back_from_its_text() {
        let id = SessionId::from_random([7; 16]);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert!(id.to_string().starts_with(&id.short()));
    }
}

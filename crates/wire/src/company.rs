//! What people in one session say to each other and ask of it, beside the terminal: JSON lines over the SSH subsystem
//! [`crate::name::COMPANY_SUBSYSTEM`] of the node that runs it.

use model::entry::Party;
use model::role::SeatRole;
use model::{SessionId, Time, UserName, Wanted};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A line to the node. Each is answered by one line: [`Told::Done`], [`Told::Company`] or [`Told::Refused`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case", deny_unknown_fields)]
pub enum Ask {
    /// Who is here.
    Who {},
    /// Says something to all.
    Say {
        /// What; one line.
        text: String,
    },
    /// From now on only `to` types.
    HandOver {
        /// Who.
        to: Party,
    },
    /// From now on only the owner types.
    TakeBack {},
    /// From now on all type who may at all.
    Together {},
    /// From now on the session's terminal is as large as somebody's who looks on, and its owner sees what fits on theirs.
    Adopt {
        /// Who; the owner is as [`Ask::OwnSize`].
        party: Party,
    },
    /// From now on it is as large as its owner's again.
    OwnSize {},
    /// Somebody has to go.
    ShowOut {
        /// Who.
        party: Party,
    },
    /// Nothing passes and nothing runs until it is thawed.
    Freeze {},
    /// It goes on.
    Thaw {},
    /// Ends the session, its processes with it.
    End {},
    /// Whoever was asked is still there.
    Confirm {},
    /// The file that waits may be moved, once.
    Approve {
        /// Its number, as in [`Company::file`].
        number: u32,
    },
    /// It may not.
    Refuse {
        /// Its number.
        number: u32,
    },
}

/// A line from the node: an answer, or something that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "told", rename_all = "snake_case")]
pub enum Told {
    /// It was done.
    Done {},
    /// It was not.
    Refused {
        /// Why, for a person.
        why: String,
    },
    /// Who is here and how things stand. The first line, and again at each change.
    Company(Company),
    /// Somebody said something.
    Said {
        /// Who.
        party: Party,
        /// Their name.
        user: UserName,
        /// What.
        text: String,
    },
    /// Something happened, in words for a person.
    Happened {
        /// What.
        what: String,
    },
    /// Whoever is asked must say soon that they are there ([`Ask::Confirm`]).
    Confirm {
        /// Who is asked.
        party: Party,
        /// How long they have, in milliseconds.
        ms: u64,
    },
    /// The session is over. The last line.
    Over {
        /// Why, for a person.
        why: String,
    },
}

/// Who is in a session, and how things stand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Company {
    /// Which session it is. Every node says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
    /// Whether it runs.
    pub state: State,
    /// What it waits for, why it stands still, or that its owner's connection is lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// The only one who may type, if not all who may at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keyboard: Option<Party>,
    /// Whose size the terminal has, if not its owner's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size_of: Option<Party>,
    /// Who is here, the owner first.
    pub people: Vec<Present>,
    /// A file that waits for a word, where each is approved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<Wanted>,
}

/// Whether a session runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Nothing was begun: it waits for somebody.
    Waiting,
    /// It runs.
    Running,
    /// Nothing passes and its processes stand still.
    Frozen,
}

impl State {
    /// Its word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Frozen => "frozen",
        }
    }
}

/// Somebody who is in a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Present {
    /// Number within the recording; 0 is the owner.
    pub party: Party,
    /// Who.
    pub user: UserName,
    /// As what; the owner has no seat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seat: Option<SeatRole>,
    /// Since when.
    pub since: Time,
    /// Whether what they type reaches the program at this moment.
    pub types: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_read_back_as_they_were_and_look_as_documented() {
        for (ask, line) in [
            (Ask::Who {}, r#"{"ask":"who"}"#),
            (Ask::Say { text: "hi".into() }, r#"{"ask":"say","text":"hi"}"#),
            (Ask::HandOver { to: Party(2) }, r#"{"ask":"hand_over","to":2}"#),
            (Ask::Adopt { party: Party(3) }, r#"{"ask":"adopt","party":3}"#),
            (Ask::OwnSize {}, r#"{"ask":"own_size"}"#),
            (Ask::Approve { number: 3 }, r#"{"ask":"approve","number":3}"#),
        ] {
            assert_eq!(serde_json::to_string(&ask).unwrap(), line);
            assert_eq!(serde_json::from_str::<Ask>(line).unwrap(), ask);
        }
        assert!(serde_json::from_str::<Ask>(r#"{"ask":"who","more":1}"#).is_err());
        let company = Company {
            session: None,
            state: State::Running,
            why: None,
            keyboard: None,
            size_of: None,
            file: None,
            people: vec![Present {
                party: Party::OWNER,
                user: "alice".parse().unwrap(),
                seat: None,
                since: Time(5),
                types: true,
            }],
        };
        let line = serde_json::to_string(&Told::Company(company.clone())).unwrap();
        assert_eq!(serde_json::from_str::<Told>(&line).unwrap(), Told::Company(company));
    }
}

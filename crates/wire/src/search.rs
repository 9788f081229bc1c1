//! Search through all recordings that somebody may play: `GET /v1/search`, a stream of lines ([`crate::stream`]).
//!
//! Newest recordings come first, those of sessions, of connections and of what sessions left running alike. Nothing in these
//! lines says how they were found: today recordings are read one after the other.

use crate::recording::RecordingFacts;
use model::{NodeName, Seq, SessionId, Time, UserName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A line of the answer. A recording is told before its first hit, and all of its hits before the next recording.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SearchedLine {
    /// Something was found in this recording; what, follows.
    Recording(Box<RecordingFacts>),
    /// Something that was found.
    Hit(Moment),
    /// There is more of it in this recording than is told here.
    More(MoreInside),
    /// A recording that could not be read, or not to its end.
    Unread(Unread),
    /// How far the search has come; told now and then.
    Reached(Progress),
    /// The end of this answer. An answer without one was cut off, by whoever stopped it or because the right is gone.
    End(SearchedEnd),
}

/// A moment at which something was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Moment {
    /// In which recording.
    pub id: SessionId,
    /// When, in milliseconds since it began.
    pub at: u64,
    /// By which entry; 0 for the command that it was begun with.
    pub seq: Seq,
    /// Where.
    pub what: What,
    /// What was done, in a few words, such as `ran`, `removed`, `connected to`; none on the screen.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub did: String,
    /// Whether that did not go well.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub failed: bool,
    /// The line, the command line, the path or the address; of a long one [`model::limit::HIT_CHARS`] around the match.
    pub text: String,
    /// The first character in `text` that fits, from 0.
    pub from: u32,
    /// The one behind the last.
    pub to: u32,
}

/// Where something can be found.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum What {
    /// What came onto the screen.
    Screen,
    /// What was run, with its arguments, and what processes did to each other.
    Commands,
    /// Files, of programs and of file transfers.
    Files,
    /// Connections, of programs and over forwards.
    Connections,
}

impl What {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Screen, Self::Commands, Self::Files, Self::Connections];

    /// In one word, as it stands in `what=`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Screen => "screen",
            Self::Commands => "commands",
            Self::Files => "files",
            Self::Connections => "connections",
        }
    }
}

/// Where the search inside one recording goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MoreInside {
    /// Which recording.
    pub id: SessionId,
    /// Behind this entry.
    pub seq: Seq,
    /// Its time.
    pub at: u64,
}

/// A recording, or the rest of one, in which nothing can be found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Unread {
    /// Which.
    pub id: SessionId,
    /// Whose.
    pub user: UserName,
    /// On which node.
    pub node: NodeName,
    /// When it began.
    pub started: Time,
    /// Up to this time, in milliseconds since then, it was searched.
    pub at: u64,
    /// Why no further.
    pub why: String,
}

/// How far a search has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Progress {
    /// Recordings that were looked at, to their end.
    pub looked: u64,
    /// Of so many that this request looks at, if nothing ends it before.
    pub of: u64,
    /// When the one began that is looked at.
    pub started: Option<Time>,
}

/// How an answer ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SearchedEnd {
    /// Whether there may be more: older recordings, or the rest of the last one.
    pub more: bool,
    /// Goes on there, as the parameter `after` of the next request; whoever asks does not look into it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// How far it came.
    pub reached: Progress,
    /// How many hits were told.
    pub hits: u64,
    /// How many recordings could not be read, or not to their end; each was told.
    pub unread: u64,
}

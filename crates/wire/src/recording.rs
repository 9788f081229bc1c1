//! Recordings: shipping them to auth, and reading them back.

use crate::{Done, call};
use model::seal::Receipt;
use model::{Kind, Login, NodeName, SessionId, Tally, Time, UserName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where auth stands with a recording that the calling node ships.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReadProgress {
    /// Which.
    pub id: SessionId,
}

/// Answer to [`ReadProgress`] and to each shipment.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Progress {
    /// What was received; none before the first record.
    pub receipt: Option<Receipt>,
    /// The recording is whole and in the final store: its spool may be freed.
    pub stored: bool,
    /// Time of the latest entry received, in milliseconds since the recording began.
    #[serde(default)]
    pub last_at_ms: u64,
    /// The `Ended` entry was received.
    #[serde(default)]
    pub ended: bool,
    /// So was the signed END: nothing more is wanted.
    #[serde(default)]
    pub whole: bool,
}

/// Which recordings to list. All conditions must hold.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct ListRecordings {
    /// Made by this user.
    pub user: Option<UserName>,
    /// On this node.
    pub node: Option<NodeName>,
    /// On this account.
    pub login: Option<Login>,
    /// Begun at or after.
    pub since: Option<Time>,
    /// Begun before.
    pub until: Option<Time>,
    /// Whose id begins with these hexadecimal digits.
    pub id_prefix: Option<String>,
    /// Only what this session left running.
    #[serde(default)]
    pub aftermath_of: Option<SessionId>,
    /// Only those that go on.
    #[serde(default)]
    pub live: bool,
    /// Only those of sessions, or only those of connections; both if not said.
    #[serde(default)]
    pub only: Option<Only>,
    /// Only those behind this one in the list: the next page.
    #[serde(default)]
    pub after: Option<ListPlace>,
    /// At most so many, newest first; 0 is the default, 100, and 1000 the most.
    #[serde(default)]
    pub limit: u32,
}

/// A recording's place in the list, which is newest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ListPlace {
    /// When it began.
    pub started: Time,
    /// Which it is: of several that began at once, the ids go down.
    pub id: SessionId,
}

/// One half of the recordings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Only {
    /// Of sessions, and of what they left running.
    Sessions,
    /// Of connections: forwards, agent and X11 ([`Kind::Connection`]).
    Connections,
}

/// A recording in a list.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct RecordingFacts {
    /// The recording, which is the session.
    pub id: SessionId,
    /// Whose.
    pub user: UserName,
    /// On which account.
    pub login: Login,
    /// On which node.
    pub node: NodeName,
    /// What was run.
    #[serde(flatten)]
    pub kind: Kind,
    /// From which address.
    pub client: String,
    /// When it began.
    pub started: Time,
    /// Milliseconds from its beginning to its last received entry.
    pub length_ms: u64,
    /// Bytes received.
    pub bytes: u64,
    /// How far it is.
    pub phase: Phase,
    /// How it ended, in words, if it did: `exit 0`, `signal TERM`, `disconnected`.
    pub ending: Option<String>,
    /// Gaps in it.
    pub gaps: u64,
    /// What was counted in it as it arrived; none of recordings that came before auth counted.
    pub tally: Option<Tally>,
    /// Result of verification when it was stored, as `scry verify` words it.
    pub verification: Option<String>,
    /// Recordings of what this session left running, in the order in which they began; not in answers to a node.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aftermaths: Vec<SessionId>,
}

/// How far a recording is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// It goes on.
    Live,
    /// Its node has not been heard of; what was received can be read.
    Interrupted,
    /// Whole and in the final store.
    Stored,
}

/// Asks how the recordings that the caller may list stand: which are proven to be whole, and which are not.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct ReadStanding {}

/// How recordings stand; each is counted once.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct Standing {
    /// Whole, signed to the end and sealed, as was found when they were stored.
    pub whole: u64,
    /// The same, and their own recorder says that something is missing.
    pub gaps: u64,
    /// Stored, and proven only in part: not signed to their end, or not sealed.
    pub partly: u64,
    /// Stored, altered or damaged.
    pub damaged: u64,
    /// They have ended, and are not in the final store yet.
    pub waiting: u64,
    /// Their node has not been heard of, and their end is not here.
    pub interrupted: u64,
    /// They go on.
    pub live: u64,
    /// Those that are not whole, or say that something is missing, newest first; at most [`model::limit::AMISS_LISTED`].
    pub amiss: Vec<RecordingFacts>,
    /// Whether there are more of those.
    pub more: bool,
}

/// Asks to look at a recording; audited. The answer's ticket opens the stream of its bytes.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ViewRecording {
    /// Which.
    pub id: SessionId,
    /// `play`, `export` or `follow`.
    pub how: ViewKind,
}

/// How a recording is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ViewKind {
    /// Played, finished or not.
    Play,
    /// Taken away.
    Export,
    /// Watched while it goes on.
    Follow,
}

/// Leave to read a recording's bytes.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct View {
    /// Opens the stream; bound to the caller and the recording.
    pub ticket: String,
    /// The recording.
    pub facts: RecordingFacts,
}

/// Removes a recording for ever; leaves its tombstone in the ledger.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct RemoveRecording {
    /// Which.
    pub id: SessionId,
}

call! {
    ReadProgress, "node/progress", Progress;
    ListRecordings, "recordings/list", Vec<RecordingFacts>;
    ReadStanding, "recordings/standing", Standing;
    ViewRecording, "recordings/view", View;
    RemoveRecording, "recordings/remove", Done;
}

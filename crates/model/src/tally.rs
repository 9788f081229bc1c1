//! What was counted in a recording as it arrived, for lists: the recording itself says more, and is what counts.

use crate::UserName;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Counts of a recording, and who was there.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Tally {
    /// Programs that ran; none where the kernel was not asked about commands.
    pub commands: Option<u64>,
    /// Different files, by their names as they stand in the recording, that were opened, changed or moved; none where neither
    /// the kernel nor a transfer tells of files.
    pub files: Option<u64>,
    /// Whether there were more files than are told apart ([`crate::limit::TALLY_FILES`]).
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub more_files: bool,
    /// Who came besides the owner, each once, in the order in which they came.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub people: Vec<UserName>,
    /// Whether more came than are named ([`crate::limit::TALLY_PEOPLE`]).
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub more_people: bool,
}

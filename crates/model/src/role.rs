//! Roles as people write them and as they travel to nodes. What they mean is decided in `policy`, nowhere else.

use crate::kernel::Action;
use crate::scope::{FileFilter, NetworkFilter, Wish};
use crate::{Correction, LinkId, Lock, NodeName, RoleName, UserName};
use core::fmt;
use core::str::FromStr;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use thiserror::Error;

/// Labels of a node, such as `env = prod`.
pub type Labels = BTreeMap<String, String>;

/// A role: what it allows, what it forbids whatever others allow, and on which terms.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Role {
    /// Its name, as it stands in certificates.
    pub name: RoleName,
    /// One line for people.
    #[serde(default)]
    pub description: String,
    /// What it allows.
    #[serde(default)]
    pub allow: Allow,
    /// What it forbids; beats every role's `allow`.
    #[serde(default)]
    pub deny: Deny,
    /// On which terms. With several roles the strictest counts.
    #[serde(default)]
    pub options: Options,
}

/// What a role allows. Everything not named is denied.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Allow {
    /// Logins; `{user}` stands for the user's own name, `{logins}` for the logins of the user's account.
    pub logins: Vec<String>,
    /// Labels a node must carry, each with its accepted values; `*` accepts any value, and `"*" = ["*"]` any node.
    pub nodes: BTreeMap<String, Vec<String>>,
    /// What may be forwarded.
    pub forward: Vec<Forwarding>,
    /// Whose recordings may be listed, played, exported, removed.
    pub recordings: BTreeMap<RecordingAction, Reading>,
    /// Parts of the cluster that may be administered.
    pub admin: Vec<AdminRight>,
    /// Whose running sessions may be joined, and as what. One's own may be joined without a rule, to look and to type.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub join: Vec<JoinRule>,
    /// As what others may be invited into one's own sessions by a link.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub share: Vec<SeatRole>,
    /// As which of them people who have no account may be, too.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub guests: Vec<SeatRole>,
}

/// Sessions that may be joined: those for which all conditions hold. A list that is empty holds for none.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct JoinRule {
    /// Whose: names of roles of which the session's owner holds one; `*` is anybody's.
    pub roles: Vec<String>,
    /// Labels of the node, as in [`Allow::nodes`]; any node if nothing is said.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub nodes: BTreeMap<String, Vec<String>>,
    /// As what.
    pub seats: Vec<SeatRole>,
}

/// What a role forbids.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Deny {
    /// Logins, as in [`Allow::logins`]; nobody types as one of them in another's session either.
    pub logins: Vec<String>,
    /// Nodes by label, as in [`Allow::nodes`].
    pub nodes: BTreeMap<String, Vec<String>>,
    /// As what no session may be joined, one's own included.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub join: Vec<SeatRole>,
}

/// Terms of a role.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// How sessions are recorded.
    pub record: Option<RecordingPolicy>,
    /// How they are recorded on some nodes, or as some logins; counts beside [`Options::record`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub record_where: Vec<RecordWhere>,
    /// Bytes of an exec stream kept whole; [`crate::limit::EXEC_STREAM_BYTES`] if not said.
    pub exec_stream_bytes: Option<u64>,
    /// Whether what is typed is recorded, besides that it was.
    pub record_typed: Option<bool>,
    /// Whether the contents of files that sftp and scp move are recorded, besides what was done; up to
    /// [`Options::exec_stream_bytes`] of each stream.
    pub record_transfers: Option<bool>,
    /// Life of certificates, in minutes.
    pub certificate_minutes: Option<u32>,
    /// Longest session, in minutes.
    pub session_minutes: Option<u32>,
    /// Longest time without input, in minutes.
    pub idle_minutes: Option<u32>,
    /// Whether sessions end when the certificate that they were opened with expires; they do if no role says.
    pub disconnect_expired: Option<bool>,
    /// Whether people must show a second factor when they sign in. Without one they may only add one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub second_factor: Option<bool>,
    /// What the kernel is asked to see of sessions.
    #[serde(skip_serializing_if = "KernelOptions::is_silent")]
    pub kernel: KernelOptions,
    /// Who must be there while something runs. Inside a role these are alternatives; several roles must all be content.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub four_eyes: Vec<FourEyes>,
}

/// What the kernel is asked to see of sessions, of those that are recorded at all.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct KernelOptions {
    /// Programs that run, and how they end. Yes, where the kernel can, if no role says.
    pub commands: Option<bool>,
    /// Files that are opened and changed; all, or those at and below some folders. No, if no role says.
    pub files: Option<Wish<FileFilter>>,
    /// Connections and where they go; all, or those to some networks. No, if no role says.
    pub network: Option<Wish<NetworkFilter>>,
    /// Whether a session is refused where the kernel does not see all of that.
    pub require: Option<bool>,
    /// Whether a session stands still for a moment rather than that something of it is lost.
    pub lossless: Option<bool>,
    /// What of it the ledger is told one by one, besides the sums; it is watched then. Nothing, if no role says.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ledger: Vec<Told>,
}

/// What the ledger can be told one by one of what the kernel saw.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Told {
    /// Programs that ran, and those that could not be run.
    Programs,
    /// That a process changed who it is.
    Identity,
    /// What reaches beyond a process: others that it traces, namespaces, memory that runs, the kernel.
    Reach,
    /// Files that were made, opened to be written, changed, named otherwise, removed.
    Changes,
    /// Connections, listeners, datagrams, and processes beside the session that it met.
    Connections,
}

impl Told {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Programs, Self::Identity, Self::Reach, Self::Changes, Self::Connections];

    /// Its word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Programs => "programs",
            Self::Identity => "identity",
            Self::Reach => "reach",
            Self::Changes => "changes",
            Self::Connections => "connections",
        }
    }

    /// To which of them something belongs, if to any.
    #[must_use]
    pub fn of(action: &Action) -> Option<Self> {
        /// Of open(2): to write, to make, to empty.
        const WRITES: u32 = 0o3 | 0o100 | 0o1000;
        match action {
            Action::Ran(_) | Action::NotRan { .. } => Some(Self::Programs),
            Action::Identity { .. } => Some(Self::Identity),
            Action::Special { .. } => Some(Self::Reach),
            Action::Opened { flags, .. } => (flags & WRITES != 0).then_some(Self::Changes),
            Action::Changed { .. } => Some(Self::Changes),
            Action::Uring { file: Some(_), .. } => Some(Self::Changes),
            Action::Tcp { .. } | Action::Socket { .. } | Action::Met { .. } => {
                Some(Self::Connections)
            }
            Action::Uring { .. } => Some(Self::Connections),
            Action::Arguments { .. } | Action::Ended { .. } => None,
        }
    }
}

impl KernelOptions {
    /// Whether nothing is said.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        *self == Self::default()
    }
}

/// Where others must be there, who counts, how many, and what happens when they no longer are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FourEyes {
    /// What people are told that the session waits for; one short line.
    pub name: String,
    /// Labels of the node, as in [`Allow::nodes`]; any node if nothing is said.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub nodes: BTreeMap<String, Vec<String>>,
    /// Logins, as in [`Allow::logins`]; any login if nothing is said.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub logins: Vec<String>,
    /// Who counts: names of roles, of which one is enough; `*` is anybody who has joined, empty is nobody.
    pub roles: Vec<String>,
    /// As what they count; moderators if nothing is said.
    pub seats: Vec<SeatRole>,
    /// How many of them, 1 or more; 1 if nothing is said.
    pub count: u8,
    /// What happens when they are no longer enough; everything is frozen if nothing is said.
    pub on_leave: OnLeave,
    /// How often each of them must confirm to be there, in minutes; never if nothing is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confirm_minutes: Option<u32>,
    /// What they have to do with files that are moved; they only look if nothing is said.
    #[serde(skip_serializing_if = "FileRule::is_watched")]
    pub files: FileRule,
}

/// What those who must be there have to do with files that are moved. What is stricter is greater.
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
#[serde(rename_all = "lowercase")]
pub enum FileRule {
    /// Files are moved while they are there.
    #[default]
    Watched,
    /// They approve each file, once. Files are moved by sftp alone, and without a terminal nothing else runs.
    Each,
}

impl FileRule {
    /// As if nothing was said.
    #[must_use]
    pub fn is_watched(&self) -> bool {
        *self == Self::Watched
    }
}

impl Default for FourEyes {
    fn default() -> Self {
        Self {
            name: String::new(),
            nodes: BTreeMap::new(),
            logins: Vec::new(),
            roles: Vec::new(),
            seats: vec![SeatRole::Moderator],
            count: 1,
            on_leave: OnLeave::default(),
            confirm_minutes: None,
            files: FileRule::default(),
        }
    }
}

/// What happens to a session when those who must be there are gone. What is stricter is greater.
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
#[serde(rename_all = "lowercase")]
pub enum OnLeave {
    /// Nothing runs and nothing passes until they are back.
    #[default]
    Freeze,
    /// It ends.
    End,
}

impl OnLeave {
    /// Its word, as roles name it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Freeze => "freeze",
            Self::End => "end",
        }
    }
}

/// How sessions are recorded where both conditions hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RecordWhere {
    /// Labels of the node, as in [`Allow::nodes`]; any node if nothing is said.
    #[serde(default)]
    pub nodes: BTreeMap<String, Vec<String>>,
    /// Logins, as in [`Allow::logins`]; any login if nothing is said.
    #[serde(default)]
    pub logins: Vec<String>,
    /// How.
    pub record: RecordingPolicy,
}

/// Services of a connection beside its sessions. Variants are appended, never reordered: recordings count them.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Forwarding {
    /// The client's agent (`-A`).
    Agent,
    /// From the client to where the node can reach (`-L`, `-D`), ports and sockets.
    Local,
    /// From a port or a socket on the node to the client (`-R`).
    Remote,
    /// The client's display (`-X`, `-Y`).
    X11,
}

impl Forwarding {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Agent, Self::Local, Self::Remote, Self::X11];

    /// Its word, as roles name it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Local => "local",
            Self::Remote => "remote",
            Self::X11 => "x11",
        }
    }
}

/// As what a person is in a session. Variants are appended, never reordered: recordings count them.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum SeatRole {
    /// Looks.
    Observer,
    /// Looks and types.
    Peer,
    /// Looks, and can freeze, thaw and end the session.
    Moderator,
}

/// A word that is no role of a seat.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{found:?} is none of observer, peer and moderator")]
pub struct NoSeatRole {
    /// As it was given.
    pub found: String,
}

impl SeatRole {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Observer, Self::Peer, Self::Moderator];

    /// Its word, as roles and people name it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Observer => "observer",
            Self::Peer => "peer",
            Self::Moderator => "moderator",
        }
    }
}

impl fmt::Display for SeatRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

impl FromStr for SeatRole {
    type Err = NoSeatRole;

    fn from_str(text: &str) -> Result<Self, NoSeatRole> {
        let named = Self::ALL.into_iter().find(|seat| seat.word() == text);
        named.ok_or_else(|| NoSeatRole { found: text.to_owned() })
    }
}

/// What may be done with a recording.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum RecordingAction {
    /// See that it exists.
    List,
    /// Look at it, live or afterwards.
    Play,
    /// Take it away.
    Export,
    /// Remove it, leaving its tombstone.
    Remove,
}

/// Whose recordings.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Reading {
    /// Nobody's.
    None,
    /// One's own.
    Own,
    /// Those made on nodes with these labels, as in [`Allow::nodes`].
    Nodes(BTreeMap<String, Vec<String>>),
    /// Everybody's.
    All,
}

/// A part of the cluster that may be administered.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum AdminRight {
    /// Users and invitations.
    Users,
    /// Roles, and questions about what they allow.
    Roles,
    /// Nodes and join tokens.
    Nodes,
    /// Read the ledger.
    Audit,
    /// Locks.
    Locks,
}

/// What happens when recording cannot keep up or fails.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum RecordingPolicy {
    /// Not recorded; the ledger still says that it was.
    Off,
    /// Goes on, spools locally, catches up.
    Spool,
    /// Waits for auth, and ends if it cannot be recorded.
    Strict,
}

/// What a node needs to know of itself to be decided about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeFacts {
    /// Its name.
    pub name: NodeName,
    /// Its labels.
    pub labels: Labels,
}

/// Everything a decision needs that is the same for everybody; a higher `rev` replaces a lower one.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RoleSet {
    /// Counts changes.
    pub rev: u64,
    /// The roles, by name.
    pub roles: BTreeMap<RoleName, Role>,
    /// Locks, by number.
    #[serde(default)]
    pub locks: Vec<Lock>,
    /// People whose accounts were changed or removed while certificates of theirs may still be in use.
    #[serde(default)]
    pub corrections: BTreeMap<UserName, Correction>,
    /// Links by which somebody came and that were revoked before their time; at most [`crate::limit::LINKS`].
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub revoked: BTreeSet<LinkId>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_a_role_of_a_seat_or_the_error_says_which_are() {
        for seat in SeatRole::ALL {
            assert_eq!(seat.word().parse(), Ok(seat));
            assert_eq!(serde_json::to_value(seat).unwrap(), seat.word());
            assert_eq!(seat.to_string(), seat.word());
        }
        for found in ["", "Peer", "peer ", "watcher", "owner"] {
            let error = found.parse::<SeatRole>().unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("{found:?} is none of observer, peer and moderator")
            );
        }
        for leave in [OnLeave::Freeze, OnLeave::End] {
            assert_eq!(serde_json::to_value(leave).unwrap(), leave.word());
        }
        assert!(OnLeave::End > OnLeave::Freeze);
    }

    #[test]
    fn a_role_that_says_nothing_of_joining_reads_and_stands_as_before() {
        let before = r#"{"name":"dev","description":"","allow":{"logins":["root"],"nodes":{"*":["*"]},"forward":[],"recordings":{},"admin":[]},"deny":{"logins":[],"nodes":{}},"options":{"record":null,"exec_stream_bytes":null,"record_typed":null,"record_transfers":null,"certificate_minutes":null,"session_minutes":null,"idle_minutes":null,"disconnect_expired":null}}"#;
        let role: Role = serde_json::from_str(before).unwrap();
        assert!(role.allow.join.is_empty() && role.allow.share.is_empty());
        assert!(role.deny.join.is_empty() && role.options.four_eyes.is_empty());
        assert_eq!(serde_json::to_string(&role).unwrap(), before);
    }

    #[test]
    fn what_a_rule_of_four_eyes_says_of_files_is_one_of_two_words() {
        let read = |text: &str| serde_json::from_str::<FourEyes>(text);
        let each = read(r#"{"name":"x","roles":["ops"],"files":"each"}"#).unwrap();
        assert_eq!(each.files, FileRule::Each);
        assert!(serde_json::to_string(&each).unwrap().contains(r#""files":"each""#));
        let watched = read(r#"{"name":"x","roles":["ops"],"files":"watched"}"#).unwrap();
        assert!(!serde_json::to_string(&watched).unwrap().contains("files"));
        assert!(read(r#"{"files":"all"}"#).is_err() && FileRule::Each > FileRule::Watched);
    }

    #[test]
    fn what_a_rule_of_four_eyes_does_not_say_is_one_moderator_anywhere_and_a_freeze() {
        let read = |text: &str| serde_json::from_str::<FourEyes>(text);
        let least = read(r#"{"name":"a second pair","roles":["ops"]}"#).unwrap();
        let (name, roles) = ("a second pair".to_owned(), vec!["ops".to_owned()]);
        assert_eq!(least, FourEyes { name, roles, ..FourEyes::default() });
        assert_eq!((&*least.seats, least.count), (&[SeatRole::Moderator][..], 1));
        assert_eq!((least.on_leave, least.confirm_minutes), (OnLeave::Freeze, None));
        let nobody = read("{}").unwrap();
        assert!(nobody.roles.is_empty(), "nobody counts who is not named");
        for bad in [
            r#"{"seat":["peer"]}"#,
            r#"{"seats":["watcher"]}"#,
            r#"{"seats":"peer"}"#,
            r#"{"on_leave":"wait"}"#,
            r#"{"count":-1}"#,
            r#"{"count":256}"#,
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
        let rule = serde_json::from_str::<JoinRule>;
        assert_eq!(rule("{}").unwrap(), JoinRule::default());
        for bad in [r#"{"role":["ops"]}"#, r#"{"seats":["watcher"]}"#, r#"{"seats":["Peer"]}"#] {
            assert!(rule(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn rules_of_joining_and_four_eyes_are_read_back_as_they_were_written() {
        let any = || vec!["*".to_owned()];
        let nodes = BTreeMap::from([("env".to_owned(), any())]);
        let four_eyes = FourEyes {
            name: "a second pair".to_owned(),
            nodes: nodes.clone(),
            logins: vec!["root".to_owned()],
            roles: any(),
            seats: SeatRole::ALL.into(),
            count: 2,
            on_leave: OnLeave::End,
            confirm_minutes: Some(5),
            files: FileRule::Each,
        };
        let seats = vec![SeatRole::Peer];
        let role = Role {
            name: "dev".parse().unwrap(),
            description: String::new(),
            allow: Allow {
                join: vec![JoinRule { roles: any(), nodes, seats: seats.clone() }],
                share: seats.clone(),
                guests: seats.clone(),
                ..Allow::default()
            },
            deny: Deny { join: seats, ..Deny::default() },
            options: Options { four_eyes: vec![four_eyes], ..Options::default() },
        };
        let text = serde_json::to_string(&role).unwrap();
        assert_eq!(serde_json::from_str::<Role>(&text).unwrap(), role);
    }
}

//! What can stand on a session's time line. One sum type for live view, recording, replay and export.

use crate::role::{Forwarding, SeatRole};
use crate::{Kernel, Login, Seq, Size, Transfer, UserName, Wanted};
use bytes::Bytes;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An entry with its place and time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamped {
    /// Place on the time line.
    pub seq: Seq,
    /// Milliseconds since the recording began. What the kernel saw carries a time of its own, a little earlier.
    pub at: u64,
    /// What happened.
    pub entry: Entry,
}

/// Which stream of a session bytes belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    /// The terminal, both output streams of the program in one.
    Pty,
    /// Standard output of a program without a terminal.
    Stdout,
    /// Standard error of a program without a terminal.
    Stderr,
    /// Standard input of a program without a terminal.
    Stdin,
}

/// Number of a person within one recording; 0 is the owner. [`People::Joined`] says who it is.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct Party(pub u16);

impl Party {
    /// Whose session it is.
    pub const OWNER: Self = Self(0);
}

/// One thing that happened in a session. Variants are appended, never reordered: postcard counts them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Entry {
    /// Bytes of a program, exactly as it wrote them (for [`Stream::Stdin`]: as it was given them).
    Output {
        /// Where they were written.
        stream: Stream,
        /// The bytes.
        bytes: Bytes,
    },
    /// Somebody typed. Who and when always; what only where the role asks for it, and never at a password prompt.
    Typed {
        /// Who.
        party: Party,
        /// How many bytes.
        count: u32,
        /// Which, if recorded.
        bytes: Option<Bytes>,
    },
    /// The terminal has a new size.
    Resize(Size),
    /// Somebody came or went.
    People(People),
    /// Something is missing here.
    Gap(Gap),
    /// A labelled moment.
    Mark {
        /// The label.
        label: String,
    },
    /// Bytes of a stream that are counted and hashed, not kept: what lies beyond the role's limit, and what sftp says beside the
    /// files' contents.
    Elided {
        /// Of which stream.
        stream: Stream,
        /// How many bytes.
        bytes: u64,
        /// BLAKE3 of those bytes.
        hash: [u8; 32],
    },
    /// A client's signal request that was delivered (RFC 4254 §6.9), by name without `SIG`.
    Signal {
        /// Such as `INT`.
        name: String,
    },
    /// The session asked for the agent, a forward or another service of its connection.
    Service {
        /// What was asked for, in the words of RFC 4254, such as `auth-agent-req@openssh.com`; a variable that was set, as
        /// `env NAME=VALUE`, and one that was refused, as `env NAME`.
        name: String,
        /// Whether it was granted.
        granted: bool,
    },
    /// The program ended. The last entry of a recording that ended well.
    Ended(Ending),
    /// Something of a connection beside its sessions; stands in the connection's own recording only.
    Forward(Forward),
    /// What a file transfer did, in place of the bytes that it took.
    Transfer(Transfer),
    /// What the kernel saw.
    Kernel(Kernel),
}

/// What happens with a service of a connection: who reached what over it, how much went each way, and how it ended.
/// Bytes are counted, never kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Forward {
    /// A socket on the node waits for connections that go to the client.
    Listening {
        /// For which service.
        what: Forwarding,
        /// `address:port`, or the path of a socket.
        at: String,
    },
    /// That socket is closed. What came through it before goes on.
    Stopped {
        /// For which service.
        what: Forwarding,
        /// As in `Listening`.
        at: String,
    },
    /// Something was refused, or could not be opened.
    Refused {
        /// Which service.
        what: Forwarding,
        /// Where to, or where it was to wait.
        target: String,
        /// Who asked, as far as is known.
        by: String,
        /// Why, for a person.
        why: String,
    },
    /// A connection was opened.
    Opened {
        /// Number within this recording, counted from 1.
        id: u64,
        /// Over which service.
        what: Forwarding,
        /// Where to: `address:port`, the path of a socket, or the client's agent or display.
        target: String,
        /// Who opened it: for [`Forwarding::Local`] what the client says of it, else the address, or the process with its uid.
        by: String,
    },
    /// That connection is closed.
    Closed {
        /// As in `Opened`.
        id: u64,
        /// Bytes from the client.
        sent: u64,
        /// Bytes to the client.
        received: u64,
        /// How long it was open.
        ms: u64,
        /// How it ended, in words.
        result: String,
    },
}

impl Forward {
    /// One line for a person. Texts of foreign origin stand in it as they came.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::Listening { what, at } => format!("{} waits at {at}", what.word()),
            Self::Stopped { what, at } => format!("{} waits no longer at {at}", what.word()),
            Self::Refused { what, target, by, why } => {
                format!("{} to {target} refused to {by}: {why}", what.word())
            }
            Self::Opened { id, what, target, by } => {
                format!("#{id} {} to {target} opened by {by}", what.word())
            }
            Self::Closed { id, sent, received, ms, result } => {
                let seconds = format!("{}.{:03} s", ms / 1000, ms % 1000);
                format!(
                    "#{id} closed after {seconds}, {sent} bytes from the client, {received} to it: {result}"
                )
            }
        }
    }
}

/// How a session ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// With an exit status.
    Exit {
        /// 0 to 255.
        status: u32,
    },
    /// By a signal.
    Signal {
        /// Name without `SIG`.
        name: String,
        /// Whether a core was dumped.
        core: bool,
    },
    /// The client's connection was lost or closed before the program ended.
    Disconnected,
    /// Ended by rule: length, idle time, a lock, the recorder.
    Stopped {
        /// Why, for a person.
        why: String,
    },
    /// The program could not be started.
    NotStarted {
        /// Why, for a person.
        why: String,
    },
    /// The recorder's process died; the end was written when it came back.
    Crashed,
    /// The last process of an aftermath has ended.
    NobodyLeft,
}

impl Ending {
    /// What is told of it to whoever is in the session.
    #[must_use]
    pub fn told(&self) -> String {
        match self {
            Self::Exit { status: 0 } => "the program has ended".to_owned(),
            Self::Exit { status } => format!("the program has ended with status {status}"),
            Self::Signal { name, .. } => format!("the program was ended by SIG{name}"),
            Self::Disconnected => "its owner has left".to_owned(),
            Self::Stopped { why } | Self::NotStarted { why } => why.clone(),
            Self::Crashed => "it crashed".to_owned(),
            Self::NobodyLeft => "nobody is left".to_owned(),
        }
    }
}

/// Who takes part in a session, and what they do to each other. Nothing of it is a byte of the terminal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum People {
    /// From here on `party` is this person.
    Joined {
        /// Number within this recording.
        party: Party,
        /// Who.
        user: UserName,
        /// On which account, for the owner.
        login: Login,
        /// From which address.
        from: String,
    },
    /// `party` has gone.
    Left {
        /// Number within this recording.
        party: Party,
    },
    /// From here on `party` is this person, who came to somebody else's session.
    Seated {
        /// Number within this recording.
        party: Party,
        /// Who.
        user: UserName,
        /// What they may do.
        seat: SeatRole,
        /// From which address.
        from: String,
    },
    /// `party` was shown out; that they left follows.
    ShownOut {
        /// Who had to go.
        party: Party,
        /// Who wanted it.
        by: Party,
    },
    /// Who may type from here on.
    Keyboard {
        /// The only one, or everybody who may type at all.
        held: Option<Party>,
    },
    /// Somebody said something, beside the terminal.
    Said {
        /// Who.
        party: Party,
        /// What.
        text: String,
    },
    /// The session waits for somebody before anything runs in it.
    Waits {
        /// For whom, for a person.
        why: String,
    },
    /// Its processes stand still from here on, and nothing passes in either direction.
    Frozen {
        /// Why, for a person.
        why: String,
    },
    /// It goes on, or begins.
    GoesOn,
    /// A process of the session was found outside its control group when it was frozen, and was stopped by itself.
    Outside {
        /// Its number.
        pid: u32,
        /// Its name, as the kernel has it.
        name: String,
        /// The user id that it ran with.
        uid: u32,
    },
    /// The owner wants to move a file, and others must approve it.
    FileWanted(Box<Wanted>),
    /// Somebody approved it.
    FileApproved {
        /// Its number.
        number: u32,
        /// Who.
        by: Party,
    },
    /// It is not moved.
    FileRefused {
        /// Its number.
        number: u32,
        /// Who said so; none if nobody has answered.
        by: Option<Party>,
    },
    /// It was approved, and was not moved, or not to its end, nevertheless.
    FileStopped {
        /// Its number.
        number: u32,
        /// Why, for a person.
        why: String,
    },
    /// The owner's connection was lost. Nobody types until they are back; their client can come back for a while.
    OwnerLost,
    /// The owner is back, or goes on from another place. What they see from here on begins with the screen as it is.
    OwnerBack {
        /// From which address.
        from: String,
    },
    /// From here on the terminal has the size of theirs, whatever it is made; at the beginning it is its owner's.
    SizeOf {
        /// Whose.
        party: Party,
    },
}

impl People {
    /// One line for a person. Texts of foreign origin stand in it as they came.
    #[must_use]
    pub fn words(&self) -> String {
        let who = |party: &Party| match *party {
            Party::OWNER => "the owner".to_owned(),
            Party(number) => format!("person {number}"),
        };
        match self {
            Self::Joined { user, login, from, .. } => format!("{user} came as {login} from {from}"),
            Self::Left { party } => format!("{} left", who(party)),
            Self::Seated { party, user, seat, from } => {
                format!("{user} joined as {} from {from} (person {})", seat.word(), party.0)
            }
            Self::ShownOut { party, by } => format!("{} showed {} out", who(by), who(party)),
            Self::Keyboard { held: Some(party) } => format!("the keyboard is with {}", who(party)),
            Self::Keyboard { held: None } => "everybody may type who may at all".to_owned(),
            Self::Said { party, text } => format!("{} said: {text}", who(party)),
            Self::Waits { why } => format!("waits: {why}"),
            Self::Frozen { why } => format!("frozen: {why}"),
            Self::GoesOn => "goes on".to_owned(),
            Self::Outside { pid, name, uid } => {
                format!(
                    "process {pid} ({name}, uid {uid}) had left the session's group; it was stopped by itself"
                )
            }
            Self::FileWanted(wanted) => format!("waits for a word: {wanted}"),
            Self::FileApproved { number, by } => format!("{} approved file {number}", who(by)),
            Self::FileRefused { number, by: Some(by) } => {
                format!("{} refused file {number}", who(by))
            }
            Self::FileRefused { number, by: None } => {
                format!("file {number} was refused: nobody has answered")
            }
            Self::FileStopped { number, why } => format!("file {number} was stopped: {why}"),
            Self::OwnerLost => "the owner's connection was lost".to_owned(),
            Self::OwnerBack { from } => format!("the owner is back, from {from}"),
            Self::SizeOf { party } => format!("the terminal has the size of {}", who(party)),
        }
    }
}

/// Something that was lost. Always counted as exactly as can be known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// Why it was lost.
    pub cause: GapCause,
    /// Bytes of output lost, if known.
    pub bytes: Option<u64>,
    /// Entries lost, if known.
    pub entries: Option<u64>,
    /// Milliseconds that it spans at most, up to this entry's time.
    pub ms: u64,
}

/// Why something was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GapCause {
    /// The recorder's process was killed with a segment open.
    Crash,
    /// The disk was full and the role said to go on.
    DiskFull,
    /// A record was damaged on disk before it was shipped.
    Damaged,
    /// Taken out of the recording afterwards; its digest is left, so that the rest still verifies.
    Redacted,
    /// The disk failed, and the role said to go on.
    DiskFailed,
    /// What the kernel saw came faster than it was taken, or was not understood.
    Kernel,
    /// Processes that a session had left running went on while no node watched them.
    Unwatched,
    /// They did more than an aftermath's recording takes: counted only.
    Bound,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_is_in_a_session_hears_how_its_program_ended() {
        let check = |ending: Ending, expected: &str| assert_eq!(ending.told(), expected);
        check(Ending::Exit { status: 0 }, "the program has ended");
        check(Ending::Exit { status: 3 }, "the program has ended with status 3");
        let killed = Ending::Signal { name: "KILL".to_owned(), core: false };
        check(killed, "the program was ended by SIGKILL");
        check(
            Ending::Stopped { why: "it was idle for 10 min".to_owned() },
            "it was idle for 10 min",
        );
    }
}

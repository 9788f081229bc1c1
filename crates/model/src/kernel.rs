//! What the kernel saw the processes of a session do.
//!
//! Paths, arguments and names are bytes that somebody else chose; they stand as text as in [`crate::transfer`]. An
//! `error` is a number of errno(3), 0 where it went well.

use crate::SessionId;
use crate::scope::Scope;
use core::fmt;
use serde::{Deserialize, Serialize};

/// What stands on the time line of it. Variants are appended, never reordered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kernel {
    /// What is watched in this recording. Stands before everything that is seen.
    Watch(Watch),
    /// A process of the session did something.
    Did(Box<KernelEvent>),
    /// How much it was, at the end.
    Totals(Totals),
    /// Somebody meddled with what tells this session's processes from others.
    Tampering(Tampering),
    /// Roles want only some of what is watched. Stands behind the watch.
    Scope(Scope),
    /// From here on all of it is recorded, because what the filters go by may mean something else.
    Unbound(Unbound),
    /// How much the filters left out, at the end.
    LeftOut(LeftOut),
}

/// Why filters count no more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unbound {
    /// A process changed what is mounted, or where paths begin: `/tmp/x` may be any folder.
    Mounts {
        /// Number of the process.
        process: u32,
        /// By which system call.
        call: String,
    },
    /// Records were lost, and such a change may have been among them.
    Lost,
    /// No node watched for a while.
    Unwatched,
}

/// Events that roles' filters left out of a recording; none of them is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LeftOut {
    /// Of files.
    pub files: u64,
    /// Of connections.
    pub network: u64,
}

/// A sign of tampering. What it takes (`CAP_AUDIT_CONTROL`, `CAP_BPF`) is root's; login(1) and daemons that sign people in
/// begin other audit sessions, too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tampering {
    /// When, in milliseconds since the recording began.
    pub at: u64,
    /// Number of the process that shows it.
    pub process: u32,
    /// Its name, as the kernel has it.
    pub name: String,
    /// Its user.
    pub uid: u32,
    /// What it shows.
    pub sign: Sign,
}

/// What a process shows. Variants are appended, never reordered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sign {
    /// It belongs to the session, and has another audit session: its login uid was written anew.
    AuditSession {
        /// That of the session.
        own: u32,
        /// That of the process.
        found: u32,
    },
    /// Its audit session says that it belongs to the session, and it was not in the recorder's table, though there was room.
    NotInTable,
}

/// Classes of what is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Classes {
    /// Programs that ran, and how they ended.
    pub commands: bool,
    /// Files that were opened, changed, named otherwise, removed.
    pub files: bool,
    /// Connections and where they went.
    pub network: bool,
}

impl Classes {
    /// None of them.
    pub const NONE: Self = Self { commands: false, files: false, network: false };

    /// Whether there is any.
    #[must_use]
    pub fn any(self) -> bool {
        self != Self::NONE
    }

    /// What of programs is not seen because system calls are not looked at: that costs every process of the machine
    /// something, so they are while files or connections are watched, and not for programs alone.
    #[must_use]
    pub fn unseen(self) -> &'static str {
        match self {
            Self { commands: true, files: false, network: false } => {
                " (programs that could not be run, and calls by which a process changes who it is or reaches beyond itself, are \
                 seen only where files or connections are watched too; who a program runs as stands at each)"
            }
            _ => "",
        }
    }
}

impl fmt::Display for Classes {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = [(self.commands, "commands"), (self.files, "files"), (self.network, "network")];
        let words: Vec<_> = all.iter().filter(|(is, _)| *is).map(|(_, word)| *word).collect();
        out.pad(&if words.is_empty() { "nothing".to_owned() } else { words.join(", ") })
    }
}

/// What is watched, and why not all of what was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watch {
    /// What is.
    pub classes: Classes,
    /// Why something is not, for a person; empty if nothing is missing.
    pub lacks: String,
}

/// Sums of a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Totals {
    /// Records that the kernel made and that came to this recording. With those that were lost these are all.
    pub sent: u64,
    /// Records that found no room, in the kernel or behind it; each stands in a gap too.
    pub lost: u64,
    /// Processes that were more than a session may have in the kernel's table: they are known by their audit session only.
    pub beyond: u64,
    /// Processes that the table did not take for another reason.
    pub unheld: u64,
    /// Times that the kernel skipped the recorder while this recording went on, in whatever session of the machine.
    pub skipped: u64,
    /// Processes that go on behind the end of this recording.
    pub left: u32,
}

impl Totals {
    /// What the kernel did not see as it should have: processes beside its table, and times that it skipped the recorder.
    #[must_use]
    pub fn unseen(&self) -> u64 {
        self.beyond.saturating_add(self.unheld).saturating_add(self.skipped)
    }
}

/// One thing that a process did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KernelEvent {
    /// When, in milliseconds since the recording began. Entries stand in the order in which they were taken, a little later.
    pub at: u64,
    /// Who.
    pub by: Doer,
    /// What.
    pub action: Action,
    /// How often, from then on; the same thing done again and again within a moment stands once.
    pub times: u32,
}

/// A process at the moment at which it did something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Doer {
    /// Its number, as the machine counts.
    pub process: u32,
    /// Of the process that began it, or that took it over where that is not known.
    pub parent: u32,
    /// Its user.
    pub uid: u32,
    /// With whose rights it ran.
    pub euid: u32,
    /// Its audit session, where the kernel has those.
    pub audit: Option<u32>,
    /// Its name, as the kernel has it: 15 bytes at most.
    pub name: String,
    /// Whether only its audit session says that it belongs here.
    pub stray: bool,
}

/// What a process did. Variants are appended, never reordered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// It became another program.
    Ran(Box<Program>),
    /// More arguments of the program that this process became last.
    Arguments {
        /// They go on where the others stop.
        arguments: Vec<String>,
        /// Whether the first of them is the rest of the last one before.
        goes_on: bool,
    },
    /// It tried to become another program.
    NotRan {
        /// Which, as passed.
        file: Named,
        /// The first of its arguments.
        arguments: Vec<String>,
        /// Why it did not.
        error: i32,
    },
    /// It ended.
    Ended {
        /// How.
        end: End,
        /// How long it was there.
        ms: u64,
    },
    /// It opened a file, or tried to.
    Opened {
        /// Which: the file that was opened, or what was passed where none was.
        file: Named,
        /// Flags of open(2).
        flags: u32,
        /// Where it is, if it was opened.
        place: Option<Place>,
        /// Why it was not.
        error: i32,
    },
    /// It changed something that has a path, or tried to.
    Changed {
        /// By which system call.
        call: String,
        /// What.
        file: Named,
        /// The other path of calls that take two.
        other: Option<Named>,
        /// Arguments behind the path, such as a mode or an owner.
        numbers: Vec<u64>,
        /// Why it could not.
        error: i32,
    },
    /// Something became of a TCP socket.
    Tcp {
        /// What.
        step: TcpStep,
        /// This end, `address:port`.
        local: String,
        /// The other.
        remote: String,
    },
    /// It did something with a socket, or tried to.
    Socket {
        /// By which system call.
        call: String,
        /// Number of the protocol, 17 for UDP; 0 of sockets that have none.
        protocol: u32,
        /// This end, if it has one.
        local: String,
        /// The address that was passed, or else the other end.
        remote: String,
        /// Why it could not.
        error: i32,
    },
    /// It changed who it is, or tried to.
    Identity {
        /// By which system call.
        call: String,
        /// The call's first arguments.
        numbers: Vec<u64>,
        /// Why it could not.
        error: i32,
    },
    /// It did, or tried, something that reaches beyond itself: another process, the kernel, memory that runs.
    Special {
        /// By which system call.
        call: String,
        /// A text among its arguments, as passed.
        text: String,
        /// The call's first arguments.
        numbers: Vec<u64>,
        /// Why it could not.
        error: i32,
    },
    /// It asked for an operation by io_uring; whether that went well is not known here.
    Uring {
        /// Which, in the kernel's words.
        operation: String,
        /// Its path, if it has one.
        file: Option<Named>,
        /// The other path of a rename.
        other: Option<Named>,
    },
    /// It and a process that is not this session's came together by a unix socket: a service that may act for it, or
    /// somebody whom it serves.
    Met {
        /// By which system call: `connect` where it asked, `accept` or `accept4` where it was asked.
        call: String,
        /// The path that the very socket is bound to, or what was passed; `@name` of one that is in no folder.
        socket: Named,
        /// The process at the other end.
        other: Neighbour,
    },
}

/// A process that is not the session's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Neighbour {
    /// Its number, as the machine counts: whoever began to listen, or to connect.
    pub process: u32,
    /// Its name, as the kernel has it; empty if it has ended since.
    pub name: String,
    /// With whose rights it did so.
    pub euid: u32,
    /// The session that it belongs to, if it belongs to one that the kernel watches: what it does stands there.
    pub session: Option<SessionId>,
}

/// A path, and what it is worth. One of another namespace of mounts than the node's has that in front
/// (`mnt:[4026532567]/etc/passwd`), or `mnt:[none]` if what it is on is mounted in none.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Named {
    /// The path.
    pub path: String,
    /// The folder that it begins at, if it is not absolute; of an absolute one that was passed the root of the process, if
    /// that is another than the machine's.
    pub folder: String,
    /// Whether this is what the process passed, which it may have changed in the meantime; else it is the path of the very
    /// file.
    pub as_passed: bool,
}

/// A file's number, and that of what it is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Place {
    /// As the kernel counts devices: 12 bits of major, 20 of minor.
    pub device: u32,
    /// Of the file there.
    pub inode: u64,
}

/// A program that a process became.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Program {
    /// What was asked for.
    pub file: String,
    /// The interpreter of a script.
    pub interpreter: String,
    /// The file that runs, as the path of a very file in [`Named`]; empty where its folders were moved while the path was
    /// read.
    pub program: String,
    /// Where that is.
    pub place: Place,
    /// Whether that file has no name any more, or never had, as of memfd_create(2).
    pub deleted: bool,
    /// Where the process was; likewise.
    pub folder: String,
    /// Its arguments; those that do not stand here follow as [`Action::Arguments`].
    pub arguments: Vec<String>,
    /// How many bytes all arguments are, each with a zero behind it.
    pub bytes: u32,
    /// How many of these bytes stand in this recording; fewer than `bytes` where they were more than are kept, or were lost.
    pub kept: u32,
    /// Whether some of them could not be read and stand as zeros.
    pub unreadable: bool,
    /// Its group, and that with whose rights it runs.
    pub gid: (u32, u32),
    /// As whom its person logged in, where the kernel knows.
    pub login: Option<u32>,
    /// Effective capabilities (capabilities(7)), a bit each.
    pub capabilities: u64,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// With a status.
    Status(u8),
    /// By the signal of this number.
    Signal(u8),
}

/// What became of a TCP socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TcpStep {
    /// It was connected.
    Connected,
    /// It could not be.
    NotConnected,
    /// It waits for connections.
    Listens,
}

/// To which class something belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// [`Classes::commands`].
    Commands,
    /// [`Classes::files`].
    Files,
    /// [`Classes::network`].
    Network,
}

impl Action {
    /// To which class it belongs.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Opened { .. } | Self::Changed { .. } => Class::Files,
            Self::Tcp { .. } | Self::Socket { .. } | Self::Met { .. } => Class::Network,
            Self::Uring { file, .. } if file.is_some() => Class::Files,
            Self::Uring { .. } => Class::Network,
            Self::Ran(_)
            | Self::Arguments { .. }
            | Self::NotRan { .. }
            | Self::Ended { .. }
            | Self::Identity { .. }
            | Self::Special { .. } => Class::Commands,
        }
    }
}

impl Named {
    /// The whole path, as far as it is known: with the folder or the root that it begins at.
    #[must_use]
    pub fn whole(&self) -> String {
        let Self { path, folder, .. } = self;
        if folder.is_empty() {
            return path.clone();
        }
        let below = path.strip_prefix("./").unwrap_or(path);
        format!("{}/{}", folder.trim_end_matches('/'), below.trim_start_matches('/'))
    }
}

impl fmt::Display for Named {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.path)?;
        if !self.folder.is_empty() {
            write!(out, " in {}", self.folder)?;
        }
        if self.as_passed { out.write_str(" (as passed)") } else { Ok(()) }
    }
}

impl Program {
    /// The last part of its path; of what was asked for, where that is not known.
    #[must_use]
    pub fn name(&self) -> &str {
        let path = if self.program.is_empty() { &self.file } else { &self.program };
        path.trim_end_matches('/').rsplit('/').next().unwrap_or(path)
    }

    /// The command as somebody could have typed it, as far as it stands here.
    #[must_use]
    pub fn line(&self) -> String {
        line_of(&self.arguments)
    }
}

/// Arguments as a shell would take them: those with anything unusual in quotes.
#[must_use]
pub fn line_of(arguments: &[String]) -> String {
    let plain = |one: &char| one.is_ascii_alphanumeric() || "-_./:=,+@%^~".contains(*one);
    let quoted = |one: &String| match !one.is_empty() && one.chars().all(|char| plain(&char)) {
        true => one.clone(),
        false => format!("'{}'", one.replace('\'', r"'\''")),
    };
    arguments.iter().map(quoted).collect::<Vec<_>>().join(" ")
}

/// What stands behind something that failed.
struct Failure(i32);

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.0 {
            0 => return Ok(()),
            1 => "not permitted",
            2 => "not there",
            13 => "permission denied",
            17 => "is there already",
            20 => "not a folder",
            21 => "is a folder",
            101 => "network unreachable",
            104 => "connection reset",
            110 => "timed out",
            111 => "refused",
            113 => "no route to it",
            115 => "under way",
            error => return write!(out, ": failed, error {error}"),
        };
        write!(out, ": {word}")
    }
}

impl fmt::Display for Action {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let numbers = |all: &[u64]| {
            all.iter().map(|one| one.cast_signed().to_string()).collect::<Vec<_>>().join(", ")
        };
        match self {
            Self::Ran(program) => {
                write!(out, "{}", program.line())?;
                if program.kept < program.bytes {
                    write!(out, " … ({} of {} bytes kept)", program.kept, program.bytes)?;
                }
                if program.deleted {
                    write!(out, " (from a file without a name, {})", program.program)?;
                }
                Ok(())
            }
            Self::Arguments { arguments, .. } => write!(out, "… {}", line_of(arguments)),
            Self::NotRan { file, arguments, error } => {
                write!(out, "did not run {file} ({}){}", line_of(arguments), Failure(*error))
            }
            Self::Ended { end, ms } => {
                match end {
                    End::Status(status) => write!(out, "ended with {status}")?,
                    End::Signal(signal) => write!(out, "ended by signal {signal}")?,
                }
                write!(out, " after {}.{:03} s", ms / 1000, ms % 1000)
            }
            Self::Opened { file, flags, error, .. } => {
                let how = match (flags & 3, flags & 0o100) {
                    (0, _) => "opened",
                    (_, 0) => "opened to write",
                    _ => "made or opened to write",
                };
                write!(out, "{how} {file}{}", Failure(*error))
            }
            Self::Changed { call, file, other, error, .. } => {
                write!(out, "{call} {file}")?;
                if let Some(other) = other {
                    write!(out, " → {other}")?;
                }
                write!(out, "{}", Failure(*error))
            }
            Self::Tcp { step, local, remote } => match step {
                TcpStep::Connected => write!(out, "connected to {remote} from {local}"),
                TcpStep::NotConnected => write!(out, "could not connect to {remote}"),
                TcpStep::Listens => write!(out, "listens at {local}"),
            },
            Self::Socket { call, protocol, local, remote, error } => {
                let kind = match protocol {
                    17 => " (udp)",
                    1 | 58 => " (icmp)",
                    _ => "",
                };
                let address = if remote.is_empty() { local } else { remote };
                write!(out, "{call} {address}{kind}{}", Failure(*error))
            }
            Self::Identity { call, numbers: all, error } => {
                write!(out, "{call}({}){}", numbers(all), Failure(*error))
            }
            Self::Special { call, text, numbers: all, error } => {
                let text = if text.is_empty() { String::new() } else { format!(" {text}") };
                write!(out, "{call}({}){text}{}", numbers(all), Failure(*error))
            }
            Self::Uring { operation, file, other, .. } => {
                write!(out, "io_uring {operation}")?;
                for one in [file, other].into_iter().flatten() {
                    write!(out, " {one}")?;
                }
                Ok(())
            }
            Self::Met { call, socket, other } => {
                let way = if call == "connect" { "to" } else { "from" };
                let Neighbour { process, name, euid, session } = other;
                write!(out, "{call} unix:{socket}, {way} process {process} ({name}, uid {euid})")?;
                match session {
                    Some(session) => write!(out, " of session {session}"),
                    None => out.write_str(" of no recorded session"),
                }
            }
        }
    }
}

impl fmt::Display for KernelEvent {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.action)?;
        if self.times > 1 { write!(out, ", {} times", self.times) } else { Ok(()) }
    }
}

impl Kernel {
    /// One line for a person. Texts of foreign origin stand in it as they came.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::Watch(Watch { classes, lacks }) => {
                let lacks = if lacks.is_empty() { String::new() } else { format!(": {lacks}") };
                format!("the kernel watches {classes}{lacks}{}", classes.unseen())
            }
            Self::Did(event) => format!("{} {event}", event.by.process),
            Self::Totals(totals) => totals.to_string(),
            Self::Tampering(tampering) => tampering.to_string(),
            Self::Scope(scope) => format!("of these are recorded: {scope}"),
            Self::Unbound(why) => format!("from here on all of it is recorded: {why}"),
            Self::LeftOut(LeftOut { files, network }) => {
                format!(
                    "{files} events of files and {network} of connections were left out, as roles have it"
                )
            }
        }
    }
}

impl fmt::Display for Unbound {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mounts { process, call } => {
                write!(out, "process {process} changed what paths mean ({call})")
            }
            Self::Lost => out.write_str("records were lost"),
            Self::Unwatched => out.write_str("nobody watched for a while"),
        }
    }
}

impl fmt::Display for Tampering {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { process, name, uid, sign, .. } = self;
        write!(out, "process {process} ({name}, uid {uid}) ")?;
        match sign {
            Sign::AuditSession { own, found } => {
                write!(out, "has the audit session {found} instead of {own}")
            }
            Sign::NotInTable => out.write_str("was not in the recorder's table"),
        }
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} of the kernel's records came, {} were lost", self.sent, self.lost)?;
        for (count, what) in [
            (self.beyond, "processes were beyond the session's part of the table"),
            (self.unheld, "processes were not taken into the table"),
            (self.skipped, "runs were skipped on this machine"),
            (self.left.into(), "processes go on behind its end"),
        ] {
            if count > 0 {
                write!(out, ", {count} {what}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_whole_with_the_folder_or_the_root_that_it_begins_at() {
        for (path, folder, whole) in [
            ("/etc/x", "", "/etc/x"),
            ("x", "", "x"),
            ("x", "/etc", "/etc/x"),
            ("./x", "/", "/x"),
            ("../x", "/etc", "/etc/../x"),
            ("/x", "/srv/jail", "/srv/jail/x"),
            ("/x", "mnt:[8]", "mnt:[8]/x"),
            ("x", "mnt:[8]/etc", "mnt:[8]/etc/x"),
        ] {
            let named =
                Named { path: path.to_owned(), folder: folder.to_owned(), ..Named::default() };
            assert_eq!(named.whole(), whole);
        }
    }

    #[test]
    fn only_where_programs_alone_are_watched_something_of_them_is_said_not_to_be_seen() {
        for (commands, files, network, says) in [
            (true, false, false, true),
            (true, true, false, false),
            (true, false, true, false),
            (false, true, true, false),
            (false, false, false, false),
        ] {
            let classes = Classes { commands, files, network };
            let words = Kernel::Watch(Watch { classes, lacks: String::new() }).words();
            assert_eq!(words.contains("could not be run"), says, "{words}");
        }
    }
}

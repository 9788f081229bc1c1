//! What file transfers did: the operations of sftp and scp, as they were read in passing from a session's streams.
//!
//! Paths and texts are bytes that somebody else chose. They stand as text: a byte that is not UTF-8 as `\xNN`, a
//! backslash as `\\`; everything else, control characters too, as it was (see [`text_of`]).

use crate::Stream;
use core::fmt;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// One thing that a transfer did. Variants are appended, never reordered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transfer {
    /// The streams were recognised by what is in them. From here on, operations stand in place of their bytes.
    Began {
        /// As what.
        protocol: Protocol,
    },
    /// A file was opened.
    Opened {
        /// Number within this recording, from 1.
        file: u32,
        /// As the protocol named it.
        path: String,
        /// What for.
        access: Vec<Access>,
        /// Permissions that a new file is to have.
        mode: Option<u32>,
    },
    /// A file was closed, or is closed no more because the session ended. The one that says what was moved.
    Closed(Box<FileMoved>),
    /// A file or folder could not be opened.
    NotOpened {
        /// As the protocol named it.
        path: String,
        /// What for; empty for a folder.
        access: Vec<Access>,
        /// Why not.
        outcome: Outcome,
    },
    /// A folder was read.
    Listed {
        /// As the protocol named it.
        path: String,
        /// How many names were told.
        names: u64,
        /// How it ended.
        outcome: Outcome,
    },
    /// Something was changed, or was not.
    Changed {
        /// What.
        change: Change,
        /// How it ended.
        outcome: Outcome,
    },
    /// Questions that changed nothing, counted since the last such entry.
    Lookups(Lookups),
    /// A message of one side that belongs to no file.
    Said {
        /// Whose.
        by: Stream,
        /// The message.
        text: String,
    },
    /// The streams are not parsed any more; what follows in them is recorded as it is.
    Unparsed {
        /// In which stream it was noticed.
        stream: Stream,
        /// What was wrong, for a person.
        why: String,
    },
}

/// A protocol that is known by its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// SFTP version 3 (draft-ietf-secsh-filexfer-02), with OpenSSH's extensions.
    Sftp,
    /// The old scp protocol, files to the node (`scp -t` there).
    ScpUpload,
    /// The old scp protocol, files from the node (`scp -f` there).
    ScpDownload,
}

/// What a file was opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// To be read.
    Read,
    /// To be written.
    Write,
    /// What is written goes to its end.
    Append,
    /// It is made if it is not there.
    Create,
    /// It is emptied.
    Truncate,
    /// It must not be there.
    Exclusive,
}

/// What was moved of one file, from its opening to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileMoved {
    /// Number within this recording, from 1.
    pub file: u32,
    /// As the protocol named it.
    pub path: String,
    /// What it was opened for.
    pub access: Vec<Access>,
    /// Size of the file in bytes, where it was told or its end was met.
    pub size: Option<u64>,
    /// Permissions that the protocol announced.
    pub mode: Option<u32>,
    /// Times that the protocol announced.
    pub times: Option<Times>,
    /// Bytes that were read from it, if any.
    pub read: Option<Moved>,
    /// Bytes that were written to it, if any.
    pub written: Option<Moved>,
    /// How it ended: the first failure, if there was one.
    pub outcome: Outcome,
}

/// Seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Times {
    /// Last change.
    pub modified: u64,
    /// Last use.
    pub accessed: u64,
}

/// Bytes moved in one direction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moved {
    /// How many, those that were moved twice counted twice.
    pub bytes: u64,
    /// Where in the file.
    pub layout: Layout,
}

/// Where in a file moved bytes belong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Layout {
    /// One stretch, moved from its beginning to its end.
    #[serde(rename = "contiguous")]
    Contiguous {
        /// First byte of the stretch.
        from: u64,
        /// BLAKE3 of the stretch.
        hash: Digest,
    },
    /// Out of order, with holes, or twice: no hash of the file can be had in passing.
    #[serde(rename = "not contiguous")]
    Scattered {
        /// Stretches that were touched, in the order of the file; at most [`crate::limit::TRANSFER_EXTENTS`].
        extents: Vec<Extent>,
        /// Pieces that lie outside of those and are not listed.
        more: u64,
    },
}

/// A stretch of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extent {
    /// First byte.
    pub from: u64,
    /// How many.
    pub bytes: u64,
}

/// A BLAKE3 digest; in JSON in hexadecimal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Digest(pub [u8; 32]);

impl fmt::Display for Digest {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        if out.is_human_readable() { out.collect_str(self) } else { self.0.serialize(out) }
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        if !from.is_human_readable() {
            return <[u8; 32]>::deserialize(from).map(Self);
        }
        let text = String::deserialize(from)?;
        let wrong = || D::Error::custom("a digest is 64 hexadecimal digits");
        if text.len() != 64 || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(wrong());
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
            let pair = core::str::from_utf8(pair).map_err(|_| wrong())?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| wrong())?;
        }
        Ok(Self(bytes))
    }
}

/// A change that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// A file was removed.
    Remove {
        /// Which.
        path: String,
    },
    /// Something got another name.
    Rename {
        /// The old one.
        path: String,
        /// The new one.
        to: String,
        /// Whether what had that name may be replaced (`posix-rename@openssh.com`).
        replace: bool,
    },
    /// A folder was made. With scp: or was there.
    MakeFolder {
        /// Which.
        path: String,
        /// Its permissions.
        mode: Option<u32>,
    },
    /// A folder was removed.
    RemoveFolder {
        /// Which.
        path: String,
    },
    /// A symbolic link was made.
    Symlink {
        /// Its name.
        path: String,
        /// Where it leads, as OpenSSH reads the request.
        to: String,
    },
    /// A file got a second name (`hardlink@openssh.com`).
    Hardlink {
        /// The old one.
        path: String,
        /// The new one.
        to: String,
    },
    /// Attributes were set.
    Attributes {
        /// Of which file.
        path: String,
        /// Whether a symbolic link is followed.
        follow: bool,
        /// Which, to what.
        set: Attributes,
    },
    /// Bytes were copied on the node itself (`copy-data`).
    Copy {
        /// From which open file.
        path: String,
        /// First byte there.
        from: u64,
        /// How many; 0 for all.
        bytes: u64,
        /// To which open file.
        to: String,
        /// First byte there.
        at: u64,
    },
    /// A request that this version does not know.
    Extension {
        /// Its name.
        name: String,
        /// What stood in it.
        data: String,
    },
}

/// Attributes of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Attributes {
    /// Size in bytes.
    pub size: Option<u64>,
    /// Numbers of user and group.
    pub owner: Option<(u32, u32)>,
    /// Permissions.
    pub mode: Option<u32>,
    /// Times.
    pub times: Option<Times>,
}

/// How something ended.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Well.
    #[default]
    Ok,
    /// It was refused or failed.
    Failed {
        /// The protocol's number: of sftp's status (draft-ietf-secsh-filexfer-02 §7), or 1 or 2 of scp.
        code: u32,
        /// What was said about it.
        text: String,
    },
    /// Nobody knows: the session ended, or was not parsed any more, before the answer.
    Unanswered,
}

/// Questions that changed nothing: how many of each kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Lookups {
    /// Attributes of a file (`stat`, `lstat`, `fstat`).
    pub stat: u64,
    /// Names (`realpath`, `readlink`, home folders).
    pub names: u64,
    /// Others: limits, free space, names of users, and `fsync`.
    pub other: u64,
    /// Those among them that failed or have no answer.
    pub failed: u64,
}

impl Outcome {
    /// In words, for the ledger.
    #[must_use]
    pub fn words(&self) -> String {
        match Ending(self).to_string().strip_prefix(": ") {
            Some(words) => words.to_owned(),
            None => "ok".to_owned(),
        }
    }
}

impl Lookups {
    /// How many.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.stat.saturating_add(self.names).saturating_add(self.other)
    }
}

/// Bytes that somebody else chose, as text.
#[must_use]
pub fn text_of(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c == '\\' {
                text.push('\\');
            }
            text.push(c);
        }
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}

impl Protocol {
    /// In words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Sftp => "sftp",
            Self::ScpUpload => "scp, to the node",
            Self::ScpDownload => "scp, from the node",
        }
    }
}

impl Transfer {
    /// Whether it is worth a line where only the essential is shown.
    #[must_use]
    pub fn is_essential(&self) -> bool {
        !matches!(self, Self::Opened { .. } | Self::Lookups(_))
    }

    /// Every text in it that somebody else chose.
    pub fn texts(&mut self) -> Vec<&mut String> {
        let of = |outcome| match outcome {
            &mut Outcome::Failed { ref mut text, .. } => Some(text),
            Outcome::Ok | Outcome::Unanswered => None,
        };
        match self {
            Self::Began { .. } | Self::Lookups(_) => Vec::new(),
            Self::Opened { path, .. } => vec![path],
            Self::Closed(moved) => {
                let FileMoved { path, outcome, .. } = &mut **moved;
                [path].into_iter().chain(of(outcome)).collect()
            }
            Self::NotOpened { path, outcome, .. } | Self::Listed { path, outcome, .. } => {
                [path].into_iter().chain(of(outcome)).collect()
            }
            Self::Changed { change, outcome } => {
                change.texts().into_iter().chain(of(outcome)).collect()
            }
            Self::Said { text, .. } | Self::Unparsed { why: text, .. } => vec![text],
        }
    }

    /// What was moved, if this is the end of a file.
    #[must_use]
    pub fn moved(&self) -> Option<&FileMoved> {
        match self {
            Self::Closed(moved) => Some(moved),
            _ => None,
        }
    }
}

impl Change {
    fn texts(&mut self) -> Vec<&mut String> {
        match self {
            Self::Rename { path, to, .. }
            | Self::Symlink { path, to }
            | Self::Hardlink { path, to }
            | Self::Copy { path, to, .. }
            | Self::Extension { name: path, data: to } => vec![path, to],
            Self::Remove { path }
            | Self::MakeFolder { path, .. }
            | Self::RemoveFolder { path }
            | Self::Attributes { path, .. } => vec![path],
        }
    }

    /// What it is done to, and the second path, if there is one.
    #[must_use]
    pub fn paths(&self) -> (&str, Option<&str>) {
        match self {
            Self::Rename { path, to, .. }
            | Self::Symlink { path, to }
            | Self::Hardlink { path, to }
            | Self::Copy { path, to, .. } => (path, Some(to)),
            Self::Remove { path }
            | Self::MakeFolder { path, .. }
            | Self::RemoveFolder { path }
            | Self::Attributes { path, .. }
            | Self::Extension { name: path, .. } => (path, None),
        }
    }

    /// Its word, as it stands in JSON.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Remove { .. } => "remove",
            Self::Rename { .. } => "rename",
            Self::MakeFolder { .. } => "make_folder",
            Self::RemoveFolder { .. } => "remove_folder",
            Self::Symlink { .. } => "symlink",
            Self::Hardlink { .. } => "hardlink",
            Self::Attributes { .. } => "attributes",
            Self::Copy { .. } => "copy",
            Self::Extension { .. } => "extension",
        }
    }
}

impl FileMoved {
    /// Bytes moved, both directions together.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let bytes = |moved: &Option<Moved>| moved.as_ref().map_or(0, |moved| moved.bytes);
        bytes(&self.read).saturating_add(bytes(&self.written))
    }
}

impl fmt::Display for Transfer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Began { protocol } => write!(out, "files are moved by {}", protocol.words()),
            Self::Opened { path, access, .. } => {
                write!(out, "opened {path} to {}", access_words(access))
            }
            Self::Closed(moved) => moved.fmt(out),
            Self::NotOpened { path, access, outcome } => {
                write!(out, "{} {path}{}", access_words(access), Ending(outcome))
            }
            Self::Listed { path, names, outcome } => {
                write!(out, "listed {path}, {names} names{}", Ending(outcome))
            }
            Self::Changed { change, outcome } => write!(out, "{change}{}", Ending(outcome)),
            Self::Lookups(lookups) => {
                let (total, failed) = (lookups.total(), lookups.failed);
                write!(out, "{total} lookups")?;
                if failed > 0 { write!(out, ", {failed} of them in vain") } else { Ok(()) }
            }
            Self::Said { by, text } => {
                let side = if *by == Stream::Stdin { "client" } else { "node" };
                write!(out, "the {side} said: {text}")
            }
            Self::Unparsed { why, .. } => {
                write!(out, "not parsed any more, recorded as it is from here: {why}")
            }
        }
    }
}

/// What a file was to be opened for, in words; a folder is listed.
#[must_use]
pub fn access_words(access: &[Access]) -> &'static str {
    if access.is_empty() {
        return "list";
    }
    match (access.contains(&Access::Read), access.contains(&Access::Write)) {
        (true, true) => "read and write",
        (_, true) => "write",
        _ if access.contains(&Access::Append) => "write",
        _ => "read",
    }
}

impl fmt::Display for FileMoved {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = |out: &mut fmt::Formatter<'_>, verb: &str, moved: &Moved| {
            write!(out, "{verb} {}: {} bytes", self.path, moved.bytes)?;
            match &moved.layout {
                Layout::Contiguous { from: 0, hash } => write!(out, ", blake3 {hash}"),
                Layout::Contiguous { from, hash } => {
                    write!(out, " from byte {from} on, blake3 {hash}")
                }
                Layout::Scattered { extents, more } => {
                    out.write_str(", not contiguous:")?;
                    for Extent { from, bytes } in extents {
                        write!(out, " {from}+{bytes}")?;
                    }
                    if *more > 0 { write!(out, " and {more} pieces more") } else { Ok(()) }
                }
            }
        };
        match (&self.read, &self.written) {
            (Some(read), Some(written)) => {
                part(out, "read", read)?;
                out.write_str("; ")?;
                part(out, "written", written)?;
            }
            (Some(read), None) => part(out, "read", read)?,
            (None, Some(written)) => part(out, "written", written)?,
            (None, None) => write!(out, "closed {}: nothing was moved", self.path)?,
        }
        write!(out, "{}", Ending(&self.outcome))
    }
}

impl fmt::Display for Change {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let with_mode = |out: &mut fmt::Formatter<'_>, mode: &Option<u32>| match mode {
            Some(mode) => write!(out, " with mode {mode:04o}"),
            None => Ok(()),
        };
        match self {
            Self::Remove { path } => write!(out, "remove {path}"),
            Self::Rename { path, to, .. } => write!(out, "rename {path} to {to}"),
            Self::MakeFolder { path, mode } => {
                write!(out, "make folder {path}")?;
                with_mode(out, mode)
            }
            Self::RemoveFolder { path } => write!(out, "remove folder {path}"),
            Self::Symlink { path, to } => write!(out, "link {path} to {to}"),
            Self::Hardlink { path, to } => write!(out, "name {path} {to} as well"),
            Self::Attributes { path, set, .. } => {
                write!(out, "set attributes of {path}:")?;
                if let Some(size) = set.size {
                    write!(out, " {size} bytes")?;
                }
                if let Some((user, group)) = set.owner {
                    write!(out, " owner {user}:{group}")?;
                }
                if let Some(mode) = set.mode {
                    write!(out, " mode {:04o}", mode & 0o7777)?;
                }
                if let Some(times) = set.times {
                    write!(out, " changed at {}", times.modified)?;
                }
                Ok(())
            }
            Self::Copy { path, from, bytes, to, at } => {
                write!(out, "copy {bytes} bytes of {path} from {from} on to {to} at {at}")
            }
            Self::Extension { name, .. } => write!(out, "the extension {name}"),
        }
    }
}

/// What stands behind something: nothing if it went well.
struct Ending<'a>(&'a Outcome);

impl fmt::Display for Ending<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Outcome::Ok => Ok(()),
            Outcome::Failed { text, .. } if !text.is_empty() => write!(out, ": failed, {text}"),
            Outcome::Failed { code, .. } => write!(out, ": failed with code {code}"),
            Outcome::Unanswered => out.write_str(": not finished"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_bytes_are_text_that_says_which_bytes_they_were() {
        for (bytes, text) in [
            (&b"/tmp/a b"[..], "/tmp/a b"),
            ("ümlaut".as_bytes(), "ümlaut"),
            (b"caf\xe9/\xff\xfe", "caf\\xe9/\\xff\\xfe"),
            (b"a\\x41", "a\\\\x41"),
            (b"a\n\x1b", "a\n\u{1b}"),
        ] {
            assert_eq!(text_of(bytes), text);
        }
    }

    #[test]
    fn a_closed_file_says_how_much_was_moved_and_what_it_was() {
        let hash = Digest([0xab; 32]);
        let mut moved = FileMoved {
            file: 1,
            path: "/etc/motd".into(),
            access: vec![Access::Read],
            size: Some(5),
            mode: None,
            times: None,
            read: Some(Moved { bytes: 5, layout: Layout::Contiguous { from: 0, hash } }),
            written: None,
            outcome: Outcome::Ok,
        };
        let words = |moved: &FileMoved| Transfer::Closed(Box::new(moved.clone())).to_string();
        assert_eq!(words(&moved), format!("read /etc/motd: 5 bytes, blake3 {hash}"));
        let extents = vec![Extent { from: 0, bytes: 2 }, Extent { from: 4, bytes: 3 }];
        moved.read = Some(Moved { bytes: 5, layout: Layout::Scattered { extents, more: 1 } });
        moved.outcome = Outcome::Unanswered;
        assert_eq!(
            words(&moved),
            "read /etc/motd: 5 bytes, not contiguous: 0+2 4+3 and 1 pieces more: not finished"
        );
        let json = serde_json::to_string(&moved).unwrap();
        assert!(json.contains(r#""layout":{"not contiguous":{"extents":[{"from":0"#), "{json}");
        assert_eq!(serde_json::from_str::<FileMoved>(&json).unwrap(), moved);
    }

    #[test]
    fn a_digest_is_hexadecimal_in_json_and_bytes_elsewhere() {
        let digest = Digest([0x0f; 32]);
        let json = serde_json::to_string(&digest).unwrap();
        assert_eq!(json, format!("\"{}\"", "0f".repeat(32)));
        assert_eq!(serde_json::from_str::<Digest>(&json).unwrap(), digest);
        for bad in ["\"\"", "\"0f\"", &json.replace('f', "g"), &json.replace("0f0f", "+f0f")] {
            assert!(serde_json::from_str::<Digest>(bad).is_err(), "{bad}");
        }
    }
}

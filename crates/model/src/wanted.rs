//! A file that somebody wants to move while others must approve each: what they see of it before they say a word.

use crate::transfer::Digest;
use core::fmt;
use serde::{Deserialize, Serialize};

/// One file, as it was found before anybody was asked. Paths are text as [`crate::transfer::text_of`] makes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wanted {
    /// Number within the session, from 1; no number comes twice.
    pub number: u32,
    /// Whereto.
    pub direction: Direction,
    /// The path as it was asked for.
    pub asked: String,
    /// Where that leads: every link followed, as the kernel names it.
    pub path: String,
    /// What is there.
    pub target: Target,
}

/// Which way a file goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// From the node to the client.
    Download,
    /// From the client to the node.
    Upload,
}

impl Direction {
    /// Its word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Download => "download",
            Self::Upload => "upload",
        }
    }
}

/// What the path leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// A file that is there.
    File {
        /// Number of its file system.
        device: u64,
        /// Its number there.
        inode: u64,
        /// Its size.
        bytes: u64,
        /// How many names it has; more than one may tell another story than the path.
        names: u64,
        /// BLAKE3 of a download of at most [`crate::limit::WANTED_KEPT_BYTES`]: exactly these bytes will be moved.
        hash: Option<Digest>,
    },
    /// Nothing yet: a file will be made in this folder, and only if nothing has come there by then.
    New {
        /// Number of the folder's file system.
        device: u64,
        /// The folder's number there.
        inode: u64,
    },
}

impl fmt::Display for Target {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { device, inode, bytes, names, hash } => {
                write!(out, "{bytes} bytes, inode {inode} of device {device}")?;
                if *names > 1 {
                    write!(out, ", one of {names} names of it")?;
                }
                match hash {
                    Some(hash) => write!(out, ", blake3 {hash}"),
                    None => Ok(()),
                }
            }
            Self::New { device, inode } => {
                write!(out, "a new file in the folder with inode {inode} of device {device}")
            }
        }
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { number, direction, asked, path, target } = self;
        write!(out, "file {number}, {} of {path}", direction.word())?;
        if asked != path {
            write!(out, " (asked for as {asked})")?;
        }
        write!(out, ": {target}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wanted_file_says_where_its_path_leads_and_what_is_there() {
        let file = |names, hash| Target::File { device: 8, inode: 5, bytes: 12, names, hash };
        let new = Target::New { device: 8, inode: 2 };
        let hash = Digest([0xab; 32]);
        let (down, up) = (Direction::Download, Direction::Upload);
        for (direction, asked, target, words) in [
            (
                down,
                "/srv/a",
                file(1, None),
                "file 3, download of /srv/a: 12 bytes, inode 5 of device 8",
            ),
            (
                down,
                "link",
                file(2, Some(hash)),
                "file 3, download of /srv/a (asked for as link): 12 bytes, inode 5 of device 8, \
                 one of 2 names of it, blake3 abababababababababababababababababababababababababababababababab",
            ),
            (
                up,
                "/srv/a",
                new,
                "file 3, upload of /srv/a: a new file in the folder with inode 2 of device 8",
            ),
        ] {
            let (asked, path) = (asked.to_owned(), "/srv/a".to_owned());
            let wanted = Wanted { number: 3, direction, asked, path, target };
            assert_eq!(wanted.to_string(), words);
            let json = serde_json::to_string(&wanted).unwrap();
            assert_eq!(serde_json::from_str::<Wanted>(&json).unwrap(), wanted);
        }
    }
}

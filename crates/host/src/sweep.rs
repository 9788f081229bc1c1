//! What a killed node leaves frozen is found and ended by the next start of a node.
//!
//! A frozen group bears a mark (an extended attribute, which only root sets) that says which node froze it: its process
//! id, the moment at which that process began, and the process namespace in which the number counts. A group whose node
//! lives, or cannot be seen from here because it is in another namespace, is left alone, and so is one without a mark,
//! and one that is not root's own: its name and its mark may be anybody's words.

use crate::group;
use crate::hunt::{Audit, Marks, Reach};
use crate::stat::Stat;
use model::SessionId;
use rustix::process::geteuid;
use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::os::unix::fs::MetadataExt;

/// Which node has frozen a session, and by which audit session those outside the group are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Owner {
    pid: i32,
    /// In ticks since the machine started.
    start: u64,
    /// Inode of its process namespace.
    space: u64,
    audit: Option<Audit>,
}

/// Ends sessions that a killed node has left frozen, with whoever of them is outside their control groups; says which.
/// Those of a node that lives stay as they are. Call it at the start, as root; for others it does nothing. Blocks, for
/// up to 2 s for each session whose processes hang in the kernel.
pub fn sweep_frozen() -> Vec<SessionId> {
    if !geteuid().is_root() {
        return Vec::new();
    }
    let left = group::frozen().into_iter().filter_map(|(group, session, mark)| {
        let session = session.parse().ok()?;
        let owner = Owner::read(&mark).filter(|owner| !owner.may_live())?;
        Marks::left_in(Some(group), owner.audit)?.kill(Reach::All, BTreeSet::new());
        Some(session)
    });
    left.collect()
}

impl Owner {
    /// The mark of this very node.
    pub(crate) fn this(audit: Option<Audit>) -> io::Result<String> {
        let pid = std::process::id().cast_signed();
        let start = Stat::of(pid).ok_or(io::ErrorKind::NotFound)?.start;
        Ok(Self { pid, start, space: space()?, audit }.to_string())
    }

    fn read(mark: &str) -> Option<Self> {
        let mut fields = mark.split(' ');
        let (pid, start) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        let space = fields.next()?.parse().ok()?;
        let audit = match (fields.next(), fields.next(), fields.next()) {
            (None, ..) => None,
            (Some(session), Some(uid), None) => {
                Some(Audit { session: session.parse().ok()?, uid: uid.parse().ok()? })
            }
            _ => return None,
        };
        Some(Self { pid, start, space, audit })
    }

    fn may_live(&self) -> bool {
        if space().map_or(true, |here| here != self.space) {
            return true;
        }
        Stat::of(self.pid).is_some_and(|stat| stat.start == self.start && stat.lives())
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.pid, self.start, self.space)?;
        match self.audit {
            Some(Audit { session, uid }) => write!(f, " {session} {uid}"),
            None => Ok(()),
        }
    }
}

fn space() -> io::Result<u64> {
    Ok(std::fs::metadata("/proc/self/ns/pid")?.ino())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn this() -> Owner {
        Owner::read(&Owner::this(None).unwrap()).unwrap()
    }

    #[test]
    fn a_mark_is_read_as_it_was_written_and_nonsense_is_none() {
        for audit in [None, Some(Audit { session: 7, uid: 1000 })] {
            let owner = Owner { pid: 12, start: u64::MAX, space: 4_026_531_836, audit };
            assert_eq!(Owner::read(&owner.to_string()), Some(owner));
        }
        for nonsense in ["", "1", "1 2", "1 2 x", "1 2 3 4", "1 2 3 4 5 6", "1  2 3", "1 2 3 "] {
            assert_eq!(Owner::read(nonsense), None, "{nonsense:?}");
        }
    }

    #[test]
    fn a_node_lives_whose_process_is_the_same_or_cannot_be_seen() {
        let this = this();
        for (owner, lives) in [
            (this, true),
            (Owner { start: this.start + 1, ..this }, false),
            (Owner { pid: i32::MAX, ..this }, false),
            (Owner { pid: i32::MAX, space: this.space + 1, ..this }, true),
        ] {
            assert_eq!(owner.may_live(), lives, "{owner}");
        }
    }
}

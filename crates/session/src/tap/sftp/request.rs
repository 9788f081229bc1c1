//! What a client of sftp can ask for, and the handles that it asks with.

use super::super::cursor::{Cursor, Wrong};
use super::super::flight::{Asked, Block};
use model::limit::TRANSFER_EXTENSION_BYTES;
use model::transfer::{Access, Change, text_of};
use std::collections::BTreeMap;

/// A request that is no block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Request {
    Open { path: String, access: Vec<Access>, mode: Option<u32> },
    OpenFolder { path: String },
    Close { slot: u32 },
    ReadFolder { slot: u32 },
    Lookup(Lookup),
    Change(Change),
}

/// A question that changes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Lookup {
    /// Attributes, of an open file if it is known.
    Stat {
        slot: Option<u32>,
    },
    Names,
    Space,
    Limits,
    Users,
    /// `fsync@openssh.com`.
    Sync,
}

impl Request {
    /// Bytes of text in it.
    pub fn text(&self) -> usize {
        match self {
            Self::Open { path, .. } | Self::OpenFolder { path } => path.len(),
            Self::Close { .. } | Self::ReadFolder { .. } | Self::Lookup(_) => 0,
            Self::Change(change) => match change {
                Change::Rename { path, to, .. }
                | Change::Symlink { path, to }
                | Change::Hardlink { path, to }
                | Change::Copy { path, to, .. }
                | Change::Extension { name: path, data: to } => path.len() + to.len(),
                Change::Remove { path }
                | Change::MakeFolder { path, .. }
                | Change::RemoveFolder { path }
                | Change::Attributes { path, .. } => path.len(),
            },
        }
    }
}

/// Which handle stands for what.
#[derive(Debug, Default)]
pub(super) struct Handles {
    slots: BTreeMap<Vec<u8>, u32>,
    names: BTreeMap<u32, Vec<u8>>,
}

impl Handles {
    pub fn find(&self, handle: &[u8]) -> Result<u32, Wrong> {
        self.slots.get(handle).copied().ok_or("a handle that nothing has")
    }

    pub fn add(&mut self, handle: &[u8], slot: u32) -> Result<(), Wrong> {
        if self.slots.contains_key(handle) {
            return Err("one handle for two things");
        }
        self.slots.insert(handle.to_vec(), slot);
        self.names.insert(slot, handle.to_vec());
        Ok(())
    }

    pub fn remove(&mut self, slot: u32) {
        if let Some(handle) = self.names.remove(&slot) {
            self.slots.remove(&handle);
        }
    }
}

/// What stands behind the number of a packet of this type, but for `SSH_FXP_WRITE`.
pub(super) fn read(
    kind: u8,
    rest: &mut Cursor<'_>,
    handles: &Handles,
    path_of: &dyn Fn(u32) -> String,
) -> Result<Asked<Request>, Wrong> {
    Ok(Asked::Other(match kind {
        3 => {
            let path = rest.text()?;
            let access = access(rest.number()?)?;
            Request::Open { path, access, mode: rest.attributes()?.mode }
        }
        4 => Request::Close { slot: handles.find(rest.string()?)? },
        5 => {
            let slot = handles.find(rest.string()?)?;
            let (from, bytes) = (rest.long()?, rest.number()?);
            return Ok(Asked::Block(Block { slot, write: false, from, bytes }));
        }
        7 | 17 => {
            rest.text()?;
            Request::Lookup(Lookup::Stat { slot: None })
        }
        8 => Request::Lookup(Lookup::Stat { slot: Some(handles.find(rest.string()?)?) }),
        9 => attributes(rest.text()?, true, rest)?,
        10 => attributes(path_of(handles.find(rest.string()?)?), true, rest)?,
        11 => Request::OpenFolder { path: rest.text()? },
        12 => Request::ReadFolder { slot: handles.find(rest.string()?)? },
        13 => Request::Change(Change::Remove { path: rest.text()? }),
        14 => {
            let (path, mode) = (rest.text()?, rest.attributes()?.mode);
            Request::Change(Change::MakeFolder { path, mode })
        }
        15 => Request::Change(Change::RemoveFolder { path: rest.text()? }),
        16 | 19 => {
            rest.text()?;
            Request::Lookup(Lookup::Names)
        }
        18 => {
            let (path, to) = (rest.text()?, rest.text()?);
            Request::Change(Change::Rename { path, to, replace: false })
        }
        20 => {
            // OpenSSH sends and reads the target first, against the draft (PROTOCOL §4.1), and so does everybody else.
            let (to, path) = (rest.text()?, rest.text()?);
            Request::Change(Change::Symlink { path, to })
        }
        200 => extended(rest, handles, path_of)?,
        _ => return Err("a request that sftp does not know"),
    }))
}

fn attributes(path: String, follow: bool, rest: &mut Cursor<'_>) -> Result<Request, Wrong> {
    Ok(Request::Change(Change::Attributes { path, follow, set: rest.attributes()? }))
}

fn extended(
    rest: &mut Cursor<'_>,
    handles: &Handles,
    path_of: &dyn Fn(u32) -> String,
) -> Result<Request, Wrong> {
    let name = rest.string()?;
    let lookup = match name {
        b"posix-rename@openssh.com" => {
            let (path, to) = (rest.text()?, rest.text()?);
            return Ok(Request::Change(Change::Rename { path, to, replace: true }));
        }
        b"hardlink@openssh.com" => {
            let (path, to) = (rest.text()?, rest.text()?);
            return Ok(Request::Change(Change::Hardlink { path, to }));
        }
        b"lsetstat@openssh.com" => return attributes(rest.text()?, false, rest),
        b"copy-data" => {
            let path = path_of(handles.find(rest.string()?)?);
            let (from, bytes) = (rest.long()?, rest.long()?);
            let to = path_of(handles.find(rest.string()?)?);
            return Ok(Request::Change(Change::Copy { path, from, bytes, to, at: rest.long()? }));
        }
        b"fsync@openssh.com" => {
            handles.find(rest.string()?)?;
            Lookup::Sync
        }
        b"statvfs@openssh.com" => {
            rest.text()?;
            Lookup::Space
        }
        b"fstatvfs@openssh.com" => {
            handles.find(rest.string()?)?;
            Lookup::Space
        }
        b"limits@openssh.com" => Lookup::Limits,
        b"expand-path@openssh.com" | b"home-directory" => {
            rest.text()?;
            Lookup::Names
        }
        b"users-groups-by-id@openssh.com" => {
            rest.string()?;
            rest.string()?;
            Lookup::Users
        }
        unknown => {
            let data = std::mem::take(&mut rest.0);
            if unknown.len() + data.len() > TRANSFER_EXTENSION_BYTES {
                return Err("an extension that is not known");
            }
            let (name, data) = (text_of(unknown), text_of(data));
            return Ok(Request::Change(Change::Extension { name, data }));
        }
    };
    Ok(Request::Lookup(lookup))
}

/// The flags of an open (§6.3).
fn access(flags: u32) -> Result<Vec<Access>, Wrong> {
    let known = [
        (1, Access::Read),
        (2, Access::Write),
        (4, Access::Append),
        (8, Access::Create),
        (16, Access::Truncate),
        (32, Access::Exclusive),
    ];
    if flags & !63 != 0 {
        return Err("flags of an open that are not known");
    }
    Ok(known.into_iter().filter(|(bit, _)| flags & bit != 0).map(|(_, access)| access).collect())
}

//! One file, found first and moved afterwards: what others are shown is what this process already holds open, so between
//! their word and the bytes no name is looked up again.

use super::packet::Attributes;
use model::limit::{APPROVED_MS, WANTED_KEPT_BYTES};
use model::transfer::Digest;
use model::wanted::Target;
use rustix::fs::{self, Access, AtFlags, Mode, OFlags, PROC_SUPER_MAGIC, Timespec, Timestamps};
use rustix::io::Errno;
use std::ffi::OsString;
use std::fs::{File, Metadata};
use std::io::Read as _;
use std::os::fd::{AsFd, AsRawFd as _};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Statuses of sftp (§7).
pub(super) const OK: u32 = 0;
pub(super) const EOF: u32 = 1;
pub(super) const NO_SUCH_FILE: u32 = 2;
pub(super) const DENIED: u32 = 3;
pub(super) const FAILURE: u32 = 4;

/// Flags of an open (§6.3).
pub(super) const READ: u32 = 1;
pub(super) const WRITE: u32 = 2;
pub(super) const APPEND: u32 = 4;
pub(super) const CREATE: u32 = 8;
pub(super) const TRUNCATE: u32 = 16;
pub(super) const EXCLUSIVE: u32 = 32;

/// Why something is not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct No {
    /// Status.
    pub code: u32,
    /// For a person.
    pub why: String,
    /// Whether it is something that whoever gave their word must hear of.
    pub is_breach: bool,
}

impl No {
    pub fn new(code: u32, why: impl Into<String>) -> Self {
        Self { code, why: why.into(), is_breach: false }
    }

    fn breach(why: impl Into<String>) -> Self {
        Self { code: FAILURE, why: why.into(), is_breach: true }
    }
}

impl From<Errno> for No {
    fn from(errno: Errno) -> Self {
        let code = match errno {
            Errno::NOENT | Errno::NOTDIR => NO_SUCH_FILE,
            Errno::ACCESS | Errno::PERM | Errno::ROFS => DENIED,
            _ => FAILURE,
        };
        Self::new(code, std::io::Error::from(errno).to_string())
    }
}

impl From<std::io::Error> for No {
    fn from(error: std::io::Error) -> Self {
        Errno::from_io_error(&error)
            .map_or_else(|| Self::new(FAILURE, error.to_string()), Self::from)
    }
}

/// A file that was found and is held, and of which nothing has been moved.
#[derive(Debug)]
pub(super) struct Found {
    /// Where the path leads.
    pub path: PathBuf,
    /// What is there.
    pub target: Target,
    about: Option<Metadata>,
    hold: Hold,
}

#[derive(Debug)]
enum Hold {
    /// All of a download.
    Kept(Vec<u8>),
    /// A download that is too large to be kept, and how it was.
    Large(File, Was),
    /// A file that is there already, and whether it is emptied first.
    Over { file: File, empties: bool },
    /// A name in a folder that nothing has yet.
    New { folder: File, name: OsString, mode: u32 },
}

/// How a file was when it was found. Whoever writes to it changes one of these; all but who has mapped it beforehand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Was {
    bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Was {
    fn of(about: &Metadata) -> Self {
        Self {
            bytes: about.len(),
            modified: (about.mtime(), about.mtime_nsec()),
            changed: (about.ctime(), about.ctime_nsec()),
        }
    }
}

impl Found {
    /// Finds a file to be read. It is read here and now where it is small enough: what is shown is then what is moved.
    pub fn download(path: &Path) -> Result<Self, No> {
        let (there, path) = find(path)?;
        regular(&there)?;
        let file = again(&there, OFlags::RDONLY)?;
        let about = file.metadata()?;
        let mut kept = Vec::new();
        (&file).take(WANTED_KEPT_BYTES + 1).read_to_end(&mut kept)?;
        let is_kept = kept.len() as u64 <= WANTED_KEPT_BYTES;
        let hash = is_kept.then(|| Digest(*blake3::hash(&kept).as_bytes()));
        let bytes = if is_kept { kept.len() as u64 } else { about.len() };
        let hold = if is_kept { Hold::Kept(kept) } else { Hold::Large(file, Was::of(&about)) };
        Ok(Self { path, target: target(&about, bytes, hash), about: Some(about), hold })
    }

    /// Finds a file to be written, or the folder in which it will be new. Nothing is changed by it.
    pub fn upload(path: &Path, flags: u32, mode: u32) -> Result<Self, No> {
        let (there, real) = match find(path) {
            Ok(found) => found,
            Err(no) if no.code == NO_SUCH_FILE && flags & CREATE != 0 => {
                return Self::new(path, mode);
            }
            Err(no) => return Err(no),
        };
        regular(&there)?;
        if flags & CREATE != 0 && flags & EXCLUSIVE != 0 {
            return Err(No::new(FAILURE, "there is such a file already"));
        }
        let append = if flags & APPEND != 0 { OFlags::APPEND } else { OFlags::empty() };
        let file = again(&there, OFlags::WRONLY | append)?;
        let about = file.metadata()?;
        let target = target(&about, about.len(), None);
        let hold = Hold::Over { file, empties: flags & TRUNCATE != 0 };
        Ok(Self { path: real, target, about: Some(about), hold })
    }

    fn new(path: &Path, mode: u32) -> Result<Self, No> {
        let name = path.file_name().ok_or_else(|| No::new(FAILURE, "that is no name of a file"))?;
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let (folder, real) = find(parent.unwrap_or_else(|| Path::new(".")))?;
        let about = folder.metadata()?;
        if !about.is_dir() {
            return Err(Errno::NOTDIR.into());
        }
        if fs::statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW).is_ok() {
            return Err(No::new(FAILURE, "that is a link that leads nowhere"));
        }
        // Before anybody is bothered; it is asked again when the file is made.
        fs::accessat(&folder, ".", Access::WRITE_OK | Access::EXEC_OK, AtFlags::EACCESS)?;
        let target = Target::New { device: about.dev(), inode: about.ino() };
        let hold = Hold::New { folder, name: name.to_owned(), mode };
        Ok(Self { path: real.join(name), target, about: None, hold })
    }

    /// Begins to move it: others have given their word.
    pub fn begin(self, number: u32, now: Instant) -> Result<Moving, No> {
        let (about, flow) = match self.hold {
            Hold::Kept(bytes) => (self.about, Flow::Kept(bytes)),
            Hold::Large(file, was) => (self.about, Flow::Large(file, was)),
            Hold::Over { file, empties } => {
                if empties {
                    fs::ftruncate(&file, 0)?;
                }
                (self.about, Flow::Written(file))
            }
            Hold::New { folder, name, mode } => {
                let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
                let made = fs::openat(&folder, &name, flags | OFlags::CLOEXEC, permissions(mode));
                let file = match made {
                    Err(Errno::EXIST) => {
                        return Err(No::breach("something has come there meanwhile"));
                    }
                    made => File::from(made?),
                };
                (Some(file.metadata()?), Flow::Written(file))
            }
        };
        let about = about.ok_or_else(|| No::new(FAILURE, "it has no attributes"))?;
        Ok(Moving { number, about, flow, last: now })
    }
}

/// A file that is being moved.
#[derive(Debug)]
pub(super) struct Moving {
    /// Its number within the session.
    pub number: u32,
    about: Metadata,
    flow: Flow,
    /// When something of it was last moved.
    last: Instant,
}

#[derive(Debug)]
enum Flow {
    Kept(Vec<u8>),
    Large(File, Was),
    Written(File),
}

impl Moving {
    /// Whether the word that was given still holds.
    fn holds(&mut self, now: Instant) -> Result<(), No> {
        if now.saturating_duration_since(self.last) > Duration::from_millis(APPROVED_MS) {
            let seconds = APPROVED_MS / 1000;
            return Err(No::breach(format!(
                "nothing of it was moved for {seconds} s, so the approval is over"
            )));
        }
        self.last = now;
        Ok(())
    }

    /// A piece of a download; empty at its end.
    pub fn read(&mut self, from: u64, most: usize, now: Instant) -> Result<Vec<u8>, No> {
        self.holds(now)?;
        match &self.flow {
            Flow::Kept(kept) => {
                let rest = usize::try_from(from).ok().and_then(|from| kept.get(from..));
                let rest = rest.unwrap_or_default();
                Ok(rest.get(..most.min(rest.len())).unwrap_or_default().to_vec())
            }
            Flow::Large(file, was) => {
                let left = was.bytes.saturating_sub(from);
                let mut piece = vec![0; most.min(usize::try_from(left).unwrap_or(usize::MAX))];
                let got = file.read_at(&mut piece, from)?;
                piece.truncate(got);
                // Looked at behind the bytes: what they were changed by shows by then.
                if Was::of(&file.metadata()?) != *was {
                    return Err(No::breach("it was changed after it was looked at"));
                }
                Ok(piece)
            }
            Flow::Written(_) => Err(No::new(DENIED, "it was approved to be written, not read")),
        }
    }

    /// A piece of an upload.
    pub fn write(&mut self, at: u64, bytes: &[u8], now: Instant) -> Result<(), No> {
        self.holds(now)?;
        match &self.flow {
            Flow::Written(file) => Ok(file.write_all_at(bytes, at)?),
            Flow::Kept(_) | Flow::Large(..) => {
                Err(No::new(DENIED, "it was approved to be read, not written"))
            }
        }
    }

    /// Sets attributes of an upload: size, times, and permissions without the bits that lend rights.
    pub fn set(&mut self, set: Attributes, now: Instant) -> Result<(), No> {
        self.holds(now)?;
        let Flow::Written(file) = &self.flow else {
            return Err(No::new(DENIED, "it was approved to be read, not changed"));
        };
        if set.owner.is_some() {
            return Err(No::new(DENIED, "whose it is was not approved to be changed"));
        }
        if let Some(bytes) = set.bytes {
            fs::ftruncate(file, bytes)?;
        }
        if let Some(mode) = set.mode {
            fs::fchmod(file, permissions(mode))?;
        }
        if let Some((used, changed)) = set.times {
            let moment = |seconds: u32| Timespec { tv_sec: seconds.into(), tv_nsec: 0 };
            let times =
                Timestamps { last_access: moment(used), last_modification: moment(changed) };
            fs::futimens(file, &times)?;
        }
        Ok(())
    }

    /// Its attributes and size.
    pub fn about(&self) -> Result<(Metadata, u64), No> {
        match &self.flow {
            Flow::Kept(kept) => Ok((self.about.clone(), kept.len() as u64)),
            Flow::Large(_, was) => Ok((self.about.clone(), was.bytes)),
            Flow::Written(file) => {
                let about = file.metadata()?;
                let bytes = about.len();
                Ok((about, bytes))
            }
        }
    }
}

/// Follows every link to what is there, without opening it for anything, and says where that is.
pub(super) fn find(path: &Path) -> Result<(File, PathBuf), No> {
    let there = File::from(fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?);
    let real = fs::readlink(own(&there), Vec::new())
        .map_err(|_| No::new(FAILURE, "this machine has no /proc to say where it leads"))?;
    Ok((there, PathBuf::from(OsString::from_vec(real.into_bytes()))))
}

/// Opens what a descriptor stands for: the very thing, whatever has its name by now.
fn again(there: &File, flags: OFlags) -> Result<File, No> {
    let flags = flags | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    Ok(File::from(fs::open(own(there), flags, Mode::empty())?))
}

fn own(descriptor: &impl AsFd) -> String {
    format!("/proc/self/fd/{}", descriptor.as_fd().as_raw_fd())
}

/// Only plain files, and none of the kernel's own: one of those is this very process's memory.
fn regular(there: &File) -> Result<(), No> {
    match there.metadata()?.file_type() {
        kind if kind.is_file() => {}
        kind if kind.is_dir() => return Err(No::new(FAILURE, "that is a folder")),
        _ => return Err(No::new(DENIED, "that is no plain file")),
    }
    match fs::fstatfs(there)?.f_type == PROC_SUPER_MAGIC {
        true => Err(No::new(DENIED, "that is no file but the kernel's view of a process")),
        false => Ok(()),
    }
}

fn permissions(mode: u32) -> Mode {
    Mode::from_raw_mode(mode & 0o777)
}

fn target(about: &Metadata, bytes: u64, hash: Option<Digest>) -> Target {
    let (device, inode, names) = (about.dev(), about.ino(), about.nlink());
    Target::File { device, inode, bytes, names, hash }
}

/// A path as a client sent it; nothing is where it begins.
pub(super) fn path_of(bytes: &[u8]) -> &Path {
    Path::new(std::ffi::OsStr::from_bytes(if bytes.is_empty() { b"." } else { bytes }))
}

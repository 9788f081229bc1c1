//! An sftp server that moves a file only after others gave their word. It is the session process itself, with the user's
//! rights: no program of the user's runs in it, and no process of the user's may look into it.
//!
//! The order of things is what makes a word bind: the file is opened, then shown, then moved from the same descriptor.
//! `found` holds that part; here the protocol is served, the rest of which only looks.

mod found;
mod packet;

#[cfg(test)]
mod tests;

use crate::fdpass;
use crate::files::{FileNews, Word, message};
use found::{APPEND, CREATE, DENIED, EOF, FAILURE, Found, Moving, NO_SUCH_FILE, No, OK, READ};
use found::{TRUNCATE, WRITE, find, path_of};
use model::limit::{APPROVED_OPEN, SFTP_PACKET_BYTES, WANTED_PATH_BYTES};
use model::transfer::text_of;
use model::wanted::{Direction, Wanted};
use packet::{Answer, Fields};
use rustix::process::DumpableBehavior;
use std::collections::BTreeMap;
use std::fs::{Metadata, ReadDir, metadata, symlink_metadata};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

/// Names in one answer to a question for a folder's.
const NAMES: usize = 100;
/// A request that is not served at all (§7).
const UNSUPPORTED: u32 = 8;
/// Said of everything that is neither looking nor moving one file.
const ONLY_FILES: &str = "where each file is approved nothing but files is moved";

/// Keeps this process's memory and descriptors from the user's other processes, which could else read the secret of
/// another file through it, or put another file in the place of the one that was approved.
pub(crate) fn shut() -> io::Result<()> {
    Ok(rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)?)
}

/// Whether this is a shell with which an account may have sftp: the system's sftp server is run by it, this one is not.
pub(crate) fn is_shell(shell: &Path, listed: Option<&str>) -> bool {
    let name = shell.file_name().unwrap_or_default();
    let is_listed =
        listed.is_none_or(|all| all.lines().any(|line| Path::new(line.trim()) == shell));
    is_listed && name != "nologin" && name != "false"
}

/// Serves the session's streams until their end.
pub(crate) fn serve(control: &OwnedFd) -> ExitCode {
    let (mut input, mut output) = (io::stdin().lock(), io::stdout().lock());
    match Server::new(control).serve(&mut input, &mut output) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// What a client is answered who sends these bytes, where `allows` has others' word about each file. It acts on real files,
/// in this process and with its rights: for the fuzz target, which has a folder of its own for that.
///
/// # Errors
/// When this machine has no more sockets.
#[doc(hidden)]
pub fn rehearse(
    asked: &[u8],
    mut allows: impl FnMut(&Wanted) -> bool + Send,
) -> io::Result<Vec<u8>> {
    let (node, control) = fdpass::pair()?;
    let mut answers = Vec::new();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            while let Ok(heard) = fdpass::receive(node.as_fd())
                && !heard.bytes.is_empty()
            {
                let Ok(FileNews::Wanted(wanted)) = postcard::from_bytes(&heard.bytes) else {
                    continue;
                };
                let number = wanted.number;
                let word = match allows(&wanted) {
                    true => Word::Allow { number },
                    false => Word::Refuse { number, why: "it was not approved".to_owned() },
                };
                let Ok(word) = postcard::to_allocvec(&word) else { return };
                let _ = fdpass::send(node.as_fd(), &word, &[]);
            }
        });
        let mut asked = asked;
        // It ends in one way or the other; what was answered until then is looked at.
        let _ = Server::new(&control).serve(&mut asked, &mut answers);
        // Which ends the thread, too.
        drop(control);
    });
    Ok(answers)
}

/// Something that has a handle.
enum Open {
    File(Box<Moving>),
    Folder(PathBuf, ReadDir),
}

struct Server<'c> {
    control: &'c OwnedFd,
    open: BTreeMap<u32, Open>,
    handles: u32,
    /// Files that were asked for.
    files: u32,
}

impl<'c> Server<'c> {
    fn new(control: &'c OwnedFd) -> Self {
        Self { control, open: BTreeMap::new(), handles: 0, files: 0 }
    }

    fn serve(&mut self, input: &mut impl Read, output: &mut impl Write) -> io::Result<()> {
        while let Some(packet) = packet::read(input)? {
            let answer = self.answer(&packet).ok_or(io::ErrorKind::InvalidData)??;
            output.write_all(&answer)?;
            output.flush()?;
        }
        Ok(())
    }

    /// The answer; none to what is no packet, an error when the node has gone.
    fn answer(&mut self, packet: &[u8]) -> Option<io::Result<Vec<u8>>> {
        let mut fields = Fields(packet);
        let (kind, id) = (fields.byte()?, fields.number()?);
        if kind == 1 {
            // The greeting: version 3, without extensions.
            return Some(Ok(vec![0, 0, 0, 5, 2, 0, 0, 0, 3]));
        }
        let answered = match kind {
            3 => match self.open(id, &mut fields)? {
                Err(Gone(error)) => return Some(Err(error)),
                Ok(answered) => answered,
            },
            4 => self.close(id, fields.handle()?),
            5 => self.read(id, fields.handle()?, fields.long()?, fields.number()?),
            6 => self.write(id, fields.handle()?, fields.long()?, fields.string()?),
            7 => about(id, symlink_metadata(path_of(fields.string()?))),
            8 => self.about_open(id, fields.handle()?),
            10 => self.set(id, fields.handle()?, &mut fields)?,
            11 => self.open_folder(id, path_of(fields.string()?)),
            12 => self.names(id, fields.handle()?),
            16 => Ok(real_path(id, path_of(fields.string()?))),
            17 => about(id, metadata(path_of(fields.string()?))),
            19 => link(id, path_of(fields.string()?)),
            9 | 13 | 14 | 15 | 18 | 20 => Err(No::new(DENIED, ONLY_FILES)),
            _ => Err(No::new(UNSUPPORTED, "that is not served where each file is approved")),
        };
        let answer = answered.unwrap_or_else(|no| Answer::status(id, no.code, &no.why));
        Some(Ok(answer.into_bytes()))
    }

    /// Finds a file, has others look at it, and begins to move it if they let it through.
    fn open(&mut self, id: u32, fields: &mut Fields<'_>) -> Option<Result<Served, Gone>> {
        let (asked, flags) = (fields.string()?, fields.number()?);
        let mode = fields.attributes()?.mode.unwrap_or(0o666);
        let wanted = self.room().and_then(|()| self.find(asked, flags, mode));
        let (found, wanted) = match wanted {
            Ok(wanted) => wanted,
            Err(no) => return Some(Ok(Err(no))),
        };
        let number = wanted.number;
        let allowed = match self.ask(wanted) {
            Ok(allowed) => allowed,
            Err(error) => return Some(Err(Gone(error))),
        };
        let begun = allowed.and_then(|()| found.begin(number, Instant::now()));
        let handle = begun.map_err(|no| self.told(number, no)).map(|moving| {
            let handle = self.keep(Open::File(Box::new(moving)));
            Answer::new(102, id).string(&handle.to_be_bytes())
        });
        Some(Ok(handle))
    }

    /// What a file is before anybody is asked.
    fn find(&mut self, asked: &[u8], flags: u32, mode: u32) -> Result<(Found, Wanted), No> {
        let path = path_of(asked);
        let (direction, found) = match (flags & READ != 0, flags & (WRITE | APPEND) != 0) {
            (true, false) if flags & (CREATE | TRUNCATE) == 0 => {
                (Direction::Download, Found::download(path)?)
            }
            (false, true) => (Direction::Upload, Found::upload(path, flags, mode)?),
            _ => return Err(No::new(DENIED, "a file is either read or written")),
        };
        let (asked, path) = (text_of(asked), text_of(found.path.as_os_str().as_bytes()));
        if asked.len() + path.len() > WANTED_PATH_BYTES {
            return Err(No::new(DENIED, "its path is too long to be read by whoever approves it"));
        }
        self.files = self.files.checked_add(1).ok_or_else(|| No::new(FAILURE, "too many files"))?;
        let wanted = Wanted { number: self.files, direction, asked, path, target: found.target };
        Ok((found, wanted))
    }

    /// Waits for others' word. An error when the node has gone.
    fn ask(&self, wanted: Wanted) -> io::Result<Result<(), No>> {
        let number = wanted.number;
        fdpass::send(self.control.as_fd(), &message(&FileNews::Wanted(wanted))?, &[])?;
        loop {
            let heard = fdpass::receive(self.control.as_fd())?;
            if heard.bytes.is_empty() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            match postcard::from_bytes(&heard.bytes) {
                Ok(Word::Allow { number: of }) if of == number => return Ok(Ok(())),
                Ok(Word::Refuse { number: of, why }) if of == number => {
                    return Ok(Err(No::new(DENIED, why)));
                }
                // A word about an earlier file, which has its answer.
                Ok(_) => {}
                Err(_) => return Err(io::ErrorKind::InvalidData.into()),
            }
        }
    }

    /// Tells the node of what whoever gave their word must hear of.
    fn told(&self, number: u32, no: No) -> No {
        if no.is_breach
            && let Ok(bytes) = message(&FileNews::Stopped { number, why: no.why.clone() })
        {
            // A node that has gone hears nothing any more.
            let _ = fdpass::send(self.control.as_fd(), &bytes, &[]);
        }
        no
    }

    fn room(&self) -> Result<(), No> {
        match self.open.len() < APPROVED_OPEN {
            true => Ok(()),
            false => Err(No::new(FAILURE, "too many are open; close some first")),
        }
    }

    fn keep(&mut self, open: Open) -> u32 {
        self.handles = self.handles.wrapping_add(1);
        self.open.insert(self.handles, open);
        self.handles
    }

    /// Does something with a file that was let through. A breach is its end.
    fn moving<T>(
        &mut self,
        handle: u32,
        act: impl FnOnce(&mut Moving) -> Result<T, No>,
    ) -> Result<T, No> {
        let Some(Open::File(moving)) = self.open.get_mut(&handle) else {
            return Err(No::new(FAILURE, "that file is not open"));
        };
        let (number, done) = (moving.number, act(moving));
        done.map_err(|no| {
            if no.is_breach {
                self.open.remove(&handle);
            }
            self.told(number, no)
        })
    }

    fn close(&mut self, id: u32, handle: u32) -> Served {
        match self.open.remove(&handle) {
            Some(_) => Ok(Answer::status(id, OK, "")),
            None => Err(No::new(FAILURE, "that is not open")),
        }
    }

    fn read(&mut self, id: u32, handle: u32, from: u64, most: u32) -> Served {
        let most = usize::try_from(most).unwrap_or(usize::MAX).min(SFTP_PACKET_BYTES - 1024);
        let piece = self.moving(handle, |moving| moving.read(from, most, Instant::now()))?;
        if piece.is_empty() && most > 0 {
            return Err(No::new(EOF, "the end of the file"));
        }
        Ok(Answer::new(103, id).string(&piece))
    }

    fn write(&mut self, id: u32, handle: u32, at: u64, bytes: &[u8]) -> Served {
        self.moving(handle, |moving| moving.write(at, bytes, Instant::now()))?;
        Ok(Answer::status(id, OK, ""))
    }

    fn set(&mut self, id: u32, handle: u32, fields: &mut Fields<'_>) -> Option<Served> {
        let set = fields.attributes()?;
        let done = self.moving(handle, |moving| moving.set(set, Instant::now()));
        Some(done.map(|()| Answer::status(id, OK, "")))
    }

    fn about_open(&mut self, id: u32, handle: u32) -> Served {
        match self.open.get(&handle) {
            Some(Open::File(moving)) => {
                let (about, bytes) = moving.about()?;
                Ok(Answer::new(105, id).attributes(&about, bytes))
            }
            Some(Open::Folder(path, _)) => about(id, metadata(path)),
            None => Err(No::new(FAILURE, "that is not open")),
        }
    }

    fn open_folder(&mut self, id: u32, path: &Path) -> Served {
        self.room()?;
        let names = std::fs::read_dir(path)?;
        let handle = self.keep(Open::Folder(path.to_owned(), names));
        Ok(Answer::new(102, id).string(&handle.to_be_bytes()))
    }

    fn names(&mut self, id: u32, handle: u32) -> Served {
        let Some(Open::Folder(_, names)) = self.open.get_mut(&handle) else {
            return Err(No::new(FAILURE, "that folder is not open"));
        };
        let next = names.by_ref().filter_map(Result::ok).filter_map(|entry| {
            let about = entry.metadata().ok()?;
            Some((entry.file_name(), about))
        });
        let there: Vec<_> = next.take(NAMES).collect();
        if there.is_empty() {
            return Err(No::new(EOF, "no more names"));
        }
        let answer = Answer::new(104, id).number(u32::try_from(there.len()).unwrap_or(u32::MAX));
        Ok(there.into_iter().fold(answer, |answer, (name, about)| {
            let name = name.as_bytes();
            answer.string(name).string(&long_name(name, &about)).attributes(&about, about.len())
        }))
    }
}

/// An answer, or why there is none.
type Served = Result<Answer, No>;

/// The node has gone, and with it whoever could say a word.
struct Gone(io::Error);

fn about(id: u32, about: io::Result<Metadata>) -> Served {
    let about = about?;
    Ok(Answer::new(105, id).attributes(&about, about.len()))
}

/// Where a path leads; of one that is not there yet, its folder's place and its name.
fn real_path(id: u32, path: &Path) -> Answer {
    let real = find(path).map(|(_, real)| real).or_else(|no| {
        let (parent, name) = (path.parent(), path.file_name());
        let (Some(parent), Some(name)) = (parent, name) else { return Err(no) };
        let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
        find(parent).map(|(_, real)| real.join(name))
    });
    match real {
        Ok(real) => {
            let name = real.as_os_str().as_bytes();
            Answer::new(104, id).number(1).string(name).string(name).number(0)
        }
        Err(no) => Answer::status(id, NO_SUCH_FILE, &no.why),
    }
}

fn link(id: u32, path: &Path) -> Served {
    let leads = std::fs::read_link(path)?;
    let name = leads.as_os_str().as_bytes();
    Ok(Answer::new(104, id).number(1).string(name).string(name).number(0))
}

/// A name as `ls -l` shows it, more or less: that is what clients print.
fn long_name(name: &[u8], about: &Metadata) -> Vec<u8> {
    let kind = match about.file_type() {
        kind if kind.is_dir() => 'd',
        kind if kind.is_symlink() => 'l',
        kind if kind.is_file() => '-',
        _ => '?',
    };
    let mode = about.mode();
    let bits = (0..9).rev().zip("rwxrwxrwx".chars());
    let bits: String = bits.map(|(bit, c)| if mode >> bit & 1 == 1 { c } else { '-' }).collect();
    let (links, uid, gid, bytes) = (about.nlink(), about.uid(), about.gid(), about.len());
    let mut line = format!("{kind}{bits} {links:>4} {uid:<8} {gid:<8} {bytes:>10} ").into_bytes();
    line.extend_from_slice(name);
    line
}

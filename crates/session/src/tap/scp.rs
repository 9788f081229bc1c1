//! The old scp protocol: one side sends files, the other answers each step with one zero or a complaint.
//!
//! A sender may not wait for the answers. What it sends meanwhile is held until the answer is there: it says whether a
//! file's contents come next or another line.

pub(super) mod line;

use super::tally::Tally;
use super::{Broken, Out, Side, Tapped};
use line::{Line, Said, line};
use model::limit::{TRANSFER_DEPTH, TRANSFER_HELD_BYTES, TRANSFER_PATH_BYTES};
use model::transfer::{Access, Change, FileMoved, Outcome, Protocol, Times, Transfer};

const NO_LINE: &str = "a line that scp does not know";
const NO_ANSWER: &str = "an answer that scp does not know";

/// One scp transfer.
#[derive(Debug)]
pub(super) struct Scp {
    upload: bool,
    state: State,
    /// Of the sender: a line so far, or what came before its answer.
    held: Vec<u8>,
    /// Of the receiver: a complaint so far.
    answer: Vec<u8>,
    folders: Vec<Folder>,
    /// Of the next file or folder.
    times: Option<Times>,
    files: u32,
}

#[derive(Debug)]
struct Folder {
    name: String,
    /// How many things were in it.
    names: u64,
}

#[derive(Debug)]
enum State {
    /// Something was sent that must be answered.
    Waits(Step),
    /// A line comes from the sender.
    Line,
    /// Contents come from the sender.
    Contents { file: Box<File>, left: u64 },
    /// The sender says whether the contents are good.
    Status(Box<File>),
}

/// What is to be answered.
#[derive(Debug)]
enum Step {
    /// The receiver says that it is ready.
    Ready,
    Times(Times),
    File {
        mode: u32,
        size: u64,
        path: String,
    },
    Folder {
        mode: u32,
        name: String,
    },
    End,
    /// All of a file.
    Contents(Box<File>),
}

#[derive(Debug)]
struct File {
    number: u32,
    path: String,
    mode: u32,
    size: u64,
    times: Option<Times>,
    tally: Tally,
    outcome: Outcome,
}

impl Scp {
    pub fn new(protocol: Protocol) -> Self {
        Self {
            upload: protocol == Protocol::ScpUpload,
            state: State::Waits(Step::Ready),
            held: Vec::new(),
            answer: Vec::new(),
            folders: Vec::new(),
            times: None,
            files: 0,
        }
    }

    /// Takes more of one stream.
    pub fn take(&mut self, side: Side, bytes: &[u8], out: &mut Out) -> Result<(), Broken> {
        let mut rest = bytes;
        let taken = if side == self.sender() {
            self.sent(&mut rest, out)
        } else {
            self.answered(&mut rest, out)
        };
        taken.map_err(|why| Broken { why, used: bytes.len() - rest.len() })
    }

    /// What of a stream was taken and not told.
    pub fn held(&mut self, side: Side) -> Vec<u8> {
        let held = if side == self.sender() { &mut self.held } else { &mut self.answer };
        std::mem::take(held)
    }

    /// Tells what was begun and did not end.
    pub fn close(&mut self, out: &mut Out) {
        let unanswered = Outcome::Unanswered;
        match std::mem::replace(&mut self.state, State::Line) {
            State::Waits(Step::File { path, .. }) => {
                let access = self.access();
                did(out, Transfer::NotOpened { path, access, outcome: unanswered });
            }
            State::Waits(Step::Folder { name, mode }) => self.folder(&name, mode, unanswered, out),
            State::Waits(Step::Contents(file))
            | State::Contents { file, .. }
            | State::Status(file) => self.closed(*file, unanswered, out),
            State::Waits(Step::Ready | Step::Times(_) | Step::End) | State::Line => {}
        }
        while !self.folders.is_empty() {
            self.leave_folder(&Outcome::Unanswered, out);
        }
    }

    fn sender(&self) -> Side {
        if self.upload { Side::Client } else { Side::Server }
    }

    fn access(&self) -> Vec<Access> {
        match self.upload {
            true => vec![Access::Write, Access::Create, Access::Truncate],
            false => vec![Access::Read],
        }
    }

    fn sent(&mut self, rest: &mut &[u8], out: &mut Out) -> Result<(), &'static str> {
        while !rest.is_empty() {
            match &mut self.state {
                State::Waits(_) => {
                    if rest.len() > TRANSFER_HELD_BYTES - self.held.len().min(TRANSFER_HELD_BYTES) {
                        return Err("too much without waiting for an answer");
                    }
                    self.held.extend_from_slice(rest);
                    *rest = &[];
                }
                State::Contents { file, left } => {
                    let most = usize::try_from(*left).unwrap_or(usize::MAX).min(rest.len());
                    let (piece, behind) = rest.split_at(most);
                    file.tally.add(piece);
                    *left -= piece.len() as u64;
                    *rest = behind;
                    if *left == 0
                        && let State::Contents { file, .. } =
                            std::mem::replace(&mut self.state, State::Line)
                    {
                        self.state = State::Status(file);
                    }
                }
                State::Line | State::Status(_) => self.line(rest, out)?,
            }
        }
        Ok(())
    }

    /// Takes one line, or as much of it as there is.
    fn line(&mut self, rest: &mut &[u8], out: &mut Out) -> Result<(), &'static str> {
        let status = matches!(self.state, State::Status(_));
        if let (true, true, [0, behind @ ..]) = (status, self.held.is_empty(), *rest) {
            *rest = behind;
            self.status(Outcome::Ok);
            return Ok(());
        }
        let end = rest.iter().position(|byte| *byte == b'\n').map_or(rest.len(), |at| at + 1);
        let (piece, behind) = rest.split_at(end);
        let before = self.held.len();
        self.held.extend_from_slice(piece);
        let said = match line(&self.held) {
            Line::Whole(said, _) if !status || said.is_complaint() => said,
            Line::Begun if !status || matches!(self.held.first(), Some(1 | 2)) => {
                *rest = behind;
                return Ok(());
            }
            Line::Whole(..) | Line::Begun | Line::No => {
                self.held.truncate(before);
                return Err(NO_LINE);
            }
        };
        self.said(said, status, out).inspect_err(|_| self.held.truncate(before))?;
        *rest = behind;
        self.held.clear();
        Ok(())
    }

    fn said(&mut self, said: Said, status: bool, out: &mut Out) -> Result<(), &'static str> {
        let step = match said {
            Said::Complaint { code, text } if status => {
                self.status(Outcome::Failed { code, text });
                return Ok(());
            }
            Said::Complaint { text, .. } => {
                did(out, Transfer::Said { by: self.sender().stream(), text });
                return Ok(());
            }
            Said::Times(times) => Step::Times(times),
            Said::File { mode, size, name } => Step::File { mode, size, path: self.path(&name)? },
            Said::Folder { mode, name } => {
                self.path(&name)?;
                if self.folders.len() >= TRANSFER_DEPTH {
                    return Err("too many folders inside of each other");
                }
                Step::Folder { mode, name }
            }
            Said::End if self.folders.is_empty() => {
                return Err("the end of a folder outside of any");
            }
            Said::End => Step::End,
        };
        self.state = State::Waits(step);
        Ok(())
    }

    fn status(&mut self, outcome: Outcome) {
        if let State::Status(mut file) = std::mem::replace(&mut self.state, State::Line) {
            file.outcome = outcome;
            self.state = State::Waits(Step::Contents(file));
        }
    }

    fn answered(&mut self, rest: &mut &[u8], out: &mut Out) -> Result<(), &'static str> {
        while let Some((first, behind)) = rest.split_first() {
            if self.answer.is_empty() && *first == 0 {
                if !matches!(self.state, State::Waits(_)) {
                    return Err("an answer that nobody waits for");
                }
                *rest = behind;
                self.step(Outcome::Ok, out)?;
                continue;
            }
            let end = rest.iter().position(|byte| *byte == b'\n').map_or(rest.len(), |at| at + 1);
            let (piece, behind) = rest.split_at(end);
            let before = self.answer.len();
            self.answer.extend_from_slice(piece);
            match line(&self.answer) {
                Line::Whole(Said::Complaint { code, text }, _) => {
                    *rest = behind;
                    self.answer.clear();
                    self.complaint(code, text, out)?;
                }
                Line::Begun if matches!(self.answer.first(), Some(1 | 2)) => *rest = behind,
                Line::Whole(..) | Line::Begun | Line::No => {
                    self.answer.truncate(before);
                    return Err(NO_ANSWER);
                }
            }
        }
        Ok(())
    }

    fn complaint(&mut self, code: u32, text: String, out: &mut Out) -> Result<(), &'static str> {
        match self.state {
            State::Waits(Step::File { .. } | Step::Folder { .. } | Step::Contents(_)) => {
                self.step(Outcome::Failed { code, text }, out)
            }
            State::Waits(_) => {
                did(out, Transfer::Said { by: self.receiver().stream(), text });
                self.step(Outcome::Ok, out)
            }
            _ => {
                did(out, Transfer::Said { by: self.receiver().stream(), text });
                Ok(())
            }
        }
    }

    fn receiver(&self) -> Side {
        if self.upload { Side::Server } else { Side::Client }
    }

    /// The step was answered; what came behind it meanwhile is read now.
    fn step(&mut self, outcome: Outcome, out: &mut Out) -> Result<(), &'static str> {
        let State::Waits(step) = std::mem::replace(&mut self.state, State::Line) else {
            return Ok(());
        };
        let good = outcome == Outcome::Ok;
        match step {
            Step::Ready => {}
            Step::Times(times) => self.times = Some(times),
            Step::File { mode, size, path } if good => self.open(mode, size, path, out),
            Step::File { path, .. } => {
                self.times = None;
                did(out, Transfer::NotOpened { path, access: self.access(), outcome });
            }
            Step::Folder { mode, name } => {
                self.times = None;
                self.folder(&name, mode, outcome, out);
                if good {
                    self.folders.push(Folder { name, names: 0 });
                }
            }
            Step::End => self.leave_folder(&Outcome::Ok, out),
            Step::Contents(file) => self.closed(*file, outcome, out),
        }
        let held = std::mem::take(&mut self.held);
        let mut rest = held.as_slice();
        let read = self.sent(&mut rest, out);
        if read.is_err() {
            // What was not read is the sender's, and recorded as it is.
            self.held.extend_from_slice(rest);
        }
        read
    }

    fn open(&mut self, mode: u32, size: u64, path: String, out: &mut Out) {
        self.files = self.files.saturating_add(1);
        self.count();
        let (number, access) = (self.files, self.access());
        let opened =
            Transfer::Opened { file: number, path: path.clone(), access, mode: Some(mode) };
        did(out, opened);
        let (times, tally, outcome) = (self.times.take(), Tally::default(), Outcome::Ok);
        let file = Box::new(File { number, path, mode, size, times, tally, outcome });
        self.state = match size {
            0 => State::Status(file),
            left => State::Contents { file, left },
        };
    }

    fn closed(&mut self, file: File, outcome: Outcome, out: &mut Out) {
        let moved = Some(file.tally.moved_or_nothing());
        let (read, written) = if self.upload { (None, moved) } else { (moved, None) };
        let closed = FileMoved {
            file: file.number,
            path: file.path,
            access: self.access(),
            size: Some(file.size),
            mode: Some(file.mode),
            times: file.times,
            read,
            written,
            outcome: if file.outcome == Outcome::Ok { outcome } else { file.outcome },
        };
        did(out, Transfer::Closed(Box::new(closed)));
    }

    /// A folder to the node is made there; one from it is told when it has ended.
    fn folder(&mut self, name: &str, mode: u32, outcome: Outcome, out: &mut Out) {
        self.count();
        let path = self.path(name).unwrap_or_else(|_| name.to_owned());
        if self.upload {
            let change = Change::MakeFolder { path, mode: Some(mode) };
            did(out, Transfer::Changed { change, outcome });
        } else if outcome != Outcome::Ok {
            did(out, Transfer::NotOpened { path, access: Vec::new(), outcome });
        }
    }

    fn leave_folder(&mut self, outcome: &Outcome, out: &mut Out) {
        let path = self.path("").unwrap_or_default();
        if let Some(folder) = self.folders.pop().filter(|_| !self.upload) {
            let outcome = outcome.clone();
            let path = path.trim_end_matches('/').to_owned();
            did(out, Transfer::Listed { path, names: folder.names, outcome });
        }
    }

    /// One more in the folder.
    fn count(&mut self) {
        if let Some(folder) = self.folders.last_mut() {
            folder.names = folder.names.saturating_add(1);
        }
    }

    fn path(&self, name: &str) -> Result<String, &'static str> {
        let mut path = String::new();
        for folder in &self.folders {
            path.push_str(&folder.name);
            path.push('/');
        }
        path.push_str(name);
        // A byte that is no UTF-8 stands as four.
        if path.len() > 4 * TRANSFER_PATH_BYTES {
            return Err("a path that is too long");
        }
        Ok(path)
    }
}

fn did(out: &mut Out, transfer: Transfer) {
    out.push_back(Tapped::Did(transfer));
}

//! What an entry beside the screen is about, in the words that somebody searches for: what was run, a path, an address.

use super::{Caught, What, excerpt};
use crate::find::Pattern;
use crate::note::clean;
use model::Seq;
use model::entry::{Entry, Forward, Stamped};
use model::kernel::{Action, Kernel, Named, Program, TcpStep, line_of};
use model::limit::KERNEL_ARGUMENTS_BYTES;
use model::transfer::{Change, FileMoved, Outcome, Transfer, access_words};
use std::collections::BTreeMap;

/// Programs whose arguments stand in several entries and of which more can follow. They come at once; of more than so many
/// the one that is longest there is taken as whole.
const UNFINISHED: usize = 64;

/// What was done, and to what.
pub(super) struct Subject {
    pub what: What,
    did: String,
    failed: bool,
    /// The ways in which it can be written, the best one first.
    texts: Vec<String>,
}

impl Subject {
    pub fn new(what: What, did: &str, texts: Vec<String>) -> Self {
        Self { what, did: did.to_owned(), failed: false, texts }
    }

    /// The first of its texts with a match.
    pub fn caught(self, pattern: &Pattern, at: u64, seq: Seq) -> Option<Caught> {
        let Self { what, did, failed, texts } = self;
        texts.into_iter().filter(|text| !text.is_empty()).find_map(|text| {
            let text = clean(&text, usize::MAX);
            let (from, to) = pattern.find(&text)?;
            let (text, from, to) = excerpt(&text, from, to);
            let did = clean(&did, 40);
            Some(Caught { at, seq, what, did, failed, text, from, to })
        })
    }
}

/// What an entry is about, if it is anything that is searched.
pub(super) fn subjects(stamped: &Stamped) -> Option<Subject> {
    match &stamped.entry {
        Entry::Kernel(Kernel::Did(event)) => of_action(&event.action),
        Entry::Transfer(transfer) => of_transfer(transfer),
        Entry::Forward(forward) => of_forward(forward),
        _ => None,
    }
}

fn of_action(action: &Action) -> Option<Subject> {
    let subject = |what, did: &str, error: i32, texts| {
        Some(Subject { failed: error != 0, ..Subject::new(what, did, texts) })
    };
    match action {
        // Those two are put together by `Arguments`.
        Action::Ran(_) | Action::Arguments { .. } => None,
        Action::NotRan { file, arguments, error } => {
            let texts = [line_of(arguments), arguments.join(" ")].into_iter().chain(paths(file));
            subject(What::Command, "did not run", *error, texts.collect())
        }
        Action::Special { call, text, error, .. } => {
            subject(What::Command, call, *error, vec![text.clone()])
        }
        Action::Opened { file, flags, error, .. } => {
            let did = match (flags & 3, flags & 0o100) {
                (0, _) => "opened",
                (_, 0) => "opened to write",
                _ => "made or opened to write",
            };
            subject(What::File, did, *error, paths(file))
        }
        Action::Changed { call, file, other, error, .. } => {
            subject(What::File, changed(call), *error, both(file, other.as_ref()))
        }
        Action::Uring { operation, file: Some(file), other } => {
            subject(What::File, operation, 0, both(file, other.as_ref()))
        }
        Action::Tcp { step, local, remote } => {
            let (did, error) = match step {
                TcpStep::Connected => ("connected to", 0),
                TcpStep::NotConnected => ("could not connect to", 1),
                TcpStep::Listens => ("listens at", 0),
            };
            let texts = match step {
                TcpStep::Listens => vec![local.clone(), remote.clone()],
                _ => vec![remote.clone(), local.clone()],
            };
            subject(What::Connection, did, error, texts)
        }
        Action::Socket { call, local, remote, error, .. } => {
            subject(What::Connection, call, *error, vec![remote.clone(), local.clone()])
        }
        Action::Met { call, socket, other } => {
            let texts = vec![format!("unix:{}", socket.path), other.name.clone()];
            subject(What::Connection, call, 0, texts)
        }
        Action::Uring { .. } | Action::Identity { .. } | Action::Ended { .. } => None,
    }
}

/// What a system call does to a path, in a word that people know; else its name.
fn changed(call: &str) -> &str {
    match call {
        "unlink" | "unlinkat" | "rmdir" => "removed",
        "rename" | "renameat" | "renameat2" => "renamed",
        "mkdir" | "mkdirat" => "made folder",
        "chmod" | "fchmod" | "fchmodat" | "fchmodat2" => "set mode of",
        "chown" | "fchown" | "lchown" | "fchownat" => "set owner of",
        "truncate" | "ftruncate" => "cut",
        "link" | "linkat" | "symlink" | "symlinkat" => "linked",
        call => call,
    }
}

/// A path with its folder, and as it was passed.
fn paths(named: &Named) -> Vec<String> {
    let (whole, path) = (named.whole(), named.path.clone());
    if whole == path { vec![path] } else { vec![whole, path] }
}

fn both(file: &Named, other: Option<&Named>) -> Vec<String> {
    let Some(other) = other else { return paths(file) };
    let (files, others) = (paths(file), paths(other));
    let line = files.iter().zip(&others).next().map(|(file, other)| format!("{file} → {other}"));
    line.into_iter().chain(files).chain(others).collect()
}

fn of_transfer(transfer: &Transfer) -> Option<Subject> {
    let subject = |did: &str, outcome: &Outcome, texts| {
        let failed = *outcome != Outcome::Ok;
        Some(Subject { failed, ..Subject::new(What::File, did, texts) })
    };
    match transfer {
        Transfer::Opened { path, access, .. } => {
            let did = format!("opened to {}", access_words(access));
            subject(&did, &Outcome::Ok, vec![path.clone()])
        }
        Transfer::Closed(moved) => {
            let FileMoved { path, read, written, outcome, .. } = &**moved;
            let did = match (read, written) {
                (Some(_), Some(_)) => "read and wrote",
                (Some(_), None) => "read",
                (None, Some(_)) => "wrote",
                (None, None) => "closed",
            };
            subject(did, outcome, vec![path.clone()])
        }
        Transfer::NotOpened { path, access, outcome } => {
            let did = format!("could not {}", access_words(access));
            subject(&did, outcome, vec![path.clone()])
        }
        Transfer::Listed { path, outcome, .. } => subject("listed", outcome, vec![path.clone()]),
        Transfer::Changed { change, outcome } => {
            let pair = |path: &String, to: &String| {
                vec![format!("{path} → {to}"), path.clone(), to.clone()]
            };
            let (did, texts) = match change {
                Change::Remove { path } => ("removed", vec![path.clone()]),
                Change::Rename { path, to, .. } => ("renamed", pair(path, to)),
                Change::MakeFolder { path, .. } => ("made folder", vec![path.clone()]),
                Change::RemoveFolder { path } => ("removed", vec![path.clone()]),
                Change::Symlink { path, to } | Change::Hardlink { path, to } => {
                    ("linked", pair(path, to))
                }
                Change::Attributes { path, .. } => ("set attributes of", vec![path.clone()]),
                Change::Copy { path, to, .. } => ("copied", pair(path, to)),
                Change::Extension { .. } => return None,
            };
            subject(did, outcome, texts)
        }
        Transfer::Began { .. }
        | Transfer::Lookups(_)
        | Transfer::Said { .. }
        | Transfer::Unparsed { .. } => None,
    }
}

fn of_forward(forward: &Forward) -> Option<Subject> {
    let (did, failed, texts) = match forward {
        Forward::Listening { what, at } => {
            (format!("{} waits at", what.word()), false, vec![at.clone()])
        }
        Forward::Stopped { what, at } => {
            (format!("{} waits no longer at", what.word()), false, vec![at.clone()])
        }
        Forward::Refused { what, target, by, .. } => {
            (format!("{} refused to", what.word()), true, vec![target.clone(), by.clone()])
        }
        Forward::Opened { what, target, by, .. } => {
            (format!("{} to", what.word()), false, vec![target.clone(), by.clone()])
        }
        Forward::Closed { .. } => return None,
    };
    Some(Subject { failed, ..Subject::new(What::Connection, &did, texts) })
}

/// Programs whose arguments stand in several entries, by their process.
#[derive(Debug, Default)]
pub(super) struct Arguments(BTreeMap<u32, Unfinished>);

#[derive(Debug)]
struct Unfinished {
    arguments: Vec<String>,
    began: Seq,
}

/// A command, as far as it is known.
pub(super) struct Line {
    /// The ways in which it can be written.
    pub texts: Vec<String>,
    /// Characters of them that were known before this entry; 0 for a new one.
    pub before: usize,
}

impl Arguments {
    /// The command that an entry tells of, or more of.
    pub fn line(&mut self, stamped: &Stamped) -> Option<Line> {
        let Entry::Kernel(Kernel::Did(event)) = &stamped.entry else { return None };
        let process = event.by.process;
        match &event.action {
            Action::Ran(program) => {
                self.0.remove(&process);
                if bytes(&program.arguments) < program.kept as usize {
                    let (arguments, began) = (program.arguments.clone(), stamped.seq);
                    self.0.insert(process, Unfinished { arguments, began });
                    if self.0.len() > UNFINISHED {
                        let oldest = self.0.iter().min_by_key(|(_, one)| one.began);
                        let oldest = oldest.map(|(process, _)| *process);
                        oldest.and_then(|process| self.0.remove(&process));
                    }
                }
                Some(Line { texts: written(&program.arguments, Some(program)), before: 0 })
            }
            Action::Arguments { arguments, goes_on } => {
                let known = self
                    .0
                    .entry(process)
                    .or_insert_with(|| Unfinished { arguments: Vec::new(), began: stamped.seq });
                // Of what was quoted before, the closing quote is no part of what goes on.
                let before = known.arguments.join(" ").chars().count();
                let mut more = arguments.iter().cloned();
                if *goes_on && let Some(last) = known.arguments.last_mut() {
                    last.extend(more.next());
                }
                known.arguments.extend(more);
                let line = Line { texts: vec![known.arguments.join(" ")], before };
                if bytes(&known.arguments) > KERNEL_ARGUMENTS_BYTES {
                    self.0.remove(&process);
                }
                Some(line)
            }
            Action::Ended { .. } => {
                self.0.remove(&process);
                None
            }
            _ => None,
        }
    }
}

/// As the kernel counts them: each with a zero behind it.
fn bytes(arguments: &[String]) -> usize {
    arguments.iter().map(|one| one.len().saturating_add(1)).sum()
}

/// As a shell takes them, as they are, and which file it is.
fn written(arguments: &[String], program: Option<&Program>) -> Vec<String> {
    let files = program.map(|one| [one.file.clone(), one.interpreter.clone(), one.program.clone()]);
    let line = [line_of(arguments), arguments.join(" ")];
    line.into_iter().chain(files.into_iter().flatten()).collect()
}

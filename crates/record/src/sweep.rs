//! Search through all of a recording: what came onto its screen, and the commands, files and connections on its time line.

mod subject;

use crate::find::Pattern;
use crate::search::{Eye, Found};
use crate::{Corrupt, From, Glance, Recording, Source};
use model::entry::{Entry, Stamped};
use model::limit::HIT_CHARS;
use model::{Kind, Seq};
use subject::{Arguments, Subject, subjects};

/// What is searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// What came onto the screen.
    pub screen: bool,
    /// What was run, with its arguments.
    pub commands: bool,
    /// What was done to files, by programs and by file transfers.
    pub files: bool,
    /// Where programs and forwards connected to.
    pub connections: bool,
}

impl Wanted {
    /// All of it.
    pub const ALL: Self = Self { screen: true, commands: true, files: true, connections: true };

    fn covers(self, what: What) -> bool {
        match what {
            What::Screen => self.screen,
            What::Command => self.commands,
            What::File => self.files,
            What::Connection => self.connections,
        }
    }
}

/// Where something was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// On the screen.
    Screen,
    /// In what was run.
    Command,
    /// In the path of a file.
    File,
    /// In an address.
    Connection,
}

/// Something that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caught {
    /// When; of what the kernel saw, its own time.
    pub at: u64,
    /// By which entry; 0 for the command that the recording was begun with.
    pub seq: Seq,
    /// Where.
    pub what: What,
    /// What was done, in a few words, such as `ran`, `removed`, `connected to`; nothing for the screen.
    pub did: String,
    /// Whether that did not go well.
    pub failed: bool,
    /// The line, the command, the path or the address; of a longer one [`HIT_CHARS`] around the match.
    pub text: String,
    /// The first character of the match, from 0.
    pub from: u32,
    /// The one behind its last.
    pub to: u32,
}

/// A search that goes on bit by bit.
pub struct Sweep<S: Source> {
    recording: Recording<S>,
    pattern: Pattern,
    wanted: Wanted,
    /// Only where the screen is searched: it must be drawn for that.
    eye: Option<Eye>,
    arguments: Arguments,
    /// The command that the recording was begun with was looked at.
    begun: bool,
    seq: Seq,
    at: u64,
}

impl<S: Source> Sweep<S> {
    /// For what is behind an entry; for all, and the command that it was begun with, if none is named.
    ///
    /// # Errors
    /// The recording is damaged before that entry.
    pub fn new(
        recording: Recording<S>,
        pattern: Pattern,
        wanted: Wanted,
        after: Option<Seq>,
    ) -> Result<Self, Corrupt> {
        let seq = after.unwrap_or_default();
        let eye = match wanted.screen {
            true => Some(Eye::after(&recording, pattern.clone(), seq)?.0),
            false => None,
        };
        let mut arguments = Arguments::default();
        if wanted.commands && seq > Seq(0) {
            // Of a program that began before, and whose arguments go on behind.
            for seen in recording.glances(seq) {
                let Glance::Meta(entries) = seen? else { continue };
                if entries.first().is_none_or(|first| first.seq > seq) {
                    break;
                }
                entries.iter().filter(|one| one.seq <= seq).for_each(|one| {
                    arguments.line(one);
                });
            }
        }
        Ok(Self { recording, pattern, wanted, eye, arguments, begun: after.is_some(), seq, at: 0 })
    }

    /// The recording.
    pub fn recording(&self) -> &Recording<S> {
        &self.recording
    }

    /// The last entry that was looked at.
    #[must_use]
    pub fn seq(&self) -> Seq {
        self.seq
    }

    /// Its time.
    #[must_use]
    pub fn at(&self) -> u64 {
        self.at
    }

    /// Searches on while `more` says so, which hears how much was found; at least through one entry, and never stops within
    /// one. `true` at the end of the recording.
    ///
    /// # Errors
    /// The recording is damaged here.
    pub fn run(
        &mut self,
        found: &mut Vec<Caught>,
        more: impl FnMut(usize) -> bool,
    ) -> Result<bool, Corrupt> {
        if !self.begun {
            self.begun = true;
            self.begin(found);
        }
        match self.eye.is_some() {
            true => self.draw(found, more),
            false => self.glance(found, more),
        }
    }

    fn begin(&self, found: &mut Vec<Caught>) {
        if let Kind::Exec { command } = &self.recording.heading().kind
            && self.wanted.commands
        {
            let subject = Subject::new(What::Command, "asked for", vec![command.clone()]);
            found.extend(subject.caught(&self.pattern, 0, Seq(0)));
        }
    }

    /// Every entry, with a screen.
    fn draw(
        &mut self,
        found: &mut Vec<Caught>,
        mut more: impl FnMut(usize) -> bool,
    ) -> Result<bool, Corrupt> {
        let Self { recording, pattern, wanted, eye, arguments, seq, at, .. } = self;
        let mut shown: Vec<Found> = Vec::new();
        let mut told = 0;
        let mut entries = recording.entries(From::Seq(seq.next()));
        while let Some(next) = entries.next() {
            let seen = next.and_then(|next| {
                let seen = eye.as_mut().map_or(Ok(()), |eye| eye.see(&next, &mut shown));
                seen.map(|()| next).map_err(|fault| entries.corrupt(fault))
            });
            let next = match seen {
                Ok(next) => next,
                Err(corrupt) => {
                    flush(&mut shown, found);
                    return Err(corrupt);
                }
            };
            (*seq, *at) = (next.seq, next.at);
            beside(&next, pattern, *wanted, arguments, |caught| {
                told += 1;
                found.push(caught);
            });
            if !more(told + shown.len()) {
                flush(&mut shown, found);
                return Ok(false);
            }
        }
        flush(&mut shown, found);
        Ok(true)
    }

    /// What stands beside the screen; nothing that was put out is unpacked.
    fn glance(
        &mut self,
        found: &mut Vec<Caught>,
        mut more: impl FnMut(usize) -> bool,
    ) -> Result<bool, Corrupt> {
        let Self { recording, pattern, wanted, arguments, seq, at, .. } = self;
        let (after, mut told) = (*seq, 0);
        for seen in recording.glances(after.next()) {
            match seen? {
                Glance::Screen { .. } => continue,
                Glance::Data { last, seq: behind, .. } => {
                    (*seq, *at) = (behind.max(*seq), last.max(*at));
                }
                Glance::Meta(entries) => {
                    for next in entries.iter().filter(|next| next.seq > after) {
                        (*seq, *at) = (next.seq, next.at);
                        beside(next, pattern, *wanted, arguments, |caught| {
                            told += 1;
                            found.push(caught);
                        });
                    }
                }
            }
            if *seq > after && !more(told) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// What was found on the screen takes its place by its entry, before what that entry tells beside it.
fn flush(shown: &mut Vec<Found>, found: &mut Vec<Caught>) {
    let caught = shown.drain(..).map(|Found { at, seq, text, from, to, .. }| {
        let (text, from, to) = excerpt(&text, from, to);
        let (what, did) = (What::Screen, String::new());
        Caught { at, seq, what, did, failed: false, text, from, to }
    });
    found.extend(caught);
    found.sort_by_key(|one| one.seq);
}

/// What an entry says beside the screen.
fn beside(
    next: &Stamped,
    pattern: &Pattern,
    wanted: Wanted,
    arguments: &mut Arguments,
    mut tell: impl FnMut(Caught),
) {
    if matches!(next.entry, Entry::Output { .. } | Entry::Typed { .. } | Entry::Resize(_)) {
        return;
    }
    let line = if wanted.commands { arguments.line(next) } else { None };
    let at = match &next.entry {
        Entry::Kernel(model::kernel::Kernel::Did(event)) => event.at.min(next.at),
        _ => next.at,
    };
    let caught = match line {
        // The arguments of a program that stand in several entries are one line; it is told when it is found first.
        Some(line) => {
            let new = |text: &String| {
                let before = text.chars().take(line.before).collect::<String>();
                line.before == 0 || pattern.find(&before).is_none()
            };
            let texts = line.texts.into_iter().filter(new).collect();
            Subject::new(What::Command, "ran", texts).caught(pattern, at, next.seq)
        }
        None => subjects(next)
            .filter(|subject| wanted.covers(subject.what))
            .and_then(|subject| subject.caught(pattern, at, next.seq)),
    };
    caught.into_iter().for_each(&mut tell);
}

/// As much of a text as is told, around its match; what is left out is shown by a character.
fn excerpt(text: &str, from: u32, to: u32) -> (String, u32, u32) {
    let length = text.chars().count();
    if length <= HIT_CHARS {
        return (text.to_owned(), from, to);
    }
    let (first, last) = (from as usize, to as usize);
    let begin = first.saturating_sub(HIT_CHARS / 4).min(length - HIT_CHARS);
    let window = text.chars().enumerate().skip(begin).take(HIT_CHARS);
    let edge =
        |at: usize| (at == begin && begin > 0) || (at + 1 == begin + HIT_CHARS && at + 1 < length);
    let text = window.map(|(at, ch)| if edge(at) { '…' } else { ch }).collect();
    let place = |at: usize| u32::try_from(at.saturating_sub(begin).min(HIT_CHARS)).unwrap_or(0);
    (text, place(first), place(last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_long_text_what_is_around_the_match_is_told() {
        let check = |before: usize, behind: usize| {
            let text = format!("{}needle{}", "é".repeat(before), "x".repeat(behind));
            let from = u32::try_from(before).unwrap_or(0);
            let (told, from, to) = excerpt(&text, from, from + 6);
            assert!(told.chars().count() <= HIT_CHARS);
            let found: String =
                told.chars().skip(from as usize).take((to - from) as usize).collect();
            assert_eq!(found, "needle", "{told}");
            let whole = before + 6 + behind <= HIT_CHARS;
            assert_eq!(told.contains('…'), !whole, "{told}");
        };
        for before in [0, 3, HIT_CHARS / 4, HIT_CHARS, 100_000] {
            for behind in [0, 5, HIT_CHARS, 100_000] {
                check(before, behind);
            }
        }
    }
}

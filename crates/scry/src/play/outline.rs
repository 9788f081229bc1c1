//! The lists of a recording's marks, people and gaps, and of what the kernel saw, read bit by bit when they are wanted.

use super::wish::{Listed, Stop};
use model::Seq;
use record::note::{Note, NoteKind};
use record::{From as Place, Recording, Source};

/// Notes that each list holds. Beyond: the rest is left out, and the list says so.
const NOTES: usize = 50_000;

/// Notes in the order of their times.
#[derive(Debug, Default)]
struct List {
    notes: Vec<Note>,
    left_out: u64,
}

impl List {
    fn add(&mut self, note: Note) {
        if self.notes.len() >= NOTES {
            self.left_out += 1;
            return;
        }
        // What the kernel saw carries its own time, a little earlier than its place.
        let place = self.notes.partition_point(|before| before.at <= note.at);
        self.notes.insert(place, note);
    }
}

/// The lists so far.
#[derive(Debug, Default)]
pub struct Outline {
    notes: List,
    seen: List,
    read: Seq,
    at: u64,
}

impl Outline {
    /// The notes so far, in the order of the recording.
    pub fn notes(&self, of: Listed) -> &[Note] {
        &self.list(of).notes
    }

    /// How many found no room in the list.
    pub fn left_out(&self, of: Listed) -> u64 {
        self.list(of).left_out
    }

    fn list(&self, of: Listed) -> &List {
        match of {
            Listed::Notes => &self.notes,
            Listed::Seen => &self.seen,
        }
    }

    /// The time that it has come to.
    pub fn at(&self) -> u64 {
        self.at
    }

    /// Whether everything there is has been read.
    pub fn is_complete<S: Source>(&self, recording: &Recording<S>) -> bool {
        self.read >= recording.last_seq()
    }

    /// Reads on while `more` says so. `true` when everything there is has been read.
    pub fn run<S: Source>(
        &mut self,
        recording: &Recording<S>,
        mut more: impl FnMut() -> bool,
    ) -> bool {
        if self.is_complete(recording) {
            return true;
        }
        for next in recording.entries(Place::Seq(self.read.next())) {
            let Ok(next) = next else {
                // The player says elsewhere that the rest cannot be read.
                self.read = recording.last_seq();
                return true;
            };
            self.read = next.seq;
            self.at = self.at.max(next.at);
            if let Some(note) = Note::of(&next) {
                self.notes.add(note);
            } else if let Some(note) = Note::seen(&next) {
                self.seen.add(note);
            }
            if !more() {
                return self.is_complete(recording);
            }
        }
        self.read = recording.last_seq();
        true
    }

    /// The next note after a time, or the last one before it; `at` is a note at that time to begin from, for many may have
    /// the same. The end is no marker, and programs are too many to be.
    pub fn beside(&self, stop: Stop, ms: u64, at: Option<Seq>, forward: bool) -> Option<&Note> {
        let list = self.notes(if stop == Stop::Seen { Listed::Seen } else { Listed::Notes });
        let fits = |note: &&Note| match stop {
            Stop::Marker => !matches!(note.kind, NoteKind::End | NoteKind::Command),
            Stop::Program => note.kind == NoteKind::Command,
            Stop::Seen => true,
        };
        let mut notes = list.iter().filter(fits);
        let place = |note: &Note| (note.at, note.seq);
        if forward {
            let from = (ms, at.unwrap_or(Seq(u64::MAX)));
            notes.find(|note| place(note) > from)
        } else {
            let from = (ms, at.unwrap_or(Seq(0)));
            notes.rfind(|note| place(note) < from)
        }
    }
}

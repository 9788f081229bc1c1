//! The list of a recording's marks, people and gaps, read bit by bit when it is wanted.

use model::Seq;
use record::note::{Note, NoteKind};
use record::{From as Place, Recording, Source};

/// Notes that are listed. Beyond: the rest is left out, and the list says so.
const NOTES: usize = 10_000;

/// The list so far.
#[derive(Debug, Default)]
pub struct Outline {
    notes: Vec<Note>,
    read: Seq,
    at: u64,
}

impl Outline {
    /// The notes so far, in the order of the recording.
    pub fn notes(&self) -> &[Note] {
        &self.notes
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
            if self.notes.len() < NOTES {
                // What the kernel saw carries its own time, a little earlier than its place.
                if let Some(note) = Note::of(&next) {
                    let place = self.notes.partition_point(|before| before.at <= note.at);
                    self.notes.insert(place, note);
                }
            }
            if !more() {
                return self.is_complete(recording);
            }
        }
        self.read = recording.last_seq();
        true
    }

    /// The next note after a time, or the last one before it. The end is none of them, and programs are too many to be.
    pub fn beside(&self, ms: u64, forward: bool) -> Option<&Note> {
        self.next_to(ms, forward, |kind| !matches!(kind, NoteKind::End | NoteKind::Command))
    }

    /// As [`Outline::beside`], of programs that ran.
    pub fn command_beside(&self, ms: u64, forward: bool) -> Option<&Note> {
        self.next_to(ms, forward, |kind| kind == NoteKind::Command)
    }

    fn next_to(&self, ms: u64, forward: bool, fits: impl Fn(NoteKind) -> bool) -> Option<&Note> {
        let mut notes = self.notes.iter().filter(|note| fits(note.kind));
        if forward { notes.find(|note| note.at > ms) } else { notes.rfind(|note| note.at < ms) }
    }
}

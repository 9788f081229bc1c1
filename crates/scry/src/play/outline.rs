//! The list of a recording's marks, people and gaps, read bit by bit when it is wanted.

use super::note::{Note, NoteKind};
use model::Seq;
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
                self.notes.extend(Note::of(&next));
            }
            if !more() {
                return self.is_complete(recording);
            }
        }
        self.read = recording.last_seq();
        true
    }

    /// The next note after a time, or the last one before it. The end is none of them.
    pub fn beside(&self, ms: u64, forward: bool) -> Option<&Note> {
        let mut notes = self.notes.iter().filter(|note| note.kind != NoteKind::End);
        if forward { notes.find(|note| note.at > ms) } else { notes.rfind(|note| note.at < ms) }
    }
}

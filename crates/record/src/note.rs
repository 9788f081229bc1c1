//! What is worth saying about an entry, in a few words.

use model::entry::{Ending, Entry, Gap, GapCause, People, Stamped};
use model::kernel::{Action, Class, Kernel};
use model::words::is_odd;
use model::{Seq, Transfer};

/// Something that happened, for a status line, a list or a time line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// When, in milliseconds since the recording began.
    pub at: u64,
    /// Its entry.
    pub seq: Seq,
    /// Of which kind.
    pub kind: NoteKind,
    /// In words.
    pub text: String,
}

/// Of which kind a note is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum NoteKind {
    /// A labelled moment.
    Mark,
    /// Somebody came or went, or a file waited for a word.
    People,
    /// Somebody said something.
    Said,
    /// The keyboard changed hands.
    Keyboard,
    /// The session waited, stood still, or went on.
    Frozen,
    /// The screen got another size, of which [`Note::of`] makes none, or from here on somebody else's.
    Size,
    /// Something is missing.
    Gap,
    /// A service of the connection.
    Forward,
    /// A file was moved, or something was done to one.
    File,
    /// A program ran.
    Command,
    /// The kernel saw a file or a connection; [`Note::seen`] makes it, for there are many.
    Seen,
    /// The end.
    End,
}

impl Note {
    /// The note of an entry, if it is worth one.
    #[must_use]
    pub fn of(stamped: &Stamped) -> Option<Self> {
        let (kind, text) = match &stamped.entry {
            Entry::Mark { label } => (NoteKind::Mark, clean(label, 120)),
            Entry::People(people) => (people_kind(people), clean(&people.words(), 160)),
            Entry::Gap(gap) => (NoteKind::Gap, gap_text(gap)),
            Entry::Elided { bytes, .. } => {
                (NoteKind::File, format!("{} were counted and hashed, not kept", size(*bytes)))
            }
            Entry::Forward(forward) => (NoteKind::Forward, clean(&forward.words(), 160)),
            Entry::Ended(ending) => (NoteKind::End, ending_text(ending)),
            Entry::Transfer(Transfer::Unparsed { why, .. }) => {
                (NoteKind::Mark, format!("recorded as it is from here on: {}", clean(why, 100)))
            }
            Entry::Transfer(transfer) if transfer.is_essential() => {
                (NoteKind::File, clean(&transfer.to_string(), 240))
            }
            Entry::Kernel(kernel) => return of_kernel(stamped, kernel),
            _ => return None,
        };
        Some(Self { at: stamped.at, seq: stamped.seq, kind, text })
    }

    /// The note of a file or a connection that the kernel saw.
    #[must_use]
    pub fn seen(stamped: &Stamped) -> Option<Self> {
        let Entry::Kernel(Kernel::Did(event)) = &stamped.entry else { return None };
        let class = event.action.class();
        let text = clean(&event.to_string(), 240);
        let (at, seq, kind) = (event.at.min(stamped.at), stamped.seq, NoteKind::Seen);
        matches!(class, Class::Files | Class::Network).then_some(Self { at, seq, kind, text })
    }

    /// A sign for lists.
    #[must_use]
    pub fn sign(&self) -> char {
        match self.kind {
            NoteKind::Mark => '◆',
            NoteKind::People | NoteKind::Said | NoteKind::Keyboard | NoteKind::Frozen => '●',
            NoteKind::Size => '□',
            NoteKind::Gap => '×',
            NoteKind::Forward => '⇄',
            NoteKind::File => '≡',
            NoteKind::Command => '▸',
            NoteKind::Seen => '·',
            NoteKind::End => '■',
        }
    }
}

/// A program is a chapter, at the moment at which it began; of all else that the kernel saw only what it did not see.
fn of_kernel(stamped: &Stamped, kernel: &Kernel) -> Option<Note> {
    let (at, seq) = (stamped.at, stamped.seq);
    let text = clean(&kernel.words(), 160);
    let (at, kind, text) = match kernel {
        Kernel::Did(event) => match &event.action {
            Action::Ran(_) => (event.at.min(at), NoteKind::Command, clean(&event.to_string(), 160)),
            _ => return None,
        },
        Kernel::Watch(watch) if watch.lacks.is_empty() => return None,
        Kernel::Totals(totals) if totals.lost == 0 && totals.left == 0 && totals.unseen() == 0 => {
            return None;
        }
        Kernel::Watch(_)
        | Kernel::Totals(_)
        | Kernel::Scope(_)
        | Kernel::Unbound(_)
        | Kernel::LeftOut(_) => (at, NoteKind::Mark, text),
        Kernel::Tampering(found) => {
            (found.at.min(at), NoteKind::Mark, format!("TAMPERING: {text}"))
        }
    };
    Some(Note { at, seq, kind, text })
}

fn people_kind(people: &People) -> NoteKind {
    match people {
        People::Said { .. } => NoteKind::Said,
        People::Keyboard { .. } => NoteKind::Keyboard,
        People::SizeOf { .. } => NoteKind::Size,
        People::Waits { .. } | People::Frozen { .. } | People::GoesOn | People::Outside { .. } => {
            NoteKind::Frozen
        }
        _ => NoteKind::People,
    }
}

/// Text from a recording, fit for one line of a terminal or a page: nothing in it controls or turns what stands around it.
#[must_use]
pub fn clean(text: &str, most: usize) -> String {
    text.chars().take(most).map(|c| if is_odd(c) { '·' } else { c }).collect()
}

/// A gap in words.
#[must_use]
pub fn gap_text(gap: &Gap) -> String {
    let why = match gap.cause {
        GapCause::Crash => "the recorder was killed",
        GapCause::DiskFull => "the disk was full",
        GapCause::DiskFailed => "the disk failed",
        GapCause::Damaged => "a record was damaged",
        GapCause::Redacted => "taken out afterwards",
        GapCause::Kernel => "more happened than was taken",
        GapCause::Unwatched => "no node watched what went on",
        GapCause::Bound => "more happened than this recording takes",
    };
    let mut lost = Vec::new();
    if let Some(bytes) = gap.bytes {
        lost.push(size(bytes));
    }
    if let Some(entries) = gap.entries {
        lost.push(if entries == 1 { "1 entry".to_owned() } else { format!("{entries} entries") });
    }
    if gap.ms > 0 {
        lost.push(format!("up to {}", time(gap.ms)));
    }
    let lost = if lost.is_empty() { "how much is not known".to_owned() } else { lost.join(", ") };
    format!("GAP: {lost} missing here, {why}")
}

fn ending_text(ending: &Ending) -> String {
    match ending {
        Ending::Exit { status } => format!("ended with status {status}"),
        Ending::Signal { name, .. } => format!("ended by signal {}", clean(name, 20)),
        Ending::Disconnected => "the connection was lost".to_owned(),
        Ending::Stopped { why } => format!("stopped: {}", clean(why, 100)),
        Ending::NotStarted { why } => format!("not started: {}", clean(why, 100)),
        Ending::Crashed => "the recorder was killed; this is where it ends".to_owned(),
        Ending::NobodyLeft => "the last process has ended".to_owned(),
    }
}

fn size(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} B"),
        1024..1_048_576 => format!("{} KiB", bytes / 1024),
        _ => format!("{} MiB", bytes / 1_048_576),
    }
}

/// Milliseconds as `1:05` or `2:03:04`.
#[must_use]
pub fn time(ms: u64) -> String {
    let (h, m, s) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60);
    if h > 0 { format!("{h}:{m:02}:{s:02}") } else { format!("{m}:{s:02}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_says_how_much_and_why() {
        let gap = Gap { cause: GapCause::Crash, bytes: Some(12_288), entries: Some(1), ms: 3000 };
        assert_eq!(
            gap_text(&gap),
            "GAP: 12 KiB, 1 entry, up to 0:03 missing here, the recorder was killed"
        );
        let gap = Gap { cause: GapCause::Damaged, bytes: None, entries: None, ms: 0 };
        assert_eq!(gap_text(&gap), "GAP: how much is not known missing here, a record was damaged");
    }
}

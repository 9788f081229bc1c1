//! Views of a recording in other people's formats, made one entry at a time.

mod asciicast;
mod lines;
mod ocsf;
pub(crate) mod paper;
mod transcript;

pub use asciicast::Asciicast;
pub use lines::JsonLines;
pub use ocsf::Ocsf;
pub use transcript::Transcript;

use crate::{Corrupt, Fault, From, Recording, Source};
use model::Seq;
use model::entry::{Ending, Entry, Gap, GapCause, Stamped, Stream};
use model::kernel::{Action, Kernel, LeftOut};

/// An export: call `begin` once, `push` for each entry in order, `damaged` where no more can be read, `finish` once; what
/// they return, joined, is the file. [`export()`] does so.
pub trait Export {
    /// What stands before the first entry.
    fn begin(&mut self) -> String;
    /// What an entry becomes; perhaps nothing.
    fn push(&mut self, stamped: &Stamped) -> String;
    /// Says that what follows cannot be read, and why.
    fn damaged(&mut self, why: &Corrupt) -> String;
    /// What stands behind the last entry.
    fn finish(&mut self) -> String;
}

/// Exports all of a recording that can be read. Answers why that is not all of it, if it is not. Damage is told in the export;
/// it is left without an end where the recording cannot be read at this time ([`Fault::Source`]).
///
/// # Errors
/// Those of `put`, which ends it.
pub fn export<S: Source, E>(
    recording: &Recording<S>,
    to: &mut (impl Export + ?Sized),
    mut put: impl FnMut(String) -> Result<(), E>,
) -> Result<Option<Corrupt>, E> {
    put(to.begin())?;
    let mut entries = recording.entries(From::Seq(Seq(1)));
    let damage = loop {
        match entries.next() {
            Some(Ok(next)) => put(to.push(&next))?,
            Some(Err(corrupt)) => break Some(corrupt),
            None => break recording.damage().cloned(),
        }
    };
    match &damage {
        Some(Corrupt { what: Fault::Source(_), .. }) => return Ok(damage),
        Some(why) => put(to.damaged(why))?,
        None => {}
    }
    put(to.finish())?;
    Ok(damage)
}

fn damage_words(why: &Corrupt) -> String {
    format!("nothing behind this can be read: {why}")
}

/// Bytes that become text: an unfinished character waits for the next bytes, what is none becomes U+FFFD.
#[derive(Debug, Default)]
pub(crate) struct Text {
    held: Vec<u8>,
}

impl Text {
    pub(crate) fn push(&mut self, bytes: &[u8]) -> String {
        let mut all = std::mem::take(&mut self.held);
        all.extend_from_slice(bytes);
        let mut text = String::new();
        let mut rest = &all[..];
        while !rest.is_empty() {
            match core::str::from_utf8(rest) {
                Ok(good) => {
                    text.push_str(good);
                    break;
                }
                Err(error) => {
                    let (good, bad) = rest.split_at(error.valid_up_to());
                    text.push_str(&String::from_utf8_lossy(good));
                    let Some(skip) = error.error_len() else {
                        self.held = bad.to_vec();
                        break;
                    };
                    text.push(char::REPLACEMENT_CHARACTER);
                    rest = bad.get(skip..).unwrap_or_default();
                }
            }
        }
        text
    }

    pub(crate) fn finish(&mut self) -> String {
        if std::mem::take(&mut self.held).is_empty() {
            String::new()
        } else {
            char::REPLACEMENT_CHARACTER.to_string()
        }
    }
}

/// What an entry that is no output says to a reader, in a few words.
fn note(entry: &Entry) -> Option<String> {
    Some(match entry {
        Entry::Mark { label } => label.clone(),
        Entry::Gap(gap) => gap_words(gap),
        Entry::People(people) => people.words(),
        Entry::Elided { stream, bytes, .. } => {
            format!("{bytes} bytes of {} not kept", stream_word(*stream))
        }
        Entry::Ended(ending) => ending_words(ending),
        Entry::Forward(forward) => forward.words(),
        Entry::Transfer(transfer) if transfer.is_essential() => transfer.to_string(),
        Entry::Kernel(kernel) => kernel_words(kernel)?,
        _ => return None,
    })
}

/// Programs that ran; the rest of what the kernel saw is too much to stand among what people did.
fn kernel_words(kernel: &Kernel) -> Option<String> {
    match kernel {
        Kernel::Did(event) => match &event.action {
            Action::Ran(_) => Some(format!("ran {event}")),
            _ => None,
        },
        Kernel::Watch(watch) => (!watch.lacks.is_empty()).then(|| kernel.words()),
        Kernel::Tampering(_) => Some(format!("TAMPERING: {}", kernel.words())),
        Kernel::Totals(totals) => (totals.lost > 0 || totals.left > 0).then(|| kernel.words()),
        Kernel::Scope(_) | Kernel::Unbound(_) => Some(kernel.words()),
        Kernel::LeftOut(LeftOut { files, network }) => {
            (files + network > 0).then(|| kernel.words())
        }
    }
}

fn gap_words(gap: &Gap) -> String {
    let cause = match gap.cause {
        GapCause::Crash => "the recorder was killed",
        GapCause::DiskFull => "the disk was full",
        GapCause::DiskFailed => "the disk failed",
        GapCause::Damaged => "a record was damaged on disk",
        GapCause::Redacted => "taken out afterwards",
        GapCause::Kernel => "more happened than was taken",
        GapCause::Unwatched => "no node watched what went on",
        GapCause::Bound => "more happened than this recording takes",
    };
    let amount = match (gap.bytes, gap.entries) {
        (Some(bytes), _) => format!(", {bytes} bytes"),
        (None, Some(entries)) => format!(", {entries} entries"),
        (None, None) => String::new(),
    };
    format!("gap: {cause}{amount}, at most {} ms", gap.ms)
}

fn ending_words(ending: &Ending) -> String {
    match ending {
        Ending::Exit { status } => format!("exit {status}"),
        Ending::Signal { name, .. } => format!("ended by signal {name}"),
        Ending::Disconnected => "disconnected".into(),
        Ending::Stopped { why } => format!("stopped: {why}"),
        Ending::NotStarted { why } => format!("not started: {why}"),
        Ending::Crashed => "the recorder crashed".into(),
        Ending::NobodyLeft => "nobody is left".into(),
    }
}

fn stream_word(stream: Stream) -> &'static str {
    match stream {
        Stream::Pty => "the terminal",
        Stream::Stdout => "standard output",
        Stream::Stderr => "standard error",
        Stream::Stdin => "standard input",
    }
}

/// Hours, minutes and seconds.
fn clock(ms: u64) -> String {
    let seconds = ms / 1000;
    format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_cut_in_two_is_one_character_and_a_broken_one_is_replaced() {
        for (pieces, wanted) in [
            (&[&b"na\xc3"[..], b"\xafve"][..], "naïve"),
            (&[b"\xf0\x9f", b"\xa6", b"\x80"], "🦀"),
            (&[b"a\xffb"], "a\u{fffd}b"),
            (&[b"\xc3", b"("], "\u{fffd}("),
            (&[b"end\xe2\x82"], "end\u{fffd}"),
        ] {
            let mut text = Text::default();
            let mut got: String = pieces.iter().map(|piece| text.push(piece)).collect();
            got.push_str(&text.finish());
            assert_eq!(got, wanted, "{pieces:?}");
        }
    }
}

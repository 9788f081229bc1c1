//! What happened in a recording beside its terminal, as a player's list wants it.

use crate::error::Refusal;
use model::entry::{Entry, Forward, People, Stamped};
use model::kernel::{Action, Class, Kernel, KernelEvent};
use model::transfer::{Outcome, Transfer};
use record::note::{Note, clean};
use std::collections::BTreeSet;
use wire::film::{Event, EventClass};

/// Characters of an event's words.
const WORDS_CHARS: usize = 600;

/// Every class, and the word for it.
const CLASSES: &[(&str, EventClass)] = &[
    ("commands", EventClass::Commands),
    ("files", EventClass::Files),
    ("network", EventClass::Network),
    ("transfers", EventClass::Transfers),
    ("forwards", EventClass::Forwards),
    ("people", EventClass::People),
    ("marks", EventClass::Marks),
];

/// Reads `commands,files`; all of them if nothing is said.
pub fn classes(text: Option<&str>) -> Result<BTreeSet<EventClass>, Refusal> {
    let Some(text) = text else { return Ok(CLASSES.iter().map(|(_, class)| *class).collect()) };
    let read = |word: &str| {
        let found = CLASSES.iter().find(|(known, _)| *known == word).map(|(_, class)| *class);
        found.ok_or_else(|| {
            let known: Vec<_> = CLASSES.iter().map(|(word, _)| *word).collect();
            Refusal::malformed(format!("a class is one of {}", known.join(", ")))
        })
    };
    text.split(',').map(read).collect()
}

/// The event of an entry, if it is one.
pub fn event(stamped: &Stamped) -> Option<Event> {
    use EventClass::{Forwards, Marks, Transfers};
    let plain = |class, kind: &str, text: &str, failed| Event {
        at: stamped.at,
        seq: stamped.seq,
        class,
        kind: kind.to_owned(),
        text: clean(text, WORDS_CHARS),
        process: None,
        parent: None,
        uid: None,
        name: None,
        times: None,
        ms: None,
        failed,
    };
    Some(match &stamped.entry {
        Entry::Kernel(Kernel::Did(event)) => of_process(event, stamped),
        Entry::Kernel(kernel) => plain(Marks, "kernel", &kernel.words(), false),
        Entry::People(people) => {
            let kind = people_kind(people);
            plain(EventClass::People, kind, &people.words(), kind == "file_refused")
        }
        Entry::Transfer(transfer) => {
            let (kind, failed) = transfer_kind(transfer);
            plain(Transfers, kind, &transfer.to_string(), failed)
        }
        Entry::Forward(forward) => {
            let refused = matches!(forward, Forward::Refused { .. });
            let event = plain(Forwards, forward_kind(forward), &forward.words(), refused);
            let ms = if let Forward::Closed { ms, .. } = forward { Some(*ms) } else { None };
            Event { ms, ..event }
        }
        Entry::Signal { name } => plain(Marks, "signal", &format!("signal {name}"), false),
        Entry::Service { name, granted } => {
            let words = if *granted { "asked for and got" } else { "asked for and did not get" };
            plain(Marks, "service", &format!("{words} {name}"), !granted)
        }
        Entry::Output { .. } | Entry::Typed { .. } | Entry::Resize(_) => return None,
        Entry::Mark { .. } => plain(Marks, "mark", &Note::of(stamped)?.text, false),
        Entry::Gap(_) => plain(Marks, "gap", &Note::of(stamped)?.text, false),
        Entry::Elided { .. } => plain(Marks, "elided", &Note::of(stamped)?.text, false),
        Entry::Ended(_) => plain(Marks, "end", &Note::of(stamped)?.text, false),
    })
}

fn of_process(event: &KernelEvent, stamped: &Stamped) -> Event {
    let class = match event.action.class() {
        Class::Commands => EventClass::Commands,
        Class::Files => EventClass::Files,
        Class::Network => EventClass::Network,
    };
    let (kind, failed) = action_kind(&event.action);
    let ms = if let Action::Ended { ms, .. } = event.action { Some(ms) } else { None };
    Event {
        at: event.at.min(stamped.at),
        seq: stamped.seq,
        class,
        kind: kind.to_owned(),
        text: clean(&event.action.to_string(), WORDS_CHARS),
        process: Some(event.by.process),
        parent: Some(event.by.parent),
        uid: Some(event.by.euid),
        name: Some(clean(&event.by.name, WORDS_CHARS)),
        times: (event.times > 1).then_some(event.times),
        ms,
        failed,
    }
}

fn action_kind(action: &Action) -> (&'static str, bool) {
    use model::kernel::TcpStep;
    match action {
        Action::Ran(_) => ("ran", false),
        Action::Arguments { .. } => ("arguments", false),
        Action::NotRan { .. } => ("not_ran", true),
        Action::Ended { .. } => ("ended", false),
        Action::Opened { error, .. } => ("opened", *error != 0),
        Action::Changed { error, .. } => ("changed", *error != 0),
        Action::Tcp { step, .. } => ("tcp", *step == TcpStep::NotConnected),
        Action::Socket { error, .. } => ("socket", *error != 0),
        Action::Identity { error, .. } => ("identity", *error != 0),
        Action::Special { error, .. } => ("special", *error != 0),
        Action::Uring { .. } => ("uring", false),
        Action::Met { .. } => ("met", false),
    }
}

fn transfer_kind(transfer: &Transfer) -> (&'static str, bool) {
    let bad = |outcome: &Outcome| *outcome != Outcome::Ok;
    match transfer {
        Transfer::Began { .. } => ("began", false),
        Transfer::Opened { .. } => ("opened", false),
        Transfer::Closed(moved) => ("closed", bad(&moved.outcome)),
        Transfer::NotOpened { .. } => ("not_opened", true),
        Transfer::Listed { outcome, .. } => ("listed", bad(outcome)),
        Transfer::Changed { outcome, .. } => ("changed", bad(outcome)),
        Transfer::Lookups(_) => ("lookups", false),
        Transfer::Said { .. } => ("said", false),
        Transfer::Unparsed { .. } => ("unparsed", false),
    }
}

fn forward_kind(forward: &Forward) -> &'static str {
    match forward {
        Forward::Listening { .. } => "listening",
        Forward::Stopped { .. } => "stopped",
        Forward::Refused { .. } => "refused",
        Forward::Opened { .. } => "opened",
        Forward::Closed { .. } => "closed",
    }
}

fn people_kind(people: &People) -> &'static str {
    match people {
        People::Joined { .. } => "joined",
        People::Left { .. } => "left",
        People::Seated { .. } => "seated",
        People::ShownOut { .. } => "shown_out",
        People::Keyboard { .. } => "keyboard",
        People::Said { .. } => "said",
        People::Waits { .. } => "waits",
        People::Frozen { .. } => "frozen",
        People::GoesOn => "goes_on",
        People::Outside { .. } => "outside",
        People::FileWanted(_) => "file_wanted",
        People::FileApproved { .. } => "file_approved",
        People::FileRefused { .. } => "file_refused",
        People::FileStopped { .. } => "file_stopped",
        People::OwnerLost => "owner_lost",
        People::OwnerBack { .. } => "owner_back",
        People::SizeOf { .. } => "size_of",
    }
}

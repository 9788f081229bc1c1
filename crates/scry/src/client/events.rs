//! `scry recordings events`: what the kernel saw of a session, as a list, as a tree of its processes, or as JSON.

use super::recordings::{in_part, remark_open};
use crate::cli::Events;
use crate::show;
use anyhow::Result;
use comfy_table::Color;
use host::kernel::Urgency;
use model::entry::{Entry, GapCause, Stamped};
use model::kernel::{Action, Class, Kernel, KernelEvent};
use model::{Seq, SessionId, Time};
use record::{From as Place, Recording, Source};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::Write;

/// Most columns of a line in a tree.
const TREE_COLUMNS: usize = 400;

/// One of them, as JSON: what stands on the time line, and where.
#[derive(Serialize)]
struct Line<'a> {
    /// Of an aftermath: its recording, of which `seq` and times count.
    #[serde(skip_serializing_if = "Option::is_none")]
    aftermath: Option<SessionId>,
    seq: Seq,
    entry: &'a Entry,
}

/// Prints what the kernel saw in these recordings: of a session, and of what it left running.
pub fn print<S: Source>(recordings: &[Recording<S>], args: &Events) -> Result<()> {
    match write(recordings, args) {
        // Whoever reads it has seen enough, as in `… | head`.
        Err(error) if is_gone(&error) => Ok(()),
        written => written,
    }
}

fn is_gone(error: &anyhow::Error) -> bool {
    let error = error.downcast_ref::<std::io::Error>();
    error.is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

fn write<S: Source>(recordings: &[Recording<S>], args: &Events) -> Result<()> {
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let (mut tree, mut any) = (Tree::default(), false);
    let mut damage = None;
    let began = recordings.first().map_or(Time(0), |first| first.heading().started);
    for (place, recording) in recordings.iter().enumerate() {
        let heading = recording.heading();
        // Times count from the beginning of the first, whose aftermath the others are.
        let later = u64::try_from(heading.started.0.saturating_sub(began.0)).unwrap_or(0);
        let aftermath = (place > 0).then_some(heading.id);
        if let Some(id) = aftermath.filter(|_| !args.json) {
            let what = match place {
                1 => "THE SESSION HAS ENDED; what it left running:",
                _ => "what it left running goes on:",
            };
            let line = format!("{} {what} {id}", moment(later));
            if args.tree { tree.beside.push(line) } else { writeln!(out, "{line}")? }
        }
        for stamped in recording.entries(Place::Seq(Seq(1))) {
            let Stamped { seq, at, entry } = match stamped {
                Ok(stamped) => stamped,
                Err(corrupt) => {
                    damage.get_or_insert(corrupt);
                    break;
                }
            };
            any |= matches!(entry, Entry::Kernel(_));
            if !wanted(&entry, args) {
                continue;
            }
            if args.tree {
                tree.take(&entry, later);
            } else if args.json {
                let line = Line { aftermath, seq, entry: &entry };
                writeln!(out, "{}", show::compact(&line)?)?;
            } else {
                writeln!(out, "{}", text(at, &entry, later))?;
            }
        }
    }
    if args.tree {
        tree.print(&mut out)?;
    }
    out.flush()?;
    if let Some(why) = damage.or_else(|| recordings.iter().find_map(Recording::damage).cloned()) {
        return Err(in_part(why));
    }
    if !any {
        show::remark("The kernel was not asked to see anything of this session.");
    }
    recordings.iter().for_each(remark_open);
    Ok(())
}

/// Whether an entry is one of the kernel's, and of a class that is asked for; all are, if none is named.
fn wanted(entry: &Entry, args: &Events) -> bool {
    let all = !(args.commands || args.files || args.network);
    match entry {
        Entry::Kernel(Kernel::Did(event)) => match event.action.class() {
            Class::Commands => all || args.commands || args.tree,
            Class::Files => all || args.files,
            Class::Network => all || args.network,
        },
        Entry::Kernel(_) => true,
        Entry::Gap(gap) => {
            matches!(gap.cause, GapCause::Kernel | GapCause::Unwatched | GapCause::Bound)
        }
        _ => false,
    }
}

/// One line for a person; `later` is added to its time.
fn text(at: u64, entry: &Entry, later: u64) -> String {
    let moment = |at: u64| moment(at.saturating_add(later));
    match entry {
        Entry::Kernel(Kernel::Did(event)) => {
            let KernelEvent { at, by, .. } = &**event;
            let user = match by.uid == by.euid {
                true => by.uid.to_string(),
                false => format!("{}→{}", by.uid, by.euid),
            };
            let stray = if by.stray { " (by its audit session)" } else { "" };
            let words = show::clean(&event.to_string(), usize::MAX);
            let name = show::clean(&by.name, 15);
            format!("{} {:>7} {user:>6} {name:15} {words}{stray}", moment(*at), by.process)
        }
        Entry::Kernel(Kernel::Tampering(found)) => {
            let words = show::clean(&found.to_string(), 1000);
            format!("{} TAMPERING: {words}", moment(found.at))
        }
        Entry::Kernel(kernel) => format!("{} {}", moment(at), show::clean(&kernel.words(), 1000)),
        Entry::Gap(gap) if gap.cause == GapCause::Kernel => {
            let count = gap.entries.unwrap_or(0);
            format!("{} GAP: {count} records are missing up to here", moment(at))
        }
        Entry::Gap(gap) => format!("{} {}", moment(at), record::note::gap_text(gap)),
        _ => String::new(),
    }
}

/// Minutes, seconds and thousandths since the beginning.
fn moment(ms: u64) -> String {
    format!("{:>8}.{:03}", show::length(ms), ms % 1000)
}

/// The processes of a session, and who began whom.
#[derive(Default)]
struct Tree {
    processes: Vec<Process>,
    /// Which of them has this number now.
    now: BTreeMap<u32, usize>,
    beside: Vec<String>,
}

struct Process {
    number: u32,
    parent: Option<usize>,
    name: String,
    uid: u32,
    began: u64,
    did: Vec<String>,
    ended: Option<String>,
}

impl Tree {
    /// `later` is added to its time.
    fn take(&mut self, entry: &Entry, later: u64) {
        let Entry::Kernel(Kernel::Did(event)) = entry else {
            self.beside.push(text(0, entry, later));
            return;
        };
        let by = &event.by;
        let parent = self.now.get(&by.parent).copied();
        let place = *self.now.entry(by.process).or_insert_with(|| {
            self.processes.push(Process {
                number: by.process,
                parent,
                name: by.name.clone(),
                uid: by.uid,
                began: event.at.saturating_add(later),
                did: Vec::new(),
                ended: None,
            });
            self.processes.len() - 1
        });
        let Some(process) = self.processes.get_mut(place) else { return };
        process.uid = by.uid;
        // Whoever began it may have done nothing of its own that is told before.
        process.parent = process.parent.or(parent).filter(|parent| *parent != place);
        match &event.action {
            Action::Ended { .. } => {
                process.ended = Some(event.to_string());
                self.now.remove(&by.process);
            }
            Action::Arguments { .. } => {}
            _ => process.did.push(event.to_string()),
        }
    }

    fn print(&self, out: &mut impl Write) -> Result<()> {
        let mut below: BTreeMap<Option<usize>, Vec<usize>> = BTreeMap::new();
        for (place, process) in self.processes.iter().enumerate() {
            below.entry(process.parent.filter(|parent| *parent < place)).or_default().push(place);
        }
        let roots = below.get(&None).cloned().unwrap_or_default();
        let mut waiting: Vec<(usize, usize)> = roots.into_iter().rev().map(|it| (it, 0)).collect();
        while let Some((place, depth)) = waiting.pop() {
            let Some(process) = self.processes.get(place) else { continue };
            let indent = "  ".repeat(depth);
            let ended = process.ended.clone().unwrap_or_else(|| "not ended".to_owned());
            let Process { number, name, uid, began, did, .. } = process;
            let name = show::clean(name, 15);
            let first = did.first().cloned().unwrap_or_else(|| format!("({name})"));
            let first = show::clean(&first, TREE_COLUMNS);
            writeln!(out, "{} {indent}{first}  [{number}, uid {uid}, {ended}]", moment(*began))?;
            for more in did.iter().skip(1) {
                let more = show::clean(more, TREE_COLUMNS);
                writeln!(out, "{:12} {indent}· {more}", "")?;
            }
            let children = below.get(&Some(place)).cloned().unwrap_or_default();
            waiting.extend(children.into_iter().rev().map(|child| (child, depth + 1)));
        }
        for line in &self.beside {
            writeln!(out, "{}", line.trim_start())?;
        }
        Ok(())
    }
}

/// What a storm beside busy programs comes to, where nothing may be lost.
fn urgency(urgency: Urgency) -> &'static str {
    match urgency {
        Urgency::First => {
            "What it saw is taken out before ordinary programs of this machine run, so that kernel.lossless holds under load."
        }
        Urgency::Favoured => {
            "What it saw is taken out by a thread that has its turns with others (nice -20), because this machine allows no \
             SCHED_RR here: on a busy machine kernel.lossless may lose something, which is counted. CAP_SYS_NICE would help, \
             and no RestrictRealtime= in the unit; with control groups of version 1, cpu.rt_runtime_us above 0."
        }
        Urgency::Ordinary => {
            "What it saw is taken out by a thread like any other, because scry may not give it a better place: on a busy \
             machine kernel.lossless may lose something, which is counted. CAP_SYS_NICE would help."
        }
    }
}

/// `scry doctor`: what of the kernel program this machine takes, and what would help where it does not.
pub fn doctor() {
    match host::kernel::Kernel::load() {
        Ok(kernel) => {
            let mut table = show::table(&["WHAT", "WHERE", "STATE"]);
            for part in kernel.parts() {
                let (state, colour) = match &part.refused {
                    None => ("taken".to_owned(), Color::Green),
                    Some(why) => (format!("refused: {why}"), Color::Red),
                };
                table.add_row([
                    show::cell(part.what, None),
                    show::cell(part.place, None),
                    show::cell(state, Some(colour)),
                ]);
            }
            show::line("The kernel of this machine can tell what runs in sessions.");
            show::styled(table);
            show::line(urgency(kernel.urgency()));
        }
        Err(why) => {
            show::line("The kernel of this machine cannot tell what runs in sessions:");
            show::line(why);
            match host::kernel::probe() {
                // The tests look for these words.
                Ok(()) => show::line(
                    "It takes a program of the same kind that does nothing, so the fault is scry's: please report it.",
                ),
                Err(why) => show::line(format!("It takes no program of this kind at all: {why}")),
            }
            show::line(
                "Sessions work all the same, and say so; roles with kernel.require refuse them.",
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::kernel::{Doer, End, Program};

    fn event(process: u32, parent: u32, action: Action) -> Entry {
        let name = "sh".to_owned();
        let by = Doer { process, parent, uid: 7, euid: 7, audit: None, name, stray: false };
        let event = KernelEvent { at: 61_005, by, action, times: 1 };
        Entry::Kernel(Kernel::Did(Box::new(event)))
    }

    fn ran(process: u32, parent: u32, line: &str) -> Entry {
        let arguments: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let program = Program { arguments, ..Program::default() };
        event(process, parent, Action::Ran(Box::new(program)))
    }

    fn ended(process: u32, parent: u32) -> Entry {
        event(process, parent, Action::Ended { end: End::Status(0), ms: 5 })
    }

    #[test]
    fn a_tree_shows_who_began_whom_and_a_number_that_is_used_again_is_another() {
        let mut tree = Tree::default();
        for entry in [
            ran(10, 1, "bash"),
            ran(11, 10, "sh script"),
            ran(12, 11, "id -u"),
            ended(12, 11),
            ended(11, 10),
            ran(12, 10, "ls"),
            ended(12, 10),
        ] {
            tree.take(&entry, 0);
        }
        let mut out = Vec::new();
        tree.print(&mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let lines: Vec<_> = text.lines().map(|line| line.split("  [").next().unwrap()).collect();
        assert_eq!(
            lines,
            [
                "    1:01.005 bash",
                "    1:01.005   sh script",
                "    1:01.005     id -u",
                "    1:01.005   ls",
            ]
        );
        assert!(text.contains("[10, uid 7, not ended]") && text.contains("ended with 0 after"));
    }

    #[test]
    fn what_is_asked_for_is_shown_and_nothing_else() {
        let none = Events {
            id: String::new(),
            json: false,
            tree: false,
            commands: false,
            files: false,
            network: false,
            place: crate::cli::Where::default(),
        };
        let entry = ran(1, 0, "ls");
        assert!(wanted(&entry, &none));
        assert!(!wanted(&entry, &Events { files: true, ..none.clone() }));
        assert!(wanted(&entry, &Events { files: true, commands: true, ..none.clone() }));
        assert!(!wanted(&Entry::Mark { label: String::new() }, &none));
    }
}

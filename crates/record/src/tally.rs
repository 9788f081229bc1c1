//! What stands in a recording, counted piece by piece as it arrives.

use model::entry::{Entry, People};
use model::kernel::{Action, Kernel, KernelEvent, Named};
use model::limit::{TALLY_FILES, TALLY_PEOPLE};
use model::tally::Tally;
use model::transfer::{Change, Outcome, Transfer};
use model::{Stamped, UserName};
use std::collections::BTreeSet;

/// Counts entries. What was counted in neighbouring pieces can be put together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counter {
    /// Programs that ran, and whether the kernel was asked about them.
    commands: (u64, bool),
    /// What the kernel tells of, and whether it was asked.
    touched: (Files, bool),
    /// What transfers tell of, and whether there were any.
    moved: (Files, bool),
    people: Vec<UserName>,
    more_people: bool,
}

/// Names of files, each once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Files {
    /// Their digests: they are many, and long.
    names: BTreeSet<[u8; 16]>,
    more: bool,
}

impl Counter {
    /// Counts what these entries say.
    pub fn count<'a>(&mut self, entries: impl IntoIterator<Item = &'a Stamped>) {
        for stamped in entries {
            match &stamped.entry {
                Entry::Kernel(Kernel::Watch(watch)) => {
                    self.commands.1 |= watch.classes.commands;
                    self.touched.1 |= watch.classes.files;
                }
                Entry::Kernel(Kernel::Did(event)) => self.event(event),
                Entry::Transfer(transfer) => self.transfer(transfer),
                Entry::People(People::Seated { user, .. }) => self.person(user),
                _ => {}
            }
        }
    }

    /// Takes what was counted in the piece behind this one.
    pub fn add(&mut self, next: Self) {
        self.commands.0 = self.commands.0.saturating_add(next.commands.0);
        self.commands.1 |= next.commands.1;
        for (all, (files, told)) in
            [(&mut self.touched, next.touched), (&mut self.moved, next.moved)]
        {
            all.1 |= told;
            all.0.more |= files.more;
            files.names.into_iter().for_each(|name| all.0.put(name));
        }
        next.people.iter().for_each(|user| self.person(user));
        self.more_people |= next.more_people;
    }

    /// What was counted. A file that is moved is also seen by the kernel, by a name that may be another: whoever tells of
    /// more of them counts.
    #[must_use]
    pub fn tally(&self) -> Tally {
        let told = [&self.touched, &self.moved].into_iter().filter(|(_, told)| *told);
        let files = told.map(|(files, _)| files).max_by_key(|files| files.names.len());
        Tally {
            commands: self.commands.1.then_some(self.commands.0),
            files: files.map(|files| files.names.len() as u64),
            more_files: files.is_some_and(|files| files.more),
            people: self.people.clone(),
            more_people: self.more_people,
        }
    }

    fn event(&mut self, event: &KernelEvent) {
        let touched = &mut self.touched.0;
        match &event.action {
            Action::Ran(_) => self.commands.0 = self.commands.0.saturating_add(event.times.into()),
            Action::Opened { file, error: 0, .. } => touched.named(file),
            // Whether what was asked of io_uring went well is not known.
            Action::Changed { file, other, error: 0, .. }
            | Action::Uring { file: Some(file), other, .. } => {
                touched.named(file);
                other.iter().for_each(|other| touched.named(other));
            }
            _ => {}
        }
    }

    fn transfer(&mut self, transfer: &Transfer) {
        let (moved, told) = &mut self.moved;
        *told = true;
        match transfer {
            Transfer::Opened { path, .. } => moved.name("", path),
            Transfer::Closed(file) => moved.name("", &file.path),
            Transfer::Changed { change, outcome: Outcome::Ok } => match change {
                Change::Remove { path }
                | Change::MakeFolder { path, .. }
                | Change::RemoveFolder { path }
                | Change::Symlink { path, .. }
                | Change::Attributes { path, .. } => moved.name("", path),
                Change::Rename { path, to, .. }
                | Change::Hardlink { path, to }
                | Change::Copy { path, to, .. } => {
                    moved.name("", path);
                    moved.name("", to);
                }
                Change::Extension { .. } => {}
            },
            _ => {}
        }
    }

    fn person(&mut self, user: &UserName) {
        if self.people.contains(user) {
            return;
        }
        if self.people.len() < TALLY_PEOPLE {
            self.people.push(user.clone());
        } else {
            self.more_people = true;
        }
    }
}

impl Files {
    fn named(&mut self, file: &Named) {
        self.name("", &file.whole());
    }

    fn name(&mut self, folder: &str, path: &str) {
        let mut hasher = blake3::Hasher::new();
        if !folder.is_empty() {
            hasher.update(folder.as_bytes()).update(b"/");
        }
        if let Some(digest) = hasher.update(path.as_bytes()).finalize().as_bytes().first_chunk() {
            self.put(*digest);
        }
    }

    fn put(&mut self, name: [u8; 16]) {
        if self.names.len() < TALLY_FILES {
            self.names.insert(name);
        } else {
            self.more |= !self.names.contains(&name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::entry::Party;
    use model::kernel::{Classes, Doer, Watch};
    use model::transfer::{FileMoved, Protocol};
    use model::{SeatRole, Seq};

    fn stamped(entry: Entry) -> Stamped {
        Stamped { seq: Seq(1), at: 0, entry }
    }

    fn watch(commands: bool, files: bool) -> Entry {
        let classes = Classes { commands, files, network: false };
        Entry::Kernel(Kernel::Watch(Watch { classes, lacks: String::new() }))
    }

    fn did(action: Action) -> Entry {
        let name = "sh".to_owned();
        let by = Doer { process: 2, parent: 1, uid: 0, euid: 0, audit: None, name, stray: false };
        Entry::Kernel(Kernel::Did(Box::new(KernelEvent { at: 0, by, action, times: 1 })))
    }

    fn ran() -> Entry {
        did(Action::Ran(Box::default()))
    }

    fn named(folder: &str, path: &str) -> Named {
        Named { path: path.to_owned(), folder: folder.to_owned(), as_passed: false }
    }

    fn opened(path: &str, error: i32) -> Entry {
        did(Action::Opened { file: named("", path), flags: 0, place: None, error })
    }

    fn renamed(folder: &str, path: &str, other: &str) -> Entry {
        did(Action::Changed {
            call: "rename".to_owned(),
            file: named(folder, path),
            other: Some(named(folder, other)),
            numbers: Vec::new(),
            error: 0,
        })
    }

    fn moved(path: &str) -> Entry {
        Entry::Transfer(Transfer::Closed(Box::new(FileMoved {
            file: 1,
            path: path.to_owned(),
            access: Vec::new(),
            size: None,
            mode: None,
            times: None,
            read: None,
            written: None,
            outcome: Outcome::Ok,
        })))
    }

    fn seated(name: &str) -> Entry {
        let user = name.parse().unwrap();
        let from = String::new();
        Entry::People(People::Seated { party: Party(1), user, seat: SeatRole::Peer, from })
    }

    /// Counts the entries at once, and cut in two at each place.
    fn check(entries: Vec<Entry>, expected: &Tally) {
        let all: Vec<_> = entries.into_iter().map(stamped).collect();
        for at in 0..=all.len() {
            let (first, second) = all.split_at(at);
            let (mut counter, mut behind) = (Counter::default(), Counter::default());
            counter.count(first);
            behind.count(second);
            counter.add(behind);
            assert_eq!(counter.tally(), *expected, "cut at {at}");
        }
    }

    #[test]
    fn programs_are_counted_one_by_one_and_files_and_people_each_once() {
        let entries = vec![
            watch(true, true),
            ran(),
            opened("/etc/hosts", 0),
            ran(),
            opened("/etc/hosts", 0),
            opened("/etc/shadow", 13),
            renamed("/etc", "hosts", "hosts.old"),
            seated("bob"),
            seated("guest:Zoe"),
            seated("bob"),
        ];
        let people = vec!["bob".parse().unwrap(), "guest:Zoe".parse().unwrap()];
        let (commands, files) = (Some(2), Some(2));
        check(entries, &Tally { commands, files, people, ..Tally::default() });
    }

    #[test]
    fn what_nobody_was_asked_about_is_not_none_of_it() {
        check(
            vec![seated("bob")],
            &Tally { people: vec!["bob".parse().unwrap()], ..Tally::default() },
        );
        check(vec![watch(true, false)], &Tally { commands: Some(0), ..Tally::default() });
        let sftp = Entry::Transfer(Transfer::Began { protocol: Protocol::Sftp });
        check(
            vec![sftp, moved("a"), moved("b"), moved("a")],
            &Tally { files: Some(2), ..Tally::default() },
        );
    }

    #[test]
    fn a_file_that_the_kernel_and_a_transfer_tell_of_is_one_file() {
        let entries = vec![
            watch(false, true),
            opened("/usr/lib/sftp-server", 0),
            moved("notes"),
            opened("/home/alice/notes", 0),
        ];
        check(entries, &Tally { files: Some(2), ..Tally::default() });
    }

    #[test]
    fn beyond_what_is_told_apart_it_says_that_there_is_more() {
        let mut counter = Counter::default();
        counter.count(&[stamped(watch(false, true))]);
        let all: Vec<_> = (0..=TALLY_FILES).map(|n| stamped(opened(&format!("/{n}"), 0))).collect();
        counter.count(&all[..TALLY_FILES]);
        counter.count(&all[..TALLY_FILES]);
        let files = Some(TALLY_FILES as u64);
        assert_eq!(counter.tally(), Tally { files, ..Tally::default() });
        counter.count(&all);
        assert_eq!(counter.tally(), Tally { files, more_files: true, ..Tally::default() });
        let people: Vec<_> =
            (0..=TALLY_PEOPLE).map(|n| stamped(seated(&format!("guest:g{n}")))).collect();
        counter.count(&people);
        let tally = counter.tally();
        assert!(tally.more_people && tally.people.len() == TALLY_PEOPLE, "{tally:?}");
    }
}

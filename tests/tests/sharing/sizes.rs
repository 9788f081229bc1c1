//! Terminals of other sizes: those who look on see a part or a frame, and nobody's size but the owner's matters.

use house::eyes::Client;
use house::person::Person;
use house::script::GNU_SCREEN;
use house::seen::{Differences, Seen, differences};
use house::sharing::{GUEST, NOTE, Owner, PROMPT, SIZE, Viewer, Way, alone, guests};
use house::terminal::Terminal;
use house::{Cluster, text, wait_for};
use std::cell::{Cell, RefCell};
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

/// Whether the viewer sees the part of the owner's screen that has the cursor in it, or all of it in a frame.
fn fits(owners: &Seen, theirs: &Seen) -> bool {
    let ((cols, rows), view) = (owners.size, theirs.size);
    let (width, height) = (view.0.min(cols), view.1.min(rows));
    let at = ((view.0 - width) / 2, (view.1 - height) / 2);
    let (own, other) = (owners.screen(), theirs.screen());
    let framed = at.0 == 0 || at.1 == 0 || {
        let corner = |col, row| other.cell(col, row).ch;
        let (left, top, right, bottom) = (at.0 - 1, at.1 - 1, at.0 + width, at.1 + height);
        let corners =
            [corner(left, top), corner(right, top), corner(left, bottom), corner(right, bottom)];
        corners == ['╭', '╮', '╰', '╯']
    };
    let places = (0..=cols - width).flat_map(|col| (0..=rows - height).map(move |row| (col, row)));
    let mut parts = places.filter(|(col, row)| {
        let inside = |cursor: (u16, u16)| {
            Some((cursor.0.checked_sub(*col)? + at.0, cursor.1.checked_sub(*row)? + at.1))
        };
        owners.cursor.and_then(inside) == theirs.cursor
    });
    framed && parts.any(|part| differences(&own, &other, part, at, (width, height)).none())
}

/// Expects that each viewer sees their part, as soon as no note stands in the way.
#[track_caller]
pub fn all_fit(owner: &Owner<'_>, viewers: &[Viewer]) {
    let deadline = Instant::now() + NOTE;
    loop {
        let seen = owner.terminal.seen();
        let all: Vec<_> = viewers.iter().map(|viewer| viewer.terminal.seen()).collect();
        if all.iter().all(|theirs| fits(&seen, theirs)) {
            return;
        }
        if Instant::now() > deadline {
            let show = |seen: &Seen| {
                format!("{:?}, cursor {:?}\n{}", seen.size, seen.cursor, seen.rows().join("\n"))
            };
            let bad = all.iter().find(|theirs| !fits(&seen, theirs)).expect("one");
            panic!("owner {}\nviewer {}", show(&seen), show(bad));
        }
        thread::sleep(Duration::from_millis(30));
    }
}

#[test]
fn smaller_and_larger_terminals_show_a_part_or_a_frame_and_the_owners_size_stays() {
    let cluster = Cluster::start();
    guests(&cluster);
    let bob = Person::invited(&cluster, "bob", &[GUEST]);
    let owner = Owner::start(&cluster, SIZE);
    owner.line("trap 'echo WINCH' WINCH; clear; stty size");
    owner.terminal.wait_for("30 100");
    let sizes = [(40, 10), (140, 45), (60, 45), (140, 12), (100, 29), (101, 31)];
    let ways = [Way::Scry, Way::Ssh].into_iter().cycle();
    let join = |(size, way)| owner.join(&bob, way, "peer", size);
    let viewers: Vec<_> = sizes.into_iter().zip(ways).map(join).collect();
    all_fit(&owner, &viewers);
    owner.line("clear; stty size; for i in $(seq 1 60); do printf '%03d%s%s\\n' $i $(seq 100 130); done > f");
    owner.terminal.wait_for("30 100");
    all_fit(&owner, &viewers);
    owner.line("vim -u NONE -N f");
    owner.terminal.wait_for("001100101");
    for keys in ["", "$", "G", "0", "gg50|", "20G", "H", "L", ":set nowrap\r", "$", "gg0", "Oend"] {
        owner.terminal.type_text(keys);
        thread::sleep(Duration::from_millis(300));
        all_fit(&owner, &viewers);
    }
    // Each takes the size of the next.
    for turn in 1..=sizes.len() {
        for (at, viewer) in viewers.iter().enumerate() {
            viewer.terminal.resize(sizes[(at + turn) % sizes.len()]);
        }
        owner.terminal.type_text("x");
        thread::sleep(Duration::from_millis(300));
        all_fit(&owner, &viewers);
    }
    owner.terminal.keys(&["Escape"]);
    owner.line(":q!");
    owner.terminal.wait_for(PROMPT);
    owner.line("clear; stty size");
    owner.terminal.wait_for("30 100");
    assert!(!owner.terminal.shows("WINCH"), "{:#?}", owner.terminal.screen());
    all_fit(&owner, &viewers);
    let row = owner.finish();
    let lines = std::fs::read_to_string(cluster.export(row["id"].as_str().unwrap(), "jsonl"));
    assert!(!lines.unwrap().contains("\"resize\""), "no size but the owner's is in the recording");
}

#[test]
fn a_client_whose_terminal_fits_is_told_the_size_of_what_it_is_shown_and_its_own_does_not_count() {
    let cluster = Cluster::start();
    guests(&cluster);
    let bob = Person::invited(&cluster, "bob", &[GUEST]);
    let owner = Owner::start(&cluster, SIZE);
    // What a viewer is told before and behind a smaller terminal of the owner's.
    let told = |fits: bool| {
        let mut ssh = bob.ssh_command();
        if fits {
            ssh.args(["-o", "SetEnv=SCRY_FITS=1"]);
        }
        ssh.args(["-tt", "-e", "none", &owner.seat(), "observer"]);
        let before = owner.last();
        let viewer = Client::start(ssh);
        let sizes = || {
            let shown = viewer.printed();
            let sizes = shown.split("\x1b[8;").skip(1).filter_map(|rest| rest.split_once('t'));
            sizes.map(|(size, _)| size.to_owned()).collect::<Vec<_>>()
        };
        let come = |count: usize| {
            if fits {
                wait_for("the size", || sizes().len() >= count);
            }
            // Until there would be one more.
            thread::sleep(Duration::from_millis(500));
        };
        wait_for("the viewer", || owner.last() > before);
        come(1);
        owner.terminal.resize((90, 20));
        come(2);
        sizes()
    };
    assert_eq!(told(true), ["30;100", "20;90"]);
    owner.terminal.resize(SIZE);
    assert!(told(false).is_empty(), "who has not said it keeps their own size");
    owner.finish();
}

/// What the owner's terminal is made, one after the other.
const SIZES: [(u16, u16); 8] =
    [(2, 1), (1024, 512), (2, 512), (1024, 1), (3, 2), (500, 200), (80, 24), (101, 29)];
/// Terminals larger and smaller than any that a program is told of, and what it is told.
const BEYOND: [((u16, u16), &str); 2] = [((1500, 600), "512 1024"), ((1, 1), "1 2")];
/// Cells in which the owner's screen differs from that of the same program without scry, at any size: none so far, and they
/// may not become more.
const KNOWN: Differences = Differences { characters: 0, looks: 0 };
/// Longest until two terminals are as they will stay.
const PATIENCE: Duration = Duration::from_secs(10);
/// A terminal that has not changed for so long is done with what it was told.
const STILL: Duration = Duration::from_millis(200);

/// A session with two who look on, one by scry and one by ssh; and the same shell on a terminal of the same sizes, of which
/// scry knows nothing.
struct Twins<'c> {
    owner: Owner<'c>,
    viewers: [Viewer; 2],
    alone: [Viewer; 1],
    /// What either shell writes into its file when it has done something.
    done: [PathBuf; 2],
    /// Terminals of the innermost programs.
    ttys: RefCell<[String; 2]>,
    differ: Cell<Differences>,
}

impl<'c> Twins<'c> {
    fn start(cluster: &'c Cluster, bob: &Person<'_>) -> Self {
        let owner = Owner::start(cluster, SIZE);
        let viewers =
            [owner.join(bob, Way::Scry, "peer", SIZE), owner.join(bob, Way::Ssh, "observer", SIZE)];
        owner.all_see_the_same(&viewers);
        let done = [cluster.path("done"), cluster.path("done-alone")];
        let alone = [Viewer { terminal: alone(cluster, SIZE), types: true }];
        let (ttys, differ) = (RefCell::default(), Cell::default());
        let twins = Self { owner, viewers, alone, done, ttys, differ };
        for (terminal, file) in twins.terminals().into_iter().zip(&twins.done) {
            let done = file.display();
            terminal.type_text(&format!("export DONE={done}; echo > $DONE; clear\r"));
        }
        twins.wait_done();
        twins.find_ttys();
        twins
    }

    /// Learns the terminals that the shells are on now, which have nothing but a prompt on them.
    #[track_caller]
    fn find_ttys(&self) {
        // What is typed before that stands there twice, or does not.
        wait_for("both prompts", || self.terminals().iter().all(|it| it.screen()[0] == PROMPT));
        self.types("tty > $DONE\r");
        *self.ttys.borrow_mut() = self.wait_done();
    }

    /// Rows and columns, as the programs are told.
    fn told(&self) -> [String; 2] {
        self.ttys.borrow().each_ref().map(|tty| {
            text(&Command::new("stty").args(["-F", tty, "size"]).output().expect("stty runs"))
        })
    }

    /// Makes both terminals this size, and waits until the programs are told; `taken` rows are those of a program around.
    #[track_caller]
    fn resize_to(&self, size @ (cols, rows): (u16, u16), taken: u16) {
        self.resize(size);
        let expected = format!("{} {cols}", rows.saturating_sub(taken));
        let (mut last, mut same) = (self.told(), 0);
        // A program around may bear no such size, and keeps another one: then it is waited until that stays.
        wait_for(&format!("both to be told of {size:?}"), || {
            let told = self.told();
            same = if told == last { same + 1 } else { 0 };
            last = told;
            last[0] == last[1] && (last[0] == expected || (taken > 0 && same > 20))
        });
    }

    fn terminals(&self) -> [&Terminal; 2] {
        [&self.owner.terminal, &self.alone[0].terminal]
    }

    fn types(&self, text: &str) {
        self.terminals().iter().for_each(|terminal| terminal.type_text(text));
    }

    fn resize(&self, size: (u16, u16)) {
        self.terminals().iter().for_each(|terminal| terminal.resize(size));
    }

    /// Waits until both have written that they have done something; gives what they wrote.
    #[track_caller]
    fn wait_done(&self) -> [String; 2] {
        let said = |file: &PathBuf| fs::read_to_string(file).unwrap_or_default();
        wait_for("both shells", || self.done.iter().all(|file| said(file).ends_with('\n')));
        let both = [0, 1].map(|at| said(&self.done[at]).trim().to_owned());
        self.done.iter().for_each(|file| fs::remove_file(file).unwrap());
        both
    }

    /// Compares both screens once they are still, and keeps the count.
    #[track_caller]
    fn compare(&self, what: &str) {
        let (mut last, mut since) = (self.terminals().map(Terminal::seen), Instant::now());
        wait_for("both terminals to be still", || {
            let now = self.terminals().map(Terminal::seen);
            if now != last {
                (last, since) = (now, Instant::now());
            }
            since.elapsed() >= STILL
        });
        let found = self.owner.compare(&self.alone, PATIENCE);
        println!("{what}: {found:?}");
        let mut all = self.differ.get();
        all += found;
        self.differ.set(all);
        assert!(all.within(KNOWN), "{what}: {all:?}, known are {KNOWN:?}");
    }

    /// Makes both terminals each size, and does something at each, upon which `$DONE` is written; then they are as they were.
    fn through_sizes(&self, program: &str, taken: u16, does: &str) {
        for size in SIZES {
            self.resize_to(size, taken);
            self.compare(&format!("{program}, made {size:?}"));
            self.types(does);
            let [own, alone] = self.wait_done();
            assert_eq!(own, alone, "{program}: what it does at {size:?}");
            self.compare(&format!("{program}, at work at {size:?}"));
        }
        self.resize_to(SIZE, taken);
        self.compare(&format!("{program}, made {SIZE:?} again"));
    }

    /// Larger and smaller than may be: there is nothing to compare with, but the size that is told.
    fn beyond(&self) {
        for (size, told) in BEYOND {
            self.owner.terminal.resize(size);
            wait_for(&format!("{told} in a terminal of {size:?}"), || self.told()[0] == told);
            self.types("stty size; seq 1 2000; stty size > $DONE\r");
            assert_eq!(self.wait_done()[0], told);
        }
        self.resize_to(SIZE, 0);
    }
}

/// Both with a program in the shell, at all sizes; verified when it is over.
fn with_twins(work: impl Fn(&Twins<'_>)) {
    let cluster = Cluster::start();
    guests(&cluster);
    let bob = Person::invited(&cluster, "bob", &[GUEST]);
    let twins = Twins::start(&cluster, &bob);
    twins.compare("at first");
    work(&twins);
    let Twins { owner, .. } = twins;
    owner.terminal.wait_for(PROMPT);
    let row = owner.finish();
    house::assert_success(&cluster.verify(row["id"].as_str().unwrap()));
}

/// A shell inside `program`, which has the last row if it is one; `leave` leaves it.
fn check_shell(name: &str, program: &str, leave: &[&str]) {
    with_twins(|twins| {
        let Twins { owner, viewers, .. } = twins;
        twins.types(&format!("clear; {program}\r"));
        let taken = u16::from(!program.is_empty());
        let rows = usize::from(SIZE.1 - taken);
        twins.find_ttys();
        twins.compare(name);
        twins.through_sizes(name, taken, "stty size; seq 1 2000; stty size > $DONE\r");
        if program.is_empty() {
            twins.beyond();
        }
        twins.types("clear; seq 1 20; stty size; echo said-$((40+2))\r");
        owner.terminal.wait_for("said-42");
        let shown = owner.terminal.screen();
        let mut expected: Vec<_> = (1..=20).map(|number: u16| number.to_string()).collect();
        expected.extend([format!("{rows} 100"), "said-42".to_owned(), PROMPT.to_owned()]);
        assert_eq!(shown[..expected.len()], expected[..], "{name}: garbled for the owner");
        assert!(shown[expected.len()..rows].iter().all(String::is_empty), "{shown:#?}");
        twins.compare(name);
        owner.all_see_the_same(viewers);
        twins.terminals().iter().for_each(|terminal| terminal.keys(leave));
    });
}

#[test]
fn the_owners_terminal_takes_any_size_while_others_look_on_and_shows_at_each_what_it_would_without()
{
    check_shell("a shell", "", &[]);
}

#[test]
fn the_owners_terminal_takes_any_size_around_a_tmux() {
    // Without what differs by itself: names, and the time.
    let still =
        ["status-left", "status-right"].map(|name| format!("\\; set -g {name} ''")).join(" ");
    let tmux = format!(
        "tmux -L scry-$$ -f /dev/null new -n w \"env PS1='{PROMPT} ' bash --norc --noprofile\" \
         \\; set -g automatic-rename off {still} \\; set -g destroy-unattached on"
    );
    check_shell("tmux", &tmux, &["C-b", "d"]);
}

#[test]
fn the_owners_terminal_takes_any_size_around_a_gnu_screen() {
    check_shell("screen", GNU_SCREEN, &["C-a", "\\", "y"]);
}

#[test]
fn the_owners_terminal_takes_any_size_around_a_vim() {
    with_twins(|twins| {
        let Twins { owner, viewers, .. } = twins;
        let tells = "call writefile([&lines.\" \".&columns],$DONE)";
        let moves = format!("nnoremap <silent> k :silent! execute \"normal! k\"<Bar>{tells}<CR>");
        twins.types(&format!("clear; vim -u NONE -N -n -c 'r !seq 1 100' -c '{moves}'\r"));
        let is_there = |terminal: &Terminal| terminal.screen().iter().any(|row| row == "100");
        wait_for("the last line", || twins.terminals().iter().all(|it| is_there(it)));
        twins.compare("vim");
        twins.through_sizes("vim", 0, "k");
        twins.types("gg:set nonumber\r");
        let expected: Vec<_> = (1..=29).map(|number: u16| number.to_string()).collect();
        wait_for("the file from its beginning, not garbled", || {
            owner.terminal.screen().get(..29) == Some(&expected[..])
        });
        twins.compare("vim");
        owner.all_see_the_same(viewers);
        twins.types(":q!\r");
    });
}

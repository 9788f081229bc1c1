//! Everybody in a session sees what its owner sees, cell by cell.

use house::person::Person;
use house::script::{GNU_SCREEN, HTOP, LESS, SCREEN, Step, TMUX, VIM, random_pause};
use house::seen::Differences;
use house::sharing::{GUEST, Owner, PROMPT, SIZE, Viewer, Way, guests, in_shell};
use house::{Cluster, long};
use std::time::Duration;

/// How long the viewers may take to show what the owner's terminal shows.
const PATIENCE: Duration = Duration::from_secs(5);

/// A program in the owner's shell: its name, the command, what it shows first, the steps, and how it is left.
struct Program {
    name: &'static str,
    command: &'static str,
    ready: &'static str,
    steps: &'static [Step],
    leave: &'static [Step],
    /// Cells and looks that may differ, over all moments and viewers. May only fall.
    known: Differences,
}

/// Nothing may differ.
const NONE: Differences = Differences { characters: 0, looks: 0 };

const PROGRAMS: &[Program] = &[
    Program {
        name: "vim",
        command: "vim -u NONE -N",
        ready: "VIM",
        steps: VIM,
        leave: &[Step::Keys(&["Escape"]), Step::Text(":qa!\r")],
        known: NONE,
    },
    Program {
        name: "less",
        command: "seq -f 'this is line number %g of many' 1 400 | less",
        ready: "line number 1 ",
        steps: LESS,
        leave: &[Step::Text("q")],
        known: NONE,
    },
    Program {
        name: "htop",
        command: "htop -d 30",
        ready: "Load average",
        steps: HTOP,
        leave: &[Step::Text("q")],
        known: NONE,
    },
    Program {
        name: "tmux",
        command: "tmux -L scry-$$ -f /dev/null new \\; set -g destroy-unattached on",
        ready: "[0] 0:",
        steps: TMUX,
        leave: &[Step::Keys(&["C-b", "d"])],
        known: NONE,
    },
    Program {
        name: "GNU screen",
        command: GNU_SCREEN,
        ready: "0* bash",
        steps: SCREEN,
        leave: &[Step::Keys(&["C-a", "\\"]), Step::Text("y")],
        known: NONE,
    },
    Program {
        name: "a flood",
        command: "clear; seq 1 200000; echo done-$((40+2))",
        ready: "done-42",
        steps: &[],
        leave: &[],
        known: NONE,
    },
];

/// Works through a program, and compares after each step.
fn work(owner: &Owner<'_>, viewers: &[Viewer], program: &Program) {
    let Program { name, command, ready, steps, leave, known } = program;
    owner.line("clear");
    owner.line(command);
    owner.terminal.wait_for(ready);
    let mut differ = owner.compare(viewers, PATIENCE);
    for (number, step) in steps.iter().enumerate() {
        step.play(&owner.terminal);
        random_pause();
        let more = owner.compare(viewers, PATIENCE);
        if !more.none() {
            println!("{name}, step {number}: {more:?}");
        }
        differ += more;
    }
    leave.iter().for_each(|step| step.play(&owner.terminal));
    owner.terminal.wait_for(PROMPT);
    differ += owner.compare(viewers, PATIENCE);
    println!("{name}: {} moments, {} viewers, {differ:?}", steps.len() + 2, viewers.len());
    assert!(differ.within(*known), "{name}: {differ:?}, known are {known:?}");
}

#[test]
fn two_who_come_by_scry_and_by_plain_ssh_see_what_the_owner_sees_cell_by_cell() {
    let cluster = Cluster::start();
    guests(&cluster);
    let bob = Person::invited(&cluster, "bob", &[GUEST]);
    let carol = Person::invited(&cluster, "carol", &[GUEST]);
    let owner = Owner::start(&cluster, SIZE);
    let viewers =
        [owner.join(&bob, Way::Scry, "peer", SIZE), owner.join(&carol, Way::Ssh, "observer", SIZE)];
    owner.all_see_the_same(&viewers);
    PROGRAMS.iter().for_each(|program| work(&owner, &viewers, program));
    owner.finish();
}

#[test]
fn twenty_who_look_on_at_once_all_see_what_the_owner_sees() {
    let count = if long() { 20 } else { 6 };
    let cluster = Cluster::start();
    guests(&cluster);
    let names = ["bob", "carol", "dave"];
    let people = names.map(|name| Person::invited(&cluster, name, &[GUEST]));
    let owner = Owner::start(&cluster, SIZE);
    let ways = [Way::Scry, Way::Ssh].into_iter().cycle();
    let seats = ["observer", "peer", "moderator"].into_iter().cycle();
    let comers = people.iter().cycle().zip(ways).zip(seats).take(count);
    let join = |((person, way), seat)| owner.join(person, way, seat, SIZE);
    let viewers: Vec<_> = comers.map(join).collect();
    owner.all_see_the_same(&viewers);
    PROGRAMS.iter().for_each(|program| work(&owner, &viewers, program));
    owner.finish();
}

#[test]
fn who_leaves_or_has_to_go_in_the_midst_of_a_program_gets_their_terminal_back() {
    let cluster = Cluster::start();
    guests(&cluster);
    let bob = Person::invited(&cluster, "bob", &[GUEST]);
    let owner = Owner::start(&cluster, SIZE);
    let plain = owner.terminal.seen().keys;
    owner.line("htop -d 30");
    owner.terminal.wait_for("Load average");
    let viewers = [Way::Scry, Way::Ssh, Way::Scry, Way::Ssh]
        .map(|way| owner.come(&in_shell(&owner.way(&bob, way, "peer")), "peer", SIZE));
    owner.all_see_the_same(&viewers);
    assert_ne!(owner.terminal.seen().keys, plain, "htop asks for the mouse");
    let check = |viewers: &[Viewer], why: &str| {
        for Viewer { terminal, .. } in viewers {
            terminal.wait_for(why);
            assert!(!terminal.shows("Load average"), "{}", terminal.all());
            let seen = terminal.seen();
            assert_eq!((&seen.keys, seen.cursor.is_some()), (&plain, true), "{why}");
        }
    };
    let (leave, stay) = viewers.split_at(2);
    leave.iter().for_each(|viewer| viewer.terminal.keys(&["C-]", "q"]));
    check(leave, "you have left the session");
    owner.terminal.type_text("q");
    owner.terminal.wait_for(PROMPT);
    owner.line("exec htop -d 30");
    owner.terminal.wait_for("Load average");
    owner.all_see_the_same(stay);
    owner.terminal.type_text("q");
    check(stay, "the session is over");
}

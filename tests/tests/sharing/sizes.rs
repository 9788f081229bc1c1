//! Terminals of other sizes: those who look on see a part or a frame, and nobody's size but the owner's matters.

use house::person::Person;
use house::script::GNU_SCREEN;
use house::seen::{Seen, differences};
use house::sharing::{GUEST, NOTE, Owner, PROMPT, SIZE, Viewer, Way, guests};
use house::{Cluster, wait_for};
use std::process::Stdio;
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
        std::thread::sleep(Duration::from_millis(30));
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
        std::thread::sleep(Duration::from_millis(300));
        all_fit(&owner, &viewers);
    }
    // Each takes the size of the next.
    for turn in 1..=sizes.len() {
        for (at, viewer) in viewers.iter().enumerate() {
            viewer.terminal.resize(sizes[(at + turn) % sizes.len()]);
        }
        owner.terminal.type_text("x");
        std::thread::sleep(Duration::from_millis(300));
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
    let told = |fits: bool, then: &dyn Fn()| {
        let mut ssh = bob.ssh_command();
        if fits {
            ssh.args(["-o", "SetEnv=SCRY_FITS=1"]);
        }
        ssh.args(["-tt", "-e", "none", &owner.seat(), "observer"]);
        ssh.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let before = owner.last();
        let mut child = ssh.spawn().unwrap();
        let _input = child.stdin.take();
        wait_for("the viewer", || owner.last() > before);
        then();
        std::thread::sleep(Duration::from_millis(500));
        child.kill().unwrap();
        let out = child.wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        let sizes = text.split("\x1b[8;").skip(1).filter_map(|rest| rest.split_once('t'));
        sizes.map(|(size, _)| size.to_owned()).collect::<Vec<_>>()
    };
    let smaller = || {
        std::thread::sleep(Duration::from_millis(300));
        owner.terminal.resize((90, 20));
    };
    assert_eq!(told(true, &smaller), ["30;100", "20;90"]);
    owner.terminal.resize(SIZE);
    assert!(told(false, &smaller).is_empty(), "who has not said it keeps their own size");
    owner.finish();
}

/// What the owner's terminal is made, one after the other.
const SIZES: [(u16, u16); 8] =
    [(2, 1), (1024, 512), (2, 512), (1024, 1), (3, 2), (500, 200), (80, 24), (101, 29)];

/// A session with two who look on, one by scry and one by ssh; verified when it is over.
fn with_two(work: impl Fn(&Owner<'_>, &[Viewer])) {
    let cluster = Cluster::start();
    guests(&cluster);
    let bob = Person::invited(&cluster, "bob", &[GUEST]);
    let owner = Owner::start(&cluster, SIZE);
    let viewers =
        [owner.join(&bob, Way::Scry, "peer", SIZE), owner.join(&bob, Way::Ssh, "observer", SIZE)];
    owner.all_see_the_same(&viewers);
    work(&owner, &viewers);
    owner.terminal.wait_for(PROMPT);
    let row = owner.finish();
    house::assert_success(&cluster.verify(row["id"].as_str().unwrap()));
}

/// Makes the owner's terminal each size, and does something at each; then it is as it was.
fn through_sizes(owner: &Owner<'_>, then: impl Fn()) {
    for size in SIZES {
        owner.terminal.resize(size);
        then();
        std::thread::sleep(Duration::from_millis(300));
    }
    owner.terminal.resize(SIZE);
    std::thread::sleep(Duration::from_millis(300));
}

/// A shell inside `program`, which has the last row if it is one; `leave` leaves it.
fn check_shell(program: &str, leave: &[&str]) {
    with_two(|owner, viewers| {
        owner.line(&format!("clear; {program}"));
        std::thread::sleep(Duration::from_millis(1_000));
        through_sizes(owner, || owner.line("stty size; seq 1 2000"));
        owner.line("clear; seq 1 20; stty size; echo said-$((40+2))");
        owner.terminal.wait_for("said-42");
        let rows = if program.is_empty() { 30 } else { 29 };
        let shown = owner.terminal.screen();
        let mut expected: Vec<_> = (1..=20).map(|number: u16| number.to_string()).collect();
        expected.extend([format!("{rows} 100"), "said-42".to_owned(), PROMPT.to_owned()]);
        assert_eq!(shown[..expected.len()], expected[..], "{program}: garbled for the owner");
        assert!(shown[expected.len()..rows].iter().all(String::is_empty), "{shown:#?}");
        owner.all_see_the_same(viewers);
        owner.terminal.keys(leave);
    });
}

#[test]
fn the_owners_terminal_takes_any_size_while_others_look_on_and_all_is_well_at_the_first() {
    check_shell("", &[]);
}

#[test]
fn the_owners_terminal_takes_any_size_around_a_tmux() {
    let tmux = format!(
        "tmux -L scry-$$ -f /dev/null new \"env PS1='{PROMPT} ' bash --norc --noprofile\" \\; set -g destroy-unattached on"
    );
    check_shell(&tmux, &["C-b", "d"]);
}

#[test]
fn the_owners_terminal_takes_any_size_around_a_gnu_screen() {
    check_shell(GNU_SCREEN, &["C-a", "\\", "y"]);
}

#[test]
fn the_owners_terminal_takes_any_size_around_a_vim() {
    with_two(|owner, viewers| {
        owner.line("clear; vim -u NONE -N -c 'r !seq 1 100'");
        std::thread::sleep(Duration::from_millis(500));
        through_sizes(owner, || owner.terminal.type_text("j"));
        owner.terminal.type_text("gg:set nonumber\r");
        let expected: Vec<_> = (1..=29).map(|number: u16| number.to_string()).collect();
        wait_for("the file from its beginning, not garbled", || {
            owner.terminal.screen().get(..29) == Some(&expected[..])
        });
        owner.all_see_the_same(viewers);
        owner.line(":q!");
    });
}

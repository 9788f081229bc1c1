//! Back to an earlier moment of a session that goes on, from within it, and to what it shows now.

use super::sizes::all_fit;
use house::person::Person;
use house::seen::Seen;
use house::sharing::{GUEST, Owner, PROMPT, SIZE, Viewer, Way, guests, sessions};
use house::terminal::Terminal;
use house::{Cluster, NODE, wait_for};
use std::time::{Duration, Instant};

/// A role that may play everybody's recordings.
const READER: &str = "reader";
/// What the player says of how to leave it.
const BACK: &str = "q: back to now";
/// What it says at the beginning.
const BEGINNING: &str = "‖ 0:00 / ";
/// What is said where there is nothing to see.
const NONE: &str = "cannot rewind: there is no recording of this session that you may see";
/// Long enough for what was typed to arrive, were it let through.
const WHILE: Duration = Duration::from_millis(700);
/// Long enough for what was recorded to be at auth.
const RECEIVED: Duration = Duration::from_millis(1_500);
/// Longest until the player has gone back step by step.
const PATIENCE: Duration = Duration::from_secs(60);
/// Longest until a step is drawn that changes anything.
const DRAWN: Duration = Duration::from_millis(700);
/// Longest from the key until the terminal shows what goes on.
const SOON: Duration = Duration::from_secs(2);

fn readers(cluster: &Cluster) {
    cluster.set_role(&format!("name = '{READER}'\nallow.recordings = {{ play = 'all' }}\n"));
}

/// Opens the player, and goes back until it shows the text.
#[track_caller]
fn go_back_to(terminal: &Terminal, text: &str) {
    let goes_back = || {
        std::thread::sleep(RECEIVED);
        terminal.keys(&["C-]", "r"]);
        terminal.wait_for(BACK);
    };
    goes_back();
    let deadline = Instant::now() + PATIENCE;
    while !terminal.shows(text) {
        assert!(Instant::now() < deadline, "no {text:?} in {:#?}", terminal.screen());
        // A key at a time: what it leads to must be seen before the next leads on. Some steps only move the cursor.
        let before = terminal.seen();
        terminal.type_text(",");
        let drawn = Instant::now() + DRAWN;
        while terminal.seen() == before && Instant::now() < drawn {
            std::thread::sleep(Duration::from_millis(20));
        }
        if terminal.seen() == before && terminal.shows(BEGINNING) {
            // Auth has not received it yet.
            terminal.keys(&["f"]);
            goes_back();
        }
    }
    assert!(terminal.shows(BACK), "{:#?}", terminal.screen());
}

/// Whether two terminals of one size show the same, cell by cell, and take the same keys.
fn alike(one: &Seen, other: &Seen) -> bool {
    one.differences(other).none() && one.cursor == other.cursor && one.keys == other.keys
}

/// Prints a word on an empty screen, and gives the rows of it.
fn prints(owner: &Owner<'_>, word: &str) -> Vec<String> {
    let line = "printf '\\u2500%.0s' {1..60}; printf '\\n\\e[1;31mred\\e[m\\n'";
    owner.line(&format!("clear; seq 1 12; echo {word}-$((40+2)); {line}"));
    owner.terminal.wait_for(&format!("{word}-42"));
    owner.terminal.wait_for(PROMPT);
    std::thread::sleep(WHILE);
    owner.terminal.screen()
}

#[test]
fn who_goes_back_sees_what_was_and_one_key_leads_to_what_the_session_shows_now() {
    let cluster = Cluster::start();
    guests(&cluster);
    readers(&cluster);
    let bob = Person::invited(&cluster, "bob", &[GUEST, READER]);
    let owner = Owner::start(&cluster, SIZE);
    for seat in ["peer", "observer", "moderator"] {
        let viewer = owner.join(&bob, Way::Scry, seat, SIZE);
        let before = prints(&owner, &format!("{seat}-before"));
        prints(&owner, &format!("{seat}-then"));
        owner.all_see_the_same(std::slice::from_ref(&viewer));

        go_back_to(&viewer.terminal, &format!("{seat}-before-42"));
        let shown = viewer.terminal.screen();
        let text = usize::from(SIZE.1) - 1;
        let printed = before.iter().position(|row| row == "red").expect("it was printed");
        assert!(shown[..text].starts_with(&before[..=printed]), "{shown:#?}\n{before:#?}");
        println!("--- {seat}, in the player ---\n{}", shown.join("\n"));

        // It goes on behind the player, which takes what is typed.
        let now = prints(&owner, &format!("{seat}-now"));
        viewer.terminal.type_text("xyz\r~");
        std::thread::sleep(WHILE);
        assert!(!viewer.terminal.shows("-now-42") && viewer.terminal.shows(BACK));
        assert_eq!(owner.terminal.screen(), now, "something was typed");

        let began = Instant::now();
        viewer.terminal.keys(&["q"]);
        viewer.terminal.wait_for(&format!("{seat}-now-42"));
        let took = began.elapsed();
        println!("{seat}: {took:?} from the key to what goes on");
        assert!(took < SOON, "{took:?}");
        owner.all_see_the_same(std::slice::from_ref(&viewer));

        // Nothing of it is left: the keys are what they were.
        if seat == "peer" {
            viewer.terminal.type_text("echo typed-$((40+2))\r");
            owner.terminal.wait_for("typed-42");
            owner.all_see_the_same(std::slice::from_ref(&viewer));
        }
        let leave: &[&str] = if seat == "peer" { &["C-]", "q"] } else { &["q"] };
        viewer.terminal.keys(leave);
        assert!(viewer.last_words().contains("you have left the session"));
        wait_for("only the owner to be there", || owner.people().len() == 1);
    }
    let viewed = cluster.audit("recording.view");
    let looks = viewed.iter().filter(|event| event["user"] == "bob" && event["how"] == "follow");
    assert_eq!(looks.count(), 3, "{viewed:#?}");
    owner.finish();
}

#[test]
fn a_terminal_that_changes_its_size_in_the_player_shows_what_goes_on_at_that_size() {
    let cluster = Cluster::start();
    guests(&cluster);
    readers(&cluster);
    let bob = Person::invited(&cluster, "bob", &[GUEST, READER]);
    let owner = Owner::start(&cluster, SIZE);
    let viewer = owner.join(&bob, Way::Scry, "peer", SIZE);
    prints(&owner, "before");
    owner.line("vim -u NONE -N -c 'set mouse=a' -c 'r !seq 100 400'");
    owner.terminal.wait_for("400");
    owner.all_see_the_same(std::slice::from_ref(&viewer));
    for size in [(70, 20), (120, 40)] {
        go_back_to(&viewer.terminal, "before-42");
        viewer.terminal.resize(size);
        std::thread::sleep(WHILE);
        assert!(viewer.terminal.shows(BACK) && viewer.terminal.shows("before-42"));
        owner.terminal.type_text("kk");
        std::thread::sleep(WHILE);
        viewer.terminal.keys(&["C-]"]);
        all_fit(&owner, std::slice::from_ref(&viewer));
        viewer.terminal.resize(SIZE);
        owner.all_see_the_same(std::slice::from_ref(&viewer));
    }
    owner.line(":q!");
    owner.terminal.wait_for(PROMPT);
    // The session is over while they are in the past.
    go_back_to(&viewer.terminal, "before-42");
    owner.finish();
    assert!(viewer.last_words().contains("the session is over"), "{}", viewer.last_words());
}

#[test]
fn who_may_not_see_the_recording_is_told_so_and_stays_where_they_are() {
    let cluster = Cluster::start();
    guests(&cluster);
    let carol = Person::invited(&cluster, "carol", &[GUEST]);
    let refused = |owner: &Owner<'_>, viewer: Viewer| {
        viewer.terminal.keys(&["C-]", "r"]);
        viewer
            .terminal
            .wait_for("cannot rewind: there is no recording of this session that you may");
        owner.line("clear; echo on-$((40+2))");
        viewer.terminal.wait_for("on-42");
        owner.all_see_the_same(&[viewer]);
    };
    let owner = Owner::start(&cluster, SIZE);
    refused(&owner, owner.join(&carol, Way::Scry, "observer", SIZE));
    refused(&owner, owner.join(&carol, Way::Scry, "peer", SIZE));
    owner.finish();
}

/// The cluster's admin in a session of their own, by our own client.
fn own_session(cluster: &Cluster) -> Terminal {
    let mut ssh = cluster.scry_command();
    ssh.args(["ssh", "-t", &format!("{}@{NODE}", cluster.login)]).env("TERM", "xterm-256color");
    ssh.arg(format!("exec env PS1='{PROMPT} ' bash --noprofile --norc"));
    let terminal = Terminal::run(cluster.folder.path(), SIZE, &ssh);
    terminal.wait_for(PROMPT);
    // The line to the node, without which the keys are the program's.
    wait_for("the session on the list", || !sessions(cluster).is_empty());
    std::thread::sleep(WHILE);
    terminal
}

#[test]
fn the_owner_goes_back_as_well_where_there_is_a_recording() {
    let cluster = Cluster::start();
    let terminal = own_session(&cluster);
    let says = |word: &str| {
        terminal.type_text(&format!("clear; echo {word}-$((40+2))\r"));
        terminal.wait_for(&format!("{word}-42"));
        std::thread::sleep(WHILE);
    };
    says("before");
    says("then");
    let now = terminal.seen();
    go_back_to(&terminal, "before-42");
    terminal.type_text("xyz\r");
    std::thread::sleep(WHILE);
    terminal.keys(&["f"]);
    wait_for("what was there", || alike(&terminal.seen(), &now));
    terminal.type_text("exit\r");
    terminal.wait_for_end();
    // Of what is not recorded there is nothing to see.
    cluster.set_options("record = \"off\"");
    let terminal = own_session(&cluster);
    terminal.keys(&["C-]", "r"]);
    terminal.wait_for(NONE);
    terminal.type_text("exit\r");
    terminal.wait_for_end();
}

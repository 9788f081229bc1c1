//! Owners whose connection was lost come back to their sessions (ruling 11).

use house::apart::Apart;
use house::eyes::{Client, listed, processes};
use house::person::{Person, words};
use house::process::send;
use house::relay::{Line, Relay};
use house::script;
use house::sharing::{GUEST, Owner, PROMPT, SIZE, Way, guests, sessions, told};
use house::terminal::Terminal;
use house::{Cluster, assert_success, long, wait_for};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

/// The people's entries of a recording, as words.
fn people(cluster: &Cluster, id: &str) -> Vec<String> {
    let lines = fs::read_to_string(cluster.export(id, "jsonl")).unwrap();
    let rows = lines.lines().skip(1).map(|line| serde_json::from_str::<Value>(line).unwrap());
    let what = rows.filter_map(|row| row["entry"].get("people").cloned());
    what.map(|people| people.to_string()).collect()
}

/// All that the program wrote, as it is recorded.
fn written(cluster: &Cluster, id: &str) -> String {
    let lines = fs::read_to_string(cluster.export(id, "jsonl")).unwrap();
    let rows = lines.lines().skip(1).map(|line| serde_json::from_str::<Value>(line).unwrap());
    rows.filter_map(|row| Some(row["entry"]["output"]["text"].as_str()?.to_owned())).collect()
}

/// What a client is told that comes to a session as this, and is not let in.
fn refused(ssh: &mut Command, args: &[&str]) -> String {
    let out: Output = ssh.args(args).output().unwrap();
    assert_eq!(out.status.code(), Some(127), "{}", words(&out));
    assert!(out.stdout.is_empty(), "nothing is shown: {}", words(&out));
    words(&out)
}

#[test]
fn who_is_lost_comes_back_to_the_exact_screen_and_all_who_look_on_are_told() {
    let cluster = Cluster::start();
    guests(&cluster);
    let bob = Person::invited(&cluster, "bob", &[GUEST]);
    let mut owner = Owner::returning(&cluster, SIZE);
    owner.line("echo here-$((40+2)) $SCRY_RETURNS.");
    owner.terminal.wait_for("here-42 .");
    let peer = owner.join(&bob, Way::Scry, "peer", SIZE);
    owner.line("vim -u NONE -N");
    std::thread::sleep(Duration::from_millis(500));
    script::VIM.iter().for_each(|step| step.play(&owner.terminal));
    let viewers = [peer];
    owner.all_see_the_same(&viewers);

    owner.is_lost();
    viewers[0].terminal.wait_for("the owner's connection is lost");
    told(&cluster, "session.owner_lost", |row| row["session"] == owner.id.as_str());
    assert!(sessions(&cluster)[0]["people"][0]["types"] == false, "nobody types");
    viewers[0].terminal.type_text("dddddd");
    std::thread::sleep(Duration::from_millis(300));

    owner = owner.come_back(SIZE);
    told(&cluster, "session.owner_back", |row| row["session"] == owner.id.as_str());
    owner.all_see_the_same(&viewers);
    viewers[0].terminal.type_text("p");
    owner.all_see_the_same(&viewers);
    owner.terminal.keys(&["Escape"]);
    owner.line(":qa!");
    owner.terminal.wait_for("here-42 .");
    owner.line("echo \"back $((40+3))\"");
    owner.terminal.wait_for("back 43");
    let row = owner.finish();
    let id = row["id"].as_str().unwrap();
    let said = people(&cluster, id);
    let at = |word: &str| said.iter().position(|one| one.contains(word));
    assert!(at("owner_lost").unwrap() < at("owner_back").unwrap(), "{said:#?}");
    assert_success(&cluster.verify(id));
    assert!(cluster.audit("seat.input_refused").is_empty(), "the peer did no wrong");
}

#[test]
fn what_is_written_meanwhile_is_recorded_and_the_new_terminal_s_size_counts() {
    let cluster = Cluster::start();
    let mut owner = Owner::returning(&cluster, SIZE);
    let goes_on = cluster.path("goes-on").display().to_string();
    let waits = format!("until test -e {goes_on}; do sleep 0.1; done");
    owner.line(&format!("{waits}; seq 1 300000; echo all-$((40+2)); touch {goes_on}-done"));
    owner.terminal.wait_for("goes-on-done");
    owner.is_lost();
    fs::write(&goes_on, "").unwrap();
    // Nobody reads it, and it does not wait.
    let done = cluster.path("goes-on-done");
    wait_for("the end of it", || done.exists());
    owner = owner.come_back((70, 20));
    owner.terminal.wait_for("all-42");
    owner.terminal.wait_for("299999");
    owner.line("stty size");
    owner.terminal.wait_for("20 70");
    // Again, and to another place.
    owner.is_lost();
    owner = owner.come_back((90, 25));
    owner.terminal.wait_for("20 70");
    owner.line("stty size");
    owner.terminal.wait_for("25 90");
    let row = owner.finish();
    let text = written(&cluster, row["id"].as_str().unwrap());
    let (_, numbers) = text.split_once("1\r\n2\r\n").expect("the first lines");
    let (numbers, _) = numbers.split_once("all-42").expect("what follows the last");
    let all: String = (3..=300_000).map(|number| format!("{number}\r\n")).collect();
    assert_eq!(numbers.len(), all.len());
    assert!(numbers == all, "every line, once");
}

#[test]
fn plain_ssh_ends_like_sshd_and_so_does_who_leaves() {
    let cluster = Cluster::start();
    let owner = Owner::start(&cluster, SIZE);
    owner.is_lost();
    wait_for("its end", || sessions(&cluster).is_empty());
    told(&cluster, "session.end", |row| row["why"] == "disconnected");
    assert!(cluster.audit("session.owner_lost").is_empty());
}

#[test]
fn who_comes_from_another_place_takes_over_at_once() {
    let cluster = Cluster::start();
    let owner = Owner::returning(&cluster, SIZE);
    let old = Terminal::start(cluster.folder.path(), 10, 5, "sleep 1000");
    owner.line("echo first-$((40+2))");
    owner.terminal.wait_for("first-42");
    let mut owner = owner;
    let first = std::mem::replace(&mut owner.terminal, old);
    let began = Instant::now();
    owner = owner.come_back(SIZE);
    owner.terminal.wait_for("first-42");
    assert!(began.elapsed() < Duration::from_secs(5), "at once: {:?}", began.elapsed());
    assert!(first.wait_for_end().contains("goes on from another place"));
    owner.line("echo second-$((40+2))");
    owner.terminal.wait_for("second-42");
    owner.finish();
}

#[test]
fn nobody_else_comes_back_and_nobody_to_what_does_not_wait_for_them() {
    let cluster = Cluster::start();
    guests(&cluster);
    let bob = Person::invited(&cluster, "bob", &[GUEST]);
    let owner = Owner::returning(&cluster, SIZE);
    let seat = owner.seat();
    let said = refused(&mut bob.ssh_command(), &["-tt", &seat, "owner"]);
    assert!(said.contains("no such session runs"), "{said}");
    told(&cluster, "access.denied", |row| {
        row["action"].as_str().is_some_and(|action| action.contains("come back to session"))
    });
    let said = refused(&mut cluster.ssh_command(), &["-T", &seat, "owner"]);
    assert!(said.contains("a terminal is needed"), "{said}");
    let nobody = seat.replace(&owner.id, "acacacac-acac-4cac-acac-acacacacacac");
    let said = refused(&mut cluster.ssh_command(), &["-tt", &nobody, "owner"]);
    assert!(said.contains("no such session runs"), "{said}");
    owner.finish();
    let plain = Owner::start(&cluster, SIZE);
    let said = refused(&mut cluster.ssh_command(), &["-tt", &plain.seat(), "owner"]);
    assert!(said.contains("nobody comes back to this session"), "{said}");
    plain.line("echo still-$((40+2))");
    plain.terminal.wait_for("still-42");
}

#[test]
fn a_lock_ends_what_waits_for_its_owner() {
    let cluster = Cluster::start();
    let owner = Owner::returning(&cluster, SIZE);
    owner.line("sleep 1000 & echo begun-$((40+2))");
    owner.terminal.wait_for("begun-42");
    owner.is_lost();
    told(&cluster, "session.owner_lost", |_| true);
    assert!(!processes(&owner.id).is_empty());
    assert_success(&cluster.scry(&["lock", "--session", &owner.id]));
    wait_for("its end", || sessions(&cluster).is_empty());
    assert!(processes(&owner.id).is_empty(), "its processes went with it");
    let said = refused(&mut cluster.ssh_command(), &["-tt", &owner.seat(), "owner"]);
    assert!(said.contains("no such session runs"), "{said}");
}

#[test]
fn who_does_not_come_back_in_time_finds_it_ended_as_at_a_logout() {
    if !long() {
        println!(
            "skipped: who_does_not_come_back_in_time: it takes a minute, and runs with --long"
        );
        return;
    }
    let cluster = Cluster::start();
    let owner = Owner::returning(&cluster, SIZE);
    owner.line("setsid sleep 1000 & echo begun-$((40+2))");
    owner.terminal.wait_for("begun-42");
    owner.is_lost();
    let began = Instant::now();
    let patience = Duration::from_secs(70);
    while !sessions(&cluster).is_empty() {
        assert!(began.elapsed() < patience, "it goes on");
        std::thread::sleep(Duration::from_millis(200));
    }
    assert!(began.elapsed() > Duration::from_secs(58), "{:?}", began.elapsed());
    told(&cluster, "session.end", |row| {
        row["why"].as_str().is_some_and(|why| why.contains("did not come back within 60 s"))
    });
    let left = processes(&owner.id);
    assert_eq!(left.len(), 1, "what was left running is left");
    send("-TERM", left[0]);
    let rows = cluster.stored_recordings();
    assert_success(&cluster.verify(rows[0]["id"].as_str().unwrap()));
}

#[test]
fn a_node_that_stops_does_not_wait() {
    let mut cluster = Cluster::start();
    let owner = Owner::returning(&cluster, SIZE);
    owner.is_lost();
    told(&cluster, "session.owner_lost", |_| true);
    drop(owner);
    let began = Instant::now();
    cluster.stop();
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    cluster.restart();
    let rows = cluster.stored_recordings();
    assert_success(&cluster.verify(rows[0]["id"].as_str().unwrap()));
}

#[test]
fn four_eyes_go_on_without_the_owner() {
    let Some(cluster) = house::eyes::that_can_freeze("") else { return };
    let (alice, eve) = (
        Person::invited(&cluster, "alice", &["worker"]),
        Person::invited(&cluster, "eve", &["eyes"]),
    );
    let mut first = Client::open(&cluster, &alice, &["-tt", "-o", "SetEnv=SCRY_RETURNS=1"], "");
    let session = first.waits();
    let mut moderator = Client::seated(&cluster, &eve, &session, "moderator");
    first.types(&format!("export PS1='{PROMPT} '\r"));
    first.wait_printed(PROMPT);
    first.types("echo ran-$((40+2))\r");
    first.wait_printed("ran-42");
    first.kill();
    told(&cluster, "session.owner_lost", |_| true);
    // Without the second pair of eyes it stands still, whoever comes back.
    moderator.kill();
    house::eyes::stands_as(&cluster, &session, "frozen");
    let seat = format!("+{session}@{}", cluster.host());
    let mut ssh = alice.ssh_command();
    ssh.args(["-tt", "-o", "SetEnv=SCRY_RETURNS=1", &seat, "owner"]);
    let mut second = Client::start(ssh);
    told(&cluster, "session.owner_back", |_| true);
    second.types("echo ran-$((40+3))\r");
    std::thread::sleep(Duration::from_millis(700));
    assert!(!second.printed().contains("ran-43"), "{}", second.printed());
    let mut moderator = Client::seated(&cluster, &eve, &session, "moderator");
    house::eyes::stands_as(&cluster, &session, "running");
    second.wait_printed("ran-42");
    second.types("echo ran-$((40+4))\r");
    second.wait_printed("ran-44");
    // Lost again, and the moderator ends it.
    second.kill();
    wait_for("the loss", || cluster.audit("session.owner_lost").len() == 2);
    moderator.types("xy");
    wait_for("its end", || listed(&cluster, &session).is_null());
    assert!(processes(&session).is_empty());
}

/// `scry ssh` of the admin, in a terminal of its own.
fn scry_ssh(cluster: &Cluster, home: &Path) -> Terminal {
    let mut scry = cluster.scry_command();
    scry.args(["ssh", "-t", &format!("{}@{}", cluster.login, house::NODE)]);
    scry.arg(format!("exec env PS1='{PROMPT} ' bash --noprofile --norc"));
    scry.env("SCRY_HOME", home).env("TERM", "xterm-256color").env("LC_ALL", "C.UTF-8");
    let terminal = Terminal::run(cluster.folder.path(), SIZE, &scry);
    terminal.wait_for(PROMPT);
    terminal
}

/// The one session that goes on.
fn only(cluster: &Cluster) -> String {
    let mut id = None;
    wait_for("the session on the list", || {
        id = sessions(cluster).first().and_then(|one| one["id"].as_str().map(str::to_owned));
        id.is_some()
    });
    id.unwrap()
}

/// Waits until both terminals show the same, but for what scry says on the last row.
fn same(one: &Terminal, other: &Terminal) {
    let differ = || one.seen().differences(&other.seen());
    let deadline = Instant::now() + Duration::from_secs(10);
    while !differ().none() {
        assert!(
            Instant::now() < deadline,
            "{:?}\n{:?}\n{:?}",
            differ(),
            one.screen(),
            other.screen()
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn scry_ssh_comes_back_by_itself_when_its_line_was_cut() {
    let cluster = Cluster::start();
    guests(&cluster);
    let bob = Person::invited(&cluster, "bob", &[GUEST]);
    let relay = Relay::start(&cluster.address);
    let terminal = scry_ssh(&cluster, &relay.folder(&cluster, "client"));
    let id = only(&cluster);
    let mut join = bob.command();
    join.args(["join", &id]).env("TERM", "xterm-256color");
    let viewer = Terminal::run(cluster.folder.path(), SIZE, &join);
    terminal.type_text("vim -u NONE -N\r");
    std::thread::sleep(Duration::from_millis(500));
    script::VIM.iter().for_each(|step| step.play(&terminal));
    for round in 1..=3 {
        relay.set(Line::Broken);
        terminal.wait_for("the connection is lost");
        // What is typed now is lost, and said to be.
        terminal.type_text("dddd");
        viewer.wait_for("the owner's connection is lost");
        std::thread::sleep(Duration::from_millis(500 * round));
        relay.set(Line::Whole);
        told(&cluster, "session.owner_back", |row| row["session"] == id.as_str());
        wait_for("the line", || !terminal.shows("connection is lost"));
        same(&terminal, &viewer);
        terminal.type_text("p");
        same(&terminal, &viewer);
    }
    assert_eq!(cluster.audit("session.owner_lost").len(), 3);
    assert_eq!(cluster.audit("session.owner_back").len(), 3);
    terminal.keys(&["Escape"]);
    terminal.type_text(":qa!\r");
    terminal.wait_for(PROMPT);
    // The overlay has its line to the node again, too.
    ask_who_is_here(&terminal);
    terminal.keys(&["q"]);
    terminal.type_text("exit 7\r");
    terminal.wait_for_end();
    wait_for("its end", || sessions(&cluster).is_empty());
    let rows = cluster.stored_recordings();
    assert_success(&cluster.verify(rows[0]["id"].as_str().unwrap()));
    told(&cluster, "session.end", |row| row["status"] == 7);
}

/// Until the client has heard who is there the keys are the shell's, which makes nothing of them.
fn ask_who_is_here(terminal: &Terminal) {
    let shown = || {
        terminal.type_text("\x1dw");
        let until = Instant::now() + Duration::from_secs(10);
        while Instant::now() < until && !terminal.shows("who is here") {
            std::thread::sleep(Duration::from_millis(50));
        }
        terminal.shows("who is here")
    };
    wait_for("who is here", shown);
}

#[test]
fn scry_ssh_survives_the_death_of_the_proxy() {
    let mut apart = Apart::in_three(str::to_owned);
    let terminal = scry_ssh(&apart.cluster, &apart.cluster.path("client"));
    let id = only(&apart.cluster);
    terminal.type_text("seq 1 50; echo here-$((40+2))\r");
    terminal.wait_for("here-42");
    // Who does not know yet which session it is cannot come back to it.
    ask_who_is_here(&terminal);
    terminal.keys(&["q"]);
    wait_for("the menu is gone", || !terminal.shows("who is here"));
    let before = terminal.screen();
    apart.kill_proxy();
    terminal.wait_for("the connection is lost");
    terminal.resize((120, 33));
    std::thread::sleep(Duration::from_secs(2));
    apart.start_proxy(&[]);
    told(&apart.cluster, "session.owner_back", |row| row["session"] == id.as_str());
    wait_for("the line", || !terminal.shows("connection is lost"));
    terminal.wait_for("here-42");
    assert!(before.iter().rev().take(10).all(|row| row.is_empty() || terminal.shows(row)));
    terminal.type_text("stty size\r");
    terminal.wait_for("33 120");
    terminal.type_text("exit\r");
    terminal.wait_for_end();
}

#[test]
fn scry_ssh_says_clearly_that_the_session_is_over_or_is_given_up() {
    let cluster = Cluster::start();
    let relay = Relay::start(&cluster.address);
    let home = relay.folder(&cluster, "client");
    let cut = || {
        relay.set(Line::Whole);
        let terminal = scry_ssh(&cluster, &home);
        let id = only(&cluster);
        relay.set(Line::Broken);
        terminal.wait_for("the connection is lost");
        (terminal, id)
    };
    let (terminal, id) = cut();
    assert_success(&cluster.scry(&["lock", "--session", &id]));
    relay.set(Line::Whole);
    let said = terminal.wait_for_end();
    assert!(said.contains("the session does not go on: no such session runs"), "{said}");
    wait_for("its end", || sessions(&cluster).is_empty());
    let (terminal, _) = cut();
    terminal.type_text("\x1d.");
    let said = terminal.wait_for_end();
    assert!(said.contains("you gave the session up"), "{said}");
}

#[test]
fn who_leaves_scry_ssh_or_closes_the_window_ends_the_session_at_once() {
    let cluster = Cluster::start();
    for leave in ["~.", "\x1d.", ""] {
        let terminal = scry_ssh(&cluster, &cluster.path("client"));
        only(&cluster);
        terminal.type_text("\r");
        terminal.type_text(leave);
        if leave.is_empty() {
            send("-HUP", terminal.pid());
        }
        terminal.wait_for_end();
        wait_for("its end", || sessions(&cluster).is_empty());
    }
    assert!(cluster.audit("session.owner_lost").is_empty());
}

//! The owner has somebody else's size count: the program and that person see all of it, the owner what fits on theirs; and has
//! their own again.

use crate::company::{company, done, in_order, people, refused};
use house::moved::{entries, kept};
use house::person::Person;
use house::process::send;
use house::seen::Seen;
use house::sharing::{GUEST, NOTE, Owner, PROMPT, Viewer, Way, alone, guests, sessions, told};
use house::terminal::Terminal;
use house::{Cluster, assert_success, script, text, wait_for};
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// The owner's terminal, and that of whose size counts.
const SMALL: (u16, u16) = (80, 24);
const LARGE: (u16, u16) = (100, 30);
/// Lines of a flood, and bytes that are typed into it.
const LINES: usize = 150_000;
const TYPED: usize = 2_000;

/// Whether both show the same, with the cursor and with what was asked of the keyboard and the mouse.
fn alike(one: &Seen, other: &Seen) -> bool {
    let place = |seen: &Seen| seen.cursor.map(|(col, row)| (col.min(seen.size.0 - 1), row));
    one.size == other.size
        && one.keys == other.keys
        && place(one) == place(other)
        && one.differences(other).none()
}

/// Expects that as soon as no note stands in the way.
#[track_caller]
fn same(what: &str, one: &Terminal, other: &Terminal) {
    let deadline = Instant::now() + NOTE;
    loop {
        let (a, b) = (one.seen(), other.seen());
        let still = a == one.seen();
        if still && alike(&a, &b) {
            return;
        }
        if still && Instant::now() > deadline {
            let show = |seen: &Seen| {
                let (size, cursor, keys) = (seen.size, seen.cursor, &seen.keys);
                format!("{size:?}, cursor {cursor:?}, {keys}\n{}", seen.rows().join("\n"))
            };
            panic!("{what}, one {}\nother {}", show(&a), show(&b));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A session whose owner has a small terminal; two who look on, one with a large terminal and one with such a small one; and
/// the same shell without scry, whose terminal is made what the program's should be.
struct Scene<'c> {
    cluster: &'c Cluster,
    owner: Owner<'c>,
    large: Viewer,
    small: Viewer,
    twin: Terminal,
    tty: String,
}

impl<'c> Scene<'c> {
    fn start(cluster: &'c Cluster, owner: Owner<'c>, bob: &Person<'_>) -> Self {
        let twin = alone(cluster, SMALL);
        let file = cluster.path("tty");
        owner.line(&format!("tty > {}", file.display()));
        let said = || fs::read_to_string(&file).unwrap_or_default();
        wait_for("the terminal's name", || said().ends_with('\n'));
        let tty = said().trim().to_owned();
        let large = owner.join(bob, Way::Scry, "peer", LARGE);
        let small = owner.join(bob, Way::Ssh, "peer", SMALL);
        Self { cluster, owner, large, small, twin, tty }
    }

    fn types(&self, text: &str) {
        self.owner.terminal.type_text(text);
        self.twin.type_text(text);
    }

    fn company(&self, args: &[&str]) -> Output {
        company(self.cluster.scry_command(), &self.owner.id, args)
    }

    /// The program is told this size, and so is the one without scry.
    #[track_caller]
    fn has(&self, size @ (cols, rows): (u16, u16)) {
        let expected = format!("{rows} {cols}");
        let told =
            |tty: &str| text(&Command::new("stty").args(["-F", tty, "size"]).output().unwrap());
        self.twin.resize(size);
        let twins = format!("/proc/{}/fd/0", self.twin.pid());
        for tty in [&self.tty, &twins] {
            wait_for(&format!("{expected} at the program"), || told(tty) == expected);
        }
    }

    /// Whose size counts sees all of it, as without scry; the owner sees what anybody with such a terminal does.
    #[track_caller]
    fn is_painted(&self, what: &str) {
        same(&format!("{what}, whose size counts"), &self.large.terminal, &self.twin);
        same(&format!("{what}, the owner"), &self.owner.terminal, &self.small.terminal);
    }

    /// The owner sees all of it, as without scry.
    #[track_caller]
    fn is_own(&self, what: &str) {
        same(what, &self.owner.terminal, &self.twin);
    }
}

/// The number of the only person who has come as `scry company` lists them, with this terminal.
fn first(owner: &Owner<'_>) -> String {
    let people = owner.people();
    people[1]["party"].to_string()
}

#[test]
fn an_owner_by_plain_ssh_has_a_viewers_size_count_and_theirs_again_in_any_program() {
    let cluster = Cluster::start();
    guests(&cluster);
    let bob = Person::invited(&cluster, "bob", &[GUEST]);
    let scene = Scene::start(&cluster, Owner::start(&cluster, SMALL), &bob);
    let (owner, bobs) = (&scene.owner, first(&scene.owner));
    let file = cluster.path("text");
    let lines = (1..=400).map(|line| format!("number {line} {}\n", "wide ".repeat(line % 30)));
    fs::write(&file, lines.collect::<String>()).unwrap();
    let file = file.display();

    scene.types("clear\r");
    done(&scene.company(&["adopt", &bobs]));
    scene.has(LARGE);
    scene.types("clear; stty size; seq 1 20; printf '%099d\\n' 7\r");
    owner.terminal.wait_for("30 100");
    scene.is_painted("a shell");
    let out = text(&scene.company(&[]));
    assert!(out.contains("bob"), "{out}");

    scene.types(&format!("clear; less {file}\r"));
    // What is typed before it has begun is the shell's.
    [&scene.large.terminal, &scene.twin].iter().for_each(|it| it.wait_for("number 1 wide"));
    for step in &script::LESS[..5] {
        [&owner.terminal, &scene.twin].iter().for_each(|terminal| step.play(terminal));
    }
    scene.is_painted("less");
    scene.types("q");
    owner.terminal.wait_for(PROMPT);
    scene.is_painted("the shell behind less");

    // The mouse is the program's only where the picture stands as it drew it.
    scene.types(&format!("clear; vim -u NONE -N -n {file}\r"));
    owner.terminal.wait_for("number 1 wide");
    scene.types(":set mouse=a ttymouse=sgr\r");
    for step in &script::VIM[3..10] {
        [&owner.terminal, &scene.twin].iter().for_each(|terminal| step.play(terminal));
    }
    wait_for("the mouse", || scene.large.terminal.seen().keys.contains("sgr:1"));
    scene.is_painted("vim");
    assert!(owner.terminal.seen().keys.contains("sgr:0"), "{}", owner.terminal.seen().keys);
    done(&scene.company(&["own-size"]));
    scene.has(SMALL);
    scene.is_own("vim");
    assert!(owner.terminal.seen().keys.contains("sgr:1"), "{}", owner.terminal.seen().keys);
    scene.types("ggOmine again");
    owner.terminal.keys(&["Escape"]);
    scene.twin.keys(&["Escape"]);
    scene.is_own("vim, at work");
    scene.types(":qa!\r");
    owner.terminal.wait_for(PROMPT);
    scene.types("clear; stty size; seq 1 12\r");
    owner.terminal.wait_for("24 80");
    scene.is_own("the shell below");

    // It follows whose size it is, and not the owner's, who sees what fits.
    done(&scene.company(&["adopt", &bobs]));
    scene.has(LARGE);
    scene.large.terminal.resize((90, 28));
    scene.has((90, 28));
    [&owner.terminal, &scene.small.terminal].iter().for_each(|terminal| terminal.resize((70, 20)));
    scene.types("clear; stty size; seq 1 24\r");
    scene.large.terminal.wait_for("28 90");
    scene.is_painted("both made another size");
    scene.types("clear; htop -d 30\r");
    scene.large.terminal.wait_for("PID");
    for step in &script::HTOP[..4] {
        step.play(&owner.terminal);
    }
    same("htop", &owner.terminal, &scene.small.terminal);
    scene.types("q");
    owner.terminal.wait_for(PROMPT);
    scene.types("clear; stty size\r");
    scene.large.terminal.wait_for("28 90");
    scene.is_painted("the shell behind htop");

    // Whoever is gone has no size.
    send("-KILL", scene.large.terminal.pid());
    scene.has((70, 20));
    scene.types("clear; stty size; seq 1 9\r");
    owner.terminal.wait_for("20 70");
    scene.is_own("whoever's size it was is gone");
    owner.all_see_the_same(std::slice::from_ref(&scene.small));

    let id = owner.id.clone();
    scene.owner.finish();
    assert_success(&cluster.verify(&id));
    let party: u64 = bobs.parse().unwrap();
    let size_of = |party: u64| json!({"size_of": {"party": party}});
    let left = json!({"left": {"party": party}});
    in_order(
        &people(&cluster, &id),
        &[size_of(party), size_of(0), size_of(party), left, size_of(0)],
    );
    let sizes = entries(&cluster, &id).into_iter().filter(|entry| !entry["resize"].is_null());
    let sizes: Vec<Value> = sizes.map(|entry| entry["resize"].clone()).collect();
    let expected = [(100, 30), (80, 24), (100, 30), (90, 28), (70, 20)];
    assert_eq!(sizes, expected.map(|(cols, rows)| json!([cols, rows])), "theirs, and no other");
    for party in [party, 0] {
        told(&cluster, "seat.size", |event| {
            event["party"] == party && event["session"] == id.as_str()
        });
    }
    assert_eq!(cluster.audit("seat.size").len(), 4);
}

#[test]
fn by_scry_ssh_a_key_does_it_and_undoes_it() {
    let cluster = Cluster::start();
    guests(&cluster);
    let bob = Person::invited(&cluster, "bob", &[GUEST]);
    let scene = Scene::start(&cluster, Owner::by_scry(&cluster, SMALL), &bob);
    let owner = &scene.owner;
    let presses = |number: usize| {
        owner.terminal.type_text("\x1dz");
        owner.terminal.wait_for("whose size counts from now on?");
        owner.terminal.type_text(&number.to_string());
    };
    scene.types("clear\r");
    presses(2);
    scene.has(LARGE);
    owner.terminal.wait_for("the terminal has the size of bob");
    scene.small.terminal.wait_for("the terminal has the size of bob");
    scene.types("clear; stty size; seq 1 27\r");
    scene.is_painted("a shell");
    scene.types("clear; vim -u NONE -N -n\r");
    owner.terminal.wait_for("VIM - Vi IMproved");
    scene.types("ione\rtwo");
    scene.is_painted("vim");
    presses(1);
    scene.has(SMALL);
    scene.is_own("vim");
    [&owner.terminal, &scene.twin].iter().for_each(|terminal| terminal.keys(&["Escape"]));
    scene.types(":q!\r");
    owner.terminal.wait_for(PROMPT);
    let id = owner.id.clone();
    scene.owner.finish();
    assert_success(&cluster.verify(&id));
}

#[test]
fn who_is_lost_meanwhile_comes_back_to_pictures_and_has_their_own_size_when_they_say_so() {
    let cluster = Cluster::start();
    guests(&cluster);
    let bob = Person::invited(&cluster, "bob", &[GUEST]);
    let mut scene = Scene::start(&cluster, Owner::returning(&cluster, SMALL), &bob);
    let bobs = first(&scene.owner);
    scene.types("clear\r");
    done(&scene.company(&["adopt", &bobs]));
    scene.has(LARGE);
    scene.types("clear; vim -u NONE -N -n\r");
    scene.owner.terminal.wait_for("VIM - Vi IMproved");
    scene.types("iseen");
    scene.is_painted("before");
    scene.owner.is_lost();
    scene.small.terminal.wait_for("the owner's connection is lost");
    refused(&scene.company(&["adopt", &bobs]), "the owner's connection is lost");
    scene.has(LARGE);
    scene.owner = scene.owner.come_back(SMALL);
    scene.types(" again");
    scene.large.terminal.wait_for("seen again");
    scene.is_painted("back");
    // From another place, which is smaller: the old one is given back.
    let old = Terminal::start(cluster.folder.path(), 10, 5, "sleep 1000");
    let old = std::mem::replace(&mut scene.owner.terminal, old);
    scene.owner = scene.owner.come_back((60, 20));
    let last = old.wait_for_end();
    assert!(last.contains("this session goes on from another place"), "{last}");
    assert!(!last.contains("seen again"), "the picture is gone from there: {last}");
    scene.small.terminal.resize((60, 20));
    scene.types(" and again");
    scene.is_painted("elsewhere");
    // Whose size it was leaves while nobody is there.
    scene.owner.is_lost();
    scene.small.terminal.wait_for("the owner's connection is lost");
    done(&scene.company(&["show-out", &bobs]));
    assert!(scene.large.last_words().contains("you were shown out"));
    scene.has((60, 20));
    scene.owner = scene.owner.come_back(SMALL);
    scene.has(SMALL);
    scene.is_own("their own");
    scene.owner.terminal.keys(&["Escape"]);
    scene.owner.line(":q!");
    scene.owner.terminal.wait_for(PROMPT);
    let id = scene.owner.id.clone();
    scene.owner.finish();
    assert_success(&cluster.verify(&id));
}

#[test]
fn a_flood_at_each_change_loses_nothing_and_garbles_nothing_and_what_is_typed_arrives() {
    let cluster = Cluster::start();
    guests(&cluster);
    let bob = Person::invited(&cluster, "bob", &[GUEST]);
    let scene = Scene::start(&cluster, Owner::start(&cluster, SMALL), &bob);
    let (owner, bobs) = (&scene.owner, first(&scene.owner));
    let (file, written) = (cluster.path("typed"), cluster.path("written"));
    let read = || fs::read_to_string(&file).unwrap_or_default();
    let colours = "printf '\\033[3%dm%d \\033[1mbold\\033[m ä漢\\n' $((i%8)) $i";
    let done_with = format!("echo all-$((40+2)); touch {}", written.display());
    let flood = format!("( {{ for i in $(seq 1 {LINES}); do {colours}; done; {done_with}; }} & )");
    // What is typed is read while that is written.
    let reads = format!("head -c {TYPED} > {}", file.display());
    let waits = format!("until test -e {}; do sleep 0.1; done", written.display());
    owner.line(&format!("clear; stty -echo; {flood}; {reads}; {waits}; stty echo"));
    wait_for("the flood", || owner.terminal.shows("bold"));
    let mut expected = String::new();
    for round in 0..8 {
        let args: &[&str] = if round % 2 == 0 { &["adopt", &bobs] } else { &["own-size"] };
        for piece in 0..6 {
            let typed = format!("{round:02}-{piece:02}-------------------\r");
            owner.terminal.type_text(&typed);
            expected.push_str(&typed.replace('\r', "\n"));
            if piece == 2 {
                done(&scene.company(args));
            }
        }
    }
    let rest = format!("{}\r", "x".repeat(TYPED - 1 - expected.len()));
    owner.terminal.type_text(&rest);
    expected.push_str(&rest.replace('\r', "\n"));
    wait_for("all that was typed", || read().len() >= TYPED);
    assert_eq!(read(), expected);
    owner.terminal.wait_for("all-42");
    owner.line("echo still-$((40+2))");
    owner.terminal.wait_for("still-42");
    let rows = owner.terminal.screen();
    let last = rows.iter().position(|row| row == "all-42").expect("the last line");
    let line = |number: usize| format!("{number} bold ä漢");
    let expected: Vec<_> = (0..last).rev().map(|above| line(LINES - above)).collect();
    assert_eq!(rows[..last], expected[..], "not garbled");
    owner.all_see_the_same(std::slice::from_ref(&scene.small));
    let id = owner.id.clone();
    scene.owner.finish();
    assert_success(&cluster.verify(&id));
    let output = kept(&cluster, &id, "pty");
    let recorded = String::from_utf8_lossy(&output).matches(" \x1b[1mbold\x1b[m ä漢\r\n").count();
    assert_eq!(recorded, LINES, "every line is in the recording");
}

#[test]
fn what_cannot_be_is_said_and_the_end_gives_the_terminal_back() {
    let cluster = Cluster::start();
    guests(&cluster);
    let bob = Person::invited(&cluster, "bob", &[GUEST]);
    let owner = Owner::start(&cluster, SMALL);
    let own = |args: &[&str]| company(cluster.scry_command(), &owner.id, args);
    refused(&own(&["adopt", "bob"]), "bob is not in this session");
    refused(&own(&["adopt", "77"]), "nobody in this session has that number");
    // One's own is one's own.
    done(&own(&["adopt", &cluster.login]));
    done(&own(&["own-size"]));
    let viewer = owner.join(&bob, Way::Ssh, "observer", LARGE);
    done(&own(&["adopt", "bob"]));
    let out = own(&[]);
    let said = format!("{}{}", text(&out), String::from_utf8_lossy(&out.stderr));
    assert!(said.contains("The terminal has the size of bob (person 1)."), "{said}");
    assert_eq!(serde_json::from_slice::<Value>(&own(&["--json"]).stdout).unwrap()["size_of"], 1);
    viewer.terminal.wait_for("the terminal has the size of bob");
    owner.line("clear; echo last-$((40+2)); sleep 0.2; exit 3");
    let last = owner.terminal.wait_for_end();
    assert!(last.contains("last-42") && last.contains("exit"), "all that it wrote: {last}");
    assert!(viewer.last_words().contains("the program has ended with status 3"));
    owner.recording();
    assert_success(&cluster.verify(&owner.id));

    // Ended by hand: the picture goes, and why it ended is read.
    let owner = Owner::start(&cluster, SMALL);
    let viewer = owner.join(&bob, Way::Ssh, "observer", LARGE);
    let own = |args: &[&str]| company(cluster.scry_command(), &owner.id, args);
    done(&own(&["adopt", "bob"]));
    owner.line("clear; vim -u NONE -N -n");
    owner.terminal.wait_for("VIM - Vi IMproved");
    done(&own(&["end"]));
    let last = owner.terminal.wait_for_end();
    assert!(last.contains("its owner ended it"), "{last}");
    assert!(owner.terminal.seen().keys.contains("cursor:0"), "{}", owner.terminal.seen().keys);
    viewer.last_words();
    owner.recording();
    assert_success(&cluster.verify(&owner.id));

    // Without a terminal there is none to be large.
    let mut ssh = cluster.ssh_command();
    ssh.arg(cluster.host()).arg("sleep 1000").stdin(Stdio::null()).stdout(Stdio::null());
    let mut child = ssh.spawn().unwrap();
    // The one that was ended may still stand in the list.
    let others = || sessions(&cluster).into_iter().filter(|it| it["id"] != *owner.id);
    wait_for("the session", || others().next().is_some());
    let id = others().next().unwrap()["id"].as_str().unwrap().to_owned();
    let mut join = bob.command();
    join.args(["join", &id, "--as", "observer"]).env("TERM", "xterm-256color");
    let _viewer = Terminal::run(cluster.folder.path(), LARGE, &join);
    let here = || others().next().map_or(0, |it| it["people"].as_array().unwrap().len());
    wait_for("bob", || here() == 2);
    refused(
        &company(cluster.scry_command(), &id, &["adopt", "bob"]),
        "this session has no terminal",
    );
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn an_owners_client_whose_terminal_fits_is_told_the_size_that_counts_and_its_own() {
    let cluster = Cluster::start();
    guests(&cluster);
    let bob = Person::invited(&cluster, "bob", &[GUEST]);
    let out: PathBuf = cluster.path("out");
    let mut ssh = cluster.ssh_command();
    ssh.args(["-o", "SetEnv=SCRY_FITS=1", "-tt", "-e", "none"]).arg(cluster.host());
    ssh.arg("echo \"here [$SCRY_FITS]\"; exec sleep 1000");
    ssh.stdin(Stdio::piped()).stdout(fs::File::create(&out).unwrap()).stderr(Stdio::null());
    let mut child = ssh.spawn().unwrap();
    let shown = || String::from_utf8_lossy(&fs::read(&out).unwrap()).into_owned();
    wait_for("the program", || shown().contains("here []"));
    let id = sessions(&cluster)[0]["id"].as_str().unwrap().to_owned();
    let mut join = bob.command();
    join.args(["join", &id]).env("TERM", "xterm-256color");
    let viewer = Terminal::run(cluster.folder.path(), LARGE, &join);
    viewer.wait_for("here []");
    let told = || {
        let shown = shown();
        let sizes = shown.split("\x1b[8;").skip(1).filter_map(|rest| rest.split_once('t'));
        sizes.map(|(size, _)| size.to_owned()).collect::<Vec<_>>()
    };
    let own = |args: &[&str]| done(&company(cluster.scry_command(), &id, args));
    own(&["adopt", "bob"]);
    wait_for("the size that counts", || told() == ["30;100"]);
    viewer.resize((90, 20));
    wait_for("its next", || told() == ["30;100", "20;90"]);
    own(&["own-size"]);
    wait_for("its own", || told() == ["30;100", "20;90", "24;80"]);
    child.kill().unwrap();
    child.wait().unwrap();
}

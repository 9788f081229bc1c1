//! Who types: what of it reaches the program, and what stands in the recording and the ledger.

use house::company::Line;
use house::person::Person;
use house::sharing::{GUEST, Owner, PROMPT, SIZE, Viewer, Way, guests, told};
use house::{Cluster, assert_success, wait_for};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::process::Stdio;
use std::time::Duration;

/// Long enough for what was typed to arrive, were it let through.
const WHILE: Duration = Duration::from_millis(700);

/// The recording's entries.
fn entries(cluster: &Cluster, row: &Value) -> Vec<Value> {
    let file = cluster.export(row["id"].as_str().unwrap(), "jsonl");
    let lines = fs::read_to_string(file).unwrap();
    lines.lines().skip(1).map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Sends bytes as somebody who comes by plain ssh to the owner alone, and leaves.
fn send(owner: &Owner<'_>, person: &Person<'_>, seat: &str, pieces: &[Vec<u8>]) {
    let before = owner.last();
    let mut ssh = owner.way(person, Way::Ssh, seat);
    ssh.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = ssh.spawn().unwrap();
    wait_for("the seat", || owner.last() > before);
    let mut input = child.stdin.take().unwrap();
    for piece in pieces {
        // One that asks to leave is not there for the next.
        let _ = input.write_all(piece).and_then(|()| input.flush());
        std::thread::sleep(Duration::from_millis(100));
    }
    std::thread::sleep(WHILE);
    drop(input);
    child.wait().unwrap();
    wait_for("them to be gone", || owner.last() == 0);
}

#[test]
fn nothing_that_an_observer_or_a_moderator_sends_reaches_the_program() {
    let cluster = Cluster::start();
    guests(&cluster);
    let bob = Person::invited(&cluster, "bob", &[GUEST]);
    let owner = Owner::start(&cluster, SIZE);
    let file = cluster.path("typed");
    // Every byte as it is, and no key ends it.
    owner.line(&format!("stty raw -echo; echo ready-$((40+2)); cat > {}", file.display()));
    owner.terminal.wait_for("ready-42");

    let viewer = owner.join(&bob, Way::Scry, "observer", SIZE);
    viewer.terminal.type_text("abc ls -la\r");
    let keys = ["Enter", "C-d", "C-z", "Escape", "F1", "Up", "PageDown", "C-]", "C-\\", "Tab"];
    keys.iter().for_each(|key| viewer.terminal.keys(&[key]));
    viewer.terminal.keys(&["C-c"]);
    assert!(viewer.last_words().contains("you have left the session"));

    let all: Vec<u8> = (0..=255).collect();
    // Without those that leave at once, and those by which a moderator ends the session.
    let lasting: Vec<u8> = all.iter().copied().filter(|byte| !b"\x03qfx".contains(byte)).collect();
    let pasted = [b"\x1b[200~".to_vec(), lasting.clone(), b"\x1b[201~".to_vec()].concat();
    let mut escaped = Vec::new();
    lasting.iter().for_each(|byte| escaped.extend([0x1d, *byte]));
    let long = lasting.repeat(400);
    for seat in ["observer", "moderator"] {
        let pieces =
            [lasting.clone(), pasted.clone(), escaped.clone(), b"chello\r".to_vec(), long.clone()];
        send(&owner, &bob, seat, &pieces);
    }
    send(&owner, &bob, "observer", std::slice::from_ref(&all));

    let sitting = owner.join(&bob, Way::Ssh, "observer", SIZE);
    let mut line = Line::open(bob.ssh_command(), &owner.seat());
    line.wait_for("the first line", |told| told["told"] == "company");
    for garbage in [&b"ls\n"[..], b"{\"ask\":\"types\",\"bytes\":\"ls\"}\n", b"\x00\xff\n", b"{}\n"]
    {
        line.send(garbage);
        line.wait_for("a refusal", |told| told["told"] == "refused");
    }
    for ask in [json!({"ask": "hand_over", "to": 0}), json!({"ask": "together"})] {
        assert_eq!(line.ask(ask.clone())["told"], "refused", "{ask}");
    }
    drop((line, sitting));
    // Each of them tried, and the ledger says so: by keys, by a request that is none, by one that is not theirs to make.
    for (word, why) in [
        ("seat.input_refused", "to look, not to type"),
        ("seat.input_refused", "no request"),
        ("access.denied", "may not"),
    ] {
        told(&cluster, word, |event| {
            event["user"] == "bob" && event["why"].as_str().is_some_and(|it| it.contains(why))
        });
    }
    let vain = cluster.audit("seat.input_refused");
    let parties: BTreeSet<_> = vain.iter().filter_map(|event| event["party"].as_u64()).collect();
    assert_eq!((parties.len(), vain.len()), (5, 5), "once a seat and reason: {vain:#?}");

    std::thread::sleep(WHILE);
    assert_eq!(fs::read(&file).unwrap(), b"", "something reached the program");
    owner.terminal.type_text("the owner");
    wait_for("what the owner types", || !fs::read(&file).unwrap().is_empty());
    std::thread::sleep(WHILE);
    assert_eq!(fs::read_to_string(&file).unwrap(), "the owner");
    let Owner { terminal, id, .. } = owner;
    drop(terminal);
    let mut row = Value::Null;
    wait_for("the recording", || {
        let rows = cluster.stored_recordings();
        row = rows.into_iter().find(|row| row["id"] == id.as_str()).unwrap_or_default();
        !row.is_null()
    });
    let entries = entries(&cluster, &row);
    let others = entries.iter().filter_map(|entry| entry["entry"]["typed"]["party"].as_u64());
    assert!(others.clone().count() > 0 && others.max() == Some(0), "only the owner typed");
}

#[test]
fn a_peer_types_and_the_recording_and_the_ledger_say_who_came_typed_and_left() {
    let cluster = Cluster::start();
    guests(&cluster);
    let bob = Person::invited(&cluster, "bob", &[GUEST]);
    let carol = Person::invited(&cluster, "carol", &[GUEST]);
    let owner = Owner::start(&cluster, SIZE);
    let looks = owner.join(&carol, Way::Ssh, "observer", SIZE);
    for (way, said) in [(Way::Scry, "by-scry"), (Way::Ssh, "by-ssh")] {
        let peer = owner.join(&bob, way, "peer", SIZE);
        peer.terminal.type_text(&format!("echo {said}-$((40+2))\r"));
        owner.terminal.wait_for(&format!("{said}-42"));
        owner.all_see_the_same(std::slice::from_ref(&peer));
        let people = owner.people().len();
        // Twice is once for the program.
        peer.terminal.keys(&["C-v", "C-]", "C-]"]);
        owner.terminal.wait_for("^]");
        owner.terminal.keys(&["C-u"]);
        peer.terminal.keys(&["C-]", "q"]);
        assert!(peer.last_words().contains("you have left the session"));
        wait_for("the peer to be gone", || owner.people().len() < people);
    }
    let number = owner.people().iter().find(|one| one["user"] == "carol").unwrap()["party"].clone();
    let row = owner.finish();
    assert!(looks.last_words().contains("the session is over"), "{}", looks.last_words());
    assert_success(&cluster.verify(row["id"].as_str().unwrap()));

    let entries = entries(&cluster, &row);
    let place = |what: &dyn Fn(&Value) -> bool| entries.iter().position(|one| what(&one["entry"]));
    let seats: Vec<_> =
        entries.iter().filter(|one| one["entry"]["people"]["seated"].is_object()).collect();
    let seated = |one: &Value| one["entry"]["people"]["seated"].clone();
    assert_eq!(seats.len(), 3, "{seats:#?}");
    assert_eq!(seated(seats[0])["user"], "carol");
    assert_eq!(seated(seats[0])["party"], number);
    for peer in &seats[1..] {
        let peer = seated(peer);
        assert_eq!((&peer["user"], &peer["seat"]), (&json!("bob"), &json!("peer")));
        let party = &peer["party"];
        let came = place(&|one| one["people"]["seated"]["party"] == *party).expect("seated");
        let typed = place(&|one| one["typed"]["party"] == *party).expect("typed");
        let left = place(&|one| one["people"]["left"]["party"] == *party).expect("left");
        assert!(came < typed && typed < left, "{came} {typed} {left}");
        let counted = entries.iter().filter(|one| one["entry"]["typed"]["party"] == *party);
        let count: u64 = counted.filter_map(|one| one["entry"]["typed"]["count"].as_u64()).sum();
        let said = if *party == seated(seats[1])["party"] { "by-scry" } else { "by-ssh" };
        // And Ctrl-V and one Ctrl-].
        assert_eq!(count, format!("echo {said}-$((40+2))\r").len() as u64 + 2, "{party}");
    }
    assert!(place(&|one| one["typed"]["party"] == number).is_none(), "an observer typed");

    let of = |event: &Value, user: &str, party: &Value| {
        event["user"] == user && event["party"] == *party && event["session"] == row["id"]
    };
    for (at, user, seat) in [(0, "carol", "observer"), (1, "bob", "peer"), (2, "bob", "peer")] {
        let party = &seated(seats[at])["party"];
        told(&cluster, "seat.taken", |event| {
            of(event, user, party)
                && event["seat"] == seat
                && event["owner"] == cluster.login.as_str()
        });
        told(&cluster, "seat.left", |event| of(event, user, party));
    }
}

#[test]
fn what_a_peer_typed_before_they_left_reaches_the_program() {
    let cluster = Cluster::start();
    guests(&cluster);
    let bob = Person::invited(&cluster, "bob", &[GUEST]);
    let owner = Owner::start(&cluster, SIZE);
    let file = cluster.path("typed");
    owner.line(&format!("stty raw -echo; echo ready-$((40+2)); cat > {}", file.display()));
    owner.terminal.wait_for("ready-42");
    let mut expected = String::new();
    for round in 0..10 {
        let typed = format!("round {round};");
        // In one piece with the keys that leave.
        send(&owner, &bob, "peer", &[format!("{typed}\x1dq").into_bytes()]);
        expected += &typed;
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), expected);
}

/// Types a line that says who typed it, and tells whether the shell answers.
fn speaks(owner: &Owner<'_>, by: &house::terminal::Terminal, word: &str) -> bool {
    by.type_text(&format!("echo {word}-$((40+2))\r"));
    let answer = format!("{word}-42");
    let tries = (0..10).any(|_| {
        std::thread::sleep(WHILE / 5);
        owner.terminal.shows(&answer)
    });
    // What was typed without Enter is nobody's beginning.
    std::thread::sleep(WHILE / 5);
    tries
}

#[test]
fn the_keyboard_goes_to_a_peer_and_back_and_who_is_shown_out_is_told() {
    let cluster = Cluster::start();
    guests(&cluster);
    let bob = Person::invited(&cluster, "bob", &[GUEST]);
    let owner = Owner::start(&cluster, SIZE);
    let peer = owner.join(&bob, Way::Scry, "peer", SIZE);
    let Viewer { terminal: bobs, .. } = &peer;
    let mut line = Line::open(cluster.ssh_command(), &owner.seat());
    let people = line.wait_for_people("two people", |people| people.len() == 2);
    let party = people[1]["party"].clone();
    assert_eq!((&people[0]["user"], &people[1]["user"]), (&json!(cluster.login), &json!("bob")));
    let both = |owners: bool, peers: bool, at: &str| {
        let (own, other) = (format!("owner-{at}"), format!("peer-{at}"));
        assert_eq!(speaks(&owner, &owner.terminal, &own), owners, "the owner types: {at}");
        assert_eq!(speaks(&owner, bobs, &other), peers, "the peer types: {at}");
    };
    both(true, true, "first");
    line.must(json!({"ask": "hand_over", "to": party}));
    both(false, true, "handed");
    line.must(json!({"ask": "take_back"}));
    both(true, false, "taken");
    assert!(bobs.shows("has the keyboard"), "a peer in vain is told why: {:#?}", bobs.screen());
    line.must(json!({"ask": "together"}));
    both(true, true, "together");

    // Whoever has it gives it back.
    line.must(json!({"ask": "hand_over", "to": party}));
    both(false, true, "again");
    bobs.keys(&["C-]", "o"]);
    let back = |told: &Value| told["told"] == "company" && told["keyboard"] == 0;
    line.wait_for("the keyboard back", back);
    both(true, false, "back");
    line.must(json!({"ask": "together"}));

    for (ask, why) in [
        (json!({"ask": "hand_over", "to": 77}), "nobody there"),
        (json!({"ask": "show_out", "party": 77}), "nobody there"),
        (json!({"ask": "show_out", "party": 0}), "oneself"),
        (json!({"ask": "freeze"}), "no moderator"),
        (json!({"ask": "thaw"}), "no moderator"),
    ] {
        assert_eq!(line.ask(ask.clone())["told"], "refused", "{why}: {ask}");
    }
    line.must(json!({"ask": "show_out", "party": party}));
    let words = peer.last_words();
    assert!(words.contains("you were shown out"), "{words}");
    line.wait_for_people("one person", |people| people.len() == 1);
    assert!(speaks(&owner, &owner.terminal, "owner-alone"));
    assert!(owner.terminal.shows(PROMPT));
    let row = owner.finish();
    line.wait_for("the end", |told| told["told"] == "over");

    let all = fs::read_to_string(cluster.export(row["id"].as_str().unwrap(), "text")).unwrap();
    for never in ["owner-handed-42", "owner-again-42", "peer-taken-42", "peer-back-42"] {
        assert!(!all.contains(never), "{never} reached the program after all:\n{all}");
    }
    let entries = entries(&cluster, &row);
    let has = |what: Value| entries.iter().any(|one| one["entry"]["people"] == what);
    for held in [party.clone(), json!(0), Value::Null] {
        assert!(has(json!({"keyboard": {"held": held}})), "{held}: {entries:#?}");
    }
    assert!(has(json!({"shown_out": {"party": party, "by": 0}})), "{entries:#?}");
    let of = |event: &Value, user: &str| event["user"] == user && event["session"] == row["id"];
    told(&cluster, "seat.keyboard", |event| {
        event["held"] == party && event["session"] == row["id"]
    });
    told(&cluster, "seat.input_refused", |event| of(event, "bob") && event["party"] == party);
    told(&cluster, "seat.input_refused", |event| of(event, &cluster.login) && event["party"] == 0);
    told(&cluster, "seat.left", |event| of(event, "bob") && event["party"] == party);
    assert_success(&cluster.verify(row["id"].as_str().unwrap()));
}

//! `scry company` from a second terminal: what the overlay does, for who has come by plain ssh; and `scry watch`.

#[macro_use]
#[path = "../routes/variants.rs"]
mod variants;

#[path = "../routes/asks.rs"]
mod asks;

use asks::{Whose, every_ask};
use house::company::Line;
use house::eyes::{Client, Counter, stands_as, that_can_freeze};
use house::moved::entries;
use house::person::{Person, words};
use house::sharing::{GUEST, Owner, SIZE, Viewer, Way, guests, told};
use house::terminal::Terminal;
use house::{Cluster, NODE, assert_success, output_with, text, wait_for};
use model::SeatRole;
use model::entry::Party;
use serde_json::{Value, json};
use std::fs;
use std::process::{Command, Output};
use std::time::Duration;
use wire::company::Ask;

const NOT_YOURS: &str = "that is not yours to say in this session";

#[track_caller]
pub fn done(out: &Output) {
    assert_success(out);
    assert!(words(out).contains("Done."), "{}", words(out));
}

#[track_caller]
pub fn refused(out: &Output, why: &str) {
    assert!(!out.status.success() && words(out).contains(why), "{why:?}: {}", words(out));
    assert!(!words(out).contains("Done."), "{}", words(out));
}

/// What `scry company SESSION` says when these words stand behind it.
pub fn company(mut scry: Command, session: &str, args: &[&str]) -> Output {
    scry.args(["company", session]).args(args).output().expect("scry runs")
}

/// The people's entries of a recording.
pub fn people(cluster: &Cluster, id: &str) -> Vec<Value> {
    let all = entries(cluster, id).into_iter();
    all.map(|entry| entry["people"].clone()).filter(|people| !people.is_null()).collect()
}

/// Expects these among the others, in this order.
#[track_caller]
pub fn in_order(people: &[Value], expected: &[Value]) {
    let mut rest = people.iter();
    for one in expected {
        assert!(rest.any(|there| there == one), "{one} in its place in {people:#?}");
    }
}

#[test]
fn an_owner_on_plain_ssh_speaks_in_it_and_moves_the_keyboard_and_shows_out_and_ends_it() {
    let cluster = Cluster::start();
    guests(&cluster);
    let [bob, carol] = ["bob", "carol"].map(|name| Person::invited(&cluster, name, &[GUEST]));
    let me = cluster.login.clone();
    let owner = Owner::start(&cluster, SIZE);
    let file = cluster.path("typed");
    owner.line(&format!("stty raw -echo; printf 'ready-%s' $((40+2)); cat > {}", file.display()));
    owner.terminal.wait_for("ready-42");
    let bobs = owner.join(&bob, Way::Ssh, "peer", SIZE);
    let carols = owner.join(&carol, Way::Scry, "observer", SIZE);
    let own = |args: &[&str]| company(cluster.scry_command(), &owner.id[..8], args);
    let reads = |expected: &str| {
        let read = || fs::read_to_string(&file).unwrap_or_default();
        wait_for(&format!("{expected:?} at the program"), || read().len() >= expected.len());
        assert_eq!(read(), expected);
    };

    let out = own(&[]);
    assert_success(&out);
    let table = text(&out);
    for row in
        [&[me.as_str(), "owner", "types"][..], &["bob", "peer", "types"], &["carol", "observer"]]
    {
        let has = |line: &str| row.iter().all(|word| line.contains(word));
        assert!(table.lines().any(has), "{row:?} in {table}");
    }
    let listed: Value = serde_json::from_slice(&own(&["--json"]).stdout).unwrap();
    assert_eq!((&listed["session"], &listed["state"]), (&json!(owner.id), &json!("running")));

    // Who follows hears what others see.
    let mut follow = cluster.scry_command();
    follow.args(["company", &owner.id, "follow"]);
    let follows = Terminal::run(cluster.folder.path(), SIZE, &follow);
    follows.wait_for("carol");
    done(&own(&["say", "look", "at", "$(this)", "ä漢", "-x"]));
    let said = "look at $(this) ä漢 -x";
    let heard = format!("{me}: {said}");
    [&bobs.terminal, &carols.terminal, &follows].iter().for_each(|all| all.wait_for(&heard));
    assert!(!owner.terminal.shows("look at"), "plain ssh shows the program and nothing else");

    done(&own(&["hand-over", "bob"]));
    wait_for("only bob to type", || owner.types("bob") && !owner.types(&me));
    bobs.terminal.type_text("by bob,");
    reads("by bob,");
    done(&own(&["take-back"]));
    wait_for("only the owner to type", || owner.types(&me) && !owner.types("bob"));
    owner.terminal.type_text("mine,");
    reads("by bob,mine,");
    done(&own(&["together"]));
    wait_for("both to type", || owner.types(&me) && owner.types("bob"));
    bobs.terminal.type_text("by both,");
    reads("by bob,mine,by both,");
    follows.wait_for("bob has the keyboard");

    // What cannot be, and why.
    refused(&own(&["hand-over", "carol"]), "they are here to look, not to type");
    refused(&own(&["hand-over", "zoe"]), "zoe is not in this session");
    refused(&own(&["hand-over", "77"]), "nobody in this session has that number");
    refused(&own(&["show-out", "77"]), "nobody in this session has that number");
    refused(&own(&["show-out", &me]), NOT_YOURS);
    refused(&own(&["freeze"]), NOT_YOURS);
    refused(&own(&["thaw"]), NOT_YOURS);
    refused(&own(&["say", &"x".repeat(2049)]), "at most 2048 bytes are said at once");

    // Who is there twice is meant by a number.
    let again = owner.join(&bob, Way::Scry, "observer", SIZE);
    refused(&own(&["show-out", "bob"]), "bob is there more than once: say the number");
    let number = owner.last().to_string();
    done(&own(&["show-out", &number]));
    assert!(again.last_words().contains("you were shown out"));
    done(&own(&["show-out", "carol"]));
    assert!(carols.last_words().contains("you were shown out"));
    wait_for("two to be left", || owner.people().len() == 2);

    done(&own(&["end"]));
    let last = bobs.last_words();
    assert!(last.contains("the session is over: its owner ended it"), "{last}");
    let last = follows.wait_for_end();
    assert!(last.contains("the session is over: its owner ended it"), "{last}");
    let last = owner.terminal.wait_for_end();
    assert!(last.contains("its owner ended it"), "{last}");
    reads("by bob,mine,by both,");
    owner.recording();
    wait_for("it to be off the list", || {
        cluster.scry_json(&["sessions", "--json"]).as_array().unwrap().is_empty()
    });
    refused(&own(&["say", "late"]), "no session that you may see");

    let people = people(&cluster, &owner.id);
    let party = |user: &str| {
        people.iter().find(|one| one["seated"]["user"] == user).unwrap()["seated"]["party"].clone()
    };
    let expected = [
        json!({"said": {"party": 0, "text": said}}),
        json!({"keyboard": {"held": party("bob")}}),
        json!({"keyboard": {"held": 0}}),
        json!({"keyboard": {"held": null}}),
        json!({"shown_out": {"party": number.parse::<u64>().unwrap(), "by": 0}}),
        json!({"shown_out": {"party": party("carol"), "by": 0}}),
    ];
    in_order(&people, &expected);
    assert_success(&cluster.verify(&owner.id));
    told(&cluster, "session.end", |event| {
        event["session"] == owner.id.as_str()
            && event["why"].as_str().is_some_and(|why| why.contains("its owner ended it"))
    });
}

#[test]
fn who_is_in_it_without_a_right_to_it_is_told_so_and_who_is_not_in_it_gets_no_line() {
    let cluster = Cluster::start();
    guests(&cluster);
    cluster.set_role("name = 'nothing'\n");
    let [bob, carol] = ["bob", "carol"].map(|name| Person::invited(&cluster, name, &[GUEST]));
    let eve = Person::invited(&cluster, "eve", &["nothing"]);
    // Who may see every session, and is in none.
    let root = Person::invited(&cluster, "mallory", &["admin"]);
    let owner = Owner::start(&cluster, SIZE);
    let me = cluster.login.clone();
    let peer = owner.join(&bob, Way::Scry, "peer", SIZE);
    let observer = owner.join(&carol, Way::Ssh, "observer", SIZE);
    let asks: [(&[&str], &str); 9] = [
        (&["together"], "let all type"),
        (&["take-back"], "take the keyboard back"),
        (&["hand-over", &me], "hand over the keyboard"),
        (&["adopt", "carol"], "say whose size counts"),
        (&["own-size"], "say whose size counts"),
        (&["show-out", &me], "show somebody out"),
        (&["freeze"], "freeze"),
        (&["thaw"], "thaw"),
        (&["end"], "end a session"),
    ];
    for (args, action) in asks {
        for (name, person) in [("bob", &bob), ("carol", &carol)] {
            refused(&company(person.command(), &owner.id, args), NOT_YOURS);
            told(&cluster, "access.denied", |event| {
                event["user"] == name
                    && event["action"] == action
                    && event["session"] == owner.id.as_str()
            });
        }
        let no_line = "you are not in it: only who is there, and its owner, speaks in it";
        refused(&company(root.command(), &owner.id, args), no_line);
        refused(&company(eve.command(), &owner.id, args), "no session that you may see");
    }
    refused(&company(root.command(), &owner.id, &["say", "hello"]), "you are not in it");
    refused(&company(root.command(), &owner.id, &[]), "you are not in it");
    // They may speak, and see who is there.
    for (name, person) in [("bob", &bob), ("carol", &carol)] {
        assert!(text(&company(person.command(), &owner.id, &[])).contains("carol"));
        done(&company(person.command(), &owner.id, &["say", "hello"]));
        peer.terminal.wait_for(&format!("{name}: hello"));
    }
    assert_eq!(owner.people().len(), 3, "nobody was shown out");
    assert!(owner.types(&me) && owner.types("bob"), "all type as before");
    owner.line("echo still-$((40+2))");
    owner.terminal.wait_for("still-42");
    owner.all_see_the_same(&[peer, observer]);
    owner.finish();
}

/// Asks on a line; answers whether it was done, or who is there.
fn answer(line: &mut Line, ask: &Ask) -> Value {
    let sent = serde_json::to_value(ask).unwrap();
    if *ask != (Ask::Who {}) {
        return line.ask(sent);
    }
    line.send(format!("{sent}\n").as_bytes());
    line.wait_for("who is there", |told| told["told"] == "company")
}

#[test]
fn what_is_not_ones_own_to_ask_is_refused_on_every_line_and_changes_nothing() {
    let cluster = Cluster::start();
    guests(&cluster);
    cluster.set_role("name = 'nothing'\n");
    let [bob, carol, dave] =
        ["bob", "carol", "dave"].map(|name| Person::invited(&cluster, name, &[GUEST]));
    let eve = Person::invited(&cluster, "eve", &["nothing"]);
    // Who may see every session, and is in none.
    let root = Person::invited(&cluster, "mallory", &["admin"]);
    let owner = Owner::start(&cluster, SIZE);
    let (me, seat) = (cluster.login.clone(), owner.seat());
    let _viewers = [(&bob, "peer"), (&carol, "observer"), (&dave, "moderator")]
        .map(|(person, seat)| owner.join(person, Way::Ssh, seat, SIZE));
    let people = owner.people();
    let bobs = people.iter().find(|one| one["user"] == "bob").unwrap()["party"].as_u64().unwrap();
    let asks = every_ask(Party(u16::try_from(bobs).unwrap()));

    let all = asks.iter().map(|(ask, _)| serde_json::to_string(ask).unwrap() + "\n");
    let all: String = all.collect();
    for person in [&root, &eve] {
        let mut ssh = person.ssh_command();
        let out = output_with(ssh.args(["-s", &seat, "scry-company"]), &all);
        assert!(!out.status.success() && out.stdout.is_empty(), "{}", words(&out));
    }
    let mut lines = [
        (me.as_str(), None, Line::open(cluster.ssh_command(), &seat)),
        ("bob", Some(SeatRole::Peer), Line::open(bob.ssh_command(), &seat)),
        ("carol", Some(SeatRole::Observer), Line::open(carol.ssh_command(), &seat)),
        ("dave", Some(SeatRole::Moderator), Line::open(dave.ssh_command(), &seat)),
    ];
    for (name, seat, line) in &mut lines {
        line.wait_for("the first line", |told| told["told"] == "company");
        for (ask, whose) in &asks {
            let denied = whose.denies(*seat);
            if !denied && *whose != Whose::All {
                continue;
            }
            let said = answer(line, ask);
            assert_eq!(said["told"] == "refused", denied, "{name} asks {ask:?}: {said}");
            let why = match whose {
                Whose::Counting => "no file with that number waits for a word here",
                _ => NOT_YOURS,
            };
            assert!(!denied || said["why"] == why, "{name} asks {ask:?}: {said}");
        }
        told(&cluster, "access.denied", |event| {
            event["user"] == *name && event["session"] == owner.id.as_str()
        });
    }
    assert_eq!(owner.people().len(), 4, "nobody was shown out");
    assert!(owner.types(&me) && owner.types("bob"), "all type as before");
    owner.line("clear; stty size; echo still-$((40+2))");
    owner.terminal.wait_for("still-42");
    let size = format!("{} {}", SIZE.1, SIZE.0);
    assert!(owner.terminal.shows(&size), "{:#?}", owner.terminal.screen());
    owner.finish();
}

#[test]
fn a_moderator_freezes_thaws_and_ends_from_a_second_terminal_and_nobody_else_does() {
    let Some(cluster) = that_can_freeze("") else { return };
    guests(&cluster);
    let [bob, carol] = ["bob", "carol"].map(|name| Person::invited(&cluster, name, &[GUEST]));
    let owner = Owner::start(&cluster, SIZE);
    let counter = Counter::new(&cluster, "counter");
    owner.line(&counter.command());
    counter.runs();
    let peer = owner.join(&bob, Way::Scry, "peer", SIZE);
    let mut moderator = Client::seated(&cluster, &carol, &owner.id, "moderator");
    let hers = |args: &[&str]| company(carol.command(), &owner.id, args);
    refused(&hers(&["thaw"]), "no moderator has frozen this session");
    for round in 1..=2 {
        done(&hers(&["freeze"]));
        stands_as(&cluster, &owner.id, "frozen");
        counter.stands(Duration::from_secs(1));
        peer.terminal.wait_for("carol has frozen this session");
        let out = text(&hers(&[]));
        assert!(out.contains("carol"), "{out}");
        for other in [
            company(cluster.scry_command(), &owner.id, &["thaw"]),
            company(bob.command(), &owner.id, &["thaw"]),
        ] {
            refused(&other, NOT_YOURS);
        }
        let adopts = company(cluster.scry_command(), &owner.id, &["adopt", "bob"]);
        refused(&adopts, "the session is frozen: its terminal stays as it is");
        counter.stands(Duration::from_millis(300));
        done(&hers(&["thaw"]));
        counter.runs();
        stands_as(&cluster, &owner.id, "running");
        assert_eq!(cluster.audit("session.frozen").len(), round);
    }
    done(&hers(&["show-out", "bob"]));
    assert!(peer.last_words().contains("you were shown out"));
    done(&hers(&["end"]));
    let last = owner.terminal.wait_for_end();
    assert!(last.contains("a moderator ended it"), "{last}");
    moderator.ended();
    assert!(moderator.printed().contains("a moderator ended it"), "{}", moderator.printed());
    owner.recording();
    let people = people(&cluster, &owner.id);
    let frozen = json!({"frozen": {"why": "carol has frozen this session"}});
    let bobs = people.iter().find(|one| one["seated"]["user"] == "bob").unwrap();
    let shown = &bobs["seated"]["party"];
    let by = people.iter().find(|one| one["seated"]["user"] == "carol").unwrap();
    let expected = [
        frozen.clone(),
        json!("goes_on"),
        frozen,
        json!("goes_on"),
        json!({"shown_out": {"party": shown, "by": by["seated"]["party"]}}),
    ];
    in_order(&people, &expected);
    assert_success(&cluster.verify(&owner.id));
    told(&cluster, "session.end", |event| {
        event["session"] == owner.id.as_str()
            && event["why"].as_str().is_some_and(|why| why.contains("a moderator ended it (carol)"))
    });
}

/// `scry watch` of what this text means.
fn watch(person: &Person<'_>, session: &str) -> Command {
    let mut scry = person.command();
    scry.args(["watch", session]).env("TERM", "xterm-256color");
    scry
}

#[test]
fn who_watches_sees_the_same_types_nothing_and_leaves_or_is_told_that_it_is_over() {
    let cluster = Cluster::start();
    guests(&cluster);
    cluster.set_role("name = 'nothing'\n");
    let bob = Person::invited(&cluster, "bob", &[GUEST]);
    let eve = Person::invited(&cluster, "eve", &["nothing"]);
    let owner = Owner::start(&cluster, SIZE);
    owner.line("clear; printf '\\e[1;31mred\\e[m\\n'; seq 12; vim -u NONE -N");
    owner.terminal.wait_for("VIM - Vi IMproved");
    let me = &cluster.login;
    let names = [owner.id[..8].to_owned(), owner.id.clone(), me.clone(), format!("{me}@{NODE}")];
    let viewers: Vec<Viewer> =
        names.iter().map(|name| owner.come(&watch(&bob, name), "observer", SIZE)).collect();
    owner.terminal.type_text("iseen by all");
    owner.all_see_the_same(&viewers);
    assert!(owner.people().iter().skip(1).all(|one| one["seat"] == "observer"));
    // What they type is scry's, or nobody's.
    viewers[0].terminal.type_text("zzzz");
    told(&cluster, "seat.input_refused", |event| event["user"] == "bob");
    viewers[0].terminal.type_text("q");
    assert!(viewers[0].last_words().contains("you have left the session"));
    wait_for("one to be gone", || owner.people().len() == names.len());
    owner.all_see_the_same(&viewers[1..]);

    let says = |command: &Command| {
        let said = Terminal::run(cluster.folder.path(), SIZE, command).wait_for_end();
        said.replace('\n', " ")
    };
    let said = says(&watch(&eve, &owner.id));
    assert!(said.contains("no session that you may see"), "{said}");
    let said = says(&watch(&bob, "nobody@nowhere"));
    assert!(said.contains("no session that you may see"), "{said}");
    let said = says(&watch(&bob, &format!("share-{}", "7".repeat(26))));
    assert!(said.contains("use `scry join`"), "{said}");
    let out = watch(&bob, &owner.id).output().unwrap();
    refused(&out, "a session is joined on a terminal");
    // Nobody watches the session that they are in.
    let mut own = cluster.scry_command();
    own.args(["watch", &owner.id]).env("SCRY_SESSION", &owner.id);
    let said = says(&own);
    assert!(said.contains("join it from another one"), "{said}");

    owner.terminal.keys(&["Escape"]);
    owner.line(":q!");
    owner.finish();
    for viewer in &viewers[1..] {
        assert!(viewer.last_words().contains("the session is over"), "{}", viewer.last_words());
    }
}

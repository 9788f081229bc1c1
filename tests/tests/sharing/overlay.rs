//! The overlay of `scry ssh` in a real terminal: what each of its keys does to those in the session, and that neither they
//! nor the program nor the recording's output ever see a byte of it.

use house::moved::entries;
use house::person::Person;
use house::sharing::{GUEST, Owner, SIZE, Viewer, Way, guests, told};
use house::terminal::Terminal;
use house::{Cluster, assert_success, wait_for};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

/// The escape key.
const ESCAPE: &str = "\x1d";

/// Presses the escape key and these, of which the last opens what has `title`; nobody else sees it. `next` is pressed then.
#[track_caller]
fn opens(owner: &Owner<'_>, viewers: &[Viewer], keys: &str, title: &str, next: &str) {
    owner.terminal.type_text(&format!("{ESCAPE}{keys}"));
    owner.terminal.wait_for(title);
    for viewer in viewers {
        assert!(!viewer.terminal.shows(title), "{title}: {:#?}", viewer.terminal.screen());
    }
    owner.terminal.type_text(next);
    wait_for(&format!("{title:?} to go"), || !owner.terminal.shows(title));
}

/// Waits until what the program has read is this and no more.
#[track_caller]
fn reads(file: &Path, expected: &str) {
    let read = || fs::read_to_string(file).unwrap_or_default();
    wait_for(&format!("{expected:?} at the program"), || read().len() >= expected.len());
    assert_eq!(read(), expected);
}

/// The number before somebody in a list of the overlay's.
fn number(terminal: &Terminal, user: &str) -> String {
    let mut found = None;
    wait_for(&format!("{user} in the list"), || {
        let rows = terminal.screen();
        let words = |row: &String| {
            let mut words = row.split_whitespace().skip_while(|word| word.parse::<u8>().is_err());
            Some((words.next()?.to_owned(), words.next()?.to_owned()))
        };
        found = rows.iter().filter_map(words).find(|(_, who)| who == user).map(|(at, _)| at);
        found.is_some()
    });
    found.expect("it was waited for")
}

#[test]
fn its_keys_do_what_they_say_and_no_byte_of_it_reaches_the_program_or_the_others_or_the_recording()
{
    let cluster = Cluster::start();
    guests(&cluster);
    let (bob, carol) =
        (Person::invited(&cluster, "bob", &[GUEST]), Person::invited(&cluster, "carol", &[GUEST]));
    let me = cluster.login.clone();
    let owner = Owner::by_scry(&cluster, SIZE);
    let file = cluster.path("typed");
    // It prints nothing from here on, and takes every byte as it is.
    let quiet =
        format!("stty raw -echo; clear; printf 'ready-%s' $((40+2)); cat > {}", file.display());
    owner.line(&quiet);
    owner.terminal.wait_for("ready-42");
    let mut viewers = vec![owner.join(&bob, Way::Scry, "peer", SIZE)];
    owner.terminal.wait_for("bob joined as peer");
    let refused = |user: &str| {
        told(&cluster, "seat.input_refused", |event| {
            event["user"] == user && event["session"] == owner.id.as_str()
        });
    };

    owner.terminal.type_text("one,");
    reads(&file, "one,");
    // Who is here; whatever closes it goes no further.
    opens(&owner, &viewers, "w", "who is here", "q");
    owner.terminal.type_text(&format!("{ESCAPE}w"));
    owner.terminal.wait_for("bob                  peer       types");
    owner.terminal.wait_for(&format!("{me:<20} owner      types"));
    owner.terminal.type_text("q");
    owner.all_see_the_same(&viewers);

    // How others come in: by what is shown there, somebody does.
    owner.terminal.type_text(&format!("{ESCAPE}s"));
    owner.terminal.wait_for("share: as what?");
    owner.terminal.type_text("p");
    let short = &owner.id[..8];
    owner.terminal.wait_for(&format!("scry join {short} --as peer"));
    owner.terminal.wait_for(&format!("ssh -t {} peer", owner.seat()));
    owner.terminal.wait_for(&format!("scry share {short} --as peer --once"));
    let mut join = carol.command();
    join.args(["join", short, "--as", "peer"]).env("TERM", "xterm-256color");
    viewers.push(owner.come(&join, "peer", SIZE));
    assert!(!viewers[0].terminal.shows("scry join"), "{:#?}", viewers[0].terminal.screen());
    owner.terminal.type_text("q");
    owner.terminal.wait_for("carol joined as peer");
    owner.all_see_the_same(&viewers);

    // Something is said to all.
    let said = "look at $(this) ä漢 ; exit";
    owner.terminal.type_text(&format!("{ESCAPE}c"));
    owner.terminal.wait_for("say:");
    owner.terminal.type_text(&format!("{said}\r"));
    let heard = format!("{me}: {said}");
    owner.terminal.wait_for(&heard);
    viewers.iter().for_each(|viewer| viewer.terminal.wait_for(&heard));
    owner.all_see_the_same(&viewers);

    // The keyboard is handed over, taken back, and everybody's.
    owner.terminal.type_text(&format!("{ESCAPE}h"));
    owner.terminal.wait_for("who types from now on?");
    let place = number(&owner.terminal, "bob");
    owner.terminal.type_text(&place);
    viewers[1].terminal.wait_for("bob has the keyboard");
    wait_for("only bob to type", || owner.types("bob") && !owner.types(&me));
    owner.terminal.type_text("never,");
    refused(&me);
    viewers[0].terminal.type_text("by bob,");
    reads(&file, "one,by bob,");
    owner.terminal.type_text(&format!("{ESCAPE}t"));
    wait_for("only the owner to type", || owner.types(&me) && !owner.types("bob"));
    viewers[0].terminal.type_text("nor this,");
    refused("bob");
    owner.terminal.type_text("two,");
    reads(&file, "one,by bob,two,");
    owner.terminal.type_text(&format!("{ESCAPE}a"));
    wait_for("all to type", || ["bob", "carol", &me].iter().all(|user| owner.types(user)));
    viewers[1].terminal.type_text("by carol,");
    reads(&file, "one,by bob,two,by carol,");
    owner.terminal.type_text("three,");
    reads(&file, "one,by bob,two,by carol,three,");

    // The escape key in a paste is the program's, and twice it is once for the program.
    let pasted = format!("\x1b[200~a{ESCAPE}w\x1b[201~");
    owner.terminal.type_text(&format!("{pasted}{ESCAPE}{ESCAPE}"));
    reads(&file, &format!("one,by bob,two,by carol,three,{pasted}{ESCAPE}"));
    assert!(!owner.terminal.shows("who is here"), "{:#?}", owner.terminal.screen());

    // Somebody has to go.
    owner.terminal.type_text(&format!("{ESCAPE}o"));
    owner.terminal.wait_for("who has to go?");
    let place = number(&owner.terminal, "carol");
    owner.terminal.type_text(&place);
    let carols = viewers.pop().unwrap().last_words();
    assert!(carols.contains("you were shown out"), "{carols}");
    owner.terminal.wait_for(&format!("{me} showed carol out"));
    viewers[0].terminal.wait_for("carol left");
    owner.all_see_the_same(&viewers);

    // The end needs a second key; another than that is none.
    opens(&owner, &viewers, "x", "end this session and everything in it?", "n");
    owner.terminal.type_text("four,");
    let all = format!("one,by bob,two,by carol,three,{pasted}{ESCAPE}four,");
    reads(&file, &all);
    owner.terminal.type_text(&format!("{ESCAPE}x"));
    owner.terminal.wait_for("end this session and everything in it?");
    owner.terminal.type_text("y");
    let words = viewers.pop().unwrap().last_words();
    assert!(words.contains("the session is over: ") && words.contains("ended"), "{words}");
    let words = owner.terminal.wait_for_end();
    println!("the owner's terminal at last:\n{words}");
    for never in ["who is here", "who types", "who has to go", "say:", "end this session"] {
        assert!(!words.contains(never), "{never} is left on the owner's terminal: {words}");
    }
    reads(&file, &all);

    let row = owner.recording();
    assert_success(&cluster.verify(&owner.id));
    let entries = entries(&cluster, &owner.id);
    let output: String =
        entries.iter().filter_map(|entry| entry["output"]["text"].as_str()).collect();
    let (_, behind) = output.rsplit_once("ready-42").expect("the program began");
    assert_eq!(behind, "", "the program wrote nothing, so nothing else may stand there");
    assert!(!output.contains("who") && !output.contains("\x1b7"), "{output:?}");

    let people: Vec<&Value> =
        entries.iter().map(|entry| &entry["people"]).filter(|people| !people.is_null()).collect();
    let party = |user: &str| {
        let seats = people.iter().find(|one| one["seated"]["user"] == user);
        seats.unwrap_or_else(|| panic!("{user} in {people:#?}"))["seated"]["party"].clone()
    };
    let (bob, carol) = (party("bob"), party("carol"));
    let stands = [
        json!({"said": {"party": 0, "text": said}}),
        json!({"keyboard": {"held": bob}}),
        json!({"keyboard": {"held": 0}}),
        json!({"keyboard": {"held": null}}),
        json!({"shown_out": {"party": carol, "by": 0}}),
        json!({"left": {"party": carol}}),
    ];
    let mut rest = people.iter();
    for one in &stands {
        assert!(rest.any(|there| *there == one), "{one} in its place in {people:#?}");
    }
    let typed = |party: &Value| -> u64 {
        let theirs = entries.iter().filter(|entry| entry["typed"]["party"] == *party);
        theirs.filter_map(|entry| entry["typed"]["count"].as_u64()).sum()
    };
    assert_eq!((typed(&bob), typed(&carol)), (7, 9));
    let own = all.len() - "by bob,by carol,".len() + quiet.len() + 1;
    assert_eq!(typed(&json!(0)), own as u64);
    let end = entries.iter().rev().find(|entry| !entry["end"].is_null());
    println!("{end:?} {row}");
    told(&cluster, "session.end", |event| {
        event["session"] == owner.id.as_str()
            && event["why"].as_str().is_some_and(|why| why.contains("ended"))
    });
}

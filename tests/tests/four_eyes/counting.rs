//! Who counts, and until when; and what a moderator may do and nobody else.

use crate::{A_WHILE, AT_ONCE, Watched, bob_and_carol, ended_because, nothing_runs};
use house::company::Line;
use house::eyes::{
    Client, Counter, can_freeze, people, processes, stands_as, that_can_freeze, with_eyes,
};
use house::person::{Person, words};
use house::{assert_success, wait_for};
use serde_json::{Value, json};
use std::time::Duration;

#[test]
fn two_who_must_be_there_are_two_people_and_neither_the_owner_nor_anybody_who_does_not_count() {
    let cluster = with_eyes("count = 2");
    // An owner who holds what counts, too.
    let bob = Person::invited(&cluster, "bob", &["worker", "eyes"]);
    let carol = Person::invited(&cluster, "carol", &["eyes"]);
    let dave = Person::invited(&cluster, "dave", &["eyes"]);
    let erin = Person::invited(&cluster, "erin", &["guest"]);
    let counter = Counter::new(&cluster, "counter");
    let owner = Client::open(&cluster, &bob, &[], &counter.command());
    let session = owner.waits();
    assert!(owner.said().contains("2 people"), "{}", owner.said());
    let come = |person, seat| Client::seated(&cluster, person, &session, seat);
    let _seats = [
        come(&carol, "moderator"),
        come(&carol, "moderator"),
        come(&bob, "peer"),
        come(&bob, "observer"),
        come(&erin, "moderator"),
        come(&dave, "observer"),
        come(&dave, "peer"),
    ];
    // Nobody moderates what is their own.
    let mut own = Client::come(&cluster, &bob, &session, "moderator");
    assert!(!own.ended().success());
    nothing_runs(&cluster, &session, "carol twice and many others");
    drop(_seats);
    wait_for("them to leave", || people(&cluster, &session) == 1);
    let (moderator, mut dave) = (come(&carol, "moderator"), come(&dave, "moderator"));
    counter.runs();
    stands_as(&cluster, &session, "running");
    let mut watched = Watched { owner, moderator, counter, session };
    if can_freeze() {
        let took = watched.stops_by("one of two", |_| dave.types("q"));
        assert!(took < AT_ONCE, "{took:?}");
        stands_as(&cluster, &watched.session, "frozen");
    }
}

#[test]
fn whoever_looked_on_first_counts_when_they_come_as_what_counts() {
    let cluster = with_eyes("");
    let (bob, carol) = bob_and_carol(&cluster);
    let counter = Counter::new(&cluster, "counter");
    let owner = Client::open(&cluster, &bob, &[], &counter.command());
    let session = owner.waits();
    let _looks = Client::seated(&cluster, &carol, &session, "observer");
    nothing_runs(&cluster, &session, "an observer");
    let _moderates = Client::seated(&cluster, &carol, &session, "moderator");
    counter.runs();
}

#[test]
fn one_person_in_two_seats_is_there_until_both_are_empty() {
    let Some(cluster) = that_can_freeze("") else { return };
    let (bob, carol) = bob_and_carol(&cluster);
    let mut watched = Watched::start(&cluster, (&bob, &carol), "counter");
    let mut second = Client::seated(&cluster, &carol, &watched.session, "moderator");
    watched.moderator.types("q");
    wait_for("the first seat", || people(&cluster, &watched.session) == 2);
    std::thread::sleep(Duration::from_millis(500));
    watched.counter.runs();
    let took = watched.stops_by("the second seat", |_| second.types("q"));
    assert!(took < AT_ONCE, "{took:?}");
}

#[test]
fn a_moderator_freezes_thaws_and_ends_and_nobody_else_does() {
    let Some(cluster) = that_can_freeze("") else { return };
    let (bob, carol) = bob_and_carol(&cluster);
    let dave = Person::invited(&cluster, "dave", &["guest"]);
    let erin = Person::invited(&cluster, "erin", &["guest"]);
    let frank = Person::invited(&cluster, "frank", &["guest"]);
    let mut watched = Watched::start(&cluster, (&bob, &carol), "counter");
    let session = watched.session.clone();
    let _seats = [
        Client::seated(&cluster, &dave, &session, "observer"),
        Client::seated(&cluster, &erin, &session, "peer"),
    ];
    let seat = format!("+{session}@{}", cluster.host());
    let refused = |person: &Person<'_>, asks: &[&str]| {
        let mut line = Line::open(person.ssh_command(), &seat);
        for ask in asks {
            let answer = line.ask(json!({ "ask": ask }));
            assert_eq!(answer["told"], "refused", "{ask}");
        }
    };
    for person in [&dave, &erin] {
        refused(person, &["freeze", "thaw", "end"]);
    }
    refused(&bob, &["freeze", "thaw"]);
    let line = frank.ssh_command().args(["-s", &seat, "scry-company"]).output().unwrap();
    assert!(!line.status.success(), "who has no seat has no line: {}", words(&line));
    watched.counter.runs();

    let took = watched.stops_by("by hand", |watched| watched.moderator.types("f"));
    assert!(took < AT_ONCE, "{took:?}");
    watched.owner.wait_said("carol has frozen this session");
    // Nobody thaws it who could not freeze it.
    for person in [&dave, &erin] {
        refused(person, &["thaw", "end"]);
    }
    refused(&bob, &["thaw"]);
    watched.counter.stands(A_WHILE);
    watched.moderator.types("t");
    watched.counter.runs();
    watched.owner.wait_said("the session goes on");

    watched.moderator.types("xn");
    std::thread::sleep(Duration::from_millis(300));
    watched.counter.runs();
    let took = watched.stops_by("ended", |watched| watched.moderator.types("xy"));
    assert!(took < AT_ONCE, "{took:?}");
    watched.owner.ended();
    assert!(
        watched.owner.said().contains("a moderator ended it (carol)"),
        "{}",
        watched.owner.said()
    );
    assert!(processes(&session).is_empty());
    ended_because(&cluster, &session, "a moderator ended it");
    assert!(watched.moderator.ended().success());
}

#[test]
fn a_moderator_who_may_no_longer_be_there_does_not_count_from_that_moment_on() {
    let Some(cluster) = that_can_freeze("") else { return };
    let (bob, carol) = bob_and_carol(&cluster);
    let mut watched = Watched::start(&cluster, (&bob, &carol), "counter");
    let demoted = |role: &str| {
        assert_success(&cluster.scry(&["users", "add", "carol", "--role", role]));
    };
    let took = watched.stops_by("demoted", |_| demoted("access"));
    assert!(took < AT_ONCE * 3, "{took:?}");
    stands_as(&cluster, &watched.session, "frozen");
    demoted("eyes");
    watched.moderator = Client::come(&cluster, &carol, &watched.session, "moderator");
    watched.counter.runs();

    let lock = |user: &str| {
        cluster.scry_json(&["lock", "--json", "--reason", "lost laptop", "--user", user])
    };
    let mut made = Value::Null;
    let took = watched.stops_by("locked", |_| made = lock("carol"));
    assert!(took < AT_ONCE * 3, "{took:?}");
    stands_as(&cluster, &watched.session, "frozen");
    assert_success(&cluster.scry(&["unlock", &made["id"].to_string()]));
    watched.moderator = Client::come(&cluster, &carol, &watched.session, "moderator");
    watched.counter.runs();

    // The owner is locked out: it ends, whether it runs, stands still or waits.
    let mut frozen = Watched::start(&cluster, (&bob, &carol), "another-counter");
    frozen.moderator.types("q");
    stands_as(&cluster, &frozen.session, "frozen");
    let mut waiting = Client::open(&cluster, &bob, &[], "true");
    let waits = waiting.waits();
    lock("bob");
    let ended = [&mut watched, &mut frozen].map(|one| (&mut one.owner, one.session.as_str()));
    for (owner, session) in ended.into_iter().chain([(&mut waiting, waits.as_str())]) {
        assert!(!owner.ended().success());
        assert!(owner.said().contains("locked this"), "{}", owner.said());
        wait_for("the end of its processes", || processes(session).is_empty());
        ended_because(&cluster, session, "lost laptop");
    }
}

#[test]
fn a_moderator_who_may_no_longer_be_there_is_told_so_and_gets_their_terminal_back() {
    let Some(cluster) = that_can_freeze("") else { return };
    let (bob, carol) = bob_and_carol(&cluster);
    let mut watched = Watched::start(&cluster, (&bob, &carol), "counter");
    assert_success(&cluster.scry(&["users", "add", "carol", "--role", "access"]));
    watched.moderator.wait_printed("no longer");
    watched.moderator.ended();
    // The alternate screen is left (xterm, mode 1049).
    assert!(watched.moderator.printed().contains("\u{1b}[?1049l"));
}

#[test]
fn a_moderator_who_may_still_look_but_no_longer_counts_does_not_count_from_that_moment_on() {
    let Some(cluster) = that_can_freeze("") else { return };
    let bob = Person::invited(&cluster, "bob", &["worker"]);
    let carol = Person::invited(&cluster, "carol", &["eyes", "guest"]);
    let mut watched = Watched::start(&cluster, (&bob, &carol), "counter");
    let took = watched.stops_by("what counts was taken away", |_| {
        assert_success(&cluster.scry(&["users", "add", "carol", "--role", "guest"]));
    });
    assert!(took < AT_ONCE * 3, "{took:?}");
    stands_as(&cluster, &watched.session, "frozen");
    assert!(!watched.moderator.has_ended(), "they may look on");
    let both = ["users", "add", "carol", "--role", "guest", "--role", "eyes"];
    assert_success(&cluster.scry(&both));
    watched.counter.runs();
    stands_as(&cluster, &watched.session, "running");
}

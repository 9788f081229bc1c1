//! Those who must be there leave, fall silent or do not answer: what runs stops, and goes on when they are back.

use crate::{A_WHILE, AT_ONCE, Watched, bob_and_carol, ended_because, join, time_line};
use house::eyes::{
    Client, Counter, DEMAND, listed, processes, stands_as, that_can_freeze, with_eyes,
};
use house::terminal::Terminal;
use house::{long, wait_for};
use std::fs;
use std::process::Command;
use std::time::{Duration, SystemTime};

/// A way to leave.
type Way = (&'static str, fn(&mut Client));

#[test]
fn when_the_last_who_must_be_there_leaves_everything_stops_at_once_and_goes_on_when_they_are_back()
{
    let Some(cluster) = that_can_freeze("") else { return };
    let (bob, carol) = bob_and_carol(&cluster);
    let (counter, typed) = (Counter::new(&cluster, "counter"), cluster.path("typed"));
    let program = format!(
        "({}) & while read -r line; do echo \"$line\" >> {}; done",
        counter.loud(),
        typed.display()
    );
    let owner = Client::open(&cluster, &bob, &["-tt"], &program);
    let session = owner.waits();
    let come = || Client::come(&cluster, &carol, &session, "moderator");
    let moderator = come();
    counter.runs();
    let mut watched = Watched { owner, moderator, counter, session: session.clone() };
    let ways: [Way; 4] = [
        ("left with q", |moderator| moderator.types("q")),
        ("connection closed", |moderator| moderator.signal("TERM")),
        ("killed", |moderator| moderator.signal("KILL")),
        ("input ended", |moderator| moderator.ends_input()),
    ];
    for (round, (name, leave)) in ways.into_iter().enumerate() {
        let took = watched.stops_by(name, |watched| leave(&mut watched.moderator));
        assert!(took < AT_ONCE, "{name}: {took:?}");
        let line = format!("the session is frozen: it needs somebody for \u{201c}{DEMAND}");
        wait_for(&line, || watched.owner.said().matches(&line).count() == round + 1);
        stands_as(&cluster, &session, "frozen");
        let (printed, line) = (watched.owner.printed(), format!("typed in round {round}"));
        watched.owner.types(&format!("{line}\r"));
        watched.counter.stands(A_WHILE);
        assert_eq!(watched.owner.printed(), printed, "{name}: something came out");
        assert!(!fs::read_to_string(&typed).unwrap_or_default().contains(&line), "{name}");
        assert!(!processes(&session).is_empty(), "nothing was ended");

        // What was typed meanwhile waits with the program.
        watched.moderator = come();
        watched.counter.runs();
        stands_as(&cluster, &session, "running");
        let goes_on = || watched.owner.said().matches("the session goes on").count();
        wait_for("a line that it goes on", || goes_on() == round + 1);
        wait_for("what was typed", || {
            let all = fs::read_to_string(&typed).unwrap_or_default();
            all.lines().filter(|one| **one == line).count() == 1
        });
    }
    // The owner goes home while it stands still: nothing would ever wake it.
    watched.moderator.types("q");
    stands_as(&cluster, &session, "frozen");
    watched.owner.signal("KILL");
    wait_for("the end of what stood still", || processes(&session).is_empty());
    ended_because(&cluster, &session, "");
}

#[test]
fn whoever_comes_and_is_gone_again_at_once_leaves_nothing_running() {
    let Some(cluster) = that_can_freeze("") else { return };
    let (bob, carol) = bob_and_carol(&cluster);
    for round in 0..if long() { 60 } else { 8 } {
        let counter = Counter::new(&cluster, &format!("counter-{round}"));
        let flags: &[&str] = if round % 2 == 0 { &["-tt"] } else { &[] };
        let owner = Client::open(&cluster, &bob, flags, &counter.command());
        let session = owner.waits();
        let mut moderator = Client::come(&cluster, &carol, &session, "moderator");
        if round % 4 < 2 {
            moderator.types("q");
        } else {
            owner.wait_said("the session begins");
            moderator.signal("KILL");
        }
        moderator.ended();
        wait_for("it to stand still", || {
            ["waiting", "frozen"].iter().any(|state| listed(&cluster, &session)["state"] == *state)
        });
        let mut watched = Watched { owner, moderator, counter, session };
        watched.counter.stands(Duration::from_millis(500));
        assert!(!watched.owner.has_ended(), "{}", watched.owner.said());
        watched.moderator = Client::come(&cluster, &carol, &watched.session, "moderator");
        watched.counter.runs();
    }
}

#[test]
fn whoever_must_be_there_and_is_silent_does_not_count_until_they_are_heard_again() {
    let Some(cluster) = that_can_freeze("") else { return };
    let (bob, carol) = bob_and_carol(&cluster);
    let mut watched = Watched::start(&cluster, (&bob, &carol), "counter");
    for _ in 0..2 {
        std::thread::sleep(A_WHILE);
        let took = watched.stops_by("silent", |watched| watched.moderator.signal("STOP"));
        assert!(took < Duration::from_secs(5), "3.2 s are the bar: {took:?}");
        stands_as(&cluster, &watched.session, "frozen");
        watched.counter.stands(A_WHILE);
        watched.moderator.signal("CONT");
        watched.counter.runs();
        stands_as(&cluster, &watched.session, "running");
    }
    assert!(!watched.moderator.has_ended(), "they never left");
    watched.owner.signal("TERM");
    let lines = time_line(&cluster, &watched.session);
    assert!(lines.contains("frozen") && lines.contains("goes on"), "{lines}");
}

#[test]
fn somebody_whose_line_went_silent_comes_back_by_another_one() {
    let Some(cluster) = that_can_freeze("") else { return };
    let (bob, carol) = bob_and_carol(&cluster);
    let mut watched = Watched::start(&cluster, (&bob, &carol), "counter");
    watched.stops_by("silent", |watched| watched.moderator.signal("STOP"));
    stands_as(&cluster, &watched.session, "frozen");
    let _again = Client::seated(&cluster, &carol, &watched.session, "moderator");
    watched.counter.runs();
    stands_as(&cluster, &watched.session, "running");
    // Both lines are heard now, and are one person.
    watched.moderator.signal("CONT");
    watched.counter.runs();
}

#[test]
fn whoever_comes_by_scry_counts_for_as_long_as_they_are_there() {
    let Some(cluster) = that_can_freeze("") else { return };
    let (bob, _carol) = bob_and_carol(&cluster);
    let counter = Counter::new(&cluster, "counter");
    let owner = Client::open(&cluster, &bob, &[], &counter.command());
    let session = owner.waits();
    let terminal =
        Terminal::start(cluster.folder.path(), 80, 24, &join(&cluster, "carol", &session));
    counter.runs();
    terminal.wait_for("goes on");
    // Longer than silence would be borne.
    std::thread::sleep(Duration::from_secs(8));
    assert_eq!(listed(&cluster, &session)["state"], "running");
    assert!(!owner.said().contains("frozen"), "{}", owner.said());
    let pid = processes(&cluster.path("carol").display().to_string());
    let moderator = Client::start(Command::new("true"));
    let mut watched = Watched { owner, moderator, counter, session };
    let signal = |name: &str| {
        let pids = pid.iter().map(u32::to_string);
        assert!(Command::new("kill").arg(name).args(pids).status().unwrap().success());
    };
    let took = watched.stops_by("silent", |_| signal("-STOP"));
    assert!(took < Duration::from_secs(5), "{took:?}");
    signal("-CONT");
    watched.counter.runs();
    let took = watched.stops_by("killed", |_| signal("-KILL"));
    assert!(took < AT_ONCE, "{took:?}");
}

#[test]
fn whoever_is_asked_and_does_not_say_that_they_are_there_does_not_count_until_they_do() {
    if !long() {
        println!("skipped: it takes more than a minute; SCRY_TEST_LONG=1 runs it");
        return;
    }
    let Some(cluster) = that_can_freeze("confirm_minutes = 1") else { return };
    let (bob, carol) = bob_and_carol(&cluster);
    let mut watched = Watched::start(&cluster, (&bob, &carol), "counter");
    std::thread::sleep(Duration::from_secs(55));
    watched.counter.runs();
    watched.moderator.wait_printed("are you there?");
    // 15 seconds to answer.
    std::thread::sleep(Duration::from_secs(10));
    watched.counter.runs();
    let began = SystemTime::now();
    let took = watched.counter.stopped_since(began);
    println!("not confirmed: it ran on for {took:?}");
    stands_as(&cluster, &watched.session, "frozen");
    watched.moderator.types("y");
    watched.counter.runs();
    stands_as(&cluster, &watched.session, "running");
}

#[test]
fn where_the_demand_says_so_the_session_ends_with_all_that_it_began() {
    let cluster = with_eyes("on_leave = 'end'");
    let (bob, carol) = bob_and_carol(&cluster);
    let nap = format!("{}7", std::process::id());
    let counter = Counter::new(&cluster, "counter");
    let program = format!(
        "setsid -f env -i /bin/sleep {nap}; (trap '' HUP TERM; setsid -f sleep {nap}); {}",
        counter.command()
    );
    let mut owner = Client::open(&cluster, &bob, &["-tt"], &program);
    let session = owner.waits();
    let mut moderator = Client::come(&cluster, &carol, &session, "moderator");
    counter.runs();
    assert_eq!(processes(&nap).len(), 2, "both daemons");
    let began = SystemTime::now();
    moderator.types("q");
    let took = counter.stopped_since(began);
    println!("ended: it ran on for {took:?}");
    assert!(took < AT_ONCE, "{took:?}");
    assert!(!owner.ended().success());
    assert!(owner.said().contains("somebody who must be there has left"), "{}", owner.said());
    assert_eq!((processes(&nap), processes(&session)), (vec![], vec![]));
    ended_because(&cluster, &session, "somebody who must be there has left");
    assert!(time_line(&cluster, &session).contains("somebody who must be there has left"));
}

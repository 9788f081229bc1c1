//! Those who must be there leave, fall silent or do not answer: what runs stops, and goes on when they are back.

use crate::{A_WHILE, AT_ONCE, Watched, bob_and_carol, ended_because, join, time_line};
use house::eyes::{
    Client, Counter, DEMAND, can_freeze, listed, processes, set_roles, stands_as, that_can_freeze,
    told, with_eyes,
};
use house::person::Person;
use house::process::send;
use house::relay::{Line, Relay};
use house::sharing::{SIZE, Way, seat_of, way_to};
use house::terminal::Terminal;
use house::{Cluster, free_port, long, wait_for};
use serde_json::Value;
use std::fs;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

/// A way to leave.
type Leave = (&'static str, fn(&mut Client));

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
    let ways: [Leave; 4] = [
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
fn what_a_session_leaves_behind_does_not_go_on_without_those_who_must_be_there() {
    let Some(cluster) = that_can_freeze("") else { return };
    let (bob, carol) = bob_and_carol(&cluster);
    for (name, leaves) in [("exit", "sleep 2"), ("hang-up", "sleep 1000")] {
        let counter = Counter::new(&cluster, name);
        let behind = format!("({}) </dev/null >/dev/null 2>&1 & {leaves}", counter.command());
        let owner = Client::open(&cluster, &bob, &[], &behind);
        let session = owner.waits();
        let _moderator = Client::come(&cluster, &carol, &session, "moderator");
        counter.runs();
        if name == "hang-up" {
            owner.signal("KILL");
        }
        wait_for("the end of what was left behind", || processes(&session).is_empty());
        counter.stands(A_WHILE);
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

/// A session that somebody looks at over a line that can be cut.
struct OverALine {
    watched: Watched,
    relay: Relay,
    terminal: Terminal,
}

impl OverALine {
    /// `bob` runs a counter, `carol` comes this way.
    fn start(cluster: &Cluster, (bob, carol): (&Person<'_>, &Person<'_>), way: Way) -> Self {
        let relay = Relay::start(&cluster.address);
        let carol = carol.behind(&relay);
        let join = |session: &str| way_to(cluster, session, &carol, way, "moderator");
        Self::start_by(cluster, bob, relay, &format!("counter-{way:?}"), join)
    }

    /// `carol` comes by plain ssh over the node's own port.
    fn at_the_node(cluster: &Cluster, (bob, carol): (&Person<'_>, &Person<'_>), port: u16) -> Self {
        let relay = Relay::start(&format!("127.0.0.1:{port}"));
        let (_, port) = relay.address.rsplit_once(':').unwrap();
        let port = port.parse().unwrap();
        let join = |session: &str| {
            let mut ssh = cluster.direct(carol.ssh_command(), port);
            ssh.args(["-tt", "-e", "none", &seat_of(cluster, session), "moderator"]);
            ssh
        };
        Self::start_by(cluster, bob, relay, "counter-direct", join)
    }

    fn start_by(
        cluster: &Cluster,
        bob: &Person<'_>,
        relay: Relay,
        name: &str,
        join: impl FnOnce(&str) -> Command,
    ) -> Self {
        let counter = Counter::new(cluster, name);
        let owner = Client::open(cluster, bob, &[], &counter.command());
        let session = owner.waits();
        // By scry it is looked for on the list.
        stands_as(cluster, &session, "waiting");
        let terminal = Terminal::run(cluster.folder.path(), SIZE, &join(&session));
        counter.runs();
        // She is in the terminal.
        let moderator = Client::start(Command::new("true"));
        Self { watched: Watched { owner, moderator, counter, session }, relay, terminal }
    }
}

#[test]
fn whoever_looks_by_plain_ssh_over_a_line_that_goes_silent_counts_again_when_it_carries() {
    check_silent_line(Way::Ssh);
}

#[test]
fn whoever_looks_by_scry_over_a_line_that_goes_silent_counts_again_when_it_carries() {
    check_silent_line(Way::Scry);
}

fn check_silent_line(way: Way) {
    let Some(cluster) = that_can_freeze("") else { return };
    let (bob, carol) = bob_and_carol(&cluster);
    let OverALine { mut watched, relay, terminal } =
        OverALine::start(&cluster, (&bob, &carol), way);
    let session = watched.session.clone();
    let people = || listed(&cluster, &session)["people"].clone();
    wait_for("carol on the list", || people()[1]["user"] == "carol");
    let before = people();
    assert_eq!(before[1]["seat"], "moderator");
    let took = watched.stops_by(&format!("line silent, {way:?}"), |_| relay.set(Line::Silent));
    assert!(took < Duration::from_secs(5), "3.2 s are the bar: {took:?}");
    stands_as(&cluster, &session, "frozen");
    watched.counter.stands(A_WHILE);
    relay.set(Line::Whole);
    // Nobody does anything.
    watched.counter.runs();
    stands_as(&cluster, &session, "running");
    terminal.wait_for("goes on");
    assert_eq!(people(), before, "the same seat since the same moment");
    assert!(!terminal.has_ended(), "{}", terminal.all());
    watched.owner.signal("TERM");
    let lines = time_line(&cluster, &session);
    let count = |word: &str| lines.matches(word).count();
    // It waited for her at first.
    assert_eq!(
        (count("carol joined"), count("frozen: the session"), count(" goes on]")),
        (1, 1, 2),
        "{lines}"
    );
    assert_eq!(count(" left"), 0, "{lines}");
    assert_eq!(cluster.audit("seat.taken").len(), 1);
}

#[test]
fn whoever_is_not_heard_of_for_longer_than_anybody_waits_is_out_and_comes_back_by_joining_again() {
    if !long() {
        println!("skipped: it takes more than a minute; SCRY_TEST_LONG=1 runs it");
        return;
    }
    if !can_freeze() {
        return;
    }
    let port = free_port();
    let cluster = Cluster::start_with(&["--ssh-listen", &format!("127.0.0.1:{port}")]);
    set_roles(&cluster, "");
    let (bob, carol) = bob_and_carol(&cluster);
    // The proxy waits for 25 s, and the node, where it is reached without one, for a minute.
    let proxy = ("the connection broke off", 20..40);
    let node = ("nothing was heard of the client for 60 s", 55..80);
    let mut all = [
        (OverALine::start(&cluster, (&bob, &carol), Way::Ssh), &proxy, ""),
        (OverALine::start(&cluster, (&bob, &carol), Way::Scry), &proxy, "the connection ended"),
        (OverALine::at_the_node(&cluster, (&bob, &carol), port), &node, "closed."),
    ];
    let began = Instant::now();
    all.iter().for_each(|(one, ..)| one.relay.set(Line::Silent));
    all.iter().for_each(|(one, ..)| stands_as(&cluster, &one.watched.session, "frozen"));
    for (OverALine { watched, relay, terminal }, (why, seconds), words) in &mut all {
        let session = watched.session.clone();
        let mut left = Value::Null;
        while left.is_null() {
            let events = cluster.audit("seat.left");
            let theirs = events.iter().find(|event| event["session"] == session.as_str());
            left = theirs.cloned().unwrap_or_default();
            assert!(began.elapsed() < Duration::from_secs(seconds.end), "{events:#?}");
            std::thread::sleep(Duration::from_millis(200));
        }
        let took = began.elapsed();
        println!("out after {took:?} of silence: {left}");
        assert!(took > Duration::from_secs(seconds.start), "{took:?}");
        assert_eq!((&left["user"], &left["why"]), (&"carol".into(), &(*why).into()));
        // What broke off may have been ended: of the connection only silence is told.
        let closed = if *why == node.0 { Value::from(*why) } else { Value::Null };
        told(&cluster, "connection.close", |event| {
            event["connection"] == left["connection"] && event["why"] == closed
        });
        stands_as(&cluster, &session, "frozen");
        relay.set(Line::Whole);
        let said = terminal.wait_for_end();
        assert!(said.contains(*words), "{said}");
        watched.counter.stands(A_WHILE);
        assert!(!watched.owner.has_ended(), "{}", watched.owner.said());
        assert_eq!(house::eyes::people(&cluster, &session), 1);
        let _again = Client::seated(&cluster, &carol, &session, "moderator");
        watched.counter.runs();
        stands_as(&cluster, &session, "running");
        watched.owner.signal("TERM");
        let lines = time_line(&cluster, &session);
        let count = |word: &str| lines.matches(word).count();
        assert_eq!((count("carol joined"), count("person 1 left")), (2, 1), "{lines}");
    }
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
    let signal = |name: &str| pid.iter().for_each(|pid| send(name, *pid));
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

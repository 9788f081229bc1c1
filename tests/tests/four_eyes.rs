//! Four eyes from outside: what waits for a second person, what stops when they leave, and what nobody gets around.

#[path = "four_eyes/counting.rs"]
mod counting;
#[path = "four_eyes/files.rs"]
mod files;
#[path = "four_eyes/leaving.rs"]
mod leaving;
#[path = "four_eyes/traces.rs"]
mod traces;
#[path = "four_eyes/waiting.rs"]
mod waiting;

use house::eyes::{Client, Counter, listed, processes, told};
use house::person::Person;
use house::{Cluster, assert_success, scry_path, wait_for};
use std::fs;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

/// Longest that a session may run on when nobody looks any more; the bench `freeze` holds it to 100 ms.
/// Silence is noticed later than this, so what is seen sooner is not that.
const AT_ONCE: Duration = Duration::from_secs(2);
/// As long as something that stands still is looked at.
const A_WHILE: Duration = Duration::from_secs(2);

/// Who works under four eyes, and who may look.
fn bob_and_carol(cluster: &Cluster) -> (Person<'_>, Person<'_>) {
    (Person::invited(cluster, "bob", &["worker"]), Person::invited(cluster, "carol", &["eyes"]))
}

/// A counter in a session that somebody looks at.
struct Watched {
    owner: Client,
    moderator: Client,
    counter: Counter,
    session: String,
}

impl Watched {
    /// `bob` runs it, `carol` looks.
    #[track_caller]
    fn start(cluster: &Cluster, (bob, carol): (&Person<'_>, &Person<'_>), name: &str) -> Self {
        let counter = Counter::new(cluster, name);
        let owner = Client::open(cluster, bob, &[], &counter.command());
        let session = owner.waits();
        let moderator = Client::come(cluster, carol, &session, "moderator");
        counter.runs();
        Self { owner, moderator, counter, session }
    }

    /// Does something by which the session must stop; prints and answers how long it ran on.
    #[track_caller]
    fn stops_by(&mut self, what: &str, stop: impl FnOnce(&mut Self)) -> Duration {
        let began = SystemTime::now();
        stop(self);
        let took = self.counter.stopped_since(began);
        println!("{what}: it ran on for {took:?}");
        took
    }
}

impl Drop for Watched {
    /// Leaves nothing behind that stands still: whoever kills the node would leave it so.
    fn drop(&mut self) {
        self.owner.kill();
        let began = Instant::now();
        while !processes(&self.session).is_empty() && began.elapsed() < A_WHILE {
            std::thread::sleep(Duration::from_millis(20));
        }
        for pid in processes(&self.session) {
            let _ = Command::new("kill").args(["-9", &pid.to_string()]).status();
        }
    }
}

/// The time line of a stored recording, as text; it verifies.
fn time_line(cluster: &Cluster, session: &str) -> String {
    wait_for("the recording", || {
        let rows = cluster.scry_json(&["recordings", "ls", "--json", "--limit", "1000"]);
        let rows = rows.as_array().unwrap();
        rows.iter().any(|row| row["id"] == session && row["phase"] == "stored")
    });
    assert_success(&cluster.verify(session));
    fs::read_to_string(cluster.export(session, "text")).unwrap()
}

/// What somebody runs on a terminal to come, and what keeps the terminal open afterwards.
fn join(cluster: &Cluster, user: &str, session: &str) -> String {
    let (home, scry) = (cluster.path(user), scry_path());
    format!("SCRY_HOME={} {} join {session} --as moderator; cat", home.display(), scry.display())
}

#[track_caller]
fn ended_because(cluster: &Cluster, session: &str, why: &str) {
    told(cluster, "session.end", |event| {
        event["session"] == session && event["why"].as_str().unwrap_or_default().contains(why)
    });
}

#[track_caller]
fn nothing_runs(cluster: &Cluster, session: &str, what: &str) {
    assert_eq!(processes(session), [0; 0], "{what}");
    // The list is told of it some tenths of a second later at most; from then on it waits.
    wait_for("it on the list", || !listed(cluster, session).is_null());
    assert_eq!(listed(cluster, session)["state"], "waiting", "{what}");
}

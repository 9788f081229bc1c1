//! Sessions that end: by locks, by removed and changed accounts, by expiry, length and idle time; with their processes.

use house::apart::Apart;
use house::person::{Person, words};
use house::relay::{Line, Relay};
use house::sharing::sessions;
use house::{Cluster, NODE, assert_success, free_port, long, text, wait_for};
use serde_json::Value;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Longest that an ending may take on a busy machine; on an idle one it is far below a second, and printed.
const SOON: Duration = Duration::from_secs(10);
/// Longest from the admin's command until the last process has gone, in the median of [`TIMES`].
const BAR: Duration = Duration::from_secs(1);
/// How often each kind of lock is measured.
const TIMES: usize = 5;

/// A role whose holders work on the account that the tests run as; `more` are lines of TOML.
fn set_role(cluster: &Cluster, name: &str, more: &str) {
    set_role_forwarding(cluster, name, more, "['local']");
}

fn set_role_forwarding(cluster: &Cluster, name: &str, more: &str, forward: &str) {
    let login = &cluster.login;
    let role = format!(
        "name = '{name}'\nallow = {{ logins = ['{login}'], nodes = {{ '*' = ['*'] }}, forward = {forward}, \
         recordings = {{ list = 'own' }} }}\n{more}\n"
    );
    cluster.set_role(&role);
}

/// A running session with a shell, a child that left it, and one that ignores every plea.
struct Live {
    /// Until somebody has waited for it.
    child: Option<Child>,
    sleepers: [String; 3],
}

impl Live {
    fn start(mut ssh: std::process::Command, host: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let tag = format!("{}{:03}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let command = format!(
            "setsid sleep 1{tag} & (trap '' HUP TERM; setsid -f sh -c 'setsid -f sleep 2{tag}'); sleep 3{tag}"
        );
        ssh.args(["-tt", host, &command]).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = ssh.spawn().unwrap();
        let live = Self {
            child: Some(child),
            sleepers: [1, 2, 3].map(|nr| format!("sleep\0{nr}{tag}\0")),
        };
        wait_for("the session", || live.running() == 3);
        live
    }

    /// Processes of it that are there.
    fn running(&self) -> usize {
        self.pids().len()
    }

    fn pids(&self) -> Vec<String> {
        let own = |entry: std::fs::DirEntry| {
            let line = std::fs::read(entry.path().join("cmdline")).ok()?;
            let is = self.sleepers.iter().any(|sleeper| sleeper.as_bytes() == line);
            is.then(|| entry.file_name().to_string_lossy().into_owned())
        };
        std::fs::read_dir("/proc").unwrap().filter_map(Result::ok).filter_map(own).collect()
    }

    fn is_open(&mut self) -> bool {
        self.child.as_mut().unwrap().try_wait().unwrap().is_none()
    }

    /// Waits until everything of it has gone; answers how long that took since `began`, and what the client said.
    #[track_caller]
    fn gone(mut self, began: Instant) -> (Duration, String) {
        while self.is_open() || self.running() > 0 {
            assert!(
                began.elapsed() < SOON,
                "{} processes, open: {}",
                self.running(),
                self.is_open()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
        let took = began.elapsed();
        (took, words(&self.child.take().unwrap().wait_with_output().unwrap()))
    }

    /// Goes home, and leaves running what was left running.
    fn log_out(&mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = (child.kill(), child.wait());
        }
        let left = self.pids();
        if !left.is_empty() {
            let _ = std::process::Command::new("kill").arg("-9").args(left).status();
        }
    }
}

fn lock(cluster: &Cluster, args: &[&str]) -> Value {
    let all: Vec<_> =
        ["lock", "--json", "--reason", "lost laptop"].iter().chain(args).copied().collect();
    cluster.scry_json(&all)
}

fn unlock(cluster: &Cluster, lock: &Value) {
    assert_success(&cluster.scry(&["unlock", &lock["id"].to_string()]));
}

/// The stored recording of a person's one session.
fn recording_of(cluster: &Cluster, user: &str) -> Value {
    let mut found = Value::Null;
    wait_for("the recording", || {
        let rows = cluster.scry_json(&["recordings", "ls", "--json", "--sessions", "--user", user]);
        found = rows[0].clone();
        found["phase"] == "stored"
    });
    found
}

/// Waits for an event in the ledger.
#[track_caller]
fn told(cluster: &Cluster, word: &str, fits: impl Fn(&Value) -> bool) {
    let mut last = Vec::new();
    let deadline = Instant::now() + Duration::from_secs(30);
    while Instant::now() < deadline {
        last = cluster.audit(word);
        if last.iter().any(&fits) {
            return;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("no such {word}: {last:#?}");
}

#[track_caller]
fn refused(out: &Output, word: &str) {
    assert!(!out.status.success() && words(out).contains(word), "{}", words(out));
}

#[test]
fn a_locked_user_is_out_within_a_second_with_everything_they_began_and_comes_in_again_when_it_is_lifted()
 {
    let cluster = Cluster::start();
    set_role(&cluster, "worker", "");
    let bob = Person::invited(&cluster, "bob", &["worker"]);
    let mut mine = Live::start(cluster.ssh_command(), &cluster.host());
    let live = Live::start(bob.ssh_command(), &cluster.host());
    let began = Instant::now();
    let made = lock(&cluster, &["--user", "bob"]);
    let (took, said) = live.gone(began);
    println!("from `scry lock` to the last process: {took:?}");
    assert!(said.contains("locked this (lock 1)") && !said.contains("laptop"), "{said}");
    assert!(mine.is_open() && mine.running() == 3, "somebody else's goes on");

    refused(&bob.ssh("true"), "");
    refused(&bob.run(&["nodes"]), "lock 1");
    refused(&bob.login("1h"), "lock 1");
    let listed = text(&cluster.scry(&["locks"]));
    assert!(listed.contains("user bob") && listed.contains("lost laptop"), "{listed}");

    let why = |event: &Value| event["why"].as_str().unwrap_or_default().to_owned();
    told(&cluster, "lock.create", |event| event["target"] == "user bob");
    told(&cluster, "access.denied", |event| {
        event["user"] == "bob" && why(event).contains("lock 1 on user bob (lost laptop)")
    });
    told(&cluster, "session.end", |event| {
        event["user"] == "bob"
            && why(event).contains("lost laptop")
            && why(event).contains("processes were ended")
    });
    let id = recording_of(&cluster, "bob")["id"].as_str().unwrap().to_owned();
    let lines = std::fs::read_to_string(cluster.export(&id, "jsonl")).unwrap();
    assert!(lines.contains("lost laptop") && lines.contains("processes were ended"), "{lines}");

    unlock(&cluster, &made);
    told(&cluster, "lock.remove", |event| event["lock"] == made["id"]);
    wait_for("bob to be let in again", || bob.ssh("true").status.success());
}

#[test]
fn a_lock_on_a_login_a_node_a_role_or_a_session_ends_what_it_names_and_nothing_else() {
    let cluster = Cluster::start();
    set_role(&cluster, "worker", "");
    let bob = Person::invited(&cluster, "bob", &["worker"]);
    for (args, others) in [
        (["--login", cluster.login.as_str()], false),
        (["--node", NODE], false),
        (["--role", "worker"], true),
    ] {
        let mut mine = Live::start(cluster.ssh_command(), &cluster.host());
        let live = Live::start(bob.ssh_command(), &cluster.host());
        let began = Instant::now();
        let made = lock(&cluster, &args);
        let (took, said) = live.gone(began);
        println!("{args:?}: {took:?}");
        assert!(said.contains("locked this"), "{said}");
        refused(&bob.ssh("true"), "");
        match others {
            true => {
                assert!(mine.is_open() && mine.running() == 3, "{args:?} is not the admin's");
            }
            false => drop(mine.gone(began)),
        }
        unlock(&cluster, &made);
        wait_for("bob to be let in again", || bob.ssh("true").status.success());
    }

    // One of two sessions of one connection.
    let socket = cluster.path("mux");
    let shared = |ssh: &mut std::process::Command| {
        ssh.args(["-o", "ControlMaster=auto", "-o"])
            .arg(format!("ControlPath={}", socket.display()));
    };
    let mut first = bob.ssh_command();
    shared(&mut first);
    let mut kept = Live::start(first, &cluster.host());
    let live = cluster.scry_json(&["recordings", "ls", "--json", "--live", "--user", "bob"]);
    let known = live[0]["id"].clone();
    let mut second = bob.ssh_command();
    shared(&mut second);
    let one = Live::start(second, &cluster.host());
    let mut id = Value::Null;
    wait_for("the second recording", || {
        let live = cluster.scry_json(&["recordings", "ls", "--json", "--live", "--user", "bob"]);
        let rows = live.as_array().unwrap();
        id =
            rows.iter().find(|row| row["id"] != known).map_or(Value::Null, |row| row["id"].clone());
        !id.is_null()
    });
    let began = Instant::now();
    lock(&cluster, &["--session", &id.as_str().unwrap()[..8]]);
    let (took, said) = one.gone(began);
    println!("one session: {took:?}");
    assert!(said.contains("ended this session"), "{said}");
    assert!(kept.is_open() && kept.running() == 3, "the other session of the connection goes on");
    told(&cluster, "session.end", |event| {
        event["session"] == id && event["why"].as_str().unwrap_or_default().contains("lost laptop")
    });
}

#[test]
fn a_lock_on_a_user_a_node_or_a_session_ends_what_is_live_within_a_second() {
    let cluster = Cluster::start();
    set_role(&cluster, "worker", "");
    let bob = Person::invited(&cluster, "bob", &["worker"]);
    for kind in ["--user", "--node", "--session"] {
        let measure = || {
            let live = Live::start(bob.ssh_command(), &cluster.host());
            let mut name = match kind {
                "--user" => "bob".to_owned(),
                "--node" => NODE.to_owned(),
                _ => String::new(),
            };
            if name.is_empty() {
                // The one before may still be on the list.
                wait_for("one session on the list", || sessions(&cluster).len() == 1);
                name = sessions(&cluster)[0]["id"].as_str().unwrap().to_owned();
            }
            let began = Instant::now();
            let made = lock(&cluster, &[kind, &name]);
            let (took, _) = live.gone(began);
            unlock(&cluster, &made);
            wait_for("bob to be let in again", || bob.ssh("true").status.success());
            wait_for("nothing on the list", || sessions(&cluster).is_empty());
            took
        };
        let mut all: Vec<_> = std::iter::repeat_with(measure).take(TIMES).collect();
        all.sort();
        let median = all[TIMES / 2];
        println!("`scry lock {kind}`: {median:?} to the last process in the median of {all:?}");
        assert!(!long() || median <= BAR, "{kind}: {all:?}");
    }
}

#[test]
fn a_logout_leaves_what_the_user_left_running() {
    let cluster = Cluster::start();
    let mut live = Live::start(cluster.ssh_command(), &cluster.host());
    live.log_out();
    told(&cluster, "session.end", |_| true);
    assert_eq!(live.running(), 2, "both daemons live on");
}

#[test]
fn removed_and_demoted_people_are_out_at_once_though_their_certificates_are_valid() {
    let cluster = Cluster::start();
    set_role(&cluster, "worker", "");
    set_role(&cluster, "guest", "deny.nodes = { '*' = ['*'] }");
    let bob = Person::invited(&cluster, "bob", &["worker"]);
    let live = Live::start(bob.ssh_command(), &cluster.host());
    let began = Instant::now();
    assert_success(&cluster.scry(&["users", "add", "bob", "--role", "guest"]));
    let (took, said) = live.gone(began);
    println!("demoted: {took:?}");
    assert!(said.contains("roles no longer allow"), "{said}");
    refused(&bob.ssh("true"), "");
    told(&cluster, "session.end", |event| {
        event["user"] == "bob" && event["why"].as_str().unwrap_or_default().contains("guest")
    });
    assert_success(&cluster.scry(&["users", "add", "bob", "--role", "worker"]));
    wait_for("bob to be let in again", || bob.ssh("true").status.success());

    let live = Live::start(bob.ssh_command(), &cluster.host());
    let began = Instant::now();
    assert_success(&cluster.scry(&["users", "rm", "bob"]));
    let (took, said) = live.gone(began);
    println!("removed: {took:?}");
    assert!(said.contains("account was removed"), "{said}");
    refused(&bob.ssh("true"), "");
    // Another bob gets none of the first one's certificates to work, and works himself.
    let invitation = cluster.add_user("bob", &["worker"]);
    std::thread::sleep(Duration::from_millis(500));
    refused(&bob.ssh("true"), "");
    let other = Person::named(&cluster, "other-bob");
    assert_success(&other.sign_up(&invitation));
    assert_success(&other.ssh("true"));
    refused(&bob.ssh("true"), "");
}

#[test]
fn sessions_end_with_their_certificate_unless_a_role_lets_them_outlive_it() {
    let cluster = Cluster::start();
    set_role(&cluster, "worker", "");
    set_role(&cluster, "loose", "options.disconnect_expired = false");
    let bob = Person::invited(&cluster, "bob", &["worker"]);
    let carol = Person::invited(&cluster, "carol", &["loose"]);
    for person in [&bob, &carol] {
        // The shortest that can be had.
        assert_success(&person.login("60s"));
    }
    let signed_in = Instant::now();
    let live = Live::start(bob.ssh_command(), &cluster.host());
    let mut outlives = Live::start(carol.ssh_command(), &cluster.host());
    let left = Duration::from_secs(59).saturating_sub(signed_in.elapsed());
    std::thread::sleep(left);
    let (_, said) = live.gone(Instant::now());
    println!("the session ended {:?} after the sign-in", signed_in.elapsed());
    assert!(said.contains("certificate has expired"), "{said}");
    std::thread::sleep(Duration::from_secs(1));
    assert!(outlives.is_open() && outlives.running() == 3);
    refused(&carol.ssh("true"), "");
    told(&cluster, "session.end", |event| {
        event["user"] == "bob" && event["why"].as_str().unwrap_or_default().contains("expired")
    });
    // What outlives its certificate is still within a lock's reach.
    let began = Instant::now();
    lock(&cluster, &["--user", "carol"]);
    outlives.gone(began);
}

#[test]
fn a_session_ends_at_its_length_and_an_idle_one_when_nothing_was_typed() {
    let cluster = Cluster::start();
    set_role(&cluster, "short", "options.session_minutes = 1");
    set_role(&cluster, "idle", "options.idle_minutes = 1");
    let bob = Person::invited(&cluster, "bob", &["short"]);
    let carol = Person::invited(&cluster, "carol", &["idle"]);
    let began = Instant::now();
    let long = Live::start(bob.ssh_command(), &cluster.host());
    let idle = Live::start(carol.ssh_command(), &cluster.host());
    std::thread::sleep(Duration::from_secs(59).saturating_sub(began.elapsed()));
    let (_, said) = long.gone(Instant::now());
    assert!(said.contains("length that your role allows"), "{said}");
    let (_, said) = idle.gone(Instant::now());
    assert!(said.contains("nothing was typed"), "{said}");
    for user in ["bob", "carol"] {
        told(&cluster, "session.end", |event| {
            event["user"] == user
                && event["why"].as_str().unwrap_or_default().contains("were ended")
        });
    }
}

#[test]
fn a_forward_that_is_no_longer_allowed_is_cut_and_the_session_beside_it_goes_on() {
    let cluster = Cluster::start();
    set_role(&cluster, "worker", "");
    let bob = Person::invited(&cluster, "bob", &["worker"]);
    let echo = TcpListener::bind("127.0.0.1:0").unwrap();
    let (there, here) = (echo.local_addr().unwrap().port(), free_port());
    std::thread::spawn(move || {
        for stream in echo.incoming().map_while(Result::ok) {
            std::thread::spawn(move || std::io::copy(&mut &stream, &mut &stream));
        }
    });
    let mut ssh = bob.ssh_command();
    ssh.args(["-L", &format!("127.0.0.1:{here}:127.0.0.1:{there}")]);
    let mut live = Live::start(ssh, &cluster.host());
    let mut stream = TcpStream::connect(("127.0.0.1", here)).unwrap();
    let mut back = [0; 4];
    stream.write_all(b"ping").unwrap();
    stream.read_exact(&mut back).unwrap();
    set_role_forwarding(&cluster, "worker", "", "[]");
    stream.set_read_timeout(Some(SOON)).unwrap();
    let end = stream.read(&mut back);
    assert!(
        !matches!(end, Err(ref error) if error.kind() == std::io::ErrorKind::WouldBlock),
        "{end:?}"
    );
    assert!(!matches!(end, Ok(1..)), "{end:?}");
    assert!(live.is_open() && live.running() == 3);
    told(&cluster, "access.denied", |event| {
        event["action"].as_str().unwrap_or_default().contains("forward connections")
    });
}

#[test]
fn a_lock_reaches_a_node_that_was_cut_off_when_it_is_back_and_a_restart_without_auth_knows_it() {
    let mut relay = None;
    let mut apart = Apart::with_route(|proxy| relay.insert(Relay::start(proxy)).address.clone());
    let relay = relay.expect("a relay");
    let port = free_port();
    let own_port = ["--ssh-listen", &format!("127.0.0.1:{port}")];
    apart.kill_node();
    apart.start_node(&own_port);
    let cluster = &apart.cluster;
    set_role(cluster, "worker", "");
    let bob = Person::invited(cluster, "bob", &["worker"]);
    let mut live = Live::start(cluster.direct(bob.ssh_command(), port), &cluster.host());
    relay.set(Line::Broken);
    wait_for("the tunnel to be away", || !cluster.ssh("true").status.success());
    let made = lock(cluster, &["--user", "bob"]);
    std::thread::sleep(Duration::from_secs(1));
    assert!(live.is_open() && live.running() == 3, "the node goes on with what it knows");
    relay.set(Line::Whole);
    let (took, said) = live.gone(Instant::now());
    println!("after the line was mended: {took:?}");
    assert!(said.contains("locked this"), "{said}");

    // Auth is away, and the node starts anew: it knows the lock, and lets others in on what it knows.
    relay.set(Line::Broken);
    apart.kill_node();
    let command = apart.node_command(&own_port);
    apart.start_node_by(command);
    let cluster = &apart.cluster;
    let ssh = |ssh: std::process::Command| {
        cluster.direct(ssh, port).args([&cluster.host(), "true"]).output().unwrap()
    };
    wait_for("the admin to be let in", || ssh(cluster.ssh_command()).status.success());
    let bob = Person::named(cluster, "bob");
    refused(&ssh(bob.ssh_command()), "");
    unlock(cluster, &made);
    refused(&ssh(bob.ssh_command()), "");
    relay.set(Line::Whole);
    wait_for("bob to be let in again", || ssh(bob.ssh_command()).status.success());
}

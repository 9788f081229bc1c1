//! What others do on somebody's behalf is not their session's; that they were asked, and who they are, is.

use super::{Beside, CLUSTER, Seen, can_see, compiled, has, over_ssh, pid};
use house::{assert_success, text, wait_for};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};

const PYTHON: &str = "/usr/bin/python3";

/// A service beside all sessions that runs what it is asked to, as dockerd and systemd do.
struct Daemon {
    process: Beside,
    socket: String,
}

impl Daemon {
    fn start(name: &str) -> Self {
        let socket = CLUSTER.path(name).display().to_string();
        let code = "import socket, subprocess, sys\n\
                    s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen()\n\
                    while 1:\n c, _ = s.accept()\n try: subprocess.run(c.recv(4096).decode(), shell=True); c.send(b'done')\n \
                    except OSError: pass\n c.close()";
        let mut daemon = Command::new(PYTHON);
        daemon.args(["-c", code, &socket]).stdin(Stdio::null()).stdout(Stdio::null());
        let process = Beside(daemon.spawn().unwrap());
        wait_for("the daemon", || UnixStream::connect(&socket).is_ok());
        Self { process, socket }
    }

    /// A command that has it do something, by this path in this folder.
    fn ask(folder: &str, path: &str, what: &str) -> String {
        format!(
            "cd {folder} && {PYTHON} -c \"import socket as s; c = s.socket(s.AF_UNIX); c.connect('{path}'); \
             c.send(b'{what}'); assert c.recv(4) == b'done'\""
        )
    }
}

/// The one time that a session met this process.
#[track_caller]
fn met<'s>(seen: &'s Seen, call: &str, process: u64) -> &'s Value {
    let fits = |it: &Value| it["call"] == call && it["other"]["process"] == process;
    seen.one("met", &format!("a {call} and process {process}"), fits)
}

#[test]
fn a_daemon_that_acts_for_somebody_is_told_by_the_very_socket_and_by_who_listens_there() {
    let test = "a_daemon_that_acts_for_somebody";
    if !can_see(test) || !has(test, PYTHON) {
        return;
    }
    let daemon = Daemon::start("daemon.sock");
    let folder = CLUSTER.path("ways");
    fs::create_dir(&folder).unwrap();
    // The way there says nothing about where it leads.
    std::os::unix::fs::symlink(&daemon.socket, folder.join("harmless")).unwrap();
    let command = Daemon::ask(folder.to_str().unwrap(), "harmless", "uname -n by-the-daemon");
    assert_success(&CLUSTER.ssh(&command));
    let seen = Seen::of(&CLUSTER, &command);
    let event = met(&seen, "connect", daemon.process.0.id().into());
    let asked = &event["action"]["met"];
    assert_eq!(asked["socket"], json!({ "path": daemon.socket, "folder": "", "as_passed": false }));
    let other = &asked["other"];
    assert!(other["name"].as_str().unwrap().starts_with("python3"), "{other}");
    assert_eq!(other["session"], Value::Null);
    assert_eq!(event["by"]["name"], "python3");
    seen.ran(&format!(
        "{PYTHON} -c import socket as s; c = s.socket(s.AF_UNIX); c.connect('harmless'); \
         c.send(b'uname -n by-the-daemon'); assert c.recv(4) == b'done'"
    ));
    // What it did is not charged to the session, which says whom it asked.
    assert!(!seen.lines().iter().any(|line| line == "uname -n by-the-daemon"));
    let id = CLUSTER.recording_of(&command)["id"].as_str().unwrap().to_owned();
    let shown = text(&CLUSTER.scry(&["recordings", "events", &id, "--network"]));
    let line = format!("connect unix:{}, to process {}", daemon.socket, daemon.process.0.id());
    assert!(shown.contains(&line) && shown.contains("of no recorded session"), "{shown}");
}

#[test]
fn sockets_of_the_sessions_own_and_ways_that_lead_nowhere_are_no_neighbours() {
    let test = "sockets_of_the_sessions_own";
    if !can_see(test) || !has(test, PYTHON) {
        return;
    }
    let folder = CLUSTER.path("own");
    fs::create_dir(&folder).unwrap();
    let code = "import socket as s; l = s.socket(s.AF_UNIX); l.bind('own.sock'); l.listen(); c = s.socket(s.AF_UNIX); \
                c.connect('own.sock'); l.accept(); s.socket(s.AF_UNIX).connect_ex('none.sock'); \
                a = s.socket(s.AF_UNIX); a.bind(b'\\\\0scry-own'); a.listen(); s.socket(s.AF_UNIX).connect(b'\\\\0scry-own'); \
                u = s.socket(s.AF_UNIX, s.SOCK_DGRAM); v = s.socket(s.AF_UNIX, s.SOCK_DGRAM); v.bind('one'); \
                w = s.socket(s.AF_UNIX, s.SOCK_DGRAM); w.bind('two'); u.sendto(b'x', 'one'); u.sendto(b'x', 'two')";
    let at = folder.display();
    let seen = over_ssh(&format!("cd {at} && {PYTHON} -c \"{code}\""));
    assert_eq!(seen.all("met").count(), 0, "{:#?}", seen.0);
    let socket = |call: &str, end: &str, path: &str, error: u64| {
        seen.one("socket", &format!("{call} {path}"), |it| {
            it["call"].as_str().is_some_and(|it| it.starts_with(call))
                && it[end] == format!("unix:{path}")
                && it["error"] == error
        });
    };
    socket("bind", "remote", &format!("{at}/own.sock"), 0);
    socket("connect", "remote", &format!("{at}/own.sock"), 0);
    socket("accept", "local", &format!("{at}/own.sock"), 0);
    socket("connect", "remote", "none.sock", 2);
    socket("connect", "remote", "@scry-own", 0);
    // Each destination of datagrams, however they are alike at the beginning.
    socket("sendto", "remote", "one", 0);
    socket("sendto", "remote", "two", 0);
}

#[test]
fn a_socket_that_io_uring_connects_is_told_too() {
    let test = "a_socket_that_io_uring_connects";
    if !can_see(test) || !has(test, PYTHON) {
        return;
    }
    let Some(program) = compiled(test, "uring.c", &["-O1"]) else { return };
    let daemon = Daemon::start("uring.sock");
    let file = CLUSTER.path("uring-beside").display().to_string();
    let command = format!("{program} {file} {}", daemon.socket);
    if text(&CLUSTER.ssh(&command)) != "done" {
        return println!("skipped: {test}: this machine has no io_uring");
    }
    let seen = Seen::of(&CLUSTER, &command);
    seen.one("socket", "a connection by io_uring", |it| {
        it["call"] == "io_uring CONNECT"
            && it["remote"] == format!("unix:{}", daemon.socket)
            && it["error"] == 115
    });
}

/// As crontab(1) does it: a new file in the spool, and then its name.
#[test]
fn a_crontab_that_is_written_is_told_with_the_path_that_it_has_in_the_end() {
    if !can_see("a_crontab_that_is_written") {
        return;
    }
    let spool = CLUSTER.path("crontabs");
    fs::create_dir(&spool).unwrap();
    let at = spool.display();
    let seen = over_ssh(&format!(
        "cd {at} && echo '* * * * * root id' > tmp.Ab12 && mv tmp.Ab12 root && echo '#' >> {at}/root"
    ));
    let opened = |path: &str| {
        let path = format!("{at}/{path}");
        seen.one("opened", &path, |it| {
            it["file"]["path"] == path.as_str()
                && it["file"]["as_passed"] == false
                && it["flags"].as_u64().unwrap() & 3 == 1
        });
    };
    opened("tmp.Ab12");
    opened("root");
    seen.one("changed", "its name", |it| {
        it["call"].as_str().is_some_and(|call| call.starts_with("rename"))
            && it["other"]["path"] == "root"
            && it["other"]["folder"] == spool.to_str().unwrap()
            && it["error"] == 0
    });
}

#[test]
fn whoever_looks_into_a_process_beside_the_session_is_told_with_its_number() {
    let test = "whoever_looks_into_a_process";
    if !can_see(test) || !has(test, PYTHON) || !house::is_root() {
        return;
    }
    let beside = Beside(Command::new("sleep").arg("600").spawn().unwrap());
    let number = beside.0.id();
    let seen = over_ssh(&format!(
        "{PYTHON} -c \"import ctypes; l = ctypes.CDLL(None); print(l.ptrace(0x4206, {number}, 0, 0), l.ptrace(17, {number}, 0, 0), \
         l.ptrace(16, {number}, 0, 0))\""
    ));
    for request in ["SEIZE", "ATTACH"] {
        let event = seen.one("special", request, |it| {
            it["call"] == "ptrace" && it["text"] == request && it["numbers"][1] == number
        });
        assert_eq!(event["by"]["name"], "python3");
    }
}

/// A server of tmux that somebody started earlier, and what is typed into it from elsewhere.
struct Tmux {
    socket: String,
}

impl Tmux {
    fn new(name: &str) -> Self {
        Self { socket: CLUSTER.path(name).display().to_string() }
    }

    fn start(&self) -> String {
        format!("tmux -S {} -f /dev/null new-session -d -s first 'sleep 600'", self.socket)
    }

    /// Has a new window run a command, and waits until that is over.
    fn ask(&self, what: &str) -> String {
        let Self { socket } = self;
        format!(
            "tmux -S {socket} new-window -d '{what}; tmux -S {socket} wait-for -S over' && tmux -S {socket} wait-for over"
        )
    }

    fn server(&self) -> u64 {
        let out =
            Command::new("tmux").args(["-S", &self.socket, "display", "-p", "#{pid}"]).output();
        text(&out.unwrap()).parse().unwrap()
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        let _ = Command::new("tmux").args(["-S", &self.socket, "kill-server"]).output();
    }
}

#[test]
fn what_is_run_in_a_tmux_of_another_session_is_that_sessions_and_each_names_the_other() {
    let test = "what_is_run_in_a_tmux";
    if !can_see(test) || !has(test, "tmux") {
        return;
    }
    let tmux = Tmux::new("tmux-of-another");
    let first = tmux.start();
    assert_success(&CLUSTER.ssh(&first));
    let owner = CLUSTER.recording_of(&first)["id"].as_str().unwrap().to_owned();
    let second = tmux.ask("uname -n from-elsewhere");
    assert_success(&CLUSTER.ssh(&second));
    let guest = CLUSTER.recording_of(&second)["id"].as_str().unwrap().to_owned();
    let server = tmux.server();
    let seen = Seen::of_id(&CLUSTER, &guest);
    let asked = &met(&seen, "connect", server)["action"]["met"];
    assert_eq!(asked["socket"]["path"], tmux.socket.as_str());
    assert_eq!(asked["other"]["session"], owner.as_str());
    assert!(!seen.lines().iter().any(|line| line == "uname -n from-elsewhere"));
    drop(tmux);
    wait_for("the end of what the first left running", || {
        let rows = CLUSTER.scry_json(&["recordings", "ls", "--json", "--limit", "1000"]);
        let fits = |row: &Value| row["of"] == owner.as_str() && row["phase"] == "stored";
        rows.as_array().unwrap().iter().any(fits)
    });
    let seen = Seen::of_id(&CLUSTER, &owner);
    let ran = seen.ran("uname -n from-elsewhere");
    assert!(pid(ran) > 0);
    let client = seen.one("met", "the other session", |it| {
        it["call"].as_str().is_some_and(|call| call.starts_with("accept"))
            && it["other"]["session"] == guest.as_str()
    });
    assert_eq!(pid(client), server);
}

#[test]
fn a_tmux_of_nobodys_session_is_named_as_that() {
    let test = "a_tmux_of_nobodys_session";
    if !can_see(test) || !has(test, "tmux") {
        return;
    }
    let tmux = Tmux::new("tmux-of-nobody");
    assert_success(&Command::new("sh").args(["-c", &tmux.start()]).output().unwrap());
    let seen = over_ssh(&tmux.ask("uname -n for-nobody"));
    let asked = &met(&seen, "connect", tmux.server())["action"]["met"];
    assert_eq!(asked["other"]["session"], Value::Null);
    assert!(asked["other"]["name"].as_str().unwrap().starts_with("tmux"), "{asked}");
    assert!(!seen.lines().iter().any(|line| line == "uname -n for-nobody"));
}

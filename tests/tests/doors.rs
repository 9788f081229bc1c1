//! What belongs to a connection beside its sessions, and a session as the machine sees it: sockets, X11, PAM, who is here.

use house::keys::new_key;
use house::person::words;
use house::{Cluster, assert_success, is_root, output_with, text, wait_for};
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _, symlink};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::LazyLock;

static CLUSTER: LazyLock<Cluster> = LazyLock::new(Cluster::start_shared);

fn has(program: &str) -> bool {
    let found = Command::new("sh").args(["-c", &format!("command -v {program}")]).output();
    found.is_ok_and(|found| found.status.success())
}

fn skip(test: &str, why: &str) {
    eprintln!("skipped: {test}: {why}");
}

/// An account of the machine that goes when the test does.
struct Account {
    name: String,
    home: PathBuf,
}

impl Account {
    fn new(tag: &str) -> Self {
        let name = format!("scry{tag}{}", std::process::id());
        let home = std::env::temp_dir().join(format!("home-{name}"));
        let (password, shell) = ("*", "/bin/bash");
        let path = home.to_str().unwrap().to_owned();
        run_patiently("useradd", &["-m", "-d", &path, "-s", shell, "-p", password, &name]);
        Self { name, home }
    }

    /// `ssh` as this account with a certificate of the cluster's own authority, which carries these further extensions.
    fn ssh(&self, flags: &[&str]) -> Command {
        let key = CLUSTER.path(&format!("key-{}", self.name));
        if !key.exists() {
            new_key(&key);
            let logins = format!("extension:logins@scry={}", self.name);
            let roles = ["-O", "extension:roles@scry=admin", "-O", &logins];
            CLUSTER.certify(&key, &self.name, &[&roles, flags].concat());
        }
        let mut ssh = CLUSTER.ssh_command();
        ssh.arg("-o").arg(format!("CertificateFile={}-cert.pub", key.display()));
        ssh.arg("-i").arg(&key).args(["-l", &self.name]);
        ssh
    }

    fn run(&self, command: &str) -> Output {
        self.ssh(&[]).arg(CLUSTER.host()).arg(command).output().unwrap()
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        run_patiently("userdel", &["-r", "-f", &self.name]);
    }
}

/// Somebody else may be changing the same files.
fn run_patiently(program: &str, args: &[&str]) {
    for _ in 0..50 {
        let out = Command::new(program).args(args).output().unwrap();
        if !words(&out).contains("lock") {
            // userdel complains about mail that never was.
            assert!(out.status.success() || program == "userdel", "{}", words(&out));
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
    panic!("{program} {args:?} stays locked out");
}

/// Answers every connection with what it got, in capitals.
fn shout_at(path: &Path) {
    let listener = UnixListener::bind(path).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut bytes = Vec::new();
            let _ = stream.read_to_end(&mut bytes);
            let _ = stream.write_all(&bytes.to_ascii_uppercase());
        }
    });
}

fn shout(path: &Path) -> String {
    let mut stream = None;
    wait_for(&format!("{}", path.display()), || {
        stream = UnixStream::connect(path).ok();
        stream.is_some()
    });
    let mut stream = stream.unwrap();
    stream.write_all(b"hello").unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    answer
}

/// A running `ssh -N`, killed when dropped.
struct Forwarding(Child);

impl Forwarding {
    fn start(mut ssh: Command, flag: &str, spec: &str) -> Self {
        ssh.args(["-N", "-o", "ExitOnForwardFailure=yes", flag, spec]).arg(CLUSTER.host());
        Self(ssh.stderr(Stdio::piped()).spawn().unwrap())
    }
}

impl Drop for Forwarding {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The words of the stored recordings of connections, one page each.
fn connection_pages() -> Vec<String> {
    let rows =
        CLUSTER.scry_json(&["recordings", "ls", "--connections", "--json", "--limit", "500"]);
    let ids = rows.as_array().unwrap().iter().filter(|row| row["phase"] == "stored");
    ids.map(|row| {
        assert_eq!(row["kind"], "connection");
        let file = CLUSTER.export(row["id"].as_str().unwrap(), "text");
        fs::read_to_string(file).unwrap()
    })
    .collect()
}

/// Waits for a recording of a connection that holds all of this.
fn recorded(wanted: &[&str]) -> String {
    let mut found = None;
    wait_for(&format!("a recording with {wanted:?}"), || {
        let pages = connection_pages();
        found = pages.into_iter().find(|page| wanted.iter().all(|one| page.contains(one)));
        found.is_some()
    });
    found.unwrap()
}

fn audited(event: &str, field: &str, wanted: &str) -> serde_json::Value {
    let mut found = None;
    wait_for(&format!("{event} with {field} {wanted}"), || {
        let rows = CLUSTER.audit(event);
        let fits = |row: &&serde_json::Value| {
            row[field].as_str().is_some_and(|value| value.contains(wanted))
        };
        found = rows.iter().find(fits).cloned();
        found.is_some()
    });
    found.unwrap()
}

#[test]
fn sockets_are_forwarded_both_ways_and_the_connection_has_a_recording_of_its_own() {
    let (there, here) = (CLUSTER.path("there.sock"), CLUSTER.path("here.sock"));
    shout_at(&there);
    let spec = format!("{}:{}", here.display(), there.display());
    let forward = Forwarding::start(CLUSTER.ssh_command(), "-L", &spec);
    assert_eq!(shout(&here), "HELLO");
    drop(forward);
    let (back, target) = (CLUSTER.path("back.sock"), there.clone());
    let spec = format!("{}:{}", back.display(), target.display());
    let forward = Forwarding::start(CLUSTER.ssh_command(), "-R", &spec);
    assert_eq!(shout(&back), "HELLO");
    let mode = fs::metadata(&back).unwrap().permissions().mode();
    assert_eq!(mode & 0o077, 0, "{mode:o}");
    drop(forward);
    wait_for("the socket to go", || !back.exists());
    let there = there.display();
    let local = recorded(&[
        &format!("#1 local to {there} opened by the client"),
        "5 bytes from the client, 5 to it",
    ]);
    assert!(local.contains("disconnected"), "{local}");
    let back = back.display();
    let remote = recorded(&[
        &format!("remote waits at {back}"),
        &format!("#1 remote to {back} opened by uid "),
        &format!("remote waits no longer at {back}"),
    ]);
    assert!(remote.contains("process"), "{remote}");
    audited("forward.listen", "at", &back.to_string());
    audited("forward.stop", "at", &back.to_string());
    audited("forward.close", "target", &there.to_string());
}

#[test]
fn a_connections_recording_verifies_plays_and_can_be_left_out_of_lists() {
    let echo = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = echo.local_addr().unwrap().port();
    std::thread::spawn(move || echo.incoming().for_each(drop));
    let local = CLUSTER.path("list.sock");
    let spec = format!("{}:127.0.0.1:{port}", local.display());
    let forward = Forwarding::start(CLUSTER.ssh_command(), "-L", &spec);
    shout(&local);
    drop(forward);
    let target = format!("#1 local to 127.0.0.1:{port}");
    recorded(&[&target]);
    let rows =
        CLUSTER.scry_json(&["recordings", "ls", "--connections", "--json", "--limit", "500"]);
    let ids: Vec<String> =
        rows.as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect();
    let id = ids.iter().find(|id| {
        let out = CLUSTER.scry(&["play", "--print", id]);
        text(&out).contains(&target)
    });
    let id = id.expect("one plays as what happened");
    let info = text(&CLUSTER.scry(&["recordings", "info", id]));
    assert!(info.contains("connection") && info.contains("complete"), "{info}");
    assert_success(&CLUSTER.verify(id));
    let lines = fs::read_to_string(CLUSTER.export(id, "jsonl")).unwrap();
    assert!(lines.contains(r#""forward":{"opened":{"#), "{lines}");
    let sessions =
        CLUSTER.scry_json(&["recordings", "ls", "--sessions", "--json", "--limit", "500"]);
    assert!(sessions.as_array().unwrap().iter().all(|row| row["kind"] != "connection"));
}

#[test]
fn a_socket_is_never_put_over_what_is_there() {
    let taken = CLUSTER.path("taken");
    fs::write(&taken, "precious").unwrap();
    let link = CLUSTER.path("link");
    symlink(CLUSTER.path("nowhere"), &link).unwrap();
    for at in [&taken, &link] {
        let spec = format!("{}:/tmp/unused.sock", at.display());
        let mut forward = Forwarding::start(CLUSTER.ssh_command(), "-R", &spec);
        assert!(!forward.0.wait().unwrap().success(), "{}", at.display());
        audited("forward.failed", "target", at.to_str().unwrap());
    }
    assert_eq!(fs::read_to_string(&taken).unwrap(), "precious");
    assert!(!CLUSTER.path("nowhere").exists());
}

#[test]
fn a_cancelled_forward_takes_no_more_and_its_socket_goes() {
    let control = CLUSTER.path("cancel-control");
    let mut master = CLUSTER.ssh_command();
    master.args(["-M", "-N", "-S"]).arg(&control).arg(CLUSTER.host());
    let master = Forwarding(master.spawn().unwrap());
    wait_for("the master", || control.exists());
    let (there, back) = (CLUSTER.path("cancel-there"), CLUSTER.path("cancel-back"));
    shout_at(&there);
    let spec = format!("{}:{}", back.display(), there.display());
    let ask = |what: &str| {
        let mut ask = CLUSTER.ssh_command();
        ask.arg("-S").arg(&control).args(["-O", what, "-R", &spec]).arg(CLUSTER.host());
        assert_success(&ask.output().unwrap());
    };
    ask("forward");
    assert_eq!(shout(&back), "HELLO");
    assert!(fs::metadata(&back).unwrap().file_type().is_socket());
    ask("cancel");
    wait_for("the socket to go", || !back.exists());
    ask("forward");
    assert_eq!(shout(&back), "HELLO");
    drop(master);
}

#[test]
fn what_the_user_may_not_open_stays_closed_and_is_recorded() {
    if !is_root() {
        return skip("what_the_user_may_not_open", "needs root");
    }
    let account = Account::new("sock");
    let vault = CLUSTER.path("vault");
    fs::create_dir(&vault).unwrap();
    fs::set_permissions(&vault, fs::Permissions::from_mode(0o700)).unwrap();
    let secret = vault.join("docker.sock");
    shout_at(&secret);
    let here = CLUSTER.path("secret-here.sock");
    let spec = format!("{}:{}", here.display(), secret.display());
    let flags = ["-O", "permit-port-forwarding"];
    let forward = Forwarding::start(account.ssh(&flags), "-L", &spec);
    assert_eq!(shout(&here), "");
    drop(forward);
    let event = audited("forward.failed", "target", secret.to_str().unwrap());
    assert!(event["why"].as_str().unwrap().contains("Permission denied"), "{event}");
    assert_eq!(event["login"], account.name.as_str());
    recorded(&[&format!("local to {} refused", secret.display()), "Permission denied"]);
    // Nor may the user have a socket made where only root could.
    let spec = format!("{}:/tmp/unused.sock", vault.join("mine").display());
    let mut forward = Forwarding::start(account.ssh(&flags), "-R", &spec);
    assert!(!forward.0.wait().unwrap().success());
    assert!(!vault.join("mine").exists());
}

#[test]
fn the_way_around_the_recorder_stands_in_the_ledger() {
    // Any address of loopback is this machine; one of our own leaves its real SSH server alone.
    let Ok(listener) = TcpListener::bind("127.77.7.7:22") else {
        return skip("the_way_around_the_recorder", "port 22 needs root");
    };
    std::thread::spawn(move || listener.incoming().for_each(drop));
    let here = CLUSTER.path("around.sock");
    let spec = format!("{}:127.77.7.7:22", here.display());
    let forward = Forwarding::start(CLUSTER.ssh_command(), "-L", &spec);
    shout(&here);
    drop(forward);
    audited("forward.around_recorder", "target", "127.77.7.7:22");
    recorded(&["#1 local to 127.77.7.7:22 opened by"]);
}

/// A display of nobody's, with a cookie.
struct Display {
    server: Child,
    name: String,
    authority: PathBuf,
}

impl Display {
    fn start() -> Self {
        let authority = CLUSTER.path("Xauthority");
        let name = format!(":{}", 200 + std::process::id() % 5000);
        let add = Command::new("xauth")
            .arg("-f")
            .arg(&authority)
            .args(["add", &name, "MIT-MAGIC-COOKIE-1", &"5a".repeat(16)])
            .output();
        assert_success(&add.unwrap());
        let mut server = Command::new("Xvfb");
        server.arg(&name).args(["-screen", "0", "320x200x24", "-nolisten", "tcp", "-auth"]);
        server.arg(&authority).stdout(Stdio::null()).stderr(Stdio::null());
        let server = server.spawn().unwrap();
        let socket = PathBuf::from(format!("/tmp/.X11-unix/X{}", &name[1..]));
        wait_for("the X server", || socket.exists());
        Self { server, name, authority }
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        // It cleans up its socket only when it is asked to end.
        let _ = Command::new("kill").arg(self.server.id().to_string()).status();
        let _ = self.server.wait();
    }
}

#[test]
fn windows_of_the_node_show_on_the_clients_display_and_are_recorded() {
    if !["Xvfb", "xauth", "xdpyinfo"].iter().all(|program| has(program)) {
        return skip("windows_of_the_node", "needs Xvfb, xauth and xdpyinfo");
    }
    let display = Display::start();
    let with = |mut ssh: Command, flag: &str, command: &str| {
        ssh.env("DISPLAY", &display.name).env("XAUTHORITY", &display.authority);
        ssh.args(["-o", "LogLevel=INFO", flag, &CLUSTER.host(), command]).output().unwrap()
    };
    // The session's own authority file, so that the test leaves that of the account alone.
    let command =
        "echo $DISPLAY; xauth list $DISPLAY; xdpyinfo | grep dimensions; stat -c %a ~/.Xauthority";
    if is_root() {
        let account = Account::new("x");
        let out = with(account.ssh(&["-O", "permit-X11-forwarding"]), "-Y", command);
        let shown = words(&out);
        assert!(shown.contains("320x200 pixels"), "{shown}");
        assert!(
            shown.starts_with("localhost:1") && shown.contains("MIT-MAGIC-COOKIE-1"),
            "{shown}"
        );
        assert!(!shown.contains(&"5a".repeat(16)), "the display's own cookie stays here: {shown}");
        assert!(shown.contains("\n600"), "{shown}");
        recorded(&[
            "x11 waits at localhost:1",
            "#1 x11 to the client's display opened by 127.0.0.1:",
        ]);
        audited("forward.open", "direction", "x11");
        // A link that somebody laid in the way is the user's own affair: nothing of root's is written.
        let target = CLUSTER.path("root-owned");
        fs::write(&target, "precious").unwrap();
        fs::remove_file(account.home.join(".Xauthority")).unwrap();
        symlink(&target, account.home.join(".Xauthority")).unwrap();
        let _ = with(account.ssh(&[]), "-Y", "true");
        assert_eq!(fs::read_to_string(&target).unwrap(), "precious");
    }
    let account = is_root().then(|| Account::new("nox"));
    if let Some(account) = account {
        let out = with(account.ssh(&["-O", "no-x11-forwarding"]), "-X", "echo in; echo [$DISPLAY]");
        let shown = words(&out);
        assert!(
            shown.contains("in\n[]") && shown.contains("X11 forwarding request failed"),
            "{shown}"
        );
        wait_for("the denial in the ledger", || {
            CLUSTER.audit("access.denied").iter().any(|event| {
                event["login"] == account.name.as_str()
                    && event["why"]
                        .as_str()
                        .is_some_and(|why| why.contains("permit-X11-forwarding"))
            })
        });
    }
}

#[test]
fn an_account_that_the_machine_does_not_let_in_gets_its_words_for_sessions_and_forwards() {
    if !is_root() {
        return skip("an_account_that_the_machine_does_not_let_in", "needs root");
    }
    let account = Account::new("exp");
    assert_eq!(text(&account.run("echo in")), "in");
    run_patiently("usermod", &["-e", "1971-01-01", &account.name]);
    let out = account.run("echo in");
    let shown = words(&out);
    assert!(!out.status.success() && !shown.contains("in\n"), "{shown}");
    assert!(shown.contains("expired"), "{shown}");
    let event = audited("account.refused", "login", &account.name);
    assert!(event["why"].as_str().unwrap().contains("expired"), "{event}");
    let there = CLUSTER.path("expired-there.sock");
    shout_at(&there);
    let here = CLUSTER.path("expired-here.sock");
    let spec = format!("{}:{}", here.display(), there.display());
    let _forward = Forwarding::start(account.ssh(&[]), "-L", &spec);
    assert_eq!(shout(&here), "");
}

/// Runs a shell on a terminal with these lines typed, and gives all that was shown.
fn shell(mut ssh: Command, typed: &str) -> String {
    words(&output_with(ssh.args(["-tt", &CLUSTER.host()]), typed))
}

#[test]
fn a_login_is_greeted_as_by_sshd_once_and_not_at_all_with_hushlogin() {
    if !is_root() {
        return skip("a_login_is_greeted", "needs root");
    }
    let account = Account::new("motd");
    let motd = fs::read_to_string("/etc/motd").unwrap_or_default();
    let line = motd.lines().find(|line| !line.trim().is_empty()).unwrap_or_default().to_owned();
    let first = shell(account.ssh(&["-O", "permit-pty"]), "exit\n");
    if !line.is_empty() {
        assert_eq!(first.matches(&line).count(), 1, "{first}");
    }
    assert!(!first.contains("Last login"), "{first}");
    let second = shell(account.ssh(&[]), "exit\n");
    if Path::new("/var/log/lastlog").exists() {
        let from = second.lines().find(|line| line.starts_with("Last login: ")).unwrap_or_default();
        assert!(from.contains("from 127.0.0.1"), "{second}");
    }
    fs::write(account.home.join(".hushlogin"), "").unwrap();
    let hushed = shell(account.ssh(&[]), "exit\n");
    assert!(!hushed.contains("Last login"), "{hushed}");
    assert!(line.is_empty() || !hushed.contains(&line), "{hushed}");
    let exec = words(&account.run("true"));
    assert_eq!(exec, "", "a command is not greeted");
}

#[test]
fn who_and_last_know_a_session_while_it_is_there_and_its_audit_session_is_its_own() {
    if !is_root() {
        return skip("who_and_last", "needs root");
    }
    // The machine keeps its list only where there is one.
    let made = !Path::new("/run/utmp").exists();
    if made {
        fs::write("/run/utmp", "").unwrap();
    }
    let account = Account::new("who");
    let command =
        "who; cat /proc/self/loginuid; echo .; cat /proc/self/sessionid; echo; id -u; tty";
    let on_terminal = |ssh: Command| shell(ssh, &format!("{command}; exit\n"));
    let shown = on_terminal(account.ssh(&["-O", "permit-pty"]));
    let of_mine = |text: &str| {
        text.lines()
            .filter(|line| line.contains(&format!("{} ", account.name)) && line.contains("pts/"))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let line = of_mine(&shown).join("\n");
    assert!(line.contains("pts/") && line.contains("(127.0.0.1)"), "{shown}");
    wait_for("who to forget it", || {
        of_mine(&text(&Command::new("who").output().unwrap())).is_empty()
    });
    if Path::new("/var/log/wtmp").exists() && has("last") {
        // `who` leaves out whose process is gone; the node writes the end a moment later.
        wait_for("last to know its end", || {
            let rows = of_mine(&text(&Command::new("last").arg("-w").output().unwrap()));
            rows[0].contains("127.0.0.1") && rows[0].contains(" - ")
        });
    }
    if Path::new("/proc/self/loginuid").exists() {
        let ids = |out: Output| text(&out);
        let both = "cat /proc/self/loginuid /proc/self/sessionid; echo; id -u";
        let (a, b) = (ids(account.run(both)), ids(account.run(both)));
        let uid = a.lines().last().unwrap();
        assert!(a.starts_with(uid) && b.starts_with(uid), "{a} {b}");
        assert_ne!(a.lines().next(), b.lines().next(), "each session has an audit session");
    }
    if made {
        let _ = fs::remove_file("/run/utmp");
    }
}

#[test]
fn nothing_that_a_client_or_a_home_holds_runs_other_code() {
    let mut ssh = CLUSTER.ssh_command();
    let hostile = [
        "LD_PRELOAD",
        "LD_LIBRARY_PATH",
        "LD_AUDIT",
        "BASH_ENV",
        "ENV",
        "PATH",
        "IFS",
        "PS4",
        "PROMPT_COMMAND",
        "PYTHONPATH",
        "PERL5OPT",
        "SHELLOPTS",
        "HOME",
        "USER",
        "SHELL",
        "MAIL",
        "SSH_AUTH_SOCK",
        "DISPLAY",
        "XAUTHORITY",
        "TERMINFO",
        "LOCPATH",
        "GCONV_PATH",
        "SCRY_SESSION",
        "LC_evil",
        "LC_",
        "BASH_FUNC_ls%%",
    ];
    for name in hostile {
        ssh.arg("-o").arg(format!("SetEnv={name}=evil"));
        // OpenSSH takes the first only, so each is a session of its own.
        let mut one = CLUSTER.ssh_command();
        one.arg("-o").arg(format!("SetEnv=\"{name}=evil\"")).args([&CLUSTER.host(), "env"]);
        let shown = text(&one.output().unwrap());
        assert!(!shown.contains("evil"), "{name}: {shown}");
    }
    audited("session.variable_refused", "name", "LD_PRELOAD");
    let mut ssh = CLUSTER.ssh_command();
    ssh.env("TERM", "x\u{1b}]0;evil\u{7}").args(["-tt", &CLUSTER.host(), "echo [$TERM]"]);
    let shown = words(&ssh.output().unwrap());
    assert!(shown.contains("[dumb]"), "{shown}");
    if !is_root() {
        return skip("nothing_that_a_home_holds", "needs root");
    }
    let account = Account::new("home");
    let folder = account.home.join(".ssh");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("environment"), "LD_PRELOAD=evil\nFROM_HOME=evil\n").unwrap();
    fs::write(folder.join("rc"), format!("touch {}\n", account.home.join("rc-ran").display()))
        .unwrap();
    fs::set_permissions(&account.home, fs::Permissions::from_mode(0o755)).unwrap();
    let shown = text(&account.run("env; ls"));
    assert!(!shown.contains("evil") && !shown.contains("rc-ran"), "{shown}");
    assert!(shown.contains(&format!("USER={}", account.name)), "{shown}");
}

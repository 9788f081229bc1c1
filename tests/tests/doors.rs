//! What belongs to a connection beside its sessions, and a session as the machine sees it: sockets, X11, PAM, who is here.

use house::account::{Account, run_patiently};
use house::keys::new_key;
use house::person::words;
use house::{Cluster, assert_success, is_root, output_with, text, wait_for};
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _, symlink};
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

/// The words of the stored recordings of connections, one page each, newest first.
fn connection_pages() -> impl Iterator<Item = String> {
    let rows =
        CLUSTER.scry_json(&["recordings", "ls", "--connections", "--json", "--limit", "500"]);
    let rows = rows.as_array().unwrap().clone().into_iter();
    rows.filter(|row| row["phase"] == "stored").map(|row| {
        assert_eq!(row["kind"], "connection");
        let file = CLUSTER.export(row["id"].as_str().unwrap(), "text");
        fs::read_to_string(file).unwrap()
    })
}

/// Waits for a recording of a connection that holds all of this.
fn recorded(wanted: &[&str]) -> String {
    let mut found = None;
    wait_for(&format!("a recording with {wanted:?}"), || {
        // Each page costs a run of the client: no more are read than it takes.
        found = connection_pages().find(|page| wanted.iter().all(|one| page.contains(one)));
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
    let account = Account::new(&CLUSTER, "sock");
    let vault = CLUSTER.path("vault");
    fs::create_dir(&vault).unwrap();
    fs::set_permissions(&vault, fs::Permissions::from_mode(0o700)).unwrap();
    // One socket that its folder keeps closed, one that its own mode does, and the user's links to both.
    let open = open_folder();
    let (secret, closed) = (vault.join("docker.sock"), open.path().join("closed.sock"));
    shout_at(&secret);
    shout_at(&closed);
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o600)).unwrap();
    let links = ["to-docker", "to-closed"].map(|name| account.home.join(name));
    symlink(&secret, &links[0]).unwrap();
    symlink(&closed, &links[1]).unwrap();
    let flags = ["-O", "permit-port-forwarding"];
    let shout_through = |name: &str, there: &Path| {
        let here = CLUSTER.path(name);
        let spec = format!("{}:{}", here.display(), there.display());
        let _forward = Forwarding::start(account.ssh(&flags), "-L", &spec);
        shout(&here)
    };
    let check_denied = |direction: &str, target: &Path| {
        let target = target.to_str().unwrap();
        let event = audited("forward.failed", "target", target);
        assert!(event["why"].as_str().unwrap().contains("Permission denied"), "{event}");
        assert_eq!(event["direction"], direction, "{event}");
        assert_eq!(event["login"], account.name.as_str(), "{event}");
        recorded(&[&format!("{direction} to {target} refused"), "Permission denied"]);
    };
    for (number, there) in [&secret, &closed, &links[0], &links[1]].into_iter().enumerate() {
        let shouted = shout_through(&format!("denied-{number}.sock"), there);
        assert_eq!(shouted, "", "{}", there.display());
        check_denied("local", there);
    }
    // It was the mode alone that kept the one in the open folder closed.
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o666)).unwrap();
    assert_eq!(shout_through("allowed.sock", &links[1]), "HELLO");
    // Nor may the user have a socket made where only root could, or somebody else.
    let other = Account::new(&CLUSTER, "room");
    fs::set_permissions(&other.home, fs::Permissions::from_mode(0o755)).unwrap();
    for at in [vault.join("mine"), other.home.join("mine")] {
        let spec = format!("{}:/tmp/unused.sock", at.display());
        let mut forward = Forwarding::start(account.ssh(&flags), "-R", &spec);
        assert!(!forward.0.wait().unwrap().success(), "{}", at.display());
        assert!(!at.exists(), "{}", at.display());
        check_denied("remote", &at);
    }
}

/// What leads to this machine, however it is written: names, wildcards, short forms, other bases, IPv4 within IPv6.
const ONESELF: [&str; 17] = [
    "127.77.7.7",
    "127.0.0.1",
    "localhost",
    "LocalHost",
    "0.0.0.0",
    "0",
    "127.1",
    "0177.0.0.1",
    "0x7f.0.0.1",
    "2130706433",
    "0x7f000001",
    "017700000001",
    "::1",
    "0:0:0:0:0:0:0:1",
    "::",
    "::ffff:127.0.0.1",
    "::ffff:7f00:1",
];

#[test]
fn the_way_around_the_recorder_stands_in_the_ledger() {
    let test = "the_way_around_the_recorder";
    // At every address of this machine; a real SSH server is left alone. The second is free where the first is not both.
    let every = ["[::]:22", "0.0.0.0:22"].into_iter();
    let listeners: Vec<_> = every.filter_map(|every| TcpListener::bind(every).ok()).collect();
    if listeners.is_empty() {
        return skip(test, "port 22 needs root, and must be free");
    }
    for listener in listeners {
        std::thread::spawn(move || listener.incoming().for_each(drop));
    }
    // And by the name and the addresses that this machine has beside those.
    let mut own = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    if let Ok(out) = Command::new("hostname").arg("-I").output() {
        own.push_str(&text(&out));
    }
    let mut hosts = Vec::new();
    for host in ONESELF.into_iter().chain(own.split_whitespace()) {
        match TcpStream::connect((host, 22)) {
            Ok(_) => hosts.push(host),
            Err(error) => skip(test, &format!("{host} is not this machine here: {error}")),
        }
    }
    let sockets: Vec<_> =
        (0..hosts.len()).map(|at| CLUSTER.path(&format!("around-{at}.sock"))).collect();
    let spec = |at: usize| format!("{}:[{}]:22", sockets[at].display(), hosts[at]);
    let mut ssh = CLUSTER.ssh_command();
    for at in 1..hosts.len() {
        ssh.args(["-L", &spec(at)]);
    }
    let forward = Forwarding::start(ssh, "-L", &spec(0));
    for here in &sockets {
        shout(here);
    }
    drop(forward);
    let target = |host: &&str| match host.contains(':') {
        true => format!("[{host}]:22"),
        false => format!("{host}:22"),
    };
    let targets: Vec<_> = hosts.iter().map(target).collect();
    for target in &targets {
        wait_for(&format!("the warning of {target}"), || {
            let warned = CLUSTER.audit("forward.around_recorder");
            warned.iter().any(|event| event["target"] == target.as_str())
        });
    }
    let lines: Vec<_> =
        targets.iter().map(|target| format!(" local to {target} opened by")).collect();
    recorded(&lines.iter().map(String::as_str).collect::<Vec<_>>());
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
        let account = Account::new(&CLUSTER, "x");
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
    let account = is_root().then(|| Account::new(&CLUSTER, "nox"));
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

/// A session whose account has the client's agent, and stays until a line is typed.
struct Lent {
    ssh: Child,
    /// Path of the agent's socket on the node.
    socket: PathBuf,
}

impl Lent {
    fn start(account: &Account<'_>, agent: &Path) -> Self {
        let mut ssh = account.ssh(&[]);
        ssh.env("SSH_AUTH_SOCK", agent).args(["-A", &CLUSTER.host()]);
        ssh.arg("ssh-add -l; echo $SSH_AUTH_SOCK; read go; ssh-add -l");
        let mut ssh = ssh.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(ssh.stdout.as_mut().unwrap()).lines();
        assert!(lines.next().unwrap().unwrap().contains("ED25519"));
        let socket = PathBuf::from(lines.next().unwrap().unwrap());
        Self { ssh, socket }
    }

    /// What the agent says at last.
    fn finish(mut self) -> String {
        self.ssh.stdin.take().unwrap().write_all(b"\n").unwrap();
        text(&self.ssh.wait_with_output().unwrap())
    }
}

/// A folder of root's that everybody may look into.
fn open_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

/// Waits until no process works for an account any more: everything that was made for it has been removed.
fn wait_for_rest(account: &Account<'_>) {
    wait_for(&format!("{} to rest", account.name), || {
        let out = Command::new("pgrep").args(["-u", &account.name]).output().unwrap();
        out.stdout.is_empty()
    });
}

#[test]
fn who_puts_links_in_the_place_of_their_agents_socket_reaches_nobody_elses_and_takes_nothing_away()
{
    let test = "who_puts_links_in_the_place_of_their_agents_socket";
    if !is_root() || !has("ssh-agent") || !has("pgrep") {
        return skip(test, "needs root, ssh-agent and pgrep");
    }
    let (agent, key) = (CLUSTER.path("lent-agent.sock"), CLUSTER.path("lent-key"));
    let mut server = Command::new("ssh-agent");
    let mut server = server.args(["-D", "-a"]).arg(&agent).stdout(Stdio::null()).spawn().unwrap();
    wait_for("the agent", || agent.exists());
    new_key(&key);
    let add = Command::new("ssh-add").arg("-q").arg(&key).env("SSH_AUTH_SOCK", &agent).output();
    assert_success(&add.unwrap());
    let (owner, thief) = (Account::new(&CLUSTER, "own"), Account::new(&CLUSTER, "thf"));
    let lent = Lent::start(&owner, &agent);
    let (theirs, folder) = (lent.socket.display(), lent.socket.parent().unwrap().display());
    // A file of root's, and one of the thief's own, both with the name of the socket.
    let vault = open_folder();
    let (vault, own) = (vault.path(), thief.home.join("own"));
    fs::write(vault.join("agent"), "precious").unwrap();
    let prepare = format!("mkdir {0}; echo -n precious > {0}/agent", own.display());
    assert_success(&thief.run(&prepare));
    let socket = "rm $SSH_AUTH_SOCK; ln -s";
    let in_its_place = "d=$(dirname $SSH_AUTH_SOCK); rm -r $d; ln -s";
    for (what, swap) in [
        ("nothing", format!("SSH_AUTH_SOCK={theirs}")),
        ("the socket", format!("{socket} {theirs} $SSH_AUTH_SOCK")),
        ("its folder", format!("{in_its_place} {folder} $d")),
        ("its folder, by root's", format!("{in_its_place} {} $d", vault.display())),
        ("its folder, by one's own", format!("{in_its_place} {} $d", own.display())),
    ] {
        let mut ssh = thief.ssh(&[]);
        ssh.env("SSH_AUTH_SOCK", &agent).args(["-A", &CLUSTER.host()]);
        ssh.arg(format!("f=$(dirname $SSH_AUTH_SOCK); {swap}; ssh-add -l 2>&1; echo $f"));
        let out = ssh.output().unwrap();
        let shown = words(&out);
        assert!(!shown.contains("ED25519"), "{what}: {shown}");
        assert!(shown.contains("Error connecting to agent"), "{what}: {shown}");
        wait_for_rest(&thief);
        assert!(lent.socket.exists(), "{what}: somebody else's socket is gone");
        for folder in [vault, &own] {
            let kept = fs::read_to_string(folder.join("agent"));
            assert_eq!(kept.ok().as_deref(), Some("precious"), "{what}: {}", folder.display());
        }
        let swapped = PathBuf::from(shown.lines().last().unwrap());
        assert!(swapped.to_string_lossy().contains("/scry-agent-"), "{shown}");
        let _ = fs::remove_file(&swapped).or_else(|_| fs::remove_dir_all(&swapped));
    }
    // Nor does the node reach it for them, directly or by a link of theirs.
    let link = thief.home.join("link");
    symlink(&lent.socket, &link).unwrap();
    for target in [&lent.socket, &link] {
        let here = CLUSTER.path("stolen-agent.sock");
        let _ = fs::remove_file(&here);
        let spec = format!("{}:{}", here.display(), target.display());
        let forward = Forwarding::start(thief.ssh(&[]), "-L", &spec);
        assert_eq!(shout(&here), "");
        drop(forward);
        let event = audited("forward.failed", "target", target.to_str().unwrap());
        assert!(event["why"].as_str().unwrap().contains("Permission denied"), "{event}");
        assert_eq!(event["login"], thief.name.as_str());
    }
    // Its owner has it as before; and the connection's recording says who asked it, and how often.
    let uid = fs::metadata(&lent.socket).unwrap().uid();
    let waits = format!("agent waits at {theirs}");
    assert!(lent.finish().contains("ED25519"));
    server.kill().unwrap();
    server.wait().unwrap();
    let page = recorded(&[&waits, "agent waits no longer at"]);
    let opened = format!("agent to the client's agent opened by uid {uid}, process ");
    assert_eq!(page.matches(&opened).count(), 2, "{page}");
    assert!(page.contains("(ssh-add)") && page.contains("#2 closed after "), "{page}");
    audited("forward.open", "direction", "agent");
}

#[test]
fn links_in_the_place_of_an_x11_authority_lead_to_nothing_that_is_not_the_users_own() {
    if !is_root() || !has("xauth") {
        return skip("links_in_the_place_of_an_x11_authority", "needs root and xauth");
    }
    let (other, thief) = (Account::new(&CLUSTER, "auth"), Account::new(&CLUSTER, "link"));
    let vault = open_folder();
    let vault = vault.path();
    fs::write(vault.join("roots"), "precious").unwrap();
    assert_success(
        &other.run("echo -n precious > .Xauthority; chmod 600 .Xauthority; chmod 755 ."),
    );
    let theirs = other.home.join(".Xauthority");
    // The second is the name under which xauth makes the new file.
    let names = [".Xauthority", ".Xauthority-n"];
    let targets = [vault.join("roots"), vault.join("new"), theirs.clone()];
    for target in &targets {
        for name in names {
            let _ = fs::remove_file(thief.home.join(name));
            symlink(target, thief.home.join(name)).unwrap();
        }
        let mut ssh = thief.ssh(&[]);
        ssh.env("DISPLAY", ":7").env("XAUTHORITY", CLUSTER.path("no-authority"));
        let out = ssh.args(["-Y", &CLUSTER.host(), "echo [$DISPLAY]"]).output().unwrap();
        assert!(words(&out).contains("[localhost:1"), "it was asked for: {}", words(&out));
        wait_for_rest(&thief);
        assert_eq!(fs::read_to_string(vault.join("roots")).unwrap(), "precious");
        assert_eq!(fs::read_to_string(&theirs).unwrap(), "precious");
        let there: Vec<_> = fs::read_dir(vault).unwrap().map(|it| it.unwrap().path()).collect();
        assert_eq!(there, [vault.join("roots")], "{}", target.display());
    }
    // The ledger has each display that was lent; what the user's own xauth may not do is the machine's to refuse.
    for event in ["forward.listen", "forward.stop"] {
        wait_for(event, || {
            let rows = CLUSTER.audit(event);
            let theirs = rows.iter().filter(|row| row["login"] == thief.name.as_str());
            theirs.filter(|row| row["direction"] == "x11").count() == targets.len()
        });
    }
}

#[test]
fn an_account_that_the_machine_does_not_let_in_gets_its_words_for_sessions_and_forwards() {
    if !is_root() {
        return skip("an_account_that_the_machine_does_not_let_in", "needs root");
    }
    let account = Account::new(&CLUSTER, "exp");
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
    let account = Account::new(&CLUSTER, "motd");
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
    let account = Account::new(&CLUSTER, "who");
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
        let out = one.output().unwrap();
        assert_success(&out);
        let shown = text(&out);
        assert!(shown.contains("LOGNAME=") && !shown.contains("evil"), "{name}: {shown}");
    }
    audited("session.variable_refused", "name", "LD_PRELOAD");
    let mut ssh = CLUSTER.ssh_command();
    ssh.env("TERM", "x\u{1b}]0;evil\u{7}").args(["-tt", &CLUSTER.host(), "echo [$TERM]"]);
    let shown = words(&ssh.output().unwrap());
    assert!(shown.contains("[dumb]"), "{shown}");
    if !is_root() {
        return skip("nothing_that_a_home_holds", "needs root");
    }
    let account = Account::new(&CLUSTER, "home");
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

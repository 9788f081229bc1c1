//! A cluster for tests: the real binary in a folder of its own, a signed-up person, and their OpenSSH settings.
//!
//! Everything here panics on trouble: it is the arrange part of tests, and a panic is their clearest word.

pub mod account;
pub mod apart;
pub mod asker;
pub mod browser;
pub mod company;
pub mod crash_point;
pub mod eyes;
pub mod kernel;
pub mod keys;
pub mod lines;
pub mod moved;
pub mod person;
pub mod process;
pub mod relay;
pub mod schema;
pub mod script;
pub mod seen;
pub mod sharing;
pub mod small_disk;
pub mod surf;
pub mod terminal;

use process::Server;
use std::fs;
use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// The password of everybody in tests.
pub const PASSWORD: &str = "correct horse battery";

pub use chance::long;

/// The binary under test, beside the test's own folder; `cargo xtask test` builds it first.
pub fn scry_path() -> PathBuf {
    let exe = std::env::current_exe().expect("a test knows its own path");
    let folder = exe.parent().and_then(Path::parent).expect("tests live in target/PROFILE/deps");
    let path = folder.join("scry");
    assert!(
        path.exists(),
        "{} is missing: run `cargo build -p scry`, or `cargo xtask test`",
        path.display()
    );
    path
}

/// A running cluster, stopped when dropped.
pub struct Cluster {
    /// Everything of this test lies here.
    pub folder: tempfile::TempDir,
    /// Port that people and nodes reach.
    pub address: String,
    /// Name of the account that the tests log in as: the one they run as.
    pub login: String,
    server: Option<Server>,
}

/// Name of every test cluster and its node.
pub const CLUSTER: &str = "home";
/// Name of every test node.
pub const NODE: &str = "box";

impl Cluster {
    /// Starts a cluster and signs its first admin up.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// As [`Cluster::start`], with further flags of `scry start`.
    pub fn start_with(further: &[&str]) -> Self {
        let mut cluster = Self::empty();
        cluster.begin(further);
        cluster
    }

    /// A folder, and nothing running in it.
    pub(crate) fn empty() -> Self {
        let folder = tempfile::Builder::new().prefix("scry-test").tempdir().expect("a folder");
        Self { folder, address: String::new(), login: whoami(), server: None }
    }

    /// Starts the server for the first time, and signs its first admin up.
    pub(crate) fn begin(&mut self, further: &[&str]) {
        let invitation = self.serve_roles("127.0.0.1:0", further);
        self.sign_up(&invitation.expect("the first start prints an invitation"));
    }

    /// Signs the first admin up, and writes settings for OpenSSH.
    pub(crate) fn sign_up(&mut self, invitation: &str) {
        let address = invitation.trim_start_matches("scry://").split('/').next();
        self.address = address.expect("an invitation has an address").to_owned();
        let out = self.scry_with_input(&["signup", invitation], PASSWORD);
        assert_success(&out);
        self.write_config();
    }

    /// As [`Cluster::start`], for a static that many tests share: statics are never dropped, so somebody else cleans up.
    pub fn start_shared() -> Self {
        Self::start_shared_with(&[])
    }

    /// As [`Cluster::start_shared`], with further flags of `scry start`.
    #[expect(clippy::zombie_processes, reason = "the watcher outlives the tests on purpose")]
    pub fn start_shared_with(further: &[&str]) -> Self {
        let cluster = Self::start_with(further);
        let (tests, server) = (std::process::id(), cluster.server_pid());
        let folder = cluster.folder.path().display();
        let watch = format!(
            "while readlink /proc/{tests}/exe; do sleep 1; done; kill -9 {server}; rm -rf {folder}"
        );
        let mut watcher = Command::new("sh");
        watcher
            .args(["-c", &watch])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        watcher.spawn().expect("sh runs");
        cluster
    }

    /// Starts the server again where it was; gives the invitation if one is printed.
    pub fn restart(&mut self) {
        let address = self.address.clone();
        self.serve_roles(&address, &[]);
    }

    /// Starts the server with further flags; gives the invitation of the first admin if one is printed.
    pub(crate) fn serve_roles(&mut self, listen: &str, further: &[&str]) -> Option<String> {
        let server = Server::start(self.server_command(listen, further), &self.path("server.log"));
        let lines = server.until_ready();
        self.server = Some(server);
        invitation(&lines, "scry signup ")
    }

    /// The command that starts the server.
    pub fn server_command(&self, listen: &str, further: &[&str]) -> Command {
        let mut command = Command::new(scry_path());
        command
            .arg("start")
            .args(["--listen", listen, "--diagnostics-listen", "127.0.0.1:0"])
            .args(["--cluster", CLUSTER, "--node-name", NODE, "--admin", &self.login])
            .arg("--data-dir")
            .arg(self.path("data"))
            .args(further);
        command
    }

    /// Starts the server by a command of the test's own, such as one with a crash point, and does not wait.
    pub fn serve_by(&mut self, command: Command) -> &mut Server {
        self.server.insert(Server::start(command, &self.path("server.log")))
    }

    /// The server's process.
    pub fn server(&mut self) -> &mut Server {
        self.server.as_mut().expect("the server runs")
    }

    /// Kills the server as `kill -9` does.
    pub fn kill(&mut self) {
        self.server = None;
    }

    /// Process id of the server.
    pub fn server_pid(&self) -> u32 {
        self.server.as_ref().expect("the server runs").pid()
    }

    /// Asks the server to stop, and waits for it.
    pub fn stop(&mut self) -> std::process::ExitStatus {
        let status = self.server().stop();
        self.server = None;
        status
    }

    /// The server's log so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.path("server.log")).unwrap_or_default()
    }

    /// A path in the test's folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Name that OpenSSH reaches the node by.
    pub fn host(&self) -> String {
        format!("{NODE}.{CLUSTER}")
    }

    /// Settings for OpenSSH and everything that calls it.
    pub fn config(&self) -> PathBuf {
        self.path("ssh_config")
    }

    fn write_config(&self) {
        self.write_settings(&self.config(), &self.scry(&["config"]), "ERROR");
    }

    /// Writes settings for OpenSSH: what `scry config` printed, and the tests' own.
    pub(crate) fn write_settings(&self, path: &Path, config: &Output, log_level: &str) {
        assert_success(config);
        let login = &self.login;
        let own = format!(
            "\n\nHost *.{CLUSTER}\n    User {login}\n    BatchMode yes\n    LogLevel {log_level}\n"
        );
        // A client of the same person may be reading them at this moment.
        let fresh = path.with_added_extension("fresh");
        fs::write(&fresh, text(config) + &own).expect("settings can be written");
        fs::rename(&fresh, path).expect("settings can be replaced");
    }

    /// The client as the signed-in person.
    pub fn scry_command(&self) -> Command {
        let mut command = Command::new(scry_path());
        command.env("SCRY_HOME", self.path("client")).env_remove("SSH_AUTH_SOCK");
        command
    }

    /// Runs the client to its end.
    pub fn scry(&self, args: &[&str]) -> Output {
        self.scry_command().args(args).stdin(Stdio::null()).output().expect("scry runs")
    }

    /// Runs the client with this input, such as a password.
    pub fn scry_with_input(&self, args: &[&str], input: &str) -> Output {
        output_with(self.scry_command().args(args), input)
    }

    /// Runs the client and reads its JSON.
    pub fn scry_json(&self, args: &[&str]) -> serde_json::Value {
        let out = self.scry(args);
        assert_success(&out);
        serde_json::from_slice(&out.stdout).expect("--json prints JSON")
    }

    /// Adds a user with these roles; gives the invitation.
    pub fn add_user(&self, name: &str, roles: &[&str]) -> String {
        let mut args = vec!["users", "add", name];
        roles.iter().for_each(|role| args.extend(["--role", role]));
        let out = self.scry(&args);
        assert_success(&out);
        invitation(&[text(&out)], "scry signup ").expect("an invitation")
    }

    /// OpenSSH's client with the person's settings; the caller appends host and command.
    pub fn ssh_command(&self) -> Command {
        ssh_with(&self.config())
    }

    /// Sends an OpenSSH client past the proxy, to the node's own port.
    pub fn direct(&self, mut ssh: Command, port: u16) -> Command {
        ssh.args(["-o", "ProxyCommand=none", "-o", "HostName=127.0.0.1", "-p", &port.to_string()]);
        ssh.args(["-o", &format!("HostKeyAlias={}", self.host())]);
        ssh
    }

    /// Runs a command on the node through OpenSSH.
    pub fn ssh(&self, command: &str) -> Output {
        self.ssh_command().arg(self.host()).arg(command).output().expect("ssh runs")
    }

    /// Recordings of sessions and connections that go on, newest first.
    pub fn live_recordings(&self) -> Vec<serde_json::Value> {
        let rows = self.scry_json(&["recordings", "ls", "--json", "--live"]);
        own(rows.as_array().expect("a list"))
    }

    /// Recordings of sessions and connections, newest first, once all have ended and been stored.
    pub fn stored_recordings(&self) -> Vec<serde_json::Value> {
        // Where storing fails auth tries again after 2, 4, 8, … seconds, and the long runs make it fail often.
        let patience = if long() { 120 } else { 30 };
        let deadline = Instant::now() + Duration::from_secs(patience);
        loop {
            let rows = self.scry_json(&["recordings", "ls", "--json", "--limit", "1000"]);
            let rows = own(rows.as_array().expect("a list"));
            if rows.iter().all(|row| row["phase"] == "stored") {
                return rows;
            }
            assert!(
                Instant::now() < deadline,
                "not all recordings were stored: {rows:#?}\n{}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// The newest stored recording whose command is `command`.
    pub fn recording_of(&self, command: &str) -> serde_json::Value {
        let mut found = None;
        // Auth may hear of a recording after its session has ended.
        wait_for(&format!("the recording of {command:?}"), || {
            let rows = self.stored_recordings();
            found = rows.into_iter().find(|row| row["command"] == command);
            found.is_some()
        });
        found.expect("it was waited for")
    }

    /// The file of a recording in auth's final store; one that is short is one part.
    #[must_use]
    pub fn stored_part(&self, id: &str) -> PathBuf {
        let mut place = self.path("data/auth/recordings/rec").join(id);
        while place.is_dir() {
            let inside = fs::read_dir(&place).expect("it is ours");
            let inside: Vec<_> = inside.map(|entry| entry.expect("it is there").path()).collect();
            assert_eq!(inside.len(), 1, "{inside:?}");
            place.clone_from(&inside[0]);
        }
        place
    }

    /// The admin signs in anew, and sees what is recorded.
    #[track_caller]
    pub fn admin_signs_in(&self) {
        assert_success(&self.scry_with_input(&["login"], PASSWORD));
        assert_success(&self.scry(&["recordings", "ls"]));
    }

    /// Takes a recording out as a file; each time another one, for tests share a cluster.
    pub fn export(&self, id: &str, format: &str) -> PathBuf {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = self.path(&format!("{id}-{number}.{format}"));
        let name = path.to_str().expect("a plain path");
        assert_success(&self.scry(&[
            "recordings",
            "export",
            id,
            "--format",
            format,
            "--output",
            name,
        ]));
        path
    }

    /// What `scry verify` says of a recording to somebody who knows the cluster's key, and nothing else of it.
    pub fn verify(&self, id: &str) -> Output {
        self.verify_file(&self.export(id, "scry"), &[])
    }

    /// As [`Self::verify`], of a file.
    pub fn verify_file(&self, file: &Path, further: &[&str]) -> Output {
        let status = self.scry_json(&["status", "--json"]);
        let key = status["cluster"]["seal_keys"][0].as_str().expect("a key");
        let mut verify = Command::new(scry_path());
        verify.args(["verify", "--key", key]).args(further).arg(file);
        verify.env("SCRY_HOME", self.path("nobody"));
        verify.output().expect("scry runs")
    }

    /// Sets a role, given as TOML.
    pub fn set_role(&self, role: &str) {
        let path = self.path("role.toml");
        fs::write(&path, role).expect("a role can be written");
        assert_success(&self.scry(&["roles", "set", path.to_str().expect("a plain path")]));
    }

    /// Gives the role of the cluster's admin further options, given as TOML.
    pub fn set_options(&self, options: &str) {
        let role = text(&self.scry(&["roles", "show", "admin"]));
        let options = format!("[options]\n{options}");
        self.set_role(&match role.contains("[options]") {
            true => role.replace("[options]", &options),
            false => format!("{role}\n{options}\n"),
        });
        // The node hears of it at once.
        std::thread::sleep(Duration::from_secs(1));
    }

    /// Makes the role of the cluster's admin record under `strict`.
    pub fn record_strictly(&self) {
        self.set_options("record = \"strict\"");
    }

    /// Events of the ledger whose word is `word`, oldest first.
    pub fn audit(&self, word: &str) -> Vec<serde_json::Value> {
        let rows = self.scry_json(&["audit", "ls", "--json", "--limit", "1000", "--event", word]);
        rows.as_array().expect("a list").clone()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let tail: Vec<_> = log.lines().rev().take(60).collect();
            eprintln!("--- the server's last words ---");
            for line in tail.iter().rev() {
                eprintln!("{line}");
            }
        }
        self.kill();
    }
}

/// Without those of what sessions left running, which go on for as long as that does.
fn own(rows: &[serde_json::Value]) -> Vec<serde_json::Value> {
    rows.iter().filter(|row| row["kind"] != "aftermath").cloned().collect()
}

/// The invitation behind `word` among printed lines.
pub(crate) fn invitation(lines: &[String], word: &str) -> Option<String> {
    lines.iter().find_map(|line| {
        let (_, behind) = line.split_once(word)?;
        behind.split_whitespace().next().map(str::to_owned)
    })
}

/// Expects success, and shows everything if it is none.
#[track_caller]
pub fn assert_success(out: &Output) {
    assert!(
        out.status.success(),
        "{}\n--- stdout ---\n{}\n--- stderr ---\n{}",
        out.status,
        String::from_utf8_lossy(&out.stdout),
        String::from_utf8_lossy(&out.stderr)
    );
}

/// Standard output as text, without the last line's end.
pub fn text(out: &Output) -> String {
    String::from_utf8_lossy(&out.stdout).trim_end().to_owned()
}

/// Runs a program to its end with this input.
pub fn output_with(command: &mut Command, input: &str) -> Output {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it runs");
    let mut stdin = child.stdin.take().expect("piped");
    // One who does not read all of it has its reasons; the output tells.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    child.wait_with_output().expect("it ends")
}

/// OpenSSH's client with these settings.
pub(crate) fn ssh_with(config: &Path) -> Command {
    let mut command = Command::new("ssh");
    command.arg("-F").arg(config).env_remove("SSH_AUTH_SOCK").env("TERM", "xterm-256color");
    command.stdin(Stdio::null());
    command
}

/// Waits until `done` says so.
#[track_caller]
pub fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    let began = Instant::now();
    while !done() {
        let waited = began.elapsed();
        assert!(waited < Duration::from_secs(60), "waited 60 s in vain for {what}");
        // Looking often runs `scry`: whoever waits for long leaves the processors to what is waited for.
        std::thread::sleep(
            (waited / 8).clamp(Duration::from_millis(30), Duration::from_millis(500)),
        );
    }
}

/// A port on loopback that is free, and that nobody is given who asks for any: it is below those that the kernel gives
/// (`ip_local_port_range`). Each port is given once.
pub fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    const PORTS: std::ops::Range<u32> = 20_000..32_000;
    let count = PORTS.end - PORTS.start;
    // Test programs that run at the same time begin elsewhere.
    let first = std::process::id().wrapping_mul(997);
    loop {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        assert!(step < count, "no port on loopback is free");
        let port = PORTS.start + first.wrapping_add(step) % count;
        let port = u16::try_from(port).expect("it is below 65,536");
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Port of a server here that hands over each connection, on a thread of its own.
pub fn serve_each(serve: fn(TcpStream)) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("it is bound").port();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || serve(stream));
        }
    });
    port
}

/// Whether the tests run as root.
pub fn is_root() -> bool {
    id("-u") == "0"
}

fn whoami() -> String {
    id("-un")
}

fn id(flag: &str) -> String {
    text(&Command::new("id").arg(flag).output().expect("id runs"))
}

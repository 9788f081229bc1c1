//! Sessions under four eyes: clients that are read as they go, people who come to look, counters that show what runs.

use crate::person::Person;
use crate::process::send;
use crate::{Cluster, is_root, wait_for};
use serde_json::Value;
use std::io::{Read, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

/// Name of the demand in every test.
pub const DEMAND: &str = "a second pair";

/// Whether sessions can be frozen here: that needs root and control groups of version 2.
pub fn can_freeze() -> bool {
    let mounts = std::fs::read_to_string("/proc/mounts").unwrap_or_default();
    let can = is_root() && mounts.lines().any(|line| line.contains(" cgroup2 "));
    if !can {
        eprintln!("skipped: to freeze needs root and control groups of version 2");
    }
    can
}

/// A cluster in which somebody must look; `more` is said of the demand.
pub fn with_eyes(more: &str) -> Cluster {
    let cluster = Cluster::start();
    set_roles(&cluster, more);
    cluster
}

/// As [`with_eyes`], where processes can be frozen at all.
pub fn that_can_freeze(more: &str) -> Option<Cluster> {
    can_freeze().then(|| with_eyes(more))
}

/// Sets the role `worker`, whose sessions need somebody with the role `eyes`; and `eyes` and `guest`, who may come to
/// them as anything. `demand` are further lines of the demand.
pub fn set_roles(cluster: &Cluster, demand: &str) {
    let login = &cluster.login;
    cluster.set_role(&format!(
        "name = 'worker'\n\
         [allow]\nlogins = ['{login}']\nnodes = {{ '*' = ['*'] }}\n\
         forward = ['agent', 'local', 'remote', 'x11']\nrecordings = {{ list = 'own' }}\n\
         [[options.four_eyes]]\nname = '{DEMAND}'\nroles = ['eyes']\n{demand}\n"
    ));
    for name in ["eyes", "guest"] {
        cluster.set_role(&format!(
            "name = '{name}'\n[[allow.join]]\nroles = ['*']\nseats = ['observer', 'peer', 'moderator']\n"
        ));
    }
}

/// A client under way, killed when dropped.
pub struct Client {
    child: Child,
    stdin: Option<ChildStdin>,
    printed: Heard,
    said: Heard,
}

impl Client {
    /// Starts it.
    pub fn start(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it runs");
        let printed = Heard::start(child.stdout.take().expect("piped"));
        let said = Heard::start(child.stderr.take().expect("piped"));
        let stdin = child.stdin.take();
        Self { child, stdin, printed, said }
    }

    /// Opens a session on the node by OpenSSH.
    pub fn open(cluster: &Cluster, person: &Person<'_>, flags: &[&str], command: &str) -> Self {
        let mut ssh = person.ssh_command();
        ssh.args(flags).arg(cluster.host());
        if !command.is_empty() {
            ssh.arg(command);
        }
        Self::start(ssh)
    }

    /// Comes to a session as this, by OpenSSH; whether that counts shows elsewhere.
    pub fn come(cluster: &Cluster, person: &Person<'_>, session: &str, seat: &str) -> Self {
        let mut ssh = person.ssh_command();
        ssh.args(["-tt", &format!("+{session}@{}", cluster.host()), seat]);
        Self::start(ssh)
    }

    /// As [`Client::come`], and waits until they sit there.
    #[track_caller]
    pub fn seated(cluster: &Cluster, person: &Person<'_>, session: &str, seat: &str) -> Self {
        let before = people(cluster, session);
        let client = Self::come(cluster, person, session, seat);
        wait_for("the seat", || people(cluster, session) > before);
        client
    }

    /// Types; whether anybody reads it shows elsewhere.
    pub fn types(&mut self, keys: &str) {
        let stdin = self.stdin.as_mut().expect("the input is open");
        let _ = stdin.write_all(keys.as_bytes()).and_then(|()| stdin.flush());
    }

    /// Ends what it is given.
    pub fn ends_input(&mut self) {
        self.stdin = None;
    }

    /// Standard output so far.
    pub fn printed(&self) -> String {
        self.printed.text()
    }

    /// Standard error so far.
    pub fn said(&self) -> String {
        self.said.text()
    }

    /// Waits until it was said on standard error.
    #[track_caller]
    pub fn wait_said(&self, words: &str) {
        let said = || self.said();
        self.wait(words, &said);
    }

    /// Waits until it was printed on standard output.
    #[track_caller]
    pub fn wait_printed(&self, words: &str) {
        let printed = || self.printed();
        self.wait(words, &printed);
    }

    #[track_caller]
    fn wait(&self, words: &str, heard: &dyn Fn() -> String) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while !heard().contains(words) {
            let (printed, said) = (self.printed(), self.said());
            assert!(Instant::now() < deadline, "no {words:?} in:\n{printed}\n--- or ---\n{said}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits until it is told that the session waits; answers which session that is.
    #[track_caller]
    pub fn waits(&self) -> String {
        self.wait_said("--as moderator");
        let said = self.said();
        let (_, behind) = said.split_once("scry join ").expect("how they come");
        behind.split_whitespace().next().expect("a session").to_owned()
    }

    /// Sends its process a signal.
    pub fn signal(&self, name: &str) {
        send(&format!("-{name}"), self.child.id());
    }

    /// Kills it, if it has not ended.
    pub fn kill(&mut self) {
        let _ = (self.child.kill(), self.child.wait());
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("it can be waited for").is_some()
    }

    /// Waits for its end.
    #[track_caller]
    pub fn ended(&mut self) -> ExitStatus {
        let mut status = None;
        wait_for("a client's end", || {
            status = self.child.try_wait().expect("it can be waited for");
            status.is_some()
        });
        // What it left in the pipes.
        std::thread::sleep(Duration::from_millis(50));
        status.expect("it has ended")
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.kill();
    }
}

/// What came out of a pipe so far.
struct Heard(Arc<Mutex<Vec<u8>>>);

impl Heard {
    fn start(mut pipe: impl Read + Send + 'static) -> Self {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let room = Arc::clone(&heard);
        std::thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(count @ 1..) = pipe.read(&mut piece) {
                room.lock().expect("nobody panicked with it").extend_from_slice(&piece[..count]);
            }
        });
        Self(heard)
    }

    fn text(&self) -> String {
        let bytes = self.0.lock().expect("nobody panicked with it");
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

/// A file into which a program writes what time it is, again and again: it shows when the program ran. The program ends
/// when this is dropped.
pub struct Counter {
    file: PathBuf,
    /// As long as it is there, the program goes on.
    goes_on: PathBuf,
}

impl Counter {
    /// In the test's folder; the name is a plain word.
    pub fn new(cluster: &Cluster, name: &str) -> Self {
        let (file, goes_on) = (cluster.path(name), cluster.path(&format!("{name}-goes-on")));
        std::fs::write(&goes_on, "").expect("a file can be written");
        Self { file, goes_on }
    }

    /// What a shell runs.
    pub fn command(&self) -> String {
        let (file, goes_on) = (self.file.display(), self.goes_on.display());
        format!("while test -e {goes_on}; do date +%s%N >> {file}; done")
    }

    /// As [`Counter::command`], and prints it too.
    pub fn loud(&self) -> String {
        self.command().replace(">>", "| tee -a")
    }

    fn size(&self) -> u64 {
        std::fs::metadata(&self.file).map_or(0, |about| about.len())
    }

    /// When it was last written.
    fn last(&self) -> SystemTime {
        let text = std::fs::read_to_string(&self.file).expect("it has run");
        let (whole, _) = text.rsplit_once('\n').expect("a whole line");
        let nanos = whole.lines().last().and_then(|line| line.parse().ok()).expect("a time");
        SystemTime::UNIX_EPOCH + Duration::from_nanos(nanos)
    }

    /// Waits until it runs.
    #[track_caller]
    pub fn runs(&self) {
        let before = self.size();
        wait_for("the counter to run", || self.size() > before);
    }

    /// Whether it has never run.
    pub fn is_unborn(&self) -> bool {
        !self.file.exists()
    }

    /// Expects that it stands still for so long.
    #[track_caller]
    pub fn stands(&self, time: Duration) {
        let before = self.size();
        std::thread::sleep(time);
        assert_eq!(self.size(), before, "it ran");
    }

    /// Waits until it stands still; answers how long after `began` it ran for the last time, to some milliseconds.
    #[track_caller]
    pub fn stopped_since(&self, began: SystemTime) -> Duration {
        let deadline = Instant::now() + Duration::from_secs(15);
        loop {
            let before = self.size();
            std::thread::sleep(Duration::from_millis(500));
            if self.size() == before {
                return self.last().duration_since(began).unwrap_or_default();
            }
            assert!(Instant::now() < deadline, "it runs on");
        }
    }
}

impl Drop for Counter {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.goes_on);
    }
}

/// What auth's list says of a session, as the admin sees it; nothing if it does not go on.
pub fn listed(cluster: &Cluster, session: &str) -> Value {
    let all = cluster.scry_json(&["sessions", "--json"]);
    let all = all.as_array().expect("a list");
    all.iter().find(|one| one["id"] == session).cloned().unwrap_or(Value::Null)
}

/// How many are in it, the owner too.
pub fn people(cluster: &Cluster, session: &str) -> usize {
    listed(cluster, session)["people"].as_array().map_or(0, Vec::len)
}

/// Waits until the list says that it is so: `waiting`, `running` or `frozen`.
#[track_caller]
pub fn stands_as(cluster: &Cluster, session: &str, state: &str) {
    let deadline = Instant::now() + Duration::from_secs(15);
    loop {
        let one = listed(cluster, session);
        if one["state"] == state {
            return;
        }
        assert!(Instant::now() < deadline, "it is not {state}: {one:#}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Processes of this session or with this client folder, by their environment; or with this word in their command.
pub fn processes(word: &str) -> Vec<u32> {
    let has = |path: PathBuf| {
        let bytes = std::fs::read(path).unwrap_or_default();
        bytes.split(|byte| *byte == 0).any(|one| {
            let one = String::from_utf8_lossy(one);
            let value =
                ["SCRY_SESSION=", "SCRY_HOME="].iter().find_map(|name| one.strip_prefix(name));
            value.unwrap_or(&one) == word
        })
    };
    let own = |entry: std::fs::DirEntry| {
        let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
        let is = has(entry.path().join("environ")) || has(entry.path().join("cmdline"));
        is.then_some(pid)
    };
    std::fs::read_dir("/proc").expect("a list").filter_map(Result::ok).filter_map(own).collect()
}

/// Waits for an event in the ledger.
#[track_caller]
pub fn told(cluster: &Cluster, word: &str, fits: impl Fn(&Value) -> bool) -> Value {
    let deadline = Instant::now() + Duration::from_secs(15);
    loop {
        let rows = cluster.audit(word);
        if let Some(found) = rows.iter().find(|row| fits(row)) {
            return found.clone();
        }
        assert!(Instant::now() < deadline, "no such {word}: {rows:#?}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

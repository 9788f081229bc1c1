//! A session with others in it: its owner in one terminal, those who look on or type too in others.

use crate::person::Person;
use crate::process::send;
use crate::seen::{Differences, Seen};
use crate::terminal::Terminal;
use crate::{Cluster, NODE, wait_for};
use serde_json::Value;
use std::process::Command;
use std::time::{Duration, Instant};

/// Columns and rows of most terminals.
pub const SIZE: (u16, u16) = (100, 30);
/// The role that [`guests`] makes.
pub const GUEST: &str = "guest";
/// The owner's prompt.
pub const PROMPT: &str = "scry$";
/// How long a note of scry's may stand on a viewer's last row, and a little more.
pub const NOTE: Duration = Duration::from_secs(6);

/// Makes the role of those who may come to everybody's sessions as anything, and may do nothing else.
pub fn guests(cluster: &Cluster) {
    let join = "{ roles = ['*'], seats = ['observer', 'peer', 'moderator'] }";
    cluster.set_role(&format!("name = '{GUEST}'\nallow.join = [{join}]\n"));
}

/// The same shell with nothing of scry around it, and in a tmux as little as an owner's.
pub fn alone(cluster: &Cluster, size: (u16, u16)) -> Terminal {
    let mut shell = Command::new("env");
    shell.args([&format!("PS1={PROMPT} "), "bash", "--noprofile", "--norc"]);
    shell.env("TERM", "xterm-256color").env("LC_ALL", "C.UTF-8");
    shell.env_remove("TMUX").env_remove("TMUX_PANE");
    let terminal = Terminal::run(cluster.folder.path(), size, &shell);
    terminal.wait_for(PROMPT);
    terminal
}

/// Waits for an event in the ledger.
#[track_caller]
pub fn told(cluster: &Cluster, word: &str, fits: impl Fn(&Value) -> bool) {
    wait_for(&format!("{word} in the ledger"), || cluster.audit(word).iter().any(&fits));
}

/// How somebody comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// `scry join`.
    Scry,
    /// Plain ssh.
    Ssh,
}

/// The owner of a session, in it.
pub struct Owner<'a> {
    /// Where.
    pub terminal: Terminal,
    /// Which session.
    pub id: String,
    cluster: &'a Cluster,
}

impl<'a> Owner<'a> {
    /// The cluster's admin opens a shell without start-up files.
    pub fn start(cluster: &'a Cluster, size: (u16, u16)) -> Self {
        Self::start_by(cluster, size, cluster.ssh_command())
    }

    /// As [`Owner::start`], with a client that says that it can come back.
    pub fn returning(cluster: &'a Cluster, size: (u16, u16)) -> Self {
        Self::start_by(cluster, size, returning(cluster))
    }

    /// As [`Owner::start`], by `scry ssh`, which has the overlay.
    pub fn by_scry(cluster: &'a Cluster, size: (u16, u16)) -> Self {
        let mut scry = cluster.scry_command();
        scry.env("TERM", "xterm-256color");
        scry.args(["ssh", "-t", &format!("{}@{NODE}", cluster.login)]);
        Self::open(cluster, size, scry)
    }

    fn start_by(cluster: &'a Cluster, size: (u16, u16), mut ssh: Command) -> Self {
        ssh.args(["-tt", "-e", "none", "-o", "SendEnv=LC_ALL"]).arg(cluster.host());
        Self::open(cluster, size, ssh)
    }

    fn open(cluster: &'a Cluster, size: (u16, u16), mut client: Command) -> Self {
        // One that has just ended may still be on the list.
        let before = ids(cluster);
        client.env("LC_ALL", "C.UTF-8");
        client.arg(format!("exec env PS1='{PROMPT} ' bash --noprofile --norc"));
        let terminal = Terminal::run(cluster.folder.path(), size, &client);
        terminal.wait_for(PROMPT);
        let mut id = None;
        wait_for("the session on the list", || {
            id = ids(cluster).into_iter().find(|id| !before.contains(id));
            id.is_some()
        });
        Self { terminal, id: id.expect("it was waited for"), cluster }
    }

    /// The client dies as with its machine.
    pub fn is_lost(&self) {
        send("-KILL", self.terminal.pid());
        self.terminal.wait_for_end();
    }

    /// Comes back by another client.
    #[must_use]
    pub fn come_back(self, size: (u16, u16)) -> Self {
        let mut ssh = returning(self.cluster);
        ssh.args(["-tt", "-e", "none", &self.seat(), "owner"]).env("TERM", "xterm-256color");
        let terminal = Terminal::run(self.cluster.folder.path(), size, &ssh);
        Self { terminal, ..self }
    }

    /// Types a line.
    pub fn line(&self, line: &str) {
        self.terminal.type_text(&format!("{line}\r"));
    }

    /// Where ssh finds the session.
    pub fn seat(&self) -> String {
        seat_of(self.cluster, &self.id)
    }

    /// The command by which somebody comes.
    pub fn way(&self, person: &Person<'_>, way: Way, seat: &str) -> Command {
        way_to(self.cluster, &self.id, person, way, seat)
    }

    /// Somebody comes, and is there.
    #[track_caller]
    pub fn join(&self, person: &Person<'_>, way: Way, seat: &str, size: (u16, u16)) -> Viewer {
        self.come(&self.way(person, way, seat), seat, size)
    }

    /// As [`Owner::join`], by a command of the test's own.
    #[track_caller]
    pub fn come(&self, command: &Command, seat: &str, size: (u16, u16)) -> Viewer {
        let before = self.last();
        let terminal = Terminal::run(self.cluster.folder.path(), size, command);
        let deadline = Instant::now() + Duration::from_secs(30);
        while self.last() <= before {
            assert!(
                !terminal.has_ended() && Instant::now() < deadline,
                "nobody came by {command:?}:\n{}",
                terminal.all()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
        Viewer { terminal, types: seat == "peer" }
    }

    /// The highest number of somebody in it: each who comes has a higher one than all before.
    pub fn last(&self) -> u64 {
        self.people().iter().filter_map(|one| one["party"].as_u64()).max().unwrap_or_default()
    }

    /// Who is in it, the owner first, as `scry sessions` lists them.
    pub fn people(&self) -> Vec<Value> {
        let sessions = sessions(self.cluster);
        let own = sessions.iter().find(|one| one["id"] == self.id.as_str());
        own.and_then(|own| own["people"].as_array().cloned()).unwrap_or_default()
    }

    /// Whether somebody's keys reach the program, as the list says.
    pub fn types(&self, user: &str) -> bool {
        let theirs = |one: &Value| one["user"] == user && one["types"] == true;
        self.people().iter().any(theirs)
    }

    /// Waits for the session's recording, stored.
    #[track_caller]
    pub fn recording(&self) -> Value {
        let mut found = None;
        wait_for("the recording", || {
            let rows = self.cluster.stored_recordings();
            found = rows.into_iter().find(|row| row["id"] == self.id.as_str());
            found.is_some()
        });
        found.expect("it was waited for")
    }

    /// Ends the shell; gives the session's recording, stored.
    pub fn finish(self) -> Value {
        let mut asked: Option<Instant> = None;
        wait_for("the shell to end", || {
            // A program that is just ending may take what is meant for the shell behind it.
            if asked.is_none_or(|at| at.elapsed() > Duration::from_secs(5)) {
                self.line("exit");
                asked = Some(Instant::now());
            }
            self.terminal.has_ended()
        });
        self.recording()
    }

    /// How the pictures of the viewers differ from the owner's once they have had time, at a moment when that is still.
    pub fn compare(&self, viewers: &[Viewer], patience: Duration) -> Differences {
        let deadline = Instant::now() + patience;
        loop {
            let seen = self.terminal.seen();
            let all: Vec<_> = viewers.iter().map(|viewer| viewer.terminal.seen()).collect();
            let still = seen == self.terminal.seen();
            let mut differ = Differences::default();
            let both = all.iter().zip(viewers);
            both.clone().for_each(|(theirs, viewer)| differ += viewer.differs(theirs, &seen));
            if still && differ.none() {
                return differ;
            }
            if still && Instant::now() > deadline {
                both.for_each(|(theirs, _)| tell(&seen, theirs));
                return differ;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Expects that all see what the owner sees, as soon as no note stands in the way.
    #[track_caller]
    pub fn all_see_the_same(&self, viewers: &[Viewer]) {
        let differ = self.compare(viewers, NOTE);
        assert!(differ.none(), "{differ:?}");
    }
}

/// The sessions on the list.
fn ids(cluster: &Cluster) -> Vec<String> {
    let all = sessions(cluster);
    all.iter().filter_map(|one| one["id"].as_str().map(str::to_owned)).collect()
}

/// OpenSSH's client with the admin's settings, which says that it can come back.
fn returning(cluster: &Cluster) -> Command {
    let mut ssh = cluster.ssh_command();
    ssh.args(["-o", "SetEnv=SCRY_RETURNS=1"]);
    ssh
}

/// Somebody who looks on, or types too.
pub struct Viewer {
    /// Where.
    pub terminal: Terminal,
    /// Whether they are a peer.
    pub types: bool,
}

impl Viewer {
    fn differs(&self, theirs: &Seen, owners: &Seen) -> Differences {
        let mut differ = owners.differences(theirs);
        differ.looks += usize::from(place(owners) != place(theirs));
        differ.looks += usize::from(self.types && owners.keys != theirs.keys);
        differ
    }

    /// Waits until their client has ended, and gives all that it said on the terminal.
    #[track_caller]
    pub fn last_words(&self) -> String {
        self.terminal.wait_for_end()
    }
}

/// Where ssh finds a session, if there is one.
pub fn seat_of(cluster: &Cluster, id: &str) -> String {
    format!("+{id}@{}", cluster.host())
}

/// The command by which somebody comes to a session, if there is one.
pub fn way_to(cluster: &Cluster, id: &str, person: &Person<'_>, way: Way, seat: &str) -> Command {
    let mut command = match way {
        Way::Scry => person.command(),
        Way::Ssh => person.ssh_command(),
    };
    match way {
        Way::Scry => command.args(["join", id, "--as", seat]),
        Way::Ssh => command.args(["-tt", "-e", "none", &seat_of(cluster, id), seat]),
    };
    command.env("TERM", "xterm-256color");
    command
}

/// The command as the child of a shell that outlives it: what tmux started itself it would let go on when it is stopped,
/// and hide the cursor when it has ended.
pub fn in_shell(command: &Command) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", "\"$@\"; exec sleep 1000", "sh"]);
    shell.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    shell
}

/// Where the cursor stands; behind the last column it stands on that.
fn place(seen: &Seen) -> Option<(u16, u16)> {
    seen.cursor.map(|(col, row)| (col.min(seen.size.0 - 1), row))
}

fn tell(owners: &Seen, theirs: &Seen) {
    println!("differ: {:?}", owners.differences(theirs));
    println!("  owner:  cursor {:?}, {}", owners.cursor, owners.keys);
    println!("  viewer: cursor {:?}, {}", theirs.cursor, theirs.keys);
    for (col, row, own, other) in owners.unlike(theirs).iter().take(5) {
        println!("  column {col}, row {row}, owner: {own:?}\n    viewer: {other:?}");
    }
    for (row, (own, other)) in owners.rows().iter().zip(theirs.rows()).enumerate() {
        if *own != other {
            println!("  {row:>3} owner:  {own}\n      viewer: {other}");
        }
    }
}

/// What `scry sessions` lists for the cluster's admin.
pub fn sessions(cluster: &Cluster) -> Vec<Value> {
    cluster.scry_json(&["sessions", "--json"]).as_array().expect("a list").clone()
}

//! How soon a session under four eyes stands still when nobody looks any more: their client is closed, killed, or falls
//! silent.

use super::figures::{Bar, Row, Samples, Value};
use super::sharing::session;
use super::sides::{Running, Side, Sides, Wish, run as output_of, sign_up};
use super::{Bench, Context};
use anyhow::{Context as _, Result, bail};
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// See the module.
pub const BENCH: Bench = Bench {
    name: "freeze",
    what: "how soon a session stands still when whoever must look at it is gone or silent",
    run,
};

const WATCHER: &str = "watcher";
/// What somebody may do who looks, and what is asked of whoever works.
const EYES: &str = "name = 'eyes'\n\
                    [[allow.join]]\nroles = ['*']\nseats = ['moderator']\n";
const DEMAND: &str = "[[options.four_eyes]]\nname = 'a second pair'\nroles = ['eyes']\n";
/// How long a counter must not have moved to stand still.
const STILL: Duration = Duration::from_millis(200);
/// How long anything that is waited for may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A way to be gone: a signal for the client, or a key.
enum Way {
    Signal(&'static str),
    Key(&'static str),
}

fn run(context: &Context, sides: &Sides) -> Result<Vec<Row>> {
    let config = watcher(sides)?;
    let role = output_of(&mut sides.scry(&["roles", "show", "admin"]))?;
    sides.set_role(&format!("{role}\n{DEMAND}"))?;
    let rows = measure(context, sides, &config);
    sides.set_role(&role)?;
    rows
}

fn measure(context: &Context, sides: &Sides, config: &Path) -> Result<Vec<Row>> {
    let counter = sides.folder().join("counter");
    fs::write(&counter, "")?;
    fs::set_permissions(&counter, fs::Permissions::from_mode(0o666))?;
    let count = format!("exec bash -c 'while :; do printf x; done' >> {}", counter.display());
    let mut owner = sides.command(Side::ScryPort, Wish::default(), &count);
    let _owner = Running::start(owner.stderr(Stdio::null()))?;
    let ways = [
        ("a moderator leaves by a key", Way::Key("q"), context.reduced(3, 10), 100.0),
        ("a moderator's client is closed", Way::Signal("TERM"), context.reduced(3, 10), 100.0),
        ("a moderator's client is killed", Way::Signal("KILL"), context.reduced(3, 10), 100.0),
        ("a moderator falls silent", Way::Signal("STOP"), context.reduced(2, 10), 3_200.0),
    ];
    let session = session(sides)?;
    let mut rows = Vec::new();
    for (what, way, rounds, bar) in ways {
        context.say(&format!("freeze: {what}, {rounds} times"));
        let mut took = Samples::default();
        for round in 0..rounds {
            let began = Instant::now();
            let mut moderator = Moderator::come(sides, config, &session)?;
            goes_on(&counter, began)?;
            // Not always at the same place between two signs of life.
            thread::sleep(Duration::from_millis(300 + 170 * u64::try_from(round % 7)?));
            let began = Instant::now();
            moderator.goes(&way)?;
            took.add(vec![stops(&counter, began)?]);
        }
        let largest = took.quantile(1.0).context("nothing was measured")?;
        rows.push(Row {
            bench: BENCH.name,
            what: format!("{what}, until all stands still"),
            unit: "ms",
            peer: String::new(),
            side: Side::ScryPort.name().to_owned(),
            ours: Value::median(&took).context("nothing was measured")?,
            theirs: None,
            bar: Some(Bar::AtMost(bar)),
        });
        let what = format!("{what}, the longest of {rounds}");
        rows.push(Row::exact(BENCH.name, &what, "ms", largest, None, Some(Bar::AtMost(bar))));
    }
    Ok(rows)
}

/// Invites who looks, and answers their settings of ssh.
fn watcher(sides: &Sides) -> Result<PathBuf> {
    let home = sides.folder().join(WATCHER);
    let config = sides.folder().join("watcher_config");
    sides.set_role(EYES)?;
    let told = output_of(&mut sides.scry(&["users", "add", WATCHER, "--role", "eyes"]))?;
    let invitation = told.split_whitespace().find(|word| word.starts_with("scry://"));
    let client = || {
        let mut command = sides.scry(&[]);
        command.env("SCRY_HOME", &home);
        command
    };
    fs::write(&config, sign_up(client, invitation.context("no invitation")?)?)?;
    Ok(config)
}

/// The client of whoever looks.
struct Moderator {
    ssh: Running,
    keys: ChildStdin,
}

impl Moderator {
    fn come(sides: &Sides, config: &Path, session: &str) -> Result<Self> {
        let mut ssh = Command::new("ssh");
        ssh.arg("-F").arg(config).args(["-tt", "-o", "BatchMode=yes", "-o", "LogLevel=ERROR"]);
        ssh.args(["-l", &format!("+{session}"), &sides.host(), "moderator"]);
        ssh.env_remove("SSH_AUTH_SOCK").env("TERM", "xterm-256color");
        ssh.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut ssh = Running::start(&mut ssh)?;
        let keys = ssh.stdin()?;
        Ok(Self { ssh, keys })
    }

    fn goes(&mut self, way: &Way) -> Result<()> {
        match way {
            Way::Key(key) => Ok(self.keys.write_all(key.as_bytes())?),
            Way::Signal(name) => self.ssh.signal(name),
        }
    }
}

/// Waits until the counter moves.
fn goes_on(counter: &Path, since: Instant) -> Result<()> {
    let before = fs::metadata(counter)?.len();
    while fs::metadata(counter)?.len() == before {
        if since.elapsed() > PATIENCE {
            bail!("the session never went on");
        }
        thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

/// Milliseconds until the counter moved for the last time.
fn stops(counter: &Path, since: Instant) -> Result<f64> {
    let (mut length, mut last) = (fs::metadata(counter)?.len(), since);
    while last.elapsed() < STILL {
        if since.elapsed() > PATIENCE {
            bail!("the session never stood still");
        }
        thread::sleep(Duration::from_micros(500));
        let now = fs::metadata(counter)?.len();
        if now != length {
            (length, last) = (now, Instant::now());
        }
    }
    Ok(last.duration_since(since).as_secs_f64() * 1e3)
}

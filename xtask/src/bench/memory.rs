//! Memory of many idle sessions on terminals, all of the server's processes counted, the users' own programs not.

use super::figures::{Bar, Row};
use super::processes;
use super::sides::{Side, Sides, Wish};
use super::{Bench, Context};
use anyhow::{Context as _, Result, bail};
use std::io::Read as _;
use std::process::{Child, ChildStdin, Stdio};
use std::time::Duration;

/// See the module.
pub const BENCH: Bench = Bench {
    name: "memory",
    what: "PSS of idle sessions on terminals, one connection each, the users' own programs not counted",
    run,
};

/// Sessions opened at once; both servers bound how many may be signing in.
const AT_ONCE: usize = 10;
/// Quiet time before anything is read; the second reading comes after the last group of a recording has closed.
const SETTLE: [(u64, &str); 2] = [(3, "after 3 s"), (35, "after 38 s")];

fn run(context: &Context, sides: &Sides) -> Result<Vec<Row>> {
    let count = context.reduced(40, 200);
    let mut rows = Vec::new();
    let mut open = Vec::new();
    let mut empty = Vec::new();
    for side in [Side::Sshd, Side::Scry] {
        empty.push(pss(sides, side)?);
        open.push(Sessions::open(sides, side, count)?);
    }
    for (seconds, when) in SETTLE {
        context.say(&format!("memory: {count} sessions, idle for {seconds} s"));
        std::thread::sleep(Duration::from_secs(seconds));
        let (theirs, ours) = (pss(sides, Side::Sshd)?, pss(sides, Side::Scry)?);
        let each = |kib: f64| kib / 1024.0 / count as f64;
        let row = |what: String, ours, theirs, bar| {
            let theirs = Some((Side::Sshd.name(), each(theirs)));
            Row::exact("memory", &what, "MiB", each(ours), theirs, bar)
        };
        let what = format!("PSS of the whole server by {count} idle terminals, {when}");
        rows.push(row(what, ours, theirs, Some(Bar::AtMost(1.0))));
        if let [their_empty, our_empty] = empty[..] {
            let what = format!("PSS added by each of {count} idle terminals, {when}");
            rows.push(row(what, ours - our_empty, theirs - their_empty, None));
        }
    }
    Ok(rows)
}

/// KiB of a side's server.
#[expect(clippy::cast_precision_loss, reason = "KiB of one machine")]
pub fn pss(sides: &Sides, side: Side) -> Result<f64> {
    let (kib, _) = processes::pss_kib(sides.server(side), &sides.exe(side)?)?;
    Ok(kib as f64)
}

/// Clients whose sessions wait for a key.
struct Sessions(Vec<(Child, ChildStdin)>);

impl Sessions {
    fn open(sides: &Sides, side: Side, count: usize) -> Result<Self> {
        let mut all = Self(Vec::new());
        while all.0.len() < count {
            let mut fresh = Vec::new();
            for _ in 0..AT_ONCE.min(count - all.0.len()) {
                let wish = Wish { terminal: true, ..Wish::default() };
                let mut command = sides.command(side, wish, "printf R; exec cat");
                let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
                let keys = child.stdin.take().context("piped")?;
                let screen = child.stdout.take().context("piped")?;
                all.0.push((child, keys));
                fresh.push(screen);
            }
            for mut screen in fresh {
                let mut byte = [0];
                screen.read_exact(&mut byte).context("an idle session did not open")?;
                if byte != *b"R" {
                    bail!("an idle session says something else");
                }
            }
        }
        Ok(all)
    }
}

impl Drop for Sessions {
    fn drop(&mut self) {
        for (child, _) in &mut self.0 {
            let _ = child.kill();
        }
        for (child, _) in &mut self.0 {
            let _ = child.wait();
        }
    }
}

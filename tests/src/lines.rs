//! Sessions that print numbered lines, and what of them was seen and recorded: a hole in the numbers cannot hide.

use crate::person::words;
use crate::{Cluster, text};
use std::process::{Child, Output, Stdio};
use std::time::Duration;

/// Milliseconds between two lines.
pub const EVERY_MS: u64 = 50;

/// A session under way.
pub struct Numbered {
    tag: String,
    child: Child,
}

impl Numbered {
    /// Prints `TAG-line-0`, `TAG-line-1`, … for ever, or `count` of them and then `TAG-end`; `terminal` asks for a pty.
    pub fn start(cluster: &Cluster, tag: &str, count: Option<u64>, terminal: bool) -> Self {
        let mut ssh = cluster.ssh_command();
        if terminal {
            ssh.arg("-tt");
        }
        ssh.args([&cluster.host(), &command(tag, count)]);
        let child = ssh.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("ssh runs");
        Self { tag: tag.to_owned(), child }
    }

    /// Whether the client has ended.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("ssh can be waited for").is_some()
    }

    /// Waits for the client's end.
    pub fn finish(self) -> Seen {
        let out = self.child.wait_with_output().expect("ssh can be waited for");
        Seen { tag: self.tag, out }
    }
}

/// What the person saw.
pub struct Seen {
    /// Of the session.
    pub tag: String,
    /// All of it.
    pub out: Output,
}

impl Seen {
    /// The last number that was seen; none if the session did not come so far.
    pub fn last(&self) -> Option<u64> {
        let numbers = numbers(&text(&self.out), &self.tag);
        // The person sees no hole either.
        assert!(numbers.iter().copied().eq(0..numbers.len() as u64), "{}: {numbers:?}", self.tag);
        numbers.last().copied()
    }

    /// What the client said on standard error.
    pub fn said(&self) -> String {
        String::from_utf8_lossy(&self.out.stderr).into_owned()
    }
}

/// The command that prints the lines.
pub fn command(tag: &str, count: Option<u64>) -> String {
    let pause = Duration::from_millis(EVERY_MS).as_secs_f64();
    let more = count.map_or_else(|| ":".to_owned(), |count| format!("[ $i -lt {count} ]"));
    format!(
        "i=0; while {more}; do echo {tag}-line-$i; i=$((i+1)); sleep {pause}; done; echo {tag}-end"
    )
}

/// The numbers of a session's lines, in order.
pub fn numbers(text: &str, tag: &str) -> Vec<u64> {
    let prefix = format!("{tag}-line-");
    let lines = text.lines().filter_map(|line| line.trim().strip_prefix(&prefix));
    lines.filter_map(|number| number.trim().parse().ok()).collect()
}

/// What became of a session's recording.
#[derive(Debug)]
pub struct Recorded {
    /// Its row.
    pub row: serde_json::Value,
    /// The last number in it, if there is any.
    pub last: Option<u64>,
    /// What `scry verify` says of it.
    pub verdict: String,
}

impl Recorded {
    /// Takes the recording of `tag` out, if there is one; it must verify, and have no hole in its numbers.
    pub fn of(cluster: &Cluster, rows: &[serde_json::Value], tag: &str) -> Option<Self> {
        let of_tag = |row: &&serde_json::Value| {
            let command = row["command"].as_str();
            command.is_some_and(|command| command.contains(&format!("echo {tag}-")))
        };
        let row = rows.iter().find(of_tag)?.clone();
        let id = row["id"].as_str().expect("a recording has an id");
        let out = cluster.verify(id);
        assert!(out.status.success(), "{tag} does not verify: {}\n{row:#}", words(&out));
        let transcript = std::fs::read_to_string(cluster.export(id, "text")).expect("a transcript");
        let all = numbers(&transcript, tag);
        assert!(all.iter().copied().eq(0..all.len() as u64), "{tag}: a hole in {all:?}\n{row:#}");
        Some(Self { last: all.last().copied(), verdict: text(&out), row })
    }

    /// Gaps that stand in it.
    pub fn gaps(&self) -> u64 {
        self.row["gaps"].as_u64().expect("a number")
    }
}

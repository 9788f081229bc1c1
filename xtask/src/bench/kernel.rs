//! What it costs that the kernel tells what runs: the same work in a session that is not watched, in one whose programs
//! are, and in one whose files and connections are too; and a system call of somebody else meanwhile.
//!
//! Processor time of the work itself, as the shell counts it: on a machine that others use too, the wall clock says more
//! of them. The three work in turns, a fraction of a second each, so that what the machine does meanwhile falls on all
//! alike; each turn has a session of its own, which has done the same once before it is measured.

use super::figures::{Bar, Row, Samples, Value};
use super::sides::{Running, Side, Sides, Wish, run as run_program};
use super::{Bench, Context};
use anyhow::{Result, bail};
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{ChildStdin, ChildStdout, Command, Stdio};

/// See the module.
pub const BENCH: Bench = Bench {
    name: "kernel",
    what: "what it costs that the kernel tells what runs in a session",
    run,
};

/// What is watched, as a role says it, and as the table does.
const WATCHED: [(&str, &str); 3] = [
    ("commands = false", "nothing watched"),
    ("commands = true", "programs watched"),
    ("commands = true, files = true, network = true", "all watched"),
];
const SMALL: &str = "#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n\
                     int main(void) { puts(\"x\"); return 0; }\n";

/// Pieces of work of each session in a round.
const PIECES: usize = 6;

/// A piece of work of which the processor time of `count` turns is told.
struct Work {
    what: &'static str,
    unit: &'static str,
    script: String,
    count: f64,
    /// Microseconds or nanoseconds of a second.
    per_second: f64,
    /// What may not be exceeded with programs watched, and with all.
    bars: [Option<Bar>; 2],
}

fn run(context: &Context, sides: &Sides) -> Result<Vec<Row>> {
    let role = run_program(&mut sides.scry(&["roles", "show", "admin"]))?;
    let source = sides.folder().join("small.c");
    fs::write(&source, SMALL)?;
    let turns = |quick, full| context.reduced(quick, full);
    let (forks, opens, compiles) = (turns(100, 300), turns(5_000, 30_000), turns(3, 12));
    let loops =
        |count: usize, body: &str| format!("for ((i = 0; i < {count}; i++)); do {body}; done");
    let count = |count: usize| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    let works = [
        Work {
            what: "begin a program and wait for it",
            unit: "µs",
            script: loops(forks, "/bin/true"),
            count: count(forks),
            per_second: 1e6,
            bars: [Some(Bar::RatioAtMost(1.02)), None],
        },
        Work {
            what: "compile a file of C",
            unit: "ms",
            script: loops(compiles, &format!("gcc -O1 -c -o /dev/null {}", source.display())),
            count: count(compiles),
            per_second: 1e3,
            bars: [None, Some(Bar::RatioAtMost(1.04))],
        },
        Work {
            what: "open and close a file, in bash",
            unit: "µs",
            script: loops(opens, ": < /etc/hostname"),
            count: count(opens),
            per_second: 1e6,
            bars: [None, None],
        },
    ];
    let mut rows = Vec::new();
    let mut samples: Vec<[Samples; 3]> = works.iter().map(|_| Default::default()).collect();
    let mut outside: [Samples; 3] = Default::default();
    let rounds = context.reduced(3, 9);
    for round in 0..rounds {
        context.say(&format!("kernel: round {} of {rounds}, somebody outside", round + 1));
        for turn in 0..WATCHED.len() {
            let now = (turn + round) % WATCHED.len();
            set(sides, &role, WATCHED[now].0)?;
            let mut session = Standing::open(sides)?;
            session.spent(":")?;
            outside[now].add(vec![stranger(context.reduced(300_000, 1_500_000))?]);
        }
    }
    let rounds = context.reduced(2, 5);
    for round in 0..rounds {
        context.say(&format!("kernel: round {} of {rounds}, inside", round + 1));
        for (work, all) in works.iter().zip(&mut samples) {
            let mut spent = [const { Vec::new() }; 3];
            for piece in 0..PIECES {
                for turn in 0..WATCHED.len() {
                    let now = (turn + piece) % WATCHED.len();
                    // One session at a time: while another's files are watched, the system calls of all are looked at.
                    set(sides, &role, WATCHED[now].0)?;
                    let mut session = Standing::open(sides)?;
                    // What opening it leaves to be done is over behind this.
                    session.spent(&work.script)?;
                    spent[now].push(session.spent(&work.script)? / work.count * work.per_second);
                }
            }
            for (of, spent) in all.iter_mut().zip(spent) {
                of.add(spent);
            }
        }
    }
    set(sides, &role, WATCHED[1].0)?;
    for (work, all) in works.iter().zip(&samples) {
        for watched in [1, 2] {
            rows.extend(row(work.what, work.unit, watched, all, work.bars[watched - 1]));
        }
    }
    let bar = Some(Bar::RatioAtMost(1.03));
    rows.extend(row("a system call outside of sessions", "ns", 1, &outside, bar));
    rows.extend(row("a system call outside of sessions", "ns", 2, &outside, None));
    if let (Some(with), Some(without)) = (Value::median(&outside[2]), Value::median(&outside[0])) {
        let more = with.value - without.value;
        let what = "more for a system call outside, while files are watched";
        rows.push(Row::exact("kernel", what, "ns", more, None, Some(Bar::AtMost(80.0))));
    }
    Ok(rows)
}

fn row(
    what: &str,
    unit: &'static str,
    watched: usize,
    all: &[Samples; 3],
    bar: Option<Bar>,
) -> Option<Row> {
    Some(Row {
        bench: "kernel",
        what: what.to_owned(),
        unit,
        peer: WATCHED[0].1.to_owned(),
        side: WATCHED[watched].1.to_owned(),
        ours: Value::median(&all[watched])?,
        theirs: Value::median(&all[0]),
        bar,
    })
}

/// Has the role of everybody here say what is watched.
fn set(sides: &Sides, role: &str, watched: &str) -> Result<()> {
    let options = format!("[options]\nkernel = {{ {watched} }}");
    sides.set_role(&match role.contains("[options]") {
        true => role.replace("[options]", &options),
        false => format!("{role}\n{options}\n"),
    })
}

/// A session that does what it is told, in one shell.
struct Standing {
    /// Ended with it.
    _ssh: Running,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Standing {
    fn open(sides: &Sides) -> Result<Self> {
        let shell = r#"TIMEFORMAT="%3U %3S"; while read -r line; do eval "$line"; done"#;
        let mut ssh =
            sides.command(Side::Scry, Wish::default(), &format!("exec bash -c '{shell}'"));
        let mut ssh = Running::start(ssh.stdin(Stdio::piped()).stdout(Stdio::piped()))?;
        let (input, output) = (ssh.stdin()?, BufReader::new(ssh.stdout()?));
        let mut standing = Self { _ssh: ssh, input, output };
        // The first thing that a shell does takes longer.
        standing.spent("/bin/true")?;
        Ok(standing)
    }

    /// Seconds of processor time that a script takes here.
    fn spent(&mut self, script: &str) -> Result<f64> {
        writeln!(self.input, "{{ time {{ {script}; }} >/dev/null 2>&1; }} 2>&1")?;
        let mut told = String::new();
        self.output.read_line(&mut told)?;
        let times: Vec<f64> = told.split_whitespace().filter_map(|one| one.parse().ok()).collect();
        match times[..] {
            [user, system] => Ok(user + system),
            _ => bail!("the shell of a session told no time: {told:?}"),
        }
    }
}

/// Nanoseconds of processor time that one of so many reads and writes takes somebody who is in no session.
fn stranger(count: usize) -> Result<f64> {
    let script = format!(
        "TIMEFORMAT='%U %S'; time dd if=/dev/zero of=/dev/null bs=1 count={count} 2>/dev/null"
    );
    let out = Command::new("bash").args(["-c", &script]).output()?;
    let told = String::from_utf8_lossy(&out.stderr).into_owned();
    let sum = told.split_whitespace().filter_map(|one| one.parse::<f64>().ok()).sum::<f64>();
    let calls = f64::from(u32::try_from(2 * count).unwrap_or(u32::MAX));
    Ok(sum / calls * 1e9)
}

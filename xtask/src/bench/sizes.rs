//! What recordings of the same terminal output weigh: scry's beside those of asciinema, `script` and tlog, each made by
//! its own program on its own terminal.

use super::figures::{Bar, Row};
use super::sides::{Side, Sides, Wish, run};
use super::{Bench, Context};
use crate::packages;
use anyhow::{Context as _, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// See the module.
pub const BENCH: Bench = Bench {
    name: "sizes",
    what: "recordings of the same terminal output: asciinema, script, tlog",
    run: measure,
};

/// How much faster than it was recorded a stream is shown. Output that comes faster falls into fewer pieces for
/// everybody, and what a time stamp costs weighs less.
const FASTER: usize = 4;

/// One way to record.
struct Peer {
    name: &'static str,
    /// What it needs, and how to have it.
    program: (&'static str, &'static str),
    /// The command that records `$1` into files that begin with `$2`.
    script: &'static str,
}

const PEERS: [Peer; 3] = [
    Peer {
        name: "asciinema, v2",
        program: ("asciinema", "`cargo install asciinema --locked`"),
        script: r#"asciinema rec --quiet --headless --window-size 80x24 --overwrite -f asciicast-v2 -c "$1" "$2.cast""#,
    },
    Peer {
        name: "script",
        program: ("script", "the Debian package bsdutils"),
        script: r#"script --quiet --log-out "$2.out" --log-timing "$2.timing" --command "stty cols 80 rows 24; $1""#,
    },
    Peer {
        name: "tlog-rec",
        program: ("tlog-rec", "the Debian package tlog"),
        script: r#"script --quiet --command "stty cols 80 rows 24; tlog-rec --writer=file --file-path=$2.json $1" /dev/null"#,
    },
];

fn measure(context: &Context, sides: &Sides) -> Result<Vec<Row>> {
    let folder = sides.folder().join("sizes");
    fs::create_dir_all(&folder)?;
    // Where the account that is logged in to can reach it.
    let replay = folder.join("replay");
    fs::copy(build(context)?, &replay)?;
    let names = run(&mut Command::new(&replay))?;
    let names: Vec<&str> = names.lines().take(context.reduced(3, usize::MAX)).collect();
    let faster = FASTER * context.reduced(8, 1);
    let commands = || names.iter().map(|name| format!("{} {name} {faster}", replay.display()));
    context.say(&format!("sizes: scry, {} streams", names.len()));
    let mut ours = 0.0;
    for command in commands() {
        let wish = Wish { terminal: true, ..Wish::default() };
        let out = sides
            .command(Side::ScryPort, wish, &format!("stty cols 80 rows 24; {command}"))
            .output()?;
        if !out.status.success() {
            bail!("{command}: {}", String::from_utf8_lossy(&out.stderr));
        }
        ours += recorded(sides, &command)?;
    }
    let mut rows = Vec::new();
    for peer in &PEERS {
        let (program, from) = peer.program;
        if !packages::is_there(program) {
            context.say(&format!("sizes: {} is not there; {from} brings it", peer.name));
            continue;
        }
        context.say(&format!("sizes: {}", peer.name));
        let mut plain = 0.0;
        let mut packed = 0.0;
        for (n, command) in commands().enumerate() {
            let stem = folder.join(format!("{program}-{n}"));
            let shell = ["-euc", peer.script, "sh", &command];
            run(Command::new("sh").args(shell).arg(&stem).env("TERM", "xterm-256color"))?;
            for file in files_of(&stem)? {
                plain += bytes(&file)?;
                run(Command::new("gzip").arg("--force").arg(&file))?;
                packed += bytes(&file.with_added_extension("gz"))?;
            }
        }
        if plain < 1.0 {
            // tlog-rec does so where there is no /run/utmp, and tells it on the terminal alone.
            context.say(&format!("sizes: {} recorded nothing here and is left out", peer.name));
            continue;
        }
        for (word, theirs, bar) in [
            ("", plain, None),
            (", gzip", packed, (program == "asciinema").then_some(Bar::RatioAtMost(1.05))),
        ] {
            let what = format!("{} terminal streams, {faster} × faster", names.len());
            let peer = format!("{}{word}", peer.name);
            let theirs = Some((peer.as_str(), theirs / 1024.0));
            rows.push(Row::exact("sizes", &what, "KiB", ours / 1024.0, theirs, bar));
        }
    }
    Ok(rows)
}

/// The program that shows the streams.
fn build(context: &Context) -> Result<PathBuf> {
    context.say("sizes: building the program that shows the streams");
    let root = crate::root();
    run(Command::new(env!("CARGO")).current_dir(&root).args([
        "build",
        "--release",
        "--quiet",
        "--package",
        "record",
        "--example",
        "replay",
    ]))?;
    Ok(crate::run::target(&root).join("release/examples/replay"))
}

/// Bytes of the stored recording of a command. It is stored a moment after the session's end.
fn recorded(sides: &Sides, command: &str) -> Result<f64> {
    for _ in 0..100 {
        let listed = run(&mut sides.scry(&["recordings", "ls", "--json", "--limit", "1000"]))?;
        let rows: Vec<serde_json::Value> = serde_json::from_str(&listed)?;
        let of = |row: &&serde_json::Value| {
            row["command"].as_str().is_some_and(|one| one.ends_with(command))
        };
        let stored = rows.iter().find(of).filter(|row| row["phase"] == "stored");
        if let Some(bytes) = stored.and_then(|row| row["bytes"].as_f64()) {
            return Ok(bytes);
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    bail!("the recording of {command} was not stored within 10 s")
}

/// The files whose names begin as `stem` does.
fn files_of(stem: &Path) -> Result<Vec<PathBuf>> {
    let folder = stem.parent().context("a folder")?;
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.with_extension("") == stem {
            found.push(path);
        }
    }
    if found.is_empty() {
        bail!("nothing was recorded as {}", stem.display());
    }
    Ok(found)
}

#[expect(clippy::cast_precision_loss, reason = "sizes of files")]
fn bytes(path: &Path) -> Result<f64> {
    Ok(fs::metadata(path)?.len() as f64)
}

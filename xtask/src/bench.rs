//! `cargo xtask bench`: scry beside the programs that people use today, in the same run, round by round in turns.

mod bulk;
mod echo;
mod examples;
mod figures;
mod freeze;
mod group;
mod kernel;
mod login;
mod machine;
mod memory;
mod player;
mod processes;
mod seek;
mod sharing;
mod sides;
mod sizes;
mod table;
mod terminal;
mod web;

use crate::packages::{self, Need};
use anyhow::{Context as _, Result, bail};
use figures::{Bar, Row, Samples, Value};
use sides::{Side, Sides};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the benches run beside scry.
const NEEDS: &[Need] = &[
    Need { shown_by: "ssh", package: "openssh-client" },
    Need { shown_by: "/usr/sbin/sshd", package: "openssh-server" },
    Need { shown_by: "vim", package: "vim" },
];

const BENCHES: &[Bench] = &[
    echo::BENCH,
    login::BENCH,
    bulk::BENCH,
    bulk::WHOLE,
    terminal::BENCH,
    memory::BENCH,
    sizes::BENCH,
    seek::BENCH,
    player::BENCH,
    web::BENCH,
    sharing::BENCH,
    freeze::BENCH,
    kernel::BENCH,
];

/// Where the figures go with `--write`.
const DOCUMENT: &str = "docs/benchmarks.md";
const FENCES: (&str, &str) = ("<!-- table -->\n", "<!-- end of table -->\n");

/// One bench.
pub struct Bench {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it measures, for `--list`.
    pub what: &'static str,
    /// Measures.
    pub run: fn(&Context, &Sides) -> Result<Vec<Row>>,
}

/// How to measure.
pub struct Context {
    quick: bool,
    quiet: bool,
}

impl Context {
    /// A count, smaller with `--quick`.
    pub fn reduced(&self, quick: usize, full: usize) -> usize {
        if self.quick { quick } else { full }
    }

    /// Tells what is going on, on standard error.
    pub fn say(&self, line: &str) {
        if !self.quiet {
            eprintln!("{line}");
        }
    }

    /// Measures each side in turn, `rounds` times. The order turns from round to round, so that no side always comes first.
    pub fn rounds<const N: usize>(
        &self,
        what: &str,
        rounds: usize,
        sides: &mut [(Side, Samples); N],
        mut measure: impl FnMut(Side) -> Result<Vec<f64>>,
    ) -> Result<()> {
        for round in 0..rounds {
            self.say(&format!("{what}: round {} of {rounds}", round + 1));
            for turn in 0..N {
                if let Some((side, samples)) = sides.get_mut((turn + round) % N) {
                    let measured = measure(*side);
                    samples.add(measured.with_context(|| format!("{what}: {}", side.name()))?);
                }
            }
        }
        Ok(())
    }
}

/// One row for each of our sides: beside sshd's own port, the way through our jump host beside that through theirs.
pub fn beside(
    bench: &'static str,
    what: &str,
    unit: &'static str,
    all: &[(Side, Samples)],
    value: impl Fn(&Samples) -> Option<Value>,
    bar: impl Fn(Side) -> Option<Bar>,
) -> Vec<Row> {
    let of = |side: Side| {
        let found = all.iter().find(|(one, _)| *one == side);
        found.and_then(|(_, samples)| value(samples))
    };
    let pairs = [
        (Side::ScryPort, Side::Sshd),
        (Side::Scry, Side::Sshd),
        (Side::ScrySsh, Side::Sshd),
        (Side::ScryJump, Side::SshdJump),
    ];
    let rows = pairs.into_iter().filter_map(|(side, peer)| {
        Some(Row {
            bench,
            what: what.to_owned(),
            unit,
            peer: peer.name().to_owned(),
            side: side.name().to_owned(),
            ours: of(side)?,
            theirs: of(peer),
            bar: bar(side),
        })
    });
    rows.collect()
}

/// Adds one value to a side's samples, as a round of its own.
pub fn note(all: &mut [(Side, Samples)], side: Side, value: f64) {
    if let Some((_, samples)) = all.iter_mut().find(|(one, _)| *one == side) {
        samples.add(vec![value]);
    }
}

/// A log as servers write them: lines that are alike and never the same. Made once a run and size.
pub fn log_file(folder: &Path, mib: usize) -> Result<PathBuf> {
    let path = folder.join(format!("log-{mib}"));
    if path.exists() {
        return Ok(path);
    }
    let mut file = std::io::BufWriter::with_capacity(1 << 20, fs::File::create(&path)?);
    let (mut left, mut state) = (mib << 20, 0x9e37_79b9_7f4a_7c15_u64);
    let words = ["accepted", "closed", "timed out", "retrying", "queued", "stored"];
    let mut count = 0_u64;
    while left > 0 {
        // xorshift64: the same log in every run.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        count += 1;
        let word = words[usize::try_from(state % 6)?];
        let line = format!(
            "2026-11-25T{:02}:{:02}:{:02}.{:03} web-{:02} api[{}]: request {state:016x} {word} in {} us\n",
            count / 3_600_000 % 24,
            count / 60_000 % 60,
            count / 1000 % 60,
            count % 1000,
            state >> 8 & 15,
            1000 + (state >> 16 & 0xfff),
            state >> 32 & 0xffff,
        );
        let part = &line.as_bytes()[..line.len().min(left)];
        file.write_all(part)?;
        left -= part.len();
    }
    file.flush()?;
    Ok(path)
}

const HELP: &str = "\
cargo xtask bench [NAME…] [--quick] [--check] [--json] [--write]

  --quick  fewer and smaller rounds: to see where one stands
  --check  fail where a ratio misses its bar
  --json   print JSON instead of a table
  --write  put the table into docs/benchmarks.md
  --list   name the benches
";

/// Runs the benches that are named, or all.
pub fn run(root: &Path, args: &[String]) -> Result<()> {
    let (flags, names): (Vec<&str>, Vec<&str>) =
        args.iter().map(String::as_str).partition(|arg| arg.starts_with('-'));
    if flags.contains(&"--list") {
        for bench in BENCHES {
            println!("{:10} {}", bench.name, bench.what);
        }
        return Ok(());
    }
    const FLAGS: [&str; 4] = ["--quick", "--check", "--json", "--write"];
    if let Some(unknown) = flags.iter().find(|flag| !FLAGS.contains(flag)) {
        bail!("unknown flag {unknown}\n\n{HELP}");
    }
    let has = |flag| flags.contains(&flag);
    if let Some(unknown) = names.iter().find(|name| BENCHES.iter().all(|one| one.name != **name)) {
        bail!("there is no bench {unknown}; `cargo xtask bench --list` names them");
    }
    packages::ensure(packages::BUILD)?;
    packages::ensure(NEEDS)?;
    let context = Context { quick: has("--quick"), quiet: has("--json") };
    crate::web::ensure(root)?;
    let sides = Sides::start(&binary(root)?)?;
    let wanted = |bench: &&Bench| names.is_empty() || names.contains(&bench.name);
    let (mut rows, mut failed) = (Vec::new(), Vec::new());
    for bench in BENCHES.iter().filter(wanted) {
        match (bench.run)(&context, &sides) {
            Ok(more) => rows.extend(more),
            // What the others measure took an hour, and is told nevertheless.
            Err(error) => failed.push(format!("{}: {error:#}", bench.name)),
        }
    }
    if has("--json") {
        println!("{:#}", table::json(&rows));
    } else {
        println!("{}\n{}", machine::words()?, table::plain(&rows));
    }
    if !failed.is_empty() {
        bail!("benches failed, so that nothing is written:\n  {}", failed.join("\n  "));
    }
    if has("--write") {
        write(root, args, &rows)?;
    }
    let missed: Vec<String> = rows
        .iter()
        .filter(|row| !row.holds())
        .map(|row| format!("{} {}: {}", row.bench, row.side, row.what))
        .collect();
    if has("--check") && !missed.is_empty() {
        bail!("{} bars missed:\n  {}", missed.len(), missed.join("\n  "));
    }
    Ok(())
}

/// The release to measure, built now so that it is never an old one.
fn binary(root: &Path) -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("SCRY_BENCH_BINARY") {
        return Ok(PathBuf::from(path));
    }
    let status = Command::new(env!("CARGO"))
        .current_dir(root)
        .args(["build", "--release", "--quiet", "--package", "scry"])
        .status()?;
    if !status.success() {
        bail!("the release cannot be built");
    }
    Ok(crate::run::target(root).join("release/scry"))
}

fn write(root: &Path, args: &[String], rows: &[Row]) -> Result<()> {
    let path = root.join(DOCUMENT);
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {DOCUMENT}"))?;
    let around = text
        .split_once(FENCES.0)
        .and_then(|(before, rest)| Some((before, rest.split_once(FENCES.1)?.1)));
    let (before, after) = around.with_context(|| format!("{DOCUMENT} has no fences"))?;
    let table = format!(
        "`cargo xtask bench {}`\n\n{}\n\n{}",
        args.join(" "),
        machine::words()?,
        table::markdown(rows)
    );
    fs::write(&path, format!("{before}{}{table}{}{after}", FENCES.0, FENCES.1))?;
    Ok(())
}

//! A large log shown on a terminal: the owner's speed, and what the server pays.

use super::figures::{Bar, Row, Samples, Value};
use super::sides::{Side, Sides, Wish};
use super::{Bench, Context, beside, log_file, note};
use anyhow::{Context as _, Result, bail};
use std::io::Read as _;
use std::path::Path;
use std::process::Stdio;
use std::time::Instant;

/// See the module.
pub const BENCH: Bench =
    Bench { name: "terminal", what: "`cat` of a large log on a terminal, to its owner", run };

fn run(context: &Context, sides: &Sides) -> Result<Vec<Row>> {
    let mib = context.reduced(24, 128);
    let file = log_file(sides.folder(), mib)?;
    let mut speed = Side::ALL.map(|side| (side, Samples::default()));
    let mut cpu = speed.clone();
    context.rounds("terminal", context.reduced(3, 5), &mut speed, |side| {
        let ((seconds, bytes), spent) = sides.cpu(side, || show(sides, side, &file))?;
        note(&mut cpu, side, spent.server * 1024.0 / mib as f64);
        Ok(vec![bytes / 1e6 / seconds])
    })?;
    let bar = |side| (side == Side::ScryPort).then_some(Bar::RatioAtLeast(0.9));
    let rows =
        beside("terminal", "`cat` of a log on a terminal", "MB/s", &speed, Value::median, bar);
    let what = "`cat` of a log on a terminal, server CPU";
    let cpu = beside("terminal", what, "s/GiB", &cpu, Value::median, |_| None);
    let lag = sides.figure("scry_keyframe_seconds{quantile=\"1\"}")?;
    let lag = lag.context("scry made no keyframe")? * 1000.0;
    let what = "`cat` of a log on a terminal, the screen model behind it, longest";
    let lag = Row::exact("terminal", what, "ms", lag, None, Some(Bar::AtMost(2000.0)));
    Ok([rows, cpu, vec![lag]].concat())
}

/// Seconds from the first byte to the end, and bytes.
fn show(sides: &Sides, side: Side, file: &Path) -> Result<(f64, f64)> {
    let wish = Wish { terminal: true, ..Wish::default() };
    let remote = format!("printf R; exec cat {}", file.display());
    let mut child = sides.command(side, wish, &remote).stdout(Stdio::piped()).spawn()?;
    let mut screen = child.stdout.take().context("piped")?;
    let mut room = vec![0; 256 * 1024];
    let first = screen.read(&mut room)?;
    let began = Instant::now();
    let mut bytes = first as f64;
    loop {
        match screen.read(&mut room)? {
            0 => break,
            count => bytes += count as f64,
        }
    }
    let took = began.elapsed().as_secs_f64();
    let status = child.wait()?;
    if !status.success() || first == 0 {
        bail!("{}: {status}", side.name());
    }
    Ok((took, bytes))
}

//! Much data without a terminal, both ways, in two ciphers; what the server pays for it; and streams recorded whole.

use super::figures::{Bar, Row, Samples, Value};
use super::sides::{Side, Sides, Wish};
use super::{Bench, Context, beside, log_file, note};
use anyhow::{Context as _, Result, bail};
use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::process::Stdio;
use std::time::Instant;

/// With the default policy.
pub const BENCH: Bench =
    Bench { name: "bulk", what: "exec streams both ways, default policy, two ciphers", run };
/// With a role that wants all of every stream.
pub const WHOLE: Bench =
    Bench { name: "whole", what: "exec streams both ways, recorded whole by role", run: run_whole };

const CIPHERS: [(&str, &str); 2] =
    [("aes128-gcm@openssh.com", "aes128-gcm"), ("chacha20-poly1305@openssh.com", "chacha20")];
const MIB: f64 = 1024.0 * 1024.0;

fn run(context: &Context, sides: &Sides) -> Result<Vec<Row>> {
    both_ways("bulk", "", context, sides, &CIPHERS, Some(Bar::RatioAtLeast(1.0)))
}

fn run_whole(context: &Context, sides: &Sides) -> Result<Vec<Row>> {
    let role = sides.scry(&["roles", "show", "admin"]).output()?;
    let text = String::from_utf8(role.stdout)?;
    let whole = match text.split_once("[options]") {
        Some((before, after)) => {
            format!("{before}[options]\nexec_stream_bytes = {}{after}", i64::MAX)
        }
        None => format!("{text}\n[options]\nexec_stream_bytes = {}\n", i64::MAX),
    };
    set_role(sides, &whole)?;
    let rows = both_ways("whole", "recorded whole, ", context, sides, &CIPHERS[..1], None);
    set_role(sides, &text)?;
    rows
}

fn set_role(sides: &Sides, text: &str) -> Result<()> {
    let path = sides.folder().join("admin.toml");
    std::fs::write(&path, text)?;
    let out = sides.scry(&["roles", "set"]).arg(&path).output()?;
    if !out.status.success() {
        bail!("roles set: {}", String::from_utf8_lossy(&out.stderr));
    }
    // Nodes learn of it with their next look.
    std::thread::sleep(std::time::Duration::from_secs(2));
    Ok(())
}

/// Rows that begin with `prefix`; `bar` is on the speed at the node's port.
fn both_ways(
    bench: &'static str,
    prefix: &str,
    context: &Context,
    sides: &Sides,
    ciphers: &[(&str, &str)],
    bar: Option<Bar>,
) -> Result<Vec<Row>> {
    let mib = context.reduced(512, 1024);
    let file = log_file(sides.folder(), mib)?;
    let mut rows = Vec::new();
    for (cipher, short) in ciphers {
        for (way, word) in [(Way::Down, "down"), (Way::Up, "up")] {
            let mut speed = Side::ALL.map(|side| (side, Samples::default()));
            let (mut cpu, mut client) = (speed.clone(), speed.clone());
            let name = format!("{bench} {word} {short}");
            context.rounds(&name, context.reduced(3, 5), &mut speed, |side| {
                let wish = Wish { cipher: Some(cipher), ..Wish::default() };
                let work = || carry(sides, side, wish, way, &file);
                let (seconds, spent) = sides.cpu(side, work)?;
                let gib = mib as f64 / 1024.0;
                note(&mut cpu, side, spent.server / gib);
                note(&mut client, side, spent.client / gib);
                Ok(vec![mib as f64 * MIB / 1e6 / seconds])
            })?;
            let at_port = |side| bar.filter(|_| side == Side::ScryPort);
            let what = format!("{prefix}{word}, {short}");
            rows.extend(beside(bench, &what, "MB/s", &speed, Value::median, at_port));
            for (end, cpu) in [("server", cpu), ("client", client)] {
                let what = format!("{what}, {end} CPU");
                rows.extend(beside(bench, &what, "s/GiB", &cpu, Value::median, |_| None));
            }
        }
    }
    Ok(rows)
}

#[derive(Clone, Copy)]
enum Way {
    Down,
    Up,
}

/// Seconds from the moment the remote program runs to the client's end. The login is not counted.
fn carry(sides: &Sides, side: Side, wish: Wish<'_>, way: Way, file: &Path) -> Result<f64> {
    let remote = match way {
        Way::Down => format!("printf R >&2; cat {}", file.display()),
        Way::Up => "printf R >&2; cat >/dev/null".to_owned(),
    };
    let mut command = sides.command(side, wish, &remote);
    if matches!(way, Way::Up) {
        command.stdin(File::open(file)?);
    }
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
    let mut errors = child.stderr.take().context("piped")?;
    let mut byte = [0];
    errors.read_exact(&mut byte)?;
    let began = Instant::now();
    let mut rest = String::new();
    errors.read_to_string(&mut rest)?;
    let status = child.wait()?;
    if !status.success() || byte != *b"R" {
        bail!("{}: {status}: {rest}", side.name());
    }
    Ok(began.elapsed().as_secs_f64())
}

//! From a key press to its echo, on a terminal, through a program that reads and writes.

use super::figures::{Bar, Row, Samples, Value};
use super::sides::{Side, Sides, Wish};
use super::{Bench, Context, beside};
use anyhow::{Result, bail};
use std::io::{Read as _, Write as _};
use std::process::Stdio;
use std::time::{Duration, Instant};

/// See the module.
pub const BENCH: Bench =
    Bench { name: "echo", what: "from a key press to its echo on a terminal, through `cat`", run };

const SIDES: [Side; 6] = Side::ALL;
/// Presses that are not counted: connections and caches get warm.
const WARM: usize = 30;

fn run(context: &Context, sides: &Sides) -> Result<Vec<Row>> {
    let presses = context.reduced(100, 500);
    let mut all = SIDES.map(|side| (side, Samples::default()));
    context.rounds("echo", context.reduced(3, 7), &mut all, |side| press(sides, side, presses))?;
    let median = beside("echo", "key press to echo, median", "µs", &all, Value::median, |side| {
        (side == Side::ScryPort).then_some(Bar::RatioAtMost(1.1))
    });
    let late = |samples: &Samples| Value::quantile(samples, 0.99);
    let p99 = beside("echo", "key press to echo, 99 of 100", "µs", &all, late, |_| None);
    Ok([median, p99].concat())
}

/// Microseconds of each press, one after the other, a person's pause between them.
fn press(sides: &Sides, side: Side, presses: usize) -> Result<Vec<f64>> {
    let wish = Wish { terminal: true, ..Wish::default() };
    let mut command = sides.command(side, wish, "stty raw -echo; printf R; exec cat");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let (Some(mut keys), Some(mut screen)) = (child.stdin.take(), child.stdout.take()) else {
        bail!("no pipes");
    };
    let mut byte = [0];
    while byte != *b"R" {
        screen.read_exact(&mut byte)?;
    }
    let mut times = Vec::new();
    for press in 0..WARM + presses {
        let began = Instant::now();
        keys.write_all(b"x")?;
        screen.read_exact(&mut byte)?;
        if press >= WARM {
            times.push(began.elapsed().as_secs_f64() * 1e6);
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    drop(keys);
    child.kill()?;
    child.wait()?;
    Ok(times)
}

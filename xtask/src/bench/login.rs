//! From nothing to the end of `true`: connect, sign in, run, leave. And what a login costs the server.

use super::figures::{Bar, Row, Samples, Value};
use super::sides::{Side, Sides, Wish};
use super::{Bench, Context, beside, note};
use anyhow::{Result, bail};
use std::time::Instant;

/// See the module.
pub const BENCH: Bench =
    Bench { name: "login", what: "sign in, run `true`, leave; no multiplexing", run };

fn run(context: &Context, sides: &Sides) -> Result<Vec<Row>> {
    let logins = context.reduced(4, 10);
    let mut times = Side::ALL.map(|side| (side, Samples::default()));
    let mut cpu = times.clone();
    context.rounds("login", context.reduced(3, 7), &mut times, |side| {
        let (round, spent) = sides
            .cpu(side, || (0..logins).map(|_| login(sides, side)).collect::<Result<Vec<f64>>>())?;
        note(&mut cpu, side, spent.server * 1e3 / round.len() as f64);
        Ok(round)
    })?;
    let rows = beside("login", "login and `true`", "ms", &times, Value::median, |side| {
        matches!(side, Side::ScryPort | Side::Scry | Side::ScrySsh).then_some(Bar::RatioAtMost(0.5))
    });
    let cpu = beside("login", "server CPU of a login", "ms", &cpu, Value::median, |_| None);
    Ok([rows, cpu].concat())
}

fn login(sides: &Sides, side: Side) -> Result<f64> {
    let mut command = sides.command(side, Wish::default(), "true");
    let began = Instant::now();
    let status = command.status()?;
    let took = began.elapsed().as_secs_f64() * 1e3;
    if !status.success() {
        bail!("{}: login failed: {status}", side.name());
    }
    Ok(took)
}

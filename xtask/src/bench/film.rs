//! What a player in a browser waits for on a ten-hour recording of 220 MB: its time line, the first picture, any moment.

use super::figures::{Bar, Row};
use super::sides::{Sides, run};
use super::{Bench, Context};
use anyhow::{Context as _, Result};
use std::process::Command;

/// See the module.
pub const BENCH: Bench = Bench {
    name: "film",
    what: "a ten-hour recording as auth gives it to a browser: ready, any second, bytes sent",
    run: measure,
};

fn measure(context: &Context, _: &Sides) -> Result<Vec<Row>> {
    let percent = context.reduced(5, 100).to_string();
    context.say(&format!("film: building and recording {percent} of 100 parts of ten hours"));
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("day.rec");
    let example = |package: &str, name: &str| {
        let mut command = Command::new(env!("CARGO"));
        let args = ["run", "--release", "--quiet", "--package", package, "--example", name, "--"];
        command.current_dir(crate::root()).args(args);
        command
    };
    run(example("record", "ten_hours").arg(&percent).arg(&file))?;
    let told: serde_json::Value = serde_json::from_str(&run(example("auth", "film").arg(&file))?)?;
    let number = |pointer: &str| {
        let found = told.pointer(pointer).and_then(serde_json::Value::as_f64);
        found.with_context(|| format!("the example told no {pointer}"))
    };
    let row = |what: &str, unit, pointer: &str, most| {
        anyhow::Ok(Row::exact("film", what, unit, number(pointer)?, None, Some(Bar::AtMost(most))))
    };
    Ok(vec![
        row("time line and first picture", "ms", "/ready_ms", 300.0)?,
        row("a random second, median of 50", "ms", "/seek_ms/0", 60.0)?,
        row("a random second, 95th percentile", "ms", "/seek_ms/1", 200.0)?,
        row("bytes sent for all 50, per byte of output", "", "/sent_of_payload", 0.05)?,
    ])
}

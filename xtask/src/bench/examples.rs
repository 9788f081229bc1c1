//! What examples of the rooms measure, told as JSON.

use super::sides::run;
use crate::run::without_startup_files;
use anyhow::{Context as _, Result, bail};
use std::process::Command;

/// An example of a room, built as it is measured, and run where this account's start-up files are empty.
pub fn example(package: &str, name: &str) -> Command {
    let mut command = without_startup_files()();
    command.arg(env!("CARGO"));
    let args = ["run", "--release", "--quiet", "--package", package, "--example", name, "--"];
    command.current_dir(crate::root()).args(args);
    command
}

/// What an example measured in a browser: its last line.
pub fn in_browser(example: &mut Command) -> Result<serde_json::Value> {
    let told = run(example)?;
    let last = told.lines().last().context("the example told nothing")?;
    let told: serde_json::Value = serde_json::from_str(last)?;
    if let Some(why) = told["skipped"].as_str() {
        bail!("this is measured in a browser: {why}");
    }
    Ok(told)
}

/// A number in it.
pub fn number(told: &serde_json::Value, pointer: &str) -> Result<f64> {
    let found = told.pointer(pointer).and_then(serde_json::Value::as_f64);
    found.with_context(|| format!("the example told no {pointer}: {told:#}"))
}

//! What the figures were measured on, without anything that names the machine.

use super::sides::run;
use anyhow::Result;
use std::fs;
use std::process::Command;

/// Processors, memory, kernel, OpenSSH: one line.
pub fn words() -> Result<String> {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let processor = field("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown".to_owned());
    let memory = field("/proc/meminfo", "MemTotal")
        .and_then(|text| text.split_whitespace().next()?.parse::<u64>().ok())
        .map_or(0, |kib| kib.div_ceil(1024 * 1024));
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split_whitespace().next().unwrap_or("unknown").to_owned();
    // `ssh -V` speaks on standard error.
    let ssh = Command::new("ssh").arg("-V").output()?;
    let ssh = String::from_utf8_lossy(&ssh.stderr).into_owned();
    let ssh = ssh.split(',').next().unwrap_or_default().trim().to_owned();
    let date = run(Command::new("date").arg("+%Y-%m-%d"))?;
    Ok(format!(
        "{}: {cores} cores of {processor}, {memory} GiB, Linux {}, {ssh}; load at the end {load}",
        date.trim(),
        kernel.trim()
    ))
}

fn field(file: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

//! What a server's processes cost: CPU time with that of ended children, and proportional memory.

use anyhow::{Context as _, Result};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Clock ticks in a second, as `/proc` counts them (USER_HZ, 100 on every architecture Debian has).
const TICKS: f64 = 100.0;

/// A process's line in `/proc/PID/stat` (proc(5)).
struct Stat {
    parent: u32,
    /// Own and waited-for children's user and system time.
    ticks: u64,
    /// Own time alone.
    own_ticks: u64,
}

fn stat(pid: u32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name stands in brackets and may hold anything.
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
    let own_ticks = number(11)? + number(12)?;
    let ticks = own_ticks + number(13)? + number(14)?;
    Some(Stat { parent: u32::try_from(number(1)?).ok()?, ticks, own_ticks })
}

/// A process and everything below it that lives.
fn tree(root: u32) -> Vec<u32> {
    let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    for pid in entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()) {
        if let Some(stat) = stat(pid) {
            children.entry(stat.parent).or_default().push(pid);
        }
    }
    let mut all = vec![root];
    let mut next = 0;
    while let Some(pid) = all.get(next).copied() {
        all.extend(children.remove(&pid).unwrap_or_default());
        next += 1;
    }
    all
}

/// CPU seconds of a server and of all that it started and that has ended or still runs.
pub fn cpu_seconds(root: u32) -> f64 {
    let all = tree(root);
    let ticks: u64 = all.iter().filter_map(|pid| Some(stat(*pid)?.ticks)).sum();
    seconds(ticks)
}

/// CPU seconds of this program's ended children: of clients that were waited for.
pub fn own_children_seconds() -> f64 {
    let own = stat(std::process::id());
    own.map_or(0.0, |stat| seconds(stat.ticks - stat.own_ticks))
}

#[expect(clippy::cast_precision_loss, reason = "ticks of minutes, not of ages")]
fn seconds(ticks: u64) -> f64 {
    ticks as f64 / TICKS
}

/// Waits until a server has no more processes than it had, so that all their time was counted.
pub fn wait_for_quiet(root: u32, processes: usize) {
    for _ in 0..200 {
        if tree(root).len() <= processes {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

/// How many processes a server has.
pub fn count(root: u32) -> usize {
    tree(root).len()
}

/// Proportional memory, in KiB, of the processes below `root` that run the program `exe`, and how many they are.
/// What its users run is not the server's.
pub fn pss_kib(root: u32, exe: &Path) -> Result<(u64, usize)> {
    let (mut sum, mut found) = (0, 0);
    for pid in tree(root) {
        let Ok(link) = fs::read_link(format!("/proc/{pid}/exe")) else { continue };
        if link != exe {
            continue;
        }
        let text = match fs::read_to_string(format!("/proc/{pid}/smaps_rollup")) {
            Ok(text) => text,
            Err(_) if !PathBuf::from(format!("/proc/{pid}")).exists() => continue,
            Err(error) => return Err(error).context("cannot read a server's smaps_rollup"),
        };
        let line = text.lines().find(|line| line.starts_with("Pss:"));
        let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
        sum += kib.context("a smaps_rollup without Pss")?;
        found += 1;
    }
    Ok((sum, found))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn the_time_and_memory_of_a_process_and_its_children_are_found() {
        let before = own_children_seconds();
        let busy = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done";
        assert!(Command::new("sh").args(["-c", busy]).status().unwrap().success());
        assert!(own_children_seconds() > before);
        let mut child = Command::new("sleep").arg("5").spawn().unwrap();
        let me = std::process::id();
        assert!(tree(me).contains(&child.id()) && cpu_seconds(me) > 0.0);
        let (kib, found) = pss_kib(me, &std::env::current_exe().unwrap()).unwrap();
        assert!(kib > 100 && found == 1, "{kib} KiB in {found}");
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

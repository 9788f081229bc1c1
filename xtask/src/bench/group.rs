//! A server in a control group of its own, so that the kernel counts what it and all that it starts spend, whoever
//! waits for whom. Where there is no such group, `/proc` is asked, which knows the time of ended children only once
//! somebody has waited for them.

use anyhow::{Context as _, Result};
use std::fs;
use std::path::PathBuf;

/// The group of one server; removed with it.
#[derive(Debug)]
pub struct Group {
    path: PathBuf,
    /// The file that tells the time: of cgroup v2, or of v1's `cpuacct`.
    unified: bool,
}

impl Group {
    /// Puts a process and all that it will start into a group of their own. `None` where that is not to be had.
    pub fn around(pid: u32) -> Option<Self> {
        let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
        let (root, unified) = mounts.lines().find_map(|line| {
            let (mount, kind) = line.split_once(" - ")?;
            let root = mount.split_whitespace().nth(4)?;
            let kind: Vec<&str> = kind.split_whitespace().collect();
            match kind[..] {
                ["cgroup2", ..] => Some((root, true)),
                ["cgroup", .., options] if options.contains("cpuacct") => Some((root, false)),
                _ => None,
            }
        })?;
        let path = PathBuf::from(root).join(format!("scry-bench-{pid}"));
        fs::create_dir(&path).ok()?;
        // From here on it is removed with its value.
        let group = Self { path, unified };
        fs::write(group.path.join("cgroup.procs"), pid.to_string()).ok()?;
        group.seconds().ok().map(|_| group)
    }

    /// CPU seconds spent so far by all that are or were in the group.
    ///
    /// # Errors
    /// The group is gone, or its kernel counts no time.
    pub fn seconds(&self) -> Result<f64> {
        if !self.unified {
            let text = fs::read_to_string(self.path.join("cpuacct.usage"))?;
            return Ok(text.trim().parse::<f64>()? / 1e9);
        }
        let text = fs::read_to_string(self.path.join("cpu.stat"))?;
        let line = text.lines().find_map(|line| line.strip_prefix("usage_usec "));
        Ok(line.context("no usage_usec")?.trim().parse::<f64>()? / 1e6)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Works once its last process is gone; an empty group that stays costs nothing.
        for _ in 0..50 {
            if fs::remove_dir(&self.path).is_ok() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }
}

//! Crash points: the real binary is killed at the n-th write, fsync, rename or removal of one of its files.
//!
//! A small library that is preloaded counts the calls (`crash_point.c`); scry itself knows nothing of it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Which call on which files, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CrashPoint {
    /// `write`, `sync`, `rename`, `unlink` or `truncate`.
    pub call: &'static str,
    /// A part of the path of the files meant.
    pub below: &'static str,
    /// `before`, `after` or, of writes, `torn`; `power`: after it, and the machine loses what was not synced; or `full` or `broken`: the call fails, and nobody dies.
    pub moment: &'static str,
    /// Which call of that kind, counted from 1.
    pub number: u64,
}

impl fmt::Display for CrashPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { call, below, moment, number } = self;
        write!(f, "{moment} {call} {number} below {below}")
    }
}

impl CrashPoint {
    /// Has `command` die there.
    pub fn set(&self, command: &mut Command, library: &Path) {
        command
            .env("LD_PRELOAD", library)
            .env("SCRY_CRASH_CALL", self.call)
            .env("SCRY_CRASH_BELOW", self.below)
            .env("SCRY_CRASH_MOMENT", self.moment)
            .env("SCRY_CRASH_NUMBER", self.number.to_string());
    }
}

/// What the server's log has once a call failed at a point that is `full` or `broken`.
pub const FAILING: &str = "crash point: calls begin to fail";

/// Compiles the library into `folder`. A C compiler is needed to build scry anyway.
pub fn library(folder: &Path) -> PathBuf {
    let (source, library) = (folder.join("crash_point.c"), folder.join("crash_point.so"));
    std::fs::write(&source, include_str!("crash_point.c")).expect("the source can be written");
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    let mut cc = Command::new(compiler);
    cc.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(&source).arg("-ldl");
    crate::assert_success(&cc.output().expect("a C compiler runs"));
    library
}

//! The kernel program: compiled by one compiler, so that the object in the repository can be compared byte for byte.

use anyhow::{Context as _, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Other versions give other bytes.
const COMPILER: &str = "clang-14";
const STRIP: &str = "llvm-strip-14";
const VERSION: &str = "version 14.0.6";
/// libbpf's helpers, of which the program uses macros only.
const HEADER: &str = "/usr/include/bpf/bpf_core_read.h";
const SOURCE: &str = "recorder.bpf.c";
const OBJECT: &str = "recorder.bpf.o";
const HOW: &str = "on Debian 12: apt-get install clang-14 llvm-14 libbpf-dev";

/// Compiles the kernel program into the repository.
pub fn build(root: &Path) -> Result<()> {
    if let Some(lacks) = lacking() {
        bail!("the kernel program cannot be compiled: {lacks}; {HOW}");
    }
    let object = folder(root).join(OBJECT);
    compile(root, &object)?;
    println!("{} is {} bytes", object.display(), fs::metadata(&object)?.len());
    Ok(())
}

/// Compares the object in the repository with what its source gives; says so where that cannot be done.
pub fn check(root: &Path) -> Result<()> {
    if let Some(lacks) = lacking() {
        println!("skipped: whether bpf/{OBJECT} is what bpf/{SOURCE} gives: {lacks}; {HOW}");
        return Ok(());
    }
    let fresh = std::env::temp_dir().join(format!("{OBJECT}.{}", std::process::id()));
    compile(root, &fresh)?;
    let same = fs::read(&fresh)? == fs::read(folder(root).join(OBJECT))?;
    fs::remove_file(&fresh)?;
    if !same {
        bail!("bpf/{OBJECT} is not what bpf/{SOURCE} gives; `cargo xtask bpf` writes it anew");
    }
    println!("bpf/{OBJECT} is what bpf/{SOURCE} gives");
    Ok(())
}

fn folder(root: &Path) -> PathBuf {
    root.join("bpf")
}

/// What the machine lacks to compile it, if anything.
fn lacking() -> Option<String> {
    let Ok(told) = Command::new(COMPILER).arg("--version").output() else {
        return Some(format!("{COMPILER} is not there"));
    };
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    if !told.contains(VERSION) {
        return Some(format!("{COMPILER} is not {VERSION}"));
    }
    if Command::new(STRIP).arg("--version").output().is_err() {
        return Some(format!("{STRIP} is not there"));
    }
    (!Path::new(HEADER).exists()).then(|| format!("{HEADER} is not there"))
}

fn compile(root: &Path, object: &Path) -> Result<()> {
    let folder = folder(root).canonicalize().context("there is no bpf folder")?;
    let run = |program: &str, arguments: &[&str]| -> Result<()> {
        let mut command = Command::new(program);
        // The names of folders stand in the object's line numbers.
        let status = command.current_dir(&folder).args(arguments).arg(object).status();
        let status = status.with_context(|| format!("cannot run {program}"))?;
        if status.success() { Ok(()) } else { bail!("{program} failed: {status}") }
    };
    let prefix = format!("-ffile-prefix-map={}=.", folder.display());
    let flags = ["-g", "-O2", "-Wall", "-Werror", "-target", "bpf", "-mcpu=v3", &prefix];
    run(COMPILER, &[&flags[..], &["-c", SOURCE, "-o"]].concat())?;
    run(STRIP, &["-g"])
}

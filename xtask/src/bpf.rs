//! The kernel programs: compiled by one compiler, so that the objects in the repository can be compared byte for byte.

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
/// The recorder, and what is asked whether there can be one.
const NAMES: [&str; 2] = ["recorder", "probe"];
const HOW: &str = "on Debian 12: apt-get install clang-14 llvm-14 libbpf-dev";

/// Compiles the kernel programs into the repository.
pub fn build(root: &Path) -> Result<()> {
    if let Some(lacks) = lacking() {
        bail!("the kernel programs cannot be compiled: {lacks}; {HOW}");
    }
    for name in NAMES {
        let object = folder(root).join(object(name));
        compile(root, name, &object)?;
        println!("{} is {} bytes", object.display(), fs::metadata(&object)?.len());
    }
    Ok(())
}

/// Compares the objects in the repository with what their sources give; says so where that cannot be done.
pub fn check(root: &Path) -> Result<()> {
    if let Some(lacks) = lacking() {
        println!(
            "skipped: whether the objects in bpf/ are what their sources give: {lacks}; {HOW}"
        );
        return Ok(());
    }
    for name in NAMES {
        let (source, object) = (source(name), object(name));
        let fresh = std::env::temp_dir().join(format!("{object}.{}", std::process::id()));
        compile(root, name, &fresh)?;
        let same = fs::read(&fresh)? == fs::read(folder(root).join(&object))?;
        fs::remove_file(&fresh)?;
        if !same {
            bail!("bpf/{object} is not what bpf/{source} gives; `cargo xtask bpf` writes it anew");
        }
        println!("bpf/{object} is what bpf/{source} gives");
    }
    Ok(())
}

fn source(name: &str) -> String {
    format!("{name}.bpf.c")
}

fn object(name: &str) -> String {
    format!("{name}.bpf.o")
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

fn compile(root: &Path, name: &str, object: &Path) -> Result<()> {
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
    run(COMPILER, &[&flags[..], &["-c", &source(name), "-o"]].concat())?;
    run(STRIP, &["-g"])
}

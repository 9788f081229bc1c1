//! The chores that run cargo: trying scry out, testing it, linting it.

use crate::{lanes, packages, web};
use anyhow::{Context as _, Result, bail};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// Builds the release and runs `scry try`, handing standard input and the exit code through.
pub fn try_out(root: &Path, args: &[String]) -> Result<ExitCode> {
    packages::ensure(packages::BUILD)?;
    web::ensure(root)?;
    cargo(root, ["build", "--release", "--quiet", "--package", "scry"])?;
    let status = Command::new(target(root).join("release/scry"))
        .arg("try")
        .args(args)
        .status()
        .context("cannot run the built scry")?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(ExitCode::from(code.unwrap_or(1)))
}

/// Every test: the house rules, the rooms, the whole house against other people's programs.
pub fn test(root: &Path, long: bool) -> Result<()> {
    packages::ensure(packages::BUILD)?;
    packages::ensure(packages::TEST)?;
    web::ensure(root)?;
    println!(
        "counts: {}",
        if long { "full (--long)" } else { "reduced; --long runs the full ones" }
    );
    // The whole-house tests run scry's binary; it is built with them so that they never test an old one.
    let built = lanes::build(root)?;
    let pages = web::test(root, &target(root));
    let start = without_startup_files();
    let lanes::Went { failed, skipped } = built.run(|| {
        let mut command = start();
        command.env("SCRY_TEST_LONG", if long { "1" } else { "0" });
        command
    })?;
    if !skipped.is_empty() {
        println!("\nskipped here:\n  {}", skipped.join("\n  "));
    }
    if !failed.is_empty() {
        bail!("tests failed: {}", failed.join(", "));
    }
    println!("\nall tests passed");
    pages
}

/// Makes commands that run what is appended to them where login shells find this account's start-up files empty.
///
/// The tests open login shells by the hundred and kill them at any moment. What somebody's `.bashrc` does
/// (a version manager's lock file, left behind by a killed shell, makes every later one wait a minute) is
/// no part of what they test. Needs root for the mount; elsewhere the files are read as they are.
pub fn without_startup_files() -> impl Fn() -> Command + Sync {
    const HIDE: &str = r#"
        for name in .profile .bash_profile .bash_login .bashrc .bash_logout; do
            [ ! -f "$HOME/$name" ] || mount --bind /dev/null "$HOME/$name"
        done
        exec "$@""#;
    let private = ["--mount", "--propagation", "private"];
    let may = Command::new("unshare").args(private).arg("true").output();
    let may = may.is_ok_and(|done| done.status.success());
    if !may {
        eprintln!("login shells read this account's start-up files: hiding them needs root");
    }
    move || {
        let mut command = Command::new(if may { "unshare" } else { "env" });
        if may {
            command.args(private).args(["sh", "-euc", HIDE, "sh"]);
        }
        command
    }
}

/// Outside of the workspace: it is built by nightly alone.
const FUZZ: &str = "fuzz/Cargo.toml";
/// What cargo deny has passed.
const DENIED: &str = ".ci/denied";

/// Formatting, the fuzz targets' own lock file, clippy without a warning unless it is the compiler already, and cargo deny.
pub fn lint(root: &Path, clippy: bool) -> Result<()> {
    cargo(root, ["fmt", "--all", "--check"])?;
    cargo(root, ["update", "--quiet", "--workspace", "--locked", "--manifest-path", FUZZ])
        .context("bring it up to date: cp Cargo.lock fuzz/ && cargo fetch --manifest-path fuzz/Cargo.toml")?;
    if clippy {
        cargo(root, ["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"])?;
    }
    deny(root)
}

/// Licences, bans and sources, of which [`DENIED`] then keeps what they were looked at for: the lock file and the rules.
fn deny(root: &Path) -> Result<()> {
    let now =
        Command::new("sha256sum").current_dir(root).args(["Cargo.lock", "deny.toml"]).output();
    let now = now.context("cannot run sha256sum")?.stdout;
    let kept = root.join(DENIED);
    let same = std::fs::read(&kept).is_ok_and(|before| before == now);
    if !packages::is_there("cargo-deny") {
        println!(
            "skipped: cargo deny is not installed{}; `cargo install cargo-deny --locked` brings it",
            if same { ", and has nothing new to look at" } else { "" }
        );
        return Ok(());
    }
    // Fetched first, so that the check itself needs nothing but the lock file.
    cargo(root, ["fetch", "--quiet"])?;
    cargo(root, ["deny", "--offline", "check", "licenses", "bans", "sources"])?;
    if !same {
        std::fs::write(&kept, now).with_context(|| format!("cannot write {DENIED}"))?;
        println!("{DENIED} is brought up to date");
    }
    Ok(())
}

fn cargo<const N: usize>(root: &Path, args: [&str; N]) -> Result<()> {
    let status = Command::new(env!("CARGO"))
        .current_dir(root)
        .args(args.map(OsStr::new))
        .status()
        .context("cannot run cargo")?;
    if !status.success() {
        bail!("`cargo {}` failed", args.join(" "));
    }
    Ok(())
}

/// Where cargo builds.
pub fn target(root: &Path) -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from)
}

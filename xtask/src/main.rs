//! Chores of the project: `cargo xtask try`, `test`, `bench`, `simulate`, `lint`, `web`, `bpf`, `tidy`.

mod audit_docs;
mod bench;
mod bpf;
mod fewer;
mod fuzz;
mod lanes;
mod openapi;
mod packages;
mod run;
mod security;
mod simulate;
mod tidy;
mod web;

use anyhow::{Result, bail};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const HELP: &str = "\
cargo xtask COMMAND

  try [ARGS]     build the release and run the main job, `scry try ARGS`
  test [--long]  run every test; --long with the full counts
  bench [NAME…]  scry beside OpenSSH and others in the same run; --list, --quick, --check, --json, --write
  simulate [--hours N]  the simulations with seeds that nobody has run, for a day or as long as said
  lint [--but-clippy]  formatting, clippy and cargo deny; --but-clippy where clippy is the compiler of what is built anyway
  web            build the pages for browsers into web/dist, which needs node; `try` and `test` do it by themselves
  bpf [--check]  compile the kernel program, which needs clang-14; --check compares it with the object that is kept
  tidy           the house rules alone; `tidy --write` brings ARCHITECTURE.md's arrows and docs/audit.* and docs/openapi.json up to date
";

fn main() -> ExitCode {
    chore().unwrap_or_else(|error| {
        eprintln!("{error:#}");
        ExitCode::FAILURE
    })
}

fn chore() -> Result<ExitCode> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let root = root();
    match args.split_first() {
        Some((command, rest)) if command == "try" => return run::try_out(&root, rest),
        Some((command, rest)) if command == "test" => match rest {
            [] => run::test(&root, false)?,
            [flag] if flag == "--long" => run::test(&root, true)?,
            _ => bail!("`cargo xtask test` knows one flag, --long"),
        },
        Some((command, rest)) if command == "bench" => bench::run(&root, rest)?,
        Some((command, rest)) if command == "simulate" => simulate::run(&root, rest)?,
        Some((command, rest)) if command == "lint" => match rest {
            [] => run::lint(&root, true)?,
            [flag] if flag == "--but-clippy" => run::lint(&root, false)?,
            _ => bail!("`cargo xtask lint` knows one flag, --but-clippy"),
        },
        Some((command, [])) if command == "web" => web::build(&root)?,
        Some((command, rest)) if command == "bpf" => match rest {
            [] => bpf::build(&root)?,
            [flag] if flag == "--check" => bpf::check(&root)?,
            _ => bail!("`cargo xtask bpf` knows one flag, --check"),
        },
        Some((command, rest)) if command == "tidy" => {
            if rest.first().is_some_and(|flag| flag == "--write") {
                tidy::write_arrows(&root)?;
                audit_docs::write(&root)?;
                openapi::write(&root)?;
            }
            let faults = tidy::check(&root)?;
            if !faults.is_empty() {
                bail!("{} house rules broken:\n  {}", faults.len(), faults.join("\n  "));
            }
            println!("the house is tidy");
        }
        _ => print!("{HELP}"),
    }
    Ok(ExitCode::SUCCESS)
}

/// The repository, which lies above this package.
fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

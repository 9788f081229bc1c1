//! Runs the tests that cargo has built: two lanes side by side, one after another within each.
//!
//! The house's tests mostly wait, for clients, browsers and timeouts; most rooms' compute. Cargo runs all of them in a row.

use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Whose tests run in the house's lane, in this order: its own, and at last, when the other lane is empty, those of the room
/// that is held to times on real processes.
const HOUSE: [&str; 2] = ["tests", "crates/host"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lane {
    House,
    Rooms,
}

/// One program of tests.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Program {
    lane: Lane,
    /// Package and target.
    name: String,
    path: PathBuf,
    /// Where cargo would run it: its package's folder.
    folder: PathBuf,
}

/// All programs of tests, built with everything that they run: programs and examples.
pub struct Built(Vec<Program>);

/// Builds them at once, so that cargo sees the same features for all and compiles nothing twice.
pub fn build(root: &Path) -> Result<Built> {
    let built = Command::new(env!("CARGO"))
        .current_dir(root)
        .args(["build", "--workspace", "--bins", "--tests", "--examples"])
        .arg("--message-format=json-render-diagnostics")
        .stderr(Stdio::inherit())
        .output()
        .context("cannot run cargo")?;
    if !built.status.success() {
        bail!("the tests do not build");
    }
    let mut programs = programs(root, &String::from_utf8_lossy(&built.stdout))?;
    let turn = |place: &Path| HOUSE.iter().position(|house| root.join(house) == place);
    programs.sort_by_key(|program| turn(&program.folder));
    Ok(Built(programs))
}

impl Built {
    /// Runs them all; `run` makes the command that each is run by. The names of those that failed.
    pub fn run(&self, run: impl Fn() -> Command + Sync) -> Result<Vec<String>> {
        let lane = |lane| self.0.iter().filter(move |program| program.lane == lane);
        let (rooms, house) = std::thread::scope(|scope| {
            let rooms = scope.spawn(|| run_each(lane(Lane::Rooms), &run, true));
            let house = run_each(lane(Lane::House), &run, false);
            (rooms.join(), house)
        });
        let Ok(rooms) = rooms else { bail!("a lane of tests fell over") };
        Ok([rooms?, house?].concat())
    }
}

/// Runs programs one after another; those of a quiet lane are heard when they have ended, so that lanes do not talk at once.
fn run_each<'a>(
    programs: impl Iterator<Item = &'a Program>,
    run: impl Fn() -> Command,
    quiet: bool,
) -> Result<Vec<String>> {
    let mut failed = Vec::new();
    for program in programs {
        let mut command = run();
        command.arg(&program.path).current_dir(&program.folder);
        command.env("CARGO_MANIFEST_DIR", &program.folder);
        let problem = || format!("cannot run {}", program.path.display());
        let status = if quiet {
            let out = command.stdin(Stdio::null()).output().with_context(problem)?;
            let said = [out.stdout, out.stderr].concat();
            println!("\n     Ran {}\n{}", program.name, String::from_utf8_lossy(&said).trim_end());
            out.status
        } else {
            println!("\n     Running {}", program.name);
            command.status().with_context(problem)?
        };
        if !status.success() {
            failed.push(program.name.clone());
        }
    }
    Ok(failed)
}

/// The programs of tests in what cargo says of a build, a line of JSON each.
fn programs(root: &Path, said: &str) -> Result<Vec<Program>> {
    let mut programs = Vec::new();
    for line in said.lines() {
        let artifact: Value = serde_json::from_str(line).context("cargo says something else")?;
        let (Some(path), Some(manifest), Some(target), Some(true)) = (
            artifact["executable"].as_str(),
            artifact["manifest_path"].as_str().map(Path::new),
            artifact["target"]["name"].as_str(),
            artifact["profile"]["test"].as_bool(),
        ) else {
            continue;
        };
        let folder = manifest.parent().unwrap_or(root);
        let place = folder.strip_prefix(root).unwrap_or(folder);
        let house = HOUSE.iter().any(|house| place == Path::new(house));
        let lane = if house { Lane::House } else { Lane::Rooms };
        let name = format!("{}: {target}", place.display());
        programs.push(Program { lane, name, path: path.into(), folder: folder.to_path_buf() });
    }
    Ok(programs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_of_tests_are_told_from_what_else_is_built() {
        let line = |manifest: &str, name: &str, test: bool| {
            serde_json::json!({
                "reason": "compiler-artifact",
                "manifest_path": manifest,
                "target": { "name": name },
                "profile": { "test": test },
                "executable": format!("/t/{name}-1"),
            })
            .to_string()
        };
        let said = [
            line("/r/tests/Cargo.toml", "locks", true),
            line("/r/crates/host/Cargo.toml", "freeze", true),
            line("/r/crates/scry/Cargo.toml", "scry", false),
            line("/r/crates/scry/Cargo.toml", "scry", true),
            r#"{"reason":"build-finished","success":true}"#.to_owned(),
        ];
        let found = programs(Path::new("/r"), &said.join("\n")).unwrap();
        let found: Vec<_> = found.iter().map(|one| (one.lane, one.name.as_str())).collect();
        let expected = [
            (Lane::House, "tests: locks"),
            (Lane::House, "crates/host: freeze"),
            (Lane::Rooms, "crates/scry: scry"),
        ];
        assert_eq!(found, expected);
        assert!(programs(Path::new("/r"), "warning: something").is_err());
    }

    #[test]
    fn what_fails_is_named_and_the_rest_runs_nevertheless() {
        let program = |name: &str| Program {
            lane: Lane::Rooms,
            name: name.to_owned(),
            path: format!("/bin/{name}").into(),
            folder: "/".into(),
        };
        let all = [program("false"), program("true"), program("false")];
        for quiet in [true, false] {
            let failed = run_each(all.iter(), || Command::new("env"), quiet).unwrap();
            assert_eq!(failed, ["false", "false"]);
        }
    }
}

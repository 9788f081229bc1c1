//! Runs the tests that cargo has built: some programs side by side, where cargo runs all of them in a row.
//!
//! The house's tests mostly wait, for clients, browsers and timeouts; most rooms' compute.

use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// How many of the house's programs run at once while the rooms' run.
const HOUSE_LANES: usize = 2;
/// Which of them begin first, for they take longest.
const LONG: [&str; 7] =
    ["sharing", "four_eyes", "browser", "kernel", "crash_alone", "locks", "disk"];

/// Whose turn it is; what has the same turn runs side by side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lane {
    House,
    Rooms,
    /// Alone at the end: what is held to times on real processes.
    Last,
}

impl Lane {
    fn of(place: &Path) -> Self {
        match place.to_str() {
            Some("tests") => Self::House,
            Some("crates/host") => Self::Last,
            _ => Self::Rooms,
        }
    }
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
    let place = |program: &Program| LONG.iter().position(|long| program.name.ends_with(long));
    programs.sort_by_key(|program| place(program).unwrap_or(LONG.len()));
    Ok(Built(programs))
}

/// How the tests went.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Went {
    /// Programs with tests that failed.
    pub failed: Vec<String>,
    /// What was not tested here, and why.
    pub skipped: Vec<String>,
}

impl Built {
    /// Where a program is that bears this name: its package's folder and its target.
    pub fn path(&self, name: &str) -> Option<PathBuf> {
        self.0.iter().find(|program| program.name == name).map(|program| program.path.clone())
    }

    /// Runs them all; `run` makes the command that each is run by.
    pub fn run(&self, run: impl Fn() -> Command + Sync) -> Result<Went> {
        let went = Mutex::new(Went::default());
        let queue = |lane| Mutex::new(self.0.iter().filter(|it| it.lane == lane).collect());
        let (house, rooms) = (queue(Lane::House), queue(Lane::Rooms));
        let lanes = std::iter::repeat_n(&house, HOUSE_LANES).chain([&rooms]);
        std::thread::scope(|scope| {
            let (house, run, went) = (&house, &run, &went);
            let lane = |first| {
                // Who is done with the rooms helps with the house.
                move || run_each(first, run, went).and_then(|()| run_each(house, run, went))
            };
            let lanes: Vec<_> = lanes.map(|first| scope.spawn(lane(first))).collect();
            for lane in lanes {
                lane.join().unwrap_or_else(|_| bail!("a lane of tests fell over"))?;
            }
            anyhow::Ok(())
        })?;
        run_each(&queue(Lane::Last), &run, &went)?;
        Ok(went.into_inner().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Runs the programs that nobody has taken yet, one after another. Each is heard when it has ended, so that lanes do not
/// talk at once.
fn run_each(
    queue: &Mutex<VecDeque<&Program>>,
    run: &impl Fn() -> Command,
    went: &Mutex<Went>,
) -> Result<()> {
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    while let Some(program) = next() {
        println!("     Running {}", program.name);
        let mut command = run();
        command.arg(&program.path).arg("--show-output").current_dir(&program.folder);
        command.env("CARGO_MANIFEST_DIR", &program.folder).stdin(Stdio::null());
        let began = Instant::now();
        let out = command.output();
        let out = out.with_context(|| format!("cannot run {}", program.path.display()))?;
        let Output { status, stdout, stderr } = out;
        let (said, skipped) = heard(&String::from_utf8_lossy(&stdout));
        let said = format!("{said}{}", String::from_utf8_lossy(&stderr));
        println!("\n     Ran {} in {} s\n{said}", program.name, began.elapsed().as_secs());
        let mut went = went.lock().unwrap_or_else(PoisonError::into_inner);
        went.skipped.extend(skipped.into_iter().map(|what| format!("{}: {what}", program.name)));
        if !status.success() {
            went.failed.push(program.name.clone());
        }
    }
    Ok(())
}

/// What a program of tests said, without the words of tests that passed; and those of them that say what was skipped.
fn heard(said: &str) -> (String, Vec<String>) {
    let (mut kept, mut skipped) = (String::new(), Vec::new());
    let (mut passed, mut test) = (false, "");
    for line in said.lines() {
        match line {
            "successes:" => passed = true,
            "failures:" => passed = false,
            _ if line.starts_with("test result:") => passed = false,
            _ => {}
        }
        if !passed {
            kept.push_str(line);
            kept.push('\n');
        } else if let Some(name) = line.strip_prefix("---- ") {
            test = name.strip_suffix(" stdout ----").unwrap_or(name);
        } else if let Some(why) = line.strip_prefix("skipped: ") {
            // Some name the test by themselves, as far as its name is clear.
            let named =
                |words: &str| test.rsplit("::").next().is_some_and(|it| it.starts_with(words));
            let why = why.split_once(": ").filter(|(first, _)| named(first)).map_or(why, |it| it.1);
            skipped.push(format!("{test}: {why}"));
        }
    }
    (kept, skipped)
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
        let lane = Lane::of(place);
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
            (Lane::Last, "crates/host: freeze"),
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
        let went = Built(all.to_vec()).run(|| Command::new("env")).unwrap();
        let failed = ["false", "false"].map(str::to_owned).to_vec();
        assert_eq!(went, Went { failed, skipped: Vec::new() });
    }

    #[test]
    fn what_was_skipped_is_said_and_nothing_else_of_tests_that_passed() {
        let said = "
running 2 tests
test one ... ok
test two ... FAILED

successes:

---- one stdout ----
begins
skipped: one: this machine has no browser

successes:
    one

failures:

---- two stdout ----
skipped: not this, for it failed

failures:
    two

test result: FAILED. 1 passed; 1 failed
";
        let (kept, skipped) = heard(said);
        assert_eq!(skipped, ["one: this machine has no browser"]);
        assert!(kept.contains("not this, for it failed") && kept.contains("test result: FAILED"));
        assert!(kept.contains("test one ... ok") && !kept.contains("begins"));
    }
}

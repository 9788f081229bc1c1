//! Exceptions that may become fewer and never more: those of pictures in xterm.js, compared with every commit that is here.

use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Command;

const LIST: &str = "web/dev/keyframes/exceptions.json";

/// How many there are, and how often they are seen altogether.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Count {
    exceptions: usize,
    times: u64,
}

/// A fault if the list has more than it had in any commit. A tree without commits has nothing to be compared with.
pub fn check(root: &Path, faults: &mut Vec<String>) -> Result<()> {
    if !root.join(".git").exists() {
        return Ok(());
    }
    let now = count(&fs::read_to_string(root.join(LIST)).unwrap_or_else(|_| "[]".to_owned()))?;
    let commits = git(root, &["log", "--diff-filter=AM", "--format=%H", "--", LIST])?;
    for commit in commits.lines() {
        let then = count(&git(root, &["show", &format!("{commit}:{LIST}")])?)?;
        if now.exceptions > then.exceptions || now.times > then.times {
            faults.push(format!(
                "{LIST}: {} exceptions, seen {} times, where {} had {}, seen {} times: they only become fewer",
                now.exceptions,
                now.times,
                &commit[..commit.len().min(7)],
                then.exceptions,
                then.times
            ));
            break;
        }
    }
    Ok(())
}

fn count(list: &str) -> Result<Count> {
    let list: Vec<Value> =
        serde_json::from_str(list).with_context(|| format!("{LIST} is no list"))?;
    let times = list.iter().map(|one| one["times"].as_u64().context("how often it is seen"));
    Ok(Count { exceptions: list.len(), times: times.sum::<Result<u64>>()? })
}

fn git(root: &Path, args: &[&str]) -> Result<String> {
    // Whoever reads here may be somebody else than whoever fetched it.
    let out =
        Command::new("git").args(["-c", "safe.directory=*", "-C"]).arg(root).args(args).output();
    let out = out.context("git cannot be run")?;
    if !out.status.success() {
        bail!("git {}: {}", args.join(" "), String::from_utf8_lossy(&out.stderr).trim());
    }
    Ok(String::from_utf8(out.stdout)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Commits lists in which exceptions are seen so often, and checks the last with what is said of it.
    fn check_lists(committed: &[&[u64]], now: &[u64], expected: Option<&str>) {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        fs::create_dir_all(root.join(LIST).parent().unwrap()).unwrap();
        let write = |times: &[u64]| {
            let list: Vec<_> =
                times.iter().map(|times| serde_json::json!({ "times": times })).collect();
            fs::write(root.join(LIST), serde_json::to_string(&list).unwrap()).unwrap();
        };
        git(root, &["init", "--quiet"]).unwrap();
        for times in committed {
            write(times);
            git(root, &["add", "."]).unwrap();
            let me = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"];
            git(root, &[&me[..], &["commit", "--quiet", "--message", "x"]].concat()).unwrap();
        }
        write(now);
        let mut faults = Vec::new();
        check(root, &mut faults).unwrap();
        match expected {
            None => assert!(faults.is_empty(), "{committed:?}, {now:?}: {faults:?}"),
            Some(words) => {
                assert!(faults.len() == 1 && faults[0].contains(words), "{faults:?}");
            }
        }
    }

    #[test]
    fn exceptions_become_fewer_and_never_more_than_in_any_commit() {
        check_lists(&[&[3, 4]], &[3, 4], None);
        check_lists(&[&[3, 4]], &[3], None);
        check_lists(&[&[3, 4]], &[3, 5], Some("2 exceptions, seen 8 times"));
        check_lists(&[&[3, 4]], &[3, 3, 1], Some("they only become fewer"));
        // Not by two steps, either.
        check_lists(&[&[3, 4], &[2]], &[1, 1], Some("had 1, seen 2 times"));
        check_lists(&[&[3, 4], &[2], &[1, 1]], &[1, 1], Some("had 1, seen 2 times"));
    }
}

//! The names in docs/security.md: each must be a test or a type that is there.

use crate::tidy;
use anyhow::Result;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

const PAGE: &str = "docs/security.md";
/// Heading of the column whose names are looked up.
const COLUMN: &str = "stopped by";
/// What a name may be declared as.
const DECLARED: [&str; 6] = ["fn ", "struct ", "enum ", "trait ", "type ", "const "];

/// Looks every name up.
pub fn check(root: &Path, faults: &mut Vec<String>) -> Result<()> {
    let Ok(page) = fs::read_to_string(root.join(PAGE)) else {
        faults.push(format!("{PAGE}: it is missing"));
        return Ok(());
    };
    let mut declared = BTreeSet::new();
    for folder in ["crates", "tests", "xtask"] {
        for path in tidy::sources(&root.join(folder))? {
            for line in fs::read_to_string(path)?.lines() {
                declared.extend(DECLARED.iter().filter_map(|word| declared_in(line, word)));
            }
        }
    }
    let (names, empty) = names(&page);
    for name in names.iter().filter(|name| !declared.contains(name.as_str())) {
        faults.push(format!("{PAGE}: `{name}` is no test and no type of this repository"));
    }
    for row in empty {
        faults.push(format!("{PAGE}: nothing is named that stops {row:?}"));
    }
    Ok(())
}

/// The names in the last column of every table that has one of that heading; and the rows without any.
fn names(page: &str) -> (BTreeSet<String>, Vec<String>) {
    let (mut names, mut empty, mut counts) = (BTreeSet::new(), Vec::new(), false);
    for line in page.lines() {
        let Some(row) = line.strip_prefix('|').and_then(|row| row.strip_suffix('|')) else {
            counts = false;
            continue;
        };
        let last = row.rsplit('|').next().unwrap_or_default().trim();
        if last == COLUMN {
            counts = true;
        } else if counts && !last.starts_with("---") {
            let quoted: Vec<_> = last.split('`').skip(1).step_by(2).collect();
            if quoted.is_empty() {
                empty.push(row.split('|').next().unwrap_or_default().trim().to_owned());
            }
            names.extend(quoted.into_iter().map(str::to_owned));
        }
    }
    (names, empty)
}

/// The name that a line declares with this word.
fn declared_in(line: &str, word: &str) -> Option<String> {
    let (before, rest) = line.split_once(word)?;
    let before = before.trim();
    let plain = |part: &str| part.is_empty() || part.starts_with("pub") || part == "async";
    if !before.split(' ').all(plain) {
        return None;
    }
    let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
    rest.get(..end).filter(|name| !name.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_not_there_and_a_row_without_any_are_found() {
        let page = "| attack | stopped by |\n|---|---|\n| a | `one`, `Two` |\n| b | nothing |\n\n| x | y |\n|---|---|\n| c | `three` |\n";
        let (names, empty) = names(page);
        assert_eq!(names.into_iter().collect::<Vec<_>>(), ["Two", "one"]);
        assert_eq!(empty, ["b"]);
    }

    #[test]
    fn what_is_declared_is_found_and_what_is_called_is_not() {
        for (line, name) in [
            ("async fn a_test() {", Some("a_test")),
            ("    pub(crate) fn other<T>(", Some("other")),
            ("// fn commented()", None),
            ("let x = call(fn y);", None),
        ] {
            assert_eq!(declared_in(line, "fn ").as_deref(), name, "{line}");
        }
        assert_eq!(declared_in("pub struct Flood {", "struct ").as_deref(), Some("Flood"));
    }
}

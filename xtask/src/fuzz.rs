//! Fuzz targets: each has a file, an entry in the manifest, a body and a corpus, and the corpora stay small.

use anyhow::{Context as _, Result};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Files of one corpus, and bytes of all of them.
const MOST: (usize, u64) = (60, 1024 * 1024);

/// Compares the targets wherever they are named.
pub fn targets(root: &Path, faults: &mut Vec<String>) -> Result<()> {
    let fuzz = root.join("fuzz");
    let manifest: toml::Table = fs::read_to_string(fuzz.join("Cargo.toml"))
        .context("cannot read fuzz/Cargo.toml")?
        .parse()
        .context("fuzz/Cargo.toml is no TOML")?;
    let bins = manifest.get("bin").and_then(toml::Value::as_array).into_iter().flatten();
    let bins = bins.filter_map(|bin| Some(bin.get("name")?.as_str()?.to_owned())).collect();
    let bodies = fs::read_to_string(fuzz.join("bodies/src/lib.rs"))
        .context("cannot read fuzz/bodies/src/lib.rs")?;
    let listed = bodies.lines().filter_map(|line| line.trim().strip_prefix("(\""));
    let listed = listed.filter_map(|line| Some(line.split_once('"')?.0.to_owned())).collect();
    let places: [(&str, BTreeSet<String>); 4] = [
        ("fuzz/fuzz_targets", stems(&fuzz.join("fuzz_targets"))?),
        ("fuzz/corpus", stems(&fuzz.join("corpus"))?),
        ("fuzz/Cargo.toml", bins),
        ("fuzz/bodies/src/lib.rs", listed),
    ];
    let all: BTreeSet<_> = places.iter().flat_map(|(_, names)| names).cloned().collect();
    for (place, names) in &places {
        for name in all.difference(names) {
            faults.push(format!("fuzz: `{name}` is missing in {place}"));
        }
    }
    corpora(&fuzz.join("corpus"), faults)
}

fn corpora(folder: &Path, faults: &mut Vec<String>) -> Result<()> {
    let mut bytes = 0;
    for name in stems(folder)? {
        let mut files = 0;
        for entry in fs::read_dir(folder.join(&name))? {
            files += 1;
            bytes += entry?.metadata()?.len();
        }
        if !(1..=MOST.0).contains(&files) {
            faults.push(format!("fuzz/corpus/{name}: {files} files; 1 to {}", MOST.0));
        }
    }
    if bytes > MOST.1 {
        faults.push(format!("fuzz/corpus: {bytes} bytes; at most {}", MOST.1));
    }
    Ok(())
}

/// Names of what lies in a folder, without extensions.
fn stems(folder: &Path) -> Result<BTreeSet<String>> {
    let entries = fs::read_dir(folder).with_context(|| format!("no {}", folder.display()))?;
    let stem = |entry: std::io::Result<fs::DirEntry>| {
        Ok(entry?.path().file_stem().unwrap_or_default().to_string_lossy().into_owned())
    };
    entries.map(stem).collect()
}

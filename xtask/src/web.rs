//! The pages for browsers: built from `web/` into `web/dist`, which the proxy embeds. Needs node; nothing else here does.

use crate::packages;
use anyhow::{Context as _, Result, bail};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::SystemTime;

/// The oldest node that the build tools take.
const OLDEST_NODE: (u32, u32) = (20, 19);
/// What in `web/` is no source.
const NO_SOURCES: &[&str] = &["dist", "node_modules", "test-results", "screenshots"];

/// Packs each file of the build once, so that no server has to: brotli and gzip, where that makes it smaller.
const PACK: &str = r#"
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
const [folder] = process.argv.slice(-1);
for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
  if (!entry.isFile() || !/\.(html|js|css|svg|json|txt|wasm|webmanifest)$/.test(entry.name)) continue;
  const path = join(entry.parentPath ?? entry.path, entry.name);
  const bytes = readFileSync(path);
  const params = { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length };
  for (const [ending, packed] of [["br", brotliCompressSync(bytes, { params })], ["gz", gzipSync(bytes, { level: 9 })]]) {
    if (packed.length < bytes.length) writeFileSync(`${path}.${ending}`, packed);
  }
}
"#;

/// Builds the pages if their sources are newer. Without node, or without what npm must fetch, they are left out, which is
/// said; sources that do not build are an error.
pub fn ensure(root: &Path) -> Result<()> {
    if !root.join("web/package.json").exists() || is_fresh(root)? {
        return Ok(());
    }
    match why_not() {
        Some(why) => {
            println!("the pages for browsers are not built: {why}");
            Ok(())
        }
        None => match install(&root.join("web")) {
            Err(why) => {
                println!("the pages for browsers are not built: {why:#}");
                Ok(())
            }
            Ok(()) => make(&root.join("web")),
        },
    }
}

/// Builds the pages.
pub fn build(root: &Path) -> Result<()> {
    let folder = root.join("web");
    if !folder.join("package.json").exists() {
        bail!("there are no sources of pages: web/package.json is missing");
    }
    if let Some(why) = why_not() {
        bail!("{why}");
    }
    install(&folder)?;
    make(&folder)
}

/// The pages' own tests and their types, if what they need is there; `target` is where cargo built everything, examples too.
///
/// The streams that keyframes are compared on come from an example of the room `record`: what xterm.js shows of them is
/// seen on that side only.
pub fn test(root: &Path, target: &Path) -> Result<()> {
    let folder = root.join("web");
    if !folder.join("node_modules/.package-lock.json").exists() || why_not().is_some() {
        println!("skipped: the tests of the pages, for what they need is not there");
        return Ok(());
    }
    let films = target.join("films");
    let made = Command::new(target.join("debug/examples/films")).arg(&films).status();
    if !made.context("cannot run the example `films`")?.success() {
        bail!("the example `films` made no streams");
    }
    run(&folder, "npm", &["run", "--silent", "check"])?;
    let tested = Command::new("npm")
        .args(["run", "--silent", "test"])
        .env("SCRY_FILMS", &films)
        .current_dir(&folder)
        .status();
    if !tested.context("cannot run npm")?.success() {
        bail!("the tests of the pages failed");
    }
    Ok(())
}

/// Fetches what builds the pages, if it is not there.
fn install(folder: &Path) -> Result<()> {
    let installed = modified(&folder.join("node_modules/.package-lock.json"));
    if installed.is_none() || installed < modified(&folder.join("package-lock.json")) {
        run(folder, "npm", &["ci", "--no-audit", "--no-fund"])?;
    }
    Ok(())
}

fn make(folder: &Path) -> Result<()> {
    run(folder, "npm", &["run", "--silent", "build"])?;
    run(folder, "node", &["--input-type=module", "--eval", PACK, "dist"])
}

/// What keeps the pages from being built on this machine.
fn why_not() -> Option<String> {
    let (major, minor) = OLDEST_NODE;
    let needs = format!("node {major}.{minor} or newer is needed");
    let how = "Debian 12's own is too old: `apt-get install npm && npm install --global node@22` brings a newer one";
    let Ok(out) = Command::new("node").arg("--version").output() else {
        return Some(format!("{needs}, and there is none ({how})"));
    };
    let version = String::from_utf8_lossy(&out.stdout).trim().to_owned();
    if !is_new_enough(&version) {
        return Some(format!("{needs}, and this one is {version} ({how})"));
    }
    (!packages::is_there("npm")).then(|| format!("npm is needed beside node ({how})"))
}

fn is_new_enough(version: &str) -> bool {
    let mut numbers =
        version.trim_start_matches('v').split('.').map_while(|part| part.parse().ok());
    matches!((numbers.next(), numbers.next()), (Some(major), Some(minor)) if (major, minor) >= OLDEST_NODE)
}

/// Whether `web/dist` is younger than everything that it is made of.
fn is_fresh(root: &Path) -> Result<bool> {
    let folder = root.join("web");
    let Some(built) = modified(&folder.join("dist/index.html")) else { return Ok(false) };
    Ok(newest(&folder, NO_SOURCES)?.is_none_or(|changed| changed <= built))
}

/// When the youngest file below a folder was changed.
fn newest(folder: &Path, but: &[&str]) -> Result<Option<SystemTime>> {
    let mut newest = None;
    for entry in
        fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?
    {
        let path = entry?.path();
        if path.file_name().is_some_and(|name| but.iter().any(|no| name == *no)) {
            continue;
        }
        let here = match path.is_dir() {
            true => self::newest(&path, &[])?,
            false => modified(&path),
        };
        newest = newest.max(here);
    }
    Ok(newest)
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|facts| facts.modified()).ok()
}

fn run(folder: &Path, program: &str, args: &[&str]) -> Result<()> {
    let status = Command::new(program).args(args).current_dir(folder).status();
    let status = status.with_context(|| format!("cannot run {program}"))?;
    if !status.success() {
        bail!("`{program} {}` failed in web/", args.first().copied().unwrap_or_default());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_new_enough_or_not() {
        for (version, takes) in [
            ("v20.19.0", true),
            ("v20.20.2", true),
            ("v22.0.0", true),
            ("v20.18.3", false),
            ("v18.20.4", false),
            ("", false),
            ("v20", false),
        ] {
            assert_eq!(is_new_enough(version), takes, "{version}");
        }
    }

    #[test]
    fn pages_are_built_again_when_a_source_is_newer() {
        let root = tempfile::tempdir().unwrap();
        let web = root.path().join("web");
        for folder in ["src/lib", "dist", "node_modules/x"] {
            fs::create_dir_all(web.join(folder)).unwrap();
        }
        let at = |seconds| SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
        let write = |name: &str, seconds| {
            let file = fs::File::create(web.join(name)).unwrap();
            file.set_modified(at(seconds)).unwrap();
        };
        write("src/lib/a.ts", 5);
        assert!(!is_fresh(root.path()).unwrap(), "nothing is built");
        write("dist/index.html", 10);
        write("node_modules/x/y.js", 20);
        assert!(is_fresh(root.path()).unwrap());
        write("src/lib/b.ts", 11);
        assert!(!is_fresh(root.path()).unwrap());
    }
}

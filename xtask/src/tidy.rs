//! The house rules that a machine can check. Each fault is one line: where, what, and the rule.

use anyhow::{Context as _, Result, bail};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The floors, from the ground. A crate sees only floors below its own.
const FLOORS: &[(&str, &[&str])] = &[
    ("WORDS", &["model", "screen"]),
    ("MINDS", &["wire", "policy", "session", "record", "trace"]),
    ("HANDS", &["link", "store", "host"]),
    ("SERVICES", &["auth", "proxy", "node"]),
    ("DOORS", &["scry"]),
];

/// Arrows that point down and are forbidden all the same.
const NEVER: &[(&str, &str, &str)] = &[
    ("proxy", "store", "a proxy keeps nothing"),
    ("proxy", "host", "a proxy runs nothing"),
    ("auth", "host", "auth runs nothing"),
];

/// Outside crates that only one room may name.
const ONLY: &[(&str, &str)] =
    &[("russh", "link"), ("avt", "screen"), ("sqlx", "store"), ("libc", "host")];

/// Outside crates that floors 0 and 1 may use: none of them touches the world.
const PURE: &[&str] = &[
    "avt",
    "base64",
    "blake3",
    "bytes",
    "ed25519-dalek",
    "memchr",
    "postcard",
    "regex",
    "schemars",
    "serde",
    "serde_json",
    "ssh-key",
    "thiserror",
    "unicode-normalization",
    "unicode-width",
    "uuid",
    "vte",
    "zstd",
];

/// Words that may not stand in the code of floors 0 and 1 outside tests.
const IMPURE: &[&str] = &[
    "std::fs",
    "std::net",
    "std::thread",
    "std::env",
    "std::process",
    "std::io::stdin",
    "Instant::now",
    "SystemTime",
    "HashMap",
    "HashSet",
    "tokio::",
    "async fn",
    "async move",
    "static mut",
    "OnceLock",
    "thread_local!",
];

/// Lines at which a source file must be split.
const LONGEST_FILE: usize = 800;

/// Fences of the machine-made table in ARCHITECTURE.md.
const ARROWS: (&str, &str) = ("```arrows\n", "```\n");

/// Every broken rule of the tree under `root`.
pub fn check(root: &Path) -> Result<Vec<String>> {
    let house = House::read(root)?;
    let mut faults = Vec::new();
    house.floors(&mut faults);
    house.outside_crates(&mut faults);
    pure_code(root, &mut faults)?;
    files(root, &mut faults)?;
    pure_clippy(root, &mut faults);
    lock_file(root, &mut faults)?;
    crate::fuzz::targets(root, &mut faults)?;
    house.picture(root, &mut faults)?;
    crate::audit_docs::check(root, &mut faults);
    crate::openapi::check(root, &mut faults);
    crate::security::check(root, &mut faults)?;
    crate::fewer::check(root, &mut faults)?;
    Ok(faults)
}

/// Writes the real arrows into ARCHITECTURE.md.
pub fn write_arrows(root: &Path) -> Result<()> {
    let path = root.join("ARCHITECTURE.md");
    let text = fs::read_to_string(&path).context("cannot read ARCHITECTURE.md")?;
    let Some((before, after)) = around_arrows(&text) else {
        bail!("ARCHITECTURE.md has no ```arrows block");
    };
    let arrows = House::read(root)?.arrows();
    fs::write(&path, format!("{before}{}{arrows}{}{after}", ARROWS.0, ARROWS.1))?;
    Ok(())
}

/// The crates under `crates/` and what each names in its manifest.
struct House {
    dependencies: BTreeMap<String, BTreeSet<String>>,
}

impl House {
    fn read(root: &Path) -> Result<Self> {
        let mut dependencies = BTreeMap::new();
        for entry in fs::read_dir(root.join("crates")).context("there is no crates folder")? {
            let folder = entry?.path();
            let manifest = folder.join("Cargo.toml");
            if !manifest.exists() {
                continue;
            }
            let text = fs::read_to_string(&manifest)?;
            let table: toml::Table =
                text.parse().with_context(|| format!("{} is no TOML", manifest.display()))?;
            let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
            dependencies.insert(name, named_crates(&table));
        }
        Ok(Self { dependencies })
    }

    fn floors(&self, faults: &mut Vec<String>) {
        for (name, seen) in &self.dependencies {
            let Some(own) = floor(name) else {
                faults.push(format!(
                    "crates/{name}: stands on no floor; xtask/src/tidy.rs lists them"
                ));
                continue;
            };
            for other in seen {
                match floor(other) {
                    Some(theirs) if theirs == own => {
                        faults.push(format!("crates/{name}: sideways arrow to `{other}`"));
                    }
                    Some(theirs) if theirs > own => {
                        faults.push(format!("crates/{name}: upward arrow to `{other}`"));
                    }
                    _ => {}
                }
            }
            for (from, to, why) in NEVER {
                if name == from && seen.contains(*to) {
                    faults.push(format!("crates/{name}: may never see `{to}`: {why}"));
                }
            }
        }
    }

    fn outside_crates(&self, faults: &mut Vec<String>) {
        for (name, seen) in &self.dependencies {
            for (outside, room) in ONLY {
                if seen.contains(*outside) && name != room {
                    faults.push(format!("crates/{name}: only `{room}` may name {outside}"));
                }
            }
            if floor(name).is_none_or(|own| own > 1) {
                continue;
            }
            let testing = ["chance", "proptest", "insta", "expect-test", "flate2", "toml", "rand"];
            for other in seen {
                let allowed = floor(other).is_some()
                    || PURE.contains(&other.as_str())
                    || testing.contains(&other.as_str());
                if !allowed {
                    faults.push(format!(
                        "crates/{name}: `{other}` is not on the list of pure crates"
                    ));
                }
            }
        }
    }

    fn picture(&self, root: &Path, faults: &mut Vec<String>) -> Result<()> {
        let text = fs::read_to_string(root.join("ARCHITECTURE.md"))
            .context("cannot read ARCHITECTURE.md")?;
        let drawn = text.split(ARROWS.0).nth(1).and_then(|rest| rest.split(ARROWS.1).next());
        if drawn != Some(self.arrows().as_str()) {
            faults.push(
                "ARCHITECTURE.md: its arrows differ from the real dependencies; `cargo xtask tidy --write` mends it"
                    .to_owned(),
            );
        }
        for (word, rooms) in FLOORS {
            let line =
                text.lines().find(|line| line.contains('│') && line.trim_end().contains(word));
            for room in *rooms {
                let stands = text.lines().any(|line| line.contains('│') && line.contains(room));
                if line.is_none() || !stands {
                    faults.push(format!(
                        "ARCHITECTURE.md: the picture does not show `{room}` on {word}"
                    ));
                }
            }
        }
        Ok(())
    }

    fn arrows(&self) -> String {
        let mut text = String::new();
        for (_, rooms) in FLOORS.iter().rev() {
            for room in *rooms {
                let Some(seen) = self.dependencies.get(*room) else { continue };
                let mut inside: Vec<_> = seen.iter().filter(|name| floor(name).is_some()).collect();
                inside.sort_by_key(|name| (std::cmp::Reverse(floor(name)), place(name)));
                let list: Vec<_> = inside.iter().map(|name| name.as_str()).collect();
                let list = if list.is_empty() { "–".to_owned() } else { list.join(" ") };
                text.push_str(&format!("{room:8} → {list}\n"));
            }
        }
        text
    }
}

fn floor(name: &str) -> Option<usize> {
    FLOORS.iter().position(|(_, rooms)| rooms.contains(&name))
}

fn place(name: &str) -> Option<usize> {
    FLOORS.iter().find_map(|(_, rooms)| rooms.iter().position(|room| *room == name))
}

/// Every crate that a manifest names: plain, dev, build and per-target tables.
fn named_crates(manifest: &toml::Table) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut tables = vec![manifest];
    if let Some(targets) = manifest.get("target").and_then(toml::Value::as_table) {
        tables.extend(targets.values().filter_map(toml::Value::as_table));
    }
    for table in tables {
        for kind in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let Some(entries) = table.get(kind).and_then(toml::Value::as_table) else { continue };
            for (key, value) in entries {
                let real = value.get("package").and_then(toml::Value::as_str).unwrap_or(key);
                names.insert(real.to_owned());
            }
        }
    }
    names
}

fn pure_code(root: &Path, faults: &mut Vec<String>) -> Result<()> {
    for (_, rooms) in FLOORS.iter().take(2) {
        for room in *rooms {
            let folder = root.join("crates").join(room).join("src");
            for path in sources(&folder)? {
                let text = fs::read_to_string(&path)?;
                let code = text.split("#[cfg(test)]").next().unwrap_or_default();
                for (at, line) in code.lines().enumerate() {
                    if line.trim_start().starts_with("//") {
                        continue;
                    }
                    for word in IMPURE.iter().filter(|word| line.contains(**word)) {
                        let shown = shown(root, &path);
                        faults.push(format!("{shown}:{}: `{word}` on a pure floor", at + 1));
                    }
                }
            }
        }
    }
    Ok(())
}

fn files(root: &Path, faults: &mut Vec<String>) -> Result<()> {
    for folder in ["crates", "xtask", "tests", "fuzz"] {
        for path in sources(&root.join(folder))? {
            let text = fs::read_to_string(&path)?;
            let shown = shown(root, &path);
            let lines = text.lines().count();
            if lines > LONGEST_FILE {
                faults.push(format!("{shown}: {lines} lines; files are split at {LONGEST_FILE}"));
            }
            if !text.starts_with("//! ") {
                faults.push(format!("{shown}: the first line does not say what lives here"));
            }
            let doc = |line: &str| line.starts_with("/// ```") || line.starts_with("//! ```");
            if text.lines().map(str::trim_start).any(doc) {
                faults.push(format!(
                    "{shown}: an example in a doc is run by nothing; make it a test"
                ));
            }
        }
    }
    Ok(())
}

fn pure_clippy(root: &Path, faults: &mut Vec<String>) {
    let rooms: Vec<_> = FLOORS.iter().take(2).flat_map(|(_, rooms)| *rooms).collect();
    let read =
        |room: &str| fs::read_to_string(root.join("crates").join(room).join("clippy.toml")).ok();
    let first = rooms.first().and_then(|room| read(room));
    for room in rooms {
        if read(room).is_none() || read(room) != first {
            faults.push(format!(
                "crates/{room}/clippy.toml: missing, or differs from the other pure rooms'"
            ));
        }
    }
}

fn lock_file(root: &Path, faults: &mut Vec<String>) -> Result<()> {
    let text = fs::read_to_string(root.join("Cargo.lock")).context("cannot read Cargo.lock")?;
    let count =
        |name: &str| text.lines().filter(|line| *line == format!("name = \"{name}\"")).count();
    for once in ["ssh-key", "russh", "rustls", "aws-lc-rs", "libsqlite3-sys"] {
        if count(once) > 1 {
            faults.push(format!("Cargo.lock: {once} stands in it {} times", count(once)));
        }
    }
    for never in ["openssl-sys", "native-tls", "bindgen"] {
        if count(never) > 0 {
            faults.push(format!("Cargo.lock: {never} came in"));
        }
    }
    Ok(())
}

/// The source files in a folder, in order; none if it is not there.
pub fn sources(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    if !folder.exists() {
        return Ok(found);
    }
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() && path.file_name().is_some_and(|name| name != "target") {
            found.extend(sources(&path)?);
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn around_arrows(text: &str) -> Option<(&str, &str)> {
    let (before, rest) = text.split_once(ARROWS.0)?;
    let (_, after) = rest.split_once(ARROWS.1)?;
    Some((before, after))
}

fn shown(root: &Path, path: &Path) -> String {
    path.strip_prefix(root).unwrap_or(path).display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_house_is_tidy() {
        let faults = check(&crate::root()).unwrap();
        assert!(faults.is_empty(), "{}", faults.join("\n"));
    }

    /// Copies what tidy reads, lets `spoil` change it, and expects a fault with these words.
    fn check_spoiled(expected: &str, spoil: impl FnOnce(&Path)) {
        let root = crate::root();
        let copy = tempfile::tempdir().unwrap();
        for file in ["Cargo.lock", "ARCHITECTURE.md"] {
            fs::copy(root.join(file), copy.path().join(file)).unwrap();
        }
        for folder in ["crates", "fuzz/bodies/src", "fuzz/corpus", "fuzz/fuzz_targets"] {
            copy_tree(&root.join(folder), &copy.path().join(folder));
        }
        fs::copy(root.join("fuzz/Cargo.toml"), copy.path().join("fuzz/Cargo.toml")).unwrap();
        spoil(copy.path());
        let faults = check(copy.path()).unwrap();
        assert!(
            faults.iter().any(|fault| fault.contains(expected)),
            "no {expected:?} in {faults:?}"
        );
    }

    fn copy_tree(from: &Path, to: &Path) {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let path = entry.unwrap().path();
            let target = to.join(path.file_name().unwrap());
            if path.is_dir() {
                copy_tree(&path, &target);
            } else {
                fs::copy(&path, &target).unwrap();
            }
        }
    }

    fn append(path: PathBuf, text: &str) {
        let before = fs::read_to_string(&path).unwrap();
        fs::write(path, before + text).unwrap();
    }

    #[test]
    fn a_sideways_arrow_is_found() {
        check_spoiled("crates/session: sideways arrow to `record`", |root| {
            append(
                root.join("crates/session/Cargo.toml"),
                "\n[target.'cfg(unix)'.dev-dependencies]\nrecord.workspace = true\n",
            );
        });
    }

    #[test]
    fn an_upward_arrow_is_found() {
        check_spoiled("crates/model: upward arrow to `auth`", |root| {
            append(
                root.join("crates/model/Cargo.toml"),
                "\n[build-dependencies]\nauth.workspace = true\n",
            );
        });
    }

    #[test]
    fn a_proxy_that_keeps_something_is_found() {
        check_spoiled("crates/proxy: may never see `store`", |root| {
            append(
                root.join("crates/proxy/Cargo.toml"),
                "\n[build-dependencies]\nstore.workspace = true\n",
            );
        });
    }

    #[test]
    fn a_clock_on_a_pure_floor_is_found() {
        check_spoiled("`Instant::now` on a pure floor", |root| {
            let extra = root.join("crates/policy/src/clock.rs");
            fs::write(extra, "//! A clock.\nfn now() { std::time::Instant::now(); }\n").unwrap();
        });
    }

    #[test]
    fn a_file_of_801_lines_is_found() {
        check_spoiled("crates/node/src/long.rs: 801 lines", |root| {
            let text = "//! Long.\n".to_owned() + &"\n".repeat(800);
            fs::write(root.join("crates/node/src/long.rs"), text).unwrap();
        });
    }

    #[test]
    fn a_file_that_does_not_say_what_lives_there_is_found() {
        check_spoiled("crates/node/src/mute.rs: the first line", |root| {
            fs::write(root.join("crates/node/src/mute.rs"), "fn f() {}\n").unwrap();
        });
    }

    #[test]
    fn an_example_that_nothing_runs_is_found() {
        check_spoiled("crates/node/src/odd.rs: an example", |root| {
            let text = "//! Odd.\n\n/// ```\n/// f()\n/// ```\nfn f() {}\n";
            fs::write(root.join("crates/node/src/odd.rs"), text).unwrap();
        });
    }

    #[test]
    fn a_second_ssh_key_is_found() {
        check_spoiled("ssh-key stands in it 2 times", |root| {
            append(
                root.join("Cargo.lock"),
                "\n[[package]]\nname = \"ssh-key\"\nversion = \"0.6.0\"\n",
            );
        });
    }

    #[test]
    fn pages_that_are_made_from_the_code_and_are_missing_are_found() {
        check_spoiled("docs/audit.md: it is not what", |_| ());
        check_spoiled("docs/openapi.json: it is not what", |_| ());
        check_spoiled("docs/security.md: it is missing", |_| ());
    }

    #[test]
    fn a_fuzz_target_without_a_corpus_and_a_corpus_without_a_target_are_found() {
        check_spoiled("fuzz: `names` is missing in fuzz/corpus", |root| {
            fs::remove_dir_all(root.join("fuzz/corpus/names")).unwrap();
        });
        check_spoiled("fuzz: `other` is missing in fuzz/fuzz_targets", |root| {
            fs::create_dir(root.join("fuzz/corpus/other")).unwrap();
        });
        check_spoiled("fuzz/corpus/names: 61 files", |root| {
            let corpus = root.join("fuzz/corpus/names");
            fs::remove_dir_all(&corpus).unwrap();
            fs::create_dir(&corpus).unwrap();
            for number in 0..61 {
                fs::write(corpus.join(number.to_string()), "x").unwrap();
            }
        });
        check_spoiled("bytes; at most 1048576", |root| {
            fs::write(root.join("fuzz/corpus/names/00"), vec![0; 1 << 20]).unwrap();
        });
    }

    #[test]
    fn a_picture_that_is_not_true_is_found() {
        check_spoiled("its arrows differ", |root| {
            let path = root.join("ARCHITECTURE.md");
            let text = fs::read_to_string(&path).unwrap();
            fs::write(path, text.replace("→ model", "→ wire model")).unwrap();
        });
    }
}

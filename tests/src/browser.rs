//! A real browser before a test cluster. It trusts the cluster's authority as a person's browser would: by its own store of
//! certificates; no check of it is turned off.

use crate::{Cluster, PASSWORD, assert_success};
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// How long a scene may take, in seconds.
const PATIENCE: &str = "600";

/// A browser and what its scenes are given.
pub struct Browser {
    given: serde_json::Value,
}

/// What keeps scenes from being played on this machine, if anything does.
pub fn missing() -> Option<String> {
    let runs = |program: &str, flag: &str| {
        Command::new(program).arg(flag).stdin(Stdio::null()).output().is_ok()
    };
    if chromium().is_none() {
        return Some("no chromium is on this machine".to_owned());
    }
    if !runs("node", "--version") {
        return Some("no node is on this machine".to_owned());
    }
    if !runs("certutil", "-H") {
        return Some("no certutil (Debian: libnss3-tools) is on this machine".to_owned());
    }
    if !web().join("node_modules/playwright-core").exists() {
        return Some(
            "playwright-core is not installed in web/: `cargo xtask web` does it".to_owned(),
        );
    }
    None
}

/// Where the pages' sources lie, and what drives the browser.
fn web() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../web")
}

fn chromium() -> Option<&'static str> {
    ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"]
        .into_iter()
        .find(|path| Path::new(path).exists())
}

impl Browser {
    /// One that trusts the cluster's authority.
    pub fn trusting(cluster: &Cluster) -> Self {
        let status = cluster.scry_json(&["status", "--json"]);
        let authority = status["cluster"]["tls_authority"].as_str().expect("an authority");
        let (pem, store) = (cluster.path("authority.pem"), cluster.path("home/.pki/nssdb"));
        fs::write(&pem, authority).expect("a file can be written");
        fs::create_dir_all(&store).expect("a folder");
        let store = format!("sql:{}", store.display());
        let certutil = |args: &[&str]| {
            let out = Command::new("certutil").args(args).args(["-d", &store]).output();
            assert_success(&out.expect("certutil runs"));
        };
        certutil(&["-N", "--empty-password"]);
        let pem = pem.to_str().expect("a plain path");
        certutil(&["-A", "-n", "scry", "-t", "C,,", "-i", pem]);
        let (_, port) = cluster.address.rsplit_once(':').expect("an address has a port");
        let given = serde_json::json!({
            // Passkeys and certificates are for names, and this one is everywhere the machine itself.
            "origin": format!("https://localhost:{port}"),
            "user": cluster.login,
            "login": cluster.login,
            "node": crate::NODE,
            "password": PASSWORD,
            "folder": cluster.folder.path(),
            "home": cluster.path("home"),
            // Every call that a browser may make.
            "calls": wire::route::OPEN.iter().map(|call| call.path).collect::<Vec<_>>(),
            "scry": crate::scry_path(),
            "client": cluster.path("client"),
            "web": web().join("package.json"),
            "chromium": chromium().expect("looked for before"),
        });
        Self { given }
    }

    /// Plays a scene that asks for nothing.
    #[track_caller]
    pub fn watch(&self, scene: &str) -> Vec<String> {
        self.play(scene, |asked| panic!("the scene asks for {asked:?}"))
    }

    /// Plays a scene (`tests/browser/NAME.mjs`) to its end; `act` does what it asks for, and answers.
    #[track_caller]
    pub fn play(&self, scene: &str, mut act: impl FnMut(&str) -> String) -> Vec<String> {
        let script =
            Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/browser/{scene}.mjs"));
        let mut child = Command::new("timeout")
            .args(["--kill-after=5", PATIENCE, "node"])
            .arg(script)
            .env("SCRY_SCENE", self.given.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("node runs");
        let mut answers = child.stdin.take().expect("piped");
        let mut lines = Vec::new();
        for line in BufReader::new(child.stdout.take().expect("piped")).lines() {
            let line = line.expect("text");
            match line.strip_prefix('@') {
                Some(asked) => {
                    let answer = act(asked);
                    writeln!(answers, "{answer}").expect("the scene listens");
                }
                None => {
                    println!("{line}");
                    lines.push(line);
                }
            }
        }
        let status = child.wait().expect("it can be waited for");
        assert!(status.success(), "the scene {scene} failed: {status}");
        lines
    }
}

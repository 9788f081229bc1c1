//! A browser without a picture: `curl`, with a jar for its cookies, that says of its pages what a browser would.

use crate::{Cluster, PASSWORD};
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use wire::web::COOKIE;

/// One browser; its requests come from the own pages unless it is told otherwise.
pub struct Surf {
    /// Where the proxy is, as its pages are called.
    pub origin: String,
    jar: PathBuf,
    authority: PathBuf,
}

impl Surf {
    /// One of this name in which nobody is signed in.
    pub fn of_nobody(cluster: &Cluster, name: &str) -> Self {
        let status = cluster.scry_json(&["status", "--json"]);
        let pem = status["cluster"]["tls_authority"].as_str().expect("an authority");
        let (authority, jar) =
            (cluster.path(&format!("{name}.pem")), cluster.path(&format!("{name}.jar")));
        fs::write(&authority, pem).expect("a file can be written");
        let (_, port) = cluster.address.rsplit_once(':').expect("an address has a port");
        Self { origin: format!("https://localhost:{port}"), jar, authority }
    }

    /// One in which somebody is signed in.
    pub fn of(cluster: &Cluster, user: &str) -> Self {
        let surf = Self::of_nobody(cluster, user);
        let call = serde_json::json!({ "user": user, "password": PASSWORD });
        let (status, answer) = surf.call("web/sign-in", &call);
        assert_eq!(status, 200, "{answer}");
        surf
    }

    /// The secret in its cookie.
    pub fn secret(&self) -> String {
        let jar = fs::read_to_string(&self.jar).expect("a jar");
        let secret = jar.lines().find_map(|line| line.split_once(&format!("\t{COOKIE}\t")));
        secret.expect("a cookie").1.to_owned()
    }

    /// Makes a call as its pages do; answers status and body.
    pub fn call(&self, path: &str, call: &serde_json::Value) -> (u16, String) {
        let origin = self.origin.clone();
        self.ask("POST", &format!("/v1/{path}"), Some(&origin), Some(&call.to_string()))
    }

    /// Asks for something; what has no end is read for two seconds.
    pub fn ask(
        &self,
        method: &str,
        path: &str,
        origin: Option<&str>,
        body: Option<&str>,
    ) -> (u16, String) {
        let mut curl = Command::new("curl");
        curl.args(["-sS", "--path-as-is", "--max-time", "2", "-w", "\n%{http_code}"]);
        curl.arg("--cacert").arg(&self.authority);
        curl.arg("-b").arg(&self.jar).arg("-c").arg(&self.jar);
        match method {
            "HEAD" => curl.arg("-I"),
            method => curl.args(["-X", method]),
        };
        if let Some(origin) = origin {
            curl.args(["-H", &format!("origin: {origin}")]);
        }
        if let Some(body) = body {
            curl.args(["-H", "content-type: application/json", "--data-binary", body]);
        }
        let out = curl.arg(format!("{}{path}", self.origin)).output().expect("curl runs");
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        let (body, status) = text.rsplit_once('\n').expect("a status");
        (status.parse().expect("a number"), body.to_owned())
    }
}

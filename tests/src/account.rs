//! An account of the machine that tests log in as: somebody who is neither root nor who runs the tests. Needs root.

use crate::Cluster;
use crate::keys::new_key;
use crate::person::words;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::Duration;

/// An account of the machine that goes when the test does.
pub struct Account<'a> {
    cluster: &'a Cluster,
    /// Its name.
    pub name: String,
    /// Its home folder.
    pub home: PathBuf,
}

impl<'a> Account<'a> {
    /// Makes one; `tag` keeps those of one test program apart.
    pub fn new(cluster: &'a Cluster, tag: &str) -> Self {
        let name = format!("scry{tag}{}", std::process::id());
        let home = std::env::temp_dir().join(format!("home-{name}"));
        let (password, shell) = ("*", "/bin/bash");
        let path = home.to_str().expect("a plain path").to_owned();
        run_patiently("useradd", &["-m", "-d", &path, "-s", shell, "-p", password, &name]);
        Self { cluster, name, home }
    }

    /// `ssh` as this account with a certificate of the cluster's own authority, which carries these further extensions.
    pub fn ssh(&self, flags: &[&str]) -> Command {
        let key = self.cluster.path(&format!("key-{}", self.name));
        if !key.exists() {
            new_key(&key);
            let logins = format!("extension:logins@scry={}", self.name);
            let roles = ["-O", "extension:roles@scry=admin", "-O", &logins];
            self.cluster.certify(&key, &self.name, &[&roles, flags].concat());
        }
        let mut ssh = self.cluster.ssh_command();
        ssh.arg("-o").arg(format!("CertificateFile={}-cert.pub", key.display()));
        ssh.arg("-i").arg(&key).args(["-l", &self.name]);
        ssh
    }

    /// Runs a command as this account.
    pub fn run(&self, command: &str) -> Output {
        self.ssh(&[]).arg(self.cluster.host()).arg(command).output().expect("ssh runs")
    }
}

impl Drop for Account<'_> {
    fn drop(&mut self) {
        run_patiently("userdel", &["-r", "-f", &self.name]);
    }
}

/// Runs a program that changes accounts; somebody else may be changing the same files.
///
/// # Panics
/// When it fails, or the files stay locked.
pub fn run_patiently(program: &str, args: &[&str]) {
    for _ in 0..50 {
        let out = Command::new(program).args(args).output().expect("it runs");
        if !words(&out).contains("lock") {
            // userdel complains about mail that never was.
            assert!(out.status.success() || program == "userdel", "{}", words(&out));
            return;
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    panic!("{program} {args:?} stays locked out");
}

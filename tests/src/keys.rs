//! Keys and certificates that `ssh-keygen` makes.

use crate::{Cluster, assert_success};
use std::path::Path;
use std::process::Command;

/// Makes a key at this path, without a passphrase.
pub fn new_key(path: &Path) {
    keygen(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(path));
}

impl Cluster {
    /// Certifies the key at this path for a login, by the cluster's own authority and with these further flags: what a
    /// thief of that authority could. The certificate lies beside it, as `PATH-cert.pub`.
    pub fn certify(&self, key: &Path, login: &str, flags: &[&str]) {
        let mut command = Command::new("ssh-keygen");
        command.args(["-q", "-s"]).arg(self.path("data/auth/keys/user_ca"));
        command.args(["-I", &self.login, "-n", login, "-V", "-1m:+1h"]).args(flags);
        keygen(command.arg(key.with_added_extension("pub")));
    }
}

fn keygen(command: &mut Command) {
    assert_success(&command.output().expect("ssh-keygen runs"));
}

//! `scry config`: settings for OpenSSH. Printed as blocks of their own, so that appending them, including them, or doing so twice does no harm.

use super::profile::Profile;
use crate::cli::Where;
use crate::show;
use anyhow::{Context as _, Result};
use std::path::Path;

/// Prints the settings.
pub fn run(place: &Where) -> Result<()> {
    let profile = Profile::load(place)?;
    let exe = std::env::current_exe().context("cannot find scry's own path")?;
    show::line(text(&profile, &exe));
    Ok(())
}

/// Cipher order: AES-GCM first halves the CPU of every hop.
const CIPHERS: &str = "aes128-gcm@openssh.com,aes256-gcm@openssh.com,chacha20-poly1305@openssh.com";

fn text(profile: &Profile, exe: &Path) -> String {
    let name = &profile.cluster.name;
    let (host, port) = profile.place();
    let exe = quoted(exe);
    let files = profile.files();
    let common = format!(
        "    IdentityFile {}
    CertificateFile {}
    UserKnownHostsFile {}
    HostKeyAlgorithms ssh-ed25519-cert-v01@openssh.com
    Ciphers {CIPHERS}
    IdentitiesOnly yes",
        quoted(&files.ssh_key()),
        quoted(&files.ssh_certificate()),
        quoted(&files.known_hosts()),
    );
    format!(
        "\
# scry: cluster {name}. Every node, today's and tomorrow's, is NODE.{name}
# Through the jump host instead: ssh -J {jump} NODE.{name}
Host {jump}
    HostName {host}
    Port {port}
    User {user}
    HostKeyAlias {jump}
    ProxyCommand none
{common}
Host *.{name}
    ProxyCommand {exe} connect --folder {folder} %h
{common}
# scry: end of cluster {name}",
        jump = format_args!("proxy.{name}"),
        folder = quoted(files.root()),
        user = profile.user,
    )
}

/// A path as ssh_config reads it back.
fn quoted(path: &Path) -> String {
    format!("\"{}\"", path.display())
}

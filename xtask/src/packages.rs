//! System packages that a chore needs: installed where that is allowed, else named with the exact command.

use anyhow::{Context as _, Result, bail};
use std::path::Path;
use std::process::{Command, Stdio};

/// A program and the Debian package that brings it.
pub struct Need {
    /// Path or name of a file or program that shows it is there.
    pub shown_by: &'static str,
    /// Debian's and Ubuntu's package.
    pub package: &'static str,
}

/// What building needs: the C compiler that the README asks for.
pub const BUILD: &[Need] = &[Need { shown_by: "cc", package: "gcc" }];

/// What the tests run beside scry.
pub const TEST: &[Need] = &[
    Need { shown_by: "ssh", package: "openssh-client" },
    Need { shown_by: "sftp", package: "openssh-client" },
    Need { shown_by: "/usr/lib/openssh/sftp-server", package: "openssh-sftp-server" },
    Need { shown_by: "rsync", package: "rsync" },
    Need { shown_by: "git", package: "git" },
    Need { shown_by: "tmux", package: "tmux" },
    Need { shown_by: "vim", package: "vim" },
    Need { shown_by: "less", package: "less" },
    Need { shown_by: "htop", package: "htop" },
    Need { shown_by: "ansible", package: "ansible-core" },
    Need { shown_by: "/usr/lib/python3/dist-packages/paramiko", package: "python3-paramiko" },
    Need { shown_by: "/usr/lib/python3/dist-packages/asyncssh", package: "python3-asyncssh" },
    Need { shown_by: "setpriv", package: "util-linux" },
    Need { shown_by: "sudo", package: "sudo" },
    Need { shown_by: "Xvfb", package: "xvfb" },
    Need { shown_by: "xauth", package: "xauth" },
    Need { shown_by: "xdpyinfo", package: "x11-utils" },
    Need { shown_by: "pebble", package: "pebble" },
];

/// Installs what is missing, or says how.
pub fn ensure(needs: &[Need]) -> Result<()> {
    let mut missing: Vec<&str> =
        needs.iter().filter(|need| !is_there(need.shown_by)).map(|need| need.package).collect();
    missing.sort_unstable();
    missing.dedup();
    if missing.is_empty() {
        return Ok(());
    }
    let list = missing.join(" ");
    if !is_there("apt-get") {
        bail!("these Debian packages, or your system's equals, are needed first: {list}");
    }
    if !is_root()? {
        bail!("packages are missing; install them with\n  sudo apt-get install -y {list}");
    }
    eprintln!("installing: {list}");
    apt(&["update", "-qq"])?;
    let mut args = vec!["install", "-y", "-qq", "--no-install-recommends"];
    args.extend(&missing);
    apt(&args)
}

/// Whether a program is in PATH, or a file exists.
pub fn is_there(shown_by: &str) -> bool {
    if shown_by.contains('/') {
        return Path::new(shown_by).exists();
    }
    std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join(shown_by).is_file()))
}

fn is_root() -> Result<bool> {
    let out = Command::new("id").arg("-u").output().context("cannot run `id`")?;
    Ok(out.stdout.trim_ascii() == b"0")
}

fn apt(args: &[&str]) -> Result<()> {
    let status = Command::new("apt-get")
        .args(args)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .context("cannot run apt-get")?;
    if !status.success() {
        bail!("`apt-get {}` failed", args.join(" "));
    }
    Ok(())
}

//! Somebody else in a test cluster, with a client folder and OpenSSH settings of their own.

use crate::{Cluster, PASSWORD, assert_success, text};
use std::process::{Command, Output, Stdio};

/// A person beside the admin.
pub struct Person<'a> {
    cluster: &'a Cluster,
    name: &'static str,
}

impl<'a> Person<'a> {
    /// Invites somebody with these roles, and signs them up and in.
    pub fn invited(cluster: &'a Cluster, name: &'static str, roles: &[&str]) -> Self {
        let mut args = vec!["users", "add", name];
        roles.iter().for_each(|role| args.extend(["--role", role]));
        let out = cluster.scry(&args);
        assert_success(&out);
        let line = text(&out);
        let person = Self { cluster, name };
        let mut signup = person.command();
        signup.arg("signup").arg(line.strip_prefix("scry signup ").expect("a command to hand on"));
        assert_success(&person.run_with_password(signup));
        person
    }

    /// One who is known to the cluster by name only, and has nothing yet.
    pub fn named(cluster: &'a Cluster, name: &'static str) -> Self {
        Self { cluster, name }
    }

    /// The client as this person.
    pub fn command(&self) -> Command {
        let mut command = self.cluster.scry_command();
        command.env("SCRY_HOME", self.cluster.path(self.name));
        command
    }

    /// Runs the client to its end.
    pub fn run(&self, args: &[&str]) -> Output {
        self.command().args(args).stdin(Stdio::null()).output().expect("scry runs")
    }

    /// Runs a command that asks for the password.
    pub fn run_with_password(&self, mut command: Command) -> Output {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("scry runs");
        let mut stdin = child.stdin.take().expect("piped");
        // One who does not read all of it has its reasons; the output tells.
        let _ = std::io::Write::write_all(&mut stdin, PASSWORD.as_bytes());
        drop(stdin);
        child.wait_with_output().expect("scry ends")
    }

    /// Signs in anew, for so long.
    pub fn login(&self, life: &str) -> Output {
        let mut command = self.command();
        command.args(["login", "--no-agent", "--for", life]);
        self.run_with_password(command)
    }

    /// OpenSSH's client as this person; the caller appends host and command.
    pub fn ssh_command(&self) -> Command {
        let out = self.run(&["config"]);
        assert_success(&out);
        let path = self.cluster.path(&format!("{}.ssh_config", self.name));
        let mut settings = out.stdout;
        let login = &self.cluster.login;
        let more = format!("\nHost *\n    User {login}\n    BatchMode yes\n    LogLevel INFO\n");
        settings.extend_from_slice(more.as_bytes());
        std::fs::write(&path, settings).expect("settings can be written");
        let mut command = Command::new("ssh");
        command.arg("-F").arg(path).env_remove("SSH_AUTH_SOCK");
        command.env("TERM", "xterm-256color").stdin(Stdio::null());
        command
    }

    /// Runs a command on the node through OpenSSH.
    pub fn ssh(&self, command: &str) -> Output {
        self.ssh_command().arg(self.cluster.host()).arg(command).output().expect("ssh runs")
    }
}

/// Everything that a program said.
pub fn words(out: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr))
}

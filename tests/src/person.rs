//! Somebody else in a test cluster, with a client folder and OpenSSH settings of their own.

use crate::relay::Relay;
use crate::{Cluster, PASSWORD, assert_success, output_with, ssh_with};
use std::process::{Command, Output, Stdio};

/// A person beside the admin.
pub struct Person<'a> {
    cluster: &'a Cluster,
    name: String,
}

impl<'a> Person<'a> {
    /// Invites somebody with these roles, and signs them up and in.
    pub fn invited(cluster: &'a Cluster, name: &str, roles: &[&str]) -> Self {
        let invitation = cluster.add_user(name, roles);
        let person = Self::named(cluster, name);
        assert_success(&person.sign_up(&invitation));
        person
    }

    /// One who is known to the cluster by name only, and has nothing yet.
    pub fn named(cluster: &'a Cluster, name: &str) -> Self {
        Self { cluster, name: name.to_owned() }
    }

    /// The same person at a machine that reaches the cluster through a relay.
    #[must_use]
    pub fn behind(&self, relay: &Relay) -> Self {
        let folder = relay.folder(self.cluster, &self.name);
        let name = folder.file_name().and_then(|name| name.to_str()).expect("a plain name");
        Self::named(self.cluster, name)
    }

    /// The client as this person.
    pub fn command(&self) -> Command {
        let mut command = self.cluster.scry_command();
        command.env("SCRY_HOME", self.cluster.path(&self.name));
        command
    }

    /// Runs the client to its end.
    pub fn run(&self, args: &[&str]) -> Output {
        self.command().args(args).stdin(Stdio::null()).output().expect("scry runs")
    }

    /// Signs up by an invitation.
    pub fn sign_up(&self, invitation: &str) -> Output {
        output_with(self.command().args(["signup", invitation]), PASSWORD)
    }

    /// Signs in anew, for so long.
    pub fn login(&self, life: &str) -> Output {
        output_with(self.command().args(["login", "--no-agent", "--for", life]), PASSWORD)
    }

    /// OpenSSH's client as this person; the caller appends host and command.
    pub fn ssh_command(&self) -> Command {
        let path = self.cluster.path(&format!("{}.ssh_config", self.name));
        self.cluster.write_settings(&path, &self.run(&["config"]), "INFO");
        ssh_with(&path)
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

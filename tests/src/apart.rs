//! A cluster whose node is a process of its own, as on two machines.

use crate::process::Server;
use crate::{Cluster, NODE, assert_success, scry_path};
use std::path::PathBuf;
use std::process::Command;

/// Auth and proxy in one process (the `cluster`), the node in another.
pub struct Apart {
    /// Auth and proxy, and the person who is signed in.
    pub cluster: Cluster,
    node: Option<Server>,
    /// Where the node reaches the proxy; a test may put something between them.
    pub route: String,
}

/// What the cluster's process runs.
pub const ROLES: &[&str] = &["--roles", "auth,proxy"];

impl Apart {
    /// Starts both; the node joins by invitation.
    pub fn start() -> Self {
        let cluster = Cluster::start_with(ROLES);
        let route = cluster.address.clone();
        Self::of(cluster, route)
    }

    /// Starts a node of `cluster` that reaches it at `route`.
    pub fn of(cluster: Cluster, route: String) -> Self {
        let mut apart = Self { cluster, node: None, route };
        let invitation = apart.invite(&["--name", NODE]);
        let invitation = invitation.replace(&apart.cluster.address, &apart.route);
        apart.start_node(&["--join", &invitation]);
        apart
    }

    /// Makes an invitation of a machine: `scry://…`.
    pub fn invite(&self, args: &[&str]) -> String {
        let mut all = vec!["nodes", "invite", "--json"];
        all.extend(args);
        let invited = self.cluster.scry_json(&all);
        invited["invitation"].as_str().expect("an invitation").to_owned()
    }

    /// Folder of the node's process.
    pub fn node_folder(&self) -> PathBuf {
        self.cluster.path("machine")
    }

    /// The command that starts the node; its folder knows the rest once it has joined.
    pub fn node_command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(scry_path());
        command
            .args(["start", "--roles", "node", "--node-name", NODE])
            .args(["--diagnostics-listen", "127.0.0.1:0", "--data-dir"])
            .arg(self.node_folder())
            .args(args);
        command
    }

    /// Starts the node and waits until it can be reached.
    pub fn start_node(&mut self, args: &[&str]) {
        let server = Server::start(self.node_command(args), &self.cluster.path("node.log"));
        server.until_ready();
        self.node = Some(server);
    }

    /// Starts the node by a command of the test's own, such as one under a tracer, and does not wait.
    pub fn start_node_by(&mut self, command: Command) {
        self.node = Some(Server::start(command, &self.cluster.path("node.log")));
    }

    /// The node's process.
    pub fn node(&mut self) -> &mut Server {
        self.node.as_mut().expect("the node runs")
    }

    /// Kills the node as `kill -9` does.
    pub fn kill_node(&mut self) {
        self.node().kill();
        self.node = None;
    }

    /// Kills auth and proxy.
    pub fn kill_cluster(&mut self) {
        self.cluster.kill();
    }

    /// Starts auth and proxy again.
    pub fn restart_cluster(&mut self) {
        let address = self.cluster.address.clone();
        self.cluster.serve_roles(&address, ROLES);
    }

    /// Removes the node's folder, as on a machine set up anew.
    pub fn forget_node(&mut self) {
        self.kill_node();
        std::fs::remove_dir_all(self.node_folder()).expect("a folder");
    }

    /// Removes the node from the cluster.
    pub fn remove_node(&self) {
        assert_success(&self.cluster.scry(&["nodes", "rm", NODE]));
    }
}

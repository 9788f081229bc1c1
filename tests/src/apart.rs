//! A cluster whose node is a process of its own, as on two machines; or whose auth, proxy and node are three.

use crate::process::Server;
use crate::{CLUSTER, Cluster, NODE, assert_success, free_port, invitation, scry_path};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Auth and proxy in one process (the `cluster`), the node in another. Or auth in one, proxy and node in others.
pub struct Apart {
    // Dropped in this order: all servers have ended when the cluster removes the folder that they write into.
    other: Option<Server>,
    node: Option<Server>,
    proxy: Option<Server>,
    /// Auth and proxy, or auth alone; and the person who is signed in.
    pub cluster: Cluster,
    /// Flags of the cluster's process.
    roles: Vec<String>,
    /// Where the node reaches the proxy; a test may put something between them.
    route: String,
}

/// Name of the second node, where a test starts one.
const OTHER: &str = "other";

const NODE_FOLDER: &str = "machine";

impl Apart {
    /// Starts both; the node joins by invitation.
    pub fn start() -> Self {
        Self::in_two(|_| (), &[], str::to_owned)
    }

    /// As [`Apart::start`], with further flags of the cluster's process, in a folder that `prepare` has seen before anything
    /// runs there.
    pub fn prepared(prepare: impl FnOnce(&Path), further: &[&str]) -> Self {
        Self::in_two(prepare, further, str::to_owned)
    }

    /// As [`Apart::start`]; the node reaches the proxy at what `route` makes of its address.
    pub fn with_route(route: impl FnOnce(&str) -> String) -> Self {
        Self::in_two(|_| (), &[], route)
    }

    fn in_two(
        prepare: impl FnOnce(&Path),
        further: &[&str],
        route: impl FnOnce(&str) -> String,
    ) -> Self {
        let mut cluster = Cluster::empty();
        prepare(cluster.folder.path());
        let roles = [&["--roles", "auth,proxy"], further].concat();
        cluster.begin(&roles);
        let route = route(&cluster.address);
        let mut apart = Self::around(cluster, &roles, route);
        apart.join_node();
        apart
    }

    /// Auth, proxy and node in a process each; the proxy reaches auth at what `route` makes of its address.
    pub fn in_three(route: impl FnOnce(&str) -> String) -> Self {
        let mut cluster = Cluster::empty();
        let (port, auth_port) = (free_port(), free_port());
        let address = format!("127.0.0.1:{port}");
        let auth = format!("127.0.0.1:{auth_port}");
        let roles = ["--roles", "auth", "--auth-listen", &auth];
        let command = cluster.server_command(&address, &roles);
        let lines = cluster.serve_by(command).until_ready();
        let proxy = invitation(&lines, "--roles proxy --join ").expect("a proxy is invited");
        let admin = invitation(&lines, "scry signup ").expect("an admin is invited");
        cluster.address.clone_from(&address);
        let mut apart = Self::around(cluster, &roles, address);
        apart.start_proxy(&["--join", &proxy.replace(&auth, &route(&auth))]);
        apart.cluster.sign_up(&admin);
        apart.join_node();
        apart
    }

    fn around(cluster: Cluster, roles: &[&str], route: String) -> Self {
        let roles = roles.iter().map(|&flag| flag.to_owned()).collect();
        Self { other: None, node: None, proxy: None, cluster, roles, route }
    }

    /// Starts the node as a machine that is new in the cluster.
    pub fn join_node(&mut self) {
        let invitation = self.invite(&["--name", NODE]);
        let invitation = invitation.replace(&self.cluster.address, &self.route);
        self.start_node(&["--join", &invitation]);
    }

    /// Starts a proxy of its own.
    pub fn start_proxy(&mut self, args: &[&str]) {
        let mut command = self.command("proxy", "front");
        command.args(["--listen", &self.cluster.address]).args(args);
        let server = Server::start(command, &self.cluster.path("proxy.log"));
        server.until_ready();
        self.proxy = Some(server);
    }

    /// Kills the proxy as `kill -9` does.
    pub fn kill_proxy(&mut self) {
        self.proxy = None;
    }

    /// Makes an invitation of a machine: `scry://…`.
    pub fn invite(&self, args: &[&str]) -> String {
        let mut all = vec!["nodes", "invite", "--json"];
        all.extend(args);
        let invited = self.cluster.scry_json(&all);
        invited["invitation"].as_str().expect("an invitation").to_owned()
    }

    /// The command that starts a part of scry in a folder of the test's.
    pub fn command(&self, part: &str, folder: &str) -> Command {
        let mut command = Command::new(scry_path());
        command
            .args(["start", "--roles", part, "--diagnostics-listen", "127.0.0.1:0", "--data-dir"])
            .arg(self.cluster.path(folder));
        command
    }

    /// Folder of the node's process.
    pub fn node_folder(&self) -> PathBuf {
        self.cluster.path(NODE_FOLDER)
    }

    /// The command that starts the node; its folder knows the rest once it has joined.
    pub fn node_command(&self, args: &[&str]) -> Command {
        let mut command = self.command("node", NODE_FOLDER);
        command.args(["--node-name", NODE]).args(args);
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
        self.node = None;
    }

    /// Starts a second node, `other`.
    pub fn start_other(&mut self) {
        let invitation = self.invite(&["--name", OTHER]);
        let mut command = self.command("node", OTHER);
        command.args(["--node-name", OTHER, "--join", &invitation]);
        let server = Server::start(command, &self.cluster.path("other.log"));
        server.until_ready();
        self.other = Some(server);
    }

    /// Runs a command on the second node through OpenSSH.
    pub fn ssh_other(&self, command: &str) -> Output {
        let host = format!("{OTHER}.{CLUSTER}");
        self.cluster.ssh_command().args([&host, command]).output().expect("ssh runs")
    }

    /// Kills auth, and the proxy if it is in the same process.
    pub fn kill_cluster(&mut self) {
        self.cluster.kill();
    }

    /// Starts what [`Apart::kill_cluster`] killed.
    pub fn restart_cluster(&mut self) {
        let command = self.cluster_command();
        self.cluster.serve_by(command).until_ready();
    }

    /// The command that starts auth, and the proxy if it is in the same process.
    pub fn cluster_command(&self) -> Command {
        let flags: Vec<&str> = self.roles.iter().map(String::as_str).collect();
        self.cluster.server_command(&self.cluster.address, &flags)
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

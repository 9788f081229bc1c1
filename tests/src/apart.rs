//! A cluster whose node is a process of its own, as on two machines; or whose auth, proxy and node are three.

use crate::process::Server;
use crate::{Cluster, NODE, assert_success, free_port, invitation, scry_path};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Auth and proxy in one process (the `cluster`), the node in another. Or auth in one, proxy and node in others.
pub struct Apart {
    /// Auth and proxy, or auth alone; and the person who is signed in.
    pub cluster: Cluster,
    proxy: Option<Server>,
    /// Flags of the cluster's process.
    roles: Vec<String>,
    node: Option<Server>,
    /// Where the node reaches the proxy; a test may put something between them.
    pub route: String,
}

/// Auth and proxy in the cluster's process.
const AUTH_AND_PROXY: &[&str] = &["--roles", "auth,proxy"];

impl Apart {
    /// Starts both; the node joins by invitation.
    pub fn start() -> Self {
        Self::with_route(str::to_owned)
    }

    /// As [`Apart::start`], with further flags of the cluster's process, in a folder that `prepare` has seen before anything
    /// runs there.
    pub fn prepared(prepare: impl FnOnce(&Path), further: &[&str]) -> Self {
        let mut cluster = Cluster::empty();
        prepare(cluster.folder.path());
        let flags: Vec<&str> = AUTH_AND_PROXY.iter().chain(further).copied().collect();
        let invitation = cluster.serve_roles("127.0.0.1:0", &flags);
        cluster.sign_up(&invitation.expect("the first start prints an invitation"));
        let roles = flags.iter().map(|&flag| flag.to_owned()).collect();
        let route = cluster.address.clone();
        let mut apart = Self { cluster, proxy: None, roles, node: None, route };
        apart.invite_node();
        apart
    }

    /// As [`Apart::start`]; the node reaches the proxy at what `route` makes of its address.
    pub fn with_route(route: impl FnOnce(&str) -> String) -> Self {
        let cluster = Cluster::start_with(AUTH_AND_PROXY);
        let roles = AUTH_AND_PROXY.iter().map(|&flag| flag.to_owned()).collect();
        let route = route(&cluster.address);
        let mut apart = Self { cluster, proxy: None, roles, node: None, route };
        apart.invite_node();
        apart
    }

    /// Auth, proxy and node in a process each; the proxy reaches auth at what `route` makes of its address.
    pub fn in_three(route: impl FnOnce(&str) -> String) -> Self {
        let mut cluster = Cluster::empty();
        let (port, auth_port) = (free_port(), free_port());
        let address = format!("127.0.0.1:{port}");
        let auth = format!("127.0.0.1:{auth_port}");
        let roles = ["--roles", "auth", "--auth-listen", &auth].map(str::to_owned).to_vec();
        let flags: Vec<&str> = roles.iter().map(String::as_str).collect();
        let command = cluster.server_command(&address, &flags);
        let lines = cluster.serve_by(command).until_ready();
        let proxy = invitation(&lines, "--roles proxy --join ").expect("a proxy is invited");
        let admin = invitation(&lines, "scry signup ").expect("an admin is invited");
        cluster.address.clone_from(&address);
        let mut apart = Self { cluster, proxy: None, roles, node: None, route: address };
        apart.start_proxy(&["--join", &proxy.replace(&auth, &route(&auth))]);
        apart.cluster.sign_up(&admin);
        apart.invite_node();
        apart
    }

    fn invite_node(&mut self) {
        let invitation = self.invite(&["--name", NODE]);
        let invitation = invitation.replace(&self.cluster.address, &self.route);
        self.start_node(&["--join", &invitation]);
    }

    /// Starts a proxy of its own.
    pub fn start_proxy(&mut self, args: &[&str]) {
        let mut command = Command::new(scry_path());
        command
            .args(["start", "--roles", "proxy", "--listen", &self.cluster.address])
            .args(["--diagnostics-listen", "127.0.0.1:0", "--data-dir"])
            .arg(self.cluster.path("front"))
            .args(args);
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
        self.node = None;
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

//! A node's own port: the same checks, the same recording, no proxy between.

use house::keys::new_key;
use house::{Cluster, NODE, assert_success, free_port, text};
use std::process::Command;

#[test]
fn a_port_of_the_nodes_own_is_reached_without_the_proxy_and_records_the_same() {
    let port = free_port();
    let cluster = Cluster::start_with(&["--ssh-listen", &format!("127.0.0.1:{port}")]);
    let mut ssh = cluster.direct(cluster.ssh_command(), port);
    let out = ssh.args([&cluster.host(), "echo past the proxy; exit 3"]).output().unwrap();
    assert_eq!((out.status.code(), text(&out)), (Some(3), "past the proxy".to_owned()));
    let row = cluster.recording_of("echo past the proxy; exit 3");
    assert_eq!((&row["node"], &row["ending"]), (&NODE.into(), &"exit 3".into()));
    let opened = cluster.audit("connection.open");
    assert_eq!(opened[0]["address"], "127.0.0.1");

    // With a key that nobody signed nobody gets in.
    let key = cluster.path("stranger");
    new_key(&key);
    let mut ssh = Command::new("ssh");
    ssh.args(["-F", "none", "-i"]).arg(&key).args([
        "-o",
        "IdentitiesOnly=yes",
        "-o",
        "BatchMode=yes",
    ]);
    ssh.args(["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]);
    ssh.args(["-p", &port.to_string(), &format!("{}@127.0.0.1", cluster.login), "true"]);
    let out = ssh.env_remove("SSH_AUTH_SOCK").output().unwrap();
    assert_eq!(out.status.code(), Some(255), "{out:?}");
    assert!(String::from_utf8_lossy(&out.stderr).contains("Permission denied"), "{out:?}");

    // The way through the proxy is there as before.
    assert_success(&cluster.ssh("true"));
}

#[test]
fn a_port_that_is_taken_is_said_with_what_to_do() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let folder = tempfile::tempdir().unwrap();
    let mut scry = Command::new(house::scry_path());
    scry.args(["start", "--listen", "127.0.0.1:0", "--diagnostics-listen", "127.0.0.1:0"]);
    scry.args(["--ssh-listen", &address, "--data-dir"]).arg(folder.path());
    let out = scry.output().unwrap();
    assert_eq!(out.status.code(), Some(1), "{out:?}");
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(said.contains(&format!("cannot listen on {address} for SSH")), "{said}");
}

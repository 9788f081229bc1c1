//! SSH clients that nobody here wrote: Ansible, paramiko, asyncssh.

use house::{Cluster, NODE, assert_success, text};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

fn python(cluster: &Cluster, script: &str) {
    let client = cluster.path("client").join("clusters").join(house::CLUSTER);
    let mut python = Command::new("/usr/bin/python3");
    python.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("python").join(script));
    python.arg(cluster.config()).args([&cluster.host(), &cluster.login]);
    python.arg(client.join("id_ed25519")).arg(client.join("id_ed25519-cert.pub"));
    python.arg(client.join("known_hosts")).arg(cluster.path("through-python"));
    let out = python
        .env("SCRY_HOME", cluster.path("client"))
        .env_remove("SSH_AUTH_SOCK")
        .output()
        .unwrap();
    assert_success(&out);
    let last = text(&out);
    let got: serde_json::Value =
        serde_json::from_str(last.lines().last().unwrap_or_default()).unwrap();
    let name = script.split('_').next().unwrap();
    assert_eq!(got["out"], format!("{name} says hello"));
    assert_eq!((&got["err"], &got["status"]), (&"err\n".into(), &7.into()));
    assert_eq!((&got["size"], &got["sftp"]), (&"40 100".into(), &true.into()));
    let path = cluster.path("through-python");
    let moved = [b'x'; 200_000];
    for direction in ["written", "read"] {
        house::moved::check(cluster, path.to_str().unwrap(), direction, &moved);
    }
    let row = cluster.recording_of("cat; echo err >&2; exit 7");
    assert_eq!((&row["node"], &row["ending"]), (&NODE.into(), &"exit 7".into()));
}

#[test]
fn paramiko_runs_commands_and_moves_files() {
    python(&Cluster::start(), "paramiko_client.py");
}

#[test]
fn asyncssh_checks_the_host_certificate_runs_commands_and_moves_files() {
    python(&Cluster::start(), "asyncssh_client.py");
}

#[test]
fn ansible_pings_copies_and_gathers_facts() {
    let cluster = Cluster::start();
    let inventory = cluster.path("inventory");
    fs::write(
        &inventory,
        format!("{} ansible_python_interpreter=/usr/bin/python3\n", cluster.host()),
    )
    .unwrap();
    let copied = cluster.path("copied");
    let source = cluster.path("source");
    fs::write(&source, "by ansible\n").unwrap();
    let copy = format!("src={} dest={}", source.display(), copied.display());
    for (module, args, expected) in [
        ("ping", "", "pong"),
        ("copy", copy.as_str(), "\"changed\": true"),
        ("setup", "filter=ansible_kernel", "ansible_kernel"),
    ] {
        let mut ansible = Command::new("ansible");
        ansible.arg("all").arg("-i").arg(&inventory).args(["-m", module]);
        if !args.is_empty() {
            ansible.args(["-a", args]);
        }
        ansible.env(
            "ANSIBLE_SSH_ARGS",
            format!("-F {} -o ControlMaster=auto -o ControlPersist=5s", cluster.config().display()),
        );
        ansible.env("ANSIBLE_HOME", cluster.path("ansible")).env("ANSIBLE_NOCOLOR", "1");
        ansible.env("ANSIBLE_LOCAL_TEMP", cluster.path("ansible-tmp")).env_remove("SSH_AUTH_SOCK");
        let out = ansible.output().unwrap();
        assert_success(&out);
        assert!(text(&out).contains(expected), "{module}: {}", text(&out));
    }
    assert_eq!(fs::read_to_string(copied).unwrap(), "by ansible\n");
    assert!(!cluster.stored_recordings().is_empty());
}

#[test]
fn the_shipped_binary_is_every_process_that_a_node_starts() {
    for task in ["__session", "__net", "__close"] {
        let out = Command::new(house::scry_path()).arg(task).stdin(Stdio::null()).output().unwrap();
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(!out.status.success() && said.contains("not by hand"), "{task}: {said}");
    }
}

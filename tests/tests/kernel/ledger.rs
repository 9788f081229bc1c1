//! What the ledger is told one by one of what the kernel saw, where a role asks for that.

use super::{Seen, can_see, has};
use house::{Cluster, assert_success};
use serde_json::Value;

/// What the ledger was told of the session of this command, and the sums.
fn told(cluster: &Cluster, command: &str) -> (Vec<Value>, Value) {
    let id = cluster.recording_of(command)["id"].as_str().unwrap().to_owned();
    let of = |word: &str| {
        let mut rows = cluster.audit(word);
        rows.retain(|row| row["session"] == id.as_str());
        rows
    };
    let sums = of("session.kernel_seen").pop().unwrap();
    (of("session.kernel_event"), sums)
}

#[test]
fn the_ledger_is_told_what_a_role_asks_for_and_counts_what_is_too_much() {
    let test = "the_ledger_is_told";
    if !can_see(test) || !has(test, "/usr/bin/python3") {
        return;
    }
    let cluster = Cluster::start();
    let silent = "/bin/true silent";
    assert_success(&cluster.ssh(silent));
    let (events, sums) = told(&cluster, silent);
    assert_eq!((events.len(), &sums["told"], &sums["untold"]), (0, &0.into(), &0.into()));

    cluster.set_options("kernel = { ledger = ['programs', 'connections'] }");
    let command = "uname -n told; /usr/bin/python3 -c \"import socket as s; s.socket().connect_ex(('127.0.0.1', 1)); \
                   open('/dev/null', 'w')\"";
    assert_success(&cluster.ssh(command));
    let (events, sums) = told(&cluster, command);
    let seen = Seen::of(&cluster, command);
    let program = events.iter().find(|it| it["what"] == "uname -n told").unwrap();
    let ran = seen.ran("uname -n told");
    assert_eq!((&program["kind"], &program["code"]), (&"programs".into(), &"S3077I".into()));
    for field in ["process", "parent", "uid", "euid"] {
        assert_eq!(program[field], ran["by"][field], "{field}");
    }
    assert!(program["user"].is_string() && program["login"].is_string(), "{program}");
    let refused = events.iter().find(|it| it["what"] == "could not connect to 127.0.0.1:1");
    assert_eq!(refused.unwrap()["kind"], "connections");
    // Connections are watched because the ledger is to hear of them; files are not.
    assert!(events.iter().all(|it| it["kind"] != "changes"), "{events:#?}");
    assert_eq!(seen.all("opened").count(), 0);
    assert_eq!((&sums["told"], &sums["untold"]), (&events.len().into(), &0.into()));

    let many = "for n in $(seq 300); do /bin/true too-many-$n; done";
    assert_success(&cluster.ssh(many));
    let (events, sums) = told(&cluster, many);
    let (told, untold) = (sums["told"].as_u64().unwrap(), sums["untold"].as_u64().unwrap());
    assert_eq!(told, events.len() as u64);
    // More of them only on a machine so slow that the loop takes more than a minute.
    assert!(told >= 120 && untold > 0, "{sums}");
    let seen = Seen::of(&cluster, many);
    let kinds = ["ran", "not_ran", "tcp", "socket", "met"];
    let all: usize = kinds.iter().map(|kind| seen.all(kind).count()).sum();
    assert_eq!(told + untold, all as u64);
}

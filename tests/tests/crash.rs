//! `kill -9` of the whole server while sessions print numbered lines: nothing that was received is ever missing.

use house::{CLUSTER, Cluster, text};
use std::process::{Command, Stdio};
use std::time::Duration;

#[test]
fn nothing_received_is_missing_after_kill_9_and_what_is_lost_is_a_gap() {
    let rounds = if house::long() { 20 } else { 5 };
    let mut cluster = Cluster::start();
    for round in 0..rounds {
        let command =
            format!("i=0; while :; do echo round-{round}-line-$i; i=$((i+1)); sleep 0.01; done");
        let mut ssh = cluster.ssh_command();
        ssh.args(["-tt", &cluster.host(), &command]).stdout(Stdio::piped()).stderr(Stdio::null());
        let child = ssh.spawn().unwrap();
        std::thread::sleep(Duration::from_millis(1500 + 330 * (round % 7)));
        let received = live_bytes(&cluster);
        cluster.kill();
        let out = child.wait_with_output().unwrap();
        let seen = last_number(&text(&out), round).expect("the session printed lines");
        cluster.restart();
        let row = cluster.recording_of(&command);
        check(&cluster, &row, round, seen, received);
    }
}

fn live_bytes(cluster: &Cluster) -> u64 {
    let rows = cluster.scry_json(&["recordings", "ls", "--json", "--live"]);
    rows[0]["bytes"].as_u64().unwrap_or(0)
}

fn check(cluster: &Cluster, row: &serde_json::Value, round: u64, seen: u64, received: u64) {
    let id = row["id"].as_str().unwrap();
    assert_eq!(row["gaps"], 1, "the open segment stands as a gap: {row:#}");
    assert!(row["bytes"].as_u64().unwrap() >= received, "received {received}: {row:#}");
    let file = cluster.export(id, "scry");
    let status = cluster.scry_json(&["status", "--json"]);
    let mut verify = Command::new(house::scry_path());
    verify
        .args(["verify", "--key", status["cluster"]["seal_keys"][0].as_str().unwrap()])
        .arg(&file);
    let out = verify.output().unwrap();
    assert!(out.status.success(), "{CLUSTER}: {}", text(&out));
    assert!(text(&out).contains("gap"), "{}", text(&out));
    let transcript = std::fs::read_to_string(cluster.export(id, "text")).unwrap();
    let recorded = last_number(&transcript, round).expect("lines were recorded");
    // A line each 10 ms and a segment each second: at most one open segment and the time of a kill are missing.
    assert!(recorded + 200 >= seen, "recorded up to {recorded}, the person saw {seen}");
    let all = numbers(&transcript, round);
    assert!(all.iter().copied().eq(0..=recorded), "a hole in what was recorded: {all:?}");
}

fn numbers(text: &str, round: u64) -> Vec<u64> {
    let prefix = format!("round-{round}-line-");
    let lines = text.lines().filter_map(|line| line.trim().strip_prefix(&prefix));
    lines.filter_map(|number| number.trim().parse().ok()).collect()
}

fn last_number(text: &str, round: u64) -> Option<u64> {
    numbers(text, round).into_iter().max()
}

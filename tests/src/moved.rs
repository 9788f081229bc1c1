//! What recordings and the ledger say of moved files.

use crate::Cluster;
use serde_json::Value;

/// Every entry of a recording, through its export as JSON lines.
pub fn entries(cluster: &Cluster, id: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(cluster.export(id, "jsonl")).expect("it was exported");
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    lines.map(|line| line["entry"].clone()).filter(|entry| !entry.is_null()).collect()
}

/// What a recording says that its transfer did.
pub fn transfers(cluster: &Cluster, id: &str) -> Vec<Value> {
    let all = entries(cluster, id);
    all.into_iter().map(|entry| entry["transfer"].clone()).filter(|t| !t.is_null()).collect()
}

/// Bytes of one stream that a recording kept as they are.
pub fn kept(cluster: &Cluster, id: &str, stream: &str) -> Vec<u8> {
    let file = record_bytes(cluster, id);
    let recording = record::Recording::open(file).expect("it is a recording");
    let mut kept = Vec::new();
    for entry in recording.entries(record::From::Seq(model::Seq(1))) {
        if let model::Entry::Output { stream: of, bytes } = entry.expect("it is whole").entry
            && serde_json::to_value(of).expect("a word") == stream
        {
            kept.extend_from_slice(&bytes);
        }
    }
    kept
}

/// A recording's file.
pub fn record_bytes(cluster: &Cluster, id: &str) -> Vec<u8> {
    std::fs::read(cluster.export(id, "scry")).expect("it was exported")
}

/// The newest recording whose transfers hold one that `wanted` is true of: its id, and all of them.
pub fn find(cluster: &Cluster, wanted: impl Fn(&Value) -> bool) -> (String, Vec<Value>) {
    for row in cluster.stored_recordings() {
        let id = row["id"].as_str().expect("an id").to_owned();
        let all = transfers(cluster, &id);
        if all.iter().any(&wanted) {
            return (id, all);
        }
    }
    panic!("no recording has such a transfer");
}

/// Checks that one file stands in the recordings and in the ledger, moved whole in this direction (`read` or `written`)
/// and well. Answers the recording's id.
#[track_caller]
pub fn check(cluster: &Cluster, path: &str, direction: &str, contents: &[u8]) -> String {
    let hash = blake3::hash(contents).to_hex().to_string();
    let closed = |t: &Value| t["closed"]["path"] == path && !t["closed"][direction].is_null();
    let (id, all) = find(cluster, closed);
    let file = &all.iter().find(|t| closed(t)).expect("it was found")["closed"];
    assert_eq!(file[direction]["bytes"], contents.len(), "{file:#}");
    assert_eq!(file[direction]["layout"]["contiguous"]["from"], 0, "{file:#}");
    assert_eq!(file[direction]["layout"]["contiguous"]["hash"], hash.as_str(), "{file:#}");
    assert_eq!(file["outcome"], "ok", "{file:#}");
    crate::wait_for(&format!("{path}, {direction}, in the ledger"), || {
        cluster.audit("session.transfer").iter().any(|event| {
            event["session"] == id.as_str()
                && event["path"] == path
                && event["direction"] == direction
                && event["bytes"] == contents.len()
                && event["hash"] == hash.as_str()
                && event["result"] == "ok"
        })
    });
    id
}

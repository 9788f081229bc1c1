//! Measures a terminal in a real browser (`tests/browser/keys.mjs`): keys and their echoes, a flood. The last line is what was
//! measured, as JSON. `cargo run --release -p house --example web -- PRESSES MIB PAUSE_MS`
#![allow(clippy::print_stdout, reason = "a measurement prints")]

use house::Cluster;
use house::browser::{Browser, missing};
use house::process::memory_kib;

fn main() {
    if let Some(why) = missing() {
        println!("{}", serde_json::json!({ "skipped": why }));
        return;
    }
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let wanted = wanted.join(" ");
    let cluster = Cluster::start();
    let server = cluster.server_pid();
    let lines = Browser::trusting(&cluster).play("keys", |asked| match asked {
        "wanted" => wanted.clone(),
        "resident" => memory_kib(server, "VmRSS").to_string(),
        other => panic!("the scene asks for {other:?}"),
    });
    println!("{}", lines.last().expect("the scene tells what it measured"));
}

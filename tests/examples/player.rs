//! Measures the player in a real browser: the recording in a file is shipped to a cluster as a node ships, and a scene
//! (`tests/browser/ten_hours.mjs`) opens it, and goes to random moments; beside it the stock asciinema-player with the same
//! recording as asciicast. The last line is what was measured, as JSON. `cargo run --release -p house --example player -- FILE`
#![allow(clippy::print_stdout, reason = "a measurement prints")]

use ed25519_dalek::SigningKey;
use house::Cluster;
use house::browser::{Browser, missing};
use link::http::{Client, Dialer};
use link::tls::{Badge, KeyRequest, TlsIdentity, Trust, client_tls};
use model::entry::{Ending, Entry};
use model::limit::SHIP_BYTES;
use model::{Heading, SessionId, Tick};
use record::{From, Recording, Writer};
use ssh_key::PrivateKey;
use ssh_key::private::{Ed25519Keypair, KeypairData};
use wire::name::{ALPN_AUTH, AUTH_SERVER};
use wire::node::{Heartbeat, Join, Part, PartKeys};
use wire::recording::Progress;

const NODE: &str = "web-01";

fn main() {
    if let Some(why) = missing() {
        println!("{}", serde_json::json!({ "skipped": why }));
        return;
    }
    let path = std::env::args().nth(1).expect("a file to show");
    let played = Recording::open(std::fs::read(path).unwrap()).unwrap();
    let cluster = Cluster::start();
    let id = played.heading().id;
    tokio::runtime::Runtime::new().unwrap().block_on(bring(&cluster, &played));
    let cast = cluster.export(&id.to_string(), "cast2");
    let payload: u64 = played.entries(From::Ms(0)).map(|entry| shown(&entry.unwrap().entry)).sum();
    let lines = Browser::trusting(&cluster).play("ten_hours", |asked| match asked {
        "recording" => id.to_string(),
        "cast" => cast.display().to_string(),
        other => panic!("the scene asks for {other:?}"),
    });
    let mut told: serde_json::Value = serde_json::from_str(lines.last().unwrap()).unwrap();
    told["payload"] = payload.into();
    told["file"] = played.source().len().into();
    told["length_ms"] = played.length_ms().into();
    println!("{told}");
}

/// Joins the cluster as a node, and ships the recording in its name.
async fn bring(cluster: &Cluster, played: &Recording<Vec<u8>>) {
    let invited = cluster.scry_json(&["nodes", "invite", "--name", NODE, "--json"]);
    let invitation = invited["invitation"].as_str().unwrap();
    let [address, pin, token] =
        invitation.trim_start_matches("scry://").split('/').collect::<Vec<_>>().try_into().unwrap();
    let dial = async |badge: Option<&Badge>| {
        let tls = client_tls(&Trust::Pin(pin.to_owned()), badge, &[ALPN_AUTH]).unwrap();
        Dialer::new(address.to_owned(), AUTH_SERVER, tls).dial().await.unwrap()
    };
    let (badge, signer) = join(&dial(None).await, token.to_owned()).await;
    let node = dial(Some(&badge)).await;
    node.call(&Heartbeat { labels: [].into(), version: String::new(), sessions: 1 }).await.unwrap();
    let heading = Heading {
        cluster: house::CLUSTER.into(),
        node: NODE.parse().unwrap(),
        user: cluster.login.parse().unwrap(),
        started: signer.not_before,
        signer,
        ..played.heading().clone()
    };
    ship(&node, heading.id, record_again(played, &heading)).await;
}

fn shown(entry: &Entry) -> u64 {
    if let Entry::Output { bytes, .. } = entry { bytes.len() as u64 } else { 0 }
}

async fn join(nobody: &Client, token: String) -> (Badge, model::seal::SignerCertificate) {
    let request = KeyRequest::make().unwrap();
    let keys = PartKeys {
        part: Part::Node,
        name: NODE.parse().unwrap(),
        host_key: ssh_key(8),
        tls_request: request.request.clone(),
        signing_key: Some(*signing_key().verifying_key().as_bytes()),
        web_names: Vec::new(),
    };
    let credentials = nobody.call(&Join { token, keys }).await.unwrap();
    let chain = credentials.tls_certificate.clone();
    let badge = Badge::new(&TlsIdentity { chain, key: request.key }).unwrap();
    (badge, credentials.signer.unwrap())
}

fn signing_key() -> SigningKey {
    SigningKey::from_bytes(&[9; 32])
}

fn ssh_key(seed: u8) -> String {
    let key = KeypairData::from(Ed25519Keypair::from_seed(&[seed; 32]));
    PrivateKey::new(key, "bench").unwrap().public_key().to_openssh().unwrap()
}

/// The same session in the name of a node that this auth knows: its records, each with the number of records up to it.
fn record_again(played: &Recording<Vec<u8>>, heading: &Heading) -> Vec<(Vec<u8>, u64)> {
    let mut writer = Writer::begin(heading, signing_key(), Tick(0));
    let mut frames: Vec<_> = played.index().keyframes.iter().map(|frame| frame.seq).collect();
    frames.sort_unstable_by(|a, b| b.cmp(a));
    let mut records = Vec::new();
    let mut take = |writer: &mut Writer| {
        while let Some(sealed) = writer.poll() {
            records.push((sealed.bytes.to_vec(), sealed.head.records));
        }
    };
    for entry in played.entries(From::Ms(0)) {
        let entry = entry.unwrap();
        let now = Tick(entry.at);
        while let Some(due) = writer.poll_timeout().filter(|due| *due < now) {
            writer.handle_timeout(due);
            take(&mut writer);
        }
        if !matches!(entry.entry, Entry::Ended(_)) {
            writer.handle(entry.entry, now);
        }
        while let Some(seq) = frames.pop_if(|seq| *seq <= entry.seq) {
            writer.keyframe(played.keyframe_before(seq).unwrap().unwrap(), now);
        }
        take(&mut writer);
    }
    writer.end(Ending::Exit { status: 0 }, Tick(played.length_ms()));
    take(&mut writer);
    records
}

async fn ship(node: &Client, id: SessionId, records: Vec<(Vec<u8>, u64)>) {
    let (mut after, mut body) = (0, Vec::new());
    let last = records.len() - 1;
    for (place, (bytes, number)) in records.into_iter().enumerate() {
        body.extend_from_slice(&bytes);
        if body.len() >= SHIP_BYTES - 128 * 1024 || place == last {
            let path = format!("/v1/node/ship/{id}?after={after}");
            let body = std::mem::take(&mut body);
            let progress: Progress = node.post_bytes(&path, body.into()).await.unwrap();
            assert!(place < last || progress.stored, "stored while the node waits");
            after = number;
        }
    }
}

//! Measures what a browser's player waits for: an auth on loopback is shipped the recording in a file, then asked for its
//! film and for random moments of it. Prints one JSON object. `cargo run --release -p auth --example film -- FILE`
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a measurement prints, and fails loudly"
)]

use ed25519_dalek::SigningKey;
use link::http::{Client, Dialer};
use link::tls::{Badge, KeyRequest, TlsIdentity, Trust, client_tls};
use model::entry::{Ending, Entry};
use model::limit::SHIP_BYTES;
use model::{Heading, SessionId, Tick};
use record::{From, Recording, Writer};
use ssh_key::PrivateKey;
use ssh_key::private::{Ed25519Keypair, KeypairData};
use std::time::Instant;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use wire::name::{ALPN_AUTH, AUTH_SERVER};
use wire::node::{Heartbeat, Join, Part, PartKeys};
use wire::people::{SignIn, SignUp};
use wire::recording::{Progress, ViewKind, ViewRecording};

/// Random moments that are asked for.
const SEEKS: usize = 50;
const PASSWORD: &str = "correct horse battery";

#[tokio::main]
async fn main() {
    let path = std::env::args().nth(1).unwrap();
    let file = std::fs::read(path).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let config = auth::Config {
        data_dir: dir.path().join("auth"),
        listen: "127.0.0.1:0".parse().unwrap(),
        cluster: "lab".parse().unwrap(),
        admin: "admin".parse().ok(),
        proxy: None,
        bounds: auth::Bounds::default(),
        version: "bench".into(),
    };
    let prepared = auth::prepare(config).await.unwrap();
    let (address, pin) = (prepared.address(), prepared.pin().to_owned());
    let (code, token) =
        (prepared.invitation().unwrap().to_owned(), prepared.join_token().to_owned());
    let stop = CancellationToken::new();
    let mut serving = JoinSet::new();
    serving.spawn(auth::serve(prepared, stop.clone()));
    let dial = async |badge: Option<&Badge>| {
        let tls = client_tls(&Trust::Pin(pin.clone()), badge, &[ALPN_AUTH]).unwrap();
        Dialer::new(address.to_string(), AUTH_SERVER, tls).dial().await.unwrap()
    };
    let nobody = dial(None).await;
    nobody.call(&SignUp { code, password: PASSWORD.into() }).await.unwrap();
    let viewer = dial(Some(&sign_in(&nobody).await)).await;
    let (badge, signer) = join(&nobody, token).await;
    let node = dial(Some(&badge)).await;
    node.call(&Heartbeat { labels: [].into(), version: String::new(), sessions: 1 }).await.unwrap();

    let played = Recording::open(file).unwrap();
    let heading = Heading {
        cluster: "lab".into(),
        node: "web-01".parse().unwrap(),
        user: "admin".parse().unwrap(),
        started: signer.not_before,
        signer,
        ..played.heading().clone()
    };
    let id = heading.id;
    ship(&node, id, record_again(&played, &heading)).await;
    let view = ViewRecording { id, how: ViewKind::Play };
    let ticket = viewer.call(&view).await.unwrap().ticket;
    let path = |what: &str| format!("/v1/recordings/{id}/{what}ticket={ticket}");

    let begun = Instant::now();
    let (_, film) = viewer.get_bytes(&path("film?"), 1 << 24).await.unwrap();
    let film_ms = begun.elapsed().as_secs_f64() * 1e3;
    let (_, first) = viewer.get_bytes(&path("reel?at=0&"), 1 << 24).await.unwrap();
    let ready_ms = begun.elapsed().as_secs_f64() * 1e3;
    let length = played.length_ms();
    let (mut took, mut sent) = (Vec::new(), 0);
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..SEEKS {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let asked = path(&format!("reel?at={}&", state % length));
        let begun = Instant::now();
        let (_, body) = viewer.get_bytes(&asked, 1 << 24).await.unwrap();
        took.push(begun.elapsed().as_secs_f64() * 1e3);
        sent += body.len();
    }
    took.sort_by(f64::total_cmp);
    let payload: u64 = played.entries(From::Ms(0)).map(|entry| shown(&entry.unwrap().entry)).sum();
    let told = serde_json::json!({
        "payload": payload, "file": played.source().len(), "length_ms": length,
        "film_ms": film_ms, "film_bytes": film.len(), "ready_ms": ready_ms, "first_bytes": first.len(),
        "seek_ms": [took[SEEKS / 2], took[SEEKS * 95 / 100], took[SEEKS - 1]],
        "sent": sent, "sent_of_payload": sent as f64 / payload as f64,
    });
    println!("{}", serde_json::to_string_pretty(&told).unwrap());
    stop.cancel();
    while serving.join_next().await.is_some() {}
}

fn shown(entry: &Entry) -> u64 {
    if let Entry::Output { bytes, .. } = entry { bytes.len() as u64 } else { 0 }
}

async fn sign_in(nobody: &Client) -> Badge {
    let keys = KeyRequest::make().unwrap();
    let call = SignIn {
        user: "admin".parse().unwrap(),
        password: PASSWORD.into(),
        ssh_key: ssh_key(7),
        tls_request: keys.request.clone(),
        wanted_ms: None,
        second: None,
    };
    let chain = nobody.call(&call).await.unwrap().tls_certificate;
    Badge::new(&TlsIdentity { chain, key: keys.key }).unwrap()
}

async fn join(nobody: &Client, token: String) -> (Badge, model::seal::SignerCertificate) {
    let request = KeyRequest::make().unwrap();
    let keys = PartKeys {
        part: Part::Node,
        name: "web-01".parse().unwrap(),
        host_key: ssh_key(8),
        tls_request: request.request.clone(),
        signing_key: Some(*signing_key().verifying_key().as_bytes()),
        also_known_as: Vec::new(),
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

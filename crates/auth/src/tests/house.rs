//! A running auth with people, nodes and proxies around it.

use crate::{Config, prepare, serve};
use ed25519_dalek::SigningKey;
use link::http::{CallError, Client, Dialer};
use link::tls::{Badge, KeyRequest, TlsIdentity, Trust, client_tls};
use model::entry::{Ending, Entry, Gap, GapCause, Party, People, Stream};
use model::kernel::{Action, Classes, Doer, Kernel, KernelEvent, Named, Place, Program, Watch};
use model::seal::SignerCertificate;
use model::{Heading, Kind, NodeName, SeatRole, SessionId, Tally, Tick, Time, UserName};
use record::Writer;
use ssh_key::PrivateKey;
use ssh_key::private::{Ed25519Keypair, KeypairData};
use std::fmt::Debug;
use std::net::SocketAddr;
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use wire::name::{ALPN_AUTH, AUTH_SERVER};
use wire::node::{Heartbeat, Join, Part, PartCredentials, PartKeys};
use wire::people::{AddUser, ClusterFacts, Credentials, SignIn, SignUp};
use wire::{Call, Fault};

pub const PASSWORD: &str = "correct horse battery";

/// A running auth.
pub struct House {
    pub dir: TempDir,
    pub address: SocketAddr,
    pub pin: String,
    pub invitation: Option<String>,
    pub token: String,
    /// Of a proxy in another process.
    pub proxy_code: Option<String>,
    change: fn(&mut Config),
    stop: CancellationToken,
    serving: JoinSet<()>,
}

/// Somebody who has signed in.
pub struct Person {
    pub client: Client,
    pub badge: Badge,
    pub credentials: Credentials,
}

/// A node that has joined.
pub struct Node {
    pub name: NodeName,
    pub client: Client,
    pub badge: Badge,
    pub key: SigningKey,
    pub signer: SignerCertificate,
    pub credentials: PartCredentials,
}

impl House {
    pub async fn start() -> Self {
        Self::in_dir(tempfile::tempdir().unwrap()).await
    }

    pub async fn restart(self) -> Self {
        let change = self.change;
        let dir = self.stop().await;
        Self::in_dir_with(dir, change).await
    }

    pub async fn stop(mut self) -> TempDir {
        self.stop.cancel();
        while let Some(ended) = self.serving.join_next().await {
            ended.unwrap();
        }
        self.dir
    }

    pub async fn with(change: fn(&mut Config)) -> Self {
        Self::in_dir_with(tempfile::tempdir().unwrap(), change).await
    }

    pub async fn in_dir(dir: TempDir) -> Self {
        Self::in_dir_with(dir, |_| ()).await
    }

    async fn in_dir_with(dir: TempDir, change: fn(&mut Config)) -> Self {
        let mut config = config(&dir);
        change(&mut config);
        let prepared = prepare(config).await.unwrap();
        let proxy_code = prepared.proxy_invitation().map(str::to_owned);
        let (address, pin) = (prepared.address(), prepared.pin().to_owned());
        let invitation = prepared.invitation().map(str::to_owned);
        let token = prepared.join_token().to_owned();
        let stop = CancellationToken::new();
        let mut serving = JoinSet::new();
        serving.spawn(serve(prepared, stop.clone()));
        Self { dir, address, pin, invitation, token, proxy_code, change, stop, serving }
    }

    pub async fn client(&self, badge: Option<&Badge>) -> Client {
        self.dialer(badge).dial().await.unwrap()
    }

    pub fn dialer(&self, badge: Option<&Badge>) -> Dialer {
        let tls = client_tls(&Trust::Pin(self.pin.clone()), badge, &[ALPN_AUTH]).unwrap();
        Dialer::new(self.address.to_string(), AUTH_SERVER, tls)
    }

    /// Signs the first admin up and in.
    pub async fn admin(&self) -> Person {
        let code = self.invitation.clone().unwrap();
        self.sign_up(&code).await;
        self.sign_in("root-admin", PASSWORD).await.unwrap()
    }

    /// Invites somebody, signs them up and in.
    pub async fn person(&self, admin: &Person, name: &str, roles: &[&str]) -> Person {
        let added = admin.client.call(&add(name, roles)).await.unwrap();
        self.sign_up(&added.code).await;
        self.sign_in(name, PASSWORD).await.unwrap()
    }

    pub async fn sign_up(&self, code: &str) {
        let call = SignUp { code: code.to_owned(), password: PASSWORD.to_owned() };
        self.client(None).await.call(&call).await.unwrap();
    }

    pub async fn sign_in(&self, name: &str, password: &str) -> Result<Person, CallError> {
        let keys = KeyRequest::make().unwrap();
        let call = SignIn {
            user: name.parse().unwrap(),
            password: password.to_owned(),
            ssh_key: ssh_key(7).public_key().to_openssh().unwrap(),
            tls_request: keys.request.clone(),
            wanted_ms: None,
            second: None,
        };
        let credentials = self.client(None).await.call(&call).await?;
        let chain = credentials.tls_certificate.clone();
        let badge = Badge::new(&TlsIdentity { chain, key: keys.key }).unwrap();
        Ok(Person { client: self.client(Some(&badge)).await, badge, credentials })
    }

    pub async fn join(&self, part: Part, name: &str) -> Node {
        let (keys, request) = part_keys(part, name);
        let call = Join { token: self.token.clone(), keys };
        let credentials = self.client(None).await.call(&call).await.unwrap();
        let chain = credentials.tls_certificate.clone();
        let badge = Badge::new(&TlsIdentity { chain, key: request.key }).unwrap();
        let client = self.client(Some(&badge)).await;
        let unsigned = SignerCertificate {
            key: [0; 32],
            node: name.parse().unwrap(),
            not_before: Time(0),
            not_after: Time(0),
            issuer: [0; 32],
            signature: [0; 64].into(),
        };
        Node {
            name: name.parse().unwrap(),
            client,
            badge,
            key: signing_key(),
            signer: credentials.signer.clone().unwrap_or(unsigned),
            credentials,
        }
    }

    pub async fn node(&self, name: &str) -> Node {
        let node = self.join(Part::Node, name).await;
        node.beat(&[("env", "prod")]).await;
        node
    }
}

impl Person {
    pub fn facts(&self) -> &ClusterFacts {
        &self.credentials.cluster
    }
}

impl Node {
    pub async fn beat(&self, labels: &[(&str, &str)]) {
        let labels = labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let beat = Heartbeat { labels, version: "0".into(), sessions: 1 };
        self.client.call(&beat).await.unwrap();
    }

    pub fn tape(&self, id: u8, owner: &str) -> Tape {
        tape(heading(id, owner, &self.name, "lab", self.signer.clone()), &self.key)
    }

    pub fn busy_tape(&self, id: u8, owner: &str) -> Tape {
        busy_tape(heading(id, owner, &self.name, "lab", self.signer.clone()), &self.key)
    }
}

pub fn config(dir: &TempDir) -> Config {
    Config {
        data_dir: dir.path().join("auth"),
        listen: "127.0.0.1:0".parse().unwrap(),
        cluster: "lab".parse().unwrap(),
        admin: "root-admin".parse().ok(),
        proxy: None,
        bounds: crate::Bounds::default(),
        version: "test".into(),
    }
}

pub fn add(name: &str, roles: &[&str]) -> AddUser {
    let roles = roles.iter().map(|role| role.parse().unwrap()).collect();
    AddUser { user: user(name), roles, logins: Vec::new() }
}

pub fn user(name: &str) -> UserName {
    name.parse().unwrap()
}

pub fn signing_key() -> SigningKey {
    SigningKey::from_bytes(&[9; 32])
}

pub fn ssh_key(seed: u8) -> PrivateKey {
    PrivateKey::new(KeypairData::from(Ed25519Keypair::from_seed(&[seed; 32])), "test").unwrap()
}

pub fn part_keys(part: Part, name: &str) -> (PartKeys, KeyRequest) {
    let request = KeyRequest::make().unwrap();
    let keys = PartKeys {
        part,
        name: name.parse().unwrap(),
        host_key: ssh_key(8).public_key().to_openssh().unwrap(),
        tls_request: request.request.clone(),
        signing_key: (part == Part::Node).then(|| *signing_key().verifying_key().as_bytes()),
        web_names: Vec::new(),
    };
    (keys, request)
}

/// The fault of an answer that must be a refusal.
pub fn fault<T: Debug>(answer: Result<T, CallError>) -> Fault {
    match answer {
        Err(CallError::Refused(failure)) => failure.fault,
        other => panic!("not refused: {other:?}"),
    }
}

/// Calls, and expects a refusal; answers its fault and text.
pub async fn refused<C: Call + Debug>(client: &Client, call: &C) -> (Fault, String)
where
    C::Answer: Debug,
{
    match client.call(call).await {
        Err(CallError::Refused(failure)) => (failure.fault, failure.message),
        other => panic!("{call:?} is not refused: {other:?}"),
    }
}

/// A recording as a node makes it: its records, each with the number of records up to it.
pub struct Tape {
    pub id: SessionId,
    pub records: Vec<(Vec<u8>, u64)>,
}

impl Tape {
    /// The bytes of records `from` to `to`, counted from 0.
    pub fn slice(&self, from: usize, to: usize) -> Vec<u8> {
        self.records[from..to].iter().flat_map(|(bytes, _)| bytes.clone()).collect()
    }

    pub fn all(&self) -> Vec<u8> {
        self.slice(0, self.records.len())
    }
}

pub fn heading(
    id: u8,
    owner: &str,
    node: &NodeName,
    cluster: &str,
    signer: SignerCertificate,
) -> Heading {
    Heading {
        id: SessionId::from_random([id; 16]),
        connection: model::ConnectionId::from_random([id; 16]),
        cluster: cluster.into(),
        node: node.clone(),
        user: user(owner),
        login: "root".parse().unwrap(),
        roles: vec!["admin".parse().unwrap()],
        client: "192.0.2.1".into(),
        via: None,
        kind: Kind::Shell,
        size: Some(model::Size::default()),
        term: Some("xterm".into()),
        started: crate::clock::now(),
        signer,
    }
}

/// What the kernel and who comes tell in a [`busy_tape`], counted.
pub fn tally() -> Tally {
    let people = vec![user("bob")];
    Tally { commands: Some(2), files: Some(1), people, ..Tally::default() }
}

/// What stands in a [`busy_tape`] at this second, besides output.
fn told(second: u64) -> Option<Entry> {
    let did = |action| {
        let name = "sh".to_owned();
        let by = Doer { process: 2, parent: 1, uid: 0, euid: 0, audit: None, name, stray: false };
        Kernel::Did(Box::new(KernelEvent { at: second * 1000, by, action, times: 1 }))
    };
    Some(match second {
        0 => {
            let classes = Classes { commands: true, files: true, network: false };
            Entry::Kernel(Kernel::Watch(Watch { classes, lacks: String::new() }))
        }
        3 | 23 => Entry::Kernel(did(Action::Ran(Box::new(Program {
            file: "/bin/true".to_owned(),
            program: "/bin/true".to_owned(),
            place: Place { device: 1, inode: 2 },
            folder: "/".to_owned(),
            arguments: vec!["true".to_owned()],
            bytes: 5,
            kept: 5,
            ..Program::default()
        })))),
        4 | 24 => {
            let file = Named { path: "/etc/hosts".to_owned(), ..Named::default() };
            Entry::Kernel(did(Action::Opened { file, flags: 0, place: None, error: 0 }))
        }
        7 | 27 => {
            let (party, seat) = (Party(1), SeatRole::Peer);
            let from = "192.0.2.8:1".to_owned();
            Entry::People(People::Seated { party, user: user("bob"), seat, from })
        }
        8 => Entry::People(People::Left { party: Party(1) }),
        _ => return None,
    })
}

/// Forty seconds of output with a gap, checkpoints and an end.
pub fn tape(heading: Heading, key: &SigningKey) -> Tape {
    taped(heading, key, |_| None)
}

/// As [`tape`], with what [`tally`] counts.
pub fn busy_tape(heading: Heading, key: &SigningKey) -> Tape {
    taped(heading, key, told)
}

fn taped(heading: Heading, key: &SigningKey, told: fn(u64) -> Option<Entry>) -> Tape {
    let mut writer = Writer::begin(&heading, key.clone(), Tick(0));
    for second in 0..40_u64 {
        let now = Tick(second * 1000);
        let bytes = format!("line {second} of the session\r\n").into();
        writer.handle(Entry::Output { stream: Stream::Pty, bytes }, now);
        if let Some(entry) = told(second) {
            writer.handle(entry, now);
        }
        if second == 20 {
            let gap = Gap { cause: GapCause::DiskFull, bytes: Some(5), entries: None, ms: 1 };
            writer.handle(Entry::Gap(gap), now);
        }
        writer.flush(now);
        writer.handle_timeout(now.plus_ms(999));
    }
    ended(&heading, writer, Tick(40_000))
}

/// So many gaps of two bytes each, one behind the other, and nothing else.
pub fn gaps(heading: Heading, key: &SigningKey, count: u64) -> Tape {
    let mut writer = Writer::begin(&heading, key.clone(), Tick(0));
    for _ in 0..count {
        let gap = Gap { cause: GapCause::Unwatched, bytes: Some(2), entries: None, ms: 1 };
        writer.handle(Entry::Gap(gap), Tick(0));
    }
    ended(&heading, writer, Tick(1))
}

fn ended(heading: &Heading, mut writer: Writer, now: Tick) -> Tape {
    let mut records = Vec::new();
    writer.end(Ending::Exit { status: 0 }, now);
    while let Some(sealed) = writer.poll() {
        records.push((sealed.bytes.to_vec(), sealed.head.records));
    }
    Tape { id: heading.id, records }
}

//! A small cluster on loopback: a fake auth, a fake node, and a whole proxy between them.

use link::front::{Arrival, Front, Menu};
use link::http::{ByteStream, CallError, Client, Dialer, Routes, Service, serve};
use link::ssh::SshError;
use link::ssh::buffer::Memory;
use link::ssh::client::{self, Proof, Settings, SignIn};
use link::ssh::ssh_key::certificate::{Builder, CertType};
use link::ssh::ssh_key::private::{Ed25519Keypair, KeypairData};
use link::ssh::ssh_key::{Certificate, PrivateKey, PublicKey};
use link::tls::{Authority, Badge, KeyRequest, PeerIdentity, TlsIdentity, Trust};
use link::tls::{client_tls, server_config};
use link::tunnel::{Knocks, Tunnel};
use model::role::RoleSet;
use model::{AuditEvent, Lock, LockId, LockTarget, NodeName, Time};
use proxy::{Config, Credentials, Keep, Keys};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use wire::name::{ALPN_HTTP2, ALPN_TUNNEL, AUTH_SERVER, PROXY_SERVER};
use wire::node::{Join, PartCredentials, PartKeys, Renew, Report};
use wire::people::{ClusterFacts, ReadCluster};
use wire::{Done, Failure, Fault};

/// What auth holds.
pub struct Cluster {
    authority: Authority,
    pub users: PrivateKey,
    pub hosts: PrivateKey,
    /// What was reported.
    pub events: Mutex<Vec<AuditEvent>>,
    /// Which certificates were kept.
    pub kept: Mutex<Vec<PartCredentials>>,
    /// Which nodes count, by name.
    pub nodes: watch::Sender<BTreeMap<NodeName, String>>,
    /// What is locked.
    pub roles: watch::Sender<RoleSet>,
    /// Calls of browsers that arrived, streams to them that are open, lines that were written into them.
    pub calls: AtomicUsize,
    pub streams: AtomicUsize,
    pub lines: AtomicUsize,
    /// From where the last caller came.
    pub caller: Mutex<Option<(PeerIdentity, SocketAddr)>>,
}

pub fn now() -> Time {
    let ms = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    Time(i64::try_from(ms).unwrap())
}

pub fn key(seed: u8) -> PrivateKey {
    let pair = KeypairData::from(Ed25519Keypair::from_seed(&[seed; 32]));
    PrivateKey::new(pair, "test").unwrap()
}

pub fn node(name: &str) -> NodeName {
    name.parse().unwrap()
}

pub fn user(name: &str) -> PeerIdentity {
    PeerIdentity::User(name.parse().unwrap())
}

/// Polls until `look` finds something.
pub async fn found<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    for _ in 0..500 {
        if let Some(found) = look() {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("waited in vain for {what}");
}

impl Cluster {
    pub fn new() -> Arc<Self> {
        let (from, to) = (now().plus_ms(-86_400_000), now().plus_ms(86_400_000));
        Arc::new(Self {
            authority: Authority::create("test", from, to).unwrap(),
            users: key(1),
            hosts: key(2),
            events: Mutex::default(),
            kept: Mutex::default(),
            nodes: watch::Sender::default(),
            roles: watch::Sender::default(),
            calls: AtomicUsize::default(),
            streams: AtomicUsize::default(),
            lines: AtomicUsize::default(),
            caller: Mutex::default(),
        })
    }

    pub fn trust(&self) -> Trust {
        Trust::Authority(self.authority.certificate().to_owned())
    }

    pub fn pin(&self) -> Trust {
        Trust::Pin(self.authority.pin().unwrap())
    }

    pub fn badge(&self, who: &PeerIdentity, names: &[&str]) -> Badge {
        let asked = KeyRequest::make().unwrap();
        let (from, to) = (now().plus_ms(-60_000), now().plus_ms(3_600_000));
        let chain = self.authority.sign(&asked.request, who, names, [9; 16], from, to).unwrap();
        if let PeerIdentity::Node(name) = who {
            let key = link::tls::pin_of(&chain).unwrap();
            self.nodes.send_modify(|nodes| drop(nodes.insert(name.clone(), key)));
        }
        Badge::new(&TlsIdentity { chain, key: asked.key }).unwrap()
    }

    /// Locks one thing, and nothing else.
    pub fn lock(&self, target: LockTarget) {
        let lock = Lock {
            id: LockId(1),
            target,
            reason: "lost laptop".parse().unwrap(),
            creator: "carol".parse().unwrap(),
            created: now(),
            expires: None,
        };
        self.roles.send_modify(|set| set.locks = vec![lock]);
    }

    pub fn facts(&self) -> ClusterFacts {
        let text = |key: &PrivateKey| key.public_key().to_openssh().unwrap();
        ClusterFacts {
            name: "test.example".to_owned(),
            tls_authority: self.authority.certificate().to_owned(),
            user_authority: vec![text(&self.users)],
            host_authority: vec![text(&self.hosts)],
            seal_keys: Vec::new(),
            ledger_keys: Vec::new(),
        }
    }

    /// A certificate that lives `life_ms` before and after this moment.
    pub fn part(&self, keys: &PartKeys, before_ms: i64, after_ms: i64) -> PartCredentials {
        let who = PeerIdentity::Proxy(keys.name.clone());
        let (from, to) = (now().plus_ms(-before_ms), now().plus_ms(after_ms));
        let web = keys.web_names.iter().map(String::as_str);
        let (request, serves) = (&keys.tls_request, Vec::from_iter(web.chain([PROXY_SERVER])));
        let chain = self.authority.sign(request, &who, &serves, [5; 16], from, to).unwrap();
        let host = PublicKey::from_openssh(&keys.host_key).unwrap();
        let certificate = certify(&self.hosts, &host, CertType::Host, &["p1", "127.0.0.1"], 3600);
        PartCredentials {
            host_certificate: certificate.to_openssh().unwrap(),
            tls_certificate: chain,
            signer: None,
            expires: to,
            labels: model::role::Labels::new(),
            cluster: self.facts(),
        }
    }

    pub fn denials(&self) -> Vec<String> {
        let events = self.events.lock().unwrap();
        events
            .iter()
            .map(|event| match &event.what {
                model::audit::Audited::Denied { action, why } => format!("{action}: {why}"),
                other => other.word().to_owned(),
            })
            .collect()
    }
}

/// An SSH certificate that ends `life` seconds from this moment.
pub fn certify(
    authority: &PrivateKey,
    key: &PublicKey,
    kind: CertType,
    principals: &[&str],
    life: i64,
) -> Certificate {
    let end = u64::try_from(now().seconds() + life).unwrap();
    let begin = end.min(now().seconds().unsigned_abs()) - 7200;
    let mut builder = Builder::new([3; 32], key.key_data().clone(), begin, end).unwrap();
    builder.cert_type(kind).unwrap().key_id("alice").unwrap().serial(7).unwrap();
    for principal in principals {
        builder.valid_principal(*principal).unwrap();
    }
    builder.extension("roles@scry", "access").unwrap();
    builder.extension("logins@scry", "alice").unwrap();
    builder.sign(authority).unwrap()
}

struct Kept(Arc<Cluster>);

impl Keep for Kept {
    fn keep(&self, part: &PartCredentials) -> std::io::Result<()> {
        self.0.kept.lock().unwrap().push(part.clone());
        Ok(())
    }
}

/// Everything under way; ends when dropped.
pub struct House {
    pub cluster: Arc<Cluster>,
    pub proxy: SocketAddr,
    pub auth: SocketAddr,
    pub stop: CancellationToken,
    pub tasks: JoinSet<()>,
}

/// A fake auth and a proxy that has joined it.
pub async fn house() -> House {
    house_with(3_600_000, 3_600_000).await
}

/// What browsers call the proxy.
pub fn web_names() -> Vec<String> {
    vec!["localhost".to_owned(), "127.0.0.1".to_owned()]
}

/// The proxy's first certificates begin and end so many milliseconds before and after this moment.
pub async fn house_with(before_ms: i64, after_ms: i64) -> House {
    let cluster = Cluster::new();
    let mut tasks = JoinSet::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let auth = listener.local_addr().unwrap();
    tasks.spawn(fake_auth(Arc::clone(&cluster), listener));

    let keys = Keys::make().unwrap();
    let (at, pin, name) = (auth.to_string(), cluster.pin(), node("p1"));
    let mut part = proxy::join(&at, &pin, "let me in", &name, &web_names(), &keys).await.unwrap();
    if before_ms != after_ms {
        part = cluster.part(&keys.request(&node("p1"), &web_names()).unwrap(), before_ms, after_ms);
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let proxy = listener.local_addr().unwrap();
    let config = Config {
        listener,
        auth: auth.to_string(),
        credentials: Credentials { keys, part },
        keep: Arc::new(Kept(Arc::clone(&cluster))),
        web_names: web_names(),
        web: Vec::new(),
        challenges: None,
    };
    let stop = CancellationToken::new();
    let stopping = stop.clone();
    tasks.spawn(async move { proxy::serve(config, stopping).await.unwrap() });
    House { cluster, proxy, auth, stop, tasks }
}

impl House {
    pub fn dialer(&self, who: Option<&PeerIdentity>, alpn: &[u8], name: &'static str) -> Dialer {
        let badge = who.map(|who| self.cluster.badge(who, &[]));
        let tls = client_tls(&self.cluster.trust(), badge.as_ref(), &[alpn]).unwrap();
        Dialer::new(self.proxy.to_string(), name, tls)
    }

    pub async fn client(&self, who: Option<&PeerIdentity>) -> Client {
        self.dialer(who, ALPN_HTTP2, PROXY_SERVER).dial().await.unwrap()
    }

    /// A node whose SSH server says its client's address and then repeats what it hears.
    pub async fn node(&mut self, name: &str) {
        let dialer = self.dialer(Some(&PeerIdentity::Node(node(name))), ALPN_TUNNEL, PROXY_SERVER);
        let mut knocks = Knocks::new();
        let tunnel = Tunnel::new(dialer, &knocks);
        let mut up = tunnel.up();
        self.tasks.spawn(tunnel.run(CancellationToken::new()));
        self.tasks.spawn(async move {
            let mut streams = JoinSet::new();
            loop {
                let knock = knocks.next().await;
                let client = knock.client;
                streams.spawn(repeat(knock.open().expect("carried"), client));
            }
        });
        up.wait_for(|up| *up).await.unwrap();
    }

    /// A stream to a node, past its first line.
    pub async fn connect(
        &self,
        client: &Client,
        to: &str,
    ) -> Result<(String, ByteStream), CallError> {
        let mut tries = 0;
        loop {
            match client.connect(to, &[]).await {
                Ok(mut stream) => return Ok((line(&mut stream).await, stream)),
                // The tunnel is up at the node a moment before the proxy has listed it.
                Err(CallError::Refused(failure))
                    if failure.fault == Fault::NotFound && tries < 20 && to.starts_with("web") =>
                {
                    tries += 1;
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                Err(error) => return Err(error),
            }
        }
    }
}

async fn repeat(mut stream: link::BoxDuplex, client: Option<SocketAddr>) {
    let hello = format!("{}\n", client.unwrap());
    stream.write_all(hello.as_bytes()).await.unwrap();
    let (mut read, mut write) = tokio::io::split(stream);
    let _ = tokio::io::copy(&mut read, &mut write).await;
    let _ = write.shutdown().await;
}

/// Reads to the end of a line.
pub async fn line(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> String {
    let mut line = Vec::new();
    loop {
        match stream.read_u8().await.unwrap() {
            b'\n' => return String::from_utf8(line).unwrap(),
            byte => line.push(byte),
        }
    }
}

fn news(
    nodes: watch::Receiver<BTreeMap<NodeName, String>>,
    roles: watch::Receiver<RoleSet>,
) -> axum::response::Response {
    let told = (nodes, roles, true);
    let lines = futures_util::stream::unfold(told, |(mut nodes, mut roles, first)| async move {
        if !first {
            tokio::select! {
                changed = nodes.changed() => changed.ok()?,
                changed = roles.changed() => changed.ok()?,
            }
        }
        let (known, set) = (nodes.borrow_and_update().clone(), roles.borrow_and_update().clone());
        let line =
            wire::node::ProxyNews { nodes: Some(known), roles: Some(set), ended: Vec::new() };
        Some((Ok::<_, Infallible>(line), (nodes, roles, false)))
    });
    link::http::lines(lines)
}

/// Answers a call with the headers and the body that arrived, and gives a secret.
async fn echo(
    cluster: Arc<Cluster>,
    request: axum::extract::Request,
) -> impl axum::response::IntoResponse {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let headers: Vec<_> = parts
        .headers
        .iter()
        .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
        .collect();
    let peer = parts.extensions.get::<link::Peer>().unwrap().identity.clone();
    cluster.calls.fetch_add(1, Ordering::Relaxed);
    let told = serde_json::json!({
        "peer": peer.to_string(),
        "headers": headers,
        "body": String::from_utf8_lossy(&body),
    });
    ([("scry-set-session", "freshsecret 60"), ("x-inner", "not for browsers")], axum::Json(told))
}

/// Lines without an end, counted.
async fn flow(cluster: Arc<Cluster>, request: axum::extract::Request) -> axum::response::Response {
    struct Open(Arc<Cluster>);
    impl Drop for Open {
        fn drop(&mut self) {
            self.0.streams.fetch_sub(1, Ordering::Relaxed);
        }
    }
    cluster.streams.fetch_add(1, Ordering::Relaxed);
    let line = request.uri().query().unwrap_or_default().repeat(1000);
    let lines = futures_util::stream::unfold(Open(cluster), move |open| {
        let line = line.clone();
        async move {
            open.0.lines.fetch_add(1, Ordering::Relaxed);
            Some((Ok::<_, Infallible>(line), open))
        }
    });
    link::http::lines(lines)
}

async fn fake_auth(cluster: Arc<Cluster>, listener: TcpListener) {
    let menu = Menu::auth(vec!["127.0.0.1".parse().unwrap()]);
    let badge = cluster.badge(&PeerIdentity::Nobody, &[AUTH_SERVER]);
    let tls = server_config(&badge, cluster.authority.certificate(), &menu.alpn()).unwrap();
    let mut front = Front::new(listener, tls, menu).unwrap();
    let routes = Routes::new(Arc::clone(&cluster))
        .on::<Join, _, _>(|cluster, _peer, join| async move {
            if join.token != "let me in" {
                let message = "this join token is not known".to_owned();
                return Err(Failure { fault: Fault::Denied, message });
            }
            Ok(cluster.part(&join.keys, 3_600_000, 3_600_000))
        })
        .on::<Renew, _, _>(|cluster, peer, renew| async move {
            assert_eq!(peer.identity, PeerIdentity::Proxy(renew.keys.name.clone()));
            Ok(cluster.part(&renew.keys, 60_000, 7_200_000))
        })
        .on::<ReadCluster, _, _>(|cluster, peer, _call| async move {
            *cluster.caller.lock().unwrap() = Some((peer.identity, peer.address));
            Ok(cluster.facts())
        })
        .on::<Report, _, _>(|cluster, peer, report| async move {
            assert_eq!(peer.identity, PeerIdentity::Proxy(node("p1")));
            cluster.events.lock().unwrap().extend(report.events);
            Ok(Done {})
        });
    let (nodes, roles) = (cluster.nodes.subscribe(), cluster.roles.subscribe());
    let nodes = axum::routing::get(move || std::future::ready(news(nodes.clone(), roles.clone())));
    let (flowing, asked) = (Arc::clone(&cluster), Arc::clone(&cluster));
    let flow = axum::routing::get(move |request| flow(Arc::clone(&flowing), request));
    let echo = axum::routing::post(move |request| echo(Arc::clone(&asked), request));
    let others = axum::Router::new()
        .route("/v1/proxy/nodes", nodes)
        .route("/v1/audit/follow", flow)
        .route("/v1/invitation", echo);
    let routes = routes.merge(others);
    let service = Service::new(routes.router());
    let mut connections = JoinSet::new();
    loop {
        let Arrival::Http(stream, peer) = front.next().await else { continue };
        let service = service.clone();
        connections.spawn(async move {
            let _ = serve(stream, peer, service, CancellationToken::new()).await;
        });
    }
}

pub fn refused<T: std::fmt::Debug>(outcome: Result<T, CallError>) -> (Fault, String) {
    match outcome {
        Err(CallError::Refused(failure)) => (failure.fault, failure.message),
        other => panic!("not refused: {other:?}"),
    }
}

pub async fn found_caller(house: &House, client: &link::http::Client) -> PeerIdentity {
    // The proxy asks the same now and then; look until it is this client that was seen last.
    loop {
        client.call(&ReadCluster {}).await.unwrap();
        let caller = house.cluster.caller.lock().unwrap().clone();
        if let Some((identity @ PeerIdentity::User(_), _)) = caller {
            return identity;
        }
    }
}

pub struct Jump {
    pub principal: &'static str,
    pub authority: u8,
    pub life: i64,
}

pub const GOOD: Jump = Jump { principal: "alice", authority: 1, life: 3600 };

/// Signs in to the jump host as `login` with the certificate that `jump` describes.
pub async fn jump(house: &House, login: &str, jump: Jump) -> Result<client::Client, SshError> {
    let own = key(4);
    let kind = CertType::User;
    let authority = key(jump.authority);
    let certificate = certify(&authority, own.public_key(), kind, &[jump.principal], jump.life);
    let hosts = house.cluster.hosts.public_key().clone();
    let settings = Settings {
        host: Box::new(move |shown| match shown.signature_key() == hosts.key_data() {
            true => Ok(()),
            false => Err("another authority".to_owned()),
        }),
        buffers: Arc::new(Memory::default()),
        agent: None,
        compress: false,
    };
    let stream = TcpStream::connect(house.proxy).await.unwrap();
    let proof = Proof::Certificate(Arc::new(own), Box::new(certificate));
    let sign_in = SignIn { login: login.to_owned(), proof };
    client::connect(Box::new(stream), settings, sign_in).await
}

//! A small cluster on loopback: an authority, badges, and servers that answer and carry.

use futures_util::future::BoxFuture;
use link::front::{Arrival, Front, Menu};
use link::http::{
    Accepted, ByteStream, CallError, Carrier, Client, Connect, Dialer, Routes, Service, lines,
    serve, serve_http1,
};
use link::tls::{
    Authority, Badge, KeyRequest, Peer, PeerIdentity, TlsIdentity, Trust, client_tls, server_config,
};
use link::tunnel::Tunnels;
use model::{NodeName, Time};
use serde::{Deserialize, Serialize};
use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use wire::name::{ALPN_HTTP2, PROXY_SERVER};
use wire::{Call, Failure, Fault};

/// A call for tests.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Say {
    pub text: String,
}

/// Its answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Said {
    pub text: String,
}

impl Call for Say {
    const PATH: &'static str = "say";
    type Answer = Said;
}

/// An authority and what it signs.
#[derive(Clone)]
pub struct Cluster {
    authority: Arc<Authority>,
}

impl Cluster {
    pub fn new() -> Self {
        let authority = Authority::create("test", now().plus_ms(-1000), now().plus_ms(3_600_000));
        let made = authority.unwrap();
        let again = Authority::load(made.certificate(), &made.key()).unwrap();
        Self { authority: Arc::new(again) }
    }

    pub fn pin(&self) -> String {
        self.authority.pin().unwrap()
    }

    pub fn authority(&self) -> String {
        self.authority.certificate().to_owned()
    }

    pub fn identity(&self, subject: &PeerIdentity, names: &[&str], life_ms: i64) -> TlsIdentity {
        let asked = KeyRequest::make().unwrap();
        let (from, to) = (now().plus_ms(-3_600_000), now().plus_ms(life_ms));
        let chain = self.authority.sign(&asked.request, subject, names, [7; 16], from, to).unwrap();
        let identity = TlsIdentity { chain, key: asked.key };
        assert_eq!(&identity.subject().unwrap(), subject);
        identity
    }

    pub fn badge_until(&self, subject: &PeerIdentity, names: &[&str], life_ms: i64) -> Badge {
        Badge::new(&self.identity(subject, names, life_ms)).unwrap()
    }

    pub fn badge(&self, subject: &PeerIdentity, names: &[&str]) -> Badge {
        self.badge_until(subject, names, 3_600_000)
    }
}

pub fn now() -> Time {
    let ms = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    Time(i64::try_from(ms).unwrap())
}

/// A port that nobody listens on.
pub async fn port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

pub fn front(cluster: &Cluster, menu: Menu, names: &[&str]) -> (Front, SocketAddr) {
    front_on(cluster, menu, names, TcpListener::bind("127.0.0.1:0").unwrap())
}

pub fn front_on(
    cluster: &Cluster,
    menu: Menu,
    names: &[&str],
    listener: TcpListener,
) -> (Front, SocketAddr) {
    let address = listener.local_addr().unwrap();
    let subject = match names.contains(&PROXY_SERVER) {
        true => PeerIdentity::Proxy(node("front")),
        false => PeerIdentity::Nobody,
    };
    let badge = cluster.badge(&subject, names);
    let tls = server_config(&badge, &cluster.authority(), &menu.alpn()).unwrap();
    (Front::new(listener, tls, menu).unwrap(), address)
}

/// Serves whatever HTTP comes, for ever.
pub async fn serve_front(mut front: Front) {
    let mut connections = JoinSet::new();
    let counted = Arc::new(AtomicUsize::new(0));
    loop {
        let Arrival::Http(stream, peer) = front.next().await else { continue };
        let (service, stop) = (service(Arc::clone(&counted)), CancellationToken::new());
        connections.spawn(async move {
            let _ = match stream.is_http1() {
                true => serve_http1(stream, peer, service, stop).await,
                false => serve(stream, peer, service, stop).await,
            };
        });
    }
}

pub async fn serving(cluster: &Cluster) -> (SocketAddr, JoinSet<()>) {
    let (front, address) = front(cluster, Menu::proxy(), &[PROXY_SERVER]);
    let mut tasks = JoinSet::new();
    tasks.spawn(serve_front(front));
    (address, tasks)
}

pub async fn client(cluster: &Cluster, who: &PeerIdentity) -> (Client, JoinSet<()>) {
    let (address, tasks) = serving(cluster).await;
    let badge = cluster.badge(who, &[]);
    let trust = Trust::Authority(cluster.authority());
    let tls = client_tls(&trust, Some(&badge), &[ALPN_HTTP2]).unwrap();
    let client = Dialer::new(address.to_string(), PROXY_SERVER, tls).dial().await.unwrap();
    (client, tasks)
}

fn service(counted: Arc<AtomicUsize>) -> Service {
    let said = Arc::clone(&counted);
    let routes = Routes::new(said)
        .on::<Say, _, _>(say)
        .merge(
            axum::Router::new()
                .route(
                    "/v1/bytes",
                    axum::routing::get(|| async { ([("scry-total", "300000")], vec![7; 300_000]) }),
                )
                .route(
                    "/v1/lines",
                    axum::routing::get(|| async {
                        let said = ["one", "two", "three"].map(|text| Said { text: text.into() });
                        let said = said.into_iter().map(Ok::<_, Infallible>);
                        lines(futures_util::stream::iter(said))
                    }),
                ),
        )
        .router();
    Service::new(routes).carrying(carrier(counted))
}

async fn say(counted: Arc<AtomicUsize>, peer: Peer, say: Say) -> Result<Said, Failure> {
    let text = match say.text.as_str() {
        "who" => peer.identity.to_string(),
        "where" => peer.address.to_string(),
        "counted" => counted.load(Ordering::SeqCst).to_string(),
        _ => {
            let message = "no rule allows it".to_owned();
            return Err(Failure { fault: Fault::Denied, message });
        }
    };
    Ok(Said { text })
}

fn carrier(counted: Arc<AtomicUsize>) -> Carrier {
    Arc::new(move |connect: Connect| {
        let counted = Arc::clone(&counted);
        Box::pin(async move {
            let accepted: Accepted = match connect.authority.as_str() {
                "echo" => Box::new(|stream| Box::pin(echo(stream))),
                "flood" => Box::new(|stream| Box::pin(flood(stream))),
                "count" => Box::new(move |stream| count(stream, counted)),
                other => {
                    let message = format!("there is no {other}");
                    return Err(Failure { fault: Fault::NotFound, message });
                }
            };
            Ok(accepted)
        })
    })
}

async fn echo(stream: ByteStream) {
    let (mut read, mut write) = tokio::io::split(stream);
    let _ = tokio::io::copy(&mut read, &mut write).await;
    let _ = write.shutdown().await;
    let _ = read.read(&mut [0]).await;
}

async fn flood(mut stream: ByteStream) {
    while stream.write_all(&[7; 65536]).await.is_ok() {}
}

fn count(mut stream: ByteStream, counted: Arc<AtomicUsize>) -> BoxFuture<'static, ()> {
    Box::pin(async move {
        counted.store(0, Ordering::SeqCst);
        let mut room = vec![0; 65536];
        while let Ok(taken @ 1..) = stream.read(&mut room).await {
            counted.fetch_add(taken, Ordering::SeqCst);
        }
        let _ = stream.shutdown().await;
    })
}

/// A node's end of a tunnel whose streams say `mark` and end.
pub async fn marked(stream: impl link::Duplex + 'static, mark: &'static str) {
    let carrier: Carrier = Arc::new(move |_connect| {
        Box::pin(async move {
            let accepted: Accepted = Box::new(move |mut stream| {
                Box::pin(async move {
                    stream.write_all(mark.as_bytes()).await.unwrap();
                    stream.shutdown().await.unwrap();
                    let _ = stream.read(&mut [0]).await;
                })
            });
            Ok(accepted)
        })
    });
    let service = Service::new(axum::Router::new()).carrying(carrier);
    let peer = Peer::nobody("127.0.0.1:1".parse().unwrap());
    let _ = serve(stream, peer, service, CancellationToken::new()).await;
}

/// Deterministic bytes that repeat nowhere near.
pub fn bytes_of(length: usize) -> Vec<u8> {
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    (0..length)
        .map(|_| {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            seed.to_le_bytes()[3]
        })
        .collect()
}

/// FNV-1a, enough to compare by.
pub fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

pub fn user(name: &str) -> PeerIdentity {
    PeerIdentity::User(name.parse().unwrap())
}

pub fn node(name: &str) -> NodeName {
    name.parse().unwrap()
}

/// Asks a server who one is.
pub async fn who(
    cluster: &Cluster,
    trust: Trust,
    shown: Option<&PeerIdentity>,
) -> Result<String, CallError> {
    let (server, _tasks) = serving(cluster).await;
    let badge = shown.map(|identity| cluster.badge(identity, &[]));
    let tls = client_tls(&trust, badge.as_ref(), &[ALPN_HTTP2]).unwrap();
    let dialer = Dialer::new(server.to_string(), PROXY_SERVER, tls);
    let client = dialer.dial().await?;
    assert!(dialer.authority().is_some_and(|pem| pem.contains("BEGIN CERTIFICATE")));
    Ok(client.call(&Say { text: "who".to_owned() }).await?.text)
}

/// A front of a proxy that gives one arrival.
pub async fn one_arrival(front: &mut Front) -> Arrival {
    tokio::time::timeout(Duration::from_secs(5), front.next()).await.expect("an arrival")
}

/// A proxy's side of tunnels, on an address of its own.
pub async fn tunnel_port(cluster: Cluster, tunnels: Tunnels, listener: TcpListener) {
    let (mut front, _) = front_on(&cluster, Menu::proxy(), &[PROXY_SERVER], listener);
    let mut held = JoinSet::new();
    loop {
        let Arrival::Tunnel(stream, peer) = front.next().await else { continue };
        let PeerIdentity::Node(node) = peer.identity else { continue };
        let tunnels = tunnels.clone();
        held.spawn(async move {
            let _ = tunnels.hold(&node, stream, CancellationToken::new()).await;
        });
    }
}

pub async fn within<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(15), work).await.expect("in time")
}

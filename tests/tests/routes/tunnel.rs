//! What a proxy may ask a node through its tunnel, as one asks that was taken over: a stream to its SSH server, and nothing
//! else that there is anywhere in the cluster.

use house::apart::Apart;
use house::{NODE, text};
use http::{HeaderMap, Method};
use link::http::{CallError, Client};
use link::tls::{Badge, TlsIdentity, server_config};
use serde_json::Value;
use std::fs;
use std::net::TcpListener;
use std::time::Duration;
use tokio::io::AsyncReadExt as _;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use wire::Fault;
use wire::name::{ALPN_TUNNEL, AUTH_SERVER, NODE_SSH, PROXY_SERVER};
use wire::route::BESIDE;

/// How long a node may take to dial.
const PATIENCE: Duration = Duration::from_secs(60);
/// Where to it might lead besides.
const ELSEWHERE: [&str; 5] =
    [NODE, AUTH_SERVER, PROXY_SERVER, "ssh.scry.internal:23", "127.0.0.1:22"];

/// What the cluster's proxy shows.
fn badge(apart: &Apart) -> Badge {
    let folder = apart.cluster.path("front/proxy");
    let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
    let credentials: Value = serde_json::from_str(&read("credentials.json")).unwrap();
    let chain = credentials["tls_certificate"].as_str().unwrap();
    Badge::new(&TlsIdentity::new(chain, read("tls.key"))).unwrap()
}

/// The proxy's end of a tunnel that the node dials there.
async fn dialled(listener: TcpListener, acceptor: &TlsAcceptor) -> Client {
    listener.set_nonblocking(true).unwrap();
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    loop {
        let (tcp, _) = listener.accept().await.unwrap();
        // Of one that the node has given up meanwhile nothing comes.
        if let Ok(stream) = acceptor.accept(tcp).await {
            return Client::over(stream, NODE).await.unwrap();
        }
    }
}

#[test]
fn a_proxy_gets_from_a_node_a_stream_to_its_ssh_server_and_nothing_else() {
    let mut apart = Apart::in_three(str::to_owned);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let proxies = format!("{},{}", apart.cluster.address, listener.local_addr().unwrap());
    apart.kill_node();
    apart.start_node(&["--proxy", &proxies]);
    let status = apart.cluster.scry_json(&["status", "--json"]);
    let authority = status["cluster"]["tls_authority"].as_str().unwrap();
    let tls = server_config(&badge(&apart), authority, &[ALPN_TUNNEL]).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let acceptor = TlsAcceptor::from(tls);
        let client = timeout(PATIENCE, dialled(listener, &acceptor)).await.unwrap();
        let calls = wire::paths().into_iter().map(|path| format!("/v1/{path}"));
        let beside = BESIDE.iter().map(|route| route.path.replace("{id}", "none"));
        let others = ["/", "/metrics", "/v1/node/news", "/v1/proxy/nodes"].map(str::to_owned);
        for path in calls.chain(beside).chain(others) {
            for method in [Method::GET, Method::POST] {
                let asking = client.pass(method.clone(), &path, HeaderMap::new(), "{}".into());
                assert_eq!(asking.await.unwrap().status(), 404, "{method} {path}");
            }
        }
        for to in ELSEWHERE {
            let Some(CallError::Refused(failure)) = client.connect(to, &[]).await.err() else {
                panic!("to {to} it is not refused");
            };
            assert_eq!(failure.fault, Fault::NotFound, "to {to}: {}", failure.message);
        }
        let mut ssh = client.connect(NODE_SSH, &[]).await.unwrap();
        let mut begins = [0; 8];
        timeout(PATIENCE, ssh.read_exact(&mut begins)).await.unwrap().unwrap();
        assert_eq!(&begins, b"SSH-2.0-");
    });
    assert_eq!(text(&apart.cluster.ssh("echo well")), "well", "the node serves as before");
}

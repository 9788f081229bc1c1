//! The port while an ACME server looks, and servers that are none or do not behave.

use super::{Server, Trouble};
use crate::front::{Arrival, Front, Menu};
use crate::tls::{
    Authority, Badge, Challenges, KeyRequest, PeerIdentity, TlsIdentity, provider, server_config,
};
use model::Time;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, ServerConfig, SignatureScheme};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::{TlsAcceptor, TlsConnector};
use wire::name::{ALPN_ACME, ALPN_HTTP2};

/// To the end of 2099.
fn authority() -> Authority {
    Authority::create("a test", Time(0), Time(4_102_444_800_000)).unwrap()
}

fn signed(authority: &Authority, names: &[&str]) -> TlsIdentity {
    let asked = KeyRequest::make().unwrap();
    let (nobody, until) = (PeerIdentity::Nobody, Time(4_102_444_800_000));
    let chain = authority.sign(&asked.request, &nobody, names, [7; 16], Time(0), until).unwrap();
    TlsIdentity { chain, key: asked.key }
}

/// Takes whatever is shown, as an ACME server does.
#[derive(Debug)]
struct Looks;

impl ServerCertVerifier for Looks {
    fn verify_server_cert(
        &self,
        _leaf: &CertificateDer<'_>,
        _chain: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _leaf: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _leaf: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}

/// What is shown to whoever comes so, if they are let in, and what was agreed on.
async fn look(to: SocketAddr, name: &str, protocols: &[&[u8]]) -> Option<(Vec<u8>, Vec<u8>)> {
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Looks))
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    let tcp = TcpStream::connect(to).await.unwrap();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut stream = TlsConnector::from(Arc::new(config)).connect(name, tcp).await.ok()?;
    let session = stream.get_ref().1;
    let leaf = session.peer_certificates().unwrap().first().unwrap().to_vec();
    let agreed = session.alpn_protocol().unwrap().to_vec();
    // Whoever is no ACME server is waited for; an ACME server is told that this was all.
    if agreed == ALPN_ACME {
        assert_eq!(stream.read(&mut [0]).await.unwrap(), 0, "nothing is said to it");
    }
    Some((leaf, agreed))
}

fn port(challenges: Option<Challenges>) -> (Front, SocketAddr) {
    let authority = authority();
    let badge = Badge::new(&signed(&authority, &["proxy.scry.internal"])).unwrap();
    let menu = Menu { challenges, ..Menu::proxy() };
    let tls = server_config(&badge, authority.certificate(), &menu.alpn()).unwrap();
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let front = Front::new(listener, tls, menu).unwrap();
    let address = front.address().unwrap();
    (front, address)
}

#[tokio::test]
async fn an_acme_server_is_answered_for_the_name_that_is_asked_for_while_it_is_asked_for_and_nothing_else()
 {
    let challenges = Challenges::default();
    let (mut front, to) = port(Some(challenges.clone()));
    let (tell, mut arrivals) = tokio::sync::mpsc::channel(8);
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        loop {
            let _ = tell.send(front.next().await).await;
        }
    });
    let only: &[&[u8]] = &[ALPN_ACME];
    assert!(look(to, "scry.example", only).await.is_none(), "before");
    let running = challenges.begin("scry.example", &[0xa5; 32]).unwrap();
    let holds = |leaf: &[u8]| leaf.windows(32).any(|window| window == [0xa5; 32]);
    let (leaf, agreed) = look(to, "SCRY.example", only).await.unwrap();
    assert!(holds(&leaf) && agreed == ALPN_ACME);
    for name in ["other.example", "a.scry.example", "127.0.0.1"] {
        assert!(look(to, name, only).await.is_none(), "{name}");
    }
    assert!(arrivals.try_recv().is_err(), "none of them has got any further");
    // Who offers anything else is no ACME server, and is served as ever.
    for all in [[ALPN_ACME, ALPN_HTTP2], [ALPN_HTTP2, ALPN_ACME]] {
        let (leaf, agreed) = look(to, "scry.example", &all).await.unwrap();
        assert!(!holds(&leaf) && agreed == ALPN_HTTP2);
        let arrival = tokio::time::timeout(Duration::from_secs(5), arrivals.recv()).await;
        assert!(matches!(arrival.unwrap(), Some(Arrival::Http(..))));
    }
    drop(running);
    assert!(look(to, "scry.example", only).await.is_none(), "afterwards");
    assert!(arrivals.try_recv().is_err());
}

#[tokio::test]
async fn a_port_where_nobody_asks_for_certificates_knows_nothing_of_challenges() {
    let (mut front, to) = port(None);
    let mut serving = JoinSet::new();
    serving.spawn(async move { front.next().await });
    assert!(look(to, "scry.example", &[ALPN_ACME]).await.is_none());
    assert!(serving.try_join_next().is_none(), "nobody has arrived");
}

/// An HTTPS server that gives `answer(PATH)` to whatever is asked; gives its address.
async fn odd_server(
    authority: &Authority,
    answer: impl Fn(&str, &str) -> String + Send + 'static,
) -> (String, JoinSet<()>) {
    let shown = signed(authority, &["localhost"]);
    let chain = crate::tls::certificates(&shown.chain).unwrap();
    let key = PrivateKeyDer::from_pem_slice(shown.key.as_bytes()).unwrap();
    let config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let (acceptor, listener) =
        (TlsAcceptor::from(Arc::new(config)), TcpListener::bind("127.0.0.1:0").await.unwrap());
    let base = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    let mut serving = JoinSet::new();
    let own = base.clone();
    serving.spawn(async move {
        loop {
            let (tcp, _) = listener.accept().await.unwrap();
            let Ok(mut stream) = acceptor.accept(tcp).await else { continue };
            let mut asked = [0; 8192];
            let count = stream.read(&mut asked).await.unwrap();
            let asked = String::from_utf8_lossy(asked.get(..count).unwrap()).into_owned();
            let path = asked.split(' ').nth(1).unwrap_or_default();
            let _ = stream.write_all(answer(path, &own).as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    });
    (base, serving)
}

fn http(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n{body}", body.len())
}

fn directory(base: &str, nonce: &str) -> String {
    let body = format!(
        r#"{{"newNonce":"{nonce}","newAccount":"{base}/account","newOrder":"{base}/order"}}"#
    );
    http("200 OK", "", &body)
}

async fn trouble(answer: impl Fn(&str, &str) -> String + Send + 'static, trusts: bool) -> Trouble {
    let authority = authority();
    let (base, _serving) = odd_server(&authority, answer).await;
    let other = self::authority();
    let trusted = if trusts { &authority } else { &other };
    let server = Server::new(&format!("{base}/dir"), Some(trusted.certificate())).unwrap();
    match server.register(None).await {
        Err(trouble) => trouble,
        Ok(_) => panic!("it gave an account"),
    }
}

#[tokio::test]
async fn a_server_that_is_none_or_does_not_behave_is_told_by_its_fault() {
    let not_acme = |trouble: Trouble, why: &str| {
        let words = trouble.to_string();
        assert!(matches!(trouble, Trouble::NotAcme { .. }) && words.contains(why), "{words}");
        assert!(words.contains("--web-acme-directory"), "{words}");
    };
    let page = |_: &str, _: &str| http("200 OK", "", "<html>hello</html>");
    not_acme(trouble(page, true).await, "expected value");
    let missing = |_: &str, _: &str| http("404 Not Found", "", "<html>no such page</html>");
    not_acme(trouble(missing, true).await, "HTTP status 404");
    let long = |_: &str, _: &str| http("200 OK", "", &" ".repeat(300 * 1024));
    not_acme(trouble(long, true).await, "longer than");
    // What the library would not survive, and what would leave HTTPS.
    for nonce in ["", "::::", "\\u0000", "http://localhost/nonce", "/nonce"] {
        let odd = move |_: &str, base: &str| directory(base, nonce);
        not_acme(trouble(odd, true).await, "is no address to ask at");
    }
    let stranger = trouble(page, false).await;
    assert!(matches!(stranger, Trouble::Stranger { .. }), "{stranger}");
    assert!(stranger.to_string().contains("--web-acme-ca"), "{stranger}");

    let nonce = |base: &str| directory(base, &format!("{base}/nonce"));
    let limited = |problem: &'static str| {
        move |path: &str, base: &str| match path {
            "/dir" => nonce(base),
            "/nonce" => http("200 OK", "replay-nonce: abc\r\n", ""),
            _ => http("429 Too Many Requests", "retry-after: 99999999999\r\n", problem),
        }
    };
    let json = r#"{"type":"urn:ietf:params:acme:error:rateLimited","detail":"too many"}"#;
    for body in [json, "slow down"] {
        let limited = trouble(limited(body), true).await;
        assert!(matches!(limited, Trouble::Limited { .. }), "{limited}");
        assert_eq!(limited.wait(), Some(Duration::from_secs(24 * 3600)), "{limited}");
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told_from_one_that_refuses() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let directory = format!("https://localhost:{port}/dir");
    let server = Server::new(&directory, Some(authority().certificate())).unwrap();
    let Err(trouble) = server.register(None).await else { panic!("nobody is there") };
    assert!(matches!(trouble, Trouble::Unreachable { .. }) && trouble.is_passing(), "{trouble}");
    let Err(trouble) = server.account("{\"id\":1}").await else { panic!("it is no account") };
    assert!(matches!(trouble, Trouble::Forgotten), "{trouble}");
}

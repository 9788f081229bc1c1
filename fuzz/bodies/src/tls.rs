//! TLS: certificates that peers show, requests for one, pins, and the certificate that browsers are shown.

use crate::feed::Feed;
use link::Peer;
use link::tls::{
    Authority, PeerIdentity, TlsIdentity, Trust, WebCertificate, client_tls, pin_of, pin_of_request,
};
use model::Time;
use std::net::SocketAddr;
use std::sync::LazyLock;
use wire::name::{AUTH_SERVER, INTERNAL, PROXY_SERVER};

/// The moment at which certificates are looked at and signed.
const NOW: Time = Time(1_790_000_000_000);
/// An hour and a year, in milliseconds.
const HOUR: i64 = 3_600_000;
const YEAR: i64 = 365 * 24 * HOUR;

/// Made anew at each start: nothing that is promised depends on its key.
static AUTHORITY: LazyLock<Authority> =
    LazyLock::new(|| Authority::create("home", NOW, NOW.plus_ms(YEAR)).expect("a key can be made"));

/// What the first byte says: one certificate as it crosses a connection (`0`), a chain and perhaps a key in PEM (`1`), a
/// request to be signed (`2`), or a pin or the address of an identity (`3`).
///
/// A certificate names one who could exist or nobody, and cut off it never names anybody else. Of a request nothing but its key
/// is signed, and that is the key by which the request is known before. What browsers are shown never stands for a part of a
/// cluster.
pub fn tls(bytes: &[u8]) {
    let mut feed = Feed(bytes);
    let kind = feed.u8();
    let text = String::from_utf8_lossy(feed.0);
    match kind % 4 {
        0 => leaf(feed.0),
        1 => chain(&text),
        2 => request(&text),
        _ => pin(&text),
    }
}

fn leaf(der: &[u8]) {
    let address = SocketAddr::from(([192, 0, 2, 7], 4711));
    let Ok(peer) = Peer::of_certificate(der, address) else { return };
    named(&peer.identity);
    assert!(peer.key.as_deref().is_some_and(is_pin), "{:?}", peer.key);
    assert!(peer.since.is_some() && peer.expires.is_some(), "it lives for ever");
    for length in [der.len() / 2, der.len().saturating_sub(1)] {
        if let Ok(other) = Peer::of_certificate(&der[..length], address) {
            assert_eq!(other, peer, "cut off after {length} bytes");
        }
    }
}

fn chain(text: &str) {
    let identity = TlsIdentity::new(text, text);
    if let Ok(subject) = identity.subject() {
        named(&subject);
        let pin = pin_of(text).expect("who is named has a key");
        assert!(is_pin(&pin), "{pin}");
        assert!(client_tls(&Trust::Pin(pin), None, &[]).is_ok(), "its own pin is none");
        let (from, until) = identity.life().expect("who is named lives for some time");
        let renewed = identity.renew_at().expect("as before");
        assert!((from.min(until)..=from.max(until)).contains(&renewed), "{renewed:?}");
    }
    let _ = client_tls(&Trust::Authority(text.to_owned()), None, &[]);
    let Ok(web) = WebCertificate::read(&identity, NOW) else { return };
    assert!(!web.names().is_empty() && web.renew_at() <= web.expires());
    assert!(web.expires().seconds() >= NOW.seconds(), "it is over");
    for name in web.names() {
        let called = match name.strip_prefix("*.") {
            Some(domain) => format!("a.{domain}"),
            None => name.clone(),
        };
        assert!(web.is_for(&called), "{called:?} of {name:?}");
    }
    for own in [AUTH_SERVER, PROXY_SERVER, INTERNAL] {
        assert!(!web.is_for(own), "it stands in the way of {own}");
    }
}

fn request(text: &str) {
    let known = pin_of_request(text).ok();
    let subject = PeerIdentity::Node("web-01".parse().expect("a literal name is a name"));
    let (from, until) = (NOW, NOW.plus_ms(HOUR));
    let signed = AUTHORITY.sign(text, &subject, &["web-01.example"], [7; 16], from, until);
    let Ok(chain) = signed else { return };
    let made = TlsIdentity::new(chain.as_str(), "");
    assert_eq!(made.subject().ok(), Some(subject));
    assert_eq!(made.life().ok(), Some((from, until)));
    assert_eq!(pin_of(&chain).ok(), known, "not the key by which the request was known");
}

fn pin(text: &str) {
    if client_tls(&Trust::Pin(text.to_owned()), None, &[]).is_ok() {
        assert!(is_pin(&text.trim().to_ascii_lowercase()), "{text:?}");
    }
    if let Some(identity) = PeerIdentity::of_uri(text) {
        assert_eq!(identity.uri().as_deref(), Some(text));
    }
}

/// Whom a certificate names, its address names again.
fn named(identity: &PeerIdentity) {
    match identity.uri() {
        Some(uri) => assert_eq!(PeerIdentity::of_uri(&uri).as_ref(), Some(identity)),
        None => assert_eq!(*identity, PeerIdentity::Nobody),
    }
}

fn is_pin(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
}

//! What a client speaks, by its first bytes. Nothing is read or written here.

use super::relay;
use crate::tls::Challenges;
use bytes::{Buf, BytesMut};
use rustls::server::Acceptor;
use std::io;
use std::net::{IpAddr, SocketAddr};
use wire::name::{ALPN_ACME, ALPN_AUTH, ALPN_HTTP2, ALPN_TUNNEL};

/// Bytes in which a client must have said what it speaks. Refuse: closed.
pub const HELLO_BYTES: usize = 32 * 1024;
/// First byte of a TLS handshake record (RFC 8446 §5.1).
const TLS: u8 = 0x16;
/// How an SSH client begins (RFC 4253 §4.2).
const SSH: &[u8] = b"SSH-";
/// How requests of HTTP begin that somebody may send to the port by mistake.
const METHODS: [&[u8]; 5] = [b"GET ", b"HEAD", b"POST", b"PRI ", b"OPTI"];

/// What a port serves.
#[derive(Debug, Clone)]
pub struct Menu {
    /// TLS protocols (ALPN) that end here.
    pub protocols: Vec<Vec<u8>>,
    /// Whether connections for auth are passed on.
    pub pass: bool,
    /// Whether SSH is taken.
    pub ssh: bool,
    /// Whether a connection may begin with a relay line that says where the client really is.
    pub relay_lines: bool,
    /// Addresses whose relay lines are believed; others are read and count for nothing.
    pub relays: Vec<IpAddr>,
    /// What an ACME server is answered, where certificates are asked for; it gets no further.
    pub challenges: Option<Challenges>,
}

impl Menu {
    /// Of a proxy: HTTP, tunnels, connections for auth, SSH.
    #[must_use]
    pub fn proxy() -> Self {
        let protocols = [ALPN_HTTP2, ALPN_TUNNEL, b"http/1.1"].map(<[u8]>::to_vec).to_vec();
        Self {
            protocols,
            pass: true,
            ssh: true,
            relay_lines: false,
            relays: Vec::new(),
            challenges: None,
        }
    }

    /// Of auth: calls only, directly or through proxies; those at `relays` are believed where their clients are.
    #[must_use]
    pub fn auth(relays: Vec<IpAddr>) -> Self {
        let protocols = vec![ALPN_AUTH.to_vec()];
        let challenges = None;
        Self { protocols, pass: false, ssh: false, relay_lines: true, relays, challenges }
    }

    /// The protocols as [`crate::tls::server_config`] takes them.
    #[must_use]
    pub fn alpn(&self) -> Vec<&[u8]> {
        self.protocols.iter().map(Vec::as_slice).collect()
    }
}

/// What was recognised.
#[derive(Debug, PartialEq, Eq)]
pub enum Spoken {
    /// TLS, and the first of the client's protocols that the port knows.
    Tls(Option<Vec<u8>>),
    /// TLS, of an ACME server that looks whether a name leads here.
    Challenge,
    /// SSH, or a client that waits for the server's line.
    Ssh,
    /// HTTP without TLS.
    PlainHttp,
    /// Something else.
    Unknown,
}

/// Why a client is not served.
#[derive(Debug)]
pub struct Refused {
    /// For the log.
    pub why: io::Error,
    /// What it is told: a TLS alert (RFC 8446 §6), or nothing.
    pub alert: Vec<u8>,
}

/// Looks at the first bytes as they come.
pub struct Greeting<'m> {
    menu: &'m Menu,
    /// Whether a relay line may still come.
    relay: bool,
    said: Option<SocketAddr>,
    tls: Acceptor,
    /// Bytes that it has seen.
    seen: usize,
}

impl<'m> Greeting<'m> {
    /// Before the first byte.
    #[must_use]
    pub fn new(menu: &'m Menu) -> Self {
        let relay = menu.relay_lines;
        Self { menu, relay, said: None, tls: Acceptor::default(), seen: 0 }
    }

    /// Where the relay said that the client is; whether that is believed depends on the relay.
    #[must_use]
    pub fn relayed(&self) -> Option<SocketAddr> {
        self.said
    }

    /// What the client speaks, or `None` as long as that is open: then to be called again with more behind. A relay line is
    /// taken off, everything else stays in `held` for whoever serves it.
    ///
    /// # Errors
    /// What comes cannot be served.
    pub fn look(&mut self, held: &mut BytesMut) -> Result<Option<Spoken>, Refused> {
        if self.relay {
            match take_line(held)? {
                Some(said) => (self.relay, self.said) = (false, said),
                None => return Ok(None),
            }
        }
        match held.first() {
            None => Ok(None),
            Some(&TLS) => self.client_hello(held),
            Some(b'S') if held.len() < SSH.len() && SSH.starts_with(held) => Ok(None),
            Some(b'S') if held.starts_with(SSH) => Ok(Some(Spoken::Ssh)),
            Some(_) if METHODS.iter().any(|method| held.starts_with(method)) => {
                Ok(Some(Spoken::PlainHttp))
            }
            Some(_) if METHODS.iter().any(|method| method.starts_with(held)) => Ok(None),
            Some(_) => Ok(Some(Spoken::Unknown)),
        }
    }

    fn client_hello(&mut self, held: &[u8]) -> Result<Option<Spoken>, Refused> {
        let mut fresh = held.get(self.seen..).unwrap_or_default();
        while !fresh.is_empty() {
            self.tls.read_tls(&mut fresh).map_err(silently)?;
        }
        self.seen = held.len();
        match self.tls.accept() {
            Ok(Some(accepted)) => {
                let hello = accepted.client_hello();
                // Whoever offers anything beside it is no such server (RFC 8737 §4).
                let looks = || hello.alpn().is_some_and(|all| all.eq([ALPN_ACME]));
                if self.menu.challenges.is_some() && looks() {
                    return Ok(Some(Spoken::Challenge));
                }
                let offered = hello.alpn();
                let known = offered.and_then(|mut all| all.find(|name| self.menu.knows(name)));
                Ok(Some(Spoken::Tls(known.map(<[u8]>::to_vec))))
            }
            Ok(None) if held.len() < HELLO_BYTES => Ok(None),
            Ok(None) => Err(odd("a TLS greeting without an end")),
            Err((error, mut written)) => {
                let mut alert = Vec::new();
                written.write_all(&mut alert).map_err(silently)?;
                Err(Refused { why: io::Error::other(error), alert })
            }
        }
    }
}

/// Takes the relay's line off: what it says, `Some(None)` without one, `None` as long as that is open.
fn take_line(held: &mut BytesMut) -> Result<Option<Option<SocketAddr>>, Refused> {
    let begun = held.get(..relay::BEGINS.len()).unwrap_or(held);
    if !relay::BEGINS.starts_with(begun) {
        return Ok(Some(None));
    }
    match held.windows(2).take(relay::LONGEST).position(|pair| pair == b"\r\n") {
        Some(end) => {
            let line = held.split_to(end);
            held.advance(2);
            let said = relay::read_line(&line).ok_or_else(|| odd("a malformed relay line"))?;
            Ok(Some(Some(said)))
        }
        None if held.len() > relay::LONGEST => Err(odd("a relay line without an end")),
        None => Ok(None),
    }
}

fn silently(why: io::Error) -> Refused {
    Refused { why, alert: Vec::new() }
}

fn odd(why: &'static str) -> Refused {
    silently(io::Error::new(io::ErrorKind::InvalidData, why))
}

impl Menu {
    fn knows(&self, protocol: &[u8]) -> bool {
        (self.pass && protocol == ALPN_AUTH) || self.protocols.iter().any(|name| name == protocol)
    }
}

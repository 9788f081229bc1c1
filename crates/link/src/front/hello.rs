//! What a client speaks, by its first bytes. They are put back, so that whoever takes the stream reads them again.

use super::places::Place;
use super::relay;
use crate::duplex::Rewound;
use bytes::{Buf, BytesMut};
use model::limit::SILENT_CLIENT_MS;
use rustls::server::Acceptor;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context as Poller, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use wire::name::{ALPN_AUTH, ALPN_HTTP2, ALPN_TUNNEL};

/// Bytes in which a client must have said what it speaks. Refuse: closed.
const HELLO_BYTES: usize = 32 * 1024;
/// First byte of a TLS handshake record (RFC 8446 §5.1).
const TLS: u8 = 0x16;
/// How an SSH client begins (RFC 4253 §4.2).
const SSH: &[u8] = b"SSH-";
/// For people whose browser speaks plain HTTP to the port.
pub(super) const PLAIN_HTTP_ANSWER: &[u8] =
    b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\n\
    content-length: 44\r\nconnection: close\r\n\r\nThis port speaks TLS: use https:// instead.\n";

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
}

impl Menu {
    /// Of a proxy: HTTP, tunnels, connections for auth, SSH.
    #[must_use]
    pub fn proxy() -> Self {
        let protocols = [ALPN_HTTP2, ALPN_TUNNEL, b"http/1.1"].map(<[u8]>::to_vec).to_vec();
        Self { protocols, pass: true, ssh: true, relay_lines: false, relays: Vec::new() }
    }

    /// Of auth: calls only, directly or through proxies; those at `relays` are believed where their clients are.
    #[must_use]
    pub fn auth(relays: Vec<IpAddr>) -> Self {
        let protocols = vec![ALPN_AUTH.to_vec()];
        Self { protocols, pass: false, ssh: false, relay_lines: true, relays }
    }

    /// The protocols as [`crate::tls::server_config`] takes them.
    #[must_use]
    pub fn alpn(&self) -> Vec<&[u8]> {
        self.protocols.iter().map(Vec::as_slice).collect()
    }
}

/// What was recognised.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Spoken {
    /// TLS, and the first of the client's protocols that the port knows.
    Tls(Option<Vec<u8>>),
    /// SSH, or a client that waits for the server's line.
    Ssh,
    /// HTTP without TLS.
    PlainHttp,
    /// Something else.
    Unknown,
}

/// A client's TCP connection with its first bytes put back. Holds its place in the port's count.
#[derive(Debug)]
pub struct Raw {
    stream: Rewound<TcpStream>,
    peer: SocketAddr,
    _place: Place,
}

impl Raw {
    /// A connection of which nothing was read yet.
    pub(crate) fn fresh(stream: TcpStream, peer: SocketAddr, place: Place) -> Self {
        Self { stream: Rewound::new(bytes::Bytes::new(), stream), peer, _place: place }
    }

    /// The client's address; behind a relay, what the relay says.
    #[must_use]
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// This end's address.
    ///
    /// # Errors
    /// As the system says.
    pub fn local(&self) -> io::Result<SocketAddr> {
        self.stream.inner().local_addr()
    }
}

/// Reads until it is clear what the client speaks. The caller bounds it in time.
pub(super) async fn recognise(
    mut tcp: TcpStream,
    address: SocketAddr,
    place: Place,
    menu: &Menu,
) -> io::Result<(Raw, Spoken)> {
    let mut held = BytesMut::with_capacity(4096);
    let mut peer = address;
    if menu.relay_lines {
        let said = relayed(&mut tcp, &mut held).await?;
        let believed = menu.relays.contains(&address.ip().to_canonical());
        peer = said.filter(|_| believed).unwrap_or(address);
    }
    let spoken = match first_bytes(&mut tcp, &mut held, menu).await? {
        None => Spoken::Ssh,
        Some(TLS) => client_hello(&mut tcp, &mut held, menu).await?,
        Some(b'S') => ssh_line(&mut tcp, &mut held).await?,
        Some(_) => plain(&held),
    };
    let raw = Raw { stream: Rewound::new(held.freeze(), tcp), peer, _place: place };
    Ok((raw, spoken))
}

/// Takes the relay's line off, if there is one.
async fn relayed(tcp: &mut TcpStream, held: &mut BytesMut) -> io::Result<Option<SocketAddr>> {
    while held.len() < relay::BEGINS.len() && relay::BEGINS.starts_with(held) {
        more(tcp, held).await?;
    }
    if !held.starts_with(relay::BEGINS) {
        return Ok(None);
    }
    loop {
        if let Some(end) = held.windows(2).position(|pair| pair == b"\r\n") {
            let line = held.split_to(end);
            held.advance(2);
            return relay::read_line(&line).map(Some).ok_or_else(|| odd("a malformed relay line"));
        }
        if held.len() > relay::LONGEST {
            return Err(odd("a relay line without an end"));
        }
        more(tcp, held).await?;
    }
}

/// The first byte; `None` when the client says nothing for [`SILENT_CLIENT_MS`] on a port that takes SSH.
async fn first_bytes(
    tcp: &mut TcpStream,
    held: &mut BytesMut,
    menu: &Menu,
) -> io::Result<Option<u8>> {
    if held.is_empty() {
        let reading = more(tcp, held);
        if menu.ssh {
            let silence = Duration::from_millis(SILENT_CLIENT_MS);
            match tokio::time::timeout(silence, reading).await {
                Ok(read) => read?,
                Err(_) => return Ok(None),
            }
        } else {
            reading.await?;
        }
    }
    Ok(held.first().copied())
}

async fn client_hello(tcp: &mut TcpStream, held: &mut BytesMut, menu: &Menu) -> io::Result<Spoken> {
    let mut acceptor = Acceptor::default();
    let mut looked_at = 0;
    loop {
        let mut fresh = held.get(looked_at..).unwrap_or_default();
        while !fresh.is_empty() {
            acceptor.read_tls(&mut fresh)?;
        }
        looked_at = held.len();
        match acceptor.accept() {
            Ok(Some(accepted)) => {
                let offered = accepted.client_hello().alpn();
                let known = offered.and_then(|mut all| all.find(|name| menu.knows(name)));
                return Ok(Spoken::Tls(known.map(<[u8]>::to_vec)));
            }
            Ok(None) if held.len() < HELLO_BYTES => more(tcp, held).await?,
            Ok(None) => return Err(odd("a TLS greeting without an end")),
            Err((error, mut alert)) => {
                let mut told = Vec::new();
                alert.write_all(&mut told)?;
                tcp.write_all(&told).await?;
                return Err(io::Error::other(error));
            }
        }
    }
}

async fn ssh_line(tcp: &mut TcpStream, held: &mut BytesMut) -> io::Result<Spoken> {
    while held.len() < SSH.len() && SSH.starts_with(held) {
        more(tcp, held).await?;
    }
    Ok(if held.starts_with(SSH) { Spoken::Ssh } else { Spoken::Unknown })
}

fn plain(held: &[u8]) -> Spoken {
    let methods: [&[u8]; 5] = [b"GET ", b"HEAD", b"POST", b"PRI ", b"OPTI"];
    match methods.iter().any(|method| held.starts_with(method)) {
        true => Spoken::PlainHttp,
        false => Spoken::Unknown,
    }
}

async fn more(tcp: &mut TcpStream, held: &mut BytesMut) -> io::Result<()> {
    match tcp.read_buf(held).await? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(()),
    }
}

fn odd(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

impl Menu {
    fn knows(&self, protocol: &[u8]) -> bool {
        (self.pass && protocol == ALPN_AUTH) || self.protocols.iter().any(|name| name == protocol)
    }
}

impl AsyncRead for Raw {
    fn poll_read(
        mut self: Pin<&mut Self>,
        poller: &mut Poller<'_>,
        room: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(poller, room)
    }
}

impl AsyncWrite for Raw {
    fn poll_write(
        mut self: Pin<&mut Self>,
        poller: &mut Poller<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(poller, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        poller: &mut Poller<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(poller, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, poller: &mut Poller<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(poller)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, poller: &mut Poller<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(poller)
    }
}

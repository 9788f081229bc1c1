//! A client that asks a proxy's port for anything in any way: each byte of a request is the test's own. Its connection is kept
//! from one request to the next.

use link::http::Dialer;
use link::tls::{Badge, Trust, client_tls};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

/// How long an answer may be silent before it is taken for one that does not end.
const SILENCE: Duration = Duration::from_millis(400);
/// How long an answer's beginning may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// Of an answer's body no more is read.
const MOST: usize = 1 << 20;

/// What was answered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answered {
    /// The status.
    pub status: u16,
    /// The headers, each as it came, in small letters up to the colon.
    pub headers: Vec<String>,
    /// The body, or its beginning where there is no end.
    pub body: String,
}

impl Answered {
    /// A header's value; nothing if it is not there.
    pub fn header(&self, name: &str) -> &str {
        let line = self.headers.iter().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.unwrap_or_default().trim()
    }
}

/// One client with HTTP/1.1.
pub struct Asker {
    dialer: Dialer,
    /// What stands in `Host`.
    pub host: String,
    stream: Option<TlsStream<TcpStream>>,
    held: Vec<u8>,
}

impl Asker {
    /// One that calls the port at `address` by `name`, speaks `protocol` (ALPN), and shows a certificate if it has one.
    pub fn new(
        address: &str,
        name: &'static str,
        protocol: &[u8],
        authority: &str,
        badge: Option<&Badge>,
    ) -> Self {
        let trust = Trust::Authority(authority.to_owned());
        let tls = client_tls(&trust, badge, &[protocol]).expect("an authority");
        let (_, port) = address.rsplit_once(':').expect("an address has a port");
        let dialer = Dialer::new(address, name, tls);
        Self { dialer, host: format!("{name}:{port}"), stream: None, held: Vec::new() }
    }

    /// Asks `METHOD TARGET` with these header lines and this body; `Host` stands there by itself.
    pub async fn ask(
        &mut self,
        method: &str,
        target: &str,
        headers: &[String],
        body: &str,
    ) -> Answered {
        let mut request = format!("{method} {target} HTTP/1.1\r\nHost: {}\r\n", self.host);
        for line in headers {
            request.push_str(line);
            request.push_str("\r\n");
        }
        if !body.is_empty() {
            request.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        request.push_str("\r\n");
        request.push_str(body);
        // A server may have closed a connection that was kept: then once more, on a new one.
        for fresh in [false, true] {
            if fresh {
                self.stream = None;
            }
            if let Some(answered) = self.exchange(request.as_bytes(), method).await {
                return answered;
            }
        }
        panic!("no answer to {method} {target}");
    }

    async fn exchange(&mut self, request: &[u8], method: &str) -> Option<Answered> {
        if self.stream.is_none() {
            self.held.clear();
            self.stream = Some(self.dialer.dial_tls().await.expect("the port is there"));
        }
        self.stream.as_mut()?.write_all(request).await.ok()?;
        let end = loop {
            if let Some(at) = self.held.windows(4).position(|four| four == b"\r\n\r\n") {
                break at;
            }
            timeout(PATIENCE, self.more()).await.ok()??;
        };
        let head: Vec<u8> = self.held.drain(..end + 4).collect();
        let head = String::from_utf8_lossy(&head).into_owned();
        let mut lines = head.trim_end().split("\r\n");
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let small = |line: &str| {
            let (name, value) = line.split_once(':').unwrap_or((line, ""));
            format!("{}:{value}", name.to_ascii_lowercase())
        };
        let headers = lines.map(small).collect();
        let mut answered = Answered { status, headers, body: String::new() };
        if method != "HEAD" && ![101, 204, 304].contains(&status) {
            let body = self.body(&answered).await;
            answered.body = String::from_utf8_lossy(&body).into_owned();
        }
        if answered.header("connection") == "close" {
            self.stream = None;
        }
        Some(answered)
    }

    /// The body; where it does not end, what came of it, and the connection is given up.
    async fn body(&mut self, answered: &Answered) -> Vec<u8> {
        let mut body = Vec::new();
        let wanted: Option<usize> = answered.header("content-length").parse().ok();
        let chunked = answered.header("transfer-encoding") == "chunked";
        loop {
            if let Some(wanted) = wanted
                && self.held.len() >= wanted
            {
                body.extend(self.held.drain(..wanted));
                return body;
            }
            while chunked && let Some((size, from)) = chunk(&self.held) {
                if self.held.len() < from + size + 2 {
                    break;
                }
                body.extend_from_slice(&self.held[from..from + size]);
                self.held.drain(..from + size + 2);
                if size == 0 {
                    return body;
                }
            }
            let more = timeout(SILENCE, self.more()).await;
            if body.len() > MOST || !matches!(more, Ok(Some(()))) {
                self.stream = None;
                return body;
            }
        }
    }

    async fn more(&mut self) -> Option<()> {
        match self.stream.as_mut()?.read_buf(&mut self.held).await {
            Ok(0) | Err(_) => None,
            Ok(_) => Some(()),
        }
    }

    /// After a WebSocket has begun: sends one message, and reads until one that comes has one of these beginnings. Nothing if the
    /// other end closes before.
    pub async fn converse(&mut self, message: &str, until: &[&str]) -> Option<String> {
        // RFC 6455 §5.2: a text in one piece, masked with zeros.
        let mut frame = vec![0x81];
        match u8::try_from(message.len()) {
            Ok(short) if short < 126 => frame.push(0x80 | short),
            _ => {
                frame.push(0x80 | 126);
                frame.extend(u16::try_from(message.len()).ok()?.to_be_bytes());
            }
        }
        frame.extend([0; 4]);
        frame.extend(message.as_bytes());
        self.stream.as_mut()?.write_all(&frame).await.ok()?;
        loop {
            let (kind, bytes) = self.hear().await?;
            let text = String::from_utf8_lossy(&bytes);
            if matches!(kind, 1 | 2) && until.iter().any(|begins| text.starts_with(begins)) {
                return Some(text.into_owned());
            }
        }
    }

    /// After a WebSocket has begun: the next frame, with its kind (RFC 6455 §11.8). Nothing if the other end has hung up.
    pub async fn hear(&mut self) -> Option<(u8, Vec<u8>)> {
        loop {
            if let Some((kind, from, size)) = piece(&self.held)
                && self.held.len() >= from + size
            {
                let bytes = self.held[from..from + size].to_vec();
                self.held.drain(..from + size);
                return Some((kind, bytes));
            }
            timeout(PATIENCE, self.more()).await.ok()??;
        }
    }

    /// Hangs up.
    pub fn leave(&mut self) {
        self.stream = None;
    }
}

/// What makes a request a WebSocket of this protocol.
pub fn upgrade(protocol: &str) -> [String; 5] {
    [
        "Connection: Upgrade".to_owned(),
        "Upgrade: websocket".to_owned(),
        "Sec-WebSocket-Version: 13".to_owned(),
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==".to_owned(),
        format!("Sec-WebSocket-Protocol: {protocol}"),
    ]
}

/// Size of the chunk that begins here, and where its bytes begin (RFC 9112 §7.1).
fn chunk(held: &[u8]) -> Option<(usize, usize)> {
    let end = held.windows(2).position(|two| two == b"\r\n")?;
    let size = std::str::from_utf8(&held[..end]).ok()?;
    Some((usize::from_str_radix(size, 16).ok()?, end + 2))
}

/// Kind of the frame that begins here, where its bytes begin, and how many they are. A server masks none.
fn piece(held: &[u8]) -> Option<(u8, usize, usize)> {
    let (kind, size) = (held.first()? & 0x0f, *held.get(1)?);
    match size {
        126 => Some((kind, 4, u16::from_be_bytes([*held.get(2)?, *held.get(3)?]).into())),
        127 => {
            let eight: [u8; 8] = held.get(2..10)?.try_into().ok()?;
            Some((kind, 10, usize::try_from(u64::from_be_bytes(eight)).ok()?))
        }
        size => Some((kind, 2, size.into())),
    }
}

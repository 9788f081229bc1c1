//! A client's first bytes. They are put back, so that whoever takes the stream reads them again.

use super::greeting::{Greeting, Menu, Refused, Spoken};
use crate::duplex::Rewound;
use crate::places::Place;
use bytes::BytesMut;
use model::limit::SILENT_CLIENT_MS;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context as Poller, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;

/// For people whose browser speaks plain HTTP to the port.
pub(super) const PLAIN_HTTP_ANSWER: &[u8] =
    b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\n\
    content-length: 44\r\nconnection: close\r\n\r\nThis port speaks TLS: use https:// instead.\n";

/// A client's TCP connection with its first bytes put back. Holds its place in the port's count.
#[derive(Debug)]
pub struct Raw {
    stream: Rewound<TcpStream>,
    peer: SocketAddr,
    _place: Place<IpAddr>,
}

impl Raw {
    /// A connection of which nothing was read yet.
    pub(crate) fn fresh(stream: TcpStream, peer: SocketAddr, place: Place<IpAddr>) -> Self {
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
    place: Place<IpAddr>,
    menu: &Menu,
) -> io::Result<(Raw, Spoken)> {
    let mut held = BytesMut::with_capacity(4096);
    let mut greeting = Greeting::new(menu);
    let spoken = loop {
        match greeting.look(&mut held) {
            Ok(Some(spoken)) => break spoken,
            // Who says nothing where SSH is taken waits for the server's line.
            Ok(None) if menu.ssh && held.is_empty() => {
                let silence = Duration::from_millis(SILENT_CLIENT_MS);
                match tokio::time::timeout(silence, more(&mut tcp, &mut held)).await {
                    Ok(read) => read?,
                    Err(_) => break Spoken::Ssh,
                }
            }
            Ok(None) => more(&mut tcp, &mut held).await?,
            Err(Refused { why, alert }) => {
                tcp.write_all(&alert).await?;
                return Err(why);
            }
        }
    };
    let said = greeting.relayed().filter(|_| menu.relays.contains(&address.ip().to_canonical()));
    let peer = said.unwrap_or(address);
    let raw = Raw { stream: Rewound::new(held.freeze(), tcp), peer, _place: place };
    Ok((raw, spoken))
}

async fn more(tcp: &mut TcpStream, held: &mut BytesMut) -> io::Result<()> {
    match tcp.read_buf(held).await? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(()),
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

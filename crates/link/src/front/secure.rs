//! A TLS stream that came in at the front.

use super::hello::Raw;
use std::io;
use std::pin::Pin;
use std::task::{Context as Poller, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::server::TlsStream;

/// A client's TLS stream, past its handshake.
#[derive(Debug)]
pub struct Secure {
    stream: TlsStream<Raw>,
}

impl Secure {
    pub(super) fn new(stream: TlsStream<Raw>) -> Self {
        Self { stream }
    }

    /// Whether HTTP/1.1 was agreed on, or nothing at all.
    #[must_use]
    pub fn is_http1(&self) -> bool {
        matches!(self.stream.get_ref().1.alpn_protocol(), None | Some(b"http/1.1"))
    }

    /// The name by which the client called this end (RFC 6066 §3), if it did not call it by its address.
    #[must_use]
    pub fn called(&self) -> Option<&str> {
        self.stream.get_ref().1.server_name()
    }
}

impl AsyncRead for Secure {
    fn poll_read(
        mut self: Pin<&mut Self>,
        poller: &mut Poller<'_>,
        room: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(poller, room)
    }
}

impl AsyncWrite for Secure {
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

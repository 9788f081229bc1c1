//! The client's side: dialing, typed calls, bytes, lines and `CONNECT` streams over one connection.

use super::{
    ByteStream, CONNECTION_WINDOW, CallError, HEADER_BYTES, PING_INTERVAL, PING_TIMEOUT, Trouble,
    words,
};
use crate::duplex::Duplex;
use crate::lines::LineBuffer;
use crate::tasks::Tasks;
use crate::tls::ClientTls;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioIo, TokioTimer};
use model::limit::{ANSWER_BYTES, CALL_MS, DIAL_MS, STREAM_WINDOW_BYTES};
use rustls::pki_types::ServerName;
use serde::de::DeserializeOwned;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context as Poller, Poll};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use wire::name::VERSION_HEADER;
use wire::{Call, Failure};

/// Knows how to reach a part of the cluster.
#[derive(Debug, Clone)]
pub struct Dialer {
    address: String,
    name: &'static str,
    tls: ClientTls,
}

impl Dialer {
    /// `address` is `HOST:PORT`; `name` is the part's TLS name, one of [`wire::name`].
    #[must_use]
    pub fn new(address: impl Into<String>, name: &'static str, tls: ClientTls) -> Self {
        Self { address: address.into(), name, tls }
    }

    /// Where it dials.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The trusted authority, PEM; with a pin only after the first success.
    #[must_use]
    pub fn authority(&self) -> Option<&str> {
        self.tls.authority()
    }

    /// Opens a connection for calls and streams.
    ///
    /// # Errors
    /// [`CallError::Unreachable`], at the latest after [`DIAL_MS`].
    pub async fn dial(&self) -> Result<Client, CallError> {
        let opening = async {
            let stream = self.handshake().await?;
            Client::over(stream, &self.address).await
        };
        within(&self.address, DIAL_MS, opening).await
    }

    /// Opens a TLS connection only.
    ///
    /// # Errors
    /// As [`Dialer::dial`].
    pub async fn dial_tls(&self) -> Result<tokio_rustls::client::TlsStream<TcpStream>, CallError> {
        within(&self.address, DIAL_MS, self.handshake()).await
    }

    async fn handshake(&self) -> Result<tokio_rustls::client::TlsStream<TcpStream>, CallError> {
        let unreachable = |trouble| CallError::unreachable(&self.address, trouble);
        let name = ServerName::try_from(self.name)
            .map_err(|e| unreachable(Trouble::Broken(e.to_string())))?;
        let mut tries = SSH_GREETINGS;
        loop {
            let dialed = crate::tcp::dial(self.address.as_str()).await;
            let tcp = dialed.map_err(|e| unreachable(Trouble::Connect(e)))?;
            let connecting = TlsConnector::from(self.tls.config.clone()).connect(name.clone(), tcp);
            let trouble = match connecting.await {
                Ok(stream) => return Ok(stream),
                Err(error) => Trouble::of(&error),
            };
            tries -= 1;
            if tries == 0 || !matches!(trouble, Trouble::NotScry(_)) {
                return Err(unreachable(trouble));
            }
        }
    }
}

/// Tries at one dial. A proxy greets a client that says nothing for [`model::limit::SILENT_CLIENT_MS`] as SSH does, and a
/// busy machine may be that slow between connecting and its first byte.
const SSH_GREETINGS: u32 = 3;

/// One HTTP/2 connection. Clones share it; it closes when the last clone and the last stream are gone.
#[derive(Debug, Clone)]
pub struct Client {
    sender: SendRequest<Full<Bytes>>,
    address: String,
    tasks: Tasks,
}

impl Client {
    /// Speaks HTTP/2 as the client on a stream that is open already. `address` is for messages.
    ///
    /// # Errors
    /// [`CallError::Unreachable`] when the other end does not speak HTTP/2.
    pub async fn over(stream: impl Duplex + 'static, address: &str) -> Result<Self, CallError> {
        let tasks = Tasks::new();
        let mut settings = hyper::client::conn::http2::Builder::new(tasks.spawner());
        settings
            .timer(TokioTimer::new())
            .initial_connection_window_size(CONNECTION_WINDOW)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .max_header_list_size(HEADER_BYTES)
            .keep_alive_interval(PING_INTERVAL)
            .keep_alive_timeout(PING_TIMEOUT)
            .keep_alive_while_idle(true);
        let (sender, connection) = settings
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|e| CallError::unreachable(address, Trouble::of(&e)))?;
        let told = address.to_owned();
        tasks.spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(address = told, error = words(&error), "a connection ended");
            }
        });
        Ok(Self { sender, address: address.to_owned(), tasks })
    }

    /// Where it leads.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Whether the connection is gone.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// Any [`CallError`].
    pub async fn call<C: Call>(&self, call: &C) -> Result<C::Answer, CallError> {
        let body = serde_json::to_vec(call)
            .map_err(|e| CallError::garbled(&self.address, e.to_string()))?;
        self.post_json(&format!("/v1/{}", C::PATH), body.into(), "application/json").await
    }

    /// As [`Client::call`], with further headers.
    ///
    /// # Errors
    /// Any [`CallError`].
    pub async fn call_for<C: Call>(
        &self,
        call: &C,
        headers: HeaderMap,
    ) -> Result<C::Answer, CallError> {
        let garbled = |e: serde_json::Error| CallError::garbled(&self.address, e.to_string());
        let body = serde_json::to_vec(call).map_err(garbled)?;
        let mut request =
            self.request(Method::POST, self.uri(&format!("/v1/{}", C::PATH))?, body.into());
        request.headers_mut().extend(headers);
        let kind = HeaderValue::from_static("application/json");
        request.headers_mut().insert(header::CONTENT_TYPE, kind);
        within(&self.address, CALL_MS, async {
            let response = self.send(request).await?;
            let body = self.whole(response.into_body(), ANSWER_BYTES).await?;
            serde_json::from_slice(&body).map_err(garbled)
        })
        .await
    }

    /// Sends bytes to `path` (such as `/v1/node/ship/…`) and reads a JSON answer.
    ///
    /// # Errors
    /// Any [`CallError`].
    pub async fn post_bytes<A: DeserializeOwned>(
        &self,
        path: &str,
        body: Bytes,
    ) -> Result<A, CallError> {
        self.post_json(path, body, "application/octet-stream").await
    }

    /// Reads the bytes at `path`, at most `most`, with the answer's headers.
    ///
    /// # Errors
    /// Any [`CallError`]; more than `most` bytes are [`CallError::Garbled`].
    pub async fn get_bytes(
        &self,
        path: &str,
        most: usize,
    ) -> Result<(HeaderMap, Bytes), CallError> {
        within(&self.address, CALL_MS, async {
            let response = self.ask(Method::GET, path, Bytes::new(), None).await?;
            let (head, body) = response.into_parts();
            Ok((head.headers, self.whole(body, most).await?))
        })
        .await
    }

    /// Opens the stream of JSON lines at `path`.
    ///
    /// # Errors
    /// Any [`CallError`].
    pub async fn lines<T: DeserializeOwned>(&self, path: &str) -> Result<Lines<T>, CallError> {
        let asking = self.ask(Method::GET, path, Bytes::new(), None);
        let response = within(&self.address, CALL_MS, asking).await?;
        Ok(Lines {
            address: self.address.clone(),
            body: response.into_body(),
            held: LineBuffer::new(ANSWER_BYTES),
            _keep: self.tasks.clone(),
            of: PhantomData,
        })
    }

    /// Passes a request for `path` on, with these headers and nothing else of it, and whatever is answered.
    ///
    /// # Errors
    /// [`CallError::Unreachable`] when no answer begins within [`CALL_MS`].
    pub async fn pass(
        &self,
        method: Method,
        path: &str,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Response<Kept>, CallError> {
        let mut request = self.request(method, self.uri(path)?, body);
        request.headers_mut().extend(headers);
        let response = within(&self.address, CALL_MS, self.send_any(request)).await?;
        Ok(response.map(|body| Kept { body, _keep: self.tasks.clone() }))
    }

    /// Opens a byte stream to `authority`, which is a node's name or [`wire::name::NODE_SSH`].
    ///
    /// # Errors
    /// Any [`CallError`].
    pub async fn connect(
        &self,
        authority: &str,
        headers: &[(&'static str, String)],
    ) -> Result<ByteStream, CallError> {
        let odd = |why: String| CallError::garbled(&self.address, why);
        let uri = Uri::builder().authority(authority).build().map_err(|e| odd(e.to_string()))?;
        let mut request = self.request(Method::CONNECT, uri, Bytes::new());
        for (name, value) in headers {
            let value = HeaderValue::from_str(value).map_err(|e| odd(e.to_string()))?;
            request.headers_mut().insert(HeaderName::from_static(name), value);
        }
        within(&self.address, DIAL_MS, async {
            let response = self.send(request).await?;
            let upgraded = hyper::upgrade::on(response).await;
            let upgraded = upgraded.map_err(|e| self.broken(&e))?;
            Ok(ByteStream::new(upgraded, self.tasks.spawner(), Some(self.tasks.clone())))
        })
        .await
    }

    async fn post_json<A: DeserializeOwned>(
        &self,
        path: &str,
        body: Bytes,
        kind: &'static str,
    ) -> Result<A, CallError> {
        within(&self.address, CALL_MS, async {
            let response = self.ask(Method::POST, path, body, Some(kind)).await?;
            let body = self.whole(response.into_body(), ANSWER_BYTES).await?;
            serde_json::from_slice(&body)
                .map_err(|e| CallError::garbled(&self.address, e.to_string()))
        })
        .await
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        kind: Option<&'static str>,
    ) -> Result<Response<Incoming>, CallError> {
        let mut request = self.request(method, self.uri(path)?, body);
        if let Some(kind) = kind {
            request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        }
        self.send(request).await
    }

    fn uri(&self, path: &str) -> Result<Uri, CallError> {
        Uri::builder()
            .scheme("https")
            .authority("scry.internal")
            .path_and_query(path)
            .build()
            .map_err(|e| CallError::garbled(&self.address, e.to_string()))
    }

    fn request(&self, method: Method, uri: Uri, body: Bytes) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        request.headers_mut().insert(VERSION_HEADER, HeaderValue::from_static(wire::VERSION));
        request
    }

    /// Sends a request; an answer that is no success becomes an error.
    async fn send(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, CallError> {
        let response = self.send_any(request).await?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let body = self.whole(response.into_body(), 64 * 1024).await?;
        Err(match serde_json::from_slice::<Failure>(&body) {
            Ok(failure) => CallError::Refused(failure),
            Err(_) => CallError::garbled(&self.address, format!("HTTP status {status}")),
        })
    }

    async fn send_any(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, CallError> {
        let mut sender = self.sender.clone();
        let sent = sender.try_send_request(request).await;
        sent.map_err(|mut e| match e.take_message() {
            Some(_unsent) => CallError::unreachable(&self.address, Trouble::Gone),
            None => self.broken(e.error()),
        })
    }

    async fn whole(&self, body: Incoming, most: usize) -> Result<Bytes, CallError> {
        match Limited::new(body, most).collect().await {
            Ok(whole) => Ok(whole.to_bytes()),
            Err(error) if error.is::<http_body_util::LengthLimitError>() => {
                Err(CallError::garbled(&self.address, format!("it is longer than {most} bytes")))
            }
            Err(error) => Err(self.broken(error.as_ref())),
        }
    }

    fn broken(&self, error: &(dyn std::error::Error + 'static)) -> CallError {
        CallError::unreachable(&self.address, Trouble::of(error))
    }
}

/// The body of an answer, read as it comes; holds its connection open. Dropping it ends the stream.
#[derive(Debug)]
pub struct Kept {
    body: Incoming,
    _keep: Tasks,
}

impl Body for Kept {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        poller: &mut Poller<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        Pin::new(&mut self.body).poll_frame(poller)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Values that arrive one a line.
#[derive(Debug)]
pub struct Lines<T> {
    address: String,
    body: Incoming,
    held: LineBuffer,
    _keep: Tasks,
    of: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> Lines<T> {
    /// The next value; `None` when the server has ended the stream. Not bounded in time. Nothing is lost if the
    /// future is dropped.
    ///
    /// # Errors
    /// [`CallError::Unreachable`] when the connection broke, [`CallError::Garbled`] on what is no such value.
    pub async fn next(&mut self) -> Result<Option<T>, CallError> {
        loop {
            let garbled = |words: String| CallError::garbled(&self.address, words);
            if let Some(line) = self.held.take().map_err(|error| garbled(error.to_string()))? {
                let value = serde_json::from_slice(&line);
                return value.map(Some).map_err(|error| garbled(error.to_string()));
            }
            match self.body.frame().await {
                None => return Ok(None),
                Some(Err(e)) => {
                    return Err(CallError::unreachable(&self.address, Trouble::of(&e)));
                }
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.held.push(&data);
                    }
                }
            }
        }
    }
}

async fn within<T>(
    address: &str,
    ms: u64,
    work: impl Future<Output = Result<T, CallError>>,
) -> Result<T, CallError> {
    match tokio::time::timeout(Duration::from_millis(ms), work).await {
        Ok(outcome) => outcome,
        Err(_) => Err(CallError::unreachable(address, Trouble::Slow { seconds: ms / 1000 })),
    }
}

//! The server's side of one connection: requests to a router, `CONNECT` streams to a carrier.

use super::routes::{failure, refusal};
use super::{
    ByteStream, CONNECTION_WINDOW, HEADER_BYTES, HTTP1_BYTES, PING_INTERVAL, PING_TIMEOUT,
};
use crate::duplex::Duplex;
use crate::tasks::{Spawner, Tasks};
use crate::tls::{Peer, PeerIdentity};
use axum::Router;
use axum::body::Body;
use axum::response::Response;
use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderValue, Method, Request};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use model::limit::{FIRST_REQUEST_MS, STREAM_WINDOW_BYTES, STREAMS_OF_NOBODY, STREAMS_PER_TUNNEL};
use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;
use wire::name::VERSION_HEADER;
use wire::{Failure, Fault};

const FIRST_REQUEST: Duration = Duration::from_millis(FIRST_REQUEST_MS);

/// A request to open a byte stream.
#[derive(Debug)]
pub struct Connect {
    /// Where to, as it was asked.
    pub authority: String,
    /// Who asks.
    pub peer: Peer,
    /// With these headers.
    pub headers: HeaderMap,
}

/// What to do with an accepted stream. Runs as a task of the connection.
pub type Accepted = Box<dyn FnOnce(ByteStream) -> BoxFuture<'static, ()> + Send>;

/// Decides about a `CONNECT`: what to do with its stream, or why not.
pub type Carrier =
    Arc<dyn Fn(Connect) -> BoxFuture<'static, Result<Accepted, Failure>> + Send + Sync>;

/// What a connection is served with. Cheap to clone.
#[derive(Clone)]
pub struct Service {
    router: Router,
    carrier: Option<Carrier>,
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Service").finish_non_exhaustive()
    }
}

impl Service {
    /// Requests go to `router`; `CONNECT` is refused.
    #[must_use]
    pub fn new(router: Router) -> Self {
        Self { router, carrier: None }
    }

    /// `CONNECT` goes to `carrier`.
    #[must_use]
    pub fn carrying(mut self, carrier: Carrier) -> Self {
        self.carrier = Some(carrier);
        self
    }
}

/// Serves HTTP/2 on one connection until the peer leaves, `stop` is called and open streams have ended, or the peer's
/// certificate expires and open streams have ended. A connection that asks nothing for [`FIRST_REQUEST_MS`] is closed,
/// unless a part of the cluster opened it: a proxy asks a node for something only when somebody comes.
/// Dropping the future ends everything at once.
///
/// # Errors
/// When the connection breaks or its peer does not speak HTTP/2.
pub async fn serve(
    stream: impl Duplex + 'static,
    peer: Peer,
    service: Service,
    stop: CancellationToken,
) -> Result<(), hyper::Error> {
    let tasks = Tasks::new();
    let asked = Arc::new(AtomicBool::new(may_be_silent(&peer.identity)));
    let expires = peer.expires;
    let streams = match peer.identity {
        PeerIdentity::Nobody => STREAMS_OF_NOBODY,
        _ => STREAMS_PER_TUNNEL,
    };
    let answering = answering(peer, service, tasks.spawner(), Arc::clone(&asked));
    let mut settings = hyper::server::conn::http2::Builder::new(tasks.spawner());
    settings
        .timer(TokioTimer::new())
        .initial_connection_window_size(CONNECTION_WINDOW)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .max_concurrent_streams(streams)
        .max_header_list_size(HEADER_BYTES)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT);
    let mut connection = pin!(settings.serve_connection(TokioIo::new(stream), answering));
    let mut closing = pin!(until_closing(expires, asked, FIRST_REQUEST, stop));
    let outcome = tokio::select! {
        outcome = connection.as_mut() => outcome,
        () = closing.as_mut() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    // Streams that were handed out end with the connection; their tasks see it at their next read.
    let _ = tokio::time::timeout(Duration::from_secs(1), tasks.ended()).await;
    outcome
}

/// Serves HTTP/1.1 on one connection, without `CONNECT`; for health checks and browsers. A WebSocket that began on it
/// ([`super::socket`]) is served to its end.
///
/// # Errors
/// When the connection breaks or its peer does not speak HTTP/1.1.
pub async fn serve_http1(
    stream: impl Duplex + 'static,
    peer: Peer,
    service: Service,
    stop: CancellationToken,
) -> Result<(), hyper::Error> {
    let tasks = Tasks::new();
    let asked = Arc::new(AtomicBool::new(true));
    let expires = peer.expires;
    let service = Service { carrier: None, ..service };
    let answering = answering(peer, service, tasks.spawner(), Arc::clone(&asked));
    let mut settings = hyper::server::conn::http1::Builder::new();
    settings.timer(TokioTimer::new()).header_read_timeout(FIRST_REQUEST);
    settings.max_buf_size(HTTP1_BYTES);
    let connection = settings.serve_connection(TokioIo::new(stream), answering).with_upgrades();
    let mut connection = pin!(connection);
    let outcome = tokio::select! {
        outcome = connection.as_mut() => outcome,
        () = until_closing(expires, asked, FIRST_REQUEST, stop) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    tasks.ended().await;
    outcome
}

fn may_be_silent(identity: &PeerIdentity) -> bool {
    matches!(identity, PeerIdentity::Node(_) | PeerIdentity::Proxy(_))
}

/// Until the service stops, the certificate expires, or nothing was asked for too long.
async fn until_closing(
    expires: Option<model::Time>,
    asked: Arc<AtomicBool>,
    patience: Duration,
    stop: CancellationToken,
) {
    let expired = async {
        match expires {
            Some(expires) => tokio::time::sleep(until(expires)).await,
            None => std::future::pending().await,
        }
    };
    let idle = async {
        tokio::time::sleep(patience).await;
        if asked.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = expired => {}
        () = idle => {}
    }
}

fn until(expires: model::Time) -> Duration {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let last = Duration::from_millis(u64::try_from(expires.0).unwrap_or(0));
    last.saturating_sub(now)
}

fn answering(
    peer: Peer,
    service: Service,
    spawner: Spawner,
    asked: Arc<AtomicBool>,
) -> impl hyper::service::Service<
    Request<Incoming>,
    Response = Response,
    Error = Infallible,
    Future = impl Future<Output = Result<Response, Infallible>> + Send + 'static,
> {
    service_fn(move |request: Request<Incoming>| {
        asked.store(true, Ordering::Relaxed);
        let (peer, service, spawner) = (peer.clone(), service.clone(), spawner.clone());
        async move {
            let mut response = respond(request, peer, service, spawner).await;
            let version = HeaderValue::from_static(wire::VERSION);
            response.headers_mut().insert(VERSION_HEADER, version);
            Ok(response)
        }
    })
}

async fn respond(
    mut request: Request<Incoming>,
    peer: Peer,
    service: Service,
    spawner: Spawner,
) -> Response {
    if let Some(theirs) = request.headers().get(VERSION_HEADER)
        && theirs.as_bytes() != wire::VERSION.as_bytes()
    {
        let theirs = String::from_utf8_lossy(theirs.as_bytes());
        let text = format!(
            "this server speaks version {} of scry's messages, the client version {theirs}: update the older one",
            wire::VERSION
        );
        return refusal(&failure(Fault::Malformed, &text));
    }
    if request.method() == Method::CONNECT {
        return carry(request, peer, service.carrier, spawner).await;
    }
    request.extensions_mut().insert(peer);
    request.extensions_mut().insert(spawner);
    match service.router.oneshot(request.map(Body::new)).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

async fn carry(
    mut request: Request<Incoming>,
    peer: Peer,
    carrier: Option<Carrier>,
    spawner: Spawner,
) -> Response {
    let Some(carrier) = carrier else {
        return refusal(&failure(Fault::NotFound, "no streams can be opened here"));
    };
    let authority = request.uri().authority().map(ToString::to_string).unwrap_or_default();
    let upgrade = hyper::upgrade::on(&mut request);
    let connect = Connect { authority, peer, headers: request.into_parts().0.headers };
    let accepted = match carrier(connect).await {
        Ok(accepted) => accepted,
        Err(refused) => return refusal(&refused),
    };
    let streams = spawner.clone();
    spawner.spawn(async move {
        match upgrade.await {
            Ok(upgraded) => accepted(ByteStream::new(upgraded, streams, None)).await,
            Err(error) => tracing::debug!(%error, "an accepted stream did not open"),
        }
    });
    Response::new(Body::empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_tunnel_may_be_silent_and_a_stranger_or_a_person_may_not() {
        let part = "front".parse::<model::NodeName>().unwrap();
        for (identity, silent) in [
            (PeerIdentity::Proxy(part.clone()), true),
            (PeerIdentity::Node(part), true),
            (PeerIdentity::User("alice".parse().unwrap()), false),
            (PeerIdentity::Nobody, false),
        ] {
            let asked = Arc::new(AtomicBool::new(may_be_silent(&identity)));
            let patience = Duration::from_millis(10);
            let closing = until_closing(None, asked, patience, CancellationToken::new());
            let waited = tokio::time::timeout(20 * patience, closing);
            assert_eq!(waited.await.is_err(), silent, "{identity:?}");
        }
    }
}

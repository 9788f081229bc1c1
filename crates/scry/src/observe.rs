//! What operators see of a running server: logs, metrics, health.

use crate::settings::LogFormat;
use anyhow::{Context as _, Result};
use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

/// Begins logging to standard error. The SSH library logs through the same door, at warnings only.
pub fn logs(filter: &str, format: LogFormat) -> Result<()> {
    let filter = EnvFilter::try_new(format!(
        "{filter},russh=warn,russh::server::encrypted=error,h2=warn,hyper=warn,sqlx=warn"
    ))
    .with_context(|| format!("{filter:?} is no log filter"))?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    match format {
        LogFormat::Text => builder.init(),
        LogFormat::Json => builder.json().flatten_event(true).init(),
    }
    Ok(())
}

/// Whether the server is ready to be sent people.
pub type Ready = Arc<AtomicBool>;

/// Begins collecting metrics.
pub fn metrics() -> Result<PrometheusHandle> {
    PrometheusBuilder::new().install_recorder().context("cannot collect metrics")
}

/// Serves `/healthz` (the process is alive), `/readyz` (all services serve; and what `trouble` says, which does not make it
/// less ready) and `/metrics` until cancelled.
pub async fn serve(
    listener: TcpListener,
    ready: Ready,
    trouble: Option<watch::Receiver<String>>,
    metrics: PrometheusHandle,
    stop: CancellationToken,
) -> Result<()> {
    let readiness = move || {
        let (status, mut words) = match ready.load(Ordering::Relaxed) {
            true => (StatusCode::OK, "ready\n".to_owned()),
            false => (StatusCode::SERVICE_UNAVAILABLE, "not ready\n".to_owned()),
        };
        if let Some(said) =
            trouble.as_ref().map(watch::Receiver::borrow).filter(|it| !it.is_empty())
        {
            words = format!("{words}{}\n", *said);
        }
        let answer = (status, words);
        std::future::ready(answer)
    };
    let router = Router::new()
        .route("/healthz", get(|| std::future::ready("ok\n")))
        .route("/readyz", get(readiness))
        .route("/metrics", get(move || std::future::ready(metrics.render())));
    axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await?;
    Ok(())
}

/// Binds an address, with words that say which.
pub async fn bind(address: SocketAddr, what: &str) -> Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address} for {what}; is another scry running?"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::task::JoinSet;

    async fn ask(address: SocketAddr, path: &str) -> String {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn readiness_tells_what_troubles_auth_and_is_not_less_ready_for_it() {
        let listener = bind("127.0.0.1:0".parse().unwrap(), "a test").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (ready, stop) = (Ready::default(), CancellationToken::new());
        let (tell, trouble) = watch::channel(String::new());
        let metrics = PrometheusBuilder::new().build_recorder().handle();
        let mut serving = JoinSet::new();
        serving.spawn(serve(listener, ready.clone(), Some(trouble), metrics, stop.clone()));
        let answer = ask(address, "/readyz").await;
        assert!(answer.starts_with("HTTP/1.1 503") && answer.ends_with("\r\nnot ready\n"));
        ready.store(true, Ordering::Relaxed);
        assert!(ask(address, "/readyz").await.ends_with("\r\nready\n"));
        tell.send_replace("auth's disk is full".to_owned());
        let answer = ask(address, "/readyz").await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(answer.ends_with("\r\nready\nauth's disk is full\n"), "{answer}");
        stop.cancel();
        serving.join_all().await;
    }
}

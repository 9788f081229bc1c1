//! `scry start`: auth, proxy and node in one process. They meet only over `link`, as they would on three machines.

use crate::cli::Invitation;
use crate::observe::{self, Ready};
use crate::settings::Settings;
use crate::show;
use anyhow::{Context as _, Result, bail};
use model::NodeName;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use store::keys::{ServerDir, ServerLock};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Serves until SIGINT or SIGTERM.
pub async fn run(settings: Settings) -> Result<()> {
    observe::logs(&settings.log, settings.log_format)?;
    let stop = CancellationToken::new();
    let mut cluster = Cluster::start(&settings, &stop).await?;
    show::line(format!(
        "scry {} serves the cluster `{}` on {}, data in {}",
        env!("CARGO_PKG_VERSION"),
        settings.cluster,
        cluster.address,
        settings.data_dir.display()
    ));
    if let Some(invitation) = &cluster.invitation {
        show::line(format!(
            "\nNobody has signed up yet. {} takes up this invitation within a day:\n\n    scry signup {invitation}\n",
            settings.admin
        ));
    }
    cluster.wait_until_ready().await?;
    show::line("ready");
    // Without systemd there is nobody to tell.
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
    let ended = tokio::select! {
        ended = cluster.next_end() => Some(ended),
        () = asked_to_stop() => None,
    };
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
    tracing::info!("stopping");
    stop.cancel();
    cluster.join().await;
    match ended {
        Some(Ok(name)) => bail!("{name} ended by itself"),
        Some(Err(error)) => Err(error),
        None => Ok(()),
    }
}

async fn asked_to_stop() {
    let term = async {
        match signal(SignalKind::terminate()) {
            Ok(mut term) => {
                term.recv().await;
            }
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = term => {}
    }
}

/// The running services.
pub struct Cluster {
    /// Where people and nodes connect to.
    pub address: SocketAddr,
    /// For the first admin, while nobody has signed up.
    pub invitation: Option<Invitation>,
    ready: Ready,
    node_ready: tokio::sync::watch::Receiver<bool>,
    services: JoinSet<Result<&'static str>>,
    /// Nobody else serves from this data folder.
    _lock: ServerLock,
}

impl Cluster {
    /// Starts everything; the services run from here on.
    pub async fn start(settings: &Settings, stop: &CancellationToken) -> Result<Self> {
        let folder = ServerDir::open(&settings.data_dir)?;
        let lock = folder.lock()?;
        let listener = observe::bind(settings.listen, "people and nodes").await?.into_std()?;
        let address = listener.local_addr()?;
        let public =
            settings.public_address.clone().unwrap_or_else(|| reachable(address).to_string());
        let mut services = JoinSet::new();

        let auth = auth::prepare(auth::Config {
            data_dir: folder.auth(),
            listen: settings.auth_listen,
            cluster: settings.cluster.clone(),
            admin: Some(settings.admin.clone()),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        })
        .await
        .context("auth cannot start")?;
        let (auth_address, pin) = (auth.address(), auth.pin().to_owned());
        let invitation = auth.invitation().map(|code| Invitation {
            address: public.clone(),
            pin: pin.clone(),
            code: code.to_owned(),
        });
        let join_token = auth.join_token().to_owned();
        let token = stop.child_token();
        services.spawn(async move {
            auth::serve(auth, token).await.context("auth failed")?;
            Ok("auth")
        });

        let proxy =
            proxy_config(listener, auth_address, &pin, &join_token, &settings.cluster).await?;
        let token = stop.child_token();
        services.spawn(async move {
            proxy::serve(proxy, token).await.context("proxy failed")?;
            Ok("proxy")
        });

        let (tell, node_ready) = tokio::sync::watch::channel(false);
        let node = node::Config {
            name: settings.node_name.clone(),
            also_known_as: Vec::new(),
            labels: settings.labels.clone(),
            data_dir: folder.node(),
            proxies: vec![reachable(address).to_string()],
            pin,
            join_token: Some(join_token),
            exe: own_path()?,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ready: tell,
        };
        let token = stop.child_token();
        services.spawn(async move {
            node::serve(node, token).await.context("node failed")?;
            Ok("node")
        });

        let ready = Ready::default();
        let diagnostics = observe::bind(settings.diagnostics_listen, "diagnostics").await?;
        let metrics = observe::metrics()?;
        let (flag, token) = (ready.clone(), stop.child_token());
        services.spawn(async move {
            observe::serve(diagnostics, flag, metrics, token)
                .await
                .context("diagnostics failed")?;
            Ok("diagnostics")
        });
        Ok(Self { address, invitation, ready, node_ready, services, _lock: lock })
    }

    /// Waits until the node has its tunnel, so that the first `scry ssh` finds it.
    pub async fn wait_until_ready(&mut self) -> Result<()> {
        let mut node_ready = self.node_ready.clone();
        let waited = tokio::time::timeout(Duration::from_secs(30), async {
            tokio::select! {
                ended = self.next_end() => {
                    let name = ended?;
                    bail!("{name} ended before it was ready");
                }
                ready = node_ready.wait_for(|ready| *ready) => Ok(ready.map(|_| ())?),
            }
        });
        waited.await.context("the node did not reach the proxy within 30 s")??;
        self.ready.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// The next service that ends.
    pub async fn next_end(&mut self) -> Result<&'static str> {
        match self.services.join_next().await {
            Some(ended) => ended.context("a service panicked")?,
            None => bail!("no service runs"),
        }
    }

    /// Waits for everything to end after the stop token was cancelled; who is late is aborted and named in its own log.
    pub async fn join(mut self) {
        let grace = Duration::from_millis(model::limit::SHUTDOWN_MS * 2);
        let all = async { while self.services.join_next().await.is_some() {} };
        if tokio::time::timeout(grace, all).await.is_err() {
            tracing::warn!(late = self.services.len(), "services did not stop in time");
            self.services.shutdown().await;
        }
    }
}

/// A proxy keeps nothing: it joins anew at each start, and what it renews it may forget.
struct KeepNothing;

impl proxy::Keep for KeepNothing {
    fn keep(&self, _: &wire::node::PartCredentials) -> std::io::Result<()> {
        Ok(())
    }
}

async fn proxy_config(
    listener: std::net::TcpListener,
    auth: SocketAddr,
    pin: &str,
    join_token: &str,
    cluster: &NodeName,
) -> Result<proxy::Config> {
    let keys = proxy::Keys::make()?;
    let also_known_as = vec![format!("proxy.{cluster}")];
    let trust = link::tls::Trust::Pin(pin.to_owned());
    let (auth, name) = (auth.to_string(), "proxy".parse()?);
    let part = proxy::join(&auth, &trust, join_token, &name, &also_known_as, &keys)
        .await
        .context("the proxy cannot join")?;
    let credentials = proxy::Credentials { keys, part };
    Ok(proxy::Config { listener, auth, credentials, keep: Arc::new(KeepNothing), also_known_as })
}

/// An address to connect to for one that was listened on.
fn reachable(address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        SocketAddr::from(([127, 0, 0, 1], address.port()))
    } else {
        address
    }
}

/// The binary, for session processes.
pub fn own_path() -> Result<PathBuf> {
    std::env::current_exe().context("cannot find scry's own path")
}

//! `scry start`: auth, proxy and node in one process, or some of them. They meet only over `link`, as they would on
//! machines of their own.

use crate::cli::Invitation;
use crate::observe::{self, Ready};
use crate::settings::{Settings, Shape};
use crate::shown::Shown;
use crate::{front_door, show};
use anyhow::{Context as _, Result, anyhow, bail};
use model::NodeName;
use sd_notify::NotifyState;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use store::keys::{ServerDir, ServerLock};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// How long everything may take to be reachable before somebody is told.
const PATIENCE: Duration = Duration::from_secs(30);

/// Serves until SIGINT or SIGTERM.
pub async fn run(settings: Settings) -> Result<()> {
    observe::logs(&settings.log, settings.log_format)?;
    let stop = CancellationToken::new();
    let mut cluster = Cluster::start(&settings, &stop).await?;
    greet(&settings, &cluster);
    let ended = serve(&settings, &mut cluster).await;
    // Without systemd there is nobody to tell.
    let _ = sd_notify::notify(&[NotifyState::Stopping]);
    tracing::info!("stopping");
    stop.cancel();
    cluster.join().await;
    match ended {
        Some(Ok(name)) => bail!("{name} ended by itself"),
        Some(Err(error)) => Err(error),
        None => Ok(()),
    }
}

fn greet(settings: &Settings, cluster: &Cluster) {
    let (version, data) = (env!("CARGO_PKG_VERSION"), settings.data_dir.display());
    let (name, there) = (&settings.cluster, cluster.proxies.join(", "));
    let what = match (settings.roles, cluster.address) {
        (Shape::Auth, Some(address)) => format!("is auth of the cluster `{name}` on {address}"),
        (Shape::Proxy, Some(address)) => format!("is a proxy on {address}"),
        (_, Some(address)) => format!("serves the cluster `{name}` on {address}"),
        (_, None) => format!("runs the node {} of the cluster at {there}", cluster.node_name),
    };
    show::line(format!("scry {version} {what}, data in {data}"));
    if let Some(invitation) = &cluster.proxy {
        show::line(format!(
            "\nA proxy on this machine joins within the hour, once; one that has joined needs no invitation:\n\n    \
             scry start --roles proxy --join {invitation}\n"
        ));
    }
    if let Some(invitation) = &cluster.invitation {
        show::line(format!(
            "\nNobody has signed up yet. {} takes up this invitation within a day:\n\n    scry signup {invitation}\n\n\
             or in a browser, which has to be told to trust this cluster's certificate:\n\n    {}\n",
            settings.admin,
            invitation.page()
        ));
    }
}

/// Until a service ends or somebody asks to stop. Says when people can be sent here.
async fn serve(settings: &Settings, cluster: &mut Cluster) -> Option<Result<&'static str>> {
    let (mut reachable, ready) = (cluster.reachable.clone(), cluster.ready.clone());
    let asked = asked_to_stop();
    let late = tokio::time::sleep(PATIENCE);
    tokio::pin!(asked, late);
    let (mut told, mut waits) = (false, true);
    loop {
        tokio::select! {
            ended = cluster.next_end() => return Some(ended),
            () = &mut asked => return None,
            // The sender goes with its service, whose end is the news then.
            Ok(_) = reachable.wait_for(|up| *up), if !told => {
                told = true;
                ready.store(true, Ordering::Relaxed);
                show::line("ready");
                let _ = sd_notify::notify(&[NotifyState::Ready, NotifyState::Status("serves")]);
            }
            () = &mut late, if !told && waits => {
                waits = false;
                let seconds = PATIENCE.as_secs();
                if settings.roles != Shape::Node {
                    return Some(Err(anyhow!("the node did not reach the proxy within {seconds} s")));
                }
                // Its cluster may be away for long; sessions that a crash left are taken care of meanwhile.
                let words = format!("{} not reached yet; trying on", cluster.proxies.join(", "));
                tracing::warn!("{words}");
                let _ = sd_notify::notify(&[NotifyState::Ready, NotifyState::Status(&words)]);
            }
        }
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
    /// Where people and nodes connect to; none with a node alone.
    pub address: Option<SocketAddr>,
    /// For the first admin, while nobody has signed up.
    pub invitation: Option<Invitation>,
    /// For a proxy in another process.
    proxy: Option<Invitation>,
    node_name: NodeName,
    /// What the node dials.
    proxies: Vec<String>,
    ready: Ready,
    /// People can be sent here.
    reachable: watch::Receiver<bool>,
    services: JoinSet<Result<&'static str>>,
    /// The node, which is stopped before the others: they take what its sessions come to.
    node: JoinSet<Result<&'static str>>,
    /// Stops the others.
    last: CancellationToken,
    /// Looks after this process's memory.
    _rest: JoinSet<()>,
    /// Nobody else serves from these folders.
    _locks: Vec<ServerLock>,
}

/// What auth and proxy of this process are to others.
#[derive(Default)]
struct Served {
    address: Option<SocketAddr>,
    invitation: Option<Invitation>,
    proxy: Option<Invitation>,
    /// For the node beside them.
    join: Option<node::Invitation>,
    /// What keeps auth from working as it should.
    trouble: Option<watch::Receiver<String>>,
}

impl Cluster {
    /// Starts what the settings ask for; the services run from here on.
    pub async fn start(settings: &Settings, stop: &CancellationToken) -> Result<Self> {
        let folder = ServerDir::open(&settings.data_dir)?;
        // Before anything counts.
        let metrics = observe::metrics()?;
        let (mut services, mut nodes) = (JoinSet::new(), JoinSet::new());
        let last = CancellationToken::new();
        let mut locks = Vec::new();
        let (tell, reachable) = watch::channel(false);
        let served = match settings.roles {
            Shape::All | Shape::Cluster => {
                locks.push(folder.lock("auth")?);
                if settings.acme.is_some() {
                    locks.push(folder.lock("proxy")?);
                }
                auth_and_proxy(settings, &folder, &last, &mut services).await?
            }
            Shape::Auth => {
                locks.push(folder.lock("auth")?);
                auth_alone(settings, &folder, &last, &mut services).await?
            }
            Shape::Proxy => {
                locks.push(folder.lock("proxy")?);
                proxy_alone(settings, &folder, &last, &mut services).await?
            }
            Shape::Node => Served::default(),
        };
        let Served { address, invitation, proxy, join, trouble } = served;
        let mut node_name = settings.host_name.clone();
        let mut proxies = Vec::new();
        if matches!(settings.roles, Shape::All | Shape::Node) {
            locks.push(folder.lock("node")?);
            let beside = address.zip(join);
            let node = node_config(settings, &folder, beside, tell)?;
            (node_name, proxies) = (node.name.clone(), node.proxies.clone());
            let token = stop.child_token();
            nodes.spawn(async move {
                node::serve(node, token).await.context("node failed")?;
                Ok("node")
            });
        } else {
            // The port is bound, and what must have joined has.
            tell.send_replace(true);
        }
        let ready = Ready::default();
        let diagnostics = observe::bind(settings.diagnostics_listen, "diagnostics").await?;
        let (flag, token) = (ready.clone(), last.child_token());
        services.spawn(async move {
            observe::serve(diagnostics, flag, trouble, metrics, token)
                .await
                .context("diagnostics failed")?;
            Ok("diagnostics")
        });
        let mut rest = JoinSet::new();
        rest.spawn(host::give_back_at_rest());
        Ok(Self {
            address,
            invitation,
            proxy,
            node_name,
            proxies,
            ready,
            reachable,
            services,
            node: nodes,
            last,
            _rest: rest,
            _locks: locks,
        })
    }

    /// Waits until the node has its tunnel, so that the first `scry ssh` finds it.
    pub async fn wait_until_ready(&mut self) -> Result<()> {
        let mut reachable = self.reachable.clone();
        let waited = tokio::time::timeout(PATIENCE, async {
            tokio::select! {
                ended = self.next_end() => {
                    let name = ended?;
                    bail!("{name} ended before it was ready");
                }
                ready = reachable.wait_for(|ready| *ready) => Ok(ready.map(|_| ())?),
            }
        });
        waited.await.context("the node did not reach the proxy within 30 s")??;
        self.ready.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// The next service that ends.
    pub async fn next_end(&mut self) -> Result<&'static str> {
        let ended = tokio::select! {
            Some(ended) = self.node.join_next() => ended,
            Some(ended) = self.services.join_next() => ended,
            else => bail!("no service runs"),
        };
        ended.context("a service panicked")?
    }

    /// Waits for everything to end after the stop token was cancelled, the node first; who is late is aborted and named in
    /// its own log.
    pub async fn join(mut self) {
        end(&mut self.node).await;
        self.last.cancel();
        end(&mut self.services).await;
    }
}

async fn end(services: &mut JoinSet<Result<&'static str>>) {
    let grace = Duration::from_millis(model::limit::SHUTDOWN_MS * 2);
    let all = async { while services.join_next().await.is_some() {} };
    if tokio::time::timeout(grace, all).await.is_err() {
        tracing::warn!(late = services.len(), "services did not stop in time");
        services.shutdown().await;
    }
}

fn auth_config(settings: &Settings, folder: &ServerDir) -> Result<auth::Config> {
    let alone = settings.roles == Shape::Auth;
    Ok(auth::Config {
        data_dir: folder.auth(),
        listen: settings.auth_listen,
        cluster: settings.cluster.clone(),
        admin: Some(settings.admin.clone()),
        proxy: if alone { Some(front_door::NAME.parse()?) } else { None },
        bounds: settings.bounds,
        version: env!("CARGO_PKG_VERSION").to_owned(),
    })
}

/// Starts the cluster itself.
async fn auth_and_proxy(
    settings: &Settings,
    folder: &ServerDir,
    stop: &CancellationToken,
    services: &mut JoinSet<Result<&'static str>>,
) -> Result<Served> {
    let shown = Shown::begin(settings, &folder.proxy())?;
    let listener = observe::bind(settings.listen, "people and nodes").await?.into_std()?;
    let address = listener.local_addr()?;
    let auth = auth::prepare(auth_config(settings, folder)?).await.context("auth cannot start")?;
    let invitation = first_invitation(settings, &auth, address);
    let (auth_address, pin) = (auth.address(), auth.pin().to_owned());
    let join_token = auth.join_token().to_owned();
    let trouble = Some(auth.storage());
    spawn_auth(auth, stop, services);
    let web_names = web_names(settings, address);
    let proxy = proxy_config(listener, auth_address, &pin, &join_token, web_names, &shown).await?;
    spawn_proxy(proxy, stop, services);
    shown.keep(stop, services);
    let join = Some(node::Invitation { pin, token: join_token });
    Ok(Served { address: Some(address), invitation, proxy: None, join, trouble })
}

/// Auth, whose proxy is another process of this machine, so that either can be restarted alone.
async fn auth_alone(
    settings: &Settings,
    folder: &ServerDir,
    stop: &CancellationToken,
    services: &mut JoinSet<Result<&'static str>>,
) -> Result<Served> {
    let auth = auth::prepare(auth_config(settings, folder)?).await.context("auth cannot start")?;
    let address = auth.address();
    let proxy = auth.proxy_invitation().map(|code| Invitation {
        address: reachable(address).to_string(),
        pin: auth.pin().to_owned(),
        code: code.to_owned(),
    });
    let invitation = first_invitation(settings, &auth, settings.listen);
    let trouble = Some(auth.storage());
    spawn_auth(auth, stop, services);
    Ok(Served { address: Some(address), invitation, proxy, join: None, trouble })
}

async fn proxy_alone(
    settings: &Settings,
    folder: &ServerDir,
    stop: &CancellationToken,
    services: &mut JoinSet<Result<&'static str>>,
) -> Result<Served> {
    let shown = Shown::begin(settings, &folder.proxy())?;
    let listener = observe::bind(settings.listen, "people and nodes").await?.into_std()?;
    let address = listener.local_addr()?;
    let kept = front_door::Folder::open(&folder.proxy())?;
    let web_names = web_names(settings, address);
    let (auth, credentials) = kept.stand(settings.join.as_ref(), &web_names).await?;
    let keep = Arc::new(kept);
    let (web, challenges) = (shown.badges.clone(), shown.challenges.clone());
    let config = proxy::Config { listener, auth, credentials, keep, web_names, web, challenges };
    spawn_proxy(config, stop, services);
    shown.keep(stop, services);
    Ok(Served { address: Some(address), ..Served::default() })
}

fn spawn_auth(
    auth: auth::Prepared,
    stop: &CancellationToken,
    services: &mut JoinSet<Result<&'static str>>,
) {
    let token = stop.child_token();
    services.spawn(async move {
        auth::serve(auth, token).await;
        Ok("auth")
    });
}

fn spawn_proxy(
    proxy: proxy::Config,
    stop: &CancellationToken,
    services: &mut JoinSet<Result<&'static str>>,
) {
    let token = stop.child_token();
    services.spawn(async move {
        proxy::serve(proxy, token).await.context("proxy failed")?;
        Ok("proxy")
    });
}

/// The first admin's, with the address by which people reach the proxy.
fn first_invitation(
    settings: &Settings,
    auth: &auth::Prepared,
    proxy: SocketAddr,
) -> Option<Invitation> {
    let public = settings.public_address.clone();
    Some(Invitation {
        address: public.unwrap_or_else(|| reachable(proxy).to_string()),
        pin: auth.pin().to_owned(),
        code: auth.invitation()?.to_owned(),
    })
}

/// A node beside its cluster, or one that finds it by invitation or by what it kept.
fn node_config(
    settings: &Settings,
    folder: &ServerDir,
    beside: Option<(SocketAddr, node::Invitation)>,
    ready: watch::Sender<bool>,
) -> Result<node::Config> {
    let joined = node::joined(&folder.node())?;
    let own = beside.is_some();
    let (address, invitation) = match (beside, &settings.join) {
        (Some((address, join)), _) => (Some(reachable(address).to_string()), Some(join)),
        (None, Some(join)) => {
            let invitation = node::Invitation { pin: join.pin.clone(), token: join.code.clone() };
            (Some(join.address.clone()), Some(invitation))
        }
        (None, None) => (None, None),
    };
    let (name, kept) = joined.map(|joined| (joined.name, joined.proxies)).unzip();
    let proxies = match (settings.proxies.is_empty() || own, address) {
        (false, _) => settings.proxies.clone(),
        (true, Some(address)) => vec![address],
        (true, None) => kept.unwrap_or_default(),
    };
    if proxies.is_empty() {
        return Err(node::Error::NotInvited.into());
    }
    let said = settings.node_name.clone();
    Ok(node::Config {
        name: said.or(name).unwrap_or_else(|| settings.host_name.clone()),
        labels: settings.labels.clone(),
        data_dir: folder.node(),
        listen: settings.ssh_listen,
        proxies,
        invitation,
        own,
        exe: own_path()?,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ready,
    })
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
    web_names: Vec<String>,
    shown: &Shown,
) -> Result<proxy::Config> {
    let keys = proxy::Keys::make()?;
    let trust = link::tls::Trust::Pin(pin.to_owned());
    let (auth, name) = (auth.to_string(), "proxy".parse()?);
    let part = proxy::join(&auth, &trust, join_token, &name, &web_names, &keys)
        .await
        .context("the proxy cannot join")?;
    let credentials = proxy::Credentials { keys, part };
    let keep = Arc::new(KeepNothing);
    let (web, challenges) = (shown.badges.clone(), shown.challenges.clone());
    Ok(proxy::Config { listener, auth, credentials, keep, web_names, web, challenges })
}

/// What browsers may call a proxy that listens at `address`: this machine, and what others are told.
fn web_names(settings: &Settings, address: SocketAddr) -> Vec<String> {
    let public = settings.public_address.as_deref().and_then(|public| {
        let (host, _) = public.rsplit_once(':')?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
        let known = host.parse::<NodeName>().is_ok() || host.parse::<IpAddr>().is_ok();
        known.then_some(host)
    });
    let bound = Some(address.ip()).filter(|ip| !ip.is_unspecified()).map(|ip| ip.to_string());
    let mut names: Vec<_> = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).into();
    names.extend(public.into_iter().chain(bound));
    names.sort_unstable();
    names.dedup();
    names
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

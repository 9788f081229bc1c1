//! Forwards of a connection: ports and sockets in both directions, the agent and the display, with the user's rights,
//! each in the ledger and in the connection's own recording.

use crate::clock;
use crate::connection::Caller;
use crate::connection_record::ConnectionRecord;
use crate::news::Known;
use crate::serve::Post;
use crate::verdict::Verdict;
use crate::ways::{Way, Ways};
use host::{Net, NetError, X11Plan};
use link::Duplex;
use link::ssh::server::{Direct, Listen, Opener, Place, Refusal, X11Wish};
use link::ssh::{Carried, Pipe};
use model::SessionId;
use model::audit::Audited;
use model::entry::{Ending, Forward};
use model::limit::LISTENERS_PER_CONNECTION;
use model::role::Forwarding;
use policy::{Denial, ForwardPermit};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::OnceCell;
use tokio::task::JoinSet;
use tokio_util::sync::{CancellationToken, DropGuard};

/// How long forwards of a connection that is gone may take to say so.
const LAST: Duration = Duration::from_secs(1);
/// Port of SSH servers.
const SSH: u16 = 22;

/// Forwards of one connection. The helper with the user's rights is started at the first need.
pub(crate) struct Forwards {
    shared: Arc<Shared>,
    /// Cancelled, a listener takes no more connections; those it has go on.
    listeners: BTreeMap<Place, CancellationToken>,
    agent: Option<(PathBuf, CancellationToken)>,
    tasks: JoinSet<()>,
    /// Writes the connection's own recording.
    recording: JoinSet<()>,
}

/// A display that was lent to a session. Dropped, it takes no more connections.
pub(crate) struct Display {
    pub plan: X11Plan,
    _stop: DropGuard,
}

impl Forwards {
    pub fn new(post: Arc<Post>, caller: Caller, opener: Opener) -> Self {
        let cut = CancellationToken::new();
        let (record, work) = ConnectionRecord::new(Arc::clone(&post), caller.clone(), cut.clone());
        let mut recording = JoinSet::new();
        recording.spawn(work);
        let (net, ways) = (OnceCell::new(), Ways::new(cut.clone()));
        Self {
            shared: Arc::new(Shared { post, caller, opener, net, record, cut, ways }),
            listeners: BTreeMap::new(),
            agent: None,
            tasks: JoinSet::new(),
            recording,
        }
    }

    /// Completes when a forward has ended; never when there is none.
    pub async fn reap(&mut self) {
        if self.tasks.join_next().await.is_none() {
            std::future::pending::<()>().await;
        }
    }

    /// The connection's own recording, once it has begun.
    pub fn recording(&self) -> Option<SessionId> {
        self.shared.record.id()
    }

    /// Lets nothing through any more.
    pub fn cut(&self) {
        self.shared.cut.cancel();
    }

    /// Cuts what is open and no longer allowed as things stand at this moment.
    pub fn judge_again(&mut self, known: &Known) {
        for what in self.shared.ways.open() {
            let Caller { identity, login, .. } = &self.shared.caller;
            let (facts, now) = (&self.shared.post.facts, clock::now());
            let roles = &known.roles;
            let Err(denial) = policy::forward_goes_on(roles, identity, facts, login, what, now)
            else {
                continue;
            };
            self.shared.caller.denied(&denial);
            self.shared.ways.cut(what);
            match what {
                Forwarding::Remote => self.listeners.clear(),
                Forwarding::Agent => self.agent = None,
                Forwarding::Local | Forwarding::X11 => {}
            }
        }
    }

    /// Ends all of them, and the connection's recording. Of a connection that is gone each ends by itself and says so;
    /// else, or late, they are cut.
    pub async fn end(&mut self, verdict: &Verdict) {
        self.listeners.values().for_each(CancellationToken::cancel);
        if let Some((_, stop)) = &self.agent {
            stop.cancel();
        }
        if *verdict == Verdict::Gone {
            let _ = tokio::time::timeout(LAST, finish(&mut self.tasks)).await;
        }
        self.shared.cut.cancel();
        if tokio::time::timeout(LAST, finish(&mut self.tasks)).await.is_err() {
            self.tasks.shutdown().await;
        }
        let ending = match verdict {
            Verdict::Gone => Ending::Disconnected,
            verdict => Ending::Stopped { why: verdict.why().to_owned() },
        };
        self.shared.record.end(ending).await;
        if tokio::time::timeout(LAST, finish(&mut self.recording)).await.is_err() {
            self.recording.shutdown().await;
        }
    }

    /// `-L`, `-D`.
    pub fn direct(&mut self, direct: Direct, known: &Known) {
        let by = match &direct.origin {
            Some((host, port)) => {
                format!("{} (says the client)", Place::Port { host: host.clone(), port: *port })
            }
            None => "the client".to_owned(),
        };
        let asked = Asked { what: Forwarding::Local, target: direct.to.to_string(), by };
        // Taken before it is decided, so that what is decided again in between reaches it.
        let way = self.shared.ways.take(Forwarding::Local);
        let permit = self.shared.permit(known, Forwarding::Local);
        let shared = Arc::clone(&self.shared);
        self.tasks.spawn(async move {
            let permit = match permit {
                Ok(permit) => permit,
                Err(denial) => {
                    shared.refused(&asked, denial.why()).await;
                    return direct.reject(Refusal::Prohibited).await;
                }
            };
            match shared.dial(&permit, &direct.to).await {
                Err(why) => {
                    shared.failed(&asked, why).await;
                    direct.reject(Refusal::Unreachable).await;
                }
                Ok(Stream::Tcp(stream)) => {
                    if is_own_ssh(&stream) {
                        let target = asked.target.clone();
                        shared.caller.tell(Audited::ForwardAround { target });
                    }
                    shared.carry(asked, &way, async { Some(direct.accept().await) }, stream).await;
                }
                Ok(Stream::Unix(stream)) => {
                    shared.carry(asked, &way, async { Some(direct.accept().await) }, stream).await;
                }
            }
        });
    }

    /// `-R`.
    pub async fn listen(&mut self, listen: Listen, known: &Known) {
        let (what, at) = (Forwarding::Remote, listen.at.clone());
        let way = self.shared.ways.take(what);
        let asked = Asked { what, target: at.to_string(), by: "the client".to_owned() };
        let permit = match self.shared.permit(known, what) {
            Ok(permit) => permit,
            Err(denial) => {
                self.shared.refused(&asked, denial.why()).await;
                return listen.refuse();
            }
        };
        let bound = if self.listeners.len() >= LISTENERS_PER_CONNECTION {
            Err(format!("a connection listens on {LISTENERS_PER_CONNECTION} sockets at most"))
        } else {
            self.shared.bind(&permit, &at).await
        };
        let (at, port, socket) = match bound {
            Ok(bound) => bound,
            Err(why) => {
                self.shared.failed(&asked, why).await;
                return listen.refuse();
            }
        };
        if !listen.grant(port) {
            return self.shared.forget(&at).await;
        }
        let stop = CancellationToken::new();
        self.listeners.insert(at.clone(), stop.clone());
        let shared = Arc::clone(&self.shared);
        self.tasks.spawn(async move {
            let waiting = Waiting { what, at: at.to_string(), target: at.to_string() };
            let opener = shared.opener.clone();
            let place = at.clone();
            let open = move |from: Origin| {
                let (opener, place) = (opener.clone(), place.clone());
                async move { opener.forwarded(&place, from.0).await.ok() }
            };
            waiting.serve(&shared, socket, (stop, way), false, open).await;
            shared.forget(&at).await;
        });
    }

    /// The end of a `-R`.
    pub fn unlisten(&mut self, at: &Place) {
        if let Some(stop) = self.listeners.remove(at) {
            stop.cancel();
        }
    }

    /// The socket by which programs reach the client's agent; one a connection.
    pub async fn lend_agent(&mut self, known: &Known) -> Option<PathBuf> {
        if let Some((path, _)) = &self.agent {
            return Some(path.clone());
        }
        let what = Forwarding::Agent;
        let way = self.shared.ways.take(what);
        let permit = self.permit_of_session(known, what).await?;
        let made = async {
            self.shared.record.ready().await?;
            let net = self.shared.net().await.map_err(|error| error.to_string())?;
            net.agent(&permit).await.map_err(|error| error.to_string())
        };
        let (listener, path) = match made.await {
            Ok(made) => made,
            Err(why) => {
                self.shared.failed(&Asked::by_session(what), why).await;
                return None;
            }
        };
        let stop = CancellationToken::new();
        self.agent = Some((path.clone(), stop.clone()));
        let (shared, at) = (Arc::clone(&self.shared), path.display().to_string());
        self.tasks.spawn(async move {
            let waiting = Waiting { what, at, target: client_side(what).to_owned() };
            let opener = shared.opener.clone();
            let open = move |_| {
                let opener = opener.clone();
                async move { opener.agent().await.ok() }
            };
            waiting.serve(&shared, Sockets::Unix(listener), (stop, way), false, open).await;
        });
        Some(path)
    }

    /// A display for one session.
    pub async fn lend_display(&mut self, wish: &X11Wish, known: &Known) -> Option<Display> {
        let what = Forwarding::X11;
        let way = self.shared.ways.take(what);
        let permit = self.permit_of_session(known, what).await?;
        let made = async {
            self.shared.record.ready().await?;
            let net = self.shared.net().await.map_err(|error| error.to_string())?;
            net.display(&permit).await.map_err(|error| error.to_string())
        };
        let lent = made.await.and_then(|(number, listeners)| {
            let plan = X11Plan::new(number, wish.screen, &wish.protocol, &wish.cookie);
            let plan = plan.ok_or("the client's X11 cookie is none")?;
            Ok((number, listeners, plan))
        });
        let (number, listeners, plan) = match lent {
            Ok(lent) => lent,
            Err(why) => {
                self.shared.failed(&Asked::by_session(what), why).await;
                return None;
            }
        };
        let stop = CancellationToken::new();
        let (shared, stopped, single) = (Arc::clone(&self.shared), stop.clone(), wish.single);
        self.tasks.spawn(async move {
            let at = format!("localhost:{number}");
            let waiting = Waiting { what, at, target: client_side(what).to_owned() };
            let opener = shared.opener.clone();
            let open = move |from: Origin| {
                let opener = opener.clone();
                async move { opener.x11(from.0).await.ok() }
            };
            waiting.serve(&shared, Sockets::Tcp(listeners), (stopped, way), single, open).await;
        });
        Some(Display { plan, _stop: stop.drop_guard() })
    }

    /// What a session asked for and did not get.
    pub async fn refused_in_session(&self, what: Forwarding, known: &Known) {
        let why = match self.shared.permit(known, what) {
            Err(denial) => {
                return self.shared.refused(&Asked::by_session(what), denial.why()).await;
            }
            Ok(_) if what == Forwarding::X11 => "this machine has no xauth, or it was asked twice",
            Ok(_) => "it was not allowed when the connection was opened",
        };
        self.shared.failed(&Asked::by_session(what), why.to_owned()).await;
    }

    async fn permit_of_session(&self, known: &Known, what: Forwarding) -> Option<ForwardPermit> {
        match self.shared.permit(known, what) {
            Ok(permit) => Some(permit),
            Err(denial) => {
                self.shared.refused(&Asked::by_session(what), denial.why()).await;
                None
            }
        }
    }
}

async fn finish(tasks: &mut JoinSet<()>) {
    while tasks.join_next().await.is_some() {}
}

/// What tasks of a connection share.
struct Shared {
    post: Arc<Post>,
    caller: Caller,
    opener: Opener,
    net: OnceCell<Net>,
    record: ConnectionRecord,
    /// Cancelled, nothing goes through any more.
    cut: CancellationToken,
    ways: Ways,
}

/// Something to be reached.
struct Asked {
    what: Forwarding,
    target: String,
    by: String,
}

impl Asked {
    fn by_session(what: Forwarding) -> Self {
        Self { what, target: client_side(what).to_owned(), by: "a session".to_owned() }
    }
}

enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

enum Sockets {
    Tcp(Vec<TcpListener>),
    Unix(UnixListener),
}

impl Shared {
    fn permit(&self, known: &Known, what: Forwarding) -> Result<ForwardPermit, Denial> {
        let Caller { identity, login, .. } = &self.caller;
        let facts = &self.post.facts;
        policy::forward(&known.roles, identity, facts, login, what, clock::now())
            .inspect_err(|denial| self.caller.denied(denial))
    }

    /// The helper with the user's rights, started once. It takes a permit of its own: rights may have changed.
    async fn net(&self) -> Result<&Net, NetError> {
        self.net
            .get_or_try_init(|| async {
                let permit = self.caller.permit(&self.post);
                let permit = permit.map_err(|denial| NetError::Refused { why: denial.public() })?;
                let client = self.caller.client.map(|client| client.ip().to_canonical());
                Net::start(&self.post.host, &permit, client).await
            })
            .await
    }

    /// Connects, once there is a recording that says so.
    async fn dial(&self, permit: &ForwardPermit, to: &Place) -> Result<Stream, String> {
        self.record.ready().await?;
        let net = self.net().await.map_err(|error| self.not_started(error))?;
        let dialled = match to {
            Place::Port { host, port } => {
                let port = u16::try_from(*port).map_err(|_| format!("there is no port {port}"))?;
                net.dial(permit, host, port).await.map(Stream::Tcp)
            }
            Place::Socket { path } => net.dial_socket(permit, path).await.map(Stream::Unix),
        };
        dialled.map_err(|error| error.to_string())
    }

    /// Listens: where it really is, the port to tell the client, and the sockets.
    async fn bind(
        &self,
        permit: &ForwardPermit,
        at: &Place,
    ) -> Result<(Place, u32, Sockets), String> {
        self.record.ready().await?;
        let net = self.net().await.map_err(|error| self.not_started(error))?;
        match at {
            Place::Port { host, port } => {
                let wanted =
                    u16::try_from(*port).map_err(|_| format!("there is no port {port}"))?;
                let listener = net.listen(permit, host, wanted).await;
                let listener = listener.map_err(|error| error.to_string())?;
                let real = listener.local_addr().map_or(*port, |address| address.port().into());
                let place = Place::Port { host: host.clone(), port: real };
                Ok((place, real, Sockets::Tcp(vec![listener])))
            }
            Place::Socket { path } => {
                let listener = net.listen_socket(permit, path).await;
                let listener = listener.map_err(|error| error.to_string())?;
                Ok((at.clone(), 0, Sockets::Unix(listener)))
            }
        }
    }

    /// Has a socket removed that nobody waits at any more.
    async fn forget(&self, at: &Place) {
        if let (Place::Socket { path }, Some(net)) = (at, self.net.get()) {
            // Without the helper the socket is gone already.
            let _ = net.forget_socket(path).await;
        }
    }

    /// A machine that lets the account in no more says so in the ledger as such.
    fn not_started(&self, error: NetError) -> String {
        let why = error.to_string();
        if let NetError::Refused { .. } = error {
            self.caller.tell(Audited::AccountRefused { why: why.clone() });
        }
        why
    }

    async fn refused(&self, asked: &Asked, why: String) {
        if self.record.ready().await.is_ok() {
            let Asked { what, target, by } = asked;
            let (what, target, by) = (*what, target.clone(), by.clone());
            self.record.take(Forward::Refused { what, target, by, why }).await;
        }
    }

    async fn failed(&self, asked: &Asked, why: String) {
        tracing::debug!(target = asked.target, why, "a forward cannot be opened");
        self.caller.tell(Audited::ForwardFailed {
            direction: asked.what.word().to_owned(),
            target: asked.target.clone(),
            why: why.clone(),
        });
        self.refused(asked, why).await;
    }

    /// Carries bytes between the client's channel and a stream of the node, recorded from its beginning to its end.
    async fn carry(
        &self,
        asked: Asked,
        way: &Way,
        open: impl Future<Output = Option<Pipe>>,
        stream: impl Duplex,
    ) {
        if let Err(why) = self.record.ready().await {
            return self.failed(&asked, why).await;
        }
        let Some(pipe) = open.await else {
            return self.failed(&asked, "the client did not take it".to_owned()).await;
        };
        let (id, began) = (self.record.next_id(), clock::tick());
        let Asked { what, target, by } = asked;
        let direction = what.word().to_owned();
        let opened = Forward::Opened { id, what, target: target.clone(), by };
        self.record.take(opened).await;
        self.caller
            .tell(Audited::ForwardOpened { direction: direction.clone(), target: target.clone() });
        let (carried, output) = (Carried::default(), pipe.output.clone());
        let joined = way.cut.run_until_cancelled(pipe.join_counted(stream, &carried)).await;
        let result = match (joined, output.fate()) {
            (None, _) => "ended by rule".to_owned(),
            (Some(()), Some(fate)) => fate.to_owned(),
            (Some(()), None) if self.opener.is_closed() => "the connection ended".to_owned(),
            (Some(()), None) => "closed".to_owned(),
        };
        output.close().await;
        // The pipe counts from the client and to the client; so do ledger and recording.
        let (sent, received) = carried.so_far();
        let ms = clock::tick().since(began);
        self.record.take(Forward::Closed { id, sent, received, ms, result }).await;
        self.caller.tell(Audited::ForwardClosed { direction, target, sent, received });
    }
}

/// Who connected to a socket of ours, for the client, and in words.
type Origin = ((String, u32), String);

/// A socket that waits for connections that go to the client.
struct Waiting {
    what: Forwarding,
    at: String,
    target: String,
}

impl Waiting {
    async fn serve<F>(
        self,
        shared: &Arc<Shared>,
        sockets: Sockets,
        (stop, way): (CancellationToken, Way),
        single: bool,
        open: impl Fn(Origin) -> F,
    ) where
        F: Future<Output = Option<Pipe>> + Send + 'static,
    {
        let Self { what, at, target } = self;
        let direction = what.word().to_owned();
        shared.record.take(Forward::Listening { what, at: at.clone() }).await;
        shared
            .caller
            .tell(Audited::ForwardListening { direction: direction.clone(), at: at.clone() });
        let mut pipes = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                accepted = sockets.accept() => accepted,
                Some(_) = pipes.join_next() => continue,
                () = stop.cancelled() => break,
                () = way.cut.cancelled() => break,
            };
            let Some((stream, origin)) = accepted else { break };
            let asked = Asked { what, target: target.clone(), by: origin.1.clone() };
            let (shared, way, pipe) = (Arc::clone(shared), way.clone(), open(origin));
            pipes.spawn(async move {
                match stream {
                    Stream::Tcp(stream) => shared.carry(asked, &way, pipe, stream).await,
                    Stream::Unix(stream) => shared.carry(asked, &way, pipe, stream).await,
                }
            });
            if single {
                break;
            }
        }
        drop(sockets);
        shared.record.take(Forward::Stopped { what, at: at.clone() }).await;
        shared.caller.tell(Audited::ForwardStopped { direction, at });
        while pipes.join_next().await.is_some() {}
    }
}

impl Sockets {
    /// The next connection; `None` when the socket fails.
    async fn accept(&self) -> Option<(Stream, Origin)> {
        match self {
            Self::Unix(listener) => {
                let (stream, _) = listener.accept().await.ok()?;
                let words = peer_words(&stream);
                Some((Stream::Unix(stream), (("".to_owned(), 0), words)))
            }
            Self::Tcp(listeners) => {
                let accepting = listeners.iter().map(|listener| Box::pin(listener.accept()));
                let (accepted, ..) = futures_util::future::select_all(accepting).await;
                let (stream, from) = accepted.ok()?;
                let _ = stream.set_nodelay(true);
                let origin = (from.ip().to_string(), u32::from(from.port()));
                Some((Stream::Tcp(stream), (origin, from.to_string())))
            }
        }
    }
}

/// Which process connected, as the kernel says; its name is as it stood a moment later.
fn peer_words(stream: &UnixStream) -> String {
    let Ok(peer) = stream.peer_cred() else { return "a process of the node".to_owned() };
    let Some(pid) = peer.pid() else { return format!("uid {}", peer.uid()) };
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    let name: String = name.trim_end().chars().filter(|c| !c.is_control()).collect();
    format!("uid {}, process {pid} ({name})", peer.uid())
}

/// What lies at the client's end of a service.
fn client_side(what: Forwarding) -> &'static str {
    match what {
        Forwarding::X11 => "the client's display",
        _ => "the client's agent",
    }
}

/// Whether a connection leads to the SSH port of this very machine, where nobody records.
fn is_own_ssh(stream: &TcpStream) -> bool {
    let ip =
        |address: std::io::Result<SocketAddr>| address.map(|address| address.ip().to_canonical());
    let Ok(to) = stream.peer_addr() else { return false };
    let own = ip(stream.local_addr()).is_ok_and(|own: IpAddr| own == to.ip().to_canonical());
    to.port() == SSH && (own || to.ip().to_canonical().is_loopback())
}

//! Who asks: each route names a proof, and only this file can make one. A handler without a proof cannot be written.

use crate::auth::Auth;
use crate::browser::Browser;
use crate::budget::Counted;
use crate::clock;
use crate::error::Refusal;
use crate::ledger;
use http::HeaderMap;
use link::{Peer, PeerIdentity};
use model::audit::Audited;
use model::limit::CLOCK_SKEW_MS;
use model::role::{AdminRight, RoleSet};
use model::{AuditEvent, NodeName, Time, UserName};
use policy::{AdminPermit, Identity};
use std::future::Future;
use std::net::IpAddr;
use std::time::Duration;
use store::tables::{Part, PartKind, WebSession};
use tokio::sync::{broadcast, watch};
use wire::Fault;
use wire::route::Who;
use wire::web::SetSession;

/// Kinds of identity that a connection can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// No certificate.
    Nobody,
    /// A person's.
    Person,
    /// A node's.
    Node,
    /// A proxy's.
    Proxy,
}

impl Kind {
    /// All of them.
    pub const ALL: &'static [Self] = &[Self::Nobody, Self::Person, Self::Node, Self::Proxy];

    /// The kind of a connection's identity.
    pub fn of(identity: &PeerIdentity) -> Self {
        match identity {
            PeerIdentity::Nobody => Self::Nobody,
            PeerIdentity::User(_) => Self::Person,
            PeerIdentity::Node(_) => Self::Node,
            PeerIdentity::Proxy(_) => Self::Proxy,
        }
    }
}

/// One request: who sent it, from where, and what for.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Who asks. Of what a proxy asks for a browser: who is signed in there, and where the browser is.
    peer: Peer,
    /// The browser, if it is one that asks.
    browser: Option<Browser>,
    /// The route, for the ledger.
    route: &'static str,
}

impl Asked {
    /// A request on a route.
    pub fn new(peer: Peer, route: &'static str) -> Self {
        Self { peer, browser: None, route }
    }

    /// Sees for whom a proxy asks, if it asks for a browser. Only here a header counts for who somebody is, and only a proxy's
    /// that is a part of the cluster.
    pub async fn look_behind(&mut self, auth: &Auth, headers: &HeaderMap) -> Result<(), Refusal> {
        if self.kind() != Kind::Proxy || !Browser::is_meant(headers) {
            return Ok(());
        }
        self.admit(&[Kind::Proxy])?;
        let proxy = joined(auth, self).await?;
        let (browser, peer) = Browser::read(auth, proxy.name, headers).await?;
        (self.browser, self.peer) = (Some(browser), peer);
        Ok(())
    }

    /// What the browser's cookie becomes by this request, if it becomes another.
    pub fn set_session(&self) -> Option<&SetSession> {
        self.browser.as_ref().and_then(Browser::given)
    }

    /// Number of the web session by which somebody asks in a browser.
    pub fn web_session(&self) -> Option<u64> {
        self.browser.as_ref().and_then(|browser| browser.session.as_ref()).map(|it| it.number)
    }

    /// Completes when a person who was let in would be so no more: they have signed out, they are locked, or their account or
    /// their time is over; and when a machine was removed, or has another key. An answer that takes long ends with it.
    pub async fn shut_out(self, auth: &Auth) {
        match self.kind() {
            Kind::Nobody => return std::future::pending().await,
            Kind::Node | Kind::Proxy => return self.removed(auth).await,
            Kind::Person => {}
        }
        let mut changes = Changes::of(auth);
        loop {
            let told = Member::identify(auth, self.clone()).await;
            if let Err(refusal) = told
                && matches!(refusal.fault(), Fault::Unauthenticated | Fault::Denied)
            {
                return;
            }
            let left = self.peer.expires.map(|expires| expires.0.saturating_sub(clock::now().0));
            let left = left.and_then(|ms| u64::try_from(ms).ok()).unwrap_or(SHUT_OUT_MS);
            let wait = Duration::from_millis(left.saturating_add(1).min(SHUT_OUT_MS));
            let _ = tokio::time::timeout(wait, changes.next()).await;
        }
    }

    /// Completes when a machine counts no more.
    async fn removed(&self, auth: &Auth) {
        let mut changed = auth.tables.watch_parts();
        loop {
            if let Err(refusal) = joined(auth, self).await
                && refusal.fault() == Fault::Denied
            {
                return;
            }
            if changed.changed().await.is_err() {
                // Auth is stopping.
                return std::future::pending().await;
            }
        }
    }

    /// The route.
    pub fn route(&self) -> &'static str {
        self.route
    }

    /// Where it came from.
    pub fn address(&self) -> IpAddr {
        self.peer.address.ip().to_canonical()
    }

    /// An event that this request brought about.
    pub fn event(&self, what: Audited) -> AuditEvent {
        let mut event = ledger::event_of(&self.peer.identity, what);
        event.address = Some(self.address().to_string());
        event.via = self.browser.as_ref().map(|browser| browser.proxy.clone());
        event
    }

    /// Puts a denial into the ledger, or counts it when this one is denied much.
    pub async fn audit(&self, auth: &Auth, refusal: &Refusal) {
        let Some((action, why)) = refusal.to_audit() else { return };
        metrics::counter!("scry_auth_denials").increment(1);
        tracing::info!(peer = %self.peer.identity, route = self.route, action, why, "denied");
        let who = Counted::asks(&self.peer.identity, self.address(), self.route);
        if !auth.denials().tells(who, clock::tick()) {
            return;
        }
        let what = Audited::Denied { action: action.to_owned(), why: why.to_owned() };
        let event = AuditEvent { session: refusal.recording(), ..self.event(what) };
        auth.ledger.tell(vec![event]).await;
    }

    /// What sort of peer asks.
    pub fn kind(&self) -> Kind {
        Kind::of(&self.peer.identity)
    }

    /// Refuses kinds of identity that the route is not for, and certificates that have run out on an open connection.
    fn admit(&self, accepts: &[Kind]) -> Result<(), Refusal> {
        if self.peer.expires.is_some_and(|expires| expires < clock::now()) {
            return Err(Refusal::new(
                Fault::Unauthenticated,
                "the certificate has expired: sign in again",
            ));
        }
        if accepts.contains(&self.kind()) {
            return Ok(());
        }
        if self.kind() == Kind::Nobody {
            return Err(Refusal::new(Fault::Unauthenticated, "sign in first"));
        }
        let why = format!("{} is not for a {:?}'s identity", self.route, self.kind());
        Err(Refusal::denied(
            self.route,
            &why.to_lowercase(),
            "this is not for your kind of identity",
        ))
    }
}

/// Longest time between two looks whether somebody is still let in.
const SHUT_OUT_MS: u64 = 60_000;

/// What may end that somebody is let in, as it comes about.
pub struct Changes {
    roles: watch::Receiver<u64>,
    web: broadcast::Receiver<u64>,
}

impl Changes {
    /// From this moment on.
    pub fn of(auth: &Auth) -> Self {
        Self { roles: auth.tables.watch_roles(), web: auth.tables.watch_web_sessions() }
    }

    /// The next one. Cancel safe.
    pub async fn next(&mut self) {
        tokio::select! {
            changed = self.roles.changed() => if changed.is_err() {
                // Auth is stopping.
                std::future::pending::<()>().await;
            },
            // Of those that were missed one may be meant.
            _ = self.web.recv() => {}
        }
    }
}

/// What a handler must be given to be called.
pub trait Proof: Sized + Send + 'static {
    /// Kinds of identity that can have it.
    const ACCEPTS: &'static [Kind];
    /// Who has it in a browser; nobody if nothing is said.
    const WHO: Option<Who>;

    /// Makes it, from the identity of the connection and what the database says of it at this moment.
    fn prove(auth: &Auth, asked: Asked) -> impl Future<Output = Result<Self, Refusal>> + Send;
}

/// Anybody, with or without an identity. For signing up, signing in and joining: the secret is the proof.
#[derive(Debug, Clone)]
pub struct Anybody {
    /// The request.
    pub asked: Asked,
}

impl Proof for Anybody {
    const ACCEPTS: &'static [Kind] = Kind::ALL;
    const WHO: Option<Who> = Some(Who::Anybody);

    async fn prove(_auth: &Auth, asked: Asked) -> Result<Self, Refusal> {
        Ok(Self { asked })
    }
}

/// A person whose account exists and who is not locked out, with the roles that the account has at this moment.
#[derive(Debug, Clone)]
pub struct Member {
    /// The request.
    pub asked: Asked,
    /// Who.
    pub name: UserName,
    /// For `policy`.
    pub identity: Identity,
    /// What decides.
    pub roles: RoleSet,
}

impl Proof for Member {
    const ACCEPTS: &'static [Kind] = &[Kind::Person];
    const WHO: Option<Who> = Some(Who::Member);

    async fn prove(auth: &Auth, asked: Asked) -> Result<Self, Refusal> {
        let member = Self::identify(auth, asked).await?;
        member.has_shown_enough(auth)?;
        Ok(member)
    }
}

/// Said to who has signed in in a browser without the second factor that their roles demand.
const SECOND_FIRST: &str = "your roles demand a second factor: add one first, or, if you have one, sign out and sign in with it";

impl Member {
    /// Who it is, and that they may use the cluster. Whether they have shown what their roles demand is another question.
    async fn identify(auth: &Auth, asked: Asked) -> Result<Self, Refusal> {
        asked.admit(Self::ACCEPTS)?;
        let PeerIdentity::User(name) = &asked.peer.identity else {
            return Err(Refusal::new(Fault::Unauthenticated, "sign in first"));
        };
        let gone = || Refusal::new(Fault::Unauthenticated, "there is no such account any more");
        let user = auth.tables.user(name).await?.ok_or_else(gone)?;
        if asked.peer.since.is_some_and(|since| is_older(since, user.created)) {
            // It was signed for an account of this name that was removed.
            return Err(gone());
        }
        let expires = asked.peer.expires.unwrap_or_else(clock::now);
        let identity = Identity::of_account(user.name.clone(), user.roles, user.logins, expires);
        let roles = auth.tables.roles().await?;
        policy::enter(&roles, &identity, clock::now())?;
        if let Some(session) = asked.web_session()
            && !auth.tables.web_session_counts(session, clock::now()).await?
        {
            // It counted when this began; what goes on asks again.
            return Err(Refusal::new(Fault::Unauthenticated, "you have signed out: sign in again"));
        }
        Ok(Self { name: user.name, identity, roles, asked })
    }
}

/// Whether a certificate was signed before that moment. It begins earlier than it was signed, on a whole second.
fn is_older(since: Time, moment: Time) -> bool {
    since.plus_ms(CLOCK_SKEW_MS + 1000) < moment
}

impl Member {
    /// Whether they have signed in in a browser without the second factor that their roles demand. Certificates are not given to
    /// such people.
    pub fn lacks_second_factor(&self) -> bool {
        let session = self.asked.browser.as_ref().and_then(|browser| browser.session.as_ref());
        session.is_some_and(|session| session.begun.factors.is_empty())
            && policy::demands_second_factor(&self.roles, &self.identity)
    }

    /// Pages ask by themselves, again and again: the ledger hears of a web session now and then, not of each request.
    fn has_shown_enough(&self, auth: &Auth) -> Result<(), Refusal> {
        if !self.lacks_second_factor() {
            return Ok(());
        }
        let refusal = Refusal::new(Fault::Denied, SECOND_FIRST);
        let session = self.asked.web_session();
        let new = session.is_some_and(|session| auth.unproven.take(session, clock::tick()));
        let why = "a role demands a second factor, and none was shown in this web session";
        Err(if new { refusal.with_audit(self.asked.route(), why.to_owned()) } else { refusal })
    }

    /// Proof of a right over a part of the cluster.
    pub fn admin(&self, right: AdminRight) -> Result<AdminPermit, Refusal> {
        Ok(policy::admin(&self.roles, &self.identity, right, clock::now())?)
    }
}

/// Anybody with a browser, signed in or not.
#[derive(Debug)]
pub struct Surfer {
    /// The request.
    pub asked: Asked,
    /// The browser.
    pub browser: Browser,
}

impl Proof for Surfer {
    const ACCEPTS: &'static [Kind] = &[Kind::Nobody, Kind::Person];
    const WHO: Option<Who> = Some(Who::Anybody);

    async fn prove(_auth: &Auth, asked: Asked) -> Result<Self, Refusal> {
        asked.admit(Self::ACCEPTS)?;
        let browser = asked.browser.clone().ok_or_else(|| only_in_a_browser(&asked))?;
        Ok(Self { asked, browser })
    }
}

fn only_in_a_browser(asked: &Asked) -> Refusal {
    let words = "this is asked in a browser: open the address of the proxy in one";
    let refusal = Refusal::new(Fault::Denied, words);
    match asked.kind() {
        Kind::Nobody => refusal,
        _ => refusal.with_audit(asked.route(), "it was asked outside of a browser".to_owned()),
    }
}

/// A person who is signed in in a browser, be it only to add the second factor that their roles demand.
#[derive(Debug)]
pub struct SignedIn {
    /// Who.
    pub member: Member,
    /// The browser.
    pub browser: Browser,
    /// What they are signed in by.
    pub session: WebSession,
}

impl Proof for SignedIn {
    const ACCEPTS: &'static [Kind] = Member::ACCEPTS;
    const WHO: Option<Who> = Some(Who::SignedIn);

    async fn prove(auth: &Auth, asked: Asked) -> Result<Self, Refusal> {
        let member = Member::identify(auth, asked).await?;
        let outside = || only_in_a_browser(&member.asked);
        let browser = member.asked.browser.clone().ok_or_else(outside)?;
        let session = browser.session.clone().ok_or_else(outside)?;
        Ok(Self { member, browser, session })
    }
}

/// As [`SignedIn`], who may use the cluster: what a proxy asks for its browsers, with a key of its own.
#[derive(Debug)]
pub struct Carried {
    /// Who, in which browser.
    pub by: SignedIn,
}

impl Proof for Carried {
    const ACCEPTS: &'static [Kind] = Member::ACCEPTS;
    const WHO: Option<Who> = None;

    async fn prove(auth: &Auth, asked: Asked) -> Result<Self, Refusal> {
        let by = SignedIn::prove(auth, asked).await?;
        by.member.has_shown_enough(auth)?;
        Ok(Self { by })
    }
}

macro_rules! administrator {
    ($($(#[$doc:meta])* $name:ident $right:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name {
            /// Who.
            pub member: Member,
            _permit: AdminPermit,
        }

        impl Proof for $name {
            const ACCEPTS: &'static [Kind] = Member::ACCEPTS;
            const WHO: Option<Who> = Some(Who::Admin(AdminRight::$right));

            async fn prove(auth: &Auth, asked: Asked) -> Result<Self, Refusal> {
                let member = Member::prove(auth, asked).await?;
                let _permit = member.admin(AdminRight::$right)?;
                Ok(Self { member, _permit })
            }
        }
    )*};
}

administrator! {
    /// A person who may administer users.
    UserAdmin Users;
    /// A person who may administer roles.
    RoleAdmin Roles;
    /// A person who may administer nodes.
    NodeAdmin Nodes;
    /// A person who may read the ledger.
    Auditor Audit;
    /// A person who may lock and lift locks.
    LockAdmin Locks;
}

/// A node that has joined and was not removed.
#[derive(Debug)]
pub struct NodePart {
    /// What is known of it.
    pub part: Part,
}

impl NodePart {
    /// Its name.
    pub fn name(&self) -> &NodeName {
        &self.part.name
    }
}

impl Proof for NodePart {
    const ACCEPTS: &'static [Kind] = &[Kind::Node];
    const WHO: Option<Who> = None;

    async fn prove(auth: &Auth, asked: Asked) -> Result<Self, Refusal> {
        asked.admit(Self::ACCEPTS)?;
        Ok(Self { part: joined(auth, &asked).await? })
    }
}

/// A proxy that has joined and was not removed.
#[derive(Debug)]
pub struct ProxyPart {
    /// What is known of it.
    pub part: Part,
}

impl Proof for ProxyPart {
    const ACCEPTS: &'static [Kind] = &[Kind::Proxy];
    const WHO: Option<Who> = None;

    async fn prove(auth: &Auth, asked: Asked) -> Result<Self, Refusal> {
        asked.admit(Self::ACCEPTS)?;
        Ok(Self { part: joined(auth, &asked).await? })
    }
}

/// A node or proxy that has joined and was not removed.
#[derive(Debug)]
pub struct AnyPart {
    /// The request.
    pub asked: Asked,
    /// What is known of it.
    pub part: Part,
}

impl Proof for AnyPart {
    const ACCEPTS: &'static [Kind] = &[Kind::Node, Kind::Proxy];
    const WHO: Option<Who> = None;

    async fn prove(auth: &Auth, asked: Asked) -> Result<Self, Refusal> {
        asked.admit(Self::ACCEPTS)?;
        let part = joined(auth, &asked).await?;
        Ok(Self { asked, part })
    }
}

/// An identity of any kind that still counts.
#[derive(Debug)]
pub struct Known;

impl Proof for Known {
    const ACCEPTS: &'static [Kind] = &[Kind::Person, Kind::Node, Kind::Proxy];
    const WHO: Option<Who> = Some(Who::Member);

    async fn prove(auth: &Auth, asked: Asked) -> Result<Self, Refusal> {
        asked.admit(Self::ACCEPTS)?;
        match asked.kind() {
            Kind::Person => drop(Member::prove(auth, asked).await?),
            _ => drop(AnyPart::prove(auth, asked).await?),
        }
        Ok(Self)
    }
}

async fn joined(auth: &Auth, asked: &Asked) -> Result<Part, Refusal> {
    let (kind, name) = match &asked.peer.identity {
        PeerIdentity::Node(name) => (PartKind::Node, name),
        PeerIdentity::Proxy(name) => (PartKind::Proxy, name),
        _ => return Err(Refusal::new(Fault::Unauthenticated, "join the cluster first")),
    };
    let found = auth.tables.part(kind, name).await?;
    let refused = |why: &str| {
        let why = format!("{} {why}", asked.peer.identity);
        let words = "this machine is no part of the cluster any more: invite it anew with \
                     `scry nodes invite`, and let it join again";
        Refusal::denied(asked.route, &why, words)
    };
    let part = found.ok_or_else(|| refused("has a certificate, but is no part of the cluster"))?;
    // A machine that was removed keeps a certificate until it expires, and its name may be another's now.
    if part.tls_key.is_some() && part.tls_key != asked.peer.key {
        return Err(refused("shows a key that is not the one of the machine that has this name"));
    }
    Ok(part)
}

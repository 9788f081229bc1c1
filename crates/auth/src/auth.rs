//! What all of auth's handlers share, and how it is put together at the start.

use crate::bodies::Bodies;
use crate::budget::{Denials, Reports};
use crate::clock;
use crate::error::Error;
use crate::gate::Asked;
use crate::inflow::Inflow;
use crate::keys::Keys;
use crate::lately::Lately;
use crate::ledger::Ledger;
use crate::live::Live;
use crate::looks::Looks;
use crate::password::Passwords;
use crate::porch::Porch;
use crate::previews::Previewed;
use crate::sealing::{Sealer, SealerWork};
use crate::shelf::Shelf;
use crate::signin::throttled;
use crate::steps::Steps;
use crate::storage::Storage;
use crate::throttle::{FAILURES_PER_ADDRESS, Throttle};
use crate::{Config, factors, ledger, secret};
use link::tcp::network;
use model::audit::Audited;
use model::limit::{BALLAST_BYTES, INVITATION_MS, JOIN_TOKEN_MS, JOIN_TOKENS, SIGN_IN_FAILURES};
use model::{AuditEvent, NodeName, RoleName, SessionId, Time, UserName};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use store::disk::Ballast;
use store::intake::Intake;
use store::tables::{JoinToken, PartKind, Tables, User};
use subtle::ConstantTimeEq;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use wire::people::ClusterFacts;

/// How long parts of the same process may join with its own token after the start.
const OWN_TOKEN_MS: i64 = 10 * 60 * 1000;

/// Auth, as its handlers see it.
pub struct Auth {
    /// The cluster's name.
    pub cluster: String,
    /// Pin of the TLS authority.
    pub pin: String,
    pub keys: Arc<Keys>,
    pub tables: Tables,
    pub intake: Intake,
    pub ledger: Arc<Ledger>,
    pub inflow: Arc<Inflow>,
    pub sealer: Sealer,
    pub storage: Arc<Storage>,
    /// Recordings that are played.
    pub shelf: Shelf,
    /// Who is shown small pictures of what.
    pub previewed: Previewed,
    /// Web sessions that wanted more than what was shown in them allows.
    pub unproven: Lately<u64>,
    /// Who looked for what in a browser, and found nothing that they may see.
    pub sought: Lately<(UserName, Option<UserName>, Option<String>)>,
    /// Recordings that lie in the place of others.
    pub exchanged: Lately<(SessionId, SessionId)>,
    /// Who looks at sessions that go on.
    pub looks: Looks,
    pub passwords: Passwords,
    /// Failed sign-ins by address. Locked for a look-up; handlers run side by side.
    throttle: Mutex<Throttle<IpAddr>>,
    /// Codes of links that did not count, by who showed them and at which node; none is auth itself: what a node says of
    /// somebody counts there only. Locked for a look-up.
    codes: Mutex<Throttle<(Option<NodeName>, UserName)>>,
    /// What was denied lately. Locked to count.
    denials: Mutex<Denials>,
    /// What parts reported lately. Locked to count.
    reports: Mutex<Reports>,
    /// Terminals that wait to be let in. Locked for a look-up.
    arrivals: Mutex<Porch>,
    /// The sessions that go on. Locked to put a node's word there or to take it; nothing is decided meanwhile.
    live: Mutex<Live>,
    /// Changes of users and roles, one after the other, because each asks whether an admin is left.
    pub people_turn: tokio::sync::Mutex<()>,
    /// Joins and removals of parts, one after the other, because each asks who has the name.
    pub parts_turn: tokio::sync::Mutex<()>,
    /// For parts of this process.
    pub own_token: OwnToken,
    /// Bodies of requests under way.
    pub bodies: Bodies,
    /// Requests under way; they outlive their connections. Their number is bounded by the streams of connections.
    pub work: TaskTracker,
    /// Ends the streams.
    pub stop: CancellationToken,
}

/// The join token of parts in the same process: never written down, good for minutes.
pub struct OwnToken {
    text: String,
    expires: Time,
}

impl OwnToken {
    fn fresh() -> Self {
        Self { text: secret::fresh(), expires: clock::now().plus_ms(OWN_TOKEN_MS) }
    }

    /// The token.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether this is it, and it still counts.
    pub fn fits(&self, token: &str) -> bool {
        bool::from(self.text.as_bytes().ct_eq(token.as_bytes())) && clock::now() <= self.expires
    }
}

impl Auth {
    /// Opens keys, database and recordings; makes what is missing at the first start.
    /// Answers also the sealer's work, and what this start invites.
    pub async fn open(config: &Config) -> Result<(Self, SealerWork, Invited), Error> {
        store::keys::ensure_dir(&config.data_dir).map_err(Error::Directory)?;
        let ballast = Ballast::new(&config.data_dir.join("ballast"), BALLAST_BYTES);
        let ballast = ballast.map_err(Error::Disk)?;
        ballast.relieve();
        ballast.renew();
        let database = config.data_dir.join("scry.db");
        let cluster = config.cluster.to_string();
        let keys = Keys::open(&config.data_dir.join("keys"), &cluster, !database.exists())?;
        let keys = Arc::new(keys);
        let tables = Tables::open(&database).await?;
        found(&tables, &cluster).await?;
        factors::seal_all(&tables, &keys.factors).await?;
        let invited = Invited {
            admin: invite_first_admin(&tables, config).await?,
            proxy: invite_proxy(&tables, config).await?,
        };
        let intake = Intake::open(&config.data_dir).await?;
        let ledger = Arc::new(Ledger::new(tables.clone(), keys.ledger.clone(), &config.data_dir));
        let storage = Storage::new(&config.data_dir, ballast, config.bounds);
        let storage = Arc::new(storage.map_err(Error::Disk)?);
        storage.note(tables.recording_bytes().await?);
        let inflow = Inflow {
            cluster: cluster.clone(),
            tables: tables.clone(),
            intake: intake.clone(),
            keys: Arc::clone(&keys),
            storage: Arc::clone(&storage),
            lanes: Mutex::default(),
            seats: Arc::default(),
            steps: Steps::default(),
        };
        let (sealer, work) = Sealer::new();
        let auth = Self {
            cluster,
            pin: keys.tls.pin()?,
            keys,
            tables,
            intake,
            ledger,
            inflow: Arc::new(inflow),
            sealer,
            storage,
            shelf: Shelf::new(),
            previewed: Previewed::default(),
            unproven: Lately::default(),
            sought: Lately::default(),
            exchanged: Lately::default(),
            looks: Looks::new(),
            passwords: Passwords::new().await?,
            throttle: Mutex::new(Throttle::new(FAILURES_PER_ADDRESS)),
            codes: Mutex::new(Throttle::new(SIGN_IN_FAILURES)),
            denials: Mutex::default(),
            reports: Mutex::default(),
            arrivals: Mutex::default(),
            live: Mutex::default(),
            people_turn: tokio::sync::Mutex::default(),
            parts_turn: tokio::sync::Mutex::default(),
            own_token: OwnToken::fresh(),
            bodies: Bodies::default(),
            work: TaskTracker::new(),
            stop: CancellationToken::new(),
        };
        Ok((auth, work, invited))
    }

    /// What nodes say of the sessions that go on.
    pub fn live(&self) -> MutexGuard<'_, Live> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was denied lately.
    pub fn denials(&self) -> MutexGuard<'_, Denials> {
        self.denials.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What parts reported lately.
    pub fn reports(&self) -> MutexGuard<'_, Reports> {
        self.reports.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the ledger how many denials have no event of their own.
    pub async fn own_up(&self, at_the_end: bool) {
        let untold = self.denials().own_up(clock::tick(), at_the_end);
        let events = untold.into_iter().map(|(who, count)| {
            let what = Audited::DenialsNotListed { route: who.route.to_owned(), count };
            let address = who.network.map(|network| network.to_string());
            AuditEvent { address, ..ledger::event_of(&who.identity, what) }
        });
        self.ledger.tell(events.collect()).await;
    }

    /// Terminals that wait to be let in.
    pub fn arrivals(&self) -> MutexGuard<'_, Porch> {
        self.arrivals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether somebody at this address has tried too often.
    pub fn waits(&self, address: IpAddr) -> bool {
        let throttle = self.throttle.lock().unwrap_or_else(PoisonError::into_inner);
        throttle.refuses(&network(address), clock::tick())
    }

    /// Somebody at this address showed a wrong secret. This machine's own users share one address:
    /// for them the bound by user has to do. Answers what is to be told if it is with this one that the address has to wait.
    pub fn note_failed(&self, asked: &Asked) -> Option<AuditEvent> {
        self.note_failed_at(asked.address(), |what| asked.event(what))
    }

    /// As [`Auth::note_failed`], of an address that another part of the cluster names.
    pub fn note_failed_at(
        &self,
        address: IpAddr,
        event: impl Fn(Audited) -> AuditEvent,
    ) -> Option<AuditEvent> {
        if address.is_loopback() {
            return None;
        }
        let mut throttle = self.throttle.lock().unwrap_or_else(PoisonError::into_inner);
        let full = throttle.failed(network(address), clock::tick());
        full.then(|| event(throttled("address")))
    }

    /// Whether somebody has shown too many codes that do not count; at a node, or here.
    pub fn waits_with_codes(&self, at: Option<&NodeName>, user: &UserName) -> bool {
        let codes = self.codes.lock().unwrap_or_else(PoisonError::into_inner);
        codes.refuses(&(at.cloned(), user.clone()), clock::tick())
    }

    /// Somebody showed a code that does not count. Answers whether it is with this one that they have to wait.
    pub fn note_code(&self, at: Option<&NodeName>, user: &UserName) -> bool {
        let mut codes = self.codes.lock().unwrap_or_else(PoisonError::into_inner);
        codes.failed((at.cloned(), user.clone()), clock::tick())
    }

    /// What everybody in the cluster may know.
    pub fn facts(&self) -> ClusterFacts {
        let line = |key: &ssh_key::PrivateKey| key.public_key().to_openssh().into_iter().collect();
        ClusterFacts {
            name: self.cluster.clone(),
            tls_authority: self.keys.tls.certificate().to_owned(),
            user_authority: line(&self.keys.user_ca),
            host_authority: line(&self.keys.host_ca),
            seal_keys: vec![self.keys.seal_public()],
            ledger_keys: vec![self.keys.ledger_public()],
        }
    }
}

/// Secrets of what a start invites.
#[derive(Default)]
pub struct Invited {
    /// The first admin, while nobody has signed up.
    pub admin: Option<String>,
    /// A proxy from another process, if the settings name one.
    pub proxy: Option<String>,
}

/// Who starts auth may also let its proxy in; an earlier one of that name is then replaced.
async fn invite_proxy(tables: &Tables, config: &Config) -> Result<Option<String>, Error> {
    let Some(name) = &config.proxy else { return Ok(None) };
    let now = clock::now();
    let token = JoinToken {
        part: PartKind::Proxy,
        name: Some(name.clone()),
        labels: model::role::Labels::new(),
        expires: now.plus_ms(JOIN_TOKEN_MS.0),
    };
    let code = format!("{}-{}", token.part.word(), secret::fresh());
    Ok(tables.put_join_token(&code, &token, JOIN_TOKENS, now).await?.then_some(code))
}

/// Makes the cluster and its roles at the first start; a directory of another cluster is refused.
async fn found(tables: &Tables, cluster: &str) -> Result<(), Error> {
    if tables.create_cluster(cluster, clock::now()).await? {
        tracing::info!(cluster, "a new cluster");
    }
    let found = tables.cluster().await?.map(|found| found.name).unwrap_or_default();
    if found != cluster {
        return Err(Error::OtherCluster { found, wanted: cluster.to_owned() });
    }
    let there = tables.roles().await?.roles;
    for (name, role) in policy::default_roles().roles {
        // `admin` comes back if it is missing; `access` only to a cluster without any role.
        if !there.contains_key(&name) && (there.is_empty() || name.as_str() == "admin") {
            tables.put_role(&role).await?;
        }
    }
    Ok(())
}

/// While nobody has signed up, each start makes a new invitation, and earlier ones stop to count.
async fn invite_first_admin(tables: &Tables, config: &Config) -> Result<Option<String>, Error> {
    let users = tables.users().await?;
    let Some(admin) = &config.admin else { return Ok(None) };
    if users.iter().any(User::has_signed_up) {
        return Ok(None);
    }
    let role: Vec<RoleName> = "admin".parse().into_iter().collect();
    let (now, code) = (clock::now(), secret::fresh());
    // Users that were invited before under another name of the admin's could still sign up; they may not.
    for user in users.iter().filter(|user| user.name != *admin) {
        tables.remove_user(&user.name, now, |_| true).await?;
    }
    tables.put_user(admin, &role, &[], now).await?;
    tables.invite(&code, admin, now.plus_ms(INVITATION_MS)).await?;
    Ok(Some(code))
}

//! The way onto a node for whoever sits before a page: a grant of auth's for a key that lives as long as the connection, a
//! stream through the node's tunnel, SSH in it. Guests come by the code of their link, as with `scry join`.

use super::guard::Visitor;
use super::pass::{away, said_of};
use super::{Refused, Web};
use crate::upkeep::{Ended, now};
use http::HeaderMap;
use link::http::{CallError, Channel, words};
use link::ssh::buffer::Memory;
use link::ssh::client::{Client, HostCheck, Proof, Settings, SignIn};
use link::ssh::ssh_key::private::{Ed25519Keypair, KeypairData};
use link::ssh::ssh_key::{Certificate, PrivateKey, PublicKey};
use link::ssh::{SshError, Startup};
use link::tunnel::NoTunnel;
use model::limit::{LINK_MS, WEB_HELD_BYTES};
use model::{Login, NodeName, SeatRole, SessionId, Time, UserName};
use policy::Identity;
use std::sync::Arc;
use tokio::sync::broadcast::{self, error::RecvError};
use wire::Fault;
use wire::name::SEAT_PREFIX;
use wire::share::LookAtLink;
use wire::web::{GrantTerminal, ReadMe, TerminalGrant, TerminalTo};
use zeroize::Zeroizing;

/// Somebody who is on a node. Dropping it cuts the connection; the node then takes it for lost.
pub(super) struct Aboard {
    pub(super) client: Client,
    pub(super) node: NodeName,
    /// On which account, where that is theirs to know.
    pub(super) login: Option<Login>,
    /// The one session that they may be in.
    pub(super) session: Option<SessionId>,
    pub(super) user: UserName,
    pub(super) seat: Option<SeatRole>,
    /// For the locks.
    pub(super) who: Identity,
    /// The web session by which they came, if they did not come as a guest.
    pub(super) stay: Option<Stay>,
    /// A guest's place among the guests.
    _place: Option<Startup>,
}

impl Web {
    /// Takes somebody to a node by what their web session allows.
    pub(super) async fn aboard(
        &self,
        visitor: &Visitor,
        to: TerminalTo,
    ) -> Result<Aboard, Refused> {
        let seed: Zeroizing<[u8; 32]> = Zeroizing::new(rand::random());
        let pair = KeypairData::from(Ed25519Keypair::from_seed(&seed));
        let key = PrivateKey::new(pair, "").map_err(|error| ours(&error))?;
        let ssh_key = key.public_key().to_openssh().map_err(|error| ours(&error))?;
        let name = match &to {
            TerminalTo::Login { login, .. } => login.to_string(),
            TerminalTo::Attach { session, .. } | TerminalTo::Join { session, .. } => {
                format!("{SEAT_PREFIX}{session}")
            }
            TerminalTo::Link { code } => format!("{SEAT_PREFIX}{}", code.trim()),
        };
        // From before it is asked: it may end meanwhile.
        let ended = self.ended.subscribe();
        let ask = GrantTerminal { ssh_key, to };
        let grant = self.auth.call_for(&ask, said_of(visitor)).await.map_err(failed)?;
        let certificate =
            Certificate::from_openssh(&grant.ssh_certificate).map_err(|error| ours(&error))?;
        let who = Identity::of_account(grant.user.clone(), [], [], Time(i64::MAX));
        let sign_in =
            SignIn { login: name, proof: Proof::Certificate(Arc::new(key), Box::new(certificate)) };
        let client = self.sign_in(visitor, &grant.node, &grant.host_authority, &who, sign_in).await;
        let refused = || format!("{} does not let you in as {}", grant.node, grant.login);
        let client = client.map_err(|error| error.words(refused))?;
        let TerminalGrant { node, login, session, user, seat, web_session, .. } = grant;
        let login = Some(login);
        let (auth, said) = (self.auth.clone(), said_of(visitor));
        let stay = Some(Stay { number: web_session, ended, auth, said });
        Ok(Aboard { client, node, login, session, user, seat, who, stay, _place: None })
    }

    /// Takes a guest to the node that a link leads to.
    pub(super) async fn aboard_as_guest(
        &self,
        visitor: &Visitor,
        code: &str,
        called: String,
    ) -> Result<Aboard, Refused> {
        let address = visitor.address;
        let place = self.guests.take(Some(address.ip())).ok_or_else(|| {
            Refused::new(Fault::TooMany, "too many guests are there already: try again later")
        })?;
        let nobody = Visitor { secret: None, ..visitor.clone() };
        let look = LookAtLink { code: code.to_owned(), seat: None };
        let welcome = self.auth.call_for(&look, said_of(&nobody)).await.map_err(failed)?;
        let shared = welcome.shared;
        let found = self.carry.node_of_link(shared.node.as_str(), code, address).await;
        let node = found.map_err(|failure| Refused { status: None, failure })?;
        let who = Identity::guest("", now().plus_ms(LINK_MS.1));
        let user = UserName::guest(&called);
        let sign_in = SignIn { login: code.to_owned(), proof: Proof::Answer(called) };
        let client = self.sign_in(visitor, &node, &welcome.host_authority, &who, sign_in).await;
        let refused = || "this link does not let you in any more: ask for another one".to_owned();
        let client = client.map_err(|error| error.words(refused))?;
        let (session, seat) = (Some(shared.session), Some(shared.seat));
        let (login, stay) = (None, None);
        Ok(Aboard { client, node, login, session, user, seat, who, stay, _place: Some(place) })
    }

    async fn sign_in(
        &self,
        visitor: &Visitor,
        node: &NodeName,
        authorities: &[String],
        who: &Identity,
        sign_in: SignIn,
    ) -> Result<Client, NotAboard> {
        policy::reach(&self.roles.borrow(), who, node, now())
            .map_err(|denial| NotAboard::Refused(Refused::new(Fault::Denied, denial.public())))?;
        let settings = Settings {
            host: host_check(node, authorities)?,
            // A page that does not read makes the node wait, and the program with it.
            buffers: Arc::new(Memory { most: WEB_HELD_BYTES, stall: None }),
            agent: None,
            compress: false,
        };
        // It is one of the cluster's, or nobody would have been let in: its tunnel may come any moment, as after a restart here.
        let stream = self.carry.open(node, visitor.address).await.map_err(|_: NoTunnel| {
            let why = format!("{node} is not connected just now");
            NotAboard::Refused(Refused::new(Fault::Unavailable, why))
        })?;
        link::ssh::client::connect(stream, settings, sign_in).await.map_err(NotAboard::Ssh)
    }
}

/// A web session, as long as something is open for it.
pub(super) struct Stay {
    number: u64,
    ended: broadcast::Receiver<Ended>,
    auth: Channel,
    said: HeaderMap,
}

impl Stay {
    /// Completes when it counts no more. While auth does not answer, it goes on to count.
    pub(super) async fn over(&mut self) {
        loop {
            match self.ended.recv().await {
                Ok(Ended::One(number)) if number == self.number => return,
                Ok(Ended::One(_)) => {}
                Ok(Ended::AskAgain) | Err(RecvError::Lagged(_)) => {
                    let asked = self.auth.call_for(&ReadMe {}, self.said.clone()).await;
                    if let Err(CallError::Refused(failure)) = asked
                        && matches!(failure.fault, Fault::Unauthenticated | Fault::Denied)
                    {
                        return;
                    }
                }
                // The proxy is stopping, and cuts by itself.
                Err(RecvError::Closed) => std::future::pending().await,
            }
        }
    }

    /// As [`Stay::over`]; never of who came as a guest.
    pub(super) async fn over_of(stay: &mut Option<Self>) {
        match stay {
            Some(stay) => stay.over().await,
            None => std::future::pending().await,
        }
    }
}

/// Why somebody did not get onto a node.
enum NotAboard {
    Refused(Refused),
    Ssh(SshError),
}

impl From<Refused> for NotAboard {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

impl NotAboard {
    /// In words for the person; `refused` has those for a node that does not take them.
    fn words(self, refused: impl FnOnce() -> String) -> Refused {
        match self {
            Self::Refused(refused) => refused,
            Self::Ssh(SshError::Refused { .. } | SshError::Ended) => {
                Refused::new(Fault::Denied, refused())
            }
            Self::Ssh(error) => {
                tracing::warn!(error = words(&error), "a browser's connection to a node failed");
                Refused::new(Fault::Unavailable, words(&error))
            }
        }
    }
}

fn host_check(node: &NodeName, authorities: &[String]) -> Result<HostCheck, Refused> {
    let keys: Result<Vec<_>, _> =
        authorities.iter().map(|key| PublicKey::from_openssh(key)).collect();
    let (keys, node) = (keys.map_err(|error| ours(&error))?, node.clone());
    Ok(Box::new(move |shown| {
        policy::read_host_certificate(shown, node.as_str(), &keys, now())
            .map(drop)
            .map_err(|denial| denial.to_string())
    }))
}

fn failed(error: CallError) -> Refused {
    match error {
        CallError::Refused(failure) => Refused { status: None, failure },
        error => away(&error),
    }
}

fn ours(error: &dyn std::error::Error) -> Refused {
    tracing::error!(error = words(error), "a key or a certificate cannot be used");
    Refused::new(Fault::Internal, "the proxy could not do this; its log says why")
}

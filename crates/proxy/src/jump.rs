//! Who may use the SSH jump host: people with a certificate of the cluster, to reach nodes and nothing else; and guests with
//! the code of a link, to reach the node that it leads to.

use crate::reception::Reception;
use crate::upkeep::{Trusted, now};
use link::front::Raw;
use link::http::words;
use link::ssh::Startup;
use link::ssh::jump::{self, JumpGate, JumpGuests};
use link::ssh::server::{Refusal, Refused};
use link::ssh::ssh_key::Certificate;
use link::tunnel::NoTunnel;
use metrics::counter;
use model::limit::{GUEST_WAIT_MS, LINK_MS};
use model::{Time, UserName};
use policy::{Denial, Identity};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use wire::Fault;

/// Somebody who signed in to the jump host.
struct Jumper {
    identity: Identity,
    address: SocketAddr,
    /// The code of the link by which a guest comes, and their place among the guests.
    link: Option<(String, Startup)>,
}

impl Jumper {
    fn user(&self) -> &UserName {
        self.identity.user()
    }
}

/// Serves one connection.
pub(crate) async fn serve(reception: Arc<Reception>, raw: Raw) {
    let address = raw.peer();
    let Some(startup) = reception.startups.take(Some(address.ip())) else {
        counter!("scry_proxy_jumps_total", "outcome" => "too_many").increment(1);
        tracing::warn!(%address, "too many connections are signing in; closed");
        let why = "too many connections were signing in";
        reception.reporter.denied(None, address, "use the jump host", why);
        return;
    };
    let server = reception.ssh.borrow().clone();
    let dialling = Arc::clone(&reception);
    let dial = move |jumper: Arc<Jumper>, asked: String| {
        let reception = Arc::clone(&dialling);
        async move { reception.jump(&jumper, &asked).await }
    };
    let gates = (gate(Arc::clone(&reception), address), guests(Arc::clone(&reception), address));
    let telling = Arc::clone(&reception);
    let refused = move |jumper: &Jumper, Refused { what, why }: Refused| {
        telling.reporter.denied(Some(jumper.user()), jumper.address, &what, why);
    };
    let cut = reception.cut.clone();
    let served = jump::serve(&server, Box::new(raw), startup, gates, (dial, refused), cut).await;
    let outcome = if served.is_ok() { "served" } else { "not_signed_in" };
    counter!("scry_proxy_jumps_total", "outcome" => outcome).increment(1);
    if let Err(nobody) = served {
        tracing::debug!(%address, error = words(&nobody.error), "a jump connection ended");
        reception.reporter.nobody_in(address, &nobody);
    }
}

fn gate(reception: Arc<Reception>, address: SocketAddr) -> JumpGate<Jumper> {
    Box::new(move |login, certificate| {
        let trusted = reception.carry.trusted.borrow().clone();
        match judge(certificate, login, &trusted, address.ip(), now()) {
            Ok(identity) => Some(Jumper { identity, address, link: None }),
            Err(denial) => {
                reception.reporter.denied(
                    denial.user(),
                    address,
                    "use the jump host",
                    &denial.to_string(),
                );
                None
            }
        }
    })
}

fn guests(reception: Arc<Reception>, address: SocketAddr) -> JumpGuests<Jumper> {
    JumpGuests {
        is_one: |login| wire::share::code(login).is_some(),
        admit: Box::new(move |code| {
            let Some(place) = reception.guests.take(Some(address.ip())) else {
                let why = "too many guests are there already";
                reception.reporter.denied(None, address, "use the jump host", why);
                return None;
            };
            // Their name they give to the node.
            let identity = Identity::guest("", now().plus_ms(LINK_MS.1));
            Some(Jumper { identity, address, link: Some((code.to_owned(), place)) })
        }),
        wait: Duration::from_millis(GUEST_WAIT_MS),
    }
}

/// Judges a certificate. No session is opened here, so the account that was typed need not be one of the certificate's:
/// `ssh -J proxy` sends the person's local account name, and the node judges the one that counts.
fn judge(
    certificate: &Certificate,
    login: &str,
    trusted: &Trusted,
    client: IpAddr,
    now: Time,
) -> Result<Identity, Denial> {
    let own = certificate.valid_principals().first().map_or(login, String::as_str);
    policy::read_certificate(certificate, own, &trusted.user_authority, Some(client), now)
}

impl Reception {
    async fn jump(&self, jumper: &Jumper, asked: &str) -> Result<link::BoxDuplex, Refusal> {
        if now() >= jumper.identity.expires() {
            let why = "the certificate has expired since the connection was opened";
            self.reporter.denied(Some(jumper.user()), jumper.address, "use the jump host", why);
            return Err(Refusal::Prohibited);
        }
        let node = match &jumper.link {
            None => {
                self.carry.node(asked).ok().filter(|node| self.knows(node)).ok_or_else(|| {
                    let why = format!(
                        "{asked:?} is no node of the cluster; the jump host reaches nodes only"
                    );
                    let action = "reach another machine through the jump host";
                    self.reporter.denied(Some(jumper.user()), jumper.address, action, &why);
                    Refusal::Prohibited
                })?
            }
            Some((code, _)) => {
                let found = self.carry.node_of_link(asked, code, jumper.address).await;
                found.map_err(|failure| {
                    let why = failure.message;
                    tracing::info!(address = %jumper.address, why, "a guest's jump was refused");
                    match failure.fault {
                        Fault::Unavailable => Refusal::Unreachable,
                        _ => Refusal::Prohibited,
                    }
                })?
            }
        };
        if let Err(denial) = self.reach(&jumper.identity, &node) {
            let (user, why) = (Some(jumper.user()), denial.to_string());
            self.reporter.denied(user, jumper.address, "use the jump host", &why);
            return Err(Refusal::Prohibited);
        }
        match self.carry.open(&node, jumper.address).await {
            Ok(stream) => Ok(stream),
            Err(error) => {
                tracing::info!(user = %jumper.user(), %node, error = words(&error), "no stream for a jump");
                Err(match error {
                    NoTunnel::NotConnected(_) | NoTunnel::Silent { .. } => Refusal::Unreachable,
                })
            }
        }
    }
}

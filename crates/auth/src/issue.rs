//! Certificates: `policy` plans them, this signs them. The only place that uses the authorities' private keys.

use crate::auth::Auth;
use crate::clock;
use crate::error::{Error, Refusal};
use crate::gate::Asked;
use crate::people::{identity, of_user};
use ed25519_dalek::VerifyingKey;
use link::PeerIdentity;
use model::audit::Audited;
use model::limit::CLOCK_SKEW_MS;
use model::role::Labels;
use model::seal::SignerCertificate;
use model::{NodeName, Time};
use policy::CertificatePlan;
use ssh_key::{Algorithm, PrivateKey, PublicKey};
use std::net::IpAddr;
use store::tables::{PartKey, PartKind, User};
use wire::name::{INTERNAL, PROXY_SERVER};
use wire::node::{PartCredentials, PartKeys};
use wire::people::Credentials;

/// Public keys that a person sends, looked at before anything is spent on them.
pub struct PersonKeys {
    ssh: PublicKey,
    tls_request: String,
}

impl PersonKeys {
    /// Reads what the client sent.
    pub fn read(ssh_key: &str, tls_request: String) -> Result<Self, Refusal> {
        Ok(Self { ssh: read_key(ssh_key)?, tls_request })
    }

    /// Of the SSH key, as `ssh-add -l` prints it.
    pub fn fingerprint(&self) -> String {
        self.ssh.fingerprint(ssh_key::HashAlg::Sha256).to_string()
    }
}

/// A person's two certificates, of the same life.
pub async fn person(
    auth: &Auth,
    asked: &Asked,
    user: &User,
    keys: &PersonKeys,
    wanted_ms: Option<i64>,
) -> Result<Credentials, Refusal> {
    let now = clock::now();
    let serial = auth.tables.next_serial().await?;
    let user = &still(auth, user).await?;
    let identity = identity(user);
    let roles = auth.tables.roles().await?;
    let plan = policy::plan_user_certificate(&roles, &identity, wanted_ms, serial, now)?;
    let ssh_certificate = sign(&plan, &keys.ssh, &auth.keys.user_ca)?;
    let subject = PeerIdentity::User(user.name.clone());
    let life = (now.plus_ms(-CLOCK_SKEW_MS), plan.expires());
    let tls_certificate = tls(auth, &keys.tls_request, &subject, &[], life)?;
    let event = of_user(asked, &user.name, issued("user", &plan));
    auth.ledger.write(&[event]).await?;
    Ok(Credentials {
        user: user.name.clone(),
        ssh_certificate,
        tls_certificate,
        expires: plan.expires(),
        cluster: auth.facts(),
    })
}

/// The account as it stands behind the serial number: one that was removed meanwhile, or replaced by another of its name,
/// gets no certificate whose number is higher than those that became void.
pub async fn still(auth: &Auth, before: &User) -> Result<User, Refusal> {
    let user = auth.tables.user(&before.name).await?;
    user.filter(|user| user.created == before.created).ok_or_else(|| {
        let why =
            format!("the account of {} was removed while a certificate was made", before.name);
        Refusal::denied("be given a certificate", &why, "there is no such account any more")
    })
}

/// How a part comes to its certificates.
pub enum Standing {
    /// It joins, with the labels that its invitation gives.
    Joins(Labels),
    /// It has joined, and renews.
    Renews {
        /// With which labels it joined.
        labels: Labels,
        /// The pin of its key until now.
        key: Option<String>,
    },
}

/// What a node or proxy needs: host certificate, TLS certificate, the word on its signing key.
pub async fn part(
    auth: &Auth,
    asked: &Asked,
    keys: &PartKeys,
    kind: PartKind,
    standing: Standing,
) -> Result<PartCredentials, Refusal> {
    check_web_names(kind, keys)?;
    let host_key = read_key(&keys.host_key)?;
    let (now, serial) = (clock::now(), auth.tables.next_serial().await?);
    let plan = policy::plan_host_certificate(&keys.name, &auth.cluster, serial, now);
    let life = (now.plus_ms(-CLOCK_SKEW_MS), plan.expires());
    let (subject, own) = match kind {
        PartKind::Node => (PeerIdentity::Node(keys.name.clone()), None),
        PartKind::Proxy => (PeerIdentity::Proxy(keys.name.clone()), Some(PROXY_SERVER)),
    };
    let names: Vec<&str> =
        own.into_iter().chain(keys.web_names.iter().map(String::as_str)).collect();
    let signer = match (kind, keys.signing_key) {
        (PartKind::Node, Some(key)) => Some(signer(auth, key, &keys.name, life)?),
        (PartKind::Node, None) => return Err(Refusal::malformed("a node needs a signing key")),
        (PartKind::Proxy, _) => None,
    };
    let host_certificate = sign(&plan, &host_key, &auth.keys.host_ca)?;
    let tls_certificate = tls(auth, &keys.tls_request, &subject, &names, life)?;
    let tls_key = link::tls::pin_of(&tls_certificate).map_err(Error::Tls)?;
    let part = PartKey { kind, name: &keys.name, tls_key: &tls_key, serial };
    let labels = match standing {
        Standing::Joins(labels) => {
            auth.tables.put_part(part, &labels, now).await?;
            labels
        }
        Standing::Renews { labels, key } => {
            if !auth.tables.renew_part(part, key.as_deref()).await? {
                return Err(Refusal::not_found("part of the cluster any more"));
            }
            labels
        }
    };
    let mut event = asked.event(issued("host", &plan));
    event.node = Some(keys.name.clone());
    auth.ledger.write(&[event]).await?;
    Ok(PartCredentials {
        host_certificate,
        tls_certificate,
        signer,
        expires: plan.expires(),
        labels,
        cluster: auth.facts(),
    })
}

/// Names under which browsers reach one proxy, at most. Refuse.
const WEB_NAMES: usize = 16;

/// Names for browsers are a proxy's, and none is what the parts of a cluster call each other.
fn check_web_names(kind: PartKind, keys: &PartKeys) -> Result<(), Refusal> {
    let names = &keys.web_names;
    if kind == PartKind::Node && !names.is_empty() {
        return Err(Refusal::malformed("browsers reach proxies only"));
    }
    if names.len() > WEB_NAMES {
        let words = format!("a proxy has at most {WEB_NAMES} names for browsers");
        return Err(Refusal::malformed(words));
    }
    for name in names {
        if name.parse::<NodeName>().is_err() && name.parse::<IpAddr>().is_err() {
            let words = format!("{name:?} is neither the name nor the address of a machine");
            return Err(Refusal::malformed(words));
        }
        let name = name.to_ascii_lowercase();
        if name == INTERNAL || name.ends_with(&format!(".{INTERNAL}")) {
            let why = format!("{} wants browsers to call it {name}", keys.name);
            let words = format!("{name} is a name by which scry's own parts know each other");
            return Err(Refusal::denied("certificate.host", &why, &words));
        }
    }
    Ok(())
}

/// No part has a name with the cluster's behind it: it would stand for the part of that name without it.
pub fn check_name(auth: &Auth, name: &NodeName) -> Result<(), Refusal> {
    let domain = format!(".{}", auth.cluster);
    if name.as_str().ends_with(&domain) {
        let words = format!("{name} is what clients may call another machine: leave out {domain}");
        return Err(Refusal::malformed(words));
    }
    Ok(())
}

/// Whether any part of the cluster has this name.
pub async fn part_named(auth: &Auth, name: &NodeName) -> Result<bool, Refusal> {
    let node = auth.tables.part(PartKind::Node, name).await?;
    Ok(node.is_some() || auth.tables.part(PartKind::Proxy, name).await?.is_some())
}

/// Signs a certificate as it was planned.
pub fn sign(
    plan: &CertificatePlan,
    key: &PublicKey,
    authority: &PrivateKey,
) -> Result<String, Refusal> {
    let mut nonce = [0_u8; 32];
    rand::fill(&mut nonce);
    let builder = policy::builder(plan, key, nonce)?;
    let certificate = builder.sign(authority).map_err(Error::Certificate)?;
    Ok(certificate.to_openssh().map_err(Error::Certificate)?)
}

fn tls(
    auth: &Auth,
    request: &str,
    subject: &PeerIdentity,
    names: &[&str],
    (from, to): (Time, Time),
) -> Result<String, Refusal> {
    let mut serial = [0_u8; 16];
    rand::fill(&mut serial);
    auth.keys.tls.sign(request, subject, names, serial, from, to).map_err(|error| match error {
        link::tls::TlsError::Request { .. } | link::tls::TlsError::Pem { .. } => {
            Refusal::malformed(error.to_string())
        }
        error => Refusal::from(error),
    })
}

fn signer(
    auth: &Auth,
    key: model::seal::PublicKey,
    node: &NodeName,
    (not_before, not_after): (Time, Time),
) -> Result<SignerCertificate, Refusal> {
    let whole = VerifyingKey::from_bytes(&key).is_ok_and(|key| !key.is_weak());
    if !whole {
        return Err(Refusal::malformed("the signing key is no ed25519 key"));
    }
    let statement = SignerCertificate::statement(&key, node, not_before, not_after);
    let (issuer, signature) = (auth.keys.seal_key(), auth.keys.sign_seal(&statement));
    Ok(SignerCertificate { key, node: node.clone(), not_before, not_after, issuer, signature })
}

/// An ed25519 key in OpenSSH's format.
pub fn read_key(text: &str) -> Result<PublicKey, Refusal> {
    let key = PublicKey::from_openssh(text).map_err(|error| {
        Refusal::malformed(format!("the SSH public key cannot be read: {error}"))
    })?;
    match key.algorithm() {
        Algorithm::Ed25519 => Ok(key),
        other => Err(Refusal::malformed(format!("the SSH key must be ed25519, not {other}"))),
    }
}

/// What the ledger says of a certificate.
pub fn issued(kind: &str, plan: &CertificatePlan) -> Audited {
    Audited::CertificateIssued {
        kind: kind.to_owned(),
        serial: plan.serial(),
        principals: plan.principals().to_vec(),
        expires: plan.expires(),
    }
}

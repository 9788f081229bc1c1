//! What auth signs: user and host certificates, planned from roles and names, as data until the builder gets the key.

use crate::certificate::{LOGINS_EXTENSION, ROLES_EXTENSION};
use crate::denial::Denial;
use crate::door::enter;
use crate::identity::Identity;
use crate::lock;
use crate::only::{ONLY_OPTION, Only};
use crate::rule::{LOGINS, USER};
use crate::terms::terms;
use model::limit::{
    CERTIFICATE_NAMES, CERTIFICATE_NAMES_BYTES, CERTIFICATE_PRINCIPALS, CLOCK_SKEW_MS,
    NODE_CERTIFICATE_MS,
};
use model::role::{Forwarding, Role, RoleSet};
use model::{Login, NodeName, Time};
use ssh_key::PublicKey;
use ssh_key::certificate::{Builder, CertType};
use std::collections::BTreeSet;
use thiserror::Error;

/// Principal of a person whose roles allow no login: a list without principals would mean everybody to other servers,
/// and this is no account's name anywhere (it begins with a dash).
pub(crate) const NO_LOGIN: &str = "-scry-no-login";

/// Shortest life of a certificate that a client can wish for, in milliseconds.
const SHORTEST_MS: i64 = 60_000;

/// A certificate before it is signed. Only this room makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificatePlan {
    kind: CertType,
    serial: u64,
    key_id: String,
    principals: Vec<String>,
    valid_after: u64,
    valid_before: u64,
    options: Vec<(&'static str, String)>,
    extensions: Vec<(&'static str, String)>,
}

impl CertificatePlan {
    /// Serial number.
    #[must_use]
    pub fn serial(&self) -> u64 {
        self.serial
    }

    /// User name, or node name.
    #[must_use]
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// Logins, or host names.
    #[must_use]
    pub fn principals(&self) -> &[String] {
        &self.principals
    }

    /// First moment after its life.
    #[must_use]
    pub fn expires(&self) -> Time {
        Time(i64::try_from(self.valid_before).unwrap_or(i64::MAX).saturating_mul(1000))
    }
}

/// Why a certificate cannot be planned.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PlanFault {
    /// More logins than fit.
    #[error("the roles allow {count} logins; a certificate holds at most {CERTIFICATE_PRINCIPALS}")]
    TooManyPrincipals {
        /// How many.
        count: usize,
    },
    /// More roles, or more logins of the account, than fit.
    #[error(
        "too many {what} for one certificate (at most {CERTIFICATE_NAMES}, {CERTIFICATE_NAMES_BYTES} bytes)"
    )]
    TooManyNames {
        /// `roles` or `logins`.
        what: &'static str,
    },
    /// The person is locked out, or the account is no more.
    #[error(transparent)]
    Denied(Denial),
    /// The key to certify is itself a certificate.
    #[error("the key to certify must be a plain key, not a certificate")]
    Key,
    /// The certificate could not be put together.
    #[error("the certificate could not be put together")]
    Builder,
}

/// Plans a person's certificate: principals are [`login_names`], its life is the shortest that a role or `wanted_ms` asks for.
/// It begins [`CLOCK_SKEW_MS`] before `now`.
///
/// # Errors
/// [`PlanFault::Denied`] for who may not use the cluster; more names than fit into one certificate.
pub fn plan_user_certificate(
    roles: &RoleSet,
    who: &Identity,
    wanted_ms: Option<i64>,
    serial: u64,
    now: Time,
) -> Result<CertificatePlan, PlanFault> {
    enter(roles, who, now).map_err(PlanFault::Denied)?;
    let most = certificate_ms(roles, who);
    let life = wanted_ms.unwrap_or(most).max(SHORTEST_MS).min(most);
    let mut principals: Vec<_> =
        login_names(roles, who, now).into_iter().map(String::from).collect();
    if principals.is_empty() {
        principals.push(NO_LOGIN.to_owned());
    }
    if principals.len() > CERTIFICATE_PRINCIPALS {
        return Err(PlanFault::TooManyPrincipals { count: principals.len() });
    }
    let mut extensions = own_extensions(who)?;
    let may = |wanted: &[Forwarding]| {
        held(roles, who).any(|role| role.allow.forward.iter().any(|what| wanted.contains(what)))
    };
    if may(&[Forwarding::Local, Forwarding::Remote]) {
        extensions.push(("permit-port-forwarding", String::new()));
    }
    if may(&[Forwarding::Agent]) {
        extensions.push(("permit-agent-forwarding", String::new()));
    }
    if may(&[Forwarding::X11]) {
        extensions.push(("permit-X11-forwarding", String::new()));
    }
    let key_id = who.user.as_str().to_owned();
    Ok(plan(CertType::User, serial, key_id, principals, extensions, life, now))
}

/// Plans a certificate that counts for what `only` says; whether that may be is decided already. It lives no longer than `who`
/// counts.
pub(crate) fn plan_only(
    roles: &RoleSet,
    who: &Identity,
    principal: Option<Login>,
    only: &Only,
    serial: u64,
    now: Time,
) -> Result<CertificatePlan, PlanFault> {
    let principal = principal.map_or_else(|| NO_LOGIN.to_owned(), String::from);
    let life = certificate_ms(roles, who).min(who.expires.0.saturating_sub(now.0));
    let (key_id, extensions) = (who.user.as_str().to_owned(), own_extensions(who)?);
    let plan = plan(CertType::User, serial, key_id, vec![principal], extensions, life, now);
    Ok(CertificatePlan { options: vec![(ONLY_OPTION, only.to_string())], ..plan })
}

/// Extensions of every user certificate.
fn own_extensions(who: &Identity) -> Result<Vec<(&'static str, String)>, PlanFault> {
    Ok(vec![
        (ROLES_EXTENSION, join("roles", who.roles.iter().map(|name| name.as_str()))?),
        (LOGINS_EXTENSION, join("logins", who.logins.iter().map(Login::as_str))?),
        ("permit-pty", String::new()),
    ])
}

/// Plans the host certificate of a node or proxy: principals are its name and `name.cluster`. It has no further names: who
/// could wish for some could wish for those of a machine that was removed, or is to come.
#[must_use]
pub fn plan_host_certificate(
    name: &NodeName,
    cluster: &str,
    serial: u64,
    now: Time,
) -> CertificatePlan {
    let principals = vec![name.as_str().to_owned(), format!("{name}.{cluster}")];
    let key_id = name.as_str().to_owned();
    plan(CertType::Host, serial, key_id, principals, Vec::new(), NODE_CERTIFICATE_MS, now)
}

/// The plan in the form that the CA key signs (`Builder::sign`), for `key`, with 32 random bytes as nonce.
///
/// # Errors
/// The key is a certificate itself, or the plan cannot be encoded.
pub fn builder(
    plan: &CertificatePlan,
    key: &PublicKey,
    nonce: [u8; 32],
) -> Result<Builder, PlanFault> {
    if key.key_data().is_certificate() || key.algorithm().to_string().contains("-cert-v0") {
        return Err(PlanFault::Key);
    }
    build(plan, key, nonce).map_err(|_| PlanFault::Builder)
}

fn build(plan: &CertificatePlan, key: &PublicKey, nonce: [u8; 32]) -> ssh_key::Result<Builder> {
    let (from, until) = (plan.valid_after, plan.valid_before);
    let mut builder = Builder::new(nonce, key.key_data().clone(), from, until)?;
    builder.serial(plan.serial)?.cert_type(plan.kind)?.key_id(plan.key_id.as_str())?;
    for principal in &plan.principals {
        builder.valid_principal(principal.as_str())?;
    }
    for (name, value) in &plan.options {
        builder.critical_option(*name, value.as_str())?;
    }
    for (name, value) in &plan.extensions {
        builder.extension(*name, value.as_str())?;
    }
    Ok(builder)
}

/// Every login that any role of the person allows somewhere and no lock is on: what a certificate of theirs names as
/// principals.
#[must_use]
pub fn login_names(roles: &RoleSet, who: &Identity, now: Time) -> Vec<Login> {
    let patterns = held(roles, who).flat_map(|role| &role.allow.logins);
    let mut names = BTreeSet::new();
    for pattern in patterns {
        match pattern.as_str() {
            // A user name that is no login, such as one with an @, is nobody's account.
            USER => names.extend(who.user.as_str().parse::<Login>().ok()),
            LOGINS => names.extend(who.logins.iter().cloned()),
            literal => names.extend(literal.parse::<Login>().ok()),
        }
    }
    names.into_iter().filter(|login| !lock::is_on_login(roles, login, now)).collect()
}

/// Longest life of the person's certificates, in milliseconds: the least that any of their roles says.
#[must_use]
pub fn certificate_ms(roles: &RoleSet, who: &Identity) -> i64 {
    terms(roles, who, None).certificate_ms
}

/// Whether any role of the person demands a second factor at sign-in.
#[must_use]
pub fn demands_second_factor(roles: &RoleSet, who: &Identity) -> bool {
    terms(roles, who, None).second_factor
}

fn held<'r>(roles: &'r RoleSet, who: &'r Identity) -> impl Iterator<Item = &'r Role> {
    who.roles.iter().filter_map(|name| roles.roles.get(name))
}

fn join<'n>(what: &'static str, names: impl Iterator<Item = &'n str>) -> Result<String, PlanFault> {
    let names: Vec<_> = names.collect();
    let text = names.join(",");
    if names.len() > CERTIFICATE_NAMES || text.len() > CERTIFICATE_NAMES_BYTES {
        return Err(PlanFault::TooManyNames { what });
    }
    Ok(text)
}

fn plan(
    kind: CertType,
    serial: u64,
    key_id: String,
    principals: Vec<String>,
    extensions: Vec<(&'static str, String)>,
    life_ms: i64,
    now: Time,
) -> CertificatePlan {
    let seconds = |time: Time| u64::try_from(time.seconds()).unwrap_or(0);
    let valid_after = seconds(now.plus_ms(-CLOCK_SKEW_MS));
    let valid_before = seconds(now.plus_ms(life_ms)).max(valid_after);
    let options = Vec::new();
    CertificatePlan {
        kind,
        serial,
        key_id,
        principals,
        valid_after,
        valid_before,
        options,
        extensions,
    }
}

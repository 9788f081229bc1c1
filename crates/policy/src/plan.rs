//! Planning certificates: what shall stand in them. Auth adds the nonce and signs.

use crate::certificate::wire_names::ROLES_EXTENSION;
use crate::judge::shorter;
use crate::roles::expand_for;
use crate::{Denial, Identity};
use model::limit::{CLOCK_SKEW_MS, NODE_CERTIFICATE_MS, USER_CERTIFICATE_MS};
use model::role::{Forwarding, RoleSet};
use model::{Login, NodeName, RoleName, Time, UserName};
use ssh_key::certificate::{Builder, CertType};
use ssh_key::public::KeyData;

/// What a certificate shall say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificatePlan {
    kind: CertType,
    /// Who it is for: the user, or the node.
    pub key_id: String,
    /// Logins, or names of the host.
    pub principals: Vec<String>,
    /// Extensions, name and value.
    pub extensions: Vec<(String, String)>,
    /// Number that no other certificate of the cluster has.
    pub serial: u64,
    /// First moment at which it counts.
    pub valid_after: Time,
    /// First moment at which it no longer counts.
    pub valid_before: Time,
}

impl CertificatePlan {
    /// The certificate over `key`, ready to be signed; `nonce` is 16 random bytes or more.
    ///
    /// # Errors
    /// Something in the plan does not fit into a certificate.
    pub fn builder(&self, key: &KeyData, nonce: &[u8]) -> ssh_key::Result<Builder> {
        let seconds = |time: Time| u64::try_from(time.seconds()).unwrap_or(0);
        let (after, before) = (seconds(self.valid_after), seconds(self.valid_before));
        let mut builder = Builder::new(nonce, key.clone(), after, before)?;
        builder.serial(self.serial)?.cert_type(self.kind)?.key_id(self.key_id.clone())?;
        for principal in &self.principals {
            builder.valid_principal(principal.clone())?;
        }
        for (name, value) in &self.extensions {
            builder.extension(name.clone(), value.clone())?;
        }
        Ok(builder)
    }
}

/// Plans a person's certificate; `wanted_ms` is the life they ask for, which roles may shorten.
///
/// # Errors
/// No role gives the person any login.
pub fn plan_user_certificate(
    roles: &RoleSet,
    who: &Identity,
    serial: u64,
    wanted_ms: Option<i64>,
    now: Time,
) -> Result<CertificatePlan, Denial> {
    let principals = principals(roles, &who.user, &who.roles, who.logins());
    if principals.is_empty() {
        let why = format!("no role of {} allows any login", who.user);
        return Err(Denial::new("get a certificate", why).with_hint("ask an admin for a role"));
    }
    let held = || who.roles.iter().filter_map(|name| roles.roles.get(name));
    let minutes = held().fold(None, |least, role| shorter(least, role.options.certificate_minutes));
    let most = minutes.map_or(USER_CERTIFICATE_MS, |minutes| i64::from(minutes) * 60_000);
    let life = wanted_ms.unwrap_or(most).clamp(1_000, most.max(1_000));
    let may = |what| held().any(|role| role.allow.forward.contains(&what));
    let mut extensions = vec![("permit-pty".to_owned(), String::new())];
    if may(Forwarding::Local) || may(Forwarding::Remote) {
        extensions.push(("permit-port-forwarding".to_owned(), String::new()));
    }
    if may(Forwarding::Agent) {
        extensions.push(("permit-agent-forwarding".to_owned(), String::new()));
    }
    let names: Vec<_> = who.roles.iter().map(RoleName::as_str).collect();
    extensions.push((ROLES_EXTENSION.to_owned(), names.join(",")));
    // PROTOCOL.certkeys: options are in lexical order.
    extensions.sort();
    Ok(CertificatePlan {
        kind: CertType::User,
        key_id: who.user.to_string(),
        principals: principals.iter().map(ToString::to_string).collect(),
        extensions,
        serial,
        valid_after: now.plus_ms(-CLOCK_SKEW_MS),
        valid_before: now.plus_ms(life),
    })
}

/// Plans a host's certificate. `also_known_as` are further names that people may type for it.
#[must_use]
pub fn plan_host_certificate(
    node: &NodeName,
    cluster: &NodeName,
    also_known_as: &[NodeName],
    serial: u64,
    now: Time,
) -> CertificatePlan {
    let mut principals = vec![node.to_string(), format!("{node}.{cluster}")];
    principals.extend(also_known_as.iter().map(ToString::to_string));
    principals.sort();
    principals.dedup();
    CertificatePlan {
        kind: CertType::Host,
        key_id: node.to_string(),
        principals,
        extensions: Vec::new(),
        serial,
        valid_after: now.plus_ms(-CLOCK_SKEW_MS),
        valid_before: now.plus_ms(NODE_CERTIFICATE_MS),
    }
}

/// Every login that any role of the person names.
pub(crate) fn principals(
    roles: &RoleSet,
    user: &UserName,
    held: &[RoleName],
    logins: &[Login],
) -> Vec<Login> {
    let held = held.iter().filter_map(|name| roles.roles.get(name));
    let mut found: Vec<Login> =
        held.flat_map(|role| expand_for(&role.allow.logins, user.as_str(), logins)).collect();
    found.sort();
    found.dedup();
    found
}

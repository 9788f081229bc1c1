//! Invitations, signing up, users, roles.

use crate::auth::Auth;
use crate::clock;
use crate::error::Refusal;
use crate::gate::{Anybody, Asked, Known, RoleAdmin, UserAdmin};
use crate::{password, secret};
use model::audit::Audited;
use model::limit::INVITATION_MS;
use model::role::{AdminRight, Role, RoleSet};
use model::{AuditEvent, RoleName, Time, UserName};
use policy::Identity;
use std::sync::Arc;
use store::tables::{Invitation as Found, Removal, User};
use wire::people::{
    AddUser, AddedUser, ClusterFacts, Invitation, ListRoles, ListUsers, ReadCluster,
    ReadInvitation, RemoveRole, RemoveUser, SetRole, SignUp,
};
use wire::{Done, Fault};
use zeroize::Zeroizing;

pub async fn read_invitation(
    auth: Arc<Auth>,
    by: Anybody,
    call: ReadInvitation,
) -> Result<Invitation, Refusal> {
    let found = invitation(&auth, &by.asked, &call.code).await?;
    Ok(Invitation { cluster: auth.cluster.clone(), user: found.user, expires: found.expires })
}

pub async fn sign_up(auth: Arc<Auth>, by: Anybody, call: SignUp) -> Result<Done, Refusal> {
    let password = Zeroizing::new(call.password);
    let code = call.code.trim();
    // Looked at first, so that only who holds a code can make auth hash.
    let found = invitation(&auth, &by.asked, code).await?;
    password::accept(&found.user, &password)
        .map_err(|refused| Refusal::malformed(refused.to_string()))?;
    let hash = auth.passwords.hash(password).await?;
    let user = auth.tables.sign_up(code, &hash, clock::now()).await?;
    let user = user.ok_or_else(unknown_invitation)?;
    tracing::info!(%user, "signed up");
    auth.ledger.tell(vec![of_user(&by.asked, &user, Audited::SignedUp {})]).await;
    Ok(Done {})
}

/// The invitation of a code. Who shows a wrong one stands in the ledger, and waits after too many.
async fn invitation(auth: &Auth, asked: &Asked, code: &str) -> Result<Found, Refusal> {
    let address = asked.address();
    if auth.waits(address) {
        return Err(Refusal::new(Fault::TooMany, "too many wrong codes from this address: wait"));
    }
    if let Some(found) = auth.tables.invitation(code.trim(), clock::now()).await? {
        return Ok(found);
    }
    let why = "the code is unknown, was taken up already, or has expired".to_owned();
    let mut events = vec![asked.event(Audited::InvitationRefused { why })];
    events.extend(auth.note_failed(asked));
    auth.ledger.write(&events).await?;
    Err(unknown_invitation())
}

pub async fn read_cluster(
    auth: Arc<Auth>,
    _by: Known,
    _call: ReadCluster,
) -> Result<ClusterFacts, Refusal> {
    Ok(auth.facts())
}

pub async fn add_user(auth: Arc<Auth>, by: UserAdmin, call: AddUser) -> Result<AddedUser, Refusal> {
    if call.user.is_guest() {
        let words = "a name that begins so is a guest's, and no account has one";
        return Err(Refusal::malformed(words.to_owned()));
    }
    let roles = auth.tables.roles().await?;
    for role in &call.roles {
        if !roles.roles.contains_key(role) {
            let all: Vec<_> = roles.roles.keys().map(RoleName::as_str).collect();
            let words = format!("there is no role {role:?}; there are: {}", all.join(", "));
            return Err(Refusal::malformed(words));
        }
    }
    let _turn = auth.people_turn.lock().await;
    let mut after = auth.tables.users().await?;
    for user in after.iter_mut().filter(|user| user.name == call.user) {
        (user.roles, user.logins) = (call.roles.clone(), call.logins.clone());
    }
    keep_an_admin(&roles, &after)?;
    let now = clock::now();
    auth.tables.put_user(&call.user, &call.roles, &call.logins, now).await?;
    let (code, expires) = (secret::fresh(), now.plus_ms(INVITATION_MS));
    auth.tables.invite(&code, &call.user, expires).await?;
    let what = Audited::Invited { invited: call.user, roles: call.roles };
    auth.ledger.tell(vec![by.member.asked.event(what)]).await;
    Ok(AddedUser { code, pin: auth.pin.clone(), expires })
}

pub async fn list_users(
    auth: Arc<Auth>,
    _by: UserAdmin,
    _call: ListUsers,
) -> Result<Vec<wire::people::User>, Refusal> {
    let users = auth.tables.users().await?.into_iter();
    Ok(users
        .map(|user| wire::people::User {
            signed_up: user.has_signed_up(),
            user: user.name,
            roles: user.roles,
            logins: user.logins,
            last_sign_in: user.last_sign_in,
        })
        .collect())
}

pub async fn remove_user(
    auth: Arc<Auth>,
    by: UserAdmin,
    call: RemoveUser,
) -> Result<Done, Refusal> {
    let _turn = auth.people_turn.lock().await;
    let roles = auth.tables.roles().await?;
    let guard = |rest: &[User]| keep_an_admin(&roles, rest).is_ok();
    match auth.tables.remove_user(&call.user, clock::now(), guard).await? {
        Removal::Done => {}
        Removal::Missing => return Err(Refusal::not_found("user")),
        Removal::Refused => return Err(last_admin()),
    }
    let what = Audited::UserRemoved { removed: call.user };
    auth.ledger.tell(vec![by.member.asked.event(what)]).await;
    Ok(Done {})
}

pub async fn list_roles(
    auth: Arc<Auth>,
    _by: RoleAdmin,
    _call: ListRoles,
) -> Result<Vec<Role>, Refusal> {
    Ok(auth.tables.roles().await?.roles.into_values().collect())
}

pub async fn set_role(auth: Arc<Auth>, by: RoleAdmin, call: SetRole) -> Result<Done, Refusal> {
    policy::validate_role(&call.role).map_err(|fault| Refusal::malformed(fault.to_string()))?;
    let role = call.role;
    let _turn = auth.people_turn.lock().await;
    try_roles(&auth, |set| {
        set.roles.insert(role.name.clone(), role.clone());
    })
    .await?;
    auth.tables.put_role(&role).await?;
    auth.ledger.tell(vec![by.member.asked.event(Audited::RoleSet { role: role.name })]).await;
    Ok(Done {})
}

pub async fn remove_role(
    auth: Arc<Auth>,
    by: RoleAdmin,
    call: RemoveRole,
) -> Result<Done, Refusal> {
    if call.role.as_str() == "admin" {
        return Err(Refusal::new(Fault::Conflict, "the role admin cannot be removed"));
    }
    let _turn = auth.people_turn.lock().await;
    try_roles(&auth, |set| {
        set.roles.remove(&call.role);
    })
    .await?;
    let removed = auth.tables.remove_role(&call.role).await?;
    removed.ok_or_else(|| Refusal::not_found("role"))?;
    auth.ledger.tell(vec![by.member.asked.event(Audited::RoleRemoved { role: call.role })]).await;
    Ok(Done {})
}

/// Tries a change of the roles on paper: somebody must be able to administer the cluster afterwards.
async fn try_roles(auth: &Auth, change: impl FnOnce(&mut RoleSet)) -> Result<(), Refusal> {
    let mut roles = auth.tables.roles().await?;
    change(&mut roles);
    keep_an_admin(&roles, &auth.tables.users().await?)
}

/// At least one person is left who can undo what was done.
fn keep_an_admin(roles: &RoleSet, users: &[User]) -> Result<(), Refusal> {
    if has_admin(roles, users, clock::now()) { Ok(()) } else { Err(last_admin()) }
}

/// Whether somebody has signed up, is not locked out, and may administer users, roles and locks.
pub fn has_admin(roles: &RoleSet, users: &[User], now: Time) -> bool {
    let can = |user: &User| {
        let identity = identity(user);
        [AdminRight::Users, AdminRight::Roles, AdminRight::Locks]
            .into_iter()
            .all(|right| policy::admin(roles, &identity, right, now).is_ok())
    };
    users.iter().any(|user| user.has_signed_up() && can(user))
}

/// A person as the account says, for ever.
pub fn identity(user: &User) -> Identity {
    let (name, roles, logins) = (user.name.clone(), user.roles.clone(), user.logins.clone());
    Identity::of_account(name, roles, logins, Time(i64::MAX))
}

fn last_admin() -> Refusal {
    let words = "nobody could administer users, roles and locks after this: make somebody else an admin first";
    Refusal::new(Fault::Conflict, words)
}

fn unknown_invitation() -> Refusal {
    let words =
        "this invitation is not known, was taken up already, or has expired: ask for a new one";
    Refusal::new(Fault::NotFound, words)
}

/// An event of somebody who is named by the request, not by a certificate.
pub fn of_user(asked: &Asked, user: &UserName, what: Audited) -> AuditEvent {
    let mut event = asked.event(what);
    event.user = Some(user.clone());
    event.node = None;
    event
}

//! What beats every role: locks, and what auth changed after a certificate was signed.

use crate::denial::{Action, Denial, Why};
use crate::identity::Identity;
use crate::judge::Question;
use crate::seat::SessionFacts;
use model::lock::Account;
use model::role::RoleSet;
use model::{Lock, LockTarget, Login, NodeName, RoleName, SessionId, Time, UserName};
use std::borrow::Cow;

/// The first lock that shuts what is asked for.
pub(crate) fn on<'r>(
    roles: &'r RoleSet,
    who: &Identity,
    question: &Question<'_>,
    now: Time,
) -> Option<&'r Lock> {
    let about = About::of(roles, question);
    let shuts = |target: &LockTarget| match target {
        LockTarget::User(user) => *user == who.user || about.owner == Some(user),
        LockTarget::Role(role) => who.roles.contains(role) || about.owner_roles.contains(role),
        LockTarget::Login(login) => about.login == Some(login),
        LockTarget::Node(node) => about.node == Some(node),
        LockTarget::Session(session) => about.session == Some(*session),
    };
    roles.locks.iter().filter(|lock| lock.counts(now)).find(|lock| shuts(&lock.target))
}

/// May what a session has left running at its end run on? Only locks have a say: on its owner, on a role that the owner had
/// then or has now, on the account, the node, or the session. Decide it anew whenever the role set has changed.
///
/// # Errors
/// The [`Denial`] that names the lock; then its processes must end.
pub fn runs_on(
    roles: &RoleSet,
    node: &NodeName,
    session: SessionFacts<'_>,
    now: Time,
) -> Result<(), Denial> {
    let held = roles_of_owner(roles, session);
    let shuts = |target: &LockTarget| match target {
        LockTarget::User(user) => user == session.owner,
        LockTarget::Role(role) => session.roles.contains(role) || held.contains(role),
        LockTarget::Login(login) => login == session.login,
        LockTarget::Node(name) => name == node,
        LockTarget::Session(id) => *id == session.id,
    };
    let lock = roles.locks.iter().filter(|lock| lock.counts(now)).find(|lock| shuts(&lock.target));
    let Some(lock) = lock else { return Ok(()) };
    let (login, node) = (session.login.clone(), node.clone());
    let action = Action::GoOn { login, node, session: Some(session.id) };
    Err(Denial::new(Some(session.owner), action, Why::Locked(lock.clone())))
}

/// On which node, and in which session, what is asked for would be.
pub(crate) fn place<'q>(
    roles: &'q RoleSet,
    question: &Question<'q>,
) -> (Option<&'q NodeName>, Option<SessionId>) {
    let about = About::of(roles, question);
    (about.node, about.session)
}

/// Whether an account is locked on every node.
pub(crate) fn is_on_login(roles: &RoleSet, login: &Login, now: Time) -> bool {
    let target = LockTarget::Login(login.clone());
    roles.locks.iter().any(|lock| lock.target == target && lock.counts(now))
}

/// The person with the roles and logins that the account has at this time, whatever the certificate says.
pub(crate) fn as_things_stand<'i>(
    roles: &RoleSet,
    who: &'i Identity,
) -> Result<Cow<'i, Identity>, Why> {
    let Some(correction) = roles.corrections.get(&who.user) else { return Ok(Cow::Borrowed(who)) };
    match (&correction.account, &who.certificate) {
        // Whom auth knows from its own tables stands there as things are.
        (Some(_), None) => Ok(Cow::Borrowed(who)),
        (Some(Account { roles, logins }), Some(paper)) if paper.serial > correction.void => {
            let (roles, logins) = (roles.iter().cloned(), logins.iter().cloned());
            Ok(Cow::Owned(Identity {
                roles: roles.collect(),
                logins: logins.collect(),
                ..who.clone()
            }))
        }
        _ => Err(Why::Removed),
    }
}

/// The roles that the owner of a session holds as things stand; none if the account is no more.
pub(crate) fn roles_of_owner<'q>(roles: &'q RoleSet, session: SessionFacts<'q>) -> &'q [RoleName] {
    match roles.corrections.get(session.owner) {
        None => session.roles,
        Some(correction) => correction.account.as_ref().map_or(&[], |account| &account.roles),
    }
}

/// What of a question a lock can be on, beside the person.
#[derive(Default)]
struct About<'q> {
    node: Option<&'q NodeName>,
    login: Option<&'q Login>,
    session: Option<SessionId>,
    /// Whose session it is, if it may be another's.
    owner: Option<&'q UserName>,
    owner_roles: &'q [RoleName],
}

impl<'q> About<'q> {
    fn of(roles: &'q RoleSet, question: &Question<'q>) -> Self {
        match *question {
            Question::Login { node, login }
            | Question::Forward { node, login, .. }
            | Question::ForwardOn { node, login, .. } => {
                Self { node: Some(&node.name), login: Some(login), ..Self::default() }
            }
            Question::GoOn { node, login, session } => {
                Self { node: Some(&node.name), login: Some(login), session, ..Self::default() }
            }
            Question::Join { node, session, .. }
            | Question::SeatOn { node, session, .. }
            | Question::Return { node, session }
            | Question::Speak { node, session }
            | Question::Share { node, session, .. } => Self {
                node: Some(&node.name),
                login: Some(session.login),
                session: Some(session.id),
                owner: Some(session.owner),
                owner_roles: roles_of_owner(roles, session),
            },
            Question::Reach { node } => Self { node: Some(node), ..Self::default() },
            Question::Enter | Question::Recording { .. } | Question::Admin { .. } => {
                Self::default()
            }
        }
    }
}

//! Locks: who may make and lift them, and that somebody is left who can.

use crate::auth::Auth;
use crate::clock;
use crate::error::{Refusal, chain};
use crate::gate::{LockAdmin, Member};
use crate::{ledger, people};
use model::audit::Audited;
use model::limit::LOCKS;
use model::{Lock, LockId, LockTarget};
use std::sync::Arc;
use store::tables::{LedgerFilter, NewLock, PartKind};
use wire::lock::{AddLock, ListLocks, RemoveLock};
use wire::{Done, Fault};

pub async fn add(auth: Arc<Auth>, by: LockAdmin, call: AddLock) -> Result<Lock, Refusal> {
    if call.life_ms == Some(0) {
        let words = "a lock that is over at once shuts nothing: say how long, or leave it out";
        return Err(Refusal::malformed(words));
    }
    must_exist(&auth, &by.member, &call.target).await?;
    let now = clock::now();
    let new = NewLock {
        target: call.target,
        reason: call.reason,
        creator: by.member.name.clone(),
        created: now,
        expires: call.life_ms.map(|ms| now.plus_ms(i64::try_from(ms).unwrap_or(i64::MAX))),
    };
    let _turn = auth.people_turn.lock().await;
    try_lock(&auth, &by.member, &new, call.force).await?;
    let made = auth.tables.put_lock(new, LOCKS).await?;
    let lock = made.ok_or_else(|| {
        let words = format!("there are {LOCKS} locks already: lift some first, see `scry locks`");
        Refusal::new(Fault::Conflict, words)
    })?;
    if let LockTarget::User(user) = &lock.target {
        // What is open in a browser is theirs no more, not even when the lock is lifted.
        auth.tables.end_web_sessions(user, None).await?;
    }
    tracing::info!(%lock, by = %by.member.name, "locked");
    let what = Audited::Locked {
        lock: lock.id,
        target: lock.target.to_string(),
        reason: lock.reason.clone().into(),
        expires: lock.expires,
    };
    auth.ledger.tell(vec![by.member.asked.event(what)]).await;
    Ok(lock)
}

pub async fn list(_auth: Arc<Auth>, by: LockAdmin, _call: ListLocks) -> Result<Vec<Lock>, Refusal> {
    let now = clock::now();
    let locks = by.member.roles.locks.into_iter();
    Ok(locks.filter(|lock| lock.counts(now)).collect())
}

pub async fn remove(auth: Arc<Auth>, by: LockAdmin, call: RemoveLock) -> Result<Done, Refusal> {
    let removed = auth.tables.remove_lock(call.lock).await?;
    let lock = removed.ok_or_else(|| Refusal::not_found("lock"))?;
    tracing::info!(%lock, by = %by.member.name, "a lock was lifted");
    let what = Audited::Unlocked { lock: lock.id, target: lock.target.to_string() };
    auth.ledger.tell(vec![by.member.asked.event(what)]).await;
    Ok(Done {})
}

/// Removes locks whose time is over; they count no more already. The ledger says so.
pub async fn sweep(auth: &Auth) {
    let expired = match auth.tables.remove_expired_locks(clock::now()).await {
        Ok(expired) => expired.into_iter(),
        Err(error) => {
            return tracing::warn!(error = chain(&error), "expired locks cannot be swept");
        }
    };
    let events = expired.map(|lock| {
        let target = lock.target.to_string();
        ledger::event(Audited::LockExpired { lock: lock.id, target })
    });
    auth.ledger.tell(events.collect()).await;
}

/// A lock with a slip of the pen in it shuts nobody out, and whoever made it believes the contrary.
async fn must_exist(auth: &Auth, by: &Member, target: &LockTarget) -> Result<(), Refusal> {
    let known = match target {
        LockTarget::User(user) => auth.tables.user(user).await?.is_some(),
        LockTarget::Role(role) => by.roles.roles.contains_key(role),
        LockTarget::Node(node) => auth.tables.part(PartKind::Node, node).await?.is_some(),
        LockTarget::Session(session) => {
            let session = *session;
            // One that is not recorded stands in the ledger alone.
            let filter =
                LedgerFilter { session: Some(session), limit: 1, ..LedgerFilter::default() };
            auth.tables.recording(&session).await?.is_some()
                || !auth.tables.list_ledger(&filter).await?.is_empty()
        }
        // Accounts of machines are not known here.
        LockTarget::Login(_) => true,
    };
    match known {
        true => Ok(()),
        false => {
            let words = format!("there is no {target}: nothing was locked");
            Err(Refusal::new(Fault::NotFound, words))
        }
    }
}

/// Tries a lock on paper: somebody must be able to lift it afterwards, and whoever shuts out themself must mean it.
async fn try_lock(auth: &Auth, by: &Member, new: &NewLock, force: bool) -> Result<(), Refusal> {
    let mut roles = auth.tables.roles().await?;
    let (trial, now) = (new.clone().numbered(LockId(0)), new.created);
    roles.locks.push(Lock { expires: None, ..trial });
    if !people::has_admin(&roles, &auth.tables.users().await?, now) {
        let words = format!(
            "nobody could lift this lock: {} would shut out every admin. Lock single users instead, or make somebody \
             else an admin first",
            new.target
        );
        return Err(Refusal::new(Fault::Conflict, words));
    }
    if !force && policy::enter(&roles, &by.identity, now).is_err() {
        let words = format!(
            "this lock on {} would shut out yourself; other admins could lift it. Say --force if you mean it",
            new.target
        );
        return Err(Refusal::new(Fault::Conflict, words));
    }
    Ok(())
}

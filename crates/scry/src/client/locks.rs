//! `scry lock`, `scry locks`, `scry unlock`.

use super::profile::Profile;
use super::{reach, recordings};
use crate::cli::{Lock, LockOn, Show, Unlock};
use crate::show;
use anyhow::{Result, bail};
use comfy_table::Color;
use model::LockTarget;
use wire::lock::{AddLock, ListLocks, RemoveLock};

/// Columns of a reason in the table.
const REASON_COLUMNS: usize = 60;

/// `scry lock`.
pub async fn lock(args: &Lock) -> Result<()> {
    let client = reach::auth(&Profile::signed_in(&args.show.place)?).await?;
    let target = target(&client, &args.on).await?;
    let (reason, life_ms, force) = (args.reason.clone(), args.life_ms, args.force);
    let lock = client.call(&AddLock { target, reason, life_ms, force }).await?;
    if args.show.json {
        show::json(&lock)?;
        return Ok(());
    }
    let until = match lock.expires {
        Some(expires) => format!("until {}", show::moment(expires)),
        None => "until it is lifted".to_owned(),
    };
    show::remark(format!(
        "Locked {} {until}; what runs there ends now. Lift it with: scry unlock {}",
        lock.target, lock.id
    ));
    Ok(())
}

/// `scry unlock`.
pub async fn unlock(args: &Unlock) -> Result<()> {
    let client = reach::auth(&Profile::signed_in(&args.place)?).await?;
    for lock in &args.locks {
        client.call(&RemoveLock { lock: *lock }).await?;
        show::remark(format!("Lifted lock {lock}."));
    }
    Ok(())
}

/// `scry locks`.
pub async fn ls(show_: &Show) -> Result<()> {
    let client = reach::auth(&Profile::signed_in(&show_.place)?).await?;
    let locks = client.call(&ListLocks {}).await?;
    if show_.json {
        show::json(&locks)?;
        return Ok(());
    }
    if locks.is_empty() {
        show::remark("Nothing is locked.");
        return Ok(());
    }
    let mut table = show::table(&["LOCK", "ON", "SINCE", "UNTIL", "BY", "REASON"]);
    for lock in locks {
        let until = lock.expires.map_or_else(|| "lifted".to_owned(), show::moment);
        table.add_row([
            show::cell(lock.id, Some(Color::Cyan)),
            show::cell(&lock.target, None),
            show::cell(show::moment(lock.created), None),
            show::cell(until, None),
            show::cell(&lock.creator, None),
            show::cell(show::clean(lock.reason.as_str(), REASON_COLUMNS), None),
        ]);
    }
    show::styled(table);
    Ok(())
}

async fn target(client: &reach::Auth, on: &LockOn) -> Result<LockTarget> {
    Ok(match on {
        LockOn { user: Some(user), .. } => LockTarget::User(user.clone()),
        LockOn { login: Some(login), .. } => LockTarget::Login(login.clone()),
        LockOn { node: Some(node), .. } => LockTarget::Node(node.clone()),
        LockOn { role: Some(role), .. } => LockTarget::Role(role.clone()),
        LockOn { session: Some(session), .. } => {
            // A whole id may be that of a session that is not recorded.
            match session.parse() {
                Ok(id) => LockTarget::Session(id),
                Err(_) => LockTarget::Session(recordings::find(client, session).await?.id),
            }
        }
        _ => bail!("say what to lock: --user, --login, --node, --role or --session"),
    })
}

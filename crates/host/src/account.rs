//! Accounts of this machine, as the name service knows them (getpwnam(3), getgrouplist(3)).

use model::Login;
use nix::unistd::{Group, User, geteuid, getgrouplist};
use std::ffi::CString;
use std::path::PathBuf;
use std::sync::Arc;
use thiserror::Error;

/// One account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its name.
    pub name: Login,
    /// User id.
    pub uid: u32,
    /// Primary group.
    pub gid: u32,
    /// Every group that it belongs to, the primary one included.
    pub groups: Vec<u32>,
    /// Home directory; may not exist.
    pub home: PathBuf,
    /// Login shell; `/bin/sh` where the account names none.
    pub shell: PathBuf,
    /// Group `tty`, which owns terminals beside the user, if the machine has one.
    pub tty_group: Option<u32>,
}

/// Why no session can be opened for an account.
#[derive(Debug, Clone, Error)]
pub enum AccountError {
    /// The machine has no such account.
    #[error("this machine has no account {login}; make one, or sign in to one that exists")]
    Missing {
        /// Which was asked for.
        login: Login,
    },
    /// Only root can become somebody else.
    #[error(
        "this node runs as {own} and can only open sessions for {own}, not for {login}; run it as root to serve every account"
    )]
    NotOurs {
        /// Which was asked for.
        login: Login,
        /// Whose process the node is.
        own: String,
    },
    /// The name service failed.
    #[error("cannot look up the account {login}")]
    Lookup {
        /// Which was asked for.
        login: Login,
        /// What the system said.
        #[source]
        source: Arc<std::io::Error>,
    },
}

/// Looks an account up and sees that this process may open sessions for it.
/// Runs on tokio's blocking threads, because a name service may ask the network.
///
/// # Errors
/// When there is no such account, it is another's and this process is not root, or the name service fails.
pub async fn lookup(login: &Login) -> Result<Account, AccountError> {
    let login = login.clone();
    let asked = login.clone();
    tokio::task::spawn_blocking(move || lookup_now(login)).await.unwrap_or_else(|stopped| {
        Err(AccountError::Lookup {
            login: asked,
            source: Arc::new(std::io::Error::other(stopped.to_string())),
        })
    })
}

/// The account that this process runs as; `None` where the machine has no name for it. May ask the network,
/// so services use [`lookup`].
#[must_use]
pub fn own() -> Option<Account> {
    let user = User::from_uid(geteuid()).ok().flatten()?;
    lookup_now(user.name.parse().ok()?).ok()
}

fn lookup_now(login: Login) -> Result<Account, AccountError> {
    let failed = |errno: nix::Error| AccountError::Lookup {
        login: login.clone(),
        source: Arc::new(errno.into()),
    };
    let Some(user) = User::from_name(login.as_str()).map_err(failed)? else {
        return Err(AccountError::Missing { login });
    };
    let own = geteuid();
    if !own.is_root() && user.uid != own {
        let name = User::from_uid(own).ok().flatten().map(|user| user.name);
        return Err(AccountError::NotOurs {
            login,
            own: name.unwrap_or_else(|| format!("user id {own}")),
        });
    }
    let name = CString::new(user.name.as_str()).map_err(|_| failed(nix::Error::EINVAL))?;
    let groups = getgrouplist(&name, user.gid).map_err(failed)?;
    let tty_group = Group::from_name("tty").ok().flatten().map(|group| group.gid.as_raw());
    let shell =
        if user.shell.as_os_str().is_empty() { PathBuf::from("/bin/sh") } else { user.shell };
    Ok(Account {
        name: login,
        uid: user.uid.as_raw(),
        gid: user.gid.as_raw(),
        groups: groups.into_iter().map(nix::unistd::Gid::as_raw).collect(),
        home: user.dir,
        shell,
        tty_group,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(login: &str) -> Result<Account, AccountError> {
        lookup_now(login.parse().unwrap())
    }

    #[test]
    fn the_own_account_is_found_with_its_groups() {
        let user = User::from_uid(geteuid()).unwrap().unwrap();
        let account = check(&user.name).unwrap();
        assert_eq!(own().as_ref(), Some(&account));
        assert_eq!((account.uid, account.gid), (user.uid.as_raw(), user.gid.as_raw()));
        assert!(account.groups.contains(&account.gid));
    }

    #[test]
    fn an_account_that_is_not_there_is_named_in_the_refusal() {
        let text = check("no-such-account-x").unwrap_err().to_string();
        assert!(text.contains("no account no-such-account-x"), "{text}");
    }
}

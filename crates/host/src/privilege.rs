//! Giving up root for good. Called in processes with one thread only.

use nix::unistd::{
    Gid, Uid, geteuid, getresgid, getresuid, setgid, setgroups, setresgid, setresuid, setuid,
};
use serde::{Deserialize, Serialize};

/// Whose rights a process is to have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Rights {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) groups: Vec<u32>,
}

/// Becomes the user and proves that there is no way back. Without root it only sees that it is the user already.
pub(crate) fn become_user(rights: &Rights) -> Result<(), String> {
    let (uid, gid) = (Uid::from_raw(rights.uid), Gid::from_raw(rights.gid));
    if !geteuid().is_root() {
        return if geteuid() == uid {
            Ok(())
        } else {
            Err(format!("the node runs as user id {} and cannot become {uid}", geteuid()))
        };
    }
    let groups: Vec<Gid> = rights.groups.iter().copied().map(Gid::from_raw).collect();
    let failed = |what: &str, why: nix::Error| format!("cannot set the {what}: {}", why.desc());
    setgroups(&groups).map_err(|why| failed("supplementary groups", why))?;
    setresgid(gid, gid, gid).map_err(|why| failed("group id", why))?;
    setresuid(uid, uid, uid).map_err(|why| failed("user id", why))?;
    if !given_up(uid, gid) {
        return Err("giving up root did not work; the session is not started".to_owned());
    }
    Ok(())
}

fn given_up(uid: Uid, gid: Gid) -> bool {
    let users = getresuid().is_ok_and(|is| [is.real, is.effective, is.saved] == [uid; 3]);
    let groups = getresgid().is_ok_and(|is| [is.real, is.effective, is.saved] == [gid; 3]);
    let root = Uid::from_raw(0);
    let no_way_back = uid.is_root()
        || (setuid(root).is_err() && (gid.as_raw() == 0 || setgid(Gid::from_raw(0)).is_err()));
    users && groups && no_way_back
}

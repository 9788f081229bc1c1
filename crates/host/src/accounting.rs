//! What a login means to the machine besides a process: whether the account may come in, its PAM session, its audit
//! session, and the lists of who is here. Everything here needs root; without it none of it is done.

use crate::sys::pam::{No, Pam, c_string};
use crate::utmp::{Before, Lists, Login};
use nix::unistd::{Gid, geteuid, getgroups, setgroups};
use serde::{Deserialize, Serialize};
use std::ffi::{CString, OsString};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::net::IpAddr;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// Bytes of a file that says why nobody may log in. Cut.
const NOLOGIN_BYTES: usize = 4 * 1024;
/// Bytes of the file of passwords that are read. Cut: accounts behind are looked up by PAM or not at all.
const SHADOW_BYTES: u64 = 16 * 1024 * 1024;
const NOLOGIN: [&str; 2] = ["/run/nologin", "/etc/nologin"];
const SHADOW: &str = "/etc/shadow";
const DAY: u64 = 24 * 3600;
/// Set by pam_motd(8) when it has shown the message of the day.
const MOTD_SHOWN: &[u8] = b"MOTD_SHOWN=";
/// Folders of PAM's services.
const SERVICES: [&str; 3] = ["/etc/pam.d", "/usr/lib/pam.d", "/usr/share/pam.d"];

/// The words of a machine that lets somebody in no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused(pub(crate) String);

/// Who comes, and by which rules of the machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Guest {
    pub(crate) login: String,
    pub(crate) uid: u32,
    pub(crate) client: Option<IpAddr>,
    /// PAM's services, the first that there is; without any PAM is not asked.
    pub(crate) services: Vec<String>,
}

/// What became of PAM.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum PamState {
    /// It was asked.
    Used,
    /// This machine has no libpam.
    Missing,
    /// It was not to be asked: the node is not root, or its settings name no service.
    #[default]
    Unasked,
}

/// A login that was accounted for.
#[derive(Debug)]
pub(crate) struct Entered {
    pub(crate) pam: PamState,
    /// `NAME=value` pairs that PAM's modules set.
    pub(crate) environment: Vec<(OsString, OsString)>,
    /// Groups, with those that modules added.
    pub(crate) groups: Option<Vec<u32>>,
    /// What modules had to say.
    pub(crate) messages: String,
    /// Whether the message of the day was among it.
    pub(crate) motd_shown: bool,
    pub(crate) before: Option<Before>,
    pub(crate) closing: Option<Closing>,
}

/// What has to be done when the session has ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Closing {
    guest: Guest,
    /// Variables of the PAM session that was opened.
    pam: Option<Vec<Vec<u8>>>,
    /// Its place in the lists.
    listed: Option<(Lists, Login)>,
}

/// Whether this machine lets the account in at this time (nologin(5); PAM's account stack, else shadow(5) as sshd
/// reads it).
pub(crate) fn may_come_in(guest: &Guest) -> Result<(), Refused> {
    closed_to(guest, &NOLOGIN)?;
    if !geteuid().is_root() {
        return Ok(());
    }
    match start(guest)? {
        Some(mut pam) => asked(guest, &mut pam),
        None => not_locked(guest, Path::new(SHADOW)),
    }
}

/// As sshd: an account whose shell is not there, or is no program, is none.
pub(crate) fn has_shell(login: &str, shell: &Path) -> Result<(), Refused> {
    let runs = std::fs::metadata(shell)
        .is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0);
    if runs {
        Ok(())
    } else {
        Err(Refused(format!("the login shell {} of {login} is no program", shell.display())))
    }
}

/// Lets somebody in: asks whether they may, opens their PAM session, and enters them into the lists if they have a
/// terminal. `groups` are those of the account; `silent` when nobody would read messages.
pub(crate) fn enter(
    guest: &Guest,
    groups: &[u32],
    terminal: Option<&str>,
    silent: bool,
) -> Result<Entered, Refused> {
    closed_to(guest, &NOLOGIN)?;
    let mut entered = Entered {
        pam: PamState::Unasked,
        environment: Vec::new(),
        groups: None,
        messages: String::new(),
        motd_shown: false,
        before: None,
        closing: None,
    };
    if !geteuid().is_root() {
        return Ok(entered);
    }
    set_login_uid(guest.uid);
    let mut variables = None;
    match start(guest)? {
        None => {
            not_locked(guest, Path::new(SHADOW))?;
            let unasked = guest.services.is_empty();
            entered.pam = if unasked { PamState::Unasked } else { PamState::Missing };
        }
        Some(mut pam) => {
            asked(guest, &mut pam)?;
            let account: Vec<Gid> = groups.iter().copied().map(Gid::from_raw).collect();
            setgroups(&account).map_err(|why| Refused(format!("cannot set the groups: {why}")))?;
            // As sshd for keys: credentials that cannot be had are no reason to stay out.
            let _ = pam.establish_credentials();
            pam.open_session(silent).map_err(|no| refused(guest, &pam, no))?;
            entered.pam = PamState::Used;
            entered.groups = getgroups().ok().map(|all| all.into_iter().map(Gid::as_raw).collect());
            let set = pam.environment();
            entered.motd_shown = set.iter().any(|pair| pair.starts_with(MOTD_SHOWN));
            entered.environment = set.iter().filter_map(|pair| split(pair)).collect();
            entered.messages = pam.messages();
            variables = Some(set);
            // Its end is another process's, so that none has to wait for it here with PAM in its memory.
            pam.leave();
        }
    }
    let listed = terminal.map(|name| {
        let login = Login {
            pid: std::process::id().cast_signed(),
            line: name.strip_prefix("/dev/").unwrap_or(name).to_owned(),
            user: guest.login.clone(),
            client: guest.client,
        };
        let lists = Lists::default();
        entered.before = lists.last(guest.uid, &login);
        lists.come(&login);
        (lists, login)
    });
    if variables.is_some() || listed.is_some() {
        entered.closing = Some(Closing { guest: guest.clone(), pam: variables, listed });
    }
    Ok(entered)
}

impl Closing {
    /// Undoes what [`enter`] did, in a process of its own.
    pub(crate) fn close(self) {
        if let Some((lists, login)) = &self.listed {
            lists.go(login);
        }
        let Some(variables) = self.pam else { return };
        let Ok(Some(mut pam)) = start(&self.guest) else { return };
        for variable in variables.into_iter().filter_map(c_string) {
            pam.put_environment(&variable);
        }
        let _ = pam.delete_credentials();
        let _ = pam.close_session();
    }
}

/// Notes as gone whoever a killed node left in the machine's list of who is here; says how many. Call it before the
/// first session, as root; for others it does nothing.
pub fn sweep_logins() -> usize {
    if geteuid().is_root() { Lists::default().sweep() } else { 0 }
}

/// Begins a PAM transaction; `None` without PAM.
fn start(guest: &Guest) -> Result<Option<Pam>, Refused> {
    let Some(service) = service(&guest.services, &SERVICES) else { return Ok(None) };
    let (Some(service), Some(login)) = (c_string(service), c_string(guest.login.as_str())) else {
        return Err(Refused("a name with a NUL in it".to_owned()));
    };
    let host: Option<CString> =
        guest.client.and_then(|client| c_string(client.to_canonical().to_string()));
    Pam::start(&service, &login, host.as_deref()).transpose().map_err(Refused)
}

/// The first service that is there; when none is, the last, for which PAM takes the machine's rules for `other`.
fn service<'s>(services: &'s [String], folders: &[&str]) -> Option<&'s str> {
    let there =
        |name: &&String| folders.iter().any(|folder| Path::new(folder).join(name).is_file());
    let last = services.last();
    services.iter().find(there).or(last).map(String::as_str)
}

fn asked(guest: &Guest, pam: &mut Pam) -> Result<(), Refused> {
    pam.account().map_err(|no| refused(guest, pam, no))
}

/// PAM's own words, as far as it has any.
fn refused(guest: &Guest, pam: &Pam, no: No) -> Refused {
    let said = pam.messages();
    let words = match no {
        No::PasswordExpired => "the password has expired and must be changed first".to_owned(),
        No::Words(words) => words,
    };
    let said: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let words = if said.is_empty() { words } else { format!("{} ({words})", said.join(" ")) };
    Refused(format!("this machine does not let {} in: {words}", guest.login))
}

/// Nobody but root comes in while one of these files is there (nologin(5)).
fn closed_to(guest: &Guest, files: &[&str]) -> Result<(), Refused> {
    if guest.uid == 0 {
        return Ok(());
    }
    match files.iter().find(|file| Path::new(file).exists()) {
        None => Ok(()),
        Some(file) => {
            let mut text = Vec::new();
            let most = NOLOGIN_BYTES as u64;
            let _ = File::open(file).and_then(|file| file.take(most).read_to_end(&mut text));
            let text = String::from_utf8_lossy(&text);
            let words = format!("this machine takes no logins now ({file}) {}", text.trim());
            Err(Refused(words.trim().to_owned()))
        }
    }
}

/// As sshd without PAM: a locked account (`!`), an expired one, one whose password has expired (shadow(5)).
fn not_locked(guest: &Guest, shadow: &Path) -> Result<(), Refused> {
    let today = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs() / DAY);
    let line = match line_of(&guest.login, shadow) {
        Ok(Some(line)) => line,
        // An account of a name service, or a machine without the file.
        Ok(None) => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Refused(format!("{} cannot be read: {error}", shadow.display()))),
    };
    let fields: Vec<&str> = line.split(':').collect();
    let number = |at: usize| fields.get(at).and_then(|field| field.trim().parse::<u64>().ok());
    let locked = fields.get(1).is_some_and(|password| password.starts_with('!'));
    let expired = number(7).is_some_and(|day| today > day);
    let changed = number(2);
    let old = match (changed, number(4)) {
        (Some(0), _) => true,
        (Some(changed), Some(most)) => today > changed.saturating_add(most),
        _ => false,
    };
    let why = match (locked, expired, old) {
        (true, ..) => "the account is locked",
        (_, true, _) => "the account has expired",
        (.., true) => "the password has expired and must be changed first",
        _ => return Ok(()),
    };
    Err(Refused(format!("this machine does not let {} in: {why}", guest.login)))
}

fn line_of(login: &str, shadow: &Path) -> io::Result<Option<String>> {
    let reader = BufReader::new(File::open(shadow)?.take(SHADOW_BYTES));
    for line in reader.split(b'\n') {
        let line = String::from_utf8_lossy(&line?).into_owned();
        if line.split_once(':').is_some_and(|(name, _)| name == login) {
            return Ok(Some(line));
        }
    }
    Ok(None)
}

/// Begins an audit session of its own (audit_setloginuid(3)): the kernel numbers it anew whenever the uid is set, so it
/// is unset first. A machine without audit, or that forbids it, has none.
fn set_login_uid(uid: u32) {
    const FILE: &str = "/proc/self/loginuid";
    let _ = std::fs::write(FILE, u32::MAX.to_string());
    let _ = std::fs::write(FILE, uid.to_string());
}

/// A variable and its value, if it is one.
fn split(pair: &[u8]) -> Option<(OsString, OsString)> {
    let at = pair.iter().position(|byte| *byte == b'=')?;
    let (name, value) = pair.split_at_checked(at)?;
    let value = value.get(1..)?;
    let own = |bytes: &[u8]| OsString::from_vec(bytes.to_vec());
    (!name.is_empty()).then(|| (own(name), own(value)))
}

/// Where the message of the day of a machine is.
pub(crate) fn motd_files() -> [PathBuf; 2] {
    ["/run/motd.dynamic", "/etc/motd"].map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guest(uid: u32) -> Guest {
        Guest { login: "bob".into(), uid, client: None, services: Vec::new() }
    }

    #[test]
    fn a_nologin_file_keeps_everybody_out_but_root_and_says_its_text() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "back at nine\n").unwrap();
        let path = file.path().to_str().unwrap();
        let Refused(why) = closed_to(&guest(1000), &["/none", path]).unwrap_err();
        assert!(why.contains("back at nine") && why.contains(path), "{why}");
        assert_eq!(closed_to(&guest(0), &[path]), Ok(()));
        assert_eq!(closed_to(&guest(1000), &["/none"]), Ok(()));
    }

    fn check(shadow: &str, words: Option<&str>) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), shadow).unwrap();
        match (not_locked(&guest(1000), file.path()), words) {
            (Ok(()), None) => {}
            (Err(Refused(why)), Some(words)) if why.contains(words) => {}
            (got, wanted) => panic!("{shadow:?}: {got:?}, not {wanted:?}"),
        }
    }

    #[test]
    fn without_pam_a_locked_or_expired_account_stays_out_as_with_sshd() {
        check("", None);
        check("bob:*:19000:0:99999:7:::\n", None);
        check("bob:$y$x:19000:0:99999:7:::\n", None);
        check("bob:!:19000:0:99999:7:::\n", Some("locked"));
        check("bob:!$y$x:19000:0:99999:7:::\n", Some("locked"));
        check("bobby:!:::::::\nbob:*:19000::::::\n", None);
        check("bob:*:19000:0:99999:7::1:\n", Some("account has expired"));
        check("bob:*:19000:0:99999:7::9999999:\n", None);
        check("bob:*:0:0:99999:7:::\n", Some("password has expired"));
        check("bob:*:19000:0:1:7:::\n", Some("password has expired"));
        check("bob", None);
        assert_eq!(not_locked(&guest(1000), Path::new("/no/shadow")), Ok(()));
    }

    #[test]
    fn a_shell_must_be_a_program() {
        assert!(has_shell("bob", Path::new("/bin/sh")).is_ok());
        for bad in ["/no/shell", "/etc/passwd", "/tmp"] {
            assert!(has_shell("bob", Path::new(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_first_service_that_is_there_is_asked_and_the_last_if_none_is() {
        let folder = tempfile::tempdir().unwrap();
        let folders = [folder.path().to_str().unwrap()];
        let names = ["scry".to_owned(), "sshd".to_owned()];
        assert_eq!(service(&names, &folders), Some("sshd"));
        std::fs::write(folder.path().join("scry"), "").unwrap();
        assert_eq!(service(&names, &folders), Some("scry"));
        assert_eq!(service(&[], &folders), None);
    }

    #[test]
    fn what_is_no_variable_is_left_away() {
        let text =
            |pair: &[u8]| split(pair).map(|(n, v)| format!("{}|{}", n.display(), v.display()));
        assert_eq!(text(b"A=b=c").as_deref(), Some("A|b=c"));
        assert_eq!(text(b"A=").as_deref(), Some("A|"));
        assert_eq!((text(b"=x"), text(b"A"), text(b"")), (None, None, None));
    }
}

//! The machine's lists of who is and was here (utmp(5), lastlog(8)): what `who`, `w`, `last` and `lastlog` read.
//!
//! Records are written where libc would write them, by hand: libc's calls wait for a lock that any user can hold.

use rustix::fs::{FlockOperation, Mode, OFlags};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io;
use std::net::IpAddr;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Whether `ut_session` and `ut_tv` have 64 bits (glibc without `__WORDSIZE_TIME64_COMPAT32`).
const WIDE: bool =
    cfg!(any(target_arch = "aarch64", target_arch = "s390x", target_arch = "loongarch64"));
/// Bytes of a record, and where its parts begin.
const RECORD: usize = if WIDE { 400 } else { 384 };
const KIND: usize = 0;
const PID: usize = 4;
const LINE: (usize, usize) = (8, 32);
const ID: (usize, usize) = (40, 4);
const USER: (usize, usize) = (44, 32);
const HOST: (usize, usize) = (76, 256);
const TIME: usize = if WIDE { 344 } else { 340 };
const ADDRESS: usize = if WIDE { 360 } else { 348 };
const UNUSED: (usize, usize) = if WIDE { (376, 20) } else { (364, 20) };
const USER_PROCESS: i16 = 7;
const DEAD_PROCESS: i16 = 8;
/// Stands in the unused bytes of our records, so that the next start knows them.
const OURS: &[u8] = b"scry";
/// Bytes of one of lastlog's records, which stand at the user id times that: time, line, host.
const LASTLOG: usize = 4 + 32 + 256;
/// Records of utmp that are looked at. Cut: a longer file is no utmp.
const MOST: u64 = 65_536;
/// How often, and how long between, the lock is tried before the record is written without it.
const LOCK: (u32, Duration) = (10, Duration::from_millis(20));

/// Where the lists are. What is not there is not made: then the machine keeps none.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Lists {
    pub(crate) utmp: PathBuf,
    pub(crate) wtmp: PathBuf,
    pub(crate) lastlog: PathBuf,
}

impl Default for Lists {
    fn default() -> Self {
        let [utmp, wtmp, lastlog] =
            ["/run/utmp", "/var/log/wtmp", "/var/log/lastlog"].map(PathBuf::from);
        Self { utmp, wtmp, lastlog }
    }
}

/// Somebody on a terminal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Login {
    pub(crate) pid: i32,
    /// Terminal without `/dev/`.
    pub(crate) line: String,
    pub(crate) user: String,
    pub(crate) client: Option<IpAddr>,
}

/// The last time that an account was here before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Before {
    pub(crate) seconds: i64,
    pub(crate) host: String,
}

impl Lists {
    /// Notes that somebody has come.
    pub(crate) fn come(&self, login: &Login) {
        let record = login.record(USER_PROCESS, now());
        self.put(&record);
        self.append(&record);
    }

    /// Notes that they have gone, unless somebody else has the terminal by now.
    pub(crate) fn go(&self, login: &Login) {
        let own = |file: &File| {
            records(file).any(|(_, record)| {
                part(&record, ID) == padded(id(&login.line)) && number(&record, PID) == login.pid
            })
        };
        if !open(&self.utmp, OFlags::RDONLY).is_none_or(|file| own(&file)) {
            return;
        }
        let gone = Login { user: String::new(), client: None, ..login.clone() };
        let record = gone.record(DEAD_PROCESS, now());
        self.put(&record);
        self.append(&record);
    }

    /// Notes as gone whoever a node that was killed left in the list: records of ours whose process is not there.
    pub(crate) fn sweep(&self) -> usize {
        let Some(file) = open(&self.utmp, OFlags::RDWR) else { return 0 };
        let mut swept = 0;
        for (_, record) in records(&file) {
            let pid = number(&record, PID);
            let dead = !Path::new(&format!("/proc/{pid}")).exists();
            if kind(&record) == USER_PROCESS && part(&record, UNUSED).starts_with(OURS) && dead {
                let line = text(&record, LINE);
                self.go(&Login { pid, line, user: String::new(), client: None });
                swept += 1;
            }
        }
        swept
    }

    /// When an account was here last, and that it is now.
    pub(crate) fn last(&self, uid: u32, login: &Login) -> Option<Before> {
        let file = open(&self.lastlog, OFlags::RDWR)?;
        let at = u64::from(uid) * LASTLOG as u64;
        let mut old = [0; LASTLOG];
        let before = file.read_exact_at(&mut old, at).is_ok().then(|| Before {
            seconds: i64::from(u32::from_ne_bytes(old.first_chunk().copied().unwrap_or_default())),
            host: text(&old, (36, 256)),
        });
        let mut new = [0; LASTLOG];
        // Unsigned by common consent, so that it lasts until 2106.
        put(&mut new, (0, 4), &u32::try_from(now().as_secs()).unwrap_or(u32::MAX).to_ne_bytes());
        put(&mut new, (4, 32), login.line.as_bytes());
        put(&mut new, (36, 256), login.host().as_bytes());
        let _ = file.write_all_at(&new, at);
        before.filter(|before| before.seconds > 0)
    }

    /// Writes a record over that of its terminal, or behind the last.
    fn put(&self, record: &[u8; RECORD]) {
        let Some(file) = open(&self.utmp, OFlags::RDWR) else { return };
        for _ in 0..LOCK.0 {
            if rustix::fs::fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive).is_ok() {
                break;
            }
            std::thread::sleep(LOCK.1);
        }
        let same = records(&file).find(|(_, old)| {
            let lives = (5..=DEAD_PROCESS).contains(&kind(old));
            lives && part(old, ID) == part(record, ID)
        });
        let end = || file.metadata().map_or(0, |data| data.len() / RECORD as u64 * RECORD as u64);
        let _ = file.write_all_at(record, same.map_or_else(end, |(at, _)| at));
    }

    fn append(&self, record: &[u8; RECORD]) {
        use std::io::Write;
        if let Some(mut file) = open(&self.wtmp, OFlags::WRONLY | OFlags::APPEND) {
            let _ = file.write_all(record);
        }
    }
}

impl Login {
    fn record(&self, kind: i16, time: Duration) -> [u8; RECORD] {
        let mut record = [0; RECORD];
        put(&mut record, (KIND, 2), &kind.to_ne_bytes());
        put(&mut record, (PID, 4), &self.pid.to_ne_bytes());
        put(&mut record, LINE, self.line.as_bytes());
        put(&mut record, ID, id(&self.line));
        put(&mut record, USER, self.user.as_bytes());
        put(&mut record, HOST, self.host().as_bytes());
        let micros = time.subsec_micros();
        if WIDE {
            put(&mut record, (TIME, 8), &time.as_secs().to_ne_bytes());
            put(&mut record, (TIME + 8, 8), &u64::from(micros).to_ne_bytes());
        } else {
            let seconds = u32::try_from(time.as_secs()).unwrap_or(u32::MAX);
            put(&mut record, (TIME, 4), &seconds.to_ne_bytes());
            put(&mut record, (TIME + 4, 4), &micros.to_ne_bytes());
        }
        match self.client {
            Some(IpAddr::V4(v4)) => put(&mut record, (ADDRESS, 16), &v4.octets()),
            Some(IpAddr::V6(v6)) => put(&mut record, (ADDRESS, 16), &v6.octets()),
            None => {}
        }
        put(&mut record, UNUSED, OURS);
        record
    }

    fn host(&self) -> String {
        self.client.map(|client| client.to_string()).unwrap_or_default()
    }
}

/// What the account 0 is told of its last time (seconds since 1970, and from where), with the lists in `folder`, as it comes to
/// a terminal and goes again: for the fuzz target.
#[doc(hidden)]
pub fn rehearse(folder: &Path) -> Option<(i64, String)> {
    let [utmp, wtmp, lastlog] = ["utmp", "wtmp", "lastlog"].map(|name| folder.join(name));
    let lists = Lists { utmp, wtmp, lastlog };
    let login = Login { pid: i32::MAX, line: "pts/7".into(), user: "alice".into(), client: None };
    lists.sweep();
    lists.come(&login);
    let before = lists.last(0, &login);
    lists.go(&login);
    before.map(|before| (before.seconds, before.host))
}

/// As sshd's: the end of the terminal's name, at most four bytes.
fn id(line: &str) -> &[u8] {
    let name = line.as_bytes();
    name.get(name.len().saturating_sub(ID.1)..).unwrap_or(name)
}

fn padded(id: &[u8]) -> [u8; ID.1] {
    let mut whole = [0; ID.1];
    put(&mut whole, (0, ID.1), id);
    whole
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// An existing plain file; never a link, never made.
fn open(path: &Path, flags: OFlags) -> Option<File> {
    let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty()).ok()?);
    file.metadata().ok()?.is_file().then_some(file)
}

/// Whole records with their places.
fn records(file: &File) -> impl Iterator<Item = (u64, [u8; RECORD])> {
    (0..MOST).map_while(move |number| {
        let (at, mut record) = (number * RECORD as u64, [0; RECORD]);
        let read: io::Result<()> = file.read_exact_at(&mut record, at);
        read.ok().map(|()| (at, record))
    })
}

fn put(record: &mut [u8], (at, most): (usize, usize), bytes: &[u8]) {
    let bytes = bytes.get(..most.min(bytes.len())).unwrap_or(bytes);
    if let Some(place) = record.get_mut(at..at.saturating_add(bytes.len())) {
        place.copy_from_slice(bytes);
    }
}

fn part(record: &[u8], (at, length): (usize, usize)) -> &[u8] {
    record.get(at..at.saturating_add(length)).unwrap_or_default()
}

fn kind(record: &[u8]) -> i16 {
    i16::from_ne_bytes(part(record, (KIND, 2)).first_chunk().copied().unwrap_or_default())
}

fn number(record: &[u8], at: usize) -> i32 {
    i32::from_ne_bytes(part(record, (at, 4)).first_chunk().copied().unwrap_or_default())
}

fn text(record: &[u8], place: (usize, usize)) -> String {
    let bytes = part(record, place).split(|byte| *byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(bytes).chars().filter(|c| !c.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lists(folder: &Path) -> Lists {
        let [utmp, wtmp, lastlog] = ["utmp", "wtmp", "lastlog"].map(|name| {
            std::fs::write(folder.join(name), b"").unwrap();
            folder.join(name)
        });
        Lists { utmp, wtmp, lastlog }
    }

    fn login(line: &str, pid: i32) -> Login {
        let client = Some("192.0.2.7".parse().unwrap());
        Login { pid, line: line.into(), user: "alice".into(), client }
    }

    fn kinds(path: &Path) -> Vec<(i16, String, String)> {
        let file = File::open(path).unwrap();
        records(&file).map(|(_, r)| (kind(&r), text(&r, LINE), text(&r, USER))).collect()
    }

    #[test]
    fn who_came_and_went_stands_in_both_lists_and_a_terminal_has_one_place() {
        let folder = tempfile::tempdir().unwrap();
        let lists = lists(folder.path());
        lists.come(&login("pts/3", 1));
        lists.come(&login("pts/12", 1));
        lists.go(&login("pts/3", 1));
        let (alice, nobody) = ("alice".to_owned(), String::new());
        let (three, twelve) = ("pts/3".to_owned(), "pts/12".to_owned());
        let now = [(8, three.clone(), nobody.clone()), (7, twelve.clone(), alice.clone())];
        assert_eq!(kinds(&lists.utmp), now);
        lists.come(&login("pts/3", 2));
        // The first one's end comes late.
        lists.go(&login("pts/3", 1));
        let now = [(7, three.clone(), alice.clone()), (7, twelve.clone(), alice.clone())];
        assert_eq!(kinds(&lists.utmp), now);
        let ever: Vec<i16> = kinds(&lists.wtmp).iter().map(|row| row.0).collect();
        assert_eq!(ever, [7, 7, 8, 7]);
    }

    #[test]
    fn a_lock_that_somebody_holds_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let lists = lists(folder.path());
        let mut holder = std::process::Command::new("python3");
        let script = "import fcntl,sys,time;f=open(sys.argv[1]);fcntl.lockf(f,fcntl.LOCK_SH);print(1,flush=True);time.sleep(60)";
        holder.args(["-c", script]).arg(&lists.utmp).stdout(std::process::Stdio::piped());
        let Ok(mut holder) = holder.spawn() else { return };
        let mut ready = [0];
        std::io::Read::read_exact(holder.stdout.as_mut().unwrap(), &mut ready).unwrap();
        let began = std::time::Instant::now();
        lists.come(&login("pts/3", 1));
        assert!(began.elapsed() < Duration::from_secs(2));
        assert_eq!(kinds(&lists.utmp).len(), 1);
        holder.kill().unwrap();
        holder.wait().unwrap();
    }

    #[test]
    fn the_next_start_sweeps_what_is_dead_and_ours_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let lists = lists(folder.path());
        let own = std::process::id().cast_signed();
        lists.come(&login("pts/1", own));
        lists.come(&login("pts/2", i32::MAX));
        let mut other = login("pts/3", i32::MAX).record(USER_PROCESS, now());
        put(&mut other, UNUSED, &[0; 20]);
        lists.put(&other);
        assert_eq!((lists.sweep(), lists.sweep()), (1, 0));
        let left: Vec<i16> = kinds(&lists.utmp).iter().map(|row| row.0).collect();
        assert_eq!(left, [USER_PROCESS, DEAD_PROCESS, USER_PROCESS]);
    }

    #[test]
    fn the_last_login_is_told_once_there_was_one_and_links_are_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let lists = lists(folder.path());
        assert_eq!(lists.last(5, &login("pts/1", 1)), None);
        let before = lists.last(5, &login("pts/1", 1)).unwrap();
        assert_eq!(before.host, "192.0.2.7");
        assert!(before.seconds > 1_600_000_000);
        assert_eq!(lists.last(4, &login("pts/1", 1)), None);
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&lists.utmp, &link).unwrap();
        let linked = Lists { utmp: link, ..lists };
        linked.come(&login("pts/9", 1));
        assert_eq!(std::fs::metadata(folder.path().join("utmp")).unwrap().len(), 0);
    }

    #[test]
    fn a_list_that_is_not_there_is_not_made() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let lists = Lists { utmp: path("u"), wtmp: path("w"), lastlog: path("l") };
        lists.come(&login("pts/3", 1));
        assert_eq!((lists.last(1, &login("pts/3", 1)), lists.sweep()), (None, 0));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}

//! `__session`: the process that becomes the user and then the user's shell. One thread, no runtime, no way back.
//!
//! Order matters, and the numbers say where a later step belongs. PAM, the audit session and utmp stand between 3 and 5:
//! they need root and the terminal's name. No process stays behind for their end: the daemon is handed what is needed
//! and starts another for it (`closing_process`), so that an idle session costs no memory for it.

use crate::accounting::{self, Closing, Entered, Guest, PamState, Refused};
use crate::display;
use crate::environment;
use crate::fdpass;
use crate::files_process;
use crate::group;
use crate::hunt;
use crate::privilege::{Rights, become_user};
use crate::sys;
use crate::utmp::Before;
use rustix::fs::{Mode, OFlags};
use rustix::process::Resource;
use serde::{Deserialize, Serialize};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// Exit status of a session process that never became a shell.
const NOT_STARTED: u8 = 254;
/// Descriptors a shell may open unless it asks for more; the daemon's own limit is far higher.
const DESCRIPTORS: u64 = 1024;
/// Bytes of the message of the day. Cut: the terminal takes no more before somebody reads it.
const MOTD_BYTES: usize = 8 * 1024;
/// Bytes of the list of shells. Cut: no machine has as many.
const SHELLS_BYTES: usize = 64 * 1024;
/// Said last: silence behind it means that the program runs, silence before it that the process died.
pub(crate) const READY: &[u8] = b"+";
/// Said first, with a [`Report`] and what PAM's modules keep open.
pub(crate) const ENTERED: &[u8] = b"=";
/// The node's answer to that, to a process that is watched: it is, and goes on.
pub(crate) const WATCHED: &[u8] = b"w";
/// Said behind [`READY`] by a process that serves files itself and stays.
pub(crate) const SERVES: &[u8] = b"~";
/// Begins the words of a machine that does not let the account in.
pub(crate) const REFUSED: &str = "!";
/// Pipes of PAM's modules that the daemon keeps for a session. Cut: others close when the program starts.
const KEPT: usize = 3;

/// Everything the process is told; it asks nobody else, so no name service runs in it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Spec {
    pub(crate) session: String,
    pub(crate) login: String,
    pub(crate) rights: Rights,
    pub(crate) home: Vec<u8>,
    pub(crate) shell: Vec<u8>,
    pub(crate) run: Run,
    pub(crate) pty: Option<Terminal>,
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) agent_socket: Option<Vec<u8>>,
    /// The client's display, and the machine's xauth.
    pub(crate) x11: Option<(crate::X11Plan, Vec<u8>)>,
    pub(crate) addresses: Option<crate::Addresses>,
    pub(crate) motd: bool,
    /// PAM's services, see [`crate::Settings`].
    pub(crate) pam_services: Vec<String>,
    /// Whether the node puts this process under the kernel's eyes before anything of the user's runs in it.
    pub(crate) watched: bool,
}

/// What the daemon learns of a login before the program runs.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) pam: PamState,
    pub(crate) closing: Option<Closing>,
    /// The audit session that was begun.
    pub(crate) audit: Option<u32>,
    /// The control group that was made.
    pub(crate) group: Option<PathBuf>,
}

/// What becomes of the process.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Run {
    /// The login shell.
    Shell,
    /// A command, given to the shell.
    Exec(Vec<u8>),
    /// The first of these programs that is there, given to the shell.
    Sftp(Vec<Vec<u8>>),
    /// Files that others approve one by one, served by the process itself.
    Files,
}

/// The terminal, whose descriptor comes beside the spec.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Terminal {
    pub(crate) name: String,
    pub(crate) term: String,
}

/// Runs a session process: never returns if the program could be started.
#[must_use]
pub fn session_main() -> ExitCode {
    let Ok(control) = take_control() else {
        let _ =
            writeln!(io::stderr(), "scry {} is started by the node, not by hand", crate::SESSION);
        return ExitCode::from(NOT_STARTED);
    };
    match run(&control) {
        Ok(code) => code,
        Err(why) => {
            let cut = why.get(..fdpass::MESSAGE_BYTES.min(why.len())).unwrap_or("cannot start");
            let _ = fdpass::send(control.as_fd(), cut.as_bytes(), &[]);
            ExitCode::from(NOT_STARTED)
        }
    }
}

/// Takes the socket from standard input and closes whatever else was inherited.
pub(crate) fn take_control() -> io::Result<OwnedFd> {
    let stdin = io::stdin();
    rustix::net::sockopt::socket_type(&stdin)?;
    let control = rustix::io::fcntl_dupfd_cloexec(&stdin, 3)?;
    sys::close_all_but(control.as_fd());
    sys::default_signals();
    let _ = nix::sys::signal::SigSet::empty().thread_set_mask();
    Ok(control)
}

/// The beginning of a text file, if there is one to be read.
pub(crate) fn read_text(path: &Path, most: usize) -> Option<String> {
    let mut text = Vec::new();
    File::open(path).ok()?.take(most as u64).read_to_end(&mut text).ok()?;
    Some(String::from_utf8_lossy(&text).into_owned())
}

fn run(control: &OwnedFd) -> Result<ExitCode, String> {
    // 1. What to do, and with which descriptors.
    let (spec, streams) = receive(control).map_err(|why| format!("cannot take the task: {why}"))?;
    // 2. A process like any other, whatever the daemon is.
    reset();
    // 3. A session of its own, with its terminal.
    rustix::process::setsid().map_err(|why| format!("cannot begin a session: {why}"))?;
    connect(&spec, streams).map_err(|why| format!("cannot take the terminal: {why}"))?;
    // 4. Somebody whom the machine lets in, and knows of; and whose processes will be found.
    let before = hunt::audit_of("self");
    let welcomes = spec.motd && spec.pty.is_some() && matches!(spec.run, Run::Shell);
    let entered = enter(&spec, !welcomes).map_err(|Refused(why)| format!("{REFUSED}{why}"))?;
    let audit = hunt::audit_of("self").filter(|now| Some(*now) != before).map(|now| now.session);
    let group = group::join(&spec.session);
    report(control, &entered, audit, group).map_err(|why| format!("the node has gone: {why}"))?;
    if spec.watched {
        let answer = fdpass::receive(control.as_fd()).map(|message| message.bytes == WATCHED);
        if !answer.unwrap_or(false) {
            return Err("the node has gone".to_owned());
        }
    }
    // 5. The user, for good.
    let environment = environment::compose(&spec, &entered.environment);
    let groups = entered.groups.clone().unwrap_or_else(|| spec.rights.groups.clone());
    become_user(&Rights { groups, ..spec.rights.clone() })?;
    let home = PathBuf::from(OsString::from_vec(spec.home.clone()));
    go_home(&home);
    if let Some((display, xauth)) = &spec.x11 {
        display::add_cookie(display, xauth, &environment);
    }
    if welcomes {
        welcome(&home, &entered);
    }
    if matches!(spec.run, Run::Files) {
        return serve_files(control, &spec);
    }
    // 6. The program. All that is open besides the three streams closes here.
    let mut command = program(&spec)?;
    fdpass::send(control.as_fd(), READY, &[]).map_err(|_| "the node has gone".to_owned())?;
    let failed = command.env_clear().envs(environment).exec();
    Err(format!(
        "cannot run the login shell {} of {}: {failed}",
        String::from_utf8_lossy(&spec.shell),
        spec.login
    ))
}

/// Without a program: the account's shell only says whether there is to be sftp at all.
fn serve_files(control: &OwnedFd, spec: &Spec) -> Result<ExitCode, String> {
    let shell = Path::new(OsStr::from_bytes(&spec.shell));
    let listed = read_text(Path::new("/etc/shells"), SHELLS_BYTES);
    if !files_process::is_shell(shell, listed.as_deref()) {
        return Err(format!("{} has no sftp: {} is no login shell", spec.login, shell.display()));
    }
    files_process::shut().map_err(|why| format!("cannot serve files by themselves: {why}"))?;
    let gone = |_| "the node has gone".to_owned();
    fdpass::send(control.as_fd(), READY, &[]).map_err(gone)?;
    fdpass::send(control.as_fd(), SERVES, &[]).map_err(gone)?;
    Ok(files_process::serve(control))
}

fn receive(control: &OwnedFd) -> io::Result<(Spec, Vec<OwnedFd>)> {
    let message = fdpass::receive(control.as_fd())?;
    let mut descriptors = message.descriptors.into_iter();
    let mut file = File::from(descriptors.next().ok_or(io::ErrorKind::UnexpectedEof)?);
    let mut bytes = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut bytes)?;
    let spec = postcard::from_bytes(&bytes)
        .map_err(|why| io::Error::new(io::ErrorKind::InvalidData, why.to_string()))?;
    Ok((spec, descriptors.collect()))
}

/// Asks the machine, by its own rules and lists; of a node that is not root it asks nothing but nologin.
fn enter(spec: &Spec, silent: bool) -> Result<Entered, Refused> {
    let guest = Guest {
        login: spec.login.clone(),
        uid: spec.rights.uid,
        client: spec.addresses.map(|addresses| addresses.client.ip().to_canonical()),
        services: spec.pam_services.clone(),
    };
    let terminal = spec.pty.as_ref().map(|pty| pty.name.as_str());
    accounting::enter(&guest, &spec.rights.groups, terminal, silent)
}

/// Hands over what the end of the session will need.
fn report(
    control: &OwnedFd,
    entered: &Entered,
    audit: Option<u32>,
    group: Option<PathBuf>,
) -> io::Result<()> {
    let (pam, closing) = (entered.pam, entered.closing.clone());
    let memory = crate::spawn::remember(&Report { pam, closing, audit, group })?;
    let kept = match entered.pam {
        PamState::Used => sys::kept_pipes(control.as_fd(), KEPT),
        _ => Vec::new(),
    };
    let all: Vec<_> = core::iter::once(&memory).chain(&kept).map(AsFd::as_fd).collect();
    fdpass::send(control.as_fd(), ENTERED, &all)
}

fn reset() {
    rustix::process::umask(Mode::WGRP | Mode::WOTH);
    // Refused where the daemon is not root; then it had no special score to give up.
    let _ = std::fs::write("/proc/self/oom_score_adj", "0");
    let mut limit = rustix::process::getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|now| now > DESCRIPTORS) {
        limit.current = Some(limit.maximum.map_or(DESCRIPTORS, |most| most.min(DESCRIPTORS)));
        let _ = rustix::process::setrlimit(Resource::Nofile, limit);
    }
}

/// Puts the terminal, or the three pipes, where programs look for them.
fn connect(spec: &Spec, streams: Vec<OwnedFd>) -> io::Result<()> {
    let mut streams = streams.into_iter();
    let mut next = || streams.next().ok_or(io::ErrorKind::UnexpectedEof);
    if spec.pty.is_some() {
        let slave = next()?;
        rustix::process::ioctl_tiocsctty(&slave)?;
        rustix::stdio::dup2_stdin(&slave)?;
        rustix::stdio::dup2_stdout(&slave)?;
        rustix::stdio::dup2_stderr(&slave)?;
    } else {
        rustix::stdio::dup2_stdin(next()?)?;
        rustix::stdio::dup2_stdout(next()?)?;
        rustix::stdio::dup2_stderr(next()?)?;
    }
    Ok(())
}

fn go_home(home: &Path) {
    if let Err(why) = std::env::set_current_dir(home) {
        let _ = writeln!(io::stderr(), "Could not change to {}: {why}", home.display());
        let _ = std::env::set_current_dir("/");
    }
}

/// Greets as sshd does: PAM's messages, the last login, and the message of the day unless PAM has shown it. A
/// `~/.hushlogin` silences all of it. Nothing waits: nobody may be reading the terminal yet.
fn welcome(home: &Path, entered: &Entered) {
    if home.join(".hushlogin").exists() {
        return;
    }
    let stdout = io::stdout();
    let Ok(flags) = rustix::fs::fcntl_getfl(&stdout) else { return };
    let _ = rustix::fs::fcntl_setfl(&stdout, flags | OFlags::NONBLOCK);
    let say = |text: &str| {
        let _ = rustix::io::write(&stdout, text.as_bytes());
    };
    say(&entered.messages);
    if let Some(before) = &entered.before {
        say(&last_login(before));
    }
    if !entered.motd_shown {
        for file in accounting::motd_files() {
            say(&read_text(&file, MOTD_BYTES).unwrap_or_default());
        }
    }
    let _ = rustix::fs::fcntl_setfl(&stdout, flags);
}

/// As sshd words it, in the machine's time zone.
fn last_login(before: &Before) -> String {
    let Ok(moment) = jiff::Timestamp::from_second(before.seconds) else { return String::new() };
    let moment = moment.to_zoned(jiff::tz::TimeZone::system());
    let moment = moment.strftime("%a %b %e %H:%M:%S %Y");
    match before.host.as_str() {
        "" => format!("Last login: {moment}\n"),
        host => format!("Last login: {moment} from {host}\n"),
    }
}

/// The shell as sshd calls it: a login shell has a dash before its name, a command comes behind `-c`.
/// sftp goes through the shell too, so that an account without a shell has no sftp either.
fn program(spec: &Spec) -> Result<Command, String> {
    let shell = OsStr::from_bytes(&spec.shell);
    let name = Path::new(shell).file_name().unwrap_or(shell);
    let mut command = Command::new(shell);
    match &spec.run {
        Run::Shell => {
            let mut login = OsString::from("-");
            login.push(name);
            command.arg0(login);
        }
        Run::Exec(line) => {
            command.arg0(name).arg("-c").arg(OsStr::from_bytes(line));
        }
        Run::Sftp(places) => {
            let found = places.iter().find(|place| Path::new(OsStr::from_bytes(place)).is_file());
            let found = found.ok_or(
                "this machine has no sftp-server; install OpenSSH's (package openssh-sftp-server) or use scp -O",
            )?;
            command.arg0(name).arg("-c").arg(OsStr::from_bytes(found));
        }
        Run::Files => return Err("files are served without a program".to_owned()),
    }
    Ok(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(uid: u32, run: Run) -> Spec {
        Spec {
            session: "1".into(),
            login: "bob".into(),
            rights: Rights { uid, gid: uid, groups: vec![uid] },
            home: b"/home/bob".to_vec(),
            shell: b"/bin/bash".to_vec(),
            run,
            pty: Some(Terminal { name: "/dev/pts/0".into(), term: "x\0y".into() }),
            environment: vec![
                ("LANG".into(), "C".into()),
                ("LD_PRELOAD".into(), "/tmp/x.so".into()),
                ("LC_ALL".into(), "a\0b".into()),
            ],
            agent_socket: None,
            x11: None,
            addresses: None,
            motd: false,
            pam_services: Vec::new(),
            watched: false,
        }
    }

    #[test]
    fn what_slipped_past_the_door_does_not_reach_the_environment() {
        let all = environment::compose(&spec(1000, Run::Shell), &[]);
        let of = |name: &str| all.get(OsStr::new(name)).and_then(|value| value.to_str());
        assert_eq!(of("LANG"), Some("C"));
        assert_eq!(
            (of("LD_PRELOAD"), of("LC_ALL").filter(|value| value.contains('\0'))),
            (None, None)
        );
        assert_eq!(
            (of("TERM"), of("USER"), of("HOME")),
            (Some("dumb"), Some("bob"), Some("/home/bob"))
        );
        assert_eq!((of("MAIL"), of("SHELL")), (Some("/var/mail/bob"), Some("/bin/bash")));
    }

    #[test]
    fn a_spec_survives_its_journey() {
        let bytes = postcard::to_allocvec(&spec(7, Run::Exec(vec![0xff, b'x']))).unwrap();
        let back: Spec = postcard::from_bytes(&bytes).unwrap();
        assert!(matches!(back.run, Run::Exec(line) if line == [0xff, b'x']));
        assert!(postcard::from_bytes::<Spec>(&bytes[..bytes.len() / 2]).is_err());
    }
}

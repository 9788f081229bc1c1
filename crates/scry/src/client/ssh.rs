//! `scry ssh`: a session through our own client; and `scry connect`, the ProxyCommand of everybody else's.

use super::forwards;
use super::overlay::{self, Parting, Whose};
use super::profile::Profile;
use super::reach;
use crate::cli::{Connect, Ssh, WebLink};
use crate::show;
use anyhow::{Context as _, Result};
use bytes::Bytes;
use link::ssh::SshError;
use link::ssh::client::{Client, HostCheck, Proof, RemoteExit as Exit, Session, Settings, SignIn};
use model::{Login, NodeName, SeatRole, SessionId, Size};
use ssh_key::{Certificate, PrivateKey, PublicKey};
use std::io::{IsTerminal as _, Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use wire::name::{COMPANY_SUBSYSTEM, OWNER_SEAT, RETURN_VARIABLE, SEAT_PREFIX};
use wire::share::Welcome;

/// Exit code where ssh itself failed, as OpenSSH has it.
const FAILED: u8 = 255;
/// Pieces of standard input read ahead of the connection. Wait: reading stops.
const READ_AHEAD: usize = 4;
/// Bytes read from standard input at once.
const PIECE_BYTES: usize = 32 * 1024;
/// What a node that is lost would have written at last: line wrap, keys, mouse and pastes as they come, the first screen,
/// its cursor.
const GIVE_BACK: &str = "\x1b[?2026l\x1b[m\x1b[?7h\x1b[?1l\x1b>\x1b[?9l\x1b[?1000l\x1b[?1002l\x1b[?1003l\
    \x1b[?1005l\x1b[?1006l\x1b[?1015l\x1b[?1004l\x1b[?2004l\x1b[>4m\x1b[0 q\x1b[?1049l\x1b[?25h";

/// A node did not take what was shown.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Refused(String);

/// Carries standard input and output to a node's SSH server.
pub async fn connect(args: &Connect) -> Result<()> {
    let profile = Profile::load_from(&args.folder)?.still_signed_in()?;
    let stream = reach::node(&profile, &args.node).await?;
    let (mut from, mut to) = tokio::io::split(stream);
    let mut typed = standard_input();
    let upward = async {
        while let Some(bytes) = typed.recv().await {
            if to.write_all(&bytes).await.is_err() || to.flush().await.is_err() {
                return;
            }
        }
        let _ = to.shutdown().await;
        // The node may still have something to say.
        std::future::pending::<()>().await;
    };
    let mut out = tokio::io::stdout();
    let downward = tokio::io::copy(&mut from, &mut out);
    // When the node's side ends, so does this program: that is how the ssh that called it learns of it.
    tokio::select! {
        () = upward => {}
        _ = downward => {}
    }
    out.flush().await?;
    Ok(())
}

/// `scry ssh`.
pub async fn run(args: &Ssh) -> Result<ExitCode> {
    let profile = Profile::signed_in(&args.place)?;
    let login = match &args.target.login {
        Some(login) => login.clone(),
        None => profile.user.as_str().parse().context("say which account: LOGIN@NODE")?,
    };
    let agent = agent_socket(args.agent)?;
    let client = sign_in(&profile, &args.target.node, &login, agent).await?;
    let mut tasks = JoinSet::new();
    let client = forwards::start(client, args, &mut tasks).await?;
    if args.no_command {
        client.closed().cancelled().await;
        return Ok(ExitCode::from(FAILED));
    }
    let mut session = client.session().await?;
    if args.agent {
        session.agent().await?;
    }
    let wants_terminal = args.terminal > 0 || args.command.is_empty();
    let forced = args.terminal > 1;
    let here = std::io::stdin().is_terminal();
    let terminal = !args.no_terminal && (forced || (wants_terminal && here));
    let returns = terminal && here && has_picture();
    begin(&mut session, terminal, &command_line(args), returns).await?;
    let whose = Whose { profile, node: args.target.node.clone(), joined: None };
    run_session(session, terminal && here, client, whose).await
}

/// Opens a shell on a node and runs it to its end, with a terminal if standard input is one.
pub async fn shell(profile: &Profile, node: &NodeName, login: &Login) -> Result<ExitCode> {
    let client = sign_in(profile, node, login, None).await?;
    let mut session = client.session().await?;
    let terminal = std::io::stdin().is_terminal();
    begin(&mut session, terminal, &[], terminal && has_picture()).await?;
    let whose = Whose { profile: profile.clone(), node: node.clone(), joined: None };
    run_session(session, terminal, Arc::new(client), whose).await
}

/// Opens the line to the people in a session that goes on on a node. The connection lives as long as what comes with it.
pub async fn company(
    profile: &Profile,
    node: &NodeName,
    session: SessionId,
) -> Result<(Client, Session)> {
    let (short, name) = (session.short(), format!("{SEAT_PREFIX}{session}"));
    let refused = format!("{node} does not let you near session {short}; see `scry sessions`");
    let client = sign_in_as(profile, node, &name, None, refused).await?;
    let mut channel = client.session().await?;
    channel.subsystem(COMPANY_SUBSYSTEM).await?;
    Ok((client, channel))
}

/// Comes back to a session of one's own that goes on on a node. Fails with [`Refused`] where trying again is in vain; who is
/// let in and may not come back hears why on standard error.
pub(super) async fn come_back(
    profile: &Profile,
    node: &NodeName,
    session: SessionId,
) -> Result<(Client, Session)> {
    let refused = format!("{node} does not let you in any more; try `scry login`");
    let name = format!("{SEAT_PREFIX}{session}");
    let client = sign_in_as(profile, node, &name, None, refused).await?;
    let mut channel = client.session().await?;
    begin(&mut channel, true, OWNER_SEAT.as_bytes(), true).await?;
    Ok((client, channel))
}

/// Comes into a session that goes on on a node, by the code of a link if there is one, and stays until one leaves or it ends.
/// Standard input must be a terminal.
pub async fn seat(
    profile: &Profile,
    node: &NodeName,
    session: SessionId,
    link: Option<&str>,
    seat: SeatRole,
) -> Result<ExitCode> {
    let refused = format!(
        "{node} does not let you into session {}; `scry sessions` shows what still goes on, and as what you may \
         join it",
        session.short()
    );
    let name = match link {
        Some(code) => format!("{SEAT_PREFIX}{code}"),
        None => format!("{SEAT_PREFIX}{session}"),
    };
    let client = sign_in_as(profile, node, &name, None, refused).await?;
    let mut channel = client.session().await?;
    begin(&mut channel, true, seat.word().as_bytes(), false).await?;
    let whose = Whose { profile: profile.clone(), node: node.clone(), joined: Some(session) };
    let exit = match has_picture() {
        true => overlay::carry(channel, Arc::new(client), whose).await.map(|parting| parting.exit),
        false => carry(channel, true, overlay::FAREWELL).await,
    };
    finish_seat(exit)
}

fn finish_seat(exit: Result<Option<Exit>>) -> Result<ExitCode> {
    if !matches!(exit, Ok(Some(_))) {
        give_back();
    }
    Ok(code(exit?))
}

fn give_back() {
    let mut out = std::io::stdout().lock();
    // A terminal that is gone needs nothing back.
    let _ = out.write_all(GIVE_BACK.as_bytes()).and_then(|()| out.flush());
}

async fn sign_in(
    profile: &Profile,
    node: &NodeName,
    login: &Login,
    agent: Option<PathBuf>,
) -> Result<Client> {
    let name = reach::node_name(profile, node.as_str());
    let refused = format!(
        "{name} does not let you in as {login}; an admin can see why with \
         `scry access explain {} {login}@{name}`",
        profile.user
    );
    sign_in_as(profile, node, login.as_str(), agent, refused).await
}

/// Signs in under any name that SSH may carry; `refused` is what to say if the node does not take it.
async fn sign_in_as(
    profile: &Profile,
    node: &NodeName,
    login: &str,
    agent: Option<PathBuf>,
    refused: String,
) -> Result<Client> {
    let files = profile.files();
    let key = PrivateKey::from_openssh(Profile::read(&files.ssh_key())?)?;
    let certificate = Profile::read(&files.ssh_certificate())?;
    let certificate = Certificate::from_openssh(certificate.trim())?;
    let name = reach::node_name(profile, node.as_str()).to_owned();
    let settings = Settings {
        host: host_check(&name, &profile.cluster.host_authority)?,
        buffers: Arc::new(node::buffers::OnDisk::for_client(&profile.folder)),
        agent,
        compress: false,
    };
    let stream = reach::node(profile, &name).await?;
    let proof = Proof::Certificate(Arc::new(key), Box::new(certificate));
    let who = SignIn { login: login.to_owned(), proof };
    link::ssh::client::connect(Box::new(stream), settings, who).await.map_err(|error| match error {
        SshError::Refused { .. } => anyhow::Error::new(Refused(refused)),
        other => other.into(),
    })
}

/// Comes into a session by the code of a link for guests, as whom `called` says. Standard input must be a terminal.
pub async fn guest(link: &WebLink, welcome: &Welcome, called: String) -> Result<ExitCode> {
    let shared = &welcome.shared;
    let settings = Settings {
        host: host_check(shared.node.as_str(), &welcome.host_authority)?,
        buffers: Arc::new(node::buffers::OnDisk::for_client(Path::new("/var/tmp"))),
        agent: None,
        compress: false,
    };
    let stream = reach::node_as_guest(link, &shared.node).await?;
    let who = SignIn { login: link.code.clone(), proof: Proof::Answer(called) };
    let client = link::ssh::client::connect(Box::new(stream), settings, who).await?;
    let mut channel = client.session().await?;
    begin(&mut channel, true, shared.seat.word().as_bytes(), false).await?;
    finish_seat(carry(channel, true, overlay::FAREWELL).await)
}

fn host_check(node: &str, authority: &[String]) -> Result<HostCheck> {
    let authorities: Vec<PublicKey> =
        authority.iter().map(|key| PublicKey::from_openssh(key)).collect::<Result<_, _>>()?;
    let asked = node.to_owned();
    Ok(Box::new(move |shown| {
        policy::read_host_certificate(shown, &asked, &authorities, show::now())
            .map(drop)
            .map_err(|denial| denial.to_string())
    }))
}

/// Begins a session; `returns`: whether this client can come back to it when its connection was lost.
async fn begin(session: &mut Session, terminal: bool, command: &[u8], returns: bool) -> Result<()> {
    if returns {
        session.variable(RETURN_VARIABLE, "1").await?;
    }
    let is_liked = |name: &str| name == "LANG" || name.starts_with("LC_") || name == "COLORTERM";
    let liked: Vec<_> = std::env::vars().filter(|(name, _)| is_liked(name)).collect();
    for (name, value) in liked {
        session.variable(&name, &value).await?;
    }
    if terminal {
        let term = std::env::var("TERM").unwrap_or_else(|_| "xterm-256color".to_owned());
        session.pty(&term, terminal_size(), &[]).await?;
    }
    if command.is_empty() {
        session.shell().await?;
    } else {
        session.exec(command.to_vec()).await?;
    }
    Ok(())
}

async fn run_session(
    session: Session,
    raw: bool,
    client: Arc<Client>,
    whose: Whose,
) -> Result<ExitCode> {
    if raw && has_picture() {
        let Parting { exit, why } = overlay::carry(session, client, whose).await?;
        let Some(why) = why else { return Ok(code(exit)) };
        give_back();
        show::remark(format!("scry: {why}"));
        return Ok(ExitCode::from(FAILED));
    }
    Ok(code(carry(session, raw, Duration::ZERO).await?))
}

/// Whether standard output is a terminal that can be painted.
fn has_picture() -> bool {
    let term = std::env::var("TERM").unwrap_or_default();
    std::io::stdout().is_terminal() && !matches!(term.as_str(), "" | "dumb")
}

/// The exit code; what it cannot say is said in words.
fn code(exit: Option<Exit>) -> ExitCode {
    match exit {
        Some(Exit::Status(status)) => ExitCode::from(u8::try_from(status).unwrap_or(FAILED)),
        Some(Exit::Signal { name, message, .. }) => {
            show::remark(format!("scry: {}", by_signal(&name, &message)));
            ExitCode::from(FAILED)
        }
        None => {
            show::remark("scry: the connection ended before the program did");
            ExitCode::from(FAILED)
        }
    }
}

fn by_signal(name: &str, message: &str) -> String {
    let (name, message) = (show::clean(name, 32), show::clean(message, 500));
    let message = if message.is_empty() { message } else { format!(": {message}") };
    format!("the program ended by SIG{name}{message}")
}

/// Copies until the program has ended and everything it wrote was passed on. The node has `farewell` to end it when it is
/// left by `~.`.
async fn carry(mut session: Session, raw: bool, farewell: Duration) -> Result<Option<Exit>> {
    let _raw = raw.then(Raw::enter).transpose()?;
    let mut tasks = JoinSet::new();
    let input = session.input.clone();
    let mut typed = standard_input();
    tasks.spawn(async move {
        let mut escape = Escape::default();
        while let Some(bytes) = typed.recv().await {
            if raw && escape.asks_to_leave(&bytes) {
                if !farewell.is_zero() && input.eof().await.is_ok() {
                    tokio::time::sleep(farewell).await;
                }
                input.close().await;
                return;
            }
            if input.write(bytes).await.is_err() {
                return;
            }
        }
        let _ = input.eof().await;
    });
    if raw {
        let control = session.control();
        let mut changed = signal(SignalKind::window_change())?;
        tasks.spawn(async move {
            while changed.recv().await.is_some() && control.resize(terminal_size()).await.is_ok() {}
        });
    }
    let out = session.output.take().context("a fresh session has its output")?;
    let errors = session.errors.take().context("a fresh session has its errors")?;
    let copied =
        tokio::try_join!(copy(out, tokio::io::stdout()), copy(errors, tokio::io::stderr()));
    let exit = session.exit().await;
    copied?;
    Ok(exit)
}

async fn copy(
    mut from: link::ssh::Input,
    mut to: impl tokio::io::AsyncWrite + Unpin,
) -> Result<()> {
    while let Some(bytes) = from.pull().await? {
        if to.write_all(&bytes).await.is_err() || to.flush().await.is_err() {
            // Whoever reads our output has gone, as in `scry ssh … | head`; the rest is drained so that the program can end.
            while from.pull().await?.is_some() {}
        }
    }
    Ok(())
}

/// Reads standard input on a thread of its own: no terminal can be read without blocking one.
pub(super) fn standard_input() -> mpsc::Receiver<Bytes> {
    let (send, receive) = mpsc::channel(READ_AHEAD);
    std::thread::spawn(move || {
        let mut input = std::io::stdin().lock();
        let mut piece = vec![0; PIECE_BYTES];
        while let Ok(count) = input.read(&mut piece) {
            let Some(bytes) = piece.get(..count).filter(|bytes| !bytes.is_empty()) else { return };
            if send.blocking_send(Bytes::copy_from_slice(bytes)).is_err() {
                return;
            }
        }
    });
    receive
}

/// `~.` at the beginning of a line ends the session, as in OpenSSH.
#[derive(Clone, Copy, Default)]
enum Escape {
    #[default]
    LineBegins,
    Tilde,
    InsideLine,
}

impl Escape {
    fn asks_to_leave(&mut self, bytes: &[u8]) -> bool {
        for byte in bytes {
            *self = match (*self, byte) {
                (Self::Tilde, b'.') => return true,
                (_, b'\r' | b'\n') => Self::LineBegins,
                (Self::LineBegins, b'~') => Self::Tilde,
                _ => Self::InsideLine,
            };
        }
        false
    }
}

/// The terminal in raw mode, until dropped.
pub(super) struct Raw;

impl Raw {
    pub fn enter() -> Result<Self> {
        crossterm::terminal::enable_raw_mode().context("cannot set the terminal to raw mode")?;
        Ok(Self)
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // There is nobody left to tell; the shell's `reset` helps.
        let _ = crossterm::terminal::disable_raw_mode();
    }
}

pub(super) fn terminal_size() -> Size {
    let (cols, rows) = crossterm::terminal::size().unwrap_or((80, 24));
    Size::clamped(cols.into(), rows.into())
}

/// The command as OpenSSH sends it: the words joined by blanks.
fn command_line(args: &Ssh) -> Vec<u8> {
    let words: Vec<_> = args.command.iter().map(|word| word.as_bytes()).collect();
    words.join(&b' ')
}

fn agent_socket(wanted: bool) -> Result<Option<PathBuf>> {
    if !wanted {
        return Ok(None);
    }
    let socket = std::env::var_os("SSH_AUTH_SOCK").context("-A needs a running ssh-agent")?;
    Ok(Some(PathBuf::from(socket)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_a_program_ended_is_one_line_that_controls_nothing() {
        assert_eq!(by_signal("TERM", ""), "the program ended by SIGTERM");
        let said = by_signal("K\u{1b}c", "core\ndumped\u{9b}2J");
        assert_eq!(said, "the program ended by SIGK·c: core·dumped·2J");
    }

    #[test]
    fn a_tilde_and_a_dot_leave_only_at_the_beginning_of_a_line() {
        for (typed, leaves) in [
            (&[&b"~."[..]][..], true),
            (&[b"~", b"."], true),
            (&[b"ls\r~."], true),
            (&[b"ls ~."], false),
            (&[b"~~."], false),
            (&[b"~a."], false),
            (&[b"a~."], false),
        ] {
            let mut escape = Escape::default();
            let left = typed.iter().any(|bytes| escape.asks_to_leave(bytes));
            assert_eq!(left, leaves, "{typed:?}");
        }
    }
}

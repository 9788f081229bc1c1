//! `scry ssh`: a session through our own client; and `scry connect`, the ProxyCommand of everybody else's.

use super::forwards;
use super::profile::Profile;
use super::reach;
use crate::cli::{Connect, Ssh};
use crate::show;
use anyhow::{Context as _, Result, anyhow};
use bytes::Bytes;
use link::ssh::SshError;
use link::ssh::client::{Client, RemoteExit as Exit, Session, Settings, SignIn};
use model::{Login, NodeName, Size};
use ssh_key::{Certificate, PrivateKey, PublicKey};
use std::io::{IsTerminal as _, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use tokio::io::AsyncWriteExt as _;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// Exit code where ssh itself failed, as OpenSSH has it.
const FAILED: u8 = 255;
/// Pieces of standard input read ahead of the connection. Wait: reading stops.
const READ_AHEAD: usize = 4;
/// Bytes read from standard input at once.
const PIECE_BYTES: usize = 32 * 1024;

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
    begin(&mut session, terminal, &command_line(args)).await?;
    run_session(session, terminal && here).await
}

/// Opens a shell on a node and runs it to its end, with a terminal if standard input is one.
pub async fn shell(profile: &Profile, node: &NodeName, login: &Login) -> Result<ExitCode> {
    let client = sign_in(profile, node, login, None).await?;
    let mut session = client.session().await?;
    let terminal = std::io::stdin().is_terminal();
    begin(&mut session, terminal, &[]).await?;
    run_session(session, terminal).await
}

async fn sign_in(
    profile: &Profile,
    node: &NodeName,
    login: &Login,
    agent: Option<PathBuf>,
) -> Result<Client> {
    let files = profile.files();
    let key = PrivateKey::from_openssh(Profile::read(&files.ssh_key())?)?;
    let certificate = Profile::read(&files.ssh_certificate())?;
    let certificate = Certificate::from_openssh(certificate.trim())?;
    let name = reach::node_name(profile, node.as_str()).to_owned();
    let authorities: Vec<PublicKey> = profile
        .cluster
        .host_authority
        .iter()
        .map(|key| PublicKey::from_openssh(key))
        .collect::<Result<_, _>>()?;
    let asked = name.clone();
    let settings = Settings {
        host: Box::new(move |shown| {
            policy::read_host_certificate(shown, &asked, &authorities, show::now())
                .map(drop)
                .map_err(|denial| denial.to_string())
        }),
        buffers: Arc::new(node::buffers::OnDisk::for_client(&profile.folder)),
        agent,
        compress: false,
    };
    let stream = reach::node(profile, &name).await?;
    let who = SignIn { login: login.to_string(), key, certificate };
    link::ssh::client::connect(Box::new(stream), settings, who).await.map_err(|error| match error {
        SshError::Refused { .. } => anyhow!(
            "{name} does not let you in as {login}; an admin can see why with \
             `scry access explain {} {login}@{name}`",
            profile.user
        ),
        other => other.into(),
    })
}

async fn begin(session: &mut Session, terminal: bool, command: &[u8]) -> Result<()> {
    for (name, value) in std::env::vars() {
        if name == "LANG" || name.starts_with("LC_") || name == "COLORTERM" {
            session.variable(&name, &value).await?;
        }
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

/// Copies until the program has ended and everything it wrote was passed on.
async fn run_session(mut session: Session, raw: bool) -> Result<ExitCode> {
    let _raw = raw.then(Raw::enter).transpose()?;
    let mut tasks = JoinSet::new();
    let input = session.input.clone();
    let mut typed = standard_input();
    tasks.spawn(async move {
        let mut escape = Escape::default();
        while let Some(bytes) = typed.recv().await {
            if raw && escape.asks_to_leave(&bytes) {
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
    Ok(match exit {
        Some(Exit::Status(status)) => ExitCode::from(u8::try_from(status).unwrap_or(FAILED)),
        Some(Exit::Signal { name, message, .. }) => {
            drop(_raw);
            let message = if message.is_empty() { String::new() } else { format!(": {message}") };
            show::remark(format!("scry: the program ended by SIG{name}{message}"));
            ExitCode::from(FAILED)
        }
        None => {
            drop(_raw);
            show::remark("scry: the connection ended before the program did");
            ExitCode::from(FAILED)
        }
    })
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
fn standard_input() -> mpsc::Receiver<Bytes> {
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
struct Raw;

impl Raw {
    fn enter() -> Result<Self> {
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

fn terminal_size() -> Size {
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

//! A pseudo-terminal (pty(7)): the daemon's end, and how the user's end is made.

use crate::account::Account;
use crate::{flow, modes, sys};
use bytes::Bytes;
use model::Size;
use rustix::fs::Mode;
use rustix::process::{Gid, Pid, Uid};
use rustix::pty::OpenptFlags;
use rustix::termios::{LocalModes, OptionalActions, Winsize};
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Weak};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::task::JoinHandle;

/// Reads in a row that promise more, after which output is gathered.
const THICK_READS: u32 = 4;
/// Less than this gathered, and it comes no longer thick and fast.
const THIN_BYTES: usize = 16 * 1024;

/// The daemon's end of a terminal. Clones are the same terminal; when the last one goes, the kernel sends
/// SIGHUP to the shell and to the job in its foreground.
///
/// The device was made for this terminal and goes with it (devpts), so its ownership need not be given back.
#[derive(Debug, Clone)]
pub struct Pty(Arc<AsyncFd<OwnedFd>>);

/// A terminal whose user's end nobody holds yet.
pub(crate) struct Opened {
    pub(crate) pty: Pty,
    pub(crate) slave: OwnedFd,
    /// Path of the user's end, such as `/dev/pts/3`.
    pub(crate) name: String,
}

impl Pty {
    /// What the terminal shows.
    #[must_use]
    pub fn output(&self) -> PtyOutput {
        PtyOutput { pty: self.clone(), thick: 0, gathering: None }
    }

    /// Types a beginning of `bytes` and says how much of it, waiting until the terminal takes something. Cancel safe.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub async fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.is_empty() {
            return Ok(0);
        }
        loop {
            match flow::write_some(self.0.get_ref(), bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                done => return done,
            }
            // For room it is watched only while it is full: the kernel tells of room whenever a program reads what was typed,
            // and each time the thread that shows the echo would be woken for nothing.
            let full = sys::watch(self.0.get_ref().try_clone()?, Interest::WRITABLE)?;
            full.writable().await.map(drop)?;
        }
    }

    /// Types all of `bytes`. Not cancel safe: how much was typed is then unknown.
    ///
    /// # Errors
    /// As [`Pty::write`].
    pub async fn write_all(&self, bytes: &[u8]) -> io::Result<()> {
        flow::all(bytes, |rest| self.write(rest)).await
    }

    /// Gives the terminal a new size; its foreground job gets SIGWINCH.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn resize(&self, size: Size) -> io::Result<()> {
        Ok(rustix::termios::tcsetwinsize(&self.0, window(size))?)
    }

    /// Whether a line is being read without showing it, as programs do when they ask for a password
    /// (ECHO off, ICANON on). Editors and shells with a line editor switch both off and do not count.
    #[must_use]
    pub fn echo_off(&self) -> bool {
        rustix::termios::tcgetattr(&self.0).is_ok_and(|termios| {
            termios.local_modes.contains(LocalModes::ICANON)
                && !termios.local_modes.contains(LocalModes::ECHO)
        })
    }

    /// What runs on it, as long as it is open.
    #[must_use]
    pub fn foreground(&self) -> Foreground {
        Foreground(self.loosely())
    }

    /// A way to the terminal that does not keep it open.
    pub(crate) fn loosely(&self) -> LoosePty {
        LoosePty(Arc::downgrade(&self.0))
    }
}

/// What a terminal shows. The kernel holds 4 KiB of it ready at most (N_TTY, since Linux 3.12) and fills them again only once
/// they were read: where much comes, a thread gathers it, so that not everything behind is woken for each 4 KiB.
#[derive(Debug)]
pub struct PtyOutput {
    pty: Pty,
    /// Reads in a row that promised more.
    thick: u32,
    gathering: Option<JoinHandle<Bytes>>,
}

impl PtyOutput {
    /// Waits for output: at most [`model::limit::READ_BYTES`], empty once every process has closed the
    /// terminal. Cancel safe.
    ///
    /// # Errors
    /// When the system refuses the read.
    pub async fn read(&mut self) -> io::Result<Bytes> {
        if let Some(gathering) = &mut self.gathering {
            let gathered = gathering.await;
            self.gathering = None;
            let bytes = gathered.map_err(io::Error::other)?;
            if bytes.len() >= THIN_BYTES {
                // It goes on while this is worked on.
                self.gather();
                return Ok(bytes);
            }
            self.thick = 0;
            if !bytes.is_empty() {
                return Ok(bytes);
            }
        }
        let bytes = flow::read(&self.pty.0).await?;
        self.thick = if bytes.len() < flow::PROMISING_BYTES { 0 } else { self.thick + 1 };
        if self.thick >= THICK_READS {
            self.gather();
        }
        Ok(bytes)
    }

    fn gather(&mut self) {
        let pty = self.pty.clone();
        self.gathering = Some(tokio::task::spawn_blocking(move || flow::gather(pty.0.get_ref())));
    }
}

/// A terminal as long as somebody else keeps it open.
#[derive(Debug, Clone)]
pub(crate) struct LoosePty(Weak<AsyncFd<OwnedFd>>);

impl LoosePty {
    /// The process group in the foreground, if there is one.
    pub(crate) fn foreground(&self) -> Option<Pid> {
        rustix::termios::tcgetpgrp(&*self.0.upgrade()?).ok()
    }
}

/// The job in a terminal's foreground. It does not keep the terminal open.
#[derive(Debug)]
pub struct Foreground(LoosePty);

impl Foreground {
    /// The name (`comm`) of the process that the job began with, of its own choice; control characters are replaced. `None`
    /// once that, or the terminal, is gone.
    #[must_use]
    pub fn program(&self) -> Option<String> {
        let group = self.0.foreground()?;
        Some(crate::stat::name(group.as_raw_nonzero().get())).filter(|name| !name.is_empty())
    }
}

const SLAVE: OpenptFlags = OpenptFlags::RDWR.union(OpenptFlags::NOCTTY).union(OpenptFlags::CLOEXEC);

/// Makes a terminal for an account. Must be called within a tokio runtime.
pub(crate) fn open(account: &Account, size: Size, wanted: &[(u8, u32)]) -> io::Result<Opened> {
    let master = rustix::pty::openpt(SLAVE)?;
    rustix::pty::grantpt(&master)?;
    rustix::pty::unlockpt(&master)?;
    let name = rustix::pty::ptsname(&master, Vec::new())?.to_string_lossy().into_owned();
    let slave = rustix::pty::ioctl_tiocgptpeer(&master, SLAVE)?;
    if rustix::process::geteuid().is_root() {
        lend(&slave, account)?;
    }
    let mut termios = rustix::termios::tcgetattr(&slave)?;
    modes::apply(&mut termios, wanted);
    rustix::termios::tcsetattr(&slave, OptionalActions::Now, &termios)?;
    rustix::termios::tcsetwinsize(&slave, window(size))?;
    let pty = Pty(Arc::new(sys::watch(master, Interest::READABLE)?));
    Ok(Opened { pty, slave, name })
}

/// The user owns the device; group `tty` may write to it, as write(1) and wall(1) need.
fn lend(slave: &OwnedFd, account: &Account) -> io::Result<()> {
    let group = account.tty_group.unwrap_or(account.gid);
    let mut mode = Mode::RUSR | Mode::WUSR;
    if account.tty_group.is_some() {
        mode |= Mode::WGRP;
    }
    rustix::fs::fchown(slave, Some(Uid::from_raw(account.uid)), Some(Gid::from_raw(group)))?;
    Ok(rustix::fs::fchmod(slave, mode)?)
}

fn window(size: Size) -> Winsize {
    Winsize { ws_row: size.rows(), ws_col: size.cols(), ws_xpixel: 0, ws_ypixel: 0 }
}

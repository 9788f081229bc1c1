//! `__close`: what is done as root when a session has ended: its PAM session is closed, and the machine's lists say that
//! nobody is there any more.

use crate::accounting::Closing;
use crate::fdpass;
use crate::session_process::take_control;
use crate::spawn;
use crate::{CLOSE, SESSION};
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::process::ExitCode;

/// Does, when it is dropped, what has to be done when a session has ended.
#[derive(Debug)]
pub(crate) struct Leave {
    exe: PathBuf,
    /// A [`Closing`], written by the session process while it was root.
    task: OwnedFd,
    /// Pipes by which PAM's modules learn that the session has ended.
    _kept: Vec<OwnedFd>,
}

impl Leave {
    pub(crate) fn new(exe: PathBuf, task: OwnedFd, kept: Vec<OwnedFd>) -> Self {
        Self { exe, task, _kept: kept }
    }
}

impl Drop for Leave {
    fn drop(&mut self) {
        // Without a runtime the node is ending; the next start sweeps the lists.
        if tokio::runtime::Handle::try_current().is_err() {
            return;
        }
        // Nobody waits for it; tokio collects it.
        if let Ok((_, control)) = spawn::start(&self.exe, CLOSE) {
            let _ = control.send_now(SESSION.as_bytes(), &[self.task.as_fd()]);
        }
    }
}

/// Closes one session and ends.
#[must_use]
pub fn close_main() -> ExitCode {
    let Ok(control) = take_control() else {
        let _ = writeln!(io::stderr(), "scry {CLOSE} is started by the node, not by hand");
        return ExitCode::FAILURE;
    };
    // Out of the daemon's process group, so that Ctrl-C in its terminal does not leave a session open.
    let _ = rustix::process::setsid();
    match receive(&control) {
        Ok(closing) => {
            closing.close();
            ExitCode::SUCCESS
        }
        Err(_) => ExitCode::FAILURE,
    }
}

fn receive(control: &OwnedFd) -> io::Result<Closing> {
    let message = fdpass::receive(control.as_fd())?;
    let task = message.descriptors.into_iter().next().ok_or(io::ErrorKind::UnexpectedEof)?;
    let report: crate::session_process::Report = read(task)?;
    report.closing.ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// Reads what [`spawn::remember`] wrote.
pub(crate) fn read<T: serde::de::DeserializeOwned>(memory: OwnedFd) -> io::Result<T> {
    let (mut file, mut bytes) = (File::from(memory), Vec::new());
    file.rewind()?;
    file.read_to_end(&mut bytes)?;
    postcard::from_bytes(&bytes)
        .map_err(|why| io::Error::new(io::ErrorKind::InvalidData, why.to_string()))
}

//! Bytes in and out of a descriptor without blocking: what pipes and terminals have in common.

use crate::sys;
use bytes::Bytes;
use model::limit;
use rustix::buffer::spare_capacity;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// A read of at least this many bytes is followed by another at once; a terminal gives 4 KiB at most.
pub(crate) const PROMISING_BYTES: usize = 2 * 1024;
/// How long output that comes thick and fast is gathered before it goes on.
const GATHER: Duration = Duration::from_millis(2);

/// The reading end of a program's output.
#[derive(Debug)]
pub struct Reader(AsyncFd<OwnedFd>);

impl Reader {
    pub(crate) fn new(fd: OwnedFd) -> io::Result<Self> {
        sys::watch(fd, Interest::READABLE).map(Self)
    }

    /// Waits for output: at most [`limit::READ_BYTES`], empty at its end. Cancel safe.
    ///
    /// # Errors
    /// When the system refuses the read.
    pub async fn read(&self) -> io::Result<Bytes> {
        read(&self.0).await
    }
}

/// The writing end of a program's input. Dropping it is end of file for the program.
#[derive(Debug)]
pub struct Writer(AsyncFd<OwnedFd>);

impl Writer {
    pub(crate) fn new(fd: OwnedFd) -> io::Result<Self> {
        sys::watch(fd, Interest::WRITABLE).map(Self)
    }

    /// Writes a beginning of `bytes` and says how much of it, waiting until the program takes something. Cancel safe.
    ///
    /// # Errors
    /// `BrokenPipe` when the program has closed its input.
    pub async fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        write(&self.0, bytes).await
    }

    /// Writes all of `bytes`. Not cancel safe: how much was written is then unknown.
    ///
    /// # Errors
    /// As [`Writer::write`].
    pub async fn write_all(&self, bytes: &[u8]) -> io::Result<()> {
        all(bytes, |rest| write(&self.0, rest)).await
    }
}

pub(crate) async fn read(fd: &AsyncFd<OwnedFd>) -> io::Result<Bytes> {
    loop {
        let mut ready = fd.readable().await?;
        let mut bytes = Vec::new();
        match read_on(fd.get_ref(), &mut bytes) {
            // What was there is taken; to ask again would wait for the kernel's side of a terminal. An end stays ready.
            Ok(false) => ready.clear_ready(),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                ready.clear_ready();
                if bytes.is_empty() {
                    continue;
                }
            }
            Err(error) if bytes.is_empty() => return Err(error),
            Ok(true) | Err(_) => {}
        }
        return Ok(kept(bytes));
    }
}

/// What is kept of it for the session's seats keeps no more than it is, or not much more.
fn kept(mut bytes: Vec<u8>) -> Bytes {
    if bytes.len() < bytes.capacity() / 2 {
        bytes.shrink_to_fit();
    }
    bytes.into()
}

async fn write(fd: &AsyncFd<OwnedFd>, bytes: &[u8]) -> io::Result<usize> {
    if bytes.is_empty() {
        return Ok(0);
    }
    fd.async_io(Interest::WRITABLE, |fd| write_some(fd, bytes)).await
}

/// One write of something. A terminal says of one that is full that it took nothing.
pub(crate) fn write_some(fd: &OwnedFd, bytes: &[u8]) -> io::Result<usize> {
    match rustix::io::write(fd, bytes) {
        Ok(0) => Err(io::ErrorKind::WouldBlock.into()),
        result => Ok(result?),
    }
}

/// Writes all of it by writes of a beginning.
pub(crate) async fn all<'a, W>(bytes: &'a [u8], write: impl Fn(&'a [u8]) -> W) -> io::Result<()>
where
    W: Future<Output = io::Result<usize>>,
{
    let mut rest = bytes;
    while !rest.is_empty() {
        let written = write(rest).await?;
        rest = rest.get(written..).unwrap_or_default();
    }
    Ok(())
}

/// Takes what is there, behind what was read before: goes on as long as a read comes back full enough to promise more.
/// Says whether it ended at [`limit::READ_BYTES`].
fn read_on(fd: &OwnedFd, bytes: &mut Vec<u8>) -> io::Result<bool> {
    while bytes.len() < limit::READ_BYTES {
        let count = match read_behind(fd, bytes) {
            Ok(count) => count,
            // Linux says EIO once the last process has closed its side of a terminal.
            Err(Errno::IO) => 0,
            Err(Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        };
        if count < PROMISING_BYTES {
            return Ok(false);
        }
    }
    Ok(true)
}

/// One read. What comes in dribs and drabs gets no more memory than it needs; where much is there, all that may come next
/// gets its place at once.
fn read_behind(fd: &OwnedFd, bytes: &mut Vec<u8>) -> rustix::io::Result<usize> {
    if bytes.capacity() > bytes.len() {
        return rustix::io::read(fd, spare_capacity(bytes));
    }
    let mut space = [MaybeUninit::uninit(); limit::ENTRY_BYTES];
    let (got, _) = rustix::io::read(fd, &mut space)?;
    let much = if got.len() < PROMISING_BYTES { got.len() } else { limit::READ_BYTES };
    bytes.reserve_exact(much);
    bytes.extend_from_slice(got);
    Ok(got.len())
}

/// Reads as long as it comes thick and fast, [`limit::READ_BYTES`] and [`GATHER`] at most. Blocks the thread for so long.
pub(crate) fn gather(fd: &OwnedFd) -> Bytes {
    let began = Instant::now();
    let mut bytes = Vec::with_capacity(limit::READ_BYTES);
    let waits = |error: io::Error| error.kind() == io::ErrorKind::WouldBlock;
    // What else ends it is found by the next read.
    while read_on(fd, &mut bytes).is_err_and(waits) {
        let left = GATHER.saturating_sub(began.elapsed());
        let mut wanted = [PollFd::new(fd, PollFlags::IN)];
        let patience = Timespec { tv_sec: 0, tv_nsec: left.subsec_nanos().into() };
        if left.is_zero()
            || !rustix::event::poll(&mut wanted, Some(&patience)).is_ok_and(|ready| ready > 0)
        {
            break;
        }
    }
    kept(bytes)
}

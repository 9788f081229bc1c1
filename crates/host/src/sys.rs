//! The unsafe corner: what no crate of the house offers as a safe call.
#![expect(
    unsafe_code,
    reason = "the only unsafe code of the project; each block says why it is sound"
)]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use tokio::io::unix::AsyncFd;

/// Makes a descriptor non-blocking and has tokio watch it. Must be called within a tokio runtime.
pub(crate) fn watch(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    rustix::io::ioctl_fionbio(&fd, true)?;
    // SAFETY: an `OwnedFd` says the same descriptor all its life and keeps it open until it is dropped,
    // which is all that `register` asks for.
    Ok(unsafe { AsyncFd::register(fd) }?)
}

/// Gives every signal its default action. A daemon started with `&` ignores SIGINT, a Rust program SIGPIPE,
/// and both would be inherited by the shell, where Ctrl-C would do nothing.
pub(crate) fn default_signals() {
    /// A kernel `sigaction` of zeros, which is SIG_DFL on every architecture, with room to spare.
    const DEFAULT: [u64; 8] = [0; 8];
    const MASK_BYTES: usize = 8;
    for number in 1..=64 {
        // glibc's own call refuses 32 and 33, which its posix_spawn leaves ignored.
        // SAFETY: SIG_DFL installs no handler, so no code of ours can run in a signal's context; the kernel only
        // reads from `DEFAULT`, writes nowhere, and fails harmlessly for SIGKILL and SIGSTOP.
        unsafe {
            libc::syscall(
                libc::SYS_rt_sigaction,
                number,
                DEFAULT.as_ptr(),
                core::ptr::null_mut::<u64>(),
                MASK_BYTES,
            )
        };
    }
}

/// Closes every descriptor from 3 up except `kept`. Only for the first moments of `__session` and `__net`.
pub(crate) fn close_all_but(kept: BorrowedFd<'_>) {
    let kept = kept.as_raw_fd().unsigned_abs();
    close_range(3, kept.saturating_sub(1));
    close_range(kept.saturating_add(1), u32::MAX);
}

fn close_range(first: u32, last: u32) {
    if first > last {
        return;
    }
    // SAFETY: the process has just started, has one thread, and owns nothing but its standard streams and
    // `kept`; what is closed here was inherited by accident and belongs to no object of this program.
    let done = unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
    if done == 0 {
        return;
    }
    // Kernels before 5.9. The bound is what a daemon may have had open, not what the limit allows now.
    for descriptor in first..=last.min(65_535) {
        // SAFETY: as above; closing a number that is not open fails harmlessly.
        unsafe { libc::close(descriptor.cast_signed()) };
    }
}

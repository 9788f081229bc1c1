//! The unsafe corner: what no crate of the house offers as a safe call.
#![expect(
    unsafe_code,
    reason = "the only unsafe code of the project; each block says why it is sound"
)]

pub(crate) mod kernel_tables;
pub(crate) mod pam;

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Makes a descriptor non-blocking and has tokio watch it for this. Must be called within a tokio runtime.
pub(crate) fn watch(fd: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    rustix::io::ioctl_fionbio(&fd, true)?;
    // SAFETY: an `OwnedFd` says the same descriptor all its life and keeps it open until it is dropped,
    // which is all that `register_with_interest` asks for.
    Ok(unsafe { AsyncFd::register_with_interest(fd, interest) }?)
}

/// Gives the system back what the allocator holds and nobody uses. Slow: for once, behind work that needed much.
pub(crate) fn give_memory_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: glibc takes the locks of its own arenas, and lets go only of pages that hold no allocation.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Has this thread run before all that share the processor by turns (`SCHED_RR` of the lowest rank, sched(7)), until it
/// ends; processes that it starts do not inherit it. `false` where that is not allowed: it takes `CAP_SYS_NICE`, and on
/// some machines the control group's leave.
pub(crate) fn run_first() -> bool {
    let wanted = libc::sched_param { sched_priority: 1 };
    // SAFETY: the kernel reads one `sched_param`, which lives until the call returns; 0 is the thread that asks.
    let done = unsafe {
        libc::sched_setscheduler(0, libc::SCHED_RR | libc::SCHED_RESET_ON_FORK, &raw const wanted)
    };
    done == 0
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

/// Runs `work` in a child of this process, so that whatever it loads and leaves in memory goes with the child.
/// Only for processes with one thread. Its words come back; a child that dies says so.
pub(crate) fn in_child(work: impl FnOnce() -> Result<(), String>) -> Result<(), String> {
    use std::io::{Read, Write};
    let failed = |what: &str, why: io::Error| format!("cannot {what}: {why}");
    let (reading, writing) = std::io::pipe().map_err(|why| failed("make a pipe", why))?;
    // SAFETY: this process has one thread, so its child may run anything.
    match unsafe { libc::fork() } {
        -1 => Err(failed("start a child", io::Error::last_os_error())),
        0 => {
            drop(reading);
            let words = work().err().map_or_else(|| "+".to_owned(), |why| format!("-{why}"));
            let sent = (&writing).write_all(words.as_bytes());
            // SAFETY: ends the child at once, without the parent's destructors.
            unsafe { libc::_exit(i32::from(sent.is_err())) }
        }
        child => {
            drop(writing);
            let mut words = String::new();
            let read = (&reading).take(64 * 1024).read_to_string(&mut words);
            let pid = nix::unistd::Pid::from_raw(child);
            let _ = nix::sys::wait::waitpid(pid, None);
            match (read, words.split_at_checked(1)) {
                (Ok(_), Some(("+", ""))) => Ok(()),
                (Ok(_), Some(("-", why))) => Err(why.to_owned()),
                _ => Err("the account could not be looked at".to_owned()),
            }
        }
    }
}

/// Copies of the pipes that a PAM module keeps open until its session is closed (pam_systemd's is one), at most `most`.
/// They close on exec, as the originals do.
pub(crate) fn kept_pipes(but: BorrowedFd<'_>, most: usize) -> Vec<OwnedFd> {
    let mut kept = Vec::new();
    let Ok(open) = std::fs::read_dir("/proc/self/fd") else { return kept };
    let numbers: Vec<i32> =
        open.filter_map(|one| one.ok()?.file_name().to_str()?.parse().ok()).collect();
    for number in numbers {
        if number < 3 || number == but.as_raw_fd() || kept.len() >= most {
            continue;
        }
        // SAFETY: plain system calls with a number; one that is not open any more fails harmlessly.
        let copy = unsafe {
            let mut stat = std::mem::zeroed::<libc::stat>();
            if libc::fstat(number, &raw mut stat) != 0
                || stat.st_mode & libc::S_IFMT != libc::S_IFIFO
            {
                continue;
            }
            libc::fcntl(number, libc::F_DUPFD_CLOEXEC, 3)
        };
        if copy >= 0 {
            // SAFETY: the kernel made this descriptor just now and nobody else has it.
            kept.push(unsafe { OwnedFd::from_raw_fd(copy) });
        }
    }
    kept
}

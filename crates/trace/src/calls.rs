//! Which system calls are written down, and how each is read, for each kind of processor. The kernel program knows no
//! number: it is handed these tables when it is loaded.

use crate::layout::kind;

/// Numbers of system calls that a table has room for (`CALL_NUMBERS`).
const CALLS: u32 = 512;
/// And with those of socketcall(2), which stand behind them (`ALL_NUMBERS`).
const NUMBERS: usize = 544;
/// Bytes of one `struct shape`.
const SHAPE: usize = 8;
/// Bytes of a table as the kernel program takes it.
pub const SHAPES_BYTES: usize = NUMBERS * SHAPE;

const RESULT: u8 = 7;
const MESSAGE: u8 = 8;
const DATAGRAM: u8 = 9;
const HOW: u8 = 10;

/// A kind of processor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arch {
    /// 64-bit x86, whose kernels run 32-bit programs too.
    X86_64,
    /// 64-bit ARM. Not run on hardware yet.
    Arm64,
}

impl Arch {
    /// That of this program.
    pub const OWN: Option<Self> = if cfg!(target_arch = "x86_64") {
        Some(Self::X86_64)
    } else if cfg!(target_arch = "aarch64") {
        Some(Self::Arm64)
    } else {
        None
    };
}

/// `struct shape` of `bpf/record.h`: arguments are counted from 1.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Shape {
    pub(crate) kind: u8,
    pub(crate) text: u8,
    folder: u8,
    text2: u8,
    folder2: u8,
    address: u8,
    length: u8,
    descriptor: u8,
}

pub(crate) struct Call {
    pub(crate) number: u32,
    pub(crate) name: &'static str,
    pub(crate) shape: Shape,
}

const NONE: Shape = Shape {
    kind: 0,
    text: 0,
    folder: 0,
    text2: 0,
    folder2: 0,
    address: 0,
    length: 0,
    descriptor: 0,
};

const fn call(number: u32, name: &'static str, shape: Shape) -> Call {
    Call { number, name, shape }
}

const fn run(number: u32, name: &'static str, text: u8, folder: u8) -> Call {
    call(number, name, Shape { kind: kind::NOT_RUN, text, folder, text2: text + 1, ..NONE })
}

const fn open(number: u32, name: &'static str, text: u8, folder: u8) -> Call {
    call(number, name, Shape { kind: kind::OPEN, text, folder, descriptor: RESULT, ..NONE })
}

const fn open_how(number: u32) -> Call {
    let (text, folder) = (2, 1);
    let shape = Shape { kind: kind::OPEN, text, folder, length: HOW, descriptor: RESULT, ..NONE };
    call(number, "openat2", shape)
}

/// One path.
const fn change(number: u32, name: &'static str, text: u8, folder: u8) -> Call {
    call(number, name, Shape { kind: kind::CHANGE, text, folder, ..NONE })
}

/// Two paths, each with its folder.
const fn two(number: u32, name: &'static str, one: (u8, u8), other: (u8, u8)) -> Call {
    let ((text, folder), (text2, folder2)) = (one, other);
    call(number, name, Shape { kind: kind::CHANGE, text, folder, text2, folder2, ..NONE })
}

/// A file that is open, as the first argument.
const fn of_open(number: u32, name: &'static str) -> Call {
    call(number, name, Shape { kind: kind::CHANGE, descriptor: 1, ..NONE })
}

/// A socket, and an address with its length.
const fn socket(number: u32, name: &'static str, address: u8, length: u8) -> Call {
    call(number, name, Shape { kind: kind::SOCKET, address, length, descriptor: 1, ..NONE })
}

const fn send(number: u32, name: &'static str, address: u8, length: u8) -> Call {
    let text2 = DATAGRAM;
    call(number, name, Shape { kind: kind::SOCKET, text2, address, length, descriptor: 1, ..NONE })
}

const fn accept(number: u32, name: &'static str) -> Call {
    call(number, name, Shape { kind: kind::SOCKET, descriptor: RESULT, ..NONE })
}

const fn identity(number: u32, name: &'static str) -> Call {
    call(number, name, Shape { kind: kind::IDENTITY, ..NONE })
}

const fn special(number: u32, name: &'static str, text: u8) -> Call {
    call(number, name, Shape { kind: kind::SPECIAL, text, ..NONE })
}

/// A call by way of socketcall(2) (`include/uapi/linux/net.h`).
const fn by_socketcall(which: u32, call: Call) -> Call {
    Call { number: CALLS + which, ..call }
}

/// `arch/x86/entry/syscalls/syscall_64.tbl`.
const X86_64: &[Call] = &[
    run(59, "execve", 1, 0),
    run(322, "execveat", 2, 1),
    open(2, "open", 1, 0),
    open(257, "openat", 2, 1),
    open_how(437),
    open(85, "creat", 1, 0),
    open(304, "open_by_handle_at", 0, 0),
    change(87, "unlink", 1, 0),
    change(263, "unlinkat", 2, 1),
    change(84, "rmdir", 1, 0),
    two(82, "rename", (1, 0), (2, 0)),
    two(264, "renameat", (2, 1), (4, 3)),
    two(316, "renameat2", (2, 1), (4, 3)),
    change(83, "mkdir", 1, 0),
    change(258, "mkdirat", 2, 1),
    change(133, "mknod", 1, 0),
    change(259, "mknodat", 2, 1),
    two(86, "link", (1, 0), (2, 0)),
    two(265, "linkat", (2, 1), (4, 3)),
    two(88, "symlink", (1, 0), (2, 0)),
    two(266, "symlinkat", (1, 0), (3, 2)),
    change(76, "truncate", 1, 0),
    of_open(77, "ftruncate"),
    change(90, "chmod", 1, 0),
    of_open(91, "fchmod"),
    change(268, "fchmodat", 2, 1),
    change(452, "fchmodat2", 2, 1),
    change(92, "chown", 1, 0),
    of_open(93, "fchown"),
    change(94, "lchown", 1, 0),
    change(260, "fchownat", 2, 1),
    two(165, "mount", (1, 0), (2, 0)),
    change(166, "umount2", 1, 0),
    two(429, "move_mount", (2, 1), (4, 3)),
    change(428, "open_tree", 2, 1),
    two(155, "pivot_root", (1, 0), (2, 0)),
    change(161, "chroot", 1, 0),
    socket(42, "connect", 2, 3),
    socket(49, "bind", 2, 3),
    socket(50, "listen", 0, 0),
    accept(43, "accept"),
    accept(288, "accept4"),
    send(44, "sendto", 5, 6),
    send(46, "sendmsg", 2, MESSAGE),
    send(307, "sendmmsg", 2, MESSAGE),
    identity(105, "setuid"),
    identity(106, "setgid"),
    identity(113, "setreuid"),
    identity(114, "setregid"),
    identity(117, "setresuid"),
    identity(119, "setresgid"),
    identity(122, "setfsuid"),
    identity(116, "setgroups"),
    identity(126, "capset"),
    special(101, "ptrace", 0),
    special(319, "memfd_create", 1),
    special(321, "bpf", 0),
    special(175, "init_module", 0),
    special(313, "finit_module", 0),
    special(176, "delete_module", 1),
    special(272, "unshare", 0),
    special(308, "setns", 0),
    special(425, "io_uring_setup", 0),
    special(311, "process_vm_writev", 0),
    special(246, "kexec_load", 0),
    special(320, "kexec_file_load", 0),
    special(438, "pidfd_getfd", 0),
    special(298, "perf_event_open", 0),
];

/// `arch/x86/entry/syscalls/syscall_32.tbl`. Before Linux 4.3 sockets had no calls of their own there, and many programs
/// still use none but socketcall(2).
const I386: &[Call] = &[
    run(11, "execve", 1, 0),
    run(358, "execveat", 2, 1),
    open(5, "open", 1, 0),
    open(295, "openat", 2, 1),
    open_how(437),
    open(8, "creat", 1, 0),
    open(342, "open_by_handle_at", 0, 0),
    change(10, "unlink", 1, 0),
    change(301, "unlinkat", 2, 1),
    change(40, "rmdir", 1, 0),
    two(38, "rename", (1, 0), (2, 0)),
    two(302, "renameat", (2, 1), (4, 3)),
    two(353, "renameat2", (2, 1), (4, 3)),
    change(39, "mkdir", 1, 0),
    change(296, "mkdirat", 2, 1),
    change(14, "mknod", 1, 0),
    change(297, "mknodat", 2, 1),
    two(9, "link", (1, 0), (2, 0)),
    two(303, "linkat", (2, 1), (4, 3)),
    two(83, "symlink", (1, 0), (2, 0)),
    two(304, "symlinkat", (1, 0), (3, 2)),
    change(92, "truncate", 1, 0),
    change(193, "truncate64", 1, 0),
    of_open(93, "ftruncate"),
    of_open(194, "ftruncate64"),
    change(15, "chmod", 1, 0),
    of_open(94, "fchmod"),
    change(306, "fchmodat", 2, 1),
    change(452, "fchmodat2", 2, 1),
    // Those of 16 bits work as well as the others.
    change(182, "chown", 1, 0),
    of_open(95, "fchown"),
    change(16, "lchown", 1, 0),
    change(212, "chown32", 1, 0),
    of_open(207, "fchown32"),
    change(198, "lchown32", 1, 0),
    change(298, "fchownat", 2, 1),
    two(21, "mount", (1, 0), (2, 0)),
    change(52, "umount2", 1, 0),
    two(429, "move_mount", (2, 1), (4, 3)),
    change(428, "open_tree", 2, 1),
    two(217, "pivot_root", (1, 0), (2, 0)),
    change(61, "chroot", 1, 0),
    socket(362, "connect", 2, 3),
    socket(361, "bind", 2, 3),
    socket(363, "listen", 0, 0),
    accept(364, "accept4"),
    send(369, "sendto", 5, 6),
    send(370, "sendmsg", 2, MESSAGE),
    send(345, "sendmmsg", 2, MESSAGE),
    call(102, "socketcall", Shape { kind: kind::SOCKET_CALLS, ..NONE }),
    by_socketcall(2, socket(0, "bind", 2, 3)),
    by_socketcall(3, socket(0, "connect", 2, 3)),
    by_socketcall(4, socket(0, "listen", 0, 0)),
    by_socketcall(5, accept(0, "accept")),
    by_socketcall(11, send(0, "sendto", 5, 6)),
    by_socketcall(16, send(0, "sendmsg", 2, MESSAGE)),
    by_socketcall(18, accept(0, "accept4")),
    by_socketcall(20, send(0, "sendmmsg", 2, MESSAGE)),
    identity(23, "setuid"),
    identity(46, "setgid"),
    identity(70, "setreuid"),
    identity(71, "setregid"),
    identity(164, "setresuid"),
    identity(170, "setresgid"),
    identity(138, "setfsuid"),
    identity(81, "setgroups"),
    identity(213, "setuid32"),
    identity(214, "setgid32"),
    identity(203, "setreuid32"),
    identity(204, "setregid32"),
    identity(208, "setresuid32"),
    identity(210, "setresgid32"),
    identity(206, "setgroups32"),
    identity(215, "setfsuid32"),
    identity(185, "capset"),
    special(26, "ptrace", 0),
    special(356, "memfd_create", 1),
    special(357, "bpf", 0),
    special(128, "init_module", 0),
    special(350, "finit_module", 0),
    special(129, "delete_module", 1),
    special(310, "unshare", 0),
    special(346, "setns", 0),
    special(425, "io_uring_setup", 0),
    special(348, "process_vm_writev", 0),
    special(283, "kexec_load", 0),
    special(438, "pidfd_getfd", 0),
    special(336, "perf_event_open", 0),
];

/// `include/uapi/asm-generic/unistd.h`.
const ARM64: &[Call] = &[
    run(221, "execve", 1, 0),
    run(281, "execveat", 2, 1),
    open(56, "openat", 2, 1),
    open_how(437),
    open(265, "open_by_handle_at", 0, 0),
    change(35, "unlinkat", 2, 1),
    two(38, "renameat", (2, 1), (4, 3)),
    two(276, "renameat2", (2, 1), (4, 3)),
    change(34, "mkdirat", 2, 1),
    change(33, "mknodat", 2, 1),
    two(37, "linkat", (2, 1), (4, 3)),
    two(36, "symlinkat", (1, 0), (3, 2)),
    change(45, "truncate", 1, 0),
    of_open(46, "ftruncate"),
    of_open(52, "fchmod"),
    change(53, "fchmodat", 2, 1),
    change(452, "fchmodat2", 2, 1),
    of_open(55, "fchown"),
    change(54, "fchownat", 2, 1),
    two(40, "mount", (1, 0), (2, 0)),
    change(39, "umount2", 1, 0),
    two(429, "move_mount", (2, 1), (4, 3)),
    change(428, "open_tree", 2, 1),
    two(41, "pivot_root", (1, 0), (2, 0)),
    change(51, "chroot", 1, 0),
    socket(203, "connect", 2, 3),
    socket(200, "bind", 2, 3),
    socket(201, "listen", 0, 0),
    accept(202, "accept"),
    accept(242, "accept4"),
    send(206, "sendto", 5, 6),
    send(211, "sendmsg", 2, MESSAGE),
    send(269, "sendmmsg", 2, MESSAGE),
    identity(146, "setuid"),
    identity(144, "setgid"),
    identity(145, "setreuid"),
    identity(143, "setregid"),
    identity(147, "setresuid"),
    identity(149, "setresgid"),
    identity(151, "setfsuid"),
    identity(159, "setgroups"),
    identity(91, "capset"),
    special(117, "ptrace", 0),
    special(279, "memfd_create", 1),
    special(280, "bpf", 0),
    special(105, "init_module", 0),
    special(273, "finit_module", 0),
    special(106, "delete_module", 1),
    special(97, "unshare", 0),
    special(268, "setns", 0),
    special(425, "io_uring_setup", 0),
    special(271, "process_vm_writev", 0),
    special(104, "kexec_load", 0),
    special(294, "kexec_file_load", 0),
    special(438, "pidfd_getfd", 0),
    special(241, "perf_event_open", 0),
];

fn table(arch: Arch, compat: bool) -> &'static [Call] {
    match (arch, compat) {
        (Arch::X86_64, false) => X86_64,
        (Arch::X86_64, true) => I386,
        (Arch::Arm64, false) => ARM64,
        (Arch::Arm64, true) => &[],
    }
}

/// The table of a processor's own calls, for the kernel program.
#[must_use]
pub fn shapes(arch: Arch) -> Vec<u8> {
    bytes(table(arch, false))
}

/// The table of its 32-bit programs' calls.
#[must_use]
pub fn compat_shapes(arch: Arch) -> Vec<u8> {
    bytes(table(arch, true))
}

fn bytes(calls: &[Call]) -> Vec<u8> {
    let mut bytes = vec![0; SHAPES_BYTES];
    for Call { number, shape, .. } in calls {
        let at = usize::try_from(*number).unwrap_or(NUMBERS).saturating_mul(SHAPE);
        let Shape { kind, text, folder, text2, folder2, address, length, descriptor } = *shape;
        if let Some(place) = bytes.get_mut(at..at + SHAPE) {
            place.copy_from_slice(&[
                kind, text, folder, text2, folder2, address, length, descriptor,
            ]);
        }
    }
    bytes
}

/// The call of this number.
pub(crate) fn find(arch: Arch, compat: bool, number: u32) -> Option<&'static Call> {
    table(arch, compat).iter().find(|call| call.number == number)
}

/// Words of io_uring's operations that are written down (`include/uapi/linux/io_uring.h`).
pub(crate) fn operation(number: u32) -> String {
    let word = match number {
        9 => "SENDMSG",
        13 => "ACCEPT",
        16 => "CONNECT",
        18 => "OPENAT",
        28 => "OPENAT2",
        35 => "RENAMEAT",
        36 => "UNLINKAT",
        37 => "MKDIRAT",
        38 => "SYMLINKAT",
        39 => "LINKAT",
        56 => "BIND",
        57 => "LISTEN",
        other => return format!("operation {other}"),
    };
    word.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_number_and_every_name_stands_once_and_fits() {
        for calls in [X86_64, I386, ARM64] {
            let numbers: BTreeSet<_> = calls.iter().map(|call| call.number).collect();
            let own = calls.iter().filter(|call| call.number < CALLS);
            let names: BTreeSet<_> = own.clone().map(|call| call.name).collect();
            assert_eq!((numbers.len(), names.len()), (calls.len(), own.count()));
            assert!(numbers.iter().all(|number| (*number as usize) < NUMBERS));
        }
    }

    #[test]
    fn the_same_call_is_read_alike_on_every_processor() {
        for (one, other) in [(X86_64, ARM64), (X86_64, I386)] {
            for call in other {
                let Some(same) = one.iter().find(|it| it.name == call.name) else { continue };
                assert_eq!(
                    format!("{:?}", same.shape),
                    format!("{:?}", call.shape),
                    "{}",
                    call.name
                );
            }
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_shape_lies_at_its_number() {
        let bytes = shapes(Arch::X86_64);
        assert_eq!(bytes.len(), SHAPES_BYTES);
        assert_eq!(bytes[257 * 8..258 * 8], [kind::OPEN, 2, 1, 0, 0, 0, 0, RESULT]);
        assert_eq!(bytes[8..16], [0; 8], "write(2) is not written down");
        assert_eq!(compat_shapes(Arch::Arm64), vec![0; SHAPES_BYTES]);
    }
}

//! Numbers of calls that reach beyond a process, in words.

/// Requests of ptrace(2) that begin something, or change another process (`include/uapi/linux/ptrace.h`).
const REQUESTS: [(u64, &str); 12] = [
    (0, "TRACEME"),
    (4, "POKETEXT"),
    (5, "POKEDATA"),
    (6, "POKEUSR"),
    (8, "KILL"),
    (13, "SETREGS"),
    (15, "SETFPREGS"),
    (16, "ATTACH"),
    (17, "DETACH"),
    (0x4205, "SETREGSET"),
    (0x4206, "SEIZE"),
    (0x4207, "INTERRUPT"),
];

/// Kinds of namespaces (`include/uapi/linux/sched.h`).
const NAMESPACES: [(u64, &str); 8] = [
    (0x80, "time"),
    (0x2_0000, "mounts"),
    (0x200_0000, "control groups"),
    (0x400_0000, "host name"),
    (0x800_0000, "ipc"),
    (0x1000_0000, "users"),
    (0x2000_0000, "processes"),
    (0x4000_0000, "network"),
];

/// Which namespaces these flags name.
pub(crate) fn namespaces(flags: u64) -> String {
    let named = NAMESPACES.iter().filter(|(bit, _)| flags & bit != 0).map(|(_, word)| *word);
    named.collect::<Vec<_>>().join(", ")
}

/// What such a call means, if its arguments say so.
pub(crate) fn meaning(call: &str, arguments: &[u64]) -> String {
    let argument = |at: usize| arguments.get(at).copied().unwrap_or_default();
    match call {
        "ptrace" => {
            let found = REQUESTS.iter().find(|(number, _)| *number == argument(0));
            found.map_or_else(String::new, |(_, word)| (*word).to_owned())
        }
        "unshare" => namespaces(argument(0)),
        "setns" => namespaces(argument(1)),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_and_namespaces_have_words() {
        for (call, arguments, wanted) in [
            ("ptrace", &[16, 4711, 0][..], "ATTACH"),
            ("ptrace", &[0x4206, 4711, 0], "SEIZE"),
            ("ptrace", &[12, 4711, 0], ""),
            ("unshare", &[0x1002_0000], "mounts, users"),
            ("unshare", &[0x200], ""),
            ("setns", &[3, 0x4000_0000], "network"),
            ("setns", &[3, 0], ""),
            ("bpf", &[5], ""),
            ("ptrace", &[], "TRACEME"),
        ] {
            assert_eq!(meaning(call, arguments), wanted, "{call} {arguments:?}");
        }
    }
}

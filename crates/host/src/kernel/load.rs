//! Hands the kernel program to the kernel, part by part, and attaches what sessions want.

use super::{Part, Refused};
use crate::kernel::tables::Tables;
use crate::sys::kernel_tables::{Row, Shapes};
use aya::maps::{MapData, RingBuf};
use aya::programs::BtfTracePoint;
use aya::programs::tp_btf::BtfTracePointLinkId;
use aya::{Btf, Ebpf, EbpfLoader};
use model::kernel::Classes;
use model::limit::{KERNEL_RING_BYTES, KERNEL_SESSIONS, KERNEL_TABLE};
use model::words;
use rustix::process::{Resource, Rlimit};
use std::collections::BTreeMap;
use std::fmt;
use std::os::fd::{AsFd, AsRawFd};
use trace::{Arch, SHAPES_BYTES};

/// `cargo xtask bpf` makes it.
static OBJECT: &[u8] = aya::include_bytes_aligned!("../../../../bpf/recorder.bpf.o");
/// The namespace of processes that the kernel counts in itself (`PROC_PID_INIT_INO`).
const MACHINE: &str = "pid:[4026531836]";
/// Bytes of what the kernel says about a refused part.
const WHY_BYTES: usize = 200;

/// The parts: name, tracepoints of which the first that is there is used, what it is for, and which class needs it.
const PARTS: [(&str, &[&str], &str, Need); 6] = [
    ("on_fork", &["sched_process_fork"], "processes that a session begins", Need::Always),
    ("on_exec", &["sched_process_exec"], "programs that run", Need::Always),
    ("on_exit", &["sched_process_exit"], "how they end", Need::Always),
    ("on_sys_exit", &["sys_exit"], "files, addresses, failed programs", Need::Calls),
    ("on_tcp_state", &["inet_sock_set_state"], "TCP connections", Need::Network),
    (
        "on_uring",
        // The second is that of kernels before 6.3.
        &["io_uring_submit_req", "io_uring_submit_sqe"],
        "files and connections by io_uring",
        Need::Calls,
    ),
];

/// When a part is attached. System calls and connections of the whole machine pay for theirs, so only while it is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Need {
    Always,
    /// While a session wants files or the network.
    Calls,
    Network,
}

impl Need {
    fn of(self, classes: Classes) -> bool {
        match self {
            Self::Always => true,
            Self::Calls => classes.files || classes.network,
            Self::Network => classes.network,
        }
    }
}

/// What [`load`] makes.
pub(super) struct Loaded {
    pub(super) programs: Programs,
    pub(super) parts: Vec<Part>,
    pub(super) tables: Tables,
    pub(super) ring: RingBuf<MapData>,
}

/// The parts that the kernel took, and for how many sessions each is attached.
pub(super) struct Programs {
    ebpf: Ebpf,
    attached: BTreeMap<&'static str, (usize, BtfTracePointLinkId)>,
}

impl fmt::Debug for Programs {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Programs")
            .field("attached", &self.attached.keys())
            .finish_non_exhaustive()
    }
}

/// Loads it.
pub(super) fn load() -> Result<Loaded, Refused> {
    let (arch, btf) = surroundings()?;
    let shapes =
        |bytes: Vec<u8>| Shapes(<[u8; SHAPES_BYTES]>::try_from(bytes).unwrap_or([0; SHAPES_BYTES]));
    let (own, compat) = (shapes(trace::shapes(arch)), shapes(trace::compat_shapes(arch)));
    let loaded = with_locked_memory(|| {
        EbpfLoader::new()
            .btf(Some(&btf))
            .override_global("shapes", &own, true)
            .override_global("shapes_32", &compat, true)
            .map_max_entries("records", KERNEL_RING_BYTES)
            .map_max_entries("sessions", KERNEL_SESSIONS)
            .map_max_entries("audits", KERNEL_SESSIONS)
            .map_max_entries("processes", KERNEL_TABLE)
            .load(OBJECT)
    });
    let mut ebpf = loaded.map_err(|why| Refused(refused("the recorder", &words(&why))))?;
    let parts: Vec<Part> = PARTS.iter().map(|part| part_of(&mut ebpf, part, &btf)).collect();
    let broken = |name: &str| Refused(format!("the kernel program has no table {name:?}"));
    let mut map = |name: &'static str| ebpf.take_map(name).ok_or_else(|| broken(name));
    let ring = RingBuf::try_from(map("records")?).map_err(|_| broken("records"))?;
    let tables =
        Tables::new(map("sessions")?, map("processes")?, map("audits")?, map("overgrown")?)
            .ok_or_else(|| broken("sessions"))?;
    debug_assert_eq!(size_of::<Row>(), 48);
    let mut programs = Programs { ebpf, attached: BTreeMap::new() };
    if let Some(part) =
        parts.iter().find(|part| need(part.name) == Need::Always && part.refused.is_some())
    {
        let why = part.refused.clone().unwrap_or_default();
        return Err(Refused(refused("the recorder", &why)));
    }
    programs.attach(Classes::NONE).map_err(Refused)?;
    Ok(Loaded { programs, parts, tables, ring })
}

/// What must be so before the kernel is asked anything: this processor, and the kernel's description of its types.
pub(super) fn surroundings() -> Result<(Arch, Btf), Refused> {
    let Some(arch) = Arch::OWN else {
        return Err(Refused(
            "the kernel program knows no system calls of this processor".to_owned(),
        ));
    };
    let here = std::fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    if here.as_os_str() != MACHINE {
        let why = "the node runs in a namespace of processes of its own, where the kernel's numbers of processes are \
                   others; run it on the machine itself, or its container with the machine's pids";
        return Err(Refused(why.to_owned()));
    }
    let btf = Btf::from_sys_fs().map_err(|why| {
        let why = cut(&words(&why));
        Refused(format!(
            "this kernel does not describe its types (/sys/kernel/btf/vmlinux: {why}); kernels built with CONFIG_DEBUG_INFO_BTF do"
        ))
    })?;
    Ok((arch, btf))
}

/// Kernels before 5.11 count programs and tables as locked memory, of which a service may have 64 KiB.
pub(super) fn with_locked_memory<T>(load: impl FnOnce() -> T) -> T {
    let before = rustix::process::getrlimit(Resource::Memlock);
    let all = Rlimit { current: None, maximum: None };
    let raised = rustix::process::setrlimit(Resource::Memlock, all).is_ok();
    let loaded = load();
    if raised {
        // Session processes would inherit it.
        let _ = rustix::process::setrlimit(Resource::Memlock, before);
    }
    loaded
}

fn part_of(
    ebpf: &mut Ebpf,
    part: &(&'static str, &[&'static str], &'static str, Need),
    btf: &Btf,
) -> Part {
    let (name, places, what, _) = *part;
    let mut refused = None;
    for place in places {
        let loaded = match program(ebpf, name) {
            Ok(program) => program.load(place, btf).map_err(|why| cut(&words(&why))),
            Err(why) => Err(why),
        };
        match loaded {
            Ok(()) => return Part { name, place, what, refused: None },
            Err(why) => _ = refused.get_or_insert(why),
        }
    }
    Part { name, place: places.first().copied().unwrap_or_default(), what, refused }
}

fn program<'e>(ebpf: &'e mut Ebpf, name: &str) -> Result<&'e mut BtfTracePoint, String> {
    let program = ebpf.program_mut(name).ok_or_else(|| format!("there is no part {name:?}"))?;
    program.try_into().map_err(|_| format!("{name:?} is no tracepoint"))
}

fn need(name: &str) -> Need {
    PARTS.iter().find(|part| part.0 == name).map_or(Need::Always, |part| part.3)
}

/// What of the wanted classes these parts give, and why not all, for a person.
pub(super) fn given(parts: &[Part], wants: Classes) -> (Classes, String) {
    let lacks = |name: &str| parts.iter().find(|part| part.name == name && part.refused.is_some());
    let (calls, tcp) = (lacks("on_sys_exit"), lacks("on_tcp_state"));
    let given = Classes {
        commands: wants.commands,
        files: wants.files && calls.is_none(),
        network: wants.network && calls.is_none() && tcp.is_none(),
    };
    let missing =
        [calls.filter(|_| given != wants), tcp.filter(|_| given.network != wants.network)];
    let words = missing.into_iter().flatten().map(|part| {
        let why = part.refused.as_deref().unwrap_or_default();
        format!("the kernel refuses {} ({}): {why}", part.what, part.place)
    });
    (given, words.collect::<Vec<_>>().join("; "))
}

impl Programs {
    /// Attaches what a session with these classes needs; or nothing more, if the kernel refuses something of it.
    pub(super) fn attach(&mut self, classes: Classes) -> Result<(), String> {
        let mut done = Vec::new();
        for (name, ..) in PARTS.iter().filter(|part| part.3.of(classes)) {
            match self.attach_one(name) {
                Ok(()) => done.push(*name),
                Err(why) => {
                    done.into_iter().for_each(|name| self.detach_one(name));
                    return Err(format!("cannot attach {name}: {}", cut(&why)));
                }
            }
        }
        Ok(())
    }

    fn attach_one(&mut self, name: &'static str) -> Result<(), String> {
        if let Some((count, _)) = self.attached.get_mut(name) {
            *count += 1;
            return Ok(());
        }
        let program = program(&mut self.ebpf, name)?;
        if program.fd().is_err() {
            // The kernel did not take it; `given` has said so.
            return Ok(());
        }
        let link = program.attach().map_err(|why| words(&why))?;
        self.attached.insert(name, (1, link));
        Ok(())
    }

    /// Detaches what no session needs any more.
    pub(super) fn detach(&mut self, classes: Classes) {
        PARTS.iter().filter(|part| part.3.of(classes)).for_each(|part| self.detach_one(part.0));
    }

    fn detach_one(&mut self, name: &'static str) {
        let Some((count, _)) = self.attached.get_mut(name) else { return };
        *count = count.saturating_sub(1);
        if *count == 0
            && let Some((_, link)) = self.attached.remove(name)
            && let Ok(program) = program(&mut self.ebpf, name)
        {
            let _ = program.detach(link);
        }
    }

    /// How often the kernel skipped a part because it was running already on that processor (`recursion_misses`).
    pub(super) fn skipped(&self) -> u64 {
        let all = self.ebpf.programs().filter_map(|(_, program)| {
            let number = program.fd().ok()?.as_fd().as_raw_fd();
            let text = std::fs::read_to_string(format!("/proc/self/fdinfo/{number}")).ok()?;
            let line = text.lines().find_map(|line| line.strip_prefix("recursion_misses:"))?;
            line.trim().parse::<u64>().ok()
        });
        all.sum()
    }
}

/// The kernel says a lot about what it refuses; the beginning is what helps.
fn cut(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    line.chars().take(WHY_BYTES).collect()
}

/// Why the kernel refused all of something, and what would help.
pub(super) fn refused(what: &str, why: &str) -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let (status, lockdown) = (read("/proc/self/status"), read("/sys/kernel/security/lockdown"));
    explain(what, why, &status, &lockdown)
}

/// As [`refused`], of a process of which the kernel says this (`/proc/PID/status`), on a machine that is locked down so.
fn explain(what: &str, why: &str, status: &str, lockdown: &str) -> String {
    let why = cut(why);
    if !(why.contains("Operation not permitted") || why.contains("Permission denied")) {
        return format!("the kernel refuses {what} ({why}): Linux 5.10 and later can, with BTF");
    }
    let missing = missing(status);
    let help = match missing[..] {
        [] if lockdown.contains("[confidentiality]") => {
            "the kernel is locked down for confidentiality (kernel_lockdown(7)); `lockdown=integrity` would do".to_owned()
        }
        [] => "it has CAP_BPF and CAP_PERFMON, so a filter of system calls (of its container, or SystemCallFilter= of its \
               unit) or a security module forbids bpf(2)"
            .to_owned(),
        _ => format!(
            "it has no {}; root has, unless CapabilityBoundingSet= of the unit or the container takes it away, and another \
             user may be given it (AmbientCapabilities=)",
            missing.join(" and no ")
        ),
    };
    format!("the kernel refuses {what} to this process ({why}): {help}")
}

/// Which of the rights that the recorder needs a process has not.
fn missing(status: &str) -> Vec<&'static str> {
    /// `include/uapi/linux/capability.h`; the first stands for both others.
    const SYS_ADMIN: u32 = 21;
    const NEEDED: [(u32, &str); 2] = [(39, "CAP_BPF"), (38, "CAP_PERFMON")];
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let Some(effective) = effective.and_then(|it| u64::from_str_radix(it.trim(), 16).ok()) else {
        return Vec::new();
    };
    let has = |right: u32| effective >> right & 1 == 1;
    let needed = NEEDED.iter().filter(|(right, _)| !has(*right) && !has(SYS_ADMIN));
    needed.map(|(_, word)| *word).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_what_is_missing_and_what_would_help() {
        let status = |effective: u64| format!("Name:\tscry\nCapEff:\t{effective:016x}\n");
        let (admin, perfmon, bpf) = (1 << 21, 1 << 38, 1 << 39);
        let (eperm, none) = ("Operation not permitted (os error 1)", "[none] integrity");
        for (why, effective, lockdown, wanted) in [
            (eperm, 0, none, "it has no CAP_BPF and no CAP_PERFMON;"),
            (eperm, bpf, none, "it has no CAP_PERFMON;"),
            (eperm, perfmon, none, "it has no CAP_BPF;"),
            (eperm, admin, none, "filter of system calls"),
            (eperm, bpf | perfmon, "none integrity [confidentiality]", "locked down"),
            ("Permission denied", bpf | perfmon, "", "filter of system calls"),
            ("no such type", 0, none, "Linux 5.10 and later can, with BTF"),
        ] {
            let told = explain("the recorder", why, &status(effective), lockdown);
            assert!(told.contains(wanted), "{told}");
            let of_status = wanted.starts_with("it has no");
            assert_eq!(told.contains("CapabilityBoundingSet="), of_status, "{told}");
        }
        assert_eq!(missing("nothing of that kind"), Vec::<&str>::new());
    }
}

//! Whether this kernel takes a program of the recorder's kind at all. Where it does and refuses the recorder, it is the
//! recorder that is wrong, and no test may be skipped because of that.

use super::Refused;
use crate::kernel::load::{refused, surroundings, with_locked_memory};
use crate::sys;
use aya::programs::BtfTracePoint;
use aya::{Btf, EbpfLoader};
use model::words;

/// A program that does nothing; `cargo xtask bpf` makes it.
static OBJECT: &[u8] = aya::include_bytes_aligned!("../../../../bpf/probe.bpf.o");

/// Has the kernel take a program that does nothing, and lets it go again.
///
/// # Errors
/// Why it takes none, for a person: then it does not take the recorder either, and that is not the recorder's fault.
pub fn probe() -> Result<(), Refused> {
    let (_, btf) = surroundings()?;
    let taken = with_locked_memory(|| load(&btf));
    drop(btf);
    sys::give_memory_back();
    taken.map_err(|why| Refused(refused("a program that does nothing", &why)))
}

fn load(btf: &Btf) -> Result<(), String> {
    let mut loaded = EbpfLoader::new().btf(Some(btf)).load(OBJECT).map_err(|why| words(&why))?;
    let program = loaded.program_mut("nothing").ok_or("the program is not in its object")?;
    let program: &mut BtfTracePoint = program.try_into().map_err(|why| words(&why))?;
    program.load("sched_process_exit", btf).map_err(|why| words(&why))
}

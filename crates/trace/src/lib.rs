//! The kernel program's records (`bpf/record.h`) → what the processes of one session did.
//!
//! Pure: bytes and time come in, events come out. The bytes are the kernel's, but what stands in them is chosen by the
//! processes that are watched; nothing in them makes this room panic or grow without a bound.

mod address;
mod calls;
mod fold;
mod layout;
mod mounts;
mod sieve;
mod signs;
mod special;
mod text;
mod trace;
mod unix;

pub use calls::{Arch, SHAPES_BYTES, compat_shapes, shapes};
pub use layout::{Owner, length, owner};
pub use signs::Signs;
pub use trace::{Trace, Traced};
pub use unix::Sessions;

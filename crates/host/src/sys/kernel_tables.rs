//! What stands in the kernel program's tables, as bytes that the kernel copies (`bpf/record.h` says the same in C).

use aya::Pod;

/// A row of the table of sessions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(C)]
pub(crate) struct Row {
    /// Which use of the row; 0 is none.
    pub(crate) turn: u32,
    pub(crate) wants: u32,
    pub(crate) most: u32,
    pub(crate) held: u32,
    pub(crate) sent: u64,
    pub(crate) lost: u64,
    pub(crate) beyond: u64,
    pub(crate) unheld: u64,
}

/// A row and which use of it is meant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(C)]
pub(crate) struct Place {
    pub(crate) slot: u32,
    pub(crate) turn: u32,
}

/// How system calls are read.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(crate) struct Shapes(pub(crate) [u8; trace::SHAPES_BYTES]);

// SAFETY: integers in the order of C, the smaller ones in fours before the larger ones: no byte of it is padding, and every
// pattern of bits is a value.
unsafe impl Pod for Row {}
// SAFETY: as above.
unsafe impl Pod for Place {}
// SAFETY: bytes.
unsafe impl Pod for Shapes {}

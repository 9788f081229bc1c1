//! Where things stand in a record; `bpf/record.h` says the same in C.

/// Bytes in front of every record.
pub(crate) const HEAD: usize = 72;

/// Kinds of records.
pub(crate) mod kind {
    pub(crate) const EXEC: u8 = 1;
    pub(crate) const ARGUMENTS: u8 = 2;
    pub(crate) const EXIT: u8 = 3;
    pub(crate) const FORK: u8 = 4;
    pub(crate) const TCP: u8 = 5;
    pub(crate) const NOT_RUN: u8 = 6;
    pub(crate) const OPEN: u8 = 7;
    pub(crate) const CHANGE: u8 = 8;
    pub(crate) const SOCKET: u8 = 9;
    pub(crate) const IDENTITY: u8 = 10;
    pub(crate) const SPECIAL: u8 = 11;
    pub(crate) const URING: u8 = 12;
    /// In a table of calls only.
    pub(crate) const SOCKET_CALLS: u8 = 255;
}

/// Marks of a record.
pub(crate) mod mark {
    pub(crate) const ARGUMENTS_UNREADABLE: u16 = 2;
    pub(crate) const PATH_CUT: u16 = 4;
    pub(crate) const DELETED: u16 = 16;
    pub(crate) const COMPAT: u16 = 32;
    pub(crate) const BY_AUDIT: u16 = 64;
}

/// Whose a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Owner {
    /// Place in the table of sessions.
    pub slot: u32,
    /// Which use of that place.
    pub turn: u32,
}

/// Whose this record is; `None` if it is none.
#[must_use]
pub fn owner(record: &[u8]) -> Option<Owner> {
    let whole = Whole(record);
    (record.len() >= HEAD).then_some(Owner { slot: whole.u32(16)?, turn: whole.u32(20)? })
}

/// Length of the record that these bytes begin with; `None` if it does not stand there whole.
#[must_use]
pub fn length(bytes: &[u8]) -> Option<usize> {
    let length = usize::try_from(Whole(bytes).u32(4)?).ok()?;
    (length >= HEAD && length <= bytes.len()).then_some(length)
}

/// Bytes with fields at known places.
#[derive(Clone, Copy)]
pub(crate) struct Whole<'a>(pub(crate) &'a [u8]);

impl<'a> Whole<'a> {
    pub(crate) fn bytes(self, at: usize, length: usize) -> Option<&'a [u8]> {
        self.0.get(at..at.checked_add(length)?)
    }

    fn array<const N: usize>(self, at: usize) -> Option<[u8; N]> {
        self.bytes(at, N)?.try_into().ok()
    }

    pub(crate) fn u8(self, at: usize) -> Option<u8> {
        self.0.get(at).copied()
    }

    pub(crate) fn u16(self, at: usize) -> Option<u16> {
        self.array(at).map(u16::from_le_bytes)
    }

    pub(crate) fn u32(self, at: usize) -> Option<u32> {
        self.array(at).map(u32::from_le_bytes)
    }

    pub(crate) fn u64(self, at: usize) -> Option<u64> {
        self.array(at).map(u64::from_le_bytes)
    }
}

/// `struct head`.
pub(crate) struct Head {
    pub(crate) kind: u8,
    pub(crate) marks: u16,
    pub(crate) at: u64,
    pub(crate) lost: u64,
    pub(crate) process: u32,
    pub(crate) thread: u32,
    pub(crate) parent: u32,
    pub(crate) audit: u32,
    pub(crate) uid: u32,
    pub(crate) euid: u32,
    pub(crate) name: [u8; 16],
}

impl Head {
    pub(crate) fn read(whole: Whole<'_>) -> Option<Self> {
        Some(Self {
            kind: whole.u8(0)?,
            marks: whole.u16(2)?,
            at: whole.u64(8)?,
            lost: whole.u64(24)?,
            process: whole.u32(32)?,
            thread: whole.u32(36)?,
            parent: whole.u32(40)?,
            audit: whole.u32(44)?,
            uid: whole.u32(48)?,
            euid: whole.u32(52)?,
            name: whole.array(56)?,
        })
    }

    pub(crate) fn has(&self, mark: u16) -> bool {
        self.marks & mark != 0
    }
}

/// Takes pieces of stated lengths, one behind the other.
pub(crate) struct Pieces<'a> {
    whole: Whole<'a>,
    at: usize,
}

impl<'a> Pieces<'a> {
    pub(crate) fn behind(whole: Whole<'a>, at: usize) -> Self {
        Self { whole, at }
    }

    /// The next piece, whose length stands at this place.
    pub(crate) fn next(&mut self, length_at: usize) -> Option<&'a [u8]> {
        let length = usize::from(self.whole.u16(length_at)?);
        self.take(length)
    }

    pub(crate) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let piece = self.whole.bytes(self.at, length)?;
        self.at += length;
        Some(piece)
    }
}

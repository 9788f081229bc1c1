//! Recording file ⇄ entries: writer, chain, reader, verifier, exports. `docs/recording.md` is the byte table.
//!
//! Refined against the first plan: the file's magic travels in front of the first record
//! ([`split`] gives both as one piece); a record holds a run of Seqs without holes;
//! the heading is JSON, because postcard cannot read `Kind`'s tag and a heading should be readable for ever.

mod bite;
mod chain;
mod codec;
pub mod cue;
mod custody;
pub mod export;
mod fault;
pub mod film;
pub mod find;
mod frame;
mod glance;
mod index;
pub mod lines;
pub mod note;
mod pack;
pub mod picture;
mod reader;
mod redact;
mod report;
pub mod search;
mod skim;
mod source;
pub mod sweep;
mod tally;
pub mod thumb;
mod track;
mod verify;
mod writer;

pub use chain::{Accepted, Chain};
pub use custody::{
    Act, Bounds, Cause, Custody, Holdings, Left, Next, Notice, Room, Run, Stance, Tail, Why,
};
pub use fault::{Corrupt, Fault};
pub use frame::{Cut, MAGIC, split};
pub use glance::{Glance, Glances};
pub use index::{GapAt, GroupAt, Index, KeyframeAt, finish, receipt_record};
pub use picture::{picture_at, picture_within};
pub use reader::{Entries, From, Recording, Recovered, named, scan, scan_spool};
pub use redact::digest_record;
pub use report::{FoundFault, Report, SeenReceipt, Verdict, Zone};
pub use source::{Source, SourceError};
pub use tally::Counter;
pub use verify::verify;
pub use writer::{Keyframe, Sealed, Writer};

//! What can be wrong with a recording, in words a person can act on.

use crate::SourceError;
use thiserror::Error;

/// Something is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("record {record} at byte {offset}: {what}")]
pub struct Corrupt {
    /// Byte at which the record begins; in [`crate::Chain`], counted over what was accepted.
    pub offset: u64,
    /// Number of the record in the file, the heading being 1; BESIDE records count.
    pub record: u64,
    /// What is wrong.
    pub what: Fault,
}

/// What is wrong with a record, or with a file.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Fault {
    /// The magic is missing.
    #[error("this is not a scry recording")]
    NotARecording,
    /// The magic is that of another version.
    #[error("this recording has format version {0}; this scry reads version 1")]
    Version(u8),
    /// The file ends inside the record.
    #[error("the file ends inside this record")]
    Torn,
    /// The record seems to end behind the file, but signed records follow it.
    #[error("the record's length was altered: signed records stand inside of it")]
    Length,
    /// The bytes cannot be read.
    #[error("cannot be read: {0}")]
    Source(#[from] SourceError),
    /// Over the bound of a record.
    #[error("the record says that it is {0} bytes long, more than any record may be")]
    TooLong(u64),
    /// More or fewer bytes than one record.
    #[error("more bytes than the record's length says")]
    Overlong,
    /// Flags that this type may not have or that nobody knows.
    #[error("the record has flags that it may not have")]
    Flags,
    /// Encryption is reserved.
    #[error("the record is encrypted, which this version of scry cannot read")]
    Encrypted,
    /// A type from a later version that may not be skipped.
    #[error("a record of the unknown type {0} that may not be skipped; a newer scry may read it")]
    UnknownType(u8),
    /// The heading must come first, and only there.
    #[error("the heading is not the first record, or is there twice")]
    HeadingPlace,
    /// The heading cannot be read.
    #[error("the heading cannot be read: {0}")]
    Heading(String),
    /// Chained records behind the end.
    #[error("a record behind the end of the recording")]
    AfterEnd,
    /// The count does not fit the type or the payload.
    #[error("the number of entries is not what the record says")]
    Count,
    /// Entries are missing, doubled or out of order.
    #[error("entry {found} stands where {expected} belongs")]
    Seq {
        /// The Seq that comes next.
        expected: u64,
        /// The Seq that the record says.
        found: u64,
    },
    /// The chain does not fit.
    #[error(
        "the chain is broken: this record was altered, or one before it was altered, dropped or moved"
    )]
    Tag,
    /// A BESIDE record's own checksum does not fit.
    #[error("the record was altered: its checksum does not fit")]
    Checksum,
    /// Pictures are too far apart.
    #[error(
        "no picture was kept near this moment: the one before lies more than {0} bytes of output back"
    )]
    FarPicture(u64),
    /// Drawing takes too long.
    #[error(
        "what was drawn up to this moment takes too long to draw again: `scry play` does so from the file, where it is yours to wait"
    )]
    MuchDrawn,
    /// Time went backwards.
    #[error("the time of an entry lies before that of its predecessor")]
    Time,
    /// The entries cannot be decoded.
    #[error("its entries cannot be decoded")]
    Entries,
    /// An entry of a kind from a later version.
    #[error("entry {0} is of a kind that this scry does not know; a newer one may read it")]
    NewerEntry(u64),
    /// A segment without the beginning of its group.
    #[error("the beginning of its group is missing")]
    NoGroup,
    /// The compressed bytes are damaged.
    #[error("its compressed bytes cannot be unpacked")]
    Unpack,
    /// It unpacks to more than is allowed.
    #[error("it unpacks to more bytes than any record may")]
    Unpacked,
    /// A keyframe that cannot be read or names an entry that is not there.
    #[error("the keyframe cannot be read or names an entry that does not stand before it")]
    Keyframe,
    /// A checkpoint that cannot be read.
    #[error("the checkpoint cannot be read")]
    Checkpoint,
    /// A checkpoint that covers something else.
    #[error("the checkpoint does not cover the records before it")]
    CheckpointHead,
    /// A checkpoint whose signature is wrong.
    #[error(
        "the checkpoint's signature is wrong: it was not made by the signer that the heading names"
    )]
    CheckpointSignature,
    /// END without `Ended` or the other way round.
    #[error("the mark of the end is missing or stands where the session had not ended")]
    EndMark,
    /// A digest that stands for nothing that may be replaced.
    #[error("the digest in place of a removed record cannot be read, or may not stand here")]
    Digest,
    /// A BESIDE record from a node.
    #[error("a receipt or index, which only the cluster may add")]
    Beside,
    /// The signer is not one of the cluster's.
    #[error("the signer's certificate was not issued by a key of this cluster")]
    Issuer,
    /// The signer's certificate is not for this recording.
    #[error("the signer's certificate is wrong: {0}")]
    Certificate(&'static str),
    /// A receipt that cannot be read.
    #[error("the receipt cannot be read")]
    Receipt,
    /// A receipt of something else.
    #[error("the receipt is not for this recording as it stands before it")]
    ReceiptHead,
    /// The same receipt once more.
    #[error("a receipt for these records stands here already")]
    ReceiptTwice,
    /// A receipt that the cluster did not sign.
    #[error("the receipt's signature is wrong, or not made by a key of this cluster")]
    ReceiptSignature,
    /// More receipts than any recording has.
    #[error("there are more receipts than a recording may have")]
    TooManyReceipts,
    /// An index that cannot be read.
    #[error("the index cannot be read")]
    Index,
    /// An index that does not describe this file.
    #[error("the index does not describe this file: {0}")]
    IndexFit(&'static str),
    /// Records that the seal does not list where they stand, or that it lists and that are not there.
    #[error(
        "from here on this is not the file that was sealed: records were added, taken out or replaced"
    )]
    NotAsSealed,
    /// An index that the cluster did not sign.
    #[error("the seal's signature is wrong, or not made by a key of this cluster")]
    Seal,
    /// The trailer is missing, wrong, or something stands behind it.
    #[error("the file does not end as a sealed recording does: the trailer is missing or altered")]
    Trailer,
    /// Something stands behind the trailer.
    #[error("bytes were added behind the end of the recording")]
    Behind,
}

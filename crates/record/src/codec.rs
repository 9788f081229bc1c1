//! Entries ⇄ bytes, as they stand in DATA and META payloads.

use crate::bite::{Bite, put_varint};
use crate::fault::Fault;
use bytes::Bytes;
use model::entry::{Entry, Party, Stamped, Stream};
use model::{Seq, Size};

/// Milliseconds that need a varint of their own.
const LONG: u8 = 31;
/// Variants of [`Entry`] that this version knows.
const KNOWN_ENTRIES: u64 = 13;

/// Whether an entry stands in DATA; all others stand in META.
pub fn is_data(entry: &Entry) -> bool {
    matches!(entry, Entry::Output { .. } | Entry::Typed { .. } | Entry::Resize(_))
}

/// Puts one DATA entry behind `out`; others are ignored. `ms` is the time since the one before it in the record.
pub fn put_data(out: &mut Vec<u8>, ms: u64, entry: &Entry) {
    match entry {
        Entry::Output { stream, bytes } => {
            put_kind(out, stream_number(*stream), ms);
            put_counted(out, bytes);
        }
        Entry::Typed { party, count, bytes } => {
            put_kind(out, if bytes.is_some() { 5 } else { 4 }, ms);
            put_varint(out, party.0.into());
            put_varint(out, (*count).into());
            if let Some(bytes) = bytes {
                put_counted(out, bytes);
            }
        }
        Entry::Resize(size) => {
            put_kind(out, 6, ms);
            put_varint(out, size.cols().into());
            put_varint(out, size.rows().into());
        }
        _ => {}
    }
}

fn put_kind(out: &mut Vec<u8>, kind: u8, ms: u64) {
    match u8::try_from(ms) {
        Ok(short) if short < LONG => out.push(kind | short << 3),
        _ => {
            out.push(kind | LONG << 3);
            put_varint(out, ms);
        }
    }
}

fn put_counted(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn stream_number(stream: Stream) -> u8 {
    match stream {
        Stream::Pty => 0,
        Stream::Stdout => 1,
        Stream::Stderr => 2,
        Stream::Stdin => 3,
    }
}

/// What a DATA record says about its entries.
#[derive(Debug, Clone, Copy)]
pub struct Span {
    /// Seq of the first.
    pub first: u64,
    /// How many.
    pub count: u16,
    /// Time of the first.
    pub at: u64,
    /// Milliseconds from the first to the last.
    pub ms: u64,
}

/// The times in front of a DATA payload, and the packed entries behind them.
pub fn read_span(payload: &[u8], first: u64, count: u16) -> Option<(Span, &[u8])> {
    let mut bite = Bite(payload);
    let (at, ms) = (bite.varint()?, bite.varint()?);
    at.checked_add(ms)?;
    Some((Span { first, count, at, ms }, bite.0))
}

/// Every entry of a DATA record.
pub fn read_data(unpacked: Vec<u8>, span: Span) -> Result<Vec<Stamped>, Fault> {
    let unpacked = Bytes::from(unpacked);
    let mut bite = Bite(&unpacked);
    let mut entries = Vec::with_capacity(span.count.into());
    let mut at = span.at;
    for place in 0..u64::from(span.count) {
        let (ms, entry) = data_entry(&mut bite, &unpacked).ok_or(Fault::Entries)?;
        at = at.checked_add(ms).ok_or(Fault::Time)?;
        entries.push(Stamped { seq: Seq(span.first.saturating_add(place)), at, entry });
    }
    if !bite.0.is_empty() {
        return Err(Fault::Count);
    }
    if entries.first().map(|entry| entry.at) != Some(span.at) || at - span.at != span.ms {
        return Err(Fault::Time);
    }
    Ok(entries)
}

fn data_entry(bite: &mut Bite, whole: &Bytes) -> Option<(u64, Entry)> {
    let byte = bite.byte()?;
    let ms = match byte >> 3 {
        LONG => bite.varint()?,
        short => short.into(),
    };
    let stream = |stream, bite: &mut Bite| {
        Some(Entry::Output { stream, bytes: whole.slice_ref(bite.counted()?) })
    };
    let entry = match byte & 7 {
        0 => stream(Stream::Pty, bite)?,
        1 => stream(Stream::Stdout, bite)?,
        2 => stream(Stream::Stderr, bite)?,
        3 => stream(Stream::Stdin, bite)?,
        kind @ (4 | 5) => {
            let party = Party(bite.varint()?.try_into().ok()?);
            let count = bite.varint()?.try_into().ok()?;
            let bytes = if kind == 5 { Some(whole.slice_ref(bite.counted()?)) } else { None };
            Entry::Typed { party, count, bytes }
        }
        6 => Entry::Resize(read_size(bite)?),
        _ => return None,
    };
    Some((ms, entry))
}

/// Columns and rows as two varints.
pub fn read_size(bite: &mut Bite) -> Option<Size> {
    let cols = u32::try_from(bite.varint()?).ok()?;
    let rows = u32::try_from(bite.varint()?).ok()?;
    Some(Size::clamped(cols, rows))
}

/// Puts one META entry behind `out`. `false` if it cannot be encoded, which no entry of this version is.
pub fn put_meta(out: &mut Vec<u8>, at: u64, entry: &Entry) -> bool {
    let Ok(bytes) = postcard::to_allocvec(entry) else { return false };
    put_varint(out, at);
    put_counted(out, &bytes);
    true
}

/// Every entry of a META record.
pub fn read_meta(payload: &[u8], first: u64, count: u16) -> Result<Vec<Stamped>, Fault> {
    let mut bite = Bite(payload);
    let mut entries = Vec::new();
    for place in 0..u64::from(count) {
        let seq = first.saturating_add(place);
        let at = bite.varint().ok_or(Fault::Entries)?;
        let bytes = bite.counted().ok_or(Fault::Entries)?;
        entries.push(Stamped { seq: Seq(seq), at, entry: meta_entry(bytes, seq)? });
    }
    if bite.0.is_empty() { Ok(entries) } else { Err(Fault::Count) }
}

fn meta_entry(bytes: &[u8], seq: u64) -> Result<Entry, Fault> {
    let variant = Bite(bytes).varint().ok_or(Fault::Entries)?;
    if variant >= KNOWN_ENTRIES {
        return Err(Fault::NewerEntry(seq));
    }
    match postcard::take_from_bytes::<Entry>(bytes) {
        Ok((entry, [])) if !is_data(&entry) => Ok(entry),
        _ => Err(Fault::Entries),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::kernel::{Kernel, Totals};

    #[test]
    fn the_last_entry_known_is_the_last_there_is() {
        let last = Entry::Kernel(Kernel::Totals(Totals::default()));
        let bytes = postcard::to_allocvec(&last).unwrap();
        assert_eq!(u64::from(bytes[0]) + 1, KNOWN_ENTRIES, "count the new variants of Entry here");
        assert_eq!(meta_entry(&[KNOWN_ENTRIES as u8], 7), Err(Fault::NewerEntry(7)));
    }

    #[test]
    fn output_may_not_hide_among_the_meta_entries() {
        let entry = Entry::Output { stream: Stream::Pty, bytes: Bytes::from_static(b"x") };
        let mut out = Vec::new();
        assert!(put_meta(&mut out, 0, &entry));
        assert_eq!(read_meta(&out, 1, 1), Err(Fault::Entries));
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_the_decoders_panic(
            bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200),
            first in proptest::num::u64::ANY,
            count in 0u16..20,
            at in proptest::num::u64::ANY,
        ) {
            let _ = read_meta(&bytes, first, count);
            let _ = read_span(&bytes, first, count);
            let _ = read_data(bytes, Span { first, count, at, ms: 3 });
        }
    }
}

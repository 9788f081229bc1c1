//! What a node that was taken over, or whoever holds a file, adds so that players show another story while every record
//! fits its place.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests fail loudly")]

mod kit;

use bytes::Bytes;
use ed25519_dalek::{Signer, SigningKey};
use kit::{heading, join, node_key, output, pieces, seal_key, sealed, story, write};
use model::entry::{Ending, Stamped};
use model::seal::Head;
use model::{Seq, Size, Tick};
use record::{From, GroupAt, Index, Keyframe, Recording, Report, Sealed, Verdict, Writer, verify};

const KEYFRAME: u8 = 4;
const INDEX: u8 = 8;
/// A type that no version knows.
const UNKNOWN: u8 = 200;
const BESIDE: u8 = 1;
const SKIPPABLE: u8 = 2;

/// A record as `docs/recording.md` has it: chained behind `before`, or beside the chain.
fn framed(kind: u8, flags: u8, before: Option<Head>, payload: &[u8]) -> Vec<u8> {
    let first = before.map_or(0, |head| head.seq.next().0);
    let mut front = u32::try_from(payload.len()).unwrap().to_le_bytes().to_vec();
    front.extend([kind, flags, 0, 0]);
    front.extend(first.to_le_bytes());
    let inner = blake3::hash(payload);
    let digest = blake3::Hasher::new().update(&front).update(inner.as_bytes()).finalize();
    let hash = before.map_or(digest, |head| {
        blake3::Hasher::new().update(&head.hash).update(digest.as_bytes()).finalize()
    });
    [&front[..], &hash.as_bytes()[..8], payload].concat()
}

fn trailer(offset: usize) -> Vec<u8> {
    [&(offset as u64).to_le_bytes()[..], b"SCRYEND\x01"].concat()
}

/// Another story, with an index that says it is all there is: what stands from the byte `place` on at the end of a file.
fn lie(place: usize, names: &SigningKey, signs: &SigningKey) -> Vec<u8> {
    let heading = heading(1);
    let records = write(&heading, node_key(), &[(0, output("nothing happened\r\n"))], None);
    let (before, data) = (records[0].head, &records[1]);
    let group = GroupAt {
        offset: place as u64,
        seq: Seq(1),
        at: 0,
        records: before.records,
        hash: before.hash,
    };
    let index = Index {
        records: 2,
        seq: Seq(1),
        hash: data.head.hash,
        ending: Some(Ending::Exit { status: 0 }),
        groups: vec![group],
        ..Index::default()
    };
    let (body, digest) = (postcard::to_allocvec(&index).unwrap(), [7u8; 32]);
    let hash = blake3::hash(&body);
    let statement =
        [&b"scry index v1\0"[..], heading.id.as_bytes(), &digest, hash.as_bytes()].concat();
    let signature = signs.sign(&statement).to_bytes();
    let payload = [&names.verifying_key().to_bytes()[..], &signature, &digest, &body].concat();
    let index = framed(INDEX, BESIDE, None, &payload);
    [&data.bytes[..], &index, &trailer(place + data.bytes.len())].concat()
}

fn look(file: &[u8]) -> Report {
    verify(file, &[seal_key().verifying_key().to_bytes()], &mut |_| {})
}

fn told(file: &[u8]) -> (Vec<Stamped>, u64, Option<Ending>) {
    let recording = Recording::open(file.to_vec()).unwrap();
    let entries = recording.entries(From::Seq(Seq(1))).map(Result::unwrap).collect();
    (entries, recording.length_ms(), recording.ending().cloned())
}

/// Puts a record with a lie in it behind a file: players tell what they told before, and nothing is wrong with the file.
fn check_behind(file: &[u8], flags: u8, before: Option<Head>, verdict: Verdict) {
    let stranger = SigningKey::from_bytes(&[9; 32]);
    for names in [&stranger, &seal_key()] {
        let lie = lie(file.len() + 24, names, &stranger);
        let bad = [file, &framed(UNKNOWN, flags, before, &lie)].concat();
        let report = look(&bad);
        assert_eq!(report.verdict, verdict, "{report}");
        assert!(report.faults.is_empty(), "{report:#?}");
        assert!(told(&bad) == told(file), "another story is told: {:?}", told(&bad));
    }
}

fn live() -> Vec<Sealed> {
    write(&heading(1), node_key(), &story(), None)
}

#[test]
fn an_index_that_a_node_ships_inside_of_a_record_is_not_believed() {
    let records = live();
    let head = records.last().unwrap().head;
    check_behind(&join(&records), SKIPPABLE, Some(head), Verdict::Unfinished);
}

#[test]
fn an_index_that_was_put_behind_the_end_by_another_key_is_not_believed() {
    let records = write(&heading(1), node_key(), &story(), Some(Ending::Exit { status: 0 }));
    check_behind(&join(&records), SKIPPABLE | BESIDE, None, Verdict::Unsealed);
}

#[test]
fn a_good_seal_that_the_records_do_not_lead_to_is_a_fault() {
    let cut = pieces(&sealed(1));
    let (front, seal) = cut.split_at(cut.len() - 2);
    let front = front.concat();
    let inside = [&seal[0][..], &trailer(front.len() + 24)].concat();
    let bad = [&front[..], &framed(UNKNOWN, SKIPPABLE | BESIDE, None, &inside)].concat();
    let report = look(&bad);
    assert_eq!(report.verdict, Verdict::Broken, "{report}");
    let named: Vec<_> = report.faults.iter().map(|fault| (fault.offset, fault.record)).collect();
    assert_eq!(named, [(front.len() as u64 + 24, cut.len() as u64 - 1)], "{report:#?}");
}

#[test]
fn a_sealed_file_is_opened_by_its_index_and_by_no_other() {
    let mut cut = pieces(&sealed(1));
    *cut[3].last_mut().unwrap() ^= 1;
    let recording = Recording::open(cut.concat()).unwrap();
    assert!(recording.index().records > 4 && recording.ending().is_some());
    assert_eq!(recording.damage(), None, "its records were not read");
    let stranger = kit::sealed_by(&heading(1), &node_key(), &SigningKey::from_bytes(&[9; 32]));
    let mut cut = pieces(&stranger);
    *cut[3].last_mut().unwrap() ^= 1;
    assert!(Recording::open(cut.concat()).unwrap().damage().is_some(), "its records were read");
}

/// The payload of a keyframe that shows a harmless screen.
fn harmless(seq: Seq) -> Vec<u8> {
    let mut writer = Writer::begin(&heading(1), node_key(), Tick(0));
    writer.handle(output("x"), Tick(0));
    let dump = Bytes::from_static(b"nothing happened");
    writer.keyframe(Keyframe { seq: Seq(1), at: 0, size: Size::default(), dump }, Tick(0));
    let last = std::iter::from_fn(|| writer.poll()).last().unwrap();
    assert_eq!(last.bytes[4], KEYFRAME);
    let mut payload = last.bytes[24..].to_vec();
    assert!(payload.starts_with(&[1, 0]), "the entry and its time");
    payload[0] = u8::try_from(seq.0).ok().filter(|seq| *seq < 128).unwrap();
    payload
}

#[test]
fn a_screen_that_is_made_late_does_not_change_what_earlier_moments_show() {
    let records = live();
    let (file, head) = (join(&records), records.last().unwrap().head);
    let honest = Recording::open(file.clone()).unwrap();
    for seq in [head.seq, Seq(9)] {
        let late = framed(KEYFRAME, 0, Some(head), &harmless(seq));
        let bad = [&file[..], &late].concat();
        assert_eq!(look(&bad).verdict, Verdict::Unfinished, "the record itself may stand there");
        let recording = Recording::open(bad).unwrap();
        assert_eq!(recording.index().records, head.records + 1, "it was read");
        for ms in (0..=honest.length_ms()).step_by(500) {
            assert_eq!(recording.keyframe_at(ms), honest.keyframe_at(ms), "at {ms} ms");
        }
        assert_eq!(recording.keyframe_before(head.seq), honest.keyframe_before(head.seq));
    }
}

#[test]
fn a_writer_drops_a_screen_that_comes_too_late_and_wants_another() {
    let mut writer = Writer::begin(&heading(1), node_key(), Tick(0));
    for second in 0..60 {
        let now = Tick(second * 1_000);
        writer.handle_timeout(now);
        writer.handle(output("line\r\n"), now);
    }
    writer.flush(Tick(60_000));
    // Nothing came for long enough: the next begins a group, of which a screen is wanted.
    writer.handle(output("more\r\n"), Tick(120_000));
    writer.flush(Tick(120_000));
    let wanted = writer.wants_keyframe();
    assert!(wanted.is_some());
    let mut made = |seq: Seq, at| {
        while writer.poll().is_some() {}
        let dump = Bytes::from_static(b"a screen");
        writer.keyframe(Keyframe { seq, at, size: Size::default(), dump }, Tick(120_000));
        let made = std::iter::from_fn(|| writer.poll()).any(|record| record.bytes[4] == KEYFRAME);
        (made, writer.wants_keyframe())
    };
    assert_eq!(made(Seq(1), 0), (false, wanted));
    assert_eq!(made(Seq(61), 0), (false, wanted), "of a time that is not that of its entry");
    assert_eq!(made(Seq(61), 120_000), (true, None));
}

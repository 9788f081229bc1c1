//! Whatever is done to a recording is found: by hand, and by thousands of thrown dice.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests fail loudly")]

mod kit;

use ed25519_dalek::SigningKey;
use kit::{Dice, heading, heading_by, node_key, pieces, seal_key, sealed, sealed_by, story, write};
use model::Kind;
use model::entry::Ending;
use record::{Chain, Fault, Report, Verdict, digest_record, verify};

fn look(file: &[u8]) -> Report {
    let keys = [seal_key().verifying_key().to_bytes()];
    verify(file, &keys, &mut |_| {})
}

fn check(file: &[u8], verdict: Verdict, words: &str) {
    let report = look(file);
    assert_eq!(report.verdict, verdict, "{report}");
    assert!(report.to_string().contains(words), "{report:#?}\n{report}\nlacks {words:?}");
}

#[test]
fn a_sealed_recording_is_complete_and_says_who_had_it_when() {
    let file = sealed(1);
    check(&file, Verdict::Complete, "signed by web-01 and sealed by the cluster; 1 gap recorded");
    let report = look(&file);
    assert_eq!(report.receipts.len(), 2);
    assert_eq!(report.signed.records, report.chained.records);
    assert_eq!(report.torn_bytes, 0);
    assert_eq!(report.ending, Some(Ending::Exit { status: 0 }));
}

#[test]
fn without_a_key_nothing_is_proven() {
    let report = verify(&sealed(1), &[], &mut |_| {});
    assert_eq!(report.verdict, Verdict::NotProven, "{report}");
}

#[test]
fn a_file_without_its_seal_or_its_end_says_so() {
    let cut = pieces(&sealed(1));
    let whole = cut[..cut.len() - 3].concat();
    check(&whole, Verdict::Unsealed, "the cluster's seal is missing");
    let endless = cut[..cut.len() - 5].concat();
    check(&endless, Verdict::Unfinished, "the end is missing");
    let mut torn = endless.clone();
    torn.extend_from_slice(&cut[cut.len() - 5][..30]);
    check(&torn, Verdict::Unfinished, "the last record is torn (30 bytes)");
}

#[test]
fn one_flipped_bit_is_found_wherever_it_is() {
    let file = sealed(1);
    let cut = pieces(&file);
    let mut start = 0;
    for (place, piece) in cut.iter().enumerate() {
        for at in [0, 4, 5, 9, 16, 24, piece.len() / 2, piece.len() - 1] {
            let mut bad = file.clone();
            let at = start + at.min(piece.len() - 1);
            bad[at] ^= 0x10;
            let report = look(&bad);
            assert_eq!(report.verdict, Verdict::Broken, "record {place}, byte {at}: {report}");
            let first = &report.faults[0];
            assert!(first.offset <= at as u64, "record {place}, byte {at}: found at {first:?}");
        }
        start += piece.len();
    }
}

#[test]
fn the_fault_is_named_where_it_is_and_what_is_signed_behind_it_is_found_again() {
    let cut = pieces(&sealed(1));
    let mut bad = cut.clone();
    *bad[3].last_mut().unwrap() ^= 1;
    let offset: usize = cut[..3].iter().map(Vec::len).sum();
    let report = look(&bad.concat());
    assert_eq!(
        (report.faults[0].offset, report.faults[0].record),
        (offset as u64, 4),
        "{report:#?}"
    );
    assert_eq!(report.faults.len(), 2, "only the record and the seal: {:#?}", report.faults);
}

#[test]
fn a_recording_signed_again_by_a_stranger_is_refused() {
    let stranger = SigningKey::from_bytes(&[9; 32]);
    let own = heading_by(1, Kind::Shell, &stranger, &stranger);
    check(
        &sealed_by(&own, &stranger, &stranger),
        Verdict::Broken,
        "was not issued by a key of this cluster",
    );
    let real = heading(1);
    let forged = kit::join(&write(&real, stranger.clone(), &story(), Some(Ending::Crashed)));
    check(&forged, Verdict::Broken, "not made by the signer");
    check(
        &sealed_by(&real, &node_key(), &stranger),
        Verdict::Broken,
        "not made by a key of this cluster",
    );
    let mut other_node = heading(1);
    other_node.node = "db-01".parse().unwrap();
    check(&sealed_by(&other_node, &node_key(), &seal_key()), Verdict::Broken, "of another node");
    let mut later = heading(1);
    later.started = later.signer.not_after.plus_ms(1);
    check(
        &sealed_by(&later, &node_key(), &seal_key()),
        Verdict::Broken,
        "not valid when the recording began",
    );
}

#[test]
fn a_screen_or_a_note_taken_out_leaves_its_group_readable() {
    let records = write(&heading(1), node_key(), &story(), Some(Ending::Exit { status: 0 }));
    let end = records.len() - 2;
    for (kind, words) in [(3, "entries taken out"), (4, "record taken out")] {
        let mut file = Vec::new();
        for (place, record) in records.iter().enumerate() {
            match digest_record(&record.bytes) {
                Ok(digest) if place < end && record.bytes[4] == kind => file.extend(digest),
                _ => file.extend_from_slice(&record.bytes),
            }
        }
        let file = kit::seal_file(file, &[], &seal_key());
        check(&file, Verdict::Complete, words);
        let recording = record::Recording::open(file).unwrap();
        assert!(recording.entries(record::From::Ms(0)).all(|entry| entry.is_ok()));
    }
}

#[test]
fn four_thousand_random_alterations_are_found() {
    let (file, other) = (sealed(1), sealed(2));
    assert_eq!((look(&file).verdict, look(&other).verdict), (Verdict::Complete, Verdict::Complete));
    let (cut, others) = (pieces(&file), pieces(&other));
    let mut dice = Dice(0x5eed);
    for round in 0..4_000 {
        let bad = alter(round, &mut dice, &file, &cut, &others);
        if bad == file || bad == other {
            continue;
        }
        let report = look(&bad);
        assert_ne!(report.verdict, Verdict::Complete, "round {round}: {report}");
    }
}

#[test]
fn an_altered_byte_of_an_unsealed_file_is_never_taken_for_a_torn_end() {
    let cut = pieces(&sealed(1));
    let file = cut[..cut.len() - 3].concat();
    let last = cut[cut.len() - 4].len();
    let mut dice = Dice(0xbad);
    for round in 0..1_500 {
        let mut bad = file.clone();
        let at = dice.below(file.len() - last);
        bad[at] ^= 1 << dice.below(8);
        let report = look(&bad);
        assert_eq!(report.verdict, Verdict::Broken, "round {round}, byte {at}: {report}");
    }
}

fn alter(
    round: usize,
    dice: &mut Dice,
    file: &[u8],
    cut: &[Vec<u8>],
    others: &[Vec<u8>],
) -> Vec<u8> {
    let mut bytes = file.to_vec();
    let mut list = cut.to_vec();
    let (a, b) = (dice.below(cut.len()), dice.below(cut.len()));
    match round % 8 {
        0 => bytes[dice.below(file.len())] ^= 1 << dice.below(8),
        1 => bytes.truncate(dice.below(file.len())),
        2 => bytes.extend((0..=dice.below(40)).map(|n| n as u8)),
        3 => {
            let from = dice.below(file.len());
            let to = (from + 1 + dice.below(200)).min(file.len());
            bytes.drain(from..to);
        }
        4 => {
            list.swap(a, b);
            bytes = list.concat();
        }
        5 => {
            list.remove(a);
            bytes = list.concat();
        }
        6 => {
            list.insert(b, cut[a].clone());
            bytes = list.concat();
        }
        _ => {
            list[a].clone_from(&others[dice.below(others.len())]);
            bytes = list.concat();
        }
    }
    bytes
}

#[test]
fn auth_refuses_a_bad_record_and_still_takes_the_right_one() {
    let keys = [seal_key().verifying_key().to_bytes()];
    let records = write(&heading(1), node_key(), &story(), Some(Ending::Exit { status: 3 }));
    let strangers = write(&heading(2), node_key(), &story(), None);
    let mut chain = Chain::new(&keys);
    for (place, record) in records.iter().enumerate() {
        let mut bad = record.bytes.to_vec();
        *bad.last_mut().unwrap() ^= 1;
        let refused = chain.accept(&bad).unwrap_err();
        assert_eq!((refused.record, refused.what), (place as u64 + 1, Fault::Tag));
        assert!(chain.accept(&record.bytes[..record.bytes.len() - 1]).is_err());
        if place > 0 {
            assert!(chain.accept(&strangers[place.min(strangers.len() - 1)].bytes).is_err());
            assert!(chain.accept(&records[place - 1].bytes).is_err(), "a record twice");
        }
        let accepted = chain.accept(&record.bytes).unwrap();
        assert_eq!(accepted.head, record.head);
        assert_eq!(accepted.ended.is_some(), record.last);
        assert_eq!(accepted.heading.is_some(), place == 0);
    }
    assert_eq!(chain.ended(), Some(&Ending::Exit { status: 3 }));
    let (again, _) = Chain::over(&kit::join(&records), &keys).unwrap();
    assert_eq!((again.head(), again.ended()), (chain.head(), chain.ended()));
}

#[test]
fn auth_refuses_receipts_from_nodes_and_signers_it_does_not_know() {
    let keys = [seal_key().verifying_key().to_bytes()];
    let records = write(&heading(1), node_key(), &story(), None);
    let mut chain = Chain::new(&keys);
    let head = chain.accept(&records[0].bytes).unwrap().head;
    let receipt = record::receipt_record(&kit::receipt(&heading(1), head, 0));
    assert_eq!(chain.accept(&receipt).unwrap_err().what, Fault::Beside);
    let mut stranger = Chain::new(&[[7; 32]]);
    assert_eq!(stranger.accept(&records[0].bytes).unwrap_err().what, Fault::Issuer);
    assert_eq!(stranger.head().records, 0);
}

#[test]
fn a_group_taken_out_leaves_digests_and_the_rest_still_verifies() {
    let records = write(&heading(1), node_key(), &story(), Some(Ending::Exit { status: 0 }));
    let mut file = Vec::new();
    let mut groups = 0;
    for record in &records {
        let bytes = &record.bytes[..];
        let data = record.head.records > 1 && bytes[4] == 2;
        groups += usize::from(data && bytes[5] == 8);
        if data && groups == 1 {
            file.extend(digest_record(bytes).unwrap());
        } else {
            file.extend_from_slice(bytes);
        }
        assert_eq!(
            digest_record(bytes).is_err(),
            matches!(bytes[4], 5 | b'E') || record.head.records == 1
        );
    }
    let file = kit::seal_file(file, &[], &seal_key());
    let report = look(&file);
    assert_eq!(report.verdict, Verdict::Complete, "{report:#?}");
    assert!(report.redacted > 3, "{report}");
    let recording = record::Recording::open(file).unwrap();
    let entries: Vec<_> = recording.entries(record::From::Ms(0)).map(Result::unwrap).collect();
    assert!(entries.iter().any(|entry| matches!(&entry.entry, model::Entry::Gap(gap) if gap.cause == model::entry::GapCause::Redacted)));
    assert_eq!(entries.last().unwrap().entry, model::Entry::Ended(Ending::Exit { status: 0 }));
}

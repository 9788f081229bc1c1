//! Thousands of forgeries of files up to 200 KB: flip, cut, swap, drop, duplicate, splice, sign again. Each is found,
//! and the place that the report names is where it was done.
//!
//! `SCRY_TEST_LONG=1` does 10,000; a run prints its counts, and a failure its seed.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests fail loudly")]

mod forger;
mod kit;

use forger::{Kind, Place, Spot, Subject, alter, subjects};
use kit::{Dice, seal_key};
use record::{Report, Verdict, verify};
use std::collections::BTreeMap;

/// Where the dice of round 0 begin; each round has its own.
const SEED: u64 = 0x5eed_0003;

fn look(file: &[u8]) -> Report {
    verify(file, &[seal_key().verifying_key().to_bytes()], &mut |_| {})
}

#[test]
fn every_one_of_ten_thousand_forgeries_is_found_where_it_was_made() {
    let rounds = if chance::long() { 10_000 } else { 1_200 };
    let subjects = subjects();
    for subject in &subjects {
        let report = look(&subject.file);
        assert_eq!(report.verdict, subject.verdict, "{} untouched: {report}", subject.name);
        assert!(report.faults.is_empty(), "{}: {report:#?}", subject.name);
        assert!(subject.file.len() <= 200_000, "{}: {} bytes", subject.name, subject.file.len());
    }
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let (mut round, mut found) = (0, 0);
    while found < rounds {
        let seed = SEED.wrapping_add(round).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut dice = Dice(seed);
        let kind = Kind::ALL[round as usize % Kind::ALL.len()];
        let subject = &subjects[dice.below(subjects.len())];
        let other = &subjects[dice.below(subjects.len())];
        round += 1;
        let Some((bad, place)) = alter(kind, &mut dice, subject, other) else { continue };
        if bad == subject.file || bad == other.file {
            *counts.entry("changed nothing, not counted".into()).or_default() += 1;
            continue;
        }
        let what = format!("{kind:?} of {} (round {}, seed {seed:#x})", subject.name, round - 1);
        check(subject, &bad, place, &what);
        *counts.entry(format!("{kind:?}")).or_default() += 1;
        found += 1;
    }
    println!("{found} forgeries found and named, seed {SEED:#x}: {counts:#?}");
    for kind in Kind::ALL {
        assert!(counts.contains_key(&format!("{kind:?}")), "none of kind {kind:?}");
    }
}

fn check(subject: &Subject, bad: &[u8], place: Place, what: &str) {
    let report = look(bad);
    let same = subject.file.iter().zip(bad).take_while(|(a, b)| a == b).count();
    let compared = matches!(place, Place::Compared | Place::ComparedOr(_));
    if compared && same == bad.len() {
        return check_cut(subject, &report, same, what);
    }
    let record = subject.record_at(same);
    let offset = subject.start_of(record) as u64;
    let offset = if offset == 0 && same >= 8 { 8 } else { offset };
    let spot = Spot { offset, number: record as u64 + 1 };
    if report.verdict == Verdict::Broken {
        let first = &report.faults[0];
        let named = Spot { offset: first.offset, number: first.record };
        let right = match place {
            Place::Compared | Place::TakenOut => named == spot,
            Place::ComparedOr(other) => named == spot || named == other,
            Place::At(other) => named == other,
            Place::Between(from, to) => {
                (from.offset..=to.offset).contains(&named.offset)
                    && (from.number..=to.number).contains(&named.number)
            }
        };
        assert!(
            right,
            "{what}: {named:?} is named, not {spot:?} or {place:?}: {:#?}",
            report.faults
        );
        // The node's signatures hold where only the cluster's additions were touched, or a digest was left.
        let ours = place != Place::TakenOut
            && forger::without_receipts(bad) != forger::without_receipts(&subject.file);
        let signed = report.signed.bytes;
        assert!(!ours || signed <= named.offset, "{what}: more is called signed than is: {report}");
        return;
    }
    assert!(compared, "{what} slipped through: {report}");
    if forger::without_receipts(bad) == forger::without_receipts(&subject.file) {
        return check_receipts(subject, &report, what);
    }
    // Where nothing signed follows, bytes that are no record read as a torn end, which claims none of them.
    assert!(subject.nothing_signed_from(record), "{what} slipped through: {report}");
    assert_eq!(report.verdict, Verdict::Unfinished, "{what} slipped through: {report}");
    assert_eq!(report.bytes - report.torn_bytes, offset, "{what} slipped through: {report}");
}

/// A file that ends early: says less than the whole one, and where it ends.
fn check_cut(subject: &Subject, report: &Report, length: usize, what: &str) {
    let (whole, record) = (look(&subject.file), subject.record_at(length));
    let start = subject.start_of(record);
    if record == 0 || (start < length && subject.end_before(start)) {
        assert_eq!(report.verdict, Verdict::Broken, "{what}: {report}");
        assert_eq!(report.faults[0].record, record as u64 + 1, "{what}: {report}");
        return;
    }
    if start == length && subject.verdict == Verdict::Complete && record + 1 == subject.starts.len()
    {
        let first = &report.faults[0];
        assert_eq!((first.offset, first.record), (start as u64, record as u64 + 1), "{what}");
        return;
    }
    let verdict = if subject.end_before(start) { Verdict::Unsealed } else { Verdict::Unfinished };
    assert_eq!(report.verdict, verdict, "{what}: {report}");
    assert_eq!(report.bytes - report.torn_bytes, start as u64, "{what}: {report}");
    let less = (report.chained.records, report.receipts.len(), report.sealed, report.torn_bytes)
        != (whole.chained.records, whole.receipts.len(), whole.sealed, whole.torn_bytes);
    assert!(less, "{what}: says as much as the whole file: {report}");
}

/// Only receipts differ. Without some of them an unsealed file is what the node itself had before they came.
fn check_receipts(subject: &Subject, report: &Report, what: &str) {
    let whole = look(&subject.file);
    assert_eq!(report.verdict, whole.verdict, "{what}: {report}");
    assert_ne!(report.verdict, Verdict::Complete, "{what} slipped through: {report}");
    assert!(report.receipts.len() < whole.receipts.len(), "{what} slipped through: {report}");
    assert_eq!((report.signed.seq, report.chained.seq), (whole.signed.seq, whole.chained.seq));
}

//! Thousands of forgeries of files up to 200 KB: flip, cut, swap, drop, duplicate, splice, sign again. Each is found,
//! and the place that the report names is where it was done.
//!
//! `SCRY_TEST_LONG=1` does 10,000, one a seed (see `chance`); a run prints its counts, and a failure its seed.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests fail loudly")]

mod forger;
mod kit;

use forger::{Kind, Place, Spot, Subject, alter, subjects};
use kit::{Dice, heading_by, node_key, seal_key};
use record::{Report, Verdict, verify};
use std::collections::BTreeMap;

/// Forgeries of one run; each has its own seed.
const FORGERIES: u64 = 1_250;
/// Where the dice of seed 0 begin; each seed has its own.
const SEED: u64 = 0x5eed_0003;

fn look(file: &[u8]) -> Report {
    verify(file, &[seal_key().verifying_key().to_bytes()], &mut |_| {})
}

#[test]
fn every_one_of_ten_thousand_forgeries_is_found_where_it_was_made() {
    let mut subjects = subjects();
    subjects.push(noise());
    for subject in &subjects {
        let report = look(&subject.file);
        assert_eq!(report.verdict, subject.verdict, "{} untouched: {report}", subject.name);
        assert!(report.faults.is_empty(), "{}: {report:#?}", subject.name);
        assert!(subject.file.len() <= 200_000, "{}: {} bytes", subject.name, subject.file.len());
    }
    let largest = subjects.iter().map(|subject| subject.file.len()).max();
    assert!(largest > Some(150_000), "the largest file has {largest:?} bytes");
    let seeds = chance::seeds(FORGERIES, 8);
    let runs = seeds.end - seeds.start;
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    chance::each(seeds, |seed| {
        let (kind, unchanged) = forge(&subjects, seed);
        *counts.entry(format!("{kind:?}")).or_default() += 1;
        *counts.entry("changed nothing, not counted".into()).or_default() += unchanged;
    });
    println!("{runs} forgeries found and named: {counts:#?}");
    for kind in Kind::ALL {
        let some = counts.contains_key(&format!("{kind:?}"));
        assert!(some || runs < FORGERIES, "none of kind {kind:?}");
    }
}

/// A sealed file of more than 150 KB: noise cannot be packed, so that it is as large as what is in it.
fn noise() -> Subject {
    let mut dice = Dice(SEED);
    let mut bytes = || -> Vec<u8> { (0..4_000).map(|_| dice.below(256) as u8).collect() };
    let story: Vec<_> = (0..40).map(|_| (1_000, kit::streams::output(bytes()))).collect();
    let heading = heading_by(90, model::Kind::Shell, &node_key(), &seal_key());
    let file = kit::sealed_story(&heading, &node_key(), &seal_key(), &story);
    let (mut starts, mut start) = (Vec::new(), 0);
    for piece in kit::pieces(&file) {
        starts.push(start);
        start += piece.len();
    }
    let name = format!("noise ({} bytes)", file.len());
    Subject { name, file, verdict: Verdict::Complete, starts, torn_from: None }
}

/// Makes and checks the forgery of a seed. Says of which kind it is, and how many tries before it changed nothing.
fn forge(subjects: &[Subject], seed: u64) -> (Kind, usize) {
    let mut dice = Dice(SEED.wrapping_add(seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let kind = Kind::ALL[seed as usize % Kind::ALL.len()];
    let mut unchanged = 0;
    loop {
        let subject = &subjects[dice.below(subjects.len())];
        let other = &subjects[dice.below(subjects.len())];
        // Not every file has something of every kind.
        let Some((bad, place)) = alter(kind, &mut dice, subject, other) else { continue };
        if bad != subject.file && bad != other.file {
            check(subject, &bad, place, &format!("{kind:?} of {} (seed {seed})", subject.name));
            return (kind, unchanged);
        }
        unchanged += 1;
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
    // Where nothing signed follows whole, bytes that are no record read as a torn end, which claims none of them.
    let untouched = subject.file.iter().rev().zip(bad.iter().rev()).take_while(|(a, b)| a == b);
    let altered = subject.record_at((subject.file.len() - untouched.count()).saturating_sub(1));
    let nothing = subject.nothing_signed_from(record.max(altered));
    assert!(nothing, "{what} slipped through: {report}");
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

//! Entries in, entries out: whole, from anywhere, from a torn file, from a live one.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests fail loudly")]

mod kit;

use bytes::Bytes;
use kit::{heading, join, node_key, output, seal_key, sealed, story, told, write};
use model::entry::{Ending, Entry, Forward, Gap, GapCause, Party, Stamped, Stream};
use model::limit::ENTRY_BYTES;
use model::role::Forwarding;
use model::{Seq, Size, Tick};
use proptest::prelude::*;
use record::{From, Recording, Source, Verdict, Writer, scan, verify};

fn entries(file: &[u8], from: From) -> Vec<Stamped> {
    Recording::open(file.to_vec()).unwrap().entries(from).map(Result::unwrap).collect()
}

fn check_story(story: &[(u64, Entry)]) {
    let records = write(&heading(1), node_key(), story, Some(Ending::Disconnected));
    let file = join(&records);
    let mut wanted = told(story);
    let end = wanted.last().map_or(0, |last| last.1) + 5;
    wanted.push((Seq(wanted.len() as u64 + 1), end, Entry::Ended(Ending::Disconnected)));
    let found = entries(&file, From::Seq(Seq(0)));
    let plain: Vec<_> = found.iter().map(|s| (s.seq, s.at, s.entry.clone())).collect();
    assert_eq!(plain, wanted);
    for place in [0, found.len() / 3, found.len() / 2, found.len() - 1] {
        let at = &found[place];
        assert_eq!(entries(&file, From::Seq(at.seq)), found[place..], "from {}", at.seq);
        let first = found.iter().position(|entry| entry.at >= at.at).unwrap();
        assert_eq!(entries(&file, From::Ms(at.at)), found[first..], "from {} ms", at.at);
    }
    let keys = [seal_key().verifying_key().to_bytes()];
    assert_eq!(verify(&file, &keys, &mut |_| {}).verdict, Verdict::Unsealed);
    let receipt = kit::receipt(&heading(1), records.last().unwrap().head, end as i64);
    let whole = kit::seal_file(file, &[receipt], &seal_key());
    let report = verify(&whole, &keys, &mut |_| {});
    assert_eq!(report.verdict, Verdict::Complete, "untouched: {report:#?}");
    assert_eq!((report.faults.len(), report.receipts.len()), (0, 1), "untouched: {report:#?}");
    assert_eq!(entries(&whole, From::Seq(Seq(0))), found, "the seal changes nothing");
}

#[test]
fn a_session_is_read_back_as_it_was_and_from_anywhere() {
    check_story(&story());
    check_story(&[]);
}

#[test]
fn a_long_session_has_many_groups_and_every_seek_equals_a_full_replay() {
    let mut long = Vec::new();
    for n in 0..20_000u64 {
        long.push((
            n * 7919 % 830,
            output(&format!("{n:>8} {:x} some text\r\n", n.wrapping_mul(n * 31))),
        ));
        if n % 997 == 0 {
            long.push((0, Entry::Mark { label: format!("mark {n}") }));
        }
    }
    let records = write(&heading(1), node_key(), &long, Some(Ending::Exit { status: 0 }));
    let file = kit::seal_file(join(&records), &[], &seal_key());
    let recording = Recording::open(file.clone()).unwrap();
    assert!(recording.index().groups.len() >= 20, "{} groups", recording.index().groups.len());
    assert!(recording.index().keyframes.len() >= 19);
    let all = entries(&file, From::Seq(Seq(1)));
    let mut dice = kit::Dice(42);
    for _ in 0..60 {
        let place = dice.below(all.len());
        let some: Vec<_> =
            recording.entries(From::Seq(all[place].seq)).take(50).map(Result::unwrap).collect();
        assert_eq!(some, all[place..(place + 50).min(all.len())]);
        let ms = dice.below(all.last().unwrap().at as usize) as u64;
        let first = all.iter().position(|entry| entry.at >= ms).unwrap();
        assert_eq!(recording.entries(From::Ms(ms)).next().unwrap().unwrap(), all[first]);
        let wanted = recording.index().keyframes.iter().rfind(|frame| frame.at <= ms);
        let found = recording.keyframe_at(ms).unwrap();
        assert_eq!(found.as_ref().map(|frame| frame.seq), wanted.map(|frame| frame.seq));
    }
    for missing in [1, 16, 40] {
        let surveyed = Recording::open(file[..file.len() - missing].to_vec()).unwrap();
        assert_eq!(
            surveyed.index(),
            recording.index(),
            "the index made by reading equals the file's own, {missing} bytes cut off"
        );
    }
}

#[test]
fn wherever_index_or_trailer_is_cut_or_altered_reading_makes_the_same_index_and_entries() {
    let file = sealed(1);
    let own = Recording::open(file.clone()).unwrap();
    let all = entries(&file, From::Seq(Seq(1)));
    let index = own.index();
    assert!(index.groups.len() > 1 && !index.keyframes.is_empty(), "{index:#?}");
    assert_eq!((index.receipts.len(), index.gaps.len()), (2, 1), "{index:#?}");
    let check = |bytes: Vec<u8>, what: &str| {
        let surveyed = Recording::open(bytes).unwrap();
        assert_eq!(surveyed.index(), index, "{what}");
        assert_eq!(surveyed.damage(), None, "{what}");
        let found: Vec<_> = surveyed.entries(From::Seq(Seq(1))).map(Result::unwrap).collect();
        assert_eq!(found, all, "{what}");
    };
    let pieces = kit::pieces(&file);
    let [.., seal, trailer] = &pieces[..] else { panic!("no seal") };
    let trailer_at = file.len() - trailer.len();
    for cut in trailer_at - seal.len()..file.len() {
        check(file[..cut].to_vec(), &format!("cut at {cut} of {}", file.len()));
    }
    for at in trailer_at..file.len() {
        for bit in 0..8 {
            let mut bytes = file.clone();
            bytes[at] ^= 1 << bit;
            check(bytes, &format!("bit {bit} of byte {at} of {} turned", file.len()));
        }
    }
}

#[test]
fn a_file_cut_at_any_byte_opens_up_to_its_last_whole_record() {
    let records = write(&heading(1), node_key(), &story(), Some(Ending::Exit { status: 0 }));
    let file = join(&records);
    let mut ends = vec![0];
    for record in &records {
        ends.push(ends.last().unwrap() + record.bytes.len());
    }
    for cut in 0..=file.len() {
        let whole = ends.partition_point(|end| *end <= cut) - 1;
        let found = scan(&file[..cut].to_vec());
        assert_eq!(record::named(&file[..cut]), (whole > 0).then_some(heading(1).id));
        let Some(record) = whole.checked_sub(1).map(|place| &records[place]) else {
            assert!(found.is_err(), "nothing to recover at {cut}");
            continue;
        };
        let found = found.unwrap();
        assert_eq!(
            (found.valid_len, found.head),
            (ends[whole] as u64, record.head),
            "cut at {cut}"
        );
        assert_eq!(found.stopped, None);
        let seqs = entries(&file[..cut], From::Seq(Seq(1)));
        assert_eq!(seqs.len() as u64, record.head.seq.0);
    }
}

#[test]
fn after_a_crash_the_chain_goes_on_with_a_gap_and_verifies() {
    let keys = [seal_key().verifying_key().to_bytes()];
    let records = write(&heading(1), node_key(), &story(), None);
    for cut in [1, 2, records.len() / 2, records.len()] {
        let mut file = join(&records[..cut]);
        file.extend_from_slice(&[1, 2, 3]);
        let mut tail = scan(&file).unwrap();
        file.truncate(tail.valid_len as usize);
        tail.resume_at = tail.last_at + 7_000;
        let gap = Gap { cause: GapCause::Crash, bytes: None, entries: None, ms: 7_000 };
        let (last_at, seq) = (tail.last_at, tail.head.seq);
        let mut writer = Writer::resume(tail, node_key(), Tick(9));
        assert_eq!(writer.handle(Entry::Gap(gap.clone()), Tick(9)), seq.next());
        writer.end(Ending::Crashed, Tick(9));
        while let Some(sealed) = writer.poll() {
            file.extend_from_slice(&sealed.bytes);
        }
        let report = verify(&file, &keys, &mut |_| {});
        assert_eq!((report.verdict, report.ending), (Verdict::Unsealed, Some(Ending::Crashed)));
        let found = entries(&file, From::Seq(seq.next()));
        assert_eq!((found[0].at, &found[0].entry), (last_at + 7_000, &Entry::Gap(gap)));
    }
}

#[test]
fn a_crash_between_the_ending_and_its_signature_is_mended_without_a_second_ending() {
    let records = write(&heading(1), node_key(), &story(), Some(Ending::Exit { status: 4 }));
    let file = join(&records[..records.len() - 1]);
    let tail = scan(&file).unwrap();
    assert_eq!((tail.ended.clone(), tail.finished), (Some(Ending::Exit { status: 4 }), false));
    let mut writer = Writer::resume(tail, node_key(), Tick(1));
    writer.end(Ending::Crashed, Tick(1));
    let last = writer.poll().unwrap();
    assert!(last.last && writer.poll().is_none());
    assert_eq!(last.bytes, records.last().unwrap().bytes);
    let mut done = Writer::resume(scan(&join(&records)).unwrap(), node_key(), Tick(1));
    done.end(Ending::Crashed, Tick(1));
    assert_eq!((done.poll(), done.poll_timeout()), (None, None));
}

#[test]
fn a_live_file_is_followed_as_it_grows() {
    let records = write(&heading(1), node_key(), &story(), Some(Ending::Exit { status: 0 }));
    let mut recording = Recording::open(records[0].bytes.to_vec()).unwrap();
    let mut next = Seq(1);
    let mut seen = Vec::new();
    for record in &records[1..] {
        let (front, back) = record.bytes.split_at(10);
        recording.source_mut().extend_from_slice(front);
        assert!(!recording.refresh(), "half a record is none");
        recording.source_mut().extend_from_slice(back);
        assert!(recording.refresh());
        for entry in recording.entries(From::Seq(next)) {
            seen.push(entry.unwrap());
        }
        next = recording.last_seq().next();
    }
    assert_eq!(seen, entries(&join(&records), From::Seq(Seq(1))));
    assert_eq!(recording.ending(), Some(&Ending::Exit { status: 0 }));
}

#[test]
fn long_output_is_split_and_nothing_is_taken_behind_the_end() {
    let mut writer = Writer::begin(&heading(1), node_key(), Tick(0));
    let bytes = Bytes::from(vec![b'x'; ENTRY_BYTES * 2 + 1]);
    assert_eq!(writer.handle(Entry::Output { stream: Stream::Stdout, bytes }, Tick(1)), Seq(3));
    let typed =
        Entry::Typed { party: Party(1), count: 40_000, bytes: Some(vec![b'y'; 40_000].into()) };
    assert_eq!(writer.handle(typed, Tick(1)), Seq(5));
    writer.end(Ending::Disconnected, Tick(2));
    assert_eq!(writer.handle(output("late"), Tick(3)), Seq(6));
    let mut file = Vec::new();
    while let Some(sealed) = writer.poll() {
        file.extend_from_slice(&sealed.bytes);
    }
    let lengths: Vec<_> = entries(&file, From::Seq(Seq(1)))
        .iter()
        .map(|stamped| match &stamped.entry {
            Entry::Output { bytes, .. } => bytes.len(),
            Entry::Typed { bytes, count, .. } => {
                assert_eq!(bytes.as_ref().unwrap().len(), *count as usize);
                *count as usize
            }
            _ => 0,
        })
        .collect();
    assert_eq!(lengths, [ENTRY_BYTES, ENTRY_BYTES, 1, ENTRY_BYTES, 40_000 - ENTRY_BYTES, 0]);
}

#[test]
fn a_long_burst_keeps_the_count_of_what_was_typed_unseen() {
    let mut writer = Writer::begin(&heading(1), node_key(), Tick(0));
    let (shown, hidden) = (ENTRY_BYTES * 2 + 1, 40);
    let (count, bytes) = ((shown + hidden) as u32, Some(vec![b'y'; shown].into()));
    let typed = Entry::Typed { party: Party(1), count, bytes };
    assert_eq!(writer.handle(typed, Tick(1)), Seq(3));
    writer.end(Ending::Disconnected, Tick(2));
    let mut file = Vec::new();
    while let Some(sealed) = writer.poll() {
        file.extend_from_slice(&sealed.bytes);
    }
    let parts: Vec<_> = entries(&file, From::Seq(Seq(1)))
        .iter()
        .filter_map(|stamped| match &stamped.entry {
            Entry::Typed { bytes: Some(bytes), count, .. } => Some((bytes.len(), *count as usize)),
            _ => None,
        })
        .collect();
    assert_eq!(parts, [(ENTRY_BYTES, ENTRY_BYTES + hidden), (ENTRY_BYTES, ENTRY_BYTES), (1, 1)]);
}

#[test]
fn time_that_goes_back_is_held_and_an_idle_writer_asks_for_nothing() {
    let mut writer = Writer::begin(&heading(1), node_key(), Tick(1_000));
    writer.handle(output("a"), Tick(1_500));
    writer.handle(output("b"), Tick(1_200));
    while let Some(due) = writer.poll_timeout() {
        writer.handle_timeout(due);
    }
    let mut file = Vec::new();
    while let Some(sealed) = writer.poll() {
        file.extend_from_slice(&sealed.bytes);
    }
    let times: Vec<_> = entries(&file, From::Ms(0)).iter().map(|stamped| stamped.at).collect();
    assert_eq!(times, [500, 500]);
}

#[test]
fn a_repeating_stream_is_packed_small() {
    let story: Vec<_> = (0..3_000u64)
        .map(|n| {
            (
                200,
                output(&format!(
                    "drwxr-xr-x 2 root root 4096 Nov 23 10:{:02} file-{n}\r\n",
                    n % 60
                )),
            )
        })
        .collect();
    let raw: usize = story
        .iter()
        .map(|(_, entry)| match entry {
            Entry::Output { bytes, .. } => bytes.len(),
            _ => 0,
        })
        .sum();
    let file = join(&write(&heading(1), node_key(), &story, Some(Ending::Exit { status: 0 })));
    let ratio = file.len() as f64 / raw as f64;
    println!("raw {raw}, file {}, ratio {ratio:.3}", file.len());
    assert!(ratio < 0.45, "{ratio}");
}

/// Where groups begin among the DATA records of a story.
fn groups(story: &[(u64, Entry)]) -> Vec<bool> {
    let records = write(&heading(1), node_key(), story, Some(Ending::Exit { status: 0 }));
    let data = records.iter().skip(1).filter(|record| record.bytes[4] == 2);
    data.map(|record| record.bytes[5] & 8 != 0).collect()
}

#[test]
fn a_group_lasts_while_something_comes_and_at_most_five_minutes() {
    let busy: Vec<_> = (0..200).map(|n| (2_000, output(&format!("line {n}\r\n")))).collect();
    let begun = groups(&busy);
    assert_eq!(begun.iter().filter(|begins| **begins).count(), 2, "400 s are two groups");
    let quiet = [(0, output("a")), (29_000, output("b")), (32_000, output("c"))];
    assert_eq!(groups(&quiet), [true, false, true], "what was quiet for half a minute was closed");
}

#[test]
fn a_flood_is_packed_for_speed_and_what_comes_slowly_is_packed_well() {
    let mut dice = kit::Dice(7);
    let mut line = || {
        let words: Vec<String> = (0..40).map(|_| format!("w{:x}", dice.below(60))).collect();
        output(&(words.join(" ") + "\r\n"))
    };
    let lines: Vec<Entry> = (0..8_000).map(|_| line()).collect();
    let size = |pause: u64| {
        let story: Vec<_> = lines.iter().map(|line| (pause, line.clone())).collect();
        join(&write(&heading(1), node_key(), &story, Some(Ending::Exit { status: 0 }))).len()
    };
    let (flood, slow) = (size(0), size(1));
    assert!(flood > slow + slow / 50, "{flood} and {slow} bytes");
}

#[test]
fn a_screen_that_no_record_can_hold_is_not_asked_for_again_nor_one_behind_the_end() {
    let mut writer = Writer::begin(&heading(1), node_key(), Tick(0));
    writer.handle(output("a"), Tick(0));
    writer.flush(Tick(0));
    writer.handle(output("b"), Tick(60_000));
    writer.flush(Tick(60_000));
    assert!(writer.wants_keyframe().is_some());
    let dump = Bytes::from(vec![b'x'; model::limit::RECORD_UNPACKED_BYTES + 1]);
    let seq = writer.last_seq();
    writer.keyframe(record::Keyframe { seq, at: 0, size: Size::default(), dump }, Tick(60_000));
    assert_eq!(writer.wants_keyframe(), None, "it would be made and dropped without end");
    writer.handle(output("c"), Tick(120_000));
    writer.end(Ending::Crashed, Tick(120_000));
    assert_eq!(writer.wants_keyframe(), None, "nothing is taken behind the end");
}

#[test]
fn an_unknown_record_that_may_be_skipped_is_skipped_and_another_is_not() {
    let file = sealed(1);
    let keys = [seal_key().verifying_key().to_bytes()];
    for (flags, verdict) in [(3u8, Verdict::Unsealed), (1, Verdict::Broken)] {
        let cut = kit::pieces(&file);
        let mut later = Vec::new();
        later.extend_from_slice(&5u32.to_le_bytes());
        later.extend_from_slice(&[200, flags, 0, 0]);
        later.extend_from_slice(&0u64.to_le_bytes());
        let payload = blake3::hash(b"hello");
        let digest = blake3::Hasher::new().update(&later).update(payload.as_bytes()).finalize();
        later.extend_from_slice(&digest.as_bytes()[..8]);
        later.extend_from_slice(b"hello");
        let mut bytes = cut[..3].concat();
        bytes.extend(later);
        bytes.extend(cut[3..cut.len() - 2].concat());
        let report = verify(&bytes, &keys, &mut |_| {});
        assert_eq!(report.verdict, verdict, "{report}");
    }
}

#[test]
fn a_source_says_how_long_it_is() {
    let bytes = vec![1u8, 2, 3];
    assert_eq!(
        (Source::len(&bytes), bytes.read_at(2, 9), bytes.read_at(9, 1)),
        (3, Ok(vec![3]), Ok(vec![]))
    );
}

fn any_entry() -> impl Strategy<Value = Entry> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..300).prop_map(Bytes::from);
    let stream =
        prop::sample::select(vec![Stream::Pty, Stream::Stdout, Stream::Stderr, Stream::Stdin]);
    prop_oneof![
        6 => (stream.clone(), bytes()).prop_map(|(stream, bytes)| Entry::Output { stream, bytes }),
        2 => (any::<u16>(), any::<u32>(), prop::option::of(bytes())).prop_map(|(party, count, bytes)| {
            Entry::Typed { party: Party(party), count, bytes }
        }),
        1 => (any::<u32>(), any::<u32>()).prop_map(|(c, r)| Entry::Resize(Size::clamped(c, r))),
        1 => "[a-z]{0,20}".prop_map(|label| Entry::Mark { label }),
        1 => (stream, any::<u64>(), any::<[u8; 32]>())
            .prop_map(|(stream, bytes, hash)| Entry::Elided { stream, bytes, hash }),
        1 => any::<bool>().prop_map(|granted| Entry::Service { name: "x11-req".into(), granted }),
        1 => ("[a-z/:0-9]{0,40}", any::<u64>()).prop_map(|(target, id)| {
            Entry::Forward(Forward::Opened { id, what: Forwarding::X11, target, by: "uid 0".into() })
        }),
        1 => any::<[u64; 4]>().prop_map(|[id, sent, received, ms]| {
            Entry::Forward(Forward::Closed { id, sent, received, ms, result: "closed".into() })
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(60) })]

    #[test]
    fn any_entries_come_back_in_order(story in prop::collection::vec((0u64..4_000, any_entry()), 0..120)) {
        check_story(&story);
    }

    #[test]
    fn no_bytes_make_a_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..400), keep in 0usize..4000) {
        let mut file = sealed(1);
        file.truncate(keep);
        file.extend_from_slice(&bytes);
        let _ = scan(&file);
        let report = verify(&file, &[], &mut |_| {});
        prop_assert!(!report.to_string().is_empty());
        if let Ok(recording) = Recording::open(file) {
            let _ = recording.entries(From::Ms(0)).count();
            let _ = recording.keyframe_at(u64::MAX);
        }
    }
}

//! What a session may do as its recording stands: the rulings on `strict` and `spool`, one by one.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests fail loudly")]

mod kit;

use bytes::Bytes;
use kit::{heading, node_key};
use model::entry::{Ending, Entry, GapCause, Stream};
use model::limit::{
    ENTRY_BYTES, HELD_BYTES, HELD_STALL_MS, STRICT_END_MS, STRICT_LAG_BYTES, STRICT_LAG_MS,
};
use model::{Seq, Tick};
use record::{Act, Bounds, Cause, Custody, Next, Notice, Room, Stance, Why};

/// A disk that takes what the room it is given allows.
struct Disk {
    takes: fn(Room) -> Result<(), Cause>,
    probe: Result<(), Cause>,
}

const GOOD: Disk = Disk { takes: |_| Ok(()), probe: Ok(()) };
const FULL: Disk = Disk { takes: |_| Err(Cause::Full), probe: Err(Cause::Full) };
const RESERVE: Disk = Disk {
    takes: |room| if room == Room::Free { Err(Cause::Full) } else { Ok(()) },
    probe: Err(Cause::Full),
};

fn begin(strict: bool) -> Custody {
    let mut custody =
        Custody::begin(&heading(1), node_key(), strict, Ok(()), Bounds::USUAL, Tick(0));
    act(&mut custody, &GOOD, 0);
    custody
}

fn act(custody: &mut Custody, disk: &Disk, now: u64) -> Vec<Notice> {
    let mut told = Vec::new();
    while let Some(act) = custody.poll() {
        match act {
            Act::Append { room, .. } => custody.appended((disk.takes)(room), Tick(now)),
            Act::Probe => custody.probed(disk.probe, Tick(now)),
            Act::Tell(notice) => told.push(notice),
        }
    }
    told
}

/// Bytes that nothing makes smaller.
fn noise(len: usize, seed: u64) -> Entry {
    let mut dice = kit::Dice(seed | 1);
    let bytes: Vec<u8> = (0..len).map(|_| dice.below(256) as u8).collect();
    Entry::Output { stream: Stream::Pty, bytes: Bytes::from(bytes) }
}

fn after(custody: &mut Custody, disk: &Disk, now: u64) -> Stance {
    custody.handle_timeout(Tick(now));
    act(custody, disk, now);
    custody.stance(Tick(now))
}

#[test]
fn strict_waits_at_a_mebibyte_or_five_seconds_and_ends_at_thirty() {
    let end = Stance::End(Why::NotReceived);
    for (bytes, ms, expected) in [
        (1, STRICT_LAG_MS, Stance::GoOn),
        (1, STRICT_LAG_MS + 1, Stance::Hold),
        (STRICT_LAG_BYTES, 0, Stance::GoOn),
        (STRICT_LAG_BYTES + 1, 0, Stance::Hold),
        (STRICT_LAG_BYTES + 1, STRICT_END_MS, Stance::Hold),
        (1, STRICT_END_MS + 1, end),
    ] {
        let mut custody = begin(true);
        custody.received(1, Tick(0));
        let mut zeros = Bytes::from(vec![0; usize::try_from(bytes).unwrap()]);
        while !zeros.is_empty() {
            let bytes = zeros.split_to(zeros.len().min(ENTRY_BYTES));
            custody.take(Entry::Output { stream: Stream::Pty, bytes }, Tick(0));
        }
        act(&mut custody, &GOOD, 0);
        assert_eq!(after(&mut custody, &GOOD, ms), expected, "{bytes} bytes after {ms} ms");
        custody.received(u64::MAX, Tick(ms));
        assert_eq!(custody.stance(Tick(ms)), Stance::GoOn, "received: {bytes} bytes, {ms} ms");
    }
}

#[test]
fn the_looks_that_strict_needs_are_asked_for() {
    let mut custody = begin(true);
    custody.received(1, Tick(0));
    custody.take(noise(10, 1), Tick(0));
    let mut now = 0;
    let mut seen = Vec::new();
    while !matches!(custody.stance(Tick(now)), Stance::End(_)) {
        now = custody.poll_timeout().unwrap().0.max(now);
        let stance = after(&mut custody, &GOOD, now);
        if seen.last().is_none_or(|(_, last)| *last != stance) {
            seen.push((now, stance));
        }
    }
    let changes: Vec<_> = seen.iter().map(|(at, _)| *at).skip(1).collect();
    assert_eq!(changes, [STRICT_LAG_MS + 1, STRICT_END_MS + 1], "{seen:?}");
}

#[test]
fn a_disk_that_takes_nothing_ends_a_strict_session_and_no_other() {
    for cause in [Cause::Full, Cause::Failed] {
        let disk = match cause {
            Cause::Full => FULL,
            Cause::Failed => Disk { takes: |_| Err(Cause::Failed), probe: Err(Cause::Failed) },
        };
        for (strict, expected) in [(true, Stance::End(Why::Disk(cause))), (false, Stance::GoOn)] {
            let mut custody = begin(strict);
            custody.take(noise(10, 1), Tick(0));
            custody.handle_timeout(Tick(1_000));
            assert_eq!(act(&mut custody, &disk, 1_000), [Notice::Refused(cause)]);
            assert_eq!(custody.stance(Tick(1_000)), expected);
        }
    }
}

#[test]
fn without_a_disk_records_are_shipped_from_memory_and_their_hole_is_linked() {
    let mut custody = begin(false);
    custody.received(1, Tick(0));
    custody.take(noise(10, 1), Tick(0));
    after(&mut custody, &FULL, 1_000);
    assert!(matches!(custody.holdings().next(1), Next::Memory(_)));
    assert_eq!(custody.wants_keyframe(), None);
    custody.received(2, Tick(1_001));
    assert_eq!((custody.held_bytes(), custody.holdings().next(2)), (0, Next::UpToDate));
    let told = {
        custody.handle_timeout(Tick(2_000));
        act(&mut custody, &GOOD, 2_000)
    };
    assert_eq!(told, [Notice::Back]);
    custody.take(noise(10, 2), Tick(2_000));
    after(&mut custody, &GOOD, 3_000);
    let holdings = custody.holdings();
    assert_eq!(holdings.runs.iter().map(|run| run.first).collect::<Vec<_>>(), [1, 3]);
    assert_eq!(holdings.next(2), Next::File(holdings.runs[1]));
}

#[test]
fn a_gap_is_opened_when_nothing_takes_records_and_counts_exactly() {
    let mut custody = begin(false);
    custody.received(1, Tick(0));
    custody.take(noise(10, 1), Tick(0));
    after(&mut custody, &FULL, 1_000);
    let mut number = 2;
    while custody.held_bytes() < HELD_BYTES {
        custody.take(noise(8_000, number), Tick(1_000));
        act(&mut custody, &FULL, 1_000);
        number += 1;
    }
    assert_eq!(custody.stance(Tick(1_000)), Stance::Hold, "auth may still take it");
    custody.handle_timeout(Tick(HELD_STALL_MS));
    let told = act(&mut custody, &FULL, HELD_STALL_MS);
    custody.handle_timeout(Tick(HELD_STALL_MS + 1));
    let told = [told, act(&mut custody, &FULL, HELD_STALL_MS + 1)].concat();
    assert_eq!(told, [Notice::GapOpened(Cause::Full)], "the reserve is refused, too");
    assert_eq!(custody.stance(Tick(HELD_STALL_MS + 1)), Stance::GoOn);
    let before = custody.take(noise(10, 100), Tick(6_000));
    assert_eq!(custody.take(noise(20, 101), Tick(7_000)), before, "no entry of a gap has a Seq");
    assert_eq!(custody.in_gap(), Some((2, 30)));
    custody.received(u64::MAX, Tick(8_000));
    let told = act(&mut custody, &FULL, 8_000);
    let [Notice::GapClosed(gap)] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!((gap.cause, gap.entries, gap.bytes), (GapCause::DiskFull, Some(2), Some(30)));
    assert_eq!(custody.take(noise(10, 102), Tick(8_000)), before.next().next());
}

#[test]
fn the_reserve_is_used_before_a_gap_is_opened_and_keeps_the_end() {
    let mut custody = begin(false);
    custody.received(1, Tick(0));
    for number in 0..40 {
        let now = number * 1_000;
        custody.take(noise(8_000, number), Tick(now));
        assert_ne!(after(&mut custody, &RESERVE, now), Stance::Hold, "entry {number}");
    }
    assert_eq!(custody.in_gap(), None, "as long as the reserve takes it");
    custody.end(Ending::Exit { status: 0 }, Tick(40_000));
    let told = act(&mut custody, &RESERVE, 40_000);
    assert!(told.is_empty(), "{told:?}");
    let holdings = custody.holdings();
    assert!(holdings.ended && holdings.memory.is_empty() && holdings.runs.len() == 1);
    assert!(matches!(holdings.next(1), Next::File(_)));
    assert_eq!(custody.take(noise(1, 1), Tick(50_000)), Seq(41), "nothing behind the end");
}

//! Tests of the outbox.

use super::*;

fn open(dir: &Path) -> Outbox {
    Outbox::open(dir).unwrap()
}

fn small(dir: &Path, most: u64, memory: u64) -> Outbox {
    Outbox::with_bounds(dir, Bounds { most, memory, aside: 1000 }).unwrap()
}

fn event(n: u64) -> String {
    format!("{{\"n\":{n}}}")
}

fn lost(count: u64) -> String {
    format!("{{\"lost\":{count}}}")
}

#[track_caller]
fn put(outbox: &Outbox, numbers: std::ops::RangeInclusive<u64>) {
    for n in numbers {
        assert_eq!(outbox.put(&event(n), lost), Put::Kept, "{n}");
    }
}

/// Everything that waits, as auth would take it: by run and number, each once.
fn drain(outbox: &Outbox) -> Vec<String> {
    let mut all = Vec::new();
    while let Some(batch) = outbox.next(7) {
        assert_eq!(outbox.next(7).as_ref(), Some(&batch), "the same until it is taken");
        all.extend(batch.events.iter().cloned());
        outbox.taken(&batch);
    }
    all
}

fn events(numbers: std::ops::RangeInclusive<u64>) -> Vec<String> {
    numbers.map(event).collect()
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<_> = entries.filter(|path| run_name(path).is_some()).collect();
    found.sort();
    found
}

/// As `kill -9` leaves it: nothing is tidied up.
fn kill(outbox: Outbox) {
    let _: &'static mut Outbox = Box::leak(Box::new(outbox));
}

#[test]
fn what_was_put_is_there_after_a_kill_under_the_same_run_and_number() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path());
    put(&outbox, 1..=10);
    let first = outbox.next(4).unwrap();
    assert_eq!((first.first, first.events.len()), (1, 4));
    outbox.taken(&first);
    let second = outbox.next(100).unwrap();
    assert_eq!((second.first, &second.run), (5, &first.run));
    kill(outbox);

    let outbox = open(dir.path());
    put(&outbox, 11..=12);
    assert_eq!(outbox.waiting(), 12);
    let again = outbox.next(100).unwrap();
    assert_eq!((again.first, &again.run, again.events.len()), (1, &first.run, 10));
    outbox.taken(&again);
    let new = outbox.next(100).unwrap();
    assert_eq!((new.first, &new.events), (1, &events(11..=12)));
    assert_ne!(new.run, first.run);
    outbox.taken(&new);
    assert_eq!((outbox.next(100), outbox.waiting()), (None, 0));
    drop(outbox);
    assert!(files(dir.path()).is_empty(), "what auth has is not sent again");
}

#[test]
fn a_long_queue_lies_in_several_files_that_go_one_by_one() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path());
    let long = |n: u64| format!("{{\"n\":{n},\"text\":\"{}\"}}", "x".repeat(100_000));
    for n in 0..20 {
        assert_eq!(outbox.put(&long(n), lost), Put::Kept);
    }
    let before = files(dir.path()).len();
    assert!(before >= 6, "{before}");
    let batch = outbox.next(1000).unwrap();
    assert_eq!(batch.events.len(), 2, "a batch has an end");
    outbox.taken(&batch);
    let rest = drain(&outbox);
    assert_eq!(rest, (2..20).map(long).collect::<Vec<_>>());
    put(&outbox, 1..=1);
    assert_eq!(files(dir.path()).len(), 1);
    assert_eq!(drain(&outbox), events(1..=1));
}

#[test]
fn a_full_queue_counts_and_tells_when_there_is_room_also_after_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = small(dir.path(), 2000, 1000);
    let mut kept = 0;
    while outbox.put(&event(kept + 1), lost) == Put::Kept {
        kept += 1;
    }
    assert_eq!(outbox.put(&event(0), lost), Put::Lost);
    kill(outbox);
    let outbox = small(dir.path(), 2000, 1000);
    assert_eq!(outbox.put(&event(0), lost), Put::Lost);
    assert_eq!(drain(&outbox), events(1..=kept));
    outbox.own_up(lost);
    outbox.own_up(lost);
    put(&outbox, 7..=7);
    assert_eq!(drain(&outbox), [lost(3), event(7)]);
    kill(outbox);
    let outbox = small(dir.path(), 2000, 1000);
    put(&outbox, 8..=8);
    assert_eq!(drain(&outbox), [lost(3), event(7), event(8)], "sent again, not told again");
}

#[test]
fn what_is_torn_or_altered_is_counted_and_nothing_behind_it_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path());
    put(&outbox, 1..=5);
    kill(outbox);
    let path = files(dir.path()).remove(0);
    let text = std::fs::read_to_string(&path).unwrap();
    let altered = text.replace("{\"n\":2}", "{\"n\":9}").replace("{\"n\":3}", "{\"n\":\u{e9}");
    std::fs::write(&path, altered + "6 00aa {\"n\"").unwrap();
    let outbox = open(dir.path());
    assert_eq!(outbox.waiting(), 6);
    let first = outbox.next(100).unwrap();
    assert_eq!((first.first, &first.events), (1, &events(1..=1)));
    outbox.taken(&first);
    let behind = outbox.next(100).unwrap();
    assert_eq!((behind.first, &behind.events, &behind.run), (4, &events(4..=5), &first.run));
    outbox.taken(&behind);
    assert_eq!(outbox.next(100), None);
    put(&outbox, 7..=7);
    assert_eq!(drain(&outbox), [lost(3), event(7)]);
}

#[test]
fn every_cut_of_a_file_leaves_the_whole_lines_before_it() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path());
    put(&outbox, 1..=3);
    kill(outbox);
    let path = files(dir.path()).remove(0);
    let whole = std::fs::read(&path).unwrap();
    for cut in 0..whole.len() {
        std::fs::write(&path, &whole[..cut]).unwrap();
        let lines = whole[..cut].iter().filter(|byte| **byte == b'\n').count() as u64;
        let torn = cut > 0 && whole[cut - 1] != b'\n';
        let outbox = open(dir.path());
        assert_eq!(outbox.waiting(), lines + u64::from(torn), "cut at {cut}");
        assert_eq!(drain(&outbox), events(1..=lines), "cut at {cut}");
        outbox.own_up(lost);
        let told = if torn { vec![lost(1)] } else { Vec::new() };
        assert_eq!(drain(&outbox), told, "cut at {cut}");
    }
}

#[test]
fn without_a_disk_events_wait_in_memory_and_are_written_when_there_is_one() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("events");
    let outbox = small(&place, 10_000, 1000);
    put(&outbox, 1..=3);
    // Away altogether: no file can be made. The file that is open goes on until another must be begun.
    assert_eq!(drain(&outbox), events(1..=3));
    std::fs::rename(&place, dir.path().join("away")).unwrap();
    outbox.0.lock().unwrap().growing = false;
    let mut kept = 0;
    while outbox.put(&event(kept + 1), lost) == Put::Kept {
        kept += 1;
    }
    assert!((10..100).contains(&kept), "{kept}");
    assert!(outbox.tend().is_err());
    let given = outbox.next(5).unwrap();
    std::fs::rename(dir.path().join("away"), &place).unwrap();
    outbox.tend().unwrap();
    // What was on its way when it was written down keeps its number.
    outbox.taken(&given);
    put(&outbox, 7..=7);
    let next = outbox.next(1).unwrap();
    assert_eq!((next.first, &next.run, &next.events), (6, &given.run, &events(6..=6)));
    kill(outbox);
    let outbox = small(&place, 10_000, 1000);
    let before = outbox.next(10).unwrap();
    assert_eq!(before.events, events(1..=3), "of the run before");
    outbox.taken(&before);
    let again = outbox.next(1).unwrap();
    assert_eq!((again.first, &again.run), (1, &given.run));
    let rest = drain(&outbox);
    assert_eq!(rest[..rest.len() - 2], events(1..=kept));
    assert_eq!(rest[rest.len() - 2..], [lost(1), event(7)]);
}

#[test]
fn what_auth_refuses_is_set_aside_and_blocks_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = small(dir.path(), 10_000, 1000);
    put(&outbox, 1..=2);
    let one = outbox.next(1).unwrap();
    assert!(outbox.refused(&one, "not known"));
    assert_eq!(drain(&outbox), events(2..=2));
    let aside = std::fs::read_to_string(outbox.aside()).unwrap();
    assert_eq!(aside, "{\"event\":{\"n\":1},\"why\":\"not known\"}\n");
    let long = format!("\"{}\"", "x".repeat(limit::EVENT_BYTES));
    assert_eq!(outbox.put(&long, lost), Put::TooLong);
    put(&outbox, 3..=3);
    let one = outbox.next(1).unwrap();
    assert!(!outbox.refused(&one, &"w".repeat(2000)), "there is a bound to it");
    assert_eq!(outbox.next(1), None);
}

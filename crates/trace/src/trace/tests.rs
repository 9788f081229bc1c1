//! On records that a kernel wrote (Linux 6.18, x86-64), on some made by hand, and on broken ones.

use super::*;
use crate::layout::length;
use model::kernel::Class;
use model::scope::{FileFilter, NetworkFilter};

const PROGRAMS: &[u8] = include_bytes!("recorded/programs.bin");
const FILES: &[u8] = include_bytes!("recorded/files.bin");

fn records(bytes: &[u8]) -> Vec<Vec<u8>> {
    let (mut all, mut rest) = (Vec::new(), bytes);
    while let Some(length) = length(rest) {
        all.push(rest[..length].to_vec());
        rest = &rest[length..];
    }
    assert!(rest.is_empty());
    all
}

/// Everything that comes of these records, read at one moment.
fn traced(records: &[Vec<u8>]) -> Vec<Traced> {
    let began = records.first().and_then(|it| Whole(it).u64(8)).unwrap_or_default();
    let mut trace = Trace::new(Arch::X86_64, began);
    for record in records {
        trace.handle(record, Tick(0));
    }
    trace.finish(Tick(0));
    std::iter::from_fn(|| trace.poll()).collect()
}

fn events(records: &[Vec<u8>]) -> Vec<KernelEvent> {
    let only = |traced| match traced {
        Traced::Did(event) => *event,
        other => panic!("{other:?}"),
    };
    traced(records).into_iter().map(only).collect()
}

/// One line for each event.
fn check(bytes: &[u8], wanted: &str) {
    let lines = events(&records(bytes)).into_iter().map(|event| {
        let Doer { name, uid, .. } = &event.by;
        format!("{name} ({uid}) {event}\n")
    });
    // How long a process was there differs from machine to machine, and this is what one of them wrote.
    assert_eq!(lines.collect::<String>(), wanted);
}

#[test]
fn programs_that_a_kernel_saw_are_read() {
    check(PROGRAMS, include_str!("recorded/programs.txt"));
}

#[test]
fn files_and_connections_that_a_kernel_saw_are_read() {
    check(FILES, include_str!("recorded/files.txt"));
}

#[test]
fn a_process_is_told_with_who_began_it_though_that_one_has_gone() {
    let mut all = records(PROGRAMS);
    for record in &mut all {
        // As if everybody had been taken over by the machine's first process.
        record[40..44].copy_from_slice(&1_u32.to_le_bytes());
    }
    let all = events(&all);
    let of = |line: &str| {
        all.iter().find(|it| matches!(&it.action, Action::Ran(it) if it.line() == line)).unwrap()
    };
    assert_eq!(of("id -u").by.parent, of("sh").by.process);
    assert_eq!(of("uname -r").by.parent, of("sh").by.process);
}

/// A program with so many bytes of arguments in its record and so many announced; then records of more.
fn program(given: usize, total: usize, more: &[(u32, usize)]) -> Vec<Vec<u8>> {
    let head = |kind: u8, length: usize| {
        let mut head = vec![0; HEAD];
        head[0] = kind;
        head[4..8].copy_from_slice(&u32::try_from(length).unwrap().to_le_bytes());
        head
    };
    let number = |value: usize| u32::try_from(value).unwrap().to_le_bytes();
    let mut first = head(kind::EXEC, 128 + given);
    first.resize(128, 0);
    first[76..80].copy_from_slice(&number(total));
    first[80..84].copy_from_slice(&number(given));
    first.extend(std::iter::repeat_n(b'a', given));
    let mut all = vec![first];
    for (index, bytes) in more {
        let mut record = head(kind::ARGUMENTS, HEAD + 8 + bytes);
        record.extend_from_slice(&index.to_le_bytes());
        record.extend_from_slice(&number(*bytes));
        record.extend(std::iter::repeat_n(b'b', *bytes));
        all.push(record);
    }
    all
}

#[test]
fn arguments_are_whole_or_say_how_many_bytes_are_missing() {
    let check = |records: &[Vec<u8>], kept: u32, bytes: u32| {
        let all = events(records);
        let Action::Ran(program) = &all[0].action else { panic!("{:?}", all[0]) };
        assert_eq!((program.kept, program.bytes), (kept, bytes));
        let more = all.iter().map(|it| match &it.action {
            Action::Ran(program) => &program.arguments,
            Action::Arguments { arguments, .. } => arguments,
            other => panic!("{other:?}"),
        });
        let sum: usize = more.flatten().map(String::len).sum();
        assert_eq!(sum, kept as usize);
    };
    check(&program(100, 100, &[]), 100, 100);
    check(&program(16_384, 40_000, &[(0, 16_384), (1, 7_232)]), 40_000, 40_000);
    check(&program(16_384, 40_000, &[(0, 16_384)]), 32_768, 40_000);
    check(&program(16_384, 40_000, &[(1, 7_232)]), 16_384, 40_000);
    check(&program(16_384, 40_000, &[]), 16_384, 40_000);
    let chunks: Vec<_> = (0..16).map(|index| (index, 16_384)).collect();
    check(&program(16_384, 1_000_000, &chunks), 17 * 16_384, 1_000_000);
}

#[test]
fn what_was_lost_is_told_once_and_where_it_was_lost() {
    let mut all = records(PROGRAMS);
    for (place, record) in all.iter_mut().enumerate() {
        let lost: u64 = if place >= 5 { 7 } else { 0 };
        record[24..32].copy_from_slice(&lost.to_le_bytes());
    }
    let lost: Vec<_> =
        traced(&all).into_iter().filter(|it| matches!(it, Traced::Lost(_))).collect();
    assert_eq!(lost, [Traced::Lost(7)]);
    let mut trace = Trace::new(Arch::X86_64, 0);
    trace.lost(7);
    trace.lost(7);
    trace.lost(6);
    trace.lost(9);
    trace.thrown_away(2);
    trace.thrown_away(2);
    let told: Vec<_> = std::iter::from_fn(|| trace.poll()).collect();
    assert_eq!(told, [Traced::Lost(7), Traced::Lost(2), Traced::Lost(2)]);
}

#[test]
fn a_line_through_the_records_loses_nothing_and_what_follows_has_a_time_of_its_own() {
    let second: u64 = 1_000_000_000;
    let mut all = program(16_384, 20_000, &[(0, 3_616)]);
    for (record, at) in all.iter_mut().zip([5 * second, 5 * second]) {
        record[8..16].copy_from_slice(&at.to_le_bytes());
    }
    let mut child = records(PROGRAMS).into_iter().find(|it| it[0] == kind::FORK).unwrap();
    child[72..76].copy_from_slice(&777_u32.to_le_bytes());
    let beginner = Whole(&child).u32(32).unwrap();
    let mut late = records(PROGRAMS).into_iter().find(|it| it[0] == kind::EXIT).unwrap();
    late[32..36].copy_from_slice(&777_u32.to_le_bytes());
    late[8..16].copy_from_slice(&(9 * second).to_le_bytes());
    let mut trace = Trace::new(Arch::X86_64, 2 * second);
    trace.handle(&child, Tick(0));
    trace.handle(&all[0], Tick(0));
    trace.cut();
    assert_eq!(trace.poll(), None, "half a program is told before the line");
    trace.begin(4 * second);
    trace.handle(&all[1], Tick(0));
    trace.handle(&late, Tick(0));
    trace.finish(Tick(0));
    let told: Vec<_> = std::iter::from_fn(|| trace.poll()).collect();
    let [Traced::Did(ran), .., Traced::Did(ended)] = &told[..] else { panic!("{told:?}") };
    let Action::Ran(whole) = &ran.action else { panic!("{ran:?}") };
    assert_eq!((ran.at, whole.kept), (1_000, 20_000));
    assert_eq!((ended.at, ended.by.parent), (5_000, beginner), "who began it is known still");
}

/// What a kernel saw of files and connections, of which only this is wanted: lines, and how much was left out.
fn sifted(records: &[Vec<u8>], scope: &Scope) -> (Vec<String>, LeftOut) {
    let mut trace = Trace::new(Arch::X86_64, 0).within(scope.clone());
    for record in records {
        trace.handle(record, Tick(0));
    }
    trace.finish(Tick(0));
    let told = std::iter::from_fn(|| trace.poll());
    let lines = told.map(|traced| match traced {
        Traced::Did(event) => format!("{} × {}", event.action, event.times),
        other => panic!("{other:?}"),
    });
    (lines.collect(), trace.left_out().unwrap_or_default())
}

#[test]
fn what_roles_do_not_want_is_left_out_and_counted_exactly() {
    let all = records(FILES);
    let (whole, none) = sifted(&all, &Scope::ALL);
    assert_eq!(none, LeftOut::default());
    let times = |lines: &[String]| -> u64 {
        lines.iter().map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
    };
    let filter = FileFilter { under: vec!["/etc".parse().unwrap()], ..FileFilter::default() };
    let scope = Scope { files: vec![filter], network: Vec::new() };
    let (some, left_out) = sifted(&all, &scope);
    assert!(left_out.files > 0 && left_out.network == 0, "{left_out:?}");
    assert_eq!(times(&some) + left_out.files, times(&whole));
    assert!(
        some.iter()
            .all(|line| whole.iter().any(|it| it.split(" × ").next() == line.split(" × ").next()))
    );
    assert!(!some.iter().any(|line| line.starts_with("opened /usr/")), "{some:#?}");
    let filter =
        NetworkFilter { except: vec!["127.0.0.0/8".parse().unwrap()], ..NetworkFilter::default() };
    let scope = Scope { files: Vec::new(), network: vec![filter] };
    let (some, left_out) = sifted(&all, &scope);
    assert!(left_out.network > 0 && left_out.files == 0, "{left_out:?}");
    assert_eq!(times(&some) + left_out.network, times(&whole));
}

#[test]
fn where_something_was_lost_nothing_is_left_out_any_more() {
    let filter = FileFilter { under: vec!["/none".parse().unwrap()], ..FileFilter::default() };
    let scope = Scope { files: vec![filter], network: Vec::new() };
    let mut trace = Trace::new(Arch::X86_64, 0).within(scope);
    trace.lost(1);
    for record in records(FILES) {
        trace.handle(&record, Tick(0));
    }
    trace.finish(Tick(0));
    let told: Vec<_> = std::iter::from_fn(|| trace.poll()).collect();
    assert_eq!(told[..2], [Traced::Lost(1), Traced::Unbound(Unbound::Lost)]);
    assert_eq!(trace.left_out(), Some(LeftOut::default()));
}

#[test]
fn what_is_no_record_counts_as_lost() {
    for bytes in [&b""[..], b"x", &[0; HEAD], &[200; HEAD], &records(FILES)[0][..100]] {
        let mut trace = Trace::new(Arch::X86_64, 0);
        trace.handle(bytes, Tick(0));
        let told: Vec<_> = std::iter::from_fn(|| trace.poll()).collect();
        assert!(told.last().is_some_and(|it| matches!(it, Traced::Lost(_))), "{bytes:?}");
    }
}

#[test]
fn every_event_has_a_class_and_a_line() {
    for event in events(&records(FILES)) {
        assert!(!event.to_string().is_empty());
        assert!([Class::Commands, Class::Files, Class::Network].contains(&event.action.class()));
    }
}

/// A record of a call made by hand: numbers at their places, and what lies behind, each with the place of its length.
fn call(kind: u8, number: u32, numbers: &[(usize, u32)], pieces: &[(usize, &[u8])]) -> Vec<u8> {
    let mut record = vec![0; 200];
    record[0] = kind;
    for (at, value) in [&[(128, number)], numbers].concat() {
        record[at..at + 4].copy_from_slice(&value.to_le_bytes());
    }
    for (at, piece) in pieces {
        record[*at..at + 2].copy_from_slice(&u16::try_from(piece.len()).unwrap().to_le_bytes());
        record.extend_from_slice(piece);
    }
    record
}

#[test]
fn where_a_path_is_mounted_begins_and_who_listens_there_is_told() {
    const RESOLVED: usize = 188;
    const ADDRESS: usize = 190;
    const TEXT: usize = 192;
    const AT: usize = 194;
    let mut born = call(kind::FORK, 0, &[(72, 812), (76, 0x2002_0000)], &[]);
    born.truncate(80);
    let neighbour = [(144, 1), (132, 9), (152, 812), (156, 33), (16, 3), (20, 5)];
    let unix = [(ADDRESS, &b"\x01\0link\0"[..])];
    for (record, wanted) in [
        (call(kind::OPEN, 257, &[(144, 7)], &[(RESOLVED, b"x\0etc\0")]), "opened /etc/x"),
        (call(kind::OPEN, 257, &[(144, 9)], &[(RESOLVED, b"x\0etc\0")]), "opened mnt:[9]/etc/x"),
        (
            call(kind::CHANGE, 87, &[(144, 7)], &[(TEXT, b"/x\0"), (AT, b"jail\0")]),
            "unlink /x in /jail (as passed)",
        ),
        (
            call(kind::CHANGE, 87, &[(144, 9)], &[(TEXT, b"/x\0")]),
            "unlink /x in mnt:[9] (as passed)",
        ),
        (
            call(kind::CHANGE, 87, &[(144, 9)], &[(TEXT, b"x\0"), (AT, b"etc\0")]),
            "unlink x in mnt:[9]/etc (as passed)",
        ),
        (
            call(kind::SOCKET, 42, &neighbour, &[(RESOLVED, b"x.sock\0run\0"), unix[0]]),
            "connect unix:mnt:[9]/run/x.sock, to process 812 (, uid 33) of no recorded session",
        ),
        (
            call(kind::CHANGE, 161, &[(144, 7)], &[(TEXT, b"/link\0"), (AT, b"jail\0")]),
            "chroot /jail",
        ),
        (
            call(kind::CHANGE, 161, &[(144, 7)], &[(TEXT, b".\0"), (AT, b"jail\0")]),
            "chroot . in /jail (as passed)",
        ),
        (call(kind::SOCKET, 42, &neighbour[..1], &unix), "connect unix:link"),
        (call(kind::URING, 16, &[], &unix), "io_uring CONNECT unix:link: under way"),
        (call(kind::SPECIAL, 101, &[(80, 16), (88, 812)], &[]), "ptrace(16, 812, 0) ATTACH"),
        (born, "clone(537001984, 812) mounts, processes"),
    ] {
        let mut trace = Trace::new(Arch::X86_64, 0).in_mounts(Some(7));
        trace.handle(&record, Tick(0));
        trace.finish(Tick(0));
        let Some(Traced::Did(event)) = trace.poll() else { panic!("nothing of {wanted:?}") };
        assert_eq!(event.to_string(), wanted);
    }
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_it_panic_or_grow(
        which in 0_usize..40,
        changes in proptest::collection::vec((0_usize..400, proptest::prelude::any::<u8>()), 0..20),
    ) {
        let mut all = records(FILES);
        all.extend(records(PROGRAMS));
        let place = which % all.len();
        for (at, byte) in changes {
            if let Some(old) = all[place].get_mut(at) {
                *old = byte;
            }
        }
        let many = all.len();
        let texts: usize = all.iter().map(Vec::len).sum();
        let told = traced(&all);
        // No more than one event and one loss for each, but for arguments that are divided.
        proptest::prop_assert!(told.len() <= 2 * many + texts / PORTION + 1);
    }
}

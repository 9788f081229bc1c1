//! What stands in a recording, told in pieces: its lines as a transcript has them, each where it can be seen, and where a
//! text came up.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests fail loudly")]

mod kit;

use bytes::Bytes;
use kit::output;
use kit::streams::{Timed, make};
use model::entry::{Entry, Stream};
use model::{Seq, Size};
use record::cue::Place;
use record::find::Pattern;
use record::lines::{Start, Told, page};
use record::search::{Found, Search};
use record::thumb::{Colour, middle};
use record::{Recording, picture_at, picture_within};

type Film = Recording<Vec<u8>>;

fn recorded(session: impl IntoIterator<Item = Timed>) -> Film {
    Recording::open(make(1, session).file).unwrap()
}

/// Every page from a start on, of so many lines.
fn pages(recording: &Film, start: Start, most: usize) -> Vec<Told> {
    let (mut told, mut start) = (Vec::new(), start);
    loop {
        let page = page(recording, start, most).unwrap();
        assert_eq!(page.damage, None);
        told.extend(page.told);
        // What a request carries is all that is remembered.
        start = Start::After(page.place.to_string().parse().unwrap());
        if !page.more {
            assert_eq!(page.place.seq, recording.last_seq());
            let again = self::page(recording, start, most).unwrap();
            assert!(again.told.is_empty() && !again.more, "told twice: {:?}", again.told);
            return told;
        }
    }
}

fn texts(told: &[Told]) -> Vec<&str> {
    let texts = told.iter().map(|told| match told {
        Told::Line { text, .. } => text.as_str(),
        Told::FullScreen { .. } => "(full screen)",
    });
    texts.collect()
}

/// Each so many milliseconds behind the one before.
fn in_turn(session: impl IntoIterator<Item = Timed>) -> Vec<Timed> {
    let mut at = 0;
    let mut absolute = |(after, entry)| {
        at += after;
        (at, entry)
    };
    session.into_iter().map(&mut absolute).collect()
}

fn numbers() -> Film {
    recorded((0..200).map(|n| (n * 100, output(&format!("line {n}\r\n")))))
}

#[test]
fn every_line_is_told_once_and_stands_on_the_screen_at_its_moment_however_pages_are_cut() {
    let recording = numbers();
    for most in [1, 7, 1000] {
        let told = pages(&recording, Start::After(Place::default()), most);
        let wanted: Vec<String> = (0..200).map(|n| format!("line {n}")).collect();
        assert_eq!(texts(&told), wanted, "by {most}");
        for one in &told {
            let Told::Line { at, seq, text } = one else { panic!("{one:?}") };
            let shown = picture_at(&recording, *at).unwrap().text();
            assert!(shown.contains(text), "{text} at {at}: {shown:?}");
            assert!(seq.0 > 0);
        }
    }
}

#[test]
fn from_a_moment_on_the_first_line_is_the_uppermost_on_the_screen() {
    let told = page(&numbers(), Start::At(10_000), 3).unwrap().told;
    assert_eq!(texts(&told)[0], "line 78");
}

#[test]
fn lines_are_told_as_they_were_read() {
    let long = "x".repeat(100);
    let check = |session: Vec<Timed>, wanted: &[&str]| {
        for most in [1, 100] {
            let told = pages(&recorded(session.clone()), Start::After(Place::default()), most);
            assert_eq!(texts(&told), wanted);
        }
    };
    check(vec![(1, output(&long)), (2, output("\r\nend"))], &[&long, "end"]);
    check(vec![(1, output("a\r\nb\r\n\x1b[2J\x1b[Hc"))], &["a", "b", "c"]);
    let editor = "\x1b[?1049h\x1b[2Jhidden\x1b[?1049l";
    check(
        vec![(1, output("$ vi\r\n")), (2, output(editor)), (3, output("$ "))],
        &["$ vi", "(full screen)", "$"],
    );
    check(vec![(1, output("a\tb\x07"))], &["a       b"]);
}

/// When each was there.
fn times(told: &[Told]) -> Vec<u64> {
    let times = told.iter().map(|told| match told {
        Told::Line { at, .. } | Told::FullScreen { at, .. } => *at,
    });
    times.collect()
}

#[test]
fn lines_are_told_by_time_and_each_at_its_own_however_pages_are_cut() {
    let check = |session: Vec<Timed>, wanted: &[(u64, &str)]| {
        for most in [1, 2, 100] {
            let told =
                pages(&recorded(in_turn(session.clone())), Start::After(Place::default()), most);
            let found: Vec<_> = times(&told).into_iter().zip(texts(&told)).collect();
            assert_eq!(found, wanted, "by {most}");
        }
    };
    let many = |from: u64| (0..30).map(move |n| (100, output(&format!("{}\r\n", from + n))));
    // What stood on the screen before a program took it, what came behind it, and what is pushed out much later.
    let editor = [
        (1, output("before\r\n$ vi\r\n")),
        (1, output("\x1b[?1049h\x1b[2Jhidden")),
        (500, output("more")),
        (500, output("\x1b[?1049l$ ")),
        (200, output("make\r\n")),
    ];
    let mut wanted = vec![(1, "before"), (1, "$ vi"), (2, "(full screen)"), (1202, "$ make")];
    let texts: Vec<String> = (0..30).map(|n| n.to_string()).collect();
    wanted.extend((1..).zip(&texts).map(|(n, text)| (1202 + n * 100, text.as_str())));
    check(editor.into_iter().chain(many(0)).collect(), &wanted);
    // One that does not leave it any more.
    check(
        vec![(1, output("before\r\n$ vi\r\n")), (1, output("\x1b[?1049hhidden")), (7, output("x"))],
        &[(1, "before"), (1, "$ vi"), (2, "(full screen)")],
    );
    // What is drawn over: a row above others that were written before.
    check(
        vec![
            (1, output("up\r\nmiddle\r\nlow")),
            (5, output("\x1b[H\x1b[Kover")),
            (5, output("\x1b[4;1Hend")),
        ],
        &[(1, "middle"), (1, "low"), (6, "over"), (11, "end")],
    );
    // Rows that stayed empty when the screen was cleared, and are pushed out.
    let cleared = [(1, output("old\r\n")), (9, output("\x1b[H\x1b[2J\x1b[24;1Hlast\r\n"))];
    let mut wanted = vec![(1, "old")];
    wanted.extend([(10, ""); 23]);
    wanted.push((10, "last"));
    check(cleared.to_vec(), &wanted);
}

#[test]
fn a_line_keeps_its_moment_when_the_page_before_ended_while_it_stood_there() {
    let session = (0..60).map(|n| (if n == 30 { 90_000 } else { 10 }, output(&format!("{n}\r\n"))));
    let recording = recorded(in_turn(session));
    let whole = pages(&recording, Start::After(Place::default()), 1000);
    assert_eq!(times(&whole)[29..31], [300, 90_300]);
    for most in [1, 7, 20] {
        assert_eq!(pages(&recording, Start::After(Place::default()), most), whole, "by {most}");
    }
}

#[test]
fn no_line_is_lost_or_told_twice_when_the_window_changes() {
    let check = |sizes: &[(u64, u16, u16)], editor: bool| {
        let mut session: Vec<Timed> =
            (0..20).map(|n| (10, output(&format!("line {n} {}\r\n", "x".repeat(60))))).collect();
        session.push((10, output("$ ")));
        if editor {
            session.push((10, output("vi\r\n\x1b[?1049hhidden")));
        }
        for (after, cols, rows) in sizes {
            session.push((*after, Entry::Resize(Size::clamped((*cols).into(), (*rows).into()))));
        }
        if editor {
            session.push((10, output("\x1b[?1049l")));
        }
        session.push((10, output("end\r\n")));
        session.extend((20..40).map(|n| (10, output(&format!("line {n}\r\n")))));
        for most in [1, 100] {
            let told =
                pages(&recorded(in_turn(session.clone())), Start::After(Place::default()), most);
            let found: Vec<&str> =
                texts(&told).into_iter().filter_map(|text| text.strip_prefix("line ")).collect();
            let numbers: Vec<&str> =
                found.iter().map(|text| text.split(' ').next().unwrap_or_default()).collect();
            let wanted: Vec<String> = (0..40).map(|n| n.to_string()).collect();
            assert_eq!(numbers, wanted, "{sizes:?}, editor: {editor}, by {most}: {told:#?}");
            assert!(times(&told).is_sorted(), "{told:?}");
        }
    };
    for editor in [false, true] {
        check(&[(10, 80, 10)], editor);
        check(&[(10, 80, 10), (10, 80, 40)], editor);
        check(&[(10, 40, 24)], editor);
        check(&[(10, 200, 24)], editor);
        check(&[(10, 30, 8), (10, 100, 50), (10, 80, 24)], editor);
    }
}

#[test]
fn without_a_terminal_lines_are_those_of_the_streams() {
    let stream = |stream, text: &'static str| Entry::Output {
        stream,
        bytes: Bytes::from_static(text.as_bytes()),
    };
    let mut heading = kit::heading(1);
    heading.size = None;
    let mut writer = record::Writer::begin(&heading, kit::node_key(), model::Tick(0));
    for (at, entry) in [
        (1, stream(Stream::Stdout, "one\ntw")),
        (2, stream(Stream::Stdin, "not this\n")),
        (3, stream(Stream::Stderr, "o\r\n\x1b[31mred")),
    ] {
        writer.handle(entry, model::Tick(at));
    }
    writer.end(model::entry::Ending::Exit { status: 0 }, model::Tick(9));
    let mut file = Vec::new();
    while let Some(sealed) = writer.poll() {
        file.extend_from_slice(&sealed.bytes);
    }
    let recording = Recording::open(file).unwrap();
    let told = pages(&recording, Start::After(Place::default()), 1);
    assert_eq!(texts(&told), ["one", "two", "\u{241b}[31mred"]);
}

fn search(recording: &Film, text: &str, exact: bool, at_once: u32) -> Vec<Found> {
    let pattern = Pattern::with(text, exact).unwrap();
    let mut search = Search::new(recording.clone(), pattern, Seq(0)).unwrap();
    let mut found = Vec::new();
    loop {
        let mut left = at_once;
        let more = || {
            left -= 1;
            left > 0
        };
        if search.run(&mut found, more).unwrap() {
            return found;
        }
    }
}

#[test]
fn a_search_finds_each_line_once_when_it_comes_up() {
    let recording = numbers();
    for at_once in [1, 1000] {
        let found = search(&recording, "LINE 17", false, at_once);
        let texts: Vec<&str> = found.iter().map(|found| found.text.as_str()).collect();
        let wanted: Vec<String> = (170..180).map(|n| format!("line {n}")).collect();
        assert_eq!(texts[0], "line 17");
        assert_eq!(texts[1..], wanted);
        for one in &found {
            let shown = picture_at(&recording, one.at).unwrap();
            assert!(shown.row_text(one.row) == one.text, "{one:?}: {shown:?}");
            assert_eq!((one.from, one.to), (0, 7));
        }
    }
    assert!(search(&recording, "LINE 17", true, 1000).is_empty());
    let twice = recorded([(1, output("\x1b[5;5Hab\x1b[7;1Hab")), (2, output("\x1b[5;5Hab"))]);
    let rows: Vec<_> =
        search(&twice, "ab", true, 9).iter().map(|one| (one.row, one.from)).collect();
    assert_eq!(rows, [(4, 4), (6, 0)], "drawn over it is not new");
}

#[test]
fn a_line_that_is_typed_on_is_one_place_and_told_whole() {
    let keys = "$ echo wrong\u{8} \u{8}g | tee log".chars();
    let typed = (1..).zip(keys).map(|(n, key)| (n * 50, output(&key.to_string())));
    let later = [(9000, output("\r\nwrong\r\n$ ")), (9100, output("echo again"))];
    let recording = recorded(typed.chain(later));
    let texts = |text, at_once| {
        let found = search(&recording, text, false, at_once);
        found.into_iter().map(|one| one.text).collect::<Vec<_>>()
    };
    for at_once in [1, 1000] {
        assert_eq!(texts("echo", at_once), ["$ echo wrong | tee log", "$ echo again"]);
        assert_eq!(texts("wron", at_once), ["$ echo wrong | tee log", "wrong"]);
    }
}

#[test]
fn a_small_picture_is_of_the_middle_of_what_happened() {
    let recording = recorded([
        (1, Entry::Resize(Size::clamped(40, 10))),
        (2, output("\x1b[31mred\x1b[0m and \x1b[48;2;1;2;3mbar  \x1b[0m\r\n\r\nlast")),
        (9_000_000, output("much later")),
    ]);
    let thumb = middle(&recording).unwrap();
    assert!(thumb.at < 10 && thumb.size == (40, 10), "{thumb:?}");
    let texts: Vec<Vec<&str>> = thumb
        .lines
        .iter()
        .map(|line| line.iter().map(|(text, _)| text.as_str()).collect())
        .collect();
    assert_eq!(texts, [vec!["red", " and ", "bar  "], vec![], vec!["last"]]);
    assert_eq!(thumb.lines[0][0].1.fg, Colour::Indexed(1));
    assert_eq!(thumb.lines[0][2].1.bg, Colour::Rgb(1, 2, 3));
}

/// A recording of which no picture was kept.
fn unkept(heading: &model::Heading, session: impl IntoIterator<Item = Entry>) -> Film {
    let mut writer = record::Writer::begin(heading, kit::node_key(), model::Tick(0));
    let mut at = 0;
    for entry in session {
        writer.handle(entry, model::Tick(at));
        at += 1;
    }
    writer.end(model::entry::Ending::Exit { status: 0 }, model::Tick(at));
    let mut file = Vec::new();
    while let Some(sealed) = writer.poll() {
        file.extend_from_slice(&sealed.bytes);
    }
    let recording = Recording::open(file).unwrap();
    assert!(recording.index().keyframes.is_empty(), "no picture was kept");
    recording
}

#[test]
fn a_moment_far_behind_the_last_kept_picture_is_refused_and_said_and_those_before_are_shown() {
    let lines = (0..1000).map(|n| output(&format!("line {n:04}\r\n")));
    let recording = unkept(&kit::heading(1), lines);
    let shows = |screen: screen::Screen, line: &str| screen.text().iter().any(|row| row == line);
    assert!(shows(picture_within(&recording, 99, 1100).unwrap(), "line 0099"));
    let far = picture_within(&recording, 100, 1100).unwrap_err().to_string();
    assert!(far.contains("more than 1100 bytes of output back"), "{far}");
    assert!(shows(picture_at(&recording, 999).unwrap(), "line 0999"), "at home all is drawn");
    // Text is told whole, however far away pictures are.
    let told = pages(&recording, Start::After(Place::default()), 400);
    assert_eq!(told.len(), 1000);
}

#[test]
fn what_clears_the_largest_screen_again_and_again_is_refused_and_said_and_text_goes_on_behind_it() {
    let mut heading = kit::heading(1);
    heading.size = Some(Size::clamped(1024, 512));
    let endless = "x\x1bc".repeat(2000);
    let session = [output("before\r\n"), output(&endless), output("after\r\n")];
    let recording = unkept(&heading, session);
    let much = picture_within(&recording, 2, u64::MAX - 1).unwrap_err().to_string();
    assert!(much.contains("takes too long to draw again"), "{much}");
    assert_eq!(picture_within(&recording, 0, u64::MAX - 1).unwrap().row_text(0), "before");

    let pattern = Pattern::with("e", true).unwrap();
    let mut found = Vec::new();
    let searched = |found: &mut Vec<_>| {
        Search::new(recording.clone(), pattern.clone(), Seq(0)).unwrap().run(found, || true)
    };
    let much = searched(&mut found).unwrap_err().to_string();
    assert!(much.contains("takes too long to draw again"), "{much}");
    assert_eq!(found.len(), 1, "what was found before it");

    let first = page(&recording, Start::After(Place::default()), 100_000).unwrap();
    assert!(first.more, "as much as one page may be");
    let second = page(&recording, Start::After(first.place), 100_000).unwrap();
    let told = [first.told, second.told].concat();
    let told = texts(&told);
    assert_eq!(told[0], "before");
    let (mut from, mut left_out) = (1, 0);
    while let Some("x") = told.get(from).copied() {
        (from, left_out) = (from + 1, left_out + 3);
    }
    let left_out = endless.len() - left_out;
    let said: usize =
        told[from].trim_start_matches('[').split(' ').next().unwrap().parse().unwrap();
    assert!((left_out - 3..=left_out).contains(&said), "{told:?}");
    assert!(told[from].contains("bytes are left out here"), "{told:?}");
    assert!(told[from + 1].ends_with("after") && told.len() == from + 2, "{told:?}");
}

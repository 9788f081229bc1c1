//! The player against small recordings made here.

use super::mind::Mind;
use super::outline::Outline;
use super::paint::{Scene, paint};
use super::reel::Reel;
use super::wish::{Film, Key, Listed, Overlay, Stop, Wish};
use super::{Desk, Options, Turn, as_text, run_at};
use ed25519_dalek::SigningKey;
use model::entry::{Ending, Entry, Gap, GapCause, Party, People, Stream};
use model::heading::Kind;
use model::kernel::{Action, Doer, Kernel, KernelEvent, Named};
use model::role::SeatRole;
use model::seal::{Signature, SignerCertificate};
use model::{Heading, Size, Tick, Time};
use record::find::{Hunt, Outcome, Pattern};
use record::{Keyframe, Recording, Writer, picture_at};
use screen::{Canvas, Screen};
use std::io;
use std::time::Duration;

type Film_ = Recording<Vec<u8>>;

fn heading(size: Option<Size>) -> Heading {
    let key = SigningKey::from_bytes(&[7; 32]).verifying_key().to_bytes();
    Heading {
        id: "0f8fad5b-d9cb-469f-a165-70867728950e".parse().unwrap(),
        connection: "7c9e6679-7425-40de-944b-e07fc1f90ae7".parse().unwrap(),
        cluster: "test".to_owned(),
        node: "web-01".parse().unwrap(),
        user: "alice".parse().unwrap(),
        login: "root".parse().unwrap(),
        roles: Vec::new(),
        client: "192.0.2.1".to_owned(),
        via: None,
        kind: Kind::Shell,
        size,
        term: None,
        started: Time(1_700_000_000_000),
        signer: SignerCertificate {
            key,
            node: "web-01".parse().unwrap(),
            not_before: Time(0),
            not_after: Time(i64::MAX),
            issuer: [0; 32],
            signature: Signature([0; 32], [0; 32]),
        },
    }
}

/// A recording of these entries, with keyframes as a node makes them.
fn recording(size: Option<Size>, entries: &[(u64, Entry)], ending: Option<Ending>) -> Film_ {
    let mut bytes = Vec::new();
    let mut take = |writer: &mut Writer| {
        while let Some(sealed) = writer.poll() {
            bytes.extend_from_slice(&sealed.bytes);
        }
    };
    let heading = heading(size);
    let first = size.unwrap_or_default();
    let mut screen = Screen::new(first.cols(), first.rows());
    let mut writer = Writer::begin(&heading, SigningKey::from_bytes(&[7; 32]), Tick(0));
    for (at, entry) in entries {
        record::picture::draw(&mut screen, entry);
        let seq = writer.handle(entry.clone(), Tick(*at));
        if size.is_some() && writer.wants_keyframe().is_some() {
            let (cols, rows) = screen.size();
            let size = Size::clamped(cols.into(), rows.into());
            let frame =
                Keyframe { seq, at: writer.time_of(Tick(*at)), size, dump: screen.dump().into() };
            writer.keyframe(frame, Tick(*at));
        }
        take(&mut writer);
    }
    let last = entries.last().map_or(0, |(at, _)| *at);
    match ending {
        Some(ending) => writer.end(ending, Tick(last)),
        None => writer.flush(Tick(last)),
    }
    take(&mut writer);
    Recording::open(bytes).unwrap()
}

fn out(text: &str) -> Entry {
    Entry::Output { stream: Stream::Pty, bytes: text.as_bytes().to_vec().into() }
}

fn joined() -> Entry {
    Entry::People(People::Joined {
        party: Party(1),
        user: "bob".parse().unwrap(),
        login: "root".parse().unwrap(),
        from: "192.0.2.2".to_owned(),
    })
}

fn gap() -> Entry {
    Entry::Gap(Gap { cause: GapCause::Crash, bytes: None, entries: None, ms: 5_000 })
}

fn exit() -> Option<Ending> {
    Some(Ending::Exit { status: 0 })
}

fn ten_minutes() -> Film_ {
    lasting(600)
}

/// A line a second, on a small screen that scrolls, resized on the way.
fn lasting(seconds: u64) -> Film_ {
    let mut entries = Vec::new();
    for second in 0..seconds {
        entries.push((second * 1000, out(&format!("line {second}\r\n"))));
        if second % 97 == 50 {
            entries.push((
                second * 1000 + 300,
                Entry::Resize(Size::clamped(20 + second as u32 % 7, 6)),
            ));
        }
        if second % 50 == 7 {
            entries.push((second * 1000 + 400, out("\x1b[1;31m\x1b[2;3Hoops\x1b[m\x1b[6;1H")));
        }
        if second == 123 {
            entries.push((second * 1000 + 500, Entry::Mark { label: "here".to_owned() }));
        }
        if second == 200 {
            entries.push((second * 1000 + 500, joined()));
        }
        if second == 300 {
            entries.push((second * 1000 + 500, gap()));
        }
    }
    recording(Some(Size::clamped(24, 6)), &entries, exit())
}

/// The same screen by walking from the beginning.
fn walked(film: &Film_, ms: u64) -> Screen {
    let mut screen = record::picture::blank(film);
    for next in film.entries(record::From::Ms(0)) {
        let next = next.unwrap();
        if next.at > ms {
            break;
        }
        record::picture::draw(&mut screen, &next.entry);
    }
    screen
}

#[test]
fn any_moment_looks_like_having_watched_from_the_beginning() {
    // Long enough for a dozen groups.
    let seconds = 4000;
    let film = lasting(seconds);
    assert!(film.index().keyframes.len() > 10, "{}", film.index().keyframes.len());
    let mut reel = Reel::new(lasting(seconds));
    let mut ms = 1u64;
    for _ in 0..60 {
        ms = (ms * 48_271 + 11) % (seconds * 1000);
        reel.seek(ms);
        assert_eq!(*reel.screen(), walked(&film, ms), "sought to {ms}");
        assert_eq!(picture_at(&film, ms).unwrap(), walked(&film, ms), "picture at {ms}");
        reel.advance(ms + 1500, &mut Vec::new());
        assert_eq!(*reel.screen(), walked(&film, ms + 1500), "played on from {ms}");
    }
}

#[test]
fn a_step_back_undoes_a_step_on() {
    let mut reel = Reel::new(ten_minutes());
    reel.seek(295_000);
    let mut before = Vec::new();
    for _ in 0..40 {
        before.push((reel.at(), reel.screen().text()));
        assert!(reel.step_forward(&mut Vec::new()));
    }
    for (at, text) in before.into_iter().rev() {
        assert!(reel.step_back());
        assert_eq!((reel.at(), reel.screen().text()), (at, text));
    }
    reel.seek(0);
    while reel.step_back() {}
    assert_eq!(as_text(reel.screen(), false), "\n");
}

fn hunt(reel: &mut Reel<Vec<u8>>, text: &str, forward: bool) -> Option<u64> {
    let pattern = Pattern::new(text).unwrap();
    let mut hunt = if forward {
        Hunt::on(pattern, reel.shown())
    } else {
        Hunt::back(pattern, reel.seq().next())
    };
    loop {
        let mut left = 7;
        let more = || {
            left -= 1;
            left > 0
        };
        match hunt.run(reel.recording(), more).unwrap() {
            Outcome::Working(_) => {}
            Outcome::Found(hit) => {
                reel.show_hit(hit);
                let shown = reel.screen().text().join("\n");
                assert!(
                    shown.contains(text),
                    "{text} is not on the screen at {}:\n{shown}",
                    hit.at
                );
                return Some(hit.at);
            }
            Outcome::Nothing => return None,
        }
    }
}

#[test]
fn a_search_finds_each_moment_in_both_directions() {
    let mut reel = Reel::new(ten_minutes());
    assert_eq!(hunt(&mut reel, "line 77", true), Some(77_000));
    assert_eq!(hunt(&mut reel, "line 300", true), Some(300_000));
    assert_eq!(hunt(&mut reel, "line 77", true), None);
    assert_eq!(hunt(&mut reel, "line 77", false), Some(77_000));
    assert_eq!(hunt(&mut reel, "line 77", false), None);
    let mut found = Vec::new();
    reel.seek(0);
    while let Some(at) = hunt(&mut reel, "oops", true) {
        found.push(at);
    }
    assert_eq!(found, (0..12).map(|n| (n * 50 + 7) * 1000 + 400).collect::<Vec<_>>());
    reel.seek(600_000);
    let mut back = Vec::new();
    while let Some(at) = hunt(&mut reel, "oops", false) {
        back.push(at);
    }
    back.reverse();
    assert_eq!(back, found);
}

#[test]
fn text_that_scrolls_by_within_one_entry_is_found_and_shown() {
    let lines: String = (0..500).map(|n| format!("row {n}\r\n")).collect();
    let entries = [(1000, out("$ cat\r\n")), (2000, out(&lines)), (3000, out("$ "))];
    let mut reel = Reel::new(recording(Some(Size::clamped(30, 8)), &entries, exit()));
    assert_eq!(hunt(&mut reel, "row 250", true), Some(2000));
    assert_eq!(hunt(&mut reel, "row 251", true), None, "is on the screen already");
    assert_eq!(hunt(&mut reel, "row 400", true), Some(2000), "from the middle of the entry on");
    reel.advance(2500, &mut Vec::new());
    assert!(reel.screen().text().join("\n").contains("row 499"), "the rest is drawn once");
    assert_eq!(reel.screen().text(), walked(reel.recording(), 2500).text());
}

#[test]
fn output_without_a_terminal_is_shown_line_below_line() {
    let write =
        |stream, text: &str| Entry::Output { stream, bytes: text.as_bytes().to_vec().into() };
    let entries = [
        (0, write(Stream::Stdin, "secret")),
        (10, write(Stream::Stdout, "one\ntwo\n")),
        (20, write(Stream::Stderr, "three")),
    ];
    let film = recording(None, &entries, exit());
    assert_eq!(as_text(&picture_at(&film, 20).unwrap(), false), "one\ntwo\nthree\n");
    assert_eq!(picture_at(&film, 20).unwrap().size(), (80, 24));
}

#[test]
fn the_outline_lists_marks_people_and_gaps() {
    let film = ten_minutes();
    let mut outline = Outline::default();
    while !outline.run(&film, || false) {}
    let times: Vec<u64> = outline.notes(Listed::Notes).iter().map(|note| note.at).collect();
    assert_eq!(times, [123_500, 200_500, 300_500, 599_000]);
    assert_eq!(
        outline.beside(Stop::Marker, 123_500, None, true).map(|note| note.at),
        Some(200_500)
    );
    assert_eq!(
        outline.beside(Stop::Marker, 200_500, None, false).map(|note| note.at),
        Some(123_500)
    );
    assert_eq!(outline.beside(Stop::Marker, 0, None, false), None);
    assert_eq!(outline.beside(Stop::Marker, 400_000, None, true), None, "the end is no marker");
}

#[test]
fn files_of_the_same_moment_are_gone_through_one_by_one() {
    let open = |name: &str| {
        let (path, folder) = (format!("/etc/{name}"), String::new());
        let file = Named { path, folder, as_passed: false };
        let doer = Doer {
            process: 7,
            parent: 6,
            uid: 0,
            euid: 0,
            audit: None,
            name: "rm".to_owned(),
            stray: false,
        };
        let action = Action::Opened { file, flags: 0, place: None, error: 0 };
        Entry::Kernel(Kernel::Did(Box::new(KernelEvent { at: 100, by: doer, action, times: 1 })))
    };
    let entries: Vec<_> = ["a", "b", "c"].iter().map(|name| (110, open(name))).collect();
    let film = recording(None, &entries, exit());
    let mut outline = Outline::default();
    while !outline.run(&film, || false) {}
    assert_eq!(outline.notes(Listed::Notes).len(), 1, "only the end");
    let (mut stands, mut walked) = (None, String::new());
    for forward in [true, true, true, true, false, false, false] {
        let ms = if stands.is_some() { 100 } else { 50 };
        match outline.beside(Stop::Seen, ms, stands, forward) {
            Some(note) => {
                stands = Some(note.seq);
                walked.extend(note.text.split("/etc/").nth(1).and_then(|name| name.chars().next()));
            }
            None => walked.push('.'),
        }
    }
    assert_eq!(walked, "abc.ba.");
}

#[test]
fn who_of_several_typed_just_now_is_known_wherever_one_begins() {
    let typed = |party| Entry::Typed { party: Party(party), count: 1, bytes: None };
    let (party, user) = (Party(1), "bob".parse().unwrap());
    let seat = People::Seated { party, user, seat: SeatRole::Peer, from: String::new() };
    let mut entries = vec![
        (10, typed(0)),
        (100, Entry::People(seat)),
        (200, typed(0)),
        (5_000, typed(1)),
        (5_100, out("x")),
        (20_000, out("later")),
    ];
    let check = |entries: &[(u64, Entry)], ms: u64, who: Option<&str>| {
        let film = recording(Some(Size::default()), entries, exit());
        let mut reel = Reel::new(film);
        reel.seek(ms);
        assert_eq!(reel.typist(), who, "{ms}");
    };
    check(&entries, 50, None);
    check(&entries, 300, Some("alice"));
    check(&entries, 5_500, Some("bob"));
    check(&entries, 20_000, None);
    // Behind a picture by which all before it is passed over.
    let flood = (1..=9_000).map(|n| (30_000 + n, out("0123456789\r\n")));
    entries.extend(flood);
    entries.push((40_000, typed(1)));
    check(&entries, 40_000, Some("bob"));
}

#[test]
fn a_recording_of_nothing_can_be_shown() {
    let film = recording(Some(Size::default()), &[], None);
    let mut reel = Reel::new(film);
    assert_eq!(reel.next_at(), None);
    assert!(!reel.step_back());
    assert!(!reel.step_forward(&mut Vec::new()));
    assert_eq!(hunt(&mut reel, "x", true), None);
    assert_eq!(hunt(&mut reel, "x", false), None);
}

#[test]
fn colours_are_printed_when_asked_for() {
    let mut screen = Screen::new(10, 1);
    screen.feed(b"a\x1b[1;31mb");
    assert_eq!(as_text(&screen, false), "ab\n");
    let coloured = as_text(&screen, true);
    let mut again = Screen::new(10, 2);
    again.feed(coloured.replace('\n', "\r\n").as_bytes());
    assert_eq!(again.cell(1, 0), screen.cell(1, 0), "{coloured:?}");
}

// The mind

/// Ten minutes, with an entry each minute, two minutes in.
fn mind() -> Mind {
    let mut mind = Mind::new(1.0, None, true, Tick(0));
    mind.film(Film { at: 120_000, next: Some(180_000), length: 600_000, ended: true });
    mind.arrived(120_000, Tick(0));
    mind
}

fn keys(text: &str) -> Vec<Key> {
    text.split(' ')
        .map(|word| match word {
            "left" => Key::Left,
            "right" => Key::Right,
            "S-left" => Key::ShiftLeft,
            "S-right" => Key::ShiftRight,
            "pgup" => Key::PageUp,
            "pgdn" => Key::PageDown,
            "home" => Key::Home,
            "end" => Key::End,
            "down" => Key::Down,
            "up" => Key::Up,
            "enter" => Key::Enter,
            "esc" => Key::Escape,
            "bs" => Key::Backspace,
            "^c" => Key::Interrupt,
            "space" => Key::Char(' '),
            one => Key::Char(one.chars().next().unwrap()),
        })
        .collect()
}

fn press(mind: &mut Mind, text: &str, now: Tick) -> Vec<Wish> {
    keys(text).into_iter().for_each(|key| mind.handle(key, now));
    std::iter::from_fn(|| mind.poll()).collect()
}

#[test]
fn keys_that_move_wish_for_the_right_moment() {
    let check = |keys: &str, expected: &[u64]| {
        let wishes = press(&mut mind(), keys, Tick(0));
        let goto: Vec<Wish> = expected.iter().map(|ms| Wish::Goto(*ms)).collect();
        assert_eq!(wishes, goto, "{keys}");
    };
    check("right", &[125_000]);
    check("l l", &[125_000, 130_000]);
    check("left", &[115_000]);
    check("h", &[115_000]);
    check("S-right", &[180_000]);
    check("pgdn", &[180_000]);
    check("S-left", &[60_000]);
    check("pgup pgup pgup", &[60_000, 0, 0]);
    check("5", &[300_000]);
    check("0", &[0]);
    check("g", &[0]);
    check("home", &[0]);
    check("G", &[600_000]);
    check("end", &[600_000]);
    check("G right", &[600_000, 600_000]);
    check("9 0 G", &[540_000, 90_000]);
    check("1 : 3 0 G", &[60_000, 90_000]);
    check("1 : 3 0 enter", &[60_000, 90_000]);
    check("1 : G", &[60_000]);
    check("enter", &[]);
}

#[test]
fn other_keys_wish_for_what_they_say() {
    let search = |forward| Wish::Search { text: "Foo".to_owned(), forward };
    let check = |keys: &str, expected: &[Wish]| {
        let wishes = press(&mut mind(), keys, Tick(0));
        assert_eq!(wishes, expected, "{keys}");
    };
    check("q", &[Wish::Quit]);
    check("^c", &[Wish::Quit]);
    check("/ ^c", &[Wish::Quit]);
    check("? q", &[]);
    check(".", &[Wish::Forward]);
    check(",", &[Wish::Back]);
    let beside = |stop, forward| [Wish::Beside { stop, from: 120_000, forward }];
    check("[", &beside(Stop::Marker, false));
    check("]", &beside(Stop::Marker, true));
    check("C", &beside(Stop::Program, false));
    check("c", &beside(Stop::Program, true));
    check("E", &beside(Stop::Seen, false));
    check("e", &beside(Stop::Seen, true));
    check("m", &[Wish::List(Listed::Notes)]);
    check("M", &[Wish::List(Listed::Seen)]);
    check("/ F o o enter", &[search(true)]);
    check("/ F x bs o o enter n N", &[search(true), search(true), search(false)]);
    check("/ q esc", &[]);
    check("n", &[]);
    check("f", &[Wish::Refresh, Wish::Goto(600_000)]);
}

#[test]
fn playing_goes_on_by_the_clock_and_its_speed() {
    let check = |keys: &str, after_ms: u64, expected: u64| {
        let mut mind = mind();
        press(&mut mind, keys, Tick(0));
        mind.handle_timeout(Tick(after_ms));
        assert_eq!(mind.position(Tick(after_ms)), expected, "{keys} after {after_ms} ms");
    };
    check("t", 5000, 120_000);
    check("space", 5000, 125_000);
    check("space space", 5000, 120_000);
    check("> space", 5000, 130_000);
    check("> > > > > > space", 1000, 136_000);
    check("< < < space", 4000, 121_000);
    check("> > bs space", 5000, 125_000);
    check("space", 900_000, 600_000);
}

#[test]
fn a_long_pause_is_cut_to_its_limit_and_told() {
    let mut mind = mind();
    press(&mut mind, "i space", Tick(0));
    assert_eq!(mind.poll_timeout(), Some(Tick(2000)), "wakes when the limit is reached");
    mind.handle_timeout(Tick(1999));
    assert_eq!(mind.position(Tick(1999)), 121_999);
    mind.handle_timeout(Tick(2000));
    assert_eq!(mind.position(Tick(2000)), 180_000);
    assert_eq!(mind.message(), Some("idle, skipped 0:58"));
    mind.handle_timeout(Tick(9000));
    assert_eq!(mind.message(), None);
}

#[test]
fn the_end_stops_the_player_and_space_begins_again() {
    let mut mind = mind();
    press(&mut mind, "space", Tick(0));
    mind.film(Film { at: 600_000, next: None, length: 600_000, ended: true });
    mind.handle_timeout(Tick(480_000));
    assert!(mind.is_at_end());
    assert_eq!(press(&mut mind, "space", Tick(480_001)), [Wish::Goto(0)]);
    assert!(mind.is_playing());
}

#[test]
fn a_session_that_goes_on_is_followed_until_one_seeks() {
    let live = |length| Film { at: length, next: None, length, ended: false };
    let mut mind = Mind::new(1.0, None, false, Tick(0));
    mind.film(live(10_000));
    mind.arrived(9_000, Tick(0));
    mind.handle_timeout(Tick(2000));
    assert!(mind.is_following(), "playing to the end of what there is follows");
    mind.film(live(15_000));
    assert_eq!(mind.position(Tick(2100)), 15_000);
    press(&mut mind, "left", Tick(2200));
    assert!(!mind.is_following());
    assert_eq!(mind.position(Tick(2200)), 10_000);
    press(&mut mind, "f", Tick(2300));
    assert!(mind.is_following());
    mind.film(Film { ended: true, ..live(15_000) });
    assert!(mind.is_at_end());
}

#[test]
fn before_a_session_that_goes_on_following_it_is_leaving_the_player() {
    for (before_live, expected) in [(true, vec![Wish::Quit]), (false, vec![Wish::Refresh])] {
        let mut mind = mind();
        mind.set_before_live(before_live);
        assert_eq!(press(&mut mind, "f", Tick(0)).get(..1), Some(&expected[..]));
    }
}

#[test]
fn the_list_is_walked_with_keys() {
    let check = |keys: &str, overlay: Option<Overlay>, wishes: &[Wish]| {
        let mut mind = mind();
        mind.listed(30);
        mind.show_list(Listed::Notes, 5);
        assert_eq!(press(&mut mind, keys, Tick(0)), wishes, "{keys}");
        assert_eq!(mind.overlay(), overlay, "{keys}");
    };
    check("down j", Some(Overlay::List(Listed::Notes, 7)), &[]);
    check("up k k k k k k", Some(Overlay::List(Listed::Notes, 0)), &[]);
    check("pgdn pgdn pgdn", Some(Overlay::List(Listed::Notes, 29)), &[]);
    check("G enter", None, &[Wish::Choose(Listed::Notes, 29)]);
    check("q", None, &[]);
}

// The player

/// Somebody who presses keys, and what the player last showed them.
struct Seat<'a> {
    keys: std::vec::IntoIter<Key>,
    shown: &'a mut Vec<String>,
}

impl Desk for Seat<'_> {
    fn size(&self) -> (u16, u16) {
        (40, 8)
    }

    fn show(&mut self, canvas: Canvas) -> io::Result<()> {
        *self.shown = (0..8).map(|row| canvas.row_text(row)).collect();
        Ok(())
    }

    fn turn(&mut self, _wait: Duration) -> io::Result<Option<Turn>> {
        Ok(self.keys.next().map(Turn::Key))
    }
}

#[test]
fn a_player_begins_where_it_is_told_and_ends_when_it_is_left() {
    let check = |at_ms, typed: &str, place: &str, line: &str| {
        let mut shown = Vec::new();
        let options = Options { at_ms, paused: true, before_live: true, ..Options::default() };
        let seat = Seat { keys: keys(typed).into_iter(), shown: &mut shown };
        run_at(ten_minutes(), options, String::new(), seat).unwrap();
        assert!(shown[7].contains(place), "{place}: {shown:#?}");
        assert!(shown.iter().any(|row| row.contains(line)), "{line}: {shown:#?}");
    };
    check(None, "q", "0:00/9:59", "line 0");
    check(Some(120_000), "q", "2:00/9:59", "line 120");
    check(Some(u64::MAX), "^c", "9:59/9:59", "line 599");
    check(Some(120_000), "f", "2:00/9:59", "line 120");
}

// What is drawn

fn painted(screen: &Screen, mind: &Mind, size: (u16, u16)) -> Vec<String> {
    let canvas = canvas(screen, mind, size);
    (0..size.1).map(|row| canvas.row_text(row)).collect()
}

fn canvas(screen: &Screen, mind: &Mind, size: (u16, u16)) -> Canvas {
    let scene = Scene {
        screen,
        mind,
        now: Tick(0),
        title: "alice@web-01",
        started: Time(0),
        gaps: &[(300_000, 360_000)],
        outline: &Outline::default(),
        types: None,
        reading: None,
        searched: None,
    };
    paint(&scene, size)
}

#[test]
fn of_what_was_recorded_nothing_reaches_the_terminal_but_letters_and_their_colours() {
    // One update, a cursor to hide and to show.
    const WHOLE: [&str; 4] = ["[?2026h", "[?2026l", "[?25h", "[?25l"];
    let mut screen = Screen::new(60, 6);
    screen.feed(
        b"\x1b]52;c;ZXZpbA==\x07\x1b]0;evil\x1b\\\x1bP+q544e\x1b\\\x1b_Gevil\x1b\\\x1b^evil\x1b\\",
    );
    screen.feed(
        b"\x1b[6n\x1b[21t\x1b[?1000h\x1b[?1049h\x1bc\x9b5n\xc2\x9b5n\x07\x0e\x05\x1b[31mplain",
    );
    screen.feed("\u{202e}\u{9d}52;c;evil\u{9c}\x1b]0;never closed".as_bytes());
    let mut bytes = Vec::new();
    screen::write_changes(&mut bytes, None, &canvas(&screen, &mind(), (70, 9)));
    let shown = String::from_utf8(bytes).unwrap();
    assert!(shown.contains("plain"), "{shown:?}");
    assert!(shown.chars().all(|ch| ch == '\x1b' || !ch.is_control()), "{shown:?}");
    assert!(!shown.contains('\u{202e}'), "{shown:?}");
    // Else places, colours and empty cells.
    for sequence in shown.split('\x1b').skip(1) {
        let last = sequence.find(|ch: char| ch.is_ascii_alphabetic());
        let last = last.and_then(|at| sequence.get(at..=at));
        let plain =
            sequence.starts_with('[') && matches!(last, Some("C" | "H" | "m" | "J" | "K" | "X"));
        assert!(plain || WHOLE.contains(&sequence), "{sequence:?}");
    }
}

#[test]
fn a_small_screen_stands_framed_in_the_middle() {
    let mut screen = Screen::new(6, 2);
    screen.feed("ab漢\r\nxyz".as_bytes());
    assert_eq!(
        painted(&screen, &mind(), (12, 7)).get(..6).unwrap(),
        ["", "  ╭──────╮", "  │ab漢  │", "  │xyz   │", "  ╰──────╯", "",]
    );
}

#[test]
fn a_large_screen_is_cropped_around_the_cursor() {
    let mut screen = Screen::new(40, 10);
    let text = "0123456789012345678901234567890123456789";
    screen.feed(format!("\x1b[9;1H{text}\x1b[9;36Hx").as_bytes());
    assert_eq!(painted(&screen, &mind(), (10, 4)).get(1..3).unwrap(), ["", "01234x6789"]);
    screen.feed(b"\x1b[H");
    assert_eq!(painted(&screen, &mind(), (10, 4)).get(..3).unwrap(), ["", "", ""]);
}

#[test]
fn the_status_line_says_what_fits() {
    let screen = Screen::new(20, 5);
    let mut mind = mind();
    for (cols, expected) in [
        (
            80,
            " ‖ 2:00 / 10:00 ━━━━━━━━━●───────────────────────××××××─────────────────── alice@web-01",
        ),
        (40, " ‖ 2:00/10:00 ━━━━━●────────"),
        (12, " ‖ 2:00/10:0"),
        (1, ""),
    ] {
        let line = painted(&screen, &mind, (cols, 3)).pop().unwrap();
        let start: String = expected.chars().take(16).collect();
        assert!(line.starts_with(start.trim_end()), "{cols}: {line:?}");
        assert!(line.chars().count() <= usize::from(cols), "{cols}: {line:?}");
        assert_eq!(line.contains('×'), cols >= 40, "{cols}: the gap: {line:?}");
        assert_eq!(line.ends_with("alice@web-01"), cols >= 60, "{cols}: {line:?}");
    }
    press(&mut mind, "> > i space", Tick(0));
    let line = painted(&screen, &mind, (80, 3)).pop().unwrap();
    assert!(line.ends_with("4× · idle cut · alice@web-01"), "{line:?}");
    press(&mut mind, "/ a b", Tick(0));
    assert_eq!(painted(&screen, &mind, (80, 3)).pop().unwrap(), "/ab");
}

#[test]
fn every_size_of_terminal_can_be_painted() {
    let mut screen = Screen::new(80, 24);
    screen.feed("漢".repeat(900).as_bytes());
    let mut mind = mind();
    for overlay in ["t", "?", "esc", "/", "x"] {
        press(&mut mind, overlay, Tick(0));
        for cols in 0..90 {
            for rows in [0, 1, 2, 3, 10, 30] {
                painted(&screen, &mind, (cols, rows));
            }
        }
    }
    mind.show_list(Listed::Notes, 0);
    painted(&screen, &mind, (40, 12));
}

#[test]
fn help_fits_into_forty_columns() {
    let mut mind = mind();
    press(&mut mind, "?", Tick(0));
    let text = painted(&Screen::new(80, 24), &mind, (40, 20)).join("\n");
    for word in ["60 seconds", "search, next", "quit", "skip idle"] {
        assert!(text.contains(word), "{word} in\n{text}");
    }
}

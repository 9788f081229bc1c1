//! A search through all of a recording: the screen, and what was run, touched and connected to beside it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests fail loudly")]

mod kit;

use kit::streams::{STREAMS, Timed, make, output, stream};
use kit::{Dice, heading_by, node_key, seal_key};
use model::entry::{Ending, Entry, Forward};
use model::kernel::{Action, Doer, Kernel, KernelEvent, Named, Place, Program, TcpStep};
use model::role::Forwarding;
use model::transfer::{Access, Change, Outcome, Transfer};
use model::{Kind, Seq, Size, Tick};
use record::find::Pattern;
use record::sweep::{Caught, Sweep, Wanted, What};
use record::{Recording, Writer};

type Film = Recording<Vec<u8>>;

fn recorded(session: impl IntoIterator<Item = Timed>) -> Film {
    Recording::open(make(1, session).file).unwrap()
}

/// All that is found, by so many at once; each step begins anew where the one before ended, as a request does, if so wanted.
fn swept(
    recording: &Film,
    pattern: &Pattern,
    wanted: Wanted,
    at_once: usize,
    anew: bool,
) -> Vec<Caught> {
    let begin = |after| Sweep::new(recording.clone(), pattern.clone(), wanted, after).unwrap();
    let (mut sweep, mut found) = (begin(None), Vec::new());
    loop {
        let mut left = at_once;
        let more = |_| {
            left -= 1;
            left > 0
        };
        if sweep.run(&mut found, more).unwrap() {
            return found;
        }
        if anew {
            sweep = begin(Some(sweep.seq()));
        }
    }
}

fn exact(text: &str) -> Pattern {
    Pattern::with(text, true).unwrap()
}

/// The same text, looked for without any short cut.
fn slowly(text: &str) -> Pattern {
    let escaped: String = text.chars().map(|ch| format!("\\x{{{:x}}}", u32::from(ch))).collect();
    Pattern::expression(&escaped, true).unwrap()
}

const SCREEN: Wanted = Wanted { screen: true, commands: false, files: false, connections: false };

/// What is passed over is passed over rightly: a text is found where an expression that fits the same finds it, for which
/// nothing is passed over.
fn same(recording: &Film, text: &str) -> usize {
    let (quick, slow) = (exact(text), slowly(text));
    let quick = swept(recording, &quick, SCREEN, usize::MAX, false);
    assert_eq!(quick, swept(recording, &slow, SCREEN, usize::MAX, false), "{text:?}");
    quick.len()
}

#[test]
fn on_real_streams_a_text_is_found_wherever_it_came_up() {
    let mut dice = Dice(11);
    let mut found = 0;
    for (name, packed) in STREAMS {
        let most = if chance::long() { usize::MAX } else { 600 };
        let session: Vec<Timed> = stream(packed).into_iter().take(most).collect();
        let recording = recorded(session.iter().cloned());
        // Texts as they stand on the screen at some moments, and such as are nowhere.
        let mut texts = vec!["qjxzq".to_owned(), "e".to_owned(), "-".to_owned()];
        for _ in 0..6 {
            let at = dice.below(recording.length_ms() as usize + 1) as u64;
            let shown = record::picture_at(&recording, at).unwrap().text();
            let row: Vec<char> = shown[dice.below(shown.len())].chars().collect();
            let from = dice.below(row.len().max(1));
            let text: String = row.iter().skip(from).take(1 + dice.below(12)).collect();
            texts.extend((!text.is_empty()).then_some(text));
        }
        for text in texts {
            let hits = same(&recording, &text);
            found += usize::from(hits > 0);
            assert!(text != "qjxzq" || hits == 0, "{name}");
        }
    }
    assert!(found > STREAMS.len() * 3, "texts that are there are found: {found}");
}

/// Lines, with what moves between and over them.
fn wild(dice: &mut Dice, entries: usize) -> Vec<Timed> {
    let pieces = [
        "ab",
        "ba",
        "aab",
        "b",
        "a",
        " ",
        "abab abba ",
        "c",
        "\r\n",
        "\r\n",
        "\r\n",
        "\n",
        "\r",
        "\t",
        "\u{8}",
        "\x1b[31m",
        "\x1b[0m",
        "\x1b[m",
        "\x1b[K",
        "\x1b[1K",
        "\x1b[J",
        "\x1b[2J\x1b[H",
        "\x1b[A",
        "\x1b[5C",
        "\x1b[3D",
        "\x1b[P",
        "\x1b[2@",
        "\x1b[L",
        "\x1b[M",
        "\x1bM",
        "\x1b[3;6r",
        "\x1b[r",
        "\x1b[4h",
        "\x1b[4l",
        "\x1b[?7l",
        "\x1b[?7h",
        "\x1b[?1049h",
        "\x1b[?1049l",
        "\x1b(0",
        "\x1b(B",
        "\x1b]0;aba\x07",
        "\x1b[?2004h",
        "\x1b[2X",
        "\x1b[3b",
        "\x1b",
        "[",
        "é",
        "e\u{301}",
        "字",
        "\x1b7",
        "\x1b8",
        "\x1b[6;2H",
        "\u{e}",
        "\u{f}",
        "\x1b[?6h",
        "\x1b[?6l",
        "\x1bc",
        "\x07",
        "_",
        "\x1b[20h",
        "abcabcabcabcabcabcabcabc",
        "aa bb cc aa bb cc",
        "\x1b]0;",
        "\x1b[3g",
        "\x1b[S",
        "\x1b[T",
    ];
    let plain = [0, 1, 2, 3, 4, 5, 6, 7, 8, 8, 9, 10, 15, 16, 40, 41, 60, 61];
    let mut session = vec![(0, Entry::Resize(Size::clamped(12, 6)))];
    for at in 0..entries {
        // Often nothing but lines, so that what passes over lines is used, too.
        let wild = dice.below(3) == 0;
        let count = 1 + dice.below(30);
        let piece = |dice: &mut Dice| match wild {
            true => pieces[dice.below(pieces.len())],
            false => pieces[plain[dice.below(plain.len())]],
        };
        let text: String = (0..count).map(|_| piece(dice)).collect();
        session.push((at as u64 * 10, output(text.into_bytes())));
        if dice.below(40) == 0 {
            let (cols, rows) = (3 + dice.below(20), 2 + dice.below(10));
            session.push((at as u64 * 10, Entry::Resize(Size::clamped(cols as u32, rows as u32))));
        }
    }
    session
}

#[test]
fn whatever_moves_over_the_screen_a_text_is_found_wherever_it_came_up() {
    let (mut found, mut none) = (0, 0);
    for seed in 0..if chance::long() { 2_000 } else { 60 } {
        let mut dice = Dice(seed + 1);
        let recording = recorded(wild(&mut dice, 60));
        for text in [
            "abba", "caab", "a b", "abcab", "bb aa", "aba", "b_a", "ac", "é", "a", "bbbb", "ab ",
            " a",
        ] {
            let hits = same(&recording, text);
            found += usize::from(hits > 0);
            none += usize::from(hits == 0);
        }
    }
    assert!(found > 100 && none > 20, "both happen: {found}, {none}");
}

#[test]
fn a_search_that_is_cut_and_goes_on_finds_what_one_from_end_to_end_finds() {
    let mut dice = Dice(5);
    let mut session = wild(&mut dice, 40);
    for (at, event) in commands() {
        session.push((at + 10_000, event));
        session.push((at + 10_000, output("aab caab\r\n")));
    }
    let recording = recorded(session);
    for (text, wanted) in [
        ("abba", Wanted::ALL),
        ("tmp", Wanted::ALL),
        ("tmp", Wanted { screen: false, ..Wanted::ALL }),
        ("split-needle", Wanted { screen: false, ..Wanted::ALL }),
    ] {
        let whole = swept(&recording, &exact(text), wanted, usize::MAX, false);
        assert!(!whole.is_empty(), "{text}");
        for at_once in [1, 2, 7] {
            for anew in [false, true] {
                let pieces = swept(&recording, &exact(text), wanted, at_once, anew);
                let places = |all: &[Caught]| -> Vec<_> {
                    all.iter().map(|one| (one.seq, one.what, one.did.clone())).collect()
                };
                assert_eq!(places(&pieces), places(&whole), "{text} by {at_once}, {anew}");
            }
        }
    }
}

#[test]
fn what_stands_beside_the_screen_is_the_same_with_it_and_without() {
    let recording = recorded(commands());
    for text in ["tmp", "10.0.0.7", "rm", "a", "split-needle"] {
        let with = swept(&recording, &exact(text), Wanted::ALL, usize::MAX, false);
        let beside = Wanted { screen: false, ..Wanted::ALL };
        assert_eq!(swept(&recording, &exact(text), beside, usize::MAX, false), with, "{text}");
    }
}

fn did(at: u64, process: u32, action: Action) -> Timed {
    let by =
        Doer { process, parent: 1, uid: 0, euid: 0, audit: None, name: "sh".into(), stray: false };
    (at, Entry::Kernel(Kernel::Did(Box::new(KernelEvent { at, by, action, times: 1 }))))
}

fn ran(at: u64, process: u32, arguments: &[&str], bytes: u32) -> Timed {
    let program = Program {
        file: "/usr/bin/rm".into(),
        program: "/usr/bin/rm".into(),
        place: Place { device: 0, inode: 1 },
        folder: "/root".into(),
        arguments: arguments.iter().map(|one| (*one).to_owned()).collect(),
        bytes,
        kept: bytes,
        ..Program::default()
    };
    did(at, process, Action::Ran(Box::new(program)))
}

fn named(path: &str, folder: &str) -> Named {
    Named { path: path.into(), folder: folder.into(), as_passed: false }
}

fn commands() -> Vec<Timed> {
    let arguments = |at, process, arguments: &[&str], goes_on| {
        let arguments = arguments.iter().map(|one| (*one).to_owned()).collect();
        did(at, process, Action::Arguments { arguments, goes_on })
    };
    let changed = |at, call: &str, file, other, error| {
        let call = call.to_owned();
        did(at, 7, Action::Changed { call, file, other, numbers: Vec::new(), error })
    };
    let tcp = |at, step, local: &str, remote: &str| {
        did(at, 7, Action::Tcp { step, local: local.into(), remote: remote.into() })
    };
    let transfer = |at, transfer| (at, Entry::Transfer(transfer));
    vec![
        ran(10, 7, &["rm", "-f", "/tmp/a file"], 19),
        ran(20, 8, &["sh", "-c", "echo split-"], 40),
        arguments(21, 8, &["needle in pieces"], true),
        arguments(22, 8, &["and more"], false),
        did(
            23,
            9,
            Action::NotRan {
                file: named("./tool", "/opt"),
                arguments: vec!["tool".into()],
                error: 2,
            },
        ),
        did(
            30,
            7,
            Action::Opened { file: named("notes", "/tmp"), flags: 0o101, place: None, error: 0 },
        ),
        changed(40, "unlinkat", named("/tmp/a file", ""), None, 0),
        changed(41, "renameat2", named("/etc/a", ""), Some(named("/etc/b", "")), 13),
        tcp(50, TcpStep::Connected, "10.0.0.1:40000", "10.0.0.7:5432"),
        tcp(51, TcpStep::NotConnected, "10.0.0.1:40001", "10.0.0.8:25"),
        transfer(
            60,
            Transfer::Opened {
                file: 1,
                path: "/srv/up.tar".into(),
                access: vec![Access::Write],
                mode: None,
            },
        ),
        transfer(
            61,
            Transfer::Changed {
                change: Change::Remove { path: "/srv/old".into() },
                outcome: Outcome::Failed { code: 3, text: "no".into() },
            },
        ),
        (
            70,
            Entry::Forward(Forward::Opened {
                id: 1,
                what: Forwarding::Local,
                target: "db.example:5432".into(),
                by: "127.0.0.1:9".into(),
            }),
        ),
    ]
}

#[test]
fn commands_files_and_connections_are_found_by_what_they_are_about_and_told_in_words() {
    let recording = recorded(commands());
    let check = |text: &str, expected: &[(u64, What, &str, &str, bool)]| {
        let found = swept(&recording, &exact(text), Wanted::ALL, usize::MAX, false);
        let told: Vec<_> = found
            .iter()
            .map(|one| (one.at, one.what, one.did.as_str(), one.text.as_str(), one.failed))
            .collect();
        assert_eq!(told, expected, "{text}");
        for one in &found {
            let chars = one.text.chars().skip(one.from as usize);
            let matched: String = chars.take((one.to - one.from) as usize).collect();
            assert_eq!(matched, text);
        }
    };
    use What::{Command, Connection, File};
    check("rm -f", &[(10, Command, "ran", "rm -f '/tmp/a file'", false)]);
    // As it was typed, or as it was passed.
    check("-f /tmp/a file", &[(10, Command, "ran", "rm -f /tmp/a file", false)]);
    check(
        "/usr/bin/rm",
        &[(10, Command, "ran", "/usr/bin/rm", false), (20, Command, "ran", "/usr/bin/rm", false)],
    );
    check("split-needle", &[(21, Command, "ran", "sh -c echo split-needle in pieces", false)]);
    check(
        "pieces and more",
        &[(22, Command, "ran", "sh -c echo split-needle in pieces and more", false)],
    );
    check("echo", &[(20, Command, "ran", "sh -c 'echo split-'", false)]);
    check("/opt/tool", &[(23, Command, "did not run", "/opt/tool", true)]);
    check("/tmp/notes", &[(30, File, "made or opened to write", "/tmp/notes", false)]);
    check(
        "/tmp/a file",
        &[
            (10, Command, "ran", "rm -f '/tmp/a file'", false),
            (40, File, "removed", "/tmp/a file", false),
        ],
    );
    check("/etc/b", &[(41, File, "renamed", "/etc/a → /etc/b", true)]);
    check("10.0.0.7", &[(50, Connection, "connected to", "10.0.0.7:5432", false)]);
    check("10.0.0.8", &[(51, Connection, "could not connect to", "10.0.0.8:25", true)]);
    check("/srv/up", &[(60, File, "opened to write", "/srv/up.tar", false)]);
    check("/srv/old", &[(61, File, "removed", "/srv/old", true)]);
    check("db.example", &[(70, Connection, "local to", "db.example:5432", false)]);
    // What only the words of scry say is nothing that was found.
    check("opened", &[]);
    check("connected", &[]);
}

#[test]
fn only_what_is_wanted_is_found() {
    let mut session = commands();
    session.push((80, output("/tmp/ 10.0.0.7 rm\r\n")));
    let recording = recorded(session);
    const NONE: Wanted =
        Wanted { screen: false, commands: false, files: false, connections: false };
    for (wanted, text, expected) in [
        (SCREEN, "/tmp/", vec![What::Screen]),
        (Wanted { commands: true, ..NONE }, "/tmp/", vec![What::Command]),
        (Wanted { files: true, ..NONE }, "/tmp/", vec![What::File, What::File]),
        (Wanted { connections: true, ..NONE }, "10.0.0.7", vec![What::Connection]),
        (Wanted { files: true, ..NONE }, "10.0.0.7", vec![]),
    ] {
        let found = swept(&recording, &exact(text), wanted, usize::MAX, false);
        let whats: Vec<_> = found.iter().map(|one| one.what).collect();
        assert_eq!(whats, expected, "{wanted:?}");
    }
}

#[test]
fn the_command_that_a_recording_was_begun_with_is_found_once_before_all_else() {
    let kind = Kind::Exec { command: "deploy --force\u{7}".into() };
    let heading = heading_by(1, kind, &node_key(), &seal_key());
    let mut writer = Writer::begin(&heading, node_key(), Tick(0));
    let bytes = "deploy\r\n".into();
    writer.handle(Entry::Output { stream: model::entry::Stream::Stdout, bytes }, Tick(5));
    writer.end(Ending::Exit { status: 0 }, Tick(9));
    let mut file = Vec::new();
    while let Some(sealed) = writer.poll() {
        file.extend_from_slice(&sealed.bytes);
    }
    let recording = Recording::open(file).unwrap();
    for anew in [false, true] {
        let found = swept(&recording, &exact("deploy"), Wanted::ALL, 1, anew);
        let told: Vec<_> = found.iter().map(|one| (one.seq, one.what, one.text.as_str())).collect();
        let asked = (Seq(0), What::Command, "deploy --force·");
        assert_eq!(told, [asked, (Seq(1), What::Screen, "deploy")], "{anew}");
    }
}

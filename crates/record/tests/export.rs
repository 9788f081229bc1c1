//! Exports of small sessions, line by line.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests fail loudly")]

mod kit;

use bytes::Bytes;
use kit::{heading, heading_by, node_key, output, seal_key, story, told, transfers};
use model::entry::{Ending, Entry, Stamped, Stream};
use model::kernel::{Action, Doer, Kernel, KernelEvent, Place, Program};
use model::{Heading, Kind, Size};
use record::export::{Asciicast, Export, JsonLines, Ocsf, Transcript, export};
use record::{Corrupt, Recording};
use std::convert::Infallible;

fn make(mut export: impl Export, story: &[(u64, Entry)]) -> String {
    let mut file = export.begin();
    for (seq, at, entry) in told(story) {
        file.push_str(&export.push(&Stamped { seq, at, entry }));
    }
    file.push_str(&export.finish());
    file
}

fn exec() -> Heading {
    let mut heading =
        heading_by(1, Kind::Exec { command: "make".into() }, &node_key(), &seal_key());
    heading.size = None;
    heading
}

fn raw(stream: Stream, bytes: &'static [u8]) -> Entry {
    Entry::Output { stream, bytes: Bytes::from_static(bytes) }
}

#[test]
fn asciicast_holds_cut_characters_and_quantises_without_drift() {
    let story = [
        (1, raw(Stream::Pty, b"na\xc3")),
        (1_234, raw(Stream::Pty, b"\xafve\x1b[1m\xff")),
        (7, Entry::Resize(Size::clamped(100, 30))),
        (3, Entry::Mark { label: "here".into() }),
        (
            5,
            Entry::Typed {
                party: model::entry::Party::OWNER,
                count: 1,
                bytes: Some(Bytes::from_static(b"q")),
            },
        ),
        (5, Entry::Typed { party: model::entry::Party::OWNER, count: 1, bytes: None }),
        (60_000, Entry::Ended(Ending::Exit { status: 3 })),
    ];
    assert_eq!(
        make(Asciicast::v3(&heading(1)), &story),
        r#"{"term":{"cols":80,"rows":24,"type":"xterm-256color"},"timestamp":1790000000,"title":"alice as root on web-01","version":3}
[0.001, "o", "na"]
[1.234, "o", "ïve\u001b[1m�"]
[0.007, "r", "100x30"]
[0.003, "m", "here"]
[0.005, "i", "q"]
[60.005, "x", "3"]
"#
    );
    assert_eq!(
        make(Asciicast::v2(&heading(1)), &story),
        r#"{"env":{"TERM":"xterm-256color"},"height":24,"timestamp":1790000000,"title":"alice as root on web-01","version":2,"width":80}
[0.001000, "o", "na"]
[1.235000, "o", "ïve\u001b[1m�"]
[1.242000, "r", "100x30"]
[1.245000, "m", "here"]
[1.250000, "i", "q"]
[61.255000, "m", "exit 3"]
"#
    );
}

#[test]
fn without_a_terminal_lines_end_with_crlf_and_input_is_left_out() {
    let story = [
        (0, raw(Stream::Stdin, b"secret\n")),
        (1, raw(Stream::Stdout, b"a\nb\r")),
        (1, raw(Stream::Stdout, b"\nc")),
        (1, raw(Stream::Stderr, b"bad\n\xe2")),
        (1, Entry::Ended(Ending::Signal { name: "TERM".into(), core: false })),
    ];
    assert_eq!(
        make(Asciicast::v3(&exec()), &story),
        r#"{"command":"make","term":{"cols":80,"rows":24},"timestamp":1790000000,"title":"alice as root on web-01","version":3}
[0.001, "o", "a\r\nb\r"]
[0.001, "o", "\nc"]
[0.001, "o", "bad\r\n"]
[0.001, "o", "�"]
[0.000, "x", "143"]
"#
    );
    let text = make(Transcript::new(&exec()), &story);
    assert!(text.ends_with("a\nb\ncbad\n�\n[00:00:00 ended by signal TERM]\n"), "{text}");
}

#[test]
fn json_lines_lose_nothing() {
    let story = [
        (0, raw(Stream::Pty, b"caf\xc3\xa9\r\n")),
        (2, raw(Stream::Stdout, b"\xff\x00")),
        (1, Entry::Elided { stream: Stream::Stdout, bytes: 9, hash: [0xab; 32] }),
        (1, Entry::Ended(Ending::Disconnected)),
    ];
    let file = make(JsonLines::new(&heading(1)), &story);
    let lines: Vec<_> = file.lines().collect();
    assert!(lines[0].starts_with(r#"{"heading":{"client":"192.0.2.7:50222""#), "{}", lines[0]);
    assert_eq!(
        lines[1],
        r#"{"seq":1,"at":0,"entry":{"output":{"stream":"pty","text":"café\r\n"}}}"#
    );
    assert_eq!(
        lines[2],
        r#"{"seq":2,"at":2,"entry":{"output":{"base64":"/wA=","stream":"stdout"}}}"#
    );
    assert!(lines[3].contains(&"ab".repeat(32)));
    assert_eq!(lines[4], r#"{"seq":4,"at":4,"entry":{"ended":"disconnected"}}"#);
}

#[test]
fn transfers_are_lines_of_a_transcript_marks_of_an_asciicast_and_whole_in_json() {
    let text = make(Transcript::new(&exec()), &transfers());
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines[1], "[00:00:00 files are moved by sftp]");
    let hash = blake3::hash(b"hello").to_hex();
    assert_eq!(lines[2], format!("[00:00:00 written /home/alice/a: 5 bytes, blake3 {hash}]"));
    assert!(
        text.contains("read /home/alice/a: 3 bytes, not contiguous: 0+1 7+2 and 1 pieces more")
    );
    assert!(text.contains("[00:00:00 remove /etc/motd: failed, Permission denied]"), "{text}");
    assert!(!text.contains("lookups"), "{text}");
    let cast = make(Asciicast::v3(&exec()), &transfers());
    assert!(cast.contains(r#", "m", "rename a to b"]"#), "{cast}");
    let json = make(JsonLines::new(&exec()), &transfers());
    let closed = format!(
        r#""written":{{"bytes":5,"layout":{{"contiguous":{{"from":0,"hash":"{hash}"}}}}}}"#
    );
    let lookups = r#"{"transfer":{"lookups":{"failed":1,"names":2,"other":1,"stat":3}}}"#;
    for wanted in [closed.as_str(), lookups, r#""not contiguous":{"extents":[{"bytes":1"#] {
        assert!(json.contains(wanted), "{wanted}: {json}");
    }
}

#[test]
fn words_of_others_stay_within_their_line_of_a_transcript() {
    let label = "x]\n[00:00:00 session ended\x1b[2J".to_owned();
    let mut heading = heading(1);
    heading.client = "192.0.2.7\n\x1b]0;x\x07".into();
    let text = make(Transcript::new(&heading), &[(0, Entry::Mark { label })]);
    let lines: Vec<_> = text.lines().collect();
    assert!(!text.contains(['\x1b', '\x07']), "{text:?}");
    assert!(lines[0].ends_with(&format!(", recording {}]", heading.id)), "{text:?}");
    assert_eq!(lines[1], "[00:00:00 x]\u{240a}[00:00:00 session ended\u{241b}[2J]");
}

#[test]
fn a_transcript_has_every_line_once_in_order() {
    let text = make(Transcript::new(&heading(1)), &story());
    let mut last = 0;
    for line in 0..40 {
        let wanted = format!("line {line} of some build\n");
        assert_eq!(text.matches(&wanted).count(), 1, "{wanted}{text}");
        let at = text.find(&wanted).unwrap();
        assert!(at > last, "{text}");
        last = at;
    }
    assert!(
        text.find("a.txt  b.txt").unwrap() < text.find("[00:00:03 before the change]").unwrap()
    );
    assert!(
        text.contains("[00:00:21 gap: the disk was full, 4096 bytes, at most 12 ms]"),
        "{text}"
    );
    assert!(text.contains("naïve 🦀"), "{text}");
}

#[test]
fn a_transcript_keeps_what_was_cleared_names_editors_and_joins_wrapped_lines() {
    let long = "x".repeat(200);
    let same = "y\r\n".repeat(60);
    let story = [
        (0, output("before\r\n")),
        (1, output("\x1b[H\x1b[2J\x1b[3Jafter\r\n")),
        (1_000, output("\x1b[?1049h\x1b[2Jeditor text")),
        (5_000, output("\x1b[?1049l")),
        (1, output(&format!("{long}\r\n"))),
        (1, output(&same)),
        (1, Entry::Ended(Ending::Exit { status: 0 })),
    ];
    let text = make(Transcript::new(&heading(1)), &story);
    let body = text.split_once('\n').unwrap().1;
    let editor = "[00:00:06 full screen 00:00:01–00:00:06]";
    let same = "y\n".repeat(60);
    assert_eq!(body, format!("before\nafter\n{editor}\n{long}\n{same}[00:00:06 exit 0]\n"));
}

/// Whatever empties the screen, and whatever comes directly behind that.
#[test]
fn a_transcript_keeps_what_was_cleared_in_any_way() {
    for clear in [
        "\x1b[H\x1b[2J",
        "\x1b[2J\x1b[H",
        "\x1b[H\x1b[J",
        "\x1b[H\x1b[0J",
        "\x1b[9;1H\x1b[1J\x1b[H",
        "\x1bc",
        "\u{9b}2J\x1b[H",
        "\x1b[44m\x1b[2J\x1b[2J\x1b[m\x1b[H",
        // Scrolled away.
        "\x1b[2S\x1b[H",
        "\x1b[H\x1b[2M",
    ] {
        for split in 0..clear.len() {
            let (first, second) = clear.split_at_checked(split).unwrap_or(("", clear));
            let story = [
                (0, output("one\r\n\x1b[32mtwo\x1b[m\r\n")),
                (1, output(first)),
                (1, output(&format!("{second}three\r\n"))),
                (1, Entry::Ended(Ending::Exit { status: 0 })),
            ];
            let text = make(Transcript::new(&heading(1)), &story);
            let body = text.split_once('\n').unwrap().1;
            let whole = "one\ntwo\nthree\n[00:00:00 exit 0]\n";
            assert_eq!(body, whole, "{clear:?} split at {split}");
        }
    }
}

/// A mark tells the lines above it; what stands there is then told no more, and what comes in its place is.
#[test]
fn what_comes_behind_a_clear_is_told_though_more_lines_were_told_before_than_left() {
    for clear in ["\x1b[2J\x1b[H", "\u{9b}2J\x1b[H", "\x1bc", "\x1b[H\x1b[J"] {
        let story = [
            (0, output("one\r\n\r\n\r\n")),
            (1, Entry::Mark { label: "here".into() }),
            (1, output(&format!("{clear}two\r\nthree\r\nfour\r\n"))),
            (1, Entry::Ended(Ending::Exit { status: 0 })),
        ];
        let text = make(Transcript::new(&heading(1)), &story);
        let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('[')).collect();
        assert_eq!(lines, ["one", "", "", "two", "three", "four"], "{clear:?}");
    }
}

/// Searching through sources in a large window prints two thousand sequences for an entry of 32 KiB.
#[test]
fn ordinary_output_in_a_large_window_is_told_whole() {
    let mut heading = heading(1);
    heading.size = Some(Size::clamped(300, 80));
    let line = "\x1b[35m\x1b[Ka.rs\x1b[m\x1b[K:fn \x1b[01;31m\x1b[Kfeed\x1b[m\x1b[K(\x1b[J\r\n";
    let lines = 128 * 1024 / line.len();
    let story = [(0, output(&line.repeat(lines))), (1, Entry::Ended(Ending::Exit { status: 0 }))];
    let text = make(Transcript::new(&heading), &story);
    assert_eq!(text.matches("a.rs:fn feed(\n").count(), lines);
    assert!(!text.contains("left out"));
}

#[test]
fn a_program_that_runs_while_a_line_is_written_does_not_cut_it_and_is_a_mark() {
    let name = "ls".to_owned();
    let by = Doer { process: 7, parent: 1, uid: 0, euid: 0, audit: None, name, stray: false };
    let program = Program {
        file: "/bin/ls".into(),
        program: "/usr/bin/ls".into(),
        place: Place { device: 1, inode: 2 },
        folder: "/".into(),
        arguments: vec!["ls".into(), "a b".into()],
        bytes: 7,
        kept: 7,
        ..Program::default()
    };
    let action = Action::Ran(Box::new(program));
    let ran = Entry::Kernel(Kernel::Did(Box::new(KernelEvent { at: 3, by, action, times: 1 })));
    let story = [
        (1, raw(Stream::Pty, b"one whole ")),
        (5, ran),
        (5, raw(Stream::Pty, b"line\r\n")),
        (5, Entry::Ended(Ending::Exit { status: 0 })),
    ];
    let transcript = make(Transcript::new(&heading(1)), &story);
    assert!(transcript.contains("one whole line\n"), "{transcript}");
    assert!(!transcript.contains("ls"), "{transcript}");
    let cast = make(Asciicast::v3(&heading(1)), &story);
    assert!(cast.contains(r#""m", "ran ls 'a b'""#), "{cast}");
    let json = make(JsonLines::new(&heading(1)), &story);
    assert!(json.contains(r#""program":"/usr/bin/ls""#), "{json}");
}

/// What becomes of a recording, and why it is not all of it.
fn exported(recording: &Recording<Vec<u8>>, to: &mut dyn Export) -> (String, Option<Corrupt>) {
    let mut all = String::new();
    let Ok(damage) = export(recording, to, |piece| {
        all.push_str(&piece);
        Ok::<_, Infallible>(())
    });
    (all, damage)
}

#[test]
fn an_export_of_a_damaged_recording_says_that_it_is_not_all() {
    let whole = kit::sealed(1);
    let pieces = kit::pieces(&whole);
    // A record in the middle, with its trailer and without: what is read by the index, and what is read record by record.
    let middle = pieces.len() / 3;
    let at: usize = pieces[..middle].iter().map(Vec::len).sum::<usize>() + pieces[middle].len() / 2;
    let mut altered = whole.clone();
    altered[at] ^= 0x10;
    for file in [altered.clone(), altered[..altered.len() - 100].to_vec()] {
        let recording = Recording::open(file).unwrap();
        let heading = recording.heading();
        let exports: [Box<dyn Export>; 5] = [
            Box::new(Asciicast::v2(heading)),
            Box::new(Asciicast::v3(heading)),
            Box::new(Transcript::new(heading)),
            Box::new(JsonLines::new(heading)),
            Box::new(Ocsf::new(heading, "0")),
        ];
        for mut to in exports {
            let (all, damage) = exported(&recording, &mut *to);
            let damage = damage.expect("it is damaged");
            let last = all.lines().last().unwrap();
            assert!(last.contains(&damage.to_string()), "{last}");
        }
    }
    let recording = Recording::open(whole).unwrap();
    let (all, damage) = exported(&recording, &mut Transcript::new(recording.heading()));
    assert_eq!(damage, None);
    assert!(!all.contains("can be read"));
}
